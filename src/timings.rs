//! Where the time of a fetch goes: the phases it passes through, how long each took, and how many
//! bytes went each way.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

/// A phase of one fetch, in the order in which they pass.
///
/// The names are those of curl's `--write-out` and of the OpenTelemetry HTTP conventions where
/// these have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a place: for another call's dial to the same host to end, for one of as many
    /// connections as there may be, for an HTTP/2 server that takes no more requests at once, for
    /// one among the calls of a [`UrlFetchService`](crate::appengine::UrlFetchService), or for the
    /// roots to be loaded.
    Queued,
    /// Resolving the host's name to addresses, or a proxy's.
    Dns,
    /// Opening a TCP connection to one of them, and the tunnel through a proxy.
    Connect,
    /// The TLS handshake, in which the peer is judged; with a proxy of scheme `https` there are two.
    Tls,
    /// Sending the request and waiting for the head of the response.
    FirstByte,
    /// Reading the body, from the head on. What is read off a redirect's body, to save its
    /// connection, is in it.
    Body,
}

impl Phase {
    /// A stable word for logs and metrics: `queued`, `dns`, `connect`, `tls`, `first_byte`, `body`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }

    /// What was being done, for a sentence: "the deadline ended while ..."
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::Queued => "waiting for its turn",
            Self::Dns => "resolving the host's name",
            Self::Connect => "opening a TCP connection",
            Self::Tls => "in the TLS handshake",
            Self::FirstByte => "waiting for the response head",
            Self::Body => "reading the body",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the time of a fetch went, and how many bytes it moved.
///
/// They stand for one moment: those of a [`Response`](crate::Response) for the moment its head had
/// come, and then for the last piece of its body that was read; those of a
/// [`Content`](crate::Content) for the last byte; those of an [`Error`](crate::Error) for the
/// failure. What was refused before it began, such as a URL that is none, has none: all is zero.
///
/// Durations and bytes are summed over the hops of a redirect, replays included; each
/// [`Hop`](crate::Hop) has its own too. The phases do not overlap, so that they are together never
/// longer than [`total`](Self::total). A phase that did not happen is `None`: a request served by a
/// pooled connection has no `dns`, `connect` or `tls`, and the one in which a fetch failed is there
/// with the time until then.
///
/// # Bytes
///
/// Over HTTP/1.1 they are exactly those of the request and of the response, inside of the TLS:
/// heads, interim responses, chunk sizes and trailers too, and a body as it is coded. At the head
/// those of the response are what has been read by then, which can be a part of the body.
///
/// Over h2, whose connection many share, they are the names and values of all fields, pseudo-fields
/// among them, before compression (RFC 9113 §6.5.2, without its 32 octets a field), and
/// the data of payload and body. Frames, padding and interim responses do not count, and data
/// counts as sent when h2 takes it to be sent.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> urlfetch::Result<()> {
/// let response = urlfetch::fetch("https://example.com/").await?;
/// println!("head: {}", response.timings());
/// let content = response.content().await?;
/// // total 62.3ms: dns 8.2ms, connect 11.0ms, tls 14.3ms, first_byte 25.1ms, body 2.3ms;
/// // 142 bytes sent, 1256 received; new connection, full handshake
/// println!("all: {}", content.timings);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    queued: Spent,
    dns: Spent,
    connect: Spent,
    tls: Spent,
    first_byte: Spent,
    body: Spent,
    total: Spent,
    moved: Moved,
    connection_reused: bool,
    tls_resumed: Option<bool>,
}

impl Timings {
    /// Time spent waiting: for another call's dial to the same host, for a connection or an HTTP/2
    /// stream where there are as many as may be, for a place among the calls of a
    /// [`UrlFetchService`](crate::appengine::UrlFetchService), or for the roots to be loaded.
    pub fn queued(&self) -> Option<Duration> {
        self.queued.get()
    }

    /// Time spent finding addresses: the host's, or a proxy's, or both where it speaks SOCKS 5 and is
    /// given addresses.
    pub fn dns(&self) -> Option<Duration> {
        self.dns.get()
    }

