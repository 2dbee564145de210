//! Fetches through proxies that nobody here wrote: tinyproxy and microsocks.
//!
//! They need both in PATH, so `cargo test` leaves them out and says so; `.ci/run` has them run by
//! `cargo test --all-features --test real_proxies -- --ignored`.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use rcgen::CertificateParams;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use urlfetch::{ErrorKind, Result, StatusCode};

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/free_port.rs"]
mod free_port;
#[path = "support/scratch.rs"]
mod scratch;
#[path = "support/stall.rs"]
#[expect(dead_code, reason = "the tests of deadlines need more of it")]
mod stall;

use daemon::Daemon;
use stall::{OK, Server};

#[tokio::test]
#[ignore = "needs tinyproxy in PATH: .ci/run runs it"]
async fn tinyproxy() {
    let origin = Origin::start().await;
    let port = origin.server.address.port();
    let proxy = Daemon::start("tinyproxy", |folder, addr| {
        let filter = folder.join("filter");
        fs::write(&filter, "^denied[.]test$\n").unwrap();
        // 1 is nobody's: there it may connect, and cannot.
        let configuration = format!(
            "Listen {}\nPort {}\nBasicAuth user p.ss-word\nConnectPort {port}\nConnectPort 1\n\
             Filter \"{}\"\nFilterExtended On\nLogLevel Critical\n",
            addr.ip(),
            addr.port(),
            filter.display(),
        );
        let file = folder.join("tinyproxy.conf");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(file);
        command
    });
    let at = proxy.addr;
    let good = format!("http://user:p%2Ess-word@{at}");
    for host in ["127.0.0.1", "localhost"] {
        let status = origin.fetch(&good, host, port).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{host}");
    }
    let other_port = stranger();
    for (proxy, host, port, part) in [
        (
            format!("http://{at}"),
            "localhost",
            port,
            "wants a user name and a password",
        ),
        (
            format!("http://user:hunter2@{at}"),
            "localhost",
            port,
            "does not take the user name and password",
        ),
        (good.clone(), "denied.test", port, "403 \"Filtered\""),
        (good.clone(), "localhost", other_port, "403"),
        (good.clone(), "name.invalid", port, "50"),
        (good.clone(), "127.0.0.1", 1, "50"),
    ] {
        let error = origin.fetch(&proxy, host, port).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Proxy, "{text}");
        assert!(text.contains(part) && text.contains(host), "{text}");
        assert!(
            text.contains(&at.to_string()) && !text.contains("hunter2"),
            "{text}"
        );
        assert!(!error.request_was_sent(), "{text}");
    }
    // Through the tunnel it is the origin that is asked who it is.
    let error = origin.fetch(&good, "127.0.0.2", port).await.unwrap_err();
    assert_eq!(error.code(), "hostname-mismatch", "{error}");
}

#[tokio::test]
#[ignore = "needs microsocks in PATH: .ci/run runs it"]
async fn microsocks() {
    let origin = Origin::start().await;
    let port = origin.server.address.port();
    for (test, arguments, credentials) in [
        ("microsocks", &[][..], ""),
        (
            "microsocks-guarded",
            &["-u", "user", "-P", "p@ss:word"],
            "user:p%40ss%3Aword@",
        ),
    ] {
        let proxy = Daemon::start(test, |_, addr| {
            let mut command = Command::new("microsocks");
            let (ip, port) = (addr.ip().to_string(), addr.port().to_string());
            command.args(["-i", &ip, "-p", &port]).args(arguments);
            command
        });
        let at = proxy.addr;
        for scheme in ["socks5", "socks5h"] {
            let good = format!("{scheme}://{credentials}{at}");
            for host in ["127.0.0.1", "localhost"] {
                let status = origin.fetch(&good, host, port).await.unwrap();
                assert_eq!(status, StatusCode::OK, "{host}");
            }
            let error = origin.fetch(&good, "127.0.0.2", port).await.unwrap_err();
            assert_eq!(error.code(), "hostname-mismatch", "{error}");
            let error = origin.fetch(&good, "127.0.0.1", 1).await.unwrap_err();
            assert_proxys(&error, at, "the connection was refused");
            if credentials.is_empty() {
                continue;
            }
            let error = origin
                .fetch(&format!("{scheme}://{at}"), "localhost", port)
                .await;
            assert_proxys(&error.unwrap_err(), at, "wants a user name and a password");
            let wrong = format!("{scheme}://user:hunter2@{at}");
            let error = origin.fetch(&wrong, "localhost", port).await;
            assert_proxys(
                &error.unwrap_err(),
                at,
                "does not take the user name and password",
            );
        }
        // Who resolves a name is who does not find it.
        let remote = format!("socks5h://{credentials}{at}");
        let error = origin
            .fetch(&remote, "name.invalid", port)
            .await
            .unwrap_err();
        assert_proxys(&error, at, "name.invalid");
        let local = format!("socks5://{credentials}{at}");
        let error = origin
            .fetch(&local, "name.invalid", port)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dns, "{error}");
    }
}

fn assert_proxys(error: &urlfetch::Error, proxy: SocketAddr, part: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Proxy, "{text}");
    assert!(text.contains(part), "{text}");
    assert!(
        text.contains(&proxy.to_string()) && !text.contains("hunter2"),
        "{text}"
    );
    assert!(!error.request_was_sent(), "{text}");
}

/// An HTTPS server for localhost and 127.0.0.1, which is at two more addresses: the other one that
/// localhost may have, and one that its certificate is not for.
struct Origin {
    server: Server,
    _elsewhere: JoinSet<()>,
}

impl Origin {
    async fn start() -> Self {
        let names = ["localhost", "127.0.0.1"].map(String::from);
        let certificate = CertificateParams::new(names).unwrap();
        let server = Server::of(certificate, &[], |connection| connection.answer(OK));
        let first = server.address;
        let mut elsewhere = JoinSet::new();
        for other in ["::1", "127.0.0.2"] {
            // A machine may have no IPv6; then localhost has none either.
            let Ok(listener) = TcpListener::bind((other, first.port())).await else {
                continue;
            };
            elsewhere.spawn(async move {
                while let Ok((mut tcp, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let mut behind = TcpStream::connect(first).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut tcp, &mut behind).await;
                    });
                }
            });
        }
        Self {
            server,
            _elsewhere: elsewhere,
        }
    }

    async fn fetch(&self, proxy: &str, host: &str, port: u16) -> Result<StatusCode> {
        let client = self.server.client_builder().proxy(proxy).build()?;
        let response = client.fetch(format!("https://{host}:{port}/")).await?;
        Ok(response.status())
    }
}

/// A port that was somebody's.
fn stranger() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
