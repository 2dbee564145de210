//! One request on one connection: the head of its response, or why there is none.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Request;
use http::response::Parts;
use tokio::time::Instant;

use super::facts::Facts;
use super::failure::{Broken, explain, is_going_away, is_refused};
use super::framing;
use super::http1::{Asked, Fault, Http1};
use super::http2::{self, make_ready};
use super::incoming::Incoming;
use super::lease::{Lease, Uploading};
use super::outgoing::Outgoing;
use super::replay::Circumstances;
use super::sender::Sender;
use super::stream::Traffic;
use super::tally::Tally;
use super::trust::Endpoint;
use crate::error::{self, Error, ErrorKind};
use crate::limits::{Deadline, Elapsed};
use crate::timings::{self, Phase, Timings};

/// A response whose head has come. Its body is still on the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    /// When the head had come.
    pub(crate) came: Instant,
}

/// A request that had no response.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// What it was to upload, if nothing of it was sent.
    pub(crate) payload: Option<Outgoing>,
    pub(crate) how: Circumstances,
}

impl Lease {
    /// Sends a request, and waits for the head of its response.
    ///
    /// Nothing is written unless the connection meets the demand. The timings get the first byte's
    /// and, if there is no response, the bytes that were moved; those of a response are its body's
    /// to tell.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn's future has room for each argument twice, and this one is in every fetch"
    )]
    pub(crate) fn send<'a, A: Ask>(
        &'a mut self,
        target: &'a Endpoint,
        deadline: &'a Deadline,
        timings: &'a mut Timings,
        ask: A,
    ) -> impl Future<Output = Result<Answer, Failed>> + Send + use<'a, A> {
        async move {
            self.open.clean = false;
            // On an open connection these two are all the clock reads that timings cost. The first
            // one tells the deadline, too, whether it is over.
            let begun = timings::now();
            let before = Before::of(&self.open.facts.traffic);
            // The request is not kept while its answer is waited for: there is no room for it here.
            let answered = match self.begin(target, deadline, begun, ask) {
                Ok(Ok(sending)) => {
                    let outcome = deadline.hold(sending).await;
                    let elapsed = |_| deadline.elapsed(Phase::FirstByte);
                    self.answered(outcome.map_err(elapsed), before)
                }
                Ok(Err(lost)) => self.answered(Ok(Err(lost)), before),
                Err(failed) => Err(failed),
            };
            let came = timings::now();
            timings.add(Phase::FirstByte, came.duration_since(begun));
            match answered {
                Ok((head, body)) => Ok(Answer { head, body, came }),
                Err(failed) => {
                    // What was handed back was not sent.
                    if failed.payload.is_none() {
                        *timings = timings.with_moved(self.moved());
                    }
                    Err(failed)
                }
            }
        }
    }

    /// The sender goes with the request: see [`Open::sender`](super::host::Open::sender).
    fn begin(
        &mut self,
        target: &Endpoint,
        deadline: &Deadline,
        now: Instant,
        ask: impl Ask,
    ) -> Result<Result<Sending, Lost>, Failed> {
        self.check(target, deadline, now)?;
        match self.open.sender.take() {
            Some(Sender::Http1(mut connection)) => {
                let asked = ask.over_http1(connection.text());
                let asked = asked.map_err(|error| self.unsent(error))?;
                self.tally = Tally::http1(&self.open.facts.traffic);
                connection.begin(asked);
                Ok(Ok(Sending::Http1(Some(connection))))
            }
            Some(Sender::Http2(mut connection)) => {
                let mut request = ask.over_http2().map_err(|error| self.unsent(error))?;
                make_ready(&mut request);
                let progress = request.body_mut().progress();
                self.tally = Tally::http2(&request);
                match connection.send(request) {
                    Ok((sending, piping)) => {
                        // It goes on by itself, for as long as somebody has the response.
                        self.uploading = progress.map(|progress| Uploading::new(progress, piping));
                        Ok(Ok(Sending::Http2(sending)))
                    }
                    Err((error, payload)) => Ok(Err((Broken::http2(error), payload))),
                }
            }
            None => Err(self.unsent(Error::new(
                ErrorKind::ConnectionClosed,
                "the connection is spent",
            ))),
        }
    }

    /// Whether a request may be written.
    fn check(&self, target: &Endpoint, deadline: &Deadline, now: Instant) -> Result<(), Failed> {
        let https = target.origin().is_https();
        let admitted = target.demand().admits(https, self.open.facts.party());
        admitted.map_err(|refused| self.unsent(refused.into()))?;
        match deadline.is_over_at(now) {
            true => Err(self.unsent(deadline.elapsed(Phase::FirstByte).into())),
            false => Ok(()),
        }
    }

    fn unsent(&self, error: Error) -> Failed {
        Failed {
            error: error.with_verdict(self.open.facts.shared_verdict()),
            payload: None,
            how: Circumstances::default(),
        }
    }

    /// The head of the response, or why there is none.
    fn answered(
        &mut self,
        outcome: Result<Outcome, Elapsed>,
        before: Before,
    ) -> Result<(Parts, Incoming), Failed> {
        let facts = &self.open.facts;
        // An HTTP/1.1 connection goes with its request: what was not written by now never will be.
        // On h2 other streams are counted too.
        let sent = facts.is_http2 || facts.traffic.written() > before.written;
        let (head, body) = match outcome {
            Err(elapsed) => {
                // A peer that is gone without a word takes every request of the next minutes; so
                // may one that has words for everything but requests.
                if !before.is_answered(facts) {
                    self.open.retire();
                }
                let error = Error::from(elapsed).sent(sent);
                return Err(Failed {
                    error: error.with_verdict(facts.shared_verdict()),
                    payload: None,
                    how: Circumstances {
                        reused: self.open.reused,
                        answered: true,
                        ..Circumstances::default()
                    },
                });
            }
            Ok(Err((error, payload))) => {
                let how = Circumstances {
                    handed_back: payload.is_some(),
                    // h2 fails a stream by GOAWAY only above the last one that the peer will
                    // process.
                    unprocessed: !sent
                        || is_refused(&error)
                        || is_going_away(&error, self.open.reused),
                    reused: self.open.reused,
                    answered: facts.traffic.read() > before.read,
                };
                // One stream that was reset says nothing of the others, nor does one head.
                match &error {
                    Broken::Doubt(_) => {}
                    Broken::Http2(error) if error.is_reset() => {}
                    _ => self.open.retire(),
                }
                let payload_failed = self.payload_failure().cloned();
                return Err(Failed {
                    error: payload_failed
                        .unwrap_or_else(|| explain(error, facts))
                        .with_phase(Phase::FirstByte)
                        .sent(sent && payload.is_none())
                        .with_verdict(facts.shared_verdict()),
                    payload,
                    how,
                });
            }
            Ok(Ok(response)) => response,
        };
        self.tally.head(&head);
        Ok((head, body))
    }
}

