//! A tunnel through an HTTP proxy: CONNECT (RFC 9110 §9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::denied::Denied;
use super::origin::Origin;
use super::proxy::Credentials;
use crate::limits;
use crate::tls::shown::Shown;

/// Asks the proxy at the other end of `stream` for a tunnel to `origin`. After that, the stream is
/// the tunnel.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    origin: &Origin,
    credentials: Option<&Credentials>,
) -> Result<(), Denied> {
    stream.write_all(&request(origin, credentials)).await?;
    stream.flush().await?;
    let mut head = Vec::with_capacity(FIRST_READ);
    let mut stream = stream.take(limits::PROXY_HEAD);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(match stream.limit() {
                0 => Denied::Malformed("its head is larger than 16 KiB"),
                _ => Denied::Closed,
            });
        }
        if let Some(answer) = read(&head).map_err(Denied::Malformed)? {
            return answer.admit(credentials.is_some());
        }
    }
}

/// Nothing more is told than what is needed: not who we are, and nothing of what will be asked of
/// the origin.
fn request(origin: &Origin, credentials: Option<&Credentials>) -> Vec<u8> {
    let mut request = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n");
    if let Some(Credentials { user, password }) = credentials {
        // RFC 7617 §2.
        let pair = [user.as_slice(), b":", password].concat();
        let encoded = STANDARD.encode(pair);
        request.push_str(&format!("Proxy-Authorization: Basic {encoded}\r\n"));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// A final answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    reason: String,
    /// Bytes that came after the head.
    surplus: usize,
}

impl Answer {
    fn admit(self, gave_credentials: bool) -> Result<(), Denied> {
        match self.status {
            // What it says of a body is not to be looked at: there is none (RFC 9110 §9.3.6). In a
            // tunnel it is we who speak first, so these are no origin's bytes.
            200..=299 if self.surplus > 0 => {
                Err(Denied::Malformed("bytes follow the head of a tunnel"))
            }
            200..=299 => Ok(()),
            // tinyproxy knows 407 only for who gave none.
            401 | 407 if gave_credentials => Err(Denied::Unrecognized),
            407 => Err(Denied::Unauthorized),
            101 => Err(Denied::Malformed(
                "it switches to a protocol that nobody asked for",
            )),
            status if self.reason.is_empty() => Err(Denied::Refused(status.to_string())),
            status => Err(Denied::Refused(format!(
                "{status} \"{}\"",
                Shown(&self.reason)
            ))),
        }
    }
}

/// Reads the final answer off what came until now; `None` if it is not all there.
fn read(mut bytes: &[u8]) -> Result<Option<Answer>, &'static str> {
    for _ in 0..=limits::INTERIM_RESPONSES {
        let mut fields = [httparse::EMPTY_HEADER; limits::RESPONSE_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err("it has more than 100 fields"),
            Err(_) => return Err("it is not HTTP/1.1"),
        };
        let status = head.code.unwrap_or_default();
        let rest = bytes.get(length..).unwrap_or_default();
        // RFC 9110 §15.2: any number of them may come before, but for a switch.
        if (100..200).contains(&status) && status != 101 {
            bytes = rest;
            continue;
        }
        if status < 100 {
            return Err("its status is none");
        }
        return Ok(Some(Answer {
            status,
            reason: head.reason.unwrap_or_default().to_owned(),
            surplus: rest.len(),
        }));
    }
    Err("there are more than 8 interim responses")
}

