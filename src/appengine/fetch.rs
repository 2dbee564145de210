//! One call: what was asked, and how it becomes a fetch.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use url::Url;

use super::deadline::{self, IntoDeadline};
use super::error::Error;
use super::headers::Headers;
use super::method::IntoMethod;
use super::places::Turn;
use super::result::FetchResult;
use super::service::UrlFetchService;
use crate::client::Client;
use crate::headers::{check_room, header};
use crate::into_url::IntoUrl;
use crate::limits::{Clock, Deadline};
use crate::request::{self, RequestBuilder};
use crate::target::Target;
use crate::timings::Timings;
use crate::trace::{self, Scope};

/// A call that has not begun: it begins when it is awaited, or when
/// [`make_fetch_call`](super::make_fetch_call) is given it.
///
/// A mistake in what it was given, such as a method that is none of the six, is the result of the
/// await; nothing is resolved or sent then.
#[must_use = "a call does nothing until it is awaited or made"]
pub struct Fetch {
    /// None for the process-wide service.
    service: Option<UrlFetchService>,
    asked: Result<Asked, Error>,
}

struct Asked {
    target: Target,
    payload: Bytes,
    method: Method,
    headers: HeaderMap,
    allow_truncated: bool,
    follow_redirects: bool,
    deadline: Option<Duration>,
    /// What holds if the call names no deadline.
    default_deadline: Option<Duration>,
    validate_certificate: Option<bool>,
}

impl Fetch {
    pub(super) fn new(service: Option<UrlFetchService>, url: impl IntoUrl) -> Self {
        let asked = url.into_target().and_then(|target| {
            Ok(Asked {
                target,
                payload: Bytes::new(),
                method: Method::GET,
                headers: HeaderMap::new(),
                allow_truncated: false,
                follow_redirects: true,
                deadline: None,
                default_deadline: deadline::default()?,
                validate_certificate: None,
            })
        });
        Self {
            service,
            asked: asked.map_err(Error::from),
        }
    }

    /// The payload. For GET, HEAD and DELETE it is dropped; with POST it is a form unless
    /// Content-Type says otherwise.
    pub fn payload(self, payload: impl Into<Bytes>) -> Self {
        self.set(|asked| asked.payload = payload.into())
    }

    /// The method: a name in any case, or a number; GET unless said otherwise.
    pub fn method(self, method: impl IntoMethod) -> Self {
        self.with(|asked| {
            asked.method = method.into_method()?;
            Ok(())
        })
    }

