//! hyper's and h2's errors in our terms.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::facts::Facts;
use super::framing::Doubt;
use super::stream::Untimely;
use crate::error::{Error, ErrorKind};
use crate::limits;
use crate::tls::handshake::rustls_error;

/// The error of a response's head or of its body.
pub(crate) fn explain(error: Broken, facts: &Facts) -> Error {
    if let Some(ours) = find::<Error>(&error) {
        return ours.clone();
    }
    if let Some(doubt) = facts.traffic.doubt() {
        return malformed(doubt);
    }
    if let Some((sentence, hint)) =
        end(&error, facts).and_then(|how| facts.credential.suspected(&how))
    {
        return Error::new(ErrorKind::Tls, sentence).with_hint(Some(hint));
    }
    if is_too_large(&error) {
        let (limit, fields) = (limits::RESPONSE_HEAD >> 10, limits::RESPONSE_FIELDS);
        return Error::new(
            ErrorKind::ResponseTooLarge,
            format!(
                "the response head is larger than {limit} KiB or has more than {fields} fields"
            ),
        );
    }
    if is_malformed(&error) {
        return Error::new(ErrorKind::MalformedReply, "the reply is not proper HTTP")
            .with_source(Cause(error));
    }
    if facts.traffic.is_given_up() {
        return Error::new(
            ErrorKind::ConnectionClosed,
            "the connection was closed, as the server's answer to a ping timed out",
        );
    }
    if error.is_ours() {
        return Error::new(ErrorKind::InvalidRequest, "the request cannot be written")
            .with_source(Cause(error));
    }
    Error::new(
        ErrorKind::ConnectionClosed,
        "the connection was closed before the response was complete",
    )
    .with_source(Cause(error))
}

/// The error of a reply that leaves doubt.
pub(super) fn malformed(doubt: Doubt) -> Error {
    let kind = match doubt {
        Doubt::TooManyFields => ErrorKind::ResponseTooLarge,
        _ => ErrorKind::MalformedReply,
    };
    Error::new(kind, doubt.to_string())
}

/// How an exchange broke off, as what speaks the protocol says it.
#[derive(Debug)]
pub(crate) enum Broken {
    Http1(hyper::Error),
    Http2(h2::Error),
    /// Below h2.
    Stream(io::Error),
}

impl Broken {
    /// Of a request, or of a connection.
    pub(super) fn http2(error: h2::Error) -> Self {
        if !error.is_io() {
            return Self::Http2(error);
        }
        let below = error.into_io();
        Self::Stream(below.unwrap_or_else(|| io::ErrorKind::Other.into()))
    }

    /// Whether the request is one that cannot be written.
    fn is_ours(&self) -> bool {
        match self {
            Self::Http1(error) => error.is_user() && !is_driver_gone(error),
            Self::Http2(error) => !error.is_io() && error.reason().is_none(),
            Self::Stream(_) => false,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1(error) => write!(f, "{error}"),
            Self::Http2(error) => write!(f, "{error}"),
            Self::Stream(error) => write!(f, "{error}"),
        }
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Http1(error) => Some(error),
            Self::Http2(error) => Some(error),
            Self::Stream(error) => Some(error),
        }
    }
}

/// The same as the cause of an error of ours. hyper's is told by what is below it: its own sentence
/// names a kind of error, as ours does.
#[derive(Debug)]
pub(super) struct Cause(pub(super) Broken);

impl Cause {
    fn told(&self) -> &(dyn StdError + 'static) {
        match &self.0 {
            Broken::Http1(error) => error.source().unwrap_or(error),
            Broken::Http2(error) => error,
            Broken::Stream(error) => error,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // It may carry 16 KiB of the server's words, which h2 repeats.
            Broken::Http2(error) if error.is_go_away() => match error.reason() {
                Some(reason) => write!(f, "GOAWAY: {reason}"),
                None => f.write_str("GOAWAY"),
            },
            _ => write!(f, "{}", self.told()),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.told().source()
    }
}

/// How the peer ended the connection, if that may be its answer to our certificate. On TLS 1.3 it
/// says only after the request has gone that it wanted one, or another one; and where it does not
/// wait for us to read that, its alert is lost to a reset. It has sent nothing else by then.
fn end(error: &Broken, facts: &Facts) -> Option<String> {
    // h2 keeps the text of an error and drops its type.
    let is_alert = |text: &String| text.starts_with("received fatal alert");
    let alert = match rustls_error(error) {
        Some(tls) => Some(tls.to_string()),
        None => find::<io::Error>(error).map(io::Error::to_string),
    };
    alert.filter(is_alert).or_else(|| {
        (facts.traffic.read() == 0 && !matches!(error, Broken::Http1(error) if error.is_user()))
            .then(|| String::from("without an answer"))
    })
}

fn is_malformed(error: &Broken) -> bool {
    let error = match error {
        // What our own codec found, not what the peer said.
        Broken::Http2(error) => return error.is_library(),
        Broken::Stream(_) => return false,
        Broken::Http1(error) if error.is_parse() => return true,
        Broken::Http1(error) => error,
    };
    // A chunk whose size is no number, and the like.
    rustls_error(error).is_none()
        && find::<io::Error>(error).is_some_and(|io| {
            matches!(
                io.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
        })
}

/// hyper tells this kind apart by method only where it is built as a server too.
fn is_too_large(error: &Broken) -> bool {
    let Broken::Http1(error) = error else {
        return false;
    };
    error.is_parse() && error.to_string() == "message head is too large"
}

/// The task that drove the connection ended before its time: its runtime was shut down, or a
/// payload's stream panicked in it. hyper counts that among the caller's mistakes.
fn is_driver_gone(error: &hyper::Error) -> bool {
    error.to_string() == "dispatch task is gone"
}

/// RFC 9113 §8.7: the stream was closed before anything was done about its request.
pub(super) fn is_refused(error: &Broken) -> bool {
    matches!(error, Broken::Http2(h2)
        if h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// The request was not begun, as the peer had spoken or left before it.
pub(super) fn is_untimely(error: &Broken) -> bool {
    find::<io::Error>(error)
        .and_then(io::Error::get_ref)
        .is_some_and(|below| below.is::<Untimely>())
}

/// The peer shuts the connection down, and another one is worth trying (RFC 9113 §6.8). One that
/// gives an error for the first request of a connection would give it for the next first one, too;
/// and who asks for calm is not sent the same again at once.
pub(super) fn is_going_away(error: &Broken, reused: bool) -> bool {
    let Broken::Http2(error) = error else {
        return false;
    };
    if !error.is_remote() || !error.is_go_away() {
        return false;
    }
    match error.reason() {
        Some(h2::Reason::NO_ERROR) => true,
        Some(h2::Reason::ENHANCE_YOUR_CALM) | None => false,
        Some(_) => reused,
    }
}

/// The first error of a type in a chain of causes.
pub(super) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
