//! HTTPSVERIFY: every cell of its table, each in a process of its own, by real fetches from
//! servers of the lab whose certificates are good and not.
//!
//! The servers are asked for by IP address, as `fetch` itself has no resolver but the system's.
//! The roots of `fetch` are the lab's, by SSL_CERT_FILE.
#![cfg(all(unix, feature = "lab"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, Error, ErrorKind, RequestBuilder, Response, Result};

#[path = "support/child.rs"]
mod child;
#[path = "support/scratch.rs"]
mod scratch;

use child::{Warnings, alone, assert_no_packet};

/// A value of HTTPSVERIFY is a row. Its columns: who says nothing, who says "do not verify", a
/// builder, and a call that says "verify".
macro_rules! table {
    ($($row:ident $value:expr => $nothing:ident $do_not:ident $builder:ident $verify:ident;)+) => {$(
        mod $row {
            use super::*;

            table! { @cell $row fetch_and_client_new $value => $nothing SAY_NOTHING }
            table! { @cell $row says_do_not_verify $value => $do_not SAY_DO_NOT_VERIFY }
            table! { @cell $row client_builder $value => $builder BUILD }
            table! { @cell $row says_verify $value => $verify SAY_VERIFY }
        }
    )+};
    (@cell $row:ident $column:ident $value:expr => $outcome:ident $ways:ident) => {
        #[test]
        fn $column() {
            let test = concat!(stringify!($row), "::", stringify!($column));
            cell(test, $value, &$ways, Outcome::$outcome);
        }
    };
}

table! {
    unset          None => Verified Reported Verified Verified;
    empty          Some(b"") => Verified Reported Verified Verified;
    one            Some(b"1") => Verified Refused Verified Verified;
    zero           Some(b"0") => Reported Reported Verified Verified;
    space_one      Some(b" 1") => Invalid Invalid Invalid Invalid;
    zero_newline   Some(b"0\n") => Invalid Invalid Invalid Invalid;
    word           Some(b"true") => Invalid Invalid Invalid Invalid;
    two            Some(b"2") => Invalid Invalid Invalid Invalid;
    not_utf8       Some(b"1\xff") => Invalid Invalid Invalid Invalid;
    long           Some(&[b'1'; 10_000]) => Invalid Invalid Invalid Invalid;
    escapes        Some(b"\x1b]0;0wned\x07\x1b[2J\xe2\x80\xae1") => Invalid Invalid Invalid Invalid;
}

/// A way to make a client, if it is not the process's, and what each call then says.
struct Way {
    name: &'static str,
    client: fn(&Lab) -> Result<Option<Client>>,
    validate: Option<bool>,
}

impl Way {
    /// Any refusal is that of the first fetch, or of the client.
    fn client(&self, lab: &Lab) -> Result<Caller> {
        Ok(Caller {
            client: (self.client)(lab)?,
            validate: self.validate,
        })
    }
}

struct Caller {
    client: Option<Client>,
    validate: Option<bool>,
}

impl Caller {
    async fn fetch(&self, url: &str) -> Result<Response> {
        let request: RequestBuilder = match &self.client {
            Some(client) => client.fetch(url),
            None => urlfetch::fetch(url),
        };
        match self.validate {
            Some(validate) => request.validate_certificate(validate).await,
            None => request.await,
        }
    }
}

const fn way(
    name: &'static str,
    client: fn(&Lab) -> Result<Option<Client>>,
    validate: Option<bool>,
) -> Way {
    Way {
        name,
        client,
        validate,
    }
}

const PROCESS: fn(&Lab) -> Result<Option<Client>> = |_| Ok(None);
const NEW: fn(&Lab) -> Result<Option<Client>> = |_| Client::new().map(Some);
const BUILT: fn(&Lab) -> Result<Option<Client>> = |lab| lab.client().map(Some);
const DANGER: fn(&Lab) -> Result<Option<Client>> = |lab| {
    lab.client_builder()?
        .danger_accept_unverified()
        .build()
        .map(Some)
};
/// As [`DANGER`] where that is allowed.
const DANGER_IF_ALLOWED: fn(&Lab) -> Result<Option<Client>> =
    |lab| match std::env::var_os("HTTPSVERIFY") {
        Some(value) if value == "1" => BUILT(lab),
        _ => DANGER(lab),
    };

