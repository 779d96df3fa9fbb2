//! Counts against expectations, and several tests at once.

use proptest::prelude::*;
use tidegate_validation::statistics::{holm, homogeneity, sample_ratio};

use crate::{close, share};

/// scipy.stats.chisquare
#[test]
fn sample_ratios_agree_with_scipy() {
    let even = sample_ratio(&[5050, 4950], &[0.5, 0.5]).unwrap();
    close(even.statistic, 1.0);
    close(even.p, 0.31731050786291115);
    let lost = sample_ratio(&[821_588, 815_482], &[1.0, 1.0]).unwrap();
    close(lost.statistic, 22.77436884189436);
    assert!((lost.p / 1.8217928726191858e-06 - 1.0).abs() < 1e-9);
    let three = sample_ratio(&[100, 310, 590], &[0.1, 0.3, 0.6]).unwrap();
    close(three.p, 0.7788007830714049);
    assert_eq!((three.freedom, three.least_expected), (2, 100.0));
}

/// scipy.stats.chi2_contingency(correction=False), as in the brief.
#[test]
fn homogeneity_agrees_with_scipy() {
    let test = homogeneity(&[30, 40, 30], &[20, 35, 45]).unwrap();
    close(test.statistic, 5.333333);
    close(test.p, 0.069483);
    assert_eq!(homogeneity(&[30, 0, 40, 30], &[20, 0, 35, 45]), Some(test));
}

#[test]
fn what_has_no_ratio() {
    assert_eq!(sample_ratio(&[5], &[1.0]), None);
    assert_eq!(sample_ratio(&[5, 5], &[1.0]), None);
    assert_eq!(sample_ratio(&[0, 0], &[0.5, 0.5]), None);
    assert_eq!(sample_ratio(&[5, 5], &[1.0, 0.0]), None);
    assert_eq!(sample_ratio(&[5, 5], &[1.0, f64::NAN]), None);
    assert_eq!(homogeneity(&[5, 5], &[5]), None);
    assert_eq!(homogeneity(&[5, 0], &[5, 0]), None);
    assert_eq!(homogeneity(&[0, 0], &[5, 4]), None);
}

#[test]
fn honest_splits_are_seldom_accused() {
    let alarms = share(20_000, |random| {
        let first = (0..2_000).filter(|_| random.f64() < 0.1).count() as u64;
        sample_ratio(&[first, 2_000 - first], &[0.1, 0.9]).unwrap().p < 0.01
    });
    assert!((0.005..0.015).contains(&alarms), "{alarms}");
}

/// statsmodels.stats.multitest.multipletests(method="holm")
#[test]
fn holm_agrees_with_statsmodels() {
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005, 0.5]);
    adjusted.iter().zip([0.04, 0.09, 0.09, 0.025, 0.5]).for_each(|(p, golden)| close(*p, golden));
    assert_eq!(holm(&[]), Vec::<f64>::new());
    assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
}

#[test]
fn of_twenty_tests_without_a_reason_one_alarms_as_seldom_as_of_one() {
    let alarms = share(20_000, |random| {
        let p: Vec<f64> = (0..20).map(|_| random.f64()).collect();
        holm(&p).iter().any(|p| *p <= 0.05)
    });
    assert!((0.043..0.055).contains(&alarms), "{alarms}");
}

proptest! {
    #[test]
    fn holm_keeps_the_order_and_lowers_nothing(p in prop::collection::vec(0.0_f64..=1.0, 1..30)) {
        let adjusted = holm(&p);
        for i in 0..p.len() {
            prop_assert!(p[i] <= adjusted[i] && adjusted[i] <= (p[i] * p.len() as f64).min(1.0) + 1e-12);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
            }
        }
    }

    #[test]
    fn samples_may_change_places(counts in prop::collection::vec((1_u64..100, 1_u64..100), 2..8)) {
        let (first, second): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
        let (one, other) = (homogeneity(&first, &second).unwrap(), homogeneity(&second, &first).unwrap());
        close(one.statistic, other.statistic);
        prop_assert!((0.0..=1.0).contains(&one.p));
        close(homogeneity(&first, &first).unwrap().p, 1.0);
    }
}
