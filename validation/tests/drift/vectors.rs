//! Samples of vectors.

use tidegate_validation::drift::{Permutations, Samples};

use crate::{close, normal, share};

fn cloud(random: &mut fastrand::Rng, n: usize, dimensions: usize, middle: f64, spread: f64) -> Vec<Vec<f64>> {
    (0..n).map(|_| (0..dimensions).map(|_| middle + spread * normal(random)).collect()).collect()
}

/// The values of the brief, by numpy; the energy distance is the square of scipy's.
#[test]
fn ten_against_ten_agree_with_the_brief() {
    let reference = [0.1, 0.4, 0.7, 1.1, 1.5, 1.9, 2.2, 2.8, 3.3, 4.0].map(|x| [x]);
    let current = [0.3, 0.9, 1.4, 1.8, 2.5, 3.1, 3.6, 4.2, 4.9, 5.5].map(|x| [x]);
    let samples = Samples::new(&reference, &current).unwrap();
    close(samples.median_square(), 2.56);
    let test = samples.mmd(Permutations::default()).unwrap();
    assert!((test.statistic - 0.0112299).abs() < 1e-7, "{test:?}");
    assert!((samples.mmd_biased().unwrap() - 0.0988338).abs() < 1e-7);
    close(samples.energy(Permutations::default()).statistic, 0.6663332499583073 * 0.6663332499583073);
    assert!((0.1..0.5).contains(&test.p));
}

#[test]
fn what_cannot_be_compared() {
    let two = [[1.0, 2.0], [3.0, 4.0]];
    assert!(Samples::new(&two[..1], &two).is_none());
    assert!(Samples::new(&[vec![1.0], vec![2.0]], &[vec![1.0, 2.0], vec![3.0, 4.0]]).is_none());
    assert!(Samples::new(&two, &[[f64::NAN, 0.0], [1.0, 1.0]]).is_none());
    assert!(Samples::new(&two, &[[f64::MAX, 0.0], [f64::MIN, 1.0]]).is_none());
    assert!(Samples::new(&vec![[0.0]; Samples::MOST], &two.map(|_| [0.0])).is_none());
    let same = Samples::new(&[[1.0]; 9], &[[1.0]; 9]).unwrap();
    assert!(
        same.mmd(Permutations::default()).is_none() && same.classifier(Permutations::default()).is_none()
    );
    assert_eq!(same.energy(Permutations::default()).p, 1.0);
    assert!(Samples::new(&two, &two).unwrap().classifier(Permutations::default()).is_none());
}

#[test]
fn without_drift_tests_alarm_as_often_as_they_may() {
    let mut alarms = [0_u32; 3];
    share(200, |random| {
        let (first, second) = (cloud(random, 15, 3, 0.0, 1.0), cloud(random, 25, 3, 0.0, 1.0));
        let samples = Samples::new(&first, &second).unwrap();
        let shuffles = Permutations { count: 1, seed: random.u64(..) };
        let p = [
            samples.mmd(shuffles).unwrap().p,
            samples.energy(shuffles).p,
            samples.classifier(shuffles).unwrap().p,
        ];
        (0..3).for_each(|i| alarms[i] += u32::from(p[i] <= 0.1));
        // However few are asked for, there are 500.
        assert!(p.iter().all(|p| *p >= 1.0 / 501.0));
        true
    });
    assert!(alarms.iter().all(|count| (8..35).contains(count)), "{alarms:?} of 200");
}

#[test]
fn drift_of_the_middle_and_of_the_spread_is_found() {
    let mut random = fastrand::Rng::with_seed(7);
    for (middle, spread) in [(0.5, 1.0), (0.0, 2.0)] {
        let (first, second) =
            (cloud(&mut random, 100, 8, 0.0, 1.0), cloud(&mut random, 120, 8, middle, spread));
        let samples = Samples::new(&first, &second).unwrap();
        let classifier = samples.classifier(Permutations::default()).unwrap();
        assert!(classifier.statistic > 0.7 && classifier.p < 0.01, "{classifier:?}");
        assert!(samples.mmd(Permutations::default()).unwrap().p < 0.01);
        assert!(samples.energy(Permutations::default()).p < 0.01);
    }
}

#[test]
fn a_classifier_that_can_tell_all_is_always_right_and_a_seed_replays() {
    let mut random = fastrand::Rng::with_seed(7);
    let (first, second) = (cloud(&mut random, 40, 4, 0.0, 1.0), cloud(&mut random, 40, 4, 20.0, 1.0));
    let samples = Samples::new(&first, &second).unwrap();
    let test = samples.classifier(Permutations::default()).unwrap();
    assert_eq!((test.statistic, test.p), (1.0, 0.001));
    assert_eq!(samples.classifier(Permutations::default()), Some(test));
    // Whose the vectors are does not matter.
    let swapped = Samples::new(&second, &first).unwrap();
    close(
        swapped.mmd(Permutations::default()).unwrap().statistic,
        samples.mmd(Permutations::default()).unwrap().statistic,
    );
}
