//! Where revocation is told: the CRLs we go by, each with its source, and what was skipped.
//!
//! As with roots, what somebody named must be usable, and what was only found in a folder is taken
//! as far as it can be used.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::WebPkiSupportedAlgorithms;

use super::certificate::{Certificate, sha256};
use super::crl::Crl;
use super::fault::{Fault, Problem, Skipped};
use super::pem::{Entry, Item};
use super::signature::Signed;
use super::sources::{self, Limit, Source, path_name};
use crate::error::Error;

/// The certificate revocation lists (CRLs, RFC 5280 §5) to go by.
///
/// Cheap to clone. The adders take the store and return it with more in it, so they chain:
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use urlfetch::Policy;
/// use urlfetch::tls::CrlStore;
///
/// let crls = CrlStore::empty().add_dir("/var/lib/crls")?.add_file("corp-ca.crl")?;
/// let policy = Policy::default().crls(crls);
/// # Ok(())
/// # }
/// ```
///
/// A list is read when it is added, and is an error if it is broken; whether it is to be believed
/// is looked at when a certificate of its issuer is judged. The same list added twice is one, and
/// keeps its first source. Lists are not fetched and not renewed: hand a new store to a new policy
/// when they have changed.
///
/// Two stores are equal if they hold the same lists, wherever those came from.
#[derive(Clone)]
pub struct CrlStore(Arc<Held>);

impl CrlStore {
    /// A store without lists.
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// Adds the CRLs of a file of at most 128 MiB: one in DER, or any number in PEM.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the file and the entry, if it is
    /// missing, unreadable, empty or too large, if a CRL in it is broken, or if there is none.
    pub fn add_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.add(file(path.as_ref()), Form::Either)
    }

    /// Adds the CRLs of all files in a folder, each in DER or in PEM, in the order of their names;
    /// not of its subfolders.
    ///
    /// Files that cannot be used, or of which entries cannot, are listed in
    /// [`skipped`](Self::skipped). Look there, if certificates on which no CRL says anything are
    /// [allowed](super::UnknownStatusPolicy::Allow).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the folder is missing, unreadable or
    /// empty, or if nothing in it is a CRL that can be read.
    pub fn add_dir(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.add_folder(path.as_ref(), Form::Either)
    }

    /// Adds the CRLs of a PEM text (RFC 7468 §6).
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file).
    pub fn add_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.add(Ok(Source::bytes(pem.as_ref())), Form::Pem)
    }

    /// Adds the CRLs of a PEM file.
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file), and if the file is not PEM.
    pub fn add_pem_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.add(file(path.as_ref()), Form::Pem)
    }

    /// As [`add_dir`](Self::add_dir), of files in PEM alone.
    ///
    /// # Errors
    ///
    /// As [`add_dir`](Self::add_dir).
    pub fn add_pem_dir(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.add_folder(path.as_ref(), Form::Pem)
    }

    /// Adds the CRLs of a PEM text of at most 128 MiB, read to its end.
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file), and if reading fails.
    pub fn add_pem_reader(self, reader: impl Read) -> Result<Self, Error> {
        self.add(Source::reader(reader, Limit::CRLS), Form::Pem)
    }

    /// Adds one CRL in DER.
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file).
    pub fn add_der(self, der: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.add(Ok(Source::bytes(der.as_ref())), Form::Der)
    }

    /// Adds one CRL from a file in DER.
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file), and if the file is not DER.
    pub fn add_der_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.add(file(path.as_ref()), Form::Der)
    }

    /// Adds one CRL in DER of at most 128 MiB, read to its end.
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file), and if reading fails.
    pub fn add_der_reader(self, reader: impl Read) -> Result<Self, Error> {
        self.add(Source::reader(reader, Limit::CRLS), Form::Der)
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.0.known.len()
    }

    /// Whether there is no list, so that nothing is known to be revoked.
    pub fn is_empty(&self) -> bool {
        self.0.known.is_empty()
    }

    /// What was found but not used, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.0.skipped
    }

    /// The lists that bear this name as their issuer's, in DER, the newest first.
    pub(super) fn of(&self, issuer: &[u8]) -> &[Arc<List>] {
        self.0.lists.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// A source that was named: nothing in it may be broken.
    fn add(mut self, source: Result<Source, Fault>, form: Form) -> Result<Self, Error> {
        let held = Arc::make_mut(&mut self.0);
        source
            .and_then(|source| held.add_named(&source, form))
            .map_err(unreadable)?;
        Ok(self)
    }

    fn add_folder(mut self, path: &Path, form: Form) -> Result<Self, Error> {
        let held = Arc::make_mut(&mut self.0);
        held.add_folder(path, form).map_err(unreadable)?;
        Ok(self)
    }
}

