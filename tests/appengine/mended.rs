//! What App Engine's urlfetch did and this does not, each by a test whose name says what is so now.
//! What redirects, codings and the environment have of it is with theirs.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, pause, resume};
use urlfetch::ErrorKind;
use urlfetch::appengine::{Exception, Fetch};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::RootStore;

use crate::script::{self, Received, Server, Then, in_time, reply};
use crate::{scripted, service, service_of, stall};

/// In 2009 production took every certificate; later it depended on the runtime.
#[tokio::test]
async fn certificates_are_verified_unless_somebody_says_otherwise() {
    let lab = Lab::start().await.unwrap();
    let service = service_of(&lab);
    for scenario in [
        Scenario::SelfSigned,
        Scenario::WrongHost,
        Scenario::IpForName,
        Scenario::UntrustedRoot,
    ] {
        let call = || service.fetch(lab.url(scenario));
        for call in [
            call(),
            call().validate_certificate(None),
            call().validate_certificate(true),
            call().validate_certificate(Some(true)),
            // The last word counts.
            call()
                .validate_certificate(false)
                .validate_certificate(None),
        ] {
            let error = call.payload("secret").method("POST").await.unwrap_err();
            assert_eq!(error.exception(), Exception::SslCertificateError, "{error}");
            assert!(!error.cause().request_was_sent());
        }
        lab.settled(scenario).await;
        assert_eq!(lab.received(scenario), 0, "{scenario}");
    }
}

/// The original's sentence was the same for all of them.
#[tokio::test]
async fn the_reason_of_a_certificate_failure_is_kept() {
    let lab = Lab::start().await.unwrap();
    let service = service_of(&lab);
    for (scenario, code) in [
        (Scenario::Expired, "expired"),
        (Scenario::NotYetValid, "not-yet-valid"),
        (Scenario::UntrustedRoot, "unknown-issuer"),
        (Scenario::SelfSigned, "self-signed"),
        (Scenario::WrongHost, "hostname-mismatch"),
        (Scenario::IpForName, "hostname-mismatch"),
        (Scenario::Revoked, "revoked"),
    ] {
        let error = service.fetch(lab.url(scenario)).await.unwrap_err();
        assert_eq!(error.exception(), Exception::SslCertificateError, "{error}");
        let reason = error.cause().verdict().unwrap().reason().unwrap();
        assert_eq!(reason.code(), code, "{scenario}");
        assert_eq!(error.cause().code(), code, "{scenario}");
        let shown = error.to_string();
        assert!(shown.starts_with("SSLCertificateError: "), "{shown}");
        assert!(shown.contains(&format!("refused: {code}: ")), "{shown}");
        assert!(shown.contains(scenario.host()), "{shown}");
    }
}

/// The stub's clock was for each operation of the socket: with a deadline of 1 s a body of 2.8 s
/// passed.
#[tokio::test]
async fn the_deadline_is_for_all_of_the_body_and_not_for_each_piece() {
    let go = Arc::new(Notify::new());
    let (wrote, mut written) = unbounded_channel();
    let mut server = stall::Server::start({
        let go = Arc::clone(&go);
        move |connection| {
            let (go, wrote) = (Arc::clone(&go), wrote.clone());
            // Or a piece waits for the acknowledgment of the one before it.
            connection.tcp.set_nodelay(true).unwrap();
            async move {
                let mut tls = connection.tls().await.unwrap();
                tls.read_head().await;
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
                for piece in [head, ".", ".", ".", ".", "."] {
                    go.notified().await;
                    // The client may be gone by now.
                    let _ = tls.stream.write_all(piece.as_bytes()).await;
                    let _ = tls.stream.flush().await;
                    wrote.send(()).unwrap();
                }
            }
        }
    });
    let service = service(server.client_builder());
    let fetching = tokio::spawn(service.fetch(server.url("/")).deadline(10).send());
    assert_eq!(server.report().await, "asked");
    let stopped = StoppedClock::new();
    for second in [0, 4, 8, 12, 16, 20] {
        go.notify_one();
        written.recv().await.unwrap();
        // Time to read what came: a client of another mind goes on then.
        for _ in 0..1000 {
            yield_now().await;
        }
        assert!(second > 10 || !fetching.is_finished(), "after {second} s");
        advance(Duration::from_secs(4)).await;
    }
    drop(stopped);
    let error = fetching.await.unwrap().unwrap_err();
    assert_eq!(error.exception(), Exception::DeadlineExceededError);
    let sentence = "DeadlineExceededError: the deadline of 10s ended while";
    assert!(error.to_string().starts_with(sentence), "{error}");
}

