//! The one door to the log: spans and their fields, by the names of OpenTelemetry's conventions
//! for HTTP clients. Nothing is formatted unless somebody listens.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;

use http::{Method, StatusCode, Version};
use tracing::field::{Empty, display};
use tracing::{Span, debug, debug_span, info_span, warn};
use url::Url;

use crate::error::{Error, redacted};
use crate::timings::{Phase, Timings, milliseconds};
use crate::tls::shown::Shown;
use crate::tls::verdict::Verdict;

/// The span of something, if it has one: mostly nobody listens. In a box, as a span is large, and
/// every fetch has two.
#[derive(Clone)]
pub(crate) struct Scope(Option<Box<Span>>);

impl From<Span> for Scope {
    fn from(span: Span) -> Self {
        Self((!span.is_none()).then(|| Box::new(span)))
    }
}

/// The span of one fetch, at INFO.
pub(crate) fn fetch(method: &Method, url: &Url) -> Scope {
    let span = info_span!(
        "fetch",
        "otel.kind" = "client",
        "http.request.method" = %method,
        "url.full" = %redacted(url),
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        hops = Empty,
        "timing.queued_ms" = Empty,
        "timing.dns_ms" = Empty,
        "timing.connect_ms" = Empty,
        "timing.tls_ms" = Empty,
        "timing.first_byte_ms" = Empty,
        "timing.body_ms" = Empty,
        "timing.total_ms" = Empty,
        "http.request.size" = Empty,
        "http.response.size" = Empty,
    );
    span.into()
}

/// The span of one hop of it, at DEBUG.
pub(crate) fn hop(method: &Method, url: &Url, host: &str, port: u16) -> Scope {
    let span = debug_span!(
        "hop",
        "http.request.method" = %method,
        "url.full" = %redacted(url),
        "server.address" = host,
        "server.port" = port,
        "network.peer.address" = Empty,
        "network.protocol.version" = Empty,
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "tls.verified" = Empty,
        "tls.resumed" = Empty,
        "network.connection.reused" = Empty,
        "timing.queued_ms" = Empty,
        "timing.dns_ms" = Empty,
        "timing.connect_ms" = Empty,
        "timing.tls_ms" = Empty,
        "timing.first_byte_ms" = Empty,
        "timing.total_ms" = Empty,
        "http.request.size" = Empty,
        "http.response.size" = Empty,
    );
    span.into()
}

