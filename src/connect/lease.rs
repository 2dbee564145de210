//! The right to send one request on a connection, and what becomes of the connection after it.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Frame;
use tokio::task::AbortHandle;

use super::facts::Facts;
use super::host::Open;
use super::outgoing::Leash;
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
    /// No other request may follow on it.
    pub(super) is_last: bool,
    /// In a box, as most requests have no payload.
    pub(super) uploading: Option<Box<Uploading>>,
    /// The bytes of its request and response.
    pub(super) tally: Tally,
}

impl Lease {
    pub(super) fn new(open: Open) -> Self {
        Self {
            open,
            is_last: false,
            uploading: None,
            tally: Tally::Nothing,
        }
    }

    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.open.facts
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.open.facts.is_http2
    }

    /// Whether its connection has served others before.
    pub(crate) fn is_reused(&self) -> bool {
        self.open.reused
    }

    /// The bytes of its request that were sent until now, and those of the response that have come.
    pub(crate) fn moved(&self) -> Moved {
        let uploading = self.uploading.as_ref();
        let uploaded = uploading.map_or(0, |uploading| uploading.leash.taken());
        self.tally.moved(&self.open.facts.traffic, uploaded)
    }

    /// A piece of the response's body has come, or its trailers.
    pub(crate) fn came(&mut self, frame: &Frame<Bytes>) {
        self.tally.frame(frame);
    }

    /// Why the upload failed, if it did.
    pub(super) fn payload_failure(&self) -> Option<&Error> {
        self.uploading.as_ref()?.leash.failure()
    }

    /// The body has ended: the next request may have the connection. Not earlier, as hyper's
    /// `ready` then waits for a body that nobody reads.
    ///
    /// A response that has overtaken its request ends the upload (RFC 9112 §9.5, RFC 9113
    /// §8.1): over HTTP/1.1 the next request would wait for the end of this one.
    pub(crate) fn give_back(mut self) {
        let is_uploading = |uploading: &Uploading| !uploading.leash.upload_is_over();
        self.open.clean = !self.is_last && !self.uploading.as_deref().is_some_and(is_uploading);
    }
}

/// The payload that is sent on a lease. If this is dropped before its end, the upload ends with it.
#[derive(Debug)]
pub(super) struct Uploading {
    leash: Leash,
    /// The driver of the HTTP/1.1 connection, which is of no use with half a request on it. It may
    /// be waiting for a peer that does not read, and look at nothing else meanwhile.
    driver: Option<AbortHandle>,
    /// What uploads it to an h2 stream. The peer may never make room for the rest.
    pub(super) piping: Option<Piping>,
}

impl Uploading {
    pub(super) fn new(leash: Leash, driver: Option<AbortHandle>) -> Box<Self> {
        Box::new(Self {
            leash,
            driver,
            piping: None,
        })
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take().filter(|_| !self.leash.upload_is_over()) {
            driver.abort();
        }
    }
}
