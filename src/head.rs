//! The head of a request, as it is written for one connection: the caller's headers, those that
//! every request has, and how long the payload is. Pure.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Body;

use crate::error::{Error, ErrorKind, Result};
use crate::headers::add_headers;
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
    /// The request with this payload, for HTTP/1.1 or for h2.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if the URL or the Host header cannot be written.
    pub(crate) fn with<B: Body>(self, payload: B, over_http2: bool) -> Result<Request<B>> {
        // There is room for the headers of the response too, as hyper uses it again.
        let mut headers = spare::header_map(self.headers.len() + ADDED);
        for (name, value) in self.headers {
            headers.append(name.clone(), value.clone());
        }
        add_headers(&mut headers, self.user_agent);
        let uri = if over_http2 {
            // RFC 9113 §8.3.1: :authority takes the place of Host.
            let host = headers.remove(HOST);
            self.target.absolute_form(host.as_ref())
        } else {
            if !self.headers.contains_key(HOST) {
                headers.insert(HOST, self.target.host().ok_or_else(unwritable)?);
            }
            self.target.origin_form()
        };
        match payload.size_hint().exact() {
            // RFC 9110 §8.6: where a payload is expected, its absence is said. hyper leaves it to us
            // over HTTP/1.1.
            Some(0) if EXPECT_PAYLOAD.contains(self.method) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            // Unless asked so, hyper drops the payload of a GET.
            None if !over_http2 => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            _ => {}
        }
        let mut request = Request::new(payload);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.ok_or_else(unwritable)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn unwritable() -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "the URL or the Host header cannot be written in a request",
    )
}

/// Room for what a request has besides the caller's headers.
const ADDED: usize = 8;

/// Methods whose meaning is in their payload (RFC 9110 §9.3, RFC 5789).
const EXPECT_PAYLOAD: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];
