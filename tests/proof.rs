//! The proof: a TLS server counts what reaches it. Whenever its identity is refused, no byte of the
//! request has reached it, and no byte of a body the caller: over TLS 1.2 and 1.3, HTTP/1.1 and h2,
//! at the first hop and after a redirect, in a fresh session and in place of a resumed one, however
//! patient the server.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[path = "support/proof.rs"]
mod proof;
#[expect(dead_code, reason = "the tests of reuse need more of it")]
#[path = "support/proof_server.rs"]
mod server;

use proof::{Authority, Chain, below, ca, issue, leaf, root, store};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use server::{BODY, FULL, Hands, Manner, NOON, RESUMED, SHOUTED, Seen, Site, Speaks, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use urlfetch::tls::{Identity, RootStore, Verdict};
use urlfetch::{Client, ClientBuilder, Error, ErrorKind, Method};

#[test]
fn nothing_goes_either_way_over_tls_1_2_and_http_1() {
    prove(Speaks {
        tls12: true,
        h2: false,
    });
}

#[test]
fn nothing_goes_either_way_over_tls_1_2_and_h2() {
    prove(Speaks {
        tls12: true,
        h2: true,
    });
}

#[test]
fn nothing_goes_either_way_over_tls_1_3_and_http_1() {
    prove(Speaks {
        tls12: false,
        h2: false,
    });
}

#[test]
fn nothing_goes_either_way_over_tls_1_3_and_h2() {
    prove(Speaks {
        tls12: false,
        h2: true,
    });
}

/// Every bad identity, at every place in a fetch.
fn prove(speaks: Speaks) {
    let world = World::new();
    let (front, site) = (Site::open(speaks), Site::open(speaks));
    front.present(&world.good(FRONT), &world.key);
    for identity in world.identities() {
        for redirected in [false, true] {
            for resumed in [false, true] {
                for shouts in [false, true] {
                    let place = Place {
                        speaks,
                        redirected,
                        resumed,
                        shouts,
                    };
                    world.refuse(&front, &site, &identity, place);
                }
            }
        }
    }
}

/// Where a bad identity is met.
#[derive(Clone, Copy, Debug)]
struct Place {
    speaks: Speaks,
    redirected: bool,
    resumed: bool,
    shouts: bool,
}

/// A chain that is to be refused for a host.
struct Bad {
    host: &'static str,
    chain: Chain,
    code: &'static str,
}

impl World {
    fn refuse(&self, front: &Site, site: &Site, bad: &Bad, place: Place) {
        let case = format!("{} as {}: {place:?}", bad.code, bad.host);
        let clock = Hands::default();
        let client = self
            .client(site, &clock)
            .resolve(FRONT, [front.addr()])
            .build()
            .unwrap();
        let target = site.url(bad.host);
        front.behave(Manner::Redirect(target.clone()));
        let url = match place.redirected {
            true => front.url(FRONT),
            false => target.clone(),
        };
        site.behave(Manner::Answer);
        if place.resumed {
            site.present(&self.good_until_noon(bad.host), &self.key);
            run(fetched(&client, &url));
            clock.pass_noon();
        }
        let before = run(async { (front.seen().await, site.seen().await) });
        assert_eq!(before.1.len(), usize::from(place.resumed), "{case}");
        assert!(
            before.1.iter().all(|seen| seen.received > PAYLOAD),
            "{case}"
        );

        site.present(&bad.chain, &self.key);
        if place.shouts {
            site.behave(Manner::Shout);
        }
        let error = run(refused(&client, &url));
        let (at_front, at_site) = run(async { (front.seen().await, site.seen().await) });

        assert_eq!(error.kind(), ErrorKind::Certificate, "{case}: {error}");
        assert_eq!(error.code(), bad.code, "{case}: {error}");
        assert!(!error.request_was_sent(), "{case}");
        let verdict = error.verdict().expect(&case);
        assert!(!verdict.is_verified(), "{case}");
        assert_eq!(verdict.reason().unwrap().code(), bad.code, "{case}");
        assert_eq!(verdict.host(), bad.host, "{case}");
        assert_eq!(error.url().unwrap().as_str(), target, "{case}");
        let message = error.to_string();
        let first = message.lines().next().unwrap();
        let reason = verdict.reason().unwrap();
        let refused = format!("certificate for \"{}\" was refused: {reason}", bad.host);
        assert!(first.starts_with(&refused), "{first}");
        assert!(first.ends_with(&format!("({})", site.addr())), "{first}");

        // One handshake, which is not finished; before it the resumed one, which is.
        assert_eq!(at_site.len(), 1 + usize::from(place.resumed), "{case}");
        for seen in &at_site {
            nothing_was_sent(seen, &case);
            // Over TLS 1.3 a server can speak before its client has; this one has spoken.
            if place.shouts && !place.speaks.tls12 {
                assert!(seen.wire_out > SHOUTED, "{case}: {seen:?}");
            }
        }
        assert_eq!(at_site.last().unwrap().handshake, None, "{case}");
        if place.resumed && !place.shouts {
            assert_eq!(at_site[0].handshake, Some(HandshakeKind::Resumed), "{case}");
        }
        // The hop before is a request of its own, which went to a proved peer.
        assert_eq!(at_front.len(), usize::from(place.redirected), "{case}");
        for seen in at_front {
            assert!(seen.received > PAYLOAD, "{case}");
        }
    }

    /// What can be wrong with an identity; the classic first.
    fn identities(&self) -> Vec<Bad> {
        let bad = |host, code, chain| Bad { host, chain, code };
        let changed = |code, change: fn(&mut CertificateParams)| {
            let mut params = leaf(&[HOST]);
            change(&mut params);
            bad(HOST, code, vec![issue(&self.root, &params, &self.key)])
        };
        let stranger = root("a stranger");
        let intermediate = below(&self.root, ca("intermediate"));
        let self_signed = leaf(&[HOST]).self_signed(&self.key).unwrap();
        let mut altered = self.good(HOST)[0].to_vec();
        *altered.last_mut().unwrap() ^= 1;
        vec![
            bad(ADDRESS, "hostname-mismatch", self.good(HOST)),
            bad(HOST, "hostname-mismatch", self.good("other.test")),
            changed("expired", |params| {
                params.not_after = date_time_ymd(2026, 5, 31);
            }),
            changed("not-yet-valid", |params| {
                params.not_before = date_time_ymd(2026, 6, 3);
            }),
            changed("wrong-purpose", |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            changed("ca-as-end-entity", |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            bad(
                HOST,
                "unknown-issuer",
                vec![
                    issue(&stranger, &leaf(&[HOST]), &self.key),
                    stranger.der().clone(),
                ],
            ),
            bad(
                HOST,
                "unknown-issuer",
                vec![issue(&intermediate, &leaf(&[HOST]), &self.key)],
            ),
            bad(HOST, "self-signed", vec![self_signed.into()]),
            bad(HOST, "bad-signature", vec![altered.into()]),
            bad(
                HOST,
                "malformed",
                vec![CertificateDer::from(b"no certificate".to_vec())],
            ),
        ]
    }
}

#[test]
fn a_session_is_resumed_for_as_long_as_its_chain_holds() {
    each(|speaks, world, site| {
        site.present(&world.good_until_noon(HOST), &world.key);
        let clock = Hands::default();
        let client = world.client(site, &clock).build().unwrap();
        let url = site.url(HOST);

        let first = run(fetched(&client, &url));
        let second = run(fetched(&client, &url));
        assert_eq!(run(site.kinds()), [FULL, RESUMED], "{speaks:?}");
        // The kept chain was judged again, to the same end.
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        assert!(second.is_verified());

        // The chain expires, and the server has no other: the session is offered once more, is
        // found wanting before a request goes, and is not kept.
        clock.pass_noon();
        for expected in [&[RESUMED, None][..], &[None]] {
            let error = run(refused(&client, &url));
            assert_eq!(error.code(), "expired", "{speaks:?}");
            assert!(!error.request_was_sent());
            let seen = run(site.seen());
            assert_eq!(
                seen.iter().map(|seen| seen.handshake).collect::<Vec<_>>(),
                expected,
                "{speaks:?}"
            );
            for seen in seen {
                nothing_was_sent(&seen, "expired");
            }
        }
        // The server has renewed it.
        site.present(&world.good(HOST), &world.key);
        run(fetched(&client, &url));
        run(fetched(&client, &url));
        assert_eq!(run(site.kinds()), [FULL, RESUMED], "{speaks:?}");
    });
}

#[test]
fn a_renewed_certificate_takes_the_place_of_an_expired_session_unseen_by_the_caller() {
    each(|_, world, site| {
        site.present(&world.good_until_noon(HOST), &world.key);
        let clock = Hands::default();
        let client = world.client(site, &clock).build().unwrap();
        run(fetched(&client, &site.url(HOST)));
        run(site.seen());

        clock.pass_noon();
        let renewed = world.good(HOST);
        site.present(&renewed, &world.key);
        let verdict = run(fetched(&client, &site.url(HOST)));
        assert_eq!(verdict.chain()[0].der(), &renewed[0][..]);
        let seen = run(site.seen());
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(seen[0].handshake, RESUMED);
        nothing_was_sent(&seen[0], "the session that had expired");
        assert_eq!(seen[1].handshake, FULL);
        assert!(seen[1].received > PAYLOAD);
    });
}

#[test]
fn a_clock_that_was_set_back_is_no_way_round_the_judgement() {
    each(|_, world, site| {
        let mut params = leaf(&[HOST]);
        params.not_before = date_time_ymd(2026, 6, 1);
        site.present(&vec![issue(&world.root, &params, &world.key)], &world.key);
        let clock = Hands::default();
        let client = world.client(site, &clock).build().unwrap();
        run(fetched(&client, &site.url(HOST)));
        run(site.seen());
        clock.set_back();
        let error = run(refused(&client, &site.url(HOST)));
        assert_eq!(error.code(), "not-yet-valid");
        for seen in run(site.seen()) {
            nothing_was_sent(&seen, "not yet valid");
        }
    });
}

#[test]
fn other_roots_share_no_session() {
    each(|_speaks, world, site| {
        let stranger = root("a stranger");
        site.present(&world.good(HOST), &world.key);
        let clock = Hands::default();
        let with = |roots: RootStore| world.client(site, &clock).roots(roots).build().unwrap();
        let client = with(store(&world.root));
        let more = with(store(&world.root).add_der(stranger.der()).unwrap());
        let others = with(store(&stranger));
        let url = site.url(HOST);

        run(fetched(&client, &url));
        run(fetched(&more, &url));
        assert_eq!(run(site.kinds()), [FULL, FULL]);
        let error = run(refused(&others, &url));
        assert_eq!(error.code(), "unknown-issuer");
        let seen = run(site.seen());
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].handshake, None);
        nothing_was_sent(&seen[0], "other roots");
        // The sessions of the others are as they were.
        run(fetched(&client, &url));
        run(fetched(&more, &url));
        assert_eq!(run(site.kinds()), [RESUMED, RESUMED]);
    });
}

#[test]
fn unverified_sessions_and_connections_never_serve_a_verified_call() {
    each(|speaks, world, site| {
        let clock = Hands::default();
        let client = world.client(site, &clock).build().unwrap();
        let url = site.url(HOST);
        let unverified = async || {
            let response = post(&client, &url)
                .validate_certificate(false)
                .await
                .unwrap();
            let verdict = response.verdict().unwrap().clone();
            assert_eq!(response.text().await.unwrap(), BODY);
            verdict
        };

        // Of a good peer: either kind has sessions of its own.
        site.present(&world.good(HOST), &world.key);
        run(fetched(&client, &url));
        assert!(run(unverified()).is_verified());
        run(fetched(&client, &url));
        assert!(run(unverified()).is_verified());
        assert_eq!(run(site.kinds()), [FULL, FULL, RESUMED, RESUMED]);

        // Of a bad one: in one runtime, where the unverified connection stays open all along.
        let site = Site::open(speaks);
        let bad = &world.identities()[1];
        site.present(&bad.chain, &world.key);
        let client = world.client(&site, &clock).build().unwrap();
        let url = site.url(HOST);
        let seen = run(async {
            for _ in 0..2 {
                let call = post(&client, &url).validate_certificate(false);
                let response = call.await.unwrap();
                let verdict = response.verdict().unwrap();
                assert!(!verdict.is_verified());
                assert_eq!(verdict.reason().unwrap().code(), bad.code);
                assert_eq!(response.text().await.unwrap(), BODY);
                let error = refused(&client, &url).await;
                assert_eq!(error.code(), bad.code);
                assert!(!error.request_was_sent());
            }
            drop(client);
            site.seen().await
        });
        let kinds: Vec<_> = seen.iter().map(|seen| seen.handshake).collect();
        assert_eq!(kinds, [FULL, None, None], "{speaks:?}");
        assert!(seen[0].received > 2 * PAYLOAD);
        nothing_was_sent(&seen[1], "verified, beside the unverified");
        nothing_was_sent(&seen[2], "verified, beside the unverified");
    });
}

#[test]
fn a_client_that_accepts_all_shares_nothing_with_one_that_does_not() {
    each(|speaks, world, site| {
        site.present(&world.identities()[0].chain, &world.key);
        let clock = Hands::default();
        let builder = || world.client(site, &clock);
        let careless = builder().danger_accept_unverified().build().unwrap();
        let careful = builder().build().unwrap();
        let url = site.url(ADDRESS);
        let accepted = || {
            run(async {
                let response = careless.fetch(&url).await.unwrap();
                assert_eq!(response.text().await.unwrap(), BODY);
            });
        };
        accepted();
        assert_eq!(run(refused(&careful, &url)).code(), "hostname-mismatch");
        accepted();
        // A call that asks for verification gets it from the careless client too.
        let call = async { careless.fetch(&url).validate_certificate(true).await };
        assert_eq!(run(call).unwrap_err().code(), "hostname-mismatch");
        assert_eq!(run(site.kinds()), [FULL, None, RESUMED, None], "{speaks:?}");
    });
}

#[test]
fn a_server_that_changes_for_the_worse_between_connections_is_found_out() {
    each(|speaks, world, site| {
        site.present(&world.good(HOST), &world.key);
        let client = world.client(site, &Hands::default()).build().unwrap();
        let url = site.url(HOST);
        let (first, second) = run(async {
            for _ in 0..2 {
                let response = client.fetch(&url).await.unwrap();
                assert_eq!(response.text().await.unwrap(), BODY);
            }
            site.present(&world.identities()[1].chain, &world.key);
            site.forget_sessions();
            // An open connection is as good as the handshake that it began with. Now the server
            // closes it with a request on the way, which is sent again: to somebody else.
            site.behave(Manner::HangUp);
            let hung_up = client.fetch(&url).await.unwrap_err();
            let fresh = client.fetch(&url).await.unwrap_err();
            (hung_up, fresh)
        });
        for error in [&first, &second] {
            assert_eq!(error.kind(), ErrorKind::Certificate, "{speaks:?}: {error}");
            assert_eq!(error.code(), "hostname-mismatch");
        }
        // The first has been sent, on the connection whose peer was good.
        assert!(first.request_was_sent());
        assert!(!second.request_was_sent());
        let seen = run(site.seen());
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[0].handshake, FULL);
        nothing_was_sent(&seen[1], "the replay");
        nothing_was_sent(&seen[2], "the next call");
    });
}

