//! How long a connection is kept, how many are, and what is told of them.

use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Builder;
use urlfetch::{Client, ClientBuilder, ErrorKind, Method, Payload};

use crate::site::{HOSTS, Http1, Http2, Once, Site};
use crate::{COLD, all, serve, soon};

type Change = fn(ClientBuilder) -> ClientBuilder;

#[tokio::test]
async fn a_connection_serves_the_next_request_if_it_may() {
    // (what is said, of HTTP/1.1 or of both, connections after three requests, one after the other)
    let rows: [(&str, Change, bool, usize); 7] = [
        ("nothing", |builder| builder, true, 1),
        (
            "no idle time",
            |builder| builder.pool_idle_timeout(Duration::ZERO),
            true,
            3,
        ),
        (
            "all the time there is",
            |builder| builder.pool_idle_timeout(Duration::MAX),
            true,
            1,
        ),
        (
            "no age",
            |builder| builder.pool_max_age(Duration::ZERO),
            true,
            3,
        ),
        (
            "any age",
            |builder| builder.pool_max_age(Duration::MAX),
            true,
            1,
        ),
        (
            "none idle",
            |builder| builder.pool_max_idle_per_host(0),
            false,
            3,
        ),
        (
            "one idle",
            |builder| builder.pool_max_idle_per_host(1),
            false,
            1,
        ),
    ];
    for (said, change, of_both, connections) in rows {
        for protocol in ["http/1.1", "h2"] {
            let site = Site::start(protocol, |_, stream| serve(stream)).await;
            let client = site.client_with(change);
            for _ in 0..3 {
                assert_eq!(fetch(&client, site.url("/")).await, "/");
            }
            let expected = match of_both || protocol == "http/1.1" {
                true => connections,
                false => 1,
            };
            assert_eq!(site.connections(), expected, "{said}, {protocol}");
            assert_eq!(client.pool_stats().opened, expected as u64);
        }
    }
}

/// A connection with a request on it is not idle, however little is allowed.
/// TLS has things of its own to say at any time, and they are no word of HTTP, however late the
/// client's runtime hears of them.
#[test]
fn a_connection_is_kept_on_which_only_tls_has_spoken() {
    let servers = Builder::new_multi_thread().enable_all().build().unwrap();
    let clients = Builder::new_current_thread().enable_all().build().unwrap();
    let (said, heard) = mpsc::channel();
    let site = servers.block_on(Site::start("http/1.1", move |_, stream| {
        let said = said.clone();
        async move {
            let mut http = Http1::new(stream);
            while let Some((_, payload)) = http.request().await {
                http.reply(&format!("{} bytes", payload.len())).await;
                http.update_key().await;
                said.send(()).unwrap();
            }
        }
    }));
    let client = site.client();
    for n in 0..8 {
        clients.block_on(async {
            // One that cannot be sent again, should the connection be given up.
            let payload = Payload::stream(Once::new("payload")).length(7);
            let request = client.fetch(site.url("/")).method(Method::POST);
            let response = request.payload(payload).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "7 bytes", "{n}");
        });
        heard.recv().unwrap();
    }
    assert_eq!((site.connections(), client.pool_stats().replayed), (1, 0));
}

#[tokio::test]
async fn a_crowd_shares_one_http2_connection_that_may_not_be_idle() {
    let site = Site::start("h2", |_, stream| serve(stream)).await;
    let client = site.client_with(|builder| builder.pool_idle_timeout(Duration::ZERO));
    let held = client.fetch(site.url("/held")).await.unwrap();
    let calls = (0..COLD).map(|_| fetch(&client, site.url("/all")));
    assert_eq!(all(calls).await, ["/all"; COLD]);
    assert_eq!(site.connections(), 1);
    assert_eq!(held.text().await.unwrap(), "/held");
    assert_eq!(fetch(&client, site.url("/")).await, "/");
    assert_eq!(site.connections(), 2);
}

