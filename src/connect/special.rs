//! Addresses that are not the public internet's: the registries of them, as one table.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::net::Net;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    row: &'static Row,
    /// The IPv4 address whose row it is, where another stands for that.
    inside: Option<Ipv4Addr>,
}

impl Place {
    pub(super) fn of(address: IpAddr) -> Self {
        let row = Row::of(address);
        let Some(v4) = held(address) else {
            return Self { row, inside: None };
        };
        let inner = Row::of(IpAddr::V4(v4));
        // Who is at the end of an old tunnel nobody knows, whatever it says.
        match (row.kind, inner.kind) {
            (Kind::Tunnels(_), Kind::Public) => Self { row, inside: None },
            _ => Self {
                row: inner,
                inside: Some(v4),
            },
        }
    }

    /// The same, of an address that may have a zone.
    pub(super) fn of_socket(address: &SocketAddr) -> Self {
        let place = Self::of(address.ip());
        match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 && place.is_public() => Self {
                row: &ZONED,
                inside: None,
            },
            _ => place,
        }
    }

    pub(super) fn is_public(self) -> bool {
        self.reach() == Reach::World
    }

    /// Whether whoever is here may send us there: not to what is nearer to us than he is.
    ///
    /// Where it is in doubt what is near, the host who sends is far, and where he sends us is not.
    /// Within one range such hosts may send us on all the same.
    pub(super) fn may_send_to(self, there: Self) -> bool {
        let is_neighbour = self.inside.is_none() && self.row == there.row;
        there.reach() >= self.reach_of_sender() || is_neighbour
    }

    /// Whether a host here may not send us nearer than one there may.
    pub(super) fn is_as_far_as(self, there: Self) -> bool {
        self.reach_of_sender() >= there.reach_of_sender()
    }

    fn reach(self) -> Reach {
        match self.row.kind {
            Kind::Public => Reach::World,
            Kind::Machine => Reach::Machine,
            Kind::Link => Reach::Link,
            Kind::Site | Kind::Unclear | Kind::StandsFor(_) | Kind::Tunnels(_) => Reach::Site,
        }
    }

    fn reach_of_sender(self) -> Reach {
        match self.row.kind {
            Kind::Unclear | Kind::StandsFor(_) | Kind::Tunnels(_) => Reach::World,
            _ if self.inside.is_some() => Reach::World,
            Kind::Public | Kind::Machine | Kind::Link | Kind::Site => self.reach(),
        }
    }
}

/// The range, what it is called, and by whom.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(v4) = self.inside {
            write!(f, "it stands for {v4}, which is ")?;
        } else {
            f.write_str("it is ")?;
        }
        let Row {
            net, name, source, ..
        } = self.row;
        write!(f, "in {net}, {name} ({source})")
    }
}

/// The IPv4 address in an IPv6 address that holds one by its prefix.
pub(super) fn held(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else {
        return None;
    };
    match Row::of(address).kind {
        Kind::StandsFor(at) | Kind::Tunnels(at) => {
            let bits = (v6.to_bits() << at) >> 96;
            u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
        }
        _ => None,
    }
}

/// How far away the hosts are that an address may lead to: the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Machine,
    Link,
    Site,
    World,
}

/// A range that is special, or the rest of a family.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    net: Net,
    name: &'static str,
    /// The RFC, or whose it is.
    source: &'static str,
    kind: Kind,
}

/// How a range is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As any public address.
    Public,
    /// It is this machine.
    Machine,
    /// It is on a link of this machine's.
    Link,
    /// It is in a network that is somebody's own.
    Site,
    /// It is nobody's, or its own network's, or not known whose.
    Unclear,
    /// It is what the IPv4 address is that it holds from this bit on.
    StandsFor(u32),
    /// The same, but a public one in it makes it no better.
    Tunnels(u32),
}

impl Row {
    /// The row of the longest prefix.
    fn of(address: IpAddr) -> &'static Self {
        let rows = ROWS.iter().filter(|row| row.net.contains(address));
        rows.max_by_key(|row| row.net.length()).unwrap_or(&REST)
    }
}

const fn v4(
    octets: [u8; 4],
    length: u8,
    kind: Kind,
    name: &'static str,
    source: &'static str,
) -> Row {
    Row {
        net: Net::v4(octets, length),
        name,
        source,
        kind,
    }
}

