//! The address guard through whole fetches: what it refuses is not dialled, in whatever spelling and
//! by whatever way it comes.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use script::{HOST, Received, Server, Then, builder, in_time, reply};
use urlfetch::{AddressGuard, Client, Error, ErrorKind, Phase, Resolve, Resolving};

/// Answers `/go?URL` with a redirect to that, and all else with 200.
fn go(request: &Received) -> (Vec<u8>, Then) {
    let reply = match request.path().strip_prefix("/go?") {
        Some(url) => reply("302 Found", &format!("location: {url}\r\n"), ""),
        None => reply("200 OK", "", "there"),
    };
    (reply, Then::Stay)
}

fn guarded(guard: AddressGuard) -> Client {
    builder().address_guard(guard).build().unwrap()
}

async fn refused(client: &Client, url: &str) -> Error {
    let error = client.fetch(url).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused, "{url} {error}");
    assert_eq!(error.code(), "address-refused");
    assert_eq!(error.phase(), Some(Phase::Connect));
    assert!(!error.request_was_sent(), "{error}");
    assert!(error.verdict().is_none());
    error
}

/// That this many connections were made to a server: whatever was dialled before the one that is
/// made now was accepted before it.
async fn has_seen(server: &Server, connections: usize) {
    let response = guarded(AddressGuard::default())
        .fetch(server.url("/"))
        .await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(server.connections(), connections + 1);
}

