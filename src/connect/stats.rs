//! What a client's connections are doing, in numbers.
//!
//! A total is added to where the thing happens, by one relaxed addition; everything else is counted
//! under the lock of its host, which is held there anyway.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a client's connections are doing, and what became of those it had. From
/// [`Client::pool_stats`](crate::Client::pool_stats).
///
/// [`now`](Self::now) is a state and goes up and down; the other numbers are totals since the client
/// was built and only grow. [`Client::connect`](crate::Client::connect) and
/// [`Client::wrap`](crate::Client::wrap) are not counted: their streams are the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// All hosts together.
    pub now: Connections,
    /// Host by host, in the order of their names. A host without a connection is left out after a
    /// while.
    pub hosts: Vec<HostStats>,
    /// Connections opened.
    pub opened: u64,
    /// Requests that were given a connection which was open already.
    pub reused: u64,
    /// Requests that were sent a second time, because the first cannot have been acted on or may be
    /// repeated.
    pub replayed: u64,
    /// Connections closed because they had been without a request for too long, or were too old.
    pub expired: u64,
    /// Connections that we would have used again and could not: closed by their server between two
    /// requests or, over HTTP/2, at any time; spoken on out of turn; or silent for too long.
    pub lost: u64,
    /// Connections closed after a request because enough were idle.
    pub surplus: u64,
}

/// The connections to one host. What differs only in the runtime, or in whether the peer has to be
/// verified, is added up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// A name or an IP address, as in a URL, without the brackets of an IPv6 literal.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the scheme is https.
    pub https: bool,
    /// Its connections.
    pub now: Connections,
}

/// Connections, and who waits for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Connections that are open. Besides those below there may be some that are about to close.
    pub open: usize,
    /// Connections that are being opened.
    pub dialling: usize,
    /// HTTP/1.1 connections without a request.
    pub idle: usize,
    /// HTTP/1.1 connections that a call has: until its response was read to the end, or dropped.
    pub in_use: usize,
    /// HTTP/2 connections that the next request may share.
    pub http2: usize,
    /// HTTP/2 requests under way: until the response was read to the end, or dropped.
    pub streams: usize,
    /// Calls that wait for a connection or a stream, or for another call's dial to end. Who was
    /// given one a moment ago may still be counted.
    pub waiting: usize,
}

impl Connections {
    pub(super) fn add(&mut self, more: &Self) {
        self.open += more.open;
        self.dialling += more.dialling;
        self.idle += more.idle;
        self.in_use += more.in_use;
        self.http2 += more.http2;
        self.streams += more.streams;
        self.waiting += more.waiting;
    }
}

/// The totals of one client.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) opened: Count,
    pub(super) reused: Count,
    pub(super) replayed: Count,
    pub(super) expired: Count,
    pub(super) lost: Count,
    pub(super) surplus: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
