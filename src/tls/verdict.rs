//! What was found when a peer was judged: data, and its sentences.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;

use super::certificate::{Anchor, Certificate};
use super::reason::{Code, Reason, Subject};

/// The judgement of one peer, pass or fail: what was checked, and why it went as it did.
///
/// [`Display`](fmt::Display) is one line.
///
/// # As JSON
///
/// Under the feature `json` it is a map. Fields and words are added to it, and none is changed: a
/// reader passes over what it does not know. What is not there is `null`. Times are in RFC 3339, in
/// UTC and whole seconds; digests are SHA-256 in lower-case hexadecimal; texts that a stranger wrote
/// are escaped and cut as everywhere.
///
/// | field | |
/// |---|---|
/// | `verified` | boolean: [`is_verified`](Self::is_verified) |
/// | `host` | text: [`host`](Self::host) |
/// | `judged_at` | time: [`judged_at`](Self::judged_at) |
/// | `reason` | the leading reason, or `null` |
/// | `reasons` | array of all reasons, the leading one first, at most 32 of them |
/// | `reasons_total` | number: how many there are |
/// | `checks` | array: [`checks`](Self::checks) |
/// | `chain` | array of certificates: [`chain`](Self::chain), at most the first 8 |
/// | `chain_total` | number: how many there are |
/// | `anchor` | `certificate`, and `source`, a text: where our trust in it comes from; or `null` |
/// | `staple` | what was stapled, or `null` |
///
/// A [`Reason`] has `code`, `sentence` and `hint`, which are texts, the last or `null`. A [`Check`]
/// has `subject`, a word as in [`Subject`] (`name`, `time`, ..); `outcome`, which is `passed`,
/// `skipped` or `failed`; `code`, that of a failed one's leading reason, or `null`; and `why`, a
/// sentence, or `null` if it is passed. A [`Staple`] has `status`, which is `good`, `revoked` or
/// `unknown`; `produced_at`, `this_update`, `next_update` and `revoked_at`, which are times, the last
/// two or `null`; `revocation_reason`, a word such as `keyCompromise`, or `null`; and `responder`, a
/// certificate.
///
/// A [`Certificate`] has
///
/// | field | |
/// |---|---|
/// | `subject`, `issuer` | text: distinguished names as RFC 4514 writes them |
/// | `serial` | text: the number in upper-case hexadecimal |
/// | `not_before`, `not_after` | time: the first and the last second at which it is valid |
/// | `days_left` | number: [`days_left`](Certificate::days_left) at `judged_at`, or `null` where a certificate stands by itself, outside a verdict |
/// | `dns_names`, `ip_addresses` | array of texts: the first 8 of each |
/// | `names_total` | number: how many there are of both |
/// | `key` | text: [`key_description`](Certificate::key_description), such as `EC P-256` |
/// | `signature_algorithm` | text: such as `ecdsa-with-SHA256` |
/// | `spki_sha256`, `sha256` | digest: of its key, and of the whole of it |
/// | `scts` | array of the first 8 [`Sct`](super::Sct)s, each with `log_id`, which is in base64 as in lists of logs, and `timestamp`, a time; `null` if none are embedded, empty if they cannot be read |
/// | `scts_total` | number: how many there are |
///
/// However much a peer presents, it is never longer than 256 KiB, and with two or three ordinary
/// certificates it has some 4 KiB.
#[derive(Clone, Debug)]
pub struct Verdict {
    verified: bool,
    checks: Vec<Check>,
    findings: Findings,
}

/// What a judge found; a [`Verdict`] is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub(crate) host: String,
    pub(crate) judged_at: UnixTime,
    /// Every reason to refuse.
    pub(crate) reasons: Vec<Reason>,
    /// What was not looked at, and why. A reason on the same subject outweighs it.
    pub(crate) skipped: Vec<(Subject, String)>,
    pub(crate) chain: Vec<Certificate>,
    pub(crate) anchor: Option<Anchor>,
    pub(crate) staple: Option<Staple>,
}

impl Verdict {
    /// Whether the peer proved that it is [`host`](Self::host): there is a path to a root, and no
    /// check has failed.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// The host the peer was to be: the URL's, or what was handed to
    /// [`Verifier::judge`](super::Verifier::judge).
    pub fn host(&self) -> &str {
        &self.findings.host
    }

    /// The moment it was judged for, which is what "now" means in it.
    pub fn judged_at(&self) -> SystemTime {
        system_time(self.findings.judged_at)
    }

    #[cfg(feature = "json")]
    pub(crate) fn judged_at_unix(&self) -> UnixTime {
        self.findings.judged_at
    }

    /// Why it was refused; of several reasons the one that makes the others meaningless.
    pub fn reason(&self) -> Option<&Reason> {
        self.findings.reasons.first()
    }

