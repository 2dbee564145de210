//! Why there is no path: webpki's errors, and a leaf's own faults, in the words of those who have
//! to mend them.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280;

use super::certificate::Certificate;
use super::reason::{Code, Reason};
use super::shown::{MAX_SHOWN_NAMES, date};
use super::signature::Signed;

/// A chain from whose leaf no path was found.
pub(super) struct Pathless<'a> {
    pub(super) leaf: &'a Certificate,
    pub(super) issuers: Vec<Certificate>,
    /// The roots by whose names a certificate of the chain was issued.
    pub(super) roots: Vec<Certificate>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Pathless<'_> {
    /// webpki's error as our reason: what it may be, and what helps.
    pub(super) fn explain(&self, error: webpki::Error, now: UnixTime) -> Reason {
        use webpki::Error as E;
        match error {
            E::UnknownIssuer | E::CaUsedAsEndEntity if self.is_self_signed() => self.self_signed(),
            E::UnknownIssuer => self.unknown_issuer(),
            E::CaUsedAsEndEntity => Reason::new(
                Code::CaAsEndEntity,
                "the certificate is a CA's: it may sign others, it may not stand for a host",
            )
            .with_hint("issue a certificate for the host from this CA and let the server use that"),
            E::CertExpired { not_after, .. } => expired(
                &self.whose(|c| c.not_after_unix() == not_after),
                not_after,
                now,
            ),
            E::CertNotValidYet { not_before, .. } => not_yet_valid(
                &self.whose(|c| c.not_before_unix() == not_before),
                not_before,
                now,
            ),
            E::InvalidSignatureForPublicKey => self.bad_signature(),
            E::UnsupportedCertVersion => Reason::new(
                Code::UnsupportedVersion,
                format!(
                    "the certificate is of X.509 version {}; only version 3 can say which host it is for",
                    self.leaf.version()
                ),
            ),
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | E::SignatureAlgorithmMismatch => Reason::new(
                Code::UnsupportedAlgorithm,
                format!(
                    "a certificate on the path is signed by an algorithm we do not accept (the \
                     leaf's is {}, its key {})",
                    self.leaf.signature_algorithm(),
                    self.leaf.key_description()
                ),
            ),
            E::UnsupportedCriticalExtension => Reason::new(
                Code::UnknownCriticalExtension,
                "a certificate on the path has a critical extension that we do not know \
                 (RFC 5280 §4.2)",
            ),
            E::EndEntityUsedAsCa => Reason::new(
                Code::NotACa,
                "a certificate on the path was issued by one that is no CA",
            ),
            E::PathLenConstraintViolated => Reason::new(
                Code::PathLength,
                "a CA on the path may not have so many CAs below it (RFC 5280 §4.2.1.9)",
            ),
            E::MaximumPathDepthExceeded => Reason::new(
                Code::ChainTooLong,
                "the path to a root would have more than 6 intermediates",
            ),
            E::MaximumSignatureChecksExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumNameConstraintComparisonsExceeded => Reason::new(
                Code::TooComplex,
                "the presented certificates allow more paths than we follow",
            ),
            E::NameConstraintViolation => Reason::new(
                Code::NameConstraint,
                "a CA on the path may not issue for the names in the certificate \
                 (RFC 5280 §4.2.1.10)",
            ),
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Reason::new(
                Code::WrongPurpose,
                "a CA on the path may not issue for TLS servers (its extended key usage)",
            ),
            other => Reason::new(
                Code::Malformed,
                format!("a certificate on the path is malformed: {other:?}"),
            ),
        }
    }

    fn is_self_signed(&self) -> bool {
        let leaf = self.leaf;
        leaf.is_self_issued() && Signed::certificate(leaf).is_by(leaf.spki_der(), self.algorithms)
    }

    fn self_signed(&self) -> Reason {
        let reason = Reason::new(
            Code::SelfSigned,
            format!(
                "the certificate is signed by itself ({}) and by nobody we trust",
                self.leaf.subject()
            ),
        );
        match self.leaf.is_ca() {
            // webpki refuses a CA as a leaf even where it is a root: adding it would not help.
            true => reason.with_hint(
                "it is a CA's: issue a certificate for the host from it, let the server use that, \
                 and add the CA by RootStore::add_pem_file or SSL_CERT_FILE",
            ),
            false => reason.with_hint(
                "if this very certificate is to be trusted, add it by RootStore::add_pem_file or \
                 SSL_CERT_FILE",
            ),
        }
    }

    fn unknown_issuer(&self) -> Reason {
        let issuers = &self.issuers;
        // Follow the issuers by name to the last one that was presented.
        let mut last = self.leaf;
        for _ in 0..issuers.len() {
            let above = issuers
                .iter()
                .find(|issuer| issuer.subject_der() == last.issuer_der());
            match above {
                Some(above) if !above.is_self_issued() => last = above,
                Some(root) => {
                    return Reason::new(
                        Code::UnknownIssuer,
                        format!(
                            "the chain ends in {}, which is not among our roots",
                            root.subject()
                        ),
                    )
                    .with_hint(ADD_THE_CA);
                }
                None => break,
            }
        }
        let reason = Reason::new(
            Code::UnknownIssuer,
            format!(
                "its issuer, {}, is not among our roots and was not presented",
                last.issuer()
            ),
        );
        match issuers.is_empty() {
            true => reason.with_hint(format!(
                "the server sent no intermediate certificate: it may have to send its issuer's; \
                 {ADD_THE_CA}"
            )),
            false => reason.with_hint(ADD_THE_CA),
        }
    }

    fn bad_signature(&self) -> Reason {
        // The provider refuses small RSA keys by calling the signature bad.
        let mut keys = self.issuers.iter().chain(&self.roots);
        keys.find_map(weak_key).unwrap_or_else(|| {
            Reason::new(
                Code::BadSignature,
                "a signature on the path does not fit its issuer's key: the certificate was \
                     altered, or forged",
            )
        })
    }

    /// The certificate of the chain that `is_meant`, in words.
    fn whose(&self, is_meant: impl Fn(&Certificate) -> bool) -> String {
        match self
            .issuers
            .iter()
            .find(|certificate| is_meant(certificate))
        {
            Some(issuer) => its_issuer(issuer),
            None => String::from("a certificate on the path"),
        }
    }
}

