//! Does a model know when it is right?

mod answered;
mod source;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use self::answered::{Answered, Made};
pub use self::source::Confidence;
use super::{
    Matching, Questioned, Settings, asking,
    asks::ceiling_flaw,
    cases::{Feed, Next},
    common_flaw,
};
use crate::{
    Cost, Error, Evidence, Finding, Freshness, Gate, Method, Reason, Rule, Run, Sampling, Subject, Tally,
    Unit, Validator, Verdict,
    asking::{Answer, Asking, Luck},
    dataset::{Dataset, Question},
    statistics::{self, Bin, Bootstrap, Proportion},
};

const NO_DATASET: &str = "is missing; name a file with questions and targets, or write `cases`";
/// Most samples of one question.
const MOST_SAMPLES: u32 = 100;
/// How often answers are drawn again, at most and at least.
const MOST_RESAMPLES: u32 = 2_000;
const LEAST_RESAMPLES: u32 = 400;
/// About so many answers are drawn in all: of many answers bounds are near, and fewer resamples tell them.
const MOST_DRAWS: usize = 50_000_000;

/// Asks questions with one right answer, and holds the distance between how sure the model is and how often it is right
/// against a ceiling: the expected calibration error over bins of equal width.
///
/// Beside it stand the error over 15 bins and over bins of equal numbers, the greatest error of a bin, the Brier score, the
/// log loss, how well confidence tells right answers from wrong ones (AUROC), and the bins themselves: the
/// share of right answers in each, held against its mean confidence. [`statistics::reliability_svg`] draws them.
///
/// The error of few answers is mostly chance: below 200 the check is inconclusive. Answers that are not known are taken at
/// their worst for whatever the others show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Calibration {
    /// The check's name in reports.
    pub name: String,
    /// What is asked, with the right answers as targets. In a suite file `dataset`, or `cases`.
    #[serde(skip)]
    pub dataset: Option<Dataset>,
    /// When an answer counts as a right one.
    pub matching: Matching,
    /// How it is known how sure the model is.
    pub source: Confidence,
    /// How often each question is asked where sureness is agreement.
    pub samples: u32,
    /// Bins of equal width.
    pub bins: u32,
    /// The greatest expected calibration error.
    pub ceiling: f64,
    /// How the error is held against the ceiling.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the questions are put.
    pub request: Sampling,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            dataset: None,
            matching: Matching::Normalised,
            source: Confidence::Verbalised,
            samples: 10,
            bins: 10,
            ceiling: 0.1,
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Calibration {
    const KIND: &str = "calibration";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let Some(dataset) = &self.dataset else {
            return Some(("dataset", NO_DATASET.to_owned()));
        };
        if !dataset.is_plain() {
            let why = "has clusters or weights, and the bounds are for independent answers that count alike; take \
                them out, with all but one question of each cluster";
            return Some(("dataset", why.to_owned()));
        }
        if !(1..=100).contains(&self.bins) {
            return Some(("bins", format!("{} must be from 1 to 100", self.bins)));
        }
        if self.source == Confidence::SelfConsistency {
            if !(2..=MOST_SAMPLES).contains(&self.samples) {
                return Some(("samples", format!("{} must be from 2 to {MOST_SAMPLES}", self.samples)));
            }
            if self.request.temperature == Some(0.0) {
                let why = "0 gives the same answer each time; samples that may agree or not take one above 0";
                return Some(("request.temperature", why.to_owned()));
            }
        }
        ceiling_flaw(self.ceiling, self.rule).or_else(|| {
            common_flaw(&Gate { floor: 0.5, rule: self.rule, confidence: self.confidence }, &self.request)
        })
    }
}

impl Questioned for Calibration {
    fn ask(&mut self, dataset: Dataset) {
        self.dataset = Some(dataset);
    }
}

