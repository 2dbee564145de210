//! Every number we refuse to exceed, with its source, and the clock that ends a fetch.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::timings::{Phase, Timings};

/// Deadline of a fetch that named none. The longest that App Engine's urlfetch allowed a request
/// handler; Go, reqwest and curl have none, which Google's own migration guide warns of.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Longest wait for a connection: name, TCP, proxy and TLS together. curl waits 300 s, Go 30 s, undici
/// 10 s; with addresses raced (RFC 8305) ten seconds cover several lost SYNs.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// Most addresses that are taken from one answer of a resolver. A message of DNS over UDP holds
/// some ninety of IPv4; names that are not there to trouble somebody have a dozen.
pub(crate) const ADDRESSES: usize = 64;

/// Most addresses that one connection tries: ureq's number. A stranger's name may list whom he
/// likes, and who fetches it is not to knock at all their doors.
pub(crate) const ATTEMPTS: usize = 16;

/// How long one address is waited for before another is tried beside it: RFC 8305 §5, the
/// recommended Connection Attempt Delay.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Longest silence while a body is read. What App Engine's default of "no byte in the deadline"
/// meant in practice; curl's --speed-time and httpx's read timeout are of the same order.
pub(crate) const IDLE_READ: Duration = Duration::from_secs(30);

/// Most bytes of a body that we buffer: urlfetch's documented limit of 2^25.
pub(crate) const BUFFERED_RESPONSE: u64 = 32 << 20;

/// Most bytes in the head of a response, status line and fields together. curl allows 300 KiB,
/// undici 16 KiB, ureq 64 KiB.
pub(crate) const RESPONSE_HEAD: u32 = 64 << 10;

/// Most fields in the head of a response: hyper's and httparse's default.
pub(crate) const RESPONSE_FIELDS: usize = 100;

/// Most interim (1xx) responses before the final one. Go allows 5, and 1 MiB of them.
pub(crate) const INTERIM_RESPONSES: usize = 8;

/// Most bytes of a proxy's answers to CONNECT: they have little to say. undici's number for any
/// head; curl allows 300 KiB.
pub(crate) const PROXY_HEAD: u64 = 16 << 10;

/// Most addresses of a host that a SOCKS proxy is asked for one after the other, each on a
/// connection of its own. curl asks for one; more than these seldom are of one host.
pub(crate) const SOCKS_ADDRESSES: usize = 4;

/// Most redirects that are followed: urlfetch's number. Go, reqwest and ureq follow 10, the Fetch
/// standard 20.
pub(crate) const REDIRECTS: usize = 5;

/// Most bytes that are read off a redirect's body to save its connection: four records of TLS,
/// which come with the head. Go reads 2 KiB, and then closes.
pub(crate) const DISCARDED_BODY: u64 = 64 << 10;

/// Longest wait for the rest of such a body: less than a new handshake over most distances.
pub(crate) const DISCARD_WAIT: Duration = Duration::from_millis(100);

/// Longest wait for an idle connection to be done with the request before: as long as for the body
/// of a redirect, and for the same reason.
pub(crate) const READY_WAIT: Duration = Duration::from_millis(100);

/// Most bytes of all responses of an h2 connection that may have come and not been read: as many as
/// [`IDLE_PER_HOST`] responses may hold, 2 MiB each by hyper's default. In hyper's own 5 MiB there is
/// room for two and a half that somebody takes his time to read, and those of everybody else wait
/// for him. Go allows 1 GiB; but h2 lets so many small DATA frames wait as are half of this at some
/// 256 bytes each, and every one of them takes as much memory, however little is in it.
pub(crate) const UNREAD_PER_CONNECTION: u32 = 64 << 20;

/// Longest time that a connection nobody uses any more takes to close. curl gives a TLS shutdown
/// ten seconds.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// Longest URL, in bytes: what `http::Uri` can hold.
pub(crate) const URL: usize = u16::MAX as usize - 1;

/// Idle connections kept for one host. Go keeps 2, reqwest all of them; 32 are as many as a burst
/// of calls from one service uses again.
pub(crate) const IDLE_PER_HOST: usize = 32;

/// How long an idle connection is kept: Go's and reqwest's number.
pub(crate) const IDLE_CONNECTION: Duration = Duration::from_secs(90);

/// How long a connection is reused at all, so that a change of addresses is noticed: some ten times
/// the seconds for which names that may move are usually cached.
pub(crate) const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// Most bytes of a list of protocols for ALPN: half a record of TLS (RFC 8446 §5.1), so that a
/// ClientHello fits into one, as it has to for servers that do not put one together again.
pub(crate) const ALPN: usize = 8 << 10;

/// When a fetch has to be over, and which clock says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    ends: Instant,
    budget: Duration,
    clock: Clock,
}

/// The clocks that can end a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The whole fetch.
    Total,
    /// Getting a connection.
    Connect,
    /// Silence while the body is read.
    IdleRead,
}

impl Deadline {
    /// The clock of a whole fetch, started now.
    pub(crate) fn start(budget: Duration) -> Self {
        Self::on(Clock::Total, budget)
    }

    /// Another clock, started now.
    pub(crate) fn on(clock: Clock, budget: Duration) -> Self {
        Self::from(Instant::now(), clock, budget)
    }

    /// Another clock, started at that moment.
    pub(crate) fn from(started: Instant, clock: Clock, budget: Duration) -> Self {
        Self {
            ends: started + budget.min(FAR),
            budget,
            clock,
        }
    }

    /// Whichever of the two ends first.
    pub(crate) fn sooner(self, other: Self) -> Self {
        if other.ends < self.ends { other } else { self }
    }

