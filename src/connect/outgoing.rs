//! A request's body on its way out, held to the length it promised.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};

use crate::error::{Error, ErrorKind};
use crate::limits::Exceeded;

/// What is sent as a body. It is one word, as every request has one and most are empty. There is none
/// when all of it has been taken.
pub(crate) struct Outgoing(Option<Box<Upload>>);

/// A payload's stream.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Cause>> + Send>>;

/// What a payload's stream fails with.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

struct Upload {
    source: Source,
    progress: Option<Arc<Progress>>,
}

enum Source {
    Whole(Bytes),
    Chunks(Streamed),
}

struct Streamed {
    chunks: Chunks,
    length: Length,
    /// The chunk that keeps the promise. It waits for the end of the stream: once it is out the
    /// server has a whole request, and a byte too many would come too late to be an error.
    last: Bytes,
}

enum Length {
    /// Bytes that were promised and have not come yet.
    Promised { left: u64 },
    /// As many as come, and how many more may.
    Open { most: u64, left: u64 },
}

impl Outgoing {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        match bytes.is_empty() {
            true => Self(None),
            false => Self::upload(Source::Whole(bytes)),
        }
    }

    /// A stream of `length` bytes, or of as many as come, of which there may be `most`.
    pub(crate) fn chunks(chunks: Chunks, length: Option<u64>, most: Option<u64>) -> Self {
        let length = match (length, most.unwrap_or(u64::MAX)) {
            (Some(left), _) => Length::Promised { left },
            (None, most) => Length::Open { most, left: most },
        };
        Self::upload(Source::Chunks(Streamed {
            chunks,
            length,
            last: Bytes::new(),
        }))
    }

    /// Whether it is all there, so that nothing of the caller's runs when it is polled.
    pub(super) fn is_whole(&self) -> bool {
        let source = self.0.as_deref().map(|upload| &upload.source);
        matches!(source, None | Some(Source::Whole(_)))
    }

    fn upload(source: Source) -> Self {
        let progress = None;
        Self(Some(Box::new(Upload { source, progress })))
    }

    /// How far it comes from now on, if there is anything to upload.
    pub(super) fn progress(&mut self) -> Option<Arc<Progress>> {
        let upload = self.0.as_deref_mut()?;
        Some(Arc::clone(upload.progress.get_or_insert_default()))
    }
}

/// How far an upload has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that were taken off to be written.
    taken: AtomicU64,
    failure: OnceLock<Error>,
}

impl Progress {
    /// How many bytes have been taken off to be written.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Why the upload failed. h2 tells whoever waits for the response only that it did.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(upload) = self.0.as_deref_mut() else {
            return Poll::Ready(None);
        };
        let polled = ready!(upload.source.poll(cx));
        if let Some(progress) = &upload.progress {
            match &polled {
                Ok(Some(chunk)) => {
                    let length = chunk.len() as u64;
                    progress.taken.fetch_add(length, Ordering::Relaxed);
                }
                Ok(None) => {}
                Err(error) => _ = progress.failure.set(error.clone()),
            }
        }
        if !matches!(polled, Ok(Some(_))) || upload.source.is_spent() {
            self.0 = None;
        }
        Poll::Ready(polled.transpose().map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_deref().map(|upload| &upload.source) {
            None => SizeHint::with_exact(0),
            Some(Source::Whole(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Some(Source::Chunks(streamed)) => match streamed.length {
                Length::Promised { left } => {
                    SizeHint::with_exact(left.saturating_add(streamed.last.len() as u64))
                }
                Length::Open { .. } => SizeHint::default(),
            },
        }
    }
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        match self {
            // Piece by piece, as what was taken counts as uploaded.
            Self::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Poll::Ready(Ok(Some(piece)))
            }
            Self::Chunks(streamed) => streamed.poll(cx),
        }
    }

    /// Whether nothing is left but the end.
    fn is_spent(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            // The last chunk of a known length was held back until the stream had ended.
            Self::Chunks(Streamed { length, last, .. }) => {
                matches!(length, Length::Promised { left: 0 }) && last.is_empty()
            }
        }
    }
}

impl Streamed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let failed = |why: String| Poll::Ready(Err(Error::new(ErrorKind::Payload, why)));
        let mut empty = 0;
        while empty < EMPTY_AT_ONCE {
            // It is the caller's, and polled where others wait for what is theirs.
            let polled = AssertUnwindSafe(|| self.chunks.as_mut().poll_next(cx));
            let Ok(polled) = catch_unwind(polled) else {
                return failed("the payload's stream panicked".into());
            };
            match (ready!(polled), &mut self.length) {
                (Some(Err(cause)), _) => {
                    let error = Error::new(ErrorKind::Payload, "the payload's stream failed");
                    return Poll::Ready(Err(error.with_source(cause)));
                }
                (Some(Ok(chunk)), _) if chunk.is_empty() => empty += 1,
                (Some(Ok(chunk)), Length::Open { most, left }) => {
                    let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                        return Poll::Ready(Err(Exceeded::Stream { most: *most }.into()));
                    };
                    *left = rest;
                    return Poll::Ready(Ok(Some(chunk)));
                }
                (Some(Ok(chunk)), Length::Promised { left }) => {
                    match left.checked_sub(chunk.len() as u64) {
                        Some(0) => {
                            *left = 0;
                            self.last = chunk;
                        }
                        Some(rest) => {
                            *left = rest;
                            return Poll::Ready(Ok(Some(chunk)));
                        }
                        None => {
                            return failed(
                                "the payload's stream is longer than the length it promised".into(),
                            );
                        }
                    }
                }
                (None, Length::Open { .. } | Length::Promised { left: 0 }) => {
                    let last = std::mem::take(&mut self.last);
                    return Poll::Ready(Ok((!last.is_empty()).then_some(last)));
                }
                (None, Length::Promised { left }) => {
                    return failed(format!(
                        "the payload's stream ended {left} bytes short of the length it promised"
                    ));
                }
            }
        }
        // Others have their turn, a deadline among them.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

