//! The request of one hop, sent a second time if the first cannot have been acted on.

use std::future::Future;

use http::{Method, Request};
use http_body::Body as _;

use super::Fetch;
use crate::client::Shared;
use crate::connect::http1::{Asked, says_close};
use crate::connect::outgoing::Outgoing;
use crate::connect::{Answer, Ask, Checkout, Choice, Endpoint, Lease, Pool, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::trace;

/// A response whose head has come, and the connection that its body is still on.
pub(super) struct Exchange {
    pub(super) answer: Answer,
    pub(super) lease: Lease,
}

/// A request that is to be written.
struct Asking<'a> {
    head: Head<'a>,
    payload: Outgoing,
}

impl Ask for Asking<'_> {
    fn over_http1(self, text: &mut Vec<u8>) -> Result<Asked> {
        let Self { head, payload } = self;
        head.over_http1(payload.size_hint().exact(), text)?;
        Ok(Asked {
            payload,
            is_head: head.method == Method::HEAD,
            is_last: says_close(head.headers),
        })
    }

    fn over_http2(self) -> Result<Request<Outgoing>> {
        self.head.over_http2(self.payload)
    }
}

impl Fetch {
    /// Sends the request, a second time if the first cannot have been acted on.
    pub(super) fn exchange<'a>(
        &'a mut self,
        shared: &'a Shared,
        endpoint: &'a Endpoint,
    ) -> impl Future<Output = Result<Exchange>> + Send + use<'a> {
        async move {
            let mut outgoing = None;
            let mut choice = Choice::Any;
            let mut was_sent = false;
            loop {
                let leased = {
                    let wanted = self.wanted(endpoint);
                    match shared.pool.checkout(&shared.connector, &wanted, choice) {
                        Ok(Checkout::Ready(lease)) => Ok(lease),
                        // Whoever has to wait can wait for a box too.
                        Ok(Checkout::Waits(way)) => {
                            let timings = &mut self.timings;
                            let connector = &shared.connector;
                            Box::pin(Pool::wait(way, connector, wanted, choice, timings)).await
                        }
                        Err(error) => Err(error),
                    }
                };
                let mut lease = leased.map_err(|error| error.sent(was_sent))?;
                self.timings
                    .set_connection(lease.is_reused(), lease.facts().tls_resumed());
                let Some(payload) = outgoing.take().or_else(|| self.outgoing(shared)) else {
                    return Err(Error::new(
                        ErrorKind::Payload,
                        "the payload was a stream and is spent",
                    )
                    .sent(true));
                };
                let head = Head {
                    method: &self.asked.method,
                    target: &self.asked.target,
                    headers: &self.asked.headers,
                    user_agent: &shared.user_agent,
                };
                let asking = Asking { head, payload };
                let sending = lease.send(endpoint, &self.deadline, &mut self.timings, asking);
                let failed = match sending.await {
                    Ok(answer) => {
                        let spent = answer.came.duration_since(self.began());
                        self.timings.set_total(spent);
                        return Ok(Exchange { answer, lease });
                    }
                    Err(failed) => failed,
                };
                let is_repeatable = self.asked.payload.is_repeatable();
                let is_idempotent = self.asked.method.is_idempotent();
                if choice == Choice::NotIdle
                    || !failed.how.allow_replay(is_idempotent, is_repeatable)
                {
                    return Err(failed.error.sent(was_sent));
                }
                trace::replayed(&failed.error);
                shared.pool.count_replay();
                choice = Choice::NotIdle;
                was_sent = failed.error.request_was_sent();
                outgoing = failed.payload;
            }
        }
    }

    fn wanted<'a>(&self, target: &'a Endpoint) -> Wanted<'a> {
        Wanted {
            target,
            asker: self.asker,
            deadline: self.deadline,
        }
    }

    /// The payload, unless it was a stream and is spent.
    fn outgoing(&mut self, shared: &Shared) -> Option<Outgoing> {
        self.asked.payload.outgoing(shared.limits.max_payload_size)
    }
}
