//! Who is reached past the proxies: a list of hosts, as NO_PROXY has it. Pure.

use std::net::IpAddr;

use url::Host;

use super::net::Net;

/// A list of hosts.
#[derive(Debug, Default)]
pub(super) struct Bypass {
    everybody: bool,
    nets: Vec<Net>,
    /// In lower case, without a dot at either end.
    names: Vec<String>,
}

impl Bypass {
    /// Reads a list with commas or white space between its entries.
    ///
    /// An entry is `*`, an address with or without brackets, a network such as `10.0.0.0/8`, or a
    /// name, with `.` or `*.` before it or not: it stands for itself and for every name below it, as
    /// curl has it. What is none of these is nobody.
    pub(super) fn read(list: &str) -> Self {
        let mut bypass = Self::default();
        for entry in list.split(|c: char| c == ',' || c.is_ascii_whitespace()) {
            let bare = entry.strip_prefix('[').and_then(|e| e.strip_suffix(']'));
            let name = entry.strip_prefix("*.").unwrap_or(entry);
            let name = name.trim_matches('.');
            match (bare, Host::parse(name)) {
                _ if entry == "*" => bypass.everybody = true,
                (Some(address), _) => bypass.nets.extend(Net::around(address)),
                (None, Ok(Host::Domain(name))) => bypass.names.push(name),
                (None, Ok(Host::Ipv4(address))) => bypass.nets.push(Net::of(address.into())),
                (None, Ok(Host::Ipv6(address))) => bypass.nets.push(Net::of(address.into())),
                (None, Err(_)) => bypass.nets.extend(Net::around(name)),
            }
        }
        bypass
    }

    /// Whether a host is on it, as an origin has it: in lower case, an address without brackets.
    pub(super) fn has(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_listed = || match host.parse::<IpAddr>() {
            Ok(address) => self.nets.iter().any(|net| net.contains(address)),
            Err(_) => self.names.iter().any(|name| is_below(host, name)),
        };
        self.everybody || is_listed()
    }
}

/// Whether it is the name, or one below it.
fn is_below(host: &str, name: &str) -> bool {
    let before = host.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::super::origin::Origin;
    use super::*;

    #[test]
    fn a_list_names_those_who_are_reached_directly() {
        for (list, host, direct) in [
            ("", "example.com", false),
            ("example.com", "example.com", true),
            ("example.com", "www.example.com", true),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil.test", false),
            (".example.com", "example.com", true),
            (".example.com", "a.b.example.com", true),
            (".example.com", "notexample.com", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "notexample.com", false),
            ("EXAMPLE.com", "example.COM", true),
            ("example.com.", "example.com", true),
            ("example.com", "example.com.", true),
            ("www.example.com", "example.com", false),
            ("a.test, example.com", "example.com", true),
            ("a.test example.com", "example.com", true),
            (",,a.test,,", "a.test", true),
            ("b\u{fc}cher.test", "xn--bcher-kva.test", true),
            ("xn--bcher-kva.test", "B\u{dc}CHER.test", true),
            ("*", "example.com", true),
            ("*", "10.0.0.1", true),
            ("*", "[2001:db8::1]", true),
            ("a.test,*", "10.0.0.1", true),
            // An asterisk that is not alone is an asterisk.
            ("exa*", "example.com", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/8", "ten.test", false),
            ("0.0.1", "10.0.0.1", false),
            ("2001:db8::1", "[2001:DB8:0::1]", true),
            ("[2001:db8::1]", "[2001:db8::1]", true),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]", false),
            // Ports are not told apart: an entry with one is nobody's name.
            ("example.com:443", "example.com", false),
            ("localhost", "127.0.0.1", false),
        ] {
            let url = format!("https://{host}").parse().unwrap();
            let origin = Origin::of(&url).unwrap();
            let bypass = Bypass::read(list);
            assert_eq!(bypass.has(origin.host()), direct, "{list} {host}");
        }
    }
}
