//! May a request that failed be sent again? Each clause of the rule, by a server that fails it at
//! that moment and counts what it was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use h2::Reason;
use tokio::sync::{Barrier, Semaphore};
use urlfetch::{Client, Error, ErrorKind, Method, Payload, Phase};

use crate::site::{HangUp, Http1, Http2, Once, Site, target};

/// What a server does to the request after the first of its first connection. Everything else is
/// answered, and by then the client may well have gone elsewhere.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is read whole, and the connection ends without an answer.
    Unanswered(HangUp),
    /// The connection ends within the head of the answer.
    Begun(HangUp),
    /// The connection ends after an interim answer (RFC 9110 §15.2).
    Interim(HangUp),
}

#[tokio::test]
async fn a_reused_http1_connection_that_dies_is_replaced_if_nothing_can_happen_twice() {
    use Fate::{Begun, Interim, Unanswered};
    use HangUp::{Close, Cut, Reset};
    let none = || Payload::from("");
    let whole = || Payload::from("payload");
    let stream = || Payload::stream(Once::new("payload"));
    // (what becomes of the request, its method, its payload, whether it is sent again)
    let rows: [(Fate, Method, Make<'_>, bool); 22] = [
        (Unanswered(Close), Method::GET, &none, true),
        (Unanswered(Cut), Method::GET, &none, true),
        (Unanswered(Reset), Method::GET, &none, true),
        (Unanswered(Close), Method::HEAD, &none, true),
        (Unanswered(Close), Method::DELETE, &whole, true),
        (Unanswered(Close), Method::PUT, &whole, true),
        (Unanswered(Reset), Method::PUT, &whole, true),
        (Unanswered(Cut), Method::PUT, &whole, true),
        (Unanswered(Cut), Method::OPTIONS, &none, true),
        (Unanswered(Cut), Method::TRACE, &none, true),
        // Not idempotent.
        (Unanswered(Close), Method::POST, &whole, false),
        (Unanswered(Reset), Method::POST, &whole, false),
        (Unanswered(Cut), Method::POST, &whole, false),
        (Unanswered(Cut), Method::POST, &none, false),
        (Unanswered(Close), Method::PATCH, &whole, false),
        // Not replayable.
        (Unanswered(Close), Method::PUT, &stream, false),
        (Unanswered(Reset), Method::PUT, &stream, false),
        // Answered.
        (Begun(Close), Method::GET, &none, false),
        (Begun(Cut), Method::GET, &none, false),
        (Begun(Reset), Method::PUT, &whole, false),
        (Interim(Close), Method::GET, &none, false),
        (Interim(Cut), Method::PUT, &whole, false),
    ];
    for (fate, method, payload, replayed) in rows {
        let seen = Arc::new(AtomicUsize::new(0));
        let site = {
            let seen = Arc::clone(&seen);
            Site::start("http/1.1", move |n, stream| {
                let seen = Arc::clone(&seen);
                async move {
                    let mut http = Http1::new(stream);
                    if n > 0 {
                        while http.request().await.is_some() {
                            seen.fetch_add(1, Ordering::SeqCst);
                            http.reply("again").await;
                        }
                        return;
                    }
                    http.request().await.unwrap();
                    http.reply("first").await;
                    http.request().await.unwrap();
                    seen.fetch_add(1, Ordering::SeqCst);
                    match fate {
                        Unanswered(how) => http.hang_up(how).await,
                        Begun(how) => {
                            http.write("HTTP/1.1 200").await;
                            http.hang_up(how).await;
                        }
                        Interim(how) => {
                            http.write("HTTP/1.1 100 Continue\r\n\r\n").await;
                            http.hang_up(how).await;
                        }
                    }
                }
            })
            .await
        };
        let client = site.client();
        first(&client, &site).await;
        let request = client.fetch(site.url("/")).method(method.clone());
        // A length, so that the server can tell the payload's end.
        let outcome = request.payload(payload().length(7)).await;
        match outcome {
            Ok(response) => {
                assert!(replayed, "{fate:?} {method}");
                assert_eq!(response.status(), 200);
                assert_eq!(seen.load(Ordering::SeqCst), 2, "{fate:?} {method}");
            }
            Err(error) => {
                assert!(!replayed, "{fate:?} {method}: {error}");
                assert_closed(&error);
                assert_eq!(seen.load(Ordering::SeqCst), 1, "{fate:?} {method}");
                assert_eq!(site.connections(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_not_replaced() {
    for how in [HangUp::Close, HangUp::Cut, HangUp::Reset] {
        let site = Site::start("http/1.1", move |_, stream| async move {
            let mut http = Http1::new(stream);
            http.request().await.unwrap();
            http.hang_up(how).await;
        })
        .await;
        let error = site.client().fetch(site.url("/")).await.unwrap_err();
        assert_closed(&error);
        assert_eq!(site.connections(), 1);
    }
}

#[tokio::test]
async fn a_request_is_replayed_once() {
    for how in [HangUp::Close, HangUp::Cut, HangUp::Reset] {
        let site = Site::start("http/1.1", move |n, stream| async move {
            let mut http = Http1::new(stream);
            if n == 0 {
                http.request().await.unwrap();
                http.reply("first").await;
            }
            http.request().await.unwrap();
            http.hang_up(how).await;
        })
        .await;
        let client = site.client();
        first(&client, &site).await;
        let error = client.fetch(site.url("/")).await.unwrap_err();
        assert_closed(&error);
        assert_eq!(site.connections(), 2);
        assert_eq!(client.pool_stats().replayed, 1);
    }
}

/// A server that restarts takes all idle connections with it. The one replay must not be spent on
/// the next of them.
#[tokio::test]
async fn a_replay_goes_by_a_fresh_connection() {
    for how in [HangUp::Close, HangUp::Cut, HangUp::Reset] {
        let both = Arc::new(Barrier::new(2));
        let site = Site::start("http/1.1", move |n, stream| {
            let both = Arc::clone(&both);
            async move {
                let mut http = Http1::new(stream);
                if n >= 2 {
                    return http.echo().await;
                }
                http.request().await.unwrap();
                both.wait().await;
                http.reply("first").await;
                http.request().await.unwrap();
                http.hang_up(how).await;
            }
        })
        .await;
        let client = site.client();
        tokio::join!(first(&client, &site), first(&client, &site));
        assert_eq!(site.connections(), 2);
        let response = client.fetch(site.url("/again")).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "/again");
        assert_eq!(site.connections(), 3);
    }
}

/// The server ends the connection between two requests. Whether the client has seen it by the
/// second or not, nobody is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_was_closed_is_replaced_silently() {
    for how in [HangUp::Close, HangUp::Cut, HangUp::Reset] {
        for seen in [false, true] {
            let closed = Arc::new(Semaphore::new(0));
            let site = {
                let closed = Arc::clone(&closed);
                Site::start("http/1.1", move |_, stream| {
                    let closed = Arc::clone(&closed);
                    async move {
                        let mut http = Http1::new(stream);
                        let (head, _) = http.request().await.unwrap();
                        http.reply(target(&head)).await;
                        http.hang_up(how).await;
                        closed.add_permits(1);
                    }
                })
                .await
            };
            let client = site.client();
            for n in 0..20 {
                let path = format!("/{n}");
                let response = client.fetch(site.url(&path)).await.unwrap();
                assert_eq!(response.text().await.unwrap(), path);
                if seen {
                    closed.acquire().await.unwrap().forget();
                }
            }
            assert_eq!(site.connections(), 20);
        }
    }
}

/// What may have left at first may have left, even if the second attempt came to nothing.
#[tokio::test]
async fn a_replay_without_a_connection_still_says_that_the_request_was_sent() {
    let read = Arc::new(Semaphore::new(0));
    let site = {
        let read = Arc::clone(&read);
        Site::start("http/1.1", move |_, stream| {
            let read = Arc::clone(&read);
            async move {
                let mut http = Http1::new(stream);
                http.request().await.unwrap();
                http.reply("first").await;
                http.request().await.unwrap();
                read.add_permits(1);
                std::future::pending().await
            }
        })
        .await
    };
    let client = site.client();
    first(&client, &site).await;
    let second = tokio::spawn(client.fetch(site.url("/")).into_future());
    read.acquire().await.unwrap().forget();
    site.stop().await;
    let error = second.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.request_was_sent());
}

/// What becomes of the second request of an HTTP/2 connection.
#[derive(Clone, Copy, Debug)]
enum Ruin {
    /// RST_STREAM with this code.
    Stream(Reason),
    /// GOAWAY with the stream before as the last one, and the connection stays open.
    GoAwayBelow(Reason),
    /// GOAWAY with this stream as the last one, and the connection ends.
    GoAwayAt(Reason),
    /// GOAWAY with the highest stream there is, as a server has it that does not know yet where it
    /// will stop, and the connection ends.
    GoAwayAbove(Reason),
    /// The connection ends.
    Unanswered(HangUp),
}

#[tokio::test]
async fn an_http2_request_that_was_not_processed_is_sent_again() {
    use Reason as R;
    use Ruin::{GoAwayAbove, GoAwayAt, GoAwayBelow, Stream, Unanswered};
    // What becomes of the request, its method, its payload, how many connections there are if it
    // is sent again.
    type Row<'a> = (Ruin, Method, &'a dyn Fn() -> Payload, Option<usize>);
    let none = || Payload::from("");
    let whole = || Payload::from("payload");
    let stream = || Payload::stream(Once::new("payload"));
    let rows: [Row<'_>; 29] = [
        (Stream(Reason::REFUSED_STREAM), Method::GET, &none, Some(1)),
        (
            Stream(Reason::REFUSED_STREAM),
            Method::POST,
            &whole,
            Some(1),
        ),
        (Stream(Reason::REFUSED_STREAM), Method::POST, &stream, None),
        (Stream(Reason::NO_ERROR), Method::GET, &none, None),
        (Stream(Reason::CANCEL), Method::GET, &none, None),
        (Stream(Reason::INTERNAL_ERROR), Method::GET, &none, None),
        (GoAwayBelow(R::NO_ERROR), Method::GET, &none, Some(2)),
        (GoAwayBelow(R::NO_ERROR), Method::POST, &whole, Some(2)),
        (GoAwayBelow(R::NO_ERROR), Method::POST, &stream, None),
        (GoAwayBelow(R::NO_ERROR), Method::POST, &none, Some(2)),
        // What is above the last stream was not processed with any code (RFC 9113 section 6.8).
        (GoAwayBelow(R::INTERNAL_ERROR), Method::GET, &none, Some(2)),
        (
            GoAwayBelow(R::PROTOCOL_ERROR),
            Method::POST,
            &whole,
            Some(2),
        ),
        (GoAwayBelow(R::PROTOCOL_ERROR), Method::POST, &stream, None),
        // It asks for less.
        (GoAwayBelow(R::ENHANCE_YOUR_CALM), Method::GET, &none, None),
        (GoAwayBelow(R::ENHANCE_YOUR_CALM), Method::PUT, &whole, None),
        // It may have been acted on, and something has come back.
        (GoAwayAt(R::NO_ERROR), Method::POST, &whole, None),
        (GoAwayAt(R::NO_ERROR), Method::GET, &none, None),
        (GoAwayAt(R::INTERNAL_ERROR), Method::POST, &whole, None),
        (GoAwayAt(R::INTERNAL_ERROR), Method::GET, &none, None),
        (GoAwayAbove(R::NO_ERROR), Method::POST, &whole, None),
        (GoAwayAbove(R::NO_ERROR), Method::GET, &none, None),
        (GoAwayAbove(R::PROTOCOL_ERROR), Method::POST, &whole, None),
        (Stream(R::ENHANCE_YOUR_CALM), Method::GET, &none, None),
        (Unanswered(HangUp::Close), Method::GET, &none, Some(2)),
        (Unanswered(HangUp::Cut), Method::GET, &none, Some(2)),
        (Unanswered(HangUp::Reset), Method::PUT, &whole, Some(2)),
        (Unanswered(HangUp::Close), Method::POST, &whole, None),
        (Unanswered(HangUp::Reset), Method::POST, &whole, None),
        (Unanswered(HangUp::Close), Method::PUT, &stream, None),
    ];
    for (ruin, method, payload, replayed) in rows {
        let seen = Arc::new(AtomicUsize::new(0));
        let site = {
            let seen = Arc::clone(&seen);
            Site::start("h2", move |_, stream| {
                let seen = Arc::clone(&seen);
                async move {
                    let mut http = Http2::new(stream).await;
                    while let Some(id) = http.request().await {
                        if seen.fetch_add(1, Ordering::SeqCst) != 1 {
                            http.reply(id, "first").await;
                            continue;
                        }
                        match ruin {
                            Stream(reason) => http.reset(id, reason).await,
                            GoAwayBelow(reason) => http.go_away(id - 2, reason).await,
                            GoAwayAt(reason) => {
                                http.go_away(id, reason).await;
                                return http.hang_up(HangUp::Close).await;
                            }
                            GoAwayAbove(reason) => {
                                http.go_away(i32::MAX as u32, reason).await;
                                return http.hang_up(HangUp::Close).await;
                            }
                            Unanswered(how) => return http.hang_up(how).await,
                        }
                    }
                }
            })
            .await
        };
        let client = site.client();
        first(&client, &site).await;
        let request = client.fetch(site.url("/")).method(method.clone());
        let outcome = request.payload(payload()).await;
        assert_eq!(
            outcome.is_ok(),
            replayed.is_some(),
            "{ruin:?} {method}: {outcome:?}"
        );
        let requests = 2 + usize::from(replayed.is_some());
        assert_eq!(seen.load(Ordering::SeqCst), requests, "{ruin:?} {method}");
        let connections = replayed.unwrap_or(1);
        assert_eq!(site.connections(), connections, "{ruin:?} {method}");
        if let Err(error) = outcome {
            assert_closed(&error);
        }
    }
}

#[tokio::test]
async fn an_http2_request_is_replayed_once() {
    let seen = Arc::new(AtomicUsize::new(0));
    let site = {
        let seen = Arc::clone(&seen);
        Site::start("h2", move |_, stream| {
            let seen = Arc::clone(&seen);
            async move {
                let mut http = Http2::new(stream).await;
                while let Some(id) = http.request().await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    http.reset(id, Reason::REFUSED_STREAM).await;
                }
            }
        })
        .await
    };
    let error = site.client().fetch(site.url("/")).await.unwrap_err();
    assert_closed(&error);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

/// What a server says to the first request of a connection it would say to the next first one.
#[tokio::test]
async fn a_goaway_with_an_error_on_a_fresh_connection_is_the_answer() {
    for (reason, replayed) in [
        (Reason::NO_ERROR, true),
        (Reason::PROTOCOL_ERROR, false),
        (Reason::INADEQUATE_SECURITY, false),
        (Reason::ENHANCE_YOUR_CALM, false),
    ] {
        let site = Site::start("h2", move |n, stream| async move {
            let mut http = Http2::new(stream).await;
            while let Some(id) = http.request().await {
                match n {
                    0 => http.go_away(0, reason).await,
                    _ => http.reply(id, "again").await,
                }
            }
        })
        .await;
        let outcome = site.client().fetch(site.url("/")).await;
        assert_eq!(outcome.is_ok(), replayed, "{reason:?}: {outcome:?}");
        assert_eq!(site.connections(), 1 + usize::from(replayed), "{reason:?}");
        if let Err(error) = outcome {
            assert_closed(&error);
        }
    }
}

/// The head has come: the response is the caller's, and what fails it is told, not mended.
#[tokio::test]
async fn nothing_is_replayed_after_the_head() {
    for how in [HangUp::Close, HangUp::Cut, HangUp::Reset] {
        let site = Site::start("http/1.1", move |_, stream| async move {
            let mut http = Http1::new(stream);
            http.request().await.unwrap();
            http.reply("first").await;
            http.request().await.unwrap();
            http.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
                .await;
            http.hang_up(how).await;
        })
        .await;
        let client = site.client();
        first(&client, &site).await;
        let error = match client.fetch(site.url("/")).await {
            Ok(response) => response.bytes().await.unwrap_err(),
            // A reset can overtake the bytes before it.
            Err(error) => error,
        };
        assert_closed(&error);
        assert_eq!(site.connections(), 1);
        assert_eq!(client.pool_stats().replayed, 0);
    }
}

/// One deadline for both attempts.
#[tokio::test]
async fn a_replay_has_what_is_left_of_the_deadline() {
    let site = Site::tcp("http/1.1", |n, tcp, acceptor| async move {
        if n > 0 {
            // A handshake that is never answered.
            return std::future::pending().await;
        }
        let mut http = Http1::new(acceptor.accept(tcp).await.unwrap());
        http.request().await.unwrap();
        http.reply("first").await;
        http.request().await.unwrap();
        http.hang_up(HangUp::Cut).await;
    })
    .await;
    let client = site.client();
    first(&client, &site).await;
    let second = client.fetch(site.url("/"));
    let error = second.deadline(Duration::from_millis(300)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert_eq!(error.phase(), Some(Phase::Tls));
    assert!(error.request_was_sent());
    assert_eq!(site.connections(), 2);
}

/// GOAWAY ends a connection for what is to come, and not for what is under way.
#[tokio::test]
async fn after_a_goaway_the_old_connection_finishes_and_a_new_one_begins() {
    let (gone, finish) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let site = {
        let (gone, finish) = (Arc::clone(&gone), Arc::clone(&finish));
        Site::start("h2", move |n, stream| {
            let (gone, finish) = (Arc::clone(&gone), Arc::clone(&finish));
            async move {
                let mut http = Http2::new(stream).await;
                let id = http.request().await.unwrap();
                if n == 0 {
                    http.go_away(id, Reason::NO_ERROR).await;
                    gone.add_permits(1);
                    finish.acquire().await.unwrap().forget();
                }
                http.reply(id, &n.to_string()).await;
                http.request().await;
            }
        })
        .await
    };
    let client = site.client();
    let old = tokio::spawn(client.fetch(site.url("/")).into_future());
    gone.acquire().await.unwrap().forget();
    let new = client.fetch(site.url("/")).await.unwrap();
    assert_eq!(new.text().await.unwrap(), "1");
    finish.add_permits(1);
    let old = old.await.unwrap().unwrap();
    assert_eq!(old.text().await.unwrap(), "0");
}

/// A payload for each row of a table.
type Make<'a> = &'a dyn Fn() -> Payload;

async fn first(client: &Client, site: &Site) {
    let response = client.fetch(site.url("/")).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "first");
}

fn assert_closed(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{error}");
    assert!(error.request_was_sent());
}
