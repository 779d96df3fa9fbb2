//! Two versions that answered different requests: is one right more often, and by how much?

use super::{Proportion, score};

/// The shares of two independent samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Unpaired {
    /// Of the candidate.
    pub candidate: Proportion,
    /// Of the baseline.
    pub baseline: Proportion,
}

impl Unpaired {
    /// The candidate's share less the baseline's.
    #[must_use]
    pub fn difference(self) -> f64 {
        self.candidate.share() - self.baseline.share()
    }

    /// Between which bounds the true difference of the rates lies at `level`, by inverting the score test: of the
    /// closed forms it comes nearest to its level, with few trials and at rates near 0 and 1 as well (R. G.
    /// Newcombe, *Interval estimation for the difference between independent proportions: comparison of eleven
    /// methods*, Statistics in Medicine 17(8), 1998). `None` if `level` is not between 0 and 1.
    ///
    /// O. Miettinen, M. Nurminen, *Comparative analysis of two rates*, Statistics in Medicine 4(2), 1985.
    ///
    /// ```
    /// # use tidegate_validation::statistics::{Proportion, Unpaired};
    /// let [candidate, baseline] = [Proportion::new(56, 70).unwrap(), Proportion::new(48, 80).unwrap()];
    /// let (least, most) = Unpaired { candidate, baseline }.interval(0.95).unwrap();
    /// assert!((least - 0.0528).abs() < 1e-4 && (most - 0.3382).abs() < 1e-4);
    /// ```
    #[must_use]
    pub fn interval(self, level: f64) -> Option<(f64, f64)> {
        let swapped = Self { candidate: self.baseline, baseline: self.candidate };
        score::interval(level, |difference| self.z(difference), |difference| swapped.z(difference))
    }

    /// The chance of a difference at least as far away, on either side, if the rates are the same.
    #[must_use]
    pub fn p_two_sided(self) -> f64 {
        2.0 * score::upper_tail(self.z(0.0).abs())
    }

    /// The chance of what was seen, or of what speaks even more for the candidate, if its rate is lower by `margin`.
    #[must_use]
    pub fn p_not_worse(self, margin: f64) -> f64 {
        score::upper_tail(self.z(-margin))
    }

    /// How many standard deviations the difference is above `difference`, if that is the true one.
    fn z(self, difference: f64) -> f64 {
        let of = |side: Proportion| (side.hits() as f64, side.trials() as f64);
        let ((_, n_1), (_, n_2)) = (of(self.candidate), of(self.baseline));
        let rate_2 = self.likeliest_baseline(difference);
        let rate_1 = (rate_2 + difference).clamp(0.0, 1.0);
        let variance = rate_1 * (1.0 - rate_1) / n_1 + rate_2 * (1.0 - rate_2) / n_2;
        score::z(self.difference() - difference, variance * (n_1 + n_2) / (n_1 + n_2 - 1.0))
    }

    /// The likeliest rate of the baseline if the candidate's is greater by `difference`: where the derivative of
    /// the logarithm of the likelihood, which falls, crosses 0.
    fn likeliest_baseline(self, difference: f64) -> f64 {
        let term = |hits: u64, rate: f64| if hits == 0 { 0.0 } else { hits as f64 / rate };
        let slope = |side: Proportion, rate: f64| {
            term(side.hits(), rate) - term(side.trials() - side.hits(), 1.0 - rate)
        };
        let (mut low, mut high) = ((-difference).max(0.0), (1.0 - difference).min(1.0));
        for _ in 0..60 {
            let rate = low.midpoint(high);
            let rises = slope(self.candidate, rate + difference) + slope(self.baseline, rate) > 0.0;
            if rises { low = rate } else { high = rate }
        }
        low.midpoint(high)
    }
}