/// A CA of the chain, as the subject of a sentence.
pub(super) fn its_issuer(issuer: &Certificate) -> String {
    format!("the certificate of its issuer {}", issuer.subject())
}

/// A key by which no handshake can be signed that we accept.
pub(super) fn unusable_key(
    certificate: &Certificate,
    algorithms: WebPkiSupportedAlgorithms,
) -> Option<Reason> {
    let kind = certificate.key_algorithm_der();
    let mut accepted = algorithms.all.iter();
    let is_usable = accepted.any(|algorithm| algorithm.public_key_alg_id().as_ref() == kind);
    (!is_usable).then(|| {
        Reason::new(
            Code::UnsupportedAlgorithm,
            format!(
                "its key ({}) is of a kind that we do not accept",
                certificate.key_description()
            ),
        )
    })
}

/// Whether its key is one that nobody should use.
pub(super) fn is_weak(certificate: &Certificate) -> bool {
    certificate
        .rsa_bits()
        .is_some_and(|bits| bits < MIN_RSA_BITS)
}

fn weak_key(certificate: &Certificate) -> Option<Reason> {
    is_weak(certificate).then(|| {
        Reason::new(
            Code::WeakKey,
            format!(
                "the key of {} is {}; RSA keys below {MIN_RSA_BITS} bits are not accepted",
                certificate.subject(),
                certificate.key_description()
            ),
        )
    })
}

/// A leaf that may be used, and not for TLS servers (RFC 5280 §4.2.1.12).
pub(super) fn wrong_purpose(leaf: &Certificate) -> Option<Reason> {
    let purposes = leaf.purposes()?;
    if purposes.contains(&rfc5280::ID_KP_SERVER_AUTH) {
        return None;
    }
    Some(Reason::new(
        Code::WrongPurpose,
        format!(
            "the certificate is not for TLS servers: its extended key usage is {}",
            describe(purposes)
        ),
    ))
}

fn describe(mut purposes: Vec<ObjectIdentifier>) -> String {
    let more = purposes.len().saturating_sub(MAX_SHOWN_NAMES);
    purposes.truncate(MAX_SHOWN_NAMES);
    let named: Vec<_> = purposes
        .iter()
        .map(|purpose| match *purpose {
            rfc5280::ID_KP_CLIENT_AUTH => "client authentication".into(),
            rfc5280::ID_KP_CODE_SIGNING => "code signing".into(),
            rfc5280::ID_KP_EMAIL_PROTECTION => "e-mail protection".into(),
            other => other.to_string(),
        })
        .collect();
    match (named.is_empty(), more) {
        (true, _) => String::from("empty or unreadable"),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}

pub(super) fn expired(whose: &str, not_after: UnixTime, now: UnixTime) -> Reason {
    Reason::new(Code::Expired, format!("{whose} was valid until {}", date(not_after))).with_hint(format!(
        "the server needs a renewed one; if the date is right, look at this machine's clock, which says {}",
        date(now)
    ))
}

pub(super) fn not_yet_valid(whose: &str, not_before: UnixTime, now: UnixTime) -> Reason {
    Reason::new(
        Code::NotYetValid,
        format!("{whose} is valid from {}", date(not_before)),
    )
    .with_hint(format!(
        "look at this machine's clock, which says {}",
        date(now)
    ))
}

/// A certificate that ends in less than so many days, if it is valid now.
pub(super) fn expires_soon(certificate: &Certificate, days: u32, now: UnixTime) -> Option<Reason> {
    let until = certificate.not_after_unix();
    let left = until.as_secs().checked_sub(now.as_secs())?;
    (left < u64::from(days) * SECONDS_A_DAY).then(|| {
        Reason::new(
            Code::ExpiresSoon,
            format!(
                "the certificate of {} is valid until {}, and the policy demands {days} more days",
                certificate.subject(),
                date(until)
            ),
        )
        .with_hint("the server needs a renewed one")
    })
}

/// Smallest RSA modulus: Baseline Requirements 6.1.5, and what the providers accept.
const MIN_RSA_BITS: u64 = 2048;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

const ADD_THE_CA: &str =
    "if it is a CA of your own, add it by RootStore::add_pem_file or SSL_CERT_FILE";
