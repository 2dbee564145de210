//! PEM (RFC 7468): which entries a text has, each with its place, and a certificate written as one.
//!
//! rustls-pki-types decodes the entries. Finding them is ours, because its reader passes over in
//! silence a kind of entry it does not know, an entry behind a byte order mark or white space, and
//! a BEGIN that is followed by another BEGIN.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::Certificate;
use super::fault::{Fault, Position, Problem};
use crate::error::Error;

impl Certificate {
    /// Reads the one certificate of a PEM text, whatever prose is around it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the entry, if the text has no
    /// certificate, a broken one, or another entry beside it. A private key has no business there,
    /// and of two certificates their order would decide whose this is: a chain is read by
    /// [`PemObject`](super::PemObject), a bundle by [`RootStore`](super::RootStore).
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let source = "bytes".into();
        let read = only(&source, pem.as_ref()).and_then(|(position, der)| {
            Self::read(der).map_err(|error| {
                Fault::of(&source, Problem::Malformed(error.to_string())).at(position)
            })
        });
        read.map_err(unreadable)
    }

    /// The certificate as PEM: base64 in lines of 64 letters between its two markers, each line
    /// ended by LF (RFC 7468 §2).
    pub fn to_pem(&self) -> String {
        certificate(self.der())
    }
}

/// DER as a PEM entry of the label CERTIFICATE. It is not looked into.
pub(crate) fn certificate(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("{BEGIN_CERTIFICATE}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(END_CERTIFICATE);
    pem.push('\n');
    pem
}

/// The certificate of a text that has one entry, in DER, which is not looked into.
///
/// # Errors
///
/// If the text has no certificate, or another entry beside it.
pub(crate) fn only_certificate(pem: &[u8]) -> Result<CertificateDer<'static>, Error> {
    let (_, der) = only(&"bytes".into(), pem).map_err(unreadable)?;
    Ok(der)
}

fn only(source: &Arc<str>, pem: &[u8]) -> Result<(Position, CertificateDer<'static>), Fault> {
    let mut only = None;
    for entry in Entries::of(source, pem) {
        let Entry { position, item } = entry?;
        let der = match only {
            None => item.certificate(Problem::KeyForCertificate),
            Some(_) => Err(Problem::SecondEntry),
        };
        only = Some((
            position,
            der.map_err(|problem| Fault::of(source, problem).at(position))?,
        ));
    }
    only.ok_or_else(|| Fault::of(source, Problem::NoPem))
}

fn unreadable(fault: Fault) -> Error {
    fault.into_error("a certificate")
}

/// One entry of a PEM source.
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) item: Item,
}

/// What an entry holds.
pub(crate) enum Item {
    Certificate(CertificateDer<'static>),
    PrivateKey(PrivateKeyDer<'static>),
    EncryptedKey,
    /// A CRL in DER.
    Crl(Vec<u8>),
    /// Anything else, by its label.
    Other(String),
}

impl Item {
    /// The certificate that it is; where it is a private key instead, `key` is what is wrong.
    pub(crate) fn certificate(self, key: Problem) -> Result<CertificateDer<'static>, Problem> {
        Err(match self {
            Self::Certificate(der) => return Ok(der),
            Self::PrivateKey(_) | Self::EncryptedKey => key,
            Self::Other(label) if label.ends_with("PRIVATE KEY") => key,
            Self::Other(label) if label == "TRUSTED CERTIFICATE" => Problem::TrustedCertificate,
            Self::Crl(_) => Problem::NotCertificate("X509 CRL".to_owned()),
            Self::Other(label) => Problem::NotCertificate(label),
        })
    }
}

/// Finds the entries one by one; after a broken one it goes on with the next.
pub(crate) struct Entries<'a> {
    source: &'a Arc<str>,
    lines: Lines<'a>,
    count: usize,
    /// What the text may be instead, if there is no entry in it.
    instead: Option<Problem>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(line) = self.lines.next() {
            let Some(marker) = Marker::of(line) else {
                continue;
            };
            self.count += 1;
            self.instead = None;
            let position = Position {
                entry: self.count,
                line: Some(self.lines.number),
            };
            let item = match marker {
                Marker::Begin(label) => self.item(label),
                Marker::End(_) => Err(Problem::NoBegin),
                Marker::Broken => {
                    self.close();
                    Err(Problem::BrokenMarker)
                }
            };
            return Some(match item {
                Ok(item) => Ok(Entry { position, item }),
                Err(problem) => Err(Fault::of(self.source, problem).at(position)),
            });
        }
        let instead = self.instead.take()?;
        Some(Err(Fault::of(self.source, instead)))
    }
}

