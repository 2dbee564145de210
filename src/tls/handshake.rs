//! One TLS handshake: a socket becomes a [`TlsStream`] whose peer was judged, or the reason there
//! is none.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, ClientConfig, HandshakeKind, InvalidMessage, PeerIncompatible,
    ProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::callbacks::{Credential, WITNESS, Witness};
use super::demand::Demand;
use super::driver::Driver;
use super::overheard::Overheard;
use super::peer::Peer;
use super::presented::Presented;
use super::stream::TlsStream;
use super::verdict::{Refusal, Verdict};
use super::{Ticketed, Tls, Version};
use crate::connect::transport::Transport;
use crate::error::{Error, ErrorKind};
use crate::timings::Phase;

impl Tls {
    /// Makes one handshake.
    ///
    /// A resumed session is judged again, from the chain and the staple that were kept with it, as
    /// the verifier is not called for it: what held when the ticket was issued may not hold now.
    ///
    /// A peer that is refused takes its origin's tickets with it: nobody resumes a session of before
    /// with whom has just been found out.
    pub(crate) async fn handshake<S>(
        &self,
        stream: Transport<S>,
        origin: &Ticketed,
        name: ServerName<'static>,
        remote: Option<SocketAddr>,
    ) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let witness = Arc::new(Mutex::new(Witness::default()));
        let sessions = self.sessions(origin);
        let connecting = connect(Arc::clone(&sessions.config), name.clone(), stream);
        let result = WITNESS.scope(Arc::clone(&witness), connecting).await;
        let witness = std::mem::take(&mut *witness.lock().unwrap_or_else(PoisonError::into_inner));
        let stream = match result {
            Ok(stream) => stream,
            Err((error, _)) if presented_nothing(&error) => {
                self.forget(origin);
                // rustls asks its verifier about certificates, and there is none.
                let none = Presented::new(&[]);
                let verdict = self.verifier.verifier.judge(&none, &name, self.clock.now());
                let error = refused(&verdict, remote).with_verdict(Some(Arc::new(verdict)));
                return Err(Failure::Final(error));
            }
            Err((error, overheard)) => {
                if rustls_error(&error).is_some_and(is_refusal) {
                    self.forget(origin);
                }
                let spoken = Spoken {
                    oldest: self.oldest,
                    gone: overheard.gone_version(),
                };
                let error = explain(&error, &witness, spoken, origin, remote);
                // A good verdict on the certificate is none on a peer that did not get as far as
                // proving that the certificate is its own.
                let verdict = witness.verdict.filter(|verdict| !verdict.is_verified());
                return Err(Failure::Final(error.with_verdict(verdict)));
            }
        };
        let agreed = stream.engine.agreed();
        // On TLS 1.2 the handshake ends only when the peer is content.
        let credential = match agreed.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Credential::Unasked,
            _ => witness.credential,
        };
        let chain = agreed.peer_certificates().unwrap_or_default();
        let verdict = match (agreed.handshake_kind(), witness.verdict) {
            (Some(HandshakeKind::Resumed), _) => {
                let staple = chain.first().map(|leaf| sessions.staple(leaf));
                let presented = Presented::new(chain).staple(staple.as_deref().unwrap_or_default());
                Arc::new(
                    self.verifier
                        .verifier
                        .judge(&presented, &name, self.clock.now()),
                )
            }
            (_, Some(verdict)) => {
                let is_kept = chain
                    .first()
                    .is_some_and(|leaf| sessions.keep(leaf, &witness.staple).is_ok());
                if !is_kept {
                    self.forget(origin);
                }
                verdict
            }
            // A full handshake that nobody judged: nothing proves who this is.
            (_, None) => {
                let error = Error::new(
                    ErrorKind::Tls,
                    "the TLS handshake ended without a judgement of its peer",
                );
                return Err(Failure::Final(error));
            }
        };
        match self.verifier.demand {
            Demand::Verified if !verdict.is_verified() => {
                self.forget(origin);
                Err(Failure::Stale(verdict))
            }
            Demand::Verified | Demand::Reported => {
                let Some(peer) = Peer::of(agreed, verdict) else {
                    let error = Error::new(ErrorKind::Tls, "the TLS handshake did not end");
                    return Err(Failure::Final(error));
                };
                Ok(TlsStream {
                    stream,
                    peer,
                    credential,
                })
            }
        }
    }
}

/// TLS over a stream, of which nobody was judged yet but by rustls' verifier; if there is none, what
/// was overheard.
async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: Transport<S>,
) -> Result<Driver<Overheard<Transport<S>>>, (io::Error, Overheard<Transport<S>>)> {
    let overheard = Overheard::new(stream);
    let tls = match UnbufferedClientConnection::new(config, name) {
        Ok(tls) => tls,
        Err(error) => return Err((io::Error::other(error), overheard)),
    };
    let mut driver = Driver::new(tls, overheard);
    match poll_fn(|cx| driver.poll_handshake(cx)).await {
        Ok(()) => Ok(driver),
        Err(error) => Err((error, driver.stream)),
    }
}

