//! A CA that has changed its key: how the certificate that says so stands in a path.
//!
//! Such a CA signs its new key by the old one, under its own name: that certificate is self-issued.
//! It makes a path longer, and the CA is still the same one, so RFC 5280 does not count it in path
//! lengths (§6.1.4 (l)) and does not hold it to name constraints (§6.1.3 (b) and (c)). webpki does
//! both. Where it finds nothing, it is therefore asked again, about CAs that have several keys: it
//! is given no self-issued certificate, and a signature by a CA's newer key counts as one by the
//! older. What it finds lacks nothing but the self-issued certificates. They are judged here, and
//! put back.

use std::cell::Cell;
use std::fmt;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, UnixTime,
};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};
use x509_cert::der::oid::db::rfc5280;
use x509_cert::ext::pkix::BasicConstraints;

use super::certificate::Certificate;
use super::path::Path;
use super::signature::Signed;

/// The CAs that have several keys, among those that a peer presented.
pub(super) struct Rollover<'a> {
    leaf: &'a Certificate,
    issuers: Vec<&'a Certificate>,
    links: Vec<Link<'a>>,
    algorithms: Vec<Indulgent<'a>>,
    accepted: WebPkiSupportedAlgorithms,
    moment: UnixTime,
    checks: Checks,
}

/// A certificate that a newer key of its issuer has signed.
struct Link<'a> {
    certificate: &'a Certificate,
    way: Way<'a>,
}

/// The way from a newer key of a CA up to an older one.
#[derive(Clone)]
struct Way<'a> {
    /// The self-issued certificates, the newest first.
    through: Vec<&'a Certificate>,
    /// Who has the older key: a root, or a CA that another has issued.
    elder: &'a Certificate,
}

impl<'a> Rollover<'a> {
    /// Finds them, if there are any at `moment`, by [`MAX_SIGNATURE_CHECKS`] at most: where that is
    /// not enough, there are none.
    pub(super) fn among(
        leaf: &'a Certificate,
        presented: impl Iterator<Item = &'a Certificate>,
        roots: impl Iterator<Item = &'a Certificate>,
        accepted: WebPkiSupportedAlgorithms,
        moment: UnixTime,
    ) -> Option<Self> {
        let mut newer = Vec::new();
        let mut issuers = Vec::new();
        for each in presented {
            let (kind, is_wanted) = match each.is_self_issued() {
                true => (&mut newer, may_issue(each, moment)),
                false => (&mut issuers, true),
            };
            if is_wanted && !kind.contains(&each) {
                kind.push(each);
            }
        }
        let elders: Vec<_> = issuers.iter().copied().chain(roots).collect();
        let checks = Checks(Cell::new(MAX_SIGNATURE_CHECKS));
        let ways = ways_up(&newer, &elders, &checks, accepted)?;
        let mut links = Vec::new();
        for newest in &newer {
            let ways = ways
                .iter()
                .filter(|way| way.through.first() == Some(newest));
            let ways: Vec<_> = ways.collect();
            for &certificate in [leaf].iter().chain(&issuers) {
                if !ways.is_empty() && checks.is_by(certificate, newest, accepted)? {
                    links.extend(ways.iter().map(|&way| Link {
                        certificate,
                        way: way.clone(),
                    }));
                }
            }
        }
        let algorithms: Vec<_> = links
            .iter()
            .filter_map(|link| Indulgent::towards(link, &links, accepted))
            .collect();
        (!algorithms.is_empty()).then_some(Self {
            leaf,
            issuers,
            links,
            algorithms,
            accepted,
            moment,
            checks,
        })
    }

