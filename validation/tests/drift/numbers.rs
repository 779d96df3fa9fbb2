//! Distances of distribution functions.

use proptest::prelude::*;
use tidegate_validation::drift::{Gaps, NumericColumn};

use crate::{close, column, normal, scattered, share};

fn gaps(reference: &[f64], current: &[f64]) -> Gaps {
    Gaps::between(&column(reference.iter().copied()), &column(current.iter().copied())).unwrap()
}

/// scipy.stats: ks_2samp, wasserstein_distance, energy_distance, cramervonmises_2samp, mannwhitneyu.
#[test]
fn ten_against_ten_agree_with_scipy() {
    let reference = [0.1, 0.4, 0.7, 1.1, 1.5, 1.9, 2.2, 2.8, 3.3, 4.0];
    let current = [0.3, 0.9, 1.4, 1.8, 2.5, 3.1, 3.6, 4.2, 4.9, 5.5];
    let gaps = gaps(&reference, &current);
    close(gaps.kolmogorov_smirnov, 0.3);
    close(gaps.kolmogorov_smirnov_p, 0.7869297884777761);
    close(gaps.wasserstein, 1.02);
    close(gaps.wasserstein_normed, 0.8356165589294213);
    close(gaps.energy, 0.6663332499583073);
    close(gaps.cramer_von_mises, 0.185);
    close(gaps.cramer_von_mises_p, 0.3317348286388534);
    close(gaps.mann_whitney, 33.0);
    close(gaps.mann_whitney_p, 0.21229383619233155);
    assert_eq!((gaps.reference, gaps.current, gaps.rank_error), (10, 10, 0.0));
}

/// The same with ties and unequal sizes; D's chance by scipy.special.kolmogorov.
#[test]
fn five_hundred_against_seven_hundred_agree_with_scipy() {
    let (reference, current) = scattered(500, 700, 0.3);
    let gaps = gaps(&reference, &current);
    close(gaps.kolmogorov_smirnov, 0.1271428571428571);
    assert!((gaps.kolmogorov_smirnov_p / 0.00016059663261451418 - 1.0).abs() < 1e-9);
    close(gaps.wasserstein, 0.8066714285714288);
    close(gaps.wasserstein_normed, 0.2764457823720801);
    close(gaps.energy, 0.36442854342834646);
    close(gaps.cramer_von_mises, 1.7411433730158592);
    close(gaps.mann_whitney, 149_761.5);
    assert!((gaps.mann_whitney_p / 2.00504440235727e-05 - 1.0).abs() < 1e-9);
}

/// cramervonmises_2samp(method="asymptotic") and, for the last, method="exact"
#[test]
fn chances_of_squares_agree_with_scipy() {
    for (n, m, shift, golden) in [
        (500, 700, 0.3, 4.882124886373962e-05),
        (30, 40, 0.3, 0.49876131515407873),
        (25, 60, 2.0, 0.0029182617294637447),
        (90, 100, 1.35, 0.00032347327480863886),
        (7, 12, 0.35, 0.2878463126141145),
    ] {
        let (reference, current) = scattered(n, m, shift);
        let p = gaps(&reference, &current).cramer_von_mises_p;
        assert!((p / golden - 1.0).abs() < 1e-6, "{p} is not {golden}");
    }
}

/// ks_2samp(method="exact")
#[test]
fn exact_chances_agree_with_scipy() {
    let (seven, _) = scattered(7, 0, 0.0);
    let (_, twelve) = scattered(0, 12, 0.35);
    close(gaps(&seven, &twelve).kolmogorov_smirnov_p, 0.5459831705961737);
    close(gaps(&twelve, &seven).kolmogorov_smirnov_p, 0.5459831705961737);
    let (ninety, hundred) = scattered(90, 100, 1.35);
    close(gaps(&ninety, &hundred).kolmogorov_smirnov_p, 0.007618825414678867);
    close(gaps(&[1.0], &[2.0]).kolmogorov_smirnov_p, 1.0);
}

#[test]
fn what_cannot_be_compared_or_does_not_vary() {
    assert_eq!(Gaps::between(&column([]), &column([1.0])), None);
    assert_eq!(Gaps::between(&column([1.0]), &column([f64::NAN])), None);
    let same = gaps(&[3.0; 20], &[3.0; 30]);
    assert_eq!((same.kolmogorov_smirnov, same.kolmogorov_smirnov_p, same.mann_whitney_p), (0.0, 1.0, 1.0));
    assert_eq!((same.wasserstein, same.wasserstein_normed), (0.0, 0.0));
    assert_eq!(gaps(&[3.0; 20], &[4.0; 30]).wasserstein_normed, f64::INFINITY);
    let far = gaps(&[f64::MIN, 0.0], &[0.0, f64::MAX]);
    assert!(!far.wasserstein.is_nan() && !far.energy.is_nan() && !far.wasserstein_normed.is_nan());
}

