//! What came back: status, headers, where it came from, how its peer was judged, and its body.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Version};
use url::Url;

use crate::body::{Body, Content};
use crate::charset::decode_text;
use crate::error::{Error, ErrorKind, Result, redacted};
use crate::spare;
use crate::target::Target;
use crate::timings::Timings;
use crate::tls::{Peer, Verdict};

/// A response whose head has come. Its body is read by one of the methods that consume it, or
/// piece by piece.
///
/// Dropping it closes an HTTP/1.1 connection whose body was not read to its end, and cancels an h2
/// stream.
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) hops: Vec<Hop>,
    pub(crate) body: Body,
}

impl Response {
    /// The status. Any of them is a result; see [`error_for_status`](Self::error_for_status).
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers. If we decoded the body, Content-Encoding and Content-Length are gone.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The protocol it came by.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The URL it came from: the last one, if redirects were followed.
    pub fn url(&self) -> &Url {
        self.body.url()
    }

    /// The redirects that were followed, in order.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// What was found when the peer was judged; `None` for plain http.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.body.facts().verdict()
    }

    /// Who the peer is, and by which TLS it was spoken to; `None` for plain http.
    pub fn peer(&self) -> Option<&Peer> {
        self.body.facts().peer.as_ref()
    }

    /// Where the time went until the head had come; or, if [`chunk`](Self::chunk) has been called
    /// since, until the last piece of the body that was read. [`Content`] has them for a whole body.
    pub fn timings(&self) -> &Timings {
        self.body.timings()
    }

    /// The address it came from: the proxy's, if there is one between.
    pub fn remote_addr(&self) -> SocketAddr {
        self.body.facts().remote
    }

    /// Itself, unless its status is 4xx or 5xx.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Status`] if it is.
    pub fn error_for_status(self) -> Result<Self> {
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return Ok(self);
        }
        Err(Error::new(
            ErrorKind::Status,
            format!("the server answered {}", self.status),
        )
        .with_status(self.status)
        .with_url(self.url())
        .with_verdict(self.body.facts().shared_verdict())
        .with_timings(*self.body.timings())
        .sent(true))
    }

    /// The whole body, and whether it was cut.
    ///
    /// # Errors
    ///
    /// Of kind [`ResponseTooLarge`](ErrorKind::ResponseTooLarge) if it is larger than the limit and
    /// truncation is not allowed, [`ConnectionClosed`](ErrorKind::ConnectionClosed) if it ended
    /// early, [`Decode`](ErrorKind::Decode), [`Deadline`](ErrorKind::Deadline),
    /// [`MalformedReply`](ErrorKind::MalformedReply). There is never a silently short body.
    pub async fn content(self) -> Result<Content> {
        spare::keep(self.headers);
        self.body.collect().await
    }

    /// The whole body. If truncation is allowed, this does not tell whether it happened:
    /// [`content`](Self::content) does.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    pub async fn bytes(self) -> Result<Bytes> {
        Ok(self.content().await?.bytes)
    }

    /// The whole body as text, in the charset that Content-Type names (feature `charset`), or
    /// UTF-8. What cannot be decoded becomes U+FFFD.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    pub async fn text(self) -> Result<String> {
        let content_type = self.headers.get(CONTENT_TYPE).cloned();
        let bytes = self.bytes().await?;
        Ok(decode_text(content_type.as_ref(), bytes))
    }

    /// The whole body as JSON.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), and [`Decode`](ErrorKind::Decode) if it is not JSON of this
    /// shape.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        let context = self.body.context().clone();
        let content = self.content().await?;
        serde_json::from_slice(&content.bytes).map_err(|error| {
            // It may quote the body.
            let why = crate::tls::shown::ShownSentence(error);
            let error = Error::new(
                ErrorKind::Decode,
                format!("the body is not the JSON that was expected: {why}"),
            );
            context.complete(error).with_timings(content.timings)
        })
    }

    /// The next piece of the body, or `None` at its end.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), but the size limit and the total deadline hold only if they
    /// were set; without them each piece may take 30 s.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.body.chunk().await
    }

    /// The body, to be read as a [`Stream`](futures_core::Stream) or an
    /// [`http_body::Body`](http_body::Body).
    pub fn into_body(self) -> Body {
        self.body
    }
}

/// Without header values and the URL's query, which may hold secrets.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("version", &self.version)
            .field("url", &redacted(self.url()).as_str())
            .field("hops", &self.hops)
            .field("remote_addr", &self.body.facts().remote)
            .field("is_verified", &self.verdict().map(Verdict::is_verified))
            .finish_non_exhaustive()
    }
}

/// A redirect that was followed.
#[derive(Clone)]
pub struct Hop {
    pub(crate) status: StatusCode,
    pub(crate) target: Target,
    pub(crate) peer: Option<Peer>,
    pub(crate) timings: Timings,
}

impl Hop {
    /// The status that sent us on.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The URL that was fetched.
    pub fn url(&self) -> &Url {
        self.target.url()
    }

    /// What was found when its peer was judged; `None` for plain http.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.peer().map(Peer::verdict)
    }

    /// Who its peer was, and by which TLS it was spoken to; `None` for plain http.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Where the time of this hop alone went, until its response was done with.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }
}

/// Without the URL's query, which may hold secrets.
impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop")
            .field("status", &self.status)
            .field("url", &redacted(self.url()).as_str())
            .field("is_verified", &self.verdict().map(Verdict::is_verified))
            .finish_non_exhaustive()
    }
}
