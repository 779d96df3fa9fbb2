//! What is no number is no reason to panic, and speaks for nothing.

use tidegate_validation::statistics::{
    Bootstrap, Calibration, Cluster, ClusteredMean, Detector, Paired, Proportion, Sprt, Unpaired,
    WeightedShare, detectable_mean, detectable_paired_share, detectable_rate, gate_power, holm, lower_rank,
    sample_rank, sample_ratio, trials_for_power, trials_needed, upper_rank,
};

const ODD: [f64; 5] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2.0];

#[test]
fn no_argument_makes_them_panic() {
    let share = Proportion::new(3, 7).unwrap();
    let paired = Paired::new(9, 3, 2).unwrap();
    let unpaired = Unpaired { candidate: share, baseline: share };
    let detector = Detector { sensitivity: share, specificity: Proportion::new(6, 7).unwrap() };
    let mean = ClusteredMean::new([1.0, 2.0, 4.0].map(|sum| Cluster { sum, count: 1 })).unwrap();
    let weighted = WeightedShare::plain(3, 7).unwrap();
    let sprt = Sprt::new(0.8, 0.9, 0.05, 0.05, 100).unwrap();
    let answers = Calibration::new([(0.9, true), (0.2, false)]).unwrap();
    let bootstrap = Bootstrap { resamples: 10, seed: 1 };
    let resampled = bootstrap.mean([1.0, 2.0].map(|sum| Cluster { sum, count: 1 })).unwrap();
    for odd in ODD {
        let _ = (share.lower(odd), share.upper(odd), share.clopper_pearson(odd), share.wilson(odd));
        let _ = (weighted.lower(odd), weighted.upper(odd));
        let _ =
            (paired.tango(odd), paired.p_not_worse(odd), unpaired.interval(odd), unpaired.p_not_worse(odd));
        let _ = (detector.corrected(odd), detector.corrected_interval(share, odd));
        let _ = (mean.interval(odd), sprt.odds(odd), Calibration::new([(odd, true)]));
        let _ = (resampled.percentile(odd), resampled.bca(odd), answers.ece_interval(9, odd, bootstrap));
        let _ = (
            bootstrap.mean([Cluster { sum: odd, count: 1 }, Cluster { sum: 1.0, count: 1 }]),
            holm(&[odd, 0.1]),
        );
        let _ = (sample_ratio(&[1, 2], &[odd, 0.5]), Sprt::new(odd, odd, odd, odd, 9));
        for (a, b, c) in [(odd, 0.9, 0.9), (0.9, odd, 0.9), (0.9, 0.9, odd), (odd, odd, odd)] {
            let _ = (gate_power(9, a, b, c), detectable_rate(9, a, b, c), trials_for_power(a, b, c, c));
            let _ =
                (detectable_paired_share(9, a, b, c), detectable_mean(9, a, b, c), trials_needed(a, b, 1));
            for n in [0, 9, u64::MAX] {
                let _ = (upper_rank(n, a, b), lower_rank(n, a, b), sample_rank(n, a));
            }
        }
    }
    assert_eq!(trials_needed(0.9, 0.95, u64::MAX), None);
}

#[test]
fn what_is_no_number_proves_nothing() {
    let nan = f64::NAN;
    let share = Proportion::new(99, 100).unwrap();
    assert!(share.lower(nan).is_nan() && share.upper(nan).is_nan());
    assert_eq!(
        (trials_needed(nan, 0.95, 0), upper_rank(99, nan, 0.95), lower_rank(99, nan, 0.95)),
        (None, None, None)
    );
    assert!(Paired::new(9, 3, 2).unwrap().p_not_worse(nan).is_nan());
    assert_eq!(gate_power(99, nan, 0.9, 0.95), 0.0);
    assert_eq!(detectable_rate(99, nan, 0.95, 0.8), None);
}
