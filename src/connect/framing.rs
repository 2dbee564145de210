//! Is it beyond doubt where a reply's body ends? (RFC 9112 §6.) Two readers that disagree
//! on that can be made to see two different replies.
//!
//! Most of what is malformed hyper, httparse and h2 refuse. What they take is refused here, or let
//! be, as no other reader is led to another body by it:
//!
//! | they take | here |
//! |---|---|
//! | Transfer-Encoding with Content-Length (§6.3 item 3) | refused |
//! | a Transfer-Encoding that is not one `chunked` (§6.1, §7) | refused |
//! | Transfer-Encoding from HTTP/1.0, where the status has no body (§6.1) | refused |
//! | a 101 that nobody asked for (RFC 9110 §7.8) | refused; h2 passes over it, switching nothing |
//! | interim responses without end (RFC 9110 §15.2) | refused after 8, by `interim` and by `frames` |
//! | bytes between two responses (§6.3) | the connection is given up, by hyper and by `stream` |
//! | LF alone at the end of a line of the head (§2.2) | let be: a recipient may, and many do so |
//! | blank lines before the status line | let be on a new connection; between responses, refused |
//! | a status line without a reason, or the space before it (§4) | let be: a client ignores it |
//! | statuses from 600 to 999 (RFC 9110 §15) | let be: whoever asks sees the number |
//! | Content-Length several times, and the same number (§6.3 item 5) | let be |
//! | white space after a chunk's size; any byte but CR and LF in its extensions (§7.1) | let be |
//! | trailers with a length (RFC 9110 §6.5.1), or with LF at a line's end | let be: nothing goes by them |
//! | pseudo-fields in the trailers of h2 (RFC 9113 §8.1) | let be: the codec drops them |
//!
//! They refuse what the RFC would have us take: obs-fold (§5.2), which is as well, and HTTP/1.2
//! (RFC 9110 §2.5), which there is not. A head of h2 beyond its limit they tell apart from a
//! malformed one for nobody, and so it is an `ErrorKind::MalformedReply`.

use std::fmt;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{StatusCode, Version};

use crate::limits;

/// Refuses a head that hyper takes and that leaves doubt.
pub(super) fn check(head: &Parts) -> Result<(), Doubt> {
    // We never ask for another protocol, so whatever follows a 101 is not a reply of ours.
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Doubt::UnaskedUpgrade);
    }
    if head.headers.len() > limits::RESPONSE_FIELDS {
        return Err(Doubt::TooManyFields);
    }
    // h2 has framing of its own, and its codec refuses these fields.
    if head.version == Version::HTTP_2 {
        return Ok(());
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        // §6.1: such a framing is faulty, even where the status allows no body to frame.
        (Some(_), _) if head.version == Version::HTTP_10 => Err(Doubt::CodingBefore11),
        // §6.1: a server that sends both is out of step, or an attack.
        (Some(_), _) if head.headers.contains_key(CONTENT_LENGTH) => Err(Doubt::LengthAndCoding),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        // We send no TE, so nothing but chunked may be applied (§7.4).
        (Some(_), _) => Err(Doubt::UnaskedCoding),
    }
}

/// What is doubtful in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    UnaskedUpgrade,
    TooManyFields,
    LengthAndCoding,
    UnaskedCoding,
    CodingBefore11,
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
        let rows: [(Fields, Result<(), Doubt>); 9] = [
            (&[], Ok(())),
            (&[("content-length", "3")], Ok(())),
            (&[("transfer-encoding", "chunked")], Ok(())),
            (&[("transfer-encoding", "Chunked")], Ok(())),
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
            let mut response = http::Response::builder();
            for (name, value) in fields {
                response = response.header(*name, *value);
            }
            assert_eq!(
                check(&response.body(()).unwrap().into_parts().0),
                expected,
                "{fields:?}"
            );
        }
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
