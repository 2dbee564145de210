//! What a request weighs while its response is waited for.

use super::{Goal, Line, Section};
use crate::Result;
use crate::bench::Bench;
use crate::clients::Name;
use crate::order::Work;
use crate::server::Door;
use crate::table::{Table, figure};

pub fn run(bench: &Bench) -> Result<Section> {
    let (mut text, mut lines) = (String::new(), Vec::new());
    for (door, title, goal) in [
        (Door::Http1, "HTTP/1.1", 31.0),
        (Door::Http2, "HTTP/2", 6.5),
    ] {
        let mut clients = Name::ALL.to_vec();
        clients.retain(|client| door == Door::Http1 || *client != Name::Ureq);
        let path = format!("/hold/{HELD}");
        let order = |client| bench.order(client, door, &path, Work::Held(HELD));
        let rounds = bench.rounds(&clients, |client| bench.run(&order(client)))?;
        let mut table = Table::new(["", "KiB a request", "min–max"]);
        for &client in &clients {
            let spread = rounds.spread(client, "kib").ok_or("no round was run")?;
            table.row([
                client.shown().to_owned(),
                figure(spread.median),
                spread.range(),
            ]);
        }
        text += &format!("{HELD} in flight over {title}, resident above the idle client:\n\n");
        text += &format!("{table}\n");
        let median = |name| rounds.spread(name, "kib").map(|spread| spread.median);
        let cells = clients.iter().map(|&name| (name, median(name)));
        let workload = format!("1,000 requests in flight over {title}, KiB a request");
        lines.push(Line::new(workload, Some(Goal::AtMost(goal)), cells, figure));
    }
    Ok(Section {
        title: "Memory of requests in flight",
        text,
        lines,
    })
}

const HELD: usize = 1_000;
