//! Names to addresses: fixed answers, a caller's resolver, or the system's.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::answers::Answers;
use super::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::timings::Phase;

/// Finds the addresses of hosts, in the place of the system: see
/// [`ClientBuilder::resolver`](crate::ClientBuilder::resolver).
///
/// The client that it is given to asks it anew for every connection, and it keeps what it likes for
/// itself; a connection that is reused needs no address. [`AddressGuard`](crate::AddressGuard) judges
/// each answer, and what it judged is what is dialled: a second answer cannot come in between. Nor can
/// a resolver say who a host is: the peer is still verified to be the one in the URL.
///
/// # Examples
///
/// The system's addresses, but for those of IPv6:
///
/// ```
/// use std::net::SocketAddr;
/// use urlfetch::{Client, Resolve, Resolving, SystemResolver};
///
/// struct OnlyIpv4;
///
/// impl Resolve for OnlyIpv4 {
///     fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
///         Box::pin(async move {
///             let mut addresses = SystemResolver.resolve(host).await?;
///             addresses.retain(SocketAddr::is_ipv4);
///             Ok(addresses)
///         })
///     }
/// }
///
/// # fn main() -> urlfetch::Result<()> {
/// let client = Client::builder().resolver(OnlyIpv4).build()?;
/// # Ok(())
/// # }
/// ```
///
/// A resolver that asks name servers itself, by hickory-resolver, is in `examples/hickory` of the
/// repository.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host, in the order in which they should be tried (RFC 6724). A port of 0
    /// stands for the URL's; another is dialled in its place. An IPv6 address may have a scope.
    ///
    /// The host is as it stands in a URL: lower case, A-labels, and with a dot at its end if one is
    /// there, which says that the name is whole and nothing is to be appended to it. It is never an
    /// IP address. What is special about names under `localhost` (RFC 6761 §6.3) is the resolver's
    /// affair, as is everything about the name.
    ///
    /// It is called in the task, and the tokio runtime, of the fetch: it must not block, and
    /// a client that serves several runtimes asks from each of them. The future is dropped when the
    /// fetch is, or when the connect timeout or the deadline ends, which count the time it takes. A
    /// panic is the fetch's.
    ///
    /// # Errors
    ///
    /// Any. The fetch fails with [`ErrorKind::Dns`](crate::ErrorKind::Dns), and the error is its
    /// [`source`](std::error::Error::source), whose text is shown in it. No address at all is such
    /// a failure, too. Of an answer, doubles are left out, and the first 64 addresses are used.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// What [`Resolve::resolve`] returns: `Box::pin(async move { .. })` makes one.
pub type Resolving<'a> = Pin<
    Box<dyn Future<Output = Result<Vec<SocketAddr>, Box<dyn StdError + Send + Sync>>> + Send + 'a>,
>;

/// One resolver for several clients, or one whose owner wants to keep a hand on it.
impl<R: Resolve + ?Sized> Resolve for Arc<R> {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        (**self).resolve(host)
    }
}

/// The system's resolver, `getaddrinfo`, which clients ask unless told otherwise, and whose answers
/// they use again for a second from the question: connections that are opened one after the other
/// ask once. The last 64 answers are kept so, of a host and port each, whatever their time to live,
/// which `getaddrinfo` does not tell. Each connection has them judged by its guard anew; one that is
/// refused, or by which nobody could be dialled, is not used again.
///
/// It is for resolvers that fall back on it or look at its answers, and, given to
/// [`ClientBuilder::resolver`](crate::ClientBuilder::resolver), for clients that are to have the
/// system asked for every connection. Calls that block are made on at most 256 threads for the whole
/// process, none of which belongs to a runtime: a name server that takes its time holds up neither
/// the fetches of others nor the end of a runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = blocking::run(move || (host.as_str(), 0).to_socket_addrs()).await?;
            Ok(found?.collect())
        })
    }
}

