//! Bytes that no request asked for: whatever a server says beyond the end of a response answers
//! nobody, and its connection serves nobody else (RFC 9112 §6.3, §9.2).
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::sync::mpsc::{self, Receiver};

use script::{HOST, Server, Talk, builder, in_time, reply};
use tokio::runtime::Runtime;
use urlfetch::{Client, Method};

/// How the responses end after which something follows.
const ENDS: [(&str, &str); 8] = [
    ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"),
    ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    (
        "GET",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
    ),
    (
        "GET",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nx: y\r\n\r\n",
    ),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    (
        "GET",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n",
    ),
    ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"),
    (
        "POST",
        "HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\ngood",
    ),
];

/// What follows: another response, a part of one, a blank line, or the end of the connection.
const REST: [&str; 4] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
    "H",
    "\r\n",
    "",
];

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http,
    Https,
    /// Through a proxy that speaks TLS too, and is the server's own.
    TlsInTls,
}

/// A server in a runtime of its own, whose every first answer is followed by what nobody asked for:
/// in one piece with it, or in a record of its own. It tells when all of it is with the client's
/// system.
struct Poisoner {
    way: Way,
    server: Server,
    said: Receiver<()>,
    runtime: Runtime,
}

impl Poisoner {
    fn start(way: Way, good: &'static str, rest: &'static str, at_once: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (say, said) = mpsc::channel();
        let (scheme, protocol) = match way {
            Way::Http => ("http", None),
            Way::Https | Way::TlsInTls => ("https", Some("http/1.1")),
        };
        let script = move |mut talk: Talk| {
            let say = say.clone();
            async move {
                if way == Way::TlsInTls {
                    match talk.tunnel("http/1.1").await {
                        Some(end) => talk = end,
                        None => return,
                    }
                }
                while let Some(request) = talk.request().await {
                    if request.path() == "/next" {
                        let _ = talk.say(reply("200 OK", "", "clean")).await;
                        continue;
                    }
                    if rest.is_empty() {
                        let _ = talk.say(good).await;
                        drop(talk);
                        let _ = say.send(());
                        return;
                    }
                    // A client that is gone already has seen it.
                    let _ = match at_once {
                        true => talk.say([good, rest].concat()).await,
                        false => match talk.say(good).await {
                            Ok(()) => talk.say(rest).await,
                            gone => gone,
                        },
                    };
                    let _ = say.send(());
                }
            }
        };
        let (give, started) = mpsc::channel();
        // A runtime cannot be waited for within another.
        runtime.spawn(async move {
            let _ = give.send(Server::start(scheme, protocol, script).await);
        });
        Self {
            way,
            server: started.recv().unwrap(),
            said,
            runtime,
        }
    }

    fn client(&self) -> Client {
        let client = match self.way {
            Way::Http | Way::Https => builder(),
            Way::TlsInTls => builder().proxy(format!("https://{HOST}:{}", self.server.addr.port())),
        };
        client.build().unwrap()
    }

    /// Ends without waiting, as a runtime may not within another.
    fn stop(self) {
        self.runtime.shutdown_background();
    }

    /// Fetches, waits for what follows without a look at the socket, and fetches again.
    async fn round(&self, client: &Client, method: &str, shown: &str) {
        let before = self.server.connections();
        let method: Method = method.parse().unwrap();
        let request = client.fetch(self.server.url("/")).method(method.clone());
        let first = request.await.unwrap();
        let body = first.text().await.unwrap();
        assert!(body == "good" || body.is_empty(), "{shown}");
        // This thread blocks, and with it, where it is the only one, tokio's driver: the bytes are
        // there, and nobody has been told.
        self.said.recv().unwrap();
        let next = client
            .fetch(self.server.url("/next"))
            .method(method.clone());
        let next = next.await.unwrap();
        let expected = if method == Method::HEAD { "" } else { "clean" };
        assert_eq!(next.status(), 200, "{shown}");
        assert_eq!(next.headers()["content-length"], "5", "{shown}");
        assert_eq!(next.text().await.unwrap(), expected, "{shown}");
        // The next request went by a connection of its own, which served the first of this round
        // or of the one before.
        assert!(self.server.connections() > before, "{shown}");
        let connection = |path: &str| {
            let requests = self.server.requests();
            let last = requests.iter().rfind(|request| request.path() == path);
            last.unwrap().connection
        };
        assert_ne!(connection("/"), connection("/next"), "{shown}");
    }
}

async fn rounds(way: Way, count: usize) {
    in_time(async {
        for at_once in [true, false] {
            for (method, good) in ENDS {
                for rest in REST {
                    let poisoner = Poisoner::start(way, good, rest, at_once);
                    let shown = format!("{way:?} {at_once} {method} {good:?} {rest:?}");
                    for _ in 0..count {
                        // A client of its own, so that the first request is on a new connection.
                        poisoner.round(&poisoner.client(), method, &shown).await;
                    }
                    // On one that has served others, too.
                    let client = poisoner.client();
                    for _ in 0..count {
                        poisoner.round(&client, method, &shown).await;
                    }
                    poisoner.stop();
                }
            }
        }
    })
    .await;
}

/// The only thread sees nothing of what comes while it is busy.
#[tokio::test]
async fn what_is_there_before_a_request_does_not_answer_it() {
    rounds(Way::Https, 2).await;
    rounds(Way::Http, 2).await;
    rounds(Way::TlsInTls, 2).await;
}

/// Here another thread is told of it, beside whoever reads the body's end.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_it_while_another_thread_is_told_of_it() {
    rounds(Way::Https, 2).await;
    rounds(Way::Http, 5).await;
    rounds(Way::TlsInTls, 2).await;
}
