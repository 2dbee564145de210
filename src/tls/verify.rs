//! The judgement of a peer: a chain, a name and a moment in, a [`Verdict`] out.
//!
//! The path is built and its signatures are checked by rustls-webpki, under its own budget; the
//! name, and what is wrong with the leaf by itself, are judged here. Nothing in this file reads a
//! file, a socket or a clock.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath};

use super::certificate::{Anchor, Certificate};
use super::crypto;
use super::diagnose::{Pathless, expired, not_yet_valid, unusable_key, weak_key};
use super::hostname::match_hostname;
use super::policy::Policy;
use super::roots::RootStore;
use super::shown::MAX_SHOWN_NAMES;
use super::verdict::{Check, Code, Outcome, Reason, Subject, Verdict};
use crate::error::{Error, ErrorKind, Result};

/// Judges peers by the same roots and the same policy that a client would.
///
/// # Examples
///
/// ```no_run
/// use urlfetch::tls::{CertificateDer, Presented, RootStore, ServerName, UnixTime, Verifier};
///
/// # fn example(chain: Vec<CertificateDer<'static>>) -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::builder().roots(RootStore::native()?).build()?;
/// let name = ServerName::try_from("example.com")?;
/// let verdict = verifier.judge(&Presented::new(&chain), &name, UnixTime::now());
/// println!("{verdict}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Judge>);

#[derive(Debug)]
struct Judge {
    roots: RootStore,
    policy: Policy,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Starts with the platform's roots and the default policy.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder::default()
    }

    /// Judges what a peer presented for the host it is to be.
    ///
    /// It is total, it never panics, and its work is bounded: by webpki's budget of signatures,
    /// path-building calls and name comparisons, and by [`Presented`]'s bounds. A self-signed leaf
    /// that is itself among the roots is judged as webpki does: it is a path of its own, unless it
    /// says that it is a CA.
    pub fn judge(
        &self,
        presented: &Presented<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Verdict {
        let host = name.to_str().into_owned();
        match Case::open(presented) {
            Ok(case) => case.decide(&self.0, host, now),
            Err(reason) => refused_unread(host, reason),
        }
    }

    /// The signatures that are accepted, in certificates and in handshakes.
    pub(super) fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.0.algorithms
    }
}

/// Makes a [`Verifier`].
#[derive(Clone, Debug, Default)]
pub struct VerifierBuilder {
    roots: Option<RootStore>,
    policy: Policy,
}

impl VerifierBuilder {
    /// The roots that a path may end in; the platform's unless said otherwise.
    pub fn roots(mut self, roots: RootStore) -> Self {
        self.roots = Some(roots);
        self
    }

    /// What is demanded beyond a path and a name.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes the verifier.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the store is empty or the platform's roots cannot be loaded.
    pub fn build(self) -> Result<Verifier> {
        let roots = match self.roots {
            Some(roots) => roots,
            None => RootStore::native()?,
        };
        if roots.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "the root store is empty: no peer could ever be verified",
            )
            .with_hint(Some(
                "add a CA by RootStore::add_pem_file, or start from RootStore::native",
            )));
        }
        Ok(Verifier(Arc::new(Judge {
            roots,
            policy: self.policy,
            algorithms: crypto::provider().signature_verification_algorithms,
        })))
    }
}

/// What a peer presented: its chain, leaf first, the rest in any order.
///
/// At most 16 certificates are looked at: more is refused as `chain-too-long`. Public chains have
/// two to four, and webpki follows a path of at most eight.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    leaf: Option<&'a CertificateDer<'a>>,
    issuers: &'a [CertificateDer<'a>],
}

impl<'a> Presented<'a> {
    /// A chain as TLS hands it over: the leaf first, the rest in any order.
    pub fn new(chain: &'a [CertificateDer<'a>]) -> Self {
        match chain.split_first() {
            Some((leaf, issuers)) => Self::of(leaf, issuers),
            None => Self {
                leaf: None,
                issuers: &[],
            },
        }
    }

    pub(crate) fn of(leaf: &'a CertificateDer<'a>, issuers: &'a [CertificateDer<'a>]) -> Self {
        Self {
            leaf: Some(leaf),
            issuers,
        }
    }
}

/// A chain that can be judged.
struct Case<'a> {
    leaf: Certificate,
    leaf_der: &'a CertificateDer<'a>,
    issuers_der: &'a [CertificateDer<'a>],
}

