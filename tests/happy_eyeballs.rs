//! Addresses are raced (RFC 8305), with black holes among them.
//!
//! They need network namespaces, so `cargo test` leaves them out and says so; `.ci/run` has them
//! run by `cargo test --all-features --test happy_eyeballs -- --ignored`.
#![cfg(all(feature = "lab", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

#[path = "support/netns.rs"]
mod netns;
#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::io::ErrorKind as Io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use netns::{inside, syn_sent};
use script::{HOST, Server, Then, builder, reply};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use urlfetch::{ClientBuilder, Error, ErrorKind, Phase};

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn a_namespace_has_addresses_and_black_holes() {
    inside(
        "a_namespace_has_addresses_and_black_holes",
        HOLES,
        || async {
            for ours in [
                "127.0.0.1:0",
                "[::1]:0",
                "93.184.216.34:0",
                "[2606:2800::1]:0",
            ] {
                let listener = TcpListener::bind(ours).await.unwrap();
                let address = listener.local_addr().unwrap();
                TcpStream::connect(address).await.unwrap();
                drop(listener);
                let refused = TcpStream::connect(address).await.unwrap_err();
                assert_eq!(refused.kind(), Io::ConnectionRefused);
            }
            for hole in [at(V4_HOLE, 443), at(V6_HOLE, 443)] {
                let mut connecting = pin!(TcpStream::connect(hole));
                // What is refused or unreachable is so at once.
                tokio::select! {
                    biased;
                    ended = &mut connecting => panic!("{hole}: {ended:?}"),
                    () = yield_now() => {}
                }
                assert_eq!(syn_sent(), [hole]);
            }
            // What is dropped no longer waits.
            assert_eq!(syn_sent(), []);
        },
    );
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn a_black_hole_of_either_family_does_not_stop_the_next_address() {
    inside(
        "a_black_hole_of_either_family_does_not_stop_the_next_address",
        HOLES,
        || async {
            for (addresses, tried) in [
                // As resolvers order them: IPv6 comes first, and goes nowhere.
                (&[V6_HOLE, GOOD][..], &[V6_HOLE][..]),
                (&[V4_HOLE, GOOD], &[V4_HOLE]),
                (&[V4_HOLE, GOOD_V6], &[V4_HOLE]),
                // The next to be tried is of the other family.
                (&[V6_HOLE, V6_HOLE_2, GOOD], &[V6_HOLE]),
                (
                    &[V6_HOLE, V6_HOLE_2, V4_HOLE, GOOD],
                    &[V6_HOLE, V4_HOLE, V6_HOLE_2],
                ),
                // Nobody waits for what has failed.
                (&[CLOSED, V4_HOLE, GOOD], &[V4_HOLE]),
                (&[V4_HOLE, CLOSED, GOOD], &[V4_HOLE]),
            ] {
                let server = Server::tls(|_| (reply("200 OK", "", "ok"), Then::Stay)).await;
                let port = server.addr.port();
                let v6 = TcpListener::bind(at(GOOD_V6, port)).await.unwrap();
                let relay = tokio::spawn(relay(v6, server.addr));
                let client = resolving(addresses).build().unwrap();
                let fetch = tokio::spawn(client.fetch(server.url("/")).send());
                let tried = Vec::from_iter(tried.iter().map(|each| at(each, port)));
                waiting_for(&tried).await;
                let response = fetch.await.unwrap().unwrap();
                // Who lost the race is gone, while the winner is used.
                assert_eq!(syn_sent(), [], "{addresses:?}");
                assert_eq!(response.remote_addr(), at(addresses.last().unwrap(), port));
                assert_eq!(response.text().await.unwrap(), "ok");
                assert_eq!(server.connections(), 1, "{addresses:?}");
                relay.abort();
            }
        },
    );
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn where_nobody_answers_the_error_says_how_each_address_stands() {
    inside(
        "where_nobody_answers_the_error_says_how_each_address_stands",
        HOLES,
        || async {
            let client = resolving(&[V6_HOLE, V6_HOLE_2, V4_HOLE, CLOSED]);
            // Long enough for all of them to be begun.
            let timeout = Duration::from_secs(3);
            let client = client.connect_timeout(timeout).build().unwrap();
            let fetch = client.fetch(format!("https://{HOST}/"));
            let fetch = tokio::spawn(fetch.send());
            waiting_for(&[V6_HOLE, V4_HOLE, V6_HOLE_2].map(|each| at(each, 443))).await;
            let error = fetch.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
            assert_eq!(error.phase(), Some(Phase::Connect));
            assert_eq!(
                error.to_string(),
                format!(
                    "the connect timeout of 3s ended while opening a TCP connection: \
                     [{V6_HOLE}]:443: no answer yet, {V4_HOLE}:443: no answer yet, \
                     [{V6_HOLE_2}]:443: no answer yet, \
                     {CLOSED}:443: Connection refused (os error 111) (https://{HOST}/)"
                )
            );
            assert_eq!(syn_sent(), []);

            // Nor is anything left of a fetch that somebody gave up.
            let fetch = tokio::spawn(client.fetch(format!("https://{HOST}/")).send());
            waiting_for(&[V6_HOLE, V4_HOLE].map(|each| at(each, 443))).await;
            fetch.abort();
            assert!(fetch.await.unwrap_err().is_cancelled());
            assert_eq!(syn_sent(), []);
        },
    );
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn where_everybody_refuses_nobody_waits() {
    inside("where_everybody_refuses_nobody_waits", HOLES, || async {
        let client = resolving(&[CLOSED, "2606:2800::1", UNREACHABLE]);
        let error: Error = client
            .build()
            .unwrap()
            .fetch(format!("https://{HOST}/"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert_eq!(error.phase(), Some(Phase::Connect));
        assert_eq!(
            error.to_string(),
            format!(
                "connecting to {HOST}:443 failed: {CLOSED}:443: Connection refused (os error 111), \
                 [2606:2800::1]:443: Connection refused (os error 111), \
                 {UNREACHABLE}:443: Network is unreachable (os error 101)"
            )
        );
    });
}

/// A client that finds the server's name at these addresses.
fn resolving(addresses: &[&str]) -> ClientBuilder {
    let addresses: Vec<_> = addresses.iter().map(|each| at(each, 0)).collect();
    builder().resolve(HOST, addresses)
}

/// Until each of these is waited for, at the same time.
async fn waiting_for(addresses: &[SocketAddr]) {
    loop {
        let waiting = syn_sent();
        if addresses.iter().all(|each| waiting.contains(each)) {
            return;
        }
        yield_now().await;
    }
}

/// Hands the first connection on.
async fn relay(listener: TcpListener, to: SocketAddr) {
    let (mut from, _) = listener.accept().await.unwrap();
    let mut to = TcpStream::connect(to).await.unwrap();
    // Its client may be gone first.
    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

const HOLES: &str = "address 93.184.216.34; address 2606:2800::1
                     black_hole 192.0.2.0/24; black_hole 2001:db8:dead::/48";
const V4_HOLE: &str = "192.0.2.1";
const V6_HOLE: &str = "2001:db8:dead::1";
const V6_HOLE_2: &str = "2001:db8:dead::2";
/// Where a server listens.
const GOOD: &str = "127.0.0.1";
const GOOD_V6: &str = "::1";
/// Where nobody listens.
const CLOSED: &str = "93.184.216.34";
/// Where no route leads.
const UNREACHABLE: &str = "198.51.100.1";
