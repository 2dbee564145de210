//! One certificate revocation list, as its issuer wrote it (RFC 5280 §5).
//!
//! A list that cannot be read is an error when it is loaded. One that can be read but must not be
//! used has a [`Flaw`]: it is its issuer's word all the same, and no older list may stand in its
//! place.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use rustls::pki_types::UnixTime;
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, ErrorKind, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::time::Time;

use super::layout::{RawExtension, position, skip};
use super::revoked::{Entries, Revoked};
use super::scope::Scope;

pub(super) struct Crl {
    der: Box<[u8]>,
    layout: Layout,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
    entries: Entries,
    extensions: Extensions,
    flaw: Option<Flaw>,
}

impl Crl {
    /// Reads one list in DER.
    ///
    /// # Errors
    ///
    /// If the bytes are not exactly one list that can be read to its last entry.
    pub(super) fn read(der: Vec<u8>) -> Result<Self, MalformedCrl> {
        let layout = Layout::read(&der).map_err(MalformedCrl::Whole)?;
        let part = |range: &Range<usize>| der.get(range.clone()).unwrap_or_default();
        // RFC 5280 §5.1.1.2.
        if part(&layout.inner_algorithm) != part(&layout.algorithm) {
            return Err(MalformedCrl::Algorithms);
        }
        let in_part = |name| move |error: der::Error| MalformedCrl::Part(name, error.kind());
        let this_update = time(part(&layout.this_update)).map_err(in_part("thisUpdate"))?;
        let next_update = layout.next_update.as_ref().map(|at| time(part(at)));
        let next_update = next_update.transpose().map_err(in_part("nextUpdate"))?;
        signature(part(&layout.signature)).map_err(in_part("signature"))?;
        let extensions = layout
            .extensions
            .as_ref()
            .map(|at| Extensions::read(part(at)));
        let extensions = extensions.unwrap_or_else(|| Ok(Extensions::default()))?;
        let entries = layout.revoked.clone().map(|at| Entries::read(&der, at));
        let (entries, unknown) = entries
            .unwrap_or_else(|| Ok((Entries::none(), None)))
            .map_err(|(entry, error)| MalformedCrl::Entry(entry, error.kind()))?;

        let is_version_2 = layout
            .version
            .as_ref()
            .is_some_and(|at| part(at) == VERSION_2);
        let flaw = match (is_version_2, next_update, unknown) {
            (false, ..) => Some(Flaw::Version),
            (_, None, _) => Some(Flaw::NoNextUpdate),
            (.., Some(id)) => Some(Flaw::UnknownInEntry(id)),
            _ => extensions.flaw(),
        };
        Ok(Self {
            this_update,
            next_update,
            entries,
            extensions,
            flaw,
            layout,
            der: der.into(),
        })
    }

    pub(super) fn issuer_der(&self) -> &[u8] {
        self.original(&self.layout.issuer)
    }

    /// What is signed: the bytes of the tbsCertList as they came.
    pub(super) fn tbs_der(&self) -> &[u8] {
        self.original(&self.layout.tbs)
    }

    /// The inside of the signature's AlgorithmIdentifier.
    pub(super) fn signature_algorithm_der(&self) -> &[u8] {
        AnyRef::from_der(self.original(&self.layout.algorithm))
            .map(AnyRef::value)
            .unwrap_or_default()
    }

    pub(super) fn signature(&self) -> &[u8] {
        signature(self.original(&self.layout.signature)).unwrap_or_default()
    }

    pub(super) fn this_update(&self) -> UnixTime {
        self.this_update
    }

    pub(super) fn next_update(&self) -> Option<UnixTime> {
        self.next_update
    }

