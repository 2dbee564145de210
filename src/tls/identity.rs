//! Our own certificate chain and key, for servers that ask for one. Held in memory, never printed.
//!
//! What is wrong with them is said when they are read, not when a server refuses them: the key must
//! be that of one of the certificates, and every other certificate must be an issuer of it.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::crypto;
use super::fault::{Fault, Position, Problem};
use super::pem::{Entry, Item};
use super::shown::hex;
use super::sources::{Limit, Source, path_name};
use crate::error::{Error, ErrorKind};

/// A client certificate, the certificates of its issuers, and its private key.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use urlfetch::Identity;
///
/// let identity = Identity::from_pem_files("client.pem", "client.key")?;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone: clones share the key. The certificates may come in any order, and are sent as
/// TLS asks for: the key's certificate, then its issuers. A root among them is sent too, for
/// whether a server has it is known to its owner only. A certificate that belongs neither to the
/// key nor to an issuer is an error, not dropped: it shows that the file is not what it is taken
/// for, and to send it would tell strangers of it.
///
/// Keys: RSA from 2048 bits, ECDSA on P-256, P-384 and P-521, Ed25519; as PKCS #8, PKCS #1 or SEC
/// 1. Whether the certificate is within its dates is for the server to judge.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    certificate: Certificate,
}

impl Identity {
    /// Reads certificates and key from PEM texts. One text that holds both may be given twice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming which of the two it is and which entry, if a text is empty,
    /// broken or not PEM, if there is no certificate, or not exactly one key, if the key is
    /// encrypted or of an unsupported kind, or if certificates and key do not belong together.
    pub fn from_pem(cert_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::from_sources(
            Ok(Source::bytes(cert_pem.as_ref())),
            Some(Ok(Source::bytes(key_pem.as_ref()))),
        )
    }

    /// Reads certificates and key from PEM files, which may be the same file.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and if a file is missing, unreadable or larger than 16 MiB.
    pub fn from_pem_files(
        cert_path: impl AsRef<Path>,
        key_path: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let open = |path: &Path| Source::file(path_name(path), path, Limit::CERTIFICATES);
        Self::from_sources(open(cert_path.as_ref()), Some(open(key_path.as_ref())))
    }

    /// Reads certificates and key from PEM texts, each read to its end.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and if reading fails or there are more than 16 MiB.
    pub fn from_pem_readers(cert_reader: impl Read, key_reader: impl Read) -> Result<Self, Error> {
        Self::from_sources(
            Source::reader(cert_reader, Limit::CERTIFICATES),
            Some(Source::reader(key_reader, Limit::CERTIFICATES)),
        )
    }

    /// Takes certificates and key in DER. Whether the key is PKCS #8, PKCS #1 or SEC 1 is found
    /// out.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(
        chain: impl IntoIterator<Item = impl AsRef<[u8]>>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, Error> {
        let chain = Chain::from_der(chain).map_err(no_certificate)?;
        let key = Key::from_der(&Source::bytes(key.as_ref())).map_err(no_key)?;
        Self::assemble(chain, key, &crypto::provider())
    }

    /// The certificate that stands for us: the one of the key.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Without a source of its own, the key is with the certificates.
    pub(crate) fn from_sources(
        certs: Result<Source, Fault>,
        key: Option<Result<Source, Fault>>,
    ) -> Result<Self, Error> {
        let certs = certs.map_err(no_certificate)?;
        let chain = Chain::from_pem(&certs).map_err(no_certificate)?;
        let key = match key {
            Some(key) => key.and_then(|key| Key::from_pem(&key)),
            None => Key::from_pem(&certs),
        };
        Self::assemble(chain, key.map_err(no_key)?, &crypto::provider())
    }

    /// Chain and key as rustls takes them.
    pub(crate) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    fn assemble(mut chain: Chain, key: Key, provider: &CryptoProvider) -> Result<Self, Error> {
        let signing_key = provider
            .key_provider
            .load_private_key(key.der)
            .map_err(|error| {
                let problem = Problem::UnsupportedKey("private key".to_owned());
                no_key(Fault::of(&key.source, problem)).with_source(error)
            })?;
        let Some(certificate) = chain.take_leaf(signing_key.public_key().as_deref()) else {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the private key from {} belongs to no certificate from {}; give the certificate that was issued for it",
                    key.source, chain.source,
                ),
            ));
        };
        let certificates = chain
            .in_order(certificate.clone())
            .map_err(no_certificate)?;
        let ders = certificates
            .iter()
            .map(|certificate| certificate.certificate_der().clone());
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(ders.collect(), signing_key)),
            certificate,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("subject", &self.certificate.subject())
            .field("sha256", &hex(&self.certificate.sha256()))
            .finish_non_exhaustive()
    }
}

