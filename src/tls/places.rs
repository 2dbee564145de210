//! Where it says that something is to be had: who answers for it by OCSP, its issuer's certificate,
//! the lists on which it would be revoked (RFC 5280 §4.2.1.13, §4.2.2.1).

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, Tag, TagNumber, Tagged};

use super::certificate::Certificate;
use super::general_name::GeneralName;
use super::layout::{sequence, split};

/// What these return was written by a stranger, and none of it is fetched here: who does so asks
/// hosts that the certificate's author chose.
impl Certificate {
    /// Where it says that somebody answers by OCSP whether it is revoked: the URIs of id-ad-ocsp in
    /// authorityInfoAccess (RFC 5280 §4.2.2.1), in order, as they stand there.
    ///
    /// One that is not UTF-8 is passed over, and so are all if that extension cannot be read whole:
    /// [`Policy::strict`](super::Policy::strict) refuses it by the rule `extension-form`.
    pub fn ocsp_urls(&self) -> Vec<String> {
        self.access_to(rfc5280::ID_AD_OCSP)
    }

    /// Where it says that its issuer's certificate is: the URIs of id-ad-caIssuers, as
    /// [`ocsp_urls`](Self::ocsp_urls) has those of id-ad-ocsp.
    pub fn ca_issuers_urls(&self) -> Vec<String> {
        self.access_to(rfc5280::ID_AD_CA_ISSUERS)
    }

    /// Where it says that the lists are on which it would be revoked: the URIs of all its
    /// crlDistributionPoints (RFC 5280 §4.2.1.13), in order, as they stand there.
    ///
    /// What cannot be read is passed over, as for [`ocsp_urls`](Self::ocsp_urls). A point may be
    /// for some reasons only, or have its lists from somebody else than the issuer.
    pub fn crl_distribution_points(&self) -> Vec<String> {
        let points = self.extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS);
        points
            .and_then(|der| uris_of_points(der).ok())
            .unwrap_or_default()
    }

    fn access_to(&self, wanted: ObjectIdentifier) -> Vec<String> {
        let access = self
            .extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS)
            .and_then(|der| access(der).ok())
            .unwrap_or_default();
        let wanted = access.into_iter().filter(|(method, _)| *method == wanted);
        wanted.filter_map(|(_, location)| uri(location)).collect()
    }
}

/// The descriptions of an access extension: how, and where (RFC 5280 §4.2.2).
pub(super) fn access(der: &[u8]) -> der::Result<Vec<(ObjectIdentifier, GeneralName<'_>)>> {
    let descriptions = sequence(AnyRef::from_der(der)?)?;
    let read = |description| match sequence(description)?.as_slice() {
        [method, location] => Ok((method.decode_as()?, GeneralName::read(*location)?)),
        _ => Err(Tag::Sequence.length_error()),
    };
    descriptions.into_iter().map(read).collect()
}

/// The fields of each distribution point (RFC 5280 §4.2.1.13).
pub(super) fn distribution_points(der: &[u8]) -> der::Result<Vec<Vec<AnyRef<'_>>>> {
    let points = sequence(AnyRef::from_der(der)?)?;
    points.into_iter().map(sequence).collect()
}

/// The names in a DistributionPointName, each a GeneralName or a relative name in DER, which are
/// equal if their DER is.
pub(super) fn point_names(point: &[u8]) -> der::Result<Vec<&[u8]>> {
    let name = AnyRef::from_der(point)?;
    match name.tag() {
        FULL_NAME => split(name.value()).collect(),
        RELATIVE_NAME => Ok(vec![point]),
        other => Err(other.unexpected_error(None)),
    }
}

fn uris_of_points(der: &[u8]) -> der::Result<Vec<String>> {
    let mut uris = Vec::new();
    for field in distribution_points(der)?.into_iter().flatten() {
        if field.tag() == POINT_NAME {
            for name in point_names(field.value())? {
                // A relative name is no GeneralName.
                uris.extend(
                    GeneralName::read(AnyRef::from_der(name)?)
                        .ok()
                        .and_then(uri),
                );
            }
        }
    }
    Ok(uris)
}

fn uri(name: GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::Uri(uri) => String::from_utf8(uri.to_vec()).ok(),
        _ => None,
    }
}

const fn constructed(number: TagNumber) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number,
    }
}

/// DistributionPoint's `[0] DistributionPointName`.
pub(super) const POINT_NAME: Tag = constructed(TagNumber::N0);
/// DistributionPointName's `[0] GeneralNames` and `[1] RelativeDistinguishedName`.
const FULL_NAME: Tag = constructed(TagNumber::N0);
const RELATIVE_NAME: Tag = constructed(TagNumber::N1);
