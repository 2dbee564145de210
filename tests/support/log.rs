//! A subscriber that keeps all it is told, at every level and from every crate.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// What this thread logs, for as long as the guard lives.
#[derive(Clone)]
pub(crate) struct Log {
    at_most: Level,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    records: Vec<Record>,
    /// The spans that are entered, the innermost last.
    entered: Vec<usize>,
}

/// A span or an event.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) is_span: bool,
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    /// A span's name, or an event's message.
    pub(crate) name: String,
    /// Where the span it is in stands among the records.
    pub(crate) parent: Option<usize>,
    /// The fields that have a value, as text.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Record {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Log {
    pub(crate) fn capture(at_most: Level) -> (Self, DefaultGuard) {
        let log = Self {
            at_most,
            kept: Arc::default(),
        };
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// What our own crate said.
    pub(crate) fn ours(&self) -> Vec<Record> {
        let mut records = self.all();
        records.retain(|record| record.target.starts_with("urlfetch"));
        records
    }

    /// What anybody said.
    pub(crate) fn all(&self) -> Vec<Record> {
        self.kept().records.clone()
    }

    /// Everything as one text.
    pub(crate) fn text(&self) -> String {
        self.all().iter().fold(String::new(), |mut text, record| {
            writeln!(text, "{record:?}").unwrap();
            text
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn keep(&self, metadata: &Metadata<'static>, parent: Option<usize>) -> (usize, Fields) {
        let mut kept = self.kept();
        let parent = parent.or_else(|| kept.entered.last().copied());
        kept.records.push(Record {
            is_span: metadata.is_span(),
            level: *metadata.level(),
            target: metadata.target(),
            name: metadata.name().to_owned(),
            parent,
            fields: Vec::new(),
        });
        (kept.records.len() - 1, Fields::default())
    }

    fn fill(&self, at: usize, fields: Fields) {
        let mut kept = self.kept();
        let record = kept.records.get_mut(at).unwrap();
        for (name, value) in fields.0 {
            match name {
                "message" => record.name = value,
                _ => record.fields.push((name, value)),
            }
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.at_most
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let (at, mut fields) = self.keep(span.metadata(), span.parent().map(index));
        span.record(&mut fields);
        self.fill(at, fields);
        Id::from_u64(at as u64 + 1)
    }

    fn record(&self, span: &Id, values: &Values<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.fill(index(span), fields);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let (at, mut fields) = self.keep(event.metadata(), event.parent().map(index));
        event.record(&mut fields);
        self.fill(at, fields);
    }

    fn enter(&self, span: &Id) {
        self.kept().entered.push(index(span));
    }

    fn exit(&self, span: &Id) {
        let mut kept = self.kept();
        let at = kept.entered.iter().rposition(|&at| at == index(span));
        at.map(|at| kept.entered.remove(at));
    }
}

fn index(span: &Id) -> usize {
    span.into_u64() as usize - 1
}

#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }
}