/// There it began again with each.
#[tokio::test]
async fn the_hops_of_a_redirect_share_one_deadline() {
    let go = Arc::new(Notify::new());
    let mut server = stall::Server::start({
        let go = Arc::clone(&go);
        move |connection| {
            let go = Arc::clone(&go);
            async move {
                let mut tls = connection.tls().await.unwrap();
                for _ in 0..2 {
                    tls.read_head().await;
                    go.notified().await;
                    tls.write("HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n")
                        .await;
                }
                tls.read_head().await;
                pending().await
            }
        }
    });
    let service = service(server.client_builder());
    let fetching = tokio::spawn(service.fetch(server.url("/")).deadline(10).send());
    let stopped = StoppedClock::new();
    let started = Instant::now();
    for _ in 0..2 {
        assert_eq!(server.report().await, "asked");
        advance(Duration::from_secs(4)).await;
        go.notify_one();
    }
    assert_eq!(server.report().await, "asked");
    advance(Duration::from_secs(4)).await;
    drop(stopped);
    let error = fetching.await.unwrap().unwrap_err();
    // By the clock that is paused: what begins again with each hop ends at 18 s.
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let sentence = "the deadline of 10s ended while waiting for the response head";
    assert!(error.to_string().contains(sentence), "{error}");
    assert_eq!(error.exception(), Exception::DeadlineExceededError);
    assert_eq!(error.cause().url().unwrap().path(), "/next");
}

/// The stub looked for "timed out" in the text of an SSLError.
#[tokio::test]
async fn a_clock_that_runs_out_in_the_handshake_is_a_deadline_exceeded() {
    for (deadline, sentence) in [
        (5, "the deadline of 5s ended while in the TLS handshake"),
        (
            60,
            "the connect timeout of 10s ended while in the TLS handshake",
        ),
    ] {
        let mut server = stall::Server::start(|mut connection| async move {
            connection.hello().await;
            pending().await
        });
        let call = service(server.client_builder()).fetch(server.url("/"));
        let fetching = tokio::spawn(call.deadline(deadline).send());
        assert_eq!(server.report().await, "hello");
        pause();
        let error = fetching.await.unwrap().unwrap_err();
        assert_eq!(error.exception(), Exception::DeadlineExceededError);
        assert!(error.to_string().contains(sentence), "{error}");
        resume();
    }
}

