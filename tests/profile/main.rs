//! The profile of certificates: for every rule a path that keeps it and one that breaks only it.
//! Whom a rule binds, what its breach is called, and that it can be waived, is tried on each.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[path = "../support/mint.rs"]
mod mint;
mod pairs;
mod path;

use std::slice;

use mint::{name, octets, sequence, tlv, utc};
use pairs::PAIRS;
use path::*;
use rustls::pki_types::CertificateDer;
use urlfetch::tls::{Level, Policy, Rule};

#[test]
fn every_rule_is_kept_by_one_and_broken_by_another() {
    let world = World::new();
    for pair in PAIRS {
        let rule = Rule::find(pair.rule).unwrap_or_else(|| panic!("no rule {}", pair.rule));
        let id = rule.id;
        let named = format!("({id}, {})", rule.source);

        let kept = world.judge(pair.keeps, Policy::strict());
        assert!(kept.is_verified(), "{id} is kept: {kept}");

        let broken = world.judge(pair.breaks, Policy::strict());
        let reasons: Vec<_> = broken.reasons().collect();
        assert!(
            !broken.is_verified() && reasons.len() == 1,
            "{id}: {reasons:#?}"
        );
        let reason = reasons[0];
        assert_eq!(reason.code(), pair.code, "{id}: {reason}");
        assert!(reason.sentence().contains(&named), "{id}: {reason}");
        assert!(reason.sentence().contains(rule.demands), "{id}: {reason}");

        let by_default = world.judge(pair.breaks, Policy::default());
        let waived = world.judge(pair.breaks, Policy::strict().waive(rule));
        let is_strict = rule.level == Level::Strict;
        assert_eq!(by_default.is_verified(), is_strict, "{id}: {by_default}");
        assert_eq!(waived.is_verified(), is_strict, "{id}: {waived}");
        if is_strict {
            assert!(
                reason.hint().is_some_and(|hint| hint.contains(id)),
                "{id}: {reason:?}"
            );
        } else {
            assert_eq!(by_default.reason(), Some(reason), "{id}");
        }
    }
}

#[test]
fn no_rule_is_without_a_pair() {
    for rule in Rule::all() {
        let has_pair = PAIRS.iter().any(|pair| pair.rule == rule.id);
        assert!(has_pair, "{} has no pair", rule.id);
    }
}

/// It is no permission to leave out what may be a limit: the certificate says that it is a CA's, and
/// then something that is not for us to guess.
#[test]
fn a_root_whose_limits_cannot_be_read_is_refused_by_all() {
    let world = World::new();
    let is_ca: &[u8] = &[1, 1, 0xff];
    for rest in [
        // Something behind the limit, one that is too large to be one, and one below zero.
        vec![2, 1, 0, 5, 0],
        vec![2, 2, 1, 0],
        vec![2, 1, 0x80],
        vec![5, 0],
    ] {
        let constraints = sequence(&[is_ca, &rest]);
        for policy in [Policy::default(), Policy::strict()] {
            let verdict = world.judge_path(
                |p| p.root.set(BASIC_CONSTRAINTS, true, constraints.clone()),
                policy,
            );
            let reason = verdict.reason().unwrap();
            assert_eq!(reason.code(), "path-length", "{verdict}");
        }
    }
}

/// BR 6.3.2: both ends are in it, and a day has 86,400 seconds.
#[test]
fn the_last_second_of_the_longest_validity() {
    let world = World::new();
    let cases: &[(&str, &str, bool)] = &[
        ("250801000000Z", "260902235959Z", true),
        ("250801000000Z", "260903000000Z", false),
        ("260314235959Z", "270416235958Z", true),
        ("260314235959Z", "270416235959Z", false),
        ("260315000000Z", "260930235959Z", true),
        ("260315000000Z", "261001000000Z", false),
    ];
    for (from, to, is_good) in cases {
        let validity = [utc(from), utc(to)];
        let claims: [fn(&mut Path); 2] = [Path::claim_public_trust, |path| {
            path.leaf.set(SCTS, false, octets(&[0, 0]));
        }];
        for claim in claims {
            let verdict = world.judge_path(
                |path| {
                    claim(path);
                    path.leaf.validity = validity.clone();
                },
                Policy::strict(),
            );
            assert_eq!(verdict.is_verified(), *is_good, "{from} {to}: {verdict}");
        }
    }
}

