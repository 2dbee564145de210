//! HTTP/1.1 on one connection (RFC 9112): one request, its response, and then the next.
//!
//! Nothing drives it but whoever has the request: no task and no channel is between. Between two
//! requests it has [a watch](Http1::watch), and is looked at before the next one is written.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::response::Parts;
use http::{HeaderMap, Version};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::Stream;
use super::failure::Broken;
use super::framing::{self, Doubt, Extent};
use super::outgoing::Outgoing;
use super::transport::Unread;
use crate::limits;
use chunked::{Chunks, Piece};
pub(crate) use fault::Fault;
use head::Heads;
use outbound::Outbound;

mod chunked;
mod fault;
mod head;
mod outbound;

/// A connection over which one request is sent after the other.
pub(crate) struct Http1 {
    stream: Stream,
    /// What has come and nobody has taken.
    read: BytesMut,
    outbound: Outbound,
    inbound: Inbound,
    /// By the request, or by its response, no other follows.
    is_last: bool,
    /// How much to read at once.
    room: usize,
    /// The last look below TLS found nothing: more can only come from the socket.
    is_dry: bool,
}

/// A request, but for its head, which is written already.
pub(crate) struct Asked {
    pub(crate) payload: Outgoing,
    /// The response has no body, whatever its head says.
    pub(crate) is_head: bool,
    /// It says that the connection is to be closed.
    pub(crate) is_last: bool,
}

/// Where in a response the reader is.
#[derive(Debug)]
enum Inbound {
    Head {
        heads: Heads,
        interim: usize,
        is_head: bool,
    },
    Bytes(u64),
    Chunks(Chunks),
    UntilClose,
    End,
}

