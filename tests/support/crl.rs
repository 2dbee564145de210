//! CRLs as no authority would write them, each told by what differs from a good one, and signed all
//! the same.

use rcgen::SigningKey;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::proof::Authority;

/// A CRL to be signed. It is of 2026-05-31 and good for a week, revokes nobody, and says nothing of
/// its key or its scope, unless a test says otherwise.
#[derive(Clone)]
pub(crate) struct Crl {
    /// The whole INTEGER, or nothing.
    pub(crate) version: Vec<u8>,
    /// The issuer's name, if it is not that of who signs it.
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) this_update: Vec<u8>,
    pub(crate) next_update: Vec<u8>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
    /// The AlgorithmIdentifier within what is signed, if it is not that of the signature.
    pub(crate) inner_algorithm: Option<Vec<u8>>,
}

impl Default for Crl {
    fn default() -> Self {
        Self {
            version: tlv(INTEGER, &[&[1]]),
            issuer: None,
            this_update: utc("260531000000Z"),
            next_update: utc("260607000000Z"),
            entries: Vec::new(),
            extensions: vec![number(1)],
            inner_algorithm: None,
        }
    }
}

impl Crl {
    /// One that revokes these serial numbers, each below 128.
    pub(crate) fn revoking(serials: &[u8]) -> Self {
        Self {
            entries: serials
                .iter()
                .map(|serial| entry(&[*serial], &[]))
                .collect(),
            ..Self::default()
        }
    }

    /// One of these entries.
    pub(crate) fn listing(entries: &[Vec<u8>]) -> Self {
        Self {
            entries: entries.to_vec(),
            ..Self::default()
        }
    }

    /// With this thisUpdate, a UTCTime.
    pub(crate) fn of(mut self, time: &str) -> Self {
        self.this_update = utc(time);
        self
    }

    /// With this nextUpdate, a UTCTime.
    pub(crate) fn until(mut self, time: &str) -> Self {
        self.next_update = utc(time);
        self
    }

    /// Without nextUpdate.
    pub(crate) fn without_end(mut self) -> Self {
        self.next_update = Vec::new();
        self
    }

    /// With these extensions and no others.
    pub(crate) fn saying(mut self, extensions: &[Vec<u8>]) -> Self {
        self.extensions = extensions.to_vec();
        self
    }

    pub(crate) fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// The list in DER, signed by an authority whose key is rcgen's default, of P-256.
    pub(crate) fn signed_by(&self, authority: &Authority) -> Vec<u8> {
        let algorithm = tlv(SEQUENCE, &[ECDSA_WITH_SHA256]);
        let issuer = self.issuer.clone().unwrap_or_else(|| subject(authority));
        let entries = match self.entries.is_empty() {
            true => Vec::new(),
            false => tlv(SEQUENCE, &[&self.entries.concat()]),
        };
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(EXPLICIT, &[&tlv(SEQUENCE, &[&self.extensions.concat()])]),
        };
        let tbs = tlv(
            SEQUENCE,
            &[
                &self.version,
                self.inner_algorithm.as_ref().unwrap_or(&algorithm),
                &issuer,
                &self.this_update,
                &self.next_update,
                &entries,
                &extensions,
            ],
        );
        let signature = authority.key().sign(&tbs).unwrap();
        tlv(
            SEQUENCE,
            &[&tbs, &algorithm, &tlv(BIT_STRING, &[&[0], &signature])],
        )
    }
}

/// An authority's name in DER.
pub(crate) fn subject(authority: &Authority) -> Vec<u8> {
    let certificate = Certificate::from_der(authority.der()).unwrap();
    certificate.tbs_certificate.subject.to_der().unwrap()
}

/// The name that an authority gives to its key.
pub(crate) fn key_id(authority: &Authority) -> Vec<u8> {
    let certificate = Certificate::from_der(authority.der()).unwrap();
    let id = certificate
        .tbs_certificate
        .get::<x509_cert::ext::pkix::SubjectKeyIdentifier>();
    id.unwrap().unwrap().1.0.into_bytes()
}

/// An entry of this serial number, revoked on 2026-05-01.
pub(crate) fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = match extensions {
        [] => Vec::new(),
        some => tlv(SEQUENCE, &[&some.concat()]),
    };
    let serial = tlv(INTEGER, &[serial]);
    tlv(SEQUENCE, &[&serial, &utc("260501000000Z"), &extensions])
}

/// A reasonCode.
pub(crate) fn reason(code: u8) -> Vec<u8> {
    extension(&[0x55, 29, 21], false, &tlv(ENUMERATED, &[&[code]]))
}

pub(crate) fn number(number: u8) -> Vec<u8> {
    extension(CRL_NUMBER, false, &tlv(INTEGER, &[&[number]]))
}

/// An authorityKeyIdentifier of nothing but a key's name.
pub(crate) fn authority_key_id(id: &[u8]) -> Vec<u8> {
    let id = tlv(0x80, &[id]);
    extension(&[0x55, 29, 35], false, &tlv(SEQUENCE, &[&id]))
}

/// An issuingDistributionPoint of these fields.
pub(crate) fn scope(fields: &[&[u8]]) -> Vec<u8> {
    extension(&[0x55, 29, 28], true, &tlv(SEQUENCE, fields))
}

/// The distributionPoint of one URI, in a scope or in a certificate's distribution point.
pub(crate) fn place(uri: &str) -> Vec<u8> {
    let name = tlv(0x86, &[uri.as_bytes()]);
    tlv(0xa0, &[&tlv(0xa0, &[&name])])
}

pub(crate) fn extension(id: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[1, 1, 0xff] } else { &[] };
    let id = tlv(0x06, &[id]);
    tlv(SEQUENCE, &[&id, critical, &tlv(0x04, &[value])])
}

pub(crate) fn utc(time: &str) -> Vec<u8> {
    tlv(0x17, &[time.as_bytes()])
}

/// Tag, length, and the parts one after the other (X.690 §8.1).
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut der = Vec::with_capacity(length + 6);
    der.push(tag);
    if length < 0x80 {
        der.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        der.push(0x80 | digits.len() as u8);
        der.extend_from_slice(digits);
    }
    der.extend(parts.iter().copied().flatten());
    der
}

pub(crate) const CRL_NUMBER: &[u8] = &[0x55, 29, 20];
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const ENUMERATED: u8 = 0x0a;
/// TBSCertList's `[0] EXPLICIT Extensions`.
const EXPLICIT: u8 = 0xa0;
/// OBJECT IDENTIFIER 1.2.840.10045.4.3.2.
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
