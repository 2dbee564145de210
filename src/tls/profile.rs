//! The profile of certificates: what RFC 5280 and the Baseline Requirements of the CA/Browser Forum
//! demand, and webpki does not look at. A table of rules, and who is held to which.

use std::fmt;

use rustls::pki_types::UnixTime;

use super::certificate::Certificate;
use super::path::Path;
use super::verdict::Reason;

/// One rule of the profile.
#[derive(Debug)]
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
}

impl Rule {
    /// The rule of this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        Self::all().iter().find(|rule| rule.id == id)
    }

    /// The whole table.
    pub fn all() -> &'static [Self] {
        &[]
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

/// Which rules a policy holds its peers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    level: Level,
    waived: Vec<&'static str>,
}

impl Profile {
    pub(super) fn of(level: Level) -> Self {
        Self {
            level,
            waived: Vec::new(),
        }
    }

    /// Takes one strict rule out. The default's stay.
    pub(super) fn waive(&mut self, rule: &'static Rule) {
        self.waived.push(rule.id);
    }

    /// What is wrong with a leaf by itself.
    pub(super) fn judge_leaf(&self, _leaf: &Certificate) -> Vec<Reason> {
        Vec::new()
    }

    /// What is wrong with the CAs of a path, or with how its certificates fit together.
    pub(super) fn judge_path(&self, _path: &Path, _now: UnixTime) -> Vec<Reason> {
        Vec::new()
    }
}