static SAY_NOTHING: [Way; 2] = [way("fetch", PROCESS, None), way("Client::new", NEW, None)];
static SAY_DO_NOT_VERIFY: [Way; 5] = [
    way("fetch, call", PROCESS, Some(false)),
    way("Client::new, call", NEW, Some(false)),
    way("builder, call", BUILT, Some(false)),
    way("danger, call", DANGER, Some(false)),
    way("danger", DANGER, None),
];
static BUILD: [Way; 2] = [
    way("builder", BUILT, None),
    // Without roots of its own.
    way(
        "bare builder",
        |_| Client::builder().build().map(Some),
        None,
    ),
];
static SAY_VERIFY: [Way; 4] = [
    way("fetch, call", PROCESS, Some(true)),
    way("Client::new, call", NEW, Some(true)),
    way("builder, call", BUILT, Some(true)),
    way("danger, call", DANGER_IF_ALLOWED, Some(true)),
];

/// What must come of a cell.
#[derive(Clone, Copy)]
enum Outcome {
    /// Only the good server is used, and nobody is warned.
    Verified,
    /// Both are used, and the verdict says what is wrong with the bad one.
    Reported,
    /// The code asked for what HTTPSVERIFY=1 forbids.
    Refused,
    /// The value means nothing.
    Invalid,
}

fn cell(test: &str, value: Option<&[u8]>, ways: &[Way], outcome: Outcome) {
    let roots = ("SSL_CERT_FILE", OsStr::new("ca.pem"));
    let value = value.map(|value| ("HTTPSVERIFY", OsStr::from_bytes(value)));
    alone(test, [roots].into_iter().chain(value), || async {
        let warnings = Warnings::record();
        let lab = start_lab().await;
        for way in ways {
            match outcome {
                Outcome::Verified => is_verified(way, &lab, &warnings).await,
                Outcome::Reported => is_reported(way, &lab, &warnings).await,
                Outcome::Refused => {
                    let error = refusal(way, &lab).await;
                    assert!(error.contains("HTTPSVERIFY=1 demands"), "{error}");
                }
                Outcome::Invalid => {
                    let error = refusal(way, &lab).await;
                    let named = value.unwrap().1.to_string_lossy().into_owned();
                    assert_is_told(&error, &named);
                }
            }
        }
        if let Outcome::Refused | Outcome::Invalid = outcome {
            assert_eq!(warnings.take(), [""; 0]);
            for scenario in [GOOD, BAD] {
                assert_no_packet(&lab, scenario).await;
            }
        }
    });
}

async fn is_verified(way: &Way, lab: &Lab, warnings: &Warnings) {
    let caller = way.client(lab).unwrap();
    let response = caller.fetch(&lab.url(GOOD)).await.unwrap();
    assert!(response.verdict().unwrap().is_verified(), "{}", way.name);

    let error = caller.fetch(&lab.url(BAD)).await.unwrap_err();
    assert_eq!(error.code(), "hostname-mismatch", "{}: {error}", way.name);
    assert_eq!(error.kind(), ErrorKind::Certificate, "{}", way.name);
    assert!(!error.request_was_sent(), "{}", way.name);
    lab.settled(BAD).await;
    assert_eq!(lab.received(BAD), 0, "{}", way.name);
    assert_eq!(warnings.take(), [""; 0], "{}", way.name);
}

async fn is_reported(way: &Way, lab: &Lab, warnings: &Warnings) {
    let caller = way.client(lab).unwrap();
    for (scenario, code) in [(GOOD, None), (BAD, Some("hostname-mismatch"))] {
        let before = lab.connections(scenario);
        for _ in 0..3 {
            let response = caller.fetch(&lab.url(scenario)).await.unwrap();
            let verdict = response.verdict().unwrap();
            let found = verdict.reason().map(|reason| reason.code());
            assert_eq!(found, code, "{}: {scenario}", way.name);
            assert_eq!(verdict.is_verified(), code.is_none());
            assert_eq!(response.status(), 200);
            response.bytes().await.unwrap();
        }
        let connections = lab.connections(scenario) - before;
        assert_eq!(connections, 1, "{}: {scenario}", way.name);
        let warnings = warnings.take();
        let [warning] = warnings.as_slice() else {
            panic!("{}: {scenario}: {warnings:?}", way.name);
        };
        for word in [
            format!("server.port={}", lab.addr(scenario).port()),
            format!("tls.verified={}", code.is_none()),
            code.map_or_else(String::new, |code| format!("error.type={code:?}")),
        ] {
            assert!(warning.contains(&word), "{}: {warning}", way.name);
        }
        assert_eq!(warning.contains("error.type"), code.is_some());
    }
}

