//! Which connection serves a request: reuse, sharing, what is never shared, and what becomes of a
//! connection whose request or response was left unfinished.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, ErrorKind, Method};

mod kept;
mod queue;
mod replay;
mod site;
mod soak;
mod streams;
mod unfinished;

use site::{HOSTS, Http1, Http2, Site};

#[tokio::test]
async fn sequential_calls_share_one_connection() {
    let lab = Lab::start().await.unwrap();
    for scenario in [Scenario::Good, Scenario::GoodHttp1, Scenario::Tls12Only] {
        let client = lab.client().unwrap();
        for path in [
            "/",
            "/bytes/100000",
            "/status/204",
            "/status/304",
            "/bytes/0",
        ] {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                let request = client.fetch(lab.url_to(scenario, path)).method(method);
                request.await.unwrap().bytes().await.unwrap();
            }
        }
        assert_eq!(lab.connections(scenario), 1, "{scenario}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_calls_to_one_http2_host_open_one_connection() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    for _ in 0..3 {
        fetch_at_once(&client, lab.url_to(Scenario::Good, "/bytes/1000"), COLD).await;
    }
    assert_eq!(lab.connections(Scenario::Good), 1);
}

#[tokio::test]
async fn concurrent_http1_calls_have_a_connection_each_and_32_are_kept() {
    let arrived = Arc::new(Barrier::new(COLD));
    let site = {
        let arrived = Arc::clone(&arrived);
        Site::start("http/1.1", move |_, stream| {
            let arrived = Arc::clone(&arrived);
            async move {
                let mut http = Http1::new(stream);
                while http.request().await.is_some() {
                    // Nobody is answered before everybody is there, so that none can take turns.
                    arrived.wait().await;
                    http.reply("together").await;
                }
            }
        })
        .await
    };
    let client = site.client();
    fetch_at_once(&client, site.url("/"), COLD).await;
    assert_eq!(site.connections(), COLD);
    fetch_at_once(&client, site.url("/"), COLD).await;
    assert_eq!(site.connections(), COLD + (COLD - KEPT));
}

#[tokio::test]
async fn cold_calls_share_one_refusal_and_a_later_call_tries_anew() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let url = lab.url(Scenario::Expired);
    for dials in 1..=2 {
        let calls = (0..COLD).map(|_| client.fetch(&url).into_future());
        for outcome in all(calls).await {
            let error = outcome.unwrap_err();
            assert_eq!(error.code(), "expired");
            assert!(!error.request_was_sent());
        }
        assert_eq!(lab.connections(Scenario::Expired), dials);
    }
}

#[tokio::test]
async fn who_dials_for_all_may_go_away() {
    for protocol in ["h2", "http/1.1"] {
        let dialled = Arc::new(Notify::new());
        let site = {
            let dialled = Arc::clone(&dialled);
            Site::tcp(protocol, move |n, tcp, acceptor| {
                let dialled = Arc::clone(&dialled);
                async move {
                    if n < 2 {
                        // A handshake that is never answered.
                        dialled.notify_one();
                        return std::future::pending().await;
                    }
                    serve(acceptor.accept(tcp).await.unwrap()).await;
                }
            })
            .await
        };
        let client = site.client();
        let url = site.url("/");
        let leader = tokio::spawn(client.fetch(&url).into_future());
        soon(dialled.notified()).await;
        // The next in line has no time: his end is his own, and no failure of the host's.
        let hasty = tokio::spawn(client.fetch(&url).deadline(HASTE).into_future());
        tokio::task::yield_now().await;
        let waiting: Vec<_> = (0..COLD)
            .map(|_| client.fetch(&url).into_future())
            .collect();
        let waiting = tokio::spawn(all(waiting.into_iter()));
        tokio::task::yield_now().await;
        leader.abort();
        soon(dialled.notified()).await;
        let error = hasty.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        for outcome in waiting.await.unwrap() {
            outcome.unwrap();
        }
        match protocol {
            "h2" => assert_eq!(site.connections(), 3),
            _ => assert!(site.connections() <= 2 + COLD),
        }
    }
}

#[tokio::test]
async fn origins_and_demands_are_kept_apart() {
    for protocol in ["h2", "http/1.1"] {
        let one = Site::start(protocol, |_, stream| serve(stream)).await;
        let two = Site::start(protocol, |_, stream| serve(stream)).await;
        let client = one.client();
        // The certificate is good for both names, and both lead to one address: RFC 9113 section
        // 9.1.1 allows one h2 connection for them, and we do not take it.
        for (url, verified, connections) in [
            (one.url_of(HOSTS[0], "/"), true, 1),
            (one.url_of(HOSTS[1], "/"), true, 2),
            (one.url_of(HOSTS[0], "/"), false, 3),
            (one.url_of(HOSTS[1], "/"), false, 4),
            (one.url_of(HOSTS[0], "/x"), true, 4),
            (one.url_of(HOSTS[1], "/x"), true, 4),
            (one.url_of(HOSTS[0], "/x"), false, 4),
        ] {
            let request = client.fetch(&url).validate_certificate(verified);
            request.await.unwrap().bytes().await.unwrap();
            assert_eq!(one.connections(), connections, "{url}");
        }
        // Another port, and another client.
        assert_eq!(two.connections(), 0);
        two.client().fetch(two.url("/")).await.unwrap();
        assert_eq!((one.connections(), two.connections()), (4, 1));
        one.client().fetch(one.url("/")).await.unwrap();
        assert_eq!(one.connections(), 5);
    }
}

