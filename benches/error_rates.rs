//! How often the judges are wrong when they are asked after every window, how soon they see a regression, and what
//! a repeated z test does in the same rollouts: the full size of `metrics/tests/error_rates.rs`.
//!
//! `cargo bench --bench error_rates [RUNS]`; 4000 rollouts a row by default, a few minutes.

#[path = "../metrics/tests/scenes/mod.rs"]
mod scenes;

use std::io;

use scenes::{
    BETTER, BURSTS, DRIFT, EVEN_BURSTS, FREQUENT, HALF, LITTLE, RAMP, STEADY, Scene, decided, histogram,
    latencies, pair, peeked_z, quantiles,
};
use tidegate_metrics::{
    Comparison, Criterion, Method, Metric, Pair, Rule, Scenario, Simulation, Verdict, plan,
};

fn main() -> io::Result<()> {
    let runs = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(4000);
    let mut out = io::stdout().lock();
    false_alarms(&mut out, runs)?;
    bursts(&mut out, runs)?;
    time_to_fail(&mut out, runs / 4)?;
    time_to_pass(&mut out, runs / 4)?;
    latency(&mut out, runs / 4)
}

fn by(comparison: Comparison) -> Criterion {
    Criterion::new(Metric::errors(), Rule::Compare(comparison))
}

fn share(runs: u64, is: impl Fn(u64) -> bool) -> f64 {
    100.0 * (0..runs).filter(|&seed| is(seed)).count() as f64 / runs as f64
}

fn failed(criterion: &Criterion, scene: &Scene, runs: u64) -> f64 {
    share(runs, |seed| decided(criterion, scene.run(seed).into_iter().map(pair), Verdict::Fail).is_some())
}

fn false_alarms(out: &mut impl io::Write, runs: u64) -> io::Result<()> {
    writeln!(
        out,
        "# Identical versions failed, in % of {runs} rollouts of up to 200 looks, at nominal 5 %\n"
    )?;
    writeln!(out, "| rollout | tidegate | repeated z test |\n|---|---|---|")?;
    for scene in [STEADY, HALF, DRIFT, RAMP, FREQUENT, LITTLE, BETTER, BURSTS] {
        let e_process = failed(&Criterion::compare(Metric::errors()), &scene, runs);
        let z_test = share(runs, |seed| peeked_z(&scene.run(seed)));
        writeln!(out, "| {} | {e_process:.2} | {z_test:.1} |", scene.name)?;
    }
    writeln!(out)
}

fn bursts(out: &mut impl io::Write, runs: u64) -> io::Result<()> {
    writeln!(
        out,
        "# The guards against bursts\n\n| rollout | guard | identical versions failed, % |\n|---|---|---|"
    )?;
    let symmetric = by(Comparison { method: Method::Symmetric, ..Comparison::default() });
    for correlation in [0.0, 0.02, 0.1] {
        let scene = Scene { correlation, ..EVEN_BURSTS };
        let wrong = failed(&symmetric, &scene, runs);
        writeln!(out, "| 100 + 100 requests, correlation {correlation} | symmetric | {wrong:.2} |")?;
        let doubled = Scene { odds: 2.0 * 0.99 / 0.98, windows: 400, ..scene };
        let after = (0..runs / 4)
            .filter_map(|seed| decided(&symmetric, doubled.run(seed).into_iter().map(pair), Verdict::Fail));
        let [median, p90] = quantiles(after.collect(), runs / 4).map(|after| said(after, 400));
        writeln!(out, "| the same, errors doubled | symmetric | found after {median} ({p90}) windows |")?;
    }
    for dispersion in [2.0, 3.0, 5.0] {
        let tempered = by(Comparison { dispersion, ..Comparison::default() });
        writeln!(
            out,
            "| {} | dispersion {dispersion} | {:.2} |",
            BURSTS.name,
            failed(&tempered, &BURSTS, runs)
        )?;
    }
    writeln!(out)
}

/// Requests of candidate and baseline in a window.
type Split = fn(u32) -> (u64, u64);

fn said(after: Option<u32>, horizon: u32) -> String {
    after.map_or_else(|| format!(">{horizon}"), |after| after.to_string())
}

