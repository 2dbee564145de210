//! One request on one connection: the head of its response, or why there is none.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use http::Request;
use http::response::Parts;
use hyper::body::Incoming;
use tokio::sync::Notify;

use super::framing::{self, Doubt};
use super::outgoing::Outgoing;
use super::pool::{Facts, Lease, Sender};
use super::replay::Circumstances;
use crate::error::{Error, ErrorKind};
use crate::limits::{self, Deadline};
use crate::timings::Phase;
use crate::tls::handshake::rustls_error;
use crate::tls::policy::Demand;

/// A response whose head has come, and the connection that its body is still on.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) lease: Lease,
}

/// A request that had no response.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The request itself, if hyper handed it back.
    pub(crate) request: Option<Request<Outgoing>>,
    pub(crate) how: Circumstances,
}

impl Lease {
    /// Sends a request and waits for the head of its response.
    ///
    /// Nothing is written unless the connection meets the demand.
    pub(crate) async fn send(
        mut self,
        mut request: Request<Outgoing>,
        https: bool,
        demand: Demand,
        deadline: Deadline,
    ) -> Result<Exchange, Failed> {
        let refuse = |error: Error| Failed {
            error: error.with_verdict(self.facts.verdict.clone()),
            request: None,
            how: Circumstances::default(),
        };
        if let Err(inadmissible) = demand.admits(https, self.facts.peer()) {
            return Err(refuse(inadmissible.into()));
        }
        if deadline.is_over() {
            return Err(refuse(deadline.elapsed(Phase::FirstByte).into()));
        }
        let (read, written) = (self.facts.traffic.read(), self.facts.traffic.written());
        let interim = Interim::watch(&mut request);
        self.hold(request.body_mut());
        let sending = async {
            match &mut self.sender {
                Sender::Http1(connection) => connection.sender.try_send_request(request).await,
                Sender::Http2(sender) => sender.try_send_request(request).await,
            }
        };
        let outcome = deadline.run(Phase::FirstByte, interim.guard(sending)).await;
        let facts = &self.facts;
        let failed = |error: Error| Failed {
            error: error.sent(true).with_verdict(facts.verdict.clone()),
            request: None,
            how: Circumstances {
                reused: self.reused,
                answered: true,
                ..Circumstances::default()
            },
        };
        let response = match outcome {
            // hyper has the request and may be writing it at this moment.
            Err(elapsed) => return Err(failed(elapsed.into())),
            Ok(Err(doubt)) => return Err(failed(malformed(doubt))),
            Ok(Ok(Err(mut refused))) => {
                let request = refused.take_message();
                let error = refused.into_error();
                // An error of hyper's is the end of an HTTP/1.1 connection: what was not written
                // by now never will be. On h2 other streams are counted too.
                let sent = match self.sender {
                    Sender::Http1(_) => facts.traffic.written() > written,
                    Sender::Http2(_) => true,
                };
                let how = Circumstances {
                    handed_back: request.is_some(),
                    unprocessed: is_unprocessed(&error),
                    reused: self.reused,
                    answered: facts.traffic.read() > read,
                };
                // One stream that was reset says nothing of the others.
                if !find::<h2::Error>(&error).is_some_and(h2::Error::is_reset) {
                    self.retire();
                }
                let payload_failed = self.payload_failure().cloned();
                return Err(Failed {
                    error: payload_failed
                        .unwrap_or_else(|| explain(error, facts))
                        .with_phase(Phase::FirstByte)
                        .sent(sent && request.is_none())
                        .with_verdict(facts.verdict.clone()),
                    request,
                    how,
                });
            }
            Ok(Ok(Ok(response))) => response,
        };
        let (head, body) = response.into_parts();
        match framing::check(&head) {
            Ok(()) => Ok(Exchange {
                head,
                body,
                lease: self,
            }),
            Err(doubt) => Err(failed(malformed(doubt))),
        }
    }
}

/// Counts interim responses, of which hyper tells on HTTP/1.1. On h2 it passes over them without
/// keeping any, and the deadline bounds them.
struct Interim(Arc<(AtomicUsize, Notify)>);

impl Interim {
    fn watch(request: &mut Request<Outgoing>) -> Self {
        let seen: Arc<(AtomicUsize, Notify)> = Arc::default();
        let counted = Arc::clone(&seen);
        hyper::ext::on_informational(request, move |_| {
            if counted.0.fetch_add(1, Ordering::Relaxed) == limits::INTERIM_RESPONSES {
                counted.1.notify_one();
            }
        });
        Self(seen)
    }

