//! The judgement of a peer: a chain, a name and a moment in, a [`Verdict`] out.
//!
//! The name, and what is wrong with the leaf by itself, are judged here; what a path has to show
//! beyond its signatures is put together here from the policy's parts. Nothing in this file reads a
//! file, a socket or a clock.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::Certificate;
use super::crypto;
use super::diagnose::{
    Pathless, expired, expires_soon, its_issuer, not_yet_valid, unusable_key, wrong_purpose,
};
use super::hostname::match_hostname;
use super::memo::Memo;
use super::path::Path;
use super::policy::Policy;
use super::presented::Presented;
use super::readings::Readings;
use super::reason::{Code, Reason, Subject};
use super::roots::RootStore;
use super::search::{Examined, Search, Usage};
use super::verdict::{Findings, Verdict};
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
    memo: Memo,
    readings: Readings,
}

impl Verifier {
    /// Starts with the platform's roots and the default policy.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder::default()
    }

    /// Judges what a peer presented for the host it is to be.
    ///
    /// It is total, it never panics, and its work is bounded: by webpki's budget of signatures and
    /// name comparisons, by 2 MiB that are read to build paths (more is refused as `too-complex`)
    /// and by 16 paths that are looked at whole, for each search of a path, of which a refusal takes
    /// a few, to find what else is wrong; and by [`Presented`]'s bounds. A self-signed leaf
    /// that is itself among the roots is judged as webpki does: it is a path of its own, unless it
    /// says that it is a CA.
    ///
    /// Signatures that held within the last hour are not checked again: up to 256 of them are
    /// remembered. Nor are certificates read again that were read lately, up to 32 of them. That is
    /// all that is: everything else is judged anew each time.
    pub fn judge(
        &self,
        presented: &Presented<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Verdict {
        let host = name.to_str().into_owned();
        Verdict::new(match presented.open(&self.0.readings) {
            Ok((leaf_der, leaf)) => self.0.decide(leaf_der, leaf, presented, host, now),
            Err(reason) => unread(host, reason, now),
        })
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
            memo: Memo::default(),
            readings: Readings::default(),
        })))
    }
}

impl Judge {
    fn decide(
        &self,
        leaf_der: &CertificateDer<'_>,
        leaf: Certificate,
        presented: &Presented<'_>,
        host: String,
        now: UnixTime,
    ) -> Findings {
        let mut reasons = self.leaf(&leaf, &host, now);
        let search = Search::new(
            &leaf,
            leaf_der,
            presented.issuers,
            &self.roots,
            &self.readings,
            self.algorithms,
            self.memo.before(self.algorithms, now),
        );
        // A leaf that is at fault by itself stops webpki before it looks for an issuer. It is
        // refused already, so the path is then sought at a moment and for a purpose that the leaf
        // has: what this finds can only add a reason.
        let is_at_fault = |code: Code| reasons.iter().any(|reason| reason.rank() == code);
        let mut moment = match (is_at_fault(Code::Expired), is_at_fault(Code::NotYetValid)) {
            (true, _) => leaf.not_after_unix(),
            (_, true) => leaf.not_before_unix(),
            _ => now,
        };
        let mut usage = match is_at_fault(Code::WrongPurpose) {
            true => Usage::Any,
            false => Usage::Server,
        };
        let examine = |path: &Path| self.examine(path, presented.staple, now);
        let mut found = search.find(moment, usage, &examine);
        for further in 0.. {
            let Err(error) = &found else { break };
            if holds(error, now) {
                reasons.push(self.explain(&search, &leaf, error, now));
            }
            // Nor do a CA's dates or its purpose hide what else there is, once they are told.
            match error {
                webpki::Error::CertExpired { not_after, .. } => moment = *not_after,
                webpki::Error::CertNotValidYet { not_before, .. } => moment = *not_before,
                webpki::Error::RequiredEkuNotFoundContext(_) => usage = Usage::Any,
                _ => break,
            }
            if further == MAX_FURTHER_SEARCHES || !leaf.is_valid_at(moment) {
                break;
            }
            found = search.find(moment, usage, &examine);
        }
        let Ok((path, examined)) = found else {
            let chain = [&leaf].into_iter().chain(search.issuers());
            return Findings {
                host,
                judged_at: now,
                reasons,
                skipped: self.skipped(Some(NO_PATH), Some(NO_PATH.into())),
                chain: chain.cloned().collect(),
                anchor: None,
                staple: None,
            };
        };
        // It may have been found at a moment that is not now.
        let issuers = path.intermediates().iter();
        for issuer in issuers.filter(|each| !each.is_valid_at(now)) {
            let reason = validity(&its_issuer(issuer), issuer, now);
            reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
        }
        reasons.extend(examined.reasons);
        Findings {
            host,
            judged_at: now,
            reasons,
            skipped: self.skipped(None, examined.revocation_skipped),
            chain: path.certificates,
            anchor: Some(path.anchor),
            staple: examined.staple,
        }
    }

