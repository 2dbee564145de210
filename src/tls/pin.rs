//! A pinned key: the one thing about a certificate that a caller knows beforehand.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::Certificate;
use super::shown::Shown;

/// The SHA-256 of a SubjectPublicKeyInfo in DER (RFC 7469 §2.4), which somebody on the path has to
/// have for a key.
///
/// It is written as curl writes it: `sha256//` and the digest in base64. That of a certificate in a
/// file is told by
///
/// ```text
/// openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der |
///     openssl dgst -sha256 -binary | base64
/// ```
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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate's key.
    pub fn of(certificate: &Certificate) -> Self {
        Self(certificate.spki_sha256())
    }

    /// Reads pins with `;` between them, as curl's `--pinnedpubkey` has them.
    ///
    /// # Errors
    ///
    /// [`MalformedPin`], if one of them cannot be read, or there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use urlfetch::tls::{Pin, Policy};
    ///
    /// # fn main() -> Result<(), urlfetch::tls::MalformedPin> {
    /// let pins = Pin::parse_list(
    ///     "sha256//r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=;\
    ///      sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    /// )?;
    /// let policy = Policy::default().pins(pins);
    /// # Ok(())
    /// # }
    /// ```
    pub fn parse_list(text: &str) -> Result<Vec<Self>, MalformedPin> {
        let read = |(at, pin)| {
            Self::read(pin).map_err(|problem| MalformedPin {
                at: text.contains(';').then_some(at + 1),
                problem,
            })
        };
        text.split(';').enumerate().map(read).collect()
    }

    /// The digest.
    pub fn sha256(&self) -> [u8; 32] {
        self.0
    }

    fn read(text: &str) -> Result<Self, Problem> {
        let digest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| Problem::Scheme(text.chars().take(SCHEME.len()).collect()))?;
        let bytes = STANDARD.decode(digest).map_err(|_| Problem::Base64)?;
        let length = bytes.len();
        <[u8; 32]>::try_from(bytes)
            .map(Self)
            .map_err(|_| Problem::Length(length))
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
        Self::read(text).map_err(|problem| MalformedPin { at: None, problem })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// The text is no pin. [`Display`](fmt::Display) says what is wrong with it, and repeats no more of
/// it than what stands in the place of `sha256//`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedPin {
    /// Which one of a list, counted from 1.
    at: Option<usize>,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    /// It begins with something else.
    Scheme(String),
    Base64,
    /// It is the base64 of so many bytes.
    Length(usize),
}

impl fmt::Display for MalformedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "pin {at} of the list: ")?;
        }
        match &self.problem {
            Problem::Scheme(found) if found.is_empty() => {
                write!(f, "a pin begins with {SCHEME}, and this one is empty")
            }
            Problem::Scheme(found) => {
                write!(
                    f,
                    "a pin begins with {SCHEME}, and this one with \"{}\"",
                    Shown(found)
                )
            }
            Problem::Base64 => {
                write!(
                    f,
                    "what follows {SCHEME} is not base64 with its padding (RFC 4648 §4)"
                )
            }
            Problem::Length(bytes) => {
                write!(
                    f,
                    "what follows {SCHEME} is the base64 of {bytes} bytes, and a SHA-256 has 32"
                )
            }
        }
    }
}

impl std::error::Error for MalformedPin {}

/// As curl's `--pinnedpubkey` has it.
const SCHEME: &str = "sha256//";

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256//r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=";
    const B: &str = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn a_pin_is_written_as_it_was_read() {
        for text in [A, B] {
            let pin: Pin = text.parse().unwrap();
            assert_eq!(pin.to_string(), text);
            assert_eq!(Pin::from(pin.sha256()), pin);
            assert_eq!(format!("{pin:?}"), format!("Pin({text})"));
        }
        // The SHA-256 of nothing.
        assert!(
            B.parse::<Pin>()
                .unwrap()
                .sha256()
                .starts_with(&[0xe3, 0xb0, 0xc4, 0x42])
        );
    }

    #[test]
    fn a_list_is_pins_with_semicolons_between() {
        let [a, b] = [A, B].map(|text| text.parse::<Pin>().unwrap());
        for (list, expected) in [
            (A.to_owned(), vec![a]),
            (format!("{A};{B}"), vec![a, b]),
            (format!("{B};{A};{B}"), vec![b, a, b]),
        ] {
            assert_eq!(Pin::parse_list(&list).unwrap(), expected, "{list}");
        }
    }

    #[test]
    fn what_is_no_pin_is_said_in_few_words() {
        let digest = &A[SCHEME.len()..];
        let scheme = "a pin begins with sha256//, and this one";
        let base64 = "what follows sha256// is not base64 with its padding (RFC 4648 §4)";
        for (text, says) in [
            (String::new(), format!("{scheme} is empty")),
            // As others write it.
            (
                format!("sha256/{digest}"),
                format!("{scheme} with \"sha256/r\""),
            ),
            (
                format!("sha1//{digest}"),
                format!("{scheme} with \"sha1//r/\""),
            ),
            (
                format!("pin-sha256=\"{digest}\""),
                format!("{scheme} with \"pin-sha2\""),
            ),
            (
                format!("SHA256//{digest}"),
                format!("{scheme} with \"SHA256//\""),
            ),
            (format!(" {A}"), format!("{scheme} with \" sha256/\"")),
            ("/etc/pin.pem".into(), format!("{scheme} with \"/etc/pin\"")),
            (
                "\u{1b}[2Jé".repeat(100_000),
                format!("{scheme} with \"\\u{{1b}}[2J\\u{{e9}}\\u{{1b}}[2\""),
            ),
            (A.replace('=', ""), base64.into()),
            (A.replace('/', "_").replace("__", "//"), base64.into()),
            (format!("{A} "), base64.into()),
            (format!("{A}\n"), base64.into()),
            (format!("sha256//{}", "?".repeat(1_000_000)), base64.into()),
            (
                "sha256//2jmj7l5rSw0yVb/vlWAYkK/YBwk=".into(),
                "what follows sha256// is the base64 of 20 bytes, and a SHA-256 has 32".into(),
            ),
            (
                "sha256//".into(),
                "what follows sha256// is the base64 of 0 bytes, and a SHA-256 has 32".into(),
            ),
        ] {
            let error = text.parse::<Pin>().unwrap_err().to_string();
            assert_eq!(error, says);
            assert_eq!(Pin::parse_list(&text).unwrap_err().to_string(), says);
            let list = format!("{A};{text};{B}");
            let error = Pin::parse_list(&list).unwrap_err().to_string();
            assert_eq!(error, format!("pin 2 of the list: {says}"));
        }
        // One semicolon too many is a pin that is missing.
        for list in [
            format!("{A};"),
            format!(";{A}"),
            format!("{A};;{B}"),
            ";".into(),
        ] {
            let error = Pin::parse_list(&list).unwrap_err().to_string();
            assert!(error.ends_with("this one is empty"), "{error}");
        }
    }
}
