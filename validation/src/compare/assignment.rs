//! A/B in production: which unit was shown which version, and what came of it.

mod log;
mod units;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::units::{Arm, LeftOut, Units};
use self::{log::Log, units::Sample};
use super::{
    CompareError, Comparison, Goal,
    comparison::{Seen, bounds_flaw, fewest, unseen_share},
};
use crate::{
    Evidence, Finding, Method, Proportion, Reason, Unit, Verdict,
    statistics::{ClusteredMean, Unpaired, detectable_gap, homogeneity, sample_ratio},
};

/// Most units of the log of an experiment.
const MOST_UNITS: usize = 4_000_000;
/// Most outcomes with a time, which are told from their duplicates.
const MOST_OUTCOMES: usize = 16_000_000;
/// Up to so many units the law of their split is summed; above, χ² says the same.
const MOST_SUMMED: u64 = 1_000;

/// An experiment in production: each unit (a user, a session, a conversation) was assigned to the candidate or to the
/// baseline, and outcomes of units were logged.
///
/// The arms are compared only if they are as they were made: in the numbers that their shares ask for, with next to no
/// unit in both, and alike in how many units have an outcome. Otherwise it is inconclusive, whatever the outcomes say.
/// Where each unit has one outcome that is a hit or none, the rates are compared by a score test. Otherwise
/// outcomes are added up by unit, and their means are compared by Welch's test, in which units count and not outcomes.
/// Where all outcomes are hits or none, its bounds also allow for as many units unlike those seen as may have been missed
/// by chance.
///
/// ```
/// use std::time::UNIX_EPOCH;
/// use tidegate_validation::{Verdict, compare::{Arm, Experiment, Units}};
///
/// let mut units = Units::default();
/// for user in 0..2_000 {
///     let arm = if user % 2 == 0 { Arm::Candidate } else { Arm::Baseline };
///     units.assign(&user.to_string(), arm, UNIX_EPOCH);
///     units.outcome(&user.to_string(), f64::from(user % 20 < 13), None);
/// }
/// let compared = Experiment::default().judge(&units);
/// assert_eq!(compared.finding.verdict, Verdict::Pass);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Experiment {
    /// What the log calls the candidate's arm.
    pub candidate: String,
    /// What it calls the baseline's.
    pub baseline: String,
    /// How many units the candidate was to have for how many of the baseline, such as `(1.0, 9.0)`.
    pub split: (f64, f64),
    /// Arms are not compared if chance makes them so unlike as they are less often than this.
    pub mismatch: f64,
    /// What becomes of units without an outcome.
    pub silent: Silent,
    /// What is to be shown.
    pub goal: Goal,
    /// By how much the candidate may be worse under [`Goal::NotWorse`], above 0: as a difference of rates, or of means
    /// of what the outcomes count.
    pub margin: f64,
    /// Confidence of each bound, above ½.
    pub confidence: f64,
}

/// What becomes of units without an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "they count or they do not")]
pub enum Silent {
    /// They are left out. Both arms must then have about the same share of them.
    #[default]
    LeftOut,
    /// They have an outcome of 0, for logs that name only those of whom there is something to tell.
    Zero,
}

/// What an experiment shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Compared {
    /// The verdict; the first evidence is of how the units were split, the second of the difference.
    pub finding: Finding,
    /// Units of the candidate.
    pub candidate_units: u64,
    /// Units of the baseline.
    pub baseline_units: u64,
    /// What was not compared.
    pub left_out: LeftOut,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            candidate: "candidate".to_owned(),
            baseline: "baseline".to_owned(),
            split: (1.0, 1.0),
            mismatch: 0.001,
            silent: Silent::LeftOut,
            goal: Goal::NotWorse,
            margin: 0.05,
            confidence: 0.95,
        }
    }
}

impl Experiment {
    /// The greatest share of units that may have been in both arms; those that were are left out.
    pub const MOST_CROSSED: f64 = 0.01;

    /// Reads an assignment log with the fields `unit`, `arm` and `time`, and outcomes with `unit`, `value` (a number) or
    /// `hit` (true or false), and `time` if it is known; blocking. Either is JSON Lines or CSV, with whatever other fields.
    ///
    /// A time is RFC 3339 in UTC, or a number of seconds since 1970. It holds about 100 bytes for each unit, of which
    /// there may be four million, and 16 for each outcome with a time, of which there may be sixteen million.
    ///
    /// # Errors
    ///
    /// [`CompareError`] says which line is wrong and what would be right.
    pub fn read(&self, assignments: &Path, outcomes: &Path) -> Result<Units, CompareError> {
        if let Some((field, why)) = self.flaw() {
            return Err(CompareError::Misconfigured { field, why });
        }
        let mut units = Units::default();
        let mut log = Log::open(assignments)?;
        while let Some(row) = log.next()? {
            let name = row.text("arm")?;
            let arm = match () {
                () if name == self.candidate => Arm::Candidate,
                () if name == self.baseline => Arm::Baseline,
                () => Arm::Other,
            };
            units.assign(&row.text("unit")?, arm, row.time()?.ok_or_else(|| row.missing("time"))?);
            if units.len() > MOST_UNITS {
                return Err(
                    row.malformed(format!("there are more than {MOST_UNITS} units; compare a share of them"))
                );
            }
        }
        let arms = [(&self.candidate, Arm::Candidate), (&self.baseline, Arm::Baseline)];
        if let Some((name, _)) = arms.into_iter().find(|(_, arm)| units.none_in(*arm)) {
            let why = format!("no unit is in arm `{name}` alone; name the arms as the log does");
            return Err(CompareError::Nothing { why });
        }
        let mut log = Log::open(outcomes)?;
        while let Some(row) = log.next()? {
            let (unit, value, at) = (row.text("unit")?, row.value()?, row.time()?);
            if at.is_none() && units.has_outcome(&unit) {
                let why = "the unit has an outcome already; give outcomes a `time`, so that several are told from one that is there twice";
                return Err(row.malformed(why.to_owned()));
            }
            units.outcome(&unit, value, at);
            if units.outcomes() > MOST_OUTCOMES {
                let why = format!("there are more than {MOST_OUTCOMES} outcomes; add them up by unit");
                return Err(row.malformed(why));
            }
        }
        Ok(units)
    }

