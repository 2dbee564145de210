//! What a client's limits make of a request: they refuse it, amend it, or let it be. Pure.

use std::fmt;
use std::ops::RangeInclusive;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::Limits;
use super::app_engine::{NO_PAYLOAD, PROTECTED};
use super::profile::Manners;

/// What else has to be done to a request that was amended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Amended {
    /// The headers that were dropped, for the log.
    pub(crate) dropped: Vec<&'static str>,
    /// The payload is not to be sent.
    pub(crate) drops_payload: bool,
}

impl Limits {
    /// Amends a request as the profile has it, and refuses what is too large of the rest. `length`
    /// is that of the payload, if it is known.
    pub(crate) fn amend(
        &self,
        method: &Method,
        headers: &mut HeaderMap,
        length: Option<u64>,
    ) -> Result<Amended, Exceeded> {
        let mut amended = Amended::default();
        let app_engine = self.manners == Manners::AppEngine;
        if app_engine {
            let dropped = |name: &&str| headers.remove(*name).is_some();
            amended.dropped = PROTECTED.into_iter().filter(dropped).collect();
            amended.drops_payload = length != Some(0) && NO_PAYLOAD.contains(method);
        }
        self.check_headers(headers)?;
        if amended.drops_payload {
            return Ok(amended);
        }
        self.check_payload(length)?;
        // The documentation and the stub: of POST alone.
        if app_engine && *method == Method::POST && length != Some(0) {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.entry(CONTENT_TYPE).or_insert(form);
        }
        Ok(amended)
    }

    /// Refuses a URL that is too long, or on a port that is not allowed.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), Exceeded> {
        let length = url.as_str().len();
        match self.max_url_length {
            Some(most) if length > most => return Err(Exceeded::Url { length, most }),
            _ => {}
        }
        let (Some(allowed), Some(port)) = (&self.ports, url.port_or_known_default()) else {
            return Ok(());
        };
        match allowed.iter().any(|range| range.contains(&port)) {
            true => Ok(()),
            false => Err(Exceeded::Port {
                port,
                allowed: allowed.clone(),
            }),
        }
    }

    /// Whether this status may be a redirect at all, if it is one in HTTP.
    pub(crate) fn redirects_by(&self, status: StatusCode) -> bool {
        // Neither App Engine's documentation nor its stub knows of RFC 7538.
        self.manners != Manners::AppEngine || status != StatusCode::PERMANENT_REDIRECT
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Exceeded> {
        let Some(most) = self.max_request_header_size else {
            return Ok(());
        };
        let lines = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + ": ".len() + value.len() + "\r\n".len());
        match lines.sum() {
            size if size > most => Err(Exceeded::Headers { size, most }),
            _ => Ok(()),
        }
    }

    fn check_payload(&self, length: Option<u64>) -> Result<(), Exceeded> {
        match (length, self.max_payload_size) {
            (Some(size), Some(most)) if size > most => Err(Exceeded::Payload { size, most }),
            // A stream of unknown length is held to its limit while it goes out.
            _ => Ok(()),
        }
    }
}

/// A limit that a request is beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Payload {
        size: u64,
        most: u64,
    },
    /// A payload whose length was not known before.
    Stream {
        most: u64,
    },
    Headers {
        size: usize,
        most: usize,
    },
    Url {
        length: usize,
        most: usize,
    },
    Port {
        port: u16,
        allowed: Vec<RangeInclusive<u16>>,
    },
}

