//! Over TLS 1.2 and 1.3, HTTP/1.1 and h2: what is stapled is judged before a request goes out, is
//! kept with the session, and is judged again whenever the session is resumed.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use rcgen::{CertificateParams, KeyPair};
use rustls::HandshakeKind;
use rustls::server::ServerSessionMemoryCache;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use urlfetch::tls::{CertStatus, Outcome, Policy, TlsStream, Verdict};
use urlfetch::{Client, Error, ErrorKind};

use super::ocsp::{HOUR, Response, moment, revoked, unknown};
use super::proof::{Authority, Chain, issue, leaf, root, store};
use super::server::{BODY, FULL, RESUMED, Seen, Site, Speaks, run};
use super::{must_staple, revocation};

#[test]
fn a_good_staple_is_told_and_a_bad_one_is_refused_before_a_byte_of_the_request() {
    each(|world, site| {
        let required = Policy::default().require_staple();
        let silent = Some(world.staple(|response| response.status = 3));
        for (policy, staple, code) in [
            (Policy::default(), Some(world.good_until(HOUR)), None),
            (Policy::default(), None, None),
            (required.clone(), Some(world.good_until(HOUR)), None),
            (required.clone(), None, Some("staple-missing")),
            (required, silent.clone(), Some("staple-invalid")),
            (Policy::default(), silent, Some("staple-invalid")),
            (
                Policy::default(),
                Some(world.good_until(-1)),
                Some("staple-invalid"),
            ),
            (
                Policy::default(),
                Some(b"rubbish".to_vec()),
                Some("staple-invalid"),
            ),
            (Policy::default(), Some(world.revoked()), Some("revoked")),
            (
                Policy::default(),
                Some(world.staple(|response| response.singles[0].status = unknown())),
                Some("revocation-unknown"),
            ),
        ] {
            let client = world.client(policy);
            site.present_stapled(&world.chain, &world.key, staple.clone());
            match code {
                None => {
                    let verdict = run(fetched(&client, site));
                    let told = verdict.staple().map(|told| told.status());
                    assert_eq!(told, staple.map(|_| CertStatus::Good));
                    assert_eq!(run(site.kinds()), [FULL]);
                }
                Some(code) => {
                    let error = run(refused(&client, site));
                    assert_eq!(error.code(), code);
                    nothing_was_sent(&run(site.seen()), &[None]);
                }
            }
        }
    });
}

#[test]
fn who_must_staple_does_so_or_is_refused() {
    each(|world, site| {
        let mut params = leaf(&[HOST]);
        params.custom_extensions.push(must_staple());
        let world = world.with(&params);
        let client = world.client(Policy::default());
        site.present(&world.chain, &world.key);
        assert_eq!(run(refused(&client, site)).code(), "staple-missing");
        nothing_was_sent(&run(site.seen()), &[None]);
        site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
        for _ in 0..2 {
            assert!(run(fetched(&client, site)).staple().is_some());
        }
        assert_eq!(run(site.kinds()), [FULL, RESUMED]);
    });
}

#[test]
fn a_session_is_resumed_while_its_staple_is_fresh_and_no_longer() {
    for policy in [Policy::default(), Policy::default().require_staple()] {
        each(|world, site| {
            let client = world.client(policy.clone());
            site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
            for (at, kind) in [(0, FULL), (1, RESUMED), (HOUR, RESUMED)] {
                world.set_clock(at);
                let verdict = run(fetched(&client, site));
                assert_eq!(*revocation(&verdict), Outcome::Passed);
                let told = verdict.staple().unwrap();
                assert_eq!(told.next_update(), Some(moment(HOUR)));
                assert_eq!(run(site.kinds()), [kind], "{at}");
            }
            // A new one takes its place, in a full handshake.
            world.set_clock(HOUR + 1);
            site.present_stapled(&world.chain, &world.key, Some(world.good_until(2 * HOUR)));
            for expected in [&[RESUMED, FULL][..], &[RESUMED]] {
                let verdict = run(fetched(&client, site));
                let told = verdict.staple().unwrap();
                assert_eq!(told.next_update(), Some(moment(2 * HOUR)));
                assert_eq!(run(site.kinds()), expected);
            }
            // Or is no better.
            world.set_clock(2 * HOUR + 1);
            for (staple, code) in [
                (world.good_until(2 * HOUR), "staple-invalid"),
                (world.revoked(), "revoked"),
            ] {
                site.present_stapled(&world.chain, &world.key, Some(staple));
                let error = run(refused(&client, site));
                assert_eq!(error.code(), code);
                let expected: &[_] = match code {
                    "revoked" => &[None],
                    _ => &[RESUMED, None],
                };
                nothing_was_sent(&run(site.seen()), expected);
            }
        });
    }
}

