//! What is said of a peer, pass or fail: `Verifier::judge` over certificates minted for the
//! purpose, at a pinned moment, and what becomes of a verdict on its way to `Response` and `Error`.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[path = "support/proof.rs"]
mod proof;

use std::time::SystemTime;

use proof::{Authority, Chain, below, ca, issue, leaf, now, root, store};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_RSA_SHA256, PublicKeyData, RevokedCertParams, SignatureAlgorithm,
    SigningKey, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::{
    Check, CrlStore, Outcome, Policy, Presented, RevocationCheckDepth, RootStore, Subject, Verdict,
    Verifier,
};

const HOST: &str = "host.test";

#[test]
fn a_good_chain_passes_every_check_in_whatever_order_and_company_it_comes() {
    let world = World::new();
    let chain = world.good();
    let (host, intermediate) = (&chain[0], &chain[1]);
    let second = below(&world.intermediate, ca("second intermediate"));
    let deep = issue(&second, &leaf(&[HOST]), &world.key);
    let stranger = root("a stranger").der().clone();
    let junk = CertificateDer::from(vec![0x30, 0x82, 0xff, 0xff, 1, 2, 3]);
    let rows: Vec<(&str, Chain, usize)> = vec![
        ("as it should be", chain.clone(), 2),
        (
            "with the root",
            [chain.clone(), vec![world.root.der().clone()]].concat(),
            2,
        ),
        (
            "with duplicates",
            vec![
                host.clone(),
                host.clone(),
                intermediate.clone(),
                intermediate.clone(),
            ],
            2,
        ),
        (
            "upside down",
            vec![
                deep.clone(),
                world.root.der().clone(),
                intermediate.clone(),
                second.der().clone(),
            ],
            3,
        ),
        (
            "among junk and strangers",
            vec![
                deep,
                junk.clone(),
                stranger,
                intermediate.clone(),
                CertificateDer::from(Vec::new()),
                second.der().clone(),
                junk,
            ],
            3,
        ),
        (
            "right under the root",
            vec![issue(&world.root, &leaf(&[HOST]), &world.key)],
            1,
        ),
        (
            "as many as are looked at",
            [vec![host.clone(); 63], vec![intermediate.clone()]].concat(),
            2,
        ),
        (
            "as many bytes as are looked at",
            {
                let bytes = (256 << 10) - host.len() - intermediate.len();
                let junk = CertificateDer::from(vec![0; bytes]);
                vec![host.clone(), junk, intermediate.clone()]
            },
            2,
        ),
    ];
    for (name, presented, length) in rows {
        let verdict = world.judge(&presented);
        assert!(verdict.is_verified(), "{name}: {verdict}");
        assert!(verdict.reason().is_none() && verdict.reasons().next().is_none());
        assert_eq!(
            verdict.checks().iter().map(subject).collect::<Vec<_>>(),
            SUBJECTS,
            "{name}"
        );
        assert!(verdict.checks().iter().all(passes), "{name}");
        assert_eq!(verdict.host(), HOST);
        // The path that was found: no junk, no duplicates, not the root.
        assert_eq!(verdict.chain().len(), length, "{name}");
        assert_eq!(verdict.chain()[0].der(), &presented[0][..], "{name}");
        let anchor = verdict.anchor().unwrap();
        assert_eq!(anchor.certificate().der(), &world.root.der()[..], "{name}");
        assert!(
            verdict.to_string().contains(anchor.source()) && !anchor.source().is_empty(),
            "{verdict}"
        );
    }
}

/// Each code that certificates can provoke, with what the sentence and the hint must say.
#[test]
fn each_fault_has_its_code_its_sentence_and_a_safe_hint() {
    let world = World::new();
    for (name, chain, code, says, hints) in faults(&world) {
        let verdict = world.judge(&chain);
        assert!(!verdict.is_verified(), "{name}");
        let reason = verdict
            .reason()
            .unwrap_or_else(|| panic!("{name}: {verdict}"));
        assert_eq!(reason.code(), code, "{name}: {verdict}");
        assert!(reason.sentence().contains(says), "{name}: {verdict}");
        match (hints, reason.hint()) {
            ("", None) => {}
            ("", Some(hint)) => panic!("{name}: {hint}"),
            (hints, hint) => assert!(hint.unwrap_or_default().contains(hints), "{name}: {hint:?}"),
        }
        // The leading reason is told, and of the others their codes.
        let others: Vec<&str> = verdict
            .reasons()
            .filter(|other| *other != reason)
            .map(|other| other.code())
            .collect();
        let also = match others.is_empty() {
            true => String::new(),
            false => format!(" (also: {})", others.join(", ")),
        };
        assert_eq!(
            verdict.to_string(),
            format!("\"{HOST}\" is not verified: {reason}{also}"),
            "{name}"
        );
        assert!(verdict.anchor().is_none() || code != "unknown-issuer");
        no_way_out_but_a_safe_one(&verdict);
    }
}

