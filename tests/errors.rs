//! Errors: each kind provoked for real, with what it says of the request, and what it never says.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::future::{Future, IntoFuture, pending};
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use rcgen::{CertificateParams, CustomExtension, DnType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::Level;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::{Identity, RootStore};
use urlfetch::{
    AddressGuard, Bytes, Client, Error, ErrorKind, Limits, Method, Payload, Phase, RequestBuilder,
    Response,
};

use x509_cert::der::asn1::Any;
use x509_cert::der::{Encode, Tag, TagNumber};

use log::Log;
use stall::{HOST, OK, Server};

#[path = "support/log.rs"]
#[expect(dead_code, reason = "the tests of the log need more of it")]
mod log;
#[path = "support/stall.rs"]
#[expect(dead_code, reason = "the tests of deadlines need more of it")]
mod stall;

/// Every kind and its code, which stay as they are.
const CODES: [(ErrorKind, &str); 19] = [
    (ErrorKind::AddressRefused, "address-refused"),
    (ErrorKind::Certificate, "certificate"),
    (ErrorKind::Config, "config"),
    (ErrorKind::Connect, "connect"),
    (ErrorKind::ConnectionClosed, "connection-closed"),
    (ErrorKind::Deadline, "deadline"),
    (ErrorKind::Decode, "decode"),
    (ErrorKind::Dns, "dns"),
    (ErrorKind::InvalidRequest, "invalid-request"),
    (ErrorKind::InvalidUrl, "invalid-url"),
    (ErrorKind::MalformedReply, "malformed-reply"),
    (ErrorKind::Payload, "payload"),
    (ErrorKind::PayloadTooLarge, "payload-too-large"),
    (ErrorKind::Proxy, "proxy"),
    (ErrorKind::RedirectRefused, "redirect-refused"),
    (ErrorKind::ResponseTooLarge, "response-too-large"),
    (ErrorKind::Status, "status"),
    (ErrorKind::Tls, "tls"),
    (ErrorKind::TooManyRedirects, "too-many-redirects"),
];

#[test]
fn codes_are_stable_and_are_the_names_in_kebab_case() {
    for (kind, code) in CODES {
        assert_eq!(kind.code(), code);
        let name = format!("{kind:?}");
        let mut words = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push('-');
            }
            words.extend(letter.to_lowercase());
        }
        assert_eq!(words, code);
    }
}

/// An error, and what is expected of it.
struct Case {
    error: Error,
    kind: ErrorKind,
    sent: bool,
    phase: Option<Phase>,
    judged: bool,
    /// How the first line begins, or what it is.
    line: String,
    /// The server that must have seen nothing if nothing was sent.
    server: Option<Scenario>,
}

#[tokio::test]
async fn each_kind_says_what_was_tried_why_it_stopped_and_whether_the_request_was_sent() {
    let lab = Lab::start().await.unwrap();
    let cases = provoke(&lab).await;
    for case in &cases {
        let Case { error, line, .. } = case;
        let shown = error.to_string();
        assert_eq!(error.kind(), case.kind, "{shown}");
        assert_eq!(error.request_was_sent(), case.sent, "{shown}");
        assert_eq!(error.phase(), case.phase, "{shown}");
        assert_eq!(error.verdict().is_some(), case.judged, "{shown}");
        let (sentence, hint) = line.split_once('\n').unwrap_or((line, ""));
        assert!(shown.starts_with(sentence), "{shown}\n{line}");
        assert!(shown.contains(hint), "{shown}\n{line}");
        match error.hint() {
            Some(hint) => assert!(shown.ends_with(&format!("\nhint: {hint}"))),
            None => assert_eq!(shown.lines().count(), 1, "{shown}"),
        }
        if let Some(url) = error.url() {
            assert_eq!((url.query(), url.fragment()), (None, None));
            assert_eq!((url.username(), url.password()), ("", None));
        }
        // The first line has the cause's sentence, and says what was fetched.
        let first = shown.lines().next().unwrap();
        assert!(
            error
                .source()
                .is_none_or(|cause| first.contains(&cause.to_string()))
        );
        let host = error.url().and_then(|url| url.host_str());
        assert!(host.is_none_or(|host| first.contains(host)), "{first}");
    }
    for (kind, _) in CODES {
        assert!(cases.iter().any(|case| case.kind == kind), "{kind:?}");
    }
    for case in cases {
        if let (false, Some(server)) = (case.sent, case.server) {
            lab.settled(server).await;
            assert_eq!(lab.received(server), 0, "{server}");
        }
    }
}

