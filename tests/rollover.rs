//! A CA that has changed its key, by `Verifier::judge`: what RFC 5280 §6.1 demands of a self-issued
//! certificate in a path, what it does not, and what stops the search for such a path.
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
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SanType, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use urlfetch::tls::{Certificate, Pin, Policy, Presented, RootStore, Verdict, Verifier};

const HOST: &str = "host.test";

/// The CA of the tests, which changes its key.
const CA: &str = "rolling";

/// That is what is left to say where the new key is nobody's: the old one's signature it is not.
const BAD_SIGNATURE: &str = "bad-signature";

#[test]
fn a_key_that_was_rolled_over_neither_lengthens_a_path_nor_is_held_to_names() {
    let root = root("root");
    let confined = confined_root(&[HOST]);
    let short = below(&root, limited(CA, 0));
    let long = below(&root, limited(CA, 1));
    let mut rows: Vec<(&str, &Authority, Vec<Authority>)> = Vec::new();
    rows.push(("one key after another", &root, {
        let second = below(&short, ca(CA));
        vec![second]
    }));
    rows.push(("a third key", &root, {
        let second = below(&short, ca(CA));
        let third = below(&second, ca(CA));
        vec![third, second]
    }));
    rows.push(("another CA below, and all say how long", &root, {
        let second = below(&long, limited(CA, 1));
        let other = below(&second, limited("other", 0));
        vec![other, second]
    }));
    rows.push(("two CAs roll over", &root, {
        let second = below(&long, limited(CA, 1));
        let other = below(&second, limited("other", 0));
        let other_second = below(&other, limited("other", 0));
        vec![other_second, other, second]
    }));
    rows.push(("to a key of another kind", &root, {
        vec![below_with(&short, ca(CA), &PKCS_ED25519)]
    }));
    rows.push(("to another curve, and back", &root, {
        let second = below_with(&short, ca(CA), &PKCS_ECDSA_P384_SHA384);
        let third = below(&second, ca(CA));
        vec![third, second]
    }));
    rows.push((
        "the new key's certificate keeps within its own names",
        &root,
        { vec![below(&short, permitting(ca(CA), HOST))] },
    ));
    let elder = below(&confined, ca(CA));
    rows.push((
        "whose new certificate has a name that the root may not",
        &confined,
        { vec![below(&elder, naming(ca(CA), "elsewhere.test"))] },
    ));
    let named = below(&confined, naming(ca(CA), HOST));
    rows.push(("and the old one a name that it may", &confined, {
        vec![below(&named, naming(ca(CA), "elsewhere.test"))]
    }));
    let tight = below(&root, permitting(ca(CA), HOST));
    rows.push((
        "whose new certificate has a name that it may not itself",
        &root,
        { vec![below(&tight, naming(ca(CA), "elsewhere.test"))] },
    ));
    let olds = [
        &short, &short, &long, &long, &short, &short, &short, &elder, &named, &tight,
    ];

    assert_eq!(rows.len(), olds.len());
    for ((what, root, newer), old) in rows.iter().zip(olds) {
        let path = chain_of(newer.iter().chain([old]));
        let verdict = judge(root, &path, Policy::default());
        assert!(verdict.is_verified(), "{what}: {verdict}");
        assert_eq!(judged(&verdict), path, "{what}");

        let mut company = path.clone();
        company[1..].reverse();
        company.extend(path.clone());
        company.push(root.der().clone());
        let verdict = judge(root, &company, Policy::default());
        assert!(verdict.is_verified(), "{what}, in company: {verdict}");
        let length = path.iter().filter(|each| !is_self_issued(each)).count();
        let verdict = judge(root, &path, Policy::default().max_chain_length(length));
        assert!(verdict.is_verified(), "{what}, by policy: {verdict}");
    }

    // The root itself rolls over.
    let second = below(&confined, naming(ca("confined"), "elsewhere.test"));
    let verdict = judge(&confined, &chain_of([&second]), Policy::default());
    assert!(verdict.is_verified(), "{verdict}");
}

