//! How often the judges are wrong when they are asked after every window, by seeded simulation. The bench
//! `error_rates` has the same in full size and prints a table.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod scenes;

use fastrand::Rng;
use scenes::{
    BETTER, BURSTS, DRIFT, EVEN_BURSTS, FREQUENT, HALF, LITTLE, RAMP, STEADY, Scene, decided, histogram,
    latencies, pair, peeked_z, quantiles,
};
use tidegate_metrics::{
    Comparison, Criterion, Evidence, Method, Metric, Observation, Pair, Rule, ScoreComparison, Statistic,
    Verdict, calibrate, testkit::Traffic,
};

const RUNS: u64 = 1000;
/// The promised 5 %, and three standard errors of what 1000 runs can show of it. What is measured lies far below.
const AT_MOST: f64 = 0.05 + 3.0 * 0.006_9;

fn compare() -> Criterion {
    Criterion::compare(Metric::errors())
}

fn by(comparison: Comparison) -> Criterion {
    Criterion::new(Metric::errors(), Rule::Compare(comparison))
}

fn share(runs: u64, is: impl Fn(u64) -> bool) -> f64 {
    (0..runs).filter(|&seed| is(seed)).count() as f64 / runs as f64
}

fn failed(criterion: &Criterion, scene: &Scene, runs: u64) -> f64 {
    share(runs, |seed| decided(criterion, scene.run(seed).into_iter().map(pair), Verdict::Fail).is_some())
}

fn rarely_fails_where_the_z_test_does(scene: &Scene) {
    let e_process = failed(&compare(), scene, RUNS);
    let z_test = share(RUNS, |seed| peeked_z(&scene.run(seed)));
    assert!(e_process <= AT_MOST, "{}: {e_process}", scene.name);
    assert!(z_test > 0.2, "{}: {z_test}", scene.name);
}

#[test]
fn an_identical_version_is_rarely_failed_and_the_peeked_z_test_fails_a_fifth() {
    rarely_fails_where_the_z_test_does(&STEADY);
    rarely_fails_where_the_z_test_does(&HALF);
}

#[test]
fn drift_and_spikes_that_both_sides_share_fool_the_z_test_alone() {
    rarely_fails_where_the_z_test_does(&DRIFT);
}

#[test]
fn a_ramp_through_drift_and_spikes_fools_the_z_test_alone() {
    rarely_fails_where_the_z_test_does(&RAMP);
}

#[test]
fn little_traffic_and_frequent_errors_are_no_excuse() {
    rarely_fails_where_the_z_test_does(&LITTLE);
    rarely_fails_where_the_z_test_does(&FREQUENT);
}

#[test]
fn a_better_candidate_is_hardly_ever_failed() {
    let wrong = failed(&compare(), &BETTER, RUNS);
    assert!(wrong <= 0.01, "{wrong}");
}

#[test]
fn regressions_are_found_in_the_time_that_the_planner_says() {
    // Windows of 1000 requests until half of the rollouts failed.
    for (odds, split, most) in [
        (5.0, (|_| (100, 900)) as fn(u32) -> (u64, u64), 3),
        (2.0, |_| (100, 900), 14),
        (2.0, |_| (500, 500), 6),
        (1.5, |_| (500, 500), 19),
    ] {
        let scene = Scene { odds, split, ..STEADY };
        let after = (0..300)
            .filter_map(|seed| decided(&compare(), scene.run(seed).into_iter().map(pair), Verdict::Fail));
        let [median, _] = quantiles(after.collect(), 300);
        assert!(median.is_some_and(|median| median <= most), "odds {odds}: {median:?} windows, not {most}");
    }
}

#[test]
fn a_version_at_the_margin_rarely_passes_and_an_identical_one_does() {
    let passed = |scene: &Scene, runs: u64| {
        share(runs, |seed| {
            decided(&compare(), scene.run(seed).into_iter().map(pair), Verdict::Pass).is_some()
        })
    };
    let at_the_margin = Scene { odds: 2.0, split: |_| (100, 100), windows: 40, ..STEADY };
    let wrong = passed(&at_the_margin, RUNS);
    assert!(wrong <= AT_MOST, "{wrong}");
    // Here the share lies where it stops being negligible, too: both halves of the bet are at their limit.
    let at_both = Scene { odds: 2.011, rate: |_| 0.005, split: |_| (250, 250), windows: 40, ..STEADY };
    let wrong = passed(&at_both, RUNS);
    assert!(wrong <= AT_MOST, "{wrong}");
    let same = Scene { split: |_| (500, 500), windows: 40, ..STEADY };
    let right = passed(&same, 400);
    assert!(right > 0.9, "{right}");
}

#[test]
fn a_share_at_its_limit_is_rarely_failed_or_passed() {
    let criterion = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05);
    let windows = |seed| {
        let mut traffic = Traffic::new(seed, 0.05);
        (0..200).map(move |_| Pair::new(traffic.window(40).into(), None))
    };
    let wrong = |verdict| share(RUNS, |seed| decided(&criterion, windows(seed), verdict).is_some());
    assert!(wrong(Verdict::Fail) <= AT_MOST, "{}", wrong(Verdict::Fail));
    assert!(wrong(Verdict::Pass) <= AT_MOST, "{}", wrong(Verdict::Pass));
    let naive = share(RUNS, |seed| {
        windows(seed).any(|pair| match pair.candidate.observed() {
            Some(Observation::Proportion { hits, trials }) => *hits as f64 / *trials as f64 > 0.05,
            _ => false,
        })
    });
    assert!(naive > 0.99, "comparing the ratio with the limit fails them all: {naive}");
}

mod bursts {
    use super::*;

