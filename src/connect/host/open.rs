//! A connection for one request, the right to have one, and a wait: what each leaves behind when it
//! is dropped.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::Host;
use crate::connect::facts::Facts;
use crate::connect::farewell::Held;
use crate::connect::sender::Sender;

/// A connection for one request. Dropped with [`clean`](Self::clean), it goes to whoever is next.
#[derive(Debug)]
pub(in crate::connect) struct Open {
    /// Until it has been given the request; that of HTTP/1.1 comes back with the end of the response.
    pub(in crate::connect) sender: Option<Sender>,
    pub(in crate::connect) facts: Arc<Facts>,
    /// It has served others before.
    pub(in crate::connect) reused: bool,
    /// Until it is put to use again: since when it has been without a request.
    pub(super) idle_since: Option<Instant>,
    /// Nothing of a request or of a response is on it.
    pub(in crate::connect) clean: bool,
    /// Of an h2 connection, beyond its sender.
    pub(super) _held: Option<Arc<Held>>,
    pub(super) host: Arc<Host>,
}

/// The right to have one connection, from before its dial until its socket is closed.
#[derive(Debug)]
pub(in crate::connect) struct Place {
    pub(super) host: Weak<Host>,
    pub(super) dialling: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        let connection = match self.sender.take() {
            Some(Sender::Http1(connection)) if self.clean => Some(connection),
            _ => None,
        };
        self.host.end(&self.facts, connection, self.idle_since);
    }
}

impl Open {
    /// Whoever has it may use it, and is about to. Until then it is as idle as it was.
    pub(in crate::connect) fn put_to_use(&mut self) {
        self.clean = false;
        if self.idle_since.take().is_some() {
            self.host.totals.reused.one();
        }
    }

    /// Whether it takes a request, by a look at the connection itself.
    pub(in crate::connect) fn is_ready(&mut self) -> bool {
        let is_ready = self.sender.as_mut().is_some_and(Sender::is_ready);
        if !is_ready && !self.facts.is_http2 {
            self.host.totals.lost.one();
        }
        is_ready
    }

    /// The connection failed a request: nobody else should find it.
    pub(in crate::connect) fn retire(&self) {
        self.host.retire(&self.facts);
    }
}

impl Place {
    /// There is a connection on it.
    pub(super) fn is_taken(&mut self) {
        let host = self.host.upgrade();
        if let Some(host) = host.filter(|_| std::mem::take(&mut self.dialling)) {
            host.state().dialling -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.is_taken();
        if let Some(host) = self.host.upgrade() {
            let mut state = host.state();
            state.places -= 1;
            host.serve(state);
        }
    }
}

/// Somebody waits.
pub(in crate::connect) struct Waits<'a>(pub(super) &'a Host);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
