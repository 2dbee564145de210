//! How names are written: host names, mailboxes, URIs.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::tls::hostname::is_number;

/// What keeps this from being a host name in the preferred syntax (RFC 1034 §3.5, RFC 1123 §2.1),
/// which RFC 5280 §4.2.1.6 demands.
pub(super) fn host_fault(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or_default();
    match name {
        "" => Some("is empty"),
        _ if name.len() > 253 => Some("is longer than 253 characters"),
        _ if last.is_empty() => Some("ends in a dot"),
        // No top-level domain is a number, so that no name reads as an address (RFC 1123 §2.1).
        _ if is_number(last) => Some("reads as an IP address"),
        _ => name.split('.').find_map(label_fault),
    }
}

fn label_fault(label: &str) -> Option<&'static str> {
    let is_ldh = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if label.is_empty() {
        Some("has an empty label")
    } else if label.len() > 63 {
        Some("has a label of more than 63 characters")
    } else if !label.bytes().all(is_ldh) {
        Some("has other characters than letters, digits and hyphens")
    } else if label.starts_with('-') || label.ends_with('-') {
        Some("has a label that begins or ends with a hyphen")
    } else {
        None
    }
}

/// A host name, or a domain with a dot before it: what a constraint of addresses or URIs names (RFC
/// 5280 §4.2.1.10).
pub(super) fn is_host_or_domain(text: &str) -> bool {
    host_fault(text.strip_prefix('.').unwrap_or(text)).is_none()
}

/// A Mailbox of RFC 5321 §4.1.2, without its bounds.
pub(super) fn is_mailbox(text: &str) -> bool {
    // A quoted local part may have an @, a domain has none.
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let quoted = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let is_local = match quoted {
        Some(quoted) => is_quoted(quoted),
        None => local.split('.').all(is_atom),
    };
    let literal = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    is_local
        && match literal {
            Some(literal) => is_address_literal(literal),
            None => host_fault(domain).is_none(),
        }
}

/// The inside of a Quoted-string: a backslash takes the next character as it is.
fn is_quoted(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_good = match byte {
            b'\\' => bytes.next().is_some_and(|next| matches!(next, b' '..=b'~')),
            b'"' => false,
            _ => matches!(byte, b' '..=b'~'),
        };
        if !is_good {
            return false;
        }
    }
    true
}

/// RFC 5322 §3.2.3.
fn is_atom(text: &str) -> bool {
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_atext)
}

fn is_address_literal(text: &str) -> bool {
    match text.strip_prefix("IPv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => text.parse::<Ipv4Addr>().is_ok(),
    }
}

/// An absolute URI: a scheme and something behind it (RFC 3986 §3).
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    is_scheme && !rest.is_empty() && rest.bytes().all(is_allowed)
}

/// One that names a host, if it has an authority at all (RFC 5280 §4.2.1.6).
pub(super) fn is_uri_of_host(text: &str) -> bool {
    let authority = text.split_once(':').and_then(|(_, rest)| {
        let rest = rest.strip_prefix("//")?;
        rest.split(['/', '?', '#']).next()
    });
    is_uri(text) && authority.is_none_or(is_authority)
}

/// RFC 3986 §3.2.
fn is_authority(authority: &str) -> bool {
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    is_port(port) && (host.parse::<Ipv4Addr>().is_ok() || host_fault(host).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let long = format!("{}.test", "a".repeat(63));
        for name in [
            "a",
            "a.b",
            "xn--bcher-kva.example",
            "1.a",
            "3com.com",
            &long,
        ] {
            assert_eq!(host_fault(name), None, "{name}");
        }
        let labels = ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".");
        for (name, fault) in [
            ("", "empty"),
            (".", "dot"),
            ("a.", "dot"),
            (".a", "empty label"),
            ("a..b", "empty label"),
            ("-a.b", "hyphen"),
            ("a-.b", "hyphen"),
            ("a_b.c", "letters"),
            ("*.a", "letters"),
            ("a b", "letters"),
            ("é.fr", "letters"),
            ("1.2.3.4", "IP address"),
            ("a.4", "IP address"),
            ("::1", "letters"),
            (&format!("a{long}"), "63"),
            (&format!("{labels}.{}", "d".repeat(62)), "253"),
        ] {
            let found = host_fault(name).unwrap_or_default();
            assert!(found.contains(fault), "{name}: {found}");
        }
        for (text, is_good) in [("a.b", true), (".a.b", true), ("..a", false), ("", false)] {
            assert_eq!(is_host_or_domain(text), is_good, "{text}");
        }
    }

    #[test]
    fn mailboxes() {
        for good in [
            "a@b.example",
            "a.b+c@b.example",
            "*@b.example",
            "\"a@b\"@c.example",
            "\"a\\\"b\"@c.example",
            "a@[192.0.2.1]",
            "a@[IPv6:::1]",
        ] {
            assert!(is_mailbox(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b@c.example",
            "a b@c.example",
            ".a@b.example",
            "a..b@c.example",
            "\"a\"b\"@c.example",
            "\"a\\\"@c.example",
            "\"@c.example",
            "a@b_c.example",
            "a@[b]",
            "a@b.example.",
            "é@b.example",
        ] {
            assert!(!is_mailbox(bad), "{bad}");
        }
    }

    #[test]
    fn uris() {
        for good in [
            "http://a.example",
            "http://a.example:80/x?y#z",
            "http://u@a.example/",
            "http://192.0.2.1/",
            "http://[::1]:80/",
            "spiffe://cluster.local/ns/a",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "mailto:a@b",
        ] {
            assert!(is_uri_of_host(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "/a",
            "http:",
            ":a",
            "1a:b",
            "http://",
            "http:///a",
            "http://a b/",
            "http://a.example/<>",
            "http://[::1",
            "http://[a]/",
            "http://a.example:x/",
            "http://a_b.example/",
            "http://é.example/",
            "ldap:///CN=a",
        ] {
            assert!(!is_uri_of_host(bad), "{bad}");
        }
        assert!(is_uri("ldap:///CN=a?b?base?c=d"));
    }
}
