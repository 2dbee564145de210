//! A certificate in its place on a path, and what its extensions hold.

use std::cell::OnceCell;

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, Tag, TagNumber, Tagged};
use x509_cert::ext::pkix::BasicConstraints;

use crate::tls::certificate::Certificate;
use crate::tls::general_name::GeneralName;
use crate::tls::layout::sequence;

/// A certificate that rules are applied to.
pub(super) struct Reading<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) place: Place,
    /// Whether the leaf of the path says that it is publicly trusted.
    pub(super) claims_public_trust: bool,
    names: OnceCell<der::Result<Vec<GeneralName<'a>>>>,
}

/// Where on a path a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Leaf,
    Intermediate,
    Anchor,
}

impl<'a> Reading<'a> {
    pub(super) fn of(
        certificate: &'a Certificate,
        place: Place,
        claims_public_trust: bool,
    ) -> Self {
        Self {
            certificate,
            place,
            claims_public_trust,
            names: OnceCell::new(),
        }
    }

    /// The certificate, as the subject of a sentence.
    pub(super) fn whose(&self) -> String {
        let role = match self.place {
            Place::Leaf => "the certificate",
            Place::Intermediate => "the CA",
            Place::Anchor => "the root",
        };
        match self.certificate.subject() {
            none if none.is_empty() => role.into(),
            subject => format!("{role} {subject}"),
        }
    }

    /// Whether it is a root that nobody else vouches for (BR 1.6.1, "Root Certificate"): an
    /// intermediate may be trusted directly, too.
    pub(super) fn is_root(&self) -> bool {
        self.place == Place::Anchor && self.certificate.is_self_issued()
    }

    pub(super) fn has(&self, id: ObjectIdentifier) -> bool {
        self.certificate.extension(id).is_some()
    }

    /// Whether an extension is marked critical, if it is there.
    pub(super) fn is_critical(&self, id: ObjectIdentifier) -> Option<bool> {
        let mut extensions = self.certificate.extensions().iter();
        Some(extensions.find(|each| each.extn_id == id)?.critical)
    }

    /// The entries of subjectAltName; none, if they cannot be read.
    pub(super) fn names(&self) -> &[GeneralName<'a>] {
        let read = || {
            let names = self.certificate.extension(rfc5280::ID_CE_SUBJECT_ALT_NAME);
            names.map_or_else(|| Ok(Vec::new()), GeneralName::list)
        };
        self.names.get_or_init(read).as_deref().unwrap_or_default()
    }

    /// The authorityKeyIdentifier, if it is there and can be read.
    pub(super) fn authority_key_id(&self) -> Option<AuthorityKeyId<'a>> {
        let id = self
            .certificate
            .extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER)?;
        AuthorityKeyId::read(id).ok()
    }

    /// The pathLenConstraint.
    pub(super) fn path_length(&self) -> Option<u8> {
        let constraints = self.certificate.extension(BasicConstraints::OID)?;
        BasicConstraints::from_der(constraints)
            .ok()?
            .path_len_constraint
    }
}

/// RFC 5280 §4.2.1.1.
pub(super) struct AuthorityKeyId<'a> {
    pub(super) key_id: Option<&'a [u8]>,
    /// Whether it names the issuer's certificate by its issuer or serial number.
    pub(super) names_certificate: bool,
}

impl<'a> AuthorityKeyId<'a> {
    pub(super) fn read(extension: &'a [u8]) -> der::Result<Self> {
        let fields = sequence(AnyRef::from_der(extension)?)?;
        let mut id = Self {
            key_id: None,
            names_certificate: false,
        };
        let mut last = None;
        for field in fields {
            let number = match field.tag() {
                Tag::ContextSpecific {
                    constructed: false,
                    number: number @ TagNumber::N0,
                } => {
                    id.key_id = Some(field.value());
                    number
                }
                Tag::ContextSpecific {
                    constructed: true,
                    number: number @ TagNumber::N1,
                }
                | Tag::ContextSpecific {
                    constructed: false,
                    number: number @ TagNumber::N2,
                } => {
                    id.names_certificate = true;
                    number
                }
                other => return Err(other.value_error()),
            };
            if last.replace(number) >= Some(number) {
                return Err(field.tag().value_error());
            }
        }
        Ok(id)
    }
}
