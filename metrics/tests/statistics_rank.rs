//! The rank test and thresholds for several looks: golden values, and the laws that they obey on any sample.
//!
//! Golden values come from SciPy 1.17.1 (`scipy.stats.mannwhitneyu`), from R 4.2.2 (`wilcox.test`,
//! `pwilcox`), from published tables, and from nested quadrature with mpmath 1.4.1, as each test says.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use proptest::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};
use tidegate_metrics::statistics::{
    RankTest, crossing_probability, hodges_lehmann, mann_whitney, obrien_fleming, pocock, shift_interval,
};

fn near(value: f64, golden: f64) {
    assert!((value - golden).abs() <= 1e-9 * golden.abs(), "{value} is not {golden}");
}

/// Numbers without ties and without an order.
fn scattered(count: u32, factor: u32, modulus: u32) -> Vec<f64> {
    (0..count).map(|i| f64::from(factor * i % modulus) / 100.0).collect()
}

/// The same for a sample that is to be compared with it.
fn others(count: u32) -> Vec<f64> {
    scattered(count, 53, 89).iter().map(|value| value + 0.005).collect()
}

fn differences(first: &[f64], second: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = first.iter().flat_map(|x| second.iter().map(move |y| x - y)).collect();
    all.sort_by(f64::total_cmp);
    all
}

mod golden {
    use super::*;

    const X: [f64; 3] = [210.052110, 110.190630, 307.918612];
    const Y: [f64; 13] = [
        436.08811482466416,
        416.3739732976819,
        179.96975939463582,
        197.8118754228619,
        34.038757281225756,
        138.54220550921517,
        128.7769351470246,
        265.9272142795185,
        275.6617533155341,
        592.3408339541626,
        448.7317759061702,
        300.61495185038905,
        187.97508449019588,
    ];

    /// The sample that SciPy tests itself with; both packages agree on all of these.
    #[test]
    fn three_against_thirteen() {
        let test = mann_whitney(&X, &Y).unwrap();
        assert_eq!((test.u, test.exact), (16.0, true));
        near(test.p_two_sided, 0.703_571_428_571_428_6);
        near(test.p_greater, 0.694_642_857_142_857_1);
        // What method="asymptotic" gives.
        near(2.0 * Normal::standard().sf(test.z.abs()), 0.686_504_181_787_591_9);
        assert!(test.z < 0.0);
        near(test.common_language, 16.0 / 39.0);
        near(mann_whitney(&Y, &X).unwrap().p_greater, 0.351_785_714_285_714_3);
        // R, conf.int = TRUE, conf.level = 0.9.
        near(hodges_lehmann(&X, &Y).unwrap(), -65.609_643_315_534_1);
        let (least, greatest) = shift_interval(&X, &Y, 0.9).unwrap();
        near(least, -238.679_665_906_170);
        near(greatest, 110.106_736_577_138);
    }

