//! May a request that failed be sent again without asking? Once, and only if the server cannot
//! have acted on it, or acting twice is the same (RFC 9110 §9.2.2, RFC 9113 §8.7).

/// How a request failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// The request was given back with its payload: none of it was written.
    pub(crate) handed_back: bool,
    /// h2 says that the stream was not processed: REFUSED_STREAM, or a GOAWAY below it, whatever
    /// its code. Or none of it was written to an HTTP/1.1 connection.
    pub(crate) unprocessed: bool,
    /// The connection had served a request before: its server may have closed it as idle.
    pub(crate) reused: bool,
    /// A byte came back after the request was sent.
    pub(crate) answered: bool,
}

impl Circumstances {
    /// `idempotent` says it of the method; `repeatable`, that the payload can be sent again.
    pub(crate) fn allow_replay(self, idempotent: bool, repeatable: bool) -> bool {
        if self.handed_back {
            return true;
        }
        let was_lost = self.reused && !self.answered;
        repeatable && (self.unprocessed || (idempotent && was_lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_is_needed() {
        let handed_back = Circumstances {
            handed_back: true,
            ..Default::default()
        };
        let unprocessed = Circumstances {
            unprocessed: true,
            answered: true,
            ..Default::default()
        };
        let stale = Circumstances {
            reused: true,
            ..Default::default()
        };
        let fresh = Circumstances::default();
        let answered = Circumstances {
            answered: true,
            ..stale
        };
        // (how it failed, idempotent, repeatable, may be replayed)
        let rows = [
            (handed_back, false, false, true),
            (unprocessed, false, true, true),
            (unprocessed, true, false, false),
            (stale, true, true, true),
            (stale, false, true, false),
            (stale, true, false, false),
            (fresh, true, true, false),
            (answered, true, true, false),
        ];
        for (how, idempotent, repeatable, expected) in rows {
            assert_eq!(
                how.allow_replay(idempotent, repeatable),
                expected,
                "{how:?}"
            );
        }
    }
}
