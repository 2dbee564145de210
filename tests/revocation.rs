//! CRLs, from their files to a refusal: each rule of RFC 5280 §5 and §6.3.3 with a list that keeps
//! it and one that breaks only it, through `Verifier::judge`, and over a connection.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[path = "support/crl.rs"]
mod crl;
#[path = "support/proof.rs"]
#[expect(dead_code, reason = "the roots here may sign CRLs")]
mod proof;
#[path = "support/proof_server.rs"]
#[expect(dead_code, reason = "the proof needs more of it")]
mod server;

use std::time::SystemTime;

use crl::{
    CRL_NUMBER, Crl, INTEGER, SEQUENCE, authority_key_id, entry, extension, key_id, number, place,
    reason, scope, subject, tlv,
};
use proof::{Authority, Chain, below, ca, issue, leaf, now, store};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, CustomExtension, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{ServerName, UnixTime};
use server::{Manner, Site, Speaks, run};
use urlfetch::tls::{
    CrlStore, ExpirationPolicy, Outcome, Policy, Presented, RevocationCheckDepth, Subject,
    UnknownStatusPolicy, Verdict, Verifier,
};
use urlfetch::{Client, ErrorKind, Method};

#[test]
fn a_list_that_revokes_nobody_on_the_path_lets_it_pass() {
    let world = World::new();
    let verdict = world.judge(&[Crl::revoking(&[OTHER])], &[Crl::revoking(&[OTHER])]);
    assert!(verdict.is_verified(), "{verdict}");
    assert_eq!(*outcome(&verdict), Outcome::Passed);
    // Without a list nothing is looked at, and that is said.
    let verdict = world.judge_by(&Policy::default());
    assert!(verdict.is_verified());
    let Outcome::Skipped(why) = outcome(&verdict) else {
        panic!("{verdict:?}");
    };
    assert!(why.starts_with("no CRL is configured"), "{why}");
}

#[test]
fn whoever_is_revoked_is_refused_with_all_that_the_list_says() {
    let world = World::new();
    let with_reason = Crl::listing(&[entry(&[OTHER], &[]), entry(&[LEAF], &[reason(1)])]);
    let verdict = world.judge(&[with_reason], &[Crl::default()]);
    let refusal = verdict.reason().unwrap();
    assert_eq!(refusal.code(), "revoked");
    assert_eq!(
        refusal.sentence(),
        "the certificate of CN=host.test (serial number 07) was revoked at 2026-05-01T00:00:00Z \
         (keyCompromise), says the CRL of CN=intermediate of 2026-05-31T00:00:00Z (bytes)"
    );
    assert!(matches!(outcome(&verdict), Outcome::Failed(reason) if reason == refusal));

    // An intermediate, by the root's list.
    let verdict = world.judge(&[Crl::default()], &[Crl::revoking(&[CA])]);
    let refusal = verdict.reason().unwrap();
    assert_eq!(refusal.code(), "revoked");
    assert!(
        refusal.sentence().starts_with(
            "the certificate of CN=intermediate (serial number 01) was revoked at \
             2026-05-01T00:00:00Z (no reason is given), says the CRL of CN=root"
        ),
        "{refusal}"
    );
    // By its own list it cannot be: that one is about what it issued.
    let verdict = world.judge(&[Crl::revoking(&[CA])], &[Crl::default()]);
    assert!(verdict.is_verified(), "{verdict}");
}

