//! Content codings: the bytes a server compressed become the bytes it meant (RFC 9110 §8.4).
//!
//! Pure: [`Decoder::decode`] takes what has arrived and hands out at most [`MAX_CHUNK`] bytes a
//! call, so that a decompression bomb costs the memory of one chunk and the body above can stop at
//! its limit. A body that ends early, goes on after its end or fails a checksum is an error, never
//! a shorter body.
//!
//! Besides the chunk, a decoder holds its window: 32 KiB for gzip and deflate, 16 MiB for br (RFC
//! 7932 §9.1), 8 MiB for zstd (RFC 9659 §3). A server may send headers, comments and empty members
//! that decode to nothing; they are skipped in constant memory, and the limits on wire bytes and on
//! time end them.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};

#[cfg(feature = "br")]
mod br;
#[cfg(feature = "gzip")]
mod deflate;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

/// What to send as `Accept-Encoding`: the codings this build can decode, or `None` if there are
/// none.
pub(crate) fn accept_encoding() -> Option<&'static HeaderValue> {
    static ACCEPTED: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
        let built: Vec<_> = Coding::ALL
            .iter()
            .filter(|coding| coding.is_built())
            .map(|coding| coding.name())
            .collect();
        if built.is_empty() {
            return None;
        }
        HeaderValue::from_str(&built.join(", ")).ok()
    });
    ACCEPTED.as_ref()
}

/// Decodes one response body.
pub(crate) struct Decoder {
    coding: Coding,
    codec: Box<dyn Codec + Send + Sync>,
    /// Zeroed space for the next chunks, which are split off its front.
    room: BytesMut,
    /// How much of it was made last time.
    room_made: usize,
    /// False until the first byte of input.
    started: bool,
    failed: Option<DecodeError>,
}

impl Decoder {
    /// The decoder that `Content-Encoding` asks for; `None` if the body is sent as it is.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownCoding`], [`DecodeError::CodingNotBuilt`], and
    /// [`DecodeError::SeveralCodings`]: one layer is what servers send, and each further one
    /// multiplies what a bomb can unfold to.
    pub(crate) fn for_headers(headers: &HeaderMap) -> Result<Option<Self>, DecodeError> {
        // RFC 9110 §5.3 and §5.6.1: repeated fields are one list, and its empty elements are
        // ignored. `identity` should not be sent (§8.4.1), and means nothing if it is.
        let mut named = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        let Some(name) = named.next() else {
            return Ok(None);
        };
        if named.next().is_some() {
            return Err(DecodeError::SeveralCodings);
        }
        let coding =
            Coding::from_name(name).ok_or_else(|| DecodeError::UnknownCoding(shown(name)))?;
        Ok(Some(Self {
            coding,
            codec: coding.codec()?,
            room: BytesMut::new(),
            room_made: 0,
            started: false,
            failed: None,
        }))
    }

