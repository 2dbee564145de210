//! A TLS server that answers with whole replies, byte by byte as they are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use urlfetch::Client;
use urlfetch::tls::RootStore;

use crate::Anything;

/// The server, until it is dropped.
pub(crate) struct Server {
    addr: SocketAddr,
    ca_pem: String,
    _serving: JoinSet<()>,
}

impl Server {
    /// Serves each reply at the path of its number.
    pub(crate) async fn start(replies: impl Iterator<Item = Vec<u8>>) -> Result<Self, Anything> {
        let replies: Arc<[Vec<u8>]> = replies.collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (ca_pem, acceptor) = mint()?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (replies, acceptor) = (Arc::clone(&replies), acceptor.clone());
                open.spawn(async move {
                    // A client that leaves early is one of the outcomes.
                    let _ = serve(tcp, &acceptor, &replies).await;
                });
                while open.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            addr,
            ca_pem,
            _serving: serving,
        })
    }

    pub(crate) fn url(&self, row: usize) -> String {
        format!("https://{HOST}:{}/{row}", self.addr.port())
    }

    /// One that trusts the server and finds it.
    pub(crate) fn client(&self) -> Result<Client, Anything> {
        let roots = RootStore::empty().add_pem(&self.ca_pem)?;
        let builder = Client::builder().roots(roots).resolve(HOST, [self.addr]);
        Ok(builder.build()?)
    }
}

/// Reads a request and writes the reply to it, then ends TLS as it should be ended, with
/// close_notify, as what curl tests HTTPS with does: where a reply goes on until the close, that is
/// its end, and whether there was more is not in question.
async fn serve(tcp: TcpStream, acceptor: &TlsAcceptor, replies: &[Vec<u8>]) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = acceptor.accept(tcp).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let row = String::from_utf8_lossy(&head);
    let row = row.split([' ', '/']).find_map(|part| part.parse().ok());
    let reply: Option<&Vec<u8>> = row.and_then(|row: usize| replies.get(row));
    stream
        .write_all(reply.ok_or(io::ErrorKind::NotFound)?)
        .await?;
    stream.shutdown().await?;
    // With bytes unread a close would be a reset, which overtakes what was written.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

fn mint() -> Result<(String, TlsAcceptor), Anything> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();

    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((authority.pem(), Arc::new(config).into()))
}

const HOST: &str = "replies.test";