/// A request that can be written for either protocol.
pub(crate) trait Ask: Send {
    /// Writes its head, for HTTP/1.1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if it cannot be written.
    fn over_http1(self, text: &mut Vec<u8>) -> error::Result<Asked>;

    /// # Errors
    ///
    /// The same.
    fn over_http2(self) -> error::Result<Request<Outgoing>>;
}

/// What came of a request. What it was to upload is there if nothing of it was sent.
type Outcome = Result<(Parts, Incoming), Lost>;

type Lost = (Broken, Option<Outgoing>);

/// A request under way, until the head of its response has come. Dropped before, it ends its
/// connection or its stream.
enum Sending {
    Http1(Option<Box<Http1>>),
    Http2(http2::Sending),
}

impl Future for Sending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let polled = match &mut *self {
            Self::Http1(sending) => {
                let head = match sending {
                    Some(connection) => ready!(connection.poll_head(cx)),
                    // It has been told how it ended, and is asked again.
                    None => Err(Broken::Http1(Fault::Ended)),
                };
                let body = sending.take().map_or(Incoming::Ended, Incoming::Http1);
                head.map(|head| (head, body))
            }
            Self::Http2(sending) => match ready!(Pin::new(sending).poll(cx)) {
                Ok((head, body)) => match framing::check(&head) {
                    Ok(()) => Ok((head, Incoming::Http2(body))),
                    Err(doubt) => Err(Broken::Doubt(doubt)),
                },
                Err(error) => Err(Broken::http2(error)),
            },
        };
        Poll::Ready(polled.map_err(|broken| (broken, None)))
    }
}

