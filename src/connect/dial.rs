//! Addresses to a socket: they are raced (RFC 8305, "Happy Eyeballs").
//!
//! The answers to AAAA and A come together, from a resolver that has waited for both: RFC 8305 §3,
//! which starts on the first of them, is the resolver's affair. So is the order of the addresses
//! (RFC 6724), of which §4 is kept: families alternate, First Address Family Count being 1.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::error::{Error, ErrorKind};
use crate::limits::{self, Deadline, Elapsed};
use crate::timings::{Phase, Timings};

/// Opens a connection to whichever address answers first.
///
/// RFC 8305 §5: the next attempt starts when one has failed, or when the last one has had no answer
/// for the Connection Attempt Delay. The first success wins, and the other attempts are dropped,
/// which closes their sockets. At most [`limits::ATTEMPTS`] addresses are tried.
pub(super) async fn race(
    addresses: &[SocketAddr],
    deadline: Deadline,
    timings: &mut Timings,
) -> Result<(TcpStream, SocketAddr), Lost> {
    let started = Instant::now();
    let ended = run(addresses, deadline, open).await;
    timings.add(Phase::Connect, started.elapsed());
    ended
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are written whole; waiting for more to put with them only costs time.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The race, whatever it is that opens an address.
async fn run<S, F: Future<Output = io::Result<S>>>(
    addresses: &[SocketAddr],
    deadline: Deadline,
    open: impl Fn(SocketAddr) -> F,
) -> Result<(S, SocketAddr), Lost> {
    let mut untried = interleaved(addresses);
    let later = untried.split_off(untried.len().min(limits::ATTEMPTS));
    let mut race = Race {
        waiting: untried.into_iter(),
        attempts: Vec::new(),
    };
    let raced = deadline.run(Phase::Connect, pin!(race.winner(open))).await;
    let by = match raced {
        Ok(Some(winner)) => return Ok(winner),
        Ok(None) => None,
        Err(elapsed) => Some(elapsed),
    };
    Err(Lost {
        tried: race.tried(later),
        by,
    })
}

struct Race<F> {
    /// Those whose turn has not come.
    waiting: std::vec::IntoIter<SocketAddr>,
    /// In the order in which they were started.
    attempts: Vec<Attempt<F>>,
}

struct Attempt<F> {
    address: SocketAddr,
    state: State<F>,
}

enum State<F> {
    Connecting(Pin<Box<F>>),
    Failed(io::Error),
}

impl<S, F: Future<Output = io::Result<S>>> Race<F> {
    /// The first connection that opens. `None` if all have failed.
    async fn winner(&mut self, open: impl Fn(SocketAddr) -> F) -> Option<(S, SocketAddr)> {
        loop {
            if let Some(address) = self.waiting.next() {
                self.attempts.push(Attempt {
                    address,
                    state: State::Connecting(Box::pin(open(address))),
                });
            }
            let mut delay = pin!(sleep(limits::ATTEMPT_DELAY));
            let turn = poll_fn(|cx| match self.poll(cx) {
                Poll::Pending if self.waiting.len() > 0 => {
                    delay.as_mut().poll(cx).map(|()| Turn::Next)
                }
                turn => turn,
            });
            match turn.await {
                Turn::Next => {}
                Turn::Won(stream, address) => return Some((stream, address)),
                Turn::Lost => return None,
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<S>> {
        let mut is_connecting = false;
        for attempt in &mut self.attempts {
            let State::Connecting(connecting) = &mut attempt.state else {
                continue;
            };
            match connecting.as_mut().poll(cx) {
                Poll::Pending => is_connecting = true,
                Poll::Ready(Ok(stream)) => {
                    return Poll::Ready(Turn::Won(stream, attempt.address));
                }
                Poll::Ready(Err(error)) => {
                    attempt.state = State::Failed(error);
                    if self.waiting.len() > 0 {
                        return Poll::Ready(Turn::Next);
                    }
                }
            }
        }
        match is_connecting {
            true => Poll::Pending,
            false => Poll::Ready(Turn::Lost),
        }
    }
}

/// What comes next in a race.
enum Turn<S> {
    /// The next address.
    Next,
    Won(S, SocketAddr),
    /// Every attempt has failed.
    Lost,
}

impl<F> Race<F> {
    fn tried(self, later: Vec<SocketAddr>) -> Tried {
        let attempts = self.attempts.into_iter().map(|attempt| {
            let how = match attempt.state {
                State::Connecting(_) => How::Unanswered,
                State::Failed(error) => How::Failed(error),
            };
            (attempt.address, how)
        });
        let rest = self.waiting.chain(later);
        let rest = rest.map(|address| (address, How::Untried));
        Tried(attempts.chain(rest).collect())
    }
}

/// A race that nobody won.
#[derive(Debug)]
pub(super) struct Lost {
    tried: Tried,
    /// The clock that ended it, if one did.
    by: Option<Elapsed>,
}

impl Lost {
    /// The error: of the clock that ended the race, or of this kind, for what was tried in vain.
    pub(super) fn explain(self, kind: ErrorKind, what: String) -> Error {
        let error = match self.by {
            Some(elapsed) => Error::from(elapsed),
            None => Error::new(kind, what).with_phase(Phase::Connect),
        };
        error.with_source(self.tried)
    }
}

/// The addresses in the order in which they were tried, and what came of each.
#[derive(Debug)]
struct Tried(Vec<(SocketAddr, How)>);

#[derive(Debug)]
enum How {
    Failed(io::Error),
    Unanswered,
    Untried,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, how)) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address}: ")?;
            match how {
                How::Failed(error) => write!(f, "{error}")?,
                How::Unanswered => f.write_str("no answer yet")?,
                How::Untried => f.write_str("not tried")?,
            }
        }
        match self.0.len().checked_sub(MAX_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for Tried {
    /// Of several failures, that of the address which was tried last.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.iter().rev().find_map(|(_, how)| match how {
            How::Failed(error) => Some(error as _),
            How::Unanswered | How::Untried => None,
        })
    }
}

