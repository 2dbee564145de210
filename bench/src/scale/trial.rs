//! One figure at one size, taken in a process of its own.

use std::process::{Command, Output};

use super::growth::{Growth, Unit};
use super::meter::{COUNTED, Meter};
use super::world::World;

/// Starts the processes.
pub(crate) struct Trials<'a> {
    world: &'a World,
}

/// The word by which this program knows that it is one of them.
pub(crate) const ONE: &str = "one";

impl<'a> Trials<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world }
    }

    /// What one row of one growth takes at this size, in all of its rounds' mean.
    pub(crate) fn figure(&self, growth: usize, row: usize, size: usize, unit: Unit) -> f64 {
        eprintln!("scale: growth {growth}, row {row}, {size}");
        let words = [growth, row, size].map(|number| number.to_string());
        if unit == Unit::Instructions {
            return self.instructions(&words);
        }
        let once = || {
            let mut command = Command::new(this_program());
            let told = self.world.tell(&mut command, ONE).args(&words).output();
            let (found, rounds) = told_by(&succeeded(told));
            found / rounds
        };
        // What is large takes long, and is the more certain for it.
        let runs = match unit {
            Unit::Nanoseconds if size < LARGE => 3,
            _ => 1,
        };
        (0..runs).map(|_| once()).fold(f64::INFINITY, f64::min)
    }

    fn instructions(&self, words: &[String]) -> f64 {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(format!("--toggle-collect={COUNTED}"));
        command.arg(this_program());
        let told = succeeded(self.world.tell(&mut command, ONE).args(words).output());
        let (_, rounds) = told_by(&told);
        let log = String::from_utf8_lossy(&told.stderr);
        let collected = log
            .split("Collected : ")
            .nth(1)
            .and_then(|it| it.split_whitespace().next());
        let counted: f64 = collected
            .and_then(|it| it.parse().ok())
            .expect("callgrind's sum");
        assert!(counted > 0.0, "callgrind did not find {COUNTED}");
        counted / rounds
    }
}

/// A size at which times are taken once.
const LARGE: usize = 10_000;

/// Is one of them.
pub(crate) fn run(growths: &[Growth], words: &[String]) {
    let (world, words) = World::told(words);
    let numbers: Vec<usize> = words
        .iter()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [growth, row, size] = numbers[..] else {
        panic!("which growth, which row and which size?");
    };
    let meter = Meter::default();
    (growths[growth].rows[row].work)(&meter, &world, size);
    println!("{}", meter.told());
    // What is still open goes with the process, and need not be closed one by one.
    std::process::exit(0);
}

fn told_by(output: &Output) -> (f64, f64) {
    let told = String::from_utf8_lossy(&output.stdout);
    let mut numbers = told.split_whitespace().map(|word| word.parse::<f64>());
    let mut next = || numbers.next().and_then(Result::ok).expect("what was found");
    (next(), next())
}

fn succeeded(output: std::io::Result<Output>) -> Output {
    let output = output.expect("the program, and valgrind, can be run");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a trial failed: {log}");
    output
}

fn this_program() -> String {
    let path = std::env::current_exe().expect("a path");
    path.into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}
