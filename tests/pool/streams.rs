//! An h2 server says how many requests it takes at once. What is over that waits with us, and
//! leaves only when there is room for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use h2::Reason;
use http::Response;
use tokio::sync::{Notify, mpsc};
use urlfetch::{Bytes, Client, ErrorKind, Phase};

use crate::site::{HangUp, Http2, Site};
use crate::{COLD, all, soon};

/// A server that allows so many streams, and how many it ever had at once.
async fn limited(most: u32) -> (Site, Arc<AtomicUsize>) {
    let peak = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&peak);
    let site = Site::start("h2", move |_, stream| {
        let seen = Arc::clone(&seen);
        async move {
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(most);
            let mut h2 = builder.handshake::<_, Bytes>(stream).await.unwrap();
            let open = Arc::new(AtomicUsize::new(0));
            while let Some(Ok((request, mut respond))) = h2.accept().await {
                seen.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    let path = request.uri().path().to_owned();
                    // Others have every opportunity to come.
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(path.into(), true).unwrap();
                });
            }
        }
    })
    .await;
    (site, peak)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peers_limit_is_kept_and_all_are_served() {
    for most in [1, 2] {
        let (site, peak) = limited(most).await;
        let client = site.client();
        assert_eq!(fetch(&client, site.url("/first")).await, "/first");
        for _ in 0..3 {
            let calls = (0..COLD).map(|_| fetch(&client, site.url("/all")));
            assert_eq!(all(calls).await, ["/all"; COLD]);
        }
        assert!(peak.load(Ordering::SeqCst) <= most as usize);
        // None was sent in vain.
        let stats = client.pool_stats();
        assert_eq!((stats.opened, stats.replayed), (1, 0));
        assert_eq!(stats.reused, 3 * COLD as u64);
        assert_eq!((stats.now.streams, stats.now.waiting), (0, 0));
        assert_eq!(site.connections(), 1);
    }
}

/// Of a fresh connection the limit is not known yet: what the server refuses is sent again, when
/// there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_crowd_is_served_whatever_the_limit() {
    for most in [1, 2] {
        let (site, peak) = limited(most).await;
        let client = site.client();
        let calls = (0..COLD).map(|_| fetch(&client, site.url("/all")));
        assert_eq!(all(calls).await, ["/all"; COLD]);
        assert!(peak.load(Ordering::SeqCst) <= most as usize);
        assert_eq!(site.connections(), 1);
    }
}

/// A body that its reader takes his time for holds up nobody else's: each has its own window, and
/// that of the connection has room for all.
#[tokio::test]
async fn bodies_that_nobody_reads_do_not_hold_up_the_others() {
    let site = Site::start("h2", |_, stream| async move {
        let mut h2 = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = h2.accept().await {
            let length = match request.uri().path() {
                "/large" => 4 << 20,
                _ => 4,
            };
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            // The windows are filled in the order in which this is called.
            body.send_data(vec![0; length].into(), true).unwrap();
        }
    })
    .await;
    let client = site.client();
    let mut unread = Vec::new();
    for _ in 0..16 {
        unread.push(client.fetch(site.url("/large")).await.unwrap());
        let small = client.fetch(site.url("/small")).await.unwrap();
        assert_eq!(small.bytes().await.unwrap().len(), 4);
    }
    for large in unread {
        assert_eq!(large.bytes().await.unwrap().len(), 4 << 20);
    }
    assert_eq!(site.connections(), 1);
}

/// The wait for a stream is told from the wait for an answer, and what has waited in vain was
/// never sent.
#[tokio::test]
async fn whoever_waits_for_a_stream_is_queued() {
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let finish = Arc::new(Notify::new());
    let site = {
        let finish = Arc::clone(&finish);
        Site::start("h2", move |_, stream| {
            let (arrive, finish) = (arrive.clone(), Arc::clone(&finish));
            async move {
                let mut http = Http2::allowing(stream, 1).await;
                let id = http.request().await.unwrap();
                http.reply(id, "first").await;
                let id = http.request().await.unwrap();
                arrive.send(id).unwrap();
                http.begin_reply(id, "half").await;
                finish.notified().await;
                http.end_reply(id, "half").await;
                while let Some(id) = http.request().await {
                    arrive.send(id).unwrap();
                    http.reply(id, "last").await;
                }
            }
        })
        .await
    };
    let client = site.client();
    assert_eq!(fetch(&client, site.url("/first")).await, "first");
    let held = client.fetch(site.url("/held")).await.unwrap();
    assert_eq!(soon(arrived.recv()).await, Some(3));
    let gone = tokio::spawn(fetch(&client, site.url("/gone")));
    let last = tokio::spawn(fetch(&client, site.url("/last")));
    let hasty = client.fetch(site.url("/hasty"));
    let error = hasty.deadline(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.phase(), Some(Phase::Queued));
    assert!(
        error.to_string().starts_with(
            "the deadline of 300ms ended while waiting for its turn: the server allows 1 \
             requests at once on its HTTP/2 connection, and as many are under way"
        ),
        "{error}"
    );
    assert!(!error.request_was_sent());
    assert_eq!(error.timings().first_byte(), None);
    assert!(error.timings().queued().unwrap() >= SHORT / 2);
    let now = client.pool_stats().now;
    assert_eq!((now.http2, now.streams, now.waiting), (1, 1, 2));
    gone.abort();
    finish.notify_one();
    assert_eq!(held.text().await.unwrap(), "halfhalf");
    assert_eq!(soon(last).await.unwrap(), "last");
    // Two streams, of four that were wanted, and no other connection.
    assert_eq!(arrived.recv().await, Some(5));
    assert!(arrived.is_empty());
    assert_eq!(site.connections(), 1);
}

