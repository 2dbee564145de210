//! Pins: a key that has to be on the path, wherever on it and whichever way there is to it, on each
//! hop and in a resumed session, and never in the place of a path or a name.
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

use std::time::SystemTime;

use proof::{Authority, Chain, below, ca, issue, leaf, now, root, store};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use server::{BODY, FULL, Hands, Manner, NOON, RESUMED, Site, Speaks, run};
use urlfetch::tls::{
    Certificate, Outcome, Pin, Policy, Presented, RootStore, Subject, Verdict, Verifier,
};
use urlfetch::{Client, ErrorKind};

const HOST: &str = "site.test";
const FRONT: &str = "front.test";

#[test]
fn the_pinned_key_may_be_anywhere_on_the_path() {
    let world = World::new();
    let chain = world.good();
    let [leaf, intermediate] = [&chain[0], &chain[1]].map(pin);
    let root = pin(world.root.der());
    let elsewhere = proof::root("elsewhere");
    let elsewhere = (pin(elsewhere.der()), elsewhere.der().clone());
    let default = Policy::default;
    // (what is pinned, the policy, whether the peer is verified)
    let rows = [
        ("the leaf", default().pin(leaf), true),
        ("the intermediate", default().pin(intermediate), true),
        ("the root", default().pin(root), true),
        (
            "all of them",
            default().pins([leaf, intermediate, root]),
            true,
        ),
        ("another", default().pin(elsewhere.0), false),
        (
            "another and the leaf",
            default().pins([elsewhere.0, leaf]),
            true,
        ),
        (
            "another, then the root",
            default().pin(elsewhere.0).pin(root),
            true,
        ),
        (
            "none of several",
            default().pin([0; 32]).pin(elsewhere.0),
            false,
        ),
        ("a key that nobody has", default().pins([[0; 32]; 0]), false),
        (
            "that, and then the leaf",
            default().pins([[0; 32]; 0]).pin(leaf),
            true,
        ),
        (
            "the certificate in the place of its key",
            default().pin(certificate(&chain[0]).sha256()),
            false,
        ),
    ];
    // Whoever has the pinned key is presented too, and is not on the path.
    let in_company = [chain.clone(), vec![elsewhere.1]].concat();
    for (name, policy, is_verified) in rows {
        for presented in [&chain, &in_company] {
            let verdict = world.judge(&policy, presented);
            assert_eq!(verdict.is_verified(), is_verified, "{name}: {verdict}");
            match is_verified {
                true => assert_eq!(pins(&verdict), &Outcome::Passed, "{name}"),
                false => {
                    let reason = verdict.reason().unwrap();
                    assert_eq!(reason.code(), "pin-mismatch", "{name}: {verdict}");
                    assert_eq!(pins(&verdict), &Outcome::Failed(reason.clone()), "{name}");
                    assert_eq!(verdict.reasons().count(), 1, "{name}: {verdict}");
                }
            }
        }
    }
    let verdict = world.judge(&Policy::default(), &chain);
    assert!(matches!(pins(&verdict), Outcome::Skipped(_)), "{verdict}");
}

