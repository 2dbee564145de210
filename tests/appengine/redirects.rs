//! Redirects: where they lead, what goes along, and what is not followed. The matrix of methods and
//! statuses is with the limits' own tests.

use urlfetch::ErrorKind;
use urlfetch::appengine::{Exception, FetchResult, POST};
use urlfetch::lab::{Lab, Scenario};

use crate::script::{HOST, Server, Then, in_time, reply};
use crate::{go, scripted, service_of};

async fn fetched(url: &str) -> FetchResult {
    in_time(scripted().fetch(url).send()).await.unwrap()
}

/// The original gave `Location` as it had come, and sent a relative one without its slash.
#[tokio::test]
async fn final_url_is_absolute() {
    let server = Server::tls(go).await;
    let port = server.addr.port();
    let base = format!("https://{HOST}:{port}");
    let elsewhere = format!("https://127.0.0.1:{port}/there?q=1");
    let same_host = format!("//{HOST}:{port}/x");
    for (location, expected, target) in [
        ("/end", format!("{base}/end"), "/end"),
        ("end", format!("{base}/a/b/end"), "/a/b/end"),
        ("../end", format!("{base}/a/end"), "/a/end"),
        ("/end%23f", format!("{base}/end#f"), "/end"),
        (&same_host, format!("{base}/x"), "/x"),
        (&elsewhere, elsewhere.clone(), "/there?q=1"),
    ] {
        let result = fetched(&format!("{base}/a/b/go?{location}")).await;
        assert_eq!(result.final_url().unwrap().as_str(), expected, "{location}");
        assert_eq!(server.last().path(), target, "{location}");
    }
}

#[tokio::test]
async fn without_a_redirect_there_is_no_final_url() {
    let server = Server::tls(|request| match request.path() {
        "/304" => (
            reply("304 Not Modified", "location: /end\r\n", ""),
            Then::Stay,
        ),
        "/300" => (reply("300 Choices", "location: /end\r\n", ""), Then::Stay),
        "/201" => (reply("201 Created", "location: /end\r\n", ""), Then::Stay),
        _ => go(request),
    })
    .await;
    for (path, status) in [
        ("/", 200),
        ("/#f", 200),
        ("/201", 201),
        ("/300", 300),
        ("/304", 304),
    ] {
        let result = fetched(&server.url(path)).await;
        assert_eq!(
            (result.status_code(), result.final_url()),
            (status, None),
            "{path}"
        );
    }
    // Not followed, it is a result, with or without a Location.
    let unfollowed = scripted()
        .fetch(server.url("/go?/end"))
        .follow_redirects(false);
    let result = in_time(unfollowed.send()).await.unwrap();
    assert_eq!((result.status_code(), result.final_url()), (302, None));
    assert_eq!(result.headers().get("location").unwrap(), "/end");
    let nowhere = Server::tls(|_| (reply("302 Found", "", "gone"), Then::Stay)).await;
    let unfollowed = scripted().fetch(nowhere.url("/")).follow_redirects(false);
    let result = in_time(unfollowed.send()).await.unwrap();
    assert_eq!(
        (result.status_code(), result.text().as_str()),
        (302, "gone")
    );
}