    /// The outcome of `sending`, unless there are too many interim responses before it.
    async fn guard<F: Future>(&self, sending: F) -> Result<F::Output, Doubt> {
        let mut sending = pin!(sending);
        let mut too_many = pin!(self.0.1.notified());
        poll_fn(|cx| {
            if too_many.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Doubt::EndlessInterim));
            }
            sending.as_mut().poll(cx).map(Ok)
        })
        .await
    }
}

fn malformed(doubt: Doubt) -> Error {
    let kind = match doubt {
        Doubt::TooManyFields => ErrorKind::ResponseTooLarge,
        _ => ErrorKind::MalformedReply,
    };
    Error::new(kind, doubt.to_string()).with_phase(Phase::FirstByte)
}

/// hyper's error in our terms, for a response's head or its body.
pub(crate) fn explain(error: hyper::Error, facts: &Facts) -> Error {
    if let Some(ours) = find::<Error>(&error) {
        return ours.clone();
    }
    if let Some((sentence, hint)) =
        end(&error, facts).and_then(|how| facts.credential.suspected(&how))
    {
        return Error::new(ErrorKind::Tls, sentence).with_hint(Some(hint));
    }
    if is_too_large(&error) {
        let (limit, fields) = (limits::RESPONSE_HEAD >> 10, limits::RESPONSE_FIELDS);
        return Error::new(
            ErrorKind::ResponseTooLarge,
            format!(
                "the response head is larger than {limit} KiB or has more than {fields} fields"
            ),
        );
    }
    if is_malformed(&error, facts) {
        return Error::new(ErrorKind::MalformedReply, "the reply is not proper HTTP")
            .with_source(Cause(error));
    }
    if error.is_user() && !is_driver_gone(&error) {
        return Error::new(ErrorKind::InvalidRequest, "the request cannot be written")
            .with_source(Cause(error));
    }
    Error::new(
        ErrorKind::ConnectionClosed,
        "the connection was closed before the response was complete",
    )
    .with_source(Cause(error))
}

/// hyper's error, told by what is below it: its own sentence names a kind of error, as ours does.
#[derive(Debug)]
pub(super) struct Cause(pub(super) hyper::Error);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(below) = self.0.source() else {
            return write!(f, "{}", self.0);
        };
        match below
            .downcast_ref::<h2::Error>()
            .map(|h2| (h2.is_go_away(), h2.reason()))
        {
            // It may carry 16 KiB of the server's words, which h2 repeats.
            Some((true, Some(reason))) => write!(f, "GOAWAY: {reason}"),
            _ => write!(f, "{below}"),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

/// How the peer ended the connection, if that may be its answer to our certificate. On TLS 1.3 it
/// says only after the request has gone that it wanted one, or another one; and where it does not
/// wait for us to read that, its alert is lost to a reset. It has sent nothing else by then.
fn end(error: &hyper::Error, facts: &Facts) -> Option<String> {
    // h2 keeps the text of an error and drops its type.
    let is_alert = |text: &String| text.starts_with("received fatal alert");
    let alert = match rustls_error(error) {
        Some(tls) => Some(tls.to_string()),
        None => find::<io::Error>(error).map(io::Error::to_string),
    };
    alert.filter(is_alert).or_else(|| {
        (facts.traffic.read() == 0 && !error.is_user()).then(|| String::from("without an answer"))
    })
}

fn is_malformed(error: &hyper::Error, facts: &Facts) -> bool {
    if error.is_parse() {
        return true;
    }
    if let Some(h2) = find::<h2::Error>(error) {
        // What our own codec found, not what the peer said.
        return h2.is_library();
    }
    // A chunk whose size is no number, and the like; over h2 it is the stream below that failed.
    !facts.is_http2
        && rustls_error(error).is_none()
        && find::<io::Error>(error).is_some_and(|io| {
            matches!(
                io.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
        })
}

/// hyper tells this kind apart by method only where it is built as a server too.
fn is_too_large(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string() == "message head is too large"
}

/// The task that drove the connection ended before its time: its runtime was shut down, or a
/// payload's stream panicked in it. hyper counts that among the caller's mistakes.
fn is_driver_gone(error: &hyper::Error) -> bool {
    error.to_string() == "dispatch task is gone"
}

/// RFC 9113 section 8.7: the two ways in which h2 says that a request was not acted on.
fn is_unprocessed(error: &hyper::Error) -> bool {
    find::<h2::Error>(error).is_some_and(|h2| {
        h2.is_remote()
            && match h2.reason() {
                Some(h2::Reason::REFUSED_STREAM) => true,
                // h2 fails a stream with the connection's GOAWAY only if it is above the last one
                // that the peer will process.
                Some(h2::Reason::NO_ERROR) => h2.is_go_away(),
                _ => false,
            }
    })
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