/// The message of the `Config` error that the client or the first fetch ends with.
async fn refusal(way: &Way, lab: &Lab) -> String {
    let mut errors = Vec::new();
    for scenario in [GOOD, BAD] {
        let fetched = match way.client(lab) {
            Ok(caller) => caller.fetch(&lab.url(scenario)).await.map(drop),
            Err(error) => Err(error),
        };
        let error: Error = fetched.expect_err(way.name);
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", way.name);
        assert!(!error.request_was_sent(), "{}", way.name);
        assert!(error.verdict().is_none(), "{}", way.name);
        let message = error.to_string();
        let sentence = message.split(" (https://").next();
        errors.push(sentence.unwrap_or_default().to_owned());
    }
    let [first, second] = &errors[..] else {
        unreachable!()
    };
    assert_eq!(first, second);
    first.clone()
}

/// An invalid value is named, escaped and cut, and so are the two that are accepted.
fn assert_is_told(message: &str, value: &str) {
    assert!(message.starts_with("HTTPSVERIFY is \""), "{message}");
    assert!(
        message.contains("can be 1 (") && message.contains("or 0 ("),
        "{message}"
    );
    assert!(
        message.chars().all(|c| !c.is_control() && c != '\u{202e}'),
        "{message:?}"
    );
    assert!(message.len() < 600, "{} bytes", message.len());
    if value.len() < 20 && value.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        assert!(message.contains(&format!("\"{value}\"")), "{message}");
    }
}

#[test]
fn what_is_set_after_the_client_was_built_changes_nothing() {
    let test = "what_is_set_after_the_client_was_built_changes_nothing";
    alone(test, [("SSL_CERT_FILE", "ca.pem")], || async {
        let warnings = Warnings::record();
        let lab = start_lab().await;
        let [process, new] = SAY_NOTHING.each_ref().map(|way| way.client(&lab).unwrap());
        process.fetch(&lab.url(GOOD)).await.unwrap();
        let danger = DANGER(&lab).unwrap().unwrap();
        for value in ["0", "1", "neither"] {
            set("HTTPSVERIFY", value);
            for caller in [&process, &new] {
                caller.fetch(&lab.url(GOOD)).await.unwrap();
                let error = caller.fetch(&lab.url(BAD)).await.unwrap_err();
                assert_eq!(error.code(), "hostname-mismatch", "{value}: {error}");
            }
            assert_eq!(warnings.take(), [""; 0], "{value}");
            danger.fetch(lab.url(BAD)).await.unwrap();
            let call = urlfetch::fetch(lab.url(BAD)).validate_certificate(false);
            call.await.unwrap();
            warnings.take();
            // A new client is as the environment is now.
            assert_eq!(Client::new().is_err(), value == "neither");
            assert_eq!(DANGER(&lab).is_err(), value != "0");
        }
    });
}

#[test]
fn a_default_client_that_cannot_be_built_is_not_kept_and_a_good_one_is() {
    let test = "a_default_client_that_cannot_be_built_is_not_kept_and_a_good_one_is";
    let variables = [("SSL_CERT_FILE", "ca.pem"), ("HTTPSVERIFY", "yes")];
    alone(test, variables, || async {
        let lab = start_lab().await;
        let fetch = || async { urlfetch::fetch(lab.url(GOOD)).await };
        for _ in 0..2 {
            assert_eq!(fetch().await.unwrap_err().kind(), ErrorKind::Config);
        }
        set("HTTPSVERIFY", "1");
        fetch().await.unwrap().bytes().await.unwrap();
        set("HTTPSVERIFY", "yes");
        fetch().await.unwrap();
        assert_eq!(lab.connections(GOOD), 1, "one client, one connection");
    });
}

#[test]
fn a_verified_call_never_rides_on_an_unverified_connection() {
    let test = "a_verified_call_never_rides_on_an_unverified_connection";
    let variables = [("SSL_CERT_FILE", "ca.pem"), ("HTTPSVERIFY", "0")];
    alone(test, variables, || async {
        let warnings = Warnings::record();
        let lab = start_lab().await;
        for (scenario, code) in [(GOOD, None), (BAD, Some("hostname-mismatch"))] {
            let url = lab.url(scenario);
            let loose = || async { urlfetch::fetch(&url).await.unwrap().bytes().await };
            let strict = || async { urlfetch::fetch(&url).validate_certificate(true).await };
            loose().await.unwrap();
            for _ in 0..2 {
                let outcome = strict().await;
                assert_eq!(outcome.as_ref().err().map(Error::code), code);
                if let Ok(response) = outcome {
                    response.bytes().await.unwrap();
                }
            }
            // The good one's verified connection serves twice; the bad one is asked anew.
            assert_eq!(
                lab.connections(scenario),
                if code.is_none() { 2 } else { 3 }
            );
            // The refused ones never came to be: only the unverified one is open.
            while code.is_some() && lab.counts(scenario).open > 1 {
                tokio::task::yield_now().await;
            }
            assert_eq!(lab.handshakes(scenario), if code.is_none() { 2 } else { 1 });
            // And the unverified one is still there for who wants no more.
            let connections = lab.connections(scenario);
            loose().await.unwrap();
            assert_eq!(lab.connections(scenario), connections);
            assert_eq!(warnings.take().len(), 1);
        }
    });
}

