//! Names to addresses: fixed answers, or the system's resolver.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::timings::Phase;

/// Where addresses come from.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    fixed: HashMap<String, Vec<SocketAddr>>,
}

impl Resolver {
    /// Answers `host` with these addresses from now on. A port of 0 stands for the URL's.
    pub(crate) fn fix(&mut self, host: &str, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.fixed
            .insert(canonical(host), addresses.into_iter().collect());
    }

    /// The addresses of a host, of which there is at least one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dns`] if there are none.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let addresses = match self.fixed.get(&canonical(host)) {
            Some(fixed) => fixed
                .iter()
                .map(|address| with_port(*address, port))
                .collect(),
            None => system(host.to_owned(), port).await?,
        };
        if addresses.is_empty() {
            return Err(no_address(host));
        }
        Ok(addresses)
    }
}

async fn system(host: String, port: u16) -> Result<Vec<SocketAddr>> {
    let name = host.clone();
    let found = blocking::run(move || (name.as_str(), port).to_socket_addrs()).await?;
    match found {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(no_address(&host).with_source(error)),
    }
}

fn no_address(host: &str) -> Error {
    Error::new(ErrorKind::Dns, format!("resolving {host} gave no address")).with_phase(Phase::Dns)
}

/// A name as it is compared: lower case, without the root's dot.
fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    if address.port() == 0 {
        address.set_port(port);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_and_fixed_answers_ask_nobody() {
        let mut resolver = Resolver::default();
        resolver.fix(
            "Fixed.example",
            [
                "192.0.2.1:0".parse().unwrap(),
                "192.0.2.2:81".parse().unwrap(),
            ],
        );
        resolver.fix("empty.example", []);
        for (host, expected) in [
            ("127.0.0.1", "127.0.0.1:443"),
            ("::1", "[::1]:443"),
            ("fixed.example", "192.0.2.1:443 192.0.2.2:81"),
            ("fixed.example.", "192.0.2.1:443 192.0.2.2:81"),
        ] {
            let found = resolver.resolve(host, 443).await.unwrap();
            let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{host}");
        }
        let none = resolver.resolve("empty.example", 443).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Dns);
    }

    #[tokio::test]
    async fn the_system_knows_localhost_and_nothing_under_invalid() {
        let resolver = Resolver::default();
        let found = resolver.resolve("localhost", 7).await.unwrap();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 7)
        );
        // RFC 6761 §6.4: .invalid never resolves.
        let none = resolver.resolve("name.invalid", 7).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Dns);
        assert_eq!(none.phase(), Some(Phase::Dns));
    }
}
