//! The body of a response as it comes off the wire, in pieces that are as large as they came.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use super::failure::Broken;
use super::http1::Http1;

#[derive(Debug)]
pub(crate) enum Incoming {
    /// The connection is its own until it has come.
    Http1(Box<Http1>),
    Http2(Received),
    /// It has come, or is given up.
    Ended,
}

/// The body of an h2 response.
#[derive(Debug)]
pub(crate) struct Received {
    stream: RecvStream,
    /// What is still to come by Content-Length, to which the codec holds the peer.
    left: Option<u64>,
    data_has_ended: bool,
}

impl Received {
    pub(super) fn new(head: &HeaderMap, stream: RecvStream) -> Self {
        Self {
            stream,
            left: length(head),
            data_has_ended: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_has_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Whoever has it has read it: there is room for as much again.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) if is_harmless(&error, self.left) => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_has_ended = true,
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            Err(error) => Some(Err(error)),
        })
    }
}

/// All that was announced has come, and NO_ERROR with it: only END_STREAM is missing.
fn is_harmless(error: &h2::Error, left: Option<u64>) -> bool {
    left == Some(0) && error.is_reset() && error.reason() == Some(Reason::NO_ERROR)
}

/// The codec has refused a length that is none; those that contradict each other are nothing to go
/// by.
fn length(head: &HeaderMap) -> Option<u64> {
    let mut said = head.get_all(CONTENT_LENGTH).iter();
    let first = said.next()?;
    if said.any(|other| other != first) {
        return None;
    }
    first.to_str().ok()?.parse().ok()
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match &mut *self {
            Self::Http1(connection) => ready!(connection.poll_frame(cx)),
            Self::Ended => None,
            Self::Http2(body) => ready!(body.poll(cx)).map(|frame| frame.map_err(Broken::Http2)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.has_ended(),
            Self::Ended => true,
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    /// By Content-Length over h2, also where nothing comes: after HEAD, and with 204 and 304.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(connection) => connection.size_hint(),
            Self::Ended => SizeHint::with_exact(0),
            Self::Http2(body) => body
                .left
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
