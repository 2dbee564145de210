//! A full handshake with a server on a thread of its own, judged by a verifier that has met the chain
//! before, and by one that has not.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme,
};
use urlfetch::tls::{CertificateDer, Policy, Presented, RootStore, ServerName, UnixTime, Verifier};

use crate::chains::{Chain, HOST, now};
use crate::rounds::interleaved;
use crate::verifier;

pub(crate) fn measure(chain: &Chain) {
    let provider = Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..default_provider()
    });
    let server = serve(chain, &provider);
    let roots = RootStore::empty().add_der(&chain.root).unwrap();
    let shake_hands = |verifier: Verifier| {
        let judge = Arc::new(Judge(verifier, Arc::clone(&provider)));
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(judge)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let host = ServerName::try_from(HOST).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), host).unwrap();
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        client.complete_io(&mut stream).unwrap();
        assert!(!client.is_handshaking());
    };
    let known = verifier(&roots, Policy::default());
    let [first, again] = interleaved([
        &|| shake_hands(verifier(&roots, Policy::default())),
        &|| shake_hands(known.clone()),
    ]);
    println!(
        "  {}: first {}, again {}, ratio {}",
        chain.name,
        first.shown(),
        again.shown(),
        again.to(&first)
    );
}

/// Completes handshakes for as long as the process lives.
fn serve(chain: &Chain, provider: &Arc<CryptoProvider>) -> SocketAddr {
    let key = PrivatePkcs8KeyDer::from(chain.key.clone());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.presented.clone(), key.into())
        .unwrap();
    config.send_tls13_tickets = 0;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            while server.is_handshaking() {
                server.complete_io(&mut stream).unwrap();
            }
        }
    });
    address
}

#[derive(Debug)]
struct Judge(Verifier, Arc<CryptoProvider>);

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<_> = [end_entity]
            .into_iter()
            .chain(intermediates)
            .cloned()
            .collect();
        let verdict = self.0.judge(&Presented::new(&chain), server_name, now());
        assert!(verdict.is_verified(), "{verdict}");
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.1.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.1.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}
