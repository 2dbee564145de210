//! Work that blocks (the system's resolver, files of roots), on threads that nobody waits for.
//!
//! A thread of tokio's blocking pool would do, but dropping a runtime waits for those, and a name
//! server may take its time. These threads belong to no runtime; there are at most
//! [`MAX_THREADS`], and each ends when it has found nothing to do for [`LINGER`]: to start a thread
//! for every name costs more than the lookup itself.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::{self, Receiver, error::RecvError};

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
    result.await.map_err(without_outcome)
}

/// The sender is dropped unsent only if the work panicked.
fn without_outcome(_: RecvError) -> Error {
    Error::new(ErrorKind::Config, "a blocking call ended without a result")
}

/// Work whose outcome is the same for all who ask: it runs once, on one thread, however many wait.
pub(super) struct Once<T>(Mutex<Asked<T>>);

struct Asked<T> {
    runs: bool,
    waiting: Vec<oneshot::Sender<T>>,
}

impl<T: Clone + Send> Once<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Asked {
            runs: false,
            waiting: Vec::new(),
        }))
    }

    /// The outcome of `work`, or of the like that runs already. It is not kept: who comes later
    /// starts anew.
    pub(super) async fn run(&'static self, work: fn() -> T) -> Result<T> {
        self.ask(work)?.await.map_err(without_outcome)
    }

    fn ask(&'static self, work: fn() -> T) -> Result<Receiver<T>> {
        let (done, outcome) = oneshot::channel();
        let mut asked = self.asked();
        asked.waiting.retain(|waiting| !waiting.is_closed());
        asked.waiting.push(done);
        if !asked.runs {
            enqueue(Box::new(move || {
                let ends = Ends(self);
                let outcome = work();
                for waiting in ends.take() {
                    let _ = waiting.send(outcome.clone());
                }
            }))?;
            asked.runs = true;
        }
        Ok(outcome)
    }

    fn asked(&self) -> MutexGuard<'_, Asked<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a run, also if the work panics: nobody is left waiting then.
struct Ends<T: Clone + Send + 'static>(&'static Once<T>);

impl<T: Clone + Send> Ends<T> {
    fn take(&self) -> Vec<oneshot::Sender<T>> {
        let mut asked = self.0.asked();
        asked.runs = false;
        std::mem::take(&mut asked.waiting)
    }
}

impl<T: Clone + Send> Drop for Ends<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.take();
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Those among them that wait for work.
    idle: usize,
    /// Whose threads they are: a fork has none of its parent's.
    process: u32,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    jobs: VecDeque::new(),
    threads: 0,
    idle: 0,
    process: 0,
});

/// Tells an idle thread that there is work.
static WORK: Condvar = Condvar::new();

fn enqueue(job: Job) -> Result<()> {
    let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if queue.process != process {
        *queue = Queue {
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
            process,
        };
    }
    queue.jobs.push_back(job);
    if queue.jobs.len() <= queue.idle {
        WORK.notify_one();
        return Ok(());
    }
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
                "no thread can be started for a blocking call",
            )
            .with_source(error))
        }
    }
}

fn drain() {
    while let Some(job) = next() {
        // A job that panics ends its caller's wait and not this thread, which is counted.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// What is to be done next; if there is nothing for long enough, the thread is counted off.
fn next() -> Option<Job> {
    let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.jobs.is_empty() {
        queue.idle += 1;
        let nothing = |queue: &mut Queue| queue.jobs.is_empty();
        let waited = WORK.wait_timeout_while(queue, LINGER, nothing);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
    }
    let job = queue.jobs.pop_front();
    if job.is_none() {
        queue.threads -= 1;
    }
    job
}

/// As many names may have a slow server before others have to wait; glibc's resolver itself allows
/// 256 threads and more. They are there only while there is work for them, and a little longer.
const MAX_THREADS: usize = 256;

/// tokio's number for the threads of its blocking pool.
const LINGER: Duration = Duration::from_secs(10);

/// Work for every thread, which ends when what is returned is dropped.
#[cfg(test)]
pub(super) fn take_all_threads() -> Vec<std::sync::mpsc::Sender<()>> {
    let take = |_| {
        let (taken, until) = std::sync::mpsc::channel();
        enqueue(Box::new(move || {
            let _ = until.recv();
        }))
        .unwrap();
        taken
    };
    (0..MAX_THREADS).map(take).collect()
}

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

    #[test]
    fn what_all_wait_for_runs_once_and_again_after_it_ended() {
        static GATE: Mutex<()> = Mutex::new(());
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        static ONCE: Once<usize> = Once::new();
        fn work() -> usize {
            drop(GATE.lock());
            let run = RUNS.fetch_add(1, Ordering::SeqCst);
            assert!(run != 1, "the one that fails");
            run
        }
        for (run, expected) in [Some(0), None, Some(2)].into_iter().enumerate() {
            let shut = GATE.lock().unwrap();
            let callers: Vec<_> = (0..100).map(|_| ONCE.ask(work).unwrap()).collect();
            drop(shut);
            for caller in callers {
                assert_eq!(caller.blocking_recv().ok(), expected);
            }
            assert_eq!(RUNS.load(Ordering::SeqCst), run + 1);
        }
    }
}
