//! What a version answers, window by window, beside what it answered when it was made: as metrics that a watch can
//! name.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use tidegate::{
    canary::metrics::{Error, Measurement, Metric, MetricsSource, Observation, Recorded, Selector, Window},
    validation::{
        Verdict,
        drift::{Column, Drift, DriftGate, NumericColumn, Summary, TextColumn, Value},
    },
};

/// How many times its limit the answers of a window are from those of the reference: a gauge, beyond 1 if they have
/// drifted.
pub(crate) const DRIFT: &str = "drift";
/// The share of labelled messages that were answered rightly.
pub(crate) const QUALITY: &str = "quality";

/// One answer, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served<'a> {
    pub(crate) message: &'a str,
    pub(crate) label: &'a str,
    pub(crate) confidence: f64,
    /// Whether it was right, where that is known.
    pub(crate) right: Option<bool>,
}

/// Collects answers, compares a window of them with the reference of the version that gave them, and records how far
/// they are apart.
#[derive(Debug)]
pub(crate) struct Monitor {
    gate: DriftGate,
    recorded: Recorded,
    versions: Mutex<BTreeMap<String, Watched>>,
}

#[derive(Debug)]
struct Watched {
    reference: Summary,
    window: Summary,
    right: u64,
    labelled: u64,
}

impl Monitor {
    pub(crate) fn new(gate: DriftGate) -> Self {
        Self { gate, recorded: Recorded::new(), versions: Mutex::default() }
    }

    /// An empty table of answers.
    pub(crate) fn table() -> Summary {
        // What users wrote is counted, and not kept.
        let message = Column::Text(TextColumn::with_limits(0, NumericColumn::LIMIT));
        let columns =
            [("message", message), ("label", Column::categorical()), ("confidence", Column::numeric())];
        Summary::new(columns)
    }

    /// Answers of `version` are compared with these from now on.
    pub(crate) fn expect(&self, version: &str, reference: Summary) {
        let watched = Watched { window: reference.emptied(), reference, right: 0, labelled: 0 };
        self.lock().insert(version.to_owned(), watched);
    }

    /// Takes down an answer of `version`.
    pub(crate) fn take(&self, version: &str, served: &Served<'_>) -> Result<()> {
        let mut versions = self.lock();
        let watched = versions.get_mut(version).context("no reference of this version is known")?;
        served.push(&mut watched.window);
        watched.labelled += u64::from(served.right.is_some());
        watched.right += u64::from(served.right == Some(true));
        Ok(())
    }

    /// Closes the window that ends at `end`, and says how far each version's answers are apart. Of a window with too
    /// few answers nothing is recorded, which is no health to a watch.
    pub(crate) fn close(&self, end: SystemTime) -> Result<Vec<(String, f64)>> {
        let mut told = Vec::new();
        for (version, watched) in self.lock().iter_mut() {
            let labels = Selector::default().with("version", version);
            let window = std::mem::replace(&mut watched.window, watched.reference.emptied());
            let drift = self.gate.compare_summaries(&watched.reference, &window, &BTreeMap::new());
            if let Some(strain) = proven(&drift) {
                let reading = Observation::values(vec![strain]).context("a strain is a number")?;
                self.recorded.record(&Metric::new(DRIFT), &labels, end, reading)?;
                told.push((version.clone(), strain));
            }
            let (right, labelled) =
                (std::mem::take(&mut watched.right), std::mem::take(&mut watched.labelled));
            if labelled > 0 {
                let share =
                    Observation::proportion(right, labelled).context("no more are right than there are")?;
                self.recorded.record(&Metric::new(QUALITY), &labels, end, share)?;
            }
        }
        Ok(told)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served<'_> {
    pub(crate) fn push(&self, table: &mut Summary) {
        table.push([
            ("message", Value::Text(self.message)),
            ("label", Value::Text(self.label)),
            ("confidence", Value::Number(self.confidence)),
        ]);
    }
}

/// The greatest strain of what is decided: what may be chance alarms nobody. `None` where nothing is.
fn proven(drift: &Drift) -> Option<f64> {
    let decided =
        drift.features.iter().filter(|feature| !matches!(feature.verdict, Verdict::Inconclusive(_)));
    decided.filter_map(tidegate::validation::drift::FeatureDrift::strain).reduce(f64::max)
}

/// A version drifts or does not, in whichever slot it serves.
#[async_trait]
impl MetricsSource for Monitor {
    async fn observe(&self, metric: &Metric, side: &Selector, window: Window) -> Result<Measurement, Error> {
        let version = side.get("version").unwrap_or_default();
        let labels = Selector::default().with("version", version);
        self.recorded.observe(metric, &labels, window).await
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was answered")
    }
}
