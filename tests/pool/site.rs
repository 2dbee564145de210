//! A server whose every connection plays a script: exact bytes at exact moments, over TLS with a
//! certificate that the site's client trusts.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use urlfetch::tls::RootStore;
use urlfetch::{Bytes, Client, ClientBuilder, Payload};

/// A server on loopback, until it is dropped.
pub(crate) struct Site {
    addr: SocketAddr,
    ca_pem: String,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    server: AbortHandle,
}

impl Site {
    /// Serves TLS; `script` is given the number of the connection, from 0, and its stream.
    pub(crate) async fn start<F, P>(protocol: &str, script: F) -> Self
    where
        F: Fn(usize, TlsStream<TcpStream>) -> P + Send + Sync + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        let (ca_pem, acceptor) = mint(protocol);
        let script = Arc::new(script);
        Self::raw(ca_pem, move |n, tcp| {
            let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
            async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    script(n, stream).await;
                }
            }
        })
        .await
    }

    /// The same before TLS: whether there is a handshake is up to the script, which is given what
    /// makes one.
    pub(crate) async fn tcp<F, P>(protocol: &str, script: F) -> Self
    where
        F: Fn(usize, TcpStream, TlsAcceptor) -> P + Send + Sync + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        let (ca_pem, acceptor) = mint(protocol);
        Self::raw(ca_pem, move |n, tcp| script(n, tcp, acceptor.clone())).await
    }

    async fn raw<F, P>(ca_pem: String, script: F) -> Self
    where
        F: Fn(usize, TcpStream) -> P + Send + Sync + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let (count, count_open) = (Arc::clone(&connections), Arc::clone(&open));
        let server = tokio::spawn(async move {
            let mut scripts = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let played = script(count.fetch_add(1, Ordering::SeqCst), tcp);
                count_open.fetch_add(1, Ordering::SeqCst);
                let count_open = Arc::clone(&count_open);
                scripts.spawn(async move {
                    played.await;
                    count_open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            addr,
            ca_pem,
            connections,
            open,
            server: server.abort_handle(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_of(HOSTS[0], path)
    }

    /// Every one of [`HOSTS`] leads here.
    pub(crate) fn url_of(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.addr.port())
    }

    /// Connections that were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that the server has not done with.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    pub(crate) fn client_with(
        &self,
        change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Client {
        let roots = RootStore::empty().add_pem(&self.ca_pem).unwrap();
        let builder = Client::builder().roots(roots).deadline(HANG);
        let builder = HOSTS
            .iter()
            .fold(builder, |builder, host| builder.resolve(host, [self.addr]));
        change(builder).build().unwrap()
    }

    /// Accepts no connection from now on, and closes those that are open.
    pub(crate) async fn stop(&self) {
        self.server.abort();
        while !self.server.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The names in a site's one certificate.
pub(crate) const HOSTS: [&str; 2] = ["one.site.test", "two.site.test"];

/// No fetch takes so long that does not hang.
const HANG: Duration = Duration::from_secs(20);

fn mint(protocol: &str) -> (String, TlsAcceptor) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(HOSTS.map(str::to_owned).to_vec()).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();

    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// One HTTP/1.1 connection, as its server sees it.
pub(crate) struct Http1 {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

impl Http1 {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// The next head, from its request line to the empty line, or `None` at the end.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self
                .unread
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                let head = self.unread.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            self.more().await?;
        }
    }

    /// The next request whole, if its payload has a Content-Length or none: head and payload.
    pub(crate) async fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head().await?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let length = length.unwrap_or(0);
        while self.unread.len() < length {
            self.more().await?;
        }
        Some((head, self.unread.drain(..length).collect()))
    }

    /// Answers with these bytes and no others.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone is its own affair.
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) async fn reply(&mut self, body: &str) {
        let length = body.len();
        self.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Answers every request with its own payload, or its target if it has none.
    pub(crate) async fn echo(&mut self) {
        while let Some((head, payload)) = self.request().await {
            let body = match payload.is_empty() {
                true => target(&head).to_owned(),
                false => String::from_utf8(payload).unwrap(),
            };
            self.reply(&body).await;
        }
    }

    /// Says something that is TLS's alone, as a server does that sends a ticket after a response or
    /// changes its key (RFC 8446 §4.6).
    pub(crate) async fn update_key(&mut self) {
        let (_, tls) = self.stream.get_mut();
        tls.refresh_traffic_keys().unwrap();
        self.write("").await;
    }

    pub(crate) async fn hang_up(self, how: HangUp) {
        hang_up(self.stream, how).await;
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed(&mut self) {
        while self.more().await.is_some() {}
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

/// One HTTP/2 connection as its server sees it, frame by frame (RFC 9113 §4.1).
pub(crate) struct Http2 {
    stream: TlsStream<TcpStream>,
    /// SETTINGS of ours that the client has acknowledged.
    acknowledged: usize,
}

impl Http2 {
    pub(crate) async fn new(stream: TlsStream<TcpStream>) -> Self {
        Self::begin(stream, &[]).await
    }

    /// A server that allows so many streams at once.
    pub(crate) async fn allowing(stream: TlsStream<TcpStream>, streams: u32) -> Self {
        Self::begin(stream, &max_streams(streams)).await
    }

    async fn begin(stream: TlsStream<TcpStream>, settings: &[u8]) -> Self {
        let mut http = Self {
            stream,
            acknowledged: 0,
        };
        let mut preface = [0; 24];
        let _ = http.stream.read_exact(&mut preface).await;
        http.frame(SETTINGS, 0, 0, settings).await;
        http
    }

    /// Allows so many streams from now on. A request may have left before that is read.
    pub(crate) async fn allow(&mut self, streams: u32) {
        self.frame(SETTINGS, 0, 0, &max_streams(streams)).await;
    }

    /// Waits until the client has acknowledged the SETTINGS that were sent so far.
    pub(crate) async fn settle(&mut self, settings: usize) -> Option<()> {
        while self.acknowledged < settings {
            self.read().await?;
        }
        Some(())
    }

    /// Waits for a PING, and answers it if `answers`.
    pub(crate) async fn ping(&mut self, answers: bool) -> Option<()> {
        loop {
            if let (PING, 0, _, payload) = self.read().await? {
                if answers {
                    self.frame(PING, ACK, 0, &payload).await;
                }
                return Some(());
            }
        }
    }

    /// The stream of the next request, which has been read whole.
    pub(crate) async fn request(&mut self) -> Option<u32> {
        loop {
            if let (HEADERS | DATA, flags, stream, _) = self.read().await? {
                if flags & END_STREAM != 0 {
                    return Some(stream);
                }
            }
        }
    }

    /// The stream of the next request, of which the head has come.
    pub(crate) async fn head(&mut self) -> Option<u32> {
        loop {
            if let (HEADERS, _, stream, _) = self.read().await? {
                return Some(stream);
            }
        }
    }

    /// The next frame: its type, its flags, its stream and its payload. SETTINGS are acknowledged.
    async fn read(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        match (kind, flags & ACK) {
            (SETTINGS, 0) => self.frame(SETTINGS, ACK, 0, &[]).await,
            (SETTINGS, _) => self.acknowledged += 1,
            _ => {}
        }
        Some((kind, flags, u32::from_be_bytes(stream), payload))
    }

    /// Status 200, which is the eighth entry of HPACK's static table, and a body.
    pub(crate) async fn reply(&mut self, stream: u32, body: &str) {
        self.frame(HEADERS, END_HEADERS, stream, &[0x88]).await;
        self.frame(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    /// The same without an end.
    pub(crate) async fn begin_reply(&mut self, stream: u32, body: &str) {
        self.frame(HEADERS, END_HEADERS, stream, &[0x88]).await;
        self.frame(DATA, 0, stream, body.as_bytes()).await;
    }

    /// The rest of it.
    pub(crate) async fn end_reply(&mut self, stream: u32, body: &str) {
        self.frame(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, reason: h2::Reason) {
        let code = u32::from(reason).to_be_bytes();
        self.frame(RST_STREAM, 0, stream, &code).await;
    }

    pub(crate) async fn go_away(&mut self, last: u32, reason: h2::Reason) {
        let (last, code) = (last.to_be_bytes(), u32::from(reason).to_be_bytes());
        self.frame(GOAWAY, 0, 0, &[last, code].concat()).await;
    }

    pub(crate) async fn hang_up(self, how: HangUp) {
        hang_up(self.stream, how).await;
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A client that has gone is its own affair.
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §6.5.2).
fn max_streams(most: u32) -> Vec<u8> {
    [&[0, 3], &most.to_be_bytes()[..]].concat()
}

async fn hang_up(mut stream: TlsStream<TcpStream>, how: HangUp) {
    match how {
        HangUp::Close => {
            let _ = stream.shutdown().await;
        }
        HangUp::Cut => {
            let _ = stream.get_mut().0.shutdown().await;
        }
        HangUp::Reset => stream.get_ref().0.set_zero_linger().unwrap(),
    }
}

/// The target of a request line.
pub(crate) fn target(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// How a server ends a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HangUp {
    /// By close_notify and the end of TCP.
    Close,
    /// By the end of TCP alone, as a server does that has crashed.
    Cut,
    /// By a reset of TCP.
    Reset,
}

/// A payload's stream of one piece, which ends after it or stays silent for ever.
pub(crate) struct Once {
    piece: Option<&'static str>,
    stays: Option<mpsc::Sender<Infallible>>,
}

impl Once {
    pub(crate) fn new(piece: &'static str) -> Self {
        Self {
            piece: Some(piece),
            stays: None,
        }
    }

    pub(crate) fn that_panics() -> Self {
        Self::new(PANIC)
    }
}

const PANIC: &str = "panic";

/// A payload that does not end, and what is closed when it is dropped.
pub(crate) fn endless() -> (Payload, mpsc::Receiver<Infallible>) {
    let (stays, dropped) = mpsc::channel(1);
    let stream = Once {
        stays: Some(stays),
        ..Once::new("x")
    };
    (Payload::stream(stream), dropped)
}

/// A payload that always has more than there is room for, and what is closed when it is dropped.
pub(crate) fn overflowing() -> (Payload, mpsc::Receiver<Infallible>) {
    let (stays, dropped) = mpsc::channel(1);
    (Payload::stream(Overflowing { _stays: stays }), dropped)
}

/// A payload of one piece, of which nobody else has a copy.
pub(crate) fn only(piece: Bytes) -> Payload {
    Payload::stream(Only(Some(piece)))
}

struct Only(Option<Bytes>);

impl Stream for Only {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

struct Overflowing {
    _stays: mpsc::Sender<Infallible>,
}

impl Stream for Overflowing {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Ok(Bytes::from_static(&[0; 100_000]))))
    }
}

impl Stream for Once {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match (self.piece.take(), &self.stays) {
            (Some(PANIC), _) => panic!("as the test has it"),
            (Some(piece), _) => Poll::Ready(Some(Ok(piece.into()))),
            (None, None) => Poll::Ready(None),
            (None, Some(_)) => Poll::Pending,
        }
    }
}
