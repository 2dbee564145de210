//! Which proxy, if any, stands between us and an origin. Pure: the environment is handed in as a
//! function.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

use super::bypass::Bypass;
use super::origin::Origin;
use crate::error::{Error, ErrorKind};
use crate::tls::demand::Environment;
use crate::tls::shown::Shown;

/// The proxies of a client. They do not change for as long as it lives: an origin has one way.
#[derive(Debug)]
pub(crate) struct Proxies {
    https: Option<Arc<Proxy>>,
    http: Option<Arc<Proxy>>,
    bypass: Bypass,
}

impl Proxies {
    /// Everybody is reached directly.
    pub(crate) fn none() -> Self {
        Self::over(None, None, "")
    }

    /// One proxy for all but those on `bypass`.
    pub(crate) fn all(proxy: Proxy, bypass: Option<&str>) -> Self {
        let proxy = Arc::new(proxy);
        Self::over(
            Some(Arc::clone(&proxy)),
            Some(proxy),
            bypass.unwrap_or_default(),
        )
    }

    /// What the environment says; `bypass` is in the place of its NO_PROXY.
    ///
    /// A variable in capitals comes before the same in small letters, and one that is empty counts
    /// as unset. What concerns no URL that may be fetched is not looked at.
    ///
    /// # Errors
    ///
    /// If a variable that counts cannot be read: who set it wants a proxy, and going without it
    /// would take what is private past it.
    pub(crate) fn from_environment(
        environment: Environment<'_>,
        allow_http: bool,
        bypass: Option<&str>,
    ) -> Result<Self, UnusableProxy> {
        let set = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment(name).filter(|value| !value.is_empty())?;
                Some((*name, value))
            })
        };
        let proxy = |names: &[&'static str]| {
            let Some((name, value)) = set(names) else {
                return Ok(None);
            };
            let text = value.to_str().ok_or(Unreadable::NotUtf8);
            match text.and_then(Proxy::parse) {
                Ok(proxy) => Ok(Some(Arc::new(proxy))),
                Err(why) => Err(UnusableProxy { of: name, why }),
            }
        };
        let https = proxy(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
        // A CGI program has a request's header `Proxy` as HTTP_PROXY: whoever sends one would choose
        // our proxy (CVE-2016-5385 and its like). Windows has one variable for both spellings.
        let http = match (allow_http, environment("REQUEST_METHOD")) {
            (false, _) => None,
            (true, None) => proxy(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])?,
            (true, Some(_)) if cfg!(windows) => proxy(&["ALL_PROXY", "all_proxy"])?,
            (true, Some(_)) => proxy(&["http_proxy", "ALL_PROXY", "all_proxy"])?,
        };
        let no_proxy = match (bypass, set(&["NO_PROXY", "no_proxy"])) {
            (Some(list), _) => list.to_owned(),
            (None, None) => String::new(),
            (None, Some((of, value))) => value.into_string().map_err(|_| UnusableProxy {
                of,
                why: Unreadable::NotUtf8,
            })?,
        };
        Ok(Self::over(https, http, &no_proxy))
    }

    fn over(https: Option<Arc<Proxy>>, http: Option<Arc<Proxy>>, bypass: &str) -> Self {
        let bypass = Bypass::read(bypass);
        Self {
            https,
            http,
            bypass,
        }
    }

    /// The proxy to go through to `origin`; `None` is the direct way.
    pub(super) fn to(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = match origin.is_https() {
            true => self.https.as_deref()?,
            false => self.http.as_deref()?,
        };
        (!self.bypass.has(origin.host())).then_some(proxy)
    }
}

/// A proxy, and how to speak to it.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(super) speaks: Speaks,
    /// Where it is.
    pub(super) at: Origin,
    pub(super) credentials: Option<Credentials>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP, with CONNECT.
    Http,
    /// The same inside TLS.
    Https,
    /// SOCKS 5, which is given addresses: names are resolved here.
    Socks5,
    /// SOCKS 5, which is given names.
    Socks5h,
}

