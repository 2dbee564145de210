//! From a process that does not exist to its first response, with the roots of the platform.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::{Goal, Line, Section};
use crate::Result;
use crate::bench::{Bench, Rounds, load, said};
use crate::clients::Name;
use crate::folder::Folder;
use crate::order::{Order, Words, Work};
use crate::server::Door;
use crate::servers::{Kind, Server};
use crate::setup::Roots;
use crate::table::{Table, figure};
use crate::tool::{CLIENT_CORE, pinned};

pub fn run(bench: &Bench) -> Result<Section> {
    let ring = with_ring()?;
    let folder = Folder::new()?;
    let roots = folder.write("roots.pem", native_and(&bench.pki.ca)?)?;
    let near = |client| {
        let mut order = bench.order(client, Door::Http1, "/small", Work::Fresh);
        order.setup.roots = Roots::Native;
        order
    };
    let relay = Server::start(&Kind::Relay)?;
    let far = |client| {
        let mut order = near(client);
        order.setup.proxy = Some(relay.address.to_string().into());
        order
    };
    let spawn = |built: Built, order: &Order| -> Result<Words> {
        let mut command = match built {
            Built::WithAwsLc => bench.command(order),
            Built::WithRing => {
                let mut command = pinned(CLIENT_CORE, &ring);
                command.arg("child").args(order.words());
                command
            }
        };
        fresh(command.env("SSL_CERT_FILE", &roots), order)
    };

    // A process is over soon: several make a round.
    let many = bench.rounds * PROCESSES;
    let close = Bench::turns(many, &KEYS, |(built, name)| spawn(built, &near(name)))?;
    let afar = Bench::turns(many, &KEYS, |(built, name)| spawn(built, &far(name)))?;
    let mut text = shown("On this machine", &close);
    text += &shown(
        "Through a proxy 30 ms away, which is three round trips",
        &afar,
    );

    let over = |rounds: &Rounds<Key>, key| {
        let median = |key| rounds.spread(key, "whole-ms").map(|spread| spread.median);
        Some(median(key)? - median(FLOOR)?)
    };
    let line = |workload: &str, rounds, built, goal| {
        let names = [
            Name::Floor,
            Name::HyperUtil,
            Name::Reqwest,
            Name::Ureq,
            Name::Urlfetch,
        ];
        let cells = names.map(|name| (name, over(rounds, (built, name))));
        Line::new(workload, goal, cells, signed)
    };
    let (aws_lc, ring) = (Built::WithAwsLc, Built::WithRing);
    let goal = Some(Goal::AtMost(4.0));
    Ok(Section {
        title: "A fresh process to its first response",
        text,
        lines: vec![
            line(
                "fresh process, ring, ms over the floor with ring",
                &close,
                ring,
                goal,
            ),
            line(
                "fresh process, aws-lc-rs, ms over the floor with ring",
                &close,
                aws_lc,
                None,
            ),
            line("the same, a server 30 ms away", &afar, aws_lc, None),
        ],
    })
}

/// By which cryptography the bench was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Built {
    WithAwsLc,
    WithRing,
}

type Key = (Built, Name);

const FLOOR: Key = (Built::WithRing, Name::Floor);

const KEYS: [Key; 7] = [
    FLOOR,
    (Built::WithAwsLc, Name::Floor),
    (Built::WithAwsLc, Name::HyperUtil),
    (Built::WithAwsLc, Name::Reqwest),
    (Built::WithAwsLc, Name::Ureq),
    (Built::WithAwsLc, Name::Urlfetch),
    (Built::WithRing, Name::Urlfetch),
];

/// Runs the child, and adds how long it took from outside.
fn fresh(command: &mut Command, order: &Order) -> Result<Words> {
    let begun = Instant::now();
    let mut words = said(command, order)?;
    words.add("whole-ms", begun.elapsed().as_secs_f64() * 1e3);
    Ok(words)
}

fn shown(title: &str, rounds: &Rounds<Key>) -> String {
    let head = [
        "",
        "cryptography",
        "ms, spawn to exit",
        "min–max",
        "over the floor with ring",
        "in it",
    ];
    let mut table = Table::new(head);
    let median = |key, what| {
        rounds
            .spread(key, what)
            .map_or(f64::NAN, |spread| spread.median)
    };
    for key @ (built, name) in KEYS {
        let cryptography = match built {
            Built::WithAwsLc => "aws-lc-rs",
            Built::WithRing => "ring",
        };
        table.row([
            name.shown().to_owned(),
            cryptography.to_owned(),
            figure(median(key, "whole-ms")),
            rounds
                .spread(key, "whole-ms")
                .map_or_else(String::new, |spread| spread.range()),
            signed(median(key, "whole-ms") - median(FLOOR, "whole-ms")),
            figure(median(key, "ms")),
        ]);
    }
    format!("{title} (load average {}):\n\n{table}\n", load())
}

fn signed(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", figure(value))
}

/// The bench once more, without aws-lc-rs and the peers, into a target folder of its own.
fn with_ring() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = package.join("target/ring");
    eprintln!("building the bench with ring into {}", target.display());
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--release",
            "--locked",
            "--no-default-features",
            "--features",
            "ring",
        ])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    if !built.success() {
        return Err("the bench does not build with ring".into());
    }
    Ok(target.join("release").join(env!("CARGO_PKG_NAME")))
}

/// The platform's roots and the bench's own, in one file.
fn native_and(ca: &Path) -> Result<Vec<u8>> {
    let mut roots = fs::read(BUNDLE).map_err(|error| format!("{BUNDLE}: {error}"))?;
    roots.push(b'\n');
    roots.extend(fs::read(ca)?);
    Ok(roots)
}

/// Debian's, from ca-certificates.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

const PROCESSES: usize = 3;