#[test]
fn the_table_of_faults_has_every_code() {
    let world = World::new();
    let provoked: Vec<&str> = faults(&world).iter().map(|row| row.2).collect();
    let codes = "no-certificate malformed unsupported-version unsupported-algorithm \
                 unknown-critical-extension weak-key self-signed unknown-issuer bad-signature \
                 ca-as-end-entity not-a-ca path-length chain-too-long too-complex name-constraint \
                 wrong-purpose hostname-mismatch expired not-yet-valid";
    for code in codes.split_whitespace() {
        assert!(
            // rcgen mints no version 1: the lab does, below.
            provoked.contains(&code) || code == "unsupported-version",
            "{code}"
        );
    }
}

type Fault = (
    &'static str,
    Chain,
    &'static str,
    &'static str,
    &'static str,
);

/// (what it is, the chain, the code, in the sentence, in the hint)
fn faults(world: &World) -> Vec<Fault> {
    let day = |year, month, day| date_time_ymd(year, month, day);
    let key = &world.key;
    let under = |issuer: &Authority| {
        vec![
            issue(issuer, &leaf(&[HOST]), key),
            issuer.der().clone(),
            world.intermediate.der().clone(),
        ]
    };
    let stranger = root("a stranger");
    let self_signed = |change: fn(&mut CertificateParams)| {
        let mut params = leaf(&[HOST]);
        change(&mut params);
        vec![CertificateDer::from(params.self_signed(key).unwrap())]
    };
    let intermediate = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca("particular intermediate");
        change(&mut params);
        below(&world.intermediate, params)
    };
    // The lowest first, as a server would send them.
    let mut lowest = below(&world.root, ca("depth 1"));
    let mut depths = vec![lowest.der().clone()];
    for depth in 2..=8 {
        lowest = below(&lowest, ca(&format!("depth {depth}")));
        depths.insert(0, lowest.der().clone());
    }
    depths.insert(0, issue(&lowest, &leaf(&[HOST]), key));
    vec![
        (
            "nothing",
            vec![],
            "no-certificate",
            "presented no certificate",
            "",
        ),
        (
            "not a certificate",
            vec![CertificateDer::from(b"not a certificate".to_vec())],
            "malformed",
            "cannot be read",
            "",
        ),
        (
            "signed by an algorithm of 2004",
            world.tampered(|der| swap(der, ECDSA_SHA256, ECDSA_SHA224)),
            "unsupported-algorithm",
            "algorithm we do not accept",
            "",
        ),
        (
            "a key on P-192",
            world.tampered(|der| swap(der, P_256, P_192)),
            "unsupported-algorithm",
            "of a kind that we do not accept",
            "",
        ),
        (
            "an extension that must be understood",
            world.issued(|params| {
                let mut extension =
                    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions = vec![extension];
            }),
            "unknown-critical-extension",
            "critical extension that we do not know",
            "",
        ),
        (
            "an RSA key of 1024 bits",
            vec![
                leaf(&[HOST])
                    .signed_by(&Rsa::new(1024), &world.intermediate)
                    .unwrap()
                    .into(),
                world.intermediate.der().clone(),
            ],
            "weak-key",
            "CN=host.test has a key of RSA 1024; an RSA key has at least 2048 bits",
            "",
        ),
        (
            "an issuer with an RSA key of 1024 bits",
            world.under_rsa(1024),
            "weak-key",
            "CN=rsa issuer is RSA 1024",
            "",
        ),
        (
            "not signed by that RSA key",
            world.under_rsa(2048),
            "bad-signature",
            "does not fit its issuer's key",
            "",
        ),
        (
            "self-signed",
            self_signed(|_| {}),
            "self-signed",
            "signed by itself (CN=host.test)",
            "add it by RootStore::add_pem_file or SSL_CERT_FILE",
        ),
        (
            "self-signed, as openssl req -x509 makes it",
            self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "self-signed",
            "signed by itself",
            "issue a certificate for the host from it",
        ),
        (
            "self-signed, and for signing code",
            self_signed(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            }),
            "self-signed",
            "signed by itself",
            "add it",
        ),
        (
            "issued by nobody we know",
            vec![
                issue(&stranger, &leaf(&[HOST]), key),
                stranger.der().clone(),
            ],
            "unknown-issuer",
            "ends in CN=a stranger, which is not among our roots",
            "if it is a CA of your own, add it",
        ),
        (
            "without its intermediate",
            vec![world.good()[0].clone()],
            "unknown-issuer",
            "its issuer, CN=intermediate, is not among our roots and was not presented",
            "the server sent no intermediate certificate",
        ),
        (
            "claims to be its own issuer, and did not sign itself",
            vec![
                leaf(&[HOST])
                    .signed_by(
                        key,
                        &Issuer::new(leaf(&[HOST]), KeyPair::generate().unwrap()),
                    )
                    .unwrap()
                    .into(),
            ],
            "unknown-issuer",
            "CN=host.test",
            "add it",
        ),
        (
            "one bit of the signature",
            world.tampered(|der| *der.last_mut().unwrap() ^= 1),
            "bad-signature",
            "altered, or forged",
            "",
        ),
        (
            "a CA in the place of a server",
            world.issued(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "ca-as-end-entity",
            "may not stand for a host",
            "issue a certificate for the host from this CA",
        ),
        (
            "issued by a server",
            under(&intermediate(&|params| params.is_ca = IsCa::ExplicitNoCa)),
            "not-a-ca",
            "issued by one that is no CA",
            "",
        ),
        (
            "a CA below one that may have none below",
            {
                let last = intermediate(&|params| {
                    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                });
                let below = below(&last, ca("below"));
                [
                    under(&below),
                    vec![last.der().clone(), world.intermediate.der().clone()],
                ]
                .concat()
            },
            "path-length",
            "may not have so many CAs below it",
            "",
        ),
        (
            "8 intermediates",
            depths,
            "chain-too-long",
            "more than 6 intermediates",
            "",
        ),
        (
            "65 certificates",
            vec![world.good()[0].clone(); 65],
            "chain-too-long",
            "presented 65 certificates, more than the 64",
            "",
        ),
        (
            "64 certificates of 5 KiB",
            {
                let junk = CertificateDer::from(vec![0; 5 << 10]);
                [world.good(), vec![junk; 62]].concat()
            },
            "chain-too-long",
            "more than the 262144 we look at",
            "",
        ),
        (
            "a thicket of CAs that could each have issued the others",
            world.thicket(),
            "too-complex",
            "more paths than we follow",
            "",
        ),
        (
            "issued where its CA may not",
            under(&intermediate(&|params| {
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: vec![GeneralSubtree::DnsName("elsewhere.test".into())],
                    excluded_subtrees: vec![],
                });
            })),
            "name-constraint",
            "may not issue for the names",
            "",
        ),
        (
            "for clients",
            world.issued(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "wrong-purpose",
            "not for TLS servers: its extended key usage is client authentication",
            "",
        ),
        (
            "issued by a CA for clients",
            under(&intermediate(&|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            })),
            "wrong-purpose",
            "a CA on the path may not issue for TLS servers",
            "",
        ),
        (
            "of another host",
            world.issued(|params| {
                params.subject_alt_names = leaf(&["other.test"]).subject_alt_names
            }),
            "hostname-mismatch",
            "the certificate is valid for other.test; it was checked for \"host.test\"",
            "",
        ),
        (
            "of no host but a common name",
            world.issued(|params| params.subject_alt_names.clear()),
            "hostname-mismatch",
            "names no host but its common name \"host.test\", which is not used (RFC 9525)",
            "",
        ),
        (
            "expired",
            world.issued(|params| params.not_after = day(2026, 5, 31)),
            "expired",
            "the certificate was valid until 2026-05-31T00:00:00Z",
            "clock, which says 2026-06-01T00:00:00Z",
        ),
        (
            "under an expired intermediate",
            under(&intermediate(&|params| params.not_after = day(2026, 5, 31))),
            "expired",
            "issuer CN=particular intermediate was valid until 2026-05-31",
            "clock, which says 2026-06-01T00:00:00Z",
        ),
        (
            "not yet valid",
            world.issued(|params| params.not_before = day(2026, 6, 2)),
            "not-yet-valid",
            "the certificate is valid from 2026-06-02T00:00:00Z",
            "clock, which says 2026-06-01T00:00:00Z",
        ),
        (
            "not yet valid, and to outlive its issuer",
            world.issued(|params| {
                params.not_before = day(2026, 6, 2);
                params.not_after = day(2040, 1, 1);
            }),
            "not-yet-valid",
            "the certificate is valid from 2026-06-02T00:00:00Z",
            "clock, which says 2026-06-01T00:00:00Z",
        ),
        (
            "under an intermediate that is not yet valid",
            under(&intermediate(&|params| params.not_before = day(2026, 6, 2))),
            "not-yet-valid",
            "issuer CN=particular intermediate is valid from 2026-06-02",
            "clock",
        ),
    ]
}

