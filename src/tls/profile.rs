//! The profile of certificates: what RFC 5280 and the Baseline Requirements of the CA/Browser Forum
//! ("BR", version 2) demand, and webpki does not look at. A table of rules, and who is held to
//! which.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use rustls::pki_types::UnixTime;

use super::certificate::Certificate;
use super::path::Path;
use super::reason::{Code, Reason};
use super::shown::date;
use reading::{Place, Reading};

mod anchors;
mod authorities;
mod constraints;
mod extensions;
mod fields;
mod forms;
mod key_ids;
mod keys;
mod lifetime;
mod names;
mod punycode;
mod purposes;
mod reading;
mod syntax;

/// One rule of the profile.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// A stable kebab-case word.
    pub id: &'static str,
    /// What it demands.
    pub demands: &'static str,
    /// The document that says so, and where.
    pub source: &'static str,
    /// Who is held to it.
    pub level: Level,
    /// Why they are.
    pub why: &'static str,
    /// What its breach goes by.
    code: Code,
    check: Check,
}

impl Rule {
    /// The rule of this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        Self::all().iter().find(|rule| rule.id == id)
    }

    /// The whole table.
    pub fn all() -> &'static [Self] {
        static TABLE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
            [
                fields::RULES,
                keys::RULES,
                extensions::RULES,
                key_ids::RULES,
                anchors::RULES,
                authorities::RULES,
                constraints::RULES,
                names::RULES,
                purposes::RULES,
                lifetime::RULES,
            ]
            .concat()
        });
        &TABLE
    }

    fn reason(&self, of: &Reading<'_>, broken: &str, now: Option<UnixTime>) -> Reason {
        let reason = Reason::new(self.code, format!("{} {broken}; {self}", of.whose()));
        match (self.level, now) {
            (Level::Strict, _) => reason.with_hint(format!(
                "the strict policy alone demands it: for a CA that cannot keep it, Policy::waive \
                 takes the rule {} out",
                self.id
            )),
            (Level::Default, Some(now)) => reason.with_hint(format!(
                "renew the list of roots; if the date is right, look at this machine's clock, \
                 which says {}",
                date(now)
            )),
            (Level::Default, None) => reason,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.demands, self.id, self.source)
    }
}

/// Who is held to a [`Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Everybody.
    Default,
    /// Who is judged by [`Policy::strict`](super::Policy::strict).
    Strict,
}

/// What a check found: what is wrong, with its values, to follow "the certificate" in a sentence.
type Broken = Option<String>;

