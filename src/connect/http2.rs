//! HTTP/2 over a fresh stream: what sends requests on it, and what drives it behind that.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::Stream;
use super::facts::Facts;
use super::farewell::{self, Held, LetGo};
use super::keep::Ping;
use super::outgoing::Outgoing;
use crate::limits;

#[derive(Clone, Debug)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<Outgoing>,
    driver: Arc<Driver>,
    /// For whoever has a request on it. Gone with the last of them, what drives it has
    /// [`limits::FAREWELL`] to end.
    pub(super) held: Arc<Held>,
}

/// What drives a connection, which others may look at.
#[derive(Debug)]
struct Driver {
    /// For as long as its task lives, so that it ends with its runtime.
    connection: Mutex<Option<Http2Connection>>,
    /// What was last seen of the peer's limit.
    most_streams: AtomicUsize,
    /// Of the task that drives it.
    waker: OnceLock<Waker>,
}

type Http2Connection = http2::Connection<TokioIo<Stream>, Outgoing, Background>;

impl Http2 {
    /// Speaks h2 on a fresh connection. `ended` is told when it has ended.
    pub(super) async fn open(
        io: TokioIo<Stream>,
        ping: Option<Ping>,
        facts: &Arc<Facts>,
        ended: impl FnOnce(&Arc<Facts>) + Send + 'static,
    ) -> hyper::Result<Self> {
        let (held, let_go) = farewell::held();
        let mut builder = http2::Builder::new(Background::until(let_go));
        builder
            .max_header_list_size(limits::RESPONSE_HEAD)
            .initial_connection_window_size(limits::UNREAD_PER_CONNECTION);
        if let Some(Ping { interval, timeout }) = ping {
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(interval)
                .keep_alive_timeout(timeout);
        }
        let (sender, connection) = builder.handshake(io).await?;
        let driver = Arc::new(Driver {
            most_streams: AtomicUsize::new(connection.current_max_send_streams()),
            connection: Mutex::new(Some(connection)),
            waker: OnceLock::new(),
        });
        let driving = Driving(Arc::clone(&driver));
        let driven = Arc::clone(facts);
        tokio::spawn(async move {
            poll_fn(|cx| driving.poll(cx)).await;
            drop(driving);
            ended(&driven);
        });
        Ok(Self {
            sender,
            driver,
            held: Arc::new(held),
        })
    }

    /// How many streams the peer allows at once, as far as is known.
    pub(super) fn most_streams(&self) -> usize {
        let known = &self.driver.most_streams;
        // It may be running at this moment, and a payload's stream may ask from within.
        if let Ok(connection) = self.driver.connection.try_lock() {
            let most = connection.as_ref();
            let most = most.map_or(0, Http2Connection::current_max_send_streams);
            known.store(most, Ordering::Relaxed);
        }
        known.load(Ordering::Relaxed)
    }

    /// Has the driver look at the connection. It hears of a GOAWAY only when it is woken for
    /// something else, and ends then.
    pub(super) fn wake(&self) {
        self.driver
            .waker
            .get()
            .into_iter()
            .for_each(Waker::wake_by_ref);
    }
}

/// The task that drives a connection, which ends with it.
struct Driving(Arc<Driver>);

impl Driving {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.waker.get_or_init(|| cx.waker().clone());
        match self.connection().as_mut() {
            Some(connection) => Pin::new(connection).poll(cx).map(drop),
            None => Poll::Ready(()),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Option<Http2Connection>> {
        let connection = self.0.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        // Not under the lock: requests go with it that were not sent.
        let connection = self.connection().take();
        drop(connection);
    }
}

/// Runs what hyper runs beside a connection, as a task each: what moves its frames, which is the
/// first, and one for a request that has to wait.
#[derive(Clone)]
struct Background(Arc<Mutex<Option<LetGo>>>);

impl Background {
    /// What moves the frames says goodbye when nobody holds the connection any more, for which
    /// the peer may never make room. What waits ends with it.
    fn until(let_go: LetGo) -> Self {
        Self(Arc::new(Mutex::new(Some(let_go))))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Background {
    fn execute(&self, future: F) {
        let let_go = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match let_go {
            Some(let_go) => drop(tokio::spawn(let_go.bound(Box::pin(future)))),
            None => drop(tokio::spawn(future)),
        }
    }
}
