//! Which certificate is for which host, on real certificates: what a URL makes of a host, what
//! `ServerName` takes, what `match_hostname` and `Verifier::judge` say, and what comes nearest.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "support/proof.rs"]
mod proof;

use std::time::SystemTime;

use proof::{Authority, Chain, below, ca, issue, leaf, now, root, store};
use rcgen::KeyPair;
use rustls::pki_types::{ServerName, UnixTime};
use url::Url;
use urlfetch::tls::{Certificate, Presented, Verdict, Verifier, match_hostname};

#[test]
fn a_host_is_matched_the_same_at_every_layer() {
    let world = World::new();
    let addresses = &["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.9"][..];
    let names = &[
        "example.com",
        "*.Wild.example",
        "xn--bcher-kva.example",
        "_s.example",
    ][..];
    // Each host as it is written in a URL, as it is to the judge, and whether it is matched.
    for (in_certificate, in_url, host, is_matched) in [
        (addresses, "192.0.2.1", "192.0.2.1", true),
        (addresses, "192.0.2.2", "192.0.2.2", false),
        // The URL standard reads numbers in any base; to the judge they come as addresses.
        (addresses, "0xc0.0.0x201", "192.0.2.1", true),
        (addresses, "[2001:db8::1]", "2001:db8::1", true),
        (addresses, "[2001:DB8:0:0::1]", "2001:db8::1", true),
        (addresses, "[2001:db8::2]", "2001:db8::2", false),
        (addresses, "[::ffff:192.0.2.9]", "::ffff:c000:209", true),
        (addresses, "192.0.2.9", "192.0.2.9", false),
        (addresses, "[::ffff:192.0.2.1]", "::ffff:c000:201", false),
        (addresses, "example.com", "example.com", false),
        (names, "example.com", "example.com", true),
        (names, "EXAMPLE.com", "example.com", true),
        (names, "example.com.", "example.com.", true),
        (names, "www.example.com", "www.example.com", false),
        (names, "a.wild.example", "a.wild.example", true),
        (names, "a.wild.example.", "a.wild.example.", true),
        (names, "wild.example", "wild.example", false),
        (names, "a.b.wild.example", "a.b.wild.example", false),
        (names, "b\u{fc}cher.example", "xn--bcher-kva.example", true),
        (
            names,
            "xn--bcher-kva.example",
            "xn--bcher-kva.example",
            true,
        ),
        (
            names,
            "b\u{fc}cher.wild.example",
            "xn--bcher-kva.wild.example",
            true,
        ),
        (names, "_s.example", "_s.example", true),
        (names, "192.0.2.1", "192.0.2.1", false),
    ] {
        let url = Url::parse(&format!("https://{in_url}/")).unwrap();
        let of_url = match url.host().unwrap() {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        assert_eq!(
            of_url.parse::<std::net::IpAddr>().ok(),
            host.parse().ok(),
            "{in_url}"
        );
        let chain = world.chain(in_certificate);
        let certificate = Certificate::from_der(&chain[0]).unwrap();
        for host in [of_url.as_str(), host] {
            let verdict = world.judge(&chain, host);
            assert_eq!(verdict.is_verified(), is_matched, "{in_url}: {verdict}");
            assert_eq!(
                match_hostname(&certificate, host).is_ok(),
                is_matched,
                "{host}"
            );
        }
        // What a URL writes in brackets may come to match_hostname in them.
        let bracketed = url.host_str().unwrap();
        assert_eq!(
            match_hostname(&certificate, bracketed).is_ok(),
            is_matched,
            "{bracketed}"
        );
    }
}

#[test]
fn what_is_no_host_is_none_to_a_server_name_and_matches_no_certificate() {
    let world = World::new();
    let everything = world.chain(&["*.example.com", "example.com", "::1", "127.0.0.1"]);
    let certificate = Certificate::from_der(&everything[0]).unwrap();
    for (host, is_server_name) in [
        ("[127.0.0.1]", false),
        ("127.0.0.1.", false),
        ("127.0.0.01", false),
        ("127.1", false),
        ("::1%eth0", false),
        ("*.example.com", false),
        ("a..example.com", false),
        (".example.com", false),
        ("example.com..", false),
        ("b\u{fc}cher.example.com", false),
        ("example.com:443", false),
        ("example.com\0", false),
        ("", false),
        // rustls takes it, and a URL would make an address of it.
        ("a.0x7f", true),
    ] {
        assert_eq!(ServerName::try_from(host).is_ok(), is_server_name, "{host}");
        let mismatch = match_hostname(&certificate, host).unwrap_err();
        assert!(!mismatch.host_is_valid(), "{mismatch}");
        if is_server_name {
            let verdict = world.judge(&everything, host);
            assert_eq!(verdict.reason().unwrap().code(), "hostname-mismatch");
        }
    }
}

#[test]
fn a_mismatch_names_what_comes_nearest() {
    let world = World::new();
    let shops: Vec<_> = (0..20).map(|i| format!("shop{i}.example.net")).collect();
    let shops: Vec<_> = shops.iter().map(String::as_str).collect();
    let many = |more: &[&'static str]| [&shops, more].concat();
    for (names, host, says) in [
        (
            vec!["*.example.com"],
            "a.b.example.com",
            "\"*.example.com\" covers one label, not a.b.example.com",
        ),
        (
            vec!["*.example.com"],
            "example.com",
            "\"*.example.com\" covers one label, not example.com itself",
        ),
        (vec!["*.com"], "example.com", "\"*.com\" is too wide"),
        (
            vec!["*.example.com", "*.b.example.com"],
            "a.a.b.example.com",
            "\"*.b.example.com\" covers one label, not a.a.b.example.com",
        ),
        (
            many(&["www.example.com", "*.example.org"]),
            "example.com",
            "the nearest of them is www.example.com",
        ),
        (
            many(&["example.com"]),
            "www.example.com",
            "the nearest of them is example.com",
        ),
        (
            many(&["mail.example.com", "example.com"]),
            "www.example.com",
            "the nearest of them is mail.example.com",
        ),
        (
            many(&["*.www.example.com", "mail.example.com"]),
            "www.example.com",
            "not www.example.com itself",
        ),
        (
            many(&["x.a.b.example.com", "*.example.com"]),
            "a.b.example.com",
            "the nearest of them is x.a.b.example.com",
        ),
        (
            many(&[]),
            "shop.example.net",
            "the nearest of them is shop0.example.net",
        ),
        (many(&["a.com"]), "b.com", "checked for \"b.com\""),
        (
            vec!["www.example.com"],
            "example.com",
            "checked for \"example.com\"",
        ),
    ] {
        let verdict = world.judge(&world.chain(&names), host);
        let reason = verdict.reason().unwrap();
        assert_eq!(reason.code(), "hostname-mismatch", "{verdict}");
        let ends_so = reason.sentence().ends_with(says);
        assert!(
            ends_so || says.contains("too wide") && reason.sentence().contains(says),
            "{reason}"
        );
    }
}

struct World {
    issuer: Authority,
    verifier: Verifier,
    key: KeyPair,
}

impl World {
    fn new() -> Self {
        let root = root("root");
        Self {
            verifier: Verifier::builder().roots(store(&root)).build().unwrap(),
            key: KeyPair::generate().unwrap(),
            issuer: below(&root, ca("issuer")),
        }
    }

    /// A good certificate for these names and addresses.
    fn chain(&self, names: &[&str]) -> Chain {
        let host = issue(&self.issuer, &leaf(names), &self.key);
        vec![host, self.issuer.der().clone()]
    }

    fn judge(&self, chain: &Chain, host: &str) -> Verdict {
        let name = ServerName::try_from(host).unwrap();
        let moment = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let moment = UnixTime::since_unix_epoch(moment);
        self.verifier.judge(&Presented::new(chain), &name, moment)
    }
}
