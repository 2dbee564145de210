//! What holds for which host: a pattern names a host, or all that is below a name, and of those
//! that cover a host the most specific one counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};

use super::origin::Origin;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::shown::Shown;

/// One `T` for each host.
///
/// The host of a pattern is read as that of a request is, by [`Origin`], so that no other spelling
/// of a host leads past its pattern: not capitals, not a U-label, not a dot at the end, and no
/// other way to write an address.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerHost<T> {
    /// For whom no pattern covers.
    others: T,
    hosts: HashMap<String, T>,
    /// By the name that they are below.
    below: HashMap<String, T>,
}

impl<T> PerHost<T> {
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a pattern cannot be read, or is there twice.
    pub(super) fn new(others: T, patterns: impl IntoIterator<Item = (String, T)>) -> Result<Self> {
        let mut per_host = Self {
            others,
            hosts: HashMap::new(),
            below: HashMap::new(),
        };
        for (text, value) in patterns {
            match per_host.place(&text)? {
                Entry::Vacant(place) => _ = place.insert(value),
                Entry::Occupied(_) => return Err(repeated(&text)),
            }
        }
        Ok(per_host)
    }

    /// Says what holds for a pattern, whatever was said of it before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the pattern cannot be read.
    pub(super) fn set(&mut self, pattern: &str, value: T) -> Result<()> {
        self.place(pattern)?.insert_entry(value);
        Ok(())
    }

    fn place(&mut self, pattern: &str) -> Result<Entry<'_, String, T>> {
        match Pattern::read(pattern).ok_or_else(|| unreadable(pattern))? {
            Pattern::Host(host) => Ok(self.hosts.entry(host)),
            Pattern::Below(name) => Ok(self.below.entry(name)),
        }
    }

    /// What holds for an origin's host: what is said of the host itself, else of all below the
    /// longest name, else of all others.
    pub(super) fn of(&self, origin: &Origin) -> &T {
        self.of_host(origin.host())
    }

    /// The same for a host as an [`Origin`] has it.
    pub(super) fn of_host(&self, host: &str) -> &T {
        // As most clients have no patterns, and each request asks.
        if self.hosts.is_empty() && self.below.is_empty() {
            return &self.others;
        }
        let host = told_apart(host);
        let mut above = host.match_indices('.').map(|(dot, _)| host.get(dot + 1..));
        let below = || above.find_map(|name| self.below.get(name?));
        let found = self.hosts.get(&*host).or_else(below);
        found.unwrap_or(&self.others)
    }
}

/// What a pattern covers.
enum Pattern {
    Host(String),
    /// Every name below this one, at any depth, and not the name itself.
    Below(String),
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        // Any port does: the host is what is read.
        let read = |host| Origin::tls(host, 443).ok();
        let Some(name) = text.strip_prefix(BELOW) else {
            return Some(Self::Host(told_apart(read(text)?.host()).into_owned()));
        };
        let name = told_apart(read(name)?.host()).into_owned();
        // Nothing is below an address.
        name.parse::<IpAddr>().is_err().then_some(Self::Below(name))
    }
}

/// The form of an origin's host that is the same for all that lead to one place: without the dot at
/// the end of a name, and with the IPv4 address that an IPv6 address stands for (RFC 4291
/// §2.5.5.2).
fn told_apart(host: &str) -> Cow<'_, str> {
    match host
        .parse::<Ipv6Addr>()
        .ok()
        .and_then(|v6| v6.to_ipv4_mapped())
    {
        Some(address) => Cow::Owned(address.to_string()),
        None => Cow::Borrowed(host.strip_suffix('.').unwrap_or(host)),
    }
}

fn unreadable(pattern: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "the host pattern \"{}\" is neither a host name nor an IP address, nor \"*.\" and a \
             name",
            Shown(pattern)
        ),
    )
    .with_hint(Some(
        "it has no scheme, no port and no path, and \"*.\" stands at its beginning only: \
         *.bank.example is all that is below bank.example",
    ))
}

fn repeated(pattern: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "the host pattern \"{}\" is there twice, in this spelling or in another",
            Shown(pattern)
        ),
    )
}

const BELOW: &str = "*.";

#[cfg(test)]
mod tests {
    use super::*;

