//! Entries of a CRL, and CRLs: to load them, and to look a certificate up in each judgement.

use urlfetch::tls::{
    CertificateDer, CrlStore, Policy, Presented, RootStore, ServerName, UnixTime, Verifier,
};

use super::growth::Shown::{Each, InAll, One};
use super::growth::Unit::{Bytes, Instructions, Nanoseconds};
use super::growth::{Growth, Row};
use super::meter::{Meter, resident};
use super::mint;
use super::roots::{HOST, judged};
use super::world::World;

pub(crate) fn growths() -> Vec<Growth> {
    vec![
        Growth {
            title: "entries of one CRL",
            sizes: &[1, 100, 10_000, 1_000_000],
            rows: vec![
                Row::new("to load each", Instructions, Each, loaded).to(10_000),
                Row::new("to load each", Nanoseconds, Each, loaded),
                Row::new("each, loaded", Bytes, Each, |meter, world, entries| {
                    let list = world.read(&entries_of(entries));
                    let before = resident();
                    let store = CrlStore::empty().add_der(&list).unwrap();
                    meter.grew(before);
                    drop(store);
                })
                .from(10_000),
                Row::new(
                    "the first judgement, which checks its signature",
                    Nanoseconds,
                    InAll,
                    first,
                ),
                Row::new("every later judgement", Instructions, One, later).to(10_000),
                Row::new("every later judgement", Nanoseconds, One, later),
            ],
            prepare: |world, entries| {
                let root = prepare(world);
                world.write(&entries_of(entries), &mint::crl(&root, entries));
            },
            note: "To load one sorts its entries by serial number, which is found again by halves: both \
                   take as many comparisons an entry as the number of entries has bits.",
        },
        Growth {
            title: "CRLs, each of a CA of its own",
            sizes: &[1, 10, 100, 1_000],
            rows: rows_of_many(),
            prepare: |world, lists| {
                let root = prepare(world);
                let ours = [pem(&mint::crl(&root, 1))];
                let others =
                    (1..lists).map(|n| pem(&mint::crl(&mint::root(&format!("CA {n}")), 1)));
                let all: String = ours.into_iter().chain(others).collect();
                world.write(&lists_of(lists), all.as_bytes());
            },
            note: "",
        },
        Growth {
            title: "CRLs of one CA, each for a key of its own",
            sizes: &[1, 10, 100, 1_000],
            rows: rows_of_many(),
            prepare: |world, lists| {
                let root = prepare(world);
                let ours = [pem(&mint::crl(&root, 1))];
                let others = (1..lists).map(|_| pem(&mint::crl(&mint::root(ROOT), 1)));
                let all: String = others.chain(ours).collect();
                world.write(&lists_of(lists), all.as_bytes());
            },
            note: "A CA that has renewed its key has a list for each. They bear one name, so each is \
                   looked at for whose it is.",
        },
    ]
}

fn rows_of_many() -> Vec<Row> {
    vec![
        Row::new("to load each", Instructions, Each, |meter, world, lists| {
            let pem = world.read(&lists_of(lists));
            meter.count(1, || drop(CrlStore::empty().add_pem(&pem).unwrap()));
        }),
        Row::new(
            "every later judgement",
            Instructions,
            InAll,
            |meter, world, lists| {
                let store = CrlStore::empty()
                    .add_pem(world.read(&lists_of(lists)))
                    .unwrap();
                let verifier = verifier_by(world, store);
                judged(meter, &verifier, &[world.read(LEAF)], HOST, true);
            },
        ),
    ]
}

/// Makes the root of this size's lists, and a leaf below it.
fn prepare(world: &World) -> mint::Authority {
    let root = mint::root(ROOT);
    world.write(CA, root.pem().as_bytes());
    world.write(LEAF, &mint::der(&mint::leaf([HOST.to_owned()]), &root));
    root
}

fn loaded(meter: &Meter, world: &World, entries: usize) {
    let list = world.read(&entries_of(entries));
    meter.count(1, || drop(CrlStore::empty().add_der(&list).unwrap()));
}

fn first(meter: &Meter, world: &World, entries: usize) {
    let verifier = verifier(world, entries);
    let leaf = world.read(LEAF);
    let chain = [CertificateDer::from(&leaf[..])];
    let host = ServerName::try_from(HOST).unwrap();
    meter.count(1, || {
        let verdict = verifier.judge(&Presented::new(&chain), &host, UnixTime::now());
        assert!(verdict.is_verified(), "{verdict}");
    });
}

fn later(meter: &Meter, world: &World, entries: usize) {
    let chain = [world.read(LEAF)];
    judged(meter, &verifier(world, entries), &chain, HOST, true);
}

fn verifier(world: &World, entries: usize) -> Verifier {
    let list = world.read(&entries_of(entries));
    verifier_by(world, CrlStore::empty().add_der(&list).unwrap())
}

fn verifier_by(world: &World, lists: CrlStore) -> Verifier {
    let roots = RootStore::empty().add_pem(world.read(CA)).unwrap();
    let policy = Policy::default().crls(lists);
    Verifier::builder()
        .roots(roots)
        .policy(policy)
        .build()
        .unwrap()
}

fn pem(der: &[u8]) -> String {
    use std::fmt::Write as _;
    // RFC 7468, in base64 of our own: what reads it is ours too.
    let mut text = String::from("-----BEGIN X509 CRL-----\n");
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits = three
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - three.len()));
            for at in 0..4 {
                let sextet = bits >> (18 - 6 * at) & 63;
                text.push(match at > three.len() {
                    true => '=',
                    false => char::from(ALPHABET[sextet as usize]),
                });
            }
        }
        text.push('\n');
    }
    let _ = text.write_str("-----END X509 CRL-----\n");
    text
}

fn entries_of(entries: usize) -> String {
    format!("entries-{entries}.crl")
}

fn lists_of(lists: usize) -> String {
    format!("lists-{lists}.pem")
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ROOT: &str = "a CA of lists";
const CA: &str = "crls-ca.pem";
const LEAF: &str = "crls-leaf.der";
