//! A certificate, readable: who it is for, who issued it, from when to when, which key it carries.
//!
//! This is the lowest room. It decides nothing: a field that cannot be read is absent or empty, and
//! what that means is for those above to say. Every text in a certificate was written by a
//! stranger, so what is meant for people ([`Certificate::subject`] and the like) is bounded and
//! escaped here.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::SupportedCipherSuite;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::db::{DB, rfc4519};
use x509_cert::der::{self, Decode, Tag, Tagged};

use super::dotted::dotted;
use super::fields;
use super::layout::Layout;
use super::shown::{Shown, ShownSentence, hex};

/// A certificate, as a peer presented it or a root store holds it.
///
/// Cheap to clone. Two are equal if their DER is.
///
/// Nothing here says that the certificate is to be trusted: its texts are what its author wrote.
/// Those returned for people to read, such as [`subject`](Self::subject), are escaped and cut at 253
/// characters. What is data is as it stands there, unchecked and as long as it is:
/// [`subject_name`](Self::subject_name), [`dns_names`](Self::dns_names),
/// [`alternative_names`](Self::alternative_names), the URLs. In Python's shape all of it is given by
/// [`getpeercert`](crate::ssl::getpeercert).
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: CertificateDer<'static>,
    parsed: x509_cert::Certificate,
    layout: Layout,
    sha256: OnceLock<[u8; 32]>,
}

impl Certificate {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    ///
    /// If the bytes are not exactly one X.509 certificate in DER: trailing bytes are refused, and so
    /// are dates before 1970 or in another form than RFC 5280 §4.1.2.5 has, serial numbers of more
    /// than 21 octets, relative names of more than 32 attributes, names with a UniversalString, and
    /// object identifiers that are longer than 39 octets or begin with 2.40 or more.
    pub fn from_der(der: &[u8]) -> Result<Self, MalformedCertificate> {
        Self::read(CertificateDer::from(der.to_vec()))
    }

    /// As [`from_der`](Self::from_der), without a copy.
    pub(crate) fn read(der: CertificateDer<'static>) -> Result<Self, MalformedCertificate> {
        // The layout goes first: it bounds the work of the parser.
        let layout = Layout::read(&der).map_err(MalformedCertificate)?;
        let parsed = fields::read(&der).map_err(MalformedCertificate)?;
        Ok(Self(Arc::new(Inner {
            der,
            parsed,
            layout,
            sha256: OnceLock::new(),
        })))
    }

