//! What is demanded of a peer: [`Policy`].

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::crls::CrlStore;
use super::crypto;
use super::group::{self, KeyExchangeGroup};
use super::path::Path;
use super::pin::Pin;
use super::profile::{Level, Profile, Rule};
use super::reason::{Code, Reason};
use super::revocation::{ExpirationPolicy, Revocation, RevocationCheckDepth, UnknownStatusPolicy};
use crate::error::{Error, ErrorKind, Result};

/// What a peer's TLS must show beyond a valid path to a root and the right name.
///
/// By default that is the [`Rule`]s that matter for security, and a stapled OCSP response that is
/// good, if one is stapled or the certificate promises one. There are no CRLs and no pins unless
/// they are given, and the verdict says so.
///
/// # Examples
///
/// ```
/// use urlfetch::tls::{Policy, Version};
///
/// let policy = Policy::strict().min_version(Version::Tls13).min_days_left(7);
/// assert_ne!(policy, Policy::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    min_version: Version,
    /// In order of preference; `None` offers all that the provider has.
    groups: Option<Vec<KeyExchangeGroup>>,
    profile: Profile,
    revocation: Revocation,
    /// One of these is demanded, of which there may be none; `None` demands nothing.
    pins: Option<Vec<Pin>>,
    min_days_left: u32,
    max_chain_length: usize,
}

impl Policy {
    /// Holds peers to every [`Rule`] of the profile: what the Baseline Requirements and RFC 5280
    /// ask of public authorities, and a private one may have left out.
    pub fn strict() -> Self {
        Self {
            profile: Profile::of(Level::Strict),
            ..Self::default()
        }
    }

    /// The oldest TLS version that is spoken; 1.2 unless said otherwise (RFC 9325 §3.1.1). It is
    /// for connections: a [`Verifier`](super::Verifier) by itself has none.
    pub fn min_version(mut self, version: Version) -> Self {
        self.min_version = version;
        self
    }

