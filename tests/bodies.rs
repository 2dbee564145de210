//! Bodies: every way to read one, every coding, every way in which one can end, and limits that are
//! exact. Over HTTP/1.1 and over h2 alike, where both have a say.
#![cfg(all(feature = "lab", feature = "json", feature = "gzip"))]
#![cfg(all(feature = "br", feature = "zstd", feature = "charset"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and framing")]
#[path = "support/script.rs"]
mod script;

use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures_core::Stream;
use http_body::Body as _;
use http_body_util::BodyExt;
use script::{Server, Then, client, in_time, pieces, reply};
use tokio::sync::mpsc::unbounded_channel;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{ErrorKind, Method, Payload, RequestBuilder, Response};

/// A reply that both protocols can say.
#[derive(Clone)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, headers: &[(&'static str, &str)], body: impl AsRef<[u8]>) -> Self {
        let headers = headers.iter();
        Self {
            status,
            headers: headers
                .map(|(name, value)| (*name, (*value).into()))
                .collect(),
            body: body.as_ref().to_vec(),
        }
    }

    fn coded(coding: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new(200, &[("content-encoding", coding)], body)
    }

    /// Over HTTP/1.1, with a Content-Length unless there is one already.
    fn http1(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} ?\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self
            .headers
            .iter()
            .any(|(name, _)| *name == "content-length")
        {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    fn http2(&self) -> (http::Response<()>, Bytes) {
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        (response.body(()).unwrap(), self.body.clone().into())
    }
}

/// A server of each protocol that answers `/N` by the reply of that row.
async fn both(replies: Vec<Reply>) -> [Server; 2] {
    let row = |path: &str| path[1..].parse::<usize>().unwrap();
    let (first, second) = (Arc::new(replies.clone()), Arc::new(replies));
    let http1 = Server::tls(move |request| (first[row(request.path())].http1(), Then::Stay));
    let http2 = Server::h2(move |request, mut respond| {
        let (head, body) = second[row(request.path())].http2();
        async move {
            let ends = body.is_empty();
            let mut stream = respond.send_response(head, ends).unwrap();
            if !ends {
                send(&mut stream, body, true).await;
            }
        }
    });
    [http1.await, http2.await]
}

/// Sends all of it, as the client makes room.
async fn send(stream: &mut h2::SendStream<Bytes>, mut data: Bytes, ends: bool) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return;
        };
        let piece = data.split_to(room.min(data.len()));
        let last = ends && data.is_empty();
        if stream.send_data(piece, last).is_err() {
            return;
        }
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// `hello` in br: one stored block.
const BR: &[u8] = b"\x0b\x02\x80hello\x03";