/// Each row is a list of the leaf's issuer and what becomes of the leaf: "" if it is good.
#[test]
fn each_rule_has_a_list_that_keeps_it_and_one_that_breaks_it() {
    let world = World::new();
    let plain = Crl::default;
    let revoking = || Crl::revoking(&[LEAF]);
    let version = |version: &[u8]| Crl {
        version: version.to_vec(),
        ..plain()
    };
    let general = Crl {
        next_update: tlv(0x18, &[b"20500101000000Z"]),
        ..plain()
    };
    let of_another_name = Crl {
        issuer: Some(subject(&world.root)),
        ..revoking()
    };
    let harmless = |id| extension(id, false, &[2, 1, 1]);
    let critical = |id| extension(id, true, &[2, 1, 1]);
    let long_number = |length| extension(CRL_NUMBER, false, &tlv(INTEGER, &[&vec![1; length]]));
    let own = |extensions: &[Vec<u8>]| Crl::listing(&[entry(&[LEAF], extensions)]);
    let other = |extensions: &[Vec<u8>]| Crl::listing(&[entry(&[OTHER], extensions)]);
    let one_of_three = Crl::listing(&[
        entry(&[8], &[reason(1)]),
        entry(&[OTHER], &[critical(UNKNOWN)]),
        entry(&[9], &[harmless(UNKNOWN)]),
    ]);
    let key = key_id(&world.intermediate);
    let nameless_key = extension(&[0x55, 29, 35], false, &[0x30, 0]);
    let rows: Vec<(&str, Crl, &str, &str)> = vec![
        ("a good list", plain(), "", ""),
        // Version, RFC 5280 §5.1.2.1.
        ("version 1", version(&[]).saying(&[]), INVALID, "version 2"),
        (
            "version 1 with extensions",
            version(&[]),
            INVALID,
            "version 2",
        ),
        (
            "version 1, named",
            version(&[2, 1, 0]),
            INVALID,
            "version 2",
        ),
        ("version 3", version(&[2, 1, 2]), INVALID, "version 2"),
        // Dates, §5.1.2.4 and §5.1.2.5. It is now 2026-06-01.
        ("of just now", plain().of("260601000000Z"), "", ""),
        (
            "of a second hence",
            plain().of("260601000001Z"),
            INVALID,
            "yet to come",
        ),
        (
            "of a second hence, revoking",
            revoking().of("260601000001Z"),
            INVALID,
            "yet to come",
        ),
        ("until just now", plain().until("260601000000Z"), "", ""),
        (
            "until a second ago",
            plain().until("260531235959Z"),
            INVALID,
            "2026-05-31T23:59:59Z",
        ),
        (
            "until a second ago, revoking",
            revoking().until("260531235959Z"),
            REVOKED,
            "no reason",
        ),
        ("without an end", plain().without_end(), INVALID, "§5.1.2.5"),
        ("of GeneralizedTime", general, "", ""),
        // Number, §5.2.3.
        ("number zero", plain().saying(&[number(0)]), "", ""),
        (
            "no number",
            plain().saying(&[]),
            INVALID,
            "has no CRL number",
        ),
        (
            "no number, revoking",
            revoking().saying(&[]),
            INVALID,
            "has no CRL number",
        ),
        (
            "critical number",
            plain().saying(&[critical(CRL_NUMBER)]),
            INVALID,
            "is critical",
        ),
        (
            "number of 20 bytes",
            plain().saying(&[long_number(20)]),
            "",
            "",
        ),
        (
            "number of 21 bytes",
            plain().saying(&[long_number(21)]),
            INVALID,
            "more than 20 bytes",
        ),
        // Other extensions, §5.2.
        ("unknown extension", plain().with(harmless(UNKNOWN)), "", ""),
        (
            "critical unknown extension",
            plain().with(critical(UNKNOWN)),
            INVALID,
            "1.2.3.4",
        ),
        (
            "issuer's other name",
            plain().with(harmless(&[0x55, 29, 18])),
            "",
            "",
        ),
        (
            "critical other name",
            plain().with(critical(&[0x55, 29, 18])),
            INVALID,
            "2.5.29.18",
        ),
        ("delta", plain().with(critical(DELTA)), INVALID, "delta"),
        (
            "delta that is not critical",
            plain().with(harmless(DELTA)),
            INVALID,
            "delta",
        ),
        (
            "delta, revoking",
            revoking().with(critical(DELTA)),
            INVALID,
            "delta",
        ),
        // Extensions of entries, §5.3.
        ("unknown in an entry", other(&[harmless(UNKNOWN)]), "", ""),
        (
            "critical unknown in an entry",
            other(&[critical(UNKNOWN)]),
            INVALID,
            "1.2.3.4",
        ),
        ("the same beside others", one_of_three, INVALID, "1.2.3.4"),
        (
            "another issuer's entry",
            other(&[critical(CERTIFICATE_ISSUER)]),
            INVALID,
            "2.5.29.29",
        ),
        (
            "the same, not critical",
            other(&[harmless(CERTIFICATE_ISSUER)]),
            INVALID,
            "2.5.29.29",
        ),
        (
            "invalidity date",
            own(&[harmless(&[0x55, 29, 24])]),
            REVOKED,
            "no reason",
        ),
        ("on hold", own(&[reason(6)]), REVOKED, "(certificateHold)"),
        // In a list that is not a delta nobody is taken off it.
        (
            "off the list",
            own(&[reason(8)]),
            REVOKED,
            "(removeFromCRL)",
        ),
        (
            "reason of the future",
            own(&[reason(99)]),
            REVOKED,
            "not known",
        ),
        // Key, §5.2.1.
        (
            "of this key",
            revoking().with(authority_key_id(&key)),
            REVOKED,
            "",
        ),
        (
            "of another key",
            revoking().with(authority_key_id(&[1])),
            ELSEWHERE,
            "covers others",
        ),
        (
            "of no key by name",
            revoking().with(nameless_key),
            REVOKED,
            "",
        ),
        // Issuer.
        (
            "of another name",
            of_another_name,
            ELSEWHERE,
            "no CRL of CN=intermediate says",
        ),
        // Scope, §5.2.5 and §6.3.3 (b). The leaf names one place.
        ("of users", revoking().with(scope(&[USERS])), REVOKED, ""),
        (
            "of CAs",
            revoking().with(scope(&[CAS])),
            ELSEWHERE,
            "covers others",
        ),
        (
            "of users and CAs, so of nobody",
            revoking().with(scope(&[USERS, CAS])),
            ELSEWHERE,
            "",
        ),
        (
            "of attributes",
            revoking().with(scope(&[&[0x85, 1, 0xff]])),
            ELSEWHERE,
            "",
        ),
        (
            "not of attributes",
            revoking().with(scope(&[USERS, &[0x85, 1, 0]])),
            REVOKED,
            "",
        ),
        (
            "of several issuers",
            revoking().with(scope(&[&[0x84, 1, 0xff]])),
            ELSEWHERE,
            "",
        ),
        (
            "of some reasons",
            revoking().with(scope(&[&[0x83, 2, 1, 0x40]])),
            ELSEWHERE,
            "",
        ),
        (
            "of the leaf's place",
            revoking().with(scope(&[&place(PLACE)])),
            REVOKED,
            "",
        ),
        (
            "of another place",
            revoking().with(scope(&[&place("http://b.test/")])),
            ELSEWHERE,
            "",
        ),
        (
            "of a place below",
            revoking().with(scope(&[&place(BELOW)])),
            ELSEWHERE,
            "",
        ),
        (
            "of the place, for CAs",
            revoking().with(scope(&[&place(PLACE), CAS])),
            ELSEWHERE,
            "",
        ),
        (
            "of nothing in particular",
            plain().with(scope(&[])),
            INVALID,
            "point is empty",
        ),
    ];
    for (name, list, code, says) in rows {
        let verdict = world.judge(&[list], &[Crl::default()]);
        let told = verdict
            .reason()
            .map(|reason| (reason.code(), reason.sentence()));
        match (code, told) {
            ("", None) => assert!(verdict.is_verified(), "{name}"),
            (_, Some((found, sentence))) => {
                assert_eq!(found, code, "{name}: {verdict}");
                assert!(sentence.contains(says), "{name}: {verdict}");
                assert_eq!(verdict.reasons().count(), 1, "{name}: {verdict}");
                assert!(verdict.reason().unwrap().hint().is_some());
            }
            (_, None) => panic!("{name} is let pass, and is {code}"),
        }
    }
}

