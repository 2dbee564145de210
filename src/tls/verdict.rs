//! What was found when a peer was judged: data, and its sentences.

use std::fmt;
use std::sync::Arc;

use super::certificate::{Anchor, Certificate};

/// The judgement of one peer, pass or fail: what was checked, and why it went as it did.
///
/// [`Display`](fmt::Display) is one line.
#[derive(Clone, Debug)]
pub struct Verdict {
    verified: bool,
    host: String,
    checks: Vec<Check>,
    chain: Vec<Certificate>,
    anchor: Option<Anchor>,
}

impl Verdict {
    /// Whether the peer proved that it is [`host`](Self::host). Every check has passed then.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// The host the peer was to be: the URL's, or what was handed to
    /// [`Verifier::judge`](super::Verifier::judge).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Why it was refused; of several reasons the one that makes the others meaningless.
    pub fn reason(&self) -> Option<&Reason> {
        self.reasons().min_by_key(|reason| reason.code)
    }

    /// Every reason to refuse it, in the order in which things were checked.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Failed(reason) => Some(reason),
            Outcome::Passed | Outcome::NotReached => None,
        })
    }

    /// All that was checked, in order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The chain that was judged, leaf first: if a path to a root was found, the path without
    /// the root; else what the peer presented, as far as it could be read.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The root at the end of the path, and where our trust in it comes from.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_ref()
    }

    /// A verdict is made of its checks: it is good only if there is a path to an anchor and every
    /// check has passed.
    pub(crate) fn new(
        host: String,
        checks: Vec<Check>,
        chain: Vec<Certificate>,
        anchor: Option<Anchor>,
    ) -> Self {
        let passed = |check: &Check| matches!(check.outcome, Outcome::Passed);
        Self {
            verified: anchor.is_some() && !checks.is_empty() && checks.iter().all(passed),
            host,
            checks,
            chain,
            anchor,
        }
    }

    /// The codes of all reasons but the leading one.
    pub(crate) fn write_others(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let leading = self.reason();
        let mut others = self
            .reasons()
            .filter(|reason| Some(*reason) != leading)
            .map(Reason::code);
        let Some(first) = others.next() else {
            return Ok(());
        };
        write!(f, " (also: {first}")?;
        others.try_for_each(|other| write!(f, ", {other}"))?;
        f.write_str(")")
    }

    #[cfg(test)]
    pub(crate) fn stub(verified: bool) -> Self {
        Self {
            verified,
            host: String::from("stub.example"),
            checks: Vec::new(),
            chain: Vec::new(),
            anchor: None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason(), &self.anchor) {
            (Some(reason), _) => {
                write!(f, "\"{}\" is not verified: {reason}", self.host)?;
                self.write_others(f)
            }
            (None, Some(anchor)) if self.verified => write!(
                f,
                "\"{}\" is verified by {} ({})",
                self.host,
                anchor.subject(),
                anchor.source()
            ),
            (None, _) => write!(f, "\"{}\" is not verified", self.host),
        }
    }
}

/// One thing that was looked at, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Check {
    subject: Subject,
    outcome: Outcome,
}

impl Check {
    pub(crate) fn new(subject: Subject, outcome: Outcome) -> Self {
        Self { subject, outcome }
    }

    /// What was looked at.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// What came of it.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// What a [`Check`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Subject {
    /// A certificate was presented, can be read, and is one that we can judge.
    Certificate,
    /// A path of valid signatures leads to a root, and each issuer in it may issue
    /// (RFC 5280 §6).
    Path,
    /// The certificate may be used for a TLS server (RFC 5280 §4.2.1.12).
    Purpose,
    /// It names the host (RFC 9525).
    Name,
    /// It is valid now (RFC 5280 §4.1.2.5).
    Validity,
}

/// What came of a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Outcome {
    /// It is as it has to be.
    Passed,
    /// It is not.
    Failed(Reason),
    /// What came before made it meaningless.
    NotReached,
}

/// Why a peer was refused. [`Display`](fmt::Display) is the code and one human sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
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
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
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
            | Self::WeakKey => Subject::Certificate,
            Self::SelfSigned
            | Self::UnknownIssuer
            | Self::BadSignature
            | Self::CaAsEndEntity
            | Self::NotACa
            | Self::PathLength
            | Self::ChainTooLong
            | Self::TooComplex
            | Self::NameConstraint => Subject::Path,
            Self::WrongPurpose => Subject::Purpose,
            Self::HostnameMismatch => Subject::Name,
            Self::Expired | Self::NotYetValid => Subject::Validity,
        }
    }
}

/// A refusal on its way through rustls, which asks for an error of its own.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(pub(crate) Arc<Verdict>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

#[cfg(feature = "json")]
mod json {
    use serde::ser::{Serialize, SerializeStruct as _, Serializer};

    use super::Verdict;

    /// A map: what the accessors give, by their names.
    impl Serialize for Verdict {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_struct("Verdict", 6)?;
            map.serialize_field("verified", &self.verified)?;
            map.serialize_field("host", &self.host)?;
            map.serialize_field("reason", &self.reason())?;
            map.serialize_field("checks", &self.checks)?;
            map.serialize_field("chain", &self.chain)?;
            map.serialize_field("anchor", &self.anchor)?;
            map.end()
        }
    }
}
