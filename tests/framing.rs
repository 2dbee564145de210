//! Replies byte by byte: what is beyond doubt is read, what leaves doubt is refused (RFC 9112), and
//! nothing of a reply is ever taken for the reply to another request.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::fmt::Write;

use script::{Server, Then, client, in_time, reply};
use urlfetch::ErrorKind::{self, ConnectionClosed, MalformedReply, ResponseTooLarge};

/// What a reply comes to: its status and body, or the kind of its error, in its head or its body.
type Outcome = Result<(u16, String), ErrorKind>;

fn body(status: u16, body: &str) -> Outcome {
    Ok((status, body.into()))
}

/// A reply with a head of its own and `hello` after it.
fn hello(head: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{head}\r\nhello").into_bytes()
}

/// Fetches each reply over verified TLS, and after it `/clean` with the same client: whatever the reply
/// left behind on its connection must not be read as the answer to that.
async fn check(rows: Vec<(Vec<u8>, Then, Outcome)>) {
    in_time(async {
        let replies: Vec<_> = rows
            .iter()
            .map(|(reply, then, _)| (reply.clone(), *then))
            .collect();
        let server = Server::tls(move |request| match request.path()[1..].parse::<usize>() {
            Ok(row) => replies[row].clone(),
            Err(_) => (reply("200 OK", "x-clean: yes\r\n", "clean"), Then::Stay),
        })
        .await;
        let mut wrong = Vec::new();
        for (row, (reply, _, expected)) in rows.into_iter().enumerate() {
            let client = client();
            let shown = reply[..reply.len().min(300)].escape_ascii();
            let outcome = match client.fetch(server.url(&format!("/{row}"))).await {
                Err(error) => Err(error),
                Ok(response) => {
                    let status = response.status().as_u16();
                    response.text().await.map(|text| (status, text))
                }
            };
            let outcome = outcome.map_err(|error| {
                assert!(error.request_was_sent(), "{shown}");
                error.kind()
            });
            if outcome != expected {
                wrong.push(format!(
                    "{shown}\n  gave {outcome:?}, expected {expected:?}"
                ));
            }
            let next = client.fetch(server.url("/clean")).await.unwrap();
            assert!(next.headers().contains_key("x-clean"), "{shown}");
            assert_eq!(next.text().await.unwrap(), "clean", "{shown}");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn where_a_body_ends_is_beyond_doubt_or_refused() {
    use Then::{Close, Cut, Stay};
    let rows: &[(&str, Then, Outcome)] = &[
        // RFC 9112 §6.3, by its items.
        ("content-length: 5\r\n", Stay, body(200, "hello")),
        ("Content-Length:5\r\n", Stay, body(200, "hello")),
        ("content-length: \t 5 \t\r\n", Stay, body(200, "hello")),
        ("content-length: 005\r\n", Stay, body(200, "hello")),
        ("", Close, body(200, "hello")),
        ("connection: keep-alive\r\n", Close, body(200, "hello")),
        ("content-length: 0\r\n", Stay, body(200, "")),
        ("content-length: 3\r\n", Stay, body(200, "hel")),
        ("content-length: 6\r\n", Close, Err(ConnectionClosed)),
        // Item 3: both, whichever is first.
        (
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "content-length: 5\r\ntransfer-encoding: identity\r\n",
            Stay,
            Err(MalformedReply),
        ),
        // Item 4: a coding that is not chunked, or is so twice, or in disguise.
        ("transfer-encoding: gzip\r\n", Close, Err(MalformedReply)),
        (
            "transfer-encoding: gzip, chunked\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: chunked, chunked\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: xchunked\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: \"chunked\"\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: chunked;q=1\r\n",
            Close,
            Err(MalformedReply),
        ),
        (
            "transfer-encoding: \x0bchunked\r\n",
            Close,
            Err(MalformedReply),
        ),
        ("transfer-encoding:\r\n", Close, Err(MalformedReply)),
        (
            "transfer-encoding : chunked\r\n",
            Close,
            Err(MalformedReply),
        ),
        // Item 5: lengths that are none, or contradict each other.
        ("content-length: -5\r\n", Stay, Err(MalformedReply)),
        ("content-length: +5\r\n", Stay, Err(MalformedReply)),
        ("content-length: 0x5\r\n", Stay, Err(MalformedReply)),
        ("content-length: 5.0\r\n", Stay, Err(MalformedReply)),
        ("content-length: 5 5\r\n", Stay, Err(MalformedReply)),
        ("content-length: five\r\n", Stay, Err(MalformedReply)),
        (
            "content-length: 5\r\ncontent-length:\r\n",
            Stay,
            Err(MalformedReply),
        ),
        ("content-length: 5,\r\n", Stay, Err(MalformedReply)),
        ("content-length: \"5\"\r\n", Stay, Err(MalformedReply)),
        ("content-length: 5;q=1\r\n", Stay, Err(MalformedReply)),
        ("content-length: \u{0665}\r\n", Stay, Err(MalformedReply)),
        (
            "content-length: 18446744073709551616\r\n",
            Stay,
            Err(MalformedReply),
        ),
        ("content-length:\r\n", Stay, Err(MalformedReply)),
        ("content-length: ,\r\n", Stay, Err(MalformedReply)),
        ("content-length: 5, 6\r\n", Stay, Err(MalformedReply)),
        (
            "content-length: 18446744073709551621\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "content-length: 5\r\ncontent-length: 6\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "content-length: 6\r\ncontent-length: 5\r\n",
            Stay,
            Err(MalformedReply),
        ),
        ("content-length : 5\r\n", Stay, Err(MalformedReply)),
        // The same one several times is one.
        (
            "content-length: 5\r\ncontent-length: 5\r\n",
            Stay,
            body(200, "hello"),
        ),
        ("content-length: 5, 5\r\n", Stay, body(200, "hello")),
        (
            "content-length: 5\r\ncontent-length: 05 , 5\r\n",
            Stay,
            body(200, "hello"),
        ),
        // §9.8: of an end that TLS does not vouch for only what was announced is believed.
        ("content-length: 5\r\n", Cut, body(200, "hello")),
        ("content-length: 6\r\n", Cut, Err(ConnectionClosed)),
        ("", Cut, Err(ConnectionClosed)),
        // What says how long the connection stays says nothing of the body.
        (
            "connection: close\r\ncontent-length: 5\r\n",
            Stay,
            body(200, "hello"),
        ),
        (
            "connection: keep-alive\r\nkeep-alive: timeout=5, max=0\r\ncontent-length: 5\r\n",
            Stay,
            body(200, "hello"),
        ),
    ];
    let mut rows: Vec<_> = rows
        .iter()
        .map(|(head, then, expected)| (hello(head), *then, expected.clone()))
        .collect();
    // Items 3 and 4 once more: whichever of the two one believed, it would be a whole body.
    for (fields, length) in [("", "15"), ("gzip, ", "15"), ("", "5")] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: {fields}chunked\r\ncontent-length: {length}\r\n\r\n"
        );
        let reply = [&head, "5\r\nhello\r\n0\r\n\r\n"].concat();
        rows.push((reply.into(), Stay, Err(MalformedReply)));
    }
    // §6.1: HTTP/1.0 knows no Transfer-Encoding.
    for status in ["200 OK", "204 No Content", "304 Not Modified"] {
        rows.push((
            format!(
                "HTTP/1.0 {status}\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\n\r\n"
            )
            .into(),
            Stay,
            Err(MalformedReply),
        ));
    }
    for (reply, then, expected) in [
        ("HTTP/1.0 200 OK\r\n\r\nhello", Close, body(200, "hello")),
        ("HTTP/1.0 200 OK\r\n\r\nhello", Cut, Err(ConnectionClosed)),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
            Stay,
            body(200, "hello"),
        ),
        // RFC 9110 §15.3.6 forbids the body, and §6.3 says where it ends.
        (
            "HTTP/1.1 205 Reset Content\r\ncontent-length: 5\r\n\r\nhello",
            Stay,
            body(205, "hello"),
        ),
    ] {
        rows.push((reply.into(), then, expected));
    }
    check(rows).await;
}

#[tokio::test]
async fn chunks_are_chunks_or_refused() {
    use Then::{Close, Cut, Stay};
    let long = "x".repeat(70_000);
    let extended = format!("5;{long}\r\nhello\r\n0\r\n\r\n");
    let trailing = format!("0\r\nx: {long}\r\n\r\n");
    let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(101));
    let rows: &[(&str, Then, Outcome)] = &[
        ("5\r\nhello\r\n0\r\n\r\n", Stay, body(200, "hello")),
        ("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", Stay, body(200, "hello")),
        ("00005\r\nhello\r\n000\r\n\r\n", Stay, body(200, "hello")),
        (
            "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n",
            Stay,
            body(200, "hello"),
        ),
        (
            "A\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
            Stay,
            body(200, "0123456789"),
        ),
        ("0\r\n\r\n", Stay, body(200, "")),
        // The end is missing, in part or as a whole.
        ("", Close, Err(ConnectionClosed)),
        ("5", Close, Err(ConnectionClosed)),
        ("5\r\nhel", Close, Err(ConnectionClosed)),
        ("5\r\nhello", Close, Err(ConnectionClosed)),
        ("5\r\nhello\r\n", Close, Err(ConnectionClosed)),
        ("5\r\nhello\r\n0", Close, Err(ConnectionClosed)),
        ("5\r\nhello\r\n0\r\n", Close, Err(ConnectionClosed)),
        ("5\r\nhello\r\n0\r\nx: y\r\n", Close, Err(ConnectionClosed)),
        // What is no size, or no end of a line.
        ("\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("x\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("-5\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("+5\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("0x5\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5 5\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\rhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\r\nhello0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\r\nhelloxx0\r\n\r\n", Stay, Err(MalformedReply)),
        ("4\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5;a\nb\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        (
            "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "5\r\nhello\r\n0\r\nno field\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "5\r\nhello\r\n0\r\nx: a\r\n b\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "5\r\nhello\r\n0\r\nx : a\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "5\r\nhello\r\n0\r\nx: a\0\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        (
            "5\r\nhello\r\n0\r\nx: a\rb\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        ("5\r\nhello\r\n0\n\n", Stay, Err(MalformedReply)),
        ("5\nhello\n0\n\n", Stay, Err(MalformedReply)),
        ("5;a\rb\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\r\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\r\nhello\r0\r\n\r\n", Stay, Err(MalformedReply)),
        ("5\0\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        (" 5\r\nhello\r\n0\r\n\r\n", Stay, Err(MalformedReply)),
        (
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
            Stay,
            Err(MalformedReply),
        ),
        ("fffffffffffffffe\r\nhello", Close, Err(ConnectionClosed)),
        // A body of its own after the last chunk is nobody's.
        (
            "5\r\nhello\r\n0\r\n\r\n5\r\nworld\r\n0\r\n\r\n",
            Stay,
            body(200, "hello"),
        ),
        // These are forgiven; no two readers see two bodies in them.
        ("5 \t\r\nhello\r\n0 \r\n\r\n", Stay, body(200, "hello")),
        ("5;\0\r\nhello\r\n0\r\n\r\n", Stay, body(200, "hello")),
        // To one the trailers end at CRLF twice, to another at LF and CRLF.
        (
            "5\r\nhello\r\n0\r\nx: y\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
            Stay,
            Err(MalformedReply),
        ),
        // RFC 9110 §6.5.1: in trailers a length is none.
        (
            "5\r\nhello\r\n0\r\ncontent-length: 1\r\ntransfer-encoding: x\r\n\r\n",
            Stay,
            body(200, "hello"),
        ),
        // Extensions and trailers are bounded like a head.
        (&extended, Stay, Err(MalformedReply)),
        (&trailing, Stay, Err(MalformedReply)),
        (&many, Stay, Err(MalformedReply)),
        ("5\r\nhello\r\n0\r\n\r\n", Cut, body(200, "hello")),
        ("5\r\nhello\r\n", Cut, Err(ConnectionClosed)),
    ];
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(
        rows.iter()
            .map(|(chunks, then, expected)| {
                ([head, chunks].concat().into(), *then, expected.clone())
            })
            .collect(),
    )
    .await;
}

#[tokio::test]
async fn heads_that_are_not_http_are_refused() {
    use Then::{Close, Stay};
    let heads = [
        "220 lab.test ESMTP ready\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "<html>HTTP/0.9</html>\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\x12\x04\0\0\0\0\0\r\n\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
        "http/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 -20 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 O\x7fK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200\r OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1\r 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1\t200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 000 ?\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 99 ?\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 1000 ?\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 abc ?\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 \r\ncontent-length: 0\r\n\r\n",
        "HTTP/11 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1. 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/01.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTPS/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "\u{feff}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        " HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        // §5.2: folding is over.
        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\r\n\tb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n x: a\r\ncontent-length: 0\r\n\r\n",
        // §5.1: nothing between a name and its colon. §5.5: no NUL, no bare CR.
        "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx\0: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx\r: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\u{e9}: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\tx: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx\t: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n(x): a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: \ra\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\r\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\x01\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\x0bb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\x7fb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\ncontent-length : 0\n\n",
    ];
    let mut rows: Vec<_> = heads
        .iter()
        .map(|head| (head.as_bytes().to_vec(), Stay, Err(MalformedReply)))
        .collect();
    for early in ["", "H", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nx: y\r\n"] {
        rows.push((early.into(), Close, Err(ConnectionClosed)));
    }
    // What is odd and clear.
    for (odd, expected) in [
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200),
        ("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n", 200),
        ("HTTP/1.1 200 \u{e9}\r\ncontent-length: 0\r\n\r\n", 200),
        // RFC 9110 §15: whatever is beyond 599 is to be taken as a 5xx.
        ("HTTP/1.1 600 ?\r\ncontent-length: 0\r\n\r\n", 600),
        ("HTTP/1.1 999 ?\r\ncontent-length: 0\r\n\r\n", 999),
        (
            "HTTP/1.1 200 OK\r\nx: \u{e9}\r\ncontent-length: 0\r\n\r\n",
            200,
        ),
        ("HTTP/1.1 200 OK\r\nx:\r\ncontent-length: 0\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\ncontent-length: 0\n\n", 200),
        ("\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ] {
        rows.push((odd.into(), Stay, body(expected, "")));
    }
    check(rows).await;
}

#[tokio::test]
async fn a_head_is_bounded() {
    let fields = |count: usize| {
        let mut head = String::from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n");
        for n in 1..count {
            let _ = write!(head, "x-{n}: y\r\n");
        }
        (head + "\r\n").into_bytes()
    };
    let of_size = |size: usize| {
        let (start, end) = ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: ", "\r\n\r\n");
        let fill = "y".repeat(size - start.len() - end.len());
        [start, &fill, end].concat().into_bytes()
    };
    let limit = 64 << 10;
    check(vec![
        (fields(100), Then::Stay, body(200, "")),
        (fields(101), Then::Stay, Err(ResponseTooLarge)),
        (fields(5_000), Then::Stay, Err(ResponseTooLarge)),
        (of_size(limit), Then::Stay, body(200, "")),
        (of_size(limit + 1), Then::Stay, Err(ResponseTooLarge)),
        (of_size(10 * limit), Then::Stay, Err(ResponseTooLarge)),
    ])
    .await;
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let start = "HTTP/1.1 200 OK\r\nx: ";
    let many = "HTTP/1.1 100 Continue\r\n\r\n";
    in_time(async {
        for (start, then, expected) in [
            (start, "y", ResponseTooLarge),
            (start, "y\r\nx: ", ResponseTooLarge),
            ("", many, MalformedReply),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;",
                "y",
                MalformedReply,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
                "y",
                MalformedReply,
            ),
        ] {
            let (said, heard) = tokio::sync::oneshot::channel();
            let said = std::sync::Mutex::new(Some(said));
            let server = Server::start("http", None, move |mut talk| {
                let said = said.lock().unwrap().take().unwrap();
                async move {
                    talk.request().await;
                    talk.say(start).await.unwrap();
                    let block = then.repeat(4096 / then.len());
                    let mut sent = 0;
                    while talk.say(&block).await.is_ok() {
                        sent += block.len();
                    }
                    said.send(sent).unwrap();
                }
            })
            .await;
            let outcome = match client().fetch(server.url("/")).await {
                Ok(response) => response.bytes().await.map(drop),
                Err(error) => Err(error),
            };
            assert_eq!(outcome.unwrap_err().kind(), expected, "{start:?} {then:?}");
            // The connection is closed, and what was sent until then is what sockets hold.
            assert!(heard.await.unwrap() < 16 << 20, "{start:?} {then:?}");
        }
    })
    .await;
}

/// A chunk's size may have zeros before it and white space behind, and not for ever.
#[tokio::test]
async fn a_chunk_that_never_begins_is_none() {
    in_time(async {
        for then in ["0", " "] {
            let server = Server::start("https", Some("http/1.1"), move |mut talk| async move {
                talk.request().await;
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0";
                talk.say(head).await.unwrap();
                while talk.say(then.repeat(4096)).await.is_ok() {}
            })
            .await;
            let response = client().fetch(server.url("/")).await.unwrap();
            let error = response.bytes().await.unwrap_err();
            assert_eq!(error.kind(), MalformedReply, "{then:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn interim_responses_are_passed_over_until_there_are_too_many() {
    let last = String::from_utf8(reply("200 OK", "", "hello")).unwrap();
    let interim = |count, one: &str| [one.repeat(count), last.clone()].concat().into_bytes();
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\ncontent-length: 9\r\n\r\n";
    check(vec![
        (
            interim(1, "HTTP/1.1 100 Continue\r\n\r\n"),
            Then::Stay,
            body(200, "hello"),
        ),
        (interim(1, hints), Then::Stay, body(200, "hello")),
        (
            interim(1, "HTTP/1.1 199 ?\r\n\r\n"),
            Then::Stay,
            body(200, "hello"),
        ),
        (
            interim(8, "HTTP/1.1 102 Processing\r\n\r\n"),
            Then::Stay,
            body(200, "hello"),
        ),
        (
            interim(9, "HTTP/1.1 102 Processing\r\n\r\n"),
            Then::Stay,
            Err(MalformedReply),
        ),
        (
            interim(1, "HTTP/1.1 100\r\nx: a\r\n b\r\n\r\n"),
            Then::Stay,
            Err(MalformedReply),
        ),
        // Nobody asked for another protocol.
        (
            interim(
                1,
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            ),
            Then::Stay,
            Err(MalformedReply),
        ),
        (
            interim(
                1,
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
            ),
            Then::Stay,
            Err(MalformedReply),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\n".into(),
            Then::Close,
            Err(ConnectionClosed),
        ),
    ])
    .await;
}

/// What `check` asks for with GET has a body; these have none, whatever they say.
#[tokio::test]
async fn what_has_no_body_has_none() {
    let hello = "HTTP/1.1 204 No Content\r\n";
    let rest = [
        "\r\n",
        "content-length: 5\r\n\r\n",
        "content-length: 5\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "content-encoding: gzip\r\ncontent-length: 5\r\n\r\n",
        "content-encoding: gzip, gzip\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
    ];
    let mut rows = Vec::new();
    for rest in rest {
        rows.push(([hello, rest].concat().into(), Then::Stay, body(204, "")));
        let not_modified = ["HTTP/1.1 304 Not Modified\r\n", rest].concat();
        rows.push((not_modified.into(), Then::Stay, body(304, "")));
    }
    check(rows).await;
}

/// A second reply that nobody asked for must not answer the next request, whether it comes at once
/// or while the connection is idle; nor may one that is there before any request.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_nobody_is_nobodys() {
    let poison = || String::from_utf8(reply("200 OK", "x-poison: yes\r\n", "poison")).unwrap();
    let good = [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 4\r\n\r\ngood",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"),
        (
            "POST",
            "HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\ngood",
        ),
    ];
    in_time(async {
        for at_once in [true, false] {
            for (method, good) in good {
                let (gone, client_left) = tokio::sync::oneshot::channel();
                let gone = std::sync::Mutex::new(Some(gone));
                let server = Server::start("http", None, move |mut talk| {
                    let gone = gone.lock().unwrap().take();
                    async move {
                        if talk.number > 0 {
                            while talk.request().await.is_some() {
                                talk.say(reply("200 OK", "", "clean")).await.unwrap();
                            }
                            return;
                        }
                        talk.request().await;
                        match at_once {
                            true => talk.say([good, &poison()].concat()).await.unwrap(),
                            false => {
                                talk.say(good).await.unwrap();
                                let _ = talk.say(poison()).await;
                            }
                        }
                        talk.until_gone().await;
                        let _ = gone.unwrap().send(());
                    }
                })
                .await;
                let client = client();
                let method = method.parse().unwrap();
                let response = client.fetch(server.url("/")).method(method).await.unwrap();
                assert!(!response.headers().contains_key("x-poison"), "{good}");
                assert_ne!(response.text().await.unwrap(), "poison", "{good}");
                if !at_once {
                    client_left.await.unwrap();
                }
                let next = client.fetch(server.url("/next")).await.unwrap();
                assert_eq!(next.text().await.unwrap(), "clean", "{at_once} {good}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_protocol_that_alpn_did_not_choose_is_not_spoken() {
    use tokio::sync::oneshot::channel;
    in_time(async {
        for (protocol, says) in [
            ("h2", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            ("http/1.1", "\0\0\0\x04\0\0\0\0\0"),
        ] {
            let (done, _done) = channel::<()>();
            let done = std::sync::Arc::new(done);
            let server = Server::start("https", Some(protocol), move |mut talk| {
                let done = std::sync::Arc::clone(&done);
                async move {
                    // Once the request, or h2's preface, is there.
                    talk.line("\r\n\r\n").await;
                    let _ = talk.say(says).await;
                    talk.until_gone().await;
                    drop(done);
                }
            })
            .await;
            let error = client().fetch(server.url("/")).await.unwrap_err();
            assert_eq!(error.kind(), MalformedReply, "{protocol}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn over_h2_too_a_head_is_bounded_and_a_length_is_kept() {
    use bytes::Bytes;
    in_time(async {
        let long = "y".repeat(70_000);
        let many: Vec<_> = (0..101)
            .map(|n| (format!("x-{n}"), "y".to_owned()))
            .collect();
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let rows: Vec<(Vec<(String, String)>, Outcome)> = vec![
            (vec![], body(200, "hello")),
            (vec![field("content-length", "5")], body(200, "hello")),
            (vec![field("content-length", "4")], Err(MalformedReply)),
            (vec![field("content-length", "6")], Err(MalformedReply)),
            (vec![field("content-length", "+5")], Err(MalformedReply)),
            (vec![field("content-length", "x")], Err(MalformedReply)),
            (
                vec![field("content-length", "5"), field("content-length", "6")],
                Err(MalformedReply),
            ),
            (many[..100].to_vec(), body(200, "hello")),
            (many, Err(ResponseTooLarge)),
            (vec![field("x", &long)], Err(MalformedReply)),
        ];
        let replies: Vec<_> = rows.iter().map(|(fields, _)| fields.clone()).collect();
        let server = Server::h2(move |request, mut respond| {
            let row = request.path()[1..].parse::<usize>().unwrap();
            let mut response = http::Response::new(());
            for (name, value) in &replies[row] {
                let name = http::HeaderName::try_from(name.as_str()).unwrap();
                response.headers_mut().append(name, value.parse().unwrap());
            }
            async move {
                let mut stream = respond.send_response(response, false).unwrap();
                let _ = stream.send_data(Bytes::from_static(b"hello"), true);
            }
        })
        .await;
        for (row, (fields, expected)) in rows.into_iter().enumerate() {
            let outcome = match client().fetch(server.url(&format!("/{row}"))).await {
                Err(error) => Err(error),
                Ok(response) => response.text().await.map(|text| (200, text)),
            };
            let outcome = outcome.map_err(|error| error.kind());
            assert_eq!(outcome, expected, "{row}: {:?}", fields.first());
        }
    })
    .await;
}
