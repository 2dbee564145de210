//! From a URL to a verified stream, or the reason there is none.

use std::pin::pin;
use std::time::Duration;

pub(crate) use asker::Asker;
pub(crate) use exchange::{Answer, Ask};
pub(crate) use facts::Facts;
pub(crate) use failure::{Broken, explain};
pub use guard::AddressGuard;
pub(crate) use host::Choice;
pub(crate) use incoming::Incoming;
pub(crate) use keep::{Keep, Ping};
pub(crate) use lease::Lease;
pub(crate) use origin::Origin;
pub(crate) use pool::{Checkout, Pool};
pub(crate) use proxy::{Proxies, Proxy};
pub(crate) use resolve::Resolver;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub(crate) use route::Route;
pub use stats::{Connections, HostStats, PoolStats};
pub(crate) use stream::Stream;
pub(crate) use transport::Transport;
pub(crate) use trust::{Endpoint, Trust};
pub(crate) use wanted::{Connected, Wanted};

mod alive;
mod answers;
mod asker;
mod blocking;
mod bypass;
mod denied;
mod dial;
mod exchange;
mod facts;
mod failure;
mod farewell;
mod frames;
mod framing;
mod guard;
mod host;
pub(crate) mod http1;
mod http2;
mod incoming;
mod keep;
mod lease;
mod net;
mod origin;
pub(crate) mod outgoing;
mod per_host;
mod pool;
pub(crate) mod proxy;
mod refused;
mod replay;
mod resolve;
mod route;
mod sender;
mod socks;
mod special;
mod stats;
mod stream;
mod tally;
mod through;
pub(crate) mod transport;
mod trust;
mod tunnel;
mod upload;
mod wanted;

use crate::error::Result;
use crate::limits::{self, Deadline};
use crate::timings::{Phase, Timings};
use crate::tls::handshake::Failure;
use crate::tls::{Protocols, Ticketed, TlsStream};

/// Makes connections under one configuration.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) route: Route,
    pub(crate) timeout: Duration,
    pub(crate) trust: Trust,
}

impl Connector {
    /// The wanted connection. Over https the peer has been judged and meets the demand.
    pub(crate) async fn connect(
        &self,
        wanted: Wanted<'_>,
        timings: &mut Timings,
    ) -> Result<Connected<Stream>> {
        if wanted.target.origin().is_https() {
            let tls = self.connect_tls(wanted, Protocols::Http, timings).await?;
            return Ok(Connected {
                stream: Stream::tls(tls.stream),
                remote: tls.remote,
                host: tls.host,
            });
        }
        let wanted = self.soon(wanted);
        let plain = self.route.open(wanted, &self.trust, timings).await?;
        Ok(Connected {
            stream: Stream::plain(plain.stream),
            remote: plain.remote,
            host: plain.host,
        })
    }

    /// A TLS stream to the wanted target, for any protocol.
    pub(crate) async fn connect_tls(
        &self,
        wanted: Wanted<'_>,
        protocols: Protocols,
        timings: &mut Timings,
    ) -> Result<Connected<TlsStream>> {
        let wanted = self.soon(wanted);
        let Wanted {
            target, deadline, ..
        } = wanted;
        let tls = deadline.queue(timings, target.tls()).await??;
        let origin = target.origin();
        let ticketed = ticketed(origin, protocols);
        let mut redialled = false;
        loop {
            let transport = self.route.open(wanted, &self.trust, timings).await?;
            let handshake = pin!(tls.handshake(
                transport.stream,
                &ticketed,
                origin.server_name()?,
                transport.host,
            ));
            match deadline.time(Phase::Tls, timings, handshake).await? {
                Ok(stream) => {
                    return Ok(Connected {
                        stream,
                        remote: transport.remote,
                        host: transport.host,
                    });
                }
                // The session's kept chain holds no longer. Its tickets are gone, and what the
                // peer shows today decides.
                Err(Failure::Stale(_)) if !redialled => redialled = true,
                Err(failure) => return Err(failure.into_error(transport.host)),
            }
        }
    }

    /// TLS over a stream that somebody else opened. Without a port of its own, such a stream
    /// shares tickets with its like only.
    pub(crate) async fn wrap<S>(
        &self,
        stream: S,
        target: &Endpoint,
        protocols: Protocols,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<TlsStream<S>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let deadline = self.within(deadline);
        let tls = deadline.queue(timings, target.tls()).await??;
        let origin = target.origin();
        let ticketed = ticketed(origin, protocols);
        let stream = Transport::Plain(stream);
        let handshake = pin!(tls.handshake(stream, &ticketed, origin.server_name()?, None));
        let outcome = deadline.time(Phase::Tls, timings, handshake).await?;
        outcome.map_err(|failure| failure.into_error(None))
    }

    /// The same, within the time for a connection.
    fn soon<'a>(&self, wanted: Wanted<'a>) -> Wanted<'a> {
        Wanted {
            deadline: self.within(wanted.deadline),
            ..wanted
        }
    }

    fn within(&self, deadline: Deadline) -> Deadline {
        deadline.sooner(Deadline::on(limits::Clock::Connect, self.timeout))
    }
}

fn ticketed(origin: &Origin, protocols: Protocols) -> Ticketed {
    Ticketed {
        host: origin.host().to_owned(),
        port: origin.port(),
        protocols,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::tls::demand::Demand;
    use crate::tls::{Clock, Policy};

    /// The one stall that no server can make: all threads that resolve names are taken.
    #[tokio::test(start_paused = true)]
    async fn a_name_that_takes_its_time_is_the_clocks_to_end() {
        let connector = Connector {
            route: Route {
                resolver: Resolver::default(),
                guard: AddressGuard::default(),
                proxies: Proxies::none(),
            },
            timeout: limits::CONNECT,
            trust: Trust::new(
                None,
                None,
                Policy::default(),
                vec![],
                Clock::default(),
                None,
            )
            .unwrap(),
        };
        let origin = Origin::of(&"http://localhost:1/".parse().unwrap()).unwrap();
        let target = connector.trust.endpoint(origin, Demand::Verified);
        let taken = blocking::take_all_threads();
        for (budget, expected) in [
            (
                60,
                "the connect timeout of 10s ended while resolving the host's name",
            ),
            (
                5,
                "the deadline of 5s ended while resolving the host's name",
            ),
        ] {
            let deadline = Deadline::start(Duration::from_secs(budget));
            let mut timings = Timings::default();
            let wanted = Wanted {
                target: &target,
                asker: Asker::Caller,
                deadline,
            };
            let connecting = connector.connect(wanted, &mut timings);
            let error = connecting.await.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Deadline);
            assert_eq!(error.phase(), Some(Phase::Dns));
            assert_eq!(error.to_string(), expected);
        }
        drop(taken);
    }
}
