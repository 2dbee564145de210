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
pub(super) struct Once<T>(Mutex<PerProcess<Asked<T>>>);

struct Asked<T> {
    runs: bool,
    waiting: Vec<oneshot::Sender<T>>,
}

impl<T: Clone + Send> Once<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(PerProcess {
            process: 0,
            value: Asked {
                runs: false,
                waiting: Vec::new(),
            },
        }))
    }

    /// The outcome of `work`, or of the like that runs already. It is not kept: who comes later
    /// starts anew.
    pub(super) async fn run(&'static self, work: fn() -> T) -> Result<T> {
        self.ask(work)?.await.map_err(without_outcome)
    }

    fn ask(&'static self, work: fn() -> T) -> Result<Receiver<T>> {
        let (done, outcome) = oneshot::channel();
        let mut asked = lock(&self.0);
        let asked = asked.in_process(std::process::id());
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
}

/// Ends a run, also if the work panics: nobody is left waiting then.
struct Ends<T: Clone + Send + 'static>(&'static Once<T>);

impl<T: Clone + Send> Ends<T> {
    fn take(&self) -> Vec<oneshot::Sender<T>> {
        let mut asked = lock(&self.0.0);
        asked.value.runs = false;
        std::mem::take(&mut asked.value.waiting)
    }
}

impl<T: Clone + Send> Drop for Ends<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.take();
        }
    }
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self {
            runs: false,
            waiting: Vec::new(),
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Those among them that wait for work.
    idle: usize,
}

static QUEUE: Mutex<PerProcess<Queue>> = Mutex::new(PerProcess {
    process: 0,
    value: Queue {
        jobs: VecDeque::new(),
        threads: 0,
        idle: 0,
    },
});

/// Tells an idle thread that there is work.
static WORK: Condvar = Condvar::new();

fn enqueue(job: Job) -> Result<()> {
    let mut queue = lock(&QUEUE);
    let queue = queue.in_process(std::process::id());
    match queue.push(job) {
        Taker::Idle => WORK.notify_one(),
        Taker::Busy => {}
        Taker::New => match std::thread::Builder::new()
            .name("urlfetch".into())
            .spawn(drain)
        {
            Ok(_) => queue.threads += 1,
            // Whoever runs already will come to it.
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                queue.jobs.pop_back();
                return Err(Error::new(
                    ErrorKind::Config,
                    "no thread can be started for a blocking call",
                )
                .with_source(error));
            }
        },
    }
    Ok(())
}

/// Who does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    /// A thread that waits for work.
    Idle,
    /// One that is to be started.
    New,
    /// The first that is done with what it does.
    Busy,
}

impl Queue {
    fn push(&mut self, job: Job) -> Taker {
        self.jobs.push_back(job);
        if self.jobs.len() <= self.idle {
            Taker::Idle
        } else if self.threads < MAX_THREADS {
            Taker::New
        } else {
            Taker::Busy
        }
    }
}

