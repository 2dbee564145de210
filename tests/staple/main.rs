//! Stapled OCSP responses: by `Verifier::judge`, where each rule has a response that keeps it and one
//! that breaks it, and over TLS, in fresh sessions and in resumed ones.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

mod handshakes;
#[path = "../support/ocsp.rs"]
mod ocsp;
#[path = "../support/proof.rs"]
mod proof;
#[expect(dead_code, reason = "the proof needs more of it")]
#[path = "../support/proof_server.rs"]
mod server;

use std::time::{Duration, UNIX_EPOCH};

use ocsp::{
    ECDSA_WITH_SHA1, HOUR, Hash, NOT_BASIC, Response, Single, by_key, by_name, extension, good,
    moment, revoked, spki, tlv, unknown,
};
use proof::{Authority, Chain, below, ca, issue, leaf, now, root, store};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use urlfetch::tls::{
    CertStatus, Certificate, Check, Outcome, Policy, Presented, RootStore, Subject, Verdict,
    Verifier,
};

const HOST: &str = "host.test";

#[test]
fn a_staple_that_keeps_every_rule_is_believed() {
    let world = World::new();
    let two = |first: Single, second: Single| {
        world.response(move |response| response.singles = vec![first.clone(), second.clone()])
    };
    let single = world.single();
    let other = Single {
        serial: vec![9],
        status: revoked(None),
        ..single.clone()
    };
    let (plain, with_more) = (
        world.delegated(|_| ()),
        world.delegated(|params| {
            params.key_usages.clear();
            params.custom_extensions.push(no_check());
        }),
    );
    let expired = world.delegated(|params| params.not_after = date_time_ymd(2026, 5, 31));
    let issuer = world.issuer.der();
    for (case, signer, staple) in [
        ("by its name", issuer, world.response(|_| ())),
        (
            "by its key",
            issuer,
            world.response(|response| response.responder = by_key(issuer)),
        ),
        ("a delegate", &plain.0, world.response_by(&plain, |_| ())),
        (
            "another delegate",
            &with_more.0,
            world.response_by(&with_more, |_| ()),
        ),
        (
            "a delegate by its key",
            &plain.0,
            world.response_by(&plain, |response| response.responder = by_key(&plain.0)),
        ),
        (
            "a delegate among others",
            &plain.0,
            world.response_by(&plain, |response| {
                response.certificates = vec![
                    issuer.clone(),
                    CertificateDer::from(vec![0x30, 0]),
                    expired.0.clone(),
                    plain.0.clone(),
                ];
            }),
        ),
        (
            "of SHA-256",
            issuer,
            world.response(|response| response.singles[0].hash = Hash::Sha256),
        ),
        (
            "of SHA-1 without parameters",
            issuer,
            world.response(|response| response.singles[0].hash = Hash::Sha1WithoutParameters),
        ),
        (
            "with extensions",
            issuer,
            world.response(|response| {
                response.extensions.push(extension(false));
                response.singles[0].extensions.push(extension(false));
            }),
        ),
        (
            "of this moment",
            issuer,
            world.response(|response| {
                response.produced_at = 0;
                response.singles[0].this_update = 0;
            }),
        ),
        (
            "until this moment",
            issuer,
            world.response(|response| response.singles[0].next_update = Some(0)),
        ),
        (
            "after another's",
            issuer,
            two(other.clone(), single.clone()),
        ),
        ("before another's", issuer, two(single.clone(), other)),
        ("twice", issuer, two(single.clone(), single)),
    ] {
        let verdict = world.judge(Policy::default().require_staple(), &staple);
        assert!(verdict.is_verified(), "{case}: {verdict}");
        assert_eq!(*revocation(&verdict), Outcome::Passed, "{case}");
        let staple = verdict.staple().expect(case);
        assert_eq!(staple.status(), CertStatus::Good, "{case}");
        assert_eq!(staple.revoked_at(), None, "{case}");
        assert_eq!(staple.responder().der(), signer.as_ref(), "{case}");
    }
}

#[test]
fn what_a_staple_says_is_told() {
    let world = World::new();
    let soon = Single {
        this_update: -60,
        next_update: Some(60),
        ..world.single()
    };
    let staple = world.response(|response| {
        response.produced_at = -7;
        response.singles.push(soon.clone());
    });
    let verdict = world.judge(Policy::default(), &staple);
    let told = verdict.staple().unwrap();
    assert_eq!(told.produced_at(), moment(-7));
    // Of two that are good, the one that holds for a shorter time.
    assert_eq!(told.this_update(), moment(-60));
    assert_eq!(told.next_update(), Some(moment(60)));
    assert_eq!(told.revocation_reason(), None);
    let issuer = Certificate::from_der(world.issuer.der()).unwrap();
    assert_eq!(*told.responder(), issuer);
}