    /// SciPy and R.
    #[test]
    fn ties() {
        let x = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0];
        let y = [8.0, 9.0, 7.0, 9.0, 3.0, 2.0, 3.0, 8.0, 4.0, 6.0, 2.0, 6.0, 4.0];
        let test = mann_whitney(&x, &y).unwrap();
        assert_eq!((test.u, test.exact), (49.0, false));
        near(test.p_two_sided, 0.199_294_402_020_730_45);
        near(test.p_greater, 0.910_187_129_754_278_3);
        near(mann_whitney(&y, &x).unwrap().p_greater, 0.099_647_201_010_365_23);
        near(test.common_language, 49.0 / 143.0);
        assert!((test.cliff_delta + 0.314_685_3).abs() < 5e-8);
        assert_eq!(hodges_lehmann(&x, &y), Some(-1.0));
    }

    /// SciPy: few values with ties, more of them, and so many ties that little else is left.
    #[test]
    fn ties_rule_the_distribution_out_however_few_values_there_are() {
        let test = mann_whitney(&[1.0, 2.0, 2.0], &[2.0, 2.0, 3.0]).unwrap();
        assert_eq!((test.u, test.exact), (2.0, false));
        near(test.p_two_sided, 0.301_699_582_478_347_8);
        near(test.p_greater, 0.939_332_374_820_758_9);

        let x: Vec<f64> = (0..60).map(|i| f64::from(37 * i % 101)).collect();
        let y: Vec<f64> = (0..80).map(|i| f64::from(53 * i % 89 / 3 * 4)).collect();
        let test = mann_whitney(&x, &y).unwrap();
        assert_eq!(test.u, 2074.5);
        near(test.p_two_sided, 0.171_075_622_766_859_4);
        near(test.p_greater, 0.915_118_751_788_022_8);

        let few_above = [vec![0.0; 1000], vec![1.0, 2.0, 3.0]].concat();
        let test = mann_whitney(&few_above, &[0.0; 900]).unwrap();
        near(test.p_two_sided, 0.100_805_062_341_262_38);
        near(test.p_greater, 0.050_402_531_170_631_19);
    }

    /// SciPy.
    #[test]
    fn far_out_the_chance_keeps_its_digits() {
        let x: Vec<f64> = (0..200).map(|i| f64::from(i) + 0.5).collect();
        let y: Vec<f64> = (0..150).map(|i| f64::from(i) - 150.25).collect();
        let test = mann_whitney(&x, &y).unwrap();
        near(test.p_two_sided, 1.048_917_455_929_149e-57);
        near(test.p_greater, 5.244_587_279_645_745e-58);
        assert_eq!((test.u, test.common_language, test.cliff_delta), (30_000.0, 1.0, 1.0));
    }

    /// R and SciPy, which agree: the largest of the smaller samples that is exact, against forty.
    #[test]
    fn eight_against_forty() {
        let (x, y) = (others(8), scattered(40, 37, 101));
        let test = mann_whitney(&x, &y).unwrap();
        assert_eq!((test.u, test.exact), (134.0, true));
        near(test.p_two_sided, 0.487_829_301_063_407_6);
        near(test.p_greater, 0.764_592_386_855_548_4);
        // What method="asymptotic" gives for alternative="less".
        near(Normal::standard().cdf(test.z), 0.240_269_395_086_349_3);
        near(mann_whitney(&y, &x).unwrap().p_greater, 0.243_914_650_531_703_8);
        near(hodges_lehmann(&x, &y).unwrap(), -0.085);
        let (least, greatest) = shift_interval(&x, &y, 0.95).unwrap();
        near(least, -0.335);
        near(greatest, 0.155);
    }

    /// Permeability of the chorioamnion at term and earlier, example 4.1 and following of Hollander and Wolfe;
    /// `wilcox.test` of R gives the same interval.
    #[test]
    fn a_textbook_shift() {
        let at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let earlier = [1.15, 0.88, 0.90, 0.74, 1.21];
        let test = mann_whitney(&at_term, &earlier).unwrap();
        assert_eq!(test.u, 35.0);
        near(test.p_two_sided, 0.254_412_254_412_254_4);
        near(hodges_lehmann(&at_term, &earlier).unwrap(), 0.305);
        let (least, greatest) = shift_interval(&at_term, &earlier, 0.95).unwrap();
        near(least, -0.15);
        near(greatest, 0.76);
    }

    /// 20 against 25 values: order statistics picked in R out of all 500 differences. At 95 % the exact rank,
    /// 164, is the same.
    #[test]
    fn a_shift_by_the_normal_law() {
        let (x, y) = (scattered(20, 37, 101), others(25));
        let bounds = |confidence| shift_interval(&x, &y, confidence).unwrap();
        for (confidence, least, greatest) in [(0.95, -0.155, 0.225), (0.9, -0.125, 0.195)] {
            let (low, high) = bounds(confidence);
            near(low, least);
            near(high, greatest);
        }
    }

    /// Table 2 of Armitage, McPherson and Rowe, for a test at 5 % that is repeated.
    #[test]
    fn repeated_looks_at_five_percent() {
        let table = [
            (1, 0.050),
            (2, 0.083),
            (3, 0.107),
            (4, 0.126),
            (5, 0.142),
            (10, 0.193),
            (20, 0.248),
            (50, 0.320),
            (100, 0.374),
            (200, 0.424),
        ];
        for (looks, known) in table {
            let crossed = crossing_probability(&vec![1.959_964; looks]);
            assert!((crossed - known).abs() < 0.000_6, "{looks} looks: {crossed} is not {known}");
        }
    }

    /// Nested adaptive quadrature with 30 digits.
    #[test]
    fn boundaries_of_any_shape() {
        let known: [(&[f64], f64); 6] = [
            (&[1.96, 1.96], 0.083_111_138_885_623_64),
            (&[1.5, 2.75], 0.134_717_682_058_293_5),
            (&[1.96, 1.96, 1.96], 0.107_248_035_933_462_12),
            (&[3.0, 2.5, 2.0], 0.050_649_923_851_591_99),
            (&[1.0, 4.0, 0.5], 0.705_104_071_046_614_3),
            (&[6.0, 5.5, 6.5], 3.988_810_856_468_511e-8),
        ];
        for (boundaries, crossed) in known {
            near(crossing_probability(boundaries), crossed);
        }
    }

    /// Jennison and Turnbull, *Group Sequential Methods*, tables 2.1 and 2.3.
    #[test]
    fn published_thresholds() {
        let table = [(2, 2.178, 1.977), (3, 2.289, 2.004), (5, 2.413, 2.040), (10, 2.555, 2.087)];
        for (looks, constant, last) in table {
            let threshold = pocock(looks, 0.05).unwrap();
            assert!((threshold - constant).abs() < 0.000_6, "{looks} looks: {threshold} is not {constant}");
            let thresholds = obrien_fleming(looks, 0.05).unwrap();
            assert_eq!(thresholds.len(), looks as usize);
            let threshold = thresholds[looks as usize - 1];
            assert!((threshold - last).abs() < 0.000_6, "{looks} looks: {threshold} is not {last}");
        }
    }
}

