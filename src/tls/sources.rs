//! Where certificates, keys and CRLs are read from: a file, a folder, a reader or bytes, in PEM or
//! DER.
//!
//! Roots, identities and CRLs come in through this one place, so that each mistake is found once and told
//! in one way: which source, which entry and line, what is wrong and what to do. rustls-pki-types
//! decodes the entries. Finding them is ours, because its reader passes over in silence a kind of
//! entry it does not know, an entry behind a byte order mark or white space, and a BEGIN that is
//! followed by another BEGIN.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fault::{Fault, Position, Problem};

/// Bytes, and the name by which messages call them. They may hold a private key, hence no `Debug`.
pub(crate) struct Source {
    name: Arc<str>,
    bytes: Vec<u8>,
}

impl Source {
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self {
            name: "bytes".into(),
            bytes: bytes.to_vec(),
        }
    }

    pub(crate) fn reader(reader: impl Read, limit: Limit) -> Result<Self, Fault> {
        Self::read("reader".into(), reader, 0, limit)
    }

    /// A file that somebody named. It need not be a regular one: a pipe will do.
    pub(crate) fn file(name: Arc<str>, path: &Path, limit: Limit) -> Result<Self, Fault> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(Fault::of(&name, Problem::IsFolder)),
            Ok(metadata) => Self::open(name, path, metadata.len(), limit),
            Err(error) => Err(Fault::of(&name, error.into())),
        }
    }

    /// A file that was found in a folder: a regular one or a link to one, for to open anything else
    /// may block.
    pub(crate) fn member(name: Arc<str>, path: &Path, limit: Limit) -> Result<Self, Fault> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Self::open(name, path, metadata.len(), limit),
            Ok(_) => Err(Fault::of(&name, Problem::NotRegular)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Fault::of(&name, Problem::DanglingLink))
            }
            Err(error) => Err(Fault::of(&name, error.into())),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The entries of a PEM source: at least one, if only to say that there is none.
    pub(crate) fn entries(&self) -> Entries<'_> {
        let text = self.text();
        Entries {
            source: self,
            lines: Lines { text, number: 0 },
            count: 0,
            ended: false,
        }
    }

    /// Whether it begins as DER does: with a SEQUENCE longer than 127 bytes (X.690 §8.1.3.5), as
    /// every certificate, RSA key and CRL is.
    pub(crate) fn is_der(&self) -> bool {
        matches!(self.bytes.as_slice(), [0x30, 0x80..=0xff, ..])
    }

    /// The whole of a DER source.
    pub(crate) fn der(&self) -> Result<&[u8], Fault> {
        let begin = b"-----BEGIN ";
        Err(self.fault(match self.bytes.as_slice() {
            bytes if bytes.trim_ascii().is_empty() => Problem::Empty,
            bytes if is_pkcs12(bytes) => Problem::Pkcs12,
            bytes @ [0x30, ..] => return Ok(bytes),
            bytes if bytes.windows(begin.len()).any(|window| window == begin) => Problem::PemForDer,
            _ => Problem::NotDer,
        }))
    }

    pub(crate) fn fault(&self, problem: Problem) -> Fault {
        Fault::of(&self.name, problem)
    }

    fn open(name: Arc<str>, path: &Path, length: u64, limit: Limit) -> Result<Self, Fault> {
        match File::open(path) {
            Ok(file) => Self::read(name, file, length, limit),
            Err(error) => Err(Fault::of(&name, error.into())),
        }
    }

    /// Reads to the end, for which room of the expected length is made at once.
    fn read(
        name: Arc<str>,
        reader: impl Read,
        expected: u64,
        Limit { max_mib }: Limit,
    ) -> Result<Self, Fault> {
        let max = max_mib << 20;
        let mut bytes = Vec::with_capacity(expected.min(max) as usize + 1);
        match reader.take(max + 1).read_to_end(&mut bytes) {
            Ok(length) if length as u64 > max => {
                Err(Fault::of(&name, Problem::TooLarge { max_mib }))
            }
            Ok(_) => Ok(Self { name, bytes }),
            Err(error) => Err(Fault::of(&name, error.into())),
        }
    }

    /// RFC 7468 has no byte order mark, but editors on Windows write one.
    fn text(&self) -> &[u8] {
        self.bytes.strip_prefix(UTF8_MARK).unwrap_or(&self.bytes)
    }

    /// What may be wrong with a text in which no PEM was found.
    fn without_pem(&self) -> Problem {
        match self.text() {
            bytes if bytes.trim_ascii().is_empty() => Problem::Empty,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Problem::Utf16,
            bytes if is_pkcs12(bytes) => Problem::Pkcs12,
            _ if self.is_der() => Problem::DerForPem,
            _ => Problem::NoPem,
        }
    }
}