#[test]
fn many_at_once_are_refused_as_one_is() {
    each(|_, world, site| {
        site.present(&world.identities()[0].chain, &world.key);
        site.behave(Manner::Shout);
        let client = world.client(site, &Hands::default()).build().unwrap();
        let url = site.url(ADDRESS);
        let seen = run(async {
            let calls: Vec<_> = (0..16)
                .map(|_| tokio::spawn(post(&client, &url).send()))
                .collect();
            for call in calls {
                let error = call.await.unwrap().unwrap_err();
                assert_eq!(error.code(), "hostname-mismatch");
                assert!(!error.request_was_sent());
                assert!(error.verdict().is_some());
            }
            site.seen().await
        });
        assert!(!seen.is_empty());
        for seen in seen {
            nothing_was_sent(&seen, "one of many");
        }
    });
}

#[test]
fn a_stream_for_another_protocol_is_judged_in_the_same_way() {
    for tls12 in [true, false] {
        let world = World::new();
        let site = Site::open(Speaks { tls12, h2: false });
        let clock = Hands::default();
        let client = world.client(&site, &clock).build().unwrap();
        let (host, port) = (HOST, site.addr().port());
        let connect = async || client.connect(host, port).await;
        let wrap = async || {
            let tcp = TcpStream::connect(site.addr()).await.unwrap();
            client.wrap(tcp, host).await
        };
        for bad in world.identities().iter().filter(|bad| bad.host == HOST) {
            site.present(&bad.chain, &world.key);
            for error in [run(connect()).unwrap_err(), run(wrap()).unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Certificate);
                assert_eq!(error.code(), bad.code);
                assert!(!error.request_was_sent());
                assert!(!error.verdict().unwrap().is_verified());
            }
            let seen = run(site.seen());
            assert_eq!(seen.len(), 2);
            for seen in seen {
                assert_eq!(seen.handshake, None);
                nothing_was_sent(&seen, bad.code);
            }
        }
        // Sessions are resumed and judged again; a stream that somebody else opened cannot be
        // opened anew, but the next one is.
        site.present(&world.good_until_noon(host), &world.key);
        run(async { converse(connect().await.unwrap()).await });
        run(async { converse(wrap().await.unwrap()).await });
        run(async { converse(wrap().await.unwrap()).await });
        assert_eq!(run(site.kinds()), [FULL, FULL, RESUMED]);
        clock.pass_noon();
        assert_eq!(run(connect()).unwrap_err().code(), "expired");
        assert_eq!(run(wrap()).unwrap_err().code(), "expired");
        assert_eq!(run(wrap()).unwrap_err().code(), "expired");
        let seen = run(site.seen());
        let kinds: Vec<_> = seen.iter().map(|seen| seen.handshake).collect();
        assert_eq!(kinds, [RESUMED, None, RESUMED, None]);
        for seen in seen {
            nothing_was_sent(&seen, "an expired session");
        }
    }
}