mod looks {
    use super::*;

    #[test]
    fn thresholds_spend_what_they_may() {
        for alpha in [1e-9, 1e-4, 0.01, 0.05, 0.5, 0.999] {
            for looks in [1, 2, 7, 50] {
                let constant = pocock(looks, alpha).unwrap();
                near(crossing_probability(&vec![constant; looks as usize]), alpha);
                let falling = obrien_fleming(looks, alpha).unwrap();
                near(crossing_probability(&falling), alpha);
                for (k, threshold) in (1..).zip(&falling) {
                    near(threshold * f64::from(k).sqrt(), falling[0]);
                }
            }
        }
    }

    #[test]
    fn what_has_no_threshold() {
        for (looks, alpha) in
            [(0, 0.05), (51, 0.05), (3, 0.0), (3, 1.0), (3, -0.1), (3, f64::NAN), (3, 1e-10)]
        {
            assert_eq!(pocock(looks, alpha), None, "{looks} {alpha}");
            assert_eq!(obrien_fleming(looks, alpha), None, "{looks} {alpha}");
        }
    }

    #[test]
    fn boundaries_that_are_no_boundaries() {
        assert_eq!(crossing_probability(&[]), 0.0);
        assert_eq!(crossing_probability(&[f64::INFINITY; 3]), 0.0);
        assert_eq!(crossing_probability(&[2.0, 0.0]), 1.0);
        assert_eq!(crossing_probability(&[-1.0]), 1.0);
        assert!(crossing_probability(&[2.0, f64::NAN]).is_nan());
        assert!(crossing_probability(&vec![2.0; 1_001]).is_nan());
        // Two looks that never find anything are as good as none.
        near(crossing_probability(&[f64::INFINITY, f64::INFINITY, 1.5]), crossing_probability(&[1.5]));
    }
}

