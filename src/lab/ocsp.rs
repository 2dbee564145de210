//! What the lab's authority says of a certificate by OCSP, to be stapled (RFC 6960 §4.2.1).

use rcgen::{Error, SigningKey};

use super::der::{OCTET_STRING, SEQUENCE, common_name, integer, signed, tlv};
use crate::tls::crypto::sha1;

/// A response on one certificate, which its issuer has to sign.
///
/// No clock is read: what was said in 2000 holds until 2100.
pub(super) struct Response {
    serial: u64,
    /// A CertStatus in DER.
    status: Vec<u8>,
    next_update: Time,
}

/// The value of a GeneralizedTime.
type Time = &'static [u8; 15];

impl Response {
    /// It says that the certificate of this serial number is good.
    pub(super) fn good(serial: u64) -> Self {
        Self {
            serial,
            status: tlv(GOOD, &[]),
            next_update: b"21000101000000Z",
        }
    }

    /// It says that the certificate was revoked on 2001-01-01, because its key is compromised.
    pub(super) fn revoked(serial: u64) -> Self {
        let reason = tlv(CONTEXT_0, &[&tlv(ENUMERATED, &[&[KEY_COMPROMISE]])]);
        Self {
            status: tlv(REVOKED, &[&time(b"20010101000000Z"), &reason]),
            ..Self::good(serial)
        }
    }

    /// It says that the certificate is good, and was to be replaced on 2000-01-08.
    pub(super) fn stale(serial: u64) -> Self {
        Self {
            next_update: b"20000108000000Z",
            ..Self::good(serial)
        }
    }

    /// The response in DER, by an issuer of this common name.
    ///
    /// # Errors
    ///
    /// If the issuer's key does not sign.
    pub(super) fn sign(&self, issuer: &str, key: &impl SigningKey) -> Result<Vec<u8>, Error> {
        let issuer = common_name(issuer);
        let hash = |bytes| tlv(OCTET_STRING, &[sha1(bytes).as_ref()]);
        // SHA-1, as every client knows it: RFC 5019 §2.1.1 allows no other.
        let certificate = tlv(
            SEQUENCE,
            &[
                &tlv(SEQUENCE, &[SHA1]),
                &hash(&issuer),
                &hash(key.der_bytes()),
                &integer(self.serial),
            ],
        );
        let single = tlv(
            SEQUENCE,
            &[
                &certificate,
                &self.status,
                &time(MADE),
                &tlv(CONTEXT_0, &[&time(self.next_update)]),
            ],
        );
        let data = tlv(
            SEQUENCE,
            &[
                &tlv(BY_NAME, &[&issuer]),
                &time(MADE),
                &tlv(SEQUENCE, &[&single]),
            ],
        );
        let basic = tlv(OCTET_STRING, &[&signed(&data, key)?]);
        let body = tlv(SEQUENCE, &[BASIC, &basic]);
        let successful = tlv(ENUMERATED, &[&[0]]);
        Ok(tlv(SEQUENCE, &[&successful, &tlv(CONTEXT_0, &[&body])]))
    }
}

fn time(time: Time) -> Vec<u8> {
    tlv(GENERALIZED_TIME, &[time])
}

/// Both producedAt and thisUpdate.
const MADE: Time = b"20000101000000Z";

const ENUMERATED: u8 = 0x0a;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;
/// The alternative `good` of CertStatus, and `revoked`.
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
/// The alternative `byName` of ResponderID.
const BY_NAME: u8 = 0xa1;
/// CRLReason `keyCompromise` (RFC 5280 §5.3.1).
const KEY_COMPROMISE: u8 = 1;

/// OBJECT IDENTIFIER 1.3.6.1.5.5.7.48.1.1, id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x06, 0x09, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
/// OBJECT IDENTIFIER 1.3.14.3.2.26, id-sha1, and the NULL that is usual after it.
const SHA1: &[u8] = &[0x06, 0x05, 0x2b, 0x0e, 3, 2, 0x1a, 0x05, 0x00];

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use x509_cert::der::Decode;
    use x509_cert::ext::pkix::CrlReason;
    use x509_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, ResponderId};

    use super::*;

    #[test]
    fn a_response_is_read_as_it_was_meant() {
        let key = KeyPair::generate().unwrap();
        let read = |response: Response| {
            let der = response.sign("issuer", &key).unwrap();
            let body = OcspResponse::from_der(&der).unwrap().response_bytes;
            let basic = body.unwrap().response;
            let data = BasicOcspResponse::from_der(basic.as_bytes()).unwrap();
            let data = data.tbs_response_data;
            let ResponderId::ByName(responder) = &data.responder_id else {
                panic!("{:?}", data.responder_id);
            };
            assert_eq!(responder.to_string(), "CN=issuer");
            assert_eq!(
                data.produced_at.0.to_date_time().to_string(),
                "2000-01-01T00:00:00Z"
            );
            let [single] = <[_; 1]>::try_from(data.responses).unwrap();
            assert_eq!(single.this_update, data.produced_at);
            assert_eq!(single.cert_id.serial_number.as_bytes(), [0, 200]);
            let next_update = single.next_update.unwrap().0.to_date_time();
            (single.cert_status, next_update.year())
        };

        assert_eq!(read(Response::good(200)), (CertStatus::good(), 2100));
        assert_eq!(read(Response::stale(200)), (CertStatus::good(), 2000));
        let (CertStatus::Revoked(info), 2100) = read(Response::revoked(200)) else {
            panic!("not revoked");
        };
        assert_eq!(info.revocation_time.0.to_date_time().year(), 2001);
        assert_eq!(info.revocation_reason, Some(CrlReason::KeyCompromise));
    }
}
