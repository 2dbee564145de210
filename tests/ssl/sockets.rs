//! `wrap_socket` and `get_server_certificate`: the programs that App Engine's documentation gave,
//! and what must come of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::ssl::{self, Pem, WrapSocket};
use urlfetch::tls::{CrlStore, Version};
use urlfetch::{ErrorKind, Identity, Policy, Result, RootStore, TlsStream};

use crate::child::{Warnings, alone};
use crate::context::other_ca;
use crate::scratch::Scratch;
use crate::script::{HOST, Server, builder};

async fn tcp(lab: &Lab, scenario: Scenario) -> TcpStream {
    TcpStream::connect(lab.addr(scenario)).await.unwrap()
}

/// The program of the Python wiki's page on SSL: it connects to a host's address, verifies the
/// certificate, and never notices that the certificate is not the address's.
#[tokio::test]
async fn an_address_is_not_the_name_in_the_certificate() {
    let lab = Lab::start().await.unwrap();
    let scratch = Scratch::new();
    let cacerts = scratch.path().join("cacerts.txt");
    fs::write(&cacerts, lab.ca_pem()).unwrap();

    let scenario = Scenario::Good;
    let host = lab.addr(scenario).ip().to_string();
    let sock = tcp(&lab, scenario).await;
    let error = ssl::wrap_socket(sock, &host)
        .cert_reqs(ssl::CERT_REQUIRED)
        .ca_certs(&cacerts)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(error.code(), "hostname-mismatch");
    let names = "good.lab.test; it was checked for \"127.0.0.1\"";
    assert!(error.to_string().contains(names), "{error}");
    lab.settled(scenario).await;
    assert_eq!(lab.received(scenario), 0);

    // By its name it is the host's, and where the certificate has the address, by that.
    for scenario in [scenario, Scenario::GoodByIp] {
        let sock = tcp(&lab, scenario).await;
        let stream = ssl::wrap_socket(sock, scenario.host()).ca_certs(&cacerts);
        assert!(stream.await.unwrap().verdict().is_verified());
    }
}

/// The program of App Engine's page on SSL: key and certificate come from memory, as an app could
/// not write files. So does one of files, and one file that has both.
#[tokio::test]
async fn key_and_certificate_are_shown_wherever_they_come_from() {
    let lab = Lab::start().await.unwrap();
    let (cert_str, key_str) = lab.client_identity_pem();
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path().join(name);
    fs::write(at("client.pem"), cert_str).unwrap();
    fs::write(at("client.key"), key_str).unwrap();
    let both = format!("{cert_str}{key_str}");
    fs::write(at("both.pem"), &both).unwrap();

    let scenario = Scenario::ClientCertificateRequired;
    let memory = |text: &str| Pem::reader(text.as_bytes());
    for (certfile, keyfile) in [
        (memory(cert_str), Some(memory(key_str))),
        (at("client.pem").into(), Some(at("client.key").into())),
        (memory(cert_str), Some(at("client.key").into())),
        (memory(&both), None),
        (at("both.pem").into(), None),
        (at("both.pem").into(), Some(at("both.pem").into())),
    ] {
        let mut wrapping = ssl::wrap_socket(tcp(&lab, scenario).await, scenario.host())
            .certfile(certfile)
            .cert_reqs(ssl::CERT_REQUIRED)
            .ssl_version(ssl::PROTOCOL_SSLv23)
            .ca_certs(memory(lab.ca_pem()));
        if let Some(keyfile) = keyfile {
            wrapping = wrapping.keyfile(keyfile);
        }
        let stream = wrapping.await.unwrap();
        assert!(stream.verdict().is_verified());
        assert!(get(stream).await.unwrap().starts_with("HTTP/1.1 200 "));
    }
    let nobody = ssl::wrap_socket(tcp(&lab, scenario).await, scenario.host());
    let stream = nobody.ca_certs(memory(lab.ca_pem())).await.unwrap();
    // TLS 1.3: the server's word comes after the handshake.
    assert!(get(stream).await.is_err());
}

async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    let request = b"GET / HTTP/1.1\r\nhost: lab.test\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

