//! App Engine's exceptions and their tree, each with its reason.

use std::fmt;

use super::result::FetchResult;
use crate::error::ErrorKind;

/// Why a call failed: one of App Engine's exceptions, and the reason that the original often kept
/// to itself.
///
/// Its [`Display`](fmt::Display) is the exception's name and the whole sentence of the
/// [`cause`](Self::cause). It becomes an [`urlfetch::Error`](crate::Error), and that becomes one of
/// these, by `?`.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// use urlfetch::appengine;
///
/// match appengine::fetch("https://wrong.host.badssl.com/").await {
///     Ok(result) => println!("{}", result.status_code()),
///     Err(error) if error.is_ssl_certificate_error() => {
///         // SSLCertificateError: certificate for "wrong.host.badssl.com" was refused: ...
///         println!("{error}");
///     }
///     Err(error) if error.is_download_error() => println!("try again later: {error}"),
///     Err(error) => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    exception: Exception,
    cause: crate::Error,
    response: Option<FetchResult>,
}

macro_rules! exceptions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $(of $parent:ident)? => $is:ident;)*) => {
        /// App Engine's exceptions.
        ///
        /// All but their base, `Error`, which was never raised itself. Which is a kind of which is
        /// told by [`is_a`](Self::is_a). As in the original, what is about the URL, the method, the
        /// certificate or the size of the response is no `DownloadError`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Exception {
            $($(#[$doc])* $variant,)*
        }

        impl Exception {
            /// Its name, as it was in Python.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it is a kind of; `None` if of the base alone.
            pub fn parent(self) -> Option<Self> {
                match self {
                    $(Self::$variant => exceptions!(@parent $($parent)?),)*
                }
            }
        }

        impl Error {
            $(
                #[doc = concat!("Whether `except ", $name, "` would have caught it.")]
                pub fn $is(&self) -> bool {
                    self.exception.is_a(Exception::$variant)
                }
            )*
        }
    };
    (@parent) => { None };
    (@parent $parent:ident) => { Some(Self::$parent) };
}

exceptions! {
    /// The fetch failed: no connection, a broken reply, or whatever has no exception of its own.
    DownloadError "DownloadError" => is_download_error;
    /// The reply is not HTTP, contradicts itself, or has a body whose coding is broken.
    MalformedReplyError "MalformedReplyError" of DownloadError => is_malformed_reply_error;
    /// There were more redirects than are followed.
    TooManyRedirectsError "TooManyRedirectsError" of DownloadError => is_too_many_redirects_error;
    /// The connection was closed before the response was complete.
    ConnectionClosedError "ConnectionClosedError" of DownloadError => is_connection_closed_error;
    /// The host's name has no addresses.
    #[doc(alias = "DNSLookupFailedError")]
    DnsLookupFailedError "DNSLookupFailedError" of DownloadError => is_dns_lookup_failed_error;
    /// The deadline, or another clock, ran out.
    DeadlineExceededError "DeadlineExceededError" of DownloadError => is_deadline_exceeded_error;
    /// The URL may not be fetched, or a redirect led to one that may not.
    #[doc(alias = "InvalidURLError")]
    InvalidUrlError "InvalidURLError" => is_invalid_url_error;
    /// The payload is larger than its limit.
    PayloadTooLargeError "PayloadTooLargeError" of InvalidUrlError => is_payload_too_large_error;
    /// The call was lost here, through no fault of the host's: its runtime went away.
    InternalTransientError "InternalTransientError" => is_internal_transient_error;
    /// The response is larger than its limit; [`Error::response`] has what is within it.
    ResponseTooLargeError "ResponseTooLargeError" => is_response_too_large_error;
    /// The method is none of the six.
    InvalidMethodError "InvalidMethodError" => is_invalid_method_error;
    /// The peer did not prove who it is, or does not speak TLS as it must.
    #[doc(alias = "SSLCertificateError")]
    SslCertificateError "SSLCertificateError" => is_ssl_certificate_error;
}

impl Exception {
    /// Whether `except other` would have caught it: the same, or what it is a kind of.
    pub fn is_a(self, other: Self) -> bool {
        self == other || self.parent().is_some_and(|parent| parent.is_a(other))
    }
}

impl Error {
    /// Which of App Engine's exceptions it is.
    pub fn exception(&self) -> Exception {
        self.exception
    }

    /// The reason: kind, URL, verdict, phase and timings.
    pub fn cause(&self) -> &crate::Error {
        &self.cause
    }

    /// What of a response that is too large was within the limit. There is none if it was on the
    /// wire that it went beyond its limit, and decoded to less.
    pub fn response(&self) -> Option<&FetchResult> {
        self.response.as_ref()
    }

