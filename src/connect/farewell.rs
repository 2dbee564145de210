//! How a connection ends that nobody uses any more: it may say goodbye, and not for ever.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::limits;

/// Kept by whoever uses a connection.
#[derive(Debug)]
pub(super) struct Held {
    /// Goes with it.
    _let_go: oneshot::Sender<Infallible>,
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
        _let_go: held,
        retired: AtomicBool::new(false),
    };
    (held, LetGo(let_go))
}

impl LetGo {
    /// Drives a connection to its end, for which it has [`limits::FAREWELL`] when [`Held`] is
    /// gone: it writes what is left and says goodbye, and its peer may never make room for that.
    pub(super) async fn bound(self, driver: impl Future<Output = ()>) {
        let mut driver = pin!(driver);
        let mut farewell = pin!(async {
            let _ = self.0.await;
            sleep(limits::FAREWELL).await;
        });
        poll_fn(|cx| match driver.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => farewell.as_mut().poll(cx),
        })
        .await;
    }
}
