//! One fetch: the loop that turns a request into a response.

use std::pin::pin;
use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, RANGE,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use tokio::time::Instant;
use tracing::Instrument;
use url::Position;

use crate::body::{Body, Reading};
use crate::client::{Client, Shared, in_one_runtime};
use crate::connect::outgoing::Outgoing;
use crate::connect::{Choice, Exchange, Lease, Origin};
use crate::decode::{self, Decoder};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Clock, Deadline};
use crate::payload::Payload;
use crate::redirect;
use crate::request::Asked;
use crate::response::{Hop, Response};
use crate::timings::{Phase, Timings};
use crate::tls::policy::{Demand, Said};
use crate::trace;

impl Client {
    pub(crate) async fn execute(self, asked: Asked) -> Result<Response> {
        let span = trace::fetch(&asked.method, &asked.url);
        let following = pin!(self.follow(asked).instrument(span.clone()));
        let outcome = in_one_runtime(following).await;
        match &outcome {
            Ok(response) => trace::returned(&span, response.status(), response.hops().len()),
            Err(error) => trace::stopped(&span, error),
        }
        outcome
    }

    /// Fetches, and follows redirects.
    async fn follow(self, asked: Asked) -> Result<Response> {
        let shared = self.shared();
        let mut fetch = Fetch::begin(shared, asked)?;
        let mut hops = Vec::new();
        loop {
            let hop = fetch.hop(shared).await;
            let exchange =
                hop.map_err(|error| error.with_url(&fetch.asked.url).with_timings(fetch.timings))?;
            let next = match fetch.follows {
                true => fetch.next(&exchange, hops.len())?,
                false => None,
            };
            let Some(next) = next else {
                return fetch.respond(exchange, hops);
            };
            let status = exchange.head.status;
            trace::redirected(status, &next.url);
            hops.push(Hop {
                status,
                url: fetch.asked.url.clone(),
                verdict: exchange.lease.facts().verdict.clone(),
            });
            fetch.turn(exchange, next).await;
        }
    }
}

/// A fetch under way.
struct Fetch {
    asked: Asked,
    demand: Demand,
    deadline: Deadline,
    deadline_is_set: bool,
    follows: bool,
    max_redirects: usize,
    max_response_size: Option<u64>,
    allow_http: bool,
    /// We asked for codings of our own accord, so we undo them.
    decodes: bool,
    timings: Timings,
}

impl Fetch {
    fn begin(shared: &Shared, mut asked: Asked) -> Result<Self> {
        let options = asked.options;
        let complete = |error: Error| error.with_url(&asked.url);
        let demand = match options.validate_certificate {
            None => shared.demand,
            Some(validate) => {
                let said = match validate {
                    true => Said::Verify,
                    false => Said::DoNotVerify,
                };
                let demand = shared.https_verify.demand(said);
                demand.map_err(|required| complete(required.into()))?
            }
        };
        check_headers(&asked.headers, asked.payload.known_length()).map_err(complete)?;
        let decodes = add_headers(&mut asked.headers, &shared.user_agent);
        let deadline = options.deadline.or(shared.deadline);
        Ok(Self {
            demand,
            deadline: Deadline::start(deadline.unwrap_or(limits::DEADLINE)),
            deadline_is_set: deadline.is_some(),
            follows: options.follow_redirects.unwrap_or(true),
            max_redirects: options.max_redirects.unwrap_or(shared.max_redirects),
            max_response_size: options.max_response_size.or(shared.max_response_size),
            allow_http: shared.allow_http,
            decodes,
            timings: Timings::default(),
            asked,
        })
    }

    /// One request and the head of its response.
    async fn hop(&mut self, shared: &Shared) -> Result<Exchange> {
        let origin = self.admit()?;
        let span = trace::hop(
            &self.asked.method,
            &self.asked.url,
            origin.host(),
            origin.port(),
        );
        let outcome = self
            .exchange(shared, &origin)
            .instrument(span.clone())
            .await;
        match &outcome {
            Ok(exchange) => {
                let facts = exchange.lease.facts();
                trace::answered(
                    &span,
                    exchange.head.status,
                    exchange.head.version,
                    facts.remote,
                    facts.verdict.as_deref(),
                );
            }
            Err(error) => trace::stopped(&span, error),
        }
        outcome
    }

