//! From an origin to an open transport: by a proxy, or its addresses, which of them may be dialled,
//! and the race.

use std::pin::pin;

use super::dial;
use super::facts::Facts;
use super::guard::AddressGuard;
use super::proxy::Proxies;
use super::refused::Refused;
use super::resolve::Resolver;
use super::through::Through;
use super::transport::Transport;
use super::trust::Trust;
use super::wanted::{Connected, Wanted};
use crate::error::{ErrorKind, Result};
use crate::timings::{Phase, Timings};

/// How hosts are reached.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) resolver: Resolver,
    pub(crate) guard: AddressGuard,
    pub(crate) proxies: Proxies,
}

impl Route {
    /// A transport to the wanted target, of which nobody knows yet who is at its end. Only what a
    /// proxy is has been proved by then, where the way to it is TLS: `trust` is for that.
    pub(super) async fn open(
        &self,
        wanted: Wanted<'_>,
        trust: &Trust,
        timings: &mut Timings,
    ) -> Result<Connected<Transport>> {
        let origin = wanted.target.origin();
        if let Some(proxy) = self.proxies.to(origin) {
            let through = Through {
                proxy,
                resolver: &self.resolver,
                guard: &self.guard,
                trust,
                wanted,
            };
            // It is rare and large: the direct way shall not carry its room.
            return Box::pin(through.open(timings)).await;
        }
        let resolving = pin!(self.resolver.resolve(origin.host(), origin.port()));
        let resolving = wanted.deadline.time(Phase::Dns, timings, resolving);
        let addresses = resolving.await??;
        // The very addresses that are dialled below: nobody is asked for the name again in between.
        let forget = || self.resolver.forget(origin.host(), origin.port());
        let admitted = self.guard.admit(origin.host(), &addresses, wanted.asker);
        admitted.inspect_err(|_| forget())?;
        let dialled = dial::race(&addresses, wanted.deadline, timings).await;
        let (stream, remote) = dialled.map_err(|lost| {
            forget();
            lost.explain(ErrorKind::Connect, format!("connecting to {origin} failed"))
        })?;
        Ok(Connected {
            stream: Transport::Plain(stream),
            remote,
            host: Some(remote),
        })
    }

    /// Whether a connection that is open already may serve whoever wants one to its target.
    pub(super) fn admit_open(&self, wanted: &Wanted<'_>, facts: &Facts) -> Result<(), Refused> {
        let origin = wanted.target.origin();
        match facts.host {
            Some(address) => self.guard.admit(origin.host(), &[address], wanted.asker),
            None => {
                let guard = &self.guard;
                guard.admit_unseen(origin.host(), origin.port(), wanted.asker)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::connect::asker::Asker;
    use crate::connect::origin::Origin;
    use crate::connect::proxy::Proxy;
    use crate::limits::{self, Deadline};
    use crate::tls::demand::Demand;
    use crate::tls::{Clock, Policy};

    /// The system answers `localhost`, and its answer is known from then on, unless nobody was
    /// reached by it.
    #[tokio::test]
    async fn an_answer_that_led_nowhere_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().port();
        // RFC 1928 §6, "Connection refused".
        let (refusing, _server) = socks(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        let (closing, _server) = socks(&[]).await;
        let shut = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let (everywhere, public) = (AddressGuard::default, AddressGuard::public_only);
        for (guard, proxy, port, asked, is_known) in [
            (everywhere(), None, open, open, true),
            (everywhere(), None, shut, shut, false),
            (public(), None, open, open, false),
            (everywhere(), Some(shut), open, shut, false),
            // The host is not to blame.
            (everywhere(), Some(shut), open, open, true),
            (everywhere(), Some(refusing), open, refusing, true),
            (everywhere(), Some(refusing), open, open, false),
            (everywhere(), Some(closing), open, open, false),
            (public(), Some(closing), open, open, false),
        ] {
            let proxies = proxy.map_or_else(Proxies::none, |port| {
                let proxy = Proxy::parse(&format!("socks5://localhost:{port}"));
                Proxies::all(proxy.unwrap(), Some(""))
            });
            let row = format!("{guard:?} {proxy:?} {port} {asked}");
            let is_reached = proxy.is_none() && is_known;
            let route = Route {
                resolver: Resolver::default(),
                guard,
                proxies,
            };
            assert_eq!(reaches(&route, port).await, is_reached, "{row}");
            let knows = route.resolver.knows("localhost", asked);
            assert_eq!(knows, is_known, "{row}");
        }
    }

    async fn reaches(route: &Route, port: u16) -> bool {
        let (policy, clock) = (Policy::default(), Clock::default());
        let trust = Trust::new(None, None, policy, vec![], clock, None).unwrap();
        let origin = Origin::tls("localhost", port).unwrap();
        let target = trust.endpoint(origin, Demand::Verified);
        let wanted = Wanted {
            target: &target,
            asker: Asker::Caller,
            deadline: Deadline::start(limits::DEADLINE),
        };
        let opened = route.open(wanted, &trust, &mut Timings::default()).await;
        opened.is_ok()
    }

    /// A proxy that speaks SOCKS 5, and gives everybody this reply.
    async fn socks(reply: &'static [u8]) -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                for answer in [&[5, 0][..], reply] {
                    assert_ne!(stream.read(&mut [0; 64]).await.unwrap(), 0);
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        (port, serving)
    }
}