impl From<&Self> for CrlStore {
    fn from(store: &Self) -> Self {
        store.clone()
    }
}

impl PartialEq for CrlStore {
    fn eq(&self, other: &Self) -> bool {
        self.0.known == other.0.known
    }
}

impl Eq for CrlStore {}

impl fmt::Debug for CrlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revoked = self.0.lists.values().flatten().map(|list| list.crl.len());
        f.debug_struct("CrlStore")
            .field("lists", &self.len())
            .field("revoked", &revoked.sum::<usize>())
            .field("skipped", &self.0.skipped.len())
            .finish()
    }
}

/// A list, where it came from, and whose it has proved to be.
pub(super) struct List {
    pub(super) crl: Crl,
    pub(super) source: Arc<str>,
    proofs: Mutex<Vec<Proof>>,
}

/// Whether the signature of a list fits a key, by the SHA-256 of its SubjectPublicKeyInfo.
#[derive(Clone, Copy)]
struct Proof {
    key: [u8; 32],
    fits: bool,
}

impl List {
    /// Whether the issuer's key signed it, which is found out once: it is as much work as the list
    /// is long.
    ///
    /// `accepted` is taken to be the same at each call, as it is for one provider.
    pub(super) fn is_by(&self, issuer: &Certificate, accepted: WebPkiSupportedAlgorithms) -> bool {
        let key = issuer.spki_sha256();
        let known = self.proof_of(key);
        known.unwrap_or_else(|| {
            let signed = Signed {
                message: self.crl.tbs_der(),
                algorithm: self.crl.signature_algorithm_der(),
                signature: self.crl.signature(),
            };
            // Nobody waits for it: others may have another key to prove.
            let fits = signed.is_by(issuer.spki_der(), accepted);
            self.remember(Proof { key, fits });
            fits
        })
    }

    fn proof_of(&self, key: [u8; 32]) -> Option<bool> {
        let proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        let proof = proofs.iter().find(|proof| proof.key == key)?;
        Some(proof.fits)
    }

    /// Whoever may issue CA certificates can present ever new keys under the name of the list's
    /// issuer: those make room for each other, and never take the place of one that fits.
    fn remember(&self, proof: Proof) {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if proofs.iter().any(|each| each.key == proof.key) {
            return;
        }
        if proofs.len() >= MAX_PROOFS {
            let oldest = proofs.iter().position(|each| !each.fits);
            proofs.remove(oldest.unwrap_or_default());
        }
        proofs.push(proof);
    }
}

/// How a source is written.
#[derive(Clone, Copy)]
enum Form {
    Pem,
    Der,
    /// As it turns out to be.
    Either,
}

/// What a store holds.
#[derive(Clone, Default)]
struct Held {
    /// By the issuer's name in DER; the newest first.
    lists: HashMap<Box<[u8]>, Vec<Arc<List>>>,
    /// Their SHA-256.
    known: HashSet<[u8; 32]>,
    skipped: Vec<Skipped>,
}

impl Held {
    fn add_named(&mut self, source: &Source, form: Form) -> Result<(), Fault> {
        let (usable, faults) = self.add_source(source, form);
        for fault in faults {
            // A certificate beside the CRLs does no harm.
            if usable == 0 || !matches!(fault.problem(), Problem::NotCrl(_)) {
                return Err(fault);
            }
            self.skipped.push(fault.into());
        }
        Ok(())
    }

    fn add_folder(&mut self, path: &Path, form: Form) -> Result<(), Fault> {
        let add = |source: &Source| self.add_source(source, form);
        let faults = sources::read_folder(path, path_name, Limit::CRLS, "CRL", add)?;
        self.skipped.extend(faults.into_iter().map(Skipped::from));
        Ok(())
    }

    /// Adds what is usable; says how much that was, and what the rest is.
    fn add_source(&mut self, source: &Source, form: Form) -> (usize, Vec<Fault>) {
        let is_der = match form {
            Form::Pem => false,
            Form::Der => true,
            Form::Either => source.is_der(),
        };
        let mut usable = 0;
        let mut faults = Vec::new();
        let mut count = |added| match added {
            Ok(()) => usable += 1,
            Err(fault) => faults.push(fault),
        };
        if is_der {
            count(source.der().and_then(|der| {
                let added = self.insert(source.name(), der.to_vec());
                added.map_err(|problem| source.fault(problem))
            }));
        } else {
            for entry in source.entries() {
                count(entry.and_then(|Entry { position, item }| {
                    let added = match item {
                        Item::Crl(der) => self.insert(source.name(), der),
                        Item::Certificate(_) => Err(Problem::NotCrl("CERTIFICATE".to_owned())),
                        Item::PrivateKey(_) | Item::EncryptedKey => Err(Problem::KeyForCrl),
                        Item::Other(label) if label.ends_with("PRIVATE KEY") => {
                            Err(Problem::KeyForCrl)
                        }
                        Item::Other(label) => Err(Problem::NotCrl(label)),
                    };
                    added.map_err(|problem| source.fault(problem).at(position))
                }));
            }
        }
        (usable, faults)
    }

