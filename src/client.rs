//! The client: what all its fetches share.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

pub use builder::ClientBuilder;
pub use stream::{ConnectBuilder, WrapBuilder};

use crate::connect::{Connector, Pool, PoolStats};
use crate::error::{Error, ErrorKind, Result};
use crate::into_url::IntoUrl;
use crate::limits::Limits;
use crate::request::RequestBuilder;
use crate::tls::demand::{Demand, HttpsVerify, Said};

mod build;
mod builder;
mod stream;

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
    pub(crate) limits: Limits,
    pub(crate) user_agent: HeaderValue,
}

impl Client {
    /// A client that is as the environment says: HTTPSVERIFY, SSL_CERT_FILE, SSL_CERT_DIR,
    /// HTTPS_PROXY, ALL_PROXY, NO_PROXY.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if HTTPSVERIFY is neither unset, empty, `1` nor `0`, or the proxy cannot
    /// be used.
    pub fn new() -> Result<Self> {
        Self::as_environment_says(Limits::default())
    }

    /// The same, within these limits.
    pub(crate) fn as_environment_says(limits: Limits) -> Result<Self> {
        Self::builder().limits(limits).build_as(Said::Nothing)
    }

    /// A client that is as the code says. HTTPSVERIFY can make it stricter, never weaker.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Prepares a fetch. It begins when it is awaited.
    pub fn fetch(&self, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(Some(self.clone()), url)
    }

    /// Prepares a verified TLS stream to `host` for any protocol. It is opened when it is awaited.
    ///
    /// The host may be a name or an IP address, with or without the brackets of an IPv6 literal.
    /// The roots, the policy, the identity, the resolver, the guard and the proxy are the client's,
    /// as for a fetch; the stream is the caller's alone, and neither kept nor counted by the pool. No
    /// ALPN is offered unless [`ConnectBuilder::alpn`] names protocols.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: urlfetch::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncWriteExt;
    /// use urlfetch::TlsStream;
    ///
    /// let mut stream: TlsStream = client.connect("db.example.com", 5433).await?;
    /// println!("{} {}", stream.verdict(), stream.peer().cipher_suite());
    /// stream.write_all(b"hello").await?;
    /// stream.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(&self, host: &str, port: u16) -> ConnectBuilder {
        ConnectBuilder::new(self.clone(), host, port)
    }

    /// Prepares a verified TLS stream over one that is open already, such as after STARTTLS. The
    /// handshake begins when it is awaited, and the peer is verified to be `host`.
    ///
    /// The roots, the policy and the identity are the client's, as for a fetch; no name is resolved
    /// and nothing is dialled. No ALPN is offered unless [`WrapBuilder::alpn`] names protocols.
    ///
    /// # What came before
    ///
    /// Whatever was read off `stream` before came from anybody. Two traps are old and deep:
    ///
    /// - **Bytes that were read ahead.** Who stands on the way can put commands or replies of his
    ///   own behind the reply to STARTTLS. If they lie in a buffer of the caller's when the
    ///   handshake begins, and are read after it, they pass for what the verified peer said
    ///   (CVE-2011-0411, CVE-2021-23222). Nothing here can see that buffer. Read to the end of that
    ///   reply and not a byte further; if a byte more was read than the reply has, give the
    ///   connection up. And what the server said before, such as its capabilities, is to be asked
    ///   again (RFC 3207 §4.2).
    /// - **A server that "does not speak TLS".** Who stands on the way can say so in its name. If
    ///   TLS is refused, or not on offer, stop: nothing secret goes over `stream` itself.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: urlfetch::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::TcpStream;
    ///
    /// // PostgreSQL: the answer to its SSLRequest is one byte.
    /// let mut tcp = TcpStream::connect("db.example.com:5432").await?;
    /// tcp.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
    /// if tcp.read_u8().await? != b'S' {
    ///     return Err("the server offers no TLS, and nothing is sent without".into());
    /// }
    /// let stream = client.wrap(tcp, "db.example.com").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap<S>(&self, stream: S, host: &str) -> WrapBuilder<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        WrapBuilder::new(self.clone(), stream, host)
    }

    /// What the connections of this client and its clones are doing, in all runtimes. It takes a
    /// short lock for each host: cheap enough to be asked every second.
    pub fn pool_stats(&self) -> PoolStats {
        self.0.pool.stats()
    }

    /// The client of [`fetch`](crate::fetch). One that could not be built is not kept.
    pub(crate) fn process_wide() -> Result<&'static Self> {
        static CLIENT: OnceLock<Client> = OnceLock::new();
        if let Some(client) = CLIENT.get() {
            return Ok(client);
        }
        let client = Self::new()?;
        Ok(CLIENT.get_or_init(|| client))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// What is demanded for a call that says to validate or not to, or says nothing.
    pub(crate) fn demand(&self, validate_certificate: Option<bool>) -> Result<Demand> {
        let said = match validate_certificate {
            None => return Ok(self.demand),
            Some(true) => Said::Verify,
            Some(false) => Said::DoNotVerify,
        };
        Ok(self.https_verify.demand(said)?)
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
/// stand still; `sends` says whether by then a request may have gone.
pub(crate) fn in_one_runtime<T>(
    mut work: Pin<&mut impl Future<Output = Result<T>>>,
    sends: bool,
) -> impl Future<Output = Result<T>> {
    let mut first = None;
    poll_fn(move |cx| {
        let now = Handle::try_current().map(|runtime| runtime.id());
        match (now, first) {
            (Ok(now), None) => first = Some(now),
            (Ok(now), Some(first)) if now == first => {}
            (Err(error), None) => {
                let why = "a fetch needs a tokio runtime to run in";
                return Poll::Ready(Err(Error::new(ErrorKind::Config, why).with_source(error)));
            }
            (_, Some(_)) => {
                let error = Error::new(
                    ErrorKind::Config,
                    "a fetch was begun in one tokio runtime and polled outside of it",
                );
                return Poll::Ready(Err(error.sent(sends)));
            }
        }
        work.as_mut().poll(cx)
    })
}
