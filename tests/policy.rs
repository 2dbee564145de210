//! What a policy demands by its numbers, days, lengths and versions, and of which hosts: on every
//! hop of a fetch and for streams of other protocols.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

#[path = "support/proof.rs"]
mod proof;
#[expect(dead_code, reason = "the proof needs more of it")]
#[path = "support/proof_server.rs"]
mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, SystemTime};

use proof::{Authority, Chain, below, ca, issue, leaf, now, root, store};
use rcgen::{CertificateParams, KeyPair, SerialNumber, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use server::{BODY, FULL, Manner, Site, Speaks, run};
use tokio::net::TcpStream;
use urlfetch::tls::{Policy, Presented, Verdict, Verifier, Version};
use urlfetch::{Client, ClientBuilder, Error, ErrorKind};

const HOST: &str = "site.test";
const FRONT: &str = "front.test";

#[test]
fn days_left_are_counted_to_the_second_below_the_root() {
    let june = |day| date_time_ymd(2026, 6, day);
    let second = Duration::from_secs(1);
    let late = date_time_ymd(2030, 1, 1);
    // It is the first of June. (the ends of leaf, intermediate and root, the days, the code)
    let rows = [
        ([june(8), late, late], 7, None),
        ([june(8), late, late], 8, Some("expires-soon")),
        ([june(8) - second, late, late], 7, Some("expires-soon")),
        ([june(8) - second, late, late], 6, None),
        ([june(8) + second, late, late], 7, None),
        ([late, june(8), late], 7, None),
        ([late, june(8) - second, late], 7, Some("expires-soon")),
        ([late, late, june(8) - second], 7, None),
        ([june(1), late, late], 0, None),
        ([june(1), late, late], 1, Some("expires-soon")),
        // What has ended does not end soon.
        ([june(1) - second, late, late], 7, Some("expired")),
        ([late, june(1) - second, late], 7, Some("expired")),
        ([late, late, late], u32::MAX, Some("expires-soon")),
    ];
    for (ends, days, code) in rows {
        let case = format!("{ends:?} {days}");
        let until = |mut params: CertificateParams, end| {
            params.not_after = end;
            params
        };
        let key = KeyPair::generate().unwrap();
        let root_key = KeyPair::generate().unwrap();
        let root = Authority::self_signed(until(ca("root"), ends[2]), root_key).unwrap();
        let intermediate = below(&root, until(ca("intermediate"), ends[1]));
        let chain = vec![
            issue(&intermediate, &until(leaf(&[HOST]), ends[0]), &key),
            intermediate.der().clone(),
        ];
        let verdict = judge(&root, Policy::default().min_days_left(days), &chain);
        let codes: Vec<_> = verdict.reasons().map(|reason| reason.code()).collect();
        assert_eq!(codes, Vec::from_iter(code), "{case}: {verdict}");
        if code == Some("expires-soon") {
            let reason = verdict.reason().unwrap();
            let says = format!("the policy demands {days} more days");
            assert!(reason.sentence().ends_with(&says), "{reason}");
            assert!(reason.hint().unwrap().contains("renewed"), "{reason}");
        }
    }
}

/// Each is as much work as a whole handshake, and whoever has a CA below a public root can make as
/// many as fit into one.
#[test]
fn a_good_path_is_found_behind_fifteen_bad_ones_and_no_more() {
    let root = root("root");
    let key = KeyPair::generate().unwrap();
    let intermediate = below(&root, ca("intermediate"));
    let host = issue(&intermediate, &leaf(&[HOST]), &key);
    // The same name and the same key, again and again.
    let ends_soon = (0..16).map(|nth| {
        let mut params = ca("intermediate");
        params.serial_number = Some(SerialNumber::from(100 + nth));
        params.not_after = date_time_ymd(2026, 6, 2);
        issue(&root, &params, intermediate.key())
    });
    let ends_soon: Chain = ends_soon.collect();
    for (bad, code) in [(15, None), (16, Some("expires-soon"))] {
        let bad = ends_soon.iter().take(bad).cloned();
        let chain: Chain = [host.clone()]
            .into_iter()
            .chain(bad)
            .chain([intermediate.der().clone()])
            .collect();
        let verdict = judge(&root, Policy::default().min_days_left(7), &chain);
        let found = verdict.reason().map(|reason| reason.code());
        assert_eq!(found, code, "{verdict}");
    }
}

#[test]
fn a_path_is_no_longer_than_the_policy_allows() {
    let root = root("root");
    let one = below(&root, ca("one"));
    let two = below(&one, ca("two"));
    // The key of a CA was changed, and its old one vouches for the new (RFC 4210 §4.4).
    let renewed = below(&one, ca("one"));
    let key = KeyPair::generate().unwrap();
    let under = |issuers: &[&Authority]| {
        let by = issuers.first().copied().unwrap_or(&root);
        let issuers = issuers.iter().map(|issuer| issuer.der().clone());
        let host = issue(by, &leaf(&[HOST]), &key);
        [host].into_iter().chain(issuers).collect::<Chain>()
    };
    let rows: [(&str, Chain, usize); 4] = [
        ("right under the root", under(&[]), 1),
        ("with an intermediate", under(&[&one]), 2),
        ("with two", under(&[&two, &one]), 3),
        ("with one under itself", under(&[&renewed, &one]), 2),
    ];
    for (name, chain, length) in rows {
        for most in 0..=4 {
            let verdict = judge(&root, Policy::default().max_chain_length(most), &chain);
            let code = verdict.reason().map(|reason| reason.code());
            match length <= most {
                true => assert_eq!(code, None, "{name} {most}: {verdict}"),
                false => {
                    assert_eq!(code, Some("chain-too-long"), "{name} {most}: {verdict}");
                    let says = format!(
                        "the path has {length} certificates below the root, and the policy allows {most}"
                    );
                    assert_eq!(verdict.reason().unwrap().sentence(), says);
                }
            }
        }
        assert!(judge(&root, Policy::default(), &chain).is_verified());
    }
    // Of two ways to the root the short one is taken: `two` is certified by the root too.
    let short = ca("two").signed_by(two.key(), &root).unwrap().into();
    let chain = [under(&[&two, &one]), vec![short]].concat();
    let verdict = judge(&root, Policy::default().max_chain_length(2), &chain);
    assert!(verdict.is_verified(), "{verdict}");
    assert_eq!(verdict.chain().len(), 2);
}

#[test]
fn a_server_that_is_too_old_for_the_policy_is_told_from_one_that_is_too_old_for_all() {
    let world = World::new();
    for h2 in [true, false] {
        let site = Site::open(Speaks { tls12: true, h2 });
        site.present(&world.chain(&[HOST]), &world.key);
        let newer = || Policy::default().min_version(Version::Tls13);
        let client = |builder: ClientBuilder| {
            let builder = builder.resolve(HOST, [site.addr()]);
            builder.build().unwrap()
        };
        let url = site.url(HOST);
        let strict = client(world.client().policy(newer()));
        let error = run(async { strict.fetch(&url).await }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(!error.request_was_sent());
        too_old_for_the_policy(&error);
        assert_eq!(run(site.kinds()), [None]);

        // The policy of this host alone, either way.
        let patient = world.client().policy(newer());
        let patient = client(patient.policy_for(HOST, Policy::default()));
        run(async { answered(&patient, &url).await }).unwrap();
        let wary = client(world.client().policy_for(HOST, newer()));
        too_old_for_the_policy(&run(async { answered(&wary, &url).await }).unwrap_err());
        assert_eq!(run(site.kinds()), [FULL, None]);
    }
    // One that has never heard of TLS 1.3 does not see that it is too old.
    let addr = unaware();
    let client = world
        .client()
        .policy(Policy::default().min_version(Version::Tls13))
        .build()
        .unwrap();
    let error = run(async { client.fetch(format!("https://{addr}/")).await }).unwrap_err();
    too_old_for_the_policy(&error);
}

fn too_old_for_the_policy(error: &Error) {
    let says = "failed: the server does not speak TLS 1.3, which the policy demands (";
    assert!(error.to_string().contains(says), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("the server needs TLS 1.3, or"), "{hint}");
}

/// A server that answers whoever speaks with a ServerHello of TLS 1.2 (RFC 5246 §7.4.1.3), once.
fn unaware() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        // A random, no session, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and no compression.
        let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0]].concat();
        let length = hello.len() as u8;
        let record = [&[22, 3, 3, 0, length + 4, 2, 0, 0, length][..], &hello].concat();
        stream.write_all(&record).unwrap();
        // Until the client is gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    addr
}