    /// The name that its issuer gives to the key that signed it, if it does (RFC 5280 §5.2.1).
    pub(super) fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions.authority_key_id.as_deref()
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.extensions.scope
    }

    /// Why it must not be used, if so: whoever signed it, and whenever it is looked at.
    pub(super) fn flaw(&self) -> Option<&Flaw> {
        self.flaw.as_ref()
    }

    /// How many certificates it revokes.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it revokes the certificate of a serial number, which is the inside of an INTEGER.
    pub(super) fn find(&self, serial: &[u8]) -> Option<Revoked> {
        self.entries.find(&self.der, serial)
    }

    /// Whether its issuer wrote it after the other: by the date and, of one date, by the number
    /// (RFC 5280 §5.2.3).
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let age = |crl: &Self| {
            let number = crl.extensions.number.clone();
            (crl.this_update, number.len(), number)
        };
        age(self) > age(other)
    }

    fn original(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

/// Why a list that can be read must not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Version,
    NoNextUpdate,
    NoNumber,
    CriticalNumber,
    LongNumber,
    Delta,
    EmptyScope,
    Unknown(ObjectIdentifier),
    UnknownInEntry(ObjectIdentifier),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("it is not of version 2 (RFC 5280 §5.1.2.1)"),
            Self::NoNextUpdate => {
                f.write_str("it does not say when the next one will be there (RFC 5280 §5.1.2.5)")
            }
            Self::NoNumber => f.write_str("it has no CRL number (RFC 5280 §5.2.3)"),
            Self::CriticalNumber => f.write_str("its CRL number is critical (RFC 5280 §5.2.3)"),
            Self::LongNumber => {
                f.write_str("its CRL number has more than 20 bytes (RFC 5280 §5.2.3)")
            }
            Self::Delta => {
                f.write_str("it is a delta CRL, which tells but what has changed (RFC 5280 §5.2.4)")
            }
            Self::EmptyScope => {
                f.write_str("its issuing distribution point is empty (RFC 5280 §5.2.5)")
            }
            Self::Unknown(id) => write!(
                f,
                "it has a critical extension that we do not know, {id} (RFC 5280 §5.2)"
            ),
            Self::UnknownInEntry(id) => write!(
                f,
                "an entry has a critical extension that we do not know, {id} (RFC 5280 §5.3)"
            ),
        }
    }
}

/// The bytes are not one CRL in DER.
#[derive(Debug)]
pub(super) enum MalformedCrl {
    Whole(der::Error),
    Part(&'static str, ErrorKind),
    /// The number of the entry, from 1.
    Entry(usize, ErrorKind),
    Twice(ObjectIdentifier),
    Algorithms,
}

impl fmt::Display for MalformedCrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(error) => write!(f, "it is not a CRL in DER: {error}"),
            Self::Part(name, error) => write!(f, "its {name} cannot be read: {error}"),
            Self::Entry(number, error) => {
                write!(f, "its revoked certificate {number} cannot be read: {error}")
            }
            Self::Twice(id) => write!(f, "its extension {id} is there twice"),
            Self::Algorithms => f.write_str(
                "the algorithm that it says signed it is not that of the signature (RFC 5280 §5.1.1.2)",
            ),
        }
    }
}

/// What a list says of itself in its extensions (RFC 5280 §5.2).
#[derive(Default)]
struct Extensions {
    authority_key_id: Option<Box<[u8]>>,
    /// Without leading zeros; empty if there is none.
    number: Box<[u8]>,
    is_number_critical: bool,
    scope: Scope,
    has_scope: bool,
    is_delta: bool,
    /// The first that is critical and not known.
    unknown: Option<ObjectIdentifier>,
}

impl Extensions {
    /// Reads `[0] EXPLICIT Extensions`.
    fn read(explicit: &[u8]) -> Result<Self, MalformedCrl> {
        let in_part = |name| move |error: der::Error| MalformedCrl::Part(name, error.kind());
        let open = AnyRef::from_der(explicit).and_then(|explicit| {
            let extensions = AnyRef::from_der(explicit.value())?;
            extensions.tag().assert_eq(Tag::Sequence)?;
            SliceReader::new(extensions.value())
        });
        let mut reader = open.map_err(in_part("extensions"))?;
        let mut extensions = Self::default();
        let mut seen = HashSet::new();
        while !reader.is_finished() {
            let extension = RawExtension::read(&mut reader).map_err(in_part("extensions"))?;
            // RFC 5280 §4.2.
            if !seen.insert(extension.id) {
                return Err(MalformedCrl::Twice(extension.id));
            }
            extensions.take(&extension)?;
        }
        Ok(extensions)
    }

