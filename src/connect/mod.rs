//! From a URL to a verified stream, or the reason there is none.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::{Host, Url};

pub(crate) use exchange::Exchange;
pub(crate) use facts::Facts;
pub(crate) use failure::explain;
pub(crate) use pool::{Choice, Lease, Pool};
pub(crate) use resolve::Resolver;
pub(crate) use stream::Stream;

mod blocking;
mod dial;
mod exchange;
mod facts;
mod failure;
mod framing;
pub(crate) mod outgoing;
mod pool;
mod replay;
mod resolve;
mod stream;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Deadline};
use crate::timings::{Phase, Timings};
use crate::tls::handshake::{self, Failure};
use crate::tls::policy::Demand;
use crate::tls::shown::Shown;
use crate::tls::{Clock, Identity, Policy, Protocols, RootStore, Ticketed, Tls, TlsStream};

/// Scheme, host and port (RFC 6454), of which the host is one that can be dialled and verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    https: bool,
    /// Without the brackets of an IPv6 literal.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a URL, or why it cannot be fetched.
    pub(crate) fn of(url: &Url) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidUrl, why).with_url(url);
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(invalid(format!(
                    "the URL's scheme is {}, not https",
                    Shown(other)
                )));
            }
        };
        if url.as_str().len() > limits::URL {
            return Err(invalid(format!(
                "the URL is longer than {} bytes",
                limits::URL
            )));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(invalid("the URL has no host".into())),
        };
        let port = match url.port_or_known_default() {
            Some(port) if port != 0 => port,
            _ => return Err(invalid("the URL's port is 0".into())),
        };
        // The url crate forgives more than a name that can be verified may be: empty labels,
        // labels of 64, hyphens at the edge.
        if ServerName::try_from(host.as_str()).is_err() {
            return Err(invalid(format!(
                "the URL's host \"{}\" is not a valid DNS name",
                Shown(&host)
            )));
        }
        Ok(Self { https, host, port })
    }

    /// A host and a port that a caller named apart. The host may be an IPv6 literal in brackets.
    pub(crate) fn tls(host: &str, port: u16) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidUrl,
                format!("\"{}\" is not a host that can be dialled", Shown(host)),
            )
        };
        let host = Host::parse(host)
            .or_else(|error| host.parse().map(Host::Ipv6).map_err(|_| error))
            .map_err(|_| invalid())?;
        let url = Url::parse(&format!("https://{host}:{port}/")).map_err(|_| invalid())?;
        Self::of(&url)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The name to verify.
    fn server_name(&self) -> Result<ServerName<'static>> {
        ServerName::try_from(self.host.clone()).map_err(|error| {
            Error::new(ErrorKind::InvalidUrl, "the host cannot be verified").with_source(error)
        })
    }
}

/// Makes connections under one configuration.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) resolver: Resolver,
    pub(crate) timeout: Duration,
    pub(crate) trust: Arc<Trust>,
}

/// A connection fresh from the dial.
pub(crate) struct Connected<S> {
    pub(crate) stream: S,
    pub(crate) remote: SocketAddr,
}