/// The certificates as they were given.
struct Chain {
    source: Arc<str>,
    links: Vec<Link>,
}

struct Link {
    position: Position,
    certificate: Certificate,
}

impl Chain {
    fn from_pem(source: &Source) -> Result<Self, Fault> {
        let mut chain = Self {
            source: source.name().clone(),
            links: Vec::new(),
        };
        let mut other = None;
        for entry in source.entries() {
            let Entry { position, item } = entry?;
            match item {
                Item::Certificate(der) => chain.push(position, der)?,
                // One file may hold both.
                Item::PrivateKey(_) | Item::EncryptedKey => {
                    other = Some("a private key".to_owned())
                }
                Item::Other(label) if label == "TRUSTED CERTIFICATE" => {
                    return Err(source.fault(Problem::TrustedCertificate).at(position));
                }
                Item::Crl(_) => other = Some("a CRL".to_owned()),
                Item::Other(label) => other = Some(format!("a {label}")),
            }
        }
        match other {
            Some(found) if chain.links.is_empty() => {
                Err(source.fault(Problem::NoCertificate { found }))
            }
            _ => Ok(chain),
        }
    }

    fn from_der(ders: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, Fault> {
        let mut chain = Self {
            source: "bytes".into(),
            links: Vec::new(),
        };
        for (index, der) in ders.into_iter().enumerate() {
            let position = Position {
                entry: index + 1,
                line: None,
            };
            let source = Source::bytes(der.as_ref());
            let der = source.der().map_err(|fault| fault.at(position))?;
            if PrivateKeyDer::try_from(der).is_ok() {
                let found = "a private key".to_owned();
                return Err(source.fault(Problem::NoCertificate { found }).at(position));
            }
            chain.push(position, CertificateDer::from(der.to_vec()))?;
        }
        if chain.links.is_empty() {
            return Err(Fault::of(&chain.source, Problem::Empty));
        }
        Ok(chain)
    }

    /// One that is there twice is taken once.
    fn push(&mut self, position: Position, der: CertificateDer<'static>) -> Result<(), Fault> {
        let fault = |problem| Fault::of(&self.source, problem).at(position);
        if self.links.len() == MAX_CERTIFICATES {
            return Err(fault(Problem::TooManyCertificates {
                max: MAX_CERTIFICATES,
            }));
        }
        let certificate =
            Certificate::read(der).map_err(|error| fault(Problem::Malformed(error.to_string())))?;
        if self
            .links
            .iter()
            .all(|link| link.certificate != certificate)
        {
            self.links.push(Link {
                position,
                certificate,
            });
        }
        Ok(())
    }

    /// The first certificate of this key. Both of our providers tell the public key; one that did
    /// not would leave nothing to compare, and the first certificate be it.
    fn take_leaf(&mut self, spki: Option<&[u8]>) -> Option<Certificate> {
        let is_leaf = |link: &Link| spki.is_none_or(|spki| link.certificate.spki_der() == spki);
        let index = self.links.iter().position(is_leaf)?;
        Some(self.links.remove(index).certificate)
    }

    /// The leaf, its issuers, their issuers and so on, which is the order that RFC 5246 §7.4.2
    /// demands and RFC 8446 §4.4.2 advises. The bytes of the names are compared, for RFC 5280
    /// §4.1.2.6 makes issuers write their own name one way.
    fn in_order(self, leaf: Certificate) -> Result<Vec<Certificate>, Fault> {
        let mut ordered = vec![leaf];
        let mut rest = self.links;
        let mut next = 0;
        while let Some(certificate) = ordered.get(next).cloned() {
            let issued = |link: &Link| link.certificate.subject_der() == certificate.issuer_der();
            let (issuers, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(issued);
            ordered.extend(issuers.into_iter().map(|link| link.certificate));
            rest = others;
            next += 1;
        }
        match rest.first() {
            Some(Link {
                position,
                certificate,
            }) => {
                let stray = Problem::NotInChain(certificate.subject());
                Err(Fault::of(&self.source, stray).at(*position))
            }
            None => Ok(ordered),
        }
    }
}

/// The private key as it was given.
struct Key {
    source: Arc<str>,
    der: PrivateKeyDer<'static>,
}

impl Key {
    fn from_pem(source: &Source) -> Result<Self, Fault> {
        let mut key = None;
        let mut other = "nothing".to_owned();
        for entry in source.entries() {
            let Entry { position, item } = entry?;
            let fault = |problem| source.fault(problem).at(position);
            match item {
                Item::PrivateKey(_) if key.is_some() => return Err(fault(Problem::SecondKey)),
                Item::PrivateKey(der) => key = Some(der),
                Item::EncryptedKey => return Err(fault(Problem::EncryptedKey)),
                Item::Other(label) if label.ends_with("PRIVATE KEY") => {
                    return Err(fault(Problem::UnsupportedKey(label)));
                }
                // One file may hold both, and `openssl ecparam -genkey` writes EC PARAMETERS before
                // the key.
                Item::Certificate(_) => other = "a certificate".to_owned(),
                Item::Crl(_) => other = "a CRL".to_owned(),
                Item::Other(label) => other = format!("a {label}"),
            }
        }
        match key {
            Some(der) => Ok(Self {
                source: source.name().clone(),
                der,
            }),
            None => Err(source.fault(Problem::NoKey { found: other })),
        }
    }

    fn from_der(source: &Source) -> Result<Self, Fault> {
        let der = source.der()?;
        if Certificate::from_der(der).is_ok() {
            let found = "a certificate".to_owned();
            return Err(source.fault(Problem::NoKey { found }));
        }
        match PrivateKeyDer::try_from(der) {
            Ok(key) => Ok(Self {
                source: source.name().clone(),
                der: key.clone_key(),
            }),
            Err(_) => Err(source.fault(Problem::UnsupportedKey("private key".to_owned()))),
        }
    }
}

fn no_certificate(fault: Fault) -> Error {
    fault.into_error("the client certificate")
}

fn no_key(fault: Fault) -> Error {
    fault.into_error("the private key")
}

/// A leaf and the 6 intermediates that webpki follows at most, and as many again for issuers that
/// were cross-signed.
const MAX_CERTIFICATES: usize = 14;

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::super::sources::scratch::Scratch;
    use super::*;

    const SEC1_KEY: &str = include_str!("../../fixtures/ec-sec1.key");
    const SEC1_CERTIFICATE: &str = include_str!("../../fixtures/ec-sec1.pem");
    const PKCS1_KEY: &str = include_str!("../../fixtures/rsa-pkcs1.key");
    const PKCS1_CERTIFICATE: &str = include_str!("../../fixtures/rsa-pkcs1.pem");

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority(
        name: &str,
        parent: Option<&CertifiedIssuer<'static, KeyPair>>,
    ) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        match parent {
            None => CertifiedIssuer::self_signed(params, key).unwrap(),
            Some(parent) => CertifiedIssuer::signed_by(params, key, parent).unwrap(),
        }
    }

