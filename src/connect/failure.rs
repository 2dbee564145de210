//! What broke an exchange off, in our terms.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::facts::Facts;
use super::framing::Doubt;
use super::http1::Fault;
use crate::error::{Error, ErrorKind};
use crate::limits;
use crate::tls::handshake::rustls_error;

/// The error of a response's head or of its body.
pub(crate) fn explain(error: Broken, facts: &Facts) -> Error {
    if let Some(ours) = find::<Error>(&error) {
        return ours.clone();
    }
    let doubted = match &error {
        Broken::Doubt(doubt) => Some(*doubt),
        // Where it was read, below h2, which keeps the text of an error and drops its type.
        _ => facts.traffic.doubt(),
    };
    if let Some(doubt) = doubted {
        return malformed(doubt);
    }
    if let Some((sentence, hint)) =
        end(&error, facts).and_then(|how| facts.credential.suspected(&how))
    {
        return Error::new(ErrorKind::Tls, sentence).with_hint(Some(hint));
    }
    if matches!(error, Broken::Http1(Fault::TooLarge)) {
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
    Http1(Fault),
    Http2(h2::Error),
    /// Over either.
    Doubt(Doubt),
    /// The payload is not what it should be.
    Payload(Error),
    /// Below either.
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
            Self::Http2(error) => !error.is_io() && error.reason().is_none(),
            _ => false,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1(fault) => write!(f, "{fault}"),
            Self::Http2(error) => write!(f, "{error}"),
            Self::Doubt(doubt) => write!(f, "{doubt}"),
            Self::Payload(error) => write!(f, "{error}"),
            Self::Stream(error) => write!(f, "{error}"),
        }
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Http1(fault) => Some(fault),
            Self::Http2(error) => Some(error),
            Self::Doubt(doubt) => Some(doubt),
            Self::Payload(error) => Some(error),
            Self::Stream(error) => Some(error),
        }
    }
}

/// The same as the cause of an error of ours, which says already what kind of error it is.
#[derive(Debug)]
pub(super) struct Cause(pub(super) Broken);

impl Cause {
    fn told(&self) -> &(dyn StdError + 'static) {
        match &self.0 {
            Broken::Http1(fault) => fault,
            Broken::Http2(error) => error,
            Broken::Doubt(doubt) => doubt,
            Broken::Payload(error) => error,
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
    alert
        .filter(is_alert)
        .or_else(|| (facts.traffic.read() == 0).then(|| String::from("without an answer")))
}

fn is_malformed(error: &Broken) -> bool {
    match error {
        Broken::Http1(fault) => fault.is_malformed(),
        // What our own codec found, not what the peer said.
        Broken::Http2(error) => error.is_library(),
        _ => false,
    }
}

/// RFC 9113 §8.7: the stream was closed before anything was done about its request.
pub(super) fn is_refused(error: &Broken) -> bool {
    matches!(error, Broken::Http2(h2)
        if h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM))
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
