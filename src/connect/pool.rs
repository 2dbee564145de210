//! Which open connection may serve this request.
//!
//! A connection belongs to the runtime that drives it: were it handed to another, whoever waits on
//! it would hang for as long as its own runtime is parked. So the runtime's id is part of the key,
//! and nothing here waits for another runtime or runs in the background.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::facts::Facts;
use super::failure::Cause;
use super::outgoing::{Leash, Outgoing};
use super::{Connected, Connector, Stream, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Clock, Deadline};
use crate::timings::{Phase, Timings};
use crate::tls::TlsStream;
use crate::tls::demand::Demand;
use crate::trace;

/// The open connections of one client, which are told apart by runtime and [`Target`]: origin,
/// policy and demand, which is all that their TLS depends on.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    hosts: Mutex<Hosts>,
}

#[derive(Debug, Default)]
struct Hosts {
    by_key: HashMap<Key, Arc<Host>>,
    sweep_at: usize,
    swept: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    runtime: Id,
    target: Target,
}

impl Pool {
    /// A connection for one request, open already or fresh.
    ///
    /// While it is not known that a host speaks HTTP/1.1 one caller dials and the others wait:
    /// over h2 one connection serves them all. If that dial fails it fails for all who waited.
    pub(crate) async fn checkout(
        &self,
        connector: &Connector,
        target: &Target,
        choice: Choice,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<Lease> {
        let host = self.host(target);
        loop {
            if let Some(mut lease) = host.open_connection(choice) {
                let soon = deadline.sooner(Deadline::on(Clock::Connect, limits::READY_WAIT));
                match soon.run(Phase::Queued, lease.is_usable()).await {
                    Ok(true) => return Ok(lease),
                    Err(elapsed) if deadline.is_over() => return Err(elapsed.into()),
                    // It is closed, or its peer has not read all of the request before.
                    Ok(false) | Err(_) => continue,
                }
            }
            let failures = match host.may_dial_at_once() {
                Ok(()) => {
                    return host.dial(connector, target, deadline, timings).await;
                }
                Err(failures) => failures,
            };
            let started = Instant::now();
            let turn = deadline.run(Phase::Queued, host.turn.lock()).await?;
            timings.add(Phase::Queued, started.elapsed());
            if let Some(error) = host.failure_since(failures) {
                return Err(error);
            }
            // Whoever had the turn before may have left a connection for all, or the knowledge
            // that everybody needs one of his own.
            if !host.needs_turn() {
                continue;
            }
            let dialled = host.dial(connector, target, deadline, timings).await;
            drop(turn);
            return dialled;
        }
    }

    fn host(&self, target: &Target) -> Arc<Host> {
        let key = Key {
            runtime: Handle::current().id(),
            target: target.clone(),
        };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.sweep(Instant::now());
        Arc::clone(hosts.by_key.entry(key).or_default())
    }
}

impl Hosts {
    /// Lets go of hosts without an open connection when they have become many, and of connections
    /// that have been idle for too long when nobody comes back to their host.
    fn sweep(&mut self, now: Instant) {
        let swept = *self.swept.get_or_insert(now);
        if self.by_key.len() < self.sweep_at && now - swept < limits::IDLE_CONNECTION {
            return;
        }
        self.by_key.retain(|_, host| host.is_in_use(now));
        self.sweep_at = (2 * self.by_key.len()).max(MIN_SWEEP);
        self.swept = Some(now);
    }
}

/// Which of the open connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Any,
    /// None that is idle over HTTP/1.1: one of them was closed by its server, and those below it
    /// have been idle for longer.
    NotIdle,
}

