//! What is in a certificate, in the shape of Python's `getpeercert()`.

use std::fmt;
use std::net::IpAddr;

use crate::ssl::time::written;
use crate::tls::shown::{Shown, ShownSentence, hex};
use crate::tls::{AlternativeName, Attribute, Certificate, DistinguishedName};

/// What is in a certificate, under the keys and in the text forms of Python's
/// `SSLSocket.getpeercert()`.
///
/// It is of any [`Certificate`]: that of a connection is the first of
/// [`Peer::chain`](crate::tls::Peer::chain). With the `binary_form` of Python's it is
/// [`Certificate::der`].
///
/// Python had an empty dict for a peer that it did not verify. Whether a peer is verified is told
/// by the [`Verdict`](crate::Verdict), and who the certificate is for by
/// [`match_hostname`](super::match_hostname): nothing that is here may be taken for it.
///
/// # Examples
///
/// ```no_run
/// use urlfetch::ssl::{cert_time_to_seconds, getpeercert};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let response = urlfetch::fetch("https://example.com/").await?;
/// if let Some(certificate) = response.peer().and_then(|peer| peer.chain().first()) {
///     let peer_cert = getpeercert(certificate);
///     println!("{peer_cert}");
///     println!("{}", cert_time_to_seconds(&peer_cert.not_after)?);
/// }
/// # Ok(())
/// # }
/// ```
pub fn getpeercert(certificate: &Certificate) -> PeerCert {
    let alternatives = certificate.alternative_names();
    PeerCert {
        subject: sequence(&certificate.subject_name()),
        issuer: sequence(&certificate.issuer_name()),
        version: certificate.version(),
        serial_number: serial_number(certificate),
        not_before: written(certificate.not_before()),
        not_after: written(certificate.not_after()),
        subject_alt_name: alternatives.map(|names| names.into_iter().map(pair).collect()),
        ocsp: certificate.ocsp_urls(),
        ca_issuers: certificate.ca_issuers_urls(),
        crl_distribution_points: certificate.crl_distribution_points(),
    }
}

/// A certificate as [`getpeercert`] gives it. Each field says Python's key.
///
/// Its texts are a stranger's, as they stand in the certificate, and as long as they are there;
/// [`Debug`](fmt::Debug) and [`Display`](fmt::Display) escape and cut them. By the feature `json`
/// it is the document that `json.dumps` made of Python's dict.
///
/// Where one entry cost Python the whole extension, or the whole certificate, only what cannot be
/// read is missing here: an attribute that is no text is written as RFC 4514 §2.4 does, `#` and its
/// DER in hexadecimal, and an alternative name that cannot be read is `<invalid>`, which Python had
/// for addresses alone. An extension that is there twice (RFC 5280 §4.2 forbids it) is not read.
/// OpenSSL came to know names of attributes and kinds of `othername` from one version to the next;
/// here they are those of [`Attribute::name`], and `<unsupported>`. A `Registered ID` is in numbers,
/// where Python had OpenSSL's name if it knew one. A certificate that
/// [`Certificate::from_der`] refuses has none of this, although Python may have read it.
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct PeerCert {
    /// `subject`: whose certificate it is.
    pub subject: RdnSequence,
    /// `issuer`: who issued it.
    pub issuer: RdnSequence,
    /// `version`: 1, 2 or 3.
    pub version: u8,
    /// `serialNumber`, in upper-case hexadecimal, of an even count of digits.
    pub serial_number: String,
    /// `notBefore`, such as `Jan  5 09:34:43 2018 GMT`, which
    /// [`cert_time_to_seconds`](super::cert_time_to_seconds) reads.
    pub not_before: String,
    /// `notAfter`, in the same form.
    pub not_after: String,
    /// `subjectAltName`, in order; `None` if there is no such extension, and without a name if
    /// there is one that cannot be read.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub subject_alt_name: Option<Vec<AltName>>,
    /// `OCSP`: [`Certificate::ocsp_urls`].
    #[cfg_attr(
        feature = "json",
        serde(rename = "OCSP", skip_serializing_if = "Vec::is_empty")
    )]
    pub ocsp: Vec<String>,
    /// `caIssuers`: [`Certificate::ca_issuers_urls`].
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub ca_issuers: Vec<String>,
    /// `crlDistributionPoints`: [`Certificate::crl_distribution_points`].
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub crl_distribution_points: Vec<String>,
}

/// A distinguished name: relative names, each of one or more pairs of a long name and a value, such
/// as `("commonName", "example.com")`.
pub type RdnSequence = Vec<Vec<(String, String)>>;

/// An alternative name: its tag, `DNS`, `IP Address`, `email`, `URI`, `Registered ID`, `DirName`,
/// `othername`, `X400Name` or `EdiPartyName`, and its value.
pub type AltName = (&'static str, AltValue);

/// The value of an [`AltName`].
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(untagged))]
pub enum AltValue {
    /// The value of most.
    Text(String),
    /// The value of a `DirName`.
    Name(RdnSequence),
}

