//! What an idle connection has to say, which is that it is of no use any more: no task waits for it.

use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};

use tokio::time::Instant;

use super::Host;

/// What is woken when something comes on one of a host's idle connections.
#[derive(Debug, Default)]
pub(super) struct Watch(OnceLock<Waker>);

/// The host owns the connections that have this.
struct Watcher(Weak<Host>);

impl Watch {
    pub(super) fn of(&self, host: &Arc<Host>) -> &Waker {
        let watcher = || Waker::from(Arc::new(Watcher(Arc::downgrade(host))));
        self.0.get_or_init(watcher)
    }
}

impl Wake for Watcher {
    /// Lets go of those that are closed, or on which somebody spoke out of turn.
    fn wake(self: Arc<Self>) {
        if let Some(host) = self.0.upgrade() {
            let mut state = host.state();
            host.reap_idle(&mut state, Instant::now());
            host.serve(state);
        }
    }
}