#[test]
fn a_staple_that_breaks_one_rule_is_refused_and_never_taken_as_none() {
    let world = World::new();
    let stranger = root("a stranger");
    let namesake = Authority::signed_by(ca("issuer"), KeyPair::generate().unwrap(), &world.root);
    let namesake = namesake.unwrap();
    let good = world.response(|_| ());
    let erring = |status| world.response(|response| response.status = status);
    let single =
        |change: fn(&mut Single)| world.response(move |response| change(&mut response.singles[0]));
    let delegate = |change: fn(&mut CertificateParams)| {
        let responder = world.delegated(change);
        world.response_by(&responder, |_| ())
    };
    let issued_by = |issuer: &Authority| {
        let key = KeyPair::generate().unwrap();
        let responder = (issue(issuer, &responder(), &key), key);
        world.response_by(&responder, |_| ())
    };
    let plain = world.delegated(|_| ());
    let alias = {
        let key = KeyPair::from_pem(&world.issuer.key().serialize_pem()).unwrap();
        Authority::self_signed(ca("alias"), key).unwrap()
    };
    let rows = [
        ("cannot be read", [&good[..], &[0]].concat()),
        ("cannot be read", b"rubbish".to_vec()),
        ("cannot be read", vec![0x30, 0]),
        ("is an error: malformedRequest", erring(1)),
        ("is an error: internalError", erring(2)),
        ("is an error: tryLater", erring(3)),
        ("cannot be read", erring(4)),
        ("is an error: sigRequired", erring(5)),
        ("is an error: unauthorized", erring(6)),
        ("is an error: tryLater", vec![0x30, 3, 0x0a, 1, 3]),
        ("is empty", vec![0x30, 3, 0x0a, 1, 0]),
        (
            "is of the type 1.3.6.1.5.5.7.48.1.3",
            world.response(|response| response.kind = NOT_BASIC),
        ),
        (
            "cannot be read",
            world.response(|response| response.version = tlv(0xa0, &[&[2, 1, 1]])),
        ),
        // Who signed it.
        ("has a signature that does not fit", {
            let response = Response::good(&world.chain[0], world.issuer.der());
            response.sign(stranger.key())
        }),
        (
            "does not fit the key of its responder, or is by an algorithm",
            world.response(|response| response.algorithm = ECDSA_WITH_SHA1),
        ),
        (
            "is by CN=a stranger, who is neither",
            world.response(|response| response.responder = by_name(stranger.der())),
        ),
        (
            "is by the owner of key ",
            world.response(|response| response.responder = by_key(stranger.der())),
        ),
        (
            "is by CN=responder, who is neither the certificate's issuer nor in the response",
            world.response_by(&plain, |response| response.certificates.clear()),
        ),
        (
            // Of the issuer, it says, and it is the delegate's.
            "has a signature that does not fit",
            world.response_by(&plain, |response| {
                response.responder = by_name(world.issuer.der())
            }),
        ),
        ("has a signature that does not fit", {
            let mut response = world.unsigned();
            response.responder = by_name(&plain.0);
            response.certificates = vec![plain.0.clone()];
            response.sign(stranger.key())
        }),
        (
            "is signed by CN=responder, whose certificate is not for signing OCSP",
            delegate(|params| params.extended_key_usages.clear()),
        ),
        (
            "is not for signing OCSP",
            delegate(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        ),
        (
            "is not for signing OCSP",
            delegate(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "whose certificate is a CA's",
            delegate(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }),
        ),
        (
            "whose key is not for signatures",
            delegate(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        ),
        (
            "whose certificate has a critical extension that we do not know, 1.2.3.4",
            delegate(|params| {
                let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions.push(extension);
            }),
        ),
        (
            "valid from 2020-01-01T00:00:00Z until 2026-05-31T00:00:00Z, and it is 2026-06-01",
            delegate(|params| params.not_after = date_time_ymd(2026, 5, 31)),
        ),
        (
            "valid from 2026-06-02T00:00:00Z until",
            delegate(|params| params.not_before = date_time_ymd(2026, 6, 2)),
        ),
        // By the issuer's issuer, by somebody of the issuer's name, by the issuer's key under
        // another name, and by a stranger.
        (
            "was not issued by the certificate's own issuer",
            issued_by(&world.root),
        ),
        (
            "was not issued by the certificate's own issuer",
            issued_by(&namesake),
        ),
        (
            "was not issued by the certificate's own issuer",
            issued_by(&alias),
        ),
        (
            "was not issued by the certificate's own issuer",
            issued_by(&stranger),
        ),
        // Whom it is about.
        (
            "is about the certificate of serial number 09, and this one's is 01",
            single(|single| single.serial = vec![9]),
        ),
        (
            "of the same serial number and another issuer",
            single(|single| single.issuer_name.push(0)),
        ),
        (
            "of the same serial number and another issuer",
            single(|single| single.issuer_key.push(0)),
        ),
        (
            "of the same serial number and another issuer",
            world.response(|response| response.singles[0].issuer_key = spki(world.issuer.der())),
        ),
        (
            "by the hash 2.16.840.1.101.3.4.2.2, and we accept SHA-1 and SHA-256",
            single(|single| single.hash = Hash::Sha384),
        ),
        (
            "is about no certificate",
            world.response(|response| response.singles.clear()),
        ),
        // When.
        (
            "was made on 2026-06-01T00:00:01Z",
            world.response(|response| response.produced_at = 1),
        ),
        (
            "is valid from 2026-06-01T00:00:01Z",
            single(|single| single.this_update = 1),
        ),
        (
            "was valid until 2026-05-31T23:59:59Z, and it is 2026-06-01T00:00:00Z",
            single(|single| single.next_update = Some(-1)),
        ),
        (
            "has no nextUpdate",
            single(|single| single.next_update = None),
        ),
        (
            "was valid until",
            world.response(|response| {
                let mut old = response.singles[0].clone();
                old.next_update = Some(-1);
                response.singles.push(old);
            }),
        ),
        // What else it says.
        (
            "has a critical extension that we do not know, 1.2.3.4",
            world.response(|response| response.extensions.push(extension(true))),
        ),
        (
            "has a critical extension that we do not know, 1.2.3.4",
            single(|single| single.extensions.push(extension(true))),
        ),
        // How much of it.
        (
            "has 17 statuses, more than the 16 we look at",
            world.response(|response| {
                response.singles = vec![response.singles[0].clone(); 17];
            }),
        ),
        (
            "has 5 certificates, more than the 4 we look at",
            world.response(|response| {
                response.certificates = vec![world.issuer.der().clone(); 5];
            }),
        ),
        (
            "bytes, more than the 65536 we look at",
            world.response(|response| {
                response.certificates = vec![CertificateDer::from(vec![0; 1 << 16])];
            }),
        ),
    ];
    for policy in [Policy::default(), Policy::default().require_staple()] {
        for (why, staple) in &rows {
            let verdict = world.judge(policy.clone(), staple);
            let reason = verdict.reason().expect(why);
            assert_eq!(reason.code(), "staple-invalid", "{why}: {verdict}");
            let sentence = reason.sentence();
            assert!(
                sentence.starts_with("the stapled OCSP response "),
                "{sentence}"
            );
            assert!(sentence.contains(why), "{why}: {sentence}");
            assert!(sentence.len() < 400, "{sentence}");
            assert_eq!(verdict.reasons().count(), 1, "{why}: {verdict}");
            assert_eq!(*revocation(&verdict), Outcome::Failed(reason.clone()));
            assert_eq!(verdict.staple(), None, "{why}");
        }
    }
}

#[test]
fn who_is_revoked_or_unknown_is_refused_whatever_else_is_said() {
    let world = World::new();
    let said = |statuses: &[Vec<u8>]| {
        world.response(|response| {
            let single = response.singles[0].clone();
            let singles = statuses.iter().map(|status| Single {
                status: status.clone(),
                ..single.clone()
            });
            response.singles = singles.collect();
        })
    };
    let old = world.response(|response| {
        response.singles[0].status = revoked(Some(4));
        response.singles[0].next_update = Some(-1);
    });
    let bare = "the certificate was revoked on 2026-05-02T00:00:00Z (without a reason given), says \
                the stapled OCSP response of CN=issuer";
    let unknown_to = "its issuer does not know the certificate, says the stapled OCSP response of \
                      CN=issuer";
    for (staple, code, sentence, reason) in [
        (said(&[revoked(None)]), "revoked", bare, None),
        (
            said(&[revoked(Some(1))]),
            "revoked",
            &bare.replace("without a reason given", "keyCompromise"),
            Some("keyCompromise"),
        ),
        (
            old,
            "revoked",
            &bare.replace("without a reason given", "superseded"),
            Some("superseded"),
        ),
        (said(&[revoked(None), good()]), "revoked", bare, None),
        (
            said(&[good(), unknown(), revoked(None)]),
            "revoked",
            bare,
            None,
        ),
        (said(&[unknown()]), "revocation-unknown", unknown_to, None),
        (
            said(&[unknown(), good()]),
            "revocation-unknown",
            unknown_to,
            None,
        ),
        (
            said(&[good(), unknown()]),
            "revocation-unknown",
            unknown_to,
            None,
        ),
    ] {
        let verdict = world.judge(Policy::default(), &staple);
        let leading = verdict.reason().unwrap();
        assert_eq!((leading.code(), leading.sentence()), (code, sentence));
        assert_eq!(*revocation(&verdict), Outcome::Failed(leading.clone()));
        let told = verdict.staple().unwrap();
        let is_revoked = code == "revoked";
        let status = [CertStatus::Unknown, CertStatus::Revoked][usize::from(is_revoked)];
        assert_eq!(told.status(), status);
        let since = is_revoked.then(|| moment(-30 * 24 * HOUR));
        assert_eq!(
            (told.revoked_at(), told.revocation_reason()),
            (since, reason)
        );
    }
}

#[test]
fn who_must_staple_is_refused_without() {
    let ordinary = World::new();
    let promising = World::of(|params| params.custom_extensions.push(must_staple()));
    let required = Policy::default().require_staple();
    for (world, policy, demand) in [
        (&ordinary, Policy::default(), None),
        (&ordinary, required.clone(), Some("the policy demands one")),
        (
            &promising,
            Policy::default(),
            Some("the certificate says that one is"),
        ),
        (
            &promising,
            required,
            Some("the certificate says that one is"),
        ),
    ] {
        for none in [None, Some(&[][..])] {
            let verdict = world.judge_with(policy.clone(), none);
            assert_eq!(verdict.staple(), None);
            match demand {
                None => {
                    assert!(verdict.is_verified(), "{verdict}");
                    let skipped = "no CRL is configured and no OCSP response was stapled";
                    assert_eq!(*revocation(&verdict), Outcome::Skipped(skipped.into()));
                }
                Some(demand) => {
                    let reason = verdict.reason().unwrap();
                    assert_eq!(reason.code(), "staple-missing");
                    assert!(reason.sentence().contains(demand), "{reason}");
                    assert_eq!(*revocation(&verdict), Outcome::Failed(reason.clone()));
                }
            }
        }
        assert!(
            world
                .judge(policy.clone(), &world.response(|_| ()))
                .is_verified()
        );
        let stale = world.response(|response| response.singles[0].next_update = Some(-1));
        let verdict = world.judge(policy, &stale);
        assert_eq!(verdict.reason().unwrap().code(), "staple-invalid");
    }
}

#[test]
fn a_staple_is_of_whoever_issued_the_leaf_on_the_path_that_is_taken() {
    // Right under the root.
    let root = root("root");
    let key = KeyPair::generate().unwrap();
    let chain = vec![issue(&root, &leaf(&[HOST]), &key)];
    let staple = Response::good(&chain[0], root.der()).sign(root.key());
    let verdict = judge(store(&root), Policy::default(), &chain, Some(&staple));
    assert!(verdict.is_verified(), "{verdict}");
    assert!(verdict.staple().is_some());

    // A root by itself, which nobody else has issued.
    let itself = leaf(&[HOST]).self_signed(&key).unwrap();
    let chain = vec![itself.der().clone()];
    let judge = |policy, staple| {
        let roots = RootStore::empty().add_der(itself.der()).unwrap();
        judge(roots, policy, &chain, staple)
    };
    let staple = Response::good(&chain[0], &chain[0]).sign(&key);
    let verdict = judge(Policy::default(), Some(&staple));
    let reason = verdict.reason().unwrap();
    assert_eq!(reason.code(), "staple-invalid");
    assert!(
        reason.sentence().contains("itself among the roots"),
        "{reason}"
    );
    assert!(judge(Policy::default(), None).is_verified());
    let verdict = judge(Policy::default().require_staple(), None);
    assert_eq!(verdict.reason().unwrap().code(), "staple-missing");
}

#[test]
fn no_change_of_a_staple_is_believed_nor_makes_it_panic() {
    let world = World::new();
    let delegate = world.delegated(|_| ());
    let with_all = world.response_by(&delegate, |response| {
        response.extensions.push(extension(false));
        response.singles[0].extensions.push(extension(false));
    });
    let judge = world.judge_of(Policy::default());
    for good in [world.response(|_| ()), with_all] {
        assert!(judge(&good).is_verified());
        let changed = (0..good.len()).flat_map(|at| {
            let good = &good;
            [1 << (at % 8), 0xff].map(move |bits| {
                let mut changed = good.clone();
                changed[at] ^= bits;
                changed
            })
        });
        let cut = (1..good.len()).map(|length| good[..length].to_vec());
        for staple in changed.chain(cut) {
            let verdict = judge(&staple);
            assert_eq!(verdict.reason().expect("believed").code(), "staple-invalid");
        }
    }
}

/// A root that is trusted, an issuer below it, and a good chain.
struct World {
    root: Authority,
    issuer: Authority,
    chain: Chain,
}

/// A certificate and its key.
type Responder = (CertificateDer<'static>, KeyPair);

impl World {
    fn new() -> Self {
        Self::of(|_| ())
    }

    fn of(change: impl Fn(&mut CertificateParams)) -> Self {
        let root = root("root");
        let issuer = below(&root, ca("issuer"));
        let mut params = leaf(&[HOST]);
        change(&mut params);
        let host = issue(&issuer, &params, &KeyPair::generate().unwrap());
        let chain = vec![host, issuer.der().clone()];
        Self {
            root,
            issuer,
            chain,
        }
    }

    fn single(&self) -> Single {
        Single::good(&self.chain[0], self.issuer.der())
    }

    fn unsigned(&self) -> Response {
        Response::good(&self.chain[0], self.issuer.der())
    }

    /// A response of the issuer that is good but for this change.
    fn response(&self, change: impl Fn(&mut Response)) -> Vec<u8> {
        let mut response = self.unsigned();
        change(&mut response);
        response.sign(self.issuer.key())
    }

    /// The same of somebody else, by his name and with his certificate.
    fn response_by(&self, (der, key): &Responder, change: impl Fn(&mut Response)) -> Vec<u8> {
        let mut response = self.unsigned();
        response.responder = by_name(der);
        response.certificates = vec![der.clone()];
        change(&mut response);
        response.sign(key)
    }

    /// Somebody whom the issuer has charged with its responses.
    fn delegated(&self, change: impl Fn(&mut CertificateParams)) -> Responder {
        let key = KeyPair::generate().unwrap();
        let mut params = responder();
        change(&mut params);
        (issue(&self.issuer, &params, &key), key)
    }

    fn judge(&self, policy: Policy, staple: &[u8]) -> Verdict {
        self.judge_with(policy, Some(staple))
    }

    fn judge_with(&self, policy: Policy, staple: Option<&[u8]>) -> Verdict {
        judge(store(&self.root), policy, &self.chain, staple)
    }

    fn judge_of(&self, policy: Policy) -> impl Fn(&[u8]) -> Verdict {
        let verifier = Verifier::builder().roots(store(&self.root)).policy(policy);
        let verifier = verifier.build().unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        move |staple| {
            let presented = Presented::new(&self.chain).staple(staple);
            verifier.judge(&presented, &name, unix_now())
        }
    }
}

fn judge(
    roots: RootStore,
    policy: Policy,
    chain: &[CertificateDer<'_>],
    staple: Option<&[u8]>,
) -> Verdict {
    let verifier = Verifier::builder().roots(roots).policy(policy).build();
    let mut presented = Presented::new(chain);
    if let Some(staple) = staple {
        presented = presented.staple(staple);
    }
    let name = ServerName::try_from(HOST).unwrap();
    verifier.unwrap().judge(&presented, &name, unix_now())
}

fn unix_now() -> UnixTime {
    let since: Duration = now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::since_unix_epoch(since)
}

/// The parameters of a good delegated responder.
fn responder() -> CertificateParams {
    let mut params = leaf(&["responder"]);
    params.subject_alt_names.clear();
    params.serial_number = Some(SerialNumber::from(2));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    params
}

/// id-pe-tlsfeature with status_request (RFC 7633).
fn must_staple() -> CustomExtension {
    let id = [1, 3, 6, 1, 5, 5, 7, 1, 24];
    CustomExtension::from_oid_content(&id, vec![0x30, 3, 2, 1, 5])
}

/// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1), critical at that.
fn no_check() -> CustomExtension {
    let id = [1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
    let mut extension = CustomExtension::from_oid_content(&id, vec![5, 0]);
    extension.set_criticality(true);
    extension
}

fn revocation(verdict: &Verdict) -> &Outcome {
    let mut checks = verdict.checks().iter();
    let check = checks.find(|check| check.subject() == Subject::Revocation);
    check.map(Check::outcome).unwrap()
}