/// Each is told before a byte is written, and nothing of a key with it.
#[tokio::test]
async fn what_cannot_be_shown_or_spoken_or_trusted_is_told_when_it_is_awaited() {
    type Wrapping = WrapSocket<tokio::io::DuplexStream>;
    type Says = Box<dyn Fn(Wrapping) -> Wrapping>;
    let lab = Lab::start().await.unwrap();
    let (cert, key) = lab.client_identity_pem();
    let (cert, key) = (cert.to_owned(), key.to_owned());
    let encrypted = key.replace(" PRIVATE KEY", " ENCRYPTED PRIVATE KEY");
    let stranger = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let memory = |text: &str| Pem::reader(text.as_bytes());
    let pair = |cert: &str, key: &str| -> Says {
        let (cert, key) = (cert.to_owned(), key.to_owned());
        Box::new(move |wrapping| wrapping.certfile(memory(&cert)).keyfile(memory(&key)))
    };
    let (alone, text, pem) = (key.clone(), key.clone(), cert.clone());
    let cases: [(Says, &str); 13] = [
        (
            Box::new(move |wrapping| wrapping.keyfile(memory(&alone))),
            "a keyfile was given without the certfile",
        ),
        (
            Box::new(|wrapping| wrapping.certfile("/none/client.pem")),
            "/none/client.pem: there is nothing at this path",
        ),
        // A text is no file's name.
        (
            Box::new(move |wrapping| wrapping.certfile(memory(&pem)).keyfile(&text)),
            "cannot read the private key from PEM text: it was given where a path was expected",
        ),
        (pair(&cert, &encrypted), "the private key is encrypted"),
        (pair(&cert, &stranger), "belongs to no certificate"),
        (pair(&key, &cert), "were certificate and key swapped?"),
        (pair(&cert, ""), "it is empty"),
        (pair(&cert, &cert), "it holds no private key"),
        (
            Box::new(|wrapping| wrapping.ssl_version(ssl::PROTOCOL_TLSv1)),
            "PROTOCOL_TLSv1 asks for TLS 1.0, which is not spoken (RFC 8996)",
        ),
        (
            Box::new(|wrapping| wrapping.ssl_version(ssl::PROTOCOL_TLSv1_1)),
            "PROTOCOL_TLSv1_1 asks for TLS 1.1, which is not spoken (RFC 8996)",
        ),
        (
            Box::new(|wrapping| wrapping.ca_certs("/none/ca-certificates.crt")),
            "/none/ca-certificates.crt: there is nothing at this path",
        ),
        (
            Box::new(move |wrapping| wrapping.ca_certs(memory(""))),
            "it is empty",
        ),
        // The first mistake of several.
        (
            Box::new(|wrapping| {
                let wrapping = wrapping.ssl_version(ssl::PROTOCOL_SSLv3);
                wrapping.ca_certs("/none/ca-certificates.crt")
            }),
            "PROTOCOL_SSLv3",
        ),
    ];
    let secret = key.lines().nth(1).unwrap();
    for (says, why) in cases {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let error = says(ssl::wrap_socket(ours, "good.lab.test"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(why), "{error}\n{why}");
        assert!(!format!("{error} {error:?}").contains(secret));
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"", "{why}");
    }
}