    /// Takes from `input` and returns at most `limit` bytes, and never more than [`MAX_CHUNK`].
    ///
    /// An empty chunk means that all of `input` was taken and nothing is left to hand out: give it
    /// more, or [`finish`](Self::finish). Until then call again, also with an empty `input`. A body
    /// that may not be longer than some number of bytes asks for one more than the rest of it, to
    /// learn whether it is longer.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Broken`] and [`DecodeError::TrailingData`], after the chunks that came before
    /// it were handed out. An error is final: each later call repeats it.
    pub(crate) fn decode(
        &mut self,
        input: &mut Bytes,
        limit: NonZeroUsize,
    ) -> Result<Bytes, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.room.is_empty() {
            let wanted = input.len().saturating_mul(USUAL_RATIO);
            self.room_made = wanted.max(self.room_made * 2).clamp(MIN_ROOM, MAX_CHUNK);
            self.room = BytesMut::zeroed(self.room_made);
        }
        let end = limit.get().min(self.room.len());
        let mut written = 0;
        while written < end {
            let mut rest: &[u8] = input;
            let space = self.room.get_mut(written..end).unwrap_or_default();
            let step = self.codec.step(&mut rest, space);
            let taken = input.len() - rest.len();
            input.advance(taken);
            self.started |= taken > 0;
            match step {
                Ok(0) if taken == 0 => break,
                Ok(more) => written += more,
                Err(detail) => {
                    self.failed = Some(DecodeError::Broken {
                        coding: self.coding,
                        detail,
                    });
                    break;
                }
            }
        }
        if written == 0 {
            if self.failed.is_none() && !input.is_empty() {
                self.failed = Some(self.stuck());
            }
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
        }
        Ok(self.room.split_to(written).freeze())
    }

    /// Says whether the body may end here: at the end of the coded data, or before its first byte.
    ///
    /// A body of no bytes at all counts as empty although no coding has such a form: servers send
    /// `Content-Encoding` with `Content-Length: 0`, and curl, reqwest and Go's net/http accept it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], or the error that [`decode`](Self::decode) gave.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if !self.started || self.codec.is_complete() => Ok(()),
            None => Err(DecodeError::Truncated(self.coding)),
        }
    }

    /// Why a codec leaves input alone although it has space to write to.
    fn stuck(&self) -> DecodeError {
        if self.codec.is_complete() {
            return DecodeError::TrailingData(self.coding);
        }
        DecodeError::Broken {
            coding: self.coding,
            detail: Cow::Borrowed("the decoder made no progress"),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("coding", &self.coding)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Why a body cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// `Content-Encoding` names something this crate does not know; escaped and cut.
    UnknownCoding(String),
    /// `Content-Encoding` names a coding whose cargo feature is off.
    CodingNotBuilt(Coding),
    /// More than one coding was applied.
    SeveralCodings,
    /// The bytes are not what the coding allows, or a checksum failed.
    Broken { coding: Coding, detail: Flaw },
    /// The body ended before the coded data did.
    Truncated(Coding),
    /// The body goes on after the end of the coded data.
    ///
    /// That holds for the zeros which gzip(1) forgives at the end of a tape too: on the web they
    /// are a sign of a mixed-up length. reqwest and Go's net/http refuse them as well; browsers
    /// ignore what follows.
    TrailingData(Coding),
}

impl std::error::Error for DecodeError {}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCoding(name) => write!(
                f,
                "the response has the unknown Content-Encoding \"{name}\""
            ),
            Self::CodingNotBuilt(coding) => write!(
                f,
                "the response has the Content-Encoding \"{coding}\", which this build cannot decode: the cargo feature `{}` is off",
                coding.feature()
            ),
            Self::SeveralCodings => f.write_str(
                "the response has more than one Content-Encoding; at most one is decoded",
            ),
            Self::Broken { coding, detail } => write!(f, "the {coding} body is broken: {detail}"),
            Self::Truncated(coding) => write!(f, "the body ended before its {coding} data did"),
            Self::TrailingData(coding) => {
                write!(f, "the body goes on after the end of its {coding} data")
            }
        }
    }
}

/// A content coding this crate knows, built in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Br,
    Zstd,
}

impl Coding {
    const ALL: [Self; 4] = [Self::Gzip, Self::Deflate, Self::Br, Self::Zstd];

