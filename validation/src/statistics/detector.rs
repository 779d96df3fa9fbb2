//! A rate that was counted by somebody who errs at known rates.

use statrs::distribution::{ContinuousCDF, Normal};

use super::Proportion;

/// How often a detector, such as a model that judges answers, is right about cases whose truth is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Detector {
    /// Of the positive cases, those that it finds.
    pub sensitivity: Proportion,
    /// Of the negative cases, those that it leaves alone.
    pub specificity: Proportion,
}

impl Detector {
    /// The share of positive cases among those whose truth is known.
    #[must_use]
    pub fn base_rate(self) -> f64 {
        let (positive, negative) = (self.sensitivity.trials() as f64, self.specificity.trials() as f64);
        positive / (positive + negative)
    }

    /// Youden's J: sensitivity and specificity less 1. At 0 the detector knows nothing, and near 0 what is
    /// corrected by it is a guess; 0.2 is little to gate on.
    #[must_use]
    pub fn informedness(self) -> f64 {
        self.sensitivity.share() + self.specificity.share() - 1.0
    }

    /// The true rate θ if the detector calls the share `called` positive: `(p + specificity − 1)/J`, kept between 0
    /// and 1. `None` if the detector knows nothing, or less.
    ///
    /// W. J. Rogan, B. Gladen, *Estimating prevalence from the results of a screening test*, American Journal of
    /// Epidemiology 107(1), 1978.
    #[must_use]
    pub fn corrected(self, called: f64) -> Option<f64> {
        let informed = self.informedness();
        (informed > 0.0).then(|| ((called + self.specificity.share() - 1.0) / informed).clamp(0.0, 1.0))
    }

    /// Between which bounds the true rate lies at `level`, given what the detector `called` positive. It covers the
    /// chance in all three samples: of what is judged, and of the positive and the negative cases that the detector
    /// was tried on.
    ///
    /// `None` if the detector knows nothing, or if `level` is not between 0 and 1.
    ///
    /// Z. Lang, J. Reiczigel, *Confidence limits for prevalence of disease adjusted for estimated sensitivity and
    /// specificity*, Preventive Veterinary Medicine 113(1), 2014. For judges: C. Lee et al., *How to correctly
    /// report LLM-as-a-judge evaluations*, arXiv:2511.21140, 2025.
    ///
    /// ```
    /// # use tidegate_validation::statistics::{Detector, Proportion};
    /// let share = |hits, trials| Proportion::new(hits, trials).unwrap();
    /// let judge = Detector { sensitivity: share(95, 100), specificity: share(70, 100) };
    /// assert!((judge.corrected(0.8383).unwrap() - 0.828_154).abs() < 1e-6);
    /// let (least, most) = judge.corrected_interval(share(8383, 10_000), 0.95).unwrap();
    /// // However many answers are judged, the judge is known no better than by 200 cases.
    /// assert!(0.77 < least && least < 0.78 && 0.90 < most && most < 0.91);
    /// ```
    #[must_use]
    pub fn corrected_interval(self, called: Proportion, level: f64) -> Option<(f64, f64)> {
        self.interval_of(called.share(), called.trials() as f64, level)
    }

    /// The same for a share that is worth so many trials.
    pub(crate) fn interval_of(self, share: f64, trials: f64, level: f64) -> Option<(f64, f64)> {
        if !(level > 0.0 && level < 1.0) {
            return None;
        }
        let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, level));
        // Each sample with some trials of either outcome added, so that none is without variance.
        let padded = |share: f64, trials: f64, pad: f64| {
            let n = trials + 2.0 * pad;
            let rate = (share * trials + pad) / n;
            (rate, rate * (1.0 - rate) / n)
        };
        let known = |share: Proportion| padded(share.share(), share.trials() as f64, 1.0);
        let (called, v_called) = padded(share, trials, z * z / 2.0);
        let (sensitivity, v_sensitivity) = known(self.sensitivity);
        let (specificity, v_specificity) = known(self.specificity);
        let informed = sensitivity + specificity - 1.0;
        if self.informedness() <= 0.0 || informed <= 0.0 {
            return None;
        }
        let rate = ((called + specificity - 1.0) / informed).clamp(0.0, 1.0);
        let shift = 2.0 * z * z * (rate * v_sensitivity - (1.0 - rate) * v_specificity);
        let variance = v_called + rate.powi(2) * v_sensitivity + (1.0 - rate).powi(2) * v_specificity;
        let half = z * variance.sqrt() / informed;
        Some(((rate + shift - half).clamp(0.0, 1.0), (rate + shift + half).clamp(0.0, 1.0)))
    }
}
