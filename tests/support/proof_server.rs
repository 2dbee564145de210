//! A TLS server that counts what reaches it, above TLS and on the wire, and that can be told
//! between connections what to present and how to behave; the clock that its clients go by, and the
//! runtimes that they run in.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::KeyPair;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{
    ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::proof::{Authority, Chain, now};

/// Which TLS and which HTTP a site speaks: one of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaks {
    pub(crate) tls12: bool,
    pub(crate) h2: bool,
}

/// How a site behaves once it has been spoken to, or before.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Answers each request with [`BODY`].
    Answer,
    /// Answers each request with a 307.
    Redirect(String),
    /// Sends a whole response of [`SHOUTED`] bytes as soon as TLS lets it, and reads to the end.
    Shout,
    /// Reads a request, and closes the connection.
    HangUp,
}

/// What a site saw of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// `None` if the handshake did not end well.
    pub(crate) handshake: Option<HandshakeKind>,
    /// Application bytes, early data among them.
    pub(crate) received: usize,
    pub(crate) wire_in: usize,
    pub(crate) wire_out: usize,
}

/// A server on a port of its own, in a runtime of its own, until it is dropped.
pub(crate) struct Site {
    runtime: Option<Runtime>,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Site {
    pub(crate) fn open(speaks: Speaks) -> Self {
        Self::start(speaks, None)
    }

    /// One that demands a certificate of this CA from its clients.
    pub(crate) fn demanding(speaks: Speaks, clients: &Authority) -> Self {
        Self::start(speaks, Some(clients))
    }

    fn start(speaks: Speaks, clients: Option<&Authority>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let slot = Arc::new(Slot::default());
        let shared = Arc::new(Shared {
            config: Mutex::new(config(speaks, clients, Arc::clone(&slot))),
            slot,
            speaks,
            manner: Mutex::new(Manner::Answer),
            log: watch::Sender::default(),
        });
        runtime.spawn(Arc::clone(&shared).serve(listener));
        Self {
            runtime: Some(runtime),
            addr,
            shared,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.addr.port())
    }

    /// From now on the site presents this chain, whatever is in it, and signs with this key.
    pub(crate) fn present(&self, chain: &Chain, key: &KeyPair) {
        self.present_stapled(chain, key, None);
    }

    /// And staples this to it.
    pub(crate) fn present_stapled(&self, chain: &Chain, key: &KeyPair, staple: Option<Vec<u8>>) {
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = provider().key_provider.load_private_key(key).unwrap();
        let mut certified = CertifiedKey::new(chain.clone(), key);
        certified.ocsp = staple;
        *self.shared.slot.0.lock().unwrap() = Some(Arc::new(certified));
    }

    /// No session of before is resumed.
    pub(crate) fn forget_sessions(&self) {
        self.exchange_sessions(ServerSessionMemoryCache::new(32));
    }

    /// None but these sessions are resumed; gives those of before.
    pub(crate) fn exchange_sessions(
        &self,
        sessions: Arc<dyn StoresServerSessions>,
    ) -> Arc<dyn StoresServerSessions> {
        let mut config = self.shared.config.lock().unwrap();
        std::mem::replace(&mut config.session_storage, sessions)
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// What was seen of each connection since this was last asked, when all of them have ended.
    pub(crate) async fn seen(&self) -> Vec<Seen> {
        let mut log = self.shared.log.subscribe();
        let ended = log.wait_for(|log| log.open == 0);
        let waited = tokio::time::timeout(Duration::from_secs(30), ended).await;
        drop(waited.expect("a client does not close its connections"));
        let mut seen = Vec::new();
        self.shared
            .log
            .send_modify(|log| seen = std::mem::take(&mut log.ended));
        seen.sort_by_key(|(at, _)| *at);
        seen.into_iter().map(|(_, seen)| seen).collect()
    }

    /// The handshakes of [`seen`](Self::seen).
    pub(crate) async fn kinds(&self) -> Vec<Option<HandshakeKind>> {
        let seen = self.seen().await;
        seen.iter().map(|seen| seen.handshake).collect()
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.log.borrow().accepted
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

struct Shared {
    config: Mutex<ServerConfig>,
    slot: Arc<Slot>,
    speaks: Speaks,
    manner: Mutex<Manner>,
    log: watch::Sender<Log>,
}

#[derive(Default)]
struct Log {
    accepted: usize,
    open: usize,
    ended: Vec<(usize, Seen)>,
}

impl Shared {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut at = 0;
            self.log.send_modify(|log| {
                log.accepted += 1;
                log.open += 1;
                at = log.accepted;
            });
            let shared = Arc::clone(&self);
            tokio::spawn(async move {
                let seen = shared.connection(tcp).await;
                shared.log.send_modify(|log| {
                    log.open -= 1;
                    log.ended.push((at, seen));
                });
            });
        }
    }

    async fn connection(self: &Arc<Self>, tcp: TcpStream) -> Seen {
        tcp.set_nodelay(true).unwrap();
        let (wire, above) = (Meter::default(), Meter::default());
        let manner = self.manner.lock().unwrap().clone();
        let shouts = matches!(manner, Manner::Shout);
        let metered = Metered::new(tcp, &wire);
        let config = self.config.lock().unwrap().clone();
        let accepting = TlsAcceptor::from(Arc::new(config)).accept_with(metered, |tls| {
            if shouts {
                tls.writer().write_all(&shout(self.speaks.h2)).unwrap();
            }
        });
        let mut handshake = None;
        if let Ok(mut tls) = accepting.await {
            handshake = tls.get_ref().1.handshake_kind();
            if let Some(mut early) = tls.get_mut().1.early_data() {
                let early = io::copy(&mut early, &mut io::sink()).unwrap();
                above.read.fetch_add(early as usize, SeqCst);
            }
            let mut stream = Metered::new(tls, &above);
            if shouts {
                // However it ends, what came before the end was counted.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            } else {
                self.http(stream).await;
            }
        }
        Seen {
            handshake,
            received: above.read.load(SeqCst),
            wire_in: wire.read.load(SeqCst),
            wire_out: wire.written.load(SeqCst),
        }
    }

    async fn http<S>(self: &Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let hang_up = Arc::new(Notify::new());
        let service = service_fn(|request: http::Request<Incoming>| {
            let (shared, hang_up) = (Arc::clone(self), Arc::clone(&hang_up));
            async move {
                // A client that breaks off in the middle has been counted up to there.
                let _ = request.into_body().collect().await;
                let manner = shared.manner.lock().unwrap().clone();
                let answer = http::Response::builder();
                match manner {
                    Manner::Redirect(location) => answer
                        .status(307)
                        .header("location", location)
                        .body(Full::new(&b""[..])),
                    Manner::Answer => answer.body(Full::new(BODY.as_bytes())),
                    Manner::HangUp | Manner::Shout => {
                        hang_up.notify_one();
                        std::future::pending().await
                    }
                }
            }
        });
        let io = TokioIo::new(stream);
        let serving = async {
            // A client that hangs up is often the point.
            if self.speaks.h2 {
                let _ = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, &service)
                    .await;
            } else {
                let _ = http1::Builder::new().serve_connection(io, &service).await;
            }
        };
        tokio::select! {
            () = serving => {}
            () = hang_up.notified() => {}
        }
    }
}

/// What is presented at the moment.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Slot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap().clone()
    }
}

