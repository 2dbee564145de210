//! A path from a leaf to a root, whose signatures fit: what is still to be looked at.

use super::certificate::{Anchor, Certificate};

/// A path, as it was found: RFC 5280 §6.1 calls it the prospective certification path, and leaves
/// the root out of it.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// The leaf, its issuer, and so on, without the root.
    pub(super) certificates: Vec<Certificate>,
    pub(super) anchor: Anchor,
}

impl Path {
    /// The CAs below the root, the leaf's issuer first.
    pub(super) fn intermediates(&self) -> &[Certificate] {
        self.certificates.get(1..).unwrap_or_default()
    }

    /// Each certificate with its issuer, the leaf first. A leaf that is itself among the roots was
    /// issued by nobody else.
    pub(super) fn links(&self) -> impl Iterator<Item = (&Certificate, &Certificate)> {
        let root = self.anchor.certificate();
        let issuers = self.intermediates().iter().chain([root]);
        self.certificates
            .iter()
            .zip(issuers)
            .filter(|(certificate, issuer)| certificate != issuer)
    }
}
