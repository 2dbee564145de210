//! A body in chunks (RFC 9112 §7.1), out of the bytes that have come. Pure.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::fault::Fault;
use super::head;
use crate::limits;

/// Where in the chunks the reader is.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    /// Bytes beside the sizes until now, such as extensions, that no data has outweighed: nobody
    /// needs them, and a server may never end them.
    beside: u64,
    /// Bytes of trailers among which no end was found.
    looked_at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the size of a chunk, of which there may be no digit yet.
    Size(Option<u64>),
    /// In white space after it.
    AfterSize(u64),
    Extension(u64),
    /// Before the LF that ends the line of the size.
    SizeLf(u64),
    /// So much of the chunk is to come.
    Data(u64),
    DataCr,
    DataLf,
    /// After the last chunk.
    Trailers,
    End,
}

/// What there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// Nothing until more has come.
    Nothing,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            at: At::Size(None),
            beside: 0,
            looked_at: 0,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.at == At::End
    }

    /// The next piece, out of what was read.
    ///
    /// # Errors
    ///
    /// [`Fault::Malformed`], and again whenever it is asked.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Piece, Fault> {
        self.pass(read)?;
        match self.at {
            At::Data(left) if !read.is_empty() => {
                let taken = usize::try_from(left).map_or(read.len(), |left| left.min(read.len()));
                let data = read.split_to(taken).freeze();
                self.at = match left - taken as u64 {
                    0 => At::DataCr,
                    left => At::Data(left),
                };
                Ok(Piece::Data(data))
            }
            At::Trailers => self.trailers(read),
            At::End => Ok(Piece::End),
            _ => Ok(Piece::Nothing),
        }
    }

    /// Passes over what is no data, so that an end is seen that has come with the last piece.
    pub(super) fn pass(&mut self, read: &mut BytesMut) -> Result<(), Fault> {
        while !matches!(self.at, At::Data(_) | At::Trailers | At::End) {
            let Some(byte) = read.first() else {
                return Ok(());
            };
            self.at = self.after(*byte)?;
            read.advance(1);
        }
        if self.at == At::Trailers && read.starts_with(b"\r\n") {
            read.advance(2);
            self.at = At::End;
        }
        Ok(())
    }

    /// Where the reader is after one more byte of what is no data.
    fn after(&mut self, byte: u8) -> Result<At, Fault> {
        let malformed = |why| Err(Fault::Malformed(why));
        Ok(match (self.at, byte) {
            (At::Size(Some(0)), b'0') => self.beside(At::Size(Some(0)))?,
            (At::Size(size), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let more = size.unwrap_or(0).checked_mul(16);
                match more.and_then(|more| more.checked_add(digit)) {
                    Some(size) => At::Size(Some(size)),
                    None => return malformed("a chunk's size is too large to be one"),
                }
            }
            (At::Size(Some(size)) | At::AfterSize(size), b'\t' | b' ') => {
                self.beside(At::AfterSize(size))?
            }
            (At::Size(Some(size)) | At::AfterSize(size), b';') => At::Extension(size),
            (At::Size(Some(size)) | At::AfterSize(size) | At::Extension(size), b'\r') => {
                At::SizeLf(size)
            }
            (At::Size(_) | At::AfterSize(_), _) => return malformed("a chunk's size is no number"),
            // Taken for the end of the line by one reader, and by another not, it hides a chunk.
            (At::Extension(_), b'\n') => return malformed("a chunk's extension has a bare LF"),
            (At::Extension(size), _) => self.beside(At::Extension(size))?,
            (At::SizeLf(0), b'\n') => At::Trailers,
            (At::SizeLf(size), b'\n') => {
                let outweighed = size.saturating_mul(2).saturating_add(16);
                self.beside = self.beside.saturating_sub(outweighed);
                At::Data(size)
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size(None),
            (At::SizeLf(_), _) => return malformed("the line of a chunk's size does not end"),
            (At::DataCr | At::DataLf, _) => return malformed("a chunk is longer than its size"),
            (at @ (At::Data(_) | At::Trailers | At::End), _) => at,
        })
    }

    fn beside(&mut self, at: At) -> Result<At, Fault> {
        self.beside += 1;
        match self.beside <= limits::BESIDE_CHUNKS {
            true => Ok(at),
            false => Err(Fault::Malformed(
                "what stands beside the chunks does not end",
            )),
        }
    }

    /// What stands between the last chunk and the end, which may be as large as a head.
    fn trailers(&mut self, read: &mut BytesMut) -> Result<Piece, Fault> {
        let new = read.get(self.looked_at..).unwrap_or_default();
        let found = new.windows(END.len()).position(|bytes| bytes == END);
        let end = found.map(|found| self.looked_at + found + END.len());
        if end.unwrap_or(read.len()) > limits::RESPONSE_HEAD as usize {
            return Err(Fault::Malformed("the trailers are too large"));
        }
        let Some(end) = end else {
            self.looked_at = (read.len() + 1).saturating_sub(END.len());
            return Ok(Piece::Nothing);
        };
        let block = read.split_to(end).freeze();
        // To a reader for whom it ends a line, two of them end the trailers.
        if block
            .split(|byte| *byte == b'\n')
            .rev()
            .skip(1)
            .any(|line| !line.ends_with(b"\r"))
        {
            return Err(Fault::Malformed("the trailers have a bare LF"));
        }
        let trailers = head::fields(&block)?;
        self.at = At::End;
        Ok(Piece::Trailers(trailers))
    }
}