    fn take(&mut self, extension: &RawExtension<'_>) -> Result<(), MalformedCrl> {
        let in_part = |name| move |error: der::Error| MalformedCrl::Part(name, error.kind());
        match extension.id {
            rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                let id = key_id(extension.value).map_err(in_part("authorityKeyIdentifier"))?;
                self.authority_key_id = id.map(Box::from);
            }
            rfc5280::ID_CE_CRL_NUMBER => {
                let number = UintRef::from_der(extension.value).map_err(in_part("cRLNumber"))?;
                self.number = number.as_bytes().into();
                self.is_number_critical = extension.is_critical;
            }
            rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT => {
                let scope = Scope::read(extension.value);
                self.scope = scope.map_err(in_part("issuingDistributionPoint"))?;
                self.has_scope = true;
            }
            rfc5280::ID_CE_DELTA_CRL_INDICATOR => self.is_delta = true,
            other if extension.is_critical => self.unknown = self.unknown.or(Some(other)),
            _ => {}
        }
        Ok(())
    }

    fn flaw(&self) -> Option<Flaw> {
        if self.is_delta {
            Some(Flaw::Delta)
        } else if let Some(id) = self.unknown {
            Some(Flaw::Unknown(id))
        } else if self.number.is_empty() {
            Some(Flaw::NoNumber)
        } else if self.is_number_critical {
            Some(Flaw::CriticalNumber)
        } else if self.number.len() > MAX_NUMBER_BYTES {
            Some(Flaw::LongNumber)
        } else {
            (self.has_scope && self.scope == Scope::default()).then_some(Flaw::EmptyScope)
        }
    }
}

/// Where the parts lie in the original bytes.
struct Layout {
    tbs: Range<usize>,
    version: Option<Range<usize>>,
    inner_algorithm: Range<usize>,
    issuer: Range<usize>,
    this_update: Range<usize>,
    next_update: Option<Range<usize>>,
    revoked: Option<Range<usize>>,
    extensions: Option<Range<usize>>,
    algorithm: Range<usize>,
    signature: Range<usize>,
}

impl Layout {
    /// Walks CertificateList and TBSCertList (RFC 5280 §5.1).
    fn read(der: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let layout = reader.sequence(|list| {
            let tbs_start = position(list)?;
            let mut layout = list.sequence(|tbs| {
                Ok(Self {
                    version: optional(tbs, &[Tag::Integer])?,
                    inner_algorithm: one(tbs, Tag::Sequence)?,
                    issuer: one(tbs, Tag::Sequence)?,
                    this_update: skip(tbs)?,
                    next_update: optional(tbs, &[Tag::UtcTime, Tag::GeneralizedTime])?,
                    revoked: optional(tbs, &[Tag::Sequence])?,
                    extensions: optional(tbs, &[EXPLICIT_EXTENSIONS])?,
                    tbs: 0..0,
                    algorithm: 0..0,
                    signature: 0..0,
                })
            })?;
            layout.tbs = tbs_start..position(list)?;
            layout.algorithm = one(list, Tag::Sequence)?;
            layout.signature = one(list, Tag::BitString)?;
            Ok(layout)
        })?;
        reader.finish(layout)
    }
}

/// Passes over one element of this tag.
fn one<'a>(reader: &mut impl Reader<'a>, tag: Tag) -> der::Result<Range<usize>> {
    reader.peek_tag()?.assert_eq(tag)?;
    skip(reader)
}

/// Passes over the next element if it has one of these tags.
fn optional<'a>(reader: &mut impl Reader<'a>, tags: &[Tag]) -> der::Result<Option<Range<usize>>> {
    match reader.is_finished() || !tags.contains(&reader.peek_tag()?) {
        true => Ok(None),
        false => skip(reader).map(Some),
    }
}

