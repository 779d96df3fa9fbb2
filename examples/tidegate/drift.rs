//! `tidegate drift REF CUR`

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate::validation::{
    Evidence, Verdict,
    drift::{
        Comparison, Drift as Drifted, DriftGate, FeatureDrift, InvalidTable, Kind, Reading, Summary,
        TextColumn,
    },
};

use crate::{
    Session,
    answer::{Answer, Status},
    aside,
    failure::Failure,
    formats::replace,
    scan::collect,
    words::{count, plain},
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub(crate) struct Drift {
    #[command(subcommand)]
    subcommand: Option<Summarizing>,
    /// What the rows were: a file, or a directory of partitions
    #[arg(value_name = "REF", required = true)]
    reference: Option<PathBuf>,
    /// What they are
    #[arg(value_name = "CUR", required = true)]
    current: Option<PathBuf>,
    /// One more partition of the reference
    #[arg(long = "reference", value_name = "FILE")]
    references: Vec<PathBuf>,
    /// One more partition of the current rows
    #[arg(long = "current", value_name = "FILE")]
    currents: Vec<PathBuf>,
    #[command(flatten)]
    columns: Columns,
    /// How far apart columns may be, and of texts how well they may be told apart: numeric=0.2, categorical=, text=,
    /// classifier= or missing=
    #[arg(long, value_name = "WHAT=NUMBER", value_parser = limit)]
    limit: Vec<(String, f64)>,
    /// The chance that any column is said to have drifted though none has
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    alpha: f64,
    /// The fewest values on a side that a column is judged by
    #[arg(long, value_name = "N", default_value_t = 100)]
    least: u64,
    /// Decides what is left to chance, so that it can be repeated
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Write everything with pictures into this file, one page of HTML without scripts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Summarizing {
    /// Summarise rows where they lie, to compare the summary elsewhere
    Summarize(Summarize),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate drift summarize monday.parquet -o monday.json
  tidegate drift summarize part-7.csv --like reference.json -o part-7.json

A summary does not grow with the rows. Of columns of texts it holds --texts of them as they are: keep it where the
data may be kept, or say --texts 0.")]
struct Summarize {
    /// Files with rows, partitions of one table, or directories of them
    #[arg(value_name = "DATA", required = true)]
    data: Vec<PathBuf>,
    /// Where the summary goes
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Summarise the columns of this summary or table, as it has them: then both can be compared or merged
    #[arg(long, value_name = "FILE", conflicts_with_all = ["columns", "texts"])]
    like: Option<PathBuf>,
    #[command(flatten)]
    columns: Columns,
}

#[derive(Clone, Debug, Args)]
struct Columns {
    /// The columns to compare, and of what kind they are if that is not to be told from the first rows: numeric,
    /// categorical, boolean, text [default: all]
    #[arg(long, value_name = "NAME[=KIND]", value_delimiter = ',', value_parser = column)]
    columns: Vec<(String, Option<Kind>)>,
    /// How many different texts of a column of texts are kept, for their words to be compared
    #[arg(long, value_name = "N", default_value_t = TextColumn::KEPT)]
    texts: usize,
}

const EXAMPLES: &str = "\
Examples:
  tidegate drift train.csv today.jsonl
  tidegate drift train/ today/ --columns age,country=categorical,prompt=text --html drift.html
  tidegate drift summarize train.parquet -o train.json && tidegate drift train.json today.parquet --json

Rows are CSV under a header, JSON Lines or Parquet, or summaries of them; it is the content that says which. What a
column holds is told from the first rows of the reference. Times and identifiers are not compared.
A column has drifted if it is further apart than its limit and that is not chance, all columns considered (Holm).
Exit status: 0 none has drifted; 1 one has; 3 one may have, or has too few values to say.";

impl Drift {
    pub(crate) async fn run(self, _: &Session) -> Result<Answer> {
        match self.subcommand {
            Some(Summarizing::Summarize(summarize)) => aside::run(move || summarize.run()).await,
            None => aside::run(move || self.compare()).await,
        }
    }

    fn compare(self) -> Result<Answer> {
        let of = |first: Option<PathBuf>, others: Vec<PathBuf>| {
            files(&[first.into_iter().collect(), others].concat(), None)
        };
        let gate = self.gate()?;
        let reading = self.columns.reading();
        let (references, currents) = (of(self.reference, self.references)?, of(self.current, self.currents)?);
        let reference = Summary::open_all(&references, &reading).map_err(unread)?;
        let mut current = reference.emptied();
        currents.iter().try_for_each(|path| current.read(path)).map_err(unread)?;
        let found = gate.compare_summaries(&reference, &current, &BTreeMap::new());
        if let Some(path) = &self.html {
            let of = |files: &[PathBuf], rows| format!("{}, {rows} rows", named(files));
            let page = found.html(&of(&references, reference.rows()), &of(&currents, current.rows()));
            write(path, page.as_bytes())?;
        }
        let status = match found.verdict() {
            Verdict::Pass => Status::Done,
            Verdict::Fail => Status::Refused,
            Verdict::Inconclusive(_) => Status::Inconclusive,
        };
        let text = text(&found, &reference, &current);
        Ok(Answer { text, json: document(&found, &reference, &current), status })
    }

    fn gate(&self) -> Result<DriftGate, Failure> {
        let mut gate = DriftGate { alpha: self.alpha, least: self.least, ..DriftGate::default() };
        gate.permutations.seed = self.seed;
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return Err(Failure::Misused(format!(
                "--alpha {} is no chance; give one between 0 and 1",
                self.alpha
            )));
        }
        for (what, limit) in &self.limit {
            let field = match what.as_str() {
                "numeric" => &mut gate.numeric_limit,
                "categorical" => &mut gate.categorical_limit,
                "text" => &mut gate.text_limit,
                "classifier" => &mut gate.classifier_limit,
                "missing" => &mut gate.missing_limit,
                _ => {
                    let known = "numeric, categorical, text, classifier and missing";
                    return Err(Failure::Misused(format!(
                        "there is no limit `{}`, only {known}",
                        plain(what)
                    )));
                }
            };
            *field = *limit;
        }
        Ok(gate)
    }
}

impl Summarize {
    fn run(self) -> Result<Answer> {
        let data = files(&self.data, Some(&self.output))?;
        let summary = match &self.like {
            None => Summary::open_all(&data, &self.columns.reading()).map_err(unread)?,
            Some(like) => {
                let mut summary = Summary::open(like, &Reading::default()).map_err(unread)?.emptied();
                data.iter().try_for_each(|path| summary.read(path)).map_err(unread)?;
                summary
            }
        };
        write(&self.output, &serde_json::to_vec(&summary)?)?;
        let columns: Vec<Value> =
            summary.columns().map(|(name, column)| json!({ "name": name, "kind": column.kind() })).collect();
        let text = format!(
            "wrote {}: {} rows of {}{}",
            self.output.display(),
            summary.rows(),
            count(columns.len(), "column"),
            left_out(&summary),
        );
        let json =
            json!({ "file": self.output.display().to_string(), "rows": summary.rows(), "columns": columns });
        Ok(Answer::done(text, json))
    }
}

impl Columns {
    fn reading(&self) -> Reading {
        Reading { columns: self.columns.iter().cloned().collect(), texts: self.texts, ..Reading::default() }
    }
}

/// The files at and below these paths. In directories those are left out that others write there for themselves, as
/// Spark's `_SUCCESS`, and `output`, which may have been written before.
fn files(paths: &[PathBuf], output: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let output = output.and_then(|output| fs::canonicalize(output).ok());
    let is_output = |file: &Path| output.is_some() && fs::canonicalize(file).ok() == output;
    let mut files = Vec::new();
    for path in paths {
        if is_output(path) {
            let path = path.display();
            return Err(Failure::Misused(format!(
                "`{path}` is to be read and written; write to another file"
            )));
        }
        let mut found = Vec::new();
        collect(path, &mut found)?;
        found.retain(|file| {
            file == path || !is_aside(file.strip_prefix(path).unwrap_or(file)) && !is_output(file)
        });
        files.append(&mut found);
    }
    match files.is_empty() {
        true => Err(Failure::Misused(format!("there is no file below {}; name others", named(paths)))),
        false => Ok(files),
    }
}

/// Whether a name on the way begins as those do that are no data.
fn is_aside(path: &Path) -> bool {
    path.iter().any(|name| name.as_encoded_bytes().first().is_some_and(|first| b"_.".contains(first)))
}

/// `train.csv`, or `train-1.csv and 3 more`.
fn named(files: &[PathBuf]) -> String {
    let first = files.first().map(|file| file.display().to_string()).unwrap_or_default();
    match files.len() {
        0 | 1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

fn unread(invalid: InvalidTable) -> Failure {
    Failure::Misused(plain(&invalid.to_string()))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    replace(path, content)
        .map_err(|source| Failure::Lost { what: format!("`{}` cannot be written", path.display()), source })
}

/// A line a feature, the one that takes the most of its limit first, and what it looks like.
fn text(found: &Drifted, reference: &Summary, current: &Summary) -> String {
    let width =
        found.features.iter().map(|feature| plain(&feature.name).chars().count()).max().unwrap_or(0).min(30);
    let mut lines = Vec::new();
    for feature in found.by_effect() {
        let name = plain(&feature.name);
        let measured = feature.foremost().map_or_else(|| "nothing measured".to_owned(), measured);
        lines.push(format!("{:<12}  {name:<width$}  {measured}", feature.verdict.word()));
        if let Verdict::Inconclusive(reason) = &feature.verdict {
            lines.push(format!("{:14}{}", "", plain(&reason.to_string())));
        }
        for (before, now) in feature.comparison.iter().filter_map(blocks) {
            lines.push(format!("{:14}was  {before}", ""));
            lines.push(format!("{:14}is   {now}", ""));
        }
    }
    let rows = format!("{} rows, before {}", current.rows(), reference.rows());
    lines.push(format!("{}; {rows}{}", found.headline(), left_out(reference)));
    lines.join("\n")
}

/// `Kolmogorov-Smirnov distance of x 0.3, at most 0.1, p < 0.001`
fn measured(evidence: &Evidence) -> String {
    let p = match evidence.p {
        Some(p) if p < 0.001 => ", p < 0.001".to_owned(),
        Some(p) => format!(", p = {p:.3}"),
        None => String::new(),
    };
    let (estimate, limit) = (evidence.estimate, evidence.threshold);
    plain(&format!("{} {estimate:.3}, at most {limit}{p}", evidence.measure))
}

/// Of texts, those of their lengths.
fn blocks(comparison: &Comparison) -> Option<(String, String)> {
    let parts = comparison.parts.iter().map(|(_, part)| part);
    let picture = [comparison].into_iter().chain(parts).find_map(|comparison| comparison.picture.as_ref());
    picture.map(tidegate::validation::drift::Picture::blocks)
}

fn left_out(summary: &Summary) -> String {
    let names: Vec<String> =
        summary.left_out().map(|(name, kind)| format!("{} ({kind})", plain(name))).collect();
    if names.is_empty() { String::new() } else { format!("; not compared: {}", names.join(", ")) }
}

fn document(found: &Drifted, reference: &Summary, current: &Summary) -> Value {
    let feature = |feature: &FeatureDrift| {
        let comparison = feature.comparison.as_ref();
        json!({
            "name": feature.name,
            "verdict": feature.verdict.word(),
            "why": feature.why(),
            "strain": feature.strain(),
            "values": comparison.map(|comparison| comparison.counts),
            "missing": comparison.map(|comparison| comparison.missing),
            "evidence": feature.evidence,
        })
    };
    let left_out: BTreeMap<&str, Kind> = reference.left_out().collect();
    json!({
        "verdict": found.verdict().word(),
        "strain": found.strain(),
        "rows": { "reference": reference.rows(), "current": current.rows() },
        "features": found.by_effect().into_iter().map(feature).collect::<Vec<_>>(),
        "leftOut": left_out,
    })
}

fn column(text: &str) -> Result<(String, Option<Kind>), String> {
    match text.split_once('=') {
        Some((name, kind)) => {
            let kind = kind
                .parse()
                .map_err(|unknown: tidegate::validation::drift::UnknownKind| unknown.to_string())?;
            Ok((name.to_owned(), Some(kind)))
        }
        None => Ok((text.to_owned(), None)),
    }
}

fn limit(text: &str) -> Result<(String, f64), String> {
    let (what, limit) = text.split_once('=').ok_or("write WHAT=NUMBER, as in numeric=0.2")?;
    match limit.parse() {
        Ok(limit) if f64::is_finite(limit) && limit >= 0.0 => Ok((what.to_owned(), limit)),
        _ => Err(format!("`{limit}` must be a number from 0 on")),
    }
}