    /// The certificate itself, in DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The X.509 version: 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.tbs().version as u8 + 1
    }

    /// The serial number, in upper-case hexadecimal.
    pub fn serial(&self) -> String {
        let bytes = self.serial_octets();
        // The zero that only keeps the number positive (X.690 §8.3.3).
        let digits = match bytes {
            [0, rest @ ..] if !rest.is_empty() => rest,
            _ => bytes,
        };
        hex(digits).to_ascii_uppercase()
    }

    /// Whose certificate it says it is: a distinguished name as RFC 4514 writes it, escaped and cut
    /// for people.
    pub fn subject(&self) -> String {
        ShownSentence(&self.tbs().subject).to_string()
    }

    /// Who it says issued it, written like the [`subject`](Self::subject).
    pub fn issuer(&self) -> String {
        ShownSentence(&self.tbs().issuer).to_string()
    }

    /// The subject's common name, the last if there are more, escaped and cut for people; `None`
    /// also if it is not in a form of ASCII or UTF-8. It never identifies a host (RFC 9525 §2).
    pub fn common_name(&self) -> Option<String> {
        let mut attributes = self
            .tbs()
            .subject
            .0
            .iter()
            .rev()
            .flat_map(|rdn| rdn.0.iter());
        let common_name = attributes.find(|attribute| attribute.oid == rfc4519::CN)?;
        let text = std::str::from_utf8(common_name.value.value()).ok()?;
        (common_name.value.tag() != Tag::BmpString).then(|| Shown(text).to_string())
    }

    /// The first moment at which it is valid.
    pub fn not_before(&self) -> SystemTime {
        UNIX_EPOCH + self.tbs().validity.not_before.to_unix_duration()
    }

    /// The last moment at which it is valid.
    pub fn not_after(&self) -> SystemTime {
        UNIX_EPOCH + self.tbs().validity.not_after.to_unix_duration()
    }

    /// The whole days from a moment to the [last](Self::not_after), rounded down: 0 in the last 24
    /// hours, and negative from the second after.
    pub fn days_left(&self, at: SystemTime) -> i64 {
        let seconds = match self.not_after().duration_since(at) {
            Ok(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            Err(past) => {
                let past = past.duration();
                let begun = u64::from(past.subsec_nanos() > 0);
                i64::try_from(past.as_secs().saturating_add(begun)).map_or(i64::MIN, |past| -past)
            }
        };
        seconds.div_euclid(SECONDS_A_DAY)
    }

    /// The SHA-256 of the whole certificate, which people call its fingerprint.
    pub fn sha256(&self) -> [u8; 32] {
        *self.0.sha256.get_or_init(|| sha256(&self.0.der))
    }

    /// Whether subject and issuer are the same name, which says nothing of who signed it.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der() == self.issuer_der()
    }

    /// The algorithm it was signed with, such as `ecdsa-with-SHA256`, or its object identifier if
    /// that is not known.
    pub fn signature_algorithm(&self) -> String {
        algorithm_name(self.0.parsed.signature_algorithm.oid)
    }

    /// The serial number as it stands there: an integer, and negative if its first bit is set.
    pub(crate) fn serial_octets(&self) -> &[u8] {
        self.tbs().serial_number.as_bytes()
    }

    /// The certificate as rustls and webpki take it.
    pub(crate) fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    pub(crate) fn not_before_unix(&self) -> UnixTime {
        UnixTime::since_unix_epoch(self.tbs().validity.not_before.to_unix_duration())
    }

    pub(crate) fn not_after_unix(&self) -> UnixTime {
        UnixTime::since_unix_epoch(self.tbs().validity.not_after.to_unix_duration())
    }

    /// Whether it is within its dates, both of which are (RFC 5280 §4.1.2.5).
    pub(crate) fn is_valid_at(&self, moment: UnixTime) -> bool {
        self.not_before_unix() <= moment && moment <= self.not_after_unix()
    }

    /// What is signed: the bytes of the tbsCertificate as they came.
    pub(crate) fn tbs_der(&self) -> &[u8] {
        self.original(&self.0.layout.tbs)
    }

    pub(crate) fn subject_der(&self) -> &[u8] {
        self.original(&self.0.layout.subject)
    }

    pub(crate) fn issuer_der(&self) -> &[u8] {
        self.original(&self.0.layout.issuer)
    }

    /// The whole SubjectPublicKeyInfo, outer SEQUENCE included, as it came.
    pub(crate) fn spki_der(&self) -> &[u8] {
        self.original(&self.0.layout.spki)
    }

    /// The inside of the signature's AlgorithmIdentifier, which is what
    /// `SignatureVerificationAlgorithm::signature_alg_id` is to be compared with.
    pub(crate) fn signature_algorithm_der(&self) -> &[u8] {
        AnyRef::from_der(self.original(&self.0.layout.signature_algorithm))
            .map(AnyRef::value)
            .unwrap_or_default()
    }

    /// The signature; empty if it is not of whole bytes.
    pub(crate) fn signature(&self) -> &[u8] {
        self.0.parsed.signature.as_bytes().unwrap_or_default()
    }

    pub(super) fn tbs(&self) -> &x509_cert::TbsCertificate {
        &self.0.parsed.tbs_certificate
    }

    fn original(&self, range: &Range<usize>) -> &[u8] {
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.der.hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &format_args!("{:?}", self.subject()))
            .field("sha256", &format_args!("{}", hex(&self.sha256())))
            .finish_non_exhaustive()
    }
}

/// A certificate we trust to have signed others, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    certificate: Certificate,
    source: Arc<str>,
}

impl Anchor {
    pub(crate) fn new(certificate: Certificate, source: Arc<str>) -> Self {
        Self {
            certificate,
            source,
        }
    }

    /// The certificate that is trusted.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Where it came from: a path, the platform, or what its adder called it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// [`Certificate::subject`].
    pub fn subject(&self) -> String {
        self.certificate.subject()
    }

    /// [`Certificate::sha256`].
    pub fn sha256(&self) -> [u8; 32] {
        self.certificate.sha256()
    }

    /// [`Certificate::not_before`].
    pub fn not_before(&self) -> SystemTime {
        self.certificate.not_before()
    }

