//! What rustls calls from inside a handshake: the judge of the peer, the keeper of our certificate,
//! and the witness to whom both tell what they saw.
//!
//! rustls ties resumption to the addresses of the first two, so one of each serves all handshakes
//! under a configuration. What they see of one of them goes to a slot of the task that drives it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, OtherError, PeerMisbehaved, SignatureScheme,
};
use webpki::RawPublicKeyEntity;

use super::certificate::Certificate;
use super::demand::Demand;
use super::identity::Identity;
use super::presented::Presented;
use super::verdict::{Refusal, Verdict};
use super::verify::Verifier;

/// rustls' view of a [`Verifier`]: it judges inside the handshake, so that neither a request nor a
/// certificate of ours goes to an unproved peer.
#[derive(Debug)]
pub(crate) struct HandshakeVerifier {
    pub(crate) verifier: Verifier,
    pub(crate) demand: Demand,
}

impl ServerCertVerifier for HandshakeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = Presented::of(end_entity, intermediates).staple(ocsp_response);
        let verdict = Arc::new(self.verifier.judge(&presented, server_name, now));
        Witness::saw(Arc::clone(&verdict), ocsp_response);
        match self.demand {
            Demand::Verified if !verdict.is_verified() => Err(rustls::Error::InvalidCertificate(
                CertificateError::Other(OtherError(Arc::new(Refusal(verdict)))),
            )),
            Demand::Verified | Demand::Reported => Ok(ServerCertVerified::assertion()),
        }
    }

    // The key is taken from our own reading of the leaf, as webpki's does not go as far as the key
    // of a version-1 certificate: a peer that is only reported on must still prove that it holds
    // the key of what it presented.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = handshake_key(cert)?;
        let key = RawPublicKeyEntity::try_from(&spki).map_err(unusable_key)?;
        let algorithms = self.verifier.algorithms().mapping;
        let (_, candidates) = algorithms
            .iter()
            .find(|(scheme, _)| *scheme == dss.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // A TLS 1.2 scheme does not name its curve: the key decides which candidate fits.
        candidates
            .iter()
            .find_map(|algorithm| {
                match key.verify_signature(*algorithm, message, dss.signature()) {
                    Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => None,
                    other => Some(other),
                }
            })
            .unwrap_or(Err(webpki::Error::InvalidSignatureForPublicKey))
            .map(|()| HandshakeSignatureValid::assertion())
            .map_err(unusable_key)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &handshake_key(cert)?,
            dss,
            &self.verifier.algorithms(),
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.algorithms().supported_schemes()
    }
}

/// Of the leaf that was judged, which need not be read again.
fn handshake_key(
    cert: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    let certificate = match Witness::leaf(cert) {
        Some(leaf) => leaf,
        None => Certificate::read(cert.clone().into_owned())
            .map_err(|_| CertificateError::BadEncoding)?,
    };
    Ok(SubjectPublicKeyInfoDer::from(
        certificate.spki_der().to_vec(),
    ))
}

fn unusable_key(_: webpki::Error) -> rustls::Error {
    CertificateError::BadSignature.into()
}

/// Hands out our certificate, if we have one, and notes that it was asked for.
#[derive(Debug)]
pub(crate) struct Credentials {
    identity: Option<Arc<CertifiedKey>>,
}

impl Credentials {
    pub(super) fn new(identity: Option<&Identity>) -> Self {
        Self {
            identity: identity.map(Identity::certified_key).cloned(),
        }
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Witness::saw_demand_for_certificate(match self.identity {
            Some(_) => Credential::Shown,
            None => Credential::Missing,
        });
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

/// What is seen of a handshake from inside rustls' callbacks, which are shared by all of them.
#[derive(Debug, Default)]
pub(super) struct Witness {
    pub(super) verdict: Option<Arc<Verdict>>,
    /// What was stapled; empty if nothing was.
    pub(super) staple: Vec<u8>,
    pub(super) credential: Credential,
}

impl Witness {
    fn saw(verdict: Arc<Verdict>, staple: &[u8]) {
        Self::note(|witness| {
            witness.verdict = Some(verdict);
            witness.staple = staple.to_vec();
        });
    }

    fn saw_demand_for_certificate(credential: Credential) {
        Self::note(|witness| witness.credential = credential);
    }

    /// The leaf of the verdict, if it is this certificate.
    fn leaf(der: &CertificateDer<'_>) -> Option<Certificate> {
        let leaf = WITNESS.try_with(|witness| {
            let witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
            witness.verdict.as_ref()?.chain().first().cloned()
        });
        leaf.ok()?.filter(|leaf| leaf.der() == der.as_ref())
    }

    /// Outside of a handshake of ours there is nobody to tell, and the handshake will be refused
    /// for want of a verdict.
    fn note(write: impl FnOnce(&mut Self)) {
        let _ = WITNESS.try_with(|witness| {
            write(&mut witness.lock().unwrap_or_else(PoisonError::into_inner));
        });
    }
}

tokio::task_local! {
    pub(super) static WITNESS: Arc<Mutex<Witness>>;
}

/// Whether the peer asked for a certificate of ours in the handshake, and what it got. On TLS 1.3
/// it says what follows from that only after the first request has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Credential {
    /// It did not ask, or the session was resumed, or the peer is content with what it got.
    #[default]
    Unasked,
    /// It asked and we have none.
    Missing,
    /// It asked and we have one.
    Shown,
}

impl Credential {
    /// What to suspect where the peer then ended the connection: a sentence, and what may help.
    pub(crate) fn suspected(self, how: &str) -> Option<(String, &'static str)> {
        match self {
            Self::Unasked => None,
            Self::Missing => Some((
                format!(
                    "the server asked for a client certificate, we have none, and it ended the connection ({how})"
                ),
                "give the client one by ClientBuilder::identity",
            )),
            Self::Shown => Some((
                format!(
                    "the server was shown our client certificate and ended the connection ({how})"
                ),
                "the server has to trust the certificate's issuer (were its intermediates given to Identity?), \
                 and the certificate has to be within its dates and allowed for TLS clients",
            )),
        }
    }
}
