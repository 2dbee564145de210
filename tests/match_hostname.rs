//! `match_hostname` beside Python's: each pair that its versions, or OpenSSL, judged in their own
//! ways, and our answer. Where that is not Python 2.7's, the row says why.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "the profile needs more of it")]
#[path = "support/mint.rs"]
mod mint;

use mint::{Tbs, name, sequence, tlv};
use rcgen::KeyPair;
use urlfetch::ssl::match_hostname;
use urlfetch::tls::Certificate;

/// A certificate, a host, and what is said of them.
struct Row {
    common_names: &'static [&'static str],
    /// The names of one kind in subjectAltName, by the tag of GeneralName.
    alternatives: (u8, &'static [&'static [u8]]),
    host: &'static str,
    /// What `match_hostname` of 2.7, of 3.6 and of 3.7 said, and OpenSSL in a handshake: `y`, `n`,
    /// `e` for an error about the certificate as a whole, `?` where nobody looked.
    in_python: &'static str,
    ours: Answer,
}

#[derive(Clone, Copy)]
enum Answer {
    /// As 2.7 did, it matches.
    Yes,
    /// As 2.7 did not, it does not match, and this is said.
    No(&'static str),
    /// It matches, unlike in 2.7, and why.
    ButYes(&'static str),
    /// It does not match, unlike in 2.7, what is said, and why.
    ButNo(&'static str, &'static str),
}

use Answer::{ButNo, ButYes, No, Yes};

#[test]
fn each_pair_has_its_answer() {
    for row in ROWS {
        let certificate = row.certificate();
        let matched = match_hostname(&certificate, row.host);
        let shown = format!("{:?} {certificate:?} {:?}", row.host, row.alternatives);
        let (is_match, says, as_in_2_7) = match row.ours {
            Yes => (true, "", true),
            No(says) => (false, says, true),
            ButYes(_) => (true, "", false),
            ButNo(says, _) => (false, says, false),
        };
        assert_eq!(matched.is_ok(), is_match, "{shown}");
        if let Err(mismatch) = matched {
            assert!(mismatch.to_string().contains(says), "{mismatch}");
        }
        let in_2_7 = row.in_python.starts_with('y');
        assert_eq!(in_2_7 == is_match, as_in_2_7, "{shown}");
        assert_eq!(row.in_python.len(), 4, "{shown}");
        if let ButYes(why) | ButNo(_, why) = row.ours {
            assert!(why.contains("RFC "), "{why}");
        }
    }
}

/// The forms of names, wildcards, the common name, addresses, what is no host.
const ROWS: &[Row] = &[
    dns(&[b"A.com"], "a.COM", "yyyy", Yes),
    dns(&[b"a.com"], "b.com", "nnnn", No("checked for \"b.com\"")),
    dns(
        &[b"a.com"],
        "a.com.",
        "nnnn",
        ButYes("the dot of the root names the same host (RFC 1034 §3.1)"),
    ),
    dns(&[b"*.a.com"], "foo.a.com", "yyyy", Yes),
    dns(
        &[b"*.a.com"],
        "b.foo.a.com",
        "nnnn",
        No("covers one label, not b.foo.a.com"),
    ),
    dns(
        &[b"*.a.com"],
        "a.com",
        "nnnn",
        No("covers one label, not a.com itself"),
    ),
    dns(
        &[b"*.a.com"],
        ".a.com",
        "nnnn",
        No("neither a host name nor an IP address"),
    ),
    dns(&[b"*.com"], "x.com", "yyyn", ButNo("too wide", TOO_WIDE)),
    // Nobody owns it: what the rule `wildcard-public-suffix` of a policy refuses.
    dns(&[b"*.co.uk"], "x.co.uk", "yyyy", Yes),
    dns(&[b"*"], "localhost", "yyen", ButNo("\"*\"", TOO_WIDE)),
    dns(
        &[b"f*.a.com"],
        "foo.a.com",
        "yyen",
        ButNo("\"f*.a.com\"", WHOLE_LABEL),
    ),
    dns(
        &[b"*oo.a.com"],
        "foo.a.com",
        "yyen",
        ButNo("\"*oo.a.com\"", WHOLE_LABEL),
    ),
    dns(
        &[b"f*o.a.com"],
        "foo.a.com",
        "yyen",
        ButNo("\"f*o.a.com\"", WHOLE_LABEL),
    ),
    dns(&[b"a*b*.com"], "axxb.com", "eeen", No("\"a*b*.com\"")),
    dns(
        &[b"a*b*.com", b"host.com"],
        "host.com",
        "eee?",
        ButYes(
            "a name that is not well formed matches nothing, and the others count (RFC 9525 §6.2)",
        ),
    ),
    dns(&[b"*.*.a.com"], "x.y.a.com", "nnen", No("\"*.*.a.com\"")),
    dns(&[b"a.*.com"], "a.b.com", "nnen", No("\"a.*.com\"")),
    dns(
        &[b"xn--p*.a.com"],
        "xn--paf-8la.a.com",
        "nnen",
        No("\"xn--p*.a.com\""),
    ),
    dns(
        &[b"x*.a.com"],
        "xn--paf-8la.a.com",
        "nnen",
        No("\"x*.a.com\""),
    ),
    dns(&[b"*.python.org"], "xn--paf-8la.python.org", "yyyy", Yes),
    dns(&[b"*.a.com"], "_x.a.com", "yyyn", Yes),
    dns(&[b"_x.a.com"], "_x.a.com", "yyyy", Yes),
    cn(
        &["a.com"],
        (DNS, &[b"b.com"]),
        "a.com",
        "nnnn",
        No("valid for b.com"),
    ),
    cn(
        &["a.com"],
        (EMAIL, &[b"who@a.com"]),
        "a.com",
        "yyyy",
        ButNo(NO_NAME, NO_COMMON_NAME),
    ),
    cn(
        &["a.com"],
        (URI, &[b"https://a.com/"]),
        "a.com",
        "yyyy",
        ButNo(NO_NAME, NO_COMMON_NAME),
    ),
    cn(
        &["a.com"],
        (OTHER, &[b"\x06\x02\x2a\x03\xa0\x07\x0c\x05a.com"]),
        "a.com",
        "yyyy",
        ButNo(NO_NAME, NO_COMMON_NAME),
    ),
    cn(
        &["a.com"],
        (IP, &[&[192, 0, 2, 1]]),
        "a.com",
        "ynny",
        ButNo("valid for 192.0.2.1", NO_COMMON_NAME),
    ),
    cn(
        &["a.com"],
        (DNS, &[]),
        "a.com",
        "yyyy",
        ButNo(NO_NAME, NO_COMMON_NAME),
    ),
    cn(
        &["b.com", "a.com"],
        (DNS, &[]),
        "a.com",
        "yyyy",
        ButNo(NO_NAME, NO_COMMON_NAME),
    ),
    cn(
        &["a.com"],
        (DNS, &[b""]),
        "a.com",
        "nnn?",
        No("valid for \"\""),
    ),
    cn(
        &["a.com\0.b.com"],
        (DNS, &[]),
        "a.com",
        "nnn?",
        No("a.com\\u{0}.b.com"),
    ),
    dns(
        &[b"a.com\0.b.com"],
        "a.com",
        "nnn?",
        No("a.com\\u{0}.b.com"),
    ),
    ip(&[&[192, 0, 2, 1]], "192.0.2.1", "nyyy", ButYes(BY_ADDRESS)),
    dns(
        &[b"192.0.2.1"],
        "192.0.2.1",
        "ynnn",
        ButNo("matched by an iPAddress entry only", ADDRESS_ONLY),
    ),
    cn(
        &["192.0.2.1"],
        (DNS, &[]),
        "192.0.2.1",
        "yyyn",
        ButNo(NO_NAME, ADDRESS_ONLY),
    ),
    dns(
        &[b"*.0.2.1"],
        "192.0.2.1",
        "ynnn",
        ButNo("*.0.2.1", ADDRESS_ONLY),
    ),
    ip(&[&V6], "2001:db8::1", "nyyy", ButYes(BY_ADDRESS)),
    ip(&[&V6], "2001:DB8:0:0:0:0:0:1", "nyyy", ButYes(BY_ADDRESS)),
    ip(
        &[&V6],
        "[2001:db8::1]",
        "nnnn",
        ButYes("so a URL writes it (RFC 3986 §3.2.2)"),
    ),
    ip(
        &[&[127, 0, 0, 1]],
        "127.1",
        "nnnn",
        No("neither a host name nor an IP address"),
    ),
    ip(
        &[&[127, 0, 0, 1]],
        "2130706433",
        "nnnn",
        No("neither a host name nor an IP address"),
    ),
    ip(
        &[&[192, 0, 2, 1]],
        "::ffff:192.0.2.1",
        "nnnn",
        No("valid for 192.0.2.1"),
    ),
    dns(&[b"a.com."], "a.com", "nnnn", No("\"a.com.\"")),
    cn(
        &[],
        (DNS, &[]),
        "a.com",
        "eee?",
        No("the certificate names no host"),
    ),
    dns(
        &[b"a.com"],
        "",
        "nnne",
        No("neither a host name nor an IP address"),
    ),
    dns(
        &[b"a.com"],
        ".a.com",
        "nnne",
        No("neither a host name nor an IP address"),
    ),
    // Whoever has a URL has the A-label by it.
    dns(
        &[b"xn--bcher-kva.com"],
        "b\u{fc}cher.com",
        "nnny",
        No("neither a host name nor an IP address"),
    ),
    dns(
        &["b\u{fc}cher.com".as_bytes()],
        "b\u{fc}cher.com",
        "yyy?",
        ButNo(
            "neither a host name nor an IP address",
            "names are compared as A-labels (RFC 9525 §6.3)",
        ),
    ),
];

const fn dns(
    names: &'static [&'static [u8]],
    host: &'static str,
    in_python: &'static str,
    ours: Answer,
) -> Row {
    cn(&[], (DNS, names), host, in_python, ours)
}

const fn ip(
    addresses: &'static [&'static [u8]],
    host: &'static str,
    in_python: &'static str,
    ours: Answer,
) -> Row {
    cn(&[], (IP, addresses), host, in_python, ours)
}

