//! Why a proxy gave no tunnel. Pure.

use std::fmt;
use std::io;

/// What became of asking a proxy for a tunnel.
#[derive(Debug)]
pub(super) enum Denied {
    /// It wants a user name and a password, and was given none.
    Unauthorized,
    /// It was given a user name and a password, and wants others.
    Unrecognized,
    /// It will not, or cannot: in words that may be shown.
    Refused(String),
    /// What it answered is no answer.
    Malformed(&'static str),
    /// It went away.
    Closed,
    Io(io::Error),
}

impl Denied {
    /// The sentence for one proxy and one origin, each as host and port.
    pub(super) fn sentence(&self, proxy: impl fmt::Display, origin: impl fmt::Display) -> String {
        match self {
            Self::Unauthorized => format!(
                "the proxy {proxy} wants a user name and a password before it opens a tunnel to \
                 {origin}"
            ),
            Self::Unrecognized => format!(
                "the proxy {proxy} does not take the user name and password that it was given, and \
                 opened no tunnel to {origin}"
            ),
            Self::Refused(why) => format!("the proxy {proxy} refused a tunnel to {origin}: {why}"),
            Self::Malformed(what) => format!(
                "the proxy {proxy} gave no proper answer when asked for a tunnel to {origin}: {what}"
            ),
            Self::Closed => format!(
                "the proxy {proxy} closed the connection when asked for a tunnel to {origin}"
            ),
            Self::Io(error) => {
                format!("asking the proxy {proxy} for a tunnel to {origin} failed: {error}")
            }
        }
    }

    /// What safely helps.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized => {
                Some("a proxy's URL can have them: http://user:password@host:port")
            }
            Self::Unrecognized => Some(
                "they are those of the proxy's URL, where a %, @, :, / or the like in them is \
                 percent-encoded",
            ),
            _ => None,
        }
    }
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