#[test]
fn of_several_faults_the_one_that_makes_the_rest_meaningless_leads() {
    let world = World::new();
    type Change = fn(&mut CertificateParams);
    let expired: Change = |params| params.not_after = date_time_ymd(2021, 1, 1);
    let future: Change = |params| params.not_before = date_time_ymd(2029, 1, 1);
    let other: Change = |params| params.subject_alt_names = leaf(&["other.test"]).subject_alt_names;
    let is_ca: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let code_signing: Change =
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let stranger = root("a stranger");
    let by_itself = |params: &CertificateParams| params.self_signed(&world.key).unwrap().into();
    let by_stranger = |params: &CertificateParams| issue(&stranger, params, &world.key);
    let by_ours = |params: &CertificateParams| issue(&world.root, params, &world.key);
    type Sign<'a> = &'a dyn Fn(&CertificateParams) -> CertificateDer<'static>;
    // (who signed it, what is wrong besides, all codes as they are listed, the leader first)
    let rows: [(Sign<'_>, &[Change], &str); 9] = [
        (
            &by_itself,
            &[expired, other],
            "self-signed hostname-mismatch expired",
        ),
        (
            &by_itself,
            &[expired, other, is_ca],
            "self-signed hostname-mismatch expired",
        ),
        (
            &by_itself,
            &[future, other, code_signing],
            "self-signed wrong-purpose hostname-mismatch not-yet-valid",
        ),
        (
            &by_stranger,
            &[expired, other],
            "unknown-issuer hostname-mismatch expired",
        ),
        (&by_ours, &[is_ca, expired], "ca-as-end-entity expired"),
        (&by_ours, &[code_signing, expired], "wrong-purpose expired"),
        (&by_ours, &[expired, other], "hostname-mismatch expired"),
        (
            &by_ours,
            &[future, other],
            "hostname-mismatch not-yet-valid",
        ),
        (
            &by_ours,
            &[code_signing, other],
            "wrong-purpose hostname-mismatch",
        ),
    ];
    for (sign, changes, codes) in rows {
        let mut params = leaf(&[HOST]);
        changes.iter().for_each(|change| change(&mut params));
        let verdict = world.judge(&[sign(&params)]);
        let mut listed: Vec<&str> = verdict.reasons().map(|reason| reason.code()).collect();
        assert_eq!(
            verdict.reason().unwrap().code(),
            codes.split(' ').next().unwrap()
        );
        let mut expected: Vec<&str> = codes.split(' ').collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{verdict}");
        for check in verdict.checks() {
            let failed = verdict
                .reasons()
                .any(|reason| check.outcome() == &Outcome::Failed(reason.clone()));
            assert_eq!(
                matches!(check.outcome(), Outcome::Failed(_)),
                failed,
                "{check:?}"
            );
        }
        no_way_out_but_a_safe_one(&verdict);
    }
}

/// What the policy demands is listed beside what is wrong with the certificate, all in one order.
#[test]
fn whatever_else_is_wrong_is_listed_behind_what_leads() {
    let world = World::new();
    let mut issuing = ca("issuing");
    issuing.key_usages.push(KeyUsagePurpose::CrlSign);
    let issuing = below(&world.root, issuing);
    let mut bad = leaf(&["other.test"]);
    bad.not_after = date_time_ymd(2026, 5, 1);
    bad.serial_number = Some(42.into());
    bad.extended_key_usages.clear();
    let revoked = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 5, 31),
        next_update: date_time_ymd(2026, 6, 7),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: 42.into(),
            revocation_time: date_time_ymd(2026, 4, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crls = CrlStore::empty().add_der(revoked.signed_by(&issuing).unwrap().der());
    let policy = Policy::strict()
        .max_chain_length(1)
        .crls(crls.unwrap())
        .revocation_depth(RevocationCheckDepth::EndEntity)
        .pin([0; 32]);
    let chain = [issue(&issuing, &bad, &world.key), issuing.der().clone()];
    let verifier = Verifier::builder().roots(store(&world.root)).policy(policy);
    let verdict = verifier.build().unwrap().judge(
        &Presented::new(&chain).staple(b"not OCSP"),
        &ServerName::try_from(HOST).unwrap(),
        unix(now()),
    );
    let mut codes: Vec<_> = verdict.reasons().map(|reason| reason.code()).collect();
    // More rules than one.
    codes.dedup();
    assert_eq!(
        codes,
        [
            "chain-too-long",
            "hostname-mismatch",
            "expired",
            "revoked",
            "staple-invalid",
            "pin-mismatch",
            "profile",
        ],
        "{verdict}"
    );
    for (check, code) in verdict.checks().iter().zip([
        Some("hostname-mismatch"),
        Some("expired"),
        Some("chain-too-long"),
        None,
        Some("profile"),
        Some("revoked"),
        Some("pin-mismatch"),
    ]) {
        let failed = match check.outcome() {
            Outcome::Failed(reason) => Some(reason.code()),
            _ => None,
        };
        assert_eq!(failed, code, "{check:?}");
    }
}

/// Dates and purposes do not hide what else there is: a path is sought again past them.
#[test]
fn what_is_wrong_behind_a_cas_dates_or_purpose_is_found() {
    let world = World::new();
    let ca_of = |name: &str, from, until| {
        let mut params = ca(name);
        (params.not_before, params.not_after) = (from, until);
        params
    };
    let day = |month, day| date_time_ymd(2026, month, day);
    let (long_ago, far_off) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    let spent = below(&world.root, ca_of("spent", long_ago, day(4, 1)));
    let later_spent = below(&world.root, ca_of("later spent", long_ago, day(5, 15)));
    let future = below(&world.root, ca_of("future", day(7, 1), far_off));
    let never = below(&spent, ca_of("never", day(7, 1), far_off));
    let mut clients = ca("for clients");
    clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let clients = below(&spent, clients);
    let mut expired = leaf(&[HOST]);
    expired.not_after = day(5, 1);
    let mut not_yet = leaf(&[HOST]);
    (not_yet.not_before, not_yet.not_after) = (day(8, 1), date_time_ymd(2040, 1, 1));
    let good = leaf(&[HOST]);
    let under = |issuers: &[&Authority], params: &CertificateParams| -> Chain {
        let issued = issue(issuers[0], params, &world.key);
        let above = issuers.iter().map(|each| each.der().clone());
        [issued].into_iter().chain(above).collect()
    };
    // (the chain, what its reasons are about, what is skipped for want of a path)
    let rows: [(&str, Chain, &[&str], bool); 6] = [
        (
            "a leaf that has outlived its CA, both expired",
            under(&[&spent], &expired),
            &["the certificate was", "CN=spent", "pinned"],
            false,
        ),
        (
            "a CA that has outlived its leaf, both expired",
            under(&[&later_spent], &expired),
            &["the certificate was", "CN=later spent", "pinned"],
            false,
        ),
        (
            "both not valid yet, the leaf beyond its CA's end",
            under(&[&future], &not_yet),
            &["the certificate is", "CN=future", "pinned"],
            false,
        ),
        (
            "a CA for clients below an expired one",
            under(&[&clients, &spent], &good),
            &["may not issue for TLS servers", "CN=spent", "pinned"],
            false,
        ),
        (
            "a CA that begins after its own has ended",
            under(&[&never, &spent], &good),
            &["CN=never is valid from", "CN=spent was valid until"],
            true,
        ),
        (
            "the same, and an expired leaf",
            under(&[&never, &spent], &expired),
            &["the certificate was", "CN=never is valid from"],
            true,
        ),
    ];
    for (name, chain, says, is_pathless) in rows {
        let policy = Policy::default().pin([0; 32]);
        let verdict = judge(&store(&world.root), policy, &chain, HOST, now());
        for part in says {
            let mut reasons = verdict.reasons();
            let is_said = reasons.any(|reason| reason.sentence().contains(part));
            assert!(is_said, "{name}: {part:?} in {verdict:?}");
        }
        assert_eq!(verdict.reasons().count(), says.len(), "{name}: {verdict:?}");
        assert_eq!(verdict.anchor().is_none(), is_pathless, "{name}: {verdict}");
        no_way_out_but_a_safe_one(&verdict);
    }
}

/// Nothing has passed that is about a path, where there is none.
#[test]
fn without_a_path_all_but_the_name_has_failed_or_is_skipped() {
    let world = World::new();
    for (name, chain, ..) in faults(&world) {
        let verdict = world.judge(&chain);
        if verdict.anchor().is_some() {
            continue;
        }
        for check in verdict.checks() {
            let is_name = check.subject() == Subject::Name;
            let is_passed = check.outcome() == &Outcome::Passed;
            assert!(is_name || !is_passed, "{name}: {check:?}");
        }
    }
}

#[test]
fn a_long_list_of_names_is_counted_and_not_repeated() {
    let world = World::new();
    let of = |names: &[String]| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let alternative = leaf(&names).subject_alt_names;
        world.judge(&world.issued(|params| params.subject_alt_names = alternative))
    };
    let mut sixteen = vec!["www.example.org".to_owned(), "*.example.net".to_owned()];
    sixteen.extend((0..14).map(|n| format!("site-{n}.example.org")));
    assert_eq!(
        of(&sixteen).to_string(),
        "\"host.test\" is not verified: hostname-mismatch: the certificate is valid for \
         www.example.org, *.example.net and 14 more; it was checked for \"host.test\""
    );
    // As many as webpki reads: it takes certificates of up to 64 KiB.
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let verdict = of(&many);
    assert_eq!(verdict.reason().unwrap().code(), "hostname-mismatch");
    assert!(verdict.to_string().contains("and 9998 more"), "{verdict}");
    assert!(verdict.to_string().len() < 1_000, "{verdict}");
    // The one that matters may be the last.
    let last = [many, vec![HOST.to_owned()]].concat();
    assert!(of(&last).is_verified());
}

