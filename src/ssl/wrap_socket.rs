//! `ssl.wrap_socket`: one stream, with all that is to be said of it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{CertReqs, Pem, Protocol, SslContext, create_default_context};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::TlsStream;

/// Prepares a TLS stream over one that is open already. The handshake begins when it is awaited,
/// and the peer is verified to be `server_hostname`.
///
/// Python's had no name to verify, and verified nothing unless told to. App Engine's demanded
/// `ca_certs`; here the platform's roots stand in for it.
///
/// Each call makes a client of its own. For many streams say the same once to an [`SslContext`],
/// whose sessions can be resumed.
///
/// # Examples
///
/// ```no_run
/// # async fn example(key: String, cert: String) -> Result<(), Box<dyn std::error::Error>> {
/// use tokio::net::TcpStream;
/// use urlfetch::ssl::{self, Pem};
///
/// let stream = TcpStream::connect("a.hostname.com:8443").await?;
/// let stream = ssl::wrap_socket(stream, "a.hostname.com")
///     .keyfile(Pem::reader(key.as_bytes()))
///     .certfile(Pem::reader(cert.as_bytes()))
///     .cert_reqs(ssl::CERT_REQUIRED)
///     .ssl_version(ssl::PROTOCOL_SSLv23)
///     .ca_certs("ca-certificates.crt")
///     .await?;
/// println!("{}", stream.verdict());
/// # Ok(())
/// # }
/// ```
pub fn wrap_socket<S>(stream: S, server_hostname: &str) -> WrapSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    WrapSocket {
        stream,
        server_hostname: server_hostname.to_owned(),
        context: Ok(create_default_context()),
        certfile: None,
        keyfile: None,
    }
}

/// A TLS stream over one that is open already, of [`wrap_socket`]: the handshake begins when it is
/// awaited.
///
/// What is wrong with the files and readers that it was given is the result of the await: the first
/// mistake of several. A stream that may not go to another thread, or that is borrowed, is not
/// awaited but [`open`](Self::open)ed.
#[must_use = "no handshake begins until it is awaited"]
pub struct WrapSocket<S> {
    stream: S,
    server_hostname: String,
    context: Result<SslContext>,
    certfile: Option<Pem>,
    keyfile: Option<Pem>,
}

impl<S> WrapSocket<S> {
    /// The key of [`certfile`](Self::certfile).
    pub fn keyfile(mut self, keyfile: impl Into<Pem>) -> Self {
        self.keyfile = Some(keyfile.into());
        self
    }

    /// Our own certificate, for servers that ask for one, with its issuers and, if there is no
    /// [`keyfile`](Self::keyfile), its key.
    pub fn certfile(mut self, certfile: impl Into<Pem>) -> Self {
        self.certfile = Some(certfile.into());
        self
    }

    /// Whether the peer must prove who it is; it must unless said otherwise. In Python it need not.
    ///
    /// [`CERT_NONE`](super::CERT_NONE) gives up the name as well. HTTPSVERIFY=1 refuses it.
    pub fn cert_reqs(mut self, cert_reqs: CertReqs) -> Self {
        self.context = self.context.map(|context| context.cert_reqs(cert_reqs));
        self
    }

    /// The version of TLS; the best that both sides know unless said otherwise.
    pub fn ssl_version(mut self, version: Protocol) -> Self {
        self.context = self
            .context
            .and_then(|context| context.ssl_version(version));
        self
    }

    /// Trusts these CAs in place of the platform's, and of those that were given before.
    pub fn ca_certs(mut self, ca_certs: impl Into<Pem>) -> Self {
        let ca_certs = ca_certs.into();
        self.context = self.context.and_then(|context| context.ca_certs(ca_certs));
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WrapSocket<S> {
    /// Makes the handshake. It is what awaiting does, without the box, and for a stream of any
    /// kind: the future is `Send` if the stream is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if what was said cannot be: a protocol that is not spoken, CAs, a
    /// certificate or a key that cannot be used, a key without a certificate, or no verification
    /// under HTTPSVERIFY=1. Else as [`WrapBuilder::open`](crate::WrapBuilder::open).
    ///
    /// # Panics
    ///
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send).
    pub fn open(self) -> impl Future<Output = Result<TlsStream<S>>> {
        let Self {
            stream,
            server_hostname,
            context,
            certfile,
            keyfile,
        } = self;
        async move {
            let context = match (context?, certfile, keyfile) {
                (context, Some(certfile), keyfile) => context.load_cert_chain(certfile, keyfile)?,
                (context, None, None) => context,
                (_, None, Some(_)) => {
                    return Err(Error::new(
                        ErrorKind::Config,
                        "a keyfile was given without the certfile whose key it is",
                    ));
                }
            };
            context.wrap_socket(stream, &server_hostname)?.open().await
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> IntoFuture for WrapSocket<S> {
    type Output = Result<TlsStream<S>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<TlsStream<S>>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl<S> fmt::Debug for WrapSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrapSocket")
            .field("server_hostname", &self.server_hostname)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
