//! The rules on CAs: what issued another certificate of a path.

use x509_cert::der::oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_KEY_USAGE};

use super::reading::{Place, Reading};
use super::{Broken, Check, Level, Rule};
use crate::tls::reason::Code;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ca-signs",
        demands: "a CA's keyUsage, if there, has keyCertSign",
        source: "RFC 5280 §4.2.1.3, §6.1.4 (n)",
        level: Level::Default,
        why: "its own issuer has said that the key is not for signing certificates; Go and OpenSSL \
              refuse it, too",
        code: Code::NotACa,
        check: Check::Authority(signs),
    },
    Rule {
        id: "ca-basic-constraints-critical",
        demands: "a CA's basicConstraints are critical",
        source: "RFC 5280 §4.2.1.9, BR 7.1.2",
        level: Level::Strict,
        why: "they are obeyed here in any case, and three roots of Debian's bundle break it",
        code: Code::Profile,
        check: Check::Authority(basic_constraints_critical),
    },
    Rule {
        id: "ca-path-length",
        demands: "a CA with a pathLenConstraint has a keyUsage with keyCertSign",
        source: "RFC 5280 §4.2.1.9",
        level: Level::Strict,
        why: "the constraint is obeyed in any case",
        code: Code::Profile,
        check: Check::Authority(path_length),
    },
    Rule {
        id: "ca-key-usage",
        demands: "a CA below the root has a keyUsage",
        source: "RFC 5280 §4.2.1.3, BR 7.1.2.10.7",
        level: Level::Strict,
        why: "basicConstraints say that it is a CA; a root is trusted to be one",
        code: Code::Profile,
        check: Check::Intermediate(key_usage),
    },
    Rule {
        id: "key-usage-critical",
        demands: "below the root, the keyUsage of publicly trusted certificates is critical",
        source: "BR 7.1.2.7.6, 7.1.2.6.1, RFC 5280 §4.2.1.3",
        level: Level::Strict,
        why: "RFC 5280 only recommends it: it is for those who claim public trust, by a policy of \
              the CA/Browser Forum or by embedded SCTs",
        code: Code::Profile,
        check: Check::Every(key_usage_critical),
    },
];

fn signs(reading: &Reading<'_>) -> Broken {
    let usage = reading.certificate.key_usage()?;
    (!usage.key_cert_sign()).then(|| "has a keyUsage without keyCertSign, and has issued".into())
}

fn basic_constraints_critical(reading: &Reading<'_>) -> Broken {
    let is_not = reading.is_critical(ID_CE_BASIC_CONSTRAINTS) == Some(false);
    is_not.then(|| "has basicConstraints that are not critical".into())
}

fn path_length(reading: &Reading<'_>) -> Broken {
    let length = reading.path_length()?;
    let is_absent = !reading.has(ID_CE_KEY_USAGE);
    is_absent.then(|| format!("has a pathLenConstraint of {length} and no keyUsage"))
}

fn key_usage(reading: &Reading<'_>) -> Broken {
    let is_absent = !reading.has(ID_CE_KEY_USAGE);
    is_absent.then(|| "has no keyUsage".into())
}

fn key_usage_critical(reading: &Reading<'_>) -> Broken {
    let is_held = reading.claims_public_trust && reading.place != Place::Anchor;
    let is_not = reading.is_critical(ID_CE_KEY_USAGE) == Some(false);
    (is_held && is_not).then(|| "has a keyUsage that is not critical".into())
}
