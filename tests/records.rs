//! Bodies of many records of TLS: whole, however the records and what carries them are cut, and
//! what follows them on the same connection answers nobody.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::io::{Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::NoServerSessionStorage;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection, SupportedProtocolVersion};
use urlfetch::{Client, Error, ErrorKind, Response, RootStore};

const HOST: &str = "records.test";

/// No wait is so long that does not last for ever.
const HANG: Duration = Duration::from_secs(20);

/// How long a server waits for a request that should not come.
const WHILE: Duration = Duration::from_millis(100);

/// A response that nobody asked for.
const POISON: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";

/// What a server says, and how.
#[derive(Clone, Copy, Debug)]
struct Reply {
    /// The body's length.
    length: usize,
    /// Bytes of plaintext in a record.
    record: usize,
    /// Bytes that are written on the socket at once.
    piece: usize,
    after: After,
    /// What follows comes when the client has read the body, and not in one piece with its end.
    late: bool,
}

/// Five bytes, and no more.
const SHORT: Reply = Reply {
    length: 5,
    record: 16_384,
    piece: usize::MAX,
    after: After::Nothing,
    late: false,
};

/// What follows the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// A change of TLS's keys, which is its own affair (RFC 8446 §4.6.3).
    Keys,
    /// So many bytes of that, and, once they are with the client's system, the rest.
    KeysBegun(usize),
    /// Another response, which nobody asked for.
    Poison,
    /// So many bytes of it, and the rest when the next request has come.
    Begun(usize),
    /// The end of the connection.
    Goodbye,
    /// Nothing, and the last record is not what was sealed.
    Fault,
}

#[test]
fn a_body_is_whole_however_records_and_segments_are_cut() {
    let mut replies = Vec::new();
    for (length, records, pieces) in [
        (3_000, &[1, 333, 16_384][..], &[1, 50, 9_999][..]),
        (
            1_000_000,
            &[1_000, 8_192, 12_345, 16_384],
            &[4_095, 16_406, 65_537, 2_000_000],
        ),
    ] {
        for (record, piece) in records
            .iter()
            .flat_map(|r| pieces.iter().map(move |p| (*r, *p)))
        {
            replies.push(Reply {
                length,
                record,
                piece,
                ..SHORT
            });
        }
    }
    for reply in replies {
        let server = Server::start(vec![reply; 2]);
        run(async {
            let client = server.client();
            for _ in 0..2 {
                let read = server.fetch(&client).await;
                assert!(read == body(reply.length), "{reply:?}: {}", read.len());
            }
        });
        assert_eq!(server.connections(), 1, "{reply:?}");
    }
}

#[test]
fn what_follows_large_records_answers_nobody() {
    for length in [100_000, 16_384 * 12, 333_333] {
        for (after, connections) in [
            (After::Keys, 1),
            (After::Poison, 2),
            (After::Begun(1), 2),
            (After::Begun(5), 2),
            (After::Begun(60), 2),
            (After::Goodbye, 2),
        ] {
            for late in [false, true] {
                let (server, first) = Server::of(length, after, late);
                run(async {
                    let client = server.client();
                    assert!(server.fetch(&client).await == body(length), "{first:?}");
                    // The only thread blocks, and tokio's driver with it: all is there, and
                    // whoever has not read it yet has not been told.
                    server.say_what_follows(first);
                    assert_eq!(server.fetch(&client).await, body(5), "{first:?}");
                });
                assert_eq!(server.connections(), connections, "{first:?}");
            }
        }
    }
}

/// It is not used before the rest has come, and whoever looks meanwhile leaves it alone.
#[test]
fn a_change_of_keys_in_two_pieces_costs_no_connection() {
    let cases = [5, 100_000, 16_384 * 12].iter().flat_map(|length| {
        let bytes = [1, 5, 20].iter();
        bytes.flat_map(|bytes| [(*length, *bytes, false), (*length, *bytes, true)])
    });
    for (length, bytes, late) in cases {
        let (server, first) = Server::of(length, After::KeysBegun(bytes), late);
        run(async {
            let client = server.client();
            assert!(server.fetch(&client).await == body(length), "{first:?}");
            server.say_what_follows(first);
            assert_eq!(client.pool_stats().now.idle, 1, "{first:?}");
            // Those that were woken have looked as well.
            tokio::task::yield_now().await;
            server.gate.wait();
            server.gate.wait();
            assert_eq!(server.fetch(&client).await, body(5), "{first:?}");
        });
        assert_eq!(server.connections(), 1, "{first:?}");
    }
}

