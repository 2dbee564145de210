//! Every number we refuse to exceed, with its source.

use std::time::Duration;

pub(crate) use deadline::{Clock, Deadline, Elapsed};
pub use profile::Limits;
pub(crate) use request::Exceeded;

mod app_engine;
mod deadline;
mod profile;
mod request;

/// Deadline of a fetch that named none. The longest that App Engine's urlfetch allowed a request
/// handler; Go, reqwest and curl have none, which Google's own migration guide warns of.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Longest wait for a connection: name, TCP, proxy and TLS together. curl waits 300 s, Go 30 s, undici
/// 10 s; with addresses raced (RFC 8305) ten seconds cover several lost SYNs.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// Most addresses that are taken from one answer of a resolver. A message of DNS over UDP holds
/// some ninety of IPv4; names that are not there to trouble somebody have a dozen.
pub(crate) const ADDRESSES: usize = 64;

/// How long an answer of the system's resolver is used again: the least time to live that a name
/// server can give to a record that may be kept at all (RFC 1035 §3.2.1). curl keeps one for 60 s, Java
/// for 30 s, Go and reqwest not at all.
pub(crate) const ANSWER_AGE: Duration = Duration::from_secs(1);

/// Most answers that are kept so: the last ones, so that who fetches from many hosts has no more to
/// look through than a lookup costs anyway.
pub(crate) const ANSWERS: usize = 64;

/// Most addresses that one connection tries: ureq's number. A stranger's name may list whom he
/// likes, and who fetches it is not to knock at all their doors.
pub(crate) const ATTEMPTS: usize = 16;

/// How long one address is waited for before another is tried beside it: RFC 8305 §5, the
/// recommended Connection Attempt Delay.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Longest silence while a body is read that nobody set a deadline for. What App Engine's default of
/// "no byte in the deadline" meant in practice; curl's --speed-time and httpx's read timeout are of
/// the same order.
pub(crate) const IDLE_READ: Duration = Duration::from_secs(30);

/// Most bytes of a body that we buffer: urlfetch's documented limit of 2^25.
pub(crate) const BUFFERED_RESPONSE: u64 = 32 << 20;

/// Most bytes in the head of a response, status line and fields together. curl allows 300 KiB,
/// undici 16 KiB, ureq 64 KiB.
pub(crate) const RESPONSE_HEAD: u32 = 64 << 10;

/// Most fields in the head of a response: hyper's and httparse's default.
pub(crate) const RESPONSE_FIELDS: usize = 100;

/// Most fields of a request that the caller sets. `http::HeaderMap` holds 24,576 names, three quarters
/// of 2^15, and panics at the next: here is room for those that we add.
pub(crate) const REQUEST_FIELDS: usize = 24_000;

/// Most interim (1xx) responses before the final one. Go allows 5, and 1 MiB of them.
pub(crate) const INTERIM_RESPONSES: usize = 8;

/// Most bytes of a proxy's answers to CONNECT: they have little to say. undici's number for any
/// head; curl allows 300 KiB.
pub(crate) const PROXY_HEAD: u64 = 16 << 10;

/// Most addresses of a host that a SOCKS proxy is asked for one after the other, each on a
/// connection of its own. curl asks for one; more than these seldom are of one host.
pub(crate) const SOCKS_ADDRESSES: usize = 4;

/// Most redirects that are followed: urlfetch's number. reqwest and ureq follow 10, Go 9, the Fetch
/// standard 20.
pub(crate) const REDIRECTS: usize = 5;

/// Most bytes that are read off a redirect's body to save its connection: four records of TLS,
/// which come with the head. Go reads 2 KiB, and then closes.
pub(crate) const DISCARDED_BODY: u64 = 64 << 10;

/// Longest wait for the rest of such a body: less than a new handshake over most distances.
pub(crate) const DISCARD_WAIT: Duration = Duration::from_millis(100);

/// Most bytes that stand beside the sizes of a body's chunks, extensions, zeros and blanks, and are
/// not outweighed by its data: Go's number.
pub(crate) const BESIDE_CHUNKS: u64 = 16 << 10;

/// Most bytes of one h2 response that may have come and not been read: hyper's number. A quarter of
/// it halves the throughput of a large body, and more than it brings no more.
pub(crate) const UNREAD_PER_STREAM: u32 = 2 << 20;

/// Most bytes of a payload that wait for room on their h2 stream: hyper's number.
pub(crate) const UNSENT_PER_STREAM: usize = 1 << 20;

/// Most requests at once on an h2 connection whose peer has not said yet how many it takes: the
/// least that RFC 9113 §6.5.2 would have it say, and hyper's number.
pub(crate) const STREAMS_BEFORE_SETTINGS: usize = 100;

/// Most bytes of all responses of an h2 connection that may have come and not been read: as many as
/// [`IDLE_PER_HOST`] responses may hold, [`UNREAD_PER_STREAM`] each. In hyper's own 5 MiB there is
/// room for two and a half that somebody takes his time to read, and those of everybody else wait
/// for him. Go allows 1 GiB; but h2 lets so many small DATA frames wait as are half of this at some
/// 256 bytes each, and every one of them takes as much memory, however little is in it.
pub(crate) const UNREAD_PER_CONNECTION: u32 = 64 << 20;

/// Most bytes of a TLS connection that have come and were not taken in: four large records (RFC 8446
/// §5.1), by one call of the system where there were four, and only while much comes. A message of a
/// handshake that is longer is refused, as rustls itself would have it.
pub(crate) const READ_AHEAD: usize = 64 << 10;

/// Longest time that a connection nobody uses any more takes to close. curl gives a TLS shutdown
/// ten seconds.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// Longest URL, in bytes: what `http::Uri` can hold.
pub(crate) const URL: usize = u16::MAX as usize - 1;

/// Idle connections kept for one host. Go keeps 2, reqwest all of them; 32 are as many as a burst
/// of calls from one service uses again.
pub(crate) const IDLE_PER_HOST: usize = 32;

/// How long an idle connection is kept: Go's and reqwest's number.
pub(crate) const IDLE_CONNECTION: Duration = Duration::from_secs(90);

/// How long a connection is reused at all, so that a change of addresses is noticed: some ten times
/// the seconds for which names that may move are usually cached.
pub(crate) const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// Most bytes of a list of protocols for ALPN: half a record of TLS (RFC 8446 §5.1), so that a
/// ClientHello fits into one, as it has to for servers that do not put one together again.
pub(crate) const ALPN: usize = 8 << 10;