#[test]
fn a_mismatch_shows_the_keys_that_are_there_and_a_safe_hint() {
    let world = World::new();
    let chain = world.good();
    let keys = format!(
        "; the keys there, the leaf's first and the root's last, are {}, {}, {}",
        pin(&chain[0]),
        pin(&chain[1]),
        pin(world.root.der())
    );
    for (pinned, missing) in [
        (vec![], "a pinned key is demanded, and none is pinned"),
        (vec![[1; 32]], "the pinned key is not on the path"),
        (
            vec![[1; 32], [2; 32], [3; 32]],
            "none of the 3 pinned keys is on the path",
        ),
    ] {
        let verdict = world.judge(&Policy::default().pins(pinned), &chain);
        let reason = verdict.reason().unwrap();
        assert_eq!(reason.sentence(), format!("{missing}{keys}"));
        let hint = reason.hint().unwrap();
        assert!(hint.contains("ask those who run the host"), "{hint}");
        for word in ["off", "disable", "skip", "danger", "validate"] {
            assert!(!hint.contains(word), "{hint}");
        }
        // What it shows can be pinned.
        let shown = keys.rsplit(' ').next().unwrap();
        let policy = Policy::default().pin(shown.parse::<Pin>().unwrap());
        assert!(world.judge(&policy, &chain).is_verified());
    }
    // A leaf that is a root itself is there once.
    let alone = leaf(&[HOST]).self_signed(&world.key).unwrap();
    let roots = RootStore::empty().add_der(alone.der()).unwrap();
    let chain = vec![alone.der().clone()];
    let verdict = judge(&roots, &Policy::default().pin([1; 32]), &chain, now());
    let says = verdict.to_string();
    assert_eq!(says.matches("sha256//").count(), 1, "{says}");
    let policy = Policy::default().pin(pin(&chain[0]));
    assert!(judge(&roots, &policy, &chain, now()).is_verified());
}

#[test]
fn the_right_key_makes_nothing_else_right() {
    let world = World::new();
    let stranger = root("a stranger");
    let day = |month, day| date_time_ymd(2026, month, day);
    let rows: [(&str, Chain); 5] = [
        (
            "unknown-issuer",
            vec![issue(&stranger, &leaf(&[HOST]), &world.key)],
        ),
        (
            "self-signed",
            vec![leaf(&[HOST]).self_signed(&world.key).unwrap().into()],
        ),
        (
            "expired",
            world.issued(|params| params.not_after = day(5, 31)),
        ),
        (
            "not-yet-valid",
            world.issued(|params| params.not_before = day(6, 2)),
        ),
        (
            "hostname-mismatch",
            world.issued(|params| {
                params.subject_alt_names = leaf(&["other.test"]).subject_alt_names;
            }),
        ),
    ];
    for (code, chain) in rows {
        let policy = Policy::default().pin(pin(&chain[0]));
        let verdict = world.judge(&policy, &chain);
        assert!(!verdict.is_verified(), "{code}: {verdict}");
        assert_eq!(verdict.reason().unwrap().code(), code, "{verdict}");
        // Nor is a wrong one what leads.
        let verdict = world.judge(&Policy::default().pin([0; 32]), &chain);
        assert_eq!(verdict.reason().unwrap().code(), code, "{verdict}");
        let is_path = verdict.anchor().is_some();
        let also = verdict.reasons().any(|each| each.code() == "pin-mismatch");
        assert_eq!(also, is_path, "{verdict}");
        assert_eq!(matches!(pins(&verdict), Outcome::Skipped(_)), !is_path);
    }
}

#[test]
fn of_two_paths_the_one_with_the_pinned_key_is_taken() {
    let world = Crossed::new();
    for pinned in [&world.one, &world.two] {
        for crossed in [[0, 1], [1, 0]] {
            let chain = [
                vec![world.leaf.clone()],
                crossed.map(|at| world.crossed[at].clone()).to_vec(),
            ]
            .concat();
            let policy = Policy::default().pin(pin(pinned.der()));
            let verdict = judge(&world.roots(), &policy, &chain, now());
            assert!(verdict.is_verified(), "{verdict}");
            let anchor = verdict.anchor().unwrap();
            assert_eq!(anchor.certificate().der(), &pinned.der()[..]);
        }
    }
    // Where the path to it is missing, the other does not do.
    let chain = [world.leaf.clone(), world.crossed[0].clone()];
    let policy = Policy::default().pin(pin(world.two.der()));
    let verdict = judge(&world.roots(), &policy, &chain, now());
    assert_eq!(verdict.reason().unwrap().code(), "pin-mismatch");
}