impl<'a> Case<'a> {
    fn open(presented: &Presented<'a>) -> Result<Self, Reason> {
        let Some(leaf_der) = presented.leaf else {
            return Err(Reason::new(
                Code::NoCertificate,
                "the peer presented no certificate",
            ));
        };
        if presented.issuers.len() >= MAX_PRESENTED {
            return Err(Reason::new(
                Code::ChainTooLong,
                format!(
                    "the peer presented {} certificates, more than the {MAX_PRESENTED} we look at",
                    presented.issuers.len() + 1
                ),
            ));
        }
        let leaf = Certificate::read(leaf_der.clone().into_owned()).map_err(|malformed| {
            Reason::new(
                Code::Malformed,
                format!("the certificate cannot be read: {malformed}"),
            )
        })?;
        Ok(Self {
            leaf,
            leaf_der,
            issuers_der: presented.issuers,
        })
    }

    fn decide(self, judge: &Judge, host: String, now: UnixTime) -> Verdict {
        let mut reasons = Vec::new();
        // The key signs the handshake, not the path: webpki does not look at it.
        reasons.extend(weak_key(&self.leaf));
        reasons.extend(unusable_key(&self.leaf, judge.algorithms));
        reasons.extend(self.purpose(&judge.policy));
        reasons.extend(self.name(&host));
        reasons.extend(self.validity(now));

        // A leaf that is at fault by itself stops webpki before it looks for an issuer. It is
        // refused already, so the path is then sought at a moment and for a purpose that the leaf
        // has: what this finds can only add a reason.
        let leaf_is_at_fault = |subject| {
            reasons
                .iter()
                .any(|r: &Reason| r.rank().subject() == subject)
        };
        let moment = match leaf_is_at_fault(Subject::Validity) {
            true => self.leaf.not_after_unix(),
            false => now,
        };
        let usage = match leaf_is_at_fault(Subject::Purpose) {
            true => Usage::Any,
            false => Usage::Server,
        };
        match self.path(judge, moment, usage) {
            Ok((chain, anchor)) => verdict(host, reasons, true, chain, Some(anchor)),
            Err(reason) => {
                // Another's dates prove nothing at a moment that is not now.
                let is_of_now = moment == now || reason.rank().subject() != Subject::Validity;
                reasons.extend(is_of_now.then_some(reason));
                let chain = self.presented_chain();
                verdict(host, reasons, false, chain, None)
            }
        }
    }

    /// A path from the leaf to a root, or why there is none.
    fn path(
        &self,
        judge: &Judge,
        now: UnixTime,
        usage: Usage,
    ) -> Result<(Vec<Certificate>, Anchor), Reason> {
        let end_entity = EndEntityCert::try_from(self.leaf_der)
            .map_err(|error| self.explain(judge, error, now))?;
        let path = end_entity
            .verify_for_usage(
                judge.algorithms.all,
                judge.roots.trust_anchors(),
                self.issuers_der,
                now,
                usage,
                None,
                None,
            )
            .map_err(|error| self.explain(judge, error, now))?;
        self.walk(judge, &path)
    }

    /// The certificates of a path that webpki found.
    fn walk(
        &self,
        judge: &Judge,
        path: &VerifiedPath<'_>,
    ) -> Result<(Vec<Certificate>, Anchor), Reason> {
        let unreadable = |what: &str| {
            Reason::new(
                Code::Malformed,
                format!("{what} on the path cannot be read"),
            )
        };
        let mut chain = vec![self.leaf.clone()];
        for intermediate in path.intermediate_certificates() {
            let certificate = Certificate::read(intermediate.der().into_owned())
                .map_err(|_| unreadable("an intermediate"))?;
            chain.push(certificate);
        }
        let anchor = judge
            .roots
            .anchor_of(path.anchor())
            .ok_or_else(|| unreadable("the root"))?;
        Ok((chain, anchor.clone()))
    }

    fn purpose(&self, policy: &Policy) -> Option<Reason> {
        match self.is_for(SERVER_AUTH) {
            Some(true) => None,
            None if !policy.demands_server_auth() => None,
            None => Some(Reason::new(
                Code::WrongPurpose,
                "the certificate does not say that it is for TLS servers (no extended key usage), \
                 and the policy is strict",
            )),
            Some(false) => Some(Reason::new(
                Code::WrongPurpose,
                format!(
                    "the certificate is not for TLS servers: its extended key usage is {}",
                    self.purposes()
                ),
            )),
        }
    }

