//! Roots in a store: to load them, and to find the one that a chain leads to.

use urlfetch::tls::{CertificateDer, Policy, Presented, RootStore, ServerName, UnixTime, Verifier};

use super::growth::Shown::{Each, InAll};
use super::growth::Unit::{Bytes, Instructions};
use super::growth::{Growth, Row};
use super::meter::{Meter, resident};
use super::mint;
use super::world::World;

pub(crate) fn growths() -> Vec<Growth> {
    vec![Growth {
        title: "roots in a store",
        sizes: &[1, 10, 100, 500],
        rows: vec![
            Row::new(
                "to load each from PEM",
                Instructions,
                Each,
                |meter, world, roots| {
                    let pem = world.read(&pem(roots));
                    meter.count(1, || drop(RootStore::empty().add_pem(&pem).unwrap()));
                },
            ),
            Row::new("each, loaded", Bytes, Each, |meter, world, roots| {
                let pem = world.read(&pem(roots));
                let before = resident();
                let store = RootStore::empty().add_pem(&pem).unwrap();
                meter.grew(before);
                drop(store);
            })
            .from(100),
            Row::new(
                "a chain to one of them, judged",
                Instructions,
                InAll,
                |meter, world, roots| {
                    judged(
                        meter,
                        &verifier(world, roots),
                        &[world.read(&leaf(roots))],
                        HOST,
                        true,
                    );
                },
            ),
            Row::new(
                "a chain to none of them, refused",
                Instructions,
                InAll,
                |meter, world, roots| {
                    let stranger = mint::root("a stranger");
                    let leaf = mint::der(&mint::leaf([HOST.to_owned()]), &stranger);
                    let chain = [leaf, stranger.der().to_vec()];
                    judged(meter, &verifier(world, roots), &chain, HOST, false);
                },
            ),
        ],
        prepare,
        note: "",
    }]
}

fn prepare(world: &World, roots: usize) {
    let minted: Vec<_> = (0..roots)
        .map(|root| mint::root(&format!("root {root}")))
        .collect();
    let text: String = minted.iter().map(|root| root.pem()).collect();
    world.write(&pem(roots), text.as_bytes());
    let der = mint::der(&mint::leaf([HOST.to_owned()]), &minted[roots - 1]);
    world.write(&leaf(roots), &der);
}

fn verifier(world: &World, roots: usize) -> Verifier {
    let roots = RootStore::empty().add_pem(world.read(&pem(roots))).unwrap();
    Verifier::builder()
        .roots(roots)
        .policy(Policy::default())
        .build()
        .unwrap()
}

/// Judges a chain over and over; the first time, when signatures are checked, is not counted.
pub(crate) fn judged(
    meter: &Meter,
    verifier: &Verifier,
    chain: &[Vec<u8>],
    host: &str,
    is_good: bool,
) {
    let chain: Vec<_> = chain
        .iter()
        .map(|der| CertificateDer::from(&der[..]))
        .collect();
    let host = ServerName::try_from(host).unwrap();
    let judge = || {
        let verdict = verifier.judge(&Presented::new(&chain), &host, UnixTime::now());
        assert_eq!(verdict.is_verified(), is_good, "{verdict}");
    };
    judge();
    meter.count(ROUNDS, || (0..ROUNDS).for_each(|_| judge()));
}

fn pem(roots: usize) -> String {
    format!("roots-{roots}.pem")
}

fn leaf(roots: usize) -> String {
    format!("roots-{roots}-leaf.der")
}

pub(crate) const HOST: &str = "host.test";
const ROUNDS: usize = 20;
