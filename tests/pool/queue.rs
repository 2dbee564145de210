//! A host that is allowed so many connections and no more: who finds none free queues, and the
//! first to come is the first to be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use urlfetch::{Client, ErrorKind, Phase};

use crate::site::{HangUp, Http1, Site, target};
use crate::{COLD, HASTE, all, serve, soon};

/// The server answers one request at a time, and says which: so it is known who is there.
#[tokio::test]
async fn callers_are_served_in_the_order_in_which_they_came() {
    for (most, is_known) in [(1, true), (1, false), (4, true)] {
        let (arrive, mut arrived) = mpsc::unbounded_channel();
        let site = Site::start("http/1.1", move |_, stream| {
            let arrive = arrive.clone();
            async move {
                let mut http = Http1::new(stream);
                while let Some((head, _)) = http.request().await {
                    let (answer, may_answer) = oneshot::channel::<()>();
                    let path = target(&head).to_owned();
                    arrive.send((path.clone(), answer)).unwrap();
                    may_answer.await.unwrap();
                    http.reply(&path).await;
                }
            }
        })
        .await;
        let client = at_most(&site, most);
        if is_known {
            let first = tokio::spawn(fetch(&client, site.url("/first")));
            soon(arrived.recv()).await.unwrap().1.send(()).unwrap();
            assert_eq!(soon(first).await.unwrap(), "/first");
        }
        // Tasks of this runtime begin in the order in which they are spawned.
        let paths: Vec<_> = (0..COLD).map(|n| format!("/{n}")).collect();
        let calls: Vec<_> = paths
            .iter()
            .map(|path| tokio::spawn(fetch(&client, site.url(path))))
            .collect();
        let mut held = Vec::new();
        for _ in 0..most {
            held.push(soon(arrived.recv()).await.unwrap());
        }
        // Dialled at once, these come in any order.
        held.sort_by_key(|(path, _)| paths.iter().position(|each| each == path));
        for (n, path) in paths.iter().enumerate() {
            let (served, answer) = held.remove(0);
            assert_eq!(&served, path, "{most} {is_known} {:?}", client.pool_stats());
            answer.send(()).unwrap();
            if n + most < COLD {
                let now = client.pool_stats().now;
                assert_eq!((now.in_use, now.waiting), (most, COLD - n - most));
                assert_eq!((now.open, site.open()), (most, most));
                held.push(soon(arrived.recv()).await.unwrap());
            }
        }
        for (call, path) in calls.into_iter().zip(paths) {
            assert_eq!(soon(call).await.unwrap(), path);
        }
        assert_eq!(site.connections(), most);
        let now = client.pool_stats().now;
        assert_eq!((now.open, now.idle, now.waiting), (most, most, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_connections_than_may_be() {
    for most in [1, 4] {
        let peak = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let site = {
            let (peak, open) = (Arc::clone(&peak), Arc::clone(&open));
            Site::start("http/1.1", move |_, stream| {
                let (peak, open) = (Arc::clone(&peak), Arc::clone(&open));
                async move {
                    peak.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    Http1::new(stream).echo().await;
                    open.fetch_sub(1, Ordering::SeqCst);
                }
            })
            .await
        };
        let client = at_most(&site, most);
        for _ in 0..3 {
            let calls = (0..COLD).map(|_| fetch(&client, site.url("/all")));
            assert_eq!(all(calls).await, ["/all"; COLD]);
        }
        assert_eq!(peak.load(Ordering::SeqCst), most);
        assert_eq!(site.connections(), most);
        assert_eq!(client.pool_stats().opened, most as u64);
    }
}

/// Over h2 a maximum of one is no narrow pass.
#[tokio::test]
async fn one_http2_connection_serves_all() {
    let site = Site::start("h2", |_, stream| serve(stream)).await;
    let client = at_most(&site, 1);
    let calls = (0..COLD).map(|_| fetch(&client, site.url("/all")));
    assert_eq!(all(calls).await, ["/all"; COLD]);
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn whoever_gives_up_leaves_no_gap() {
    let site = half_then_whole().await;
    let client = at_most(&site, 1);
    let mut held = client.fetch(site.url("/held")).await.unwrap();
    held.chunk().await.unwrap().unwrap();
    let leaves = tokio::spawn(fetch(&client, site.url("/leaves")));
    let hasty = client.fetch(site.url("/hasty")).deadline(HASTE);
    let hasty = tokio::spawn(hasty.into_future());
    let stays = tokio::spawn(fetch(&client, site.url("/stays")));
    let error = soon(hasty).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.phase(), Some(Phase::Queued));
    assert_eq!(
        error.to_string().lines().next().unwrap(),
        format!(
            "the deadline of 50ms ended while waiting for its turn: the one connection to the \
             host is in use ({})",
            site.url("/hasty")
        )
    );
    assert!(!error.request_was_sent());
    assert!(error.timings().queued().unwrap() >= HASTE / 2);
    assert_eq!(client.pool_stats().now.waiting, 2);
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    assert_eq!(client.pool_stats().now.waiting, 1);
    // Read to its end, its connection serves who is next.
    site.finish();
    assert_eq!(held.text().await.unwrap(), "half");
    assert_eq!(soon(stays).await.unwrap(), "/stays");
    assert_eq!(site.connections(), 1);
}

/// And whoever gives up after he was given something, but before he could know.
#[tokio::test]
async fn what_was_given_to_somebody_who_left_is_given_to_the_next() {
    let site = half_then_whole().await;
    let client = at_most(&site, 1);
    let mut held = client.fetch(site.url("/held")).await.unwrap();
    held.chunk().await.unwrap().unwrap();
    let leaves = tokio::spawn(fetch(&client, site.url("/leaves")));
    let stays = tokio::spawn(fetch(&client, site.url("/stays")));
    while client.pool_stats().now.waiting < 2 {
        tokio::task::yield_now().await;
    }
    site.finish();
    // Its last chunk is awaited in this task, so that the first in the queue has not yet run when
    // he is aborted.
    while held.chunk().await.unwrap().is_some() {}
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    assert_eq!(soon(stays).await.unwrap(), "/stays");
    // It had nothing on it, so that it was not closed.
    assert_eq!(site.connections(), 1);
    assert_eq!(client.pool_stats().now.in_use, 0);
}

/// A place comes back however a dial or a connection ends.
#[tokio::test]
async fn a_place_comes_back() {
    let dialled = Arc::new(Notify::new());
    let site = {
        let dialled = Arc::clone(&dialled);
        Site::tcp("http/1.1", move |n, tcp, acceptor| {
            let dialled = Arc::clone(&dialled);
            async move {
                match n {
                    // A refusal, and a handshake that is never answered.
                    0 => drop(tcp),
                    1 => {
                        dialled.notify_one();
                        std::future::pending().await
                    }
                    // Half a body, an answer that is none, and the end of the connection.
                    2 => {
                        let mut http = Http1::new(acceptor.accept(tcp).await.unwrap());
                        http.head().await.unwrap();
                        http.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
                            .await;
                        http.closed().await;
                    }
                    3 => {
                        let mut http = Http1::new(acceptor.accept(tcp).await.unwrap());
                        http.head().await.unwrap();
                        http.write("HTTQ\r\n\r\n").await;
                        http.closed().await;
                    }
                    4 => {
                        let mut http = Http1::new(acceptor.accept(tcp).await.unwrap());
                        http.head().await.unwrap();
                        http.hang_up(HangUp::Reset).await;
                    }
                    5 => {
                        let mut http = Http1::new(acceptor.accept(tcp).await.unwrap());
                        http.head().await.unwrap();
                        dialled.notify_one();
                        http.closed().await;
                    }
                    _ => serve(acceptor.accept(tcp).await.unwrap()).await,
                }
            }
        })
        .await
    };
    let client = at_most(&site, 1);
    let url = site.url("/");
    client.fetch(&url).await.unwrap_err();
    let dialling = tokio::spawn(client.fetch(&url).into_future());
    soon(dialled.notified()).await;
    assert_eq!(client.pool_stats().now.dialling, 1);
    let waits = tokio::spawn(client.fetch(&url).into_future());
    dialling.abort();
    let mut half = soon(waits).await.unwrap().unwrap();
    half.chunk().await.unwrap().unwrap();
    let waits = tokio::spawn(client.fetch(&url).into_future());
    tokio::task::yield_now().await;
    drop(half);
    assert_eq!(
        soon(waits).await.unwrap().unwrap_err().kind(),
        ErrorKind::MalformedReply
    );
    assert_eq!(
        client.fetch(&url).await.unwrap_err().kind(),
        ErrorKind::ConnectionClosed
    );
    let under_way = tokio::spawn(client.fetch(&url).into_future());
    soon(dialled.notified()).await;
    under_way.abort();
    assert_eq!(soon(fetch(&client, url)).await, "/");
    assert_eq!(site.connections(), 7);
    let now = client.pool_stats().now;
    assert_eq!((now.open, now.dialling, now.idle), (1, 0, 1));
}

/// The next hop needs the one connection that this one is on.
#[tokio::test]
async fn a_redirect_does_not_wait_for_itself() {
    let whole = "content-length: 4\r\n\r\nhere".to_owned();
    let endless = "content-length: 99999999\r\n\r\nhere".to_owned();
    let slow = "content-length: 9\r\n\r\nhere".to_owned();
    let chunked = "transfer-encoding: chunked\r\n\r\n4\r\nhere\r\n".to_owned();
    for (rest, connections) in [(whole, 1), (endless, 2), (slow, 2), (chunked, 2)] {
        let site = Site::start("http/1.1", move |_, stream| {
            let rest = rest.clone();
            async move {
                let mut http = Http1::new(stream);
                while let Some((head, _)) = http.request().await {
                    match target(&head) {
                        "/" => {
                            http.write(format!("HTTP/1.1 302 Found\r\nlocation: /there\r\n{rest}"))
                                .await;
                        }
                        there => http.reply(there).await,
                    }
                }
            }
        })
        .await;
        let client = at_most(&site, 1);
        assert_eq!(soon(fetch(&client, site.url("/"))).await, "/there");
        assert_eq!(site.connections(), connections);
    }
}

/// A server that restarts takes all idle connections with it. The replay is given a place, in the
/// stead of another one of them.
#[tokio::test]
async fn a_replay_finds_a_place() {
    for most in [1, 2] {
        let together = Arc::new(tokio::sync::Barrier::new(most));
        let site = Site::start("http/1.1", move |n, stream| {
            let together = Arc::clone(&together);
            async move {
                let mut http = Http1::new(stream);
                if n >= most {
                    return http.echo().await;
                }
                let (head, _) = http.request().await.unwrap();
                together.wait().await;
                http.reply(target(&head)).await;
                http.request().await.unwrap();
                http.hang_up(HangUp::Cut).await;
            }
        })
        .await;
        let client = at_most(&site, most);
        all((0..most).map(|_| fetch(&client, site.url("/first")))).await;
        assert_eq!(site.connections(), most);
        assert_eq!(soon(fetch(&client, site.url("/again"))).await, "/again");
        assert_eq!(site.connections(), most + 1);
        assert_eq!(client.pool_stats().replayed, 1);
    }
}

/// One host's crowd is nobody else's.
#[tokio::test]
async fn hosts_are_counted_apart() {
    let site = half_then_whole().await;
    let client = at_most(&site, 1);
    let mut held = client.fetch(site.url("/held")).await.unwrap();
    held.chunk().await.unwrap().unwrap();
    let other = site.url_of(crate::HOSTS[1], "/other");
    assert_eq!(soon(fetch(&client, other)).await, "/other");
    let url = site.url("/unverified");
    let unverified = client.fetch(url).validate_certificate(false);
    let unverified = soon(unverified.into_future()).await.unwrap();
    assert_eq!(unverified.status(), 200);
    assert_eq!(site.connections(), 3);
    let stats = client.pool_stats();
    assert_eq!(stats.hosts.len(), 2);
    let [one, two] = &stats.hosts[..] else {
        panic!("{stats:?}");
    };
    assert_eq!([&*one.host, &*two.host], crate::HOSTS);
    assert_eq!((one.now.open, two.now.open), (2, 1));
    assert!(one.https);
    assert_eq!(stats.now.open, 3);
    site.finish();
}

#[test]
fn no_connection_at_all_is_no_maximum() {
    let built = Client::builder().pool_max_connections_per_host(0).build();
    let error = built.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// A site that answers `/held` with half a body and the other half when it is told to, and all
/// else with its path.
struct Halves {
    site: Site,
    rest: Arc<Notify>,
}

impl Halves {
    fn finish(&self) {
        self.rest.notify_one();
    }
}

impl std::ops::Deref for Halves {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

async fn half_then_whole() -> Halves {
    let rest = Arc::new(Notify::new());
    let finish = Arc::clone(&rest);
    let site = Site::start("http/1.1", move |_, stream| {
        let finish = Arc::clone(&finish);
        async move {
            let mut http = Http1::new(stream);
            while let Some((head, _)) = http.request().await {
                match target(&head) {
                    "/held" => {
                        http.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
                            .await;
                        finish.notified().await;
                        http.write("half").await;
                    }
                    path => http.reply(path).await,
                }
            }
        }
    })
    .await;
    Halves { site, rest }
}

fn at_most(site: &Site, connections: usize) -> Client {
    site.client_with(|builder| builder.pool_max_connections_per_host(connections))
}

fn fetch(client: &Client, url: String) -> impl Future<Output = String> + Send + use<> {
    let request = client.fetch(url).deadline(Duration::from_secs(20));
    async move { request.await.unwrap().text().await.unwrap() }
}
