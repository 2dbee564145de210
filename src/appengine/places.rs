//! The places of the calls that run at once, and the queue before them.

use std::collections::HashMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, Id};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::unconstrained;

use crate::client::in_one_runtime;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Deadline;
use crate::timings::{Phase, Timings};

/// So many places for each runtime.
///
/// One number for all of them would have to hand places across: what a runtime holds that stands
/// still, or was just given, nobody else could have until it moves again.
pub(super) struct Places {
    most: usize,
    by_runtime: Mutex<HashMap<Id, Arc<Semaphore>>>,
}

/// A place among the calls that run; it is given back when it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

impl Places {
    /// At least one, so that there is an end to every queue.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.clamp(1, Semaphore::MAX_PERMITS),
            by_runtime: Mutex::default(),
        }
    }

    /// Takes a turn, now: the first to ask is the first to be given a place, whoever is polled
    /// first.
    pub(super) fn turn(&self) -> Result<Turn> {
        let places = self.of(runtime()?.id());
        // It is queued by its first poll, however much the task that asks has polled already.
        let mut coming = Box::pin(unconstrained(places.acquire_owned()));
        let mut nobody = Context::from_waker(Waker::noop());
        Ok(match coming.as_mut().poll(&mut nobody) {
            Poll::Ready(come) => Turn::Come(come),
            Poll::Pending => Turn::Coming(coming, Full(self.most)),
        })
    }

    fn of(&self, runtime: Id) -> Arc<Semaphore> {
        let by_runtime = self.by_runtime.lock();
        let mut by_runtime = by_runtime.unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = by_runtime.get(&runtime) {
            return Arc::clone(places);
        }
        // Where nobody has a place or waits for one there is nothing to remember, and those that are
        // gone are among them.
        by_runtime.retain(|_, places| Arc::strong_count(places) > 1);
        let places = Arc::new(Semaphore::new(self.most));
        by_runtime.insert(runtime, Arc::clone(&places));
        places
    }
}

/// A turn that was taken. Whoever drops it leaves no gap.
pub(super) enum Turn {
    Come(Result<Place, AcquireError>),
    Coming(Coming, Full),
}

type Coming = Pin<Box<dyn Future<Output = Result<Place, AcquireError>> + Send>>;

impl Turn {
    /// Waits for the place. What it took, from the start of the deadline, is added to the timings.
    pub(super) async fn place(self, deadline: Deadline, timings: &mut Timings) -> Result<Place> {
        let come = match self {
            Self::Come(come) => come,
            Self::Coming(coming, full) => {
                let waiting = pin!(async {
                    let waited = deadline.run(Phase::Queued, coming).await;
                    waited.map_err(|elapsed| Error::from(elapsed).with_source(full))
                });
                let waited = in_one_runtime(waiting, false).await;
                timings.add(Phase::Queued, deadline.starts().elapsed());
                waited?
            }
        };
        come.map_err(|closed| {
            Error::new(ErrorKind::Config, "no more calls are made").with_source(closed)
        })
    }
}

/// The runtime that a call is to run in.
pub(super) fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|error| {
        Error::new(ErrorKind::Config, "a call needs a tokio runtime to run in").with_source(error)
    })
}

/// As many calls run as may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full(usize);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("another call is under way, and one may be at once"),
            most => write!(
                f,
                "{most} other calls are under way, as many as may be at once"
            ),
        }
    }
}

impl std::error::Error for Full {}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_runtime_that_is_gone_leaves_nothing_behind() {
        let places = Places::new(1);
        let stays = Builder::new_current_thread().build().unwrap();
        let _entered = stays.enter();
        let kept = places.turn().unwrap();
        for _ in 0..100 {
            let passes = Builder::new_current_thread().build().unwrap();
            let _entered = passes.enter();
            assert!(matches!(places.turn().unwrap(), Turn::Come(Ok(_))));
            assert!(places.by_runtime.lock().unwrap().len() <= 2);
        }
        assert!(matches!(places.turn().unwrap(), Turn::Coming(..)));
        drop(kept);
        assert!(matches!(places.turn().unwrap(), Turn::Come(Ok(_))));
    }

    #[tokio::test]
    async fn there_is_one_place_at_least_and_any_number_at_most() {
        for (most, there_are) in [(0, 1), (1, 1), (3, 3), (usize::MAX, 1000)] {
            let places = Places::new(most);
            let turns: Vec<_> = (0..there_are).map(|_| places.turn().unwrap()).collect();
            assert!(turns.iter().all(|turn| matches!(turn, Turn::Come(Ok(_)))));
            let next = places.turn().unwrap();
            assert_eq!(matches!(next, Turn::Coming(..)), most < usize::MAX);
        }
    }

    #[test]
    fn outside_a_runtime_there_is_no_turn() {
        let error = Places::new(1).turn().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
