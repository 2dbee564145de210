//! Two programs of Python's `ssl`, as they were on App Engine, and what becomes of them here. The
//! servers are those of the lab, in this process.
//!
//! `cargo run --example migrate --features lab` prints what each step came to. The exit status is 0
//! only if every outcome is the expected one:
//!
//! - One connects to an IP address, and the host there has a certificate for its name. Python
//!   checked the signatures, not whose certificate it is, and went on; here it is refused before a
//!   byte is sent. By its name the same host is spoken to.
//! - One shows a certificate of its own, with key and certificate from memory, and then compares the
//!   peer's certificate with the host's name by hand. That comparison has been made before.
//!
//! MIGRATION.md has every other call.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use urlfetch::TlsStream;
use urlfetch::lab::{Lab, Scenario};
use urlfetch::ssl::{self, Pem};

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
    let lab = Lab::start().await?;
    let mut steps = Steps {
        out,
        as_expected: true,
    };
    connect_to_an_address(&lab, &mut steps).await?;
    show_a_certificate_from_memory(&lab, &mut steps).await?;
    Ok(steps.as_expected)
}

/// Before, where the connection was made, and the certificate could be that of any site:
///
/// ```python
/// sock.connect((address_of(host), 443))
/// sock = ssl.wrap_socket(sock, cert_reqs=ssl.CERT_REQUIRED, ca_certs="cacerts.txt")
/// ```
async fn connect_to_an_address(
    lab: &Lab,
    steps: &mut Steps<'_, impl Write>,
) -> Result<(), Anything> {
    let address = lab.addr(SITE);
    let connect = async |server_hostname: &str| {
        let sock = TcpStream::connect(address).await?;
        // The name is asked for, as there is nothing else to compare the certificate with.
        ssl::wrap_socket(sock, server_hostname)
            .cert_reqs(ssl::CERT_REQUIRED)
            .ca_certs(Pem::reader(lab.ca_pem().as_bytes()))
            .await
            .map_err(Anything::from)
    };

    let by_address = connect(&address.ip().to_string()).await;
    steps.told(
        "by address",
        by_address.map(|_| VERIFIED),
        "hostname-mismatch",
    )?;
    lab.settled(SITE).await;
    steps.told("bytes sent to it", Ok(lab.received(SITE)), "0")?;

    let by_name = connect(SITE.host()).await;
    steps.told("by name", by_name.map(|_| VERIFIED), VERIFIED)
}

/// Before, where the name was compared after the handshake, when the server had our certificate
/// already, or never, by who forgot:
///
/// ```python
/// sock = ssl.wrap_socket(sock,
///                        keyfile=StringIO.StringIO(record.key),
///                        certfile=StringIO.StringIO(record.cert),
///                        cert_reqs=ssl.CERT_REQUIRED,
///                        ssl_version=ssl.PROTOCOL_SSLv23,
///                        ca_certs=CERTIFICATE_FILE)
/// ssl.match_hostname(sock.getpeercert(), "a.hostname.com")
/// ```
async fn show_a_certificate_from_memory(
    lab: &Lab,
    steps: &mut Steps<'_, impl Write>,
) -> Result<(), Anything> {
    let (cert, key) = lab.client_identity_pem();
    let host = DOOR.host();
    let connect = async |ssl_version, is_shown: bool| {
        let sock = TcpStream::connect(lab.addr(DOOR)).await?;
        let mut wrap = ssl::wrap_socket(sock, host)
            .cert_reqs(ssl::CERT_REQUIRED)
            .ssl_version(ssl_version)
            .ca_certs(Pem::reader(lab.ca_pem().as_bytes()));
        if is_shown {
            wrap = wrap
                .keyfile(Pem::reader(key.as_bytes()))
                .certfile(Pem::reader(cert.as_bytes()));
        }
        wrap.await.map_err(Anything::from)
    };

    let mut sock = connect(ssl::PROTOCOL_SSLv23, true).await?;
    let peercert = sock.peer().chain().first().ok_or("no certificate")?.clone();
    let matched = |host| match ssl::match_hostname(&peercert, host) {
        Ok(()) => "matches".to_owned(),
        Err(mismatch) => mismatch.to_string(),
    };
    steps.told("the certificate and the host", Ok(matched(host)), "matches")?;
    let another = "a.hostname.com";
    let valid = format!("the certificate is valid for {host}; it was checked for \"{another}\"");
    steps.told("the same and another host", Ok(matched(another)), valid)?;
    let status = status_line(&mut sock, host).await;
    steps.told("with our certificate", status, "HTTP/1.1 200 OK")?;

    // Over TLS 1.3 the handshake is over before the server misses something.
    let refused = match connect(ssl::PROTOCOL_SSLv23, false).await {
        Ok(mut sock) => status_line(&mut sock, host).await,
        Err(error) => Err(error),
    };
    steps.told("without it", refused, "tls")?;

    let of_1999 = connect(ssl::PROTOCOL_TLSv1, true).await;
    steps.told("by PROTOCOL_TLSv1", of_1999.map(|_| VERIFIED), "config")
}

