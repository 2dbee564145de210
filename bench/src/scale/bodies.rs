//! The bytes of a body, and the pieces in which they come.

use super::growth::Shown::{Each, EachMore};
use super::growth::Unit::{Bytes, Instructions, Nanoseconds};
use super::growth::{Growth, Row};
use super::in_flight::fetch;
use super::meter::{Meter, resident};
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    let prepare = |_: &World, _| {};
    vec![
        Growth {
            title: "bytes of a body",
            sizes: &[1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20],
            rows: vec![
                Row::new("each, by `bytes()`", Nanoseconds, Each, whole_http1),
                Row::new("each, by `bytes()`", Instructions, Each, whole_http1).to(16 << 20),
                Row::new(
                    "each, by `chunk()`",
                    Instructions,
                    Each,
                    |meter, world, bytes| {
                        piece_by_piece(meter, world, &world.http1(&path("bytes", bytes)), bytes);
                    },
                )
                .to(16 << 20),
                Row::new(
                    "each, by `chunk()` over HTTP/2",
                    Instructions,
                    Each,
                    |meter, world, bytes| {
                        piece_by_piece(meter, world, &world.http2(&path("bytes", bytes)), bytes);
                    },
                )
                .to(16 << 20),
            ],
            prepare,
            note: "A copy by `rep movsb` counts as an instruction a byte, which the processor does \
                   some 32 at once. `bytes()` copies each byte, and twice where its room has to grow: \
                   by doubling, beyond the 1 MiB that is made room for on the server's word.",
        },
        Growth {
            title: "pieces of a body, of one byte each",
            sizes: &[1, 100, 10_000, 1_000_000],
            rows: vec![
                Row::new(
                    "each, by `bytes()` over HTTP/1.1",
                    Instructions,
                    EachMore,
                    chunks_http1,
                )
                .to(10_000),
                Row::new(
                    "each, by `bytes()` over HTTP/1.1",
                    Nanoseconds,
                    EachMore,
                    chunks_http1,
                ),
                Row::new(
                    "each, by `bytes()` over HTTP/2",
                    Nanoseconds,
                    EachMore,
                    |meter, world, pieces| {
                        whole(meter, world, &world.http2(&path("chunks", pieces)), pieces);
                    },
                )
                .to(10_000),
                Row::new("each, kept as it came from `chunk()`", Bytes, Each, kept).from(10_000),
            ],
            prepare,
            note: "Over HTTP/1.1 each piece is a chunk (RFC 9112 §7.1), over HTTP/2 a frame. What is \
                   kept holds on to what was read from the connection with it, which is shared.",
        },
    ]
}

fn whole_http1(meter: &Meter, world: &World, bytes: usize) {
    whole(meter, world, &world.http1(&path("bytes", bytes)), bytes);
}

fn chunks_http1(meter: &Meter, world: &World, pieces: usize) {
    whole(meter, world, &world.http1(&path("chunks", pieces)), pieces);
}

/// What memory grows by, when nothing of a body is let go.
fn kept(meter: &Meter, world: &World, pieces: usize) {
    let (client, runtime) = (world.client().build().unwrap(), current_thread());
    let url = world.http1(&path("chunks", pieces));
    runtime.block_on(async {
        fetch(client.clone(), world.http1("/small")).await;
        let before = resident();
        let mut body = client.fetch(url.as_str()).await.unwrap().into_body();
        let mut kept = Vec::new();
        while let Some(piece) = body.chunk().await.unwrap() {
            kept.push(piece);
        }
        meter.grew(before);
    });
}

fn path(word: &str, number: usize) -> String {
    format!("/{word}/{number}")
}

fn whole(meter: &Meter, world: &World, url: &str, bytes: usize) {
    let (client, runtime) = (world.client().build().unwrap(), current_thread());
    let once = || {
        runtime.block_on(async {
            let fetch = client.fetch(url).max_response_size(1 << 30);
            let read = fetch.await.unwrap().bytes().await.unwrap();
            assert_eq!(read.len(), bytes);
        });
    };
    once();
    meter.count(1, once);
}

fn piece_by_piece(meter: &Meter, world: &World, url: &str, bytes: usize) {
    let (client, runtime) = (world.client().build().unwrap(), current_thread());
    let once = || {
        runtime.block_on(async {
            let mut body = client.fetch(url).await.unwrap().into_body();
            let mut read = 0;
            while let Some(piece) = body.chunk().await.unwrap() {
                read += piece.len();
            }
            assert_eq!(read, bytes);
        });
    };
    once();
    meter.count(1, once);
}