/// What the connection had read and written before a request.
struct Before {
    read: u64,
    written: u64,
    answers: u64,
}

impl Before {
    fn of(traffic: &Traffic) -> Self {
        Self {
            read: traffic.read(),
            written: traffic.written(),
            answers: traffic.answers(),
        }
    }

    /// Whether anything has come since that may be of a response.
    fn is_answered(&self, facts: &Facts) -> bool {
        match facts.is_http2 {
            true => facts.traffic.answers() > self.answers,
            false => facts.traffic.read() > self.read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::yield_now;

    use super::super::host::{Choice, Host, Next};
    use super::super::keep::Keep;
    use super::super::transport::Transport;
    use super::super::{Connected, Origin, Stream, Trust};
    use super::*;
    use crate::limits;
    use crate::tls::demand::Demand;
    use crate::tls::{self, Policy};

    /// Where a reply is cut, or that it is not, what comes of it is an end in time: an error, or
    /// what the bytes that are there make without doubt.
    #[tokio::test]
    async fn a_reply_that_is_cut_anywhere_is_whole_or_an_error() {
        for (reply, expected) in REPLIES {
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            for cut in 0..=reply.len() {
                let outcome = outcome(&reply[..cut]).await;
                match &outcome {
                    // Without a length a body ends where the connection does.
                    Ok((_, body)) if reply.contains("\r\n\r\nuntil") => {
                        assert!("until".starts_with(body), "{outcome:?} {reply:?}");
                    }
                    Ok(_) => assert_eq!(outcome, expected, "{reply:?}"),
                    Err(kind) => assert!(
                        [ErrorKind::ConnectionClosed, ErrorKind::MalformedReply].contains(kind),
                        "{cut} {kind:?} {reply:?}"
                    ),
                }
                if cut == reply.len() {
                    assert_eq!(outcome, expected, "{reply:?}");
                }
            }
        }
    }

    /// What is there before the request is no answer to it, on a new connection either.
    #[tokio::test]
    async fn a_server_that_speaks_first_is_not_heard() {
        for (reply, _) in REPLIES {
            let (client, mut server) = duplex(4096);
            server.write_all(reply.as_bytes()).await.unwrap();
            let failed = send(client).await.unwrap_err();
            assert_eq!(failed.error.kind(), ErrorKind::MalformedReply, "{reply:?}");
            assert!(!failed.error.request_was_sent(), "{reply:?}");
            let mut sent = Vec::new();
            server.read_to_end(&mut sent).await.unwrap();
            assert_eq!(sent, b"", "{reply:?}");
        }
    }

    #[tokio::test]
    async fn a_reply_says_whether_another_may_follow_it() {
        for (reply, expected) in [
            ("HTTP/1.1 204 ?\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\nok", false),
            ("HTTP/1.0 204 ?\r\nconnection: keep-alive\r\n\r\n", false),
            ("HTTP/1.1 204 ?\r\nconnection: x, Close\r\n\r\n", false),
        ] {
            let (client, mut server) = duplex(4096);
            let talk = async move {
                until_blank_line(&mut server).await;
                server.write_all(reply.as_bytes()).await.unwrap();
            };
            let (sent, ()) = tokio::join!(send(client), talk);
            let Ok((Answer { mut body, .. }, _lease)) = sent else {
                panic!("{reply:?}");
            };
            while body.frame().await.is_some() {}
            let Incoming::Http1(connection) = body else {
                panic!("there is no ALPN in a pipe");
            };
            assert_eq!(connection.is_reusable(), expected, "{reply:?}");
        }
    }

    /// Nor does it matter in what pieces the bytes come.
    #[tokio::test]
    async fn a_reply_that_comes_byte_by_byte_is_the_same() {
        for (reply, expected) in REPLIES {
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            let (client, mut server) = duplex(4096);
            let talk = async {
                until_blank_line(&mut server).await;
                for byte in reply.as_bytes() {
                    if server.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    yield_now().await;
                }
                server
            };
            let (outcome, _server) = tokio::join!(fetch(client), async { drop(talk.await) });
            assert_eq!(outcome, expected, "{reply:?}");
        }
    }

    /// What the peer can have us take in is bounded by our limits, not by what it says.
    #[tokio::test]
    async fn so_much_is_taken_in_and_no_more() {
        use ErrorKind::{MalformedReply, ResponseTooLarge};
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let in_chunks = |rest: &str| [chunked, rest].concat();
        let head = u64::from(limits::RESPONSE_HEAD);
        let large = format!("HTTP/1.1 103 ?\r\nx: {}\r\n\r\n", "y".repeat(60 << 10));
        let interim = large.len() as u64 * (limits::INTERIM_RESPONSES as u64 + 1);
        for (once, then, expected, most) in [
            ("".into(), "\r\n", ResponseTooLarge, head),
            ("".into(), "y", MalformedReply, 0),
            ("HTTP/1.1 2".into(), "0", MalformedReply, 0),
            ("HTTP/1.1 200 ".into(), "y", ResponseTooLarge, head),
            ("HTTP/1.1 200 OK\r\n".into(), "y", ResponseTooLarge, head),
            ("HTTP/1.1 200 OK\r\nx: ".into(), "y", ResponseTooLarge, head),
            ("HTTP/1.1 200 OK\r\nx: ".into(), " ", ResponseTooLarge, head),
            (
                "HTTP/1.1 200 OK\r\n".into(),
                "x: y\r\n",
                ResponseTooLarge,
                head,
            ),
            ("".into(), "HTTP/1.1 100 ?\r\n\r\n", MalformedReply, head),
            ("".into(), &large, MalformedReply, interim + head),
            (in_chunks("5;"), "y", MalformedReply, 16 << 10),
            (
                chunked.into(),
                "1;yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\nx\r\n",
                MalformedReply,
                48 << 10,
            ),
            (in_chunks("5"), "0", MalformedReply, 0),
            (in_chunks("0\r\nx: "), "y", MalformedReply, head),
            (in_chunks("0\r\n"), "x: y\r\n", MalformedReply, head),
        ] {
            let (client, server) = duplex(PIPE);
            let (taken, talk) = flood(server, once.clone(), then.to_owned());
            let (outcome, ()) = tokio::join!(fetch(client), talk);
            let taken = taken.load(Ordering::Relaxed);
            let shown = &then[..then.len().min(20)];
            assert_eq!(outcome, Err(expected), "{once:?} {shown:?}");
            // Beyond it is what one read of the connection may have brought, and the pipe.
            assert!(taken <= most + SLACK, "{once:?} {shown:?} {taken}");
        }
    }

    /// Of a body that nobody reads, no more is taken in than one can wait for.
    #[tokio::test]
    async fn a_body_that_nobody_reads_stays_with_its_server() {
        for (once, then) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "y"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "y"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "1\r\ny\r\n",
            ),
        ] {
            let (client, server) = duplex(PIPE);
            let (taken, talk) = flood(server, once.to_owned(), then.to_owned());
            let talk = tokio::spawn(talk);
            let exchange = send(client).await.map_err(|failed| failed.error).unwrap();
            for _ in 0..10_000 {
                yield_now().await;
            }
            let taken = taken.load(Ordering::Relaxed);
            assert!(taken <= SLACK, "{once:?} {taken}");
            drop(exchange);
            talk.await.unwrap();
        }
    }

