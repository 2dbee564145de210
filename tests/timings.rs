//! Timings: which phases a fetch passed through, or failed in, and how many bytes went each way, as
//! the server counted them itself above its TLS. How long anything took is never looked at, but
//! that the phases are together no longer than the whole.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use rcgen::CertificateParams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{
    Client, Content, Error, ErrorKind, Method, Payload, Phase, RequestBuilder, Timings,
};

use stall::{Connection, HOST, Server, Tls};

#[expect(dead_code, reason = "the tests of deadlines need more of it")]
#[path = "support/stall.rs"]
mod stall;

/// Which phases happened.
fn phases(timings: &Timings) -> Vec<Phase> {
    let phases = [
        (Phase::Queued, timings.queued()),
        (Phase::Dns, timings.dns()),
        (Phase::Connect, timings.connect()),
        (Phase::Tls, timings.tls()),
        (Phase::FirstByte, timings.first_byte()),
        (Phase::Body, timings.body()),
    ];
    let sum: Duration = phases.iter().filter_map(|(_, spent)| *spent).sum();
    assert!(sum <= timings.total(), "{timings}");
    let happened = phases.iter().filter(|(_, spent)| spent.is_some());
    happened.map(|(phase, _)| *phase).collect()
}

/// Sent and received.
fn bytes(timings: &Timings) -> (u64, u64) {
    (timings.bytes_sent(), timings.bytes_received())
}

const OPENING: [Phase; 3] = [Phase::Dns, Phase::Connect, Phase::Tls];

/// A server of HTTP/1.1 that answers by the path, and counts.
struct Site {
    server: Server,
    book: Arc<Book>,
}

struct Book {
    /// Bytes received and sent in each exchange.
    exchanges: Mutex<Vec<(u64, u64)>>,
    /// What lets the rest of a slow reply go.
    go_on: Semaphore,
}

impl Site {
    fn open() -> Self {
        let book = Arc::new(Book {
            exchanges: Mutex::default(),
            go_on: Semaphore::new(0),
        });
        let kept = Arc::clone(&book);
        let server = Server::start(move |connection| {
            let book = Arc::clone(&kept);
            async move {
                if let Some(tls) = connection.tls().await {
                    serve(tls, &book).await;
                }
            }
        });
        Self { server, book }
    }

    fn exchanges(&self) -> Vec<(u64, u64)> {
        self.book.exchanges.lock().unwrap().clone()
    }

    fn last(&self) -> (u64, u64) {
        *self.exchanges().last().unwrap()
    }
}

async fn serve(mut tls: Tls, book: &Book) {
    for number in 0.. {
        let Some((head, received)) = request(&mut tls).await else {
            return;
        };
        let path = head.split(' ').nth(1).unwrap();
        let is_head = head.starts_with("HEAD");
        let mut pieces = reply(path);
        if is_head {
            pieces.truncate(1);
        }
        if path == "/lost" && number > 0 {
            pieces.clear();
        }
        let sent: usize = pieces.iter().map(Vec::len).sum();
        let exchange = (received, sent as u64);
        book.exchanges.lock().unwrap().push(exchange);
        for (index, piece) in pieces.iter().enumerate() {
            if path.starts_with("/slow") && index == 1 {
                book.go_on.acquire().await.unwrap().forget();
            }
            tls.stream.write_all(piece).await.unwrap();
            tls.stream.flush().await.unwrap();
        }
        match path {
            "/silent" => {
                let _ = tls.stream.read_u8().await;
                return;
            }
            "/close" | "/cut" => {
                let _ = tls.stream.shutdown().await;
                let _ = tls.stream.read_u8().await;
                return;
            }
            "/lost" if number > 0 => return,
            _ => {}
        }
    }
}

