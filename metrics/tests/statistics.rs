//! Confidence sequences and the test of splits: golden values, laws that hold for any numbers, and how often they
//! are wrong when they are looked at all the time, by seeded simulation.
//!
//! Golden values come from confseq (its C++ sources as of 2024-10-27, with Boost 1.74), from mpmath 1.4.1 with 60
//! digits, from SciPy 1.17.1, and from formulas written down once more in Python, as each test says.

use fastrand::Rng;
use proptest::prelude::*;
use tidegate_metrics::statistics::{
    BoundedMean, MeanDifference, PairedDifference, Split, bernoulli_interval, msprt, split_log_e,
};

fn near(value: f64, golden: f64, relative: f64) {
    assert!((value - golden).abs() <= relative * golden.abs(), "{value} is not {golden}");
}

fn both_near(interval: (f64, f64), golden: (f64, f64), relative: f64) {
    near(interval.0, golden.0, relative);
    near(interval.1, golden.1, relative);
}

/// What one-sided error gives an interval with this error on both sides together.
fn of_both_sides(alpha: f64) -> f64 {
    alpha / (2.0 - alpha)
}

mod golden {
    use super::*;

    /// The values published with the design of these judges, to all digits given.
    #[test]
    fn bounded_mean() {
        let mut mean = BoundedMean::new(0.025);
        let known = [
            (50, 0.322_910_1, 0.692_298_6),
            (100, 0.396_131_0, 0.614_447_2),
            (200, 0.429_494_1, 0.574_460_2),
        ];
        for (n, lower, upper) in known {
            while mean.count() < n {
                assert!(mean.push((37 * (mean.count() + 1) % 101) as f64 / 100.0));
            }
            assert!(
                (mean.lower() - lower).abs() < 5.1e-8 && (mean.upper() - upper).abs() < 5.1e-8,
                "{mean:?}"
            );
        }
        assert!((mean.mean() - 0.5).abs() < 0.01);
    }

    /// confseq, with its default `alpha_opt`.
    #[test]
    fn bernoulli() {
        let known = [
            ((700, 1000, 0.05, 100.0), (0.651_629_813_87, 0.745_949_500_785)),
            ((7, 10, 0.05, 100.0), (0.169_060_357_196, 0.985_926_697_368)),
            ((0, 50, 0.05, 100.0), (0.0, 0.092_980_812_605_5)),
            ((50, 50, 0.05, 100.0), (0.907_019_187_395, 1.0)),
            ((1, 50, 0.05, 20.0), (0.0, 0.139_047_593_336)),
            ((3, 2000, 0.01, 1000.0), (1.640_866_388_25e-5, 0.006_733_013_959_81)),
            ((123_456, 1_000_000, 0.001, 10_000.0), (0.121_970_587_916, 0.124_950_967_27)),
            ((2, 5, 0.05, 3.0), (4.164_271_854_89e-6, 0.997_957_776_257)),
            ((19, 20, 0.2, 1000.0), (0.400_895_772_906, 1.0)),
            ((0, 1, 0.05, 100.0), (0.0, 1.0)),
        ];
        for ((successes, trials, error, optimal), golden) in known {
            both_near(bernoulli_interval(successes, trials, error, optimal), golden, 1e-10);
        }
    }

    /// mpmath: with so many trials differences of logarithms of Γ have no digits left.
    #[test]
    fn bernoulli_of_a_trillion() {
        let all = 1 << 40;
        let known = [
            ((1 << 39, all, 0.05, 1e6), (0.499_997_764_793_861_7, 0.500_002_235_206_138_3)),
            ((0, all, 0.05, 1000.0), (0.0, 2.724_602_637_817_913e-12)),
            ((5, all, 0.05, 1e9), (1.012_531_391_997_127e-13, 1.919_741_776_873_399e-11)),
            ((all - 3, all, 0.01, 1000.0), (0.999_999_999_969_210_3, 1.0)),
            ((12, 1_000_000, 1e-9, 1e5), (5.179_702_040_848_048e-7, 5.247_047_601_053_169e-5)),
        ];
        for ((successes, trials, error, optimal), golden) in known {
            both_near(bernoulli_interval(successes, trials, error, optimal), golden, 1e-10);
        }
    }

