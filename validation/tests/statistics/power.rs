//! What cases can show, and how many it takes.

use proptest::prelude::*;
use tidegate_validation::statistics::{
    Paired, Proportion, detectable_gap, detectable_mean, detectable_paired_share, detectable_rate,
    gate_power, trials_for_power,
};

use crate::{binomial, close, normal, share};

/// scipy.stats.binom and scipy.stats.beta.
#[test]
fn the_power_of_a_gate_agrees_with_scipy() {
    for (n, floor, rate, power, detectable) in [
        (59, 0.95, 0.99, 0.5526834771623851, 0.9962250490196398),
        (100, 0.9, 0.95, 0.43598130068571117, 0.9689610258728948),
        (1000, 0.95, 0.97, 0.9380787921730174, 0.9662554613674234),
    ] {
        close(gate_power(n, floor, rate, 0.95), power);
        close(detectable_rate(n, floor, 0.95, 0.8).unwrap(), detectable);
    }
}

/// The first of all numbers that scipy finds to have the power.
#[test]
fn the_trials_for_a_power_agree_with_scipy() {
    for (floor, rate, power, n) in
        [(0.9, 0.95, 0.8, 179), (0.8, 0.95, 0.95, 50), (0.95, 0.99, 0.9, 153), (0.5, 0.6, 0.8, 158)]
    {
        assert_eq!(trials_for_power(floor, rate, 0.95, power), Some(n));
    }
}

/// `(t.ppf(0.95, 30) + t.ppf(0.8, 30))·0.2` of SciPy 1.17.1.
#[test]
fn the_gap_that_shows_agrees_with_scipy() {
    close(detectable_gap(0.2, 30.0, 0.95, 0.8).unwrap(), 0.5102056296130509);
    // One of a mean is that of its standard error.
    close(detectable_gap(0.5 / 5.0, 24.0, 0.95, 0.8).unwrap(), detectable_mean(25, 0.5, 0.95, 0.8).unwrap());
    assert_eq!(detectable_gap(0.0, 30.0, 0.95, 0.8), None);
    assert_eq!(detectable_gap(f64::NAN, 30.0, 0.95, 0.8), None);
    assert_eq!(detectable_gap(0.2, 0.0, 0.95, 0.8), None);
    assert_eq!(detectable_gap(0.2, 30.0, 1.0, 0.8), None);
}

#[test]
fn what_no_number_of_trials_shows() {
    assert_eq!(trials_for_power(0.9, 0.9, 0.95, 0.8), None);
    assert_eq!(trials_for_power(0.9, 0.95, 0.95, 1.0), None);
    assert_eq!(trials_for_power(1.0, 1.0, 0.95, 0.8), None);
    assert_eq!(gate_power(58, 0.95, 1.0, 0.95), 0.0);
    assert_eq!((gate_power(0, 0.0, 0.5, 0.95), gate_power(0, 0.9, 1.0, 0.95)), (0.0, 0.0));
    assert_eq!((gate_power(5, 0.0, 0.0, 0.95), detectable_rate(5, 0.0, 0.95, 0.8)), (1.0, Some(0.0)));
    assert_eq!(detectable_rate(58, 0.95, 0.95, 0.8), None);
    assert_eq!(detectable_rate(59, 0.95, 0.95, 1.0), None);
    assert_eq!(detectable_paired_share(20, 0.1, 0.95, 0.8), None);
    assert_eq!(detectable_mean(1, 1.0, 0.95, 0.8), None);
}

/// TTestPower of statsmodels, which uses the noncentral t and is met within 2 % even with ten cases.
#[test]
fn detectable_means_agree_with_statsmodels() {
    for (cases, power, golden) in
        [(10, 0.8, 0.8528391375729825), (50, 0.8, 0.35659965445056674), (1000, 0.9, 0.09260603476428933)]
    {
        let found = detectable_mean(cases, 1.0, 0.95, power).unwrap();
        assert!((found / golden - 1.0).abs() < 0.02, "{found} is not {golden}");
    }
}

#[test]
fn what_is_detectable_is_detected_as_often_as_said() {
    let (n, discordance) = (400, 0.2);
    let difference = detectable_paired_share(n, discordance, 0.95, 0.8).unwrap();
    let gain = f64::midpoint(discordance, difference);
    let found = share(3_000, |random| {
        let unlike = binomial(random, n, discordance);
        let gained = binomial(random, unlike, gain / discordance);
        Paired::new(n, gained, unlike - gained).unwrap().tango(0.9).unwrap().0 > 0.0
    });
    assert!((0.77..0.84).contains(&found), "{found}");

    let difference = detectable_mean(30, 2.0, 0.95, 0.9).unwrap();
    let found = share(3_000, |random| {
        use tidegate_validation::statistics::{Cluster, ClusteredMean};
        let scores = (0..30).map(|_| Cluster::of(&[difference + 2.0 * normal(random)]));
        ClusteredMean::new(scores.collect::<Vec<_>>()).unwrap().interval(0.9).unwrap().0 > 0.0
    });
    assert!((0.88..0.92).contains(&found), "{found}");

    let rate = detectable_rate(200, 0.9, 0.95, 0.8).unwrap();
    let found =
        share(3_000, |random| Proportion::new(binomial(random, 200, rate), 200).unwrap().lower(0.95) >= 0.9);
    assert!((0.78..0.82).contains(&found), "{found}");
}

proptest! {
    #[test]
    fn a_better_rate_passes_more_often(n in 1_u64..500, floor in 0.1_f64..0.95, rate in 0.0_f64..0.99) {
        let at = |rate| gate_power(n, floor, rate, 0.95);
        prop_assert!(at(rate) <= at(rate + 0.01) + 1e-12);
        prop_assert!(at(floor) <= 0.05 + 1e-9);
    }

    #[test]
    fn more_cases_show_smaller_differences(n in 100_u64..5000, discordance in 0.2_f64..0.9) {
        let at = |n| detectable_paired_share(n, discordance, 0.95, 0.8).unwrap();
        prop_assert!(at(n + 1) <= at(n) + 1e-12);
        prop_assert!(detectable_mean(n + 1, 1.0, 0.95, 0.8) < detectable_mean(n, 1.0, 0.95, 0.8));
    }
}