fn time(der: &[u8]) -> der::Result<UnixTime> {
    let time = Time::from_der(der)?;
    Ok(UnixTime::since_unix_epoch(time.to_unix_duration()))
}

fn signature(der: &[u8]) -> der::Result<&[u8]> {
    let bits = BitStringRef::from_der(der)?;
    bits.as_bytes().ok_or_else(|| Tag::BitString.value_error())
}

/// The keyIdentifier of an AuthorityKeyIdentifier (RFC 5280 §4.2.1.1).
fn key_id(value: &[u8]) -> der::Result<Option<&[u8]>> {
    let fields = Vec::<AnyRef<'_>>::from_der(value)?;
    let id = fields.iter().find(|field| field.tag() == KEY_IDENTIFIER);
    Ok(id.map(|id| id.value()))
}

const VERSION_2: &[u8] = &[0x02, 1, 1];

/// RFC 5280 §5.2.3.
const MAX_NUMBER_BYTES: usize = 20;

/// TBSCertList's `[0] EXPLICIT Extensions`.
const EXPLICIT_EXTENSIONS: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber::N0,
};

/// AuthorityKeyIdentifier's `[0] IMPLICIT OCTET STRING`.
const KEY_IDENTIFIER: Tag = Tag::ContextSpecific {
    constructed: false,
    number: TagNumber::N0,
};

/// Lists that no authority would sign, written byte by byte; the signature is rubbish.
#[cfg(test)]
pub(super) mod forge {
    pub(in crate::tls) use super::super::certificate::forge::{CN, UTC_TIME, extension, name, tlv};

    /// A list whose parts between the issuer and the signature are these.
    pub(in crate::tls) fn list(issuer: &str, parts: &[&[u8]]) -> Vec<u8> {
        let issuer = name(&[(CN, 0x0c, issuer.as_bytes())]);
        signed(&[&[VERSION, ALGORITHM, &issuer], parts].concat())
    }

    /// A good one of these entries.
    pub(in crate::tls) fn good(issuer: &str, entries: &[Vec<u8>]) -> Vec<u8> {
        let entries = tlv(0x30, &[&entries.concat()]);
        list(
            issuer,
            &[&FROM(), &UNTIL(), &entries, &extensions(&[number()])],
        )
    }

    pub(in crate::tls) fn signed(tbs: &[&[u8]]) -> Vec<u8> {
        let signature = tlv(0x03, &[&[0], &[9; 64]]);
        tlv(0x30, &[&tlv(0x30, tbs), ALGORITHM, &signature])
    }

    pub(in crate::tls) fn entry(serial: &[u8]) -> Vec<u8> {
        tlv(0x30, &[&tlv(2, &[serial]), &FROM()])
    }

    pub(in crate::tls) fn extensions(extensions: &[Vec<u8>]) -> Vec<u8> {
        tlv(0xa0, &[&tlv(0x30, &[&extensions.concat()])])
    }

    pub(in crate::tls) fn number() -> Vec<u8> {
        extension(&[0x55, 29, 20], &[2, 1, 1])
    }

    pub(in crate::tls) const FROM: fn() -> Vec<u8> = || tlv(UTC_TIME, &[b"260531000000Z"]);
    pub(in crate::tls) const UNTIL: fn() -> Vec<u8> = || tlv(UTC_TIME, &[b"260607000000Z"]);
    pub(in crate::tls) const VERSION: &[u8] = super::VERSION_2;
    /// Ed25519.
    pub(in crate::tls) const ALGORITHM: &[u8] = &[0x30, 5, 6, 3, 0x2b, 101, 112];
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::forge::*;
    use super::*;