/// -1 and not a number were Python's ValueError, and 0 a DownloadError.
#[tokio::test]
async fn a_deadline_that_cannot_be_kept_is_an_error_of_ours() {
    let server = Server::tls(hello).await;
    let service = scripted();
    let call = || service.fetch(server.url("/"));
    let unkept = |call: Fetch| async { in_time(call.send()).await.unwrap_err() };
    for (call, seconds) in [
        (call().deadline(-1), "-1"),
        (call().deadline(-0.001), "-0.001"),
        (call().deadline(f64::NAN), "NaN"),
        (call().deadline(f64::INFINITY), "inf"),
        (call().deadline(f64::MAX), "179769313486231"),
    ] {
        let error = unkept(call).await;
        assert_eq!(error.exception(), Exception::DownloadError, "{error}");
        assert_eq!(error.cause().kind(), ErrorKind::InvalidRequest);
        let sentence = format!("DownloadError: a deadline of {seconds}");
        assert!(error.to_string().starts_with(&sentence), "{error}");
    }
    for call in [
        call().deadline(0),
        call().deadline(0.0),
        call().deadline(-0.0),
        call().deadline(Duration::ZERO),
    ] {
        let error = unkept(call).await;
        assert_eq!(error.exception(), Exception::DeadlineExceededError);
        assert!(
            error.to_string().contains("the deadline of 0ns ended"),
            "{error}"
        );
        assert!(!error.cause().request_was_sent());
    }
    assert_eq!(server.requests().len(), 0);
    for call in [
        call().deadline(None),
        call().deadline(30),
        call().deadline(29.5),
        call().deadline(Duration::MAX),
        call().deadline(u64::MAX),
    ] {
        in_time(call.send()).await.unwrap();
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_fetched_is_an_invalid_url() {
    let long = format!("https://a.test/{}", "a".repeat(10_240));
    for (url, why) in [
        ("https://a.test:65536/", "invalid port number"),
        ("https://a.test:99999999999/", "invalid port number"),
        // The stub saw no host in these, and sent nothing to one that the path names.
        ("https:///a.test/", "empty host"),
        ("http:///a.test/", "empty host"),
        ("https:/a.test/", "empty host"),
        ("https:a.test/", "empty host"),
        ("https://a.test:-1/", "invalid port number"),
        ("https://a.test:0/", "port"),
        (
            "https://a.test:22/",
            "port is 22, and allowed is 80-90, 440-450, 1024-65535",
        ),
        ("https://user:hunter2@a.test/", "user"),
        ("ftp://a.test/", "ftp"),
        ("a.test/", "begin it with https://"),
        ("https://", "empty host"),
        ("", "begin it with https://"),
        (&long, "limit of 10240 bytes"),
    ] {
        let error = scripted().fetch(url).await.unwrap_err();
        assert_eq!(error.exception(), Exception::InvalidUrlError, "{error}");
        let shown = error.to_string();
        assert!(shown.starts_with("InvalidURLError: "), "{shown}");
        assert!(shown.contains(why), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!error.cause().request_was_sent());
    }
}

/// In the stub it was a DownloadError.
#[tokio::test]
async fn a_space_in_a_path_is_encoded() {
    let server = Server::tls(hello).await;
    for (path, target) in [
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/caf\u{e9}?q=a b&r=\u{e9}", "/caf%C3%A9?q=a%20b&r=%C3%A9"),
        ("/a+b", "/a+b"),
    ] {
        let result = in_time(scripted().fetch(server.url(path)).send()).await;
        assert_eq!(server.last().path(), target);
        assert_eq!(result.unwrap().final_url(), None);
    }
}

/// Folded by commas, those with a date could not be told apart.
#[tokio::test]
async fn cookies_are_not_folded() {
    const COOKIES: [&str; 3] = [
        "a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Path=/",
        "b=2; Secure",
        "a=3; Expires=Fri, 02 Jan 2026 00:00:00 GMT",
    ];
    let http1 = Server::tls(|_| {
        let lines = COOKIES.map(|cookie| format!("Set-Cookie: {cookie}\r\n"));
        (reply("200 OK", &lines.concat(), ""), Then::Stay)
    });
    let http2 = Server::h2(|_, mut respond| async move {
        let head = http::Response::builder().status(200);
        let head = COOKIES
            .iter()
            .fold(head, |head, cookie| head.header("set-cookie", *cookie));
        respond.send_response(head.body(()).unwrap(), true).unwrap();
    });
    for server in [http1.await, http2.await] {
        let result = in_time(scripted().fetch(server.url("/")).send())
            .await
            .unwrap();
        let headers = result.headers();
        assert_eq!(headers.getheaders("set-cookie"), COOKIES);
        assert_eq!(headers.get("Set-Cookie").unwrap(), COOKIES[0]);
        let by_hand = headers.iter().filter(|(name, _)| *name == "set-cookie");
        let by_hand: Vec<_> = by_hand.map(|(_, value)| value.into_owned()).collect();
        assert_eq!(by_hand, COOKIES);
        let uncombined: Vec<_> = headers.uncombined().get_all("set-cookie").iter().collect();
        assert_eq!(uncombined, COOKIES);
    }
}

/// The stub then trusted what Python trusts by itself. (What SSL_CERT_FILE names is with the
/// environment.)
#[test]
fn a_ca_file_that_is_missing_or_empty_is_an_error_with_its_path() {
    let folder = crate::scratch::Scratch::new();
    let missing = folder.path().join("missing.pem");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (path, why) in [
        (missing, "there is nothing at this path"),
        (empty, "it is empty"),
        (folder.path().to_owned(), "it is a folder"),
    ] {
        let error = RootStore::empty().add_pem_file(&path).unwrap_err();
        // As `?` makes it in a function that fetches.
        let error = urlfetch::appengine::Error::from(error);
        assert_eq!(error.exception(), Exception::DownloadError);
        let shown = error.to_string();
        assert!(
            shown.contains(path.to_str().unwrap()) && shown.contains(why),
            "{shown}"
        );
    }
    // And no roots at all are refused before anything is fetched.
    let builder = script::builder().roots(RootStore::empty());
    assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Config);
}

fn hello(_: &Received) -> (Vec<u8>, Then) {
    (reply("200 OK", "", "hello"), Then::Stay)
}

/// This thread's clock stands still, and jumps nowhere, until it is moved or this is dropped:
/// tokio's paused clock does not jump while a blocking task runs.
struct StoppedClock(#[expect(dead_code, reason = "held")] std::sync::mpsc::Sender<()>);

impl StoppedClock {
    fn new() -> Self {
        let (lives, ends) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || ends.recv());
        pause();
        Self(lives)
    }
}