/// Where addresses come from.
pub(crate) struct Resolver {
    fixed: HashMap<String, Vec<SocketAddr>>,
    resolve: Arc<dyn Resolve>,
    /// The system's. A caller's resolver keeps what it likes for itself.
    answers: Option<Answers>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            fixed: HashMap::new(),
            resolve: Arc::new(SystemResolver),
            answers: Some(Answers::default()),
        }
    }
}

impl Resolver {
    /// Answers `host` with these addresses from now on. A port of 0 stands for the URL's.
    pub(crate) fn fix(&mut self, host: &str, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.fixed
            .insert(canonical(host), addresses.into_iter().collect());
    }

    /// Asks `resolve` for what is not fixed, and each time.
    pub(crate) fn ask(&mut self, resolve: impl Resolve) {
        self.resolve = Arc::new(resolve);
        self.answers = None;
    }

    /// The addresses of a host, of which there is at least one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dns`] if there are none.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        if let Some(fixed) = self.fixed.get(&canonical(host)) {
            return some(host, distinct(fixed, port));
        }
        let (answers, asked) = (self.answers.as_ref(), Instant::now());
        if let Some(known) = answers.and_then(|known| known.get(host, port, asked)) {
            return Ok(known);
        }
        let found = match self.resolve.resolve(host).await {
            Ok(found) => some(host, distinct(&found, port))?,
            Err(error) => return Err(no_address(host).with_source(error)),
        };
        if let Some(answers) = answers {
            answers.keep(host, port, &found, asked);
        }
        Ok(found)
    }

    /// A host's addresses were refused, or nothing was reached by them: who comes next asks anew.
    pub(super) fn forget(&self, host: &str, port: u16) {
        if let Some(answers) = &self.answers {
            answers.forget(host, port);
        }
    }

    /// Whether nobody would be asked.
    #[cfg(test)]
    pub(super) fn knows(&self, host: &str, port: u16) -> bool {
        let answers = self.answers.as_ref();
        answers.is_some_and(|known| known.get(host, port, Instant::now()).is_some())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("fixed", &self.fixed)
            .finish_non_exhaustive()
    }
}