/// The head of a request, and the bytes of all of it.
async fn request(tls: &mut Tls) -> Option<(String, u64)> {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        received.push(tls.stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(received.clone()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        let mut payload = vec![0; length.parse().unwrap()];
        tls.stream.read_exact(&mut payload).await.ok()?;
        received.extend(payload);
    } else if head.contains("transfer-encoding: chunked") {
        while !received.ends_with(b"\r\n0\r\n\r\n") {
            received.push(tls.stream.read_u8().await.ok()?);
        }
    }
    Some((head, received.len() as u64))
}

/// The pieces that a path is answered with. The first is the head, or begins with it.
fn reply(path: &str) -> Vec<Vec<u8>> {
    let pieces: &[&str] = match path {
        "/interim" => &[
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n",
            "late",
        ],
        "/chunked" => &[
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "5;name=value\r\nhello\r\n",
            "1\r\n!\r\n0\r\nx-sum: 6\r\n\r\n",
        ],
        "/slow" => &["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirst", "last"],
        "/slow-chunked" => &[
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
            "0\r\n\r\n",
        ],
        "/none" => &["HTTP/1.1 204 No Content\r\n\r\n"],
        "/close" => &["HTTP/1.1 200 OK\r\n\r\n", "until the end"],
        "/cut" => &["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", "hal"],
        "/silent" => &[],
        "/away" => &["HTTP/1.1 302 Found\r\nlocation: /sized\r\ncontent-length: 4\r\n\r\ngone"],
        "/last" => &["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"],
        "/broken" => &["HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno"],
        // RFC 1951 §3.2.4: a block that is stored.
        "/coded" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ncontent-length: 10\r\n\r\n";
            let body = b"\x01\x05\x00\xfa\xffplain".to_vec();
            return vec![head.into(), body];
        }
        _ => &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "sized"],
    };
    pieces
        .iter()
        .map(|piece| piece.as_bytes().to_vec())
        .collect()
}

/// Three pieces, the first of them at 0.
struct Three(u8);

impl Stream for Three {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0 += 1;
        Poll::Ready((self.0 <= 3).then(|| Ok(Bytes::from_static(b"piece"))))
    }
}

type Options = fn(RequestBuilder) -> RequestBuilder;

/// One connection serves them all: what one exchange moved is not counted in the next.
#[tokio::test(flavor = "multi_thread")]
async fn over_http1_the_bytes_are_those_that_the_server_counted() {
    let site = Site::open();
    let client = site.server.client();
    let rows: [(&str, Options, usize); 12] = [
        ("/sized", |call| call, 5),
        ("/sized", |call| call.header("x-long", "y".repeat(9_000)), 5),
        ("/sized", |call| call.method(Method::HEAD), 0),
        ("/none", |call| call, 0),
        ("/interim", |call| call, 4),
        ("/chunked", |call| call, 6),
        ("/coded", |call| call, 5),
        (
            "/sized",
            |call| call.method(Method::POST).payload("four"),
            5,
        ),
        ("/sized", |call| call.method(Method::PUT), 5),
        (
            "/chunked",
            |call| call.method(Method::PUT).payload(vec![7; 300_000]),
            6,
        ),
        (
            "/sized",
            |call| call.method(Method::POST).payload(Payload::stream(Three(0))),
            5,
        ),
        ("/close", |call| call, 13),
    ];
    for (index, (path, options, length)) in rows.into_iter().enumerate() {
        let response = options(client.fetch(site.server.url(path))).await.unwrap();
        let head = *response.timings();
        let content = response.content().await.unwrap();
        let timings = content.timings;
        let case = format!("{index} {path}: {timings}");
        assert_eq!(content.bytes.len(), length, "{case}");
        assert_eq!(bytes(&timings), site.last(), "{case}");
        assert_eq!(site.exchanges().len(), index + 1, "{case}");
        // By the head all of the request has gone, and nothing counts that has not come.
        assert_eq!(head.bytes_sent(), timings.bytes_sent(), "{case}");
        assert!(head.bytes_received() <= timings.bytes_received(), "{case}");
        assert!(head.total() <= timings.total(), "{case}");
        assert_eq!(head.body(), None, "{case}");
        let mut expected = match index {
            0 => OPENING.to_vec(),
            _ => Vec::new(),
        };
        expected.push(Phase::FirstByte);
        expected.extend((length > 0).then_some(Phase::Body));
        assert_eq!(phases(&timings), expected, "{case}");
        assert_eq!(timings.connection_reused(), index > 0, "{case}");
        assert_eq!(timings.tls_resumed(), Some(false), "{case}");
    }
}

