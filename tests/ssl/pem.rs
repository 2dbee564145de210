//! One certificate from DER to PEM and back.

use urlfetch::ssl::{der_cert_to_pem_cert, pem_cert_to_der_cert};

#[test]
fn there_and_back() {
    let pem = der_cert_to_pem_cert(&[7; 100]);
    assert_eq!(*pem_cert_to_der_cert(&pem).unwrap(), [7; 100]);
}
