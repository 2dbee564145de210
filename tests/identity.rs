//! Identity: our certificate at servers that demand one or merely ask, over TLS 1.2 and 1.3,
//! HTTP/1.1 and h2; what is told to who has none or the wrong one; and that the key stays ours.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

use std::fmt::{Debug, Display};
use std::fs;
use std::io::{self, Cursor, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::danger::HandshakeSignatureValid;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs::default_provider;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::{Certificate, Identity, RootStore};
use urlfetch::{Client, ClientBuilder, Error, ErrorKind, Result};

#[path = "support/scratch.rs"]
mod scratch;

use scratch::Scratch;

#[tokio::test]
async fn the_labs_server_takes_the_labs_identity_and_nobody_else() {
    let lab = Lab::start().await.unwrap();
    let url = lab.url(Scenario::ClientCertificateRequired);
    let (certificate, key) = lab.client_identity_pem();
    let ours = Identity::from_pem(certificate, key).unwrap();
    let client = lab
        .client_builder()
        .unwrap()
        .identity(ours)
        .build()
        .unwrap();
    let response = client.fetch(&url).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.verdict().unwrap().is_verified());

    let wrong = lab
        .client_builder()
        .unwrap()
        .identity(Minted::new().identity());
    for (client, is_ours) in [(wrong, false), (lab.client_builder().unwrap(), true)] {
        let error = client.build().unwrap().fetch(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        // TLS 1.3: the server's word comes after the request has gone.
        assert!(error.request_was_sent(), "{error}");
        assert!(
            error.verdict().unwrap().is_verified(),
            "the server's own was good"
        );
        let names_it = error
            .hint()
            .is_some_and(|hint| hint.contains("ClientBuilder::identity"));
        assert_eq!(names_it, is_ours, "{error}");
    }
}

/// What the server does, over each version and protocol, and what comes of it.
#[tokio::test]
async fn who_has_none_who_has_the_wrong_one_and_who_is_merely_asked() {
    let minted = Minted::new();
    let ours = || Some(minted.identity());
    for (version, protocol) in MATRIX {
        let case = format!("{version:?} {}", String::from_utf8_lossy(protocol));
        let is_tls13 = version.version == rustls::ProtocolVersion::TLSv1_3;
        let start = |door| Server::start(version, protocol, door);

        let (demands, asks) = (start(DEMANDS).await, start(ASKS).await);
        for server in [&demands, &asks] {
            let told = server.fetch(ours()).await.unwrap();
            assert_eq!(told, "CN=leaf, CN=lower", "{case}");
        }
        assert_eq!(asks.fetch(None).await.unwrap(), "", "{case}");

        let none = "asked for a client certificate, we have none, and it ended the connection (";
        let wrong = "was shown our client certificate and ended the connection (";
        let refuses = Door {
            admits: false,
            ..DEMANDS
        };
        let rows = [
            (
                DEMANDS,
                None,
                none,
                "received fatal alert: CertificateRequired)",
                "ClientBuilder::identity",
            ),
            (
                refuses,
                ours(),
                wrong,
                "received fatal alert: UnknownCA)",
                "has to trust",
            ),
            // Where the server does not wait, its alert may be lost.
            (
                Door {
                    is_abrupt: true,
                    ..DEMANDS
                },
                None,
                none,
                "",
                "ClientBuilder::identity",
            ),
            (
                Door {
                    is_abrupt: true,
                    ..refuses
                },
                ours(),
                wrong,
                "",
                "has to trust",
            ),
        ];
        for (door, identity, sentence, how, hint) in rows {
            let server = start(door).await;
            for _ in 0..if door.is_abrupt { 10 } else { 1 } {
                let error = server.fetch(identity.clone()).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Tls, "{case}, {door:?}: {error}");
                assert!(
                    error.to_string().contains(sentence),
                    "{case}, {door:?}: {error}"
                );
                assert!(error.to_string().contains(how), "{case}, {door:?}: {error}");
                assert!(
                    error.hint().unwrap().contains(hint),
                    "{case}, {door:?}: {error}"
                );
                assert_eq!(
                    error.request_was_sent(),
                    is_tls13,
                    "{case}, {door:?}: {error}"
                );
            }
        }

        // Without a word, nothing tells on TLS 1.3 whether it was for the certificate; on TLS 1.2
        // the server was content with that.
        let quiet = start(Door {
            hangs_up: true,
            ..ASKS
        })
        .await;
        let error = quiet.fetch(None).await.unwrap_err();
        match is_tls13 {
            true => assert!(
                error.to_string().contains("(without an answer)"),
                "{case}: {error}"
            ),
            false => assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{case}: {error}"),
        }
    }
}

