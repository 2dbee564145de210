//! What a child does: one client, one kind of work, and its own measure taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{pin::pin, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use crate::Result;
use crate::clients::{Fetch, Floor, FloorH2, Got, Look, Name, Prepared, Urlfetch};
#[cfg(feature = "peers")]
use crate::clients::{Hyper, Reqwest, Ureq};
use crate::order::{Order, Work};
use crate::server::{BIG, SMALL};
use crate::usage::{Cpu, resident};

/// Obeys; `begun` is when the process did.
pub fn run(order: &Order, begun: Instant) -> Result<()> {
    match (order.client, order.http2) {
        (Name::Floor, false) => work::<Floor>(order, begun),
        (Name::Floor, true) => work::<FloorH2>(order, begun),
        (Name::Urlfetch, _) => work::<Urlfetch>(order, begun),
        (Name::Prepared, _) => work::<Prepared>(order, begun),
        #[cfg(feature = "peers")]
        (Name::HyperUtil, _) => work::<Hyper>(order, begun),
        #[cfg(feature = "peers")]
        (Name::Reqwest, _) => work::<Reqwest>(order, begun),
        #[cfg(feature = "peers")]
        (Name::Ureq, _) => work::<Ureq>(order, begun),
        #[cfg(not(feature = "peers"))]
        _ => Err("this bench was built without peers".into()),
    }
}

fn work<F: Fetch>(order: &Order, begun: Instant) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(async { F::new(&order.setup) })?;
    match order.work {
        Work::Count(many) => runtime.block_on(count(&client, many)),
        Work::Rate {
            at_once,
            time,
            look,
        } => rate(&runtime, &client, at_once, time, look),
        Work::Bodies(many) => runtime.block_on(bodies(&client, many)),
        Work::Held(many) => held(&runtime, &client, many),
        Work::Fresh => {
            runtime.block_on(small(&client, Look::Away))?;
            println!("ms={}", begun.elapsed().as_secs_f64() * 1e3);
            Ok(())
        }
    }
}

async fn count<F: Fetch>(client: &F, many: usize) -> Result<()> {
    for _ in 0..many {
        small(client, Look::Away).await?;
    }
    Ok(())
}

/// All run from before the clock is started until after it is stopped, so that it sees no edge.
fn rate<F: Fetch>(
    runtime: &Runtime,
    client: &F,
    at_once: usize,
    time: Duration,
    look: Look,
) -> Result<()> {
    let tally = Arc::new(Tally::default());
    // The first is alone, so that those that follow know what the server speaks.
    runtime.block_on(small(client, look))?;
    spread(runtime, client, at_once, {
        let tally = tally.clone();
        move |client: F| {
            let tally = tally.clone();
            async move {
                while !tally.over.load(Relaxed) {
                    let got = small(&client, look)
                        .await
                        .expect("each request is answered");
                    tally.done.fetch_add(1, Relaxed);
                    tally.resumed.fetch_add(got.resumed.into(), Relaxed);
                }
            }
        }
    });
    runtime.block_on(async {
        sleep(WARM_UP).await;
        let (done, resumed) = tally.so_far();
        let (begun, cpu) = (Instant::now(), Cpu::own()?);
        sleep(time).await;
        let (took, cpu) = (begun.elapsed(), Cpu::own()?.since(cpu));
        let (now_done, now_resumed) = tally.so_far();
        tally.over.store(true, Relaxed);
        let done = (now_done - done) as f64;
        println!("rate={}", done / took.as_secs_f64());
        println!("user-us={}", cpu.user.as_secs_f64() * 1e6 / done);
        println!("system-us={}", cpu.system.as_secs_f64() * 1e6 / done);
        println!("cpu-us={}", cpu.sum().as_secs_f64() * 1e6 / done);
        println!("resumed={}", (now_resumed - resumed) as f64 / done);
        Ok(())
    })
}

#[derive(Default)]
struct Tally {
    done: AtomicU64,
    resumed: AtomicU64,
    over: AtomicBool,
}

impl Tally {
    fn so_far(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.resumed.load(Relaxed))
    }
}

async fn bodies<F: Fetch>(client: &F, many: usize) -> Result<()> {
    let (begun, cpu) = (Instant::now(), Cpu::own()?);
    for _ in 0..many {
        let got = client.drain().await?;
        assert_eq!(
            (got.status, got.bytes),
            (200, BIG),
            "the big body came whole"
        );
    }
    let (took, cpu) = (begun.elapsed(), Cpu::own()?.since(cpu));
    let mebibytes = ((many as u64 * BIG) >> 20) as f64;
    println!("rate={}", mebibytes / took.as_secs_f64());
    for (what, time) in [
        ("user", cpu.user),
        ("system", cpu.system),
        ("cpu", cpu.sum()),
    ] {
        println!(
            "{what}-ms={}",
            time.as_secs_f64() * 1e3 / mebibytes * 1024.0
        );
    }
    Ok(())
}

/// The server answers the first at once, so that the connection is warm, and the others a while
/// after all have come: until then memory is looked at.
fn held<F: Fetch>(runtime: &Runtime, client: &F, many: usize) -> Result<()> {
    runtime.block_on(small(client, Look::Away))?;
    let before = resident()?;
    let answered = Arc::new(AtomicU64::new(0));
    spread(runtime, client, many, {
        let answered = answered.clone();
        move |client: F| {
            let answered = answered.clone();
            async move {
                small(&client, Look::Away)
                    .await
                    .expect("each request is answered");
                answered.fetch_add(1, Relaxed);
            }
        }
    });
    runtime.block_on(async {
        let mut held = before;
        while answered.load(Relaxed) == 0 {
            held = resident()?;
            sleep(GLANCE).await;
        }
        while answered.load(Relaxed) < many as u64 {
            sleep(GLANCE).await;
        }
        println!("kib={}", held.saturating_sub(before) as f64 / many as f64);
        Ok(())
    })
}

async fn small<F: Fetch>(client: &F, look: Look) -> Result<Got> {
    let got = client.get(look).await?;
    assert_eq!(
        (got.status, got.bytes),
        (200, SMALL as u64),
        "the small response came whole"
    );
    Ok(got)
}

/// Runs so many of these at once: tasks of the runtime, or threads for a client that blocks.
fn spread<F: Fetch, W: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    client: &F,
    at_once: usize,
    work: impl Fn(F) -> W,
) {
    for _ in 0..at_once {
        let work = work(client.clone());
        if F::BLOCKS {
            thread::spawn(move || {
                // It has nothing to wait for that its thread does not wait for.
                let polled = pin!(work).poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(
                    polled,
                    Poll::Ready(()),
                    "a blocking client returns when it is done"
                );
            });
        } else {
            runtime.spawn(work);
        }
    }
}

/// For the pool to fill and the processor to wake.
const WARM_UP: Duration = Duration::from_millis(200);

/// How often memory is looked at.
const GLANCE: Duration = Duration::from_millis(10);
