//! The key that a certificate carries: its kind, its size, its digest.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::oid::db::rfc5912;
use x509_cert::der::{self, Decode, Reader, SliceReader};

use super::certificate::{Certificate, algorithm_name, sha256};

impl Certificate {
    /// The kind and size of its key, such as `RSA 2048`, `EC P-256` or `Ed25519`.
    pub fn key_description(&self) -> String {
        let key = &self.tbs().subject_public_key_info;
        match key.algorithm.oid {
            rfc5912::RSA_ENCRYPTION | rfc5912::ID_RSASSA_PSS => self
                .rsa_bits()
                .map_or_else(|| "RSA".to_owned(), |bits| format!("RSA {bits}")),
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve = key
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|curve| curve.decode_as().ok());
                curve.map_or_else(
                    || "EC".to_owned(),
                    |curve| format!("EC {}", curve_name(curve)),
                )
            }
            other => algorithm_name(other),
        }
    }

    /// The size of its modulus, if its key is RSA's.
    pub(crate) fn rsa_bits(&self) -> Option<u64> {
        let key = &self.tbs().subject_public_key_info;
        match key.algorithm.oid {
            rfc5912::RSA_ENCRYPTION | rfc5912::ID_RSASSA_PSS => {
                rsa_modulus_bits(key.subject_public_key.as_bytes()?).ok()
            }
            _ => None,
        }
    }

    /// The SHA-256 of its SubjectPublicKeyInfo, which is what a [`Pin`](super::Pin) holds.
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(self.spki_der())
    }

    /// The inside of its key's AlgorithmIdentifier, which is what
    /// `SignatureVerificationAlgorithm::public_key_alg_id` is to be compared with.
    pub(crate) fn key_algorithm_der(&self) -> &[u8] {
        let key = AnyRef::from_der(self.spki_der()).map(AnyRef::value);
        let algorithm = key.and_then(|key| AnyRef::decode(&mut SliceReader::new(key)?));
        algorithm.map(AnyRef::value).unwrap_or_default()
    }
}

/// RSAPublicKey, RFC 8017 A.1.1.
fn rsa_modulus_bits(key: &[u8]) -> der::Result<u64> {
    SliceReader::new(key)?.sequence(|key| {
        let modulus = UintRef::decode(key)?;
        UintRef::decode(key)?; // publicExponent
        let bytes = modulus.as_bytes();
        let unused = bytes
            .first()
            .map_or(0, |byte| u64::from(byte.leading_zeros()));
        Ok(bytes.len() as u64 * 8 - unused)
    })
}

fn curve_name(curve: ObjectIdentifier) -> String {
    match curve {
        rfc5912::SECP_256_R_1 => "P-256".to_owned(),
        rfc5912::SECP_384_R_1 => "P-384".to_owned(),
        rfc5912::SECP_521_R_1 => "P-521".to_owned(),
        other => algorithm_name(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::{Forged, spki, tlv};

    #[test]
    fn keys() {
        let rsa = [
            &[0x06, 9][..],
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1],
            &[5, 0],
        ]
        .concat();
        let modulus = |bytes: &[u8]| tlv(0x30, &[&tlv(0x02, &[bytes]), &[2, 3, 1, 0, 1]]);
        let ec = [0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        let curve = |id: &[u8]| [&ec[..], &tlv(0x06, &[id])].concat();
        for (key, description) in [
            (
                spki(&rsa, &modulus(&[&[0, 0x80][..], &[1; 127]].concat())),
                "RSA 1024",
            ),
            (
                spki(&rsa, &modulus(&[&[0, 0xff][..], &[1; 255]].concat())),
                "RSA 2048",
            ),
            (
                spki(&rsa, &modulus(&[&[0x40][..], &[1; 127]].concat())),
                "RSA 1023",
            ),
            (spki(&rsa, b"rubbish"), "RSA"),
            (
                spki(&curve(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]), &[4; 65]),
                "EC P-256",
            ),
            (spki(&curve(&[0x2b, 0x81, 4, 0, 34]), &[4; 97]), "EC P-384"),
            (spki(&curve(&[0x2b, 0x81, 4, 0, 35]), &[4; 133]), "EC P-521"),
            (
                spki(&curve(&[0x2b, 0x81, 4, 0, 10]), &[4; 65]),
                "EC 1.3.132.0.10",
            ),
            (spki(&ec, &[4; 65]), "EC"),
            (spki(&tlv(0x06, &[&[0x2b, 101, 112]]), &[0; 32]), "Ed25519"),
            (spki(&tlv(0x06, &[&[0x2a, 3, 4]]), &[0; 32]), "1.2.3.4"),
        ] {
            assert_eq!(
                Forged {
                    key,
                    ..Forged::default()
                }
                .certificate()
                .key_description(),
                description
            );
        }
    }
}
