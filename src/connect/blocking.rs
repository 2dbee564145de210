//! Work that blocks (the system's resolver, files of roots), on threads that nobody waits for.
//!
//! A thread of tokio's blocking pool would do, but dropping a runtime waits for those, and a name
//! server may take its time. These threads belong to no runtime; there are at most
//! [`MAX_THREADS`], and each ends when it finds nothing left to do.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Runs `work` on a thread of its own. If the caller goes away the result is dropped.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = oneshot::channel();
    enqueue(Box::new(move || {
        let _ = done.send(work());
    }))?;
    // The sender is dropped unsent only if the work panicked.
    result
        .await
        .map_err(|_| Error::new(ErrorKind::Config, "a blocking call ended without a result"))
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
}
