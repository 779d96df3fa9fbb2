//! The page of the book, read as its tables say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::root;

#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) spans: BTreeMap<String, Span>,
    pub(crate) metrics: BTreeMap<String, Metric>,
    /// Crate, level and message.
    pub(crate) events: BTreeSet<(String, String, String)>,
    rows: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) level: String,
    pub(crate) fields: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) kind: String,
    pub(crate) labels: BTreeSet<String>,
}

impl Page {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(root().join("docs/src/observability.md")).unwrap();
        let mut page = Self::default();
        let mut head = Vec::new();
        for line in text.lines() {
            if line.starts_with("|--") {
                continue;
            }
            let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
                head.clear();
                continue;
            };
            let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
            match (head.as_slice(), cells.as_slice()) {
                (["span", ..], [name, level, fields, _]) => {
                    let span = Span { level: (*level).to_owned(), fields: quoted(fields) };
                    assert!(page.spans.insert(only(name), span).is_none(), "{name} is there twice");
                }
                (["metric", ..], [name, kind, labels, what]) => {
                    let metric = Metric { kind: (*kind).to_owned(), labels: quoted(labels) };
                    assert!(page.metrics.insert(only(name), metric).is_none(), "{name} is there twice");
                    page.rows.insert(only(name), (*what).to_owned());
                }
                (["crate", ..], [name, level, message]) => {
                    page.events.insert(((*name).to_owned(), (*level).to_owned(), only(message)));
                }
                ([], cells) => head = cells.to_vec(),
                (head, cells) => panic!("{cells:?} does not fit below {head:?}"),
            }
        }
        assert!(page.spans.len() > 10 && page.metrics.len() > 10 && page.events.len() > 10, "{page:?}");
        page
    }

    /// Whether the row of the metric names the value of a label.
    pub(crate) fn says(&self, metric: &str, value: &str) -> bool {
        self.rows[metric].contains(&format!("`{value}`"))
    }
}

fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn only(text: &str) -> String {
    text.trim_matches('`').to_owned()
}
