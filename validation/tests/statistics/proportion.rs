//! Shares, their bounds, and the verdicts that come of them.

use proptest::prelude::*;
use tidegate_validation::{
    Evidence, Gate, Reason, Rule, Tally, Verdict,
    statistics::{Proportion, gate_power, lower_rank, sample_rank, trials_needed, upper_rank},
};

use crate::{binomial, close, holds, near, share};

fn of(hits: u64, trials: u64) -> Proportion {
    Proportion::new(hits, trials).unwrap()
}

fn tally(hits: u64, misses: u64) -> Tally {
    let mut tally = Tally::default();
    (tally.hits, tally.misses) = (hits, misses);
    tally
}

const BOUND: Gate = Gate { floor: 0.9, rule: Rule::Bound, confidence: 0.95 };

#[test]
fn wilson_agrees_with_statsmodels() {
    near(of(8, 10).wilson(0.95), (0.490162, 0.943318));
    near(of(17, 20).wilson(0.95), (0.639581, 0.947631));
    near(of(49, 50).wilson(0.95), (0.895046, 0.996461));
    near(of(10, 10).wilson(0.95), (0.722467, 1.0));
}

#[test]
fn clopper_pearson_agrees_with_scipy() {
    near(of(8, 10).clopper_pearson(0.95), (0.443905, 0.974789));
    near(of(0, 20).clopper_pearson(0.95), (0.0, 0.168433));
    near((of(10, 10).lower(0.95), of(59, 59).lower(0.95)), (0.741134, 0.950492));
}

#[test]
fn zero_of_thirty_still_allows_a_tenth() {
    near((of(0, 30).upper(0.95), 0.0), (0.095034, 0.0));
}

#[test]
fn a_floor_takes_so_many_trials() {
    let needed = [0.8, 0.9, 0.95, 0.99].map(|floor| trials_needed(floor, 0.95, 0).unwrap());
    assert_eq!(needed, [14, 29, 59, 299]);
    assert_eq!(trials_needed(0.95, 0.95, 1), Some(93));
    assert_eq!(trials_needed(1.0, 0.95, 0), None);
}

#[test]
fn a_share_needs_trials() {
    assert_eq!(Proportion::new(0, 0), None);
    assert_eq!(Proportion::new(2, 1), None);
}

#[test]
fn quantile_bounds_are_order_statistics() {
    assert_eq!(upper_rank(1000, 0.99, 0.95), Some(996));
    assert_eq!(sample_rank(1000, 0.99), 990);
    for (quantile, needed) in [(0.95, 59), (0.99, 299), (0.999, 2995)] {
        assert_eq!(upper_rank(needed, quantile, 0.95), Some(needed));
        assert_eq!(upper_rank(needed - 1, quantile, 0.95), None);
    }
    assert_eq!(lower_rank(1, 0.5, 0.95), None);
}

/// P(X ≥ k) for X of Binomial(n, q), term by term.
fn at_least(k: u64, n: u64, q: f64) -> f64 {
    let choose = |of: u64| (0..of).map(|i| (n - i) as f64 / (of - i) as f64).product::<f64>();
    (k..=n).map(|hits| choose(hits) * q.powi(hits as i32) * (1.0 - q).powi((n - hits) as i32)).sum()
}

/// The ranks by their definition: bounds that hold with the confidence, and no closer ones do.
#[test]
fn ranks_are_those_of_exact_binomial_sums() {
    for n in 1..=40 {
        for quantile in [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] {
            // No confidence that a sum meets exactly: rounding decides those.
            for confidence in [0.61, 0.83, 0.91, 0.953, 0.991] {
                let upper = (1..=n).find(|&k| 1.0 - at_least(k, n, quantile) >= confidence);
                let lower = (1..=n).rev().find(|&k| at_least(k, n, quantile) >= confidence);
                let actual = (lower_rank(n, quantile, confidence), upper_rank(n, quantile, confidence));
                assert_eq!(actual, (lower, upper), "n = {n}, q = {quantile}, c = {confidence}");
            }
        }
    }
}