/// A peer may take nothing for a while, and say later that it does.
#[tokio::test]
async fn a_peer_that_allows_no_stream_ends_by_the_deadline() {
    let raise = Arc::new(Notify::new());
    let seen = Arc::new(AtomicUsize::new(0));
    let site = {
        let (raise, seen) = (Arc::clone(&raise), Arc::clone(&seen));
        Site::start("h2", move |_, stream| {
            let (raise, seen) = (Arc::clone(&raise), Arc::clone(&seen));
            async move {
                let mut http = Http2::new(stream).await;
                let id = http.request().await.unwrap();
                http.allow(0).await;
                http.settle(2).await.unwrap();
                http.reply(id, "first").await;
                raise.notified().await;
                http.allow(7).await;
                while let Some(id) = http.request().await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    http.reply(id, "later").await;
                }
            }
        })
        .await
    };
    let client = site.client();
    assert_eq!(fetch(&client, site.url("/first")).await, "first");
    let request = client.fetch(site.url("/"));
    let error = request.deadline(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(!error.request_was_sent());
    assert!(
        error
            .to_string()
            .contains("the server allows no requests on its HTTP/2 connection"),
        "{error}"
    );
    let later = tokio::spawn(fetch(&client, site.url("/")));
    raise.notify_one();
    assert_eq!(soon(later).await.unwrap(), "later");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    assert_eq!(site.connections(), 1);
}

/// The first request of a connection leaves before the peer's limit is known.
#[tokio::test]
async fn a_peer_that_never_allows_a_stream_is_sent_one_request() {
    let seen = Arc::new(AtomicUsize::new(0));
    let site = {
        let seen = Arc::clone(&seen);
        Site::start("h2", move |_, stream| {
            let seen = Arc::clone(&seen);
            async move {
                let mut http = Http2::allowing(stream, 0).await;
                while let Some(id) = http.request().await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    http.reset(id, Reason::REFUSED_STREAM).await;
                }
            }
        })
        .await
    };
    let request = site.client().fetch(site.url("/"));
    let error = request.deadline(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert_eq!(error.phase(), Some(Phase::Queued));
    assert!(error.request_was_sent());
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// Whoever waits for a stream of a connection that ends is served by another one.
#[tokio::test]
async fn a_wait_for_a_stream_ends_with_its_connection() {
    for goes_away in [false, true] {
        let end = Arc::new(Notify::new());
        let site = {
            let end = Arc::clone(&end);
            Site::start("h2", move |n, stream| {
                let end = Arc::clone(&end);
                async move {
                    let mut http = Http2::allowing(stream, 1).await;
                    while let Some(id) = http.request().await {
                        if n > 0 || id == 1 {
                            http.reply(id, &n.to_string()).await;
                            continue;
                        }
                        http.begin_reply(id, "half").await;
                        end.notified().await;
                        if goes_away {
                            http.go_away(id, Reason::NO_ERROR).await;
                            http.request().await;
                        }
                        return http.hang_up(HangUp::Close).await;
                    }
                }
            })
            .await
        };
        let client = site.client();
        assert_eq!(fetch(&client, site.url("/")).await, "0");
        let held = client.fetch(site.url("/held")).await.unwrap();
        let waiting: Vec<_> = (0..COLD)
            .map(|_| tokio::spawn(fetch(&client, site.url("/"))))
            .collect();
        while client.pool_stats().now.waiting < COLD {
            tokio::task::yield_now().await;
        }
        end.notify_one();
        for each in waiting {
            assert_eq!(soon(each).await.unwrap(), "1");
        }
        assert_eq!(site.connections(), 2);
        drop(held);
    }
}

fn fetch(client: &Client, url: String) -> impl Future<Output = String> + Send + use<> {
    let request = client.fetch(url);
    async move { request.await.unwrap().text().await.unwrap() }
}

/// Long enough for a request to arrive, were it sent.
const SHORT: Duration = Duration::from_millis(300);
