//! The rules on the names that certificates give to keys: their own (subjectKeyIdentifier) and their
//! issuer's (authorityKeyIdentifier).

use x509_cert::der::oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_SUBJECT_KEY_IDENTIFIER,
};

use super::reading::{Place, Reading};
use super::{Broken, Check, Level, Rule};
use crate::tls::crypto;
use crate::tls::reason::Code;
use crate::tls::shown::hex;
use crate::tls::signature::Signed;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ca-key-id",
        demands: "a CA's certificate has a subjectKeyIdentifier",
        source: "RFC 5280 §4.2.1.2, BR 7.1.2",
        level: Level::Strict,
        why: "it helps to find a path, and whoever signed is told by the signature; two roots of \
              Debian's bundle have none",
        code: Code::Profile,
        check: Check::Authority(ca_key_id),
    },
    Rule {
        id: "issuer-key-id",
        demands: "what is not a self-signed root has an authorityKeyIdentifier",
        source: "RFC 5280 §4.2.1.1, BR 7.1.2.11.1",
        level: Level::Strict,
        why: NOT_TRUSTED,
        code: Code::Profile,
        check: Check::Link(issuer_key_id),
    },
    Rule {
        id: "issuer-key-id-key",
        demands: "an authorityKeyIdentifier has a keyIdentifier",
        source: "RFC 5280 §4.2.1.1, BR 7.1.2.11.1",
        level: Level::Strict,
        why: NOT_TRUSTED,
        code: Code::Profile,
        check: Check::Every(issuer_key_id_key),
    },
    Rule {
        id: "issuer-key-id-only",
        demands: "an authorityKeyIdentifier has neither authorityCertIssuer nor \
                  authorityCertSerialNumber",
        source: "BR 7.1.2.11.1",
        level: Level::Strict,
        why: "RFC 5280 allows both, private CAs write them, and five roots of Debian's bundle have \
              them",
        code: Code::Profile,
        check: Check::Every(issuer_key_id_only),
    },
    Rule {
        id: "issuer-key-id-match",
        demands: "an authorityKeyIdentifier is the issuer's subjectKeyIdentifier",
        source: "RFC 5280 §4.2.1.1, BR 7.1.2.11.1",
        level: Level::Strict,
        why: NOT_TRUSTED,
        code: Code::Profile,
        check: Check::Link(issuer_key_id_match),
    },
    Rule {
        id: "root-key-id-match",
        demands: "a root's authorityKeyIdentifier, if it has one, is its own subjectKeyIdentifier",
        source: "BR 7.1.2.1.3",
        level: Level::Strict,
        why: "a root is taken as it is, and is not searched for by this",
        code: Code::Profile,
        check: Check::Anchor(root_key_id_match),
    },
];

const NOT_TRUSTED: &str = "it helps to find a path, and whoever signed is told by the signature";

fn ca_key_id(reading: &Reading<'_>) -> Broken {
    // Before version 3 there are no extensions.
    let is_absent =
        !reading.has(ID_CE_SUBJECT_KEY_IDENTIFIER) && reading.certificate.version() == 3;
    is_absent.then(|| "has no subjectKeyIdentifier".into())
}

fn issuer_key_id(issued: &Reading<'_>, _: Option<&Reading<'_>>) -> Broken {
    let is_absent = !issued.has(ID_CE_AUTHORITY_KEY_IDENTIFIER);
    let may_be = || issued.is_root() || issued.place == Place::Anchor && is_self_signed(issued);
    (is_absent && !may_be()).then(|| "has no authorityKeyIdentifier".into())
}

fn issuer_key_id_key(reading: &Reading<'_>) -> Broken {
    let id = reading.authority_key_id()?;
    let is_absent = id.key_id.is_none();
    is_absent.then(|| "has an authorityKeyIdentifier without a keyIdentifier".into())
}

fn issuer_key_id_only(reading: &Reading<'_>) -> Broken {
    let id = reading.authority_key_id()?;
    id.names_certificate
        .then(|| "names its issuer's certificate in its authorityKeyIdentifier".into())
}

fn issuer_key_id_match(issued: &Reading<'_>, issuer: Option<&Reading<'_>>) -> Broken {
    let named = issued.authority_key_id()?.key_id?;
    let own = issuer?.certificate.subject_key_id()?;
    (named != own).then(|| differ("its issuer's key", named, &own))
}

fn root_key_id_match(reading: &Reading<'_>) -> Broken {
    let named = reading.authority_key_id()?.key_id?;
    let own = reading.certificate.subject_key_id()?;
    (reading.is_root() && named != own).then(|| differ("its own key", named, &own))
}

/// As §4.2.1.1 defines it, by the key and not by the names: another may vouch for what is trusted
/// directly.
fn is_self_signed(reading: &Reading<'_>) -> bool {
    let accepted = crypto::provider().signature_verification_algorithms;
    Signed::certificate(reading.certificate).is_by(reading.certificate.spki_der(), accepted)
}

fn differ(whose: &str, named: &[u8], own: &[u8]) -> String {
    format!(
        "says that {whose} is {}, and that is {}",
        shortened(named),
        shortened(own)
    )
}

fn shortened(id: &[u8]) -> String {
    match id.get(..MAX_SHOWN_OCTETS) {
        Some(start) if id.len() > MAX_SHOWN_OCTETS => format!("{}…", hex(start)),
        _ => hex(id),
    }
}

/// A SHA-256 is shown whole.
const MAX_SHOWN_OCTETS: usize = 32;
