//! What a call gave.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use url::Url;

use super::headers::Headers;
use crate::body::Content;
use crate::charset::decode_text;
use crate::timings::Timings;
use crate::tls::{Peer, Verdict};

/// A response, its whole body read. Cheap to clone.
#[derive(Clone)]
pub struct FetchResult(Arc<Inner>);

struct Inner {
    content: Content,
    status: StatusCode,
    headers: Headers,
    final_url: Option<Url>,
    peer: Option<Peer>,
}

impl FetchResult {
    pub(super) fn new(
        content: Content,
        status: StatusCode,
        headers: Headers,
        final_url: Option<Url>,
        peer: Option<Peer>,
    ) -> Self {
        Self(Arc::new(Inner {
            content,
            status,
            headers,
            final_url,
            peer,
        }))
    }

    /// The body, decoded. To a parser it is a `&[u8]`: what was `json.loads(result.content)` is
    /// `serde_json::from_slice(result.content())`.
    pub fn content(&self) -> &Bytes {
        &self.0.content.bytes
    }

    /// The content as text, in the charset that Content-Type names (feature `charset`), or UTF-8.
    /// What cannot be decoded becomes U+FFFD, where Python's `result.content.decode()` raised.
    pub fn text(&self) -> String {
        let content_type = self.headers().uncombined().get(CONTENT_TYPE);
        decode_text(content_type, self.content().clone())
    }

    /// The status, 200 to 999. None of them is an error; in App Engine's stubs those from 600 were.
    pub fn status_code(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// The headers, folded or one by one. Where the body was decoded, its Content-Encoding and
    /// Content-Length are gone.
    #[doc(alias = "header_msg")]
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// The URL that a redirect led to, absolute; `None` if there was none, or it led back.
    pub fn final_url(&self) -> Option<&Url> {
        self.0.final_url.as_ref()
    }

    /// Whether the body was cut at its limit, as
    /// [`allow_truncated`](super::Fetch::allow_truncated) lets it.
    pub fn content_was_truncated(&self) -> bool {
        self.0.content.was_truncated
    }

    /// What was found when the peer was judged, which App Engine never told; `None` for plain http.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.peer().map(Peer::verdict)
    }

    /// Who the peer is, and by which TLS it was spoken to; `None` for plain http.
    pub fn peer(&self) -> Option<&Peer> {
        self.0.peer.as_ref()
    }

    /// Where the time went until the last byte.
    pub fn timings(&self) -> &Timings {
        &self.0.content.timings
    }
}

/// Without the content, header values and the URL's query, which may hold secrets.
impl fmt::Debug for FetchResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchResult")
            .field("status_code", &self.status_code())
            .field("content", &self.0.content)
            .field("headers", &self.0.headers)
            .field(
                "final_url",
                &self
                    .final_url()
                    .map(crate::error::redacted)
                    .as_ref()
                    .map(Url::as_str),
            )
            .finish_non_exhaustive()
    }
}
