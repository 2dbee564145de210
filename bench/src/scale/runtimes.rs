//! Threads and runtimes: 64 requests at once, whatever the number of threads.

use tokio::runtime::Builder;

use super::growth::Shown::One;
use super::growth::Unit::Nanoseconds;
use super::growth::{Growth, Row};
use super::in_flight::all;
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
                |meter, world, threads| together(meter, world, &world.http1("/small"), threads),
            ),
            Row::new(
                "a request, one multi-thread runtime, HTTP/2",
                Nanoseconds,
                One,
                |meter, world, threads| together(meter, world, &world.http2("/small"), threads),
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
        note: "The threads of one runtime put each other to sleep and wake each other: strace counts \
               almost a futex a request. One HTTP/2 connection is one task: where its callers are on \
               another thread, each request goes over and its response comes back. Nobody waits for \
               a pool that runtimes share: it counts some 70 futexes to 6,784 requests, as with a \
               client for each.",
    }]
}

fn together(meter: &Meter, world: &World, url: &str, threads: usize) {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).enable_all();
    let (client, runtime) = (world.client().build().unwrap(), runtime.build().unwrap());
    let burst = || runtime.block_on(all(&client, url, AT_ONCE));
    burst();
    meter.count(ROUNDS * AT_ONCE, || (0..ROUNDS).for_each(|_| burst()));
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
                    let burst = || runtime.block_on(all(client, &url, AT_ONCE / threads));
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

const AT_ONCE: usize = 64;
const ROUNDS: usize = 50;
