//! A stream whose first bytes are kept: rustls does not tell in which version of TLS it was answered,
//! if it does not speak it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What TLS runs over, and how its peer's first record began.
pub(super) struct Overheard<S> {
    pub(super) stream: S,
    opening: [u8; OPENING],
    heard: usize,
}

impl<S> Overheard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            opening: [0; OPENING],
            heard: 0,
        }
    }

    /// The version that a ServerHello chose, if it is one that is gone.
    pub(super) fn gone_version(&self) -> Option<&'static str> {
        // A handshake record, its version and length; a ServerHello, its length and the version that
        // it chose (RFC 5246 §6.2.1, §7.4.1.3), which is no later one: those are in an extension.
        match self.opening.get(..self.heard)? {
            [22, 3, _, _, _, 2, _, _, _, 3, 0] => Some("SSL 3.0"),
            [22, 3, _, _, _, 2, _, _, _, 3, 1] => Some("TLS 1.0"),
            [22, 3, _, _, _, 2, _, _, _, 3, 2] => Some("TLS 1.1"),
            _ => None,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        for (place, byte) in self.opening.iter_mut().skip(self.heard).zip(bytes) {
            *place = *byte;
            self.heard += 1;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if this.heard < OPENING {
            this.hear(buf.filled().get(before..).unwrap_or_default());
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// As far as the version in a ServerHello.
const OPENING: usize = 11;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_version_that_is_gone_is_told_however_the_bytes_come() {
        // type, version, length; type, length, version, and what may follow.
        let hello = |version: u8| [22, 3, 1, 0, 42, 2, 0, 0, 38, 3, version, 77, 77];
        let alert = [21, 3, 1, 0, 2, 2, 70, 22, 3, 3, 1, 77, 77];
        let client = [22, 3, 1, 0, 42, 1, 0, 0, 38, 3, 1, 77, 77];
        for (bytes, expected) in [
            (hello(0), Some("SSL 3.0")),
            (hello(1), Some("TLS 1.0")),
            (hello(2), Some("TLS 1.1")),
            // TLS 1.3 says 1.2 here too (RFC 8446 §4.1.3).
            (hello(3), None),
            (hello(4), None),
            (alert, None),
            (client, None),
        ] {
            for piece in [1, 2, 10, 11, 12, 13] {
                let mut overheard = Overheard::new(bytes.as_slice());
                let mut read = Vec::new();
                while read.len() < bytes.len() {
                    let mut some = vec![0; piece];
                    let mut buf = ReadBuf::new(&mut some);
                    let mut cx = Context::from_waker(Waker::noop());
                    let polled = Pin::new(&mut overheard).poll_read(&mut cx, &mut buf);
                    assert!(polled.is_ready());
                    read.extend_from_slice(buf.filled());
                }
                assert_eq!(read, bytes, "they are handed on");
                assert_eq!(overheard.gone_version(), expected, "{bytes:?} by {piece}");
            }
            let (short, _) = bytes.split_at(OPENING - 1);
            let mut overheard = Overheard::new(short);
            let mut some = [0; 32];
            let mut cx = Context::from_waker(Waker::noop());
            let polled = Pin::new(&mut overheard).poll_read(&mut cx, &mut ReadBuf::new(&mut some));
            assert!(polled.is_ready());
            assert_eq!(overheard.gone_version(), None);
        }
    }
}
