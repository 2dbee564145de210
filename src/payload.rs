//! What a request carries.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use crate::connect::outgoing::{Cause, Chunks, Outgoing};

/// The payload of a request: bytes, or a stream of them.
pub struct Payload(Carried);

enum Carried {
    Whole(Bytes),
    Chunks {
        chunks: Chunks,
        length: Option<u64>,
    },
    /// A stream that has been handed on.
    Spent,
}

impl Payload {
    /// A payload that is made while it is sent; if the stream fails, so does the fetch, with
    /// [`ErrorKind::Payload`](crate::ErrorKind::Payload). Without a [`length`](Self::length) it goes in
    /// chunks over HTTP/1.1.
    ///
    /// It cannot be sent twice, so a redirect that keeps the payload (307, 308) is refused.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        Self(Carried::Chunks {
            chunks: Box::pin(Converted(Box::pin(stream))),
            length: None,
        })
    }

    /// The bytes that a stream will have. It is held to them:
    /// [`ErrorKind::Payload`](crate::ErrorKind::Payload) if it has fewer or more.
    pub fn length(mut self, bytes: u64) -> Self {
        if let Carried::Chunks { length, .. } = &mut self.0 {
            *length = Some(bytes);
        }
        self
    }

    pub(crate) fn empty() -> Self {
        Self(Carried::Whole(Bytes::new()))
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self.0, Carried::Whole(_))
    }

    /// The bytes it will have, if that is known.
    pub(crate) fn known_length(&self) -> Option<u64> {
        match &self.0 {
            Carried::Whole(bytes) => Some(bytes.len() as u64),
            Carried::Chunks { length, .. } => *length,
            Carried::Spent => None,
        }
    }

    /// The body for one attempt, of `most` bytes if their number is not known; None if it was handed
    /// out and cannot be again.
    pub(crate) fn outgoing(&mut self, most: Option<u64>) -> Option<Outgoing> {
        match &mut self.0 {
            Carried::Whole(bytes) => Some(Outgoing::whole(bytes.clone())),
            Carried::Spent => None,
            carried => match std::mem::replace(carried, Carried::Spent) {
                Carried::Chunks { chunks, length } => Some(Outgoing::chunks(chunks, length, most)),
                Carried::Whole(_) | Carried::Spent => None,
            },
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("length", &self.known_length())
            .finish_non_exhaustive()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(Carried::Whole(bytes))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

/// A stream whose errors are boxed.
struct Converted<S>(Pin<Box<S>>);

impl<S, E> Stream for Converted<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<Cause>,
{
    type Item = Result<Bytes, Cause>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0
            .as_mut()
            .poll_next(cx)
            .map(|item| item.map(|chunk| chunk.map_err(Into::into)))
    }
}
