//! Why it failed: App Engine's exceptions and their tree, each of them provoked for real, and none
//! without its reason.

use std::error::Error as _;
use std::net::SocketAddr;

use tokio::net::TcpSocket;
use urlfetch::appengine::{
    Error, Exception, Fetch, FetchResult, POST, UrlFetchService, create_rpc, make_fetch_call,
};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{AddressGuard, ErrorKind, Limits, Resolve, Resolving};

use crate::script::{self, Server, Then, in_time};
use crate::{scripted, service, service_of};

use Exception::{
    ConnectionClosedError, DeadlineExceededError, DnsLookupFailedError, DownloadError,
    InternalTransientError, InvalidMethodError, InvalidUrlError, MalformedReplyError,
    PayloadTooLargeError, ResponseTooLargeError, SslCertificateError, TooManyRedirectsError,
};

/// Each with its name in Python and what it derives from there, besides the base.
const TREE: [(Exception, &str, Option<Exception>); 12] = [
    (DownloadError, "DownloadError", None),
    (
        MalformedReplyError,
        "MalformedReplyError",
        Some(DownloadError),
    ),
    (
        TooManyRedirectsError,
        "TooManyRedirectsError",
        Some(DownloadError),
    ),
    (
        ConnectionClosedError,
        "ConnectionClosedError",
        Some(DownloadError),
    ),
    (
        DnsLookupFailedError,
        "DNSLookupFailedError",
        Some(DownloadError),
    ),
    (
        DeadlineExceededError,
        "DeadlineExceededError",
        Some(DownloadError),
    ),
    (InvalidUrlError, "InvalidURLError", None),
    (
        PayloadTooLargeError,
        "PayloadTooLargeError",
        Some(InvalidUrlError),
    ),
    (InternalTransientError, "InternalTransientError", None),
    (ResponseTooLargeError, "ResponseTooLargeError", None),
    (InvalidMethodError, "InvalidMethodError", None),
    (SslCertificateError, "SSLCertificateError", None),
];

#[test]
fn the_tree_is_that_of_python() {
    for (exception, name, parent) in TREE {
        assert_eq!(exception.name(), name);
        assert_eq!(exception.to_string(), name);
        assert_eq!(exception.parent(), parent, "{name}");
        for (other, caught, _) in TREE {
            let is_caught = other == exception || Some(other) == parent;
            assert_eq!(exception.is_a(other), is_caught, "except {caught}: {name}");
        }
        // All of them are in the table: one more does not compile.
        match exception {
            DownloadError
            | MalformedReplyError
            | TooManyRedirectsError
            | ConnectionClosedError
            | DnsLookupFailedError
            | DeadlineExceededError
            | InvalidUrlError
            | PayloadTooLargeError
            | InternalTransientError
            | ResponseTooLargeError
            | InvalidMethodError
            | SslCertificateError => {}
        }
    }
}

/// As `except` would have caught them, in the tree's order.
fn caught_by(error: &Error) -> [bool; 12] {
    [
        error.is_download_error(),
        error.is_malformed_reply_error(),
        error.is_too_many_redirects_error(),
        error.is_connection_closed_error(),
        error.is_dns_lookup_failed_error(),
        error.is_deadline_exceeded_error(),
        error.is_invalid_url_error(),
        error.is_payload_too_large_error(),
        error.is_internal_transient_error(),
        error.is_response_too_large_error(),
        error.is_invalid_method_error(),
        error.is_ssl_certificate_error(),
    ]
}

#[tokio::test]
async fn each_is_provoked_and_has_its_name_and_its_reason() {
    let lab = Lab::start().await.unwrap();
    let (_held, port) = closed();
    let mut provoked = Vec::new();
    for (call, exception, reason) in cases(&lab, port) {
        let error = in_time(call.send()).await.unwrap_err();
        provoked.push(exception);
        assert_is(&error, exception, reason);
    }
    let error = lost().await;
    provoked.push(InternalTransientError);
    assert_is(
        &error,
        InternalTransientError,
        "the task that ran the call is gone",
    );
    for (exception, name, _) in TREE {
        assert!(provoked.contains(&exception), "{name} was not provoked");
    }
}

