//! How cost grows with the size of things: with requests in flight, hosts, roots, entries of CRLs,
//! redirects, headers, names, bytes, waiters, threads.
//!
//! Each figure is taken in a process of its own, which is a client of the server in this one: so
//! that memory is that of what grew alone. What a processor has to do is counted by callgrind where
//! that takes no minutes, as time says little of a machine that has other things to do; else it is
//! the processor's time, the least of three runs.

mod bodies;
mod crls;
mod growth;
mod headers;
mod hosts;
mod in_flight;
mod meter;
mod mint;
mod names;
mod redirects;
mod roots;
mod runtimes;
mod serve;
mod trial;
mod waiters;
mod world;

use growth::Growth;
use trial::Trials;
use world::World;

/// Prints the section, or those growths of it whose title has this word in it.
pub(crate) fn run(words: &[String]) {
    match words {
        [word, rest @ ..] if word == trial::ONE => trial::run(&growths(), rest),
        _ => print!("{}", section(words.first().map_or("", String::as_str))),
    }
}

/// The section of RESULTS.md, with the growths whose title has this word in it.
fn section(wanted: &str) -> String {
    let world = World::new();
    let trials = Trials::new(&world);
    let growths = growths();
    let wanted = growths
        .iter()
        .enumerate()
        .filter(|(_, growth)| growth.title.contains(wanted));
    let tables = wanted.map(|(number, growth)| growth.measured(number, &world, &trials));
    format!("## Scale\n{PREFACE}{}", tables.collect::<String>())
}

fn growths() -> Vec<Growth> {
    let families = [
        in_flight::growths(),
        waiters::growths(),
        runtimes::growths(),
        hosts::growths(),
        roots::growths(),
        crls::growths(),
        names::growths(),
        redirects::growths(),
        headers::growths(),
        bodies::growths(),
    ];
    families.into_iter().flatten().collect()
}

const PREFACE: &str = "
`cargo run --release --manifest-path bench/Cargo.toml -- scale [WORD]`, of the growths with that word
in their title. What grows stands at the head of each table, and behind its figures the exponent by
which they grow: the slope of their logarithm over that of the size, by least squares over all sizes,
and between the last two (\"at last\"). It is linear where it is what \"linear\" says: 1 of a figure
for all, 0 of a figure for each, or of one request while so many are there. Above that it is worse,
below it there is a part that does not grow. Instructions, without a unit, are those of user space,
by callgrind; times are the processor's, kernel included, the least of three runs, or one run from 10,000 up; bytes are what the
process grew by. What is left empty is lost in noise, or takes callgrind minutes.
";