#[tokio::test]
async fn no_spelling_of_our_own_host_gets_past_public_only() {
    use ErrorKind::{AddressRefused, InvalidUrl};
    // How the host is written, what comes of it, and whether it leads to 127.0.0.1 everywhere.
    #[rustfmt::skip]
    let spellings = [
        ("127.0.0.1", AddressRefused, true),
        ("127.1", AddressRefused, true),
        ("127.0.1", AddressRefused, true),
        ("0x7f000001", AddressRefused, true),
        ("0X7F.1", AddressRefused, true),
        ("2130706433", AddressRefused, true),
        ("017700000001", AddressRefused, true),
        ("0177.0.0.01", AddressRefused, true),
        ("127.0.0.1.", AddressRefused, true),
        ("127.1.", AddressRefused, true),
        ("\u{ff11}\u{ff12}\u{ff17}.\u{ff10}.\u{ff10}.\u{ff11}", AddressRefused, true),
        ("127\u{3002}0\u{3002}0\u{3002}1", AddressRefused, true),
        ("127\u{ff0e}0\u{ff61}0\u{ff0e}1", AddressRefused, true),
        ("\u{2460}\u{2461}\u{2466}.0.0.1", AddressRefused, true),
        ("%31%32%37.0.0.1", AddressRefused, true),
        ("127%2e0%2E0%2e1", AddressRefused, true),
        ("127.0.\t0.1", AddressRefused, true),
        ("[::ffff:127.0.0.1]", AddressRefused, cfg!(unix)),
        ("[::ffff:7f00:1]", AddressRefused, cfg!(unix)),
        ("[::FFFF:7F00:0001]", AddressRefused, cfg!(unix)),
        ("[0:0:0:0:0:ffff:127.0.0.1]", AddressRefused, cfg!(unix)),
        ("[::127.0.0.1]", AddressRefused, false),
        ("[::ffff:0:127.0.0.1]", AddressRefused, false),
        ("[64:ff9b::127.0.0.1]", AddressRefused, false),
        ("[2002:7f00:1::]", AddressRefused, false),
        ("[::1]", AddressRefused, false),
        ("[0::0:1]", AddressRefused, false),
        ("[::]", AddressRefused, false),
        ("0.0.0.0", AddressRefused, cfg!(unix)),
        ("0", AddressRefused, cfg!(unix)),
        ("0x0", AddressRefused, cfg!(unix)),
        ("localhost", AddressRefused, true),
        ("localhost.", AddressRefused, true),
        ("LOCALHOST", AddressRefused, true),
        ("LocalHost.", AddressRefused, true),
        ("\u{ff4c}ocal\u{ad}host", AddressRefused, true),
        ("local%68ost", AddressRefused, true),
        ("local\thost", AddressRefused, true),
        ("169.254.169.254", AddressRefused, false),
        ("[fe80::1]", AddressRefused, false),
        ("[fe80::1%25eth0]", InvalidUrl, false),
        ("[fe80::1%eth0]", InvalidUrl, false),
        ("[::1%25lo]", InvalidUrl, false),
        ("4294967296", InvalidUrl, false),
        ("127.0.0.256", InvalidUrl, false),
        ("127.0.0.0.1", InvalidUrl, false),
        ("[127.0.0.1]", InvalidUrl, false),
    ];
    in_time(async {
        let server = Server::tls(go).await;
        let port = server.addr.port();
        // Not every system's resolver knows localhost with a dot at its end.
        let guarded = |guard| {
            let local = SocketAddr::from(([127, 0, 0, 1], 0));
            let client = builder().resolve("localhost", [local]);
            client.address_guard(guard).build().unwrap()
        };
        let strict = guarded(AddressGuard::public_only());
        for (host, kind, _) in spellings {
            let url = format!("https://{host}:{port}/");
            let error = strict.fetch(url.as_str()).await.map(drop).unwrap_err();
            assert_eq!(error.kind(), kind, "{host} {error}");
            assert!(!error.request_was_sent(), "{host}");
            let connecting = strict.connect(host, port).await;
            let error = connecting.map(drop).unwrap_err();
            // A host by itself is read more strictly than a URL is.
            assert!([kind, InvalidUrl].contains(&error.kind()), "{host} {error}");
        }
        has_seen(&server, 0).await;
        // They would have led there.
        for (host, ..) in spellings.iter().filter(|(_, _, leads_there)| *leads_there) {
            let before = server.connections();
            let url = format!("https://{host}:{port}/");
            // Where the certificate has no such name, the server is dialled all the same.
            let _ = guarded(AddressGuard::default()).fetch(url.as_str()).await;
            assert_eq!(server.connections(), before + 1, "{host}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_ranges_ports_and_hosts_holds_where_it_counts() {
    let public_only = AddressGuard::public_only;
    let everything = AddressGuard::default;
    in_time(async {
        let server = Server::tls(go).await;
        let port = server.addr.port();
        let passes = [
            everything(),
            public_only().allow("127.0.0.0/8"),
            public_only().allow("127.0.0.1"),
            public_only().allow("::ffff:7f00:1"),
            public_only().allow_host(HOST),
            public_only().allow_host("SCRIPT.test."),
            public_only().allow_host("*.test").allow_port(port),
            everything().allow_port(443).allow_port(port),
            everything().deny("127.0.0.2"),
            everything().deny("::/0"),
            everything().proxy_guards(),
        ];
        for guard in passes.iter().cloned() {
            let shown = format!("{guard:?}");
            let client = guarded(guard);
            let response = client.fetch(server.url("/")).await;
            assert_eq!(response.expect(&shown).status(), 200);
            client.connect(HOST, port).await.expect(&shown);
        }
        assert_eq!(server.connections(), 2 * passes.len());
        let loopback = "it is in 127.0.0.0/8, loopback (RFC 1122 §3.2.1.3)";
        let public = format!("is refused by public_only: {loopback}");
        for (guard, says) in [
            (public_only(), public.as_str()),
            (public_only().allow("10.0.0.0/8"), &public),
            (public_only().allow_host("other.test"), &public),
            (public_only().allow_host("127.0.0.1"), &public),
            (public_only().proxy_guards(), &public),
            (
                everything().deny("127.0.0.0/8"),
                "is refused by deny: it is in 127.0.0.0/8",
            ),
            (
                everything().deny("127.0.0.0/8").allow("127.0.0.1"),
                "is refused by deny: it is in 127.0.0.0/8",
            ),
            (
                public_only().allow_host(HOST).deny("::ffff:127.0.0.1"),
                "is refused by deny: it is in 127.0.0.1/32",
            ),
            (
                everything().allow_port(443),
                "is refused by allow_port: the port is not among those that are named",
            ),
            (
                public_only().allow_host(HOST).allow_port(443),
                "is refused by allow_port: the port is not among those that are named",
            ),
        ] {
            let client = guarded(guard);
            let error = refused(&client, &server.url("/")).await;
            let shown = error.to_string();
            let expected = format!("dialling 127.0.0.1:{port} for \"{HOST}\" {says}");
            assert_eq!(shown.lines().next(), Some(expected.as_str()));
            assert_eq!(error.hint().is_some(), !says.contains("deny"), "{shown}");
            assert_eq!(error.url().unwrap().as_str(), server.url("/"));
            let connecting = client.connect(HOST, port).await;
            let error = connecting.map(drop).unwrap_err();
            assert_eq!(error.to_string(), shown);
        }
        has_seen(&server, 2 * passes.len()).await;
    })
    .await;
}

#[tokio::test]
async fn a_name_with_one_address_that_may_not_be_dialled_is_not_dialled_at_all() {
    in_time(async {
        let server = Server::tls(go).await;
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        // Nobody is there to answer, and nobody is asked.
        let public = SocketAddr::from(([8, 8, 8, 8], 0));
        for answers in [vec![public, local], vec![local, public], vec![local]] {
            let guard = AddressGuard::public_only();
            let client = builder()
                .address_guard(guard)
                .resolve(HOST, answers.clone());
            let error = refused(&client.build().unwrap(), &server.url("/")).await;
            let several = format!(", one of {} addresses of", answers.len());
            assert_eq!(
                error.to_string().contains(&several),
                answers.len() > 1,
                "{error}"
            );
        }
        // A port of an answer's own is the one that is dialled.
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], server.addr.port()));
        for (port, may) in [(server.addr.port(), true), (443, false)] {
            let guard = AddressGuard::default().allow_port(port);
            let client = builder()
                .address_guard(guard)
                .resolve(HOST, [elsewhere])
                .build();
            let outcome = client
                .unwrap()
                .fetch(format!("https://{HOST}/").as_str())
                .await;
            assert_eq!(outcome.is_ok(), may, "{port}");
        }
        has_seen(&server, 1).await;
    })
    .await;
}

/// Answers with the first address once, and with the second ever after.
struct Rebinding([SocketAddr; 2], AtomicUsize);

impl Resolve for Rebinding {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let Self([first, second], asked) = self;
        let address = match asked.fetch_add(1, Ordering::Relaxed) {
            0 => first,
            _ => second,
        };
        Box::pin(async move { Ok(vec![*address]) })
    }
}

