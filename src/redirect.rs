//! Given a response: go where next, with which method and headers? Pure.
//!
//! Statuses that redirect are 301, 302, 303, 307 and 308 (RFC 9110 §15.4); every other one is a
//! result, 300, 304 and 305 among them, and under App Engine's limits 308 too. How many redirects
//! are followed is the caller's rule.

use std::fmt;

use http::header::{HeaderMap, HeaderName, LOCATION};
use http::{Method, StatusCode, Uri};
use url::{ParseError, Url};

use crate::limits::{Exceeded, Limits};
use crate::reference;

/// The request that was answered, as far as the decision depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) url: &'a Url,
    pub(crate) method: &'a Method,
    /// Whether the payload can be sent a second time; true if there is none.
    pub(crate) replayable: bool,
    pub(crate) limits: &'a Limits,
}

/// The request to send next. Its URL may hold secrets, so it has no `Debug` outside of tests.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Next {
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) keep_payload: bool,
    /// Scheme, host and port are those of the request that was answered (RFC 6454 §5).
    pub(crate) same_origin: bool,
}

/// Where the response sends us; `None` if it is a result.
///
/// # Errors
///
/// A [`RedirectError`]; [`is_malformed`](RedirectError::is_malformed) tells a broken reply from a
/// refusal.
pub(crate) fn decide(
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Next>, RedirectError> {
    let keep_payload = match status {
        _ if !asked.limits.redirects_by(status) => return Ok(None),
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let url = target(asked.url, status, headers)?;
    refuse_unsafe(asked, &url)?;
    if keep_payload && !asked.replayable {
        return Err(RedirectError::PayloadSpent { status });
    }
    // RFC 9110 §15.4.2 to §15.4.4 let POST become GET, and 303 any method but HEAD. One rule for
    // all three is what Go's net/http follows.
    let method = match *asked.method {
        Method::HEAD => Method::HEAD,
        _ if !keep_payload => Method::GET,
        ref method => method.clone(),
    };
    let same_origin = url.origin() == asked.url.origin();
    Ok(Some(Next {
        url,
        method,
        keep_payload,
        same_origin,
    }))
}

impl Next {
    /// Removes the headers that must not go along.
    ///
    /// Without its payload a request loses what described the payload. Towards another origin it
    /// keeps only [`CROSS_ORIGIN`], and `content-*` with a kept payload: a list of what may go,
    /// because lists of what must stay have missed a name again and again (curl CVE-2018-1000007,
    /// urllib3 CVE-2023-43804, Go CVE-2024-45336). What is gone from `headers` is gone for the rest
    /// of the chain.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        let gone: Vec<HeaderName> = headers
            .keys()
            .filter(|&name| !self.keeps(name))
            .cloned()
            .collect();
        for name in gone {
            headers.remove(name);
        }
    }

    fn keeps(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        if name.starts_with(CONTENT) {
            return self.keep_payload;
        }
        if self.same_origin {
            return self.keep_payload || !WITH_PAYLOAD.contains(&name);
        }
        CROSS_ORIGIN.contains(&name)
    }
}

/// Why a redirect was not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedirectError {
    /// No `Location`, or an empty one.
    NoLocation { status: StatusCode },
    /// More than one `Location`.
    SeveralLocations { count: usize },
    /// `Location` is not UTF-8.
    NotText,
    /// `Location` is not a URL reference. Its text is left out: where the user name or the query
    /// ends cannot be said of a URL that cannot be read.
    BadLocation { reason: ParseError },
    /// `Location` is a URL that no HTTP request can name.
    NotRequestable { length: usize },
    /// The scheme is neither `https` nor `http`.
    OtherScheme { scheme: String },
    /// From `https` to `http`.
    Downgrade { from: String, to: String },
    /// To `http`, which the client does not speak.
    HttpNotAllowed { to: String },
    /// `Location` holds a user name or a password.
    Userinfo { to: String },
    /// `Location` names port 0.
    PortZero { to: String },
    /// `Location` is longer than a URL may be, or names a port that is not allowed.
    BeyondLimits { to: String, exceeded: Exceeded },
    /// The payload was a stream, and the redirect wants it again.
    PayloadSpent { status: StatusCode },
}

impl RedirectError {
    /// Whether the reply breaks HTTP's rules; otherwise the redirect is well-formed and was
    /// refused.
    pub(crate) fn is_malformed(&self) -> bool {
        match self {
            Self::NoLocation { .. }
            | Self::SeveralLocations { .. }
            | Self::NotText
            | Self::BadLocation { .. }
            | Self::NotRequestable { .. } => true,
            Self::OtherScheme { .. }
            | Self::Downgrade { .. }
            | Self::HttpNotAllowed { .. }
            | Self::Userinfo { .. }
            | Self::PortZero { .. }
            | Self::BeyondLimits { .. }
            | Self::PayloadSpent { .. } => false,
        }
    }
}

