//! A response's body: bytes that know their deadline, their limits and their coding, and the
//! connection they come on.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use url::Url;

pub use content::Content;

use crate::connect::{Facts, Incoming, Lease};
use crate::decode::Decoder;
use crate::error::{Error, Result};
use crate::limits::{self, Deadline};
use crate::target::Target;
use crate::timings::{self, Phase, Timings};
use crate::trace;
use clocks::{Clocks, Watch};
use limit::{Limit, too_large};
use wire::Wire;

mod clocks;
mod content;
mod limit;
mod wire;

/// The body of a response, as a stream of bytes.
///
/// It implements [`Stream`] and [`http_body::Body`]. An error is final. Dropped before its end, it
/// closes an HTTP/1.1 connection and cancels an h2 stream.
pub struct Body {
    wire: Wire,
    decoder: Option<Box<Decoder>>,
    /// What has arrived and is not decoded yet.
    undecoded: Bytes,
    clocks: Clocks,
    watch: Watch,
    limit: Limit,
    trailers: Option<Box<HeaderMap>>,
    context: BodyContext,
    ended: bool,
}

/// How a body is to be read.
pub(crate) struct Reading {
    pub(crate) decoder: Option<Decoder>,
    pub(crate) deadline: Deadline,
    /// The caller set the deadline: it holds for a stream too.
    pub(crate) deadline_is_set: bool,
    pub(crate) max_size: Option<u64>,
    pub(crate) allow_truncated: bool,
}

impl Reading {
    /// For a body that nobody wants.
    pub(crate) fn to_discard(deadline: Deadline) -> Self {
        Self {
            decoder: None,
            deadline,
            deadline_is_set: true,
            max_size: None,
            allow_truncated: false,
        }
    }
}

