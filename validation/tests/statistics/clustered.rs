//! Means of clusters.

use proptest::prelude::*;
use tidegate_validation::statistics::{Cluster, ClusteredMean};

use crate::{close, holds, near, normal, share};

const REPEATS: [[f64; 3]; 4] = [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]];

fn singles(scores: &[f64]) -> ClusteredMean {
    ClusteredMean::new(scores.iter().map(|score| Cluster::of(&[*score]))).unwrap()
}

#[test]
fn four_cases_asked_thrice() {
    let clustered = ClusteredMean::new(REPEATS.iter().map(|scores| Cluster::of(scores))).unwrap();
    assert_eq!((clustered.clusters, clustered.n), (4, 12));
    close(clustered.mean, 2.0 / 3.0);
    close(clustered.standard_error, 0.136083);
    // Without the factor C/(C − 1), as the paper has it.
    close(clustered.standard_error * 0.75_f64.sqrt(), 0.117851);
    // Taken for twelve cases they would seem to be known better than they are.
    close(singles(REPEATS.as_flattened()).standard_error, 0.142134);
    // t of scipy with 3 degrees of freedom.
    let half = 3.182_446_305 * 0.136_082_763;
    near(clustered.interval(0.95).unwrap(), (2.0 / 3.0 - half, 2.0 / 3.0 + half));
}

/// scipy.stats.ttest_ind(equal_var=False), which is what clusters of one score come to.
#[test]
fn two_means_as_welch_has_them() {
    let [first, second] = [singles(&[3.1, 2.8, 3.4, 2.9, 3.0, 4.1]), singles(&[4.0, 4.4, 3.9, 4.6])];
    let gap = first.minus(&second).unwrap();
    close(gap.difference / gap.standard_error, -3.937797439702546);
    close(gap.freedom, 7.942406947061387);
    close(gap.p_two_sided(), 0.0043712979801766106);
    near(gap.interval(0.95).unwrap(), (-1.5995671434886354, -0.41709952317803034));
}

#[test]
fn what_leaves_nothing_to_measure_chance_by() {
    let one = Cluster::of(&[1.0, 0.0, 1.0]);
    assert_eq!(ClusteredMean::new([]), None);
    assert_eq!(ClusteredMean::new([one]), None);
    assert_eq!(ClusteredMean::new([one, Cluster::default()]), None);
    assert_eq!(ClusteredMean::new([one, Cluster::of(&[f64::NAN])]), None);
    let same = singles(&[0.1; 30]);
    assert_eq!((same.standard_error, same.interval(0.95)), (0.0, None));
    assert_eq!(same.minus(&same), None);
    assert_eq!(singles(&[0.0, 1.0]).interval(1.0), None);
}

/// Cases differ, and repeats of one resemble each other: 40 cases of 1 to 9 repeats.
#[test]
fn intervals_hold_as_often_as_they_say_where_independent_ones_do_not() {
    let mut naive = 0;
    let held = share(3_000, |random| {
        let mut all = Vec::new();
        let clusters: Vec<Cluster> = (0..40)
            .map(|_| {
                let ease = normal(random);
                let scores: Vec<f64> = (0..random.u32(1..10)).map(|_| ease + normal(random)).collect();
                all.extend_from_slice(&scores);
                Cluster::of(&scores)
            })
            .collect();
        naive += u32::from(holds(singles(&all).interval(0.95), 0.0));
        holds(ClusteredMean::new(clusters).unwrap().interval(0.95), 0.0)
    });
    assert!((0.93..0.965).contains(&held), "{held}");
    assert!(naive < 2_500, "{naive} of 3 000 held without a thought for clusters");
}

#[test]
fn gaps_are_reported_as_seldom_as_they_may() {
    let alarms = share(3_000, |random| {
        let mut side = |cases: u32, spread: f64| {
            let clusters: Vec<_> = (0..cases)
                .map(|_| {
                    let ease = normal(random) * spread;
                    Cluster::of(&[ease + normal(random), ease + normal(random)])
                })
                .collect();
            ClusteredMean::new(clusters).unwrap()
        };
        let (first, second) = (side(15, 3.0), side(60, 0.5));
        first.minus(&second).unwrap().p_two_sided() < 0.05
    });
    assert!((0.035..0.065).contains(&alarms), "{alarms}");
}

proptest! {
    #[test]
    fn order_and_shift_change_nothing_but_the_mean(
        scores in prop::collection::vec(prop::collection::vec(-10.0_f64..10.0, 1..5), 2..20),
        shift in -5.0_f64..5.0,
    ) {
        let mean = ClusteredMean::new(scores.iter().map(|scores| Cluster::of(scores))).unwrap();
        let reversed = ClusteredMean::new(scores.iter().rev().map(|scores| Cluster::of(scores))).unwrap();
        close(mean.standard_error, reversed.standard_error);
        let shifted = scores.iter().map(|scores| {
            Cluster::of(&scores.iter().map(|score| score + shift).collect::<Vec<_>>())
        });
        let shifted = ClusteredMean::new(shifted.collect::<Vec<_>>()).unwrap();
        close(shifted.mean, mean.mean + shift);
        close(shifted.standard_error, mean.standard_error);
    }

    #[test]
    fn repeating_every_score_is_no_news(scores in prop::collection::vec(-10.0_f64..10.0, 2..30)) {
        let twice: Vec<_> = scores.iter().map(|score| Cluster::of(&[*score, *score])).collect();
        let (once, twice) = (singles(&scores), ClusteredMean::new(twice).unwrap());
        close(once.standard_error, twice.standard_error);
    }
}
