//! The body of an answer of the well-behaved servers: some bytes, a run of repeated ones, some
//! bytes.
//!
//! Nothing is held that can be made on the way, so a body of any length costs one chunk.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body of `head`, then `fill` as often as it takes for `filling` bytes, then `tail`.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) head: Bytes,
    pub(super) fill: Bytes,
    pub(super) filling: u64,
    pub(super) tail: Bytes,
    /// Whether the length is kept to ourselves: no Content-Length then.
    pub(super) unannounced: bool,
}

impl Reply {
    /// `length` times the same letter.
    pub(super) fn filled(length: u64) -> Self {
        Self {
            fill: Bytes::from_static(&[b'.'; CHUNK]),
            filling: length,
            ..Self::default()
        }
    }
}

impl<T: Into<Bytes>> From<T> for Reply {
    fn from(bytes: T) -> Self {
        Self {
            head: bytes.into(),
            ..Self::default()
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = if !self.head.is_empty() {
            std::mem::take(&mut self.head)
        } else if self.filling > 0 && !self.fill.is_empty() {
            let length = self
                .fill
                .len()
                .min(usize::try_from(self.filling).unwrap_or(usize::MAX));
            self.filling -= length as u64;
            self.fill.slice(..length)
        } else if !self.tail.is_empty() {
            std::mem::take(&mut self.tail)
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.unannounced {
            return SizeHint::default();
        }
        let ends = self.head.len() as u64 + self.tail.len() as u64;
        SizeHint::with_exact(ends.saturating_add(self.filling))
    }
}

const CHUNK: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn as_long_as_announced() {
        let repeated = Reply {
            head: Bytes::from_static(b"<"),
            fill: Bytes::from_static(b"abc"),
            filling: 7,
            tail: Bytes::from_static(b">"),
            unannounced: false,
        };
        for (reply, expected) in [
            (Reply::default(), String::new()),
            (Reply::from("text"), "text".to_owned()),
            (Reply::filled(40_000), ".".repeat(40_000)),
            (repeated, "<abcabca>".to_owned()),
        ] {
            assert_eq!(reply.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(reply.collect().await.unwrap().to_bytes(), expected);
        }
    }

    #[test]
    fn a_length_kept_back_is_no_hint() {
        assert_eq!(
            Reply {
                unannounced: true,
                ..Reply::filled(10)
            }
            .size_hint()
            .exact(),
            None
        );
    }
}
