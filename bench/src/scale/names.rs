//! What one certificate, and what comes with it, gives to judge: names, CAs, and strangers.

use urlfetch::tls::{Policy, RootStore, Verifier};

use super::growth::Shown::InAll;
use super::growth::Unit::Instructions;
use super::growth::{Growth, Row};
use super::mint;
use super::roots::{HOST, judged};
use super::world::World;

pub(crate) fn growths() -> Vec<Growth> {
    vec![
        Growth {
            title: "names in a certificate, the last of them the host's",
            sizes: &[1, 10, 100, 1_000, 4_000],
            rows: vec![
                Row::new("judged", Instructions, InAll, |meter, world, _| {
                    let verifier = verifier(world, Policy::default());
                    judged(meter, &verifier, &chain(world), HOST, true);
                }),
                Row::new(
                    "judged by `Policy::strict`",
                    Instructions,
                    InAll,
                    |meter, world, _| {
                        let verifier = verifier(world, Policy::strict());
                        judged(meter, &verifier, &chain(world), HOST, false);
                    },
                ),
                Row::new(
                    "judged for another host",
                    Instructions,
                    InAll,
                    |meter, world, _| {
                        let verifier = verifier(world, Policy::default());
                        judged(meter, &verifier, &chain(world), "other.test", false);
                    },
                ),
            ],
            prepare: |world, names| {
                let root = mint::root(ROOT);
                let others = (1..names).map(|n| format!("n{n}.test"));
                let leaf = mint::leaf(others.chain([HOST.to_owned()]));
                write(world, &root, &[mint::der(&leaf, &root)]);
            },
            note: "webpki reads no certificate of more than 64 KiB.",
        },
        Growth {
            title: "CAs between the leaf and the root",
            sizes: &[1, 2, 4, 6],
            rows: vec![good()],
            prepare: |world, cas| {
                let root = mint::root(ROOT);
                let mut chain = Vec::new();
                let mut above = None;
                for n in 0..cas {
                    let ca = mint::below(above.as_ref().unwrap_or(&root), &format!("CA {n}"));
                    chain.insert(0, ca.der().to_vec());
                    above = Some(ca);
                }
                let leaf = mint::leaf([HOST.to_owned()]);
                chain.insert(0, mint::der(&leaf, above.as_ref().unwrap_or(&root)));
                write(world, &root, &chain);
            },
            note: "webpki reads all that was presented at each step of a path. A path ends at 6 CAs.",
        },
        Growth {
            title: "certificates presented that are of no use, beside a CA that is",
            sizes: &[1, 4, 16, 62],
            rows: vec![good()],
            prepare: |world, others| beside(world, others, |n| mint::root(&format!("CA {n}"))),
            note: "webpki reads all that was presented at each step of a path.",
        },
        Growth {
            title: "certificates presented of the issuer's name and other keys, before its own",
            sizes: &[1, 4, 16, 48],
            rows: vec![good()],
            prepare: |world, others| {
                beside(world, others, |_| {
                    mint::below(&mint::root(ELSEWHERE), ISSUER)
                })
            },
            note: "Worse than linear: each is tried and leads nowhere, and at each of them webpki reads \
                   again all that was presented. It is bounded: more than 64 certificates or 256 KiB \
                   of them, or more than 2 MiB to read on all ways, are refused before anything is \
                   tried.",
        },
    ]
}

fn good() -> Row {
    Row::new("judged", Instructions, InAll, |meter, world, _| {
        judged(
            meter,
            &verifier(world, Policy::default()),
            &chain(world),
            HOST,
            true,
        );
    })
}

/// A leaf, certificates that are in no path, and the CA that issued it.
fn beside(world: &World, others: usize, other: fn(usize) -> mint::Authority) {
    let root = mint::root(ROOT);
    let issuer = mint::below(&root, ISSUER);
    let leaf = mint::der(&mint::leaf([HOST.to_owned()]), &issuer);
    let others = (0..others).map(|n| other(n).der().to_vec());
    let chain: Vec<_> = [leaf]
        .into_iter()
        .chain(others)
        .chain([issuer.der().to_vec()])
        .collect();
    write(world, &root, &chain);
}

fn write(world: &World, root: &mint::Authority, chain: &[Vec<u8>]) {
    world.write(CA, root.pem().as_bytes());
    // Each after its length.
    let counted = |der: &Vec<u8>| [&(der.len() as u32).to_be_bytes()[..], der].concat();
    world.write(
        CHAIN,
        &chain.iter().map(counted).collect::<Vec<_>>().concat(),
    );
}

fn chain(world: &World) -> Vec<Vec<u8>> {
    let bytes = world.read(CHAIN);
    let mut rest = &bytes[..];
    let mut chain = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (der, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        chain.push(der.to_vec());
        rest = after;
    }
    chain
}

fn verifier(world: &World, policy: Policy) -> Verifier {
    let roots = RootStore::empty().add_pem(world.read(CA)).unwrap();
    Verifier::builder()
        .roots(roots)
        .policy(policy)
        .build()
        .unwrap()
}

const ROOT: &str = "a root";
const ISSUER: &str = "an issuer";
const ELSEWHERE: &str = "a root of others";
const CA: &str = "names-ca.pem";
const CHAIN: &str = "names-chain";
