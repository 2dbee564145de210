//! What is asked of a stream for any protocol, and how it is opened: dialled, or over one that is
//! open already.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Client, Shared, in_one_runtime};
use crate::connect::{Asker, Endpoint, Origin, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Deadline;
use crate::timings::Timings;
use crate::tls::demand::Demand;
use crate::tls::{Protocols, TlsStream, Verdict};
use crate::trace;

/// A TLS stream that is not open yet, of [`Client::connect`]: it is opened when it is awaited.
///
/// A mistake in what it was given is the result of the await; nothing is resolved or dialled then.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: urlfetch::Client) -> urlfetch::Result<()> {
/// use std::time::Duration;
///
/// let stream = client
///     .connect("mqtt.example.com", 8883)
///     .alpn(["mqtt"])
///     .deadline(Duration::from_secs(5))
///     .await?;
/// assert_eq!(stream.peer().alpn(), Some(&b"mqtt"[..]));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is opened until it is awaited"]
pub struct ConnectBuilder {
    client: Client,
    asked: Asked,
}

impl ConnectBuilder {
    pub(super) fn new(client: Client, host: &str, port: u16) -> Self {
        Self {
            client,
            asked: Asked::of(Origin::tls(host, port)),
        }
    }

    /// The protocols that are offered by ALPN (RFC 7301), the preferred one first; none unless said
    /// so. Each has 1 to 255 bytes, such as the names that IANA has registered.
    ///
    /// A server that speaks none of them ends the handshake. One that does not know ALPN goes on
    /// without, so ask [`Peer::alpn`](crate::tls::Peer::alpn) which was chosen. Sessions are
    /// resumed only among streams that offer the same.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.asked.offer(protocols);
        self
    }

    /// How long opening the stream may take in all, from resolving the name to the end of the
    /// handshake: the client's deadline unless said otherwise, which is 60 s. The client's
    /// [`connect_timeout`](crate::ClientBuilder::connect_timeout) holds too.
    ///
    /// An open stream has no clock of its own.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.asked.deadline = Some(deadline);
        self
    }

    /// Whether the peer must be verified: `true` demands it whatever the client or HTTPSVERIFY
    /// say; `false` asks to do without, which HTTPSVERIFY=1 refuses.
    ///
    /// Without verification anybody on the way can answer in the host's name.
    pub fn validate_certificate(mut self, validate: bool) -> Self {
        self.asked.validate_certificate = Some(validate);
        self
    }

    /// Opens the stream. It is what awaiting does, without the box.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] if the host is no name and no address, or the port is 0;
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) if the protocols cannot be offered; else as a
    /// fetch that gets no connection. Outside a tokio runtime it is [`Config`](ErrorKind::Config).
    ///
    /// The error names the host and the port, and has the phase, the timings, and the verdict if it
    /// came to one.
    ///
    /// # Panics
    ///
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send).
    pub fn open(self) -> impl Future<Output = Result<TlsStream>> + Send {
        let Self { client, asked } = self;
        async move {
            let shared = client.shared();
            let ready = asked.ready(shared)?;
            let mut timings = Timings::default();
            let wanted = Wanted {
                target: &ready.target,
                asker: Asker::Caller,
                deadline: ready.deadline,
            };
            let protocols = ready.protocols.clone();
            let connecting = shared
                .connector
                .connect_tls(wanted, protocols, &mut timings);
            let outcome = in_one_runtime(pin!(connecting), false).await;
            let connected = outcome.map_err(|error| ready.complete(error, timings))?;
            ready.report(connected.stream.verdict());
            Ok(connected.stream)
        }
    }
}

impl IntoFuture for ConnectBuilder {
    type Output = Result<TlsStream>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<TlsStream>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl fmt::Debug for ConnectBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asked.show(f, "ConnectBuilder")
    }
}

/// A TLS stream over one that is open already, of [`Client::wrap`]: the handshake begins when it is
/// awaited.
///
/// A stream that may not go to another thread, or that is borrowed, is not awaited but
/// [`open`](Self::open)ed.
#[must_use = "no handshake begins until it is awaited"]
pub struct WrapBuilder<S> {
    client: Client,
    stream: S,
    asked: Asked,
}

