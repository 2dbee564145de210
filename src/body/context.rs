//! Where a body came from.

use std::sync::Arc;

use url::Url;

use super::content::Content;
use super::limit::too_large;
use crate::connect::Facts;
use crate::error::Error;
use crate::target::Target;
use crate::timings::Phase;
use crate::trace;

/// What a body's errors are told of where it came from.
#[derive(Clone)]
pub(crate) struct BodyContext {
    target: Target,
    facts: Arc<Facts>,
}

impl BodyContext {
    pub(super) fn new(target: Target, facts: Arc<Facts>) -> Self {
        Self { target, facts }
    }

    pub(super) fn url(&self) -> &Url {
        self.target.url()
    }

    pub(super) fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    pub(crate) fn complete(&self, error: Error) -> Error {
        error
            .with_url(self.target.url())
            .with_verdict(self.facts.shared_verdict())
            .with_phase(Phase::Body)
            .sent(true)
    }

    /// What is told of a body that was truncated, where that is not allowed after all.
    pub(crate) fn too_large(&self, cut: &Content) -> Error {
        let error = self.complete(too_large(cut.bytes.len() as u64));
        let error = error.with_timings(cut.timings);
        trace::body_failed(self.target.url(), &error);
        error
    }
}
