//! The servers: from a listening socket to a connection, its TLS, and what answers on it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Scenario;
use super::meter::{Meter, Metered};
use super::pki::Pki;
use super::raw::{self, Script};
use super::routes::{self, Front};

/// What a server does with the connections it accepts.
pub(super) enum Server {
    Https(TlsAcceptor, Arc<Front>),
    Scripted(TlsAcceptor, Script),
    Plain(Arc<Front>),
    OldTls,
}

impl Server {
    /// The server of this scenario, which answers `/` with `front`.
    ///
    /// # Errors
    ///
    /// If its certificate cannot be minted, or rustls does not take it.
    pub(super) fn new(scenario: Scenario, pki: &Pki, front: Front) -> io::Result<Self> {
        let front = Arc::new(front);
        Ok(match (scenario, Script::of(scenario)) {
            (Scenario::OldTls, _) => Self::OldTls,
            (Scenario::PlainHttp, _) => Self::Plain(front),
            (_, Some(script)) => Self::Scripted(acceptor(scenario, pki, &[HTTP_1_1])?, script),
            (Scenario::GoodHttp1, _) => Self::Https(acceptor(scenario, pki, &[HTTP_1_1])?, front),
            _ => Self::Https(acceptor(scenario, pki, &[H2, HTTP_1_1])?, front),
        })
    }

    /// Serves for as long as it is polled; when it is dropped, so are its connections.
    pub(super) async fn run(self, listener: TcpListener, meter: Meter) {
        let server = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((tcp, _)) => {
                    let (server, meter) = (Arc::clone(&server), meter.clone());
                    connections.spawn(async move {
                        let _open = meter.connection();
                        // A client that hangs up is its own affair, and often the point.
                        let _ = server.connection(tcp, &meter).await;
                    });
                }
                // Out of file descriptors, most likely: the next try fails too until one is free.
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            }
            while connections.try_join_next().is_some() {}
        }
    }

    async fn connection(&self, tcp: TcpStream, meter: &Meter) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        match self {
            Self::Https(acceptor, front) => {
                let tls = handshake(acceptor, tcp, meter).await?;
                let h2 = tls.get_ref().1.alpn_protocol() == Some(H2);
                http(Metered::new(tls, meter.clone()), h2, front).await
            }
            Self::Scripted(acceptor, script) => {
                let tls = handshake(acceptor, tcp, meter).await?;
                script.play(Metered::new(tls, meter.clone())).await
            }
            Self::Plain(front) => {
                let mut first = [0];
                tcp.peek(&mut first).await?;
                if first == [TLS_HANDSHAKE] {
                    return raw::plain_refusal(tcp).await;
                }
                http(Metered::new(tcp, meter.clone()), false, front).await
            }
            Self::OldTls => raw::old_tls(tcp).await,
        }
    }
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

async fn handshake(acceptor: &TlsAcceptor, tcp: TcpStream, meter: &Meter) -> io::Result<TlsStream> {
    match acceptor.accept(tcp).into_fallible().await {
        Ok(tls) => {
            meter.handshake();
            Ok(tls)
        }
        Err((error, tcp)) => {
            // So that our alert is read, and not overtaken by a reset.
            raw::hang_up(tcp).await?;
            Err(error)
        }
    }
}

async fn http<S>(stream: S, h2: bool, front: &Arc<Front>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let front = Arc::clone(front);
        async move { routes::answer(&front, request).await }
    });
    let io = TokioIo::new(stream);
    let served = if h2 {
        http2::Builder::new(Leash::default())
            .serve_connection(io, service)
            .await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
    served.map_err(io::Error::other)
}

/// Runs the tasks of one HTTP/2 connection, and ends them with it.
#[derive(Clone, Debug, Default)]
struct Leash(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Leash {
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// TLS with the scenario's certificate, and what is stapled to it. The key is paired with it
/// unchecked: rustls would refuse some of what is served.
fn acceptor(scenario: Scenario, pki: &Pki, alpn: &[&[u8]]) -> io::Result<TlsAcceptor> {
    let provider = provider();
    let key = provider
        .key_provider
        .load_private_key(pki.server_key())
        .map_err(io::Error::other)?;
    let chain = pki.chain(scenario).map_err(io::Error::other)?;
    let certified = SingleCertAndKey::from(CertifiedKey {
        ocsp: pki.staple(scenario).map_err(io::Error::other)?,
        ..CertifiedKey::new(chain, key)
    });

    let versions = match scenario {
        Scenario::Tls12Only => &[&rustls::version::TLS12],
        _ => rustls::ALL_VERSIONS,
    };
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?;
    let config = match scenario {
        Scenario::ClientCertificateRequired => {
            let mut roots = RootCertStore::empty();
            roots
                .add(pki.client_ca_der().clone())
                .map_err(io::Error::other)?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
        }
        _ => config.with_no_client_auth(),
    };
    let mut config = config.with_cert_resolver(Arc::new(certified));
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The cryptography that rcgen uses too: both take aws-lc-rs where both are on.
pub(super) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";
/// The first byte of a TLS handshake record (RFC 8446 §5.1), and of no HTTP request.
const TLS_HANDSHAKE: u8 = 22;
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);
