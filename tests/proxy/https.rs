//! Proxies that speak HTTP inside TLS: they are verified, and the origin behind them is too.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use urlfetch::lab::{Lab, Scenario};
use urlfetch::tls::{Pin, Policy, RootStore};
use urlfetch::{Client, Identity};

use super::http::OK;
use super::server::{Manner, Proxy, UNTIL};
use super::{MISNAMED_PROXY, PROXY, assert_proxys, builder, echo, in_time, port, through};

#[tokio::test]
async fn tls_in_tls() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        for scenario in [Scenario::Good, Scenario::GoodHttp1] {
            let proxy = Proxy::https(OK, lab.ca_pem()).await;
            let url = format!("https://user:hunter2@{PROXY}:{}", proxy.addr.port());
            let client = builder(&lab).proxy(url).build().unwrap();
            for reused in [false, true] {
                let response = client.fetch(lab.url_to(scenario, "/echo")).await.unwrap();
                assert_eq!(response.verdict().unwrap().host(), scenario.host());
                assert_eq!(response.remote_addr(), proxy.addr);
                // All that is told of a peer is the origin's.
                let peer = response.peer().unwrap();
                assert_eq!(peer.verdict().host(), scenario.host());
                assert!(peer.alpn().is_some() && !peer.is_resumed());
                let timings = response.timings();
                assert_eq!(timings.connection_reused(), reused);
                assert_eq!(timings.tls_resumed(), Some(false));
                for phase in [timings.dns(), timings.connect(), timings.tls()] {
                    assert_eq!(phase.is_some(), !reused, "{timings}");
                }
                let received = response.text().await.unwrap();
                assert!(
                    !received.to_ascii_lowercase().contains("proxy"),
                    "{received}"
                );
            }
            let seen = proxy.seen();
            assert_eq!(seen.tls, [format!("Full 0 None Some(\"{PROXY}\")")]);
            let at = format!("{}:{}", scenario.host(), port(&lab, scenario));
            let told = format!(
                "CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\
                 Proxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n\r\n"
            );
            assert_eq!(seen.told, [told]);
            // The second tunnel is one more connection to the proxy, of the same session.
            let stream = client.connect(scenario.host(), port(&lab, scenario)).await;
            assert!(stream.unwrap().get_ref().is_none());
            assert!(
                proxy.seen().tls[1].starts_with("Resumed"),
                "{:?}",
                proxy.seen().tls
            );
        }
    })
    .await;
}

/// Whatever is said of origins: a proxy is given a password.
#[tokio::test]
async fn a_proxy_that_does_not_prove_itself_is_told_nothing() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::https(OK, lab.ca_pem()).await;
        let lab_only = || {
            let roots = RootStore::empty().add_pem(lab.ca_pem()).unwrap();
            builder(&lab).roots(roots)
        };
        let pin = Pin::parse_list("sha256//r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=").unwrap();
        let pinned = || builder(&lab).policy_for(PROXY, Policy::default().pins(pin.clone()));
        for (builder, name, code) in [
            (builder(&lab), MISNAMED_PROXY, "hostname-mismatch"),
            (lab_only(), PROXY, "unknown-issuer"),
            (pinned(), PROXY, "pin-mismatch"),
            (
                builder(&lab).danger_accept_unverified(),
                MISNAMED_PROXY,
                "hostname-mismatch",
            ),
            (
                lab_only().danger_accept_unverified(),
                PROXY,
                "unknown-issuer",
            ),
        ] {
            let at = format!("{name}:{}", proxy.addr.port());
            let client = builder.proxy(format!("https://user:hunter2@{at}"));
            let client = client.build().unwrap();
            let error = client.fetch(lab.url(Scenario::Good)).await.unwrap_err();
            let part = format!("certificate for \"{name}\" was refused: {code}");
            assert_proxys(&error, &at, "good.lab.test", &part);
            assert_eq!(error.code(), "proxy");
            let verdict = error.verdict().unwrap();
            assert_eq!(
                (verdict.host(), verdict.reason().unwrap().code()),
                (name, code)
            );
        }
        assert_eq!(proxy.seen().told, [""; 0]);
        assert_eq!(lab.connections(Scenario::Good), 0);
    })
    .await;
}

/// A ticket says that it was good, and the chain that was kept with it whether it still is.
#[tokio::test]
async fn a_session_that_a_proxy_resumes_is_judged_again() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::https(OK, lab.ca_pem()).await;
        let hour = Duration::from_secs(3600);
        let now = Arc::new(Mutex::new(*UNTIL - hour));
        let clock = Arc::clone(&now);
        let url = format!("https://user:hunter2@{PROXY}:{}", proxy.addr.port());
        let client = builder(&lab).proxy(url);
        let client = client.clock(move || *clock.lock().unwrap()).build();
        let client = client.unwrap();
        let connect = || async {
            let (host, port) = (Scenario::Good.host(), port(&lab, Scenario::Good));
            client.connect(host, port).await
        };
        connect().await.unwrap();
        connect().await.unwrap();
        *now.lock().unwrap() += 2 * hour;
        let error = connect().await.unwrap_err();
        let at = format!("{PROXY}:{}", proxy.addr.port());
        assert_proxys(&error, &at, "good.lab.test", "was refused: expired");
        let seen = proxy.seen();
        let kinds = seen.tls.iter().map(|how| how.split(' ').next().unwrap());
        assert_eq!(kinds.collect::<Vec<_>>(), ["Full", "Resumed", "Resumed"]);
        assert_eq!((seen.connections, seen.told.len()), (4, 2));
    })
    .await;
}