/// Runs what is done within a span.
pub(crate) fn within<T>(
    scope: &Scope,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = T> {
    poll_fn(move |cx| {
        let _entered = scope.0.as_deref().map(Span::enter);
        work.as_mut().poll(cx)
    })
}

/// The head of a hop's response has come.
pub(crate) fn answered(
    scope: &Scope,
    status: StatusCode,
    version: Version,
    remote: SocketAddr,
    verdict: Option<&Verdict>,
    timings: impl FnOnce() -> Timings,
) {
    let Some(span) = scope.0.as_deref() else {
        return;
    };
    span.record("http.response.status_code", status.as_u16());
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    span.record("network.protocol.version", version);
    span.record("network.peer.address", display(remote.ip()));
    if let Some(verdict) = verdict {
        span.record("tls.verified", verdict.is_verified());
    }
    measured(span, &timings());
}

/// A fetch has its response.
pub(crate) fn returned(scope: &Scope, status: StatusCode, hops: usize, timings: &Timings) {
    let Some(span) = scope.0.as_deref() else {
        return;
    };
    span.record("http.response.status_code", status.as_u16());
    span.record("hops", hops);
    measured(span, timings);
}

/// Where the time went. A field that the span has not is passed over.
fn measured(span: &Span, timings: &Timings) {
    for (phase, spent) in timings.phases() {
        let field = match phase {
            Phase::Queued => "timing.queued_ms",
            Phase::Dns => "timing.dns_ms",
            Phase::Connect => "timing.connect_ms",
            Phase::Tls => "timing.tls_ms",
            Phase::FirstByte => "timing.first_byte_ms",
            Phase::Body => "timing.body_ms",
        };
        span.record(field, milliseconds(spent));
    }
    span.record("timing.total_ms", milliseconds(timings.total()));
    span.record("http.request.size", timings.bytes_sent());
    span.record("http.response.size", timings.bytes_received());
    if let Some(resumed) = timings.tls_resumed() {
        span.record("tls.resumed", resumed);
    }
    // Only where a request was handed to a connection is there one to tell of.
    if timings.first_byte().is_some() {
        span.record("network.connection.reused", timings.connection_reused());
    }
}

/// A fetch, or a hop of it, stopped.
pub(crate) fn stopped(scope: &Scope, error: &Error) {
    let Some(span) = scope.0.as_deref() else {
        return;
    };
    span.record("error.type", error.code());
    measured(span, error.timings());
    if let Some(verdict) = error.verdict() {
        // A hop's field; a fetch's span has none of this name and passes over it.
        span.record("tls.verified", verdict.is_verified());
    }
}

/// All of a body has come, or as much of it as is wanted.
pub(crate) fn body_read(url: &Url, timings: &Timings) {
    debug!(
        "url.full" = %redacted(url),
        "timing.body_ms" = timings.body().map(milliseconds),
        "timing.total_ms" = milliseconds(timings.total()),
        "http.request.size" = timings.bytes_sent(),
        "http.response.size" = timings.bytes_received(),
        "body read",
    );
}

/// A body cannot be read, or not be decoded.
pub(crate) fn body_failed(url: &Url, error: &Error) {
    let timings = error.timings();
    debug!(
        "error.type" = error.code(),
        "url.full" = %redacted(url),
        "timing.body_ms" = timings.body().map(milliseconds),
        "timing.total_ms" = milliseconds(timings.total()),
        "http.request.size" = timings.bytes_sent(),
        "http.response.size" = timings.bytes_received(),
        "body failed",
    );
}

/// A redirect is followed.
pub(crate) fn redirected(status: StatusCode, to: &Url) {
    debug!("http.response.status_code" = status.as_u16(), "url.full" = %redacted(to), "redirect followed");
}

/// Headers of the caller's are not sent. They are named, and their values are not.
pub(crate) fn headers_dropped(names: &[&str]) {
    debug!(
        "http.request.headers" = names.join(", "),
        "headers dropped that App Engine sets itself"
    );
}

/// A request is sent a second time.
pub(crate) fn replayed(error: &Error) {
    debug!(
        "error.type" = error.code(),
        "request sent again on another connection"
    );
}

/// A connection is used of which verification was not demanded. Its peer was judged all the same,
/// and may even have passed: had it not, it would be used too.
pub(crate) fn unverified(host: &str, port: Option<u16>, verdict: &Verdict) {
    warn!(
        "server.address" = host,
        "server.port" = port,
        "tls.verified" = verdict.is_verified(),
        "error.type" = verdict.reason().map(|reason| reason.code()),
        "this connection is used whoever its peer is: verification was not demanded, and anybody on the way can answer",
    );
}

/// A variable that is set and names nothing.
pub(crate) fn empty_variable(variable: &str) {
    warn!("{variable} is set but empty, which counts as unset");
}

/// A client writes down what its sessions are kept secret by.
pub(crate) fn key_log(path: &Path) {
    warn!(
        "file.path" = %Shown(&path.to_string_lossy()),
        "SSLKEYLOGFILE is obeyed: whoever can read the file can read what this client sends and receives",
    );
}

/// From now on there is no telling which secrets are missing from the file.
pub(crate) fn key_log_failed(path: &Path, error: &io::Error) {
    warn!(
        "file.path" = %Shown(&path.to_string_lossy()),
        "exception.message" = %error,
        "the file that SSLKEYLOGFILE names cannot be written, and secrets are missing from it",
    );
}

/// Somebody may think that Python's variable is read.
pub(crate) fn pythons_variable() {
    warn!("PYTHONHTTPSVERIFY is set and not read; the variable that is read is HTTPSVERIFY");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a disabled span are not even evaluated: `tracing` looks at its level first.
    #[test]
    fn a_span_that_nobody_listens_to_is_none() {
        let url = Url::parse("https://host.example/").unwrap();
        assert!(fetch(&Method::GET, &url).0.is_none());
        assert!(hop(&Method::GET, &url, "host.example", 443).0.is_none());
    }
}