/// Says something over a stream and hears the answer out, and so has the tickets that came before.
async fn converse(mut stream: urlfetch::tls::TlsStream) {
    assert!(stream.verdict().is_verified());
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(BODY.as_bytes()));
}

#[test]
fn a_certificate_without_its_key_and_no_certificate_at_all_prove_nothing() {
    each(|_, world, site| {
        let client = world.client(site, &Hands::default()).build().unwrap();
        let thiefs = KeyPair::generate().unwrap();
        for (chain, key, kind, code) in [
            (world.good(HOST), &thiefs, ErrorKind::Tls, "tls"),
            (
                Vec::new(),
                &world.key,
                ErrorKind::Certificate,
                "no-certificate",
            ),
        ] {
            site.present(&chain, key);
            // Neither is a peer that can be used unverified: there is no telling who it is.
            for validate in [true, false] {
                let call = async {
                    let call = post(&client, &site.url(HOST));
                    call.validate_certificate(validate).await
                };
                let error = run(call).unwrap_err();
                assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
                assert!(!error.request_was_sent());
            }
            for seen in run(site.seen()) {
                assert_eq!(seen.handshake, None);
                nothing_was_sent(&seen, code);
            }
        }
    });
}

#[test]
fn a_certificate_of_ten_thousand_names_makes_a_short_error() {
    each(|_, world, site| {
        let client = world.client(site, &Hands::default()).build().unwrap();
        let names: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let mut params = leaf(&[]);
        for name in &names {
            let name = rcgen::SanType::DnsName(name.as_str().try_into().unwrap());
            params.subject_alt_names.push(name);
        }
        site.present(&vec![issue(&world.root, &params, &world.key)], &world.key);
        let error = run(refused(&client, &site.url(HOST)));
        assert_eq!(error.code(), "hostname-mismatch");
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains("and 9998 more"), "{text}");
            assert!(text.len() < 1_000, "{text}");
        }
        for seen in run(site.seen()) {
            nothing_was_sent(&seen, "10,000 names");
        }
    });
}

