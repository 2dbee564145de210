//! The one error: what was tried, why it stopped, and for which URL.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use url::Url;

use crate::decode::DecodeError;
use crate::limits::{Elapsed, Exceeded};
use crate::redirect::RedirectError;
use crate::timings::{Phase, Timings};
use crate::tls::demand::{Inadmissible, InvalidHttpsVerify, VerificationRequired};
use crate::tls::shown::ShownSentence;
use crate::tls::verdict::Verdict;

pub use kind::ErrorKind;

mod kind;

/// The result of a fetch, or of preparing one.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a fetch stopped.
///
/// Its [`Display`](fmt::Display) says what was tried and the cause in the first line; a hint, where
/// a safe one exists, follows in the second. [`source`](StdError::source) has the cause for code to
/// look at: who prints a chain of causes prints its sentence twice. Neither it nor [`Debug`](fmt::Debug) ever shows a
/// query, userinfo, a header's value or key material.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// match urlfetch::fetch("https://wrong.host.badssl.com/").await {
///     Ok(response) => println!("{}", response.status()),
///     Err(error) => {
///         // certificate for "wrong.host.badssl.com" was refused: hostname-mismatch: ...
///         eprintln!("{error}");
///         assert!(!error.request_was_sent());
///         if let Some(reason) = error.verdict().and_then(|verdict| verdict.reason()) {
///             eprintln!("{}", reason.code());
///         }
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    hint: Option<String>,
    url: Option<Url>,
    full_url: Option<Url>,
    /// The host and the port of a stream that has no URL; 0 where the port is not known.
    host: Option<(String, u16)>,
    verdict: Option<Arc<Verdict>>,
    phase: Option<Phase>,
    timings: Timings,
    status: Option<StatusCode>,
    request_was_sent: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// What kind of trouble this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// A stable kebab-case word: the [`Reason::code`](crate::tls::Reason::code) of a refused
    /// certificate, else [`ErrorKind::code`]. It is what spans carry as `error.type`.
    pub fn code(&self) -> &'static str {
        match self.0.verdict.as_deref().and_then(Verdict::reason) {
            Some(reason) if self.0.kind == ErrorKind::Certificate => reason.code(),
            _ => self.0.kind.code(),
        }
    }

    /// The URL of the hop that failed, without userinfo, query and fragment.
    pub fn url(&self) -> Option<&Url> {
        self.0.url.as_ref()
    }

    /// The URL of the hop that failed, with its query, which may hold secrets: not for a log.
    pub fn url_with_query(&self) -> Option<&Url> {
        self.0.full_url.as_ref()
    }

    /// What was found when the peer was judged, if it came to that. In an error of kind
    /// [`Proxy`](ErrorKind::Proxy) the peer is the proxy.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.0.verdict.as_deref()
    }

    /// The phase in which a clock ran out or the connection failed.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// Where the time went until the failure; the phase that failed is there too. All is zero if
    /// nothing had begun.
    pub fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// The status that [`Response::error_for_status`](crate::Response::error_for_status) met.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Whether a byte of the request for [`url`](Self::url) may have left.
    ///
    /// It is `false` only where it is proved that none did. A hop before a redirect is a request
    /// of its own, which had its response.
    pub fn request_was_sent(&self) -> bool {
        self.0.request_was_sent
    }

    /// What safely helps, where something does.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        // Where the sentence does not say what was tried, the URL does.
        let unnamed = |url: &&Url| {
            !url.host_str()
                .is_some_and(|host| self.0.message.contains(host))
        };
        if let Some(url) = self.0.url.as_ref().filter(unnamed) {
            write!(f, " ({})", ShownSentence(url))?;
        }
        if let Some((host, port)) = &self.0.host {
            let names = |part: &str| self.0.message.contains(part);
            match port {
                0 if !names(host) => write!(f, " ({host})")?,
                1.. if !names(host) || !names(&format!(":{port}")) => {
                    write!(f, " ({host}:{port})")?;
                }
                _ => {}
            }
        }
        match &self.0.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("url", &self.0.url.as_ref().map(Url::as_str))
            .field("phase", &self.0.phase)
            .field("request_was_sent", &self.0.request_was_sent)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            url: None,
            full_url: None,
            host: None,
            verdict: None,
            phase: None,
            timings: Timings::default(),
            status: None,
            request_was_sent: false,
            source: None,
        }))
    }

    /// The cause, whose sentence follows ours.
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    pub(crate) fn with_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.0.hint = hint.map(Into::into);
        self
    }

    pub(crate) fn with_url(mut self, url: &Url) -> Self {
        if self.0.url.is_none() {
            self.0.url = Some(redacted(url));
            self.0.full_url = Some(without_userinfo(url));
        }
        self
    }

    /// To whom a stream was to be that has no URL. A port of 0 is one that is not known.
    pub(crate) fn with_host(mut self, host: &str, port: u16) -> Self {
        self.0.host = Some((host.to_owned(), port));
        self
    }

    pub(crate) fn with_verdict(mut self, verdict: Option<Arc<Verdict>>) -> Self {
        if self.0.verdict.is_none() {
            self.0.verdict = verdict;
        }
        self
    }

    pub(crate) fn with_phase(mut self, phase: Phase) -> Self {
        self.0.phase.get_or_insert(phase);
        self
    }

    pub(crate) fn with_timings(mut self, timings: Timings) -> Self {
        self.0.timings = timings;
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The same trouble, with a proxy on the way and not with the origin, each as host and port.
    pub(crate) fn on_the_way(
        mut self,
        proxy: impl fmt::Display,
        origin: impl fmt::Display,
    ) -> Self {
        let message = &self.0.message;
        match self.0.kind {
            // What the client is made of is nobody else's fault.
            ErrorKind::Config => {}
            ErrorKind::Deadline => {
                self.0.message =
                    format!("{message}, on the way to {origin} by the proxy {proxy}").into();
            }
            _ => {
                self.0.message =
                    format!("the proxy {proxy} could not be used to reach {origin}: {message}")
                        .into();
                self.0.kind = ErrorKind::Proxy;
            }
        }
        self
    }

    /// A byte of the request may have left.
    pub(crate) fn sent(mut self, sent: bool) -> Self {
        self.0.request_was_sent |= sent;
        self
    }
}

