//! Servers whose every byte is the test's own: HTTP/1.1 replies as literals, over TCP or TLS, and
//! h2 over TLS. What they receive is kept, for the test to look at.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http_body::Frame;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use urlfetch::tls::RootStore;
use urlfetch::{Client, ClientBuilder};

/// The name in the certificate of every server here.
pub(crate) const HOST: &str = "script.test";

/// A server that plays one script on each connection, until it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    scheme: &'static str,
    seen: Arc<Seen>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Received>>,
    connections: Mutex<usize>,
}

/// A request as it was received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// The connection it came on; the first one is 0.
    pub(crate) connection: usize,
    /// `METHOD target`.
    pub(crate) line: String,
    /// In order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// The values of a header, joined by `, `; empty if it was not sent.
    pub(crate) fn header(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(found, _)| found == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
        values.join(", ")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(found, _)| found == name)
    }

    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    Stay,
    /// A close as it should be: over TLS with close_notify.
    Close,
    /// The end of the TCP connection, and not a word in TLS.
    Cut,
}

impl Server {
    /// Plain HTTP/1.1: each request is answered by these bytes.
    pub(crate) async fn plain(
        answer: impl Fn(&Received) -> (Vec<u8>, Then) + Send + Sync + 'static,
    ) -> Self {
        Self::start("http", None, answering(answer)).await
    }

    /// HTTP/1.1 over TLS.
    pub(crate) async fn tls(
        answer: impl Fn(&Received) -> (Vec<u8>, Then) + Send + Sync + 'static,
    ) -> Self {
        Self::start("https", Some("http/1.1"), answering(answer)).await
    }

    /// The same at another address of this machine's.
    pub(crate) async fn tls_at(
        ip: IpAddr,
        answer: impl Fn(&Received) -> (Vec<u8>, Then) + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(ip, "https", Some("http/1.1"), answering(answer)).await
    }

    /// h2 over TLS: each request is answered by a task of its own.
    pub(crate) async fn h2<F>(
        answer: impl Fn(Received, h2::server::SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let script = move |talk: Talk| {
            let answer = Arc::clone(&answer);
            async move {
                let _ = talk.h2(&*answer).await;
            }
        };
        Self::start("https", Some("h2"), script).await
    }

    /// A script of one's own on each connection: plain, or over TLS where a protocol is named.
    pub(crate) async fn start<F>(
        scheme: &'static str,
        protocol: Option<&'static str>,
        script: impl Fn(Talk) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), scheme, protocol, script).await
    }

    async fn start_at<F>(
        ip: IpAddr,
        scheme: &'static str,
        protocol: Option<&'static str>,
        script: impl Fn(Talk) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptor = protocol.map(|protocol| PKI.acceptor(protocol));
        let seen: Arc<Seen> = Arc::default();
        let counted = Arc::clone(&seen);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            for number in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                *counted.connections.lock().unwrap() = number + 1;
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                let seen = Arc::clone(&counted);
                open.spawn(async move {
                    let stream: Box<dyn Io> = match acceptor {
                        None => Box::new(tcp),
                        Some(acceptor) => match acceptor.accept(tcp).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    script(Talk {
                        number,
                        stream,
                        seen,
                    })
                    .await;
                });
            }
        });
        Self {
            addr,
            scheme,
            seen,
            _task: task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{HOST}:{}{path}", self.scheme, self.addr.port())
    }

    /// The requests that came until now.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Received {
        self.requests().pop().unwrap()
    }

    /// The connections that were accepted until now.
    pub(crate) fn connections(&self) -> usize {
        *self.seen.connections.lock().unwrap()
    }
}

/// A client that trusts these servers, finds them, and may speak plain http.
pub(crate) fn client() -> Client {
    builder().build().unwrap()
}

pub(crate) fn builder() -> ClientBuilder {
    Client::builder()
        .roots(RootStore::empty().add_pem(&PKI.ca_pem).unwrap())
        .resolve(HOST, [SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])
        .allow_http(true)
}

/// A test that takes this long hangs.
pub(crate) async fn in_time<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test hangs")
}

/// One connection, as the server has it.
pub(crate) struct Talk {
    pub(crate) number: usize,
    stream: Box<dyn Io>,
    seen: Arc<Seen>,
}

impl Talk {
    /// The next request, payload included; `None` if the client is gone.
    pub(crate) async fn request(&mut self) -> Option<Received> {
        let head = self.line("\r\n\r\n").await?;
        let mut lines = head.split("\r\n");
        let line = lines.next()?.strip_suffix(" HTTP/1.1")?.to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let mut received = Received {
            connection: self.number,
            line,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            payload: Vec::new(),
        };
        if received.has("transfer-encoding") {
            loop {
                let size = usize::from_str_radix(&self.line("\r\n").await?, 16).ok()?;
                let start = received.payload.len();
                received.payload.resize(start + size, 0);
                let chunk = received.payload.get_mut(start..)?;
                self.stream.read_exact(chunk).await.ok()?;
                self.line("\r\n").await?;
                if size == 0 {
                    break;
                }
            }
        } else if let Ok(length) = received.header("content-length").parse() {
            received.payload.resize(length, 0);
            self.stream.read_exact(&mut received.payload).await.ok()?;
        }
        self.seen.requests.lock().unwrap().push(received.clone());
        Some(received)
    }

