//! A TLS server that settles each handshake as it is told to, speaks no HTTP unless it is spoken to
//! in it, and keeps count of what its clients asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{Acceptor, ServerSessionMemoryCache};
use rustls::{HandshakeKind, NamedGroup, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;
use urlfetch::tls::RootStore;
use urlfetch::{Client, ClientBuilder};

/// The name in the certificate of every server here.
pub(crate) const HOST: &str = "tls.test";

/// What a server settles for.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) version: &'static SupportedProtocolVersion,
    /// The names that rustls has for them; all of its own if there are none.
    pub(crate) suite: Option<&'static str>,
    pub(crate) group: Option<NamedGroup>,
    pub(crate) alpn: &'static [&'static str],
    /// What is presented beside the leaf.
    pub(crate) further: Vec<CertificateDer<'static>>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            version: &rustls::version::TLS13,
            suite: None,
            group: None,
            alpn: &[],
            further: Vec::new(),
        }
    }
}

/// What was seen of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What ALPN offered.
    pub(crate) offered: Vec<String>,
    /// And for the exchange of keys.
    pub(crate) groups: Vec<NamedGroup>,
    /// `None` if the handshake did not end well.
    pub(crate) handshake: Option<HandshakeKind>,
    /// The bytes that were read after it, and whether close_notify ended them.
    pub(crate) received: Vec<u8>,
    pub(crate) closed_well: bool,
}

/// A running server, until it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _task: JoinSet<()>,
}

impl Server {
    /// It echoes each line, and on `GET` answers in HTTP/1.1.
    pub(crate) async fn start(terms: Terms) -> Self {
        Self::of(config(&terms)).await
    }

    /// One that tells its own secrets.
    pub(crate) async fn logging(terms: Terms, secrets: Arc<dyn rustls::KeyLog>) -> Self {
        let mut config = config(&terms);
        config.key_log = secrets;
        Self::of(config).await
    }

    async fn of(config: ServerConfig) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let config = Arc::new(config);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (config, kept) = (Arc::clone(&config), Arc::clone(&kept));
                open.spawn(async move {
                    let seen = serve(tcp, config).await;
                    kept.lock().unwrap().extend(seen);
                });
            }
        });
        Self {
            addr,
            seen,
            _task: task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{HOST}:{}/", self.addr.port())
    }

    /// What was seen of the connections that have ended, once there are so many.
    pub(crate) async fn seen(&self, count: usize) -> Vec<Seen> {
        while self.seen.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
        self.seen.lock().unwrap().clone()
    }
}

/// One connection from its first byte to its last; `None` if it had none.
async fn serve(tcp: TcpStream, config: Arc<ServerConfig>) -> Option<Seen> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), tcp)
        .await
        .ok()?;
    let offered = start.client_hello().alpn().into_iter().flatten();
    let hello = start.client_hello();
    let groups = hello.named_groups().unwrap_or_default();
    let offered = offered.map(|each| String::from_utf8_lossy(each).into_owned());
    let mut seen = Seen {
        offered: offered.collect(),
        groups: groups.to_vec(),
        handshake: None,
        received: Vec::new(),
        closed_well: false,
    };
    let Ok(mut stream) = start.into_stream(config).await else {
        return Some(seen);
    };
    seen.handshake = stream.get_ref().1.handshake_kind();
    loop {
        let mut some = Vec::with_capacity(4096);
        match stream.read_buf(&mut some).await {
            Ok(0) => {
                seen.closed_well = true;
                let _ = stream.shutdown().await;
                return Some(seen);
            }
            Ok(_) => seen.received.extend_from_slice(&some),
            Err(_) => return Some(seen),
        }
        let reply = match seen.received.starts_with(b"GET ") {
            true if !seen.received.ends_with(b"\r\n\r\n") => continue,
            true => &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..],
            // With these words it goes without close_notify.
            false if some == b"cut\n" => {
                let _ = stream.get_mut().0.shutdown().await;
                continue;
            }
            false => &some,
        };
        if stream.write_all(reply).await.is_err() {
            return Some(seen);
        }
    }
}

fn config(terms: &Terms) -> ServerConfig {
    let mut provider = provider();
    if let Some(name) = terms.suite {
        let is_it = |suite: &rustls::SupportedCipherSuite| suite.suite().as_str() == Some(name);
        provider.cipher_suites.retain(is_it);
        assert_eq!(provider.cipher_suites.len(), 1, "{name}");
    }
    if let Some(group) = terms.group {
        provider.kx_groups.retain(|each| each.name() == group);
        assert_eq!(provider.kx_groups.len(), 1, "{group:?}");
    }
    let key = PrivatePkcs8KeyDer::from(PKI.key.clone()).into();
    let mut chain = vec![PKI.certificate.clone()];
    chain.extend(terms.further.iter().cloned());
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[terms.version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = terms
        .alpn
        .iter()
        .map(|each| each.as_bytes().to_vec())
        .collect();
    config.session_storage = ServerSessionMemoryCache::new(64);
    config
}

fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    provider
}

/// A client that trusts these servers and finds them.
pub(crate) fn client() -> Client {
    builder().build().unwrap()
}

pub(crate) fn builder() -> ClientBuilder {
    Client::builder()
        .roots(RootStore::empty().add_pem(ca_pem()).unwrap())
        .resolve(HOST, [SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])
}

pub(crate) fn ca_pem() -> &'static str {
    &PKI.ca_pem
}

pub(crate) fn ca_der() -> CertificateDer<'static> {
    PKI.ca_der.clone()
}

struct Pki {
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([HOST.to_owned()]).unwrap();
    Pki {
        ca_pem: root.pem(),
        ca_der: root.der().clone(),
        certificate: leaf.signed_by(&key, &root).unwrap().into(),
        key: key.serialize_der(),
    }
});
