//! A server that can stop at any point, on a thread and a clock of its own: the client's clock may
//! be paused then, and nothing but the client's own timers moves it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use urlfetch::tls::RootStore;
use urlfetch::{Client, ClientBuilder};

/// A server that does with each connection as it is told; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    certificate: CertificateDer<'static>,
    reports: mpsc::UnboundedReceiver<&'static str>,
    _lives: oneshot::Sender<()>,
}

/// A connection, which is the `number`th from 0.
pub(crate) struct Connection {
    pub(crate) number: usize,
    pub(crate) tcp: TcpStream,
    acceptor: TlsAcceptor,
    reports: mpsc::UnboundedSender<&'static str>,
}

impl Server {
    /// Serves HTTP/1.1 on connections whose certificate its clients trust.
    pub(crate) fn start<S>(serve: impl Fn(Connection) -> S + Send + 'static) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        Self::of(
            CertificateParams::new([HOST.to_owned()]).unwrap(),
            &[],
            serve,
        )
    }

    /// The same with any certificate and ALPN.
    pub(crate) fn of<S>(
        certificate: CertificateParams,
        alpn: &[&[u8]],
        serve: impl Fn(Connection) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let certificate = certificate.der().clone();
        let acceptor = acceptor(certificate.clone(), &key, alpn);
        let (reporter, reports) = mpsc::unbounded_channel();
        let (lives, ends) = oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            for number in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(Connection {
                    number,
                    tcp,
                    acceptor: acceptor.clone(),
                    reports: reporter.clone(),
                }));
            }
        };
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accepting => {}
                    _ = ends => {}
                }
            });
        });
        Self {
            address,
            certificate,
            reports,
            _lives: lives,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.address.port())
    }

    pub(crate) fn client_builder(&self) -> ClientBuilder {
        let roots = RootStore::empty().add_der(&self.certificate).unwrap();
        Client::builder().roots(roots).resolve(HOST, [self.address])
    }

    pub(crate) fn client(&self) -> Client {
        self.client_builder().build().unwrap()
    }

    /// What a connection says next.
    pub(crate) async fn report(&mut self) -> &'static str {
        self.reports.recv().await.unwrap()
    }
}

impl Connection {
    /// Waits for the first bytes of a handshake, and answers none.
    pub(crate) async fn hello(&mut self) {
        self.tcp.peek(&mut [0]).await.unwrap();
        // Nobody may want to know.
        let _ = self.reports.send("hello");
    }

    /// Ends the handshake, unless the client breaks it off.
    pub(crate) async fn tls(self) -> Option<Tls> {
        let Ok(stream) = self.acceptor.accept(self.tcp).await else {
            let _ = self.reports.send("no handshake");
            return None;
        };
        Some(Tls {
            stream,
            reports: self.reports,
        })
    }

    /// Answers each request with `reply`.
    pub(crate) async fn answer(self, reply: &str) {
        if let Some(mut tls) = self.tls().await {
            while tls.read_head().await {
                tls.write(reply).await;
            }
        }
    }
}

/// A connection after its handshake.
pub(crate) struct Tls {
    pub(crate) stream: TlsStream<TcpStream>,
    reports: mpsc::UnboundedSender<&'static str>,
}

impl Tls {
    /// Reads a request's head and says so. Whether there was one.
    pub(crate) async fn read_head(&mut self) -> bool {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => {
                    let nothing = if head.is_empty() { "nothing" } else { "a part" };
                    let _ = self.reports.send(nothing);
                    return false;
                }
            }
        }
        let _ = self.reports.send("asked");
        true
    }

    pub(crate) async fn write(&mut self, reply: &str) {
        self.stream.write_all(reply.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair, alpn: &[&[u8]]) -> TlsAcceptor {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    let provider = Arc::new(provider);
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = provider.key_provider.load_private_key(key).unwrap();
    // Paired unchecked: rustls would look at names that are there to be bad.
    let pair = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(pair));
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) const HOST: &str = "stall.test";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