/// What the profile has no rule for, as it cannot come that far.
#[test]
fn what_the_profile_leaves_to_others_is_refused_by_them() {
    let world = World::new();
    let cases: &[(&str, Change, &str)] = &[
        (
            "a serial number with a needless zero",
            |p| p.leaf.serial = vec![0, 1],
            "malformed",
        ),
        (
            "a serial number of 22 octets",
            |p| p.leaf.serial = vec![1; 22],
            "malformed",
        ),
        (
            "two algorithms",
            |p| p.leaf.algorithms[0] = algorithm("1.2.840.10045.4.3.3"),
            "unsupported-algorithm",
        ),
        (
            "ECDSA with SHA-1",
            |p| p.leaf.algorithms = [const { "1.2.840.10045.4.1" }; 2].map(algorithm),
            "unsupported-algorithm",
        ),
        (
            "RSA with SHA-1",
            |p| p.leaf.algorithms = [const { "1.2.840.113549.1.1.5" }; 2].map(algorithm),
            "unsupported-algorithm",
        ),
        (
            "RSA with MD5",
            |p| p.ca.algorithms = [const { "1.2.840.113549.1.1.4" }; 2].map(algorithm),
            "unsupported-algorithm",
        ),
        (
            "a key for DSA",
            |p| p.leaf.key = of_another_kind(DSA, None),
            "unsupported-algorithm",
        ),
        (
            "a CA with a key for DSA",
            |p| p.ca.key = of_another_kind(DSA, None),
            "unsupported-algorithm",
        ),
        (
            "a key on P-192",
            |p| p.leaf.key = of_another_kind(EC, Some(P_192)),
            "unsupported-algorithm",
        ),
        (
            "a CA with a key on P-192",
            |p| p.ca.key = of_another_kind(EC, Some(P_192)),
            "unsupported-algorithm",
        ),
        (
            "a root with a key on P-192",
            |p| p.root.key = of_another_kind(EC, Some(P_192)),
            "unsupported-algorithm",
        ),
        (
            "unique identifiers",
            |p| p.leaf.unique_ids = tlv(0x81, &[&[0, 1]]),
            "malformed",
        ),
        (
            "validity that ends before it begins",
            |p| p.leaf.validity.reverse(),
            "not-yet-valid",
        ),
        (
            "no subjectAltName",
            |p| p.leaf.remove(NAMES),
            "hostname-mismatch",
        ),
        (
            "an empty subjectAltName",
            |p| p.leaf.set(NAMES, false, names(&[])),
            "hostname-mismatch",
        ),
        (
            "a constraint with a minimum",
            |p| {
                let subtree = sequence(&[&tlv(DNS, &[b"test"]), &tlv(0x80, &[&[1]])]);
                p.ca.set(NAME_CONSTRAINTS, true, sequence(&[&tlv(0xa0, &[&subtree])]));
            },
            "malformed",
        ),
        (
            "policy constraints that are critical",
            |p| {
                p.ca.set(POLICY_CONSTRAINTS, true, sequence(&[&tlv(0x80, &[&[0]])]))
            },
            "unknown-critical-extension",
        ),
        (
            "a critical extension twice",
            |p| {
                let twice = p.leaf.extensions[0].clone();
                p.leaf.extensions.push(twice);
            },
            "malformed",
        ),
        (
            "a CA without basicConstraints",
            |p| p.ca.remove(BASIC_CONSTRAINTS),
            "not-a-ca",
        ),
    ];
    for (what, breaks, code) in cases {
        let verdict = world.judge(*breaks, Policy::default());
        let mut codes = verdict.reasons().map(|reason| reason.code());
        assert!(codes.any(|each| each == *code), "{what}: {verdict}");
    }
}

