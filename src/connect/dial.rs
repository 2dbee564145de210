//! Addresses to a socket: they are raced (RFC 8305).

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// Opens a connection to whichever address answers first.
///
/// Families alternate, beginning with the first address'; the next attempt starts when one has
/// failed or 250 ms have passed. The first success wins and the rest are closed.
pub(super) async fn race(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Tried> {
    let mut waiting = interleaved(addresses).into_iter();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut tried = Tried::default();
    loop {
        match waiting.next() {
            Some(address) => attempts.push(Attempt::start(address)),
            None if attempts.is_empty() => return Err(tried),
            None => {}
        }
        let next_start = Instant::now() + STAGGER;
        let more = waiting.len() > 0;
        let mut stagger = std::pin::pin!(sleep_until(next_start));
        loop {
            let ended = std::future::poll_fn(|cx| {
                if let Some(ended) = Attempt::poll_any(&mut attempts, cx) {
                    return Poll::Ready(Some(ended));
                }
                if more && stagger.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                Poll::Pending
            })
            .await;
            match ended {
                Some((address, Ok(stream))) => return Ok((stream, address)),
                Some((address, Err(error))) => {
                    tried.0.push((address, error));
                    if more || attempts.is_empty() {
                        break;
                    }
                }
                None => break,
            }
        }
    }
}

/// One connection under way.
struct Attempt {
    address: SocketAddr,
    connecting: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
}

impl Attempt {
    fn start(address: SocketAddr) -> Self {
        Self {
            address,
            connecting: Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                // Requests are written whole; waiting for more to put with them only costs time.
                stream.set_nodelay(true)?;
                Ok(stream)
            }),
        }
    }

    fn poll_any(
        attempts: &mut Vec<Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Option<(SocketAddr, io::Result<TcpStream>)> {
        let (index, result) = attempts
            .iter_mut()
            .enumerate()
            .find_map(
                |(index, attempt)| match attempt.connecting.as_mut().poll(cx) {
                    Poll::Ready(result) => Some((index, result)),
                    Poll::Pending => None,
                },
            )?;
        Some((attempts.remove(index).address, result))
    }
}

/// What was tried, and how each failed.
#[derive(Debug, Default)]
pub(super) struct Tried(Vec<(SocketAddr, io::Error)>);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, error)) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address}: {error}")?;
        }
        match self.0.len().checked_sub(MAX_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for Tried {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.last().map(|(_, error)| error as _)
    }
}

fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (mut preferred, mut other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    preferred.reverse();
    other.reverse();
    let mut order = Vec::with_capacity(addresses.len());
    while let Some(address) = preferred.pop() {
        order.push(address);
        order.extend(other.pop());
    }
    order.extend(other.into_iter().rev());
    order
}

/// RFC 8305 §5: the recommended Connection Attempt Delay.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses named in an error.
const MAX_SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn families_alternate() {
        let rows: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["1.1.1.1:1", "2.2.2.2:1"], &["1.1.1.1:1", "2.2.2.2:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"],
            ),
            (
                &["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"],
                &["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"],
            ),
        ];
        for (given, expected) in rows {
            let parse = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<_>>();
            assert_eq!(interleaved(&parse(given)), parse(expected));
        }
    }

    #[tokio::test]
    async fn a_refused_address_does_not_stop_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = closed_port().await;
        let (_, winner) = race(&[closed, open]).await.unwrap();
        assert_eq!(winner, open);
    }

    #[tokio::test]
    async fn every_address_that_failed_is_named() {
        let closed = [closed_port().await, closed_port().await];
        let tried = race(&closed).await.unwrap_err().to_string();
        for address in closed {
            assert!(tried.contains(&address.to_string()), "{tried}");
        }
    }

    async fn closed_port() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }
}
