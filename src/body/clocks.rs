//! The clocks that a body is read under, and the one that says how long it took.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep};

use super::context::BodyContext;
use super::wire::Wire;
use crate::connect::explain;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{self, Clock, Deadline};
use crate::timings::{self, Moved, Phase, Timings};
use crate::trace;

/// The clocks that a body is read under.
pub(super) struct Clocks {
    pub(super) total: Deadline,
    pub(super) total_holds: bool,
    /// A sleep, and the runtime whose clock it goes by.
    pub(super) sleep: Option<(Id, Pin<Box<Sleep>>)>,
    /// The sleep is set for the present wait. Time in which nobody reads does not count.
    pub(super) waiting: bool,
}

impl Clocks {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut Wire,
        watch: &mut Watch,
        context: &BodyContext,
    ) -> Poll<Result<Option<Frame<Bytes>>>> {
        // Once, for all that has to know the time.
        let now = timings::now();
        if self.total_holds && self.total.is_over_at(now) {
            return Poll::Ready(Err(self.total.elapsed(Phase::Body).into()));
        }
        let was_open = wire.lease.is_some();
        if let Poll::Ready(frame) = wire.poll(cx) {
            self.waiting = false;
            // A reader may come late to see an end that was there with the last piece.
            if was_open {
                watch.is_at(now, wire.moved);
                if wire.lease.is_none() && matches!(frame, None | Some(Ok(_))) {
                    trace::body_read(context.url(), &watch.timings);
                }
            }
            let explained = |error| explain(error, context.facts());
            return Poll::Ready(frame.transpose().map_err(explained));
        }
        // Silence ends what nothing else would: whoever said how long all may take meant it.
        let clock = match self.total_holds {
            true => self.total,
            false => Deadline::from(now, Clock::IdleRead, limits::IDLE_READ),
        };
        // It may be another runtime than last time, and the last one's clock may stand still.
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Config, "a body needs a tokio runtime to wait in")
                .with_source(error)
        })?;
        let sleep = match &mut self.sleep {
            Some((id, sleep)) if *id == runtime.id() => {
                if !self.waiting {
                    sleep.as_mut().reset(clock.ends());
                }
                sleep
            }
            other => {
                let sleep = Box::pin(tokio::time::sleep_until(clock.ends()));
                &mut other.insert((runtime.id(), sleep)).1
            }
        };
        self.waiting = true;
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(clock.elapsed(Phase::Body).into()))
    }
}

/// Keeps the timings up to date while the body is read.
pub(super) struct Watch {
    pub(super) timings: Timings,
    /// The moment they stand for.
    pub(super) at: Instant,
    /// What of this exchange is in them.
    pub(super) moved: Moved,
}

impl Watch {
    pub(super) fn is_at(&mut self, now: Instant, moved: Moved) {
        let spent = now.saturating_duration_since(self.at);
        let moved_since = moved.since(self.moved);
        self.timings = self.timings.with_body(spent).with_moved(moved_since);
        (self.at, self.moved) = (now, moved);
    }
}