#[test]
fn rounding_moves_no_rank() {
    assert_eq!([sample_rank(100, 0.07), sample_rank(100, 0.55)], [7, 55]);
    for n in 1..=1000_u64 {
        for rank in 1..=n {
            assert_eq!(sample_rank(n, rank as f64 / n as f64), rank, "{rank} / {n}");
        }
    }
}

#[test]
fn ten_of_ten_do_not_prove_ninety_five_percent() {
    let gate = Gate { floor: 0.95, ..BOUND };
    let (verdict, evidence) = gate.judge("agreement", &tally(10, 0));
    assert_eq!(verdict, Verdict::Inconclusive(Reason::TooFew { have: 10, need: 59 }));
    let evidence = evidence.unwrap();
    near((evidence.estimate, evidence.lower.unwrap()), (1.0, 0.741134));
    assert_eq!(gate.judge("agreement", &tally(59, 0)).0, Verdict::Pass);
    assert_eq!(Gate { rule: Rule::Point, ..gate }.judge("agreement", &tally(10, 0)).0, Verdict::Pass);
}

/// SciPy 1.17.1: twice the lesser of `binom.cdf(k, n, p)` and `binom.sf(k - 1, n, p)`.
#[test]
fn a_share_is_far_from_a_rate_on_either_side() {
    close(of(560, 1_000).p_two_sided(0.5), 0.00016504987055045286);
    close(of(440, 1_000).p_two_sided(0.5), 0.00016504987055045286);
    close(of(45, 500).p_two_sided(0.1), 0.5093785211246871);
    close(of(0, 10).p_two_sided(0.5), 0.001953125);
    close(of(7, 9).p_two_sided(0.5), 0.1796875);
    assert_eq!(of(5, 10).p_two_sided(0.5), 1.0);
}