/// Nor is it asked while nobody can know what has begun: in TLS 1.3 the server may speak with its
/// part of the handshake (RFC 8446 §2.3), in TLS 1.2 as soon as that has ended.
#[test]
fn what_has_begun_before_the_first_request_is_no_answer() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for bytes in [1, 5, 60, usize::MAX] {
            let (mut config, ca_pem) = config(&[version]);
            // Where a session of TLS 1.2 is resumed the client has the last word, and asks with it.
            let once = Arc::get_mut(&mut config).unwrap();
            once.session_storage = Arc::new(NoServerSessionStorage {});
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let addr = listener.local_addr().unwrap();
            let (ends, ended) = mpsc::channel();
            thread::spawn(move || {
                for socket in listener.incoming() {
                    let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                    let asked = speak_first(socket.unwrap(), tls, bytes, Some(WHILE));
                    let _ = ends.send(asked);
                }
            });
            run(async {
                let error = fetch(&client(addr, &ca_pem), addr).await.unwrap_err();
                let case = format!("{version:?} {bytes}: {error}");
                assert_eq!(error.code(), "malformed-reply", "{case}");
                assert!(!error.request_was_sent(), "{case}");
            });
            // It was tried once more, as nothing had been sent.
            for _ in 0..2 {
                let asked = ended.recv_timeout(HANG).unwrap();
                assert_eq!(asked, b"", "{version:?} {bytes}");
            }
        }
    }
}

#[test]
fn a_request_that_waits_for_what_has_begun_is_not_sent() {
    let (config, ca_pem) = config(&[&rustls::version::TLS13]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        speak_first(socket, ServerConnection::new(config).unwrap(), 1, None)
    });
    run(async {
        let client = client(addr, &ca_pem);
        let call = client.fetch(format!("https://{HOST}:{}/", addr.port()));
        let error = call.deadline(Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
        assert!(!error.request_was_sent(), "{error}");
    });
    assert_eq!(server.join().unwrap(), b"");
}

/// Though it has left the socket, which would tell of it, and no other request looks.
#[test]
fn an_end_that_came_with_the_body_closes_the_connection() {
    for length in [5, 20_000, 333_333] {
        let reply = Reply {
            length,
            after: After::Goodbye,
            ..SHORT
        };
        let mut server = Server::start(vec![reply]);
        run(async {
            let client = server.client();
            assert!(server.fetch(&client).await == body(length), "{length}");
            server.say_what_follows(reply);
            let closed = server.closed.take().unwrap();
            let wait = move || closed.recv_timeout(HANG);
            tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
            drop(client);
        });
    }
}

/// Though what came before it fills a read, and nothing comes after it.
#[test]
fn a_record_that_fails_is_told_of_at_once() {
    for length in [9_000, 20_000, 200_000] {
        let server = Server::start(vec![Reply {
            length,
            record: 8_192,
            after: After::Fault,
            ..SHORT
        }]);
        run(async {
            let response = fetch(&server.client(), server.addr).await.unwrap();
            let error = response.bytes().await.unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::ConnectionClosed,
                "{length}: {error}"
            );
        });
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(test);
}

/// No two records of it are the same.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn client(addr: SocketAddr, ca_pem: &str) -> Client {
    let roots = RootStore::empty().add_pem(ca_pem).unwrap();
    let client = Client::builder().roots(roots).no_proxy();
    client.resolve(HOST, [addr]).build().unwrap()
}

async fn fetch(client: &Client, addr: SocketAddr) -> Result<Response, Error> {
    client
        .fetch(format!("https://{HOST}:{}/", addr.port()))
        .await
}

/// A server that gives each request the next of its replies, on threads of its own.
struct Server {
    addr: SocketAddr,
    ca_pem: String,
    connections: Arc<AtomicUsize>,
    /// Where it waits before what follows late, and when all of what follows is with the client's
    /// system.
    gate: Arc<Barrier>,
    /// Tells of each connection that its client has closed.
    closed: Option<mpsc::Receiver<()>>,
}

impl Server {
    /// One whose first reply is this, and the second [`SHORT`].
    fn of(length: usize, after: After, late: bool) -> (Self, Reply) {
        let first = Reply {
            length,
            after,
            late,
            ..SHORT
        };
        (Self::start(vec![first, SHORT]), first)
    }

    fn start(replies: Vec<Reply>) -> Self {
        let (config, ca_pem) = config(&[&rustls::version::TLS13]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        let gate = Arc::new(Barrier::new(2));
        let opened = Arc::clone(&gate);
        let replies = Arc::new(Mutex::new(replies.into_iter()));
        let (closes, closed) = mpsc::channel();
        thread::spawn(move || {
            for socket in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                let (config, gate) = (Arc::clone(&config), Arc::clone(&opened));
                let (replies, closes) = (Arc::clone(&replies), closes.clone());
                thread::spawn(move || {
                    let next = || replies.lock().unwrap().next();
                    serve(
                        socket.unwrap(),
                        ServerConnection::new(config).unwrap(),
                        next,
                        &gate,
                    );
                    // The test may not wait for it.
                    let _ = closes.send(());
                });
            }
        });
        Self {
            addr,
            ca_pem,
            connections,
            gate,
            closed: Some(closed),
        }
    }

