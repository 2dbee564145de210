//! urlfetch beside its peers: `cargo run --release --manifest-path bench/Cargo.toml -- --help`.

mod bench;
mod child;
mod clients;
mod folder;
mod order;
mod pki;
mod report;
mod scale;
mod server;
mod servers;
mod setup;
mod table;
mod tool;
mod usage;
mod workloads;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, load};
use order::Order;
use servers::Kind;
use workloads::{PARTS, Part, Section};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let begun = Instant::now();
    usage::open_many_files()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        Some(("child", rest)) => child::run(&Order::read(rest.iter().cloned())?, begun),
        Some(("serve", rest)) => servers::run(&Kind::read(rest)?),
        Some(("scale", rest)) => {
            scale::run(rest);
            Ok(())
        }
        Some(("-h" | "--help", _)) => {
            println!("{}", help());
            Ok(())
        }
        _ => run(&Asked::read(&words)?),
    }
}

/// What the command line asks for.
struct Asked {
    /// All, if none is named.
    parts: Vec<&'static Part>,
    /// Parts of all that are not wanted this time, which the results say.
    without: Vec<String>,
    rounds: usize,
    time: Duration,
}

impl Asked {
    fn read(words: &[String]) -> Result<Self> {
        let mut asked = Self {
            parts: Vec::new(),
            without: Vec::new(),
            rounds: 7,
            time: Duration::from_secs(1),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || words.next().and_then(|word| word.parse().ok());
            match word.as_str() {
                "--rounds" => asked.rounds = number().ok_or("--rounds NUMBER")?,
                "--ms" => {
                    let ms = number().ok_or("--ms NUMBER")?;
                    asked.time = Duration::from_millis(ms as u64);
                }
                "--without" => {
                    let part = words.next().ok_or("--without PART")?;
                    asked.without.push(part.clone());
                }
                word => {
                    let part = PARTS.iter().find(|part| part.name == word);
                    asked
                        .parts
                        .push(part.ok_or_else(|| format!("no {word}\n\n{}", help()))?);
                }
            }
        }
        Ok(asked)
    }
}

impl Asked {
    fn leaves_out(&self, part: &str) -> bool {
        self.without.iter().any(|without| without == part)
    }

    fn outcome(&self, part: &Part, bench: &Bench) -> Result<Section> {
        if self.leaves_out(part.name) {
            return Err("It was not wanted this time.".into());
        }
        match tool::missing(part.needs) {
            None => (part.run)(bench),
            Some(what) => Err(what.into()),
        }
    }

    /// What a process of its own prints, as any of its trials may fail.
    fn scale(&self) -> Result<String> {
        if self.leaves_out("scale") {
            return Err("It was not wanted this time.".into());
        }
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.arg("scale").stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("It failed: {}.", output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn run(asked: &Asked) -> Result<()> {
    let bench = Bench::start(asked.rounds.max(1), asked.time)?;
    eprintln!("load average {}", load());
    let all = asked.parts.is_empty();
    let parts = if all {
        PARTS.iter().collect()
    } else {
        asked.parts.clone()
    };

    let mut sections = Vec::new();
    let name = |part: &Part| format!("{} ({})", part.name, part.about);
    let mut missing: Vec<String> = parts.iter().map(|part| left_out(name(part), CUT)).collect();
    for (place, part) in parts.iter().enumerate() {
        eprintln!("{}: {}", part.name, part.about);
        missing[place] = match asked.outcome(part, &bench) {
            Ok(section) => {
                sections.push(section);
                String::new()
            }
            Err(why) => left_out(name(part), why),
        };
        eprint!("{}", missing[place]);
        // Whatever becomes of the others.
        if all {
            write(
                &bench,
                &sections,
                &left_out("scale", CUT),
                &missing.concat(),
            )?;
        }
    }
    if all {
        let scale = asked.scale().unwrap_or_else(|why| left_out("scale", why));
        let path = write(&bench, &sections, &scale, &missing.concat())?;
        println!("{}", path.display());
    } else {
        print(&sections, &missing.concat());
    }
    Ok(())
}

/// A line of the results for what is not in them.
fn left_out(what: impl Display, why: impl Display) -> String {
    format!("**Left out: {what}.** {why}\n\n")
}

fn write(bench: &Bench, sections: &[Section], scale: &str, missing: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    fs::write(&path, report::whole(bench, sections, scale, missing)?)?;
    Ok(path)
}

fn print(sections: &[Section], missing: &str) {
    println!(
        "{}\n{missing}",
        report::goals(sections.iter().flat_map(|section| &section.lines))
    );
    for section in sections {
        println!("{}", report::section(section));
    }
}

fn help() -> String {
    let parts = PARTS
        .iter()
        .map(|part| format!("  {:<9}{}\n", part.name, part.about));
    format!("{HELP}{}", parts.collect::<String>())
}

/// Why a part is not in results that are written before it.
const CUT: &str = "The run ended before it.";

const HELP: &str = "\
urlfetch-bench [--rounds N] [--ms N] [--without PART] [PART...]
urlfetch-bench scale [WORD]

Without a part all are run, and bench/RESULTS.md is written; a part is printed only.

  --rounds N  how often each client is measured (7)
  --ms N      how long, where time is measured (1000)

";
