//! SSLKEYLOGFILE: what is written for a client that was told to log its keys, and that nothing is
//! for one that was not. Each in a process with an environment of its own.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
#[cfg(target_os = "linux")]
use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    process::Command,
};

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, ErrorKind};

#[expect(dead_code, reason = "HTTPSVERIFY's own tests need more of it")]
#[path = "support/child.rs"]
mod child;
#[path = "support/scratch.rs"]
mod scratch;
#[expect(dead_code, reason = "the tests of streams need more of it")]
#[path = "support/tls_server.rs"]
mod server;

use child::{Warnings, alone};
use server::{HOST, Server, Terms, builder};

/// They are the server's own: who has the file can read what went over the wire.
#[test]
fn the_secrets_of_each_session_are_appended() {
    let test = "the_secrets_of_each_session_are_appended";
    alone(test, [("SSLKEYLOGFILE", "keys.log")], || async {
        fs::write("keys.log", "# kept\n").unwrap();
        let warnings = Warnings::record();
        let client = builder().key_log(true).build().unwrap();
        let [warning] = &warnings.take()[..] else {
            unreachable!("it is not silent");
        };
        assert!(warning.contains("SSLKEYLOGFILE is obeyed"), "{warning}");
        assert!(warning.contains("keys.log"), "{warning}");

        let mut theirs = BTreeSet::new();
        for version in [&TLS13, &TLS12] {
            let secrets: Secrets = Secrets::default();
            let server = Server::logging(
                Terms {
                    version,
                    ..Terms::default()
                },
                Arc::new(secrets.clone()),
            )
            .await;
            let mut stream = client.connect(HOST, server.addr.port()).await.unwrap();
            stream.write_all(b"hello\n").await.unwrap();
            stream.read_exact(&mut [0; 6]).await.unwrap();
            theirs.extend(secrets.0.lock().unwrap().drain(..));
        }
        let text = fs::read_to_string("keys.log").unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("# kept"));
        let ours: BTreeSet<_> = lines.map(str::to_owned).collect();
        assert!(text.ends_with('\n'));
        // A server has secrets that it has no use for, and a client too.
        assert!(
            ours.is_subset(&theirs) || theirs.is_subset(&ours),
            "{ours:?}\n{theirs:?}"
        );
        let mut labels: BTreeMap<_, usize> = BTreeMap::new();
        for line in ours.intersection(&theirs) {
            let parts: Vec<_> = line.split(' ').collect();
            assert_eq!(parts.len(), 3, "{line}");
            assert_eq!(parts[1].len(), 64, "{line}");
            *labels.entry(parts[0]).or_default() += 1;
        }
        for label in [
            "CLIENT_RANDOM",
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
        ] {
            assert_eq!(labels.get(label), Some(&1), "{labels:?}");
        }
        assert_eq!(warnings.take(), [""; 0]);
    });
}

