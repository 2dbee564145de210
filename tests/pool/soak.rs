//! Many fetches at once, dropped at any moment, from servers that hang up at any moment: everybody
//! gets his own answer, and nothing is sent more often than the rule of replay has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use urlfetch::{Client, ErrorKind, Method};

use crate::site::{HangUp, Http1, Site, target};
use crate::{all, soon};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_his_own_answer() {
    for (protocol, most) in [("http/1.1", None), ("http/1.1", Some(FEW)), ("h2", None)] {
        let seen = Seen::default();
        let site = {
            let seen = seen.clone();
            Site::start(protocol, move |n, stream| {
                let (seen, chance) = (seen.clone(), Chance(n as u64));
                async move {
                    match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => http2(stream, seen, chance).await,
                        _ => http1(stream, seen, chance).await,
                    }
                }
            })
            .await
        };
        let client = site.client_with(|builder| match most {
            Some(most) => builder.pool_max_connections_per_host(most),
            None => builder,
        });
        let tasks =
            (0..TASKS).map(|task| fetch_on_and_on(client.clone(), site.url("/"), task, most));
        let answered: usize = all(tasks).await.into_iter().sum();
        assert!(answered > TASKS * FETCHES / 2, "{protocol}: {answered}");
        let stats = client.pool_stats();
        let now = stats.now;
        assert_eq!((now.in_use, now.streams), (0, 0), "{protocol}: {stats:?}");
        assert_eq!((now.waiting, now.dialling), (0, 0), "{protocol}: {stats:?}");
        assert!(stats.opened <= site.connections() as u64);
        assert!(stats.opened + stats.reused >= answered as u64);
        assert!(stats.replayed > 0, "{protocol}: {stats:?}");
        for (token, times) in seen.0.lock().unwrap().iter() {
            let most = if token.starts_with("/GET") { 2 } else { 1 };
            assert!(*times <= most, "{protocol}: {token} was sent {times} times");
        }
    }
}

/// How many had an answer.
async fn fetch_on_and_on(client: Client, url: String, task: usize, most: Option<usize>) -> usize {
    let mut chance = Chance(1_000_003 * task as u64);
    let mut answered = 0;
    for n in 0..FETCHES {
        let method = match chance.of(2) {
            true => Method::GET,
            false => Method::POST,
        };
        let path = format!("/{method}/{task}/{n}");
        let request = client
            .fetch(format!("{}{}", url, &path[1..]))
            .method(method);
        let leaves = chance.of(10);
        let fetch = async {
            let mut response = request.await?;
            if leaves {
                // The rest is nobody's.
                response.chunk().await?;
                return Ok(None);
            }
            response.text().await.map(Some)
        };
        let outcome = match chance.of(5) {
            true => {
                let patience = Duration::from_micros(chance.next() % 3_000);
                match tokio::time::timeout(patience, fetch).await {
                    Ok(outcome) => outcome,
                    Err(_) => continue,
                }
            }
            false => soon(fetch).await,
        };
        let now = client.pool_stats().now;
        // Who was given a connection a moment ago may still be counted among those who wait.
        assert!(now.in_use + now.streams + now.dialling <= TASKS, "{now:?}");
        assert!(now.waiting <= TASKS, "{now:?}");
        if let Some(most) = most {
            assert!(now.open + now.dialling <= most, "{now:?}");
        }
        match outcome {
            Ok(Some(text)) => {
                assert_eq!(text, body(&path));
                answered += 1;
            }
            Ok(None) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionClosed, "{error}"),
        }
    }
    answered
}

async fn http1(stream: TlsStream<TcpStream>, seen: Seen, mut chance: Chance) {
    let mut http = Http1::new(stream);
    while let Some(head) = http.head().await {
        let path = target(&head);
        seen.add(path);
        let whole = body(path);
        let how = match chance.of(2) {
            true => HangUp::Close,
            false => HangUp::Reset,
        };
        if chance.of(20) {
            return http.hang_up(how).await;
        }
        if chance.of(20) {
            let length = whole.len();
            http.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n/"
            ))
            .await;
            return http.hang_up(how).await;
        }
        http.reply(&whole).await;
        if chance.of(20) {
            return http.hang_up(how).await;
        }
    }
}

async fn http2(stream: TlsStream<TcpStream>, seen: Seen, mut chance: Chance) {
    let Ok(mut h2) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = h2.accept().await {
        if chance.of(20) {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            continue;
        }
        let path = request.uri().path();
        seen.add(path);
        if chance.of(20) {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            continue;
        }
        if let Ok(mut body_of) = respond.send_response(Response::new(()), false) {
            let whole = body(path);
            let (begin, rest) = whole.split_at(chance.next() as usize % whole.len());
            let _ = body_of.send_data(begin.to_owned().into(), false);
            if chance.of(20) {
                body_of.send_reset(h2::Reason::INTERNAL_ERROR);
                continue;
            }
            let _ = body_of.send_data(rest.to_owned().into(), true);
        }
        if chance.of(200) {
            h2.graceful_shutdown();
        }
        if chance.of(500) {
            return;
        }
    }
}

/// A body that cannot be mistaken for another, or for part of it.
fn body(path: &str) -> String {
    format!("{path}\n").repeat(200)
}

/// What the server was sent, and how often.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<String, usize>>>);

impl Seen {
    fn add(&self, token: &str) {
        *self.0.lock().unwrap().entry(token.to_owned()).or_default() += 1;
    }
}

/// Numbers that are as good as random and always the same: Knuth's MMIX generator.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Once in so many times.
    fn of(&mut self, times: u64) -> bool {
        self.next() % times == 0
    }
}

const TASKS: usize = 32;

/// Connections that are few for as many.
const FEW: usize = 3;

/// A few seconds; the bugs it was written for showed at 800 within minutes.
const FETCHES: usize = 40;
