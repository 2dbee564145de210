//! The schema of a verdict as JSON, held by two verdicts in full: one that is good, and one that is
//! as bad as it gets. A change to either file is a change to what users read.
//!
//! The keys are fixed and of Ed25519, whose signatures are, too (RFC 8032 §5.1.6): every byte of the
//! certificates, and so of the JSON, is the same in each run.
#![cfg(all(feature = "lab", feature = "json"))]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

#[expect(dead_code, reason = "the tests of verdicts need more of it")]
#[path = "support/proof.rs"]
mod proof;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proof::{Authority, ca, leaf, now};
use rcgen::{
    CertificateParams, CertifiedIssuer, CustomExtension, DnType, DnValue, KeyPair, PKCS_ED25519,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use serde_json::Value;
use urlfetch::tls::{Policy, Presented, RootStore, Verdict, Verifier};

#[test]
fn a_good_verdict_is_this() {
    let world = World::new();
    let verdict = world.judge(&world.chain(&world.leaf()), now());
    assert!(verdict.is_verified());
    assert_eq!(
        json(&verdict),
        include_str!("../fixtures/verdict-verified.json")
    );
}

#[test]
fn a_bad_verdict_is_this() {
    let world = World::new();
    let mut params = leaf(&["other.test"]);
    params.not_after = date_time_ymd(2026, 5, 1);
    let chain = [
        params
            .signed_by(&key(4), &*world.intermediate)
            .unwrap()
            .into(),
        CertificateDer::from(b"junk".to_vec()),
        world.intermediate.der().clone(),
    ];
    let verdict = world.judge(&chain, now());
    assert!(!verdict.is_verified());
    assert_eq!(
        json(&verdict),
        include_str!("../fixtures/verdict-refused.json")
    );
}

#[test]
fn a_peer_that_presented_nothing_has_a_verdict_of_the_same_fields() {
    let world = World::new();
    let nothing: Value = serde_json::from_str(&json(&world.judge(&[], now()))).unwrap();
    let good: Value =
        serde_json::from_str(include_str!("../fixtures/verdict-verified.json")).unwrap();
    let fields = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(&nothing), fields(&good));
    assert_eq!(nothing["reasons"][0]["code"], "no-certificate");
    assert_eq!(nothing["chain"], Value::Array(Vec::new()));
    assert!(nothing["anchor"].is_null() && nothing["staple"].is_null());
}

#[test]
fn the_moment_is_written_whatever_it_is() {
    let world = World::new();
    let chain = world.chain(&world.leaf());
    for (seconds, written, days) in [
        (0, "1970-01-01T00:00:00Z", 21_915),
        (253_402_300_799, "9999-12-31T23:59:59Z", -2_910_982),
        (253_402_300_800, "253402300800 s after 1970", -2_910_982),
    ] {
        let at = UNIX_EPOCH + Duration::from_secs(seconds);
        let verdict = serde_json::to_value(world.judge(&chain, at)).unwrap();
        assert_eq!(verdict["judged_at"], written);
        assert_eq!(verdict["chain"][0]["days_left"], days, "{written}");
    }
    // Further than the system's clock can go.
    let name = ServerName::try_from(HOST).unwrap();
    let never = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let verdict = world.verifier.judge(&Presented::new(&chain), &name, never);
    assert_eq!(verdict.reason().unwrap().code(), "expired");
    assert!(json(&verdict).contains("18446744073709551615 s after 1970"));
}

