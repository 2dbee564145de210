//! What is open to one target, from one runtime, and who waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use next::Choice;
pub(super) use next::{Full, Grant, Next};
pub(super) use open::{Open, Place};

use super::facts::Facts;
use super::http1::Http1;
use super::keep::Keep;
use super::sender::Sender;
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
use watch::Watch;

mod idle;
mod next;
mod open;
mod reap;
mod state;
mod watch;

/// The connections that are there to one target, and what is known of those to come.
#[derive(Debug)]
pub(super) struct Host {
    keep: Keep,
    totals: Arc<Totals>,
    state: Mutex<State>,
    /// Held by whoever dials while it is not known that the host speaks HTTP/1.1.
    pub(super) turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    watch: Watch,
}

impl Host {
    pub(super) fn new(keep: Keep, totals: Arc<Totals>) -> Self {
        Self {
            keep,
            totals,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            watch: Watch::default(),
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
                if !state.makes_room() {
                    let oldest = state.idle.take_oldest();
                    state.let_go_of(oldest);
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
        self.serve(state);
    }

    /// An idle connection for a request. Those that are of no use any more go.
    fn idle(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Open> {
        let idle = loop {
            let idle = state.idle.pop()?;
            if self.keeps_idle(&idle, now) {
                break idle;
            }
            state.let_go_of([idle]);
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
        connection: Option<Box<Http1>>,
        idle_since: Option<Instant>,
    ) {
        // Before the state is locked, as it may wake at once.
        let connection = connection.and_then(|mut connection| {
            let is_open = connection.watch(self.watch.of(self));
            is_open.then_some(connection)
        });
        let now = Instant::now();
        let since = idle_since.unwrap_or(now);
        let mut state = self.state();
        // Those that have closed by themselves leave room.
        match state.idle.len() < self.keep.max_idle {
            true => self.reap(&mut state, now),
            false => self.reap_all(&mut state, now),
        }
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
            let idle = Idle {
                connection,
                facts: Arc::clone(facts),
                since,
            };
            // Whoever waits takes it at once, and does not mind how many are idle.
            if state.idle.len() < self.keep.max_idle || state.somebody_waits() {
                state.idle.push(idle, &self.keep);
            } else {
                self.totals.surplus.one();
                state.let_go_of([idle]);
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

    /// Whether somebody would miss it. What it lets go of is for the caller to drop.
    pub(super) fn is_in_use(self: &Arc<Self>, now: Instant, spent: &mut Vec<Sender>) -> bool {
        let mut state = self.state();
        self.reap_all(&mut state, now);
        spent.append(&mut state.spent);
        let is_counted = self.keep.max_connections.is_some() && state.places > 0;
        Arc::strong_count(self) > 1
            || !state.idle.is_empty()
            || state.shared.is_some()
            || is_counted
    }

    /// Counts the caller among those who wait, for as long as the answer is held.
    pub(super) fn waits(&self) -> Waits<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waits(self)
    }

    pub(super) fn connections(self: &Arc<Self>) -> Connections {
        let (mut state, now) = (self.state(), Instant::now());
        self.reap_all(&mut state, now);
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
    use std::pin::Pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

    use super::super::farewell;
    use super::super::http2::Http2;
    use super::super::transport::Transport;
    use super::*;
    use crate::limits;

    /// It is the last to hold what goes with it, as it may be the last to hold a payload.
    #[tokio::test]
    async fn what_goes_with_a_connection_finds_its_host_unlocked() {
        type Go = fn(&Arc<Host>, Open);
        let now = Keep::default();
        let none_idle = Keep { max_idle: 0, ..now };
        let only_one = Keep {
            max_connections: Some(1),
            ..now
        };
        let rows: [(&str, Keep, bool, Go); 5] = [
            ("enough are idle", none_idle, false, |_, open| drop(open)),
            ("idle for too long", now, false, |host, open| {
                drop(open);
                let later = Instant::now() + limits::IDLE_CONNECTION;
                drop(host.next(later, Choice::Any, true, false));
            }),
            ("closed, and found so", now, true, |host, open| {
                drop(open);
                let next = host.next(Instant::now(), Choice::Any, true, false);
                let Next::Open(mut open) = next else {
                    panic!("nobody has looked");
                };
                open.put_to_use();
                assert!(!open.is_ready());
            }),
            ("closed, and counted", now, true, |host, open| {
                drop(open);
                assert_eq!(host.connections().idle, 0);
            }),
            ("in the way", only_one, false, |host, open| {
                drop(open);
                drop(host.next(Instant::now(), Choice::NotIdle, true, false));
            }),
        ];
        for (why, keep, closed, go) in rows {
            let host = Arc::new(Host::new(keep, Arc::default()));
            let (open, mut end) = connection(&host).await;
            if closed {
                end.shutdown().await.unwrap();
            }
            let seen = Seen::when_woken(&host, |cx| {
                let mut byte = [0];
                let polled = Pin::new(&mut end).poll_read(cx, &mut ReadBuf::new(&mut byte));
                polled.map(drop)
            });
            go(&host, open);
            assert!(seen.unlocked.load(Ordering::Relaxed), "{why}");
        }
        let host = Arc::new(Host::new(Keep::default(), Arc::default()));
        let facts = share(&host).await;
        let (held, let_go) = farewell::held();
        let mut bound = Box::pin(let_go.bound(pending::<()>()));
        let seen = Seen::when_woken(&host, |cx| bound.as_mut().poll(cx));
        host.state().shared.as_mut().unwrap().connection.held = Arc::new(held);
        host.retire(&facts);
        assert!(seen.unlocked.load(Ordering::Relaxed), "h2");
    }

    /// While one connection closes, who would have none of the idle ones waits for its place.
    #[tokio::test(start_paused = true)]
    async fn one_idle_connection_makes_room_and_no_more_than_one() {
        for one_is_old in [false, true] {
            let keep = Keep {
                max_connections: Some(3),
                ..Keep::default()
            };
            let host = Arc::new(Host::new(keep, Arc::default()));
            // Given back at once, as `_` keeps none.
            let (_, _first) = connection(&host).await;
            if one_is_old {
                tokio::time::advance(limits::IDLE_CONNECTION - SECOND).await;
            }
            let (_, _second) = connection(&host).await;
            let (_, _third) = connection(&host).await;
            tokio::time::advance(SECOND).await;
            assert_eq!(host.state().places, 3);
            let next = host.next(Instant::now(), Choice::NotIdle, true, false);
            let Next::Wait(granted, _) = next else {
                panic!("there are as many as there may be");
            };
            for _ in 0..3 {
                host.look_again();
                assert_eq!(host.connections().idle, 2, "{one_is_old}");
            }
            assert!(matches!(granted.await, Ok(Grant::Dial(_))));
            assert_eq!(host.connections().idle, 2, "{one_is_old}");
        }
    }

    #[tokio::test]
    async fn what_is_used_or_dialled_makes_no_room() {
        type Is = fn(&mut State);
        let rows: [(&str, Is); 3] = [
            ("in use", |state| state.in_use += 1),
            ("dialled", |state| state.dialling += 1),
            ("over h2", |state| state.streams += 1),
        ];
        for (other, is) in rows {
            let keep = Keep {
                max_connections: Some(2),
                ..Keep::default()
            };
            let host = Arc::new(Host::new(keep, Arc::default()));
            host.state().places += 1;
            is(&mut host.state());
            let (_, _end) = connection(&host).await;
            assert_eq!(host.connections().idle, 1, "{other}");
            let next = host.next(Instant::now(), Choice::NotIdle, true, false);
            assert!(matches!(next, Next::Wait(..)), "{other}");
            assert_eq!(host.connections().idle, 0, "{other}");
        }
    }

    #[tokio::test]
    async fn what_has_closed_by_itself_is_not_one_of_those_that_are_idle_enough() {
        let keep = Keep {
            max_idle: 1,
            ..Keep::default()
        };
        let host = Arc::new(Host::new(keep, Arc::default()));
        let (closed, mut end) = connection(&host).await;
        let (open, _end) = connection(&host).await;
        end.shutdown().await.unwrap();
        drop(closed);
        drop(open);
        assert_eq!(host.connections().idle, 1);
        let totals = &host.totals;
        assert_eq!((totals.lost.total(), totals.surplus.total()), (1, 0));
    }

    /// A new HTTP/1.1 connection, and its other end.
    async fn connection(host: &Arc<Host>) -> (Open, DuplexStream) {
        let next = host.next(Instant::now(), Choice::NotIdle, true, false);
        let Next::Dial(place) = next else {
            panic!("there is room");
        };
        let (client, server) = duplex(1 << 16);
        let connected = Connected {
            stream: Stream::plain(Transport::Tunnel(Box::new(client))),
            remote: ([127, 0, 0, 1], 443).into(),
            host: None,
        };
        let deadline = Deadline::start(limits::DEADLINE);
        let open = host.opened(connected, place, deadline).await.unwrap();
        (open, server)
    }

    /// An h2 connection that everybody shares.
    async fn share(host: &Arc<Host>) -> Arc<Facts> {
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
        host.state().shared = Some(Shared {
            connection: opening.await.unwrap(),
            facts: Arc::clone(&facts),
            streams: 0,
            last_used: Instant::now(),
        });
        facts
    }

    /// Whether the host was unlocked when this was woken.
    struct Seen {
        host: Arc<Host>,
        unlocked: AtomicBool,
    }

    impl Seen {
        /// Waits for what a connection's end brings about.
        fn when_woken(
            host: &Arc<Host>,
            wait: impl FnOnce(&mut Context<'_>) -> Poll<()>,
        ) -> Arc<Self> {
            let seen = Arc::new(Self {
                host: Arc::clone(host),
                unlocked: AtomicBool::new(false),
            });
            let waker = Waker::from(Arc::clone(&seen));
            assert!(wait(&mut Context::from_waker(&waker)).is_pending());
            seen
        }
    }

    impl Wake for Seen {
        fn wake(self: Arc<Self>) {
            let unlocked = self.host.state.try_lock().is_ok();
            self.unlocked.store(unlocked, Ordering::Relaxed);
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
}