const fn cn(
    common_names: &'static [&'static str],
    alternatives: (u8, &'static [&'static [u8]]),
    host: &'static str,
    in_python: &'static str,
    ours: Answer,
) -> Row {
    Row {
        common_names,
        alternatives,
        host,
        in_python,
        ours,
    }
}

impl Row {
    fn certificate(&self) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut tbs = Tbs::new(name(self.common_names), name(&["issuer"]), &key);
        let (kind, names) = self.alternatives;
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| tlv(kind, &[name])).collect();
            tbs.set("2.5.29.17", false, sequence(&[&names.concat()]));
        }
        Certificate::from_der(&tbs.sign(&key)).unwrap()
    }
}

const NO_NAME: &str = "the certificate names no host but its common name";
const TOO_WIDE: &str = "two labels at least follow a wildcard; RFC 9525 §7.1 warns of wider ones";
const WHOLE_LABEL: &str = "a wildcard is the whole left-most label (RFC 9525 §6.3)";
const NO_COMMON_NAME: &str = "a common name identifies no host (RFC 9525 §2)";
const BY_ADDRESS: &str = "an address is matched by an equal iPAddress (RFC 9525 §6.4)";
const ADDRESS_ONLY: &str = "an address is matched by an iPAddress only (RFC 9525 §6.4)";

/// The tags of GeneralName, RFC 5280 §4.2.1.6.
const OTHER: u8 = 0xa0;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