#[tokio::test]
async fn what_the_connections_do_is_told() {
    let site = Site::start("http/1.1", |_, stream| serve(stream)).await;
    let client = site.client_with(|builder| builder.pool_max_idle_per_host(1));
    let stats = client.pool_stats();
    assert_eq!(stats, urlfetch::PoolStats::default());
    // Two at once, of which one is kept.
    let one = client.fetch(site.url("/")).await.unwrap();
    let two = client.fetch(site.url("/")).await.unwrap();
    let now = client.pool_stats().now;
    assert_eq!((now.open, now.in_use, now.idle), (2, 2, 0));
    one.bytes().await.unwrap();
    let now = client.pool_stats().now;
    assert_eq!((now.open, now.in_use, now.idle), (2, 1, 1));
    two.bytes().await.unwrap();
    let stats = client.pool_stats();
    assert_eq!((stats.now.in_use, stats.now.idle), (0, 1));
    assert_eq!((stats.opened, stats.reused, stats.surplus), (2, 0, 1));
    let both = [site.url_of(HOSTS[0], "/a"), site.url_of(HOSTS[1], "/b")];
    for url in &both {
        fetch(&client, url.clone()).await;
    }
    let stats = client.pool_stats();
    assert_eq!((stats.opened, stats.reused, stats.surplus), (3, 1, 1));
    assert_eq!((stats.now.idle, stats.hosts.len()), (2, 2));
    for (host, url) in stats.hosts.iter().zip(&both) {
        assert_eq!(
            url,
            &format!(
                "https://{}:{}{}",
                host.host,
                host.port,
                &url[url.len() - 2..]
            )
        );
        assert_eq!((host.now.open, host.now.idle), (1, 1));
    }
    // The server goes: that is seen when they are looked at.
    site.stop().await;
    while client.pool_stats().now.open > 0 {
        client.fetch(site.url("/")).await.unwrap_err();
        client.fetch(site.url_of(HOSTS[1], "/")).await.unwrap_err();
    }
    let stats = client.pool_stats();
    assert_eq!((stats.now.idle, stats.opened), (0, 3));
}

#[tokio::test]
async fn whatever_is_over_is_counted() {
    let site = Site::start("h2", |_, stream| serve(stream)).await;
    let client = site.client_with(|builder| builder.pool_idle_timeout(Duration::ZERO));
    for n in 1..=3 {
        fetch(&client, site.url("/")).await;
        let stats = client.pool_stats();
        assert_eq!((stats.opened, stats.expired, stats.lost), (n, n, 0));
        assert_eq!((stats.now.streams, stats.reused), (0, 0));
    }
}

/// Nothing comes from the peer, and nobody tells: but for the ping, only the deadline would.
#[tokio::test]
async fn a_peer_that_does_not_answer_a_ping_is_gone() {
    let site = Site::start("h2", |_, stream| async move {
        let mut http = Http2::new(stream).await;
        http.request().await.unwrap();
        while http.ping(false).await.is_some() {}
    })
    .await;
    let client = site.client_with(|builder| builder.http2_keep_alive(BRIEF, BRIEF));
    let error = soon(client.fetch(site.url("/")).into_future()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
    assert!(error.request_was_sent());
    assert_eq!(client.pool_stats().now.http2, 0);
}

#[tokio::test]
async fn a_peer_that_answers_pings_may_take_its_time() {
    let site = Site::start("h2", |_, stream| async move {
        let mut http = Http2::new(stream).await;
        let id = http.request().await.unwrap();
        for _ in 0..4 {
            http.ping(true).await.unwrap();
        }
        http.reply(id, "at last").await;
        http.request().await;
    })
    .await;
    let client =
        site.client_with(|builder| builder.http2_keep_alive(BRIEF, Duration::from_secs(20)));
    assert_eq!(soon(fetch(&client, site.url("/"))).await, "at last");
}

#[test]
fn a_ping_without_time_is_refused() {
    for (interval, timeout) in [(Duration::ZERO, BRIEF), (BRIEF, Duration::ZERO)] {
        let built = Client::builder()
            .http2_keep_alive(interval, timeout)
            .build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Config);
    }
}

fn fetch(client: &Client, url: String) -> impl Future<Output = String> + Send + use<> {
    let request = client.fetch(url);
    async move { request.await.unwrap().text().await.unwrap() }
}

const BRIEF: Duration = Duration::from_millis(50);