#[tokio::test]
async fn a_second_connection_resumes_the_session_and_says_so() {
    let site = Site::open();
    let client = site.server.client();
    for resumed in [false, true] {
        for path in ["/sized", "/last"] {
            let response = client.fetch(site.server.url(path)).await.unwrap();
            let timings = response.content().await.unwrap().timings;
            assert_eq!(timings.connection_reused(), path == "/last");
            // A connection that is reused tells of the handshake that opened it.
            assert_eq!(timings.tls_resumed(), Some(resumed));
            assert_eq!(timings.tls().is_some(), path == "/sized");
        }
    }
}

#[tokio::test]
async fn timings_keep_up_with_the_pieces_that_are_read() {
    let site = Site::open();
    for as_body in [false, true] {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".len() as u64;
        let mut response = site
            .server
            .client()
            .fetch(site.server.url("/slow"))
            .await
            .unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
        let first = *response.timings();
        assert_eq!(first.bytes_received(), head + 5);
        assert!(phases(&first).contains(&Phase::Body));
        site.book.go_on.add_permits(1);
        let last = if as_body {
            let mut body = response.into_body();
            assert_eq!(body.timings(), &first);
            assert_eq!(body.chunk().await.unwrap().unwrap(), "last");
            let last = *body.timings();
            // Who comes late to see the end does not make it later.
            assert_eq!(body.chunk().await.unwrap(), None);
            assert_eq!(body.timings(), &last);
            last
        } else {
            response.content().await.unwrap().timings
        };
        assert_eq!(bytes(&last), site.last());
        assert!(last.total() >= first.total() && last.body() >= first.body());
        phases(&last);
    }
}

#[tokio::test]
async fn the_end_of_a_chunked_body_is_a_part_of_it() {
    let site = Site::open();
    let fetch = site.server.client().fetch(site.server.url("/slow-chunked"));
    let mut response = fetch.await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
    assert_eq!(response.timings().bytes_received(), site.last().1 - 5);
    site.book.go_on.add_permits(1);
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(bytes(response.timings()), site.last());
}

#[tokio::test]
async fn hops_and_replays_add_up() {
    let started = Instant::now();
    let site = Site::open();
    let client = site.server.client();
    let response = client.fetch(site.server.url("/away")).await.unwrap();
    let [hop] = response.hops() else {
        panic!("{response:?}");
    };
    let hop = *hop.timings();
    let head = *response.timings();
    let all = response.content().await.unwrap().timings;
    let [away, sized] = site.exchanges()[..] else {
        panic!("{:?}", site.exchanges());
    };
    assert_eq!(bytes(&hop), away);
    assert_eq!(bytes(&all), (away.0 + sized.0, away.1 + sized.1));
    assert_eq!(phases(&hop)[..3], OPENING);
    assert!(hop.first_byte() <= all.first_byte() && hop.total() <= head.total());
    assert_eq!(hop.dns(), all.dns(), "the second hop asked nobody");
    assert!(!hop.connection_reused() && all.connection_reused());
    phases(&all);
    assert!(all.total() <= started.elapsed(), "nothing counts twice");

    // The connection is closed without a word, and the request goes out on another.
    let lost = client.fetch(site.server.url("/lost")).await.unwrap();
    let all = lost.content().await.unwrap().timings;
    let [.., first, second] = site.exchanges()[..] else {
        panic!("{:?}", site.exchanges());
    };
    assert_eq!((site.exchanges().len(), first.1), (4, 0));
    assert_eq!(bytes(&all), (first.0 + second.0, second.1));
    assert!(!all.connection_reused());
    assert_eq!(all.tls_resumed(), Some(true));
    assert!(phases(&all).contains(&Phase::Connect));
}

#[tokio::test]
async fn what_is_cut_at_its_limit_has_them_until_there() {
    let site = Site::open();
    let fetch = site.server.client().fetch(site.server.url("/slow"));
    let fetch = fetch.max_response_size(3).allow_truncated(true);
    let content = fetch.await.unwrap().content().await.unwrap();
    assert!(content.was_truncated);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".len() as u64;
    assert_eq!(content.timings.bytes_received(), head + 5);
    assert!(phases(&content.timings).contains(&Phase::Body));
    site.book.go_on.add_permits(1);
    // How long it took to come does not make it another.
    let mut other = Content::default();
    other.bytes = content.bytes.clone();
    other.was_truncated = true;
    assert_eq!(content, other);
}

