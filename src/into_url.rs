//! What can be fetched, and how it becomes a URL.

use std::borrow::Cow;
use std::str::FromStr;

use http::Uri;
use url::{ParseError, Url};

use crate::error::{Error, ErrorKind, Result};
use crate::reference;
use crate::target::Target;

/// What can be fetched: `&str`, `String`, [`Url`], [`Uri`], and a [`Target`] that was made of one of
/// them before.
///
/// A name that is not ASCII is mapped as IDNA has it; what the `url` crate forgives, such as a
/// backslash for a slash in a path, is fetched in its canonical form, which is also what is
/// reported. It does not forgive what is missing before the host: of `https:///a/b` a browser makes
/// the host `a`, and who left the host empty meant no such host.
pub trait IntoUrl: sealed::Sealed {
    /// The URL as a target, or an error of kind [`ErrorKind::InvalidUrl`] if it cannot be read.
    #[doc(hidden)]
    fn into_target(self) -> Result<Target>;
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "that nobody can name it is what seals the trait"
    )]
    pub trait Sealed {}
}

macro_rules! into_url {
    ($($from:ty => |$from_value:ident| $into:expr;)*) => {$(
        impl sealed::Sealed for $from {}

        impl IntoUrl for $from {
            fn into_target(self) -> Result<Target> {
                let $from_value = self;
                $into
            }
        }
    )*};
}

into_url! {
    &str => |url| parse(url);
    &String => |url| parse(url);
    String => |url| parse(&url);
    Cow<'_, str> => |url| parse(&url);
    Url => |url| Ok(Target::of(url));
    &Url => |url| Ok(Target::of(url.clone()));
    Target => |target| Ok(target);
    &Target => |target| Ok(target.clone());
    Uri => |url| parse(&url.to_string());
    &Uri => |url| parse(&url.to_string());
}

impl Target {
    /// Reads and checks a URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] if no client can fetch it: the error that fetching it would give.
    pub fn new(url: impl IntoUrl) -> Result<Self> {
        url.into_target()?.checked()
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        Self::new(url)
    }
}

impl TryFrom<&str> for Target {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self> {
        Self::new(url)
    }
}

impl TryFrom<Url> for Target {
    type Error = Error;

    fn try_from(url: Url) -> Result<Self> {
        Self::new(url)
    }
}

fn parse(url: &str) -> Result<Target> {
    // The parser's errors say nothing of the text, which may hold a password.
    reference::read(url, None).map(Target::of).map_err(|error| {
        let hint = match error {
            ParseError::RelativeUrlWithoutBase => Some("begin it with https://"),
            ParseError::EmptyHost => {
                Some("after two slashes a host is to follow: https://host/path")
            }
            _ => None,
        };
        Error::new(ErrorKind::InvalidUrl, "the URL cannot be read")
            .with_source(error)
            .with_hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    /// Whether a URL was prepared or not, it is refused for the same reason; but what a client has
    /// to say, it says at each fetch.
    #[tokio::test]
    async fn a_target_is_refused_as_its_url_is() {
        let client = Client::builder().allow_http(true).build().unwrap();
        let strict = Client::builder().build().unwrap();
        for url in [
            "no url",
            "https://",
            "https:///a/b",
            "https://user:abc@host.invalid/?abc",
            "https://a..b/",
            "https://host.invalid:0/",
            "ftp://host.invalid/",
        ] {
            let prepared = Target::new(url).unwrap_err();
            let fetched = client.fetch(url).await.unwrap_err();
            assert_eq!(prepared.kind(), ErrorKind::InvalidUrl, "{url}");
            assert_eq!(fetched.kind(), ErrorKind::InvalidUrl, "{url}");
            assert_eq!(prepared.to_string(), fetched.to_string());
            assert_eq!(prepared.url(), fetched.url(), "{url}");
            assert_eq!(prepared.url_with_query(), fetched.url_with_query(), "{url}");
        }
        let target: Target = "http://host.invalid/".parse().unwrap();
        let refused = strict.fetch(&target).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidUrl);
        let allowed = client.fetch(target).await.unwrap_err();
        assert_eq!(allowed.kind(), ErrorKind::Dns);
    }
}
