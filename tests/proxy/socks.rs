//! Proxies that speak SOCKS 5. They answer byte by byte: each answer is put together from reads.

use std::net::SocketAddr;

use urlfetch::Phase;
use urlfetch::http::Version;
use urlfetch::lab::{Lab, Scenario};

use super::server::{Proxy, Socks};
use super::{PROXY, assert_proxys, builder, echo, in_time, port, through};

/// RFC 1928 §6: success, bound to 127.0.0.1:80.
const DONE: [u8; 10] = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
const WITHOUT: &str = "[05, 01, 00]";
const WITH: &str = "[05, 02, 00, 02]";

pub(crate) fn open() -> Socks {
    Socks {
        method: vec![5, 0],
        login: Vec::new(),
        replies: vec![DONE.to_vec()],
    }
}

fn guarded(status: u8) -> Socks {
    Socks {
        method: vec![5, 2],
        login: vec![1, status],
        ..open()
    }
}

fn replying(replies: &[&[u8]]) -> Socks {
    Socks {
        replies: replies.iter().map(|reply| reply.to_vec()).collect(),
        ..open()
    }
}

#[tokio::test]
async fn a_name_is_resolved_by_whom_the_scheme_says() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let here = |addr: &str, port: u16| {
            let addr = SocketAddr::new(addr.parse().unwrap(), port);
            move |builder: urlfetch::ClientBuilder| builder.resolve("good.lab.test", [addr])
        };
        let at = port(&lab, Scenario::Good);
        for (scheme, resolved, told) in [
            ("socks5h", "192.0.2.1", "name good.lab.test"),
            ("socks5", "192.0.2.1", "192.0.2.1"),
            ("socks5", "2001:db8::1", "2001:db8::1"),
        ] {
            let proxy = Proxy::socks(open()).await;
            let url = format!("{scheme}://{PROXY}:{}", proxy.addr.port());
            let builder = here(resolved, at)(builder(&lab)).proxy(url);
            let client = builder.build().unwrap();
            for _ in 0..2 {
                let response = client.fetch(lab.url(Scenario::Good)).await.unwrap();
                assert_eq!(response.version(), Version::HTTP_2);
                assert_eq!(response.verdict().unwrap().host(), "good.lab.test");
                assert_eq!(response.remote_addr(), proxy.addr);
            }
            let told = [WITHOUT.to_owned(), format!("{told} {at}")];
            assert_eq!(proxy.seen().told, told, "{scheme}");
        }
        // An address is one by either.
        for scheme in ["socks5", "socks5h"] {
            let proxy = Proxy::socks(open()).await;
            let client = through(&lab, scheme, &proxy);
            echo(&client, &lab, Scenario::GoodByIp).await;
            let error = client.fetch("https://[2001:db8::2]:1/").await;
            assert!(error.is_err());
            let at = port(&lab, Scenario::GoodByIp);
            assert_eq!(proxy.seen().told[1], format!("127.0.0.1 {at}"), "{scheme}");
            assert_eq!(proxy.seen().told[3], "2001:db8::2 1", "{scheme}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_that_has_no_address_here_is_the_names_fault() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::socks(open()).await;
        let client = through(&lab, "socks5", &proxy);
        let error = client.fetch("https://name.invalid/").await.unwrap_err();
        assert_eq!(error.kind(), urlfetch::ErrorKind::Dns, "{error}");
        assert_eq!(error.phase(), Some(Phase::Dns));
        assert_eq!(proxy.seen().connections, 0);
    })
    .await;
}

