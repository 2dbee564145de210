//! What judging a peer costs beside bare rustls-webpki, which finds a path and compares names, over
//! the same chains in the same run; and what it saves a handshake that the signatures of its chain
//! are remembered.
//!
//! `cargo bench --bench judge --all-features [-- CHAIN]` prints medians and between what the middle
//! half lies. A ratio is that of times measured one right after the other. Nothing is asserted of
//! times: the machine decides over them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is run by hand, and what it prints is its result"
)]

mod chains;
mod handshake;
mod rounds;

use chains::{Chain, HOST, chains, now};
use rounds::interleaved;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::TrustAnchor;
use urlfetch::tls::{Policy, Presented, RootStore, ServerName, Verifier};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

fn main() {
    // cargo itself says --bench.
    let mut words = std::env::args().skip(1);
    let wanted = words.find(|word| !word.starts_with("--"));
    let mut chains = chains();
    chains.retain(|chain| {
        let is_meant = |word: &String| chain.name.contains(word.as_str());
        wanted.as_ref().is_none_or(is_meant)
    });
    println!("Judged once and again, in µs, and how many times as long as bare webpki:");
    chains.iter().for_each(measure);
    println!("A cold handshake of TLS 1.3 over loopback, in µs:");
    chains.iter().for_each(handshake::measure);
}

fn measure(chain: &Chain) {
    let name = ServerName::try_from(HOST).unwrap();
    let anchors = [anchor_from_trusted_cert(&chain.root).unwrap()];
    let accepted = default_provider().signature_verification_algorithms;
    let roots = RootStore::empty().add_der(&chain.root).unwrap();
    let judge = |verifier: &Verifier| {
        let verdict = verifier.judge(&Presented::new(&chain.presented), &name, now());
        assert!(verdict.is_verified(), "{verdict}");
    };
    let known = verifier(&roots, Policy::default());
    let [bare, default, strict, again] = interleaved([
        &|| bare(chain, accepted, &anchors, &name),
        &|| judge(&verifier(&roots, Policy::default())),
        &|| judge(&verifier(&roots, Policy::strict())),
        &|| judge(&known),
    ]);
    println!("  {}: webpki {}", chain.name, bare.shown());
    for (what, times) in [("default", default), ("strict", strict), ("again", again)] {
        println!("    {what:<8}{:>24}{:>20}", times.shown(), times.to(&bare));
    }
}

/// One that remembers nothing yet.
fn verifier(roots: &RootStore, policy: Policy) -> Verifier {
    let builder = Verifier::builder().roots(roots.clone()).policy(policy);
    builder.build().unwrap()
}

/// What rustls' own verifier does.
fn bare(
    chain: &Chain,
    accepted: WebPkiSupportedAlgorithms,
    anchors: &[TrustAnchor<'_>],
    name: &ServerName<'_>,
) {
    let (leaf, issuers) = chain.presented.split_first().unwrap();
    let leaf = EndEntityCert::try_from(leaf).unwrap();
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(accepted.all, anchors, issuers, now(), usage, None, None)
        .unwrap();
    leaf.verify_is_valid_for_subject_name(name).unwrap();
}