    /// The formula of the design, in Python.
    #[test]
    fn mean_difference() {
        let filled = |alpha: f64, candidate, baseline| {
            let mut cost = MeanDifference::new(of_both_sides(alpha)).planned(candidate, baseline);
            (0..300).for_each(|i| assert!(cost.push_candidate(f64::from(37 * i % 101) + 30.0)));
            (0..150).for_each(|i| assert!(cost.push_baseline(f64::from(53 * i % 89))));
            cost.interval().unwrap()
        };
        both_near(filled(0.05, 500, 500), (27.080_122_187_867_44, 43.973_211_145_465_89), 1e-12);
        both_near(filled(0.01, 100, 900), (25.867_956_072_636_677, 45.185_377_260_696_654), 1e-12);
        // As published with the design.
        assert!((msprt(0.5, 0.02, 0.1) - 74.623_36).abs() < 5e-6);
    }

    /// SciPy: where the noncentral t density, integrated over normal effects, is 1/α times the central one.
    #[test]
    fn paired_difference() {
        let filled = |windows, alpha, planned| {
            let mut paired = PairedDifference::new(of_both_sides(alpha)).planned(planned);
            (0..windows).for_each(|i| assert!(paired.push(f64::from(37 * i % 101) / 10.0)));
            paired.interval().unwrap()
        };
        both_near(filled(30, 0.05, 200), (2.593_961_421_439_137_5, 7.072_705_245_227_528), 1e-11);
        both_near(filled(20, 0.05, 200), (0.869_274_567_935_417_2, 8.830_725_432_064_582), 1e-11);
        both_near(filled(30, 0.01, 50), (2.657_329_647_064_763, 7.009_337_019_601_903), 1e-11);
    }

    /// SciPy, `betaln`.
    #[test]
    fn split() {
        near(split_log_e(0.1, 104, 896), -2.318_961_928_189_139_6, 1e-11);
        near(split_log_e(0.1, 150, 850), 9.565_353_583_539_675, 1e-11);
        near(split_log_e(0.5, 0, 20), 7.014_407_691_876_741, 1e-11);
        near(split_log_e(0.01, 0, 2000), 19.564_757_648_665_722, 1e-11);
        near(split_log_e(0.25, 1_000_000, 3_000_000), -6.485_547_942_924_313, 1e-8);
    }
}

mod edges {
    use super::*;

    #[test]
    fn nothing_is_known_of_nothing() {
        assert_eq!(BoundedMean::new(0.05).interval(), (0.0, 1.0));
        assert_eq!(bernoulli_interval(0, 0, 0.05, 100.0), (0.0, 1.0));
        assert_eq!(MeanDifference::new(0.05).burn_in(0).interval(), None);
        assert_eq!(MeanDifference::new(0.05).difference(), None);
        assert_eq!(PairedDifference::new(0.05).burn_in(0).interval(), None);
        assert_eq!(PairedDifference::new(0.05).difference(), None);
        assert_eq!((Split::new().log_e(), Split::new().mismatch()), (0.0, None));
        assert_eq!(Split::new().take(0.1, 0, 0), None);
    }