/// Why a handshake gave no stream.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A resumed session that holds no longer. Its tickets are dropped: the next handshake is a
    /// full one.
    Stale(Arc<Verdict>),
    /// Anything else.
    Final(Error),
}

impl Failure {
    /// What is told of it, if nothing more is tried.
    pub(crate) fn into_error(self, remote: Option<SocketAddr>) -> Error {
        let error = match self {
            Self::Stale(verdict) => refused(&verdict, remote).with_verdict(Some(verdict)),
            Self::Final(error) => error,
        };
        error.with_phase(Phase::Tls)
    }
}

/// The versions of TLS of both sides.
#[derive(Clone, Copy)]
struct Spoken {
    /// The oldest that we accept.
    oldest: Version,
    /// In which the server answered, if nobody may speak it any more.
    gone: Option<&'static str>,
}

/// An error for a handshake that failed.
fn explain(
    error: &io::Error,
    witness: &Witness,
    spoken: Spoken,
    origin: &Ticketed,
    remote: Option<SocketAddr>,
) -> Error {
    let Some(tls) = rustls_error(error) else {
        return match witness.credential.suspected(&error.to_string()) {
            Some((sentence, hint)) => Error::new(
                ErrorKind::Tls,
                format!("the TLS handshake with {origin} failed: {sentence}"),
            )
            .with_hint(Some(hint)),
            None => Error::new(
                ErrorKind::Tls,
                format!("the TLS handshake with {origin} was cut off: {error}"),
            ),
        };
    };
    if is_refusal(tls) {
        return match witness.verdict.as_deref() {
            Some(verdict) => refused(verdict, remote),
            None => Error::new(
                ErrorKind::Tls,
                format!("the TLS handshake with {origin} failed: {tls}"),
            ),
        };
    }
    let (sentence, hint) = describe(tls, witness, spoken);
    Error::new(
        ErrorKind::Tls,
        format!("the TLS handshake with {origin} failed: {sentence}"),
    )
    .with_hint(hint)
}

/// The error for a peer whose certificate was refused.
fn refused(verdict: &Verdict, remote: Option<SocketAddr>) -> Error {
    let Some(reason) = verdict.reason() else {
        return Error::new(ErrorKind::Certificate, verdict.to_string());
    };
    let mut message = format!(
        "certificate for \"{}\" was refused: {reason}",
        verdict.host()
    );
    // To a string, this cannot fail.
    let _ = verdict.write_others(&mut message);
    if let Some(remote) = remote {
        message.push_str(&format!(" ({remote})"));
    }
    Error::new(ErrorKind::Certificate, message).with_hint(reason.hint())
}

fn presented_nothing(error: &io::Error) -> bool {
    matches!(
        rustls_error(error),
        Some(rustls::Error::NoCertificatesPresented)
    )
}

fn is_refusal(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))
            if other.0.downcast_ref::<Refusal>().is_some()
    )
}

/// rustls' error in words of those who have to mend it.
fn describe(
    error: &rustls::Error,
    witness: &Witness,
    spoken: Spoken,
) -> (String, Option<&'static str>) {
    use rustls::Error as E;
    if let E::AlertReceived(_) = error {
        if let Some((sentence, hint)) = witness.credential.suspected(&error.to_string()) {
            return (sentence, Some(hint));
        }
    }
    match error {
        E::AlertReceived(AlertDescription::ProtocolVersion)
        | E::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ) => match (spoken.gone, spoken.oldest) {
            (Some(version), _) => (
                format!("the server answered in {version}, which is not spoken ({error})"),
                Some(GONE),
            ),
            (None, Version::Tls12) => (
                format!("the server speaks no TLS version that we accept ({error})"),
                Some(GONE),
            ),
            (None, Version::Tls13) => (
                format!("the server does not speak TLS 1.3, which the policy demands ({error})"),
                Some(
                    "the server needs TLS 1.3, or a Policy::min_version of its own by \
                     ClientBuilder::policy_for",
                ),
            ),
        },
        // RFC 7301 §3.2.
        E::AlertReceived(AlertDescription::NoApplicationProtocol) => (
            format!("the server speaks none of the protocols that ALPN offered it ({error})"),
            None,
        ),
        E::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => (
            format!("the server does not speak TLS ({error})"),
            Some("is this port for plain http?"),
        ),
        E::InvalidCertificate(_) => {
            match witness.verdict.as_deref().and_then(|v| v.chain().first()) {
                Some(leaf) => (
                    format!(
                        "the server did not prove that it holds the key of its certificate, or the key \
                     ({}) is one that we cannot use",
                        leaf.key_description()
                    ),
                    None,
                ),
                None => (error.to_string(), None),
            }
        }
        _ => (error.to_string(), None),
    }
}

/// rustls' error in a chain of causes, if there is one.
pub(crate) fn rustls_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

impl fmt::Display for Ticketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            0 => f.write_str(&self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

const GONE: &str = "TLS 1.0 and 1.1 are gone (RFC 8996): the server needs TLS 1.2 or 1.3";