/// What is open to one target, from one runtime.
#[derive(Debug, Default)]
struct Host {
    state: Mutex<State>,
    /// Held by whoever dials while it is not known that the host speaks HTTP/1.1.
    turn: tokio::sync::Mutex<()>,
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
    fn open_connection(self: &Arc<Self>, choice: Choice) -> Option<Lease> {
        let now = Instant::now();
        let mut state = self.state();
        state.reap(now);
        if let Some(shared) = &mut state.shared {
            shared.last_used = now;
            return Some(Lease {
                sender: Some(Sender::Http2(shared.sender.clone())),
                facts: Arc::clone(&shared.facts),
                host: Arc::clone(self),
                reused: true,
                is_last: false,
                uploading: None,
            });
        }
        if choice == Choice::NotIdle {
            return None;
        }
        let idle = state.idle.pop()?;
        Some(Lease {
            sender: Some(Sender::Http1(idle.connection)),
            facts: idle.facts,
            host: Arc::clone(self),
            reused: true,
            is_last: false,
            uploading: None,
        })
    }

    /// Over HTTP/1.1 every request needs a connection of its own. Otherwise a turn has to be waited
    /// for, and this is how many dials have failed until now.
    fn may_dial_at_once(&self) -> Result<(), u64> {
        let state = self.state();
        match state.speaks {
            Some(Protocol::Http1) => Ok(()),
            Some(Protocol::Http2) | None => Err(state.failures),
        }
    }

    /// How the last dial failed, if one has since there were `failures`.
    fn failure_since(&self, failures: u64) -> Option<Error> {
        let state = self.state();
        state.failure.clone().filter(|_| state.failures > failures)
    }

    fn needs_turn(&self) -> bool {
        let mut state = self.state();
        state.reap(Instant::now());
        state.shared.is_none() && state.speaks != Some(Protocol::Http1)
    }