    #[test]
    fn an_error_that_is_no_chance_gives_no_bounds() {
        for error in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            let (mut mean, mut paired) = (BoundedMean::new(error), PairedDifference::new(error));
            let mut difference = MeanDifference::new(error);
            for i in 0..500 {
                mean.push(0.9);
                paired.push(f64::from(i));
                difference.push_candidate(f64::from(i));
                difference.push_baseline(f64::from(i));
            }
            assert_eq!(mean.interval(), (0.0, 1.0));
            assert_eq!(bernoulli_interval(5, 10, error, 100.0), (0.0, 1.0));
            assert_eq!((paired.interval(), difference.interval()), (None, None));
        }
        let (lower, upper) = bernoulli_interval(5, 10, 1.0, 100.0);
        assert!(lower <= 0.5 && 0.5 <= upper);
        assert_eq!(BoundedMean::new(1.0).interval(), (0.0, 1.0));
    }

    #[test]
    fn any_number_of_optimal_trials_leaves_an_interval() {
        for optimal in [0.0, -5.0, 1e-300, 1e300, f64::INFINITY, f64::NAN] {
            for (successes, trials) in
                [(0, 1), (1, 1), (3, 10), (10, 10), (1 << 39, 1 << 40), (u64::MAX, u64::MAX)]
            {
                let (lower, upper) = bernoulli_interval(successes, trials, 0.05, optimal);
                let estimate = successes as f64 / trials as f64;
                assert!(0.0 <= lower && lower <= estimate && estimate <= upper && upper <= 1.0, "{optimal}");
            }
        }
        assert_eq!(bernoulli_interval(20, 10, 0.05, 100.0), bernoulli_interval(10, 10, 0.05, 100.0));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let mut mean = BoundedMean::new(0.05);
        assert!(!mean.push(f64::NAN));
        assert_eq!(mean, BoundedMean::new(0.05));
        let mut clamped = mean.clone();
        for (value, inside) in [(-0.3, 0.0), (7.0, 1.0), (f64::INFINITY, 1.0), (f64::NEG_INFINITY, 0.0)] {
            assert!(clamped.push(value) && mean.push(inside));
        }
        assert_eq!(clamped, mean);

        let (mut difference, mut paired) = (MeanDifference::new(0.05), PairedDifference::new(0.05));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(
                !difference.push_candidate(value) && !difference.push_baseline(value) && !paired.push(value)
            );
        }
        assert_eq!((difference.counts(), paired.count()), ((0, 0), 0));
    }

    #[test]
    fn values_too_great_for_their_squares_give_no_interval() {
        let mut paired = PairedDifference::new(0.05).burn_in(2);
        assert!([f64::MAX, f64::MIN, f64::MAX].into_iter().all(|value| paired.push(value)));
        assert_eq!(paired.interval(), None);
        let mut difference = MeanDifference::new(0.05).burn_in(2);
        for value in [1e200, -1e200, 3e200] {
            assert!(difference.push_candidate(value) && difference.push_baseline(value));
        }
        assert_eq!(difference.interval(), None);
    }

    #[test]
    fn values_without_spread_give_no_interval() {
        let (mut difference, mut paired) = (MeanDifference::new(0.05), PairedDifference::new(0.05));
        for _ in 0..500 {
            difference.push_candidate(2.0);
            difference.push_baseline(1.0);
            paired.push(1.0);
        }
        assert_eq!((difference.interval(), paired.interval()), (None, None));
        assert_eq!((difference.difference(), paired.difference()), (Some(1.0), Some(1.0)));
        difference.push_baseline(1.5);
        assert!(difference.interval().is_some());
    }

    #[test]
    fn nothing_is_said_before_the_burn_in() {
        let (mut difference, mut paired) = (MeanDifference::new(0.05), PairedDifference::new(0.05));
        for i in 0..100 {
            assert_eq!(paired.interval().is_some(), i >= 20);
            assert_eq!(difference.interval(), None);
            paired.push(f64::from(i % 7));
            difference.push_candidate(f64::from(i % 7));
            difference.push_baseline(f64::from(i % 5));
        }
        assert!(difference.interval().is_some());
    }

    #[test]
    fn values_beyond_the_cap_count_as_the_cap() {
        let (mut capped, mut plain) = (MeanDifference::new(0.05).capped_at(50.0), MeanDifference::new(0.05));
        for i in 0..200 {
            let value = f64::from(37 * i % 101);
            capped.push_candidate(value);
            capped.push_baseline(value / 2.0);
            plain.push_candidate(value.min(50.0));
            plain.push_baseline(value / 2.0);
        }
        assert_eq!(capped.interval(), plain.interval());
        assert!(capped.interval().is_some());
    }

    #[test]
    fn a_weight_of_nothing_or_all_allows_no_request_to_the_other() {
        assert_eq!((split_log_e(0.0, 0, 50), split_log_e(1.0, 50, 0)), (0.0, 0.0));
        assert_eq!((split_log_e(0.0, 1, 50), split_log_e(1.0, 50, 1)), (f64::INFINITY, f64::INFINITY));
        assert!(Split::new().take(0.0, 10, 90).is_some());
        assert!(Split::new().take(0.0, 0, 1_000_000).is_none());
        for weight in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(split_log_e(weight, 3, 4).is_nan());
            assert_eq!(Split::new().take(weight, 3000, 4), None);
        }
        let mut endless = Split::new();
        assert!(endless.take(0.1, u64::MAX, u64::MAX).is_some() && endless.take(0.1, 1, 1).is_some());
    }

    #[test]
    fn a_stage_ends_with_its_weight() {
        let mut split = Split::new();
        assert!(split.take(0.1, 50, 50).is_some());
        assert!(split.take(0.1, 1, 9).is_some(), "the stage has not ended");
        assert!(split.take(0.5, 5, 5).is_none());
        assert!(split.take(0.1, 1, 9).is_none(), "another stage of the same weight");
        assert!(split.take(0.1, 200, 1800).is_none());
    }

    #[test]
    fn a_deviation_that_nobody_minds_is_no_mismatch() {
        let mut split = Split::new();
        assert!(split.take(0.1, 115_000, 885_000).is_none());
        assert!(split.log_e() > 1000.0);
        let mismatch = split.take(0.1, 60_000, 0).unwrap();
        assert!(
            mismatch.to_string().starts_with("the candidate gets 16.51 % of the requests and not 10.00 %")
        );
        // One percent is the first step of most ramps, and nothing is but a point less.
        assert!(Split::new().take(0.01, 0, 2000).is_some());
        assert!(Split::new().take(0.01, 6_000, 994_000).is_none());
    }
}

