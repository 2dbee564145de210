//! HTTP over a fresh stream: what sends requests on it, and the driver behind that.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::facts::Facts;
use super::failure::Cause;
use super::keep::Ping;
use super::outgoing::Outgoing;
use super::{Connected, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Deadline};
use crate::timings::Phase;
use crate::tls::TlsStream;

/// What sends requests on a connection: one after the other, or many at once.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(Http1),
    Http2(Http2),
}

#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Outgoing>,
    pub(super) driver: AbortHandle,
    /// Gone with this, the driver has [`limits::FAREWELL`] to end.
    _held: oneshot::Sender<Infallible>,
}

#[derive(Clone, Debug)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<Outgoing>,
    driver: Arc<Driver>,
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

type Http2Connection = http2::Connection<TokioIo<Stream>, Outgoing, TokioExecutor>;

impl Http2 {
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

impl Sender {
    /// Speaks HTTP on a fresh connection, in the protocol that ALPN chose. `ended` is told when an
    /// h2 connection has ended.
    pub(super) async fn open(
        connected: Connected<Stream>,
        ping: Option<Ping>,
        ended: impl FnOnce(&Arc<Facts>) + Send + 'static,
        deadline: Deadline,
    ) -> Result<(Self, Arc<Facts>)> {
        let Connected {
            stream,
            remote,
            host,
        } = connected;
        let tls = stream.as_tls();
        let facts = Arc::new(Facts {
            born: Instant::now(),
            remote,
            host,
            verdict: tls.map(|tls| Arc::clone(tls.peer().shared_verdict())),
            peer: tls.map(|tls| tls.peer().clone()),
            traffic: Arc::clone(stream.traffic()),
            credential: tls.map(TlsStream::credential).unwrap_or_default(),
            is_http2: tls.is_some_and(TlsStream::speaks_h2),
        });
        match Self::speak(stream, &facts, ping, ended, deadline).await {
            Ok(sender) => Ok((sender, facts)),
            Err(error) => Err(error.with_verdict(facts.verdict.clone())),
        }
    }

    async fn speak(
        stream: Stream,
        facts: &Arc<Facts>,
        ping: Option<Ping>,
        ended: impl FnOnce(&Arc<Facts>) + Send + 'static,
        deadline: Deadline,
    ) -> Result<Self> {
        let failed = |error: hyper::Error| {
            Error::new(
                ErrorKind::ConnectionClosed,
                "the connection failed before a request was sent",
            )
            .with_phase(Phase::FirstByte)
            .with_source(Cause(error))
        };
        let io = TokioIo::new(stream);
        // The drivers end with their connection. What went wrong is told to whoever has a request
        // or a body on it.
        if facts.is_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(limits::RESPONSE_HEAD);
            if let Some(Ping { interval, timeout }) = ping {
                builder
                    .timer(TokioTimer::new())
                    .keep_alive_interval(interval)
                    .keep_alive_timeout(timeout);
            }
            let (sender, connection) = deadline
                .run(Phase::FirstByte, builder.handshake(io))
                .await?
                .map_err(failed)?;
            let driver = Arc::new(Driver {
                most_streams: AtomicUsize::new(connection.current_max_send_streams()),
                connection: Mutex::new(Some(connection)),
                waker: OnceLock::new(),
            });
            let connection = Http2 {
                sender,
                driver: Arc::clone(&driver),
            };
            let driving = Driving(driver);
            let driven = Arc::clone(facts);
            tokio::spawn(async move {
                poll_fn(|cx| driving.poll(cx)).await;
                drop(driving);
                ended(&driven);
            });
            Ok(Self::Http2(connection))
        } else {
            let handshake = http1::Builder::new()
                .max_header_size(limits::RESPONSE_HEAD as usize)
                .handshake(io);
            let (sender, driver) = deadline
                .run(Phase::FirstByte, handshake)
                .await?
                .map_err(failed)?;
            let (held, let_go) = oneshot::channel();
            // Let go, it writes what is left and says goodbye, for which its peer may never make
            // room.
            let farewell = async {
                let _ = let_go.await;
                tokio::time::sleep(limits::FAREWELL).await;
            };
            let driver = tokio::spawn(async move {
                let (mut driver, mut farewell) = (pin!(driver), pin!(farewell));
                poll_fn(|cx| match driver.as_mut().poll(cx) {
                    Poll::Ready(_) => Poll::Ready(()),
                    Poll::Pending => farewell.as_mut().poll(cx),
                })
                .await;
            });
            let driver = driver.abort_handle();
            Ok(Self::Http1(Http1 {
                sender,
                driver,
                _held: held,
            }))
        }
    }

    /// Waits until the connection has seen the end of the request before, and says whether it can
    /// take the next.
    pub(super) async fn is_usable(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.sender.ready().await.is_ok(),
            Self::Http2(connection) => connection.sender.ready().await.is_ok(),
        }
    }
    /// Whether it can take the next request without a wait.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.sender.is_ready(),
            Self::Http2(connection) => connection.sender.is_ready(),
        }
    }
}
