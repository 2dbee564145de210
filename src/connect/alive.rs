//! Whether an h2 peer is still there: it is asked by a ping when a response is awaited and nothing
//! has come for a while (RFC 9113 §6.7).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep_until};

use super::farewell::Held;
use super::keep;
use super::stream::Traffic;
use crate::limits::{Clock, Deadline};

pub(super) struct Alive {
    times: keep::Ping,
    pings: PingPong,
    traffic: Arc<Traffic>,
    held: Weak<Held>,
    /// How much the peer had sent when it was last looked at, and since when there has been no more.
    read: u64,
    silent_since: Instant,
    /// It was asked, and has not answered.
    is_asked: bool,
    /// Until it is to be asked, or to have answered.
    sleep: Pin<Box<Sleep>>,
}

impl Alive {
    pub(super) fn new(
        times: keep::Ping,
        pings: PingPong,
        traffic: &Arc<Traffic>,
        held: &Arc<Held>,
    ) -> Self {
        let now = Instant::now();
        Self {
            times,
            pings,
            traffic: Arc::clone(traffic),
            held: Arc::downgrade(held),
            read: traffic.read(),
            silent_since: now,
            is_asked: false,
            sleep: Box::pin(sleep_until(now)),
        }
    }

    /// Comes to its end when the peer has not answered in time. It is polled by what reads, after
    /// that, and so whenever something has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let read = self.traffic.read();
        if read != self.read {
            self.read = read;
            self.silent_since = Instant::now();
        }
        loop {
            if self.is_asked && self.pings.poll_pong(cx).is_ready() {
                self.is_asked = false;
                self.set(self.times.interval, Instant::now());
            }
            ready!(self.sleep.as_mut().poll(cx));
            if self.is_asked {
                self.traffic.give_up();
                return Poll::Ready(());
            }
            let now = Instant::now();
            if now.duration_since(self.silent_since) < self.times.interval {
                self.set(self.times.interval, self.silent_since);
            } else if self.is_idle() || self.pings.send_ping(Ping::opaque()).is_err() {
                self.set(self.times.interval, now);
            } else {
                self.is_asked = true;
                self.set(self.times.timeout, now);
            }
        }
    }

    fn set(&mut self, time: Duration, since: Instant) {
        let ends = Deadline::from(since, Clock::IdleRead, time).ends();
        self.sleep.as_mut().reset(ends);
    }

    /// Whether nobody has a request on it. Servers count pings as abuse then.
    fn is_idle(&self) -> bool {
        self.held.upgrade().is_none_or(|held| {
            // This one, and the pool's.
            Arc::strong_count(&held) <= 1 + usize::from(!held.is_retired())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::super::farewell;
    use super::*;

    /// Nobody drives the connection, so that no ping is ever answered.
    #[tokio::test(start_paused = true)]
    async fn who_has_no_request_under_way_is_not_asked() {
        const SECOND: Duration = Duration::from_secs(1);
        for is_retired in [false, true] {
            let (client, _server) = duplex(1 << 16);
            let (_sender, mut connection) = h2::client::handshake(client).await.unwrap();
            let pings = connection.ping_pong().unwrap();
            let traffic = Arc::default();
            let held = Arc::new(farewell::held().0);
            let times = keep::Ping {
                interval: 2 * SECOND,
                timeout: SECOND,
            };
            let mut alive = Alive::new(times, pings, &traffic, &held);
            let mut asked = poll_fn(|cx| alive.poll(cx));
            timeout(3600 * SECOND, &mut asked).await.unwrap_err();
            let _request = match is_retired {
                // The pool has let go of it.
                true => {
                    held.retire();
                    None
                }
                false => Some(Arc::clone(&held)),
            };
            timeout(5 * SECOND, &mut asked).await.unwrap();
            assert!(traffic.is_given_up());
        }
    }
}