mod samples {
    use super::*;

    /// How often an interval contains the shift of 0, over all ways in which the ranks can fall.
    fn coverage(first: u32, second: u32, confidence: f64) -> f64 {
        let n = first + second;
        let (mut covered, mut all) = (0, 0);
        for way in (0_u32..1 << n).filter(|way| way.count_ones() == first) {
            let (x, y): (Vec<u32>, Vec<u32>) = (0..n).partition(|rank| way >> rank & 1 == 1);
            let floats = |ranks: Vec<u32>| ranks.into_iter().map(f64::from).collect::<Vec<_>>();
            let (least, greatest) = shift_interval(&floats(x), &floats(y), confidence).unwrap();
            covered += u32::from(least <= 0.0 && 0.0 <= greatest);
            all += 1;
        }
        f64::from(covered) / f64::from(all)
    }

    /// The exact coverage is known from `pwilcox` of R.
    #[test]
    fn an_interval_covers_what_it_promises() {
        near(coverage(4, 4, 0.95), 0.971_428_571_428_571);
        near(coverage(5, 6, 0.95), 0.969_696_969_696_97);
        // `C` of 18 by the normal law: `1 − 2·P(U ≤ 17)`.
        near(coverage(9, 9, 0.95), 1.0 - 0.039_983_545_865_898_8);
    }

    #[test]
    fn equal_values_are_no_difference() {
        for (first, second) in [(1, 1), (3, 2), (5_000, 4_000)] {
            let test = mann_whitney(&vec![7.5; first], &vec![7.5; second]).unwrap();
            assert_eq!((test.z, test.p_two_sided, test.p_greater), (0.0, 1.0, 1.0));
            assert_eq!((test.common_language, test.cliff_delta, test.exact), (0.5, 0.0, false));
            assert_eq!(hodges_lehmann(&vec![7.5; first], &vec![7.5; second]), Some(0.0));
        }
        assert_eq!(shift_interval(&[7.5; 50], &[7.5; 60], 0.95), Some((0.0, 0.0)));
        // Zero has two signs, and is tied with itself.
        assert_eq!(mann_whitney(&[0.0, -0.0], &[-0.0, 0.0]).unwrap().u, 2.0);
        assert!(hodges_lehmann(&[-0.0; 9], &[0.0; 9]).unwrap().is_sign_positive());
    }

    #[test]
    fn what_cannot_be_compared() {
        let good = [1.0, 2.0, 3.0, 4.0];
        let bad: [&[f64]; 4] = [&[], &[1.0, f64::NAN], &[f64::INFINITY], &[f64::NEG_INFINITY, 0.0]];
        for bad in bad {
            for (first, second) in [(bad, &good[..]), (&good[..], bad)] {
                assert_eq!(mann_whitney(first, second), None);
                assert_eq!(hodges_lehmann(first, second), None);
                assert_eq!(shift_interval(first, second, 0.5), None);
            }
        }
        for confidence in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert_eq!(shift_interval(&good, &good, confidence), None);
        }
        // Two tails of one in twenty are nine tenths, but not 95 %.
        assert_eq!(shift_interval(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.9), Some((-5.0, -1.0)));
        assert_eq!(shift_interval(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.95), None);
        // No number is twice the greatest.
        assert_eq!(hodges_lehmann(&[f64::MAX], &[f64::MIN]), None);
    }

    #[test]
    fn against_very_many_the_normal_law_stands_in() {
        let many = |count: u32| (0..count).map(|i| f64::from(i) + 0.5).collect::<Vec<_>>();
        let few: Vec<f64> = (1..9).map(|i| f64::from(i) * 9_000.0).collect();
        let exact = mann_whitney(&few, &many(100_000)).unwrap();
        let normal = mann_whitney(&few, &many(100_001)).unwrap();
        assert_eq!((exact.exact, normal.exact), (true, false));
        assert!((exact.p_two_sided - normal.p_two_sided).abs() < 0.01, "{exact:?} {normal:?}");
        assert!((exact.p_greater - normal.p_greater).abs() < 0.01, "{exact:?} {normal:?}");
        // The one value is among the first 1 000 of 100 001 places.
        let test = mann_whitney(&[1_000.0], &many(100_000)).unwrap();
        near(test.p_two_sided, 2.0 * 1_001.0 / 100_001.0);
    }

    #[test]
    fn a_hundred_million_differences() {
        let x: Vec<f64> = (0..10_000).map(|i| f64::from(i * 7919 % 10_007).powi(2)).collect();
        let y: Vec<f64> = x.iter().map(|value| value + 12_345.0).collect();
        // Differences come in pairs at the same distance above and below the shift, by symmetry.
        assert_eq!(hodges_lehmann(&y, &x), Some(12_345.0));
        let (least, greatest) = shift_interval(&y, &x, 0.95).unwrap();
        assert_eq!(12_345.0 - least, greatest - 12_345.0);
        assert!(least < 12_345.0);
        let test = mann_whitney(&x, &y).unwrap();
        near(test.u, mann_whitney(&y, &x).map(|test| 1e8 - test.u).unwrap());
    }
}

