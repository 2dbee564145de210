//! Which open connection may serve this request.
//!
//! A connection belongs to the runtime that tells of its socket's news: were it handed to another,
//! whoever waits on it would hang for as long as its own runtime is parked. So the runtime's id is part of the key,
//! and nothing here waits for another runtime or runs in the background.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::host::{Choice, Full, Grant, Host, Next, Open};
use super::keep::Keep;
use super::lease::Lease;
use super::sender::Sender;
use super::stats::{Connections, HostStats, PoolStats, Totals};
use super::{Connector, Endpoint, Wanted};
use crate::error::{Error, Result};
use crate::timings::{Phase, Timings};

/// The open connections of one client, which are told apart by runtime and [`Endpoint`]: origin,
/// policy and demand, which is all that their TLS depends on.
#[derive(Debug)]
pub(crate) struct Pool {
    keep: Keep,
    totals: Arc<Totals>,
    hosts: Mutex<Hosts>,
}

#[derive(Debug, Default)]
struct Hosts {
    /// By endpoint, so that nothing is cloned to look one up; and by runtime, of which there are few.
    by_endpoint: HashMap<Endpoint, Vec<(Id, Arc<Host>)>, Keyed>,
    count: usize,
    sweep_at: usize,
    swept: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            totals: Arc::default(),
            hosts: Mutex::default(),
        }
    }

    /// A connection for one request: one that is open and takes it at once, or the way to one.
    ///
    /// This much is done for every request, and nothing of it waits; what does is
    /// [`wait`](Self::wait)'s.
    pub(crate) fn checkout(
        &self,
        connector: &Connector,
        wanted: &Wanted<'_>,
        choice: Choice,
    ) -> Result<Checkout> {
        let now = Instant::now();
        let host = self.host(wanted.target, now);
        loop {
            match host.next(now, choice, false, false) {
                Next::Open(mut open) => {
                    if takes(&mut open, connector, wanted, now)? {
                        return Ok(Checkout::Ready(Lease::new(open)));
                    }
                }
                next => return Ok(Checkout::Waits(Way { host, next })),
            }
        }
    }

    /// A connection for one request, open already or fresh, by a way that may have to be waited for.
    ///
    /// While it is not known that a host speaks HTTP/1.1 one caller dials and the others wait:
    /// over h2 one connection serves them all. If that dial fails it fails for all who waited.
    /// Where there are as many connections as there may be, or as many streams as the peer allows,
    /// callers queue.
    pub(crate) async fn wait(
        way: Way,
        connector: &Connector,
        wanted: Wanted<'_>,
        choice: Choice,
        timings: &mut Timings,
    ) -> Result<Lease> {
        let deadline = wanted.deadline;
        let Way { host, mut next } = way;
        let mut turn = None;
        let mut was_first = false;
        loop {
            // Whoever had the turn before may have left a connection for all, or the knowledge
            // that everybody needs one of his own.
            turn = turn.filter(|_| host.needs_turn());
            let grant = match next {
                Next::Open(open) => Some(Grant::Open(open)),
                Next::Dial(place) => Some(Grant::Dial(place)),
                Next::Wait(granted, full) => {
                    let _waits = host.waits();
                    let waiting = Box::pin(until_granted(&host, granted, full));
                    let waited = deadline.queue(timings, waiting).await;
                    // Without a grant, what he waited for is gone.
                    let grant = waited.map_err(|elapsed| Error::from(elapsed).with_source(full))?;
                    was_first |= grant.is_some();
                    grant
                }
                Next::Turn(failures) => {
                    let _waits = host.waits();
                    turn = Some(deadline.queue(timings, host.turn.lock()).await?);
                    if let Some(error) = host.failure_since(failures) {
                        return Err(error);
                    }
                    None
                }
            };
            let now = Instant::now();
            let found = match grant {
                Some(Grant::Dial(place)) => {
                    // Boxed, as it is large, and whoever finds an open connection should not
                    // carry it about.
                    let dialling = Box::pin(host.dial(connector, wanted, place, timings));
                    return dialling.await.map(Lease::new);
                }
                Some(Grant::Open(open)) => Some(open),
                None => None,
            };
            if let Some(mut open) = found {
                if takes(&mut open, connector, &wanted, now)? {
                    return Ok(Lease::new(open));
                }
            }
            next = host.next(now, choice, turn.is_some(), was_first);
        }
    }

    /// A request is sent again.
    pub(crate) fn count_replay(&self) {
        self.totals.replayed.one();
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let mut hosts: BTreeMap<_, Connections> = BTreeMap::new();
        let mut now = Connections::default();
        let all = self.hosts().all();
        for (target, host) in all {
            let (origin, connections) = (target.origin(), host.connections());
            now.add(&connections);
            let name = (origin.host().to_owned(), origin.port(), origin.is_https());
            hosts.entry(name).or_default().add(&connections);
        }
        let hosts = hosts
            .into_iter()
            .map(|((host, port, https), now)| HostStats {
                host,
                port,
                https,
                now,
            });
        PoolStats {
            now,
            hosts: hosts.collect(),
            opened: self.totals.opened.total(),
            reused: self.totals.reused.total(),
            replayed: self.totals.replayed.total(),
            expired: self.totals.expired.total(),
            lost: self.totals.lost.total(),
            surplus: self.totals.surplus.total(),
        }
    }

    fn host(&self, target: &Endpoint, now: Instant) -> Arc<Host> {
        let runtime = Handle::current().id();
        // Dropped when the lock is given back.
        let _spent;
        let mut hosts = self.hosts();
        _spent = hosts.sweep(now, self.keep.idle_timeout);
        if let Some(host) = hosts.get(target, runtime) {
            return Arc::clone(host);
        }
        let host = Arc::new(Host::new(self.keep, Arc::clone(&self.totals)));
        hosts.insert(target.to_keep(), runtime, Arc::clone(&host));
        host
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is found at once by whoever wants a connection.
pub(crate) enum Checkout {
    Ready(Lease),
    /// Nothing that takes a request at once.
    Waits(Way),
}

/// How a connection is come by, as it was found at that moment.
pub(crate) struct Way {
    host: Arc<Host>,
    next: Next,
}

/// Whether an open connection takes this request. It was opened for somebody who may have been
/// allowed more than this one is.
fn takes(
    open: &mut Open,
    connector: &Connector,
    wanted: &Wanted<'_>,
    now: Instant,
) -> Result<bool> {
    connector.route.admit_open(wanted, &open.facts)?;
    open.put_to_use();
    match wanted.deadline.is_over_at(now) {
        true => Err(wanted.deadline.elapsed(Phase::Queued).into()),
        false => Ok(open.is_ready()),
    }
}

/// What comes to somebody in the queue, or nothing if he has to look for himself.
async fn until_granted(
    host: &Arc<Host>,
    mut granted: oneshot::Receiver<Grant>,
    full: Full,
) -> Option<Grant> {
    if let Full::Connections(_) = full {
        return granted.await.ok();
    }
    loop {
        match tokio::time::timeout(LOOK_AGAIN, &mut granted).await {
            Ok(granted) => return granted.ok(),
            Err(_) => host.look_again(),
        }
    }
}

type Keyed = BuildHasherDefault<Hashed>;

/// Takes the hash that an endpoint has already, which is keyed.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    /// The map goes by bits of both ends.
    fn write_u32(&mut self, hash: u32) {
        self.0 = u64::from(hash) << 32 | u64::from(hash);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

impl Hosts {
    fn get(&self, target: &Endpoint, runtime: Id) -> Option<&Arc<Host>> {
        let mut hosts = self.by_endpoint.get(target)?.iter();
        hosts.find_map(|(id, host)| (*id == runtime).then_some(host))
    }

    fn insert(&mut self, target: Endpoint, runtime: Id, host: Arc<Host>) {
        self.by_endpoint
            .entry(target)
            .or_default()
            .push((runtime, host));
        self.count += 1;
    }

    fn all(&self) -> Vec<(Endpoint, Arc<Host>)> {
        let mut all = Vec::with_capacity(self.count);
        for (target, hosts) in &self.by_endpoint {
            let hosts = hosts.iter().map(|(_, host)| Arc::clone(host));
            all.extend(hosts.map(|host| (target.clone(), host)));
        }
        all
    }

    /// Lets go of hosts without an open connection when they have become many, and of connections
    /// that have been idle for too long when nobody comes back to their host: these are returned.
    fn sweep(&mut self, now: Instant, idle_timeout: Duration) -> Vec<Sender> {
        let mut spent = Vec::new();
        let swept = *self.swept.get_or_insert(now);
        let interval = idle_timeout.max(MIN_SWEEP_INTERVAL);
        if self.count < self.sweep_at && now - swept < interval {
            return spent;
        }
        self.by_endpoint.retain(|_, hosts| {
            hosts.retain(|(_, host)| host.is_in_use(now, &mut spent));
            !hosts.is_empty()
        });
        self.count = self.by_endpoint.values().map(Vec::len).sum();
        self.sweep_at = (2 * self.count).max(MIN_SWEEP);
        self.swept = Some(now);
        spent
    }
}

/// Hosts that are kept before those without an open connection are swept out.
const MIN_SWEEP: usize = 64;

/// Time between two sweeps where idle connections are hardly kept at all.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often somebody who waits for a stream looks whether the peer allows more by now: h2 tells
/// nobody. Streams that end are told at once.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::LazyLock;
    use std::task::Poll;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{
        AddressGuard, Asker, Connected, Origin, Proxies, Resolver, Route, Stream, Transport, Trust,
    };
    use super::*;
    use crate::error::ErrorKind;
    use crate::limits::{self, Deadline};
    use crate::tls::demand::Demand;
    use crate::tls::{self, Policy};

    #[tokio::test]
    async fn hosts_that_nobody_comes_back_to_do_not_pile_up() {
        let pool = Pool::new(Keep::default());
        let (_server, kept) = pool.idle_connection("kept.example").await;
        for n in 0..10_000 {
            drop(pool.host(&target(&format!("{n}.example")), Instant::now()));
            assert!(pool.len() <= MIN_SWEEP, "{n}");
        }
        let found = pool.host(&target("kept.example"), Instant::now());
        assert!(Arc::ptr_eq(&kept, &found));
        assert!(matches!(
            found.next(Instant::now(), Choice::Any, false, false),
            Next::Open(_)
        ));
    }

    #[test]
    fn runtimes_that_are_gone_are_swept_out() {
        let pool = Pool::new(Keep::default());
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

    /// Nobody asks for one, and nobody counts them.
    #[tokio::test]
    async fn an_idle_connection_goes_when_its_server_closes_it() {
        let pool = Pool::new(Keep::default());
        let mut servers = Vec::new();
        for _ in 0..4 {
            let (server, _) = pool.idle_connection("one.example").await;
            servers.push(server);
        }
        for closed in 1..=4 {
            let mut server = servers.pop().unwrap();
            server.shutdown().await.unwrap();
            let gone = tokio::time::timeout(limits::DEADLINE, server.read_u8()).await;
            let gone = gone.expect("it stays").unwrap_err();
            assert_eq!(gone.kind(), std::io::ErrorKind::UnexpectedEof);
            assert_eq!(pool.totals.lost.total(), closed);
        }
    }

    /// Outside of its workers a runtime wakes at once whoever has spent his budget.
    #[test]
    fn idle_connections_are_looked_at_by_whoever_has_spent_his_budget() {
        use tokio::task::coop::poll_proceed;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let pool = Pool::new(Keep::default());
            let (_server, host) = pool.idle_connection("one.example").await;
            let looking = poll_fn(|cx| {
                while let Poll::Ready(budget) = poll_proceed(cx) {
                    budget.made_progress();
                }
                Poll::Ready(host.connections())
            });
            assert_eq!(looking.await.idle, 1);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_for_too_long_is_closed_by_any_later_checkout() {
        let pool = Pool::new(Keep::default());
        let (mut server, _) = pool.idle_connection("once.example").await;
        tokio::time::advance(limits::IDLE_CONNECTION).await;
        drop(pool.host(&target("other.example"), Instant::now()));
        assert_eq!(pool.len(), 1);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_open_connection_is_kept_from_whoever_may_not_be_sent_there() {
        let pool = Pool::new(Keep::default());
        let (_server, host) = pool.idle_connection("ours.example").await;
        let connector = Connector {
            route: Route {
                resolver: Resolver::default(),
                guard: AddressGuard::default(),
                proxies: Proxies::none(),
            },
            timeout: limits::CONNECT,
            trust: trust(),
        };
        let target = target("ours.example");
        let wanted = |asker| Wanted {
            target: &target,
            asker,
            deadline: Deadline::start(limits::DEADLINE),
        };
        for _ in 0..2 {
            let sent = wanted(Asker::Host([8, 8, 8, 8].into()));
            let Err(error) = pool.checkout(&connector, &sent, Choice::Any) else {
                panic!("it was given");
            };
            assert_eq!(error.kind(), ErrorKind::AddressRefused, "{error}");
        }
        let asked = wanted(Asker::Caller);
        let Checkout::Ready(lease) = pool.checkout(&connector, &asked, Choice::Any).unwrap() else {
            panic!("it is there, and nobody has it");
        };
        assert!(lease.is_reused());
        assert!(!matches!(
            host.next(Instant::now(), Choice::Any, false, false),
            Next::Open(_)
        ));
        // Those who were refused did not use it.
        assert_eq!(pool.stats().reused, 1);
    }

    #[test]
    fn each_runtime_has_a_host_of_its_own_for_each_endpoint() {
        let pool = Pool::new(Keep::default());
        let runtime = || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            { runtime }.build().unwrap()
        };
        let runtimes = [runtime(), runtime()];
        let targets = [target("one.example"), target("two.example")];
        let find = || {
            let mut hosts = Vec::new();
            for runtime in &runtimes {
                let _entered = runtime.enter();
                let of = |target| pool.host(target, Instant::now());
                hosts.extend(targets.iter().map(of));
            }
            hosts
        };
        let hosts = find();
        for (n, (host, again)) in hosts.iter().zip(find()).enumerate() {
            assert!(Arc::ptr_eq(host, &again), "{n}");
            let same = hosts.iter().filter(|other| Arc::ptr_eq(host, other));
            assert_eq!(same.count(), 1, "{n}");
        }
        assert_eq!(pool.len(), 4);
    }

    #[tokio::test]
    async fn what_is_swept_out_is_for_the_caller_to_drop() {
        let pool = Pool::new(Keep::default());
        let (_server, host) = pool.idle_connection("once.example").await;
        drop(host);
        let later = Instant::now() + limits::IDLE_CONNECTION;
        let mut hosts = pool.hosts();
        assert_eq!(hosts.sweep(later, limits::IDLE_CONNECTION).len(), 1);
        assert!(hosts.sweep(later, limits::IDLE_CONNECTION).is_empty());
    }

    impl Pool {
        /// Hosts in the map, in which there is nothing else.
        fn len(&self) -> usize {
            let hosts = self.hosts();
            let all = hosts.all().len();
            assert_eq!(hosts.count, all);
            assert!(hosts.by_endpoint.values().all(|hosts| !hosts.is_empty()));
            all
        }

        /// An idle HTTP/1.1 connection to a host, and its other end.
        async fn idle_connection(&self, name: &str) -> (TcpStream, Arc<Host>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let remote = listener.local_addr().unwrap();
            let stream = TcpStream::connect(remote).await.unwrap();
            let stream = Stream::plain(Transport::Plain(stream));
            let deadline = Deadline::start(limits::DEADLINE);
            let host = self.host(&target(name), Instant::now());
            let Next::Dial(place) = host.next(Instant::now(), Choice::NotIdle, true, false) else {
                panic!("there is room");
            };
            let connected = Connected {
                stream,
                remote,
                host: Some(remote),
            };
            host.opened(connected, place, deadline).await.unwrap();
            (listener.accept().await.unwrap().0, host)
        }
    }

    fn target(host: &str) -> Endpoint {
        static TRUST: LazyLock<Trust> = LazyLock::new(trust);
        TRUST.endpoint(Origin::tls(host, 443).unwrap(), Demand::Verified)
    }

    fn trust() -> Trust {
        let (policy, clock) = (Policy::default(), tls::Clock::default());
        Trust::new(None, None, policy, vec![], clock, None).unwrap()
    }
}