/// As much as most answers take.
const FIRST_READ: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::proxy::Proxy;

    #[test]
    fn the_request_says_where_to_and_who_pays() {
        for (host, proxy, expected) in [
            (
                "example.com",
                "http://p",
                "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
            ),
            (
                "[::1]",
                "http://Aladdin:open%20sesame@p",
                "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\
                 Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
            ),
        ] {
            let origin = Origin::tls(host, 443).unwrap();
            let proxy = Proxy::parse(proxy).unwrap();
            let request = request(&origin, proxy.credentials.as_ref());
            assert_eq!(String::from_utf8(request).unwrap(), expected);
        }
    }

    #[test]
    fn an_answer_is_read_whole_and_once() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
        let interim = |count: usize| {
            let interim = "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n".repeat(count);
            format!("{interim}HTTP/1.1 200 OK\r\n\r\n")
        };
        let (eight, nine) = (interim(8), interim(9));
        type Expected = Result<Option<(u16, &'static str, usize)>, &'static str>;
        let rows: [(&str, Expected); 20] = [
            ("", Ok(None)),
            ("HTTP/1.1 200", Ok(None)),
            ("HTTP/1.1 200 OK\r\n", Ok(None)),
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(Some((200, "OK", 0)))),
            (
                "HTTP/1.0 200 Connection established\r\n\r\n",
                Ok(Some((200, "Connection established", 0))),
            ),
            ("HTTP/1.1 200\r\n\r\n", Ok(Some((200, "", 0)))),
            ("HTTP/1.1 204 No\r\na: b\r\n\r\n", Ok(Some((204, "No", 0)))),
            ("HTTP/1.1 200 OK\r\n\r\nSSH-2.0", Ok(Some((200, "OK", 7)))),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
                Ok(Some((200, "OK", 3))),
            ),
            (
                "HTTP/1.1 407 Auth\r\ncontent-length: 3\r\n\r\nabc",
                Ok(Some((407, "Auth", 3))),
            ),
            ("HTTP/1.1 101 Sw\r\n\r\n", Ok(Some((101, "Sw", 0)))),
            (&eight, Ok(Some((200, "OK", 0)))),
            (&nine, Err("there are more than 8 interim responses")),
            ("HTTP/1.1 100 Continue\r\n\r\n", Ok(None)),
            (&many, Err("it has more than 100 fields")),
            ("HTTP/2 200 OK\r\n\r\n", Err("it is not HTTP/1.1")),
            ("SSH-2.0-OpenSSH\r\n", Err("it is not HTTP/1.1")),
            ("\x16\x03\x01\x00", Err("it is not HTTP/1.1")),
            ("HTTP/1.1 099 Low\r\n\r\n", Err("its status is none")),
            (
                "HTTP/1.1 200 OK\r\na\0b: c\r\n\r\n",
                Err("it is not HTTP/1.1"),
            ),
        ];
        for (bytes, expected) in rows {
            let found = read(bytes.as_bytes());
            let found = found.map(|answer| answer.map(|a| (a.status, a.reason, a.surplus)));
            let expected = expected.map(|answer| answer.map(|(s, r, n)| (s, r.to_owned(), n)));
            assert_eq!(found, expected, "{bytes}");
        }
    }

    #[test]
    fn only_success_without_a_word_more_is_a_tunnel() {
        let answer = |status, surplus| Answer {
            status,
            reason: String::from("Because \"\x1b[2J\u{e9}"),
            surplus,
        };
        for (status, surplus, gave, expected) in [
            (200, 0, false, None),
            (299, 0, true, None),
            (200, 1, false, Some("gave no proper answer")),
            (101, 0, false, Some("gave no proper answer")),
            (
                302,
                0,
                false,
                Some("refused a tunnel to o: 302 \"Because \\u{22}\\u{1b}[2J\\u{e9}\""),
            ),
            (401, 0, false, Some("refused a tunnel to o: 401")),
            (407, 9, false, Some("wants a user name")),
            (401, 0, true, Some("does not take the user name")),
            (407, 0, true, Some("does not take the user name")),
            (503, 0, true, Some("refused a tunnel to o: 503")),
            (999, 0, true, Some("refused a tunnel to o: 999")),
        ] {
            let denied = answer(status, surplus).admit(gave).err();
            let sentence = denied.map(|denied| denied.sentence("p", "o"));
            match expected {
                None => assert_eq!(sentence, None, "{status}"),
                Some(part) => assert!(sentence.unwrap().contains(part), "{status}"),
            }
        }
    }
}
