//! What has been read of a socket before TLS asks for it. rustls reads one record at a time; while
//! much comes, four large ones are fetched by one call of the system.

use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::limits;

/// Bytes that TLS takes next. There is no memory for them while nothing comes.
#[derive(Default)]
pub(super) struct ReadAhead {
    held: Vec<u8>,
    taken: usize,
    /// How many more reads may bring little before no more is believed to come.
    flows: u8,
}

impl ReadAhead {
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.held.len()
    }

    /// Reads what is held, and else `stream`: by way of here, if much is asked for or coming.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            if buf.remaining() < MUCH && self.flows == 0 {
                self.rest();
                return Pin::new(stream).poll_read(cx, buf);
            }
            ready!(self.poll_fill(stream, cx))?;
        }
        buf.put_slice(self.take(buf.remaining()));
        Poll::Ready(Ok(()))
    }

    /// Gives the memory back, if nothing is held: for the time being no more is awaited.
    pub(super) fn rest(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    #[cfg(all(test, feature = "lab"))]
    pub(super) fn holding(held: Vec<u8>) -> Self {
        Self {
            held,
            ..Self::default()
        }
    }

    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.held.clear();
        self.taken = 0;
        self.held.reserve_exact(limits::READ_AHEAD);
        let polled = pin!(stream.read_buf(&mut self.held)).poll(cx);
        match &polled {
            Poll::Ready(Ok(MUCH..)) => self.flows = PATIENCE,
            Poll::Ready(Ok(1..)) => self.flows = self.flows.saturating_sub(1),
            _ => self.held = Vec::new(),
        }
        polled.map_ok(drop)
    }

    fn take(&mut self, most: usize) -> &[u8] {
        let held = self.held.get(self.taken..).unwrap_or_default();
        let some = held.get(..most).unwrap_or(held);
        self.taken += some.len();
        some
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.take(buf.len()), buf)
    }
}

/// More than rustls asks for unless it is in the middle of large records: it begins with 4 KiB, and
/// adds as much each time until a record is whole.
const MUCH: usize = 8 << 10;

