//! The names of Python's `ssl`, onto ours.

pub use crate::tls::match_hostname;
