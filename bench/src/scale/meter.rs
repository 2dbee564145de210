//! What one process measures of itself.

use std::cell::Cell;
use std::fs;

use crate::usage::Cpu;

/// What is found in one process, until it is told to whoever started it.
#[derive(Default)]
pub(crate) struct Meter {
    /// The processor's time, or what memory grew by.
    found: Cell<f64>,
    /// How often the same was done.
    rounds: Cell<usize>,
}

impl Meter {
    /// Measures what `work` takes of the processor. It does the same so many times.
    pub(crate) fn count(&self, rounds: usize, mut work: impl FnMut()) {
        let before = processor_time();
        counted(&mut work);
        self.found.set(processor_time() - before);
        self.rounds.set(rounds);
    }

    /// Takes down what memory has grown by since there were `before` bytes.
    pub(crate) fn grew(&self, before: usize) {
        self.found.set(resident().saturating_sub(before) as f64);
        self.rounds.set(1);
    }

    /// What was found, and in how many rounds.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.found.get(), self.rounds.get())
    }
}

/// Callgrind counts from where this is entered until it is left: see [`COUNTED`].
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(());
}

/// The name by which callgrind knows it.
pub(crate) const COUNTED: &str = "*scale::meter::counted*";

/// The bytes of this process that are in memory and are its own.
pub(crate) fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("a Linux");
    let mut pages = pages.split(' ').skip(1).map(|pages| pages.parse::<usize>());
    let mut next = || {
        pages
            .next()
            .and_then(Result::ok)
            .expect("a number of pages")
    };
    let (resident, shared) = (next(), next());
    (resident - shared) * PAGE
}

/// The nanoseconds for which the threads of this process have run.
fn processor_time() -> f64 {
    let cpu = Cpu::own().expect("a Unix");
    cpu.sum().as_nanos() as f64
}

const PAGE: usize = 4096;
