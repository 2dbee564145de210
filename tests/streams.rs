//! Verified streams for other protocols than HTTP, dialled and wrapped: what they carry, what they
//! offer by ALPN, which clocks and which rules of verification hold for them, which sessions they
//! share, and what their errors say.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use urlfetch::tls::Policy;
use urlfetch::{Client, ConnectBuilder, Error, ErrorKind, Phase, TlsStream, WrapBuilder};

#[expect(dead_code, reason = "HTTPSVERIFY's own tests need more of it")]
#[path = "support/child.rs"]
mod child;
#[path = "support/scratch.rs"]
mod scratch;
#[expect(dead_code, reason = "the tests of peers need more of it")]
#[path = "support/tls_server.rs"]
mod server;

use child::{Warnings, alone};
use server::{HOST, Server, Terms, builder, client};

#[tokio::test]
async fn what_is_written_comes_back_and_both_ends_say_goodbye() {
    for version in [&TLS13, &TLS12] {
        let server = server(Terms {
            version,
            ..Terms::default()
        })
        .await;
        let port = server.addr.port();
        let client = client();
        // In both ways of opening one.
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        let awaited: TlsStream = client.connect(HOST, port).await.unwrap();
        let opened: TlsStream = client.connect(HOST, port).open().await.unwrap();
        let wrapped: TlsStream = client.wrap(tcp, HOST).await.unwrap();
        for mut stream in [awaited, opened, wrapped] {
            assert_eq!(stream.get_ref().unwrap().peer_addr().unwrap(), server.addr);
            let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
            let (mut reader, mut writer) = tokio::io::split(&mut stream);
            let mut echo = vec![0; data.len()];
            let (read, written) =
                tokio::join!(reader.read_exact(&mut echo), writer.write_all(&data));
            read.unwrap();
            written.unwrap();
            assert!(echo == data);
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
        for seen in server.seen(3).await {
            assert!(seen.closed_well, "close_notify is sent");
            assert_eq!(seen.received.len(), 400_000);
            assert_eq!(seen.offered, [""; 0]);
        }
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error() {
    let server = server(Terms::default()).await;
    let mut stream = connect(&client(), &server).await.unwrap();
    stream.write_all(b"cut\n").await.unwrap();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// One that is not `Send`, and one that is borrowed.
#[tokio::test]
async fn any_stream_can_be_wrapped() {
    let server = server(Terms::default()).await;
    let client = client();
    let mut tcp = TcpStream::connect(server.addr).await.unwrap();
    let mut stream = client.wrap(&mut tcp, HOST).open().await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();

    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let stays = Stays(tcp, Rc::new(()));
    let mut stream = client.wrap(stays, HOST).open().await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    let Stays(_, alone) = stream.get_ref().unwrap();
    assert_eq!(Rc::strong_count(alone), 1);

    fn is_send(_: &(impl Send + ?Sized)) {}
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    is_send(&client.wrap(tcp, HOST).open());
    is_send(&client.connect(HOST, 1).open());
}

struct Stays(TcpStream, Rc<()>);

impl AsyncRead for Stays {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stays {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn alpn_offers_what_was_said_and_tells_what_was_chosen() {
    // What the server speaks, what is offered, what is chosen.
    for (speaks, offered, chosen) in [
        (&["imap", "smtp"][..], &["smtp"][..], Some("smtp")),
        (&["imap", "smtp"], &["smtp", "imap"], Some("imap")),
        (&["smtp"], &[], None),
        // One that does not know ALPN goes on without.
        (&[], &["smtp"], None),
    ] {
        let server = server(Terms {
            alpn: speaks,
            ..Terms::default()
        })
        .await;
        let client = client();
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        for mut stream in [
            client
                .connect(HOST, server.addr.port())
                .alpn(offered)
                .await
                .unwrap(),
            client.wrap(tcp, HOST).alpn(offered).await.unwrap(),
        ] {
            assert_eq!(stream.peer().alpn(), chosen.map(str::as_bytes));
            stream.shutdown().await.unwrap();
        }
        for seen in server.seen(2).await {
            assert_eq!(seen.offered, offered);
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_none_of_what_is_offered_is_no_stream() {
    for version in [&TLS13, &TLS12] {
        let server = server(Terms {
            version,
            alpn: &["imap"],
            ..Terms::default()
        })
        .await;
        for error in both(&server, client(), |stream| stream.alpn(["smtp"])).await {
            assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
            let sentence = error.to_string();
            let none = "the server speaks none of the protocols that ALPN offered it";
            assert!(sentence.contains(none), "{sentence}");
            assert!(sentence.contains(HOST), "{sentence}");
        }
    }
}

#[tokio::test]
async fn protocols_that_cannot_be_offered_are_a_mistake_in_the_request() {
    let server = server(Terms::default()).await;
    let port = server.addr.port();
    for (protocols, sentence) in [
        (
            vec![vec![]],
            "a protocol for ALPN has 0 bytes, where 1 to 255 can be offered",
        ),
        (
            vec![vec![b'x'; 255], vec![b'x'; 256]],
            "a protocol for ALPN has 256 bytes, where 1 to 255 can be offered",
        ),
        (
            vec![vec![b'x'; 255]; 1_000],
            "the protocols for ALPN have 256000 bytes together, and at most 8192 are offered",
        ),
    ] {
        let [dialled, wrapped] =
            both(&server, client(), |stream| stream.alpn(protocols.clone())).await;
        assert_eq!(dialled.kind(), ErrorKind::InvalidRequest);
        assert_eq!(dialled.to_string(), format!("{sentence} ({HOST}:{port})"));
        assert_eq!(wrapped.kind(), ErrorKind::InvalidRequest);
        assert_eq!(wrapped.to_string(), format!("{sentence} ({HOST})"));
    }
    // The last word counts.
    let stream = client().connect(HOST, port).alpn([""]).alpn(["x"; 32]);
    assert!(stream.await.is_ok());
    // Of the mistakes no connection came; of the others, one.
    assert_eq!(server.seen(1).await.len(), 1);
}

#[tokio::test]
async fn a_host_that_is_none_is_said() {
    for host in ["", "a/b", "user@tls.test", "tls.test:1", "a..b", "-a.test"] {
        for error in [
            client().connect(host, 5433).await.unwrap_err(),
            client()
                .wrap(tokio::io::duplex(1).0, host)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{host}");
            let sentence = format!("\"{host}\" is not a host that can be verified");
            assert_eq!(error.to_string(), sentence);
        }
    }
    let error = client().connect(HOST, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUrl);
    assert_eq!(
        error.to_string(),
        "port 0 of \"tls.test\" cannot be dialled"
    );
}

/// Sessions belong to one list of protocols, in its order: a ticket that was issued under one
/// never goes with another.
#[tokio::test]
async fn tickets_do_not_cross_lists_of_protocols() {
    for version in [&TLS13, &TLS12] {
        let server = server(Terms {
            version,
            alpn: &["http/1.1", "smtp", "imap"],
            ..Terms::default()
        })
        .await;
        let client = client();
        let lists: [&[&str]; 5] = [
            &[],
            &["smtp"],
            &["imap"],
            &["imap", "smtp"],
            &["smtp", "imap"],
        ];
        for round in [false, true] {
            let response = client.fetch(server.url()).await.unwrap();
            response.bytes().await.unwrap();
            for list in lists {
                let tcp = TcpStream::connect(server.addr).await.unwrap();
                let port = server.addr.port();
                for mut stream in [
                    client.connect(HOST, port).alpn(list).await.unwrap(),
                    client.wrap(tcp, HOST).alpn(list).await.unwrap(),
                ] {
                    assert_eq!(stream.peer().is_resumed(), round, "{list:?}");
                    // The tickets of TLS 1.3 come with the first data.
                    stream.write_all(b"hello\n").await.unwrap();
                    stream.read_exact(&mut [0; 6]).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        }
        let seen = server.seen(4 * lists.len()).await;
        let resumed = |kind| Some(kind) == Some(HandshakeKind::Resumed);
        let count = seen
            .iter()
            .filter(|seen| seen.handshake.is_some_and(resumed));
        assert_eq!(count.count(), 2 * lists.len());
    }
}

/// That it ends what is under way is tested with the other deadlines.
#[tokio::test]
async fn a_deadline_that_is_over_before_it_has_begun_lets_nothing_out() {
    let server = server(Terms::default()).await;
    let port = server.addr.port();
    let [dialled, wrapped] =
        both(&server, client(), |stream| stream.deadline(Duration::ZERO)).await;
    for (error, whose) in [
        (dialled, format!("{HOST}:{port}")),
        (wrapped, HOST.to_owned()),
    ] {
        assert_eq!(
            error.to_string(),
            format!("the deadline of 0ns ended while waiting for its turn ({whose})")
        );
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!(error.phase(), Some(Phase::Queued));
        assert!(error.url().is_none() && error.verdict().is_none());
    }
    let _ = connect(&client(), &server).await.unwrap();
    assert_eq!(server.seen(1).await.len(), 1);
}

#[tokio::test]
async fn every_error_names_whom_the_stream_was_to() {
    // Nobody listens.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let error = client().connect(HOST, port).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Connect, Some(Phase::Connect))
    );
    let sentence = error.to_string();
    assert!(
        sentence.starts_with(&format!("connecting to {HOST}:{port} failed: ")),
        "{sentence}"
    );
    assert!(error.timings().dns().is_some());

    // The name has no address.
    let nowhere = builder().resolve("nowhere.test", []).build().unwrap();
    let error = nowhere.connect("nowhere.test", 5433).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert!(error.to_string().contains("nowhere.test"), "{error}");
    assert!(error.to_string().contains("5433"), "{error}");

    // Another host answers.
    let server = server(Terms::default()).await;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let other = builder().resolve("other.test", [addr]).build().unwrap();
    let port = server.addr.port();
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    for (error, remote) in [
        (
            other.connect("other.test", port).await.unwrap_err(),
            format!(" (127.0.0.1:{port})"),
        ),
        (
            other.wrap(tcp, "other.test").await.unwrap_err(),
            String::new(),
        ),
    ] {
        assert_eq!(error.code(), "hostname-mismatch");
        assert_eq!(
            error.to_string(),
            format!(
                "certificate for \"other.test\" was refused: hostname-mismatch: the certificate is \
                 valid for {HOST}; it was checked for \"other.test\"{remote}"
            )
        );
        assert_eq!(error.phase(), Some(Phase::Tls));
        assert!(error.timings().tls().is_some());
        assert!(!error.verdict().unwrap().is_verified());
        assert!(!error.request_was_sent());
    }
    for seen in server.seen(2).await {
        assert_eq!((seen.handshake, seen.received.len()), (None, 0));
    }

    // What answers speaks no TLS.
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = plain.accept().await {
            let _ = tcp.write_all(b"220 mail.example ESMTP\r\n").await;
            let _ = tcp.read(&mut [0; 4096]).await;
        }
    });
    let tcp = TcpStream::connect(addr).await.unwrap();
    let error = client().wrap(tcp, HOST).await.unwrap_err();
    let sentence = format!("the TLS handshake with {HOST} failed: the server does not speak TLS");
    assert!(error.to_string().starts_with(&sentence), "{error}");
    assert!(!error.to_string().contains(&format!("{HOST}:")), "{error}");
}

#[tokio::test]
async fn the_policy_of_the_host_holds() {
    let server = server(Terms {
        version: &TLS12,
        ..Terms::default()
    })
    .await;
    let newer = Policy::default().min_version(urlfetch::tls::Version::Tls13);
    let strict = builder().policy_for(HOST, newer).build().unwrap();
    for error in both(&server, strict, |stream| stream).await {
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(
            error
                .to_string()
                .contains("TLS 1.3, which the policy demands"),
            "{error}"
        );
    }
}

/// A call may do without verification, loudly, and one that may not is not served by what it left.
#[test]
fn a_stream_may_do_without_verification_if_it_says_so() {
    let test = "a_stream_may_do_without_verification_if_it_says_so";
    alone(test, [("HTTPSVERIFY", "")], || async {
        let warnings = Warnings::record();
        let server = server(Terms::default()).await;
        let client = strangers_client();
        let port = server.addr.port();
        for _ in 0..2 {
            let tcp = TcpStream::connect(server.addr).await.unwrap();
            let connecting = client.connect(HOST, port).validate_certificate(false);
            let wrapping = client.wrap(tcp, HOST).validate_certificate(false);
            let dialled = connecting.await.unwrap();
            let after_one = warnings.take();
            let given = wrapping.await.unwrap();
            let after_both = warnings.take();
            for (stream, warnings, port) in [
                (dialled, after_one, Some(format!("server.port={port} "))),
                (given, after_both, None),
            ] {
                assert!(!stream.verdict().is_verified());
                let [warning] = &warnings[..] else {
                    panic!("one connection, one warning: {warnings:?}");
                };
                assert!(warning.contains("server.address=\"tls.test\""), "{warning}");
                match port {
                    Some(port) => assert!(warning.contains(&port), "{warning}"),
                    None => assert!(!warning.contains("server.port"), "{warning}"),
                }
            }
            for error in both(&server, client.clone(), |stream| stream).await {
                assert_eq!(error.code(), "unknown-issuer");
            }
        }
        // The client does without, and the call does not.
        let careless = builder().roots(strangers()).danger_accept_unverified();
        let careless = careless.build().unwrap();
        for error in both(&server, careless, |stream| stream.validate(true)).await {
            assert_eq!(error.code(), "unknown-issuer");
        }
        assert_eq!(warnings.take(), [""; 0]);
    });
}

#[test]
fn where_verification_is_required_no_stream_does_without() {
    let test = "where_verification_is_required_no_stream_does_without";
    alone(test, [("HTTPSVERIFY", "1")], || async {
        let server = server(Terms::default()).await;
        for error in both(&server, strangers_client(), |stream| stream.validate(false)).await {
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            let sentence = error.to_string();
            assert!(sentence.contains("HTTPSVERIFY"), "{sentence}");
            assert!(sentence.contains(HOST), "{sentence}");
        }
        for error in both(&server, strangers_client(), |stream| stream).await {
            assert_eq!(error.code(), "unknown-issuer");
        }
        // Nothing came of the first two.
        let _ = client().connect(HOST, server.addr.port()).await.unwrap();
        assert_eq!(server.seen(2).await.len(), 2);
    });
}

#[test]
fn where_verification_is_off_a_stream_can_demand_it() {
    let test = "where_verification_is_off_a_stream_can_demand_it";
    let variables = [("HTTPSVERIFY", "0"), ("SSL_CERT_FILE", "ca.pem")];
    alone(test, variables, || async {
        let lab = urlfetch::lab::Lab::start().await.unwrap();
        std::fs::write("ca.pem", lab.ca_pem()).unwrap();
        let server = server(Terms::default()).await;
        let tcp = async || TcpStream::connect(server.addr).await.unwrap();
        let client = Client::new().unwrap();
        let stream = client.wrap(tcp().await, HOST).await.unwrap();
        assert!(!stream.verdict().is_verified());
        let demanding = client.wrap(tcp().await, HOST).validate_certificate(true);
        assert_eq!(demanding.await.unwrap_err().code(), "unknown-issuer");
    });
}

#[tokio::test]
async fn what_debug_shows_of_a_builder_is_for_whom_it_is() {
    let connecting = client().connect("[::1]", 5433);
    assert_eq!(
        format!("{connecting:?}"),
        "ConnectBuilder { host: [::1]:5433, .. }"
    );
    let (ours, _theirs) = tokio::io::duplex(1);
    let wrapping = client().wrap(ours, "DB.example.");
    assert_eq!(
        format!("{wrapping:?}"),
        "WrapBuilder { host: db.example., .. }"
    );
}

#[test]
fn a_stream_is_opened_in_the_runtime_in_which_it_was_begun() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let server = first.block_on(server(Terms::default()));
    let tcp = first.block_on(TcpStream::connect(server.addr)).unwrap();
    let port = server.addr.port();
    for mut opening in [
        client().connect(HOST, port).into_future(),
        client().wrap(tcp, HOST).into_future(),
    ] {
        first.block_on(poll_fn(|cx| {
            assert!(opening.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        let error = second.block_on(opening).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(HOST), "{error}");
        assert!(!error.request_was_sent());
    }
}

async fn server(terms: Terms) -> Server {
    Server::start(terms).await
}

async fn connect(client: &Client, server: &Server) -> Result<TlsStream, Error> {
    client.connect(HOST, server.addr.port()).await
}

/// The errors of a stream that was dialled and of one that was given, asked for in the same way.
async fn both(server: &Server, client: Client, ask: impl Fn(Asks) -> Asks) -> [Error; 2] {
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let dialled = Asks::Dialled(client.connect(HOST, server.addr.port()));
    let given = Asks::Given(client.wrap(tcp, HOST));
    let errors = [ask(dialled).error().await, ask(given).error().await];
    for error in &errors {
        assert!(!error.request_was_sent(), "{error}");
    }
    errors
}

enum Asks {
    Dialled(ConnectBuilder),
    Given(WrapBuilder<TcpStream>),
}

impl Asks {
    fn alpn<P: AsRef<[u8]>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        match self {
            Self::Dialled(stream) => Self::Dialled(stream.alpn(protocols)),
            Self::Given(stream) => Self::Given(stream.alpn(protocols)),
        }
    }

    fn deadline(self, deadline: Duration) -> Self {
        match self {
            Self::Dialled(stream) => Self::Dialled(stream.deadline(deadline)),
            Self::Given(stream) => Self::Given(stream.deadline(deadline)),
        }
    }

    fn validate(self, validate: bool) -> Self {
        match self {
            Self::Dialled(stream) => Self::Dialled(stream.validate_certificate(validate)),
            Self::Given(stream) => Self::Given(stream.validate_certificate(validate)),
        }
    }

    fn error(self) -> Pin<Box<dyn Future<Output = Error> + Send>> {
        Box::pin(async move {
            let outcome = match self {
                Self::Dialled(stream) => stream.await,
                Self::Given(stream) => stream.await,
            };
            outcome.expect_err("the stream must not open")
        })
    }
}

/// One that does not trust the servers.
fn strangers_client() -> Client {
    builder().roots(strangers()).build().unwrap()
}

fn strangers() -> urlfetch::RootStore {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.distinguished_name
        .push(rcgen::DnType::CommonName, "a stranger");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = root.self_signed(&key).unwrap();
    urlfetch::RootStore::empty().add_pem(root.pem()).unwrap()
}