#[test]
fn a_fetch_is_logged_as_a_stream_is() {
    let test = "a_fetch_is_logged_as_a_stream_is";
    alone(test, [("SSLKEYLOGFILE", "keys.log")], || async {
        let lab = Lab::start().await.unwrap();
        let client = lab.client_builder().unwrap().key_log(true).build();
        client
            .unwrap()
            .fetch(lab.url(Scenario::Good))
            .await
            .unwrap();
        let text = fs::read_to_string("keys.log").unwrap();
        assert!(text.contains("SERVER_TRAFFIC_SECRET_0 "), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata("keys.log").unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    });
}

#[test]
fn without_a_word_the_variable_has_no_effect() {
    let test = "without_a_word_the_variable_has_no_effect";
    let variables = [("SSLKEYLOGFILE", "keys.log"), ("SSL_CERT_FILE", "ca.pem")];
    alone(test, variables, || async {
        let warnings = Warnings::record();
        let lab = Lab::start().await.unwrap();
        fs::write("ca.pem", lab.ca_pem()).unwrap();
        let silent = lab.client_builder().unwrap().key_log(true).key_log(false);
        for client in [lab.client(), silent.build(), Client::new()] {
            let url = lab.url(Scenario::GoodByIp);
            client.unwrap().fetch(url).await.unwrap();
        }
        assert!(!Path::new("keys.log").exists());
        assert_eq!(warnings.take(), [""; 0]);
    });
}

/// And does not matter to a client that was not told to.
#[test]
fn what_cannot_be_opened_is_named_when_the_client_is_built() {
    let test = "what_cannot_be_opened_is_named_when_the_client_is_built";
    alone(test, [("SSLKEYLOGFILE", "no/such/folder")], || async {
        let error = Client::builder().key_log(true).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let sentence = error.to_string();
        let begin = "SSLKEYLOGFILE names no/such/folder, which cannot be opened: ";
        assert!(sentence.starts_with(begin), "{sentence}");
        assert!(Client::builder().build().is_ok());
    });
}

#[test]
fn an_empty_variable_counts_as_unset_and_is_told() {
    let test = "an_empty_variable_counts_as_unset_and_is_told";
    alone(test, [("SSLKEYLOGFILE", "")], || async {
        let warnings = Warnings::record();
        builder().key_log(true).build().unwrap();
        let told = warnings.take();
        assert_eq!(told.len(), 1, "{told:?}");
        let sentence = "SSLKEYLOGFILE is set but empty, which counts as unset";
        assert!(told[0].contains(sentence), "{told:?}");
    });
}

#[test]
fn an_unset_variable_is_nothing_to_tell() {
    let test = "an_unset_variable_is_nothing_to_tell";
    alone(test, [("HTTPSVERIFY", "")], || async {
        let warnings = Warnings::record();
        let server = Server::start(Terms::default()).await;
        let client = builder().key_log(true).build().unwrap();
        client.fetch(server.url()).await.unwrap();
        assert_eq!(warnings.take(), [""; 0]);
    });
}

/// A session is not worth less for want of a log of it.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_written_is_told_once() {
    let test = "a_file_that_cannot_be_written_is_told_once";
    alone(test, [("SSLKEYLOGFILE", "/dev/full")], || async {
        let warnings = Warnings::record();
        let server = Server::start(Terms::default()).await;
        let client = builder().key_log(true).build().unwrap();
        assert_eq!(warnings.take().len(), 1);
        for _ in 0..2 {
            let stream = client.connect(HOST, server.addr.port()).await.unwrap();
            assert!(stream.verdict().is_verified());
        }
        let told = warnings.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("/dev/full"), "{told:?}");
    });
}

/// Neither the client that is built nor a handshake waits for whoever reads a pipe.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_that_nobody_reads_holds_up_nobody() {
    let test = "a_pipe_that_nobody_reads_holds_up_nobody";
    alone(test, [("SSLKEYLOGFILE", "pipe")], || async {
        let made = Command::new("mkfifo").arg("pipe").status().unwrap();
        assert!(made.success());
        let build = || builder().key_log(true).build();
        let error = build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let begin = "SSLKEYLOGFILE names pipe, which cannot be opened: ";
        assert!(error.to_string().starts_with(begin), "{error}");

        // Now there is a reader, who stops as soon as the pipe is full.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK);
        let mut reader = options.open("pipe").unwrap();
        let client = build().unwrap();
        let full = loop {
            if let Err(full) = reader.write(&[b'#'; libc::PIPE_BUF]) {
                break full;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let warnings = Warnings::record();
        let server = Server::start(Terms::default()).await;
        client.connect(HOST, server.addr.port()).await.unwrap();
        let told = warnings.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("secrets are missing"), "{told:?}");
    });
}

/// What the other end of a connection holds for its secrets, a line each.
#[derive(Clone, Debug, Default)]
struct Secrets(Arc<Mutex<Vec<String>>>);

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let line = format!("{label} {} {}", hex(client_random), hex(secret));
        self.0.lock().unwrap().push(line);
    }
}