const fn v6(
    segments: [u16; 8],
    length: u8,
    kind: Kind,
    name: &'static str,
    source: &'static str,
) -> Row {
    Row {
        net: Net::v6(segments, length),
        name,
        source,
        kind,
    }
}

/// All of IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) as of
/// 2025-10-09; what is special by another document; where clouds answer their virtual machines with
/// what no stranger is to see, by their own documents; and the public rest. Of several rows that
/// cover an address the one with the longest prefix counts.
///
/// What the registries call globally reachable is public here, with two exceptions. An anycast
/// service of routers and relays is answered by the nearest one, which is the caller's own: PCP,
/// TURN, DNS-SD. And an ORCHID or a DET names somebody and leads nowhere (RFC 7343 §1).
#[rustfmt::skip]
static ROWS: [Row; 62] = [
    v4([0, 0, 0, 0], 0, Kind::Public, "the IPv4 internet", "RFC 791"),
    // A connection to it reaches this host.
    v4([0, 0, 0, 0], 8, Kind::Machine, "this network", "RFC 791 §3.2"),
    v4([0, 0, 0, 0], 32, Kind::Machine, "this host on this network", "RFC 1122 §3.2.1.3"),
    v4([10, 0, 0, 0], 8, Kind::Site, "private use", "RFC 1918"),
    v4([100, 64, 0, 0], 10, Kind::Site, "shared address space of carriers", "RFC 6598"),
    v4([100, 100, 100, 200], 32, Kind::Link, "metadata of virtual machines", "Alibaba Cloud"),
    v4([127, 0, 0, 0], 8, Kind::Machine, "loopback", "RFC 1122 §3.2.1.3"),
    v4([168, 63, 129, 16], 32, Kind::Link, "platform of virtual machines", "Azure"),
    v4([169, 254, 0, 0], 16, Kind::Link, "link-local, where clouds keep their metadata", "RFC 3927"),
    v4([172, 16, 0, 0], 12, Kind::Site, "private use", "RFC 1918"),
    v4([192, 0, 0, 0], 24, Kind::Unclear, "IETF protocol assignments", "RFC 6890 §2.1"),
    v4([192, 0, 0, 0], 29, Kind::Unclear, "IPv4 service continuity", "RFC 7335"),
    v4([192, 0, 0, 8], 32, Kind::Unclear, "the IPv4 dummy address", "RFC 7600"),
    v4([192, 0, 0, 9], 32, Kind::Unclear, "Port Control Protocol anycast", "RFC 7723"),
    v4([192, 0, 0, 10], 32, Kind::Unclear, "TURN anycast", "RFC 8155"),
    v4([192, 0, 0, 170], 32, Kind::Unclear, "NAT64/DNS64 discovery", "RFC 7050"),
    v4([192, 0, 0, 171], 32, Kind::Unclear, "NAT64/DNS64 discovery", "RFC 7050"),
    v4([192, 0, 2, 0], 24, Kind::Unclear, "documentation (TEST-NET-1)", "RFC 5737"),
    v4([192, 31, 196, 0], 24, Kind::Public, "AS112", "RFC 7535"),
    v4([192, 52, 193, 0], 24, Kind::Public, "automatic multicast tunneling", "RFC 7450"),
    v4([192, 88, 99, 0], 24, Kind::Unclear, "6to4 relay anycast, deprecated", "RFC 7526"),
    v4([192, 88, 99, 2], 32, Kind::Unclear, "6a44 relay anycast", "RFC 6751"),
    v4([192, 168, 0, 0], 16, Kind::Site, "private use", "RFC 1918"),
    v4([192, 175, 48, 0], 24, Kind::Public, "direct delegation to AS112", "RFC 7534"),
    v4([198, 18, 0, 0], 15, Kind::Unclear, "benchmarking", "RFC 2544"),
    v4([198, 51, 100, 0], 24, Kind::Unclear, "documentation (TEST-NET-2)", "RFC 5737"),
    v4([203, 0, 113, 0], 24, Kind::Unclear, "documentation (TEST-NET-3)", "RFC 5737"),
    v4([224, 0, 0, 0], 4, Kind::Unclear, "multicast", "RFC 5771"),
    v4([240, 0, 0, 0], 4, Kind::Unclear, "reserved", "RFC 1112 §4"),
    v4([255, 255, 255, 255], 32, Kind::Link, "limited broadcast", "RFC 919 §7"),

    v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Kind::Public, "global unicast", "RFC 4291 §2.4"),
    // A connection to it reaches this host.
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, Kind::Machine, "the unspecified address", "RFC 4291 §2.5.2"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, Kind::Machine, "loopback", "RFC 4291 §2.5.3"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, Kind::Tunnels(96), "IPv4-compatible, deprecated", "RFC 4291 §2.5.5.1"),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Kind::StandsFor(96), "IPv4-mapped", "RFC 4291 §2.5.5.2"),
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Kind::Tunnels(96), "IPv4-translated", "RFC 2765 §2.1"),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Kind::StandsFor(96), "IPv4/IPv6 translation", "RFC 6052"),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Kind::Unclear, "local-use IPv4/IPv6 translation", "RFC 8215"),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Kind::Unclear, "discard-only", "RFC 6666"),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, Kind::Unclear, "the IPv6 dummy prefix", "RFC 9780"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Kind::Unclear, "IETF protocol assignments", "RFC 2928"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Kind::Unclear, "Teredo", "RFC 4380"),
    v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, Kind::Unclear, "Port Control Protocol anycast", "RFC 7723"),
    v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, Kind::Unclear, "TURN anycast", "RFC 8155"),
    v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, Kind::Unclear, "DNS-SD registration anycast", "RFC 9665"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Kind::Unclear, "benchmarking", "RFC 5180"),
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, Kind::Public, "automatic multicast tunneling", "RFC 7450"),
    v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, Kind::Public, "AS112", "RFC 7535"),
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Kind::Unclear, "ORCHID, deprecated", "RFC 4843"),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Kind::Unclear, "ORCHIDv2", "RFC 7343"),
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, Kind::Unclear, "drone remote ID", "RFC 9374"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Kind::Unclear, "documentation", "RFC 3849"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Kind::Tunnels(16), "6to4", "RFC 3056"),
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Kind::Public, "direct delegation to AS112", "RFC 7534"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Kind::Unclear, "documentation", "RFC 9637"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Kind::Unclear, "segment routing", "RFC 9602"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Kind::Site, "unique local", "RFC 4193"),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Kind::Link, "metadata of virtual machines", "Amazon EC2"),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Kind::Link, "metadata of virtual machines", "Google Cloud"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Kind::Link, "link-local", "RFC 4291 §2.5.6"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Kind::Site, "site-local, deprecated", "RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Kind::Unclear, "multicast", "RFC 4291 §2.7"),
];

