//! What is open to one target, from one runtime, and who waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use next::Choice;
pub(super) use next::{Full, Grant, Next};
pub(super) use open::{Open, Place};

use super::facts::Facts;
use super::keep::Keep;
use super::sender::{Http1, Sender};
use super::stats::{Connections, Totals};
use super::{Connected, Connector, Stream, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Deadline;
use crate::timings::Timings;
use crate::tls::demand::Demand;
use crate::trace;
use idle::Idle;
use open::Waits;
use state::{Locked, Protocol, Shared, State, Waiting};

mod idle;
mod next;
mod open;
mod state;

/// The connections that are there to one target, and what is known of those to come.
#[derive(Debug)]
pub(super) struct Host {
    keep: Keep,
    totals: Arc<Totals>,
    state: Mutex<State>,
    /// Held by whoever dials while it is not known that the host speaks HTTP/1.1.
    pub(super) turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

impl Host {
    pub(super) fn new(keep: Keep, totals: Arc<Totals>) -> Self {
        Self {
            keep,
            totals,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn state(&self) -> Locked<'_> {
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the caller comes to a connection. Whoever has the turn may dial without knowing what
    /// the host speaks; whoever was first in the queue, and was given what was of no use, is first
    /// again.
    pub(super) fn next(
        self: &Arc<Self>,
        now: Instant,
        choice: Choice,
        has_turn: bool,
        was_first: bool,
    ) -> Next {
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
                if let Some(open) = self.idle(&mut state, now) {
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
    fn serve(self: &Arc<Self>, mut state: Locked<'_>) {
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
                self.idle(&mut state, Instant::now()).map(Grant::Open)
            } else {
                // One that he would not take makes room for one that he does, when it has closed: the
                // place of the one that failed him may have gone to somebody before him.
                self.reap_idle(&mut state, Instant::now());
                state.idle.drop_oldest();
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
        self.serve(state);
    }

    /// An idle connection for a request. Those that are of no use any more go.
    fn idle(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Open> {
        let idle = loop {
            let idle = state.idle.pop()?;
            if self.keeps_idle(&idle, now) {
                break idle;
            }
        };
        state.in_use += 1;
        let sender = Sender::Http1(idle.connection);
        Some(self.open(sender, idle.facts, Some(idle.since)))
    }

    /// A stream of the shared connection for a request.
    fn stream(self: &Arc<Self>, state: &mut State) -> Option<Open> {
        let shared = state.shared.as_mut()?;
        shared.streams += 1;
        state.streams += 1;
        let sender = Sender::Http2(shared.connection.clone());
        Some(self.open(sender, Arc::clone(&shared.facts), Some(shared.last_used)))
    }

    fn open(
        self: &Arc<Self>,
        sender: Sender,
        facts: Arc<Facts>,
        idle_since: Option<Instant>,
    ) -> Open {
        let held = match &sender {
            Sender::Http1(_) => None,
            Sender::Http2(connection) => Some(Arc::clone(&connection.held)),
        };
        Open {
            sender: Some(sender),
            facts,
            reused: idle_since.is_some(),
            idle_since,
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
                if let (Demand::Reported, Some(verdict)) = (target.demand(), open.facts.verdict()) {
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
        self.totals.opened.one();
        let mut state = self.state();
        state.failure = None;
        match &sender {
            Sender::Http1(_) => {
                state.speaks = Some(Protocol::Http1);
                state.in_use += 1;
            }
            Sender::Http2(connection) => {
                // Who waits for a connection of his own has to look for a stream of this one.
                if state.speaks.replace(Protocol::Http2) == Some(Protocol::Http1) {
                    state.queue.clear();
                }
                state.streams += 1;
                state.share(Shared {
                    connection: connection.clone(),
                    facts: Arc::clone(&facts),
                    streams: 1,
                    last_used: Instant::now(),
                });
            }
        }
        self.serve(state);
        Ok(self.open(sender, facts, None))
    }

    /// A request has come to its end, or is given up. Its HTTP/1.1 connection serves the next, if it
    /// is given.
    fn end(
        self: &Arc<Self>,
        facts: &Arc<Facts>,
        connection: Option<Http1>,
        idle_since: Option<Instant>,
    ) {
        let now = Instant::now();
        let since = idle_since.unwrap_or(now);
        let mut state = self.state();
        self.reap(&mut state, now);
        if facts.is_http2 {
            state.streams -= 1;
            if let Some(shared) = state.shared_if(facts) {
                shared.streams -= 1;
                shared.last_used = shared.last_used.max(since);
            }
        } else {
            state.in_use -= 1;
        }
        if let Some(connection) = connection {
            // Those that have closed by themselves leave room.
            if state.idle.len() >= self.keep.max_idle {
                self.reap_idle(&mut state, now);
            }
            // Whoever waits takes it at once, and does not mind how many are idle.
            if state.idle.len() < self.keep.max_idle || state.somebody_waits() {
                let facts = Arc::clone(facts);
                let idle = Idle {
                    connection,
                    facts,
                    since,
                };
                state.idle.push(idle, &self.keep);
            } else {
                self.totals.surplus.one();
            }
        }
        self.serve(state);
    }

    /// Lets go of the h2 connection, if it still is the one that everybody shares.
    pub(super) fn retire(&self, facts: &Arc<Facts>) {
        let mut state = self.state();
        if state.shared_if(facts).is_some() {
            self.totals.lost.one();
            state.let_go_of_shared();
        }
    }

    /// Whether somebody would miss it.
    pub(super) fn is_in_use(self: &Arc<Self>, now: Instant) -> bool {
        let mut state = self.state();
        self.reap_idle(&mut state, now);
        self.reap(&mut state, now);
        let is_counted = self.keep.max_connections.is_some() && state.places > 0;
        Arc::strong_count(self) > 1
            || !state.idle.is_empty()
            || state.shared.is_some()
            || is_counted
    }

    /// Lets go of what is idle for too long, or too old, and of an h2 connection that is closed. One
    /// of HTTP/1.1 is looked at by whoever would use it.
    fn reap(&self, state: &mut State, now: Instant) {
        if state.idle.is_due(now) {
            self.reap_idle(state, now);
        }
        if let Some(shared) = &mut state.shared {
            let is_closed = shared.connection.is_closed();
            let since = (shared.streams == 0).then_some(shared.last_used);
            if !self.keeps(is_closed, &shared.facts, since, now) {
                state.let_go_of_shared();
            }
        }
    }

    /// Lets go of every idle connection that is closed, idle for too long, or too old.
    fn reap_idle(&self, state: &mut State, now: Instant) {
        state
            .idle
            .retain(&self.keep, |idle| self.keeps_idle(idle, now));
    }

    fn keeps_idle(&self, idle: &Idle, now: Instant) -> bool {
        let is_closed = idle.connection.sender.is_closed();
        self.keeps(is_closed, &idle.facts, Some(idle.since), now)
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

    /// Counts the caller among those who wait, for as long as the answer is held.
    pub(super) fn waits(&self) -> Waits<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(self)
    }

    pub(super) fn connections(&self) -> Connections {
        let (mut state, now) = (self.state(), Instant::now());
        self.reap_idle(&mut state, now);
        self.reap(&mut state, now);
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

#[cfg(test)]
mod tests {
    use std::future::{Future, pending};
    use std::pin::pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Wake, Waker};

    use tokio::io::duplex;

    use super::super::farewell;
    use super::super::http2::Http2;
    use super::super::transport::Transport;
    use super::*;

    #[tokio::test]
    async fn what_goes_with_a_connection_finds_its_host_unlocked() {
        let host = Arc::new(Host::new(Keep::default(), Arc::default()));
        let (client, _server) = duplex(1 << 16);
        let stream = Stream::plain(Transport::Tunnel(Box::new(client)));
        let facts = Arc::new(Facts {
            born: Instant::now(),
            remote: ([127, 0, 0, 1], 443).into(),
            host: None,
            peer: None,
            traffic: Arc::clone(stream.traffic()),
            credential: Default::default(),
            is_http2: true,
        });
        let opening = Http2::open(stream, None, &facts, |_| ());
        let mut connection = opening.await.unwrap();
        // It is the last to hold this, as it may be the last to hold a payload.
        let (held, let_go) = farewell::held();
        connection.held = Arc::new(held);
        host.state().shared = Some(Shared {
            connection,
            facts: Arc::clone(&facts),
            streams: 0,
            last_used: Instant::now(),
        });
        let seen = Arc::new(Seen {
            host: Arc::clone(&host),
            unlocked: AtomicBool::new(false),
        });
        let mut bound = pin!(let_go.bound(pending()));
        let waker = Waker::from(Arc::clone(&seen));
        assert!(
            bound
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        host.retire(&facts);
        assert!(seen.unlocked.load(Ordering::Relaxed));
    }

    /// Whether the host was unlocked when this was woken.
    struct Seen {
        host: Arc<Host>,
        unlocked: AtomicBool,
    }

    impl Wake for Seen {
        fn wake(self: Arc<Self>) {
            let unlocked = self.host.state.try_lock().is_ok();
            self.unlocked.store(unlocked, Ordering::Relaxed);
        }
    }
}
