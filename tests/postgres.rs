//! The example of PostgreSQL against a real PostgreSQL with TLS on: a protocol that is not HTTP, at
//! a server that nobody here wrote.
//!
//! They need PostgreSQL, so `cargo test` leaves them out and says so; `.ci/run` has them run by
//! `cargo build --all-features --example postgres`, and
//! `cargo test --all-features --test postgres -- --ignored`.
#![cfg(all(unix, feature = "lab"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

#[path = "support/free_port.rs"]
mod free_port;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/scratch.rs"]
mod scratch;

use postgres::Postgres;

#[test]
#[ignore = "needs PostgreSQL: .ci/run runs it"]
fn a_right_ca_is_a_verified_stream_that_carries_the_protocol() {
    let server = Postgres::start("db.test");
    let ran = example("db.test", &server.ca_file, server.addr.port());
    let (out, error) = said(&ran);
    assert_eq!(ran.status.code(), Some(0), "{out}{error}");
    assert!(out.starts_with("\"db.test\" is verified by "), "{out}");
    assert!(out.contains("TLS 1.3, TLS_"), "{out}");
    assert!(
        out.ends_with("the server answers: no password is needed\n"),
        "{out}"
    );
    assert_eq!(error, "");
    let log = server.stop();
    assert!(log.contains("connection received"), "{log}");
    assert!(
        log.contains("connection authorized: user=postgres"),
        "{log}"
    );
    assert!(log.contains("SSL enabled (protocol=TLSv1.3"), "{log}");
}

#[test]
#[ignore = "needs PostgreSQL: .ci/run runs it"]
fn a_wrong_host_or_ca_is_refused_and_the_server_gets_nothing_of_the_session() {
    let server = Postgres::start("db.test");
    let other = Postgres::start("db.test");
    let port = server.addr.port();
    for (host, ca_file, code) in [
        ("other.test", &server.ca_file, "hostname-mismatch"),
        ("db.test", &other.ca_file, "unknown-issuer"),
    ] {
        let ran = example(host, ca_file, port);
        let (out, error) = said(&ran);
        assert_eq!(ran.status.code(), Some(2), "{out}{error}");
        assert_eq!(out, "");
        let begin = format!("certificate for \"{host}\" was refused: {code}: ");
        assert!(error.starts_with(&begin), "{error}");
    }
    let log = server.stop();
    // It was there, and its handshakes ended by our alert: no session was asked for.
    assert_eq!(log.matches("connection received").count(), 2, "{log}");
    assert_eq!(
        log.matches("could not accept SSL connection").count(),
        2,
        "{log}"
    );
    for word in [
        "connection authorized",
        "connection authenticated",
        "startup",
        "user",
    ] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    other.stop();
}

/// Nothing more is sent to a server that will not. It is no PostgreSQL.
#[test]
#[ignore = "needs the example, built: .ci/run runs it"]
fn a_server_without_tls_gets_nothing_in_clear() {
    use std::io::{Read, Write};
    for (answer, sentence) in [
        (
            b'N',
            "the server offers no TLS, and nothing is sent in clear\n",
        ),
        (b'E', "the server answers the SSLRequest with an error\n"),
        (b'R', "the server answers the SSLRequest with byte 82\n"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            tcp.read_exact(&mut request).unwrap();
            tcp.write_all(&[answer]).unwrap();
            let mut rest = Vec::new();
            tcp.read_to_end(&mut rest).unwrap();
            (request, rest)
        });
        let folder = scratch::Scratch::new();
        let ca_file = folder.path().join("ca.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        std::fs::write(&ca_file, ca.pem()).unwrap();
        let ran = example("db.test", &ca_file, port);
        let (out, error) = said(&ran);
        assert_eq!(ran.status.code(), Some(1), "{error}");
        assert_eq!((out.as_str(), error.as_str()), ("", sentence));
        let (request, rest) = serving.join().unwrap();
        assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
        assert_eq!(rest, b"");
    }
}

/// Runs the example for a server on loopback that is to be this host.
fn example(host: &str, ca_file: &Path, port: u16) -> Output {
    // Cargo puts tests into `deps`, and examples beside that.
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("examples/postgres");
    Command::new(&built)
        .arg(format!("{host}:5432"))
        .arg(ca_file)
        .arg(format!("127.0.0.1:{port}"))
        .output()
        .unwrap_or_else(|error| panic!("{}, which was to be built: {error}", built.display()))
}

fn said(ran: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&ran.stdout), text(&ran.stderr))
}
