//! gzip (RFC 1952): every member, each with its header, its CRC-32 and its length checked.

use std::borrow::Cow;

use flate2::{Crc, Decompress};

use super::{Codec, Flaw, deflate};

/// All members of a gzip body, one after another.
pub(super) struct Gzip {
    state: State,
    inflater: Decompress,
    /// Of the header while it is read, of the content afterwards.
    crc: Crc,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: State::FIRST,
            inflater: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    fn header_byte(&mut self, field: Field, byte: u8) -> Result<State, Flaw> {
        // RFC 1952 §2.3.1: the header's CRC covers everything before itself.
        if !matches!(field, Field::HeaderCrc { .. }) {
            self.crc.update(&[byte]);
        }
        let next = match field {
            Field::Fixed { at, flags } => {
                let flags = fixed_byte(at, byte)?.unwrap_or(flags);
                match at {
                    9 => Field::after_fixed(flags),
                    _ => Some(Field::Fixed { at: at + 1, flags }),
                }
            }
            Field::ExtraLength { low: None, flags } => Some(Field::ExtraLength {
                low: Some(byte),
                flags,
            }),
            Field::ExtraLength {
                low: Some(low),
                flags,
            } => Field::extra(u16::from_le_bytes([low, byte]), flags),
            Field::Extra { left, flags } => Field::extra(left.saturating_sub(1), flags),
            Field::Name { flags } if byte == 0 => Field::after_name(flags),
            Field::Comment { flags } if byte == 0 => Field::after_comment(flags),
            Field::Name { .. } | Field::Comment { .. } => Some(field),
            Field::HeaderCrc { low: None } => Some(Field::HeaderCrc { low: Some(byte) }),
            Field::HeaderCrc { low: Some(low) } => {
                let [expected_low, expected_high, ..] = self.crc.sum().to_le_bytes();
                if [low, byte] != [expected_low, expected_high] {
                    return Err(Cow::Borrowed("the checksum of the header does not match"));
                }
                None
            }
        };
        Ok(match next {
            Some(field) => State::Header(field),
            None => {
                self.crc.reset();
                self.inflater.reset(false);
                State::Content
            }
        })
    }

    fn trailer(&self, [c0, c1, c2, c3, l0, l1, l2, l3]: [u8; 8]) -> Result<State, Flaw> {
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum() {
            return Err(Cow::Borrowed("the checksum of the content does not match"));
        }
        // ISIZE is the length modulo 2^32 (RFC 1952 §2.3.1), and so is `amount`, which wraps.
        if u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount() {
            return Err(Cow::Borrowed("the length of the content does not match"));
        }
        Ok(State::BetweenMembers)
    }
}

impl Codec for Gzip {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, Flaw> {
        if let State::Content = self.state {
            let (written, ended) = deflate::inflate(&mut self.inflater, input, output)?;
            self.crc.update(output.get(..written).unwrap_or_default());
            if ended {
                self.state = State::Trailer {
                    at: 0,
                    bytes: [0; 8],
                };
            }
            return Ok(written);
        }
        while let Some((&byte, rest)) = input.split_first() {
            let next = match self.state {
                State::Content => break,
                State::BetweenMembers if byte != MAGIC_1 => break,
                State::BetweenMembers => {
                    self.crc.reset();
                    self.header_byte(Field::FIRST, byte)?
                }
                State::Header(field) => self.header_byte(field, byte)?,
                State::Trailer { at, mut bytes } => {
                    if let Some(slot) = bytes.get_mut(at) {
                        *slot = byte;
                    }
                    if at + 1 < bytes.len() {
                        State::Trailer { at: at + 1, bytes }
                    } else {
                        self.trailer(bytes)?
                    }
                }
            };
            self.state = next;
            *input = rest;
        }
        Ok(0)
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::BetweenMembers)
    }
}

#[derive(Clone, Copy)]
enum State {
    Header(Field),
    Content,
    Trailer { at: usize, bytes: [u8; 8] },
    BetweenMembers,
}

impl State {
    const FIRST: Self = Self::Header(Field::FIRST);
}

/// Where in a member's header the next byte belongs (RFC 1952 §2.3).
#[derive(Clone, Copy)]
enum Field {
    Fixed { at: u8, flags: u8 },
    ExtraLength { low: Option<u8>, flags: u8 },
    Extra { left: u16, flags: u8 },
    Name { flags: u8 },
    Comment { flags: u8 },
    HeaderCrc { low: Option<u8> },
}

/// Which optional field follows; `None` is the content.
impl Field {
    const FIRST: Self = Self::Fixed { at: 0, flags: 0 };

    fn after_fixed(flags: u8) -> Option<Self> {
        if flags & FEXTRA != 0 {
            Some(Self::ExtraLength { low: None, flags })
        } else {
            Self::after_extra(flags)
        }
    }

    fn extra(left: u16, flags: u8) -> Option<Self> {
        if left > 0 {
            Some(Self::Extra { left, flags })
        } else {
            Self::after_extra(flags)
        }
    }

    fn after_extra(flags: u8) -> Option<Self> {
        if flags & FNAME != 0 {
            Some(Self::Name { flags })
        } else {
            Self::after_name(flags)
        }
    }

    fn after_name(flags: u8) -> Option<Self> {
        if flags & FCOMMENT != 0 {
            Some(Self::Comment { flags })
        } else {
            Self::after_comment(flags)
        }
    }

    fn after_comment(flags: u8) -> Option<Self> {
        (flags & FHCRC != 0).then_some(Self::HeaderCrc { low: None })
    }
}

/// Checks one of the ten bytes every member starts with; returns FLG when this is it.
fn fixed_byte(at: u8, byte: u8) -> Result<Option<u8>, Flaw> {
    match at {
        0 if byte != MAGIC_1 => Err(Cow::Borrowed("it does not start with 1f 8b")),
        1 if byte != MAGIC_2 => Err(Cow::Borrowed("a member does not start with 1f 8b")),
        2 if byte != CM_DEFLATE => Err(Cow::Owned(format!(
            "the compression method is {byte}, not 8 (deflate)"
        ))),
        // RFC 1952 §2.3.1.2: "must give an error indication if any reserved bit is non-zero".
        3 if byte & FRESERVED != 0 => {
            Err(Cow::Owned(format!("reserved flags are set: {byte:#04x}")))
        }
        3 => Ok(Some(byte)),
        // MTIME, XFL and OS say nothing about the content.
        _ => Ok(None),
    }
}

// RFC 1952 §2.3.1.
const MAGIC_1: u8 = 0x1f;
const MAGIC_2: u8 = 0x8b;
const CM_DEFLATE: u8 = 8;
const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const FRESERVED: u8 = 0b1110_0000;