#[test]
fn a_list_of_a_place_says_nothing_of_who_names_none() {
    let world = World::new();
    let with = |points: Vec<u8>| {
        let mut params = leaf(&[HOST]);
        params.serial_number = Some(SerialNumber::from(u64::from(LEAF)));
        let points = CustomExtension::from_oid_content(&[2, 5, 29, 31], points);
        params.custom_extensions = vec![points];
        params
    };
    let place_of = |fields: &[&[u8]]| tlv(SEQUENCE, &[&tlv(SEQUENCE, fields)]);
    let elsewhere = place("http://crl.test/2.crl");
    let two = [&elsewhere[..], &place(PLACE)].map(|each| tlv(SEQUENCE, &[each]));
    let directory = tlv(0xa4, &[&subject(&world.root)]);
    let relative = tlv(0xa0, &[&tlv(0xa1, &[b"a name"])]);
    let named = |name: &[u8]| tlv(0xa0, &[&tlv(0xa0, &[name])]);
    let some_reasons: &[u8] = &[0x81, 2, 1, 0x40];
    let here = place(PLACE);
    let rows: Vec<(&str, CertificateParams, Vec<u8>, bool)> = vec![
        ("no place", world.leaf_without_place(), here.clone(), false),
        ("the place", with(place_of(&[&here])), here.clone(), true),
        (
            "two places, each its own",
            with(tlv(SEQUENCE, &[&two.concat()])),
            here.clone(),
            true,
        ),
        (
            "places, none of them it",
            with(tlv(SEQUENCE, &[&two[0]])),
            here.clone(),
            false,
        ),
        (
            "for some reasons",
            with(place_of(&[&here, some_reasons])),
            here.clone(),
            false,
        ),
        (
            "of another issuer",
            with(place_of(&[&here, &tlv(0xa2, &[&directory])])),
            here.clone(),
            false,
        ),
        (
            "only another issuer",
            with(place_of(&[&tlv(0xa2, &[&directory])])),
            here.clone(),
            false,
        ),
        (
            "a directory's name",
            with(place_of(&[&named(&directory)])),
            named(&directory),
            true,
        ),
        (
            "the same letters as a name of another kind",
            with(place_of(&[&named(&tlv(0x82, &[PLACE.as_bytes()]))])),
            here.clone(),
            false,
        ),
        (
            "a relative name",
            with(place_of(&[&relative])),
            relative.clone(),
            true,
        ),
        (
            "a relative name, and a full one",
            with(place_of(&[&relative])),
            here.clone(),
            false,
        ),
        (
            "unreadable",
            with(vec![0x30, 3, 1, 2, 3]),
            here.clone(),
            false,
        ),
        (
            "cut off",
            with(tlv(SEQUENCE, &[&two[1], &[0x30, 9]])),
            here,
            false,
        ),
    ];
    for (name, params, place, is_covered) in rows {
        let chain = vec![
            issue(&world.intermediate, &params, &world.key),
            world.chain[1].clone(),
        ];
        let policy = world.policy(
            &[Crl::revoking(&[LEAF]).with(scope(&[&place]))],
            &[Crl::default()],
        );
        let verdict = world.judge_chain(&chain, &policy);
        let expected = match is_covered {
            true => "revoked",
            false => "revocation-unknown",
        };
        assert_eq!(verdict.reason().unwrap().code(), expected, "{name}");
    }
}