/// Each pattern, by each way to a peer.
#[test]
fn a_host_has_the_policy_of_its_most_specific_pattern() {
    let world = World::new();
    // (a host, whether its policy can be met)
    let rows = [
        ("shop.test", true),
        ("bank.test", true),
        ("www.bank.test", false),
        ("WWW.Bank.test", false),
        ("www.bank.test.", false),
        ("a.b.bank.test", false),
        ("pay.bank.test", true),
        ("pay.bank.test.", true),
        ("a.pay.bank.test", false),
        ("b\u{fc}cher.test", false),
        ("xn--bcher-kva.test.", false),
        ("127.0.0.1", false),
    ];
    let impossible = || Policy::default().pin([0; 32]);
    let names = rows.map(|(host, _)| match host {
        "b\u{fc}cher.test" => "xn--bcher-kva.test".to_owned(),
        host => host.trim_end_matches('.').to_lowercase(),
    });
    let chain = world.chain(&names.each_ref().map(String::as_str));
    for h2 in [true, false] {
        let site = Site::open(Speaks { tls12: false, h2 });
        site.present(&chain, &world.key);
        let mut builder = world
            .client()
            .policy_for("*.Bank.test", impossible())
            .policy_for("pay.bank.test", Policy::default())
            .policy_for("b\u{fc}cher.test", impossible())
            .policy_for("127.0.0.1", impossible());
        for name in &names {
            builder = builder.resolve(name, [site.addr()]);
            builder = builder.resolve(&format!("{name}."), [site.addr()]);
        }
        let client = builder.build().unwrap();
        for (host, can_be_met) in rows {
            let outcomes = run(async {
                let fetched = answered(&client, &site.url(host)).await;
                let connected = client.connect(host, site.addr().port()).await;
                let tcp = TcpStream::connect(site.addr()).await.unwrap();
                let wrapped = client.wrap(tcp, host).await;
                [
                    fetched,
                    connected.map(|stream| stream.verdict().clone()),
                    wrapped.map(|stream| stream.verdict().clone()),
                ]
            });
            for outcome in outcomes {
                match outcome {
                    Ok(verdict) => assert!(can_be_met && verdict.is_verified(), "{host}"),
                    Err(error) => {
                        assert_eq!(error.code(), "pin-mismatch", "{host}: {error}");
                        assert!(!can_be_met && !error.request_was_sent(), "{host}");
                    }
                }
            }
            // Who does not verify is told by the same policy.
            let call = client.fetch(site.url(host)).validate_certificate(false);
            let response = run(async { call.await }).unwrap();
            let verdict = response.verdict().unwrap();
            assert_eq!(verdict.is_verified(), can_be_met, "{host}: {verdict}");
        }
    }
}