    fn insert(&mut self, source: &Arc<str>, der: Vec<u8>) -> Result<(), Problem> {
        let digest = sha256(&der);
        if self.known.contains(&digest) {
            return Ok(());
        }
        let crl = Crl::read(der).map_err(|error| Problem::MalformedCrl(error.to_string()))?;
        let lists = self.lists.entry(crl.issuer_der().into()).or_default();
        let place = lists.partition_point(|list| !crl.is_newer_than(&list.crl));
        let list = List {
            crl,
            source: source.clone(),
            proofs: Mutex::default(),
        };
        lists.insert(place, Arc::new(list));
        self.known.insert(digest);
        Ok(())
    }
}

fn file(path: &Path) -> Result<Source, Fault> {
    Source::file(path_name(path), path, Limit::CRLS)
}

fn unreadable(fault: Fault) -> Error {
    fault.into_error("CRLs")
}

/// How many keys a list is known to fit or not to fit. One signs it; its issuer may have as many
/// others as it has renewed its own.
const MAX_PROOFS: usize = 16;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::certificate::forge::Forged;
    use super::super::crl::forge::{entry, good};
    use super::super::crypto;
    use super::super::sources::scratch::Scratch;
    use super::*;
    use crate::error::ErrorKind;

    fn list(issuer: &str, serial: u8) -> Vec<u8> {
        good(issuer, &[entry(&[serial])])
    }

    fn pem(label: &str, der: &[u8]) -> String {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let text = BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    fn refusal(result: Result<CrlStore, Error>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    fn skipped(store: &CrlStore) -> Vec<String> {
        store.skipped().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_door_leads_in_and_one_list_is_one() {
        let scratch = Scratch::new();
        let [a, b, c, d, e, f, g, h] = [1, 2, 3, 4, 5, 6, 7, 8].map(|serial| list("ca", serial));
        let folder = scratch.path().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("1.crl"), &e).unwrap();
        fs::write(
            folder.join("2.pem"),
            pem("X509 CRL", &f) + &pem("X509 CRL", &a),
        )
        .unwrap();
        let der_file = scratch.file("d.crl", &d);
        let pem_file = scratch.file("c.pem", pem("X509 CRL", &c));
        let store = CrlStore::empty()
            .add_der(&a)
            .and_then(|store| store.add_pem(pem("X509 CRL", &b)))
            .and_then(|store| store.add_pem_file(&pem_file))
            .and_then(|store| store.add_der_file(&der_file))
            .and_then(|store| store.add_dir(&folder))
            .and_then(|store| store.add_pem_reader(pem("X509 CRL", &g).as_bytes()))
            .and_then(|store| store.add_der_reader(&h[..]))
            // Of either form, and all there already.
            .and_then(|store| store.add_file(&pem_file))
            .and_then(|store| store.add_file(&der_file))
            .unwrap();
        assert_eq!((store.len(), store.is_empty()), (8, false));
        assert_eq!(skipped(&store), [""; 0]);
        assert_eq!(
            format!("{store:?}"),
            "CrlStore { lists: 8, revoked: 8, skipped: 0 }"
        );
        // Of PEM alone the folder has two.
        let pem_only = CrlStore::empty().add_pem_dir(&folder).unwrap();
        assert_eq!(pem_only.len(), 2);
        assert!(skipped(&pem_only)[0].contains("1.crl: it is DER and PEM was expected"));
        assert!(CrlStore::empty().is_empty());
    }

    #[test]
    fn what_was_named_must_be_usable() {
        let scratch = Scratch::new();
        let good = pem("X509 CRL", &list("ca", 1));
        let cut = list("ca", 1)[..40].to_vec();
        let certificate = pem("CERTIFICATE", &Forged::default().der());
        let key = pem("PRIVATE KEY", &[0x30, 0]);
        let rows = [
            (
                CrlStore::empty().add_der(&cut),
                "cannot read CRLs from bytes: the CRL cannot be used: it is not a CRL in DER",
            ),
            (
                CrlStore::empty().add_pem(good.clone() + &pem("X509 CRL", &cut)),
                "bytes: entry 2 (line 4): the CRL cannot be used: it is not a CRL in DER",
            ),
            (
                CrlStore::empty().add_der(Forged::default().der()),
                "the CRL cannot be used: it is not a CRL in DER",
            ),
            (
                CrlStore::empty().add_pem(&certificate),
                "bytes: entry 1 (line 1): its label is CERTIFICATE, not X509 CRL",
            ),
            (
                CrlStore::empty().add_pem(good.clone() + &key),
                "entry 2 (line 4): it is a private key and a CRL was expected",
            ),
            (
                CrlStore::empty().add_pem(list("ca", 1)),
                "it is DER and PEM was expected",
            ),
            (
                CrlStore::empty().add_der(&good),
                "it is PEM and DER was expected",
            ),
            (
                CrlStore::empty().add_file(scratch.file("text", "hello")),
                "no line in it begins with -----BEGIN",
            ),
            (
                CrlStore::empty().add_file(scratch.file("empty", "")),
                "it is empty",
            ),
            (
                CrlStore::empty().add_file(scratch.path().join("none")),
                "nothing at this path",
            ),
            (
                CrlStore::empty().add_file(scratch.path()),
                "for one of CRLs CrlStore::add_dir",
            ),
            (
                CrlStore::empty().add_dir(scratch.path()),
                "nothing in the folder is a usable CRL, 2 skipped, of which the first",
            ),
        ];
        for (result, expected) in rows {
            let told = refusal(result);
            assert!(told.starts_with("cannot read CRLs from "), "{told}");
            assert!(told.contains(expected), "{told}");
        }
        // A certificate beside a CRL does no harm.
        let both = CrlStore::empty().add_pem(good + &certificate).unwrap();
        assert_eq!(both.len(), 1);
        assert!(skipped(&both)[0].contains("its label is CERTIFICATE"));
    }

    #[test]
    fn what_is_of_no_use_in_a_folder_is_skipped() {
        let scratch = Scratch::new();
        scratch.file("a.crl", &list("ca", 1)[..40]);
        scratch.file("b.crl", list("ca", 1));
        scratch.file("readme", "CRLs of today");
        let store = CrlStore::empty().add_dir(scratch.path()).unwrap();
        assert_eq!(store.len(), 1);
        let skipped = skipped(&store);
        assert_eq!(skipped.len(), 2);
        assert!(skipped[0].contains("a.crl: the CRL cannot be used: it is not a CRL in DER"));
        assert!(skipped[1].contains("readme: no line in it begins"));
    }

    #[test]
    fn stores_of_the_same_lists_are_equal() {
        let store = |lists: &[Vec<u8>]| {
            let empty = CrlStore::empty();
            let add = |store: CrlStore, list| store.add_der(list).unwrap();
            lists.iter().fold(empty, add)
        };
        let (a, b) = (list("ca", 1), list("ca", 2));
        assert_eq!(
            store(&[a.clone(), b.clone()]),
            store(&[b.clone(), a.clone(), b.clone()])
        );
        assert_ne!(store(std::slice::from_ref(&a)), store(&[b]));
        assert_ne!(store(&[a]), CrlStore::empty());
    }

    #[test]
    fn of_the_keys_that_do_not_fit_some_are_remembered_and_the_one_that_fits_always() {
        let store = CrlStore::empty().add_der(list("ca", 1)).unwrap();
        let lists = store.0.lists.values().next().unwrap();
        let list = &lists[0];
        let ours = Proof {
            key: [255; 32],
            fits: true,
        };
        list.remember(ours);
        for key in 0..100 {
            list.remember(Proof {
                key: [key; 32],
                fits: false,
            });
            assert_eq!(list.proof_of([key; 32]), Some(false));
            assert_eq!(list.proof_of(ours.key), Some(true));
        }
        assert_eq!(list.proofs.lock().unwrap().len(), MAX_PROOFS);
        assert_eq!(list.proof_of([0; 32]), None);

        // What a rubbish signature fits is found out, and then known.
        let certificate = Forged::default().certificate();
        let accepted = crypto::provider().signature_verification_algorithms;
        assert!(!list.is_by(&certificate, accepted));
        assert_eq!(list.proof_of(certificate.spki_sha256()), Some(false));
        // It is the same list in a copy of the store, which knows it too.
        let more = store.clone().add_der(self::list("other", 1)).unwrap();
        let same = &more.of(list.crl.issuer_der())[0];
        assert_eq!(same.proof_of(ours.key), Some(true));
    }
}
