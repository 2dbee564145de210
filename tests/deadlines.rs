//! Deadlines: which clock ends a fetch, in which phase, and for whom.
//!
//! The server has a thread and a clock of its own. Where a default is shown the client's clock is
//! paused once the server has come to where it stays silent: from there on it jumps from timer to
//! timer, or stands still and is moved by hand, and no test waits.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::future::{Future, IntoFuture, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, advance, pause, resume};
use urlfetch::lab::{Lab, Scenario};
use urlfetch::{Client, Error, ErrorKind, Limits, Phase, RequestBuilder, Response};

use stall::{HOST, OK, Server};

#[path = "support/stall.rs"]
mod stall;

const ENOUGH: &str = "the deadline of 60s ended while reading the body";

#[tokio::test]
async fn sixty_seconds_hold_until_the_head() {
    let mut server = silent_after_the_request();
    let fetching = spawn(server.client().fetch(server.url("/")));
    assert_eq!(server.report().await, "asked");
    pause();
    let error = fetching.await.unwrap().unwrap_err();
    let sentence = "the deadline of 60s ended while waiting for the response head";
    assert_ended(&error, Phase::FirstByte, sentence, true);
    assert!(error.verdict().unwrap().is_verified());
}

/// App Engine's longest one, whatever is asked for.
#[tokio::test]
async fn a_deadline_beyond_the_longest_is_cut() {
    for (asked, cut) in [
        (None, 60),
        (Some(59), 59),
        (Some(60), 60),
        (Some(61), 60),
        (Some(600), 60),
    ] {
        let mut server = silent_after_the_request();
        let builder = server.client_builder().limits(Limits::app_engine());
        let mut fetch = builder.build().unwrap().fetch(server.url("/"));
        if let Some(asked) = asked {
            fetch = fetch.deadline(seconds(asked));
        }
        let started = Instant::now();
        let fetching = spawn(fetch);
        assert_eq!(server.report().await, "asked");
        pause();
        let error = fetching.await.unwrap().unwrap_err();
        let sentence = format!("the deadline of {cut}s ended while waiting for the response head");
        assert_ended(&error, Phase::FirstByte, &sentence, true);
        assert!(started.elapsed() >= seconds(cut));
        resume();
    }
}

#[tokio::test]
async fn a_connection_has_ten_seconds() {
    let mut server = silent_in_tls();
    let fetching = spawn(server.client().fetch(server.url("/")));
    assert_eq!(server.report().await, "hello");
    pause();
    let error = fetching.await.unwrap().unwrap_err();
    let sentence = "the connect timeout of 10s ended while in the TLS handshake";
    assert_ended(&error, Phase::Tls, sentence, false);
    assert!(error.verdict().is_none());
}

#[tokio::test]
async fn the_connect_timeout_and_the_deadline_are_told_apart() {
    for (timeout, deadline, sentence) in [
        (7, 9, "the connect timeout of 7s ended"),
        (9, 7, "the deadline of 7s ended"),
        (7, 7, "the deadline of 7s ended"),
    ] {
        let mut server = silent_in_tls();
        let builder = server.client_builder().connect_timeout(seconds(timeout));
        let client = builder.deadline(seconds(100)).build().unwrap();
        let fetching = spawn(client.fetch(server.url("/")).deadline(seconds(deadline)));
        assert_eq!(server.report().await, "hello");
        pause();
        let error = fetching.await.unwrap().unwrap_err();
        let sentence = format!("{sentence} while in the TLS handshake");
        assert_ended(&error, Phase::Tls, &sentence, false);
        resume();
    }
}