    /// root, two intermediates, a leaf and its key
    struct Pki {
        root: String,
        upper: String,
        lower: String,
        leaf: String,
        leaf_der: Vec<u8>,
        lower_der: Vec<u8>,
        key: KeyPair,
    }

    fn pki() -> Pki {
        let root = authority("root", None);
        let upper = authority("upper", Some(&root));
        let lower = authority("lower", Some(&upper));
        let key = KeyPair::generate().unwrap();
        let leaf = params("leaf").signed_by(&key, &lower).unwrap();
        Pki {
            root: root.pem(),
            upper: upper.pem(),
            lower: lower.pem(),
            leaf: leaf.pem(),
            leaf_der: leaf.der().to_vec(),
            lower_der: lower.der().to_vec(),
            key,
        }
    }

    fn subjects(identity: &Identity) -> Vec<String> {
        let chain = identity.certified_key().cert.iter();
        chain
            .map(|der| Certificate::from_der(der).unwrap().subject())
            .collect()
    }

    #[test]
    fn the_chain_is_put_in_order() {
        let Pki {
            root,
            upper,
            lower,
            leaf,
            key,
            ..
        } = pki();
        let key = key.serialize_pem();
        let cases: &[(&[&str], &[&str])] = &[
            (&[&leaf], &["CN=leaf"]),
            (
                &[&leaf, &lower, &upper, &root],
                &["CN=leaf", "CN=lower", "CN=upper", "CN=root"],
            ),
            (
                &[&root, &upper, &lower, &leaf],
                &["CN=leaf", "CN=lower", "CN=upper", "CN=root"],
            ),
            (
                &[&upper, &leaf, &lower],
                &["CN=leaf", "CN=lower", "CN=upper"],
            ),
            (&[&leaf, &lower, &leaf, &lower], &["CN=leaf", "CN=lower"]),
            (&["text", &lower, &key, &leaf], &["CN=leaf", "CN=lower"]),
        ];
        for (pem, expected) in cases {
            let identity = Identity::from_pem(pem.join("\n"), &key).unwrap();
            assert_eq!(subjects(&identity), *expected);
            assert_eq!(identity.certificate().subject(), "CN=leaf");
            identity.certified_key().keys_match().unwrap();
        }
    }

