//! The rules on name constraints. Whether names keep them is for webpki to say.

use std::borrow::Cow;

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::oid::db::rfc5280::ID_CE_NAME_CONSTRAINTS;
use x509_cert::der::{self, Decode, Tag, TagNumber, Tagged};

use super::reading::Reading;
use super::{Broken, Check, Level, Rule, syntax};
use crate::tls::general_name::{self, GeneralName};
use crate::tls::layout::{elements, sequence};
use crate::tls::reason::Code;
use crate::tls::shown::Shown;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "name-constraints-ca",
        demands: "only CAs have name constraints",
        source: "RFC 5280 §4.2.1.10",
        level: Level::Strict,
        why: "a leaf issues nothing that they could constrain",
        code: Code::Profile,
        check: Check::Leaf(name_constraints_ca),
    },
    Rule {
        id: "name-constraints-critical",
        demands: "name constraints are critical",
        source: "RFC 5280 §4.2.1.10",
        level: Level::Strict,
        why: "they are obeyed here in any case, and BR 7.1.2.10.8 lets CAs off for the sake of old \
              software",
        code: Code::Profile,
        check: Check::Authority(name_constraints_critical),
    },
    Rule {
        id: "name-constraints-subtrees",
        demands: "name constraints permit or exclude something",
        source: "RFC 5280 §4.2.1.10, BR 7.1.2.10.8",
        level: Level::Strict,
        why: "such ones constrain nothing, whatever they were meant to",
        code: Code::Profile,
        check: Check::Authority(name_constraints_subtrees),
    },
    Rule {
        id: "name-constraints-base",
        demands: "what a name constraint permits or excludes is a name of its kind: a host name, an \
                  address with a mask, a mailbox or domain, a distinguished name",
        source: "RFC 5280 §4.2.1.10",
        level: Level::Strict,
        why: "webpki refuses what it would have to compare a name with and cannot; the public web \
              has roots that write domains with a dot before them",
        code: Code::Profile,
        check: Check::Authority(name_constraints_base),
    },
];

/// The two lists of a nameConstraints extension.
pub(super) struct Constraints<'a> {
    permitted: Option<Vec<GeneralName<'a>>>,
    excluded: Option<Vec<GeneralName<'a>>>,
}

impl<'a> Constraints<'a> {
    fn bases(&self) -> impl Iterator<Item = &GeneralName<'a>> {
        self.permitted.iter().chain(&self.excluded).flatten()
    }
}

/// RFC 5280 §4.2.1.10. Minimum and maximum are not read: there must be none.
pub(super) fn read(der: &[u8]) -> der::Result<Constraints<'_>> {
    let mut constraints = Constraints {
        permitted: None,
        excluded: None,
    };
    for field in sequence(AnyRef::from_der(der)?)? {
        let subtrees = match field.tag() {
            Tag::ContextSpecific {
                constructed: true,
                number: TagNumber::N0,
            } if constraints.permitted.is_none() && constraints.excluded.is_none() => {
                &mut constraints.permitted
            }
            Tag::ContextSpecific {
                constructed: true,
                number: TagNumber::N1,
            } if constraints.excluded.is_none() => &mut constraints.excluded,
            other => return Err(other.value_error()),
        };
        let bases = elements(field.value())?.into_iter().map(base);
        *subtrees = Some(bases.collect::<der::Result<_>>()?);
    }
    Ok(constraints)
}

fn base(subtree: AnyRef<'_>) -> der::Result<GeneralName<'_>> {
    match sequence(subtree)?.as_slice() {
        [base] => GeneralName::read(*base),
        _ => Err(Tag::Sequence.length_error()),
    }
}

fn constraints<'a>(reading: &Reading<'a>) -> Option<Constraints<'a>> {
    read(reading.certificate.extension(ID_CE_NAME_CONSTRAINTS)?).ok()
}

fn name_constraints_ca(reading: &Reading<'_>) -> Broken {
    let is_there = reading.has(ID_CE_NAME_CONSTRAINTS) && !reading.certificate.is_ca();
    is_there.then(|| "is no CA's and has name constraints".into())
}

fn name_constraints_critical(reading: &Reading<'_>) -> Broken {
    let is_not = reading.is_critical(ID_CE_NAME_CONSTRAINTS) == Some(false);
    is_not.then(|| "has name constraints that are not critical".into())
}

fn name_constraints_subtrees(reading: &Reading<'_>) -> Broken {
    let constraints = constraints(reading)?;
    let lists = [&constraints.permitted, &constraints.excluded];
    let is_empty =
        lists.into_iter().flatten().any(Vec::is_empty) || lists.into_iter().all(Option::is_none);
    is_empty.then(|| "has name constraints with an empty list, or none".into())
}

fn name_constraints_base(reading: &Reading<'_>) -> Broken {
    constraints(reading)?.bases().find_map(base_fault)
}

