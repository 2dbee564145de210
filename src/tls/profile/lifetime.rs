//! The rule on how long a publicly trusted certificate may be valid, and who claims to be one.

use std::time::Duration;

use x509_cert::der::DateTime;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280::ID_CE_CERTIFICATE_POLICIES;

use super::forms;
use super::reading::Reading;
use super::{Broken, Check, Level, Rule};
use crate::tls::certificate::Certificate;
use crate::tls::reason::Code;
use crate::tls::sct::EMBEDDED_SCTS;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "validity-period",
    demands: "a publicly trusted certificate is not valid for longer than 825 days, 398 if it is \
              valid from 2020-09-01 on, 200 from 2026-03-15, 100 from 2027-03-15, 47 from \
              2029-03-15",
    source: "BR 6.3.2",
    level: Level::Strict,
    why: "private CAs may issue for as long as they like: only a leaf that claims public trust, by \
          a policy of the CA/Browser Forum or by embedded SCTs, is held to it",
    code: Code::Profile,
    check: Check::Leaf(validity_period),
}];

/// Whether a leaf says of itself that it is publicly trusted: its CA asserts a policy that is
/// reserved for that, or had it logged.
pub(super) fn claims_public_trust(leaf: &Certificate) -> bool {
    leaf.extension(EMBEDDED_SCTS).is_some()
        || leaf
            .extension(ID_CE_CERTIFICATE_POLICIES)
            .is_some_and(|extension| {
                let policies = forms::policies(extension).unwrap_or_default();
                policies.iter().any(|each| RESERVED_POLICIES.contains(each))
            })
}

fn validity_period(reading: &Reading<'_>) -> Broken {
    if !reading.claims_public_trust {
        return None;
    }
    let validity = &reading.certificate.tbs().validity;
    let from = validity.not_before.to_date_time();
    let (_, most) = LIMITS.iter().find(|((year, month, day), _)| {
        DateTime::new(*year, *month, *day, 0, 0, 0).is_ok_and(|since| since <= from)
    })?;
    let seconds = validity
        .not_after
        .to_unix_duration()
        .saturating_sub(validity.not_before.to_unix_duration());
    // The last second is in it, and whatever goes beyond a day is one more.
    let days = (seconds + Duration::from_secs(1))
        .as_secs()
        .div_ceil(24 * 60 * 60);
    (days > *most).then(|| {
        format!(
            "is valid for {days} days, from {from} to {}",
            validity.not_after
        )
    })
}

/// The first day of notBefore to which it applies, and the days; the newest first. What was issued
/// earlier is no longer valid.
const LIMITS: [((u16, u8, u8), u64); 5] = [
    ((2029, 3, 15), 47),
    ((2027, 3, 15), 100),
    ((2026, 3, 15), 200),
    ((2020, 9, 1), 398),
    ((2018, 3, 1), 825),
];

/// BR 7.1.6.1: EV, domain validated, organization validated, individual validated.
const RESERVED_POLICIES: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("2.23.140.1.1"),
    ObjectIdentifier::new_unwrap("2.23.140.1.2.1"),
    ObjectIdentifier::new_unwrap("2.23.140.1.2.2"),
    ObjectIdentifier::new_unwrap("2.23.140.1.2.3"),
];