#[tokio::test]
async fn every_way_to_read_a_body_gives_the_same() {
    in_time(async {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                       6\r\n{\"a\": \r\n2\r\n1}\r\n0\r\nx-sum: 7\r\n\r\n";
        let http1 = Server::tls(move |_| (chunked.into(), Then::Stay)).await;
        let http2 = Server::h2(|_, mut respond| async move {
            let mut stream = respond
                .send_response(http::Response::new(()), false)
                .unwrap();
            stream.send_data("{\"a\": ".into(), false).unwrap();
            stream.send_data("1}".into(), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        })
        .await;
        for server in [http1, http2] {
            let client = client();
            let text = "{\"a\": 1}";
            let fetch = || async { client.fetch(server.url("/")).await.unwrap() };
            assert_eq!(fetch().await.bytes().await.unwrap(), text);
            assert_eq!(fetch().await.text().await.unwrap(), text);
            let json: serde_json::Value = fetch().await.json().await.unwrap();
            assert_eq!(json["a"], 1);
            let wrong = fetch().await.json::<Vec<u8>>().await.unwrap_err();
            assert_eq!(wrong.kind(), ErrorKind::Decode);
            assert!(wrong.url().is_some() && wrong.request_was_sent());
            let content = fetch().await.content().await.unwrap();
            assert_eq!(
                (&content.bytes[..], content.was_truncated),
                (text.as_bytes(), false)
            );

            let mut response = fetch().await;
            let mut read = Vec::new();
            while let Some(chunk) = response.chunk().await.unwrap() {
                assert!(!chunk.is_empty());
                read.extend(chunk);
            }
            assert_eq!(read, text.as_bytes());
            assert!(response.chunk().await.unwrap().is_none());

            let mut stream = fetch().await.into_body();
            let mut read = Vec::new();
            while let Some(chunk) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
                read.extend(chunk.unwrap());
            }
            assert_eq!(read, text.as_bytes());

            let mut body = fetch().await.into_body();
            let mut read = Vec::new();
            let mut trailers = None;
            while let Some(frame) = body.frame().await {
                assert!(trailers.is_none(), "nothing follows the trailers");
                match frame.unwrap().into_data() {
                    Ok(data) => read.extend(data),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                }
            }
            assert_eq!(read, text.as_bytes());
            assert_eq!(trailers.unwrap()["x-sum"], "7");
            assert!(body.is_end_stream());
            // All of them were read to their end.
            assert_eq!(server.connections(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn codings_are_undone_on_both_protocols() {
    let members = [gzip(b"hel"), gzip(b""), gzip(b"lo")].concat();
    let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
    let rows = [
        ("gzip", gzip(b"hello")),
        ("x-gzip", gzip(b"hello")),
        ("GZIP", gzip(b"hello")),
        ("gzip", members),
        ("deflate", zlib(b"hello")),
        ("deflate", deflate(b"hello")),
        ("br", BR.to_vec()),
        ("zstd", zstd),
        ("identity", b"hello".to_vec()),
        ("", b"hello".to_vec()),
        ("identity, gzip", gzip(b"hello")),
    ];
    in_time(async {
        let replies = rows.iter().map(|(coding, body)| Reply::coded(coding, body));
        for server in both(replies.collect()).await {
            for (row, (coding, coded)) in rows.iter().enumerate() {
                let url = server.url(&format!("/{row}"));
                let client = client();
                let response = client.fetch(&url).await.unwrap();
                let asked = server.last().header("accept-encoding");
                assert_eq!(asked, "gzip, deflate, br, zstd");
                let decoded = !matches!(*coding, "" | "identity");
                for name in ["content-encoding", "content-length"] {
                    let kept = response.headers().contains_key(name);
                    assert!(!(decoded && kept), "{coding}: {name}");
                }
                assert_eq!(response.text().await.unwrap(), "hello", "{row} {coding}");

                // Who asks for codings, or for a part, gets what is on the wire.
                for (name, value) in [("accept-encoding", "gzip"), ("range", "bytes=0-9")] {
                    let response = client.fetch(&url).header(name, value).await.unwrap();
                    assert_eq!(response.headers()["content-encoding"], *coding);
                    assert_eq!(response.bytes().await.unwrap(), coded, "{coding}");
                }
                assert!(!server.last().has("accept-encoding"));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_decoded_is_an_error_and_never_a_shorter_body() {
    let whole = gzip(&[b'x'; 1000]);
    let mut wrong_sum = whole.clone();
    let last = wrong_sum.len() - 8;
    wrong_sum[last] ^= 1;
    let zstd = zstd::encode_all(&[b'x'; 1000][..], 1).unwrap();
    let rows = [
        ("gzip, gzip", gzip(&whole)),
        ("gzip, br", whole.clone()),
        ("compress", whole.clone()),
        ("\"gzip\"", whole.clone()),
        ("gzip", b"hello".to_vec()),
        ("gzip", wrong_sum),
        ("gzip", whole[..whole.len() - 1].to_vec()),
        ("gzip", whole[..4].to_vec()),
        ("gzip", [whole.as_slice(), b"!"].concat()),
        ("deflate", zlib(b"hello")[..5].to_vec()),
        ("deflate", b"\xff\xff\xff".to_vec()),
        ("br", BR[..5].to_vec()),
        ("br", [BR, b"!"].concat()),
        ("zstd", zstd[..zstd.len() - 1].to_vec()),
        ("zstd", b"hello".to_vec()),
    ];
    in_time(async {
        let replies = rows.iter().map(|(coding, body)| Reply::coded(coding, body));
        for server in both(replies.collect()).await {
            for (row, (coding, _)) in rows.iter().enumerate() {
                let fetched = client().fetch(server.url(&format!("/{row}"))).await;
                let error = match fetched {
                    Err(error) => error,
                    Ok(response) => response.bytes().await.unwrap_err(),
                };
                assert_eq!(error.kind(), ErrorKind::Decode, "{row} {coding}: {error}");
                assert!(error.request_was_sent());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_part_is_never_decoded() {
    let coded = gzip(b"hello");
    in_time(async {
        let headers = [
            ("content-encoding", "gzip"),
            ("content-range", "bytes 0-9/99"),
        ];
        for server in both(vec![Reply::new(206, &headers, &coded)]).await {
            let response = client().fetch(server.url("/0")).await.unwrap();
            assert_eq!(response.headers()["content-encoding"], "gzip");
            assert_eq!(response.bytes().await.unwrap(), coded);
        }
    })
    .await;
}

/// The fields are those of the body that a GET would have had (RFC 9110 §9.3.2).
#[tokio::test]
async fn what_has_no_body_is_empty_whatever_its_fields_say() {
    let rows = [
        (Method::HEAD, 200),
        (Method::HEAD, 404),
        (Method::GET, 204),
        (Method::GET, 304),
        (Method::POST, 204),
    ];
    let lengths = ["5", "1099511627776"];
    in_time(async {
        for length in lengths {
            let replies = rows.iter().map(|(_, status)| {
                let headers = [
                    ("content-encoding", "gzip, gzip"),
                    ("content-length", length),
                ];
                Reply::new(*status, &headers, "")
            });
            for server in both(replies.collect()).await {
                let client = client();
                for (row, (method, status)) in rows.iter().enumerate() {
                    let url = server.url(&format!("/{row}"));
                    let shown = format!("{method} {status} {length}");
                    let response = client.fetch(url).method(method.clone()).await.unwrap();
                    assert_eq!(response.status(), *status);
                    assert_eq!(response.headers()["content-length"], length, "{shown}");
                    assert_eq!(response.headers()["content-encoding"], "gzip, gzip");
                    let version = response.version();
                    let body = response.into_body();
                    assert!(body.is_end_stream(), "{shown}");
                    assert_eq!(
                        http_body::Body::size_hint(&body).exact(),
                        Some(0),
                        "{shown} {version:?}"
                    );
                    let url = server.url(&format!("/{row}"));
                    let response = client.fetch(url).method(method.clone()).await.unwrap();
                    let bytes = response.bytes().await;
                    assert_eq!(bytes.unwrap(), "", "{shown} {version:?}");
                }
                assert_eq!(server.connections(), 1);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn text_is_in_the_charset_that_was_named() {
    let rows: &[(&str, &[u8], &str)] = &[
        ("text/plain", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=utf-8", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=ISO-8859-1", b"caf\xe9", "café"),
        (
            "text/html; a=b; Charset=\"windows-1251\"",
            b"\xcf\xf0",
            "Пр",
        ),
        ("text/plain; charset=shift_jis", b"\x82\xa0", "あ"),
        ("text/plain; charset=utf-16le", b"h\0i\0", "hi"),
        ("text/plain; charset=utf-16le", b"\xef\xbb\xbfhi", "hi"),
        ("text/plain; charset=nonsense", b"caf\xc3\xa9", "café"),
        ("text/plain; charset=utf-8", b"caf\xe9", "caf\u{fffd}"),
    ];
    in_time(async {
        let replies = rows.iter().map(|(content_type, bytes, _)| {
            Reply::new(200, &[("content-type", content_type)], bytes)
        });
        for server in both(replies.collect()).await {
            for (row, (content_type, _, text)) in rows.iter().enumerate() {
                let response = client().fetch(server.url(&format!("/{row}"))).await;
                assert_eq!(
                    response.unwrap().text().await.unwrap(),
                    *text,
                    "{content_type}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn over_tls_only_close_notify_is_an_end() {
    use Then::{Close, Cut};
    let by_close = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello".to_vec();
    let no_body = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let coded = [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".as_slice(),
        &gzip(b"hello"),
    ]
    .concat();
    let rows = [
        (by_close.clone(), Close, Some("hello")),
        (by_close, Cut, None),
        (no_body.clone(), Close, Some("")),
        (no_body, Cut, None),
        (coded.clone(), Close, Some("hello")),
        // The gzip data are whole; the body may not be.
        (coded, Cut, None),
        // An end that was announced needs no other.
        (reply("200 OK", "", "hello"), Cut, Some("hello")),
        ([chunked, "0\r\n\r\n"].concat().into(), Cut, Some("hello")),
        (chunked.into(), Close, None),
        (chunked.into(), Cut, None),
        (
            reply("200 OK", "content-length: 6\r\n", "")[..45].to_vec(),
            Close,
            None,
        ),
    ];
    in_time(async {
        for (row, (reply, then, expected)) in rows.into_iter().enumerate() {
            let server = Server::tls(move |_| (reply.clone(), then)).await;
            let outcome = match client().fetch(server.url("/")).await {
                Ok(response) => response.text().await,
                Err(error) => Err(error),
            };
            match (outcome, expected) {
                (Ok(text), Some(expected)) => assert_eq!(text, expected, "{row}"),
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{row}: {error}");
                }
                (outcome, _) => panic!("{row}: {outcome:?}"),
            }
        }
    })
    .await;
}

/// Over h2 a stream that is reset, and a connection that breaks, end no body: whether its length was
/// announced or not, and whether the request had a payload or not.
#[tokio::test]
async fn over_h2_only_end_stream_is_an_end() {
    in_time(async {
        for (reset, length, payload) in [
            (Some(h2::Reason::NO_ERROR), None, ""),
            (Some(h2::Reason::NO_ERROR), None, "payload"),
            (Some(h2::Reason::NO_ERROR), Some(100), ""),
            (Some(h2::Reason::NO_ERROR), Some(100), "payload"),
            (Some(h2::Reason::CANCEL), None, "payload"),
            (Some(h2::Reason::CANCEL), None, ""),
            (None, None, ""),
        ] {
            let server = Server::h2(move |_, mut respond| async move {
                let mut head = http::Response::builder();
                if let Some(length) = length {
                    head = head.header("content-length", length);
                }
                let mut stream = respond
                    .send_response(head.body(()).unwrap(), false)
                    .unwrap();
                stream.send_data("hello".into(), false).unwrap();
                // The data goes out before the reset does.
                stream.reserve_capacity(1);
                poll_fn(|cx| stream.poll_capacity(cx)).await;
                tokio::task::yield_now().await;
                match reset {
                    Some(reason) => stream.send_reset(reason),
                    None => drop(stream),
                }
            })
            .await;
            let request = client().fetch(server.url("/")).method(Method::POST);
            let outcome = match request.payload(payload).await {
                Ok(response) => response.text().await,
                Err(error) => Err(error),
            };
            let error = outcome.unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::ConnectionClosed,
                "{reset:?} {length:?} {payload:?} {error}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn limits_are_exact() {
    const SIZE: u64 = 10_000;
    let text = vec![b'x'; SIZE as usize];
    in_time(async {
        let unannounced = [
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{SIZE:x}\r\n").as_bytes(),
            &text,
            b"\r\n0\r\n\r\n",
        ]
        .concat();
        let chunked = Server::tls(move |_| (unannounced.clone(), Then::Stay)).await;
        let replies = vec![
            Reply::new(200, &[], &text),
            Reply::coded("gzip", gzip(&text)),
            Reply::coded("zstd", zstd::encode_all(&text[..], 1).unwrap()),
        ];
        let [http1, http2] = both(replies).await;
        let urls = [
            chunked.url("/"),
            http1.url("/0"),
            http1.url("/1"),
            http1.url("/2"),
            http2.url("/0"),
            http2.url("/1"),
            http2.url("/2"),
        ];
        for url in urls {
            for (limit, fits) in [
                (SIZE + 1, true),
                (SIZE, true),
                (SIZE - 1, false),
                (1, false),
                (0, false),
            ] {
                let shown = format!("{url} {limit}");
                let client = client();
                let fetch = || client.fetch(&url).max_response_size(limit);
                let buffered = fetch().await.unwrap().bytes().await;
                let streamed = read(fetch().await.unwrap()).await;
                for outcome in [buffered.map(|bytes| bytes.len()), streamed] {
                    match outcome {
                        Ok(read) => assert_eq!((read as u64, fits), (SIZE, true), "{shown}"),
                        Err(error) => {
                            assert!(!fits, "{shown}");
                            assert_eq!(error.kind(), ErrorKind::ResponseTooLarge, "{shown}");
                        }
                    }
                }
                let expected = SIZE.min(limit);
                let cut = fetch().allow_truncated(true).await.unwrap();
                let cut = cut.content().await.unwrap();
                assert_eq!(cut.bytes.len() as u64, expected, "{shown}");
                assert_eq!(cut.was_truncated, !fits, "{shown}");
                let cut = fetch().allow_truncated(true).await.unwrap();
                assert_eq!(read(cut).await.unwrap() as u64, expected, "{shown}");
            }
        }
    })
    .await;
}

/// The length of a body that is streamed.
async fn read(mut response: Response) -> urlfetch::Result<usize> {
    let mut read = 0;
    while let Some(chunk) = response.chunk().await? {
        read += chunk.len();
    }
    Ok(read)
}

#[tokio::test]
async fn what_is_buffered_may_have_32_mib_and_no_more() {
    const LIMIT: usize = 32 << 20;
    in_time(async {
        let server = Server::start("http", None, |mut talk| async move {
            while let Some(request) = talk.request().await {
                let mut left: usize = request.path()[1..].parse().unwrap();
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                talk.say(head).await.unwrap();
                let zeros = vec![0; 1 << 20];
                while left > 0 {
                    let size = left.min(zeros.len());
                    left -= size;
                    let line = format!("{size:x}\r\n");
                    let chunk = [line.as_bytes(), &zeros[..size], b"\r\n"].concat();
                    if talk.say(chunk).await.is_err() {
                        return;
                    }
                }
                let _ = talk.say("0\r\n\r\n").await;
            }
        })
        .await;
        let client = client();
        let fetch = |size: usize| client.fetch(server.url(&format!("/{size}")));
        let whole = fetch(LIMIT).await.unwrap().bytes().await.unwrap();
        assert_eq!(whole.len(), LIMIT);
        let error = fetch(LIMIT + 1).await.unwrap().bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
        assert!(error.to_string().contains("33554432"), "{error}");
        let cut = fetch(LIMIT + 1).allow_truncated(true).await.unwrap();
        let cut = cut.content().await.unwrap();
        assert_eq!((cut.bytes.len(), cut.was_truncated), (LIMIT, true));
        // A stream is as long as it is.
        assert_eq!(
            read(fetch(LIMIT + 1).await.unwrap()).await.unwrap(),
            LIMIT + 1
        );
    })
    .await;
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_before_a_byte_of_it() {
    in_time(async {
        let server = Server::plain(|request| {
            let length = &request.path()[1..];
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            (head.into(), Then::Stay)
        })
        .await;
        let client = client();
        for (length, limit) in [
            ("33554433", None),
            ("101", Some(100)),
            ("18446744073709551613", None),
        ] {
            let mut fetch = client.fetch(server.url(&format!("/{length}")));
            if let Some(limit) = limit {
                fetch = fetch.max_response_size(limit);
            }
            let error = fetch.await.unwrap().bytes().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResponseTooLarge, "{length}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bomb_comes_in_small_pieces_and_stops_at_the_limit() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let client = lab.client().unwrap();
        let url = lab.url(Scenario::DecompressionBomb);
        let mut response = client.fetch(&url).await.unwrap();
        let (mut total, mut largest) = (0, 0);
        while let Some(chunk) = response.chunk().await.unwrap() {
            total += chunk.len();
            largest = largest.max(chunk.len());
        }
        assert!(total > 64 << 20);
        assert!(largest <= 64 << 10, "{largest}");
        let fetch = || client.fetch(&url).max_response_size(1000);
        let error = fetch().await.unwrap().bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
        let cut = fetch().allow_truncated(true).await.unwrap();
        let cut = cut.content().await.unwrap();
        assert_eq!((cut.bytes.len(), cut.was_truncated), (1000, true));
    })
    .await;
}

/// Codings that decode to nothing for as long as anybody listens.
#[tokio::test]
async fn empty_members_without_end_are_no_way_round_the_limit() {
    in_time(async {
        let server = Server::start("http", None, |mut talk| async move {
            talk.request().await;
            let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
            talk.say(head).await.unwrap();
            let members = gzip(b"").repeat(1000);
            while talk.say(&members).await.is_ok() {}
        })
        .await;
        let fetch = client().fetch(server.url("/")).max_response_size(1000);
        let error = fetch.await.unwrap().bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);

        // Nor can they hold a reader who set none.
        let mut stream = client().fetch(server.url("/")).await.unwrap();
        let error = stream.chunk().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    })
    .await;
}

/// Drops the future of a fetch once its request has arrived.
async fn abandon(server: &Server, fetch: RequestBuilder) {
    let before = server.requests().len();
    let arrived = async {
        while server.requests().len() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = fetch.send() => unreachable!("nothing was answered"),
        () = arrived => {}
    }
}

/// What a client lets go of, its server sees end; what it read to the end is used again.
#[tokio::test]
async fn a_response_that_is_dropped_ends_its_connection_and_one_that_is_read_does_not() {
    in_time(async {
        let (gone, mut gone_at) = unbounded_channel();
        let server = Server::start("https", Some("http/1.1"), move |mut talk| {
            let gone = gone.clone();
            async move {
                while let Some(request) = talk.request().await {
                    match request.path() {
                        "/whole" => talk.say(reply("200 OK", "", "hello")).await.unwrap(),
                        "/part" => {
                            let part = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello";
                            talk.say(part).await.unwrap();
                        }
                        "/chunk" => {
                            let part = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
                            talk.say(part).await.unwrap();
                        }
                        "/endless" => {
                            let head = "HTTP/1.1 200 OK\r\n\r\n";
                            talk.say(head).await.unwrap();
                            while talk.say([0; 4096]).await.is_ok() {}
                        }
                        _ => {}
                    }
                }
                gone.send(talk.number).unwrap();
            }
        })
        .await;
        let client = client();
        let fetch = |path| client.fetch(server.url(path));
        for expected in 0..5 {
            // Used twice, the second time for what is let go of.
            assert_eq!(fetch("/whole").await.unwrap().bytes().await.unwrap(), "hello");
            match expected {
                0 => drop(fetch("/part").await.unwrap()),
                1 => {
                    let mut response = fetch("/chunk").await.unwrap();
                    response.chunk().await.unwrap().unwrap();
                }
                2 => drop(fetch("/endless").await.unwrap()),
                3 => {
                    let response = fetch("/endless").max_response_size(9).allow_truncated(true);
                    assert_eq!(response.await.unwrap().bytes().await.unwrap().len(), 9);
                }
                _ => {
                    // The future, while the head is waited for.
                    abandon(&server, fetch("/silence")).await;
                }
            }
            assert_eq!(gone_at.recv().await, Some(expected));
            assert_eq!(server.last().connection, expected);
        }
        assert_eq!(server.connections(), 5);
    })
    .await;
}

#[tokio::test]
async fn over_h2_what_is_dropped_is_reset_and_the_connection_stays() {
    in_time(async {
        let (reset, mut resets) = unbounded_channel();
        let server = Server::h2(move |request, mut respond| {
            let reset = reset.clone();
            async move {
                let path = request.path().to_owned();
                if path == "/silence" {
                    let reason = poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
                    reset.send((path, reason)).unwrap();
                    return;
                }
                let mut stream = respond
                    .send_response(http::Response::new(()), false)
                    .unwrap();
                stream.send_data("hello".into(), path == "/whole").unwrap();
                if path != "/whole" {
                    let reason = poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
                    reset.send((path, reason)).unwrap();
                }
            }
        })
        .await;
        let client = client();
        let fetch = |path| client.fetch(server.url(path));
        for path in ["/part", "/silence", "/cut"] {
            assert_eq!(
                fetch("/whole").await.unwrap().bytes().await.unwrap(),
                "hello"
            );
            match path {
                "/part" => drop(fetch(path).await.unwrap()),
                "/cut" => {
                    let cut = fetch(path).max_response_size(2).allow_truncated(true);
                    assert_eq!(cut.await.unwrap().bytes().await.unwrap(), "he");
                }
                _ => {
                    abandon(&server, fetch(path)).await;
                }
            }
            let reset = resets.recv().await.unwrap();
            assert_eq!(reset, (path.to_owned(), h2::Reason::CANCEL));
        }
        assert_eq!(server.connections(), 1);
    })
    .await;
}

/// A server may answer before it has the whole payload. That ends the payload, with its connection
/// over HTTP/1.1 and with its stream over h2: nobody else must wait for it. So does letting go of
/// the response, or of the future.
#[tokio::test]
async fn a_payload_ends_with_its_exchange() {
    in_time(async {
        let (gone, mut gone_at) = unbounded_channel();
        let server = Server::start("https", Some("http/1.1"), move |mut talk| {
            let gone = gone.clone();
            async move {
                let head = talk.line("\r\n\r\n").await.unwrap();
                let answer = match head.split(' ').nth(1).unwrap() {
                    "/early" => reply("401 Unauthorized", "", "no"),
                    "/part" => b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno".to_vec(),
                    _ => Vec::new(),
                };
                talk.say(answer).await.unwrap();
                // The first piece of the payload, then what comes of the rest.
                talk.line("a").await.unwrap();
                gone.send((talk.number, false)).unwrap();
                talk.until_gone().await;
                gone.send((talk.number, true)).unwrap();
            }
        })
        .await;
        let client = client();
        let endless = || Payload::stream(pieces(&["a"]).then_wait());
        let post = |path| {
            let fetch = client.fetch(server.url(path)).method(Method::POST);
            fetch.payload(endless())
        };
        let early = post("/early").await.unwrap();
        assert_eq!(early.text().await.unwrap(), "no");
        assert_eq!(gone_at.recv().await, Some((0, false)));
        assert_eq!(gone_at.recv().await, Some((0, true)));

        let mut part = post("/part").await.unwrap();
        assert_eq!(part.chunk().await.unwrap().unwrap(), "no");
        assert_eq!(gone_at.recv().await, Some((1, false)));
        drop(part);
        assert_eq!(gone_at.recv().await, Some((1, true)));

        tokio::select! {
            _ = post("/silence").send() => panic!("nothing was answered"),
            started = gone_at.recv() => assert_eq!(started, Some((2, false))),
        }
        assert_eq!(gone_at.recv().await, Some((2, true)));
    })
    .await;
}

#[tokio::test]
async fn over_h2_too_a_payload_ends_with_its_exchange() {
    in_time(async {
        let (reset, mut resets) = unbounded_channel();
        let server = Server::h2(move |request, mut respond| {
            let reset = reset.clone();
            async move {
                let path = request.path().to_owned();
                let head = http::Response::new(());
                let mut stream = respond.send_response(head, false).unwrap();
                stream.send_data("no".into(), path == "/early").unwrap();
                let reason = poll_fn(|cx| stream.poll_reset(cx)).await;
                reset.send((path, reason.is_ok())).unwrap();
            }
        })
        .await;
        let client = client();
        let post = |path| {
            let fetch = client.fetch(server.url(path)).method(Method::POST);
            fetch.payload(Payload::stream(pieces(&["a"]).then_wait()))
        };
        assert_eq!(post("/early").await.unwrap().text().await.unwrap(), "no");
        assert_eq!(resets.recv().await.unwrap(), ("/early".into(), true));
        drop(post("/part").await.unwrap());
        assert_eq!(resets.recv().await.unwrap(), ("/part".into(), true));
        assert_eq!(server.connections(), 1);
    })
    .await;
}