fn time_to_fail(out: &mut impl io::Write, runs: u64) -> io::Result<()> {
    writeln!(
        out,
        "# Windows of 1000 requests until a regression fails: median (90 %), and the planner's formula\n"
    )?;
    writeln!(out, "| weight | 1.5 times | 2 times | 5 times |\n|---|---|---|---|")?;
    let splits: [(f64, Split); 5] = [
        (0.01, |_| (10, 990)),
        (0.05, |_| (50, 950)),
        (0.10, |_| (100, 900)),
        (0.25, |_| (250, 750)),
        (0.50, |_| (500, 500)),
    ];
    for (weight, split) in splits {
        write!(out, "| {:.0} % |", 100.0 * weight)?;
        for times in [1.5, 2.0, 5.0] {
            // The candidate's errors are 1.5, 2, 5 times the baseline's 1 %; as odds that is a little more.
            let odds = times * 0.99 / (1.0 - 0.01 * times);
            let scene = Scene { odds, split, ..STEADY };
            let criterion = Criterion::compare(Metric::errors());
            let after = (0..runs)
                .filter_map(|seed| decided(&criterion, scene.run(seed).into_iter().map(pair), Verdict::Fail));
            let [median, p90] = quantiles(after.collect(), runs).map(|after| said(after, 200));
            let scenario = Scenario { rate: 0.01, odds_ratio: odds, weight, requests: 1000 };
            let quick = Simulation { runs: 1, ..Simulation::default() };
            let forecast =
                plan(&Comparison::default(), &scenario, quick).expect("the scenario is a sensible one");
            write!(out, " {median} ({p90}), {:.0} |", forecast.windows)?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn time_to_pass(out: &mut impl io::Write, runs: u64) -> io::Result<()> {
    writeln!(
        out,
        "# Windows until an identical version passes (1 % errors, 10 % weight), and a version at the margin\n"
    )?;
    writeln!(out, "| margin | median (90 %) | at the margin passed, % |\n|---|---|---|")?;
    for margin in [1.0, 0.5, 0.25] {
        // Without the bet on the candidate's own share, so that the comparison alone is seen.
        let criterion = by(Comparison { margin, negligible: 0.0, ..Comparison::default() });
        let after = (0..runs)
            .filter_map(|seed| decided(&criterion, STEADY.run(seed).into_iter().map(pair), Verdict::Pass));
        let [median, p90] = quantiles(after.collect(), runs).map(|after| said(after, 200));
        let at_margin = Scene { odds: 1.0 + margin, ..STEADY };
        let wrong = share(runs, |seed| {
            decided(&criterion, at_margin.run(seed).into_iter().map(pair), Verdict::Pass).is_some()
        });
        writeln!(out, "| {} | {median} ({p90}) | {wrong:.2} |", 1.0 + margin)?;
    }
    writeln!(out)
}

fn latency(out: &mut impl io::Write, runs: u64) -> io::Result<()> {
    const EDGES: [f64; 12] = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.5];
    writeln!(out, "# Latency by histogram, 100 + 900 requests a window, up to 100 looks\n")?;
    writeln!(out, "| slower | failed, % of {runs} | windows: median (90 %) |\n|---|---|---|")?;
    let criterion = Criterion::compare(Metric::latency());
    for slower in [1.0, 1.1, 1.2, 1.5] {
        let after = (0..runs).filter_map(|seed| {
            let mut chance = fastrand::Rng::with_seed(seed);
            let windows = (0..100).map(|_| {
                let [candidate, baseline] = [(100, slower), (900, 1.0)]
                    .map(|(requests, slower)| histogram(&EDGES, &latencies(&mut chance, requests, slower)));
                Pair::new(candidate.into(), Some(baseline.into()))
            });
            decided(&criterion, windows, Verdict::Fail)
        });
        let after: Vec<_> = after.collect();
        let share = 100.0 * after.len() as f64 / runs as f64;
        let [median, p90] = quantiles(after, runs).map(|after| said(after, 100));
        writeln!(out, "| {:.0} % | {share:.2} | {median} ({p90}) |", 100.0 * (slower - 1.0))?;
    }
    Ok(())
}
