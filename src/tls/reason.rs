//! Why a peer is refused: a word, a sentence, and what it is about. Data.

use std::fmt;

/// Why a peer was refused. [`Display`](fmt::Display) is the code and one human sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    code: Code,
    sentence: String,
    hint: Option<String>,
}

impl Reason {
    pub(crate) fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A stable kebab-case word, such as `hostname-mismatch`. Words are added, never changed.
    pub fn code(&self) -> &'static str {
        self.code.as_str()
    }

    /// The sentence without the code.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// The safe remedy, where there is one. It never says "turn verification off".
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn rank(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.sentence)
    }
}

/// The codes in their order: what makes the rest meaningless comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Code {
    NoCertificate,
    Malformed,
    UnsupportedVersion,
    UnsupportedAlgorithm,
    UnknownCriticalExtension,
    WeakKey,
    SelfSigned,
    UnknownIssuer,
    BadSignature,
    CaAsEndEntity,
    NotACa,
    PathLength,
    ChainTooLong,
    TooComplex,
    NameConstraint,
    WrongPurpose,
    HostnameMismatch,
    Expired,
    NotYetValid,
    ExpiresSoon,
    Revoked,
    RevocationUnknown,
    CrlInvalid,
    StapleMissing,
    StapleInvalid,
    PinMismatch,
    Profile,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported-version",
            Self::UnsupportedAlgorithm => "unsupported-algorithm",
            Self::UnknownCriticalExtension => "unknown-critical-extension",
            Self::WeakKey => "weak-key",
            Self::SelfSigned => "self-signed",
            Self::UnknownIssuer => "unknown-issuer",
            Self::BadSignature => "bad-signature",
            Self::CaAsEndEntity => "ca-as-end-entity",
            Self::NotACa => "not-a-ca",
            Self::PathLength => "path-length",
            Self::ChainTooLong => "chain-too-long",
            Self::TooComplex => "too-complex",
            Self::NameConstraint => "name-constraint",
            Self::WrongPurpose => "wrong-purpose",
            Self::HostnameMismatch => "hostname-mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::ExpiresSoon => "expires-soon",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::CrlInvalid => "crl-invalid",
            Self::StapleMissing => "staple-missing",
            Self::StapleInvalid => "staple-invalid",
            Self::PinMismatch => "pin-mismatch",
            Self::Profile => "profile",
        }
    }

    /// Which check a reason of this code fails.
    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::NoCertificate
            | Self::Malformed
            | Self::UnsupportedVersion
            | Self::UnsupportedAlgorithm
            | Self::UnknownCriticalExtension
            | Self::WeakKey
            | Self::SelfSigned
            | Self::UnknownIssuer
            | Self::BadSignature
            | Self::CaAsEndEntity
            | Self::NotACa
            | Self::PathLength
            | Self::ChainTooLong
            | Self::TooComplex
            | Self::NameConstraint => Subject::Chain,
            Self::WrongPurpose => Subject::Purpose,
            Self::HostnameMismatch => Subject::Name,
            Self::Expired | Self::NotYetValid | Self::ExpiresSoon => Subject::Time,
            Self::Revoked
            | Self::RevocationUnknown
            | Self::CrlInvalid
            | Self::StapleMissing
            | Self::StapleInvalid => Subject::Revocation,
            Self::PinMismatch => Subject::Pins,
            Self::Profile => Subject::Profile,
        }
    }
}

/// What a [`Check`](super::Check) looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Subject {
    /// The certificate names the host (RFC 9525).
    Name,
    /// It, and what stands above it, is valid now (RFC 5280 §4.1.2.5), for as long as the policy
    /// demands.
    Time,
    /// It can be read, and a path of valid signatures leads from it to a root, in which each issuer
    /// may issue (RFC 5280 §6).
    Chain,
    /// It may be used for a TLS server (RFC 5280 §4.2.1.12).
    Purpose,
    /// It and its path keep the rules of the [`profile`](super::Rule).
    Profile,
    /// Nobody has revoked it: by CRLs (RFC 5280 §6.3) and by the stapled OCSP response (RFC 6960).
    /// A response is about the leaf alone: the CAs above it are looked at where CRLs are given.
    Revocation,
    /// A pinned key is on the path.
    Pins,
}
