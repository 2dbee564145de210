//! SMTP over TLS by STARTTLS (RFC 3207), with servers in this process: an honest one, and two with
//! somebody on the way to them.
//!
//! `cargo run --example smtp --features lab` prints of each what was said before TLS and what came
//! of it. The exit status is 0 if the honest server was verified and spoken to, and the others were
//! not:
//!
//! - One puts a command's reply of its own behind the reply to STARTTLS, in clear. A client that
//!   has read it ahead, and reads it after the handshake, takes it for the server's (CVE-2011-0411).
//! - One strips STARTTLS from what the server offers, so that the client may go on in clear.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use urlfetch::{Client, RootStore};

#[tokio::main]
async fn main() -> ExitCode {
    match tokio::time::timeout(WHOLE_TIME, run(&mut std::io::stdout())).await {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("it was not over in {WHOLE_TIME:?}");
            ExitCode::FAILURE
        }
    }
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

async fn run(out: &mut impl Write) -> Result<bool, Anything> {
    let (server, ca_pem) = Server::mint()?;
    let roots = RootStore::empty().add_pem(ca_pem)?;
    let client = Client::builder().roots(roots).build()?;
    let mut as_expected = true;
    for way in [Way::Clear, Way::Injected, Way::Stripped] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn({
            let server = server.clone();
            async move {
                let (tcp, _) = listener.accept().await?;
                server.serve(tcp, way).await
            }
        });
        writeln!(out, "{way}")?;
        let talked = talk(&client, TcpStream::connect(address).await?, out).await;
        match &talked {
            Ok(()) => writeln!(out, "  spoken to over TLS")?,
            Err(error) => writeln!(out, "  given up: {error}")?,
        }
        let was_verified = talked.is_ok();
        let commands_in_tls = serving.await??;
        as_expected &= was_verified == (way == Way::Clear);
        // RFC 3207 §4.2: the client starts over.
        as_expected &= commands_in_tls
            == if was_verified {
                vec!["EHLO", "QUIT"]
            } else {
                vec![]
            };
    }
    Ok(as_expected)
}

/// The client's side of it.
async fn talk(client: &Client, tcp: TcpStream, out: &mut impl Write) -> Result<(), Anything> {
    let mut lines = Lines::over(tcp);
    lines.expect("220").await?;
    lines.say("EHLO client.test").await?;
    let offers = lines.expect("250").await?;
    writeln!(out, "  the server offers, in clear: {}", offers.join(", "))?;
    if !offers.iter().any(|offer| offer == "STARTTLS") {
        return Err("STARTTLS is not on offer, and nothing is sent in clear".into());
    }
    lines.say("STARTTLS").await?;
    lines.expect("220").await?;
    // From here on only the server speaks, and only over TLS. What is there already was sent by
    // anybody.
    let tcp = lines.into_inner()?;

    let stream = client.wrap(tcp, HOST).await?;
    writeln!(out, "  {}", stream.verdict())?;
    let mut lines = Lines::over(stream);
    // What it offered before may have been changed on the way: it is asked again.
    lines.say("EHLO client.test").await?;
    let offers = lines.expect("250").await?;
    writeln!(out, "  the server offers, over TLS: {}", offers.join(", "))?;
    lines.say("QUIT").await?;
    lines.expect("221").await?;
    lines.stream.shutdown().await?;
    Ok(())
}

/// Lines of a stream, and what was read ahead of them.
struct Lines<S> {
    stream: S,
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    fn over(stream: S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// The next line, without its end; an error at the end of the stream.
    async fn line(&mut self) -> Result<String, Anything> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).take(end).collect();
                return Ok(line.escape_ascii().to_string());
            }
            if self.ahead.len() > LONGEST_LINE {
                return Err("a line does not end".into());
            }
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Err("the connection was closed".into());
            }
        }
    }

    /// A reply of this code: the texts of its lines.
    async fn expect(&mut self, code: &str) -> Result<Vec<String>, Anything> {
        let mut texts = Vec::new();
        while texts.len() < MOST_LINES {
            let line = self.line().await?;
            let Some(rest) = line.strip_prefix(code) else {
                return Err(format!("the server answers \"{line}\", not {code}").into());
            };
            texts.push(rest.trim_start_matches(['-', ' ']).to_owned());
            if !rest.starts_with('-') {
                return Ok(texts);
            }
        }
        Err("a reply does not end".into())
    }

    async fn say(&mut self, line: &str) -> Result<(), Anything> {
        self.stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await?;
        Ok(self.stream.flush().await?)
    }

    /// The stream itself, if nothing of it was read ahead: that would be lost, or, if it were kept,
    /// taken for what came over TLS.
    fn into_inner(self) -> Result<S, Anything> {
        match self.ahead.len() {
            0 => Ok(self.stream),
            more => Err(format!("{more} bytes follow the reply to STARTTLS in clear").into()),
        }
    }
}

