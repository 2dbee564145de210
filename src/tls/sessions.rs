//! What is kept of an origin from one handshake to the next: its tickets, and the OCSP responses
//! that were stapled when they were issued.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::CertificateDer;

use super::certificate::sha256;
use crate::limits;

/// The sessions of one origin, until they are forgotten together.
pub(super) struct Sessions {
    /// It has the tickets.
    pub(super) config: Arc<ClientConfig>,
    /// By the SHA-256 of the leaf; empty where nothing was stapled to it.
    staples: Mutex<HashMap<[u8; 32], Arc<[u8]>>>,
}

/// What is offered by ALPN (RFC 7301).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocols {
    /// `h2` and `http/1.1`.
    Http,
    /// Nothing: the caller speaks a protocol of his own.
    Unnamed,
    /// Those of the caller, in his order.
    Own(Arc<[Vec<u8>]>),
}

impl Protocols {
    /// Those of a caller; if there are none, nothing is offered.
    ///
    /// # Errors
    ///
    /// If one of them is empty or longer than 255 bytes (RFC 7301 §3.1), or all together are longer
    /// than [`limits::ALPN`].
    pub(crate) fn own(protocols: Vec<Vec<u8>>) -> Result<Self, InvalidProtocols> {
        if protocols.is_empty() {
            return Ok(Self::Unnamed);
        }
        let lengths = || protocols.iter().map(Vec::len);
        if let Some(length) = lengths().find(|length| !(1..=255).contains(length)) {
            return Err(InvalidProtocols::Length(length));
        }
        // Each has a byte before it that says how long it is.
        let together = lengths().map(|length| 1 + length).sum();
        if together > limits::ALPN {
            return Err(InvalidProtocols::Together(together));
        }
        Ok(Self::Own(protocols.into()))
    }
}

/// Protocols that cannot be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidProtocols {
    Length(usize),
    Together(usize),
}

impl fmt::Display for InvalidProtocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(
                f,
                "a protocol for ALPN has {length} bytes, where 1 to 255 can be offered"
            ),
            Self::Together(length) => write!(
                f,
                "the protocols for ALPN have {length} bytes together, and at most {} are offered",
                limits::ALPN
            ),
        }
    }
}

impl Sessions {
    /// None yet, over a store of tickets of their own: rustls knows a server by its name alone.
    pub(super) fn new(template: &ClientConfig, protocols: &Protocols) -> Self {
        let mut config = template.clone();
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(1)));
        config.alpn_protocols = match protocols {
            Protocols::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocols::Unnamed => Vec::new(),
            Protocols::Own(protocols) => protocols.to_vec(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_offered_by_alpn() {
        let of = |lengths: &[usize]| {
            let protocols = lengths.iter().map(|length| vec![b'x'; *length]);
            Protocols::own(protocols.collect())
        };
        assert_eq!(of(&[]), Ok(Protocols::Unnamed));
        let own = Protocols::Own([vec![b'x'], vec![b'x'; 255]].into());
        assert_eq!(of(&[1, 255]), Ok(own));
        for (lengths, invalid) in [
            (&[0][..], InvalidProtocols::Length(0)),
            (&[1, 256], InvalidProtocols::Length(256)),
            (&[255; 33], InvalidProtocols::Together(33 * 256)),
        ] {
            assert_eq!(of(lengths), Err(invalid), "{lengths:?}");
        }
        assert!(of(&[255; 32]).is_ok());
    }
}
