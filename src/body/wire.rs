//! A body as it comes, and the connection it comes on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::connect::{Broken, Incoming, Lease};
use crate::timings::Moved;

/// The body as it comes, and the connection it comes on.
pub(super) struct Wire {
    pub(super) incoming: Incoming,
    /// Until the end.
    pub(super) lease: Option<Lease>,
    pub(super) read: u64,
    /// By the request and its response, as far as it has been read.
    pub(super) moved: Moved,
}

impl Wire {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.read = self.read.saturating_add(length as u64);
                if let Some(lease) = &mut self.lease {
                    lease.came(frame);
                }
                self.count();
                self.release_at_end();
            }
            Some(Err(_)) => _ = self.close(),
            None => {
                self.count();
                self.release();
            }
        }
        Poll::Ready(frame)
    }

    /// What is still to come. Content-Length may be there where nothing will: after HEAD, and with
    /// 204 and 304.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.incoming.is_end_stream() {
            true => SizeHint::with_exact(0),
            false => self.incoming.size_hint(),
        }
    }

    pub(super) fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    /// Looks how much has been moved. It has to be before the next request has the connection.
    pub(super) fn count(&mut self) {
        if let Some(lease) = &self.lease {
            self.moved = lease.moved();
        }
    }

    /// Lets go of the connection, which no other request may have. Whether it was there still.
    pub(super) fn close(&mut self) -> bool {
        self.count();
        self.incoming = Incoming::Ended;
        self.lease.take().is_some()
    }

    fn release(&mut self) {
        let body = std::mem::replace(&mut self.incoming, Incoming::Ended);
        if let Some(lease) = self.lease.take() {
            lease.give_back(body);
        }
    }
}