#[test]
fn each_hop_is_held_to_the_policy_of_its_host() {
    let world = World::new();
    for tls12 in [true, false] {
        for h2 in [true, false] {
            let speaks = Speaks { tls12, h2 };
            let (front, site) = (Site::open(speaks), Site::open(speaks));
            front.present(&world.chain(&[FRONT]), &world.key);
            site.present(&world.chain(&[HOST]), &world.key);
            front.behave(Manner::Redirect(site.url(HOST)));
            let impossible = || Policy::default().pin([0; 32]);
            // (whose policy is impossible, what is asked, whether each is sent a request)
            let rows = [
                ("elsewhere.test", &front, FRONT, [true, true]),
                (HOST, &front, FRONT, [true, false]),
                (FRONT, &front, FRONT, [false, false]),
                (FRONT, &site, HOST, [false, true]),
            ];
            for (pattern, asked, host, sent) in rows {
                let client = world
                    .client()
                    .policy_for(pattern, impossible())
                    .resolve(FRONT, [front.addr()])
                    .resolve(HOST, [site.addr()])
                    .build()
                    .unwrap();
                let outcome = run(async { answered(&client, &asked.url(host)).await });
                if let Err(error) = &outcome {
                    assert_eq!(error.code(), "pin-mismatch", "{pattern}: {error}");
                    assert_eq!(error.url().unwrap().host_str(), Some(pattern));
                }
                assert_eq!(outcome.is_ok(), sent[1], "{pattern} {host}");
                let seen = run(async { [front.seen().await, site.seen().await] });
                let received = seen.map(|seen| seen.iter().any(|each| each.received > 0));
                assert_eq!(received, sent, "{pattern} {host} {speaks:?}");
            }
        }
    }
}

#[test]
fn a_pattern_that_cannot_be_read_or_is_there_twice_is_named_when_the_client_is_built() {
    let world = World::new();
    for (patterns, says) in [
        (
            ["bank.test", "https://bank.test/"],
            "the host pattern \"https://bank.test/\" is neither",
        ),
        (["*", "bank.test"], "the host pattern \"*\" is neither"),
        (
            ["bank.test", "BANK.test."],
            "the host pattern \"BANK.test.\" is there twice",
        ),
    ] {
        // With roots, and with those that would be loaded later.
        for builder in [world.client(), Client::builder()] {
            let builder = patterns.into_iter().fold(builder, |builder, pattern| {
                builder.policy_for(pattern, Policy::strict())
            });
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }
}

/// A trusted root, and the key of all servers.
struct World {
    root: Authority,
    key: KeyPair,
}

impl World {
    fn new() -> Self {
        Self {
            root: root("root"),
            key: KeyPair::generate().unwrap(),
        }
    }

    fn chain(&self, names: &[&str]) -> Chain {
        vec![issue(&self.root, &leaf(names), &self.key)]
    }

    fn client(&self) -> ClientBuilder {
        Client::builder().roots(store(&self.root)).clock(now)
    }
}

/// The verdict on whoever answered with [`BODY`].
async fn answered(client: &Client, url: &str) -> Result<Verdict, Error> {
    let response = client.fetch(url).await?;
    let verdict = response.verdict().unwrap().clone();
    assert_eq!(response.text().await?, BODY);
    Ok(verdict)
}

fn judge(root: &Authority, policy: Policy, chain: &[CertificateDer<'static>]) -> Verdict {
    let verifier = Verifier::builder().roots(store(root)).policy(policy);
    let since = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let moment = UnixTime::since_unix_epoch(since);
    verifier
        .build()
        .unwrap()
        .judge(&Presented::new(chain), &name, moment)
}
