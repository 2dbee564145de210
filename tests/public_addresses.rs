//! Redirects from hosts at public addresses, which the default guard lets lead to none of ours.
//!
//! They need network namespaces, where public addresses can be had, so `cargo test` leaves them out
//! and says so; `.ci/run` has them run by
//! `cargo test --all-features --test public_addresses -- --ignored`.
#![cfg(all(target_os = "linux", feature = "lab"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the race of addresses")]
#[path = "support/netns.rs"]
mod netns;
#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use netns::inside;
use script::{HOST, Received, Server, Then, builder, reply};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use urlfetch::{AddressGuard, Bytes, Client, Error, ErrorKind, Resolve, Resolving};

const PUBLIC: &str = "93.184.216.34";
const PUBLIC_V6: &str = "2606:2800:220:1::1";
const PRIVATE: &str = "10.1.2.3";
const ADDRESSES: &str = "address 93.184.216.34; address 2606:2800:220:1::1; address 10.1.2.3";

/// Another name in the certificate of every server.
const OTHER: &str = "xn--bcher-kva.example";

/// Answers `/go?URL` with a redirect to that, and all else with 200.
fn go(request: &Received) -> (Vec<u8>, Then) {
    let reply = match request.path().strip_prefix("/go?") {
        Some(url) => reply("302 Found", &format!("location: {url}\r\n"), ""),
        None => reply("200 OK", "", "there"),
    };
    (reply, Then::Stay)
}

/// The same over h2.
async fn go_h2(request: Received, mut respond: h2::server::SendResponse<Bytes>) {
    let head = match request.path().strip_prefix("/go?") {
        Some(url) => http::Response::builder()
            .status(302)
            .header("location", url),
        None => http::Response::builder().status(200),
    };
    respond.send_response(head.body(()).unwrap(), true).unwrap();
}

/// A client for whom [`HOST`] is at one address, and [`OTHER`] at another.
fn client(guard: AddressGuard, host: &str, other: &str) -> Client {
    let at = |ip: &str| [SocketAddr::new(ip.parse().unwrap(), 0)];
    let client = builder().address_guard(guard);
    let client = client.resolve(HOST, at(host)).resolve(OTHER, at(other));
    client.build().unwrap()
}

fn refused(outcome: Result<urlfetch::Response, Error>, says: &str) {
    let error = outcome.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused, "{error}");
    assert!(!error.request_was_sent());
    assert!(error.to_string().contains(says), "{error}");
}

async fn get(client: &Client, url: &str) -> Result<urlfetch::Response, Error> {
    let mut response = client.fetch(url).await?;
    // To its end, so that the connection is free.
    while response.chunk().await?.is_some() {}
    Ok(response)
}

/// A URL of a server's that sends us on to another.
fn by(server: &Server, to: &str) -> String {
    server.url(&format!("/go?{to}"))
}