    #[test]
    fn every_door_and_every_form_of_key() {
        let scratch = Scratch::new();
        let Pki {
            lower,
            leaf,
            leaf_der,
            lower_der,
            key,
            ..
        } = pki();
        let combined = format!("{}{leaf}{lower}", key.serialize_pem());
        let file = scratch.file("both.pem", &combined);
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let own = params("ed25519").self_signed(&ed25519).unwrap();
        let der = |pem: &str| match Source::bytes(pem.as_bytes()).entries().last() {
            Some(Ok(Entry {
                item: Item::Certificate(der),
                ..
            })) => der.to_vec(),
            Some(Ok(Entry {
                item: Item::PrivateKey(der),
                ..
            })) => der.secret_der().to_vec(),
            _ => panic!("neither certificate nor key"),
        };
        let identities = [
            (Identity::from_pem(&combined, &combined), "CN=leaf"),
            (Identity::from_pem_files(&file, &file), "CN=leaf"),
            (
                Identity::from_pem_readers(combined.as_bytes(), combined.as_bytes()),
                "CN=leaf",
            ),
            (
                Identity::from_der([&lower_der, &leaf_der], key.serialize_der()),
                "CN=leaf",
            ),
            (
                Identity::from_pem(own.pem(), ed25519.serialize_pem()),
                "CN=ed25519",
            ),
            (Identity::from_pem(SEC1_CERTIFICATE, SEC1_KEY), "CN=sec1"),
            (Identity::from_pem(PKCS1_CERTIFICATE, PKCS1_KEY), "CN=pkcs1"),
            (
                Identity::from_der([der(SEC1_CERTIFICATE)], der(SEC1_KEY)),
                "CN=sec1",
            ),
            (
                Identity::from_der([der(PKCS1_CERTIFICATE)], der(PKCS1_KEY)),
                "CN=pkcs1",
            ),
        ];
        for (identity, subject) in identities {
            let identity = identity.unwrap();
            assert_eq!(identity.certificate().subject(), subject);
            identity.certified_key().keys_match().unwrap();
        }
    }

