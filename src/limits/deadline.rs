//! The clocks that end a fetch.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Timeout};

use crate::timings::{Phase, Timings};

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

    /// Runs `future` unless the clock ends first. It is pinned where it is made: handed over as it
    /// is, it would have its room there, here, and wherever it is handed on.
    pub(crate) async fn run<F: Future + Unpin>(
        &self,
        phase: Phase,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        // tokio polls the future before the timer: a deadline that is over already must not let
        // a request out first.
        if self.is_over() {
            return Err(self.elapsed(phase));
        }
        let held = self.hold(future).await;
        held.map_err(|_| self.elapsed(phase))
    }

    /// The same for whoever has looked at the clock and knows why it was set.
    pub(crate) fn hold<F: Future>(&self, future: F) -> Timeout<F> {
        tokio::time::timeout_at(self.ends, future)
    }

    /// The same, and what it took is added to the phase, however it ended.
    pub(crate) async fn time<F: Future + Unpin>(
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
            // Who has to wait can wait for a box too.
            Poll::Pending => Box::pin(self.time(Phase::Queued, timings, turn)).await,
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
    use std::future::ready;

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
        let polled = total.run(Phase::FirstByte, pin!(async { "sent" })).await;
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
        let turn = deadline.queue(&mut timings, ready(7)).await;
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
        assert_eq!(total.run(Phase::Body, ready(1)).await, Ok(1));
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
        let waited = total.run(Phase::Body, pin!(tokio::task::yield_now())).await;
        assert_eq!(waited, Ok(()));
    }
}
