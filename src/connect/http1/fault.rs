//! What is wrong with a reply over HTTP/1.1. Pure.

use std::fmt;

/// Why there is no more of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection has ended before it.
    Ended,
    /// Its head is larger than it may be, or has more fields.
    TooLarge,
    Head(httparse::Error),
    Malformed(&'static str),
}

impl Fault {
    pub(crate) fn is_malformed(self) -> bool {
        matches!(self, Self::Head(_) | Self::Malformed(_))
    }
}

impl From<httparse::Error> for Fault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            error => Self::Head(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the end came too early"),
            Self::TooLarge => f.write_str("the head is too large"),
            Self::Head(error) => write!(f, "{error}"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}
