//! Contenders that take turns, and what their times say.

use std::fmt;
use std::time::Instant;

/// The microseconds that each contender takes.
pub(crate) struct Times(Vec<f64>);

/// Lets each contender have its turn in every round, so that a machine that is busy for a while
/// slows all of them.
pub(crate) fn interleaved<const N: usize>(contenders: [&dyn Fn(); N]) -> [Times; N] {
    let mut times = contenders.map(|_| Times(Vec::with_capacity(ROUNDS)));
    // What is found and filled at first use is not to be measured.
    contenders.iter().for_each(|contender| contender());
    for _ in 0..ROUNDS {
        for (times, contender) in times.iter_mut().zip(contenders) {
            let begun = Instant::now();
            for _ in 0..TURN {
                contender();
            }
            times
                .0
                .push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TURN));
        }
    }
    times
}

impl Times {
    pub(crate) fn shown(&self) -> String {
        Spread::of(self.0.clone(), 1).to_string()
    }

    /// How many times as long as the other's, of the same round.
    pub(crate) fn to(&self, other: &Self) -> String {
        let ratios = self.0.iter().zip(&other.0).map(|(time, to)| time / to);
        Spread::of(ratios.collect(), 2).to_string()
    }
}

/// A median, and between what the middle half lies: the rest is what else the machine did.
struct Spread {
    sorted: Vec<f64>,
    digits: usize,
}

impl Spread {
    fn of(mut values: Vec<f64>, digits: usize) -> Self {
        values.sort_by(f64::total_cmp);
        Self {
            sorted: values,
            digits,
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sorted, digits) = (&self.sorted, self.digits);
        let [least, median, most] = [1, 2, 3].map(|quarter| {
            let at = (sorted.len() - 1) * quarter / 4;
            sorted.get(at).copied().unwrap_or_default()
        });
        write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

const ROUNDS: usize = 301;
/// How often a contender is called in its turn: few enough for the machine to be the same in the
/// turns of a round.
const TURN: u32 = 4;