proptest! {
    #[test]
    fn one_less_each_value_is_one_less_the_mean(values in prop::collection::vec(0.0..=1.0, 1..200), error in 0.001..0.5) {
        let (mut mean, mut mirrored) = (BoundedMean::new(error), BoundedMean::new(error));
        for value in values {
            mean.push(value);
            mirrored.push(1.0 - value);
            let (lower, upper) = mean.interval();
            prop_assert!((0.0..=1.0).contains(&lower) && (0.0..=1.0).contains(&upper));
            let (least, most) = mirrored.interval();
            prop_assert!((1.0 - most - lower).abs() < 1e-9 && (1.0 - least - upper).abs() < 1e-9);
        }
    }

    #[test]
    fn a_smaller_error_is_a_wider_interval(hits in 0_u64..5000, more in 1_u64..5000, error in 1e-6..0.9, optimal in 1.0..1e6) {
        let (lower, upper) = bernoulli_interval(hits, hits + more, error, optimal);
        let (least, most) = bernoulli_interval(hits, hits + more, error / 2.0, optimal);
        prop_assert!(least <= lower && upper <= most);
        let estimate = hits as f64 / (hits + more) as f64;
        prop_assert!(lower <= estimate && estimate <= upper);
        let (misses_least, misses_most) = bernoulli_interval(more, hits + more, error, optimal);
        // Evidence is exact to 1e-11, and where it is flat the bound is not.
        prop_assert!((1.0 - misses_most - lower).abs() < 1e-9 && (1.0 - misses_least - upper).abs() < 1e-9);
    }

    /// On which the guarantee stands: whatever happened, an honest router's next request leaves the evidence as it
    /// is, on average.
    #[test]
    fn evidence_against_an_honest_router_is_a_martingale(
        weight in 0.001..0.999, candidate in 0_u64..100_000, baseline in 0_u64..100_000,
    ) {
        let now = split_log_e(weight, candidate, baseline);
        let grown = |candidate, baseline| (split_log_e(weight, candidate, baseline) - now).exp();
        let expected = weight * grown(candidate + 1, baseline) + (1.0 - weight) * grown(candidate, baseline + 1);
        prop_assert!((expected - 1.0).abs() < 1e-9, "{}", expected);
        prop_assert!((split_log_e(1.0 - weight, baseline, candidate) - now).abs() <= 1e-9 * now.abs().max(1.0));
    }

    #[test]
    fn differences_move_with_their_values(
        values in prop::collection::vec((-1e3..1e3, -1e3..1e3), 4..60), shift in -1e3..1e3, unit in 0.01..100.0,
    ) {
        let new = || MeanDifference::new(0.05).burn_in(2);
        let (mut plain, mut moved, mut swapped) = (new(), new(), new());
        let mut paired = PairedDifference::new(0.05).burn_in(2);
        let mut paired_moved = paired.clone();
        for (candidate, baseline) in values {
            plain.push_candidate(candidate);
            plain.push_baseline(baseline);
            moved.push_candidate(unit * (candidate + shift));
            moved.push_baseline(unit * baseline);
            swapped.push_candidate(baseline);
            swapped.push_baseline(candidate);
            paired.push(candidate);
            paired_moved.push(unit * (candidate + shift));
        }
        let (least, most) = plain.interval().unwrap();
        let (moved_least, moved_most) = moved.interval().unwrap();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1e3 * unit + (most - least));
        prop_assert!(close(unit * (least + shift), moved_least) && close(unit * (most + shift), moved_most));
        let swapped = swapped.interval().unwrap();
        prop_assert!(close(least, -swapped.1) && close(most, -swapped.0));
        prop_assert_eq!(paired.interval().is_some(), paired_moved.interval().is_some());
        if let (Some((least, most)), Some((moved_least, moved_most))) = (paired.interval(), paired_moved.interval()) {
            let slack = 1e-9 * unit * (1e4 + most - least);
            let apart = [(least, moved_least), (most, moved_most)].map(|(bound, moved)| unit * (bound + shift) - moved);
            prop_assert!(apart.iter().all(|apart: &f64| apart.abs() <= slack), "{:?}", apart);
        }
    }
}

