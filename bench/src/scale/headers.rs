//! Header fields, of a response and of a request.

use urlfetch::Client;

use super::growth::Shown::EachMore;
use super::growth::Unit::Instructions;
use super::growth::{Growth, Row};
use super::meter::Meter;
use super::serve::field_name;
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    vec![
        Growth {
            title: "fields in the header of a response",
            sizes: &[0, 10, 30, 90],
            rows: vec![
                Row::new(
                    "each, over HTTP/1.1",
                    Instructions,
                    EachMore,
                    |meter, world, fields| {
                        asked(meter, world, &world.http1(&format!("/headers/{fields}")), 0);
                    },
                ),
                Row::new(
                    "each, over HTTP/2",
                    Instructions,
                    EachMore,
                    |meter, world, fields| {
                        asked(meter, world, &world.http2(&format!("/headers/{fields}")), 0);
                    },
                ),
            ],
            prepare: |_, _| {},
            note: "More than 100 fields, or 64 KiB, are refused. Over HTTP/2 fields that were there before are told by their number, of as many as 4 KiB hold (RFC 7541 §4.2); ninety of them are more than that, and each is written out again.",
        },
        Growth {
            title: "fields in the header of a request",
            sizes: &[0, 10, 100, 1_000, 10_000],
            rows: vec![
                Row::new(
                    "each, over HTTP/1.1",
                    Instructions,
                    EachMore,
                    |meter, world, fields| {
                        asked(meter, world, &world.http1("/small"), fields);
                    },
                ),
                Row::new(
                    "each, over HTTP/2",
                    Instructions,
                    EachMore,
                    |meter, world, fields| {
                        asked(meter, world, &world.http2("/small"), fields);
                    },
                ),
                Row::new(
                    "each of one name, over HTTP/1.1",
                    Instructions,
                    EachMore,
                    repeated,
                ),
            ],
            prepare: |_, _| {},
            note: "",
        },
    ]
}

fn asked(meter: &Meter, world: &World, url: &str, fields: usize) {
    let (client, runtime) = (world.client().build().unwrap(), current_thread());
    let names: Vec<_> = (0..fields).map(field_name).collect();
    let once = || {
        let fetch = client.fetch(url);
        let fetch = names
            .iter()
            .fold(fetch, |fetch, name| fetch.header(name, "a value"));
        runtime.block_on(async {
            fetch.await.unwrap().bytes().await.unwrap();
        });
    };
    once();
    let rounds = rounds(fields);
    meter.count(rounds, || (0..rounds).for_each(|_| once()));
}

fn repeated(meter: &Meter, world: &World, fields: usize) {
    let (client, runtime): (Client, _) = (world.client().build().unwrap(), current_thread());
    let url = world.http1("/small");
    let once = || {
        let fetch = client.fetch(url.as_str());
        let fetch = (0..fields).fold(fetch, |fetch, _| fetch.header("x-field", "a value"));
        runtime.block_on(async {
            fetch.await.unwrap().bytes().await.unwrap();
        });
    };
    once();
    let rounds = rounds(fields);
    meter.count(rounds, || (0..rounds).for_each(|_| once()));
}

fn rounds(fields: usize) -> usize {
    (2_000 / fields.max(1)).clamp(1, 50)
}
