//! Bodies of many records of TLS: whole, however the records and what carries them are cut, and
//! what follows them on the same connection answers nobody.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

use std::io::{Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use urlfetch::{Client, ErrorKind, RootStore};

const HOST: &str = "records.test";

/// No wait is so long that does not last for ever.
const HANG: Duration = Duration::from_secs(20);

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

/// What follows the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// A change of TLS's keys, which is its own affair (RFC 8446 §4.6.3).
    Keys,
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
                after: After::Nothing,
                late: false,
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
                let first = Reply {
                    length,
                    record: 16_384,
                    piece: usize::MAX,
                    after,
                    late,
                };
                let second = Reply {
                    length: 5,
                    after: After::Nothing,
                    late: false,
                    ..first
                };
                let server = Server::start(vec![first, second]);
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

/// Though it has left the socket, which would tell of it, and no other request looks.
#[test]
fn an_end_that_came_with_the_body_closes_the_connection() {
    for length in [5, 20_000, 333_333] {
        let reply = Reply {
            length,
            record: 16_384,
            piece: usize::MAX,
            after: After::Goodbye,
            late: false,
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
            piece: usize::MAX,
            after: After::Fault,
            late: false,
        }]);
        run(async {
            let url = format!("https://{HOST}:{}/", server.addr.port());
            let response = server.client().fetch(url).await.unwrap();
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
    fn start(replies: Vec<Reply>) -> Self {
        let (config, ca_pem) = config();
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
        let roots = RootStore::empty().add_pem(&self.ca_pem).unwrap();
        let client = Client::builder().roots(roots).no_proxy();
        client.resolve(HOST, [self.addr]).build().unwrap()
    }

    async fn fetch(&self, client: &Client) -> Vec<u8> {
        let url = format!("https://{HOST}:{}/", self.addr.port());
        client
            .fetch(url)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec()
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
            After::Keys => tls.refresh_traffic_keys().unwrap(),
            After::Poison | After::Begun(_) => {
                said = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
            }
            After::Goodbye => tls.send_close_notify(),
        }
        let mut said = written(&mut tls, said);
        if let After::Begun(bytes) = reply.after {
            rest = said.split_off(bytes);
        }
        wire.extend(said);
        send(&wire);
        if reply.after != After::Nothing {
            gate.wait();
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

fn config() -> (Arc<ServerConfig>, String) {
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
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .unwrap();
    (Arc::new(config), root.pem())
}