    /// What comes before `end`, which is taken too.
    pub(crate) async fn line(&mut self, end: &str) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(end.as_bytes()) {
            line.push(self.stream.read_u8().await.ok()?);
        }
        line.truncate(line.len() - end.len());
        String::from_utf8(line).ok()
    }

    /// So many bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    /// Writes; an error says that the client is gone.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Reads until the client is gone.
    pub(crate) async fn until_gone(&mut self) {
        let mut some = [0; 4096];
        while matches!(self.stream.read(&mut some).await, Ok(1..)) {}
    }

    pub(crate) async fn end(mut self, then: Then) {
        match then {
            Then::Stay => {}
            Then::Close => {
                let _ = self.stream.shutdown().await;
                self.until_gone().await;
            }
            // With bytes unread a close would be a reset, which overtakes what was written.
            Then::Cut => {
                let mut tcp = self.stream.into_tcp();
                let _ = tcp.shutdown().await;
                let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
            }
        }
    }

    /// Opens a tunnel, as a proxy does, and is the host at its other end.
    pub(crate) async fn tunnel(mut self, protocol: &'static str) -> Option<Self> {
        self.line("\r\n\r\n").await?;
        self.say("HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        let stream = PKI.acceptor(protocol).accept(self.stream).await.ok()?;
        Some(Self {
            stream: Box::new(stream),
            ..self
        })
    }

    /// What was chosen by ALPN.
    pub(crate) fn protocol(&self) -> Option<Vec<u8>> {
        self.stream.protocol()
    }

    /// Speaks h2 until the client is gone.
    pub(crate) async fn h2<F>(
        self,
        answer: impl Fn(Received, h2::server::SendResponse<Bytes>) -> F,
    ) -> Result<(), h2::Error>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut connection = h2::server::handshake(self.stream).await?;
        let mut answers = JoinSet::new();
        while let Some(accepted) = connection.accept().await {
            let (request, respond) = accepted?;
            let (head, _payload) = request.into_parts();
            let headers = head.headers.iter().map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            });
            let received = Received {
                connection: self.number,
                line: format!("{} {}", head.method, head.uri.path_and_query().unwrap()),
                headers: headers.collect(),
                payload: Vec::new(),
            };
            self.seen.requests.lock().unwrap().push(received.clone());
            answers.spawn(answer(received, respond));
        }
        Ok(())
    }
}

/// The script of a server that reads requests and answers them.
fn answering(
    answer: impl Fn(&Received) -> (Vec<u8>, Then) + Send + Sync + 'static,
) -> impl Fn(Talk) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let answer = Arc::new(answer);
    move |mut talk| {
        let answer = Arc::clone(&answer);
        Box::pin(async move {
            while let Some(request) = talk.request().await {
                let (reply, then) = answer(&request);
                if talk.say(reply).await.is_err() {
                    return;
                }
                if then != Then::Stay {
                    return talk.end(then).await;
                }
            }
        })
    }
}

/// A reply of HTTP/1.1 with a Content-Length and these other header lines, each with its CRLF.
pub(crate) fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A stream of these pieces, which then ends or never does.
pub(crate) struct Pieces {
    pieces: std::vec::IntoIter<Result<Bytes, io::Error>>,
    ends: bool,
}

pub(crate) fn pieces(pieces: &[&'static str]) -> Pieces {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
    Pieces {
        pieces: pieces.into_iter(),
        ends: true,
    }
}

impl Pieces {
    pub(crate) fn then_fail(self, why: &'static str) -> Self {
        let mut pieces: Vec<_> = self.pieces.collect();
        pieces.push(Err(io::Error::other(why)));
        Self {
            pieces: pieces.into_iter(),
            ..self
        }
    }

    pub(crate) fn then_wait(self) -> Self {
        Self {
            ends: false,
            ..self
        }
    }
}

/// The same, as the frames of a body.
pub(crate) struct Frames(Pieces);

impl Pieces {
    pub(crate) fn frames(self) -> Frames {
        Frames(self)
    }
}

impl Stream for Frames {
    type Item = Result<Frame<Bytes>, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = Pin::new(&mut self.0).poll_next(cx);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.pieces.next() {
            None if !self.ends => Poll::Pending,
            next => Poll::Ready(next),
        }
    }
}

/// What a connection runs over, and the TCP under it.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    fn into_tcp(self: Box<Self>) -> TcpStream;

    fn protocol(&self) -> Option<Vec<u8>>;
}

impl Io for TcpStream {
    fn into_tcp(self: Box<Self>) -> TcpStream {
        *self
    }

    fn protocol(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Io for tokio_rustls::server::TlsStream<TcpStream> {
    fn into_tcp(self: Box<Self>) -> TcpStream {
        self.into_inner().0
    }

    fn protocol(&self) -> Option<Vec<u8>> {
        self.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    }
}

impl Io for tokio_rustls::server::TlsStream<Box<dyn Io>> {
    fn into_tcp(self: Box<Self>) -> TcpStream {
        self.into_inner().0.into_tcp()
    }

    fn protocol(&self) -> Option<Vec<u8>> {
        self.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    }
}

struct Pki {
    ca_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = [HOST, "127.0.0.1", "::1", "xn--bcher-kva.example"].map(String::from);
    let leaf = CertificateParams::new(names).unwrap();
    Pki {
        ca_pem: root.pem(),
        certificate: leaf.signed_by(&key, &root).unwrap().into(),
        key: key.serialize_der(),
    }
});

impl Pki {
    fn acceptor(&self, protocol: &str) -> TlsAcceptor {
        #[cfg(feature = "aws-lc-rs")]
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        #[cfg(not(feature = "aws-lc-rs"))]
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config).into()
    }
}
