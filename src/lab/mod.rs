//! An HTTPS server in this process with good and bad certificates, and good and bad manners:
//! feature `lab`.
//!
//! [`Lab::start`] mints a certificate authority and serves every [`Scenario`] on a port of
//! `127.0.0.1`. A client that trusts [`Lab::ca_pem`] and finds [`Lab::hosts`] must come to
//! [`Scenario::expected`] with each of them, and [`Lab::counts`] shows what has reached the server
//! by then: with a certificate refused, no byte of a request.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use urlfetch::lab::{Lab, Scenario};
//!
//! let lab = Lab::start().await?;
//! for scenario in Scenario::all() {
//!     // Fetch `lab.url(scenario)` with the client of your service, and compare.
//!     assert!(lab.url(scenario).starts_with("https://"));
//!     let _ = (scenario.expected(), lab.counts(scenario).received);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The servers that speak well-formed HTTP have these paths; `/` is the scenario's own.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a short greeting, or what the scenario is about |
//! | `/echo` | the request as it was received: its line, its fields, an empty line, its payload |
//! | `/status/NNN` | that status, 200 to 999; with `?location=URL` also that `Location` |
//! | `/bytes/N` | N bytes, with their Content-Length |
//! | `/redirect/N` | 302 to `/redirect/N-1`, and at 0 a response |
//!
//! The certificates are for tests only, and are minted anew by every lab: nothing else can be
//! trusted by them.

mod coding;
mod der;
mod meter;
mod ocsp;
mod pki;
mod raw;
mod reply;
mod routes;
mod scenario;
mod serve;

use std::fmt;
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub use self::meter::Counts;
use self::meter::Meter;
use self::pki::Pki;
use self::routes::Front;
pub use self::scenario::{Expected, Scenario};
use self::serve::Server;
use crate::client::{Client, ClientBuilder};
use crate::error::Result;
use crate::tls::RootStore;

/// Servers on loopback for every [`Scenario`], until it is dropped.
pub struct Lab {
    pki: Pki,
    good: Site,
    others: Vec<Site>,
    servers: JoinSet<()>,
}

/// Where a scenario is served, and what was seen there.
struct Site {
    scenario: Scenario,
    addr: SocketAddr,
    meter: Meter,
}

impl Lab {
    /// Mints the certificates and starts the servers, each on a free port of `127.0.0.1`.
    ///
    /// It must be called in a tokio runtime with I/O and time enabled, which the servers then live
    /// in.
    ///
    /// # Errors
    ///
    /// Outside a tokio runtime, or when no port can be had, or no certificate be minted.
    pub async fn start() -> io::Result<Self> {
        Handle::try_current().map_err(io::Error::other)?;
        let pki = Pki::mint().map_err(io::Error::other)?;

        // All addresses must be known before the first server starts: redirects name them.
        let (good, listener) = Site::open(Scenario::Good).await?;
        let (mut others, mut listeners) = (Vec::new(), vec![listener]);
        for scenario in Scenario::all().filter(|scenario| *scenario != Scenario::Good) {
            let (site, listener) = Site::open(scenario).await?;
            others.push(site);
            listeners.push(listener);
        }

        let mut lab = Self {
            pki,
            good,
            others,
            servers: JoinSet::new(),
        };
        let mut servers = JoinSet::new();
        for (site, listener) in lab.sites().zip(listeners) {
            let front = Front::of(site.scenario, |scheme, other, path| {
                lab.site(other).url(scheme, path)
            });
            let server = Server::new(site.scenario, &lab.pki, front)?;
            servers.spawn(server.run(listener, site.meter.clone()));
        }
        lab.servers = servers;
        Ok(lab)
    }

    /// The certificate of the lab's CA in PEM: what a client is to trust.
    pub fn ca_pem(&self) -> &str {
        self.pki.ca_pem()
    }

    /// The certificate of the lab's CA in DER.
    pub fn ca_der(&self) -> &[u8] {
        self.pki.ca_der()
    }

