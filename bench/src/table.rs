//! Tables of Markdown, and how figures are written in them.

use std::fmt::{self, Display, Formatter};

/// A table whose first column is words, and the others figures.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        let figures = self.head.len().saturating_sub(1);
        writeln!(f, "|---|{}", "--:|".repeat(figures))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// Repeated measurements of one thing.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` if nothing was measured.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[half - 1], sorted[half]),
            _ => sorted[half],
        };
        Some(Self {
            median,
            least,
            most,
        })
    }

    /// The range, as `min–max`.
    pub fn range(&self) -> String {
        format!("{}–{}", figure(self.least), figure(self.most))
    }
}

/// Three digits that tell, and all digits of what is 1,000 or more, by thousands.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    let places = match size {
        _ if size >= 99.95 || size == 0.0 => 0,
        _ if size >= 9.995 => 1,
        _ => 2,
    };
    let plain = format!("{size:.places$}");
    let whole = plain.find('.').unwrap_or(plain.len());
    let mut written = String::new();
    for (place, digit) in plain.char_indices() {
        if place > 0 && place < whole && (whole - place) % 3 == 0 {
            written.push(',');
        }
        written.push(digit);
    }
    if value < 0.0 {
        format!("−{written}")
    } else {
        written
    }
}

/// A ratio, to the hundredth.
pub fn ratio(value: f64) -> String {
    format!("{value:.2}")
}
