//! deflate: the zlib format (RFC 1950), as RFC 9110 §8.4.1.2 means it, or the raw one (RFC 1951)
//! that some servers send.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Codec, Flaw};

/// A zlib or raw deflate body, told apart by its first two bytes.
pub(super) struct Deflate {
    state: State,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self {
            state: State::Unknown { first: None },
        }
    }
}

impl Codec for Deflate {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, Flaw> {
        match &mut self.state {
            State::Unknown { first } => {
                let Some((&byte, rest)) = input.split_first() else {
                    return Ok(0);
                };
                let Some(first) = *first else {
                    *first = Some(byte);
                    *input = rest;
                    return Ok(0);
                };
                let mut inflater = Decompress::new(is_zlib(first, byte));
                // One byte of a header decodes to nothing.
                inflate(&mut inflater, &mut [first].as_slice(), output)?;
                self.state = State::Inflating(inflater);
                self.step(input, output)
            }
            State::Inflating(inflater) => {
                let (written, ended) = inflate(inflater, input, output)?;
                if ended {
                    self.state = State::Done;
                }
                Ok(written)
            }
            State::Done => Ok(0),
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

enum State {
    Unknown { first: Option<u8> },
    Inflating(Decompress),
    Done,
}

/// RFC 1950 §2.2: CM is 8, CINFO at most 7, and the two bytes are a multiple of 31.
///
/// As raw deflate, a low nibble of 8 would be a stored block with padding bits set, which no
/// encoder writes.
fn is_zlib(cmf: u8, flg: u8) -> bool {
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]) % 31 == 0
}

/// One step of `inflater`: how much it wrote, and whether the stream ended.
pub(super) fn inflate(
    inflater: &mut Decompress,
    input: &mut &[u8],
    output: &mut [u8],
) -> Result<(usize, bool), Flaw> {
    let (read_before, written_before) = (inflater.total_in(), inflater.total_out());
    let status = inflater
        .decompress(input, output, FlushDecompress::None)
        .map_err(|error| {
            Cow::Borrowed(match error.needs_dictionary() {
                Some(_) => "it needs a preset dictionary",
                None => "the deflate data is corrupt",
            })
        })?;
    // Both differences are bounded by the slices given.
    let read = (inflater.total_in() - read_before) as usize;
    let written = (inflater.total_out() - written_before) as usize;
    *input = input.get(read..).unwrap_or_default();
    Ok((written, status == Status::StreamEnd))
}
