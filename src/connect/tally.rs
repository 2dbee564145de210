//! The bytes of one request and of its response.

use bytes::Bytes;
use http::{HeaderMap, Request, response::Parts};
use http_body::Frame;

use super::stream::Traffic;
use crate::timings::Moved;

/// What there is to tell them from those of others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Tally {
    /// No request has been sent yet.
    #[default]
    Nothing,
    /// What its connection has read and written since it stood there.
    Http1 { read: u64, written: u64 },
    /// The fields of the request, and all of the response that has come. Its connection moves much
    /// else, so they are counted before they are compressed.
    Http2 { fields: u64, received: u64 },
}

impl Tally {
    /// Of a request that is about to be sent over HTTP/1.1. All of the request before has been
    /// written by then.
    pub(super) fn http1(traffic: &Traffic) -> Self {
        Self::Http1 {
            read: traffic.read(),
            written: traffic.written(),
        }
    }

    /// Of a request that is about to be sent over h2.
    pub(super) fn http2<B>(request: &Request<B>) -> Self {
        Self::Http2 {
            fields: size_of_request(request),
            received: 0,
        }
    }

    /// The head of the response has come.
    pub(super) fn head(&mut self, head: &Parts) {
        if let Self::Http2 { received, .. } = self {
            *received += pair(":status", head.status.as_str()) + size_of_fields(&head.headers);
        }
    }

    /// A piece of the response's body has come, or its trailers.
    pub(super) fn frame(&mut self, frame: &Frame<Bytes>) {
        if let Self::Http2 { received, .. } = self {
            *received += frame.data_ref().map_or(0, |data| data.len() as u64);
            *received += frame.trailers_ref().map_or(0, size_of_fields);
        }
    }

    /// What went each way until now; over h2, `uploaded` bytes of the payload.
    pub(super) fn moved(&self, traffic: &Traffic, uploaded: u64) -> Moved {
        match *self {
            Self::Nothing => Moved::default(),
            Self::Http1 { read, written } => Moved {
                sent: traffic.written().saturating_sub(written),
                received: traffic.read().saturating_sub(read),
            },
            Self::Http2 { fields, received } => Moved {
                sent: fields.saturating_add(uploaded),
                received,
            },
        }
    }
}

/// RFC 9113 §8.3.1: what an HTTP/1.1 request has in its line, h2 has in fields.
fn size_of_request<B>(request: &Request<B>) -> u64 {
    let uri = request.uri();
    let part = |name: &str, value: Option<&str>| value.map_or(0, |value| pair(name, value));
    pair(":method", request.method().as_str())
        + part(":scheme", uri.scheme_str())
        + part(":authority", uri.authority().map(|it| it.as_str()))
        + part(":path", uri.path_and_query().map(|it| it.as_str()))
        + size_of_fields(request.headers())
}

fn size_of_fields(fields: &HeaderMap) -> u64 {
    let sizes = fields
        .iter()
        .map(|(name, value)| (name.as_str().len() + value.len()) as u64);
    sizes.sum()
}

fn pair(name: &str, value: &str) -> u64 {
    (name.len() + value.len()) as u64
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn all_fields_of_an_h2_request_are_counted() {
        let request = Request::post("https://a.example/p?q").header("k", "");
        let request = request.header("content-length", "12").body(()).unwrap();
        let fields = ":methodPOST:schemehttps:authoritya.example:path/p?qkcontent-length12";
        assert_eq!(size_of_request(&request), fields.len() as u64);
    }

    #[test]
    fn what_was_not_sent_moved_nothing() {
        let traffic = Traffic::default();
        assert_eq!(Tally::default().moved(&traffic, 0), Moved::default());
        let request = Request::new(());
        let mut tally = Tally::http2(&request);
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::NOT_FOUND;
        tally.head(&head);
        assert_eq!(tally.moved(&traffic, 0).received, 10);
        assert_eq!(
            tally.moved(&traffic, 5).sent,
            ":methodGET:path/".len() as u64 + 5
        );
    }
}
