//! One fetch: the loop that turns a request into a response.
#![expect(
    clippy::manual_async_fn,
    reason = "an async fn's future has room for each argument twice, and every fetch has these"
)]

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::body::{Body, Reader, Reading};
use crate::client::{Client, Shared, in_one_runtime};
use crate::connect::{Answer, Asker, Lease};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::headers::{check_headers, codings_are_ours};
use crate::limits::{self, Clock, Deadline};
use crate::payload::Payload;
use crate::redirect;
use crate::request::Asked;
use crate::response::{Hop, Response};
use crate::target::Target;
use crate::timings::{Phase, Timings};
use crate::tls::demand::Demand;
use crate::trace;
use attempt::Exchange;

mod attempt;

impl Client {
    /// Fetches by a client, or by the process-wide one.
    pub(crate) fn execute(
        client: Option<Self>,
        asked: Result<Box<Asked>>,
    ) -> impl Future<Output = Result<Response>> + Send {
        async move {
            let client = match &client {
                Some(client) => client,
                None => Self::process_wide()?,
            };
            let asked = asked?;
            let scope = match &asked.turn {
                Some(turn) => turn.scope.clone(),
                None => trace::fetch(&asked.method, asked.target.url()),
            };
            let outcome = {
                let following = pin!(follow(client.shared(), asked));
                let following = pin!(trace::within(&scope, following));
                in_one_runtime(following, true).await
            };
            match &outcome {
                Ok(response) => trace::returned(
                    &scope,
                    response.status(),
                    response.hops().len(),
                    response.timings(),
                ),
                Err(error) => trace::stopped(&scope, error),
            }
            outcome
        }
    }
}

/// Fetches, and follows redirects.
fn follow(
    shared: &Shared,
    asked: Box<Asked>,
) -> impl Future<Output = Result<Response>> + Send + use<'_> {
    async move {
        let mut fetch = Fetch::begin(shared, asked)?;
        loop {
            let exchange = fetch.hop(shared).await;
            let exchange = exchange.map_err(|error| fetch.of_all_hops(error))?;
            let turning = match fetch.answered(shared, exchange)? {
                ControlFlow::Break(response) => return Ok(response),
                ControlFlow::Continue(turning) => turning,
            };
            turning.await;
        }
    }
}

/// A fetch under way.
struct Fetch {
    asked: Box<Asked>,
    /// Who asked for the URL.
    asker: Asker,
    demand: Demand,
    deadline: Deadline,
    deadline_is_set: bool,
    /// Where the time of the present hop goes.
    timings: Timings,
    /// Boxed, as most fetches have none.
    earlier: Option<Box<Earlier>>,
}

/// The hops before the present one, and where their time went.
#[derive(Default)]
struct Earlier {
    hops: Vec<Hop>,
    timings: Timings,
}

