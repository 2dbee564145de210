//! What a verifier remembers of a chain is that its signatures hold, and nothing else: one that has
//! just found it good refuses it as soon as anything else is no longer as it was.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "support/proof.rs"]
mod proof;

use std::time::{Duration, UNIX_EPOCH};

use proof::{Authority, Chain, below, ca, issue, leaf, now, root, store};
use rcgen::{KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use urlfetch::tls::{Certificate, Pin, Policy, Presented, Verdict, Verifier};

#[test]
fn what_was_good_a_moment_ago_is_judged_anew() {
    let world = World::new();
    let (good, long_lived) = (world.chain(), world.long_lived());
    let (leaf, intermediate) = (good[0].clone(), good[1].clone());
    let later = |seconds: u64| now() + Duration::from_secs(seconds);
    let day = 24 * 60 * 60;
    let with_leaf = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut der = leaf.to_vec();
        change(&mut der);
        vec![CertificateDer::from(der), intermediate.clone()]
    };
    let last = leaf.len() - 1;
    let rows: Vec<(&str, Chain, &str, _, &str)> = vec![
        (
            "after its leaf",
            good.clone(),
            HOST,
            later(30 * day + 1),
            "expired",
        ),
        (
            "after its issuer",
            long_lived.clone(),
            HOST,
            later(60 * day + 1),
            "expired",
        ),
        (
            "before its leaf",
            good.clone(),
            HOST,
            now() - Duration::from_secs(day + 1),
            "not-yet-valid",
        ),
        (
            "for another host",
            good.clone(),
            "other.test",
            now(),
            "hostname-mismatch",
        ),
        (
            "without its issuer",
            vec![leaf.clone()],
            HOST,
            now(),
            "unknown-issuer",
        ),
        (
            "with another issuer of that name",
            vec![leaf.clone(), world.namesake.der().clone()],
            HOST,
            now(),
            "bad-signature",
        ),
        (
            "its leaf from that other issuer",
            vec![
                issue(&world.namesake, &World::params(), &world.key),
                intermediate.clone(),
            ],
            HOST,
            now(),
            "bad-signature",
        ),
        (
            "a bit of its signature",
            with_leaf(&|der| der[last] ^= 1),
            HOST,
            now(),
            "bad-signature",
        ),
        (
            "a letter of its name",
            with_leaf(&|der| {
                let at = der.windows(9).rposition(|name| name == HOST.as_bytes());
                der[at.unwrap()] ^= 1;
            }),
            "iost.test",
            now(),
            "bad-signature",
        ),
    ];
    let warm = world.verifier(Policy::default());
    for (what, chain, host, at, code) in rows {
        for known in [&good, &long_lived] {
            assert!(judge(&warm, known, HOST, now()).is_verified());
        }
        // As often as it comes: a refusal is not remembered either.
        for _ in 0..2 {
            let verdict = judge(&warm, &chain, host, at);
            let fresh = judge(&world.verifier(Policy::default()), &chain, host, at);
            assert_eq!(
                verdict.reason().map(|reason| reason.code()),
                Some(code),
                "{what}"
            );
            assert!(verdict.reasons().eq(fresh.reasons()), "{what}");
        }
        assert!(judge(&warm, &good, HOST, now()).is_verified(), "{what}");
    }
}

/// Roots and policy belong to one verifier, and so does what it remembers.
#[test]
fn other_roots_and_another_policy_know_nothing_of_it() {
    let world = World::new();
    let good = world.chain();
    let warm = world.verifier(Policy::default());
    assert!(judge(&warm, &good, HOST, now()).is_verified());

    let other = Certificate::from_der(world.namesake.der()).unwrap();
    for (policy, code) in [
        (Policy::default().pin(Pin::of(&other)), "pin-mismatch"),
        (Policy::default().min_days_left(31), "expires-soon"),
        (Policy::default().max_chain_length(1), "chain-too-long"),
    ] {
        let verdict = judge(&world.verifier(policy), &good, HOST, now());
        assert_eq!(verdict.reason().unwrap().code(), code);
    }
    let stranger = Verifier::builder().roots(store(&root("root")));
    let verdict = judge(&stranger.build().unwrap(), &good, HOST, now());
    assert!(!verdict.is_verified(), "{verdict}");
}

/// The leaf ends in 30 days, its issuer in 60.
struct World {
    root: Authority,
    intermediate: Authority,
    /// An intermediate of the same name under the same root, with another key.
    namesake: Authority,
    key: KeyPair,
}

impl World {
    fn new() -> Self {
        let root = root("root");
        let issuer = || {
            let mut params = ca("intermediate");
            params.not_after = date_time_ymd(2026, 7, 31);
            params
        };
        Self {
            intermediate: below(&root, issuer()),
            namesake: below(&root, issuer()),
            root,
            key: KeyPair::generate().unwrap(),
        }
    }

    fn params() -> rcgen::CertificateParams {
        let mut params = leaf(&[HOST]);
        params.not_before = date_time_ymd(2026, 5, 31);
        params.not_after = date_time_ymd(2026, 7, 1);
        params
    }

    fn chain(&self) -> Chain {
        vec![
            issue(&self.intermediate, &Self::params(), &self.key),
            self.intermediate.der().clone(),
        ]
    }

    /// Of a leaf that outlives its issuer.
    fn long_lived(&self) -> Chain {
        vec![
            issue(&self.intermediate, &leaf(&[HOST]), &self.key),
            self.intermediate.der().clone(),
        ]
    }

    fn verifier(&self, policy: Policy) -> Verifier {
        let builder = Verifier::builder().roots(store(&self.root)).policy(policy);
        builder.build().unwrap()
    }
}

fn judge(verifier: &Verifier, chain: &Chain, host: &str, at: std::time::SystemTime) -> Verdict {
    let at = UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).unwrap());
    let name = ServerName::try_from(host).unwrap();
    verifier.judge(&Presented::new(chain), &name, at)
}

const HOST: &str = "host.test";