impl Connector {
    /// A connection to an origin. Over https the peer has been judged and meets the demand.
    pub(crate) async fn connect(
        &self,
        origin: &Origin,
        demand: Demand,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<Connected<Stream>> {
        if origin.https {
            let tls = self
                .connect_tls(origin, demand, Protocols::Http, deadline, timings)
                .await?;
            return Ok(Connected {
                remote: tls.remote,
                stream: Stream::tls(tls.stream),
            });
        }
        let deadline = self.within(deadline);
        let tcp = self.connect_tcp(origin, deadline, timings).await?;
        Ok(Connected {
            remote: tcp.remote,
            stream: Stream::plain(tcp.stream),
        })
    }

    /// A TLS stream to an origin, for any protocol.
    pub(crate) async fn connect_tls(
        &self,
        origin: &Origin,
        demand: Demand,
        protocols: Protocols,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<Connected<TlsStream>> {
        let deadline = self.within(deadline);
        let started = Instant::now();
        let tls = deadline
            .run(Phase::Queued, self.trust.tls(demand))
            .await??;
        timings.add(Phase::Queued, started.elapsed());
        let ticketed = origin.ticketed(protocols);
        let mut redialled = false;
        loop {
            let tcp = self.connect_tcp(origin, deadline, timings).await?;
            let started = Instant::now();
            let handshake = tls.handshake(
                tcp.stream,
                &ticketed,
                origin.server_name()?,
                Some(tcp.remote),
            );
            let outcome = deadline.run(Phase::Tls, handshake).await?;
            timings.add(Phase::Tls, started.elapsed());
            match outcome {
                Ok(stream) => {
                    return Ok(Connected {
                        stream,
                        remote: tcp.remote,
                    });
                }
                // The session's kept chain holds no longer. Its tickets are gone, and what the
                // peer shows today decides.
                Err(Failure::Stale(_)) if !redialled => redialled = true,
                Err(Failure::Stale(verdict)) => {
                    return Err(
                        handshake::refused(&verdict, Some(tcp.remote)).with_verdict(Some(verdict))
                    );
                }
                Err(Failure::Final(error)) => return Err(error.with_phase(Phase::Tls)),
            }
        }
    }

    /// TLS over a stream that somebody else opened. Without a port of its own, such a stream
    /// shares tickets with its like only.
    pub(crate) async fn wrap<S>(
        &self,
        stream: S,
        origin: &Origin,
        demand: Demand,
        deadline: Deadline,
    ) -> Result<TlsStream<S>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let deadline = self.within(deadline);
        let tls = deadline
            .run(Phase::Queued, self.trust.tls(demand))
            .await??;
        let ticketed = origin.ticketed(Protocols::Unnamed);
        let handshake = tls.handshake(stream, &ticketed, origin.server_name()?, None);
        match deadline.run(Phase::Tls, handshake).await? {
            Ok(stream) => Ok(stream),
            Err(Failure::Stale(verdict)) => {
                Err(handshake::refused(&verdict, None).with_verdict(Some(verdict)))
            }
            Err(Failure::Final(error)) => Err(error.with_phase(Phase::Tls)),
        }
    }

    async fn connect_tcp(
        &self,
        origin: &Origin,
        deadline: Deadline,
        timings: &mut Timings,
    ) -> Result<Connected<TcpStream>> {
        let started = Instant::now();
        let addresses = deadline
            .run(Phase::Dns, self.resolver.resolve(&origin.host, origin.port))
            .await??;
        timings.add(Phase::Dns, started.elapsed());
        let started = Instant::now();
        let (stream, remote) = deadline
            .run(Phase::Connect, dial::race(&addresses))
            .await?
            .map_err(|tried| {
                Error::new(
                    ErrorKind::Connect,
                    format!(
                        "connecting to {}:{} failed: {tried}",
                        origin.host, origin.port
                    ),
                )
                .with_phase(Phase::Connect)
            })?;
        timings.add(Phase::Connect, started.elapsed());
        Ok(Connected { stream, remote })
    }

    fn within(&self, deadline: Deadline) -> Deadline {
        deadline.sooner(Deadline::on(limits::Clock::Connect, self.timeout))
    }
}

impl Origin {
    fn ticketed(&self, protocols: Protocols) -> Ticketed {
        Ticketed {
            host: self.host.clone(),
            port: self.port,
            protocols,
        }
    }
}

/// What TLS is made of, and the TLS made of it: one that verifies and one that only reports, which
/// share neither verifier nor tickets.
#[derive(Debug)]
pub(crate) struct Trust {
    roots: Option<RootStore>,
    identity: Option<Identity>,
    policy: Policy,
    clock: Clock,
    verified: OnceLock<Arc<Tls>>,
    reported: OnceLock<Arc<Tls>>,
}

impl Trust {
    /// Without roots the platform's are loaded at first use, off the async threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the roots are given and empty.
    pub(crate) fn new(
        roots: Option<RootStore>,
        identity: Option<Identity>,
        policy: Policy,
        clock: Clock,
    ) -> Result<Arc<Self>> {
        let trust = Self {
            roots,
            identity,
            policy,
            clock,
            verified: OnceLock::new(),
            reported: OnceLock::new(),
        };
        if let Some(roots) = &trust.roots {
            trust.make(roots.clone(), Demand::Verified)?;
        }
        Ok(Arc::new(trust))
    }

