//! Judges that err.

use proptest::prelude::*;
use tidegate_validation::statistics::{Detector, Proportion, kappa};

use crate::{binomial, close, share};

fn of(hits: u64, trials: u64) -> Proportion {
    Proportion::new(hits, trials).unwrap()
}

/// statsmodels.stats.inter_rater.cohens_kappa
#[test]
fn kappa_agrees_with_statsmodels() {
    let two = kappa(&[[45, 5], [10, 40]]).unwrap();
    close(two.kappa, 0.7);
    close(two.standard_error, 0.07105631569396208);
    let three = kappa(&[[20, 3, 1], [4, 15, 6], [0, 2, 30]]).unwrap();
    close(three.kappa, 0.6986747268077191);
    close(three.standard_error, 0.06627885558242429);
    close(three.base_rates[0], 24.0 / 81.0);
}

#[test]
fn nothing_to_agree_in() {
    assert_eq!(kappa::<[u64; 0]>(&[]), None);
    assert_eq!(kappa(&[[0, 0], [0, 0]]), None);
    assert_eq!(kappa(&[[9, 0], [0, 0]]), None);
    assert_eq!(kappa(&[vec![1, 2], vec![3]]), None);
    // The same agreement means less where nearly all cases are alike.
    assert!(kappa(&[[90, 5], [5, 0]]).unwrap().kappa < 0.0);
}

#[test]
fn rogan_and_gladen() {
    let judge = Detector { sensitivity: of(95, 100), specificity: of(70, 100) };
    close(judge.corrected(0.8383).unwrap(), 0.828154);
    close(judge.informedness(), 0.65);
    close(judge.base_rate(), 0.5);
    assert_eq!(judge.corrected(0.1), Some(0.0));
    let guesses = Detector { sensitivity: of(50, 100), specificity: of(50, 100) };
    assert_eq!((guesses.corrected(0.5), guesses.corrected_interval(of(5, 10), 0.95)), (None, None));
    let perfect = Detector { sensitivity: of(u64::MAX, u64::MAX), specificity: of(u64::MAX, u64::MAX) };
    assert!(perfect.corrected_interval(of(5, 10), 0.95).is_some());
}

/// All three samples vary, and the interval has to answer for all of them.
#[test]
fn corrected_intervals_hold_about_as_often_as_they_say() {
    for (truth, sensitivity, specificity, n, known) in [
        (0.8, 0.95, 0.7, 1000, 100),
        (0.1, 0.9, 0.9, 300, 100),
        (0.5, 0.8, 0.85, 2000, 60),
        (0.95, 0.99, 0.9, 500, 200),
    ] {
        let called = truth * sensitivity + (1.0 - truth) * (1.0 - specificity);
        let mut naive = 0_u32;
        let held = share(4_000, |random| {
            let judge = Detector {
                sensitivity: of(binomial(random, known, sensitivity), known),
                specificity: of(binomial(random, known, specificity), known),
            };
            let seen = of(binomial(random, n, called), n);
            let (least, most) = seen.clopper_pearson(0.95);
            let bounds = judge.corrected(least).zip(judge.corrected(most));
            naive += u32::from(crate::holds(bounds, truth));
            crate::holds(judge.corrected_interval(seen, 0.95), truth)
        });
        assert!((0.94..0.985).contains(&held), "{held} for {truth}");
        // An interval of what was judged alone is too sure.
        assert!(naive < 3_700, "{naive} of 4 000 for {truth}");
    }
}

proptest! {
    #[test]
    fn corrections_rise_with_what_is_called(hits in 60_u64..100, rejections in 60_u64..100, called in 0_u64..100) {
        let judge = Detector { sensitivity: of(hits, 100), specificity: of(rejections, 100) };
        let (least, most) = judge.corrected_interval(of(called, 100), 0.9).unwrap();
        let (more_least, more_most) = judge.corrected_interval(of(called, 100), 0.99).unwrap();
        prop_assert!((0.0..=1.0).contains(&least) && least <= most && most <= 1.0);
        prop_assert!(more_most - more_least >= most - least - 1e-12);
        prop_assert!(judge.corrected(called as f64 / 100.0) <= judge.corrected((called + 1) as f64 / 100.0));
    }

    #[test]
    fn judges_may_change_places(table in prop::array::uniform3(prop::array::uniform3(1_u64..50))) {
        let mut turned = table;
        (0..3).for_each(|i| (0..3).for_each(|j| turned[j][i] = table[i][j]));
        let (one, other) = (kappa(&table).unwrap(), kappa(&turned).unwrap());
        close(one.kappa, other.kappa);
        close(one.standard_error, other.standard_error);
        prop_assert!(one.kappa <= 1.0);
    }
}
