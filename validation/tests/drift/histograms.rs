//! Distances over bins and categories.

use proptest::prelude::*;
use tidegate_validation::drift::{Binning, Histogram, Permutations};

use crate::{close, column, scattered, share};

const SHUFFLES: Permutations = Permutations { count: 199, seed: 7 };

fn of(reference: &[u64], current: &[u64]) -> Histogram {
    Histogram::new(reference.to_vec(), current.to_vec()).unwrap()
}

#[test]
fn distances_agree_with_the_brief() {
    let histogram = of(&[10, 20, 30, 40], &[40, 40, 50, 70]);
    close(histogram.psi(), 0.0851074);
    close(histogram.kullback_leibler(), 0.0387943);
    close(histogram.jensen_shannon_nats(), 0.1023076);
    close(histogram.jensen_shannon_bits(), 0.1228839);
    close(histogram.hellinger(), 0.1027211);
    close(histogram.total_variation(), 0.1);
    let test = of(&[30, 40, 30], &[20, 35, 45]);
    close(test.chi_square().unwrap().p, 0.069483);
    close(test.chi_square_p(SHUFFLES), 0.069483);
    close(test.cramers_v(), (5.333_333_f64 / 200.0).sqrt());
}

/// numpy.quantile for the edges, scipy.spatial.distance.jensenshannon, chi2_contingency(correction=False).
#[test]
fn deciles_of_the_reference_agree_with_numpy() {
    let (reference, current) = scattered(500, 700, 0.3);
    let histogram = Histogram::of_numbers(&column(reference), &column(current), Binning::Deciles).unwrap();
    assert_eq!(histogram.reference(), [50, 54, 49, 50, 50, 49, 49, 50, 50, 49]);
    assert_eq!(histogram.current(), [46, 64, 62, 64, 63, 62, 64, 62, 64, 149]);
    close(histogram.psi(), 0.11258518862727575);
    close(histogram.jensen_shannon_nats(), 0.11742349246849794);
    close(histogram.chi_square().unwrap().statistic, 30.283120749812603);
    close(histogram.chi_square().unwrap().p, 0.0003926087056355088);
}

#[test]
fn bins_of_evidently_give_its_figures() {
    let (reference, current) = scattered(500, 700, 0.3);
    let histogram = Histogram::of_numbers(&column(reference), &column(current), Binning::Evidently).unwrap();
    close(histogram.psi(), 0.6642032435753975);
    close(histogram.jensen_shannon_nats(), 0.19196425568201142);
    let few = |n: u32, modulus: u32| column((0..n).map(|i| f64::from(i * i % modulus)));
    let histogram = Histogram::of_numbers(&few(300, 17), &few(400, 19), Binning::Evidently).unwrap();
    close(histogram.psi(), 7.000626066964848);
    close(histogram.jensen_shannon_nats(), 0.5887823464419676);
}

#[test]
fn few_numbers_and_equal_ones_have_bins_too() {
    for values in [vec![1.0], vec![1.0, 2.0], vec![5.0; 40], vec![0.0, 0.0, 0.0, 9.0]] {
        for binning in [Binning::Deciles, Binning::Evidently] {
            let all =
                Histogram::of_numbers(&column(values.clone()), &column([2.0, 7.0, -1.0]), binning).unwrap();
            assert_eq!(all.reference().iter().sum::<u64>(), values.len() as u64);
            assert_eq!(all.current().iter().sum::<u64>(), 3);
        }
    }
    let one = of(&[5], &[9]);
    assert_eq!(
        (one.psi(), one.chi_square(), one.chi_square_p(SHUFFLES), one.cramers_v()),
        (0.0, None, 1.0, 0.0)
    );
    assert_eq!(Histogram::new(vec![1, 2], vec![1]), None);
    assert_eq!(Histogram::new(vec![0, 0], vec![1, 1]), None);
    assert_eq!(Histogram::new(vec![u64::MAX, 1], vec![1, 1]), None);
    assert_eq!(Histogram::new(vec![1 << 53], vec![1]), None);
}