    /// The origin of the URL, if it may be fetched at all.
    fn admit(&self) -> Result<Origin> {
        let url = &self.asked.url;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                "the URL holds a user name or a password, which end up in logs",
            )
            .with_hint(Some("send them by RequestBuilder::basic_auth")));
        }
        if url.scheme() == "http" && !self.allow_http {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                "the URL's scheme is http, which proves nobody's identity",
            )
            .with_hint(Some(
                "use https, or allow it by ClientBuilder::allow_http(true)",
            )));
        }
        Origin::of(url)
    }

    /// Sends the request, a second time if the first cannot have been acted on.
    async fn exchange(&mut self, shared: &Shared, origin: &Origin) -> Result<Exchange> {
        let mut outgoing = None;
        let mut choice = Choice::Any;
        let mut was_sent = false;
        loop {
            let lease = shared
                .pool
                .checkout(
                    &shared.connector,
                    origin,
                    self.demand,
                    choice,
                    self.deadline,
                    &mut self.timings,
                )
                .await
                .map_err(|error| error.sent(was_sent))?;
            let Some(body) = outgoing.take().or_else(|| self.asked.payload.outgoing()) else {
                return Err(Error::new(
                    ErrorKind::Payload,
                    "the payload was a stream and is spent",
                )
                .sent(true));
            };
            let request = self.request(&lease, body)?;
            let started = Instant::now();
            let sent = lease
                .send(request, origin.is_https(), self.demand, self.deadline)
                .await;
            self.timings.add(Phase::FirstByte, started.elapsed());
            let failed = match sent {
                Ok(exchange) => return Ok(exchange),
                Err(failed) => failed,
            };
            let repeatable = self.asked.payload.is_repeatable();
            if choice == Choice::NotIdle
                || !failed
                    .how
                    .allow_replay(self.asked.method.is_idempotent(), repeatable)
            {
                return Err(failed.error.sent(was_sent));
            }
            trace::replayed(&failed.error);
            choice = Choice::NotIdle;
            was_sent = failed.error.request_was_sent();
            outgoing = failed.request.map(Request::into_body);
        }
    }

    /// The request as it is written on this connection.
    fn request(&self, lease: &Lease, body: Outgoing) -> Result<Request<Outgoing>> {
        let url = &self.asked.url;
        let mut headers = self.asked.headers.clone();
        let target = if lease.is_http2() {
            // RFC 9113 §8.3.1: :authority takes the place of Host.
            let host = headers.remove(HOST);
            let authority = match &host {
                Some(host) => host.to_str().map_err(|_| unwritable())?,
                None => &url[Position::BeforeHost..Position::AfterPort],
            };
            format!(
                "{}://{authority}{}",
                url.scheme(),
                &url[Position::BeforePath..Position::AfterQuery]
            )
        } else {
            if !headers.contains_key(HOST) {
                let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])
                    .map_err(|_| unwritable())?;
                headers.insert(HOST, host);
            }
            url[Position::BeforePath..Position::AfterQuery].to_owned()
        };
        match body.size_hint().exact() {
            // RFC 9110 §8.6: where a payload is expected, its absence is said. hyper leaves
            // it to us over HTTP/1.1.
            Some(0) if EXPECT_PAYLOAD.contains(&self.asked.method) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            // Unless asked so, hyper drops the payload of a GET.
            None if !lease.is_http2() => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            _ => {}
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.asked.method.clone();
        *request.uri_mut() = Uri::try_from(target).map_err(|_| unwritable())?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Where the response sends us, if it does.
    fn next(&self, exchange: &Exchange, followed: usize) -> Result<Option<redirect::Next>> {
        let complete = |error: Error| {
            error
                .with_url(&self.asked.url)
                .with_verdict(exchange.lease.facts().verdict.clone())
                .with_timings(self.timings)
                .sent(true)
        };
        let asked = redirect::Asked {
            url: &self.asked.url,
            method: &self.asked.method,
            replayable: self.asked.payload.is_repeatable(),
            allow_http: self.allow_http,
        };
        let next = redirect::decide(&asked, exchange.head.status, &exchange.head.headers)
            .map_err(|refused| complete(refused.into()))?;
        if next.is_some() && followed >= self.max_redirects {
            return Err(complete(Error::new(
                ErrorKind::TooManyRedirects,
                match self.max_redirects {
                    0 => String::from("the server sent us on, and no redirect is followed"),
                    most => format!("there were more than {most} redirects"),
                },
            )));
        }
        Ok(next)
    }

    /// Turns to the next hop.
    async fn turn(&mut self, exchange: Exchange, next: redirect::Next) {
        let url = self.asked.url.clone();
        let within = self
            .deadline
            .sooner(Deadline::on(Clock::IdleRead, limits::DISCARD_WAIT));
        let reading = Reading::to_discard(within);
        Body::new(exchange.body, exchange.lease, url, reading)
            .discard(within)
            .await;
        next.strip(&mut self.asked.headers);
        if !next.keep_payload {
            self.asked.payload = Payload::empty();
        }
        self.asked.method = next.method;
        self.asked.url = next.url;
    }

    fn respond(self, exchange: Exchange, hops: Vec<Hop>) -> Result<Response> {
        let Exchange { head, body, lease } = exchange;
        let facts = Arc::clone(lease.facts());
        let mut headers = head.headers;
        let has_body = self.asked.method != Method::HEAD
            && head.status != StatusCode::NO_CONTENT
            && head.status != StatusCode::NOT_MODIFIED;
        // Part of a coded body cannot be decoded (RFC 9110 §14.2).
        let is_whole = head.status != StatusCode::PARTIAL_CONTENT;
        let decoder = match self.decodes && has_body && is_whole {
            true => Decoder::for_headers(&headers).map_err(|error| {
                Error::from(error)
                    .with_url(&self.asked.url)
                    .with_verdict(facts.verdict.clone())
                    .with_timings(self.timings)
                    .sent(true)
            })?,
            false => None,
        };
        if decoder.is_some() {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
        }
        let reading = Reading {
            decoder,
            deadline: self.deadline,
            deadline_is_set: self.deadline_is_set,
            max_size: self.max_response_size,
            allow_truncated: self.asked.options.allow_truncated,
        };
        Ok(Response {
            status: head.status,
            version: head.version,
            headers,
            body: Body::new(body, lease, self.asked.url.clone(), reading),
            url: self.asked.url,
            hops,
            facts,
            timings: self.timings,
        })
    }
}