#[test]
fn each_hop_has_to_have_a_pinned_key() {
    let world = World::new();
    each(|speaks| {
        let (front, site) = (Site::open(speaks), Site::open(speaks));
        let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
        let chains = [
            vec![issue(&world.root, &leaf(&[FRONT]), &keys[0])],
            vec![issue(&world.root, &leaf(&[HOST]), &keys[1])],
        ];
        front.present(&chains[0], &keys[0]);
        site.present(&chains[1], &keys[1]);
        front.behave(Manner::Redirect(site.url(HOST)));
        let client = |policy| {
            Client::builder()
                .roots(store(&world.root))
                .policy(policy)
                .resolve(FRONT, [front.addr()])
                .resolve(HOST, [site.addr()])
                .clock(now)
                .build()
                .unwrap()
        };
        let url = front.url(FRONT);
        let [at_front, at_site] = [&chains[0][0], &chains[1][0]].map(pin);

        let both = client(Policy::default().pins([at_front, at_site]));
        let response = run(async { both.fetch(&url).await }).unwrap();
        assert_eq!(response.hops().len(), 1);
        for verdict in [response.hops()[0].verdict(), response.verdict()] {
            assert_eq!(pins(verdict.unwrap()), &Outcome::Passed);
        }
        drop(response);
        run(async { (front.seen().await, site.seen().await) });

        for (pinned, refuses, sent) in [
            (at_front, &site, [true, false]),
            (at_site, &front, [false; 2]),
        ] {
            let client = client(Policy::default().pin(pinned));
            let error = run(async { client.fetch(&url).await }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Certificate);
            assert_eq!(error.code(), "pin-mismatch", "{error}");
            assert!(!error.request_was_sent());
            assert_eq!(error.url().unwrap().port(), Some(refuses.addr().port()));
            let seen = run(async { [front.seen().await, site.seen().await] });
            for (seen, sent) in seen.into_iter().zip(sent) {
                assert_eq!(
                    seen.iter().any(|seen| seen.received > 0),
                    sent,
                    "{speaks:?}"
                );
            }
        }
    });
}

/// In the morning there is a path to the pinned root and one to another; from noon on there is the
/// other alone, whatever the session's ticket was issued on.
#[test]
fn a_resumed_session_has_to_have_a_pinned_key_when_it_is_resumed() {
    let world = Crossed::new();
    each(|speaks| {
        let site = Site::open(speaks);
        site.present(
            &[vec![world.leaf.clone()], world.crossed.to_vec()].concat(),
            &world.key,
        );
        let clock = Hands::default();
        let client = Client::builder()
            .roots(world.roots())
            .policy(Policy::default().pin(pin(world.one.der())))
            .resolve(HOST, [site.addr()])
            .clock(clock.reader())
            .build()
            .unwrap();
        let url = site.url(HOST);
        let fetched = async |validate| {
            let response = client.fetch(&url).validate_certificate(validate).await?;
            let verdict = response.verdict().unwrap().clone();
            assert_eq!(response.text().await?, BODY);
            Ok::<_, urlfetch::Error>(verdict)
        };

        for validate in [true, false, true, false] {
            let verdict = run(fetched(validate)).unwrap();
            assert!(verdict.is_verified(), "{verdict}");
            assert_eq!(pins(&verdict), &Outcome::Passed);
        }
        assert_eq!(run(site.kinds()), [FULL, FULL, RESUMED, RESUMED]);

        clock.pass_noon();
        let error = run(fetched(true)).unwrap_err();
        assert_eq!(error.code(), "pin-mismatch", "{error}");
        assert!(!error.request_was_sent());
        let seen = run(site.seen());
        // It was offered, resumed, and found wanting; so was what the server shows today.
        let kinds: Vec<_> = seen.iter().map(|seen| seen.handshake).collect();
        assert_eq!(kinds, [RESUMED, None], "{speaks:?}");
        assert!(seen.iter().all(|seen| seen.received == 0), "{seen:?}");

        // Who does not verify is told.
        let verdict = run(fetched(false)).unwrap();
        assert_eq!(verdict.reason().unwrap().code(), "pin-mismatch");
        assert_eq!(run(site.kinds()), [RESUMED], "{speaks:?}");
    });
}

