//! What is known of a host: its connections, and the queue of those who wait for one.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::idle::{Idle, Stack};
use super::next::{Choice, Grant};
use crate::connect::facts::Facts;
use crate::connect::http2::Http2;
use crate::connect::sender::Sender;
use crate::error::Error;

#[derive(Debug, Default)]
pub(super) struct State {
    /// What the last connection spoke.
    pub(super) speaks: Option<Protocol>,
    /// HTTP/1.1 connections between requests. While there are any, nobody waits who would take
    /// one.
    pub(super) idle: Stack,
    /// The h2 connection that everybody shares.
    pub(super) shared: Option<Shared>,
    /// What was let go of, until the lock is given back.
    pub(super) spent: Vec<Sender>,
    /// Who waits for a connection or a stream: first come, first served.
    pub(super) queue: VecDeque<Waiting>,
    /// How long the queue may become before those in it are looked for who have given up.
    pub(super) purge_at: usize,
    /// Connections from before their dial until their socket is closed.
    pub(super) places: usize,
    /// Those of them that are not yet open.
    pub(super) dialling: usize,
    pub(super) in_use: usize,
    pub(super) streams: usize,
    /// How many dials have failed, and how the last one did.
    pub(super) failures: u64,
    pub(super) failure: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connection: Http2,
    pub(super) facts: Arc<Facts>,
    /// Requests on it whose response has not ended.
    pub(super) streams: usize,
    pub(super) last_used: Instant,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) grant: oneshot::Sender<Grant>,
    pub(super) choice: Choice,
}

/// The state, and what goes only when nobody is locked out any more: with the last sender of a
/// connection goes what is left on it, and with a payload whatever its caller put there.
/// It may be the body of a response of this host.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    spent: Vec<Sender>,
}

impl<'a> Locked<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>) -> Self {
        let spent = Vec::new();
        Self { state, spent }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // The fields go in their order.
        self.spent = std::mem::take(&mut self.state.spent);
    }
}

impl State {
    /// Everybody shares this connection from now on.
    pub(super) fn share(&mut self, connection: Shared) {
        let before = self.shared.replace(connection);
        self.spent.extend(before.map(Shared::retire));
    }

    pub(super) fn enqueue(&mut self, waiting: Waiting) {
        if self.queue.len() >= self.purge_at {
            self.queue.retain(|waiting| !waiting.grant.is_closed());
            self.purge_at = (2 * self.queue.len()).max(MIN_PURGE);
        }
        self.queue.push_back(waiting);
    }

    /// Whether anybody waits who has not given up.
    pub(super) fn somebody_waits(&mut self) -> bool {
        while self
            .queue
            .front()
            .is_some_and(|first| first.grant.is_closed())
        {
            self.queue.pop_front();
        }
        !self.queue.is_empty()
    }

    /// The shared connection, if it still is this one.
    pub(super) fn shared_if(&mut self, facts: &Arc<Facts>) -> Option<&mut Shared> {
        let is_it = |shared: &&mut Shared| Arc::ptr_eq(&shared.facts, facts);
        self.shared.as_mut().filter(is_it)
    }

    /// Whoever waits for a stream of it has to look for another connection.
    pub(super) fn let_go_of_shared(&mut self) {
        self.spent.extend(self.shared.take().map(Shared::retire));
        self.queue.clear();
    }

    pub(super) fn let_go_of(&mut self, idle: impl IntoIterator<Item = Idle>) {
        self.spent.extend(idle.into_iter().map(Sender::from));
    }

    /// Whether there is a connection that nobody uses any more and that has not closed yet. One of
    /// h2 has until its last request is over, and is not waited for.
    pub(super) fn makes_room(&self) -> bool {
        let used = self.dialling + self.in_use + self.idle.len();
        self.shared.is_none() && self.streams == 0 && self.places > used
    }
}

impl From<Idle> for Sender {
    fn from(idle: Idle) -> Self {
        Self::Http1(idle.connection)
    }
}

impl Shared {
    /// No request is given to it any more.
    fn retire(self) -> Sender {
        self.connection.held.retire();
        Sender::Http2(self.connection)
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams < self.connection.most_streams()
    }
}

/// A queue that is not worth looking through.
const MIN_PURGE: usize = 64;
