//! Proxies that speak HTTP in clear.

use std::net::TcpListener;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use urlfetch::http::Version;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{AddressGuard, ErrorKind, Phase};

use super::server::{Manner, Proxy};
use super::{PROXY, assert_proxys, builder, echo, in_time, port, through};

pub(crate) const OK: Manner = Manner::Tunnel("HTTP/1.1 200 Connection established\r\n\r\n");

#[tokio::test]
async fn the_proxy_is_told_where_to_and_the_origin_nothing_of_the_proxy() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        for scenario in [Scenario::GoodHttp1, Scenario::Good, Scenario::PlainHttp] {
            let proxy = Proxy::http(OK).await;
            let url = format!("http://us%65r:hunter%32@{PROXY}:{}", proxy.addr.port());
            let client = builder(&lab).proxy(url).build().unwrap();
            let scheme = match scenario {
                Scenario::PlainHttp => "http",
                _ => "https",
            };
            let at = format!("{}:{}", scenario.host(), port(&lab, scenario));
            let fetch = client.fetch(format!("{scheme}://{at}/echo"));
            let response = fetch.header("x-secret", "hers").await.unwrap();
            assert_eq!(response.remote_addr(), proxy.addr);
            assert_eq!(response.verdict().is_some(), scheme == "https");
            if let Some(verdict) = response.verdict() {
                assert_eq!(verdict.host(), scenario.host());
            }
            let received = response.text().await.unwrap();
            assert!(received.contains("x-secret: hers"), "{received}");
            let lower = received.to_ascii_lowercase();
            for word in ["proxy", "basic", "user:", "hunter2", "dxnlcjpo"] {
                assert!(!lower.contains(word), "{word} in {received}");
            }
            // All that it was told, to the byte: `printf user:hunter2 | base64`.
            let told = format!(
                "CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\
                 Proxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n\r\n"
            );
            assert_eq!(proxy.seen().told, [told], "{scenario}");
            assert!(!format!("{client:?}").contains("hunter2"));
        }
    })
    .await;
}

#[tokio::test]
async fn one_tunnel_serves_many_fetches_over_either_http() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        for (scenario, version) in [
            (Scenario::Good, Version::HTTP_2),
            (Scenario::GoodHttp1, Version::HTTP_11),
        ] {
            let proxy = Proxy::http(OK).await;
            let client = through(&lab, "http", &proxy);
            for _ in 0..3 {
                let response = client.fetch(lab.url(scenario)).await.unwrap();
                assert_eq!(response.version(), version);
                response.bytes().await.unwrap();
            }
            assert_eq!(proxy.seen().told.len(), 1, "{scenario}");
            assert_eq!(lab.connections(scenario), 1, "{scenario}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_has_no_part_in_the_tunnels_of_another() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let (one, other) = (Proxy::http(OK).await, Proxy::http(OK).await);
        let direct = lab.client().unwrap();
        for client in [
            through(&lab, "http", &one),
            through(&lab, "http", &other),
            direct,
        ] {
            echo(&client, &lab, Scenario::Good).await;
        }
        assert_eq!((one.seen().connections, other.seen().connections), (1, 1));
        assert_eq!(lab.connections(Scenario::Good), 3);
    })
    .await;
}