    /// What webpki is to know of what was presented: all that is not self-issued.
    pub(super) fn issuers(&self) -> Vec<CertificateDer<'a>> {
        let issuers = self.issuers.iter();
        issuers
            .map(|each| CertificateDer::from(each.der()))
            .collect()
    }

    /// By which it is to check signatures.
    pub(super) fn algorithms(&self) -> Vec<&dyn SignatureVerificationAlgorithm> {
        let indulgent = self.algorithms.iter().map(|each| each as _);
        // webpki asks the first that fits.
        indulgent
            .chain(self.accepted.all.iter().map(|each| *each as _))
            .collect()
    }

    /// Puts the self-issued certificates into a path that webpki found.
    ///
    /// # Errors
    ///
    /// Why they may not stand there, as webpki would say it.
    pub(super) fn complete(&self, path: Path) -> Result<Path, webpki::Error> {
        let found = &path.certificates;
        let issuers = found.iter().skip(1).chain([path.anchor.certificate()]);
        let mut certificates = Vec::with_capacity(found.len());
        for (index, (certificate, issuer)) in found.iter().zip(issuers).enumerate() {
            let below = found.get(..=index).unwrap_or_default();
            let between = self.between(certificate, issuer, below)?;
            certificates.push(certificate.clone());
            certificates.extend(between.iter().copied().cloned());
        }
        Ok(Path {
            certificates,
            anchor: path.anchor,
        })
    }

    /// The self-issued certificates by which an issuer signed one of the certificates in a path: the
    /// last of those `below` the issuer.
    fn between(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        below: &[Certificate],
    ) -> Result<&[&'a Certificate], webpki::Error> {
        let is_it =
            |link: &&Link<'_>| link.certificate == certificate && is_one(issuer, link.way.elder);
        let mut refusal = None;
        for link in self.links.iter().filter(is_it) {
            let through = &link.way.through;
            match through.iter().try_for_each(|ca| self.allow(ca, below)) {
                Ok(()) => return Ok(through),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(&[]), Err)
    }

    /// Whether a self-issued CA allows what stands below it: a leaf and CAs that are not self-issued.
    fn allow(&self, ca: &Certificate, below: &[Certificate]) -> Result<(), webpki::Error> {
        let (_, cas) = below.split_first().ok_or(webpki::Error::UnknownIssuer)?;
        match ca.decoded::<BasicConstraints>() {
            Some(Ok(constraints)) => {
                let most = constraints.path_len_constraint.map(usize::from);
                if most.is_some_and(|most| cas.len() > most) {
                    return Err(webpki::Error::PathLenConstraintViolated);
                }
            }
            _ => return Err(webpki::Error::MalformedExtensions),
        }
        match ca.extension(rfc5280::ID_CE_NAME_CONSTRAINTS) {
            Some(_) => self.compare_names(ca, cas),
            None => Ok(()),
        }
    }

    /// Has webpki hold the names of the leaf and of these CAs to another CA's constraints: it is
    /// asked for the path that they are, up to that CA.
    fn compare_names(&self, ca: &Certificate, cas: &[Certificate]) -> Result<(), webpki::Error> {
        let checks = self.checks.spend(1 + cas.len());
        checks.ok_or(webpki::Error::MaximumSignatureChecksExceeded)?;
        let cas: Vec<_> = cas
            .iter()
            .map(|each| CertificateDer::from(each.der()))
            .collect();
        let take_whole =
            |path: &VerifiedPath<'_>| match path.intermediate_certificates().count() == cas.len() {
                true => Ok(()),
                false => Err(webpki::Error::UnknownIssuer),
            };
        let anchor = [webpki::anchor_from_trusted_cert(ca.certificate_der())?];
        let algorithms = self.algorithms();
        EndEntityCert::try_from(self.leaf.certificate_der())?
            .verify_for_usage(
                &algorithms,
                &anchor,
                &cas,
                self.moment,
                AnyUse,
                None,
                Some(&take_whole),
            )
            .map(drop)
    }
}

/// What RFC 5280 §6.1.3 (a) (2), §6.1.4 (k), (n) and (o) and webpki demand of a CA that stands in a
/// path to a server.
fn may_issue(ca: &Certificate, moment: UnixTime) -> bool {
    let is_valid = ca.is_valid_at(moment);
    let may_sign = ca.key_usage().is_none_or(|usage| usage.key_cert_sign());
    let is_for_servers = ca
        .purposes()
        .is_none_or(|purposes| purposes.contains(&rfc5280::ID_KP_SERVER_AUTH));
    // webpki reads no certificate with a critical extension that it does not know.
    let is_read = EndEntityCert::try_from(ca.certificate_der()).is_ok();
    is_valid && ca.is_ca() && may_sign && is_for_servers && is_read
}

