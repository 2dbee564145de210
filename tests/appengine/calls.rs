//! What is asked for: the module's functions, and what each argument becomes on the wire.

use bytes::Bytes;
use urlfetch::appengine::{
    DELETE, Exception, GET, HEAD, IntoMethod, PATCH, POST, PUT, UrlFetchService, create_rpc,
    get_default_fetch_deadline, make_fetch_call, set_default_fetch_deadline,
};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{ErrorKind, Identity, Method};

use crate::script::{Received, Server, Then, in_time, reply};
use crate::{scripted, service, service_of};

#[tokio::test]
async fn a_call_is_a_fetch_and_an_exception_has_its_reason() {
    let lab = Lab::start().await.unwrap();
    let service = service_of(&lab);
    let good = service.fetch(lab.url(Scenario::Good));
    let mut rpc = make_fetch_call(create_rpc(10), good);
    let result = rpc.get_result().await.unwrap();
    assert_eq!(result.status_code(), 200);
    assert!(result.verdict().unwrap().is_verified());
    let other = lab.url(Scenario::ValidForAnotherSite);
    let error = service.fetch(other).await.unwrap_err();
    assert!(error.is_ssl_certificate_error() && !error.is_download_error());
    assert!(error.to_string().contains("hostname-mismatch"), "{error}");
}

#[tokio::test]
async fn a_method_is_a_number_or_a_name_in_any_case() {
    async fn sent(server: &Server, method: impl IntoMethod) -> String {
        let call = scripted().fetch(server.url("/")).method(method);
        in_time(call.send()).await.unwrap();
        server.last().line
    }
    let server = Server::tls(empty).await;
    for (constant, number, name, method) in [
        (GET, 1, "GET", Method::GET),
        (POST, 2, "Post", Method::POST),
        (HEAD, 3, "head", Method::HEAD),
        (PUT, 4, "pUT", Method::PUT),
        (DELETE, 5, "delete", Method::DELETE),
        (PATCH, 6, "patch", Method::PATCH),
    ] {
        assert_eq!(constant, number);
        let expected = format!("{method} /");
        assert_eq!(sent(&server, number).await, expected);
        assert_eq!(sent(&server, name).await, expected);
        assert_eq!(sent(&server, name.to_owned()).await, expected);
        assert_eq!(sent(&server, &method).await, expected);
        assert_eq!(sent(&server, method).await, expected);
    }
    let call = scripted().fetch(server.url("/"));
    in_time(call.send()).await.unwrap();
    assert_eq!(server.last().line, "GET /");
}

