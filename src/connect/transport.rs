//! What bytes travel on to a host before there is any TLS with it.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The stream under a connection.
pub(crate) enum Transport<S = TcpStream> {
    /// A stream of the caller's, or TCP, to the host or to a proxy that hands on what it gets.
    Plain(S),
    /// A tunnel inside TLS to a proxy.
    Tunnel(Box<dyn Io>),
}

/// A stream of whatever type.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// What waits to be read.
    ///
    /// It looks at the socket under all of it, as tokio does so only when the system has told its
    /// driver of news, and that may be late.
    fn unread(&mut self) -> Unread;

    /// Whether a record of TLS has come in part, by all that has been read of the socket.
    fn is_amid_record(&self) -> bool;
}

/// What waits to be read, wherever it may have got to by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unread {
    Nothing,
    /// The beginning of a record of TLS, which may be TLS's own or of data: nobody can know yet.
    Part,
    /// Data, a fault, or an end.
    News,
}

impl Io for TcpStream {
    fn unread(&mut self) -> Unread {
        match peek(self) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Unread::Nothing,
            _ => Unread::News,
        }
    }

    fn is_amid_record(&self) -> bool {
        false
    }
}

/// Whether a byte, or an end, waits on the socket itself.
pub(super) fn peek(socket: &TcpStream) -> io::Result<usize> {
    SockRef::from(socket).peek(&mut [MaybeUninit::uninit()])
}

impl Io for Transport {
    fn unread(&mut self) -> Unread {
        match self {
            Self::Plain(socket) => socket.unread(),
            Self::Tunnel(stream) => stream.unread(),
        }
    }

    fn is_amid_record(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_amid_record(),
            Self::Tunnel(stream) => stream.is_amid_record(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tunnel(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tunnel(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tunnel(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tunnel(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl<S> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain"),
            Self::Tunnel(_) => f.write_str("Tunnel"),
        }
    }
}

#[cfg(test)]
impl Io for tokio::io::DuplexStream {
    fn unread(&mut self) -> Unread {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut byte = [0];
        let polled = Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        match polled {
            Poll::Pending => Unread::Nothing,
            Poll::Ready(_) => Unread::News,
        }
    }

    fn is_amid_record(&self) -> bool {
        false
    }
}
