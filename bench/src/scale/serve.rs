//! The server of all growths: it answers by what the path says, over HTTP/1.1 and HTTP/2.
//!
//! `/small` has 128 bytes, `/bytes/N` so many, `/chunks/N` so many of one byte each, `/headers/N` so
//! many fields, `/redirect/N` sends on so many times. What asks for `/hold` is answered when somebody
//! asks for `/release`, and `/held/N` when so many wait.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, Request, Response, StatusCode};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::mint::{Authority, Key};

/// Starts it on a thread of its own, and tells where it speaks HTTP/1.1 in the clear, HTTP/1.1 over
/// TLS, and HTTP/2.
pub(crate) fn start(leaf: &Authority, key: &Key) -> [SocketAddr; 3] {
    let chain = vec![leaf.der().clone()];
    let tls = |protocol: &[u8]| {
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(provider()));
        let config = config
            .with_safe_default_protocol_versions()
            .expect("its versions");
        let config = config.with_no_client_auth();
        let mut config = config
            .with_single_cert(chain.clone(), key.into())
            .expect("a key that fits");
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    };
    let (http1, http2) = (tls(b"http/1.1"), tls(b"h2"));
    let held = Arc::new(Held::default());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        super::world::current_thread().block_on(async move {
            let [plain, first, second] = [listener().await, listener().await, listener().await];
            let at = |listener: &TcpListener| listener.local_addr().expect("an address");
            let _ = tell.send([at(&plain), at(&first), at(&second)]);
            tokio::join!(
                accept(plain, held.clone(), speak_http1),
                accept(first, held.clone(), move |stream, held| {
                    let acceptor = http1.clone();
                    async move { speak_http1(acceptor.accept(stream).await.ok()?, held).await }
                }),
                accept(second, held, move |stream, held| {
                    let acceptor = http2.clone();
                    async move { speak_http2(acceptor.accept(stream).await.ok()?, held).await }
                }),
            );
        });
    });
    told.recv().expect("a server")
}

async fn listener() -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    socket.listen(BACKLOG).expect("a listener")
}

async fn accept<F: Future<Output = Option<()>> + Send + 'static>(
    listener: TcpListener,
    held: Arc<Held>,
    speak: impl Fn(TcpStream, Arc<Held>) -> F,
) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(speak(stream, held.clone()));
        }
    }
}

/// Requests that are held until somebody lets them go.
struct Held {
    waiting: watch::Sender<usize>,
    released: Notify,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            waiting: watch::Sender::new(0),
            released: Notify::new(),
        }
    }
}

impl Held {
    async fn wait(&self) {
        let released = self.released.notified();
        self.waiting.send_modify(|waiting| *waiting += 1);
        released.await;
    }

    async fn are(&self, many: usize) {
        let _ = self
            .waiting
            .subscribe()
            .wait_for(|waiting| *waiting >= many)
            .await;
    }

    fn release(&self) {
        self.waiting.send_replace(0);
        self.released.notify_waiters();
    }
}

/// What a path is answered with.
struct Answer {
    status: StatusCode,
    fields: Vec<(HeaderName, String)>,
    body: Bytes,
    /// One byte at a time.
    in_chunks: bool,
}

async fn answer(path: &str, held: &Held) -> Answer {
    let (word, number) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((&path[1..], "0"));
    let number: usize = number.parse().unwrap_or_default();
    let mut answer = Answer {
        status: StatusCode::OK,
        fields: Vec::new(),
        body: zeros(128),
        in_chunks: word == "chunks",
    };
    match word {
        "bytes" | "chunks" => answer.body = zeros(number),
        "headers" => {
            let field = |n| (field_name(n), format!("value {n} of a field"));
            answer.fields.extend((0..number).map(field));
        }
        "redirect" if number > 0 => {
            answer.status = StatusCode::FOUND;
            let next = format!("/redirect/{}", number - 1);
            answer.fields.push((http::header::LOCATION, next));
            answer.body = Bytes::new();
        }
        "hold" => held.wait().await,
        "held" => held.are(number).await,
        "release" => held.release(),
        _ => {}
    }
    answer
}

async fn speak_http1(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    held: Arc<Held>,
) -> Option<()> {
    let mut read = BytesMut::new();
    loop {
        let mut seen = 0;
        let end = loop {
            let end = read[seen..].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break seen + end + 4;
            }
            seen = read.len().saturating_sub(3);
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        };
        let head = read.split_to(end);
        let path = head[..].split(|byte| *byte == b' ').nth(1)?;
        let answer = answer(std::str::from_utf8(path).ok()?, &held).await;
        let mut written = format!("HTTP/1.1 {}\r\n", answer.status);
        for (name, value) in &answer.fields {
            written.extend([name.as_str(), ": ", value, "\r\n"]);
        }
        let mut written = written.into_bytes();
        if answer.in_chunks {
            written.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for byte in &answer.body {
                written.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
            }
            written.extend_from_slice(b"0\r\n\r\n");
        } else {
            let length = format!("content-length: {}\r\n\r\n", answer.body.len());
            written.extend_from_slice(length.as_bytes());
        }
        if !answer.in_chunks && answer.body.len() < SMALL {
            written.extend_from_slice(&answer.body);
            stream.write_all(&written).await.ok()?;
        } else {
            stream.write_all(&written).await.ok()?;
            if !answer.in_chunks {
                stream.write_all(&answer.body).await.ok()?;
            }
        }
        stream.flush().await.ok()?;
    }
}

async fn speak_http2(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    held: Arc<Held>,
) -> Option<()> {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(1 << 24);
    builder.max_send_buffer_size(1 << 30);
    let mut connection = builder.handshake::<_, Bytes>(stream).await.ok()?;
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(respond_http2(request, respond, held.clone()));
    }
    Some(())
}

async fn respond_http2(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    held: Arc<Held>,
) -> Option<()> {
    let answer = answer(request.uri().path(), &held).await;
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    for (name, value) in answer.fields {
        response.headers_mut().append(name, value.try_into().ok()?);
    }
    if !answer.in_chunks {
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, answer.body.len().into());
    }
    let mut body = answer.body;
    let mut stream = respond.send_response(response, body.is_empty()).ok()?;
    while !body.is_empty() {
        let most = if answer.in_chunks { 1 } else { body.len() };
        stream.reserve_capacity(most);
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx))
            .await?
            .ok()?;
        let piece = body.split_to(room.min(most));
        stream.send_data(piece, body.is_empty()).ok()?;
    }
    Some(())
}

/// The name of one of many fields.
pub(crate) fn field_name(number: usize) -> HeaderName {
    HeaderName::try_from(format!("x-field-{number}")).expect("a token")
}

fn zeros(many: usize) -> Bytes {
    static ZEROS: LazyLock<Bytes> = LazyLock::new(|| vec![0; MOST].into());
    ZEROS.slice(..many)
}

fn provider() -> rustls::crypto::CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}

/// The longest body.
const MOST: usize = 64 << 20;
/// A body that goes in one write with its head.
const SMALL: usize = 4 << 10;
/// More than are ever asked for at once.
const STREAMS: u32 = 20_000;
/// So that ten thousand can come at once: the system has its own bound.
const BACKLOG: u32 = 20_000;
