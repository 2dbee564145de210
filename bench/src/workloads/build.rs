//! What it costs to have the crate: how many others come with it, and a clean release build.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Goal, Line, Section};
use crate::Result;
use crate::bench::{Bench, load};
use crate::clients::Name;
use crate::folder::Folder;
use crate::table::{Table, figure, ratio};
use crate::usage::Cpu;

pub fn run(_: &Bench) -> Result<Section> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crate_itself = here
        .parent()
        .ok_or("the bench lies in the crate's folder")?;
    let ours = Cost::of(here, &format!("urlfetch = {{ path = {:?} }}", crate_itself))?;
    let peer = Cost::of(here, REQWEST)?;

    let mut table = Table::new([
        "",
        "crates",
        "seconds",
        "÷ reqwest",
        "CPU seconds",
        "÷ reqwest",
    ]);
    for (name, cost) in [("reqwest", &peer), ("urlfetch", &ours)] {
        table.row([
            name.to_owned(),
            cost.crates.to_string(),
            figure(cost.wall),
            ratio(cost.wall / peer.wall),
            figure(cost.cpu),
            ratio(cost.cpu / peer.cpu),
        ]);
    }
    let line = |workload: &str, goal, cells: [(Name, f64); 2], written| {
        let cells = cells.map(|(name, value)| (name, Some(value)));
        Line::new(workload, Some(Goal::AtMost(goal)), cells, written)
    };
    let crates = [
        (Name::Reqwest, peer.crates as f64),
        (Name::Urlfetch, ours.crates as f64),
    ];
    let builds = [
        (Name::Reqwest, 1.0),
        (Name::Urlfetch, ours.wall / peer.wall),
    ];
    Ok(Section {
        title: "Crates and a clean build",
        text: format!(
            "With gzip, brotli, zstd and deflate; each built once (load average {}):\n\n{table}\n",
            load()
        ),
        lines: vec![
            line(
                "crates in the default tree, with the four codecs",
                105.0,
                crates,
                figure,
            ),
            line("clean release build against reqwest", 0.85, builds, ratio),
        ],
    })
}

struct Cost {
    crates: usize,
    wall: f64,
    cpu: f64,
}

impl Cost {
    /// Of a package that has one dependency, at the versions of the bench's lock.
    fn of(bench: &Path, dependency: &str) -> Result<Self> {
        let folder = Folder::new()?;
        let package = folder.path();
        fs::create_dir(package.join("src"))?;
        folder.write("src/main.rs", "fn main() {}\n")?;
        folder.write("Cargo.toml", format!("{MANIFEST}{dependency}\n"))?;
        fs::copy(bench.join("Cargo.lock"), package.join("Cargo.lock"))?;
        if !cargo(package, &["fetch"]).status()?.success() {
            return Err(format!("{dependency} cannot be fetched").into());
        }

        let tree = [
            "tree",
            "--offline",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
        ];
        let tree = String::from_utf8(cargo(package, &tree).output()?.stdout)?;
        // The first is the package itself.
        let crates: BTreeSet<&str> = tree.lines().skip(1).collect();

        let (begun, cpu) = (Instant::now(), Cpu::children()?);
        if !cargo(package, &["build", "--release", "--offline"])
            .status()?
            .success()
        {
            return Err(format!("{dependency} does not build").into());
        }
        let (wall, cpu) = (begun.elapsed(), Cpu::children()?.since(cpu).sum());
        Ok(Self {
            crates: crates.len(),
            wall: wall.as_secs_f64(),
            cpu: cpu.as_secs_f64(),
        })
    }
}

fn cargo(package: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(words)
        .current_dir(package)
        .env("CARGO_TARGET_DIR", package.join("target"));
    command.stderr(Stdio::inherit());
    command
}

const MANIFEST: &str = "[package]
name = \"one-dependency\"
version = \"0.0.0\"
edition = \"2024\"

[workspace]

[dependencies]
";

const REQWEST: &str =
    "reqwest = { version = \"0.13\", features = [\"gzip\", \"brotli\", \"zstd\", \"deflate\"] }";
