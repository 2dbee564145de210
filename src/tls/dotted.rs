//! An object identifier as people write it, such as `2.5.4.3`.
//!
//! From its bytes: const-oid's own way counts in 32 bits and forgets what does not fit, so that
//! 2.5.4.4294967299, which is anybody's, would be written as commonName's 2.5.4.3.

use std::fmt::Write as _;

use x509_cert::der::Encode;
use x509_cert::der::asn1::ObjectIdentifier;

use super::shown::hex;

/// The dotted form. One that is not in the form of X.690 §8.19 is written as RFC 4514 §2.4 does
/// with values, `#` and its DER in hexadecimal, so that it passes for no other.
pub(super) fn dotted(id: &ObjectIdentifier) -> String {
    arcs(id.as_bytes()).unwrap_or_else(|| format!("#{}", hex(&id.to_der().unwrap_or_default())))
}

fn arcs(octets: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut value = 0_u64;
    let mut is_first_octet = true;
    for octet in octets {
        // X.690 §8.19.2: no zeros before the number.
        if is_first_octet && *octet == 0x80 {
            return None;
        }
        value = value.checked_mul(0x80)? | u64::from(octet & 0x7f);
        is_first_octet = octet & 0x80 == 0;
        if is_first_octet {
            // To a string, this cannot fail.
            let _ = if text.is_empty() {
                // The first two are one (X.690 §8.19.4).
                let root = (value / 40).min(2);
                write!(text, "{root}.{}", value - root * 40)
            } else {
                write!(text, ".{value}")
            };
            value = 0;
        }
    }
    is_first_octet.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_whole() {
        for (octets, expected) in [
            (&[0x55, 4, 3][..], "2.5.4.3"),
            (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
                "1.2.840.113549.1.9.1",
            ),
            (&[0x55, 4, 0], "2.5.4.0"),
            (&[0x55, 4, 0x90, 0x80, 0x80, 0x80, 3], "2.5.4.4294967299"),
            (&[0x55, 4, 0x80, 3], "#060455048003"),
        ] {
            let id = ObjectIdentifier::from_bytes(octets).unwrap();
            assert_eq!(dotted(&id), expected);
        }
        // What const-oid does not read yet.
        assert_eq!(arcs(&[0x88, 0x37, 1]).unwrap(), "2.999.1");
        assert_eq!(arcs(&[0x55, 4, 0x83]), None);
        assert_eq!(arcs(&[&[0x55][..], &[0xff; 9], &[1]].concat()), None);
    }
}
