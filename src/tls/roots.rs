//! Where trust comes from: the CA certificates we take as anchors, each with its source, and what was skipped.
//!
//! What somebody named (a path, a variable, bytes) must be usable: a mistake there is an error, because a store that is
//! silently smaller than meant fails later and elsewhere. What nobody named one by one (the files of a folder, the
//! platform's own) is taken as far as it can be used, and the rest is listed in [`RootStore::skipped`].

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};

use super::certificate::{Anchor, Certificate};
use super::fault::{Fault, Problem};
use super::platform::{self, CERT_DIR, CERT_FILE, Named};
use super::sources::{self, Entry, Item, Source, path_name};
use crate::error::{Error, ErrorKind};

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
/// The same certificate added twice is one anchor, and keeps its first source. A certificate that decodes but cannot
/// serve as an anchor is skipped if there are usable ones beside it, and an error if there are none. The dates of an
/// anchor are not looked at.
#[derive(Clone)]
pub struct RootStore(Arc<Held>);

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
    /// An empty variable counts as unset, with a warning in the log. The first success is kept for the life of the
    /// process, so a later change of the variables or of the platform's store is not seen; a failure is not kept. This
    /// reads files: within async code, call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if what a variable names is missing, unreadable, empty or broken, or if no anchor was found.
    pub fn native() -> Result<Self, Error> {
        static LOADED: Mutex<Option<RootStore>> = Mutex::new(None);

        // The lock is held while loading, so that callers who come together load once.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*loaded {
            return Ok(store.clone());
        }
        let store = Self::from_environment(&|name| std::env::var_os(name), platform::store)?;
        tracing::debug!(
            anchors = store.len(),
            skipped = store.skipped().len(),
            "root store loaded"
        );
        Ok(loaded.insert(store).clone())
    }

    /// Mozilla's list of CAs for servers, as compiled in with the crate `webpki-root-certs`.
    ///
    /// It is as new as the build. Constraints that Mozilla imposes on a CA from outside its certificate do not apply.
    #[cfg(feature = "mozilla-roots")]
    pub fn mozilla() -> Self {
        let mut held = Held::default();
        let source = "mozilla".into();
        for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            if let Err(problem) = held.insert(&source, der.clone()) {
                held.skip(Fault::of(&source, problem));
            }
        }
        Self(Arc::new(held))
    }

    /// Adds the CA certificates of a PEM text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the entry, if one is broken, is a private key or is in OpenSSL's TRUSTED CERTIFICATE
    /// form, or if none is a usable CA certificate.
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
        self.add(Source::file(path_name(path), path))
    }

    /// Adds the CA certificates of all PEM files in a folder, in the order of their names; not of its subfolders.
    ///
    /// Files that cannot be used, or of which entries cannot, are listed in [`skipped`](Self::skipped).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the folder is missing, unreadable or empty, or if nothing in it is a usable CA certificate.
    pub fn add_pem_dir(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let held = Arc::make_mut(&mut self.0);
        held.add_folder(path.as_ref(), path_name)
            .map_err(unreadable)?;
        Ok(self)
    }

    /// Adds the CA certificates of a PEM text of at most 16 MiB, read to its end.
    ///
    /// # Errors
    ///
    /// As [`add_pem`](Self::add_pem), and if reading fails.
    pub fn add_pem_reader(self, reader: impl Read) -> Result<Self, Error> {
        self.add(Source::reader(reader))
    }

    /// Adds one CA certificate in DER.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the bytes are not one certificate that can serve as an anchor.
    pub fn add_der(mut self, der: impl AsRef<[u8]>) -> Result<Self, Error> {
        let held = Arc::make_mut(&mut self.0);
        held.add_der(&Source::bytes(der.as_ref()))
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
        let held = Arc::make_mut(&mut self.0);
        let added = Source::file(path_name(path), path).and_then(|source| held.add_der(&source));
        added.map_err(unreadable)?;
        Ok(self)
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.0.anchors.len()
    }

    /// Whether there is no anchor, so that nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.0.anchors.is_empty()
    }

    /// The anchors, in the order in which they were added.
    pub fn anchors(&self) -> impl ExactSizeIterator<Item = &Anchor> {
        self.0.anchors.iter()
    }

    /// What was found but not used, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.0.skipped
    }

    /// The anchors as webpki takes them, in the same order.
    pub(crate) fn trust_anchors(&self) -> &[TrustAnchor<'static>] {
        &self.0.trusted
    }

    /// The anchor that stands behind an element of [`trust_anchors`](Self::trust_anchors), told by its address: renewed
    /// roots share name and key, so those do not tell which it was.
    pub(crate) fn anchor_of(&self, trusted: &TrustAnchor<'_>) -> Option<&Anchor> {
        let index = self
            .0
            .trusted
            .iter()
            .position(|ours| std::ptr::eq(ours, trusted))?;
        self.0.anchors.get(index)
    }

    /// A source that was named: nothing in it may be broken.
    fn add(mut self, source: Result<Source, Fault>) -> Result<Self, Error> {
        let held = Arc::make_mut(&mut self.0);
        source
            .and_then(|source| held.add_named(&source))
            .map_err(unreadable)?;
        Ok(self)
    }

    fn from_environment(
        environment: &dyn Fn(&str) -> Option<OsString>,
        platform: impl FnOnce() -> platform::Store,
    ) -> Result<Self, Error> {
        let named = Named::by(environment);
        for variable in &named.empty {
            tracing::warn!("{variable} is set but empty, which counts as unset");
        }
        let mut held = Held::default();
        if named.is_nothing() {
            held.add_platform(platform());
            if held.anchors.is_empty() {
                return Err(nothing_found(&held.skipped));
            }
        }
        if let Some(path) = &named.file {
            let source = Source::file(variable_name(CERT_FILE, path), path);
            source
                .and_then(|source| held.add_named(&source))
                .map_err(unreadable)?;
        }
        for path in &named.folders {
            held.add_folder(path, |path| variable_name(CERT_DIR, path))
                .map_err(unreadable)?;
        }
        Ok(Self(Arc::new(held)))
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

/// Something that was found where roots were looked for, and was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    source: Arc<str>,
    reason: String,
}