mod simulated {
    use statrs::distribution::{ContinuousCDF, StudentsT};

    use super::*;

    const RUNS: u64 = 1000;
    const LOOKS: u64 = 200;

    /// What 1 000 runs may show of a chance of 5 %: three standard errors more.
    const FIVE_PERCENT: f64 = 0.05 + 3.0 * 0.006_9;
    /// What they may show of 1 %.
    const ONE_PERCENT: f64 = 0.01 + 3.0 * 0.003_2;

    fn share(runs: u64, is: impl Fn(Rng) -> bool) -> f64 {
        (0..runs).filter(|&seed| is(Rng::with_seed(seed))).count() as f64 / runs as f64
    }

    fn normal(chance: &mut Rng) -> f64 {
        (-2.0 * (1.0 - chance.f64()).ln()).sqrt() * (std::f64::consts::TAU * chance.f64()).cos()
    }

    fn lognormal(chance: &mut Rng, sigma: f64) -> f64 {
        (sigma * normal(chance)).exp()
    }

    fn mean_of(count: u32, mut value: impl FnMut() -> f64) -> f64 {
        (0..count).map(|_| value()).sum::<f64>() / f64::from(count)
    }

    fn hits(chance: &mut Rng, trials: u64, rate: f64) -> u64 {
        (0..trials).filter(|_| chance.f64() < rate).count() as u64
    }

