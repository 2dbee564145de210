//! Which proxy, by the environment and by the builder. Each test of the environment is in a process
//! of its own; the variables name a host that the client is told where to find.

use urlfetch::lab::{Lab, Scenario};
use urlfetch::{ClientBuilder, ErrorKind};

use super::child::alone;
use super::http::OK;
use super::server::Proxy;
use super::{PROXY, builder, in_time, port};

type Variables = &'static [(&'static str, &'static str)];

/// Who is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The proxy of the environment.
    Proxy,
    /// The proxy of the builder.
    Ours,
    Nobody,
}

/// A fetch of https and one of http, under these variables and by a client made so.
fn goes(test: &str, variables: Variables, make: fn(ClientBuilder) -> ClientBuilder, by: [By; 2]) {
    let test = format!("way::{test}");
    alone(&test, variables.iter().copied(), async || {
        in_time(async {
            let lab = Lab::start().await.unwrap();
            let (environments, ours) = (Proxy::http(OK).await, Proxy::http(OK).await);
            let hosts = lab.hosts();
            // Without a proxy the lab is found too.
            let builder = hosts.fold(builder(&lab), |builder, (host, addr)| {
                builder.resolve(host, [addr])
            });
            let builder = builder
                .resolve("environment.test", [environments.addr])
                .resolve("ours.test", [ours.addr]);
            let client = make(builder).build().unwrap();
            for (scheme, scenario, by) in [
                ("https", Scenario::Good, by[0]),
                ("http", Scenario::PlainHttp, by[1]),
            ] {
                let before = (environments.seen().connections, ours.seen().connections);
                let url = format!("{scheme}://{}:{}/", scenario.host(), port(&lab, scenario));
                client.fetch(url).await.unwrap().bytes().await.unwrap();
                let after = (environments.seen().connections, ours.seen().connections);
                let found = match (after.0 - before.0, after.1 - before.1) {
                    (0, 0) => By::Nobody,
                    (1, 0) => By::Proxy,
                    (0, 1) => By::Ours,
                    other => panic!("{other:?}"),
                };
                assert_eq!(found, by, "{scheme}");
            }
        })
        .await;
    });
}

fn as_it_is(builder: ClientBuilder) -> ClientBuilder {
    builder
}

macro_rules! goes {
    ($($test:ident: $variables:expr, $make:expr => $https:ident $http:ident;)+) => {$(
        #[test]
        fn $test() {
            goes(stringify!($test), &$variables, $make, [By::$https, By::$http]);
        }
    )+};
}

const E: &str = "http://environment.test:3128";

goes! {
    nothing_is_set: [], as_it_is => Nobody Nobody;
    https_in_capitals: [("HTTPS_PROXY", E)], as_it_is => Proxy Nobody;
    https_in_small: [("https_proxy", E)], as_it_is => Proxy Nobody;
    http_in_capitals: [("HTTP_PROXY", E)], as_it_is => Nobody Proxy;
    http_in_small: [("http_proxy", E)], as_it_is => Nobody Proxy;
    all_in_capitals: [("ALL_PROXY", E)], as_it_is => Proxy Proxy;
    all_in_small: [("all_proxy", E)], as_it_is => Proxy Proxy;
    empty_counts_as_unset: [("HTTPS_PROXY", ""), ("ALL_PROXY", "")], as_it_is => Nobody Nobody;
    no_scheme_is_http: [("ALL_PROXY", "environment.test:1")], as_it_is => Proxy Proxy;
    cgi: [("HTTP_PROXY", E), ("HTTPS_PROXY", E), ("REQUEST_METHOD", "GET")], as_it_is => Proxy Nobody;
    no_proxy_in_capitals: [("ALL_PROXY", E), ("NO_PROXY", "good.lab.test")], as_it_is => Nobody Proxy;
    no_proxy_in_small: [("ALL_PROXY", E), ("no_proxy", ".lab.test")], as_it_is => Nobody Nobody;
    no_proxy_for_all: [("ALL_PROXY", E), ("NO_PROXY", "*")], as_it_is => Nobody Nobody;
    no_proxy_for_addresses: [("ALL_PROXY", E), ("NO_PROXY", "127.0.0.0/8")], as_it_is => Proxy Proxy;
    said_none: [("ALL_PROXY", E)], ClientBuilder::no_proxy => Nobody Nobody;
    said_ours: [("ALL_PROXY", E), ("NO_PROXY", "*")], |b| b.proxy("ours.test") => Ours Ours;
    said_ours_but_for_one: [("ALL_PROXY", E)],
        |b| b.proxy("ours.test").proxy_bypass("good.lab.test") => Nobody Ours;
    said_whom_the_environments_is_not_for: [("ALL_PROXY", E), ("NO_PROXY", "*")],
        |b| b.proxy_bypass("plain-http.lab.test") => Proxy Nobody;
    said_ours_last: [], |b| b.no_proxy().proxy("ours.test") => Ours Ours;
    said_none_last: [], |b| b.proxy("ours.test").no_proxy() => Nobody Nobody;
}