#[tokio::test]
async fn a_stream_of_any_protocol_has_the_same_clocks() {
    // The client's connect timeout, its deadline and its longest one, and the stream's own.
    for (timeout, deadline, longest, own, sentence) in [
        (7, 9, 100, None, "the connect timeout of 7s ended"),
        (9, 7, 100, None, "the deadline of 7s ended"),
        (9, 100, 100, Some(7), "the deadline of 7s ended"),
        (9, 5, 100, Some(7), "the deadline of 7s ended"),
        (7, 5, 100, Some(100), "the connect timeout of 7s ended"),
        (9, 100, 7, Some(100), "the deadline of 7s ended"),
    ] {
        let mut server = silent_in_tls();
        let limits = Limits::default()
            .deadline(seconds(deadline))
            .max_deadline(seconds(longest));
        let builder = server.client_builder().connect_timeout(seconds(timeout));
        let client = builder.limits(limits).build().unwrap();
        let (port, address) = (server.address.port(), server.address);
        let connecting = tokio::spawn({
            let client = client.clone();
            async move {
                let stream = client.connect(HOST, port);
                match own {
                    Some(own) => stream.deadline(seconds(own)).await.map(drop),
                    None => stream.await.map(drop),
                }
            }
        });
        let wrapping = tokio::spawn(async move {
            let tcp = TcpStream::connect(address).await.unwrap();
            let stream = client.wrap(tcp, HOST);
            match own {
                Some(own) => stream.deadline(seconds(own)).await.map(drop),
                None => stream.await.map(drop),
            }
        });
        assert_eq!(server.report().await, "hello");
        assert_eq!(server.report().await, "hello");
        pause();
        // The port of a stream that was open already is not known.
        let (dialled, given) = (format!("{HOST}:{port}"), HOST.to_owned());
        for (stopped, whose) in [(connecting, dialled), (wrapping, given)] {
            let error = stopped.await.unwrap().unwrap_err();
            let sentence = format!("{sentence} while in the TLS handshake ({whose})");
            assert_eq!(error.to_string(), sentence);
            assert_eq!(error.phase(), Some(Phase::Tls));
            assert!(error.timings().tls().is_some());
            assert!(!error.request_was_sent());
        }
        resume();
    }
}

/// A listener whose queue is full takes no connection and refuses none.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn opening_a_tcp_connection_is_a_phase() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue: Vec<_> = (0..8)
        .map(|_| Box::pin(TcpStream::connect(address)))
        .collect();
    for place in &mut queue {
        let _ = poll_once(place.as_mut());
    }
    let builder = Client::builder().allow_http(true).resolve(HOST, [address]);
    let error = builder.build().unwrap().fetch(format!("http://{HOST}/"));
    let sentence = "the connect timeout of 10s ended while opening a TCP connection";
    let sentence = format!("{sentence}: {address}: no answer yet");
    assert_ended(&error.await.unwrap_err(), Phase::Connect, &sentence, false);
}

#[tokio::test]
async fn a_body_has_the_clocks_of_its_reader() {
    #[derive(Debug)]
    enum Read {
        Whole,
        Streamed,
    }
    use Read::{Streamed, Whole};
    let idle = "the idle-read timeout of 30s ended while reading the body";
    let shorter = "the deadline of 20s ended while reading the body";
    let longer = "the deadline of 300s ended while reading the body";
    // (the limits, the deadline of the call, how it is read, what ends it 45 s after the start)
    let own = Limits::default();
    let longest = Limits::default().max_deadline(seconds(60));
    for (limits, deadline, read, sentence) in [
        (&own, None, Whole, ENOUGH),
        (&own, None, Streamed, idle),
        (&own, Some(60), Whole, ENOUGH),
        (&own, Some(60), Streamed, ENOUGH),
        (&own, Some(20), Whole, shorter),
        (&own, Some(20), Streamed, shorter),
        (&own, Some(300), Whole, longer),
        (&own, Some(300), Streamed, longer),
        // Under a longest deadline every fetch has one, a stream too.
        (&longest, None, Streamed, ENOUGH),
        (&longest, Some(300), Whole, ENOUGH),
        (&longest, Some(300), Streamed, ENOUGH),
    ] {
        let server = silent_in_the_body(Arc::default());
        let builder = server.client_builder().limits(limits.clone());
        let mut fetch = builder.build().unwrap().fetch(server.url("/"));
        if let Some(deadline) = deadline {
            fetch = fetch.deadline(seconds(deadline));
        }
        let mut response = fetch.await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "ab");
        let stopped = StoppedClock::new();
        advance(seconds(45)).await;
        drop(stopped);
        let error = match read {
            Whole => response.bytes().await.map(drop),
            Streamed => response.chunk().await.map(drop),
        };
        let error = error.unwrap_err();
        assert_ended(&error, Phase::Body, sentence, true);
        assert!(error.verdict().unwrap().is_verified());
        resume();
    }
}

