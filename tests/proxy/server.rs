//! A proxy that does as its script says, and keeps what it was told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::PROXY;

/// A proxy on a port of loopback, until it is dropped.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

/// What came to a proxy.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// In HTTP, the heads; in SOCKS, each message in hexadecimal, the destination in words.
    pub(crate) told: Vec<String>,
    /// Of the TLS with it: how the handshake went, and whether a certificate was shown.
    pub(crate) tls: Vec<String>,
}

/// What an HTTP proxy does.
#[derive(Clone)]
pub(crate) enum Manner {
    /// Says this, and hands on what comes.
    Tunnel(&'static str),
    /// The same, one byte after the other.
    Drip(&'static str),
    /// Opens the tunnel and is the host at its end itself: says something after each of its replies
    /// that nobody asked for, when it is told to, and tells when it has.
    Poison(Arc<Notify>, std::sync::mpsc::Sender<()>),
    /// Says this, and closes.
    Say(Vec<u8>),
    /// Says this, and the same again without end.
    Repeat(&'static str),
    /// Says nothing.
    Hold,
}

/// What a SOCKS proxy does: its answers, each of which is cut where the script ends.
#[derive(Clone)]
pub(crate) struct Socks {
    pub(crate) method: Vec<u8>,
    pub(crate) login: Vec<u8>,
    /// One for each connection; the last is for all that follow. It tunnels after a success.
    pub(crate) replies: Vec<Vec<u8>>,
}

impl Proxy {
    pub(crate) async fn http(manner: Manner) -> Self {
        Self::start(None, move |stream, _, seen| {
            http(stream, manner.clone(), seen)
        })
        .await
    }

    /// The same inside TLS. It asks for a certificate by this CA, and does without.
    pub(crate) async fn https(manner: Manner, clients: &str) -> Self {
        let acceptor = PKI.acceptor(clients);
        Self::start(Some(acceptor), move |stream, _, seen| {
            http(stream, manner.clone(), seen)
        })
        .await
    }

    pub(crate) async fn socks(socks: Socks) -> Self {
        Self::start(None, move |stream, number, seen| {
            socks_5(stream, number, socks.clone(), seen)
        })
        .await
    }

    async fn start<F>(
        acceptor: Option<TlsAcceptor>,
        script: impl Fn(Box<dyn Io>, usize, Arc<Mutex<Seen>>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let kept = Arc::clone(&seen);
        let script = Arc::new(Mutex::new(script));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            for number in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                kept.lock().unwrap().connections += 1;
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&kept));
                let script = Arc::clone(&script);
                open.spawn(async move {
                    let stream: Box<dyn Io> = match acceptor {
                        None => Box::new(tcp),
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(tcp).await else {
                                return;
                            };
                            let tls = stream.get_ref().1;
                            let kind = tls.handshake_kind().unwrap();
                            let shown = tls.peer_certificates().map_or(0, <[_]>::len);
                            let alpn = tls.alpn_protocol();
                            let name = tls.server_name().map(str::to_owned);
                            let how = format!("{kind:?} {shown} {alpn:?} {name:?}");
                            seen.lock().unwrap().tls.push(how);
                            Box::new(stream)
                        }
                    };
                    let playing = script.lock().unwrap()(stream, number, seen);
                    // A client may go when it has seen enough.
                    let _ = playing.await;
                });
            }
        });
        Self {
            addr,
            seen,
            _task: task,
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

async fn http(mut stream: Box<dyn Io>, manner: Manner, seen: Arc<Mutex<Seen>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let port = target.rsplit(':').next().and_then(|port| port.parse().ok());
    seen.lock().unwrap().told.push(head.clone());
    match manner {
        Manner::Tunnel(answer) => {
            stream.write_all(answer.as_bytes()).await?;
            tunnel(stream, port.unwrap()).await
        }
        Manner::Drip(answer) => {
            drip(&mut stream, answer.as_bytes()).await?;
            tunnel(stream, port.unwrap()).await
        }
        Manner::Say(answer) => {
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            until_gone(stream).await
        }
        Manner::Poison(go, said) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            for reply in ["first", "second"] {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                let length = reply.len();
                let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{reply}");
                stream.write_all(reply.as_bytes()).await?;
                stream.flush().await?;
                go.notified().await;
                let poison = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
                stream.write_all(poison).await?;
                stream.flush().await?;
                let _ = said.send(());
            }
            until_gone(stream).await
        }
        Manner::Repeat(piece) => loop {
            stream.write_all(piece.as_bytes()).await?;
        },
        Manner::Hold => until_gone(stream).await,
    }
}