#[tokio::test]
async fn every_form_and_door_is_shown_with_its_key() {
    let Minted {
        chain: [leaf, lower, upper],
        key,
    } = Minted::new();
    let pem = |ders: &[&CertificateDer<'_>]| -> String {
        ders.iter().map(|der| to_pem("CERTIFICATE", der)).collect()
    };
    let (in_order, backwards) = (pem(&[&leaf, &lower, &upper]), pem(&[&upper, &lower, &leaf]));
    let key_pem = key.serialize_pem();
    let both = format!("{}{key_pem}{}", pem(&[&lower]), pem(&[&leaf, &upper]));
    let scratch = Scratch::new();
    let path = |name: &str, content: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (cert_path, key_path) = (path("cert.pem", &backwards), path("cert.key", &key_pem));
    let both_path = path("both.pem", &both);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let own = |key: &KeyPair, name| {
        let certificate = params(name).self_signed(key).unwrap();
        Identity::from_pem(certificate.pem(), key.serialize_pem())
    };
    let reader = |pem: &str| Cursor::new(pem.to_owned().into_bytes());
    let der = |pem: &str| PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let cert_der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();

    let whole = "CN=leaf, CN=lower, CN=upper";
    let rows: Vec<(&str, Result<Identity>, &str)> = vec![
        ("in order", Identity::from_pem(&in_order, &key_pem), whole),
        ("backwards", Identity::from_pem(&backwards, &key_pem), whole),
        ("one text for both", Identity::from_pem(&both, &both), whole),
        (
            "files",
            Identity::from_pem_files(&cert_path, &key_path),
            whole,
        ),
        (
            "one file",
            Identity::from_pem_files(&both_path, &both_path),
            whole,
        ),
        (
            "readers",
            Identity::from_pem_readers(reader(&backwards), reader(&key_pem)),
            whole,
        ),
        (
            "open files",
            Identity::from_pem_readers(
                fs::File::open(&cert_path).unwrap(),
                fs::File::open(&key_path).unwrap(),
            ),
            whole,
        ),
        (
            "DER",
            Identity::from_der([&upper, &leaf, &lower], key.serialize_der()),
            whole,
        ),
        (
            "the leaf alone",
            Identity::from_der([&leaf], key.serialize_der()),
            "CN=leaf",
        ),
        ("Ed25519", own(&ed25519, "ed25519"), "CN=ed25519"),
        ("P-384", own(&p384, "p384"), "CN=p384"),
        ("SEC 1", Identity::from_pem(SEC1.0, SEC1.1), "CN=sec1"),
        ("PKCS #1", Identity::from_pem(PKCS1.0, PKCS1.1), "CN=pkcs1"),
        (
            "SEC 1 in DER",
            Identity::from_der([cert_der(SEC1.0)], der(SEC1.1).secret_der()),
            "CN=sec1",
        ),
        (
            "PKCS #1 in DER",
            Identity::from_der([cert_der(PKCS1.0)], der(PKCS1.1).secret_der()),
            "CN=pkcs1",
        ),
    ];
    for (version, protocol) in [MATRIX[0], MATRIX[3]] {
        let server = Server::start(version, protocol, DEMANDS).await;
        for (name, identity, shown) in &rows {
            let identity = identity
                .as_ref()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let told = server.fetch(Some(identity.clone())).await;
            let told = told.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(told, *shown, "{name}, {version:?}");
        }
    }
}

/// Each client has its own, and none is lent through a pool or a session.
#[tokio::test]
async fn an_identity_is_its_clients_alone() {
    let server = Server::start(&rustls::version::TLS13, b"h2", ASKS).await;
    let own = |name| {
        let key = KeyPair::generate().unwrap();
        let pem = params(name).self_signed(&key).unwrap().pem();
        Some(Identity::from_pem(pem, key.serialize_pem()).unwrap())
    };
    let clients = [(own("a"), "CN=a"), (own("b"), "CN=b"), (None, "")]
        .map(|(identity, shown)| (server.client(identity), shown));
    for _ in 0..2 {
        for (client, shown) in &clients {
            let response = client.fetch(server.url()).await.unwrap();
            assert_eq!(response.text().await.unwrap(), *shown);
        }
    }
    // A stream without HTTP shows it too.
    let mut stream = clients[0]
        .0
        .connect("127.0.0.1", server.addr.port())
        .await
        .unwrap();
    stream.flush().await.unwrap();
    while server.shown().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.shown(), ["CN=a", "CN=b", "CN=a"]);
}

