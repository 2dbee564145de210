//! The head of a request, as it is written for one connection: the caller's headers, those that
//! every request has, and how long the payload is. Pure.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body::Body;

use crate::error::{Error, ErrorKind, Result};
use crate::headers::missing;
use crate::spare;
use crate::target::Target;

/// What a request is made of, but for its payload. It stays as it is, for a redirect or a replay.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Target,
    /// The caller's.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) user_agent: &'a HeaderValue,
}

impl Head<'_> {
    /// Writes what precedes a payload of this length, or of one that is not known, for HTTP/1.1 (RFC
    /// 9112 §3).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if the URL or the Host header cannot be written.
    pub(crate) fn over_http1(self, length: Option<u64>, text: &mut Vec<u8>) -> Result<()> {
        let path = self.target.path().ok_or_else(unwritable)?;
        for part in [self.method.as_str(), " ", path.as_str(), " HTTP/1.1\r\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        // RFC 9110 §7.2: Host is best the first.
        let host = match self.headers.get(HOST) {
            Some(host) => host,
            None => self.target.host().ok_or_else(unwritable)?,
        };
        line(text, &HOST, host.as_bytes());
        for (name, value) in self.headers.iter().filter(|(name, _)| **name != HOST) {
            line(text, name, value.as_bytes());
        }
        // RFC 9110 §10.1.4: it is for the next on the way alone, who takes it out.
        if self.headers.contains_key(TE) {
            line(text, &CONNECTION, b"te");
        }
        for (name, value) in missing(self.headers, self.user_agent) {
            line(text, &name, value.as_bytes());
        }
        match length {
            None => line(text, &TRANSFER_ENCODING, b"chunked"),
            Some(length) if self.tells(length) => {
                line(text, &CONTENT_LENGTH, length.to_string().as_bytes());
            }
            Some(_) => {}
        }
        text.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The request with this payload, for h2.
    ///
    /// # Errors
    ///
    /// The same.
    pub(crate) fn over_http2<B: Body>(self, payload: B) -> Result<Request<B>> {
        let mut headers = spare::header_map(self.headers.len() + ADDED);
        for (name, value) in self.headers {
            headers.append(name.clone(), value.clone());
        }
        for (name, value) in missing(self.headers, self.user_agent) {
            headers.append(name, value.clone());
        }
        // RFC 9113 §8.3.1: :authority takes the place of Host.
        let host = headers.remove(HOST);
        let uri = self.target.absolute_form(host.as_ref());
        let length = payload.size_hint().exact();
        if let Some(length) = length.filter(|length| self.tells(*length)) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut request = Request::new(payload);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.ok_or_else(unwritable)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Whether the length of the payload is to be told: where one is expected, its absence is too
    /// (RFC 9110 §8.6). The caller may have told it himself.
    fn tells(&self, length: u64) -> bool {
        (length > 0 || EXPECT_PAYLOAD.contains(self.method))
            && !self.headers.contains_key(CONTENT_LENGTH)
    }
}

/// Neither a name nor a value has a line's end in it, by their types.
fn line(text: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        text.extend_from_slice(part);
    }
}

fn unwritable() -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "the URL or the Host header cannot be written in a request",
    )
}

/// What a request may have besides the caller's headers.
const ADDED: usize = 4;

/// Methods whose meaning is in their payload (RFC 9110 §9.3, RFC 5789).
const EXPECT_PAYLOAD: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

#[cfg(test)]
mod tests {
    use super::*;

    /// What precedes the payload, but for what every request has.
    fn written(method: &str, fields: &[(&str, &str)], length: Option<u64>) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let head = Head {
            method: &method.parse().unwrap(),
            target: &Target::of("https://a.test:8443/p?q#f".parse().unwrap()),
            headers: &headers,
            user_agent: &HeaderValue::from_static("agent"),
        };
        let mut text = Vec::new();
        head.over_http1(length, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let rest = text.strip_prefix(&format!("{method} /p?q HTTP/1.1\r\nhost: "));
        let rest = rest.unwrap().strip_suffix("\r\n\r\n").unwrap();
        let of_all = ["user-agent", "accept", "accept-encoding"];
        let lines = rest.split("\r\n");
        let own = lines.filter(|line| !of_all.iter().any(|name| line.starts_with(name)));
        own.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_request_says_once_whom_it_is_for_and_where_it_ends() {
        let host = "a.test:8443";
        for (method, fields, length, expected) in [
            ("GET", &[][..], Some(0), ""),
            ("HEAD", &[], Some(0), ""),
            ("DELETE", &[], Some(0), ""),
            ("OPTIONS", &[], Some(0), ""),
            ("POST", &[], Some(0), "|content-length: 0"),
            ("PUT", &[], Some(0), "|content-length: 0"),
            ("PATCH", &[], Some(0), "|content-length: 0"),
            ("GET", &[], Some(5), "|content-length: 5"),
            (
                "POST",
                &[],
                Some(u64::MAX),
                "|content-length: 18446744073709551615",
            ),
            ("GET", &[], None, "|transfer-encoding: chunked"),
            ("POST", &[], None, "|transfer-encoding: chunked"),
            (
                "POST",
                &[("content-length", "5")],
                Some(5),
                "|content-length: 5",
            ),
            (
                "GET",
                &[("content-length", "0")],
                Some(0),
                "|content-length: 0",
            ),
            (
                "GET",
                &[("x", "1"), ("y", ""), ("x", "2")],
                Some(0),
                "|x: 1|x: 2|y: ",
            ),
            (
                "GET",
                &[("te", "trailers"), ("connection", "close")],
                Some(0),
                "|te: trailers|connection: close|connection: te",
            ),
        ] {
            let found = written(method, fields, length);
            assert_eq!(
                found,
                format!("{host}{expected}"),
                "{method} {fields:?} {length:?}"
            );
        }
        let found = written("GET", &[("x", "1"), ("host", "b.test")], Some(0));
        assert_eq!(found, "b.test|x: 1");
        for name in ["user-agent", "accept", "accept-encoding"] {
            assert_eq!(written("GET", &[(name, "mine")], Some(0)), host);
        }
    }
}
