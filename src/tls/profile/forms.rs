//! How the extensions of RFC 5280 are written: what "cannot be read" means.
//!
//! Distinguished names in them are walked, not parsed: the parser sorts the attributes of a
//! relative name by insertion, and these would be a stranger's to make many.

use x509_cert::der::asn1::{AnyRef, Ia5StringRef, ObjectIdentifier, UintRef};
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};

use super::constraints;
use super::reading::AuthorityKeyId;
use crate::tls::general_name::{self, GeneralName};
use crate::tls::layout::{elements, sequence};
use crate::tls::places::{access, distribution_points};

pub(super) type Form = (ObjectIdentifier, &'static str, fn(&[u8]) -> der::Result<()>);

/// How extensions are to be written.
pub(super) const FORMS: &[Form] = &[
    (
        rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
        "authorityKeyIdentifier",
        |der| AuthorityKeyId::read(der).map(drop),
    ),
    (
        rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
        "subjectKeyIdentifier",
        |der| SubjectKeyIdentifier::from_der(der).map(drop),
    ),
    (rfc5280::ID_CE_KEY_USAGE, "keyUsage", |der| {
        // "At least one of the bits MUST be set to 1" (§4.2.1.3).
        let is_empty = KeyUsage::from_der(der)?.0.is_empty();
        some(!is_empty)
    }),
    (
        rfc5280::ID_CE_CERTIFICATE_POLICIES,
        "certificatePolicies",
        |der| some(!policies(der)?.is_empty()),
    ),
    (rfc5280::ID_CE_POLICY_MAPPINGS, "policyMappings", |der| {
        some(!mappings(der)?.is_empty())
    }),
    (rfc5280::ID_CE_SUBJECT_ALT_NAME, "subjectAltName", names),
    (rfc5280::ID_CE_ISSUER_ALT_NAME, "issuerAltName", names),
    (
        rfc5280::ID_CE_SUBJECT_DIRECTORY_ATTRIBUTES,
        "subjectDirectoryAttributes",
        |der| some(!sequence(AnyRef::from_der(der)?)?.is_empty()),
    ),
    (
        rfc5280::ID_CE_BASIC_CONSTRAINTS,
        "basicConstraints",
        |der| BasicConstraints::from_der(der).map(drop),
    ),
    (rfc5280::ID_CE_NAME_CONSTRAINTS, "nameConstraints", |der| {
        constraints::read(der).map(drop)
    }),
    (
        rfc5280::ID_CE_POLICY_CONSTRAINTS,
        "policyConstraints",
        |der| {
            let fields = sequence(AnyRef::from_der(der)?)?;
            some(!fields.is_empty() && fields.iter().all(|field| numbered(field).is_some()))
        },
    ),
    (rfc5280::ID_CE_EXT_KEY_USAGE, "extKeyUsage", |der| {
        some(!Vec::<ObjectIdentifier>::from_der(der)?.is_empty())
    }),
    (
        rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
        "crlDistributionPoints",
        read_points,
    ),
    (rfc5280::ID_CE_FRESHEST_CRL, "freshestCRL", read_points),
    (
        rfc5280::ID_CE_INHIBIT_ANY_POLICY,
        "inhibitAnyPolicy",
        |der| UintRef::from_der(der).map(drop),
    ),
    (
        rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
        "authorityInfoAccess",
        |der| some(!access(der)?.is_empty()),
    ),
    (
        rfc5280::ID_PE_SUBJECT_INFO_ACCESS,
        "subjectInfoAccess",
        |der| some(!access(der)?.is_empty()),
    ),
];

/// RFC 5280 §4.2.1.4.
pub(super) fn policies(der: &[u8]) -> der::Result<Vec<ObjectIdentifier>> {
    let policies = sequence(AnyRef::from_der(der)?)?;
    let read = |information| match sequence(information)?.as_slice() {
        [policy] => policy.decode_as(),
        [policy, qualifiers] => {
            for qualifier in sequence(*qualifiers)? {
                sequence(qualifier)?;
            }
            policy.decode_as()
        }
        _ => Err(Tag::Sequence.length_error()),
    };
    policies.into_iter().map(read).collect()
}

/// RFC 5280 §4.2.1.5.
pub(super) fn mappings(der: &[u8]) -> der::Result<Vec<[ObjectIdentifier; 2]>> {
    let mappings = sequence(AnyRef::from_der(der)?)?;
    let read = |mapping| match sequence(mapping)?.as_slice() {
        [from, to] => Ok([from.decode_as()?, to.decode_as()?]),
        _ => Err(Tag::Sequence.length_error()),
    };
    mappings.into_iter().map(read).collect()
}

fn names(der: &[u8]) -> der::Result<()> {
    for name in GeneralName::list(der)? {
        let is_good = match name {
            GeneralName::Directory(name) => general_name::is_name(name),
            GeneralName::Email(text) | GeneralName::Dns(text) | GeneralName::Uri(text) => {
                Ia5StringRef::new(text).is_ok()
            }
            GeneralName::Address(_) | GeneralName::Other(..) => true,
        };
        some(is_good)?;
    }
    Ok(())
}

fn read_points(der: &[u8]) -> der::Result<()> {
    let points = distribution_points(der)?;
    some(!points.is_empty())?;
    for field in points.iter().flatten() {
        match numbered(field) {
            Some((TagNumber::N0, true)) => {
                // A DistributionPointName, a CHOICE, is tagged explicitly.
                let name = AnyRef::from_der(field.value())?;
                match numbered(&name) {
                    Some((TagNumber::N0, true)) => {
                        GeneralName::each(elements(name.value())?).map(drop)
                    }
                    Some((TagNumber::N1, true)) => elements(name.value()).map(drop),
                    _ => Err(name.tag().value_error()),
                }
            }
            Some((TagNumber::N1, false)) => Ok(()),
            Some((TagNumber::N2, true)) => GeneralName::each(elements(field.value())?).map(drop),
            _ => Err(field.tag().value_error()),
        }?;
    }
    Ok(())
}

/// The number of a context-specific tag, and whether it is constructed.
pub(super) fn numbered(element: &AnyRef<'_>) -> Option<(TagNumber, bool)> {
    match element.tag() {
        Tag::ContextSpecific {
            constructed,
            number,
        } => Some((number, constructed)),
        _ => None,
    }
}

/// An error, unless it holds.
fn some(holds: bool) -> der::Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Tag::Sequence.value_error()),
    }
}
