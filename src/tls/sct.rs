//! Signed certificate timestamps: what the logs of Certificate Transparency promised for a
//! certificate, as far as it carries them itself (RFC 6962).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::asn1::{ObjectIdentifier, OctetStringRef};
use x509_cert::der::{DateTime, Decode};

use super::certificate::Certificate;

/// A signed certificate timestamp: the promise of a log to show a certificate to everybody (RFC
/// 6962 §3.2).
///
/// Nothing here says that the log ever gave it: its signature is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sct {
    log_id: [u8; 32],
    /// Since 1970.
    pub(super) timestamp: Duration,
}

impl Sct {
    /// Which log it is of: the SHA-256 of the log's key, by which lists of logs name it.
    pub fn log_id(&self) -> [u8; 32] {
        self.log_id
    }

    /// When the log is to have seen the certificate.
    pub fn timestamp(&self) -> SystemTime {
        UNIX_EPOCH + self.timestamp
    }

    /// Reads one of version 1; of another the outer `None` says that it cannot be read, and the
    /// inner one that we do not know the version.
    fn read(serialized: &[u8]) -> Option<Option<Self>> {
        let (version, rest) = serialized.split_first()?;
        if *version != V1 {
            return Some(None);
        }
        let (log_id, rest) = rest.split_first_chunk::<32>()?;
        let (milliseconds, rest) = rest.split_first_chunk::<8>()?;
        let (_extensions, rest) = vector(rest)?;
        let (_algorithm, rest) = rest.split_first_chunk::<2>()?;
        let (_signature, []) = vector(rest)? else {
            return None;
        };
        let timestamp = Duration::from_millis(u64::from_be_bytes(*milliseconds));
        // Not every clock goes on after the year 9999.
        DateTime::from_unix_duration(timestamp).ok()?;
        Some(Some(Self {
            log_id: *log_id,
            timestamp,
        }))
    }
}

impl Certificate {
    /// The signed certificate timestamps that are embedded in it, in order (RFC 6962 §3.3); those
    /// of another version than 1 are passed over.
    ///
    /// `None` if it has no such extension; an empty list if it has one that holds none, or that
    /// cannot be read whole. A handshake and a staple may carry more: those are not asked for.
    pub fn scts(&self) -> Option<Vec<Sct>> {
        let extension = self.extension(EMBEDDED_SCTS)?;
        let list = OctetStringRef::from_der(extension).ok();
        Some(
            list.and_then(|list| read_list(list.as_bytes()))
                .unwrap_or_default(),
        )
    }
}

/// SignedCertificateTimestampList, RFC 6962 §3.3.
fn read_list(list: &[u8]) -> Option<Vec<Sct>> {
    let (mut list, []) = vector(list)? else {
        return None;
    };
    let mut read = Vec::new();
    while !list.is_empty() {
        let (serialized, rest) = vector(list)?;
        read.extend(Sct::read(serialized)?);
        list = rest;
    }
    Some(read)
}

/// A vector as TLS writes it, its length in two bytes before it (RFC 8446 §3.4), and what follows.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// RFC 6962 §3.3.
pub(super) const EMBEDDED_SCTS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// RFC 6962 §3.2.
const V1: u8 = 0;

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::{Forged, extension, tlv};
    use super::*;

    #[test]
    fn scts_are_read_or_none_is() {
        let [first, second] = [(7, 1_775_000_000_123), (8, 0)].map(|(id, at)| sct(id, at));
        let later = [&[1][..], &first[1..]].concat();
        let long = sct(9, LAST_MILLISECOND);
        let both = Some(vec![(7, 1_775_000_000_123), (8, 0)]);
        let rows = [
            ("none", vec![], None),
            ("two", vec![embedded(&[&first, &second])], both.clone()),
            (
                "another version among them",
                vec![embedded(&[&first, &later, &second])],
                both,
            ),
            (
                "another version alone",
                vec![embedded(&[&later])],
                Some(vec![]),
            ),
            (
                "of another version, no more",
                vec![embedded(&[&[1]])],
                Some(vec![]),
            ),
            (
                "the last moment",
                vec![embedded(&[&long])],
                Some(vec![(9, LAST_MILLISECOND)]),
            ),
            (
                "beyond the last moment",
                vec![embedded(&[&sct(9, LAST_MILLISECOND + 1)])],
                Some(vec![]),
            ),
            (
                "at the end of time",
                vec![embedded(&[&sct(9, u64::MAX)])],
                Some(vec![]),
            ),
            ("an empty list", vec![embedded(&[])], Some(vec![])),
            ("an empty one", vec![embedded(&[&first, &[]])], Some(vec![])),
            (
                "one too short",
                vec![embedded(&[&first, &second[..second.len() - 1]])],
                Some(vec![]),
            ),
            (
                "one too long",
                vec![embedded(&[&[&first[..], &[0]].concat()])],
                Some(vec![]),
            ),
            (
                "twice",
                vec![embedded(&[&first]), embedded(&[&first])],
                Some(vec![]),
            ),
            (
                "no octet string",
                vec![extension(SCTS, &list(&[&first]))],
                Some(vec![]),
            ),
            (
                "more after the list",
                vec![wrapped(&[&list(&[&first])[..], &[0]].concat())],
                Some(vec![]),
            ),
            ("nothing", vec![wrapped(&[])], Some(vec![])),
        ];
        for (name, extensions, expected) in rows {
            let certificate = Forged {
                extensions,
                ..Forged::default()
            }
            .certificate();
            let expected = expected.map(|scts| scts.into_iter().map(of).collect::<Vec<_>>());
            assert_eq!(certificate.scts(), expected, "{name}");
        }
    }

    #[test]
    fn wherever_the_list_is_cut_nothing_is_read() {
        let whole = list(&[&sct(7, 1), &sct(8, 2)]);
        assert_eq!(read_list(&whole).map(|scts| scts.len()), Some(2));
        for length in 0..whole.len() {
            assert_eq!(read_list(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_longest_list_is_read() {
        let one = sct(7, 1);
        let many = vec![&one[..]; 65_535 / (2 + one.len())];
        assert_eq!(read_list(&list(&many)).unwrap().len(), many.len());
    }

    fn of((id, timestamp): (u8, u64)) -> Sct {
        Sct {
            log_id: [id; 32],
            timestamp: Duration::from_millis(timestamp),
        }
    }

    /// With an extension and a signature of nobody.
    fn sct(id: u8, timestamp: u64) -> Vec<u8> {
        let extensions_and_signature = [0, 1, 0xee, 4, 3, 0, 3, 9, 9, 9];
        [
            &[0][..],
            &[id; 32],
            &timestamp.to_be_bytes(),
            &extensions_and_signature,
        ]
        .concat()
    }

    fn list(scts: &[&[u8]]) -> Vec<u8> {
        let prefixed = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        prefixed(
            &scts
                .iter()
                .flat_map(|sct| prefixed(sct))
                .collect::<Vec<_>>(),
        )
    }

    fn embedded(scts: &[&[u8]]) -> Vec<u8> {
        wrapped(&list(scts))
    }

    fn wrapped(list: &[u8]) -> Vec<u8> {
        extension(SCTS, &tlv(0x04, &[list]))
    }

    /// 1.3.6.1.4.1.11129.2.4.2.
    const SCTS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
    /// Of the year 9999.
    const LAST_MILLISECOND: u64 = 253_402_300_799_000;
}