/// Few values, many of them tied.
fn tied() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-6_i32..6).prop_map(f64::from), 1..15)
}

/// Whatever is finite.
fn wild() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(any::<f64>().prop_filter("finite", |value| value.is_finite()), 1..15)
}

fn any_pair() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    prop_oneof![(tied(), tied()), (wild(), wild()), (wild(), tied())]
}

/// Which of a few ranks are the first sample's: two samples without ties, neither of them empty.
fn untied() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    (prop::collection::vec(any::<bool>(), 0..10)).prop_map(|of_first| {
        let of_first = [vec![true, false], of_first].concat();
        let ranks = |which| {
            let mine = (0_u32..).zip(&of_first).filter(move |(_, of_first)| **of_first == which);
            mine.map(|(rank, _)| f64::from(rank * 7 % 13)).collect::<Vec<_>>()
        };
        (ranks(true), ranks(false))
    })
}

/// U as it is defined, pair by pair.
fn counted(first: &[f64], second: &[f64]) -> f64 {
    let of_pair = |x: &f64, y: &f64| if x > y { 1.0 } else { f64::from(u8::from(x == y)) / 2.0 };
    first.iter().flat_map(|x| second.iter().map(move |y| of_pair(x, y))).sum()
}

proptest! {
    #[test]
    fn u_counts_pairs((first, second) in any_pair()) {
        let (test, swapped) = (mann_whitney(&first, &second).unwrap(), mann_whitney(&second, &first).unwrap());
        let pairs = (first.len() * second.len()) as f64;
        prop_assert_eq!(test.u, counted(&first, &second));
        prop_assert_eq!(test.u + swapped.u, pairs);
        prop_assert_eq!((test.z, test.cliff_delta), (-swapped.z, -swapped.cliff_delta));
        prop_assert_eq!((test.p_two_sided, test.exact), (swapped.p_two_sided, swapped.exact));
        prop_assert_eq!(test.common_language, test.u / pairs);
        prop_assert!((test.cliff_delta - (2.0 * test.common_language - 1.0)).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&test.p_greater) && (0.0..=1.0).contains(&test.p_two_sided));
        // At least as great or at least as small is everything, and what is both is counted twice.
        prop_assert!(test.p_greater + swapped.p_greater >= 1.0 - 1e-9);
    }

    #[test]
    fn exact_chances_are_shares_of_all_orders((first, second) in untied()) {
        let test = mann_whitney(&first, &second).unwrap();
        prop_assert!(test.exact);
        let n = first.len() + second.len();
        let all = [first.clone(), second].concat();
        let (mut greater, mut lesser, mut ways) = (0, 0, 0);
        for way in (0_u32..1 << n).filter(|way| way.count_ones() as usize == first.len()) {
            let of = |which: u32| {
                let mine = (0..n).filter(move |i| way >> i & 1 == which);
                mine.map(|i| all[i]).collect::<Vec<_>>()
            };
            let u = counted(&of(1), &of(0));
            greater += u32::from(u >= test.u);
            lesser += u32::from(u <= test.u);
            ways += 1;
        }
        let share = |count| f64::from(count) / f64::from(ways);
        prop_assert!((test.p_greater - share(greater)).abs() < 1e-12);
        prop_assert!((test.p_two_sided - (2.0 * share(greater.min(lesser))).min(1.0)).abs() < 1e-12);
    }

    #[test]
    fn the_shift_is_the_median_of_all_differences((first, second) in any_pair()) {
        let all = differences(&first, &second);
        let median = f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2]);
        prop_assert_eq!(hodges_lehmann(&first, &second), median.is_finite().then_some(median));
    }

    #[test]
    fn an_interval_is_two_of_the_differences_around_their_median((first, second) in (tied(), tied())) {
        if let Some((least, greatest)) = shift_interval(&first, &second, 0.8) {
            let all = differences(&first, &second);
            let median = hodges_lehmann(&first, &second).unwrap();
            prop_assert!(least <= median && median <= greatest);
            prop_assert!(all.contains(&least) && all.contains(&greatest));
            let (wider_least, wider_greatest) = shift_interval(&first, &second, 0.9).unwrap_or((least, greatest));
            prop_assert!(wider_least <= least && greatest <= wider_greatest);
        }
    }

    #[test]
    fn an_interval_leaves_out_what_the_test_rejects((first, second) in untied(), confidence in 0.2..0.99_f64) {
        let RankTest { p_two_sided, .. } = mann_whitney(&first, &second).unwrap();
        // A chance that rounding could take to either side proves nothing.
        prop_assume!((p_two_sided - (1.0 - confidence)).abs() > 1e-9);
        let interval = shift_interval(&first, &second, confidence);
        let left_out = interval.is_some_and(|(least, greatest)| least > 0.0 || greatest < 0.0);
        prop_assert_eq!(left_out, p_two_sided < 1.0 - confidence);
    }

    #[test]
    fn a_shift_shifts_and_an_order_preserving_map_changes_no_rank(
        (first, second) in (tied(), tied()),
        by in -50_i32..50,
    ) {
        let by = f64::from(by);
        let shifted: Vec<f64> = first.iter().map(|value| value + by).collect();
        let shift = |samples: &[f64]| hodges_lehmann(samples, &second).unwrap();
        prop_assert_eq!(shift(&shifted), shift(&first) + by);
        let bounds = shift_interval(&first, &second, 0.8).map(|(least, greatest)| (least + by, greatest + by));
        prop_assert_eq!(shift_interval(&shifted, &second, 0.8), bounds);
        let map = |values: &[f64]| values.iter().map(|value| value.exp() - 3.0).collect::<Vec<_>>();
        prop_assert_eq!(mann_whitney(&map(&first), &map(&second)), mann_whitney(&first, &second));
    }

    #[test]
    fn more_looks_and_lower_boundaries_cross_more(
        boundaries in prop::collection::vec(0.1..5.0_f64, 1..12),
        lower in 0.5..1.0_f64,
    ) {
        let crossed = crossing_probability(&boundaries);
        let last = boundaries.len() - 1;
        prop_assert!(crossing_probability(&boundaries[..last]) <= crossed + 1e-12);
        let lowered: Vec<f64> = boundaries.iter().map(|boundary| boundary * lower).collect();
        prop_assert!(crossed <= crossing_probability(&lowered) + 1e-12);
        // As unlikely as the likeliest look by itself at least, and as the sum of all at most.
        let single: Vec<f64> = boundaries.iter().map(|b| 2.0 * Normal::standard().sf(*b)).collect();
        let most = single.iter().copied().fold(0.0, f64::max);
        prop_assert!(most - 1e-9 <= crossed && crossed <= single.iter().sum::<f64>() + 1e-9);
    }
}