impl Http1 {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            outbound: Outbound::default(),
            inbound: Inbound::End,
            is_last: false,
            room: LEAST_ROOM,
            is_dry: false,
        }
    }

    /// What has come since the response before. A request may follow on nothing alone: bytes are no
    /// answer to it (RFC 9112 §6.3), and after an end there will be none.
    ///
    /// It looks at the socket itself, as tokio does so only when the system has told its driver of
    /// news. That may be late: by then the bytes would be read as the answer.
    pub(super) fn unread(&mut self) -> Unread {
        let unread = self.stream.unread();
        self.is_dry = unread == Unread::Nothing;
        match self.read.is_empty() {
            true => unread,
            false => Unread::News,
        }
    }

    /// Has this woken when something comes, be it an end, until somebody uses the connection. It is
    /// of no use any more if that is known already, or its runtime is gone.
    pub(super) fn watch(&mut self, waker: &Waker) -> bool {
        self.stream.watch(waker)
    }

    /// Where the head of the next request is to be put.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        self.outbound.text()
    }

    /// Begins the request whose head was put into the [text](Self::text).
    pub(super) fn begin(&mut self, asked: Asked) {
        self.outbound.begin(asked.payload);
        self.is_last = asked.is_last;
        self.inbound = Inbound::Head {
            heads: Heads::default(),
            interim: 0,
            is_head: asked.is_head,
        };
    }

    /// Reads the head of the response, and writes what is left of the request.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Parts, Broken>> {
        loop {
            if let Some(head) = self.head()? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_both(cx))? == 0 {
                return Poll::Ready(Err(Broken::Http1(Fault::Ended)));
            }
        }
    }

    /// The next piece of the response's body, or its trailers. The rest of the request may still be
    /// on its way.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(frame) = self.frame().map_err(Broken::Http1)? {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.has_ended() {
                return Poll::Ready(None);
            }
            match (ready!(self.poll_both(cx))?, &self.inbound) {
                (0, Inbound::UntilClose) => self.inbound = Inbound::End,
                (0, _) => return Poll::Ready(Some(Err(Broken::Http1(Fault::Ended)))),
                _ => {}
            }
        }
    }

    /// Whether all of the response has been read.
    pub(super) fn has_ended(&self) -> bool {
        match &self.inbound {
            Inbound::End | Inbound::Bytes(0) => true,
            Inbound::Chunks(chunks) => chunks.has_ended(),
            _ => false,
        }
    }

    /// Whether the next request may follow. If not all of this one was written, it would wait for the
    /// end of it (RFC 9112 §9.5).
    pub(super) fn is_reusable(&self) -> bool {
        self.has_ended() && !self.is_last && self.outbound.is_over() && self.read.is_empty()
    }

    /// What is still to come of the body.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.inbound {
            Inbound::Bytes(left) => SizeHint::with_exact(left),
            Inbound::End => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }

    /// Lets go of what is only of use while a large response is read.
    pub(super) fn rest(&mut self) {
        if self.room > LEAST_ROOM {
            (self.read, self.room) = (BytesMut::new(), LEAST_ROOM);
            self.stream.rest();
        }
    }

    /// Reads what there is, or nothing at the end; and while nothing is there, writes. An upload that
    /// its peer takes as fast as it comes shall not keep us from his answer.
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        let filled = self.poll_fill(cx).map_err(Broken::Stream);
        if !self.outbound.is_under_way() {
            return filled;
        }
        if let Poll::Ready(read) = filled {
            return Poll::Ready(match read {
                Ok(1..) if !self.outbound.has_begun() => Err(Broken::Doubt(Doubt::Unasked)),
                read => read,
            });
        }
        // What has begun by now is no answer. The rest of it tells what it is.
        if !self.outbound.has_begun() && self.stream.is_amid_record() {
            return Poll::Pending;
        }
        match ready!(self.outbound.poll(cx, &mut self.stream)) {
            Ok(()) => Poll::Pending,
            // Whoever does not take the request may have answered it.
            Err(Broken::Stream(unwritten)) => match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) | Poll::Pending => Poll::Ready(Err(Broken::Stream(unwritten))),
                filled => filled.map_err(Broken::Stream),
            },
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The head of the final response, if it has come.
    fn head(&mut self) -> Result<Option<Parts>, Broken> {
        let Inbound::Head {
            heads,
            interim,
            is_head,
        } = &mut self.inbound
        else {
            return Ok(None);
        };
        while let Some(head) = heads.take(&mut self.read).map_err(Broken::Http1)? {
            // After a 101 it is not HTTP any more (RFC 9110 §15.2.2).
            if head.status.is_informational() && head.status != 101 {
                *interim += 1;
                if *interim > limits::INTERIM_RESPONSES {
                    return Err(Broken::Doubt(Doubt::EndlessInterim));
                }
                continue;
            }
            let extent = framing::extent(&head, *is_head).map_err(Broken::Doubt)?;
            self.is_last |= head.version == Version::HTTP_10
                || extent == Extent::UntilClose
                || says_close(&head.headers);
            self.inbound = match extent {
                Extent::Nothing => Inbound::End,
                Extent::Bytes(length) => Inbound::Bytes(length),
                Extent::Chunks => Inbound::Chunks(Chunks::new()),
                Extent::UntilClose => Inbound::UntilClose,
            };
            return Ok(Some(head));
        }
        Ok(None)
    }

    /// What there is of the body in what was read.
    fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Fault> {
        let data = match &mut self.inbound {
            Inbound::Bytes(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = self.read.split_to(most.min(self.read.len()));
                *left -= data.len() as u64;
                data.freeze()
            }
            Inbound::UntilClose => self.read.split().freeze(),
            Inbound::Chunks(chunks) => match chunks.take(&mut self.read)? {
                Piece::Data(data) => {
                    // An end that is there is seen at once. If what is there is wrong, it is told
                    // next.
                    let _ = chunks.pass(&mut self.read);
                    data
                }
                Piece::Trailers(trailers) => return Ok(Some(Frame::trailers(trailers))),
                Piece::End | Piece::Nothing => Bytes::new(),
            },
            Inbound::Head { .. } | Inbound::End => Bytes::new(),
        };
        Ok((!data.is_empty()).then(|| Frame::data(data)))
    }

    /// Reads more, or nothing at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // There is no room for what has not come: most of the time a connection waits.
        if self.is_dry {
            ready!(self.stream.poll_readable(cx))?;
        }
        if self.read.capacity() - self.read.len() < self.room / 8 {
            self.read.reserve(self.room);
        }
        let spare = self.read.capacity() - self.read.len();
        let polled = pin!(self.stream.read_buf(&mut self.read)).poll(cx);
        self.is_dry = polled.is_pending();
        let count = ready!(polled)?;
        // A large head makes a large buffer too.
        if count == spare || self.read.len() > LEAST_ROOM {
            self.room = (2 * self.room).min(MOST_ROOM);
        }
        Poll::Ready(Ok(count))
    }
}

/// It says goodbye, if its peer is to believe that it has ended, and if there is room for that.
impl Drop for Http1 {
    fn drop(&mut self) {
        if self.outbound.is_over() {
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut context);
        }
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Whether the peer is told that the connection ends here, or tells it (RFC 9112 §9.6).
pub(crate) fn says_close(headers: &HeaderMap) -> bool {
    let options = headers.get_all(CONNECTION).iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Room for the head of a response and a small body: hyper's number.
const LEAST_ROOM: usize = 8 << 10;

/// Room for what is read at once of a large body: as much as a record of TLS holds. Four of them
/// cost more, as they leave the processor's nearest cache.
const MOST_ROOM: usize = 16 << 10;
