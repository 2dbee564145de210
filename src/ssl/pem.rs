//! One certificate from DER to PEM and back, as Python's two functions did it.

use rustls::pki_types::CertificateDer;

use crate::error::{Error, ErrorKind, Result};
use crate::tls::pem::{self, BEGIN_CERTIFICATE, END_CERTIFICATE};

/// A certificate in PEM: its DER in base64, in lines of 64 letters between two markers, each line
/// ended by LF.
///
/// As in Python, the bytes are not looked into:
/// [`Certificate::from_der`](crate::tls::Certificate::from_der) does so, and
/// [`to_pem`](crate::tls::Certificate::to_pem) gives the same text.
#[doc(alias = "DER_cert_to_PEM_cert")]
pub fn der_cert_to_pem_cert(der: &[u8]) -> String {
    pem::certificate(der)
}

/// The DER of a certificate in PEM, which must begin the text and end it, but for white space at
/// the end.
///
/// As in Python, the text must begin with the marker: white space before it is refused. So is a
/// second certificate and broken base64, of which Python made what its decoder made of them. Base64
/// may lack its padding, which Python refused. The DER is not looked into: [`Certificate::from_pem`](crate::tls::Certificate::from_pem) does so,
/// and passes over prose around the certificate.
///
/// # Errors
///
/// [`ErrorKind::Config`], saying which of this it is.
#[doc(alias = "PEM_cert_to_DER_cert")]
pub fn pem_cert_to_der_cert(pem: &str) -> Result<CertificateDer<'static>> {
    let misses = |what| {
        Err(Error::new(
            ErrorKind::Config,
            format!("cannot read a certificate: {what}"),
        ))
    };
    if !pem.starts_with(BEGIN_CERTIFICATE) {
        return misses(format!("the text does not begin with {BEGIN_CERTIFICATE}"));
    }
    if !pem.trim_ascii_end().ends_with(END_CERTIFICATE) {
        return misses(format!("the text does not end with {END_CERTIFICATE}"));
    }
    pem::only_certificate(pem.as_bytes())
}