/// The time before the body is read is not silence: the server may have been waiting for us.
#[tokio::test]
async fn silence_counts_while_somebody_listens() {
    let go = Arc::new(Notify::new());
    let server = silent_in_the_body(Arc::clone(&go));
    let mut response = server.client().fetch(server.url("/")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "ab");
    let _stopped = StoppedClock::new();
    advance(seconds(45)).await;
    let mut body = response.into_body();
    assert!(poll_once(pin!(body.chunk())).is_none());
    advance(seconds(29)).await;
    go.notify_one();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "cd");
}

/// A wait that was given up for another way to read must not move the end of the deadline.
#[tokio::test]
async fn the_deadline_ends_a_body_on_time_whatever_was_awaited_before() {
    let server = silent_in_the_body(Arc::default());
    let started = Instant::now();
    let mut response = server.client().fetch(server.url("/")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "ab");
    let stopped = StoppedClock::new();
    advance(seconds(50)).await;
    assert!(poll_once(pin!(response.chunk())).is_none());
    drop(stopped);
    let error = response.bytes().await.unwrap_err();
    assert_ended(&error, Phase::Body, ENOUGH, true);
    // By the clock that is paused: an idle read from 50 s on would have ended at 80 s.
    assert!(started.elapsed() < seconds(75), "{:?}", started.elapsed());
}

