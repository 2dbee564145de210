//! A request's body on its way out, held to the length it promised.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};
use crate::limits::Exceeded;

/// What is sent as a body. It is one word, as it travels through hyper's channel with every request
/// over HTTP/1.1. There is none when all of it has been taken.
pub(crate) struct Outgoing(Option<Box<Upload>>);

/// A payload's stream.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Cause>> + Send>>;

/// What a payload's stream fails with.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

struct Upload {
    source: Source,
    leash: Option<Led>,
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
        let leash = None;
        Self(Some(Box::new(Upload { source, leash })))
    }

    /// What keeps the upload going, if there is anything to upload.
    pub(super) fn leash(&mut self) -> Option<Leash> {
        let upload = self.0.as_deref_mut()?;
        let (held, let_go) = oneshot::channel();
        let progress = Arc::default();
        upload.leash = Some(Led {
            let_go,
            progress: Arc::clone(&progress),
        });
        Some(Leash { held, progress })
    }
}

/// Held by whoever waits for the response. When it is dropped, the upload fails: it would hold the
/// connection for as long as it likes.
#[derive(Debug)]
pub(super) struct Leash {
    held: oneshot::Sender<Infallible>,
    progress: Arc<Progress>,
}

/// How far an upload has come.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes that were taken off to be written.
    taken: AtomicU64,
    /// Unset while it goes on, and for good if it was given up.
    outcome: OnceLock<Result<(), Error>>,
}

impl Leash {
    /// Whether everything has been taken off to be written, or the upload has failed.
    pub(super) fn upload_is_over(&self) -> bool {
        self.held.is_closed()
    }

    /// How many bytes have been taken off to be written.
    pub(super) fn taken(&self) -> u64 {
        self.progress.taken.load(Ordering::Relaxed)
    }

    /// Why the upload failed. h2 tells whoever waits for the response only that it did.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.progress.outcome.get()?.as_ref().err()
    }
}

/// The other end of a [`Leash`].
struct Led {
    let_go: oneshot::Receiver<Infallible>,
    progress: Arc<Progress>,
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
        let polled = ready!(upload.poll(cx));
        if let (Ok(Some(chunk)), Some(led)) = (&polled, &upload.leash) {
            let length = chunk.len() as u64;
            led.progress.taken.fetch_add(length, Ordering::Relaxed);
        }
        if !matches!(polled, Ok(Some(_))) || upload.source.is_spent() {
            if let Some(led) = &upload.leash {
                let _ = led
                    .progress
                    .outcome
                    .set(polled.as_ref().map(drop).map_err(Error::clone));
            }
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

impl Upload {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some(led) = &mut self.leash {
            if Pin::new(&mut led.let_go).poll(cx).is_ready() {
                return Poll::Ready(Err(Error::new(
                    ErrorKind::Payload,
                    "nobody waits for the response any more",
                )));
            }
        }
        match &mut self.source {
            // Piece by piece, as what was taken counts as uploaded.
            Source::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Poll::Ready(Ok(Some(piece)))
            }
            Source::Chunks(streamed) => streamed.poll(cx),
        }
    }
}

impl Source {
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
        loop {
            match (ready!(self.chunks.as_mut().poll_next(cx)), &mut self.length) {
                (Some(Err(cause)), _) => {
                    let error = Error::new(ErrorKind::Payload, "the payload's stream failed");
                    return Poll::Ready(Err(error.with_source(cause)));
                }
                (Some(Ok(chunk)), _) if chunk.is_empty() => {}
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
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

/// Most of a payload that is handed to hyper at once. Over HTTP/1.1 it takes the next piece when
/// less than some 400 KiB wait to be written.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    impl Leash {
        /// Whether everything has been taken off to be written.
        fn all_was_taken(&self) -> bool {
            matches!(self.progress.outcome.get(), Some(Ok(())))
        }
    }

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
    async fn bytes_go_out_in_pieces_and_whole() {
        for length in [1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes = Bytes::from_iter((0..length).map(|n| n as u8));
            let mut body = Outgoing::whole(bytes.clone());
            let leash = body.leash().unwrap();
            let mut sent = Vec::new();
            while !body.is_end_stream() {
                assert!(!leash.upload_is_over());
                assert_eq!(body.size_hint().exact(), Some((length - sent.len()) as u64));
                let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
                assert!(piece.len() <= PIECE);
                sent.extend_from_slice(&piece);
                assert_eq!(leash.taken(), sent.len() as u64);
            }
            assert!(leash.upload_is_over() && leash.all_was_taken());
            assert_eq!(sent, bytes);
        }
    }

    #[tokio::test]
    async fn an_upload_ends_with_its_leash() {
        for length in [None, Some(4)] {
            let pieces = Pieces(vec![Ok("ab"), Ok("cd")]);
            let mut body = Outgoing::chunks(Box::pin(pieces), length, None);
            let leash = body.leash().unwrap();
            body.frame().await.unwrap().unwrap();
            assert!(!leash.upload_is_over());
            drop(leash);
            body.frame().await.unwrap().unwrap_err();
            assert!(body.is_end_stream());
        }
        let mut body = Outgoing::chunks(Box::pin(Pieces(vec![Ok("ab")])), Some(2), None);
        let leash = body.leash().unwrap();
        body.frame().await.unwrap().unwrap();
        assert!(leash.upload_is_over());
        let mut body = Outgoing::chunks(Box::pin(Pieces(vec![Ok("abc")])), Some(2), None);
        let leash = body.leash().unwrap();
        body.frame().await.unwrap().unwrap_err();
        assert_eq!(leash.failure().unwrap().kind(), ErrorKind::Payload);
        assert!(!leash.all_was_taken());
        let mut body = Outgoing::chunks(Box::pin(Pieces(vec![Ok("ab")])), None, None);
        let leash = body.leash().unwrap();
        drop(body);
        assert!(leash.upload_is_over() && !leash.all_was_taken());
    }

    #[test]
    fn a_body_is_one_word() {
        assert_eq!(size_of::<Outgoing>(), size_of::<usize>());
        assert!(Outgoing::whole(Bytes::new()).is_end_stream());
    }
}
