//! What one more request costs on a connection that is warm: counted, not timed, so that it is the
//! same on a loaded machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use super::{Goal, Line, Section};
use crate::Result;
use crate::bench::Bench;
use crate::clients::Name;
use crate::folder::Folder;
use crate::order::{Order, Work};
use crate::server::Door;
use crate::table::{Table, figure};
use crate::tool::find;

pub fn run(bench: &Bench) -> Result<Section> {
    let mut counts = BTreeMap::new();
    let mut text = String::new();
    for (door, title) in [(Door::Http1, "HTTP/1.1"), (Door::Http2, "HTTP/2")] {
        let head = [
            "",
            "instructions",
            "allocations",
            "bytes allocated",
            "system calls",
            "which",
        ];
        let mut table = Table::new(head);
        for client in Name::ALL {
            if door == Door::Http2 && client == Name::Ureq {
                continue;
            }
            let count = Count::of(bench, client, door)?;
            table.row([
                client.shown().to_owned(),
                figure(count.instructions),
                format!("{:.1}", count.blocks),
                figure(count.bytes),
                format!("{:.2}", count.calls.values().sum::<f64>()),
                count.named_calls(),
            ]);
            counts.insert((client, door == Door::Http2), count);
        }
        text += &format!("{title}, a request:\n\n{table}\n");
    }

    let line = |workload: &str, ours: Name, goal: f64, value: fn(&Count) -> f64| {
        let at = |name| counts.get(&(name, false)).map(value);
        let peers = [Name::Floor, Name::HyperUtil, Name::Reqwest, Name::Ureq];
        let cells = peers.map(|name| (name, at(name)));
        let cells = cells.into_iter().chain([(Name::Urlfetch, at(ours))]);
        Line::new(workload, Some(Goal::AtMost(goal)), cells, figure)
    };
    let (words, target) = (Name::Urlfetch, Name::Prepared);
    Ok(Section {
        title: "A warm request",
        text,
        lines: vec![
            line(
                "user instructions a warm request, from `&str`",
                words,
                36_000.0,
                |c| c.instructions,
            ),
            line(
                "the same, from a target prepared once",
                target,
                32_000.0,
                |c| c.instructions,
            ),
            line(
                "allocations a warm request, from `&str`",
                words,
                13.0,
                |c| c.blocks,
            ),
            line("the same, from a target prepared once", target, 10.0, |c| {
                c.blocks
            }),
            line(
                "bytes allocated a warm request, from `&str`",
                words,
                11_000.0,
                |c| c.bytes,
            ),
        ],
    })
}

/// What one more request costs.
struct Count {
    instructions: f64,
    blocks: f64,
    bytes: f64,
    calls: BTreeMap<String, f64>,
}

impl Count {
    fn of(bench: &Bench, client: Name, door: Door) -> Result<Self> {
        let order = |many| bench.order(client, door, "/small", Work::Count(many));
        let instructions = |many| instructions(bench, &order(many));
        let heap = |many| heap(bench, &order(many));
        let calls = |many| system_calls(bench, &order(many));
        let (few_blocks, few_bytes) = heap(FEW)?;
        let (blocks, bytes) = heap(MORE)?;
        Ok(Self {
            instructions: (instructions(MANY)? - instructions(FEW)?) / (MANY - FEW) as f64,
            blocks: (blocks - few_blocks) / (MORE - FEW) as f64,
            bytes: (bytes - few_bytes) / (MORE - FEW) as f64,
            calls: fewer(calls(MORE)?, &calls(FEW)?, (MORE - FEW) as f64),
        })
    }

    fn named_calls(&self) -> String {
        let mut calls: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, many)| **many >= 0.05)
            .collect();
        calls.sort_by(|one, other| other.1.total_cmp(one.1));
        let named = calls.iter().map(|(name, many)| format!("{name} {many:.1}"));
        named.collect::<Vec<_>>().join(", ")
    }
}

/// The difference, so that what is done once does not count.
pub fn fewer(
    many: BTreeMap<String, f64>,
    few: &BTreeMap<String, f64>,
    by: f64,
) -> BTreeMap<String, f64> {
    let less = |(name, count): (String, f64)| {
        let count = (count - few.get(&name).unwrap_or(&0.0)) / by;
        (name, count)
    };
    many.into_iter().map(less).collect()
}

fn instructions(bench: &Bench, order: &Order) -> Result<f64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let said = valgrind(bench, order, &options)?;
    let line = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    Ok(line
        .ok_or("callgrind says what it collected")?
        .trim()
        .parse()?)
}

/// Blocks and bytes allocated in all.
fn heap(bench: &Bench, order: &Order) -> Result<(f64, f64)> {
    let said = valgrind(bench, order, &["--tool=dhat", "--dhat-out-file=/dev/null"])?;
    let line = said.lines().find_map(|line| line.split("Total:").nth(1));
    let line = line.ok_or("dhat says the total")?.replace(',', "");
    let figures: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [bytes, blocks] = figures[..] else {
        return Err(format!("dhat says bytes and blocks, not {line}").into());
    };
    Ok((blocks, bytes))
}

fn valgrind(bench: &Bench, order: &Order, options: &[&str]) -> Result<String> {
    let valgrind = find("valgrind").ok_or("no valgrind")?;
    let mut command = Command::new(valgrind);
    let output = command.args(options).args(bench.words(order)).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said.into())
    }
}

/// By their names, of all threads.
pub fn system_calls(bench: &Bench, order: &Order) -> Result<BTreeMap<String, f64>> {
    let strace = find("strace").ok_or("no strace")?;
    let folder = Folder::new()?;
    let to = folder.path().join("calls");
    let mut command = Command::new(strace);
    command
        .args(["-c", "-f", "-o"])
        .arg(&to)
        .args(bench.words(order));
    if !command.stdout(Stdio::null()).status()?.success() {
        return Err("strace failed".into());
    }
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(to)?.lines() {
        // % time, seconds, usecs/call, calls, [errors], name
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ([_, _, _, many, .., name], true) = (&words[..], words.len() >= 5) {
            if let (Ok(many), false) = (many.parse(), *name == "total") {
                calls.insert((*name).to_owned(), many);
            }
        }
    }
    Ok(calls)
}

const FEW: usize = 200;
const MANY: usize = 5_200;
const MORE: usize = 1_200;