#[tokio::test]
async fn an_error_has_the_phase_it_failed_in_and_those_before() {
    let site = Site::open();
    let server = &site.server;
    let client = server.client();
    let url = server.url("/");
    let nowhere = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };

    let unknown = server.client_builder().resolve(HOST, []).build().unwrap();
    let error = unknown.fetch(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert_eq!(phases(error.timings()), [Phase::Dns]);

    let closed = server
        .client_builder()
        .resolve(HOST, [nowhere()])
        .build()
        .unwrap();
    let error = closed.fetch(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(phases(error.timings()), [Phase::Dns, Phase::Connect]);
    assert!(!error.timings().connection_reused());

    // Somebody else's certificate.
    let strange = Site::open().server.client_builder();
    let strange = strange.resolve(HOST, [server.address]).build().unwrap();
    let error = strange.fetch(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert_eq!(phases(error.timings()), OPENING);
    assert_eq!(bytes(error.timings()), (0, 0));
    assert_eq!(error.timings().tls_resumed(), None);
    let port = server.address.port();
    let error = strange.connect(HOST, port).await.unwrap_err();
    assert_eq!(phases(error.timings()), OPENING);
    let tcp = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let error = strange.wrap(tcp, HOST).await.unwrap_err();
    assert_eq!(phases(error.timings()), [Phase::Tls]);

    // A connection is open, so that nothing else is left to wait for.
    client.fetch(&url).await.unwrap().content().await.unwrap();
    let silent = client.fetch(server.url("/silent"));
    let error = silent
        .deadline(Duration::from_millis(200))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Deadline, Some(Phase::FirstByte))
    );
    assert_eq!(phases(error.timings()), [Phase::FirstByte]);
    assert!(error.timings().connection_reused());
    assert_eq!(error.timings().bytes_received(), 0);

    for path in ["/cut", "/sized"] {
        let response = client
            .fetch(server.url(path))
            .max_response_size(4)
            .await
            .unwrap();
        let error = match path {
            "/cut" => response.content().await.unwrap_err(),
            _ => {
                let mut body = response.into_body();
                let error = body.chunk().await.unwrap_err();
                assert_eq!(body.timings(), error.timings());
                error
            }
        };
        assert!(phases(error.timings()).contains(&Phase::Body), "{error}");
        let (sent, received) = bytes(error.timings());
        let (by_server, to_us) = site.last();
        assert_eq!(sent, by_server, "{error}");
        // What is announced is refused when the head has come.
        match path {
            "/cut" => assert!((1..=to_us).contains(&received), "{error}"),
            _ => assert_eq!(received, to_us, "{error}"),
        }
    }

    let broken = client.fetch(server.url("/broken")).await.unwrap();
    let error = broken.error_for_status().unwrap_err();
    assert!(phases(error.timings()).contains(&Phase::FirstByte));
    assert_eq!(error.timings().bytes_sent(), site.last().0);

    let refused = client.fetch(server.url("/away")).max_redirects(0);
    let error = refused.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRedirects);
    assert_eq!(bytes(error.timings()), site.last());
    phases(error.timings());

    // Nothing had begun.
    for error in [
        client.fetch("no url").await.unwrap_err(),
        client.fetch(&url).header("a b", "c").await.unwrap_err(),
    ] {
        assert_eq!(error.timings(), &Timings::default(), "{error}");
    }
}

#[cfg(feature = "json")]
#[tokio::test]
async fn a_body_that_is_no_json_was_read_all_the_same() {
    let site = Site::open();
    let response = site
        .server
        .client()
        .fetch(site.server.url("/sized"))
        .await
        .unwrap();
    let error = response.json::<u8>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(bytes(error.timings()), site.last());
    assert!(phases(error.timings()).contains(&Phase::Body));
}