/// A call, the exception it ends with, and what is said of why.
fn cases(lab: &Lab, closed: u16) -> Vec<(Fetch, Exception, &'static str)> {
    let service = service_of(lab);
    let at = |scenario| service.fetch(lab.url(scenario));
    let small = Limits::app_engine().max_response_size(1000);
    let small = lab.client_builder().unwrap().limits(small).build().unwrap();
    let small = UrlFetchService::new(small);
    let big = || at(Scenario::GoodHttp1).method(POST);
    vec![
        (
            at(Scenario::GarbageReply),
            MalformedReplyError,
            "not proper HTTP",
        ),
        (at(Scenario::BrokenCoding), MalformedReplyError, "gzip"),
        (
            at(Scenario::DoubleCoding),
            MalformedReplyError,
            "more than one Content-Encoding",
        ),
        (
            at(Scenario::RedirectLoop),
            TooManyRedirectsError,
            "more than 5 redirects",
        ),
        (at(Scenario::ShortBody), ConnectionClosedError, "closed"),
        (at(Scenario::ShortChunks), ConnectionClosedError, "closed"),
        (at(Scenario::NoCloseNotify), ConnectionClosedError, "closed"),
        (
            at(Scenario::Good).deadline(0),
            DeadlineExceededError,
            "the deadline of 0ns ended",
        ),
        (
            unresolved(),
            DnsLookupFailedError,
            "the directory is closed",
        ),
        (refused(closed), DownloadError, "refused"),
        (
            by_a_proxy(closed),
            DownloadError,
            "could not be used to reach name.test",
        ),
        (inside(), InvalidUrlError, "loopback"),
        (
            at(Scenario::ClientCertificateRequired),
            SslCertificateError,
            "certificate",
        ),
        (at(Scenario::OldTls), SslCertificateError, "TLS"),
        (at(Scenario::PlainHttp), SslCertificateError, "TLS"),
        (
            at(Scenario::WrongHost),
            SslCertificateError,
            "hostname-mismatch",
        ),
        (
            at(Scenario::RedirectDowngrade),
            InvalidUrlError,
            "not encrypted",
        ),
        (
            service.fetch("https://good.lab.test:22/"),
            InvalidUrlError,
            "port is 22",
        ),
        (
            big().payload(vec![0; (10 << 20) + 1]),
            PayloadTooLargeError,
            "limit of 10485760 bytes",
        ),
        (
            big().headers([("X-Big", "a".repeat(16 << 10))]),
            DownloadError,
            "limit of 16384 bytes",
        ),
        (
            at(Scenario::Good).method("OPTIONS"),
            InvalidMethodError,
            "\"OPTIONS\"",
        ),
        (
            small.fetch(lab.url_to(Scenario::Good, "/bytes/1001")),
            ResponseTooLargeError,
            "limit of 1000 bytes",
        ),
    ]
}

fn assert_is(error: &Error, exception: Exception, reason: &str) {
    let shown = error.to_string();
    assert_eq!(error.exception(), exception, "{shown}");
    assert!(
        shown.starts_with(&format!("{}: ", exception.name())),
        "{shown}"
    );
    assert!(shown.contains(reason), "{reason}: {shown}");
    let expected = TREE.map(|(each, _, _)| exception.is_a(each));
    assert_eq!(caught_by(error), expected, "{shown}");
    assert_eq!(
        error.response().is_some(),
        exception == ResponseTooLargeError
    );
    // The cause is what `source` leads to, and its own sentence is the whole of ours.
    let source = error.source().unwrap().downcast_ref::<urlfetch::Error>();
    assert_eq!(source.unwrap().kind(), error.cause().kind());
    assert_eq!(shown, format!("{exception}: {}", error.cause()));
    assert!(format!("{error:?}").contains(&format!("{exception:?}")));
}

#[tokio::test]
async fn a_reply_that_is_none_is_malformed_or_was_cut_off() {
    for (reply, exception) in [
        ("", ConnectionClosedError),
        ("HTTP/1.1 200", ConnectionClosedError),
        ("HTTP/1.1 200 OK\r\nx: 1\r\n", ConnectionClosedError),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
            ConnectionClosedError,
        ),
        ("220 ftp.test ready\r\n\r\n", MalformedReplyError),
        ("HTTP/1.1 099 Low\r\n\r\n", MalformedReplyError),
        ("HTTP/1.1 1000 High\r\n\r\n", MalformedReplyError),
        ("HTTP/1.1 OK\r\n\r\n", MalformedReplyError),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            MalformedReplyError,
        ),
    ] {
        let server = Server::tls(move |_| (reply.into(), Then::Close)).await;
        let error = in_time(scripted().fetch(server.url("/")).send()).await;
        let error = error.unwrap_err();
        assert_eq!(error.exception(), exception, "{reply:?}: {error}");
        assert!(error.is_download_error());
        assert!(error.cause().request_was_sent());
    }
}