#[test]
fn a_ca_is_on_the_lists_of_cas() {
    let world = World::new();
    for (kind, code) in [(0x82, "revoked"), (0x81, "revocation-unknown")] {
        let list = Crl::revoking(&[CA]).with(scope(&[&[kind, 1, 0xff]]));
        let verdict = world.judge(&[Crl::default()], &[list]);
        let refusal = verdict.reason().unwrap();
        assert_eq!(refusal.code(), code);
        assert!(refusal.sentence().contains("CN=intermediate"), "{refusal}");
    }
}

#[test]
fn the_newest_list_wins_in_whatever_order_they_come() {
    let world = World::new();
    let of = |day, serials: &[u8]| Crl::revoking(serials).of(&format!("2605{day}000000Z"));
    let numbered = |list: Crl, nth| list.saying(&[number(nth)]);
    let flawed = |list: Crl| list.saying(&[]);
    let rows: Vec<(&str, Vec<Crl>, &str)> = vec![
        (
            "an old one hides no newer one",
            vec![of("01", &[]), of("20", &[LEAF])],
            "revoked",
        ),
        (
            "nor does it revoke anew",
            vec![of("01", &[LEAF]), of("20", &[])],
            "",
        ),
        (
            "three",
            vec![of("01", &[LEAF]), of("20", &[]), of("10", &[LEAF])],
            "",
        ),
        // A list that must not be used is no reason to take an older one.
        (
            "a bad new one",
            vec![of("01", &[]), flawed(of("20", &[]))],
            "crl-invalid",
        ),
        (
            "a bad old one",
            vec![flawed(of("01", &[])), of("20", &[])],
            "",
        ),
        (
            "of one day, by their numbers",
            vec![numbered(of("20", &[LEAF]), 2), numbered(of("20", &[]), 1)],
            "revoked",
        ),
        // One that is about others does not stand in the way.
        (
            "a newer one of CAs",
            vec![
                of("01", &[LEAF]),
                of("20", &[]).with(scope(&[&[0x82, 1, 0xff]])),
            ],
            "revoked",
        ),
        (
            "a newer one of another key",
            vec![
                of("01", &[LEAF]),
                of("20", &[]).with(authority_key_id(&[1])),
            ],
            "revoked",
        ),
    ];
    for (name, mut lists, code) in rows {
        for _ in 0..lists.len() {
            lists.rotate_left(1);
            let verdict = world.judge(&lists, &[Crl::default()]);
            let found = verdict.reason().map_or("", |reason| reason.code());
            assert_eq!(found, code, "{name}: {verdict}");
        }
    }
}