    /// [`Certificate::not_after`].
    pub fn not_after(&self) -> SystemTime {
        self.certificate.not_after()
    }
}

/// The bytes are not one X.509 certificate in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedCertificate(der::Error);

impl fmt::Display for MalformedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an X.509 certificate in DER: {}", self.0)
    }
}

impl std::error::Error for MalformedCertificate {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// The name of an algorithm, or its object identifier if that is not known.
pub(super) fn algorithm_name(id: ObjectIdentifier) -> String {
    DB.by_oid(&id).map_or_else(
        || dotted(&id),
        |name| name.trim_start_matches("id-").to_owned(),
    )
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(SHA256.hash(bytes).as_ref()) {
        *to = *from;
    }
    digest
}

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// The SHA-256 of the TLS provider that is compiled in, reached through a cipher suite that uses it
/// (RFC 8446 B.4).
const SHA256: &dyn rustls::crypto::hash::Hash = match TLS13_AES_128_GCM_SHA256 {
    SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
    SupportedCipherSuite::Tls12(_) => panic!("a TLS 1.3 suite by its name"),
};

/// Certificates that no authority would sign, written byte by byte; the signature is rubbish.
#[cfg(test)]
pub(super) mod forge {
    use super::Certificate;

    pub(in crate::tls) struct Forged {
        pub(in crate::tls) version: Option<u8>,
        pub(in crate::tls) serial: Vec<u8>,
        pub(in crate::tls) subject: Vec<u8>,
        pub(in crate::tls) validity: [(u8, &'static str); 2],
        pub(in crate::tls) key: Vec<u8>,
        pub(in crate::tls) extensions: Vec<Vec<u8>>,
    }

    impl Default for Forged {
        fn default() -> Self {
            Self {
                version: Some(2),
                serial: vec![1],
                subject: name(&[(CN, 0x0c, b"forged")]),
                validity: [(UTC_TIME, "250101000000Z"), (UTC_TIME, "260101000000Z")],
                key: spki(&tlv(0x06, &[ED25519]), &[7; 32]),
                extensions: Vec::new(),
            }
        }
    }

    impl Forged {
        pub(in crate::tls) fn der(&self) -> Vec<u8> {
            let algorithm = tlv(0x30, &[&tlv(0x06, &[ED25519])]);
            let version = self
                .version
                .map(|version| tlv(0xa0, &[&tlv(0x02, &[&[version]])]))
                .unwrap_or_default();
            let [from, to] = self
                .validity
                .map(|(tag, time)| tlv(tag, &[time.as_bytes()]));
            let extensions = match self.extensions.concat() {
                none if none.is_empty() => none,
                some => tlv(0xa3, &[&tlv(0x30, &[&some])]),
            };
            let tbs = tlv(
                0x30,
                &[
                    &version,
                    &tlv(0x02, &[&self.serial]),
                    &algorithm,
                    &name(&[(CN, 0x0c, b"forger")]),
                    &tlv(0x30, &[&from, &to]),
                    &self.subject,
                    &self.key,
                    &extensions,
                ],
            );
            tlv(0x30, &[&tbs, &algorithm, &tlv(0x03, &[&[0], &[9; 64]])])
        }

        pub(in crate::tls) fn certificate(&self) -> Certificate {
            Certificate::from_der(&self.der()).unwrap()
        }
    }

    pub(in crate::tls) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let length = value.len().to_be_bytes();
        let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
        match value.len() {
            short @ ..0x80 => [&[tag, short as u8], &value[..]].concat(),
            _ => [&[tag, 0x80 | length.len() as u8], length, &value].concat(),
        }
    }

    /// A name of one attribute (type, tag of the value, value) a relative name.
    pub(in crate::tls) fn name(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let relative = attributes
            .iter()
            .map(|attribute| tlv(0x31, &[&self::attribute(attribute)]));
        tlv(0x30, &[&relative.collect::<Vec<_>>().concat()])
    }

    pub(in crate::tls) fn attribute((kind, tag, value): &(&[u8], u8, &[u8])) -> Vec<u8> {
        tlv(0x30, &[&tlv(0x06, &[kind]), &tlv(*tag, &[value])])
    }

    pub(in crate::tls) fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
        tlv(0x30, &[&tlv(0x30, &[algorithm]), &tlv(0x03, &[&[0], key])])
    }

