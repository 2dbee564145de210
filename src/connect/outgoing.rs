//! A request's body on its way out, held to the length it promised.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};

use crate::error::{Error, ErrorKind};

/// What hyper is given as a body. It is one word, as it travels through hyper's channel with every
/// request.
pub(crate) struct Outgoing(Option<Box<Upload>>);

/// A payload's stream.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Cause>> + Send>>;

/// What a payload's stream fails with.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

enum Upload {
    Whole(Bytes),
    Chunks { chunks: Chunks, left: Option<u64> },
    Ended,
}

impl Outgoing {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        match bytes.is_empty() {
            true => Self(None),
            false => Self(Some(Box::new(Upload::Whole(bytes)))),
        }
    }

    /// A stream of `length` bytes, or of as many as come.
    pub(crate) fn chunks(chunks: Chunks, length: Option<u64>) -> Self {
        Self(Some(Box::new(Upload::Chunks {
            chunks,
            left: length,
        })))
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
        let polled = upload.poll(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            *upload = Upload::Ended;
        }
        polled.map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0.as_deref(), None | Some(Upload::Ended))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_deref() {
            None | Some(Upload::Ended) => SizeHint::with_exact(0),
            Some(Upload::Whole(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Some(Upload::Chunks {
                left: Some(left), ..
            }) => SizeHint::with_exact(*left),
            Some(Upload::Chunks { left: None, .. }) => SizeHint::default(),
        }
    }
}

impl Upload {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let (chunks, left) = match self {
            Self::Ended => return Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Ended;
                return Poll::Ready(Some(Ok(bytes)));
            }
            Self::Chunks { chunks, left } => (chunks, left),
        };
        let Poll::Ready(chunk) = chunks.as_mut().poll_next(cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match (chunk, left) {
            (Some(Err(cause)), _) => Some(Err(Error::new(
                ErrorKind::Payload,
                "the payload's stream failed",
            )
            .with_source(cause))),
            (Some(Ok(chunk)), None) => Some(Ok(chunk)),
            // A byte too many would be read by the server as the next request.
            (Some(Ok(chunk)), Some(left)) => match left.checked_sub(chunk.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Some(Ok(chunk))
                }
                None => Some(Err(Error::new(
                    ErrorKind::Payload,
                    "the payload's stream is longer than the length it promised",
                ))),
            },
            (None, None | Some(0)) => None,
            (None, Some(left)) => Some(Err(Error::new(
                ErrorKind::Payload,
                format!("the payload's stream ended {left} bytes short of the length it promised"),
            ))),
        })
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

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
    async fn a_stream_is_held_to_its_promise() {
        type Piece = Result<&'static str, &'static str>;
        let rows: [(&[Piece], Option<u64>, Piece); 7] = [
            (&[Ok("ab"), Ok("c")], None, Ok("abc")),
            (&[Ok("ab"), Ok("c")], Some(3), Ok("abc")),
            (&[], Some(0), Ok("")),
            (&[Ok("ab")], Some(3), Err("ended 1 bytes short")),
            (&[Ok("ab"), Ok("cd")], Some(3), Err("longer than")),
            (&[Ok("a")], Some(0), Err("longer than")),
            (&[Ok("a"), Err("disk on fire")], None, Err("disk on fire")),
        ];
        for (pieces, length, expected) in rows {
            let body = Outgoing::chunks(Box::pin(Pieces(pieces.to_vec())), length);
            match (body.collect().await, expected) {
                (Ok(sent), Ok(expected)) => assert_eq!(sent.to_bytes(), expected),
                (Err(error), Err(expected)) => {
                    assert_eq!(error.kind(), ErrorKind::Payload);
                    assert!(error.to_string().contains(expected), "{error}");
                }
                (found, _) => panic!("{pieces:?} {length:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_body_is_one_word() {
        assert_eq!(size_of::<Outgoing>(), size_of::<usize>());
        assert!(Outgoing::whole(Bytes::new()).is_end_stream());
    }
}