impl<S> WrapBuilder<S> {
    pub(super) fn new(client: Client, stream: S, host: &str) -> Self {
        Self {
            client,
            stream,
            asked: Asked::of(Origin::wrapped(host)),
        }
    }

    /// As [`ConnectBuilder::alpn`].
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.asked.offer(protocols);
        self
    }

    /// How long the handshake may take. See [`ConnectBuilder::deadline`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.asked.deadline = Some(deadline);
        self
    }

    /// As [`ConnectBuilder::validate_certificate`].
    pub fn validate_certificate(mut self, validate: bool) -> Self {
        self.asked.validate_certificate = Some(validate);
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WrapBuilder<S> {
    /// Makes the handshake. It is what awaiting does, without the box, and for a stream of any
    /// kind: the future is `Send` if the stream is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] if the host is no name and no address;
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) if the protocols cannot be offered; else as a
    /// fetch whose handshake fails. Outside a tokio runtime it is [`Config`](ErrorKind::Config).
    ///
    /// The error names the host, and has the phase, the timings, and the verdict if it came to one.
    /// The stream is dropped with it: after half a handshake it is of no use.
    ///
    /// # Panics
    ///
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send).
    pub fn open(self) -> impl Future<Output = Result<TlsStream<S>>> {
        let Self {
            client,
            stream,
            asked,
        } = self;
        async move {
            let shared = client.shared();
            let ready = asked.ready(shared)?;
            let mut timings = Timings::default();
            let protocols = ready.protocols.clone();
            let wrapping = shared.connector.wrap(
                stream,
                &ready.target,
                protocols,
                ready.deadline,
                &mut timings,
            );
            let outcome = in_one_runtime(pin!(wrapping), false).await;
            let stream = outcome.map_err(|error| ready.complete(error, timings))?;
            ready.report(stream.verdict());
            Ok(stream)
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> IntoFuture for WrapBuilder<S> {
    type Output = Result<TlsStream<S>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<TlsStream<S>>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl<S> fmt::Debug for WrapBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asked.show(f, "WrapBuilder")
    }
}

/// A stream as it was asked for.
struct Asked {
    origin: Result<Origin>,
    protocols: Result<Protocols>,
    deadline: Option<Duration>,
    validate_certificate: Option<bool>,
}

impl Asked {
    fn of(origin: Result<Origin>) -> Self {
        Self {
            origin,
            protocols: Ok(Protocols::Unnamed),
            deadline: None,
            validate_certificate: None,
        }
    }

    fn offer<P: AsRef<[u8]>>(&mut self, protocols: impl IntoIterator<Item = P>) {
        let protocols = protocols.into_iter().map(|each| each.as_ref().to_vec());
        self.protocols = Protocols::own(protocols.collect())
            .map_err(|invalid| Error::new(ErrorKind::InvalidRequest, invalid.to_string()));
    }

    /// Its clock starts now.
    fn ready(self, shared: &Shared) -> Result<Ready> {
        let origin = self.origin?;
        let complete = |error: Error| error.with_host(origin.host(), origin.port());
        let protocols = self.protocols.map_err(complete)?;
        let demand = shared.demand(self.validate_certificate).map_err(complete)?;
        let (budget, _) = shared.limits.budget(self.deadline);
        Ok(Ready {
            target: shared.connector.trust.endpoint(origin, demand),
            protocols,
            deadline: Deadline::start(budget),
        })
    }

    fn show(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let mut debug = f.debug_struct(name);
        match &self.origin {
            Ok(origin) => debug.field("host", &format_args!("{origin}")),
            Err(error) => debug.field("error", error),
        };
        debug.finish_non_exhaustive()
    }
}

/// A stream that can be opened.
struct Ready {
    target: Endpoint,
    protocols: Protocols,
    deadline: Deadline,
}

impl Ready {
    fn complete(&self, error: Error, timings: Timings) -> Error {
        let origin = self.target.origin();
        error
            .with_host(origin.host(), origin.port())
            .with_timings(timings.since(self.deadline.starts()))
    }

    /// A stream is not used unseen whose peer need not be verified.
    fn report(&self, verdict: &Verdict) {
        if self.target.demand() == Demand::Reported {
            let origin = self.target.origin();
            let port = Some(origin.port()).filter(|port| *port != 0);
            trace::unverified(origin.host(), port, verdict);
        }
    }
}
