//! Scheme, host and port: whom a request is for.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::tls::shown::Shown;

/// Scheme, host and port (RFC 6454), of which the host is one that can be dialled and verified.
#[derive(Clone)]
pub(crate) struct Origin {
    https: bool,
    /// Of the host: a name has 253 bytes at most, and an address fewer (RFC 1035 §2.3.4).
    length: u8,
    /// 0 if it is not known.
    port: u16,
    /// Its hash: an origin is read once, and looked up with every request.
    hash: u32,
    /// It begins with the host, without the brackets of an IPv6 literal. What follows is there for
    /// others.
    text: Arc<str>,
}

impl Origin {
    /// The origin of a URL, or why it cannot be fetched. A `text` that begins with the URL's host is
    /// kept in place of a copy of that.
    pub(crate) fn within(url: &Url, text: &Arc<str>) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidUrl, why).with_url(url);
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(invalid(format!(
                    "the URL's scheme is {}, not https",
                    Shown(other)
                )));
            }
        };
        if url.as_str().len() > limits::URL {
            return Err(invalid(format!(
                "the URL is longer than {} bytes",
                limits::URL
            )));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => Cow::Borrowed(name),
            Some(Host::Ipv4(address)) => Cow::Owned(address.to_string()),
            Some(Host::Ipv6(address)) => Cow::Owned(address.to_string()),
            None => return Err(invalid("the URL has no host".into())),
        };
        let port = match url.port_or_known_default() {
            Some(port) if port != 0 => port,
            _ => return Err(invalid("the URL's port is 0".into())),
        };
        // The url crate forgives more than a name that can be verified may be: empty labels,
        // labels of 64, hyphens at the edge.
        if ServerName::try_from(&*host).is_err() {
            return Err(invalid(format!(
                "the URL's host \"{}\" is not a valid DNS name",
                Shown(&host)
            )));
        }
        let too_long = || invalid(format!("the URL's host \"{}\" is too long", Shown(&host)));
        let text = match text.starts_with(&*host) {
            true => Arc::clone(text),
            false => host.as_ref().into(),
        };
        Self::new(https, &host, port, text).ok_or_else(too_long)
    }

    /// A host and a port that a caller named apart. The host may be an IPv6 literal in brackets.
    pub(crate) fn tls(host: &str, port: u16) -> Result<Self> {
        if port == 0 {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                format!("port 0 of \"{}\" cannot be dialled", Shown(host)),
            ));
        }
        Self::named(host, port)
    }

    /// The host at the end of a stream that somebody else opened: to which port, is not known.
    pub(crate) fn wrapped(host: &str) -> Result<Self> {
        Self::named(host, 0)
    }

    fn named(host: &str, port: u16) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidUrl,
                format!("\"{}\" is not a host that can be verified", Shown(host)),
            )
        };
        let parsed = Host::parse(host)
            .or_else(|error| host.parse().map(Host::Ipv6).map_err(|_| error))
            .map_err(|_| invalid())?;
        let host = match parsed {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        // As of a URL's host.
        ServerName::try_from(host.as_str()).map_err(|_| invalid())?;
        Self::new(true, &host, port, host.as_str().into()).ok_or_else(invalid)
    }

    /// Of a text that begins with the host. `None` if that is longer than a host can be.
    fn new(https: bool, host: &str, port: u16, text: Arc<str>) -> Option<Self> {
        // Its key is nobody's: who chooses the hosts does not choose where they meet.
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Some(Self {
            https,
            length: u8::try_from(host.len()).ok()?,
            port,
            hash: KEY.hash_one((https, host, port)) as u32,
            text,
        })
    }

    /// Itself, to be kept: without the rest of a text that others have done with.
    pub(super) fn to_keep(&self) -> Self {
        Self {
            text: self.host().into(),
            ..*self
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    pub(crate) fn host(&self) -> &str {
        let length = usize::from(self.length);
        self.text.get(..length).unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The name to verify.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>> {
        let name = ServerName::try_from(self.host()).map(|name| name.to_owned());
        name.map_err(|error| {
            Error::new(ErrorKind::InvalidUrl, "the host cannot be verified").with_source(error)
        })
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.host() == other.host() && self.port == other.port && self.https == other.https
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.hash);
    }
}

/// Without what follows the host, which may hold secrets.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("https", &self.https)
            .field("host", &self.host())
            .field("port", &self.port)
            .finish()
    }
}

