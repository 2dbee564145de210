//! The head of a reply, out of the bytes that have come. Pure.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use httparse::{Header, ParserConfig, Status};

use super::fault::Fault;
use crate::limits;
use crate::spare;

/// Reads heads one after the other, each when all of it is there.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Bytes of blank lines before it.
    blank: usize,
    /// So many bytes are there of a head that was not all there.
    tried: usize,
    /// So many of them were there when it was last looked at as a whole.
    parsed: usize,
}

impl Heads {
    /// The next head, if all of it was read.
    ///
    /// # Errors
    ///
    /// As soon as it cannot become one, or, of a peer that sends it byte by byte, when it has become
    /// twice as long since it was last looked at: what is read piece by piece costs no more than
    /// twice what it would at once.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Parts>, Fault> {
        if self.tried == 0 {
            self.pass_blank_lines(read);
        }
        if read.len() <= self.tried {
            return self.unless_too_large(read);
        }
        let is_new = self.tried == 0 || read.len() >= 2 * self.parsed;
        if is_new || has_blank_line(read, self.tried) {
            if let Some((head, length)) = Places::of(read)? {
                if self.blank + length > limits::RESPONSE_HEAD as usize {
                    return Err(Fault::TooLarge);
                }
                *self = Self::default();
                return head.found_in(&read.split_to(length).freeze()).map(Some);
            }
            self.parsed = read.len();
        }
        self.tried = read.len();
        self.unless_too_large(read)
    }

    /// They may stand before a status line (RFC 9112 §2.2), and a peer may never end them.
    fn pass_blank_lines(&mut self, read: &mut BytesMut) {
        while let Some(length) = [&b"\r\n"[..], b"\n"]
            .iter()
            .find_map(|line| read.starts_with(line).then_some(line.len()))
        {
            read.advance(length);
            self.blank += length;
        }
    }

    fn unless_too_large(&self, read: &BytesMut) -> Result<Option<Parts>, Fault> {
        match self.blank + read.len() < limits::RESPONSE_HEAD as usize {
            true => Ok(None),
            false => Err(Fault::TooLarge),
        }
    }
}

/// Whether a line without anything in it has come, so that what has come may be a head.
fn has_blank_line(read: &[u8], tried: usize) -> bool {
    let new = read.get(tried.saturating_sub(2)..).unwrap_or_default();
    new.windows(2).any(|end| end == b"\n\n") || new.windows(3).any(|end| end == b"\n\r\n")
}

/// A head, and where in it its fields are.
struct Places {
    status: u16,
    version: Version,
    count: usize,
    fields: [Field; limits::RESPONSE_FIELDS],
}

#[derive(Clone, Copy, Default)]
struct Field {
    name: Place,
    value: Place,
}

#[derive(Clone, Copy, Default)]
struct Place {
    start: u32,
    length: u32,
}

impl Places {
    /// And how long it is; or nothing, if it is not all there.
    fn of(read: &[u8]) -> Result<Option<(Self, usize)>, Fault> {
        let mut fields = [const { MaybeUninit::uninit() }; limits::RESPONSE_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            read,
            &mut fields,
        )?;
        let Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let mut places = Self {
            status: response.code.unwrap_or_default(),
            version: match response.version {
                Some(0) => Version::HTTP_10,
                _ => Version::HTTP_11,
            },
            count: response.headers.len(),
            fields: [Field::default(); limits::RESPONSE_FIELDS],
        };
        for (place, field) in places.fields.iter_mut().zip(response.headers.iter()) {
            place.name = Place::of(field.name.as_bytes(), read);
            place.value = Place::of(field.value, read);
        }
        Ok(Some((places, length)))
    }

    /// The head, of the bytes in which the places are.
    fn found_in(&self, bytes: &Bytes) -> Result<Parts, Fault> {
        let mut headers = spare::header_map(self.count);
        for field in self.fields.iter().take(self.count) {
            let (name, value) = (field.name.in_(bytes), field.value.in_(bytes));
            add(&mut headers, name, value, bytes)?;
        }
        let (mut head, ()) = Response::new(()).into_parts();
        head.status =
            StatusCode::from_u16(self.status).map_err(|_| Fault::Head(httparse::Error::Status))?;
        head.version = self.version;
        head.headers = headers;
        Ok(head)
    }
}

impl Place {
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        Self {
            start: start as u32,
            length: part.len() as u32,
        }
    }

    fn in_(self, whole: &[u8]) -> &[u8] {
        let (start, length) = (self.start as usize, self.length as usize);
        whole.get(start..start + length).unwrap_or_default()
    }
}

/// Fields that stand alone, as those after the last chunk do.
pub(super) fn fields(block: &Bytes) -> Result<HeaderMap, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; limits::RESPONSE_FIELDS];
    let parsed = httparse::parse_headers(block, &mut fields).map_err(Fault::Head)?;
    let fields = match parsed {
        Status::Complete((length, fields)) if length == block.len() => fields,
        // An end that another reader does not see would hide what follows.
        _ => {
            return Err(Fault::Malformed(
                "the trailers do not end where they should",
            ));
        }
    };
    let mut headers = HeaderMap::with_capacity(fields.len());
    for Header { name, value } in fields {
        add(&mut headers, name.as_bytes(), value, block)?;
    }
    Ok(headers)
}