/// No word of a refused URL is shown, and nobody is reached without it.
#[test]
fn what_cannot_be_read_is_never_the_direct_way() {
    let variables = [("HTTPS_PROXY", "socks4://user:hunter2@environment.test")];
    alone(
        "way::what_cannot_be_read_is_never_the_direct_way",
        variables,
        async || {
            let lab = Lab::start().await.unwrap();
            let error = builder(&lab).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            let text = format!("{error} {error:?}");
            assert!(
                text.contains("HTTPS_PROXY cannot be used: SOCKS before version 5"),
                "{text}"
            );
            assert!(
                !text.contains("hunter2") && !text.contains("environment.test"),
                "{text}"
            );
            // The client of the whole process, too.
            let error = urlfetch::fetch(lab.url(Scenario::GoodByIp))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(urlfetch::Client::new().is_err());
            builder(&lab).no_proxy().build().unwrap();
            assert_eq!(lab.connections(Scenario::GoodByIp), 0);
        },
    );
}

#[test]
fn the_client_of_the_process_goes_through_the_environments_proxy() {
    // Port 9 is for who discards what comes (RFC 863), and nobody listens there.
    let variables = [("all_proxy", "socks5h://user:hunter2@127.0.0.1:9")];
    let test = "way::the_client_of_the_process_goes_through_the_environments_proxy";
    alone(test, variables, async || {
        let lab = Lab::start().await.unwrap();
        let error = urlfetch::fetch(lab.url(Scenario::GoodByIp))
            .await
            .unwrap_err();
        super::assert_proxys(&error, "127.0.0.1:9", "127.0.0.1", "the proxy");
        assert_eq!(lab.connections(Scenario::GoodByIp), 0);
    });
}

#[tokio::test]
async fn a_builder_says_what_is_wrong_with_its_proxy_and_shows_none_of_it() {
    let lab = Lab::start().await.unwrap();
    for (url, part) in [
        ("socks4://user:hunter2@ours.test", "SOCKS before version 5"),
        ("ftp://user:hunter2@ours.test", "its scheme is ftp"),
        ("http://user:hunter2@ours.test:x", "cannot be read"),
        ("http://user:hunter2/x@ours.test", "cannot be read"),
        ("", "cannot be read"),
    ] {
        let builder = builder(&lab).proxy(url);
        assert!(!format!("{builder:?}").contains("hunter2"));
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("the proxy of ClientBuilder::proxy cannot be used"),
            "{text}"
        );
        assert!(text.contains(part), "{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("ours.test"),
            "{text}"
        );
    }
    let good = builder(&lab).proxy(format!("http://user:hunter2@{PROXY}"));
    assert!(!format!("{good:?}").contains("hunter2"));
}