#[tokio::test]
async fn addresses_go_as_they_stand_in_a_url() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(OK).await;
        let client = through(&lab, "http", &proxy);
        echo(&client, &lab, Scenario::GoodByIp).await;
        let port = port(&lab, Scenario::GoodByIp);
        // The certificate there is not for this address, and the tunnel leads there all the same.
        let error = client
            .fetch(format!("https://[::1]:{port}/"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch", "{error}");
        let told = ["127.0.0.1", "[::1]"]
            .map(|host| format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"));
        assert_eq!(proxy.seen().told, told);
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_come_in_pieces_with_fields_and_after_interim_ones() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
            // RFC 9110 §9.3.6: not to be looked at.
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 x\r\n\r\n",
        ] {
            let proxy = Proxy::http(Manner::Drip(answer)).await;
            let client = through(&lab, "http", &proxy);
            echo(&client, &lab, Scenario::GoodHttp1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_tunnel_is_the_proxys_fault_and_nothing_is_sent() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let say = |text: &str| Manner::Say(text.into());
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
        for (manner, without, with) in [
            (
                say("HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\ncontent-length: 1\r\n\r\nx"),
                "wants a user name and a password",
                "does not take the user name and password",
            ),
            (
                say("HTTP/1.1 403 Filtered\r\n\r\n"),
                "refused a tunnel to good-http1.lab.test",
                ": 403 \"Filtered\"",
            ),
            (
                // tinyproxy's answer to a wrong password.
                say("HTTP/1.1 401 No\r\n\r\n"),
                "401 \"No\"",
                "does not take the user name and password",
            ),
            (
                say("HTTP/1.1 302 Go\r\nlocation: https://proxy.test/login\r\n\r\n"),
                "refused a tunnel",
                "302 \"Go\"",
            ),
            (
                say("HTTP/1.1 504 \x1b[31m\r\n\r\n"),
                "no proper answer",
                "no proper answer",
            ),
            (
                say("HTTP/1.1 101 Sw\r\nupgrade: x\r\n\r\n"),
                "that nobody asked for",
                "proper",
            ),
            (
                say("HTTP/1.1 200 OK\r\n\r\n\x16\x03"),
                "bytes follow the head",
                "no proper answer",
            ),
            (
                say("SSH-2.0-OpenSSH_9.2\r\n"),
                "it is not HTTP/1.1",
                "no proper answer",
            ),
            (
                say("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
                "it is not HTTP/1.1",
                "proper",
            ),
            (say(&many), "more than 100 fields", "no proper answer"),
            (say(&interim), "more than 8 interim", "no proper answer"),
            (say(""), "closed the connection", "closed the connection"),
            (
                say("HTTP/1.1 200 OK\r\n"),
                "closed the connection",
                "closed the connection",
            ),
            (
                Manner::Repeat("HTTP/1.1 100 x\r\n\r\n"),
                "more than 8 interim",
                "proper",
            ),
        ] {
            let proxy = Proxy::http(manner).await;
            let at = format!("{PROXY}:{}", proxy.addr.port());
            let origin = format!("good-http1.lab.test:{}", port(&lab, Scenario::GoodHttp1));
            for (credentials, part) in [("", without), ("user:hunter2@", with)] {
                let url = format!("http://{credentials}{at}");
                let client = builder(&lab).proxy(url).build().unwrap();
                let error = client
                    .fetch(lab.url(Scenario::GoodHttp1))
                    .await
                    .unwrap_err();
                assert_proxys(&error, &at, &origin, part);
                assert_eq!(error.phase(), Some(Phase::Connect));
                assert!(error.verdict().is_none());
            }
        }
        assert_eq!(lab.connections(Scenario::GoodHttp1), 0);
    })
    .await;
}

/// Fields without end, or one without: the first is over its number, the second over its size.
#[tokio::test]
async fn a_head_without_end_is_read_no_further_than_its_limit() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        for (begin, part) in [
            ("HTTP/1.1 200 OK\r\nfield: x", "larger than 16 KiB"),
            ("HTTP/1.1 200 ", "larger than 16 KiB"),
        ] {
            let endless = format!("{begin}{}", "x".repeat(1 << 20));
            let proxy = Proxy::http(Manner::Say(endless.into())).await;
            let client = through(&lab, "http", &proxy);
            let error = client
                .fetch(lab.url(Scenario::GoodHttp1))
                .await
                .unwrap_err();
            assert_proxys(&error, PROXY, "good-http1.lab.test", part);
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_the_connect_timeouts_to_end() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(Manner::Hold).await;
        let url = format!("http://user:hunter2@{PROXY}:{}", proxy.addr.port());
        let timeout = Duration::from_millis(300);
        let client = builder(&lab).proxy(url).connect_timeout(timeout);
        let client = client.build().unwrap();
        let error = client.fetch(lab.url(Scenario::Good)).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{text}");
        assert_eq!(error.phase(), Some(Phase::Connect), "{text}");
        assert!(text.contains("the connect timeout of 300ms"), "{text}");
        let by = format!("by the proxy {PROXY}:{}", proxy.addr.port());
        assert!(text.contains(&by), "{text}");
        assert!(
            !error.request_was_sent() && !text.contains("hunter2"),
            "{text}"
        );
        // And a deadline's of its own, which ends sooner.
        let deadline = Duration::from_millis(200);
        let (fetch, connect) = (
            client.fetch(lab.url(Scenario::Good)).deadline(deadline),
            client.connect("good.lab.test", 443).deadline(deadline),
        );
        for error in [fetch.await.unwrap_err(), connect.await.unwrap_err()] {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Deadline, "{text}");
            assert_eq!(error.phase(), Some(Phase::Connect), "{text}");
            assert!(text.contains("the deadline of 200ms"), "{text}");
            assert!(text.contains(&by), "{text}");
            assert!(error.timings().connect().is_some(), "{text}");
            assert!(error.timings().first_byte().is_none(), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_no_missing_origin() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        // It is closed again at the end of the line.
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let origin = format!("good.lab.test:{}", port(&lab, Scenario::Good));
        for (at, phase, part) in [
            (gone.to_string(), Phase::Connect, "refused"),
            (
                String::from("proxy.invalid:3128"),
                Phase::Dns,
                "gave no address",
            ),
        ] {
            for scheme in ["http", "https", "socks5h"] {
                let client = builder(&lab).proxy(format!("{scheme}://u:hunter2@{at}"));
                let client = client.build().unwrap();
                let error = client.fetch(lab.url(Scenario::Good)).await.unwrap_err();
                assert_proxys(&error, &at, &origin, part);
                assert_eq!(error.phase(), Some(phase), "{error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn it_is_the_origin_that_has_to_prove_itself() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(OK).await;
        for (scenario, code) in [
            (Scenario::WrongHost, "hostname-mismatch"),
            (Scenario::Expired, "expired"),
            (Scenario::SelfSigned, "self-signed"),
        ] {
            let client = through(&lab, "http", &proxy);
            let error = client.fetch(lab.url(scenario)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
            assert_eq!(error.code(), code, "{error}");
            assert_eq!(error.verdict().unwrap().host(), scenario.host());
            assert!(!error.request_was_sent(), "{error}");
            // Whoever was refused is not at the proxy's address.
            assert!(
                !error.to_string().contains(&proxy.addr.to_string()),
                "{error}"
            );
            drop(client);
            lab.settled(scenario).await;
            assert_eq!(lab.connections(scenario), 1);
            assert_eq!(lab.received(scenario), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_redirect_goes_through_the_proxy_too() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(OK).await;
        let client = through(&lab, "http", &proxy);
        let fetch = client.fetch(lab.url(Scenario::RedirectCrossOrigin));
        let response = fetch.header("authorization", "Bearer hers").await.unwrap();
        assert_eq!(response.hops().len(), 1);
        assert!(!response.text().await.unwrap().contains("hers"));
        let told = proxy.seen().told;
        let lines: Vec<_> = told
            .iter()
            .map(|head| head.lines().next().unwrap())
            .collect();
        let line = |scenario: Scenario| {
            format!(
                "CONNECT {}:{} HTTP/1.1",
                scenario.host(),
                port(&lab, scenario)
            )
        };
        assert_eq!(
            lines,
            [line(Scenario::RedirectCrossOrigin), line(Scenario::Good)]
        );
    })
    .await;
}

/// What is counted is the tunnels to a host, and not the connections to the proxy.
#[tokio::test]
async fn a_maximum_of_connections_is_each_hosts_own() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(OK).await;
        let url = format!("http://{PROXY}:{}", proxy.addr.port());
        let client = builder(&lab)
            .proxy(url)
            .pool_max_connections_per_host(1)
            // Behind a proxy hosts count as public, and one of these is not.
            .address_guard(AddressGuard::default().allow("127.0.0.1"));
        let client = client.deadline(Duration::from_secs(30)).build().unwrap();
        // From host to host, and back to the one that sent us.
        let (one, other) = (Scenario::GoodHttp1, Scenario::GoodByIp);
        let sent = |from, to: &str| lab.url_to(from, &format!("/status/302?location={to}"));
        for to in [
            sent(one, &lab.url(one)),
            sent(one, &sent(other, &lab.url(one)).replace('?', "%3F")),
        ] {
            let fetches: Vec<_> = (0..4)
                .map(|_| {
                    let fetch = client.fetch(to.as_str());
                    tokio::spawn(async { fetch.await.unwrap().content().await.unwrap() })
                })
                .collect();
            let mut waited = 0;
            for fetch in fetches {
                let content = fetch.await.unwrap();
                assert_eq!(content.bytes, "Hello from the urlfetch lab: good-http1.\n");
                waited += usize::from(content.timings.queued().is_some());
            }
            // All but the one who was first.
            assert!(waited >= 3, "{waited}");
        }
        assert_eq!(client.pool_stats().now.dialling, 0);
        assert_eq!((lab.connections(one), lab.connections(other)), (1, 1));
        assert_eq!(proxy.seen().connections, 2);
    })
    .await;
}

#[tokio::test]
async fn streams_for_other_protocols_go_through_the_proxy() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(OK).await;
        let client = through(&lab, "http", &proxy);
        let (host, port) = ("good-http1.lab.test", port(&lab, Scenario::GoodHttp1));
        let mut stream = client.connect(host, port).await.unwrap();
        assert!(stream.verdict().is_verified());
        let tcp = stream.get_ref().unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), proxy.addr);
        let request = format!("GET /echo HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");

        let wrong = Scenario::WrongHost;
        let wrong = client.connect(wrong.host(), super::port(&lab, wrong)).await;
        assert_eq!(wrong.unwrap_err().code(), "hostname-mismatch");
        assert_eq!(proxy.seen().told.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_password_for_the_proxy_is_no_header_of_a_request() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::http(OK).await;
        let client = through(&lab, "http", &proxy);
        let fetch = client.fetch(lab.url(Scenario::Good));
        let error = fetch.header("proxy-authorization", "Basic hunter2").await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(proxy.seen().connections, 0);
    })
    .await;
}