/// RFC 8305 §4: the families alternate, beginning with the one that the resolver put first.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first = |address: &&SocketAddr| {
        addresses
            .first()
            .is_some_and(|first| first.is_ipv4() == address.is_ipv4())
    };
    let mut first = addresses.iter().filter(is_first);
    let mut other = addresses.iter().filter(|address| !is_first(address));
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(first.next());
        order.extend(other.next());
    }
    order
}

/// Addresses named in an error.
const MAX_SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::limits::Clock;

    #[test]
    fn families_alternate() {
        let rows: [(&str, &str); 6] = [
            ("", ""),
            ("1.1.1.1:1 2.2.2.2:1", "1.1.1.1:1 2.2.2.2:1"),
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1",
            ),
            (
                "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1",
                "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1",
            ),
            (
                "1.1.1.1:1 2.2.2.2:1 3.3.3.3:1 [::1]:1 [::2]:1",
                "1.1.1.1:1 [::1]:1 2.2.2.2:1 [::2]:1 3.3.3.3:1",
            ),
            ("[fe80::1%7]:1 [fe80::1%8]:1", "[fe80::1%7]:1 [fe80::1%8]:1"),
        ];
        for (given, expected) in rows {
            assert_eq!(interleaved(&parsed(given)), parsed(expected));
        }
    }

    /// What an address does, so many milliseconds after it was tried.
    #[derive(Clone, Copy)]
    enum Fate {
        Opens(u64),
        Refuses(u64),
        Hangs,
    }
    use Fate::{Hangs, Opens, Refuses};

    /// Every row on tokio's paused clock, in which the milliseconds are exact.
    #[tokio::test(start_paused = true)]
    async fn who_is_tried_when_and_who_wins() {
        // The fates, and what happens in which millisecond.
        let rows: [(&[Fate], &str); 12] = [
            (&[Opens(3)], "0 tries 1, 3 won 1"),
            (&[Opens(249), Opens(0)], "0 tries 1, 249 won 1"),
            // RFC 8305 §5: the delay has passed without an answer.
            (
                &[Opens(300), Opens(100)],
                "0 tries 1, 250 tries 2, 300 won 1, 300 ends 2",
            ),
            (
                &[Opens(400), Opens(100)],
                "0 tries 1, 250 tries 2, 350 won 2, 350 ends 1",
            ),
            (
                &[Hangs, Hangs, Opens(9)],
                "0 tries 1, 250 tries 2, 500 tries 3, 509 won 3, 509 ends 1, 509 ends 2",
            ),
            // What has failed is not waited for.
            (&[Refuses(7), Opens(1)], "0 tries 1, 7 tries 2, 8 won 2"),
            (
                &[Refuses(0), Refuses(0), Opens(0)],
                "0 tries 1, 0 tries 2, 0 tries 3, 0 won 3",
            ),
            // A failure has the next one start, whoever's it is, and the delay begins anew.
            (
                &[Refuses(300), Hangs, Hangs, Opens(5)],
                "0 tries 1, 250 tries 2, 300 tries 3, 550 tries 4, 555 won 4, 555 ends 2, 555 ends 3",
            ),
            // A failure late in the race ends nobody else's attempt.
            (
                &[Opens(600), Refuses(10), Refuses(10)],
                "0 tries 1, 250 tries 2, 260 tries 3, 600 won 1",
            ),
            // Who was tried first wins of those who open at once.
            (&[Opens(250), Opens(0)], "0 tries 1, 250 won 1"),
            (&[Refuses(1), Refuses(2)], "0 tries 1, 1 tries 2, 3 lost"),
            (
                &[Hangs, Refuses(1)],
                "0 tries 1, 250 tries 2, 10000 ends 1, 10000 lost",
            ),
        ];
        for (fates, expected) in rows {
            let (told, _) = raced(fates, Duration::from_secs(10)).await;
            assert_eq!(told, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_is_told_of_and_how_it_stands() {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        let rows: [(&[Fate], Duration, &str); 5] = [
            (
                &[Refuses(1), Refuses(2)],
                seconds(10),
                "connecting failed: 192.0.2.1:443: connection refused, \
                 192.0.2.2:443: connection refused",
            ),
            (
                &[Hangs, Refuses(1), Hangs],
                seconds(10),
                "the connect timeout of 10s ended while opening a TCP connection: \
                 192.0.2.1:443: no answer yet, 192.0.2.2:443: connection refused, \
                 192.0.2.3:443: no answer yet",
            ),
            (
                &[Hangs, Opens(0)],
                millis(200),
                "the connect timeout of 200ms ended while opening a TCP connection: \
                 192.0.2.1:443: no answer yet, 192.0.2.2:443: not tried",
            ),
            (
                &[Opens(0)],
                Duration::ZERO,
                "the connect timeout of 0ns ended while opening a TCP connection: \
                 192.0.2.1:443: not tried",
            ),
            (
                &[Refuses(0); 9],
                seconds(10),
                "connecting failed: 192.0.2.1:443: connection refused, \
                 192.0.2.2:443: connection refused, 192.0.2.3:443: connection refused, \
                 192.0.2.4:443: connection refused, 192.0.2.5:443: connection refused, \
                 192.0.2.6:443: connection refused, 192.0.2.7:443: connection refused, \
                 192.0.2.8:443: connection refused and 1 more",
            ),
        ];
        for (fates, budget, expected) in rows {
            let (_, lost) = raced(fates, budget).await;
            let error = lost
                .unwrap()
                .explain(ErrorKind::Connect, "connecting failed".into());
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.phase(), Some(Phase::Connect));
            let kind = match expected.starts_with("connecting failed") {
                true => ErrorKind::Connect,
                false => ErrorKind::Deadline,
            };
            assert_eq!(error.kind(), kind);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_tried() {
        let mut fates = [Refuses(0); limits::ATTEMPTS + 1];
        fates[limits::ATTEMPTS] = Opens(0);
        let (told, lost) = raced(&fates, Duration::from_secs(10)).await;
        assert!(told.ends_with("0 tries 16, 0 lost"), "{told}");
        let (last, how) = lost.unwrap().tried.0.pop().unwrap();
        assert_eq!(last.to_string(), "192.0.2.17:443");
        assert!(matches!(how, How::Untried), "{how:?}");
    }

    #[tokio::test]
    async fn what_opens_is_a_stream_that_does_not_wait_for_more_to_send() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (deadline, mut timings) = (Deadline::start(limits::CONNECT), Timings::default());
        let (stream, winner) = race(&[address], deadline, &mut timings).await.unwrap();
        assert_eq!(winner, address);
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap());
    }

    /// A race of addresses that end in 1, 2 and so on, and what happened in which millisecond.
    async fn raced(fates: &[Fate], budget: Duration) -> (String, Option<Lost>) {
        let addresses: Vec<SocketAddr> = (1..=fates.len())
            .map(|last| format!("192.0.2.{last}:443").parse().unwrap())
            .collect();
        let told = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now();
        let tell = |what: &str, number: &usize| {
            let elapsed = start.elapsed().as_millis();
            told.lock()
                .unwrap()
                .push(format!("{elapsed} {what} {number}"));
        };
        // Ends with the attempt that holds it.
        struct Ends<'a>(&'a (dyn Fn(&str, &usize) + Sync), usize, bool);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                if !self.2 {
                    (self.0)("ends", &self.1);
                }
            }
        }
        let open = |address: SocketAddr| {
            let number = 1 + addresses.iter().position(|each| *each == address).unwrap();
            tell("tries", &number);
            let fate = fates[number - 1];
            let ends = Ends(&tell, number, false);
            async move {
                let mut ends = ends;
                let (millis, result) = match fate {
                    Opens(millis) => (millis, Ok(number)),
                    Refuses(millis) => (millis, Err(io::ErrorKind::ConnectionRefused.into())),
                    Hangs => std::future::pending().await,
                };
                if millis > 0 {
                    sleep(Duration::from_millis(millis)).await;
                }
                ends.2 = true;
                if result.is_ok() {
                    (ends.0)("won", &number);
                }
                result
            }
        };
        let deadline = Deadline::on(Clock::Connect, budget);
        let lost = match run(&addresses, deadline, open).await {
            Ok((number, winner)) => {
                assert_eq!(winner, addresses[number - 1]);
                None
            }
            Err(lost) => Some(lost),
        };
        if lost.is_some() {
            let elapsed = start.elapsed().as_millis();
            told.lock().unwrap().push(format!("{elapsed} lost"));
        }
        let told = told.lock().unwrap().join(", ");
        (told, lost)
    }

    fn parsed(list: &str) -> Vec<SocketAddr> {
        let list = list.split(' ').filter(|each| !each.is_empty());
        list.map(|each| each.parse().unwrap()).collect()
    }
}
