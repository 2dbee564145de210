//! br: Brotli (RFC 7932), without the large windows that RFC 9841 adds: a window is 16 MiB at most.

use std::borrow::Cow;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Codec, Flaw};

/// One Brotli stream.
pub(super) struct Br {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    done: bool,
}

impl Br {
    pub(super) fn new() -> Self {
        // `new` would accept windows of 1 GiB.
        let state = BrotliState::new_strict(
            StandardAlloc::default(),
            StandardAlloc::default(),
            StandardAlloc::default(),
        );
        Self { state, done: false }
    }
}

impl Codec for Br {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, Flaw> {
        if self.done {
            return Ok(0);
        }
        let (mut left, mut read) = (input.len(), 0);
        let (mut space, mut written) = (output.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut space,
            &mut written,
            output,
            &mut 0,
            &mut self.state,
        );
        *input = input.get(read..).unwrap_or_default();
        match result {
            BrotliResult::ResultFailure => Err(Cow::Owned(format!("{:?}", self.state.error_code))),
            BrotliResult::ResultSuccess => {
                self.done = true;
                Ok(written)
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(written),
        }
    }

    fn is_complete(&self) -> bool {
        self.done
    }
}
