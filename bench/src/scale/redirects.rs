//! Redirects on the way to a response.

use super::growth::Shown::EachMore;
use super::growth::Unit::Instructions;
use super::growth::{Growth, Row};
use super::meter::Meter;
use super::world::{World, current_thread};

pub(crate) fn growths() -> Vec<Growth> {
    vec![Growth {
        title: "redirects followed",
        sizes: &[0, 1, 5, 20, 50],
        rows: vec![
            Row::new(
                "each, over HTTP/1.1",
                Instructions,
                EachMore,
                |meter, world, redirects| {
                    followed(meter, world, &world.http1(&path(redirects)));
                },
            ),
            Row::new(
                "each, over HTTP/2",
                Instructions,
                EachMore,
                |meter, world, redirects| {
                    followed(meter, world, &world.http2(&path(redirects)));
                },
            ),
        ],
        prepare: |_, _| {},
        note: "Five are followed unless `max_redirects` says otherwise.",
    }]
}

fn followed(meter: &Meter, world: &World, url: &str) {
    let (client, runtime) = (world.client().build().unwrap(), current_thread());
    let once = || {
        runtime.block_on(async {
            let response = client.fetch(url).max_redirects(64).await.unwrap();
            assert_eq!(response.status(), 200);
            response.bytes().await.unwrap();
        });
    };
    once();
    meter.count(ROUNDS, || (0..ROUNDS).for_each(|_| once()));
}

fn path(redirects: usize) -> String {
    format!("/redirect/{redirects}")
}

const ROUNDS: usize = 50;
