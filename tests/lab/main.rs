//! The lab, seen by a client that is nothing but rustls with webpki's verifier and bytes over it.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

mod staples;

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use urlfetch::lab::{Expected, Lab, Scenario};

/// What rustls calls each refusal; the code beside it in `Scenario` is ours. What rustls does not
/// refuse is in [`staples`].
const REFUSALS: &[(Scenario, &str)] = &[
    (Scenario::WrongHost, "NotValidForName"),
    (Scenario::ValidForAnotherSite, "NotValidForName"),
    (Scenario::WildcardTooDeep, "NotValidForName"),
    (Scenario::CommonNameOnly, "NotValidForName"),
    (Scenario::IpForName, "NotValidForName"),
    (Scenario::Expired, "Expired"),
    (Scenario::NotYetValid, "NotValidYet"),
    (Scenario::SelfSigned, "UnknownIssuer"),
    (Scenario::SelfSignedCa, "CaUsedAsEndEntity"),
    (Scenario::UntrustedRoot, "UnknownIssuer"),
    (Scenario::MissingIntermediate, "UnknownIssuer"),
    (Scenario::CaAsLeaf, "CaUsedAsEndEntity"),
    (Scenario::WrongPurpose, "InvalidPurpose"),
    (Scenario::NameConstraintViolated, "NameConstraintViolation"),
    (Scenario::BadSignature, "BadSignature"),
    (Scenario::Version1, "UnsupportedCertVersion"),
];

#[tokio::test]
async fn each_bad_certificate_is_refused_for_its_own_reason_and_receives_nothing() {
    let lab = Lab::start().await.unwrap();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        for (scenario, name) in REFUSALS {
            let config = config(&lab, versions, None);
            let error = connect(&lab, *scenario, config).await.unwrap_err();
            let error = format!("{:?}", tls_error(&error));
            assert!(
                error.starts_with("InvalidCertificate("),
                "{scenario}: {error}"
            );
            assert!(error.contains(name), "{scenario}: {error}");
        }
    }
    for (scenario, _) in REFUSALS {
        lab.settled(*scenario).await;
        let counts = lab.counts(*scenario);
        assert_eq!(
            (counts.connections, counts.handshakes, counts.received),
            (2, 0, 0),
            "{scenario}"
        );
    }
}

#[test]
fn the_tables_of_refusals_are_whole() {
    let refused = Scenario::all().filter(|it| matches!(it.expected(), Expected::Refused(_)));
    let tables = [REFUSALS, staples::UNSEEN].concat();
    assert!(refused.eq(tables.iter().map(|(scenario, _)| *scenario)));
}

#[tokio::test]
async fn good_certificates_are_served_and_what_is_sent_is_counted() {
    let lab = Lab::start().await.unwrap();
    for scenario in Scenario::all().filter(|it| it.expected() == Expected::Fetched) {
        let host = scenario.host();
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let response = exchange(&lab, scenario, &request).await.unwrap();
        let ok: &[_] = &["HTTP/1.1 200 OK", "HTTP/1.1 302 Found"];
        assert!(
            ok.iter().any(|line| response.starts_with(line.as_bytes())),
            "{scenario}"
        );

        lab.settled(scenario).await;
        let counts = lab.counts(scenario);
        assert_eq!(
            (counts.connections, counts.handshakes),
            (1, 1),
            "{scenario}"
        );
        assert_eq!(counts.received, request.len() as u64, "{scenario}");
    }
}

#[tokio::test]
async fn protocols_and_versions() {
    let lab = Lab::start().await.unwrap();
    let offers: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (scenario, protocol, version) in [
        (Scenario::Good, &b"h2"[..], ProtocolVersion::TLSv1_3),
        (Scenario::GoodHttp1, b"http/1.1", ProtocolVersion::TLSv1_3),
        (Scenario::Tls12Only, b"h2", ProtocolVersion::TLSv1_2),
        (Scenario::ShortBody, b"http/1.1", ProtocolVersion::TLSv1_3),
    ] {
        let mut config = config(&lab, rustls::ALL_VERSIONS, None);
        config.alpn_protocols = offers.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = connect(&lab, scenario, config).await.unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(protocol),
            "{scenario}"
        );
        assert_eq!(
            stream.get_ref().1.protocol_version(),
            Some(version),
            "{scenario}"
        );
    }
}

