//! One certificate from DER to PEM and back: `ssl`'s functions, which do not look into it, and
//! those of `Certificate`, which do.

use rcgen::KeyPair;
use urlfetch::ErrorKind;
use urlfetch::ssl::{der_cert_to_pem_cert, pem_cert_to_der_cert};
use urlfetch::tls::Certificate;

use crate::mint::{Tbs, name};

/// As Python 3.11's `DER_cert_to_PEM_cert` wrote them.
#[test]
fn der_is_written_in_lines_of_64_letters() {
    for (length, widths) in [
        (0, &[][..]),
        (1, &[4]),
        (47, &[64]),
        (48, &[64]),
        (49, &[64, 4]),
        (96, &[64, 64]),
        (100, &[64, 64, 8]),
    ] {
        let der = vec![7; length];
        let pem = der_cert_to_pem_cert(&der);
        let lines: Vec<_> = pem.split('\n').collect();
        let [BEGIN, inside @ .., END, ""] = lines.as_slice() else {
            panic!("{pem}")
        };
        let found: Vec<_> = inside.iter().map(|line| line.len()).collect();
        assert_eq!(found, widths);
        assert_eq!(*pem_cert_to_der_cert(&pem).unwrap(), der);
    }
    assert_eq!(der_cert_to_pem_cert(DER), plain());
}

/// What Python 3.11's `PEM_cert_to_DER_cert` took, and what is taken here.
#[test]
fn pem_begins_and_ends_the_text() {
    let (begins, ends) = ("does not begin with", "does not end with");
    let plain = plain();
    for (text, _in_python, refused) in [
        (plain.clone(), true, None),
        (plain.trim_end().to_owned(), true, None),
        (format!("{plain} \r\n\t"), true, None),
        (plain.replace('\n', "\r\n"), true, None),
        (String::new(), false, Some(begins)),
        (format!(" {plain}"), false, Some(begins)),
        (format!("\n{plain}"), false, Some(begins)),
        (format!("\u{feff}{plain}"), false, Some(begins)),
        (format!("prose\n{plain}"), false, Some(begins)),
        (plain.replace(" CERT", " X509 CERT"), false, Some(begins)),
        (format!("{plain}prose"), false, Some(ends)),
        (plain.replace("-----END", "----END"), false, Some(ends)),
        (BEGIN.to_owned(), false, Some(ends)),
        (plain.replace("MAM", "AM"), false, Some("the base64")),
        // Padding says nothing that the END does not.
        (plain.replace("QU=", "QU"), false, None),
        // Two of them, of which its decoder took one; letters that are none; and lost line breaks.
        (
            plain.repeat(2),
            true,
            Some("entry 2 (line 4): it is a second entry"),
        ),
        (plain.replace("MAM", "MA*M"), true, Some("the base64")),
        (
            plain.replace('\n', ""),
            true,
            Some("not quite a PEM marker"),
        ),
    ] {
        let told = match pem_cert_to_der_cert(&text) {
            Ok(der) => {
                assert_eq!(*der, *DER, "{text:?}");
                None
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                Some(error.to_string())
            }
        };
        assert_eq!(told.is_some(), refused.is_some(), "{text:?}: {told:?}");
        let refused = refused.unwrap_or_default();
        assert!(told.unwrap_or_default().contains(refused), "{text:?}");
    }
}

#[test]
fn a_certificate_is_the_only_entry_of_its_text() {
    let [one, other] = ["one", "other"].map(minted);
    let key = KeyPair::generate().unwrap().serialize_pem();
    let pem = one.to_pem();
    assert_eq!(pem, der_cert_to_pem_cert(one.der()));
    let crl = plain().replace("CERTIFICATE", "X509 CRL");
    for (text, refused) in [
        (pem.clone(), None),
        (format!("subject=one\r\n  {pem}\n--\nend"), None),
        (format!("\u{feff}{}", pem.replace('\n', "\r")), None),
        (pem.replace("CERT", "X509 CERT"), None),
        (String::new(), Some("it is empty")),
        ("prose".to_owned(), Some("it is not PEM")),
        (pem.repeat(2), Some("entry 2 (line ")),
        (
            pem.clone() + &other.to_pem(),
            Some("it is a second entry, and one certificate was expected"),
        ),
        (pem.clone() + &key, Some("it is a second entry")),
        (pem.clone() + &crl, Some("it is a second entry")),
        (
            key.clone() + &pem,
            Some("entry 1 (line 1): it is a private key"),
        ),
        (
            key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            Some("it is a private key"),
        ),
        (crl, Some("its label is X509 CRL, not CERTIFICATE")),
        (
            pem.replace("CERT", "TRUSTED CERT"),
            Some("it is a TRUSTED CERTIFICATE"),
        ),
        (
            pem.replacen("MI", "M!", 1),
            Some("the base64 of the CERTIFICATE is broken"),
        ),
        (
            plain(),
            Some(
                "entry 1 (line 1): the certificate cannot be used: not an X.509 certificate in DER",
            ),
        ),
        (
            pem.replace("-----END", "----END"),
            Some("the CERTIFICATE has no END line"),
        ),
    ] {
        match (Certificate::from_pem(&text), refused) {
            (Ok(read), None) => assert_eq!(read, one),
            (Err(error), Some(refused)) => {
                let told = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(
                    told.starts_with("cannot read a certificate from bytes: "),
                    "{told}"
                );
                assert!(told.contains(refused), "{told}");
                assert!(!told.contains(key.lines().nth(1).unwrap()), "{told}");
            }
            (read, refused) => panic!("{read:?}, not {refused:?}: {text}"),
        }
    }
    let der = Certificate::from_pem(one.der()).unwrap_err().to_string();
    assert!(der.contains("it is DER and PEM was expected"), "{der}");
}

fn minted(common_name: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let tbs = Tbs::new(name(&[common_name]), name(&["issuer"]), &key);
    Certificate::from_der(&tbs.sign(&key)).unwrap()
}

/// A certificate for who does not look into it.
fn plain() -> String {
    format!("{BEGIN}\nMAMCAQU=\n{END}\n")
}

const DER: &[u8] = &[0x30, 3, 2, 1, 5];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
