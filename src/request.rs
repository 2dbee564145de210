//! What is asked: method, URL, headers, payload, and the options of one call.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::Instant;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::headers::{check_room, header};
use crate::into_url::IntoUrl;
use crate::payload::Payload;
use crate::response::Response;
use crate::target::Target;
use crate::trace::Scope;

/// A fetch that has not begun: it begins when it is awaited.
///
/// A mistake in what it was given, such as a URL that cannot be fetched, is the result of the
/// await; nothing is resolved or sent then.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> urlfetch::Result<()> {
/// use std::time::Duration;
/// use urlfetch::Method;
///
/// let response = urlfetch::fetch("https://api.example.com/items")
///     .method(Method::POST)
///     .header("content-type", "application/json")
///     .payload(r#"{"name":"hat"}"#)
///     .deadline(Duration::from_secs(10))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a fetch does nothing until it is awaited"]
pub struct RequestBuilder {
    /// None for the process-wide client.
    client: Option<Client>,
    asked: Result<Box<Asked>>,
}

/// A request as it was asked for.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    pub(crate) options: Options,
    pub(crate) turn: Option<Turn>,
}

/// What went before a fetch that was called before its turn came.
pub(crate) struct Turn {
    /// When it was called, which is when its deadline began.
    pub(crate) called: Instant,
    /// How long it had to wait.
    pub(crate) queued: Option<Duration>,
    /// By [`trace::fetch`](crate::trace::fetch).
    pub(crate) scope: Scope,
}

/// The options of one call; what is `None` is as the client says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) deadline: Option<Duration>,
    pub(crate) follow_redirects: Option<bool>,
    pub(crate) max_redirects: Option<usize>,
    pub(crate) max_response_size: Option<u64>,
    pub(crate) allow_truncated: bool,
    pub(crate) validate_certificate: Option<bool>,
}

impl RequestBuilder {
    pub(crate) fn new(client: Option<Client>, url: impl IntoUrl) -> Self {
        let asked = url.into_target().map(|target| {
            Box::new(Asked {
                method: Method::GET,
                target,
                headers: HeaderMap::new(),
                payload: Payload::empty(),
                options: Options::default(),
                turn: None,
            })
        });
        Self { client, asked }
    }

    /// The method; GET unless said otherwise. CONNECT is refused, as it makes a tunnel and has no
    /// response to fetch.
    pub fn method(self, method: Method) -> Self {
        self.with(|asked| match method {
            Method::CONNECT => Err(invalid("CONNECT makes a tunnel: it cannot be fetched")),
            method => {
                asked.method = method;
                Ok(())
            }
        })
    }