    #[test]
    fn reads_what_a_list_says() {
        let key = extension(&[0x55, 29, 35], &tlv(0x30, &[&tlv(0x80, &[b"key"])]));
        let der = list(
            "ca",
            &[
                &FROM(),
                &UNTIL(),
                &tlv(0x30, &[&entry(&[7])]),
                &extensions(&[key, number()]),
            ],
        );
        let crl = Crl::read(der.clone()).unwrap();
        assert_eq!(crl.issuer_der(), name(&[(CN, 0x0c, b"ca")]));
        assert_eq!(crl.signature_algorithm_der(), &ALGORITHM[2..]);
        assert_eq!(crl.signature(), [9; 64]);
        // The list is its SEQUENCE, what is signed, the algorithm and the signature.
        assert_eq!(crl.tbs_der().len() + 3 + ALGORITHM.len() + 67, der.len());
        assert!(der[3..].starts_with(crl.tbs_der()));
        assert_eq!(crl.this_update().as_secs(), 1_780_185_600);
        assert_eq!(
            crl.next_update().unwrap().as_secs(),
            1_780_185_600 + 7 * 86_400
        );
        assert_eq!(crl.authority_key_id(), Some(&b"key"[..]));
        assert_eq!(*crl.scope(), Scope::default());
        assert_eq!((crl.flaw(), crl.len()), (None, 1));
        assert_eq!(crl.find(&[7]).unwrap().since, Some(crl.this_update()));
        assert_eq!(crl.find(&[8]), None);
    }

    #[test]
    fn a_list_that_cannot_be_read_says_where() {
        let with = |parts: &[&[u8]]| list("ca", parts);
        let good_end = extensions(&[number()]);
        let entries =
            |entries: &[&[u8]]| with(&[&FROM(), &UNTIL(), &tlv(0x30, entries), &good_end]);
        let says = |each: &[Vec<u8>]| with(&[&FROM(), &UNTIL(), &extensions(each)]);
        let whole = good("ca", &[entry(&[7])]);
        let other_algorithm: &[u8] = &[0x30, 5, 6, 3, 0x2b, 101, 113];
        let issuer = name(&[(CN, 0x0c, b"ca")]);
        let reason = |value: &[u8]| {
            let reason = tlv(0x30, &[&extension(&[0x55, 29, 21], value)]);
            tlv(0x30, &[&[2, 1, 9], &FROM(), &reason])
        };
        let rows: Vec<(&str, Vec<u8>, &str)> = vec![
            ("nothing", vec![], "it is not a CRL in DER: "),
            (
                "a certificate's shape",
                tlv(0x30, &[&tlv(0x30, &[])]),
                "it is not a CRL in DER: ",
            ),
            (
                "a byte too many",
                [&whole[..], &[0]].concat(),
                "it is not a CRL in DER: trailing",
            ),
            (
                "cut off",
                whole[..whole.len() - 1].to_vec(),
                "it is not a CRL in DER: ",
            ),
            (
                "two algorithms",
                signed(&[
                    VERSION,
                    other_algorithm,
                    &issuer,
                    &FROM(),
                    &UNTIL(),
                    &good_end,
                ]),
                "the algorithm that it says signed it is not that of the signature",
            ),
            (
                "no date",
                with(&[&UNTIL()[..5]]),
                "it is not a CRL in DER: ",
            ),
            (
                "a bad date",
                with(&[&tlv(UTC_TIME, &[b"261331000000Z"])]),
                "its thisUpdate cannot",
            ),
            (
                "a bad end",
                with(&[&FROM(), &tlv(UTC_TIME, &[b"26"])]),
                "its nextUpdate cannot",
            ),
            (
                "a broken entry",
                entries(&[&entry(&[7]), &tlv(0x30, &[&[2, 1, 9]])]),
                "its revoked certificate 2 cannot",
            ),
            (
                "an entry cut off",
                entries(&[&entry(&[7]), &[0x30, 9, 2]]),
                "its revoked certificate 2 cannot",
            ),
            (
                "a serial number in two ways",
                entries(&[&entry(&[0, 7])]),
                "its revoked certificate 1 cannot",
            ),
            (
                "an empty serial number",
                entries(&[&entry(&[])]),
                "its revoked certificate 1 cannot",
            ),
            (
                "a reason that is none",
                entries(&[&reason(&[2, 1, 1])]),
                "its revoked certificate 1 cannot",
            ),
            (
                "a reason of two bytes",
                entries(&[&reason(&[10, 2, 1, 1])]),
                "its revoked certificate 1 cannot",
            ),
            (
                "more in an entry",
                entries(&[&tlv(0x30, &[&entry(&[7])[2..], &tlv(0x30, &[]), &[5, 0]])]),
                "its revoked certificate 1 cannot",
            ),
            (
                "more than extensions",
                with(&[&FROM(), &UNTIL(), &good_end, &[5, 0]]),
                "it is not a CRL in DER: ",
            ),
            (
                "a broken extension",
                says(&[tlv(0x30, &[&[5, 0]])]),
                "its extensions cannot be read",
            ),
            (
                "a number twice",
                says(&[number(), number()]),
                "its extension 2.5.29.20 is there twice",
            ),
            (
                "a negative number",
                says(&[extension(&[0x55, 29, 20], &[2, 1, 0x80])]),
                "its cRLNumber cannot",
            ),
            (
                "a bad key name",
                says(&[extension(&[0x55, 29, 35], &[5, 0])]),
                "its authorityKeyIdentifier cannot",
            ),
            (
                "a bad scope",
                says(&[extension(&[0x55, 29, 28], &[5, 0])]),
                "its issuingDistributionPoint cannot",
            ),
            (
                "bits beside the bytes of the signature",
                tlv(
                    0x30,
                    &[
                        Crl::read(whole.clone()).unwrap().tbs_der(),
                        ALGORITHM,
                        &[3, 2, 1, 8],
                    ],
                ),
                "its signature cannot be read",
            ),
        ];
        for (case, der, says) in rows {
            let error = Crl::read(der).err().map(|error| error.to_string());
            let told = error.unwrap_or_default();
            assert!(told.starts_with(says), "{case}: {told}");
        }
        assert!(Crl::read(whole).is_ok());
        // No entries, or none within.
        assert_eq!(Crl::read(says(&[number()])).unwrap().len(), 0);
        assert_eq!(Crl::read(entries(&[])).unwrap().len(), 0);
    }