/// What is left of IPv6: nobody has been given it.
static REST: Row = v6(
    [0; 8],
    0,
    Kind::Unclear,
    "not global unicast",
    "RFC 4291 §2.4",
);

/// A zone is of this machine's own making, whatever the address is.
static ZONED: Row = v6(
    [0; 8],
    0,
    Kind::Link,
    "an address with a zone",
    "RFC 4007 §11",
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv6Addr;

    use super::*;

    /// Every range by its text, with an address of it that no narrower one covers, and how that is
    /// treated: as a place to go to, and as one to come from.
    #[rustfmt::skip]
    const TREATED: [(&str, &str, Reach, Reach); 62] = [
        ("0.0.0.0/0", "1.1.1.1", Reach::World, Reach::World),
        ("0.0.0.0/8", "0.0.0.1", Reach::Machine, Reach::Machine),
        ("0.0.0.0/32", "0.0.0.0", Reach::Machine, Reach::Machine),
        ("10.0.0.0/8", "10.1.2.3", Reach::Site, Reach::Site),
        ("100.64.0.0/10", "100.100.100.201", Reach::Site, Reach::Site),
        ("100.100.100.200/32", "100.100.100.200", Reach::Link, Reach::Link),
        ("127.0.0.0/8", "127.0.0.53", Reach::Machine, Reach::Machine),
        ("168.63.129.16/32", "168.63.129.16", Reach::Link, Reach::Link),
        ("169.254.0.0/16", "169.254.169.254", Reach::Link, Reach::Link),
        ("172.16.0.0/12", "172.17.0.1", Reach::Site, Reach::Site),
        ("192.0.0.0/24", "192.0.0.192", Reach::Site, Reach::World),
        ("192.0.0.0/29", "192.0.0.1", Reach::Site, Reach::World),
        ("192.0.0.8/32", "192.0.0.8", Reach::Site, Reach::World),
        ("192.0.0.9/32", "192.0.0.9", Reach::Site, Reach::World),
        ("192.0.0.10/32", "192.0.0.10", Reach::Site, Reach::World),
        ("192.0.0.170/32", "192.0.0.170", Reach::Site, Reach::World),
        ("192.0.0.171/32", "192.0.0.171", Reach::Site, Reach::World),
        ("192.0.2.0/24", "192.0.2.1", Reach::Site, Reach::World),
        ("192.31.196.0/24", "192.31.196.1", Reach::World, Reach::World),
        ("192.52.193.0/24", "192.52.193.1", Reach::World, Reach::World),
        ("192.88.99.0/24", "192.88.99.1", Reach::Site, Reach::World),
        ("192.88.99.2/32", "192.88.99.2", Reach::Site, Reach::World),
        ("192.168.0.0/16", "192.168.1.1", Reach::Site, Reach::Site),
        ("192.175.48.0/24", "192.175.48.6", Reach::World, Reach::World),
        ("198.18.0.0/15", "198.19.0.1", Reach::Site, Reach::World),
        ("198.51.100.0/24", "198.51.100.1", Reach::Site, Reach::World),
        ("203.0.113.0/24", "203.0.113.1", Reach::Site, Reach::World),
        ("224.0.0.0/4", "239.255.255.250", Reach::Site, Reach::World),
        ("240.0.0.0/4", "240.0.0.1", Reach::Site, Reach::World),
        ("255.255.255.255/32", "255.255.255.255", Reach::Link, Reach::Link),
        ("2000::/3", "2606:4700:4700::1111", Reach::World, Reach::World),
        ("::/128", "::", Reach::Machine, Reach::Machine),
        ("::1/128", "::1", Reach::Machine, Reach::Machine),
        ("::/96", "::1.1.1.1", Reach::Site, Reach::World),
        ("::ffff:0.0.0.0/96", "::ffff:1.1.1.1", Reach::World, Reach::World),
        ("::ffff:0:0:0/96", "::ffff:0:1.1.1.1", Reach::Site, Reach::World),
        ("64:ff9b::/96", "64:ff9b::1.1.1.1", Reach::World, Reach::World),
        ("64:ff9b:1::/48", "64:ff9b:1::1.1.1.1", Reach::Site, Reach::World),
        ("100::/64", "100::1", Reach::Site, Reach::World),
        ("100:0:0:1::/64", "100:0:0:1::1", Reach::Site, Reach::World),
        ("2001::/23", "2001:1ff::1", Reach::Site, Reach::World),
        ("2001::/32", "2001:0:1:2::3", Reach::Site, Reach::World),
        ("2001:1::1/128", "2001:1::1", Reach::Site, Reach::World),
        ("2001:1::2/128", "2001:1::2", Reach::Site, Reach::World),
        ("2001:1::3/128", "2001:1::3", Reach::Site, Reach::World),
        ("2001:2::/48", "2001:2::1", Reach::Site, Reach::World),
        ("2001:3::/32", "2001:3::1", Reach::World, Reach::World),
        ("2001:4:112::/48", "2001:4:112::1", Reach::World, Reach::World),
        ("2001:10::/28", "2001:1f::1", Reach::Site, Reach::World),
        ("2001:20::/28", "2001:2f::1", Reach::Site, Reach::World),
        ("2001:30::/28", "2001:3f::1", Reach::Site, Reach::World),
        ("2001:db8::/32", "2001:db8::1", Reach::Site, Reach::World),
        ("2002::/16", "2002:101:101::1", Reach::Site, Reach::World),
        ("2620:4f:8000::/48", "2620:4f:8000::6", Reach::World, Reach::World),
        ("3fff::/20", "3fff:fff::1", Reach::Site, Reach::World),
        ("5f00::/16", "5f00::1", Reach::Site, Reach::World),
        ("fc00::/7", "fd00:ec2::253", Reach::Site, Reach::Site),
        ("fd00:ec2::254/128", "fd00:ec2::254", Reach::Link, Reach::Link),
        ("fd20:ce::254/128", "fd20:ce::254", Reach::Link, Reach::Link),
        ("fe80::/10", "fe80::1", Reach::Link, Reach::Link),
        ("fec0::/10", "fec0::1", Reach::Site, Reach::Site),
        ("ff00::/8", "ff0e::1", Reach::Site, Reach::World),
    ];

    #[test]
    fn every_range_is_treated_as_it_should_be() {
        let rows: BTreeSet<_> = ROWS.iter().map(|row| row.net.to_string()).collect();
        let treated: BTreeSet<_> = TREATED.iter().map(|row| row.0.to_owned()).collect();
        assert_eq!(rows, treated);
        for (net, sample, reach, reach_of_sender) in TREATED {
            let row = Row::of(ip(sample));
            assert_eq!(row.net.to_string(), net, "{sample}");
            let place = Place::of(ip(sample));
            assert_eq!(place.reach(), reach, "{sample}");
            assert_eq!(place.reach_of_sender(), reach_of_sender, "{sample}");
            assert_eq!(place.is_public(), reach == Reach::World, "{sample}");
        }
    }

    #[test]
    fn a_range_has_its_first_and_its_last_address_and_not_the_next() {
        for row in &ROWS {
            let (first, length) = bounds(row);
            let last = first | u128::MAX.checked_shr(length).unwrap_or(0);
            for inside in [first, last] {
                let inside = address(inside, row);
                assert!(row.net.contains(inside), "{inside}");
                let found = Row::of(inside);
                assert!(found.net.length() >= row.net.length(), "{row:?} {found:?}");
            }
            let step = 1 << if is_v4(row) { 96 } else { 0 };
            let before = first.checked_sub(step);
            let after = (last & !(step - 1)).checked_add(step);
            for outside in [before, after].into_iter().flatten() {
                let outside = address(outside, row);
                assert!(!row.net.contains(outside), "{outside}");
                assert_ne!(Row::of(outside), row, "{outside}");
            }
        }
    }

    #[test]
    fn what_is_not_global_unicast_is_not_public() {
        for address in [
            "0:0:1::",
            "64:ff9b:2::1",
            "101::",
            "200::1",
            "400::1",
            "1fff::1",
            "4000::1",
            "5f01::",
            "8000::1",
            "fbff::1",
            "fe00::1",
            "fe7f::1",
        ] {
            let place = Place::of(ip(address));
            assert!(!place.is_public(), "{address}");
            assert_eq!(
                place.to_string(),
                "it is in ::/0, not global unicast (RFC 4291 §2.4)"
            );
        }
        for address in [
            "2000::",
            "3ffe:ffff::1",
            "3fff:1000::",
            "2003::1",
            "2001:200::1",
        ] {
            assert!(Place::of(ip(address)).is_public(), "{address}");
        }
    }

    #[test]
    fn an_address_is_what_it_stands_for() {
        for (address, is_public, says) in [
            (
                "::ffff:127.0.0.1",
                false,
                "it stands for 127.0.0.1, which is in 127.0.0.0/8, loopback",
            ),
            (
                "::ffff:7f00:1",
                false,
                "it stands for 127.0.0.1, which is in 127.0.0.0/8, loopback",
            ),
            (
                "::ffff:8.8.8.8",
                true,
                "it stands for 8.8.8.8, which is in 0.0.0.0/0, the IPv4",
            ),
            (
                "64:ff9b::10.1.2.3",
                false,
                "it stands for 10.1.2.3, which is in 10.0.0.0/8, private",
            ),
            (
                "64:ff9b::a9fe:a9fe",
                false,
                "it stands for 169.254.169.254, which is in 169.254.",
            ),
            (
                "64:ff9b::8.8.8.8",
                true,
                "it stands for 8.8.8.8, which is in 0.0.0.0/0, the IPv4",
            ),
            (
                "::127.0.0.1",
                false,
                "it stands for 127.0.0.1, which is in 127.0.0.0/8, loopback",
            ),
            ("::8.8.8.8", false, "it is in ::/96, IPv4-compatible"),
            (
                "::2",
                false,
                "it stands for 0.0.0.2, which is in 0.0.0.0/8, this network",
            ),
            (
                "::ffff:0:192.168.0.1",
                false,
                "it stands for 192.168.0.1, which is in 192.168.0.0",
            ),
            (
                "::ffff:0:8.8.8.8",
                false,
                "it is in ::ffff:0:0:0/96, IPv4-translated",
            ),
            (
                "2002:7f00:1::1",
                false,
                "it stands for 127.0.0.1, which is in 127.0.0.0/8, loopback",
            ),
            ("2002:808:808::1", false, "it is in 2002::/16, 6to4"),
            // Of these nobody knows where the IPv4 address is, or whose it is.
            (
                "64:ff9b:1::8.8.8.8",
                false,
                "it is in 64:ff9b:1::/48, local-use",
            ),
            ("2001:0:808:808::1", false, "it is in 2001::/32, Teredo"),
        ] {
            let place = Place::of(ip(address));
            assert_eq!(place.is_public(), is_public, "{address}");
            assert!(place.to_string().starts_with(says), "{address}: {place}");
        }
    }

    #[test]
    fn a_zone_makes_no_address_public() {
        for (address, says) in [
            (
                "[2606:4700::1111%3]:443",
                "it is in ::/0, an address with a zone (RFC 4007 §11)",
            ),
            (
                "[fe80::1%3]:443",
                "it is in fe80::/10, link-local (RFC 4291 §2.5.6)",
            ),
            (
                "[::1%1]:443",
                "it is in ::1/128, loopback (RFC 4291 §2.5.3)",
            ),
        ] {
            let place = Place::of_socket(&address.parse().unwrap());
            assert!(!place.is_public(), "{address}");
            assert_eq!(place.to_string(), says);
        }
        assert!(Place::of_socket(&"[2606:4700::1111]:443".parse().unwrap()).is_public());
    }

    #[test]
    fn nobody_sends_us_nearer_than_he_is_himself() {
        // From the first, whether it may send us to each of these.
        let to = [
            "127.0.0.1",
            "169.254.169.254",
            "10.0.0.1",
            "192.0.2.1",
            "1.1.1.1",
        ];
        for (from, may) in [
            ("127.0.0.1", [true, true, true, true, true]),
            ("::1", [true, true, true, true, true]),
            ("0.0.0.0", [true, true, true, true, true]),
            ("169.254.1.1", [false, true, true, true, true]),
            ("fe80::1", [false, true, true, true, true]),
            ("192.168.1.1", [false, false, true, true, true]),
            ("fd00::1", [false, false, true, true, true]),
            ("100.64.0.1", [false, false, true, true, true]),
            ("8.8.8.8", [false, false, false, false, true]),
            ("2606:4700::1111", [false, false, false, false, true]),
            // Who knows where these are.
            ("192.0.2.7", [false, false, false, true, true]),
            ("198.18.0.1", [false, false, false, false, true]),
            ("2002:a00:1::1", [false, false, false, false, true]),
            ("64:ff9b::10.0.0.1", [false, false, false, false, true]),
            ("64:ff9b:1::10.0.0.1", [false, false, false, false, true]),
            ("2001:db8::1", [false, false, false, false, true]),
        ] {
            let found = to.map(|to| Place::of(ip(from)).may_send_to(Place::of(ip(to))));
            assert_eq!(found, may, "{from}");
        }
        // Within a range that nobody can place; not to what only poses as it.
        for (from, to, may) in [
            ("198.18.0.1", "198.19.255.255", true),
            ("64:ff9b:1::1", "64:ff9b:1::2", true),
            ("2002:808:808::1", "2002:101:101::1", true),
            ("2002:808:808::1", "2002:a00:1::1", false),
            ("2002:a00:1::1", "2002:a00:1::1", false),
            ("2001:db8::1", "3fff::1", false),
        ] {
            let found = Place::of(ip(from)).may_send_to(Place::of(ip(to)));
            assert_eq!(found, may, "{from} {to}");
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The bits of the first address on top, and how many of them count.
    fn bounds(row: &Row) -> (u128, u32) {
        let text = row.net.to_string();
        let (first, length) = text.split_once('/').unwrap();
        let bits = match ip(first) {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        (bits, length.parse().unwrap())
    }

    fn address(bits: u128, row: &Row) -> IpAddr {
        match is_v4(row) {
            true => Ipv4Addr::from_bits((bits >> 96) as u32).into(),
            false => Ipv6Addr::from_bits(bits).into(),
        }
    }

    fn is_v4(row: &Row) -> bool {
        !row.net.to_string().contains(':')
    }
}
