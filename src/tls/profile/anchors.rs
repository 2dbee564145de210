//! The rules on what a path ends in: webpki takes of it a name, a key and name constraints, and
//! looks at nothing else.

use rustls::pki_types::UnixTime;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280;
use x509_cert::ext::pkix::BasicConstraints;

use super::reading::Reading;
use super::{Broken, Check, Level, Rule};
use crate::tls::path::Path;
use crate::tls::reason::Code;
use crate::tls::shown::date;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "root-expired",
        demands: "a root is valid",
        source: "RFC 5280 §4.1.2.5",
        level: Level::Default,
        why: "nobody answers for the key any more; Go and OpenSSL refuse it, too",
        code: Code::Expired,
        check: Check::AnchorAt(expired),
    },
    Rule {
        id: "root-not-yet-valid",
        demands: "a root is valid already",
        source: "RFC 5280 §4.1.2.5",
        level: Level::Default,
        why: "nobody answers for the key yet; Go and OpenSSL refuse it, too",
        code: Code::NotYetValid,
        check: Check::AnchorAt(not_yet_valid),
    },
    Rule {
        id: "root-critical-extension",
        demands: "a root has no critical extension that is not obeyed here",
        source: "RFC 5280 §4.2",
        level: Level::Default,
        why: "it may be a limit to what the root is trusted for; Go and OpenSSL refuse it, too",
        code: Code::UnknownCriticalExtension,
        check: Check::Anchor(critical_extension),
    },
    Rule {
        id: "root-is-ca",
        demands: "what has issued says that it is a CA, by basicConstraints",
        source: "RFC 5280 §4.2.1.9, §6.1.4 (k)",
        level: Level::Default,
        why: "a server's own certificate may be trusted for itself, and not for others; one of \
              version 1 cannot say it",
        code: Code::NotACa,
        check: Check::Anchor(is_ca),
    },
    Rule {
        id: "root-path-length",
        demands: "no more CAs stand below a root than its pathLenConstraint allows",
        source: "RFC 5280 §4.2.1.9",
        level: Level::Default,
        why: "it is the root's own word on what it is trusted for; Go and OpenSSL obey it, too",
        code: Code::PathLength,
        check: Check::AnchorOf(path_length),
    },
    Rule {
        id: "root-purpose",
        demands: "a root's extKeyUsage, if there, has serverAuth or anyExtendedKeyUsage",
        source: "RFC 5280 §4.2.1.12",
        level: Level::Default,
        why: "a CA for code or mail may be trusted for that, and not for servers; Go and OpenSSL \
              refuse it, too",
        code: Code::WrongPurpose,
        check: Check::Anchor(purpose),
    },
    Rule {
        id: "root-version",
        demands: "a root is of X.509 version 3",
        source: "BR 7.1.1, RFC 5280 §4.1.2.1",
        level: Level::Strict,
        why: "old private roots are of version 1, and who trusts one means it to issue",
        code: Code::Profile,
        check: Check::Anchor(version),
    },
    Rule {
        id: "root-eku",
        demands: "a self-signed root has no extKeyUsage",
        source: "BR 7.1.2.1.2",
        level: Level::Strict,
        why: "private roots limit themselves by it, and that is obeyed",
        code: Code::Profile,
        check: Check::Anchor(eku),
    },
];

fn expired(reading: &Reading<'_>, now: UnixTime) -> Broken {
    let until = reading.certificate.not_after_unix();
    (now > until).then(|| format!("was valid until {}", date(until)))
}

fn not_yet_valid(reading: &Reading<'_>, now: UnixTime) -> Broken {
    let from = reading.certificate.not_before_unix();
    (now < from).then(|| format!("is valid from {}", date(from)))
}

fn critical_extension(reading: &Reading<'_>) -> Broken {
    let unknown = reading
        .certificate
        .extensions()
        .iter()
        .find(|extension| extension.critical && !OBEYED.contains(&extension.extn_id))?;
    Some(format!("has the critical extension {}", unknown.extn_id))
}

fn is_ca(reading: &Reading<'_>) -> Broken {
    let can_say = reading.certificate.version() == 3;
    (can_say && !reading.certificate.is_ca()).then(|| "does not say that it is a CA".into())
}

fn path_length(reading: &Reading<'_>, path: &Path) -> Broken {
    let Ok(constraints) = reading.certificate.decoded::<BasicConstraints>()? else {
        // It may be a limit.
        return Some("has basicConstraints that cannot be read".into());
    };
    let most = constraints.path_len_constraint?;
    let below = path
        .intermediates()
        .iter()
        .filter(|each| !each.is_self_issued())
        .count();
    (below > most.into())
        .then(|| format!("has a pathLenConstraint of {most}, and {below} CAs below it"))
}

fn purpose(reading: &Reading<'_>) -> Broken {
    let purposes = reading.certificate.purposes()?;
    let is_allowed = [rfc5280::ID_KP_SERVER_AUTH, rfc5280::ANY_EXTENDED_KEY_USAGE]
        .iter()
        .any(|purpose| purposes.contains(purpose));
    (!is_allowed).then(|| "is not for TLS servers by its extKeyUsage".into())
}

fn version(reading: &Reading<'_>) -> Broken {
    let version = reading.certificate.version();
    (version != 3).then(|| format!("is of version {version}"))
}

fn eku(reading: &Reading<'_>) -> Broken {
    let is_there = reading.is_root() && reading.has(rfc5280::ID_CE_EXT_KEY_USAGE);
    is_there.then(|| "has an extKeyUsage".into())
}

/// What webpki or a rule obeys, and what asks for nothing: it only informs.
const OBEYED: &[ObjectIdentifier] = &[
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_NAME_CONSTRAINTS,
    rfc5280::ID_CE_EXT_KEY_USAGE,
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc5280::ID_CE_ISSUER_ALT_NAME,
    rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
    rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
    rfc5280::ID_CE_SUBJECT_DIRECTORY_ATTRIBUTES,
    rfc5280::ID_CE_CERTIFICATE_POLICIES,
    rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
    rfc5280::ID_CE_FRESHEST_CRL,
    rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
    rfc5280::ID_PE_SUBJECT_INFO_ACCESS,
];
