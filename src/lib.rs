//! `fetch(url).await` over HTTPS, verified strictly.
//!
//! Unless somebody said otherwise out loud, no byte of a request leaves, and no byte of a response
//! arrives, before the peer has proved that it is the host in the URL. When it could not prove it,
//! the error says exactly why, and what safely helps.
//!
//! ```no_run
//! # async fn example() -> urlfetch::Result<()> {
//! let response = urlfetch::fetch("https://example.com/").await?;
//! println!("{} {}", response.status(), response.text().await?);
//!
//! if let Err(error) = urlfetch::fetch("https://wrong.host.badssl.com/").await {
//!     println!("{error}"); // certificate for "wrong.host.badssl.com" was refused: ...
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`fetch`] uses one [`Client`] for the process, which is as the environment says. A client of
//! your own has roots, an identity and a policy of its own; [`RequestBuilder`] sets what holds for
//! one call; [`Response`] has the [`Verdict`] on its peer, whether it was good or not;
//! [`Error`] says what was tried and why it stopped; [`AddressGuard`] keeps the URLs of strangers
//! away from your own network. [`Client`] is a [`tower_service::Service`] too, so that tower's
//! layers apply to it. For protocols other than HTTP, [`Client::connect`] and [`Client::wrap`] give
//! the same verified TLS as a [`TlsStream`].
//!
//! Who leaves App Engine's urlfetch or Python's `ssl` finds its calls by their old names in
//! [`appengine`] and [`ssl`], what App Engine refused to exceed in [`Limits::app_engine`], and a row
//! for each call in the file MIGRATION.md.
//!
//! # One fetch
//!
//! ```text
//! fetch(url) -> RequestBuilder -> deadline starts
//!   per hop:  open connection?  no -> proxy? -> resolve -> race the addresses -> TLS: judge the peer
//!             may its address be dialled?  no -> refused, before a packet was sent
//!             the peer is verified?  no -> refused, and nothing was sent
//!             send -> head -> redirect?  follow, without credentials to another origin
//! Response { status, headers, url, hops, verdict, timings, body }
//! Body = wire -> deadline and idle limit -> decoder -> size limit
//! ```
//!
//! # Environment
//!
//! | variable | meaning |
//! |---|---|
//! | `HTTPSVERIFY` | `1`: nobody in the process may do without verification. `0`: what does not ask for it is only reported. Anything else but empty is an error. |
//! | `SSL_CERT_FILE`, `SSL_CERT_DIR` | PEM roots in place of the platform's; what is named and missing is an error. |
//! | `SSLKEYLOGFILE` | where a client built with [`ClientBuilder::key_log`] writes the secrets of its TLS sessions. Without that call it has no effect. |
//! | `HTTPS_PROXY`, `HTTP_PROXY` | The proxy for URLs of that scheme, as [`ClientBuilder::proxy`] takes it. `HTTP_PROXY` is read only by a client that may fetch http, and not in a CGI program (where `REQUEST_METHOD` is set), which has it from whoever sends a header `Proxy`; `http_proxy` is. |
//! | `ALL_PROXY` | The proxy for URLs whose scheme has none of its own. |
//! | `NO_PROXY` | Hosts that are reached without these proxies, as [`ClientBuilder::proxy_bypass`] takes them. Loopback is no exception unless it is named. |
//!
//! Each of the last four is read in capitals first, then in small letters; one that is empty counts
//! as unset. A proxy that is named and cannot be used is an error, never the direct way. They are
//! read when the client is built, and not by one that says
//! [`proxy`](ClientBuilder::proxy) or [`no_proxy`](ClientBuilder::no_proxy). What Windows and macOS
//! have set for the whole system is not read.
//!
//! # Log
//!
//! By `tracing`, with the field names of OpenTelemetry's conventions for HTTP clients. A URL is
//! without userinfo, query and fragment, `error.type` is [`Error::code`], and no value of a header
//! and no payload is ever logged. Where nobody listens nothing is formatted.
//!
//! What is measured is what [`Timings`] has, in milliseconds and bytes: on the span of a hop that
//! hop's, elsewhere the whole fetch's. Spans end with the head of the response, or the error.
//! `network.peer.address` is the proxy's, if there is one between.
//!
//! | level | what | fields |
//! |---|---|---|
//! | INFO | span `fetch`, until the head of the last response or the error | `otel.kind` `http.request.method` `url.full` `http.response.status_code` `error.type` `hops` `timing.queued_ms` `timing.dns_ms` `timing.connect_ms` `timing.tls_ms` `timing.first_byte_ms` `timing.body_ms` `timing.total_ms` `http.request.size` `http.response.size` |
//! | DEBUG | span `hop`, one for each request on the way | `http.request.method` `url.full` `server.address` `server.port` `network.peer.address` `network.protocol.version` `http.response.status_code` `error.type` `tls.verified` `tls.resumed` `network.connection.reused` `timing.queued_ms` `timing.dns_ms` `timing.connect_ms` `timing.tls_ms` `timing.first_byte_ms` `timing.total_ms` `http.request.size` `http.response.size` |
//! | DEBUG | event `body read`, of the last response, when its last byte has come | `url.full` `timing.body_ms` `timing.total_ms` `http.request.size` `http.response.size` |
//! | DEBUG | event `body failed` | `error.type` `url.full` `timing.body_ms` `timing.total_ms` `http.request.size` `http.response.size` |
//! | DEBUG | event `redirect followed` | `http.response.status_code` `url.full` |
//! | DEBUG | event `headers dropped that App Engine sets itself`, with their names, under its limits | `http.request.headers` |
//! | DEBUG | event `request sent again on another connection` | `error.type` |
//! | WARN | event `this connection is used whoever its peer is: verification was not demanded, and anybody on the way can answer`, one for each connection | `server.address` `server.port` `tls.verified` `error.type` |
//! | WARN | event `PYTHONHTTPSVERIFY is set and not read; the variable that is read is HTTPSVERIFY` | |
//! | WARN | event `SSL_CERT_FILE is set but empty, which counts as unset`, and of SSL_CERT_DIR and SSLKEYLOGFILE | |
//! | WARN | event `SSLKEYLOGFILE is obeyed: whoever can read the file can read what this client sends and receives`, one for each client that has a key log | `file.path` |
//! | WARN | event `the file that SSLKEYLOGFILE names cannot be written, and secrets are missing from it`, at most one for each such client | `file.path` `exception.message` |
//!
//! # Out of scope
//!
//! Cookies, caching, multipart forms, HTTP/3, and TLS below 1.2.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("urlfetch needs one of the features `aws-lc-rs` (the default) and `ring`");