    /// What is wrong with a leaf by itself.
    fn leaf(&self, leaf: &Certificate, host: &str, now: UnixTime) -> Vec<Reason> {
        let mut reasons = self.policy.profile().judge_leaf(leaf, host);
        // The key signs the handshake, not the path: webpki does not look at it.
        reasons.extend(unusable_key(leaf, self.algorithms));
        reasons.extend(wrong_purpose(leaf));
        reasons.extend(name(leaf, host));
        reasons.extend(validity("the certificate", leaf, now));
        reasons
    }

    /// What a path has to show beyond signatures that fit.
    fn examine(&self, path: &Path, staple: Option<&[u8]>, now: UnixTime) -> Examined {
        let policy = &self.policy;
        let mut reasons = policy.profile().judge_path(path, now);
        let status = policy
            .revocation()
            .judge(path, staple, self.algorithms, now);
        reasons.extend(status.reasons);
        reasons.extend(policy.judge_pins(path));
        reasons.extend(policy.judge_length(path));
        let soonest = path
            .certificates
            .iter()
            .min_by_key(|each| each.not_after_unix());
        let too_soon = soonest.and_then(|each| expires_soon(each, policy.days_left(), now));
        reasons.extend(too_soon);
        Examined {
            reasons,
            revocation_skipped: status.skipped,
            staple: status.staple,
        }
    }

    fn explain(
        &self,
        search: &Search<'_>,
        leaf: &Certificate,
        error: &webpki::Error,
        now: UnixTime,
    ) -> Reason {
        let pathless = Pathless {
            leaf,
            roots: search.roots().cloned().collect(),
            issuers: search.issuers().cloned().collect(),
            algorithms: self.algorithms,
        };
        pathless.explain(error.clone(), now)
    }

    /// What is not looked at, or not to the end, and why: without a path nothing that is about one.
    fn skipped(
        &self,
        pathless: Option<&str>,
        revocation: Option<String>,
    ) -> Vec<(Subject, String)> {
        let pins = match self.policy.has_pins() {
            true => pathless,
            false => Some("the policy pins no key"),
        };
        let named = [
            (Subject::Time, pathless),
            (Subject::Chain, pathless.map(|_| NOT_FOLLOWED)),
            (Subject::Purpose, pathless),
            (Subject::Profile, pathless),
            (Subject::Pins, pins),
        ];
        let named = named
            .into_iter()
            .filter_map(|(subject, why)| Some((subject, why?.into())));
        let revocation = revocation.map(|why| (Subject::Revocation, why));
        named.chain(revocation).collect()
    }
}

/// Whether what ended a search is so now, whatever the moment that it was made for.
fn holds(error: &webpki::Error, now: UnixTime) -> bool {
    match error {
        webpki::Error::CertExpired { not_after, .. } => now > *not_after,
        webpki::Error::CertNotValidYet { not_before, .. } => now < *not_before,
        _ => true,
    }
}

fn name(leaf: &Certificate, host: &str) -> Option<Reason> {
    let mismatch = match_hostname(leaf, host).err()?;
    Some(Reason::new(Code::HostnameMismatch, mismatch.to_string()))
}

fn validity(whose: &str, certificate: &Certificate, now: UnixTime) -> Option<Reason> {
    let (from, until) = (certificate.not_before_unix(), certificate.not_after_unix());
    if now < from {
        Some(not_yet_valid(whose, from, now))
    } else if now > until {
        Some(expired(whose, until, now))
    } else {
        None
    }
}

/// The findings over what could not be read at all.
fn unread(host: String, reason: Reason, now: UnixTime) -> Findings {
    let all = [
        Subject::Name,
        Subject::Time,
        Subject::Purpose,
        Subject::Profile,
        Subject::Revocation,
        Subject::Pins,
    ];
    Findings {
        host,
        judged_at: now,
        reasons: vec![reason],
        skipped: all.map(|each| (each, UNREAD.into())).into(),
        chain: Vec::new(),
        anchor: None,
        staple: None,
    }
}

const NO_PATH: &str = "no path to a root was found";
const NOT_FOLLOWED: &str = "the search for a path ended at another fault";
const UNREAD: &str = "there is no certificate to look at";

/// How often a path is sought again, past a CA's dates or its purpose, to find what else is wrong.
/// Each search has webpki's budget.
const MAX_FURTHER_SEARCHES: usize = 2;

#[cfg(all(test, feature = "lab"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn signatures_are_remembered_from_one_judgement_to_the_next() {
        let signed = |issuer: &rcgen::Issuer<'_, rcgen::KeyPair>, name: &str| {
            let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
            let key = rcgen::KeyPair::generate().unwrap();
            CertificateDer::from(params.signed_by(&key, issuer).unwrap())
        };
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let roots = RootStore::empty().add_der(root.der()).unwrap();
        let verifier = Verifier::builder().roots(roots).build().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
        let leaves = [signed(&root, "a.example"), signed(&root, "b.example")];
        for (leaf, name, remembered) in [
            (&leaves[0], "a.example", 1),
            (&leaves[0], "a.example", 1),
            (&leaves[0], "b.example", 1),
            (&leaves[1], "b.example", 2),
        ] {
            let name = ServerName::try_from(name).unwrap();
            let chain = [leaf.clone()];
            verifier.judge(&Presented::new(&chain), &name, now);
            assert_eq!(verifier.0.memo.len(), remembered);
            assert_eq!(verifier.clone().0.memo.len(), remembered);
        }
    }
}
