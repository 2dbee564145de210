//! What strangers wrote, fit for people to read: escaped and bounded.

use std::fmt::{self, Write as _};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use x509_cert::der::DateTime;

/// A text from a stranger, fit for a message or a log: what is not printable ASCII, `"` and `\` are
/// written as `\u{..}`, so that no terminal obeys it, no quotation ends early and no letter poses
/// as another. What is longer than [`MAX_SHOWN_CHARS`] is cut, and ends in `…`.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        screen(f, self.0, "\\\"")
    }
}

/// The same for what has `\` and `"` of its own: a sentence that quotes a stranger, or a
/// distinguished name, to which RFC 4514 gives its own escapes.
pub(crate) struct ShownSentence<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for ShownSentence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        screen(f, &self.0, "")
    }
}

fn screen(
    f: &mut fmt::Formatter<'_>,
    text: impl fmt::Display,
    also_escaped: &'static str,
) -> fmt::Result {
    let mut screen = Screen {
        out: f,
        room: MAX_SHOWN_CHARS,
        also_escaped,
    };
    // An error is how the writer stops a text that does not fit.
    match write!(screen, "{text}") {
        Ok(()) => Ok(()),
        Err(fmt::Error) => f.write_char('…'),
    }
}

struct Screen<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    room: usize,
    also_escaped: &'static str,
}

impl fmt::Write for Screen<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let plain = matches!(c, ' '..='~') && !self.also_escaped.contains(c);
            let width = if plain { 1 } else { c.escape_unicode().len() };
            self.room = self.room.checked_sub(width).ok_or(fmt::Error)?;
            if plain {
                self.out.write_char(c)?;
            } else {
                write!(self.out, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// A moment as people write it (RFC 3339).
pub(crate) fn date(moment: UnixTime) -> String {
    match DateTime::from_unix_duration(Duration::from_secs(moment.as_secs())) {
        Ok(date) => date.to_string(),
        Err(_) => format!("{} s after 1970", moment.as_secs()),
    }
}

/// Lower-case hexadecimal, as fingerprints are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // To a string, this cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A reader is shown at most so many names of a list that a stranger wrote.
pub(crate) const MAX_SHOWN_NAMES: usize = 8;

/// The length of the longest DNS name in text (RFC 1035 §2.3.4), so that no real one is cut.
const MAX_SHOWN_CHARS: usize = 253;