#[test]
fn a_client_that_accepts_all_is_told_of_a_mismatch() {
    let world = World::new();
    each(|speaks| {
        let site = Site::open(speaks);
        site.present(&world.good(), &world.key);
        let client = Client::builder()
            .roots(store(&world.root))
            .policy(Policy::default().pin([0; 32]))
            .danger_accept_unverified()
            .resolve(HOST, [site.addr()])
            .clock(now)
            .build()
            .unwrap();
        let call = |validate| {
            let call = client.fetch(site.url(HOST));
            run(async { call.validate_certificate(validate).await })
        };
        let response = call(false).unwrap();
        let verdict = response.verdict().unwrap();
        assert!(!verdict.is_verified());
        assert_eq!(verdict.reason().unwrap().code(), "pin-mismatch");
        assert_eq!(call(true).unwrap_err().code(), "pin-mismatch");
    });
}

/// A trusted root, an intermediate, and the key of all servers.
struct World {
    root: Authority,
    intermediate: Authority,
    key: KeyPair,
}

impl World {
    fn new() -> Self {
        let root = root("root");
        Self {
            intermediate: below(&root, ca("intermediate")),
            root,
            key: KeyPair::generate().unwrap(),
        }
    }

    fn good(&self) -> Chain {
        self.issued(|_| {})
    }

    fn issued(&self, change: impl FnOnce(&mut CertificateParams)) -> Chain {
        let mut params = leaf(&[HOST]);
        change(&mut params);
        vec![
            issue(&self.intermediate, &params, &self.key),
            self.intermediate.der().clone(),
        ]
    }

    fn judge(&self, policy: &Policy, chain: &[CertificateDer<'static>]) -> Verdict {
        judge(&store(&self.root), policy, chain, now())
    }
}

/// Two trusted roots that have both certified one CA: the first until noon.
struct Crossed {
    one: Authority,
    two: Authority,
    crossed: [CertificateDer<'static>; 2],
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

impl Crossed {
    fn new() -> Self {
        let (one, two) = (root("one"), root("two"));
        let crossed = KeyPair::generate().unwrap();
        let mut until_noon = ca("crossed");
        until_noon.not_after = date_time_ymd(2026, 6, 1) + NOON;
        let certificates = [
            issue(&one, &until_noon, &crossed),
            issue(&two, &ca("crossed"), &crossed),
        ];
        let key = KeyPair::generate().unwrap();
        let crossed = Issuer::new(ca("crossed"), crossed);
        let leaf = leaf(&[HOST]).signed_by(&key, &crossed).unwrap();
        Self {
            one,
            two,
            crossed: certificates,
            leaf: leaf.into(),
            key,
        }
    }

    fn roots(&self) -> RootStore {
        store(&self.one).add_pem(self.two.pem()).unwrap()
    }
}

fn judge(
    roots: &RootStore,
    policy: &Policy,
    chain: &[CertificateDer<'static>],
    moment: SystemTime,
) -> Verdict {
    let verifier = Verifier::builder().roots(roots.clone());
    let verifier = verifier.policy(policy.clone()).build().unwrap();
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let moment = UnixTime::since_unix_epoch(since);
    let name = ServerName::try_from(HOST).unwrap();
    verifier.judge(&Presented::new(chain), &name, moment)
}

fn pins(verdict: &Verdict) -> &Outcome {
    let mut checks = verdict.checks().iter();
    let check = checks.find(|check| check.subject() == Subject::Pins);
    check.unwrap().outcome()
}

fn pin(der: &CertificateDer<'_>) -> Pin {
    Pin::of(&certificate(der))
}

fn certificate(der: &CertificateDer<'_>) -> Certificate {
    Certificate::from_der(der).unwrap()
}

/// Runs a test over each TLS and each HTTP.
fn each(test: impl Fn(Speaks)) {
    for tls12 in [true, false] {
        for h2 in [true, false] {
            test(Speaks { tls12, h2 });
        }
    }
}
