//! The search for a path from a leaf to a root: webpki builds paths and checks their signatures,
//! under its own budget, and each whole path is examined before it is taken, so that a bad one is
//! passed over for a good one.

use std::cell::{Cell, OnceCell, RefCell};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath};

use super::candidates::Candidates;
use super::certificate::{Anchor, Certificate};
use super::memo::Remembering;
use super::path::Path;
use super::readings::Readings;
use super::reason::Reason;
use super::rollover::Rollover;
use super::roots::RootStore;
use super::verdict::Staple;
use super::ways::Ways;

/// A chain in which a path is sought.
pub(super) struct Search<'a> {
    leaf: &'a Certificate,
    leaf_der: &'a CertificateDer<'a>,
    issuers_der: &'a [CertificateDer<'a>],
    /// The same, read when first needed; `None` if that cannot be done.
    issuers: Vec<OnceCell<Option<Certificate>>>,
    ways: Ways<'a>,
    anchors: Candidates<'a>,
    readings: &'a Readings,
    accepted: WebPkiSupportedAlgorithms,
    /// The same, which look into a memo first.
    remembering: Vec<Remembering<'a>>,
}

/// What came of the examination of a path whose signatures fit.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// Why the path is refused; it is good, if there is nothing.
    pub(super) reasons: Vec<Reason>,
    /// Why revocation was not looked at, if it was not.
    pub(super) revocation_skipped: Option<String>,
    pub(super) staple: Option<Staple>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        leaf: &'a Certificate,
        leaf_der: &'a CertificateDer<'a>,
        issuers_der: &'a [CertificateDer<'a>],
        roots: &'a RootStore,
        readings: &'a Readings,
        accepted: WebPkiSupportedAlgorithms,
        remembering: Vec<Remembering<'a>>,
    ) -> Self {
        let ways = Ways::through(issuers_der);
        let names = [leaf.issuer_der()].into_iter().chain(ways.issuer_names());
        Self {
            anchors: Candidates::named(roots, names),
            leaf,
            leaf_der,
            issuers_der,
            issuers: issuers_der.iter().map(|_| OnceCell::new()).collect(),
            ways,
            readings,
            accepted,
            remembering,
        }
    }

    /// A path whose signatures fit and whose certificates are valid at `moment` and for `usage`.
    ///
    /// It is one in which `examine` finds nothing wrong, or, where there is none, the one that came
    /// furthest, with its reasons. None is sought where there are too many [`Ways`], and no more
    /// than [`MAX_EXAMINED`] are examined.
    pub(super) fn find(
        &self,
        moment: UnixTime,
        usage: Usage,
        examine: &dyn Fn(&Path) -> Examined,
    ) -> Result<(Path, Examined), webpki::Error> {
        if !self.ways.can_be_gone(self.leaf.issuer_der()) {
            return Err(webpki::Error::MaximumPathBuildCallsExceeded);
        }
        let best = RefCell::new(None);
        let left = Cell::new(MAX_EXAMINED);
        let take = |path: Path| {
            let one_less = left.get().checked_sub(1);
            left.set(one_less.ok_or(webpki::Error::UnknownIssuer)?);
            let examined = examine(&path);
            let is_taken = examined.reasons.is_empty();
            let mut best = best.borrow_mut();
            if is_taken
                || best
                    .as_ref()
                    .is_none_or(|(_, b)| examined.is_nearer_than(b))
            {
                *best = Some((path, examined));
            }
            match is_taken {
                true => Ok(()),
                // A non-fatal error sends webpki to the next candidate.
                false => Err(webpki::Error::UnknownIssuer),
            }
        };
        let remembering = self.remembering.iter().map(|each| each as _);
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> = remembering.collect();
        let issuers = self.ways.certificates();
        let mut result = self.verify(&algorithms, &issuers, moment, usage, &|candidate| {
            take(self.read(candidate)?)
        });
        if best.borrow().is_none() && result.as_ref().is_err_and(leaves_hope) {
            let (issuers, algorithms) = (self.issuers(), self.accepted);
            let roots = self.roots();
            let rollover = Rollover::among(self.leaf, issuers, roots, algorithms, moment);
            if let Some(rollover) = rollover {
                let (algorithms, issuers) = (rollover.algorithms(), rollover.issuers());
                // It knows whose the signatures are: what it says now is nearer to the truth.
                result = self.verify(&algorithms, &issuers, moment, usage, &|candidate| {
                    take(rollover.complete(self.read(candidate)?)?)
                });
            }
        }
        match (result, best.into_inner()) {
            (_, Some(found)) => Ok(found),
            (Err(error), None) => Err(error),
            // webpki takes no path but those that we took.
            (Ok(()), None) => Err(webpki::Error::UnknownIssuer),
        }
    }

    fn verify(
        &self,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        issuers: &[CertificateDer<'_>],
        moment: UnixTime,
        usage: Usage,
        take: &dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>,
    ) -> Result<(), webpki::Error> {
        let leaf = EndEntityCert::try_from(self.leaf_der)?;
        let anchors = self.anchors.trust_anchors();
        leaf.verify_for_usage(
            algorithms,
            anchors,
            issuers,
            moment,
            usage,
            None,
            Some(take),
        )
        .map(drop)
    }

    /// What was presented beside the leaf, as far as it can be read.
    pub(super) fn issuers(&self) -> impl Iterator<Item = &Certificate> {
        (0..self.issuers_der.len()).filter_map(|index| self.issuer(index))
    }

    /// The roots that are asked for by what was presented.
    pub(super) fn roots(&self) -> impl Iterator<Item = &'a Certificate> {
        self.anchors.anchors().map(Anchor::certificate)
    }

    fn issuer(&self, index: usize) -> Option<&Certificate> {
        let der = self.issuers_der.get(index)?;
        let read = || self.readings.read(der).ok();
        self.issuers.get(index)?.get_or_init(read).as_ref()
    }

    /// The certificates of a path that webpki found. What we cannot read is not taken; webpki could.
    fn read(&self, path: &VerifiedPath<'_>) -> Result<Path, webpki::Error> {
        let mut certificates = vec![self.leaf.clone()];
        for intermediate in path.intermediate_certificates() {
            let der = intermediate.der();
            let index = self.issuers_der.iter().position(|each| *each == der);
            let issuer = index.and_then(|index| self.issuer(index));
            certificates.push(issuer.ok_or(webpki::Error::UnknownIssuer)?.clone());
        }
        let anchor = self.anchors.anchor_of(path.anchor());
        Ok(Path {
            certificates,
            anchor: anchor.ok_or(webpki::Error::UnknownIssuer)?.clone(),
        })
    }
}

impl Examined {
    /// Whether what leads against this path is less fundamental than what leads against the other.
    fn is_nearer_than(&self, other: &Self) -> bool {
        let leading = |examined: &Self| examined.reasons.iter().map(Reason::rank).min();
        leading(self) > leading(other)
    }
}

/// Whether there may be a path all the same: webpki has not come to the end of its budget.
fn leaves_hope(error: &webpki::Error) -> bool {
    use webpki::Error as E;
    !matches!(
        error,
        E::MaximumSignatureChecksExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumNameConstraintComparisonsExceeded
    )
}

/// Most paths that are examined. Each may cost eight signatures by its staple, and is as long to
/// read as a handshake message. A CA with certificates by three others, and two roots of one key,
/// have six.
const MAX_EXAMINED: usize = 16;

/// What the certificates of a path must be for.
#[derive(Clone, Copy)]
pub(super) enum Usage {
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
