//! Who is revoked: the entries of a CRL (RFC 5280 §5.1.2.6), each found by its serial number.
//!
//! They are walked once, when the list is loaded, and are not unpacked: what is kept is four bytes
//! for each beside the DER. A million are found in as many steps as twenty bits have.

use std::cmp::Ordering;
use std::ops::Range;

use rustls::pki_types::UnixTime;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::db::rfc5280;
use x509_cert::der::{self, Decode, ErrorKind, Header, Reader, SliceReader, Tag};
use x509_cert::time::Time;

use super::layout::{RawExtension, element, position};

/// Where the entries of a list are in its DER, in the order of their serial numbers.
pub(super) struct Entries(Box<[u32]>);

/// That a certificate is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Revoked {
    pub(super) since: Option<UnixTime>,
    /// The word for it of RFC 5280 §5.3.1, if one was given.
    pub(super) reason: Option<&'static str>,
}

/// An entry that cannot be read: which, counted from 1, and why.
pub(super) type Malformed = (usize, der::Error);

impl Entries {
    pub(super) fn none() -> Self {
        Self(Box::default())
    }

    /// Walks revokedCertificates, which is `within` the DER. An extension of an entry that must not
    /// be passed over, and that we do not know, is told beside.
    pub(super) fn read(
        der: &[u8],
        within: Range<usize>,
    ) -> Result<(Self, Option<ObjectIdentifier>), Malformed> {
        let whole = der.get(within.clone()).unwrap_or_default();
        let open = AnyRef::from_der(whole).and_then(|list| SliceReader::new(list.value()));
        let mut reader = open.map_err(|error| (0, error))?;
        let inside = within.end - usize::try_from(reader.input_len()).unwrap_or_default();
        let mut found = Vec::new();
        let mut unknown = None;
        // What the entry before said: most say the same.
        let mut last: &[u8] = &[];
        while !reader.is_finished() {
            let mut read = || {
                let offset = u32::try_from(inside + position(&reader)?)
                    .map_err(|_| ErrorKind::Overlength)?;
                let entry = Entry::read(&mut reader)?;
                if entry.extensions != last {
                    last = entry.extensions;
                    unknown = unknown.or(Said::read(last)?.unknown);
                }
                Ok((low_bits(entry.serial), offset))
            };
            let read = read().map_err(|error| (found.len() + 1, error))?;
            found.push(read);
        }
        found.sort_unstable_by(|(a_bits, a), (b_bits, b)| {
            // To look into the DER for each comparison would make the sort five times as long.
            a_bits
                .cmp(b_bits)
                .then_with(|| serial_at(der, *a).cmp(serial_at(der, *b)))
        });
        let offsets = found.into_iter().map(|(_, offset)| offset);
        Ok((Self(offsets.collect()), unknown))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The entry of a serial number, which is the inside of an INTEGER.
    pub(super) fn find(&self, der: &[u8], serial: &[u8]) -> Option<Revoked> {
        let found = self
            .0
            .binary_search_by(|offset| in_order(serial_at(der, *offset), serial));
        let offset = self.0.get(found.ok()?)?;
        // It was read once; if it could not be read now, it would be revoked all the same.
        Some(Revoked::read(from(der, *offset)).unwrap_or_default())
    }
}

impl Revoked {
    fn read(entry: &[u8]) -> der::Result<Self> {
        let entry = Entry::read(&mut SliceReader::new(entry)?)?;
        let said = Said::read(entry.extensions)?;
        Ok(Self {
            since: Some(UnixTime::since_unix_epoch(entry.since.to_unix_duration())),
            reason: said.reason.map(word),
        })
    }
}

/// One entry, in the bytes in which it came.
struct Entry<'a> {
    serial: &'a [u8],
    since: Time,
    /// The inside of crlEntryExtensions, if there are any.
    extensions: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let mut inside = SliceReader::new(element(reader, Tag::Sequence)?)?;
        let serial = element(&mut inside, Tag::Integer)?;
        if !is_canonical(serial) {
            return Err(ErrorKind::Noncanonical { tag: Tag::Integer }.into());
        }
        let since = Time::decode(&mut inside)?;
        let extensions = match inside.is_finished() {
            true => &[],
            false => element(&mut inside, Tag::Sequence)?,
        };
        inside.finish(Self {
            serial,
            since,
            extensions,
        })
    }
}

/// What the extensions of an entry say.
#[derive(Default)]
struct Said {
    reason: Option<u8>,
    unknown: Option<ObjectIdentifier>,
}

impl Said {
    fn read(extensions: &[u8]) -> der::Result<Self> {
        let mut said = Self::default();
        let mut reader = SliceReader::new(extensions)?;
        while !reader.is_finished() {
            said.take(&RawExtension::read(&mut reader)?)?;
        }
        Ok(said)
    }