/// What happens between the client and the server, while there is no TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Clear,
    Injected,
    Stripped,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "nobody is on the way",
            Self::Injected => "somebody puts a reply behind that to STARTTLS",
            Self::Stripped => "somebody takes STARTTLS from what is offered",
        })
    }
}

/// A mail server that takes no mail.
#[derive(Clone)]
struct Server(TlsAcceptor);

impl Server {
    /// With the certificate of the authority that issued its own.
    fn mint() -> Result<(Self, String), Anything> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &authority)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        #[cfg(feature = "aws-lc-rs")]
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        #[cfg(not(feature = "aws-lc-rs"))]
        let provider = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok((Self(TlsAcceptor::from(Arc::new(config))), authority.pem()))
    }

    /// Serves one connection, and returns the commands that came over TLS.
    async fn serve(&self, tcp: TcpStream, way: Way) -> Result<Vec<String>, Anything> {
        let mut lines = Lines::over(tcp);
        lines.say(&format!("220 {HOST} ESMTP")).await?;
        loop {
            let Ok(line) = lines.line().await else {
                return Ok(Vec::new());
            };
            match (line.split(' ').next(), way) {
                (Some("EHLO"), Way::Stripped) => lines.say("250 8BITMIME").await?,
                (Some("EHLO"), _) => lines.say("250-8BITMIME\r\n250 STARTTLS").await?,
                (Some("STARTTLS"), Way::Injected) => {
                    lines.say("220 go ahead\r\n250 AUTH PLAIN").await?;
                    break;
                }
                (Some("STARTTLS"), _) => {
                    lines.say("220 go ahead").await?;
                    break;
                }
                _ => lines.say("502 not here").await?,
            }
        }
        // A client that will not go on hangs up.
        let Ok(stream) = self.0.accept(lines.into_inner()?).await else {
            return Ok(Vec::new());
        };
        let mut lines = Lines::over(stream);
        let mut commands = Vec::new();
        while let Ok(line) = lines.line().await {
            let command = line.split(' ').next().unwrap_or_default().to_owned();
            match command.as_str() {
                "EHLO" => lines.say("250-8BITMIME\r\n250 AUTH PLAIN").await?,
                "QUIT" => lines.say("221 bye").await?,
                _ => lines.say("502 not here").await?,
            }
            commands.push(command);
        }
        Ok(commands)
    }
}

const HOST: &str = "mail.test";
/// RFC 5321 §4.5.3.1.5: 512 octets; some servers say more.
const LONGEST_LINE: usize = 2_048;
const MOST_LINES: usize = 100;
const WHOLE_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_honest_server_is_spoken_to_and_the_others_are_not() {
        assert!(run(&mut std::io::sink()).await.unwrap());
    }

    /// Whether they come with the reply or after the handshake has begun, they are not read.
    #[tokio::test]
    async fn bytes_behind_the_reply_are_no_reply_of_the_server() {
        let (server, ca_pem) = Server::mint().unwrap();
        let roots = RootStore::empty().add_pem(ca_pem).unwrap();
        let client = Client::builder().roots(roots).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        let serving = tokio::spawn(async move { server.serve(theirs, Way::Injected).await });
        let error = talk(&client, tcp, &mut std::io::sink()).await.unwrap_err();
        let sentence = error.to_string();
        let read_ahead = sentence == "16 bytes follow the reply to STARTTLS in clear";
        let left_in_the_socket = sentence.contains("the server does not speak TLS");
        assert!(read_ahead || left_in_the_socket, "{sentence}");
        assert_eq!(serving.await.unwrap().unwrap(), [""; 0]);
    }
}