impl Skipped {
    /// Where it was found: a path, or `platform`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Why it was not used, and which entry if there are several.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

/// What a store holds. An anchor and its form for webpki have the same index.
#[derive(Clone, Default)]
struct Held {
    anchors: Vec<Anchor>,
    trusted: Vec<TrustAnchor<'static>>,
    known: HashSet<CertificateDer<'static>>,
    skipped: Vec<Skipped>,
}

impl Held {
    fn add_named(&mut self, source: &Source) -> Result<(), Fault> {
        let (usable, faults) = self.add_entries(source);
        for fault in faults {
            if usable == 0 || !is_harmless(fault.problem()) {
                return Err(fault);
            }
            self.skip(fault);
        }
        Ok(())
    }

    fn add_der(&mut self, source: &Source) -> Result<(), Fault> {
        let der = source.der()?;
        if PrivateKeyDer::try_from(der).is_ok() {
            return Err(source.fault(Problem::KeyForCa));
        }
        let added = self.insert(source.name(), CertificateDer::from(der.to_vec()));
        added.map_err(|problem| source.fault(problem))
    }

    /// A folder's files, so far as they can be used. The name of what is read is made from its path.
    fn add_folder(&mut self, path: &Path, name: impl Fn(&Path) -> Arc<str>) -> Result<(), Fault> {
        let folder = name(path);
        let mut usable = 0;
        let mut faults = Vec::new();
        for member in sources::folder(&folder, path)? {
            match Source::member(name(&member), &member) {
                Ok(source) => {
                    let (more, broken) = self.add_entries(&source);
                    usable += more;
                    faults.extend(broken);
                }
                Err(fault) => faults.push(fault),
            }
        }
        match faults.first() {
            Some(first) if usable == 0 => {
                let first = format!("{}: {}", first.source(), first.reason());
                let skipped = faults.len();
                Err(Fault::of(
                    &folder,
                    Problem::NoUsableMember { skipped, first },
                ))
            }
            _ => {
                faults.into_iter().for_each(|fault| self.skip(fault));
                Ok(())
            }
        }
    }

    /// Adds what is usable; says how much that was, and what the rest is.
    fn add_entries(&mut self, source: &Source) -> (usize, Vec<Fault>) {
        let mut usable = 0;
        let mut faults = Vec::new();
        for entry in source.entries() {
            let added = entry.and_then(|Entry { position, item }| {
                let added = match item {
                    Item::Certificate(der) => self.insert(source.name(), der),
                    Item::PrivateKey(_) | Item::EncryptedKey => Err(Problem::KeyForCa),
                    Item::Other(label) if label.ends_with("PRIVATE KEY") => Err(Problem::KeyForCa),
                    Item::Other(label) if label == "TRUSTED CERTIFICATE" => {
                        Err(Problem::TrustedCertificate)
                    }
                    Item::Other(label) => Err(Problem::NotCertificate(label)),
                };
                added.map_err(|problem| source.fault(problem).at(position))
            });
            match added {
                Ok(()) => usable += 1,
                Err(fault) => faults.push(fault),
            }
        }
        (usable, faults)
    }

    fn insert(&mut self, source: &Arc<str>, der: CertificateDer<'static>) -> Result<(), Problem> {
        if self.known.contains(&der) {
            return Ok(());
        }
        let trusted = webpki::anchor_from_trusted_cert(&der)
            .map_err(|error| Problem::NotAnAnchor(error.to_string()))?
            .to_owned();
        let certificate = Certificate::read(der.clone())
            .map_err(|error| Problem::NotAnAnchor(error.to_string()))?;
        self.known.insert(der);
        self.trusted.push(trusted);
        self.anchors.push(Anchor::new(certificate, source.clone()));
        Ok(())
    }

    fn add_platform(&mut self, store: platform::Store) {
        if let Some(path) = store.file {
            let faults = match Source::file(path_name(&path), &path) {
                Ok(source) => self.add_entries(&source).1,
                Err(fault) => vec![fault],
            };
            faults.into_iter().for_each(|fault| self.skip(fault));
        }
        for path in store.folders {
            if let Err(fault) = self.add_folder(&path, path_name) {
                self.skip(fault);
            }
        }
        let source: Arc<str> = "platform".into();
        for der in store.certificates {
            if let Err(problem) = self.insert(&source, der) {
                self.skip(Fault::of(&source, problem));
            }
        }
        self.skipped
            .extend(store.failures.into_iter().map(|reason| Skipped {
                source: source.clone(),
                reason,
            }));
    }

    fn skip(&mut self, fault: Fault) {
        self.skipped.push(Skipped {
            source: fault.source().clone(),
            reason: fault.reason(),
        });
    }
}

/// Whether a source is sound although an entry of it is of no use to us.
fn is_harmless(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::NotCertificate(_) | Problem::NotAnAnchor(_)
    )
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