#[test]
fn a_session_without_a_staple_stays_one() {
    each(|world, site| {
        let client = world.client(Policy::default());
        site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
        assert!(run(fetched(&client, site)).staple().is_some());
        // What a full handshake brings counts from then on, be it nothing.
        site.forget_sessions();
        site.present(&world.chain, &world.key);
        for _ in 0..2 {
            assert_eq!(run(fetched(&client, site)).staple(), None);
        }
        world.set_clock(HOUR + 1);
        assert_eq!(run(fetched(&client, site)).staple(), None);
        assert_eq!(run(site.kinds()), [FULL, FULL, RESUMED, RESUMED]);
    });
}

#[test]
fn who_was_seen_revoked_is_not_resumed_from_a_session_of_before() {
    each(|world, site| {
        let good = || {
            site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
        };
        let bad = |staple: &[u8]| {
            site.present_stapled(&world.chain, &world.key, Some(staple.to_vec()));
        };
        for staple in [world.revoked(), b"rubbish".to_vec()] {
            let client = world.client(Policy::default());
            good();
            run(fetched(&client, site));
            let before = site.exchange_sessions(ServerSessionMemoryCache::new(32));
            bad(&staple);
            run(refused(&client, site));
            // The server would still resume it.
            site.exchange_sessions(before);
            good();
            run(fetched(&client, site));
            assert_eq!(run(site.kinds()), [FULL, None, FULL]);
        }
    });
}

#[test]
fn a_staple_serves_one_origin() {
    for tls12 in [true, false] {
        let speaks = Speaks { tls12, h2: false };
        let (world, site, other) = (World::new(), Site::open(speaks), Site::open(speaks));
        let client = world.client(Policy::default().require_staple());
        site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
        other.present(&world.chain, &world.key);
        run(fetched(&client, &site));
        assert_eq!(run(refused(&client, &other)).code(), "staple-missing");
        nothing_was_sent(&run(other.seen()), &[None]);
        // Nor does the refusal of the one cost the other its session.
        run(fetched(&client, &site));
        assert_eq!(run(site.kinds()), [FULL, RESUMED]);
        other.present_stapled(&world.chain, &world.key, Some(world.good_until(2 * HOUR)));
        for (at, one, two) in [(0, RESUMED, FULL), (HOUR, RESUMED, RESUMED)] {
            world.set_clock(at);
            for (site, until, kind) in [(&site, HOUR, one), (&other, 2 * HOUR, two)] {
                let verdict = run(fetched(&client, site));
                let told = verdict.staple().unwrap();
                assert_eq!(told.next_update(), Some(moment(until)));
                assert_eq!(run(site.kinds()), [kind]);
            }
        }
    }
}

#[test]
fn with_a_ninth_leaf_all_sessions_of_its_origin_are_forgotten() {
    each(|world, site| {
        for leaves in [8, 9] {
            let client = world.client(Policy::default());
            for serial in 0..leaves {
                let mut params = leaf(&[HOST]);
                params.serial_number = Some(rcgen::SerialNumber::from(100_u64 + serial));
                let world = world.with(&params);
                site.forget_sessions();
                site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
                assert!(run(fetched(&client, site)).staple().is_some());
                assert_eq!(run(site.kinds()), [FULL]);
            }
            let then = [[RESUMED, RESUMED], [FULL, RESUMED]];
            for expected in then[usize::from(leaves == 9)] {
                assert!(run(fetched(&client, site)).staple().is_some());
                assert_eq!(run(site.kinds()), [expected], "{leaves}");
            }
        }
    });
}

#[test]
fn where_nothing_is_demanded_a_resumed_session_is_reported_on_as_the_full_one_was() {
    each(|world, site| {
        let client = world.client(Policy::default());
        site.present_stapled(&world.chain, &world.key, Some(world.revoked()));
        for kind in [FULL, RESUMED] {
            let verdict = run(async {
                let call = client.fetch(site.url(HOST)).validate_certificate(false);
                let response = call.await.unwrap();
                let verdict = response.verdict().unwrap().clone();
                assert_eq!(response.text().await.unwrap(), BODY);
                verdict
            });
            assert_eq!(verdict.reason().unwrap().code(), "revoked");
            assert_eq!(verdict.staple().unwrap().status(), CertStatus::Revoked);
            assert_eq!(run(site.kinds()), [kind]);
        }
        assert_eq!(run(refused(&client, site)).code(), "revoked");
        nothing_was_sent(&run(site.seen()), &[None]);
    });
}

