//! Where trust comes from: the CA certificates we take as anchors, each with its source, and what
//! was skipped.
//!
//! What somebody named (a path, a variable, bytes) must be usable: a mistake there is an error,
//! because a store that is silently smaller than meant fails later and elsewhere. What nobody named
//! one by one (the files of a folder, the platform's own) is taken as far as it can be used, and
//! the rest is listed in [`RootStore::skipped`].

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::TrustAnchor;

use super::anchors::Anchors;
use super::certificate::Anchor;
use super::fault::{Fault, Skipped};
use super::platform::{self, CERT_DIR, CERT_FILE, Named};
use super::sources::{Limit, Source, path_name};
use crate::error::{Error, ErrorKind};
use crate::trace;

/// The certificate authorities to trust.
///
/// Cheap to clone. The adders take the store and return it with more in it, so they chain:
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use urlfetch::RootStore;
///
/// let roots = RootStore::native()?.add_pem_file("corp-ca.pem")?;
/// for anchor in roots.anchors() {
///     println!("{} from {}", anchor.subject(), anchor.source());
/// }
/// # Ok(())
/// # }
/// ```
///
/// The same certificate added twice is one anchor, and keeps its first source. A certificate that
/// decodes but cannot serve as an anchor is skipped if there are usable ones beside it, and an
/// error if there are none. Nothing else is asked of an anchor here: one that has expired, say, is
/// taken, and a path that ends in it is refused when it is judged.
#[derive(Clone)]
pub struct RootStore(Arc<Anchors>);

impl RootStore {
    /// A store without anchors: the start for a list of one's own.
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// The platform's store, or what the environment names in its place.
    ///
    /// | `SSL_CERT_FILE` | `SSL_CERT_DIR` | what is read |
    /// |---|---|---|
    /// | unset or empty | unset or empty | the platform's store |
    /// | a PEM file | unset or empty | that file |
    /// | unset or empty | folders, separated as in `PATH` | their files |
    /// | a PEM file | folders | both |
    ///
    /// An empty variable counts as unset, with a warning in the log. The first success is kept for
    /// the life of the process, so a later change of the variables or of the platform's store is
    /// not seen; a failure is not kept. This reads files: within async code, call it where blocking
    /// is allowed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if what a variable names is missing, unreadable, empty or broken, or
    /// if no anchor was found.
    pub fn native() -> Result<Self, Error> {
        static LOADED: Mutex<Option<RootStore>> = Mutex::new(None);
        once(&LOADED, || {
            Self::from_environment(&|name| std::env::var_os(name), platform::store)
        })
    }