pub mod appengine;

mod body;
pub use body::{Body, Content};

mod client;
pub use client::{Client, ClientBuilder, ConnectBuilder, WrapBuilder};

mod connect;
pub use connect::{
    AddressGuard, Connections, HostStats, PoolStats, Resolve, Resolving, SystemResolver,
};

mod error;
pub use error::{Error, ErrorKind, Result};

#[cfg(feature = "lab")]
#[cfg_attr(docsrs, doc(cfg(feature = "lab")))]
pub mod lab;

mod into_url;
pub use into_url::IntoUrl;

mod limits;
pub use limits::Limits;

mod payload;
pub use payload::Payload;

mod request;
pub use request::RequestBuilder;

mod response;
pub use response::{Hop, Response};

pub mod ssl;

mod spare;
mod target;
pub use target::Target;

mod timings;
pub use timings::{Phase, Timings};

pub mod tls;
pub use tls::{Identity, Policy, RootStore, TlsStream, Verdict};

mod charset;
mod decode;
mod fetch;
mod head;
mod headers;
mod redirect;
mod reference;
mod service;
mod trace;

pub use bytes::Bytes;
/// The crate whose types stand for methods, statuses, headers and versions.
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use url::Url;

/// Prepares a fetch by the client that the whole process shares. It begins when it is awaited.
///
/// That client is built at the first use, as the environment then says, and works from any number
/// of tokio runtimes. One that cannot be built is not kept: the next fetch tries again. Outside a
/// runtime the await gives an error; the runtime needs I/O and time, see
/// [`RequestBuilder::send`].
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> urlfetch::Result<()> {
/// let text = urlfetch::fetch("https://example.com/").await?.text().await?;
/// # Ok(())
/// # }
/// ```
pub fn fetch(url: impl IntoUrl) -> RequestBuilder {
    RequestBuilder::new(None, url)
}

/// The examples of the README, as tests.
#[cfg(all(doctest, feature = "lab"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide for those who leave App Engine, as tests.
#[cfg(all(doctest, feature = "lab"))]
#[doc = include_str!("../MIGRATION.md")]
struct Migration;