impl Body {
    /// `head` has where the time went until the head had come, which was at `came`, without the
    /// bytes of this exchange.
    pub(crate) fn new(
        incoming: Incoming,
        lease: Lease,
        target: Target,
        reading: Reading,
        head: Timings,
        came: Instant,
    ) -> Self {
        let facts = Arc::clone(lease.facts());
        let moved = lease.moved();
        let mut body = Self {
            wire: Wire {
                incoming,
                lease: Some(lease),
                read: 0,
                moved,
                was_cut: false,
            },
            watch: Watch {
                timings: head.with_moved(moved),
                at: came,
                moved,
            },
            decoder: reading.decoder.map(Box::new),
            undecoded: Bytes::new(),
            clocks: Clocks {
                total: reading.deadline,
                total_holds: reading.deadline_is_set,
                sleep: None,
                waiting: false,
            },
            limit: Limit {
                most: reading.max_size,
                passed: 0,
                allow_truncated: reading.allow_truncated,
                was_truncated: false,
            },
            trailers: None,
            context: BodyContext { target, facts },
            ended: false,
        };
        body.wire.release_at_end();
        body
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Response::content`](crate::Response::content).
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// Whether the body was cut at its limit. It is known when the body has ended.
    pub fn was_truncated(&self) -> bool {
        self.limit.was_truncated
    }

    /// Where the time of the whole fetch went, until the last piece of this body that was read.
    pub fn timings(&self) -> &Timings {
        &self.watch.timings
    }

    /// The URL it came from.
    pub(crate) fn url(&self) -> &Url {
        self.context.target.url()
    }

    /// What is known of the connection it came on.
    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.context.facts
    }

    pub(crate) fn context(&self) -> BodyContext {
        self.context.clone()
    }

    /// Reads it to its end, under the limits of what is buffered.
    pub(crate) async fn collect(mut self) -> Result<Content> {
        self.clocks.total_holds = true;
        // A wait that was begun and given up did not know of this.
        self.clocks.waiting = false;
        let most = *self.limit.most.get_or_insert(limits::BUFFERED_RESPONSE);
        let announced = self.wire.size_hint().lower();
        if announced > most && self.decoder.is_none() && !self.limit.allow_truncated {
            return Err(self.failed(too_large(most)));
        }
        let Some(first) = self.chunk().await? else {
            return Ok(self.content(Bytes::new()));
        };
        if self.has_come() {
            return Ok(self.content(first));
        }
        let Some(second) = self.chunk().await? else {
            return Ok(self.content(first));
        };
        // What is announced is the server's word: it is taken for a body it could really have.
        let room = announced.clamp(0, MAX_ROOM) as usize;
        let mut whole = BytesMut::with_capacity(room.max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(self.content(whole.freeze()))
    }

    /// Whether all of it has been read, but for trailers.
    fn has_come(&self) -> bool {
        self.ended || self.decoder.is_none() && self.wire.incoming.is_end_stream()
    }

    fn content(&self, bytes: Bytes) -> Content {
        Content {
            bytes,
            was_truncated: self.limit.was_truncated,
            timings: self.watch.timings,
        }
    }

    /// Reads a body that nobody wants, to save its connection, if it is small and there already.
    pub(crate) async fn discard(mut self, within: Deadline) -> Timings {
        let most = limits::DISCARDED_BODY;
        if self.wire.incoming.is_end_stream() || self.wire.incoming.size_hint().lower() > most {
            return self.watch.timings;
        }
        let reading = poll_fn(|cx| {
            while self.wire.read <= most {
                match ready!(self.wire.poll(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                }
            }
            Poll::Ready(())
        });
        let _ = within.run(Phase::Body, reading).await;
        self.wire.count();
        self.watch.is_at(Instant::now(), self.wire.moved);
        self.watch.timings
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_limited(cx));
        if !matches!(polled, Ok(Some(_))) {
            self.ended = true;
        }
        Poll::Ready(polled.map_err(|error| self.failed(error)).transpose())
    }

    /// What is told of a failure.
    fn failed(&mut self, error: Error) -> Error {
        self.wire.count();
        self.watch.is_at(timings::now(), self.wire.moved);
        let error = self.context.complete(error);
        let error = error.with_timings(self.watch.timings);
        trace::body_failed(self.context.target.url(), &error);
        error
    }

    /// A piece that is within the limit, or the end.
    fn poll_limited(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        match ready!(self.poll_decoded(cx))? {
            None => Poll::Ready(Ok(None)),
            Some(chunk) => {
                let chunk = self.limit.pass(chunk)?;
                if self.limit.was_truncated {
                    self.ended = true;
                    // The rest is nobody's: the connection goes with it.
                    if self.wire.close() {
                        self.watch.is_at(timings::now(), self.wire.moved);
                        trace::body_read(self.context.target.url(), &self.watch.timings);
                    }
                }
                Poll::Ready(Ok((!chunk.is_empty()).then_some(chunk)))
            }
        }
    }

    /// A piece that is not empty, decoded, or the end.
    fn poll_decoded(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let Some(decoder) = self.decoder.as_deref_mut() else {
            loop {
                let frame = self
                    .clocks
                    .poll(cx, &mut self.wire, &mut self.watch, &self.context);
                match ready!(frame)? {
                    Some(frame) => match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => return Poll::Ready(Ok(Some(data))),
                        Err(frame) => self.trailers = frame.into_trailers().ok().map(Box::new),
                    },
                    None => return Poll::Ready(Ok(None)),
                }
            }
        };
        loop {
            let chunk = decoder.decode(&mut self.undecoded, self.limit.room())?;
            if !chunk.is_empty() {
                return Poll::Ready(Ok(Some(chunk)));
            }
            let frame = self
                .clocks
                .poll(cx, &mut self.wire, &mut self.watch, &self.context);
            match ready!(frame)? {
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.undecoded = data,
                    Err(frame) => self.trailers = frame.into_trailers().ok().map(Box::new),
                },
                None => {
                    decoder.finish()?;
                    return Poll::Ready(Ok(None));
                }
            }
            self.limit.check_wire(self.wire.read)?;
        }
    }
}

/// What a body's errors are told of where it came from.
#[derive(Clone)]
pub(crate) struct BodyContext {
    target: Target,
    facts: Arc<Facts>,
}

impl BodyContext {
    pub(crate) fn complete(&self, error: Error) -> Error {
        error
            .with_url(self.target.url())
            .with_verdict(self.facts.shared_verdict())
            .with_phase(Phase::Body)
            .sent(true)
    }

    /// What is told of a body that was truncated, where that is not allowed after all.
    pub(crate) fn too_large(&self, cut: &Content) -> Error {
        let error = self.complete(too_large(cut.bytes.len() as u64));
        let error = error.with_timings(cut.timings);
        trace::body_failed(self.target.url(), &error);
        error
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match ready!(self.poll_chunk(cx)) {
            Some(chunk) => Poll::Ready(Some(chunk.map(Frame::data))),
            None => Poll::Ready(
                self.trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(*trailers))),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_come() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.decoder, self.limit.most) {
            (None, None) => self.wire.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Largest announced length for which room is made before the bytes are there.
const MAX_ROOM: u64 = 1 << 20;
