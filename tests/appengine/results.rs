//! What comes back: content, status, headers and what else a result tells, over both protocols.

use bytes::Bytes;
use tracing::Level;
use urlfetch::Limits;
use urlfetch::appengine::{FetchResult, HEAD, UrlFetchService};
use urlfetch::lab::{Lab, Scenario};

use crate::log::Log;
use crate::script::{self, Received, Server, Then, in_time, reply};
use crate::{go, scripted, service_of};

/// A status, header lines and a body, which both protocols can say.
type Answer = (u16, &'static [(&'static str, &'static str)], &'static str);

/// A server of each protocol that answers thus.
async fn both((status, headers, body): Answer) -> [Server; 2] {
    let http1 = Server::tls(move |request| {
        let lines = headers.iter();
        let lines: String = lines
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let mut answer = reply(&format!("{status} Said"), &lines, body);
        if request.line.starts_with("HEAD ") {
            answer.truncate(answer.len() - body.len());
        }
        (answer, Then::Stay)
    });
    let http2 = Server::h2(move |request: Received, mut respond| async move {
        let mut head = http::Response::builder().status(status);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        let has_no_body = body.is_empty() || request.line.starts_with("HEAD ");
        let sent = respond.send_response(head.body(()).unwrap(), has_no_body);
        if let (Ok(mut stream), false) = (sent, has_no_body) {
            let _ = stream.send_data(Bytes::from_static(body.as_bytes()), true);
        }
    });
    [http1.await, http2.await]
}

async fn fetched(server: &Server) -> FetchResult {
    in_time(scripted().fetch(server.url("/")).send())
        .await
        .unwrap()
}

/// 599 was the last that the stub knew; 600 was "unknown", and no result at all.
#[tokio::test]
async fn no_status_is_an_error() {
    for status in [
        200, 201, 203, 204, 206, 300, 304, 305, 306, 308, 400, 401, 404, 407, 418, 429, 451, 500,
        503, 599, 600, 999,
    ] {
        for server in both((status, &[], "")).await {
            assert_eq!(fetched(&server).await.status_code(), status);
        }
    }
}

#[tokio::test]
async fn content_is_the_bytes_as_they_were_sent() {
    for server in both((200, &[], "a\0b\r\n")).await {
        let result = fetched(&server).await;
        assert_eq!(result.content(), "a\0b\r\n");
        assert!(!result.content_was_truncated());
        let head = scripted().fetch(server.url("/")).method(HEAD);
        assert_eq!(in_time(head.send()).await.unwrap().content(), "");
    }
    for status in [200, 204, 304, 404] {
        for server in both((status, &[], "")).await {
            assert_eq!(fetched(&server).await.content(), "");
        }
    }
}

#[cfg(feature = "charset")]
#[tokio::test]
async fn text_is_in_the_charset_that_is_named_or_utf8() {
    let plain: Answer = (200, &[], "caf\u{e9}");
    let latin: Answer = (
        200,
        &[("content-type", "text/plain; charset=ISO-8859-1")],
        "caf\u{e9}",
    );
    for (answer, expected) in [(plain, "caf\u{e9}"), (latin, "caf\u{c3}\u{a9}")] {
        for server in both(answer).await {
            let result = fetched(&server).await;
            assert_eq!(result.text(), expected);
            // It is not spent by that.
            assert_eq!(result.text(), expected);
            assert_eq!(result.content(), "caf\u{e9}");
        }
    }
}

#[tokio::test]
async fn headers_are_of_any_case_folded_and_one_by_one() {
    const HEADERS: &[(&str, &str)] = &[
        ("content-type", "text/html"),
        ("vary", "accept"),
        ("x-one", "1"),
        ("vary", "origin, cookie"),
        ("x-empty", ""),
    ];
    for server in both((200, HEADERS, "")).await {
        let result = fetched(&server).await;
        let headers = result.headers();
        for name in ["Content-Type", "content-type", "CONTENT-TYPE"] {
            assert_eq!(headers.get(name).unwrap(), "text/html");
            assert!(headers.contains(name));
        }
        assert_eq!(headers.get("VARY").unwrap(), "accept, origin, cookie");
        assert_eq!(headers.getheaders("Vary"), ["accept", "origin, cookie"]);
        assert_eq!(headers.getheaders("X-One"), ["1"]);
        assert_eq!(headers.get("x-empty").unwrap(), "");
        assert_eq!(headers.get("x-absent"), None);
        assert!(headers.getheaders("x-absent").is_empty() && !headers.contains("x-absent"));
        let vary: Vec<_> = headers.uncombined().get_all("vary").iter().collect();
        assert_eq!(vary, ["accept", "origin, cookie"]);
        let folded = headers.iter().filter(|(name, _)| *name == "vary");
        let folded: Vec<_> = folded.map(|(_, value)| value.into_owned()).collect();
        assert_eq!(folded, ["accept, origin, cookie"]);
    }
}