/// Our certificate tells who we are: it goes to nobody who did not prove who he is.
#[tokio::test]
async fn no_certificate_of_ours_goes_to_a_peer_that_is_not_verified() {
    for (version, protocol) in MATRIX {
        let door = Door {
            is_elsewhere: true,
            ..DEMANDS
        };
        let server = Server::start(version, protocol, door).await;
        let identity = Minted::new().identity();
        let error = server.fetch(Some(identity.clone())).await.unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch", "{version:?}: {error}");
        // A connection that was used unverified gets it, so that the absence above means something.
        let loose = server.builder(Some(identity)).danger_accept_unverified();
        loose.build().unwrap().fetch(server.url()).await.unwrap();
        assert_eq!(server.shown(), ["CN=leaf, CN=lower"], "{version:?}");
    }
}

#[test]
fn each_mistake_names_its_source_and_no_key() {
    let Minted {
        chain: [leaf, lower, _],
        key,
    } = Minted::new();
    let (cert, key_pem) = (to_pem("CERTIFICATE", &leaf), key.serialize_pem());
    let stranger = Minted::new();
    let foreign_key = stranger.key.serialize_pem();
    let other = to_pem("CERTIFICATE", &stranger.chain[0]);
    let renamed = |label: &str| key_pem.replace("PRIVATE KEY", label);
    let half = &key_pem[..key_pem.len() / 2];
    let scratch = Scratch::new();
    let file = |name: &str, content: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (cert_file, key_file) = (file("our.pem", &cert), file("our.key", &key_pem));
    let (empty, half_file) = (file("empty", ""), file("half.key", half));
    let missing = scratch.path().join("missing");
    let pem = |cert: &str, key: &str| Identity::from_pem(cert, key);
    let files = |cert, key| Identity::from_pem_files(cert, key);

    let rows: Vec<(Result<Identity>, &[&str])> = vec![
        (
            files(&missing, &key_file),
            &["client certificate from ", "missing: there is nothing"],
        ),
        (
            files(&cert_file, &missing),
            &["private key from ", "missing: there is nothing"],
        ),
        (
            files(&empty, &key_file),
            &["client certificate from ", "empty: it is empty"],
        ),
        (
            files(&cert_file, &empty),
            &["private key from ", "empty: it is empty"],
        ),
        (
            files(&key_file, &cert_file),
            &["our.key: it holds no certificate", "swapped"],
        ),
        (
            files(&cert_file, &cert_file),
            &["our.pem: it holds no private key", "swapped"],
        ),
        (
            files(&cert_file, &half_file),
            &["half.key: entry 1 (line 1): ", "no END line"],
        ),
        (
            files(&cert_file, &scratch.path().to_owned()),
            &["private key from ", "it is a folder"],
        ),
        (
            pem(&cert, &foreign_key),
            &["from bytes belongs to no certificate from bytes"],
        ),
        (
            pem(&other, &key_pem),
            &["belongs to no certificate", "issued for it"],
        ),
        (
            pem(&(cert.clone() + &other), &key_pem),
            &["CN=leaf is neither the key's", "remove it"],
        ),
        (
            pem(&cert, &renamed("ENCRYPTED PRIVATE KEY")),
            &["is encrypted", "openssl pkey"],
        ),
        (
            pem(&cert, &renamed("OPENSSH PRIVATE KEY")),
            &["OPENSSH PRIVATE KEY is of a kind"],
        ),
        (
            pem(&cert, &renamed("RSA PRIVATE KEY")),
            &["is of a kind that is not supported"],
        ),
        (
            pem(&cert, &renamed("CERTIFICATE")),
            &["it holds no private key, but a certificate"],
        ),
        (
            pem(&renamed("CERTIFICATE"), &key_pem),
            &["entry 1 (line 1): the certificate cannot"],
        ),
        (
            pem(&cert, &key_pem.repeat(2)),
            &["entry 2 (line ", "second private key"],
        ),
        (
            pem(&cert, &key_pem.replace('\n', "")),
            &["were line breaks lost?"],
        ),
        (
            pem(&cert, &key_pem.replace('\n', " ")),
            &["were line breaks lost?"],
        ),
        (
            pem(&cert, &key_pem.replace("-----END", "----END")),
            &["has no END"],
        ),
        (
            pem(&cert, &key_pem.replace("MI", "M!")),
            &["base64 of the PRIVATE KEY is broken"],
        ),
        (
            pem(&cert, &key_pem[28..]),
            &["private key from bytes: entry 1 ", "without its BEGIN"],
        ),
        (
            pem(&cert, &key.serialize_pem().replace("-----", "")),
            &["so it is not PEM"],
        ),
        (
            Identity::from_pem_readers(cert.as_bytes(), Failing(key_pem.as_bytes())),
            &["private key from reader: reading failed", "pulled"],
        ),
        (
            Identity::from_pem_readers(cert.as_bytes(), io::repeat(b'A')),
            &["private key from reader: it is larger than 16 MiB"],
        ),
        (
            Identity::from_der([&leaf], &key_pem),
            &["private key from bytes: it is PEM"],
        ),
        (
            Identity::from_der([&lower], key.serialize_der()),
            &["belongs to no certificate"],
        ),
        (
            Identity::from_der([&leaf], &key.serialize_der()[..100]),
            &["private key from bytes", "of a kind that is not supported"],
        ),
        (
            Identity::from_der([key.serialize_der()], key.serialize_der()),
            &["client certificate from bytes: entry 1: it holds no certificate"],
        ),
    ];
    let secrets = Secrets::of(&[key.serialize_der(), stranger.key.serialize_der()]);
    for (outcome, words) in rows {
        let error: Error = outcome.expect_err(words[0]);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error}\nlacks {word}");
        }
        secrets.assert_absent_in(&error);
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            secrets.assert_absent_in(&cause);
            source = cause.source();
        }
    }
}

