//! Where the time of a fetch goes: the phases it passes through, and how long each took.

use std::fmt;
use std::time::Duration;

/// A phase of one fetch, in the order in which they pass.
///
/// The names are those of curl's `--write-out` and of the OpenTelemetry HTTP conventions where
/// these have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a place: for another call's dial to the same host to end, or for the roots to
    /// be loaded.
    Queued,
    /// Resolving the host's name to addresses.
    Dns,
    /// Opening a TCP connection to one of them.
    Connect,
    /// The TLS handshake, in which the peer is judged.
    Tls,
    /// Sending the request and waiting for the head of the response.
    FirstByte,
    /// Reading the body.
    Body,
}

impl Phase {
    /// A stable word for logs and metrics: `queued`, `dns`, `connect`, `tls`, `first_byte`, `body`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }

    /// What was being done, for a sentence: "the deadline ended while ..."
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::Queued => "waiting for a connection",
            Self::Dns => "resolving the host's name",
            Self::Connect => "opening a TCP connection",
            Self::Tls => "in the TLS handshake",
            Self::FirstByte => "waiting for the response head",
            Self::Body => "reading the body",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long each phase of a fetch took, summed over its hops.
///
/// A phase that did not happen is `None`: a request served by a pooled connection has no `dns`,
/// `connect` or `tls`. Reading the body is not in here, as it happens after the response was
/// handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    queued: Option<Duration>,
    dns: Option<Duration>,
    connect: Option<Duration>,
    tls: Option<Duration>,
    first_byte: Option<Duration>,
}

impl Timings {
    /// Time spent waiting: for another call's dial to the same host, or for the roots to be loaded.
    pub fn queued(&self) -> Option<Duration> {
        self.queued
    }

    /// Time spent resolving names.
    pub fn dns(&self) -> Option<Duration> {
        self.dns
    }

    /// Time spent opening TCP connections.
    pub fn connect(&self) -> Option<Duration> {
        self.connect
    }

    /// Time spent in TLS handshakes.
    pub fn tls(&self) -> Option<Duration> {
        self.tls
    }

    /// Time from handing a request to its connection until its response head was read.
    pub fn first_byte(&self) -> Option<Duration> {
        self.first_byte
    }

    /// All phases together, without the body.
    pub fn total(&self) -> Duration {
        [
            self.queued,
            self.dns,
            self.connect,
            self.tls,
            self.first_byte,
        ]
        .into_iter()
        .flatten()
        .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Adds `spent` to a phase.
    pub(crate) fn add(&mut self, phase: Phase, spent: Duration) {
        let slot = match phase {
            Phase::Queued => &mut self.queued,
            Phase::Dns => &mut self.dns,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::FirstByte => &mut self.first_byte,
            Phase::Body => return,
        };
        *slot = Some(slot.unwrap_or_default().saturating_add(spent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_add_up_and_what_did_not_happen_is_none() {
        let mut timings = Timings::default();
        timings.add(Phase::Dns, Duration::from_millis(2));
        timings.add(Phase::Dns, Duration::from_millis(3));
        timings.add(Phase::FirstByte, Duration::MAX);
        assert_eq!(timings.dns(), Some(Duration::from_millis(5)));
        assert_eq!(timings.tls(), None);
        assert_eq!(timings.total(), Duration::MAX);
    }
}
