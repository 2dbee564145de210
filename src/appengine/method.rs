//! The six methods, by name in any case or by number.

use http::Method;

use super::error::Error;
use crate::error::ErrorKind;
use crate::tls::shown::Shown;

/// GET, as a number.
pub const GET: i32 = 1;
/// POST, as a number.
pub const POST: i32 = 2;
/// HEAD, as a number.
pub const HEAD: i32 = 3;
/// PUT, as a number.
pub const PUT: i32 = 4;
/// DELETE, as a number.
pub const DELETE: i32 = 5;
/// PATCH, as a number.
pub const PATCH: i32 = 6;

/// A method of App Engine's: [`GET`] to [`PATCH`], a name in any case, or a [`Method`].
pub trait IntoMethod: sealed::Sealed {
    /// The method, or `InvalidMethodError`.
    #[doc(hidden)]
    fn into_method(self) -> Result<Method, Error>;
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "that nobody can name it is what seals the trait"
    )]
    pub trait Sealed {}
}

macro_rules! into_method {
    ($($from:ty => |$method:ident| $found:expr, $shown:expr;)*) => {$(
        impl sealed::Sealed for $from {}

        impl IntoMethod for $from {
            fn into_method(self) -> Result<Method, Error> {
                let $method = self;
                $found.cloned().ok_or_else(|| unknown(&$shown))
            }
        }
    )*};
}

into_method! {
    i32 => |number| numbered(number), number.to_string();
    &str => |name| named(name), name;
    &String => |name| named(name), name;
    String => |name| named(&name), name;
    Method => |method| named(method.as_str()), method.as_str();
    &Method => |method| named(method.as_str()), method.as_str();
}

fn numbered(number: i32) -> Option<&'static Method> {
    METHODS
        .iter()
        .find(|(each, _)| *each == number)
        .map(|(_, method)| method)
}

fn named(name: &str) -> Option<&'static Method> {
    METHODS
        .iter()
        .map(|(_, method)| method)
        .find(|method| method.as_str().eq_ignore_ascii_case(name))
}

fn unknown(method: &str) -> Error {
    Error::invalid_method(crate::Error::new(
        ErrorKind::InvalidRequest,
        format!(
            "the method \"{}\" is none of GET, POST, HEAD, PUT, DELETE and PATCH",
            Shown(method)
        ),
    ))
}

static METHODS: [(i32, Method); 6] = [
    (GET, Method::GET),
    (POST, Method::POST),
    (HEAD, Method::HEAD),
    (PUT, Method::PUT),
    (DELETE, Method::DELETE),
    (PATCH, Method::PATCH),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_methods_by_number_and_by_name_in_any_case() {
        for (number, method) in METHODS.iter() {
            assert_eq!(number.into_method().as_ref().ok(), Some(method));
            assert_eq!(
                method.as_str().to_lowercase().into_method().unwrap(),
                method
            );
            assert_eq!(method.as_str().into_method().unwrap(), method);
            assert_eq!(method.into_method().unwrap(), method);
        }
        assert_eq!("Post".into_method().unwrap(), Method::POST);
        let refused = [
            0.into_method(),
            7.into_method(),
            (-1).into_method(),
            "".into_method(),
            " GET".into_method(),
            "OPTIONS".into_method(),
            Method::TRACE.into_method(),
            Method::CONNECT.into_method(),
        ];
        for refused in refused {
            let error = refused.unwrap_err();
            assert!(error.is_invalid_method_error());
            assert!(!error.is_download_error());
        }
        let error = "OPT\nIONS".into_method().unwrap_err();
        assert_eq!(
            error.to_string(),
            "InvalidMethodError: the method \"OPT\\u{a}IONS\" is none of GET, POST, HEAD, PUT, \
             DELETE and PATCH"
        );
    }
}
