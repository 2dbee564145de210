//! How many connections are kept to a host, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// What a client says of the connections it keeps. It holds for each host by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// How long a connection may be without a request and still serve the next.
    pub(crate) idle_timeout: Duration,
    /// How long after its beginning a connection may be given a request.
    pub(crate) max_age: Duration,
    /// HTTP/1.1 connections that may be without a request.
    pub(crate) max_idle: usize,
    /// Connections that may be there at once, however far they have come.
    pub(crate) max_connections: Option<usize>,
    pub(crate) ping: Option<Ping>,
}

/// How an h2 peer that is gone without a word is found out (RFC 9113 §6.7).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    /// How long nothing may come from it before it is asked.
    pub(crate) interval: Duration,
    /// How long it has to answer.
    pub(crate) timeout: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            idle_timeout: limits::IDLE_CONNECTION,
            max_age: limits::CONNECTION_AGE,
            max_idle: limits::IDLE_PER_HOST,
            max_connections: None,
            ping: None,
        }
    }
}

impl Keep {
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if no connection could ever be made by it, or none could live.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |why| Err(Error::new(ErrorKind::Config, why));
        if self.max_connections == Some(0) {
            return refuse("a host is allowed 0 connections, so that nothing could be fetched");
        }
        match self.ping {
            Some(Ping { interval, .. }) if interval.is_zero() => {
                refuse("the interval between HTTP/2 pings is 0")
            }
            Some(Ping { timeout, .. }) if timeout.is_zero() => {
                refuse("the time in which an HTTP/2 ping has to be answered is 0")
            }
            _ => Ok(()),
        }
    }

    /// Whether a connection that was `born` then may still be given a request.
    pub(super) fn is_young(&self, now: Instant, born: Instant) -> bool {
        now.duration_since(born) < self.max_age
    }

    /// Whether a connection that has had no request `since` then is worth trying.
    pub(super) fn is_fresh(&self, now: Instant, since: Instant) -> bool {
        now.duration_since(since) < self.idle_timeout
    }

    /// From when on one that was `born` then, and has had no request `since`, is not young or not
    /// fresh any more; `None` if that is beyond all clocks.
    pub(super) fn ends(&self, born: Instant, since: Instant) -> Option<Instant> {
        let ages = born.checked_add(self.max_age);
        let stales = since.checked_add(self.idle_timeout);
        ages.into_iter().chain(stales).min()
    }

    /// Whether one more connection may be there.
    pub(super) fn has_place(&self, connections: usize) -> bool {
        self.max_connections.is_none_or(|most| connections < most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_could_never_work_is_refused() {
        let keep = Keep::default;
        let ping = |interval, timeout| Keep {
            ping: Some(Ping { interval, timeout }),
            ..keep()
        };
        let at_most = |most| Keep {
            max_connections: Some(most),
            ..keep()
        };
        let never = Keep {
            idle_timeout: Duration::ZERO,
            max_age: Duration::ZERO,
            max_idle: 0,
            ..keep()
        };
        for (keep, expected) in [
            (keep(), true),
            (never, true),
            (at_most(1), true),
            (at_most(0), false),
            (ping(SECOND, SECOND), true),
            (ping(Duration::ZERO, SECOND), false),
            (ping(SECOND, Duration::ZERO), false),
        ] {
            match keep.check() {
                Ok(()) => assert!(expected, "{keep:?}"),
                Err(error) => {
                    assert!(!expected, "{keep:?}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Config);
                }
            }
        }
    }

    #[test]
    fn a_limit_is_the_first_value_that_is_too_much() {
        let keep = Keep {
            idle_timeout: 2 * SECOND,
            max_age: 5 * SECOND,
            max_connections: Some(2),
            ..Keep::default()
        };
        let then = Instant::now();
        for (seconds, fresh, young) in [(0, true, true), (2, false, true), (5, false, false)] {
            let now = then + seconds * SECOND;
            assert_eq!(keep.is_fresh(now, then), fresh, "{seconds}");
            assert_eq!(keep.is_young(now, then), young, "{seconds}");
            let ends = keep.ends(then, then).unwrap();
            assert_eq!(now < ends, fresh && young, "{seconds}");
        }
        assert_eq!(keep.ends(then, then + 4 * SECOND), Some(then + 5 * SECOND));
        let for_ever = Keep {
            idle_timeout: Duration::MAX,
            max_age: Duration::MAX,
            ..keep
        };
        assert_eq!(for_ever.ends(then, then), None);
        assert!(keep.has_place(1) && !keep.has_place(2));
        assert!(Keep::default().has_place(1_000_000));
    }
}
