//! Calls that run while their caller does something else.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tracing::Instrument;

use super::deadline::{self, IntoDeadline};
use super::error::Error;
use super::fetch::Fetch;
use super::result::FetchResult;
use crate::error::ErrorKind;

/// A call to be made: [`make_fetch_call`](Self::make_fetch_call) makes it.
#[must_use = "nothing is fetched until a call is made of it"]
pub struct IdleRpc {
    deadline: Result<Option<Duration>, crate::Error>,
    callback: Option<Callback>,
}

type Outcome = Result<FetchResult, Error>;
type Callback = Box<dyn FnOnce(&Outcome) + Send>;

impl IdleRpc {
    pub(super) fn new(deadline: impl IntoDeadline) -> Self {
        let deadline = deadline
            .into_deadline()
            .and_then(|deadline| match deadline {
                None => deadline::default(),
                some => Ok(some),
            });
        Self {
            deadline,
            callback: None,
        }
    }

    /// What is called once the call is over and has been waited for, in the task that waits. It is
    /// given the outcome, which the original's was not.
    pub fn with_callback(
        mut self,
        callback: impl FnOnce(&Result<FetchResult, Error>) + Send + 'static,
    ) -> Self {
        self.callback = Some(Box::new(callback));
        self
    }

    /// Makes the call: it runs from now on, whether or not anybody waits, and its deadline too.
    /// The deadline is the call's own if it names one.
    ///
    /// It runs in the tokio runtime that this is called in; outside of one the result is an error.
    pub fn make_fetch_call(self, call: Fetch) -> Rpc {
        let started = Instant::now();
        let call = call.default_deadline(self.deadline);
        let state = match Handle::try_current() {
            Ok(runtime) => {
                let work = call.started_at(started).in_current_span();
                State::Running(runtime.spawn(work))
            }
            Err(error) => State::Over(Err(crate::Error::new(
                ErrorKind::Config,
                "a call needs a tokio runtime to run in",
            )
            .with_source(error)
            .into())),
        };
        Rpc {
            state,
            callback: self.callback,
        }
    }
}

/// A call that was made. It runs whether or not anybody waits for it, and ends when it is dropped.
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
pub struct Rpc {
    state: State,
    callback: Option<Callback>,
}

enum State {
    Running(JoinHandle<Outcome>),
    Over(Outcome),
}

impl Rpc {
    /// Waits until the call is over, and runs the callback the first time.
    pub async fn wait(&mut self) {
        poll_fn(|cx| self.poll_outcome(cx).map(|_| ())).await
    }

    /// Waits, and says whether it failed.
    ///
    /// # Errors
    ///
    /// As [`get_result`](Self::get_result).
    pub async fn check_success(&mut self) -> Result<(), Error> {
        self.get_result().await.map(|_| ())
    }

    /// Waits for the result. Asked again, it gives the same.
    ///
    /// # Errors
    ///
    /// As [`Fetch::send`], and `InternalTransientError` if the runtime that ran the call is gone.
    pub async fn get_result(&mut self) -> Result<FetchResult, Error> {
        poll_fn(|cx| self.poll_outcome(cx).map(Clone::clone)).await
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<&Outcome> {
        if let State::Running(task) = &mut self.state {
            let ended = ready!(Pin::new(task).poll(cx));
            self.state = State::Over(ended.unwrap_or_else(|gone| Err(lost(gone))));
        }
        match &self.state {
            State::Running(_) => Poll::Pending,
            State::Over(outcome) => {
                if let Some(callback) = self.callback.take() {
                    callback(outcome);
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        if let State::Running(task) = &self.state {
            task.abort();
        }
    }
}

/// Waits until one of the calls is over, runs its callback, and gives its place in the list; `None`
/// if the list is empty. One that was over before counts too.
pub async fn wait_any<'a>(rpcs: impl IntoIterator<Item = &'a mut Rpc>) -> Option<usize> {
    let mut rpcs: Vec<_> = rpcs.into_iter().collect();
    if rpcs.is_empty() {
        return None;
    }
    poll_fn(|cx| {
        let over = rpcs
            .iter_mut()
            .position(|rpc| rpc.poll_outcome(cx).is_ready());
        over.map_or(Poll::Pending, |place| Poll::Ready(Some(place)))
    })
    .await
}

/// Waits until all the calls are over, and runs the callback of each as it ends.
pub async fn wait_all<'a>(rpcs: impl IntoIterator<Item = &'a mut Rpc>) {
    let mut rpcs: Vec<_> = rpcs.into_iter().collect();
    poll_fn(|cx| {
        rpcs.retain_mut(|rpc| rpc.poll_outcome(cx).is_pending());
        match rpcs.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// A call whose task did not come to its end: the runtime was shut down, or what the client was
/// made of panicked.
fn lost(gone: JoinError) -> Error {
    let error = crate::Error::new(ErrorKind::Config, "the task that ran the call is gone");
    Error::lost(error.with_source(gone).sent(true))
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
        if let State::Over(outcome) = &self.state {
            debug.field("outcome", outcome);
        }
        debug.finish_non_exhaustive()
    }
}
