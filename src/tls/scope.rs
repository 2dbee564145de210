//! What a CRL is about: its issuing distribution point (RFC 5280 §5.2.5), and which certificates
//! that covers (§6.3.3).

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, ErrorKind, Tag, TagNumber, Tagged};

use super::certificate::Certificate;
use super::places::{POINT_NAME, distribution_points, point_names};

/// Which certificates a list speaks of; all of its issuer's, by default.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Where the list is to be had, as names in DER. It speaks only of certificates that name one
    /// of these places.
    names: Option<Vec<Box<[u8]>>>,
    only_users: bool,
    only_cas: bool,
    /// It is of attribute certificates, for some reasons or of several issuers: what it does not
    /// list may still be revoked.
    is_partial: bool,
}

impl Scope {
    /// Reads an IssuingDistributionPoint.
    pub(super) fn read(value: &[u8]) -> der::Result<Self> {
        let mut scope = Self::default();
        let mut last = None;
        for field in Vec::<AnyRef<'_>>::from_der(value)? {
            let Tag::ContextSpecific {
                constructed,
                number,
            } = field.tag()
            else {
                return Err(field.tag().unexpected_error(None));
            };
            // Each once, in their order: the tags are all that tells them apart.
            if last >= Some(number) {
                return Err(ErrorKind::TagUnexpected {
                    expected: None,
                    actual: field.tag(),
                }
                .into());
            }
            last = Some(number);
            match (number, constructed) {
                (TagNumber::N0, true) => {
                    let names = point_names(field.value())?;
                    scope.names = Some(names.into_iter().map(Box::from).collect());
                }
                (TagNumber::N1, false) => scope.only_users = boolean(field)?,
                (TagNumber::N2, false) => scope.only_cas = boolean(field)?,
                (TagNumber::N3, false) => scope.is_partial = true,
                (TagNumber::N4 | TagNumber::N5, false) => scope.is_partial |= boolean(field)?,
                _ => return Err(field.tag().unexpected_error(None)),
            }
        }
        Ok(scope)
    }

    /// Whether what the list does not say of this certificate says that it is good.
    pub(super) fn covers(&self, covered: &Covered<'_>) -> bool {
        let is_named = |names: &Vec<Box<[u8]>>| {
            names
                .iter()
                .any(|name| covered.points.contains(&name.as_ref()))
        };
        let is_of_kind = match covered.is_ca {
            true => !self.only_users,
            false => !self.only_cas,
        };
        // RFC 5280 §6.3.3 (b)(2). A certificate that names no place is on no list that stands for
        // one of several.
        is_of_kind && !self.is_partial && self.names.as_ref().is_none_or(is_named)
    }
}

/// A certificate, as far as it matters to a [`Scope`].
pub(super) struct Covered<'a> {
    is_ca: bool,
    /// Where it says that its issuer's whole list is, as names in DER.
    points: Vec<&'a [u8]>,
}

impl<'a> Covered<'a> {
    pub(super) fn of(certificate: &'a Certificate) -> Self {
        let points = certificate.extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS);
        Self {
            is_ca: certificate.is_ca(),
            // What cannot be read names no place, and so fits no list that does.
            points: points.and_then(|it| points_of(it).ok()).unwrap_or_default(),
        }
    }
}

/// The names in a CRLDistributionPoints (RFC 5280 §4.2.1.13).
fn points_of(value: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut found = Vec::new();
    for point in distribution_points(value)? {
        // What follows the name is `reasons` or `cRLIssuer`: a list for some reasons (§6.3.3
        // (d)(2)), or of somebody else (§6.3.3 (b)(1)).
        match point.as_slice() {
            [name] if name.tag() == POINT_NAME => found.extend(point_names(name.value())?),
            _ => {}
        }
    }
    Ok(found)
}

/// An implicitly tagged BOOLEAN (X.690 §11.1). FALSE is the default and should not be there, but
/// says the same.
fn boolean(field: AnyRef<'_>) -> der::Result<bool> {
    match field.value() {
        [0xff] => Ok(true),
        [0] => Ok(false),
        _ => Err(ErrorKind::Value { tag: field.tag() }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::crl::forge::tlv;
    use super::*;

    const USER: Covered<'_> = Covered {
        is_ca: false,
        points: Vec::new(),
    };
    const CA: Covered<'_> = Covered {
        is_ca: true,
        points: Vec::new(),
    };

    /// Whom a scope covers: users, CAs.
    #[test]
    fn the_flags_of_a_scope() {
        type Row = (&'static [&'static [u8]], (bool, bool));
        let rows: &[Row] = &[
            (&[], (true, true)),
            (&[&[0x81, 1, 0xff]], (true, false)),
            (&[&[0x82, 1, 0xff]], (false, true)),
            (&[&[0x81, 1, 0]], (true, true)),
            (&[&[0x81, 1, 0xff], &[0x82, 1, 0xff]], (false, false)),
            (&[&[0x83, 2, 7, 0x80]], (false, false)),
            (&[&[0x84, 1, 0xff]], (false, false)),
            (&[&[0x85, 1, 0xff]], (false, false)),
            // One that says nothing does not take back what another said.
            (&[&[0x84, 1, 0xff], &[0x85, 1, 0]], (false, false)),
            (&[&[0xa0, 2, 0xa0, 0]], (false, false)),
        ];
        for (fields, covered) in rows {
            let scope = Scope::read(&tlv(0x30, fields)).unwrap();
            assert_eq!(
                (scope.covers(&USER), scope.covers(&CA)),
                *covered,
                "{fields:02x?}"
            );
        }
    }

    #[test]
    fn one_name_of_several_is_enough_if_it_is_the_same() {
        let name = |text: &str| tlv(0x86, &[text.as_bytes()]);
        let names = tlv(0xa0, &[&tlv(0xa0, &[&name("a"), &name("b")])]);
        let scope = Scope::read(&tlv(0x30, &[&names])).unwrap();
        let (b, c, ab) = (name("b"), name("c"), name("ab"));
        let rows: &[(&[&[u8]], bool)] = &[
            (&[], false),
            (&[&b], true),
            (&[&c], false),
            (&[&c, &b], true),
            (&[&ab], false),
            (&[&b[..2]], false),
            (&[b""], false),
        ];
        for (points, is_covered) in rows {
            let covered = Covered {
                is_ca: false,
                points: points.to_vec(),
            };
            assert_eq!(scope.covers(&covered), *is_covered, "{points:02x?}");
        }
    }

    #[test]
    fn a_scope_that_cannot_be_read_is_none() {
        let cases: &[&[&[u8]]] = &[
            &[&[0x81, 1, 1]],
            &[&[0x81, 0]],
            &[&[0x81, 2, 0, 0]],
            &[&[0xa1, 3, 1, 1, 0xff]],
            &[&[1, 1, 0xff]],
            &[&[0x86, 1, 0xff]],
            // Twice, and not in order.
            &[&[0x81, 1, 0], &[0x81, 1, 0xff]],
            &[&[0x82, 1, 0xff], &[0x81, 1, 0]],
            // No name, two, and one cut off.
            &[&[0xa0, 0]],
            &[&[0xa0, 4, 0xa0, 0, 0xa0, 0]],
            &[&[0xa0, 4, 0xa0, 2, 0x86, 9]],
            &[&[0xa0, 2, 0xa2, 0]],
        ];
        for fields in cases {
            assert!(Scope::read(&tlv(0x30, fields)).is_err(), "{fields:02x?}");
        }
        assert!(Scope::read(&[]).is_err());
        assert!(Scope::read(&[0x31, 0]).is_err());
    }
}
