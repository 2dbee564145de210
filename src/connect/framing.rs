//! Is it beyond doubt where a reply's body ends? (RFC 9112 §6.) Two readers that disagree
//! on that can be made to see two different replies.
//!
//! Most of what is malformed httparse and h2 refuse, and `http1` of a body in chunks. What they take
//! is refused here, or let be, as no other reader is led to another body by it:
//!
//! | they take | here |
//! |---|---|
//! | Transfer-Encoding with Content-Length (§6.3 item 3) | refused |
//! | a Transfer-Encoding that is not one `chunked` (§6.1, §7) | refused |
//! | Transfer-Encoding from HTTP/1.0, where the status has no body (§6.1) | refused |
//! | a 101 that nobody asked for (RFC 9110 §7.8) | refused; h2 passes over it, switching nothing |
//! | interim responses without end (RFC 9110 §15.2) | refused after 8, by `http1` and by `frames` |
//! | bytes between two responses (§6.3) | the connection is given up, by `http1` |
//! | LF alone at the end of a line of the head (§2.2) | let be: a recipient may, and many do so |
//! | blank lines before the status line | let be on a new connection; between responses, refused |
//! | a status line without a reason, or the space before it (§4) | let be: a client ignores it |
//! | statuses from 600 to 999 (RFC 9110 §15) | let be: whoever asks sees the number |
//! | Content-Length several times, and the same number (§6.3 item 5) | let be |
//! | white space after a chunk's size; any byte but CR and LF in its extensions (§7.1) | let be |
//! | trailers with a length (RFC 9110 §6.5.1) | let be: nothing goes by them |
//! | pseudo-fields in the trailers of h2 (RFC 9113 §8.1) | let be: the codec drops them |
//!
//! They refuse what the RFC would have us take: obs-fold (§5.2), which is as well, and HTTP/1.2
//! (RFC 9110 §2.5), which there is not. A head of h2 beyond its limit they tell apart from a
//! malformed one for nobody, and so it is an `ErrorKind::MalformedReply`.

use std::fmt;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, StatusCode, Version};

use crate::limits;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// There is none.
    Nothing,
    Bytes(u64),
    Chunks,
    UntilClose,
}

/// Where the body of an HTTP/1.1 response ends (RFC 9112 §6.3). That to a HEAD has none.
///
/// # Errors
///
/// What leaves doubt.
pub(super) fn extent(head: &Parts, is_head: bool) -> Result<Extent, Doubt> {
    check(head)?;
    let is_chunked = is_chunked(head)?;
    let without = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if is_head || without.contains(&head.status) {
        return Ok(Extent::Nothing);
    }
    if is_chunked {
        return Ok(Extent::Chunks);
    }
    Ok(length(&head.headers)?.map_or(Extent::UntilClose, Extent::Bytes))
}

/// Refuses what leaves doubt in the head of any response.
pub(super) fn check(head: &Parts) -> Result<(), Doubt> {
    // We never ask for another protocol, so whatever follows a 101 is not a reply of ours.
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Doubt::UnaskedUpgrade);
    }
    match head.headers.len() > limits::RESPONSE_FIELDS {
        true => Err(Doubt::TooManyFields),
        false => Ok(()),
    }
}

fn is_chunked(head: &Parts) -> Result<bool, Doubt> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        // §6.1: such a framing is faulty, even where the status allows no body to frame.
        (Some(_), _) if head.version == Version::HTTP_10 => Err(Doubt::CodingBefore11),
        // §6.1: a server that sends both is out of step, or an attack.
        (Some(_), _) if head.headers.contains_key(CONTENT_LENGTH) => Err(Doubt::LengthAndCoding),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        // No TE of ours names a coding, so nothing but chunked may be applied (§7.4).
        (Some(_), _) => Err(Doubt::UnaskedCoding),
    }
}

/// What Content-Length says: digits alone, and the same ones wherever it says it (§6.3 item 5).
fn length(headers: &HeaderMap) -> Result<Option<u64>, Doubt> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for said in value.as_bytes().split(|byte| *byte == b',') {
            let said = number(said.trim_ascii()).ok_or(Doubt::Length)?;
            if length.is_some_and(|length| length != said) {
                return Err(Doubt::Length);
            }
            length = Some(said);
        }
    }
    Ok(length)
}