/// At least one error of every kind. The clients are gone afterwards.
async fn provoke(lab: &Lab) -> Vec<Case> {
    use ErrorKind as K;
    let closed = closed_port();
    let builder = lab.client_builder().unwrap();
    let builder = builder.resolve("nowhere.lab.test", []);
    let builder = builder.resolve("closed.lab.test", [closed]);
    let client = builder.build().unwrap();
    let short = Duration::from_secs(2);

    let mut cases = Vec::new();
    let mut case = |kind, error, sent, phase, judged, line: &str, server| {
        cases.push(Case {
            error,
            kind,
            sent,
            phase,
            judged,
            line: line.to_owned(),
            server,
        });
    };

    // Refused before anything is resolved or sent.
    let of = |url: &str| whole(client.fetch(url));
    case(
        K::Config,
        Client::builder()
            .roots(RootStore::empty())
            .build()
            .map(drop)
            .unwrap_err(),
        false,
        None,
        false,
        "the root store is empty: no peer could ever be verified\nhint: ",
        None,
    );
    case(
        K::InvalidUrl,
        of("hunter2").await,
        false,
        None,
        false,
        "the URL cannot be read: relative URL without a base",
        None,
    );
    case(
        K::InvalidUrl,
        of("https://u:hunter2@good.lab.test/").await,
        false,
        None,
        false,
        "the URL holds a user name or a password, which end up in logs\nhint: ",
        None,
    );
    case(
        K::InvalidUrl,
        of("http://good.lab.test/?hunter2").await,
        false,
        None,
        false,
        "the URL's scheme is http, which proves nobody's identity\nhint: ",
        None,
    );
    let odd = client
        .fetch(lab.url(Scenario::Good))
        .header("transfer-encoding", "hunter2");
    case(
        K::InvalidRequest,
        whole(odd).await,
        false,
        None,
        false,
        "Transfer-Encoding is ours to set",
        None,
    );
    let odd = client
        .fetch(lab.url(Scenario::Good))
        .header("x", "hunter2\n");
    case(
        K::InvalidRequest,
        whole(odd).await,
        false,
        None,
        false,
        "the value of the header x has a character it may not have: ",
        None,
    );

    let small = Limits::default().max_payload_size(6);
    let small = lab.client_builder().unwrap().limits(small).build().unwrap();
    case(
        K::PayloadTooLarge,
        whole(dress(small.fetch(lab.url(Scenario::UntrustedRoot)))).await,
        false,
        None,
        false,
        "the payload is 7 bytes, more than its limit of 6 bytes\nhint: Limits::max_payload_size",
        Some(Scenario::UntrustedRoot),
    );

    // No connection, or none that is trusted.
    let dressed = |url: &str| dress(client.fetch(format!("{url}?hunter2#hunter2")));
    case(
        K::Dns,
        whole(dressed("https://nowhere.lab.test/")).await,
        false,
        Some(Phase::Dns),
        false,
        "resolving nowhere.lab.test gave no address",
        None,
    );
    let port = closed.port();
    case(
        K::Connect,
        whole(dressed(&format!("https://closed.lab.test:{port}/"))).await,
        false,
        Some(Phase::Connect),
        false,
        &format!("connecting to closed.lab.test:{port} failed: 127.0.0.1:{port}: "),
        None,
    );

    // What the lab's servers do, to requests full of secrets.
    let late = &Some(Phase::Body);
    type Row = (ErrorKind, Scenario, bool, Option<Phase>, bool, &'static str);
    let rows: [Row; 20] = [
        (
            K::Certificate,
            Scenario::WrongHost,
            false,
            Some(Phase::Tls),
            true,
            "certificate for \"wrong-host.lab.test\" was refused: hostname-mismatch: the certificate is valid for www.wrong-host.lab.test; it was checked for \"wrong-host.lab.test\" (127.0.0.1:",
        ),
        (
            K::Certificate,
            Scenario::Expired,
            false,
            Some(Phase::Tls),
            true,
            "certificate for \"expired.lab.test\" was refused: expired: the certificate was valid until 2001-01-01T00:00:00Z (127.0.0.1:",
        ),
        (
            K::Certificate,
            Scenario::SelfSigned,
            false,
            Some(Phase::Tls),
            true,
            "certificate for \"self-signed.lab.test\" was refused: self-signed: ",
        ),
        (
            K::Tls,
            Scenario::OldTls,
            false,
            Some(Phase::Tls),
            false,
            "the TLS handshake with old-tls.lab.test:",
        ),
        (
            K::Tls,
            Scenario::PlainHttp,
            false,
            Some(Phase::Tls),
            false,
            "the TLS handshake with plain-http.lab.test:",
        ),
        // On TLS 1.3 the refusal comes after the request has gone.
        (
            K::Tls,
            Scenario::ClientCertificateRequired,
            true,
            Some(Phase::FirstByte),
            true,
            "the server asked for a client certificate, we have none, and it ended the connection (received fatal alert: CertificateRequired)\nhint: ",
        ),
        (
            K::Deadline,
            Scenario::SlowHeaders,
            true,
            Some(Phase::FirstByte),
            true,
            "the deadline of 2s ended while waiting for the response head",
        ),
        (
            K::Deadline,
            Scenario::DrippingBody,
            true,
            *late,
            true,
            "the deadline of 2s ended while reading the body",
        ),
        (
            K::ResponseTooLarge,
            Scenario::BigBody,
            true,
            *late,
            true,
            "the body is larger than its limit of 1000 bytes",
        ),
        (
            K::ResponseTooLarge,
            Scenario::DecompressionBomb,
            true,
            *late,
            true,
            "the body is larger than its limit of 1000 bytes",
        ),
        (
            K::Decode,
            Scenario::BrokenCoding,
            true,
            *late,
            true,
            "the gzip body is broken: ",
        ),
        (
            K::Decode,
            Scenario::DoubleCoding,
            true,
            None,
            true,
            "the response has more than one Content-Encoding",
        ),
        (
            K::TooManyRedirects,
            Scenario::RedirectLoop,
            true,
            None,
            true,
            "there were more than 5 redirects",
        ),
        (
            K::RedirectRefused,
            Scenario::RedirectDowngrade,
            true,
            None,
            true,
            "the redirect leads from https://redirect-downgrade.lab.test:",
        ),
        (
            K::ConnectionClosed,
            Scenario::ShortBody,
            true,
            *late,
            true,
            "the connection was closed before the response was complete: the end came too early",
        ),
        (
            K::ConnectionClosed,
            Scenario::ShortChunks,
            true,
            *late,
            true,
            "the connection was closed before the response was complete: the end came too early",
        ),
        (
            K::ConnectionClosed,
            Scenario::NoCloseNotify,
            true,
            *late,
            true,
            "the connection was closed before the response was complete: peer closed connection without sending TLS close_notify",
        ),
        (
            K::MalformedReply,
            Scenario::GarbageReply,
            true,
            Some(Phase::FirstByte),
            true,
            "the reply is not proper HTTP: ",
        ),
        (
            K::Status,
            Scenario::Good,
            true,
            None,
            true,
            "the server answered 404 Not Found",
        ),
        (
            K::Status,
            Scenario::GoodHttp1,
            true,
            None,
            true,
            "the server answered 404 Not Found",
        ),
    ];
    for (kind, scenario, sent, phase, judged, line) in rows {
        let url = match kind {
            K::Status => lab.url_to(scenario, "/status/404"),
            _ => lab.url(scenario),
        };
        let mut fetch = dressed(&url);
        if kind == K::Deadline {
            fetch = fetch.deadline(short);
        }
        if kind == K::ResponseTooLarge {
            fetch = fetch.max_response_size(1000);
        }
        case(
            kind,
            whole(fetch).await,
            sent,
            phase,
            judged,
            line,
            Some(scenario),
        );
    }

    // What the client is told of the way.
    let guarded = lab.client_builder().unwrap();
    let guarded = guarded.address_guard(AddressGuard::public_only());
    let proxied = lab.client_builder().unwrap();
    let proxied = proxied.proxy(format!("http://{closed}"));
    for (kind, builder, line) in [
        (K::AddressRefused, guarded, "dialling 127.0.0.1:"),
        (K::Proxy, proxied, "the proxy 127.0.0.1:"),
    ] {
        let client = builder.build().unwrap();
        let fetch = client.fetch(lab.url(Scenario::Good));
        let error = whole(fetch.header("x", "hunter2")).await;
        let phase = Some(Phase::Connect);
        case(kind, error, false, phase, false, line, None);
    }

    // What a payload does.
    for (pieces, line) in [
        (
            vec![Ok("a"), Err("the disk is on fire")],
            "the payload's stream failed: the disk is on fire",
        ),
        (
            vec![Ok("a")],
            "the payload's stream ended 1 bytes short of the length it promised",
        ),
        (
            vec![Ok("abc")],
            "the payload's stream is longer than the length it promised",
        ),
    ] {
        for scenario in [Scenario::Good, Scenario::GoodHttp1] {
            let payload = Payload::stream(Pieces(pieces.clone())).length(2);
            let fetch = client.fetch(lab.url(scenario)).method(Method::POST);
            let error = whole(fetch.payload(payload)).await;
            // Over HTTP/1.1 a payload whose first piece is wrong keeps its head from being written;
            // over h2 one cannot know.
            let sent = scenario == Scenario::Good || pieces != [Ok("abc")];
            case(
                K::Payload,
                error,
                sent,
                Some(Phase::FirstByte),
                true,
                line,
                None,
            );
        }
    }
    cases
}

/// Everything about a request that nobody else is to see.
fn dress(fetch: RequestBuilder) -> RequestBuilder {
    fetch
        .method(Method::POST)
        .query([("key", "hunter2")])
        .header("cookie", "session=hunter2")
        .header("x-api-key", "hunter2")
        .bearer_auth("hunter2")
        .payload("hunter2")
}

/// How a fetch ends that must not end well.
async fn whole(fetch: RequestBuilder) -> Error {
    let response = match fetch.await.and_then(Response::error_for_status) {
        Ok(response) => response,
        Err(error) => return error,
    };
    response.bytes().await.unwrap_err()
}

#[tokio::test]
async fn no_secret_is_shown_by_an_error_or_told_to_the_log() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let lab = Lab::start().await.unwrap();
    for Case { error, .. } in provoke(&lab).await {
        let mut shown = format!("{error}\n{error:?}\n{error:#?}\n{:?}", error.verdict());
        let mut below = error.source();
        while let Some(cause) = below {
            write!(shown, "\n{cause}\n{cause:?}").unwrap();
            below = cause.source();
        }
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let text = log.text();
    assert!(text.contains("h2::"), "h2 was listened to as well");
    assert_eq!(text.lines().find(|line| line.contains("hunter2")), None);
}

#[tokio::test]
async fn no_secret_is_shown_by_what_leads_to_a_response_or_came_of_it() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let lab = Lab::start().await.unwrap();
    let (certificate, key) = lab.client_identity_pem();
    let identity = Identity::from_pem(certificate, key).unwrap();
    let mut shown = shown(&identity);
    let builder = lab.client_builder().unwrap().identity(identity);
    write!(shown, "{}", self::shown(&builder)).unwrap();
    let client = builder.build().unwrap();
    write!(shown, "{}", self::shown(&client)).unwrap();
    for scenario in [Scenario::Good, Scenario::GoodHttp1] {
        // A redirect to itself with a secret in its Location, which is followed with all the rest.
        let to = lab.url_to(scenario, "/status/302?location=/echo?hunter2%23hunter2");
        let fetch = dress(client.fetch(to));
        write!(shown, "{}", self::shown(&fetch)).unwrap();
        let response = fetch.await.unwrap();
        assert!(response.url().as_str().contains("hunter2"));
        assert_eq!(response.hops().len(), 1);
        write!(shown, "{}", self::shown(&response)).unwrap();
        write!(shown, "{}", self::shown(&response.hops())).unwrap();
        let body = response.into_body();
        write!(shown, "{}", self::shown(&body)).unwrap();
    }
    // Headers that a server sets.
    let server = Server::start(|connection| async move {
        let reply = "HTTP/1.1 200 OK\r\nset-cookie: hunter2\r\ncontent-length: 0\r\n\r\n";
        connection.answer(reply).await;
    });
    let response = server.client().fetch(server.url("/")).await.unwrap();
    assert_eq!(response.headers()["set-cookie"], "hunter2");
    write!(shown, "{}", self::shown(&response)).unwrap();

    let text = shown + &log.text();
    let basic = client
        .fetch(lab.url(Scenario::Good))
        .basic_auth("Aladdin", Some("open sesame"));
    let text = text + &self::shown(&basic);
    basic.await.unwrap();
    let key_lines = key.lines().filter(|line| !line.starts_with("-----"));
    let secrets = [
        "hunter2",
        "PRIVATE KEY",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "open sesame",
    ];
    for secret in secrets.into_iter().chain(key_lines) {
        assert_eq!(text.lines().find(|line| line.contains(secret)), None);
        assert!(!log.text().contains(secret));
    }
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}\n{value:#?}\n")
}