    /// A builder that trusts the lab's CA alone and finds the lab's hosts, which it reaches directly,
    /// whatever the environment says of proxies.
    ///
    /// # Errors
    ///
    /// If the CA cannot be read, which is a mistake in the lab.
    pub fn client_builder(&self) -> Result<ClientBuilder> {
        let roots = RootStore::empty().add_pem(self.ca_pem())?;
        let builder = Client::builder().roots(roots).no_proxy();
        Ok(self.hosts().fold(builder, |builder, (host, addr)| {
            builder.resolve(host, [addr])
        }))
    }

    /// A client that trusts the lab's CA alone and finds the lab's hosts.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`], if the environment forbids it.
    pub fn client(&self) -> Result<Client> {
        self.client_builder()?.build()
    }

    /// The certificate and the key (PKCS#8), both in PEM, with which a client satisfies
    /// [`Scenario::ClientCertificateRequired`].
    pub fn client_identity_pem(&self) -> (&str, &str) {
        self.pki.client_identity_pem()
    }

    /// The URL of a scenario, such as `https://good.lab.test:40123/`.
    pub fn url(&self, scenario: Scenario) -> String {
        self.url_to(scenario, "/")
    }

    /// The URL of a path, which begins with `/` and may have a query, on a scenario's server.
    pub fn url_to(&self, scenario: Scenario, path: &str) -> String {
        self.site(scenario).url("https", path)
    }

    /// The text that the body of every scenario with a whole Content-Encoding decodes to.
    pub fn coded_text() -> String {
        coding::text()
    }

    /// The address a scenario is served at.
    pub fn addr(&self, scenario: Scenario) -> SocketAddr {
        self.site(scenario).addr
    }

    /// The host names in the scenarios' URLs, each with its address: answers for a client's
    /// resolver.
    pub fn hosts(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let named = self
            .sites()
            .filter(|site| site.scenario.host().parse::<IpAddr>().is_err());
        named.map(|site| (site.scenario.host(), site.addr))
    }

    /// What a scenario's server has seen so far.
    ///
    /// A server may be a moment behind its client; after [`settled`](Self::settled) it is not.
    pub fn counts(&self, scenario: Scenario) -> Counts {
        self.site(scenario).meter.counts()
    }

    /// The TCP connections that a scenario's server has accepted so far.
    pub fn connections(&self, scenario: Scenario) -> u64 {
        self.counts(scenario).connections
    }

    /// The TLS handshakes that a scenario's server saw finish so far.
    pub fn handshakes(&self, scenario: Scenario) -> u64 {
        self.counts(scenario).handshakes
    }

    /// The bytes of plaintext that a scenario's server has received so far. See
    /// [`Counts::received`].
    pub fn received(&self, scenario: Scenario) -> u64 {
        self.counts(scenario).received
    }

    /// Returns when a scenario's server has no connection open any more: then its counts are final,
    /// and a count of no bytes proves that none was sent.
    ///
    /// This waits for clients to close what they keep alive.
    pub async fn settled(&self, scenario: Scenario) {
        self.site(scenario).meter.settled().await;
    }

    /// Ends all servers and connections, and returns when they have ended and the ports are closed.
    ///
    /// Dropping the lab ends them too, as soon as the runtime comes to it.
    pub async fn stop(mut self) {
        self.servers.shutdown().await;
    }

    fn sites(&self) -> impl Iterator<Item = &Site> {
        iter::once(&self.good).chain(&self.others)
    }

    fn site(&self, scenario: Scenario) -> &Site {
        // There is a site for every scenario; a test holds `start` to that.
        self.others
            .iter()
            .find(|site| site.scenario == scenario)
            .unwrap_or(&self.good)
    }
}

impl Site {
    async fn open(scenario: Scenario) -> io::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        Ok((
            Self {
                scenario,
                addr,
                meter: Meter::default(),
            },
            listener,
        ))
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!(
            "{scheme}://{}:{}{path}",
            self.scenario.host(),
            self.addr.port()
        )
    }
}

/// Without the certificates and keys.
impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sites = self.sites().map(|site| (site.scenario.name(), site.addr));
        f.debug_map().entries(sites).finish()
    }
}
