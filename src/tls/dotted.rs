//! An object identifier as people write it, such as `2.5.4.3` (X.690 §8.19).
//!
//! From its bytes: const-oid's own way counts in 32 bits and forgets what does not fit, so that
//! 2.5.4.4294967299, which is anybody's, would be written as commonName's 2.5.4.3.

use std::fmt::Write as _;

use x509_cert::der::Encode;
use x509_cert::der::asn1::ObjectIdentifier;

use super::shown::hex;

/// An object identifier in dots. One that cannot be written so is as RFC 4514 §2.4 has values, `#`
/// and its DER in hexadecimal, so that it passes for no other.
pub(super) fn dotted(id: &ObjectIdentifier) -> String {
    arcs(id.as_bytes()).unwrap_or_else(|| format!("#{}", hex(&id.to_der().unwrap_or_default())))
}

/// The dotted form of what an object identifier holds, with arcs of up to 128 bits: `2.25.` and a
/// UUID (X.667) has one so large, which const-oid does not read. `None` if it is none.
pub(super) fn arcs(octets: &[u8]) -> Option<String> {
    let mut text = String::new();
    for arc in octets.split_inclusive(|octet| *octet < 0x80) {
        if arc.first() == Some(&0x80) || arc.last().is_none_or(|octet| *octet >= 0x80) {
            return None;
        }
        let value = arc.iter().try_fold(0u128, |value, octet| {
            Some(value.checked_mul(0x80)? | u128::from(octet & 0x7f))
        })?;
        match text.is_empty() {
            // The first two arcs are one number; only under 2 may the second be 40 or more.
            true => {
                let root = (value / 40).min(2);
                text = format!("{root}.{}", value - root * 40);
            }
            false => write!(text, ".{value}").ok()?,
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenSSL made of the same.
    #[test]
    fn an_object_identifier_has_arcs_of_any_size() {
        let mut uuid = vec![0x69, 0x83];
        uuid.extend([0xff; 17]);
        uuid.push(0x7f);
        for (octets, expected) in [
            (&[0x2a, 3][..], Some("1.2.3")),
            (&[0x2a], Some("1.2")),
            (&[0], Some("0.0")),
            (&[0x4f], Some("1.39")),
            (&[0x50], Some("2.0")),
            (&[0x55, 29, 17], Some("2.5.29.17")),
            (&[0x88, 0x37, 1], Some("2.999.1")),
            (
                &[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f],
                Some("1.3.4294967295"),
            ),
            (&uuid, Some("2.25.340282366920938463463374607431768211455")),
            (&[], None),
            (&[0x2a, 0x83], None),
            (&[0x2a, 0x80, 1], None),
            (
                &[0x69, 0x84]
                    .into_iter()
                    .chain([0xff; 17])
                    .chain([0x7f])
                    .collect::<Vec<_>>(),
                None,
            ),
        ] {
            assert_eq!(arcs(octets).as_deref(), expected, "{octets:x?}");
        }
    }

    #[test]
    fn what_cannot_be_written_in_dots_passes_for_no_other() {
        for (octets, expected) in [
            (&[0x55, 4, 3][..], "2.5.4.3"),
            (&[0x55, 4, 0x90, 0x80, 0x80, 0x80, 3], "2.5.4.4294967299"),
            (&[0x55, 4, 0x80, 3], "#060455048003"),
        ] {
            let id = ObjectIdentifier::from_bytes(octets).unwrap();
            assert_eq!(dotted(&id), expected);
        }
    }
}