impl<'a> Entries<'a> {
    /// Those of a text, at least one, if only to say that there is none.
    pub(super) fn of(source: &'a Arc<str>, text: &'a [u8]) -> Self {
        // RFC 7468 has no byte order mark, but editors on Windows write one.
        let text = text.strip_prefix(UTF8_MARK).unwrap_or(text);
        Self {
            source,
            lines: Lines { text, number: 0 },
            count: 0,
            instead: Some(without_pem(text)),
        }
    }

    fn item(&mut self, label: &str) -> Result<Item, Problem> {
        let (body, end) = self.close();
        if end != Some(label) {
            return Err(Problem::NoEnd(label.to_owned()));
        }
        // RFC 5958 and, for the older kinds of keys, RFC 1421 §4.6.1.1.
        if label == "ENCRYPTED PRIVATE KEY"
            || body
                .trim_ascii_start()
                .starts_with(b"Proc-Type: 4,ENCRYPTED")
        {
            return Ok(Item::EncryptedKey);
        }
        // RFC 7468 §5.1 lets these older labels stand for the same thing.
        let kind = match label {
            "X509 CERTIFICATE" | "X.509 CERTIFICATE" => "CERTIFICATE",
            label => label,
        };
        if SectionKind::try_from(kind.as_bytes()).is_err() {
            return Ok(Item::Other(label.to_owned()));
        }
        if kind == "CERTIFICATE" {
            if let Some(der) = plain(body) {
                return Ok(Item::Certificate(der.into()));
            }
        }
        // White space before the markers would hide them from the decoder: they are written anew.
        let begin = format!("-----BEGIN {kind}-----\n");
        let end = format!("\n-----END {kind}-----\n");
        let entry = [begin.as_bytes(), body, end.as_bytes()].concat();
        match <(SectionKind, Vec<u8>)>::from_pem_slice(&entry) {
            Ok((SectionKind::Certificate, der)) => Ok(Item::Certificate(der.into())),
            Ok((SectionKind::Crl, der)) => Ok(Item::Crl(der)),
            Ok((kind, der)) => Ok(match PrivateKeyDer::from_pem(kind, der) {
                Some(key) => Item::PrivateKey(key),
                None => Item::Other(label.to_owned()),
            }),
            Err(_) => Err(Problem::Base64(label.to_owned())),
        }
    }

    /// Takes the lines of an entry up to its END. A BEGIN ends it too, but is left for the next
    /// entry.
    fn close(&mut self) -> (&'a [u8], Option<&'a str>) {
        let body = self.lines.text;
        loop {
            let before = self.lines.text;
            let taken = body.get(..body.len() - before.len()).unwrap_or_default();
            let mut ahead = self.lines;
            let marker = match ahead.next() {
                Some(line) => Marker::of(line),
                None => return (taken, None),
            };
            if let Some(Marker::Begin(_)) = marker {
                return (taken, None);
            }
            self.lines = ahead;
            match marker {
                Some(Marker::End(label)) => return (taken, Some(label)),
                Some(_) => return (taken, None),
                None => {}
            }
        }
    }
}

/// What a body holds that is nothing but base64 with all of its padding, in lines. The decoder of
/// rustls-pki-types, for which anything else is left, forgives more, reads the same from this, and
/// takes ten times as long: a platform's store has hundreds of thousands of letters.
fn plain(body: &[u8]) -> Option<Vec<u8>> {
    let mut base64 = Vec::with_capacity(body.len());
    let lines = Lines {
        text: body,
        number: 0,
    };
    lines.for_each(|line| base64.extend_from_slice(line));
    STANDARD.decode(base64).ok()
}