fn some(host: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>> {
    match addresses.is_empty() {
        true => Err(no_address(host)),
        false => Ok(addresses),
    }
}

fn no_address(host: &str) -> Error {
    Error::new(ErrorKind::Dns, format!("resolving {host} gave no address")).with_phase(Phase::Dns)
}

/// A name as it is compared: lower case, without the root's dot.
fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The first so many of the addresses, each once, with a port.
fn distinct(addresses: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for address in addresses {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(port);
        }
        if !distinct.contains(&address) {
            distinct.push(address);
        }
        if distinct.len() == limits::ADDRESSES {
            break;
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn literals_and_fixed_answers_ask_nobody() {
        let mut resolver = Resolver::default();
        resolver.fix(
            "Fixed.example",
            [
                "192.0.2.1:0".parse().unwrap(),
                "192.0.2.2:81".parse().unwrap(),
            ],
        );
        resolver.fix("empty.example", []);
        for (host, expected) in [
            ("127.0.0.1", "127.0.0.1:443"),
            ("::1", "[::1]:443"),
            ("fixed.example", "192.0.2.1:443 192.0.2.2:81"),
            ("fixed.example.", "192.0.2.1:443 192.0.2.2:81"),
        ] {
            let found = resolver.resolve(host, 443).await.unwrap();
            let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{host}");
        }
        let none = resolver.resolve("empty.example", 443).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Dns);
    }

    #[tokio::test]
    async fn an_answer_has_each_address_once_and_not_too_many() {
        let mut resolver = Resolver::default();
        let [v4, v6, again, other_port, mapped] = [
            "192.0.2.1:0",
            "[2001:db8::1]:0",
            "192.0.2.1:443",
            "192.0.2.1:444",
            "[::ffff:192.0.2.1]:0",
        ]
        .map(|address| address.parse::<SocketAddr>().unwrap());
        resolver.fix("doubled.example", [v4, v6, again, v4, other_port, mapped]);
        let many = (0..=255).map(|last| SocketAddr::from(([192, 0, 2, last], 0)));
        resolver.fix("many.example", many.clone().chain(many));
        let found = resolver.resolve("doubled.example", 443).await.unwrap();
        let expected = [v4, v6, other_port, mapped].map(|address| match address.port() {
            0 => SocketAddr::new(address.ip(), 443),
            _ => address,
        });
        assert_eq!(found, expected);
        let found = resolver.resolve("many.example", 443).await.unwrap();
        assert_eq!(found.len(), limits::ADDRESSES);
        assert_eq!(found.first(), Some(&"192.0.2.0:443".parse().unwrap()));
        assert_eq!(found.last(), Some(&"192.0.2.63:443".parse().unwrap()));
    }

    /// Says yes, no address, or no, by turns, and counts how often it is asked.
    struct Turns(AtomicUsize);

    impl Resolve for Turns {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            let answer = match self.0.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => Ok(vec!["192.0.2.1:0".parse().unwrap()]),
                1 => Ok(vec![]),
                _ => Err("the directory is closed".into()),
            };
            Box::pin(async { answer })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_systems_answers_are_used_again_for_a_second_and_a_callers_are_not() {
        for (is_systems, expected) in [
            // Asked, known, known until it is forgotten, and whatever is no answer is not kept.
            (
                true,
                [
                    (0, true, 1),
                    (999, true, 1),
                    (1, false, 2),
                    (0, false, 3),
                    (0, true, 4),
                ],
            ),
            (
                false,
                [
                    (0, true, 1),
                    (999, false, 2),
                    (1, false, 3),
                    (0, true, 4),
                    (0, false, 5),
                ],
            ),
        ] {
            let turns = Arc::new(Turns(AtomicUsize::new(0)));
            let mut resolver = Resolver::default();
            resolver.ask(Arc::clone(&turns));
            resolver.answers = is_systems.then(Answers::default);
            for (later, is_answered, asked) in expected {
                tokio::time::advance(Duration::from_millis(later)).await;
                let found = resolver.resolve("name.test", 443).await;
                assert_eq!(found.is_ok(), is_answered, "{found:?}");
                assert_eq!(turns.0.load(Ordering::Relaxed), asked);
            }
            resolver.forget("name.test", 443);
            let _ = resolver.resolve("name.test", 443).await;
            let (.., asked) = expected[4];
            assert_eq!(turns.0.load(Ordering::Relaxed), asked + 1);
        }
    }

    /// Takes its time.
    struct Slow(Duration);

    impl Resolve for Slow {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            Box::pin(async {
                tokio::time::sleep(self.0).await;
                Ok(vec!["192.0.2.1:0".parse().unwrap()])
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_as_old_as_its_question() {
        for (took, is_known) in [(600, true), (1_000, false)] {
            let resolver = Resolver {
                resolve: Arc::new(Slow(Duration::from_millis(took))),
                ..Resolver::default()
            };
            assert!(resolver.resolve("name.test", 443).await.is_ok());
            assert_eq!(resolver.knows("name.test", 443), is_known);
            tokio::time::advance(Duration::from_millis(400)).await;
            assert!(!resolver.knows("name.test", 443), "{took}");
        }
    }

    #[test]
    fn only_who_was_given_no_resolver_keeps_answers() {
        let mut resolver = Resolver::default();
        assert!(resolver.answers.is_some());
        resolver.ask(SystemResolver);
        assert!(resolver.answers.is_none());
    }

    #[tokio::test]
    async fn the_system_knows_localhost_and_nothing_under_invalid() {
        let resolver = Resolver::default();
        let found = resolver.resolve("localhost", 7).await.unwrap();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 7)
        );
        // RFC 6761 §6.4: .invalid never resolves.
        let none = resolver.resolve("name.invalid", 7).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Dns);
        assert_eq!(none.phase(), Some(Phase::Dns));
    }
}