    #[test]
    fn every_mistake_is_told_and_no_key_with_it() {
        let scratch = Scratch::new();
        let Pki {
            leaf,
            lower,
            leaf_der,
            key,
            ..
        } = pki();
        let stranger = params("stranger")
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem();
        let (key, key_der) = (key.serialize_pem(), key.serialize_der());
        let many: String = (0..15).map(|_| pki().leaf).collect();
        let file = scratch.file("leaf.pem", &leaf);
        let missing = scratch.path().join("missing.key");
        let none: [&[u8]; 0] = [];
        let as_kind = |kind: &str| key.replace("PRIVATE KEY", kind);

        let certificate = "cannot read the client certificate from ";
        let private_key = "cannot read the private key from ";
        let pem = |certs: &str, key: &str| Identity::from_pem(certs, key);
        let cases = [
            (pem("", &key), certificate, "bytes: it is empty"),
            (
                pem("hello", &key),
                certificate,
                "bytes: no line in it begins with -----BEGIN",
            ),
            (
                pem(&key, &key),
                certificate,
                "bytes: it holds no certificate, but a private key; were",
            ),
            (
                pem(&as_kind("PUBLIC KEY"), &key),
                certificate,
                "it holds no certificate, but a PUBLIC KEY",
            ),
            (
                pem(&leaf.replace("MI", "M!"), &key),
                certificate,
                "entry 1 (line 1): the base64 of the CERTIFICATE is",
            ),
            (
                pem(&leaf.replace("CERT", "TRUSTED CERT"), &key),
                certificate,
                "it is a TRUSTED CERTIFICATE",
            ),
            (
                pem(&many, &key),
                certificate,
                "it holds more than 14 certificates",
            ),
            (
                pem(&(leaf.clone() + &stranger), &key),
                certificate,
                "the certificate of CN=stranger is neither the key's",
            ),
            (
                pem(&key.replace("PRIVATE KEY", "CERTIFICATE"), &key),
                certificate,
                "the certificate cannot be used: ",
            ),
            (pem(&leaf, ""), private_key, "bytes: it is empty"),
            (
                pem(&leaf, &leaf),
                private_key,
                "bytes: it holds no private key, but a certificate; were",
            ),
            (
                pem(&leaf, &as_kind("PUBLIC KEY")),
                private_key,
                "it holds no private key, but a PUBLIC KEY",
            ),
            (
                pem(&leaf, &(key.clone() + &key)),
                private_key,
                "entry 2 (line 6): it is a second private key",
            ),
            (
                pem(&leaf, &as_kind("ENCRYPTED PRIVATE KEY")),
                private_key,
                "`openssl pkey -in IN -out OUT`",
            ),
            (
                pem(&leaf, &as_kind("OPENSSH PRIVATE KEY")),
                private_key,
                "the OPENSSH PRIVATE KEY is of a kind that is not",
            ),
            (
                pem(&leaf, &as_kind("RSA PRIVATE KEY")),
                private_key,
                "the private key is of a kind that is not supported",
            ),
            (
                pem(&leaf, &key.replace('\n', "")),
                private_key,
                "(were line breaks lost?)",
            ),
            (
                pem(&leaf, &key.replace("MI", "M!")),
                private_key,
                "the base64 of the PRIVATE KEY is broken",
            ),
            (
                pem(&lower, &key),
                "the private key from bytes",
                " belongs to no certificate from bytes; ",
            ),
            (
                Identity::from_pem_files(&file, &missing),
                private_key,
                "missing.key: there is nothing at this path",
            ),
            (
                Identity::from_pem_files(&missing, &file),
                certificate,
                "missing.key: there is nothing at this path",
            ),
            (
                Identity::from_pem_readers(leaf.as_bytes(), &b""[..]),
                private_key,
                "reader: it is empty",
            ),
            (
                Identity::from_der(none, &key_der),
                certificate,
                "bytes: it is empty",
            ),
            (
                Identity::from_der([&key_der], &key_der),
                certificate,
                "entry 1: it holds no certificate, but a private key",
            ),
            (
                Identity::from_der([&leaf], &key_der),
                certificate,
                "entry 1: it is PEM and DER was expected",
            ),
            (
                Identity::from_der([&leaf_der], &leaf_der),
                private_key,
                "it holds no private key, but a certificate",
            ),
            (
                Identity::from_der([&leaf_der], &key),
                private_key,
                "it is PEM and DER was expected",
            ),
            (
                Identity::from_der([&leaf_der], [0x30, 0]),
                private_key,
                "is of a kind that is not supported",
            ),
        ];
        let secret = key.lines().nth(1).unwrap();
        for (result, beginning, expected) in cases {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(
                message.starts_with(beginning) && message.contains(expected),
                "{message}"
            );
            assert!(
                !format!("{error:?}").contains(secret) && !message.contains(secret),
                "{message}"
            );
        }
    }

    #[test]
    fn debug_shows_who_and_nothing_secret() {
        let Pki { leaf, key, .. } = pki();
        let identity = Identity::from_pem(leaf, key.serialize_pem()).unwrap();
        let sha256 = hex(&identity.certificate().sha256());
        assert_eq!(
            format!("{identity:?}"),
            format!("Identity {{ subject: \"CN=leaf\", sha256: {sha256:?}, .. }}")
        );
    }
}