    /// Judges what came of `units`.
    #[must_use]
    pub fn judge(&self, units: &Units) -> Compared {
        let (candidate, baseline) =
            (units.sample(Arm::Candidate, self.silent), units.sample(Arm::Baseline, self.silent));
        let mut left_out = units.left_out();
        if self.silent == Silent::LeftOut {
            (left_out.silent_candidate, left_out.silent_baseline) = (candidate.silent, baseline.silent);
        }
        let split = self.split(&candidate, &baseline);
        let seen = self.seen(&candidate, &baseline);
        let misassigned =
            self.misassigned(split.as_ref().and_then(|split| split.p), &left_out, &candidate, &baseline);
        let verdict = match (&seen, misassigned) {
            _ if self.flaw().is_some() => Verdict::Inconclusive(Reason::NothingChecked),
            (_, Some(what)) => Verdict::Inconclusive(Reason::Misassigned { what }),
            (None, None) => Verdict::Inconclusive(Reason::NothingChecked),
            (Some(seen), None) => match seen.reached {
                Some(true) => Verdict::Pass,
                Some(false) => Verdict::Fail,
                None => Verdict::Inconclusive(self.undecided(seen, &candidate, &baseline)),
            },
        };
        let difference = seen.map(|seen| Evidence {
            measure: "outcomes, candidate less baseline".to_owned(),
            estimate: seen.estimate,
            lower: seen.bounds.map(|(lower, _)| lower),
            upper: seen.bounds.map(|(_, upper)| upper),
            p: seen.p,
            confidence: self.confidence,
            threshold: self.goal.threshold(self.margin),
            detectable: seen.detectable,
            method: seen.method,
            n: candidate.outcomes() + baseline.outcomes(),
            effective: None,
            unknown: 0,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Plain,
        });
        let finding = Finding::new("experiment", verdict, self.goal.claim(self.margin));
        Compared {
            finding: finding.with_evidence(split).with_evidence(difference),
            candidate_units: candidate.units,
            baseline_units: baseline.units,
            left_out,
        }
    }

    /// What is wrong with it, if anything: the field and what would be right.
    fn flaw(&self) -> Option<(&'static str, String)> {
        let sound = |share: f64| share > 0.0 && share.is_finite();
        if self.candidate == self.baseline {
            return Some(("baseline", "is the arm of the candidate, too; name another".to_owned()));
        }
        if !(sound(self.split.0) && sound(self.split.1)) {
            return Some(("split", "must be two numbers above 0, such as 1 and 9".to_owned()));
        }
        if !(self.mismatch > 0.0 && self.mismatch < 0.5) {
            let why = format!("{} must be above 0 and below 0.5, such as 0.001", self.mismatch);
            return Some(("mismatch", why));
        }
        bounds_flaw(self.goal, self.margin, f64::MAX, self.confidence)
    }

    /// How the units were split.
    fn split(&self, candidate: &Sample, baseline: &Sample) -> Option<Evidence> {
        let n = candidate.units + baseline.units;
        let share = Proportion::new(candidate.units, n)?;
        let (one, other) = self.split;
        let wanted = one / (one + other);
        let (p, method) = match n {
            0..=MOST_SUMMED => (share.p_two_sided(wanted), Method::ClopperPearson),
            _ => (sample_ratio(&[candidate.units, baseline.units], &[one, other])?.p, Method::ChiSquare),
        };
        Some(Evidence {
            measure: "units of the candidate".to_owned(),
            estimate: share.share(),
            lower: Some(share.lower(self.confidence)),
            upper: Some(share.upper(self.confidence)),
            p: Some(p),
            confidence: self.confidence,
            threshold: wanted,
            detectable: None,
            method,
            n,
            effective: None,
            unknown: 0,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Share,
        })
    }