/// Another port is another origin (RFC 6454 §5), and so is another scheme.
#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let [here, there] = [Server::tls(go).await, Server::tls(go).await];
    let plain = Server::plain(go).await;
    let by_ip = format!("https://127.0.0.1:{}/end", here.addr.port());
    let away_and_back = there.url(&format!("/go?{}", here.url("/end")));
    for (case, from, location, last, kept) in [
        ("path", &here, "/end", &here, true),
        ("same origin by URL", &here, &here.url("/end"), &here, true),
        ("other port", &here, &there.url("/end"), &there, false),
        ("other host", &here, &by_ip, &here, false),
        ("other scheme", &plain, &here.url("/end"), &here, false),
        ("away and back", &here, &away_and_back, &here, false),
    ] {
        let call = scripted().fetch(from.url(&format!("/go?{location}")));
        let call = call.headers([
            ("Authorization", "Bearer token"),
            ("Cookie", "session=1"),
            ("X-Api-Key", "key"),
            ("Accept-Language", "de"),
        ]);
        let result = in_time(call.send()).await.unwrap();
        assert_eq!(result.status_code(), 200, "{case}");
        let received = last.last();
        assert_eq!(received.path(), "/end", "{case}");
        for name in ["authorization", "cookie", "x-api-key"] {
            assert_eq!(received.has(name), kept, "{case}: {received:?}");
        }
        assert_eq!(received.header("accept-language"), "de", "{case}");
    }
    // On the way away, nothing was there either.
    for request in there.requests() {
        assert!(
            !request.has("authorization") && !request.has("cookie"),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_to_what_may_not_be_fetched_is_an_invalid_url() {
    let lab = Lab::start().await.unwrap();
    let server = Server::tls(go).await;
    let long = Server::tls(|_| {
        let line = format!("location: /{}\r\n", "a".repeat(10_240));
        (reply("302 Found", &line, ""), Then::Stay)
    })
    .await;
    for (location, why) in [
        ("ftp://ftp.test/", "the scheme \"ftp\""),
        ("file:///etc/passwd", "the scheme \"file\""),
        ("https://script.test:22/", "port is 22"),
        ("https://script.test:0/", "port 0"),
        ("http://script.test/", "not encrypted"),
        ("https://user@script.test/", "user name"),
        ("", "limit of 10240 bytes"),
    ] {
        let server = if location.is_empty() { &long } else { &server };
        let before = server.requests().len();
        let call = scripted().fetch(server.url(&format!("/go?{location}")));
        let error = in_time(call.send()).await.unwrap_err();
        assert_eq!(server.requests().len(), before + 1, "{error}");
        assert_eq!(error.exception(), Exception::InvalidUrlError, "{error}");
        assert_eq!(error.cause().kind(), ErrorKind::RedirectRefused);
        let shown = error.to_string();
        assert!(
            shown.starts_with("InvalidURLError: the redirect leads "),
            "{shown}"
        );
        assert!(shown.contains(why), "{shown}");
    }
    let error = service_of(&lab).fetch(lab.url(Scenario::RedirectDowngrade));
    let error = error.await.unwrap_err();
    assert!(error.is_invalid_url_error(), "{error}");
    assert_eq!(lab.connections(Scenario::PlainHttp), 0);
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_a_malformed_reply() {
    for (lines, why) in [
        ("", "has no Location"),
        ("location: \r\n", "has no Location"),
        ("location: /a\r\nlocation: /b\r\n", "2 Location headers"),
        (
            "location: https://script.test:70000/\r\n",
            "invalid port number",
        ),
        ("location: https://\r\n", "empty host"),
        ("location: https:///script.test/\r\n", "empty host"),
        ("location: ///script.test/\r\n", "empty host"),
    ] {
        for method in ["GET", "POST"] {
            let server = Server::tls(move |_| (reply("302 Found", lines, ""), Then::Stay)).await;
            let call = scripted().fetch(server.url("/")).method(method);
            let error = in_time(call.send()).await.unwrap_err();
            assert_eq!(error.exception(), Exception::MalformedReplyError, "{error}");
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(server.requests().len(), 1);
        }
    }
}

/// Neither on the way nor for the next call.
#[tokio::test]
async fn no_cookie_is_kept() {
    let server = Server::tls(|request| {
        let (mut answer, then) = go(request);
        let at = answer.windows(2).position(|two| two == b"\r\n").unwrap();
        answer.splice(at..at, *b"\r\nset-cookie: session=1; Path=/");
        (answer, then)
    })
    .await;
    let service = scripted();
    for url in [server.url("/go?/end"), server.url("/again")] {
        let result = in_time(service.fetch(url).send()).await.unwrap();
        assert_eq!(
            result.headers().get("set-cookie").unwrap(),
            "session=1; Path=/"
        );
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(!request.has("cookie"), "{request:?}");
    }
}

/// What described the payload goes with it.
#[tokio::test]
async fn a_post_that_is_sent_on_as_a_get_leaves_its_payload_behind() {
    let server = Server::tls(go).await;
    let call = scripted().fetch(server.url("/go?/end")).method(POST);
    let call = call.payload("a=b").headers([("Cookie", "session=1")]);
    in_time(call.send()).await.unwrap();
    let [first, second] = server.requests().try_into().unwrap();
    assert_eq!(
        (first.line.as_str(), &first.payload[..]),
        ("POST /go?/end", &b"a=b"[..])
    );
    assert_eq!(
        (second.line.as_str(), &second.payload[..]),
        ("GET /end", &b""[..])
    );
    assert!(
        !second.has("content-type") && !second.has("content-length"),
        "{second:?}"
    );
    assert_eq!(second.header("cookie"), "session=1");
}