    fn per_host(patterns: &[&'static str]) -> Result<PerHost<&'static str>> {
        let patterns = patterns.iter().map(|each| ((*each).to_owned(), *each));
        PerHost::new("others", patterns)
    }

    fn at(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_pattern_covers_what_it_names_in_every_spelling() {
        let long = format!("https://{}bank.example/", "a.".repeat(100));
        // (the pattern, a URL, whether it covers that)
        let rows = [
            ("bank.example", "https://bank.example/", true),
            ("bank.example", "https://bank.example:8443/x", true),
            ("bank.example", "https://BANK.example/", true),
            ("bank.example", "https://bank.example./", true),
            ("bank.example", "https://b\u{ff41}nk.example\u{3002}/", true),
            ("bank.example", "https://%62ank.example/", true),
            ("Bank.EXAMPLE", "https://bank.example/", true),
            ("bank.example.", "https://bank.example/", true),
            ("bank.example", "https://www.bank.example/", false),
            ("bank.example", "https://bank.example.test/", false),
            ("bank.example", "https://example/", false),
            ("bank.example", "https://ank.example/", false),
            // All that is below, at any depth, and not the name itself.
            ("*.bank.example", "https://www.bank.example/", true),
            ("*.bank.example", "https://WWW.Bank.Example./", true),
            ("*.bank.example", "https://a.b.c.bank.example/", true),
            ("*.bank.example", &long, true),
            ("*.Bank.Example.", "https://www.bank.example/", true),
            ("*.bank.example", "https://bank.example/", false),
            ("*.bank.example", "https://bank.example./", false),
            ("*.bank.example", "https://mybank.example/", false),
            ("*.bank.example", "https://bank.example.test/", false),
            ("*.example", "https://bank.example/", true),
            ("*.example", "https://example/", false),
            ("*.bank_1.example", "https://a.bank_1.example/", true),
            // Other alphabets.
            (
                "b\u{fc}cher.example",
                "https://xn--bcher-kva.example/",
                true,
            ),
            (
                "xn--bcher-kva.example",
                "https://B\u{dc}CHER.example/",
                true,
            ),
            (
                "*.b\u{fc}cher.example",
                "https://a.xn--bcher-kva.example/",
                true,
            ),
            ("b\u{fc}cher.example", "https://bucher.example/", false),
            // Addresses.
            ("127.0.0.1", "https://127.0.0.1/", true),
            ("127.0.0.1", "https://0x7f.1/", true),
            ("127.1", "https://127.0.0.1/", true),
            ("127.0.0.1", "https://127.0.0.2/", false),
            ("127.0.0.1", "https://[::ffff:127.0.0.1]/", true),
            ("::ffff:127.0.0.1", "https://127.0.0.1/", true),
            ("::1", "https://[::1]/", true),
            ("[::1]", "https://[0:0::1]/", true),
            ("[2001:DB8::1]", "https://[2001:db8:0::1]/", true),
            ("::1", "https://[::2]/", false),
            ("::1", "https://0.0.0.1/", false),
        ];
        for (pattern, url, covers) in rows {
            let per_host = per_host(&[pattern]).unwrap();
            let found = *per_host.of(&at(url));
            assert_eq!(found == pattern, covers, "{pattern} {url}");
            assert_eq!(found == "others", !covers, "{pattern} {url}");
        }
    }

    #[test]
    fn the_most_specific_pattern_counts_whatever_their_order() {
        let mut patterns = [
            "*.example",
            "*.bank.example",
            "*.eu.bank.example",
            "pay.bank.example",
            "bank.example",
            "192.0.2.1",
        ];
        let rows = [
            ("pay.bank.example", "pay.bank.example"),
            ("a.pay.bank.example", "*.bank.example"),
            ("bank.example", "bank.example"),
            ("eu.bank.example", "*.bank.example"),
            ("pay.eu.bank.example", "*.eu.bank.example"),
            ("pay.eu.bank.example.", "*.eu.bank.example"),
            ("other.example", "*.example"),
            ("example", "others"),
            ("other.test", "others"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.2", "others"),
        ];
        for _ in 0..patterns.len() {
            patterns.rotate_left(1);
            let per_host = per_host(&patterns).unwrap();
            for (host, expected) in rows {
                let found = *per_host.of(&at(&format!("https://{host}/")));
                assert_eq!(found, expected, "{host}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_named_in_the_error() {
        let long = "a.".repeat(100_000);
        for pattern in [
            "",
            ".",
            "*",
            "*.",
            "*..",
            "**.bank.example",
            "*.*.bank.example",
            "a.*.example",
            "a*.example",
            "bank.*",
            "*bank.example",
            "*\u{3002}bank.example",
            "\u{ff0a}.bank.example",
            ".bank.example",
            "bank..example",
            "bank.example..",
            " bank.example",
            "bank.example ",
            "bank.example\n",
            "bank.example:443",
            "https://bank.example",
            "bank.example/",
            "user@bank.example",
            "one.example,two.example",
            "-a.example",
            "xn--a.example",
            "1.2.3.4.5",
            "256.0.0.1",
            "[::1",
            "[::1]:443",
            "fe80::1%eth0",
            "[127.0.0.1]",
            "*.127.0.0.1",
            "*.0.1",
            "*.[::1]",
            "*.::1",
            "10.0.0.0/8",
            "\u{1b}[2J",
            &long,
        ] {
            let pattern: &'static str = pattern.to_owned().leak();
            let error = per_host(&["good.example", pattern]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let says = format!("the host pattern \"{}\" is neither", Shown(pattern));
            assert!(error.to_string().starts_with(&says), "{error}");
            assert!(error.to_string().len() < 800, "{error}");
        }
    }

    #[test]
    fn a_host_has_one_pattern_in_whatever_spelling() {
        for (first, second) in [
            ("bank.example", "bank.example"),
            ("bank.example", "Bank.example."),
            ("*.bank.example", "*.BANK.example"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("::1", "[0::1]"),
            ("127.0.0.1", "[::ffff:7f00:1]"),
        ] {
            let error = per_host(&[first, "*.test", second]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let says = format!("the host pattern \"{}\" is there twice", Shown(second));
            assert!(error.to_string().starts_with(&says), "{error}");
        }
        // A name and what is below it are two.
        per_host(&["bank.example", "*.bank.example"]).unwrap();
    }
}
