//! The client: what all its fetches share.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

pub use builder::ClientBuilder;

use crate::connect::{Asker, Connector, Origin, Pool, PoolStats, Target, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::into_url::IntoUrl;
use crate::limits::{self, Deadline};
use crate::request::RequestBuilder;
use crate::timings::Timings;
use crate::tls::demand::{Demand, HttpsVerify, Said};
use crate::tls::{Protocols, TlsStream, Verdict};
use crate::trace;

mod builder;

/// Fetches URLs, each by a connection whose peer was verified.
///
/// Cloning is cheap and shares the connections. One client works from any number of tokio
/// runtimes: each has its own connections.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> urlfetch::Result<()> {
/// use urlfetch::Client;
/// use urlfetch::tls::RootStore;
///
/// let client = Client::builder()
///     .roots(RootStore::native()?.add_pem_file("corp-ca.pem")?)
///     .build()?;
/// println!("{}", client.fetch("https://intranet.example/").await?.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Shared>);

/// What every clone of a client shares.
pub(crate) struct Shared {
    pub(crate) connector: Connector,
    pub(crate) pool: Pool,
    /// As the environment was when the client was built.
    pub(crate) https_verify: HttpsVerify,
    /// What holds for a call that does not say.
    pub(crate) demand: Demand,
    pub(crate) allow_http: bool,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_redirects: usize,
    pub(crate) max_response_size: Option<u64>,
    pub(crate) user_agent: HeaderValue,
}

impl Client {
    /// A client that is as the environment says: HTTPSVERIFY, SSL_CERT_FILE, SSL_CERT_DIR.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if HTTPSVERIFY is neither unset, empty, `1` nor `0`.
    pub fn new() -> Result<Self> {
        Self::builder().build_as(Said::Nothing)
    }

    /// A client that is as the code says. HTTPSVERIFY can make it stricter, never weaker.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Prepares a fetch. It begins when it is awaited.
    pub fn fetch(&self, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(Some(self.clone()), url)
    }

    /// A verified TLS stream for any protocol: no HTTP, and no ALPN. The host may be a name or an
    /// IP address, with or without the brackets of an IPv6 literal.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] if `host` is neither, else as a fetch that gets no connection.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TlsStream> {
        let target = self.0.target(host, port)?;
        let connecting = pin!(async {
            let mut timings = Timings::default();
            let deadline = self.0.whole_deadline();
            let wanted = Wanted {
                target: &target,
                asker: Asker::Caller,
                deadline,
            };
            let connector = &self.0.connector;
            let connecting = connector.connect_tls(wanted, Protocols::Unnamed, &mut timings);
            let connected = connecting.await;
            connected.map_err(|error| error.with_timings(timings.since(deadline.starts())))
        });
        let connected = in_one_runtime(connecting).await?;
        report(&target, connected.stream.verdict());
        Ok(connected.stream)
    }

    /// A verified TLS stream over one that is open already, such as after STARTTLS. The peer is
    /// verified to be `host`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] if `host` is no name and no address, else as a fetch whose
    /// handshake fails.
    pub async fn wrap<S>(&self, stream: S, host: &str) -> Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // The port is not known: 1 is nobody's, so tickets are shared with other wrapped streams
        // only.
        let target = self.0.target(host, 1)?;
        let wrapping = pin!(async {
            let mut timings = Timings::default();
            let deadline = self.0.whole_deadline();
            let connector = &self.0.connector;
            let wrapped = connector
                .wrap(stream, &target, deadline, &mut timings)
                .await;
            wrapped.map_err(|error| error.with_timings(timings.since(deadline.starts())))
        });
        let wrapped = in_one_runtime(wrapping).await?;
        report(&target, wrapped.verdict());
        Ok(wrapped)
    }

    /// What the connections of this client and its clones are doing, in all runtimes. It takes a
    /// short lock for each host: cheap enough to be asked every second.
    pub fn pool_stats(&self) -> PoolStats {
        self.0.pool.stats()
    }

    /// The client of [`fetch`](crate::fetch). One that could not be built is not kept.
    pub(crate) fn process_wide() -> Result<Self> {
        static CLIENT: OnceLock<Client> = OnceLock::new();
        if let Some(client) = CLIENT.get() {
            return Ok(client.clone());
        }
        let client = Self::new()?;
        Ok(CLIENT.get_or_init(|| client).clone())
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    fn target(&self, host: &str, port: u16) -> Result<Target> {
        let origin = Origin::tls(host, port)?;
        Ok(self.connector.trust.target(origin, self.demand))
    }

    fn whole_deadline(&self) -> Deadline {
        Deadline::start(self.deadline.unwrap_or(limits::DEADLINE))
    }
}

/// A stream is not used unseen whose peer need not be verified.
fn report(target: &Target, verdict: &Verdict) {
    if target.demand() == Demand::Reported {
        trace::unverified(target.origin().host(), target.origin().port(), verdict);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("trust", &self.0.connector.trust)
            .finish_non_exhaustive()
    }
}

/// Runs what has connections and clocks, which belong to the runtime that drives them: there has to
/// be one, and it has to stay the same. In another the future would wait for a runtime that may
/// stand still.
pub(crate) async fn in_one_runtime<T>(
    mut work: Pin<&mut impl Future<Output = Result<T>>>,
) -> Result<T> {
    let first = Handle::try_current().map_err(|error| {
        Error::new(ErrorKind::Config, "a fetch needs a tokio runtime to run in").with_source(error)
    })?;
    poll_fn(|cx| match Handle::try_current() {
        Ok(now) if now.id() == first.id() => work.as_mut().poll(cx),
        Ok(_) | Err(_) => {
            let error = Error::new(
                ErrorKind::Config,
                "a fetch was begun in one tokio runtime and polled outside of it",
            );
            Poll::Ready(Err(error.sent(true)))
        }
    })
    .await
}