    fn take(&mut self, extension: &RawExtension<'_>) -> der::Result<()> {
        match extension.id {
            rfc5280::ID_CE_CRL_REASONS => {
                let mut reader = SliceReader::new(extension.value)?;
                self.reason = match element(&mut reader, Tag::Enumerated)? {
                    [code] => Some(*code),
                    _ => {
                        return Err(ErrorKind::Value {
                            tag: Tag::Enumerated,
                        }
                        .into());
                    }
                };
                reader.finish(())?;
            }
            // It tells a date that changes nothing (RFC 5280 §5.3.2).
            rfc5280::ID_CE_INVALIDITY_DATE => {}
            // The entry, and those after it, are another issuer's (RFC 5280 §5.3.3).
            rfc5280::ID_CE_CERTIFICATE_ISSUER => self.unknown = Some(extension.id),
            // RFC 5280 §5.3.
            other if extension.is_critical => self.unknown = Some(other),
            _ => {}
        }
        Ok(())
    }
}

/// The serial number of the entry that begins there.
fn serial_at(der: &[u8], offset: u32) -> &[u8] {
    let serial = SliceReader::new(from(der, offset)).and_then(|mut reader| {
        Header::decode(&mut reader)?;
        element(&mut reader, Tag::Integer)
    });
    serial.unwrap_or_default()
}

fn from(der: &[u8], offset: u32) -> &[u8] {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    der.get(offset..).unwrap_or_default()
}

/// The order in which entries are kept.
fn in_order(a: &[u8], b: &[u8]) -> Ordering {
    low_bits(a).cmp(&low_bits(b)).then_with(|| a.cmp(b))
}

/// The last 16 bytes, as a number: where serial numbers count up and where they are random, these
/// tell them apart. (The first need not: a CA may begin all alike.)
fn low_bits(serial: &[u8]) -> u128 {
    let last = serial.len().saturating_sub(16);
    let last = serial.get(last..).unwrap_or_default();
    last.iter()
        .fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// X.690 §8.3.2: a number written in two ways would be found in one.
fn is_canonical(integer: &[u8]) -> bool {
    match integer {
        [] => false,
        [0, next, ..] => *next >= 0x80,
        [0xff, next, ..] => *next < 0x80,
        _ => true,
    }
}

/// CRLReason, as RFC 5280 §5.3.1 writes it.
pub(super) fn word(reason: u8) -> &'static str {
    match reason {
        0 => "unspecified",
        1 => "keyCompromise",
        2 => "cACompromise",
        3 => "affiliationChanged",
        4 => "superseded",
        5 => "cessationOfOperation",
        6 => "certificateHold",
        8 => "removeFromCRL",
        9 => "privilegeWithdrawn",
        10 => "aACompromise",
        _ => "for a reason that is not known",
    }
}

#[cfg(test)]
mod tests {
    use super::super::crl::forge::{entry, tlv};
    use super::*;

    fn read(serials: &[Vec<u8>]) -> (Vec<u8>, Entries) {
        let entries = serials.iter().map(|serial| entry(serial));
        // Something before it, as there is in a list.
        let mut der = vec![5, 0];
        der.extend(tlv(0x30, &[&entries.collect::<Vec<_>>().concat()]));
        let (entries, unknown) = Entries::read(&der, 2..der.len()).unwrap();
        assert_eq!(unknown, None);
        (der, entries)
    }

    #[test]
    fn every_serial_number_is_found_and_no_other() {
        let long = |first: u8, last: u8| [&[first][..], &[7; 18], &[last]].concat();
        let serials = [
            vec![0],
            vec![1],
            vec![0x7f],
            vec![0, 0x80],
            vec![0x80],
            vec![0xff],
            vec![1, 0],
            vec![1, 0, 0],
            // Of one end, and of one beginning.
            long(1, 9),
            long(2, 9),
            long(1, 8),
            // Twice.
            vec![3, 4],
            vec![3, 4],
            vec![5; 300],
        ];
        let others = [
            vec![],
            vec![2],
            vec![0, 1],
            vec![0, 0],
            vec![0xff, 0x80],
            vec![0, 1, 0],
            long(3, 9),
            long(1, 7),
            vec![7; 16],
            vec![5; 299],
        ];
        for turn in 0..serials.len() {
            let mut serials = serials.to_vec();
            serials.rotate_left(turn);
            let (der, entries) = read(&serials);
            assert_eq!(entries.len(), serials.len());
            for serial in &serials {
                assert!(entries.find(&der, serial).is_some(), "{serial:02x?}");
            }
            for serial in &others {
                assert_eq!(entries.find(&der, serial), None, "{serial:02x?}");
            }
        }
        let none = Entries::none();
        assert_eq!((none.len(), none.find(&[], &[1])), (0, None));
    }

    #[test]
    fn every_reason_has_its_word() {
        let words = (0..=11).map(word).collect::<Vec<_>>();
        assert_eq!(words[1], "keyCompromise");
        assert_eq!(words[7], words[11]);
        let distinct: std::collections::HashSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), 11);
    }
}