    /// Why the arms are not to be compared, if they are not.
    fn misassigned(
        &self,
        split: Option<f64>,
        left_out: &LeftOut,
        candidate: &Sample,
        baseline: &Sample,
    ) -> Option<String> {
        let units = candidate.units + baseline.units;
        if split.is_some_and(|p| p < self.mismatch) {
            return Some(format!(
                "{} and {} units are not the {} to {} that they were to be (p below {}); look for what loses or doubles units of one arm",
                candidate.units, baseline.units, self.split.0, self.split.1, self.mismatch
            ));
        }
        let crossed = left_out.both_arms as f64 / (units + left_out.both_arms).max(1) as f64;
        if crossed > Self::MOST_CROSSED {
            return Some(format!(
                "{} units were in both arms, more than {} of all; assign a unit once and for all",
                left_out.both_arms,
                Self::MOST_CROSSED
            ));
        }
        if self.silent == Silent::Zero {
            return None;
        }
        let told = |sample: &Sample| [sample.units - sample.silent, sample.silent];
        let alike = homogeneity(&told(candidate), &told(baseline))?;
        (alike.p < self.mismatch).then(|| {
            format!(
                "{} of {} units of the candidate have no outcome and {} of {} of the baseline (p below {}); log outcomes of all, or count units without one as 0",
                candidate.silent, candidate.units, baseline.silent, baseline.units, self.mismatch
            )
        })
    }

    /// The difference of the arms.
    fn seen(&self, candidate: &Sample, baseline: &Sample) -> Option<Seen> {
        match (candidate.rate(), baseline.rate()) {
            (Some(candidate), Some(baseline)) => self.rates(Unpaired { candidate, baseline }),
            _ => self.means(candidate, baseline),
        }
    }

    fn rates(&self, rates: Unpaired) -> Option<Seen> {
        let bounds = rates.interval(2.0 * self.confidence - 1.0);
        let margin = if self.goal == Goal::Better { 0.0 } else { self.margin };
        // One hit and one miss more, so that rates of 0 and 1 vary as well.
        let variance = |side: Proportion| {
            let n = side.trials() as f64 + 2.0;
            let rate = (side.hits() as f64 + 1.0) / n;
            rate * (1.0 - rate) / n
        };
        let freedom = (rates.candidate.trials() + rates.baseline.trials()) as f64;
        let standard_error = (variance(rates.candidate) + variance(rates.baseline)).sqrt();
        Some(Seen {
            estimate: rates.difference(),
            bounds,
            p: Some(rates.p_not_worse(margin)),
            method: Method::Score,
            reached: self.goal.reached(bounds, self.margin),
            detectable: detectable_gap(standard_error, freedom, self.confidence, Evidence::POWER),
        })
    }

    fn means(&self, candidate: &Sample, baseline: &Sample) -> Option<Seen> {
        let [one, other] = [candidate, baseline].map(|sample| ClusteredMean::new(sample.clusters()));
        let gap = one.as_ref()?.minus(other.as_ref()?);
        let mut bounds = gap.as_ref().and_then(|gap| gap.interval(2.0 * self.confidence - 1.0));
        if candidate.hit_or_none && baseline.hit_or_none {
            let (lower, upper) = self.unseen(one.as_ref()?, other.as_ref()?);
            let (low, high) = bounds.unwrap_or((lower, upper));
            bounds = Some((lower.min(low), upper.max(high)));
        }
        let enough = candidate.told().min(baseline.told()) >= Comparison::FEWEST;
        let detectable = gap.and_then(|gap| {
            detectable_gap(gap.standard_error, gap.freedom, self.confidence, Evidence::POWER)
        });
        Some(Seen {
            estimate: one?.mean - other?.mean,
            bounds,
            p: None,
            method: Method::Welch,
            reached: self.goal.reached(bounds, self.margin).filter(|_| enough),
            detectable,
        })
    }

    /// Bounds of the difference of two means of hits if the units that were not seen of either arm, as many as there may
    /// be, had none or nothing else.
    fn unseen(&self, one: &ClusteredMean, other: &ClusteredMean) -> (f64, f64) {
        let [of_one, of_other] = [one, other].map(|mean| unseen_share(mean.clusters, self.confidence));
        let difference = one.mean - other.mean;
        // Chance that hides units of both arms hides fewer of each, so together they weigh no more than the greater.
        let worse = (of_one * one.mean).max(of_other * (1.0 - other.mean));
        let better = (of_one * (1.0 - one.mean)).max(of_other * other.mean);
        (difference - worse, difference + better)
    }

    fn undecided(&self, seen: &Seen, candidate: &Sample, baseline: &Sample) -> Reason {
        let have = candidate.told() + baseline.told();
        let distance = (seen.estimate - self.goal.threshold(self.margin)).abs();
        if seen.method == Method::Welch && candidate.told().min(baseline.told()) < Comparison::FEWEST {
            return Reason::TooAlike { have, need: Some(2 * Comparison::FEWEST) };
        }
        // What shows falls with the square root of how many units there are.
        let spread = seen.detectable.map(|detectable| detectable * (have as f64).sqrt());
        let enough = |n: u64| spread.is_some_and(|spread| spread / (n as f64).sqrt() <= distance);
        Reason::TooAlike { have, need: fewest(have + 1, enough) }
    }
}