#[test]
fn a_list_that_its_issuer_did_not_sign_is_never_taken_for_no_list() {
    let world = World::new();
    let stranger = CertifiedIssuer::self_signed(signing_ca("intermediate"), pair()).unwrap();
    let forged = Crl::default().signed_by(&stranger);
    let mut altered = Crl::revoking(&[LEAF]).signed_by(&world.intermediate);
    let at = altered.len() - 1;
    altered[at] ^= 1;
    let genuine = Crl::revoking(&[OTHER]).signed_by(&world.intermediate);
    let rows: Vec<(&str, Vec<&[u8]>, &str)> = vec![
        (
            "a stranger's of the same name",
            vec![&forged],
            "crl-invalid",
        ),
        ("an altered one", vec![&altered], "crl-invalid"),
        // There is one that is the issuer's.
        (
            "beside a genuine one",
            vec![&forged, &genuine, &altered],
            "",
        ),
    ];
    for (name, lists, code) in rows {
        let lists = lists.into_iter().fold(CrlStore::empty(), |store, list| {
            store.add_der(list).unwrap()
        });
        let lists = lists
            .add_der(Crl::default().signed_by(&world.root))
            .unwrap();
        for unknown in [UnknownStatusPolicy::Deny, UnknownStatusPolicy::Allow] {
            let policy = Policy::default().crls(&lists).unknown_status(unknown);
            // Twice: what is known of a signature is not forgotten, nor is it mistaken.
            for _ in 0..2 {
                let verdict = world.judge_by(&policy);
                let found = verdict.reason().map_or("", |reason| reason.code());
                assert_eq!(found, code, "{name}, {unknown:?}: {verdict}");
                if let Some(reason) = verdict.reason() {
                    assert!(
                        reason
                            .sentence()
                            .contains("not signed by that issuer's key")
                    );
                }
            }
        }
    }
}

#[test]
fn whether_a_key_signed_a_list_is_kept_for_each_key() {
    // Two CAs of one name, one list of each, and a leaf of each.
    let world = World::new();
    let twin = below(&world.root, signing_ca("intermediate"));
    let leaf_of_twin = vec![
        issue(&twin, &world.leaf_without_place(), &world.key),
        twin.der().clone(),
    ];
    let mut lists = CrlStore::empty()
        .add_der(Crl::default().signed_by(&world.root))
        .unwrap();
    for list in [
        Crl::revoking(&[LEAF]).signed_by(&world.intermediate),
        Crl::default().signed_by(&twin),
    ] {
        lists = lists.add_der(list).unwrap();
    }
    let policy = Policy::default().crls(lists);
    for _ in 0..3 {
        let verdict = world.judge_by(&policy);
        assert_eq!(verdict.reason().unwrap().code(), "revoked");
        let verdict = world.judge_chain(&leaf_of_twin, &policy);
        assert!(verdict.is_verified(), "{verdict}");
    }
}

#[test]
fn who_may_not_sign_crls_has_signed_none() {
    let with = |usages: &[KeyUsagePurpose]| {
        let mut params = ca("intermediate");
        params.key_usages = usages.to_vec();
        params
    };
    let rows = [
        ("nothing said", vec![], ""),
        (
            "both",
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            "",
        ),
        (
            "certificates alone",
            vec![KeyUsagePurpose::KeyCertSign],
            "crl-invalid",
        ),
    ];
    for (name, usages, code) in rows {
        // An intermediate, and an anchor.
        for is_anchor in [true, false] {
            let mut world = World::new();
            let params = match is_anchor {
                true => {
                    world.root = root_of(&usages);
                    signing_ca("intermediate")
                }
                false => with(&usages),
            };
            world.intermediate = below(&world.root, params);
            world.chain = world.present(&world.intermediate);
            let verdict = world.judge(&[Crl::default()], &[Crl::default()]);
            let found = verdict.reason().map_or("", |reason| reason.code());
            assert_eq!(found, code, "{name}, {is_anchor}: {verdict}");
            if let Some(reason) = verdict.reason() {
                assert!(reason.sentence().contains("§6.3.3 (f)"), "{reason}");
            }
        }
    }
}