/// Which certificates a rule is about, and the function that looks at them.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// The leaf.
    Leaf(fn(&Reading<'_>) -> Broken),
    /// The same, with the host that it stands for.
    LeafFor(fn(&Reading<'_>, &str) -> Broken),
    /// Every certificate, the root included.
    Every(fn(&Reading<'_>) -> Broken),
    /// Every CA: what issued another certificate of the path, the root included.
    Authority(fn(&Reading<'_>) -> Broken),
    /// The CAs below the root.
    Intermediate(fn(&Reading<'_>) -> Broken),
    /// The root, where it issued another certificate.
    Anchor(fn(&Reading<'_>) -> Broken),
    /// The same, with the moment that it is judged for.
    AnchorAt(fn(&Reading<'_>, UnixTime) -> Broken),
    /// The same, with the path that ends in it.
    AnchorOf(fn(&Reading<'_>, &Path) -> Broken),
    /// Every certificate with its issuer's, which the root has not.
    Link(fn(&Reading<'_>, Option<&Reading<'_>>) -> Broken),
}

/// Which rules a policy holds its peers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    level: Level,
    waived: BTreeSet<&'static str>,
}

impl Profile {
    pub(super) fn of(level: Level) -> Self {
        Self {
            level,
            waived: BTreeSet::new(),
        }
    }

    /// Takes one strict rule out. The default's stay.
    pub(super) fn waive(&mut self, rule: &'static Rule) {
        if self.level == Level::Strict && rule.level == Level::Strict {
            self.waived.insert(rule.id);
        }
    }

    /// What is wrong with the leaf that stands for a host.
    pub(super) fn judge_leaf(&self, leaf: &Certificate, host: &str) -> Vec<Reason> {
        let claims = lifetime::claims_public_trust(leaf);
        let leaf = Reading::of(leaf, Place::Leaf, claims);
        let broken = |rule: &Rule| {
            let broken = match rule.check {
                Check::Leaf(check) | Check::Every(check) => check(&leaf),
                Check::LeafFor(check) => check(&leaf, host),
                _ => None,
            };
            Some(rule.reason(&leaf, &broken?, None))
        };
        self.rules().filter_map(broken).collect()
    }

    /// What is wrong with the CAs of a path, or with how its certificates fit together.
    pub(super) fn judge_path(&self, path: &Path, now: UnixTime) -> Vec<Reason> {
        // A leaf that is itself among the roots is judged as a leaf.
        let (Some(leaf), true) = (path.certificates.first(), path.links().next().is_some()) else {
            return Vec::new();
        };
        let claims = lifetime::claims_public_trust(leaf);
        let places = [Place::Leaf]
            .into_iter()
            .chain(path.intermediates().iter().map(|_| Place::Intermediate));
        let mut readings: Vec<_> = path
            .certificates
            .iter()
            .zip(places)
            .map(|(certificate, place)| Reading::of(certificate, place, claims))
            .collect();
        readings.push(Reading::of(
            path.anchor.certificate(),
            Place::Anchor,
            claims,
        ));

        let mut reasons = Vec::new();
        for rule in self.rules() {
            let issuers = readings.iter().skip(1).map(Some).chain([None]);
            for (reading, issuer) in readings.iter().zip(issuers) {
                let (broken, now) = match (rule.check, reading.place) {
                    (Check::Link(check), _) => (check(reading, issuer), None),
                    (_, Place::Leaf) => continue,
                    (Check::Every(check) | Check::Authority(check), _)
                    | (Check::Intermediate(check), Place::Intermediate)
                    | (Check::Anchor(check), Place::Anchor) => (check(reading), None),
                    (Check::AnchorAt(check), Place::Anchor) => (check(reading, now), Some(now)),
                    (Check::AnchorOf(check), Place::Anchor) => (check(reading, path), None),
                    _ => continue,
                };
                reasons.extend(broken.map(|broken| rule.reason(reading, &broken, now)));
            }
        }
        reasons
    }

    fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        Rule::all().iter().filter(|rule| match rule.level {
            Level::Default => true,
            Level::Strict => self.level == Level::Strict && !self.waived.contains(rule.id),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::super::certificate::forge::Forged;
    use super::super::roots::RootStore;
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        let mut ids = HashSet::new();
        for rule in Rule::all() {
            let is_kebab =
                |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(rule.id.split('-').all(is_kebab), "{rule:?}");
            assert!(ids.insert(rule.id), "{} is there twice", rule.id);
            assert!(std::ptr::eq(Rule::find(rule.id).unwrap(), rule));
            for source in rule
                .source
                .split(", ")
                .filter(|source| !source.starts_with(['§', '7']))
            {
                let (document, section) = source.rsplit_once(' ').unwrap_or_default();
                let is_known = document == "BR" || document.starts_with("RFC ");
                let is_listed = source.ends_with("publicsuffix.org");
                assert!(
                    is_listed || is_known && section.contains(|c: char| c.is_ascii_digit()),
                    "{rule:?}"
                );
            }
            for text in [rule.demands, rule.why] {
                assert!(
                    text.len() > 10 && !text.ends_with('.') && !text.contains("  "),
                    "{rule:?}"
                );
            }
        }
        assert!(Rule::find("no-such-rule").is_none());
    }

    #[test]
    fn what_is_waived_is_a_set_of_strict_rules() {
        let [one, other, kept] = ["eku-absent", "serial-length", "root-expired"];
        let of = |level, ids: &[&str]| {
            let mut profile = Profile::of(level);
            ids.iter()
                .for_each(|id| profile.waive(Rule::find(id).unwrap()));
            profile
        };
        let strict = |ids: &[&str]| of(Level::Strict, ids);
        assert_eq!(strict(&[one, other]), strict(&[other, one, other]));
        assert_ne!(strict(&[one]), strict(&[other]));
        assert_eq!(strict(&[kept]), Profile::of(Level::Strict));
        assert_eq!(of(Level::Default, &[one]), Profile::of(Level::Default));
        let has = |profile: &Profile, id| profile.rules().any(|rule| rule.id == id);
        assert!(!has(&strict(&[one, kept]), one) && has(&strict(&[one, kept]), kept));
    }

    #[cfg(feature = "mozilla-roots")]
    #[test]
    fn no_root_of_mozilla_is_refused_by_default() {
        assert!(default_takes(&RootStore::mozilla()) > 100);
    }

    #[test]
    fn no_root_of_the_platform_is_refused_by_default() {
        match RootStore::native() {
            Ok(store) => assert!(default_takes(&store) > 0),
            Err(error) => eprintln!("NOT TESTED, the platform has no roots: {error}"),
        }
    }

    /// How many roots of a store are valid: none of those may break a rule of the default's, and
    /// the others that of their dates alone. Who runs this may trust servers by their own
    /// certificates, which are no CA's.
    fn default_takes(store: &RootStore) -> usize {
        // 2026-06-01.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
        let mut valid = 0;
        for anchor in store.anchors() {
            if !anchor.certificate().is_ca() {
                println!("no CA: {anchor:?}");
                continue;
            }
            let path = Path {
                certificates: vec![Forged::default().certificate()],
                anchor: anchor.clone(),
            };
            let reasons = Profile::of(Level::Default).judge_path(&path, now);
            let is_dated =
                |reason: &Reason| matches!(reason.rank(), Code::Expired | Code::NotYetValid);
            assert!(reasons.iter().all(is_dated), "{reasons:?}");
            valid += usize::from(reasons.is_empty());
        }
        println!("{valid} of {} roots are valid", store.len());
        valid
    }
}
