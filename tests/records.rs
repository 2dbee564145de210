//! Bodies of many records of TLS: whole, however the records and what carries them are cut, and
//! what follows them on the same connection answers nobody.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use urlfetch::{Client, RootStore};

const HOST: &str = "records.test";

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
}

/// What follows the response, in one piece with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// A change of TLS's keys, which is its own affair (RFC 8446 §4.6.3).
    Keys,
    /// Another response, which nobody asked for.
    Poison,
    /// The end of the connection.
    Goodbye,
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
            let after = After::Nothing;
            replies.push(Reply {
                length,
                record,
                piece,
                after,
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
    let large = |length, after| Reply {
        length,
        record: 16_384,
        piece: usize::MAX,
        after,
    };
    for length in [100_000, 16_384 * 12, 333_333] {
        for (after, connections) in [
            (After::Nothing, 1),
            (After::Keys, 1),
            (After::Poison, 2),
            (After::Goodbye, 2),
        ] {
            let server = Server::start(vec![large(length, after), large(5, After::Nothing)]);
            run(async {
                let client = server.client();
                assert!(
                    server.fetch(&client).await == body(length),
                    "{length} {after:?}"
                );
                // The only thread blocks, and tokio's driver with it: all is there, and whoever has
                // not read it yet has not been told.
                server.said.lock().unwrap().recv().unwrap();
                assert_eq!(server.fetch(&client).await, body(5), "{length} {after:?}");
            });
            assert_eq!(server.connections(), connections, "{length} {after:?}");
        }
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
    /// Told of each reply when all of it is with the client's system.
    said: Mutex<Receiver<()>>,
}

impl Server {
    fn start(replies: Vec<Reply>) -> Self {
        let (config, ca_pem) = config();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        let (say, said) = mpsc::channel();
        let replies = Arc::new(Mutex::new(replies.into_iter()));
        thread::spawn(move || {
            for socket in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                let (config, say) = (Arc::clone(&config), say.clone());
                let replies = Arc::clone(&replies);
                thread::spawn(move || {
                    let next = || replies.lock().unwrap().next();
                    serve(
                        socket.unwrap(),
                        ServerConnection::new(config).unwrap(),
                        next,
                        &say,
                    )
                });
            }
        });
        Self {
            addr,
            ca_pem,
            connections,
            said: Mutex::new(said),
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

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One connection, until its client is gone or the replies are used up.
fn serve(
    mut socket: TcpStream,
    mut tls: ServerConnection,
    mut next: impl FnMut() -> Option<Reply>,
    say: &Sender<()>,
) {
    socket.set_nodelay(true).unwrap();
    let mut asked = Vec::new();
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
        let mut wire = Vec::new();
        // What TLS had to say by itself.
        while tls.wants_write() {
            tls.write_tls(&mut wire).unwrap();
        }
        let mut put = |tls: &mut ServerConnection, bytes: &[u8]| {
            tls.writer().write_all(bytes).unwrap();
            while tls.wants_write() {
                tls.write_tls(&mut wire).unwrap();
            }
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            reply.length
        );
        put(&mut tls, head.as_bytes());
        for record in body(reply.length).chunks(reply.record) {
            put(&mut tls, record);
        }
        match reply.after {
            After::Nothing => {}
            After::Keys => tls.refresh_traffic_keys().unwrap(),
            After::Poison => put(
                &mut tls,
                b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
            ),
            After::Goodbye => tls.send_close_notify(),
        }
        put(&mut tls, b"");
        for piece in wire.chunks(reply.piece) {
            // A client that is gone has seen enough.
            let _ = socket.write_all(piece);
        }
        let _ = say.send(());
    }
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
