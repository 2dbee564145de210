//! Callers who wait for the one connection there may be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use urlfetch::{Client, Response};

use super::growth::Shown::Each;
use super::growth::Unit::{Bytes, Instructions, Nanoseconds};
use super::growth::{Growth, Row};
use super::in_flight::{all, fetch};
use super::meter::{Meter, resident};
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    vec![Growth {
        title: "callers who wait for one connection (pool_max_connections_per_host(1))",
        sizes: &[1, 10, 100, 1_000, 10_000],
        rows: vec![
            Row::new("each, served in its turn", Instructions, Each, served).to(1_000),
            Row::new("each, served in its turn", Nanoseconds, Each, served),
            Row::new(
                "each, given up in the order they came",
                Instructions,
                Each,
                |m, w, callers| {
                    given_up(m, w, callers, false);
                },
            ),
            Row::new(
                "each, given up, the last first",
                Instructions,
                Each,
                |m, w, callers| {
                    given_up(m, w, callers, true);
                },
            ),
            Row::new("each, waiting", Bytes, Each, waiting).from(100),
        ],
        prepare: |_, _| {},
        note: "",
    }]
}

fn served(meter: &Meter, world: &World, callers: usize) {
    let (client, runtime) = (client(world), current_thread());
    let url = world.plain("/small");
    let burst = || runtime.block_on(all(&client, &url, callers));
    burst();
    let rounds = (1_000 / callers).max(1);
    meter.count(rounds, || (0..rounds).for_each(|_| burst()));
}

fn given_up(meter: &Meter, world: &World, callers: usize, last_first: bool) {
    let (client, runtime) = (client(world), current_thread());
    runtime.block_on(async {
        fetch(client.clone(), world.plain("/small")).await;
        let holder = tokio::spawn(fetch(client.clone(), world.plain("/hold")));
        fetch(world.client().build().unwrap(), world.plain("/held/1")).await;
        meter.count(1, || {
            let mut waiting = begun(&client, world, callers);
            if last_first {
                while waiting.pop().is_some() {}
            }
            drop(waiting);
        });
        fetch(world.client().build().unwrap(), world.plain("/release")).await;
        holder.await.unwrap();
        // The connection is there for whoever is next.
        fetch(client, world.plain("/small")).await;
    });
}

fn waiting(meter: &Meter, world: &World, callers: usize) {
    let (client, runtime) = (client(world), current_thread());
    runtime.block_on(async {
        fetch(client.clone(), world.plain("/small")).await;
        let _holder = tokio::spawn(fetch(client.clone(), world.plain("/hold")));
        fetch(world.client().build().unwrap(), world.plain("/held/1")).await;
        let before = resident();
        let waiting = begun(&client, world, callers);
        meter.grew(before);
        fetch(world.client().build().unwrap(), world.plain("/release")).await;
        drop(waiting);
    });
}

type Fetching = Pin<Box<dyn Future<Output = urlfetch::Result<Response>>>>;

/// Fetches that were polled once, so that they wait.
fn begun(client: &Client, world: &World, callers: usize) -> Vec<Fetching> {
    let mut cx = Context::from_waker(Waker::noop());
    let begin = |_| {
        let mut fetching: Fetching = Box::pin(client.fetch(world.plain("/small")).send());
        assert!(fetching.as_mut().poll(&mut cx).is_pending());
        fetching
    };
    (0..callers).map(begin).collect()
}

fn client(world: &World) -> Client {
    world
        .client()
        .pool_max_connections_per_host(1)
        .build()
        .unwrap()
}
