//! What may be said of a client before it is made.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;

use super::Client;
use super::build::Way;
use crate::connect::{AddressGuard, Keep, Ping, Proxy, Resolve, Resolver};
use crate::error::Result;
use crate::limits::{self, Limits};
use crate::tls::demand::Said;
use crate::tls::{Clock, Identity, Policy, RootStore};

/// Makes a [`Client`].
///
/// What it does not say is the default; the platform's roots are loaded at the first connection.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    pub(super) roots: Option<RootStore>,
    pub(super) identity: Option<Identity>,
    pub(super) policy: Policy,
    pub(super) host_policies: Vec<(String, Policy)>,
    pub(super) clock: Clock,
    pub(super) resolver: Resolver,
    pub(super) guard: AddressGuard,
    pub(super) way: Way,
    pub(super) proxy_bypass: Option<String>,
    pub(super) accept_unverified: bool,
    pub(super) limits: Limits,
    pub(super) connect_timeout: Duration,
    pub(super) keep: Keep,
    pub(super) user_agent: String,
    pub(super) key_log: bool,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            roots: None,
            identity: None,
            policy: Policy::default(),
            host_policies: Vec::new(),
            clock: Clock::default(),
            resolver: Resolver::default(),
            guard: AddressGuard::default(),
            way: Way::AsTheEnvironmentSays,
            proxy_bypass: None,
            accept_unverified: false,
            limits: Limits::default(),
            connect_timeout: limits::CONNECT,
            keep: Keep::default(),
            user_agent: concat!("urlfetch/", env!("CARGO_PKG_VERSION")).into(),
            key_log: false,
        }
    }
}