impl From<Elapsed> for Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(ErrorKind::Deadline, elapsed.to_string()).with_phase(elapsed.phase)
    }
}

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Self {
        let (kind, limit) = match exceeded {
            Exceeded::Payload { .. } | Exceeded::Stream { .. } => {
                (ErrorKind::PayloadTooLarge, "Limits::max_payload_size")
            }
            Exceeded::Headers { .. } => {
                (ErrorKind::InvalidRequest, "Limits::max_request_header_size")
            }
            Exceeded::Url { .. } => (ErrorKind::InvalidUrl, "Limits::max_url_length"),
            Exceeded::Port { .. } => (ErrorKind::InvalidUrl, "Limits::ports"),
        };
        Self::new(kind, exceeded.to_string())
            .with_hint(Some(format!("{limit} sets what is allowed")))
    }
}

impl From<InvalidHttpsVerify> for Error {
    fn from(invalid: InvalidHttpsVerify) -> Self {
        Self::new(ErrorKind::Config, invalid.to_string())
    }
}

impl From<VerificationRequired> for Error {
    fn from(required: VerificationRequired) -> Self {
        Self::new(ErrorKind::Config, required.to_string())
    }
}

impl From<RedirectError> for Error {
    fn from(refused: RedirectError) -> Self {
        let kind = match refused.is_malformed() {
            true => ErrorKind::MalformedReply,
            false => ErrorKind::RedirectRefused,
        };
        Self::new(kind, refused.to_string())
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorKind::Decode, error.to_string())
    }
}

impl From<Inadmissible> for Error {
    fn from(inadmissible: Inadmissible) -> Self {
        Self::new(ErrorKind::Tls, inadmissible.to_string())
    }
}

/// A URL as it may be shown: no userinfo, no query, no fragment.
pub(crate) fn redacted(url: &Url) -> Url {
    let mut shown = without_userinfo(url);
    shown.set_query(None);
    shown.set_fragment(None);
    shown
}

fn without_userinfo(url: &Url) -> Url {
    let mut shown = url.clone();
    // Either fails only where there can be none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_and_can_cross_threads() {
        fn can_cross<T: Send + Sync + 'static>() {}
        can_cross::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn no_secret_of_a_url_is_shown() {
        let url = Url::parse("https://user:pass@host.example/path?token=abc#frag").unwrap();
        let error = Error::new(ErrorKind::Connect, "no connection").with_url(&url);
        for shown in [
            format!("{error}"),
            format!("{error:?}"),
            format!("{error:#?}"),
            error.url().unwrap().to_string(),
        ] {
            for secret in ["user", "pass", "token", "abc", "frag"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
        }
        assert_eq!(
            error.url_with_query().unwrap().as_str(),
            "https://host.example/path?token=abc#frag"
        );
    }

    #[test]
    fn the_first_line_is_what_was_tried_and_the_cause() {
        let error = Error::new(ErrorKind::Connect, "connecting to host.example:443 failed")
            .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
            .with_hint(Some("is it running?"));
        assert_eq!(
            error.to_string(),
            "connecting to host.example:443 failed: connection refused\nhint: is it running?"
        );
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<std::io::Error>());
        assert!(cause.is_some());
    }

    #[test]
    fn the_host_of_a_stream_is_named_once() {
        for (message, port, expected) in [
            ("the clock ended", 5433, "the clock ended (db.example:5433)"),
            ("the clock ended", 0, "the clock ended (db.example)"),
            ("to db.example:5433", 5433, "to db.example:5433"),
            (
                "for \"db.example\" (10.0.0.1:5433)",
                5433,
                "for \"db.example\" (10.0.0.1:5433)",
            ),
            (
                "for \"db.example\"",
                5433,
                "for \"db.example\" (db.example:5433)",
            ),
            ("for \"db.example\"", 0, "for \"db.example\""),
        ] {
            let error = Error::new(ErrorKind::Tls, message).with_host("db.example", port);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_bit_once_set_stays() {
        let error = Error::new(ErrorKind::Decode, "x").sent(true).sent(false);
        assert!(error.request_was_sent());
    }
}
