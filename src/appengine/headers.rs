//! A response's headers as App Engine gave them: folded by name, and one by one.

use std::borrow::Cow;
use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

/// Headers by name in any case, those of one name folded into one value with `, ` between.
///
/// `Set-Cookie` is never folded: a date in it has a comma, and nobody could take the values apart
/// again (RFC 6265 §3). [`get`](Self::get) has the first, [`iter`](Self::iter) and
/// [`getheaders`](Self::getheaders) have all. A value that is not ASCII is read as ISO-8859-1, as
/// Python reads it.
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    pub(super) fn new(headers: HeaderMap) -> Self {
        Self(headers)
    }

    /// The value of that name: all of them, folded; of `Set-Cookie` the first.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let name = HeaderName::try_from(name).ok()?;
        self.folded(&name)
    }

    /// Whether there is a header of that name.
    #[doc(alias = "has_key")]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Each name with its folded value, and each `Set-Cookie` by itself.
    #[doc(alias = "items")]
    pub fn iter(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.0.keys().flat_map(|name| {
            let is_cookie = *name == SET_COOKIE;
            let cookies = self.0.get_all(name).iter().filter(move |_| is_cookie);
            let folded = (!is_cookie).then(|| self.folded(name)).flatten();
            let values = cookies.map(text).chain(folded);
            values.map(move |value| (name.as_str(), value))
        })
    }

    /// Every value of that name by itself, in the order in which they came: `header_msg` in Python.
    pub fn getheaders(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.0.get_all(name).iter().map(text).collect()
    }

    /// The headers as they came: `getHeadersUncombined` in Java.
    #[doc(alias = "getHeadersUncombined")]
    pub fn uncombined(&self) -> &HeaderMap {
        &self.0
    }

    fn folded(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        let mut values = self.0.get_all(name).iter().map(text);
        let first = values.next()?;
        match *name == SET_COOKIE {
            true => Some(first),
            false => Some(values.fold(first, |folded, value| format!("{folded}, {value}").into())),
        }
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    match value.to_str() {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_folded_but_for_cookies() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("vary", &b"accept"[..]),
            ("set-cookie", b"a=1; expires=Thu, 01 Jan 2026 00:00:00 GMT"),
            ("vary", b"origin"),
            ("x-latin", b"caf\xe9"),
            ("set-cookie", b"b=2"),
        ] {
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let headers = Headers::new(map);
        assert_eq!(headers.get("VARY").unwrap(), "accept, origin");
        assert_eq!(headers.getheaders("Vary"), ["accept", "origin"]);
        assert_eq!(headers.get("x-latin").unwrap(), "caf\u{e9}");
        let cookies = ["a=1; expires=Thu, 01 Jan 2026 00:00:00 GMT", "b=2"];
        assert_eq!(headers.get("set-cookie").unwrap(), cookies[0]);
        assert_eq!(headers.getheaders("Set-Cookie"), cookies);
        assert_eq!(headers.get("absent"), None);
        assert_eq!(headers.get("no name"), None);
        assert!(headers.contains("Set-Cookie") && !headers.contains("absent"));
        let mut all: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        all.sort();
        assert_eq!(
            all,
            [
                "set-cookie: a=1; expires=Thu, 01 Jan 2026 00:00:00 GMT",
                "set-cookie: b=2",
                "vary: accept, origin",
                "x-latin: caf\u{e9}"
            ]
        );
        assert_eq!(headers.uncombined().len(), 5);
        assert!(!format!("{headers:?}").contains("b=2"));
    }
}
