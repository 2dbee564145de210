//! What it costs to carry a big body.

use super::warm::{fewer, system_calls};
use super::{Goal, Line, Section};
use crate::Result;
use crate::bench::{Bench, load};
use crate::clients::Name;
use crate::order::Work;
use crate::server::{BIG, Door};
use crate::table::{Table, figure, ratio};

pub fn run(bench: &Bench) -> Result<Section> {
    let (mut text, mut lines) = (String::new(), Vec::new());
    for (door, title, goal) in [
        (Door::Http1, "HTTP/1.1", 0.92),
        (Door::Http2, "HTTP/2", 0.96),
    ] {
        // A prepared target saves nothing that a body of this size would show.
        let mut clients = vec![Name::Floor, Name::HyperUtil, Name::Reqwest, Name::Urlfetch];
        if door == Door::Http1 {
            clients.insert(3, Name::Ureq);
        }
        let order = |client, many| bench.order(client, door, "/big", Work::Bodies(many));
        let rounds = bench.rounds(&clients, |client| bench.run(&order(client, 1)))?;

        let head = [
            "",
            "MiB/s",
            "min–max",
            "÷ floor",
            "CPU ms a GiB",
            "min–max",
            "user",
            "system",
            "CPU ÷ floor",
            "system calls a MiB",
            "which",
        ];
        let mut table = Table::new(head);
        for &client in &clients {
            let spread = |what| rounds.spread(client, what).ok_or("no round was run");
            let against = |what| rounds.ratio(client, Name::Floor, what);
            let against = |what| against(what).map_or_else(String::new, ratio);
            let (few, many) = (order(client, 1), order(client, 2));
            let mebibytes = (BIG >> 20) as f64;
            let few = system_calls(bench, &few)?;
            let mut calls: Vec<_> = fewer(system_calls(bench, &many)?, &few, mebibytes)
                .into_iter()
                .collect();
            calls.retain(|(_, many)| *many >= 0.5);
            calls.sort_by(|one, other| other.1.total_cmp(&one.1));
            let named = calls
                .iter()
                .map(|(name, many)| format!("{name} {}", figure(*many)));
            table.row([
                client.shown().to_owned(),
                figure(spread("rate")?.median),
                spread("rate")?.range(),
                against("rate"),
                figure(spread("cpu-ms")?.median),
                spread("cpu-ms")?.range(),
                figure(spread("user-ms")?.median),
                figure(spread("system-ms")?.median),
                against("cpu-ms"),
                figure(calls.iter().map(|(_, many)| many).sum()),
                named.collect::<Vec<_>>().join(", "),
            ]);
        }
        text += &format!(
            "512 MiB over {title} (load average {}):\n\n{table}\n",
            load()
        );
        let cells = clients
            .iter()
            .map(|&name| (name, rounds.ratio(name, Name::Floor, "cpu-ms")));
        let workload = format!("512 MiB over {title}, CPU against the floor");
        lines.push(Line::new(workload, Some(Goal::AtMost(goal)), cells, ratio));
    }
    Ok(Section {
        title: "A big body",
        text,
        lines,
    })
}