impl std::error::Error for RedirectError {}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation { status } => write!(
                f,
                "the reply redirects ({}) but has no Location",
                status.as_u16()
            ),
            Self::SeveralLocations { count } => {
                write!(f, "the reply redirects with {count} Location headers")
            }
            Self::NotText => f.write_str("the Location of the redirect is not UTF-8"),
            Self::BadLocation { reason } => {
                write!(f, "the Location of the redirect is not a URL: {reason}")
            }
            Self::NotRequestable { length } => {
                write!(
                    f,
                    "the Location of the redirect is a URL of {length} bytes that no request can name"
                )
            }
            Self::OtherScheme { scheme } => {
                write!(
                    f,
                    "the redirect leads to the scheme {scheme:?}; only https and http are followed"
                )
            }
            Self::Downgrade { from, to } => write!(
                f,
                "the redirect leads from {from} to {to}, which is not encrypted"
            ),
            Self::HttpNotAllowed { to } => write!(
                f,
                "the redirect leads to {to}, which is not encrypted; ClientBuilder::allow_http(true) allows http"
            ),
            Self::Userinfo { to } => write!(
                f,
                "the redirect leads to {to} with a user name or password in its URL"
            ),
            Self::PortZero { to } => write!(f, "the redirect leads to port 0: {to}"),
            Self::BeyondLimits { to, exceeded } => {
                write!(
                    f,
                    "the redirect leads to {to}, which is not followed: {exceeded}"
                )
            }
            Self::PayloadSpent { status } => write!(
                f,
                "the redirect ({}) asks for the payload again, and a stream can be sent only once",
                status.as_u16()
            ),
        }
    }
}

fn target(current: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Url, RedirectError> {
    let mut locations = headers.get_all(LOCATION).iter();
    let Some(location) = locations.next() else {
        return Err(RedirectError::NoLocation { status });
    };
    match locations.count() {
        0 => {}
        more => return Err(RedirectError::SeveralLocations { count: more + 1 }),
    }
    // A URL reference is ASCII (RFC 3986). Servers send UTF-8 all the same, and browsers take it
    // so; in any other encoding the bytes would name another resource than the server meant.
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| RedirectError::NotText)?;
    // An empty reference would lead back to where we are.
    if location.is_empty() {
        return Err(RedirectError::NoLocation { status });
    }
    let mut url = reference::read(location, Some(current))
        .map_err(|reason| RedirectError::BadLocation { reason })?;
    // RFC 9110 §10.2.2: without a fragment of its own, the target inherits ours.
    if url.fragment().is_none() {
        url.set_fragment(current.fragment());
    }
    Ok(url)
}

fn refuse_unsafe(asked: &Asked<'_>, url: &Url) -> Result<(), RedirectError> {
    match url.scheme() {
        "https" => {}
        "http" if asked.url.scheme() == "https" => {
            return Err(RedirectError::Downgrade {
                from: origin(asked.url),
                to: origin(url),
            });
        }
        "http" if !asked.limits.allow_http => {
            return Err(RedirectError::HttpNotAllowed { to: origin(url) });
        }
        "http" => {}
        scheme => {
            return Err(RedirectError::OtherScheme {
                scheme: cut(scheme),
            });
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectError::Userinfo { to: origin(url) });
    }
    if url.port() == Some(0) {
        return Err(RedirectError::PortZero { to: origin(url) });
    }
    asked
        .limits
        .check_url(url)
        .map_err(|exceeded| RedirectError::BeyondLimits {
            to: origin(url),
            exceeded,
        })?;
    // `url` reads more than `http` can write into a request: anything above 65,534 bytes, to begin
    // with.
    if url.as_str().parse::<Uri>().is_err() {
        return Err(RedirectError::NotRequestable {
            length: url.as_str().len(),
        });
    }
    Ok(())
}