#[test]
fn what_a_stranger_wrote_reaches_no_terminal_as_it_is() {
    let world = World::new();
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{2066}\"\r\nX-Header: 1\u{0}";
    let san = |name: &str| {
        let entry = [&[0x82, name.len() as u8], name.as_bytes()].concat();
        let list = [&[0x30, entry.len() as u8], &entry[..]].concat();
        CustomExtension::from_oid_content(&[2, 5, 29, 17], list)
    };
    let named = |mut params: CertificateParams| {
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, hostile);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, hostile);
        params
    };
    let stranger = root(hostile);
    let mut in_the_san = leaf(&[]);
    in_the_san.custom_extensions = vec![san(hostile)];
    let rows: Vec<(&str, Chain)> = vec![
        ("a SAN", vec![issue(&world.root, &in_the_san, &world.key)]),
        (
            "a subject",
            vec![issue(&world.root, &named(leaf(&[])), &world.key)],
        ),
        (
            "a self-signed subject",
            vec![named(leaf(&[HOST])).self_signed(&world.key).unwrap().into()],
        ),
        (
            "an issuer",
            vec![issue(&stranger, &leaf(&[HOST]), &world.key)],
        ),
        (
            "a stranger's root",
            vec![
                issue(&stranger, &leaf(&[HOST]), &world.key),
                stranger.der().clone(),
            ],
        ),
        ("an intermediate that expired", {
            let mut params = named(ca("x"));
            params.not_after = date_time_ymd(2021, 1, 1);
            let expired = below(&world.root, params);
            vec![
                issue(&expired, &leaf(&[HOST]), &world.key),
                expired.der().clone(),
            ]
        }),
    ];
    for (name, chain) in rows {
        let verdict = world.judge(&chain);
        assert!(!verdict.is_verified(), "{name}");
        let mut shown = vec![verdict.to_string(), format!("{verdict:?}")];
        for reason in verdict.reasons() {
            shown.push(reason.sentence().to_owned());
            shown.extend(reason.hint().map(str::to_owned));
        }
        #[cfg(feature = "json")]
        shown.push(serde_json::to_string(&verdict).unwrap());
        for text in shown {
            assert!(
                text.chars().all(|c| matches!(c, ' '..='~' | '…')),
                "{name}: {text:?}"
            );
        }
    }
    assert!(
        world
            .judge(&[issue(&world.root, &in_the_san, &world.key)])
            .to_string()
            .contains("\\u{1b}")
    );
}