/// How much of a source is read: room for any real one, and a bound on what a wrong path such as
/// `/dev/zero` can cost.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    max_mib: u64,
}

impl Limit {
    /// Some seventy times Debian's bundle of all public CAs (220 KB in 2026).
    pub(crate) const CERTIFICATES: Self = Self { max_mib: 16 };

    /// Two and a half million entries in DER, or near two million in PEM: one of 16 bytes of serial
    /// number, a date and a reason has some 50 bytes (RFC 5280 §5.1.2.6).
    pub(crate) const CRLS: Self = Self { max_mib: 128 };
}

/// The paths in a folder, sorted, so that the same folder always reads the same. A link to a
/// neighbour is left out, for that is the same file: `openssl rehash` makes at least one for each
/// certificate.
fn folder(name: &Arc<str>, path: &Path) -> Result<Vec<PathBuf>, Fault> {
    let metadata = fs::metadata(path).map_err(|error| Fault::of(name, error.into()))?;
    if !metadata.is_dir() {
        return Err(Fault::of(name, Problem::IsFile));
    }
    let members = fs::read_dir(path).and_then(|members| members.collect::<io::Result<Vec<_>>>());
    let members = members.map_err(|error| Fault::of(name, error.into()))?;
    if members.is_empty() {
        return Err(Fault::of(name, Problem::EmptyFolder));
    }
    let names: HashSet<OsString> = members.iter().map(DirEntry::file_name).collect();
    let is_alias = |member: &&DirEntry| {
        let target = fs::read_link(member.path());
        target.is_ok_and(|target| names.contains(target.as_os_str()))
    };
    let distinct = members.iter().filter(|member| !is_alias(member));
    let mut paths: Vec<PathBuf> = distinct.map(DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

/// Reads a folder's files, so far as they can be used, and gives back what is wrong with the rest.
/// `add` says of one how much of it is usable, and what is not; `name` makes a name from a path.
///
/// # Errors
///
/// If the folder cannot be read, or nothing in it is what is `wanted`.
pub(crate) fn read_folder(
    path: &Path,
    name: impl Fn(&Path) -> Arc<str>,
    limit: Limit,
    wanted: &'static str,
    mut add: impl FnMut(&Source) -> (usize, Vec<Fault>),
) -> Result<Vec<Fault>, Fault> {
    let whole = name(path);
    let mut usable = 0;
    let mut faults = Vec::new();
    for member in folder(&whole, path)? {
        match Source::member(name(&member), &member, limit) {
            Ok(source) => {
                let (more, broken) = add(&source);
                usable += more;
                faults.extend(broken);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if usable > 0 {
        return Ok(faults);
    }
    let problem = match faults.first() {
        Some(first) => Problem::NoUsableMember {
            wanted,
            skipped: faults.len(),
            first: format!("{}: {}", first.source(), first.reason()),
        },
        // Links that lead to each other.
        None => Problem::EmptyFolder,
    };
    Err(Fault::of(&whole, problem))
}

/// A path as messages write it: what could act on a terminal is escaped, and other letters are left
/// alone.
pub(crate) fn path_name(path: &Path) -> Arc<str> {
    let mut name = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            name.extend(character.escape_default());
        } else {
            name.push(character);
        }
    }
    name.into()
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

/// Finds the entries one by one; after a broken one it goes on with the next.
pub(crate) struct Entries<'a> {
    source: &'a Source,
    lines: Lines<'a>,
    count: usize,
    ended: bool,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(line) = self.lines.next() {
            let Some(marker) = Marker::of(line) else {
                continue;
            };
            self.count += 1;
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
                Err(problem) => Err(self.source.fault(problem).at(position)),
            });
        }
        if self.count == 0 && !self.ended {
            self.ended = true;
            return Some(Err(self.source.fault(self.source.without_pem())));
        }
        None
    }
}

impl<'a> Entries<'a> {
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
        let length = self
            .text
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'));
        let (line, rest) = self.text.split_at(length.unwrap_or(self.text.len()));
        self.text = match rest {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => rest,
        };
        Some(line)
    }
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

