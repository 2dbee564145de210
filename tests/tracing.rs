//! The log: which spans and events there are, at which level, with which fields, as lib.rs says.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use tracing::Level;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::RootStore;
use urlfetch::{Client, Limits};

use log::{Log, Record};
use stall::{OK, Server};

#[path = "support/log.rs"]
#[expect(dead_code, reason = "the tests of errors need more of it")]
mod log;
#[path = "support/stall.rs"]
#[expect(dead_code, reason = "the tests of deadlines need more of it")]
mod stall;

/// What was measured: the names of these fields, and that each is a number.
fn measured(record: &Record) -> BTreeSet<&str> {
    let fields = record.fields.iter().filter(|(name, _)| is_measured(name));
    let fields = fields.map(|(name, value)| {
        value.parse::<f64>().unwrap();
        *name
    });
    fields.collect()
}

fn is_measured(name: &str) -> bool {
    name.starts_with("timing.") || name.ends_with(".size")
}

/// Exactly these fields have a value, beside those of what was measured.
fn assert_fields(record: &Record, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(record.field(name), Some(*value), "{name} of {record:?}");
    }
    let names = record.fields.iter().map(|(name, _)| *name);
    let names: BTreeSet<&str> = names.filter(|name| !is_measured(name)).collect();
    let expected: BTreeSet<&str> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected, "{record:?}");
}

#[tokio::test]
async fn a_fetch_is_one_span_and_a_hop_is_one_in_it() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let lab = Lab::start().await.unwrap();
    for (scenario, version) in [(Scenario::Good, "2"), (Scenario::GoodHttp1, "1.1")] {
        let client = lab.client().unwrap();
        // The second goes by the pooled connection, and has the same to say.
        for is_open in [false, true] {
            let seen = log.ours().len();
            let url = lab.url_to(scenario, "/redirect/1?hunter2#hunter2");
            client.fetch(&url).await.unwrap().bytes().await.unwrap();
            let (first, last) = (
                lab.url_to(scenario, "/redirect/1"),
                lab.url_to(scenario, "/redirect/0"),
            );
            let port = lab.addr(scenario).port().to_string();
            let records = log.ours().split_off(seen);
            let [fetch, hop, redirect, next, body] = records.as_slice() else {
                panic!("{records:#?}");
            };
            assert!(fetch.is_span && fetch.name == "fetch" && fetch.level == Level::INFO);
            assert_fields(
                fetch,
                &[
                    ("otel.kind", "client"),
                    ("http.request.method", "GET"),
                    ("url.full", &first),
                    ("http.response.status_code", "200"),
                    ("hops", "1"),
                ],
            );
            let always = ["timing.total_ms", "http.request.size", "http.response.size"];
            let always = BTreeSet::from(always);
            assert!(measured(fetch).is_superset(&always), "{fetch:?}");
            for (hop, url, status, reused) in
                [(hop, &first, "302", is_open), (next, &last, "200", true)]
            {
                let mut phases = &measured(hop) - &always;
                // It may have had to wait for the connection.
                phases.remove("timing.queued_ms");
                let expected: &[&str] = match reused {
                    true => &["timing.first_byte_ms"],
                    false => &[
                        "timing.dns_ms",
                        "timing.connect_ms",
                        "timing.tls_ms",
                        "timing.first_byte_ms",
                    ],
                };
                assert_eq!(phases, BTreeSet::from_iter(expected.iter().copied()));
                let reused = reused.to_string();
                assert!(hop.is_span && hop.name == "hop" && hop.level == Level::DEBUG);
                assert_eq!(log.all()[hop.parent.unwrap()].name, "fetch");
                assert_fields(
                    hop,
                    &[
                        ("http.request.method", "GET"),
                        ("url.full", url),
                        ("server.address", scenario.host()),
                        ("server.port", &port),
                        ("network.peer.address", "127.0.0.1"),
                        ("network.protocol.version", version),
                        ("http.response.status_code", status),
                        ("tls.verified", "true"),
                        ("tls.resumed", "false"),
                        ("network.connection.reused", &reused),
                    ],
                );
            }
            assert!(!body.is_span && body.level == Level::DEBUG && body.name == "body read");
            assert_fields(body, &[("url.full", &last)]);
            let with_body = &always | &BTreeSet::from(["timing.body_ms"]);
            assert_eq!(measured(body), with_body);
            assert!(!redirect.is_span && redirect.level == Level::DEBUG);
            assert_eq!(redirect.name, "redirect followed");
            assert_fields(
                redirect,
                &[("http.response.status_code", "302"), ("url.full", &last)],
            );
        }
    }
}

