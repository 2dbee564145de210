//! What can be wrong with a source of certificates, keys or CRLs, in words: where, what, and what to do
//! about it. Pure.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// Why a source, or one entry of it, cannot be used.
#[derive(Debug)]
pub(crate) struct Fault {
    source: Arc<str>,
    position: Option<Position>,
    problem: Problem,
}

impl Fault {
    pub(crate) fn of(source: &Arc<str>, problem: Problem) -> Self {
        Self {
            source: source.clone(),
            position: None,
            problem,
        }
    }

    pub(crate) fn at(self, position: Position) -> Self {
        Self {
            position: Some(position),
            ..self
        }
    }

    pub(crate) fn source(&self) -> &Arc<str> {
        &self.source
    }

    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The whole reason in one line, without the source.
    pub(crate) fn reason(&self) -> String {
        let place = self.place();
        match &self.problem {
            Problem::Unreadable(cause) => format!("{place}{}: {cause}", self.problem),
            problem => format!("{place}{problem}"),
        }
    }

    /// The error for a caller who wanted `what`, such as "CA certificates".
    pub(crate) fn into_error(self, what: &str) -> Error {
        let place = self.place();
        let message = format!(
            "cannot read {what} from {}: {place}{}",
            self.source, self.problem
        );
        let error = Error::new(ErrorKind::Config, message);
        match self.problem {
            Problem::Unreadable(cause) => error.with_source(cause),
            _ => error,
        }
    }

    fn place(&self) -> String {
        self.position
            .map(|position| format!("{position}: "))
            .unwrap_or_default()
    }
}

/// Something that was found where roots or CRLs were looked for, and was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    source: Arc<str>,
    reason: String,
}

impl Skipped {
    pub(crate) fn new(source: &Arc<str>, reason: String) -> Self {
        Self {
            source: source.clone(),
            reason,
        }
    }

    /// Where it was found: a path, or `platform`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Why it was not used, and which entry if there are several.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<Fault> for Skipped {
    fn from(fault: Fault) -> Self {
        Self::new(fault.source(), fault.reason())
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

/// Where an entry stands, counted from 1. DER has no lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) entry: usize,
    pub(crate) line: Option<usize>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "entry {} (line {line})", self.entry),
            None => write!(f, "entry {}", self.entry),
        }
    }
}

