//! What a handshake settled: who the peer is, and by which TLS it is spoken to.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, CommonState, HandshakeKind, ProtocolVersion};

use super::certificate::Certificate;
use super::group::KeyExchangeGroup;
use super::policy::Version;
use super::verdict::{Staple, Verdict};

/// The peer of a TLS connection: the facts of the handshake, and the [`Verdict`].
///
/// They were found once, when the connection was opened: a [`Response`](crate::Response) that came
/// by one that was open already has the same. Cheap to clone.
///
/// # As JSON
///
/// Under the feature `json` it is a map, in the same manner as a [`Verdict`]:
///
/// | field | |
/// |---|---|
/// | `version` | text: `TLS 1.2` or `TLS 1.3` |
/// | `cipher_suite` | text: [`cipher_suite`](Self::cipher_suite) |
/// | `key_exchange_group` | text: the [`name`](KeyExchangeGroup::name) of the [group](Self::key_exchange_group), or `null` |
/// | `post_quantum` | boolean: [`KeyExchangeGroup::is_post_quantum`], or `null` without a group |
/// | `alpn` | text: [`alpn`](Self::alpn), with what is no ASCII escaped, or `null` |
/// | `resumed` | boolean: [`is_resumed`](Self::is_resumed) |
/// | `chain` | array of certificates: [`chain`](Self::chain), at most the first 8 |
/// | `chain_total` | number: [`chain_total`](Self::chain_total) |
/// | `verdict` | the [`verdict`](Self::verdict) |
///
/// However much a peer presents, it is never longer than 512 KiB.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    version: Version,
    cipher_suite: &'static str,
    group: Option<KeyExchangeGroup>,
    alpn: Option<Box<[u8]>>,
    is_resumed: bool,
    chain: Box<[Certificate]>,
    chain_total: usize,
    verdict: Arc<Verdict>,
}

impl Peer {
    /// The version of TLS that is spoken.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The cipher suite, by the name that IANA registered, such as `TLS_AES_128_GCM_SHA256`.
    pub fn cipher_suite(&self) -> &str {
        self.0.cipher_suite
    }

    /// The group in which keys were exchanged. `None` on a resumed session of TLS 1.2, which
    /// exchanges none; one of TLS 1.3 does so anew.
    pub fn key_exchange_group(&self) -> Option<KeyExchangeGroup> {
        self.0.group
    }

    /// The protocol that the peer chose by ALPN (RFC 7301), one of those that were offered. `None`
    /// if none was offered, and also if the peer does not know ALPN: whoever offers protocols that
    /// can be mistaken for others has to look.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.alpn.as_deref()
    }

    /// Whether an earlier session was resumed, in which the peer need not prove again that it holds
    /// the key of its certificate. It was judged again all the same, from what was kept with the
    /// session.
    pub fn is_resumed(&self) -> bool {
        self.0.is_resumed
    }

    /// What the peer presented, leaf first, in its order: those certificates of it that can be
    /// read. [`Verdict::chain`] has the path that was found, which may leave some of them out.
    pub fn chain(&self) -> &[Certificate] {
        &self.0.chain
    }

    /// How many certificates the peer presented, with those that cannot be read.
    pub fn chain_total(&self) -> usize {
        self.0.chain_total
    }

    /// [`Verdict::staple`]: what an OCSP response said that the peer stapled to the handshake.
    pub fn staple(&self) -> Option<&Staple> {
        self.0.verdict.staple()
    }

    /// What was found when the peer was judged.
    pub fn verdict(&self) -> &Verdict {
        &self.0.verdict
    }

    /// The peer of a connection whose handshake is over; `None` if it is not.
    pub(super) fn of(agreed: &CommonState, verdict: Arc<Verdict>) -> Option<Self> {
        let version = match agreed.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Version::Tls12,
            ProtocolVersion::TLSv1_3 => Version::Tls13,
            _ => return None,
        };
        let suite = agreed.negotiated_cipher_suite()?.suite();
        let group = agreed.negotiated_key_exchange_group();
        let presented = agreed.peer_certificates().unwrap_or_default();
        Some(Self(Arc::new(Inner {
            version,
            cipher_suite: registered_suite(suite),
            group: group.map(|group| KeyExchangeGroup::named(group.name())),
            alpn: agreed.alpn_protocol().map(Box::from),
            is_resumed: agreed.handshake_kind() == Some(HandshakeKind::Resumed),
            chain: read(presented, &verdict),
            chain_total: presented.len(),
            verdict,
        })))
    }

    pub(crate) fn shared_verdict(&self) -> &Arc<Verdict> {
        &self.0.verdict
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn = self.alpn().map(<[u8]>::escape_ascii);
        f.debug_struct("Peer")
            .field("version", &self.version())
            .field("cipher_suite", &format_args!("{}", self.cipher_suite()))
            .field("key_exchange_group", &self.key_exchange_group())
            .field("alpn", &alpn.map(|alpn| alpn.to_string()))
            .field("is_resumed", &self.is_resumed())
            .field("chain_total", &self.chain_total())
            .field("verdict", &self.verdict().to_string())
            .finish_non_exhaustive()
    }
}

/// rustls' names but for those of TLS 1.3, which it has given a prefix of its own.
fn registered_suite(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_AES_128_CCM_SHA256 => "TLS_AES_128_CCM_SHA256",
        CipherSuite::TLS13_AES_128_CCM_8_SHA256 => "TLS_AES_128_CCM_8_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// The certificates that were presented. What the judge has read is not read again.
fn read(presented: &[CertificateDer<'_>], verdict: &Verdict) -> Box<[Certificate]> {
    let known = || {
        let anchor = verdict.anchor().map(|anchor| anchor.certificate());
        verdict.chain().iter().chain(anchor)
    };
    let read = |der: &CertificateDer<'_>| {
        let known = known().find(|known| known.certificate_der() == der);
        known
            .cloned()
            .or_else(|| Certificate::read(der.clone().into_owned()).ok())
    };
    presented.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::Forged;
    use super::*;
    use crate::tls::crypto;

    #[test]
    fn suites_are_named_as_iana_registered_them() {
        for suite in &crypto::provider().cipher_suites {
            let name = registered_suite(suite.suite());
            let is_new = suite.tls13().is_some();
            assert!(name.starts_with("TLS_"), "{name}");
            assert_eq!(name.contains("_WITH_"), !is_new, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_counted() {
        let certificate = Forged::default().certificate();
        let der = certificate.certificate_der().clone();
        let presented = [
            der.clone(),
            CertificateDer::from(&b"no certificate"[..]),
            der,
        ];
        let chain = read(&presented, &Verdict::stub(false));
        assert_eq!(*chain, [certificate.clone(), certificate]);
    }
}
