//! What is emitted, written down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) level: String,
    pub(crate) target: String,
    /// Those that it has.
    pub(crate) fields: BTreeSet<String>,
    /// Those of them that ever had a value.
    pub(crate) recorded: BTreeSet<String>,
}

/// Notes down every span of the libraries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording(Arc<Mutex<BTreeMap<String, Span>>>);

impl Recording {
    pub(crate) fn spans(&self) -> BTreeMap<String, Span> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, metadata: &tracing::Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) {
        if !metadata.target().starts_with("tidegate") {
            return;
        }
        let mut spans = self.0.lock().unwrap();
        let span = spans.entry(metadata.name().to_owned()).or_default();
        span.level = metadata.level().to_string().to_lowercase();
        metadata.target().clone_into(&mut span.target);
        span.fields.extend(metadata.fields().iter().map(|field| field.name().to_owned()));
        record(&mut Names(&mut span.recorded));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recording {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.note(attributes.metadata(), |names| attributes.record(names));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let metadata = context.span(id).unwrap().metadata();
        self.note(metadata, |names| values.record(names));
    }
}

struct Names<'a>(&'a mut BTreeSet<String>);

impl Visit for Names<'_> {
    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned());
    }
}

/// One line of a page of metrics.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Series {
    pub(crate) fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
        self.name == name && self.labels == labels.collect()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Metric {
    pub(crate) kind: String,
    pub(crate) described: bool,
    pub(crate) labels: BTreeSet<String>,
    values: BTreeSet<(String, String)>,
}

impl Metric {
    pub(crate) fn values<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(of, _)| of == label).map(|(_, value)| value.as_str())
    }
}

/// Every series of a page in the text format of Prometheus.
pub(crate) fn series(page: &str) -> Vec<Series> {
    let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}')?;
        // No value of these tests holds a quote or a comma.
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
            let (label, value) = label.split_once('=')?;
            Some((label.to_owned(), value.trim_matches('"').to_owned()))
        });
        Some(Series {
            name: name.to_owned(),
            labels: labels.collect::<Option<_>>()?,
            value: value.parse().ok()?,
        })
    };
    lines.map(|line| read(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Every metric of the page, with what all its series have.
pub(crate) fn metrics(page: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::<String, Metric>::new();
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        }
        if let Some((name, _)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            metrics.entry(name.to_owned()).or_default().described = true;
        }
    }
    for Series { name, labels, .. } in series(page) {
        let parts = ["_bucket", "_count", "_sum"];
        let of = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(&name);
        let metric = metrics.get_mut(of).unwrap_or_else(|| panic!("{name} has no type"));
        let labels = labels.into_iter().filter(|(label, _)| label != "le");
        for (label, value) in labels {
            metric.labels.insert(label.clone());
            metric.values.insert((label, value));
        }
    }
    metrics
}
