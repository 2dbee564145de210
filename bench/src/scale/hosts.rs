//! Hosts in one pool: to find the one that is meant, and what each of them takes.

use std::net::SocketAddr;

use urlfetch::Client;

use super::growth::Shown::{Each, InAll, One};
use super::growth::Unit::{Bytes, Instructions, Nanoseconds};
use super::growth::{Growth, Row};
use super::in_flight::fetch;
use super::meter::{Meter, resident};
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    vec![Growth {
        title: "hosts in one pool, a connection open to each",
        sizes: &[1, 10, 100, 1_000, 10_000],
        rows: vec![
            Row::new("a request to one of them", Instructions, One, request).to(1_000),
            Row::new("a request to one of them", Nanoseconds, One, request),
            Row::new("the first request to each", Instructions, Each, opened).to(1_000),
            Row::new("the first request to each", Nanoseconds, Each, opened),
            Row::new(
                "`Client::pool_stats`, which looks at all",
                Instructions,
                InAll,
                stats,
            )
            .to(1_000),
            Row::new(
                "`Client::pool_stats`, which looks at all",
                Nanoseconds,
                InAll,
                stats,
            ),
            Row::new("each, with its connection over TLS", Bytes, Each, kept).from(100),
        ],
        prepare: |_, _| {},
        note: "The statistics come sorted by name: each host takes as many comparisons as the number \
               of hosts has bits, and out of the processor's caches its time grows faster than its \
               instructions.",
    }]
}

/// Requests to hosts that are known, in the clear: to one after the other of them.
fn request(meter: &Meter, world: &World, hosts: usize) {
    let (client, runtime) = (client(world, hosts), current_thread());
    runtime.block_on(visit(&client, world.plain, "http", 0..hosts));
    let mut turn = 0;
    meter.count(ROUNDS, || {
        for _ in 0..ROUNDS {
            // A prime is far from each host to the next.
            turn = (turn + 7_919) % hosts;
            runtime.block_on(visit(&client, world.plain, "http", turn..turn + 1));
        }
    });
}

fn opened(meter: &Meter, world: &World, hosts: usize) {
    let (client, runtime) = (client(world, hosts), current_thread());
    runtime.block_on(fetch(client.clone(), world.plain("/small")));
    meter.count(1, || {
        runtime.block_on(visit(&client, world.plain, "http", 0..hosts))
    });
}

fn stats(meter: &Meter, world: &World, hosts: usize) {
    let (client, runtime) = (client(world, hosts), current_thread());
    runtime.block_on(visit(&client, world.plain, "http", 0..hosts));
    meter.count(ROUNDS, || {
        for _ in 0..ROUNDS {
            assert_eq!(client.pool_stats().hosts.len(), hosts);
        }
    });
}

fn kept(meter: &Meter, world: &World, hosts: usize) {
    let (client, runtime) = (client(world, hosts), current_thread());
    runtime.block_on(fetch(client.clone(), world.http1("/small")));
    let before = resident();
    runtime.block_on(visit(&client, world.http1, "https", 0..hosts));
    meter.grew(before);
}

fn client(world: &World, hosts: usize) -> Client {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let known = (0..hosts).fold(world.client(), |client, host| {
        client.resolve(&name(host), [address])
    });
    known.build().unwrap()
}

async fn visit(client: &Client, at: SocketAddr, scheme: &str, hosts: impl Iterator<Item = usize>) {
    for host in hosts {
        let url = format!("{scheme}://{}:{}/small", name(host), at.port());
        fetch(client.clone(), url).await;
    }
}

fn name(host: usize) -> String {
    format!("h{host}.scale.test")
}

const ROUNDS: usize = 500;
