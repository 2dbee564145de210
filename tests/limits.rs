//! Limits: each at its boundary, one below and one above, and what App Engine's profile does to
//! requests and redirects, as a server receives it. (Deadlines are in `deadlines.rs`.)
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};
use tracing::Level;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{
    Bytes, Client, ClientBuilder, Error, ErrorKind, Limits, Method, Payload, Resolve, Resolving,
    Response,
};

use log::Log;
use script::{HOST, Received, Server, Then, builder, in_time, pieces, reply};

#[path = "support/log.rs"]
#[expect(dead_code, reason = "the tests of the log need more of it")]
mod log;
#[path = "support/script.rs"]
#[expect(dead_code, reason = "the tests of requests and bodies need more of it")]
mod script;

fn app_engine() -> Client {
    builder().limits(Limits::app_engine()).build().unwrap()
}

fn ok(_: &Received) -> (Vec<u8>, Then) {
    (reply("200 OK", "", ""), Then::Stay)
}

#[tokio::test]
async fn a_payload_has_ten_mebibytes_at_most() {
    in_time(async {
        let server = Server::tls(ok).await;
        let client = app_engine();
        let whole = Bytes::from(vec![b'x'; MOST + 1]);
        for size in [MOST - 1, MOST, MOST + 1] {
            for how in [How::Whole, How::Promised, How::Chunked] {
                let payload = how.payload(whole.slice(..size));
                let before = server.requests().len();
                let fetch = client.fetch(server.url("/")).method(Method::PUT);
                let outcome = fetch.payload(payload).await;
                if size <= MOST {
                    assert_eq!(outcome.unwrap().status(), 200, "{size} {how:?}");
                    assert_eq!(server.last().payload.len(), size, "{how:?}");
                    continue;
                }
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::PayloadTooLarge, "{how:?}");
                // A request that the server has not had whole is none.
                assert_eq!(server.requests().len(), before, "{how:?}");
                let (sent, sentence) = match how {
                    How::Chunked => (
                        true,
                        "the payload's stream is longer than its limit of 10485760 bytes",
                    ),
                    _ => (
                        false,
                        "the payload is 10485761 bytes, more than its limit of 10485760 bytes",
                    ),
                };
                assert_eq!(error.request_was_sent(), sent, "{how:?}");
                assert!(error.to_string().starts_with(sentence), "{error}");
                assert_eq!(
                    error.hint(),
                    Some("Limits::max_payload_size sets what is allowed")
                );
                assert_eq!(error.url().unwrap().as_str(), server.url("/"));
            }
        }
        // It is the client's, and no default.
        let fetch = script::client().fetch(server.url("/")).method(Method::PUT);
        fetch.payload(whole).await.unwrap();
        assert_eq!(server.last().payload.len(), MOST + 1);
    })
    .await;
}