async fn socks_5(
    mut stream: Box<dyn Io>,
    number: usize,
    socks: Socks,
    seen: Arc<Mutex<Seen>>,
) -> io::Result<()> {
    let hear = async |stream: &mut Box<dyn Io>, length: usize| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await?;
        io::Result::Ok(bytes)
    };
    let tell = |text: String| seen.lock().unwrap().told.push(text);
    let mut greeting = hear(&mut stream, 2).await?;
    greeting.extend(hear(&mut stream, usize::from(greeting[1])).await?);
    tell(format!("{greeting:02x?}"));
    drip(&mut stream, &socks.method).await?;
    if socks.method == [5, 2] {
        let mut login = hear(&mut stream, 2).await?;
        login.extend(hear(&mut stream, usize::from(login[1]) + 1).await?);
        login.extend(hear(&mut stream, usize::from(login[login.len() - 1])).await?);
        tell(login.escape_ascii().to_string());
        drip(&mut stream, &socks.login).await?;
    }
    if !matches!(socks.method[..], [5, 0 | 2]) || !matches!(socks.login[..], [] | [1, 0]) {
        return until_gone(stream).await;
    }
    let head = hear(&mut stream, 4).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => {
            let octets: [u8; 4] = hear(&mut stream, 4).await?.try_into().unwrap();
            std::net::IpAddr::from(octets).to_string()
        }
        4 => {
            let octets: [u8; 16] = hear(&mut stream, 16).await?.try_into().unwrap();
            std::net::IpAddr::from(octets).to_string()
        }
        3 => {
            let length = hear(&mut stream, 1).await?[0];
            let name = hear(&mut stream, length.into()).await?;
            format!("name {}", String::from_utf8(name).unwrap())
        }
        other => panic!("{other}"),
    };
    let port = stream.read_u16().await?;
    tell(format!("{host} {port}"));
    let reply = socks
        .replies
        .get(number)
        .or_else(|| socks.replies.last())
        .unwrap();
    drip(&mut stream, reply).await?;
    match reply[..] {
        [5, 0, _, 1 | 3 | 4, ..] if reply.len() > 4 => tunnel(stream, port).await,
        _ => {
            stream.shutdown().await?;
            until_gone(stream).await
        }
    }
}

/// Whatever the name: everybody is on loopback.
async fn tunnel(mut stream: Box<dyn Io>, port: u16) -> io::Result<()> {
    let mut origin = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    origin.set_nodelay(true)?;
    copy_bidirectional(&mut stream, &mut origin).await.map(drop)
}

async fn drip(stream: &mut Box<dyn Io>, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn until_gone(mut stream: Box<dyn Io>) -> io::Result<()> {
    tokio::io::copy(&mut stream, &mut tokio::io::sink())
        .await
        .map(drop)
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Until when their certificate is good, as the lab's are until 2100: the beginning of 2090.
pub(crate) static UNTIL: LazyLock<SystemTime> =
    LazyLock::new(|| rcgen::date_time_ymd(2090, 1, 1).into());

pub(crate) struct Pki {
    pub(crate) ca_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// The proxies' CA, and the one certificate that they all have.
pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new([PROXY.to_owned()]).unwrap();
    leaf.not_after = (*UNTIL).into();
    Pki {
        ca_pem: root.pem(),
        certificate: leaf.signed_by(&key, &root).unwrap().into(),
        key: key.serialize_der(),
    }
});

impl Pki {
    fn acceptor(&self, clients: &str) -> TlsAcceptor {
        let provider = Arc::new(provider());
        let mut roots = RootCertStore::empty();
        let clients = CertificateDer::from_pem_slice(clients.as_bytes()).unwrap();
        roots.add(clients).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        Arc::new(config).into()
    }
}

fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}
