//! Has anybody on a path been revoked? CRLs and the stapled OCSP response in, a decision out.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;

use super::certificate::Certificate;
use super::crls::CrlStore;
use super::listed::{Listed, Listing};
use super::path::Path;
use super::reason::{Code, Reason};
use super::staple;
use super::verdict::Staple;

/// How far up a path its certificates' CRLs are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationCheckDepth {
    /// The leaf alone.
    EndEntity,
    /// The leaf and every CA below the root.
    Chain,
}

/// What becomes of a certificate on which no CRL, and no OCSP response, says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownStatusPolicy {
    /// It passes.
    Allow,
    /// It is refused.
    Deny,
}

/// What becomes of a CRL whose nextUpdate has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpirationPolicy {
    /// It still counts.
    Ignore,
    /// It says nothing any more: it is invalid.
    Enforce,
}

/// What is demanded of the status of the certificates on a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(super) crls: CrlStore,
    pub(super) depth: RevocationCheckDepth,
    pub(super) unknown_status: UnknownStatusPolicy,
    pub(super) crl_expiration: ExpirationPolicy,
    pub(super) requires_staple: bool,
}

/// What was found out about the status of a path's certificates.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) reasons: Vec<Reason>,
    /// What was not looked at, or not to the end, and why.
    pub(super) skipped: Option<String>,
    pub(super) staple: Option<Staple>,
}

impl Revocation {
    /// Judges a path. `staple` is what the peer stapled to the handshake: it is about the leaf.
    pub(super) fn judge(
        &self,
        path: &Path,
        staple: Option<&[u8]>,
        accepted: WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Status {
        let stapled = self.stapled(path, staple, accepted, now);
        let is_answered = stapled.staple.is_some();
        let listed = match self.crls.is_empty() {
            false => self.lists(path, is_answered, accepted, now),
            true => Status {
                skipped: (!is_answered)
                    .then(|| "no CRL is configured and no OCSP response was stapled".into()),
                ..Status::default()
            },
        };
        Status {
            reasons: [stapled.reasons, listed.reasons].concat(),
            skipped: listed.skipped,
            staple: stapled.staple,
        }
    }

    /// What the CRLs say of a path. Of the leaf, something else may have `answered`: then they need
    /// not know it, and still may revoke it.
    fn lists(
        &self,
        path: &Path,
        answered: bool,
        accepted: WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Status {
        let depth = match self.depth {
            RevocationCheckDepth::EndEntity => 1,
            RevocationCheckDepth::Chain => usize::MAX,
        };
        if path.links().next().is_none() {
            return Status {
                skipped: Some("the certificate is itself a root, and no CRL is about those".into()),
                ..Status::default()
            };
        }
        let mut reasons = Vec::new();
        let mut unknown = Vec::new();
        for (certificate, issuer) in path.links().take(depth) {
            let listing = Listing {
                certificate,
                issuer,
                even_expired: self.crl_expiration == ExpirationPolicy::Ignore,
                accepted,
                now,
            };
            let is_leaf = path.certificates.first() == Some(certificate);
            match listing.ask(&self.crls) {
                Listed::Good => {}
                // An invalid list is refused under either policy: it is no lack of knowledge.
                Listed::Revoked(reason) | Listed::Invalid(reason) => reasons.push(reason),
                Listed::Unknown(_) if is_leaf && answered => {}
                Listed::Unknown(reason) => match self.unknown_status {
                    UnknownStatusPolicy::Deny => reasons.push(reason),
                    UnknownStatusPolicy::Allow => unknown.push(reason.sentence().to_owned()),
                },
            }
        }
        Status {
            reasons,
            skipped: (!unknown.is_empty()).then(|| unknown.join("; ")),
            staple: None,
        }
    }

    /// Judges what was stapled, or that nothing was. Whatever the policy, a staple that is there is
    /// believed or refused.
    fn stapled(
        &self,
        path: &Path,
        staple: Option<&[u8]>,
        accepted: WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Status {
        let refused = |reason| Status {
            reasons: vec![reason],
            ..Status::default()
        };
        let leaf = path.certificates.first();
        let Some(staple) = staple else {
            return self.missing(leaf).map_or_else(Status::default, refused);
        };
        let issued = path.links().next();
        let Some((leaf, issuer)) = issued.filter(|(issued, _)| leaf == Some(issued)) else {
            return refused(no_issuer());
        };
        match staple::believe(staple, leaf, issuer, accepted, now) {
            Ok(staple) => Status {
                reasons: staple::refusal(&staple).into_iter().collect(),
                staple: Some(staple),
                skipped: None,
            },
            Err(reason) => refused(reason),
        }
    }

    /// Why a leaf is refused for want of a staple, if it is.
    fn missing(&self, leaf: Option<&Certificate>) -> Option<Reason> {
        let must_staple = leaf.is_some_and(Certificate::must_staple);
        let demand = match (must_staple, self.requires_staple) {
            (true, _) => {
                "the certificate says that one is (the TLS feature status_request, RFC 7633)"
            }
            (false, true) => "the policy demands one",
            (false, false) => return None,
        };
        let reason = Reason::new(
            Code::StapleMissing,
            format!("no OCSP response was stapled to the handshake, and {demand}"),
        );
        Some(reason.with_hint("OCSP stapling has to be turned on at the server"))
    }
}

/// A leaf that is itself among the roots was issued by nobody else who could answer for it. What
/// was stapled to it may say that it is revoked, so it is not passed over.
fn no_issuer() -> Reason {
    Reason::new(
        Code::StapleInvalid,
        "the stapled OCSP response cannot be checked: the certificate is itself among the roots, and \
         nobody else issued it",
    )
    .with_hint("a certificate that is trusted by itself needs no staple: the server has no use for it")
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            crls: CrlStore::empty(),
            depth: RevocationCheckDepth::Chain,
            unknown_status: UnknownStatusPolicy::Deny,
            crl_expiration: ExpirationPolicy::Enforce,
            requires_staple: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::certificate::Anchor;
    use super::super::certificate::forge::Forged;
    use super::super::crl::forge::{entry, good};
    use super::super::crypto;
    use super::super::reason::Code;
    use super::*;

    /// What something else answers for need not be known; what is known of it still counts.
    #[test]
    fn an_answer_settles_what_is_unknown_of_the_leaf_and_nothing_else() {
        let certificate = |serial| {
            let forged = Forged {
                serial: vec![serial],
                ..Forged::default()
            };
            forged.certificate()
        };
        let path = Path {
            certificates: vec![certificate(1), certificate(2)],
            anchor: Anchor::new(certificate(3), "test".into()),
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
        let accepted = crypto::provider().signature_verification_algorithms;
        let codes = |issuer, answered| {
            let revocation = Revocation {
                crls: CrlStore::empty()
                    .add_der(good(issuer, &[entry(&[1])]))
                    .unwrap(),
                ..Revocation::default()
            };
            let status = revocation.lists(&path, answered, accepted, now);
            let codes = status.reasons.iter().map(Reason::rank);
            codes.collect::<Vec<_>>()
        };
        let unknown = Code::RevocationUnknown;
        assert_eq!(codes("somebody", false), [unknown, unknown]);
        assert_eq!(codes("somebody", true), [unknown]);
        // A list that is there, and that nobody signed.
        assert_eq!(codes("forger", true), [Code::CrlInvalid; 2]);
    }
}
