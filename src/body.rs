//! A response's body: bytes that know their deadline, their limits and their coding, and the
//! connection they come on.

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep};
use url::Url;

use crate::connect::{Facts, Lease, explain};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Clock, Deadline};
use crate::timings::{self, Moved, Phase, Timings};
use crate::trace;

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
    trailers: Option<HeaderMap>,
    context: BodyContext,
    ended: bool,
}

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
        url: Url,
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
            context: BodyContext { url, facts },
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

    #[cfg(feature = "json")]
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
        trace::body_failed(&self.context.url, &error);
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
                        trace::body_read(&self.context.url, &self.watch.timings);
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
                        Err(frame) => self.trailers = frame.into_trailers().ok(),
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
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
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

/// The body as hyper gives it, and the connection it comes on.
struct Wire {
    incoming: Incoming,
    /// Until the end.
    lease: Option<Lease>,
    read: u64,
    /// By the request and its response, as far as it has been read.
    moved: Moved,
    /// The end that hyper tells of is none.
    was_cut: bool,
}

impl Wire {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.read = self.read.saturating_add(length as u64);
                if let Some(lease) = &mut self.lease {
                    lease.came(frame);
                }
                self.count();
                self.release_at_end();
            }
            Some(Err(_)) => _ = self.close(),
            None => {
                self.was_cut = self.is_cut();
                self.count();
                self.release();
            }
        }
        Poll::Ready(frame)
    }

    /// What is still to come. Over h2 hyper goes by Content-Length also where nothing will: after
    /// HEAD, and with 204 and 304.
    fn size_hint(&self) -> SizeHint {
        match self.incoming.is_end_stream() {
            true => SizeHint::with_exact(0),
            false => self.incoming.size_hint(),
        }
    }

    /// Whether the end that hyper tells of is none: it takes RST_STREAM with NO_ERROR for one, and
    /// that may only follow a whole response to a request whose payload is not wanted (RFC 9113
    /// §8.1). Had all of the payload gone, h2 would have kept to the end that came before.
    fn is_cut(&self) -> bool {
        let Some(lease) = self.lease.as_ref().filter(|lease| lease.is_http2()) else {
            return false;
        };
        let left = self.size_hint();
        left.lower() > 0 || (left.exact() != Some(0) && lease.sent_whole_payload())
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    /// Looks how much has been moved. It has to be before the next request has the connection.
    fn count(&mut self) {
        if let Some(lease) = &self.lease {
            self.moved = lease.moved();
        }
    }

    /// Lets go of the connection, which no other request may have. Whether it was there still.
    fn close(&mut self) -> bool {
        self.count();
        self.lease.take().is_some()
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

/// Keeps the timings up to date while the body is read.
struct Watch {
    timings: Timings,
    /// The moment they stand for.
    at: Instant,
    /// What of this exchange is in them.
    moved: Moved,
}

impl Watch {
    fn is_at(&mut self, now: Instant, moved: Moved) {
        let spent = now.saturating_duration_since(self.at);
        let moved_since = moved.since(self.moved);
        self.timings = self.timings.with_body(spent).with_moved(moved_since);
        (self.at, self.moved) = (now, moved);
    }
}

/// The clocks that a body is read under.
struct Clocks {
    total: Deadline,
    total_holds: bool,
    /// A sleep, and the runtime whose clock it goes by.
    sleep: Option<(Id, Pin<Box<Sleep>>)>,
    /// The sleep is set for the present wait. Time in which nobody reads does not count.
    waiting: bool,
}

impl Clocks {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut Wire,
        watch: &mut Watch,
        context: &BodyContext,
    ) -> Poll<Result<Option<Frame<Bytes>>>> {
        // Once, for all that has to know the time.
        let now = timings::now();
        if self.total_holds && self.total.is_over_at(now) {
            return Poll::Ready(Err(self.total.elapsed(Phase::Body).into()));
        }
        let was_open = wire.lease.is_some();
        if let Poll::Ready(frame) = wire.poll(cx) {
            self.waiting = false;
            // A reader may come late to see an end that was there with the last piece.
            if was_open {
                watch.is_at(now, wire.moved);
                if wire.lease.is_none() && matches!(frame, None | Some(Ok(_))) && !wire.was_cut {
                    trace::body_read(&context.url, &watch.timings);
                }
            }
            if frame.is_none() && wire.was_cut {
                return Poll::Ready(Err(Error::new(
                    ErrorKind::ConnectionClosed,
                    "the h2 stream was reset before the response was complete",
                )));
            }
            let explained = |error| explain(error, &context.facts);
            return Poll::Ready(frame.transpose().map_err(explained));
        }
        let idle = Deadline::from(now, Clock::IdleRead, limits::IDLE_READ);
        let first = match self.total_holds {
            true => idle.sooner(self.total),
            false => idle,
        };
        // It may be another runtime than last time, and the last one's clock may stand still.
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Config, "a body needs a tokio runtime to wait in")
                .with_source(error)
        })?;
        let sleep = match &mut self.sleep {
            Some((id, sleep)) if *id == runtime.id() => {
                if !self.waiting {
                    sleep.as_mut().reset(first.ends());
                }
                sleep
            }
            other => {
                let sleep = Box::pin(tokio::time::sleep_until(first.ends()));
                &mut other.insert((runtime.id(), sleep)).1
            }
        };
        self.waiting = true;
        ready!(sleep.as_mut().poll(cx));
        let ended = match self.total_holds && self.total.is_over() {
            true => self.total,
            false => idle,
        };
        Poll::Ready(Err(ended.elapsed(Phase::Body).into()))
    }
}

