//! Does a certificate name this host? RFC 9525 (and RFC 5280 §4.2.1.6), taken strictly, and one
//! sentence when not.
//!
//! Only `dNSName` and `iPAddress` entries count, never a common name. A wildcard is the whole
//! left-most label, stands for exactly one, and has at least two after it. An address is matched by
//! an equal address only. A name that is not well formed matches nothing, and does not stop the
//! others.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::certificate::Certificate;
use super::shown::{MAX_SHOWN_NAMES, Shown};

/// Whether `certificate` is for `host`: a DNS name in ASCII (A-labels for others), or an IP
/// address, in brackets or not. One dot at the end of a DNS name is ignored, and so is the case of
/// letters.
///
/// Nothing else about the certificate is looked at.
///
/// # Errors
///
/// [`Mismatch`], if no name in the certificate matches, or `host` is neither a host name nor an
/// address.
pub fn match_hostname(certificate: &Certificate, host: &str) -> Result<(), Mismatch> {
    match Reference::parse(host) {
        Some(reference) if reference.is_in(certificate) => Ok(()),
        reference => Err(Mismatch::explain(certificate, host, reference.as_ref())),
    }
}

/// The DNS names in a certificate by which it is for `host`.
pub(super) fn names_for<'a>(
    certificate: &'a Certificate,
    host: &'a str,
) -> impl Iterator<Item = &'a str> {
    let host = match Reference::parse(host) {
        Some(Reference::Dns(host)) => Some(host),
        Some(Reference::Ip(_)) | None => None,
    };
    let names = host.map(|host| {
        let names = certificate.dns_names();
        names.filter(move |name| covers(name, host))
    });
    names.into_iter().flatten()
}

/// Why a certificate is not for a host. Every text in it is escaped and bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    host: String,
    host_is_valid: bool,
    names: Vec<String>,
    total: usize,
    common_name: Option<String>,
    near_miss: Option<String>,
}

impl Mismatch {
    /// The host that the certificate was checked for.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether that is a host name or an IP address at all. If not, no certificate is for it.
    pub fn host_is_valid(&self) -> bool {
        self.host_is_valid
    }

    /// The first names in the certificate, at most 8: DNS names, then addresses. One that is no DNS
    /// name is quoted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many names the certificate has.
    pub fn total(&self) -> usize {
        self.total
    }