    /// Codings are case-insensitive (RFC 9110 §8.4.1), and `x-gzip` is `gzip` (§8.4.1.3).
    fn from_name(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    fn feature(self) -> &'static str {
        match self {
            Self::Gzip | Self::Deflate => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    fn is_built(self) -> bool {
        match self {
            Self::Gzip | Self::Deflate => cfg!(feature = "gzip"),
            Self::Br => cfg!(feature = "br"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    fn codec(self) -> Result<Box<dyn Codec + Send + Sync>, DecodeError> {
        let codec: Option<Box<dyn Codec + Send + Sync>> = match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Some(Box::new(gzip::Gzip::new())),
            #[cfg(feature = "gzip")]
            Self::Deflate => Some(Box::new(deflate::Deflate::new())),
            #[cfg(feature = "br")]
            Self::Br => Some(Box::new(br::Br::new())),
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let codec = zstd::Zstd::new();
                Some(Box::new(codec.map_err(|detail| DecodeError::Broken {
                    coding: self,
                    detail,
                })?))
            }
            #[cfg(not(all(feature = "gzip", feature = "br", feature = "zstd")))]
            _ => None,
        };
        codec.ok_or(DecodeError::CodingNotBuilt(self))
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One coding's state machine, fed by [`Decoder::decode`].
trait Codec {
    /// Takes from the front of `input` and writes to the front of `output`, which is not empty;
    /// returns how much was written. Taking and writing nothing says that it wants more input or,
    /// when there is input, that what is there does not belong to the coded data.
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, Flaw>;

    /// Whether the coded data may end here, everything written.
    fn is_complete(&self) -> bool;
}

/// What is wrong with the coded bytes.
type Flaw = Cow<'static, str>;

/// A name out of a header, fit for a message.
fn shown(name: &[u8]) -> String {
    let cut = name.get(..MAX_SHOWN).unwrap_or(name);
    cut.escape_ascii().to_string()
}

/// The most a call hands out: two deflate windows, large enough that the cost of a call does not
/// show.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

/// The space for chunks starts small and doubles, so that a small body costs little.
const MIN_ROOM: usize = 4 * 1024;

/// What text usually unfolds by; the space for chunks is sized by it.
const USUAL_RATIO: usize = 4;

/// The longest name in IANA's registry, `pack200-gzip`, has 12 characters; this much shows what was
/// meant instead.
const MAX_SHOWN: usize = 32;

#[cfg(test)]
#[cfg(all(feature = "gzip", feature = "br", feature = "zstd"))]
mod tests {
    use std::io::Write;

    use super::*;

    /// What every body in these tests says.
    fn plain() -> Vec<u8> {
        (0..40)
            .flat_map(|line| format!("line {line} of the text\n").into_bytes())
            .collect()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(content: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(content: &[u8], level: u32) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// A frame that announces a window of 2^`log` bytes.
    fn zstd_with_window(log: u32) -> Vec<u8> {
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(b"x").unwrap();
        encoder.finish().unwrap()
    }

    /// `plain()`, by Node's zlib.brotliCompressSync.
    const BR: &[u8] =
        b"\x1b\x15\x03\x20\x1c\xa9\x53\x9f\x3b\x9e\x8a\x87\xa4\x03\x6c\x5e\x8f\xfa\x12\xa4\
        \x0c\xaf\x14\xe8\x08\x17\xe7\xdc\x3d\x0e\x2d\xf1\x80\x22\x1c\x4c\xe4\xe6\x71\xd1\
        \xe5\x1b\x4f\xbd\x67\xfa\xdf\x59\x00\x84\x60\x04\x8d\xc1\xe2\x2a\x16\x34\x20\x4a\
        \xb2\xa2\xd6\x68\x71\x89\x25\x88\x92\xac\xa8\x35\x5a\x5c\x52\x09\xa2\x24\x2b\x6a\
        \x8d\x76\x1e";

    /// 16 MiB of "a".
    const BR_BOMB: &[u8] =
        b"\xcb\xff\xff\x3f\xf8\x25\xc2\xe2\xb1\x40\x20\xf7\xfe\x2f\xff\xff\xff\xf0\x4b\x00\xc4\
        \x61\x11\x80\xee\xfd\x1f";

    /// "hello hello hello" with a window of 256 MiB (RFC 9841).
    const BR_LARGE_WINDOW: &[u8] =
        b"\x11\x1c\x20\x00\x02\x68\x65\x6c\x6c\x6f\x20\x68\x65\x6c\x6c\x6f\x20\x68\x65\x6c\x6c\x6f\x03";

    /// Every form a body can have, with what it is called and whether it carries a checksum.
    fn forms() -> [(&'static str, Vec<u8>, bool); 6] {
        [
            ("gzip", gzip(&plain()), true),
            ("deflate", zlib(&plain()), true),
            ("deflate", raw_deflate(&plain(), 6), false),
            ("deflate", raw_deflate(&plain(), 0), false),
            ("br", BR.to_vec(), false),
            ("zstd", zstd(&plain()), true),
        ]
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (CONTENT_ENCODING, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn decoder(coding: &str) -> Decoder {
        Decoder::for_headers(&headers(&[coding])).unwrap().unwrap()
    }

    /// Decodes `coded`, which arrives `step` bytes at a time, by calls for at most `limit` bytes;
    /// returns what came out, and how it ended.
    fn decode(
        coding: &str,
        coded: &[u8],
        step: usize,
        limit: usize,
    ) -> (Vec<u8>, Result<(), DecodeError>) {
        let mut decoder = decoder(coding);
        let mut out = Vec::new();
        let limit = NonZeroUsize::new(limit).unwrap();
        for part in coded.chunks(step) {
            let mut input = Bytes::copy_from_slice(part);
            loop {
                match decoder.decode(&mut input, limit) {
                    Ok(chunk) if chunk.is_empty() => break,
                    Ok(chunk) => {
                        assert!(chunk.len() <= limit.get().min(MAX_CHUNK));
                        out.extend_from_slice(&chunk);
                    }
                    Err(error) => {
                        assert_eq!(
                            decoder.decode(&mut input, limit),
                            Err(error.clone()),
                            "an error is final"
                        );
                        assert_eq!(decoder.finish(), Err(error.clone()), "an error is final");
                        return (out, Err(error));
                    }
                }
            }
            assert!(
                input.is_empty(),
                "an empty chunk says that all input was taken"
            );
        }
        (out, decoder.finish())
    }

    fn decode_all(coding: &str, coded: &[u8]) -> (Vec<u8>, Result<(), DecodeError>) {
        decode(coding, coded, usize::MAX, MAX_CHUNK)
    }

    #[test]
    fn which_decoder() {
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&[""][..], Ok(None)),
            (&["identity"][..], Ok(None)),
            (&["identity, , Identity"][..], Ok(None)),
            (&["gzip"][..], Ok(Some(Coding::Gzip))),
            (&["GZip"][..], Ok(Some(Coding::Gzip))),
            (&["x-gzip"][..], Ok(Some(Coding::Gzip))),
            (&["deflate"][..], Ok(Some(Coding::Deflate))),
            (&["\tbr "][..], Ok(Some(Coding::Br))),
            (&["identity, zstd,"][..], Ok(Some(Coding::Zstd))),
            (&["identity", "zstd"][..], Ok(Some(Coding::Zstd))),
            (&["gzip, gzip"][..], Err(DecodeError::SeveralCodings)),
            (&["gzip", "br"][..], Err(DecodeError::SeveralCodings)),
            (&["gzip, nonsense"][..], Err(DecodeError::SeveralCodings)),
            (
                &["compress"][..],
                Err(DecodeError::UnknownCoding("compress".into())),
            ),
            (
                &["gzip br"][..],
                Err(DecodeError::UnknownCoding("gzip br".into())),
            ),
            (
                &["gzip;q=1"][..],
                Err(DecodeError::UnknownCoding("gzip;q=1".into())),
            ),
            (
                &["é\""][..],
                Err(DecodeError::UnknownCoding("\\xc3\\xa9\\\"".into())),
            ),
        ] {
            let found = Decoder::for_headers(&headers(values))
                .map(|decoder| decoder.map(|decoder| decoder.coding));
            assert_eq!(found, expected, "{values:?}");
        }
        let long = Decoder::for_headers(&headers(&["x".repeat(5000).as_str()])).unwrap_err();
        assert_eq!(long, DecodeError::UnknownCoding("x".repeat(MAX_SHOWN)));
        assert_eq!(accept_encoding().unwrap(), "gzip, deflate, br, zstd");
    }

    #[test]
    fn however_it_arrives_and_is_asked_for() {
        for (coding, coded, _) in forms() {
            for step in [1, 2, 3, 10, 100, usize::MAX] {
                for limit in [1, 7, 790, MAX_CHUNK, usize::MAX] {
                    let (out, end) = decode(coding, &coded, step, limit);
                    assert_eq!(end, Ok(()), "{coding} {step} {limit}");
                    assert!(out == plain(), "{coding} {step} {limit}");
                }
            }
        }
    }

    #[test]
    fn large_content() {
        let mut random = Random(1);
        // Both what compresses and what does not, across many windows and chunks.
        let content: Vec<u8> = (0..1_000_000u32)
            .map(|at| {
                if at & 0x1_0000 == 0 {
                    random.byte()
                } else {
                    b'x'
                }
            })
            .collect();
        for (coding, coded) in [
            ("gzip", gzip(&content)),
            ("deflate", zlib(&content)),
            ("zstd", zstd(&content)),
        ] {
            for step in [1000, 16 * 1024, usize::MAX] {
                let (out, end) = decode(coding, &coded, step, usize::MAX);
                assert_eq!(end, Ok(()), "{coding}");
                assert!(out == content, "{coding}");
            }
        }
    }

    #[test]
    fn no_input_is_an_empty_body() {
        for (coding, _, _) in forms() {
            assert_eq!(decode_all(coding, b""), (vec![], Ok(())), "{coding}");
            let mut decoder = decoder(coding);
            assert!(
                decoder
                    .decode(&mut Bytes::new(), NonZeroUsize::MIN)
                    .unwrap()
                    .is_empty()
            );
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn empty_content() {
        for (coding, coded) in [
            ("gzip", gzip(b"")),
            ("deflate", zlib(b"")),
            ("deflate", raw_deflate(b"", 6)),
            ("br", b"\x3b".to_vec()),
            ("zstd", zstd(b"")),
        ] {
            assert_eq!(decode(coding, &coded, 1, 1), (vec![], Ok(())), "{coding}");
        }
    }

    #[test]
    fn truncated_anywhere() {
        for (coding, coded, _) in forms() {
            for length in 1..coded.len() {
                for step in [1, usize::MAX] {
                    let (out, end) = decode(coding, &coded[..length], step, usize::MAX);
                    assert!(plain().starts_with(&out), "{coding} {length}");
                    let named = Coding::from_name(coding.as_bytes()).unwrap();
                    assert_eq!(end, Err(DecodeError::Truncated(named)), "{coding} {length}");
                }
            }
        }
    }

    #[test]
    fn anything_after_the_end() {
        for (coding, coded, _) in forms() {
            for tail in [&b"\0"[..], b"\r\n", b"<!-- -->", &[0; 512]] {
                for step in [1, coded.len(), usize::MAX] {
                    let body = [&coded, tail].concat();
                    let (out, end) = decode(coding, &body, step, usize::MAX);
                    assert!(out == plain(), "{coding}");
                    let named = Coding::from_name(coding.as_bytes()).unwrap();
                    assert_eq!(
                        end,
                        Err(DecodeError::TrailingData(named)),
                        "{coding} {step} {tail:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn members_and_frames() {
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        for (coding, parts) in [
            (
                "gzip",
                vec![gzip(b"one "), gzip(b""), gzip(b"two "), gzip(b"three")],
            ),
            (
                "zstd",
                vec![
                    skippable.clone(),
                    zstd(b"one "),
                    zstd(b""),
                    zstd(b"two "),
                    skippable,
                    zstd(b"three"),
                ],
            ),
        ] {
            let coded = parts.concat();
            for step in [1, 5, usize::MAX] {
                for limit in [1, MAX_CHUNK] {
                    assert_eq!(
                        decode(coding, &coded, step, limit),
                        (b"one two three".to_vec(), Ok(())),
                        "{coding}"
                    );
                }
            }
            let (_, end) = decode_all(coding, &coded[..coded.len() - 1]);
            assert!(matches!(end, Err(DecodeError::Truncated(_))), "{coding}");
            let first = parts[0].len();
            let (_, end) = decode_all(coding, &coded[..first + 1]);
            assert!(matches!(end, Err(DecodeError::Truncated(_))), "{coding}");
        }
    }

    #[test]
    fn a_bomb_costs_one_chunk_a_call() {
        let zeros = vec![0; 16 << 20];
        for (coding, coded) in [
            ("gzip", gzip(&zeros)),
            ("deflate", zlib(&zeros)),
            ("br", BR_BOMB.to_vec()),
            ("zstd", zstd(&zeros)),
        ] {
            assert!(coded.len() < 20_000, "{coding}: {}", coded.len());
            let mut decoder = decoder(coding);
            let mut input = Bytes::from(coded);
            let mut out = 0;
            for call in 0..20 {
                let chunk = decoder.decode(&mut input, NonZeroUsize::MAX).unwrap();
                assert!(
                    (1..=MAX_CHUNK).contains(&chunk.len()),
                    "{coding} call {call}: {}",
                    chunk.len()
                );
                out += chunk.len();
            }
            let rest = NonZeroUsize::new(out + 10).unwrap();
            assert!(decoder.decode(&mut input, rest).unwrap().len() <= MAX_CHUNK);
            assert_eq!(
                decoder.decode(&mut input, NonZeroUsize::MIN).unwrap().len(),
                1,
                "{coding}"
            );
            assert!(
                matches!(decoder.finish(), Err(DecodeError::Truncated(_))),
                "{coding}: there is more"
            );
        }
    }

    #[test]
    fn corruption_is_found_and_never_panics() {
        let mut random = Random(2);
        for (coding, coded, has_checksum) in forms() {
            for _ in 0..1000 {
                let mut body = coded.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(body.len());
                    match random.below(3) {
                        0 => body[at] ^= 1 << random.below(8),
                        1 => body[at] = random.byte(),
                        _ => body.insert(at, random.byte()),
                    }
                }
                let (out, end) =
                    decode(coding, &body, 1 + random.below(200), 1 + random.below(2000));
                // gzip's MTIME, XFL and OS may say anything.
                assert!(
                    !has_checksum || end.is_err() || out == plain(),
                    "{coding} {body:02x?}"
                );
            }
        }
    }

    #[test]
    fn noise_never_panics() {
        let mut random = Random(3);
        for (coding, coded, _) in forms() {
            for _ in 0..1000 {
                // A good start gets further into the decoder.
                let mut body = coded[..random.below(20)].to_vec();
                body.extend((0..random.below(400)).map(|_| random.byte()));
                let mut decoder = decoder(coding);
                let mut input = Bytes::from(body);
                for _ in 0..100 {
                    if decoder
                        .decode(&mut input, NonZeroUsize::MAX)
                        .map_or(true, |chunk| chunk.is_empty())
                    {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn windows() {
        assert_eq!(
            decode_all("zstd", &zstd_with_window(23)),
            (b"x".to_vec(), Ok(()))
        );
        let (_, end) = decode_all("zstd", &zstd_with_window(24));
        assert_eq!(
            end.unwrap_err().to_string(),
            "the zstd body is broken: Frame requires too much memory for decoding"
        );
        let (_, end) = decode_all("br", BR_LARGE_WINDOW);
        assert!(
            matches!(
                end,
                Err(DecodeError::Broken {
                    coding: Coding::Br,
                    ..
                })
            ),
            "{end:?}"
        );
    }

    #[test]
    fn raw_deflate_that_looks_like_zlib_at_first() {
        // A stored block whose padding bits spell CM 8 and CINFO 7 (RFC 1951 §3.2.4), and a last,
        // empty one.
        let body = b"\x78\x05\0\xfa\xffhello\x01\0\0\xff\xff";
        assert_eq!(decode_all("deflate", body), (b"hello".to_vec(), Ok(())));
    }

    #[test]
    fn a_preset_dictionary_is_not_ours() {
        let mut body = zlib(&plain());
        // FDICT, the header's check made good, and a dictionary's Adler-32 (RFC 1950 §2.2).
        body.splice(0..2, [0x78, 0xbb, 1, 2, 3, 4]);
        let (_, end) = decode_all("deflate", &body);
        assert!(
            matches!(
                end,
                Err(DecodeError::Broken {
                    coding: Coding::Deflate,
                    ..
                })
            ),
            "{end:?}"
        );
    }

    #[test]
    fn gzip_headers() {
        fn member(flags: u8, fields: &[u8]) -> Vec<u8> {
            let plain = gzip(&plain());
            [&plain[..3], &[flags], &plain[4..10], fields, &plain[10..]].concat()
        }
        /// With the CRC-16 of the header in front of the content.
        fn checked(flags: u8, fields: &[u8]) -> Vec<u8> {
            let mut crc = flate2::Crc::new();
            crc.update(&member(flags, fields)[..10 + fields.len()]);
            member(flags, &[fields, &crc.sum().to_le_bytes()[..2]].concat())
        }
        let bad = |detail| {
            Err(DecodeError::Broken {
                coding: Coding::Gzip,
                detail: Flaw::Borrowed(detail),
            })
        };
        let header_checksum = "the checksum of the header does not match";
        for (name, body, expected) in [
            ("text", member(1, b""), Ok(())),
            ("extra", member(4, b"\x03\0abc"), Ok(())),
            ("empty extra", member(4, b"\0\0"), Ok(())),
            (
                "long extra",
                member(4, &[&b"\xff\xff"[..], &[7; 0xffff]].concat()),
                Ok(()),
            ),
            ("name", member(8, b"file\0"), Ok(())),
            ("empty name", member(8, b"\0"), Ok(())),
            ("comment", member(16, b"words\0"), Ok(())),
            ("all", checked(31, b"\x02\0abfile\0words\0"), Ok(())),
            ("checksum", checked(2, b""), Ok(())),
            ("bad checksum", member(2, b"\0\0"), bad(header_checksum)),
            (
                "bad checksum of all",
                member(31, b"\x02\0abfile\0words\0\0\0"),
                bad(header_checksum),
            ),
            (
                "all, then another with a checksum",
                [checked(31, b"\x02\0abfile\0words\0"), checked(2, b"")].concat(),
                Ok(()),
            ),
            ("not gzip", plain(), bad("it does not start with 1f 8b")),
            ("zlib", zlib(&plain()), bad("it does not start with 1f 8b")),
            (
                "half a magic",
                b"\x1f\x8c".to_vec(),
                bad("a member does not start with 1f 8b"),
            ),
        ] {
            for step in [1, usize::MAX] {
                let (out, end) = decode("gzip", &body, step, usize::MAX);
                assert_eq!(end, expected, "{name}");
                assert!(
                    end.is_err() || out.chunks(790).all(|content| content == plain()),
                    "{name}"
                );
            }
        }
        let message = |body: &[u8]| decode_all("gzip", body).1.unwrap_err().to_string();
        assert_eq!(
            message(&member(0x20, b"")),
            "the gzip body is broken: reserved flags are set: 0x20"
        );
        let mut body = member(0, b"");
        body[2] = 7;
        assert_eq!(
            message(&body),
            "the gzip body is broken: the compression method is 7, not 8 (deflate)"
        );
    }

    #[test]
    fn gzip_trailers() {
        let good = gzip(&plain());
        let length = good.len();
        for (at, detail) in [
            (8, "checksum"),
            (5, "checksum"),
            (4, "length"),
            (1, "length"),
        ] {
            let mut body = good.clone();
            body[length - at] ^= 1;
            let (out, end) = decode_all("gzip", &body);
            assert!(out == plain());
            let expected =
                format!("the gzip body is broken: the {detail} of the content does not match");
            assert_eq!(end.unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_body_can_move_between_threads() {
        fn is_send_and_sync<T: Send + Sync>() {}
        is_send_and_sync::<Decoder>();
    }

    /// xorshift64: the same bytes in every run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn byte(&mut self) -> u8 {
            (self.next() >> 32) as u8
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() >> 20) as usize % end
        }
    }
}

#[cfg(test)]
#[cfg(not(all(feature = "gzip", feature = "br", feature = "zstd")))]
mod tests_without_codecs {
    use super::*;

    #[test]
    fn the_message_names_the_feature() {
        for coding in Coding::ALL {
            let headers =
                HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding.name()))]);
            let offered = accept_encoding().is_some_and(|value| {
                value
                    .to_str()
                    .unwrap()
                    .split(", ")
                    .any(|name| name == coding.name())
            });
            match Decoder::for_headers(&headers) {
                Ok(decoder) => assert!(decoder.is_some() && offered && coding.is_built()),
                Err(error) => {
                    assert!(!offered && !coding.is_built());
                    assert_eq!(error, DecodeError::CodingNotBuilt(coding));
                    assert!(
                        error
                            .to_string()
                            .contains(&format!("the cargo feature `{}` is off", coding.feature()))
                    );
                }
            }
        }
    }
}