const END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body comes to, however it is cut, and what is left behind it.
    fn read(body: &[u8]) -> Result<(String, Option<HeaderMap>, usize), Fault> {
        let whole = read_in(body, body.len().max(1));
        for size in 1..=body.len().min(9) {
            assert_eq!(read_in(body, size), whole, "{size} {}", body.escape_ascii());
        }
        whole
    }

    fn read_in(body: &[u8], size: usize) -> Result<(String, Option<HeaderMap>, usize), Fault> {
        let (mut chunks, mut bytes) = (Chunks::new(), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), None);
        let mut rest = body;
        loop {
            match chunks.take(&mut bytes)? {
                Piece::Data(piece) => {
                    assert!(!piece.is_empty());
                    data.extend_from_slice(&piece);
                }
                Piece::Trailers(fields) => trailers = Some(fields),
                Piece::End => {
                    assert!(chunks.has_ended());
                    let text = String::from_utf8(data).unwrap();
                    return Ok((text, trailers, bytes.len() + rest.len()));
                }
                Piece::Nothing if rest.is_empty() => return Err(Fault::Ended),
                Piece::Nothing => {
                    let (next, left) = rest.split_at(size.min(rest.len()));
                    bytes.extend_from_slice(next);
                    rest = left;
                }
            }
        }
    }

    #[test]
    fn chunks_are_put_together_and_nothing_behind_them_is_taken() {
        for (body, expected, fields) in [
            ("0\r\n\r\n", "", 0),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
            ("2\r\nhe\r\n003\r\nllo\r\n000\r\n\r\n", "hello", 0),
            (
                "A\r\n0123456789\r\na;b\r\n0123456789\r\n0;c=\"d\"\r\n\r\n",
                "01234567890123456789",
                0,
            ),
            ("1 \r\nx\r\n0\t \r\n\r\n", "x", 0),
            ("1 ;y\r\nx\r\n0\r\nx: y\r\nz: \r\n\r\n", "x", 2),
            ("0\r\nx: y\r\nz: a\r\n\r\n", "", 2),
        ] {
            for rest in ["", "HTTP/1.1 200 OK\r\n\r\n", "\r\n", "0\r\n\r\n"] {
                let (data, trailers, left) = read([body, rest].concat().as_bytes()).unwrap();
                assert_eq!((&*data, left), (expected, rest.len()), "{body:?}");
                assert_eq!(
                    trailers.map_or(0, |fields| fields.len()),
                    fields,
                    "{body:?}"
                );
            }
            for cut in 0..body.len() {
                assert_eq!(
                    read(&body.as_bytes()[..cut]),
                    Err(Fault::Ended),
                    "{cut} {body:?}"
                );
            }
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_malformed() {
        for body in [
            "\r\n",
            " 1\r\nx",
            ";\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            "1 1\r\n",
            "1\n",
            "1\rx",
            "1;y\n",
            "1;y\rx",
            "1\r\nxy",
            "1\r\nx\ry",
            "1\r\nx\n",
            "1\r\nx\r\n\r\n",
            "fffffffffffffffff\r\n",
            "10000000000000000\r\n",
            "0\r\nno field\r\n\r\n",
            "0\r\nx: y\nz: a\r\n\r\n",
            "0\r\n\nHTTP/1.1 200 OK\r\n\r\n",
            "0\r\nx: y\n\nHTTP/1.1 200 OK\r\n\r\n",
            "0\r\nx : y\r\n\r\n",
            "0\r\nx: y\r\n z\r\n\r\n",
            "0\r\n: y\r\n\r\n",
            "0\r\nx: \0\r\n\r\n",
            "0\r\nx: \x7f\r\n\r\n",
        ] {
            let fault = read(body.as_bytes()).unwrap_err();
            assert!(fault.is_malformed(), "{body:?} {fault:?}");
        }
        assert_eq!(read(b"ffffffffffffffff\r\nx"), Err(Fault::Ended));
    }

    #[test]
    fn an_error_stays_one() {
        let (mut chunks, mut bytes) = (Chunks::new(), BytesMut::from("1\r\nxy0\r\n\r\n"));
        assert!(matches!(chunks.take(&mut bytes), Ok(Piece::Data(_))));
        for _ in 0..3 {
            chunks.pass(&mut bytes).unwrap_err();
            chunks.take(&mut bytes).unwrap_err();
        }
    }

    /// Sizes of one width, as servers write them that leave room for the size before they know it.
    #[test]
    fn a_long_body_may_have_padded_sizes() {
        for size in ["00000064", "64      ", "64;a=bcd"] {
            let chunk = format!("{size}\r\n{}\r\n", "x".repeat(100));
            let body = chunk.repeat(6_000) + "0\r\n\r\n";
            let (data, ..) = read_in(body.as_bytes(), 1_000).unwrap();
            assert_eq!(data.len(), 600_000, "{size:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_come_to_an_end() {
        // A chunk of one byte outweighs 18.
        let most = limits::BESIDE_CHUNKS as usize;
        let chunks = |each: usize, count: usize| {
            let extended = format!("1;{}\r\nx\r\n", "y".repeat(each));
            let body = extended.repeat(count) + "0\r\n\r\n";
            read_in(body.as_bytes(), 1_000).map(|(data, ..)| data.len())
        };
        assert_eq!(chunks(most, 1), Ok(1));
        assert_eq!(chunks(18 + most / 8 - 3, 8), Ok(8));
        assert_eq!(chunks(18, 5_000), Ok(5_000));
        assert!(chunks(most + 1, 1).unwrap_err().is_malformed());
        assert!(chunks(18 + most / 8, 8).unwrap_err().is_malformed());
        assert!(chunks(18 + 4, 5_000).unwrap_err().is_malformed());
        for byte in ["0", " "] {
            let sized = |count: usize| match byte {
                "0" => byte.repeat(count + 1) + "1\r\nx\r\n0\r\n\r\n",
                _ => "1".to_owned() + &byte.repeat(count) + "\r\nx\r\n0\r\n\r\n",
            };
            assert!(read_in(sized(most).as_bytes(), 1_000).is_ok(), "{byte:?}");
            let fault = read_in(sized(most + 1).as_bytes(), 1_000).unwrap_err();
            assert!(fault.is_malformed(), "{byte:?}");
        }
        let head = limits::RESPONSE_HEAD as usize;
        for (length, passes) in [(head, true), (head + 1, false), (2 * head, false)] {
            let value = "y".repeat(length - "x: \r\n\r\n".len());
            let body = format!("0\r\nx: {value}\r\n\r\n");
            for size in [1_000, body.len()] {
                let outcome = read_in(body.as_bytes(), size);
                assert_eq!(outcome.is_ok(), passes, "{length} {size}");
            }
        }
        for (count, passes) in [(100, true), (101, false)] {
            let body = format!("0\r\n{}\r\n", "x: y\r\n".repeat(count));
            assert_eq!(read_in(body.as_bytes(), 500).is_ok(), passes, "{count}");
        }
    }
}
