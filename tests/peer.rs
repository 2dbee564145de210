//! What is told of a peer's TLS, against real servers of both versions, each settling for one
//! thing: it is what the server settled for, on a fresh connection, a resumed session and a
//! connection that is used again.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::sync::Arc;

use rustls::NamedGroup;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::{CertStatus, Peer, RootStore, Verdict, Version};
use urlfetch::{Client, TlsStream};

#[expect(dead_code, reason = "the tests of streams need more of it")]
#[path = "support/tls_server.rs"]
mod server;

use server::{HOST, Server, Terms, builder, ca_der, client};

#[tokio::test]
async fn the_version_and_the_cipher_suite_are_those_of_the_server() {
    // rustls' name, and IANA's.
    for (version, told, suite, name) in [
        (
            &TLS13,
            Version::Tls13,
            "TLS13_AES_128_GCM_SHA256",
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            &TLS13,
            Version::Tls13,
            "TLS13_AES_256_GCM_SHA384",
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            &TLS13,
            Version::Tls13,
            "TLS13_CHACHA20_POLY1305_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            &TLS12,
            Version::Tls12,
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            &TLS12,
            Version::Tls12,
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
    ] {
        let server = Server::start(Terms {
            version,
            suite: Some(suite),
            ..Terms::default()
        })
        .await;
        for peer in [
            fetched(&client(), &server).await,
            connected(&client(), &server).await,
        ] {
            assert_eq!((peer.version(), peer.cipher_suite()), (told, name));
            assert!(peer.verdict().is_verified());
            assert_eq!(peer.verdict().host(), HOST);
        }
    }
}

#[tokio::test]
async fn the_group_is_that_of_the_server_and_post_quantum_or_not() {
    let mut rows = vec![
        (&TLS13, NamedGroup::X25519, "x25519", false),
        (&TLS13, NamedGroup::secp256r1, "secp256r1", false),
        (&TLS13, NamedGroup::secp384r1, "secp384r1", false),
        (&TLS12, NamedGroup::X25519, "x25519", false),
        (&TLS12, NamedGroup::secp256r1, "secp256r1", false),
    ];
    if cfg!(feature = "aws-lc-rs") {
        rows.push((&TLS13, NamedGroup::X25519MLKEM768, "X25519MLKEM768", true));
    }
    for (version, group, name, is_post_quantum) in rows {
        let server = Server::start(Terms {
            version,
            group: Some(group),
            ..Terms::default()
        })
        .await;
        let peer = fetched(&client(), &server).await;
        let group = peer.key_exchange_group().unwrap();
        assert_eq!(
            (group.name(), group.is_post_quantum()),
            (name, is_post_quantum)
        );
    }
}

/// With a server that takes whatever we like best.
#[tokio::test]
async fn with_aws_lc_rs_keys_are_exchanged_after_quantum_computers() {
    let server = Server::start(Terms::default()).await;
    let peer = fetched(&client(), &server).await;
    assert_eq!(
        peer.key_exchange_group().unwrap().is_post_quantum(),
        cfg!(feature = "aws-lc-rs")
    );
}

#[tokio::test]
async fn a_resumed_session_says_so_and_has_the_same_facts() {
    for (version, has_group) in [(&TLS13, true), (&TLS12, false)] {
        let server = Server::start(Terms {
            version,
            further: vec![ca_der()],
            ..Terms::default()
        })
        .await;
        let client = client();
        let first = connected(&client, &server).await;
        let again = connected(&client, &server).await;
        assert_eq!([first.is_resumed(), again.is_resumed()], [false, true]);
        assert_eq!(first.version(), again.version());
        assert_eq!(first.cipher_suite(), again.cipher_suite());
        assert_eq!(first.chain(), again.chain());
        assert_eq!(again.chain().len(), 2);
        assert!(again.verdict().is_verified());
        assert!(first.key_exchange_group().is_some());
        assert_eq!(
            again.key_exchange_group().is_some(),
            has_group,
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_used_again_is_the_same_peer() {
    let server = Server::start(Terms::default()).await;
    let client = client();
    let first = client.fetch(server.url()).await.unwrap();
    let peer = first.peer().unwrap().clone();
    first.bytes().await.unwrap();
    let again = client.fetch(server.url()).await.unwrap();
    // Not found out twice: the verdict is the very one.
    assert!(std::ptr::eq(
        peer.verdict(),
        again.peer().unwrap().verdict()
    ));
    assert!(std::ptr::eq(peer.verdict(), again.verdict().unwrap()));
    assert!(!again.peer().unwrap().is_resumed());
}

#[tokio::test]
async fn alpn_is_what_was_chosen() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    for (scenario, alpn) in [(Scenario::Good, "h2"), (Scenario::GoodHttp1, "http/1.1")] {
        let response = client.fetch(lab.url(scenario)).await.unwrap();
        assert_eq!(response.peer().unwrap().alpn(), Some(alpn.as_bytes()));
    }
    // A server that knows no ALPN, and a client that offers none.
    let server = Server::start(Terms::default()).await;
    assert_eq!(fetched(&self::client(), &server).await.alpn(), None);
    let server = Server::start(Terms {
        alpn: &["http/1.1"],
        ..Terms::default()
    })
    .await;
    assert_eq!(
        fetched(&self::client(), &server).await.alpn(),
        Some(&b"http/1.1"[..])
    );
    assert_eq!(connected(&self::client(), &server).await.alpn(), None);
}

/// The path leaves out what does not belong to it; the chain does not.
#[tokio::test]
async fn the_chain_is_what_was_presented() {
    let stranger = rcgen::CertificateParams::new(["stranger.test".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let stranger = stranger.self_signed(&key).unwrap().der().clone();
    let rubbish = CertificateDer::from(b"rubbish".to_vec());
    let server = Server::start(Terms {
        further: vec![rubbish, stranger.clone(), ca_der()],
        ..Terms::default()
    })
    .await;
    let peer = fetched(&client(), &server).await;
    let path = peer.verdict().chain();
    assert_eq!(path.len(), 1);
    let chain: Vec<_> = peer.chain().iter().map(|each| each.der()).collect();
    assert_eq!(chain, [path[0].der(), stranger.as_ref(), ca_der().as_ref()]);
    assert_eq!(peer.chain_total(), 4);
}

#[tokio::test]
async fn a_staple_is_a_fact_of_the_peer() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let response = client.fetch(lab.url(Scenario::Stapled)).await.unwrap();
    let staple = response.peer().unwrap().staple().unwrap();
    assert_eq!(staple.status(), CertStatus::Good);
    let response = client.fetch(lab.url(Scenario::Good)).await.unwrap();
    assert_eq!(response.peer().unwrap().staple(), None);
}

#[tokio::test]
async fn plain_http_has_no_peer_and_a_hop_has_its_own() {
    let lab = Lab::start().await.unwrap();
    let builder = lab.client_builder().unwrap();
    let client = builder.allow_http(true).build().unwrap();
    let plain = lab.url(Scenario::PlainHttp).replace("https://", "http://");
    let response = client.fetch(plain).await.unwrap();
    assert!(response.peer().is_none());
    assert!(response.verdict().is_none());

    let location = lab.url(Scenario::GoodHttp1);
    let from = lab.url_to(Scenario::Good, &format!("/status/302?location={location}"));
    let response = client.fetch(from).await.unwrap();
    let [hop] = response.hops() else {
        panic!("{:?}", response.hops());
    };
    assert_eq!(hop.peer().unwrap().alpn(), Some(&b"h2"[..]));
    assert_eq!(response.peer().unwrap().alpn(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_peer_that_is_not_verified_is_told_too() {
    let server = Server::start(Terms {
        further: vec![ca_der()],
        ..Terms::default()
    })
    .await;
    let lab = Lab::start().await.unwrap();
    let strangers = RootStore::empty().add_pem(lab.ca_pem()).unwrap();
    let client = builder().roots(strangers).danger_accept_unverified();
    let peer = fetched(&client.build().unwrap(), &server).await;
    assert_eq!(peer.verdict().reason().unwrap().code(), "unknown-issuer");
    assert_eq!(peer.version(), Version::Tls13);
    assert_eq!((peer.chain().len(), peer.chain_total()), (2, 2));
}

#[tokio::test]
async fn through_tower_it_is_an_extension() {
    let server = Server::start(Terms::default()).await;
    let request = http::Request::get(server.url());
    let request = request.body(http_body_util::Empty::new()).unwrap();
    let response = client().call(request).await.unwrap();
    let peer = response.extensions().get::<Peer>().unwrap();
    let verdict = response.extensions().get::<Arc<Verdict>>().unwrap();
    assert!(std::ptr::eq(peer.verdict(), &**verdict));
}

#[tokio::test]
async fn what_debug_shows_is_bounded_whatever_was_presented() {
    let server = Server::start(Terms {
        further: vec![ca_der(); 50],
        ..Terms::default()
    })
    .await;
    let stream = stream(&client(), &server).await;
    assert_eq!(stream.peer().chain().len(), 51);
    let shown = format!("{stream:?}");
    assert!(shown.contains("TLS_"), "{shown}");
    assert!(shown.contains("is_resumed: false"), "{shown}");
    assert!(shown.len() < 1_000, "{shown}");
}

#[cfg(feature = "json")]
#[tokio::test]
async fn as_json_it_is_the_documented_document() {
    let server = Server::start(Terms {
        further: vec![ca_der(); 20],
        alpn: &["\u{e9}"],
        ..Terms::default()
    })
    .await;
    let mut stream = client()
        .connect(HOST, server.addr.port())
        .alpn(["\u{e9}"])
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let peer = stream.peer();
    let document = serde_json::to_value(peer).unwrap();
    let mut fields: Vec<_> = document.as_object().unwrap().keys().collect();
    fields.sort();
    let documented = [
        "alpn",
        "chain",
        "chain_total",
        "cipher_suite",
        "key_exchange_group",
        "post_quantum",
        "resumed",
        "verdict",
        "version",
    ];
    assert_eq!(fields, documented);
    assert_eq!(document["version"], "TLS 1.3");
    assert_eq!(document["cipher_suite"], peer.cipher_suite());
    let group = peer.key_exchange_group().unwrap();
    assert_eq!(document["key_exchange_group"], group.name());
    assert_eq!(document["post_quantum"], group.is_post_quantum());
    assert_eq!(document["alpn"], "\\xc3\\xa9");
    assert_eq!(document["resumed"], false);
    assert_eq!(document["chain"].as_array().unwrap().len(), 8);
    assert_eq!(document["chain_total"], 21);
    assert_eq!(document["chain"][0], document["verdict"]["chain"][0]);
    assert_eq!(document["verdict"]["verified"], true);
}

async fn fetched(client: &Client, server: &Server) -> Peer {
    let response = client.fetch(server.url()).await.unwrap();
    response.peer().unwrap().clone()
}

/// Tickets come after the handshake of TLS 1.3: with the first data at the latest they are there.
async fn connected(client: &Client, server: &Server) -> Peer {
    stream(client, server).await.peer().clone()
}

async fn stream(client: &Client, server: &Server) -> TlsStream {
    let mut stream = client.connect(HOST, server.addr.port()).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    let mut echo = [0; 6];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello\n");
    stream
}