fn base_fault(base: &GeneralName<'_>) -> Broken {
    match *base {
        // A zero-length one stands for every name (BR 7.1.2.10.8).
        GeneralName::Dns([]) | GeneralName::Email([]) | GeneralName::Uri([]) => None,
        GeneralName::Dns(name) => {
            let name = text(name);
            let fault = syntax::host_fault(&name)?;
            Some(format!(
                "constrains the DNS name \"{}\", which {fault}",
                Shown(&name)
            ))
        }
        GeneralName::Email(name) => {
            let name = text(name);
            let is_good = syntax::is_host_or_domain(&name) || syntax::is_mailbox(&name);
            (!is_good).then(|| {
                format!(
                    "constrains \"{}\", which is neither a mailbox, a host nor a domain",
                    Shown(&name)
                )
            })
        }
        GeneralName::Uri(name) => {
            let name = text(name);
            (!syntax::is_host_or_domain(&name)).then(|| {
                format!(
                    "constrains URIs of \"{}\", which is neither a host nor a domain",
                    Shown(&name)
                )
            })
        }
        GeneralName::Address(range) => match range {
            [_, _, _, _, mask @ ..] if range.len() == 8 => mask_fault(mask),
            _ if range.len() == 32 => mask_fault(range.get(16..).unwrap_or_default()),
            _ => Some(format!(
                "constrains an address and mask of {} octets",
                range.len()
            )),
        },
        GeneralName::Directory(name) => (!general_name::is_name(name))
            .then(|| "constrains a distinguished name that cannot be read".into()),
        GeneralName::Other(..) => None,
    }
}

/// A mask is written as in CIDR (RFC 4632): ones, then zeros.
fn mask_fault(mask: &[u8]) -> Broken {
    let ones = mask.iter().map(|byte| byte.leading_ones()).sum::<u32>();
    let set = mask.iter().map(|byte| byte.count_ones()).sum::<u32>();
    let mut rest = mask.iter().skip_while(|byte| **byte == 0xff).skip(1);
    let is_contiguous = ones == set && rest.all(|byte| *byte == 0);
    (!is_contiguous).then(|| "constrains addresses by a mask that has gaps".into())
}

fn text(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases() {
        let v6 = |prefix: u32| [[0; 16], (u128::MAX << (128 - prefix)).to_be_bytes()].concat();
        for good in [
            GeneralName::Dns(b""),
            GeneralName::Dns(b"a.example"),
            GeneralName::Dns(b"test"),
            GeneralName::Email(b"a@b.example"),
            GeneralName::Email(b"*@b.example"),
            GeneralName::Email(b".b.example"),
            GeneralName::Email(b"b.example"),
            GeneralName::Uri(b"b.example"),
            GeneralName::Uri(b".b.example"),
            GeneralName::Address(&[192, 0, 2, 0, 255, 255, 255, 0]),
            GeneralName::Address(&[0; 8]),
            GeneralName::Address(&[0xff; 8]),
            GeneralName::Address(&[10, 0, 0, 0, 255, 128, 0, 0]),
            GeneralName::Address(&[0; 32]),
            GeneralName::Address(&v6(33)),
            GeneralName::Directory(&[0x30, 0]),
            GeneralName::Other(TagNumber::N8, &[0x2a]),
        ] {
            assert_eq!(base_fault(&good), None, "{good:?}");
        }
        for (bad, fault) in [
            (GeneralName::Dns(b".a.example"), "empty label"),
            (GeneralName::Dns(b"*.a.example"), "characters"),
            (GeneralName::Dns(b"a.example."), "dot"),
            (GeneralName::Dns(b"\xff\xfe"), "characters"),
            (GeneralName::Email(b"a@b@c.example"), "mailbox"),
            (GeneralName::Email(b"@c.example"), "mailbox"),
            (GeneralName::Email(b"*.example"), "mailbox"),
            (GeneralName::Uri(b"https://a.example"), "host"),
            (GeneralName::Uri(b"192.0.2.1"), "host"),
            (GeneralName::Address(&[192, 0, 2, 1]), "4 octets"),
            (GeneralName::Address(&[0; 16]), "16 octets"),
            (GeneralName::Address(b""), "0 octets"),
            (GeneralName::Address(&[10, 0, 0, 0, 255, 0, 255, 0]), "gaps"),
            (GeneralName::Address(&[10, 0, 0, 0, 0, 255, 0, 0]), "gaps"),
            (GeneralName::Address(&[10, 0, 0, 0, 0xfd, 0, 0, 0]), "gaps"),
            (
                GeneralName::Address(&[10, 0, 0, 0, 0xfe, 0x80, 0, 0]),
                "gaps",
            ),
            (GeneralName::Directory(&[0x31, 0]), "cannot be read"),
            (
                GeneralName::Directory(&[0x30, 2, 0x31, 0]),
                "cannot be read",
            ),
        ] {
            let found = base_fault(&bad).unwrap_or_default();
            assert!(found.contains(fault), "{bad:?}: {found}");
        }
    }
}
