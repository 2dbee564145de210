//! Addresses are raced (RFC 8305), with black holes among them.
//!
//! They need network namespaces, so `cargo test` leaves them out and says so; `.ci/run` has them
//! run by `cargo test --all-features --test happy_eyeballs -- --ignored`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;

use tokio::net::{TcpListener, TcpStream};

#[path = "support/netns.rs"]
mod netns;

use netns::{inside, syn_sent};

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn a_namespace_has_addresses_and_black_holes() {
    inside(
        "a_namespace_has_addresses_and_black_holes",
        "address 93.184.216.34; address 2606:2800::1
         black_hole 192.0.2.0/24; black_hole 2001:db8:dead::/48",
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
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            }
            for hole in ["192.0.2.1:443", "[2001:db8:dead::1]:443"] {
                let hole: SocketAddr = hole.parse().unwrap();
                let mut connecting = pin!(TcpStream::connect(hole));
                // What is refused or unreachable is so at once.
                tokio::select! {
                    biased;
                    ended = &mut connecting => panic!("{hole}: {ended:?}"),
                    () = tokio::task::yield_now() => {}
                }
                assert_eq!(syn_sent(), [hole]);
            }
            // What is dropped no longer waits.
            assert_eq!(syn_sent(), []);
        },
    );
}