fn config(speaks: Speaks, clients: Option<&Authority>, slot: Arc<Slot>) -> ServerConfig {
    let versions = match speaks.tls12 {
        true => &[&rustls::version::TLS12],
        false => &[&rustls::version::TLS13],
    };
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap();
    let config = match clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            config.with_client_cert_verifier(verifier.unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_cert_resolver(slot);
    config.alpn_protocols = match speaks.h2 {
        true => vec![b"h2".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    // Clients are tempted to send early, and the server itself does not wait.
    config.max_early_data_size = u32::MAX;
    config.send_half_rtt_data = true;
    config
}

fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

/// A response to a request that nobody has made.
fn shout(h2: bool) -> Vec<u8> {
    let body = vec![b'!'; SHOUTED];
    if !h2 {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SHOUTED}\r\n\r\n");
        return [head.into_bytes(), body].concat();
    }
    let [_, .., high, low] = SHOUTED.to_be_bytes();
    [
        // SETTINGS, empty (RFC 9113 §6.5).
        &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
        // HEADERS of stream 1, with END_HEADERS: `:status: 200` (RFC 7541 appendix A).
        &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88],
        // DATA of stream 1, with END_STREAM.
        &[0, high, low, 0, 1, 0, 0, 0, 1],
        &body,
    ]
    .concat()
}

#[derive(Clone, Debug, Default)]
struct Meter {
    read: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

/// A stream that counts what goes through it.
struct Metered<S> {
    stream: S,
    meter: Meter,
}

impl<S> Metered<S> {
    fn new(stream: S, meter: &Meter) -> Self {
        let meter = meter.clone();
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.meter
            .read
            .fetch_add(buf.filled().len() - before, SeqCst);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &polled {
            self.meter.written.fetch_add(*count, SeqCst);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A clock that says morning or afternoon of the day that it is [`now`].
pub(crate) struct Hands(Arc<AtomicU64>);

impl Default for Hands {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(NOON.as_secs())))
    }
}

impl Hands {
    /// What a client is given for its clock.
    pub(crate) fn reader(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let hands = Arc::clone(&self.0);
        move || now() + Duration::from_secs(hands.load(SeqCst)) - NOON
    }

    pub(crate) fn pass_noon(&self) {
        self.0.store(NOON.as_secs() * 2 + 1, SeqCst);
    }

    pub(crate) fn set_back(&self) {
        self.0.store(NOON.as_secs() - 1, SeqCst);
    }
}

/// Runs a future in a runtime of its own. No connection outlives it, so that the next one opens a
/// connection anew: tickets belong to a client, connections to a runtime.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limit = Duration::from_secs(60);
    runtime
        .block_on(async { tokio::time::timeout(limit, future).await })
        .expect("a test hangs")
}

pub(crate) const FULL: Option<HandshakeKind> = Some(HandshakeKind::Full);
pub(crate) const RESUMED: Option<HandshakeKind> = Some(HandshakeKind::Resumed);
/// From the morning of a [`Hands`] to its noon.
pub(crate) const NOON: Duration = Duration::from_secs(3_600);
/// What a site answers.
pub(crate) const BODY: &str = "the body";
/// How long a body is shouted: longer than all else that a server writes in a handshake.
pub(crate) const SHOUTED: usize = 8 * 1024;
