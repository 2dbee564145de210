//! The limits of App Engine's urlfetch, each with its source.
//!
//! "The documentation" is that of App Engine's Java runtime, `api/urlfetch.md`; "the stub" is what
//! App Engine's Python 3 SDK runs in the place of the service.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Method;

use super::profile::Manners;
use super::{BUFFERED_RESPONSE, Limits, REDIRECTS};

impl Limits {
    /// The limits of App Engine's urlfetch, for an app that comes from there.
    ///
    /// - The payload is 10 MiB at most, the response 32 MiB after decoding, the headers of a
    ///   request 16 KiB, a URL 10,240 bytes. Exactly so many pass.
    /// - A fetch takes 60 s at most, which is also what one has that names no deadline.
    /// - The ports are 80–90, 440–450 and 1024–65535. `http://` may be fetched.
    /// - 5 redirects are followed, by 301, 302, 303 and 307. A 308, which App Engine does not know,
    ///   is a result.
    /// - A payload of GET, HEAD or DELETE is dropped. A POST with a payload and no `Content-Type`
    ///   gets that of a form, `application/x-www-form-urlencoded`; PUT and PATCH do not.
    /// - The headers that App Engine sets itself are dropped if the caller has set them:
    ///   `Content-Length`, `Host`, `Vary`, `Via`, `X-Appengine-Inbound-Appid`, `X-Forwarded-For`
    ///   and `X-ProxyUser-IP`. An event in the log, at DEBUG, says which.
    ///
    /// # Where the sources disagree
    ///
    /// - **The deadline of a fetch that names none** is 5 s in most of App Engine's documents, and
    ///   10, 60, 600 or 900 s in others and in its stubs. It is 60 s here: a deadline of urlfetch's
    ///   is for the whole fetch, where theirs began again with each hop and each piece that came,
    ///   so that a shorter one would stop fetches that worked.
    /// - **The length of a URL** was below 2,048 bytes at first, and is 10,240 at most in the newer
    ///   stubs. A tighter limit would stop what worked.
    /// - **The longest deadline** is 60 s for requests, tasks and cron jobs, and 600 s offline in
    ///   Java's local service. It is that of the service, where apps ran.
    /// - **A payload** is 10 MB in the documentation, 10 << 20 bytes in the stub, and 5 MB in a book
    ///   of 2015. The stub's number is the one that is exact.
    /// - **A payload of exactly 10 MiB** passes. In the original it was an invalid URL: a limit on
    ///   the whole request, of the same size, came before that of the payload. There is none here.
    /// - **Port 0** is refused, as it is not among the ports of the documentation. The newer stubs
    ///   take it for no port; nobody can be dialled there.
    /// - **Ports on a redirect** are held to the same. Java's dev server only warned of them: a
    ///   limit that a redirect gets round is none.
    /// - **The two headers of App Engine's own**, `X-Appengine-Inbound-Appid` and
    ///   `X-ProxyUser-IP`, are dropped as the documentation says. The stub lets them pass; a
    ///   receiver may believe them.
    /// - **A redirect by 302 of a POST** becomes a GET. The method was kept until 2015.
    ///
    /// # Examples
    ///
    /// ```
    /// use urlfetch::{Client, Limits};
    ///
    /// # fn example() -> urlfetch::Result<()> {
    /// let client = Client::builder().limits(Limits::app_engine()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn app_engine() -> Self {
        Self {
            deadline: Some(DEADLINE),
            max_deadline: Some(DEADLINE),
            max_redirects: REDIRECTS,
            max_response_size: Some(BUFFERED_RESPONSE),
            max_payload_size: Some(PAYLOAD),
            max_request_header_size: Some(REQUEST_HEADERS),
            max_url_length: Some(URL),
            ports: Some(PORTS.to_vec()),
            // The documentation: "http" and "https", without a word of difference.
            allow_http: true,
            manners: Manners::AppEngine,
        }
    }
}

/// The longest deadline that the documentation allows a request's handler, a task and a cron job.
/// (Offline, Java's local service allows 600 s.)
const DEADLINE: Duration = Duration::from_secs(60);

/// The documentation: 10 MB. The stub: 10 << 20.
const PAYLOAD: u64 = 10 << 20;

/// The documentation: 16 KB. The stub has no such limit.
const REQUEST_HEADERS: usize = 16 << 10;

/// The newer stubs refuse what is longer.
const URL: usize = 10_240;

/// The documentation and the stub alike.
const PORTS: [RangeInclusive<u16>; 3] = [80..=90, 440..=450, 1024..=u16::MAX];

/// The documentation. The stub lets the two of App Engine's own pass.
pub(super) const PROTECTED: [&str; 7] = [
    "content-length",
    "host",
    "vary",
    "via",
    "x-appengine-inbound-appid",
    "x-forwarded-for",
    "x-proxyuser-ip",
];

/// Methods whose payload Python's `urlfetch.fetch` dropped before it called the service.
pub(super) const NO_PAYLOAD: [Method; 3] = [Method::GET, Method::HEAD, Method::DELETE];
