//! Is it beyond doubt where a reply's body ends? (RFC 9112 §6.) Two readers that disagree
//! on that can be made to see two different replies.

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
