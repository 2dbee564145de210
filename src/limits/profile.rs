//! The limits of a client, as a value.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{DEADLINE, REDIRECTS};

/// What a client refuses to exceed, and whether it may speak plain `http://`.
///
/// A client has those of [`default`](Self::default) unless
/// [`ClientBuilder::limits`](crate::ClientBuilder::limits) says otherwise. They hold on every hop
/// of a fetch. What goes beyond one of them is refused with the sizes in the error, before a byte of
/// the request leaves wherever that can be known then.
///
/// | limit | [`default`](Self::default) | [`app_engine`](Self::app_engine) | beyond it |
/// |---|---|---|---|
/// | [`deadline`](Self::deadline) | 60 s; a stream's body may take longer | 60 s | [`Deadline`](crate::ErrorKind::Deadline) |
/// | [`max_deadline`](Self::max_deadline) | none | 60 s | a longer deadline is cut |
/// | [`max_redirects`](Self::max_redirects) | 5 | 5 | [`TooManyRedirects`](crate::ErrorKind::TooManyRedirects) |
/// | [`max_response_size`](Self::max_response_size) | 32 MiB of what is buffered | 32 MiB | [`ResponseTooLarge`](crate::ErrorKind::ResponseTooLarge), or it is truncated |
/// | [`max_payload_size`](Self::max_payload_size) | none | 10 MiB | [`PayloadTooLarge`](crate::ErrorKind::PayloadTooLarge) |
/// | [`max_request_header_size`](Self::max_request_header_size) | none | 16 KiB | [`InvalidRequest`](crate::ErrorKind::InvalidRequest) |
/// | [`max_url_length`](Self::max_url_length) | 65,534 bytes | 10,240 bytes | [`InvalidUrl`](crate::ErrorKind::InvalidUrl), or [`RedirectRefused`](crate::ErrorKind::RedirectRefused) |
/// | [`ports`](Self::ports) | all but 0 | 80–90, 440–450, 1024–65535 | as of the URL's length |
/// | [`allow_http`](Self::allow_http) | no | yes | as of the URL's length |
///
/// A call's own [`deadline`](crate::RequestBuilder::deadline),
/// [`max_redirects`](crate::RequestBuilder::max_redirects) and
/// [`max_response_size`](crate::RequestBuilder::max_response_size) count in the place of these;
/// everything else here holds whatever a call says.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use urlfetch::{Client, Limits};
///
/// # fn example() -> urlfetch::Result<()> {
/// let limits = Limits::default()
///     .max_payload_size(1 << 20)
///     .max_deadline(Duration::from_secs(30))
///     .ports([443..=443, 8443..=8443]);
/// let client = Client::builder().limits(limits).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "limits do nothing until a client has them"]
pub struct Limits {
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_deadline: Option<Duration>,
    pub(crate) max_redirects: usize,
    pub(crate) max_response_size: Option<u64>,
    pub(crate) max_payload_size: Option<u64>,
    pub(super) max_request_header_size: Option<usize>,
    pub(super) max_url_length: Option<usize>,
    /// None for all.
    pub(super) ports: Option<Vec<RangeInclusive<u16>>>,
    pub(crate) allow_http: bool,
    pub(super) manners: Manners,
}

/// What is done to a request besides holding it to its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    /// It goes out as it was asked for.
    AsAsked,
    /// What App Engine did to it, as [`Limits::app_engine`] says.
    AppEngine,
}

/// urlfetch's own limits: what a client has of which nothing is said.
impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: None,
            max_deadline: None,
            max_redirects: REDIRECTS,
            max_response_size: None,
            max_payload_size: None,
            max_request_header_size: None,
            max_url_length: None,
            ports: None,
            allow_http: false,
            manners: Manners::AsAsked,
        }
    }
}

impl Limits {
    /// How long each fetch may take in all that names no deadline of its own, and how long
    /// [`Client::connect`](crate::Client::connect) and [`Client::wrap`](crate::Client::wrap) may.
    ///
    /// Unless it is set, 60 s hold for what is buffered, and until the head for what is streamed.
    /// See [`RequestBuilder::deadline`](crate::RequestBuilder::deadline).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The longest deadline that a fetch may have: a longer one, its own or the client's, is cut to
    /// this without a word, as App Engine's services cut one. There is none unless it is set.
    ///
    /// Where there is one, every fetch has a deadline, and the body of a stream has to come within
    /// it too.
    pub fn max_deadline(mut self, most: Duration) -> Self {
        self.max_deadline = Some(most);
        self
    }