/// To the last digit what the program itself is told.
#[tokio::test]
async fn spans_and_events_carry_them() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let away = lab.url_to(Scenario::GoodHttp1, "/redirect/1");
    let response = client.fetch(away).await.unwrap();
    let head = *response.timings();
    let hop = *response.hops()[0].timings();
    let all = response.content().await.unwrap().timings;
    let short = client.fetch(lab.url(Scenario::ShortBody)).await.unwrap();
    let error = short.content().await.unwrap_err();
    let big = client.fetch(lab.url(Scenario::BigBody));
    let big = big.max_response_size(9).allow_truncated(true);
    let cut = big.await.unwrap().content().await.unwrap().timings;
    let records = log.ours();
    let find = |name: &str, nth: usize| {
        let mut found = records.iter().filter(|record| record.name == name);
        found
            .nth(nth)
            .unwrap_or_else(|| panic!("{name}: {records:#?}"))
            .clone()
    };
    let spent = |spent: Option<Duration>| spent.map(|spent| spent.as_secs_f64() * 1e3);
    for (record, timings) in [
        (find("fetch", 0), &head),
        (find("body read", 0), &all),
        (find("body failed", 0), error.timings()),
        (find("body read", 1), &cut),
    ] {
        let number = |field: &str| {
            record
                .field(field)
                .map(|value| value.parse::<f64>().unwrap())
        };
        assert_eq!(
            number("timing.total_ms"),
            spent(Some(timings.total())),
            "{record:?}"
        );
        assert_eq!(
            number("timing.body_ms"),
            spent(timings.body()),
            "{record:?}"
        );
        if record.is_span {
            assert_eq!(number("timing.dns_ms"), spent(timings.dns()), "{record:?}");
            assert_eq!(
                number("timing.connect_ms"),
                spent(timings.connect()),
                "{record:?}"
            );
            assert_eq!(number("timing.tls_ms"), spent(timings.tls()), "{record:?}");
            let first_byte = spent(timings.first_byte());
            assert_eq!(number("timing.first_byte_ms"), first_byte, "{record:?}");
        }
        let sent = timings.bytes_sent().to_string();
        assert_eq!(
            record.field("http.request.size"),
            Some(&*sent),
            "{record:?}"
        );
        let received = timings.bytes_received().to_string();
        assert_eq!(
            record.field("http.response.size"),
            Some(&*received),
            "{record:?}"
        );
    }
    assert_eq!(
        find("body failed", 0).field("error.type"),
        Some("connection-closed")
    );
    // A hop tells of itself alone.
    let [first, second] = [find("hop", 0), find("hop", 1)];
    let of_second = head.bytes_sent() - hop.bytes_sent();
    let sent = hop.bytes_sent().to_string();
    assert_eq!(first.field("http.request.size"), Some(&*sent));
    let sent = of_second.to_string();
    assert_eq!(second.field("http.request.size"), Some(&*sent));
    let dns = spent(hop.dns()).unwrap().to_string();
    assert_eq!(first.field("timing.dns_ms"), Some(&*dns));
    assert_eq!(second.field("timing.dns_ms"), None);
}

#[tokio::test]
async fn what_stops_a_fetch_is_its_error_type() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    for (scenario, code, verified) in [
        (Scenario::WrongHost, "hostname-mismatch", Some("false")),
        (Scenario::Expired, "expired", Some("false")),
        (Scenario::OldTls, "tls", None),
        (Scenario::GarbageReply, "malformed-reply", Some("true")),
    ] {
        let seen = log.ours().len();
        let error = client.fetch(lab.url(scenario)).await.unwrap_err();
        assert_eq!(error.code(), code);
        let records = log.ours().split_off(seen);
        let [fetch, hop] = records.as_slice() else {
            panic!("{records:#?}");
        };
        for span in [fetch, hop] {
            assert_eq!(span.field("error.type"), Some(code));
            assert!(measured(span).contains("timing.tls_ms"), "{span:?}");
            assert!(measured(span).contains("timing.total_ms"), "{span:?}");
            assert_eq!(span.field("http.response.status_code"), None);
        }
        assert_eq!(hop.field("tls.verified"), verified);
    }
    // What is not even tried has no hop, and a redirect that is refused no hop more.
    for (url, expected) in [
        ("http://good.lab.test/".to_owned(), vec!["fetch"]),
        (lab.url(Scenario::RedirectDowngrade), vec!["fetch", "hop"]),
    ] {
        let seen = log.ours().len();
        let error = client.fetch(url).await.unwrap_err();
        let records = log.ours().split_off(seen);
        let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(names, expected);
        assert_eq!(records[0].field("error.type"), Some(error.code()));
    }
}