    /// A score that is beta distributed with parameters `tenths` and ten less that, so with a mean of as many tenths:
    /// an order statistic of nine uniform numbers.
    fn score(chance: &mut Rng, tenths: usize) -> f64 {
        let mut uniform: [f64; 9] = std::array::from_fn(|_| chance.f64());
        uniform.sort_unstable_by(f64::total_cmp);
        uniform[tenths - 1]
    }

    /// After how many scores on each side the candidate's mean is shown to be the lesser.
    fn worse_after(mut chance: Rng, candidate: usize, most: u64) -> Option<u64> {
        let (mut canary, mut stable) = (BoundedMean::new(0.025), BoundedMean::new(0.025));
        (1..=most).find(|_| {
            canary.push(score(&mut chance, candidate));
            stable.push(score(&mut chance, 8));
            canary.upper() < stable.lower()
        })
    }

    /// Design: about none, and 171 scores at the median. The distribution is not given there; with beta(8, 2) against
    /// beta(7, 3) it is 172.
    #[test]
    fn scores_of_equal_means_are_never_told_apart_and_others_soon() {
        assert_eq!(share(300, |chance| worse_after(chance, 8, 1000).is_some()), 0.0);
        let mut after: Vec<u64> =
            (0..301).map(|seed| worse_after(Rng::with_seed(seed), 7, 2000).unwrap()).collect();
        after.sort_unstable();
        assert!((160..=185).contains(&after[150]), "{}", after[150]);
    }

    #[test]
    fn bounds_of_a_mean_hold_at_all_looks() {
        for rate in [0.02, 0.5, 0.9] {
            let broken = share(RUNS, |mut chance| {
                let mut mean = BoundedMean::new(0.025);
                (0..1000).any(|_| {
                    mean.push(f64::from(u8::from(chance.f64() < rate)));
                    rate < mean.lower() || mean.upper() < rate
                })
            });
            assert!(broken <= FIVE_PERCENT, "{broken} at {rate}");
        }
    }

    #[test]
    fn bounds_of_a_rate_hold_at_all_looks_and_walds_do_not() {
        for rate in [0.02, 0.3] {
            let broken = |is_outside: fn(u64, u64, f64) -> bool| {
                share(RUNS / 2, |mut chance| {
                    let mut successes = 0;
                    (1..=LOOKS).any(|look| {
                        successes += hits(&mut chance, 20, rate);
                        is_outside(successes, 20 * look, rate)
                    })
                })
            };
            let sequence = broken(|successes, trials, rate| {
                let (lower, upper) = bernoulli_interval(successes, trials, 0.05, 1000.0);
                rate < lower || upper < rate
            });
            let wald = broken(|successes, trials, rate| {
                let (trials, estimate) = (trials as f64, successes as f64 / trials as f64);
                (estimate - rate).abs() > 1.96 * (estimate * (1.0 - estimate) / trials).sqrt()
            });
            assert!(sequence <= FIVE_PERCENT && wald > 0.3, "{sequence} and {wald} at {rate}");
        }
    }

