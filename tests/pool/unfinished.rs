//! What becomes of a connection whose request or response was left unfinished.

use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use http::Response;
use tokio::sync::{Notify, mpsc};
use urlfetch::{Bytes, ErrorKind, Method, Payload, Phase};

use crate::site::{Http1, Http2, Once, Site, endless, only, overflowing};
use crate::{serve, soon};

#[tokio::test]
async fn a_response_dropped_before_its_end_closes_its_http1_connection() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let site = Site::start("http/1.1", move |n, stream| {
        let closed = closed.clone();
        async move {
            let mut http = Http1::new(stream);
            if n == 0 {
                http.head().await.unwrap();
                http.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe first")
                    .await;
                http.closed().await;
                closed.send(()).unwrap();
            }
            http.echo().await;
        }
    })
    .await;
    let client = site.client();
    let mut response = client.fetch(site.url("/a")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "the first");
    let second = client.fetch(site.url("/b")).await.unwrap();
    assert_eq!(second.text().await.unwrap(), "/b");
    drop(response);
    soon(was_closed.recv()).await.unwrap();
    let third = client.fetch(site.url("/c")).await.unwrap();
    assert_eq!(third.text().await.unwrap(), "/c");
    assert_eq!(site.connections(), 2);
}

#[tokio::test]
async fn a_response_dropped_before_its_end_cancels_its_http2_stream_alone() {
    let (reset, mut was_reset) = mpsc::unbounded_channel();
    let site = Site::start("h2", move |_, stream| {
        let reset = reset.clone();
        async move {
            let mut h2 = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = h2.accept().await {
                let reset = reset.clone();
                tokio::spawn(async move {
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    if request.uri().path() == "/endless" {
                        // More than fits the windows of the stream and the connection.
                        body.send_data(Bytes::from(vec![0; 32 << 20]), false)
                            .unwrap();
                        let reason = std::future::poll_fn(|cx| body.poll_reset(cx)).await;
                        reset.send(reason.unwrap()).unwrap();
                    } else {
                        body.send_data("whole".into(), true).unwrap();
                    }
                });
            }
        }
    })
    .await;
    let client = site.client();
    // The windows must be given back each time, or the connection would stand still.
    for _ in 0..8 {
        let mut endless = client.fetch(site.url("/endless")).await.unwrap();
        endless.chunk().await.unwrap().unwrap();
        let mut other = client.fetch(site.url("/")).await.unwrap();
        drop(endless);
        assert_eq!(soon(was_reset.recv()).await.unwrap(), Reason::CANCEL);
        assert_eq!(other.chunk().await.unwrap().unwrap(), "whole");
    }
    assert_eq!(site.connections(), 1);
}

/// The server answers before it has read the payload, which is a stream without an end.
#[tokio::test]
async fn a_reply_that_overtakes_its_payload_ends_the_upload() {
    let site = Site::start("http/1.1", |n, stream| async move {
        let mut http = Http1::new(stream);
        if n == 0 {
            http.head().await.unwrap();
            http.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
                .await;
            http.closed().await;
        }
        http.echo().await;
    })
    .await;
    let client = site.client();
    let (payload, mut dropped) = endless();
    let request = client.fetch(site.url("/a")).method(Method::PUT);
    let response = request.payload(payload).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.text().await.unwrap(), "no");
    soon(dropped.recv()).await;
    let second = client.fetch(site.url("/b")).await.unwrap();
    assert_eq!(second.text().await.unwrap(), "/b");
    assert_eq!(site.connections(), 2);
}

/// The same where the payload is known whole, and the server reads nothing of it: what waits to be
/// written must not stand in the way of the next request.
#[tokio::test]
async fn a_request_does_not_queue_behind_a_payload_that_nobody_reads() {
    let site = Site::start("http/1.1", |n, stream| async move {
        let mut http = Http1::new(stream);
        if n == 0 {
            http.head().await.unwrap();
            http.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
                .await;
            std::future::pending::<()>().await;
        }
        http.echo().await;
    })
    .await;
    let client = site.client();
    let request = client.fetch(site.url("/a")).method(Method::PUT);
    let response = request.payload(vec![0; 64 << 20]).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "no");
    let second = client.fetch(site.url("/b")).await.unwrap();
    assert_eq!(second.text().await.unwrap(), "/b");
    assert_eq!(site.connections(), 2);
}

