//! A range of addresses: what stands before the first bits, and how many of them count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of IPv4 or of IPv6 addresses (RFC 4632 §3.1, RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Net {
    first: IpAddr,
    length: u8,
}

impl Net {
    pub(super) const fn v4(octets: [u8; 4], length: u8) -> Self {
        let [a, b, c, d] = octets;
        let first = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        Self { first, length }
    }

    pub(super) const fn v6(segments: [u16; 8], length: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = segments;
        let first = IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h));
        Self { first, length }
    }

    /// Reads `10.0.0.0/8`, or one address. Of an address before a `/` all bits behind the prefix
    /// are 0: who writes `10.0.0.1/8` means either one host or sixteen million.
    ///
    /// A range of IPv4-mapped addresses is the range of IPv4 addresses that they stand for (RFC
    /// 4291 §2.5.5.2).
    pub(super) fn read(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let width = width(first);
        let length = match length {
            // As it is written everywhere: no sign, no zero in front.
            Some(text) => text.parse().ok().filter(|n: &u8| n.to_string() == text)?,
            None => width,
        };
        let net = Self { first, length };
        (length <= width && net.is_bare()).then(|| net.to_canonical())
    }

    /// The same of an address with bits behind the prefix, as lists of proxies have them.
    pub(super) fn around(text: &str) -> Option<Self> {
        let Some((address, length)) = text.split_once('/') else {
            return Some(Self::of(text.parse().ok()?));
        };
        let (first, length) = (address.parse().ok()?, length.parse().ok()?);
        (length <= width(first)).then_some(Self { first, length })
    }

    /// One address.
    pub(super) fn of(first: IpAddr) -> Self {
        let length = width(first);
        Self { first, length }
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        let differing = bits(self.first) ^ bits(address);
        self.first.is_ipv4() == address.is_ipv4()
            && differing.leading_zeros() >= u32::from(self.length)
    }

    pub(super) fn length(self) -> u8 {
        self.length
    }

    /// Whether no bit behind the prefix is set.
    fn is_bare(self) -> bool {
        bits(self.first).trailing_zeros() >= 128 - u32::from(self.length)
    }

    fn to_canonical(self) -> Self {
        match (self.first.to_canonical(), self.length.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(length)) if self.first.is_ipv6() => Self { first, length },
            _ => self,
        }
    }
}

/// The bits of an address, the first of them on top.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_is_an_address_and_how_many_bits_of_it_count() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("192.0.2.128/25", "192.0.2.128/25"),
            ("FC00::/7", "fc00::/7"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:7f00:1", "127.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            // More than the mapped ones.
            ("::/80", "::/80"),
        ] {
            assert_eq!(Net::read(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_quite_a_net_is_none() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/8 ",
            " 10.0.0.0/8",
            "10/8",
            "10.0.0.1/8",
            "10.0.0.0/6",
            "0.0.0.1/0",
            "127.1",
            "0x7f.0.0.1",
            "010.0.0.0",
            "256.0.0.0/8",
            "::/129",
            "::1/0",
            "2001:db8::1/32",
            "::ffff:0:0/95",
            "[::1]",
            "[::1]/128",
            "fe80::1%eth0",
            "fe80::%1/64",
            "localhost",
            "*",
        ] {
            assert_eq!(Net::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_net_contains_its_first_and_its_last_and_neither_neighbour() {
        for (net, inside, outside) in [
            (
                "172.16.0.0/12",
                ["172.16.0.0", "172.31.255.255"],
                ["172.15.255.255", "172.32.0.0"],
            ),
            (
                "192.0.2.7",
                ["192.0.2.7", "192.0.2.7"],
                ["192.0.2.6", "192.0.2.8"],
            ),
            (
                "fe80::/10",
                ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
                ["fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::"],
            ),
            (
                "0.0.0.0/0",
                ["0.0.0.0", "255.255.255.255"],
                ["::", "::ffff:1.2.3.4"],
            ),
            ("::/0", ["::", "ffff::"], ["0.0.0.0", "127.0.0.1"]),
            ("::1", ["::1", "::1"], ["::", "::2"]),
        ] {
            let read = Net::read(net).unwrap();
            for (addresses, expected) in [(inside, true), (outside, false)] {
                for address in addresses {
                    assert_eq!(
                        read.contains(address.parse().unwrap()),
                        expected,
                        "{net} {address}"
                    );
                }
            }
        }
    }
}
