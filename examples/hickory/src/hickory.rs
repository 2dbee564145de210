//! A resolver for urlfetch that asks name servers itself, and keeps their answers for as long as
//! these say.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use urlfetch::{Resolve, Resolving};

/// It belongs to the tokio runtime that it is first used in, where its tasks live: a client that
/// works from several runtimes needs another one in each.
pub struct Hickory(TokioResolver);

impl Hickory {
    /// Asks the name servers that this system asks (`/etc/resolv.conf`, or the registry).
    pub fn of_the_system() -> Result<Self, NetError> {
        TokioResolver::builder_tokio()?.build().map(Self)
    }

    /// Asks one name server: over UDP, and over TCP what does not fit.
    pub fn at(address: IpAddr, port: u16) -> Result<Self, NetError> {
        let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = port;
        }
        let server = NameServerConfig::new(address, true, connections.into());
        let config = ResolverConfig::from_name_servers(vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .build()
            .map(Self)
    }
}

impl Resolve for Hickory {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = self.0.lookup_ip(host).await?;
            // IPv6 comes first, whether this machine has it or not: urlfetch goes on to IPv4 when
            // that fails, or does not answer for 250 ms. The port is the URL's.
            let addresses = found.iter().map(|address| SocketAddr::new(address, 0));
            Ok(addresses.collect())
        })
    }
}
