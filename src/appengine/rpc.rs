//! Calls that run while their caller does something else.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, unconstrained};
use tokio::time::Instant;
use url::Url;

use super::deadline::{self, IntoDeadline};
use super::error::Error;
use super::fetch::Fetch;
use super::places::runtime;
use super::result::FetchResult;
use crate::error::ErrorKind;

/// A call to be made: [`make_fetch_call`](Self::make_fetch_call) makes it.
///
/// One makes one call, and there is nothing to wait for before. In the original either was an
/// `AssertionError`; here neither compiles:
///
/// ```compile_fail,E0382
/// # use urlfetch::appengine::{create_rpc, fetch};
/// let rpc = create_rpc(5);
/// let one = rpc.make_fetch_call(fetch("https://example.com/"));
/// let two = rpc.make_fetch_call(fetch("https://example.com/"));
/// ```
///
/// ```compile_fail,E0599
/// # use urlfetch::appengine::create_rpc;
/// # async fn example() {
/// create_rpc(5).wait().await;
/// # }
/// ```
#[must_use = "nothing is fetched until a call is made of it"]
pub struct IdleRpc {
    deadline: Result<Option<Duration>, crate::Error>,
    callback: Option<Callback>,
}

type Outcome = Result<FetchResult, Error>;
type Callback = Box<dyn FnOnce(&Outcome) + Send>;

impl IdleRpc {
    pub(super) fn new(deadline: impl IntoDeadline) -> Self {
        let own = deadline.into_deadline();
        Self {
            deadline: own.and_then(|own| Ok(own.or(deadline::default()?))),
            callback: None,
        }
    }

    /// What is called once the call is over and has been waited for: by the first
    /// [`wait`](Rpc::wait), [`check_success`](Rpc::check_success), [`get_result`](Rpc::get_result),
    /// [`wait_any`] or [`wait_all`] that finds it over, in the task that waits. It is given the
    /// outcome, which the original's was not.
    ///
    /// It is not called for an [`Rpc`] that nobody waits for, and it must not block. If it panics
    /// the panic is that of the wait; the outcome is kept, and it is not called again.
    pub fn with_callback(
        mut self,
        callback: impl FnOnce(&Result<FetchResult, Error>) + Send + 'static,
    ) -> Self {
        self.callback = Some(Box::new(callback));
        self
    }

    /// Makes the call: it runs from now on, whether or not anybody waits. Its deadline starts now,
    /// and its turn among the calls that may run at once is taken. The deadline is the call's own if
    /// it names one.
    ///
    /// It runs in the tokio runtime that this is called in, as a task of its own: in a
    /// current-thread one while that is in a `block_on`. Outside of a runtime the result is an error.
    pub fn make_fetch_call(self, call: Fetch) -> Rpc {
        let call = call.default_deadline(self.deadline);
        let callback = self.callback;
        let url = call.url().cloned();
        let state = match runtime() {
            Ok(runtime) => {
                let work = call.begin();
                let work = async { (work.await, Instant::now()) };
                State::Running(Running {
                    task: runtime.spawn(work),
                    url,
                    callback,
                })
            }
            Err(error) => State::Over(Over {
                outcome: Err(about(url.as_ref(), error).into()),
                ended: Instant::now(),
                callback,
            }),
        };
        Rpc(state)
    }
}

/// A call that was made. It runs whether or not anybody waits for it, and ends when it is dropped:
/// its connection is closed, or over HTTP/2 its stream reset, and its place is free.
///
/// App Engine waited at the end of a request for the calls that were left; here they are dropped,
/// unless somebody waits for them.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), urlfetch::appengine::Error> {
/// use urlfetch::appengine::{create_rpc, fetch, make_fetch_call};
///
/// let mut rpc = make_fetch_call(create_rpc(5), fetch("https://example.com/"));
/// // ... something else, while it runs ...
/// let result = rpc.get_result().await?;
/// println!("{}", result.status_code());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends the call"]
pub struct Rpc(State);

enum State {
    Running(Running),
    Over(Over),
}

struct Running {
    /// The outcome, and when it was there.
    task: JoinHandle<(Outcome, Instant)>,
    url: Option<Url>,
    callback: Option<Callback>,
}

struct Over {
    outcome: Outcome,
    ended: Instant,
    callback: Option<Callback>,
}

/// Each of these can be dropped before it is over, and asked again: nothing is lost.
impl Rpc {
    /// Waits until the call is over, and runs the callback the first time.
    pub async fn wait(&mut self) {
        poll_fn(|cx| self.poll_over(cx).map(|over| _ = over.told())).await
    }