/// Exactly as many bytes as the limit are none too many.
#[tokio::test]
async fn content_is_truncated_beyond_the_limit_and_only_where_that_is_allowed() {
    let limits = Limits::app_engine().max_response_size(5);
    let client = script::builder().limits(limits).build().unwrap();
    let service = UrlFetchService::new(client);
    for (body, content, was_truncated) in [
        ("", "", false),
        ("1234", "1234", false),
        ("12345", "12345", false),
        ("123456", "12345", true),
        ("123456789", "12345", true),
    ] {
        for server in both((404, &[("x-kept", "1")], body)).await {
            let allowed = service.fetch(server.url("/")).allow_truncated(true);
            let result = in_time(allowed.send()).await.unwrap();
            assert_eq!(result.content(), content);
            assert_eq!(result.content_was_truncated(), was_truncated, "{body}");

            let unsaid = in_time(service.fetch(server.url("/")).send()).await;
            let refused = service.fetch(server.url("/")).allow_truncated(false);
            for outcome in [unsaid, in_time(refused.send()).await] {
                if !was_truncated {
                    assert_eq!(outcome.unwrap().content(), content);
                    continue;
                }
                let error = outcome.unwrap_err();
                assert!(error.is_response_too_large_error() && !error.is_download_error());
                let reason = "ResponseTooLargeError: the body is larger than its limit of 5 bytes";
                assert!(error.to_string().starts_with(reason), "{error}");
                let response = error.response().unwrap();
                assert_eq!(response.content(), content);
                assert_eq!(response.status_code(), 404);
                assert_eq!(response.headers().get("X-Kept").unwrap(), "1");
                assert!(response.content_was_truncated());
                assert!(response.verdict().unwrap().is_verified());
            }
        }
    }
}

/// Its body was read as far as it is allowed to be truncated, which is not what became of it.
#[tokio::test]
async fn a_response_that_is_too_large_is_a_failure_in_the_log() {
    let limits = Limits::app_engine().max_response_size(5);
    let client = script::builder().limits(limits).build().unwrap();
    let service = UrlFetchService::new(client);
    let server = Server::tls(|_| (reply("200 OK", "", "123456"), Then::Stay)).await;
    for (allowed, failures) in [(true, 0), (false, 1)] {
        let (log, _guard) = Log::capture(Level::DEBUG);
        let call = service.fetch(server.url("/")).allow_truncated(allowed);
        assert_eq!(in_time(call.send()).await.is_ok(), allowed);
        let logged = log.ours();
        let failed = logged.iter().filter(|record| record.name == "body failed");
        let failed: Vec<_> = failed.map(|record| record.field("error.type")).collect();
        assert_eq!(failed, vec![Some("response-too-large"); failures]);
    }
}

/// 2^25 bytes: the documented limit, by its own profile.
#[tokio::test]
async fn thirty_two_mebibytes_pass_and_one_byte_more_does_not() {
    const MOST: usize = 33_554_432;
    let lab = Lab::start().await.unwrap();
    let service = service_of(&lab);
    let call = |bytes| {
        let path = format!("/bytes/{bytes}");
        service.fetch(lab.url_to(Scenario::GoodHttp1, &path)).send()
    };
    let result = in_time(call(MOST)).await.unwrap();
    assert_eq!(result.content().len(), MOST);
    assert!(!result.content_was_truncated());
    let error = in_time(call(MOST + 1)).await.unwrap_err();
    assert!(error.is_response_too_large_error());
    assert_eq!(error.response().unwrap().content().len(), MOST);
    // What a HEAD announces does not come.
    let path = format!("/bytes/{}", MOST + 1);
    let head = service.fetch(lab.url_to(Scenario::GoodHttp1, &path));
    let result = in_time(head.method(HEAD).send()).await.unwrap();
    assert_eq!(result.content(), "");
    assert!(!result.content_was_truncated());
    let announced = result.headers().get("content-length").unwrap().into_owned();
    assert_eq!(announced, (MOST + 1).to_string());
}

#[tokio::test]
async fn a_result_tells_who_answered_and_how_long_it_took() {
    for server in both((200, &[], "hello")).await {
        let result = fetched(&server).await;
        let verdict = result.verdict().unwrap();
        assert!(verdict.is_verified());
        assert_eq!(verdict.host(), script::HOST);
        assert_eq!(result.peer().unwrap().verdict().host(), script::HOST);
        assert!(!result.timings().total().is_zero());
    }
    let plain = Server::plain(go).await;
    let result = fetched(&plain).await;
    assert!(result.verdict().is_none() && result.peer().is_none());
}

#[tokio::test]
async fn a_result_is_shared_by_its_clones_and_shows_no_secret() {
    let server = Server::tls(|request| match request.path().contains("go?") {
        true => go(request),
        false => (
            reply("200 OK", "x-token: secret-value\r\n", "secret-content"),
            Then::Stay,
        ),
    })
    .await;
    let call = scripted().fetch(server.url("/go?/end?secret-query"));
    let result = in_time(call.send()).await.unwrap();
    let again = result.clone();
    assert_eq!(again.content().as_ptr(), result.content().as_ptr());
    assert_eq!(again.final_url().unwrap().query(), Some("secret-query"));
    let shown = format!("{result:?} {:?}", result.headers());
    assert!(
        shown.contains("200") && shown.contains("x-token"),
        "{shown}"
    );
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn results_can_go_to_other_tasks() {
    fn can_go<T: Clone + Send + Sync + 'static>() {}
    can_go::<FetchResult>();
    can_go::<urlfetch::appengine::Error>();
    can_go::<UrlFetchService>();
    let server = Server::tls(go).await;
    let call = scripted().fetch(server.url("/"));
    let spawned = tokio::spawn(call.send());
    assert_eq!(in_time(spawned).await.unwrap().unwrap().status_code(), 200);
}
