//! The bytes of a body, and the pieces in which they come.

use super::growth::Shown::{Each, EachMore};
use super::growth::Unit::{Bytes, Instructions, Nanoseconds};
use super::growth::{Growth, Row};
use super::meter::{Meter, resident};
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    let prepare = |_: &World, _| {};
    vec![
        Growth {
            title: "bytes of a body",
            sizes: &[1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20],
            rows: vec![
                Row::new(
                    "each, by `bytes()`",
                    Nanoseconds,
                    Each,
                    |meter, world, bytes| {
                        whole(
                            meter,
                            world,
                            &world.http1(&format!("/bytes/{bytes}")),
                            bytes,
                        );
                    },
                ),
                Row::new(
                    "each, by `bytes()`",
                    Instructions,
                    Each,
                    |meter, world, bytes| {
                        whole(
                            meter,
                            world,
                            &world.http1(&format!("/bytes/{bytes}")),
                            bytes,
                        );
                    },
                ),
                Row::new(
                    "each, by `chunk()`",
                    Instructions,
                    Each,
                    |meter, world, bytes| {
                        piece_by_piece(
                            meter,
                            world,
                            &world.http1(&format!("/bytes/{bytes}")),
                            bytes,
                        );
                    },
                ),
                Row::new(
                    "each, by `chunk()` over HTTP/2",
                    Instructions,
                    Each,
                    |meter, world, bytes| {
                        let url = world.http2(&format!("/bytes/{bytes}"));
                        piece_by_piece(meter, world, &url, bytes);
                    },
                ),
            ],
            prepare,
            note: "A copy by `rep movsb` counts as an instruction a byte, which the processor does \
                   some 32 at once: `bytes()` copies each, and grows its room by doubling it where \
                   the body is longer than the 1 MiB that is made room for on its server's word.",
        },
        Growth {
            title: "pieces of a body, of one byte each",
            sizes: &[1, 100, 10_000, 1_000_000],
            rows: vec![
                Row::new(
                    "each, by `bytes()` over HTTP/1.1",
                    Instructions,
                    EachMore,
                    |m, w, pieces| {
                        whole(m, w, &w.http1(&format!("/chunks/{pieces}")), pieces);
                    },
                )
                .to(10_000),
                Row::new(
                    "each, by `bytes()` over HTTP/1.1",
                    Nanoseconds,
                    EachMore,
                    |m, w, pieces| {
                        whole(m, w, &w.http1(&format!("/chunks/{pieces}")), pieces);
                    },
                ),
                Row::new(
                    "each, by `bytes()` over HTTP/2",
                    Nanoseconds,
                    EachMore,
                    |m, w, pieces| {
                        whole(m, w, &w.http2(&format!("/chunks/{pieces}")), pieces);
                    },
                )
                .to(10_000),
                Row::new(
                    "each, kept as it came from `chunk()`",
                    Bytes,
                    Each,
                    |meter, world, pieces| {
                        let (client, runtime) = (world.client().build().unwrap(), current_thread());
                        let url = world.http1(&format!("/chunks/{pieces}"));
                        runtime.block_on(async {
                            client
                                .fetch(world.http1("/small"))
                                .await
                                .unwrap()
                                .bytes()
                                .await
                                .unwrap();
                            let before = resident();
                            let mut body = client.fetch(url.as_str()).await.unwrap().into_body();
                            let mut kept = Vec::new();
                            while let Some(piece) = body.chunk().await.unwrap() {
                                kept.push(piece);
                            }
                            meter.grew(before);
                        });
                    },
                )
                .from(10_000),
            ],
            prepare,
            note: "",
        },
    ]
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
