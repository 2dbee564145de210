//! What CRLs cost: to load a list of so many entries, and to judge a chain by it at each handshake,
//! beside bare webpki with its own support for CRLs on the same chain and the same lists.
//!
//! `cargo bench --all-features --bench revocation` prints medians. Nothing is asserted of them: the
//! machine decides over times.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not a library"
)]

#[path = "../tests/support/crl.rs"]
#[expect(dead_code, reason = "shared with the tests of revocation")]
mod crl;
#[path = "../tests/support/proof.rs"]
#[expect(dead_code, reason = "shared with the tests of revocation")]
mod proof;

use std::time::{Duration, Instant, SystemTime};

use crl::{Crl, entry, reason};
use proof::{Authority, Chain, below, ca, issue, leaf, now};
use rcgen::{CertifiedIssuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{ServerName, TrustAnchor, UnixTime};
use urlfetch::tls::{CrlStore, Policy, Presented, RootStore, Verifier};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};

fn main() {
    let world = World::new();
    let of_root = Crl::default().signed_by(&world.root);
    println!("        |  DER |   to load, ms   |     to judge one chain, µs");
    println!("entries |  MiB |   ours | webpki | first time |   ours |  webpki | webpki/ours");
    for entries in [1, 10_000, 200_000, 1_000_000] {
        let list = list_of(entries).signed_by(&world.intermediate);

        let (loading, lists) = least(|| CrlStore::empty().add_der(&list).unwrap());
        let lists = lists.add_der(&of_root).unwrap();
        let verifier = world.verifier(Policy::default().crls(lists));
        let (first, ()) = timed(|| world.judge(&verifier));
        let ours = each(|| world.judge(&verifier));

        let (webpki_loading, owned) = least(|| webpki_list(&list));
        let lists = [&owned, &webpki_list(&of_root)];
        let webpki = each(|| world.judge_by_webpki(Some(&lists)));

        println!(
            "{entries:>7} | {:>4.1} | {:>6.1} | {:>6.1} | {:>10.0} | {:>6.0} | {:>7.0} | {:>6.1}",
            list.len() as f64 / f64::from(1 << 20),
            micros(loading) / 1e3,
            micros(webpki_loading) / 1e3,
            micros(first),
            micros(ours),
            micros(webpki),
            micros(webpki) / micros(ours),
        );
    }
    let verifier = world.verifier(Policy::default());
    let ours = micros(each(|| world.judge(&verifier)));
    let webpki = micros(each(|| world.judge_by_webpki(None)));
    println!(
        "   none |      |        |        |            | {ours:>6.0} | {webpki:>7.0} | {:>6.1}",
        webpki / ours
    );
}

/// A leaf below an intermediate below a root, who may all sign CRLs.
struct World {
    root: Authority,
    intermediate: Authority,
    chain: Chain,
    /// The same root, and the same cryptography, for webpki.
    anchors: Vec<TrustAnchor<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl World {
    fn new() -> Self {
        let signing_ca = |name| {
            let mut params = ca(name);
            params.key_usages.push(KeyUsagePurpose::CrlSign);
            params
        };
        let pair = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(signing_ca("root"), pair()).unwrap();
        let intermediate = below(&root, signing_ca("intermediate"));
        let chain = vec![
            issue(&intermediate, &leaf(&[HOST]), &pair()),
            intermediate.der().clone(),
        ];
        let anchor = webpki::anchor_from_trusted_cert(root.der()).unwrap();
        Self {
            anchors: vec![anchor.to_owned()],
            algorithms: default_provider().signature_verification_algorithms,
            root,
            intermediate,
            chain,
        }
    }

    fn verifier(&self, policy: Policy) -> Verifier {
        let roots = RootStore::empty().add_der(self.root.der()).unwrap();
        let verifier = Verifier::builder().roots(roots).policy(policy);
        verifier.build().unwrap()
    }

    fn judge(&self, verifier: &Verifier) {
        let name = ServerName::try_from(HOST).unwrap();
        let verdict = verifier.judge(&Presented::new(&self.chain), &name, unix_now());
        assert!(verdict.is_verified(), "{verdict}");
    }

    fn judge_by_webpki(&self, lists: Option<&[&CertRevocationList<'_>]>) {
        let leaf = EndEntityCert::try_from(&self.chain[0]).unwrap();
        let revocation = lists.map(|lists| {
            RevocationOptionsBuilder::new(lists)
                .unwrap()
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        leaf.verify_for_usage(
            self.algorithms.all,
            &self.anchors,
            &self.chain[1..],
            unix_now(),
            KeyUsage::server_auth(),
            revocation,
            None,
        )
        .unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        leaf.verify_is_valid_for_subject_name(&name).unwrap();
    }
}

/// Serial numbers of 16 bytes as CAs make them, at random, and a reason each.
fn list_of(entries: u32) -> Crl {
    let mut state = 1_u128;
    let mut serial = || {
        // A linear congruence is random enough to be out of order.
        state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
        state = state.wrapping_add(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
        let mut bytes = state.to_be_bytes();
        bytes[0] = bytes[0] & 0x3f | 0x40;
        bytes
    };
    let entries = (0..entries).map(|_| entry(&serial(), &[reason(1)]));
    Crl::listing(&entries.collect::<Vec<_>>())
}

fn webpki_list(der: &[u8]) -> CertRevocationList<'static> {
    let list = BorrowedCertRevocationList::from_der(der).unwrap();
    let owned: OwnedCertRevocationList = list.to_owned().unwrap();
    owned.into()
}

fn unix_now() -> UnixTime {
    UnixTime::since_unix_epoch(now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

/// The least of three times: the others had to wait for somebody else.
fn least<T>(work: impl Fn() -> T) -> (Duration, T) {
    let mut best = timed(&work);
    for _ in 1..3 {
        let again = timed(&work);
        if again.0 < best.0 {
            best = again;
        }
    }
    best
}

/// The median of many times, for at most some two seconds.
fn each(work: impl Fn()) -> Duration {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || times.len() < 2_000 && start.elapsed() < Duration::from_secs(2) {
        times.push(timed(&work).0);
    }
    times.sort();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

const HOST: &str = "host.test";