/// The lines of a text, each ended by LF, CR or CR LF (RFC 7468 §3), and the number of the last one
/// taken.
#[derive(Clone, Copy)]
struct Lines<'a> {
    text: &'a [u8],
    number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.text.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = self.text.split_at(line_length(self.text));
        self.text = match rest {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => rest,
        };
        Some(line)
    }
}

/// How far it is to the next LF or CR. What stands there is mostly letters, which are passed over
/// by sixteen.
fn line_length(text: &[u8]) -> usize {
    let is_clear = |some: &&[u8]| !some.iter().fold(false, |any, byte| any | (*byte <= b'\r'));
    let clear = 16 * text.chunks_exact(16).take_while(is_clear).count();
    let rest = text.get(clear..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    clear + end.unwrap_or(rest.len())
}

/// A line that opens or closes an entry, or was meant to.
enum Marker<'a> {
    Begin(&'a str),
    End(&'a str),
    Broken,
}

impl<'a> Marker<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.trim_ascii();
        if !line.starts_with(b"-") {
            return None;
        }
        let word = line
            .iter()
            .position(|byte| *byte != b'-')
            .and_then(|dashes| line.get(dashes..))?;
        if !word.starts_with(b"BEGIN ") && !word.starts_with(b"END ") {
            return None;
        }
        let begin = line.strip_prefix(b"-----BEGIN ").and_then(label);
        let end = line.strip_prefix(b"-----END ").and_then(label);
        Some(match (begin, end) {
            (Some(label), _) => Self::Begin(label),
            (_, Some(label)) => Self::End(label),
            _ => Self::Broken,
        })
    }
}

/// The label before the closing dashes. Messages quote it, so it must be one: a PEM text that lost
/// its line breaks has a whole key in that place.
fn label(rest: &[u8]) -> Option<&str> {
    let label = std::str::from_utf8(rest.strip_suffix(b"-----")?).ok()?;
    let fits = label.len() <= MAX_LABEL_BYTES;
    let allowed = |c: char| matches!(c, 'A'..='Z' | '0'..='9' | ' ' | '.' | '_' | '#' | '/');
    (fits && label.chars().all(allowed)).then_some(label)
}

/// What may be wrong with a text in which no PEM was found.
fn without_pem(text: &[u8]) -> Problem {
    match text {
        bytes if bytes.trim_ascii().is_empty() => Problem::Empty,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Problem::Utf16,
        bytes if is_pkcs12(bytes) => Problem::Pkcs12,
        bytes if is_der(bytes) => Problem::DerForPem,
        _ => Problem::NoPem,
    }
}

/// Whether it begins as DER does: with a SEQUENCE longer than 127 bytes (X.690 §8.1.3.5), as
/// every certificate, RSA key and CRL is.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0xff, ..])
}

/// PFX, RFC 7292 §4: a SEQUENCE that starts with the INTEGER 3.
pub(super) fn is_pkcs12(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x82, _, _, rest @ ..]
        | [0x30, 0x81 | 0x83, _, rest @ ..]
        | [0x30, 0x80, rest @ ..] => rest.starts_with(&[0x02, 0x01, 0x03, 0x30]),
        _ => false,
    }
}

