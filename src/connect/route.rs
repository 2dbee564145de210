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
        self.guard.admit(origin.host(), &addresses, wanted.asker)?;
        let dialled = dial::race(&addresses, wanted.deadline, timings).await;
        let (stream, remote) = dialled.map_err(|lost| {
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