    /// Which alarms there are at any of the looks at lognormal costs without a difference: of a sequence of 5 % on
    /// both sides, of a t test of 5 %, and of a sequence by default above and below.
    fn alarms(mut chance: Rng, [canary, stable]: [u64; 2], quantiles: &[f64]) -> [bool; 4] {
        let mut planned = MeanDifference::new(of_both_sides(0.05)).planned(LOOKS * canary, LOOKS * stable);
        let mut default = MeanDifference::new(0.05);
        let (mut sums, mut alarms) = ([[0.0; 2]; 2], [false; 4]);
        for (look, quantile) in (1..=LOOKS).zip(quantiles) {
            for (side, count) in [canary, stable].into_iter().enumerate() {
                for _ in 0..count {
                    let value = lognormal(&mut chance, 1.0);
                    sums[side][0] += value;
                    sums[side][1] += value * value;
                    for cost in [&mut planned, &mut default] {
                        assert!(if side == 0 {
                            cost.push_candidate(value)
                        } else {
                            cost.push_baseline(value)
                        });
                    }
                }
            }
            let sizes = [canary, stable].map(|count| (count * look) as f64);
            let mean = |side: usize| sums[side][0] / sizes[side];
            let squares: f64 = (0..2).map(|side| sums[side][1] - sums[side][0] * mean(side)).sum();
            let variance = squares / (sizes[0] + sizes[1] - 2.0) * (1.0 / sizes[0] + 1.0 / sizes[1]);
            alarms[0] |= planned.interval().is_some_and(|(least, most)| least > 0.0 || most < 0.0);
            alarms[1] |= (mean(0) - mean(1)).abs() > quantile * variance.sqrt();
            alarms[2] |= default.interval().is_some_and(|(least, _)| least > 0.0);
            alarms[3] |= default.interval().is_some_and(|(_, most)| most < 0.0);
        }
        assert_eq!(default.counts(), (LOOKS * canary, LOOKS * stable));
        alarms
    }

    /// Design: 1.1 % and 2.9 % on both sides together against 45 % and 54 %.
    #[test]
    fn lognormal_costs_rarely_fool_the_sequence_and_often_the_peeked_t_test() {
        for arms in [[10, 10], [10, 90]] {
            let quantiles: Vec<f64> = (1..=LOOKS)
                .map(|look| ((arms[0] + arms[1]) * look - 2) as f64)
                .map(|freedom| StudentsT::new(0.0, 1.0, freedom).unwrap().inverse_cdf(0.975))
                .collect();
            let mut ever = [0; 4];
            for seed in 0..RUNS {
                let alarms = alarms(Rng::with_seed(seed), arms, &quantiles);
                ever.iter_mut().zip(alarms).for_each(|(ever, alarm)| *ever += u64::from(alarm));
            }
            let [planned, peeked, above, below] = ever.map(|ever| ever as f64 / RUNS as f64);
            assert!(planned <= 0.05 && peeked > 0.3, "{planned} and {peeked} at {arms:?}");
            assert!(above <= 0.05 && below <= 0.05, "{above} and {below} at {arms:?}");
        }
    }

    /// How often the interval for differences of mean 0 is ever above 0, and ever below.
    fn one_sided(mut window: impl FnMut(&mut Rng) -> f64) -> (f64, f64) {
        let (mut above, mut below) = (0, 0);
        for seed in 0..RUNS {
            let (mut chance, mut paired) = (Rng::with_seed(seed), PairedDifference::new(0.05));
            let (mut is_above, mut is_below) = (false, false);
            for _ in 0..LOOKS {
                assert!(paired.push(window(&mut chance)));
                let interval = paired.interval();
                is_above |= interval.is_some_and(|(least, _)| least > 0.0);
                is_below |= interval.is_some_and(|(_, most)| most < 0.0);
            }
            above += u64::from(is_above);
            below += u64::from(is_below);
        }
        (above as f64 / RUNS as f64, below as f64 / RUNS as f64)
    }

    #[test]
    fn differences_of_windows_rarely_fool_either_side() {
        let cases = [
            ("normal", one_sided(normal)),
            (
                "10 lognormal values against 90",
                one_sided(|chance| {
                    mean_of(10, || lognormal(chance, 1.0)) - mean_of(90, || lognormal(chance, 1.0))
                }),
            ),
            (
                "10 lognormal values against 10",
                one_sided(|chance| {
                    mean_of(10, || lognormal(chance, 1.0)) - mean_of(10, || lognormal(chance, 1.0))
                }),
            ),
            ("lognormal means", one_sided(|chance| lognormal(chance, 0.5) - 0.125_f64.exp())),
        ];
        for (name, (above, below)) in cases {
            assert!(above <= FIVE_PERCENT && below <= FIVE_PERCENT, "{name}: {above}, {below}");
        }
        // The limit that the documentation names.
        let (_, below) = one_sided(|chance| lognormal(chance, 1.0) - 0.5_f64.exp());
        assert!((0.1..0.2).contains(&below), "{below}");
    }

