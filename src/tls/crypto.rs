//! Our cryptography: which provider, which groups it offers, and the one old hash.

#[cfg(feature = "aws-lc-rs")]
use std::sync::Once;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs::digest;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use ring::digest;
use rustls::crypto::CryptoProvider;

/// Always handed over explicitly: the process default is somebody else's.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(make_provider())))
}

/// Has the provider gather its entropy, on a thread that nobody waits for, so that the first
/// handshake finds it there.
///
/// The first random bytes of a process take aws-lc 20 to 35 ms, as long as a name and a TCP
/// connection do. Where no thread can be started the first handshake gathers it itself, as it does
/// if it comes too soon.
#[cfg(feature = "aws-lc-rs")]
pub(crate) fn gather_entropy() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let gather = || {
            let mut byte = [0];
            let _ = provider().secure_random.fill(&mut byte);
        };
        let thread = std::thread::Builder::new().name("urlfetch-entropy".into());
        let _ = thread.spawn(gather);
    });
}

/// ring asks the system, which has it.
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) fn gather_entropy() {}

/// SHA-1, by which OCSP identifies issuers and responders (RFC 6960 §4.1.1, §4.2.1). It tells whom
/// a response means; who signed it, and what, is for the signature to prove.
pub(crate) fn sha1(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

/// The groups are listed here, as which of them rustls prefers depends on a feature that any
/// crate in the graph can turn on.
#[cfg(feature = "aws-lc-rs")]
fn make_provider() -> CryptoProvider {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    CryptoProvider {
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..default_provider()
    }
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn make_provider() -> CryptoProvider {
    use rustls::crypto::ring::{default_provider, kx_group};
    CryptoProvider {
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..default_provider()
    }
}
