//! Speaks to a PostgreSQL server over a verified TLS stream: what wraps a stream after a few bytes
//! of a protocol's own.
//!
//! `cargo run --example postgres -- HOST:PORT CA_FILE [ADDRESS:PORT]` connects to HOST:PORT, or to
//! ADDRESS:PORT if that is given, asks for TLS by an SSLRequest, verifies that the server is HOST
//! by the roots of CA_FILE, asks for a session of the user `postgres`, and prints what the server
//! answers. No password is sent.
//!
//! The exit status is 2 if the server's certificate was refused, 1 on other errors.

use std::error::Error as StdError;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use urlfetch::{Client, Error, ErrorKind, RootStore, TlsStream};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [server, ca_file] => run(server, ca_file, server).await,
        [server, ca_file, address] => run(server, ca_file, address).await,
        _ => Err("usage: postgres HOST:PORT CA_FILE [ADDRESS:PORT]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            match error.downcast_ref::<Error>().map(Error::kind) {
                Some(ErrorKind::Certificate) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

type Anything = Box<dyn StdError>;

async fn run(server: &str, ca_file: &str, address: &str) -> Result<(), Anything> {
    let talk = talk(server, ca_file, address);
    match tokio::time::timeout(WHOLE_TIME, talk).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("{address} did not answer in {WHOLE_TIME:?}").into()),
    }
}

async fn talk(server: &str, ca_file: &str, address: &str) -> Result<(), Anything> {
    let (host, _port) = server
        .rsplit_once(':')
        .ok_or("the server is not HOST:PORT")?;
    let roots = RootStore::empty().add_pem_file(ca_file)?;
    let client = Client::builder().roots(roots).build()?;

    let mut tcp = TcpStream::connect(address).await?;
    ask_for_tls(&mut tcp).await?;
    let mut stream = client.wrap(tcp, host).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", stream.verdict())?;
    let peer = stream.peer();
    match peer.key_exchange_group() {
        Some(group) => writeln!(out, "{}, {}, {group}", peer.version(), peer.cipher_suite())?,
        None => writeln!(out, "{}, {}", peer.version(), peer.cipher_suite())?,
    }

    start(&mut stream).await?;
    writeln!(out, "the server answers: {}", answer(&mut stream).await?)?;
    stream.write_all(&TERMINATE).await?;
    stream.shutdown().await?;
    Ok(())
}

/// The server says in one byte whether it will. Nothing more is read: what somebody on the way may
/// have put behind that byte stays in the socket, where the handshake trips over it.
async fn ask_for_tls(tcp: &mut TcpStream) -> Result<(), Anything> {
    tcp.write_all(&SSL_REQUEST).await?;
    match tcp.read_u8().await? {
        b'S' => Ok(()),
        b'N' => Err("the server offers no TLS, and nothing is sent in clear".into()),
        // What follows comes from nobody who was verified: it is not read.
        b'E' => Err("the server answers the SSLRequest with an error".into()),
        other => Err(format!("the server answers the SSLRequest with byte {other}").into()),
    }
}

/// The StartupMessage: protocol 3.0, and for whom the session is to be.
async fn start(stream: &mut TlsStream) -> Result<(), Anything> {
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(8 + parameters.len())?;
    let mut message = Vec::new();
    message.extend(length.to_be_bytes());
    message.extend(PROTOCOL_3_0.to_be_bytes());
    message.extend(parameters);
    stream.write_all(&message).await?;
    Ok(())
}

/// The first message of the server, in words.
async fn answer(stream: &mut TlsStream) -> Result<String, Anything> {
    let kind = stream.read_u8().await?;
    // The length counts itself.
    let length = stream.read_u32().await? as usize;
    if !(4..=MOST_OF_A_MESSAGE).contains(&length) {
        return Err(format!("the server announces a message of {length} bytes").into());
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Ok(match (kind, &body[..]) {
        (b'R', [a, b, c, d, ..]) => match u32::from_be_bytes([*a, *b, *c, *d]) {
            0 => "no password is needed".into(),
            3 => "it asks for the password as it is".into(),
            5 => "it asks for the password by MD5".into(),
            10 => "it asks for the password by SASL".into(),
            other => format!("it asks for authentication of kind {other}"),
        },
        // Fields of a letter and a text, each ended by a zero.
        (b'E', fields) => {
            let message = fields.split(|byte| *byte == 0);
            let message = message.filter_map(|field| field.strip_prefix(b"M")).next();
            let message = message.unwrap_or_default();
            format!("error: {}", message.escape_ascii())
        }
        (other, _) => format!("a message of kind {:?}", char::from(other)),
    })
}

/// Length 8, code 80877103: the documentation of PostgreSQL, "Message Formats".
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const PROTOCOL_3_0: u32 = 3 << 16;
/// Kind X, length 4.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
/// PostgreSQL's own clients take no longer one before they are logged in.
const MOST_OF_A_MESSAGE: usize = 30_000;
const WHOLE_TIME: Duration = Duration::from_secs(30);
