//! The rules on the names of a leaf: subjectAltName, and the common name that repeats one of them.
//!
//! That there is a subjectAltName, and that the host is in it, is for `hostname` to say.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use psl::Psl as _;
use x509_cert::der::oid::db::rfc4519;
use x509_cert::der::oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use x509_cert::der::{Tag, Tagged};

use super::reading::Reading;
use super::{Broken, Check, Level, Rule, punycode, syntax};
use crate::tls::general_name::{GeneralName, address};
use crate::tls::hostname::{self, is_number};
use crate::tls::reason::Code;
use crate::tls::shown::Shown;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "wildcard-public-suffix",
        demands: "a host is not known by a wildcard alone that stands for all that is registered \
                  under a public suffix",
        source: "BR 3.2.2.6, the ICANN section of publicsuffix.org",
        level: Level::Default,
        why: "nobody owns *.co.uk, and Chrome matches no host by it; a suffix of the list's \
              private section has one owner, who may have it, and what is not in the list is no \
              suffix",
        code: Code::Profile,
        check: Check::LeafFor(wildcard_public_suffix),
    },
    Rule {
        id: "san-critical",
        demands: "subjectAltName is critical if there is no other subject, and only then",
        source: "RFC 5280 §4.2.1.6, BR 7.1.2.7.12",
        level: Level::Strict,
        why: "it is read here in any case",
        code: Code::Profile,
        check: Check::Leaf(san_critical),
    },
    Rule {
        id: "san-dns",
        demands: "a dNSName is a host name in the preferred syntax, or one behind \"*.\"",
        source: "RFC 5280 §4.2.1.6, BR 7.1.2.7.12",
        level: Level::Strict,
        why: "a name that is written otherwise matches no host, and the others beside it are good",
        code: Code::Profile,
        check: Check::Leaf(san_dns),
    },
    Rule {
        id: "san-underscore",
        demands: "a dNSName has no underscore",
        source: "RFC 5280 §4.2.1.6, BR 7.1.2.7.12",
        level: Level::Strict,
        why: "private networks have hosts with such names",
        code: Code::Profile,
        check: Check::Leaf(san_underscore),
    },
    Rule {
        id: "san-a-label",
        demands: "a label of a dNSName with hyphens in the third and fourth place is xn-- and \
                  Punycode",
        source: "BR 7.1.2.7.12, RFC 5890 §2.3.2.1",
        level: Level::Strict,
        why: "labels are compared as they stand, and not decoded",
        code: Code::Profile,
        check: Check::Leaf(san_a_label),
    },
    Rule {
        id: "san-address",
        demands: "an iPAddress has 4 or 16 octets",
        source: "RFC 5280 §4.2.1.6",
        level: Level::Strict,
        why: "one of another length matches no host",
        code: Code::Profile,
        check: Check::Leaf(san_address),
    },
    Rule {
        id: "san-email",
        demands: "an rfc822Name is a mailbox",
        source: "RFC 5280 §4.2.1.6",
        level: Level::Strict,
        why: "no host is told by it",
        code: Code::Profile,
        check: Check::Leaf(san_email),
    },
    Rule {
        id: "san-uri",
        demands: "a uniformResourceIdentifier is an absolute URI, and names a host if it has an \
                  authority",
        source: "RFC 5280 §4.2.1.6",
        level: Level::Strict,
        why: "no host is told by it",
        code: Code::Profile,
        check: Check::Leaf(san_uri),
    },
    Rule {
        id: "common-name-once",
        demands: "a subject has at most one common name",
        source: "BR 7.1.4.2, 7.1.4.3",
        level: Level::Strict,
        why: "no host is told by it (RFC 9525 §2)",
        code: Code::Profile,
        check: Check::Leaf(common_name_once),
    },
    Rule {
        id: "common-name-in-san",
        demands: "a common name that reads as a host name, a wildcard or an address is one of the \
                  certificate's names, letter by letter, or an iPAddress of it as RFC 3986 and RFC \
                  5952 write it",
        source: "BR 7.1.4.3",
        level: Level::Strict,
        why: "no host is told by it (RFC 9525 §2), and private CAs put a description there, or a \
              host beside a list of addresses: only who claims public trust, by a policy of the \
              CA/Browser Forum or by embedded SCTs, has to have it among the names where they have \
              none of its kind",
        code: Code::Profile,
        check: Check::Leaf(common_name_in_san),
    },
];

