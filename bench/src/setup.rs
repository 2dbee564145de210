//! What all clients are given alike: the authority, the key exchange, the cryptography.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as cryptography;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as cryptography;

use crate::Result;

/// Where a client gets its roots from.
#[derive(Clone, Debug)]
pub enum Roots {
    /// One authority, from a file.
    Only(Arc<Path>),
    /// What the platform has, as each client finds it by itself.
    Native,
}

/// How the key is agreed on, by each client alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchange {
    X25519,
    X25519MlKem768,
}

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub url: Arc<str>,
    pub roots: Roots,
    pub key_exchange: KeyExchange,
    /// A proxy to go through, as `host:port`.
    pub proxy: Option<Arc<str>>,
}

impl KeyExchange {
    pub fn name(self) -> &'static str {
        match self {
            Self::X25519 => "X25519",
            Self::X25519MlKem768 => "X25519MLKEM768",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::X25519, Self::X25519MlKem768]
            .into_iter()
            .find(|group| group.name() == name)
    }

    fn group(self) -> Result<&'static dyn SupportedKxGroup> {
        match self {
            Self::X25519 => Ok(cryptography::kx_group::X25519),
            #[cfg(feature = "aws-lc-rs")]
            Self::X25519MlKem768 => Ok(cryptography::kx_group::X25519MLKEM768),
            #[cfg(not(feature = "aws-lc-rs"))]
            Self::X25519MlKem768 => Err("ring has no X25519MLKEM768".into()),
        }
    }

    pub fn provider(self) -> Result<Arc<CryptoProvider>> {
        Ok(Arc::new(CryptoProvider {
            kx_groups: vec![self.group()?],
            ..cryptography::default_provider()
        }))
    }
}

impl Setup {
    pub fn provider(&self) -> Result<Arc<CryptoProvider>> {
        self.key_exchange.provider()
    }

    /// The configuration of every client that takes one. ALPN is left to the client.
    pub fn tls(&self) -> Result<ClientConfig> {
        Ok(ClientConfig::builder_with_provider(self.provider()?)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.root_store()?)
            .with_no_client_auth())
    }

    pub fn authority(path: &Path) -> Result<CertificateDer<'static>> {
        Ok(CertificateDer::from_pem_file(path)?)
    }

    fn root_store(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            Roots::Only(path) => store.add(Self::authority(path)?)?,
            Roots::Native => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(store)
    }
}
