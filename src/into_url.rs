//! What can be fetched, and how it becomes a URL.

use std::borrow::Cow;

use http::Uri;
use url::{ParseError, Url};

use crate::error::{Error, ErrorKind, Result};

/// What can be fetched: `&str`, `String`, [`Url`], [`Uri`].
///
/// A name that is not ASCII is mapped as IDNA has it; what the `url` crate forgives, such as a
/// backslash for a slash, is fetched in its canonical form, which is also what is reported.
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
    Url::parse(url).map_err(|error| {
        let has_no_scheme = error == ParseError::RelativeUrlWithoutBase;
        Error::new(ErrorKind::InvalidUrl, "the URL cannot be read")
            .with_source(error)
            .with_hint(has_no_scheme.then_some("begin it with https://"))
    })
}
