//! A share over trials that come in clusters or count differently, and how well it is known.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::proportion::{Proportion, beta_quantile};

/// A weighted share, and how many independent trials it is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct WeightedShare {
    /// The share, from 0 to 1.
    pub share: f64,
    /// The number of independent trials of equal weight that would tell as much.
    pub effective: f64,
    /// The number of independent trials if clusters had one each, by L. Kish's `(Σ weight)²/Σ weight²`: what was not seen
    /// in as many may be there all the same.
    pub kish: f64,
}

/// A share over clusters, linearised.
struct Linearised {
    share: f64,
    kish: f64,
    /// By the variance among clusters; none where they leave none to measure.
    effective: Option<f64>,
}

impl WeightedShare {
    /// The share of `clusters`, each its weight of hits and its weight of trials; `n` is the number of trials.
    /// `None` without a trial, with a weight that is not finite, or if `confidence` is not between 0 and 1.
    ///
    /// The effective number of trials is `p(1 − p)/v`, with `v` the variance of the share by linearisation over
    /// clusters, `C/(C − 1) · Σ(hits − p·weight)²/(Σ weight)²`, times the squared ratio of Student's quantiles with
    /// `n − 1` and `C − 1` degrees of freedom, and `n` at most. E. L. Korn, B. I. Graubard, *Confidence intervals for
    /// proportions with small expected number of positive counts estimated from survey data*, Survey Methodology 24,
    /// 1998; the bounds of the National Center for Health Statistics (Vital and Health Statistics 2(175), 2017).
    ///
    /// Clusters that are all hit, or all missed, leave no variance to measure; then each cluster is one trial, by
    /// L. Kish's `(Σ weight)²/Σ weight²` if they count differently.
    #[must_use]
    pub fn of(clusters: impl Iterator<Item = (f64, f64)> + Clone, n: u64, confidence: f64) -> Option<Self> {
        let Linearised { share, kish, effective } = Linearised::of(clusters, n, confidence)?;
        let most = n as f64;
        Some(Self { share, effective: effective.unwrap_or(kish).min(most), kish: kish.min(most) })
    }

    /// The share of trials that follow each other, in `blocks` of time, each its hits and its trials; `clusters` is the
    /// number of independent trials if trials of one request tell as much as one, by Kish's formula, and `n` the number of
    /// trials. `None` as for [`of`](Self::of).
    ///
    /// Trials of one block may depend on each other in any way, and blocks hardly do, if they are longer than what
    /// makes neighbours alike: the variance among blocks holds that within them, of trials within requests and of
    /// requests that met the same moment. B. Schmeiser, *Batch size effects in the analysis of simulation output*,
    /// Operations Research 30(3), 1982, for 10 to 30 blocks; M. H. Hansen, W. N. Hurwitz, W. G. Madow, *Sample Survey Methods
    /// and Theory*, 1953, for clusters within clusters. Where blocks do not differ, as where all trials hit, no
    /// dependence shows, and each request is one trial.
    #[must_use]
    pub fn in_blocks(
        blocks: impl Iterator<Item = (f64, f64)> + Clone,
        clusters: f64,
        n: u64,
        confidence: f64,
    ) -> Option<Self> {
        let Linearised { share, effective, .. } = Linearised::of(blocks, n, confidence)?;
        let kish = clusters.min(n as f64);
        Some(Self { share, effective: effective.unwrap_or(kish).min(n as f64), kish })
    }

    /// The share of `hits` among `trials` that are independent and count the same; `None` without any.
    #[must_use]
    pub fn plain(hits: u64, trials: u64) -> Option<Self> {
        let share = Proportion::new(hits, trials)?.share();
        Some(Self { share, effective: trials as f64, kish: trials as f64 })
    }

    /// The one-sided lower bound: Clopper and Pearson's, with the effective number of trials, and never above what all
    /// hits would show, `(1 − confidence)^(1/kish)`. A miss or two within clusters make little variance, and say nothing of
    /// clusters that would be missed outright.
    #[must_use]
    pub fn lower(self, confidence: f64) -> f64 {
        let hits = self.share * self.effective;
        let beta = if hits <= 0.0 {
            0.0
        } else {
            beta_quantile(hits, self.effective - hits + 1.0, 1.0 - confidence)
        };
        beta.min(self.all_alike(confidence))
    }