fn drain() {
    while let Some(job) = next(&QUEUE, &WORK, LINGER) {
        // A job that panics ends its caller's wait and not this thread, which is counted.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// What is to be done next; if there is nothing for long enough, the thread is counted off.
fn next(queue: &Mutex<PerProcess<Queue>>, work: &Condvar, linger: Duration) -> Option<Job> {
    let mut queue = lock(queue);
    if queue.value.jobs.is_empty() {
        queue.value.idle += 1;
        let nothing = |queue: &mut PerProcess<Queue>| queue.value.jobs.is_empty();
        let waited = work.wait_timeout_while(queue, linger, nothing);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.value.idle -= 1;
    }
    let job = queue.value.jobs.pop_front();
    if job.is_none() {
        queue.value.threads -= 1;
    }
    job
}

/// What threads have in hand. A fork has none of its parent's threads, and begins with nothing.
struct PerProcess<T> {
    process: u32,
    value: T,
}

impl<T: Default> PerProcess<T> {
    fn in_process(&mut self, process: u32) -> &mut T {
        if self.process != process {
            self.process = process;
            // Not dropped: whoever waits for it would be woken, by locks that threads of the parent
            // may have held at the fork, and that nobody gives back here.
            std::mem::forget(std::mem::take(&mut self.value));
        }
        &mut self.value
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::limits;

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

    /// The flag says that it runs; the thread that it runs on is the parent's.
    #[tokio::test]
    async fn in_a_fork_it_runs_anew() {
        static ONCE: Once<usize> = Once::new();
        let (parents, mut left_alone) = oneshot::channel();
        *lock(&ONCE.0) = PerProcess {
            process: std::process::id() + 1,
            value: Asked {
                runs: true,
                waiting: vec![parents],
            },
        };
        let ran = tokio::time::timeout(limits::DEADLINE, ONCE.run(|| 7)).await;
        assert_eq!(ran.expect("nobody runs it").unwrap(), 7);
        assert_eq!(left_alone.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn a_fork_begins_with_nothing_and_drops_nothing() {
        let parents = Arc::new(());
        let mut kept = PerProcess {
            process: 1,
            value: vec![Arc::clone(&parents)],
        };
        assert_eq!(kept.in_process(1).len(), 1);
        assert!(kept.in_process(2).is_empty());
        assert_eq!(Arc::strong_count(&parents), 2);
        kept.in_process(2).push(parents);
        assert_eq!(kept.in_process(2).len(), 1);
        // And so does a fork of the fork.
        assert!(kept.in_process(3).is_empty());
    }

    #[test]
    fn a_thread_is_started_if_none_is_idle_and_there_may_be_one_more() {
        // (jobs that nobody has begun, threads, those that are idle, who takes one more)
        for (jobs, threads, idle, expected) in [
            (0, 0, 0, Taker::New),
            (0, 1, 0, Taker::New),
            (0, 1, 1, Taker::Idle),
            (0, MAX_THREADS, 1, Taker::Idle),
            // The idle one has been told of the job before.
            (1, 1, 1, Taker::New),
            (1, 2, 2, Taker::Idle),
            (2, 2, 2, Taker::New),
            (0, MAX_THREADS - 1, 0, Taker::New),
            (0, MAX_THREADS, 0, Taker::Busy),
            (1, MAX_THREADS, 1, Taker::Busy),
        ] {
            let mut queue = queue(jobs, threads);
            queue.idle = idle;
            let taker = queue.push(Box::new(|| ()));
            assert_eq!(taker, expected, "{jobs} {threads} {idle}");
            assert_eq!(queue.jobs.len(), jobs + 1);
        }
    }

    #[test]
    fn a_thread_without_work_is_counted_off() {
        let (queue, work) = (here(queue(2, 5)), Condvar::new());
        for (job, threads) in [(true, 5), (true, 5), (false, 4), (false, 3)] {
            let next = next(&queue, &work, Duration::ZERO);
            assert_eq!(next.is_some(), job);
            let queue = lock(&queue);
            assert_eq!((queue.value.threads, queue.value.idle), (threads, 0));
        }
    }

    #[test]
    fn a_thread_that_lingers_takes_what_comes() {
        let (queue, work) = (here(queue(0, 1)), Condvar::new());
        std::thread::scope(|scope| {
            let lingers = scope.spawn(|| next(&queue, &work, LINGER));
            // It ends without work if it never says that it is idle.
            while lock(&queue).value.idle == 0 && !lingers.is_finished() {
                std::thread::yield_now();
            }
            assert_eq!(lock(&queue).value.push(Box::new(|| ())), Taker::Idle);
            work.notify_one();
            assert!(lingers.join().unwrap().is_some());
        });
        let queue = lock(&queue);
        assert_eq!((queue.value.threads, queue.value.idle), (1, 0));
    }

    fn here(value: Queue) -> Mutex<PerProcess<Queue>> {
        Mutex::new(PerProcess { process: 1, value })
    }

    fn queue(jobs: usize, threads: usize) -> Queue {
        let job = || -> Job { Box::new(|| ()) };
        Queue {
            jobs: std::iter::repeat_with(job).take(jobs).collect(),
            threads,
            idle: 0,
        }
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
