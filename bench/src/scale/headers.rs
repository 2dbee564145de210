//! Header fields, of a response and of a request.

use http::HeaderName;

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
                    |m, w, fields| {
                        asked(m, w, &w.http1(&format!("/headers/{fields}")), Vec::new());
                    },
                ),
                Row::new(
                    "each, over HTTP/2",
                    Instructions,
                    EachMore,
                    |m, w, fields| {
                        asked(m, w, &w.http2(&format!("/headers/{fields}")), Vec::new());
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
                    |m, w, fields| {
                        asked(m, w, &w.http1("/small"), field_names(fields));
                    },
                ),
                Row::new(
                    "each, over HTTP/2",
                    Instructions,
                    EachMore,
                    |m, w, fields| {
                        asked(m, w, &w.http2("/small"), field_names(fields));
                    },
                ),
                Row::new(
                    "each of one name, over HTTP/1.1",
                    Instructions,
                    EachMore,
                    |m, w, fields| {
                        asked(
                            m,
                            w,
                            &w.http1("/small"),
                            vec![HeaderName::from_static("x-field"); fields],
                        );
                    },
                ),
            ],
            prepare: |_, _| {},
            note: "",
        },
    ]
}

/// Requests with these fields.
fn asked(meter: &Meter, world: &World, url: &str, names: Vec<HeaderName>) {
    let (client, runtime) = (world.client().build().unwrap(), current_thread());
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
    let rounds = (2_000 / names.len().max(1)).clamp(1, 50);
    meter.count(rounds, || (0..rounds).for_each(|_| once()));
}

fn field_names(fields: usize) -> Vec<HeaderName> {
    (0..fields).map(field_name).collect()
}
