//! A URL that is ready to be fetched: read once, with what every request for it is made of. Pure.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use url::{Position, Url};

use crate::connect::Origin;
use crate::error::{Error, ErrorKind, Result, redacted};
use crate::limits::{self, Limits};

/// A URL that was read and checked once, to be fetched many times.
///
/// It can be given wherever a URL can. A clone is cheap, and shares what was read. What depends on
/// the client, such as whether it speaks http or which of its connections may be used, is the
/// client's to say at each fetch.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> urlfetch::Result<()> {
/// use urlfetch::Target;
///
/// let health = Target::new("https://api.example.com/health")?;
/// for _ in 0..1000 {
///     println!("{}", urlfetch::fetch(&health).await?.status());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Target(Arc<Parts>);

struct Parts {
    url: Url,
    /// Whom a request for it is for, or why there can be none.
    origin: Result<Origin>,
    /// `None` if it cannot be written in a request.
    written: Option<Written>,
}

/// What of it stands in a request.
struct Written {
    host: HeaderValue,
    path: PathAndQuery,
}

impl Target {
    /// The URL, in its canonical form.
    pub fn url(&self) -> &Url {
        &self.0.url
    }

    /// Of any URL: what is wrong with it is told by [`checked`](Self::checked), and by
    /// [`admit`](Self::admit) when it is fetched.
    pub(crate) fn of(url: Url) -> Self {
        // One piece of memory for all that is made of it: the host, Host and the path.
        let text = Arc::from(&url[Position::BeforeHost..Position::AfterQuery]);
        let origin = Origin::within(&url, &text);
        let written = match &origin {
            Ok(_) => Written::of(&url, text),
            Err(_) => None,
        };
        Self(Arc::new(Parts {
            url,
            origin,
            written,
        }))
    }

    /// Itself, unless nobody can fetch it.
    pub(crate) fn checked(self) -> Result<Self> {
        self.refuse_userinfo()
            .and_then(|()| self.0.origin.as_ref().map_err(Error::clone))
            .map_err(|error| error.with_url(self.url()))?;
        Ok(self)
    }

    /// Whom a request for it is for, if it may be fetched at all.
    pub(crate) fn admit(&self, limits: &Limits) -> Result<&Origin> {
        self.refuse_userinfo()?;
        if self.url().scheme() == "http" && !limits.allow_http {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                "the URL's scheme is http, which proves nobody's identity",
            )
            .with_hint(Some(
                "use https, or allow it by ClientBuilder::allow_http(true)",
            )));
        }
        let origin = self.0.origin.as_ref().map_err(Error::clone)?;
        limits.check_url(self.url())?;
        Ok(origin)
    }

    /// The value of Host; `None` if it cannot be written.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        Some(&self.0.written.as_ref()?.host)
    }

    /// What follows the method in the first line of a request (RFC 9112 §3.2.1).
    pub(crate) fn path(&self) -> Option<&PathAndQuery> {
        Some(&self.0.written.as_ref()?.path)
    }

    /// What h2 has in fields of its own (RFC 9113 §8.3.1), of which `host` is the authority, or the
    /// URL's own.
    pub(crate) fn absolute_form(&self, host: Option<&HeaderValue>) -> Option<Uri> {
        let Written { host: own, path } = self.0.written.as_ref()?;
        let authority = Authority::try_from(host.unwrap_or(own).as_bytes()).ok()?;
        let scheme = match self.url().scheme() {
            "https" => Scheme::HTTPS,
            _ => Scheme::HTTP,
        };
        let length = scheme.as_str().len() + authority.as_str().len() + path.as_str().len();
        if length + "://".len() > limits::URL {
            return None;
        }
        let uri = Uri::builder().scheme(scheme).authority(authority);
        uri.path_and_query(path.clone()).build().ok()
    }

    fn refuse_userinfo(&self) -> Result<()> {
        let url = self.url();
        if url.username().is_empty() && url.password().is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidUrl,
            "the URL holds a user name or a password, which end up in logs",
        )
        .with_hint(Some(
            "send them in Authorization, as RequestBuilder::basic_auth does",
        )))
    }
}

impl Written {
    /// Of the text that begins with the URL's host and ends with its query.
    fn of(url: &Url, text: Arc<str>) -> Option<Self> {
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let text = Bytes::from_owner(Text(text));
        let path = PathAndQuery::from_maybe_shared(text.slice(host.len()..)).ok()?;
        let host = HeaderValue::from_maybe_shared(text.slice(..host.len())).ok()?;
        Some(Self { host, path })
    }
}

struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Without the URL's query, which may hold secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target")
            .field(&redacted(self.url()).as_str())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_admitted_with_https_and_without_a_password() {
        for (url, allow_http, expected) in [
            ("https://example.com/", false, true),
            ("http://example.com/", false, false),
            ("http://example.com/", true, true),
            ("https://user@example.com/", true, false),
            ("https://:password@example.com/", true, false),
            ("ftp://example.com/", true, false),
        ] {
            let limits = Limits::default().allow_http(allow_http);
            let target = Target::of(Url::parse(url).unwrap());
            let admitted = target.admit(&limits);
            assert_eq!(admitted.is_ok(), expected, "{url} {allow_http}");
        }
    }

    /// What is made of the parts is what the whole text would be read as.
    #[test]
    fn a_request_has_the_url_as_it_stands() {
        let longest = format!("https://a.test/{}", "p".repeat(limits::URL - 15));
        for (url, host, path) in [
            ("https://a.test", "a.test", "/"),
            ("https://A.test:443/p/q?r=s&t#u", "a.test", "/p/q?r=s&t"),
            ("https://a.test:8443?q#f", "a.test:8443", "/?q"),
            (
                "http://[::1]:80/\u{e9} |^\"<>`{}?\u{e9} '\"<>|^`{}",
                "[::1]",
                "/%C3%A9%20|^%22%3C%3E%60%7B%7D?%C3%A9%20%27%22%3C%3E|^`{}",
            ),
            (longest.as_str(), "a.test", &longest[14..]),
        ] {
            let target = Target::of(Url::parse(url).unwrap());
            assert_eq!(target.host().unwrap(), host, "{url}");
            assert_eq!(target.path(), path.parse().ok().as_ref(), "{url}");
            let whole = format!("{}://{host}{path}", target.url().scheme());
            assert_eq!(target.absolute_form(None), whole.parse().ok(), "{url}");
            let other = HeaderValue::from_static("b.test:1");
            let whole = format!("{}://b.test:1{path}", target.url().scheme());
            assert_eq!(
                target.absolute_form(Some(&other)),
                whole.parse().ok(),
                "{url}"
            );
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let target = Target::of(Url::parse("https://user:abc@host.test/p?token=abc#abc").unwrap());
        assert_eq!(format!("{target:?}"), "Target(\"https://host.test/p\")");
    }
}