impl ClientBuilder {
    /// Where trust comes from; the platform's roots unless said otherwise.
    pub fn roots(mut self, roots: RootStore) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Our own certificate, shown to servers that ask for one.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// What is demanded of peers beyond a path to a root and the right name.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What is demanded of these peers, in the place of [`policy`](Self::policy), of which nothing
    /// is left for them. It holds on every hop of a fetch, for [`Client::connect`] and for
    /// [`Client::wrap`].
    ///
    /// The pattern is a host name, an IP address, or `*.` and a name. The last covers every name
    /// below that one, at any depth, and not the name itself: who writes `*.bank.example` means all
    /// of the bank's servers, however many dots a name of theirs has, although a certificate's
    /// wildcard covers one label only (RFC 9525 §6.3). Of several patterns that cover a host the
    /// most specific one counts: the host itself, then the longest name.
    ///
    /// A pattern is read as the host of a URL is: capitals, U-labels and one dot at the end make no
    /// difference, in it or in a URL. The port makes none either. A policy is about TLS: whether
    /// plain `http://` may be fetched, [`allow_http`](Self::allow_http) says for all hosts.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use urlfetch::Client;
    /// use urlfetch::tls::{Pin, Policy, Version};
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let pins = Pin::parse_list("sha256//r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=")?;
    /// let client = Client::builder()
    ///     .policy_for("*.bank.example", Policy::strict().pins(pins))
    ///     .policy_for("10.0.0.7", Policy::default().min_version(Version::Tls13))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn policy_for(mut self, pattern: impl Into<String>, policy: Policy) -> Self {
        self.host_policies.push((pattern.into(), policy));
        self
    }

    /// Answers `host` with these addresses instead of asking the resolver. A port of 0 stands for
    /// the URL's; another is dialled in its place. The peer is still verified to be `host`.
    pub fn resolve(mut self, host: &str, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.resolver.fix(host, addresses);
        self
    }

    /// Finds the addresses of hosts that have none by [`resolve`](Self::resolve), anew for every
    /// connection. Unless said otherwise it is the system's resolver, whose answers are used again
    /// for a second: see [`SystemResolver`](crate::SystemResolver).
    ///
    /// Of an answer, 16 addresses at most are tried for one connection, by turns of IPv6 and IPv4
    /// and one 250 ms after another unless that has failed by then (RFC 8305).
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver.ask(resolver);
        self
    }

    /// Which addresses may be dialled: unless said otherwise, whatever the caller's URL leads to,
    /// and nothing nearer than it after a redirect.
    pub fn address_guard(mut self, guard: AddressGuard) -> Self {
        self.guard = guard;
        self
    }

    /// The proxy that every host is reached through, in the place of what the environment says:
    /// `[scheme://][user[:password]@]host[:port]`, with what is not plain in the user name and the
    /// password percent-encoded.
    ///
    /// | scheme | port, if none is given | what it speaks |
    /// |---|---|---|
    /// | `http`, or none | 80 | HTTP: a tunnel by CONNECT, with Basic authentication |
    /// | `https` | 443 | the same inside TLS with the proxy |
    /// | `socks5` | 1080 | SOCKS 5, which is given addresses: names are resolved here |
    /// | `socks5h` | 1080 | SOCKS 5, which is given names |
    ///
    /// Whatever the URL, the proxy is asked for a tunnel, also for plain `http://`: no header of a
    /// request ever reaches it, and its password never reaches a host. (curl hands the whole of a
    /// plain request to an HTTP proxy.) It is the host's own name that is verified, through whatever
    /// proxy.
    ///
    /// A proxy of scheme `https` has to be verified by the [`roots`](Self::roots) and the
    /// [`policy_for`](Self::policy_for) its host, even where
    /// [`danger_accept_unverified`](Self::danger_accept_unverified) says that hosts need not be. It
    /// never gets our [`identity`](Self::identity).
    ///
    /// The proxy itself may be anywhere: [`address_guard`](Self::address_guard) is about what lies
    /// behind it. Who resolves names matters there: only with `socks5` and without a proxy are
    /// addresses seen, and what [`resolve`](Self::resolve) fixes is used.
    ///
    /// `NO_PROXY` does not hold for this proxy; [`proxy_bypass`](Self::proxy_bypass) does. Of this
    /// method and [`no_proxy`](Self::no_proxy) the last one called counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use urlfetch::Client;
    ///
    /// # fn example() -> urlfetch::Result<()> {
    /// let client = Client::builder()
    ///     .proxy("http://user:p%40ssword@proxy.corp:3128")
    ///     .proxy_bypass("intranet.corp, 10.0.0.0/8")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn proxy(mut self, url: impl AsRef<str>) -> Self {
        self.way = Way::Through(Proxy::parse(url.as_ref()));
        self
    }

    /// Hosts that are reached without the proxy, in the place of `NO_PROXY` and written as that is:
    /// names, each with all names below it, addresses and networks such as `10.0.0.0/8`, with commas
    /// between them, or `*` for all.
    ///
    /// A dot or `*.` before a name makes no difference. A port makes an entry that nobody is.
    pub fn proxy_bypass(mut self, hosts: impl Into<String>) -> Self {
        self.proxy_bypass = Some(hosts.into());
        self
    }

    /// Reaches every host directly, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.way = Way::Direct;
        self
    }

    /// What is refused for its size, its time or its place; [`Limits::default`] unless said
    /// otherwise.
    ///
    /// It replaces all that was said of limits before: [`allow_http`](Self::allow_http),
    /// [`deadline`](Self::deadline), [`max_redirects`](Self::max_redirects) and
    /// [`max_response_size`](Self::max_response_size) change these limits if they are called after
    /// it, and are lost if they are called before.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether plain `http://` may be fetched: [`Limits::allow_http`].
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.limits = self.limits.allow_http(allow);
        self
    }

    /// Uses every peer, verified or not. Anybody on the way can answer in any host's name.
    ///
    /// Peers are still judged: [`Response::verdict`](crate::Response::verdict) says what would
    /// have failed, and each such connection is logged as a warning. HTTPSVERIFY=1 refuses it. To
    /// trust one server more, add its CA to the [`roots`](Self::roots) instead.
    pub fn danger_accept_unverified(mut self) -> Self {
        self.accept_unverified = true;
        self
    }

    /// How long getting a connection may take, name, TCP, proxy and TLS together; 10 s unless said
    /// otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a connection may be without a request and still serve the next; 90 s unless said
    /// otherwise. With zero none serves a second request after the first has ended.
    pub fn pool_idle_timeout(mut self, timeout: Duration) -> Self {
        self.keep.idle_timeout = timeout;
        self
    }

    /// How long after it was opened a connection may be given a request, so that a change of
    /// addresses is noticed; 10 minutes unless said otherwise. Requests under way are left alone.
    pub fn pool_max_age(mut self, age: Duration) -> Self {
        self.keep.max_age = age;
        self
    }

    /// How many HTTP/1.1 connections without a request are kept to each host; 32 unless said
    /// otherwise. HTTP/2 needs only one, which this does not count.
    pub fn pool_max_idle_per_host(mut self, most: usize) -> Self {
        self.keep.max_idle = most;
        self
    }

    /// How many connections there may be to each host at once: any number unless said otherwise.
    ///
    /// A connection counts from before it is dialled until its socket is closed, whether it is in
    /// use or not. Callers that find none free queue; the first to come is the first to be served,
    /// the wait counts to their deadlines and is [`Timings::queued`](crate::Timings::queued), and
    /// whoever gives up leaves no gap. Over HTTP/2 requests share one connection, and
    /// the maximum matters only while it is being replaced.
    ///
    /// A host here is scheme, host and port, separately for calls that verify and calls that do not,
    /// and for each tokio runtime: a connection belongs to the runtime that opened it.
    ///
    /// An HTTP/1.1 connection is free when the body of its response was read to the end or dropped.
    /// Whoever keeps as many responses unread as there may be connections, and awaits another fetch
    /// from that host before reading them, waits until its deadline.
    pub fn pool_max_connections_per_host(mut self, most: usize) -> Self {
        self.keep.max_connections = Some(most);
        self
    }

    /// Asks an HTTP/2 server for a sign of life by a ping, when a response is awaited and nothing
    /// has come for `interval`; if there is no answer within `timeout`, the connection is closed and
    /// everything on it fails. It is not done unless said so.
    ///
    /// Without it, a server that is gone without a word costs each request under way its deadline;
    /// the first of these takes the connection out of use. An idle connection is never pinged:
    /// servers count that as abuse.
    pub fn http2_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keep.ping = Some(Ping { interval, timeout });
        self
    }

    /// How long each fetch may take in all: [`Limits::deadline`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits = self.limits.deadline(deadline);
        self
    }

    /// How many redirects are followed at most: [`Limits::max_redirects`].
    pub fn max_redirects(mut self, most: usize) -> Self {
        self.limits = self.limits.max_redirects(most);
        self
    }

    /// How many bytes of a body are accepted at most: [`Limits::max_response_size`].
    pub fn max_response_size(mut self, most: u64) -> Self {
        self.limits = self.limits.max_response_size(most);
        self
    }

    /// The `User-Agent` of requests that set none; `urlfetch/VERSION` unless said otherwise.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The time that certificates are judged by; the system's unless said otherwise. For tests,
    /// and for machines that know the time better than their clock does.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(move || {
            let since = now().duration_since(SystemTime::UNIX_EPOCH);
            UnixTime::since_unix_epoch(since.unwrap_or_default())
        });
        self
    }

    /// Whether the secrets of this client's TLS sessions are appended to the file that the variable
    /// `SSLKEYLOGFILE` names, in the format of NSS, which Wireshark reads. They are not unless said
    /// so: without this the variable has no effect, and with it none if it is unset or empty. The
    /// sessions with a proxy of scheme `https` are among them: what is inside cannot be read off the
    /// wire without.
    ///
    /// Whoever can read the file can read all that the client sends and receives, and while a
    /// connection is open change it. The file is opened when the client is built; one that is made
    /// then is its owner's alone on Unix. A warning in the log says that it is on, and another,
    /// once, if the file cannot be written any more.
    pub fn key_log(mut self, on: bool) -> Self {
        self.key_log = on;
        self
    }

    /// Makes the client.
    ///
    /// With aws-lc-rs the first client of a process gathers entropy on a second thread, for some
    /// 30 ms: what a process may do only while it has one thread, such as
    /// `unshare(CLONE_NEWUSER)`, it does before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the roots are empty, a pattern of
    /// [`policy_for`](Self::policy_for) cannot be read or is there twice, a policy offers
    /// [groups](Policy::key_exchange_groups) that cannot be offered, the address guard names what is
    /// no address and no host, the [`proxy`](Self::proxy) or the environment's cannot be used, the
    /// user agent cannot be sent, HTTPSVERIFY has a value that means nothing, or it is `1` and
    /// [`danger_accept_unverified`](Self::danger_accept_unverified) was called, a host is allowed no
    /// connections, a time of [`http2_keep_alive`](Self::http2_keep_alive) is zero, or
    /// [`key_log`](Self::key_log) is on and what SSLKEYLOGFILE names cannot be opened.
    pub fn build(self) -> Result<Client> {
        let said = match self.accept_unverified {
            true => Said::DoNotVerify,
            false => Said::Explicitly,
        };
        self.build_as(said)
    }
}
