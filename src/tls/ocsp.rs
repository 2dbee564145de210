//! An OCSP response, as it stands in its bytes (RFC 6960 §4.2.1): read, and not yet believed.

use std::fmt;

use x509_cert::der::asn1::{
    AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef,
};
use x509_cert::der::oid::db::rfc6960;
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_ocsp::{OcspResponseStatus, ResponderId, ResponseData};

use super::certificate::Certificate;
use super::crypto;
use super::layout::limit_attributes;
use super::shown::{Shown, ShownSentence, hex};
use super::signature::Signed;

/// A response that says something: a BasicOCSPResponse.
pub(super) struct Response<'a> {
    pub(super) data: ResponseData,
    /// The data in the bytes in which they were signed, which are not those that a parser would
    /// write again.
    pub(super) signed: Signed<'a>,
    /// The certificates that came with it, in DER.
    certificates: Vec<&'a [u8]>,
    /// The responder's name, in DER, if it is by its name that the response tells who it is.
    responder: Option<&'a [u8]>,
}

impl<'a> Response<'a> {
    /// Reads a response in DER.
    ///
    /// # Errors
    ///
    /// If it is not one, or is one of an error, or more than we look at.
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Unreadable> {
        if der.len() > MAX_BYTES {
            return Err(Unreadable::TooLong(der.len()));
        }
        let basic = open(der)?;
        let mut reader = SliceReader::new(basic)?;
        let (tbs, algorithm, signature, certificates) = reader.sequence(|basic| {
            let tbs = basic.tlv_bytes()?;
            let algorithm = AnyRef::decode(basic)?;
            algorithm.tag().assert_eq(Tag::Sequence)?;
            let signature = BitStringRef::decode(basic)?;
            let certificates = ContextSpecific::decode_explicit(basic, TagNumber::N0)?;
            Ok((tbs, algorithm, signature, certificates))
        })?;
        reader.finish(())?;
        let certificates = match certificates {
            Some(certificates) => elements(certificates.value)?,
            None => Vec::new(),
        };
        limit("certificates", certificates.len(), MAX_CERTIFICATES)?;
        // The outline goes first: it bounds the work of the parser.
        let outline = Outline::read(tbs)?;
        limit("statuses", outline.responses, MAX_RESPONSES)?;
        Ok(Self {
            data: ResponseData::from_der(tbs)?,
            signed: Signed {
                message: tbs,
                algorithm: algorithm.value(),
                // Of whole bytes, as every signature is that we can verify.
                signature: signature.as_bytes().unwrap_or_default(),
            },
            certificates,
            responder: outline.responder,
        })
    }

    /// The certificates that came with it, as far as they can be read.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Certificate> {
        self.certificates
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
    }

    /// Whether the responder that it names is the owner of this certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match &self.data.responder_id {
            ResponderId::ByName(_) => self.responder == Some(certificate.subject_der()),
            ResponderId::ByKey(hash) => {
                hash.as_bytes() == crypto::sha1(key_bits(certificate)).as_ref()
            }
        }
    }

    /// The responder that it names, for people.
    pub(super) fn responder(&self) -> String {
        match &self.data.responder_id {
            ResponderId::ByName(name) => ShownSentence(name).to_string(),
            ResponderId::ByKey(hash) => {
                format!("the owner of key {}", Shown(&hex(hash.as_bytes())))
            }
        }
    }
}

/// The key as OCSP hashes it: the bits without tag, length and number of unused bits (RFC 6960
/// §4.1.1).
pub(super) fn key_bits(certificate: &Certificate) -> &[u8] {
    let key = &certificate.tbs().subject_public_key_info;
    key.subject_public_key.raw_bytes()
}

/// Takes a BasicOCSPResponse out of an OCSPResponse.
fn open(der: &[u8]) -> Result<&[u8], Unreadable> {
    let mut reader = SliceReader::new(der)?;
    let (status, body) = reader.sequence(|response| {
        let status = OcspResponseStatus::decode(response)?;
        let body = ContextSpecific::<AnyRef<'_>>::decode_explicit(response, TagNumber::N0)?;
        Ok((status, body))
    })?;
    reader.finish(())?;
    if status != OcspResponseStatus::Successful {
        return Err(Unreadable::Error(status));
    }
    let body = body.ok_or(Unreadable::Empty)?.value;
    let (kind, basic) = body.sequence(|body| {
        let kind = ObjectIdentifier::decode(body)?;
        Ok((kind, OctetStringRef::decode(body)?.as_bytes()))
    })?;
    match kind {
        rfc6960::ID_PKIX_OCSP_BASIC => Ok(basic),
        other => Err(Unreadable::Kind(other)),
    }
}

