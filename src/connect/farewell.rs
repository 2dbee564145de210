//! How an h2 connection ends that nobody uses any more: it may say goodbye, and not for ever.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use crate::limits;

/// Kept by all who use a connection.
#[derive(Debug)]
pub(super) struct Held {
    _driver: oneshot::Sender<Infallible>,
    /// No request is given to it any more.
    retired: AtomicBool,
}

impl Held {
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

/// Kept by what drives the connection.
pub(super) struct LetGo(oneshot::Receiver<Infallible>);

pub(super) fn held() -> (Held, LetGo) {
    let (held, let_go) = oneshot::channel();
    let held = Held {
        _driver: held,
        retired: AtomicBool::new(false),
    };
    (held, LetGo(let_go))
}

impl LetGo {
    /// Drives a connection to its end, for which it has [`limits::FAREWELL`] when [`Held`] is
    /// gone: it writes what is left and says goodbye, and its peer may never make room for that.
    pub(super) fn bound<D>(self, driver: D) -> Bound<D> {
        Bound {
            driver,
            let_go: self,
            farewell: None,
        }
    }
}

/// What drives a connection, and what ends it. There is one for as long as a connection is open:
/// written out, it has room for the driver once, and an async fn's future for each move of it.
pub(super) struct Bound<D> {
    driver: D,
    let_go: LetGo,
    /// When nobody holds the connection any more.
    farewell: Option<Pin<Box<Sleep>>>,
}

impl<D: Future + Unpin> Future for Bound<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if Pin::new(&mut this.driver).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let farewell = match &mut this.farewell {
            Some(farewell) => farewell,
            farewell => {
                // What comes is that nothing will.
                let _ = ready!(Pin::new(&mut this.let_go.0).poll(cx));
                farewell.insert(Box::pin(sleep(limits::FAREWELL)))
            }
        };
        farewell.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_driver_has_its_time_from_when_it_is_let_go_of() {
        let (held, let_go) = held();
        let mut bound = let_go.bound(pending::<()>());
        let far = 100 * limits::FAREWELL;
        timeout(far, &mut bound).await.unwrap_err();
        drop(held);
        let begun = Instant::now();
        timeout(limits::FAREWELL / 2, &mut bound).await.unwrap_err();
        timeout(far, bound).await.unwrap();
        let late = begun.elapsed() - limits::FAREWELL;
        assert!(late < Duration::from_millis(2), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_ends_is_not_waited_for() {
        let (_held, let_go) = held();
        let begun = Instant::now();
        let_go.bound(ready("gone")).await;
        assert_eq!(Instant::now(), begun);
    }
}
