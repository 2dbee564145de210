//! From an origin to an open transport: its addresses, which of them may be dialled, and the race.

use tokio::time::Instant;

use super::dial;
use super::facts::Facts;
use super::guard::{AddressGuard, Refused};
use super::resolve::Resolver;
use super::transport::Transport;
use super::wanted::{Connected, Wanted};
use crate::error::{ErrorKind, Result};
use crate::timings::{Phase, Timings};

/// How hosts are reached.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) resolver: Resolver,
    pub(crate) guard: AddressGuard,
}

impl Route {
    /// A transport to the wanted target, of which nobody knows yet who is at its end.
    pub(super) async fn open(
        &self,
        wanted: Wanted<'_>,
        timings: &mut Timings,
    ) -> Result<Connected<Transport>> {
        let origin = wanted.target.origin();
        let resolving = self.resolver.resolve(origin.host(), origin.port());
        let resolving = wanted.deadline.time(Phase::Dns, timings, resolving);
        let addresses = resolving.await??;
        // The very addresses that are dialled below: nobody is asked for the name again in between.
        self.guard.admit(origin.host(), &addresses, wanted.asker)?;
        let started = Instant::now();
        let dialled = dial::race(&addresses, wanted.deadline).await;
        timings.add(Phase::Connect, started.elapsed());
        let (stream, remote) = dialled.map_err(|lost| {
            lost.explain(ErrorKind::Connect, format!("connecting to {origin} failed"))
        })?;
        Ok(Connected {
            stream: Transport::Plain(stream),
            remote,
        })
    }

    /// Whether a connection that is open already may serve whoever wants one to its target.
    pub(super) fn admit_open(&self, wanted: Wanted<'_>, facts: &Facts) -> Result<(), Refused> {
        let host = wanted.target.origin().host();
        self.guard.admit(host, &[facts.remote], wanted.asker)
    }
}