#[tokio::test]
async fn credentials_are_given_to_who_asks_for_them() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let at = port(&lab, Scenario::GoodHttp1);
        let name = format!("name good-http1.lab.test {at}");
        let login = "\\x01\\x04user\\x08hunter2\\xff";
        for (socks, credentials, told) in [
            (open(), "", vec![WITHOUT, &name]),
            (open(), "user:hunter2%ff@", vec![WITH, &name]),
            (guarded(0), "user:hunter2%ff@", vec![WITH, login, &name]),
        ] {
            let proxy = Proxy::socks(socks).await;
            let url = format!("socks5h://{credentials}{PROXY}:{}", proxy.addr.port());
            let client = builder(&lab).proxy(url).build().unwrap();
            let received = echo(&client, &lab, Scenario::GoodHttp1).await;
            assert!(!received.contains("hunter2"), "{received}");
            assert_eq!(proxy.seen().told, told);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_tunnel_is_the_proxys_fault_and_nothing_is_sent() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let method = |method: &[u8]| Socks {
            method: method.to_vec(),
            ..open()
        };
        let refused = |code: u8| replying(&[&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]]);
        let refusals = [
            "general failure",
            "its rules do not allow it",
            "the network is unreachable",
            "the host is unreachable",
            "the connection was refused",
            "time to live expired",
            "does not know the command",
            "does not know this kind of address",
            "reply 9, which has no meaning",
        ];
        let mut cases: Vec<_> = (1..).map(refused).zip(refusals).collect();
        cases.extend([
            (guarded(1), "does not take the user name and password"),
            (guarded(0xff), "does not take the user name and password"),
            (method(&[5, 0xff]), "accepts no way to log in"),
            (method(&[5, 1]), "chose what it was not offered"),
            (method(&[4, 0]), "does not speak SOCKS 5"),
            (
                method(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
                "does not speak SOCKS 5",
            ),
            (replying(&[&[4, 0, 0, 1]]), "does not speak SOCKS 5"),
            (
                replying(&[&[5, 0, 0, 2]]),
                "its address is of no known kind",
            ),
            (replying(&[&[5, 0, 0]]), "closed the connection"),
            (replying(&[&[]]), "closed the connection"),
        ]);
        let mut login = guarded(0);
        login.login = vec![5, 0];
        cases.push((login, "does not log in as RFC 1929 has it"));
        for (socks, part) in cases {
            let proxy = Proxy::socks(socks).await;
            let at = format!("{PROXY}:{}", proxy.addr.port());
            let client = builder(&lab).proxy(format!("socks5h://user:hunter2@{at}"));
            let client = client.build().unwrap();
            let error = client.fetch(lab.url(Scenario::Good)).await.unwrap_err();
            assert_proxys(&error, &at, "good.lab.test", part);
            assert_eq!(error.phase(), Some(Phase::Connect));
        }
        let proxy = Proxy::socks(method(&[5, 0xff])).await;
        let client = through(&lab, "socks5h", &proxy);
        let error = client.fetch(lab.url(Scenario::Good)).await.unwrap_err();
        assert_proxys(
            &error,
            PROXY,
            "good.lab.test",
            "wants a user name and a password",
        );
        assert_eq!(lab.connections(Scenario::Good), 0);
    })
    .await;
}

/// Whatever address the proxy says that it is bound to, the tunnel begins right behind it.
#[tokio::test]
async fn an_answer_ends_where_its_address_does() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let name = [&[5, 0, 0, 3, 255][..], &[b'a'; 255], &[0, 80]].concat();
        let six = [&[5, 0, 0, 4][..], &[0; 16], &[0, 80]].concat();
        for reply in [&DONE[..], &name, &six, &[5, 0, 0xff, 3, 0, 0, 0]] {
            let proxy = Proxy::socks(replying(&[reply])).await;
            let client = through(&lab, "socks5h", &proxy);
            echo(&client, &lab, Scenario::GoodHttp1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn addresses_are_tried_in_turn_each_on_a_connection_of_its_own() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let at = port(&lab, Scenario::GoodHttp1);
        let addresses = (1..=6).map(|last| SocketAddr::from(([192, 0, 2, last], at)));
        let addresses: Vec<_> = addresses.collect();
        let refused: &[u8] = &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0];
        let unreachable: &[u8] = &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0];
        let client = |proxy: &Proxy| {
            let url = format!("socks5://{PROXY}:{}", proxy.addr.port());
            let builder = builder(&lab).resolve("good-http1.lab.test", addresses.clone());
            builder.proxy(url).build().unwrap()
        };

        let proxy = Proxy::socks(replying(&[refused, unreachable, &DONE])).await;
        echo(&client(&proxy), &lab, Scenario::GoodHttp1).await;
        let told = proxy.seen().told;
        let asked: Vec<_> = told.iter().filter(|each| *each != WITHOUT).collect();
        let expected = [1, 2, 3].map(|last| format!("192.0.2.{last} {at}"));
        assert_eq!(asked, expected.iter().collect::<Vec<_>>());
        assert_eq!(proxy.seen().connections, 3);

        let proxy = Proxy::socks(replying(&[refused, unreachable])).await;
        let fetch = client(&proxy).fetch(lab.url(Scenario::GoodHttp1)).await;
        let error = fetch.unwrap_err();
        let part = format!(
            "192.0.2.1:{at}: the connection was refused, 192.0.2.2:{at}: the host is unreachable"
        );
        assert_proxys(&error, PROXY, "good-http1.lab.test", &part);
        assert_eq!(proxy.seen().connections, 4);

        // Who does not speak SOCKS will not for the next address either.
        let proxy = Proxy::socks(replying(&[&[4, 0, 0, 1]])).await;
        let fetch = client(&proxy).fetch(lab.url(Scenario::GoodHttp1)).await;
        assert_proxys(
            &fetch.unwrap_err(),
            PROXY,
            "good-http1.lab.test",
            "does not speak SOCKS 5",
        );
        assert_eq!(proxy.seen().connections, 1);
    })
    .await;
}