    /// Headers, one value for each name: a name that is there already gets the new value.
    ///
    /// Those that App Engine set itself, such as Host and X-Forwarded-For, are dropped.
    pub fn headers<K, V>(self, headers: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: fmt::Display,
    {
        self.with(|asked| {
            for (name, value) in headers {
                let header = header(name.as_ref(), value.to_string());
                let header = header.and_then(|header| check_room(&asked.headers).map(|()| header));
                let (name, value) = header.map_err(|error| error.with_url(asked.target.url()))?;
                asked.headers.insert(name, value);
            }
            Ok(())
        })
    }

    /// Whether a response of more than 32 MiB is cut there, rather than `ResponseTooLargeError`.
    pub fn allow_truncated(self, allow: bool) -> Self {
        self.set(|asked| asked.allow_truncated = allow)
    }

    /// Whether redirects are followed, five at most; they are unless said otherwise. One from https
    /// to http, or to what the limits do not allow, is an `InvalidURLError`.
    pub fn follow_redirects(self, follow: bool) -> Self {
        self.set(|asked| asked.follow_redirects = follow)
    }

    /// How long all of it may take, in seconds or as a [`Duration`]: queue, redirects and body
    /// together. More than 60 s are cut to that.
    ///
    /// Within it a connection may take 10 s: see
    /// [`ClientBuilder::connect_timeout`](crate::ClientBuilder::connect_timeout).
    pub fn deadline(self, deadline: impl IntoDeadline) -> Self {
        self.with(|asked| {
            asked.deadline = deadline.into_deadline()?;
            Ok(())
        })
    }

    /// Whether the peer must be verified. If nothing is said it must, unless HTTPSVERIFY is `0`;
    /// `false` asks to do without, which HTTPSVERIFY=1 refuses.
    ///
    /// Without verification anybody on the way can answer in the host's name.
    pub fn validate_certificate(self, validate: impl Into<Option<bool>>) -> Self {
        self.set(|asked| asked.validate_certificate = validate.into())
    }

    /// Makes the call, when it is first polled. It is what awaiting does, without the box.
    ///
    /// # Errors
    ///
    /// Any [`Exception`](super::Exception), with its reason. A status such as 404 is none.
    ///
    /// # Panics
    ///
    /// As [`RequestBuilder::send`], in a runtime without I/O or without time.
    pub async fn send(self) -> Result<FetchResult, Error> {
        self.begin().await
    }

    /// Begins the call: its deadline starts, its turn is taken and its span opened before the future
    /// is polled.
    pub(super) fn begin(self) -> impl Future<Output = Result<FetchResult, Error>> + Send {
        let called = Instant::now();
        let begun = self.asked.and_then(|asked| {
            let service = match self.service {
                Some(service) => service,
                None => UrlFetchService::process_wide()?,
            };
            let turn = service.places().turn();
            let turn = turn.map_err(|error| error.with_url(asked.target.url()))?;
            let scope = trace::fetch(&asked.method, asked.target.url());
            Ok((asked, service, turn, scope))
        });
        async move {
            let (asked, service, turn, scope) = begun?;
            asked.fetch(service.client(), called, turn, scope).await
        }
    }

    /// What is called; `None` if it cannot be.
    pub(super) fn url(&self) -> Option<&Url> {
        self.asked.as_ref().ok().map(|asked| asked.target.url())
    }

    /// A deadline for the call if it names none.
    pub(super) fn default_deadline(self, deadline: Result<Option<Duration>, crate::Error>) -> Self {
        self.with(|asked| {
            asked.default_deadline = deadline?;
            Ok(())
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Asked) -> Result<(), Error>) -> Self {
        if let Ok(asked) = &mut self.asked {
            if let Err(error) = change(asked) {
                self.asked = Err(error);
            }
        }
        self
    }

    fn set(self, change: impl FnOnce(&mut Asked)) -> Self {
        self.with(|asked| {
            change(asked);
            Ok(())
        })
    }
}

impl Asked {
    async fn fetch(
        self,
        client: &Client,
        called: Instant,
        turn: Turn,
        scope: Scope,
    ) -> Result<FetchResult, Error> {
        let deadline = self.deadline.or(self.default_deadline);
        let (budget, _) = client.shared().limits.budget(deadline);
        let ends = Deadline::from(called, Clock::Total, budget);
        let mut timings = Timings::default();
        let place = turn.place(ends, &mut timings).await;
        let _place = place.map_err(|error| {
            let error = error.with_url(self.target.url());
            let error = error.with_timings(timings.since(called));
            trace::stopped(&scope, &error);
            error
        })?;
        let target = self.target.clone();
        let allow_truncated = self.allow_truncated;
        let request = client.fetch(&target).turn(request::Turn {
            called,
            queued: timings.queued(),
            scope,
        });
        let mut request = self.on(request);
        if let Some(deadline) = deadline {
            request = request.deadline(deadline);
        }
        let response = request.send().await?;
        let status = response.status();
        let headers = Headers::new(response.headers().clone());
        let peer = response.peer().cloned();
        let final_url = (response.url() != target.url()).then(|| response.url().clone());
        let context = response.body.context().clone();
        let content = response.content().await?;
        let too_large =
            (content.was_truncated && !allow_truncated).then(|| context.too_large(&content));
        let result = FetchResult::new(content, status, headers, final_url, peer);
        match too_large {
            Some(cause) => Err(Error::too_large(cause, result)),
            None => Ok(result),
        }
    }

    fn on(self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(validate) = self.validate_certificate {
            request = request.validate_certificate(validate);
        }
        request
            .method(self.method)
            .headers(self.headers)
            .payload(self.payload)
            .follow_redirects(self.follow_redirects)
            .allow_truncated(true)
    }
}

impl IntoFuture for Fetch {
    type Output = Result<FetchResult, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Without the URL's query, headers and payload, which may hold secrets.
impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fetch");
        match &self.asked {
            Ok(asked) => debug
                .field("method", &asked.method)
                .field("url", &crate::error::redacted(asked.target.url()).as_str()),
            Err(error) => debug.field("error", error),
        };
        debug.finish_non_exhaustive()
    }
}