#[test]
fn nothing_that_holds_a_key_shows_it() {
    struct Shown<T>(T);
    impl<T: Debug> Debug for Shown<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }
    impl<T: Debug> Display for Shown<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:#?}", self.0)
        }
    }
    let minted = Minted::new();
    let secrets = Secrets::of(&[minted.key.serialize_der()]);
    let identity = minted.identity();
    assert!(
        format!("{identity:?}").contains("CN=leaf"),
        "who it is may be shown"
    );
    secrets.assert_absent_in(&Shown(&identity));
    let roots = RootStore::empty().add_der(&minted.chain[2]).unwrap();
    let builder = Client::builder().roots(roots).identity(identity);
    secrets.assert_absent_in(&Shown(&builder));
    let client = builder.build().unwrap();
    secrets.assert_absent_in(&Shown(&client));
    secrets.assert_absent_in(&Shown(client.fetch("https://example.com/")));
}

/// Keys, by every run of 12 characters of their base64, and of 8 bytes of their secret part as a
/// list of numbers or in hexadecimal.
struct Secrets(Vec<String>);

impl Secrets {
    fn of(keys: &[Vec<u8>]) -> Self {
        let mut runs = Vec::new();
        for key in keys {
            // What precedes the secret in PKCS #8, and the public key after it, are no secrets.
            let secret = &key[36..68];
            for bytes in secret.windows(8) {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let list = format!("{bytes:?}");
                runs.extend([hex, list.trim_matches(['[', ']']).to_owned()]);
            }
            let base64 = BASE64_STANDARD.encode(key);
            runs.extend((48..80).map(|start| base64[start..start + 12].to_owned()));
        }
        Self(runs)
    }

    fn assert_absent_in(&self, value: &(impl Debug + Display + ?Sized)) {
        for shown in [
            format!("{value}"),
            format!("{value:?}"),
            format!("{value:#?}"),
        ] {
            let plain = shown.to_lowercase();
            for run in &self.0 {
                assert!(
                    !shown.contains(run) && !plain.contains(run),
                    "{run} in {shown}"
                );
            }
        }
    }
}

/// Gives the bytes, then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the drive was pulled")),
            read => Ok(read),
        }
    }
}

/// A leaf, its issuer and its issuer's issuer; and the leaf's key.
struct Minted {
    chain: [CertificateDer<'static>; 3],
    key: KeyPair,
}

impl Minted {
    fn new() -> Self {
        let authority = |name| {
            let mut params = params(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().unwrap())
        };
        let (params_upper, key_upper) = authority("upper");
        let upper = CertifiedIssuer::self_signed(params_upper, key_upper).unwrap();
        let (params_lower, key_lower) = authority("lower");
        let lower = CertifiedIssuer::signed_by(params_lower, key_lower, &upper).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params("leaf").signed_by(&key, &lower).unwrap();
        Self {
            chain: [leaf.into(), lower.der().clone(), upper.der().clone()],
            key,
        }
    }