    async fn tls(&self, demand: Demand) -> Result<Arc<Tls>> {
        if let Some(tls) = self.made(demand).get() {
            return Ok(Arc::clone(tls));
        }
        let roots = match &self.roots {
            Some(roots) => roots.clone(),
            // Files may hang (a network drive, a pipe): they take one thread then, and leave the
            // rest to those who resolve names.
            None => NATIVE.run(RootStore::native).await??,
        };
        self.make(roots, demand)
    }

    fn make(&self, roots: RootStore, demand: Demand) -> Result<Arc<Tls>> {
        let tls = Tls::new(
            roots,
            self.identity.as_ref(),
            self.policy.clone(),
            demand,
            self.clock.clone(),
        )?;
        Ok(Arc::clone(self.made(demand).get_or_init(|| Arc::new(tls))))
    }

    fn made(&self, demand: Demand) -> &OnceLock<Arc<Tls>> {
        match demand {
            Demand::Verified => &self.verified,
            Demand::Reported => &self.reported,
        }
    }
}

static NATIVE: blocking::Once<Result<RootStore>> = blocking::Once::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_can_be_dialled_and_verified() {
        let long = format!("https://{}.example/", "a".repeat(64));
        let longest = format!("https://a.example/{}", "a".repeat(70_000));
        let longest_host = format!("https://{}/", "a.".repeat(30_000));
        let rows = [
            ("https://example.com/", Some((true, "example.com", 443))),
            (
                "https://EXAMPLE.com:8443/",
                Some((true, "example.com", 8443)),
            ),
            ("http://example.com/", Some((false, "example.com", 80))),
            ("https://[::1]:1/", Some((true, "::1", 1))),
            ("https://127.0.0.1/", Some((true, "127.0.0.1", 443))),
            ("https://127.1/", Some((true, "127.0.0.1", 443))),
            (
                "https://b\u{fc}cher.example/",
                Some((true, "xn--bcher-kva.example", 443)),
            ),
            ("https://example.com./", Some((true, "example.com.", 443))),
            (
                "https://under_score.example/",
                Some((true, "under_score.example", 443)),
            ),
            ("https://a..b/", None),
            ("https://-a.com/", None),
            (long.as_str(), None),
            (longest_host.as_str(), None),
            (longest.as_str(), None),
            ("https://example.com:0/", None),
            ("ftp://example.com/", None),
            ("data:text/plain,x", None),
        ];
        for (url, expected) in rows {
            let origin = Origin::of(&Url::parse(url).unwrap());
            let found = origin
                .as_ref()
                .ok()
                .map(|o| (o.https, o.host.as_str(), o.port));
            assert_eq!(found, expected, "{url}");
            if let Err(error) = origin {
                assert_eq!(error.kind(), ErrorKind::InvalidUrl);
                assert!(
                    error.to_string().len() < 400,
                    "a redirect may have named it"
                );
            }
        }
    }

    #[test]
    fn a_host_alone_makes_an_origin_too() {
        for (host, expected) in [
            ("db.example.com", Some("db.example.com")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("a/b", None),
            ("user@host", None),
            ("host:1", None),
            ("", None),
        ] {
            let origin = Origin::tls(host, 5433);
            assert_eq!(
                origin.ok().map(|o| o.host),
                expected.map(str::to_owned),
                "{host}"
            );
        }
    }

    /// The one stall that no server can make: all threads that resolve names are taken.
    #[tokio::test(start_paused = true)]
    async fn a_name_that_takes_its_time_is_the_clocks_to_end() {
        let connector = Connector {
            resolver: Resolver::default(),
            timeout: limits::CONNECT,
            trust: Trust::new(None, None, Policy::default(), Clock::default()).unwrap(),
        };
        let origin = Origin::of(&Url::parse("http://localhost:1/").unwrap()).unwrap();
        let taken = blocking::take_all_threads();
        for (budget, expected) in [
            (
                60,
                "the connect timeout of 10s ended while resolving the host's name",
            ),
            (
                5,
                "the deadline of 5s ended while resolving the host's name",
            ),
        ] {
            let deadline = Deadline::start(Duration::from_secs(budget));
            let mut timings = Timings::default();
            let connecting = connector.connect(&origin, Demand::Verified, deadline, &mut timings);
            let error = connecting.await.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Deadline);
            assert_eq!(error.phase(), Some(Phase::Dns));
            assert_eq!(error.to_string(), expected);
        }
        drop(taken);
    }
}
