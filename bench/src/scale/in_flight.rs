//! Requests in flight: many at once, of one client.

use tokio::task::JoinSet;
use urlfetch::{Client, ClientBuilder};

use super::growth::Shown::Each;
use super::growth::Unit::{Bytes, Instructions, Nanoseconds};
use super::growth::{Growth, Row};
use super::meter::{Meter, resident};
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    let sizes = &[1, 10, 100, 1_000, 10_000];
    let prepare = |_: &World, _| {};
    vec![
        Growth {
            title: "requests in flight over HTTP/1.1, a connection each",
            sizes,
            rows: vec![
                Row::new(
                    "each, where nothing is open yet",
                    Nanoseconds,
                    Each,
                    opening,
                ),
                Row::new(
                    "each, where enough are open",
                    Nanoseconds,
                    Each,
                    |m, w, many| {
                        again(m, w.client(), &w.http1("/small"), many);
                    },
                ),
                Row::new(
                    "each, where enough are open, in the clear",
                    Instructions,
                    Each,
                    |m, w, many| {
                        again(m, w.client(), &w.plain("/small"), many);
                    },
                )
                .to(1_000),
                Row::new("each, held by the server", Bytes, Each, |m, w, many| {
                    held(m, w, &w.http1("/hold"), many);
                })
                .from(100),
            ],
            prepare,
            note: "Where nothing is open, all wait for the first connection, to know what the host \
                   speaks; then each has one opened, unless another's comes back sooner. Where enough \
                   are open the instructions do not grow; the time does, as the connections are no \
                   longer in the processor's caches.",
        },
        Growth {
            title: "requests in flight over one HTTP/2 connection",
            sizes,
            rows: vec![
                Row::new("each", Nanoseconds, Each, multiplexed),
                Row::new("each", Instructions, Each, multiplexed),
                Row::new("each, held by the server", Bytes, Each, |m, w, many| {
                    held(m, w, &w.http2("/hold"), many);
                })
                .from(100),
            ],
            prepare,
            note: "Beyond 1,000 the time grows, and not the instructions: so many requests are no \
                   longer in the processor's caches.",
        },
        Growth {
            title: "requests at once over 64 connections of HTTP/1.1 (pool_max_connections_per_host)",
            sizes,
            rows: vec![
                Row::new("each", Nanoseconds, Each, |m, w, many| {
                    let client = w.client().pool_max_connections_per_host(64);
                    again(m, client, &w.http1("/small"), many);
                }),
                Row::new("each, in the clear", Instructions, Each, |m, w, many| {
                    let client = w.client().pool_max_connections_per_host(64);
                    again(m, client, &w.plain("/small"), many);
                })
                .to(1_000),
            ],
            prepare,
            note: "",
        },
    ]
}

/// The first requests of a client.
fn opening(meter: &Meter, world: &World, many: usize) {
    let (client, url) = (world.client().build().unwrap(), world.http1("/small"));
    // A connection opened before, so that what is done once is done.
    let before = world.client().build().unwrap();
    current_thread().block_on(fetch(before, url.clone()));
    let runtime = current_thread();
    meter.count(1, || runtime.block_on(all(&client, &url, many)));
}

fn multiplexed(meter: &Meter, world: &World, many: usize) {
    again(meter, world.client(), &world.http2("/small"), many);
}

/// The same requests on connections that are open already, in as many rounds as are worth it.
fn again(meter: &Meter, client: ClientBuilder, url: &str, many: usize) {
    let (client, runtime) = (client.build().unwrap(), current_thread());
    let burst = || runtime.block_on(all(&client, url, many));
    burst();
    // Those that were opened first have a burst of their own.
    burst();
    let rounds = (1_000 / many).max(1);
    meter.count(rounds, || (0..rounds).for_each(|_| burst()));
}

/// What memory grows by, while the server holds them all.
fn held(meter: &Meter, world: &World, url: &str, many: usize) {
    let (client, watcher) = (
        world.client().build().unwrap(),
        world.client().build().unwrap(),
    );
    current_thread().block_on(async {
        // Both have what one request leaves behind.
        fetch(client.clone(), url.replace("/hold", "/small")).await;
        fetch(watcher.clone(), world.http1("/release")).await;
        let before = resident();
        let mut fetches = started(&client, url, many);
        fetch(watcher.clone(), world.http1(&format!("/held/{many}"))).await;
        meter.grew(before);
        fetch(watcher.clone(), world.http1("/release")).await;
        while fetches.join_next().await.is_some() {}
    });
}

/// So many requests at once, to their end.
pub(crate) async fn all(client: &Client, url: &str, many: usize) {
    let mut fetches = started(client, url, many);
    while let Some(fetched) = fetches.join_next().await {
        fetched.unwrap();
    }
}

fn started(client: &Client, url: &str, many: usize) -> JoinSet<()> {
    let mut fetches = JoinSet::new();
    for _ in 0..many {
        fetches.spawn(fetch(client.clone(), url.to_owned()));
    }
    fetches
}

/// One request, and all of its response.
pub(crate) async fn fetch(client: Client, url: String) {
    let response = client.fetch(url.as_str()).await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap();
}
