//! How a body is read: piece by piece, under its clocks, within its limit, decoded.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, SizeHint};
use tokio::time::Instant;

use super::clocks::{Clocks, Watch};
use super::content::Content;
use super::context::BodyContext;
use super::limit::{Limit, too_large};
use super::wire::Wire;
use crate::connect::{Incoming, Lease};
use crate::decode::Decoder;
use crate::error::{Error, Result};
use crate::limits::{self, Deadline};
use crate::target::Target;
use crate::timings::{self, Phase, Timings};
use crate::trace;

/// A body that is being read.
pub(crate) struct Reader {
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

impl Reader {
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
            context: BodyContext::new(target, facts),
            ended: false,
        };
        body.wire.release_at_end();
        body
    }

    pub(super) fn was_truncated(&self) -> bool {
        self.limit.was_truncated
    }

    pub(super) fn timings(&self) -> &Timings {
        &self.watch.timings
    }

    pub(super) fn context(&self) -> &BodyContext {
        &self.context
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What came after the data, once.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take().map(|trailers| *trailers)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.has_come() && self.trailers.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match (&self.decoder, self.limit.most) {
            (None, None) => self.wire.size_hint(),
            _ => SizeHint::default(),
        }
    }

    /// The next piece, or `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// Reads it to its end, under the limits of what is buffered.
    pub(super) async fn collect(&mut self) -> Result<Content> {
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

    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
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
        trace::body_failed(self.context.url(), &error);
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
                        trace::body_read(self.context.url(), &self.watch.timings);
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

/// Largest announced length for which room is made before the bytes are there.
const MAX_ROOM: u64 = 1 << 20;
