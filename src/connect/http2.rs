//! HTTP/2 over a fresh stream: what opens streams on it for requests, and what drives it behind
//! that.
//!
//! It stands on the codec itself: whoever waits for a response polls its stream, and no task and no
//! channel is between.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Request;
use http::header::{CONNECTION, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::response::Parts;
use http_body::Body as _;

use super::Stream;
use super::alive::Alive;
use super::facts::Facts;
use super::farewell::{self, Held};
use super::incoming::Received;
use super::keep::Ping;
use super::outgoing::Outgoing;
use super::upload::{self, Piping};
use crate::limits;

#[derive(Clone, Debug)]
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    /// For whoever has a request on it. Gone with the last of them, what drives it has
    /// [`limits::FAREWELL`] to end.
    pub(super) held: Arc<Held>,
}

impl Http2 {
    /// Speaks h2 on a fresh connection. `ended` is told when it has ended.
    pub(super) async fn open(
        stream: Stream,
        ping: Option<Ping>,
        facts: &Arc<Facts>,
        ended: impl FnOnce(&Arc<Facts>) + Send + 'static,
    ) -> Result<Self, h2::Error> {
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(limits::STREAMS_BEFORE_SETTINGS)
            .initial_window_size(limits::UNREAD_PER_STREAM)
            .initial_connection_window_size(limits::UNREAD_PER_CONNECTION)
            .max_header_list_size(limits::RESPONSE_HEAD)
            .max_send_buffer_size(limits::UNSENT_PER_STREAM)
            .handshake(stream)
            .await?;
        let (held, let_go) = farewell::held();
        let held = Arc::new(held);
        let mut alive = ping
            .zip(connection.ping_pong())
            .map(|(ping, pings)| Alive::new(ping, pings, &facts.traffic, &held));
        let driven = Arc::clone(facts);
        tokio::spawn(async move {
            let driver = poll_fn(move |cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                match &mut alive {
                    Some(alive) if polled.is_pending() => alive.poll(cx),
                    _ => polled.map(drop),
                }
            });
            let_go.bound(driver).await;
            ended(&driven);
        });
        Ok(Self { sender, held })
    }

    /// How many streams the peer allows at once, as far as is known.
    pub(super) fn most_streams(&self) -> usize {
        unless_torn(|| self.sender.current_max_send_streams()).unwrap_or(0)
    }

    /// Whether no stream can be opened on it any more: it has ended, or its peer says goodbye.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let polled = unless_torn(|| self.sender.poll_ready(&mut context));
        matches!(polled, None | Some(Poll::Ready(Err(_))))
    }

    /// Opens a stream for a request that was [made ready](make_ready), and begins to upload.
    ///
    /// # Errors
    ///
    /// With the payload, unless the request cannot be written at all. Nothing of it was written.
    pub(super) fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<(Sending, Option<Piping>), (h2::Error, Option<Outgoing>)> {
        let (head, payload) = request.into_parts();
        let request = Request::from_parts(head, ());
        let (response, stream) = match self.sender.send_request(request, payload.is_end_stream()) {
            Ok(opened) => opened,
            Err(error) => {
                let is_connections = error.is_io() || error.reason().is_some();
                return Err((error, is_connections.then_some(payload)));
            }
        };
        let piping = match payload.is_end_stream() {
            true => None,
            false => upload::begin(stream, payload),
        };
        Ok((Sending { response }, piping))
    }
}

/// What the codec says, unless something has panicked under its lock, which it will not take after
/// that: it wakes under it, and whose waker that is nobody knows. Whoever asks may do so while he is
/// dropped, and holds what is all requests' to the host.
fn unless_torn<T>(ask: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(ask)).ok()
}

/// Gives a request the form that h2 demands: without what is a connection's over HTTP/1.1 (RFC 9113
/// §8.2.2).
pub(super) fn make_ready(request: &mut Request<Outgoing>) {
    let headers = request.headers_mut();
    // Looked through first: there mostly is nothing to remove.
    if headers.keys().any(is_of_a_connection) {
        let te = headers
            .get(TE)
            .filter(|value| *value == "trailers")
            .cloned();
        for name in &OF_A_CONNECTION {
            headers.remove(name);
        }
        headers.extend(te.map(|te| (TE, te)));
    }
}

/// A request under way, until the head of its response has come. Dropped before, it resets its
/// stream, when its upload has ended too.
pub(super) struct Sending {
    response: ResponseFuture,
}

impl Future for Sending {
    type Output = Result<(Parts, Received), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (head, stream) = ready!(Pin::new(&mut self.response).poll(cx))?.into_parts();
        let body = Received::new(&head.headers, stream);
        Poll::Ready(Ok((head, body)))
    }
}

fn is_of_a_connection(name: &HeaderName) -> bool {
    OF_A_CONNECTION.contains(name)
}

static OF_A_CONNECTION: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[cfg(test)]
mod tests {
    use http::header::CONTENT_LENGTH;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_codec_that_panics_says_nothing() {
        assert_eq!(unless_torn(|| 1), Some(1));
        assert_eq!(unless_torn::<u8>(|| panic!("as the test has it")), None);
    }

    #[test]
    fn a_request_is_made_ready_for_h2() {
        let mut request = Request::new(Outgoing::whole(Bytes::from_static(b"x")));
        for (name, value) in [
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("content-length", "1"),
        ] {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        make_ready(&mut request);
        let left = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(1))]);
        assert_eq!(request.headers(), &left);
        request
            .headers_mut()
            .insert(TE, HeaderValue::from_static("trailers"));
        make_ready(&mut request);
        assert_eq!(request.headers().len(), 2);
    }
}
