//! How many small responses a second, and what of the processor each takes.

use super::{Goal, Line, Section};
use crate::Result;
use crate::bench::{Bench, Rounds, load};
use crate::clients::{Look, Name};
use crate::order::{Order, Work};
use crate::server::Door;
use crate::servers::{Kind, Server};
use crate::setup::KeyExchange;
use crate::table::{Table, figure, ratio};

pub fn http1(bench: &Bench) -> Result<Section> {
    let (mut text, many) = small(bench, Door::Http1, AT_ONCE, &Name::ALL)?;
    text += &small(bench, Door::Http1, 1, &Name::ALL)?.0;
    let workload = "64 at once, HTTP/1.1 pool, requests a second against the floor";
    Ok(Section {
        title: "Small responses over HTTP/1.1",
        text,
        lines: vec![line(
            workload,
            &many,
            Name::Floor,
            "rate",
            Goal::AtLeast(0.95),
        )],
    })
}

pub fn http2(bench: &Bench) -> Result<Section> {
    let (mut text, many) = small(bench, Door::Http2, AT_ONCE, &HTTP2)?;
    text += &small(bench, Door::Http2, 1, &HTTP2)?.0;
    let workload = "64 at once, one HTTP/2 connection, requests a second against the floor";
    Ok(Section {
        title: "Small responses over HTTP/2",
        text,
        lines: vec![line(
            workload,
            &many,
            Name::Floor,
            "rate",
            Goal::AtLeast(1.0),
        )],
    })
}

pub fn full(bench: &Bench) -> Result<Section> {
    let order = |client| bench.order(client, Door::Full, "/small", work(bench, 1, Look::Resumed));
    let rounds = measure(bench, &Name::ALL, order)?;
    let workload = "new connection by name, full handshake, CPU a connection against reqwest";
    Ok(Section {
        title: "A new connection each, full handshake",
        text: shown("One at a time, X25519", &rounds, &Name::ALL, true) + BY_NAME,
        lines: vec![line(
            workload,
            &rounds,
            Name::Reqwest,
            "cpu-us",
            Goal::AtMost(0.85),
        )],
    })
}

pub fn hybrid(bench: &Bench) -> Result<Section> {
    let (leaf, key) = (bench.pki.leaf.clone(), bench.pki.key.clone());
    let server = Server::start(&Kind::Hybrid { leaf, key })?;
    let order = |client| {
        let mut order = bench.order(client, Door::Full, "", work(bench, 1, Look::Away));
        order.setup.url = format!("https://localhost:{}/small", server.address.port()).into();
        order.setup.key_exchange = KeyExchange::X25519MlKem768;
        order
    };
    let rounds = measure(bench, &Name::ALL, order)?;
    let workload = "the same with X25519MLKEM768";
    Ok(Section {
        title: "A new connection each, full handshake with X25519MLKEM768",
        text: shown(
            "One at a time, a server of the bench's own",
            &rounds,
            &Name::ALL,
            false,
        ) + BY_NAME,
        lines: vec![line(
            workload,
            &rounds,
            Name::Reqwest,
            "cpu-us",
            Goal::AtMost(0.85),
        )],
    })
}

pub fn resumed(bench: &Bench) -> Result<Section> {
    let order = |client| {
        bench.order(
            client,
            Door::Resumed,
            "/small",
            work(bench, 1, Look::Resumed),
        )
    };
    let rounds = measure(bench, &Name::ALL, order)?;
    let workload = "new connection, resumed, requests a second against reqwest";
    Ok(Section {
        title: "A new connection each, resumed",
        text: shown("One at a time, TLS 1.3 tickets", &rounds, &Name::ALL, true) + BY_NAME,
        lines: vec![line(
            workload,
            &rounds,
            Name::Reqwest,
            "rate",
            Goal::AtLeast(1.1),
        )],
    })
}

fn small(
    bench: &Bench,
    door: Door,
    at_once: usize,
    clients: &[Name],
) -> Result<(String, Rounds<Name>)> {
    let order = |client| bench.order(client, door, "/small", work(bench, at_once, Look::Away));
    let rounds = measure(bench, clients, order)?;
    let title = if at_once == 1 {
        "One at a time".to_owned()
    } else {
        format!("{at_once} at once")
    };
    Ok((shown(&title, &rounds, clients, false), rounds))
}

fn work(bench: &Bench, at_once: usize, look: Look) -> Work {
    Work::Rate {
        at_once,
        time: bench.time,
        look,
    }
}

fn measure(bench: &Bench, clients: &[Name], order: impl Fn(Name) -> Order) -> Result<Rounds<Name>> {
    bench.rounds(clients, |client| bench.run(&order(client)))
}

/// The full table of one workload; `resumption` is whether the server told of it.
fn shown(title: &str, rounds: &Rounds<Name>, clients: &[Name], resumption: bool) -> String {
    let mut head = vec![
        "",
        "requests/s",
        "min–max",
        "÷ floor",
        "÷ reqwest",
        "CPU µs each",
        "user",
        "system",
        "CPU ÷ floor",
        "CPU ÷ reqwest",
    ];
    if resumption {
        head.push("resumed");
    }
    let mut table = Table::new(head);
    for &client in clients {
        let spread = |what| rounds.spread(client, what);
        let median = |what| spread(what).map_or_else(String::new, |spread| figure(spread.median));
        let against = |to, what| {
            rounds
                .ratio(client, to, what)
                .map_or_else(String::new, ratio)
        };
        let mut row = vec![
            client.shown().to_owned(),
            median("rate"),
            spread("rate").map_or_else(String::new, |spread| spread.range()),
            against(Name::Floor, "rate"),
            against(Name::Reqwest, "rate"),
            median("cpu-us"),
            median("user-us"),
            median("system-us"),
            against(Name::Floor, "cpu-us"),
            against(Name::Reqwest, "cpu-us"),
        ];
        let resumed = spread("resumed").map_or(0.0, |spread| spread.median);
        row.push(format!("{:.0} %", resumed * 100.0));
        table.row(row);
    }
    format!("{title} (load average {}):\n\n{table}\n", load())
}

fn line(workload: &str, rounds: &Rounds<Name>, to: Name, what: &str, goal: Goal) -> Line {
    let cells = Name::ALL.map(|client| (client, rounds.ratio(client, to, what)));
    Line::new(workload, Some(goal), cells, ratio)
}

/// ureq speaks HTTP/1.1 only.
const HTTP2: [Name; 5] = [
    Name::Floor,
    Name::HyperUtil,
    Name::Reqwest,
    Name::Urlfetch,
    Name::Prepared,
];

const AT_ONCE: usize = 64;

/// What is in the figures of new connections.
const BY_NAME: &str = "\
The name is `localhost`, for which urlfetch asks the system once a second, and the others for each
connection.

";