    /// Adds a header. One that is repeated is sent repeatedly. There can be 24,000 at most.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.with(|asked| {
            let (name, value) = header(name, value)?;
            check_room(&asked.headers)?;
            asked.headers.append(name, value);
            Ok(())
        })
    }

    /// Sets headers: each name in `headers` replaces what was set for it before.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|asked| {
            let mut last = None;
            for (name, value) in headers {
                check_room(&asked.headers)?;
                match (name, &last) {
                    (Some(name), _) => {
                        asked.headers.insert(name.clone(), value);
                        last = Some(name);
                    }
                    (None, Some(name)) => {
                        asked.headers.append(name.clone(), value);
                    }
                    (None, None) => {}
                }
            }
            Ok(())
        })
    }

    /// The payload: `Bytes`, `Vec<u8>`, `String`, `&'static str`, `&'static [u8]`, or a
    /// [`Payload::stream`]. It does not change the method.
    pub fn payload(self, payload: impl Into<Payload>) -> Self {
        self.with(|asked| {
            asked.payload = payload.into();
            Ok(())
        })
    }

    /// Appends pairs to the URL's query, encoded as forms are.
    pub fn query<K, V>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        self.with(|asked| {
            let mut pairs = pairs.into_iter().peekable();
            if pairs.peek().is_some() {
                let mut url = asked.target.url().clone();
                url.query_pairs_mut().extend_pairs(pairs);
                asked.target = Target::of(url);
            }
            Ok(())
        })
    }

    /// Pairs as the payload, with the content type of a form unless one is set. It does not change
    /// the method.
    pub fn form<K, V>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        self.with(|asked| {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            asked.content_type_unless_set("application/x-www-form-urlencoded");
            asked.payload = form.into();
            Ok(())
        })
    }

    /// A value as the payload, in JSON, with its content type unless one is set. It does not
    /// change the method.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        self.with(|asked| {
            let json = serde_json::to_vec(value).map_err(|error| {
                invalid("the payload cannot be written as JSON").with_source(error)
            })?;
            asked.content_type_unless_set("application/json");
            asked.payload = json.into();
            Ok(())
        })
    }

    /// HTTP Basic authentication (RFC 7617). A user name with a colon in it cannot be sent so.
    pub fn basic_auth(self, user: impl fmt::Display, password: Option<impl fmt::Display>) -> Self {
        use base64::Engine;
        self.with(|asked| {
            let user = user.to_string();
            if user.contains(':') {
                return Err(invalid(
                    "a user name with a colon in it cannot be sent by Basic (RFC 7617)",
                ));
            }
            let password = password
                .map(|password| password.to_string())
                .unwrap_or_default();
            let encoded =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            asked.authorize(format!("Basic {encoded}"))
        })
    }

    /// HTTP Bearer authentication (RFC 6750).
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.with(|asked| asked.authorize(format!("Bearer {token}")))
    }

    /// How long everything together may take, from resolving the name to the body's last byte.
    ///
    /// Without it, 60 s hold for what is buffered, and until the head for what is streamed, whose
    /// reader may then wait 30 s for each next piece. A longer one than
    /// [`Limits::max_deadline`](crate::Limits::max_deadline) is cut to that.
    pub fn deadline(self, deadline: Duration) -> Self {
        self.set(|options| options.deadline = Some(deadline))
    }

    /// Whether redirects are followed; they are unless said otherwise.
    pub fn follow_redirects(self, follow: bool) -> Self {
        self.set(|options| options.follow_redirects = Some(follow))
    }

    /// How many redirects are followed at most; 5 unless said otherwise.
    pub fn max_redirects(self, most: usize) -> Self {
        self.set(|options| options.max_redirects = Some(most))
    }

    /// How many bytes of the body are accepted at most, after decoding: 32 MiB of what is
    /// buffered unless said otherwise, and of what is streamed as many as come.
    pub fn max_response_size(self, most: u64) -> Self {
        self.set(|options| options.max_response_size = Some(most))
    }

    /// Whether a body that is too large is cut at exactly its limit, rather than refused.
    /// [`Content::was_truncated`](crate::Content::was_truncated) tells.
    pub fn allow_truncated(self, allow: bool) -> Self {
        self.set(|options| options.allow_truncated = allow)
    }

    /// Whether the peer must be verified: `true` demands it whatever the client or HTTPSVERIFY
    /// say; `false` asks to do without, which HTTPSVERIFY=1 refuses.
    ///
    /// Without verification anybody on the way can answer in the host's name.
    pub fn validate_certificate(self, validate: bool) -> Self {
        self.set(|options| options.validate_certificate = Some(validate))
    }

    /// Begins the fetch. It is what awaiting does, without the box.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] but those of a body. Outside a tokio runtime it is
    /// [`Config`](ErrorKind::Config).
    ///
    /// # Panics
    ///
    /// In a tokio runtime that was built without I/O or without time, tokio panics at the first
    /// socket or timer, and there is no asking it before. `Builder::enable_all` and
    /// `#[tokio::main]` have both.
    pub fn send(self) -> impl Future<Output = Result<Response>> + Send {
        Client::execute(self.client, self.asked)
    }

    /// It has come to its turn.
    pub(crate) fn turn(mut self, turn: Turn) -> Self {
        if let Ok(asked) = &mut self.asked {
            asked.turn = Some(turn);
        }
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Asked) -> Result<()>) -> Self {
        if let Ok(asked) = &mut self.asked {
            if let Err(error) = change(asked) {
                self.asked = Err(error.with_url(asked.target.url()));
            }
        }
        self
    }

    fn set(self, change: impl FnOnce(&mut Options)) -> Self {
        self.with(|asked| {
            change(&mut asked.options);
            Ok(())
        })
    }
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Response>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RequestBuilder");
        match &self.asked {
            Ok(asked) => debug
                .field("method", &asked.method)
                .field("url", &crate::error::redacted(asked.target.url()).as_str()),
            Err(error) => debug.field("error", error),
        };
        debug.finish_non_exhaustive()
    }
}

