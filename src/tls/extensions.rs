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
use super::general_name::address;

impl Certificate {
    /// The `dNSName` entries of its subjectAltName (RFC 5280 §4.2.1.6), in order, as they stand
    /// there.
    ///
    /// None, if that extension cannot be read whole. Wildcards are as written; nothing is checked
    /// or escaped.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.entries_of(TagNumber::N2)
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// The `iPAddress` entries of its subjectAltName, in order; one that is not of 4 or 16 bytes is
    /// passed over.
    pub fn ip_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.entries_of(TagNumber::N7).filter_map(address)
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
        Some(self.purposes()?.iter().map(ToString::to_string).collect())
    }

    /// The same, to be compared.
    pub(crate) fn purposes(&self) -> Option<Vec<ObjectIdentifier>> {
        let extension = self.extension(rfc5280::ID_CE_EXT_KEY_USAGE)?;
        Some(Vec::from_der(extension).unwrap_or_default())
    }

    /// Whether it says that its server staples an OCSP response to every handshake: the TLS feature
    /// `status_request` (RFC 7633 §4.2.3, "must-staple").
    ///
    /// True also if that extension cannot be read, as it may say so.
    pub fn must_staple(&self) -> bool {
        self.extension(TLS_FEATURE).is_some_and(|features| {
            Vec::<u16>::from_der(features)
                .map_or(true, |features| features.contains(&STATUS_REQUEST))
        })
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
    fn entries_of(&self, kind: TagNumber) -> impl Iterator<Item = &[u8]> {
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

/// id-pe-tlsfeature, RFC 7633 §6.
const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");
/// The number of the TLS extension `status_request`, RFC 6066 §8.
const STATUS_REQUEST: u16 = 5;

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::{Forged, extension, tlv};

    #[test]
    fn who_must_staple() {
        let features = |value: &[u8]| extension(TLS_FEATURE, value);
        let status_request = features(&tlv(0x30, &[&[2, 1, 5]]));
        for (extensions, must_staple) in [
            (vec![], false),
            (vec![status_request.clone()], true),
            (vec![features(&tlv(0x30, &[&[2, 1, 17], &[2, 1, 5]]))], true),
            // status_request_v2 alone (RFC 6961) is something else, which we do not ask for.
            (vec![features(&tlv(0x30, &[&[2, 1, 17]]))], false),
            (vec![features(&tlv(0x30, &[]))], false),
            (vec![features(b"rubbish")], true),
            (vec![features(&tlv(0x30, &[&[2, 3, 1, 0, 5]]))], true),
            (vec![status_request.clone(), status_request], true),
            (
                vec![extension(&[0x2a, 3, 4], &tlv(0x30, &[&[2, 1, 5]]))],
                false,
            ),
        ] {
            let certificate = Forged {
                extensions,
                ..Forged::default()
            }
            .certificate();
            assert_eq!(certificate.must_staple(), must_staple);
        }
    }

    /// id-pe-tlsfeature, RFC 7633 §6.
    const TLS_FEATURE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 24];
}