impl Proxy {
    /// Reads `[scheme://][user[:password]@]host[:port]`. Without a scheme it is http; without a
    /// port, the scheme's: 80, 443, and 1080 for SOCKS (RFC 1928 §3).
    pub(crate) fn parse(text: &str) -> Result<Self, Unreadable> {
        let text = text.trim();
        // The url crate takes some of them out.
        if text.contains(char::is_control) {
            return Err(Unreadable::Control);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let speaks = match scheme.to_ascii_lowercase().as_str() {
            "http" => Speaks::Http,
            "https" => Speaks::Https,
            "socks5" => Speaks::Socks5,
            "socks5h" => Speaks::Socks5h,
            "socks" | "socks4" | "socks4a" => return Err(Unreadable::Socks4),
            // What is no scheme may be a password.
            other if is_word(other) => {
                return Err(Unreadable::Scheme(other.to_owned()));
            }
            _ => return Err(Unreadable::NoScheme),
        };
        // Only of a scheme that it knows does the url crate read the host as it reads ours, and it
        // leaves out the port that it knows of that scheme.
        let read = |scheme| Url::parse(&format!("{scheme}://{rest}")).map_err(Unreadable::Url);
        let url = read("http")?;
        let port = url.port().or(read("https")?.port());
        let port = port.unwrap_or(match speaks {
            Speaks::Http => 80,
            Speaks::Https => 443,
            Speaks::Socks5 | Speaks::Socks5h => 1080,
        });
        // A `/`, `?` or `#` in a password ends the host before it began: what looks like the path is
        // the rest of the password then.
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(Unreadable::Path);
        }
        let host = url.host_str().ok_or(Unreadable::Host)?;
        Ok(Self {
            speaks,
            at: Origin::tls(host, port).map_err(|_| Unreadable::Host)?,
            credentials: Credentials::of(&url, speaks)?,
        })
    }
}

/// Host and port.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("speaks", &self.speaks)
            .field("at", &format_args!("{}", self.at))
            .field("has_credentials", &self.credentials.is_some())
            .finish()
    }
}

/// A user name and a password, as a proxy's URL has them, percent-decoded.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Credentials {
    fn of(url: &Url, speaks: Speaks) -> Result<Option<Self>, Unreadable> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
        let (user, password) = (
            decoded(url.username()),
            decoded(url.password().unwrap_or_default()),
        );
        match speaks {
            // RFC 7617 §2.
            Speaks::Http | Speaks::Https => {
                if user.contains(&b':') {
                    return Err(Unreadable::Colon);
                }
                if user.iter().chain(&password).any(u8::is_ascii_control) {
                    return Err(Unreadable::Control);
                }
            }
            // RFC 1929 §2.
            Speaks::Socks5 | Speaks::Socks5h => {
                let fits = |text: &[u8]| (1..=255).contains(&text.len());
                if !fits(&user) || !fits(&password) {
                    return Err(Unreadable::Length);
                }
            }
        }
        Ok(Some(Self { user, password }))
    }
}

/// What cannot be used as a proxy, and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnusableProxy {
    pub(crate) of: &'static str,
    pub(crate) why: Unreadable,
}

impl fmt::Display for UnusableProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used: {}", self.of, self.why)
    }
}

impl From<UnusableProxy> for Error {
    fn from(unusable: UnusableProxy) -> Self {
        Self::new(ErrorKind::Config, unusable.to_string())
    }
}

/// What is wrong with a proxy's URL. It never has any of the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    NotUtf8,
    Control,
    Socks4,
    Scheme(String),
    NoScheme,
    Url(ParseError),
    Path,
    Host,
    Colon,
    Length,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::Control => f.write_str("it has a control character"),
            Self::Socks4 => f.write_str(
                "SOCKS before version 5 is not spoken: the scheme can be socks5 (names are resolved \
                 here) or socks5h (the proxy resolves them)",
            ),
            Self::Scheme(scheme) => write!(
                f,
                "its scheme is {}, and can be http, https, socks5 or socks5h",
                Shown(scheme)
            ),
            Self::NoScheme => f.write_str("what stands before its :// is no scheme"),
            Self::Url(error) => write!(f, "its URL cannot be read: {error}"),
            Self::Path => f.write_str(
                "something follows its host and port; a /, ? or # in a password is written as %2F, \
                 %3F or %23",
            ),
            Self::Host => f.write_str("its host or port cannot be dialled"),
            Self::Colon => f.write_str("its user name has a colon, which Basic cannot carry"),
            Self::Length => f.write_str(
                "SOCKS takes a user name and a password of 1 to 255 bytes each, or neither",
            ),
        }
    }
}

