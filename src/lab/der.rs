//! The certificates that rcgen will not mint: X.509 version 1, and one whose signature is wrong.
//!
//! Just enough DER (X.690 §10) to write RFC 5280 §4.1 without version and extensions, and what is
//! said by OCSP beside it.

use rcgen::{CertificateParams, Error, KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::CertificateDer;

/// A version 1 certificate for `subject`: RFC 5280 §4.1.2.1 has no version field and no extensions
/// there.
///
/// It is valid from 2000 to 2050, the range of a UTCTime.
///
/// # Errors
///
/// If the issuer's key does not sign.
pub(super) fn version_1(
    subject: &str,
    key: &impl PublicKeyData,
    issuer: &str,
    issuer_key: &impl SigningKey,
) -> Result<CertificateDer<'static>, Error> {
    let algorithm = tlv(SEQUENCE, &[ECDSA_WITH_SHA256]);
    let validity = tlv(
        SEQUENCE,
        &[
            &tlv(UTC_TIME, &[b"000101000000Z"]),
            &tlv(UTC_TIME, &[b"491231235959Z"]),
        ],
    );
    let to_be_signed = tlv(
        SEQUENCE,
        &[
            &integer(1),
            &algorithm,
            &common_name(issuer),
            &validity,
            &common_name(subject),
            &key.subject_public_key_info(),
        ],
    );
    signed(&to_be_signed, issuer_key).map(CertificateDer::from)
}

/// The same certificate with the last bit of its signature flipped: still DER, and never a valid
/// signature.
///
/// The last octet of an ECDSA signature is the end of the integer `s` (RFC 5480 §A), so no length
/// changes.
pub(super) fn with_bad_signature(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
    let mut der = certificate.to_vec();
    if let Some(last) = der.last_mut() {
        *last ^= 1;
    }
    CertificateDer::from(der)
}

/// The value of a SubjectKeyIdentifier extension (RFC 5280 §4.2.1.2), which rcgen writes for CAs
/// only.
pub(super) fn subject_key_identifier(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    tlv(OCTET_STRING, &[&params.key_identifier(key)])
}

/// The value of a TLS Feature extension (RFC 7633 §4) that promises a stapled OCSP response: the
/// number of the TLS extension `status_request` (RFC 6066 §8).
pub(super) fn status_request() -> Vec<u8> {
    tlv(SEQUENCE, &[&integer(5)])
}

/// What is signed, by which algorithm, and the signature: a certificate (RFC 5280 §4.1), or a
/// BasicOCSPResponse (RFC 6960 §4.2.1).
///
/// # Errors
///
/// If the key does not sign.
pub(super) fn signed(to_be_signed: &[u8], key: &impl SigningKey) -> Result<Vec<u8>, Error> {
    let signature = key.sign(to_be_signed)?;
    // The leading zero counts the unused bits of the last octet (X.690 §8.6.2.2).
    let signature = tlv(BIT_STRING, &[&[0], &signature]);
    let algorithm = tlv(SEQUENCE, &[ECDSA_WITH_SHA256]);
    Ok(tlv(SEQUENCE, &[to_be_signed, &algorithm, &signature]))
}

/// A name with a common name only, encoded as rcgen encodes it.
pub(super) fn common_name(name: &str) -> Vec<u8> {
    let attribute = tlv(
        SEQUENCE,
        &[COMMON_NAME, &tlv(UTF8_STRING, &[name.as_bytes()])],
    );
    tlv(SEQUENCE, &[&tlv(SET, &[&attribute])])
}

/// A number in the fewest octets that begin with a bit of zero, as it has no sign (X.690 §8.3).
pub(super) fn integer(value: u64) -> Vec<u8> {
    let octets = [&[0], &value.to_be_bytes()[..]].concat();
    let needless = octets
        .windows(2)
        .take_while(|two| matches!(two, [0, 0..0x80]))
        .count();
    tlv(INTEGER, &[octets.get(needless..).unwrap_or_default()])
}

/// Tag, length, and the parts one after the other.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = length.iter().copied().skip_while(|&byte| byte == 0);
    let mut der = vec![tag];
    // Up to 127 the length is one octet; above, a count of octets comes first (X.690 §8.1.3).
    if content.len() > 0x7f {
        der.push(0x80 | u8::try_from(significant.clone().count()).unwrap_or(0));
        der.extend(significant);
    } else {
        der.extend(u8::try_from(content.len()));
    }
    der.extend(content);
    der
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
pub(super) const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// OBJECT IDENTIFIER 2.5.4.3, id-at-commonName.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
/// OBJECT IDENTIFIER 1.2.840.10045.4.3.2, ecdsa-with-SHA256: the lab's keys are P-256.
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

#[cfg(test)]
mod tests {
    use x509_cert::certificate::{CertificateInner, Rfc5280, Version};
    use x509_cert::der::{Decode, Encode};

    use super::super::serve::provider;
    use super::*;

    #[test]
    fn lengths() {
        for (length, head) in [
            (0, vec![4, 0]),
            (127, vec![4, 127]),
            (128, vec![4, 0x81, 128]),
            (65_536, vec![4, 0x83, 1, 0, 0]),
        ] {
            let der = tlv(OCTET_STRING, &[&vec![7; length]]);
            assert_eq!(der[..head.len()], head);
            assert_eq!(der.len(), head.len() + length);
        }
    }

    #[test]
    fn integers() {
        for (value, octets) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0, 128]),
            (256, &[1, 0]),
            (u64::MAX, &[0, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(integer(value), tlv(INTEGER, &[octets]), "{value}");
        }
    }

    #[test]
    fn the_version_is_all_that_is_wrong_with_a_version_1_certificate() {
        let key = KeyPair::generate().unwrap();
        let der = version_1("host.test", &key, "issuer", &key).unwrap();
        let certificate = CertificateInner::<Rfc5280>::from_der(&der).unwrap();
        let tbs = &certificate.tbs_certificate;
        assert_eq!(tbs.version, Version::V1);
        assert_eq!(tbs.subject.to_string(), "CN=host.test");
        assert_eq!(tbs.issuer.to_string(), "CN=issuer");
        assert!(tbs.extensions.is_none());

        let public_key = tbs.subject_public_key_info.subject_public_key.raw_bytes();
        let signature = certificate.signature.raw_bytes();
        let algorithms = provider().signature_verification_algorithms.all;
        let message = tbs.to_der().unwrap();
        let verifies = algorithms
            .iter()
            .any(|it| it.verify_signature(public_key, &message, signature).is_ok());
        assert!(verifies);
    }
}
