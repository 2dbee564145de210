//! A transport through a proxy: TCP to it, TLS with it if it speaks that, and the tunnel.

use std::net::SocketAddr;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::denied::Denied;
use super::guard::AddressGuard;
use super::proxy::{Proxy, Speaks};
use super::resolve::Resolver;
use super::socks::{self, Destination};
use super::transport::Transport;
use super::trust::Trust;
use super::wanted::{Connected, Wanted};
use super::{dial, tunnel};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::timings::{Phase, Timings};
use crate::tls::handshake::Failure;
use crate::tls::{Protocols, Ticketed};

/// The way to one target through one proxy.
///
/// The proxy is dialled wherever it is: whoever runs the client chose it. It is what lies behind it
/// that the guard looks at.
pub(super) struct Through<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) resolver: &'a Resolver,
    pub(super) guard: &'a AddressGuard,
    pub(super) trust: &'a Trust,
    pub(super) wanted: Wanted<'a>,
}

impl Through<'_> {
    /// A tunnel to the wanted target.
    pub(super) async fn open(self, timings: &mut Timings) -> Result<Connected<Transport>> {
        if self.proxy.speaks == Speaks::Socks5 {
            return self.open_to_address(timings).await;
        }
        let origin = self.wanted.target.origin();
        self.guard
            .admit_unseen(origin.host(), origin.port(), self.wanted.asker)?;
        let destination = Destination::of(origin);
        let (mut stream, remote) = self.reach(timings).await?;
        self.ask(&mut stream, destination, origin.port(), timings)
            .await?
            .map_err(|denied| self.denied(&denied))?;
        Ok(Connected {
            stream,
            remote,
            host: match destination {
                Destination::Address(address) => Some(SocketAddr::new(address, origin.port())),
                Destination::Name(_) => None,
            },
        })
    }

    /// The same by addresses: the proxy is asked for one after the other, each on a connection of
    /// its own, for it closes one on which it has refused (RFC 1928 §6).
    async fn open_to_address(self, timings: &mut Timings) -> Result<Connected<Transport>> {
        let Wanted {
            target,
            asker,
            deadline,
        } = self.wanted;
        let origin = target.origin();
        let resolving = pin!(self.resolver.resolve(origin.host(), origin.port()));
        let addresses = deadline.time(Phase::Dns, timings, resolving).await??;
        let forget = || self.resolver.forget(origin.host(), origin.port());
        let admitted = self.guard.admit(origin.host(), &addresses, asker);
        admitted.inspect_err(|_| forget())?;
        let mut refusals = Vec::new();
        for address in addresses.into_iter().take(limits::SOCKS_ADDRESSES) {
            let (mut stream, remote) = self.reach(timings).await?;
            let destination = Destination::Address(address.ip());
            let asked = self.ask(&mut stream, destination, address.port(), timings);
            match asked.await? {
                Ok(()) => {
                    return Ok(Connected {
                        stream,
                        remote,
                        host: Some(address),
                    });
                }
                Err(Denied::Refused(why)) => refusals.push(format!("{address}: {why}")),
                Err(denied) => {
                    forget();
                    return Err(self.denied(&denied));
                }
            }
        }
        forget();
        Err(self.denied(&Denied::Refused(refusals.join(", "))))
    }

    /// A connection to the proxy, on which nothing was asked yet.
    async fn reach(&self, timings: &mut Timings) -> Result<(Transport, SocketAddr)> {
        let reaching = match self.proxy.speaks {
            Speaks::Https => self.dial_tls(timings).await,
            Speaks::Http | Speaks::Socks5 | Speaks::Socks5h => {
                let dialled = self.dial(timings).await;
                dialled.map(|(stream, remote)| (Transport::Plain(stream), remote))
            }
        };
        reaching.map_err(|error| self.failed(error))
    }

    async fn dial(&self, timings: &mut Timings) -> Result<(TcpStream, SocketAddr)> {
        let (at, deadline) = (&self.proxy.at, self.wanted.deadline);
        let resolving = pin!(self.resolver.resolve(at.host(), at.port()));
        let addresses = deadline.time(Phase::Dns, timings, resolving).await??;
        let dialled = dial::race(&addresses, deadline, timings).await;
        dialled.map_err(|lost| {
            self.resolver.forget(at.host(), at.port());
            lost.explain(ErrorKind::Connect, "no connection could be opened".into())
        })
    }

    /// TLS with the proxy, which is judged as an origin is, and always has to be verified.
    async fn dial_tls(&self, timings: &mut Timings) -> Result<(Transport, SocketAddr)> {
        let (at, deadline) = (&self.proxy.at, self.wanted.deadline);
        let tls = self.trust.tls_to_proxy(at);
        let tls = deadline.queue(timings, tls).await??;
        // Without ALPN HTTP is HTTP/1.1.
        let ticketed = Ticketed {
            host: at.host().to_owned(),
            port: at.port(),
            protocols: Protocols::Unnamed,
        };
        let mut redialled = false;
        loop {
            let (stream, remote) = self.dial(timings).await?;
            let transport = Transport::Plain(stream);
            let name = at.server_name()?;
            let handshake = pin!(tls.handshake(transport, &ticketed, name, Some(remote)));
            match deadline.time(Phase::Tls, timings, handshake).await? {
                Ok(stream) => return Ok((Transport::Tunnel(Box::new(stream)), remote)),
                // The session's kept chain holds no longer, and its tickets are gone.
                Err(Failure::Stale(_)) if !redialled => redialled = true,
                Err(failure) => return Err(failure.into_error(Some(remote))),
            }
        }
    }

    /// Asks for the tunnel, within the time that is left.
    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        destination: Destination<'_>,
        port: u16,
        timings: &mut Timings,
    ) -> Result<std::result::Result<(), Denied>> {
        let credentials = self.proxy.credentials.as_ref();
        let asking = pin!(async {
            match self.proxy.speaks {
                Speaks::Http | Speaks::Https => {
                    tunnel::open(stream, self.wanted.target.origin(), credentials).await
                }
                Speaks::Socks5 | Speaks::Socks5h => {
                    socks::open(stream, destination, port, credentials).await
                }
            }
        });
        let deadline = self.wanted.deadline;
        let asked = deadline.time(Phase::Connect, timings, asking).await;
        asked.map_err(|elapsed| self.failed(elapsed.into()))
    }

    fn denied(&self, denied: &Denied) -> Error {
        let sentence = denied.sentence(self.proxy, self.wanted.target.origin());
        Error::new(ErrorKind::Proxy, sentence)
            .with_hint(denied.hint())
            .with_phase(Phase::Connect)
    }

    fn failed(&self, error: Error) -> Error {
        error.on_the_way(self.proxy, self.wanted.target.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::asker::Asker;
    use crate::connect::origin::Origin;
    use crate::limits::Deadline;
    use crate::tls::demand::Demand;
    use crate::tls::{Clock, Policy};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What the next hop is judged by: who resolved the name knows where the host is.
    #[tokio::test]
    async fn where_the_host_is_only_who_resolved_its_name_knows() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (policy, clock) = (Policy::default(), Clock::default());
        let trust = Trust::new(None, None, policy, vec![], clock, None).unwrap();
        let mut resolver = Resolver::default();
        let address: SocketAddr = "192.0.2.1:443".parse().unwrap();
        resolver.fix("name.test", [address]);
        let literal: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
        for (scheme, host, expected) in [
            ("http", "name.test", None),
            ("http", "[2001:db8::1]", Some(literal)),
            ("socks5h", "name.test", None),
            ("socks5h", "[2001:db8::1]", Some(literal)),
            ("socks5", "name.test", Some(address)),
            ("socks5", "[2001:db8::1]", Some(literal)),
        ] {
            let proxy = Proxy::parse(&format!("{scheme}://{at}")).unwrap();
            let target = trust.endpoint(Origin::tls(host, 443).unwrap(), Demand::Verified);
            let through = Through {
                proxy: &proxy,
                resolver: &resolver,
                guard: &AddressGuard::default(),
                trust: &trust,
                wanted: Wanted {
                    target: &target,
                    asker: Asker::Caller,
                    deadline: Deadline::start(limits::DEADLINE),
                },
            };
            let serving = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answers: [&[u8]; 2] = match proxy.speaks {
                    Speaks::Socks5 | Speaks::Socks5h => [&[5, 0], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]],
                    Speaks::Http | Speaks::Https => [b"HTTP/1.1 200 OK\r\n", b"\r\n"],
                };
                for answer in answers {
                    stream.read_u8().await.unwrap();
                    stream.write_all(answer).await.unwrap();
                }
                stream
            };
            let mut timings = Timings::default();
            let (opened, _stream) = tokio::join!(through.open(&mut timings), serving);
            let opened = opened.unwrap();
            assert_eq!(
                (opened.remote, opened.host),
                (at, expected),
                "{scheme} {host}"
            );
            assert!(timings.connect().is_some() && timings.tls().is_none());
        }
    }
}
