//! The rules on what every certificate begins with: serial number, validity, issuer.

use x509_cert::time::Time;

use super::reading::Reading;
use super::{Broken, Check, Level, Rule};
use crate::tls::reason::Code;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "serial-positive",
        demands: "a serial number is above zero",
        source: "RFC 5280 §4.1.2.2, BR 7.1.2",
        level: Level::Strict,
        why: "§4.1.2.2 itself asks users to put up with others, and nine roots of Debian's bundle \
              have one",
        code: Code::Profile,
        check: Check::Every(serial_positive),
    },
    Rule {
        id: "serial-length",
        demands: "a serial number has at most 20 octets",
        source: "RFC 5280 §4.1.2.2, BR 7.1.2",
        level: Level::Strict,
        why: "its length decides nothing but what a CRL takes up",
        code: Code::Profile,
        check: Check::Every(serial_length),
    },
    Rule {
        id: "time-form",
        demands: "a date is a UTCTime through 2049, and a GeneralizedTime from 2050 on",
        source: "RFC 5280 §4.1.2.5",
        level: Level::Strict,
        why: "both forms are read alike here",
        code: Code::Profile,
        check: Check::Every(time_form),
    },
    Rule {
        id: "issuer-name",
        demands: "who issues has a name",
        source: "RFC 5280 §4.1.2.4, §4.1.2.6",
        level: Level::Strict,
        why: "issuers are told apart by their keys, too, and those have signed",
        code: Code::Profile,
        check: Check::Every(issuer_name),
    },
];

fn serial_positive(reading: &Reading<'_>) -> Broken {
    let serial = reading.certificate.tbs().serial_number.as_bytes();
    // DER has the sign in the first bit, and one octet for zero (X.690 §8.3).
    let is_positive = serial.first().is_some_and(|first| *first < 0x80) && serial != [0];
    (!is_positive).then(|| match serial {
        [0] => "has the serial number zero".into(),
        _ => "has a negative serial number".into(),
    })
}

fn serial_length(reading: &Reading<'_>) -> Broken {
    let octets = reading.certificate.tbs().serial_number.as_bytes().len();
    (octets > 20).then(|| format!("has a serial number of {octets} octets"))
}

fn time_form(reading: &Reading<'_>) -> Broken {
    let validity = &reading.certificate.tbs().validity;
    // A UTCTime ends with 2049.
    let is_wrong = |time: &&Time| {
        matches!(time, Time::GeneralTime(_)) && time.to_date_time().year() < FIRST_GENERALIZED
    };
    let wrong = [&validity.not_before, &validity.not_after]
        .into_iter()
        .find(is_wrong)?;
    Some(format!("has {wrong} as a GeneralizedTime"))
}

fn issuer_name(reading: &Reading<'_>) -> Broken {
    let is_empty = reading.certificate.tbs().issuer.0.is_empty();
    is_empty.then(|| "has an issuer without a name".into())
}

/// The first year that a UTCTime cannot say.
const FIRST_GENERALIZED: u16 = 2050;
