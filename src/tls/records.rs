//! Where one record of TLS ends and the next begins. rustls does not tell whether it holds the
//! beginning of one, which nobody may take for silence.

use std::io::{self, Read};

use crate::connect::transport::Unread;

/// How far into a record the bytes of a connection have come.
#[derive(Default)]
pub(super) struct Records {
    /// Bytes of its head.
    head: usize,
    /// Its length, as far as it is known.
    length: u16,
    /// Bytes still to come, once the head is whole.
    left: usize,
}

impl Records {
    /// Whether all that has come is whole records.
    pub(super) fn are_whole(&self) -> bool {
        self.head == 0 && self.left == 0
    }

    /// What waits, where nothing more has come.
    pub(super) fn unread(&self) -> Unread {
        match self.are_whole() {
            true => Unread::Nothing,
            false => Unread::Part,
        }
    }

    /// Goes over the bytes that come next.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (_, after) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= bytes.len() - after.len();
            let (head, after) = after.split_at(after.len().min(HEAD - self.head));
            for byte in head {
                // The last two bytes are its length; those before are pushed out.
                self.length = self.length << 8 | u16::from(*byte);
            }
            self.head += head.len();
            if self.head == HEAD {
                (self.head, self.left) = (0, self.length.into());
            }
            bytes = after;
        }
    }

    /// What is read of `stream` is gone over.
    pub(super) fn of<R>(&mut self, stream: R) -> Followed<'_, R> {
        Followed {
            records: self,
            stream,
        }
    }
}

/// A stream of records that is followed where it is read.
pub(super) struct Followed<'a, R> {
    pub(super) records: &'a mut Records,
    stream: R,
}

impl<R: Read> Read for Followed<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buf)?;
        self.records.pass(buf.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A record's type, version and length (RFC 8446 §5.1, RFC 5246 §6.2.1).
const HEAD: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole_where_one_has_ended_and_none_begun() {
        let record = |length: u16| {
            let [high, low] = length.to_be_bytes();
            let mut record = vec![23, 3, 3, high, low];
            // As if heads were in it.
            record.extend([23, 3, 3, 0, 0].iter().cycle().take(length.into()));
            record
        };
        let lengths = [0, 1, 4, 5, 6, 255, 256, 257, 16_640, 0, 0, 65_535, 2];
        let wire = lengths.map(record);
        let ends = wire.iter().scan(0, |end, record| {
            *end += record.len();
            Some(*end)
        });
        let ends: Vec<_> = ends.collect();
        let wire = wire.concat();
        for piece in [1, 2, 3, 4, 5, 6, 7, 11, 4_096, 16_406, 70_000, wire.len()] {
            let mut records = Records::default();
            let mut followed = 0;
            assert!(records.are_whole());
            for bytes in wire.chunks(piece) {
                records.pass(bytes);
                followed += bytes.len();
                let expected = ends.contains(&followed);
                assert_eq!(records.are_whole(), expected, "{followed} by {piece}");
            }
        }
    }

    #[test]
    fn what_is_read_is_gone_over() {
        let wire = [22, 3, 1, 0, 3, 7, 7, 7, 21];
        let mut records = Records::default();
        let mut stream = records.of(wire.as_slice());
        for (room, read, whole) in [(0, 0, true), (7, 7, false), (1, 1, true), (9, 1, false)] {
            assert_eq!(stream.read(&mut vec![0; room]).unwrap(), read);
            assert_eq!(stream.records.are_whole(), whole, "{room}");
        }
    }
}