#[test]
fn the_first_and_the_last_second_are_within() {
    let world = World::new();
    let chain = world.good();
    let second = std::time::Duration::from_secs(1);
    let certificate = &world.judge(&chain).chain()[0].clone();
    let (from, until) = (certificate.not_before(), certificate.not_after());
    for (moment, code) in [
        (from - second, Some("not-yet-valid")),
        (from, None),
        (until, None),
        (until + second, Some("expired")),
        (SystemTime::UNIX_EPOCH, Some("not-yet-valid")),
        (
            SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 40),
            Some("expired"),
        ),
    ] {
        let verdict = judge(&store(&world.root), Policy::default(), &chain, HOST, moment);
        assert_eq!(verdict.reason().map(|reason| reason.code()), code);
    }
}

/// Deterministic attacks on a good chain. None may panic, and none that changes the leaf, or the
/// issuer without which there is no path, may pass.
#[test]
fn no_alteration_of_a_chain_passes_or_panics() {
    let world = World::new();
    let verifier = Verifier::builder()
        .roots(store(&world.root))
        .build()
        .unwrap();
    let refuses = |chain: &Chain, what: &dyn Fn() -> String| {
        let name = ServerName::try_from(HOST).unwrap();
        let verdict = verifier.judge(&Presented::new(chain), &name, unix(now()));
        assert!(!verdict.is_verified(), "{}", what());
        // A refusal is a sentence, whatever it is of.
        assert!(verdict.reason().is_some(), "{}", what());
        assert!(verdict.to_string().len() < 4_000, "{}", what());
    };
    let good = world.good();
    for which in 0..good.len() {
        let original = good[which].to_vec();
        let with = |der: Vec<u8>| {
            let mut chain = good.clone();
            chain[which] = CertificateDer::from(der);
            chain
        };
        for length in 0..original.len() {
            refuses(&with(original[..length].to_vec()), &|| {
                format!("{which} cut to {length}")
            });
        }
        for at in 0..original.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut der = original.clone();
                der[at] ^= mask;
                refuses(&with(der), &|| format!("{which} at {at} by {mask}"));
            }
        }
        let mut dice = Dice(0x9e37_79b9 + which as u64);
        for round in 0..500 {
            let mut der = original.clone();
            match dice.below(3) {
                0 => {
                    let at = dice.below(der.len());
                    der.insert(at, dice.byte());
                }
                1 => {
                    let at = dice.below(der.len());
                    let until = (at + 1 + dice.below(16)).min(der.len());
                    der.drain(at..until);
                }
                _ => {
                    let at = dice.below(der.len() - 4);
                    let length = 0xff_ff_ff_ff_u32 >> dice.below(24);
                    der[at..at + 4].copy_from_slice(&length.to_be_bytes());
                }
            }
            if der != original {
                refuses(&with(der), &|| format!("{which} in round {round}"));
            }
        }
    }
    let mut dice = Dice(7);
    for _ in 0..1_000 {
        let chain: Chain = (0..dice.below(4) + 1)
            .map(|_| {
                let length = dice.below(200);
                let mut der: Vec<u8> = (0..length).map(|_| dice.byte()).collect();
                if dice.below(2) == 0 {
                    // So that a parser goes further than the first byte.
                    der.splice(0..0, [0x30, 0x81, length as u8]);
                }
                CertificateDer::from(der)
            })
            .collect();
        refuses(&chain, &|| format!("{chain:?}"));
    }
}