    #[test]
    fn no_single_change_makes_it_panic() {
        let scope = tlv(
            0x30,
            &[
                &tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[b"u"])])]),
                &[0x81, 1, 0xff],
            ],
        );
        let all = extensions(&[
            extension(&[0x55, 29, 35], &tlv(0x30, &[&tlv(0x80, &[b"key"])])),
            extension(&[0x55, 29, 28], &scope),
            number(),
        ]);
        let reason = tlv(0x30, &[&extension(&[0x55, 29, 21], &[10, 1, 1])]);
        let full = tlv(0x30, &[&[2, 1, 9], &FROM(), &reason]);
        let entries = tlv(0x30, &[&entry(&[7]), &full]);
        let good = list("ca", &[&FROM(), &UNTIL(), &entries, &all]);
        assert!(Crl::read(good.clone()).is_ok_and(|crl| crl.flaw().is_none()));
        let look = |der: &[u8]| {
            let Ok(crl) = Crl::read(der.to_vec()) else {
                return;
            };
            let _ = crl.flaw().map(ToString::to_string);
            let _ = (
                crl.find(&[9]),
                crl.find(&[]),
                crl.signature(),
                crl.tbs_der(),
            );
        };
        for at in 0..good.len() {
            look(&good[..at]);
            let mut changed = good.clone();
            // Lengths and tags of all sorts, and what is all but right.
            let near = [good[at] ^ 1, good[at].wrapping_add(1), good[at] ^ 0x80];
            for byte in [0, 1, 2, 5, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xff]
                .into_iter()
                .chain(near)
            {
                changed[at] = byte;
                look(&changed);
            }
        }
    }
}
