//! What is open to one target, from one runtime.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::client::conn::http2;
use tokio::time::Instant;

use super::facts::Facts;
use super::outgoing::Outgoing;
use super::sender::{Http1, Sender};
use super::{Connector, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::timings::Timings;
use crate::tls::demand::Demand;
use crate::trace;

/// The connections that are open to one target, and what is known of those to come.
#[derive(Debug, Default)]
pub(super) struct Host {
    state: Mutex<State>,
    /// Held by whoever dials while it is not known that the host speaks HTTP/1.1.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// A connection for one request.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) sender: Sender,
    pub(super) facts: Arc<Facts>,
    /// It has served others before.
    pub(super) reused: bool,
}

/// Which of the open connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Any,
    /// None that is idle over HTTP/1.1: one of them was closed by its server, and those below it
    /// have been idle for longer.
    NotIdle,
}

#[derive(Debug, Default)]
struct State {
    /// What the last connection spoke.
    speaks: Option<Protocol>,
    /// HTTP/1.1 connections between requests, the last used on top.
    idle: Vec<Idle>,
    /// The h2 connection that everybody shares.
    shared: Option<Shared>,
    /// How many dials have failed, and how the last one did.
    failures: u64,
    failure: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

#[derive(Debug)]
struct Idle {
    connection: Http1,
    facts: Arc<Facts>,
    since: Instant,
}

#[derive(Debug)]
struct Shared {
    sender: http2::SendRequest<Outgoing>,
    facts: Arc<Facts>,
    last_used: Instant,
}

impl Host {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to use, if one is open and young enough.
    pub(super) fn open_connection(&self, choice: Choice) -> Option<Open> {
        let now = Instant::now();
        let mut state = self.state();
        state.reap(now);
        if let Some(shared) = &mut state.shared {
            shared.last_used = now;
            return Some(Open {
                sender: Sender::Http2(shared.sender.clone()),
                facts: Arc::clone(&shared.facts),
                reused: true,
            });
        }
        if choice == Choice::NotIdle {
            return None;
        }
        let idle = state.idle.pop()?;
        Some(Open {
            sender: Sender::Http1(idle.connection),
            facts: idle.facts,
            reused: true,
        })
    }

    /// Over HTTP/1.1 every request needs a connection of its own. Otherwise a turn has to be waited
    /// for, and this is how many dials have failed until now.
    pub(super) fn may_dial_at_once(&self) -> Result<(), u64> {
        let state = self.state();
        match state.speaks {
            Some(Protocol::Http1) => Ok(()),
            Some(Protocol::Http2) | None => Err(state.failures),
        }
    }

    /// How the last dial failed, if one has since there were `failures`.
    pub(super) fn failure_since(&self, failures: u64) -> Option<Error> {
        let state = self.state();
        state.failure.clone().filter(|_| state.failures > failures)
    }

    pub(super) fn needs_turn(&self) -> bool {
        let mut state = self.state();
        state.reap(Instant::now());
        state.shared.is_none() && state.speaks != Some(Protocol::Http1)
    }

    /// A fresh connection, which everybody shares if it speaks h2.
    pub(super) async fn dial(
        self: &Arc<Self>,
        connector: &Connector,
        wanted: Wanted<'_>,
        timings: &mut Timings,
    ) -> Result<Open> {
        let Wanted {
            target, deadline, ..
        } = wanted;
        let host = Arc::downgrade(self);
        // The sender that is kept here goes with its connection, so that no request is left behind.
        let ended = move |facts: &Arc<Facts>| {
            if let Some(host) = host.upgrade() {
                host.retire(facts);
            }
        };
        let opened = match connector.connect(wanted, timings).await {
            Ok(connected) => Sender::open(connected, ended, deadline).await,
            Err(error) => Err(error),
        };
        let (sender, facts) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // A caller whose own time is up says nothing about the host, nor does one who was sent
                // by somebody who may not send anybody there.
                if !deadline.is_over() && error.kind() != ErrorKind::AddressRefused {
                    let mut state = self.state();
                    state.failures += 1;
                    state.failure = Some(error.clone());
                }
                return Err(error);
            }
        };
        if let (Demand::Reported, Some(verdict)) = (target.demand(), &facts.verdict) {
            trace::unverified(target.origin().host(), target.origin().port(), verdict);
        }
        let mut state = self.state();
        state.failure = None;
        match &sender {
            Sender::Http1(_) => state.speaks = Some(Protocol::Http1),
            Sender::Http2(sender) => {
                state.speaks = Some(Protocol::Http2);
                state.shared = Some(Shared {
                    sender: sender.clone(),
                    facts: Arc::clone(&facts),
                    last_used: Instant::now(),
                });
            }
        }
        drop(state);
        Ok(Open {
            sender,
            facts,
            reused: false,
        })
    }

    /// Keeps an HTTP/1.1 connection for the next request, if there are not too many.
    pub(super) fn keep(&self, connection: Http1, facts: Arc<Facts>) {
        let now = Instant::now();
        let mut state = self.state();
        state.reap(now);
        if state.idle.len() < limits::IDLE_PER_HOST {
            state.idle.push(Idle {
                connection,
                facts,
                since: now,
            });
        }
    }

    /// Lets go of the h2 connection, if it still is the one that everybody shares.
    pub(super) fn retire(&self, facts: &Arc<Facts>) {
        let mut state = self.state();
        let is_it = |shared: &Shared| Arc::ptr_eq(&shared.facts, facts);
        if state.shared.as_ref().is_some_and(is_it) {
            state.shared = None;
        }
    }

    pub(super) fn is_in_use(self: &Arc<Self>, now: Instant) -> bool {
        let mut state = self.state();
        state.reap(now);
        Arc::strong_count(self) > 1 || !state.idle.is_empty() || state.shared.is_some()
    }
}

impl State {
    /// Lets go of what is closed, idle for too long, or too old.
    fn reap(&mut self, now: Instant) {
        let is_fresh = |facts: &Facts, since: Instant| {
            now.duration_since(facts.born) < limits::CONNECTION_AGE
                && now.duration_since(since) < limits::IDLE_CONNECTION
        };
        self.idle.retain(|idle| {
            !idle.connection.sender.is_closed() && is_fresh(&idle.facts, idle.since)
        });
        if let Some(shared) = &self.shared {
            if shared.sender.is_closed() || !is_fresh(&shared.facts, shared.last_used) {
                self.shared = None;
            }
        }
    }
}
