//! OCSP responses, minted: a good one, and whatever is to differ from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs::digest;
use rcgen::SigningKey;
#[cfg(not(feature = "aws-lc-rs"))]
use ring::digest;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::asn1::GeneralizedTime;
use x509_cert::der::{Decode, Encode};

use super::proof::now;

/// An OCSPResponse (RFC 6960 §4.2.1) before it is signed.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u8,
    /// The object identifier of its type, without tag and length.
    pub(crate) kind: &'static [u8],
    pub(crate) version: Vec<u8>,
    /// A ResponderID in DER.
    pub(crate) responder: Vec<u8>,
    /// In seconds from now, as all times here.
    pub(crate) produced_at: i64,
    pub(crate) singles: Vec<Single>,
    pub(crate) extensions: Vec<Vec<u8>>,
    /// The inside of an AlgorithmIdentifier.
    pub(crate) algorithm: &'static [u8],
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// A SingleResponse before it is written.
#[derive(Clone)]
pub(crate) struct Single {
    pub(crate) hash: Hash,
    /// The issuer's name in DER, of which the hash is taken.
    pub(crate) issuer_name: Vec<u8>,
    /// The bits of the issuer's key, of which the hash is taken.
    pub(crate) issuer_key: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    /// A CertStatus in DER.
    pub(crate) status: Vec<u8>,
    pub(crate) this_update: i64,
    pub(crate) next_update: Option<i64>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Hash {
    Sha1,
    Sha1WithoutParameters,
    Sha256,
    Sha384,
}

impl Response {
    /// It says that the leaf is good, from an hour ago until in an hour, by its issuer's name.
    pub(crate) fn good(leaf: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Self {
        Self {
            status: 0,
            kind: BASIC,
            version: Vec::new(),
            responder: by_name(issuer),
            produced_at: -HOUR,
            singles: vec![Single::good(leaf, issuer)],
            extensions: Vec::new(),
            algorithm: ECDSA_WITH_SHA256,
            certificates: Vec::new(),
        }
    }

    pub(crate) fn sign(&self, key: &impl SigningKey) -> Vec<u8> {
        let singles: Vec<u8> = self.singles.iter().flat_map(Single::der).collect();
        let data = tlv(
            SEQUENCE,
            &[
                &self.version,
                &self.responder,
                &time(self.produced_at),
                &tlv(SEQUENCE, &[&singles]),
                &extensions(&self.extensions),
            ],
        );
        let signature = key.sign(&data).unwrap();
        let certificates: Vec<u8> = self
            .certificates
            .iter()
            .flat_map(|der| der.to_vec())
            .collect();
        let certificates = match certificates.is_empty() {
            true => certificates,
            false => tlv(CONTEXT_0, &[&tlv(SEQUENCE, &[&certificates])]),
        };
        let basic = tlv(
            SEQUENCE,
            &[
                &data,
                &tlv(SEQUENCE, &[self.algorithm]),
                &tlv(BIT_STRING, &[&[0], &signature]),
                &certificates,
            ],
        );
        let body = tlv(
            SEQUENCE,
            &[&tlv(OID, &[self.kind]), &tlv(OCTET_STRING, &[&basic])],
        );
        let status = tlv(ENUMERATED, &[&[self.status]]);
        tlv(SEQUENCE, &[&status, &tlv(CONTEXT_0, &[&body])])
    }
}

impl Single {
    pub(crate) fn good(leaf: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Self {
        Self {
            hash: Hash::Sha1,
            issuer_name: name(issuer),
            issuer_key: key_bits(issuer),
            serial: read(leaf).tbs_certificate.serial_number.as_bytes().to_vec(),
            status: good(),
            this_update: -HOUR,
            next_update: Some(HOUR),
            extensions: Vec::new(),
        }
    }

    fn der(&self) -> Vec<u8> {
        let (algorithm, hash) = match self.hash {
            Hash::Sha1 => (SHA1_WITH_NULL, &digest::SHA1_FOR_LEGACY_USE_ONLY),
            Hash::Sha1WithoutParameters => (SHA1, &digest::SHA1_FOR_LEGACY_USE_ONLY),
            Hash::Sha256 => (SHA256, &digest::SHA256),
            Hash::Sha384 => (SHA384, &digest::SHA384),
        };
        let hash = |bytes| tlv(OCTET_STRING, &[digest::digest(hash, bytes).as_ref()]);
        let id = tlv(
            SEQUENCE,
            &[
                &tlv(SEQUENCE, &[algorithm]),
                &hash(&self.issuer_name),
                &hash(&self.issuer_key),
                &tlv(INTEGER, &[&self.serial]),
            ],
        );
        let next_update = self.next_update.map(|next| tlv(CONTEXT_0, &[&time(next)]));
        tlv(
            SEQUENCE,
            &[
                &id,
                &self.status,
                &time(self.this_update),
                &next_update.unwrap_or_default(),
                &extensions(&self.extensions),
            ],
        )
    }
}

pub(crate) fn good() -> Vec<u8> {
    vec![0x80, 0]
}

pub(crate) fn unknown() -> Vec<u8> {
    vec![0x82, 0]
}

/// Revoked, a month ago.
pub(crate) fn revoked(reason: Option<u8>) -> Vec<u8> {
    let reason = reason.map(|reason| tlv(CONTEXT_0, &[&tlv(ENUMERATED, &[&[reason]])]));
    let since = time(-30 * 24 * HOUR);
    tlv(CONTEXT_1, &[&since, &reason.unwrap_or_default()])
}

/// The ResponderID that names the owner of a certificate.
pub(crate) fn by_name(responder: &CertificateDer<'_>) -> Vec<u8> {
    tlv(CONTEXT_1, &[&name(responder)])
}

/// The ResponderID that has the hash of a certificate's key.
pub(crate) fn by_key(responder: &CertificateDer<'_>) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &key_bits(responder));
    tlv(CONTEXT_2, &[&tlv(OCTET_STRING, &[hash.as_ref()])])
}

/// An extension that nobody knows, and nobody minds unless it is critical.
pub(crate) fn extension(critical: bool) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(
        SEQUENCE,
        &[
            &tlv(OID, &[UNKNOWN]),
            critical,
            &tlv(OCTET_STRING, &[&[5, 0]]),
        ],
    )
}

/// The SubjectPublicKeyInfo, whole.
pub(crate) fn spki(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let spki = read(certificate).tbs_certificate.subject_public_key_info;
    spki.to_der().unwrap()
}

/// Tag, length, and the parts one after the other (X.690 §8.1).
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = value.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match value.len() {
        short @ ..0x80 => [&[tag, short as u8], &value[..]].concat(),
        _ => [&[tag, 0x80 | length.len() as u8], length, &value].concat(),
    }
}

fn name(certificate: &CertificateDer<'_>) -> Vec<u8> {
    read(certificate).tbs_certificate.subject.to_der().unwrap()
}

fn key_bits(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let spki = read(certificate).tbs_certificate.subject_public_key_info;
    spki.subject_public_key.raw_bytes().to_vec()
}

fn read(certificate: &CertificateDer<'_>) -> Certificate {
    Certificate::from_der(certificate).unwrap()
}

fn extensions(extensions: &[Vec<u8>]) -> Vec<u8> {
    match extensions.is_empty() {
        true => Vec::new(),
        false => tlv(CONTEXT_1, &[&tlv(SEQUENCE, &[&extensions.concat()])]),
    }
}

/// A GeneralizedTime.
fn time(from_now: i64) -> Vec<u8> {
    let time = GeneralizedTime::from_system_time(moment(from_now)).unwrap();
    time.to_der().unwrap()
}

pub(crate) fn moment(from_now: i64) -> SystemTime {
    let now = now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UNIX_EPOCH + Duration::from_secs(now.checked_add_signed(from_now).unwrap())
}

pub(crate) const HOUR: i64 = 3_600;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_1: u8 = 0xa1;
const CONTEXT_2: u8 = 0xa2;

/// id-pkix-ocsp-basic, and its neighbour id-pkix-ocsp-crl.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
pub(crate) const NOT_BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 3];
const UNKNOWN: &[u8] = &[0x2a, 3, 4];
const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
pub(crate) const ECDSA_WITH_SHA1: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const SHA1: &[u8] = &[6, 5, 0x2b, 14, 3, 2, 26];
const SHA1_WITH_NULL: &[u8] = &[6, 5, 0x2b, 14, 3, 2, 26, 5, 0];
const SHA256: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