/// What has to be known of a ResponseData before it is parsed, or cannot be known after.
struct Outline<'a> {
    responder: Option<&'a [u8]>,
    responses: usize,
}

impl<'a> Outline<'a> {
    fn read(tbs: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(tbs)?;
        let (responder, responses) = reader.sequence(|data| {
            if data.peek_tag()? == context_specific(TagNumber::N0) {
                data.tlv_bytes()?; // version
            }
            let responder = AnyRef::decode(data)?;
            data.tlv_bytes()?; // producedAt
            let responses = AnyRef::decode(data)?;
            while !data.is_finished() {
                data.tlv_bytes()?; // responseExtensions
            }
            Ok((responder, responses))
        })?;
        let is_name = responder.tag() == context_specific(TagNumber::N1);
        let responder = is_name.then(|| responder.value());
        if let Some(name) = responder {
            limit_attributes(name)?;
        }
        reader.finish(Self {
            responder,
            responses: elements(responses)?.len(),
        })
    }
}

/// The elements of a SEQUENCE OF, each as it stands there.
fn elements(sequence: AnyRef<'_>) -> der::Result<Vec<&[u8]>> {
    sequence.tag().assert_eq(Tag::Sequence)?;
    let mut reader = SliceReader::new(sequence.value())?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.tlv_bytes()?);
    }
    Ok(elements)
}

fn limit(of: &'static str, count: usize, most: usize) -> Result<(), Unreadable> {
    match count > most {
        true => Err(Unreadable::TooMany { of, count, most }),
        false => Ok(()),
    }
}

fn context_specific(number: TagNumber) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number,
    }
}

/// Why a response says nothing. [`Display`](fmt::Display) is the end of a sentence on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    TooLong(usize),
    TooMany {
        of: &'static str,
        count: usize,
        most: usize,
    },
    Malformed(der::Error),
    Error(OcspResponseStatus),
    Empty,
    Kind(ObjectIdentifier),
}

impl From<der::Error> for Unreadable {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "has {bytes} bytes, more than the {MAX_BYTES} we look at")
            }
            Self::TooMany { of, count, most } => {
                write!(f, "has {count} {of}, more than the {most} we look at")
            }
            Self::Malformed(error) => write!(f, "cannot be read: {error}"),
            Self::Error(status) => write!(f, "is an error: {}", word(*status)),
            Self::Empty => f.write_str("is empty: it says that it is successful, and nothing else"),
            Self::Kind(kind) => write!(
                f,
                "is of the type {kind}, and we read id-pkix-ocsp-basic alone"
            ),
        }
    }
}

/// As RFC 6960 §4.2.1 writes it.
fn word(status: OcspResponseStatus) -> &'static str {
    match status {
        OcspResponseStatus::Successful => "successful",
        OcspResponseStatus::MalformedRequest => "malformedRequest",
        OcspResponseStatus::InternalError => "internalError",
        OcspResponseStatus::TryLater => "tryLater",
        OcspResponseStatus::SigRequired => "sigRequired",
        OcspResponseStatus::Unauthorized => "unauthorized",
    }
}