    pub(in crate::tls) fn extension(id: &[u8], value: &[u8]) -> Vec<u8> {
        tlv(0x30, &[&tlv(0x06, &[id]), &tlv(0x04, &[value])])
    }

    /// A subjectAltName of (tag, value).
    pub(in crate::tls) fn alternative_names(names: &[(u8, &[u8])]) -> Vec<u8> {
        let names = names
            .iter()
            .map(|(tag, value)| tlv(*tag, &[value]))
            .collect::<Vec<_>>()
            .concat();
        extension(SUBJECT_ALT_NAME, &tlv(0x30, &[&names]))
    }

    pub(in crate::tls) const UTC_TIME: u8 = 0x17;
    pub(in crate::tls) const GENERALIZED_TIME: u8 = 0x18;
    /// The tags of GeneralName, RFC 5280 §4.2.1.6.
    pub(in crate::tls) const DNS: u8 = 0x82;
    pub(in crate::tls) const URI: u8 = 0x86;
    pub(in crate::tls) const IP: u8 = 0x87;
    pub(in crate::tls) const CN: &[u8] = &[0x55, 4, 3];
    pub(in crate::tls) const O: &[u8] = &[0x55, 4, 10];
    pub(in crate::tls) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 29, 17];
    pub(in crate::tls) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 29, 19];
    pub(in crate::tls) const EXT_KEY_USAGE: &[u8] = &[0x55, 29, 37];
    const ED25519: &[u8] = &[0x2b, 101, 112];
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::forge::*;
    use super::*;

    #[test]
    fn reads_a_plain_certificate() {
        let certificate = Forged::default().certificate();
        assert_eq!(certificate.version(), 3);
        assert_eq!(certificate.serial(), "01");
        assert_eq!(certificate.subject(), "CN=forged");
        assert_eq!(certificate.issuer(), "CN=forger");
        assert_eq!(certificate.common_name().unwrap(), "forged");
        assert_eq!(certificate.signature_algorithm(), "Ed25519");
        assert_eq!(certificate.signature(), [9; 64]);
        assert_eq!(certificate.extended_key_usage(), None);
        assert!(!certificate.is_ca() && !certificate.is_self_issued());
        assert_eq!(certificate.clone(), certificate);
        assert_eq!(
            format!("{certificate:?}"),
            format!("Certificate {{ subject: \"CN=forged\", sha256: {FORGED_SHA256}, .. }}")
        );
    }

    #[test]
    fn serials() {
        for (serial, shown) in [
            (&[0][..], "00"),
            (&[0, 0x9a, 0x0b], "9A0B"),
            (&[0x80], "80"),
            (&[0x7f; 20], "7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F"),
        ] {
            assert_eq!(
                Forged {
                    serial: serial.to_vec(),
                    ..Forged::default()
                }
                .certificate()
                .serial(),
                shown
            );
        }
    }

    #[test]
    fn versions() {
        for (version, number) in [(None, 1), (Some(0), 1), (Some(1), 2), (Some(2), 3)] {
            assert_eq!(
                Forged {
                    version,
                    ..Forged::default()
                }
                .certificate()
                .version(),
                number
            );
        }
        assert!(
            Certificate::from_der(
                &Forged {
                    version: Some(3),
                    ..Forged::default()
                }
                .der()
            )
            .is_err()
        );
    }

    #[test]
    fn dates() {
        for (time, seconds) in [
            ((UTC_TIME, "700101000000Z"), Some(0)),
            ((UTC_TIME, "491231235959Z"), Some(2_524_607_999)),
            ((GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000)),
            ((GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799)),
            ((UTC_TIME, "500101000000Z"), None),
            ((GENERALIZED_TIME, "00000101000000Z"), None),
            ((GENERALIZED_TIME, "20250229000000Z"), None),
            ((UTC_TIME, "250101000000+0100"), None),
        ] {
            let forged = Forged {
                validity: [time, time],
                ..Forged::default()
            };
            let certificate = Certificate::from_der(&forged.der()).ok();
            let read = certificate
                .as_ref()
                .map(|certificate| certificate.not_after_unix().as_secs());
            assert_eq!(read, seconds, "{time:?}");
            if let Some(certificate) = certificate {
                assert_eq!(certificate.not_before_unix(), certificate.not_after_unix());
                assert_eq!(
                    certificate.not_before(),
                    UNIX_EPOCH + Duration::from_secs(seconds.unwrap())
                );
                assert_eq!(certificate.not_before(), certificate.not_after());
            }
        }
    }

    #[test]
    fn days_left_are_whole_days() {
        // Valid until 2026-01-01.
        let certificate = Forged::default().certificate();
        let until = certificate.not_after();
        let [day, second, nanosecond] = [
            Duration::from_secs(86_400),
            Duration::from_secs(1),
            Duration::from_nanos(1),
        ];
        for (moment, days) in [
            (until - 90 * day, 90),
            (until - 90 * day + nanosecond, 89),
            (until - day, 1),
            (until - day + second, 0),
            (until, 0),
            (until + nanosecond, -1),
            (until + day, -1),
            (until + day + nanosecond, -2),
            (UNIX_EPOCH, 20_454),
            (UNIX_EPOCH - day, 20_455),
            (
                UNIX_EPOCH + Duration::from_secs(1 << 62),
                -53_375_995_563_197,
            ),
        ] {
            assert_eq!(certificate.days_left(moment), days, "{moment:?}");
        }
    }

    #[test]
    fn names_are_shown_escaped_and_bounded() {
        for (attributes, subject, common_name) in [
            (&[][..], "", None),
            (
                &[(O, 0x13, &b"Acme, Inc"[..]), (CN, 0x0c, b"a")],
                "CN=a,O=Acme\\, Inc",
                Some("a"),
            ),
            (
                &[(CN, 0x0c, b"a"), (CN, 0x0c, b"b")],
                "CN=b,CN=a",
                Some("b"),
            ),
            (
                &[(CN, 0x0c, b"\x1b[2J\n")],
                "CN=\\1b[2J\\0a",
                Some("\\u{1b}[2J\\u{a}"),
            ),
            (
                &[(CN, 0x0c, "\u{202e}moc".as_bytes())],
                "CN=\\u{202e}moc",
                Some("\\u{202e}moc"),
            ),
            (
                &[(CN, 0x0c, b"a\\u{202e}\"")],
                "CN=a\\\\u{202e}\\\"",
                Some("a\\u{5c}u{202e}\\u{22}"),
            ),
            // Not UTF-8, and UTF-16: as RFC 4514 §2.4 writes what it has no string for.
            (&[(CN, 0x0c, b"\xff")], "2.5.4.3=#0c01ff", None),
            (&[(CN, 0x1e, b"\0a")], "2.5.4.3=#1e020061", None),
        ] {
            let certificate = Forged {
                subject: name(attributes),
                ..Forged::default()
            }
            .certificate();
            assert_eq!(certificate.subject(), subject);
            assert_eq!(certificate.common_name().as_deref(), common_name);
        }
        let subject = name(&[(CN, 0x0c, &[b'x'; 60_000])]);
        let certificate = Forged {
            subject,
            ..Forged::default()
        }
        .certificate();
        assert_eq!(certificate.subject(), format!("CN={}…", "x".repeat(250)));
        assert_eq!(
            certificate.common_name().unwrap(),
            format!("{}…", "x".repeat(253))
        );
        assert!(format!("{certificate:?}").len() < 400);
    }

    #[test]
    fn strangers_texts() {
        let long = "x".repeat(253);
        for (text, shown) in [
            ("www.example.com", "www.example.com"),
            ("", ""),
            ("two words", "two words"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("a\r\nb\0\t", "a\\u{d}\\u{a}b\\u{0}\\u{9}"),
            ("p\u{430}ypal", "p\\u{430}ypal"),
            ("\u{2066}\u{202e}\u{9b}", "\\u{2066}\\u{202e}\\u{9b}"),
            ("a\\b\"c", "a\\u{5c}b\\u{22}c"),
            (&long, &long),
            (&format!("{long}y"), &format!("{long}…")),
            // No escape is cut in two: 252 and a half fit.
            (&format!("{}\n", &long[1..]), &format!("{}…", &long[1..])),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
        }
    }

    #[test]
    fn alternative_names_are_read_or_passed_over() {
        let v6 = [0; 15].iter().chain(&[1]).copied().collect::<Vec<u8>>();
        let broken = extension(
            SUBJECT_ALT_NAME,
            &tlv(0x30, &[&tlv(DNS, &[b"a.example"]), &[DNS, 5, b'b']]),
        );
        let twice = [
            alternative_names(&[(DNS, b"a.example")]),
            alternative_names(&[(DNS, b"b.example")]),
        ];
        for (extensions, dns_names, addresses) in [
            (vec![], &[][..], &[][..]),
            (vec![alternative_names(&[])], &[], &[]),
            (
                vec![alternative_names(&[(DNS, b""), (DNS, b"a.example")])],
                &["", "a.example"],
                &[],
            ),
            (
                vec![alternative_names(&[
                    (DNS, b"\xff\xfe"),
                    (DNS, "ÿ".as_bytes()),
                ])],
                &["ÿ"],
                &[],
            ),
            // rfc822Name, directoryName, URI and registeredID between them.
            (
                vec![alternative_names(&[
                    (0x81, b"a@b"),
                    (0xa4, &name(&[])),
                    (URI, b"x:y"),
                    (0x88, &[1]),
                    (DNS, b"a"),
                ])],
                &["a"],
                &[],
            ),
            (
                vec![alternative_names(&[
                    (IP, &[192, 0, 2, 1]),
                    (IP, &v6),
                    (IP, &[1, 2, 3]),
                    (IP, &[]),
                ])],
                &[],
                &["192.0.2.1", "::1"],
            ),
            (vec![broken], &[], &[]),
            (twice.to_vec(), &[], &[]),
        ] {
            let certificate = Forged {
                extensions,
                ..Forged::default()
            }
            .certificate();
            assert_eq!(certificate.dns_names().collect::<Vec<_>>(), dns_names);
            assert_eq!(
                certificate
                    .ip_addresses()
                    .map(|ip| ip.to_string())
                    .collect::<Vec<_>>(),
                addresses
            );
        }
    }

    #[test]
    fn what_it_says_it_may_do() {
        let constraints = |parts: &[&[u8]]| extension(BASIC_CONSTRAINTS, &tlv(0x30, parts));
        let ca = constraints(&[&[1, 1, 0xff]]);
        let server_auth = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
        let purposes = extension(EXT_KEY_USAGE, &tlv(0x30, &[&server_auth]));
        for (extensions, is_ca, usage) in [
            (vec![], false, None),
            (vec![constraints(&[])], false, None),
            (vec![constraints(&[&[1, 1, 0]])], false, None),
            (vec![ca.clone()], true, None),
            (
                vec![constraints(&[&[1, 1, 0xff], &[2, 2, 1, 0x2c]])],
                true,
                None,
            ),
            (vec![ca.clone(), ca], false, None),
            (
                vec![purposes.clone()],
                false,
                Some(&["1.3.6.1.5.5.7.3.1"][..]),
            ),
            (vec![purposes.clone(), purposes], false, Some(&[])),
            (vec![extension(EXT_KEY_USAGE, b"rubbish")], false, Some(&[])),
        ] {
            let certificate = Forged {
                extensions,
                ..Forged::default()
            }
            .certificate();
            assert_eq!(certificate.is_ca(), is_ca);
            let read = certificate.extended_key_usage();
            assert_eq!(
                read,
                usage.map(|usage| usage.iter().map(ToString::to_string).collect::<Vec<_>>())
            );
        }
    }

    #[test]
    fn refused_as_malformed() {
        let good = Forged::default().der();
        let trailing = [&good[..], &[0]].concat();
        let indefinite = [&[0x30, 0x80], &good[4..], &[0, 0]].concat();
        for (what, der) in [
            ("nothing", &[][..]),
            ("trailing", &trailing),
            ("indefinite length", &indefinite),
            ("not a sequence", b"\x31\x00"),
            ("PEM", b"-----BEGIN CERTIFICATE-----"),
        ] {
            let refused = Certificate::from_der(der).expect_err(what).to_string();
            assert!(
                refused.starts_with("not an X.509 certificate in DER: "),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_relative_name_of_many_attributes_is_refused() {
        for (count, accepted) in [(32, true), (33, false), (5_000_u16, false)] {
            // In the order that costs the parser's sort the most.
            let attributes = (0..count)
                .rev()
                .map(|i| attribute(&(CN, 0x0c, format!("{i:04}").as_bytes())));
            let relative_name = tlv(0x31, &[&attributes.collect::<Vec<_>>().concat()]);
            let subject = tlv(0x30, &[&relative_name]);
            let read = Certificate::from_der(
                &Forged {
                    subject,
                    ..Forged::default()
                }
                .der(),
            );
            assert_eq!(read.is_ok(), accepted, "{count}");
        }
    }

    #[test]
    fn no_single_change_makes_it_panic() {
        let der = Forged {
            extensions: vec![
                alternative_names(&[(DNS, b"*.a.example"), (IP, &[192, 0, 2, 1])]),
                extension(BASIC_CONSTRAINTS, &tlv(0x30, &[&[1, 1, 0xff]])),
                extension(EXT_KEY_USAGE, &tlv(0x30, &[&[0x06, 3, 0x2a, 3, 4]])),
            ],
            ..Forged::default()
        }
        .der();
        let changed = (0..der.len()).flat_map(|at| {
            let der = &der;
            [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff].map(|bits| {
                let mut changed = der.clone();
                changed[at] ^= bits;
                changed
            })
        });
        let cut = (0..der.len()).map(|length| der[..length].to_vec());
        let mut read = 0;
        for der in changed.chain(cut) {
            if let Ok(certificate) = Certificate::from_der(&der) {
                read += 1;
                assert_eq!(certificate.der(), der);
                let _ = (
                    certificate.serial(),
                    certificate.common_name(),
                    certificate.issuer(),
                );
                let _ = (
                    certificate.not_before(),
                    certificate.not_after(),
                    certificate.is_ca(),
                );
                let _ = (
                    certificate.dns_names().count(),
                    certificate.ip_addresses().count(),
                );
                let _ = (
                    certificate.extended_key_usage(),
                    certificate.key_description(),
                );
                let _ = (
                    certificate.signature_algorithm(),
                    certificate.signature_algorithm_der(),
                );
                let _ = format!(
                    "{certificate:?} {:?}",
                    crate::tls::hostname::match_hostname(&certificate, "b.example")
                );
            }
        }
        assert!(read > 100, "{read}");
    }

    #[test]
    #[cfg(feature = "lab")]
    fn the_original_parts_verify() {
        let signed =
            rcgen::generate_simple_self_signed(["a.example".to_owned(), "192.0.2.1".to_owned()])
                .unwrap();
        let certificate = Certificate::read(signed.cert.der().clone()).unwrap();
        assert!(certificate.is_self_issued());
        assert_eq!(certificate.key_description(), "EC P-256");
        assert_eq!(certificate.signature_algorithm(), "ecdsa-with-SHA256");
        assert_eq!(certificate.dns_names().collect::<Vec<_>>(), ["a.example"]);
        assert_eq!(
            certificate.ip_addresses().collect::<Vec<_>>(),
            [std::net::IpAddr::from([192, 0, 2, 1])]
        );
        assert_eq!(certificate.certificate_der(), signed.cert.der());

        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        let spki = certificate.spki_der().into();
        let key = webpki::RawPublicKeyEntity::try_from(&spki).unwrap();
        let verifies = |message: &[u8]| {
            algorithms
                .iter()
                .filter(|algorithm| {
                    *algorithm.signature_alg_id() == *certificate.signature_algorithm_der()
                })
                .any(|algorithm| {
                    key.verify_signature(*algorithm, message, certificate.signature())
                        .is_ok()
                })
        };
        assert!(verifies(certificate.tbs_der()));
        assert!(!verifies(certificate.der()));
    }

    #[test]
    #[cfg(feature = "mozilla-roots")]
    fn every_root_of_mozilla_is_read() {
        for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            let anchor = Anchor::new(Certificate::read(der.clone()).unwrap(), "Mozilla".into());
            let certificate = anchor.certificate();
            assert!(
                certificate.is_ca() && certificate.is_self_issued(),
                "{certificate:?}"
            );
            assert!(anchor.not_before() < anchor.not_after() && anchor.source() == "Mozilla");
            let key = certificate.key_description();
            assert!(key.starts_with("RSA ") || key.starts_with("EC P-"), "{key}");
            assert!(!anchor.subject().contains('…') && anchor.sha256() != [0; 32]);
        }
    }

    /// `sha256sum` over the DER of `Forged::default()`.
    const FORGED_SHA256: &str = "f83ae44862c1e3342c4796502872878cdc6e785c9047548a9f19d36e5fd0ac68";
}