#[test]
fn depth_unknown_status_and_expiration_are_as_the_policy_has_them() {
    use ExpirationPolicy::{Enforce, Ignore};
    use RevocationCheckDepth::{Chain as Whole, EndEntity};
    use UnknownStatusPolicy::{Allow, Deny};
    let world = World::new();
    let good = Crl::default;
    let expired = |serials: &[u8]| Crl::revoking(serials).until("260531120000Z");
    let flawed = good().saying(&[]);
    let no_end = good().without_end();
    type Row<'a> = (
        &'a str,
        Vec<Crl>,
        Vec<Crl>,
        RevocationCheckDepth,
        UnknownStatusPolicy,
        ExpirationPolicy,
        &'a str,
    );
    let rows: Vec<Row<'_>> = vec![
        (
            "all known",
            vec![good()],
            vec![good()],
            Whole,
            Deny,
            Enforce,
            "",
        ),
        (
            "CA unknown",
            vec![good()],
            vec![],
            Whole,
            Deny,
            Enforce,
            "revocation-unknown",
        ),
        (
            "CA unknown, leaf alone",
            vec![good()],
            vec![],
            EndEntity,
            Deny,
            Enforce,
            "",
        ),
        (
            "CA unknown, allowed",
            vec![good()],
            vec![],
            Whole,
            Allow,
            Enforce,
            "skipped",
        ),
        (
            "leaf unknown",
            vec![],
            vec![good()],
            Whole,
            Deny,
            Enforce,
            "revocation-unknown",
        ),
        (
            "leaf unknown, leaf alone",
            vec![],
            vec![good()],
            EndEntity,
            Deny,
            Enforce,
            "revocation-unknown",
        ),
        (
            "leaf unknown, allowed",
            vec![],
            vec![good()],
            Whole,
            Allow,
            Enforce,
            "skipped",
        ),
        (
            "CA revoked",
            vec![good()],
            vec![Crl::revoking(&[CA])],
            Whole,
            Allow,
            Ignore,
            "revoked",
        ),
        (
            "CA revoked, leaf alone",
            vec![good()],
            vec![Crl::revoking(&[CA])],
            EndEntity,
            Deny,
            Enforce,
            "",
        ),
        (
            "leaf revoked, leaf alone",
            vec![Crl::revoking(&[LEAF])],
            vec![],
            EndEntity,
            Deny,
            Enforce,
            "revoked",
        ),
        (
            "leaf revoked, else allowed",
            vec![Crl::revoking(&[LEAF])],
            vec![],
            Whole,
            Allow,
            Enforce,
            "revoked",
        ),
        (
            "expired",
            vec![expired(&[])],
            vec![good()],
            Whole,
            Deny,
            Enforce,
            "crl-invalid",
        ),
        (
            "expired, unknown allowed",
            vec![expired(&[])],
            vec![good()],
            Whole,
            Allow,
            Enforce,
            "crl-invalid",
        ),
        (
            "expired, ignored",
            vec![expired(&[])],
            vec![good()],
            Whole,
            Deny,
            Ignore,
            "",
        ),
        (
            "expired, ignored, revoked",
            vec![expired(&[LEAF])],
            vec![good()],
            Whole,
            Deny,
            Ignore,
            "revoked",
        ),
        (
            "without an end, expiry ignored",
            vec![no_end],
            vec![good()],
            Whole,
            Deny,
            Ignore,
            "crl-invalid",
        ),
        (
            "invalid, unknown allowed",
            vec![flawed],
            vec![good()],
            Whole,
            Allow,
            Ignore,
            "crl-invalid",
        ),
    ];
    for (name, of_leaf, of_ca, depth, unknown, expiration, expected) in rows {
        let policy = world
            .policy(&of_leaf, &of_ca)
            .revocation_depth(depth)
            .unknown_status(unknown)
            .crl_expiration(expiration);
        let verdict = world.judge_by(&policy);
        match outcome(&verdict) {
            Outcome::Passed => assert_eq!("", expected, "{name}"),
            Outcome::Skipped(why) => {
                assert_eq!("skipped", expected, "{name}");
                let whose = match of_leaf.is_empty() {
                    true => "CN=host.test (serial number 07)",
                    false => "CN=intermediate (serial number 01)",
                };
                assert!(why.contains(whose), "{name}: {why}");
                assert!(verdict.is_verified());
            }
            Outcome::Failed(reason) => assert_eq!(reason.code(), expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_path_over_a_revoked_ca_is_passed_over_for_one_that_is_fine() {
    let world = World::new();
    // The same CA, certified twice: by the root, which has revoked it, and by another root.
    let second = CertifiedIssuer::self_signed(signing_ca("second root"), pair()).unwrap();
    let ours = || KeyPair::from_pem(&world.intermediate.key().serialize_pem()).unwrap();
    let mut params = signing_ca("intermediate");
    params.serial_number = Some(SerialNumber::from(2));
    let again = CertifiedIssuer::signed_by(params, ours(), &second).unwrap();
    let (revoked, fine) = (world.chain[1].clone(), again.der().clone());
    let roots = store(&world.root).add_der(second.der()).unwrap();
    let lists = [
        Crl::default().signed_by(&world.intermediate),
        Crl::revoking(&[CA]).signed_by(&world.root),
        Crl::revoking(&[OTHER]).signed_by(&second),
    ];
    let lists = lists.iter().fold(CrlStore::empty(), |store, list| {
        store.add_der(list).unwrap()
    });
    let judge = |issuers: &[&rustls::pki_types::CertificateDer<'static>]| {
        let mut chain = vec![world.chain[0].clone()];
        chain.extend(issuers.iter().copied().cloned());
        let verifier = Verifier::builder()
            .roots(roots.clone())
            .policy(Policy::default().crls(&lists));
        verdict(&verifier.build().unwrap(), &chain)
    };
    for chain in [[&revoked, &fine], [&fine, &revoked]] {
        let verdict = judge(&chain);
        assert!(verdict.is_verified(), "{verdict}");
        assert_eq!(verdict.anchor().unwrap().subject(), "CN=second root");
    }
    assert_eq!(judge(&[&revoked]).reason().unwrap().code(), "revoked");
}

#[test]
fn a_leaf_that_is_itself_a_root_is_on_no_list() {
    let world = World::new();
    let der = leaf(&[HOST]).self_signed(&world.key).unwrap().der().clone();
    let roots = store(&world.root).add_der(&der).unwrap();
    let verifier = Verifier::builder()
        .roots(roots)
        .policy(world.policy(&[Crl::default()], &[]));
    let verdict = verdict(&verifier.build().unwrap(), &[der]);
    assert!(verdict.is_verified(), "{verdict}");
    let Outcome::Skipped(why) = outcome(&verdict) else {
        panic!("{verdict:?}");
    };
    assert!(why.contains("itself a root"), "{why}");
}

#[test]
fn lists_as_another_library_writes_them() {
    let world = World::new();
    let list = |serial: u64, place: Option<CrlIssuingDistributionPoint>| {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 5, 31),
            next_update: date_time_ymd(2026, 6, 7),
            crl_number: SerialNumber::from(1234),
            issuing_distribution_point: place,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2026, 4, 1),
                reason_code: Some(RevocationReason::Superseded),
                invalidity_date: Some(date_time_ymd(2026, 3, 1)),
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&world.intermediate).unwrap()
    };
    let place = |uri: &str, scope| {
        Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec!["http://first.test/".to_owned(), uri.to_owned()],
            },
            scope,
        })
    };
    let users = Some(CrlScope::UserCertsOnly);
    let rows = [
        (u64::from(LEAF), None, "revoked"),
        (0x0102_0304_0506, None, ""),
        (u64::from(LEAF), place(PLACE, users), "revoked"),
        (0xff, place(PLACE, users), ""),
        (
            u64::from(LEAF),
            place(PLACE, Some(CrlScope::CaCertsOnly)),
            "revocation-unknown",
        ),
        (
            u64::from(LEAF),
            place("http://b.test/", users),
            "revocation-unknown",
        ),
    ];
    for (serial, place, code) in rows {
        let root_list = Crl::default().signed_by(&world.root);
        let crls = CrlStore::empty()
            .add_pem(list(serial, place).pem().unwrap())
            .and_then(|store| store.add_der(&root_list))
            .unwrap();
        let verdict = world.judge_by(&Policy::default().crls(crls));
        let found = verdict.reason().map_or("", |reason| reason.code());
        assert_eq!(found, code, "{verdict}");
    }
}

