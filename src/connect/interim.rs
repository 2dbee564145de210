//! How many interim responses an HTTP/1.1 request has had (RFC 9110 §15.2). The parser passes over
//! them one by one, for as long as the peer sends them, so they are counted as they come in.
//!
//! What is looked for is no more than where a head begins and ends. It is looked for as the parser
//! does it: blank lines may stand before a status line, a line may end in LF alone (RFC 9112 §2.2).
//! What the parser would not take for a head is let be: it ends the connection by itself.

use super::framing::Doubt;
use crate::limits;

/// Where in the response to one request the peer is.
#[derive(Debug, Default)]
pub(super) struct Interim {
    at: At,
    /// Interim responses to this request.
    seen: usize,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// As many bytes of a status line were read, up to the first digit of its status.
    Line(usize),
    /// In the head of an interim response, in a line that has something in it, or nothing yet.
    Head { blank: bool },
    /// After the status line of the final response, or what is none.
    Final,
}

impl Default for At {
    fn default() -> Self {
        Self::Line(0)
    }
}

impl Interim {
    /// Takes note of what was read.
    ///
    /// # Errors
    ///
    /// [`Doubt::EndlessInterim`] at the beginning of one interim response too many.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Doubt> {
        match (self.at, bytes) {
            (At::Final, _) => Ok(()),
            // What comes almost always: the status line of the final response.
            (
                At::Line(0),
                [
                    b'H',
                    b'T',
                    b'T',
                    b'P',
                    b'/',
                    b'1',
                    b'.',
                    _,
                    b' ',
                    b'2'..=b'9',
                    ..,
                ],
            ) => {
                self.at = At::Final;
                Ok(())
            }
            _ => bytes.iter().try_for_each(|byte| self.byte(*byte)),
        }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Doubt> {
        self.at = match self.at {
            At::Line(0) if matches!(byte, b'\r' | b'\n') => At::Line(0),
            At::Line(read) => match LINE.get(read) {
                Some(&expected) if byte == expected || expected == VERSION => At::Line(read + 1),
                None if byte == b'1' => {
                    self.seen += 1;
                    if self.seen > limits::INTERIM_RESPONSES {
                        return Err(Doubt::EndlessInterim);
                    }
                    At::Head { blank: false }
                }
                _ => At::Final,
            },
            At::Head { blank: true } if byte == b'\n' => At::Line(0),
            At::Head { blank } => At::Head {
                blank: byte == b'\n' || blank && byte == b'\r',
            },
            At::Final => At::Final,
        };
        Ok(())
    }
}

/// What stands before the status of a response: the version is 0 or 1.
const LINE: &[u8] = b"HTTP/1.? ";

/// What stands for the minor version in it.
const VERSION: u8 = b'?';

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the bytes pass, however they are cut into reads.
    fn pass(bytes: &[u8]) -> bool {
        let whole = Interim::default().read(bytes).is_ok();
        for size in 1..20 {
            let mut cut = Interim::default();
            let passes = bytes.chunks(size).all(|piece| cut.read(piece).is_ok());
            assert_eq!(passes, whole, "{size} {:?}", bytes.escape_ascii());
        }
        whole
    }

    #[test]
    fn so_many_interim_responses_pass_and_no_more() {
        let most = limits::INTERIM_RESPONSES;
        let last = "HTTP/1.1 200 OK\r\n\r\n";
        for interim in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 100\r\n\r\n",
            "HTTP/1.1 100 \r\n\r\n",
            "HTTP/1.0 103 Early Hints\r\nlink: <a>\r\nlink: <b>\r\n\r\n",
            "HTTP/1.1 199 ?\n\n",
            "HTTP/1.1 199 ?\nx: y\n\r\n",
            "HTTP/1.1 199 ?\r\nx: y\r\n\n",
            "\r\n\n\r\nHTTP/1.1 102 HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK: x\r\n\r\n",
        ] {
            let heads = |count| interim.repeat(count);
            assert!(pass((heads(most) + last).as_bytes()), "{interim:?}");
            assert!(!pass((heads(most + 1) + last).as_bytes()), "{interim:?}");
            // It need not come to its end, nor need the last one.
            let begun = heads(most) + "\r\nHTTP/1.1 1";
            assert!(!pass(begun.as_bytes()), "{interim:?}");
            // What follows a final response is its body, whatever it looks like.
            let body = last.to_owned() + &heads(most + 1);
            assert!(pass(body.as_bytes()), "{interim:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_the_parsers() {
        for begin in [
            "HTTP/1.1  100 two spaces\r\n\r\n",
            "HTTP/2.0 100\r\n\r\n",
            "http/1.1 100\r\n\r\n",
            "HTHTTP/1.1 100\r\n\r\n",
            "HTTP/1.1 \r\n",
            "220 mail.test ESMTP\r\n\r\n",
        ] {
            let heads = begin.to_owned() + &"HTTP/1.1 100\r\n\r\n".repeat(20);
            assert!(pass(heads.as_bytes()), "{begin:?}");
            let parsed = httparse::Response::new(&mut []).parse(heads.as_bytes());
            assert!(parsed.is_err(), "{begin:?}");
        }
    }

    /// No interim response that the parser takes goes by uncounted, and none is counted that it
    /// does not see.
    #[test]
    fn what_is_counted_is_what_the_parser_takes() {
        const PARTS: [&[&str]; 6] = [
            &["", "", "", "\r\n", "\n", "\n\r\n"],
            &["HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.0 ", "HTTP/1.1"],
            &["100", "103", "199", "102", "100", "200", "1"],
            &[" OK", "", " ", " \t?", " HTTP/1.1 100"],
            &["\r\n", "\n", "\r\nx: y\r\n", "\na:\n", "\r\nx: a\r\n b\r\n"],
            &["\r\n", "\r\n", "\r\n", "\n", "\r"],
        ];
        let mut seed = 1_u64;
        let mut random = move |below: usize| {
            // xorshift64, which is random enough for this and the same every time.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        let (mut refused, mut passed) = (0, 0);
        for _ in 0..5_000 {
            let mut bytes = Vec::new();
            // Mostly well-formed, or hardly any would come to the ninth.
            let odd = 1 + random(40);
            for _ in 0..random(14) {
                for part in PARTS {
                    let pick = if random(odd) == 0 {
                        random(part.len())
                    } else {
                        0
                    };
                    bytes.extend_from_slice(part[pick].as_bytes());
                }
            }
            bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
            if random(4) == 0 {
                let place = random(bytes.len());
                bytes[place] = b"\r\n H1:\0"[random(7)];
            }
            let passes = pass(&bytes);
            match parse(&bytes) {
                (taken, _) if taken > limits::INTERIM_RESPONSES => {
                    assert!(!passes, "{:?}", bytes.escape_ascii());
                    refused += 1;
                }
                (_, true) => {
                    assert!(passes, "{:?}", bytes.escape_ascii());
                    passed += 1;
                }
                // The parser refuses it, or waits for more.
                _ => {}
            }
        }
        assert!(refused > 100 && passed > 100, "{refused} {passed}");
    }

    /// How many interim responses the parser takes, and whether it comes to a final one.
    fn parse(mut bytes: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 100];
            let mut response = httparse::Response::new(&mut fields);
            match (response.parse(bytes), response.code) {
                (Ok(httparse::Status::Complete(length)), Some(100..200)) => {
                    taken += 1;
                    bytes = &bytes[length..];
                }
                (Ok(httparse::Status::Complete(_)), Some(200..)) => return (taken, true),
                _ => return (taken, false),
            }
        }
    }
}