/// Over HTTP/2 what is little, a frame of its own or the end of a larger one, stands between what is
/// much.
const PATIENCE: u8 = 4;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;

    /// What a socket has at each look: bytes, of which one read takes as many as it has room for,
    /// or nothing yet. At last, its end.
    struct Socket {
        looks: VecDeque<Vec<u8>>,
        reads: usize,
    }

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            let Some(mut bytes) = self.looks.pop_front() else {
                return Poll::Ready(Ok(()));
            };
            if bytes.is_empty() {
                return Poll::Pending;
            }
            let rest = bytes.split_off(bytes.len().min(buf.remaining()));
            buf.put_slice(&bytes);
            if !rest.is_empty() {
                self.looks.push_front(rest);
            }
            Poll::Ready(Ok(()))
        }
    }

    /// Asks for so many bytes; `None` if there are none yet.
    fn ask(ahead: &mut ReadAhead, socket: &mut Socket, most: usize) -> Option<Vec<u8>> {
        let mut room = vec![0; most];
        let mut buf = ReadBuf::new(&mut room);
        let mut cx = Context::from_waker(Waker::noop());
        match ahead.poll_read(socket, &mut cx, &mut buf) {
            Poll::Ready(read) => read.map(|()| Some(buf.filled().to_vec())).unwrap(),
            Poll::Pending => None,
        }
    }

    fn socket(looks: impl IntoIterator<Item = Vec<u8>>) -> Socket {
        Socket {
            looks: looks.into_iter().collect(),
            reads: 0,
        }
    }

    #[test]
    fn bytes_come_whole_and_in_order_however_they_are_cut_and_asked_for() {
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        for piece in [777, 4096, 16_406, 65_536, 65_537, 300_000] {
            for asks in [&[4096][..], &[16_406], &[4096, 16_406], &[MUCH, 1, 99_999]] {
                // Nothing yet, after every third.
                let pieces = sent.chunks(piece).enumerate();
                let looks = pieces.flat_map(|(n, some)| {
                    let pause = (n % 3 == 2).then(Vec::new);
                    [Some(some.to_vec()), pause].into_iter().flatten()
                });
                let (mut ahead, mut socket) = (ReadAhead::default(), socket(looks));
                let mut read = Vec::new();
                for most in asks.iter().cycle() {
                    match ask(&mut ahead, &mut socket, *most) {
                        Some(some) if some.is_empty() => break,
                        Some(some) => read.extend(some),
                        None => assert_eq!(ahead.held.capacity(), 0, "nothing comes"),
                    }
                    let held = ahead.held.len() - ahead.taken;
                    assert!(held <= limits::READ_AHEAD, "{held}");
                    assert!(ahead.held.capacity() <= limits::READ_AHEAD);
                }
                assert!(read == sent, "{piece} {asks:?}");
                assert!(ahead.is_empty() && ahead.held.capacity() == 0, "at the end");
            }
        }
    }

    #[test]
    fn nothing_is_read_ahead_of_who_asks_for_little() {
        let (mut ahead, mut socket) = (ReadAhead::default(), socket([vec![7; 200_000]]));
        assert_eq!(
            ask(&mut ahead, &mut socket, MUCH - 1).unwrap().len(),
            MUCH - 1
        );
        assert!(ahead.is_empty() && ahead.held.capacity() == 0);
        // Who asks for much gets the rest of one read before another is made.
        assert_eq!(ask(&mut ahead, &mut socket, MUCH).unwrap().len(), MUCH);
        assert_eq!(socket.reads, 2);
        let held = limits::READ_AHEAD - MUCH;
        let mut read = vec![0; held - 1];
        assert_eq!(Read::read(&mut ahead, &mut read).unwrap(), held - 1);
        ahead.rest();
        assert_eq!(ask(&mut ahead, &mut socket, 4096).unwrap().len(), 1);
        assert_eq!(socket.reads, 2);
        assert!(ahead.is_empty());
        // While much comes, as much is read, whatever is asked for.
        assert_eq!(ask(&mut ahead, &mut socket, 4096).unwrap().len(), 4096);
        assert_eq!(socket.reads, 3);
        let held = limits::READ_AHEAD - 4096;
        assert_eq!(ask(&mut ahead, &mut socket, held).unwrap().len(), held);
        // And then the memory goes back.
        ahead.rest();
        assert!(ahead.is_empty() && ahead.held.capacity() == 0);
        assert_eq!(ask(&mut ahead, &mut socket, 4096).unwrap().len(), 4096);
        assert!(ahead.is_empty() && ahead.held.capacity() == 0);
    }

    #[test]
    fn little_that_comes_again_and_again_is_the_end_of_much() {
        let little = vec![2; MUCH - 1];
        let patiently = vec![little.clone(); usize::from(PATIENCE) - 1];
        let looks = [vec![vec![1; MUCH]], patiently.clone(), vec![vec![1; MUCH]]];
        let looks = looks.concat().into_iter().chain(vec![little; 5]);
        let (mut ahead, mut socket) = (ReadAhead::default(), socket(looks));
        let mut ask = |most, came, room| {
            assert_eq!(ask(&mut ahead, &mut socket, most).unwrap().len(), came);
            assert_eq!(ahead.held.capacity(), room, "{came} of {most}");
        };
        let (held, half) = (limits::READ_AHEAD, MUCH / 2);
        ask(MUCH, MUCH, held);
        for _ in &patiently {
            ask(half, half, held);
            ask(half, half - 1, held);
        }
        // Much, and all of its patience is back.
        ask(half, half, held);
        ask(half, half, held);
        for _ in 0..PATIENCE {
            ask(half, half, held);
            ask(half, half - 1, held);
        }
        ask(half, half, 0);
        ask(half, half - 1, 0);
    }
}
