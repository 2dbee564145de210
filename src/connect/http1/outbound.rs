//! A request on its way out, as far as its connection takes it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::super::failure::Broken;
use super::super::outgoing::Outgoing;
use crate::error::Error;

/// What is still to be written of a request.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    /// Its head, and after that the line before a chunk. It keeps its room for the next request.
    text: Vec<u8>,
    /// So much of it is written.
    written: usize,
    /// A piece of the payload.
    piece: Bytes,
    /// What follows the piece.
    after: &'static [u8],
    /// The rest of the payload, of which nothing was taken yet.
    payload: Option<Outgoing>,
    in_chunks: bool,
    at: At,
}

/// How far it has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum At {
    Nothing,
    /// Something of it may have been written.
    Begun,
    /// There is no more of the payload, or the stream takes no more.
    Failed,
    #[default]
    Over,
}

impl Outbound {
    /// Where a head is to be put, before [`begin`](Self::begin).
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        self.text.clear();
        &mut self.text
    }

    /// Begins with what is in the text.
    pub(super) fn begin(&mut self, payload: Outgoing) {
        self.written = 0;
        self.in_chunks = payload.size_hint().exact().is_none();
        self.payload = (!payload.is_end_stream()).then_some(payload);
        self.at = At::Nothing;
    }

    /// Whether something of it may have been written.
    pub(super) fn has_begun(&self) -> bool {
        self.at != At::Nothing
    }

    /// Whether there is something to write.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.at, At::Nothing | At::Begun)
    }

    /// Whether all of it was written.
    pub(super) fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// Writes as much as there is and the stream takes.
    pub(super) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<(), Broken>> {
        while self.is_under_way() {
            // Before the head is written, so that the two go out as one if it is there.
            let is_there = match self.poll_piece(cx) {
                Poll::Ready(Err(error)) => {
                    self.at = At::Failed;
                    return Poll::Ready(Err(Broken::Payload(error)));
                }
                piece => piece.is_ready(),
            };
            let written = ready!(self.poll_write(cx, stream));
            let flushed = match written {
                Ok(()) if is_there && self.payload.is_some() => continue,
                Ok(()) => ready!(Pin::new(&mut *stream).poll_flush(cx)),
                error => error,
            };
            if let Err(error) = flushed {
                self.at = At::Failed;
                return Poll::Ready(Err(Broken::Stream(error)));
            }
            // Whoever waits for the rest has what there is.
            if !is_there {
                return Poll::Pending;
            }
            self.at = At::Over;
            if self.text.capacity() > KEPT {
                self.text = Vec::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Puts the next piece of the payload in order, or its end, if the one before is written.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(payload) = &mut self.payload else {
            return Poll::Ready(Ok(()));
        };
        if !self.piece.is_empty() || !self.after.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let frame = ready!(Pin::new(&mut *payload).poll_frame(cx)).transpose()?;
        let is_last = frame.is_none() || payload.is_end_stream();
        let piece = frame.and_then(|frame| frame.into_data().ok());
        self.piece = piece.unwrap_or_default();
        if is_last {
            self.payload = None;
        }
        if self.in_chunks {
            if self.written == self.text.len() {
                self.text.clear();
                self.written = 0;
            }
            // A chunk of nothing would be the last one (RFC 9112 §7.1).
            if !self.piece.is_empty() {
                self.text
                    .extend_from_slice(format!("{:x}\r\n", self.piece.len()).as_bytes());
            }
            self.after = match (self.piece.is_empty(), is_last) {
                (true, true) => b"0\r\n\r\n",
                (true, false) => b"",
                (false, true) => b"\r\n0\r\n\r\n",
                (false, false) => b"\r\n",
            };
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        loop {
            let text = self.text.get(self.written..).unwrap_or_default();
            let parts = [text, &self.piece, self.after].map(IoSlice::new);
            let mut count = match parts.iter().all(|part| part.is_empty()) {
                true => return Poll::Ready(Ok(())),
                false => ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts))?,
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at = At::Begun;
            let of_text = count.min(text.len());
            self.written += of_text;
            count -= of_text;
            let of_piece = count.min(self.piece.len());
            self.piece.advance(of_piece);
            count -= of_piece;
            self.after = self.after.get(count..).unwrap_or_default();
        }
    }
}

/// Room for text that is kept from one request to the next.
const KEPT: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;

    use futures_core::Stream;

    use super::super::super::outgoing::Cause;
    use super::*;

    /// Pieces of a payload, between which it has to be waited for.
    struct Pieces(VecDeque<Option<&'static str>>);

    impl Pieces {
        fn of(pieces: &[&'static str]) -> Pin<Box<Self>> {
            let pieces = pieces.iter().flat_map(|piece| [None, Some(*piece)]);
            Box::pin(Self(pieces.collect()))
        }
    }

    impl Stream for Pieces {
        type Item = Result<Bytes, Cause>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(Some(piece)) => Poll::Ready(Some(Ok(Bytes::from_static(piece.as_bytes())))),
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }
    }

    /// Takes so many bytes at once, and every other time none.
    struct Narrow {
        taken: Vec<u8>,
        width: usize,
        is_full: bool,
        writes: usize,
    }

    impl Narrow {
        fn of(width: usize) -> Self {
            Self {
                taken: Vec::new(),
                width,
                is_full: false,
                writes: 0,
            }
        }
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.is_full = !self.is_full && self.width < 1_000;
            if self.is_full {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let count = bytes.len().min(self.width);
            self.taken.extend(bytes.iter().take(count));
            self.writes += 1;
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_write(
                cx,
                &parts
                    .iter()
                    .flat_map(|part| part.to_vec())
                    .collect::<Vec<_>>(),
            )
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_payload_is_as_long_as_it_says_or_comes_in_chunks() {
        type Make = fn() -> Outgoing;
        let rows: [(Make, &str, usize); 6] = [
            (|| Outgoing::whole(Bytes::new()), "", 1),
            (|| Outgoing::whole(Bytes::from_static(b"hello")), "hello", 1),
            (
                || Outgoing::chunks(Pieces::of(&["he", "llo"]), Some(5), None),
                "hello",
                3,
            ),
            (
                || Outgoing::chunks(Pieces::of(&[]), None, None),
                "0\r\n\r\n",
                1,
            ),
            (
                || Outgoing::chunks(Pieces::of(&["he", "", "llo"]), None, None),
                "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                4,
            ),
            (
                || Outgoing::chunks(Pieces::of(&["0123456789abcdefg"]), None, None),
                "11\r\n0123456789abcdefg\r\n0\r\n\r\n",
                3,
            ),
        ];
        for (payload, expected, writes) in rows {
            for width in [1, 2, 3, 7, 1_000] {
                let mut stream = Narrow::of(width);
                let mut outbound = Outbound::default();
                // One after the other.
                for _ in 0..2 {
                    stream.taken.clear();
                    stream.writes = 0;
                    outbound.text().extend_from_slice(b"head\r\n\r\n");
                    outbound.begin(payload());
                    assert!(outbound.is_under_way() && !outbound.has_begun());
                    poll_fn(|cx| outbound.poll(cx, &mut stream)).await.unwrap();
                    assert!(outbound.is_over() && outbound.has_begun());
                    let sent = String::from_utf8_lossy(&stream.taken);
                    assert_eq!(sent, format!("head\r\n\r\n{expected}"), "{width}");
                    assert!(
                        width < 1_000 || stream.writes == writes,
                        "{}",
                        stream.writes
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn a_payload_that_fails_is_not_ended_after_that() {
        let mut stream = Narrow::of(1_000);
        let mut outbound = Outbound::default();
        outbound.text().extend_from_slice(b"head\r\n\r\n");
        let pieces = Pieces::of(&["he", "llo"]);
        outbound.begin(Outgoing::chunks(pieces, None, Some(3)));
        let written = poll_fn(|cx| outbound.poll(cx, &mut stream)).await;
        assert!(matches!(written, Err(Broken::Payload(_))));
        assert!(!outbound.is_under_way() && !outbound.is_over());
        poll_fn(|cx| outbound.poll(cx, &mut stream)).await.unwrap();
        assert_eq!(stream.taken, b"head\r\n\r\n2\r\nhe\r\n");
    }

    #[tokio::test]
    async fn what_takes_no_more_is_not_written_to_again() {
        let (mut stream, other) = tokio::io::duplex(4);
        drop(other);
        let mut outbound = Outbound::default();
        outbound.text().extend_from_slice(b"head\r\n\r\n");
        outbound.begin(Outgoing::whole(Bytes::from_static(b"hello")));
        let written = poll_fn(|cx| outbound.poll(cx, &mut stream)).await;
        assert!(matches!(written, Err(Broken::Stream(_))));
        assert!(!outbound.is_under_way() && !outbound.is_over());
    }
}
