//! What kinds of trouble there are, and their codes.

/// What kind of trouble an [`Error`](crate::Error) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An address that may not be dialled: see [`AddressGuard`](crate::AddressGuard).
    AddressRefused,
    /// The peer's certificate was refused; [`Error::verdict`](crate::Error::verdict) says why.
    Certificate,
    /// The client, the environment or a named file asks for what cannot be.
    Config,
    /// No TCP connection to the host could be opened.
    Connect,
    /// The connection was closed or reset before the response was complete.
    ConnectionClosed,
    /// A clock ran out; [`Error::phase`](crate::Error::phase) says during what.
    Deadline,
    /// The body's content coding is unknown, doubled or broken, or the body is not the JSON that was
    /// asked for.
    Decode,
    /// The host's name has no addresses, or its resolver failed.
    Dns,
    /// The request cannot be written as asked, or its headers are larger than their limit.
    InvalidRequest,
    /// The URL cannot be fetched.
    InvalidUrl,
    /// The reply is not HTTP, or contradicts itself.
    MalformedReply,
    /// The payload's stream failed, or was not of the length it promised.
    Payload,
    /// The payload is larger than its limit:
    /// [`Limits::max_payload_size`](crate::Limits::max_payload_size).
    PayloadTooLarge,
    /// The proxy could not be reached, did not prove who it is, refused, or answered what is no
    /// answer. The host itself was not spoken to.
    Proxy,
    /// A redirect that is not followed for safety's sake.
    RedirectRefused,
    /// The response is larger than its limit.
    ResponseTooLarge,
    /// [`Response::error_for_status`](crate::Response::error_for_status) met a 4xx or 5xx.
    Status,
    /// The TLS handshake failed for another reason than the peer's certificate.
    Tls,
    /// There were more redirects than are followed.
    TooManyRedirects,
}

impl ErrorKind {
    /// A stable kebab-case word for logs and metrics, such as `response-too-large`.
    pub fn code(self) -> &'static str {
        match self {
            Self::AddressRefused => "address-refused",
            Self::Certificate => "certificate",
            Self::Config => "config",
            Self::Connect => "connect",
            Self::ConnectionClosed => "connection-closed",
            Self::Deadline => "deadline",
            Self::Decode => "decode",
            Self::Dns => "dns",
            Self::InvalidRequest => "invalid-request",
            Self::InvalidUrl => "invalid-url",
            Self::MalformedReply => "malformed-reply",
            Self::Payload => "payload",
            Self::PayloadTooLarge => "payload-too-large",
            Self::Proxy => "proxy",
            Self::RedirectRefused => "redirect-refused",
            Self::ResponseTooLarge => "response-too-large",
            Self::Status => "status",
            Self::Tls => "tls",
            Self::TooManyRedirects => "too-many-redirects",
        }
    }
}
