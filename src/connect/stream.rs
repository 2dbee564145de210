//! The stream that requests travel on: plain or TLS, with its bytes counted.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::framing::Doubt;
use super::interim::Interim;
use super::transport::{Io, Transport};
use crate::tls::TlsStream;

/// A connection's stream.
#[derive(Debug)]
pub(crate) struct Stream {
    kind: Kind,
    traffic: Arc<Traffic>,
    /// Let go of when the socket has been closed.
    held: Option<Box<dyn Any + Send + Sync>>,
    heads: Heads,
}

#[derive(Debug)]
enum Kind {
    Plain(Transport),
    Tls(Box<TlsStream>),
}

/// What counts the heads that come, as nothing above tells of interim ones.
#[derive(Debug)]
enum Heads {
    Http1(Interim),
    Http2(Frames),
}

/// Application bytes that went each way: what is inside the TLS, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
    /// The next byte that is written begins a request, and no answer to it can be there yet.
    begins: AtomicBool,
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

    /// A request follows on a used connection. Unless nothing waits to be read when its first byte
    /// is to be written, but for what is TLS's own, none of it is, and [`Untimely`] is the error.
    pub(super) fn begin(&self) {
        self.begins.store(true, Ordering::Relaxed);
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

/// The peer said something between two requests, or left: be it a farewell or an answer to nobody,
/// the connection is not used for the next one.
#[derive(Debug)]
pub(super) struct Untimely;

impl fmt::Display for Untimely {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server spoke or left on the idle connection before the request was sent")
    }
}

impl StdError for Untimely {}

impl Stream {
    pub(super) fn plain(stream: Transport) -> Self {
        Self::over(Kind::Plain(stream))
    }

    pub(super) fn tls(stream: TlsStream) -> Self {
        let heads = match stream.speaks_h2() {
            true => Heads::Http2(Frames::default()),
            false => Heads::Http1(Interim::default()),
        };
        Self {
            heads,
            ..Self::over(Kind::Tls(Box::new(stream)))
        }
    }

    fn over(kind: Kind) -> Self {
        Self {
            kind,
            traffic: Arc::default(),
            held: None,
            heads: Heads::Http1(Interim::default()),
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

    /// Refuses to begin a request where something waits to be read: bytes are no answer to it (RFC
    /// 9112 §6.3), and after an end there will be none. hyper looks for both too, but through tokio,
    /// which looks at the socket itself only when the system has told its driver of news. That may
    /// be late: by then the bytes would be read as the answer.
    fn begin(&mut self) -> io::Result<()> {
        if !self.traffic.begins.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.traffic.begins.store(false, Ordering::Relaxed);
        let is_silent = match &mut self.kind {
            Kind::Plain(transport) => transport.is_silent(),
            Kind::Tls(stream) => stream.is_silent(),
        };
        if !is_silent {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, Untimely));
        }
        if let Heads::Http1(interim) = &mut self.heads {
            *interim = Interim::default();
        }
        Ok(())
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
        let counted = match &mut this.heads {
            Heads::Http1(interim) => interim.read(read),
            Heads::Http2(frames) => frames.read(read),
        };
        if let Err(doubt) = counted {
            // h2 keeps the text of an error and drops its type.
            let _ = this.traffic.doubt.set(doubt);
            return Poll::Ready(Err(io::Error::other(doubt)));
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
        self.begin()?;
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
        self.begin()?;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::limits;

    #[tokio::test]
    async fn interim_responses_are_counted_request_by_request() {
        let (client, mut server) = duplex(1 << 16);
        let mut stream = Stream::plain(Transport::Tunnel(Box::new(client)));
        let interim = |count| "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
        let most = interim(limits::INTERIM_RESPONSES) + "HTTP/1.1 204 ?\r\n\r\n";
        let mut read = vec![0; most.len()];
        for _ in 0..3 {
            stream.traffic().begin();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            server.write_all(most.as_bytes()).await.unwrap();
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(stream.traffic().doubt(), None);
        }
        stream.traffic().begin();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let more = interim(limits::INTERIM_RESPONSES + 1);
        server.write_all(more.as_bytes()).await.unwrap();
        stream.read_exact(&mut read).await.unwrap_err();
        assert_eq!(stream.traffic().doubt(), Some(Doubt::EndlessInterim));
    }
}