    fn client(&self) -> Client {
        client(self.addr, &self.ca_pem)
    }

    async fn fetch(&self, client: &Client) -> Vec<u8> {
        let response = fetch(client, self.addr).await.unwrap();
        response.bytes().await.unwrap().to_vec()
    }

    /// Returns when it has come.
    fn say_what_follows(&self, reply: Reply) {
        if reply.late {
            self.gate.wait();
        }
        self.gate.wait();
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One connection, until its client is gone or the replies are used up.
fn serve(
    mut socket: TcpStream,
    mut tls: ServerConnection,
    mut next: impl FnMut() -> Option<Reply>,
    gate: &Barrier,
) {
    socket.set_nodelay(true).unwrap();
    let (mut asked, mut rest) = (Vec::new(), Vec::new());
    loop {
        let mut some = [0; 1_000];
        match rustls::Stream::new(&mut tls, &mut socket).read(&mut some) {
            Ok(0) | Err(_) => return,
            Ok(read) => asked.extend_from_slice(&some[..read]),
        }
        if !asked.ends_with(b"\r\n\r\n") {
            continue;
        }
        asked.clear();
        let Some(reply) = next() else { return };
        // What was begun, and what TLS had to say by itself, first.
        let mut wire = mem::take(&mut rest);
        wire.extend(written(&mut tls, b""));
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            reply.length
        );
        wire.extend(written(&mut tls, head.as_bytes()));
        for record in body(reply.length).chunks(reply.record) {
            wire.extend(written(&mut tls, record));
        }
        // A client that is gone has seen enough.
        let mut send = |wire: &[u8]| {
            for piece in wire.chunks(reply.piece) {
                let _ = socket.write_all(piece);
            }
        };
        if reply.late {
            send(&wire);
            wire.clear();
            gate.wait();
        }
        let mut said: &[u8] = b"";
        match reply.after {
            After::Nothing => {}
            After::Fault => *wire.last_mut().unwrap() ^= 1,
            After::Keys | After::KeysBegun(_) => tls.refresh_traffic_keys().unwrap(),
            After::Poison | After::Begun(_) => {
                said = POISON;
            }
            After::Goodbye => tls.send_close_notify(),
        }
        let mut said = written(&mut tls, said);
        if let After::Begun(bytes) | After::KeysBegun(bytes) = reply.after {
            rest = said.split_off(bytes);
        }
        wire.extend(said);
        send(&wire);
        if reply.after != After::Nothing {
            gate.wait();
        }
        if let After::KeysBegun(_) = reply.after {
            gate.wait();
            send(&mem::take(&mut rest));
            gate.wait();
        }
    }
}

/// One connection, on which so many bytes of a response are sent as soon as TLS may, and the rest if
/// nobody asks for a while, or never. What its client has sent.
fn speak_first(
    mut socket: TcpStream,
    mut tls: ServerConnection,
    bytes: usize,
    patience: Option<Duration>,
) -> Vec<u8> {
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(patience).unwrap();
    let (mut asked, mut rest, mut speaks) = (Vec::new(), Vec::new(), false);
    loop {
        match tls.read_tls(&mut socket) {
            Ok(1..) if tls.process_new_packets().is_ok() => {}
            // As one system or the other has it.
            Err(error) if [WouldBlock, TimedOut].contains(&error.kind()) => {
                let _ = socket.write_all(&mem::take(&mut rest));
            }
            _ => return asked,
        }
        let _ = tls.reader().read_to_end(&mut asked);
        let mut wire = written(&mut tls, b"");
        let may_speak =
            tls.protocol_version() == Some(ProtocolVersion::TLSv1_3) || !tls.is_handshaking();
        if !speaks && !wire.is_empty() && may_speak {
            speaks = true;
            let mut poison = written(&mut tls, POISON);
            let later = poison.split_off(bytes.min(poison.len()));
            wire.extend(poison);
            let _ = socket.write_all(&wire);
            rest = later;
        } else if rest.is_empty() {
            let _ = socket.write_all(&wire);
        } else {
            rest.extend(wire);
        }
    }
}

/// What the server's TLS puts on the wire for this.
fn written(tls: &mut ServerConnection, plain: &[u8]) -> Vec<u8> {
    tls.writer().write_all(plain).unwrap();
    let mut wire = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut wire).unwrap();
    }
    wire
}

fn config(versions: &[&'static SupportedProtocolVersion]) -> (Arc<ServerConfig>, String) {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([HOST.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &root).unwrap();
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .unwrap();
    config.send_half_rtt_data = true;
    (Arc::new(config), root.pem())
}