async fn at(ip: &str) -> Server {
    Server::tls_at(ip.parse().unwrap(), go).await
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn a_public_host_sends_nobody_to_a_host_of_ours() {
    let test = "a_public_host_sends_nobody_to_a_host_of_ours";
    inside(test, ADDRESSES, || async {
        for (public, http2) in [(PUBLIC, false), (PUBLIC, true), (PUBLIC_V6, false)] {
            let stranger = at(public).await;
            let intranet = at(PRIVATE).await;
            let ours = match http2 {
                true => Server::h2(go_h2).await,
                false => Server::tls(go).await,
            };
            let everything = client(AddressGuard::default(), public, PRIVATE);
            let to_us = format!("https://127.0.0.1:{}/", ours.addr.port());
            let to_intranet = format!("https://{OTHER}:{}/", intranet.addr.port());
            let says = format!("after a redirect from a public address, {public}: it is in");
            for to in [&to_us, &to_intranet] {
                refused(get(&everything, &by(&stranger, to)).await, &says);
            }
            assert_eq!((ours.connections(), intranet.connections()), (0, 0));

            // With connections open that the caller himself asked for: they are of no use to the
            // stranger, and of use to the caller afterwards.
            for _ in 0..3 {
                for to in [&to_us, &to_intranet] {
                    get(&everything, to).await.unwrap();
                    refused(get(&everything, &by(&stranger, to)).await, &says);
                }
            }
            for server in [&ours, &intranet] {
                assert_eq!((server.requests().len(), server.connections()), (3, 1));
            }

            // Elsewhere he may send us, and to what is allowed.
            let there = stranger.url("/there");
            let response = get(&everything, &by(&stranger, &there)).await.unwrap();
            assert_eq!(response.url().as_str(), there);
            let allowing = AddressGuard::default().allow("127.0.0.0/8");
            let allowing = client(allowing, public, PRIVATE);
            let response = get(&allowing, &by(&stranger, &to_us)).await.unwrap();
            assert_eq!(response.url().as_str(), to_us);
        }
    });
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn whoever_waits_for_the_dial_of_another_is_judged_for_himself() {
    let test = "whoever_waits_for_the_dial_of_another_is_judged_for_himself";
    inside(test, ADDRESSES, || async {
        let stranger = at(PUBLIC).await;
        let ours = Server::h2(go_h2).await;
        // Until the door is open nobody answers, and the dial is under way.
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(AddressGuard::default(), PUBLIC, PRIVATE);
        let to_us = format!("https://{}/", door.local_addr().unwrap());
        let sent = by(&stranger, &to_us);
        let (own, by_stranger, ()) =
            tokio::join!(get(&client, &to_us), get(&client, &sent), async {
                let (mut outside, _) = door.accept().await.unwrap();
                while stranger.requests().is_empty() {
                    yield_now().await;
                }
                // Ample for the redirect's way back. Were it late, it would find the connection.
                for _ in 0..1000 {
                    yield_now().await;
                }
                let mut inside = TcpStream::connect(ours.addr).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut outside, &mut inside).await });
            });
        assert_eq!(own.unwrap().status(), 200);
        refused(by_stranger, "after a redirect from a public address");
        assert_eq!((ours.requests().len(), ours.connections()), (1, 1));
    });
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn a_redirect_leads_no_nearer_than_it_comes_from() {
    let test = "a_redirect_leads_no_nearer_than_it_comes_from";
    inside(test, ADDRESSES, || async {
        let (public, private) = (at(PUBLIC).await, at(PRIVATE).await);
        let ours = Server::tls(go).await;
        let client = client(AddressGuard::default(), PUBLIC, PRIVATE);
        let url = |server: &Server, host, path: &str| {
            format!("https://{host}:{}{path}", server.addr.port())
        };
        let [public, private, ours] = [(&public, HOST), (&private, OTHER), (&ours, "127.0.0.1")]
            .map(|(server, host)| move |path: &str| url(server, host, path));
        // By the way of each, nearest first: whether it may be followed.
        for (way, may) in [
            (ours(&format!("/go?{}", ours("/"))), true),
            (ours(&format!("/go?{}", private("/"))), true),
            (ours(&format!("/go?{}", public("/"))), true),
            (private(&format!("/go?{}", private("/"))), true),
            (private(&format!("/go?{}", public("/"))), true),
            (private(&format!("/go?{}", ours("/"))), false),
            (
                private("/go?https://169.254.169.254/latest/meta-data/"),
                false,
            ),
            (public(&format!("/go?{}", public("/"))), true),
            (public(&format!("/go?{}", private("/"))), false),
            (public(&format!("/go?{}", ours("/"))), false),
            (
                public("/go?https://169.254.169.254/latest/meta-data/"),
                false,
            ),
            // The farthest to send us counts, whoever came before or after.
            (
                ours(&format!("/go?{}", public(&format!("/go?{}", ours("/"))))),
                false,
            ),
            (
                public(&format!("/go?{}", public(&format!("/go?{}", ours("/"))))),
                false,
            ),
        ] {
            match get(&client, &way).await {
                Ok(response) => assert!(may, "{way} {}", response.url()),
                Err(error) => {
                    assert!(!may, "{way} {error}");
                    assert_eq!(error.kind(), ErrorKind::AddressRefused, "{way} {error}");
                }
            }
        }
    });
}