/// Whoever answers for a name in DNS may mean another host by it every time. Loopback is in the
/// place of a public address here.
#[tokio::test]
async fn a_name_that_changes_its_answer_leads_nowhere_new() {
    in_time(async {
        let (server, other) = (Server::tls(go).await, Server::tls(go).await);
        let url =
            |server: &Server, path: &str| format!("https://{OTHER}:{}{path}", server.addr.port());
        for second in ["169.254.169.254", "10.0.0.1", "127.0.0.2", "::1"] {
            for way in [Way::Fetch, Way::Hop, Way::Connect] {
                let answers =
                    ["127.0.0.1", second].map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
                let resolver = Arc::new(Rebinding(answers, AtomicUsize::new(0)));
                let asked = || resolver.1.load(Ordering::Relaxed);
                let guard = AddressGuard::public_only().allow("127.0.0.1");
                let client = builder()
                    .resolver(Arc::clone(&resolver))
                    .pool_idle_timeout(Duration::ZERO)
                    .address_guard(guard);
                let client = client.build().unwrap();
                let before = server.connections();
                let error = match way {
                    Way::Fetch => {
                        client.fetch(url(&server, "/")).await.unwrap();
                        assert_eq!(asked(), 1, "what was judged is dialled");
                        refused(&client, &url(&server, "/")).await
                    }
                    // Its port is another, so that it needs a connection of its own.
                    Way::Hop => {
                        let to = format!("/go?{}", url(&other, "/"));
                        refused(&client, &url(&server, &to)).await
                    }
                    Way::Connect => {
                        let connect = || client.connect(OTHER, server.addr.port());
                        connect().await.unwrap();
                        assert_eq!(asked(), 1, "what was judged is dialled");
                        connect().await.unwrap_err()
                    }
                };
                assert_eq!(error.kind(), ErrorKind::AddressRefused, "{error}");
                assert!(error.to_string().contains(second), "{error}");
                assert_eq!((asked(), server.connections()), (2, before + 1), "{error}");
            }
        }
        assert_eq!(other.connections(), 0);
    })
    .await;
}

/// What asks for an address.
enum Way {
    Fetch,
    Hop,
    Connect,
}

/// Another name in the certificate of the servers, which nobody is told the address of.
const OTHER: &str = "xn--bcher-kva.example";

#[tokio::test]
async fn every_hop_is_judged() {
    in_time(async {
        let server = Server::tls(go).await;
        let port = server.addr.port();
        // The name is excepted, and nobody whom it sends us to.
        let client = guarded(AddressGuard::public_only().allow_host(HOST));
        for (hop, host) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("localhost", "localhost"),
            ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
            ("169.254.169.254", "169.254.169.254"),
        ] {
            let before = server.requests().len();
            let url = server.url(&format!("/go?/go?https://{hop}:{port}/secret"));
            let error = refused(&client, &url).await;
            // The one that was refused, and not what came before.
            let expected = format!("https://{host}:{port}/secret");
            assert_eq!(error.url().unwrap().as_str(), expected);
            assert_eq!(server.requests().len(), before + 2, "{hop}");
        }
        // All of the hops were on the connection of the first.
        assert_eq!(server.connections(), 1);
        // What took its time before that is told.
        let client = guarded(AddressGuard::public_only().allow_host(HOST));
        let error = refused(
            &client,
            &server.url(&format!("/go?https://127.0.0.1:{port}/")),
        )
        .await;
        assert!(error.timings().tls().is_some(), "{:?}", error.timings());
        has_seen(&server, 2).await;
        // From our own host to our own host is no way in.
        let client = guarded(AddressGuard::default());
        let url = server.url(&format!("/go?https://127.0.0.1:{port}/there"));
        let response = client.fetch(url.as_str()).await.unwrap();
        assert_eq!(response.url().path(), "/there");
    })
    .await;
}

#[test]
fn what_a_guard_cannot_read_is_an_error_of_the_client() {
    let everything = AddressGuard::default;
    for (guard, says) in [
        (
            everything().allow("10.0.0.1/8"),
            "\"10.0.0.1/8\" in an address guard is neither",
        ),
        (
            everything().deny("10.0.0.0/33"),
            "\"10.0.0.0/33\" in an address guard is neither",
        ),
        (
            everything().deny("localhost"),
            "\"localhost\" in an address guard is neither",
        ),
        (
            everything().allow("127.1"),
            "\"127.1\" in an address guard is neither",
        ),
        (
            everything().allow("\u{202e}"),
            "\"\\u{202e}\" in an address guard is neither",
        ),
        (
            everything().allow_host("a b"),
            "the host pattern \"a b\" is neither",
        ),
    ] {
        let error = Client::builder().address_guard(guard).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }
}