    pub(super) fn invalid_method(cause: crate::Error) -> Self {
        Self::of(Exception::InvalidMethodError, cause)
    }

    pub(super) fn lost(cause: crate::Error) -> Self {
        Self::of(Exception::InternalTransientError, cause)
    }

    pub(super) fn too_large(cause: crate::Error, response: FetchResult) -> Self {
        Self {
            response: Some(response),
            ..Self::of(Exception::ResponseTooLargeError, cause)
        }
    }

    fn of(exception: Exception, cause: crate::Error) -> Self {
        Self {
            exception,
            cause,
            response: None,
        }
    }
}

impl From<crate::Error> for Error {
    fn from(cause: crate::Error) -> Self {
        Self::of(Exception::from(cause.kind()), cause)
    }
}

/// The cause: for code that fetches by both names, and leaves its errors to `?`.
impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        error.cause
    }
}

/// By the codes of App Engine's service and what its Python library made of them.
impl From<ErrorKind> for Exception {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            // A port or an address that may not be fetched was INVALID_URL, on a redirect too.
            ErrorKind::AddressRefused | ErrorKind::InvalidUrl | ErrorKind::RedirectRefused => {
                Self::InvalidUrlError
            }
            // The stub: every SSLError, whatever it was about.
            ErrorKind::Certificate | ErrorKind::Tls => Self::SslCertificateError,
            ErrorKind::ConnectionClosed => Self::ConnectionClosedError,
            ErrorKind::Deadline => Self::DeadlineExceededError,
            // The original let the exception of its gzip module through.
            ErrorKind::Decode | ErrorKind::MalformedReply => Self::MalformedReplyError,
            ErrorKind::Dns => Self::DnsLookupFailedError,
            ErrorKind::PayloadTooLarge => Self::PayloadTooLargeError,
            ErrorKind::ResponseTooLarge => Self::ResponseTooLargeError,
            ErrorKind::TooManyRedirects => Self::TooManyRedirectsError,
            // FETCH_ERROR, CONNECTION_ERROR and UNSPECIFIED_ERROR.
            ErrorKind::Config
            | ErrorKind::Connect
            | ErrorKind::InvalidRequest
            | ErrorKind::Payload
            | ErrorKind::Proxy
            | ErrorKind::Status => Self::DownloadError,
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, self.cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("exception", &self.exception)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! table {
        ($($kind:ident => $exception:ident;)+) => {
            /// A kind that has no row does not compile.
            fn expected(kind: ErrorKind) -> Exception {
                match kind { $(ErrorKind::$kind => Exception::$exception,)+ }
            }

            const KINDS: &[ErrorKind] = &[$(ErrorKind::$kind,)+];
        };
    }

    table! {
        AddressRefused => InvalidUrlError;
        Certificate => SslCertificateError;
        Config => DownloadError;
        Connect => DownloadError;
        ConnectionClosed => ConnectionClosedError;
        Deadline => DeadlineExceededError;
        Decode => MalformedReplyError;
        Dns => DnsLookupFailedError;
        InvalidRequest => DownloadError;
        InvalidUrl => InvalidUrlError;
        MalformedReply => MalformedReplyError;
        Payload => DownloadError;
        PayloadTooLarge => PayloadTooLargeError;
        Proxy => DownloadError;
        RedirectRefused => InvalidUrlError;
        ResponseTooLarge => ResponseTooLargeError;
        Status => DownloadError;
        Tls => SslCertificateError;
        TooManyRedirects => TooManyRedirectsError;
    }

    #[test]
    fn every_kind_is_one_exception_and_the_cause_comes_back() {
        for kind in KINDS {
            let error = Error::from(crate::Error::new(*kind, "because of this"));
            assert_eq!(error.exception(), expected(*kind), "{kind:?}");
            let name = expected(*kind).name();
            assert_eq!(error.to_string(), format!("{name}: because of this"));
            assert!(error.response().is_none());
            let cause = crate::Error::from(error);
            assert_eq!(
                (cause.kind(), cause.to_string().as_str()),
                (*kind, "because of this")
            );
        }
    }

    #[test]
    fn what_has_no_kind_of_its_own() {
        let cause = || crate::Error::new(ErrorKind::Config, "because of this");
        for (error, expected) in [
            (
                Error::invalid_method(cause()),
                Exception::InvalidMethodError,
            ),
            (Error::lost(cause()), Exception::InternalTransientError),
        ] {
            assert_eq!(error.exception(), expected);
            assert_eq!(error.cause().kind(), ErrorKind::Config);
        }
    }
}