    /// Time spent opening TCP connections, and tunnels through proxies.
    pub fn connect(&self) -> Option<Duration> {
        self.connect.get()
    }

    /// Time spent in TLS handshakes, with proxies too.
    pub fn tls(&self) -> Option<Duration> {
        self.tls.get()
    }

    /// Time from handing a request to its connection until its response head was read.
    pub fn first_byte(&self) -> Option<Duration> {
        self.first_byte.get()
    }

    /// Time from the head of a response until the last piece of its body was read, with the pauses
    /// of whoever reads it; `None` where there is no body, or none has been read yet. What was read
    /// off the bodies of redirects, to save their connections, is in it.
    pub fn body(&self) -> Option<Duration> {
        self.body.get()
    }

    /// All the time from the start of the fetch, which is that of its deadline, to the moment these
    /// timings stand for.
    pub fn total(&self) -> Duration {
        self.total.get().unwrap_or_default()
    }

    /// Bytes of requests that were sent by then.
    pub fn bytes_sent(&self) -> u64 {
        self.moved.sent
    }

    /// Bytes of responses that were received by then.
    pub fn bytes_received(&self) -> u64 {
        self.moved.received
    }

    /// Whether the last hop's connection had been open before it; `false` where there was none.
    pub fn connection_reused(&self) -> bool {
        self.connection_reused
    }

    /// Whether the handshake that opened the last hop's connection resumed a TLS session; `None`
    /// for plain http, and where no connection was got.
    pub fn tls_resumed(&self) -> Option<bool> {
        self.tls_resumed
    }

    /// The phases that happened, in their order.
    pub(crate) fn phases(&self) -> impl Iterator<Item = (Phase, Duration)> {
        let phases = [
            (Phase::Queued, self.queued),
            (Phase::Dns, self.dns),
            (Phase::Connect, self.connect),
            (Phase::Tls, self.tls),
            (Phase::FirstByte, self.first_byte),
            (Phase::Body, self.body),
        ];
        let happened = |(phase, spent): (Phase, Spent)| Some((phase, spent.get()?));
        phases.into_iter().filter_map(happened)
    }

    /// Adds `spent` to a phase.
    pub(crate) fn add(&mut self, phase: Phase, spent: Duration) {
        match phase {
            Phase::Queued => self.queued.add(spent),
            Phase::Dns => self.dns.add(spent),
            Phase::Connect => self.connect.add(spent),
            Phase::Tls => self.tls.add(spent),
            Phase::FirstByte => self.first_byte.add(spent),
            Phase::Body => self.body.add(spent),
        }
    }

    /// They stand for the moment `total` after the start.
    pub(crate) fn set_total(&mut self, total: Duration) {
        self.total = Spent::default();
        self.total.add(total);
    }

    /// Of what began then and has failed now.
    pub(crate) fn since(mut self, began: Instant) -> Self {
        self.set_total(began.elapsed());
        self
    }

    /// A connection was got. Only the last one counts.
    pub(crate) fn set_connection(&mut self, reused: bool, tls_resumed: Option<bool>) {
        self.connection_reused = reused;
        self.tls_resumed = tls_resumed;
    }

    /// With the bytes of one more exchange.
    pub(crate) fn with_moved(mut self, moved: Moved) -> Self {
        self.moved = self.moved.and(moved);
        self
    }

    /// These `spent` later, in which a body was read.
    pub(crate) fn with_body(mut self, spent: Duration) -> Self {
        self.add(Phase::Body, spent);
        self.total.add(spent);
        self
    }

    /// Those of a hop and of the hops before it.
    pub(crate) fn after(mut self, earlier: &Self) -> Self {
        for (phase, spent) in earlier.phases() {
            self.add(phase, spent);
        }
        self.total.add(earlier.total());
        self.with_moved(earlier.moved)
    }
}