    /// hyper reads the same from a reply, or takes it where we see doubt.
    #[tokio::test]
    async fn hyper_reads_the_same() {
        const PARTS: [&[&str]; 6] = [
            &["", "", "\r\n", "\n", "\r", " "],
            &[
                "HTTP/1.1 200 OK",
                "HTTP/1.1 200",
                "HTTP/1.0 200 ?",
                "HTTP/1.1 204 ?",
                "HTTP/1.1 304 ?",
                "HTTP/1.1 100 ?\r\n\r\nHTTP/1.1 200 OK",
                "HTTP/1.1 103 ?\r\nx: y\r\n\r\nHTTP/1.1 404 ?",
                "HTTP/1.2 200 ?",
                "HTTP/1.1 20 ?",
            ],
            &["\r\n", "\r\n", "\n", "\r", ""],
            &[
                "",
                "content-length: 5\r\n",
                "content-length: 5, 5\r\n",
                "Content-Length:5 \r\n",
                "content-length: 4\r\n",
                "content-length: 05\r\ncontent-length: 5\r\n",
                "content-length: +5\r\n",
                "content-length:\r\n",
                "content-length: 0\r\n",
                "transfer-encoding: chunked\r\n",
                "transfer-encoding: chunked\r\n",
                "transfer-encoding: Chunked \r\n",
                "connection: close\r\n",
                "x: \u{e9}\r\n",
                "x:y\n",
                "x y\r\n",
                "x: a\r\n b\r\n",
                "x: a\0\r\n",
            ],
            &["\r\n", "\r\n", "\r\n", "\n", "\r", ""],
            &[
                "hello",
                "",
                "5\r\nhello\r\n0\r\n\r\n",
                "2;a\r\nhe\r\n3 \r\nllo\r\n0\r\nx: y\r\n\r\n",
                "5\r\nhello\r\n0\r\n",
                "5\r\nhello0\r\n\r\n",
                "5\nhello\r\n0\r\n\r\n",
                "x\r\n",
                "hellohello",
                "05;\t=\r\nhello\r\n000\r\n\r\n",
                "5\r\nhello\r\n0\r\nx: y\nz: a\r\n\r\n",
                "5\r\nhello\r\n0\r\nxy\r\n\r\n",
                "fffffffffffffffff\r\n",
                "5\r\nhello\r\n\r\n",
            ],
        ];
        let mut seed = 1_u64;
        let mut random = move |below: usize| {
            // xorshift64, which is random enough for this and the same every time.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        let (mut read, mut refused) = (0, 0);
        for _ in 0..4_000 {
            let mut reply = String::new();
            for part in PARTS {
                reply += part[random(part.len())];
            }
            let (ours, hypers) = (outcome(&reply).await, hyper_outcome(&reply).await);
            match (&ours, &hypers) {
                (Ok(ours), Some(hypers)) if ours == hypers => read += 1,
                (Err(_), None) => refused += 1,
                // A coding that came with 1.1.
                (Err(ErrorKind::MalformedReply), Some(_))
                    if reply.contains("HTTP/1.0") && reply.contains("unked") => {}
                _ => panic!("{ours:?} {hypers:?} {reply:?}"),
            }
        }
        assert!(read > 400 && refused > 400, "{read} {refused}");
    }

    async fn hyper_outcome(reply: &str) -> Option<(u16, String)> {
        let (client, mut server) = duplex(4096);
        let talk = async move {
            until_blank_line(&mut server).await;
            let _ = server.write_all(reply.as_bytes()).await;
        };
        let fetch = async move {
            let io = hyper_util::rt::TokioIo::new(client);
            let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(driver);
            let request = Request::get("/").header("host", "lab.test");
            let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.ok()?;
            Some((status, String::from_utf8(body.to_bytes().into()).unwrap()))
        };
        tokio::join!(fetch, talk).0
    }

    type Outcome = Result<(u16, &'static str), ErrorKind>;

    const REPLIES: [(&str, Outcome); 24] = {
        use ErrorKind::{ConnectionClosed, MalformedReply};
        [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                Ok((200, "hello")),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
                Ok((200, "hello")),
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                Ok((200, "hello")),
            ),
            ("HTTP/1.1 200 OK\r\nx: y\r\n\r\nuntil", Ok((200, "until"))),
            ("HTTP/1.1 204 ?\r\ncontent-length: 5\r\n\r\n", Ok((204, ""))),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=\"b\"\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n",
                Ok((200, "hello")),
            ),
            (
                "HTTP/1.1 103 ?\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                Ok((200, "hello")),
            ),
            (
                "HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
                Ok((200, "hello")),
            ),
            (
                "\r\n\r\nHTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello",
                Ok((200, "hello")),
            ),
            (
                "HTTP/1.1 101 ?\r\nupgrade: x\r\n\r\nhello",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\nhello",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\nhello",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\nhello",
                Err(MalformedReply),
            ),
            ("HTTP/1.1 200 OK\r\nx : a\r\n\r\nhello", Err(MalformedReply)),
            ("220 mail.test ESMTP\r\n\r\n", Err(MalformedReply)),
            (
                "\0\0\u{12}\u{4}\0\0\0\0\0\0\u{3}\0\0\0d",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n",
                Err(MalformedReply),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
                Err(ConnectionClosed),
            ),
        ]
    };

