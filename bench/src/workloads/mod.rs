//! The workloads, as data: what each is called, and what measures it.

mod body;
mod build;
mod fresh;
mod held;
mod rate;
mod warm;

use crate::Result;
use crate::bench::Bench;
use crate::clients::Name;
use crate::table::figure;

/// Something that can be run by itself.
pub struct Part {
    pub name: &'static str,
    pub about: &'static str,
    /// The tools without which it is left out.
    pub needs: &'static [&'static str],
    pub run: fn(&Bench) -> Result<Section>,
}

pub const PARTS: [Part; 10] = [
    Part {
        name: "warm",
        about: "user instructions, allocations and system calls of a warm request",
        needs: &["nginx", "valgrind", "strace"],
        run: warm::run,
    },
    Part {
        name: "http1",
        about: "small responses over HTTP/1.1, 64 at once and one at a time",
        needs: &["nginx"],
        run: rate::http1,
    },
    Part {
        name: "http2",
        about: "the same over one HTTP/2 connection",
        needs: &["nginx"],
        run: rate::http2,
    },
    Part {
        name: "full",
        about: "a new connection each by name, with a full handshake",
        needs: &["nginx"],
        run: rate::full,
    },
    Part {
        name: "hybrid",
        about: "the same with X25519MLKEM768",
        needs: &[],
        run: rate::hybrid,
    },
    Part {
        name: "resumed",
        about: "a new connection each, its session resumed",
        needs: &["nginx"],
        run: rate::resumed,
    },
    Part {
        name: "body",
        about: "a body of 512 MiB over HTTP/1.1 and HTTP/2",
        needs: &["nginx", "strace"],
        run: body::run,
    },
    Part {
        name: "held",
        about: "memory of 1,000 requests in flight",
        needs: &["nginx"],
        run: held::run,
    },
    Part {
        name: "fresh",
        about: "a fresh process to its first response, with native roots",
        needs: &["nginx"],
        run: fresh::run,
    },
    Part {
        name: "build",
        about: "crates in the tree, and a clean release build",
        needs: &[],
        run: build::run,
    },
];

/// What a part found: its own tables, and its lines in the first table of all.
pub struct Section {
    pub title: &'static str,
    pub text: String,
    pub lines: Vec<Line>,
}

/// A workload in the first table.
pub struct Line {
    pub workload: String,
    /// The value of a client, and how it is written.
    pub cells: Vec<(Name, f64, String)>,
    pub goal: Option<Goal>,
}

/// What was asked of urlfetch.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Line {
    /// A line that is judged by the value of this row.
    pub fn new(
        workload: impl Into<String>,
        goal: Option<Goal>,
        cells: impl IntoIterator<Item = (Name, Option<f64>)>,
        written: fn(f64) -> String,
    ) -> Self {
        let cells = cells.into_iter();
        let cells = cells.filter_map(|(name, value)| Some((name, value?, written(value?))));
        Self {
            workload: workload.into(),
            cells: cells.collect(),
            goal,
        }
    }

    /// What stands in the column of a client.
    pub fn cell(&self, name: Name) -> String {
        let found = self.cells.iter().find(|(of, ..)| *of == name);
        found
            .map(|(_, _, written)| written.clone())
            .unwrap_or_default()
    }

    pub fn goal_shown(&self) -> String {
        match self.goal {
            Some(Goal::AtMost(most)) => format!("≤ {}", figure(most)),
            Some(Goal::AtLeast(least)) => format!("≥ {}", figure(least)),
            None => String::new(),
        }
    }

    /// Nothing if there is no goal, or urlfetch was not measured.
    pub fn met(&self) -> &'static str {
        let ours = self.cells.iter().find(|(of, ..)| *of == Name::Urlfetch);
        let (Some(goal), Some((_, value, _))) = (self.goal, ours) else {
            return "";
        };
        let met = match goal {
            Goal::AtMost(most) => *value <= most,
            Goal::AtLeast(least) => *value >= least,
        };
        if met { "met" } else { "**not met**" }
    }
}
