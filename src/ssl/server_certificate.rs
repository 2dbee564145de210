//! `ssl.get_server_certificate`: who answers at a host and a port.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use super::{CertReqs, Pem, Protocol, SslContext, create_default_context};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::Certificate;

/// Prepares to ask a server for its certificate, of which Python gave the PEM text
/// ([`Certificate::to_pem`]). It is asked when this is awaited, and has to be the host's.
///
/// Python's verified nothing without `ca_certs`, with them the signatures, and the name never: what
/// it gave could be anybody's. To see the certificate of a host that cannot prove itself, say
/// [`cert_reqs`](GetServerCertificate::cert_reqs)`(CERT_NONE)`, and take it for hearsay: to trust
/// from now on what was got so is to trust whoever stood between.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> urlfetch::Result<()> {
/// use urlfetch::ssl;
///
/// let certificate = ssl::get_server_certificate("example.com", 443).await?;
/// println!("{}", certificate.subject());
///
/// let expired = ssl::get_server_certificate("expired.badssl.com", 443)
///     .cert_reqs(ssl::CERT_NONE)
///     .await?;
/// # Ok(())
/// # }
/// ```
pub fn get_server_certificate(host: &str, port: u16) -> GetServerCertificate {
    GetServerCertificate {
        host: host.to_owned(),
        port,
        context: Ok(create_default_context()),
        timeout: None,
    }
}

/// The question for a server's certificate, of [`get_server_certificate`]: it is asked when this is
/// awaited.
///
/// What is wrong with the CAs or the protocol that it was given is the result of the await.
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct GetServerCertificate {
    host: String,
    port: u16,
    context: Result<SslContext>,
    timeout: Option<Duration>,
}

impl GetServerCertificate {
    /// The version of TLS; the best that both sides know unless said otherwise.
    pub fn ssl_version(mut self, version: Protocol) -> Self {
        self.context = self
            .context
            .and_then(|context| context.ssl_version(version));
        self
    }

    /// Trusts these CAs in place of the platform's.
    pub fn ca_certs(mut self, ca_certs: impl Into<Pem>) -> Self {
        let ca_certs = ca_certs.into();
        self.context = self.context.and_then(|context| context.ca_certs(ca_certs));
        self
    }

    /// Whether the server must prove who it is; it must unless said otherwise. HTTPSVERIFY=1
    /// refuses [`CERT_NONE`](super::CERT_NONE).
    pub fn cert_reqs(mut self, cert_reqs: CertReqs) -> Self {
        self.context = self.context.map(|context| context.cert_reqs(cert_reqs));
        self
    }

    /// How long it may take in all, from resolving the name to the end of the handshake; 60 s
    /// unless said otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn ask(self) -> Result<Certificate> {
        let mut connecting = self.context?.client()?.connect(&self.host, self.port);
        if let Some(timeout) = self.timeout {
            connecting = connecting.deadline(timeout);
        }
        let stream = connecting.open().await?;
        // A leaf that cannot be read has no key by which a handshake could end.
        let leaf = stream.peer().chain().first().cloned();
        leaf.ok_or_else(|| {
            Error::new(ErrorKind::Tls, "the server's certificate cannot be read")
                .with_host(&self.host, self.port)
        })
    }
}

/// # Errors
///
/// [`ErrorKind::Config`] if what was said cannot be: a protocol that is not spoken, CAs that cannot
/// be used, or no verification under HTTPSVERIFY=1. Else as
/// [`ConnectBuilder::open`](crate::ConnectBuilder::open).
impl IntoFuture for GetServerCertificate {
    type Output = Result<Certificate>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Certificate>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}