#[tokio::test]
async fn a_verified_call_never_takes_an_unverified_connection() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let url = lab.url_to(Scenario::SelfSigned, "/");
    for connections in [1, 2] {
        let request = client.fetch(&url).validate_certificate(false);
        request.await.unwrap().bytes().await.unwrap();
        let error = client.fetch(&url).await.unwrap_err();
        assert_eq!(error.code(), "self-signed");
        // One handshake for the unverified, which they share; each verified call breaks off its
        // own.
        assert_eq!(lab.handshakes(Scenario::SelfSigned), 1);
        assert_eq!(lab.connections(Scenario::SelfSigned), 1 + connections);
    }
}

#[tokio::test]
async fn a_reply_says_whether_its_connection_serves_another() {
    // (the first reply, whether the connection serves the second request)
    let rows = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-trailer: y\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
        // The next request would have to be of HTTP/1.0 too.
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
            false,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: Close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        // What follows a reply that nobody asked for could be taken for the next one.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
            false,
        ),
        (
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
            false,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n\r\n", false),
    ];
    for (reply, reused) in rows {
        let site = Site::start("http/1.1", move |n, stream| async move {
            let mut http = Http1::new(stream);
            if n == 0 {
                http.head().await.unwrap();
                http.write(reply).await;
            }
            http.echo().await;
        })
        .await;
        let client = site.client();
        client
            .fetch(site.url("/a"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let second = client.fetch(site.url("/b")).await.unwrap();
        assert_eq!(second.text().await.unwrap(), "/b", "{reply}");
        assert_eq!(site.connections() == 1, reused, "{reply}");
    }
}

/// Whether its peer is gone or only slow: what waits on it is left alone, and who comes next dials.
#[tokio::test]
async fn an_http2_connection_that_fell_silent_is_nobody_elses() {
    let site = Site::start("h2", |n, stream| async move {
        let mut h2 = Http2::new(stream).await;
        let stream = h2.request().await.unwrap();
        h2.reply(stream, "ok").await;
        if n == 0 {
            std::future::pending::<()>().await;
        }
        while let Some(stream) = h2.request().await {
            h2.reply(stream, "ok").await;
        }
    })
    .await;
    let client = site.client();
    let fetch = |path| client.fetch(site.url(path));
    fetch("/a").await.unwrap().bytes().await.unwrap();
    let silence = fetch("/b").deadline(Duration::from_millis(200));
    assert_eq!(silence.await.unwrap_err().kind(), ErrorKind::Deadline);
    for _ in 0..2 {
        fetch("/c").await.unwrap().bytes().await.unwrap();
        assert_eq!(site.connections(), 2);
    }
}

#[tokio::test]
async fn a_request_that_asks_to_close_is_the_last_of_its_connection() {
    let site = Site::start("http/1.1", |_, stream| serve(stream)).await;
    let client = site.client();
    for connections in 1..=2 {
        let request = client.fetch(site.url("/")).header("connection", "close");
        request.await.unwrap().bytes().await.unwrap();
        assert_eq!(site.connections(), connections);
    }
}

async fn fetch_at_once(client: &Client, url: String, calls: usize) {
    let fetches = (0..calls).map(|_| {
        let request = client.fetch(&url);
        async move { request.await.unwrap().bytes().await.unwrap() }
    });
    all(fetches).await;
}

/// The outcomes of tasks that run at once.
async fn all<F>(futures: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: JoinSet<_> = futures.collect();
    soon(tasks.join_all()).await
}

/// What is awaited, if it comes at all.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(HANG, future).await.unwrap()
}

/// Serves what ALPN chose: every path is answered with itself.
async fn serve(stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Http1::new(stream).echo().await;
    }
    let mut h2 = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = h2.accept().await {
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        let path = request.uri().path().to_owned();
        body.send_data(path.into(), true).unwrap();
    }
}

/// Calls that come at once.
const COLD: usize = 64;

/// Idle connections that are kept for a host.
const KEPT: usize = 32;

/// Less than any handshake with a server that does not answer.
const HASTE: Duration = Duration::from_millis(50);

/// No wait is so long that does not last for ever.
const HANG: Duration = Duration::from_secs(20);
