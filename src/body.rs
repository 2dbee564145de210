//! A response's body: bytes that know their deadline, their limits and their coding, and the
//! connection they come on.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use url::Url;

pub use content::Content;
pub(crate) use context::BodyContext;
pub(crate) use reader::{Reader, Reading};

use crate::connect::Facts;
use crate::error::{Error, Result};
use crate::timings::Timings;

mod clocks;
mod content;
mod context;
mod limit;
mod reader;
mod wire;

/// The body of a response, as a stream of bytes.
///
/// It implements [`Stream`] and [`http_body::Body`]. An error is final. Dropped before its end, it
/// closes an HTTP/1.1 connection and cancels an h2 stream.
// In a box, as it is handed on with its response from one future to the next.
pub struct Body(Box<Reader>);

impl Body {
    pub(crate) fn new(reader: Reader) -> Self {
        Self(Box::new(reader))
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Response::content`](crate::Response::content).
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.0.poll_chunk(cx)).await.transpose()
    }

    /// Whether the body was cut at its limit. It is known when the body has ended.
    pub fn was_truncated(&self) -> bool {
        self.0.was_truncated()
    }

    /// Where the time of the whole fetch went, until the last piece of this body that was read.
    pub fn timings(&self) -> &Timings {
        self.0.timings()
    }

    /// The URL it came from.
    pub(crate) fn url(&self) -> &Url {
        self.context().url()
    }

    /// What is known of the connection it came on.
    pub(crate) fn facts(&self) -> &Arc<Facts> {
        self.context().facts()
    }

    pub(crate) fn context(&self) -> &BodyContext {
        self.0.context()
    }

    /// Reads it to its end, under the limits of what is buffered.
    pub(crate) async fn collect(mut self) -> Result<Content> {
        self.0.collect().await
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_chunk(cx)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match ready!(self.0.poll_chunk(cx)) {
            Some(chunk) => Poll::Ready(Some(chunk.map(Frame::data))),
            None => Poll::Ready(
                self.0
                    .take_trailers()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("ended", &self.0.has_ended())
            .finish_non_exhaustive()
    }
}