/// The first attempt may have been acted on, whatever became of the second.
#[tokio::test]
async fn a_request_that_was_sent_once_was_sent() {
    let mut server = Server::start(|connection| async move {
        let mut tls = connection.tls().await.unwrap();
        tls.read_head().await;
        tls.write(OK).await;
        tls.read_head().await;
        pending().await
    });
    let client = server.client();
    let (first, second) = (server.url("/"), server.url("/second?q"));
    client.fetch(first).await.unwrap().bytes().await.unwrap();
    assert_eq!(server.report().await, "asked");
    let fetching = tokio::spawn(client.fetch(second).into_future());
    assert_eq!(server.report().await, "asked");
    // Its connections go and nobody listens any more, so that the replay finds no server.
    drop(server);
    let error = fetching.await.unwrap().unwrap_err();
    assert!(error.request_was_sent(), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.url().unwrap().path(), "/second");
}

/// Whichever of the two is first: `false` is said only if the server has seen nothing.
#[tokio::test]
async fn a_connection_that_closes_while_the_request_goes_out() {
    for reused in [false, true] {
        for _ in 0..40 {
            let (seen, sees) = mpsc::channel();
            let server = Server::start(move |connection| {
                let seen = seen.clone();
                let number = connection.number;
                async move {
                    let mut tls = connection.tls().await.unwrap();
                    if reused && number == 0 {
                        tls.read_head().await;
                        tls.write(OK).await;
                    }
                    tls.stream.shutdown().await.unwrap();
                    let mut rest = Vec::new();
                    let _ = tls.stream.read_to_end(&mut rest).await;
                    seen.send(rest.len()).unwrap();
                }
            });
            let client = server.client();
            if reused {
                client
                    .fetch(server.url("/"))
                    .await
                    .unwrap()
                    .bytes()
                    .await
                    .unwrap();
            }
            // Not idempotent: it is not replayed.
            let error = client
                .fetch(server.url("/"))
                .method(Method::POST)
                .payload("x");
            let error = error.await.unwrap_err();
            drop(client);
            let kinds = [ErrorKind::ConnectionClosed];
            assert!(kinds.contains(&error.kind()), "{error}");
            let seen = sees.iter().take(1).sum::<usize>();
            assert!(error.request_was_sent() || seen == 0, "{seen} {error:?}");
        }
    }
}