#[tokio::test]
async fn any_other_method_is_an_error_before_any_packet() {
    let server = Server::tls(empty).await;
    let call = |service: &UrlFetchService| service.fetch(server.url("/"));
    let service = scripted();
    for call in [
        call(&service).method(0),
        call(&service).method(7),
        call(&service).method(-1),
        call(&service).method("OPTIONS"),
        call(&service).method("trace"),
        call(&service).method(""),
        call(&service).method("GET "),
        call(&service).method(Method::CONNECT),
    ] {
        let shown = format!("{call:?}");
        let error = call.await.unwrap_err();
        assert_eq!(error.exception(), Exception::InvalidMethodError, "{shown}");
        assert!(error.to_string().contains("none of GET, POST, HEAD, PUT"));
        assert!(!error.cause().request_was_sent());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_payload_is_text_or_bytes() {
    let server = Server::tls(empty).await;
    let service = scripted();
    let call = |method| service.fetch(server.url("/")).method(method);
    for (call, expected) in [
        (call(POST).payload("caf\u{e9}"), &b"caf\xc3\xa9"[..]),
        (call(PUT).payload(String::from("caf\u{e9}")), b"caf\xc3\xa9"),
        (call(PATCH).payload(b"\x00\xff".to_vec()), b"\x00\xff"),
        (call(POST).payload(&b"\x00\xff"[..]), b"\x00\xff"),
        (
            call(PUT).payload(Bytes::from_static(b"\x00\xff")),
            b"\x00\xff",
        ),
        (call(POST).payload("first").payload("last"), b"last"),
    ] {
        in_time(call.send()).await.unwrap();
        let received = server.last();
        assert_eq!(received.payload, expected, "{received:?}");
        let length = expected.len().to_string();
        assert_eq!(received.header("content-length"), length);
    }
    // An empty one is none, which a POST says.
    for call in [call(POST), call(POST).payload("")] {
        in_time(call.send()).await.unwrap();
        let received = server.last();
        assert_eq!(received.header("content-length"), "0");
        assert!(!received.has("content-type"), "{received:?}");
    }
}

#[tokio::test]
async fn a_payload_is_dropped_or_a_form_as_the_method_has_it() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let server = Server::tls(empty).await;
    for (method, content_type, arrives, expected) in [
        (GET, None, false, ""),
        (HEAD, None, false, ""),
        (DELETE, None, false, ""),
        (POST, None, true, FORM),
        (PUT, None, true, ""),
        (PATCH, None, true, ""),
        (POST, Some("text/plain"), true, "text/plain"),
        (PUT, Some("text/plain"), true, "text/plain"),
    ] {
        let call = scripted().fetch(server.url("/")).method(method);
        let headers = content_type.map(|content_type| ("content-Type", content_type));
        in_time(call.payload("a=b").headers(headers).send())
            .await
            .unwrap();
        let received = server.last();
        let payload = if arrives { &b"a=b"[..] } else { b"" };
        assert_eq!(received.payload, payload, "{received:?}");
        assert_eq!(received.header("content-type"), expected, "{received:?}");
    }
}

/// User-Agent is the app's, or ours; the service's identifier is not put behind it.
#[tokio::test]
async fn what_the_service_sets_itself_is_dropped_and_all_else_goes() {
    let server = Server::tls(empty).await;
    let call = scripted().fetch(server.url("/")).method(PUT).payload("abc");
    let call = call.headers([
        ("content-LENGTH", "7"),
        ("Host", "other.test"),
        ("Vary", "x"),
        ("Via", "x"),
        ("X-Appengine-Inbound-Appid", "x"),
        ("X-Forwarded-For", "x"),
        ("X-ProxyUser-IP", "x"),
        ("User-Agent", "app/1"),
        ("X-Appengine-Other", "kept"),
    ]);
    in_time(call.send()).await.unwrap();
    let received = server.last();
    assert_eq!(received.payload, b"abc");
    let host = format!("script.test:{}", server.addr.port());
    for (name, expected) in [
        ("content-length", "3"),
        ("host", &host),
        ("vary", ""),
        ("via", ""),
        ("x-appengine-inbound-appid", ""),
        ("x-forwarded-for", ""),
        ("x-proxyuser-ip", ""),
        ("user-agent", "app/1"),
        ("x-appengine-other", "kept"),
    ] {
        assert_eq!(received.header(name), expected, "{name}: {received:?}");
    }
}

/// The original had no certificate to show, and let one that was set go unheard.
#[tokio::test]
async fn a_service_has_the_identity_of_its_client() {
    let lab = Lab::start().await.unwrap();
    let url = lab.url(Scenario::ClientCertificateRequired);
    let error = service_of(&lab).fetch(&url).await.unwrap_err();
    assert!(error.is_ssl_certificate_error(), "{error}");
    let (certificate, key) = lab.client_identity_pem();
    let identity = Identity::from_pem(certificate, key).unwrap();
    let service = service(lab.client_builder().unwrap().identity(identity));
    assert_eq!(service.fetch(&url).await.unwrap().status_code(), 200);
}

#[tokio::test]
async fn headers_are_a_mapping_whose_values_are_made_strings() {
    let server = Server::tls(empty).await;
    let call = scripted()
        .fetch(server.url("/"))
        .headers([("X-N", 7)])
        .headers([("X-Float", 0.5)])
        .headers([("X-Text", "a"), ("x-text", "b"), ("X-TEXT", "c")])
        .headers(vec![(String::from("X-Owned"), String::from("d, e"))])
        .headers(std::collections::BTreeMap::from([("X-Map", true)]))
        .headers([("X-N", 8)]);
    in_time(call.send()).await.unwrap();
    let received = server.last();
    for (name, value) in [
        ("x-n", "8"),
        ("x-float", "0.5"),
        ("x-text", "c"),
        ("x-owned", "d, e"),
        ("x-map", "true"),
    ] {
        assert_eq!(received.header(name), value, "{received:?}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_an_error_without_its_value() {
    let server = Server::tls(empty).await;
    for (name, value) in [
        ("X-Evil", "secret\r\nX-Injected: 1"),
        ("X-Evil", "secret\n"),
        ("X-Evil", "secret\0"),
        ("X Evil", "secret"),
        ("X-Evil:", "secret"),
        ("", "secret"),
        ("Transfer-Encoding", "secret"),
        ("Proxy-Authorization", "secret"),
    ] {
        let call = scripted().fetch(server.url("/")).headers([(name, value)]);
        let shown = format!("{call:?}");
        let error = call.await.unwrap_err();
        assert_eq!(error.exception(), Exception::DownloadError, "{name:?}");
        assert_eq!(error.cause().kind(), ErrorKind::InvalidRequest, "{name:?}");
        for shown in [shown, format!("{error}"), format!("{error:?}")] {
            assert!(!shown.contains("secret"), "{name:?}: {shown}");
        }
    }
    assert_eq!(server.connections(), 0);
}

/// The map that holds them would panic where it is full.
#[tokio::test]
async fn more_headers_than_a_request_can_hold_are_an_error() {
    let headers = |count: u32| (0..count).map(|n| (format!("x-{n}"), n));
    let call = scripted().fetch("http://script.test/");
    let call = call.headers(headers(20_000)).headers(headers(20_000));
    let error = call.headers(headers(30_000)).await.unwrap_err();
    assert_eq!(error.exception(), Exception::DownloadError);
    assert_eq!(error.cause().kind(), ErrorKind::InvalidRequest);
    assert_eq!(
        error.to_string(),
        "DownloadError: there are more headers than the 24000 that a request can have \
         (http://script.test/)"
    );
}

#[tokio::test]
async fn a_url_is_text_or_a_url() {
    let server = Server::tls(empty).await;
    let text = server.url("/a?b=c#d");
    let url: urlfetch::Url = text.parse().unwrap();
    let service = scripted();
    for call in [
        service.fetch(text.as_str()),
        service.fetch(&text),
        service.fetch(text.clone()),
        service.fetch(&url),
        service.fetch(url.clone()),
        service.fetch(text.parse::<http::Uri>().unwrap()),
    ] {
        let result = in_time(call.send()).await.unwrap();
        assert_eq!(server.last().line, "GET /a?b=c");
        assert_eq!(result.final_url(), None);
    }
}

#[tokio::test]
async fn a_call_that_is_not_awaited_is_not_made() {
    let server = Server::tls(empty).await;
    let call = scripted().fetch(server.url("/?secret")).payload("secret");
    let call = call.headers([("Authorization", "secret")]);
    let shown = format!("{call:?}");
    assert!(shown.contains("script.test") && !shown.contains("secret"));
    drop(call);
    let rpc = create_rpc(10);
    drop(rpc);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_first_mistake_is_the_result() {
    let service = scripted();
    for (call, expected) in [
        (
            service.fetch("https://").method("OPTIONS"),
            Exception::InvalidUrlError,
        ),
        (
            service
                .fetch("https://a.test")
                .method("OPTIONS")
                .deadline(-1),
            Exception::InvalidMethodError,
        ),
        (
            service
                .fetch("https://a.test")
                .deadline(-1)
                .method("OPTIONS"),
            Exception::DownloadError,
        ),
    ] {
        let shown = format!("{call:?}");
        assert_eq!(call.await.unwrap_err().exception(), expected, "{shown}");
    }
}

/// In the original it was the thread's, and looked at when a call was prepared.
#[tokio::test]
async fn the_default_deadline_is_that_of_the_part_of_a_task_that_prepares_the_call() {
    let server = Server::tls(empty).await;
    let service = scripted();
    let url = server.url("/");
    assert_eq!(get_default_fetch_deadline(), None);
    set_default_fetch_deadline(0, async {
        let call = service.fetch(&url);
        let error = call.await.unwrap_err();
        assert_eq!(error.exception(), Exception::DeadlineExceededError);
        // A call's own goes before it.
        in_time(service.fetch(&url).deadline(10).send())
            .await
            .unwrap();
    })
    .await;
    let prepared = set_default_fetch_deadline(0, async { service.fetch(&url) }).await;
    let error = prepared.await.unwrap_err();
    assert_eq!(error.exception(), Exception::DeadlineExceededError);
    in_time(service.fetch(&url).send()).await.unwrap();
}

fn empty(_: &Received) -> (Vec<u8>, Then) {
    (reply("200 OK", "", ""), Then::Stay)
}