    /// Every reason to refuse it that was found, the leading one first.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        self.findings.reasons.iter()
    }

    /// All that can be checked, in order, and what came of it: one check a [`Subject`].
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The chain that was judged, leaf first: if a path to a root was found, the path without
    /// the root; else what the peer presented, as far as it could be read.
    pub fn chain(&self) -> &[Certificate] {
        &self.findings.chain
    }

    /// The root at the end of the path, and where our trust in it comes from. A path may lead to a
    /// root and be refused all the same.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.findings.anchor.as_ref()
    }

    /// What the OCSP response said that the peer stapled to the handshake, if there was one that
    /// could be believed. On a resumed session, to which nothing is stapled, it is the one that was
    /// kept with it.
    pub fn staple(&self) -> Option<&Staple> {
        self.findings.staple.as_ref()
    }

    /// A verdict is good only if there is a path to an anchor, and nothing was found against it.
    pub(crate) fn new(mut findings: Findings) -> Self {
        findings.reasons.sort_by_key(|reason| reason.rank());
        findings.reasons.dedup();
        let outcome = |subject| {
            let about = |reason: &&Reason| reason.rank().subject() == subject;
            let skipped = findings.skipped.iter().find(|(each, _)| *each == subject);
            match (findings.reasons.iter().find(about), skipped) {
                (Some(reason), _) => Outcome::Failed(reason.clone()),
                (None, Some((_, why))) => Outcome::Skipped(why.clone()),
                (None, None) => Outcome::Passed,
            }
        };
        let check = |subject| Check {
            subject,
            outcome: outcome(subject),
        };
        Self {
            verified: findings.anchor.is_some() && findings.reasons.is_empty(),
            checks: SUBJECTS.map(check).into(),
            findings,
        }
    }

    /// The codes of all reasons but the leading one.
    pub(crate) fn write_others(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let mut codes: Vec<_> = self.reasons().map(|reason| reason.rank()).collect();
        codes.dedup();
        let mut others = codes.into_iter().map(Code::as_str).skip(1);
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
            checks: Vec::new(),
            findings: Findings {
                host: String::from("stub.example"),
                judged_at: UnixTime::since_unix_epoch(Duration::ZERO),
                reasons: Vec::new(),
                skipped: Vec::new(),
                chain: Vec::new(),
                anchor: None,
                staple: None,
            },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host();
        match (self.reason(), self.anchor()) {
            (Some(reason), _) => {
                write!(f, "\"{host}\" is not verified: {reason}")?;
                self.write_others(f)
            }
            (None, Some(anchor)) if self.verified => write!(
                f,
                "\"{host}\" is verified by {} ({})",
                anchor.subject(),
                anchor.source()
            ),
            (None, _) => write!(f, "\"{host}\" is not verified"),
        }
    }
}

/// One thing that was looked at, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    subject: Subject,
    outcome: Outcome,
}

impl Check {
    /// What was looked at.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// What came of it.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

const SUBJECTS: [Subject; 7] = [
    Subject::Name,
    Subject::Time,
    Subject::Chain,
    Subject::Purpose,
    Subject::Profile,
    Subject::Revocation,
    Subject::Pins,
];

/// What came of a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is as it has to be.
    Passed,
    /// It was not looked at, or not to the end, for this reason.
    Skipped(String),
    /// It is not as it has to be. If there are several reasons, this one leads;
    /// [`Verdict::reasons`] has all.
    Failed(Reason),
}

/// What an OCSP response says of the certificate it was stapled to (RFC 6960 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    pub(crate) status: CertStatus,
    pub(crate) produced_at: UnixTime,
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: Option<UnixTime>,
    pub(crate) revoked_at: Option<UnixTime>,
    pub(crate) revocation_reason: Option<&'static str>,
    /// Who signed it.
    pub(crate) responder: Certificate,
}

impl Staple {
    /// Whether the certificate is revoked.
    pub fn status(&self) -> CertStatus {
        self.status
    }

    /// When it was signed.
    pub fn produced_at(&self) -> SystemTime {
        system_time(self.produced_at)
    }

    /// When what it says was last known to be so.
    pub fn this_update(&self) -> SystemTime {
        system_time(self.this_update)
    }

    /// When newer information will be there, which is how long it holds. Only of a certificate that
    /// is revoked can it be absent, or past.
    pub fn next_update(&self) -> Option<SystemTime> {
        self.next_update.map(system_time)
    }

    /// Since when the certificate is revoked, if it is.
    pub fn revoked_at(&self) -> Option<SystemTime> {
        self.revoked_at.map(system_time)
    }

    /// Why it is revoked, if it is and that was said: a word of RFC 5280 §5.3.1, such as
    /// `keyCompromise`.
    pub fn revocation_reason(&self) -> Option<&'static str> {
        self.revocation_reason
    }

    /// Who signed it: the certificate's issuer, or whom the issuer has charged with that.
    pub fn responder(&self) -> &Certificate {
        &self.responder
    }
}

/// The end of the year 9999 for what is beyond the system's reckoning of time.
fn system_time(moment: UnixTime) -> SystemTime {
    let since = Duration::from_secs(moment.as_secs());
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    UNIX_EPOCH.checked_add(since).unwrap_or(last)
}

/// The status of a certificate in an OCSP response (RFC 6960 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum CertStatus {
    /// It is not revoked.
    Good,
    /// It is.
    Revoked,
    /// Its issuer does not know it.
    Unknown,
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