#[tokio::test]
async fn one_deadline_holds_for_all_hops() {
    let go = Arc::new(Notify::new());
    let mut server = Server::start({
        let go = Arc::clone(&go);
        move |connection| {
            let go = Arc::clone(&go);
            async move {
                let mut tls = connection.tls().await.unwrap();
                tls.read_head().await;
                go.notified().await;
                tls.write("HTTP/1.1 302 Found\r\nlocation: /next?q\r\ncontent-length: 0\r\n\r\n")
                    .await;
                tls.read_head().await;
                pending().await
            }
        }
    });
    let started = Instant::now();
    let fetching = spawn(server.client().fetch(server.url("/")));
    assert_eq!(server.report().await, "asked");
    let stopped = StoppedClock::new();
    advance(seconds(45)).await;
    go.notify_one();
    assert_eq!(server.report().await, "asked");
    drop(stopped);
    let error = fetching.await.unwrap().unwrap_err();
    let sentence = "the deadline of 60s ended while waiting for the response head";
    assert_ended(&error, Phase::FirstByte, sentence, true);
    assert_eq!(error.url().unwrap().path(), "/next");
    assert!(started.elapsed() < seconds(75), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_waiters_deadline_is_his_own() {
    let go = Arc::new(Notify::new());
    let mut server = slow_in_tls(Arc::clone(&go));
    let client = server.client();
    let leader = spawn(client.fetch(server.url("/leader")));
    assert_eq!(server.report().await, "hello");
    let stopped = StoppedClock::new();
    let waiter = spawn(client.fetch(server.url("/waiter?q")).deadline(seconds(5)));
    let patient = spawn(client.fetch(server.url("/patient")));
    yield_now().await;
    advance(seconds(6)).await;
    let error = waiter.await.unwrap().unwrap_err();
    let sentence = "the deadline of 5s ended while waiting for its turn";
    assert_ended(&error, Phase::Queued, sentence, false);
    assert_eq!(error.url().unwrap().path(), "/waiter");
    go.notify_one();
    drop(stopped);
    resume();
    assert_eq!(leader.await.unwrap().unwrap().text().await.unwrap(), "ok");
    assert_eq!(patient.await.unwrap().unwrap().text().await.unwrap(), "ok");
}

#[tokio::test]
async fn a_leader_who_goes_says_nothing_of_the_host() {
    #[derive(Debug)]
    enum Goes {
        DroppedByHisCaller,
        AtHisOwnDeadline,
    }
    for goes in [Goes::DroppedByHisCaller, Goes::AtHisOwnDeadline] {
        // The first connection stays silent, the second is served.
        let mut server = Server::start(|mut connection| async move {
            connection.hello().await;
            if connection.number == 0 {
                pending::<()>().await;
            }
            connection.answer(OK).await;
        });
        let client = server.client();
        let leader = spawn(client.fetch(server.url("/")).deadline(seconds(5)));
        assert_eq!(server.report().await, "hello");
        let stopped = StoppedClock::new();
        let waiter = spawn(client.fetch(server.url("/")));
        yield_now().await;
        match goes {
            Goes::DroppedByHisCaller => leader.abort(),
            Goes::AtHisOwnDeadline => {
                advance(seconds(6)).await;
                let error = leader.await.unwrap().unwrap_err();
                let sentence = "the deadline of 5s ended while in the TLS handshake";
                assert_ended(&error, Phase::Tls, sentence, false);
            }
        }
        let response = waiter.await.unwrap().unwrap();
        assert_eq!(response.text().await.unwrap(), "ok", "{goes:?}");
        drop(stopped);
        resume();
    }
}

/// A host that keeps one dial waiting keeps all waiting: they are told together.
#[tokio::test]
async fn the_connect_timeout_ends_for_all_who_waited() {
    let mut server = silent_in_tls();
    let client = server.client();
    let leader = spawn(client.fetch(server.url("/0")));
    assert_eq!(server.report().await, "hello");
    let mut all = vec![leader];
    all.extend((1..4).map(|n| spawn(client.fetch(server.url(&format!("/{n}"))))));
    yield_now().await;
    pause();
    for (n, fetching) in all.into_iter().enumerate() {
        let error = fetching.await.unwrap().unwrap_err();
        let sentence = "the connect timeout of 10s ended while in the TLS handshake";
        assert_ended(&error, Phase::Tls, sentence, false);
        assert_eq!(error.url().unwrap().path(), format!("/{n}"));
    }
}

#[tokio::test]
async fn no_time_at_all() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client_builder().unwrap().allow_http(true);
    let client = client.build().unwrap();
    let plain = lab.url(Scenario::PlainHttp).replace("https", "http");
    for url in [lab.url(Scenario::Good), plain] {
        let error = client.fetch(url).deadline(Duration::ZERO).await;
        let sentence = "the deadline of 0ns ended while waiting for its turn";
        assert_ended(&error.unwrap_err(), Phase::Queued, sentence, false);
    }
    assert_eq!(lab.connections(Scenario::Good), 0);
    assert_eq!(lab.connections(Scenario::PlainHttp), 0);
}

#[tokio::test]
async fn a_deadline_that_is_over_lets_no_byte_out_on_an_open_connection() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let url = lab.url(Scenario::GoodHttp1);
    client.fetch(&url).await.unwrap().bytes().await.unwrap();
    let received = lab.received(Scenario::GoodHttp1);
    let error = client.fetch(&url).deadline(Duration::ZERO).await;
    let sentence = "the deadline of 0ns ended while waiting for its turn";
    assert_ended(&error.unwrap_err(), Phase::Queued, sentence, false);
    drop(client);
    lab.settled(Scenario::GoodHttp1).await;
    assert_eq!(lab.received(Scenario::GoodHttp1), received);
}

/// The clock by which certificates are judged is ours to make slow.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_ends_in_the_handshake_lets_no_request_out() {
    let _held = AutoAdvanceHeld::new();
    let mut server = Server::start(|connection| async move {
        if let Some(mut tls) = connection.tls().await {
            tls.read_head().await;
        }
    });
    let client = server.client_builder().connect_timeout(seconds(1000));
    let client = client.clock(|| {
        let _ = poll_once(pin!(advance(seconds(100))));
        SystemTime::now()
    });
    let error = client.build().unwrap().fetch(server.url("/"));
    let error = error.await.unwrap_err();
    let sentence = "the deadline of 60s ended while waiting for the response head";
    assert_ended(&error, Phase::FirstByte, sentence, false);
    assert!(error.verdict().unwrap().is_verified());
    // Our end may be closed before the server's tickets are out.
    assert!(["nothing", "no handshake"].contains(&server.report().await));
}

#[tokio::test]
async fn all_the_time_there_is() {
    let lab = Lab::start().await.unwrap();
    for most in [
        Duration::MAX,
        seconds(u64::MAX / 2),
        seconds(i64::MAX as u64),
    ] {
        let builder = lab.client_builder().unwrap().connect_timeout(most);
        let client = builder.deadline(most).build().unwrap();
        let fetch = client.fetch(lab.url(Scenario::Good)).deadline(most);
        assert!(fetch.await.unwrap().bytes().await.is_ok());
    }
}

