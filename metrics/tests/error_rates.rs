//! How often the judges are wrong when they are asked after every window, by seeded simulation.
//!
//! `judge` looks at every prefix of the evidence, so one call after the last window is as good as a look after each.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::time::{Duration, SystemTime};

use tidegate_metrics::{
    Criterion, Evidence, Judgement, Measurement, Metric, Observation, Statistic, Verdict, Window, judge,
    testkit::Traffic,
};

const RUNS: u64 = 4000;
/// The promised 5 %, and three standard errors of what 4000 runs can show of it. What is measured lies far below.
const AT_MOST: f64 = 0.05 + 3.0 * 0.003_45;

/// How a simulated rollout goes: windows of `(candidate, baseline)` requests at an error rate that both share.
struct Scene {
    windows: u64,
    split: fn(u64) -> (u64, u64),
    rate: fn(u64) -> f64,
    odds: f64,
}

const STEADY: Scene = Scene { windows: 100, split: |_| (50, 450), rate: |_| 0.01, odds: 1.0 };

fn window(minute: u64) -> Window {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + minute * 60);
    Window::new(start, start + Duration::from_secs(60)).unwrap()
}

fn worse(rate: f64, odds: f64) -> f64 {
    rate * odds / (1.0 - rate + rate * odds)
}

fn hits(observation: &Observation) -> (f64, f64) {
    match observation {
        Observation::Proportion { hits, trials } => (*hits as f64, *trials as f64),
        other => panic!("traffic is proportions, not {other}"),
    }
}

fn run(scene: &Scene, seed: u64) -> Vec<(Observation, Observation)> {
    let (mut candidate, mut baseline) = (Traffic::new(2 * seed, 0.0), Traffic::new(2 * seed + 1, 0.0));
    (0..scene.windows)
        .map(|minute| {
            let ((n_c, n_b), rate) = ((scene.split)(minute), (scene.rate)(minute));
            candidate.drift_to(worse(rate, scene.odds));
            baseline.drift_to(rate);
            (candidate.window(n_c), baseline.window(n_b))
        })
        .collect()
}

fn judged(criterion: &Criterion, windows: Vec<(Observation, Observation)>) -> Judgement {
    let mut evidence = Evidence::new();
    for (minute, (candidate, baseline)) in windows.into_iter().enumerate() {
        evidence.add(window(minute as u64), candidate.into(), Some(Measurement::Observed(baseline)));
    }
    judge(criterion, &evidence)
}

/// What most tools do: a one-sided pooled z test at 5 % on everything so far, after every window.
fn peeked_z(windows: &[(Observation, Observation)]) -> bool {
    let (mut c, mut b) = ((0.0, 0.0), (0.0, 0.0));
    windows.iter().any(|(candidate, baseline)| {
        let ((x_c, n_c), (x_b, n_b)) = (hits(candidate), hits(baseline));
        (c.0, c.1, b.0, b.1) = (c.0 + x_c, c.1 + n_c, b.0 + x_b, b.1 + n_b);
        let pooled = (c.0 + b.0) / (c.1 + b.1);
        let error = (pooled * (1.0 - pooled) * (1.0 / c.1 + 1.0 / b.1)).sqrt();
        error > 0.0 && (c.0 / c.1 - b.0 / b.1) / error > 1.645
    })
}

/// The shares of runs that the e-process and the peeked z test fail.
fn failed(scene: &Scene, runs: u64) -> (f64, f64) {
    let criterion = Criterion::compare(Metric::errors());
    let (mut e_process, mut z_test) = (0, 0);
    for seed in 0..runs {
        let windows = run(scene, seed);
        z_test += u64::from(peeked_z(&windows));
        e_process += u64::from(judged(&criterion, windows).verdict == Verdict::Fail);
    }
    (e_process as f64 / runs as f64, z_test as f64 / runs as f64)
}

#[test]
fn an_identical_version_is_rarely_failed_and_the_peeked_z_test_fails_a_fifth() {
    let (e_process, z_test) = failed(&STEADY, RUNS);
    assert!(e_process <= AT_MOST, "{e_process}");
    assert!(z_test > 0.2, "{z_test}");
}