    /// Mozilla's list of CAs for servers, as compiled in with the crate `webpki-root-certs`.
    ///
    /// It is as new as the build. Constraints that Mozilla imposes on a CA from outside its
    /// certificate do not apply.
    #[cfg(feature = "mozilla-roots")]
    pub fn mozilla() -> Self {
        let mut anchors = Anchors::default();
        let source = "mozilla".into();
        for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            if let Err(problem) = anchors.insert(&source, der.clone()) {
                anchors.skip(Fault::of(&source, problem));
            }
        }
        Self(Arc::new(anchors))
    }

    /// Adds the CA certificates of a PEM text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the entry, if one is broken, is a private key or is in
    /// OpenSSL's TRUSTED CERTIFICATE form, or if none is a usable CA certificate.
    pub fn add_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.add(Ok(Source::bytes(pem.as_ref())))
    }

    /// Adds the CA certificates of a PEM file of at most 16 MiB.
    ///
    /// # Errors
    ///
    /// As [`add_pem`](Self::add_pem), and if the file is missing, unreadable, empty or too large.
    pub fn add_pem_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        self.add(Source::file(path_name(path), path, Limit::CERTIFICATES))
    }

    /// Adds the CA certificates of all PEM files in a folder, in the order of their names; not of
    /// its subfolders.
    ///
    /// Files that cannot be used, or of which entries cannot, are listed in
    /// [`skipped`](Self::skipped).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the folder is missing, unreadable or empty, or if nothing in it is
    /// a usable CA certificate.
    pub fn add_pem_dir(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let anchors = Arc::make_mut(&mut self.0);
        anchors
            .add_folder(path.as_ref(), path_name)
            .map_err(unreadable)?;
        Ok(self)
    }

    /// Adds the CA certificates of a PEM text of at most 16 MiB, read to its end.
    ///
    /// # Errors
    ///
    /// As [`add_pem`](Self::add_pem), and if reading fails.
    pub fn add_pem_reader(self, reader: impl Read) -> Result<Self, Error> {
        self.add(Source::reader(reader, Limit::CERTIFICATES))
    }

    /// Adds one CA certificate in DER.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the bytes are not one certificate that can serve as an anchor.
    pub fn add_der(mut self, der: impl AsRef<[u8]>) -> Result<Self, Error> {
        let anchors = Arc::make_mut(&mut self.0);
        anchors
            .add_der(&Source::bytes(der.as_ref()))
            .map_err(unreadable)?;
        Ok(self)
    }

    /// Adds CA certificates in DER that stand one after the other, which is how Python's
    /// `load_verify_locations` took `cadata` as bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the entry, if the bytes are anything else than certificates
    /// that can serve as anchors, one at least. Then nothing of them is added, where Python had
    /// loaded what came before.
    pub fn add_der_concatenated(mut self, der: impl AsRef<[u8]>) -> Result<Self, Error> {
        let anchors = Arc::make_mut(&mut self.0);
        anchors
            .add_each_der(&Source::bytes(der.as_ref()))
            .map_err(unreadable)?;
        Ok(self)
    }

    /// Adds one CA certificate from a file in DER.
    ///
    /// # Errors
    ///
    /// As [`add_der`](Self::add_der), and if the file is missing, unreadable, empty or too large.
    pub fn add_der_file(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let anchors = Arc::make_mut(&mut self.0);
        let source = Source::file(path_name(path), path, Limit::CERTIFICATES);
        let added = source.and_then(|source| anchors.add_der(&source));
        added.map_err(unreadable)?;
        Ok(self)
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.0.list.len()
    }

    /// Whether there is no anchor, so that nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// The anchors, in the order in which they were added.
    pub fn anchors(&self) -> impl ExactSizeIterator<Item = &Anchor> {
        self.0.list.iter()
    }

    /// What was found but not used, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.0.skipped
    }

    /// The anchors of both, and what both skipped.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        Arc::make_mut(&mut self.0).merge(&other.0);
        self
    }

    /// The places of the anchors whose subject is this name in DER.
    pub(super) fn named(&self, name: &[u8]) -> &[usize] {
        self.0.named(name)
    }

    /// The anchor at a place, and the same as webpki takes it.
    pub(super) fn at(&self, place: usize) -> Option<(&Anchor, &TrustAnchor<'static>)> {
        self.0.at(place)
    }

    /// Adds what was named: nothing in it may be broken.
    pub(crate) fn add(mut self, source: Result<Source, Fault>) -> Result<Self, Error> {
        let anchors = Arc::make_mut(&mut self.0);
        source
            .and_then(|source| anchors.add_named(&source))
            .map_err(unreadable)?;
        Ok(self)
    }

    fn from_environment(
        environment: &dyn Fn(&str) -> Option<OsString>,
        platform: impl FnOnce() -> platform::Store,
    ) -> Result<Self, Error> {
        let named = Named::by(environment);
        for variable in &named.empty {
            trace::empty_variable(variable);
        }
        let mut anchors = Anchors::default();
        if named.is_nothing() {
            anchors.add_platform(platform());
            if anchors.list.is_empty() {
                return Err(nothing_found(&anchors.skipped));
            }
        }
        if let Some(path) = &named.file {
            let name = variable_name(CERT_FILE, path);
            let source = Source::file(name, path, Limit::CERTIFICATES);
            source
                .and_then(|source| anchors.add_named(&source))
                .map_err(unreadable)?;
        }
        for path in &named.folders {
            anchors
                .add_folder(path, |path| variable_name(CERT_DIR, path))
                .map_err(unreadable)?;
        }
        Ok(Self(Arc::new(anchors)))
    }
}

impl fmt::Debug for RootStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootStore")
            .field("anchors", &self.len())
            .field("skipped", &self.0.skipped.len())
            .finish()
    }
}

/// The lock is held while loading, so that callers who come together load once.
fn once(
    loaded: &Mutex<Option<RootStore>>,
    load: impl FnOnce() -> Result<RootStore, Error>,
) -> Result<RootStore, Error> {
    let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = &*loaded {
        return Ok(store.clone());
    }
    Ok(loaded.insert(load()?).clone())
}

fn variable_name(variable: &str, path: &Path) -> Arc<str> {
    format!("{variable}={}", path_name(path)).into()
}

