//! Signatures on certificates that were found to hold, so that the next handshake need not check
//! them again: they are most of what judging costs.
//!
//! What is kept is timeless: that this signature over these bytes is by this key. It says nothing
//! of dates, names, roots, pins or revocation, so it cannot outlive any of them: the path is sought,
//! and everything on it judged, each time anew. A signature that does not hold is never kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::{fmt, mem};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, UnixTime,
};

use super::certificate::sha256;

/// What is remembered by one judge.
#[derive(Default)]
pub(super) struct Memo(Mutex<Generations>);

/// Two halves: when the younger one is full, the older one is forgotten but for what was asked for
/// since.
#[derive(Default)]
struct Generations {
    younger: HashMap<Digest, UnixTime>,
    older: HashMap<Digest, UnixTime>,
}

/// Of an algorithm, a key, a message and a signature.
type Digest = [u8; 32];

impl Memo {
    /// The accepted algorithms, each of which looks into it before it checks a signature.
    pub(super) fn before(
        &self,
        accepted: WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Vec<Remembering<'_>> {
        let remembering = |algorithm: &&'static _| Remembering {
            algorithm: *algorithm,
            memo: self,
            now,
        };
        accepted.all.iter().map(remembering).collect()
    }

    /// Whether it was found, not long before `now`, that the signature of this digest holds.
    fn has(&self, digest: &Digest, now: UnixTime) -> bool {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = generations.find(digest) else {
            return false;
        };
        // Of a clock that was set back we know nothing.
        let age = now.as_secs().checked_sub(since.as_secs());
        age.is_some_and(|age| age <= MAX_AGE_SECONDS)
    }

    fn keep(&self, digest: Digest, now: UnixTime) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(digest, now);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.0.lock().unwrap();
        generations.younger.len() + generations.older.len()
    }
}

impl Generations {
    fn find(&mut self, digest: &Digest) -> Option<UnixTime> {
        if let Some(since) = self.younger.get(digest) {
            return Some(*since);
        }
        let since = self.older.remove(digest)?;
        self.insert(*digest, since);
        Some(since)
    }