pub(crate) const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
pub(crate) const END_CERTIFICATE: &str = "-----END CERTIFICATE-----";
/// The letters of base64 in a line, RFC 7468 §2.
const LINE: usize = 64;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest label registered or in use is some 25 letters ("ENCRYPTED PRIVATE KEY", "X509
/// ATTRIBUTE CERTIFICATE").
const MAX_LABEL_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry as `kind@entry:line`, each fault as its reason.
    fn entries(bytes: &[u8]) -> Vec<String> {
        let source = "bytes".into();
        let described = Entries::of(&source, bytes).map(|entry| match entry {
            Ok(Entry { position, item }) => {
                let kind = match item {
                    Item::Certificate(der) => format!("certificate of {}", der.len()),
                    Item::PrivateKey(_) => "key".to_owned(),
                    Item::EncryptedKey => "encrypted key".to_owned(),
                    Item::Crl(der) => format!("CRL of {}", der.len()),
                    Item::Other(label) => label,
                };
                format!("{kind}@{}:{}", position.entry, position.line.unwrap())
            }
            Err(fault) => {
                assert_eq!(&**fault.source(), "bytes");
                fault.reason()
            }
        });
        described.collect()
    }

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\nAAAA\n-----END CERTIFICATE-----\n";

    /// What is read the short way is what rustls-pki-types reads, and the rest is left for it.
    #[test]
    fn what_is_plain_is_what_the_decoder_reads() {
        let decoded = |body: &[u8]| {
            let ends = [
                &b"-----BEGIN CERTIFICATE-----\n"[..],
                b"\n-----END CERTIFICATE-----\n",
            ];
            let entry = [ends[0], body, ends[1]].concat();
            <(SectionKind, Vec<u8>)>::from_pem_slice(&entry).ok()
        };
        let (mut read, mut left) = (0, 0);
        for length in 0..200 {
            let der: Vec<u8> = (0..length).map(|n: u8| n.wrapping_mul(71)).collect();
            let pem = certificate(&der);
            let body = pem.strip_prefix(BEGIN_CERTIFICATE).unwrap();
            let body = body.trim_end().strip_suffix(END_CERTIFICATE).unwrap();
            assert_eq!(plain(body.as_bytes()), Some(der));
            for at in 0..body.len() {
                for byte in *b"A+/=-_ \n\r\t\0\x80" {
                    let mut changed = body.as_bytes().to_vec();
                    changed[at] = byte;
                    for changed in [&changed[..], &changed[at..], &changed[..at]] {
                        match plain(changed) {
                            Some(der) => {
                                let expected = (SectionKind::Certificate, der);
                                assert_eq!(decoded(changed), Some(expected));
                                read += 1;
                            }
                            None => left += 1,
                        }
                    }
                }
            }
        }
        assert!(read > 10_000 && left > 10_000, "{read} {left}");
    }

    #[test]
    fn a_line_is_as_long_as_it_is_to_its_end() {
        for length in 0..70 {
            for end in [
                "",
                "\n",
                "\r",
                "\r\n",
                "\n\n0123456789abcdef0123456789abcdef\n",
            ] {
                // A tab is in the line, and whatever is above ASCII.
                for letter in ["A", "\t", "\u{7f}"] {
                    let text = letter.repeat(length) + end;
                    assert_eq!(line_length(text.as_bytes()), length, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn finds_every_entry_however_it_is_written() {
        let one = "certificate of 6@1:1";
        let cases: &[(&str, Vec<u8>, &[&str])] = &[
            ("as it should be", ONE.into(), &[one]),
            ("CR LF", ONE.replace('\n', "\r\n").into(), &[one]),
            ("CR", ONE.replace('\n', "\r").into(), &[one]),
            ("byte order mark", format!("\u{feff}{ONE}").into(), &[one]),
            ("no last line break", ONE.trim_end().into(), &[one]),
            ("indented", ONE.replace("-----B", "  -----B").replace("\n", " \n\t").into(), &[one]),
            ("older label", ONE.replace("CERT", "X509 CERT").into(), &[one]),
            (
                "text around, CR LF counted once",
                format!("# mine\r\n\r\nBag Attributes\r\n{ONE}-- and\n{ONE}that is all").into(),
                &["certificate of 6@1:4", "certificate of 6@2:9"],
            ),
            ("key", ONE.replace("CERTIFICATE", "PRIVATE KEY").into(), &["key@1:1"]),
            ("PKCS #1 key", ONE.replace("CERTIFICATE", "RSA PRIVATE KEY").into(), &["key@1:1"]),
            ("SEC 1 key", ONE.replace("CERTIFICATE", "EC PRIVATE KEY").into(), &["key@1:1"]),
            (
                "encrypted PKCS #8",
                ONE.replace("CERTIFICATE", "ENCRYPTED PRIVATE KEY").into(),
                &["encrypted key@1:1"],
            ),
            (
                "encrypted PKCS #1",
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                 -----END RSA PRIVATE KEY-----\n"
                    .into(),
                &["encrypted key@1:1"],
            ),
            ("CRL", ONE.replace("CERTIFICATE", "X509 CRL").into(), &["CRL of 6@1:1"]),
            // RFC 7468 §6 recommends against this label.
            ("CRL by another label", ONE.replace("CERTIFICATE", "CRL").into(), &["CRL@1:1"]),
            ("a kind the decoder knows", ONE.replace("CERTIFICATE", "PUBLIC KEY").into(), &["PUBLIC KEY@1:1"]),
            ("a kind it does not", ONE.replace("CERTIFICATE", "DH PARAMETERS").into(), &["DH PARAMETERS@1:1"]),
        ];
        for (case, bytes, expected) in cases {
            assert_eq!(entries(bytes), *expected, "{case}");
        }
    }

    #[test]
    fn names_every_mistake_and_goes_on() {
        let good = "certificate of 6@2:";
        let pkcs12 = [0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03, 0x30, 0x80];
        let key = ONE
            .replace("CERTIFICATE", "PRIVATE KEY")
            .replace("AAAA", "SECRETsecret");
        let cases: &[(&str, Vec<u8>, &[&str])] = &[
            ("nothing", "".into(), &["it is empty"]),
            ("white space", " \r\n".into(), &["it is empty"]),
            ("only a mark", "\u{feff}".into(), &["it is empty"]),
            (
                "prose",
                "hello".into(),
                &["no line in it begins with -----BEGIN"],
            ),
            (
                "UTF-16",
                ONE.encode_utf16().fold(vec![0xff, 0xfe], |mut all, unit| {
                    all.extend(unit.to_le_bytes());
                    all
                }),
                &["it is UTF-16 text; save it as UTF-8"],
            ),
            (
                "DER",
                [&[0x30, 0x82, 1, 2][..], &[0; 258]].concat(),
                &["it is DER and PEM was expected"],
            ),
            ("PKCS #12", pkcs12.to_vec(), &["it is PKCS #12"]),
            (
                "broken base64",
                format!("{}{ONE}", ONE.replace("AAAA", "A*AA")).into(),
                &[
                    "entry 1 (line 1): the base64 of the CERTIFICATE is broken",
                    good,
                ],
            ),
            (
                "no END",
                format!("-----BEGIN CERTIFICATE-----\nAAAA\n{ONE}").into(),
                &[
                    "entry 1 (line 1): the CERTIFICATE has no END line of its own",
                    "certificate of 6@2:3",
                ],
            ),
            (
                "no END before the end",
                format!("{ONE}-----BEGIN CERTIFICATE-----\nAAAA\n").into(),
                &[
                    "certificate of 6@1:1",
                    "entry 2 (line 5): the CERTIFICATE has no END",
                ],
            ),
            (
                "another's END",
                format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n{ONE}").into(),
                &[
                    "entry 1 (line 1): the CERTIFICATE has no END",
                    "certificate of 6@2:4",
                ],
            ),
            (
                "END with four dashes",
                format!("{}{ONE}", ONE.replace("-----END", "----END")).into(),
                &["entry 1 (line 1): the CERTIFICATE has no END", good],
            ),
            (
                "BEGIN with four dashes",
                format!("{}{ONE}", ONE.replace("-----BEGIN", "----BEGIN")).into(),
                &[
                    "entry 1 (line 1): this line is not quite a PEM marker",
                    good,
                ],
            ),
            (
                "BEGIN not closed",
                format!(
                    "{}{ONE}",
                    ONE.replace("CERTIFICATE-----\nA", "CERTIFICATE\nA")
                )
                .into(),
                &[
                    "entry 1 (line 1): this line is not quite a PEM marker",
                    good,
                ],
            ),
            (
                "END alone",
                format!("AAAA\n-----END CERTIFICATE-----\n{ONE}").into(),
                &[
                    "entry 1 (line 2): an END line without its BEGIN",
                    "certificate of 6@2:3",
                ],
            ),
            (
                "line breaks lost",
                key.replace('\n', "").into(),
                &["entry 1 (line 1): this line is not quite a PEM marker"],
            ),
            (
                "broken base64 of a key",
                key.replace("secret", "*").into(),
                &["entry 1 (line 1): the base64 of the PRIVATE KEY is broken"],
            ),
        ];
        for (case, bytes, expected) in cases {
            let found = entries(bytes);
            assert_eq!(found.len(), expected.len(), "{case}: {found:?}");
            for (found, expected) in found.iter().zip(*expected) {
                assert!(found.starts_with(expected), "{case}: {found}");
                assert!(!found.contains("SECRET"), "{case}: {found}");
            }
        }
    }
}
