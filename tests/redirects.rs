//! Redirects between real servers: what the next one receives, what goes no further, and what is
//! not followed at all.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::sync::Arc;

use script::{HOST, Received, Server, Then, builder, client, in_time, pieces, reply};
use urlfetch::{ErrorKind, Method, Payload, RequestBuilder, Response};

/// Answers `/go?STATUS=LOCATION` with that redirect, and all else with 200.
fn go(request: &Received) -> (Vec<u8>, Then) {
    let reply = match request.path().strip_prefix("/go?") {
        Some(asked) => {
            let (status, location) = asked.split_once('=').unwrap();
            let location = location.replace("%23", "#");
            reply(
                &format!("{status} Go"),
                &format!("location: {location}\r\n"),
                "moved",
            )
        }
        None => reply("200 OK", "", "there"),
    };
    let body = match request.line.starts_with("HEAD ") {
        true => "moved".len(),
        false => 0,
    };
    (reply[..reply.len() - body].to_vec(), Then::Stay)
}

/// What came back and by which hops, its body read.
async fn follow(request: RequestBuilder) -> (Response, Vec<u16>) {
    let mut response = request.await.unwrap();
    while response.chunk().await.unwrap().is_some() {}
    let hops = response
        .hops()
        .iter()
        .map(|hop| hop.status().as_u16())
        .collect();
    (response, hops)
}

#[tokio::test]
async fn status_and_method_say_what_the_next_server_receives() {
    in_time(async {
        let server = Server::tls(go).await;
        let client = client();
        for status in [301, 302, 303, 307, 308] {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
                let shown = format!("{status} {method}");
                let request = client
                    .fetch(server.url(&format!("/go?{status}=/there")))
                    .method(method.parse().unwrap())
                    .header("content-type", "text/plain")
                    .header("content-language", "en")
                    .header("expect", "100-continue")
                    .header("x-kept", "1")
                    .payload("payload");
                let (response, hops) = follow(request).await;
                assert_eq!(hops, [status], "{shown}");
                assert_eq!(response.url().path(), "/there");
                let [.., first, last] = &server.requests()[..] else {
                    unreachable!()
                };
                assert_eq!(first.payload, b"payload", "{shown}");
                let keeps = status >= 307;
                let next = if keeps || method == "HEAD" {
                    method
                } else {
                    "GET"
                };
                assert_eq!(last.line, format!("{next} /there"), "{shown}");
                assert_eq!(
                    last.payload,
                    if keeps { &b"payload"[..] } else { b"" },
                    "{shown}"
                );
                for header in [
                    "content-type",
                    "content-language",
                    "content-length",
                    "expect",
                ] {
                    assert_eq!(last.has(header), keeps, "{shown} {header}");
                }
                assert!(!last.has("transfer-encoding"));
                assert_eq!(last.header("x-kept"), "1", "{shown}");
            }
        }
        // The bodies of the redirects were read, and their connection was used on.
        assert_eq!(server.connections(), 1);
        for status in [200, 201, 300, 304, 305, 306, 309, 399, 404] {
            let (response, hops) =
                follow(client.fetch(server.url(&format!("/go?{status}=/there")))).await;
            assert_eq!((response.status().as_u16(), hops), (status, vec![]));
        }
    })
    .await;
}