async fn status_line(sock: &mut TlsStream, host: &str) -> Result<String, Anything> {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    sock.write_all(request.as_bytes()).await?;
    sock.flush().await?;
    let mut response = String::new();
    sock.take(MOST_BYTES).read_to_string(&mut response).await?;
    let line = response.lines().next();
    Ok(line.ok_or("there is no response")?.to_owned())
}

struct Steps<'a, W> {
    out: &'a mut W,
    as_expected: bool,
}

impl<W: Write> Steps<'_, W> {
    /// Prints what a step came to, and what was expected if that is something else. An error is
    /// its code, and below it what it says.
    fn told(
        &mut self,
        step: &str,
        outcome: Result<impl Display, Anything>,
        expected: impl Display,
    ) -> Result<(), Anything> {
        let came_to = match &outcome {
            Ok(came_to) => came_to.to_string(),
            Err(error) => code(error).to_owned(),
        };
        let expected = expected.to_string();
        let is_expected = came_to == expected;
        self.as_expected &= is_expected;
        let complaint = match is_expected {
            true => String::new(),
            false => format!(" -- EXPECTED {expected}"),
        };
        writeln!(self.out, "{step}: {came_to}{complaint}")?;
        let sentences = outcome.err().map(|error| error.to_string());
        for line in sentences.iter().flat_map(|sentences| sentences.lines()) {
            writeln!(self.out, "  {line}")?;
        }
        Ok(())
    }
}

fn code(error: &Anything) -> &'static str {
    match error.downcast_ref::<urlfetch::Error>() {
        Some(error) => error.code(),
        // What rustls says of an alert after the handshake.
        None if error.is::<std::io::Error>() => "tls",
        None => "unknown",
    }
}

/// Its certificate names a host, and no address.
const SITE: Scenario = Scenario::Good;
/// It lets in who shows a certificate.
const DOOR: Scenario = Scenario::ClientCertificateRequired;
const VERIFIED: &str = "verified";
const MOST_BYTES: u64 = 64 << 10;
const WHOLE_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_outcome_is_the_expected_one() {
        let mut out = Vec::new();
        assert!(run(&mut out).await.unwrap());
        let told = String::from_utf8(out).unwrap();
        let refusal =
            "by address: hostname-mismatch\n  certificate for \"127.0.0.1\" was refused: ";
        assert!(told.starts_with(refusal), "{told}");
        assert!(
            told.contains("\nbytes sent to it: 0\nby name: verified\n"),
            "{told}"
        );
    }

    #[test]
    fn another_outcome_is_told_and_remembered() {
        let mut out = Vec::new();
        let mut steps = Steps {
            out: &mut out,
            as_expected: true,
        };
        steps.told("by name", Ok(VERIFIED), VERIFIED).unwrap();
        assert!(steps.as_expected);
        steps
            .told("by address", Ok(VERIFIED), "hostname-mismatch")
            .unwrap();
        assert!(!steps.as_expected);
        let told = "by name: verified\nby address: verified -- EXPECTED hostname-mismatch\n";
        assert_eq!(String::from_utf8(out).unwrap(), told);
    }
}
