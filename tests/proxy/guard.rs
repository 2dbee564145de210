//! The address guard, where a proxy stands between: what it can see is judged, and what it cannot is
//! the proxy's affair only if somebody said so.

use std::net::SocketAddr;

use urlfetch::lab::{Lab, Scenario};
use urlfetch::{AddressGuard, Client, Error, ErrorKind, Phase};

use super::http::OK;
use super::server::Proxy;
use super::socks::open;
use super::{PROXY, builder, in_time, port};

/// A client that goes through this proxy, under this guard. Where it is asked for an address, one
/// host of the lab is at a public one, and another at a private one.
fn guarded(lab: &Lab, scheme: &str, proxy: &Proxy, guard: AddressGuard) -> Client {
    let found = |ip: &str| [SocketAddr::new(ip.parse().unwrap(), 0)];
    builder(lab)
        .resolve(Scenario::Good.host(), found("93.184.216.34"))
        .resolve(Scenario::GoodHttp1.host(), found("10.1.2.3"))
        .resolve("localhost", found("127.0.0.1"))
        .proxy(format!("{scheme}://{PROXY}:{}", proxy.addr.port()))
        .address_guard(guard)
        .build()
        .unwrap()
}

async fn proxy(scheme: &str, lab: &Lab) -> Proxy {
    match scheme {
        "http" => Proxy::http(OK).await,
        "https" => Proxy::https(OK, lab.ca_pem()).await,
        _ => Proxy::socks(open()).await,
    }
}

fn assert_refused(error: &Error, says: &str) {
    assert_eq!(error.kind(), ErrorKind::AddressRefused, "{error}");
    assert_eq!(error.phase(), Some(Phase::Connect), "{error}");
    assert!(!error.request_was_sent(), "{error}");
    assert!(error.to_string().contains(says), "{says} is not in {error}");
}

/// As a fetch and as a stream; `says` is empty where both are served.
async fn both(client: &Client, host: &str, port: u16, says: &str) {
    let fetched = client.fetch(format!("https://{host}:{port}/")).await;
    let connected = client.connect(host, port).await;
    match says {
        "" => {
            fetched.unwrap();
            connected.unwrap();
        }
        says => {
            assert_refused(&fetched.unwrap_err(), says);
            assert_refused(&connected.unwrap_err(), says);
        }
    }
}

#[tokio::test]
async fn a_name_is_given_to_a_proxy_only_if_it_guards_or_nobody_has_to() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let (host, port) = (Scenario::Good.host(), port(&lab, Scenario::Good));
        let (public_only, everything) = (AddressGuard::public_only, AddressGuard::default);
        for scheme in ["http", "https", "socks5h"] {
            for (guard, says) in [
                (
                    public_only(),
                    "by public_only: the proxy resolves the name, and nobody here sees the address",
                ),
                (
                    public_only().allow("0.0.0.0/0"),
                    "by public_only: the proxy resolves the name",
                ),
                (
                    everything().deny("10.0.0.0/8"),
                    "by deny: the proxy resolves the name",
                ),
                (
                    public_only().allow_host(host).deny("10.0.0.0/8"),
                    "by deny: the proxy resolves the name",
                ),
                (public_only().proxy_guards().allow_port(1), "by allow_port"),
                (everything(), ""),
                (public_only().proxy_guards(), ""),
                (public_only().allow_host(host), ""),
                (everything().deny("10.0.0.0/8").proxy_guards(), ""),
            ] {
                let proxy = proxy(scheme, &lab).await;
                let client = guarded(&lab, scheme, &proxy, guard);
                both(&client, host, port, says).await;
                let connections = if says.is_empty() { 2 } else { 0 };
                assert_eq!(proxy.seen().connections, connections, "{scheme} {says}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_is_judged_whoever_dials_it() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let port = port(&lab, Scenario::GoodByIp);
        for scheme in ["http", "https", "socks5h", "socks5"] {
            let proxy = proxy(scheme, &lab).await;
            let guard = AddressGuard::public_only().proxy_guards();
            let client = guarded(&lab, scheme, &proxy, guard.clone());
            both(&client, "127.0.0.1", port, "it is in 127.0.0.0/8, loopback").await;
            // RFC 6761 §6.3: everybody knows where that is.
            both(&client, "localhost", port, "127.0.0.0/8, loopback").await;
            assert_eq!(proxy.seen().connections, 0, "{scheme}");
            let client = guarded(&lab, scheme, &proxy, guard.allow("127.0.0.1"));
            both(&client, "127.0.0.1", port, "").await;
        }
    })
    .await;
}

/// By `socks5://` names are resolved here, so that the guard sees what the proxy is asked for.
#[tokio::test]
async fn where_names_are_resolved_here_their_addresses_are_judged() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let proxy = Proxy::socks(open()).await;
        let client = guarded(&lab, "socks5", &proxy, AddressGuard::public_only());
        let (private, at) = (Scenario::GoodHttp1, port(&lab, Scenario::GoodHttp1));
        both(&client, private.host(), at, "it is in 10.0.0.0/8").await;
        assert_eq!(proxy.seen().connections, 0);
        let at = port(&lab, Scenario::Good);
        both(&client, Scenario::Good.host(), at, "").await;
        assert_eq!(proxy.seen().told[1], format!("93.184.216.34 {at}"));
    })
    .await;
}

#[tokio::test]
async fn a_host_behind_a_proxy_sends_nobody_to_an_address_of_ours() {
    in_time(async {
        let lab = Lab::start().await.unwrap();
        let ours = format!("https://127.0.0.1:{}/", port(&lab, Scenario::GoodByIp));
        let sent = |to: &str| lab.url_to(Scenario::Good, &format!("/status/302?location={to}"));
        for (scheme, says) in [
            ("http", "a host behind a proxy, which counts as public"),
            ("https", "a host behind a proxy, which counts as public"),
            ("socks5h", "a host behind a proxy, which counts as public"),
            ("socks5", "a public address, 93.184.216.34"),
        ] {
            let proxy = proxy(scheme, &lab).await;
            let client = guarded(&lab, scheme, &proxy, AddressGuard::default());
            let error = client.fetch(sent(&ours)).await.unwrap_err();
            assert_refused(&error, &format!("after a redirect from {says}"));
            assert_eq!(proxy.seen().connections, 1, "{scheme}");
            // Neither by the tunnel that the caller opened for himself, which he keeps.
            for _ in 0..2 {
                let response = client.fetch(ours.as_str()).await.unwrap();
                response.bytes().await.unwrap();
                let error = client.fetch(sent(&ours)).await.unwrap_err();
                assert_refused(&error, &format!("after a redirect from {says}"));
            }
            assert_eq!(proxy.seen().connections, 2, "{scheme}");
            // From our own address to our own address is no way in.
            let within = format!("{ours}status/302?location={ours}");
            let response = client.fetch(within).await.unwrap();
            assert_eq!(response.hops().len(), 1);
        }
    })
    .await;
}
