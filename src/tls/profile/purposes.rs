//! The rules on what a leaf and its key are for, and where more is to be had about it.

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280;

use super::reading::Reading;
use super::{Broken, Check, Level, Rule, syntax};
use crate::tls::general_name::GeneralName;
use crate::tls::places;
use crate::tls::reason::Code;
use crate::tls::shown::Shown;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "leaf-signs-nothing",
        demands: "a leaf's keyUsage has neither keyCertSign nor cRLSign",
        source: "RFC 5280 §4.2.1.3, §4.2.1.9, BR 7.1.2.7.11",
        level: Level::Strict,
        why: "a certificate that it issued is refused, as it is no CA",
        code: Code::Profile,
        check: Check::Leaf(signs_nothing),
    },
    Rule {
        id: "leaf-digital-signature",
        demands: "a leaf's keyUsage, if there, has digitalSignature",
        source: "RFC 8446 §4.4.2.2, BR 7.1.2.7.11",
        level: Level::Strict,
        why: "the key shows that it can sign in the handshake, and old private CAs only gave \
              keyEncipherment",
        code: Code::Profile,
        check: Check::Leaf(digital_signature),
    },
    Rule {
        id: "leaf-path-length",
        demands: "a certificate that is no CA's has no pathLenConstraint",
        source: "RFC 5280 §4.2.1.9, BR 7.1.2.7.8",
        level: Level::Strict,
        why: "there is nothing that it could constrain",
        code: Code::Profile,
        check: Check::Leaf(path_length),
    },
    Rule {
        id: "eku-absent",
        demands: "a leaf has an extKeyUsage",
        source: "BR 7.1.2.7.6",
        level: Level::Strict,
        why: "without it RFC 5280 §4.2.1.12 allows every purpose, and private CAs leave it out",
        code: Code::Profile,
        check: Check::Leaf(eku_absent),
    },
    Rule {
        id: "eku-critical",
        demands: "a leaf's extKeyUsage is not critical",
        source: "BR 7.1.2.7.6",
        level: Level::Strict,
        why: "RFC 5280 §4.2.1.12 allows both, and it is obeyed here in any case",
        code: Code::Profile,
        check: Check::Leaf(eku_critical),
    },
    Rule {
        id: "eku-other",
        demands: "a leaf's extKeyUsage does not list anyExtendedKeyUsage, codeSigning, \
                  emailProtection, timeStamping or OCSPSigning, nor a precertificate's purpose",
        source: "BR 7.1.2.7.10",
        level: Level::Strict,
        why: "a server's certificate may serve for something else where its CA says so",
        code: Code::Profile,
        check: Check::Leaf(eku_other),
    },
    Rule {
        id: "aia-uri",
        demands: "a URI in a leaf's authorityInfoAccess is one, and if it is publicly trusted, there \
                  is nothing else",
        source: "RFC 5280 §4.2.2.1, BR 7.1.2.7.7",
        level: Level::Strict,
        why: "nothing is fetched from there; RFC 5280 allows other names than URIs, which those who \
              claim public trust, by a policy of the CA/Browser Forum or by embedded SCTs, do not \
              use",
        code: Code::Profile,
        check: Check::Leaf(aia_uri),
    },
];

fn signs_nothing(reading: &Reading<'_>) -> Broken {
    // A CA is refused as a leaf for being one.
    let usage = reading.certificate.key_usage()?;
    let wrong = match (usage.key_cert_sign(), usage.crl_sign()) {
        _ if reading.certificate.is_ca() => return None,
        (true, _) => "keyCertSign",
        (_, true) => "cRLSign",
        _ => return None,
    };
    Some(format!("is no CA's and has {wrong} in its keyUsage"))
}

fn digital_signature(reading: &Reading<'_>) -> Broken {
    let usage = reading.certificate.key_usage()?;
    (!usage.digital_signature()).then(|| "has a keyUsage without digitalSignature".into())
}

fn path_length(reading: &Reading<'_>) -> Broken {
    let length = reading.path_length()?;
    (!reading.certificate.is_ca())
        .then(|| format!("is no CA's and has a pathLenConstraint of {length}"))
}

fn eku_absent(reading: &Reading<'_>) -> Broken {
    let is_absent = !reading.has(rfc5280::ID_CE_EXT_KEY_USAGE);
    is_absent.then(|| "has no extKeyUsage".into())
}

fn eku_critical(reading: &Reading<'_>) -> Broken {
    let is_critical = reading.is_critical(rfc5280::ID_CE_EXT_KEY_USAGE)?;
    is_critical.then(|| "has a critical extKeyUsage".into())
}

fn eku_other(reading: &Reading<'_>) -> Broken {
    let purposes = reading.certificate.purposes()?;
    let (_, name) = OTHER_PURPOSES
        .iter()
        .find(|(purpose, _)| purposes.contains(purpose))?;
    Some(format!("has {name} in its extKeyUsage"))
}

fn aia_uri(reading: &Reading<'_>) -> Broken {
    let access = reading
        .certificate
        .extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS)?;
    // What cannot be read breaks the rule on the form of extensions.
    let locations = places::access(access).ok()?;
    locations
        .into_iter()
        .find_map(|(_, location)| match location {
            GeneralName::Uri(uri) => {
                let uri = String::from_utf8_lossy(uri);
                (!syntax::is_uri(&uri))
                    .then(|| format!("has \"{}\" in its authorityInfoAccess", Shown(&uri)))
            }
            _ => reading
                .claims_public_trust
                .then(|| "has something other than a URI in its authorityInfoAccess".into()),
        })
}

/// What BR 7.1.2.7.10 says MUST NOT be there.
const OTHER_PURPOSES: &[(ObjectIdentifier, &str)] = &[
    (rfc5280::ANY_EXTENDED_KEY_USAGE, "anyExtendedKeyUsage"),
    (rfc5280::ID_KP_CODE_SIGNING, "codeSigning"),
    (rfc5280::ID_KP_EMAIL_PROTECTION, "emailProtection"),
    (rfc5280::ID_KP_TIME_STAMPING, "timeStamping"),
    (rfc5280::ID_KP_OCSP_SIGNING, "OCSPSigning"),
    (
        ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.4"),
        "the purpose of a precertificate's signer",
    ),
];
