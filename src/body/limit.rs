//! How many bytes of a body may pass, decoded and on the wire.

use std::num::NonZeroUsize;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// How many decoded bytes may pass.
pub(super) struct Limit {
    pub(super) most: Option<u64>,
    pub(super) passed: u64,
    pub(super) allow_truncated: bool,
    pub(super) was_truncated: bool,
}

impl Limit {
    /// The chunk, or what of it is within the limit.
    pub(super) fn pass(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let Some(most) = self.most else {
            self.passed = self.passed.saturating_add(chunk.len() as u64);
            return Ok(chunk);
        };
        let left = most.saturating_sub(self.passed);
        if chunk.len() as u64 > left {
            if !self.allow_truncated {
                return Err(too_large(most));
            }
            self.was_truncated = true;
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.passed += chunk.len() as u64;
        Ok(chunk)
    }

    /// Refuses a coded body that goes on and on without decoding to anything: it is no way round the
    /// limit, nor past the idle clock, which sees it come.
    pub(super) fn check_wire(&self, read: u64) -> Result<()> {
        match self.most {
            Some(most) if read > most.saturating_add(WIRE_SLACK) => Err(too_large(most)),
            // Small pieces that are flushed one by one can be larger coded than decoded.
            None if read > self.passed.saturating_mul(16).saturating_add(WIRE_SLACK) => {
                Err(Error::new(
                    ErrorKind::Decode,
                    "the body's coding goes on without decoding to anything",
                ))
            }
            _ => Ok(()),
        }
    }

    /// How much to decode at once: one byte more than may pass shows that there is more.
    pub(super) fn room(&self) -> NonZeroUsize {
        let left = self
            .most
            .map_or(u64::MAX, |most| most.saturating_sub(self.passed));
        let room = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
        NonZeroUsize::new(room).unwrap_or(NonZeroUsize::MIN)
    }
}

pub(super) fn too_large(most: u64) -> Error {
    Error::new(
        ErrorKind::ResponseTooLarge,
        format!("the body is larger than its limit of {most} bytes"),
    )
}

/// Bytes on the wire beyond the limit on decoded ones that a coding may cost: headers, checksums,
/// and stored blocks, which are at most a thousandth.
const WIRE_SLACK: u64 = 1 << 20;