#[test]
fn no_change_of_a_list_lets_a_revoked_leaf_pass() {
    let world = World::new();
    let list = Crl::listing(&[entry(&[OTHER], &[]), entry(&[LEAF], &[reason(1)])])
        .with(authority_key_id(&key_id(&world.intermediate)))
        .with(scope(&[&place(PLACE), USERS]))
        .signed_by(&world.intermediate);
    let changed = (0..list.len()).flat_map(|at| {
        let list = &list;
        [0x01, 0x02, 0x10, 0x80, 0xff].map(|bits| {
            let mut changed = list.clone();
            changed[at] ^= bits;
            changed
        })
    });
    let cut = (0..list.len()).map(|length| list[..length].to_vec());
    let mut judged = 0;
    for list in changed.chain(cut) {
        let Ok(lists) = CrlStore::empty().add_der(list) else {
            continue;
        };
        let policy = Policy::default().crls(lists);
        let policy = policy.revocation_depth(RevocationCheckDepth::EndEntity);
        let verdict = world.judge_by(&policy);
        assert!(!verdict.is_verified(), "{verdict}");
        judged += 1;
    }
    // Most of them can be read, and are found out by their signature.
    assert!(judged > list.len(), "{judged}");
}

#[test]
fn a_revoked_leaf_is_refused_before_a_byte_of_the_request() {
    for tls12 in [true, false] {
        let world = World::new();
        let site = Site::open(Speaks { tls12, h2: false });
        site.present(&world.chain, &world.key);
        let client = |list: Crl| {
            Client::builder()
                .roots(store(&world.root))
                .policy(world.policy(&[list], &[Crl::default()]))
                .resolve(HOST, [site.addr()])
                .clock(now)
                .build()
                .unwrap()
        };
        let fetch = |list: Crl| {
            run(async {
                let call = client(list).fetch(site.url(HOST)).method(Method::POST);
                call.payload(vec![b'?'; PAYLOAD]).await
            })
        };
        let error = fetch(Crl::revoking(&[LEAF])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
        assert_eq!(error.code(), "revoked");
        assert!(!error.request_was_sent());
        assert!(error.to_string().contains("(serial number 07)"), "{error}");
        let seen = run(site.seen());
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].handshake, seen[0].received), (None, 0));
        assert!(seen[0].wire_in < PAYLOAD / 4, "{seen:?}");

        site.behave(Manner::Answer);
        let response = fetch(Crl::revoking(&[OTHER])).unwrap();
        assert_eq!(*outcome(response.verdict().unwrap()), Outcome::Passed);
        drop(response);
        assert!(run(site.seen())[0].received > PAYLOAD);
    }
}

