//! Bytes in a row, of which those in front are taken first.

use bytes::BufMut;

/// What was added and not yet taken.
#[derive(Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    taken: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    pub(super) fn rest_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.taken..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, count: usize) {
        self.taken += count.min(self.rest().len());
        if self.is_empty() {
            self.bytes.clear();
            self.taken = 0;
        }
    }

    /// Takes as many as there is room for in `buf`.
    pub(super) fn take_into(&mut self, buf: &mut dyn BufMut) {
        let rest = self.rest();
        let some = rest.get(..buf.remaining_mut()).unwrap_or(rest);
        buf.put_slice(some);
        self.take(some.len());
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.let_go();
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds what `write` writes to the front of so many bytes, of which it says how many it wrote.
    pub(super) fn add_up_to<E>(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.let_go();
        let before = self.bytes.len();
        self.bytes.resize(before + most, 0);
        let written = write(self.bytes.get_mut(before..).unwrap_or_default());
        let kept = *written.as_ref().unwrap_or(&0);
        self.bytes.truncate(before + kept);
        written.map(drop)
    }

    /// All, behind which there is room until they are so many.
    pub(super) fn with_room(&mut self, most: usize) -> &mut Vec<u8> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes
            .reserve_exact(most.saturating_sub(self.bytes.len()));
        &mut self.bytes
    }

    /// Gives back the memory beyond what is held, unless it is little.
    pub(super) fn give_back(&mut self) {
        self.bytes.shrink_to(LITTLE.max(self.bytes.len()));
    }

    /// Moves what is held to the front.
    fn let_go(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// As much as a connection may have for itself while nothing is under way on it.
pub(super) const LITTLE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_what_was_added_and_not_taken() {
        let mut held = Held::default();
        let (mut expected, mut most) = (Vec::new(), 0);
        for n in 0..1_000_usize {
            let bytes = vec![n as u8; n % 70];
            match n % 3 {
                0 => held.add(&bytes),
                1 => held.with_room(200).extend_from_slice(&bytes),
                _ => {
                    let write = |room: &mut [u8]| {
                        room[..bytes.len()].copy_from_slice(&bytes);
                        Ok::<_, ()>(bytes.len())
                    };
                    held.add_up_to(80, write).unwrap();
                }
            }
            expected.extend_from_slice(&bytes);
            assert_eq!(held.rest(), expected);
            assert_eq!(held.rest_mut(), expected);
            // Never all of it, but for once.
            let count = match n {
                500 => usize::MAX,
                _ => expected.len().saturating_sub(n % 7 + 1),
            };
            held.take(count);
            expected.drain(..expected.len().min(count));
            assert_eq!(held.is_empty(), expected.is_empty());
            most = most.max(held.capacity());
        }
        assert!(most < 1_000, "{most}");
    }

    #[test]
    fn what_was_not_written_is_not_added() {
        let mut held = Held::default();
        held.add(b"held");
        assert_eq!(held.add_up_to(9, |_| Err::<usize, _>("no")), Err("no"));
        assert_eq!(held.rest(), b"held");
        let mut some = [0; 3];
        held.take_into(&mut some.as_mut_slice());
        assert_eq!((&some, held.rest()), (b"hel", &b"d"[..]));
    }
}
