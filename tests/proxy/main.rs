//! Proxies: what is told them, what is made of what they answer, and that it is still the origin
//! that is verified.
//!
//! The proxies are scripted, on loopback, and take every tunnel to loopback, whatever the name. The
//! origins are the lab's: their names resolve nowhere, so whoever reaches them has gone through one.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[cfg(unix)]
#[expect(dead_code, reason = "the tests of HTTPSVERIFY need more of it")]
#[path = "../support/child.rs"]
mod child;
mod guard;
mod http;
mod https;
#[cfg(unix)]
#[path = "../support/scratch.rs"]
mod scratch;
mod server;
mod socks;
#[cfg(unix)]
mod way;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use server::{PKI, Proxy};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::RootStore;
use urlfetch::{Client, ClientBuilder, Error, ErrorKind};

/// A builder that trusts the lab and the proxies, and finds the proxies alone.
fn builder(lab: &Lab) -> ClientBuilder {
    let roots = RootStore::empty().add_pem(lab.ca_pem()).unwrap();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Client::builder()
        .roots(roots.add_pem(&PKI.ca_pem).unwrap())
        .resolve(PROXY, [loopback])
        .resolve(MISNAMED_PROXY, [loopback])
        .allow_http(true)
}

/// A client that goes through this proxy, by a URL of this scheme.
fn through(lab: &Lab, scheme: &str, proxy: &Proxy) -> Client {
    let url = format!("{scheme}://{PROXY}:{}", proxy.addr.port());
    builder(lab).proxy(url).build().unwrap()
}

/// A request's text, as the lab received it.
async fn echo(client: &Client, lab: &Lab, scenario: Scenario) -> String {
    let fetch = client.fetch(lab.url_to(scenario, "/echo"));
    fetch.await.unwrap().text().await.unwrap()
}

/// The port that a scenario is served at.
fn port(lab: &Lab, scenario: Scenario) -> u16 {
    lab.addr(scenario).port()
}

/// Holds for every failure on the way: nothing was sent, it is the proxy's, and its sentence names
/// both and nothing secret.
fn assert_proxys(error: &Error, proxy: &str, origin: &str, part: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Proxy, "{text}");
    assert!(!error.request_was_sent(), "{text}");
    assert!(error.phase().is_some(), "{text}");
    for expected in [proxy, origin, part] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(text.len() < 1_000, "{text}");
    for shown in [text, format!("{error:?}")] {
        assert!(
            shown
                .chars()
                .all(|c| c == '\n' || matches!(c, ' '..='~' | '…')),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("aHVudGVy"), "{shown}");
    }
}

/// A test that takes this long hangs.
async fn in_time<F: Future>(test: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, test)
        .await
        .expect("the test hangs")
}

/// The name in the certificate of the proxies.
const PROXY: &str = "proxy.test";
/// Another name of theirs, which is not in it.
const MISNAMED_PROXY: &str = "misnamed.test";
