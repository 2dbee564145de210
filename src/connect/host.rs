//! What is open to one target, from one runtime, and who waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::facts::Facts;
use super::farewell::Held;
use super::http2::Http2;
use super::keep::Keep;
use super::sender::{Http1, Sender};
use super::stats::{Connections, Tally};
use super::{Connected, Connector, Stream, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Deadline;
use crate::timings::Timings;
use crate::tls::demand::Demand;
use crate::trace;

/// The connections that are there to one target, and what is known of those to come.
#[derive(Debug)]
pub(super) struct Host {
    keep: Keep,
    tally: Arc<Tally>,
    state: Mutex<State>,
    /// Held by whoever dials while it is not known that the host speaks HTTP/1.1.
    pub(super) turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

/// A connection for one request. Dropped with [`clean`](Self::clean), it goes to whoever is next.
#[derive(Debug)]
pub(super) struct Open {
    /// Until an h2 connection has been given the request. hyper's channel may keep a request that
    /// is put in while the connection closes, and fails it when the last sender is gone: whoever
    /// waits for the answer must not have one.
    pub(super) sender: Option<Sender>,
    pub(super) facts: Arc<Facts>,
    /// It has served others before.
    pub(super) reused: bool,
    /// Nothing of a request or of a response is on it.
    pub(super) clean: bool,
    /// Of an h2 connection, beyond its sender.
    _held: Option<Arc<Held>>,
    host: Arc<Host>,
}

/// The right to have one connection, from before its dial until its socket is closed.
#[derive(Debug)]
pub(super) struct Place {
    host: Weak<Host>,
    dialling: bool,
}

/// Which of the open connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Any,
    /// None that is idle over HTTP/1.1: one of them was closed by its server, and those below it
    /// have been idle for longer.
    NotIdle,
}

/// How a caller comes to a connection.
#[derive(Debug)]
pub(super) enum Next {
    Open(Open),
    Dial(Place),
    /// By a turn, which has to be waited for; and this is how many dials have failed until now.
    Turn(u64),
    /// By what others give back.
    Wait(oneshot::Receiver<Grant>, Full),
}

/// What somebody who has waited is given. Nothing at all means that he is to look again.
#[derive(Debug)]
pub(super) enum Grant {
    Open(Open),
    Dial(Place),
}

/// Why there is nothing to be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// As many connections as there may be.
    Connections(usize),
    /// As many streams as the peer allows on one connection (RFC 9113 §5.1.2).
    Streams(usize),
}

#[derive(Debug, Default)]
struct State {
    /// What the last connection spoke.
    speaks: Option<Protocol>,
    /// HTTP/1.1 connections between requests, the last used on top. While there are any, nobody
    /// waits who would take one.
    idle: Vec<Idle>,
    /// The h2 connection that everybody shares.
    shared: Option<Shared>,
    /// Who waits for a connection or a stream: first come, first served.
    queue: VecDeque<Waiting>,
    /// How long the queue may become before those in it are looked for who have given up.
    purge_at: usize,
    /// Connections from before their dial until their socket is closed.
    places: usize,
    /// Those of them that are not yet open.
    dialling: usize,
    in_use: usize,
    streams: usize,
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
    connection: Http2,
    facts: Arc<Facts>,
    /// Requests on it whose response has not ended.
    streams: usize,
    last_used: Instant,
}

#[derive(Debug)]
struct Waiting {
    grant: oneshot::Sender<Grant>,
    choice: Choice,
}

