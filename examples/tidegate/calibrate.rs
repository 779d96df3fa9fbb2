//! `tidegate calibrate [FILE] --length N`

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use tidegate::metrics::{self, Calibration, Comparison, Evidence, FalseAlarms, Metric, Rule};

use crate::{
    answer::{Answer, Status},
    aside,
    failure::Failure,
    judge::{
        lines::Lines,
        numbers::{enough, percent, short},
        observed::Observed,
        options::{self, Better, Chances, CountTest, Tolerance},
        windows::Windows,
    },
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Calibrate {
    /// The history: lines as `tidegate judge` takes them, of counts, in which both sides ran the same version
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Windows of a rollout
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    length: u32,
    /// How windows are judged
    #[arg(long, value_enum, default_value_t = CountTest::Conditional)]
    test: CountTest,
    #[command(flatten)]
    chances: Chances,
    #[command(flatten)]
    tolerance: Tolerance,
    /// Which way is better [default: lower]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "lower|higher")]
    better: Option<Better>,
}

const EXAMPLES: &str = "\
The history is replayed as rollouts, one from each window on. As the version was the same, those that
failed are false alarms. Of several metrics each is calibrated by itself.

Examples:
  tidegate calibrate history.jsonl --length 30
  tidegate calibrate --length 100 --alpha 0.01 --dispersion 2 < history.jsonl

Exit status: 0 if no more than alpha were false alarms, 1 if surely more were, 3 if the history is too
short to say.";

/// What the history of one metric shows.
#[derive(Debug, Serialize)]
struct Shown {
    metric: Metric,
    /// Whether false alarms are as rare as they have to be; nothing if that cannot be said.
    keeps: Option<bool>,
    calibration: Option<Calibration>,
    /// Options to judge by.
    suggested: Option<String>,
    why: String,
}

impl Calibrate {
    pub(crate) async fn run(self) -> Result<Answer> {
        aside::run(move || self.answer()).await
    }

    fn answer(&self) -> Result<Answer> {
        let comparison = options::comparison(self.chances, self.tolerance, self.test, self.better);
        options::check(Rule::Compare(comparison))?;
        let history = self.history()?;
        let shown: Vec<_> =
            history.iter().map(|(metric, windows)| self.show(metric, windows, &comparison)).collect();
        // The worst counts; nothing shown is nothing known.
        let keeps = shown.iter().map(|shown| shown.keeps).min_by_key(|keeps| match keeps {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        });
        let status = match keeps.flatten() {
            Some(true) => Status::Done,
            Some(false) => Status::Refused,
            None => Status::Inconclusive,
        };
        let text = match shown.as_slice() {
            [] => "There is no window; give a history of at least two rollouts.".to_owned(),
            shown => {
                shown.iter().map(|shown| plain_lines(&self.told(shown))).collect::<Vec<_>>().join("\n\n")
            }
        };
        Ok(Answer { text, json: json!({ "length": self.length, "metrics": shown }), status })
    }

    fn history(&self) -> Result<BTreeMap<Metric, Windows>, Failure> {
        if self.file.as_os_str() == "-" {
            return read(Lines::new(io::stdin().lock(), None));
        }
        let named = format!("history `{}`", self.file.display());
        let file = File::open(&self.file).map_err(|error| {
            Failure::Misused(format!("{named} cannot be read: {error}; name a file of windows"))
        })?;
        read(Lines::new(BufReader::new(file), Some(&named)))
    }

    fn show(&self, metric: &Metric, windows: &Windows, comparison: &Comparison) -> Shown {
        let mut evidence = Evidence::new();
        for (window, pair) in windows.iter() {
            evidence.add(window, pair.candidate.clone(), pair.baseline.clone());
        }
        let metric = metric.clone();
        match metrics::calibrate(comparison, &evidence, self.length) {
            Ok(calibration) => {
                let keeps = keeps(&calibration.as_is, comparison.alpha);
                let (suggested, why) = self.suggest(&calibration, keeps);
                Shown { metric, keeps, calibration: Some(calibration), suggested, why }
            }
            Err(short) => {
                Shown { metric, keeps: None, calibration: None, suggested: None, why: short.to_string() }
            }
        }
    }

    /// Options to judge by, and why.
    fn suggest(&self, calibration: &Calibration, as_is: Option<bool>) -> (Option<String>, String) {
        let alpha = self.chances.alpha;
        let suffices = |alarms: &FalseAlarms| alarms.share <= alpha;
        if as_is == Some(true) {
            let why = "the comparison keeps its promise on this history";
            return (Some(self.options(self.test, self.tolerance.dispersion)), why.to_owned());
        }
        if suffices(&calibration.with_recommended) {
            let why = "counts vary more than those of independent requests, and the dispersion takes that in";
            let options = self.options(CountTest::Conditional, Some(calibration.recommended));
            return (Some(options), why.to_owned());
        }
        if calibration.symmetric.as_ref().is_some_and(suffices) {
            let why = "errors come in bursts, which the symmetric test takes in";
            return (Some(self.options(CountTest::Symmetric, Some(calibration.recommended))), why.to_owned());
        }
        let remedy = match calibration.symmetric {
            Some(_) => "count sessions or clients in place of requests, and calibrate again",
            None => {
                "route as much to the baseline as to the candidate for --test symmetric, or count sessions or clients in place of requests, and calibrate again"
            }
        };
        (None, format!("no option brings false alarms down to {}; {remedy}", percent(alpha)))
    }

    /// The options of `tidegate judge` that differ from what it does by itself.
    fn options(&self, test: CountTest, dispersion: Option<f64>) -> String {
        let Tolerance { tolerated, margin, negligible, .. } = self.tolerance;
        let mut options = Vec::new();
        if test == CountTest::Symmetric {
            options.push("--test symmetric".to_owned());
        }
        let chance = |chance: f64| Some(chance).filter(|chance| *chance != 0.05);
        let dispersion = dispersion.filter(|dispersion| *dispersion > 1.0).map(enough);
        let numbers = [
            ("--dispersion", dispersion),
            ("--alpha", chance(self.chances.alpha).map(|alpha| alpha.to_string())),
            ("--beta", chance(self.chances.beta).map(|beta| beta.to_string())),
            ("--tolerated", tolerated.map(|ratio| ratio.to_string())),
            ("--margin", margin.map(|share| share.to_string())),
            ("--negligible", negligible.map(|share| share.to_string())),
            ("--better", self.better.filter(|better| *better == Better::Higher).map(|_| "higher".to_owned())),
        ];
        options.extend(numbers.into_iter().filter_map(|(name, number)| Some(format!("{name} {}", number?))));
        options.join(" ")
    }

    fn told(&self, shown: &Shown) -> String {
        let Some(calibration) = &shown.calibration else {
            return format!("{}: too short to say: {}", shown.metric, shown.why);
        };
        let alpha = percent(self.chances.alpha);
        let verdict = match shown.keeps {
            Some(true) => format!("no more false alarms than {alpha}"),
            Some(false) => format!("more false alarms than {alpha}"),
            None => format!("perhaps more false alarms than {alpha}; the history is too short to be sure"),
        };
        let alarms = |what: &str, alarms: &FalseAlarms| {
            let (from, to) = alarms.interval;
            format!(
                "  {what:<18}{} of {} rollouts fail; between {} and {} of all, by the {} that do not overlap",
                percent(alarms.share),
                alarms.rollouts,
                percent(from),
                percent(to),
                alarms.independent
            )
        };
        let metrics::Dispersion { between, candidate, baseline, .. } = calibration.dispersion;
        let mut lines = vec![
            format!("{}: {verdict}", shown.metric),
            format!(
                "  {:<18}{} with counts on both sides, {} a rollout",
                "windows", calibration.windows, self.length
            ),
            alarms("as it is", &calibration.as_is),
            format!(
                "  {:<18}{} between the sides; around its mean {} of the candidate, {} of the baseline",
                "dispersion",
                short(between),
                short(candidate),
                short(baseline)
            ),
            alarms(
                &format!("--dispersion {}", enough(calibration.recommended)),
                &calibration.with_recommended,
            ),
        ];
        lines.extend(calibration.symmetric.as_ref().map(|symmetric| alarms("--test symmetric", symmetric)));
        lines.push(match &shown.suggested {
            Some(options) => {
                format!("  {:<18}{}: {}", "suggested", format!("tidegate judge {options}").trim(), shown.why)
            }
            None => format!("  {:<18}{}", "suggested", shown.why),
        });
        lines.join("\n")
    }
}

/// Whether false alarms are as rare as they have to be, as far as the history can say.
fn keeps(alarms: &FalseAlarms, alpha: f64) -> Option<bool> {
    if alarms.share <= alpha { Some(true) } else { (alarms.interval.0 > alpha).then_some(false) }
}

fn read<R: BufRead>(mut lines: Lines<R>) -> Result<BTreeMap<Metric, Windows>, Failure> {
    let mut history = BTreeMap::<Metric, Windows>::new();
    while let Some(line) = lines.next()? {
        let observed = Observed::parse(line)?;
        history.entry(observed.metric.clone()).or_default().add(&observed)?;
    }
    Ok(history)
}

fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}
