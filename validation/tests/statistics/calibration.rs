//! Confidence against outcome.

use proptest::prelude::*;
use tidegate_validation::statistics::{Bootstrap, Calibration};

use crate::{close, share};

const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 400, seed: 7 };

fn ten() -> Calibration {
    let confidences = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.55, 0.45, 0.3];
    let right = [1, 1, 1, 0, 1, 1, 0, 1, 0, 0];
    Calibration::new(confidences.into_iter().zip(right.map(|right| right == 1))).unwrap()
}

#[test]
fn measures_agree_with_the_brief() {
    close(ten().brier(), 0.16825);
    close(ten().log_loss(), 0.504161);
    close(ten().ece(10), 0.205);
    close(ten().ece(5), 0.145);
    close(ten().adaptive_ece(5), 0.225);
    close(ten().mce(10), 0.45);
    close(ten().auroc().unwrap(), 0.833333);
}

#[test]
fn bins_are_closed_on_the_right() {
    for bins in [1, 3, 10, 15, 25, 100] {
        let edges = (0..=bins).map(|i| (f64::from(i) / f64::from(bins), true));
        let diagram = Calibration::new(edges).unwrap().reliability(bins);
        let counts: Vec<u64> = diagram.iter().map(|bin| bin.count).collect();
        assert_eq!(counts[0], 2, "0 has no bin of its own");
        assert!(counts[1..].iter().all(|count| *count == 1), "{counts:?} of {bins}");
    }
    assert_eq!(ten().reliability(0).len(), 1);
    assert_eq!(ten().adaptive(99).len(), 10);
    let sizes: Vec<u64> = ten().adaptive(4).iter().map(|bin| bin.count).collect();
    assert_eq!(sizes, [3, 3, 2, 2]);
}

#[test]
fn what_is_not_calibration() {
    assert_eq!(Calibration::new([]), None);
    for confidence in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Calibration::new([(0.5, true), (confidence, true)]), None);
    }
    assert_eq!(Calibration::new([(0.5, true), (0.7, true)]).unwrap().auroc(), None);
    let certain = Calibration::new([(1.0, false)]).unwrap();
    assert!((34.0..35.0).contains(&certain.log_loss()));
    assert_eq!(ten().ece_interval(10, 0.95, Bootstrap { resamples: 0, seed: 7 }), None);
}

/// Confidences from ½ to 1, and a model that is right less often than it says by `gap`.
fn overconfident(random: &mut fastrand::Rng, n: usize, gap: f64) -> Calibration {
    let answers = (0..n).map(|_| {
        let confidence = 0.5 + random.f64() / 2.0;
        (confidence, random.f64() < confidence - gap)
    });
    Calibration::new(answers.collect::<Vec<_>>()).unwrap()
}

/// The error of all answers is the gap, as it is the same in every bin.
#[test]
fn intervals_of_the_error_hold_at_least_as_often_as_they_say() {
    for gap in [0.0, 0.02, 0.05, 0.2] {
        let mut above = 0_u32;
        let held = share(300, |random| {
            let sample = overconfident(random, 400, gap);
            let (least, most) = sample.ece_interval(10, 0.9, BOOTSTRAP).unwrap();
            above += u32::from(gap > most);
            (least - 1e-9..=most).contains(&gap)
        });
        assert!(held >= 0.87, "{held} at {gap}");
        // A gate asks whether the upper bound is low enough, and that errs at most as often as it may.
        assert!(above <= 21, "{above} of 300 at {gap}");
    }
}

#[test]
fn calibrated_models_are_seldom_accused() {
    let accused = |gap| {
        share(300, |random| overconfident(random, 200, gap).p_calibrated(10, BOOTSTRAP).unwrap() <= 0.1)
    };
    let (wrongly, rightly) = (accused(0.0), accused(0.15));
    assert!((0.06..0.14).contains(&wrongly) && rightly > 0.95, "{wrongly} {rightly}");
}

/// Why so few answers are not enough for a gate.
#[test]
fn a_calibrated_model_seems_not_to_be_while_answers_are_few() {
    let mean = |n: usize| {
        let mut sum = 0.0;
        share(200, |random| {
            sum += overconfident(random, n, 0.0).ece(10);
            true
        });
        sum / 200.0
    };
    assert!(mean(50) > 0.09 && mean(Calibration::ENOUGH) > 0.04 && mean(5_000) < 0.02);
}

#[test]
fn other_measures_are_resampled_too() {
    let sample = overconfident(&mut fastrand::Rng::with_seed(7), 500, 0.1);
    let brier = sample.resample(BOOTSTRAP, Calibration::brier).unwrap();
    let (least, most) = brier.percentile(0.95).unwrap();
    assert!(least < sample.brier() && sample.brier() < most && most - least < 0.05);
    let auroc = sample.resample(BOOTSTRAP, |sample| sample.auroc().unwrap_or(0.5)).unwrap();
    assert!(auroc.percentile(0.9).unwrap().0 > 0.5);
    assert_eq!(sample.resample(BOOTSTRAP, |_| f64::NAN), None);
}

proptest! {
    #[test]
    fn measures_have_their_ranges(answers in prop::collection::vec((0.0_f64..=1.0, any::<bool>()), 1..80), bins in 1_u32..30) {
        let calibration = Calibration::new(answers.clone()).unwrap();
        let (ece, mce) = (calibration.ece(bins), calibration.mce(bins));
        prop_assert!((0.0..=1.0).contains(&ece) && ece <= mce + 1e-12 && mce <= 1.0);
        prop_assert!((0.0..=1.0).contains(&calibration.brier()));
        for diagram in [calibration.reliability(bins), calibration.adaptive(bins)] {
            prop_assert_eq!(diagram.iter().map(|bin| bin.count).sum::<u64>(), answers.len() as u64);
        }
        // One bin leaves the distance of the means, and cutting bins up never lessens it.
        let mean = |value: fn(&(f64, bool)) -> f64| answers.iter().map(value).sum::<f64>() / answers.len() as f64;
        let apart = (mean(|answer| answer.0) - mean(|answer| f64::from(u8::from(answer.1)))).abs();
        prop_assert!((calibration.ece(1) - apart).abs() < 1e-9);
        prop_assert!(calibration.ece(bins) <= calibration.ece(2 * bins) + 1e-9);
    }

    #[test]
    fn who_is_sure_of_the_wrong_ones_has_the_opposite_area(answers in prop::collection::vec((0_u32..=20, any::<bool>()), 2..60)) {
        let area = |turn: bool| {
            let answers = answers.iter().map(|(confidence, right)| (f64::from(*confidence) / 20.0, right ^ turn));
            Calibration::new(answers.collect::<Vec<_>>()).unwrap().auroc()
        };
        prop_assume!(area(false).is_some());
        close(area(false).unwrap() + area(true).unwrap(), 1.0);
    }
}
