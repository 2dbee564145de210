//! What is known of a connection for as long as it lives.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::asker::Asker;
use super::stream::Traffic;
use crate::tls::Peer;
use crate::tls::callbacks::Credential;
use crate::tls::demand::Party;
use crate::tls::verdict::Verdict;

/// Found out when it was opened; of its traffic, what there is by now.
pub(crate) struct Facts {
    pub(super) born: Instant,
    /// What is at the other end of its TCP: the host, or a proxy.
    pub(crate) remote: SocketAddr,
    /// Where the host itself is; `None` if a proxy keeps that to itself.
    pub(super) host: Option<SocketAddr>,
    /// `None` without TLS.
    pub(crate) peer: Option<Peer>,
    pub(super) traffic: Arc<Traffic>,
    /// What the peer got that asked for a certificate of ours.
    pub(super) credential: Credential,
    pub(crate) is_http2: bool,
}

impl Facts {
    /// Who asks for what a redirect of this host's leads to.
    pub(crate) fn asker(&self) -> Asker {
        match self.host {
            Some(address) => Asker::Host(address.ip()),
            None => Asker::Unseen,
        }
    }

    /// What was found when the peer was judged; `None` without TLS.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.peer.as_ref().map(Peer::verdict)
    }

    /// The same, to be kept.
    pub(crate) fn shared_verdict(&self) -> Option<Arc<Verdict>> {
        self.peer.as_ref().map(Peer::shared_verdict).cloned()
    }

    /// Whether its handshake resumed a session; `None` without TLS.
    pub(crate) fn tls_resumed(&self) -> Option<bool> {
        self.peer.as_ref().map(Peer::is_resumed)
    }

    pub(super) fn party(&self) -> Party<'_> {
        match self.verdict() {
            Some(verdict) => Party::Tls(verdict),
            None => Party::Plain,
        }
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