fn wildcard_public_suffix(reading: &Reading<'_>, host: &str) -> Broken {
    let mut wide = None;
    for name in hostname::names_for(reading.certificate, host) {
        match name.strip_prefix("*.") {
            Some(base) if is_public_suffix(base) => wide = Some(name),
            // It is known by this one, too.
            _ => return None,
        }
    }
    Some(format!("has no name for it but \"{}\"", Shown(wide?)))
}

/// Whether the ICANN section of the list has this domain. The list is in U-labels and small letters.
fn is_public_suffix(domain: &str) -> bool {
    let label = |label: &str| match a_label(label) {
        Some(encoded) => punycode::decode(&encoded.to_ascii_lowercase()),
        None => Some(label.to_ascii_lowercase()),
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some(labels) = domain.split('.').map(label).collect::<Option<Vec<_>>>() else {
        return false;
    };
    // The list is code, of thousands of places where a label is taken: how is in none of them.
    let mut taken = labels.iter().rev().map(String::as_bytes);
    let info = psl::List.find(&mut taken as &mut dyn Iterator<Item = &[u8]>);
    let whole: usize = labels.iter().map(|label| label.len() + 1).sum();
    info.typ == Some(psl::Type::Icann) && info.len + 1 == whole
}

fn san_critical(reading: &Reading<'_>) -> Broken {
    let is_critical = reading.is_critical(ID_CE_SUBJECT_ALT_NAME)?;
    let is_nameless = reading.certificate.tbs().subject.0.is_empty();
    match (is_critical, is_nameless) {
        (true, false) => Some("has a critical subjectAltName beside a subject".into()),
        (false, true) => Some("has no subject, and a subjectAltName that is not critical".into()),
        _ => None,
    }
}

fn san_dns(reading: &Reading<'_>) -> Broken {
    dns_names(reading).find_map(|name| {
        let host = name.strip_prefix("*.").unwrap_or(&name);
        // The underscore has a rule of its own.
        let fault = syntax::host_fault(&host.replace('_', "x"))?;
        Some(format!(
            "has the dNSName \"{}\", which {fault}",
            Shown(&name)
        ))
    })
}

fn san_underscore(reading: &Reading<'_>) -> Broken {
    let name = dns_names(reading).find(|name| name.contains('_'))?;
    Some(format!("has the dNSName \"{}\"", Shown(&name)))
}

fn san_a_label(reading: &Reading<'_>) -> Broken {
    let is_reserved = |label: &str| label.get(2..4) == Some("--");
    let is_good =
        |label: &str| a_label(label).is_some_and(|encoded| punycode::decode(encoded).is_some());
    let name = dns_names(reading).find(|name| {
        let mut reserved = name.split('.').filter(|label| is_reserved(label));
        reserved.any(|label| !is_good(label))
    })?;
    Some(format!("has the dNSName \"{}\"", Shown(&name)))
}

fn san_address(reading: &Reading<'_>) -> Broken {
    reading.names().iter().find_map(|name| match name {
        GeneralName::Address(octets) => address(octets)
            .is_none()
            .then(|| format!("has an iPAddress of {} octets", octets.len())),
        _ => None,
    })
}

fn san_email(reading: &Reading<'_>) -> Broken {
    let mut emails = reading.names().iter().filter_map(|name| match name {
        GeneralName::Email(text) => Some(String::from_utf8_lossy(text)),
        _ => None,
    });
    let bad = emails.find(|text| !syntax::is_mailbox(text))?;
    Some(format!("has the rfc822Name \"{}\"", Shown(&bad)))
}

fn san_uri(reading: &Reading<'_>) -> Broken {
    let mut uris = reading.names().iter().filter_map(|name| match name {
        GeneralName::Uri(text) => Some(String::from_utf8_lossy(text)),
        _ => None,
    });
    let bad = uris.find(|text| !syntax::is_uri_of_host(text))?;
    Some(format!("has the URI \"{}\" among its names", Shown(&bad)))
}

fn common_name_once(reading: &Reading<'_>) -> Broken {
    let count = common_names(reading).count();
    (count > 1).then(|| format!("has {count} common names"))
}

fn common_name_in_san(reading: &Reading<'_>) -> Broken {
    // There may be thousands of either: they are not held against each other one by one.
    let mut hosts = HashSet::new();
    let mut addresses = HashSet::new();
    for name in reading.names() {
        match name {
            GeneralName::Dns(name) => _ = hosts.insert(*name),
            GeneralName::Address(octets) => addresses.extend(address(octets)),
            _ => {}
        }
    }
    let kinds = [Kind::Host, Kind::Wildcard, Kind::Address].map(|kind| {
        let mut entries = reading.names().iter().filter_map(Kind::of_entry);
        entries.any(|each| each == kind).then_some(kind)
    });
    let is_in_san = |text: &str| {
        let address = text.parse::<IpAddr>();
        let is_address =
            |address: IpAddr| addresses.contains(&address) && address.to_string() == text;
        hosts.contains(text.as_bytes()) || address.is_ok_and(is_address)
    };
    let may_be_stray = |text: &str| {
        let is_alone = Kind::of(text).is_none_or(|kind| !kinds.contains(&Some(kind)));
        !reading.claims_public_trust && is_alone
    };
    // What is in no form of ASCII or UTF-8 is a copy of nothing.
    let stray = common_names(reading)
        .find(|text| !text.is_some_and(|text| is_in_san(text) || may_be_stray(text)))?;
    Some(match stray {
        Some(text) => format!(
            "has the common name \"{}\", which is not among its names",
            Shown(text)
        ),
        None => "has a common name that is not in a form of ASCII or UTF-8".into(),
    })
}

/// The kinds of names of hosts that BR 7.1.4.3 tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Wildcard,
    Address,
}