/// Rust's own parser takes a sign too.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// What is doubtful in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    UnaskedUpgrade,
    TooManyFields,
    LengthAndCoding,
    UnaskedCoding,
    CodingBefore11,
    Length,
    Unasked,
    EndlessInterim,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnaskedUpgrade => f.write_str("the server switched protocols unasked (101)"),
            Self::TooManyFields => {
                write!(
                    f,
                    "the response head has more than {} fields",
                    limits::RESPONSE_FIELDS
                )
            }
            Self::LengthAndCoding => {
                f.write_str("the reply has both Content-Length and Transfer-Encoding")
            }
            Self::UnaskedCoding => {
                f.write_str("the reply's Transfer-Encoding is not chunked, the only one we know")
            }
            Self::CodingBefore11 => f.write_str(
                "the reply is HTTP/1.0 and has a Transfer-Encoding, which came with 1.1",
            ),
            Self::Length => f.write_str("the reply's Content-Length is no number, or several"),
            Self::Unasked => f.write_str("the server spoke before it was asked"),
            Self::EndlessInterim => write!(
                f,
                "the server sent more than {} interim (1xx) responses",
                limits::INTERIM_RESPONSES
            ),
        }
    }
}

impl std::error::Error for Doubt {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_leaves_no_doubt_or_is_refused() {
        type Fields = &'static [(&'static str, &'static str)];
        use Extent::{Bytes, Chunks, UntilClose};
        let rows: [(Fields, Result<Extent, Doubt>); 22] = [
            (&[], Ok(UntilClose)),
            (&[("content-length", "3")], Ok(Bytes(3))),
            (&[("content-length", "3, 03")], Ok(Bytes(3))),
            (
                &[("content-length", "3"), ("content-length", "3")],
                Ok(Bytes(3)),
            ),
            (
                &[("content-length", "18446744073709551615")],
                Ok(Bytes(u64::MAX)),
            ),
            (
                &[("content-length", "18446744073709551616")],
                Err(Doubt::Length),
            ),
            (&[("content-length", "3, 4")], Err(Doubt::Length)),
            (
                &[("content-length", "3"), ("content-length", "4")],
                Err(Doubt::Length),
            ),
            (&[("content-length", "3,")], Err(Doubt::Length)),
            (&[("content-length", "")], Err(Doubt::Length)),
            (&[("content-length", "+3")], Err(Doubt::Length)),
            (&[("content-length", "-3")], Err(Doubt::Length)),
            (&[("content-length", "3 3")], Err(Doubt::Length)),
            (&[("content-length", "0x3")], Err(Doubt::Length)),
            (&[("content-length", "\u{663}")], Err(Doubt::Length)),
            (&[("transfer-encoding", "chunked")], Ok(Chunks)),
            (&[("transfer-encoding", "Chunked")], Ok(Chunks)),
            (
                &[("transfer-encoding", "chunked"), ("content-length", "3")],
                Err(Doubt::LengthAndCoding),
            ),
            (
                &[("transfer-encoding", "gzip, chunked")],
                Err(Doubt::UnaskedCoding),
            ),
            (
                &[("transfer-encoding", "identity")],
                Err(Doubt::UnaskedCoding),
            ),
            (
                &[("transfer-encoding", "xchunked")],
                Err(Doubt::UnaskedCoding),
            ),
            (
                &[
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                Err(Doubt::UnaskedCoding),
            ),
        ];
        for (fields, expected) in rows {
            let head = head(200, fields);
            assert_eq!(extent(&head, false), expected, "{fields:?}");
            // Where there is no body, its length is nothing to go by, and a coding still is.
            let without = match expected {
                Err(doubt) if doubt != Doubt::Length => expected,
                _ => Ok(Extent::Nothing),
            };
            assert_eq!(extent(&head, true), without, "{fields:?}");
            for status in [204, 304] {
                assert_eq!(
                    extent(&self::head(status, fields), false),
                    without,
                    "{fields:?}"
                );
            }
            let mut before_11 = head;
            before_11.version = Version::HTTP_10;
            let expected = match fields.iter().any(|(name, _)| *name == "transfer-encoding") {
                true => Err(Doubt::CodingBefore11),
                false => expected,
            };
            assert_eq!(extent(&before_11, false), expected, "{fields:?}");
        }
    }

    fn head(status: u16, fields: &[(&str, &str)]) -> Parts {
        let mut response = http::Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, value.as_bytes());
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_upgrade_and_a_crowd_of_fields_are_refused() {
        let upgrade = http::Response::builder().status(101).body(()).unwrap();
        assert_eq!(check(&upgrade.into_parts().0), Err(Doubt::UnaskedUpgrade));
        for (count, expected) in [(100, Ok(())), (101, Err(Doubt::TooManyFields))] {
            let mut response = http::Response::builder().version(Version::HTTP_2);
            for n in 0..count {
                response = response.header(format!("x-{n}"), "");
            }
            assert_eq!(
                check(&response.body(()).unwrap().into_parts().0),
                expected,
                "{count}"
            );
        }
    }
}
