//! The frames of an h2 connection as they come in (RFC 9113 §4.1), for what the codec keeps to
//! itself: how many interim responses a stream has had, over which it passes one by one for as long
//! as the peer sends them, and whether anything of a response comes at all.

use std::collections::BTreeMap;

use super::framing::Doubt;
use crate::limits;

/// Where in a frame the peer is, and what came on the streams that wait for their response.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What is there of a frame's head: length, type, flags and stream.
    head: Vec<u8>,
    /// How much of its payload is to come.
    payload: usize,
    /// How many HEADERS frames came on each stream that has had no more than them.
    heads: BTreeMap<u32, usize>,
    /// Frames of responses: what says more than that somebody is there.
    answers: u64,
}

impl Frames {
    /// How many frames of responses have come.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// Takes note of what was read.
    ///
    /// # Errors
    ///
    /// [`Doubt::EndlessInterim`] at a head too many on one stream. Which head is the last one HPACK
    /// knows: it is let be, and so one interim response more than over HTTP/1.1 if no body follows.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Doubt> {
        while !bytes.is_empty() {
            let (payload, rest) = bytes.split_at(self.payload.min(bytes.len()));
            self.payload -= payload.len();
            let (head, rest) = rest.split_at(rest.len().min(HEAD - self.head.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            let &[a, b, c, kind, flags, d, e, f, g] = self.head.as_slice() else {
                continue;
            };
            self.head.clear();
            self.payload = u32::from_be_bytes([0, a, b, c]) as usize;
            // The first bit is reserved (§4.1).
            self.frame(kind, flags, u32::from_be_bytes([d, e, f, g]) & !(1 << 31))?;
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32) -> Result<(), Doubt> {
        self.answers += u64::from(matches!(kind, HEADERS | DATA | RST_STREAM | CONTINUATION));
        match kind {
            HEADERS if flags & END_STREAM == 0 => {
                let heads = self.heads.entry(stream).or_default();
                *heads += 1;
                // Interim ones, and the last one.
                if *heads > limits::INTERIM_RESPONSES + 1 {
                    return Err(Doubt::EndlessInterim);
                }
                // Streams that we gave up leave their count behind.
                if self.heads.len() > MOST_STREAMS {
                    self.heads.pop_first();
                }
            }
            // After the first DATA nothing but trailers may follow (§8.1), and they end the stream.
            HEADERS | DATA | RST_STREAM => _ = self.heads.remove(&stream),
            _ => {}
        }
        Ok(())
    }
}

const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Streams that are counted at once: far more than peers let us open.
const MOST_STREAMS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, flags];
        // With the reserved bit, which says nothing.
        frame.extend([0x80, 0, 0, stream]);
        frame.resize(HEAD + payload, HEADERS);
        frame
    }

    /// Whether the frames pass, however they are cut into reads.
    fn pass(frames: &[Vec<u8>]) -> bool {
        let bytes = frames.concat();
        let whole = Frames::default().read(&bytes).is_ok();
        for size in 1..20 {
            let mut cut = Frames::default();
            let passes = bytes.chunks(size).all(|bytes| cut.read(bytes).is_ok());
            assert_eq!(passes, whole, "{size}");
        }
        whole
    }

    #[test]
    fn heads_are_counted_on_each_stream_until_its_body() {
        let most = limits::INTERIM_RESPONSES + 1;
        let heads = |count, stream| vec![frame(HEADERS, 4, stream, 300); count];
        let data = vec![frame(DATA, 0, 1, 3)];
        let last = vec![frame(HEADERS, 4 | END_STREAM, 1, 0)];
        let reset = vec![frame(RST_STREAM, 0, 1, 4)];
        // CONTINUATION, PING, SETTINGS: no heads of their own.
        let others = [9, 6, 4]
            .map(|kind| vec![frame(kind, 4, 1, 8); 50])
            .concat();
        assert!(pass(&heads(most, 1)));
        assert!(!pass(&heads(most + 1, 1)));
        assert!(pass(&[heads(most, 1), heads(most, 3)].concat()));
        assert!(pass(
            &[heads(most, 1), others.clone(), last.clone()].concat()
        ));
        assert!(!pass(&[heads(most, 1), others, heads(1, 1)].concat()));
        for end in [data, last, reset] {
            assert!(pass(
                &[heads(most, 1), end.clone(), heads(most, 1)].concat()
            ));
            assert!(!pass(&[end, heads(most + 1, 1)].concat()));
        }
    }

    #[test]
    fn what_is_no_response_is_not_counted_as_one() {
        // DATA, HEADERS, RST_STREAM and CONTINUATION (RFC 9113 §6).
        for kind in 0..=u8::MAX {
            let mut frames = Frames::default();
            frames.read(&frame(kind, 0, 1, 10)).unwrap();
            frames.read(&frame(kind, 0, 1, 0)).unwrap();
            let expected = if [0, 1, 3, 9].contains(&kind) { 2 } else { 0 };
            assert_eq!(frames.answers(), expected, "{kind}");
        }
    }

    #[test]
    fn streams_that_were_given_up_do_not_pile_up() {
        let mut frames = Frames::default();
        for stream in 0..3 * MOST_STREAMS as u32 {
            frames.frame(HEADERS, 0, stream).unwrap();
            assert!(frames.heads.len() <= MOST_STREAMS);
        }
    }
}