    fn explain(certificate: &Certificate, host: &str, reference: Option<&Reference<'_>>) -> Self {
        let dns_names = certificate.dns_names().map(shown_name);
        let addresses = certificate
            .ip_addresses()
            .map(|address| address.to_string());
        let total = certificate.dns_names().count() + certificate.ip_addresses().count();
        Self {
            host: Shown(host).to_string(),
            host_is_valid: reference.is_some(),
            names: dns_names.chain(addresses).take(MAX_SHOWN_NAMES).collect(),
            total,
            common_name: certificate.common_name(),
            near_miss: reference
                .and_then(|host| host.nearest_of(certificate.dns_names(), total > MAX_SHOWN_NAMES)),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All of a short list; of a long one enough to recognise whose it is.
        let listed = if self.total <= MAX_SHOWN_NAMES {
            self.total
        } else {
            SAMPLE
        };
        let names = self
            .names
            .iter()
            .take(listed)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        match (self.total, &self.common_name) {
            (0, None) => f.write_str("the certificate names no host")?,
            (0, Some(common_name)) => write!(
                f,
                "the certificate names no host but its common name \"{common_name}\", which is not used (RFC 9525)"
            )?,
            (total, _) if total > listed => {
                write!(
                    f,
                    "the certificate is valid for {names} and {} more",
                    total - listed
                )?;
            }
            _ => write!(f, "the certificate is valid for {names}")?,
        }
        write!(f, "; it was checked for \"{}\"", self.host)?;
        if !self.host_is_valid {
            f.write_str(", which is neither a host name nor an IP address")?;
        }
        match &self.near_miss {
            Some(near_miss) => write!(f, "; {near_miss}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mismatch {}

/// The host we mean to reach: RFC 9525's reference identifier.
#[derive(Debug)]
pub(crate) enum Reference<'h> {
    /// Well formed, and without the dot at its end.
    Dns(&'h str),
    Ip(IpAddr),
}

impl<'h> Reference<'h> {
    pub(crate) fn parse(host: &'h str) -> Option<Self> {
        if let Some(bracketed) = host.strip_prefix('[') {
            let address = bracketed.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(Self::Ip(address.into()));
        }
        if let Ok(address) = host.parse() {
            return Some(Self::Ip(address));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        is_dns_name(name).then_some(Self::Dns(name))
    }

    /// Whether one of the names in the certificate is this host.
    fn is_in(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Dns(host) => certificate.dns_names().any(|name| covers(name, host)),
            // IpAddr keeps an IPv4-mapped IPv6 address apart from the IPv4 one, as the entries'
            // lengths do.
            Self::Ip(host) => certificate.ip_addresses().any(|address| address == *host),
        }
    }

    /// What to say of the presented DNS name that comes nearest without matching: the first of
    /// those that have most labels in common, and among these of those that somebody may have
    /// thought do match. What is merely near is only named where not all are listed.
    fn nearest_of<'n>(&self, names: impl Iterator<Item = &'n str>, is_cut: bool) -> Option<String> {
        let near = names.filter_map(|name| Some((self.near(name)?, name)));
        let near = near.filter(|((_, miss), _)| is_cut || *miss != Miss::Another);
        let nearest = near.reduce(|best, each| if each.0 > best.0 { each } else { best });
        let ((_, miss), name) = nearest?;
        Some(match (miss, self) {
            (Miss::Another, _) => format!("the nearest of them is {name}"),
            (Miss::TooWide, _) => {
                format!("\"{name}\" is too wide: at least two labels must follow a wildcard")
            }
            (Miss::Base, Self::Dns(host)) => {
                format!("\"{name}\" covers one label, not {host} itself")
            }
            (_, Self::Dns(host)) => format!("\"{name}\" covers one label, not {host}"),
            (_, Self::Ip(host)) => format!(
                "\"{host}\" is in it as a DNS name, and an IP address is matched by an iPAddress entry only"
            ),
        })
    }

    /// How many labels a presented DNS name that does not match has in common with the host, and
    /// how it misses it. One that is not well formed is not near.
    fn near(&self, name: &str) -> Option<(usize, Miss)> {
        let host = match self {
            Self::Ip(host) => {
                let is_it = name.parse().is_ok_and(|address: IpAddr| address == *host);
                return is_it.then_some((0, Miss::AsText));
            }
            Self::Dns(host) => host,
        };
        let base = name.strip_prefix("*.").unwrap_or(name);
        if !is_dns_name(base) {
            return None;
        }
        let pairs = host.rsplit('.').zip(base.rsplit('.'));
        let common = pairs.take_while(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs));
        let (common, labels) = (common.count(), base.split('.').count());
        let is_wildcard = base.len() < name.len();
        Some((
            common,
            match (is_wildcard, common == labels) {
                (true, true) if host.len() == base.len() => Miss::Base,
                (true, true) if labels == 1 => Miss::TooWide,
                (true, true) => Miss::OneLabel,
                // A top-level domain is nothing in common.
                _ if common < 2 => return None,
                _ => Miss::Another,
            },
        ))
    }
}

/// How a presented name misses the host: the more it looks like a match, the further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// It is another name of the same domain.
    Another,
    /// A wildcard over all of a top-level domain.
    TooWide,
    /// A wildcard, and the host has more labels than it stands for.
    OneLabel,
    /// A wildcard, and the host is what follows it.
    Base,
    /// The address, and a DNS name is no address.
    AsText,
}

/// Whether a presented name is `host`, which is well formed: what is not can neither equal it nor
/// what follows its first label, and so needs no look of its own.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        // RFC 9525 §6.3, and two labels so that nobody gets all of a top-level domain.
        Some(base) => {
            let after_first_label = host.split_once('.').map(|(_, after)| after);
            base.contains('.')
                && after_first_label.is_some_and(|after| after.eq_ignore_ascii_case(base))
        }
        None => name.eq_ignore_ascii_case(host),
    }
}

/// RFC 1123 §2.1 and RFC 1035 §2.3.4, with the underscore that is in use in names of services. A
/// last label that reads as a number would make it an IPv4 address to others (WHATWG URL, "ends in
/// a number").
fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_some_and(is_number)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