    /// Whether the leaf may be used for a purpose; `None` if it does not say.
    fn is_for(&self, purpose: &str) -> Option<bool> {
        let purposes = self.leaf.extended_key_usage()?;
        Some(purposes.iter().any(|each| each == purpose))
    }

    fn purposes(&self) -> String {
        let mut purposes = self.leaf.extended_key_usage().unwrap_or_default();
        let more = purposes.len().saturating_sub(MAX_SHOWN_NAMES);
        purposes.truncate(MAX_SHOWN_NAMES);
        let named: Vec<&str> = purposes
            .iter()
            .map(|purpose| match purpose.as_str() {
                CLIENT_AUTH => "client authentication",
                CODE_SIGNING => "code signing",
                EMAIL_PROTECTION => "e-mail protection",
                other => other,
            })
            .collect();
        match (named.is_empty(), more) {
            (true, _) => String::from("empty or unreadable"),
            (false, 0) => named.join(", "),
            (false, more) => format!("{} and {more} more", named.join(", ")),
        }
    }

    fn name(&self, host: &str) -> Option<Reason> {
        let mismatch = match_hostname(&self.leaf, host).err()?;
        Some(Reason::new(Code::HostnameMismatch, mismatch.to_string()))
    }

    fn validity(&self, now: UnixTime) -> Option<Reason> {
        let (from, until) = (self.leaf.not_before_unix(), self.leaf.not_after_unix());
        if now < from {
            Some(not_yet_valid("the certificate", from, now))
        } else if now > until {
            Some(expired("the certificate", until, now))
        } else {
            None
        }
    }

    fn explain(&self, judge: &Judge, error: webpki::Error, now: UnixTime) -> Reason {
        let pathless = Pathless {
            leaf: &self.leaf,
            issuers: self.issuers().collect(),
            algorithms: judge.algorithms,
        };
        pathless.explain(error, now)
    }

    /// What was presented, as far as it can be read.
    fn presented_chain(&self) -> Vec<Certificate> {
        std::iter::once(self.leaf.clone())
            .chain(self.issuers())
            .collect()
    }

    fn issuers(&self) -> impl Iterator<Item = Certificate> {
        self.issuers_der
            .iter()
            .filter_map(|der| Certificate::read(der.clone().into_owned()).ok())
    }
}

/// What the certificates of a path must be for.
#[derive(Clone, Copy)]
enum Usage {
    Server,
    /// Whatever the leaf is for: it is refused for that already.
    Any,
}

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self {
            Self::Server => KeyUsage::server_auth().validate(purposes),
            Self::Any => Ok(()),
        }
    }
}

/// A verdict over a chain that could be read. Where no path was found, [`Subject::Path`] has its
/// reason or was not reached.
fn verdict(
    host: String,
    reasons: Vec<Reason>,
    has_path: bool,
    chain: Vec<Certificate>,
    anchor: Option<Anchor>,
) -> Verdict {
    let outcome = |subject| {
        let reason = reasons
            .iter()
            .filter(|reason| reason.rank().subject() == subject)
            .min_by_key(|reason| reason.rank());
        match reason {
            Some(reason) => Outcome::Failed(reason.clone()),
            None if subject == Subject::Path && !has_path => Outcome::NotReached,
            None => Outcome::Passed,
        }
    };
    let checks = SUBJECTS.map(|subject| Check::new(subject, outcome(subject)));
    Verdict::new(host, checks.into(), chain, anchor)
}

/// A verdict over what could not be read at all.
fn refused_unread(host: String, reason: Reason) -> Verdict {
    let subject = reason.rank().subject();
    let checks = SUBJECTS.map(|each| {
        let outcome = match each == subject {
            true => Outcome::Failed(reason.clone()),
            false => Outcome::NotReached,
        };
        Check::new(each, outcome)
    });
    Verdict::new(host, checks.into(), Vec::new(), None)
}

/// RFC 5280 §4.2.1.12.
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";

const SUBJECTS: [Subject; 5] = [
    Subject::Certificate,
    Subject::Path,
    Subject::Purpose,
    Subject::Name,
    Subject::Validity,
];

/// Most certificates that a peer may present.
const MAX_PRESENTED: usize = 16;
