//! What the extensions of a certificate hold (RFC 5280 §4.2).
//!
//! Nothing is decided here. An extension that is there twice holds nothing that can be read: RFC
//! 5280 §4.2 forbids it, and to take the first is to let somebody choose what we see.

use std::net::IpAddr;

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, Tag, TagNumber, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{KeyUsage, SubjectKeyIdentifier};

use super::certificate::Certificate;

impl Certificate {
    /// The `dNSName` entries of its subjectAltName (RFC 5280 §4.2.1.6), in order, as they stand
    /// there.
    ///
    /// None, if that extension cannot be read whole. Wildcards are as written; nothing is checked
    /// or escaped.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.alternative_names(TagNumber::N2)
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// The `iPAddress` entries of its subjectAltName, in order; one that is not of 4 or 16 bytes is
    /// passed over.
    pub fn ip_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.alternative_names(TagNumber::N7).filter_map(|address| {
            let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from))
                .ok()
        })
    }

    /// Whether it says it is a certificate authority's (basicConstraints, RFC 5280 §4.2.1.9).
    pub fn is_ca(&self) -> bool {
        let constraints = self
            .extension(rfc5280::ID_CE_BASIC_CONSTRAINTS)
            .and_then(|constraints| Vec::<AnyRef<'_>>::from_der(constraints).ok());
        constraints
            .as_deref()
            .and_then(<[_]>::first)
            .is_some_and(|ca| ca.tag() == Tag::Boolean && ca.value() == [0xff])
    }

    /// What the key may be used for: the object identifiers of extKeyUsage (RFC 5280 §4.2.1.12).
    ///
    /// `None` if it does not say; an empty list, which allows nothing, if it says so in a way that
    /// cannot be read.
    pub fn extended_key_usage(&self) -> Option<Vec<String>> {
        let extension = self.extension(rfc5280::ID_CE_EXT_KEY_USAGE)?;
        let purposes = Vec::<ObjectIdentifier>::from_der(extension).unwrap_or_default();
        Some(purposes.iter().map(ToString::to_string).collect())
    }

    /// What its key may do; nothing, if that cannot be read, and `None` if it does not say.
    pub(crate) fn key_usage(&self) -> Option<KeyUsage> {
        let usage = self.decoded::<KeyUsage>()?;
        Some(usage.unwrap_or_else(|_| KeyUsage(Default::default())))
    }

    /// The name that the certificate gives to its own key (RFC 5280 §4.2.1.2).
    pub(crate) fn subject_key_id(&self) -> Option<Vec<u8>> {
        let id = self.decoded::<SubjectKeyIdentifier>()?.ok()?;
        Some(id.0.into_bytes())
    }

    /// All extensions, in order.
    pub(crate) fn extensions(&self) -> &[Extension] {
        self.tbs().extensions.as_deref().unwrap_or_default()
    }

    /// The extension that `T` reads, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it is there twice, or is not what `T` is.
    pub(crate) fn decoded<T>(&self) -> Option<der::Result<T>>
    where
        T: AssociatedOid + for<'a> Decode<'a>,
    {
        self.extension(T::OID).map(T::from_der)
    }

    /// What one extension holds, or `None` if there is none.
    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        let mut found = self.extensions().iter().filter(|each| each.extn_id == id);
        let first = found.next()?;
        Some(match found.next() {
            None => first.extn_value.as_bytes(),
            Some(_) => &[],
        })
    }

    /// The subjectAltName's entries of one kind, by the tag of GeneralName.
    fn alternative_names(&self, kind: TagNumber) -> impl Iterator<Item = &[u8]> {
        let names = self
            .extension(rfc5280::ID_CE_SUBJECT_ALT_NAME)
            .and_then(|names| Vec::<AnyRef<'_>>::from_der(names).ok())
            .unwrap_or_default();
        let wanted = Tag::ContextSpecific {
            constructed: false,
            number: kind,
        };
        names
            .into_iter()
            .filter(move |name| name.tag() == wanted)
            .map(AnyRef::value)
    }
}
