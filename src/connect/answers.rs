//! What the system's resolver answered a moment ago: connections that are opened one after the other
//! do not ask it anew, which is a file or a name server each time, and a thread that waits for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits;

/// Answers, each for [`limits::ANSWER_AGE`]; only the last [`limits::ANSWERS`] of them.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<VecDeque<Answer>>);

#[derive(Debug)]
struct Answer {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
    asked: Instant,
}

impl Answers {
    pub(super) fn get(&self, host: &str, port: u16, now: Instant) -> Option<Vec<SocketAddr>> {
        let mut answers = self.lock();
        answers.retain(|answer| answer.is_young(now));
        let known = answers.iter().find(|answer| answer.is_for(host, port));
        known.map(|answer| answer.addresses.clone())
    }

    /// What the answer is for a host that was asked for at that time, unless there is one that was
    /// asked for later: what took its time to come may have been true when the question came in.
    pub(super) fn keep(&self, host: &str, port: u16, addresses: &[SocketAddr], asked: Instant) {
        let mut answers = self.lock();
        let is_newer = |answer: &Answer| answer.is_for(host, port) && answer.asked > asked;
        if answers.iter().any(is_newer) {
            return;
        }
        answers.retain(|answer| !answer.is_for(host, port));
        if answers.len() == limits::ANSWERS {
            answers.pop_front();
        }
        answers.push_back(Answer {
            host: host.to_owned(),
            port,
            addresses: addresses.to_vec(),
            asked,
        });
    }

    /// A host's answer led nowhere.
    pub(super) fn forget(&self, host: &str, port: u16) {
        self.lock().retain(|answer| !answer.is_for(host, port));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn is_for(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host == host
    }

    /// From the question, as what lay on the way for a while is no younger for it. What is yet to
    /// be asked for by this clock was by another: runtimes may have one each, that is wound by hand.
    fn is_young(&self, now: Instant) -> bool {
        let age = now.checked_duration_since(self.asked);
        age.is_some_and(|age| age < limits::ANSWER_AGE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_is_good_for_its_time_and_its_host_and_port() {
        let answers = Answers::default();
        let then = Instant::now();
        let after = |millis| then + Duration::from_millis(millis);
        let [first, second] = ["192.0.2.1:443", "192.0.2.2:443"]
            .map(|address| address.parse::<SocketAddr>().unwrap());
        answers.keep("a.test", 443, &[first, second], then);
        answers.keep("b.test", 443, &[second], after(400));
        let known = Some(vec![first, second]);
        for (host, port, at, expected) in [
            ("a.test", 443, 400, known.clone()),
            // Another name, if there are domains to search (resolv.conf(5)).
            ("a.test.", 443, 400, None),
            ("a.test", 444, 400, None),
            ("b.test", 443, 999, Some(vec![second])),
            ("a.test", 443, 999, known),
            ("a.test", 443, 1_000, None),
            ("b.test", 443, 1_399, Some(vec![second])),
            ("b.test", 443, 1_400, None),
        ] {
            assert_eq!(
                answers.get(host, port, after(at)),
                expected,
                "{host}:{port} at {at}"
            );
        }
        assert!(answers.lock().is_empty());
    }

    #[test]
    fn a_new_answer_stands_for_the_old_one_and_what_is_forgotten_is_gone() {
        let answers = Answers::default();
        let then = Instant::now();
        let address = |last| SocketAddr::from(([192, 0, 2, last], 443));
        answers.keep("a.test", 443, &[address(1)], then);
        answers.keep("b.test", 443, &[address(2)], then);
        let later = then + limits::ANSWER_AGE / 2;
        answers.keep("a.test", 443, &[address(3)], later);
        assert_eq!(answers.lock().len(), 2);
        assert_eq!(answers.get("a.test", 443, later), Some(vec![address(3)]));
        // One that was asked for before, and came later.
        answers.keep("a.test", 443, &[address(1)], then);
        assert_eq!(answers.get("a.test", 443, later), Some(vec![address(3)]));
        // Its time begins with it, and it is the other's that ends first.
        let end = then + limits::ANSWER_AGE;
        assert_eq!(answers.get("b.test", 443, end), None);
        assert_eq!(answers.get("a.test", 443, end), Some(vec![address(3)]));
        answers.forget("a.test", 444);
        assert!(answers.get("a.test", 443, end).is_some());
        answers.forget("a.test", 443);
        assert_eq!(answers.get("a.test", 443, end), None);
    }

    #[test]
    fn an_answer_ends_whatever_stands_before_it() {
        let address = SocketAddr::from(([192, 0, 2, 1], 443));
        let then = Instant::now();
        // Asked for a little later, and by a clock that was wound on.
        for ahead in [Duration::from_millis(400), Duration::from_secs(3_600)] {
            let answers = Answers::default();
            answers.keep("ahead.test", 443, &[address], then + ahead);
            answers.keep("a.test", 443, &[address], then);
            let end = then + limits::ANSWER_AGE;
            assert_eq!(answers.get("a.test", 443, end), None, "{ahead:?}");
            let is_known = answers.get("ahead.test", 443, end).is_some();
            assert_eq!(is_known, ahead < limits::ANSWER_AGE, "{ahead:?}");
        }
    }

    #[test]
    fn only_the_last_answers_are_kept() {
        let answers = Answers::default();
        let now = Instant::now();
        let host = |nth: usize| format!("h{nth}.test");
        for nth in 0..=limits::ANSWERS {
            answers.keep(&host(nth), 443, &[], now);
        }
        assert_eq!(answers.lock().len(), limits::ANSWERS);
        assert_eq!(answers.get(&host(0), 443, now), None);
        assert!(answers.get(&host(1), 443, now).is_some());
        assert!(answers.get(&host(limits::ANSWERS), 443, now).is_some());
    }
}