/// All that can be wrong with a source or an entry. None carries a byte of what was read but a
/// label.
#[derive(Debug)]
pub(crate) enum Problem {
    // with the place
    Missing,
    TextForPath,
    IsFolder,
    IsFile,
    EmptyFolder,
    NotRegular,
    DanglingLink,
    Unreadable(io::Error),
    TooLarge {
        max_mib: u64,
    },
    Empty,
    // with the form
    Utf16,
    NoPem,
    DerForPem,
    PemForDer,
    NotDer,
    Pkcs12,
    BrokenMarker,
    NoBegin,
    NoEnd(String),
    Base64(String),
    // with what it holds
    NotCertificate(String),
    TrustedCertificate,
    Malformed(String),
    NotAnAnchor(String),
    KeyForCa,
    KeyForCertificate,
    SecondEntry,
    NotCrl(String),
    MalformedCrl(String),
    KeyForCrl,
    NoUsableMember {
        wanted: &'static str,
        skipped: usize,
        first: String,
    },
    NoCertificate {
        found: String,
    },
    TooManyCertificates {
        max: usize,
    },
    NotInChain(String),
    NoKey {
        found: String,
    },
    SecondKey,
    EncryptedKey,
    UnsupportedKey(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is nothing at this path; check it"),
            Self::TextForPath => f.write_str(
                "it was given where a path was expected; use the function for text \
                 (add_pem, from_pem, ssl::Pem::reader)",
            ),
            Self::IsFolder => f.write_str(
                "it is a folder and a file was expected; name the file \
                 (for a folder of CAs there are RootStore::add_pem_dir and SSL_CERT_DIR, for one of CRLs CrlStore::add_dir)",
            ),
            Self::IsFile => f.write_str(
                "it is not a folder and one was expected; name the folder \
                 (for a file of CAs there are RootStore::add_pem_file and SSL_CERT_FILE, for one of CRLs CrlStore::add_file)",
            ),
            Self::EmptyFolder => f.write_str("the folder is empty; put PEM files in it or name another"),
            Self::NotRegular => f.write_str("it is not a file; only the files directly in the folder are read"),
            Self::DanglingLink => f.write_str("the link leads nowhere; restore what it names or remove it"),
            Self::Unreadable(_) => f.write_str("reading failed (check the path and its permissions)"),
            Self::TooLarge { max_mib } => write!(
                f,
                "it is larger than {max_mib} MiB, more than what is wanted needs; check that it is the right one",
            ),
            Self::Empty => f.write_str("it is empty; check that it was written whole"),
            Self::Utf16 => f.write_str("it is UTF-16 text; save it as UTF-8"),
            Self::NoPem => f.write_str(
                "no line in it begins with -----BEGIN, so it is not PEM; check that it is the right one",
            ),
            Self::DerForPem => f.write_str(
                "it is DER and PEM was expected; use the function for DER (add_der_file, add_der, from_der), \
                 or convert it by `openssl x509 -inform der -in IN -out OUT` (a CRL by `openssl crl`)",
            ),
            Self::PemForDer => f.write_str(
                "it is PEM and DER was expected; use the function for PEM (add_pem_file, add_pem, from_pem)",
            ),
            Self::NotDer => f.write_str("it is neither DER nor PEM; check that it is the right one"),
            Self::Pkcs12 => f.write_str(
                "it is PKCS #12, which is not read; convert it to PEM by `openssl pkcs12 -in IN -out OUT -nodes`",
            ),
            Self::BrokenMarker => f.write_str(
                "this line is not quite a PEM marker; one is -----BEGIN X----- or -----END X----- \
                 alone on its line (were line breaks lost?)",
            ),
            Self::NoBegin => f.write_str("an END line without its BEGIN; copy the whole entry again"),
            Self::NoEnd(label) => {
                write!(f, "the {label} has no END line of its own; copy the whole entry again")
            }
            Self::Base64(label) => {
                write!(f, "the base64 of the {label} is broken; copy the whole entry again")
            }
            Self::NotCertificate(label) => write!(f, "its label is {label}, not CERTIFICATE"),
            Self::TrustedCertificate => f.write_str(
                "it is a TRUSTED CERTIFICATE, a form of OpenSSL's own whose trust settings would be lost; \
                 convert it by `openssl x509 -in IN -out OUT`",
            ),
            Self::Malformed(reason) => write!(f, "the certificate cannot be used: {reason}"),
            Self::NotAnAnchor(reason) => {
                write!(f, "the certificate cannot serve as a trust anchor: {reason}")
            }
            Self::KeyForCa => f.write_str(
                "it is a private key and a CA certificate was expected; \
                 name the CA's certificate, and keep the key out of there",
            ),
            Self::KeyForCertificate => f.write_str(
                "it is a private key and a certificate was expected; leave only the certificate",
            ),
            Self::SecondEntry => f.write_str(
                "it is a second entry, and one certificate was expected; leave only that \
                 (a bundle is read by RootStore::add_pem, a chain by CertificateDer::pem_slice_iter)",
            ),
            Self::NotCrl(label) => write!(f, "its label is {label}, not X509 CRL"),
            Self::MalformedCrl(reason) => write!(f, "the CRL cannot be used: {reason}"),
            Self::KeyForCrl => f.write_str(
                "it is a private key and a CRL was expected; name the CRL, and keep the key out of there",
            ),
            Self::NoUsableMember { wanted, skipped, first } => write!(
                f,
                "nothing in the folder is a usable {wanted}, {skipped} skipped, of which the first: {first}",
            ),
            Self::NoCertificate { found } => {
                write!(f, "it holds no certificate, but {found}; were certificate and key swapped?")
            }
            Self::TooManyCertificates { max } => write!(
                f,
                "it holds more than {max} certificates; leave only that of the key and its issuers",
            ),
            Self::NotInChain(subject) => write!(
                f,
                "the certificate of {subject} is neither the key's nor that of an issuer; remove it",
            ),
            Self::NoKey { found } => {
                write!(f, "it holds no private key, but {found}; were certificate and key swapped?")
            }
            Self::SecondKey => f.write_str("it is a second private key; leave only the certificate's"),
            Self::EncryptedKey => f.write_str(
                "the private key is encrypted, and no password is asked for; \
                 decrypt it by `openssl pkey -in IN -out OUT` and guard the result",
            ),
            Self::UnsupportedKey(label) => write!(
                f,
                "the {label} is of a kind that is not supported; use an RSA key of 2048 bits or more, \
                 an ECDSA key on P-256, P-384 or P-521, or an Ed25519 key, \
                 as PKCS #8 (`openssl pkcs8 -topk8 -nocrypt -in IN -out OUT`)",
            ),
        }
    }
}