pub(super) fn is_number(label: &str) -> bool {
    match label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"))
    {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// As it goes into a list of names: quoted if it is no DNS name, so that it cannot pose as the rest
/// of the sentence.
fn shown_name(name: &str) -> String {
    if is_dns_name(name.strip_prefix("*.").unwrap_or(name)) {
        name.to_owned()
    } else {
        format!("\"{}\"", Shown(name))
    }
}

/// How many names of a long list the sentence has.
const SAMPLE: usize = 2;

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::*;
    use super::*;

    fn certificate(
        common_name: Option<&str>,
        dns_names: &[&str],
        addresses: &[&str],
        uris: &[&str],
    ) -> Certificate {
        let addresses = addresses
            .iter()
            .map(|address| match address.parse().unwrap() {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            });
        let addresses = addresses.collect::<Vec<_>>();
        let entries = dns_names.iter().map(|name| (DNS, name.as_bytes()));
        let entries = entries.chain(addresses.iter().map(|address| (IP, &address[..])));
        let entries = entries
            .chain(uris.iter().map(|uri| (URI, uri.as_bytes())))
            .collect::<Vec<_>>();
        let common_name = common_name.map(|text| (CN, 0x0c, text.as_bytes()));
        Forged {
            subject: name(common_name.as_slice()),
            extensions: if entries.is_empty() {
                vec![]
            } else {
                vec![alternative_names(&entries)]
            },
            ..Forged::default()
        }
        .certificate()
    }

    /// The pairs that others' tests agree or disagree on, with the answer of the rules above.
    #[test]
    fn gathered_pairs() {
        let gathered: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/hostnames.json")).unwrap();
        let vectors = gathered["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 203);
        for vector in vectors {
            let texts = |field: &str| {
                let texts = vector[field].as_array().into_iter().flatten();
                texts.map(|text| text.as_str().unwrap()).collect::<Vec<_>>()
            };
            let certificate = certificate(
                vector["subject_cn"].as_str(),
                &texts("san_dns"),
                &texts("san_ip"),
                &texts("san_uri"),
            );
            let host = vector["host"].as_str().unwrap();
            let verdict = match match_hostname(&certificate, host) {
                Ok(()) => "match",
                Err(mismatch) if mismatch.host_is_valid() => "no_match",
                Err(_) => "invalid_reference",
            };
            assert_eq!(
                verdict,
                vector["strict_verdict"].as_str().unwrap(),
                "{vector}"
            );
        }
    }

    #[test]
    fn what_a_host_is() {
        let long_label = "a".repeat(63);
        let longest = [&*long_label, &long_label, &long_label, &long_label[2..]].join(".");
        for (host, parsed) in [
            ("example.com", "dns example.com"),
            ("example.com.", "dns example.com"),
            ("example.com..", "none"),
            ("1a.example", "dns 1a.example"),
            ("a.1b", "dns a.1b"),
            ("a.0x1f", "none"),
            ("a.0X", "none"),
            ("a.1", "none"),
            ("1.", "none"),
            ("127.0.0.1", "ip 127.0.0.1"),
            ("127.0.0.1.", "none"),
            ("127.0.0.01", "none"),
            ("[127.0.0.1]", "none"),
            ("[::1]", "ip ::1"),
            ("::1", "ip ::1"),
            ("[::1", "none"),
            ("::1]", "none"),
            ("[::1].", "none"),
            ("fe80::1%eth0", "none"),
            ("::ffff:192.0.2.1", "ip ::ffff:192.0.2.1"),
            ("_dmarc.example", "dns _dmarc.example"),
            ("a-.example", "none"),
            ("example.com:443", "none"),
            ("a\0.example", "none"),
            (&longest, &format!("dns {longest}")),
            (&format!("{longest}."), &format!("dns {longest}")),
            (&format!("a{longest}"), "none"),
            (&format!("a{long_label}.example"), "none"),
        ] {
            let read = match Reference::parse(host) {
                Some(Reference::Dns(name)) => format!("dns {name}"),
                Some(Reference::Ip(address)) => format!("ip {address}"),
                None => "none".to_owned(),
            };
            assert_eq!(read, parsed, "{host}");
        }
    }

    #[test]
    fn addresses_match_by_value_and_family() {
        let named = ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.9"];
        for (host, matches) in [
            ("192.0.2.1", true),
            ("2001:DB8:0::1", true),
            ("[2001:db8::1]", true),
            ("::ffff:192.0.2.9", true),
            ("192.0.2.9", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", false),
        ] {
            assert_eq!(
                match_hostname(&certificate(None, &[], &named, &[]), host).is_ok(),
                matches,
                "{host}"
            );
        }
    }

    #[test]
    fn the_sentence() {
        let sixteen = (0..16).map(|i| match i {
            0 => "www.example.org".to_owned(),
            1 => "*.example.net".to_owned(),
            _ => format!("h{i}.example.net"),
        });
        let sixteen = sixteen.collect::<Vec<_>>();
        let sixteen = sixteen.iter().map(String::as_str).collect::<Vec<_>>();
        let near = [&sixteen[..], &["a.b.shop.example", "shop.example.net"]].concat();
        let bad = "e\u{1b}[2J; it was checked for \"x\"";
        for (common_name, dns_names, addresses, host, sentence) in [
            (
                None,
                &sixteen[..],
                &[][..],
                "example.com",
                "the certificate is valid for www.example.org, *.example.net and 14 more; \
                 it was checked for \"example.com\"",
            ),
            (
                Some("example.com"),
                &["a.example"],
                &[],
                "example.com",
                "the certificate is valid for a.example; it was checked for \"example.com\"",
            ),
            (
                None,
                &["a.example", "b.example"],
                &["192.0.2.1", "::1"],
                "192.0.2.7",
                "the certificate is valid for a.example, b.example, 192.0.2.1, ::1; \
                 it was checked for \"192.0.2.7\"",
            ),
            (
                None,
                &[],
                &[],
                "example.com",
                "the certificate names no host; it was checked for \"example.com\"",
            ),
            (
                Some("example.com"),
                &[],
                &[],
                "example.com",
                "the certificate names no host but its common name \"example.com\", which is not used (RFC 9525); \
                 it was checked for \"example.com\"",
            ),
            (
                None,
                &["*.example.com"],
                &[],
                "A.b.example.com",
                "the certificate is valid for *.example.com; it was checked for \"A.b.example.com\"; \
                 \"*.example.com\" covers one label, not A.b.example.com",
            ),
            (
                None,
                &["*.example.com"],
                &[],
                "example.com.",
                "the certificate is valid for *.example.com; it was checked for \"example.com.\"; \
                 \"*.example.com\" covers one label, not example.com itself",
            ),
            (
                None,
                &["*.com"],
                &[],
                "example.com",
                "the certificate is valid for *.com; it was checked for \"example.com\"; \
                 \"*.com\" is too wide: at least two labels must follow a wildcard",
            ),
            (
                None,
                &[
                    "*.com",
                    "*.example.com",
                    "*.b.example.com",
                    "x.b.example.com",
                    "*.B.example.com",
                ],
                &[],
                "a.a.b.example.com",
                "the certificate is valid for *.com, *.example.com, *.b.example.com, x.b.example.com, *.B.example.com; \
                 it was checked for \"a.a.b.example.com\"; \
                 \"*.b.example.com\" covers one label, not a.a.b.example.com",
            ),
            (
                None,
                &near[..],
                &[],
                "www.shop.Example.net",
                "the certificate is valid for www.example.org, *.example.net and 16 more; \
                 it was checked for \"www.shop.Example.net\"; the nearest of them is shop.example.net",
            ),
            (
                None,
                &near[..17],
                &[],
                "www.shop.example.net",
                "the certificate is valid for www.example.org, *.example.net and 15 more; \
                 it was checked for \"www.shop.example.net\"; \
                 \"*.example.net\" covers one label, not www.shop.example.net",
            ),
            (
                None,
                &near[2..],
                &[],
                "net",
                "the certificate is valid for h2.example.net, h3.example.net and 14 more; \
                 it was checked for \"net\"",
            ),
            (
                None,
                &["192.0.2.1"],
                &[],
                "192.0.2.1",
                "the certificate is valid for \"192.0.2.1\"; it was checked for \"192.0.2.1\"; \
                 \"192.0.2.1\" is in it as a DNS name, and an IP address is matched by an iPAddress entry only",
            ),
            (
                None,
                &["a.example", bad],
                &[],
                "b\u{202e}.example",
                "the certificate is valid for a.example, \
                 \"e\\u{1b}[2J; it was checked for \\u{22}x\\u{22}\"; \
                 it was checked for \"b\\u{202e}.example\", which is neither a host name nor an IP address",
            ),
        ] {
            let mismatch =
                match_hostname(&certificate(common_name, dns_names, addresses, &[]), host)
                    .unwrap_err();
            assert_eq!(mismatch.to_string(), sentence);
            assert_eq!(mismatch.total(), dns_names.len() + addresses.len());
            assert_eq!(mismatch.names().len(), mismatch.total().min(8));
            assert_eq!(mismatch.host(), Shown(host).to_string());
        }
    }

    #[test]
    fn ten_thousand_names() {
        let names = (0..10_000)
            .map(|i| format!("h{i}.{}.example", "x".repeat(60)))
            .collect::<Vec<_>>();
        let names = names.iter().map(String::as_str).collect::<Vec<_>>();
        let certificate = certificate(None, &names, &[], &[]);
        assert_eq!(match_hostname(&certificate, names[9_999]), Ok(()));
        let mismatch = match_hostname(&certificate, "a.example").unwrap_err();
        assert_eq!((mismatch.names().len(), mismatch.total()), (8, 10_000));
        assert!(
            mismatch.to_string().contains(" and 9998 more; "),
            "{mismatch}"
        );
        assert!(mismatch.to_string().len() < 300);
    }
}