#[tokio::test]
async fn http2_is_spoken() {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let lab = Lab::start().await.unwrap();
    let mut config = config(&lab, rustls::ALL_VERSIONS, None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect(&lab, Scenario::Good, config).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);

    let request = |path: &str, body: &'static str| {
        let url = lab.url_to(Scenario::Good, path);
        http::Request::post(url)
            .header("x-mine", "1")
            .body(Full::new(bytes::Bytes::from(body)))
            .unwrap()
    };
    let echo = sender
        .send_request(request("/echo?q", "payload"))
        .await
        .unwrap();
    let echo = String::from_utf8(echo.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let port = lab.addr(Scenario::Good).port();
    assert!(
        echo.starts_with(&format!(
            "POST /echo?q HTTP/2.0\nhost: good.lab.test:{port}\n"
        )),
        "{echo}"
    );
    assert!(echo.contains("\nx-mine: 1\n"), "{echo}");
    assert!(echo.ends_with("\n\npayload"), "{echo}");

    let bytes = sender
        .send_request(request("/bytes/3000000", ""))
        .await
        .unwrap();
    assert_eq!(bytes.collect().await.unwrap().to_bytes().len(), 3_000_000);
    drop(sender);
    connection.await.unwrap().unwrap();
    lab.settled(Scenario::Good).await;
    assert!(lab.received(Scenario::Good) > 0);
}

#[tokio::test]
async fn routes() {
    let lab = Lab::start().await.unwrap();
    let good = Scenario::Good;
    for (line, answer, within) in [
        ("GET /", "200 OK", "Hello from the urlfetch lab: good."),
        ("GET /status/404", "404 Not Found", "404 Not Found"),
        ("GET /status/204", "204 No Content", ""),
        ("GET /status/199", "400 Bad Request", ""),
        ("GET /status/70000", "400 Bad Request", ""),
        (
            "POST /status/308?location=%2Fecho",
            "308 Permanent Redirect",
            "location: /echo\r\n",
        ),
        ("GET /status/302?location=%0a", "400 Bad Request", ""),
        ("GET /bytes/5", "200 OK", "content-length: 5\r\n"),
        (
            "HEAD /bytes/18446744073709551615",
            "200 OK",
            "content-length: 18446744073709551615\r\n",
        ),
        ("GET /bytes/-1", "404 Not Found", ""),
        ("GET /redirect/2", "302 Found", "location: /redirect/1\r\n"),
        ("GET /redirect/0", "200 OK", ""),
        (
            "PUT /echo",
            "200 OK",
            "\r\n\r\nPUT /echo HTTP/1.1\nhost: x\nconnection: close\n\n",
        ),
        ("GET /nothing", "404 Not Found", ""),
    ] {
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let response = String::from_utf8(exchange(&lab, good, &request).await.unwrap()).unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {answer}\r\n")),
            "{line}: {response}"
        );
        assert!(response.contains(within), "{line}: {response}");
    }
}

#[tokio::test]
async fn codings_are_named() {
    let lab = Lab::start().await.unwrap();
    for (scenario, coding, length) in [
        (Scenario::Gzip, "gzip", 145),
        (Scenario::Deflate, "deflate", 133),
        (Scenario::DeflateRaw, "deflate", 127),
        (Scenario::Brotli, "br", 102),
        (Scenario::Zstd, "zstd", 123),
        (Scenario::BrokenCoding, "gzip", 145),
        (Scenario::DoubleCoding, "gzip, gzip", 145),
        (Scenario::DecompressionBomb, "gzip", 65_569),
    ] {
        let response = exchange(&lab, scenario, REQUEST).await.unwrap();
        let response = String::from_utf8_lossy(&response);
        assert!(
            response.contains(&format!("content-encoding: {coding}\r\n")),
            "{scenario}"
        );
        assert!(
            response.contains(&format!("content-length: {length}\r\n")),
            "{scenario}"
        );
    }
    assert_eq!(Lab::coded_text().lines().count(), 24);
}

#[tokio::test]
async fn redirects_name_the_other_servers() {
    let lab = Lab::start().await.unwrap();
    let plain = lab.addr(Scenario::PlainHttp);
    for (scenario, location) in [
        (Scenario::RedirectChain, "/redirect/2".to_owned()),
        (Scenario::RedirectLoop, "/".to_owned()),
        (
            Scenario::RedirectDowngrade,
            format!("http://plain-http.lab.test:{}/", plain.port()),
        ),
        (
            Scenario::RedirectCrossOrigin,
            lab.url_to(Scenario::Good, "/echo"),
        ),
    ] {
        let response = String::from_utf8(exchange(&lab, scenario, REQUEST).await.unwrap()).unwrap();
        assert!(
            response.starts_with("HTTP/1.1 302 Found\r\n"),
            "{scenario}: {response}"
        );
        assert!(
            response.contains(&format!("location: {location}\r\n")),
            "{scenario}: {response}"
        );
    }
}

