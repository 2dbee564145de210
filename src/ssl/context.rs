//! What a client trusts and demands, said in the words of Python's `SSLContext`.

use std::path::Path;
use std::sync::OnceLock;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{CaData, CertReqs, Pem, Protocol, TlsVersion};
use crate::client::{Client, ClientBuilder, WrapBuilder};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::{Identity, Policy, RootStore, Version};

/// What to trust and to demand, for any number of sockets and fetches: Python's `SSLContext`.
///
/// It says what it is to be step by step; [`wrap_socket`](Self::wrap_socket) and
/// [`client`](Self::client) then use it, and share one [`Client`], which is built at the first use.
/// A clone of a context that was used goes on sharing it; one that is changed has a client of its
/// own again.
///
/// However it was made, peers are verified, by the platform's roots unless others were loaded. In
/// Python this held for [`create_default_context`] and `PROTOCOL_TLS_CLIENT` only: the others asked
/// for no certificate, and a context without roots failed on every handshake.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: tokio::net::TcpStream) -> urlfetch::Result<()> {
/// use urlfetch::ssl;
///
/// let context = ssl::create_default_context()
///     .load_verify_locations(Some("corp-ca.pem".into()), None, None)?
///     .load_cert_chain("client.pem", Some("client.key".into()))?;
/// let stream = context.wrap_socket(stream, "imap.corp.example")?.await?;
/// let response = context.client()?.fetch("https://intranet.corp.example/").await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "SSLContext")]
#[derive(Clone, Debug)]
#[must_use = "a context does nothing by itself"]
pub struct SslContext {
    terms: Terms,
    /// What is made of the terms, kept because its sessions can be resumed.
    client: OnceLock<Client>,
}

#[derive(Clone, Debug)]
struct Terms {
    verify_mode: CertReqs,
    check_hostname: bool,
    oldest: Version,
    /// The platform's if none were loaded.
    roots: Option<RootStore>,
    identity: Option<Identity>,
    policy: Policy,
}

/// A context that verifies peers by the platform's roots and by their name, over TLS 1.2 or 1.3.
///
/// Python's took `cafile`, `capath` and `cadata` too: here they are given to
/// [`SslContext::load_verify_locations`], and are in the place of the platform's roots as well. Its
/// contexts for servers, of `Purpose.CLIENT_AUTH`, have no successor. SSLKEYLOGFILE, which it
/// obeyed, is obeyed by [`ClientBuilder::key_log`] only.
pub fn create_default_context() -> SslContext {
    SslContext::of(Terms {
        verify_mode: CertReqs::default(),
        check_hostname: true,
        oldest: Version::Tls12,
        roots: None,
        identity: None,
        policy: Policy::default(),
    })
}

impl SslContext {
    /// A context of that protocol, which otherwise is as [`create_default_context`] makes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the protocol is not spoken: see [`Protocol`].
    pub fn new(protocol: Protocol) -> Result<Self> {
        create_default_context().ssl_version(protocol)
    }

    /// Whether peers must prove who they are: [`CERT_REQUIRED`](super::CERT_REQUIRED) unless said
    /// otherwise.
    ///
    /// To do without, [`check_hostname`](Self::check_hostname) has to be off too.
    pub fn verify_mode(self, mode: CertReqs) -> Self {
        self.with(|terms| terms.verify_mode = mode)
    }

    /// Whether the certificate must be the host's, and not just anybody's; it must unless said
    /// otherwise.
    ///
    /// It can be turned off together with [`verify_mode`](Self::verify_mode) only. A certificate
    /// that is signed and somebody else's is what everybody can have who stands between.
    pub fn check_hostname(self, check: bool) -> Self {
        self.with(|terms| terms.check_hostname = check)
    }

    /// The oldest version of TLS that is spoken; 1.2 unless said otherwise. There is no
    /// `maximum_version`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the version is older than TLS 1.2: see [`TlsVersion`].
    pub fn minimum_version(self, version: TlsVersion) -> Result<Self> {
        let oldest = version.oldest()?;
        Ok(self.with(|terms| terms.oldest = oldest))
    }

    /// Trusts these CAs, in place of the platform's: of a PEM file, of all PEM files in a folder,
    /// and in memory. What was loaded before stays.
    ///
    /// A folder's files may have any name, and not only those that OpenSSL gives them. It is read
    /// at once: within async code, call this where blocking is allowed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if none of the three is given, or one that is given is missing,
    /// unreadable, empty, broken or has no usable CA certificate. Python took a missing folder for
    /// an empty one.
    pub fn load_verify_locations(
        self,
        cafile: Option<Pem>,
        capath: Option<&Path>,
        cadata: Option<CaData<'_>>,
    ) -> Result<Self> {
        if cafile.is_none() && capath.is_none() && cadata.is_none() {
            return Err(Error::new(
                ErrorKind::Config,
                "load_verify_locations was given neither cafile nor capath nor cadata",
            )
            .with_hint(Some(
                "without the call it is the platform's CAs that are trusted",
            )));
        }
        let mut roots = self.terms.roots.clone().unwrap_or_else(RootStore::empty);
        if let Some(file) = cafile {
            roots = roots.add(file.source())?;
        }
        if let Some(folder) = capath {
            roots = roots.add_pem_dir(folder)?;
        }
        match cadata {
            Some(CaData::Pem(pem)) => roots = roots.add_pem(pem)?,
            Some(CaData::Der(der)) => roots = roots.add_der_concatenated(der)?,
            None => {}
        }
        Ok(self.with(|terms| terms.roots = Some(roots)))
    }

