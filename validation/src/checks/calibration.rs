//! Does a model know when it is right?

mod source;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

pub use self::source::Confidence;
use self::source::Sure;
use super::{Matching, Questioned, Settings, asking, common_flaw, safety::ceiling_flaw};
use crate::{
    AgentError, Case, Cost, Error, Evidence, Finding, Freshness, Gate, Method, Outcome, Reason, Rule, Run,
    Sampling, Shortage, Subject, Tally, Unit, Validator, Verdict,
    asking::{Answer, Asking, Luck, not_asked},
    dataset::{Dataset, InvalidDataset, Question},
    statistics::{self, Bin, Bootstrap, Proportion},
};

/// Most cases of a finding.
const MOST_SHOWN: usize = 100;
/// Most samples of one question.
const MOST_SAMPLES: u32 = 100;

/// Asks questions with one right answer, and holds the distance between how sure the model is and how often it is right
/// against a ceiling: the expected calibration error over bins of equal width.
///
/// Beside it stand the error over 15 bins and over bins of equal numbers, the greatest error of a bin, the Brier score, the
/// log loss, how well confidence tells right answers from wrong ones (AUROC), and the bins themselves: the
/// share of right answers in each, held against its mean confidence. [`statistics::reliability_svg`] draws them.
///
/// The error of few answers is mostly chance: below 200 the check is inconclusive.
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
            return Some((
                "dataset",
                "is missing; name a file with questions and targets, or write `cases`".to_owned(),
            ));
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
        let questions = self.questions().await?;
        let luck = Luck::default();
        let asked: Vec<_> = questions.iter().map(|question| self.one(&asking, &luck, question)).collect();
        let answers: Vec<_> = stream::iter(asked).buffered(run.concurrency.get()).collect().await;
        self.finding(&questions, answers, run)
    }
}

/// What became of one question.
enum Made {
    Known(Sure, bool),
    Unknown(Reason, String),
    Lost(AgentError),
    Short(Option<Shortage>),
}

impl Calibration {
    const fn times(&self) -> u32 {
        match self.source {
            Confidence::SelfConsistency => self.samples,
            Confidence::Logprob | Confidence::Verbalised => 1,
        }
    }

    async fn questions(&self) -> Result<Vec<Arc<Question>>, Error> {
        let dataset = self.dataset.clone();
        let read = tokio::task::spawn_blocking(move || {
            let questions = dataset.iter().map(Dataset::questions).collect::<Result<Vec<_>, _>>()?;
            questions.into_iter().flatten().map(|question| question.map(Arc::new)).collect()
        });
        let read: Result<_, InvalidDataset> =
            read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        read.map_err(|source| Error::Dataset { check: self.name.clone(), source: Box::new(source) })
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

    fn finding(&self, questions: &[Arc<Question>], answers: Vec<Made>, run: &Run) -> Result<Finding, Error> {
        let (mut tally, mut known, mut cases) = (Tally::default(), Vec::new(), Vec::new());
        let (mut lost, mut short) = (None, None);
        for (question, made) in questions.iter().zip(answers) {
            let (outcome, detail) = match made {
                Made::Known(sure, right) => {
                    known.push((sure.confidence, right));
                    let outcome = if right { Outcome::Hit } else { Outcome::Miss };
                    tally.count(outcome);
                    (outcome, format!("{:.0} % sure of `{}`", sure.confidence * 100.0, sure.answer.trim()))
                }
                Made::Unknown(reason, why) => {
                    tally.unknown(reason);
                    (Outcome::Unknown, why)
                }
                Made::Lost(error) => {
                    tally.unknown(Reason::infra(&error));
                    let why = error.to_string();
                    lost = Some(error);
                    (Outcome::Unknown, why)
                }
                Made::Short(shortage) => {
                    tally.unknown(not_asked(shortage.as_ref()));
                    short = short.or(shortage);
                    (Outcome::Unknown, "not asked".to_owned())
                }
            };
            if outcome != Outcome::Hit && cases.len() < MOST_SHOWN {
                cases.push(Case::new(question.prompt(), outcome, &detail));
            }
        }
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
        let numbers = Numbers::new(self, &measured, run.seed);
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
        // An answer moves the error by no more than its share of all.
        let unknown = tally.unknown as f64 / (n + tally.unknown) as f64;
        let (least, most) = match (self.rule, numbers.interval) {
            (Rule::Point, _) => (numbers.ece, numbers.ece),
            (_, Some(interval)) => interval,
            (_, None) => (0.0, 1.0),
        };
        if most + unknown <= self.ceiling {
            return Verdict::Pass;
        }
        if least - unknown > self.ceiling {
            return Verdict::Fail;
        }
        Verdict::Inconclusive(tally.why_unknown.clone().unwrap_or_else(|| {
            // Bounds draw in with the root of the number of answers.
            let times = (most - least) / 2.0 / (numbers.ece - self.ceiling).abs().max(0.005);
            Reason::TooFew { have: n, need: (n as f64 * times.powi(2).clamp(1.1, 100.0)).ceil() as u64 }
        }))
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
        let bootstrap = Bootstrap { resamples: 2_000, seed: seed.into() };
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
