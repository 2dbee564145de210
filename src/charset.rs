//! The text of a body: its bytes in the charset that Content-Type names.
//!
//! With feature `charset` that is every encoding of the WHATWG Encoding Standard; without it UTF-8
//! only. What cannot be decoded becomes U+FFFD.

use bytes::Bytes;
use http::HeaderValue;

/// Decodes `bytes` by the `charset` of `content_type`; as UTF-8 if there is none or nobody knows
/// it.
///
/// A byte order mark outranks the header (Encoding Standard §6, "decode") and is not part of the
/// text.
pub(crate) fn decode_text(content_type: Option<&HeaderValue>, bytes: Bytes) -> String {
    #[cfg(feature = "charset")]
    {
        let named = content_type.and_then(|value| charset(value.as_bytes()));
        let encoding = named
            .and_then(|label| encoding_rs::Encoding::for_label(&label))
            .unwrap_or(encoding_rs::UTF_8);
        let (encoding, _) = encoding_rs::Encoding::for_bom(&bytes).unwrap_or((encoding, 0));
        if encoding != encoding_rs::UTF_8 {
            return encoding.decode(&bytes).0.into_owned();
        }
    }
    #[cfg(not(feature = "charset"))]
    let _ = content_type;
    utf8(bytes)
}

/// Without a copy where the bytes are valid and ours alone.
fn utf8(mut bytes: Bytes) -> String {
    if bytes.starts_with(BOM) {
        bytes = bytes.slice(BOM.len()..);
    }
    String::from_utf8(Vec::from(bytes))
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The first `charset` parameter of a media type (RFC 9110 §8.3.1), its quotes undone.
#[cfg(feature = "charset")]
fn charset(content_type: &[u8]) -> Option<Vec<u8>> {
    let mut rest = after(content_type, b';')?;
    loop {
        // parameters = *( OWS ";" OWS [ parameter ] ), RFC 9110 §5.6.6.
        rest = rest.trim_ascii_start();
        let name_end = rest.iter().position(|byte| matches!(byte, b';' | b'='))?;
        let (name, value) = rest.split_at_checked(name_end)?;
        rest = value.get(1..)?;
        if value.starts_with(b";") {
            continue;
        }
        let value = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let (value, left) = unquote(quoted);
                rest = left;
                value
            }
            None => {
                let end = rest
                    .iter()
                    .position(|&byte| byte == b';')
                    .unwrap_or(rest.len());
                rest.get(..end)?.trim_ascii_end().to_vec()
            }
        };
        if name.trim_ascii_end().eq_ignore_ascii_case(b"charset") {
            return Some(value);
        }
        rest = after(rest, b';')?;
    }
}

/// The text of a quoted string without its first quote (RFC 9110 §5.6.4), and what follows its
/// last.
#[cfg(feature = "charset")]
fn unquote(quoted: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut rest = quoted;
    while let Some((&byte, left)) = rest.split_first() {
        rest = left;
        match (byte, left.split_first()) {
            (b'"', _) => break,
            (b'\\', Some((&escaped, left))) => {
                text.push(escaped);
                rest = left;
            }
            _ => text.push(byte),
        }
    }
    (text, rest)
}

#[cfg(feature = "charset")]
fn after(bytes: &[u8], separator: u8) -> Option<&[u8]> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    bytes.get(at + 1..)
}

/// U+FEFF in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: Option<&[u8]>, bytes: &'static [u8]) -> String {
        let content_type = content_type.map(|value| HeaderValue::from_bytes(value).unwrap());
        decode_text(content_type.as_ref(), Bytes::from_static(bytes))
    }

    #[test]
    fn utf8_unless_said_otherwise() {
        for (content_type, bytes, expected) in [
            (None, b"caf\xc3\xa9".as_slice(), "caf\u{e9}"),
            (None, b"caf\xe9!", "caf\u{fffd}!"),
            (None, b"", ""),
            (None, b"\xef\xbb\xbfx", "x"),
            (None, b"x\xef\xbb\xbf", "x\u{feff}"),
            (Some(b"text/plain".as_slice()), b"caf\xc3\xa9", "caf\u{e9}"),
            (
                Some(b"text/plain; charset=utf-8"),
                b"caf\xc3\xa9",
                "caf\u{e9}",
            ),
            (
                Some(b"text/plain; charset=klingon"),
                b"caf\xc3\xa9\xff",
                "caf\u{e9}\u{fffd}",
            ),
            (Some(b"text/plain; charset=\xe9"), b"x", "x"),
        ] {
            assert_eq!(text(content_type, bytes), expected, "{content_type:?}");
        }
    }

    #[cfg(feature = "charset")]
    #[test]
    fn encodings() {
        for (content_type, bytes, expected) in [
            (
                "text/html; charset=iso-8859-1",
                b"\xe9\x80".as_slice(),
                "\u{e9}\u{20ac}",
            ),
            (
                "text/html; charset=windows-1251",
                b"\xcf\xf0",
                "\u{41f}\u{440}",
            ),
            ("text/html; charset=Shift_JIS", b"\x83e", "\u{30c6}"),
            (
                "text/html; charset=utf-16le",
                b"x\0\x3d\xd8\x00\xde",
                "x\u{1f600}",
            ),
            ("text/html; charset=utf-16be", b"\0x\xd8", "x\u{fffd}"),
            // A byte order mark outranks the header.
            (
                "text/html; charset=iso-8859-1",
                b"\xef\xbb\xbf\xc3\xa9",
                "\u{e9}",
            ),
            ("text/html; charset=utf-8", b"\xff\xfex\0", "x"),
            ("text/html", b"\xfe\xff\0x", "x"),
        ] {
            assert_eq!(
                text(Some(content_type.as_bytes()), bytes),
                expected,
                "{content_type}"
            );
        }
    }

    #[cfg(feature = "charset")]
    #[test]
    fn parameters() {
        for (content_type, expected) in [
            ("text/html", None),
            ("text/html;", None),
            ("charset=koi8-r", None),
            ("text/html;charset=koi8-r", Some("koi8-r")),
            ("text/html ; CharSet=KOI8-R", Some("KOI8-R")),
            ("text/html; charset=koi8-r ; x=y", Some("koi8-r")),
            ("text/html; charset=\"koi8-r\"", Some("koi8-r")),
            ("text/html; charset=\"k\\oi8-r\"; x=y", Some("koi8-r")),
            ("text/html; charset=\"koi8-r", Some("koi8-r")),
            ("text/html; charset=", Some("")),
            ("text/html; charset", None),
            ("text/html; charset; charset=koi8-r", Some("koi8-r")),
            ("text/html;;  ; charset=koi8-r", Some("koi8-r")),
            ("text/html; charset=koi8-r; charset=utf-8", Some("koi8-r")),
            (
                "multipart/x; boundary=\"; charset=utf-8\"; charset=koi8-r",
                Some("koi8-r"),
            ),
            (
                "multipart/x; boundary=\"\\\"; charset=utf-8\"; charset=koi8-r",
                Some("koi8-r"),
            ),
            ("text/html; xcharset=utf-8", None),
            ("text/html; charset=\"a\\", Some("a\\")),
        ] {
            let found = charset(content_type.as_bytes());
            assert_eq!(
                found.as_deref(),
                expected.map(str::as_bytes),
                "{content_type}"
            );
        }
    }
}