impl Kind {
    /// What a text reads as; nothing, if it has no dot or is more than one word.
    fn of(text: &str) -> Option<Self> {
        let last = text.rsplit('.').next().unwrap_or_default();
        match text {
            _ if text.is_empty() || text.contains(char::is_whitespace) => None,
            _ if text.contains(':') || is_number(last) => Some(Self::Address),
            _ if text.starts_with("*.") => Some(Self::Wildcard),
            _ => text.contains('.').then_some(Self::Host),
        }
    }

    fn of_entry(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::Dns(name) if name.starts_with(b"*.") => Some(Self::Wildcard),
            GeneralName::Dns(_) => Some(Self::Host),
            GeneralName::Address(_) => Some(Self::Address),
            _ => None,
        }
    }
}

/// The dNSNames; what is not ASCII in them is replaced, and stays wrong.
fn dns_names<'r>(reading: &'r Reading<'_>) -> impl Iterator<Item = Cow<'r, str>> {
    reading.names().iter().filter_map(|name| match name {
        GeneralName::Dns(text) => Some(String::from_utf8_lossy(text)),
        _ => None,
    })
}

/// The common names, each as text if it is in a form of ASCII or UTF-8.
fn common_names<'a>(reading: &Reading<'a>) -> impl Iterator<Item = Option<&'a str>> {
    let relative = reading.certificate.tbs().subject.0.iter();
    let attributes = relative.flat_map(|relative| relative.0.iter());
    attributes
        .filter(|attribute| attribute.oid == rfc4519::CN)
        .map(|attribute| match attribute.value.tag() {
            Tag::BmpString => None,
            _ => std::str::from_utf8(attribute.value.value()).ok(),
        })
}

/// What stands behind `xn--`.
fn a_label(label: &str) -> Option<&str> {
    let (prefix, encoded) = label.split_at_checked(4)?;
    prefix.eq_ignore_ascii_case("xn--").then_some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_suffixes() {
        for (domain, is_public) in [
            ("com", true),
            ("co.uk", true),
            ("CO.UK", true),
            ("co.uk.", true),
            ("xn--55qx5d.cn", true),
            ("XN--55QX5D.cn", true),
            ("anything.ck", true),
            ("www.ck", false),
            ("example.co.uk", false),
            ("example.com", false),
            ("github.io", false),
            ("test", false),
            ("host.test", false),
            ("lan", false),
            ("", false),
            ("xn--99999999.com", false),
        ] {
            assert_eq!(is_public_suffix(domain), is_public, "{domain}");
        }
    }
}