impl Host {
    pub(super) fn new(keep: Keep, tally: Arc<Tally>) -> Self {
        Self {
            keep,
            tally,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the caller comes to a connection. Whoever has the turn may dial without knowing what
    /// the host speaks; whoever was first in the queue, and was given what was of no use, is first
    /// again.
    pub(super) fn next(self: &Arc<Self>, choice: Choice, has_turn: bool, was_first: bool) -> Next {
        let now = Instant::now();
        let mut state = self.state();
        self.reap(&mut state, now);
        if let Some(shared) = &mut state.shared {
            // Who came before is served before.
            if shared.has_room() && (was_first || !state.somebody_waits()) {
                if let Some(open) = self.stream(&mut state) {
                    return Next::Open(open);
                }
            }
        } else {
            if choice == Choice::Any {
                if let Some(open) = self.idle(&mut state) {
                    return Next::Open(open);
                }
            }
            if state.speaks != Some(Protocol::Http1) && !has_turn {
                return Next::Turn(state.failures);
            }
            if self.keep.has_place(state.places) {
                return Next::Dial(self.place(&mut state));
            }
        }
        let full = match &state.shared {
            Some(shared) => Full::Streams(shared.connection.most_streams()),
            None => Full::Connections(self.keep.max_connections.unwrap_or(state.places)),
        };
        let (grant, granted) = oneshot::channel();
        let waiting = Waiting { grant, choice };
        match was_first {
            true => state.queue.push_front(waiting),
            false => state.enqueue(waiting),
        }
        self.serve(state);
        Next::Wait(granted, full)
    }

    /// Gives what is free to those who wait, the first first.
    fn serve(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut unwanted = None;
        while state.somebody_waits() {
            let Some(choice) = state.queue.front().map(|first| first.choice) else {
                break;
            };
            let grant = if let Some(shared) = &mut state.shared {
                if !shared.has_room() {
                    break;
                }
                self.stream(&mut state).map(Grant::Open)
            } else if self.keep.has_place(state.places) {
                Some(Grant::Dial(self.place(&mut state)))
            } else if choice == Choice::Any {
                self.idle(&mut state).map(Grant::Open)
            } else {
                // One that he would not take makes room for one that he does, when it has closed: the
                // place of the one that failed him may have gone to somebody before him.
                if !state.idle.is_empty() {
                    drop(state.idle.remove(0));
                }
                None
            };
            let Some(grant) = grant else { break };
            let Some(first) = state.queue.pop_front() else {
                unwanted = Some(grant);
                break;
            };
            // He may have left at this moment. It is taken back without the lock, and served anew.
            if let Err(refused) = first.grant.send(grant) {
                unwanted = Some(refused);
                break;
            }
        }
        drop(state);
        drop(unwanted);
    }

    /// Looks whether the peer allows more streams by now, or no new ones any more: of neither is
    /// anybody told who only waits.
    pub(super) fn look_again(self: &Arc<Self>) {
        let mut state = self.state();
        self.reap(&mut state, Instant::now());
        if let Some(shared) = &state.shared {
            shared.connection.wake();
        }
        self.serve(state);
    }

    /// An idle connection for a request.
    fn idle(self: &Arc<Self>, state: &mut State) -> Option<Open> {
        let idle = state.idle.pop()?;
        state.in_use += 1;
        self.tally.reused.one();
        Some(self.open(Sender::Http1(idle.connection), idle.facts, true))
    }

    /// A stream of the shared connection for a request.
    fn stream(self: &Arc<Self>, state: &mut State) -> Option<Open> {
        let shared = state.shared.as_mut()?;
        shared.streams += 1;
        state.streams += 1;
        self.tally.reused.one();
        let sender = Sender::Http2(shared.connection.clone());
        Some(self.open(sender, Arc::clone(&shared.facts), true))
    }

    fn open(self: &Arc<Self>, sender: Sender, facts: Arc<Facts>, reused: bool) -> Open {
        let held = match &sender {
            Sender::Http1(_) => None,
            Sender::Http2(connection) => Some(Arc::clone(&connection.held)),
        };
        Open {
            sender: Some(sender),
            facts,
            reused,
            clean: true,
            _held: held,
            host: Arc::clone(self),
        }
    }

    fn place(self: &Arc<Self>, state: &mut State) -> Place {
        state.places += 1;
        state.dialling += 1;
        Place {
            host: Arc::downgrade(self),
            dialling: true,
        }
    }

    /// How the last dial failed, if one has since there were `failures`.
    pub(super) fn failure_since(&self, failures: u64) -> Option<Error> {
        let state = self.state();
        state.failure.clone().filter(|_| state.failures > failures)
    }

    /// Whether only one may dial, as it is not known that everybody needs a connection of his own.
    pub(super) fn needs_turn(&self) -> bool {
        let state = self.state();
        state.shared.is_none() && state.speaks != Some(Protocol::Http1)
    }

    /// A fresh connection, which everybody shares if it speaks h2.
    pub(super) async fn dial(
        self: &Arc<Self>,
        connector: &Connector,
        wanted: Wanted<'_>,
        place: Place,
        timings: &mut Timings,
    ) -> Result<Open> {
        let Wanted {
            target, deadline, ..
        } = wanted;
        let opened = match connector.connect(wanted, timings).await {
            Ok(connected) => self.opened(connected, place, deadline).await,
            Err(error) => Err(error),
        };
        match &opened {
            Ok(open) => {
                if let (Demand::Reported, Some(verdict)) = (target.demand(), &open.facts.verdict) {
                    trace::unverified(
                        target.origin().host(),
                        Some(target.origin().port()),
                        verdict,
                    );
                }
            }
            // A caller whose own time is up says nothing about the host, nor does one who was sent
            // by somebody who may not send anybody there.
            Err(error) => {
                if !deadline.is_over() && error.kind() != ErrorKind::AddressRefused {
                    let mut state = self.state();
                    state.failures += 1;
                    state.failure = Some(error.clone());
                }
            }
        }
        opened
    }

    /// A connection on which HTTP is spoken from now on.
    pub(super) async fn opened(
        self: &Arc<Self>,
        mut connected: Connected<Stream>,
        mut place: Place,
        deadline: Deadline,
    ) -> Result<Open> {
        let host = Arc::downgrade(self);
        // The sender that is kept here goes with its connection, so that no request is left behind.
        let ended = move |facts: &Arc<Facts>| {
            if let Some(host) = host.upgrade() {
                host.retire(facts);
            }
        };
        place.is_taken();
        connected.stream.hold(Box::new(place));
        let (sender, facts) = Sender::open(connected, self.keep.ping, ended, deadline).await?;
        self.tally.opened.one();
        let mut state = self.state();
        state.failure = None;
        match &sender {
            Sender::Http1(_) => {
                state.speaks = Some(Protocol::Http1);
                state.in_use += 1;
            }
            Sender::Http2(connection) => {
                state.speaks = Some(Protocol::Http2);
                state.streams += 1;
                state.shared = Some(Shared {
                    connection: connection.clone(),
                    facts: Arc::clone(&facts),
                    streams: 1,
                    last_used: Instant::now(),
                });
            }
        }
        self.serve(state);
        Ok(self.open(sender, facts, false))
    }

    /// A request has come to its end, or is given up. Its HTTP/1.1 connection serves the next, if it
    /// is given.
    fn end(self: &Arc<Self>, facts: &Arc<Facts>, connection: Option<Http1>) {
        let now = Instant::now();
        let mut state = self.state();
        self.reap(&mut state, now);
        if facts.is_http2 {
            state.streams -= 1;
            if let Some(shared) = state.shared_if(facts) {
                shared.streams -= 1;
                shared.last_used = now;
            }
        } else {
            state.in_use -= 1;
        }
        if let Some(connection) = connection {
            // Whoever waits takes it at once, and does not mind how many are idle.
            if state.idle.len() < self.keep.max_idle || state.somebody_waits() {
                state.idle.push(Idle {
                    connection,
                    facts: Arc::clone(facts),
                    since: now,
                });
            } else {
                self.tally.surplus.one();
            }
        }
        self.serve(state);
    }

    /// Lets go of the h2 connection, if it still is the one that everybody shares.
    pub(super) fn retire(&self, facts: &Arc<Facts>) {
        let mut state = self.state();
        if state.shared_if(facts).is_some() {
            self.tally.lost.one();
            state.let_go_of_shared();
        }
    }

    /// Whether somebody would miss it.
    pub(super) fn is_in_use(self: &Arc<Self>, now: Instant) -> bool {
        let mut state = self.state();
        self.reap(&mut state, now);
        let is_counted = self.keep.max_connections.is_some() && state.places > 0;
        Arc::strong_count(self) > 1
            || !state.idle.is_empty()
            || state.shared.is_some()
            || is_counted
    }

    /// Lets go of what is closed, idle for too long, or too old.
    fn reap(&self, state: &mut State, now: Instant) {
        let State { idle, shared, .. } = state;
        let keeps = |is_closed: bool, facts: &Facts, since: Option<Instant>| {
            if is_closed {
                self.tally.lost.one();
            } else if !self.keep.is_young(now, facts.born)
                || since.is_some_and(|since| !self.keep.is_fresh(now, since))
            {
                self.tally.expired.one();
            } else {
                return true;
            }
            false
        };
        idle.retain(|idle| {
            let is_closed = idle.connection.sender.is_closed();
            keeps(is_closed, &idle.facts, Some(idle.since))
        });
        if let Some(shared) = shared {
            let is_closed = shared.connection.sender.is_closed();
            let since = (shared.streams == 0).then_some(shared.last_used);
            if !keeps(is_closed, &shared.facts, since) {
                state.let_go_of_shared();
            }
        }
    }

    /// Counts the caller among those who wait, for as long as the answer is held.
    pub(super) fn waits(&self) -> Waits<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(self)
    }

    pub(super) fn connections(&self) -> Connections {
        let mut state = self.state();
        self.reap(&mut state, Instant::now());
        Connections {
            open: state.places - state.dialling,
            dialling: state.dialling,
            idle: state.idle.len(),
            in_use: state.in_use,
            http2: usize::from(state.shared.is_some()),
            streams: state.streams,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}

impl State {
    fn enqueue(&mut self, waiting: Waiting) {
        if self.queue.len() >= self.purge_at {
            self.queue.retain(|waiting| !waiting.grant.is_closed());
            self.purge_at = (2 * self.queue.len()).max(MIN_PURGE);
        }
        self.queue.push_back(waiting);
    }

    /// Whether anybody waits who has not given up.
    fn somebody_waits(&mut self) -> bool {
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
    fn shared_if(&mut self, facts: &Arc<Facts>) -> Option<&mut Shared> {
        let is_it = |shared: &&mut Shared| Arc::ptr_eq(&shared.facts, facts);
        self.shared.as_mut().filter(is_it)
    }

    /// Whoever waits for a stream of it has to look for another connection.
    fn let_go_of_shared(&mut self) {
        self.shared = None;
        self.queue.clear();
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        self.streams < self.connection.most_streams()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let connection = match self.sender.take() {
            Some(Sender::Http1(connection)) if self.clean => Some(connection),
            _ => None,
        };
        self.host.end(&self.facts, connection);
    }
}

impl Open {
    /// The connection failed a request: nobody else should find it.
    pub(super) fn retire(&self) {
        self.host.retire(&self.facts);
    }
}

impl Place {
    /// There is a connection on it.
    fn is_taken(&mut self) {
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
pub(super) struct Waits<'a>(&'a Host);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(1) => f.write_str("the one connection to the host is in use"),
            Self::Connections(most) => {
                write!(f, "all {most} connections to the host are in use")
            }
            Self::Streams(0) => {
                f.write_str("the server allows no requests on its HTTP/2 connection")
            }
            Self::Streams(most) => write!(
                f,
                "the server allows {most} requests at once on its HTTP/2 connection, and as many \
                 are under way"
            ),
        }
    }
}

impl std::error::Error for Full {}

/// A queue that is not worth looking through.
const MIN_PURGE: usize = 64;
