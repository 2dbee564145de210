//! Python's `ssl` by its names: what its calls come to here, against real servers and against what
//! the original gave.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[path = "../support/child.rs"]
mod child;
#[expect(dead_code, reason = "the profile needs more of it")]
#[path = "../support/mint.rs"]
mod mint;
#[path = "../support/scratch.rs"]
mod scratch;
#[expect(dead_code, reason = "the tests of HTTP need more of it")]
#[path = "../support/script.rs"]
mod script;

mod context;
mod peer_cert;
mod pem;
mod sockets;
mod time;
