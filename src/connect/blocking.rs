//! Work that blocks (the system's resolver, files of roots), on threads that nobody waits for.
//!
//! A thread of tokio's blocking pool would do, but dropping a runtime waits for those, and a name
//! server may take its time. These threads belong to no runtime; there are at most
//! [`MAX_THREADS`], and each ends when it finds nothing left to do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Runs `work` on a thread of its own. If the caller goes away the result is dropped.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = oneshot::channel();
    enqueue(Box::new(move || {
        // Behind slow names there may be many whose callers have given up.
        if !done.is_closed() {
            let _ = done.send(work());
        }
    }))?;
    // The sender is dropped unsent only if the work panicked.
    result.await.map_err(|_| no_result())
}

/// Work that many wait for at once: one thread does it, and all have its result.
///
/// Whoever waits holds nothing that another waits for, so that a caller whose runtime is parked
/// stops nobody.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<Vec<oneshot::Sender<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + 'static> Shared<T> {
    /// Runs `work`, or waits for it if it is running already.
    pub(super) async fn run(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting();
            waiting.push(done);
            waiting.len() == 1
        };
        if is_first {
            let waiting = Waiting(Arc::clone(self));
            enqueue(Box::new(move || waiting.tell(work())))?;
        }
        result.await.map_err(|_| no_result())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<oneshot::Sender<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who wait. If the work panics or is never begun they are let go, and the next may try.
struct Waiting<T: Clone + Send + 'static>(Arc<Shared<T>>);

impl<T: Clone + Send + 'static> Waiting<T> {
    fn tell(&self, result: T) {
        let waiting = std::mem::take(&mut *self.0.waiting());
        for waiter in waiting {
            let _ = waiter.send(result.clone());
        }
    }
}

impl<T: Clone + Send + 'static> Drop for Waiting<T> {
    fn drop(&mut self) {
        self.0.waiting().clear();
    }
}

fn no_result() -> Error {
    Error::new(ErrorKind::Config, "a blocking call ended without a result")
}

type Job = Box<dyn FnOnce() + Send>;

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    jobs: VecDeque::new(),
    threads: 0,
});

fn enqueue(job: Job) -> Result<()> {
    let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    queue.jobs.push_back(job);
    if queue.threads == MAX_THREADS {
        return Ok(());
    }
    match std::thread::Builder::new()
        .name("urlfetch".into())
        .spawn(drain)
    {
        Ok(_) => {
            queue.threads += 1;
            Ok(())
        }
        // Whoever runs already will come to it.
        Err(_) if queue.threads > 0 => Ok(()),
        Err(error) => {
            queue.jobs.pop_back();
            Err(Error::new(
                ErrorKind::Config,
                "no thread can be started to resolve a name",
            )
            .with_source(error))
        }
    }
}

fn drain() {
    loop {
        let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = queue.jobs.pop_front() else {
            queue.threads -= 1;
            return;
        };
        drop(queue);
        // A job that panics ends its caller's wait and not this thread, which is counted.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// Enough for a burst of names with a slow server among them; glibc's resolver itself allows 256
/// threads and more.
const MAX_THREADS: usize = 32;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn more_jobs_than_threads_all_run_and_a_panic_is_one_callers_trouble() {
        let jobs: Vec<_> = (0..200)
            .map(|n| {
                tokio::spawn(run(move || {
                    assert!(n != 100, "the one that fails");
                    n
                }))
            })
            .collect();
        let mut sum = 0;
        let mut failed = 0;
        for job in jobs {
            match job.await.unwrap() {
                Ok(n) => sum += n,
                Err(_) => failed += 1,
            }
        }
        assert_eq!((sum, failed), (199 * 200 / 2 - 100, 1));
    }

    #[tokio::test]
    async fn shared_work_is_done_once_and_a_panic_does_not_end_it_for_good() {
        let shared: Arc<Shared<usize>> = Arc::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let (start, may_start) = std::sync::mpsc::channel();
        let mut may_start = Some(may_start);
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let (shared, runs) = (Arc::clone(&shared), Arc::clone(&runs));
                // The first to come has the gate, and nobody else runs.
                let gate = may_start.take();
                tokio::spawn(async move {
                    let work = move || {
                        gate.map(|gate| gate.recv());
                        runs.fetch_add(1, Ordering::SeqCst) + 1
                    };
                    shared.run(work).await
                })
            })
            .collect();
        while shared.waiting().len() < 100 {
            tokio::task::yield_now().await;
        }
        start.send(()).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap(), 1);
        }
        assert!(shared.run(|| panic!("the one that fails")).await.is_err());
        assert_eq!(shared.run(|| 7).await.unwrap(), 7);
    }
}