#[tokio::test]
async fn an_old_server_is_called_by_its_version() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let server = Server::start(|connection| async move {
        let reply = "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n";
        connection.answer(reply).await;
    });
    server.client().fetch(server.url("/")).await.unwrap();
    let records = log.ours();
    assert_eq!(records[1].field("network.protocol.version"), Some("1.0"));
}

#[tokio::test]
async fn each_connection_that_is_not_verified_is_one_warning() {
    let (log, _guard) = Log::capture(Level::WARN);
    let lab = Lab::start().await.unwrap();
    for (scenario, verified, code) in [
        (Scenario::WrongHost, "false", Some("hostname-mismatch")),
        (Scenario::GoodHttp1, "true", None),
        (Scenario::Good, "true", None),
    ] {
        let client = lab.client().unwrap();
        let warnings = || log.ours();
        let before = warnings().len();
        for _ in 0..3 {
            let fetch = client.fetch(lab.url(scenario)).validate_certificate(false);
            fetch.await.unwrap().bytes().await.unwrap();
        }
        assert_eq!(lab.connections(scenario), 1);
        let records = warnings().split_off(before);
        let [warning] = records.as_slice() else {
            panic!("{records:#?}");
        };
        assert_eq!(warning.level, Level::WARN);
        assert!(
            warning
                .name
                .starts_with("this connection is used whoever its peer is")
        );
        let port = lab.addr(scenario).port().to_string();
        let mut fields = vec![
            ("server.address", scenario.host()),
            ("server.port", &port),
            ("tls.verified", verified),
        ];
        fields.extend(code.map(|code| ("error.type", code)));
        assert_fields(warning, &fields);
        // Streams of other protocols are no exception.
        let builder = lab.client_builder().unwrap().danger_accept_unverified();
        let client = builder.build().unwrap();
        let address = lab.addr(scenario);
        client
            .connect(scenario.host(), address.port())
            .await
            .unwrap();
        assert_eq!(warnings().len(), before + 2);
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        client.wrap(tcp, scenario.host()).await.unwrap();
        assert_eq!(warnings().len(), before + 3);
    }
}

