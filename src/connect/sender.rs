//! HTTP over a fresh stream: what sends requests on it.

use std::sync::Arc;

use tokio::time::Instant;

use super::facts::Facts;
use super::failure::{Broken, Cause};
use super::http1::Http1;
use super::http2::Http2;
use super::keep::Ping;
use super::transport::Unread;
use super::{Connected, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Deadline;
use crate::timings::Phase;
use crate::tls::TlsStream;

/// What sends requests on a connection: one after the other, or many at once.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(Box<Http1>),
    Http2(Http2),
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
        if !facts.is_http2 {
            return Ok((Self::Http1(Box::new(Http1::new(stream))), facts));
        }
        match Self::speak_http2(stream, &facts, ping, ended, deadline).await {
            Ok(sender) => Ok((sender, facts)),
            Err(error) => Err(error.with_verdict(facts.shared_verdict())),
        }
    }

    async fn speak_http2(
        stream: Stream,
        facts: &Arc<Facts>,
        ping: Option<Ping>,
        ended: impl FnOnce(&Arc<Facts>) + Send + 'static,
        deadline: Deadline,
    ) -> Result<Self> {
        // It is large, and there is one for many requests: a connection for one request at a time
        // shall not carry its room.
        let opening = Box::pin(Http2::open(stream, ping, facts, ended));
        let opened = deadline.run(Phase::FirstByte, opening).await?;
        opened.map(Self::Http2).map_err(|error| {
            Error::new(
                ErrorKind::ConnectionClosed,
                "the connection failed before a request was sent",
            )
            .with_phase(Phase::FirstByte)
            .with_source(Cause(Broken::http2(error)))
        })
    }

    /// Whether it takes the next request. It looks at the connection itself.
    pub(super) fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.unread() == Unread::Nothing,
            Self::Http2(connection) => !connection.is_closed(),
        }
    }
}