/// And where hyper has taken all of it, and holds what the sockets have no room for: somewhere among
/// these sizes. Nobody waits for that, and when nobody is left the connection ends.
#[tokio::test]
async fn a_request_does_not_queue_behind_the_rest_of_a_payload_that_nobody_reads() {
    let site = Site::start("http/1.1", |_, stream| async move {
        let mut http = Http1::new(stream);
        http.head().await.unwrap();
        http.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    for size in (2_500_000..7_000_000).step_by(300_000) {
        let client = site.client();
        for _ in 0..2 {
            let request = client.fetch(site.url("/")).method(Method::PUT);
            let request = request.payload(vec![0; size]);
            // A connection that seems free is one on which this server does not answer again.
            match request.deadline(Duration::from_millis(300)).await {
                Ok(response) => assert_eq!(response.text().await.unwrap(), "no"),
                Err(error) => assert_ne!(error.phase(), Some(Phase::Queued), "{size} {error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_reply_that_overtakes_its_payload_ends_the_upload_on_http2() {
    let (reset, mut was_reset) = mpsc::unbounded_channel();
    let site = Site::start("h2", move |_, stream| {
        let reset = reset.clone();
        async move {
            let mut h2 = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = h2.accept().await {
                respond.send_response(Response::new(()), true).unwrap();
                let reset = reset.clone();
                tokio::spawn(async move {
                    let mut payload = request.into_body();
                    while let Some(Ok(_)) = payload.data().await {}
                    reset.send(()).unwrap();
                });
            }
        }
    })
    .await;
    let client = site.client();
    for _ in 0..2 {
        let (payload, mut dropped) = endless();
        let request = client.fetch(site.url("/")).method(Method::PUT);
        let response = request.payload(payload).await.unwrap();
        response.bytes().await.unwrap();
        soon(dropped.recv()).await;
        soon(was_reset.recv()).await.unwrap();
    }
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn a_fetch_that_is_dropped_ends_its_upload() {
    for protocol in ["h2", "http/1.1"] {
        let arrived = Arc::new(Notify::new());
        let site = {
            let arrived = Arc::clone(&arrived);
            Site::start(protocol, move |_, stream| {
                let arrived = Arc::clone(&arrived);
                async move {
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        let mut h2 = h2::server::handshake(stream).await.unwrap();
                        while let Some(Ok(request)) = h2.accept().await {
                            arrived.notify_one();
                            tokio::spawn(async move {
                                let _request = request;
                                std::future::pending::<()>().await;
                            });
                        }
                    } else {
                        let mut http = Http1::new(stream);
                        http.head().await.unwrap();
                        arrived.notify_one();
                        http.closed().await;
                    }
                }
            })
            .await
        };
        let client = site.client();
        let (payload, mut dropped) = endless();
        let request = client.fetch(site.url("/")).method(Method::PUT);
        let fetch = tokio::spawn(request.payload(payload).into_future());
        soon(arrived.notified()).await;
        fetch.abort();
        assert!(fetch.await.unwrap_err().is_cancelled());
        soon(dropped.recv()).await;
    }
}

/// Nor does it wait for room that its peer never makes.
#[tokio::test]
async fn a_reply_ends_an_upload_that_has_no_room_on_http2() {
    let site = Site::start("h2", move |_, stream| async move {
        let mut h2 = h2::server::handshake(stream).await.unwrap();
        let mut unread = Vec::new();
        while let Some(Ok((request, mut respond))) = h2.accept().await {
            respond.send_response(Response::new(()), true).unwrap();
            unread.push(request);
        }
    })
    .await;
    let client = site.client();
    for reads in [true, false] {
        let (payload, mut dropped) = overflowing();
        let request = client.fetch(site.url("/")).method(Method::PUT);
        let response = request.payload(payload).await.unwrap();
        match reads {
            true => assert!(response.bytes().await.unwrap().is_empty()),
            false => drop(response),
        }
        soon(dropped.recv()).await;
    }
    assert_eq!(site.connections(), 1);
}

/// RFC 9113 section 8.1: by NO_ERROR a server says that it does not want the rest of the payload,
/// after the end of its response. Without that end the response is cut.
#[tokio::test]
async fn an_http2_body_that_is_cut_off_while_it_is_uploaded_to_is_no_body() {
    for is_whole in [true, false] {
        let seen = Arc::new(Notify::new());
        let site = {
            let seen = Arc::clone(&seen);
            Site::start("h2", move |_, stream| {
                let seen = Arc::clone(&seen);
                async move {
                    let mut http = Http2::new(stream).await;
                    let mut settings = 1;
                    while let Some(id) = http.head().await {
                        match is_whole {
                            true => http.reply(id, "half").await,
                            false => http.begin_reply(id, "half").await,
                        }
                        http.reset(id, Reason::NO_ERROR).await;
                        // What is acknowledged comes after all that was before it.
                        http.allow(100).await;
                        settings += 1;
                        http.settle(settings).await.unwrap();
                        seen.notify_one();
                    }
                }
            })
            .await
        };
        let client = site.client();
        for (payload, _dropped) in [endless(), overflowing()] {
            let request = client.fetch(site.url("/")).method(Method::PUT);
            let response = request.payload(payload).await.unwrap();
            soon(seen.notified()).await;
            match (response.bytes().await, is_whole) {
                (Ok(body), true) => assert_eq!(body, "half"),
                (Err(error), false) => assert_eq!(error.kind(), ErrorKind::ConnectionClosed),
                (outcome, _) => panic!("{is_whole} {outcome:?}"),
            }
        }
    }
}

/// The codec lets go of a piece of the payload under its own lock, which is of no use after a panic
/// there.
#[tokio::test]
async fn a_piece_that_panics_when_it_goes_leaves_its_host_to_others() {
    struct Panics;
    impl AsRef<[u8]> for Panics {
        fn as_ref(&self) -> &[u8] {
            b"piece"
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("as the test has it");
        }
    }
    let site = Site::start("h2", move |_, stream| async move {
        let mut http = Http2::new(stream).await;
        while let Some(id) = http.request().await {
            http.reply(id, "hello").await;
        }
    })
    .await;
    let client = site.client();
    let payload = only(Bytes::from_owner(Panics));
    let request = client.fetch(site.url("/")).method(Method::PUT);
    let request = request
        .deadline(Duration::from_millis(300))
        .payload(payload);
    let error = tokio::spawn(request.into_future()).await.unwrap();
    error.unwrap_err();
    let response = soon(client.fetch(site.url("/")).into_future())
        .await
        .unwrap();
    assert_eq!(response.bytes().await.unwrap(), "hello");
    assert_eq!(site.connections(), 1);
}

/// RFC 9113 section 8.1 has NO_ERROR after a whole response. Before its end it is a cut like any
/// other.
#[tokio::test]
async fn an_http2_body_that_is_cut_off_is_no_body_with_any_code() {
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let site = Site::start("h2", move |_, stream| async move {
            let mut http = Http2::new(stream).await;
            while let Some(id) = http.request().await {
                http.begin_reply(id, "half").await;
                http.reset(id, reason).await;
            }
        })
        .await;
        let response = site.client().fetch(site.url("/")).await.unwrap();
        let error = response.bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{reason:?}");
    }
}

#[tokio::test]
async fn a_payload_that_panics_ends_its_own_fetch_by_name() {
    for protocol in ["http/1.1", "h2"] {
        let site = Site::start(protocol, move |n, stream| async move {
            match (protocol, n) {
                ("h2", _) => {
                    let mut http = Http2::new(stream).await;
                    while let Some(id) = http.request().await {
                        http.reply(id, "/next").await;
                    }
                }
                (_, 0) => Http1::new(stream).closed().await,
                _ => serve(stream).await,
            }
        })
        .await;
        let client = site.client();
        let payload = Payload::stream(Once::that_panics());
        let request = client.fetch(site.url("/")).method(Method::POST);
        let error = request.payload(payload).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Payload, "{error}");
        let now = client.pool_stats().now;
        // An h2 connection is everybody's, and stays.
        let kept = usize::from(protocol == "h2");
        assert_eq!((now.http2, now.in_use, now.streams), (kept, 0, 0));
        let next = client.fetch(site.url("/next")).await.unwrap();
        assert_eq!(next.text().await.unwrap(), "/next");
    }
}
