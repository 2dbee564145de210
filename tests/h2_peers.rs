//! h2 frame by frame, from peers that no h2 library would be: whatever they send, a fetch comes to an
//! error or to what the RFC makes of it, in time, and what they can have us read is bounded.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails a test"
)]

#[expect(dead_code, reason = "shared with the tests of requests and bodies")]
#[path = "support/script.rs"]
mod script;

use std::sync::Arc;
use std::time::Duration;

use script::{Server, Talk, client, in_time};
use tokio::sync::mpsc;
use urlfetch::Client;
use urlfetch::ErrorKind::{self, ConnectionClosed, Deadline, MalformedReply};

/// What a fetch comes to: its status and body, or the kind of its error.
type Outcome = Result<(u16, String), ErrorKind>;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head on the first stream; `block` is HPACK.
fn head(flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 1, block)
}

fn data(flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, 1, payload)
}

/// A field in HPACK, neither indexed nor to be: name and value as literals (RFC 7541 §6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let literal = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], literal(name), literal(value)].concat()
}

/// A peer that answers the first request of each connection with these bytes, and then with these
/// again and again, until the client is gone; what it could write of them it tells.
async fn peer(once: Vec<u8>, then: Vec<u8>, told: mpsc::UnboundedSender<usize>) -> Server {
    let (once, then) = (Arc::new(once), Arc::new(then));
    Server::start("https", Some("h2"), move |mut talk: Talk| {
        let (once, then, told) = (Arc::clone(&once), Arc::clone(&then), told.clone());
        async move {
            if request(&mut talk).await.is_none() {
                return;
            }
            let mut written = 0;
            if talk.say(&*once).await.is_ok() {
                let block = then.repeat((16 << 10) / then.len().max(1));
                while !then.is_empty() && talk.say(&block).await.is_ok() {
                    written += block.len();
                }
                talk.until_gone().await;
            }
            let _ = told.send(written);
        }
    })
    .await
}

