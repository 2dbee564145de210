//! A GeneralName (RFC 5280 §4.2.1.6), by its kind.

use std::net::IpAddr;

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{self, Decode, Tag, TagNumber, Tagged};

use super::layout::{elements, sequence};

/// What stands in a subjectAltName, a name constraint or where something is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GeneralName<'a> {
    Email(&'a [u8]),
    Dns(&'a [u8]),
    Uri(&'a [u8]),
    Address(&'a [u8]),
    /// A Name, not looked into.
    Directory(&'a [u8]),
    /// otherName, x400Address, ediPartyName, registeredID, by its number.
    Other(TagNumber, &'a [u8]),
}

impl<'a> GeneralName<'a> {
    pub(super) fn read(element: AnyRef<'a>) -> der::Result<Self> {
        let Tag::ContextSpecific {
            constructed,
            number,
        } = element.tag()
        else {
            return Err(element.tag().value_error());
        };
        let value = element.value();
        Ok(match (number, constructed) {
            (TagNumber::N1, false) => Self::Email(value),
            (TagNumber::N2, false) => Self::Dns(value),
            (TagNumber::N4, true) => Self::Directory(value),
            (TagNumber::N6, false) => Self::Uri(value),
            (TagNumber::N7, false) => Self::Address(value),
            (TagNumber::N0 | TagNumber::N3 | TagNumber::N5, true) | (TagNumber::N8, false) => {
                Self::Other(number, value)
            }
            _ => return Err(element.tag().value_error()),
        })
    }

    /// GeneralNames, of which there is at least one.
    pub(super) fn list(der: &'a [u8]) -> der::Result<Vec<Self>> {
        let names = sequence(AnyRef::from_der(der)?)?;
        Self::each(names)
    }

    /// The same, when its tag has been taken off.
    pub(super) fn each(names: Vec<AnyRef<'a>>) -> der::Result<Vec<Self>> {
        match names.is_empty() {
            true => Err(Tag::Sequence.length_error()),
            false => names.into_iter().map(Self::read).collect(),
        }
    }
}

/// An iPAddress, if it is of 4 or 16 bytes.
pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// Whether this is a Name in DER: a sequence of sets of pairs of a type and a value.
pub(super) fn is_name(der: &[u8]) -> bool {
    let is_attribute = |attribute: AnyRef<'_>| {
        sequence(attribute).is_ok_and(
            |pair| matches!(pair.as_slice(), [kind, _] if kind.tag() == Tag::ObjectIdentifier),
        )
    };
    let is_relative = |relative: &AnyRef<'_>| {
        relative.tag() == Tag::Set
            && elements(relative.value()).is_ok_and(|attributes| {
                !attributes.is_empty() && attributes.into_iter().all(is_attribute)
            })
    };
    AnyRef::from_der(der)
        .and_then(sequence)
        .is_ok_and(|names| names.iter().all(is_relative))
}
