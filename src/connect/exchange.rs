//! One request on one connection: the head of its response, or why there is none.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use http::response::Parts;
use http::{Request, Version};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::failure::{explain, find, is_going_away, is_refused, is_untimely, malformed};
use super::framing::{self, Doubt};
use super::lease::Lease;
use super::outgoing::Outgoing;
use super::replay::Circumstances;
use super::sender::Sender;
use super::tally::Tally;
use crate::error::{self, Error, ErrorKind};
use crate::limits::{self, Deadline};
use crate::timings::{self, Phase, Timings};
use crate::tls::demand::Demand;

/// A response whose head has come, and the connection that its body is still on.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) lease: Lease,
    /// When the head had come.
    pub(crate) came: Instant,
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
    /// Nothing is written unless the connection meets the demand. The timings get the first byte's
    /// and, if there is no response, the bytes that were moved; those of a response are its body's
    /// to tell.
    pub(crate) async fn send(
        mut self,
        request: Request<Outgoing>,
        https: bool,
        demand: Demand,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<Exchange, Failed> {
        self.open.clean = false;
        // On an open connection these two are all the clock reads that timings cost. The first one
        // tells the deadline, too, whether it is over.
        let begun = timings::now();
        let answered = match self.check(https, demand, deadline, begun) {
            Ok(()) => self.head(request, deadline).await,
            Err(error) => Err(self.unsent(error)),
        };
        let came = timings::now();
        timings.add(Phase::FirstByte, came.duration_since(begun));
        match answered {
            Ok((head, body)) => Ok(Exchange {
                head,
                body,
                lease: self,
                came,
            }),
            Err(failed) => {
                // What was handed back was not sent.
                if failed.request.is_none() {
                    *timings = timings.with_moved(self.moved());
                }
                Err(failed)
            }
        }
    }

    /// Whether a request may be written.
    fn check(
        &self,
        https: bool,
        demand: Demand,
        deadline: Deadline,
        now: Instant,
    ) -> error::Result<()> {
        demand.admits(https, self.open.facts.party())?;
        match deadline.is_over_at(now) {
            true => Err(deadline.elapsed(Phase::FirstByte).into()),
            false => Ok(()),
        }
    }

    fn unsent(&self, error: Error) -> Failed {
        Failed {
            error: error.with_verdict(self.open.facts.verdict.clone()),
            request: None,
            how: Circumstances::default(),
        }
    }

    async fn head(
        &mut self,
        mut request: Request<Outgoing>,
        deadline: Deadline,
    ) -> Result<(Parts, Incoming), Failed> {
        let (read, written) = (
            self.open.facts.traffic.read(),
            self.open.facts.traffic.written(),
        );
        let Some(sender) = self.open.sender.take() else {
            let error = Error::new(ErrorKind::ConnectionClosed, "the connection is spent");
            return Err(self.unsent(error));
        };
        self.tally = match &sender {
            Sender::Http1(_) => Tally::http1(&self.open.facts.traffic),
            Sender::Http2(_) => Tally::http2(&request),
        };
        self.hold(&sender, request.body_mut());
        let interim = Interim::watch(&mut request);
        if self.open.reused && !self.open.facts.is_http2 {
            self.open.facts.traffic.begin();
        }
        let sending = async {
            match sender {
                Sender::Http1(mut connection) => {
                    let sending = connection.sender.try_send_request(request);
                    self.open.sender = Some(Sender::Http1(connection));
                    sending.await
                }
                Sender::Http2(mut connection) => {
                    let sending = connection.sender.try_send_request(request);
                    drop(connection);
                    sending.await
                }
            }
        };
        let outcome = deadline.run(Phase::FirstByte, interim.guard(sending)).await;
        let facts = &self.open.facts;
        let failed = |error: Error| Failed {
            error: error.sent(true).with_verdict(facts.verdict.clone()),
            request: None,
            how: Circumstances {
                reused: self.open.reused,
                answered: true,
                ..Circumstances::default()
            },
        };
        let response = match outcome {
            // hyper has the request and may be writing it at this moment.
            Err(elapsed) => {
                // A peer that is gone without a word takes every request of the next minutes.
                if self.open.facts.traffic.read() == read {
                    self.open.retire();
                }
                return Err(failed(elapsed.into()));
            }
            Ok(Err(doubt)) => return Err(failed(malformed(doubt).with_phase(Phase::FirstByte))),
            Ok(Ok(Err(mut refused))) => {
                let request = refused.take_message();
                let error = refused.into_error();
                // An error of hyper's is the end of an HTTP/1.1 connection: what was not written
                // by now never will be. On h2 other streams are counted too.
                let sent = facts.is_http2 || facts.traffic.written() > written;
                let going_away = is_going_away(&error);
                let how = Circumstances {
                    handed_back: request.is_some(),
                    // h2 fails a stream by GOAWAY only above the last one that the peer will
                    // process. But hyper fails one by it too that is on its way to the peer when
                    // the GOAWAY comes, whichever the last one is; it has not come to the payload
                    // then.
                    unprocessed: is_refused(&error)
                        || is_untimely(&error)
                        || going_away && self.upload_has_begun(),
                    going_away,
                    reused: self.open.reused,
                    answered: facts.traffic.read() > read,
                };
                // One stream that was reset says nothing of the others.
                if !find::<h2::Error>(&error).is_some_and(h2::Error::is_reset) {
                    self.open.retire();
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
        self.tally.head(&head);
        // hyper would answer in kind, and HTTP/1.0 cannot carry a payload of unknown length: it
        // would write the next request without.
        self.is_last = head.version == Version::HTTP_10;
        match framing::check(&head) {
            Ok(()) => Ok((head, body)),
            Err(doubt) => Err(failed(malformed(doubt).with_phase(Phase::FirstByte))),
        }
    }
}

/// Counts interim responses, of which hyper tells on HTTP/1.1. On h2 the stream below counts them.
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