    /// The groups in which keys may be exchanged, in order of preference, as Go's `CurvePreferences`
    /// and curl's `--curves` say it. Unless said otherwise X25519MLKEM768 (which `ring` has not),
    /// X25519, P-256 and P-384. Of TLS 1.3 the first is the one that is tried without asking.
    ///
    /// With X25519MLKEM768 the first message to a server has some 1.4 KB, which a few boxes on the
    /// way do not bear: leave it out for hosts behind one. As the only one it demands a connection
    /// that is [post-quantum](KeyExchangeGroup::is_post_quantum), and so TLS 1.3.
    ///
    /// An empty list, a group that is there twice and one that the TLS provider has not are
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a client is built. It is for
    /// connections: a [`Verifier`](super::Verifier) by itself exchanges no keys.
    ///
    /// ```
    /// use urlfetch::Client;
    /// use urlfetch::tls::{KeyExchangeGroup, Policy};
    ///
    /// # fn main() -> urlfetch::Result<()> {
    /// let policy = Policy::default()
    ///     .key_exchange_groups([KeyExchangeGroup::X25519, KeyExchangeGroup::SECP256R1]);
    /// let client = Client::builder().policy_for("old-box.example", policy).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn key_exchange_groups(
        mut self,
        groups: impl IntoIterator<Item = KeyExchangeGroup>,
    ) -> Self {
        self.groups = Some(groups.into_iter().collect());
        self
    }

    /// Takes one rule out of the strict profile, for a CA that cannot keep it. What the default
    /// enforces stays: to waive that changes nothing.
    ///
    /// ```no_run
    /// use urlfetch::tls::{Policy, Rule};
    ///
    /// let rule = Rule::find("eku-absent").expect("the table has it");
    /// let policy = Policy::strict().waive(rule);
    /// ```
    pub fn waive(mut self, rule: &'static Rule) -> Self {
        self.profile.waive(rule);
        self
    }

    /// Demands that a certificate on the path, the root included, has this key.
    ///
    /// Several pins are alternatives: one of them has to be there, and a path that has one is taken
    /// before one that has none. Pin a key in reserve too, so that the host can change its own
    /// (RFC 7469 §4.3). A pin never stands for a valid path or name.
    pub fn pin(self, pin: impl Into<Pin>) -> Self {
        self.pins([pin])
    }

    /// Demands one of these keys, or of those that were pinned before. An empty list is a key that
    /// nobody has: if no other is pinned every peer is refused.
    pub fn pins(mut self, pins: impl IntoIterator<Item = impl Into<Pin>>) -> Self {
        let pins = pins.into_iter().map(Into::into);
        self.pins.get_or_insert_default().extend(pins);
        self
    }

    /// The CRLs to go by, in place of those of before. Where there are none, none is asked for; where
    /// there are some, every certificate below the root needs one that speaks of it (for the leaf a
    /// stapled OCSP response will do), unless [`unknown_status`](Self::unknown_status) says
    /// otherwise.
    ///
    /// ```no_run
    /// use urlfetch::tls::{CrlStore, Policy};
    ///
    /// # fn main() -> Result<(), urlfetch::Error> {
    /// let policy = Policy::default().crls(CrlStore::empty().add_dir("/var/lib/crls")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn crls(mut self, crls: impl Into<CrlStore>) -> Self {
        self.revocation.crls = crls.into();
        self
    }

    /// How far up the path CRLs are looked at; the whole chain unless said otherwise.
    pub fn revocation_depth(mut self, depth: RevocationCheckDepth) -> Self {
        self.revocation.depth = depth;
        self
    }

    /// What becomes of certificates on which no CRL says anything, where there are CRLs; they are
    /// refused unless said otherwise.
    pub fn unknown_status(mut self, policy: UnknownStatusPolicy) -> Self {
        self.revocation.unknown_status = policy;
        self
    }

    /// What becomes of CRLs whose nextUpdate has passed; they are invalid unless said otherwise.
    pub fn crl_expiration(mut self, policy: ExpirationPolicy) -> Self {
        self.revocation.crl_expiration = policy;
        self
    }

    /// Demands a stapled OCSP response that says that the leaf is good. One that is stapled is
    /// believed, or refused, in any case, and a certificate that promises one
    /// ([`must_staple`](super::Certificate::must_staple)) is held to that.
    pub fn require_staple(mut self) -> Self {
        self.revocation.requires_staple = true;
        self
    }

    /// Refuses a path of which a certificate below the root ends in less than so many days of 24
    /// hours; 0 unless said otherwise.
    pub fn min_days_left(mut self, days: u32) -> Self {
        self.min_days_left = days;
        self
    }

    /// How many certificates a path may have, the leaf included and the root not; self-issued CAs
    /// do not count (RFC 5280 §4.2.1.9). Unless said otherwise 7, which is as far as webpki goes.
    pub fn max_chain_length(mut self, most: usize) -> Self {
        self.max_chain_length = most;
        self
    }

    pub(crate) fn oldest_version(&self) -> Version {
        self.min_version
    }

    /// The TLS provider, which offers what the policy says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it cannot.
    pub(crate) fn provider(&self) -> Result<Arc<CryptoProvider>> {
        let provider = crypto::provider();
        let Some(wanted) = &self.groups else {
            return Ok(provider);
        };
        let kx_groups = group::offered(wanted, &provider.kx_groups)
            .map_err(|unusable| Error::new(ErrorKind::Config, unusable.to_string()))?;
        Ok(Arc::new(CryptoProvider {
            kx_groups,
            ..(*provider).clone()
        }))
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(super) fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    pub(super) fn days_left(&self) -> u32 {
        self.min_days_left
    }

    pub(super) fn has_pins(&self) -> bool {
        self.pins.is_some()
    }

    /// Whether one of the pinned keys is on the path, if any are pinned.
    pub(super) fn judge_pins(&self, path: &Path) -> Option<Reason> {
        let pins = self.pins.as_ref()?;
        let root = path.anchor.certificate();
        let below = path.certificates.iter().filter(|each| *each != root);
        let there: Vec<_> = below.chain([root]).map(Pin::of).collect();
        if there.iter().any(|key| pins.contains(key)) {
            return None;
        }
        let missing = match pins.len() {
            0 => String::from("a pinned key is demanded, and none is pinned"),
            1 => String::from("the pinned key is not on the path"),
            many => format!("none of the {many} pinned keys is on the path"),
        };
        let there: Vec<_> = there.iter().map(Pin::to_string).collect();
        Some(
            Reason::new(
                Code::PinMismatch,
                format!(
                    "{missing}; the keys there, the leaf's first and the root's last, are {}",
                    there.join(", ")
                ),
            )
            .with_hint(
                "ask those who run the host, by another way than this one, which keys are theirs: \
                 pin a new one of theirs beside the old; a key that is not theirs is somebody's who \
                 stands between",
            ),
        )
    }

    /// Whether the path is too long.
    pub(super) fn judge_length(&self, path: &Path) -> Option<Reason> {
        let counted = path
            .intermediates()
            .iter()
            .filter(|each| !each.is_self_issued());
        let length = 1 + counted.count();
        (length > self.max_chain_length).then(|| {
            Reason::new(
                Code::ChainTooLong,
                format!(
                    "the path has {length} certificates below the root, and the policy allows {}",
                    self.max_chain_length
                ),
            )
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            // TLS 1.0 and 1.1 are "MUST NOT" (RFC 8996).
            min_version: Version::Tls12,
            groups: None,
            profile: Profile::of(Level::Default),
            revocation: Revocation::default(),
            pins: None,
            min_days_left: 0,
            // webpki's MAX_SUB_CA_COUNT is 6.
            max_chain_length: 7,
        }
    }
}

/// A TLS version that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// TLS 1.2 (RFC 5246), with the cipher suites of RFC 9325.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// As people write it, such as `TLS 1.3`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}