#[test]
fn a_stream_without_http_is_under_the_same_rule() {
    let test = "a_stream_without_http_is_under_the_same_rule";
    let variables = [("SSL_CERT_FILE", "ca.pem"), ("HTTPSVERIFY", "0")];
    alone(test, variables, || async {
        let warnings = Warnings::record();
        let lab = start_lab().await;
        let port = lab.addr(BAD).port();

        let new = Client::new().unwrap();
        let stream = new.connect("127.0.0.1", port).await.unwrap();
        assert_eq!(
            stream.verdict().reason().unwrap().code(),
            "hostname-mismatch"
        );
        assert_eq!(warnings.take().len(), 1);
        let tcp = || tokio::net::TcpStream::connect(lab.addr(BAD));
        let stream = new.wrap(tcp().await.unwrap(), "127.0.0.1").await.unwrap();
        assert!(!stream.verdict().is_verified());
        assert_eq!(warnings.take().len(), 1);

        let built = lab.client().unwrap();
        let error = built.connect("127.0.0.1", port).await.unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch");
        let error = built.wrap(tcp().await.unwrap(), "127.0.0.1").await;
        assert_eq!(error.unwrap_err().code(), "hostname-mismatch");
        assert_eq!(warnings.take(), [""; 0]);
    });
}

/// PYTHONHTTPSVERIFY and HTTPSVERIFY, and how often somebody is warned.
fn pythons(test: &str, value: &str, ours: Option<&str>, expected: usize) {
    let ours = ours.map(|ours| ("HTTPSVERIFY", ours));
    let variables = [("SSL_CERT_FILE", "ca.pem"), ("PYTHONHTTPSVERIFY", value)];
    alone(test, variables.into_iter().chain(ours), || async {
        let warnings = Warnings::record();
        let lab = start_lab().await;
        for way in SAY_NOTHING.iter().chain(&BUILD) {
            let caller = way.client(&lab).unwrap();
            let error = caller.fetch(&lab.url(BAD)).await.unwrap_err();
            assert_eq!(error.code(), "hostname-mismatch", "it is not read");
        }
        let warnings = warnings.take();
        assert_eq!(warnings.len(), expected, "{warnings:?}");
        for warning in warnings {
            assert!(
                warning.contains("PYTHONHTTPSVERIFY is set and not read"),
                "{warning}"
            );
            assert!(warning.contains("is read is HTTPSVERIFY"), "{warning}");
        }
    });
}

#[test]
fn pythons_variable_is_not_read_and_that_is_said_once() {
    pythons(
        "pythons_variable_is_not_read_and_that_is_said_once",
        "0",
        None,
        1,
    );
}

#[test]
fn pythons_variable_beside_an_empty_one_of_ours() {
    pythons(
        "pythons_variable_beside_an_empty_one_of_ours",
        "0",
        Some(""),
        1,
    );
}

#[test]
fn pythons_variable_beside_ours_is_nobodys_concern() {
    pythons(
        "pythons_variable_beside_ours_is_nobodys_concern",
        "0",
        Some("1"),
        0,
    );
}

/// The lab, whose CA is then where SSL_CERT_FILE says.
async fn start_lab() -> Lab {
    let lab = Lab::start().await.unwrap();
    std::fs::write("ca.pem", lab.ca_pem()).unwrap();
    lab
}

/// Sets a variable of this process, which must be a child.
#[expect(
    unsafe_code,
    reason = "only a change from inside shows that it is not seen"
)]
fn set(name: &str, value: &str) {
    // SAFETY: a child has one thread while no name is resolved and no file read for it, and those
    // read the environment by std alone, which locks it.
    unsafe { std::env::set_var(name, value) }
}

const GOOD: Scenario = Scenario::GoodByIp;
const BAD: Scenario = Scenario::IpForName;