/// Without drift, at sizes for which either way of shuffling is taken.
#[test]
fn chances_of_shuffling_are_chances() {
    for (n, bins) in [(60, 4), (400, 10), (5_000, 10)] {
        let (mut low, mut by_counts) = (0_u32, 0_u32);
        let alarms = share(400, |random| {
            let mut counts = |n: u64| {
                let mut counts = vec![0_u64; bins];
                (0..n).for_each(|_| counts[random.usize(..bins)] += 1);
                counts
            };
            let histogram = Histogram::new(counts(n), counts(2 * n)).unwrap();
            let shuffles = Permutations { count: 199, seed: random.u64(..) };
            let p = histogram.psi_p(shuffles);
            low += u32::from(p <= 0.5);
            by_counts += u32::from(histogram.chi_square_p(shuffles) <= 0.1);
            p <= 0.1
        });
        assert!((0.06..0.14).contains(&alarms), "{alarms} for {n}");
        let [low, by_counts] = [low, by_counts].map(|count| f64::from(count) / 400.0);
        assert!(
            (0.42..0.58).contains(&low) && (0.06..0.14).contains(&by_counts),
            "{low} {by_counts} for {n}"
        );
    }
}

/// Bins that follow the reference do not make the chance of the index a wrong one.
#[test]
fn an_index_over_deciles_errs_as_often_as_it_says() {
    let alarms = share(400, |random| {
        let mut sample = |n: u32| column((0..n).map(|_| random.f64()));
        let histogram = Histogram::of_numbers(&sample(300), &sample(200), Binning::Deciles).unwrap();
        histogram.psi_p(Permutations { count: 199, seed: random.u64(..) }) <= 0.1
    });
    assert!((0.06..0.14).contains(&alarms), "{alarms}");
}

/// So few are expected that the law of χ² would not do: of 12 categories with 2 values each.
#[test]
fn few_counts_are_shuffled() {
    let alarms = share(400, |random| {
        let mut counts = || {
            let mut counts = vec![0_u64; 12];
            (0..24).for_each(|_| counts[random.usize(..12)] += 1);
            counts
        };
        let histogram = Histogram::new(counts(), counts()).unwrap();
        histogram.chi_square_p(Permutations { count: 199, seed: random.u64(..) }) <= 0.05
    });
    assert!((0.025..0.075).contains(&alarms), "{alarms}");
}

/// scipy.stats.fisher_exact of [[3, 1], [1, 3]] and of [[8, 2], [1, 5]], two-sided: of two categories shuffling is
/// that test, as statistics as extreme are tables as extreme.
#[test]
fn of_two_categories_shuffling_is_fishers_test() {
    let many = Permutations { count: 100_000, seed: 7 };
    assert!((of(&[3, 1], &[1, 3]).chi_square_p(many) - 0.4857142857).abs() < 0.005);
    assert!((of(&[8, 2], &[1, 5]).chi_square_p(many) - 0.0349650350).abs() < 0.002);
}

#[test]
fn chances_of_very_many_are_found_in_time() {
    let huge = of(&[1 << 50, 1 << 49, 1 << 51], &[(1 << 50) + (1 << 20), 1 << 49, 1 << 51]);
    assert!((0.0..=1.0).contains(&huge.psi_p(SHUFFLES)));
    let million = of(
        &[100_000; 10],
        &[100_500, 99_500, 100_000, 100_000, 100_000, 100_000, 100_000, 100_000, 100_000, 100_000],
    );
    // χ² of 2.5 with 9 degrees of freedom.
    let p = million.psi_p(Permutations { count: 2_000, seed: 7 });
    assert!((p - 0.981).abs() < 0.02, "{p}");
}

proptest! {
    #[test]
    fn distances_have_their_ranges(counts in prop::collection::vec((0_u64..50, 0_u64..50), 1..15)) {
        let (first, second): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
        prop_assume!(first.iter().sum::<u64>() > 0 && second.iter().sum::<u64>() > 0);
        let (one, other) = (of(&first, &second), of(&second, &first));
        for distance in [Histogram::psi, Histogram::jensen_shannon_bits, Histogram::hellinger, Histogram::total_variation, Histogram::cramers_v] {
            close(distance(&one), distance(&other));
            prop_assert!(distance(&one) >= 0.0);
            close(distance(&of(&first, &first)), 0.0);
        }
        for bounded in [Histogram::jensen_shannon_bits, Histogram::hellinger, Histogram::total_variation, Histogram::cramers_v] {
            prop_assert!(bounded(&one) <= 1.0 + 1e-9);
        }
        // H² ≤ TVD ≤ √2·H.
        let (hellinger, variation) = (one.hellinger(), one.total_variation());
        prop_assert!(hellinger * hellinger <= variation + 1e-9 && variation <= 2.0_f64.sqrt() * hellinger + 1e-9);
        prop_assert!(one.psi_p(SHUFFLES) > 0.0 && one.psi_p(SHUFFLES) <= 1.0);
        prop_assert_eq!(one.psi_p(SHUFFLES), one.psi_p(SHUFFLES));
    }
}
