//! App Engine's calls, against real servers on loopback.

#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod calls;