#[tokio::test]
async fn a_replay_is_told() {
    let (log, _guard) = Log::capture(Level::DEBUG);
    let server = replaying();
    let client = server.client();
    for _ in 0..2 {
        client
            .fetch(server.url("/"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
    }
    let records = log.ours();
    let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    let replay = "request sent again on another connection";
    let read = "body read";
    assert_eq!(names, ["fetch", "hop", read, "fetch", "hop", replay, read]);
    assert_fields(&records[5], &[("error.type", "connection-closed")]);
}

/// Answers one request on its first connection and takes the next without a word.
fn replaying() -> Server {
    Server::start(|connection| async move {
        if connection.number > 0 {
            return connection.answer(OK).await;
        }
        let mut tls = connection.tls().await.unwrap();
        tls.read_head().await;
        tls.write(OK).await;
        tls.read_head().await;
    })
}

/// Each span and event that can be provoked here is in the table, with its level and its fields,
/// and each in the table was provoked here.
#[tokio::test]
async fn the_table_in_the_documentation_is_what_is_logged() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    client
        .fetch(lab.url(Scenario::RedirectChain))
        .await
        .unwrap();
    client.fetch(lab.url(Scenario::Expired)).await.unwrap_err();
    let fetch = client
        .fetch(lab.url(Scenario::Expired))
        .validate_certificate(false);
    fetch.await.unwrap();
    // One dials, and the other waits for it.
    let both = || client.fetch(lab.url(Scenario::Good)).send();
    let (one, other) = tokio::join!(both(), both());
    one.and(other).unwrap();
    let short = client.fetch(lab.url(Scenario::ShortBody)).await.unwrap();
    short.bytes().await.unwrap_err();
    let server = replaying();
    let client = server.client();
    for _ in 0..2 {
        client
            .fetch(server.url("/"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
    }
    let builder = lab.client_builder().unwrap().limits(Limits::app_engine());
    let fetch = builder.build().unwrap().fetch(lab.url(Scenario::Good));
    fetch.header("via", "1.1 mine").await.unwrap();
    let mut logged: BTreeMap<String, (Level, BTreeSet<String>)> = BTreeMap::new();
    for record in log.ours() {
        let kind = if record.is_span { "span" } else { "event" };
        let entry = logged.entry(format!("{kind} `{}`", record.name));
        let (level, fields) = entry.or_insert((record.level, BTreeSet::new()));
        assert_eq!(*level, record.level);
        fields.extend(record.fields.iter().map(|(name, _)| (*name).to_owned()));
    }
    // Those that need an environment of their own are in the test below.
    for (level, what, fields) in in_the_environment() {
        logged.insert(format!("event `{what}`"), (level, fields));
    }
    let mut documented = documented();
    if !cfg!(target_os = "linux") {
        documented.retain(|what, _| !what.contains(UNWRITABLE));
    }
    assert_eq!(documented, logged);
}

fn documented() -> BTreeMap<String, (Level, BTreeSet<String>)> {
    let lines = include_str!("../src/lib.rs").lines();
    let cells = lines.filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
    let rows = cells.filter_map(|cells| {
        let [level, what, fields] = cells.splitn(3, '|').collect::<Vec<_>>().try_into().ok()?;
        let level = level.trim().parse().ok()?;
        let what = &what[..=what.rfind('`')?];
        let fields = fields
            .split_whitespace()
            .map(|field| field.trim_matches('`').to_owned());
        Some((what.trim().to_owned(), (level, fields.collect())))
    });
    rows.collect()
}

/// What is said of variables, in a process of its own: this very test's, run again.
fn in_the_environment() -> Vec<(Level, String, BTreeSet<String>)> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_process_with_an_odd_environment",
            "--ignored",
            "--nocapture",
        ])
        .envs([
            ("PYTHONHTTPSVERIFY", "0"),
            ("SSL_CERT_FILE", ""),
            ("SSL_CERT_DIR", ""),
            ("SSLKEYLOGFILE", FULL),
        ])
        .env_remove("HTTPSVERIFY")
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let said = output.lines().filter_map(|line| line.split_once("said: "));
    let said = said.filter_map(|(_, said)| said.split_once(' '));
    let said = said.map(|(level, what)| {
        let (what, fields) = what.split_once('|').unwrap();
        let fields = fields.split_whitespace().map(str::to_owned);
        (level.parse().unwrap(), what.to_owned(), fields.collect())
    });
    let said: Vec<_> = said.collect();
    let expected = 4 + usize::from(cfg!(target_os = "linux"));
    assert_eq!(said.len(), expected, "{output}");
    said.into_iter()
        .filter(|(_, what, _)| !what.starts_with("SSL_CERT_DIR"))
        .collect()
}

/// A file that can be opened, and on Linux not be written.
const FULL: &str = match cfg!(target_os = "linux") {
    true => "/dev/full",
    false => "/dev/null",
};
const UNWRITABLE: &str = "the file that SSLKEYLOGFILE names cannot be written";

#[tokio::test]
#[ignore = "it is run by the test of the table, with an environment"]
async fn a_process_with_an_odd_environment() {
    let lab = Lab::start().await.unwrap();
    let (log, _guard) = Log::capture(Level::WARN);
    Client::new().unwrap();
    // Once is enough.
    Client::new().unwrap();
    let _ = RootStore::native();
    let client = lab.client_builder().unwrap().key_log(true).build();
    client
        .unwrap()
        .fetch(lab.url(Scenario::Good))
        .await
        .unwrap();
    for record in log.ours() {
        let fields = record.fields.iter().map(|(name, _)| *name);
        let fields: Vec<_> = fields.collect();
        println!(
            "said: {} {}|{}",
            record.level,
            record.name,
            fields.join(" ")
        );
    }
}