    /// The leaf with its issuer, given the wrong way round.
    fn identity(&self) -> Identity {
        let [leaf, lower, _] = &self.chain;
        Identity::from_der([lower, leaf], self.key.serialize_der()).unwrap()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// How a server treats its clients.
#[derive(Clone, Copy, Debug)]
struct Door {
    demands: bool,
    admits: bool,
    /// After the handshake, without a word.
    hangs_up: bool,
    /// Does not wait for us to read why it refuses.
    is_abrupt: bool,
    /// The server's own certificate is that of another host.
    is_elsewhere: bool,
}

const DEMANDS: Door = Door {
    demands: true,
    admits: true,
    hangs_up: false,
    is_abrupt: false,
    is_elsewhere: false,
};
const ASKS: Door = Door {
    demands: false,
    ..DEMANDS
};

/// An HTTPS server that answers with the subjects of the certificates it was shown.
struct Server {
    addr: SocketAddr,
    certificate: CertificateDer<'static>,
    doorman: Arc<Doorman>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(
        version: &'static SupportedProtocolVersion,
        protocol: &[u8],
        door: Door,
    ) -> Self {
        let provider = Arc::new(default_provider());
        let key = KeyPair::generate().unwrap();
        let host = if door.is_elsewhere {
            "elsewhere.test"
        } else {
            "127.0.0.1"
        };
        let certificate = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = CertificateDer::from(certificate.self_signed(&key).unwrap());
        let doorman = Arc::new(Doorman {
            door,
            provider: Arc::clone(&provider),
            shown: Mutex::default(),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(Arc::clone(&doorman) as _)
            .with_single_cert(
                vec![certificate.clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    match acceptor.accept(tcp).into_fallible().await {
                        Ok(_) if door.hangs_up => {}
                        Ok(tls) => serve(tls).await,
                        Err(_) if door.is_abrupt => {}
                        // So that the alert is read, and not overtaken by a reset.
                        Err((_, mut tcp)) => {
                            let _ = tcp.shutdown().await;
                            let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
                        }
                    }
                });
            }
        });
        Self {
            addr,
            certificate,
            doorman,
            _tasks: tasks,
        }
    }

    fn url(&self) -> String {
        format!("https://{}/", self.addr)
    }

    fn builder(&self, identity: Option<Identity>) -> ClientBuilder {
        let roots = RootStore::empty().add_der(&self.certificate).unwrap();
        let builder = Client::builder().roots(roots);
        match identity {
            Some(identity) => builder.identity(identity),
            None => builder,
        }
    }

    fn client(&self, identity: Option<Identity>) -> Client {
        self.builder(identity).build().unwrap()
    }

    /// What the server says to a client of this identity.
    async fn fetch(&self, identity: Option<Identity>) -> Result<String> {
        self.client(identity).fetch(self.url()).await?.text().await
    }

    /// The chains of all handshakes in which one was shown.
    fn shown(&self) -> Vec<String> {
        self.doorman.shown.lock().unwrap().clone()
    }
}

async fn serve(tls: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    let connection = tls.get_ref().1;
    let is_h2 = connection.alpn_protocol() == Some(b"h2");
    let subjects = subjects(connection.peer_certificates().unwrap_or_default());
    let service = service_fn(move |_| {
        let body = Full::new(hyper::body::Bytes::from(subjects.clone()));
        async { Ok::<_, io::Error>(http::Response::new(body)) }
    });
    let io = TokioIo::new(tls);
    // A client that hangs up is its own affair.
    if is_h2 {
        let builder = http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(io, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

fn subjects(chain: &[CertificateDer<'_>]) -> String {
    let subjects = chain
        .iter()
        .map(|der| Certificate::from_der(der).unwrap().subject());
    subjects.collect::<Vec<_>>().join(", ")
}

/// Looks at no issuer and no date, only at whether they hold the key.
#[derive(Debug)]
struct Doorman {
    door: Door,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Vec<String>>,
}

impl ClientCertVerifier for Doorman {
    fn client_auth_mandatory(&self) -> bool {
        self.door.demands
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        let chain = [std::slice::from_ref(end_entity), intermediates].concat();
        self.shown.lock().unwrap().push(subjects(&chain));
        match self.door.admits {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

const MATRIX: [(&SupportedProtocolVersion, &[u8]); 4] = [
    (&rustls::version::TLS12, b"http/1.1"),
    (&rustls::version::TLS12, b"h2"),
    (&rustls::version::TLS13, b"http/1.1"),
    (&rustls::version::TLS13, b"h2"),
];

/// Certificate and key in forms that cannot be minted.
const SEC1: (&str, &str) = (
    include_str!("../fixtures/ec-sec1.pem"),
    include_str!("../fixtures/ec-sec1.key"),
);
const PKCS1: (&str, &str) = (
    include_str!("../fixtures/rsa-pkcs1.pem"),
    include_str!("../fixtures/rsa-pkcs1.key"),
);
