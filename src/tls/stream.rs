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
use super::records::Records;
use super::verdict::Verdict;
use crate::connect::transport::{Io, Transport, Unread};

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

    /// Whether something has come that nobody has read, or an end.
    pub(crate) fn holds_some(&self) -> bool {
        let (overheard, tls) = self.stream.get_ref();
        !tls.wants_read() || !overheard.ahead.is_empty()
    }

    /// Lets go of what is only of use while much is read.
    pub(crate) fn rest(&mut self) {
        self.stream.get_mut().0.ahead.rest();
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
        let (overheard, tls) = self.stream.get_mut();
        find_unread(overheard, tls)
    }

    fn is_amid_record(&self) -> bool {
        is_amid_record(self.stream.get_ref().0)
    }
}

fn find_unread(overheard: &mut Overheard<Transport>, tls: &mut ClientConnection) -> Unread {
    // A fault that nobody was told of, data that nobody has read, or an end.
    if tls.process_new_packets().is_err() || !tls.wants_read() {
        return Unread::News;
    }
    let Overheard {
        stream,
        ahead,
        records,
        ..
    } = overheard;
    let beneath = match ahead.is_empty() {
        true => stream.unread(),
        false => Unread::News,
    };
    match (beneath, stream) {
        (Unread::News, Transport::Plain(socket)) => {
            take_in(records, ahead, socket, tls).unwrap_or(Unread::News)
        }
        _ => beneath.max(records.unread()),
    }
}

fn is_amid_record(overheard: &Overheard<Transport>) -> bool {
    !overheard.records.are_whole() || overheard.stream.is_amid_record()
}

/// What waits beyond whole records of TLS's own, read ahead or on the socket. Those are read, for no
/// longer than that takes.
fn take_in(
    records: &mut Records,
    ahead: &mut ReadAhead,
    socket: &TcpStream,
    tls: &mut ClientConnection,
) -> io::Result<Unread> {
    let socket = SockRef::from(socket);
    let mut waiting = records.of(ahead.chain(&*socket));
    for _ in 0..READS {
        match tls.read_tls(&mut waiting) {
            Ok(0) => return Ok(Unread::News),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(waiting.records.unread());
            }
            Err(error) => return Err(error),
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
            return Ok(Unread::News);
        }
    }
    Ok(Unread::News)
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
    use std::sync::Arc;

    use rcgen::generate_simple_self_signed;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
    use tokio::net::TcpListener;

    use super::*;
    use crate::tls::crypto;

    /// What the server said last, wherever it is: read ahead, on the socket, or in TLS's hands.
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
            for place in ["ahead", "socket", "TLS"] {
                let (mut client, mut server) = pair();
                say(&mut server);
                let mut wire = written(|wire| server.write_tls(wire));
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
                let mut overheard = Overheard::new(Transport::Plain(socket.unwrap()));
                match place {
                    "ahead" => overheard.ahead = ReadAhead::holding(wire),
                    "socket" => assert_eq!(end.try_write(&wire).unwrap(), wire.len()),
                    _ => {
                        overheard.records.pass(&wire);
                        assert_eq!(take(&mut client, &wire).is_err(), said == "a fault");
                    }
                }
                let found = find_unread(&mut overheard, &mut client);
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
        for (came, ahead, beneath, expected, is_amid) in [
            (none, none, Nothing, Nothing, false),
            (none, none, Part, Part, true),
            (none, none, News, News, false),
            (none, part, Nothing, News, false),
            (part, none, Nothing, Part, true),
            (part, none, Part, Part, true),
            (part, none, News, News, true),
        ] {
            let (mut client, _) = pair();
            let mut overheard = Overheard::new(Transport::Tunnel(Box::new(Beneath(beneath))));
            overheard.records.pass(came);
            overheard.ahead = ReadAhead::holding(ahead.to_vec());
            let case = format!("{came:?} {ahead:?} {beneath:?}");
            assert_eq!(is_amid_record(&overheard), is_amid, "{case}");
            assert_eq!(find_unread(&mut overheard, &mut client), expected, "{case}");
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

    /// Two ends of a connection that have shaken hands and have nothing more to say.
    fn pair() -> (ClientConnection, ServerConnection) {
        let minted = generate_simple_self_signed([String::from("a.test")]).unwrap();
        let certificate = minted.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(minted.signing_key.serialize_der()).into();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let name = "a.test".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        for _ in 0..3 {
            let hello = written(|wire| client.write_tls(wire));
            let mut hello = hello.as_slice();
            while !hello.is_empty() {
                server.read_tls(&mut hello).unwrap();
                server.process_new_packets().unwrap();
            }
            take(&mut client, &written(|wire| server.write_tls(wire))).unwrap();
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        (client, server)
    }

    fn take(client: &mut ClientConnection, mut wire: &[u8]) -> Result<(), rustls::Error> {
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    fn written(mut write: impl FnMut(&mut Vec<u8>) -> io::Result<usize>) -> Vec<u8> {
        let mut wire = Vec::new();
        while write(&mut wire).unwrap() > 0 {}
        wire
    }
}
