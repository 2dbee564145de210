//! The HTTP/1.1 connections of a host that are between two requests.

use std::sync::Arc;

use tokio::time::Instant;

use crate::connect::facts::Facts;
use crate::connect::http1::Http1;
use crate::connect::keep::Keep;

/// Connections without a request, the last used on top.
///
/// One that is taken is looked at then, and so are all of them when one is due; who takes one does
/// not pay for the others.
#[derive(Debug, Default)]
pub(super) struct Stack {
    idle: Vec<Idle>,
    /// No connection has been idle for too long, or is too old, before this.
    due: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) connection: Box<Http1>,
    pub(super) facts: Arc<Facts>,
    pub(super) since: Instant,
}

impl Stack {
    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    pub(super) fn push(&mut self, idle: Idle, keep: &Keep) {
        self.due = sooner(self.due, idle.ends(keep));
        self.idle.push(idle);
    }

    pub(super) fn pop(&mut self) -> Option<Idle> {
        self.idle.pop()
    }

    /// The one that has been idle for the longest time.
    pub(super) fn take_oldest(&mut self) -> Option<Idle> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0))
    }

    /// Whether one of them may have been idle for too long, or be too old.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Those that are not worth keeping.
    pub(super) fn take_unless(
        &mut self,
        keep: &Keep,
        mut keeps: impl FnMut(&mut Idle) -> bool,
    ) -> Vec<Idle> {
        let mut taken = Vec::new();
        for mut idle in std::mem::take(&mut self.idle) {
            match keeps(&mut idle) {
                true => self.idle.push(idle),
                false => taken.push(idle),
            }
        }
        let ends = self.idle.iter().map(|idle| idle.ends(keep));
        self.due = ends.fold(None, sooner);
        taken
    }
}

impl Idle {
    fn ends(&self, keep: &Keep) -> Option<Instant> {
        keep.ends(self.facts.born, self.since)
    }
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::duplex;

    use super::*;
    use crate::connect::sender::Sender;
    use crate::connect::transport::Transport;
    use crate::connect::{Connected, Stream};
    use crate::limits::{self, Deadline};

    #[tokio::test(start_paused = true)]
    async fn the_last_used_is_on_top_and_the_oldest_below() {
        let began = Instant::now();
        let mut stack = pushed(&[0, 1, 2, 3], &KEEP).await;
        let since = |idle: Option<Idle>| idle.map(|idle| (idle.since - began).as_secs());
        assert_eq!((stack.len(), stack.is_empty()), (4, false));
        assert_eq!(since(stack.pop()), Some(3));
        assert_eq!(since(stack.take_oldest()), Some(0));
        assert_eq!(since(stack.pop()), Some(2));
        assert_eq!((stack.len(), stack.is_empty()), (1, false));
        assert_eq!(since(stack.take_oldest()), Some(1));
        assert_eq!((stack.len(), stack.is_empty()), (0, true));
        assert_eq!(since(stack.take_oldest()), None);
        assert_eq!(since(stack.pop()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_looked_through_when_the_first_is_due() {
        // (since when each is idle, when one is due, which are taken then, when the next is due)
        type Row = (&'static [u64], Option<u64>, &'static [u64], Option<u64>);
        let rows: [Row; 6] = [
            (&[], None, &[], None),
            (&[0], Some(10), &[0], None),
            (&[0, 3, 4], Some(10), &[0], Some(13)),
            (&[3, 0, 4], Some(10), &[0], Some(13)),
            (&[2, 4, 2], Some(12), &[2, 2], Some(14)),
            // They are too old before they have been idle for long.
            (&[7, 9], Some(15), &[7, 9], None),
        ];
        for (idle, due, taken, next) in rows {
            let began = Instant::now();
            let at = |seconds| began + Duration::from_secs(seconds);
            let mut stack = pushed(idle, &KEEP).await;
            let now = at(due.unwrap_or(1_000));
            assert!(!stack.is_due(now - Duration::from_nanos(1)), "{idle:?}");
            assert_eq!(stack.is_due(now), due.is_some(), "{idle:?}");
            let keeps = |idle: &mut Idle| idle.ends(&KEEP) > Some(now);
            let mut gone = stack.take_unless(&KEEP, keeps);
            assert_eq!(sinces(&gone, began), taken, "{idle:?}");
            let kept = idle.iter().filter(|idle| !taken.contains(idle));
            let kept: Vec<_> = kept.copied().collect();
            assert_eq!(sinces(&stack.idle, began), kept, "{idle:?}");
            assert_eq!(stack.due, next.map(at), "{idle:?}");
            // With one that comes back it is due as it was.
            if let Some(idle) = gone.pop() {
                stack.push(idle, &KEEP);
                assert_eq!(stack.due, due.map(at));
            }
        }
        let for_ever = Keep {
            idle_timeout: Duration::MAX,
            max_age: Duration::MAX,
            ..KEEP
        };
        let stack = pushed(&[0, 1], &for_ever).await;
        assert!(!stack.is_due(Instant::now() + 1_000_000 * KEEP.idle_timeout));
    }

    /// Connections that are opened now, and idle since so many seconds later.
    async fn pushed(since: &[u64], keep: &Keep) -> Stack {
        let mut stack = Stack::default();
        for seconds in since {
            let (client, _server) = duplex(64);
            let connected = Connected {
                stream: Stream::plain(Transport::Tunnel(Box::new(client))),
                remote: ([127, 0, 0, 1], 80).into(),
                host: None,
            };
            let deadline = Deadline::start(limits::DEADLINE);
            let opening = Sender::open(connected, None, |_| (), deadline);
            let (Sender::Http1(connection), facts) = opening.await.unwrap() else {
                panic!("no ALPN, no h2");
            };
            let idle = Idle {
                connection,
                facts,
                since: Instant::now() + Duration::from_secs(*seconds),
            };
            stack.push(idle, keep);
        }
        stack
    }

    fn sinces(idle: &[Idle], began: Instant) -> Vec<u64> {
        let since = |idle: &Idle| (idle.since - began).as_secs();
        idle.iter().map(since).collect()
    }

    const KEEP: Keep = Keep {
        idle_timeout: Duration::from_secs(10),
        max_age: Duration::from_secs(15),
        max_idle: 1,
        max_connections: None,
        ping: None,
    };
}