/// A root, an intermediate and a leaf below it, in which nothing is wrong.
struct World {
    root: Authority,
    intermediate: Authority,
    key: KeyPair,
    chain: Chain,
}

impl World {
    fn new() -> Self {
        let root = root_of(&[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
        let intermediate = below(&root, signing_ca("intermediate"));
        let mut world = Self {
            root,
            intermediate,
            key: pair(),
            chain: Vec::new(),
        };
        world.chain = world.present(&world.intermediate);
        world
    }

    fn present(&self, intermediate: &Authority) -> Chain {
        let mut params = self.leaf_without_place();
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: vec![PLACE.to_owned()],
        }];
        vec![
            issue(intermediate, &params, &self.key),
            intermediate.der().clone(),
        ]
    }

    fn leaf_without_place(&self) -> CertificateParams {
        let mut params = leaf(&[HOST]);
        params.serial_number = Some(SerialNumber::from(u64::from(LEAF)));
        params
    }

    /// A policy of lists by the intermediate and by the root.
    fn policy(&self, of_leaf: &[Crl], of_ca: &[Crl]) -> Policy {
        let of_leaf = of_leaf
            .iter()
            .map(|list| list.signed_by(&self.intermediate));
        let of_ca = of_ca.iter().map(|list| list.signed_by(&self.root));
        let lists = of_leaf.chain(of_ca);
        let store = lists.fold(CrlStore::empty(), |store, list| {
            store.add_der(list).unwrap()
        });
        Policy::default().crls(store)
    }

    fn judge(&self, of_leaf: &[Crl], of_ca: &[Crl]) -> Verdict {
        self.judge_by(&self.policy(of_leaf, of_ca))
    }

    fn judge_by(&self, policy: &Policy) -> Verdict {
        self.judge_chain(&self.chain, policy)
    }

    fn judge_chain(&self, chain: &Chain, policy: &Policy) -> Verdict {
        let verifier = Verifier::builder()
            .roots(store(&self.root))
            .policy(policy.clone());
        verdict(&verifier.build().unwrap(), chain)
    }
}

fn verdict(verifier: &Verifier, chain: &[rustls::pki_types::CertificateDer<'static>]) -> Verdict {
    let since = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    verifier.judge(
        &Presented::new(chain),
        &name,
        UnixTime::since_unix_epoch(since),
    )
}

fn outcome(verdict: &Verdict) -> &Outcome {
    let mut checks = verdict.checks().iter();
    let check = checks.find(|check| check.subject() == Subject::Revocation);
    check.unwrap().outcome()
}

/// A CA that may sign CRLs too.
fn signing_ca(name: &str) -> CertificateParams {
    let mut params = ca(name);
    params.key_usages.push(KeyUsagePurpose::CrlSign);
    params
}

fn root_of(usages: &[KeyUsagePurpose]) -> Authority {
    let mut params = ca("root");
    params.key_usages = usages.to_vec();
    CertifiedIssuer::self_signed(params, pair()).unwrap()
}

fn pair() -> KeyPair {
    KeyPair::generate().unwrap()
}

const HOST: &str = "host.test";
const PLACE: &str = "http://crl.test/1.crl";
const BELOW: &str = "http://crl.test/1.crl/";
/// Serial numbers: the leaf's, the intermediate's, and nobody's.
const LEAF: u8 = 7;
const CA: u8 = 1;
const OTHER: u8 = 99;
/// Several times what a client sends in a handshake.
const PAYLOAD: usize = 32 * 1024;

const INVALID: &str = "crl-invalid";
const REVOKED: &str = "revoked";
const ELSEWHERE: &str = "revocation-unknown";

/// Object identifiers: nobody's, deltaCRLIndicator and certificateIssuer.
const UNKNOWN: &[u8] = &[0x2a, 3, 4];
const DELTA: &[u8] = &[0x55, 29, 27];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 29, 29];
/// onlyContainsUserCerts and onlyContainsCACerts.
const USERS: &[u8] = &[0x81, 1, 0xff];
const CAS: &[u8] = &[0x82, 1, 0xff];
