//! Our cryptography: which provider, and which groups it offers.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

/// Always handed over explicitly: the process default is somebody else's.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(make_provider())))
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