#[test]
fn our_own_certificate_does_not_go_to_a_peer_that_is_refused() {
    each(|speaks, world, _| {
        let names: Vec<String> = (0..1_000).map(|n| format!("{n}.client.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut params = leaf(&names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let ours = params.signed_by(&world.key, &world.root).unwrap();
        let identity = Identity::from_pem(ours.pem(), world.key.serialize_pem()).unwrap();
        let site = Site::demanding(speaks, &world.root);
        let client = world
            .client(&site, &Hands::default())
            .identity(identity)
            .build()
            .unwrap();

        site.present(&world.good(HOST), &world.key);
        run(fetched(&client, &site.url(HOST)));
        let seen = run(site.seen());
        assert_eq!(seen[0].handshake, FULL);
        assert!(seen[0].wire_in > ours.der().len() + PAYLOAD);

        site.present(&world.identities()[0].chain, &world.key);
        assert_eq!(
            run(refused(&client, &site.url(ADDRESS))).code(),
            "hostname-mismatch"
        );
        for seen in run(site.seen()) {
            // Less than our certificate has come, of all that there could be.
            nothing_was_sent(&seen, "mutual TLS");
            assert!(seen.wire_in < ours.der().len(), "{seen:?}");
        }
    });
}

/// A root that is trusted, and the key of all servers.
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

    fn good(&self, host: &str) -> Chain {
        vec![issue(&self.root, &leaf(&[host]), &self.key)]
    }

    /// A chain that expires between the two times of a [`Hands`].
    fn good_until_noon(&self, host: &str) -> Chain {
        let mut params = leaf(&[host]);
        params.not_after = date_time_ymd(2026, 6, 1) + NOON;
        vec![issue(&self.root, &params, &self.key)]
    }

    /// A client that trusts the root and finds the site by its name.
    fn client(&self, site: &Site, clock: &Hands) -> ClientBuilder {
        Client::builder()
            .roots(store(&self.root))
            .resolve(HOST, [site.addr()])
            .clock(clock.reader())
    }
}

fn post(client: &Client, url: &str) -> urlfetch::RequestBuilder {
    client
        .fetch(url)
        .method(Method::POST)
        .payload(vec![b'?'; PAYLOAD])
}

/// The verdict on whoever answered with [`BODY`].
async fn fetched(client: &Client, url: &str) -> Verdict {
    let response = post(client, url).await.unwrap();
    let verdict = response.verdict().unwrap().clone();
    assert_eq!(response.text().await.unwrap(), BODY);
    verdict
}

async fn refused(client: &Client, url: &str) -> Error {
    post(client, url).await.unwrap_err()
}

/// No application byte came through, and on the wire no more than a handshake needs.
fn nothing_was_sent(seen: &Seen, case: &str) {
    assert_eq!(seen.received, 0, "{case}: {seen:?}");
    assert!(seen.wire_in > 0, "{case}: {seen:?}");
    assert!(seen.wire_in < PAYLOAD / 4, "{case}: {seen:?}");
}

/// Runs a test over each TLS and each HTTP, with a world and a site of its own.
fn each(test: impl Fn(Speaks, &World, &Site)) {
    for tls12 in [true, false] {
        for h2 in [true, false] {
            let speaks = Speaks { tls12, h2 };
            test(speaks, &World::new(), &Site::open(speaks));
        }
    }
}

const HOST: &str = "site.test";
const FRONT: &str = "front.test";
const ADDRESS: &str = "127.0.0.1";
/// Several times what a client sends in a handshake.
const PAYLOAD: usize = 32 * 1024;
