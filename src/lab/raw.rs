//! The servers that no HTTP or TLS library would be: answers written byte by byte, and ways of not
//! ending well.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use super::Scenario;
use super::meter::Metered;

/// What to write once a request head is here, and what then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    write: &'static str,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// Say nothing more for as long as the client stays.
    Hold,
    /// Go on a byte at a time, without end.
    Drip,
    /// End TLS with close_notify, then TCP.
    Close,
    /// End TCP, without a word in TLS.
    Cut,
}

impl Script {
    /// The script of this scenario, if it has one.
    pub(super) fn of(scenario: Scenario) -> Option<Self> {
        let (write, then) = match scenario {
            Scenario::SlowHeaders => ("HTTP/1.1 200 OK\r\nunfinished: ", Then::Hold),
            Scenario::DrippingBody => ("HTTP/1.1 200 OK\r\n\r\n", Then::Drip),
            Scenario::ShortBody => (
                "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nPart.\n",
                Then::Close,
            ),
            Scenario::ShortChunks => (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nPart.\n\r\n",
                Then::Close,
            ),
            Scenario::NoCloseNotify => (
                "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nIs this all?\n",
                Then::Cut,
            ),
            Scenario::GarbageReply => ("220 lab.test ESMTP ready\r\n", Then::Close),
            _ => return None,
        };
        Some(Self { write, then })
    }

    /// Plays the script on a connection.
    ///
    /// # Errors
    ///
    /// When the client is gone, which is how some scripts end.
    pub(super) async fn play(self, mut stream: Metered<TlsStream<TcpStream>>) -> io::Result<()> {
        read_head(&mut stream).await?;
        stream.write_all(self.write.as_bytes()).await?;
        stream.flush().await?;
        match self.then {
            Then::Hold => drain(&mut stream).await,
            Then::Drip => loop {
                stream.write_all(b".").await?;
                stream.flush().await?;
                sleep(DRIP).await;
            },
            Then::Close => {
                stream.shutdown().await?;
                drain(&mut stream).await
            }
            Then::Cut => hang_up(stream.into_inner().into_inner().0).await,
        }
    }
}

/// Answers a ClientHello with the ServerHello of a server that knows TLS 1.1 at best.
///
/// # Errors
///
/// When the client is gone.
pub(super) async fn old_tls(mut tcp: TcpStream) -> io::Result<()> {
    // A record (RFC 8446 §5.1): type, version, and the length of what follows.
    let [_, _, _, high, low] = {
        let mut header = [0; 5];
        tcp.read_exact(&mut header).await?;
        header
    };
    let mut hello = vec![0; usize::from(u16::from_be_bytes([high, low]))];
    tcp.read_exact(&mut hello).await?;
    tcp.write_all(TLS_1_1_SERVER_HELLO).await?;
    hang_up(tcp).await
}

/// Answers a client that spoke TLS to a server of plain HTTP, as such servers do.
///
/// # Errors
///
/// When the client is gone.
pub(super) async fn plain_refusal(mut tcp: TcpStream) -> io::Result<()> {
    tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        .await?;
    hang_up(tcp).await
}

/// Ends our side of the connection and waits for the other: closing with bytes unread would send a
/// reset, which can overtake what was written last.
///
/// # Errors
///
/// When the client is gone already.
pub(super) async fn hang_up(mut tcp: TcpStream) -> io::Result<()> {
    tcp.shutdown().await?;
    drain(&mut tcp).await
}

/// Reads to the empty line that ends a request head. A head that has no end, or is too long, is an
/// error.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    Ok(())
}

async fn drain(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// Between two bytes of a body that drips. No test waits for it: it is only far below any idle
/// limit.
const DRIP: Duration = Duration::from_millis(20);
const MAX_HEAD: usize = 64 * 1024;

/// A handshake record of TLS 1.1 with a ServerHello (RFC 4346 §7.4.1.3): version 3.2, 32 bytes of
/// random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
const TLS_1_1_SERVER_HELLO: &[u8] = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
    ................................\x00\x00\x2f\x00";
