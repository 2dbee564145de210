//! Ports for programs that cannot be asked which one they were given.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Starts something at a port that nobody has at this moment. Somebody may have it at the next:
/// `start` says so by `None`, and is given another.
pub(crate) fn start<T>(what: &str, start: impl FnMut(SocketAddr) -> Option<T>) -> T {
    let free = |_| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let started = (0..MOST).map(free).find_map(start);
    started.unwrap_or_else(|| panic!("{MOST} free ports were taken before {what} had them"))
}

const MOST: usize = 10;
