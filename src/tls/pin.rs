//! A pinned key: the one thing about a certificate that a caller knows beforehand.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::Certificate;

/// The SHA-256 of a SubjectPublicKeyInfo in DER (RFC 7469 §2.4), which somebody on the path has to
/// have for a key.
///
/// It is written as curl writes it: `sha256//` and the digest in base64.
///
/// # Examples
///
/// ```
/// use urlfetch::tls::{Pin, Policy};
///
/// # fn main() -> Result<(), urlfetch::tls::MalformedPin> {
/// let pin: Pin = "sha256//r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=".parse()?;
/// let policy = Policy::default().pin(pin);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate's key.
    pub fn of(certificate: &Certificate) -> Self {
        Self(certificate.spki_sha256())
    }

    /// The digest.
    pub fn sha256(&self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for Pin {
    fn from(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }
}

impl FromStr for Pin {
    type Err = MalformedPin;

    fn from_str(text: &str) -> Result<Self, MalformedPin> {
        let digest = text.strip_prefix(SCHEME).ok_or(MalformedPin)?;
        let bytes = STANDARD.decode(digest).map_err(|_| MalformedPin)?;
        <[u8; 32]>::try_from(bytes)
            .map(Self)
            .map_err(|_| MalformedPin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", STANDARD.encode(self.0))
    }
}

/// The text is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedPin;

impl fmt::Display for MalformedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a pin is {SCHEME} and the base64 of 32 bytes: the SHA-256 of a public key"
        )
    }
}

impl std::error::Error for MalformedPin {}

/// As curl's `--pinnedpubkey` has it.
const SCHEME: &str = "sha256//";
