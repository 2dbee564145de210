//! Certificates from their parts, so that any one of them can be wrong: just enough DER (X.690 §10)
//! to write RFC 5280 §4.1, signed by a real key.

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::CertificateDer;

/// A tbsCertificate, each part in DER as it will stand there.
#[derive(Clone)]
pub(crate) struct Tbs {
    /// As it stands in the version field; `None` for version 1, which has none.
    pub(crate) version: Option<u8>,
    /// The octets of the integer.
    pub(crate) serial: Vec<u8>,
    /// The signature's algorithm, as it is inside and outside of what is signed.
    pub(crate) algorithms: [Vec<u8>; 2],
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: [Vec<u8>; 2],
    pub(crate) subject: Vec<u8>,
    pub(crate) key: Vec<u8>,
    /// What stands between the key and the extensions.
    pub(crate) unique_ids: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

#[derive(Clone)]
pub(crate) struct Extension {
    pub(crate) id: &'static str,
    pub(crate) is_critical: bool,
    /// What the OCTET STRING holds.
    pub(crate) value: Vec<u8>,
}

impl Tbs {
    /// Of version 3, valid from 2020 to 2030, for a key that stays with its owner.
    pub(crate) fn new(subject: Vec<u8>, issuer: Vec<u8>, key: &KeyPair) -> Self {
        let algorithm = sequence(&[&oid(ECDSA_WITH_SHA256)]);
        Self {
            version: Some(2),
            serial: vec![1],
            algorithms: [algorithm.clone(), algorithm],
            issuer,
            validity: [utc("200101000000Z"), utc("300101000000Z")],
            subject,
            key: key.subject_public_key_info(),
            unique_ids: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// Puts an extension in the place of the one that has its id, or at the end.
    pub(crate) fn set(&mut self, id: &'static str, is_critical: bool, value: Vec<u8>) {
        let extension = Extension {
            id,
            is_critical,
            value,
        };
        match self.extensions.iter_mut().find(|each| each.id == id) {
            Some(there) => *there = extension,
            None => self.extensions.push(extension),
        }
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.extensions.retain(|each| each.id != id);
    }

    pub(crate) fn mark_critical(&mut self, id: &str, is_critical: bool) {
        let there = self.extensions.iter_mut().find(|each| each.id == id);
        there.unwrap().is_critical = is_critical;
    }

    /// The certificate, signed by ECDSA with SHA-256, whatever it says.
    pub(crate) fn sign(&self, issuer: &KeyPair) -> CertificateDer<'static> {
        let version = self
            .version
            .map(|version| tlv(0xa0, &[&integer(&[version])]));
        let extensions = self
            .extensions
            .iter()
            .map(Extension::der)
            .collect::<Vec<_>>();
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa3, &[&sequence(&[&extensions.concat()])]),
        };
        let [inside, outside] = &self.algorithms;
        let tbs = sequence(&[
            &version.unwrap_or_default(),
            &integer(&self.serial),
            inside,
            &self.issuer,
            &sequence(&[&self.validity.concat()]),
            &self.subject,
            &self.key,
            &self.unique_ids,
            &extensions,
        ]);
        let signature = issuer.sign(&tbs).unwrap();
        sequence(&[&tbs, outside, &tlv(BIT_STRING, &[&[0], &signature])]).into()
    }
}

impl Extension {
    fn der(&self) -> Vec<u8> {
        let critical: &[u8] = match self.is_critical {
            true => &[0x01, 1, 0xff],
            false => &[],
        };
        sequence(&[&oid(self.id), critical, &octets(&self.value)])
    }
}

/// Tag, length, and the parts one after the other.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match u8::try_from(content.len()) {
        Ok(short @ ..0x80) => [&[tag, short], &content[..]].concat(),
        _ => [
            &[tag, 0x80 | significant.len() as u8],
            significant,
            &content,
        ]
        .concat(),
    }
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub(crate) fn integer(octets: &[u8]) -> Vec<u8> {
    tlv(0x02, &[octets])
}

pub(crate) fn octets(value: &[u8]) -> Vec<u8> {
    tlv(0x04, &[value])
}

pub(crate) fn utc(time: &str) -> Vec<u8> {
    tlv(0x17, &[time.as_bytes()])
}

pub(crate) fn generalized(time: &str) -> Vec<u8> {
    tlv(0x18, &[time.as_bytes()])
}

/// An OBJECT IDENTIFIER from its dotted form (X.690 §8.19).
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u32>().unwrap());
    let (first, second) = (arcs.next().unwrap(), arcs.next().unwrap());
    let mut content = Vec::new();
    for arc in [first * 40 + second].into_iter().chain(arcs) {
        let groups = (0..5).rev().map(|group| arc >> (7 * group) & 0x7f);
        let significant: Vec<u32> = groups.skip_while(|group| *group == 0).collect();
        match significant.split_last() {
            Some((last, before)) => {
                content.extend(before.iter().map(|group| *group as u8 | 0x80));
                content.push(*last as u8);
            }
            None => content.push(0),
        }
    }
    tlv(0x06, &[&content])
}

/// A KeyUsage of these bits, the first of which is digitalSignature.
pub(crate) fn key_usage(bits: &[u8]) -> Vec<u8> {
    let octet = bits.iter().fold(0_u8, |octet, bit| octet | 0x80 >> bit);
    // DER drops the zeros at the end, and counts them.
    let unused = octet.trailing_zeros().min(7) as u8;
    tlv(BIT_STRING, &[&[unused, octet]])
}

/// A name of common names, one a relative name.
pub(crate) fn name(common_names: &[&str]) -> Vec<u8> {
    let relative = |common_name: &&str| {
        let value = tlv(0x0c, &[common_name.as_bytes()]);
        tlv(0x31, &[&sequence(&[&oid("2.5.4.3"), &value])])
    };
    sequence(&[&common_names
        .iter()
        .map(relative)
        .collect::<Vec<_>>()
        .concat()])
}

/// An RSA key of which only the size and the exponent are real.
pub(crate) fn rsa_key(bits: usize, exponent: u8) -> Vec<u8> {
    let mut modulus = vec![1; bits.div_ceil(8)];
    // The first bit that is set is the highest of them.
    modulus[0] = 1 << ((bits - 1) % 8);
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let key = sequence(&[&integer(&modulus), &integer(&[exponent])]);
    let algorithm = sequence(&[&oid("1.2.840.113549.1.1.1"), &[0x05, 0]]);
    sequence(&[&algorithm, &tlv(BIT_STRING, &[&[0], &key])])
}

const BIT_STRING: u8 = 0x03;
const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";