    /// How many redirects are followed at most; 5 unless said otherwise.
    pub fn max_redirects(mut self, most: usize) -> Self {
        self.max_redirects = most;
        self
    }

    /// How many bytes of a body are accepted at most, after decoding: 32 MiB of what is buffered
    /// unless said otherwise, and of what is streamed as many as come. Exactly so many are no
    /// byte too many.
    pub fn max_response_size(mut self, bytes: u64) -> Self {
        self.max_response_size = Some(bytes);
        self
    }

    /// How many bytes a payload may have at most; any number unless said otherwise.
    ///
    /// One whose length is known is refused before anything is sent. A stream that promised no
    /// [`length`](crate::Payload::length) is cut off where it would exceed the limit, and the server
    /// never sees a whole request.
    pub fn max_payload_size(mut self, bytes: u64) -> Self {
        self.max_payload_size = Some(bytes);
        self
    }

    /// How many bytes the headers of a request may have at most; any number unless said otherwise.
    ///
    /// Counted are those that the caller set, as HTTP/1.1 writes them: the name, a colon and a
    /// space, the value, and the two bytes of the line's end. Over HTTP/2, which compresses them,
    /// they count the same.
    pub fn max_request_header_size(mut self, bytes: usize) -> Self {
        self.max_request_header_size = Some(bytes);
        self
    }

    /// How many bytes a URL may have at most, with its fragment and as it is after it was read:
    /// what is not ASCII is percent-encoded by then. 65,534 unless said otherwise, which is also
    /// the most that this can allow: an HTTP request can name no longer one.
    pub fn max_url_length(mut self, bytes: usize) -> Self {
        self.max_url_length = Some(bytes);
        self
    }

    /// The ports that may be fetched from; all but 0 unless said otherwise. With none, nothing can
    /// be fetched.
    ///
    /// It is the port in a URL, or its scheme's, that counts, not the one that
    /// [`ClientBuilder::resolve`](crate::ClientBuilder::resolve) dials in its place, nor a proxy's.
    pub fn ports(mut self, ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        self.ports = Some(ranges.into_iter().collect());
        self
    }

    /// Whether plain `http://` may be fetched, where anybody on the way can read and answer. It may
    /// not unless said so.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// How long a fetch may take that asked for so much, or for nothing, and whether that holds for
    /// the body of a stream too.
    pub(crate) fn budget(&self, asked: Option<Duration>) -> (Duration, bool) {
        let named = asked.or(self.deadline);
        let longest = self.max_deadline.unwrap_or(Duration::MAX);
        let budget = named.unwrap_or(DEADLINE).min(longest);
        (budget, named.is_some() || self.max_deadline.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_calls_or_the_clients_and_never_beyond_the_longest() {
        let seconds = Duration::from_secs;
        for (client, longest, call, expected) in [
            (None, None, None, (60, false)),
            (None, None, Some(5), (5, true)),
            (None, None, Some(600), (600, true)),
            (Some(5), None, None, (5, true)),
            (Some(5), None, Some(7), (7, true)),
            (None, Some(59), None, (59, true)),
            (None, Some(61), None, (60, true)),
            (None, Some(60), Some(59), (59, true)),
            (None, Some(60), Some(60), (60, true)),
            (None, Some(60), Some(61), (60, true)),
            (Some(61), Some(60), None, (60, true)),
            (Some(5), Some(60), Some(600), (60, true)),
        ] {
            let mut limits = Limits::default();
            if let Some(client) = client {
                limits = limits.deadline(seconds(client));
            }
            if let Some(longest) = longest {
                limits = limits.max_deadline(seconds(longest));
            }
            let (budget, holds) = limits.budget(call.map(seconds));
            assert_eq!(
                (budget.as_secs(), holds),
                expected,
                "{client:?} {longest:?} {call:?}"
            );
        }
    }
}