#[test]
fn without_drift_tests_alarm_as_often_as_they_may() {
    for (n, m) in [(30, 40), (200, 300), (2_000, 500)] {
        let (mut by_ranks, mut by_squares) = (0_u32, 0_u32);
        let alarms = share(1_500, |random| {
            let mut sample = |n: u32| (0..n).map(|_| normal(random)).collect::<Vec<_>>();
            let gaps = gaps(&sample(n), &sample(m));
            by_ranks += u32::from(gaps.mann_whitney_p <= 0.05);
            by_squares += u32::from(gaps.cramer_von_mises_p <= 0.05);
            gaps.kolmogorov_smirnov_p <= 0.05
        });
        assert!((0.02..0.065).contains(&alarms), "{alarms} for {n} and {m}");
        for (alarms, test) in [(by_ranks, "Mann-Whitney"), (by_squares, "Cramér-von Mises")] {
            assert!((52..98).contains(&alarms), "{alarms} of 1 500 by {test} for {n} and {m}");
        }
    }
}

#[test]
fn a_summary_says_how_far_it_is_off() {
    let mut random = fastrand::Rng::with_seed(7);
    let reference: Vec<f64> = (0..50_000).map(|_| normal(&mut random)).collect();
    let current: Vec<f64> = (0..30_000).map(|_| normal(&mut random) * 1.1 + 0.05).collect();
    let exact = gaps(&reference, &current);
    let summary = |values: &[f64], limit| {
        let mut column = NumericColumn::with_limit(limit);
        column.extend(values.iter().copied());
        column
    };
    for (limit, most) in [(4_096, 0.003), (1_024, 0.01), (128, 0.1)] {
        let summed = Gaps::between(&summary(&reference, limit), &summary(&current, limit)).unwrap();
        assert!(summed.rank_error < most, "{} with {limit}", summed.rank_error);
        let missed = exact.kolmogorov_smirnov - summed.kolmogorov_smirnov;
        assert!((0.0..=summed.rank_error).contains(&missed), "{missed} with {limit}");
        assert!((summed.wasserstein / exact.wasserstein - 1.0).abs() < 2.0 * most);
        assert!((summed.wasserstein_normed / exact.wasserstein_normed - 1.0).abs() < 2.0 * most);
    }
}

proptest! {
    #[test]
    fn sides_are_alike(
        first in prop::collection::vec(-5_i32..5, 1..60),
        second in prop::collection::vec(-5_i32..5, 1..60),
        shift in -3_i32..3,
    ) {
        let floats = |values: &[i32], by: i32| values.iter().map(|v| f64::from(v + by)).collect::<Vec<_>>();
        let (one, other) = (gaps(&floats(&first, 0), &floats(&second, 0)), gaps(&floats(&second, 0), &floats(&first, 0)));
        close(one.kolmogorov_smirnov, other.kolmogorov_smirnov);
        close(one.kolmogorov_smirnov_p, other.kolmogorov_smirnov_p);
        close(one.wasserstein, other.wasserstein);
        close(one.energy, other.energy);
        close(one.cramer_von_mises, other.cramer_von_mises);
        close(one.mann_whitney + other.mann_whitney, (first.len() * second.len()) as f64);
        close(one.mann_whitney_p, other.mann_whitney_p);
        // Where the numbers begin is nobody's matter, and the earth to move is what the means differ by at least.
        let moved = gaps(&floats(&first, shift), &floats(&second, shift));
        close(one.wasserstein, moved.wasserstein);
        let mean = |values: &[i32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        prop_assert!(one.wasserstein >= (mean(&first) - mean(&second)).abs() - 1e-9);
        prop_assert!((0.0..=1.0).contains(&one.kolmogorov_smirnov_p));
    }

    #[test]
    fn functions_by_their_definition(
        first in prop::collection::vec(-5_i32..5, 1..40),
        second in prop::collection::vec(-5_i32..5, 1..40),
    ) {
        let floats = |values: &[i32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let seen = gaps(&floats(&first), &floats(&second));
        let share = |values: &[i32], at: i32| values.iter().filter(|v| **v <= at).count() as f64 / values.len() as f64;
        let apart: Vec<f64> = (-5..5).map(|at| share(&first, at) - share(&second, at)).collect();
        close(seen.kolmogorov_smirnov, apart.iter().fold(0.0, |most, gap| gap.abs().max(most)));
        // All steps are of width 1.
        close(seen.wasserstein, apart.iter().map(|gap| gap.abs()).sum());
        close(seen.energy, (2.0 * apart.iter().map(|gap| gap * gap).sum::<f64>()).sqrt());
    }
}