    /// The one-sided upper bound, never below what no hit would show.
    #[must_use]
    pub fn upper(self, confidence: f64) -> f64 {
        let hits = self.share * self.effective;
        let misses = self.effective - hits;
        let beta = if misses <= 0.0 { 1.0 } else { beta_quantile(hits + 1.0, misses, confidence) };
        beta.max(1.0 - self.all_alike(confidence))
    }

    fn all_alike(self, confidence: f64) -> f64 {
        (1.0 - confidence).powf(1.0 / self.kish)
    }
}

impl Linearised {
    fn of(clusters: impl Iterator<Item = (f64, f64)> + Clone, n: u64, confidence: f64) -> Option<Self> {
        let clusters = clusters.filter(|(_, weight)| *weight > 0.0);
        let (mut count, mut hits, mut weight, mut squares) = (0_u64, 0.0, 0.0, 0.0);
        for (hit, of) in clusters.clone() {
            count += 1;
            hits += hit;
            weight += of;
            squares += of * of;
        }
        let sound = hits.is_finite() && squares.is_finite() && confidence > 0.0 && confidence < 1.0;
        if count == 0 || n == 0 || !sound {
            return None;
        }
        let share = (hits / weight).clamp(0.0, 1.0);
        let kish = weight * weight / squares;
        let spread: f64 = clusters.map(|(hit, of)| (hit - share * of).powi(2)).sum();
        let enough = count > 1 && share > 0.0 && share < 1.0 && spread > 1e-18 * weight * weight;
        if !enough {
            return Some(Self { share, kish, effective: None });
        }
        let c = count as f64;
        let variance = c / (c - 1.0) * spread / (weight * weight);
        let student = |freedom: f64| StudentsT::new(0.0, 1.0, freedom).map(|t| t.inverse_cdf(confidence));
        let effective = match (student((n - 1) as f64), student(c - 1.0)) {
            (Ok(wide), Ok(narrow)) if narrow > 0.0 => {
                Some(share * (1.0 - share) / variance * (wide / narrow).powi(2))
            }
            _ => None,
        };
        Some(Self { share, kish, effective })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17: `stats.beta.ppf` and `stats.t.ppf` in the formula above.
    #[test]
    fn bounds_are_those_of_korn_and_graubard() {
        let ten = |hits: f64| (hits, 10.0);
        let mixed = [[ten(10.0); 7].as_slice(), &[ten(0.0); 3], &[ten(5.0); 10]].concat();
        let uneven = vec![(2.0, 2.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5), (0.0, 3.0), (1.0, 1.0)];
        let cases = [
            (
                vec![(2.0, 3.0), (1.0, 3.0), (3.0, 3.0), (2.0, 3.0)],
                12,
                [0.666_667, 6.988_117, 0.300_087, 0.924_313],
            ),
            (mixed, 200, [0.6, 36.217_445, 0.449_965, 0.737_174]),
            ([vec![(1.0, 1.0); 17], vec![(0.0, 1.0); 3]].concat(), 20, [0.85, 19.0, 0.649_837, 0.959_750]),
            (uneven, 6, [0.529_412, 3.582_645, 0.096_667, 0.928_815]),
        ];
        for (clusters, n, expected) in cases {
            let share = WeightedShare::of(clusters.iter().copied(), n, 0.95).unwrap();
            let found = [share.share, share.effective, share.lower(0.95), share.upper(0.95)];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{clusters:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_no_share() {
        let of = |cluster, confidence| WeightedShare::of([cluster, (1.0, 2.0)].into_iter(), 3, confidence);
        for odd in [f64::NAN, f64::INFINITY] {
            assert_eq!(of((odd, 1.0), 0.95), None);
            assert_eq!(of((1.0, 1.0), odd), None);
        }
        assert_eq!(of((1.0, f64::INFINITY), 0.95), None);
        assert!(of((1.0, 1.0), 0.95).unwrap().lower(f64::NAN).is_nan());
    }

    #[test]
    fn clusters_that_are_all_alike_are_one_trial_each() {
        let share = |hits| WeightedShare::of([(hits, 10.0); 20].into_iter(), 200, 0.95).unwrap();
        // As 20 of 20, and 0 of 20, whatever the repeats: 0.05^(1/20).
        assert!((share(10.0).lower(0.95) - 0.860_892).abs() < 1e-6);
        assert_eq!(share(10.0).upper(0.95), 1.0);
        assert!((share(0.0).upper(0.95) - 0.139_108).abs() < 1e-6);
        assert_eq!(WeightedShare::of([].into_iter(), 0, 0.95), None);
        assert_eq!(WeightedShare::of([(0.0, 0.0)].into_iter(), 1, 0.95), None);
    }

    /// 40 questions asked 8 times each, of which some are always answered well and others hardly ever.
    #[test]
    fn bounds_hold_as_often_as_they_say() {
        let mut random = fastrand::Rng::with_seed(11);
        let (runs, rate) = (3_000, 0.75);
        let mut held = [0, 0];
        for _ in 0..runs {
            let clusters: Vec<_> = (0..40)
                .map(|_| {
                    let own = if random.f64() < 0.5 { 0.95 } else { 0.55 };
                    ((0..8).filter(|_| random.f64() < own).count() as f64, 8.0)
                })
                .collect();
            let share = WeightedShare::of(clusters.iter().copied(), 320, 0.95).unwrap();
            held[0] += u32::from(share.lower(0.95) <= rate);
            held[1] += u32::from(share.upper(0.95) >= rate);
        }
        let least = f64::from(held[0].min(held[1])) / f64::from(runs);
        // Three standard errors of 3 000 runs below 95 %, and no wider than that has to be.
        assert!((0.938..0.975).contains(&least), "{held:?} of {runs}");
    }

    /// 59 questions asked 10 times each.
    #[test]
    fn a_worse_result_has_no_better_bound() {
        let of = |misses: &dyn Fn(u32) -> f64| {
            let clusters = (0..59).map(|question| (10.0 - misses(question), 10.0));
            WeightedShare::of(clusters, 590, 0.95).unwrap()
        };
        // 0.05^(1/59)
        assert!((of(&|_| 0.0).lower(0.95) - 0.950_492).abs() < 1e-6);
        // Single misses in so many questions, and as many questions that are missed outright.
        for misses in [1.0, 10.0] {
            let mut fewer = 1.0;
            for missed in 0..59 {
                let here = of(&|question| if question < missed { misses } else { 0.0 }).lower(0.95);
                assert!(here <= fewer + 1e-12, "{misses} misses in {missed}: {here}, and with fewer {fewer}");
                fewer = here;
            }
        }
        let turned = WeightedShare::of((0..59).map(|i| (f64::from(u8::from(i == 0)), 10.0)), 590, 0.95);
        assert!((turned.unwrap().upper(0.95) - 0.049_508).abs() < 1e-6);
    }

    /// 40 questions asked 8 times each: most are answered well but for a slip, and one in twenty never is.
    #[test]
    fn bounds_hold_where_some_are_lost_outright() {
        let mut random = fastrand::Rng::with_seed(12);
        let (runs, rate) = (3_000, 0.95 * 0.99);
        let mut held = [0, 0];
        for _ in 0..runs {
            let clusters: Vec<_> = (0..40)
                .map(|_| {
                    let own = if random.f64() < 0.95 { 0.99 } else { 0.0 };
                    ((0..8).filter(|_| random.f64() < own).count() as f64, 8.0)
                })
                .collect();
            let share = WeightedShare::of(clusters.iter().copied(), 320, 0.95).unwrap();
            let turned = clusters.iter().map(|(hits, of)| (of - hits, *of));
            let turned = WeightedShare::of(turned, 320, 0.95).unwrap();
            held[0] += u32::from(share.lower(0.95) <= rate);
            held[1] += u32::from(turned.upper(0.95) >= 1.0 - rate);
        }
        assert!(f64::from(held[0].min(held[1])) / f64::from(runs) >= 0.938, "{held:?} of {runs}");
    }
}
