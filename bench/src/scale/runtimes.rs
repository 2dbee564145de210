//! Threads and runtimes: 64 requests at once, whatever the number of threads.

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use urlfetch::Client;

use super::growth::Shown::One;
use super::growth::Unit::Nanoseconds;
use super::growth::{Growth, Row};
use super::in_flight::fetch;
use super::meter::Meter;
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    vec![Growth {
        title: "threads, 64 requests at once among them",
        sizes: &[1, 2],
        rows: vec![
            Row::new(
                "a request, one multi-thread runtime",
                Nanoseconds,
                One,
                |meter, world, threads| {
                    let runtime = multi_thread(threads);
                    let client = world.client().build().unwrap();
                    let burst =
                        || runtime.block_on(at_once(&client, &world.http1("/small"), AT_ONCE));
                    burst();
                    meter.count(ROUNDS * AT_ONCE, || (0..ROUNDS).for_each(|_| burst()));
                },
            ),
            Row::new(
                "a request, one multi-thread runtime, HTTP/2",
                Nanoseconds,
                One,
                |meter, world, threads| {
                    let runtime = multi_thread(threads);
                    let client = world.client().build().unwrap();
                    let burst =
                        || runtime.block_on(at_once(&client, &world.http2("/small"), AT_ONCE));
                    burst();
                    meter.count(ROUNDS * AT_ONCE, || (0..ROUNDS).for_each(|_| burst()));
                },
            ),
            Row::new(
                "a request, a current-thread runtime for each thread, one client",
                Nanoseconds,
                One,
                |meter, world, threads| apart(meter, world, threads, true),
            ),
            Row::new(
                "a request, a current-thread runtime and a client for each thread",
                Nanoseconds,
                One,
                |meter, world, threads| apart(meter, world, threads, false),
            ),
        ],
        prepare: |_, _| {},
        note: "One HTTP/2 connection is one task: where its callers are on another thread, each \
               request goes over and its response comes back. A pool that runtimes share costs a \
               request no more than a pool for each.",
    }]
}

fn apart(meter: &Meter, world: &World, threads: usize, is_shared: bool) {
    let one = world.client().build().unwrap();
    let clients: Vec<_> = (0..threads)
        .map(|_| {
            if is_shared {
                one.clone()
            } else {
                world.client().build().unwrap()
            }
        })
        .collect();
    let url = world.http1("/small");
    // Those who open the connections, and those who are counted.
    let begin = std::sync::Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let work: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(|| {
                    let runtime = current_thread();
                    let burst = || runtime.block_on(at_once(client, &url, AT_ONCE / threads));
                    burst();
                    begin.wait();
                    begin.wait();
                    (0..ROUNDS).for_each(|_| burst());
                    begin.wait();
                    begin.wait();
                })
            })
            .collect();
        begin.wait();
        meter.count(ROUNDS * AT_ONCE, || {
            begin.wait();
            begin.wait();
        });
        begin.wait();
        work.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn multi_thread(threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

async fn at_once(client: &Client, url: &str, many: usize) {
    let mut fetches = JoinSet::new();
    for _ in 0..many {
        fetches.spawn(fetch(client.clone(), url.to_owned()));
    }
    while let Some(fetched) = fetches.join_next().await {
        fetched.unwrap();
    }
}

const AT_ONCE: usize = 64;
const ROUNDS: usize = 50;
