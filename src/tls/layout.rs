//! Where the parts of a certificate, or of what is built like one, lie in its bytes.

use std::iter;
use std::ops::Range;

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

/// Where the parts lie in the original bytes. A signature is over those, not over what a parser
/// would write again.
pub(super) struct Layout {
    pub(super) tbs: Range<usize>,
    pub(super) issuer: Range<usize>,
    pub(super) subject: Range<usize>,
    pub(super) spki: Range<usize>,
    pub(super) signature_algorithm: Range<usize>,
}

impl Layout {
    /// Walks Certificate and TBSCertificate (RFC 5280 §4.1).
    pub(super) fn read(der: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let layout = reader.sequence(|certificate| {
            let tbs_start = position(certificate)?;
            let (issuer, subject, spki) = certificate.sequence(|tbs| {
                if tbs.peek_tag()? == EXPLICIT_VERSION {
                    skip(tbs)?;
                }
                skip(tbs)?; // serialNumber
                skip(tbs)?; // signature
                let issuer = skip(tbs)?;
                skip(tbs)?; // validity
                let subject = skip(tbs)?;
                let spki = skip(tbs)?;
                while !tbs.is_finished() {
                    skip(tbs)?; // unique identifiers, extensions
                }
                Ok((issuer, subject, spki))
            })?;
            let tbs = tbs_start..position(certificate)?;
            let signature_algorithm = skip(certificate)?;
            skip(certificate)?; // signatureValue
            Ok(Self {
                tbs,
                issuer,
                subject,
                spki,
                signature_algorithm,
            })
        })?;
        for name in [&layout.issuer, &layout.subject] {
            limit_attributes(der.get(name.clone()).unwrap_or_default())?;
        }
        reader.finish(layout)
    }
}

/// An extension, in the bytes in which it came (RFC 5280 §4.1).
pub(super) struct RawExtension<'a> {
    pub(super) id: ObjectIdentifier,
    pub(super) is_critical: bool,
    pub(super) value: &'a [u8],
}

impl<'a> RawExtension<'a> {
    pub(super) fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let mut extension = SliceReader::new(element(reader, Tag::Sequence)?)?;
        let read = Self {
            id: ObjectIdentifier::decode(&mut extension)?,
            is_critical: Option::<bool>::decode(&mut extension)?.unwrap_or_default(),
            value: OctetStringRef::decode(&mut extension)?.as_bytes(),
        };
        extension.finish(read)
    }
}

/// The inside of the next element, which has this tag.
pub(super) fn element<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let element = AnyRef::decode(reader)?;
    element.tag().assert_eq(tag)?;
    Ok(element.value())
}

/// The elements of a SEQUENCE.
pub(super) fn sequence(element: AnyRef<'_>) -> der::Result<Vec<AnyRef<'_>>> {
    element.tag().assert_eq(Tag::Sequence)?;
    elements(element.value())
}

/// Elements that follow each other, to the end.
pub(super) fn elements(content: &[u8]) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(content)?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader)?);
    }
    Ok(elements)
}

/// The elements that follow each other, each in the bytes in which it came; after a broken one there
/// is no other.
pub(super) fn split(mut rest: &[u8]) -> impl Iterator<Item = der::Result<&[u8]>> {
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = SliceReader::new(rest).and_then(|mut reader| reader.tlv_bytes());
        let length = read.as_ref().map_or(rest.len(), |element| element.len());
        rest = rest.get(length..).unwrap_or_default();
        Some(read)
    })
}

/// Passes over one element and says where it was.
pub(super) fn skip<'a>(reader: &mut impl Reader<'a>) -> der::Result<Range<usize>> {
    let start = position(reader)?;
    reader.tlv_bytes()?;
    Ok(start..position(reader)?)
}

pub(super) fn position<'a>(reader: &impl Reader<'a>) -> der::Result<usize> {
    usize::try_from(reader.offset())
}

/// Refuses a name with more than [`MAX_ATTRIBUTES`] in one relative name: the parser sorts them by
/// insertion, so that the square of what fits into a handshake message would be a stranger's to
/// spend.
pub(super) fn limit_attributes(name: &[u8]) -> der::Result<()> {
    for relative_name in Vec::<AnyRef<'_>>::from_der(name)? {
        let mut reader = SliceReader::new(relative_name.value())?;
        for _ in 0..MAX_ATTRIBUTES {
            if !reader.is_finished() {
                skip(&mut reader)?;
            }
        }
        reader.finish(())?;
    }
    Ok(())
}

/// In one relative name. Real certificates have one; RFC 5280 sets no limit.
const MAX_ATTRIBUTES: usize = 32;

/// TBSCertificate's `[0] EXPLICIT Version`.
const EXPLICIT_VERSION: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber::N0,
};
