//! A TLS stream whose peer was judged.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::callbacks::Credential;
use super::driver::Driver;
use super::engine::{Engine, Step};
use super::fill::is_full;
use super::held::LITTLE;
use super::overheard::Overheard;
use super::peer::Peer;
use super::verdict::Verdict;
use crate::connect::transport::{Io, Transport, Unread};

/// A TLS stream whose peer was judged before it was handed over.
///
/// It reads and writes as any tokio stream does. A peer that closes without `close_notify` is an
/// error of kind [`io::ErrorKind::UnexpectedEof`], never a silent end.
pub struct TlsStream<S = TcpStream> {
    pub(super) stream: Driver<Overheard<Transport<S>>>,
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
        match &self.stream.stream.stream {
            Transport::Plain(stream) => Some(stream),
            Transport::Tunnel(_) => None,
        }
    }

    /// Whether something has come that nobody has read, or an end.
    pub(crate) fn holds_some(&self) -> bool {
        self.stream.engine.has_news() || self.stream.engine.is_amid_record()
    }

    /// Gives memory back that is only of use while much is read or written.
    pub(crate) fn rest(&mut self) {
        self.stream.rest();
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
    fn unread(&mut self) -> Unread {
        let Driver { stream, engine, .. } = &mut self.stream;
        find_unread(&mut stream.stream, engine)
    }

    fn is_amid_record(&self) -> bool {
        let Driver { stream, engine, .. } = &self.stream;
        engine.is_amid_record() || stream.stream.is_amid_record()
    }
}

fn find_unread(stream: &mut Transport, engine: &mut Engine) -> Unread {
    let held = take_in(engine);
    if held == Unread::News {
        return held;
    }
    match (stream.unread(), stream) {
        (Unread::News, Transport::Plain(socket)) => read_in(&SockRef::from(&*socket), engine),
        (beneath, _) => beneath.max(held),
    }
}

/// What waits beyond whole records of TLS's own.
fn take_in(engine: &mut Engine) -> Unread {
    match engine.take_in() {
        Ok(Step::Open) if engine.is_amid_record() => Unread::Part,
        Ok(Step::Open) => Unread::Nothing,
        // Data that nobody has read, an end, or a fault that nobody was told of.
        _ => Unread::News,
    }
}

/// The same, with what is on the socket: that is read, for no longer than TLS's own takes.
fn read_in(mut socket: &socket2::Socket, engine: &mut Engine) -> Unread {
    let mut room = [0; LITTLE];
    for _ in 0..READS {
        let held = take_in(engine);
        if held == Unread::News || is_full(&engine.incoming) {
            return Unread::News;
        }
        match socket.read(&mut room) {
            Ok(count @ 1..) => engine.incoming.add(room.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return held,
            // An end or a fault.
            Ok(0) | Err(_) => return Unread::News,
        }
    }
    Unread::News
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

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests {
    use std::io::Write;

    use rustls::ServerConnection;
    use tokio::net::TcpListener;

    use super::super::engine::tests::{pair, written};
    use super::*;

    /// What the server said last, wherever it is: read and not taken in, on the socket, or in TLS's
    /// hands.
    #[tokio::test]
    async fn only_what_is_of_tls_itself_is_silence() {
        type Say = fn(&mut ServerConnection);
        use Unread::{News, Nothing, Part};
        let keys: Say = |tls| tls.refresh_traffic_keys().unwrap();
        let data: Say = |tls| tls.writer().write_all(b"x").unwrap();
        let end: Say = |tls| tls.send_close_notify();
        for (said, say, expected) in [
            ("nothing", (|_| {}) as Say, Nothing),
            ("keys", keys, Nothing),
            ("data", data, News),
            ("an end", end, News),
            ("a fault", end, News),
            ("a byte of data", data, Part),
            ("a head of data", data, Part),
            ("half of data", data, Part),
            ("half of keys", keys, Part),
        ] {
            for place in ["read", "socket", "TLS"] {
                let (mut client, mut server) = pair();
                say(&mut server);
                let mut wire = written(&mut server);
                match said.split_once(" of") {
                    Some(("a byte", _)) => wire.truncate(1),
                    Some(("a head", _)) => wire.truncate(5),
                    Some(_) => wire.truncate(wire.len() - 1),
                    None if said == "a fault" => *wire.last_mut().unwrap() ^= 1,
                    None => {}
                }
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let socket = TcpStream::connect(listener.local_addr().unwrap()).await;
                let (end, _) = listener.accept().await.unwrap();
                match place {
                    "socket" => assert_eq!(end.try_write(&wire).unwrap(), wire.len()),
                    _ => client.incoming.add(&wire),
                }
                if place == "TLS" {
                    assert_eq!(client.take_in().is_err(), said == "a fault");
                }
                let mut transport = Transport::Plain(socket.unwrap());
                let found = find_unread(&mut transport, &mut client);
                assert_eq!(found, expected, "{said} {place}");
                drop(end);
            }
        }
    }

    /// What its inner TLS has, and what the one beneath it.
    #[test]
    fn inside_of_another_tls_it_takes_both_to_be_silent() {
        use Unread::{News, Nothing, Part};
        let (none, part): (&[u8], &[u8]) = (&[], &[23, 3, 3]);
        for (came, beneath, expected) in [
            (none, Nothing, Nothing),
            (none, Part, Part),
            (none, News, News),
            (part, Nothing, Part),
            (part, Part, Part),
            (part, News, News),
        ] {
            let (mut client, _) = pair();
            let mut transport = Transport::Tunnel(Box::new(Beneath(beneath)));
            client.incoming.add(came);
            let found = find_unread(&mut transport, &mut client);
            assert_eq!(found, expected, "{came:?} {beneath:?}");
        }
    }

    /// The TLS beneath, in which this waits.
    struct Beneath(Unread);

    impl Io for Beneath {
        fn unread(&mut self) -> Unread {
            self.0
        }

        fn is_amid_record(&self) -> bool {
            self.0 == Unread::Part
        }
    }

    impl AsyncRead for Beneath {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Beneath {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
}
