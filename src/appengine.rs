//! App Engine's urlfetch by its own names: its calls, limits and errors, onto
//! [`fetch`](crate::fetch).
//!
//! ```no_run
//! # async fn example() -> Result<(), urlfetch::appengine::Error> {
//! use urlfetch::appengine;
//!
//! let result = appengine::fetch("https://api.example.com/items")
//!     .payload("name=hat")
//!     .method(appengine::POST)
//!     .headers([("X-Request-Id", 7)])
//!     .deadline(10)
//!     .await?;
//! if result.status_code() == 200 {
//!     println!("{} bytes", result.content().len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A call is a [`Fetch`], which gives a [`FetchResult`] or an [`Error`], one of App Engine's
//! [`Exception`]s. Those that run side by side are [`Rpc`]s. What App Engine limited is
//! [`Limits::app_engine`](crate::Limits::app_engine); a client with roots or a proxy of its own
//! becomes a [`UrlFetchService`]. The file MIGRATION.md has a row for every call, and what is not as
//! it was.
//!
//! # Out of scope
//!
//! What only App Engine could do: the identifier in User-Agent, `X-Appengine-Inbound-Appid`, and the
//! refusal to fetch the very page that is being served.

pub use deadline::{IntoDeadline, get_default_fetch_deadline, set_default_fetch_deadline};
pub use error::{Error, Exception};
pub use fetch::Fetch;
pub use headers::Headers;
pub use method::{DELETE, GET, HEAD, IntoMethod, PATCH, POST, PUT};
pub use result::FetchResult;
pub use rpc::{IdleRpc, Rpc, wait_all, wait_any};
pub use service::UrlFetchService;

use crate::into_url::IntoUrl;

mod deadline;
mod error;
mod fetch;
mod headers;
mod method;
mod places;
mod result;
mod rpc;
mod service;

/// Prepares a call by the service that the whole process shares. It begins when it is awaited.
///
/// That service has a client of its own, with
/// [`Limits::app_engine`](crate::Limits::app_engine); it is built at the first use, as the
/// environment then says.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), urlfetch::appengine::Error> {
/// let result = urlfetch::appengine::fetch("https://example.com/").await?;
/// println!("{} {:?}", result.status_code(), result.headers().get("content-type"));
/// # Ok(())
/// # }
/// ```
pub fn fetch(url: impl IntoUrl) -> Fetch {
    Fetch::new(None, url)
}

/// A call to be made, with a deadline in seconds or as a [`Duration`](std::time::Duration). `None`
/// is the deadline of [`set_default_fetch_deadline`], as it is now.
pub fn create_rpc(deadline: impl IntoDeadline) -> IdleRpc {
    IdleRpc::new(deadline)
}

/// Makes the call: it runs from now on. See [`IdleRpc::make_fetch_call`].
pub fn make_fetch_call(rpc: IdleRpc, call: Fetch) -> Rpc {
    rpc.make_fetch_call(call)
}