/// How many decoded bytes may pass.
struct Limit {
    most: Option<u64>,
    passed: u64,
    allow_truncated: bool,
    was_truncated: bool,
}

impl Limit {
    /// The chunk, or what of it is within the limit.
    fn pass(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let Some(most) = self.most else {
            self.passed = self.passed.saturating_add(chunk.len() as u64);
            return Ok(chunk);
        };
        let left = most.saturating_sub(self.passed);
        if chunk.len() as u64 > left {
            if !self.allow_truncated {
                return Err(too_large(most));
            }
            self.was_truncated = true;
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.passed += chunk.len() as u64;
        Ok(chunk)
    }

    /// Refuses a coded body that goes on and on without decoding to anything: it is no way round the
    /// limit, nor past the idle clock, which sees it come.
    fn check_wire(&self, read: u64) -> Result<()> {
        match self.most {
            Some(most) if read > most.saturating_add(WIRE_SLACK) => Err(too_large(most)),
            // Small pieces that are flushed one by one can be larger coded than decoded.
            None if read > self.passed.saturating_mul(16).saturating_add(WIRE_SLACK) => {
                Err(Error::new(
                    ErrorKind::Decode,
                    "the body's coding goes on without decoding to anything",
                ))
            }
            _ => Ok(()),
        }
    }

    /// How much to decode at once: one byte more than may pass shows that there is more.
    fn room(&self) -> NonZeroUsize {
        let left = self
            .most
            .map_or(u64::MAX, |most| most.saturating_sub(self.passed));
        let room = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
        NonZeroUsize::new(room).unwrap_or(NonZeroUsize::MIN)
    }
}

/// What a body's errors are told of where it came from.
#[derive(Clone)]
pub(crate) struct BodyContext {
    url: Url,
    facts: Arc<Facts>,
}

impl BodyContext {
    pub(crate) fn complete(&self, error: Error) -> Error {
        error
            .with_url(&self.url)
            .with_verdict(self.facts.verdict.clone())
            .with_phase(Phase::Body)
            .sent(true)
    }
}

fn too_large(most: u64) -> Error {
    Error::new(
        ErrorKind::ResponseTooLarge,
        format!("the body is larger than its limit of {most} bytes"),
    )
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
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        let nothing_is_left = self.decoder.is_none() && self.wire.incoming.is_end_stream();
        (self.ended || nothing_is_left) && self.trailers.is_none()
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

/// Bytes on the wire beyond the limit on decoded ones that a coding may cost: headers, checksums,
/// and stored blocks, which are at most a thousandth.
const WIRE_SLACK: u64 = 1 << 20;
