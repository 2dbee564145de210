//! How much is read of a connection at once: four large records by one call of the system while
//! much comes, and little else. There is no memory for much while nothing comes.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::held::{Held, LITTLE};
use crate::limits;

/// What the last reads have brought.
#[derive(Default)]
pub(super) struct Fill {
    /// How many more may bring little before no more is believed to come.
    flows: u8,
}

impl Fill {
    /// Adds what comes of `stream` to what is held of it, once TLS has taken in what it could. How
    /// much came; nothing, if it has ended.
    ///
    /// # Errors
    ///
    /// Those of the stream; and one if as much is held as may be: a message of a handshake is longer
    /// than any may be.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        held: &mut Held,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if is_full(held) {
            return Poll::Ready(Err(too_long()));
        }
        let most = match self.flows {
            0 => limits::READ_AHEAD.min(held.rest().len() + LITTLE),
            _ => limits::READ_AHEAD,
        };
        let polled = pin!(stream.read_buf(held.with_room(most))).poll(cx);
        match &polled {
            Poll::Ready(Ok(LITTLE..)) => self.flows = PATIENCE,
            Poll::Ready(Ok(1..)) => self.flows = self.flows.saturating_sub(1),
            _ => held.give_back(),
        }
        polled
    }

    /// For the time being no more is awaited.
    pub(super) fn rest(&mut self, held: &mut Held) {
        *self = Self::default();
        held.give_back();
    }
}

/// Whether no more may come before TLS has taken some.
pub(super) fn is_full(held: &Held) -> bool {
    held.rest().len() >= limits::READ_AHEAD
}

fn too_long() -> io::Error {
    let most = limits::READ_AHEAD;
    let message = format!("a message of TLS is longer than the {most} bytes that one may be");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Over HTTP/2 what is little, a frame of its own or the end of a larger one, stands between what is
/// much.
const PATIENCE: u8 = 4;

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::Waker;

    use tokio::io::ReadBuf;

    use super::*;

    /// A socket on which so many bytes wait.
    struct Socket(usize);

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let some = self.0.min(buf.remaining());
            if some == 0 {
                return Poll::Pending;
            }
            buf.put_slice(&vec![7; some]);
            self.0 -= some;
            Poll::Ready(Ok(()))
        }
    }

    /// How much one look at a socket brings on which so much waits; `None` if nothing does.
    fn look(fill: &mut Fill, held: &mut Held, waits: usize) -> Option<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        match fill.poll(held, &mut Socket(waits), &mut cx) {
            Poll::Ready(read) => Some(read.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn much_is_read_while_much_comes() {
        let (mut fill, mut held) = <(Fill, Held)>::default();
        let mut looks = |waits| {
            let count = look(&mut fill, &mut held, waits);
            assert!(held.capacity() <= limits::READ_AHEAD);
            held.take(held.rest().len());
            count
        };
        assert_eq!(looks(100_000), Some(LITTLE));
        assert_eq!(looks(100_000), Some(limits::READ_AHEAD));
        // Until little has come some times in a row; nothing, meanwhile, is no sign of anything.
        for _ in 0..PATIENCE {
            assert_eq!(looks(10), Some(10));
            assert_eq!(looks(0), None);
        }
        assert_eq!(looks(100_000), Some(LITTLE));
        assert_eq!(looks(LITTLE - 1), Some(LITTLE - 1));
        assert_eq!(looks(100_000), Some(limits::READ_AHEAD));
    }

    #[test]
    fn no_more_memory_is_kept_than_is_of_use() {
        let (mut fill, mut held) = <(Fill, Held)>::default();
        let _ = look(&mut fill, &mut held, LITTLE);
        let _ = look(&mut fill, &mut held, 20_000);
        assert_eq!(held.capacity(), limits::READ_AHEAD);
        assert_eq!(held.rest().len(), LITTLE + 20_000);
        // Nothing comes for now.
        held.take(20_000);
        assert_eq!(look(&mut fill, &mut held, 0), None);
        assert_eq!(held.capacity(), LITTLE);
        assert_eq!(held.rest(), [7; LITTLE]);
        held.take(LITTLE);
        let _ = look(&mut fill, &mut held, 20_000);
        held.take(20_000);
        fill.rest(&mut held);
        assert_eq!(held.capacity(), LITTLE);
        // And nothing is expected.
        assert_eq!(look(&mut fill, &mut held, 20_000), Some(LITTLE));
    }

    #[test]
    fn what_tls_does_not_take_is_too_long_in_the_end() {
        let (mut fill, mut held) = <(Fill, Held)>::default();
        while !is_full(&held) {
            assert!(look(&mut fill, &mut held, 5_000).is_some());
            assert!(held.capacity() <= limits::READ_AHEAD);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let polled = fill.poll(&mut held, &mut Socket(1), &mut cx);
        let Poll::Ready(Err(error)) = polled else {
            panic!("{polled:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(held.rest().len(), limits::READ_AHEAD);
    }
}