#[tokio::test]
async fn a_payload_that_cannot_be_replayed_is_refused_and_one_that_is_dropped_is_not() {
    in_time(async {
        let server = Server::tls(go).await;
        let client = client();
        for (status, follows) in [(301, true), (303, true), (307, false), (308, false)] {
            let stream = Payload::stream(pieces(&["ab", "c"]));
            let fetch = client.fetch(server.url(&format!("/go?{status}=/there")));
            let outcome = fetch.method(Method::POST).payload(stream).await;
            match outcome {
                Ok(response) => assert!(follows && response.url().path() == "/there", "{status}"),
                Err(error) => {
                    assert!(!follows, "{status} {error}");
                    assert_eq!(error.kind(), ErrorKind::RedirectRefused);
                    assert!(error.request_was_sent());
                    assert_eq!(error.url().unwrap().path(), "/go");
                    assert!(error.verdict().unwrap().is_verified());
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn locations_lead_where_the_url_standard_says() {
    in_time(async {
        let there = Server::tls(go).await;
        let server = Server::tls(go).await;
        let (port, other) = (server.addr.port(), there.addr.port());
        let absolute = there.url("/x?y");
        let scheme_relative = format!("//{HOST}:{other}/x");
        for (from, location, arrives, fragment) in [
            ("", "/x?y=1", "/x?y=1", None),
            ("", "x", "/x", None),
            ("", "../x/./y", "/x/y", None),
            ("", "?q", "/go?q", None),
            ("", absolute.as_str(), "/x?y", None),
            ("", scheme_relative.as_str(), "/x", None),
            ("", "/\u{e9} \u{1f600}", "/%C3%A9%20%F0%9F%98%80", None),
            // RFC 9110 §10.2.2.
            ("", "/x%23new", "/x", Some("new")),
            ("#old", "/x", "/x", Some("old")),
            ("#old", "/x%23new", "/x", Some("new")),
            ("#old", absolute.as_str(), "/x?y", Some("old")),
        ] {
            // Sent as it is: a client's own URL parser would have encoded it.
            let raw = location.replace("%23", "#");
            let start = Server::tls(move |request| match request.path() {
                "/go" => (
                    reply("302 Found", &format!("location: {raw}\r\n"), ""),
                    Then::Stay,
                ),
                _ => (reply("200 OK", "", ""), Then::Stay),
            })
            .await;
            let response = client()
                .fetch(start.url(&format!("/go{from}")))
                .await
                .unwrap();
            let url = response.url();
            let server = if url.port() == Some(other) {
                &there
            } else {
                &start
            };
            assert_eq!(server.last().path(), arrives, "{location}");
            assert_eq!(url.fragment(), fragment, "{from} {location}");
            assert_eq!(url.port(), Some(server.addr.port()));
        }
        assert_ne!(port, other);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_safe_or_not_a_location_is_not_followed() {
    use ErrorKind::{InvalidUrl, MalformedReply, RedirectRefused};
    in_time(async {
        let plain = Server::plain(go).await;
        let long = format!("location: /{}\r\n", "a".repeat(60_000));
        let to_plain = format!("location: {}\r\n", plain.url("/"));
        let with_user = "location: https://user:secret@script.test/\r\n";
        let rows = [
            ("", MalformedReply),
            ("location:\r\n", MalformedReply),
            ("location: /a\r\nlocation: /b\r\n", MalformedReply),
            ("location: /a\r\nlocation: /a\r\n", MalformedReply),
            ("location: https://\r\n", MalformedReply),
            ("location: https://[::1\r\n", MalformedReply),
            ("location: //a:99999/\r\n", MalformedReply),
            (to_plain.as_str(), RedirectRefused),
            ("location: http://script.test/\r\n", RedirectRefused),
            (with_user, RedirectRefused),
            ("location: //user@script.test/\r\n", RedirectRefused),
            ("location: file:///etc/passwd\r\n", RedirectRefused),
            ("location: ftp://script.test/\r\n", RedirectRefused),
            ("location: javascript:alert(1)\r\n", RedirectRefused),
            ("location: data:text/plain,x\r\n", RedirectRefused),
            ("location: gopher://127.0.0.1:6379/_x\r\n", RedirectRefused),
            ("location: https://script.test:0/\r\n", RedirectRefused),
        ];
        for (headers, expected) in rows {
            let answer = reply("302 Found", headers, "");
            let server = Server::tls(move |_| (answer.clone(), Then::Stay)).await;
            let outcome = client().fetch(server.url("/start?q")).await;
            let error = outcome
                .map(|response| response.status())
                .expect_err(headers);
            assert_eq!(error.kind(), expected, "{headers}: {error}");
            assert!(error.request_was_sent(), "{headers}");
            assert_eq!(
                error.url().unwrap().as_str(),
                server.url("/start"),
                "{headers}"
            );
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
            assert!(error.verdict().unwrap().is_verified());
            assert_eq!(server.requests().len(), 1, "{headers}");
        }
        // A host that the url crate takes and that nobody can verify: it is that URL which is
        // wrong.
        for host in ["a..b", "-a.test"] {
            let answer = reply(
                "302 Found",
                &format!("location: https://{host}/there?q\r\n"),
                "",
            );
            let server = Server::tls(move |_| (answer.clone(), Then::Stay)).await;
            let error = client().fetch(server.url("/")).await.unwrap_err();
            assert_eq!(error.kind(), InvalidUrl, "{error}");
            assert_eq!(
                error.url().unwrap().as_str(),
                format!("https://{host}/there")
            );
            assert!(!error.request_was_sent(), "of that hop nothing was");
        }
        // A Location that is long and good is followed.
        let answer = reply("302 Found", &long, "");
        let server = Server::tls(move |request| match request.path() {
            "/" => (answer.clone(), Then::Stay),
            _ => (reply("200 OK", "", ""), Then::Stay),
        })
        .await;
        assert_eq!(
            client()
                .fetch(server.url("/"))
                .await
                .unwrap()
                .url()
                .path()
                .len(),
            60_001
        );
        assert_eq!(plain.connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn from_http_to_https_is_no_downgrade_and_http_stays_where_it_is_allowed() {
    in_time(async {
        let tls = Server::tls(go).await;
        let plain = Server::plain(go).await;
        let up = plain.url(&format!("/go?301={}", tls.url("/there")));
        let response = client().fetch(&up).await.unwrap();
        assert!(response.verdict().unwrap().is_verified());
        assert!(response.hops()[0].verdict().is_none());
        let down = tls.url(&format!("/go?301={}", plain.url("/there")));
        let up_and_down = plain.url(&format!("/go?301={down}"));
        let error = client().fetch(&up_and_down).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{error}");
        let across = client().fetch(plain.url("/go?302=/there")).await.unwrap();
        assert_eq!(across.url().path(), "/there");
    })
    .await;
}

#[tokio::test]
async fn another_origin_gets_what_says_nothing_of_the_caller_and_nothing_comes_back() {
    let secret = [
        ("authorization", "Bearer secret"),
        ("cookie", "secret=1"),
        ("x-api-key", "secret"),
        ("x-secret", "secret"),
        ("referer", "https://secret.test/"),
        ("origin", "https://secret.test"),
        ("host", "secret.test"),
    ];
    let open = [
        ("accept", "text/html"),
        ("accept-language", "en"),
        ("accept-encoding", "gzip"),
        ("user-agent", "me"),
        ("range", "bytes=0-"),
        ("if-none-match", "\"x\""),
        ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("cache-control", "no-cache"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("tracestate", "a=b"),
    ];
    in_time(async {
        let first = Arc::new(Server::tls(go).await);
        // Another port is another origin, and so is another name of the same server.
        let other = Server::tls(go).await;
        let by_ip = format!("https://127.0.0.1:{}", first.addr.port());
        for away in [other.url(""), by_ip] {
            for status in [302, 307] {
                let back = format!("{away}/go?{status}={}", first.url("/back"));
                let start = first.url(&format!("/go?{status}={back}"));
                let fetch = client()
                    .fetch(&start)
                    .method(Method::POST)
                    .payload("payload");
                let fetch = fetch
                    .header("content-type", "text/plain")
                    .header("digest", "x");
                let fetch = secret
                    .iter()
                    .chain(&open)
                    .fold(fetch, |fetch, (name, value)| fetch.header(*name, *value));
                let (response, hops) = follow(fetch).await;
                assert_eq!(hops, [status, status]);
                assert_eq!(response.url().as_str(), first.url("/back"));
                let mut seen = first.requests();
                seen.extend(other.requests());
                let seen = |path: &str| {
                    seen.iter()
                        .rfind(|request| request.path().starts_with(path))
                        .unwrap()
                        .clone()
                };
                let started = seen(&format!("/go?{status}={away}"));
                assert_eq!(started.header("authorization"), "Bearer secret");
                assert_eq!(started.header("host"), "secret.test");
                for request in [
                    seen(&format!("/go?{status}={}/back", &first.url(""))),
                    seen("/back"),
                ] {
                    for (name, _) in secret.iter().filter(|(name, _)| *name != "host") {
                        assert!(!request.has(name), "{name} {}", request.line);
                    }
                    assert!(!format!("{request:?}").contains("secret"), "{request:?}");
                    assert!(!request.has("digest"));
                    for (name, value) in open {
                        assert_eq!(request.header(name), value, "{}", request.line);
                    }
                    let keeps = status == 307;
                    assert_eq!(
                        request.header("content-type"),
                        if keeps { "text/plain" } else { "" }
                    );
                    assert_eq!(request.payload, if keeps { &b"payload"[..] } else { b"" });
                }
                assert_eq!(
                    seen("/back").header("host"),
                    format!("{HOST}:{}", first.addr.port())
                );
            }
        }
        // Within the origin all of it goes along.
        client()
            .fetch(first.url("/go?302=/there"))
            .header("x-api-key", "secret")
            .await
            .unwrap();
        assert_eq!(first.last().header("x-api-key"), "secret");
    })
    .await;
}

#[tokio::test]
async fn five_are_followed_and_the_sixth_is_one_too_many() {
    in_time(async {
        // `/N` leads to `/N-1`, and `/0` is a response.
        let server = Server::tls(
            |request| match request.path()[1..].parse::<u32>().unwrap() {
                0 => (reply("200 OK", "", ""), Then::Stay),
                left => (
                    reply("302 Found", &format!("location: /{}\r\n", left - 1), ""),
                    Then::Stay,
                ),
            },
        )
        .await;
        let fetch = |count: u32| client().fetch(server.url(&format!("/{count}")));
        for (request, count, followed) in [
            (fetch(5), 5, Some(5)),
            (fetch(6), 6, None),
            (fetch(0).max_redirects(0), 0, Some(0)),
            (fetch(1).max_redirects(0), 1, None),
            (fetch(2).max_redirects(2), 2, Some(2)),
            (fetch(3).max_redirects(2), 3, None),
            (fetch(9).max_redirects(9), 9, Some(9)),
            (fetch(3).follow_redirects(false), 3, Some(0)),
            (
                fetch(3).follow_redirects(false).max_redirects(0),
                3,
                Some(0),
            ),
        ] {
            match (request.await, followed) {
                (Ok(response), Some(followed)) => {
                    assert_eq!(response.hops().len(), followed);
                    for (hop, at) in response.hops().iter().zip((0..=count).rev()) {
                        assert_eq!(hop.url().as_str(), server.url(&format!("/{at}")));
                        assert_eq!(hop.status(), 302);
                        assert!(hop.verdict().unwrap().is_verified());
                    }
                }
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::TooManyRedirects);
                    assert!(error.request_was_sent());
                }
                (outcome, _) => assert!(outcome.is_err() && followed.is_none(), "{outcome:?}"),
            }
        }
        let before = server.requests().len();
        let per_client = builder().max_redirects(1).build().unwrap();
        let error = per_client.fetch(server.url("/2")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooManyRedirects);
        assert_eq!(error.url().unwrap().path(), "/1");
        assert_eq!(
            server.requests().len(),
            before + 2,
            "the second was not followed"
        );
    })
    .await;
}

/// A small body is read, so that its connection is used on. A large or endless one is left, and so
/// is its connection; nobody waits for it.
#[tokio::test]
async fn the_body_of_a_redirect_holds_nobody_up() {
    let head = |framing: &str| format!("HTTP/1.1 302 Found\r\nlocation: /there\r\n{framing}\r\n");
    let rows = [
        (head("content-length: 0\r\n"), "", 1),
        (head("content-length: 1000\r\n") + &"x".repeat(1000), "", 1),
        (
            head("transfer-encoding: chunked\r\n") + "5\r\nmoved\r\n0\r\n\r\n",
            "",
            1,
        ),
        (head("content-length: 65537\r\n"), "", 2),
        (head("content-length: 9"), "\r\n", 2),
        (head("content-length: 1099511627776\r\n"), "x", 2),
        (head(""), "x", 2),
        (head("transfer-encoding: chunked\r\n"), "1\r\nx\r\n", 2),
        // Not whole, not even chunks, or coded: nobody looks.
        (head("content-length: 9\r\n") + "moved", "", 2),
        (
            head("transfer-encoding: chunked\r\n") + "nonsense\r\n",
            "",
            2,
        ),
        (
            head("content-encoding: gzip, gzip\r\ncontent-length: 5\r\n") + "moved",
            "",
            1,
        ),
    ];
    in_time(async {
        for (row, (start, forever, connections)) in rows.into_iter().enumerate() {
            let server = Server::start("https", Some("http/1.1"), move |mut talk| {
                let start = start.clone();
                async move {
                    while let Some(request) = talk.request().await {
                        if request.path() == "/there" {
                            talk.say(reply("200 OK", "", "there")).await.unwrap();
                            continue;
                        }
                        talk.say(&start).await.unwrap();
                        let block = forever.repeat(1000);
                        while !forever.is_empty() && talk.say(&block).await.is_ok() {}
                    }
                }
            })
            .await;
            let response = client().fetch(server.url("/")).await.unwrap();
            assert_eq!(response.hops().len(), 1);
            assert_eq!(response.text().await.unwrap(), "there", "{row}");
            assert_eq!(server.connections(), connections, "{row}");
        }
    })
    .await;
}