/// A handshake message ends there, in which it comes; real responses have one or two KiB.
const MAX_BYTES: usize = 64 << 10;
/// In one response. Those that are made to be stapled have one (RFC 5019 §2.2.1).
const MAX_RESPONSES: usize = 16;
/// In one response. A delegated responder's is one, and those above it are of no use; each may cost
/// two signatures at every path that is examined.
const MAX_CERTIFICATES: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::{CN, Forged, attribute, name, tlv};
    use super::*;

    #[test]
    fn reads_what_is_there_and_where_it_lies() {
        let certificate = Forged::default();
        let der = certificate.der();
        let data = data(&tlv(0xa1, &[&certificate.subject]), 1);
        let staple = response(&data, &[&der, b"\x30\x00", &der]);
        let read = Response::read(&staple).unwrap();
        let certificate = certificate.certificate();
        assert_eq!(read.signed.message, data);
        assert_eq!(read.signed.algorithm, ALGORITHM);
        assert_eq!(read.signed.signature, [7; 3]);
        assert_eq!(read.data.responses.len(), 1);
        assert!(read.names(&certificate));
        assert_eq!(read.responder(), "CN=forged");
        // What cannot be read among the certificates is passed over.
        let certificates: Vec<_> = read.certificates().collect();
        assert_eq!(certificates, [certificate.clone(), certificate]);
    }

    #[test]
    fn a_responder_is_known_by_name_or_key() {
        let certificate = Forged::default().certificate();
        let by_name = |subject: &[u8]| tlv(0xa1, &[&name(&[(CN, 0x0c, subject)])]);
        let by_key = |hash: &[u8]| tlv(0xa2, &[&tlv(0x04, &[hash])]);
        // `printf '\7%.0s' {1..32} | sha1sum`: the key's bits and nothing else.
        let hash =
            b"\x00\x69\x6a\xb8\xd4\x21\xf8\x16\x36\x6c\x13\x7e\xc6\x68\x13\xfd\x21\x8d\x59\x27";
        for (responder, is_it, shown) in [
            (by_name(b"forged"), true, "CN=forged".to_owned()),
            (by_name(b"Forged"), false, "CN=Forged".to_owned()),
            (
                by_key(hash),
                true,
                format!("the owner of key {}", hex(hash)),
            ),
            (
                by_key(&hash[1..]),
                false,
                format!("the owner of key {}", hex(&hash[1..])),
            ),
            (
                by_key(&[9; 1_000]),
                false,
                format!("the owner of key {}…", "09".repeat(126) + "0"),
            ),
        ] {
            let staple = response(&data(&responder, 1), &[]);
            let read = Response::read(&staple).unwrap();
            assert_eq!(read.names(&certificate), is_it, "{shown}");
            assert_eq!(read.responder(), shown);
        }
    }

    #[test]
    fn what_says_nothing_and_what_is_too_much_is_refused() {
        let responder = tlv(0xa1, &[&name(&[])]);
        let many = |count| data(&responder, count);
        let wide = |count| {
            let values = (0..count).map(|each| format!("{each:02}"));
            let attributes = values.map(|each| attribute(&(CN, 0x0c, each.as_bytes())));
            let relative_name = tlv(0x31, &[&attributes.collect::<Vec<_>>().concat()]);
            let name = tlv(0x30, &[&relative_name]);
            response(&data(&tlv(0xa1, &[&name]), 1), &[])
        };
        let padded = |bytes| response(&many(1), &[&tlv(0x30, &[&vec![0; bytes]])]);
        let overhead = padded(60_000).len() - 60_000;
        for (staple, is_read) in [
            (response(&many(0), &[]), true),
            (response(&many(16), &[]), true),
            (response(&many(17), &[]), false),
            (response(&many(1), &[&[5, 0][..]; 4]), true),
            (response(&many(1), &[&[5, 0][..]; 5]), false),
            (padded(MAX_BYTES - overhead), true),
            (padded(MAX_BYTES - overhead + 1), false),
            (wide(32), true),
            (wide(33), false),
            (tlv(0x30, &[&[0x0a, 1, 3]]), false),
            (tlv(0x30, &[&[0x0a, 1, 0]]), false),
            (Vec::new(), false),
        ] {
            assert_eq!(Response::read(&staple).is_ok(), is_read, "{}", staple.len());
        }
        assert_eq!(
            Response::read(&tlv(0x30, &[&[0x0a, 1, 3]])).err(),
            Some(Unreadable::Error(OcspResponseStatus::TryLater))
        );
    }

    fn response(data: &[u8], certificates: &[&[u8]]) -> Vec<u8> {
        let certificates = tlv(0xa0, &[&tlv(0x30, certificates)]);
        let signature = [0x03, 4, 0, 7, 7, 7];
        let basic = tlv(
            0x30,
            &[data, &tlv(0x30, &[ALGORITHM]), &signature, &certificates],
        );
        let body = tlv(0x30, &[&tlv(0x06, &[BASIC]), &tlv(0x04, &[&basic])]);
        tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&body])])
    }

    /// A ResponseData of so many statuses, all unknown.
    fn data(responder: &[u8], count: usize) -> Vec<u8> {
        let time = tlv(0x18, &[b"20260601000000Z"]);
        let id = tlv(
            0x30,
            &[&tlv(0x30, &[ALGORITHM]), &[4, 0], &[4, 0], &[2, 1, 1]],
        );
        let single = tlv(0x30, &[&id, &[0x82, 0], &time]);
        tlv(
            0x30,
            &[responder, &time, &tlv(0x30, &[&single.repeat(count)])],
        )
    }

    const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
    const ALGORITHM: &[u8] = &[6, 3, 0x2b, 101, 112];
}