#[tokio::test]
async fn what_a_call_says_goes_before_what_the_client_says() {
    let lab = Lab::start().await.unwrap();
    let url = lab.url(Scenario::Good);
    let none = lab.client_builder().unwrap().deadline(Duration::ZERO);
    let none = none.build().unwrap();
    assert_eq!(
        none.fetch(&url).await.unwrap_err().kind(),
        ErrorKind::Deadline
    );
    assert!(none.fetch(&url).deadline(seconds(60)).await.is_ok());
}

/// The lab's own slow servers, in real time.
#[tokio::test]
async fn slow_heads_and_dripping_bodies_end() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    let short = Duration::from_secs(2);
    let slow = client.fetch(lab.url(Scenario::SlowHeaders)).deadline(short);
    let sentence = "the deadline of 2s ended while waiting for the response head";
    assert_ended(&slow.await.unwrap_err(), Phase::FirstByte, sentence, true);

    let sentence = "the deadline of 2s ended while reading the body";
    let drip = || {
        client
            .fetch(lab.url(Scenario::DrippingBody))
            .deadline(short)
    };
    let buffered = drip().await.unwrap().bytes().await;
    assert_ended(&buffered.unwrap_err(), Phase::Body, sentence, true);
    let mut streamed = drip().await.unwrap();
    let error = loop {
        match streamed.chunk().await {
            Ok(chunk) => assert_eq!(chunk.unwrap()[0], b'.'),
            Err(error) => break error,
        }
    };
    assert_ended(&error, Phase::Body, sentence, true);
    assert!(
        streamed.chunk().await.unwrap().is_none(),
        "an error is final"
    );
}

/// Takes connections and never answers a ClientHello.
fn silent_in_tls() -> Server {
    slow_in_tls(Arc::default())
}

/// Answers ClientHellos one by one, each when it is told to.
fn slow_in_tls(go: Arc<Notify>) -> Server {
    Server::start(move |mut connection| {
        let go = Arc::clone(&go);
        async move {
            connection.hello().await;
            go.notified().await;
            go.notify_one();
            connection.answer(OK).await;
        }
    })
}

fn silent_after_the_request() -> Server {
    Server::start(|connection| async move {
        let mut tls = connection.tls().await.unwrap();
        tls.read_head().await;
        pending().await
    })
}

/// Sends two bytes of the body, and two more when it is told to.
fn silent_in_the_body(go: Arc<Notify>) -> Server {
    Server::start(move |connection| {
        let go = Arc::clone(&go);
        async move {
            let mut tls = connection.tls().await.unwrap();
            tls.read_head().await;
            tls.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab")
                .await;
            go.notified().await;
            tls.write("cd").await;
            pending().await
        }
    })
}

/// What a clock that ended has to say.
fn assert_ended(error: &Error, phase: Phase, sentence: &str, sent: bool) {
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    let url = error.url().unwrap();
    assert_eq!(error.to_string(), format!("{sentence} ({url})"));
    assert_eq!(error.phase(), Some(phase), "{error}");
    assert_eq!(error.code(), "deadline");
    assert_eq!(error.request_was_sent(), sent, "{error}");
    assert!(error.url().is_some_and(|url| url.query().is_none()));
}

/// This thread's clock stands still, and jumps nowhere, until it is moved or this is dropped. After
/// that it jumps.
struct StoppedClock(#[expect(dead_code, reason = "held")] AutoAdvanceHeld);

impl StoppedClock {
    fn new() -> Self {
        let held = AutoAdvanceHeld::new();
        pause();
        Self(held)
    }
}

/// tokio's paused clock does not jump while a blocking task runs.
struct AutoAdvanceHeld(#[expect(dead_code, reason = "held")] std::sync::mpsc::Sender<()>);

impl AutoAdvanceHeld {
    fn new() -> Self {
        let (lives, ends) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || ends.recv());
        Self(lives)
    }
}

fn spawn(fetch: RequestBuilder) -> JoinHandle<urlfetch::Result<Response>> {
    tokio::spawn(fetch.into_future())
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