#[test]
fn everybody_else_is_counted_and_held_to_names_as_ever() {
    let root = root("root");
    let short = below(&root, limited(CA, 0));
    let free = below(&root, ca(CA));
    let elsewhere = confined_root(&["elsewhere.test"]);
    let under_elsewhere = below(&elsewhere, ca(CA));
    let confined = confined_root(&[HOST]);
    let misnamed = below(&confined, naming(ca(CA), "elsewhere.test"));
    let path_length = "path-length";
    for (what, root, old, newer, code) in [
        (
            "the old certificate allows no CA below",
            &root,
            &short,
            {
                let second = below(&short, ca(CA));
                vec![below(&second, ca("other")), second]
            },
            path_length,
        ),
        (
            "the new one does not",
            &root,
            &free,
            {
                let second = below(&free, limited(CA, 0));
                vec![below(&second, ca("other")), second]
            },
            path_length,
        ),
        (
            "one between does not",
            &root,
            &free,
            {
                let second = below(&free, limited(CA, 0));
                let third = below(&second, ca(CA));
                vec![below(&third, ca("other")), third, second]
            },
            path_length,
        ),
        (
            "the root may not issue for the host",
            &elsewhere,
            &under_elsewhere,
            vec![below(&under_elsewhere, naming(ca(CA), "elsewhere.test"))],
            "name-constraint",
        ),
        (
            "nor may the new certificate",
            &root,
            &short,
            vec![below(&short, permitting(ca(CA), "elsewhere.test"))],
            "name-constraint",
        ),
        (
            "the host is excluded by it",
            &root,
            &short,
            vec![below(&short, excluding(ca(CA), HOST))],
            "name-constraint",
        ),
        (
            "a CA below has a name that it may not",
            &root,
            &short,
            {
                let second = below(&short, permitting(ca(CA), HOST));
                vec![
                    below(&second, naming(limited("other", 0), "elsewhere.test")),
                    second,
                ]
            },
            path_length,
        ),
        (
            "the old certificate has a name that the root may not",
            &confined,
            &misnamed,
            vec![below(&misnamed, ca(CA))],
            "name-constraint",
        ),
    ] {
        let verdict = judge(
            root,
            &chain_of(newer.iter().chain([old])),
            Policy::default(),
        );
        assert_refused(what, &verdict, code);
    }
}

#[test]
fn a_new_key_whose_certificate_is_not_in_order_is_no_key_of_the_ca() {
    let root = root("root");
    let old = below(&root, limited(CA, 0));
    let impostor = CertifiedIssuer::self_signed(ca(CA), KeyPair::generate().unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca(CA);
        change(&mut params);
        below(&old, params)
    };
    for (what, new, code) in [
        (
            "expired",
            with(&|it| it.not_after = date_time_ymd(2026, 5, 31)),
            "expired",
        ),
        (
            "not yet valid",
            with(&|it| it.not_before = date_time_ymd(2026, 6, 2)),
            "not-yet-valid",
        ),
        (
            "no CA",
            with(&|it| it.is_ca = IsCa::ExplicitNoCa),
            BAD_SIGNATURE,
        ),
        (
            "silent on being a CA",
            with(&|it| it.is_ca = IsCa::NoCa),
            BAD_SIGNATURE,
        ),
        (
            "not for signing certificates",
            with(&|it| it.key_usages = vec![KeyUsagePurpose::CrlSign]),
            BAD_SIGNATURE,
        ),
        (
            "not for servers",
            with(&|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            BAD_SIGNATURE,
        ),
        (
            "a critical extension that we do not know",
            with(&|it| {
                let mut unknown = CustomExtension::from_oid_content(&[1, 3, 9999], vec![5, 0]);
                unknown.set_criticality(true);
                it.custom_extensions.push(unknown);
            }),
            BAD_SIGNATURE,
        ),
        ("signed by itself", impostor, BAD_SIGNATURE),
    ] {
        let verdict = judge(&root, &chain_of([&new, &old]), Policy::default());
        assert_refused(what, &verdict, code);
    }

    let old = below(&root, limited(CA, 1));
    let new = below(&old, ca(CA));
    let good = chain_of([&below(&new, ca("other")), &new, &old]);
    assert!(judge(&root, &good, Policy::default()).is_verified());
    for (what, position) in [
        ("the signature on the host's certificate is broken", 0),
        ("the signature by the new key is broken", 1),
        ("the signature on the new key is broken", 2),
        ("the signature on the old key is broken", 3),
    ] {
        let mut broken = good.clone();
        let mut der = broken[position].to_vec();
        *der.last_mut().unwrap() ^= 1;
        broken[position] = der.into();
        let verdict = judge(&root, &broken, Policy::default());
        assert_refused(what, &verdict, BAD_SIGNATURE);
        // In company of good ones it is passed over.
        broken.extend(good[1..].to_vec());
        let verdict = judge(&root, &broken, Policy::default());
        assert_eq!(verdict.is_verified(), position != 0, "{what}: {verdict}");
        assert!(!verdict.is_verified() || judged(&verdict) == good, "{what}");
    }
    for (what, presented, code) in [
        (
            "the new key's certificate is not presented",
            vec![0, 1, 3],
            BAD_SIGNATURE,
        ),
        ("the old key's is not", vec![0, 1, 2], "unknown-issuer"),
    ] {
        let chain: Chain = presented.iter().map(|&at| good[at].clone()).collect();
        assert_refused(what, &judge(&root, &chain, Policy::default()), code);
    }
}

#[test]
fn two_keys_that_vouch_for_each_other_lead_nowhere() {
    let first = root(CA);
    let second = below(&first, ca(CA));
    let params = ca(CA);
    let by_second = params.signed_by(first.key(), &second).unwrap();
    let host = issue(&second, &leaf(&[HOST]), &KeyPair::generate().unwrap());
    let chain = vec![host, second.der().clone(), by_second.into()];
    assert_refused(
        "a cycle",
        &judge(&root("root"), &chain, Policy::default()),
        "unknown-issuer",
    );
    assert!(judge(&first, &chain, Policy::default()).is_verified());
}

#[test]
fn so_many_keys_are_not_gone_through() {
    let root = root("root");
    let old = below(&root, limited(CA, 0));
    let good = chain_of([&below(&old, ca(CA)), &old]);
    for (others, is_verified) in [(1, true), (4, true), (6, false)] {
        let others = (0..others).map(|_| below(&old, ca(CA)).der().clone());
        let chain = good.iter().cloned().chain(others).collect::<Chain>();
        let verdict = judge(&root, &chain, Policy::default());
        assert_eq!(verdict.is_verified(), is_verified, "{verdict}");
    }
    let again = vec![good[1..].to_vec(); 16].concat();
    let verdict = judge(&root, &[good, again].concat(), Policy::default());
    assert!(verdict.is_verified(), "{verdict}");
}

#[test]
fn a_new_key_confines_the_very_path_below_it() {
    let root = confined_root(&["test"]);
    let old = below(&root, ca(CA));
    let new = below(&old, permitting(naming(ca(CA), "elsewhere.example"), HOST));
    // A detour: the same key once more, by another CA and with a name that it may not have.
    let other = below(&new, ca("other"));
    let params = naming(ca(CA), "elsewhere.test");
    let detour = params.signed_by(new.key(), &other).unwrap();
    let host = issue(&new, &leaf(&[HOST]), &KeyPair::generate().unwrap());
    let [new, old] = [&new, &old].map(|each| each.der().clone());
    let straight = vec![host.clone(), new.clone(), old.clone()];
    let chain = vec![host, detour.into(), other.der().clone(), new, old];
    let verdict = judge(&root, &chain, Policy::default());
    assert!(verdict.is_verified(), "{verdict}");
    assert_eq!(judged(&verdict), straight);
}

#[test]
fn no_such_path_is_sought_where_webpki_has_found_one() {
    let first = root("first");
    let old = below(&first, limited(CA, 0));
    let new = below(&old, ca(CA));
    let chain = chain_of([&new, &old]);
    let second = root("second");
    let cross = ca(CA).signed_by(&new.key(), &second).unwrap();
    let with_cross = [chain.clone(), vec![cross.der().clone()]].concat();
    let roots = RootStore::empty()
        .add_pem(first.pem())
        .unwrap()
        .add_pem(second.pem())
        .unwrap();
    let pin = Pin::of(&Certificate::from_der(first.der()).unwrap());
    let policy = Policy::default().pin(pin);
    assert!(judge_by(roots.clone(), &chain, policy.clone()).is_verified());
    let verdict = judge_by(roots, &with_cross, policy);
    assert_refused(
        "the other root is not the pinned one",
        &verdict,
        "pin-mismatch",
    );
}

fn confined_root(hosts: &[&str]) -> Authority {
    let mut params = ca("confined");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: hosts.iter().copied().map(subtree).collect(),
        excluded_subtrees: Vec::new(),
    });
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn limited(name: &str, cas_below: u8) -> CertificateParams {
    let mut params = ca(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(cas_below));
    params
}

