//! Which of the open connections are of no use any more.

use std::sync::Arc;

use tokio::time::Instant;

use super::Host;
use super::idle::Idle;
use super::state::State;
use crate::connect::facts::Facts;
use crate::connect::transport::Unread;

impl Host {
    /// Lets go of what is idle for too long, or too old, and of an h2 connection that is closed. One
    /// of HTTP/1.1 is looked at by whoever would use it.
    pub(super) fn reap(self: &Arc<Self>, state: &mut State, now: Instant) {
        if state.idle.is_due(now) {
            self.reap_idle(state, now);
        }
        self.reap_shared(state, now);
    }

    /// The same, and of every idle connection that is closed.
    pub(super) fn reap_all(self: &Arc<Self>, state: &mut State, now: Instant) {
        self.reap_idle(state, now);
        self.reap_shared(state, now);
    }

    fn reap_shared(&self, state: &mut State, now: Instant) {
        if let Some(shared) = &mut state.shared {
            let is_closed = shared.connection.is_closed();
            let since = (shared.streams == 0).then_some(shared.last_used);
            if !self.keeps(is_closed, &shared.facts, since, now) {
                state.let_go_of_shared();
            }
        }
    }

    /// Lets go of every idle connection that is closed, idle for too long, or too old.
    pub(super) fn reap_idle(self: &Arc<Self>, state: &mut State, now: Instant) {
        let waker = self.watch.of(self);
        let keeps = |idle: &mut Idle| {
            let is_open = idle.connection.unread() != Unread::News && idle.connection.watch(waker);
            self.keeps(!is_open, &idle.facts, Some(idle.since), now)
        };
        let taken = state.idle.take_unless(&self.keep, keeps);
        state.let_go_of(taken);
    }

    /// Whether one that somebody has found may be used by its age. He looks at the connection
    /// itself.
    pub(super) fn keeps_idle(&self, idle: &Idle, now: Instant) -> bool {
        self.keeps(false, &idle.facts, Some(idle.since), now)
    }

    /// Whether a connection may be used again; if not, why it goes is counted.
    fn keeps(&self, is_closed: bool, facts: &Facts, since: Option<Instant>, now: Instant) -> bool {
        if is_closed {
            self.totals.lost.one();
        } else if !self.keep.is_young(now, facts.born)
            || since.is_some_and(|since| !self.keep.is_fresh(now, since))
        {
            self.totals.expired.one();
        } else {
            return true;
        }
        false
    }
}