/// PFX, RFC 7292 §4: a SEQUENCE that starts with the INTEGER 3.
fn is_pkcs12(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x82, _, _, rest @ ..]
        | [0x30, 0x81 | 0x83, _, rest @ ..]
        | [0x30, 0x80, rest @ ..] => rest.starts_with(&[0x02, 0x01, 0x03, 0x30]),
        _ => false,
    }
}

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest label registered or in use is some 25 letters ("ENCRYPTED PRIVATE KEY", "X509
/// ATTRIBUTE CERTIFICATE").
const MAX_LABEL_BYTES: usize = 40;

/// A folder of a test's own, which goes with it.
#[cfg(test)]
pub(super) mod scratch {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub(in crate::tls) struct Scratch(PathBuf);

    impl Scratch {
        pub(in crate::tls) fn new() -> Self {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("urlfetch-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(in crate::tls) fn path(&self) -> &Path {
            &self.0
        }

        pub(in crate::tls) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scratch::Scratch;
    use super::*;

    /// Each entry as `kind@entry:line`, each fault as its reason.
    fn entries(bytes: &[u8]) -> Vec<String> {
        let source = Source::bytes(bytes);
        let described = source.entries().map(|entry| match entry {
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

    #[test]
    fn der_is_told_from_what_is_not() {
        let pkcs12 = [0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03, 0x30, 0x80];
        let cases: &[(&[u8], &str)] = &[
            (b"", "it is empty"),
            (b"\n", "it is empty"),
            (ONE.as_bytes(), "it is PEM and DER was expected"),
            (b"hello", "it is neither DER nor PEM"),
            (&pkcs12, "it is PKCS #12"),
        ];
        for (bytes, expected) in cases {
            let reason = Source::bytes(bytes).der().unwrap_err().reason();
            assert!(reason.starts_with(expected), "{reason}");
        }
        assert_eq!(Source::bytes(&[0x30, 0]).der().unwrap(), [0x30, 0]);
    }

    #[test]
    fn a_file_or_a_reader_that_cannot_be_read() {
        let scratch = Scratch::new();
        let file = scratch.file("file", ONE);
        let read =
            |path: &Path| Source::file(path_name(path), path, Limit::CERTIFICATES).map(|_| ());
        let members = |path: &Path| folder(&path_name(path), path).map(|_| ());
        let empty = scratch.path().join("empty");
        fs::create_dir(&empty).unwrap();

        assert!(read(&file).is_ok() && members(scratch.path()).is_ok());
        let cases = [
            (
                read(&scratch.path().join("none")),
                "none: there is nothing at this path",
            ),
            (
                members(&scratch.path().join("none")),
                "none: there is nothing at this path",
            ),
            (
                read(&empty),
                "empty: it is a folder and a file was expected",
            ),
            (
                members(&file),
                "file: it is not a folder and one was expected",
            ),
            (members(&empty), "empty: the folder is empty"),
            (
                read(Path::new("a\0b")),
                "a\\u{0}b: reading failed (check the path and its permissions): ",
            ),
            (
                Source::reader(io::repeat(b'A'), Limit::CERTIFICATES).map(|_| ()),
                "reader: it is larger than 16 MiB",
            ),
            (
                Source::reader(Failing, Limit::CERTIFICATES).map(|_| ()),
                "reader: reading failed (check the path and its permissions): cut",
            ),
        ];
        for (result, expected) in cases {
            let fault = result.unwrap_err();
            let told = format!("{}: {}", fault.source(), fault.reason());
            let error = fault.into_error("CA certificates");
            assert_eq!(error.kind(), crate::error::ErrorKind::Config);
            assert!(told.contains(expected), "{told}");
            assert_eq!(
                error.to_string(),
                format!("cannot read CA certificates from {told}")
            );
        }
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let read = |length, limit| {
            let source = Source::reader(io::repeat(b'A').take(length), limit);
            source.map(|source| source.bytes.len() as u64)
        };
        let most = 16 << 20;
        assert_eq!(read(most, Limit::CERTIFICATES).unwrap_or(0), most);
        assert!(read(most + 1, Limit::CERTIFICATES).is_err());
        assert_eq!(read(most + 1, Limit::CRLS).unwrap_or(0), most + 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_read_without_blocking() {
        let scratch = Scratch::new();
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let reason = |path: &Path| {
            Source::member(path_name(path), path, Limit::CERTIFICATES)
                .err()
                .unwrap()
                .reason()
        };
        assert!(reason(&link).starts_with("the link leads nowhere"));
        assert!(reason(Path::new("/dev/zero")).starts_with("it is not a file"));
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("cut"))
        }
    }
}
