//! A timer that is set again and again, one wait after the other.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that stays with what is waited for, such as a connection whose requests come one after
/// the other.
///
/// A deadline that is later than the last one leaves it as it is: it goes off early then, if ever,
/// and is set anew. Most waits are over long before, so that most cost no timer of their own. It
/// belongs to the runtime in which it was first set.
#[derive(Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready from `ends` on.
    pub(crate) fn poll(&mut self, ends: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(ends)));
        if sleep.deadline() > ends {
            sleep.as_mut().reset(ends);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= ends {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(ends);
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// The clock stands still but for what is waited for.
    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_each_deadline_and_not_before() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        // Later than the last, earlier, the same again, and over already.
        for (begins, ends) in [(0, 5), (5, 30), (30, 31), (31, 31), (31, 20), (31, 40)] {
            let ends = start + Duration::from_secs(ends);
            poll_fn(|cx| alarm.poll(ends, cx)).await;
            let rung = start.elapsed().as_secs();
            assert_eq!(rung, begins.max(ends.duration_since(start).as_secs()));
        }
    }

    /// What was waited for before does not end a wait.
    #[tokio::test(start_paused = true)]
    async fn a_wait_that_was_given_up_leaves_nothing_behind() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        for (given_up, ends) in [(10, 20), (50, 30)] {
            let given_up = start + Duration::from_secs(given_up);
            assert!(
                poll_fn(|cx| Poll::Ready(alarm.poll(given_up, cx)))
                    .await
                    .is_pending()
            );
            let ends = start + Duration::from_secs(ends);
            poll_fn(|cx| alarm.poll(ends, cx)).await;
            assert_eq!(Instant::now(), ends);
        }
    }
}
