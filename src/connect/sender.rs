//! HTTP over a fresh stream: what sends requests on it, and the driver behind that.

use std::pin::pin;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::facts::Facts;
use super::failure::{Broken, Cause};
use super::farewell::{self, Held};
use super::http2::Http2;
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
    pub(super) _held: Held,
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
            peer: tls.map(|tls| tls.peer().clone()),
            traffic: Arc::clone(stream.traffic()),
            credential: tls.map(TlsStream::credential).unwrap_or_default(),
            is_http2: tls.is_some_and(TlsStream::speaks_h2),
        });
        match Self::speak(stream, &facts, ping, ended, deadline).await {
            Ok(sender) => Ok((sender, facts)),
            Err(error) => Err(error.with_verdict(facts.shared_verdict())),
        }
    }

    async fn speak(
        stream: Stream,
        facts: &Arc<Facts>,
        ping: Option<Ping>,
        ended: impl FnOnce(&Arc<Facts>) + Send + 'static,
        deadline: Deadline,
    ) -> Result<Self> {
        let failed = |error: Broken| {
            Error::new(
                ErrorKind::ConnectionClosed,
                "the connection failed before a request was sent",
            )
            .with_phase(Phase::FirstByte)
            .with_source(Cause(error))
        };
        // The drivers end with their connection. What went wrong is told to whoever has a request
        // or a body on it.
        if facts.is_http2 {
            // It is large, and there is one for many requests: a connection for one request at a
            // time shall not carry its room.
            let opening = Box::pin(Http2::open(stream, ping, facts, ended));
            let opened = deadline.run(Phase::FirstByte, opening).await?;
            opened
                .map(Self::Http2)
                .map_err(|error| failed(Broken::http2(error)))
        } else {
            let mut builder = http1::Builder::new();
            builder.max_header_size(limits::RESPONSE_HEAD as usize);
            let opening = pin!(builder.handshake(TokioIo::new(stream)));
            let opened = deadline.run(Phase::FirstByte, opening).await?;
            let (sender, driver) = opened.map_err(|error| failed(Broken::Http1(error)))?;
            let (held, let_go) = farewell::held();
            let driver = tokio::spawn(let_go.bound(driver));
            Ok(Self::Http1(Http1 {
                sender,
                driver: driver.abort_handle(),
                _held: held,
            }))
        }
    }

    /// Waits until the connection has seen the end of the request before, and says whether it can
    /// take the next.
    pub(super) async fn is_usable(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.sender.ready().await.is_ok(),
            Self::Http2(connection) => !connection.is_closed(),
        }
    }

    /// Whether it can take the next request without a wait.
    pub(super) fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.sender.is_ready(),
            Self::Http2(connection) => !connection.is_closed(),
        }
    }
}
