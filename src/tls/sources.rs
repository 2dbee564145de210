//! Where certificates and keys are read from: a file, a folder, a reader or bytes, in PEM or DER.
//!
//! Roots, identities and revocation lists come in through this one place, so that each mistake is found once and told
//! in one way: which source, which entry and line, what is wrong and what to do. rustls-pki-types decodes the entries.
//! Finding them is ours, because its reader passes over in silence a kind of entry it does not know, an entry behind a
//! byte order mark or white space, and a BEGIN that is followed by another BEGIN.

use std::fs::{self, File};
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

    pub(crate) fn reader(reader: impl Read) -> Result<Self, Fault> {
        Self::read("reader".into(), reader)
    }

    /// A file that somebody named. It need not be a regular one: a pipe will do.
    pub(crate) fn file(name: Arc<str>, path: &Path) -> Result<Self, Fault> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(Fault::of(&name, Problem::IsFolder)),
            Ok(_) => match File::open(path) {
                Ok(file) => Self::read(name, file),
                Err(error) => Err(Fault::of(&name, error.into())),
            },
            Err(error) => Err(Fault::of(&name, error.into())),
        }
    }

    /// A file that was found in a folder: a regular one or a link to one, for to open anything else may block.
    pub(crate) fn member(name: Arc<str>, path: &Path) -> Result<Self, Fault> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Self::file(name, path),
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
        // RFC 7468 has no byte order mark, but editors on Windows write one.
        let text = self.bytes.strip_prefix(UTF8_MARK).unwrap_or(&self.bytes);
        Entries {
            source: self,
            lines: Lines { text, number: 0 },
            count: 0,
            ended: false,
        }
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

    fn read(name: Arc<str>, reader: impl Read) -> Result<Self, Fault> {
        let max = MAX_MIB << 20;
        let mut bytes = Vec::new();
        match reader.take(max + 1).read_to_end(&mut bytes) {
            Ok(length) if length as u64 > max => {
                Err(Fault::of(&name, Problem::TooLarge { max_mib: MAX_MIB }))
            }
            Ok(_) => Ok(Self { name, bytes }),
            Err(error) => Err(Fault::of(&name, error.into())),
        }
    }

    /// What may be wrong with a text in which no PEM was found.
    fn without_pem(&self) -> Problem {
        match self.bytes.as_slice() {
            bytes if bytes.trim_ascii().is_empty() => Problem::Empty,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Problem::Utf16,
            bytes if is_pkcs12(bytes) => Problem::Pkcs12,
            // A SEQUENCE longer than 127 bytes (X.690 §8.1.3.5), as every certificate and RSA key is.
            [0x30, 0x80..=0xff, ..] => Problem::DerForPem,
            _ => Problem::NoPem,
        }
    }
}

/// The paths in a folder, sorted, so that the same folder always reads the same.
pub(crate) fn folder(name: &Arc<str>, path: &Path) -> Result<Vec<PathBuf>, Fault> {
    let metadata = fs::metadata(path).map_err(|error| Fault::of(name, error.into()))?;
    if !metadata.is_dir() {
        return Err(Fault::of(name, Problem::IsFile));
    }
    let members =
        fs::read_dir(path).and_then(|members| members.map(|member| Ok(member?.path())).collect());
    let mut members: Vec<PathBuf> = members.map_err(|error| Fault::of(name, error.into()))?;
    if members.is_empty() {
        return Err(Fault::of(name, Problem::EmptyFolder));
    }
    members.sort();
    Ok(members)
}

/// A path as messages write it: what could act on a terminal is escaped, and other letters are left alone.
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
            Ok((kind, der)) => Ok(match PrivateKeyDer::from_pem(kind, der) {
                Some(key) => Item::PrivateKey(key),
                None => Item::Other(label.to_owned()),
            }),
            Err(_) => Err(Problem::Base64(label.to_owned())),
        }
    }

    /// Takes the lines of an entry up to its END. A BEGIN ends it too, but is left for the next entry.
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

/// The lines of a text, each ended by LF, CR or CR LF (RFC 7468 §3), and the number of the last one taken.
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

/// The label before the closing dashes. Messages quote it, so it must be one: a PEM text that lost its line breaks has
/// a whole key in that place.
fn label(rest: &[u8]) -> Option<&str> {
    let label = str::from_utf8(rest.strip_suffix(b"-----")?).ok()?;
    let fits = label.len() <= MAX_LABEL_BYTES && !label.contains('-');
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

/// Some seventy times Debian's bundle of all public CAs (220 KB in 2026): room for any real source, and a bound on what a
/// wrong path such as `/dev/zero` can cost.
const MAX_MIB: u64 = 16;

/// The longest label registered or in use is some 25 letters ("ENCRYPTED PRIVATE KEY", "X509 ATTRIBUTE CERTIFICATE").
const MAX_LABEL_BYTES: usize = 40;
