//! Whether a model is right as often as it says it is.

use fastrand::Rng;

use super::{Bootstrap, Resampled};

/// Answers, each with the confidence that the model had in it and whether it was right.
///
/// ```
/// # use tidegate_validation::statistics::Calibration;
/// let answers = [(0.95, true), (0.9, true), (0.8, false), (0.6, true), (0.55, false), (0.3, false)];
/// let calibration = Calibration::new(answers).unwrap();
/// println!("ECE {:.3}, Brier {:.3}", calibration.ece(10), calibration.brier());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// By confidence, equal ones in the order given.
    answers: Vec<(f64, bool)>,
}

/// Answers of about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bin {
    /// The confidences are above this, or are this in the first bin.
    pub low: f64,
    /// The confidences are at most this.
    pub high: f64,
    /// How many there are.
    pub count: u64,
    /// Their mean confidence; 0 without any.
    pub confidence: f64,
    /// The share of right answers among them; 0 without any.
    pub accuracy: f64,
}

impl Calibration {
    /// Below so many answers an [`ece`](Self::ece) is mostly chance, and no gate should rest on it.
    pub const ENOUGH: usize = 200;

    /// `None` without an answer, or if a confidence is not from 0 to 1.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = (f64, bool)>) -> Option<Self> {
        let mut answers: Vec<_> = answers.into_iter().collect();
        let sound = answers.iter().all(|(confidence, _)| (0.0..=1.0).contains(confidence));
        answers.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        (sound && !answers.is_empty()).then_some(Self { answers })
    }

    /// Answers.
    #[must_use]
    pub fn n(&self) -> usize {
        self.answers.len()
    }

    /// Bins of equal width, closed on the right: what a reliability diagram shows. At least one.
    #[must_use]
    pub fn reliability(&self, bins: u32) -> Vec<Bin> {
        let (bins, mut rest) = (bins.max(1), &self.answers[..]);
        (1..=bins)
            .map(|i| {
                let high = f64::from(i) / f64::from(bins);
                let (own, others) =
                    rest.split_at(rest.partition_point(|(confidence, _)| *confidence <= high));
                rest = others;
                Bin::new(f64::from(i - 1) / f64::from(bins), high, own)
            })
            .collect()
    }

    /// Bins of as equal numbers of answers as can be, the greater ones first; no more than there are answers.
    #[must_use]
    pub fn adaptive(&self, bins: u32) -> Vec<Bin> {
        let n = self.answers.len();
        let bins = (bins.max(1) as usize).min(n);
        let mut rest = &self.answers[..];
        (0..bins)
            .map(|i| {
                let (own, others) = rest.split_at(n / bins + usize::from(i < n % bins));
                rest = others;
                Bin::new(own[0].0, own[own.len() - 1].0, own)
            })
            .collect()
    }

    /// The expected calibration error over [bins of equal width](Self::reliability): how far confidence and
    /// accuracy are apart, on average over answers.
    ///
    /// It depends on the number of bins, and is too great with few answers: of a model that is perfectly calibrated
    /// it is above 0 as well.
    ///
    /// M. P. Naeini, G. F. Cooper, M. Hauskrecht, *Obtaining well calibrated probabilities using Bayesian binning*,
    /// AAAI 2015.
    #[must_use]
    pub fn ece(&self, bins: u32) -> f64 {
        mean_gap(&self.reliability(bins), self.n())
    }

    /// The same over [bins of equal numbers](Self::adaptive).
    ///
    /// J. Nixon et al., *Measuring calibration in deep learning*, CVPR workshops 2019.
    #[must_use]
    pub fn adaptive_ece(&self, bins: u32) -> f64 {
        mean_gap(&self.adaptive(bins), self.n())
    }

    /// The greatest distance between confidence and accuracy in any bin of equal width.
    #[must_use]
    pub fn mce(&self, bins: u32) -> f64 {
        self.reliability(bins).iter().map(Bin::gap).fold(0.0, f64::max)
    }

    /// The mean squared distance between confidence and outcome, from 0 to 1.
    ///
    /// G. W. Brier, *Verification of forecasts expressed in terms of probability*, Monthly Weather Review 78(1), 1950.
    #[must_use]
    pub fn brier(&self) -> f64 {
        let squares = self.answers.iter().map(|(confidence, right)| (confidence - outcome(*right)).powi(2));
        squares.sum::<f64>() / self.n() as f64
    }

    /// The mean of `−ln` of the confidence in what was the case, in nats. Confidences are kept 10⁻¹⁵ away from 0 and
    /// 1, as one wrong certainty would make it infinite.
    #[must_use]
    pub fn log_loss(&self) -> f64 {
        let losses = self.answers.iter().map(|(confidence, right)| {
            let confidence = confidence.clamp(1e-15, 1.0 - 1e-15);
            if *right { -confidence.ln() } else { -(1.0 - confidence).ln() }
        });
        losses.sum::<f64>() / self.n() as f64
    }

    /// The area under the ROC curve: how often, of a right and a wrong answer, the right one has the greater
    /// confidence, equal ones counted as halves. `None` if all answers are right, or all wrong.
    #[must_use]
    pub fn auroc(&self) -> Option<f64> {
        let (mut wrong_below, mut right, mut twice) = (0_u64, 0_u64, 0_u128);
        for tied in self.answers.chunk_by(|(one, _), (other, _)| one == other) {
            let right_here = tied.iter().filter(|(_, right)| *right).count() as u64;
            let wrong_here = tied.len() as u64 - right_here;
            twice += u128::from(right_here) * u128::from(2 * wrong_below + wrong_here);
            wrong_below += wrong_here;
            right += right_here;
        }
        let pairs = right as f64 * wrong_below as f64;
        (pairs > 0.0).then(|| twice as f64 / 2.0 / pairs)
    }

    /// The chance of an [`ece`](Self::ece) at least as great if the model is right exactly as often as it says:
    /// outcomes are drawn over and over by the confidences. `None` with a number of resamples that is not allowed.
    ///
    /// J. Bröcker, L. A. Smith, *Increasing the reliability of reliability diagrams*, Weather and Forecasting 22(3),
    /// 2007.
    #[must_use]
    pub fn p_calibrated(&self, bins: u32, bootstrap: Bootstrap) -> Option<f64> {
        if !(1..=Bootstrap::MOST).contains(&bootstrap.resamples) {
            return None;
        }
        let (mut rng, ece) = (Rng::with_seed(bootstrap.seed), self.ece(bins));
        let mut sample = self.clone();
        let mut draw = || {
            sample.answers.iter_mut().for_each(|(confidence, right)| *right = rng.f64() < *confidence);
            // Sums of the same numbers are the same only but for rounding.
            sample.ece(bins) >= ece - 1e-12
        };
        let greater = (0..bootstrap.resamples).filter(|_| draw()).count();
        Some((greater + 1) as f64 / (f64::from(bootstrap.resamples) + 1.0))
    }

    /// Between which bounds the [`ece`](Self::ece) of all answers that there could be lies at `level`, by drawing
    /// answers with replacement.
    ///
    /// The error of a sample is greater than that of all answers, and that of a resample greater once more. The lower
    /// bound is therefore taken below the estimate by as much as resamples are above it, and is 0 where the model
    /// [may be calibrated](Self::p_calibrated). The upper one is that of the resamples, which errs on the safe side.
    ///
    /// `None` if that leaves nothing to measure chance by, with a number of resamples that is not allowed, or if
    /// `level` is not between 0 and 1.
    #[must_use]
    pub fn ece_interval(&self, bins: u32, level: f64, bootstrap: Bootstrap) -> Option<(f64, f64)> {
        let resampled = self.resample(bootstrap, |sample| sample.ece(bins))?;
        let (_, most) = resampled.percentile(level)?;
        let most = most.min(1.0);
        let may_be_calibrated = self.p_calibrated(bins, bootstrap)? > (1.0 - level) / 2.0;
        let least = if may_be_calibrated { 0.0 } else { (2.0 * resampled.estimate() - most).max(0.0) };
        Some((least, most))
    }

    /// What `measure` comes to in resamples of the answers. None of them may be `NaN`: then it is `None`, as it is
    /// with a number of resamples that is not allowed.
    #[must_use]
    pub fn resample(&self, bootstrap: Bootstrap, measure: impl Fn(&Self) -> f64) -> Option<Resampled> {
        if !(1..=Bootstrap::MOST).contains(&bootstrap.resamples) {
            return None;
        }
        let mut rng = Rng::with_seed(bootstrap.seed);
        let mut draw = || {
            // Counting how often each is drawn keeps them in order.
            let mut times = vec![0_u32; self.n()];
            (0..self.n()).for_each(|_| times[rng.usize(..self.n())] += 1);
            let drawn = self.answers.iter().zip(times);
            let answers = drawn.flat_map(|(answer, times)| (0..times).map(|_| *answer)).collect();
            measure(&Self { answers })
        };
        let resamples: Vec<f64> = (0..bootstrap.resamples).map(|_| draw()).collect();
        let estimate = measure(self);
        let known = !estimate.is_nan() && !resamples.iter().any(|value| value.is_nan());
        known.then(|| Resampled::new(estimate, 0.0, resamples))
    }
}

impl Bin {
    fn new(low: f64, high: f64, answers: &[(f64, bool)]) -> Self {
        let n = answers.len().max(1) as f64;
        let confidence = answers.iter().map(|(confidence, _)| confidence).sum::<f64>() / n;
        let accuracy = answers.iter().filter(|(_, right)| *right).count() as f64 / n;
        Self { low, high, count: answers.len() as u64, confidence, accuracy }
    }

    /// How far confidence and accuracy are apart.
    #[must_use]
    pub fn gap(&self) -> f64 {
        (self.confidence - self.accuracy).abs()
    }
}

fn mean_gap(bins: &[Bin], n: usize) -> f64 {
    bins.iter().map(|bin| bin.count as f64 * bin.gap()).sum::<f64>() / n as f64
}

fn outcome(right: bool) -> f64 {
    if right { 1.0 } else { 0.0 }
}
