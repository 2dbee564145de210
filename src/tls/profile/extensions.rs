//! The rules on extensions as such: each once, as critical as it may be, and written as it is
//! specified.

use x509_cert::der::TagNumber;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280;

use super::forms::{self, FORMS, numbered};
use super::reading::Reading;
use super::{Broken, Check, Level, Rule};
use crate::tls::places::distribution_points;
use crate::tls::reason::Code;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "extension-once",
        demands: "no extension stands in a certificate twice",
        source: "RFC 5280 §4.2",
        level: Level::Default,
        why: "of two, each reader may take another; Go and webpki refuse them, too, so that the \
              public web has none",
        code: Code::Profile,
        check: Check::Every(once),
    },
    Rule {
        id: "extension-form",
        demands: "an extension is written as it is specified",
        source: "RFC 5280 §4.2.1, §4.2.2",
        level: Level::Strict,
        why: "what a decision rests on is refused where it is read, if it cannot be",
        code: Code::Profile,
        check: Check::Every(form),
    },
    Rule {
        id: "extension-not-critical",
        demands: "authorityKeyIdentifier, subjectKeyIdentifier, authorityInfoAccess, \
                  subjectInfoAccess, subjectDirectoryAttributes, crlDistributionPoints and \
                  freshestCRL are not critical",
        source: "RFC 5280 §4.2.1.1, §4.2.1.2, §4.2.1.8, §4.2.1.15, §4.2.2, BR 7.1.2.11.2",
        level: Level::Strict,
        why: "they ask for nothing that is not done; below a root all but crlDistributionPoints are \
              refused as unknown, if they are critical",
        code: Code::Profile,
        check: Check::Every(not_critical),
    },
    Rule {
        id: "policy-once",
        demands: "no policy stands in certificatePolicies twice",
        source: "RFC 5280 §4.2.1.4",
        level: Level::Strict,
        why: "policies decide nothing here",
        code: Code::Profile,
        check: Check::Every(policy_once),
    },
    Rule {
        id: "policy-mapping",
        demands: "policyMappings map neither from nor to anyPolicy",
        source: "RFC 5280 §4.2.1.5",
        level: Level::Strict,
        why: "policies decide nothing here",
        code: Code::Profile,
        check: Check::Every(policy_mapping),
    },
    Rule {
        id: "policy-constraints-critical",
        demands: "policyConstraints and inhibitAnyPolicy are critical",
        source: "RFC 5280 §4.2.1.11, §4.2.1.14",
        level: Level::Strict,
        why: "policies decide nothing here; a critical one is refused, as it cannot be obeyed",
        code: Code::Profile,
        check: Check::Every(policy_constraints_critical),
    },
    Rule {
        id: "distribution-point",
        demands: "a distribution point of CRLs says where they are, or whose",
        source: "RFC 5280 §4.2.1.13",
        level: Level::Strict,
        why: "a CRL is taken only for a point that it names",
        code: Code::Profile,
        check: Check::Every(distribution_point),
    },
];

fn once(reading: &Reading<'_>) -> Broken {
    let extensions = reading.certificate.extensions().iter();
    let mut ids: Vec<_> = extensions.map(|extension| &extension.extn_id).collect();
    ids.sort_unstable();
    let twice = ids.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })?;
    Some(format!("has the extension {twice} more than once"))
}

fn form(reading: &Reading<'_>) -> Broken {
    let extensions = reading.certificate.extensions().iter();
    let mut broken = extensions.filter_map(|extension| {
        let (_, name, read) = FORMS.iter().find(|(id, ..)| *id == extension.extn_id)?;
        let error = read(extension.extn_value.as_bytes()).err()?;
        Some(format!("has an unreadable {name}: {error}"))
    });
    broken.next()
}

fn not_critical(reading: &Reading<'_>) -> Broken {
    let (_, name) = NEVER_CRITICAL
        .iter()
        .find(|(id, _)| reading.is_critical(*id) == Some(true))?;
    Some(format!("has a critical {name}"))
}

fn policy_constraints_critical(reading: &Reading<'_>) -> Broken {
    let (_, name) = ALWAYS_CRITICAL
        .iter()
        .find(|(id, _)| reading.is_critical(*id) == Some(false))?;
    Some(format!("has a {name} that is not critical"))
}

fn policy_once(reading: &Reading<'_>) -> Broken {
    let extension = reading
        .certificate
        .extension(rfc5280::ID_CE_CERTIFICATE_POLICIES)?;
    let mut policies = forms::policies(extension).ok()?;
    policies.sort_unstable();
    let twice = policies.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })?;
    Some(format!("has the policy {twice} more than once"))
}

fn policy_mapping(reading: &Reading<'_>) -> Broken {
    let extension = reading
        .certificate
        .extension(rfc5280::ID_CE_POLICY_MAPPINGS)?;
    let mut mappings = forms::mappings(extension).ok()?.into_iter().flatten();
    mappings
        .any(|policy| policy == rfc5280::ANY_POLICY)
        .then(|| "has a policy mapping of anyPolicy".into())
}

fn distribution_point(reading: &Reading<'_>) -> Broken {
    let has_empty = |extension| {
        distribution_points(extension).is_ok_and(|points| {
            points.iter().any(|fields| {
                !fields.iter().any(|field| {
                    matches!(numbered(field), Some((TagNumber::N0 | TagNumber::N2, _)))
                })
            })
        })
    };
    let mut extensions = [
        rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
        rfc5280::ID_CE_FRESHEST_CRL,
    ]
    .into_iter()
    .filter_map(|id| reading.certificate.extension(id));
    extensions
        .any(has_empty)
        .then(|| "has a distribution point that says neither where nor whose its CRL is".into())
}

const NEVER_CRITICAL: &[(ObjectIdentifier, &str)] = &[
    (
        rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
        "authorityKeyIdentifier",
    ),
    (
        rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
        "subjectKeyIdentifier",
    ),
    (
        rfc5280::ID_CE_SUBJECT_DIRECTORY_ATTRIBUTES,
        "subjectDirectoryAttributes",
    ),
    (
        rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
        "crlDistributionPoints",
    ),
    (rfc5280::ID_CE_FRESHEST_CRL, "freshestCRL"),
    (rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, "authorityInfoAccess"),
    (rfc5280::ID_PE_SUBJECT_INFO_ACCESS, "subjectInfoAccess"),
];

const ALWAYS_CRITICAL: &[(ObjectIdentifier, &str)] = &[
    (rfc5280::ID_CE_POLICY_CONSTRAINTS, "policyConstraints"),
    (rfc5280::ID_CE_INHIBIT_ANY_POLICY, "inhibitAnyPolicy"),
];