/// Fields and data, as a server of h2 sees them: others share the connection, and the requests here
/// are all under way at once.
#[tokio::test(flavor = "multi_thread")]
async fn over_h2_the_bytes_are_those_of_fields_and_data() {
    let seen: Arc<Mutex<Vec<(String, u64, u64)>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let certificate = CertificateParams::new([HOST.to_owned()]).unwrap();
    let server = Server::of(certificate, &[b"h2"], move |connection| {
        let seen = Arc::clone(&kept);
        async move { serve_h2(connection, seen).await }
    });
    let client = server.client();
    let rows: [(&str, Options); 6] = [
        ("/get", |call| call),
        ("/head", |call| call.method(Method::HEAD)),
        ("/options", |call| call.method(Method::OPTIONS)),
        ("/put", |call| call.method(Method::PUT)),
        ("/post", |call| {
            call.method(Method::POST).payload(vec![7; 200_000])
        }),
        ("/stream", |call| {
            let call = call.method(Method::POST).header("x-long", "y".repeat(500));
            call.payload(Payload::stream(Three(0)))
        }),
    ];
    // The connection is there for them all.
    let first = client.fetch(server.url("/first")).await.unwrap();
    assert_eq!(
        phases(first.timings())
            .iter()
            .filter(|phase| OPENING.contains(phase))
            .count(),
        3
    );
    first.content().await.unwrap();
    let mut fetches = tokio::task::JoinSet::new();
    for (path, options) in rows {
        let fetch = options(client.fetch(server.url(path))).send();
        fetches.spawn(async move { (path, fetch.await.unwrap().content().await.unwrap()) });
    }
    while let Some(fetched) = fetches.join_next().await {
        let (path, content) = fetched.unwrap();
        let seen = seen.lock().unwrap();
        let (_, received, sent) = seen.iter().find(|(seen, ..)| seen == path).unwrap();
        let timings = content.timings;
        assert_eq!(bytes(&timings), (*received, *sent), "{path}: {timings}");
        assert!(timings.connection_reused());
        assert_eq!((timings.dns(), timings.tls()), (None, None));
        phases(&timings);
    }
}

/// Answers with 3,000 bytes in two pieces and a trailer.
async fn serve_h2(connection: Connection, seen: Arc<Mutex<Vec<(String, u64, u64)>>>) {
    let Some(tls) = connection.tls().await else {
        return;
    };
    let mut connection = h2::server::handshake(tls.stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let (head, mut payload) = request.into_parts();
            let mut received = size_of_head(&Request::from_parts(head.clone(), ()));
            while let Some(data) = payload.data().await {
                let data = data.unwrap();
                received += data.len() as u64;
                payload.flow_control().release_capacity(data.len()).unwrap();
            }
            let response = Response::builder().header("x-a", "bc").body(()).unwrap();
            let mut sent = ":status200x-abc".len() as u64;
            let path = head.uri.path().to_owned();
            if head.method == Method::HEAD {
                seen.lock().unwrap().push((path, received, sent));
                respond.send_response(response, true).unwrap();
                return;
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("3000"));
            sent += 3_000 + "x-sum3000".len() as u64;
            seen.lock().unwrap().push((path, received, sent));
            let mut stream = respond.send_response(response, false).unwrap();
            for length in [1_000, 2_000] {
                stream.send_data(vec![1; length].into(), false).unwrap();
            }
            stream.send_trailers(trailers).unwrap();
        });
    }
}

/// RFC 9113 §8.3.1 and §6.5.2, without the 32 octets a field.
fn size_of_head(request: &Request<()>) -> u64 {
    let uri = request.uri();
    let pseudo = [
        (":method", request.method().as_str()),
        (":scheme", uri.scheme_str().unwrap()),
        (":authority", uri.authority().unwrap().as_str()),
        (":path", uri.path_and_query().unwrap().as_str()),
    ];
    let pseudo = pseudo.iter().map(|(name, value)| name.len() + value.len());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
    pseudo.chain(headers).sum::<usize>() as u64
}

/// One of the two has to wait for the other's dial.
#[tokio::test]
async fn a_wait_for_another_calls_dial_is_queued() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let fetch = |client: &Client| client.fetch(lab.url(Scenario::Good)).send();
    let (first, second) = tokio::join!(fetch(&client), fetch(&client));
    let (first, second): (Result<_, Error>, _) = (first, second);
    let [first, second] = [first.unwrap(), second.unwrap()].map(|response| *response.timings());
    assert_eq!(phases(&first)[..3], OPENING);
    assert_eq!(phases(&second), [Phase::Queued, Phase::FirstByte]);
    assert!(second.connection_reused());
}