    /// For those it is exact.
    #[test]
    fn normal_differences_need_no_burn_in() {
        let broken = share(RUNS, |mut chance| {
            let mut paired = PairedDifference::new(of_both_sides(0.05)).burn_in(2);
            (0..LOOKS).any(|_| {
                paired.push(normal(&mut chance));
                paired.interval().is_some_and(|(least, most)| least > 0.0 || most < 0.0)
            })
        });
        assert!(broken <= FIVE_PERCENT, "{broken}");
    }

    #[test]
    fn half_a_deviation_is_found_in_fifty_windows_and_a_whole_one_in_half_as_many() {
        for (effect, windows) in [(0.5, 40..=60), (1.0, 20..=30)] {
            let mut after: Vec<u64> = (0..201)
                .map(|seed| {
                    let (mut chance, mut paired) = (Rng::with_seed(seed), PairedDifference::new(0.05));
                    (1..=LOOKS)
                        .find(|_| {
                            paired.push(effect + normal(&mut chance));
                            paired.interval().is_some_and(|(least, _)| least > 0.0)
                        })
                        .unwrap_or(LOOKS + 1)
                })
                .collect();
            after.sort_unstable();
            assert!(windows.contains(&after[100]), "{} for {effect}", after[100]);
        }
    }

    /// In how many runs a router is accused at any look, and in how many at the last.
    fn accused(weight: f64, each: u64, mut candidate: impl FnMut(&mut Rng) -> u64) -> (f64, f64) {
        let (mut ever, mut last) = (0, 0);
        for seed in 0..RUNS {
            let (mut chance, mut split, mut is_accused) = (Rng::with_seed(seed), Split::new(), false);
            for _ in 0..LOOKS {
                let sent = candidate(&mut chance);
                is_accused |= split.take(weight, sent, each - sent).is_some();
            }
            ever += u64::from(is_accused);
            last += u64::from(split.mismatch().is_some());
        }
        (ever as f64 / RUNS as f64, last as f64 / RUNS as f64)
    }

    #[test]
    fn an_honest_router_is_rarely_accused() {
        for weight in [0.01, 0.1, 0.5] {
            for each in [5, 50] {
                let (ever, _) = accused(weight, each, |chance| hits(chance, each, weight));
                assert!(ever <= ONE_PERCENT, "{ever} at {weight} with {each}");
            }
        }
    }

    #[test]
    fn a_router_that_does_not_obey_is_found_at_once() {
        let after = |rate: f64| {
            let mut after: Vec<u64> = (0..201)
                .map(|seed| {
                    let (mut chance, mut split) = (Rng::with_seed(seed), Split::new());
                    (1..)
                        .find(|_| {
                            let sent = hits(&mut chance, 1, rate);
                            split.take(0.1, sent, 1 - sent).is_some()
                        })
                        .unwrap()
                })
                .collect();
            after.sort_unstable();
            after[100]
        };
        let (nothing, half) = (after(0.0), after(0.5));
        assert!((50..80).contains(&nothing), "{nothing}");
        assert!((5..30).contains(&half), "{half}");
    }

    /// What the documentation says of connections that carry 50 requests each.
    #[test]
    fn pinned_connections_are_accused_unless_they_are_what_is_counted() {
        let (ever, last) = accused(0.1, 1000, |chance| 50 * hits(chance, 20, 0.1));
        assert!(ever > 0.9 && last < 0.01, "{ever}, {last}");
        let (ever, _) = accused(0.1, 20, |chance| hits(chance, 20, 0.1));
        assert!(ever <= ONE_PERCENT, "{ever}");
    }
}
