//! What the system's resolver answered a moment ago: connections that are opened one after the other
//! do not ask it anew, which is a file or a name server each time, and a thread that waits for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits;

/// Answers, each for [`limits::ANSWER_AGE`]; only the last [`limits::ANSWERS`] of them.
///
/// All are good for as long, so they stand in the order in which they end.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<VecDeque<Answer>>);

#[derive(Debug)]
struct Answer {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
    since: Instant,
}

impl Answers {
    pub(super) fn get(&self, host: &str, port: u16, now: Instant) -> Option<Vec<SocketAddr>> {
        let answers = self.young(now);
        let known = answers.iter().find(|answer| answer.is_for(host, port));
        known.map(|answer| answer.addresses.clone())
    }

    /// What a host's answer is from now on.
    pub(super) fn keep(&self, host: &str, port: u16, addresses: &[SocketAddr], now: Instant) {
        let mut answers = self.young(now);
        answers.retain(|answer| !answer.is_for(host, port));
        if answers.len() == limits::ANSWERS {
            answers.pop_front();
        }
        answers.push_back(Answer {
            host: host.to_owned(),
            port,
            addresses: addresses.to_vec(),
            since: now,
        });
    }

    /// A host's answer led nowhere.
    pub(super) fn forget(&self, host: &str, port: u16) {
        self.lock().retain(|answer| !answer.is_for(host, port));
    }

    /// Without those whose time is up.
    fn young(&self, now: Instant) -> MutexGuard<'_, VecDeque<Answer>> {
        let mut answers = self.lock();
        let is_old =
            |answer: &Answer| now.saturating_duration_since(answer.since) >= limits::ANSWER_AGE;
        while answers.front().is_some_and(is_old) {
            answers.pop_front();
        }
        answers
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn is_for(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host == host
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
            ("a.test", 443, 0, known.clone()),
            // Another name, if there are domains to search (resolv.conf(5)).
            ("a.test.", 443, 0, None),
            ("a.test", 444, 0, None),
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
