//! A TLS stream whose peer was judged.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ClientConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::callbacks::Credential;
use super::overheard::Overheard;
use super::peer::Peer;
use super::read_ahead::ReadAhead;
use super::verdict::Verdict;
use crate::connect::transport::{Io, Transport};

/// A TLS stream whose peer was judged before it was handed over.
///
/// It reads and writes as any tokio stream does. A peer that closes without `close_notify` is an
/// error of kind [`io::ErrorKind::UnexpectedEof`], never a silent end.
pub struct TlsStream<S = TcpStream> {
    pub(super) stream: tokio_rustls::client::TlsStream<Overheard<Transport<S>>>,
    pub(super) peer: Peer,
    pub(super) credential: Credential,
}

impl<S> TlsStream<S> {
    /// Who the peer is, and by which TLS it is spoken to.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What was found when the peer was judged.
    pub fn verdict(&self) -> &Verdict {
        self.peer.verdict()
    }

    /// The stream under the TLS; `None` where that is itself inside TLS, to a proxy.
    pub fn get_ref(&self) -> Option<&S> {
        match &self.stream.get_ref().0.stream {
            Transport::Plain(stream) => Some(stream),
            Transport::Tunnel(_) => None,
        }
    }

    pub(crate) fn credential(&self) -> Credential {
        self.credential
    }

    pub(crate) fn speaks_h2(&self) -> bool {
        self.peer.alpn() == Some(b"h2")
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Io for TlsStream {
    /// What waits may be TLS's own, a ticket or a change of keys (RFC 8446 §4.6): it is taken in,
    /// and only data or an end are news. Inside of another TLS it is news whatever it is.
    fn is_silent(&mut self) -> bool {
        let (overheard, tls) = self.stream.get_mut();
        // Data that nobody has read, or an end.
        if !tls.wants_read() {
            return false;
        }
        let (ahead, transport) = (&mut overheard.ahead, &mut overheard.stream);
        if ahead.is_empty() && transport.is_silent() {
            return true;
        }
        match transport {
            Transport::Plain(socket) => take_in(ahead, socket, tls).unwrap_or(false),
            Transport::Tunnel(_) => false,
        }
    }
}

/// Whether nothing but records of TLS's own waits, read ahead or on the socket. They are read, for
/// no longer than that takes.
fn take_in(
    ahead: &mut ReadAhead,
    socket: &TcpStream,
    tls: &mut ClientConnection,
) -> io::Result<bool> {
    let socket = SockRef::from(socket);
    let mut waiting = ahead.chain(&*socket);
    for _ in 0..READS {
        match tls.read_tls(&mut waiting) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
            return Ok(false);
        }
    }
    Ok(false)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Reads of a socket, of some 4 KiB each, in which a peer that has nothing else to say is done with
/// what TLS has: a ticket is a few hundred bytes.
const READS: usize = 16;