fn permitting(mut params: CertificateParams, host: &str) -> CertificateParams {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![subtree(host)],
        excluded_subtrees: Vec::new(),
    });
    params
}

fn excluding(mut params: CertificateParams, host: &str) -> CertificateParams {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: Vec::new(),
        excluded_subtrees: vec![subtree(host)],
    });
    params
}

fn naming(mut params: CertificateParams, host: &str) -> CertificateParams {
    params.subject_alt_names = vec![SanType::DnsName(host.try_into().unwrap())];
    params
}

fn subtree(host: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(host.to_owned())
}

/// A CA below another, with a key for this algorithm.
fn below_with(
    above: &Authority,
    params: CertificateParams,
    algorithm: &'static SignatureAlgorithm,
) -> Authority {
    let key = KeyPair::generate_for(algorithm).unwrap();
    CertifiedIssuer::signed_by(params, key, above).unwrap()
}

/// A good certificate for the host by the first of them, and theirs.
fn chain_of<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> Chain {
    let authorities: Vec<_> = authorities.into_iter().collect();
    let key = KeyPair::generate().unwrap();
    let host = issue(authorities[0], &leaf(&[HOST]), &key);
    let cas = authorities.iter().map(|each| each.der().clone());
    [host].into_iter().chain(cas).collect()
}

/// The path that was judged.
fn judged(verdict: &Verdict) -> Chain {
    let path = verdict.chain().iter();
    path.map(|each| each.der().to_vec().into()).collect()
}

fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    Certificate::from_der(der).unwrap().is_self_issued()
}

fn judge(root: &Authority, chain: &[CertificateDer<'static>], policy: Policy) -> Verdict {
    judge_by(store(root), chain, policy)
}

fn judge_by(roots: RootStore, chain: &[CertificateDer<'static>], policy: Policy) -> Verdict {
    let verifier = Verifier::builder()
        .roots(roots)
        .policy(policy)
        .build()
        .unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let moment = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    verifier.judge(
        &Presented::new(chain),
        &name,
        UnixTime::since_unix_epoch(moment),
    )
}

fn assert_refused(what: &str, verdict: &Verdict, code: &str) {
    let found = verdict.reason().map(|reason| reason.code());
    assert_eq!(found, Some(code), "{what}: {verdict}");
}
