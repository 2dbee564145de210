//! A certificate read field by field (RFC 5280 §4.1): what x509-cert's own reader would give, which
//! passes each byte through a reader for every level that it lies deep.

use x509_cert::der::asn1::{AnyRef, BitString, ContextSpecific};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag, TagMode, TagNumber, Tagged};
use x509_cert::{Certificate, TbsCertificate};

pub(super) fn read(der: &[u8]) -> der::Result<Certificate> {
    let mut certificate = inside(AnyRef::from_der(der)?)?;
    let mut tbs = inside(certificate.decode()?)?;
    let tbs_certificate = TbsCertificate {
        version: ContextSpecific::decode_explicit(&mut tbs, TagNumber::N0)?
            .map(|version| version.value)
            .unwrap_or_default(),
        serial_number: tbs.decode()?,
        signature: tbs.decode()?,
        issuer: tbs.decode()?,
        validity: tbs.decode()?,
        subject: tbs.decode()?,
        subject_public_key_info: tbs.decode()?,
        issuer_unique_id: unique_id(&mut tbs, TagNumber::N1)?,
        subject_unique_id: unique_id(&mut tbs, TagNumber::N2)?,
        extensions: ContextSpecific::decode_explicit(&mut tbs, TagNumber::N3)?
            .map(|extensions| list(extensions.value))
            .transpose()?,
    };
    let read = Certificate {
        tbs_certificate: tbs.finish(tbs_certificate)?,
        signature_algorithm: certificate.decode()?,
        signature: certificate.decode()?,
    };
    certificate.finish(read)
}

fn unique_id(tbs: &mut SliceReader<'_>, number: TagNumber) -> der::Result<Option<BitString>> {
    tbs.context_specific(number, TagMode::Implicit)
}

fn list<'a, T: Decode<'a>>(sequence: AnyRef<'a>) -> der::Result<Vec<T>> {
    let mut reader = inside(sequence)?;
    let mut list = Vec::new();
    while !reader.is_finished() {
        list.push(reader.decode()?);
    }
    reader.finish(list)
}

/// A reader of what is in a SEQUENCE.
fn inside(sequence: AnyRef<'_>) -> der::Result<SliceReader<'_>> {
    sequence.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(sequence.value())
}

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::*;
    use super::*;

    /// Both readers take the same, of what has every field and of whatever is one bit or byte from it.
    #[test]
    fn it_is_what_x509_cert_reads() {
        let constraints = extension(BASIC_CONSTRAINTS, &tlv(0x30, &[&[1, 1, 0xff]]));
        let critical = tlv(
            0x30,
            &[
                &tlv(0x06, &[SUBJECT_ALT_NAME]),
                &[1, 1, 0xff],
                &tlv(0x04, &[b"a"]),
            ],
        );
        let forged = Forged {
            subject: name(&[(O, 0x13, b"Acme"), (CN, 0x0c, b"forged")]),
            extensions: vec![constraints, critical],
            ..Forged::default()
        }
        .der();
        let whole = with_unique_ids(&forged);
        assert!(
            read(&whole)
                .unwrap()
                .tbs_certificate
                .subject_unique_id
                .is_some()
        );

        let mut taken = 0;
        for der in [&forged, &whole] {
            for at in 0..der.len() {
                for bits in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
                    let mut changed = der.clone();
                    changed[at] ^= bits;
                    let theirs = Certificate::from_der(&changed).ok();
                    taken += usize::from(theirs.is_some());
                    assert_eq!(read(&changed).ok(), theirs, "{bits:02x} at {at}");
                }
                assert!(read(&der[..at]).is_err());
            }
            assert!(read(&[&der[..], &[0]].concat()).is_err());
        }
        assert!(taken > 1_000, "{taken}");
    }

    /// The same certificate with both identifiers, which stand before the extensions.
    fn with_unique_ids(der: &[u8]) -> Vec<u8> {
        let mut certificate = inside(AnyRef::from_der(der).unwrap()).unwrap();
        let tbs: AnyRef<'_> = certificate.decode().unwrap();
        let signature = certificate.read_slice(certificate.remaining_len()).unwrap();
        let at = tbs
            .value()
            .windows(3)
            .position(|at| matches!(at, [0xa3, _, 0x30]));
        let (before, extensions) = tbs.value().split_at(at.unwrap());
        let ids = [0x81, 2, 0, 1, 0x82, 2, 0, 2];
        tlv(0x30, &[&tlv(0x30, &[before, &ids, extensions]), signature])
    }
}
