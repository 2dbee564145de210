//! How much there is to read on the ways up from a leaf: webpki goes every way that names allow, and
//! reads all certificates again at each step of it, before it has checked a signature.
//!
//! Its own budget is a number of steps, 200,000, each of which may cost what fits into a handshake:
//! anybody who answers a connection, trusted or not, could have half a minute of our time.

use rustls::pki_types::CertificateDer;

use super::layout::Layout;

/// The certificates through which webpki is to look for a path.
pub(super) struct Ways<'a> {
    steps: Vec<Step<'a>>,
}

struct Step<'a> {
    der: &'a CertificateDer<'a>,
    issuer: &'a [u8],
    subject: &'a [u8],
    spki: &'a [u8],
}

impl<'a> Ways<'a> {
    /// Each of the presented certificates once. What has no names that can be told is in no path.
    pub(super) fn through(presented: &'a [CertificateDer<'a>]) -> Self {
        let mut steps: Vec<Step<'a>> = Vec::new();
        for der in presented {
            if !steps.iter().any(|step| step.der == der) {
                steps.extend(Step::of(der));
            }
        }
        Self { steps }
    }

    pub(super) fn certificates(&self) -> Vec<CertificateDer<'a>> {
        let ders = self.steps.iter().map(|step| step.der.as_ref());
        ders.map(CertificateDer::from).collect()
    }

    /// Whom they name as their issuers, in DER.
    pub(super) fn issuer_names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.steps.iter().map(|step| step.issuer)
    }

    /// Whether all ways up from a certificate of this issuer can be gone by reading no more than
    /// [`MAX_READ`].
    pub(super) fn can_be_gone(&self, issuer: &[u8]) -> bool {
        let mut left = MAX_READ;
        self.climb(issuer, &mut Vec::new(), &mut left).is_some()
    }

    fn climb<'s>(
        &'s self,
        issuer: &[u8],
        below: &mut Vec<&'s Step<'a>>,
        left: &mut usize,
    ) -> Option<()> {
        let bytes = self.steps.iter().map(|step| step.der.len()).sum();
        *left = left.checked_sub(bytes)?;
        for step in self.steps.iter().filter(|step| step.subject == issuer) {
            // As in webpki, where one key of one CA stands in a path once.
            let is_below = below.iter().any(|each| each.is_one_with(step));
            if !is_below && below.len() < MAX_DEPTH {
                below.push(step);
                self.climb(step.issuer, below, left)?;
                below.pop();
            }
        }
        Some(())
    }
}

impl<'a> Step<'a> {
    fn of(der: &'a CertificateDer<'a>) -> Option<Self> {
        let layout = Layout::read(der).ok()?;
        Some(Self {
            der,
            issuer: der.get(layout.issuer)?,
            subject: der.get(layout.subject)?,
            spki: der.get(layout.spki)?,
        })
    }

    fn is_one_with(&self, other: &Self) -> bool {
        self.subject == other.subject && self.spki == other.spki
    }
}

/// Most bytes that are read while paths are built, which takes some 30 ns each where they are worst
/// spent. A chain of 16 KiB, and real ones have a quarter of it, may have 128 steps in all: one
/// without detours has as many as CAs.
const MAX_READ: usize = 2 << 20;

/// webpki's MAX_SUB_CA_COUNT.
const MAX_DEPTH: usize = 6;

#[cfg(test)]
mod tests {
    use super::super::certificate::forge::{CN, Forged, name, spki, tlv};
    use super::*;

    /// The issuer of all that is forged.
    fn forger() -> Vec<u8> {
        name(&[(CN, 0x0c, b"forger")])
    }

    /// A certificate of the forger for this name, with a key of so many bytes.
    fn forged(key: &[u8], subject: Vec<u8>) -> CertificateDer<'static> {
        let forged = Forged {
            subject,
            key: spki(&tlv(0x06, &[&[0x2b, 101, 112]]), key),
            ..Forged::default()
        };
        forged.der().into()
    }

    #[test]
    fn names_and_keys_tell_how_much_there_is_to_read() {
        let other = || Forged::default().subject;
        let many = |count: u8, subject: &dyn Fn() -> Vec<u8>| {
            let each = |key| forged(&[key; 32], subject());
            (0..count).map(each).collect::<Vec<_>>()
        };
        let large = |bytes| vec![forged(&vec![0; bytes], other())];
        let one_key = (0..63).map(|_| forged(&[1; 32], forger())).collect();
        for (what, presented, can_be_gone) in [
            ("nothing", vec![], true),
            ("a few keys of one CA", many(5, &forger), true),
            (
                "and a little beside",
                [many(5, &forger), large(1 << 10)].concat(),
                true,
            ),
            // Which is read at each of their steps, of no use as it is.
            (
                "and much beside",
                [many(5, &forger), large(32 << 10)].concat(),
                false,
            ),
            (
                "as much with one key",
                [many(1, &forger), large(32 << 10)].concat(),
                true,
            ),
            (
                "more keys than can be put in order",
                many(8, &forger),
                false,
            ),
            ("one key again and again", one_key, true),
            ("CAs of no use", many(63, &other), true),
        ] {
            let ways = Ways::through(&presented);
            assert_eq!(ways.can_be_gone(&forger()), can_be_gone, "{what}");
        }
    }

    #[test]
    fn each_is_gone_through_once_and_rubbish_never() {
        let good = forged(&[1; 32], forger());
        let rubbish = CertificateDer::from(vec![0x30, 1, 0]);
        let presented = [rubbish.clone(), good.clone(), rubbish, good.clone()];
        assert_eq!(Ways::through(&presented).certificates(), [good]);
    }
}