    /// Trusts the platform's CAs, or those that SSL_CERT_FILE and SSL_CERT_DIR name, beside those
    /// that were loaded: see [`RootStore::native`]. A context for which nothing was loaded trusts
    /// them anyway.
    ///
    /// # Errors
    ///
    /// As [`RootStore::native`]. In Python this never failed, and no CA was trusted.
    #[doc(alias = "set_default_verify_paths")]
    pub fn load_default_certs(self) -> Result<Self> {
        let native = RootStore::native()?;
        let roots = match &self.terms.roots {
            Some(loaded) => loaded.clone().and(&native),
            None => native,
        };
        Ok(self.with(|terms| terms.roots = Some(roots)))
    }

    /// Our own certificate, for servers that ask for one, and its key, which may be in one file
    /// with it: then that is named once.
    ///
    /// There is no password: a key that is encrypted has to be decrypted before.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_pem_files`].
    pub fn load_cert_chain(self, certfile: impl Into<Pem>, keyfile: Option<Pem>) -> Result<Self> {
        let identity = Identity::from_sources(certfile.into().source(), keyfile.map(Pem::source))?;
        Ok(self.with(|terms| terms.identity = Some(identity)))
    }

    /// What is demanded of peers beyond a path to a root and the right name: what `verify_flags`
    /// was for, such as [`Policy::strict`] for `VERIFY_X509_STRICT`, and [`Policy::crls`] for
    /// `VERIFY_CRL_CHECK_CHAIN`. Of its minimum version and the context's the newer counts.
    #[doc(alias = "verify_flags")]
    pub fn policy(self, policy: Policy) -> Self {
        self.with(|terms| terms.policy = policy)
    }

    /// Prepares a TLS stream over one that is open already. The handshake begins when it is
    /// awaited, and the peer is verified to be `server_hostname`, which in Python could be left
    /// out, and with it the check. It is what [`Client::wrap`] does, and its warnings hold.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client).
    pub fn wrap_socket<S>(&self, stream: S, server_hostname: &str) -> Result<WrapBuilder<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Ok(self.client()?.wrap(stream, server_hostname))
    }

    /// The client of this context, which opens streams and fetches: what `context=` was to
    /// `HTTPSConnection` and `urlopen`. It is built once, and shared.
    ///
    /// # Errors
    ///
    /// As [`client_builder`](Self::client_builder) and [`ClientBuilder::build`], which under
    /// HTTPSVERIFY=1 refuses `CERT_NONE`.
    pub fn client(&self) -> Result<Client> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = self.client_builder()?.build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// A builder for a client of these roots, this identity and these demands, to say more: a
    /// deadline, a proxy, a [`key_log`](ClientBuilder::key_log). What it builds is another client
    /// than the context's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if [`verify_mode`](Self::verify_mode) and
    /// [`check_hostname`](Self::check_hostname) contradict each other.
    pub fn client_builder(&self) -> Result<ClientBuilder> {
        let terms = &self.terms;
        let oldest = terms.oldest.max(terms.policy.oldest_version());
        let mut builder = Client::builder().policy(terms.policy.clone().min_version(oldest));
        if let Some(roots) = &terms.roots {
            builder = builder.roots(roots.clone());
        }
        if let Some(identity) = &terms.identity {
            builder = builder.identity(identity.clone());
        }
        match terms.verify_mode.verifies(terms.check_hostname)? {
            true => Ok(builder),
            false => Ok(builder.danger_accept_unverified()),
        }
    }

    pub(super) fn ssl_version(self, protocol: Protocol) -> Result<Self> {
        let oldest = protocol.oldest()?;
        Ok(self.with(|terms| terms.oldest = oldest))
    }

    /// Both of verification, as of functions that know no `check_hostname`.
    pub(super) fn cert_reqs(self, cert_reqs: CertReqs) -> Self {
        let context = self.verify_mode(cert_reqs);
        context.check_hostname(cert_reqs != CertReqs::None)
    }

    /// These CAs and no others.
    pub(super) fn ca_certs(self, ca_certs: Pem) -> Result<Self> {
        let roots = RootStore::empty().add(ca_certs.source())?;
        Ok(self.with(|terms| terms.roots = Some(roots)))
    }

    fn of(terms: Terms) -> Self {
        Self {
            terms,
            client: OnceLock::new(),
        }
    }

    fn with(self, change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = self.terms;
        change(&mut terms);
        Self::of(terms)
    }
}