/// Host and port, as they stand in a URL; the host alone, if the port is not known.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host().contains(':')) {
            (0, _) => f.write_str(self.host()),
            (port, true) => write!(f, "[{}]:{port}", self.host()),
            (port, false) => write!(f, "{}:{port}", self.host()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Origin {
        pub(crate) fn of(url: &Url) -> Result<Self> {
            Self::within(url, &"".into())
        }
    }

    #[test]
    fn an_origin_is_what_can_be_dialled_and_verified() {
        let long = format!("https://{}.example/", "a".repeat(64));
        let longest = format!("https://a.example/{}", "a".repeat(70_000));
        let longest_host = format!("https://{}/", "a.".repeat(30_000));
        let rows = [
            ("https://example.com/", Some((true, "example.com", 443))),
            (
                "https://EXAMPLE.com:8443/",
                Some((true, "example.com", 8443)),
            ),
            ("http://example.com/", Some((false, "example.com", 80))),
            ("https://[::1]:1/", Some((true, "::1", 1))),
            ("https://127.0.0.1/", Some((true, "127.0.0.1", 443))),
            ("https://127.1/", Some((true, "127.0.0.1", 443))),
            (
                "https://b\u{fc}cher.example/",
                Some((true, "xn--bcher-kva.example", 443)),
            ),
            ("https://example.com./", Some((true, "example.com.", 443))),
            (
                "https://under_score.example/",
                Some((true, "under_score.example", 443)),
            ),
            ("https://a..b/", None),
            ("https://-a.com/", None),
            (long.as_str(), None),
            (longest_host.as_str(), None),
            (longest.as_str(), None),
            ("https://example.com:0/", None),
            ("ftp://example.com/", None),
            ("data:text/plain,x", None),
        ];
        for (url, expected) in rows {
            let origin = Origin::of(&Url::parse(url).unwrap());
            let found = origin.as_ref().ok().map(|o| (o.https, o.host(), o.port));
            assert_eq!(found, expected, "{url}");
            if let Err(error) = origin {
                assert_eq!(error.kind(), ErrorKind::InvalidUrl);
                assert!(
                    error.to_string().len() < 800,
                    "a redirect may have named it"
                );
            }
        }
    }

    /// What stands behind the host is no part of it, and of no other origin.
    #[test]
    fn a_host_is_the_beginning_of_a_text_or_a_copy() {
        let url: Url = "https://a.test/one".parse().unwrap();
        let origin = Origin::of(&url).unwrap();
        for (text, shares) in [
            ("a.test/one", true),
            ("a.test:443/one?two", true),
            ("a.test", true),
            ("a.tes", false),
            ("b.test/one", false),
            ("", false),
        ] {
            let text = Arc::from(text);
            let within = Origin::within(&url, &text).unwrap();
            assert_eq!(within.host(), "a.test", "{text}");
            assert_eq!(within, origin, "{text}");
            assert_eq!(within.hash, origin.hash, "{text}");
            assert_eq!(within.to_string(), "a.test:443");
            assert_eq!(within.to_keep(), origin, "{text}");
            assert!(!format!("{within:?}").contains("one"));
            assert_eq!(&*within.to_keep().text, "a.test", "{text}");
            assert_eq!(Arc::strong_count(&text) == 2, shares, "{text}");
        }
        let other = "https://a.test.evil.test/".parse().unwrap();
        let other = Origin::within(&other, &"a.test.evil.test/".into()).unwrap();
        assert_ne!(other, origin);
        assert_eq!(other.host(), "a.test.evil.test");
    }

    #[test]
    fn a_host_alone_makes_an_origin_too() {
        for (host, expected) in [
            ("db.example.com", Some("db.example.com")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("a/b", None),
            ("user@host", None),
            ("host:1", None),
            ("a..b", None),
            ("", None),
        ] {
            let origin = Origin::tls(host, 5433);
            assert_eq!(
                origin.as_ref().map(Origin::host).map_err(Error::kind),
                expected.ok_or(ErrorKind::InvalidUrl),
                "{host}"
            );
        }
        let error = Origin::tls("db.example.com", 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl);
        for (origin, shown) in [
            (Origin::tls("db.example.com", 5433), "db.example.com:5433"),
            (Origin::tls("::1", 5433), "[::1]:5433"),
            (Origin::wrapped("db.example.com"), "db.example.com"),
            (Origin::wrapped("[::1]"), "::1"),
        ] {
            assert_eq!(origin.unwrap().to_string(), shown);
        }
    }
}