fn is_word(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::ffi::OsString;

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    fn described(proxy: &Proxy) -> String {
        let credentials = proxy.credentials.as_ref().map(|each| {
            let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
            format!("{}:{}@", text(&each.user), text(&each.password))
        });
        let credentials = credentials.unwrap_or_default();
        format!("{:?} {credentials}{proxy}", proxy.speaks)
    }

    #[test]
    fn a_proxy_is_a_scheme_a_host_a_port_and_credentials() {
        for (text, expected) in [
            ("http://proxy.corp:3128", "Http proxy.corp:3128"),
            ("http://proxy.corp:3128/", "Http proxy.corp:3128"),
            ("HTTP://PROXY.corp", "Http proxy.corp:80"),
            ("proxy.corp:3128", "Http proxy.corp:3128"),
            ("proxy.corp", "Http proxy.corp:80"),
            (" http://proxy.corp\n", "Http proxy.corp:80"),
            ("https://proxy.corp", "Https proxy.corp:443"),
            ("https://proxy.corp:80", "Https proxy.corp:80"),
            ("http://proxy.corp:443", "Http proxy.corp:443"),
            ("socks5://proxy.corp", "Socks5 proxy.corp:1080"),
            ("socks5://proxy.corp:80", "Socks5 proxy.corp:80"),
            ("socks5h://proxy.corp:443", "Socks5h proxy.corp:443"),
            ("socks5h://[::1]:1081", "Socks5h [::1]:1081"),
            ("http://B\u{fc}ro.corp", "Http xn--bro-hoa.corp:80"),
            ("127.1:8080", "Http 127.0.0.1:8080"),
            ("http://user:pass@p:1", "Http user:pass@p:1"),
            ("user:pass@p:1", "Http user:pass@p:1"),
            ("http://user@p:1", "Http user:@p:1"),
            ("http://:pass@p:1", "Http :pass@p:1"),
            ("http://@p:1", "Http p:1"),
            ("http://u%40x:p%3a%25%ff@p:1", "Http u@x:p:%\\xff@p:1"),
            ("http://u@x:p@p:1", "Http u@x:p@p:1"),
            ("socks5://u:p%0a@p:1", "Socks5 u:p\\n@p:1"),
        ] {
            let proxy = Proxy::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(described(&proxy), expected, "{text}");
            let shown = format!("{proxy:?} {proxy}");
            assert!(!shown.contains("pass"), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_a_proxy_says_why_and_shows_nothing() {
        let long = format!("socks5://{}:p@host", "u".repeat(256));
        for (text, expected) in [
            ("", "cannot be read"),
            (" ", "cannot be read"),
            ("://host", "what stands before"),
            ("hunter2@://host", "what stands before"),
            ("http://", "cannot be read"),
            ("ftp://host", "its scheme is ftp"),
            ("socks4://hunter2@host", "SOCKS before version 5"),
            ("socks4a://host", "SOCKS before version 5"),
            ("socks://host", "SOCKS before version 5"),
            ("http://host:0", "cannot be dialled"),
            ("http://host:65536", "cannot be read"),
            ("http://host:x", "cannot be read"),
            ("http://-host.corp", "cannot be dialled"),
            ("http://user:hunter2#rest@host", "cannot be read"),
            ("http://user:12/hunter2@host", "something follows"),
            ("http://user:12?hunter2@host", "something follows"),
            ("http://user:12#hunter2@host", "something follows"),
            ("http://host/path", "something follows"),
            ("http://user:hunt\ner2@host", "a control character"),
            ("http://user:hunter2%0d%0a@host", "a control character"),
            ("http://a%3ab:hunter2@host", "a colon"),
            ("socks5://hunter2@host", "1 to 255"),
            ("socks5://:hunter2@host", "1 to 255"),
            (&long, "1 to 255"),
        ] {
            let why = Proxy::parse(text).map(|proxy| described(&proxy));
            let why = why.unwrap_err().to_string();
            assert!(why.contains(expected), "{text}: {why}");
            assert!(!why.contains("hunter2") && !why.contains("uuu"), "{why}");
        }
    }

    /// Which of the environment's proxies are gone through for https and http, or what cannot be
    /// used.
    fn chosen(variables: &[(&str, &str)], allow_http: bool) -> Result<[String; 2], String> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let environment = |name: &str| variables.get(name).map(OsString::from);
        let proxies = Proxies::from_environment(&environment, allow_http, None);
        let proxies = proxies.map_err(|unusable| unusable.of.to_owned())?;
        Ok(["https://e.com", "http://e.com"].map(|url| {
            let proxy = proxies.to(&origin(url));
            proxy
                .map(|proxy| proxy.at.host().to_owned())
                .unwrap_or_default()
        }))
    }

    #[test]
    fn the_environment_says_which_proxy() {
        type Row = (
            &'static [(&'static str, &'static str)],
            Result<[&'static str; 2], &'static str>,
        );
        let rows: [Row; 24] = [
            (&[], Ok(["", ""])),
            (&[("HTTPS_PROXY", "a")], Ok(["a", ""])),
            (&[("https_proxy", "a")], Ok(["a", ""])),
            (&[("HTTP_PROXY", "a")], Ok(["", "a"])),
            (&[("http_proxy", "a")], Ok(["", "a"])),
            (&[("ALL_PROXY", "a")], Ok(["a", "a"])),
            (&[("all_proxy", "a")], Ok(["a", "a"])),
            (&[("HTTPS_PROXY", "a"), ("ALL_PROXY", "b")], Ok(["a", "b"])),
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "b")], Ok(["a", ""])),
            (&[("https_proxy", "a"), ("ALL_PROXY", "b")], Ok(["a", "b"])),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "b")], Ok(["b", ""])),
            (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "b")], Ok(["b", "b"])),
            (&[("ALL_PROXY", "")], Ok(["", ""])),
            // What cannot be read is an error, and never the direct way nor the next one's.
            (
                &[("HTTPS_PROXY", "ftp://a"), ("ALL_PROXY", "b")],
                Err("HTTPS_PROXY"),
            ),
            (&[("https_proxy", "http://a:x")], Err("https_proxy")),
            (&[("all_proxy", " ")], Err("all_proxy")),
            (&[("http_proxy", "socks4://a")], Err("http_proxy")),
            (
                &[("HTTPS_PROXY", "a"), ("ALL_PROXY", "ftp://b")],
                Err("ALL_PROXY"),
            ),
            // What a CGI program has from whoever asks it.
            (
                &[("HTTP_PROXY", "a"), ("REQUEST_METHOD", "GET")],
                Ok(["", ""]),
            ),
            (
                &[
                    ("HTTP_PROXY", "ftp://a"),
                    ("http_proxy", "b"),
                    ("REQUEST_METHOD", ""),
                ],
                Ok(["", if cfg!(windows) { "" } else { "b" }]),
            ),
            (
                &[("HTTPS_PROXY", "a"), ("REQUEST_METHOD", "GET")],
                Ok(["a", ""]),
            ),
            (&[("ALL_PROXY", "a"), ("NO_PROXY", "e.com")], Ok(["", ""])),
            (&[("ALL_PROXY", "a"), ("no_proxy", "e.com")], Ok(["", ""])),
            (
                &[("ALL_PROXY", "a"), ("NO_PROXY", "x"), ("no_proxy", "e.com")],
                Ok(["a", "a"]),
            ),
        ];
        for (variables, expected) in rows {
            let expected = expected
                .map(|hosts| hosts.map(str::to_owned))
                .map_err(str::to_owned);
            assert_eq!(chosen(variables, true), expected, "{variables:?}");
        }
    }

    #[test]
    fn variables_for_what_is_not_fetched_are_not_looked_at() {
        let broken_http = [("HTTPS_PROXY", "a"), ("HTTP_PROXY", "ftp://b")];
        assert_eq!(
            chosen(&broken_http, false),
            Ok([String::from("a"), String::new()])
        );
        let broken_rest = [("HTTPS_PROXY", "a"), ("ALL_PROXY", "ftp://b")];
        assert_eq!(
            chosen(&broken_rest, false),
            Ok([String::from("a"), String::new()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf_8_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        for name in ["HTTPS_PROXY", "ALL_PROXY", "no_proxy"] {
            let environment =
                |asked: &str| (asked == name).then(|| OsString::from_vec(b"http://\xff".into()));
            let unusable = Proxies::from_environment(&environment, false, None).unwrap_err();
            assert_eq!(
                unusable.to_string(),
                format!("{name} cannot be used: it is not UTF-8")
            );
        }
    }

    #[test]
    fn whoever_is_on_the_list_is_reached_directly() {
        let proxy = Proxy::parse("socks5://[::1]:1").unwrap();
        let proxies = Proxies::all(proxy, Some("a.test"));
        for scheme in ["https", "http"] {
            for (host, direct) in [("a.test", true), ("b.test", false)] {
                let found = proxies.to(&origin(&format!("{scheme}://{host}")));
                assert_eq!(found.is_none(), direct, "{scheme} {host}");
            }
        }
    }

    /// As with curl: who wants loopback to be an exception says so.
    #[test]
    fn nobody_is_an_exception_of_himself() {
        let proxies = Proxies::all(Proxy::parse("http://p").unwrap(), None);
        for host in ["localhost", "127.0.0.1", "[::1]", "a.localhost", "p"] {
            assert!(
                proxies.to(&origin(&format!("https://{host}"))).is_some(),
                "{host}"
            );
        }
        assert!(Proxies::none().to(&origin("https://example.com")).is_none());
    }
}
