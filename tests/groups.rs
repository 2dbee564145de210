//! Which key-exchange groups are offered, as a server sees them, and what comes of it.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use urlfetch::tls::{KeyExchangeGroup, Policy};
use urlfetch::{Client, ErrorKind};

#[expect(dead_code, reason = "the tests of streams need more of it")]
#[path = "support/tls_server.rs"]
mod server;

use server::{HOST, Server, Terms, builder};

#[tokio::test]
async fn what_is_offered_is_what_the_policy_says_in_its_order() {
    use KeyExchangeGroup as G;
    let mut rows: Vec<(Policy, &[NamedGroup], NamedGroup)> = vec![
        (
            Policy::default().key_exchange_groups([G::X25519]),
            &[NamedGroup::X25519],
            NamedGroup::X25519,
        ),
        (
            Policy::default().key_exchange_groups([G::SECP384R1, G::X25519]),
            &[NamedGroup::secp384r1, NamedGroup::X25519],
            NamedGroup::secp384r1,
        ),
        // What was said last counts.
        (
            Policy::default()
                .key_exchange_groups([G::X25519])
                .key_exchange_groups([G::SECP256R1, G::X25519]),
            &[NamedGroup::secp256r1, NamedGroup::X25519],
            NamedGroup::secp256r1,
        ),
    ];
    if cfg!(feature = "aws-lc-rs") {
        let hybrid = NamedGroup::X25519MLKEM768;
        let only = Policy::default().key_exchange_groups([G::X25519MLKEM768]);
        rows.extend([
            (Policy::default(), &ALL[..], hybrid),
            (only, &[NamedGroup::X25519MLKEM768][..], hybrid),
        ]);
    } else {
        rows.push((Policy::default(), &ALL[1..], NamedGroup::X25519));
    }
    for (policy, offered, settled) in rows {
        let said = format!("{policy:?}");
        // For all hosts, and for one.
        let clients = [
            builder().policy(policy.clone()).build().unwrap(),
            builder().policy_for(HOST, policy).build().unwrap(),
        ];
        for client in clients {
            // One that takes what the client likes best.
            let server = Server::start(Terms {
                group: Some(settled),
                ..Terms::default()
            })
            .await;
            for handshake in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut stream = client.connect(HOST, server.addr.port()).await.unwrap();
                // Tickets come with what is read first.
                stream.write_all(b"hello\n").await.unwrap();
                stream.read_exact(&mut [0; 6]).await.unwrap();
                let group = stream.peer().key_exchange_group().unwrap();
                let settled = settled.as_str().unwrap();
                assert!(group.name().eq_ignore_ascii_case(settled), "{said}");
                drop(stream);
                let resumed = handshake == HandshakeKind::Resumed;
                let seen = server.seen(1 + usize::from(resumed)).await;
                let last = seen.last().unwrap();
                assert_eq!(last.groups, offered, "{said}");
                assert_eq!(last.handshake, Some(handshake), "{said}");
            }
        }
    }
}

/// A demand that is not met ends the handshake: no other group is taken in its place.
#[tokio::test]
async fn without_a_group_in_common_there_is_no_connection() {
    use KeyExchangeGroup as G;
    let mut rows = vec![(&TLS13, NamedGroup::X25519, G::SECP256R1)];
    rows.push((&TLS12, NamedGroup::secp384r1, G::X25519));
    if cfg!(feature = "aws-lc-rs") {
        rows.push((&TLS13, NamedGroup::X25519, G::X25519MLKEM768));
        rows.push((&TLS12, NamedGroup::X25519, G::X25519MLKEM768));
    }
    for (version, has, wanted) in rows {
        let server = Server::start(Terms {
            version,
            group: Some(has),
            ..Terms::default()
        })
        .await;
        let policy = Policy::default().key_exchange_groups([wanted]);
        let client = builder().policy(policy).build().unwrap();
        let error = client.fetch(server.url()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{version:?} {has:?} {wanted}");
        assert!(!error.request_was_sent());
        assert_eq!(server.seen(1).await[0].handshake, None);
    }
}

#[test]
fn what_cannot_be_offered_is_told_when_a_client_is_built() {
    use KeyExchangeGroup as G;
    let none = Policy::default().key_exchange_groups([]);
    let twice = Policy::default().key_exchange_groups([G::X25519, G::X25519]);
    // With and without roots, which make TLS at once or at the first connection.
    for (builder, what) in [
        (
            Client::builder().policy(none.clone()),
            "no key-exchange group",
        ),
        (
            builder().policy_for("a.test", none),
            "no key-exchange group",
        ),
        (
            Client::builder().policy_for("*.a.test", twice),
            "x25519 twice",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(what), "{error}");
        let has = "x25519, secp256r1, secp384r1";
        assert!(error.to_string().contains(has), "{error}");
    }
    let hybrid = Policy::default().key_exchange_groups([G::X25519MLKEM768]);
    let built = Client::builder().policy(hybrid).build();
    assert_eq!(built.is_ok(), cfg!(feature = "aws-lc-rs"));
}

#[test]
fn policies_are_told_apart_by_their_groups() {
    use KeyExchangeGroup as G;
    let of = |groups: &[G]| Policy::default().key_exchange_groups(groups.iter().copied());
    let all = [of(&[G::X25519]), of(&[G::X25519, G::SECP256R1])];
    assert_ne!(all[0], all[1]);
    assert_ne!(of(&[G::SECP256R1, G::X25519]), all[1]);
    assert_ne!(Policy::default(), all[0]);
    assert_eq!(of(&[G::X25519]), all[0]);
}

/// All that there are, as they are offered unless said otherwise; ring has not the first.
const ALL: [NamedGroup; 4] = [
    NamedGroup::X25519MLKEM768,
    NamedGroup::X25519,
    NamedGroup::secp256r1,
    NamedGroup::secp384r1,
];
