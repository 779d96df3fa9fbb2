//! Resampled means.

use proptest::prelude::*;
use tidegate_validation::statistics::{Bootstrap, Cluster, ClusteredMean};

use crate::{holds, normal, share};

fn singles(scores: &[f64]) -> Vec<Cluster> {
    scores.iter().map(|score| Cluster::of(&[*score])).collect()
}

#[test]
fn a_seed_replays() {
    let scores = singles(&[0.1, 0.5, 0.9, 0.3]);
    let of = |seed| Bootstrap { resamples: 500, seed }.mean(scores.clone()).unwrap();
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

/// All 3 125 ways to draw five of five cases.
#[test]
fn quantiles_are_those_of_all_resamples() {
    let scores = [1.0, 2.0, 4.0, 8.0, 16.0];
    let mut all: Vec<f64> = (0..3125_usize)
        .map(|way| [1, 5, 25, 125, 625].iter().map(|place| scores[way / place % 5]).sum::<f64>() / 5.0)
        .collect();
    all.sort_by(f64::total_cmp);
    let drawn = Bootstrap { resamples: 200_000, seed: 7 }.mean(singles(&scores)).unwrap();
    for (i, rank) in [(100, 6_400), (1_000, 64_000), (2_000, 128_000), (3_000, 192_000)] {
        assert!((all[i] - drawn.resamples()[rank]).abs() <= 0.2, "{} {}", all[i], drawn.resamples()[rank]);
    }
}

/// scipy.stats.bootstrap(numpy.mean) with 300 000 resamples, which agrees with itself as well between seeds.
#[test]
fn bounds_agree_with_scipy() {
    let squares: Vec<f64> = (0..60_u32).map(|i| f64::from((37 * i % 101).pow(2)) / 1000.0).collect();
    let means = Bootstrap { resamples: 300_000, seed: 7 }.mean(singles(&squares)).unwrap();
    for (actual, golden) in [(means.bca(0.9), (2.7010, 3.9728)), (means.percentile(0.9), (2.6761, 3.9443))] {
        let (least, most) = actual.unwrap();
        assert!(
            (least - golden.0).abs() < 0.004 && (most - golden.1).abs() < 0.004,
            "{least} {most} {golden:?}"
        );
    }
    let few = Bootstrap { resamples: 300_000, seed: 7 }.mean(singles(&[1.0, 2.0, 4.0, 8.0, 16.0])).unwrap();
    assert_eq!(few.bca(0.9), Some((3.0, 11.6)));
}

#[test]
fn unequal_clusters_are_weighed_by_their_scores() {
    // One path draws sums alone and the other draws sums and counts; an empty cluster must not matter.
    let scores: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50)).collect();
    let equal = Bootstrap { resamples: 1000, seed: 7 }.mean(singles(&scores)).unwrap();
    let clusters: Vec<Cluster> =
        scores.iter().map(|s| Cluster { sum: *s, count: 1 }).chain([Cluster::default()]).collect();
    assert_eq!(Bootstrap { resamples: 1000, seed: 7 }.mean(clusters).unwrap(), equal);
    let unequal: Vec<Cluster> =
        (1..=40_u32).map(|i| Cluster { sum: f64::from(i) * 2.5, count: i.into() }).collect();
    // Every score is 2.5, whatever is drawn.
    let same = Bootstrap { resamples: 100, seed: 7 }.mean(unequal).unwrap();
    assert!(same.resamples().iter().all(|mean| (mean - 2.5).abs() < 1e-12));
}

#[test]
fn the_spread_is_the_clustered_standard_error() {
    let mut random = fastrand::Rng::with_seed(7);
    let clusters: Vec<Cluster> = (0..300)
        .map(|_| {
            let ease = normal(&mut random);
            Cluster::of(&(0..random.u32(1..8)).map(|_| ease + normal(&mut random)).collect::<Vec<_>>())
        })
        .collect();
    let resampled = Bootstrap { resamples: 20_000, seed: 7 }.mean(clusters.clone()).unwrap();
    let mean = resampled.resamples().iter().sum::<f64>() / 20_000.0;
    let spread = (resampled.resamples().iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
    let error = ClusteredMean::new(clusters).unwrap().standard_error;
    assert!((spread / error - 1.0).abs() < 0.03, "{spread} {error}");
}

#[test]
fn what_cannot_be_resampled() {
    let bootstrap = Bootstrap { resamples: 10, seed: 7 };
    assert_eq!(bootstrap.mean(singles(&[1.0])), None);
    assert_eq!(bootstrap.mean(singles(&[1.0, f64::INFINITY])), None);
    assert_eq!(Bootstrap { resamples: 0, ..bootstrap }.mean(singles(&[1.0, 2.0])), None);
    assert_eq!(Bootstrap { resamples: Bootstrap::MOST + 1, ..bootstrap }.mean(singles(&[1.0, 2.0])), None);
    let same = bootstrap.mean(singles(&[3.0; 9])).unwrap();
    assert_eq!((same.estimate(), same.percentile(0.9), same.bca(0.9)), (3.0, None, None));
}

#[test]
fn intervals_hold_about_as_often_as_they_say() {
    let bootstrap = |random: &mut fastrand::Rng| Bootstrap { resamples: 1_000, seed: random.u64(..) };
    for bca in [false, true] {
        let held = share(1_000, |random| {
            // Mostly ties, now and then a gain or a loss: what the scores of two versions differ by.
            let scores: Vec<f64> =
                (0..150).map(|_| if random.f64() < 0.3 { normal(random) + 0.5 } else { 0.0 }).collect();
            let means = bootstrap(random).mean(singles(&scores)).unwrap();
            holds(if bca { means.bca(0.95) } else { means.percentile(0.95) }, 0.15)
        });
        assert!((0.925..0.97).contains(&held), "{held} with bca {bca}");
    }
}

/// Scores with a long tail to the right: both are misled by few of them, BCa by less.
#[test]
fn skewness_is_corrected_for() {
    let misses = |bca: bool| {
        share(1_500, |random| {
            let scores: Vec<f64> = (0..40).map(|_| normal(random).exp()).collect();
            let means = Bootstrap { resamples: 1_000, seed: random.u64(..) }.mean(singles(&scores)).unwrap();
            let (_, most) = if bca { means.bca(0.9) } else { means.percentile(0.9) }.unwrap();
            0.5_f64.exp() > most
        })
    };
    let (plain, corrected) = (misses(false), misses(true));
    assert!(corrected < plain - 0.01 && corrected < 0.12, "{plain} {corrected}");
}

proptest! {
    #[test]
    fn resamples_stay_among_the_scores(scores in prop::collection::vec(-10.0_f64..10.0, 2..40), seed: u64) {
        let means = Bootstrap { resamples: 200, seed }.mean(singles(&scores)).unwrap();
        let (least, most) = (scores.iter().copied().fold(f64::MAX, f64::min), scores.iter().copied().fold(f64::MIN, f64::max));
        prop_assert!(means.resamples().iter().all(|mean| (least - 1e-9..=most + 1e-9).contains(mean)));
        prop_assert!(means.resamples().is_sorted());
        if let (Some((low, high)), Some((wider_low, wider_high))) = (means.percentile(0.8), means.percentile(0.9)) {
            prop_assert!(wider_low <= low && low <= high && high <= wider_high);
        }
    }
}