#[async_trait]
impl Validator for Calibration {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        let questions = self.dataset.as_ref().map_or(0, Dataset::len);
        Cost::calls(questions.saturating_mul(self.times().into()), self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let asking = asking(self, &self.request, subject, run)?;
        let luck = Luck::default();
        let mut answered = Answered::default();
        let missing = || Error::Misconfigured {
            check: self.name.clone(),
            field: "dataset",
            why: NO_DATASET.to_owned(),
        };
        let trials = Feed::new(self.dataset.clone().ok_or_else(missing)?).trials(1);
        let mut made = trials.map(|next| self.made(&asking, &luck, next)).buffered(run.concurrency.get());
        while let Some(made) = made.next().await {
            let (question, made) = made?;
            answered.add(&question, made);
        }
        drop(made);
        // Resampling takes seconds, in which others have their turn.
        let (check, seed) = (self.clone(), run.seed);
        let found = tokio::task::spawn_blocking(move || check.finding(answered, seed));
        found.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Calibration {
    const fn times(&self) -> u32 {
        match self.source {
            Confidence::SelfConsistency => self.samples,
            Confidence::Logprob | Confidence::Verbalised => 1,
        }
    }

    async fn made(
        &self,
        asking: &Asking<'_>,
        luck: &Luck,
        next: Next,
    ) -> Result<(Arc<Question>, Made), Error> {
        let unread = |source| Error::Dataset { check: self.name.clone(), source: Box::new(source) };
        let (question, _) = next.map_err(unread)?;
        let made = self.one(asking, luck, &question).await;
        Ok((question, made))
    }

    /// Asks one question, as often as it takes.
    async fn one(&self, asking: &Asking<'_>, luck: &Luck, question: &Question) -> Made {
        if question.targets.is_empty() {
            let what = format!("question `{}` has no target; write the right answer", question.id);
            return Made::Unknown(Reason::Infra { what: what.clone() }, what);
        }
        let request = self.source.asked(self.request.request(question.asked(), asking.run.seed));
        let mut replies = Vec::new();
        for trial in 0..self.times() {
            let mut request = request.clone();
            request.seed = request.seed.map(|seed| seed.wrapping_add(trial));
            let answer = asking.put(&request, trial, Freshness::Any, luck).await;
            asking.run.note_spent(asking.check);
            match answer {
                Answer::Given(reply) => replies.push(reply),
                Answer::Lost(error) => return Made::Lost(error),
                Answer::NotAsked(shortage) => return Made::Short(shortage),
            }
        }
        match self.source.read(&replies) {
            Ok(sure) => {
                let right = question.targets.iter().any(|target| self.matching.holds(&sure.answer, target));
                Made::Known(sure, right)
            }
            Err(what) => Made::Unknown(Reason::Infra { what: what.to_owned() }, what.to_owned()),
        }
    }

    /// What the answers show; this takes its time.
    fn finding(&self, answered: Answered, seed: u32) -> Result<Finding, Error> {
        let Answered { tally, known, cases, lost, short } = answered;
        let claim = format!("how sure it is and how often it is right are at most {} apart", self.ceiling);
        let Some(measured) = statistics::Calibration::new(known) else {
            let check = self.name.clone();
            return match (lost, short) {
                (Some(source), _) => Err(Error::Agent { check, source }),
                (None, Some(shortage)) => Err(Error::OutOfBudget { check, shortage }),
                (None, None) => {
                    let reason = tally.why_unknown.unwrap_or(Reason::NothingChecked);
                    Ok(Finding::new(check, Verdict::Inconclusive(reason), claim).with_cases(cases))
                }
            };
        };
        let numbers = Numbers::new(self, &measured, seed);
        Ok(Finding::new(&self.name, self.verdict(&numbers, &tally), claim)
            .with_evidence(self.evidence(&measured, &numbers, &tally))
            .with_cases(cases))
    }

    fn verdict(&self, numbers: &Numbers, tally: &Tally) -> Verdict {
        let n = tally.hits + tally.misses;
        let enough = statistics::Calibration::ENOUGH as u64;
        if n < enough {
            return Verdict::Inconclusive(
                tally.why_unknown.clone().unwrap_or(Reason::TooFew { have: n, need: enough }),
            );
        }
        let (least, most) = match (self.rule, numbers.interval) {
            (Rule::Point, _) => (numbers.ece, numbers.ece),
            (_, Some(interval)) => interval,
            (_, None) => (0.0, 1.0),
        };
        match within(least, most, n, tally.unknown) {
            (_, most) if most <= self.ceiling => Verdict::Pass,
            (least, _) if least > self.ceiling => Verdict::Fail,
            _ => Verdict::Inconclusive(tally.why_unknown.clone().unwrap_or_else(|| {
                // Bounds draw in with the root of the number of answers.
                let times = (most - least) / 2.0 / (numbers.ece - self.ceiling).abs().max(0.005);
                Reason::TooFew { have: n, need: (n as f64 * times.powi(2).clamp(1.1, 100.0)).ceil() as u64 }
            })),
        }
    }

    fn evidence(
        &self,
        measured: &statistics::Calibration,
        numbers: &Numbers,
        tally: &Tally,
    ) -> Vec<Evidence> {
        let of = |measure: String, estimate: f64, bounds: Option<(f64, f64)>, threshold: f64| Evidence {
            measure,
            estimate,
            lower: bounds.map(|(least, _)| least),
            upper: bounds.map(|(_, most)| most),
            p: None,
            confidence: self.confidence,
            threshold,
            detectable: None,
            method: if bounds.is_some() { Method::Bootstrap } else { Method::Census },
            n: measured.n() as u64,
            effective: None,
            unknown: tally.unknown,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Plain,
        };
        let error =
            |what: &str, estimate| of(format!("calibration error{what}"), estimate, None, self.ceiling);
        let mut all = vec![
            of(
                format!("calibration error over {} bins", self.bins),
                numbers.ece,
                numbers.interval,
                self.ceiling,
            ),
            error(" over 15 bins", measured.ece(15)),
            error(" over bins of equal numbers", measured.adaptive_ece(self.bins)),
            error(" of the worst bin", measured.mce(self.bins)),
            of("Brier score".to_owned(), measured.brier(), None, 0.0),
            of("log loss".to_owned(), measured.log_loss(), None, 0.0),
        ];
        let auroc = measured.auroc();
        all.extend(auroc.map(|area| of("AUROC of confidence".to_owned(), area, numbers.auroc, 0.5)));
        let bins = measured.reliability(self.bins);
        all.extend(bins.iter().filter_map(|bin| {
            let right = right(bin)?;
            Some(Evidence {
                lower: Some(right.lower(self.confidence)),
                upper: Some(right.upper(self.confidence)),
                method: Method::ClopperPearson,
                n: bin.count,
                unknown: 0,
                unit: Unit::Share,
                ..of(
                    format!("right where {:.2} to {:.2} sure", bin.low, bin.high),
                    bin.accuracy,
                    None,
                    bin.confidence,
                )
            })
        }));
        all
    }
}

/// The error of `n` answers and of others that are not known, at best and at worst, if that of the `n` is between `least`
/// and `most`. The error is a mean over answers, and what each that is not known adds to its bin, up to its whole
/// weight, may as well make up for what others add.
fn within(least: f64, most: f64, n: u64, unknown: u64) -> (f64, f64) {
    let (n, unknown) = (n as f64, unknown as f64);
    let all = n + unknown;
    (((least * n - unknown) / all).max(0.0), ((most * n + unknown) / all).min(1.0))
}

/// The right answers of a bin; `None` without answers.
fn right(bin: &Bin) -> Option<Proportion> {
    Proportion::new((bin.accuracy * bin.count as f64).round() as u64, bin.count)
}

/// The numbers that take resampling.
struct Numbers {
    ece: f64,
    interval: Option<(f64, f64)>,
    auroc: Option<(f64, f64)>,
}

impl Numbers {
    fn new(check: &Calibration, measured: &statistics::Calibration, seed: u32) -> Self {
        let most = MOST_DRAWS / measured.n().max(1);
        let resamples = u32::try_from(most).unwrap_or(u32::MAX).clamp(LEAST_RESAMPLES, MOST_RESAMPLES);
        let bootstrap = Bootstrap { resamples, seed: seed.into() };
        // Of two bounds, each at the confidence.
        let level = (2.0 * check.confidence - 1.0).max(0.01);
        let area = |sample: &statistics::Calibration| sample.auroc().unwrap_or(0.5);
        let auroc = measured.auroc().and_then(|_| measured.resample(bootstrap, area)?.percentile(level));
        Self {
            ece: measured.ece(check.bins),
            interval: measured.ece_interval(check.bins, level, bootstrap),
            auroc,
        }
    }
}
