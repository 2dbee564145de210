//! What is kept of an origin from one handshake to the next: its tickets, and the OCSP responses
//! that were stapled when they were issued.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::CertificateDer;

use super::certificate::sha256;

/// The sessions of one origin, until they are forgotten together.
pub(super) struct Sessions {
    /// It has the tickets.
    pub(super) config: Arc<ClientConfig>,
    /// By the SHA-256 of the leaf; empty where nothing was stapled to it.
    staples: Mutex<HashMap<[u8; 32], Arc<[u8]>>>,
}

/// What is offered by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocols {
    /// `h2` and `http/1.1`.
    Http,
    /// Nothing: the caller speaks a protocol of his own.
    Unnamed,
}

impl Sessions {
    /// None yet, over a store of tickets of their own: rustls knows a server by its name alone.
    pub(super) fn new(template: &ClientConfig, protocols: Protocols) -> Self {
        let mut config = template.clone();
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(1)));
        config.alpn_protocols = match protocols {
            Protocols::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocols::Unnamed => Vec::new(),
        };
        Self {
            config: Arc::new(config),
            staples: Mutex::default(),
        }
    }

    /// Keeps what a full handshake brought for its leaf, in place of what one before it brought:
    /// a staple, or none, which is empty.
    ///
    /// # Errors
    ///
    /// If too many leaves are known already. A session whose staple is not kept cannot be judged
    /// again, so all of them have to be forgotten.
    pub(super) fn keep(&self, leaf: &CertificateDer<'_>, staple: &[u8]) -> Result<(), Full> {
        let mut staples = self.staples.lock().unwrap_or_else(PoisonError::into_inner);
        let leaf = sha256(leaf);
        if staples.len() >= MAX_LEAVES && !staples.contains_key(&leaf) {
            return Err(Full);
        }
        staples.insert(leaf, staple.into());
        Ok(())
    }

    /// What was stapled to this leaf; empty, if nothing was.
    pub(super) fn staple(&self, leaf: &CertificateDer<'_>) -> Arc<[u8]> {
        let staples = self.staples.lock().unwrap_or_else(PoisonError::into_inner);
        staples.get(&sha256(leaf)).cloned().unwrap_or_default()
    }
}

/// There is no room for another leaf.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Most leaves of one origin whose staples are kept: as many as rustls keeps TLS 1.3 tickets of one
/// server. Behind one name there are rarely more than two: a certificate and the one before.
const MAX_LEAVES: usize = 8;