#[test]
fn a_ramp_through_drift_and_spikes_fools_the_z_test_alone() {
    let ramp = Scene {
        split: |minute| [(5, 495), (25, 475), (50, 450), (125, 375), (250, 250)][(minute / 20) as usize],
        rate: |minute| 0.005 + 0.0003 * minute as f64 + if minute % 17 == 3 { 0.03 } else { 0.0 },
        ..STEADY
    };
    let (e_process, z_test) = failed(&ramp, RUNS);
    assert!(e_process <= AT_MOST, "{e_process}");
    assert!(z_test > 0.2, "{z_test}");
}

#[test]
fn little_traffic_is_no_excuse() {
    let little = Scene { windows: 150, split: |_| (5, 45), rate: |_| 0.05, ..STEADY };
    let (e_process, z_test) = failed(&little, RUNS);
    assert!(e_process <= AT_MOST, "{e_process}");
    assert!(z_test > 0.2, "{z_test}");
}

#[test]
fn five_times_the_errors_are_found() {
    let bad = Scene { windows: 25, split: |_| (100, 900), odds: 5.0, ..STEADY };
    let (found, _) = failed(&bad, 400);
    assert!(found > 0.95, "{found}");
}

#[test]
fn a_version_at_the_margin_rarely_passes_and_an_identical_one_does() {
    let passed = |scene: &Scene, runs: u64| {
        let criterion = Criterion::compare(Metric::errors());
        let passes =
            (0..runs).filter(|&seed| judged(&criterion, run(scene, seed)).verdict == Verdict::Pass).count();
        passes as f64 / runs as f64
    };
    let at_the_margin = Scene { odds: 2.0, split: |_| (100, 100), windows: 40, ..STEADY };
    let wrong = passed(&at_the_margin, RUNS);
    assert!(wrong <= AT_MOST, "{wrong}");
    // Here the share lies where it stops being negligible, too: both halves of the bet are at their limit.
    let at_both = Scene { odds: 2.011, rate: |_| 0.005, split: |_| (250, 250), windows: 40 };
    let wrong = passed(&at_both, RUNS);
    assert!(wrong <= AT_MOST, "{wrong}");
    let same = Scene { split: |_| (500, 500), windows: 40, ..STEADY };
    let right = passed(&same, 400);
    assert!(right > 0.9, "{right}");
}

#[test]
fn a_share_at_its_limit_is_rarely_failed_or_passed() {
    let criterion = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05);
    let (mut failed, mut passed, mut naive) = (0, 0, 0);
    for seed in 0..RUNS {
        let mut traffic = Traffic::new(seed, 0.05);
        let windows: Vec<_> = (0..200).map(|_| traffic.window(40)).collect();
        naive += u64::from(windows.iter().any(|window| {
            let (x, n) = hits(window);
            x / n > 0.05
        }));
        let mut evidence = Evidence::new();
        for (minute, window_of) in windows.into_iter().enumerate() {
            evidence.add(window(minute as u64), window_of.into(), None);
        }
        match judge(&criterion, &evidence).verdict {
            Verdict::Fail => failed += 1,
            Verdict::Pass => passed += 1,
            Verdict::Inconclusive => {}
        }
    }
    let share = |count: u64| count as f64 / RUNS as f64;
    assert!(share(failed) <= AT_MOST, "{}", share(failed));
    assert!(share(passed) <= AT_MOST, "{}", share(passed));
    assert!(share(naive) > 0.99, "comparing the ratio with the limit fails them all: {}", share(naive));
}

#[test]
fn bursts_break_the_promise_of_independent_requests() {
    // Stated, not hidden: errors that come in bursts are no independent trials, and then 5 % is not kept.
    let criterion = Criterion::compare(Metric::errors());
    let runs = 500;
    let failed = (0..runs).filter(|&seed| {
        let mut sides = [2 * seed, 2 * seed + 1].map(|seed| Traffic::new(seed, 0.02).in_bursts_of(10));
        let windows = (0..100).map(|_| (sides[0].window(100), sides[1].window(900))).collect();
        judged(&criterion, windows).verdict == Verdict::Fail
    });
    let share = failed.count() as f64 / runs as f64;
    assert!(share > 0.05, "{share}");
}