/// One line: the total, the phases that happened, the bytes, and what was reused.
impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "total {}", Shown(self.total()))?;
        for (index, (phase, spent)) in self.phases().enumerate() {
            let before = if index == 0 { ": " } else { ", " };
            write!(f, "{before}{phase} {}", Shown(spent))?;
        }
        let (sent, received) = (self.bytes_sent(), self.bytes_received());
        write!(f, "; {sent} bytes sent, {received} received")?;
        match (self.connection_reused, self.tls_resumed) {
            (true, _) => f.write_str("; connection reused"),
            (false, Some(true)) => f.write_str("; new connection, session resumed"),
            (false, Some(false)) => f.write_str("; new connection, full handshake"),
            (false, None) => Ok(()),
        }
    }
}

/// How long something took, if it happened: 584 years at most, in half of what an
/// `Option<Duration>` takes. It is in every response and every error, and moves with them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Spent(
    /// Nanoseconds, and one more.
    Option<NonZeroU64>,
);

impl Spent {
    fn get(self) -> Option<Duration> {
        self.0.map(|spent| Duration::from_nanos(spent.get() - 1))
    }

    fn add(&mut self, more: Duration) {
        let more = u64::try_from(more.as_nanos()).unwrap_or(u64::MAX);
        self.0 = self
            .0
            .or(NonZeroU64::new(1))
            .map(|spent| spent.saturating_add(more));
    }
}

impl fmt::Debug for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A duration to a tenth of a millisecond, which is what is of use over a network.
struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}ms", milliseconds(self.0))
    }
}

/// A duration as spans carry it.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Bytes of requests and of responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Moved {
    /// What was moved since there was that much.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
        }
    }

    fn and(self, more: Self) -> Self {
        Self {
            sent: self.sent.saturating_add(more.sent),
            received: self.received.saturating_add(more.received),
        }
    }
}

/// The clock, as it is read for the timings of a request on an open connection: when it is handed
/// over, and when its head has come. The start of the fetch is that of its deadline, and while a
/// body is read its deadlines have to know the time anyway.
pub(crate) fn now() -> Instant {
    #[cfg(test)]
    tests::READ.with(|read| read.set(read.get() + 1));
    Instant::now()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How often this thread has read the clock for timings.
        pub(crate) static READ: Cell<usize> = const { Cell::new(0) };
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn hops_add_up_and_what_did_not_happen_is_none() {
        let mut first = Timings::default();
        first.add(Phase::Dns, 2 * MS);
        first.add(Phase::FirstByte, Duration::MAX);
        first.set_total(20 * MS);
        first.set_connection(true, Some(true));
        let mut second = Timings::default();
        second.add(Phase::Dns, 3 * MS);
        second.add(Phase::FirstByte, MS);
        second.set_total(4 * MS);
        second.set_connection(false, Some(false));
        let moved = |sent, received| Moved { sent, received };
        let first = first.with_moved(moved(1, 20)).with_body(MS);
        let both = second.with_moved(moved(300, 4000)).after(&first);
        assert_eq!(both.dns(), Some(5 * MS));
        assert_eq!(both.first_byte(), Some(Duration::from_nanos(u64::MAX - 1)));
        assert_eq!(both.body(), Some(MS));
        assert_eq!(
            (both.tls(), both.connect(), both.queued()),
            (None, None, None)
        );
        assert_eq!(both.total(), 25 * MS);
        assert_eq!((both.bytes_sent(), both.bytes_received()), (301, 4020));
        assert!(!both.connection_reused());
        assert_eq!(both.tls_resumed(), Some(false));
    }

    #[test]
    fn one_line_says_it_all() {
        let mut timings = Timings::default();
        assert_eq!(timings.to_string(), "total 0.0ms; 0 bytes sent, 0 received");
        for (phase, spent) in [(Phase::Tls, 2), (Phase::Dns, 1), (Phase::Body, 1500)] {
            timings.add(phase, spent * MS);
        }
        timings.set_total(1503 * MS + MS / 10);
        timings.set_connection(false, Some(true));
        assert_eq!(
            timings.to_string(),
            "total 1503.1ms: dns 1.0ms, tls 2.0ms, body 1500.0ms; 0 bytes sent, 0 received; \
             new connection, session resumed"
        );
        timings.set_connection(true, Some(true));
        assert!(timings.to_string().ends_with("; connection reused"));
    }
}