#[test]
fn a_stream_for_another_protocol_goes_the_same_way() {
    for tls12 in [true, false] {
        let world = World::new();
        let site = Site::open(Speaks { tls12, h2: false });
        let client = world.client(Policy::default().require_staple());
        let connect = async || client.connect(HOST, site.addr().port()).await;
        let wrap = async || {
            let tcp = TcpStream::connect(site.addr()).await.unwrap();
            client.wrap(tcp, HOST).await
        };
        site.present(&world.chain, &world.key);
        assert_eq!(run(connect()).unwrap_err().code(), "staple-missing");
        assert_eq!(run(wrap()).unwrap_err().code(), "staple-missing");
        nothing_was_sent(&run(site.seen()), &[None, None]);

        site.present_stapled(&world.chain, &world.key, Some(world.good_until(HOUR)));
        for _ in 0..2 {
            run(async { converse(connect().await.unwrap()).await });
            run(async { converse(wrap().await.unwrap()).await });
        }
        assert_eq!(run(site.kinds()), [FULL, FULL, RESUMED, RESUMED]);

        world.set_clock(HOUR + 1);
        site.present_stapled(&world.chain, &world.key, Some(world.good_until(2 * HOUR)));
        run(async { converse(connect().await.unwrap()).await });
        // A stream that somebody else opened cannot be opened anew, but the next one is.
        assert_eq!(run(wrap()).unwrap_err().code(), "staple-invalid");
        run(async { converse(wrap().await.unwrap()).await });
        assert_eq!(run(site.kinds()), [RESUMED, FULL, RESUMED, FULL]);
    }
}

/// Says something over a stream and hears the answer out, and so has the tickets that came before.
async fn converse(mut stream: TlsStream) {
    assert!(stream.verdict().staple().is_some());
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(BODY.as_bytes()));
}

/// A root that is trusted, a chain right under it, and a clock.
struct World {
    root: Arc<Authority>,
    key: KeyPair,
    chain: Chain,
    clock: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        let root = Arc::new(root("root"));
        Self::of(root, &leaf(&[HOST]), Arc::default())
    }

    /// The same world with another leaf.
    fn with(&self, params: &CertificateParams) -> Self {
        Self::of(Arc::clone(&self.root), params, Arc::clone(&self.clock))
    }

    fn of(root: Arc<Authority>, params: &CertificateParams, clock: Arc<AtomicI64>) -> Self {
        let key = KeyPair::generate().unwrap();
        let chain = vec![issue(&root, params, &key)];
        Self {
            root,
            key,
            chain,
            clock,
        }
    }

    fn staple(&self, change: impl Fn(&mut Response)) -> Vec<u8> {
        let mut response = Response::good(&self.chain[0], self.root.der());
        change(&mut response);
        response.sign(self.root.key())
    }

    /// A good staple that is out of date so many seconds after the clock's zero.
    fn good_until(&self, next_update: i64) -> Vec<u8> {
        self.staple(|response| response.singles[0].next_update = Some(next_update))
    }

    fn revoked(&self) -> Vec<u8> {
        self.staple(|response| {
            response.singles[0].status = revoked(Some(1));
            response.singles[0].next_update = Some(10 * HOUR);
        })
    }

    fn set_clock(&self, seconds: i64) {
        self.clock.store(seconds, SeqCst);
    }

    /// A client that trusts the root and finds every site by its name.
    fn client(&self, policy: Policy) -> Client {
        let clock = Arc::clone(&self.clock);
        Client::builder()
            .roots(store(&self.root))
            .policy(policy)
            .resolve(HOST, [(Ipv4Addr::LOCALHOST, 0).into()])
            .clock(move || moment(clock.load(SeqCst)))
            .build()
            .unwrap()
    }
}

/// The verdict on whoever answered with [`BODY`].
async fn fetched(client: &Client, site: &Site) -> Verdict {
    let response = client.fetch(site.url(HOST)).await.unwrap();
    let verdict = response.verdict().unwrap().clone();
    assert_eq!(response.text().await.unwrap(), BODY);
    verdict
}

async fn refused(client: &Client, site: &Site) -> Error {
    let error = client.fetch(site.url(HOST)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    assert!(!error.request_was_sent());
    assert!(!error.verdict().unwrap().is_verified());
    error
}

/// These handshakes, and no application byte.
fn nothing_was_sent(seen: &[Seen], kinds: &[Option<HandshakeKind>]) {
    let handshakes: Vec<_> = seen.iter().map(|seen| seen.handshake).collect();
    assert_eq!(handshakes, kinds);
    for seen in seen {
        assert_eq!(seen.received, 0, "{seen:?}");
    }
}

/// Runs a test over each TLS and each HTTP, with a world and a site of its own.
fn each(test: impl Fn(&World, &Site)) {
    for tls12 in [true, false] {
        for h2 in [true, false] {
            test(&World::new(), &Site::open(Speaks { tls12, h2 }));
        }
    }
}

const HOST: &str = "site.test";
