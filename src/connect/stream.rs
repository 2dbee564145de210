//! The stream that requests travel on: plain or TLS, with its bytes counted.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;

use super::frames::Frames;
use super::framing::Doubt;
use super::transport::{self, Io, Transport, Unread};
use crate::tls::TlsStream;

/// A connection's stream.
#[derive(Debug)]
pub(crate) struct Stream {
    kind: Kind,
    traffic: Arc<Traffic>,
    /// Let go of when the socket has been closed.
    held: Option<Box<dyn Any + Send + Sync>>,
    /// What counts the heads of h2, which nothing above tells.
    frames: Option<Frames>,
}

#[derive(Debug)]
enum Kind {
    Plain(Transport),
    Tls(Box<TlsStream>),
}

/// Application bytes that went each way: what is inside the TLS, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
    /// Frames of responses, over h2.
    answers: AtomicU64,
    /// Why reading was given up.
    doubt: OnceLock<Doubt>,
    /// The peer was asked whether it is there, and gave no answer in time.
    unanswered: AtomicBool,
}

impl Traffic {
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Frames of responses that have come over h2, where a peer may say much that is of none.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// The peer has not answered in time.
    pub(super) fn give_up(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// What the peer did that nothing on the connection can be believed after.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.doubt.get().copied()
    }
}

impl Stream {
    pub(super) fn plain(stream: Transport) -> Self {
        Self::over(Kind::Plain(stream))
    }

    pub(super) fn tls(stream: TlsStream) -> Self {
        let frames = stream.speaks_h2().then(Frames::default);
        Self {
            frames,
            ..Self::over(Kind::Tls(Box::new(stream)))
        }
    }

    fn over(kind: Kind) -> Self {
        Self {
            kind,
            traffic: Arc::default(),
            held: None,
            frames: None,
        }
    }

    /// Keeps `held` for as long as the socket is open.
    pub(super) fn hold(&mut self, held: Box<dyn Any + Send + Sync>) {
        self.held = Some(held);
    }

    /// The TLS stream, if it is one.
    pub(super) fn as_tls(&self) -> Option<&TlsStream> {
        match &self.kind {
            Kind::Plain(_) => None,
            Kind::Tls(stream) => Some(stream),
        }
    }

    pub(super) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What waits to be read, but for what is TLS's own.
    pub(super) fn unread(&mut self) -> Unread {
        match &mut self.kind {
            Kind::Plain(transport) => transport.unread(),
            Kind::Tls(stream) => stream.unread(),
        }
    }

    /// Whether a record of TLS has come in part, by all that has been read of the socket.
    pub(super) fn is_amid_record(&self) -> bool {
        match &self.kind {
            Kind::Plain(transport) => transport.is_amid_record(),
            Kind::Tls(stream) => stream.is_amid_record(),
        }
    }

    /// Lets go of what is only of use while much is read.
    pub(super) fn rest(&mut self) {
        if let Kind::Tls(stream) = &mut self.kind {
            stream.rest();
        }
    }

    /// Waits for the socket, where nothing is left of what came from there. To find out from above
    /// TLS that nothing has come costs more than all else that a poll does.
    ///
    /// # Errors
    ///
    /// If the runtime is gone that it belongs to.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket() {
            Some(socket) => socket.poll_read_ready(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Has this woken when there is something to read, if that can be known. It is not, and `false`,
    /// if something is there already, or its runtime is gone.
    pub(super) fn watch(&mut self, waker: &Waker) -> bool {
        // What has left the socket wakes nobody.
        if self.as_tls().is_some_and(TlsStream::holds_some) && self.unread() == Unread::News {
            return false;
        }
        let mut context = Context::from_waker(waker);
        let Some(socket) = self.socket() else {
            return true;
        };
        for _ in 0..2 {
            // Where its budget is spent tokio may wake at once, and here a lock may be held.
            let ready = unconstrained(poll_fn(|cx| socket.poll_read_ready(cx)));
            match pin!(ready).poll(&mut context) {
                Poll::Pending => return true,
                Poll::Ready(Err(_)) => return false,
                // What there was to read may have been read past tokio: it is told so.
                Poll::Ready(Ok(())) => {
                    let waiting = socket.try_io(Interest::READABLE, || transport::peek(socket));
                    if !waiting.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// The socket, if no other TLS is between.
    fn socket(&self) -> Option<&TcpStream> {
        match &self.kind {
            Kind::Plain(Transport::Plain(socket)) => Some(socket),
            Kind::Plain(Transport::Tunnel(_)) => None,
            Kind::Tls(stream) => stream.get_ref(),
        }
    }

    fn counted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.traffic
                .written
                .fetch_add(*count as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = match &mut this.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        };
        let read = buf.filled().get(before..).unwrap_or_default();
        this.traffic
            .read
            .fetch_add(read.len() as u64, Ordering::Relaxed);
        if let Some(frames) = &mut this.frames {
            if let Err(doubt) = frames.read(read) {
                // h2 keeps the text of an error and drops its type.
                let _ = this.traffic.doubt.set(doubt);
                return Poll::Ready(Err(io::Error::other(doubt)));
            }
            this.traffic
                .answers
                .store(frames.answers(), Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        };
        self.counted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        };
        self.counted(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Plain(stream) => stream.is_write_vectored(),
            Kind::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
