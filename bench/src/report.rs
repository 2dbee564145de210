//! `RESULTS.md`, as a whole: the table of goals, what each part found, and how it was found.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use crate::Result;
use crate::bench::Bench;
use crate::clients::Name;
use crate::table::Table;
use crate::tool::Tool;
use crate::workloads::{Line, Section};

/// The table that everything else explains.
pub fn goals<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Table {
    let names = [
        Name::Floor,
        Name::HyperUtil,
        Name::Reqwest,
        Name::Ureq,
        Name::Urlfetch,
    ];
    let head = names.map(Name::shown);
    let mut table = Table::new(["workload"].into_iter().chain(head).chain(["goal", ""]));
    for line in lines {
        let mut row = vec![line.workload.clone()];
        row.extend(names.map(|name| line.cell(name)));
        row.extend([line.goal_shown(), line.met().to_owned()]);
        table.row(row);
    }
    table
}

pub fn section(section: &Section) -> String {
    format!("## {}\n\n{}", section.title, section.text)
}

/// `others` is what other parts printed by themselves; `missing`, what was left out and why.
pub fn whole(bench: &Bench, sections: &[Section], others: &str, missing: &str) -> Result<String> {
    let mut text = format!("# urlfetch beside its peers\n\n{ABOUT}\n");
    let lines = sections.iter().flat_map(|section| &section.lines);
    writeln!(text, "Measured on {}.\n\n{}", today(), goals(lines))?;
    text += missing;
    for found in sections {
        text += &section(found);
    }
    text += others;
    writeln!(text, "\n## How it was measured\n\n{METHOD}")?;
    writeln!(
        text,
        "{} rounds, each of {:?} where time is measured.\n\n## Machine and versions\n\n{}",
        bench.rounds,
        bench.time,
        machine()?
    )?;
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    Ok(text.trim_end().to_owned() + "\n")
}

fn today() -> String {
    said(Command::new("date").args(["-u", "+%Y-%m-%d"]))
}

fn machine() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches(['\t', ' ', ':'])
    });
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1));
    let memory = memory.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 20;
    let mut table = Table::new(["", "version"]);
    table.row([
        "processor".to_owned(),
        format!("{model}, {} cores", available_parallelism()?),
    ]);
    table.row(["memory".to_owned(), format!("{memory} GiB")]);
    table.row([
        "system".to_owned(),
        format!("{}, {}", system()?, said(Command::new("uname").arg("-sr"))),
    ]);
    table.row([
        "rustc".to_owned(),
        said(Command::new("rustc").arg("--version")),
    ]);
    for tool in Tool::all() {
        table.row([tool.name.to_owned(), tool.shown()]);
    }
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))?;
    for name in CRATES {
        table.row([name.to_owned(), locked(&lock, name)]);
    }
    Ok(table.to_string())
}

fn system() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release")?;
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Ok(name.unwrap_or("unknown").trim_matches('"').to_owned())
}

/// The version of a crate, as the lock has it.
fn locked(lock: &str, name: &str) -> String {
    let package = format!("name = \"{name}\"\nversion = \"");
    let after = lock.split(&package).nth(1).unwrap_or("none\"");
    after.split('"').next().unwrap_or_default().to_owned()
}

fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

const ABOUT: &str = "\
What a request costs by urlfetch and by its peers, with verification, deadlines, redirects and
limits as each has them by default. *floor* is the least that can be done: tokio and tokio-rustls
with a request written by hand and a response read by httparse, and bare `h2` for HTTP/2; it
follows, limits and times nothing. *hyper-util* is its legacy client with hyper-rustls. The goals are
this project's own.

This file is written as a whole by `cargo run --release --manifest-path bench/Cargo.toml`; nothing
in it is asserted by a test. To run a part, or fewer rounds, see `-- --help`.
";

const METHOD: &str = "\
Each measurement is a child process of the bench, which takes its own processor time by getrusage
between two moments in the middle of its work; that of a big body is of the first of its process,
the connection and the first entropy of the cryptography included. Clients are pinned to core 0 by
taskset, and nginx (one worker) or the bench's own servers to core 1. In each round the clients take
turns, and another begins each time; figures are medians, with the least and the most, and a ratio
is the median of the ratios within a round. Instructions (user mode, callgrind), allocations (dhat)
and system calls (strace) are those of one more request: the difference of a long and a short run,
divided.

All Rust clients have the same one root, the same cryptography (aws-lc-rs unless said otherwise) and
the same key exchange (X25519 unless said otherwise), run on tokio's current-thread runtime (ureq:
a thread for each request at once), and are otherwise as they come, but that ureq's pool is let hold
as many connections as the others'. The server speaks TLS 1.3 with TLS_AES_128_GCM_SHA256 and an
ECDSA P-256 certificate under a P-256 root, on loopback. For X25519MLKEM768, which the OpenSSL of
nginx may not have, the server is tokio-rustls.

In flight: nginx passes all requests to a server that answers none until all are there; resident
memory is compared with that of the client after one request. A fresh process has the platform's
roots and the bench's in SSL_CERT_FILE, found by each client in its own way. The server 30 ms away is
behind a proxy that takes 30 ms to answer CONNECT, as TCP would to connect, and hands on each piece
15 ms late.
";

const CRATES: [&str; 14] = [
    "urlfetch",
    "reqwest",
    "hyper-util",
    "hyper-rustls",
    "ureq",
    "hyper",
    "h2",
    "httparse",
    "tokio",
    "tokio-rustls",
    "rustls",
    "rustls-webpki",
    "aws-lc-rs",
    "ring",
];