/// Each field under Python's key, escaped and cut.
impl fmt::Display for PeerCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "subject: {}",
            ShownSentence(List(&self.subject, |each, f| relative_name(each, f)))
        )?;
        write!(
            f,
            "; issuer: {}",
            ShownSentence(List(&self.issuer, |each, f| relative_name(each, f)))
        )?;
        write!(f, "; version: {}", self.version)?;
        for (key, text) in [
            ("serialNumber", &self.serial_number),
            ("notBefore", &self.not_before),
            ("notAfter", &self.not_after),
        ] {
            write!(f, "; {key}: {}", Shown(text))?;
        }
        if let Some(names) = &self.subject_alt_name {
            write!(
                f,
                "; subjectAltName: {}",
                ShownSentence(List(names, alt_name))
            )?;
        }
        for (key, urls) in [
            ("OCSP", &self.ocsp),
            ("caIssuers", &self.ca_issuers),
            ("crlDistributionPoints", &self.crl_distribution_points),
        ] {
            if !urls.is_empty() {
                write!(
                    f,
                    "; {key}: {}",
                    ShownSentence(List(urls, |url, f| quoted(url, f)))
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PeerCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCert({self})")
    }
}

impl fmt::Debug for AltValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(text, f),
            Self::Name(name) => write!(
                f,
                "{}",
                ShownSentence(List(name, |each, f| relative_name(each, f)))
            ),
        }
    }
}

fn sequence(name: &DistinguishedName) -> RdnSequence {
    let value = |attribute: &Attribute| match attribute.text() {
        Some(text) => text.to_owned(),
        None => format!("#{}", hex(attribute.der())),
    };
    let pair = |attribute: &Attribute| (attribute.name().into_owned(), value(attribute));
    name.relative_names()
        .filter(|attributes| !attributes.is_empty())
        .map(|attributes| attributes.iter().map(pair).collect())
        .collect()
}

/// A negative one is written by its magnitude, with a minus: RFC 5280 §4.1.2.2 forbids it, but not
/// every CA obeys.
fn serial_number(certificate: &Certificate) -> String {
    let octets = certificate.serial_octets();
    if octets.first().is_none_or(|first| *first < 0x80) {
        return certificate.serial();
    }
    // Two's complement (X.690 §8.3.3): all bits turned, and one more.
    let mut magnitude: Vec<u8> = octets.iter().map(|octet| !octet).collect();
    for octet in magnitude.iter_mut().rev() {
        *octet = octet.wrapping_add(1);
        if *octet > 0 {
            break;
        }
    }
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    let digits = hex(magnitude.get(zeros..).unwrap_or_default());
    format!("-{}", digits.to_ascii_uppercase())
}

fn pair(name: AlternativeName) -> AltName {
    let unsupported = || AltValue::Text("<unsupported>".to_owned());
    match name {
        AlternativeName::Dns(name) => (DNS, AltValue::Text(name)),
        AlternativeName::Email(name) => (EMAIL, AltValue::Text(name)),
        AlternativeName::Uri(name) => (URI, AltValue::Text(name)),
        AlternativeName::Ip(address) => (IP_ADDRESS, AltValue::Text(address_text(address))),
        AlternativeName::Directory(name) => (DIR_NAME, AltValue::Name(sequence(&name))),
        AlternativeName::RegisteredId(id) => (REGISTERED_ID, AltValue::Text(id)),
        AlternativeName::Other { .. } => (OTHER_NAME, unsupported()),
        AlternativeName::X400(_) => (X400_NAME, unsupported()),
        AlternativeName::EdiParty(_) => (EDI_PARTY_NAME, unsupported()),
        AlternativeName::Unreadable { kind, .. } => {
            // By the numbers of GeneralName, RFC 5280 §4.2.1.6.
            let tag = match kind {
                1 => EMAIL,
                2 => DNS,
                3 => X400_NAME,
                4 => DIR_NAME,
                5 => EDI_PARTY_NAME,
                6 => URI,
                7 => IP_ADDRESS,
                8 => REGISTERED_ID,
                _ => OTHER_NAME,
            };
            (tag, AltValue::Text("<invalid>".to_owned()))
        }
    }
}

/// An address as OpenSSL writes it: all eight groups of IPv6, without the zeros before them.
fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address
            .segments()
            .map(|group| format!("{group:X}"))
            .join(":"),
    }
}

/// Items one after the other, each written by the function.
struct List<'a, T>(&'a [T], fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result);

impl<T> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(items, write_item) = self;
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write_item(item, f)?;
        }
        Ok(())
    }
}

fn relative_name(attributes: &[(String, String)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, (name, value)) in attributes.iter().enumerate() {
        let between = if at > 0 { "+" } else { "" };
        write!(f, "{between}{}=\"{}\"", Shown(name), Shown(value))?;
    }
    Ok(())
}

fn alt_name((tag, value): &AltName, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{tag} {value:?}")
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", Shown(text))
}

const DNS: &str = "DNS";
const EMAIL: &str = "email";
const URI: &str = "URI";
const IP_ADDRESS: &str = "IP Address";
const REGISTERED_ID: &str = "Registered ID";
const DIR_NAME: &str = "DirName";
const OTHER_NAME: &str = "othername";
const X400_NAME: &str = "X400Name";
const EDI_PARTY_NAME: &str = "EdiPartyName";