impl Asked {
    fn content_type_unless_set(&mut self, content_type: &'static str) {
        self.headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
    }

    fn authorize(&mut self, credentials: String) -> Result<()> {
        let mut value = HeaderValue::try_from(credentials)
            .map_err(|_| invalid("the credentials have a character that a header may not have"))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

fn invalid(why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidRequest, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mistake_is_the_result_of_the_await() {
        let client = Client::builder()
            .roots(crate::tls::RootStore::empty())
            .build();
        assert_eq!(client.unwrap_err().kind(), ErrorKind::Config);
        let url = "https://host.invalid/";
        let rows = [
            (RequestBuilder::new(None, "no url"), ErrorKind::InvalidUrl),
            (RequestBuilder::new(None, "https://"), ErrorKind::InvalidUrl),
            (
                RequestBuilder::new(None, url).header("a b", "c"),
                ErrorKind::InvalidRequest,
            ),
            (
                RequestBuilder::new(None, url).header("a", "b\r\nc: d"),
                ErrorKind::InvalidRequest,
            ),
            (
                RequestBuilder::new(None, url).method(Method::CONNECT),
                ErrorKind::InvalidRequest,
            ),
            (
                RequestBuilder::new(None, url).bearer_auth("a\nb"),
                ErrorKind::InvalidRequest,
            ),
            (
                RequestBuilder::new(None, url).basic_auth("a:b", Some("c")),
                ErrorKind::InvalidRequest,
            ),
        ];
        for (builder, expected) in rows {
            let shown = format!("{builder:?}");
            let error = builder.await.unwrap_err();
            assert_eq!(error.kind(), expected, "{shown}");
            assert!(!error.request_was_sent());
        }
    }

    #[test]
    fn what_is_set_is_what_is_asked() {
        let mut two = HeaderMap::new();
        two.append("x", HeaderValue::from_static("2"));
        two.append("x", HeaderValue::from_static("3"));
        let asked = RequestBuilder::new(None, "https://host.example/?a=1")
            .query([("b", "2 3"), ("\u{e9}", "&")])
            .query::<&str, &str>([])
            .header("x", "1")
            .headers(two)
            .form([("k", "v w")])
            .basic_auth("Aladdin", Some("open sesame"))
            .asked
            .unwrap();
        assert_eq!(
            asked.target.url().as_str(),
            "https://host.example/?a=1&b=2+3&%C3%A9=%26"
        );
        let values: Vec<_> = asked.headers.get_all("x").iter().collect();
        assert_eq!(values, ["2", "3"]);
        assert_eq!(
            asked.headers[CONTENT_TYPE],
            "application/x-www-form-urlencoded"
        );
        // RFC 7617 §2's own example.
        assert_eq!(
            asked.headers[AUTHORIZATION],
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(asked.headers[AUTHORIZATION].is_sensitive());
        assert_eq!(asked.payload.known_length(), Some(5));
    }

    /// What is prepared is everybody's.
    #[test]
    fn a_query_leaves_the_target_as_it_is() {
        let target = Target::new("https://host.example/?a=1").unwrap();
        let asked = RequestBuilder::new(None, &target).query([("b", "2")]);
        let asked = asked.asked.unwrap();
        assert_eq!(asked.target.url().as_str(), "https://host.example/?a=1&b=2");
        assert_eq!(asked.target.path().unwrap(), "/?a=1&b=2");
        assert_eq!(target.url().as_str(), "https://host.example/?a=1");
        assert_eq!(target.path().unwrap(), "/?a=1");
    }

    #[test]
    fn no_secret_is_shown() {
        let builder = RequestBuilder::new(None, "https://host.example/?token=abc")
            .bearer_auth("abc")
            .payload("abc");
        assert!(!format!("{builder:?}").contains("abc"));
        assert!(!format!("{:?}", Payload::from("abc")).contains("abc"));
    }
}
