//! `tidegate judge < WINDOWS`

pub(crate) mod lines;
pub(crate) mod numbers;
pub(crate) mod observed;
pub(crate) mod options;
pub(crate) mod windows;

mod court;
mod criteria;
mod state;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;
use tidegate::metrics::{Judgement, Verdict};

use crate::{
    Session,
    answer::{self, Answer, Status},
    aside,
    words::plain,
};
use court::Court;
use criteria::Criteria;
use lines::Lines;
use observed::Observed;
use options::Options;
use state::State;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Judge {
    /// Keep the windows in this file, and begin with those in it: a judge that was killed goes on
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Draw evidence and confidence over time into this file at the end, as SVG
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = r#"Windows are lines of JSON on standard input. Each is answered at once, with what all so far say:
  {"end": 60, "metric": "errors", "baseline": {"n": 900, "x": 9}, "candidate": {"n": 100, "x": 3}}
  end        seconds since 1970, or a time such as "2026-11-24T15:04:05Z"; `start` may be given, too
  metric     any name; several may be mixed, each is judged by itself
  baseline, candidate
             {"n": requests, "x": hits}, {"values": []}, {"edges": [], "counts": []},
             {"sum": 0, "count": 0}, {"strata": {"route": SIDE}}, or null if nothing was observed

A window is known by its metric and end: one that comes again changes nothing and is answered with what
all windows say by then; with other numbers it is an error. A window that comes late is put in its place,
and all are judged again, so that the order of lines does not matter in the end.

Tests:
  conditional  compares counts, or the values beyond a few edges; requests are independent of each other, or
               vary --dispersion times as much
  symmetric    compares counts whose errors may come in bursts, with a baseline of the candidate's size
  scores       compares means of scores between --from and --to; --tolerated [default: 0] and --margin
               [default: 0.1] are in their unit
  means        compares means of values or sums without bound, such as costs; --tolerated [default: 0] and
               --margin [default: 0.1] are shares of the baseline's mean
  ranks        compares ranks of values, after --windows and only then; --margin [default: 0.25] is a share
               of the baseline's median
  limit        holds the candidate alone to --at-most or --at-least
A comparison of counts passes on evidence that the odds of a hit are below twice the baseline's, see
--margin; unlike in the library no share is negligible unless --negligible says so.

With --json a line a window: "verdict" pass, fail or inconclusive; "log_e_fail" and "log_e_pass", the
natural logarithms of the evidence; "p", valid however often one looks; "effect" and its "interval" [from,
to], null where there is none; "n" and "x", requests and hits so far; "why", in words.

A criterion file is {"metric": "errors", "rule": {"compare": {"alpha": 0.01}}}, a list of those, or a
table of them by metric; "importance": "advisory" is shown and does not count.

Examples:
  tidegate judge --json < windows.jsonl
  tail -f windows.jsonl | tidegate judge --state judge.state --tolerated 1.2 --alpha 0.01
  tidegate judge --test limit --at-most 0.02 < windows.jsonl

Exit status: 0 if every metric passed, 1 if one failed, 3 if neither, so also without a window; 2 if a
line makes no sense, of which nothing is taken."#;

impl Judge {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let criteria = self.options.criteria()?;
        let json = session.json;
        aside::run(move || hear(criteria, self.state.as_deref(), self.plot.as_deref(), json)).await
    }
}

fn hear(criteria: Criteria, state: Option<&Path>, plot: Option<&Path>, json: bool) -> Result<Answer> {
    let mut court = Court::new(criteria.clone())?;
    let again = |line| court.take(Observed::parse(line)?).map(drop);
    let mut state = state.map(|path| State::open(path, &criteria, again)).transpose()?;
    let mut lines = Lines::new(io::stdin().lock(), None);
    while let Some(line) = lines.next()? {
        let text = line.text.clone();
        let (is_new, observed) = court.take(Observed::parse(line)?)?;
        // Kept before it is answered: what was said is never forgotten.
        if is_new && let Some(state) = &mut state {
            state.keep(&text)?;
        }
        match answer::say(&court.line(&observed, json)) {
            Ok(()) => {}
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error).context("cannot write the answer"),
        }
    }
    if let (Some(path), Some(picture)) = (plot, court.picture()) {
        fs::write(path, picture).with_context(|| format!("cannot write the plot to {}", path.display()))?;
    }
    Ok(conclude(&court.judgements()))
}

/// What is said in the end.
fn conclude(judgements: &[Judgement]) -> Answer {
    let verdict = Verdict::of(judgements);
    let status = match verdict {
        Verdict::Pass => Status::Done,
        Verdict::Fail => Status::Refused,
        Verdict::Inconclusive => Status::Inconclusive,
    };
    let mut texts: Vec<String> = judgements.iter().map(|judgement| plain(&judgement.explain())).collect();
    match judgements.len() {
        0 => texts.push("Nothing is decided: there was no window.".to_owned()),
        1 => {}
        n => texts.push(format!("All {n} metrics together: {verdict}.")),
    }
    Answer { text: texts.join("\n"), json: Value::Null, status }
}