    /// When it was started.
    pub(crate) fn starts(&self) -> Instant {
        self.ends - self.budget.min(FAR)
    }

    pub(crate) fn ends(&self) -> Instant {
        self.ends
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    pub(crate) fn is_over_at(&self, now: Instant) -> bool {
        self.ends <= now
    }

    /// Runs `future` unless the clock ends first.
    pub(crate) async fn run<F: Future>(
        &self,
        phase: Phase,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        // tokio polls the future before the timer: a deadline that is over already must not let
        // a request out first.
        if self.is_over() {
            return Err(self.elapsed(phase));
        }
        tokio::time::timeout_at(self.ends, future)
            .await
            .map_err(|_| self.elapsed(phase))
    }

    /// The same, and what it took is added to the phase, however it ended.
    pub(crate) async fn time<F: Future>(
        &self,
        phase: Phase,
        timings: &mut Timings,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let started = Instant::now();
        let outcome = self.run(phase, future).await;
        timings.add(phase, started.elapsed());
        outcome
    }

    /// Waits in a queue. Where it is one's turn at once, nothing is timed and nothing is added.
    pub(crate) async fn queue<F: Future>(
        &self,
        timings: &mut Timings,
        turn: F,
    ) -> Result<F::Output, Elapsed> {
        if self.is_over() {
            return Err(self.elapsed(Phase::Queued));
        }
        let mut turn = pin!(turn);
        match poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await {
            Poll::Ready(turn) => Ok(turn),
            Poll::Pending => self.time(Phase::Queued, timings, turn).await,
        }
    }

    /// The reason to give when this clock ended in `phase`.
    pub(crate) fn elapsed(&self, phase: Phase) -> Elapsed {
        Elapsed {
            clock: self.clock,
            budget: self.budget,
            phase,
        }
    }
}

/// A clock ran out, and this was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed {
    pub(crate) clock: Clock,
    pub(crate) budget: Duration,
    pub(crate) phase: Phase,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = match self.clock {
            Clock::Total => "the deadline",
            Clock::Connect => "the connect timeout",
            Clock::IdleRead => "the idle-read timeout",
        };
        write!(
            f,
            "{clock} of {:?} ended while {}",
            self.budget,
            self.phase.doing()
        )
    }
}

impl std::error::Error for Elapsed {}

/// A limit that nobody will see: thirty years, as tokio has it. What is near the end of what an
/// Instant can say would have tokio's timers overflow.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_names_its_clock_its_budget_and_the_phase() {
        let total = Deadline::start(Duration::ZERO);
        let elapsed = total.run(Phase::Dns, std::future::pending::<()>()).await;
        assert_eq!(
            elapsed.unwrap_err().to_string(),
            "the deadline of 0ns ended while resolving the host's name"
        );
    }

    #[tokio::test]
    async fn a_deadline_that_is_over_does_not_poll() {
        let total = Deadline::start(Duration::ZERO);
        let polled = total.run(Phase::FirstByte, async { "sent" }).await;
        assert!(polled.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_sooner_clock_is_the_one_that_is_named() {
        let total = Deadline::start(Duration::from_secs(60));
        let connect = Deadline::on(Clock::Connect, Duration::from_secs(10));
        let elapsed = total
            .sooner(connect)
            .run(Phase::Tls, std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(elapsed.clock, Clock::Connect);
        assert_eq!(
            elapsed.to_string(),
            "the connect timeout of 10s ended while in the TLS handshake"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_phase_that_is_cut_short_is_timed_and_a_turn_that_comes_at_once_is_not() {
        let deadline = Deadline::start(Duration::from_secs(5));
        let mut timings = Timings::default();
        let turn = deadline.queue(&mut timings, std::future::ready(7)).await;
        assert_eq!((turn, timings.queued()), (Ok(7), None));
        let never = std::future::pending::<()>();
        let over = Deadline::start(Duration::ZERO);
        let polled = over.queue(&mut timings, async { "polled" }).await;
        assert_eq!(polled.unwrap_err().phase, Phase::Queued);
        assert_eq!(timings.queued(), None);
        let elapsed = deadline.queue(&mut timings, never).await.unwrap_err();
        assert_eq!(elapsed.phase, Phase::Queued);
        assert_eq!(timings.queued(), Some(Duration::from_secs(5)));
        let deadline = Deadline::start(Duration::from_secs(3));
        let never = std::future::pending::<()>();
        let cut = deadline.time(Phase::Dns, &mut timings, never).await;
        assert!(cut.is_err());
        assert_eq!(timings.dns(), Some(Duration::from_secs(3)));
        assert_eq!(deadline.starts() + Duration::from_secs(3), Instant::now());
    }

    #[tokio::test]
    async fn a_budget_beyond_all_instants_is_no_panic() {
        let total = Deadline::start(Duration::MAX);
        assert_eq!(total.run(Phase::Body, async { 1 }).await, Ok(1));
    }

    #[tokio::test]
    async fn the_last_budget_that_an_instant_can_say_is_no_panic() {
        let now = Instant::now();
        let (mut fits, mut beyond) = (Duration::ZERO, Duration::MAX);
        while beyond - fits > Duration::from_micros(1) {
            let middle = fits + (beyond - fits) / 2;
            match now.checked_add(middle) {
                Some(_) => fits = middle,
                None => beyond = middle,
            }
        }
        let total = Deadline::start(fits - Duration::from_micros(500));
        let waited = total.run(Phase::Body, tokio::task::yield_now()).await;
        assert_eq!(waited, Ok(()));
    }
}