fn unreadable(fault: Fault) -> Error {
    fault.into_error("CA certificates")
}

fn nothing_found(skipped: &[Skipped]) -> Error {
    let mut message = "this system has no CA certificates where they are usually kept; install them (on most systems \
                       the package ca-certificates), name a file in SSL_CERT_FILE, or use RootStore::add_pem_file"
        .to_owned();
    if let Some(first) = skipped.first() {
        message.push_str(&format!(
            " ({} skipped, of which the first: {first})",
            skipped.len()
        ));
    }
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::super::sources::scratch::Scratch;
    use super::*;

    struct Ca {
        der: Vec<u8>,
        pem: String,
        key: KeyPair,
    }

    fn ca(name: &'static str) -> Ca {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Ca {
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            key,
        }
    }

    /// Valid PEM and DER, but not a certificate.
    const JUNK: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n";
    const CRL: &str = "-----BEGIN X509 CRL-----\nMAMCAQU=\n-----END X509 CRL-----\n";

    fn subjects(store: &RootStore) -> Vec<String> {
        store.anchors().map(Anchor::subject).collect()
    }

    fn sources(store: &RootStore) -> Vec<&str> {
        store.anchors().map(Anchor::source).collect()
    }

    fn skipped(store: &RootStore) -> Vec<String> {
        store.skipped().iter().map(ToString::to_string).collect()
    }

    fn refusal(result: Result<RootStore, Error>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn every_door_leads_in_and_one_ca_is_one_anchor() {
        let scratch = Scratch::new();
        let [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map(ca);
        let folder = scratch.path().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("2.pem"), format!("{}{}", e.pem, a.pem)).unwrap();
        fs::write(folder.join("1.pem"), &f.pem).unwrap();
        let pem_file = scratch.file("b.pem", &b.pem);
        let der_file = scratch.file("d.der", &d.der);
        let store = RootStore::empty()
            .add_pem(&a.pem)
            .and_then(|store| store.add_pem_file(&pem_file))
            .and_then(|store| store.add_pem_reader(c.pem.as_bytes()))
            .and_then(|store| store.add_der_file(&der_file))
            .and_then(|store| store.add_pem_dir(&folder))
            .and_then(|store| store.add_der(&a.der))
            .and_then(|store| store.add_pem(&b.pem))
            .unwrap();

        assert_eq!(
            subjects(&store),
            ["CN=a", "CN=b", "CN=c", "CN=d", "CN=f", "CN=e"]
        );
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let expected = [
            "bytes".to_owned(),
            path(pem_file),
            "reader".to_owned(),
            path(der_file),
            path(folder.join("1.pem")),
            path(folder.join("2.pem")),
        ];
        assert_eq!(sources(&store), expected);
        assert_eq!(
            (store.len(), store.is_empty(), store.skipped()),
            (6, false, &[][..])
        );
        assert_eq!(store.anchors().next().unwrap().certificate().der(), a.der);
        assert_eq!(format!("{store:?}"), "RootStore { anchors: 6, skipped: 0 }");
        assert!(RootStore::empty().is_empty());
    }

    #[test]
    fn two_stores_are_one_with_the_anchors_of_both() {
        let [a, b, c] = ["a", "b", "c"].map(ca);
        let scratch = Scratch::new();
        let file = scratch.file("bc.pem", format!("{}{CRL}{}", b.pem, c.pem));
        let first = RootStore::empty().add_pem(&a.pem).unwrap();
        let first = first.add_pem_reader(b.pem.as_bytes()).unwrap();
        let second = RootStore::empty().add_pem_file(&file).unwrap();
        let both = first.clone().and(&second);
        assert_eq!(subjects(&both), ["CN=a", "CN=b", "CN=c"]);
        assert_eq!(sources(&both), ["bytes", "reader", file.to_str().unwrap()]);
        assert_eq!(both.skipped(), second.skipped());
        let trusted = [&first.0.trusted[..], &second.0.trusted[1..]].concat();
        assert_eq!(both.0.trusted, trusted);
        assert_eq!((first.len(), second.len()), (2, 2));
        assert_eq!(second.skipped().len(), 1);
    }

    #[test]
    fn a_clone_does_not_see_what_is_added_later() {
        let first = RootStore::empty().add_pem(ca("a").pem).unwrap();
        let second = first.clone().add_pem(ca("b").pem).unwrap();
        assert_eq!((first.len(), second.len()), (1, 2));
    }

    #[test]
    fn what_was_named_must_be_usable() {
        let scratch = Scratch::new();
        let ca = ca("a");
        let key = ca.key.serialize_pem();
        let missing = scratch.path().join("missing.pem");
        let empty = scratch.file("empty.pem", "");
        let der = scratch.file("a.der", &ca.der);
        let mixed = scratch.file(
            "mixed.pem",
            format!("{}{}", ca.pem, ca.pem.replacen("MI", "M!", 1)),
        );
        let keys = scratch.path().join("keys");
        fs::create_dir(&keys).unwrap();
        fs::write(keys.join("a.key"), &key).unwrap();
        fs::write(keys.join("README"), "no PEM here").unwrap();

        let store = RootStore::empty;
        let cases = [
            (
                store().add_pem_file(&missing),
                "missing.pem: there is nothing at this path",
            ),
            (
                store().add_pem_file(scratch.path()),
                "it is a folder and a file was expected",
            ),
            (store().add_pem_file(&empty), "empty.pem: it is empty"),
            (
                store().add_pem_file(&der),
                "a.der: it is DER and PEM was expected; use the function for DER",
            ),
            (store().add_pem_file(&mixed), "mixed.pem: entry 2 (line "),
            (
                store().add_pem_file(&mixed),
                "the base64 of the CERTIFICATE is broken",
            ),
            (
                store().add_pem(&key),
                "bytes: entry 1 (line 1): it is a private key and a CA certificate was expected",
            ),
            (
                store().add_pem(format!("{}{key}", ca.pem)),
                "it is a private key",
            ),
            (
                store().add_pem(ca.pem.clone() + &key.replace("PRIVATE", "OPENSSH PRIVATE")),
                "it is a private key",
            ),
            (
                store().add_pem(ca.pem.clone() + &key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
                "it is a private key",
            ),
            (
                store().add_pem(ca.pem.clone() + &ca.pem.replace("CERT", "TRUSTED CERT")),
                "it is a TRUSTED CERTIFICATE, a form of OpenSSL's own",
            ),
            (
                store().add_pem(JUNK),
                "entry 1 (line 1): the certificate cannot serve as a trust anchor: ",
            ),
            (
                store().add_pem(CRL),
                "entry 1 (line 1): its label is X509 CRL, not CERTIFICATE",
            ),
            (store().add_pem_reader(&b""[..]), "reader: it is empty"),
            (
                store().add_der(&ca.pem),
                "bytes: it is PEM and DER was expected",
            ),
            (
                store().add_der(ca.key.serialize_der()),
                "bytes: it is a private key",
            ),
            (
                store().add_der([0x30, 3, 2, 1, 5]),
                "bytes: the certificate cannot serve as a trust anchor: ",
            ),
            (
                store().add_der([ca.der.as_slice(), &[0]].concat()),
                "the certificate cannot serve",
            ),
            (
                store().add_der_file(&missing),
                "missing.pem: there is nothing at this path",
            ),
            (
                store().add_pem_dir(&missing),
                "missing.pem: there is nothing at this path",
            ),
            (
                store().add_pem_dir(&empty),
                "empty.pem: it is not a folder and one was expected",
            ),
            (
                store().add_pem_dir(&keys),
                "nothing in the folder is a usable CA certificate, 2 skipped",
            ),
            (
                store().add_pem_dir(&keys),
                "README: no line in it begins with -----BEGIN",
            ),
        ];
        for (result, expected) in cases {
            let message = refusal(result);
            assert!(
                message.starts_with("cannot read CA certificates from "),
                "{message}"
            );
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains(key.lines().nth(1).unwrap()), "{message}");
        }
    }

    #[test]
    fn der_one_after_the_other_is_added_whole_or_not_at_all() {
        let [a, b, c] = ["a", "b", "c"].map(ca);
        let before = RootStore::empty().add_der(&a.der).unwrap();
        let add = |parts: &[&[u8]]| before.clone().add_der_concatenated(parts.concat());

        let all = add(&[&b.der, &a.der, &c.der, &b.der]).unwrap();
        assert_eq!(subjects(&all), ["CN=a", "CN=b", "CN=c"]);
        assert_eq!(subjects(&add(&[&b.der]).unwrap()), ["CN=a", "CN=b"]);
        assert_eq!(all.0.trusted.len(), 3);

        let key = b.key.serialize_der();
        for (parts, expected) in [
            (&[][..], "bytes: it is empty"),
            (&[b.pem.as_bytes()], "bytes: it is PEM and DER was expected"),
            (&[b"junk", &b.der], "bytes: it is neither DER nor PEM"),
            (&[&b.der, b"junk"], "entry 2: the certificate cannot serve"),
            (&[&b.der, b"\n"], "entry 2: the certificate cannot serve"),
            (&[&b.der, &[0]], "entry 2: the certificate cannot serve"),
            (
                &[&b.der, b.pem.as_bytes()],
                "entry 2: the certificate cannot serve",
            ),
            (
                &[&b.der, &c.der[..99]],
                "entry 2: the certificate cannot serve",
            ),
            (
                &[&b.der, &c.der, &[0x30, 3, 2, 1, 5]],
                "entry 3: the certificate cannot serve",
            ),
            (
                &[&[0x30, 3, 2, 1, 5], &b.der],
                "entry 1: the certificate cannot serve",
            ),
            (&[&b.der, &key], "entry 2: it is a private key"),
        ] {
            let message = refusal(add(parts));
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(subjects(&before), ["CN=a"]);
    }

    #[test]
    fn what_is_of_no_use_beside_the_usable_is_skipped() {
        let store = RootStore::empty()
            .add_pem(format!("{JUNK}{CRL}{}", ca("a").pem))
            .unwrap();
        assert_eq!(subjects(&store), ["CN=a"]);
        let [junk, crl] = store.skipped() else {
            panic!("{:?}", store.skipped())
        };
        assert_eq!((junk.source(), crl.source()), ("bytes", "bytes"));
        assert!(
            junk.reason()
                .starts_with("entry 1 (line 1): the certificate cannot serve as a trust anchor")
        );
        assert_eq!(
            crl.reason(),
            "entry 2 (line 4): its label is X509 CRL, not CERTIFICATE"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_gives_what_it_can() {
        let scratch = Scratch::new();
        let [a, b] = ["a", "b"].map(ca);
        scratch.file("a.pem", &a.pem);
        scratch.file(
            "b.pem",
            format!("{}{}", b.pem.replacen("MI", "M!", 1), b.pem),
        );
        scratch.file("key.pem", a.key.serialize_pem());
        scratch.file("README", "read me");
        std::os::unix::fs::symlink("a.pem", scratch.path().join("5ed36f99.0")).unwrap();
        std::os::unix::fs::symlink("gone.pem", scratch.path().join("gone.0")).unwrap();
        fs::create_dir(scratch.path().join("sub")).unwrap();

        let store = RootStore::empty().add_pem_dir(scratch.path()).unwrap();
        assert_eq!(subjects(&store), ["CN=a", "CN=b"]);
        assert!(sources(&store)[0].ends_with("/a.pem"));
        let skipped = skipped(&store);
        let expected = [
            "/README: no line in it begins with",
            "/b.pem: entry 1 (line 1): the base64 of the CERTIFICATE is broken",
            "/gone.0: the link leads nowhere",
            "/key.pem: entry 1 (line 1): it is a private key",
            "/sub: it is not a file",
        ];
        assert_eq!(skipped.len(), expected.len(), "{skipped:?}");
        for (skipped, expected) in skipped.iter().zip(expected) {
            assert!(skipped.contains(expected), "{skipped}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_links_to_each_other_is_empty() {
        let scratch = Scratch::new();
        for (link, target) in [("a", "b"), ("b", "a"), ("c", "c")] {
            std::os::unix::fs::symlink(target, scratch.path().join(link)).unwrap();
        }
        let message = refusal(RootStore::empty().add_pem_dir(scratch.path()));
        assert!(message.contains(": the folder is empty"), "{message}");
    }

    #[test]
    fn the_environment_goes_before_the_platform() {
        let scratch = Scratch::new();
        let [a, b, c, p] = ["a", "b", "c", "platform"].map(ca);
        let file = scratch.file("a.pem", &a.pem);
        let folders = ["b", "c"].map(|name| scratch.path().join(name));
        for (folder, ca) in folders.iter().zip([&b, &c]) {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("ca.pem"), &ca.pem).unwrap();
        }
        let bundle = scratch.file("bundle.pem", format!("{JUNK}{}", p.pem));
        let list = std::env::join_paths(&folders).unwrap();
        let load = |cert_file: Option<OsString>, cert_dir: Option<OsString>| {
            let environment = move |name: &str| match name {
                CERT_FILE => cert_file.clone(),
                _ => cert_dir.clone(),
            };
            RootStore::from_environment(&environment, || platform::Store {
                file: Some(bundle.clone()),
                folders: vec![scratch.path().join("gone")],
                ..platform::Store::default()
            })
        };

        let rows = [
            (None, None, &["CN=platform"][..]),
            (Some("".into()), Some("".into()), &["CN=platform"]),
            (Some(file.clone().into()), None, &["CN=a"]),
            (None, Some(list.clone()), &["CN=b", "CN=c"]),
            (Some("".into()), Some(list.clone()), &["CN=b", "CN=c"]),
            (
                Some(file.clone().into()),
                Some(list),
                &["CN=a", "CN=b", "CN=c"],
            ),
        ];
        for (cert_file, cert_dir, expected) in rows {
            let store = load(cert_file.clone(), cert_dir.clone()).unwrap();
            assert_eq!(subjects(&store), expected, "{cert_file:?} {cert_dir:?}");
        }

        let named = load(Some(file.clone().into()), Some(folders[0].clone().into())).unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(sources(&named)[0], format!("SSL_CERT_FILE={path}"));
        assert!(sources(&named)[1].starts_with("SSL_CERT_DIR="));
        assert!(sources(&named)[1].contains("ca.pem"));
        let skipped = skipped(&load(None, None).unwrap());
        assert!(
            skipped[0].contains("bundle.pem: entry 1 (line 1): "),
            "{skipped:?}"
        );
        assert!(
            skipped[1].contains("gone: there is nothing at this path"),
            "{skipped:?}"
        );

        let empty = scratch.file("empty.pem", "");
        let hollow = scratch.path().join("hollow");
        fs::create_dir(&hollow).unwrap();
        let both = std::env::join_paths([&folders[0], &hollow]).unwrap();
        let refusals = [
            (
                Some("/nowhere/ca.pem".into()),
                None,
                "from SSL_CERT_FILE=/nowhere/ca.pem: there is nothing",
            ),
            (Some(empty.into()), None, "empty.pem: it is empty"),
            (Some(hollow.into()), None, "SSL_CERT_DIR"),
            (
                Some(file.into()),
                Some("/nowhere".into()),
                "from SSL_CERT_DIR=/nowhere: there is nothing",
            ),
            (None, Some(both), "hollow: the folder is empty"),
        ];
        for (cert_file, cert_dir, expected) in refusals {
            let message = refusal(load(cert_file, cert_dir));
            assert!(message.contains(expected), "{message}");
            assert!(message.contains("SSL_CERT_"), "{message}");
        }
    }

    #[test]
    fn a_platform_without_roots_is_an_error_that_helps() {
        let message = refusal(RootStore::from_environment(
            &|_| None,
            platform::Store::default,
        ));
        for word in [
            "ca-certificates",
            "SSL_CERT_FILE",
            "RootStore::add_pem_file",
        ] {
            assert!(message.contains(word), "{message}");
        }
        let failing = || platform::Store {
            failures: vec!["no keychain".to_owned()],
            ..platform::Store::default()
        };
        let message = refusal(RootStore::from_environment(&|_| None, failing));
        assert!(
            message.ends_with("(1 skipped, of which the first: platform: no keychain)"),
            "{message}"
        );
    }

    #[test]
    fn certificates_of_a_store_without_files_are_the_platforms() {
        let a = ca("a");
        let certificates = vec![a.der.into(), vec![0x30, 0].into()];
        let store = platform::Store {
            certificates,
            ..platform::Store::default()
        };
        let store = RootStore::from_environment(&|_| None, || store).unwrap();
        assert_eq!(sources(&store), ["platform"]);
        assert!(skipped(&store)[0].starts_with("platform: the certificate cannot serve"));
    }

    #[test]
    fn a_good_load_is_kept_and_a_failure_is_not() {
        let cache = Mutex::new(None);
        let failure = || Err(Error::new(ErrorKind::Config, "not now"));
        assert!(once(&cache, failure).is_err());
        let first = once(&cache, || RootStore::empty().add_pem(ca("a").pem)).unwrap();
        let second = once(&cache, failure).unwrap();
        assert!(Arc::ptr_eq(&first.0, &second.0));
    }

    #[cfg(feature = "mozilla-roots")]
    #[test]
    fn every_root_of_mozilla_is_usable() {
        let store = RootStore::mozilla();
        assert_eq!(store.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert_eq!(store.skipped(), []);
        assert_eq!(store.0.trusted.len(), store.len());
        assert_eq!(sources(&store)[0], "mozilla");
    }
}