#[test]
fn any_name_can_be_asked_for() {
    let world = World::new();
    for host in [
        "HOST.test",
        "host.test.",
        "sub.host.test",
        "127.0.0.1",
        "::1",
        "xn--bcher-kva.test",
    ] {
        let verdict = judge(
            &store(&world.root),
            Policy::default(),
            &world.good(),
            host,
            now(),
        );
        assert_eq!(verdict.host(), host);
        assert_eq!(
            verdict.is_verified(),
            host.trim_end_matches('.').eq_ignore_ascii_case(HOST),
            "{verdict}"
        );
    }
}

#[tokio::test]
async fn the_labs_certificates_are_judged_as_the_lab_says() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    for (scenario, code, says) in [
        (Scenario::Version1, "unsupported-version", "X.509 version 1"),
        (
            Scenario::WildcardTooDeep,
            "hostname-mismatch",
            "covers one label",
        ),
        (
            Scenario::IpForName,
            "hostname-mismatch",
            "ip-for-name.lab.test",
        ),
        (Scenario::SelfSignedCa, "self-signed", "signed by itself"),
    ] {
        let error = client.fetch(lab.url(scenario)).await.unwrap_err();
        let reason = error.verdict().unwrap().reason().unwrap();
        assert_eq!((error.code(), reason.code()), (code, code));
        assert!(reason.sentence().contains(says), "{reason}");
        // The first line ends in the address that was asked.
        let first = error.to_string();
        let first = first.lines().next().unwrap();
        let refused = format!(
            "certificate for \"{}\" was refused: {reason}",
            scenario.host()
        );
        assert!(first.starts_with(&refused), "{first}");
        assert!(
            first.ends_with(&format!(" ({})", lab.addr(scenario))),
            "{first}"
        );
        no_way_out_but_a_safe_one(error.verdict().unwrap());
    }
}