/// Most of a payload that is written at once: four records of TLS.
const PIECE: usize = 64 << 10;

/// Pieces without a byte that are taken one after the other before others have their turn: as many
/// as tokio's budget has units.
const EMPTY_AT_ONCE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    struct Pieces(Vec<Result<&'static str, &'static str>>);

    impl Stream for Pieces {
        type Item = Result<Bytes, Cause>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let piece = (!self.0.is_empty()).then(|| self.0.remove(0));
            Poll::Ready(piece.map(|piece| piece.map(Bytes::from).map_err(Cause::from)))
        }
    }

    #[tokio::test]
    async fn a_stream_is_held_to_its_promise_or_to_its_limit() {
        use ErrorKind::{Payload as Broken, PayloadTooLarge};
        type Piece = Result<&'static str, &'static str>;
        type Outcome = Result<&'static str, (ErrorKind, &'static str)>;
        // The pieces, the length that was promised, the limit, and what comes of it.
        type Row = (&'static [Piece], Option<u64>, Option<u64>, Outcome);
        let rows: [Row; 11] = [
            (&[Ok("ab"), Ok("c")], None, None, Ok("abc")),
            (&[Ok("ab"), Ok("c")], Some(3), None, Ok("abc")),
            (&[], Some(0), None, Ok("")),
            (
                &[Ok("ab")],
                Some(3),
                None,
                Err((Broken, "ended 1 bytes short")),
            ),
            (
                &[Ok("ab"), Ok("cd")],
                Some(3),
                None,
                Err((Broken, "longer than")),
            ),
            (&[Ok("a")], Some(0), None, Err((Broken, "longer than"))),
            (
                &[Ok("a"), Err("disk on fire")],
                None,
                None,
                Err((Broken, "disk on fire")),
            ),
            (&[Ok("ab"), Ok("c")], None, Some(4), Ok("abc")),
            (
                &[Ok("ab"), Ok(""), Ok("c"), Ok("")],
                None,
                Some(3),
                Ok("abc"),
            ),
            (
                &[Ok("ab"), Ok("c")],
                None,
                Some(2),
                Err((PayloadTooLarge, "longer than its limit of 2 bytes")),
            ),
            (
                &[Ok("a")],
                None,
                Some(0),
                Err((PayloadTooLarge, "longer than its limit of 0 bytes")),
            ),
        ];
        for (pieces, length, most, expected) in rows {
            let body = Outgoing::chunks(Box::pin(Pieces(pieces.to_vec())), length, most);
            match (body.collect().await, expected) {
                (Ok(sent), Ok(expected)) => assert_eq!(sent.to_bytes(), expected),
                (Err(error), Err((kind, expected))) => {
                    assert_eq!(error.kind(), kind);
                    assert!(error.to_string().contains(expected), "{error}");
                }
                (found, _) => panic!("{pieces:?} {length:?} {most:?}: {found:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_stream_of_nothing_leaves_others_their_turn() {
        let mut pieces = vec![Ok(""); EMPTY_AT_ONCE];
        pieces.push(Ok("a"));
        let mut body = Outgoing::chunks(Box::pin(Pieces(pieces)), None, None);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "a");

        let pieces = Pieces(vec![Ok(""); 3 * EMPTY_AT_ONCE]);
        let body = Outgoing::chunks(Box::pin(pieces), None, None);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "");
    }

    #[tokio::test]
    async fn bytes_go_out_in_pieces_and_whole() {
        for length in [1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes = Bytes::from_iter((0..length).map(|n| n as u8));
            let mut body = Outgoing::whole(bytes.clone());
            let progress = body.progress().unwrap();
            let mut sent = Vec::new();
            while !body.is_end_stream() {
                assert_eq!(body.size_hint().exact(), Some((length - sent.len()) as u64));
                let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
                assert!(piece.len() <= PIECE);
                sent.extend_from_slice(&piece);
                assert_eq!(progress.taken(), sent.len() as u64);
            }
            assert!(progress.failure().is_none());
            assert_eq!(sent, bytes);
        }
    }

    #[tokio::test]
    async fn why_an_upload_fails_is_told_aside() {
        for (promised, fails) in [(3, true), (2, false), (1, true)] {
            let pieces = Pieces(vec![Ok("ab")]);
            let mut body = Outgoing::chunks(Box::pin(pieces), Some(promised), None);
            let progress = body.progress().unwrap();
            while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
            assert!(body.is_end_stream());
            let failure = progress.failure().map(Error::kind);
            assert_eq!(failure, fails.then_some(ErrorKind::Payload), "{promised}");
        }
    }

    #[test]
    fn a_body_is_one_word() {
        assert_eq!(size_of::<Outgoing>(), size_of::<usize>());
        assert!(Outgoing::whole(Bytes::new()).is_end_stream());
    }
}
