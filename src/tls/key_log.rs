//! The secrets of TLS sessions in a file, for those who have to read what went over the wire: as
//! SSLKEYLOGFILE names it, and only for a client that was told to.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::demand::Environment;
use super::shown::Shown;
use crate::error::{Error, ErrorKind, Result};
use crate::trace;

/// A file that secrets are appended to, in the format of NSS, which Wireshark reads.
pub(crate) struct KeyLog {
    path: PathBuf,
    file: Mutex<File>,
    has_failed: AtomicBool,
}

impl KeyLog {
    /// Opens the file that SSLKEYLOGFILE names, and says so in the log; `None` if it names none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it cannot be opened.
    pub(crate) fn open(environment: Environment<'_>) -> Result<Option<Arc<Self>>> {
        let Some(path) = environment(SSLKEYLOGFILE) else {
            return Ok(None);
        };
        if path.is_empty() {
            trace::empty_variable(SSLKEYLOGFILE);
            return Ok(None);
        }
        let path = PathBuf::from(path);
        let file = append(&path).map_err(|error| {
            let shown = path.to_string_lossy();
            Error::new(
                ErrorKind::Config,
                format!(
                    "{SSLKEYLOGFILE} names {}, which cannot be opened",
                    Shown(&shown)
                ),
            )
            .with_source(error)
        })?;
        trace::key_log(&path);
        Ok(Some(Arc::new(Self {
            path,
            file: Mutex::new(file),
            has_failed: AtomicBool::new(false),
        })))
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = line(label, client_random, secret);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // As a whole, for others may append to the same file.
        let Err(error) = file.write_all(line.as_bytes()) else {
            return;
        };
        // A handshake does not fail for want of a log of it.
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            trace::key_log_failed(&self.path, &error);
        }
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Whoever can read it can read what the sessions carried: it is its owner's alone. And nobody waits
/// for who reads it: of a pipe, neither the client for a reader nor a handshake for what he takes.
fn append(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

/// `LABEL CLIENT_RANDOM SECRET`, the last two in hexadecimal (draft-ietf-tls-keylogfile §2).
fn line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let mut line =
        String::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 3);
    line.push_str(label);
    for bytes in [client_random, secret] {
        line.push(' ');
        for byte in bytes {
            // To a string, this cannot fail.
            let _ = write!(line, "{byte:02x}");
        }
    }
    line.push('\n');
    line
}

const SSLKEYLOGFILE: &str = "SSLKEYLOGFILE";

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use rustls::KeyLog as _;

    use super::*;

    #[test]
    fn a_line_is_a_label_a_random_and_a_secret() {
        assert_eq!(
            line("CLIENT_RANDOM", &[0, 0xff], &[0x1a]),
            "CLIENT_RANDOM 00ff 1a\n"
        );
    }

    #[test]
    fn a_variable_that_names_nothing_logs_nothing() {
        for value in [None, Some("")] {
            let environment = |name: &str| {
                assert_eq!(name, "SSLKEYLOGFILE");
                value.map(OsString::from)
            };
            assert!(KeyLog::open(&environment).unwrap().is_none(), "{value:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_full_is_no_panic() {
        let log = KeyLog::open(&|_| Some("/dev/full".into()))
            .unwrap()
            .unwrap();
        log.log("CLIENT_RANDOM", &[0], &[1]);
        log.log("CLIENT_RANDOM", &[0], &[1]);
        assert!(log.has_failed.load(Ordering::Relaxed));
    }
}