    /// Waits, and says whether it failed.
    ///
    /// # Errors
    ///
    /// As [`get_result`](Self::get_result).
    pub async fn check_success(&mut self) -> Result<(), Error> {
        self.get_result().await.map(drop)
    }

    /// Waits for the result. Asked again, it gives the same.
    ///
    /// # Errors
    ///
    /// As [`Fetch::send`], and `InternalTransientError` if the runtime that ran the call is gone, or
    /// what the client was made of panicked in it.
    pub async fn get_result(&mut self) -> Result<FetchResult, Error> {
        poll_fn(|cx| self.poll_over(cx).map(|over| over.told().clone())).await
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<&mut Over> {
        if let State::Running(running) = &mut self.0 {
            let ended = ready!(Pin::new(&mut running.task).poll(cx));
            let (outcome, ended) = ended
                .unwrap_or_else(|gone| (Err(lost(gone, running.url.as_ref())), Instant::now()));
            self.0 = State::Over(Over {
                outcome,
                ended,
                callback: running.callback.take(),
            });
        }
        match &mut self.0 {
            State::Running(_) => Poll::Pending,
            State::Over(over) => Poll::Ready(over),
        }
    }

    fn if_over(&mut self, cx: &mut Context<'_>) -> Option<&mut Over> {
        match self.poll_over(cx) {
            Poll::Ready(over) => Some(over),
            Poll::Pending => None,
        }
    }
}

impl Over {
    /// The outcome, which the callback has been told.
    fn told(&mut self) -> &Outcome {
        if let Some(callback) = self.callback.take() {
            callback(&self.outcome);
        }
        &self.outcome
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        if let State::Running(running) = &self.0 {
            running.task.abort();
        }
    }
}

/// Waits until one of the calls is over, runs its callback if it is the first to wait for it, and
/// gives its place in the list; `None` if the list is empty.
///
/// One that was over before counts too, and of several the one that ended first: who wants the next
/// takes it off the list. Dropped before its end and called again, it loses nothing.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// use urlfetch::appengine::{create_rpc, fetch, wait_any};
///
/// let urls = ["https://example.com/", "https://example.org/"];
/// let mut rpcs: Vec<_> = urls
///     .map(|url| create_rpc(5).make_fetch_call(fetch(url)))
///     .into();
/// while let Some(first) = wait_any(&mut rpcs).await {
///     println!("{:?}", rpcs.remove(first).get_result().await);
/// }
/// # }
/// ```
pub async fn wait_any<'a>(rpcs: impl IntoIterator<Item = &'a mut Rpc>) -> Option<usize> {
    let mut rpcs: Vec<_> = rpcs.into_iter().collect();
    if rpcs.is_empty() {
        return None;
    }
    let first = poll_fn(|cx| {
        let over = rpcs.iter_mut().enumerate();
        let over = over.filter_map(|(place, rpc)| Some((place, rpc.if_over(cx)?)));
        match over.min_by_key(|(_, over)| over.ended) {
            None => Poll::Pending,
            Some((place, over)) => {
                over.told();
                Poll::Ready(place)
            }
        }
    });
    // tokio tells a task of some hundred that have ended, and of no more until its next turn: the
    // first of all may not be among them.
    Some(unconstrained(first).await)
}

/// Waits until all the calls are over, and runs their callbacks in the order in which they end.
///
/// Dropped before its end and called again, it loses nothing.
pub async fn wait_all<'a>(rpcs: impl IntoIterator<Item = &'a mut Rpc>) {
    let mut rpcs: Vec<_> = rpcs.into_iter().collect();
    let all = poll_fn(|cx| {
        let over = rpcs.iter_mut().filter_map(|rpc| rpc.if_over(cx));
        let mut over: Vec<_> = over.collect();
        over.sort_by_key(|over| over.ended);
        let count = over.len();
        for over in over {
            over.told();
        }
        match count == rpcs.len() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    // As above.
    unconstrained(all).await;
}

/// A call whose task did not come to its end: the runtime was shut down, or what the client was
/// made of panicked.
fn lost(gone: JoinError, url: Option<&Url>) -> Error {
    let error = crate::Error::new(ErrorKind::Config, "the task that ran the call is gone");
    Error::lost(about(url, error.with_source(gone).sent(true)))
}

fn about(url: Option<&Url>, error: crate::Error) -> crate::Error {
    match url {
        Some(url) => error.with_url(url),
        None => error,
    }
}

impl fmt::Debug for IdleRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleRpc")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Rpc");
        match &self.0 {
            State::Running(running) => {
                let url = running.url.as_ref().map(crate::error::redacted);
                debug.field("url", &url.as_ref().map(Url::as_str))
            }
            State::Over(over) => debug.field("outcome", &over.outcome),
        };
        debug.finish_non_exhaustive()
    }
}
