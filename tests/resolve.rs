//! A caller's resolver: what it is asked, what becomes of its answers, and of its silence.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::error::Error as _;
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use script::{Server, Then, in_time, reply};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, ClientBuilder, ErrorKind, Phase, Resolve, Resolving, Response};

#[tokio::test]
async fn it_is_asked_for_names_as_a_url_has_them_and_for_nothing_else() {
    let server = Server::plain(|_| (reply("200 OK", "", "ok"), Then::Close)).await;
    let port = server.addr.port();
    for (host, asked) in [
        ("name.test", Some("name.test")),
        ("NAME.Test", Some("name.test")),
        ("name.test.", Some("name.test.")),
        ("b\u{fc}cher.test", Some("xn--bcher-kva.test")),
        ("localhost", Some("localhost")),
        ("fixed.test", None),
        ("FIXED.test.", None),
        ("127.0.0.1", None),
        ("127.1", None),
        ("0x7f000001", None),
        ("2130706433", None),
    ] {
        let resolver = Script::answers([format!("127.0.0.1:{port}")]);
        let client = asking(&resolver).resolve("fixed.test", [server.addr]);
        // The port of the URL need not be the answer's.
        let response = client.build().unwrap().fetch(match asked {
            Some(_) => format!("http://{host}:9/"),
            None => format!("http://{host}:{port}/"),
        });
        let response = in_time(response.send()).await.unwrap();
        assert_eq!(response.remote_addr().port(), port, "{host}");
        assert_eq!(resolver.asked(), Vec::from_iter(asked), "{host}");
    }
}

#[tokio::test]
async fn a_port_of_0_stands_for_the_urls_and_the_peer_is_verified_all_the_same() {
    let lab = Lab::start().await.unwrap();
    for (scenario, code) in [
        (Scenario::Good, None),
        (Scenario::WrongHost, Some("hostname-mismatch")),
    ] {
        let roots = urlfetch::RootStore::empty().add_pem(lab.ca_pem()).unwrap();
        let resolver = Script::answers(["127.0.0.1:0"]);
        let client = asking(&resolver).roots(roots).build().unwrap();
        let outcome = client.fetch(lab.url(scenario)).await;
        let found = outcome.as_ref().err().map(urlfetch::Error::code);
        assert_eq!(found, code, "{outcome:?}");
        assert_eq!(resolver.asked().len(), 1);
    }
}

/// Else a name could have one address for who judges it, and another for who dials it.
#[tokio::test]
async fn a_connection_has_one_answer_and_every_connection_its_own() {
    let servers = [served("one").await, served("two").await];
    let resolver = Script::answers(servers.each_ref().map(|server| server.addr.to_string()));
    let client = asking(&resolver).build().unwrap();
    for (asked, (expected, server)) in ["one", "two"].into_iter().zip(&servers).enumerate() {
        let response = client.fetch("http://name.test/").await.unwrap();
        assert_eq!(response.remote_addr(), server.addr);
        assert_eq!(response.text().await.unwrap(), expected);
        assert_eq!(resolver.asked().len(), asked + 1);
    }
}

#[tokio::test]
async fn every_hop_to_another_host_asks() {
    let server = Server::plain(|received| match received.path() {
        "/first" => {
            let elsewhere = "location: http://second.test/last\r\n";
            (reply("302 Found", elsewhere, ""), Then::Stay)
        }
        _ => (reply("200 OK", "", "ok"), Then::Stay),
    })
    .await;
    let resolver = Script::always(Answer::of(server.addr));
    let client = asking(&resolver).build().unwrap();
    for _ in 0..2 {
        let response = client.fetch("http://first.test/first").await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok");
        // The second time, the connections are reused.
        assert_eq!(resolver.asked(), ["first.test", "second.test"]);
    }
}

