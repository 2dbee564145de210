//! What one call wants, a stream to a target by a time, and what it gets.

use std::net::SocketAddr;

use super::asker::Asker;
use super::trust::Endpoint;
use crate::limits::Deadline;

/// A connection that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) target: &'a Endpoint,
    /// Who asked for the target's address.
    pub(crate) asker: Asker,
    pub(crate) deadline: Deadline,
}

/// A connection fresh from the dial.
pub(crate) struct Connected<S> {
    pub(crate) stream: S,
    /// What is at the other end of its TCP: the host, or a proxy.
    pub(crate) remote: SocketAddr,
    /// Where the host itself is; `None` if a proxy keeps that to itself.
    pub(crate) host: Option<SocketAddr>,
}