#[tokio::test]
async fn an_origin_is_still_verified_behind_a_good_proxy() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::https(OK, lab.ca_pem()).await;
        let client = through(&lab, "https", &proxy);
        let error = client
            .fetch(lab.url(Scenario::WrongHost))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "hostname-mismatch", "{error}");
        assert_eq!(error.verdict().unwrap().host(), Scenario::WrongHost.host());
        drop(client);
        lab.settled(Scenario::WrongHost).await;
        assert_eq!(lab.received(Scenario::WrongHost), 0);
    })
    .await;
}

#[tokio::test]
async fn our_certificate_is_for_origins() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::https(OK, lab.ca_pem()).await;
        let (certificate, key) = lab.client_identity_pem();
        let identity = Identity::from_pem(certificate, key).unwrap();
        let url = format!("https://{PROXY}:{}", proxy.addr.port());
        let client = builder(&lab).identity(identity).proxy(url).build().unwrap();
        echo(&client, &lab, Scenario::ClientCertificateRequired).await;
        assert_eq!(proxy.seen().tls, [format!("Full 0 None Some(\"{PROXY}\")")]);
    })
    .await;
}

#[tokio::test]
async fn refusals_are_the_same_inside_tls_and_who_speaks_none_is_no_https_proxy() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let refusing = Manner::Say(b"HTTP/1.1 403 Filtered\r\n\r\n".into());
        let proxy = Proxy::https(refusing.clone(), lab.ca_pem()).await;
        let fetch = async |client: Client| client.fetch(lab.url(Scenario::Good)).await.unwrap_err();
        let error = fetch(through(&lab, "https", &proxy)).await;
        assert_proxys(&error, PROXY, "good.lab.test", "403 \"Filtered\"");
        let silent = Proxy::https(Manner::Say(Vec::new()), lab.ca_pem()).await;
        let error = fetch(through(&lab, "https", &silent)).await;
        assert_proxys(&error, PROXY, "good.lab.test", "closed the connection");
        // A handshake to who speaks HTTP is answered in HTTP.
        let error = fetch(through(&lab, "http", &proxy)).await;
        assert_proxys(&error, PROXY, "good.lab.test", "it is not HTTP/1.1");
        let plain = lab.addr(Scenario::PlainHttp);
        let client = builder(&lab).proxy(format!("https://{PROXY}:{}", plain.port()));
        let error = fetch(client.build().unwrap()).await;
        assert_proxys(&error, PROXY, "good.lab.test", "TLS handshake");
    })
    .await;
}

/// Nor inside TLS is what is there before a request an answer to it. The only thread here blocks,
/// and with it tokio's driver: the bytes are there, and nobody has been told.
#[tokio::test]
async fn what_is_there_before_a_request_does_not_answer_it() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let go = Arc::new(tokio::sync::Notify::new());
        let heard = Arc::clone(&go);
        let (say, said) = std::sync::mpsc::channel();
        let ca = lab.ca_pem().to_owned();
        let (give, started) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime
            .spawn(async move { give.send(Proxy::https(Manner::Poison(heard, say), &ca).await) });
        let proxy = started.recv().unwrap();
        for _ in 0..20 {
            let client = through(&lab, "https", &proxy);
            for _ in 0..2 {
                let response = client.fetch("http://host.test/").await.unwrap();
                assert_eq!(response.text().await.unwrap(), "first");
                go.notify_one();
                said.recv().unwrap();
            }
        }
        drop(proxy);
        runtime.shutdown_background();
    })
    .await;
}

/// Who looks at the wire with the file at hand has to get through the outer TLS first.
#[cfg(unix)]
#[test]
fn keys_are_logged_of_both() {
    let variables = [("SSLKEYLOGFILE", "keys.log")];
    super::child::alone("https::keys_are_logged_of_both", variables, async || {
        let lab = Lab::start().await.unwrap();
        for (key_log, expected) in [(false, 0), (true, 2)] {
            let proxy = Proxy::https(OK, lab.ca_pem()).await;
            let url = format!("https://{PROXY}:{}", proxy.addr.port());
            let client = builder(&lab).proxy(url).key_log(key_log).build().unwrap();
            echo(&client, &lab, Scenario::Good).await;
            let text = std::fs::read_to_string("keys.log").unwrap_or_default();
            let secrets = text.matches("CLIENT_TRAFFIC_SECRET_0 ").count();
            assert_eq!(secrets, expected, "{text}");
        }
    });
}