/// Until the head of a request is there.
async fn request(talk: &mut Talk) -> Option<()> {
    talk.line("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    talk.say(frame(SETTINGS, 0, 0, &[])).await.ok()?;
    loop {
        let head = talk.exactly(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        talk.exactly(length as usize).await?;
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => {
                talk.say(frame(SETTINGS, ACK, 0, &[])).await.ok()?;
            }
            HEADERS => return Some(()),
            _ => {}
        }
    }
}

async fn fetch(server: &Server, deadline: Duration) -> Outcome {
    fetch_by(&client(), server, deadline).await
}

async fn fetch_by(client: &Client, server: &Server, deadline: Duration) -> Outcome {
    let request = client.fetch(server.url("/")).deadline(deadline);
    let outcome = match request.await {
        Err(error) => Err(error),
        Ok(response) => {
            let status = response.status().as_u16();
            response.text().await.map(|text| (status, text))
        }
    };
    outcome.map_err(|error| error.kind())
}

#[tokio::test]
async fn what_h2_forbids_is_refused() {
    let ok = [OK].as_slice();
    let with = |name: &str, value: &str| [ok, &field(name, value)].concat();
    let early = |status: &str| field(":status", status);
    let hello = || data(END_STREAM, b"hello");
    let good = || Ok((200, "hello".to_owned()));
    let (none, some) = (0, END_STREAM);
    let interim = |count: usize| head(none, &early("103")).repeat(count);
    let rows: Vec<(&str, Vec<Vec<u8>>, Outcome)> = vec![
        ("plain", vec![head(none, ok), hello()], good()),
        ("no body", vec![head(some, ok)], Ok((200, String::new()))),
        (
            "trailers",
            vec![
                head(none, ok),
                data(0, b"hello"),
                head(some, &field("x", "y")),
            ],
            good(),
        ),
        (
            "8 interim",
            vec![interim(8), head(none, ok), hello()],
            good(),
        ),
        (
            "9 interim",
            vec![interim(9), head(none, ok), hello()],
            Err(MalformedReply),
        ),
        (
            "an interim one that ends the stream",
            vec![head(some, &early("103"))],
            Err(MalformedReply),
        ),
        // RFC 9113 §8.6: there is no 101. The codec passes over it as over others, and nothing is
        // switched.
        (
            "101",
            vec![head(none, &early("101")), head(none, ok), hello()],
            good(),
        ),
        // §8.1: trailers end the stream. They have no pseudo-fields, which the codec drops.
        (
            "trailers without an end",
            vec![
                head(none, ok),
                data(0, b"hello"),
                head(none, &field("x", "y")),
            ],
            Err(MalformedReply),
        ),
        (
            "trailers with a status",
            vec![head(none, ok), data(0, b"hello"), head(some, ok)],
            good(),
        ),
        // §8.2: names in lower case, no connection-specific fields.
        (
            "X: y",
            vec![head(none, &with("X", "y")), hello()],
            Err(MalformedReply),
        ),
        (
            "NUL",
            vec![head(none, &with("x", "\0")), hello()],
            Err(MalformedReply),
        ),
        (
            "CR",
            vec![head(none, &with("x", "a\rb")), hello()],
            Err(MalformedReply),
        ),
        (
            "LF",
            vec![head(none, &with("x", "a\nb")), hello()],
            Err(MalformedReply),
        ),
        (
            "transfer-encoding",
            vec![head(none, &with("transfer-encoding", "chunked")), hello()],
            Err(MalformedReply),
        ),
        (
            "connection",
            vec![head(none, &with("connection", "close")), hello()],
            Err(MalformedReply),
        ),
        // §8.3: a status, once, before all others.
        (
            "no status",
            vec![head(none, &field("x", "y")), hello()],
            Err(MalformedReply),
        ),
        (
            "two",
            vec![head(none, &[OK, OK]), hello()],
            Err(MalformedReply),
        ),
        (
            "late",
            vec![head(none, &[field("x", "y"), vec![OK]].concat()), hello()],
            Err(MalformedReply),
        ),
        (
            "abc",
            vec![head(none, &early("abc")), hello()],
            Err(MalformedReply),
        ),
        (
            "20",
            vec![head(none, &early("20")), hello()],
            Err(MalformedReply),
        ),
        // §8.1.1: a Content-Length that is not the sum of all DATA.
        (
            "short",
            vec![head(none, &with("content-length", "6")), hello()],
            Err(MalformedReply),
        ),
        (
            "long",
            vec![head(none, &with("content-length", "4")), hello()],
            Err(MalformedReply),
        ),
        (
            "none of what was announced",
            vec![head(some, &with("content-length", "4"))],
            Err(MalformedReply),
        ),
        (
            "short by trailers",
            vec![
                head(none, &with("content-length", "6")),
                data(0, b"hello"),
                head(some, &field("x", "y")),
            ],
            Err(MalformedReply),
        ),
        // What is out of order, or nobody's.
        ("DATA first", vec![hello()], Err(MalformedReply)),
        (
            "DATA on another stream",
            vec![frame(DATA, END_STREAM, 3, b"hello")],
            Err(MalformedReply),
        ),
        (
            "a head on stream 0",
            vec![frame(HEADERS, END_HEADERS, 0, ok)],
            Err(MalformedReply),
        ),
        (
            "a push",
            vec![frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, OK])],
            Err(MalformedReply),
        ),
        (
            "a frame beyond the size we take",
            vec![frame(DATA, 0, 1, &[0; 17 << 10])],
            Err(MalformedReply),
        ),
        (
            "CONTINUATION of nothing",
            vec![frame(CONTINUATION, END_HEADERS, 1, ok)],
            Err(MalformedReply),
        ),
        (
            "HTTP/1.1 in answer",
            vec![b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec()],
            Err(MalformedReply),
        ),
        (
            "a window beyond all",
            vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])],
            Err(MalformedReply),
        ),
    ];
    in_time(async {
        let mut wrong = Vec::new();
        for (what, frames, expected) in rows {
            let (told, _) = mpsc::unbounded_channel();
            let server = peer(frames.concat(), vec![], told).await;
            let outcome = fetch(&server, LONG).await;
            if outcome != expected {
                wrong.push(format!("{what}: {outcome:?}, expected {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

/// What goes on without end is given up, or ends with the deadline where answering it costs nothing.
/// Then the connection is let go of, though somebody is there: nobody else should meet it.
#[tokio::test]
async fn floods_are_given_up_or_end_with_the_deadline() {
    let ok = [OK].as_slice();
    let begun = |flags| frame(HEADERS, flags, 1, ok);
    let fields = field("x", "y").repeat(30);
    let rows: Vec<(&str, Vec<u8>, Vec<u8>, ErrorKind)> = vec![
        (
            "interim",
            vec![],
            head(0, &field(":status", "103")),
            MalformedReply,
        ),
        (
            "CONTINUATION",
            begun(0),
            frame(CONTINUATION, 0, 1, &fields),
            MalformedReply,
        ),
        (
            "empty CONTINUATION",
            begun(0),
            frame(CONTINUATION, 0, 1, &[]),
            MalformedReply,
        ),
        ("empty DATA", head(0, ok), data(0, &[]), MalformedReply),
        (
            "RST_STREAM of others",
            vec![],
            frame(RST_STREAM, 0, 5, &[0; 4]),
            MalformedReply,
        ),
        ("SETTINGS", vec![], frame(SETTINGS, 0, 0, &[]), Deadline),
        ("PING", vec![], frame(PING, 0, 0, &[0; 8]), Deadline),
        (
            "frames of no known type",
            vec![],
            frame(0xbb, 0, 1, &[0; 100]),
            Deadline,
        ),
        (
            "PRIORITY",
            vec![],
            frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 0]),
            Deadline,
        ),
    ];
    in_time(async {
        for (what, once, then, expected) in rows {
            let (told, mut heard) = mpsc::unbounded_channel();
            let server = peer(once, then, told).await;
            let deadline = if expected == Deadline { SHORT } else { LONG };
            let client = client();
            let outcome = fetch_by(&client, &server, deadline).await;
            assert_eq!(outcome, Err(expected), "{what}");
            let written = heard.recv().await.unwrap();
            // What was given up was so after what sockets hold.
            assert!(
                expected == Deadline || written < 16 << 20,
                "{what} {written}"
            );
            drop(client);
        }
    })
    .await;
}

/// The connection is gone in the middle of whatever is said.
#[tokio::test]
async fn a_reply_that_is_cut_anywhere_is_no_reply() {
    let whole = [
        frame(PING, 0, 0, &[0; 8]),
        head(0, &field(":status", "103")),
        head(0, &[vec![OK], field("content-length", "5")].concat()),
        data(0, b"hel"),
        data(END_STREAM, b"lo"),
    ]
    .concat();
    let length = whole.len();
    in_time(async {
        let cut = Arc::new(std::sync::Mutex::new(0));
        let at = Arc::clone(&cut);
        let server = Server::start("https", Some("h2"), move |mut talk: Talk| {
            let said = whole[..*at.lock().unwrap()].to_vec();
            async move {
                request(&mut talk).await;
                let _ = talk.say(said).await;
                talk.end(script::Then::Close).await;
            }
        })
        .await;
        for at in 0..=length {
            *cut.lock().unwrap() = at;
            let outcome = fetch(&server, LONG).await;
            match at == length {
                true => assert_eq!(outcome, Ok((200, "hello".into()))),
                false => assert_eq!(outcome, Err(ConnectionClosed), "{at}"),
            }
        }
    })
    .await;
}

/// No fetch takes so long that does not hang.
const LONG: Duration = Duration::from_secs(20);
/// Long enough for a handshake and for a flood to begin.
const SHORT: Duration = Duration::from_secs(1);

/// Status 200 in HPACK's static table.
const OK: u8 = 0x88;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
