//! Where certificates, keys and CRLs are read from: a file, a folder, a reader or bytes, in PEM or
//! DER.
//!
//! Roots, identities and CRLs come in through this one place, so that each mistake is found once and told
//! in one way: which source, which entry and line, what is wrong and what to do.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Fault, Problem};
use super::pem::{self, Entries};

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
            Err(error) => Err(nothing_at(&name, path, error)),
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
        Entries::of(&self.name, &self.bytes)
    }

    pub(crate) fn is_der(&self) -> bool {
        pem::is_der(&self.bytes)
    }

    /// The whole of a DER source.
    pub(crate) fn der(&self) -> Result<&[u8], Fault> {
        let begin = b"-----BEGIN ";
        Err(self.fault(match self.bytes.as_slice() {
            bytes if bytes.trim_ascii().is_empty() => Problem::Empty,
            bytes if pem::is_pkcs12(bytes) => Problem::Pkcs12,
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
    let metadata = fs::metadata(path).map_err(|error| nothing_at(name, path, error))?;
    if !metadata.is_dir() {
        return Err(Fault::of(name, Problem::IsFile));
    }
    let members = fs::read_dir(path).and_then(|members| members.collect::<io::Result<Vec<_>>>());
    let members = members.map_err(|error| Fault::of(name, error.into()))?;
    if members.is_empty() {
        return Err(Fault::of(name, Problem::EmptyFolder));
    }
    let mut names: Vec<OsString> = members.iter().map(DirEntry::file_name).collect();
    names.sort_unstable();
    let is_alias = |member: &PathBuf| {
        let target = fs::read_link(member);
        target.is_ok_and(|target| names.binary_search(&target.into_os_string()).is_ok())
    };
    let members = names.iter().map(|name| path.join(name));
    Ok(members.filter(|member| !is_alias(member)).collect())
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

/// What is wrong with a path that somebody named.
fn nothing_at(name: &Arc<str>, path: &Path, error: io::Error) -> Fault {
    let problem = match is_text(path) {
        true => Problem::TextForPath,
        false => error.into(),
    };
    Fault::of(name, problem)
}

/// Whether a path is the text itself, which is easily given in the place of its file's name.
fn is_text(path: &Path) -> bool {
    let begin = b"-BEGIN ";
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.windows(begin.len()).any(|window| window == begin)
}

/// A path as messages write it: what could act on a terminal is escaped, and other letters are left
/// alone. One that is PEM text is not written, for it may be a key.
pub(crate) fn path_name(path: &Path) -> Arc<str> {
    if is_text(path) {
        return "PEM text".into();
    }
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

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\nAAAA\n-----END CERTIFICATE-----\n";

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
