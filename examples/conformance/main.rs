//! Judges the cases of a public conformance suite, and says where we differ from what it expects.
//!
//! `cargo run --example conformance --features lab -- FILE.json` takes a file in the schema of
//! [x509-limbo] and prints for each profile a line and the ids that differ or were left out:
//!
//! ```text
//! strict correct 178 false-accept 0 false-reject 2 skipped 7
//!   false-reject ID: code: sentence
//! ```
//!
//! `--hostnames FILE.json` takes pairs of a certificate's names and a host, and prints
//! `hostnames correct N of M`. `--known KNOWN.json` names the divergences that are meant: then the
//! exit status is 1 if there is any other, or if one of them is gone. Without it, it is 0 if all of
//! it could be read, else 2.
//!
//! [x509-limbo]: https://x509-limbo.com/

mod hostnames;
mod known;
mod limbo;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use known::Known;
use limbo::{Judged, Profile};

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

type Anything = Box<dyn std::error::Error>;

/// Whether all came out as it was to be.
fn run(mut arguments: impl Iterator<Item = String>) -> Result<bool, Anything> {
    let (mut cases, mut hosts, mut known) = (None, None, None);
    while let Some(argument) = arguments.next() {
        let (name, file) = match argument.as_str() {
            "--hostnames" => (&mut hosts, arguments.next()),
            "--known" => (&mut known, arguments.next()),
            _ => (&mut cases, Some(argument)),
        };
        *name = Some(read(&file.ok_or(USAGE)?)?);
    }
    if cases.is_none() && hosts.is_none() {
        return Err(USAGE.into());
    }
    let known = known.as_ref().map(Known::read).transpose()?;
    let mut out = std::io::stdout().lock();
    let mut as_meant = true;
    if let Some(cases) = cases {
        as_meant &= paths(&mut out, &cases, known.as_ref())?;
    }
    if let Some(hosts) = hosts {
        let differ = hostnames(&mut out, &hosts)?;
        as_meant &= known.is_none() || differ == 0;
    }
    Ok(as_meant)
}

fn paths(out: &mut impl Write, file: &Value, known: Option<&Known<'_>>) -> Result<bool, Anything> {
    let cases = list(file, "testcases")?;
    let mut surprises = Vec::new();
    for profile in Profile::ALL {
        let mut tally = Tally::default();
        for case in cases {
            let id = case["id"].as_str().ok_or("a case has no id")?;
            let (expected, judged) = limbo::judge(case, profile);
            let accepts = match &judged {
                Judged::Accepted => true,
                Judged::Refused(_) => false,
                Judged::Skipped(why) => {
                    tally.skipped += 1;
                    tally.lines.push(format!("skipped {id}: {why}"));
                    continue;
                }
            };
            match (accepts, expected) {
                (true, false) => {
                    tally.false_accepts += 1;
                    tally.lines.push(format!("false-accept {id}: {judged}"));
                }
                (false, true) => {
                    tally.false_rejects += 1;
                    tally.lines.push(format!("false-reject {id}: {judged}"));
                }
                _ => tally.correct += 1,
            }
            let surprise = known.and_then(|known| known.surprise(id, profile, expected, accepts));
            surprises.extend(surprise);
        }
        writeln!(out, "{profile} {tally}")?;
    }
    for surprise in &surprises {
        writeln!(out, "unexpected: {surprise}")?;
    }
    Ok(surprises.is_empty())
}

/// How many differ.
fn hostnames(out: &mut impl Write, file: &Value) -> Result<usize, Anything> {
    let vectors = list(file, "vectors")?;
    let bench = hostnames::Bench::new()?;
    let mut differ = Vec::new();
    for vector in vectors {
        if let Err(how) = bench.check(vector) {
            let id = vector["id"].as_str().unwrap_or("without an id");
            differ.push(format!("{id}: {how}"));
        }
    }
    let all = vectors.len();
    writeln!(out, "hostnames correct {} of {all}", all - differ.len())?;
    for line in &differ {
        writeln!(out, "  {line}")?;
    }
    Ok(differ.len())
}

/// What came of one profile.
#[derive(Default)]
struct Tally {
    correct: usize,
    false_accepts: usize,
    false_rejects: usize,
    skipped: usize,
    lines: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "correct {} false-accept {} false-reject {} skipped {}",
            self.correct, self.false_accepts, self.false_rejects, self.skipped
        )?;
        self.lines
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

fn read(path: &str) -> Result<Value, Anything> {
    let text = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(serde_json::from_slice(&text).map_err(|error| format!("{path} is no JSON: {error}"))?)
}

fn list<'a>(file: &'a Value, name: &str) -> Result<&'a [Value], Anything> {
    let list = file[name].as_array();
    Ok(list.ok_or_else(|| format!("there is no list of {name} in it"))?)
}

const USAGE: &str = "usage: conformance [FILE.json] [--known KNOWN.json] [--hostnames FILE.json]";
