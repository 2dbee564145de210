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
pub(crate) fn explain(error: hyper::Error, facts: &Facts) -> Error {
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
    if is_malformed(&error, facts) {
        return Error::new(ErrorKind::MalformedReply, "the reply is not proper HTTP")
            .with_source(Cause(error));
    }
    if error.is_user() && !is_driver_gone(&error) {
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

/// hyper's error, told by what is below it: its own sentence names a kind of error, as ours does.
#[derive(Debug)]
pub(super) struct Cause(pub(super) hyper::Error);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(below) = self.0.source() else {
            return write!(f, "{}", self.0);
        };
        match below
            .downcast_ref::<h2::Error>()
            .map(|h2| (h2.is_go_away(), h2.reason()))
        {
            // It may carry 16 KiB of the server's words, which h2 repeats.
            Some((true, Some(reason))) => write!(f, "GOAWAY: {reason}"),
            _ => write!(f, "{below}"),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

/// How the peer ended the connection, if that may be its answer to our certificate. On TLS 1.3 it
/// says only after the request has gone that it wanted one, or another one; and where it does not
/// wait for us to read that, its alert is lost to a reset. It has sent nothing else by then.
fn end(error: &hyper::Error, facts: &Facts) -> Option<String> {
    // h2 keeps the text of an error and drops its type.
    let is_alert = |text: &String| text.starts_with("received fatal alert");
    let alert = match rustls_error(error) {
        Some(tls) => Some(tls.to_string()),
        None => find::<io::Error>(error).map(io::Error::to_string),
    };
    alert.filter(is_alert).or_else(|| {
        (facts.traffic.read() == 0 && !error.is_user()).then(|| String::from("without an answer"))
    })
}

fn is_malformed(error: &hyper::Error, facts: &Facts) -> bool {
    if error.is_parse() {
        return true;
    }
    if let Some(h2) = find::<h2::Error>(error) {
        // What our own codec found, not what the peer said.
        return h2.is_library();
    }
    // A chunk whose size is no number, and the like; over h2 it is the stream below that failed.
    !facts.is_http2
        && rustls_error(error).is_none()
        && find::<io::Error>(error).is_some_and(|io| {
            matches!(
                io.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
        })
}

/// hyper tells this kind apart by method only where it is built as a server too.
fn is_too_large(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string() == "message head is too large"
}

/// The task that drove the connection ended before its time: its runtime was shut down, or a
/// payload's stream panicked in it. hyper counts that among the caller's mistakes.
fn is_driver_gone(error: &hyper::Error) -> bool {
    error.to_string() == "dispatch task is gone"
}

/// RFC 9113 §8.7: the stream was closed before anything was done about its request.
pub(super) fn is_refused(error: &hyper::Error) -> bool {
    find::<h2::Error>(error)
        .is_some_and(|h2| h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// The request was not begun, as the peer had spoken or left before it.
pub(super) fn is_untimely(error: &hyper::Error) -> bool {
    find::<io::Error>(error)
        .and_then(io::Error::get_ref)
        .is_some_and(|below| below.is::<Untimely>())
}

/// The peer shuts the connection down, and another one is worth trying (RFC 9113 §6.8). One that
/// gives an error for the first request of a connection would give it for the next first one, too;
/// and who asks for calm is not sent the same again at once.
pub(super) fn is_going_away(error: &hyper::Error, reused: bool) -> bool {
    let reason = find::<h2::Error>(error)
        .filter(|h2| h2.is_remote() && h2.is_go_away())
        .and_then(h2::Error::reason);
    match reason {
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
