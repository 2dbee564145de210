//! The rules on keys.

use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::oid::db::rfc5912;
use x509_cert::der::{self, Decode, Reader as _, SliceReader};

use super::reading::Reading;
use super::{Broken, Check, Level, Rule};
use crate::tls::diagnose;
use crate::tls::reason::Code;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rsa-size",
        demands: "an RSA key has at least 2048 bits",
        source: "BR 6.1.5",
        level: Level::Default,
        why: "smaller ones can be broken, and no CA of the public web has certified one since 2014",
        code: Code::WeakKey,
        check: Check::Every(rsa_size),
    },
    Rule {
        id: "rsa-octets",
        demands: "the size of an RSA key is a multiple of 8 bits",
        source: "BR 6.1.5",
        level: Level::Strict,
        why: "an odd size is a sign of odd software, not a weakness",
        code: Code::Profile,
        check: Check::Every(rsa_octets),
    },
    Rule {
        id: "rsa-exponent",
        demands: "an RSA key's public exponent is odd and at least 3",
        source: "BR 6.1.6, RFC 8017 §3.1",
        level: Level::Strict,
        why: "the TLS provider refuses to verify by such a key already",
        code: Code::Profile,
        check: Check::Every(rsa_exponent),
    },
    Rule {
        id: "key-kind",
        demands: "the keys of publicly trusted certificates are RSA's or on P-256, P-384 or P-521",
        source: "BR 6.1.5",
        level: Level::Strict,
        why: "Ed25519 is as good a key (RFC 8410): only who claims public trust, by a policy of \
              the CA/Browser Forum or by embedded SCTs, has promised not to use it",
        code: Code::Profile,
        check: Check::Every(key_kind),
    },
];

fn rsa_size(reading: &Reading<'_>) -> Broken {
    let certificate = reading.certificate;
    diagnose::is_weak(certificate).then(|| format!("has a key of {}", size(reading)))
}

fn rsa_octets(reading: &Reading<'_>) -> Broken {
    let bits = reading.certificate.rsa_bits()?;
    (bits % 8 != 0).then(|| format!("has a key of {}", size(reading)))
}

fn rsa_exponent(reading: &Reading<'_>) -> Broken {
    let key = &reading.certificate.tbs().subject_public_key_info;
    if key.algorithm.oid != rfc5912::RSA_ENCRYPTION {
        return None;
    }
    let is_good = key
        .subject_public_key
        .as_bytes()
        .is_some_and(|key| has_good_exponent(key).unwrap_or(false));
    (!is_good).then(|| "has an RSA key whose public exponent is even, or below 3".into())
}

/// Of an RSAPublicKey, RFC 8017 A.1.1.
fn has_good_exponent(key: &[u8]) -> der::Result<bool> {
    SliceReader::new(key)?.sequence(|key| {
        UintRef::decode(key)?; // modulus
        let exponent = UintRef::decode(key)?;
        let is_odd = exponent.as_bytes().last().is_some_and(|last| last % 2 == 1);
        Ok(is_odd && exponent.as_bytes() != [1])
    })
}

fn key_kind(reading: &Reading<'_>) -> Broken {
    if !reading.claims_public_trust {
        return None;
    }
    let algorithm = &reading.certificate.tbs().subject_public_key_info.algorithm;
    let curve = || algorithm.parameters.as_ref()?.decode_as().ok();
    let is_good = match algorithm.oid {
        rfc5912::RSA_ENCRYPTION => true,
        rfc5912::ID_EC_PUBLIC_KEY => curve().is_some_and(|curve| CURVES.contains(&curve)),
        _ => false,
    };
    (!is_good).then(|| format!("has a key of {}", size(reading)))
}

fn size(reading: &Reading<'_>) -> String {
    reading.certificate.key_description()
}

const CURVES: [ObjectIdentifier; 3] = [
    rfc5912::SECP_256_R_1,
    rfc5912::SECP_384_R_1,
    rfc5912::SECP_521_R_1,
];