#[tokio::test]
async fn raw_servers_end_as_they_say() {
    let lab = Lab::start().await.unwrap();
    for (scenario, end) in [
        (Scenario::ShortBody, "\r\n\r\nPart.\n"),
        (Scenario::ShortChunks, "\r\n\r\n6\r\nPart.\n\r\n"),
        (Scenario::GarbageReply, "220 lab.test ESMTP ready\r\n"),
    ] {
        let response = exchange(&lab, scenario, REQUEST).await.unwrap();
        assert!(response.ends_with(end.as_bytes()), "{scenario}");
    }

    let cut = exchange(&lab, Scenario::NoCloseNotify, REQUEST)
        .await
        .unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);

    // These two never end, so what has come is looked at, and the client leaves.
    for (scenario, seen) in [
        (Scenario::SlowHeaders, "\r\nunfinished: "),
        (Scenario::DrippingBody, "\r\n\r\n..."),
    ] {
        let config = config(&lab, rustls::ALL_VERSIONS, None);
        let mut stream = connect(&lab, scenario, config).await.unwrap();
        stream.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        while !response.ends_with(seen.as_bytes()) {
            response.push(stream.read_u8().await.unwrap());
        }
        drop(stream);
        lab.settled(scenario).await;
        assert_eq!(lab.received(scenario), REQUEST.len() as u64);
    }
}

#[tokio::test]
async fn the_big_body_is_big_and_does_not_say_so() {
    let lab = Lab::start().await.unwrap();
    let config = config(&lab, rustls::ALL_VERSIONS, None);
    let mut stream = connect(&lab, Scenario::BigBody, config).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut head = vec![0; 512];
    stream.read_exact(&mut head).await.unwrap();
    assert!(!String::from_utf8_lossy(&head).contains("content-length"));
    let rest = tokio::io::copy(&mut stream, &mut tokio::io::sink())
        .await
        .unwrap();
    assert!(rest > 64 * 1024 * 1024);
}

#[tokio::test]
async fn servers_that_do_not_speak_our_tls() {
    let lab = Lab::start().await.unwrap();
    for (scenario, error) in [
        (Scenario::OldTls, "ServerDoesNotSupportTls12Or13"),
        (Scenario::PlainHttp, "InvalidContentType"),
    ] {
        let refused = exchange(&lab, scenario, REQUEST).await.unwrap_err();
        assert!(
            format!("{:?}", tls_error(&refused)).contains(error),
            "{scenario}: {refused:?}"
        );
        lab.settled(scenario).await;
        let counts = lab.counts(scenario);
        assert_eq!(
            (counts.connections, counts.handshakes, counts.received),
            (1, 0, 0)
        );
    }

    let mut plain = TcpStream::connect(lab.addr(Scenario::PlainHttp))
        .await
        .unwrap();
    plain.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut response = String::new();
    plain.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert_eq!(lab.received(Scenario::PlainHttp), REQUEST.len() as u64);
}

#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let lab = Lab::start().await.unwrap();
    let scenario = Scenario::ClientCertificateRequired;
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        // More than fits the sockets' buffers: the alert must come through although all of it is
        // unread.
        let long = "x".repeat(8 * 1024 * 1024);
        let error = exchange_with(&lab, scenario, &long, config(&lab, versions, None)).await;
        let error = error.unwrap_err();
        let alert = format!("{:?}", tls_error(&error));
        let alerts = [
            "AlertReceived(CertificateRequired)",
            "AlertReceived(HandshakeFailure)",
        ];
        assert!(alerts.contains(&&*alert), "{versions:?}: {alert}");

        let identity = Some(lab.client_identity_pem());
        let response =
            exchange_with(&lab, scenario, REQUEST, config(&lab, versions, identity)).await;
        assert!(response.unwrap().starts_with(b"HTTP/1.1 200 OK"));
    }
    lab.settled(scenario).await;
    assert_eq!(
        (lab.connections(scenario), lab.handshakes(scenario)),
        (4, 2)
    );
    assert_eq!(lab.received(scenario), 2 * REQUEST.len() as u64);
}

#[tokio::test]
async fn a_client_that_does_not_verify_is_seen() {
    // The proof that 0 bytes can be anything else: TLS without a look at the name.
    let lab = Lab::start().await.unwrap();
    let mut stream = connect_as(&lab, Scenario::WrongHost, "www.wrong-host.lab.test").await;
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    drop(stream);
    lab.settled(Scenario::WrongHost).await;
    assert_eq!(lab.received(Scenario::WrongHost), REQUEST.len() as u64);
}