/// Python's mistake that is made most easily: the text itself, where the name of its file belongs.
#[test]
fn a_key_that_is_given_as_the_name_of_a_file_is_not_told() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let secret = key.lines().nth(1).unwrap();
    let new = ssl::create_default_context;
    for text in [
        key.clone(),
        key.replace('\n', "\r\n"),
        key.replace('\n', ""),
        format!("  {key}"),
        key.replace("-----", "----"),
    ] {
        let folder = Path::new(&text);
        for error in [
            new().load_cert_chain(&text, None).unwrap_err(),
            Identity::from_pem_files(&text, &text).unwrap_err(),
            new()
                .load_verify_locations(Some(text.as_str().into()), None, None)
                .unwrap_err(),
            new()
                .load_verify_locations(None, Some(folder), None)
                .unwrap_err(),
            RootStore::empty().add_der_file(&text).unwrap_err(),
            CrlStore::empty().add_pem_file(&text).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
            let why = "from PEM text: it was given where a path was expected";
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[tokio::test]
async fn what_shows_a_socket_shows_no_key() {
    let lab = Lab::start().await.unwrap();
    let (cert, key) = lab.client_identity_pem();
    let (ours, _theirs) = tokio::io::duplex(1024);
    let pem = Pem::reader(key.as_bytes());
    let shown = format!("{pem:?}");
    let wrapping = ssl::wrap_socket(ours, "good.lab.test")
        .keyfile(pem)
        .certfile(Pem::reader(cert.as_bytes()));
    let context = ssl::create_default_context()
        .load_cert_chain(
            Pem::reader(cert.as_bytes()),
            Some(Pem::reader(key.as_bytes())),
        )
        .unwrap();
    let cadata = ssl::CaData::from(key);
    let shown = format!("{shown} {wrapping:?} {context:?} {cadata:?}");
    assert!(shown.contains("good.lab.test"), "{shown}");
    for line in key.lines().skip(1) {
        assert!(!shown.contains(line), "{shown}");
    }
}

/// Without `cert_reqs(CERT_NONE)` all is verified; with it the name is given up too, loudly.
#[test]
fn a_socket_does_without_verification_if_it_says_so() {
    let test = "sockets::a_socket_does_without_verification_if_it_says_so";
    alone(test, [("HTTPSVERIFY", "")], || async {
        let warnings = Warnings::record();
        let lab = Lab::start().await.unwrap();
        for scenario in [Scenario::WrongHost, Scenario::Expired, Scenario::SelfSigned] {
            for (cert_reqs, is_used) in [
                (None, false),
                (Some(ssl::CERT_REQUIRED), false),
                (Some(ssl::CERT_OPTIONAL), false),
                (Some(ssl::CERT_NONE), true),
            ] {
                let mut sock = tcp(&lab, scenario).await;
                // One that is borrowed.
                let mut wrapping = ssl::wrap_socket(&mut sock, scenario.host())
                    .ca_certs(Pem::reader(lab.ca_pem().as_bytes()));
                if let Some(cert_reqs) = cert_reqs {
                    wrapping = wrapping.cert_reqs(cert_reqs);
                }
                match wrapping.open().await {
                    Ok(stream) => {
                        assert!(is_used, "{scenario}");
                        assert!(!stream.verdict().is_verified());
                    }
                    Err(error) => {
                        assert!(!is_used, "{scenario}: {error}");
                        assert_eq!(error.kind(), ErrorKind::Certificate);
                    }
                }
                assert_eq!(warnings.take().len(), usize::from(is_used), "{scenario}");
            }
        }
    });
}

#[tokio::test]
async fn the_last_cas_that_are_named_are_trusted_and_no_others() {
    let lab = Lab::start().await.unwrap();
    let [ours, other] = [lab.ca_pem().to_owned(), other_ca().pem()];
    let ca = |pem: &str| Pem::reader(pem.as_bytes());
    for (first, last, expected) in [
        (&other, &ours, None),
        (&ours, &other, Some("unknown-issuer")),
    ] {
        let scenario = Scenario::GoodByIp;
        let sock = tcp(&lab, scenario).await;
        let wrapping = ssl::wrap_socket(sock, scenario.host()).ca_certs(ca(first));
        let wrapped = wrapping.ca_certs(ca(last)).await.map(drop);
        let port = lab.addr(scenario).port();
        let asking = ssl::get_server_certificate("127.0.0.1", port).ca_certs(ca(first));
        let asked = asking.ca_certs(ca(last)).await.map(drop);
        for outcome in [wrapped, asked] {
            assert_eq!(outcome.err().map(|error| error.code()), expected);
        }
    }
}

/// `PROTOCOL_TLSv1_2` was that version alone; here a newer one is never refused.
#[tokio::test]
async fn the_best_version_is_spoken_whichever_protocol_is_named() {
    let lab = Lab::start().await.unwrap();
    for protocol in [
        ssl::PROTOCOL_SSLv23,
        ssl::PROTOCOL_TLS,
        ssl::PROTOCOL_TLS_CLIENT,
        ssl::PROTOCOL_TLSv1_2,
    ] {
        for (scenario, version) in [
            (Scenario::Good, Version::Tls13),
            (Scenario::Tls12Only, Version::Tls12),
        ] {
            let stream: Result<TlsStream> =
                ssl::wrap_socket(tcp(&lab, scenario).await, scenario.host())
                    .ssl_version(protocol)
                    .ca_certs(Pem::reader(lab.ca_pem().as_bytes()))
                    .await;
            let version_spoken = stream.unwrap().peer().version();
            assert_eq!(version_spoken, version, "{protocol:?}");
        }
    }
}

/// A server that knows nothing newer is told of by the version that it answers in.
#[tokio::test]
async fn a_server_of_an_old_version_is_refused_by_that_name() {
    for (number, name) in [(0, "SSL 3.0"), (1, "TLS 1.0"), (2, "TLS 1.1")] {
        let server = Server::start("https", None, move |mut talk| async move {
            let header = talk.exactly(5).await.unwrap();
            let length = u16::from_be_bytes([header[3], header[4]]);
            talk.exactly(length.into()).await.unwrap();
            // A record with a ServerHello (RFC 2246 §7.4.1.3): the version, 32 bytes of random, no
            // session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
            let mut hello = vec![22, 3, number, 0, 42, 2, 0, 0, 38, 3, number];
            hello.extend([b'r'; 32]);
            hello.extend([0, 0, 0x2f, 0]);
            talk.say(hello).await.unwrap();
            talk.until_gone().await;
        })
        .await;
        let sentence = format!("failed: the server answered in {name}, which is not spoken (");
        let ca = other_ca().pem();
        let ca = || Pem::reader(ca.as_bytes());
        let port = server.addr.port();
        let fetched = builder().build().unwrap().fetch(server.url("/")).await;
        let asked = ssl::get_server_certificate("127.0.0.1", port).ca_certs(ca());
        let sock = TcpStream::connect(server.addr).await.unwrap();
        let wrapped = ssl::wrap_socket(sock, HOST).ca_certs(ca());
        let sock = TcpStream::connect(server.addr).await.unwrap();
        let wrapped_loosely = ssl::wrap_socket(sock, HOST)
            .ca_certs(ca())
            .cert_reqs(ssl::CERT_NONE);
        let newest = Policy::default().min_version(Version::Tls13);
        let newest = builder().policy(newest).build().unwrap();
        for error in [
            fetched.unwrap_err(),
            asked.await.unwrap_err(),
            wrapped.await.unwrap_err(),
            wrapped_loosely.await.unwrap_err(),
            newest.connect(HOST, port).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
            assert!(error.to_string().contains(&sentence), "{error}");
            let hint = error.hint().unwrap();
            assert!(
                hint.contains("TLS 1.0 and 1.1 are gone (RFC 8996)"),
                "{hint}"
            );
        }
    }
}

#[tokio::test]
async fn a_servers_certificate_is_the_hosts_unless_told_otherwise() {
    let lab = Lab::start().await.unwrap();
    let ask = |scenario: Scenario| {
        ssl::get_server_certificate("127.0.0.1", lab.addr(scenario).port())
            .ca_certs(Pem::reader(lab.ca_pem().as_bytes()))
    };
    let good = ask(Scenario::GoodByIp).await.unwrap();
    assert!(ssl::match_hostname(&good, "127.0.0.1").is_ok());
    let port = lab.addr(Scenario::GoodByIp).port();
    let stream = lab.client().unwrap().connect("127.0.0.1", port).await;
    assert_eq!(good, stream.unwrap().peer().chain()[0]);

    for (scenario, code) in [
        (Scenario::IpForName, "hostname-mismatch"),
        (Scenario::WrongHost, "hostname-mismatch"),
        // The address is not its name either, but that is not what is told first.
        (Scenario::SelfSigned, "self-signed"),
        (Scenario::UntrustedRoot, "unknown-issuer"),
    ] {
        for asking in [
            ask(scenario),
            ask(scenario).cert_reqs(ssl::CERT_REQUIRED),
            ask(scenario).cert_reqs(ssl::CERT_OPTIONAL),
        ] {
            let error = asking.await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert_eq!(error.kind(), ErrorKind::Certificate);
        }
        let hearsay = ask(scenario).cert_reqs(ssl::CERT_NONE).await.unwrap();
        assert!(ssl::match_hostname(&hearsay, "127.0.0.1").is_err());
        assert_ne!(hearsay, good);
    }
    let expired = ask(Scenario::Expired).cert_reqs(ssl::CERT_NONE);
    assert!(expired.await.is_ok());

    let mistake = ask(Scenario::GoodByIp).ssl_version(ssl::PROTOCOL_TLSv1);
    let error = mistake.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let mistake = ask(Scenario::GoodByIp).ca_certs("/none/ca.pem");
    assert_eq!(mistake.await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_asked_for_so_long() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let asking = ssl::get_server_certificate("127.0.0.1", port)
        .ca_certs(Pem::reader(other_ca().pem().as_bytes()))
        .timeout(Duration::from_secs(3));
    let error = asking.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(error.to_string().contains("the deadline of 3s"), "{error}");
}