#[tokio::test]
async fn a_pooled_connection_has_the_verdict_it_was_opened_with() {
    let lab = Lab::start().await.unwrap();
    for scenario in [Scenario::Good, Scenario::GoodHttp1] {
        let client = lab.client().unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 {
            let response = client.fetch(lab.url(scenario)).await.unwrap();
            let verdict = response.verdict().unwrap().clone();
            let remote = response.remote_addr();
            response.bytes().await.unwrap();
            assert!(verdict.is_verified());
            assert!(verdict.checks().iter().all(passes));
            assert_eq!(verdict.host(), scenario.host());
            assert_eq!(verdict.anchor().unwrap().certificate().der(), lab.ca_der());
            seen.push((format!("{verdict:?}"), remote));
        }
        assert_eq!(lab.connections(scenario), 1, "{scenario}");
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].1, lab.addr(scenario));
    }
}

/// A root that is trusted, an intermediate below it, and the key of a server.
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

    /// A certificate that is good but for a change, and the intermediate that issued it.
    fn issued(&self, change: impl FnOnce(&mut CertificateParams)) -> Chain {
        let mut params = leaf(&[HOST]);
        change(&mut params);
        vec![
            issue(&self.intermediate, &params, &self.key),
            self.intermediate.der().clone(),
        ]
    }

    /// A good chain whose leaf was changed after it was signed.
    fn tampered(&self, change: impl FnOnce(&mut Vec<u8>)) -> Chain {
        let mut chain = self.good();
        let mut der = chain[0].to_vec();
        change(&mut der);
        chain[0] = CertificateDer::from(der);
        chain
    }

    /// A leaf below an intermediate with an RSA key, by which it is not really signed.
    fn under_rsa(&self, bits: usize) -> Chain {
        let rsa = Rsa::new(bits);
        let intermediate = ca("rsa issuer")
            .signed_by(&rsa, &self.intermediate)
            .unwrap();
        let issuer = Issuer::new(ca("rsa issuer"), rsa);
        vec![
            leaf(&[HOST]).signed_by(&self.key, &issuer).unwrap().into(),
            intermediate.into(),
            self.intermediate.der().clone(),
        ]
    }

    /// 15 CAs that have the name of the root, and say that it or any of them has issued them: paths
    /// without number, and none whose signatures hold.
    fn thicket(&self) -> Chain {
        let forger = Issuer::new(ca("root"), KeyPair::generate().unwrap());
        let forged = |params: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            CertificateDer::from(params.signed_by(&key, &forger).unwrap())
        };
        std::iter::once(forged(leaf(&[HOST])))
            .chain((0..15).map(|_| forged(ca("root"))))
            .collect()
    }

    fn judge(&self, chain: &[CertificateDer<'static>]) -> Verdict {
        judge(&store(&self.root), Policy::default(), chain, HOST, now())
    }
}