/// The turn to the next hop, in a box of its own: most fetches make none.
type Turning<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Fetch {
    fn begin(shared: &Shared, mut asked: Box<Asked>) -> Result<Self> {
        let options = asked.options;
        let complete = |error: Error| error.with_url(asked.target.url());
        let demand = shared.demand(options.validate_certificate);
        let demand = demand.map_err(complete)?;
        let amended = shared.limits.amend(
            &asked.method,
            &mut asked.headers,
            asked.payload.known_length(),
        );
        let amended = amended.map_err(|exceeded| complete(exceeded.into()))?;
        if !amended.dropped.is_empty() {
            trace::headers_dropped(&amended.dropped);
        }
        if amended.drops_payload {
            asked.payload = Payload::empty();
        }
        check_headers(&asked.headers, asked.payload.known_length()).map_err(complete)?;
        let (budget, deadline_is_set) = shared.limits.budget(options.deadline);
        let mut timings = Timings::default();
        let deadline = match &asked.turn {
            Some(turn) => {
                if let Some(queued) = turn.queued {
                    timings.add(Phase::Queued, queued);
                }
                Deadline::from(turn.called, Clock::Total, budget)
            }
            None => Deadline::start(budget),
        };
        Ok(Self {
            asker: Asker::Caller,
            demand,
            deadline,
            deadline_is_set,
            timings,
            earlier: None,
            asked,
        })
    }

    /// One request and the head of its response. The timings of an error are the hop's.
    fn hop<'a>(
        &'a mut self,
        shared: &'a Shared,
    ) -> impl Future<Output = Result<Exchange>> + Send + use<'a> {
        async move {
            let admitted = self.asked.target.admit(&shared.limits);
            let origin = admitted.map_err(|error| error.with_timings(self.stopped()))?;
            let scope = trace::hop(
                &self.asked.method,
                self.asked.target.url(),
                origin.host(),
                origin.port(),
            );
            let endpoint = shared.connector.trust.endpoint(origin.clone(), self.demand);
            let outcome = {
                let exchanging = pin!(self.exchange(shared, &endpoint));
                trace::within(&scope, exchanging).await
            };
            match outcome {
                Ok(exchange) => {
                    let Exchange { answer, lease } = &exchange;
                    let facts = lease.facts();
                    trace::answered(
                        &scope,
                        answer.head.status,
                        answer.head.version,
                        facts.remote,
                        facts.verdict(),
                        || self.timings.with_moved(lease.moved()),
                    );
                    Ok(exchange)
                }
                Err(error) => {
                    let error = error.with_timings(self.stopped());
                    trace::stopped(&scope, &error);
                    Err(error)
                }
            }
        }
    }

    /// Where the time of a hop went that ends without a head.
    fn stopped(&self) -> Timings {
        self.timings.since(self.began())
    }

    /// What the head of a response means.
    fn answered<'a>(
        &'a mut self,
        shared: &Shared,
        exchange: Exchange,
    ) -> Result<ControlFlow<Response, Turning<'a>>> {
        let next = match self.asked.options.follow_redirects {
            None | Some(true) => self.next(shared, &exchange)?,
            Some(false) => None,
        };
        match next {
            Some(next) => Ok(ControlFlow::Continue(Box::pin(self.turn(exchange, next)))),
            None => self.respond(shared, exchange).map(ControlFlow::Break),
        }
    }

    /// Where the response sends us, if it does.
    fn next(&self, shared: &Shared, exchange: &Exchange) -> Result<Option<redirect::Next>> {
        let complete = |error: Error| self.of_response(error, &exchange.lease);
        let asked = redirect::Asked {
            url: self.asked.target.url(),
            method: &self.asked.method,
            replayable: self.asked.payload.is_repeatable(),
            limits: &shared.limits,
        };
        let next = redirect::decide(
            &asked,
            exchange.answer.head.status,
            &exchange.answer.head.headers,
        )
        .map_err(|refused| complete(refused.into()))?;
        let options = &self.asked.options;
        let most = options.max_redirects.unwrap_or(shared.limits.max_redirects);
        if next.is_some() && self.followed() >= most {
            return Err(complete(Error::new(
                ErrorKind::TooManyRedirects,
                match most {
                    0 => String::from("the server sent us on, and no redirect is followed"),
                    most => format!("there were more than {most} redirects"),
                },
            )));
        }
        Ok(next)
    }

    /// Turns to the next hop.
    async fn turn(&mut self, exchange: Exchange, next: redirect::Next) {
        let Exchange {
            answer: Answer { head, body, came },
            lease,
        } = exchange;
        trace::redirected(head.status, &next.url);
        let facts = Arc::clone(lease.facts());
        self.asker = facts.asker().after(self.asker);
        let within = self
            .deadline
            .sooner(Deadline::on(Clock::IdleRead, limits::DISCARD_WAIT));
        let target = std::mem::replace(&mut self.asked.target, Target::of(next.url.clone()));
        let reading = Reading::to_discard(within);
        let timings = Reader::new(body, lease, target.clone(), reading, self.timings, came)
            .discard(within)
            .await;
        let earlier = self.earlier.get_or_insert_default();
        earlier.timings = timings.after(&earlier.timings);
        earlier.hops.push(Hop {
            status: head.status,
            target,
            peer: facts.peer.clone(),
            timings,
        });
        self.timings = Timings::default();
        next.strip(&mut self.asked.headers);
        if !next.keep_payload {
            self.asked.payload = Payload::empty();
        }
        self.asked.method = next.method;
    }

    fn respond(&mut self, shared: &Shared, exchange: Exchange) -> Result<Response> {
        let Exchange {
            answer: Answer { head, body, came },
            lease,
        } = exchange;
        let mut headers = head.headers;
        let has_body = self.asked.method != Method::HEAD
            && head.status != StatusCode::NO_CONTENT
            && head.status != StatusCode::NOT_MODIFIED;
        // Part of a coded body cannot be decoded (RFC 9110 §14.2).
        let is_whole = head.status != StatusCode::PARTIAL_CONTENT;
        let decoder = match has_body && is_whole && codings_are_ours(&self.asked.headers) {
            true => Decoder::for_headers(&headers)
                .map_err(|error| self.of_response(error.into(), &lease))?,
            false => None,
        };
        if decoder.is_some() {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
        }
        let options = &self.asked.options;
        let reading = Reading {
            decoder,
            deadline: self.deadline,
            deadline_is_set: self.deadline_is_set,
            max_size: options
                .max_response_size
                .or(shared.limits.max_response_size),
            allow_truncated: options.allow_truncated,
        };
        let timings = self.after_all(self.timings);
        Ok(Response {
            status: head.status,
            version: head.version,
            headers,
            body: Body::new(Reader::new(
                body,
                lease,
                self.asked.target.clone(),
                reading,
                timings,
                came,
            )),
            hops: self
                .earlier
                .take()
                .map_or_else(Vec::new, |earlier| earlier.hops),
        })
    }

    /// When the present hop began: where the one before has ended, so that nothing is lost between
    /// them.
    fn began(&self) -> Instant {
        let earlier = self.earlier.as_ref();
        self.deadline.starts() + earlier.map_or(Duration::ZERO, |earlier| earlier.timings.total())
    }

    /// How many redirects were followed.
    fn followed(&self) -> usize {
        self.earlier
            .as_ref()
            .map_or(0, |earlier| earlier.hops.len())
    }

    /// Where the time went, with that of the hops before.
    fn after_all(&self, timings: Timings) -> Timings {
        match &self.earlier {
            Some(earlier) => timings.after(&earlier.timings),
            None => timings,
        }
    }

    /// What is told of a failure, after the hops before it.
    fn of_all_hops(&self, error: Error) -> Error {
        let timings = self.after_all(*error.timings());
        error
            .with_url(self.asked.target.url())
            .with_timings(timings)
    }

    /// What is told of a response that is no good.
    fn of_response(&self, error: Error, lease: &Lease) -> Error {
        let timings = self.timings.with_moved(lease.moved());
        error
            .with_url(self.asked.target.url())
            .with_verdict(lease.facts().shared_verdict())
            .with_timings(self.after_all(timings))
            .sent(true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use crate::trace::Scope;

    use crate::request::Turn;
    use crate::timings::tests::READ;
    use crate::{Client, ErrorKind};

    /// The deadline of a fetch that had to queue began when it was called, and its time began then.
    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_have_begun_before_the_fetch() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::builder().allow_http(true).build().unwrap();
        for (waited, left) in [(0, 5), (3, 2), (5, 0), (6, 0)] {
            let called = Instant::now();
            tokio::time::advance(Duration::from_secs(waited)).await;
            let begun = Instant::now();
            let fetch = client.fetch(&url).deadline(Duration::from_secs(5));
            let queued = (waited > 0).then_some(Duration::from_secs(waited));
            let turn = Turn {
                called,
                queued,
                scope: Scope::from(tracing::Span::none()),
            };
            let error = fetch.turn(turn).await.unwrap_err();
            assert_eq!(error.timings().queued(), queued);
            assert_eq!(error.kind(), ErrorKind::Deadline);
            assert!(error.to_string().starts_with("the deadline of 5s ended"));
            assert_eq!(begun.elapsed().as_secs(), left, "{waited}");
            assert_eq!(error.timings().total().as_secs(), waited + left);
        }
    }

    /// One read begins the wait for the head, which the deadline is looked at by too, and one ends
    /// it.
    #[tokio::test]
    async fn on_an_open_connection_timings_read_the_clock_twice() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            for _ in 0..2 {
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                request.clear();
                let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(reply).await.unwrap();
            }
        });
        let client = Client::builder().allow_http(true).build().unwrap();
        for reused in [false, true] {
            READ.set(0);
            let response = client.fetch(&url).await.unwrap();
            assert_eq!(response.timings().connection_reused(), reused);
            assert_eq!(response.timings().connect().is_some(), !reused);
            assert_eq!(READ.get(), 2);
        }
        server.await.unwrap();
    }
}