/// What is trusted for itself is no CA, and need not be one.
#[test]
fn a_leaf_among_the_roots_is_judged_as_a_leaf() {
    let world = World::new();
    let key = &world.keys[2];
    let mut leaf = Path::good(&world.keys).leaf;
    leaf.issuer = leaf.subject.clone();
    leaf.remove(ISSUER_KEY_ID);
    let der = leaf.sign(key);
    let judge = |chain: &[CertificateDer<'_>], policy| judge(&der, chain, policy);
    for policy in [Policy::default(), Policy::strict()] {
        let verdict = judge(slice::from_ref(&der), policy);
        assert!(verdict.is_verified(), "{verdict}");
    }
    leaf.remove(EKU);
    let without = leaf.sign(key);
    let verdict = self::judge(&without, slice::from_ref(&without), Policy::strict());
    assert_eq!(verdict.reason().unwrap().code(), "profile", "{verdict}");

    // It is none that another may be issued by.
    let mut issued = Path::good(&world.keys).leaf;
    issued.issuer = leaf.subject.clone();
    issued.remove(ISSUER_KEY_ID);
    let verdict = judge(&[issued.sign(key)], Policy::default());
    assert_eq!(verdict.reason().unwrap().code(), "not-a-ca", "{verdict}");
}

#[test]
fn a_path_that_breaks_a_rule_is_passed_over_for_one_that_keeps_it() {
    let world = World::new();
    let mut path = Path::good(&world.keys);
    let good = path.ca.sign(&world.keys[0]);
    path.ca.remove(KEY_USAGE);
    let bad = path.ca.sign(&world.keys[0]);
    let [root, leaf] = [
        path.root.sign(&world.keys[0]),
        path.leaf.sign(&world.keys[1]),
    ];
    let verdict = judge(&root, &[leaf, bad, good.clone()], Policy::strict());
    assert!(verdict.is_verified(), "{verdict}");
    assert_eq!(verdict.chain()[1].der(), &good[..]);
}

/// The path that got furthest is told of, whatever else was presented that leads nowhere.
#[test]
fn a_broken_rule_outranks_what_ends_other_paths_sooner() {
    let world = World::new();
    let mut path = Path::good(&world.keys);
    let [root, leaf] = [
        path.root.sign(&world.keys[0]),
        path.leaf.sign(&world.keys[1]),
    ];
    let twin = |change: Change, signer: usize| {
        let mut path = Path::good(&world.keys);
        change(&mut path);
        path.ca.sign(&world.keys[signer])
    };
    path.ca.remove(KEY_USAGE);
    let breaks = path.ca.sign(&world.keys[0]);
    let ends: [(&str, Change, usize, &str); 5] = [
        (
            "expired",
            |p| p.ca.validity[1] = utc("260531235959Z"),
            0,
            "expired",
        ),
        ("signed by another", |_| {}, 2, "bad-signature"),
        ("no CA", |p| p.ca.remove(BASIC_CONSTRAINTS), 0, "not-a-ca"),
        (
            "for code",
            |p| p.ca.set(EKU, false, purposes(&[CODE_SIGNING])),
            0,
            "wrong-purpose",
        ),
        (
            "not for the host",
            |p| {
                p.ca.set(NAME_CONSTRAINTS, true, permitted(DNS, b"other.test"))
            },
            0,
            "name-constraint",
        ),
    ];
    for (what, change, signer, code) in ends {
        let other = twin(change, signer);
        let alone = judge(&root, &[leaf.clone(), other.clone()], Policy::strict());
        assert_eq!(alone.reason().unwrap().code(), code, "{what}: {alone}");
        for issuers in [[&breaks, &other], [&other, &breaks]] {
            let chain = [&leaf, issuers[0], issuers[1]].map(Clone::clone);
            let verdict = judge(&root, &chain, Policy::strict());
            let reasons: Vec<_> = verdict.reasons().collect();
            assert_eq!(reasons.len(), 1, "{what}: {reasons:#?}");
            assert!(
                reasons[0].sentence().contains("(ca-key-usage, "),
                "{what}: {verdict}"
            );
        }
    }
}

/// What a stranger wrote is bounded and escaped on its way into a reason.
#[test]
fn a_broken_rule_shows_no_stranger_as_he_likes() {
    let world = World::new();
    let long = "x".repeat(60_000);
    let hostile = format!("\u{1b}[2J\0\u{202e}{long}.test");
    for breaks in [
        &|path: &mut Path| path.leaf.subject = name(&[&hostile]),
        &|path: &mut Path| path.add_names(&[(DNS, hostile.as_bytes())]),
        &|path: &mut Path| path.add_names(&[(EMAIL, hostile.as_bytes())]),
        &|path: &mut Path| {
            path.ca
                .set(NAME_CONSTRAINTS, true, excluded(EMAIL, hostile.as_bytes()))
        },
        &|path: &mut Path| {
            path.leaf
                .set(ISSUER_KEY_ID, false, key_id(hostile.as_bytes()))
        },
        &|path: &mut Path| path.leaf.set(AIA, false, access(URI, hostile.as_bytes())),
    ] as [&dyn Fn(&mut Path); 6]
    {
        let verdict = world.judge_path(breaks, Policy::strict());
        let reason = verdict.reason().unwrap();
        assert!(reason.to_string().len() < 1200, "{reason}");
        let is_plain = |c: char| matches!(c, ' '..='~' | '§' | '…');
        assert!(reason.to_string().chars().all(is_plain), "{reason}");
    }
}