#[tokio::test]
async fn the_chain_of_causes_goes_down_to_the_system() {
    let (_held, port) = closed();
    let error = refused(port).await.unwrap_err();
    let mut cause = error.source();
    let system = loop {
        let each = cause.expect("the system is among the causes");
        match each.downcast_ref::<std::io::Error>() {
            Some(system) => break system,
            None => cause = each.source(),
        }
    };
    assert_eq!(system.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let server = Server::tls(|_| (b"secret-content\r\n\r\n".to_vec(), Then::Close)).await;
    let call = scripted().fetch(server.url("/?secret-query#secret-fragment"));
    let call = call.headers([("Authorization", "secret-value")]);
    let call = call.method(POST).payload("secret-payload");
    let error = in_time(call.send()).await.unwrap_err();
    assert!(error.is_malformed_reply_error());
    let small = Limits::app_engine().max_response_size(3);
    let small = script::builder().limits(small).build().unwrap();
    let cut = Server::tls(|_| {
        let answer = script::reply("200 OK", "x-token: secret-value\r\n", "secret-content");
        (answer, Then::Stay)
    })
    .await;
    let call = UrlFetchService::new(small).fetch(cut.url("/?secret-query"));
    let too_large = in_time(call.send()).await.unwrap_err();
    assert_eq!(too_large.response().unwrap().content(), "sec");
    for error in [error, too_large] {
        let shown = format!("{error} {error:?} {error:#?} {:?}", error.response());
        assert!(shown.contains(script::HOST), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

/// Both kinds of fetch in one function, whichever of the errors it has.
#[tokio::test]
async fn errors_of_both_names_go_with_a_question_mark() {
    async fn ours(lab: &Lab) -> Result<FetchResult, Error> {
        let service = UrlFetchService::new(lab.client()?);
        lab.client()?.fetch(lab.url(Scenario::Expired)).await?;
        service.fetch(lab.url(Scenario::Good)).await
    }
    async fn theirs(lab: &Lab) -> urlfetch::Result<FetchResult> {
        let service = UrlFetchService::new(lab.client()?);
        Ok(service.fetch(lab.url(Scenario::Expired)).await?)
    }
    let lab = Lab::start().await.unwrap();
    let error = ours(&lab).await.unwrap_err();
    assert_eq!(error.exception(), SslCertificateError);
    let error = theirs(&lab).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Certificate, "expired")
    );
}

/// A port where nobody listens, and nobody can while this is held.
fn closed() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn refused(port: u16) -> Fetch {
    scripted().fetch(format!("https://{}:{port}/", script::HOST))
}

/// By a proxy that is not there.
fn by_a_proxy(port: u16) -> Fetch {
    let proxied = script::builder().proxy(format!("http://127.0.0.1:{port}"));
    service(proxied).fetch("https://name.test/")
}

/// To where a fetch on a stranger's word may not go.
fn inside() -> Fetch {
    let guarded = script::builder().address_guard(AddressGuard::public_only());
    service(guarded).fetch("https://127.0.0.1:8443/")
}

fn unresolved() -> Fetch {
    struct Closed;
    impl Resolve for Closed {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            Box::pin(async { Err::<Vec<SocketAddr>, _>("the directory is closed".into()) })
        }
    }
    service(script::builder().resolver(Closed)).fetch("https://name.test/")
}

/// A call whose runtime went away.
async fn lost() -> Error {
    let server = Server::start("https", Some("http/1.1"), |mut talk| async move {
        while talk.request().await.is_some() {}
    })
    .await;
    let call = scripted().fetch(server.url("/"));
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut rpc = {
        let _entered = other.enter();
        make_fetch_call(create_rpc(60), call)
    };
    other.shutdown_background();
    in_time(rpc.get_result()).await.unwrap_err()
}