    #[test]
    fn they_break_the_promise_of_independent_requests() {
        // Stated, not hidden: errors that come in bursts are no independent trials, and then 5 % is not kept.
        let wrong = failed(&compare(), &BURSTS, 500);
        assert!(wrong > 0.2, "{wrong}");
    }

    #[test]
    fn the_symmetric_method_keeps_it() {
        let symmetric = by(Comparison { method: Method::Symmetric, ..Comparison::default() });
        let wrong = failed(&symmetric, &EVEN_BURSTS, RUNS);
        assert!(wrong <= AT_MOST, "{wrong}");
        // And finds a doubling, in about 50 windows.
        let doubled = Scene { odds: 2.0, ..EVEN_BURSTS };
        let found = failed(&symmetric, &doubled, 300);
        assert!(found > 0.8, "{found}");
    }

    #[test]
    fn a_calibrated_dispersion_keeps_it() {
        let history = |seed, scene: Scene| {
            let mut evidence = Evidence::new();
            for (counts, number) in scene.run(seed).into_iter().zip(0..) {
                let Pair { candidate, baseline, .. } = pair(counts);
                evidence.add(scenes::window(number), candidate, baseline);
            }
            evidence
        };
        let long = Scene { windows: 1000, ..BURSTS };
        let calibration = calibrate(&Comparison::default(), &history(7, long), 100).unwrap();
        assert!(calibration.as_is.share > 0.2, "{calibration:?}");
        assert!(calibration.with_recommended.share <= 0.1, "{calibration:?}");
        assert!((3.0..7.0).contains(&calibration.recommended), "{calibration:?}");
        let tempered = by(Comparison { dispersion: calibration.recommended, ..Comparison::default() });
        let wrong = failed(&tempered, &BURSTS, RUNS);
        assert!(wrong <= AT_MOST, "{wrong}");

        let calm =
            calibrate(&Comparison::default(), &history(7, Scene { windows: 1000, ..DRIFT }), 100).unwrap();
        assert!((0.8..1.25).contains(&calm.dispersion.between), "{calm:?}");
        assert!(calm.dispersion.baseline > 3.0, "drift shows on one side alone: {calm:?}");
        assert!(calm.as_is.share <= 0.1, "{calm:?}");
    }
}

mod latency {
    use super::*;

    const EDGES: [f64; 12] = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.5];

    fn windows(seed: u64, slower: f64, in_buckets: bool) -> impl Iterator<Item = Pair> {
        let mut chance = Rng::with_seed(seed);
        (0..100).map(move |_| {
            let [candidate, baseline] = [(100, slower), (900, 1.0)].map(|(requests, slower)| {
                let values = latencies(&mut chance, requests, slower);
                if in_buckets { histogram(&EDGES, &values) } else { Observation::values(values).unwrap() }
            });
            Pair::new(candidate.into(), Some(candidate_like(baseline)))
        })
    }

    fn candidate_like(baseline: Observation) -> tidegate_metrics::Measurement {
        baseline.into()
    }

    fn median(slower: f64, in_buckets: bool) -> Option<u32> {
        let criterion = Criterion::compare(Metric::latency());
        let after =
            (0..60).filter_map(|seed| decided(&criterion, windows(seed, slower, in_buckets), Verdict::Fail));
        quantiles(after.collect(), 60)[0]
    }

    #[test]
    fn the_same_latency_is_rarely_failed() {
        let criterion = Criterion::compare(Metric::latency());
        let wrong = share(200, |seed| decided(&criterion, windows(seed, 1.0, true), Verdict::Fail).is_some());
        assert!(wrong <= 0.05, "{wrong}");
        let right = share(60, |seed| decided(&criterion, windows(seed, 1.0, true), Verdict::Pass).is_some());
        assert!(right > 0.9, "{right}");
        // What takes half as long again exceeds most edges more than twice as often.
        let wrong = share(200, |seed| decided(&criterion, windows(seed, 1.5, true), Verdict::Pass).is_some());
        assert!(wrong <= 0.05, "{wrong}");
    }

    #[test]
    fn slower_is_found() {
        for (slower, most) in [(1.1, 30), (1.2, 9), (1.5, 3)] {
            for in_buckets in [true, false] {
                let median = median(slower, in_buckets);
                assert!(median.is_some_and(|median| median <= most), "{slower} {in_buckets}: {median:?}");
            }
        }
    }
}

#[test]
fn scores_that_are_worse_fail_and_the_same_never() {
    let windows = |seed: u64, mean: f64| {
        let mut chance = Rng::with_seed(seed);
        (0..100).map(move |_| {
            let [candidate, baseline] = [mean, 0.8].map(|mean: f64| {
                let scores = (0..20).map(|_| {
                    let (a, b) = (
                        scenes::gamma(&mut chance, 10.0 * mean),
                        scenes::gamma(&mut chance, 10.0 * (1.0 - mean)),
                    );
                    a / (a + b)
                });
                Observation::values(scores.collect()).unwrap()
            });
            Pair::new(candidate.into(), Some(baseline.into()))
        })
    };
    let criterion = Criterion::new("quality".into(), Rule::CompareScores(ScoreComparison::default()));
    let wrong = share(200, |seed| decided(&criterion, windows(seed, 0.8), Verdict::Fail).is_some());
    assert!(wrong <= 0.05, "{wrong}");
    let found = share(100, |seed| decided(&criterion, windows(seed, 0.7), Verdict::Fail).is_some());
    assert!(found > 0.95, "{found}");
    let passed = share(100, |seed| decided(&criterion, windows(seed, 0.8), Verdict::Pass).is_some());
    assert!(passed > 0.95, "{passed}");
}
