//! What can be fetched, and how it becomes a URL.

use std::borrow::Cow;

use http::Uri;
use url::{ParseError, Url};

use crate::error::{Error, ErrorKind, Result};
use crate::reference;

/// What can be fetched: `&str`, `String`, [`Url`], [`Uri`].
///
/// A name that is not ASCII is mapped as IDNA has it; what the `url` crate forgives, such as a
/// backslash for a slash in a path, is fetched in its canonical form, which is also what is
/// reported. It does not forgive what is missing before the host: of `https:///a/b` a browser makes
/// the host `a`, and who left the host empty meant no such host.
pub trait IntoUrl: sealed::Sealed {
    /// The URL, or an error of kind [`ErrorKind::InvalidUrl`].
    #[doc(hidden)]
    fn into_url(self) -> Result<Url>;
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "that nobody can name it is what seals the trait"
    )]
    pub trait Sealed {}
}

macro_rules! into_url {
    ($($from:ty => |$url:ident| $into:expr;)*) => {$(
        impl sealed::Sealed for $from {}

        impl IntoUrl for $from {
            fn into_url(self) -> Result<Url> {
                let $url = self;
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
    Url => |url| Ok(url);
    &Url => |url| Ok(url.clone());
    Uri => |url| parse(&url.to_string());
    &Uri => |url| parse(&url.to_string());
}

fn parse(url: &str) -> Result<Url> {
    // The parser's errors say nothing of the text, which may hold a password.
    reference::read(url, None).map_err(|error| {
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
