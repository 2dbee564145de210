//! The anchors at which a path may end: those of a name that the presented certificates give as
//! their issuer's. webpki would hold all of a store against each step of a path.

use rustls::pki_types::{Der, TrustAnchor};

use super::certificate::Anchor;
use super::roots::RootStore;

pub(super) struct Candidates<'a> {
    anchors: Vec<&'a Anchor>,
    /// The same as webpki takes them, at the same places.
    trusted: Vec<TrustAnchor<'a>>,
}

impl<'a> Candidates<'a> {
    /// Those of these names in DER, in the order in which they were added to the store.
    pub(super) fn named<'n>(
        roots: &'a RootStore,
        names: impl IntoIterator<Item = &'n [u8]>,
    ) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut places: Vec<_> = names
            .into_iter()
            .flat_map(|name| roots.named(name))
            .collect();
        places.sort_unstable();
        let found = places.into_iter().filter_map(|place| roots.at(*place));
        let (anchors, trusted) = found.map(|(anchor, own)| (anchor, borrowed(own))).unzip();
        Self { anchors, trusted }
    }

    pub(super) fn anchors(&self) -> impl Iterator<Item = &'a Anchor> {
        self.anchors.iter().copied()
    }

    pub(super) fn trust_anchors(&self) -> &[TrustAnchor<'a>] {
        &self.trusted
    }

    /// The anchor that stands behind an element of [`trust_anchors`](Self::trust_anchors), told by
    /// its address: renewed roots share name and key, so those do not tell which it was.
    pub(super) fn anchor_of(&self, trusted: &TrustAnchor<'_>) -> Option<&'a Anchor> {
        let mut ours = self.trusted.iter();
        let place = ours.position(|ours| std::ptr::eq(ours, trusted))?;
        self.anchors.get(place).copied()
    }
}

fn borrowed<'a>(own: &'a TrustAnchor<'static>) -> TrustAnchor<'a> {
    TrustAnchor {
        subject: Der::from_slice(&own.subject),
        subject_public_key_info: Der::from_slice(&own.subject_public_key_info),
        name_constraints: own.name_constraints.as_deref().map(Der::from_slice),
    }
}

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, SerialNumber,
    };

    use super::*;

    fn root(name: &str, key: &KeyPair, serial: u64) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(SerialNumber::from(serial));
        params.self_signed(key).unwrap().der().to_vec()
    }

    fn names(store: &RootStore) -> Vec<&[u8]> {
        let anchors = store.anchors();
        anchors
            .map(|each| each.certificate().subject_der())
            .collect()
    }

    #[test]
    fn of_many_roots_only_those_are_looked_at_that_are_asked_for() {
        let key = KeyPair::generate().unwrap();
        // Their names are in another order than they are.
        let name = |n| format!("{}", 999 - n);
        let add = |store: RootStore, n| store.add_der(root(&name(n), &key, n)).unwrap();
        let store = (0..200).fold(RootStore::empty(), add);
        let names = names(&store);
        for (asked, expected) in [
            (&[][..], &[][..]),
            (&[7], &[7]),
            // In the order of the store, and each once.
            (&[199, 0, 7, 199], &[0, 7, 199]),
        ] {
            let candidates = Candidates::named(&store, asked.iter().map(|n: &usize| names[*n]));
            let found: Vec<_> = candidates
                .anchors
                .iter()
                .map(|each| each.certificate())
                .collect();
            let expected = expected
                .iter()
                .map(|n: &usize| store.anchors().nth(*n).unwrap());
            assert_eq!(found, expected.map(Anchor::certificate).collect::<Vec<_>>());
            assert_eq!(candidates.trust_anchors().len(), found.len());
        }
        assert!(
            Candidates::named(&store, [&[0x30, 0][..]])
                .trusted
                .is_empty()
        );
    }

    #[test]
    fn an_anchor_is_found_again_by_address_alone() {
        let key = KeyPair::generate().unwrap();
        // A renewed root: another certificate with the same name and key.
        let (old, renewed) = (root("root", &key, 1), root("root", &key, 2));
        let one = RootStore::empty().add_der(root("other", &key, 3)).unwrap();
        let other = RootStore::empty()
            .add_der(&old)
            .unwrap()
            .add_der(&renewed)
            .unwrap();
        let added = [&old, &renewed].into_iter();
        let added = added.fold(one.clone(), |store, der| store.add_der(der).unwrap());
        for store in [added, one.and(&other)] {
            let candidates = Candidates::named(&store, [names(&store)[1]]);
            let [first, second] = candidates.trust_anchors() else {
                panic!("both have the name");
            };
            assert_eq!(first, second);
            let der = |trusted| {
                candidates
                    .anchor_of(trusted)
                    .map(|it| it.certificate().der())
            };
            assert_eq!(der(first), Some(&old[..]));
            assert_eq!(der(second), Some(&renewed[..]));
            assert!(candidates.anchor_of(&first.clone()).is_none());
        }
    }
}
