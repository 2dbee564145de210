//! What is known of a connection for as long as it lives.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::stream::Traffic;
use crate::tls::callbacks::Credential;
use crate::tls::demand::Peer;
use crate::tls::verdict::Verdict;

/// Found out when it was opened; of its traffic, what there is by now.
pub(crate) struct Facts {
    pub(super) born: Instant,
    pub(crate) remote: SocketAddr,
    pub(crate) verdict: Option<Arc<Verdict>>,
    /// Whether its handshake resumed a session; `None` without TLS.
    pub(crate) tls_resumed: Option<bool>,
    pub(super) traffic: Arc<Traffic>,
    /// What the peer got that asked for a certificate of ours.
    pub(super) credential: Credential,
    pub(crate) is_http2: bool,
}

impl Facts {
    pub(super) fn peer(&self) -> Peer<'_> {
        match &self.verdict {
            Some(verdict) => Peer::Tls(verdict),
            None => Peer::Plain,
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
