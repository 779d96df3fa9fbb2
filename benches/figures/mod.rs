//! What the project shows in figures: which, beside what, how good they have to be, and how a bench says what it measured.
//!
//! [`promised`] is the one list of them. A bench opens the [`Sheet`] of its run, says each figure of it, and closes it;
//! `benches/table` makes one table of all.
#![allow(dead_code, reason = "no bench says everything, and tests say nothing")]

pub(crate) mod promised;
pub(crate) mod row;
pub(crate) mod table;

use std::{env, fs::OpenOptions, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use self::{
    promised::{PROMISED, Promise},
    row::Row,
};

/// Where a bench leaves what it measured, for whoever makes a table of it: a line of JSON a figure.
pub(crate) const FIGURES: &str = "TIDEGATE_BENCH_FIGURES";

/// A number, or the least and the most of some that are shown as one, in the unit of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of some numbers, of which there is one at least.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let none = Self { least: f64::INFINITY, most: f64::NEG_INFINITY };
        numbers
            .into_iter()
            .fold(none, |spread, n| Self { least: spread.least.min(n), most: spread.most.max(n) })
    }
}

impl From<f64> for Spread {
    fn from(number: f64) -> Self {
        Self { least: number, most: number }
    }
}

/// What was measured, and the yardstick in the same run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) measured: Spread,
    pub(crate) yardstick: Option<Spread>,
    /// What was measured by the yardstick.
    pub(crate) ratio: Option<Spread>,
}

impl Figure {
    pub(crate) fn of(measured: impl Into<Spread>) -> Self {
        Self { measured: measured.into(), yardstick: None, ratio: None }
    }

    /// Their ratio is the quotient, where either is one number. A median of the quotients of rounds is said by [`ratio`](Self::ratio).
    pub(crate) fn beside(mut self, yardstick: impl Into<Spread>) -> Self {
        let yardstick = yardstick.into();
        if self.ratio.is_none()
            && self.measured.least == self.measured.most
            && yardstick.least == yardstick.most
        {
            self.ratio = Some((self.measured.most / yardstick.most).into());
        }
        self.yardstick = Some(yardstick);
        self
    }

    pub(crate) fn ratio(mut self, ratio: impl Into<Spread>) -> Self {
        self.ratio = Some(ratio.into());
        self
    }
}

/// What came of a figure: measured, or why not. Nothing old takes its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Measured(Figure),
    NotMeasured(String),
}

/// A figure with its name, as a bench leaves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) what: String,
    pub(crate) outcome: Outcome,
}

/// The figures of one run, to be said.
#[derive(Debug)]
pub(crate) struct Sheet {
    run: &'static str,
    said: Vec<Said>,
}

impl Sheet {
    /// # Panics
    ///
    /// If no figure is promised of the run.
    pub(crate) fn of(run: &'static str) -> Self {
        assert!(PROMISED.iter().any(|promise| promise.run == run), "no figure is promised of {run}");
        Self { run, said: Vec::new() }
    }

    pub(crate) fn say(&mut self, what: &str, figure: Figure) {
        self.push(what, Outcome::Measured(figure));
    }

    pub(crate) fn not_measured(&mut self, what: &str, why: impl Into<String>) {
        self.push(what, Outcome::NotMeasured(why.into()));
    }

    /// # Panics
    ///
    /// If it is not promised of this run, or has been said.
    fn push(&mut self, what: &str, outcome: Outcome) {
        assert!(
            self.promised().any(|promise| promise.what == what),
            "{what} is not promised of {}",
            self.run
        );
        assert!(self.said(what).is_none(), "{what} is said twice");
        self.said.push(Said { what: what.to_owned(), outcome });
    }

    /// Says of each figure that is not said yet why not, and closes.
    pub(crate) fn rest(mut self, why: &str) -> Result<()> {
        let left: Vec<_> = self.promised().filter(|promise| self.said(promise.what).is_none()).collect();
        for promise in left {
            self.not_measured(promise.what, why);
        }
        self.close()
    }

    /// Prints the rows, and [leaves](Self::leave) them.
    ///
    /// # Errors
    ///
    /// If a figure is promised and nothing was said of it.
    #[expect(clippy::print_stdout, reason = "a bench talks to its user")]
    pub(crate) fn close(self) -> Result<()> {
        println!("\n{}", table::markdown(&self.rows()?));
        self.leave()
    }

    /// Leaves the figures to whoever makes a table.
    ///
    /// # Errors
    ///
    /// If a figure is promised and nothing was said of it.
    #[expect(clippy::disallowed_methods, reason = "a bench is told by its environment that a table is made")]
    pub(crate) fn leave(self) -> Result<()> {
        self.rows()?;
        let Some(file) = env::var_os(FIGURES).map(PathBuf::from) else { return Ok(()) };
        let mut file = OpenOptions::new()
            .append(true)
            .open(&file)
            .with_context(|| format!("{FIGURES}: {}", file.display()))?;
        for said in &self.said {
            writeln!(file, "{}", serde_json::to_string(said)?)?;
        }
        Ok(())
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let rows = self.promised().map(|promise| {
            let outcome = self.said(promise.what);
            let outcome =
                outcome.with_context(|| format!("{} says nothing of {}", self.run, promise.what))?;
            Ok(Row { promise, outcome: outcome.clone() })
        });
        rows.collect()
    }

    fn promised(&self) -> impl Iterator<Item = &'static Promise> + use<> {
        let run = self.run;
        PROMISED.iter().filter(move |promise| promise.run == run)
    }

    fn said(&self, what: &str) -> Option<&Outcome> {
        self.said.iter().find(|said| said.what == what).map(|said| &said.outcome)
    }
}
