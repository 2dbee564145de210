//! What is stapled, or was to be: rustls with webpki's verifier does not look, and ours refuses.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use urlfetch::lab::{Expected, Lab, Scenario};
use urlfetch::tls::{Presented, RootStore, Verifier};

use super::{config, connect, provider, roots};

/// What rustls does not refuse, with words from our reason.
pub(super) const UNSEEN: &[(Scenario, &str)] = &[
    (Scenario::Revoked, "on 2001-01-01T00:00:00Z (keyCompromise)"),
    (Scenario::StapleOfAnother, "is about the certificate of"),
    (Scenario::StaleStaple, "was valid until 2000-01-08"),
    (Scenario::MissingStaple, "RFC 7633"),
];

#[tokio::test]
async fn rustls_accepts_what_ours_refuses_for_its_own_reason() {
    let lab = Lab::start().await.unwrap();
    let store = RootStore::empty().add_pem(lab.ca_pem()).unwrap();
    let verifier = Verifier::builder().roots(store).build().unwrap();
    // 2026-06-01
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        for (scenario, words) in [&[(Scenario::Stapled, "")], UNSEEN].concat() {
            let witness = Arc::new(Witness::new(&lab));
            let mut config = config(&lab, versions, None);
            config
                .dangerous()
                .set_certificate_verifier(Arc::clone(&witness) as _);
            let stream = connect(&lab, scenario, config).await.unwrap();

            let staple = witness.staple.get().unwrap();
            let is_missing = scenario == Scenario::MissingStaple;
            assert_eq!(staple.is_empty(), is_missing, "{scenario}");
            let chain = stream.get_ref().1.peer_certificates().unwrap();
            let host = ServerName::try_from(scenario.host()).unwrap();
            let verdict = verifier.judge(&Presented::new(chain).staple(staple), &host, now);
            match verdict.reason() {
                Some(reason) => {
                    assert_eq!(Expected::Refused(reason.code()), scenario.expected());
                    assert!(reason.sentence().contains(words), "{scenario}: {reason}");
                    assert_eq!(verdict.reasons().count(), 1, "{scenario}");
                }
                None => assert_eq!(scenario.expected(), Expected::Fetched),
            }
        }
    }
}

#[tokio::test]
async fn what_ours_refuses_receives_nothing() {
    let lab = Lab::start().await.unwrap();
    let client = lab.client().unwrap();
    for (scenario, words) in UNSEEN {
        let error = client.fetch(lab.url(*scenario)).await.unwrap_err();
        assert_eq!(Expected::Refused(error.code()), scenario.expected());
        assert!(error.to_string().contains(words), "{scenario}: {error}");
        lab.settled(*scenario).await;
        let counts = lab.counts(*scenario);
        assert_eq!(
            (counts.connections, counts.handshakes, counts.received),
            (1, 0, 0),
            "{scenario}"
        );
    }
}

/// Webpki's verifier, and the staple that it was shown and did not look at.
#[derive(Debug)]
struct Witness {
    webpki: Arc<WebPkiServerVerifier>,
    staple: OnceLock<Vec<u8>>,
}

impl Witness {
    fn new(lab: &Lab) -> Self {
        let webpki = WebPkiServerVerifier::builder_with_provider(roots(lab).into(), provider());
        Self {
            webpki: webpki.build().unwrap(),
            staple: OnceLock::new(),
        }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        staple: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.staple.set(staple.to_vec()).unwrap();
        self.webpki
            .verify_server_cert(leaf, issuers, name, staple, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
