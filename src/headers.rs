//! What every request's headers have, and what no caller's may. Pure.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, RANGE,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::decode;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::REQUEST_FIELDS;

/// A header as the caller has named it, fit to be written.
pub(crate) fn header<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue)>
where
    N: TryInto<HeaderName, Error: Into<http::Error>>,
    V: TryInto<HeaderValue, Error: Into<http::Error>>,
{
    let invalid = |why: String| Error::new(ErrorKind::InvalidRequest, why);
    let name = name.try_into().map_err(|error| {
        invalid("a header's name is not a token".into()).with_source(error.into())
    })?;
    let value = value.try_into().map_err(|error| {
        invalid(format!(
            "the value of the header {name} has a character it may not have"
        ))
        .with_source(error.into())
    })?;
    Ok((name, value))
}

/// Refuses one header more where there are as many as may be.
pub(crate) fn check_room(headers: &HeaderMap) -> Result<()> {
    match headers.len() < REQUEST_FIELDS {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("there are more headers than the {REQUEST_FIELDS} that a request can have"),
        )),
    }
}

/// What every request has and this one, by its caller, lacks.
pub(crate) fn missing<'a>(
    headers: &HeaderMap,
    user_agent: &'a HeaderValue,
) -> impl Iterator<Item = (HeaderName, &'a HeaderValue)> + use<'a> {
    static ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
    let agent = (!headers.contains_key(USER_AGENT)).then_some((USER_AGENT, user_agent));
    let accept = (!headers.contains_key(ACCEPT)).then_some((ACCEPT, &ANYTHING));
    let codings = decode::accept_encoding().filter(|_| codings_are_ours(headers));
    let codings = codings.map(|codings| (ACCEPT_ENCODING, codings));
    [agent, accept, codings].into_iter().flatten()
}

/// Whether the codings of the response are asked for of our own accord, so that we undo them. Who
/// asks for some gets the bytes as they are on the wire, and part of a coded body is of no use to
/// anybody.
pub(crate) fn codings_are_ours(headers: &HeaderMap) -> bool {
    !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE)
}

/// Refuses headers that say where the request ends otherwise than its payload does, or that ask
/// for a protocol that we would not understand (RFC 9112 §6, RFC 9110 §7.8), or that are meant for
/// somebody else.
pub(crate) fn check_headers(headers: &HeaderMap, length: Option<u64>) -> Result<()> {
    // As most requests have none of their own.
    if headers.is_empty() {
        return Ok(());
    }
    let invalid = |why: &'static str| Err(Error::new(ErrorKind::InvalidRequest, why));
    if headers.contains_key(TRANSFER_ENCODING) {
        return invalid("Transfer-Encoding is ours to set: it follows from the payload");
    }
    if headers.contains_key(UPGRADE) {
        return invalid("Upgrade asks for a protocol that is not HTTP");
    }
    // A proxy sees no header of a request's: the host would have the password.
    if headers.contains_key(PROXY_AUTHORIZATION) {
        return invalid(
            "Proxy-Authorization would go to the host: a proxy's password belongs in its URL",
        );
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return invalid("there is more than one Host");
    }
    // Over h2 it becomes part of the target, so a slash or a question mark would change the path.
    let is_authority = |host: &HeaderValue| {
        let authority = Authority::try_from(host.as_bytes());
        authority.is_ok_and(|authority| !authority.as_str().contains('@'))
    };
    if headers.get(HOST).is_some_and(|host| !is_authority(host)) {
        return invalid("Host is not a host with or without a port");
    }
    // RFC 9110 §8.6: digits alone. Rust's own parser takes a sign too.
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().ok().filter(digits);
        let said = text.and_then(|text| text.parse().ok());
        if said.is_none() || said != length {
            return invalid("Content-Length is not the payload's length");
        }
    }
    if headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return invalid("there is more than one Content-Length");
    }
    for value in headers.get_all(CONNECTION) {
        if !value.as_bytes().eq_ignore_ascii_case(b"close")
            && !value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
        {
            return invalid("Connection may be close or keep-alive");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_contradict_the_payload_are_refused() {
        type Fields = &'static [(&'static str, &'static str)];
        let rows: [(Fields, Option<u64>, bool); 19] = [
            (&[], Some(0), true),
            (&[("content-length", "3")], Some(3), true),
            (&[("content-length", "3")], Some(4), false),
            (&[("content-length", "3")], None, false),
            (
                &[("content-length", "3"), ("content-length", "3")],
                Some(3),
                false,
            ),
            (&[("content-length", "+3")], Some(3), false),
            (&[("transfer-encoding", "chunked")], None, false),
            (&[("upgrade", "websocket")], Some(0), false),
            (&[("proxy-authorization", "Basic eA==")], Some(0), false),
            (&[("connection", "close")], Some(0), true),
            (&[("connection", "Keep-Alive")], Some(0), true),
            (&[("connection", "upgrade")], Some(0), false),
            (&[("host", "a")], Some(0), true),
            (&[("host", "[::1]:8443")], Some(0), true),
            (&[("host", "a"), ("host", "b")], Some(0), false),
            (&[("host", "a/b")], Some(0), false),
            (&[("host", "user@a")], Some(0), false),
            (&[("host", "")], Some(0), false),
            (&[("expect", "100-continue")], Some(3), true),
        ];
        for (fields, length, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            let checked = check_headers(&headers, length);
            assert_eq!(checked.is_ok(), expected, "{fields:?} {length:?}");
        }
    }

    #[test]
    fn codings_are_ours_only_if_the_caller_said_nothing() {
        for (name, value, ours) in [
            ("x", "y", true),
            ("accept-encoding", "gzip", false),
            ("range", "bytes=0-1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let agent = HeaderValue::from_static("test");
            assert_eq!(codings_are_ours(&headers), ours, "{name}");
            let asks = missing(&headers, &agent).any(|(name, _)| name == ACCEPT_ENCODING);
            assert_eq!(asks, ours && decode::accept_encoding().is_some());
        }
    }
}