fn judge(
    roots: &RootStore,
    policy: Policy,
    chain: &[CertificateDer<'static>],
    host: &str,
    moment: SystemTime,
) -> Verdict {
    let verifier = Verifier::builder()
        .roots(roots.clone())
        .policy(policy)
        .build()
        .unwrap();
    let name = ServerName::try_from(host).unwrap();
    verifier.judge(&Presented::new(chain), &name, unix(moment))
}

fn unix(moment: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn subject(check: &Check) -> Subject {
    check.subject()
}

/// Nobody who reads this is led to do without verification.
fn no_way_out_but_a_safe_one(verdict: &Verdict) {
    for reason in verdict.reasons() {
        let text = format!("{reason} {}", reason.hint().unwrap_or_default());
        // A hash may have any letters.
        let words = text
            .split_whitespace()
            .filter(|word| !word.starts_with("sha256//"));
        let text = words.collect::<Vec<_>>().join(" ").to_lowercase();
        for word in ["off", "disable", "insecure", "skip", "danger", "validate_"] {
            assert!(!text.contains(word), "{word:?} in {text:?}");
        }
    }
}

/// An RSA key of which only the size is real.
struct Rsa(Vec<u8>);

impl Rsa {
    fn new(bits: usize) -> Self {
        let modulus = [&[0][..], &vec![0xc5; bits / 8]].concat();
        let integers = [
            &[0x02, 0x82][..],
            &(modulus.len() as u16).to_be_bytes(),
            &modulus,
            &[0x02, 0x03, 0x01, 0x00, 0x01],
        ]
        .concat();
        // A length of more than 127 in as few octets as it needs (X.690 §10.1).
        let integers = match modulus.len() {
            0..=255 => [&[0x02, 0x81, modulus.len() as u8][..], &integers[4..]].concat(),
            _ => integers,
        };
        let head = match integers.len() {
            0..=255 => vec![0x30, 0x81, integers.len() as u8],
            length => [&[0x30, 0x82][..], &(length as u16).to_be_bytes()].concat(),
        };
        Self([head, integers].concat())
    }
}

impl PublicKeyData for Rsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl SigningKey for Rsa {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![0x42; self.0.len() & !127])
    }
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// Replaces every occurrence of some bytes by as many others.
fn swap(der: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..=der.len() - from.len() {
        if der[at..].starts_with(from) {
            der[at..at + to.len()].copy_from_slice(to);
        }
    }
}

/// Whether a check came to what it comes to where no CRL, staple or pin has a say.
fn passes(check: &Check) -> bool {
    match check.subject() {
        Subject::Revocation | Subject::Pins => matches!(check.outcome(), Outcome::Skipped(_)),
        _ => check.outcome() == &Outcome::Passed,
    }
}

const SUBJECTS: [Subject; 7] = [
    Subject::Name,
    Subject::Time,
    Subject::Chain,
    Subject::Purpose,
    Subject::Profile,
    Subject::Revocation,
    Subject::Pins,
];

/// OBJECT IDENTIFIER 1.2.840.10045.4.3.2 and 1.2.840.10045.4.3.1 (RFC 5758 §3.2).
/// RFC 5480 §2.1.1.1.
const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P_192: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01];
const ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA224: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x01];