/// 256 KiB of certificates in which every text is as long as it may be, and worth two bytes for
/// each when it is quoted.
#[test]
fn however_much_is_presented_it_is_bounded() {
    let world = World::new();
    let huge = "\\".repeat(375);
    let params = |name: &str| {
        let mut params = leaf(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, huge.as_str());
        let names = (0..8).map(|_| SanType::DnsName(huge.as_str().try_into().unwrap()));
        params.subject_alt_names = names.collect();
        params
    };
    let mut chain: Vec<CertificateDer<'static>> = (0..64)
        .map(|i| {
            let params = params(&format!("{i}"));
            params.self_signed(&key(9)).unwrap().into()
        })
        .collect();
    let presented = chain.iter().map(|der| der.len()).sum::<usize>();
    assert!((250 << 10..=256 << 10).contains(&presented), "{presented}");

    let verdict = world.judge(&chain, now());
    let shown = serde_json::to_value(&verdict).unwrap();
    assert_eq!(shown["chain_total"], 64);
    assert_eq!(shown["chain"].as_array().unwrap().len(), 8);
    assert_eq!(shown["chain"][7]["names_total"], 8);
    assert!(
        (40_000..80_000).contains(&json(&verdict).len()),
        "{}",
        json(&verdict).len()
    );

    // One byte more, and none is looked at.
    chain.push(chain[0].clone());
    assert!(json(&world.judge(&chain, now())).len() < 4_000);
}

struct World {
    intermediate: Authority,
    verifier: Verifier,
}

impl World {
    fn new() -> Self {
        let root = CertifiedIssuer::self_signed(ca("root"), key(1)).unwrap();
        let mut params = ca("intermediate");
        let country = DnValue::PrintableString("DE".try_into().unwrap());
        params.distinguished_name.push(DnType::CountryName, country);
        let roots = RootStore::empty().add_pem(root.pem()).unwrap();
        Self {
            intermediate: CertifiedIssuer::signed_by(params, key(2), &root).unwrap(),
            verifier: Verifier::builder()
                .roots(roots)
                .policy(Policy::default())
                .build()
                .unwrap(),
        }
    }

    /// Of nine names and an address, with two timestamps.
    fn leaf(&self) -> CertificateParams {
        let names: Vec<_> = (1..9).map(|i| format!("h{i}.{HOST}")).collect();
        let names = [HOST].into_iter().chain(names.iter().map(String::as_str));
        let mut params = leaf(&names.chain(["192.0.2.1"]).collect::<Vec<_>>());
        params.serial_number = Some(SerialNumber::from_slice(&[0xab; 16]));
        let scts = [sct(7, 1_775_000_000_123), sct(8, 1_775_000_001_000)].concat();
        let list = [&(scts.len() as u16).to_be_bytes(), &scts[..]].concat();
        let wrapped = [&[0x04, list.len() as u8], &list[..]].concat();
        let extension = CustomExtension::from_oid_content(EMBEDDED_SCTS, wrapped);
        params.custom_extensions = vec![extension];
        params
    }

    fn chain(&self, leaf: &CertificateParams) -> Vec<CertificateDer<'static>> {
        let leaf = leaf.signed_by(&key(3), &*self.intermediate).unwrap();
        vec![leaf.into(), self.intermediate.der().clone()]
    }

    fn judge(&self, chain: &[CertificateDer<'static>], at: SystemTime) -> Verdict {
        let at = UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).unwrap());
        let name = ServerName::try_from(HOST).unwrap();
        self.verifier.judge(&Presented::new(chain), &name, at)
    }
}

/// As in a file.
fn json(verdict: &Verdict) -> String {
    serde_json::to_string_pretty(verdict).unwrap() + "\n"
}

/// The key of this seed: PKCS#8 as RFC 8410 §7 has it.
fn key(seed: u8) -> KeyPair {
    let head = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 101, 112, 4, 0x22, 4, 0x20,
    ];
    let der = PrivatePkcs8KeyDer::from([&head[..], &[seed; 32]].concat());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519).unwrap()
}

/// A SerializedSCT of RFC 6962 §3.3, with a signature of nobody.
fn sct(log: u8, milliseconds: u64) -> Vec<u8> {
    let signature = [0, 0, 4, 3, 0, 2, 9, 9];
    let body = [
        &[0][..],
        &[log; 32],
        &milliseconds.to_be_bytes(),
        &signature,
    ]
    .concat();
    [&(body.len() as u16).to_be_bytes(), &body[..]].concat()
}

const HOST: &str = "host.test";
const EMBEDDED_SCTS: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
