//! Which open connection may serve this request.
//!
//! A connection belongs to the runtime that drives it: were it handed to another, whoever waits on
//! it would hang for as long as its own runtime is parked. So the runtime's id is part of the key,
//! and nothing here waits for another runtime or runs in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::host::{Choice, Host};
use super::lease::Lease;
use super::{Connector, Target, Wanted};
use crate::error::Result;
use crate::limits::{self, Clock, Deadline};
use crate::timings::{Phase, Timings};

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
        wanted: Wanted<'_>,
        choice: Choice,
        timings: &mut Timings,
    ) -> Result<Lease> {
        let deadline = wanted.deadline;
        let host = self.host(wanted.target);
        loop {
            if let Some(mut open) = host.open_connection(choice) {
                // It was opened for somebody who may have been allowed more than this one is.
                if let Err(refused) = connector.route.admit_open(wanted, &open.facts) {
                    Lease::new(open, host).give_back();
                    return Err(refused.into());
                }
                let soon = deadline.sooner(Deadline::on(Clock::Connect, limits::READY_WAIT));
                match soon.run(Phase::Queued, open.sender.is_usable()).await {
                    Ok(true) => return Ok(Lease::new(open, host)),
                    Err(elapsed) if deadline.is_over() => return Err(elapsed.into()),
                    // It is closed, or its peer has not read all of the request before.
                    Ok(false) | Err(_) => continue,
                }
            }
            let failures = match host.may_dial_at_once() {
                Ok(()) => {
                    let open = host.dial(connector, wanted, timings).await?;
                    return Ok(Lease::new(open, host));
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
            let dialled = host.dial(connector, wanted, timings).await;
            drop(turn);
            return Ok(Lease::new(dialled?, host));
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

/// Hosts that are kept before those without an open connection are swept out.
const MIN_SWEEP: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::host::Open;
    use super::super::sender::Sender;
    use super::super::{Connected, Origin, Stream, Transport, Trust};
    use super::*;
    use crate::tls::demand::Demand;
    use crate::tls::{self, Policy};

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
            let stream = TcpStream::connect(remote).await.unwrap();
            let stream = Stream::plain(Transport::Plain(stream));
            let deadline = Deadline::start(limits::DEADLINE);
            let opened = Sender::open(Connected { stream, remote }, |_| {}, deadline).await;
            let (sender, facts) = opened.unwrap();
            let host = self.host(&target(name));
            let open = Open {
                sender,
                facts,
                reused: false,
            };
            Lease::new(open, Arc::clone(&host)).give_back();
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