/// Adds what every request has and this one lacks. Whether the codings asked for are ours.
fn add_headers(headers: &mut HeaderMap, user_agent: &HeaderValue) -> bool {
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    if !headers.contains_key(ACCEPT) {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    // Who asks for codings gets the bytes as they are on the wire, and part of a coded body is of
    // no use to anybody.
    if headers.contains_key(ACCEPT_ENCODING) || headers.contains_key(RANGE) {
        return false;
    }
    if let Some(codings) = decode::accept_encoding() {
        headers.insert(ACCEPT_ENCODING, codings.clone());
    }
    true
}

/// Refuses headers that say where the request ends otherwise than its payload does, or that ask
/// for a protocol that we would not understand (RFC 9112 §6, RFC 9110 §7.8).
fn check_headers(headers: &HeaderMap, length: Option<u64>) -> Result<()> {
    let invalid = |why: &'static str| Err(Error::new(ErrorKind::InvalidRequest, why));
    if headers.contains_key(TRANSFER_ENCODING) {
        return invalid("Transfer-Encoding is ours to set: it follows from the payload");
    }
    if headers.contains_key(UPGRADE) {
        return invalid("Upgrade asks for a protocol that is not HTTP");
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return invalid("there is more than one Host");
    }
    // Over h2 it becomes part of the target, so a slash or a question mark would change the path.
    let is_authority = |host: &HeaderValue| {
        let authority = Authority::try_from(host.as_bytes());
        authority.is_ok_and(|authority| !authority.as_str().contains('@'))
    };
    if headers.get(HOST).is_some_and(|host| !is_authority(host)) {
        return invalid("Host is not a host with or without a port");
    }
    // RFC 9110 §8.6: digits alone. Rust's own parser takes a sign too.
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().ok().filter(digits);
        let said = text.and_then(|text| text.parse().ok());
        if said.is_none() || said != length {
            return invalid("Content-Length is not the payload's length");
        }
    }
    if headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return invalid("there is more than one Content-Length");
    }
    for value in headers.get_all(CONNECTION) {
        if !value.as_bytes().eq_ignore_ascii_case(b"close")
            && !value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
        {
            return invalid("Connection may be close or keep-alive");
        }
    }
    Ok(())
}

fn unwritable() -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "the URL or the Host header cannot be written in a request",
    )
}

/// Methods whose meaning is in their payload (RFC 9110 §9.3, RFC 5789).
const EXPECT_PAYLOAD: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_contradict_the_payload_are_refused() {
        type Fields = &'static [(&'static str, &'static str)];
        let rows: [(Fields, Option<u64>, bool); 18] = [
            (&[], Some(0), true),
            (&[("content-length", "3")], Some(3), true),
            (&[("content-length", "3")], Some(4), false),
            (&[("content-length", "3")], None, false),
            (
                &[("content-length", "3"), ("content-length", "3")],
                Some(3),
                false,
            ),
            (&[("content-length", "+3")], Some(3), false),
            (&[("transfer-encoding", "chunked")], None, false),
            (&[("upgrade", "websocket")], Some(0), false),
            (&[("connection", "close")], Some(0), true),
            (&[("connection", "Keep-Alive")], Some(0), true),
            (&[("connection", "upgrade")], Some(0), false),
            (&[("host", "a")], Some(0), true),
            (&[("host", "[::1]:8443")], Some(0), true),
            (&[("host", "a"), ("host", "b")], Some(0), false),
            (&[("host", "a/b")], Some(0), false),
            (&[("host", "user@a")], Some(0), false),
            (&[("host", "")], Some(0), false),
            (&[("expect", "100-continue")], Some(3), true),
        ];
        for (fields, length, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let checked = check_headers(&headers, length);
            assert_eq!(checked.is_ok(), expected, "{fields:?} {length:?}");
        }
    }

    #[test]
    fn codings_are_ours_only_if_the_caller_said_nothing() {
        for (name, value, ours) in [
            ("x", "y", true),
            ("accept-encoding", "gzip", false),
            ("range", "bytes=0-1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let agent = HeaderValue::from_static("test");
            assert_eq!(add_headers(&mut headers, &agent), ours, "{name}");
            let asks = headers.contains_key(ACCEPT_ENCODING);
            assert_eq!(
                asks,
                (ours && decode::accept_encoding().is_some()) || name == "accept-encoding"
            );
        }
    }
}
