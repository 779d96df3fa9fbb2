//! `tidegate compare CANDIDATE BASELINE`, and `tidegate compare --assignments LOG --outcomes LOG`

mod picture;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tidegate::validation::{
    Case, Finding, Verdict,
    compare::{Aligned, Alignment, Compared, Comparison, Experiment, Goal, LeftOut, Measure, Side, Silent},
};

use crate::{
    answer::{Answer, Status},
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Compare {
    /// The candidate's answers, as `tidegate validate --record` wrote them down
    #[arg(value_name = "CANDIDATE", required_unless_present = "assignments", requires = "old")]
    new: Option<PathBuf>,
    /// The baseline's answers to the same suite
    #[arg(value_name = "BASELINE")]
    old: Option<PathBuf>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    records: Records,
    #[command(flatten)]
    logs: Logs,
}

/// What is to be shown.
#[derive(Debug, Args)]
struct Terms {
    /// What is to be shown of the candidate
    #[arg(long, value_enum, default_value_t = Wanted::NotWorse)]
    goal: Wanted,
    /// By how much it may be worse and still be `not-worse`, as a difference of shares, scores or values
    #[arg(long, value_name = "N", default_value_t = 0.05)]
    margin: f64,
    /// Confidence of each bound, above 0.5
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options for records")]
struct Records {
    /// What is compared of each answer
    #[arg(long, value_enum, default_value_t = Of::Outcome)]
    measure: Of,
    /// Only this check
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    /// Leave out cases that only one side was asked, and compare checks that asked otherwise
    #[arg(long)]
    allow_unmatched: bool,
    /// How often cases are drawn again where they are scored or repeated
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    resamples: u32,
    /// Decides what is left to chance, so that a comparison can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options for logs")]
struct Logs {
    /// An experiment's log of `unit`, `arm` and `time`, in JSON Lines or CSV
    #[arg(long, value_name = "LOG", requires = "outcomes", conflicts_with = "new")]
    assignments: Option<PathBuf>,
    /// What came of its units: `unit`, `value` or `hit`, and `time`
    #[arg(long, value_name = "LOG", requires = "assignments")]
    outcomes: Option<PathBuf>,
    /// What the log calls the candidate's arm
    #[arg(long, value_name = "NAME", default_value = "candidate")]
    candidate_arm: String,
    /// What it calls the baseline's
    #[arg(long, value_name = "NAME", default_value = "baseline")]
    baseline_arm: String,
    /// How many units the candidate was to have for how many of the baseline
    #[arg(long, value_name = "N:N", default_value = "1:1", value_parser = split)]
    split: (f64, f64),
    /// Arms are not compared if chance makes them so unlike as they are less often than this
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    mismatch: f64,
    /// What becomes of units without an outcome
    #[arg(long, value_enum, default_value_t = Untold::LeftOut)]
    silent: Untold,
}

const EXAMPLES: &str = "\
Examples:
  tidegate compare candidate.jsonl baseline.jsonl
  tidegate compare candidate.jsonl baseline.jsonl --goal better --measure score --check capitals
  tidegate compare --assignments assignments.csv --outcomes outcomes.jsonl --split 1:9 --margin 0.02

Answers are compared in pairs, by the id of their case. Units of an experiment are compared only if its arms have the
sizes that they were to have. Exit status: 0 it is shown, 1 the contrary is, 3 the evidence does not decide.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    Better,
    NotWorse,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    Outcome,
    Score,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Untold {
    LeftOut,
    Zero,
}

impl Compare {
    pub(crate) async fn run(self) -> Result<Answer> {
        tokio::task::spawn_blocking(|| self.compare()).await?
    }

    fn compare(self) -> Result<Answer> {
        let goal = match self.terms.goal {
            Wanted::Better => Goal::Better,
            Wanted::NotWorse => Goal::NotWorse,
        };
        match (self.new, self.old, self.logs.assignments, self.logs.outcomes) {
            (Some(new), Some(old), ..) => {
                let alignment = Alignment {
                    measure: match self.records.measure {
                        Of::Outcome => Measure::Outcome,
                        Of::Score => Measure::Score,
                    },
                    allow_unmatched: self.records.allow_unmatched,
                    check: self.records.check,
                };
                let comparison = Comparison {
                    goal,
                    margin: self.terms.margin,
                    confidence: self.terms.confidence,
                    resamples: self.records.resamples,
                    seed: self.records.seed,
                };
                comparison.sound()?;
                let sides = alignment.read(&new, &old)?;
                let found = sides.checks.iter().map(|aligned| finding(aligned, &alignment, &comparison));
                let found: Vec<_> = found.collect();
                Ok(of_records([&sides.candidate, &sides.baseline], &sides.checks, &found, &comparison))
            }
            (_, _, Some(assignments), Some(outcomes)) => {
                let experiment = Experiment {
                    candidate: self.logs.candidate_arm,
                    baseline: self.logs.baseline_arm,
                    split: self.logs.split,
                    mismatch: self.logs.mismatch,
                    silent: match self.logs.silent {
                        Untold::LeftOut => Silent::LeftOut,
                        Untold::Zero => Silent::Zero,
                    },
                    goal,
                    margin: self.terms.margin,
                    confidence: self.terms.confidence,
                };
                let compared = experiment.judge(&experiment.read(&assignments, &outcomes)?);
                Ok(of_logs(&compared))
            }
            _ => unreachable!("clap has both of one kind"),
        }
    }
}

fn finding(aligned: &Aligned, alignment: &Alignment, comparison: &Comparison) -> Finding {
    let measure = match alignment.measure {
        Measure::Outcome => "answers as they should be",
        Measure::Score => "scores of answers",
    };
    let (verdict, evidence) = comparison.judge(measure, &aligned.pairs);
    let claim = comparison.goal.claim(comparison.margin);
    Finding::new(&aligned.check, verdict, claim)
        .with_evidence(evidence)
        .with_cases(aligned.lost.iter().cloned())
}

fn of_records(
    [candidate, baseline]: [&Side; 2],
    aligned: &[Aligned],
    found: &[Finding],
    comparison: &Comparison,
) -> Answer {
    let name = |side: &Side| {
        let agent =
            side.agent.as_ref().map(|agent| format!(" ({})", plain(agent.as_str()))).unwrap_or_default();
        format!("{}{agent}", side.model)
    };
    let mut lines = vec![format!("{} beside {}", name(candidate), name(baseline))];
    let mut checks = Vec::new();
    for (aligned, finding) in aligned.iter().zip(found) {
        lines.extend(said(finding));
        let differences: Vec<f64> = aligned.pairs.differences().collect();
        lines.extend(picture::differences(&differences).into_iter().map(|line| format!("{INDENT}{line}")));
        if aligned.candidate_only + aligned.baseline_only > 0 {
            lines.push(format!(
                "{INDENT}left out: {} trials of the candidate and {} of the baseline without a counterpart",
                aligned.candidate_only, aligned.baseline_only
            ));
        }
        lines.extend(missed(&finding.cases));
        checks.push(json!({
            "finding": finding,
            "pairs": aligned.pairs.len(),
            "clusters": aligned.pairs.clusters(),
            "candidateOnly": aligned.candidate_only,
            "baselineOnly": aligned.baseline_only,
            "differences": picture::bins(&differences),
        }));
    }
    let verdict = Verdict::over(found.iter().map(|finding| &finding.verdict));
    let json = json!({
        "verdict": verdict.word(),
        "candidate": candidate,
        "baseline": baseline,
        "seed": comparison.seed,
        "checks": checks,
    });
    Answer { text: lines.join("\n"), json, status: status(&verdict) }
}

fn of_logs(compared: &Compared) -> Answer {
    let LeftOut {
        both_arms,
        other_arms,
        unassigned,
        early,
        duplicates,
        silent_candidate,
        silent_baseline,
        ..
    } = compared.left_out;
    let mut lines = vec![format!(
        "{} units of the candidate beside {} of the baseline",
        compared.candidate_units, compared.baseline_units
    )];
    lines.extend(said(&compared.finding));
    let left_out = [
        (both_arms, "units of both arms"),
        (other_arms, "units of other arms"),
        (silent_candidate, "units of the candidate without an outcome"),
        (silent_baseline, "units of the baseline without an outcome"),
        (unassigned, "outcomes of units that were not assigned"),
        (early, "outcomes from before their unit was assigned"),
        (duplicates, "outcomes that are there twice"),
    ];
    let some = left_out.iter().filter(|(count, _)| *count > 0);
    let some: Vec<_> = some.map(|(count, what)| format!("{count} {what}")).collect();
    if !some.is_empty() {
        lines.push(format!("{INDENT}left out: {}", some.join(", ")));
    }
    let verdict = &compared.finding.verdict;
    let mut json = serde_json::to_value(compared).unwrap_or(Value::Null);
    json["verdict"] = verdict.word().into();
    Answer { text: lines.join("\n"), json, status: status(verdict) }
}

const INDENT: &str = "                ";

/// What a finding says, a line each, with its bounds drawn.
fn said(finding: &Finding) -> Vec<String> {
    let (word, check) = (finding.verdict.word(), plain(&finding.check));
    let mut lines = vec![format!("  {word:<12}  {check}: {}", plain(&finding.claim))];
    for evidence in &finding.evidence {
        lines.push(format!("{INDENT}{}", plain(&evidence.to_string())));
        lines.extend(picture::bounds(evidence).map(|line| format!("{INDENT}{line}")));
    }
    if let Verdict::Inconclusive(reason) = &finding.verdict {
        lines.push(format!("{INDENT}{}", plain(&reason.to_string())));
    }
    lines
}

/// The first of the cases that the candidate lost.
fn missed(cases: &[Case]) -> Vec<String> {
    const SHOWN: usize = 3;
    let shown = cases.iter().take(SHOWN);
    let mut lines: Vec<_> =
        shown.map(|case| format!("{INDENT}lost: {} → {}", plain(&case.input), plain(&case.detail))).collect();
    if cases.len() > SHOWN {
        lines.push(format!("{INDENT}and {} more", cases.len() - SHOWN));
    }
    lines
}

fn status(verdict: &Verdict) -> Status {
    match verdict {
        Verdict::Pass => Status::Done,
        Verdict::Fail => Status::Refused,
        Verdict::Inconclusive(_) => Status::Inconclusive,
    }
}

fn split(text: &str) -> Result<(f64, f64), String> {
    let parse = || {
        let (one, other) = text.split_once(':')?;
        Some((one.trim().parse().ok()?, other.trim().parse().ok()?))
    };
    let sound = |(one, other): &(f64, f64)| [one, other].iter().all(|n| **n > 0.0 && n.is_finite());
    parse().filter(sound).ok_or_else(|| "write two numbers above 0, such as 1:9".to_owned())
}
