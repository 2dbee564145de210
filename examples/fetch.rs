//! Fetches a URL, or, without one, everything in the lab.
//!
//! `cargo run --example fetch --features lab` starts the lab, HTTPS servers on loopback with good
//! and bad certificates and manners, and fetches from each. One line a scenario,
//! `NAME OUTCOME CODE DETAIL`; the exit status is 0 only if every outcome is the expected one.
//!
//! `cargo run --example fetch --features lab -- URL` fetches that, with the platform's roots and
//! HTTPSVERIFY honoured, and prints status, verdict, headers and body. The exit status is 2 if the
//! peer was refused, 1 on other errors.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use urlfetch::lab::{Expected, Lab, Scenario};
use urlfetch::{Client, Error, ErrorKind};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        None => lab().await,
        Some(url) => show(&url).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        match error.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::Certificate) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    })
}

type Anything = Box<dyn std::error::Error>;

async fn show(url: &str) -> Result<ExitCode, Anything> {
    let response = urlfetch::fetch(url).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:?} {}", response.version(), response.status())?;
    if let Some(verdict) = response.verdict() {
        writeln!(out, "{verdict}")?;
    }
    for (name, value) in response.headers() {
        writeln!(out, "{name}: {}", value.as_bytes().escape_ascii())?;
    }
    writeln!(out)?;
    out.write_all(&response.bytes().await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn lab() -> Result<ExitCode, Anything> {
    let lab = Lab::start().await?;
    let client = lab.client()?;
    let mut out = std::io::stdout();
    let mut unexpected = 0;
    for scenario in Scenario::all() {
        let before = lab.received(scenario);
        let outcome = fetch(&client, &lab.url(scenario)).await;
        if outcome.is_refusal() {
            // The server may be a moment behind, until it has no connection any more.
            lab.settled(scenario).await;
        }
        let received = lab.received(scenario) - before;
        let is_expected =
            outcome.is(scenario.expected()) && (!outcome.is_refusal() || received == 0);
        let (word, code) = outcome.words();
        let detail = match &outcome {
            Outcome::Fetched(bytes) => format!("{bytes} bytes in the body"),
            _ => format!("{received} bytes sent"),
        };
        let complaint = match is_expected {
            true => String::new(),
            false => format!(" -- EXPECTED {}", scenario.expected()),
        };
        writeln!(out, "{scenario} {word} {code} {detail}{complaint}")?;
        unexpected += usize::from(!is_expected);
    }
    Ok(match unexpected {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// What came of a fetch.
enum Outcome {
    /// A verified response, of so many bytes.
    Fetched(usize),
    Stopped(Error),
}

async fn fetch(client: &Client, url: &str) -> Outcome {
    // The lab has servers that never finish.
    let fetching = client.fetch(url).deadline(Duration::from_secs(5)).send();
    let response = match fetching.await {
        Ok(response) => response,
        Err(error) => return Outcome::Stopped(error),
    };
    match response.bytes().await {
        Ok(body) => Outcome::Fetched(body.len()),
        Err(error) => Outcome::Stopped(error),
    }
}

impl Outcome {
    fn is(&self, expected: Expected) -> bool {
        match (self, expected) {
            (Self::Fetched(_), Expected::Fetched) => true,
            (Self::Stopped(error), Expected::Refused(code)) => {
                error.kind() == ErrorKind::Certificate && error.code() == code
            }
            (Self::Stopped(error), Expected::Failed(code)) => error.code() == code,
            _ => false,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Stopped(error) if error.kind() == ErrorKind::Certificate)
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Fetched(_) => ("fetched", "verified"),
            Self::Stopped(error) if self.is_refusal() => ("refused", error.code()),
            Self::Stopped(error) => ("failed", error.code()),
        }
    }
}
