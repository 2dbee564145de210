//! TLS 1.3 with X25519MLKEM768 alone, a full handshake each time.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{head, response};
use crate::Result;
use crate::setup::KeyExchange;

pub async fn serve(listener: TcpListener, leaf: &Path, key: &Path) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(config(leaf, key)?));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that goes in the middle ends its own connection only.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if head(&mut stream).await.is_some() {
                let _ = stream.write_all(&response()).await;
                let _ = stream.shutdown().await;
            }
        });
    }
}

fn config(leaf: &Path, key: &Path) -> Result<ServerConfig> {
    let mut provider = CryptoProvider::clone(&*KeyExchange::X25519MlKem768.provider()?);
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(leaf)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    config.send_tls13_tickets = 0;
    Ok(config)
}