#[tokio::test]
async fn the_words_of_a_goaway_are_the_servers_and_stay_out() {
    let server = Server::of(
        CertificateParams::new([HOST.to_owned()]).unwrap(),
        &[b"h2"],
        |connection| async move {
            let mut tls = connection.tls().await.unwrap();
            // RFC 9113 §6.5 and 6.8: SETTINGS, then a GOAWAY of ENHANCE_YOUR_CALM.
            let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
            let words = "\u{1b}[31m calm \n".repeat(1000);
            let length = (words.len() as u32 + 8).to_be_bytes();
            frames.extend([length[1], length[2], length[3], 7, 0, 0, 0, 0, 0]);
            frames.extend([0, 0, 0, 0, 0, 0, 0, 11]);
            frames.extend(words.as_bytes());
            // The preface and the request.
            tls.stream.read_exact(&mut [0; 24]).await.unwrap();
            tls.stream.write_all(&frames).await.unwrap();
            let _ = tls.stream.read_to_end(&mut Vec::new()).await;
        },
    );
    let error = server.client().fetch(server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionClosed);
    let shown = format!("{error}\n{error:?}");
    assert!(shown.contains("GOAWAY: "), "{shown}");
    assert!(!shown.contains("calm") && shown.len() < 1000, "{shown}");
}

