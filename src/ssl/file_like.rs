//! Where certificates and keys are taken from in Python's way: a file's name, or what can be read.

use std::fmt;
use std::io::Read;
use std::path::Path;

use crate::tls::fault::Fault;
use crate::tls::sources::{Limit, Source, path_name};

/// PEM text, of at most 16 MiB: by the name of its file, or from what App Engine called a
/// "file-like" object.
///
/// As in Python, a string is the name of a file. Text in memory is read by
/// [`reader`](Self::reader); where it is given for a name, the error says so without it. Either is
/// read at once, and a failure told where the text is used: within async code, make it where
/// blocking is allowed.
///
/// ```no_run
/// # fn main() -> urlfetch::Result<()> {
/// use urlfetch::ssl::{self, Pem};
///
/// # let (cert, key) = ("", "");
/// let context = ssl::create_default_context()
///     .load_cert_chain(Pem::reader(cert.as_bytes()), Some(Pem::reader(key.as_bytes())))?;
/// let context = ssl::create_default_context()
///     .load_cert_chain("client.pem", Some("client.key".into()))?;
/// # Ok(())
/// # }
/// ```
pub struct Pem(Result<Source, Fault>);

impl Pem {
    /// The text that this reads to its end.
    #[doc(alias = "StringIO")]
    #[doc(alias = "file-like")]
    pub fn reader(reader: impl Read) -> Self {
        Self(Source::reader(reader, Limit::CERTIFICATES))
    }

    pub(super) fn source(self) -> Result<Source, Fault> {
        self.0
    }
}

/// The text of the file with this name.
impl<P: AsRef<Path>> From<P> for Pem {
    fn from(path: P) -> Self {
        let path = path.as_ref();
        Self(Source::file(path_name(path), path, Limit::CERTIFICATES))
    }
}

/// Without the text, which may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

/// CA certificates in memory: `cadata`, which in Python was PEM as text and DER as bytes.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum CaData<'a> {
    /// Certificates in PEM; what stands around them is passed over.
    Pem(&'a str),
    /// Certificates in DER, one after the other.
    Der(&'a [u8]),
}

/// Without the text, in which a key may have been left.
impl fmt::Debug for CaData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(pem) => write!(f, "CaData({} bytes of PEM)", pem.len()),
            Self::Der(der) => write!(f, "CaData({} bytes of DER)", der.len()),
        }
    }
}

impl<'a> From<&'a str> for CaData<'a> {
    fn from(pem: &'a str) -> Self {
        Self::Pem(pem)
    }
}

impl<'a> From<&'a [u8]> for CaData<'a> {
    fn from(der: &'a [u8]) -> Self {
        Self::Der(der)
    }
}