#[tokio::test]
async fn its_error_is_the_cause() {
    let refusing = Script::always(Answer::Fails);
    let error = fetched(&refusing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert_eq!(error.phase(), Some(Phase::Dns));
    assert!(!error.request_was_sent());
    assert_eq!(
        error.to_string(),
        "resolving name.test gave no address: the directory is closed"
    );
    let source = error.source().unwrap();
    assert_eq!(source.downcast_ref(), Some(&Closed));

    let error = fetched(&Script::always(Answer::Is(vec![]))).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert_eq!(error.to_string(), "resolving name.test gave no address");
}

#[tokio::test(start_paused = true)]
async fn its_silence_is_the_clocks_to_end() {
    let silent = Script::always(Answer::Never);
    for (client, sentence) in [
        (asking(&silent), "the connect timeout of 10s"),
        (
            asking(&silent).connect_timeout(Duration::from_secs(3)),
            "the connect timeout of 3s",
        ),
        (
            asking(&silent).deadline(Duration::from_secs(2)),
            "the deadline of 2s",
        ),
    ] {
        let error = client.build().unwrap().fetch("http://name.test/").await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!(error.phase(), Some(Phase::Dns));
        let sentence = format!("{sentence} ended while resolving the host's name");
        assert!(error.to_string().starts_with(&sentence), "{error}");
    }
}

#[tokio::test]
async fn its_panic_is_the_fetchs_and_nobody_elses() {
    let server = served("ok").await;
    let resolver = Script::of([Answer::Panics, Answer::of(server.addr)]);
    let client = asking(&resolver).build().unwrap();
    let fetch = client.fetch("http://name.test/");
    let panicked = tokio::spawn(async { fetch.await.map(drop) }).await;
    assert!(panicked.unwrap_err().is_panic());
    let response = in_time(client.fetch("http://name.test/").send()).await;
    assert_eq!(response.unwrap().text().await.unwrap(), "ok");
}

/// A resolver that answers by a list, of which the last answer is for all who ask later.
#[derive(Clone)]
struct Script(Arc<Mutex<(Vec<Answer>, Vec<String>)>>);

#[derive(Clone)]
enum Answer {
    Is(Vec<SocketAddr>),
    Fails,
    Never,
    Panics,
}

impl Answer {
    fn of(address: SocketAddr) -> Self {
        Self::Is(vec![address])
    }
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let mut answers = Vec::from_iter(answers);
        answers.reverse();
        Arc::new(Self(Arc::new(Mutex::new((answers, Vec::new())))))
    }

    fn always(answer: Answer) -> Arc<Self> {
        Self::of([answer])
    }

    /// An answer of one address each.
    fn answers<A: AsRef<str>>(addresses: impl IntoIterator<Item = A>) -> Arc<Self> {
        let parsed = |address: A| Answer::of(address.as_ref().parse().unwrap());
        Self::of(addresses.into_iter().map(parsed))
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let answer = {
                let (answers, asked) = &mut *self.0.lock().unwrap();
                asked.push(host.to_owned());
                match answers.len() {
                    1 => answers.last().cloned(),
                    _ => answers.pop(),
                }
            };
            match answer.expect("there is an answer") {
                Answer::Is(addresses) => Ok(addresses),
                Answer::Fails => Err(Closed.into()),
                Answer::Never => pending().await,
                Answer::Panics => panic!("a resolver's own mistake"),
            }
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the directory is closed")
    }
}

impl std::error::Error for Closed {}

fn asking(resolver: &Arc<Script>) -> ClientBuilder {
    Client::builder()
        .allow_http(true)
        .resolver(Arc::clone(resolver))
}

async fn fetched(resolver: &Arc<Script>) -> urlfetch::Result<Response> {
    let client = asking(resolver).build().unwrap();
    client.fetch("http://name.test/").await
}

/// A server that closes each connection after this answer.
async fn served(answer: &'static str) -> Server {
    let closing = "connection: close\r\n";
    Server::plain(move |_| (reply("200 OK", closing, answer), Then::Close)).await
}