/// What is allowed may redirect, and is no way to the rest of its network for who sent us there.
#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn nobody_comes_nearer_by_a_detour() {
    let test = "nobody_comes_nearer_by_a_detour";
    inside(test, ADDRESSES, || async {
        let (public, private) = (at(PUBLIC).await, at(PRIVATE).await);
        let client = client(AddressGuard::default().allow(PRIVATE), PUBLIC, PRIVATE);
        let url = |host, server: &Server, to: &str| {
            format!("https://{host}:{}/go?{to}", server.addr.port())
        };
        let to_the_allowed = format!("https://{OTHER}:{}/", private.addr.port());
        let response = get(&client, &url(HOST, &public, &to_the_allowed)).await;
        assert_eq!(response.unwrap().remote_addr(), private.addr);
        let detour = url(OTHER, &private, "https://10.9.9.9/");
        refused(
            get(&client, &url(HOST, &public, &detour)).await,
            "after a redirect from a public address, 93.184.216.34: it is in 10.0.0.0/8",
        );
    });
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn public_only_is_content_with_public_hosts() {
    let test = "public_only_is_content_with_public_hosts";
    inside(test, ADDRESSES, || async {
        for public in [PUBLIC, PUBLIC_V6] {
            let (first, second) = (at(public).await, at(public).await);
            let ours = Server::tls(go).await;
            let client = client(AddressGuard::public_only(), public, PRIVATE);
            let there = second.url("/there");
            let response = get(&client, &by(&first, &there)).await.unwrap();
            assert_eq!(response.remote_addr(), second.addr);
            client.connect(HOST, second.addr.port()).await.unwrap();
            let to_us = format!("https://127.0.0.1:{}/", ours.addr.port());
            for way in [
                to_us.clone(),
                by(&first, &to_us),
                by(&first, &by(&second, &to_us)),
            ] {
                refused(
                    get(&client, &way).await,
                    "is refused by public_only: it is in 127.0.0.0/8",
                );
            }
            assert_eq!(ours.connections(), 0);
        }
    });
}

/// Public when it is asked for first, and ours ever after.
#[derive(Default)]
struct Rebinding(AtomicUsize);

impl Resolve for Rebinding {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let asked = self.0.fetch_add(1, Ordering::Relaxed);
        let ip = if asked == 0 { PUBLIC } else { "127.0.0.1" };
        Box::pin(async move { Ok(vec![SocketAddr::new(ip.parse()?, 0)]) })
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run runs it"]
fn a_name_that_turns_out_to_be_ours_leads_nobody_there() {
    let test = "a_name_that_turns_out_to_be_ours_leads_nobody_there";
    inside(test, ADDRESSES, || async {
        let stranger = at(PUBLIC).await;
        let port = stranger.addr.port();
        let ours = Server::tls(go).await;
        let client = |guard| {
            let client = builder()
                .resolver(Rebinding::default())
                .pool_idle_timeout(Duration::ZERO)
                .address_guard(guard);
            client.build().unwrap()
        };
        let there = format!("https://{OTHER}:{port}/");
        let to_us = format!("https://{OTHER}:{}/", ours.addr.port());
        let sent = format!("{there}go?{to_us}");

        let strict = client(AddressGuard::public_only());
        let response = get(&strict, &there).await.unwrap();
        assert_eq!(response.remote_addr(), stranger.addr);
        refused(get(&strict, &to_us).await, "is refused by public_only");
        let connecting = strict.connect(OTHER, ours.addr.port()).await;
        let error = connecting.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{error}");

        for (guard, says) in [
            (AddressGuard::public_only(), "is refused by public_only"),
            (
                AddressGuard::default(),
                "after a redirect from a public address, 93.184.216.34: it is in 127.0.0.0/8",
            ),
        ] {
            refused(get(&client(guard), &sent).await, says);
        }
        assert_eq!(ours.connections(), 0);
    });
}
