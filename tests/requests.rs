//! Requests as a server receives them: every option of a call, every kind of payload, over
//! HTTP/1.1 and over h2; and what is refused before a byte of it is written.
#![cfg(all(feature = "lab", feature = "json"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of bodies and framing")]
#[path = "support/script.rs"]
mod script;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use script::{HOST, Received, Server, Then, builder, client, in_time, pieces, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_service::Service;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::Verdict;
use urlfetch::{Client, ErrorKind, Hop, IntoUrl, Method, Payload, RequestBuilder, Timings, Url};

/// A server of HTTP/1.1 that answers everything with 200, and the lab's server of h2, whose answer
/// is what it received.
struct Doors {
    http1: Server,
    lab: Lab,
}

impl Doors {
    async fn open() -> Self {
        Self {
            http1: Server::tls(|_| (reply("200 OK", "", "ok"), Then::Stay)).await,
            lab: Lab::start().await.unwrap(),
        }
    }

    /// What each of the two receives of this request.
    async fn receive(
        &self,
        path: &str,
        request: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> [Received; 2] {
        let fetch = client().fetch(self.http1.url(path));
        assert_eq!(request(fetch).await.unwrap().status(), 200);
        let url = self
            .lab
            .url_to(Scenario::Good, &format!("/echo{}", &path[1..]));
        let echo = request(self.lab.client().unwrap().fetch(url))
            .await
            .unwrap();
        assert_eq!(echo.version(), http::Version::HTTP_2);
        [self.http1.last(), echoed(&echo.text().await.unwrap())]
    }
}

/// What the lab's `/echo` tells.
fn echoed(echo: &str) -> Received {
    let (head, payload) = echo.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().strip_suffix(" HTTP/2.0").unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    Received {
        connection: 0,
        line: line.replace("/echo", "/"),
        headers: headers
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        payload: payload.into(),
    }
}

#[tokio::test]
async fn a_url_may_be_of_four_types() {
    async fn fetch(url: impl IntoUrl) {
        let response = client().fetch(url).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.url().path(), "/a");
    }
    in_time(async {
        let server = Server::tls(|_| (reply("200 OK", "", ""), Then::Stay)).await;
        let url = server.url("/a?b");
        fetch(url.as_str()).await;
        fetch(&url).await;
        fetch(url.clone()).await;
        fetch(url.parse::<Url>().unwrap()).await;
        fetch(&url.parse::<Url>().unwrap()).await;
        fetch(url.parse::<http::Uri>().unwrap()).await;
        fetch(&url.parse::<http::Uri>().unwrap()).await;
        fetch(std::borrow::Cow::Borrowed(url.as_str())).await;
        assert!(
            server
                .requests()
                .iter()
                .all(|request| request.line == "GET /a?b")
        );
        assert_eq!(server.requests().len(), 8);
    })
    .await;
}

#[tokio::test]
async fn each_option_is_what_the_server_receives() {
    in_time(async {
        let doors = Doors::open().await;
        let mut map = HeaderMap::new();
        map.append("x-three", "3".parse().unwrap());
        map.append("x-three", "4".parse().unwrap());
        let received = doors.receive("/?a=1", |request| {
            request
                .method(Method::PUT)
                .header("x-one", "1")
                .header("X-Two", "1")
                .header("x-two", "2")
                .header("x-three", "replaced")
                .headers(map.clone())
                .query([("b c", "d&e"), ("f", "\u{e9}")])
                .bearer_auth("token")
                .payload("payload")
        });
        for request in received.await {
            assert_eq!(request.line, "PUT /?a=1&b+c=d%26e&f=%C3%A9");
            assert_eq!(request.header("x-one"), "1");
            assert_eq!(request.header("x-two"), "1, 2");
            assert_eq!(request.header("x-three"), "3, 4");
            assert_eq!(request.header("authorization"), "Bearer token");
            assert_eq!(request.header("content-length"), "7");
            assert_eq!(request.payload, b"payload");
        }
        let received = doors.receive("/", |request| {
            let request = request
                .method(Method::POST)
                .form([("k", "v w"), ("l", "&")]);
            request.basic_auth("user", Some("pass:word"))
        });
        for request in received.await {
            assert_eq!(
                request.header("content-type"),
                "application/x-www-form-urlencoded"
            );
            assert_eq!(
                request.header("authorization"),
                "Basic dXNlcjpwYXNzOndvcmQ="
            );
            assert_eq!(request.payload, b"k=v+w&l=%26");
        }
        let received = doors.receive("/", |request| {
            let request = request
                .method(Method::PATCH)
                .basic_auth("user", None::<&str>);
            let request = request.header("content-type", "application/merge-patch+json");
            request.json(&serde_json::json!({"a": [1]}))
        });
        for request in received.await {
            assert_eq!(
                request.header("content-type"),
                "application/merge-patch+json"
            );
            assert_eq!(request.header("authorization"), "Basic dXNlcjo=");
            assert_eq!(request.payload, b"{\"a\":[1]}");
        }
        let received = doors.receive("/", |request| {
            request.json(&1).method("PURGE".parse().unwrap())
        });
        for request in received.await {
            assert_eq!(request.line, "PURGE /");
            assert_eq!(request.header("content-type"), "application/json");
        }
    })
    .await;
}

#[tokio::test]
async fn defaults_are_sent_unless_the_caller_says_otherwise() {
    in_time(async {
        let doors = Doors::open().await;
        let ours = concat!("urlfetch/", env!("CARGO_PKG_VERSION"));
        for request in doors.receive("/", |request| request).await {
            assert_eq!(request.line, "GET /");
            assert_eq!(request.header("user-agent"), ours);
            assert_eq!(request.header("accept"), "*/*");
            assert_eq!(request.header("accept-encoding"), "gzip, deflate, br, zstd");
            for absent in [
                "content-length",
                "transfer-encoding",
                "expect",
                "connection",
                "te",
                "cookie",
                "referer",
            ] {
                assert!(!request.has(absent), "{absent}");
            }
            assert_eq!(request.headers.len(), 4, "and the host");
        }
        let received = doors.receive("/", |request| {
            let request = request
                .header("user-agent", "me")
                .header("accept", "text/html");
            request.header("accept-encoding", "identity")
        });
        for request in received.await {
            assert_eq!(request.header("user-agent"), "me");
            assert_eq!(request.header("accept"), "text/html");
            assert_eq!(request.header("accept-encoding"), "identity");
        }
        let named = builder().user_agent("named/1").build().unwrap();
        named.fetch(doors.http1.url("/")).await.unwrap();
        assert_eq!(doors.http1.last().header("user-agent"), "named/1");
        let unsendable = builder().user_agent("a\nb").build().unwrap_err();
        assert_eq!(unsendable.kind(), ErrorKind::Config);
    })
    .await;
}

#[tokio::test]
async fn payloads_of_each_type_arrive_with_the_right_framing() {
    type Make = fn() -> Payload;
    let rows: [(Make, &str, Option<&str>); 9] = [
        (|| Bytes::from_static(b"bytes").into(), "bytes", Some("5")),
        (|| b"bytes".to_vec().into(), "bytes", Some("5")),
        (|| String::from("text").into(), "text", Some("4")),
        (|| "text".into(), "text", Some("4")),
        (|| b"slice".as_slice().into(), "slice", Some("5")),
        (
            || Payload::stream(pieces(&["ab", "", "c"])).length(3),
            "abc",
            Some("3"),
        ),
        (|| Payload::stream(pieces(&["ab", "", "c"])), "abc", None),
        (|| Payload::stream(pieces(&[])), "", None),
        (|| Payload::stream(pieces(&[])).length(0), "", Some("0")),
    ];
    in_time(async {
        let doors = Doors::open().await;
        for method in [Method::POST, Method::GET, Method::DELETE] {
            for (row, (payload, text, length)) in rows.iter().enumerate() {
                let received = doors.receive("/", |request| {
                    request.method(method.clone()).payload(payload())
                });
                let [http1, http2] = received.await;
                let shown = format!("{method} {row}");
                assert_eq!(http1.payload, text.as_bytes(), "{shown}");
                assert_eq!(http2.payload, text.as_bytes(), "{shown}");
                let chunked = http1.header("transfer-encoding") == "chunked";
                assert_eq!(chunked, length.is_none(), "{shown}");
                assert!(!http2.has("transfer-encoding"), "{shown}");
                if method == Method::POST {
                    for request in [http1, http2] {
                        assert_eq!(
                            request.header("content-length"),
                            length.unwrap_or(""),
                            "{shown}"
                        );
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_payload_is_said_to_be_empty_where_one_is_expected() {
    in_time(async {
        let doors = Doors::open().await;
        for (method, length) in [
            (Method::POST, "0"),
            (Method::PUT, "0"),
            (Method::PATCH, "0"),
            (Method::GET, ""),
            (Method::HEAD, ""),
            (Method::DELETE, ""),
        ] {
            let [http1, http2] = match method {
                // The echo of a HEAD says nothing.
                Method::HEAD => {
                    let head = client().fetch(doors.http1.url("/")).method(Method::HEAD);
                    head.await.unwrap();
                    [doors.http1.last(), doors.http1.last()]
                }
                _ => {
                    doors
                        .receive("/", |request| request.method(method.clone()))
                        .await
                }
            };
            for request in [http1, http2] {
                assert_eq!(request.header("content-length"), length, "{method}");
                assert!(!request.has("transfer-encoding"), "{method}");
            }
        }
    })
    .await;
}

/// It breaks its promise to the server too, so its connection is not used again.
#[tokio::test]
async fn a_stream_that_fails_or_breaks_its_promise_is_an_error_and_the_end_of_its_connection() {
    type Make = fn() -> Payload;
    let rows: [(Make, &str); 6] = [
        (
            || Payload::stream(pieces(&["ab"])).length(3),
            "1 bytes short",
        ),
        (|| Payload::stream(pieces(&[])).length(3), "3 bytes short"),
        (
            || Payload::stream(pieces(&["ab", "cd"])).length(3),
            "longer than",
        ),
        (
            || Payload::stream(pieces(&["abc", "d"])).length(3),
            "longer than",
        ),
        (
            || Payload::stream(pieces(&["ab"]).then_fail("disk on fire")),
            "disk on fire",
        ),
        (
            || Payload::stream(pieces(&["ab"]).then_fail("disk on fire")).length(3),
            "disk on fire",
        ),
    ];
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let lab_client = lab.client().unwrap();
        for (row, (payload, why)) in rows.iter().enumerate() {
            let server = Server::tls(|_| (reply("200 OK", "", ""), Then::Stay)).await;
            let client = client();
            client.fetch(server.url("/")).await.unwrap();
            let post = |client: &Client, url: String| {
                client.fetch(url).method(Method::POST).payload(payload())
            };
            let http1 = post(&client, server.url("/")).await;
            let http2 = post(&lab_client, lab.url_to(Scenario::Good, "/echo")).await;
            for (protocol, fetched) in [("http/1.1", http1), ("h2", http2)] {
                let error = fetched.map(|response| response.status()).unwrap_err();
                assert_eq!(
                    error.kind(),
                    ErrorKind::Payload,
                    "{row} {protocol}: {error}"
                );
                assert!(error.to_string().contains(why), "{row} {protocol}: {error}");
            }
            client.fetch(server.url("/")).await.unwrap();
            assert_eq!(server.last().connection, 1, "{row}");
            // The server never had the whole of that request.
            assert_eq!(server.requests().len(), 2, "{row}");
        }
        // Over h2 it was a stream alone that broke.
        assert_eq!(lab.connections(Scenario::Good), 1);
    })
    .await;
}

#[tokio::test]
async fn expect_is_sent_only_when_asked_and_100_continue_is_understood() {
    in_time(async {
        let server = Server::start("https", Some("http/1.1"), |mut talk| async move {
            let head = talk.line("\r\n\r\n").await.unwrap();
            assert!(
                head.to_ascii_lowercase()
                    .contains("\r\nexpect: 100-continue"),
                "{head}"
            );
            talk.say("HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            assert_eq!(talk.line("end").await.unwrap(), "payload, ");
            talk.say(reply("200 OK", "", "thanks")).await.unwrap();
            talk.until_gone().await;
        })
        .await;
        let fetch = client().fetch(server.url("/")).method(Method::POST);
        let fetch = fetch
            .header("expect", "100-continue")
            .payload("payload, end");
        assert_eq!(fetch.await.unwrap().text().await.unwrap(), "thanks");
    })
    .await;
}

#[tokio::test]
async fn host_is_that_of_the_url_or_the_callers() {
    in_time(async {
        let doors = Doors::open().await;
        let http1 = doors.http1.addr;
        let plain = Server::plain(|_| (reply("200 OK", "", ""), Then::Stay)).await;
        let client = builder()
            .resolve(HOST, [http1])
            .resolve("xn--bcher-kva.example", [http1])
            .resolve("plain.test", [plain.addr])
            .build()
            .unwrap();
        for (url, host) in [
            (format!("https://{HOST}/"), HOST.to_owned()),
            (format!("https://{HOST}:443/"), HOST.to_owned()),
            (format!("https://{HOST}:80/"), format!("{HOST}:80")),
            (format!("https://{}/", HOST.to_uppercase()), HOST.to_owned()),
            (format!("https://{http1}/"), http1.to_string()),
            (
                "https://b\u{fc}cher.example/".into(),
                "xn--bcher-kva.example".into(),
            ),
            (
                "https://B\u{dc}CHER.example:8443/".into(),
                "xn--bcher-kva.example:8443".into(),
            ),
        ] {
            client.fetch(&url).await.unwrap();
            assert_eq!(doors.http1.last().header("host"), host, "{url}");
        }
        for (url, host) in [
            ("http://plain.test/", "plain.test"),
            ("http://plain.test:80/", "plain.test"),
            ("http://plain.test:443/", "plain.test:443"),
        ] {
            client.fetch(url).await.unwrap();
            assert_eq!(plain.last().header("host"), host, "{url}");
        }
        let port = doors.lab.addr(Scenario::Good).port();
        let [http1, http2] = doors.receive("/", |request| request).await;
        assert_eq!(
            http1.header("host"),
            format!("{HOST}:{}", doors.http1.addr.port())
        );
        assert_eq!(http2.header("host"), format!("good.lab.test:{port}"));
        for request in doors
            .receive("/", |request| request.header("host", "other.example:1"))
            .await
        {
            assert_eq!(request.header("host"), "other.example:1");
        }
    })
    .await;
}

/// The address is dialled as such, and stands in brackets in the Host.
#[tokio::test]
async fn an_ipv6_literal_is_dialled_and_bracketed() {
    in_time(async {
        let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
            return; // A machine without IPv6.
        };
        let addr = listener.local_addr().unwrap();
        let serve = async {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await.unwrap());
            }
            tcp.write_all(&reply("200 OK", "", "")).await.unwrap();
            String::from_utf8(head).unwrap()
        };
        let client = client();
        let (head, fetched) = tokio::join!(
            serve,
            client
                .fetch(format!("http://[::1]:{}/", addr.port()))
                .send()
        );
        assert_eq!(fetched.unwrap().remote_addr(), addr);
        assert!(
            head.contains(&format!("\r\nhost: [::1]:{}\r\n", addr.port())),
            "{head}"
        );
    })
    .await;
}

/// Every character that a path or a query may have in a URL reaches the server, encoded or not.
#[tokio::test]
async fn no_character_of_a_url_is_lost() {
    in_time(async {
        let doors = Doors::open().await;
        for character in (' '..='~')
            .chain(['\u{e9}', '\u{1f600}'])
            .filter(|it| !"#?\\".contains(*it))
        {
            let path = format!("/a{character}b?c{character}d#e{character}f");
            let url: Url = doors.http1.url(&path).parse().unwrap();
            client().fetch(url.clone()).await.unwrap();
            let expected = format!("GET {}?{}", url.path(), url.query().unwrap());
            assert_eq!(doors.http1.last().line, expected, "{character:?}");
            let lab: Url = doors
                .lab
                .url_to(Scenario::Good, &format!("/echo?c{character}d"))
                .parse()
                .unwrap();
            let query = lab.query().unwrap().to_owned();
            let echo = doors
                .lab
                .client()
                .unwrap()
                .fetch(lab)
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            assert!(
                echo.starts_with(&format!("GET /echo?{query} ")),
                "{character:?} {echo}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_would_smuggle_is_refused_before_a_byte() {
    in_time(async {
        let server = Server::tls(|_| (reply("200 OK", "", ""), Then::Stay)).await;
        let client = client();
        for headers in [
            &[("transfer-encoding", "chunked")][..],
            &[("Transfer-Encoding", "identity")],
            &[("content-length", "4")],
            &[("content-length", "+3")],
            &[("content-length", "3"), ("content-length", "3")],
            &[("content-length", "3, 3")],
            &[("content-length", "")],
            &[("content-length", "0x3")],
            &[("upgrade", "websocket")],
            &[("upgrade", "h2c"), ("connection", "upgrade")],
            &[("connection", "content-length")],
            &[("host", "a"), ("host", "b")],
            &[("host", "a b")],
            &[("host", "a/b")],
            &[("host", "a?b")],
            &[("host", "user@a")],
            &[("host", "")],
            &[("x", "a\r\nb: c")],
            &[("x", "a\nb: c")],
            &[("x", "a\rb: c")],
            &[("x", "a\0")],
            &[("x\r\ny", "z")],
            &[("x y", "z")],
            &[("x:", "z")],
            &[("", "z")],
            &[(":authority", "z")],
        ] {
            let fetch = client
                .fetch(server.url("/"))
                .method(Method::POST)
                .payload("abc");
            let fetch = headers
                .iter()
                .fold(fetch, |fetch, (name, value)| fetch.header(*name, *value));
            let outcome = fetch.await.map(|response| response.status());
            let error = outcome.expect_err(&format!("{headers:?}"));
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{headers:?}");
            assert!(!error.request_was_sent(), "{headers:?}");
            assert!(error.url().is_some(), "{headers:?}");
        }
        let tunnel = client.fetch(server.url("/")).method(Method::CONNECT).await;
        assert_eq!(tunnel.unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(server.connections(), 0);
    })
    .await;
}

/// The map that holds them would panic where it is full.
#[tokio::test]
async fn more_headers_than_a_request_can_hold_are_an_error() {
    let server = Server::plain(|_| (reply("200 OK", "", ""), Then::Stay)).await;
    let names = |count: u32| (0..count).map(|n| HeaderName::try_from(format!("x-{n}")).unwrap());
    let map = |count| HeaderMap::from_iter(names(count).map(|name| (name, HeaderValue::from(1))));
    let fetch = || {
        client()
            .fetch(server.url("/"))
            .basic_auth("user", Some("x"))
    };
    let each = |count| names(count).fold(fetch(), |fetch, name| fetch.header(name, "1"));
    let same = |count| (0..count).fold(fetch(), |fetch, _| fetch.header("x", "1"));
    for (fetch, expected) in [
        (each(23_999), true),
        (each(24_000), false),
        (each(30_000), false),
        (same(23_999), true),
        (same(30_000), false),
        (fetch().headers(map(23_999)), true),
        (fetch().headers(map(24_576)), false),
        (fetch().headers(map(20_000)).headers(map(20_000)), true),
    ] {
        let fetch = fetch.method(Method::POST).json(&1);
        match in_time(fetch.send()).await {
            Ok(response) => assert!(expected && response.status() == 200),
            Err(error) => {
                assert!(!expected, "{error}");
                assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                let why = "there are more headers than the 24000 that a request can have";
                assert!(error.to_string().starts_with(why), "{error}");
            }
        }
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_url_that_cannot_be_fetched_fails_at_the_await_and_before_any_io() {
    in_time(async {
        let server = Server::plain(|_| (reply("200 OK", "", ""), Then::Stay)).await;
        let strict = builder().allow_http(false).build().unwrap();
        let error = strict.fetch(server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl);
        assert!(
            error
                .hint()
                .unwrap()
                .contains("ClientBuilder::allow_http(true)"),
            "{error}"
        );
        assert!(error.to_string().contains("allow_http(true)"), "{error}");

        let addr = server.addr;
        let long = format!("http://{addr}/{}", "a".repeat(70_000));
        let label = format!("https://{}.test/", "a".repeat(64));
        for url in [
            "",
            "/relative",
            "example.com/x",
            "example.com:443",
            "http://",
            "https://",
            "https:///",
            "https:///script.test/",
            "https:/script.test/",
            "https:script.test/",
            "https://[::1",
            "https://[::g]/",
            "https://a b/",
            "https://a%00b/",
            "https://256.1.1.1/",
            "https://a..b/",
            "https://-a.test/",
            "https://script.test:0/",
            "https://script.test:65536/",
            "https://script.test:x/",
            "ftp://script.test/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:alert(1)",
            "ws://script.test/",
            "unix:/run/docker.sock",
            &format!("http://user:pass@{addr}/"),
            &format!("http://user@{addr}/"),
            &format!("http://:pass@{addr}/"),
            &long,
            &label,
        ] {
            let outcome = client().fetch(url).await.map(|response| response.status());
            let error = outcome.expect_err(url);
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}: {error}");
            assert!(!error.request_was_sent(), "{url}");
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(
                    !shown.contains("user:") && !shown.contains("pass@"),
                    "{shown}"
                );
            }
        }
        let uri = http::Uri::from_static("/only/a/path");
        assert_eq!(
            client().fetch(uri).await.unwrap_err().kind(),
            ErrorKind::InvalidUrl
        );
        assert_eq!(server.connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_is_a_tower_service() {
    in_time(async {
        let server = Server::tls(|request| match request.path() {
            "/" => (
                reply("307 Temporary Redirect", "location: /there\r\n", ""),
                Then::Stay,
            ),
            _ => (reply("200 OK", "x-mine: 1\r\n", "there"), Then::Stay),
        })
        .await;
        let mut client = client();
        std::future::poll_fn(|cx| {
            Service::<http::Request<Full<Bytes>>>::poll_ready(&mut client, cx)
        })
        .await
        .unwrap();
        let request = http::Request::get(server.url("/")).header("x-yours", "2");
        let response = client
            .call(request.body(Full::new(Bytes::new())).unwrap())
            .await
            .unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, http::Version::HTTP_11)
        );
        assert_eq!(response.headers()["x-mine"], "1");
        assert!(
            response
                .extensions()
                .get::<Arc<Verdict>>()
                .unwrap()
                .is_verified()
        );
        assert!(response.extensions().get::<Timings>().is_some());
        let hops = response.extensions().get::<Vec<Hop>>().unwrap();
        assert_eq!((hops.len(), hops[0].status().as_u16()), (1, 307));
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "there"
        );
        assert_eq!(server.last().header("x-yours"), "2");

        let post = http::Request::post(server.url("/there")).body(Full::new(Bytes::from("abc")));
        client.call(post.unwrap()).await.unwrap();
        assert_eq!(
            (
                server.last().header("content-length"),
                server.last().payload
            ),
            ("3".into(), b"abc".to_vec())
        );
        let unknown = http_body_util::StreamBody::new(pieces(&["ab", "c"]).frames());
        let post = http::Request::post(server.url("/there")).body(unknown);
        client.call(post.unwrap()).await.unwrap();
        assert_eq!(server.last().header("transfer-encoding"), "chunked");
        assert_eq!(server.last().payload, b"abc");
        let bad = http::Request::get("/no/host")
            .body(Full::new(Bytes::new()))
            .unwrap();
        assert_eq!(
            client.call(bad).await.unwrap_err().kind(),
            ErrorKind::InvalidUrl
        );
    })
    .await;
}

/// A server of a protocol that is not HTTP.
async fn echo_server() -> Server {
    Server::start("https", Some("http/1.1"), |mut talk| async move {
        let Some(line) = talk.line("\n").await else {
            return;
        };
        let alpn = talk.protocol();
        talk.say(format!("{line} {alpn:?}\n")).await.unwrap();
        talk.end(Then::Close).await;
    })
    .await
}

#[tokio::test]
async fn a_verified_stream_carries_any_protocol() {
    in_time(async {
        let server = echo_server().await;
        let port = server.addr.port();
        let client = client();
        let tcp = || TcpStream::connect(server.addr);
        let connected = client.connect(HOST, port).await.unwrap();
        let by_ip = client.connect("127.0.0.1", port).await.unwrap();
        let wrapped = client.wrap(tcp().await.unwrap(), HOST).await.unwrap();
        for mut stream in [connected, by_ip, wrapped] {
            assert!(stream.verdict().is_verified());
            stream.write_all(b"hello\n").await.unwrap();
            let mut line = String::new();
            stream.read_to_string(&mut line).await.unwrap();
            assert_eq!(line, "hello None\n", "no ALPN was offered");
        }
        // Any transport will do.
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let relay = async {
            let mut tcp = tcp().await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut theirs, &mut tcp).await;
        };
        let talk = async {
            let mut stream = client.wrap(ours, HOST).await.unwrap();
            stream.write_all(b"hello\n").await.unwrap();
            let mut line = String::new();
            stream.read_to_string(&mut line).await.unwrap();
            line
        };
        tokio::select! {
            line = talk => assert_eq!(line, "hello None\n"),
            () = relay => {}
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_to_a_wrong_host_is_refused() {
    in_time(async {
        let server = echo_server().await;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, server.addr.port()));
        let client = builder().resolve("other.test", [addr]).build().unwrap();
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        for outcome in [
            client.connect("other.test", 5433).await.map(drop),
            client.wrap(tcp, "other.test").await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.kind(), error.code()),
                (ErrorKind::Certificate, "hostname-mismatch")
            );
            assert!(!error.request_was_sent());
            assert!(!error.verdict().unwrap().is_verified());
        }
        for host in ["", "a/b", "user@script.test", "script.test:1", "a..b"] {
            let error = client.connect(host, 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{host}");
        }
    })
    .await;
}