/// All ways from newer keys up to older ones.
fn ways_up<'a>(
    newer: &[&'a Certificate],
    elders: &[&'a Certificate],
    checks: &Checks,
    accepted: WebPkiSupportedAlgorithms,
) -> Option<Vec<Way<'a>>> {
    let mut signed = Vec::new();
    for of in newer {
        let mut by = Vec::new();
        for each in newer.iter().chain(elders) {
            if checks.is_by(of, each, accepted)? {
                by.push(*each);
            }
        }
        signed.push((of, by));
    }
    let mut ways = Vec::new();
    // So few checks have found so few signers that every way can be gone.
    let mut unfinished: Vec<_> = newer.iter().map(|newest| vec![*newest]).collect();
    while let Some(through) = unfinished.pop() {
        let last = signed.iter().find(|(of, _)| through.last() == Some(of));
        for &signer in last.map(|(_, by)| by).into_iter().flatten() {
            if elders.contains(&signer) {
                let through = through.clone();
                ways.push(Way {
                    through,
                    elder: signer,
                });
            } else if !through.contains(&signer) {
                unfinished.push([through.as_slice(), &[signer]].concat());
            }
        }
    }
    Some(ways)
}

/// Whether they have the same name and the same key: to [`Indulgent`] and webpki they are one.
fn is_one(one: &Certificate, other: &Certificate) -> bool {
    one.subject_der() == other.subject_der()
        && one.key_algorithm_der() == other.key_algorithm_der()
        && key(one) == key(other)
}

/// How many signatures may still be checked.
struct Checks(Cell<usize>);

impl Checks {
    fn spend(&self, count: usize) -> Option<()> {
        self.0.set(self.0.get().checked_sub(count)?);
        Some(())
    }

    /// Whether `issuer`, by name and key, issued a certificate for another key.
    fn is_by(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        accepted: WebPkiSupportedAlgorithms,
    ) -> Option<bool> {
        if certificate.issuer_der() != issuer.subject_der()
            || certificate.spki_der() == issuer.spki_der()
        {
            return Some(false);
        }
        self.spend(1)?;
        Some(Signed::certificate(certificate).is_by(issuer.spki_der(), accepted))
    }
}

/// A signature algorithm in whose eyes the signatures of [`Link`]s are by the older key.
struct Indulgent<'a> {
    key_algorithm: AlgorithmIdentifier,
    signature_algorithm: AlgorithmIdentifier,
    /// Those signatures, which have been checked, each with the older key.
    checked: Vec<(&'a [u8], Signed<'a>)>,
    /// What all others are checked by.
    otherwise: Option<&'static dyn SignatureVerificationAlgorithm>,
}

impl<'a> Indulgent<'a> {
    /// The algorithm that webpki takes for a link's signature and older key, if we accept both.
    fn towards(
        link: &Link<'a>,
        links: &[Link<'a>],
        accepted: WebPkiSupportedAlgorithms,
    ) -> Option<Self> {
        let accepted = || accepted.all.iter().copied();
        let key_algorithm = accepted()
            .map(|each| each.public_key_alg_id())
            .find(|id| id.as_ref() == link.way.elder.key_algorithm_der())?;
        let signature_algorithm = accepted()
            .map(|each| each.signature_alg_id())
            .find(|id| id.as_ref() == link.certificate.signature_algorithm_der())?;
        let checked = links
            .iter()
            .filter(|each| each.way.elder.key_algorithm_der() == key_algorithm.as_ref())
            .filter_map(|each| Some((key(each.way.elder)?, Signed::certificate(each.certificate))));
        Some(Self {
            key_algorithm,
            signature_algorithm,
            checked: checked.collect(),
            otherwise: accepted().find(|each| {
                each.public_key_alg_id() == key_algorithm
                    && each.signature_alg_id() == signature_algorithm
            }),
        })
    }
}

impl SignatureVerificationAlgorithm for Indulgent<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let is_checked = self.checked.iter().any(|(elder, signed)| {
            *elder == public_key && signed.message == message && signed.signature == signature
        });
        match (is_checked, self.otherwise) {
            (true, _) => Ok(()),
            (false, Some(otherwise)) => otherwise.verify_signature(public_key, message, signature),
            (false, None) => Err(InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key_algorithm
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature_algorithm
    }
}

impl fmt::Debug for Indulgent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Indulgent").field(&self.otherwise).finish()
    }
}

/// The key itself, as a signature algorithm is handed it.
fn key(certificate: &Certificate) -> Option<&[u8]> {
    let key = &certificate.tbs().subject_public_key_info;
    key.subject_public_key.as_bytes()
}

/// What a path is for has been looked at when its names are.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Most signatures that are checked beside webpki's own hundred. A CA changes its key once in
/// years: real chains take three or four.
const MAX_SIGNATURE_CHECKS: usize = 32;