/// Scheme, host and port: enough to see where a redirect leads, and never a secret.
fn origin(url: &Url) -> String {
    cut(&url.origin().ascii_serialization())
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// What another origin may see: how to answer and what is known already, never who asks.
const CROSS_ORIGIN: [&str; 10] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "if-modified-since",
    "if-none-match",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// Every header of this prefix describes the payload (RFC 9110 §8), Content-Digest (RFC 9530) too.
const CONTENT: &str = "content-";

/// What else says something about the payload or how it is sent: RFC 9530 and its forerunner RFC
/// 3230, and RFC 9110 §6.6.2 and §10.1.1.
const WITH_PAYLOAD: [&str; 5] = [
    "digest",
    "expect",
    "repr-digest",
    "trailer",
    "transfer-encoding",
];

/// The longest DNS name (RFC 1035 §2.3.4: 255 octets, 253 characters as text) with its scheme and
/// port.
const MAX_SHOWN: usize = "https://".len() + 253 + ":65535".len();

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    use super::*;

    const HERE: &str = "https://a.example/dir/page?q=1";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|&(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn follow(from: &str, location: &[u8], allow_http: bool) -> Result<Next, RedirectError> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location).unwrap());
        let asked = Asked {
            url: &url(from),
            method: &Method::GET,
            replayable: true,
            limits: &Limits::default().allow_http(allow_http),
        };
        decide(&asked, StatusCode::FOUND, &headers).map(Option::unwrap)
    }

    #[test]
    fn status_and_method() {
        let app_engine = Limits::app_engine();
        let headers = map(&[("location", "/next")]);
        let as_get = Some((["GET", "HEAD", "GET", "GET", "GET"], false));
        let as_it_was = Some((["GET", "HEAD", "POST", "PUT", "DELETE"], true));
        let table = [
            (200, None),
            (201, None),
            (300, None),
            (301, as_get),
            (302, as_get),
            (303, as_get),
            (304, None),
            (305, None),
            (306, None),
            (307, as_it_was),
            (308, as_it_was),
            (309, None),
            (404, None),
        ];
        let methods = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
        ];
        for (status, expected) in table {
            for (index, method) in methods.iter().enumerate() {
                let asked = Asked {
                    url: &url(HERE),
                    method,
                    replayable: true,
                    limits: &Limits::default(),
                };
                let next = decide(&asked, StatusCode::from_u16(status).unwrap(), &headers).unwrap();
                let next = next.map(|next| (next.method.to_string(), next.keep_payload));
                let expected = expected.map(|(methods, keeps)| (methods[index].to_owned(), keeps));
                assert_eq!(next, expected, "{status} {method}");
                let asked = Asked {
                    limits: &app_engine,
                    ..asked
                };
                let next = decide(&asked, StatusCode::from_u16(status).unwrap(), &headers).unwrap();
                let next = next.map(|next| (next.method.to_string(), next.keep_payload));
                let expected = expected.filter(|_| status != 308);
                assert_eq!(next, expected, "{status} {method}");
            }
        }
    }

    #[test]
    fn locations() {
        for (from, location, expected) in [
            (HERE, "https://b.example/x", "https://b.example/x"),
            (HERE, "/x?y=2", "https://a.example/x?y=2"),
            (HERE, "x", "https://a.example/dir/x"),
            (HERE, "../x", "https://a.example/x"),
            (HERE, "?y", "https://a.example/dir/page?y"),
            (HERE, "//b.example:8443/x", "https://b.example:8443/x"),
            (HERE, "https://b.example:443", "https://b.example/"),
            (HERE, "HTTPS://B.example/", "https://b.example/"),
            (
                HERE,
                "https://bücher.example/ü",
                "https://xn--bcher-kva.example/%C3%BC",
            ),
            // Fragments: RFC 9110 §10.2.2 has both of these as examples.
            (
                "https://a.example/~tim#me",
                "/People.html#tim",
                "https://a.example/People.html#tim",
            ),
            (
                "https://a.example/index.html#larry",
                "https://b.example/",
                "https://b.example/#larry",
            ),
            ("https://a.example/#larry", "/x#", "https://a.example/x#"),
            ("https://a.example/#old", "#new", "https://a.example/#new"),
            // What WHATWG URLs forgive; the canonical form is what counts.
            (HERE, "\\x\\y", "https://a.example/x/y"),
            (HERE, "https:b.example", "https://a.example/dir/b.example"),
        ] {
            let next = follow(from, location.as_bytes(), false).unwrap();
            assert_eq!(next.url.as_str(), expected, "{location}");
        }
    }

    #[test]
    fn malformed_locations() {
        let found = StatusCode::FOUND;
        let asked = Asked {
            url: &url(HERE),
            method: &Method::GET,
            replayable: true,
            limits: &Limits::default().allow_http(true),
        };
        for (fields, expected) in [
            (map(&[]), "the reply redirects (302) but has no Location"),
            (
                map(&[("location", "")]),
                "the reply redirects (302) but has no Location",
            ),
            (
                map(&[("location", "/x"), ("location", "/x")]),
                "the reply redirects with 2 Location headers",
            ),
            // A browser finds a host in both.
            (
                map(&[("location", "https:///b.example/x")]),
                "the Location of the redirect is not a URL: empty host",
            ),
            (
                map(&[("location", "\\\\b.example\\x")]),
                "the Location of the redirect is not a URL: empty host",
            ),
        ] {
            let error = decide(&asked, found, &fields).unwrap_err();
            assert!(error.is_malformed());
            assert_eq!(error.to_string(), expected);
        }

        let long = format!("/{}", "a".repeat(70_000));
        for (location, expected) in [
            (
                b"/caf\xe9".as_slice(),
                "the Location of the redirect is not UTF-8",
            ),
            (
                b"https://user:secret@",
                "the Location of the redirect is not a URL: empty host",
            ),
            (
                b"https://user:sec?ret@b.example",
                "the Location of the redirect is not a URL: invalid port number",
            ),
            (
                b"https://b.example:99999/",
                "the Location of the redirect is not a URL: invalid port number",
            ),
            (
                b"https://[::1/",
                "the Location of the redirect is not a URL: invalid IPv6 address",
            ),
            (
                b"https:///",
                "the Location of the redirect is not a URL: empty host",
            ),
            (
                long.as_bytes(),
                "the Location of the redirect is a URL of 70018 bytes that no request can name",
            ),
        ] {
            let error = follow(HERE, location, true).unwrap_err();
            assert!(error.is_malformed(), "{error}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn refused_locations() {
        let plain = "http://a.example/";
        for (from, location, allow_http, expected) in [
            (
                HERE,
                "http://a.example/login?token=secret",
                true,
                "the redirect leads from https://a.example to http://a.example, which is not encrypted",
            ),
            (
                HERE,
                "http://a.example:443/",
                false,
                "the redirect leads from https://a.example to http://a.example:443, which is not encrypted",
            ),
            (
                plain,
                "http://b.example/",
                false,
                "the redirect leads to http://b.example, which is not encrypted; ClientBuilder::allow_http(true) allows http",
            ),
            (
                HERE,
                "file:///etc/passwd",
                true,
                "the redirect leads to the scheme \"file\"; only https and http are followed",
            ),
            (
                HERE,
                "javascript:alert(1)",
                true,
                "the redirect leads to the scheme \"javascript\"; only https and http are followed",
            ),
            (
                HERE,
                "ftp://b.example/",
                true,
                "the redirect leads to the scheme \"ftp\"; only https and http are followed",
            ),
            (
                HERE,
                "data:,secret",
                true,
                "the redirect leads to the scheme \"data\"; only https and http are followed",
            ),
            (
                HERE,
                "wss://b.example/",
                true,
                "the redirect leads to the scheme \"wss\"; only https and http are followed",
            ),
            (
                HERE,
                "https://user:secret@b.example/?secret",
                true,
                "the redirect leads to https://b.example with a user name or password in its URL",
            ),
            (
                HERE,
                "https://user@b.example/",
                true,
                "the redirect leads to https://b.example with a user name or password in its URL",
            ),
            (
                HERE,
                "//:secret@b.example/",
                true,
                "the redirect leads to https://b.example with a user name or password in its URL",
            ),
            (
                HERE,
                "https://b.example:0/",
                true,
                "the redirect leads to port 0: https://b.example:0",
            ),
        ] {
            let error = follow(from, location.as_bytes(), allow_http).unwrap_err();
            assert!(!error.is_malformed(), "{error}");
            assert_eq!(error.to_string(), expected);
        }
        let limits = Limits::default().ports([443..=443]).max_url_length(20);
        for (location, expected) in [
            ("/", None),
            ("https://b.exampl/abc", None),
            (
                "https://b.exampl/abcd",
                Some(
                    "https://b.exampl, which is not followed: the URL is 21 bytes, more than its limit of 20 bytes",
                ),
            ),
            (
                "//b.example:91",
                Some(
                    "https://b.example:91, which is not followed: the URL is 21 bytes, more than its limit of 20 bytes",
                ),
            ),
            (
                "//b.test:91",
                Some(
                    "https://b.test:91, which is not followed: the URL's port is 91, and allowed is 443",
                ),
            ),
        ] {
            let asked = Asked {
                url: &url(HERE),
                method: &Method::GET,
                replayable: true,
                limits: &limits,
            };
            let headers = map(&[("location", location)]);
            let error = decide(&asked, StatusCode::FOUND, &headers).err();
            assert!(error.as_ref().is_none_or(|error| !error.is_malformed()));
            let expected = expected.map(|why| format!("the redirect leads to {why}"));
            assert_eq!(error.map(|error| error.to_string()), expected, "{location}");
        }
        assert!(follow(plain, b"http://b.example/", true).is_ok());
        assert!(follow(plain, b"https://b.example/", false).is_ok());
    }

    #[test]
    fn a_message_is_bounded() {
        let long = format!("{}:x", "a".repeat(50_000));
        assert!(
            follow(HERE, long.as_bytes(), true)
                .unwrap_err()
                .to_string()
                .len()
                < 400
        );
        let long = format!("https://user@{}/", "a".repeat(50_000));
        assert!(
            follow(HERE, long.as_bytes(), true)
                .unwrap_err()
                .to_string()
                .len()
                < 400
        );
    }

    #[test]
    fn a_stream_is_sent_once() {
        let headers = map(&[("location", "/next")]);
        let asked = Asked {
            url: &url(HERE),
            method: &Method::POST,
            replayable: false,
            limits: &Limits::default(),
        };
        for status in [
            StatusCode::TEMPORARY_REDIRECT,
            StatusCode::PERMANENT_REDIRECT,
        ] {
            let error = decide(&asked, status, &headers).unwrap_err();
            assert_eq!(error, RedirectError::PayloadSpent { status });
            assert!(!error.is_malformed());
        }
        assert!(
            !decide(&asked, StatusCode::SEE_OTHER, &headers)
                .unwrap()
                .unwrap()
                .keep_payload
        );
    }

    #[test]
    fn origins() {
        for (from, location, same) in [
            ("https://a.example/", "/x", true),
            ("https://a.example/", "https://A.EXAMPLE:443/", true),
            ("https://a.example:8443/", "https://a.example:8443/", true),
            ("https://a.example/", "https://a.example:8443/", false),
            ("https://a.example/", "https://b.example/", false),
            ("https://a.example/", "https://sub.a.example/", false),
            ("https://a.example/", "https://a.example./", false),
            ("http://a.example/", "https://a.example/", false),
            ("http://a.example:443/", "https://a.example/", false),
            ("https://127.0.0.1/", "https://0x7f.1/", true),
        ] {
            assert_eq!(
                follow(from, location.as_bytes(), true).unwrap().same_origin,
                same,
                "{from} {location}"
            );
        }
    }

    #[test]
    fn headers() {
        let sent = [
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("accept-language", "de"),
            ("authorization", "Bearer secret"),
            ("cache-control", "no-cache"),
            ("content-digest", "sha-256=:AA==:"),
            ("content-length", "3"),
            ("content-type", "text/plain"),
            ("cookie", "secret"),
            ("digest", "sha-256=AA=="),
            ("expect", "100-continue"),
            ("host", "a.example"),
            ("if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
            ("if-none-match", "\"x\""),
            ("proxy-authorization", "Basic secret"),
            ("range", "bytes=0-9"),
            ("referer", "https://a.example/secret"),
            ("traceparent", "00-x"),
            ("tracestate", "x=y"),
            ("transfer-encoding", "chunked"),
            ("user-agent", "test"),
            ("x-api-key", "secret"),
        ];
        let content = ["content-digest", "content-length", "content-type"];
        let with_payload = ["digest", "expect", "transfer-encoding"];
        let public = CROSS_ORIGIN;
        for (same_origin, keep_payload) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let mut headers = map(&sent);
            Next {
                url: url(HERE),
                method: Method::GET,
                keep_payload,
                same_origin,
            }
            .strip(&mut headers);
            for (name, _) in sent {
                let expected = match (same_origin, keep_payload) {
                    (true, true) => true,
                    (true, false) => !content.contains(&name) && !with_payload.contains(&name),
                    (false, true) => public.contains(&name) || content.contains(&name),
                    (false, false) => public.contains(&name),
                };
                assert_eq!(
                    headers.contains_key(name),
                    expected,
                    "{name} {same_origin} {keep_payload}"
                );
            }
        }
    }

    #[test]
    fn every_value_of_a_header_goes_and_stays_gone() {
        let mut headers = map(&[
            ("authorization", "one"),
            ("authorization", "two"),
            ("accept", "a"),
            ("accept", "b"),
        ]);
        let away = follow(HERE, b"https://b.example/", false).unwrap();
        away.strip(&mut headers);
        let back = follow(away.url.as_str(), HERE.as_bytes(), false).unwrap();
        back.strip(&mut headers);
        assert!(!headers.contains_key(AUTHORIZATION));
        assert_eq!(headers.get_all("accept").iter().count(), 2);
    }
}
