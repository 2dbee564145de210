//! A body that was read to its end.

use std::fmt;

use bytes::Bytes;

use crate::timings::Timings;

/// A buffered body.
///
/// Two are equal if their bytes are, and both were truncated or neither: how long it took them to
/// come is not compared.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Content {
    /// The bytes, decoded.
    pub bytes: Bytes,
    /// Whether there were more, which
    /// [`allow_truncated`](crate::RequestBuilder::allow_truncated) let go.
    pub was_truncated: bool,
    /// Where the time of the whole fetch went, until the last byte.
    pub timings: Timings,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.was_truncated == other.was_truncated
    }
}

impl Eq for Content {}

/// Without the bytes, which may be anybody's secret.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("length", &self.bytes.len())
            .field("was_truncated", &self.was_truncated)
            .field("timings", &self.timings)
            .finish()
    }
}
