//! Whether a signature in a certificate, a CRL or an OCSP response fits a key.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;

use super::certificate::Certificate;

/// Something signed, in the bytes in which it came.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) message: &'a [u8],
    /// The inside of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(super) fn certificate(certificate: &'a Certificate) -> Self {
        Self {
            message: certificate.tbs_der(),
            algorithm: certificate.signature_algorithm_der(),
            signature: certificate.signature(),
        }
    }

    /// Whether the owner of `key`, a SubjectPublicKeyInfo in DER, signed it, by an algorithm that
    /// is accepted.
    pub(super) fn is_by(self, key: &[u8], accepted: WebPkiSupportedAlgorithms) -> bool {
        let key = SubjectPublicKeyInfoDer::from(key);
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        // One identifier may stand for several algorithms: ECDSA's does not name the curve.
        accepted
            .all
            .iter()
            .filter(|candidate| candidate.signature_alg_id().as_ref() == self.algorithm)
            .any(|candidate| {
                key.verify_signature(*candidate, self.message, self.signature)
                    .is_ok()
            })
    }
}