    async fn dial(
        self: &Arc<Self>,
        connector: &Connector,
        target: &Target,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<Lease> {
        let opened = match connector.connect(target, deadline, timings).await {
            Ok(connected) => open(connected, Arc::downgrade(self), deadline).await,
            Err(error) => Err(error),
        };
        let (sender, facts) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // A caller whose own time is up says nothing about the host.
                if !deadline.is_over() {
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
        Ok(Lease {
            sender: Some(sender),
            facts,
            host: Arc::clone(self),
            reused: false,
            is_last: false,
            uploading: None,
        })
    }

    /// Lets go of the h2 connection, if it still is the one that everybody shares.
    fn retire(&self, facts: &Arc<Facts>) {
        let mut state = self.state();
        let is_it = |shared: &Shared| Arc::ptr_eq(&shared.facts, facts);
        if state.shared.as_ref().is_some_and(is_it) {
            state.shared = None;
        }
    }

    fn is_in_use(self: &Arc<Self>, now: Instant) -> bool {
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

/// Speaks HTTP on a fresh connection, in the protocol that ALPN chose.
async fn open(
    connected: Connected<Stream>,
    host: Weak<Host>,
    deadline: Deadline,
) -> Result<(Sender, Arc<Facts>)> {
    let Connected { stream, remote } = connected;
    let tls = stream.as_tls();
    let facts = Arc::new(Facts {
        born: Instant::now(),
        remote,
        verdict: tls.map(|tls| Arc::clone(tls.shared_verdict())),
        traffic: Arc::clone(stream.traffic()),
        credential: tls.map(TlsStream::credential).unwrap_or_default(),
        is_http2: tls.is_some_and(TlsStream::speaks_h2),
    });
    match speak(stream, &facts, host, deadline).await {
        Ok(sender) => Ok((sender, facts)),
        Err(error) => Err(error.with_verdict(facts.verdict.clone())),
    }
}

async fn speak(
    stream: Stream,
    facts: &Arc<Facts>,
    host: Weak<Host>,
    deadline: Deadline,
) -> Result<Sender> {
    let failed = |error: hyper::Error| {
        Error::new(
            ErrorKind::ConnectionClosed,
            "the connection failed before a request was sent",
        )
        .with_phase(Phase::FirstByte)
        .with_source(Cause(error))
    };
    let io = TokioIo::new(stream);
    // The drivers end with their connection. What went wrong is told to whoever has a request or a
    // body on it.
    if facts.is_http2 {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(limits::RESPONSE_HEAD)
            .handshake(io);
        let (sender, driver) = deadline
            .run(Phase::FirstByte, handshake)
            .await?
            .map_err(failed)?;
        let driven = Arc::clone(facts);
        tokio::spawn(async move {
            let _ = driver.await;
            // The pool's sender goes too, so that no request is left behind with it.
            if let Some(host) = host.upgrade() {
                host.retire(&driven);
            }
        });
        Ok(Sender::Http2(sender))
    } else {
        let handshake = http1::Builder::new()
            .max_header_size(limits::RESPONSE_HEAD as usize)
            .handshake(io);
        let (sender, driver) = deadline
            .run(Phase::FirstByte, handshake)
            .await?
            .map_err(failed)?;
        let (held, let_go) = oneshot::channel();
        // Let go, it writes what is left and says goodbye, for which its peer may never make room.
        let farewell = async {
            let _ = let_go.await;
            tokio::time::sleep(limits::FAREWELL).await;
        };
        let driver = tokio::spawn(async move {
            let (mut driver, mut farewell) = (pin!(driver), pin!(farewell));
            poll_fn(|cx| match driver.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => farewell.as_mut().poll(cx),
            })
            .await;
        });
        let driver = driver.abort_handle();
        Ok(Sender::Http1(Http1 {
            sender,
            driver,
            _held: held,
        }))
    }
}

/// The right to send one request on a connection.
///
/// Dropped, it closes an HTTP/1.1 connection; an h2 connection is everybody's and stays.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Until an h2 connection has been given the request. hyper's channel may keep a request that
    /// is put in while the connection closes, and fails it when the last sender is gone: whoever
    /// waits for the answer must not have one.
    pub(super) sender: Option<Sender>,
    pub(super) facts: Arc<Facts>,
    host: Arc<Host>,
    pub(super) reused: bool,
    /// No other request may follow on it.
    pub(super) is_last: bool,
    uploading: Option<Uploading>,
}

#[derive(Debug)]
pub(super) enum Sender {
    Http1(Http1),
    Http2(http2::SendRequest<Outgoing>),
}

#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Outgoing>,
    driver: AbortHandle,
    /// Gone with this, the driver has [`limits::FAREWELL`] to end.
    _held: oneshot::Sender<Infallible>,
}

/// The payload that is sent on a lease. If this is dropped before its end, the upload ends with it.
#[derive(Debug)]
struct Uploading {
    leash: Leash,
    /// The driver of the HTTP/1.1 connection, which is of no use with half a request on it. It may
    /// be waiting for a peer that does not read, and look at nothing else meanwhile.
    driver: Option<AbortHandle>,
}

impl Drop for Uploading {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take().filter(|_| !self.leash.upload_is_over()) {
            driver.abort();
        }
    }
}

