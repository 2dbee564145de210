//! What a server of the lab has seen so far, so that "0 bytes sent" can be shown rather than said.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// What the server of one scenario has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: u64,
    /// TLS handshakes that the server saw finish. One that either side refused is not among them.
    pub handshakes: u64,
    /// Bytes of plaintext read after the handshake: the request, and over HTTP/2 also its preface
    /// and other frames. On `plain-http`, the bytes of requests in clear.
    pub received: u64,
    /// Connections accepted and not yet ended.
    pub open: u64,
}

/// The counts of one scenario; clones count into the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(watch::Sender<Counts>);

impl Meter {
    pub(super) fn counts(&self) -> Counts {
        *self.0.borrow()
    }

    /// Counts a connection, as open for as long as the value returned lives.
    pub(super) fn connection(&self) -> Open {
        self.0.send_modify(|counts| {
            counts.connections += 1;
            counts.open += 1;
        });
        Open(self.clone())
    }

    pub(super) fn handshake(&self) {
        self.0.send_modify(|counts| counts.handshakes += 1);
    }

    /// Returns when no accepted connection is open any more.
    pub(super) async fn settled(&self) {
        // The error is that of a sender that is gone, and it is here.
        let _ = self.0.subscribe().wait_for(|counts| counts.open == 0).await;
    }
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Meter);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_modify(|counts| counts.open -= 1);
    }
}

/// A stream that counts what is read from it: put above TLS, it counts plaintext.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    meter: Meter,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, meter: Meter) -> Self {
        Self { stream, meter }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        if read > 0 {
            self.meter
                .0
                .send_modify(|counts| counts.received += read as u64);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
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
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_read_is_counted_and_what_is_written_is_not() {
        let meter = Meter::default();
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Metered::new(server, meter.clone());
        client.write_all(b"seven..").await.unwrap();
        server.write_all(b"answer").await.unwrap();
        assert_eq!(meter.counts().received, 0, "sent is not yet received");
        server.read_exact(&mut [0; 3]).await.unwrap();
        assert_eq!(meter.counts().received, 3);
        server.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(meter.counts().received, 7);
    }

    #[tokio::test]
    async fn settled_waits_for_the_last_connection() {
        let meter = Meter::default();
        let (first, second) = (meter.connection(), meter.connection());
        let waiting = tokio::spawn({
            let meter = meter.clone();
            async move { meter.settled().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        assert_eq!(
            meter.counts(),
            Counts {
                connections: 2,
                ..Counts::default()
            }
        );
    }
}
