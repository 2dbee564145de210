//! The HTTP/1.1 connections of a host that are between two requests.

use std::sync::Arc;

use tokio::time::Instant;

use crate::connect::facts::Facts;
use crate::connect::keep::Keep;
use crate::connect::sender::Http1;

/// Connections without a request, the last used on top.
///
/// One that is taken is looked at then, and so are all of them when one is due; who takes one does
/// not pay for the others.
#[derive(Debug, Default)]
pub(super) struct Stack {
    idle: Vec<Idle>,
    /// No connection has been idle for too long, or is too old, before this.
    due: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) connection: Http1,
    pub(super) facts: Arc<Facts>,
    pub(super) since: Instant,
}

impl Stack {
    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    pub(super) fn push(&mut self, idle: Idle, keep: &Keep) {
        self.due = sooner(self.due, idle.ends(keep));
        self.idle.push(idle);
    }

    pub(super) fn pop(&mut self) -> Option<Idle> {
        self.idle.pop()
    }

    /// Lets go of the one that has been idle for the longest time.
    pub(super) fn drop_oldest(&mut self) {
        if !self.idle.is_empty() {
            drop(self.idle.remove(0));
        }
    }

    /// Whether one of them may have been idle for too long, or be too old.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Lets go of those that are not worth keeping.
    pub(super) fn retain(&mut self, keep: &Keep, keeps: impl FnMut(&Idle) -> bool) {
        self.idle.retain(keeps);
        let ends = self.idle.iter().map(|idle| idle.ends(keep));
        self.due = ends.fold(None, sooner);
    }
}

impl Idle {
    fn ends(&self, keep: &Keep) -> Option<Instant> {
        keep.ends(self.facts.born, self.since)
    }
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