impl Lease {
    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.facts.is_http2
    }

    /// Whether hyper has come to send the payload.
    pub(super) fn upload_has_begun(&self) -> bool {
        let has_begun = |uploading: &Uploading| uploading.leash.upload_has_begun();
        self.uploading.as_ref().is_some_and(has_begun)
    }

    /// Ties the upload of a request to this lease.
    pub(super) fn hold(&mut self, sender: &Sender, payload: &mut Outgoing) {
        let driver = match sender {
            Sender::Http1(connection) => Some(connection.driver.clone()),
            Sender::Http2(_) => None,
        };
        self.uploading = payload.leash().map(|leash| Uploading { leash, driver });
    }

    /// Why the upload failed, if it did.
    pub(super) fn payload_failure(&self) -> Option<&Error> {
        self.uploading.as_ref()?.leash.failure()
    }

    /// Whether nothing of the payload is left to be taken off and written.
    pub(crate) fn sent_whole_payload(&self) -> bool {
        let uploading = self.uploading.as_ref();
        uploading.is_none_or(|uploading| uploading.leash.all_was_taken())
    }

    /// The body has ended: the next request may have the connection. Not earlier, as hyper's
    /// `ready` then waits for a body that nobody reads.
    ///
    /// A response that has overtaken its request ends the upload (RFC 9112 §9.5, RFC 9113
    /// §8.1): over HTTP/1.1 the next request would wait for the end of this one.
    pub(crate) fn give_back(self) {
        let Some(Sender::Http1(connection)) = self.sender else {
            return;
        };
        let is_uploading = |uploading: &Uploading| !uploading.leash.upload_is_over();
        if self.is_last || self.uploading.as_ref().is_some_and(is_uploading) {
            return;
        }
        let now = Instant::now();
        let mut state = self.host.state();
        state.reap(now);
        if state.idle.len() < limits::IDLE_PER_HOST {
            state.idle.push(Idle {
                connection,
                facts: self.facts,
                since: now,
            });
        }
    }

    /// The shared connection failed a request: nobody else should find it.
    pub(super) fn retire(&self) {
        self.host.retire(&self.facts);
    }

    /// Waits until the connection has seen the end of the request before.
    async fn is_usable(&mut self) -> bool {
        match &mut self.sender {
            Some(Sender::Http1(connection)) => connection.sender.ready().await.is_ok(),
            Some(Sender::Http2(sender)) => sender.ready().await.is_ok(),
            None => false,
        }
    }
}

/// Hosts that are kept before those without an open connection are swept out.
const MIN_SWEEP: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{Origin, Trust};
    use super::*;
    use crate::tls;
    use crate::tls::Policy;

    #[tokio::test]
    async fn hosts_that_nobody_comes_back_to_do_not_pile_up() {
        let pool = Pool::default();
        let (_server, kept) = pool.idle_connection("kept.example").await;
        for n in 0..10_000 {
            drop(pool.host(&target(&format!("{n}.example"))));
            assert!(pool.len() <= MIN_SWEEP, "{n}");
        }
        let found = pool.host(&target("kept.example"));
        assert!(Arc::ptr_eq(&kept, &found));
        assert!(found.open_connection(Choice::Any).is_some());
    }

    #[test]
    fn runtimes_that_are_gone_are_swept_out() {
        let pool = Pool::default();
        let mut servers = Vec::new();
        for _ in 0..2 * MIN_SWEEP {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let (server, _) = runtime.block_on(pool.idle_connection("one.example"));
            servers.push(server.into_std().unwrap());
        }
        assert!(pool.len() <= MIN_SWEEP);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_for_too_long_is_closed_by_any_later_checkout() {
        let pool = Pool::default();
        let (mut server, _) = pool.idle_connection("once.example").await;
        tokio::time::advance(limits::IDLE_CONNECTION).await;
        drop(pool.host(&target("other.example")));
        assert_eq!(pool.len(), 1);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    }

    impl Pool {
        fn len(&self) -> usize {
            self.hosts.lock().unwrap().by_key.len()
        }

        /// An idle HTTP/1.1 connection to a host, and its other end.
        async fn idle_connection(&self, name: &str) -> (TcpStream, Arc<Host>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let remote = listener.local_addr().unwrap();
            let stream = Stream::plain(TcpStream::connect(remote).await.unwrap());
            let deadline = Deadline::start(limits::DEADLINE);
            let opened = open(Connected { stream, remote }, Weak::new(), deadline).await;
            let (sender, facts) = opened.unwrap();
            let host = self.host(&target(name));
            let lease = Lease {
                sender: Some(sender),
                facts,
                host: Arc::clone(&host),
                reused: false,
                is_last: false,
                uploading: None,
            };
            lease.give_back();
            (listener.accept().await.unwrap().0, host)
        }
    }

    fn target(host: &str) -> Target {
        static TRUST: LazyLock<Trust> = LazyLock::new(|| {
            Trust::new(None, None, Policy::default(), vec![], tls::Clock::default()).unwrap()
        });
        TRUST.target(Origin::tls(host, 443).unwrap(), Demand::Verified)
    }
}