    fn insert(&mut self, digest: Digest, since: UnixTime) {
        if self.younger.len() >= MAX_REMEMBERED / 2 {
            self.older = mem::take(&mut self.younger);
        }
        self.younger.insert(digest, since);
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

/// A signature algorithm that looks into the memo first.
#[derive(Debug)]
pub(super) struct Remembering<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    memo: &'a Memo,
    now: UnixTime,
}

impl Remembering<'_> {
    fn digest(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Digest {
        let (key_kind, signature_kind) = (self.public_key_alg_id(), self.signature_alg_id());
        let parts = [&key_kind, &signature_kind, public_key, signature, message];
        let lengths = parts.map(|part| part.len().to_be_bytes());
        sha256(&[lengths.as_flattened(), &parts.concat()].concat())
    }
}

impl SignatureVerificationAlgorithm for Remembering<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let digest = self.digest(public_key, message, signature);
        if self.memo.has(&digest, self.now) {
            return Ok(());
        }
        self.algorithm
            .verify_signature(public_key, message, signature)?;
        self.memo.keep(digest, self.now);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

/// A path has two to four signatures, most of them shared by all hosts of a CA: enough for some
/// hundred hosts, in 10 KiB.
const MAX_REMEMBERED: usize = 256;

/// A signature that held an hour ago holds now. The bound is against what is not mathematics: a bit
/// that flipped in memory is not believed for as long as the process lives.
const MAX_AGE_SECONDS: u64 = 60 * 60;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    #[test]
    fn what_held_is_not_checked_again_and_all_else_is() {
        let (memo, algorithm) = (Memo::default(), Counting::new(alg_id::ED25519));
        let other = Counting::new(alg_id::ECDSA_P256);
        let check = |algorithm: &'static Counting, key: &str, message: &str, signature: &str| {
            let before = algorithm.checks();
            let [key, message, signature] = [key, message, signature].map(str::as_bytes);
            let remembering = algorithm.with(&memo, 1_000);
            let held = remembering
                .verify_signature(key, message, signature)
                .is_ok();
            (held, algorithm.checks() - before)
        };
        assert_eq!(check(algorithm, "key", "goodmessage", "good"), (true, 1));
        assert_eq!(check(algorithm, "key", "goodmessage", "good"), (true, 0));
        for (key, message, signature) in [
            ("kez", "goodmessage", "good"),
            ("key", "goodmessagf", "good"),
            // The same bytes, cut elsewhere.
            ("keygood", "message", "good"),
        ] {
            assert_eq!(
                check(algorithm, key, message, signature),
                (true, 1),
                "{key} {message}"
            );
        }
        assert_eq!(check(other, "key", "goodmessage", "good"), (true, 1));
        // What does not hold is checked, and refused, as often as it comes.
        for _ in 0..3 {
            assert_eq!(check(algorithm, "key", "message", "bad"), (false, 1));
            assert_eq!(check(algorithm, "other", "message", "bad"), (false, 1));
        }
        assert_eq!(check(algorithm, "key", "goodmessage", "good"), (true, 0));
    }

    #[test]
    fn nothing_is_believed_for_long_or_by_a_clock_that_was_set_back() {
        for (later, checks) in [(0, 0), (3_600, 0), (3_601, 1), (-1, 1), (1_i64 << 40, 1)] {
            let (memo, algorithm) = (Memo::default(), Counting::new(alg_id::ED25519));
            for moment in [1_000_000, (1_000_000 + later) as u64] {
                let remembering = algorithm.with(&memo, moment);
                remembering
                    .verify_signature(b"key", b"message", b"good")
                    .unwrap();
            }
            assert_eq!(algorithm.checks(), 1 + checks, "{later}");
        }
    }

    /// To be asked for does not make it younger.
    #[test]
    fn it_is_checked_again_after_an_hour_however_often_it_is_used() {
        let (memo, algorithm) = (Memo::default(), Counting::new(alg_id::ED25519));
        for minute in 0..=61 {
            let remembering = algorithm.with(&memo, minute * 60);
            remembering
                .verify_signature(b"key", b"message", b"good")
                .unwrap();
        }
        assert_eq!(algorithm.checks(), 2);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_in_use() {
        let (memo, algorithm) = (Memo::default(), Counting::new(alg_id::ED25519));
        let remembering = algorithm.with(&memo, 1_000);
        let check = |message: &[u8]| {
            remembering
                .verify_signature(b"key", message, b"good")
                .unwrap();
        };
        let strangers = 10_000_u32;
        for i in 0..strangers {
            check(b"the CA that all have in common");
            check(&i.to_be_bytes());
            assert!(memo.len() <= MAX_REMEMBERED);
        }
        assert_eq!(algorithm.checks(), 1 + strangers as usize);
    }

    /// By which `good` is a good signature of everything.
    #[derive(Debug)]
    struct Counting {
        id: AlgorithmIdentifier,
        checks: AtomicUsize,
    }

    impl Counting {
        fn new(id: AlgorithmIdentifier) -> &'static Self {
            Box::leak(Box::new(Self {
                id,
                checks: AtomicUsize::new(0),
            }))
        }

        fn checks(&self) -> usize {
            self.checks.load(Ordering::Relaxed)
        }

        fn with<'a>(&'static self, memo: &'a Memo, seconds: u64) -> Remembering<'a> {
            Remembering {
                algorithm: self,
                memo,
                now: UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
            }
        }
    }

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(
            &self,
            _: &[u8],
            _: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            self.checks.fetch_add(1, Ordering::Relaxed);
            (signature == b"good").then_some(()).ok_or(InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            self.id
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            self.id
        }
    }
}