    /// What comes of a reply, after which the connection ends.
    async fn outcome(reply: &str) -> Result<(u16, String), ErrorKind> {
        let (client, mut server) = duplex(4096);
        let talk = async move {
            until_blank_line(&mut server).await;
            let _ = server.write_all(reply.as_bytes()).await;
        };
        tokio::join!(fetch(client), talk).0
    }

    /// Writes one thing, and then another again and again, until the client is gone. How much of it
    /// the pipe has taken can be looked at.
    fn flood(
        mut server: DuplexStream,
        once: String,
        then: String,
    ) -> (Arc<AtomicU64>, impl Future<Output = ()> + Send) {
        let taken = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&taken);
        let talk = async move {
            // The request, which is read first, so that nothing is there before it.
            until_blank_line(&mut server).await;
            let block = then.repeat((PIPE / then.len()).max(1));
            let mut next = once.as_bytes();
            loop {
                if next.is_empty() {
                    next = block.as_bytes();
                }
                let Ok(written) = server.write(next).await else {
                    return;
                };
                next = &next[written..];
                counted.fetch_add(written as u64, Ordering::Relaxed);
            }
        };
        (taken, talk)
    }

    async fn until_blank_line(server: &mut DuplexStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(server.read_u8().await.unwrap());
        }
    }

    async fn fetch(client: DuplexStream) -> Result<(u16, String), ErrorKind> {
        let (exchange, lease) = send(client).await.map_err(|failed| failed.error.kind())?;
        let facts = Arc::clone(lease.facts());
        let body = exchange.body.collect().await;
        let body = body.map_err(|error| explain(error, &facts).kind())?;
        let text = String::from_utf8(body.to_bytes().into()).unwrap();
        Ok((exchange.head.status.as_u16(), text))
    }

    async fn send(client: DuplexStream) -> Result<(Answer, Lease), Failed> {
        let deadline = Deadline::start(Duration::from_secs(20));
        let connected = Connected {
            stream: Stream::plain(Transport::Tunnel(Box::new(client))),
            remote: (Ipv4Addr::LOCALHOST, 0).into(),
            host: None,
        };
        let host = Arc::new(Host::new(Keep::default(), Arc::default()));
        let Next::Dial(place) = host.next(Instant::now(), Choice::Any, true, false) else {
            panic!("nothing is there");
        };
        let open = host.opened(connected, place, deadline).await.unwrap();
        let mut timings = Timings::default();
        let (policy, clock) = (Policy::default(), tls::Clock::default());
        let trust = Trust::new(None, None, policy, vec![], clock, None).unwrap();
        let origin = Origin::of(&"http://lab.test/".parse().unwrap()).unwrap();
        let target = trust.endpoint(origin, Demand::Verified);
        let mut lease = Lease::new(open);
        let sending = lease.send(&target, &deadline, &mut timings, Get);
        let answer = sending.await?;
        Ok((answer, lease))
    }

    struct Get;

    impl Ask for Get {
        fn over_http1(self, text: &mut Vec<u8>) -> error::Result<Asked> {
            text.extend_from_slice(b"GET / HTTP/1.1\r\nhost: lab.test\r\n\r\n");
            Ok(Asked {
                payload: Outgoing::whole(Bytes::new()),
                is_head: false,
                is_last: false,
            })
        }

        fn over_http2(self) -> error::Result<Request<Outgoing>> {
            unreachable!("there is no ALPN in a pipe")
        }
    }

    /// What is between the client and its server.
    const PIPE: usize = 1 << 10;
    /// What one read may bring, at most, and what is between.
    const SLACK: u64 = 16 << 10;
}
