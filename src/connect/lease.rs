//! The right to send one request on a connection, and what becomes of the connection after it.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Frame;

use super::facts::Facts;
use super::host::Open;
use super::incoming::Incoming;
use super::outgoing::Progress;
use super::sender::Sender;
use super::tally::Tally;
use super::upload::Piping;
use crate::error::Error;
use crate::timings::Moved;

/// The right to send one request on a connection.
///
/// Dropped, it closes an HTTP/1.1 connection; an h2 connection is everybody's and stays.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) open: Open,
    /// Over h2. In a box, as most requests have no payload.
    pub(super) uploading: Option<Box<Uploading>>,
    /// The bytes of its request and response.
    pub(super) tally: Tally,
}

impl Lease {
    pub(super) fn new(open: Open) -> Self {
        Self {
            open,
            uploading: None,
            tally: Tally::Nothing,
        }
    }

    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.open.facts
    }

    /// Whether its connection has served others before.
    pub(crate) fn is_reused(&self) -> bool {
        self.open.reused
    }

    /// The bytes of its request that were sent until now, and those of the response that have come.
    pub(crate) fn moved(&self) -> Moved {
        let uploading = self.uploading.as_ref();
        let uploaded = uploading.map_or(0, |uploading| uploading.progress.taken());
        self.tally.moved(&self.open.facts.traffic, uploaded)
    }

    /// A piece of the response's body has come, or its trailers.
    pub(crate) fn came(&mut self, frame: &Frame<Bytes>) {
        self.tally.frame(frame);
    }

    /// Why the upload failed, if it did.
    pub(super) fn payload_failure(&self) -> Option<&Error> {
        self.uploading.as_ref()?.progress.failure()
    }

    /// The body has ended: the next request may have the connection.
    ///
    /// A response that has overtaken its request ends the upload (RFC 9112 §9.5, RFC 9113 §8.1), and
    /// over HTTP/1.1 the connection.
    pub(crate) fn give_back(mut self, body: Incoming) {
        if let Incoming::Http1(mut connection) = body {
            self.open.clean = connection.is_reusable();
            connection.rest();
            self.open.sender = Some(Sender::Http1(connection));
        }
    }
}

/// The payload that is sent on a lease over h2. If this is dropped before its end, the upload ends
/// with it.
#[derive(Debug)]
pub(super) struct Uploading {
    progress: Arc<Progress>,
    /// What uploads it to the stream. The peer may never make room for the rest.
    _piping: Option<Piping>,
}

impl Uploading {
    pub(super) fn new(progress: Arc<Progress>, piping: Option<Piping>) -> Box<Self> {
        Box::new(Self {
            progress,
            _piping: piping,
        })
    }
}