/// What is cut off never looks whole, over HTTP/1.1 and h2 alike, and what came before it was sent.
#[tokio::test]
async fn a_stream_that_grows_beyond_its_limit_is_cut_off() {
    in_time(async {
        let (seen, mut sees) = mpsc::unbounded_channel();
        let server = Server::start("https", Some("http/1.1"), move |mut talk| {
            let seen = seen.clone();
            async move {
                talk.line("abc\r\n").await.unwrap();
                seen.send(true).unwrap();
                // The last chunk, which would make a whole request of it.
                seen.send(talk.line("0\r\n\r\n").await.is_some()).unwrap();
            }
        })
        .await;
        let limits = Limits::default().max_payload_size(3);
        let client = builder().limits(limits.clone()).build().unwrap();
        let (go, gate) = oneshot::channel();
        let payload = Payload::stream(Gated {
            first: Some("abc"),
            gate,
            then: Some("d"),
        });
        let fetch = client.fetch(server.url("/")).method(Method::POST);
        let fetching = tokio::spawn(fetch.payload(payload).send());
        assert!(sees.recv().await.unwrap());
        go.send(()).unwrap();
        let error = fetching.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PayloadTooLarge);
        assert!(error.request_was_sent());
        assert!(!sees.recv().await.unwrap(), "the server has it whole");

        let lab = Lab::start().await.unwrap();
        let client = lab
            .client_builder()
            .unwrap()
            .limits(limits)
            .build()
            .unwrap();
        for (stream, expected) in [
            (pieces(&["ab", "c"]), Ok(3)),
            (pieces(&["ab", "cd"]), Err(ErrorKind::PayloadTooLarge)),
        ] {
            let fetch = client.fetch(lab.url_to(Scenario::Good, "/echo"));
            let fetch = fetch.method(Method::POST).payload(Payload::stream(stream));
            let outcome = fetch.await.map(|response| {
                assert_eq!(response.version(), http::Version::HTTP_2);
                3
            });
            assert_eq!(outcome.map_err(|error| error.kind()), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn request_headers_have_sixteen_kibibytes_at_most() {
    in_time(async {
        let server = Server::tls(ok).await;
        let client = app_engine();
        // The bytes of one line with its end, other headers, and the size that is refused.
        for (line, others, refused) in [
            (16_383, &[] as &[(&str, &str)], None),
            (16_384, &[], None),
            (16_385, &[], Some(16_385)),
            (16_379, &[("y", "")], None),
            (16_380, &[("y", "")], Some(16_385)),
            // What is dropped is not counted.
            (16_384, &[("via", "1.1 somebody")], None),
            (16_385, &[("via", "1.1 somebody")], Some(16_385)),
        ] {
            let value = "v".repeat(line - "x: \r\n".len());
            let mut fetch = client.fetch(server.url("/")).header("x", value);
            for (name, value) in others {
                fetch = fetch.header(*name, *value);
            }
            let before = server.requests().len();
            let outcome = fetch.await;
            let asked = usize::from(refused.is_none());
            assert_eq!(server.requests().len(), before + asked, "{line} {others:?}");
            let Some(size) = refused else {
                outcome.unwrap();
                continue;
            };
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(!error.request_was_sent());
            let sentence = format!(
                "the headers of the request are {size} bytes, more than their limit of 16384 bytes"
            );
            assert!(error.to_string().starts_with(&sentence), "{error}");
        }
        let fetch = script::client().fetch(server.url("/"));
        fetch.header("x", "v".repeat(20_000)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_response_has_thirty_two_mebibytes_at_most() {
    let lab = Lab::start().await.unwrap();
    let builder = lab.client_builder().unwrap();
    let client = builder.limits(Limits::app_engine()).build().unwrap();
    let most = 32 << 20;
    for (size, allow) in [
        (most - 1, false),
        (most, false),
        (most, true),
        (most + 1, false),
        (most + 1, true),
    ] {
        let url = lab.url_to(Scenario::GoodHttp1, &format!("/bytes/{size}"));
        let fetch = || client.fetch(&url).allow_truncated(allow);
        let content = fetch().await.unwrap().content().await;
        // It is read as a stream too: that is no way round it.
        let (streamed, was_truncated) = drain(fetch().await.unwrap()).await;
        if size > most && !allow {
            for error in [content.unwrap_err(), streamed.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
                let sentence = "the body is larger than its limit of 33554432 bytes";
                assert!(error.to_string().starts_with(sentence), "{error}");
            }
            continue;
        }
        let (content, expected) = (content.unwrap(), size.min(most));
        assert_eq!(content.bytes.len(), expected, "{size} {allow}");
        assert_eq!(streamed.unwrap(), expected);
        assert_eq!(
            (content.was_truncated, was_truncated),
            (size > most, size > most)
        );
    }
}

/// It is what comes out of the decoder that is counted.
#[cfg(feature = "gzip")]
#[tokio::test]
async fn a_response_is_counted_decoded() {
    use std::io::Write;
    in_time(async {
        let gzip = |bytes: &[u8]| {
            let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            coder.write_all(bytes).unwrap();
            coder.finish().unwrap()
        };
        let most = 32 << 20;
        let coded = gzip(&vec![0; most]);
        assert!(coded.len() < most / 100);
        for (size, allow) in [
            (most, false),
            (most, true),
            (most + 1, false),
            (most + 1, true),
        ] {
            let more = gzip(&vec![0; size - most]);
            let coded = [&coded[..], &more].concat();
            let server = Server::plain(move |_| {
                let reply = reply("200 OK", "content-encoding: gzip\r\n", &coded);
                (reply, Then::Stay)
            })
            .await;
            let fetch = app_engine().fetch(server.url("/")).allow_truncated(allow);
            let content = fetch.await.unwrap().content().await;
            match content {
                Ok(content) => {
                    assert!(size == most || allow);
                    assert_eq!(content.bytes.len(), most);
                    assert_eq!(content.was_truncated, size > most);
                }
                Err(error) => {
                    assert!(size > most && !allow, "{error}");
                    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn five_redirects_are_followed() {
    let lab = Lab::start().await.unwrap();
    let builder = lab.client_builder().unwrap();
    let client = builder.limits(Limits::app_engine()).build().unwrap();
    for (redirects, followed) in [(4, true), (5, true), (6, false)] {
        let url = lab.url_to(Scenario::Good, &format!("/redirect/{redirects}"));
        match client.fetch(url).await {
            Ok(response) => {
                assert!(followed);
                assert_eq!(response.hops().len(), redirects);
            }
            Err(error) => {
                assert!(!followed, "{error}");
                assert_eq!(error.kind(), ErrorKind::TooManyRedirects);
                assert!(
                    error
                        .to_string()
                        .starts_with("there were more than 5 redirects")
                );
            }
        }
    }
}

/// The ports of App Engine, each at its edges: what may be fetched from is looked up next, and of
/// what may not be not even the name is.
#[tokio::test]
async fn a_port_is_refused_before_its_host_is_looked_up() {
    let (builder, lookups) = nowhere();
    let client = builder.limits(Limits::app_engine()).build().unwrap();
    for (ports, allowed) in [
        (&[1, 22, 25, 79, 91, 439, 451, 1023] as &[_], false),
        (&[80, 81, 90, 440, 443, 450, 1024, 8080, 65_535], true),
    ] {
        for port in ports {
            for scheme in ["http", "https"] {
                let before = lookups.load(Ordering::Relaxed);
                let fetch = client.fetch(format!("{scheme}://{NOWHERE}:{port}/"));
                let error = fetch.await.unwrap_err();
                let (kind, asked) = match allowed {
                    true => (ErrorKind::Dns, 1),
                    false => (ErrorKind::InvalidUrl, 0),
                };
                assert_eq!(error.kind(), kind, "{port}: {error}");
                assert_eq!(lookups.load(Ordering::Relaxed) - before, asked, "{port}");
                assert!(!error.request_was_sent());
                if !allowed {
                    let sentence = format!(
                        "the URL's port is {port}, and allowed is 80-90, 440-450, 1024-65535"
                    );
                    assert!(error.to_string().starts_with(&sentence), "{error}");
                }
            }
        }
    }
    // Port 0 is nobody's.
    for client in [client, nowhere().0.build().unwrap()] {
        let error = client.fetch(format!("https://{NOWHERE}:0/")).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidUrl);
    }
    // Without a word every other one may be fetched from, and streams of other protocols are not
    // fetched.
    let (builder, _) = nowhere();
    let error = builder
        .build()
        .unwrap()
        .fetch(format!("https://{NOWHERE}:79/"));
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Dns);
    let (builder, _) = nowhere();
    let client = builder.limits(Limits::app_engine()).build().unwrap();
    let error = client.connect(NOWHERE, 25).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
}

#[tokio::test]
async fn a_url_has_ten_thousand_two_hundred_and_forty_bytes_at_most() {
    let (builder, lookups) = nowhere();
    let client = builder.limits(Limits::app_engine()).build().unwrap();
    for (length, allowed) in [(10_239, true), (10_240, true), (10_241, false)] {
        let before = lookups.load(Ordering::Relaxed);
        let error = client.fetch(as_long("https://", NOWHERE, length)).await;
        let error = error.unwrap_err();
        let (kind, asked) = match allowed {
            true => (ErrorKind::Dns, 1),
            false => (ErrorKind::InvalidUrl, 0),
        };
        assert_eq!(error.kind(), kind, "{length}: {error}");
        assert_eq!(lookups.load(Ordering::Relaxed) - before, asked, "{length}");
        if !allowed {
            let sentence = "the URL is 10241 bytes, more than its limit of 10240 bytes";
            assert!(error.to_string().starts_with(sentence), "{error}");
        }
    }
}

/// The limits of a URL hold wherever it comes from.
#[tokio::test]
async fn a_redirect_leads_to_no_other_urls_than_the_caller_may_fetch() {
    in_time(async {
        for (location, allowed) in [
            (format!("https://{NOWHERE}:80/"), true),
            (format!("https://{NOWHERE}:79/"), false),
            (format!("https://{NOWHERE}:91/"), false),
            (format!("https://{NOWHERE}:1023/"), false),
            (format!("https://{NOWHERE}:1024/"), true),
            (as_long("https://", NOWHERE, 10_240), true),
            (as_long("https://", NOWHERE, 10_241), false),
        ] {
            let to = format!("location: {location}\r\n");
            let server = Server::tls(move |_| (reply("302 Found", &to, ""), Then::Stay)).await;
            let (builder, lookups) = nowhere();
            let client = builder.limits(Limits::app_engine()).build().unwrap();
            let error = client.fetch(server.url("/from")).await.unwrap_err();
            let shown = location.chars().take(50).collect::<String>();
            let (kind, asked, path) = match allowed {
                true => (ErrorKind::Dns, 1, "/"),
                false => (ErrorKind::RedirectRefused, 0, "/from"),
            };
            assert_eq!(error.kind(), kind, "{shown} {error}");
            assert_eq!(lookups.load(Ordering::Relaxed), asked, "{shown}");
            assert!(error.url().unwrap().path().starts_with(path), "{shown}");
            assert_eq!(error.request_was_sent(), !allowed, "{shown}");
            assert!(error.to_string().len() < 11_000);
        }
    })
    .await;
}

/// App Engine's matrix: the status, the method, and the method of the next request.
#[tokio::test]
async fn redirects_rewrite_requests_as_app_engine_did() {
    in_time(async {
        let server = Server::tls(redirecting).await;
        let client = app_engine();
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let as_get = Some(["GET", "HEAD", "GET", "GET", "GET", "GET"]);
        for (status, expected) in [
            (300, None),
            (301, as_get),
            (302, as_get),
            (303, as_get),
            (304, None),
            (305, None),
            (307, Some(methods)),
            (308, None),
        ] {
            for (index, method) in methods.into_iter().enumerate() {
                let shown = format!("{status} {method}");
                let before = server.requests().len();
                let fetch = client.fetch(server.url(&format!("/{status}")));
                let fetch = fetch.method(method.parse().unwrap()).payload("payload");
                let response = fetch.await.unwrap();
                let requests = server.requests().split_off(before);
                let mut requests = requests.iter();
                let first = requests.next().unwrap();
                let carries = ["POST", "PUT", "PATCH"].contains(&method);
                assert_eq!(first.line, format!("{method} /{status}"));
                assert_eq!(first.payload == b"payload", carries, "{shown}");
                let Some(expected) = expected else {
                    assert_eq!(response.status().as_u16(), status, "{shown}");
                    assert_eq!(response.url().path(), format!("/{status}"), "{shown}");
                    assert_eq!(response.headers()["location"], "/there");
                    assert!(response.hops().is_empty(), "{shown}");
                    assert!(requests.next().is_none(), "{shown}");
                    continue;
                };
                let next = requests.next().unwrap();
                let method = expected.get(index).unwrap();
                assert_eq!(response.status(), 200, "{shown}");
                assert_eq!(response.url().path(), "/there", "{shown}");
                assert_eq!(next.line, format!("{method} /there"), "{shown}");
                let kept = carries && status == 307;
                let payload = if kept { &b"payload"[..] } else { b"" };
                assert_eq!(next.payload, payload, "{shown}");
                let form = if kept && *method == "POST" { FORM } else { "" };
                assert_eq!(next.header("content-type"), form, "{shown}");
                assert!(requests.next().is_none(), "{shown}");
            }
        }
        // A client of which nothing is said follows 308, and keeps what it had.
        let fetch = script::client().fetch(server.url("/308"));
        let response = fetch.method(Method::PUT).payload("payload").await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.hops().len()),
            (200, 1)
        );
        assert_eq!(server.last().line, "PUT /there");
        assert_eq!(server.last().payload, b"payload");
    })
    .await;
}

#[tokio::test]
async fn a_payload_goes_out_by_the_methods_that_had_one() {
    in_time(async {
        let server = Server::tls(ok).await;
        let client = app_engine();
        for (method, of_its_own, carries, content_type) in [
            ("GET", None, false, ""),
            ("HEAD", None, false, ""),
            ("DELETE", None, false, ""),
            ("POST", None, true, FORM),
            ("PUT", None, true, ""),
            ("PATCH", None, true, ""),
            ("GET", Some("text/plain"), false, "text/plain"),
            ("POST", Some("text/plain"), true, "text/plain"),
            ("PUT", Some("text/plain"), true, "text/plain"),
        ] {
            for how in [How::Whole, How::Promised, How::Chunked] {
                let shown = format!("{method} {of_its_own:?} {how:?}");
                let fetch = client.fetch(server.url("/"));
                let fetch = fetch.method(method.parse().unwrap());
                // What a caller says of the length is not sent, nor held against him.
                let mut fetch = fetch.header("content-length", "999");
                if let Some(content_type) = of_its_own {
                    fetch = fetch.header("content-type", content_type);
                }
                fetch.payload(how.payload("ab=c".into())).await.unwrap();
                let received = server.last();
                assert_eq!(received.payload == b"ab=c", carries, "{shown}");
                assert_eq!(received.header("content-type"), content_type, "{shown}");
                let chunked = carries && matches!(how, How::Chunked);
                let known = carries && !chunked;
                assert_eq!(received.has("transfer-encoding"), chunked, "{shown}");
                assert_eq!(
                    received.header("content-length"),
                    if known { "4" } else { "" }
                );
            }
        }
        // An empty payload is none.
        client
            .fetch(server.url("/"))
            .method(Method::POST)
            .await
            .unwrap();
        assert!(!server.last().has("content-type"));
        // And a client of which nothing is said sends what it is given.
        let fetch = script::client().fetch(server.url("/"));
        fetch.method(Method::DELETE).payload("ab=c").await.unwrap();
        assert_eq!(server.last().payload, b"ab=c");
    })
    .await;
}

#[tokio::test]
async fn protected_headers_are_dropped_and_the_log_has_their_names() {
    const EVENT: &str = "headers dropped that App Engine sets itself";
    in_time(async {
        let (log, _guard) = Log::capture(Level::TRACE);
        let server = Server::tls(ok).await;
        let sent = [
            ("Content-Length", "77777"),
            ("Host", "hunter2.example"),
            ("Vary", "hunter2"),
            ("Via", "1.1 hunter2"),
            ("X-Appengine-Inbound-Appid", "hunter2"),
            ("X-Forwarded-For", "hunter2"),
            ("X-ProxyUser-IP", "hunter2"),
            ("X-Mine", "1"),
        ];
        let mut fetch = app_engine().fetch(server.url("/"));
        for (name, value) in sent {
            fetch = fetch.header(name, value);
        }
        fetch.await.unwrap();
        let received = server.last();
        assert_eq!(
            received.header("host"),
            format!("{HOST}:{}", server.addr.port())
        );
        assert_eq!(received.header("x-mine"), "1");
        for name in [
            "content-length",
            "vary",
            "via",
            "x-appengine-inbound-appid",
            "x-forwarded-for",
            "x-proxyuser-ip",
        ] {
            assert!(!received.has(name), "{name}");
        }
        let told = || {
            let mut records = log.ours();
            records.retain(|record| record.name == EVENT);
            records
        };
        let [event] = told().try_into().unwrap();
        assert_eq!((event.level, event.fields.len()), (Level::DEBUG, 1));
        let names = "content-length, host, vary, via, x-appengine-inbound-appid, \
                     x-forwarded-for, x-proxyuser-ip";
        assert_eq!(event.field("http.request.headers"), Some(names));
        assert!(!log.text().contains("hunter2"));
        // Where there is nothing to tell nothing is told, and nobody else's headers are dropped.
        app_engine()
            .fetch(server.url("/"))
            .header("x-mine", "1")
            .await
            .unwrap();
        let fetch = script::client().fetch(server.url("/"));
        fetch.header("via", "1.1 mine").await.unwrap();
        assert_eq!(server.last().header("via"), "1.1 mine");
        assert_eq!(told().len(), 1);
    })
    .await;
}

/// What is said later of a client's limits is what counts.
#[tokio::test]
async fn limits_replace_what_was_said_before_and_are_changed_by_what_is_said_after() {
    let lab = Lab::start().await.unwrap();
    let redirected = lab.url_to(Scenario::Good, "/redirect/2");
    let builder = || lab.client_builder().unwrap();
    let none = Limits::default().max_redirects(0);
    for (builder, expected) in [
        (builder().max_redirects(0).limits(Limits::default()), None),
        (
            builder().limits(Limits::default()).max_redirects(0),
            Some(ErrorKind::TooManyRedirects),
        ),
        (
            builder().limits(none.clone()),
            Some(ErrorKind::TooManyRedirects),
        ),
        (builder().limits(none.clone()).max_redirects(2), None),
        (builder().limits(none).limits(Limits::default()), None),
        (
            builder().limits(Limits::app_engine().ports([])),
            Some(ErrorKind::InvalidUrl),
        ),
        (
            builder().limits(Limits::app_engine()).max_response_size(2),
            Some(ErrorKind::ResponseTooLarge),
        ),
    ] {
        let shown = format!("{builder:?}");
        let outcome = match builder.build().unwrap().fetch(&redirected).await {
            Ok(response) => response.bytes().await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(outcome.err().map(|error| error.kind()), expected, "{shown}");
    }
    for (builder, kind) in [
        (nowhere().0.allow_http(true), ErrorKind::Dns),
        (
            nowhere().0.allow_http(true).limits(Limits::default()),
            ErrorKind::InvalidUrl,
        ),
        (
            nowhere().0.limits(Limits::default()).allow_http(true),
            ErrorKind::Dns,
        ),
        (nowhere().0.limits(Limits::app_engine()), ErrorKind::Dns),
        (
            nowhere().0.limits(Limits::app_engine()).allow_http(false),
            ErrorKind::InvalidUrl,
        ),
    ] {
        let client = builder.build().unwrap();
        let error = client.fetch(format!("http://{NOWHERE}/")).await;
        assert_eq!(error.unwrap_err().kind(), kind);
    }
}

/// How a payload is given.
#[derive(Clone, Copy, Debug)]
enum How {
    Whole,
    /// As a stream whose length is known.
    Promised,
    /// As one whose length is not.
    Chunked,
}

impl How {
    fn payload(self, bytes: Bytes) -> Payload {
        let length = bytes.len() as u64;
        match self {
            Self::Whole => bytes.into(),
            Self::Promised => Payload::stream(Cut(bytes)).length(length),
            Self::Chunked => Payload::stream(Cut(bytes)),
        }
    }
}

/// Bytes in pieces.
struct Cut(Bytes);

impl Stream for Cut {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.0.len().min(100_000);
        let piece = self.0.split_to(piece);
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

/// One piece at once, and another when it is told to.
struct Gated {
    first: Option<&'static str>,
    gate: oneshot::Receiver<()>,
    then: Option<&'static str>,
}

impl Stream for Gated {
    type Item = Result<Bytes, oneshot::error::RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first.into())));
        }
        if self.then.is_some() {
            ready!(Pin::new(&mut self.gate).poll(cx)).unwrap();
        }
        Poll::Ready(self.then.take().map(|then| Ok(then.into())))
    }
}

/// Answers `/STATUS` with that status and a place to go to.
fn redirecting(request: &Received) -> (Vec<u8>, Then) {
    let status = request.path().trim_start_matches('/');
    let reply = match status.parse::<u16>() {
        Ok(status) => reply(&format!("{status} Go"), "location: /there\r\n", ""),
        Err(_) => reply("200 OK", "", ""),
    };
    (reply, Then::Stay)
}

/// So many bytes of a body, and whether it was truncated.
async fn drain(response: Response) -> (Result<usize, Error>, bool) {
    let mut body = response.into_body();
    let mut length = 0;
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) => return (Ok(length), body.was_truncated()),
            Err(error) => return (Err(error), false),
        }
    }
}

/// A client that finds the servers of this file and [`NOWHERE`] nowhere, and how often it looked.
fn nowhere() -> (ClientBuilder, Arc<AtomicUsize>) {
    struct Nowhere(Arc<AtomicUsize>);
    impl Resolve for Nowhere {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(vec![]) })
        }
    }
    let lookups = Arc::default();
    let builder = builder().allow_http(false);
    (builder.resolver(Nowhere(Arc::clone(&lookups))), lookups)
}

/// A URL of so many bytes.
fn as_long(scheme: &str, host: &str, length: usize) -> String {
    let url = format!("{scheme}{host}/");
    let rest = "x".repeat(length - url.len());
    url + &rest
}

const NOWHERE: &str = "nowhere.test";

/// App Engine's 10 MB.
const MOST: usize = 10 << 20;

const FORM: &str = "application/x-www-form-urlencoded";
