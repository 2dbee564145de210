//! One thing that grows, and the figures that grow with it.

use super::meter::Meter;
use super::trial::Trials;
use super::world::World;
use crate::table::{self, Table};

/// One table.
pub(crate) struct Growth {
    /// What grows.
    pub(crate) title: &'static str,
    pub(crate) sizes: &'static [usize],
    pub(crate) rows: Vec<Row>,
    /// Makes what its processes are to find, once for each size.
    pub(crate) prepare: fn(&World, usize),
    /// Why it grows as it does, where it is not plain.
    pub(crate) note: &'static str,
}

/// One figure at each size.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    pub(crate) shown: Shown,
    /// The sizes at which it is taken: below them it is noise, above them it takes minutes.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// In a process of its own.
    pub(crate) work: fn(&Meter, &World, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Instructions,
    Nanoseconds,
    Bytes,
}

/// Of what a figure is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Of all that the size counts, together.
    InAll,
    /// Of each of them, one by one.
    Each,
    /// Of one request, or one look, while so many are there.
    One,
    /// Of each of them above what it is at the least size.
    EachMore,
}

impl Growth {
    /// The table. What is prepared for one size is gone with the next.
    pub(crate) fn measured(&self, number: usize, world: &World, trials: &Trials<'_>) -> String {
        let mut totals = vec![Vec::new(); self.rows.len()];
        for size in self.sizes {
            (self.prepare)(world, *size);
            for (index, (row, totals)) in self.rows.iter().zip(&mut totals).enumerate() {
                let is_taken = (row.from..=row.to).contains(size);
                totals.push(is_taken.then(|| trials.figure(number, index, *size, row.unit)));
            }
        }
        let sizes = self.sizes.iter().map(|size| whole(*size));
        let slopes = ["exponent", "at last", "linear"].map(str::to_owned);
        let mut table = Table::new([String::new()].into_iter().chain(sizes).chain(slopes));
        for (row, totals) in self.rows.iter().zip(&totals) {
            table.row(row.printed(self.sizes, totals));
        }
        let note = match self.note {
            "" => String::new(),
            note => format!("\n{note}\n"),
        };
        format!("\n### {}\n\n{table}{note}", self.title)
    }
}

impl Row {
    pub(crate) const fn new(
        what: &'static str,
        unit: Unit,
        shown: Shown,
        work: fn(&Meter, &World, usize),
    ) -> Self {
        let (from, to) = (0, usize::MAX);
        Self {
            what,
            unit,
            shown,
            from,
            to,
            work,
        }
    }

    pub(crate) const fn from(mut self, size: usize) -> Self {
        self.from = size;
        self
    }

    pub(crate) const fn to(mut self, size: usize) -> Self {
        self.to = size;
        self
    }

    fn printed(&self, sizes: &[usize], totals: &[Option<f64>]) -> Vec<String> {
        let taken = sizes.iter().zip(totals);
        let least = taken
            .clone()
            .find_map(|(size, total)| Some((*size, (*total)?)));
        let mut cells = vec![self.what.to_owned()];
        let mut points = Vec::new();
        for (size, total) in taken {
            let figure = total.and_then(|total| self.shown.figure(*size, total, least?));
            points.extend(figure.map(|figure| (*size as f64, figure)));
            cells.push(figure.map_or_else(String::new, |figure| self.unit.printed(figure)));
        }
        let last = points.len().saturating_sub(2);
        for slope in [slope(&points), slope(&points[last..])] {
            // Zero has no sign.
            let rounded = slope.map(|slope| (slope * 100.0).round() / 100.0 + 0.0);
            cells.push(rounded.map_or_else(String::new, |slope| format!("{slope:.2}")));
        }
        cells.push(String::from(if self.shown == Shown::InAll {
            "1"
        } else {
            "0"
        }));
        cells
    }
}

impl Shown {
    fn figure(self, size: usize, total: f64, (least, at_least): (usize, f64)) -> Option<f64> {
        match self {
            Self::InAll | Self::One => Some(total),
            Self::Each => Some(total / size.max(1) as f64),
            Self::EachMore if size == least => None,
            Self::EachMore => Some((total - at_least) / (size - least) as f64),
        }
    }
}

impl Unit {
    fn printed(self, figure: f64) -> String {
        let (figure, unit) = match self {
            Self::Instructions => (figure, ""),
            Self::Nanoseconds if figure >= 1e7 => (figure / 1e6, " ms"),
            Self::Nanoseconds if figure >= 1e3 => (figure / 1e3, " µs"),
            Self::Nanoseconds => (figure, " ns"),
            Self::Bytes if figure >= 1e7 => (figure / f64::from(1 << 20), " MiB"),
            Self::Bytes if figure >= 1e4 => (figure / f64::from(1 << 10), " KiB"),
            Self::Bytes => (figure, " B"),
        };
        format!("{}{unit}", table::figure(figure))
    }
}

fn whole(size: usize) -> String {
    match size {
        0..100 => size.to_string(),
        _ => table::figure(size as f64),
    }
}

/// The slope of the logarithm over that of the size, by least squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let logs = points
        .iter()
        .filter(|(size, figure)| *size > 0.0 && *figure > 0.0);
    let logs: Vec<_> = logs
        .map(|(size, figure)| (size.ln(), figure.ln()))
        .collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let along: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    let across: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
    (logs.len() > 1 && across > 0.0).then_some(along / across)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponent_is_that_of_a_power() {
        let of = |power: f64| {
            let points = [1.0_f64, 10.0, 100.0, 1e6].map(|n| (n, 7.0 * n.powf(power)));
            slope(&points).unwrap()
        };
        for power in [0.0, 0.5, 1.0, 2.0] {
            assert!((of(power) - power).abs() < 1e-9, "{power}");
        }
        assert_eq!(slope(&[(1.0, 1.0)]), None);
        assert_eq!(slope(&[(0.0, 1.0), (10.0, 1.0)]), None);
    }
}