/// Adds a field, whose value stays where it is.
fn add(headers: &mut HeaderMap, name: &[u8], value: &[u8], block: &Bytes) -> Result<(), Fault> {
    let name =
        HeaderName::from_bytes(name).map_err(|_| Fault::Head(httparse::Error::HeaderName))?;
    let value = HeaderValue::from_maybe_shared(block.slice_ref(value))
        .map_err(|_| Fault::Head(httparse::Error::HeaderValue))?;
    headers.append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first head, and what is left behind it.
    fn read_in(bytes: &[u8], size: usize) -> Result<Option<(Parts, usize)>, Fault> {
        let (mut heads, mut read) = (Heads::default(), BytesMut::new());
        let mut taken = 0;
        for piece in bytes.chunks(size) {
            read.extend_from_slice(piece);
            taken += piece.len();
            if let Some(head) = heads.take(&mut read)? {
                return Ok(Some((head, read.len() + bytes.len() - taken)));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_head_is_read_however_it_is_cut() {
        for (text, status, version, fields) in [
            ("HTTP/1.1 200 OK\r\n\r\n", 200, Version::HTTP_11, &[][..]),
            ("HTTP/1.0 999\r\n\r\n", 999, Version::HTTP_10, &[]),
            (
                "\r\n\n\r\nHTTP/1.1 404 \r\nA: b\r\n\r\n",
                404,
                Version::HTTP_11,
                &[("a", "b")],
            ),
            ("HTTP/1.1 200 OK\nx:\n y : z\n\n", 0, Version::HTTP_11, &[]),
            (
                "HTTP/1.1 200 \t\u{e9}\nX:\nx:  y\t \n\n",
                200,
                Version::HTTP_11,
                &[("x", ""), ("x", "y")],
            ),
        ] {
            for size in 1..=text.len() {
                let found = read_in([text, "rest"].concat().as_bytes(), size);
                if status == 0 {
                    assert!(found.unwrap_err().is_malformed(), "{text:?} {size}");
                    continue;
                }
                let (head, rest) = found.unwrap().unwrap();
                assert_eq!(
                    (head.status.as_u16(), head.version, rest),
                    (status, version, 4)
                );
                let found = head.headers.iter();
                let found = found.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
                assert_eq!(found.collect::<Vec<_>>(), fields, "{text:?} {size}");
            }
            for cut in (0..text.len()).filter(|_| status != 0) {
                assert!(
                    read_in(&text.as_bytes()[..cut], 3).unwrap().is_none(),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_head_is_found_out_early() {
        for text in [
            "x",
            "220 mail.test\r\n",
            "HTTP/2 200\r\n",
            "HTTP/1.1 2000\r\n",
            "HTTP/1.1  200\r\n",
            "http/1.1 200\r\n",
            "HTTP/1.1 200 OK\r\nx y\r\n",
            "HTTP/1.1 200 OK\r\n: y\r\n",
            "HTTP/1.1 200 OK\r\nx: y\r\n z\r\n",
            "HTTP/1.1 200 OK\r\nx: y\0",
            " HTTP/1.1 200 OK",
        ] {
            for size in 1..=text.len() {
                // What is dripped is looked at again when it is twice as long.
                let dripped = [text, &"x".repeat(2 * text.len())].concat();
                let fault = read_in(dripped.as_bytes(), size).unwrap_err();
                assert!(fault.is_malformed(), "{text:?} {size} {fault:?}");
            }
        }
        let status = read_in(b"HTTP/1.1 099 ?\r\n\r\n", 99).unwrap_err();
        assert!(status.is_malformed());
    }

    #[test]
    fn a_head_is_so_large_and_no_larger() {
        let most = limits::RESPONSE_HEAD as usize;
        let of = |length: usize| {
            let line = "HTTP/1.1 200 OK\r\nx: ";
            format!("{line}{}\r\n\r\n", "y".repeat(length - line.len() - 4))
        };
        for size in [1_000, 1 << 20] {
            for (head, expected) in [
                (of(most), Ok(true)),
                (of(most + 1), Err(Fault::TooLarge)),
                ("\r\n".repeat(most / 2), Err(Fault::TooLarge)),
                ("\n".repeat(most - 100), Ok(false)),
                ("\n".repeat(most - 100) + &of(200), Err(Fault::TooLarge)),
                (
                    format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(100)),
                    Ok(true),
                ),
                (
                    format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101)),
                    Err(Fault::TooLarge),
                ),
            ] {
                let found = read_in(head.as_bytes(), size).map(|head| head.is_some());
                assert_eq!(found, expected, "{size} {} {:?}", head.len(), &head[..20]);
            }
        }
    }

    /// A peer that drips costs no more than twice what it sends.
    #[test]
    fn a_dripped_head_is_looked_at_seldom() {
        let mut heads = Heads::default();
        let (mut read, mut looked_at) = (BytesMut::from("HTTP/1.1 200 OK\r\nx: "), 0);
        for _ in 0..60_000 {
            read.extend_from_slice(b"y");
            let before = heads.parsed;
            assert!(heads.take(&mut read).unwrap().is_none());
            looked_at += if heads.parsed == before {
                0
            } else {
                heads.parsed
            };
        }
        assert!(looked_at <= 2 * read.len(), "{looked_at}");
        read.extend_from_slice(b"\r\n\r\n");
        assert!(heads.take(&mut read).unwrap().is_some());
    }
}