#[tokio::test]
async fn every_scenario_has_its_own_address_and_its_own_name() {
    let lab = Lab::start().await.unwrap();
    let addrs: BTreeSet<_> = Scenario::all().map(|scenario| lab.addr(scenario)).collect();
    assert_eq!(addrs.len(), Scenario::all().len());
    assert_eq!(
        lab.hosts().count(),
        Scenario::all().len() - 2,
        "two are asked for by address"
    );
    let by_ip = lab.addr(Scenario::GoodByIp);
    assert_eq!(lab.url(Scenario::GoodByIp), format!("https://{by_ip}/"));
    assert!(!format!("{lab:?}").contains("PRIVATE"));
}

#[tokio::test]
async fn stopping_the_lab_closes_its_ports_and_connections() {
    let lab = Lab::start().await.unwrap();
    let addrs: Vec<_> = Scenario::all().map(|scenario| lab.addr(scenario)).collect();
    let mut held = Vec::new();
    for addr in &addrs {
        held.push(TcpStream::connect(addr).await.unwrap());
    }
    lab.stop().await;
    assert!(are_closed(&addrs));
    for mut connection in held {
        assert!(matches!(connection.read(&mut [0]).await, Ok(0) | Err(_)));
    }
}

#[tokio::test]
async fn dropping_the_lab_closes_its_ports_and_connections() {
    let lab = Lab::start().await.unwrap();
    let config = config(&lab, rustls::ALL_VERSIONS, None);
    let mut held = connect(&lab, Scenario::SlowHeaders, config).await.unwrap();
    let addrs: Vec<_> = Scenario::all().map(|scenario| lab.addr(scenario)).collect();
    drop(lab);
    // An aborted task ends when the runtime comes to it, so the end is waited for.
    assert!(matches!(held.read(&mut [0]).await, Ok(0) | Err(_)));
    while !are_closed(&addrs) {
        tokio::task::yield_now().await;
    }
}

/// Whether these ports are closed, tried by taking them: to connect would be counted by whoever has
/// the port by now, such as another test's lab. For the same reason nine in ten will do.
fn are_closed(addrs: &[SocketAddr]) -> bool {
    let free = addrs
        .iter()
        .filter(|addr| TcpListener::bind(addr).is_ok())
        .count();
    free * 10 >= addrs.len() * 9
}

#[test]
fn a_lab_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: fn() -> T) {}
    shared::<Option<Lab>>(|| None);
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let mut start = std::pin::pin!(Lab::start());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = start.as_mut().poll(&mut cx) else {
        panic!("a lab without a runtime");
    };
    assert!(error.to_string().contains("no reactor"), "{error}");
}

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: lab.test\r\nconnection: close\r\n\r\n";

/// Sends the bytes of a request over verified TLS, and reads to the end.
async fn exchange(lab: &Lab, scenario: Scenario, request: &str) -> io::Result<Vec<u8>> {
    exchange_with(
        lab,
        scenario,
        request,
        config(lab, rustls::ALL_VERSIONS, None),
    )
    .await
}

async fn exchange_with(
    lab: &Lab,
    scenario: Scenario,
    request: &str,
    config: ClientConfig,
) -> io::Result<Vec<u8>> {
    let mut stream = connect(lab, scenario, config).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    Ok(response)
}

async fn connect(
    lab: &Lab,
    scenario: Scenario,
    config: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(scenario.host()).unwrap();
    let tcp = TcpStream::connect(lab.addr(scenario)).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// Connects as if another name had been asked for.
async fn connect_as(lab: &Lab, scenario: Scenario, name: &'static str) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(lab.addr(scenario)).await.unwrap();
    let config = config(lab, rustls::ALL_VERSIONS, None);
    let connector = TlsConnector::from(Arc::new(config));
    connector
        .connect(ServerName::try_from(name).unwrap(), tcp)
        .await
        .unwrap()
}

fn config(
    lab: &Lab,
    versions: &[&'static rustls::SupportedProtocolVersion],
    identity: Option<(&str, &str)>,
) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(lab));
    match identity {
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
        None => config.with_no_client_auth(),
    }
}

fn roots(lab: &Lab) -> RootCertStore {
    let ca = CertificateDer::from_pem_slice(lab.ca_pem().as_bytes()).unwrap();
    assert_eq!(lab.ca_der(), &*ca);
    let mut roots = RootCertStore::empty();
    roots.add(ca).unwrap();
    roots
}

fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

fn tls_error(error: &io::Error) -> &rustls::Error {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref())
        .unwrap_or_else(|| panic!("{error:?}"))
}