impl std::error::Error for Exceeded {}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload { size, most } => write!(
                f,
                "the payload is {size} bytes, more than its limit of {most} bytes"
            ),
            Self::Stream { most } => {
                write!(
                    f,
                    "the payload's stream is longer than its limit of {most} bytes"
                )
            }
            Self::Headers { size, most } => write!(
                f,
                "the headers of the request are {size} bytes, more than their limit of {most} bytes"
            ),
            Self::Url { length, most } => write!(
                f,
                "the URL is {length} bytes, more than its limit of {most} bytes"
            ),
            Self::Port { port, allowed } => {
                write!(f, "the URL's port is {port}, and allowed is ")?;
                for (index, range) in allowed.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match (range.start(), range.end()) {
                        (start, end) if start == end => write!(f, "{comma}{start}")?,
                        (start, end) => write!(f, "{comma}{start}-{end}")?,
                    }
                }
                match allowed.is_empty() {
                    true => f.write_str("none"),
                    false => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields = &'static [(&'static str, &'static str)];

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_payload_and_its_type_are_as_app_engine_had_them() {
        let form = Some("application/x-www-form-urlencoded");
        let own: Fields = &[("content-type", "text/plain")];
        let most = 10 << 20;
        // The method, the headers, the payload's length, whether it is dropped, and the content type.
        for (method, fields, length, drops, content_type) in [
            (Method::GET, &[] as Fields, Some(1), true, None),
            (Method::HEAD, &[], Some(1), true, None),
            (Method::DELETE, &[], Some(1), true, None),
            (Method::DELETE, &[], None, true, None),
            // What is dropped is not too large either.
            (Method::GET, &[], Some(most + 1), true, None),
            (Method::GET, &[], Some(0), false, None),
            (Method::GET, own, Some(1), true, Some("text/plain")),
            (Method::POST, &[], Some(1), false, form),
            (Method::POST, &[], Some(most), false, form),
            (Method::POST, &[], None, false, form),
            (Method::POST, &[], Some(0), false, None),
            (Method::POST, own, Some(1), false, Some("text/plain")),
            (
                Method::POST,
                &[("content-type", "")],
                Some(1),
                false,
                Some(""),
            ),
            (Method::PUT, &[], Some(1), false, None),
            (Method::PATCH, &[], Some(1), false, None),
            (Method::OPTIONS, &[], Some(1), false, None),
        ] {
            let shown = format!("{method} {fields:?} {length:?}");
            let mut headers = map(fields);
            let amended = Limits::app_engine().amend(&method, &mut headers, length);
            assert_eq!(amended.unwrap().drops_payload, drops, "{shown}");
            let found = headers.get(CONTENT_TYPE).map(|it| it.to_str().unwrap());
            assert_eq!(found, content_type, "{shown}");
            // Nobody else's request is touched.
            let mut headers = map(fields);
            let amended = Limits::default().amend(&method, &mut headers, length);
            assert_eq!((amended, headers), (Ok(Amended::default()), map(fields)));
        }
    }

    #[test]
    fn protected_headers_are_dropped_and_named() {
        let fields: Fields = &[
            ("accept", "*/*"),
            ("content-length", "5"),
            ("host", "other.example"),
            ("vary", "*"),
            ("via", "1.1 a"),
            ("via", "1.1 b"),
            ("x-appengine-inbound-appid", "app"),
            ("x-appengine-other", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-proxyuser-ip", "10.0.0.1"),
        ];
        let mut headers = map(fields);
        let amended = Limits::app_engine().amend(&Method::GET, &mut headers, Some(0));
        assert_eq!(
            headers,
            map(&[("accept", "*/*"), ("x-appengine-other", "1")])
        );
        assert_eq!(amended.unwrap().dropped, PROTECTED);
        let mut headers = map(&[("via", "1.1 a"), ("accept", "*/*")]);
        let amended = Limits::app_engine().amend(&Method::GET, &mut headers, Some(0));
        assert_eq!(amended.unwrap().dropped, ["via"]);
        let mut headers = map(fields);
        let amended = Limits::default().amend(&Method::GET, &mut headers, Some(0));
        assert_eq!((amended, headers), (Ok(Amended::default()), map(fields)));
    }

    #[test]
    fn a_request_is_as_large_as_it_may_be() {
        let limits = Limits::default()
            .max_payload_size(3)
            .max_request_header_size(20);
        // As HTTP/1.1 writes them: "a: bcdef\r\n" is ten bytes.
        let ten = ("a", "bcdef");
        for (fields, length, expected) in [
            (&[ten] as &[_], Some(2), Ok(())),
            (&[ten, ten], Some(3), Ok(())),
            (&[ten, ten], None, Ok(())),
            (&[], Some(4), Err(Exceeded::Payload { size: 4, most: 3 })),
            (
                &[ten, ("b", "cdefgh")],
                Some(0),
                Err(Exceeded::Headers { size: 21, most: 20 }),
            ),
            (
                &[ten, ten, ("c", "")],
                Some(0),
                Err(Exceeded::Headers { size: 25, most: 20 }),
            ),
        ] {
            let amended = limits.amend(&Method::POST, &mut map(fields), length);
            assert_eq!(amended.map(drop), expected, "{fields:?} {length:?}");
        }
        // What is not sent is not counted.
        let limits = Limits::app_engine().max_request_header_size(10);
        let mut headers = map(&[ten, ("via", "1.1 a")]);
        let amended = limits.amend(&Method::POST, &mut headers, Some(1));
        assert_eq!(amended.unwrap().dropped, ["via"]);
    }

    #[test]
    fn a_url_is_as_long_and_on_such_a_port_as_it_may_be() {
        let of = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        let limits = Limits::app_engine();
        for (length, expected) in [(10_239, true), (10_240, true), (10_241, false)] {
            let url = Url::parse(&of(length)).unwrap();
            assert_eq!(url.as_str().len(), length);
            assert_eq!(limits.check_url(&url).is_ok(), expected, "{length}");
        }
        for (url, expected) in [
            ("https://a.example/", true),
            ("http://a.example/", true),
            ("http://a.example:79/", false),
            ("http://a.example:81/", true),
            ("http://a.example:90/", true),
            ("http://a.example:91/", false),
            ("https://a.example:80/", true),
            ("https://a.example:439/", false),
            ("https://a.example:440/", true),
            ("https://a.example:450/", true),
            ("https://a.example:451/", false),
            ("https://a.example:1023/", false),
            ("https://a.example:1024/", true),
            ("https://a.example:65535/", true),
            ("https://a.example:0/", false),
            ("https://a.example:1/", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(limits.check_url(&url).is_ok(), expected, "{url}");
            assert_eq!(Limits::default().check_url(&url), Ok(()));
        }
        let none = Limits::default().ports([]);
        let url = Url::parse("https://a.example/").unwrap();
        assert!(none.check_url(&url).is_err());
    }

    #[test]
    fn what_is_exceeded_is_said_with_its_sizes() {
        let port = |allowed| Exceeded::Port { port: 91, allowed };
        for (exceeded, expected) in [
            (
                Exceeded::Payload { size: 4, most: 3 },
                "the payload is 4 bytes, more than its limit of 3 bytes",
            ),
            (
                Exceeded::Stream { most: 3 },
                "the payload's stream is longer than its limit of 3 bytes",
            ),
            (
                Exceeded::Headers { size: 4, most: 3 },
                "the headers of the request are 4 bytes, more than their limit of 3 bytes",
            ),
            (
                Exceeded::Url { length: 4, most: 3 },
                "the URL is 4 bytes, more than its limit of 3 bytes",
            ),
            (
                port(vec![80..=90, 443..=443]),
                "the URL's port is 91, and allowed is 80-90, 443",
            ),
            (port(vec![]), "the URL's port is 91, and allowed is none"),
        ] {
            assert_eq!(exceeded.to_string(), expected);
        }
    }
}
