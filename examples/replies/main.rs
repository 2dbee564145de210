//! Plays replies that others wrote to the client, and holds what comes of each against a table.
//!
//! `cargo run --example replies --features lab -- REPLIES.json` takes the replies of curl's test
//! cases, `{ "cases": [{ "test", "keywords", "replies": { NAME: BASE64 } }] }`. Every reply is served
//! on a connection of its own by a TLS server in this process, whose certificate the client
//! verifies. Printed is `ID OUTCOME` for each, where the id is `TEST/NAME`, and the outcome the
//! status and the number of bytes in the decoded body, or the code of the error.
//!
//! `--expected EXPECTED.json` names what each has to come to and why, `--known KNOWN.json` where the
//! client does otherwise, and why that is so. Then only what differs is printed, and the exit status
//! is 1 if anything does: an outcome, a reply that is not in the table, or a row without a reply. It
//! is 2 if something could not be read.

mod server;
mod table;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use urlfetch::{Client, Method};

use server::Server;
use table::Table;

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

type Anything = Box<dyn std::error::Error>;

/// A reply, and the method of the request that it answers.
pub(crate) struct Reply {
    id: String,
    method: Method,
    bytes: Vec<u8>,
}

/// Whether all came out as it was to be.
async fn run(mut arguments: impl Iterator<Item = String>) -> Result<bool, Anything> {
    let (mut replies, mut expected, mut known) = (None, None, None);
    while let Some(argument) = arguments.next() {
        let (name, file) = match argument.as_str() {
            "--expected" => (&mut expected, arguments.next()),
            "--known" => (&mut known, arguments.next()),
            _ => (&mut replies, Some(argument)),
        };
        *name = Some(json(&file.ok_or(USAGE)?)?);
    }
    let replies = read(&replies.ok_or(USAGE)?)?;
    let none = Value::Array(vec![]);
    let table = expected
        .map(|expected| Table::read(&expected, known.as_ref().unwrap_or(&none)))
        .transpose()?;
    let outcomes = play(&replies).await?;
    let mut out = std::io::stdout().lock();
    let Some(table) = table else {
        for (id, outcome) in &outcomes {
            writeln!(out, "{id} {outcome}")?;
        }
        return Ok(true);
    };
    let surprises = table.surprises(&outcomes);
    let (all, meant) = (outcomes.len(), table.divergences());
    writeln!(
        out,
        "replies {all}, unexpected {}, known divergences {meant}",
        surprises.len()
    )?;
    for surprise in &surprises {
        writeln!(out, "  {surprise}")?;
    }
    Ok(surprises.is_empty())
}

/// What comes of each reply, by its id.
async fn play(replies: &[Reply]) -> Result<Vec<(String, String)>, Anything> {
    let server = Server::start(replies.iter().map(|reply| reply.bytes.clone())).await?;
    let client = server.client()?;
    let mut outcomes = Vec::new();
    for (row, reply) in replies.iter().enumerate() {
        outcomes.push((
            reply.id.clone(),
            fetch(&client, server.url(row), reply).await,
        ));
    }
    Ok(outcomes)
}

async fn fetch(client: &Client, url: String, reply: &Reply) -> String {
    // What a redirect leads to is not part of its reply.
    let request = client.fetch(url).follow_redirects(false).deadline(DEADLINE);
    let outcome = match request.method(reply.method.clone()).await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.bytes().await.map(|body| (status, body.len()))
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok((status, length)) => format!("{status} {length}"),
        Err(error) => error.kind().code().to_owned(),
    }
}

fn read(file: &Value) -> Result<Vec<Reply>, Anything> {
    let mut replies = Vec::new();
    for case in file["cases"].as_array().ok_or("there are no cases in it")? {
        let test = case["test"].as_str().ok_or("a case has no name")?;
        let keywords = case["keywords"].as_array().map_or(&[][..], Vec::as_slice);
        let method = match keywords.iter().any(|keyword| keyword == "HTTP HEAD") {
            true => Method::HEAD,
            false => Method::GET,
        };
        let bodies = case["replies"].as_object().ok_or("a case has no replies")?;
        for (name, bytes) in bodies {
            replies.push(Reply {
                id: format!("{test}/{name}"),
                method: method.clone(),
                bytes: STANDARD.decode(bytes.as_str().ok_or("a reply is no text")?)?,
            });
        }
    }
    Ok(replies)
}

fn json(path: &str) -> Result<Value, Anything> {
    let text = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok(serde_json::from_slice(&text).map_err(|error| format!("{path} is no JSON: {error}"))?)
}

/// The server always closes: a reply that takes as long as this hangs.
const DEADLINE: Duration = Duration::from_secs(10);

const USAGE: &str = "usage: replies REPLIES.json [--expected EXPECTED.json] [--known KNOWN.json]";
