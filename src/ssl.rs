//! The names of Python's `ssl`, onto ours: for those who come from App Engine's sockets, `httplib`
//! and `urllib2` with a context.
//!
//! ```no_run
//! # async fn example(stream: tokio::net::TcpStream) -> urlfetch::Result<()> {
//! use urlfetch::ssl;
//!
//! let context = ssl::create_default_context()
//!     .load_verify_locations(Some("corp-ca.pem".into()), None, None)?
//!     .load_cert_chain("client.pem", Some("client.key".into()))?;
//! let stream = context.wrap_socket(stream, "imap.corp.example")?.await?;
//! println!("{}", stream.verdict());
//!
//! let response = context.client()?.fetch("https://intranet.corp.example/").await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`SslContext`] has what is trusted and demanded, and gives streams and a
//! [`Client`](crate::Client); [`wrap_socket`] says all of it for one stream;
//! [`get_server_certificate`] asks who answers. They hold no behaviour of their own: what they make
//! is what [`Client::builder`](crate::Client::builder) makes.
//!
//! # What differs
//!
//! - Peers are verified, the name included, by whatever call: in Python `SSLContext(..)` and
//!   `wrap_socket(..)` asked for no certificate unless told to, and `wrap_socket` and
//!   `get_server_certificate` never looked at the name. Who wants none says
//!   [`CERT_NONE`], which HTTPSVERIFY=1 refuses and the log warns of.
//! - What is asked of the name is asked within the handshake: our own certificate never goes to a
//!   peer that is not the host.
//! - CAs that are named and cannot be read are an error, and never no CAs.
//! - TLS 1.0 and 1.1 are refused, by those names.
//!
//! # Out of scope
//!
//! Servers, handshakes that are begun by hand (`do_handshake`, `MemoryBIO`), choosing ciphers and
//! curves, `maximum_version`, keys with a password, PSK, compression and renegotiation.

mod cert_reqs;
pub use cert_reqs::{CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED, CertReqs};

mod context;
pub use context::{SslContext, create_default_context};

mod file_like;
pub use file_like::{CaData, Pem};

mod peer_cert;
pub use peer_cert::{AltName, AltValue, PeerCert, RdnSequence, getpeercert};

mod pem;
pub use pem::{der_cert_to_pem_cert, pem_cert_to_der_cert};

mod protocol;
pub use protocol::{
    PROTOCOL_SSLv2, PROTOCOL_SSLv3, PROTOCOL_SSLv23, PROTOCOL_TLS, PROTOCOL_TLS_CLIENT,
    PROTOCOL_TLS_SERVER, PROTOCOL_TLSv1, PROTOCOL_TLSv1_1, PROTOCOL_TLSv1_2, Protocol, TlsVersion,
};

mod server_certificate;
pub use server_certificate::{GetServerCertificate, get_server_certificate};

mod time;
pub use time::{MalformedTime, cert_time_to_seconds};

mod wrap_socket;
pub use wrap_socket::{WrapSocket, wrap_socket};

pub use crate::tls::match_hostname;
