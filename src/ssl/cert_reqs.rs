//! What Python's `CERT_..` constants demand of a peer, and which of them contradict
//! `check_hostname`. Pure.

use crate::error::{Error, ErrorKind};

/// Whether a peer must prove who it is: Python's `cert_reqs`, and a context's `verify_mode`.
#[doc(alias = "VerifyMode")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CertReqs {
    /// It need not: anybody on the way can answer in the host's name. The peer is still judged and
    /// reported, the log has a warning, and HTTPSVERIFY=1 refuses it.
    None = 0,
    /// For a client the same as [`Required`](Self::Required), as it was in Python: a server always
    /// presents a certificate.
    Optional = 1,
    /// By a path to a root, and by the name. Unless said otherwise it is this.
    #[default]
    Required = 2,
}

/// [`CertReqs::None`].
pub const CERT_NONE: CertReqs = CertReqs::None;
/// [`CertReqs::Optional`].
pub const CERT_OPTIONAL: CertReqs = CertReqs::Optional;
/// [`CertReqs::Required`].
pub const CERT_REQUIRED: CertReqs = CertReqs::Required;

impl CertReqs {
    /// Whether the peer is verified, where `check_hostname` is on or off.
    pub(super) fn verifies(self, check_hostname: bool) -> Result<bool, Error> {
        match (self, check_hostname) {
            (Self::Optional | Self::Required, true) => Ok(true),
            (Self::None, false) => Ok(false),
            (Self::Optional | Self::Required, false) => Err(Error::new(
                ErrorKind::Config,
                "check_hostname is off and a certificate is required: that it is signed says \
                 nothing without whose it is, for anybody can have one of his own",
            )
            .with_hint(Some(
                "leave check_hostname on, and give wrap_socket the name that is in the certificate",
            ))),
            // Python 2.7 has a ValueError here; 3.7 goes by which of the two was said last.
            (Self::None, true) => Err(Error::new(
                ErrorKind::Config,
                "check_hostname is on and verify_mode is CERT_NONE: a name is of no use in a \
                 certificate that nobody vouches for",
            )
            .with_hint(Some("leave verify_mode at CERT_REQUIRED"))),
        }
    }
}

/// By Python's number: 0, 1 or 2.
///
/// # Errors
///
/// [`ErrorKind::Config`] for any other.
impl TryFrom<i64> for CertReqs {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Optional),
            2 => Ok(Self::Required),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "cert_reqs is {number}; it can be 0 (CERT_NONE), 1 (CERT_OPTIONAL) or 2 \
                     (CERT_REQUIRED)"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_verified_whole_or_not_at_all() {
        for (cert_reqs, check_hostname, expected) in [
            (CERT_REQUIRED, true, Ok(true)),
            (CERT_OPTIONAL, true, Ok(true)),
            (CERT_REQUIRED, false, Err("check_hostname is off and ")),
            (CERT_OPTIONAL, false, Err("check_hostname is off and ")),
            (CERT_NONE, true, Err("check_hostname is on and ")),
            (CERT_NONE, false, Ok(false)),
        ] {
            let outcome = cert_reqs.verifies(check_hostname);
            match (outcome, expected) {
                (Ok(verifies), Ok(expected)) => assert_eq!(verifies, expected, "{cert_reqs:?}"),
                (Err(error), Err(why)) => {
                    assert_eq!(error.kind(), ErrorKind::Config);
                    assert!(error.to_string().starts_with(why), "{error}");
                }
                (outcome, _) => panic!("{cert_reqs:?}, {check_hostname}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_number_is_one_of_pythons_three() {
        for (number, expected) in [(0, CERT_NONE), (1, CERT_OPTIONAL), (2, CERT_REQUIRED)] {
            assert_eq!(CertReqs::try_from(number).unwrap(), expected);
            assert_eq!(expected as i64, number);
        }
        for number in [-1, 3, i64::MIN, i64::MAX] {
            let error = CertReqs::try_from(number).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let sentence = format!("cert_reqs is {number}; it can be 0 (CERT_NONE), ");
            assert!(error.to_string().starts_with(&sentence), "{error}");
        }
        assert_eq!(CertReqs::default(), CERT_REQUIRED);
    }
}
