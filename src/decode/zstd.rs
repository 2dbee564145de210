//! zstd (RFC 8878): every frame, with windows up to 8 MiB (RFC 9659).

use std::borrow::Cow;

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Codec, Flaw};

/// All frames of a zstd body, one after another; skippable ones among them.
pub(super) struct Zstd {
    decoder: Decoder<'static>,
    between_frames: bool,
    /// Whether the last output was filled, so that more may wait inside.
    output_was_full: bool,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, Flaw> {
        let mut decoder = Decoder::new().map_err(flaw)?;
        decoder
            .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
            .map_err(flaw)?;
        Ok(Self {
            decoder,
            between_frames: false,
            output_was_full: false,
        })
    }
}

impl Codec for Zstd {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, Flaw> {
        match input.first() {
            // The library counts calls that can do nothing, and fails at the sixteenth.
            None if !self.output_was_full || self.between_frames => return Ok(0),
            Some(first) if self.between_frames && !starts_frame(*first) => return Ok(0),
            _ => {}
        }
        let capacity = output.len();
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let result = self.decoder.run(&mut from, &mut to);
        let (read, written) = (from.pos(), to.pos());
        *input = input.get(read..).unwrap_or_default();
        // The library answers 0 when a frame has ended and all of it was written.
        self.between_frames = result.map_err(flaw)? == 0;
        self.output_was_full = written == capacity;
        Ok(written)
    }

    fn is_complete(&self) -> bool {
        self.between_frames
    }
}

/// The first byte of a frame's or a skippable frame's magic number (RFC 8878 §3.1.1, §3.1.2).
fn starts_frame(byte: u8) -> bool {
    byte == 0x28 || (0x50..=0x5f).contains(&byte)
}

fn flaw(error: std::io::Error) -> Flaw {
    Cow::Owned(error.to_string())
}

/// RFC 9659 §3: a window of no more than 8 MB, which is 2^23 bytes.
const MAX_WINDOW_LOG: u32 = 23;
