//! App Engine's calls, against real servers on loopback.

#![cfg(feature = "lab")]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what fails here fails a test"
)]

use script::{Received, Then, reply};
use urlfetch::appengine::UrlFetchService;
use urlfetch::lab::Lab;
use urlfetch::{ClientBuilder, Limits};

mod calls;
#[cfg(unix)]
#[path = "../support/child.rs"]
mod child;
mod codings;
mod environment;
mod exceptions;
#[expect(dead_code, reason = "shared with the tests of the log")]
#[path = "../support/log.rs"]
mod log;
mod mended;
mod redirects;
mod results;
mod rpc;
#[path = "../support/scratch.rs"]
mod scratch;
#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "../support/script.rs"]
mod script;
#[expect(dead_code, reason = "the tests of deadlines need more of it")]
#[path = "../support/stall.rs"]
mod stall;

/// App Engine's service, by a client with its limits.
fn service(builder: ClientBuilder) -> UrlFetchService {
    UrlFetchService::new(builder.limits(Limits::app_engine()).build().unwrap())
}

/// The same, for the servers of the lab.
fn service_of(lab: &Lab) -> UrlFetchService {
    service(lab.client_builder().unwrap())
}

/// The same, for scripted servers.
fn scripted() -> UrlFetchService {
    service(script::builder())
}

/// Answers `go?LOCATION` below any folder by a redirect to there, and all else with 200.
fn go(request: &Received) -> (Vec<u8>, Then) {
    let reply = match request.path().split_once("go?") {
        Some((_, to)) => {
            let to = to.replace("%23", "#");
            reply("302 Found", &format!("location: {to}\r\n"), "")
        }
        None => reply("200 OK", "", ""),
    };
    (reply, Then::Stay)
}