#[test]
fn a_bound_says_what_so_many_trials_could_show() {
    let gate = Gate { floor: 0.95, ..BOUND };
    let found = gate.judge("agreement", &tally(59, 0)).1.unwrap();
    // All 59 have to hit: 0.8^(1/59) − 0.95.
    close(found.detectable.unwrap(), 0.8_f64.powf(1.0 / 59.0) - 0.95);
    close(gate_power(59, 0.95, 0.95 + found.detectable.unwrap(), 0.95), Evidence::POWER);
    assert!(found.to_string().ends_with(", n = 59, a distance of 0.046 from 0.95 would show"), "{found}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["detectable"].as_f64(), found.detectable);
    // So few prove nothing at any rate, and what is counted and not sampled proves nothing either.
    assert_eq!(gate.judge("agreement", &tally(10, 0)).1.unwrap().detectable, None);
    let point = Gate { rule: Rule::Point, ..gate }.judge("agreement", &tally(59, 0)).1.unwrap();
    assert_eq!(point.detectable, None);
}

#[test]
fn no_trial_is_no_pass() {
    for rule in [Rule::Bound, Rule::Point] {
        let (verdict, evidence) = Gate { rule, ..BOUND }.judge("nothing", &Tally::default());
        assert_eq!((verdict, evidence), (Verdict::Inconclusive(Reason::NothingChecked), None));
    }
}

#[test]
fn a_verdict_holds_however_the_unknown_would_have_come_out() {
    let with_unknown = |hits, misses, unknown| {
        let mut tally = tally(hits, misses);
        (0..unknown).for_each(|_| tally.unknown(Reason::Infra { what: "away".into() }));
        BOUND.judge("", &tally).0
    };
    assert_eq!(with_unknown(100, 0, 1), Verdict::Pass);
    assert_eq!(with_unknown(0, 50, 1), Verdict::Fail);
    assert!(matches!(with_unknown(29, 0, 1), Verdict::Inconclusive(Reason::Infra { .. })));
}

/// The promise of the rule, without chance: summed over all outcomes, P(pass | rate = floor) ≤ 5 %.
#[test]
fn false_passes_are_rare_for_every_number_of_trials() {
    for n in 1..=300_u64 {
        // P(X = k) from P(X = n) downwards.
        let (mut probability, mut passing) = (BOUND.floor.powi(n as i32), 0.0);
        for k in (0..=n).rev() {
            if BOUND.judge("", &tally(k, n - k)).0 != Verdict::Pass {
                break;
            }
            passing += probability;
            probability *= k as f64 / (n - k + 1) as f64 * (1.0 - BOUND.floor) / BOUND.floor;
        }
        assert!(passing <= 0.05 + 1e-12, "{passing} for n = {n}");
    }
}

#[test]
fn false_passes_are_rare_in_simulation() {
    const RUNS: u32 = 4_000;
    let mut random = fastrand::Rng::with_seed(0x7469_6465);
    let mut count = |rate: f64, wrong: Verdict| {
        let runs = (0..RUNS).filter(|_| {
            let n = 40 + random.u64(..100);
            let hits = (0..n).filter(|_| random.f64() < rate).count() as u64;
            BOUND.judge("", &tally(hits, n - hits)).0 == wrong
        });
        runs.count() as f64 / f64::from(RUNS)
    };
    let passes = count(BOUND.floor - 1e-9, Verdict::Pass);
    assert!(passes <= 0.05, "{passes} of models below the floor passed");
    let fails = count(BOUND.floor, Verdict::Fail);
    assert!(fails <= 0.05, "{fails} of models at the floor failed");
    let found = count(0.99, Verdict::Pass);
    assert!(found > 0.8, "only {found} of good models passed");
}

/// Exact bounds hold at least as often as they say, at any rate.
#[test]
fn exact_intervals_hold_at_least_as_often_as_they_say() {
    for (n, rate) in [(10, 0.5), (30, 0.9), (100, 0.97), (300, 0.01)] {
        let held =
            share(4_000, |random| holds(Some(of(binomial(random, n, rate), n).clopper_pearson(0.95)), rate));
        assert!(held >= 0.945, "{held} for {rate} of {n}");
    }
}

proptest! {
    #[test]
    fn bounds_hold_their_share_and_each_other(hits in 0_u64..500, misses in 0_u64..500, confidence in 0.5_f64..0.999) {
        prop_assume!(hits + misses > 0);
        let share = of(hits, hits + misses);
        prop_assert!(share.lower(confidence) <= share.share() && share.share() <= share.upper(confidence));
        // Hits and misses are the same question asked the other way round.
        let other = of(misses, hits + misses);
        prop_assert!((share.lower(confidence) - (1.0 - other.upper(confidence))).abs() < 1e-9);
    }

    #[test]
    fn more_hits_never_make_a_verdict_worse(hits in 0_u64..200, misses in 1_u64..200) {
        let rank = |verdict| match verdict {
            Verdict::Fail => 0,
            Verdict::Inconclusive(_) => 1,
            Verdict::Pass => 2,
        };
        let before = BOUND.judge("", &tally(hits, misses)).0;
        let after = BOUND.judge("", &tally(hits + 1, misses - 1)).0;
        prop_assert!(rank(before) <= rank(after));
    }

    #[test]
    fn ranks_enclose_the_sample_quantile(n in 1_u64..2000, quantile in 0.01_f64..0.999, confidence in 0.6_f64..0.999) {
        let middle = sample_rank(n, quantile);
        prop_assert!((1..=n).contains(&middle));
        if let Some(upper) = upper_rank(n, quantile, confidence) {
            prop_assert!((middle..=n).contains(&upper));
        }
        if let Some(lower) = lower_rank(n, quantile, confidence) {
            prop_assert!((1..=middle).contains(&lower));
        }
    }
}