/// What a stranger wrote in a certificate reaches nobody's terminal as it stands.
#[tokio::test]
async fn names_in_certificates_are_escaped_and_cut() {
    let nasty = "\u{1b}[31m\n\r\"; \u{202e}evil.test\u{7}\0";
    let long = "a".repeat(60_000);
    for names in [vec![nasty], vec![nasty; 2000], vec![long.as_str()]] {
        let (log, _guard) = Log::capture(Level::TRACE);
        let mut certificate = CertificateParams::default();
        certificate
            .distinguished_name
            .push(DnType::CommonName, nasty);
        certificate
            .distinguished_name
            .push(DnType::OrganizationName, nasty);
        certificate.custom_extensions = vec![alternative_names(&names)];
        let server = Server::of(certificate, &[], |connection| connection.answer(OK));
        let error = server.client().fetch(server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
        assert_eq!(error.code(), "hostname-mismatch", "{error}");
        let verdict = error.verdict().unwrap();
        let shown = [
            error.to_string(),
            format!("{error:?}"),
            verdict.to_string(),
            format!("{verdict:?}"),
            verdict.chain()[0].subject(),
            log.text(),
        ];
        for text in shown {
            let control = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(control, None, "{text:?}");
            assert!(!text.contains('\u{202e}'), "{text:?}");
        }
        assert_eq!(
            error.to_string().lines().count(),
            1 + error.hint().into_iter().count()
        );
        assert!(
            error.to_string().len() < 2000,
            "{}",
            error.to_string().len()
        );
        assert!(format!("{verdict:?}").len() < 20_000);
    }
}

#[tokio::test]
async fn ten_thousand_names_are_counted_and_two_are_shown() {
    let names: Vec<String> = (0xa000..0xa000 + 10_000)
        .map(|n| format!("{n:x}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut certificate = CertificateParams::default();
    certificate.custom_extensions = vec![alternative_names(&names)];
    let server = Server::of(certificate, &[], |connection| connection.answer(OK));
    let error = server.client().fetch(server.url("/")).await.unwrap_err();
    let expected = "certificate for \"stall.test\" was refused: hostname-mismatch: the certificate is \
                    valid for a000, a001 and 9998 more; it was checked for \"stall.test\" (127.0.0.1:";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(!error.request_was_sent());

    // More than a handshake message may have: 64 KiB.
    let more: Vec<&str> = names.iter().copied().cycle().take(20_000).collect();
    let mut certificate = CertificateParams::default();
    certificate.custom_extensions = vec![alternative_names(&more)];
    let more = Server::of(certificate, &[], |connection| connection.answer(OK));
    let builder = server.client_builder().resolve(HOST, [more.address]);
    let error = builder
        .build()
        .unwrap()
        .fetch(more.url("/"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(!error.request_was_sent());
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_that_was_not_expected_is_quoted_escaped_and_cut() {
    let server = Server::start(|connection| async move {
        let body = format!("{{\"\\u001b[31m{}\":1}}", "x".repeat(100_000));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.answer(&(head + &body)).await;
    });
    let response = server.client().fetch(server.url("/")).await.unwrap();
    let error = response.json::<Duration>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    let shown = error.to_string();
    let line = "the body is not the JSON that was expected: unknown field `\\u{1b}[31mxxx";
    assert!(shown.starts_with(line) && shown.len() < 400, "{shown}");
}

/// A subjectAltName of dNSNames, whatever they hold (RFC 5280 §4.2.1.6).
fn alternative_names(names: &[&str]) -> CustomExtension {
    let der = |tag, content| Any::new(tag, content).unwrap().to_der().unwrap();
    let dns_name = Tag::ContextSpecific {
        constructed: false,
        number: TagNumber::N2,
    };
    let names = names.iter().flat_map(|name| der(dns_name, name.as_bytes()));
    let names = der(Tag::Sequence, &names.collect::<Vec<u8>>());
    CustomExtension::from_oid_content(&[2, 5, 29, 17], names)
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let client = Client::builder().resolve(HOST, []).build().unwrap();
    let config = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.request_was_sent());
        let line = "a fetch needs a tokio runtime to run in: there is no reactor running";
        assert!(error.to_string().starts_with(line), "{error}");
    };
    let url = "https://stall.test/";
    config(
        poll(pin!(urlfetch::fetch(url).into_future()))
            .unwrap()
            .unwrap_err(),
    );
    config(poll(pin!(client.fetch(url).send())).unwrap().unwrap_err());
    config(
        poll(pin!(client.connect(HOST, 443).into_future()))
            .unwrap()
            .map(drop)
            .unwrap_err(),
    );
    let (stream, _other) = tokio::io::duplex(1);
    config(
        poll(pin!(client.wrap(stream, HOST).into_future()))
            .unwrap()
            .map(drop)
            .unwrap_err(),
    );
}

#[test]
fn a_body_outside_a_runtime_gives_what_is_there_and_then_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let server = Server::start(|connection| async move {
        let mut tls = connection.tls().await.unwrap();
        tls.read_head().await;
        tls.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab")
            .await;
        pending().await
    });
    let mut response = runtime.block_on(async {
        let mut response = server.client().fetch(server.url("/")).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "ab");
        response
    });
    let error = poll(pin!(response.chunk())).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.request_was_sent());
    // What is dropped last needs no runtime either.
    drop(runtime);
    drop(response);
}

fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A payload in pieces.
struct Pieces(Vec<Result<&'static str, &'static str>>);

impl Stream for Pieces {
    type Item = Result<Bytes, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(piece.map(|piece| piece.map(Bytes::from)))
    }
}

/// A port that nobody listens on.
fn closed_port() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
