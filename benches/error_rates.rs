//! How often the judges are wrong when they are asked after every window, how soon they see a regression, and what
//! a repeated z test does in the same rollouts: the full size of `metrics/tests/error_rates.rs`.
//!
//! `cargo bench --bench error_rates [RUNS]`; 4000 rollouts a row by default, a few minutes.

#[path = "../metrics/tests/scenes/mod.rs"]
mod scenes;

mod figures;

use std::io;

use anyhow::Result;
use scenes::{
    BETTER, BURSTS, DRIFT, EVEN_BURSTS, FREQUENT, HALF, LITTLE, RAMP, STEADY, Scene, decided, histogram,
    latencies, pair, peeked_z, quantiles,
};
use tidegate_metrics::{
    Comparison, Criterion, Method, Metric, Pair, Rule, Scenario, Simulation, Verdict, plan,
};

use self::figures::{Figure, Sheet, Spread};

fn main() -> Result<()> {
    let runs = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(4000);
    let mut out = io::stdout().lock();
    let mut sheet = Sheet::of("error_rates");
    let in_bursts = false_alarms(&mut out, runs, &mut sheet)?;
    bursts(&mut out, runs, in_bursts, &mut sheet)?;
    time_to_fail(&mut out, runs / 4, &mut sheet)?;
    time_to_pass(&mut out, runs / 4)?;
    latency(&mut out, runs / 4, &mut sheet)?;
    drop(out);
    // Under `cargo test` only whether it works is of interest.
    if std::env::args().any(|argument| argument == "--bench") { sheet.close() } else { Ok(()) }
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

/// Gives how many are failed in bursts, in percent.
fn false_alarms(out: &mut impl io::Write, runs: u64, sheet: &mut Sheet) -> io::Result<f64> {
    writeln!(
        out,
        "# Identical versions failed, in % of {runs} rollouts of up to 200 looks, at nominal 5 %\n"
    )?;
    writeln!(out, "| rollout | tidegate | repeated z test |\n|---|---|---|")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for scene in [STEADY, HALF, DRIFT, RAMP, FREQUENT, LITTLE, BETTER, BURSTS] {
        let e_process = failed(&Criterion::compare(Metric::errors()), &scene, runs);
        let z_test = share(runs, |seed| peeked_z(&scene.run(seed)));
        writeln!(out, "| {} | {e_process:.2} | {z_test:.1} |", scene.name)?;
        ours.push(e_process);
        theirs.push(z_test);
    }
    writeln!(out)?;
    // The last is that in bursts, and the one before it is of a version that is better, and not the same.
    let ((&in_bursts, ours), (&z_in_bursts, theirs)) =
        ours.split_last().zip(theirs.split_last()).expect("there are scenes");
    let [ours, theirs] = [ours, theirs].map(|all| Spread::of(all[..all.len() - 1].iter().copied()));
    sheet.say(
        "the same version failed by a judge that is asked after each of 200 windows",
        Figure::of(ours).beside(theirs),
    );
    let what = "errors in bursts: the same version failed";
    sheet.say(what, Figure::of(in_bursts).beside(z_in_bursts));
    Ok(in_bursts)
}

fn bursts(out: &mut impl io::Write, runs: u64, as_is: f64, sheet: &mut Sheet) -> io::Result<()> {
    writeln!(
        out,
        "# The guards against bursts\n\n| rollout | guard | identical versions failed, % |\n|---|---|---|"
    )?;
    let symmetric = by(Comparison { method: Method::Symmetric, ..Comparison::default() });
    for correlation in [0.0, 0.02, 0.1] {
        let scene = Scene { correlation, ..EVEN_BURSTS };
        let wrong = failed(&symmetric, &scene, runs);
        writeln!(out, "| 100 + 100 requests, correlation {correlation} | symmetric | {wrong:.2} |")?;
        if correlation == EVEN_BURSTS.correlation {
            let what = "errors in bursts: the same version failed by the symmetric method";
            sheet.say(what, Figure::of(wrong));
        }
        let doubled = Scene { odds: 2.0 * 0.99 / 0.98, windows: 400, ..scene };
        let after = (0..runs / 4)
            .filter_map(|seed| decided(&symmetric, doubled.run(seed).into_iter().map(pair), Verdict::Fail));
        let [median, p90] = quantiles(after.collect(), runs / 4).map(|after| said(after, 400));
        writeln!(out, "| the same, errors doubled | symmetric | found after {median} ({p90}) windows |")?;
    }
    for dispersion in [2.0, 3.0, 5.0] {
        let tempered = by(Comparison { dispersion, ..Comparison::default() });
        let wrong = failed(&tempered, &BURSTS, runs);
        writeln!(out, "| {} | dispersion {dispersion} | {wrong:.2} |", BURSTS.name)?;
        if dispersion == 5.0 {
            let what = "errors in bursts: the same version failed with a dispersion of 5";
            sheet.say(what, Figure::of(wrong).beside(as_is));
        }
    }
    writeln!(out)
}

/// Requests of candidate and baseline in a window.
type Split = fn(u32) -> (u64, u64);

fn said(after: Option<u32>, horizon: u32) -> String {
    after.map_or_else(|| format!(">{horizon}"), |after| after.to_string())
}

fn time_to_fail(out: &mut impl io::Write, runs: u64, sheet: &mut Sheet) -> io::Result<()> {
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
            let [median, p90] = quantiles(after.collect(), runs);
            let scenario = Scenario { rate: 0.01, odds_ratio: odds, weight, requests: 1000 };
            let quick = Simulation { runs: 1, ..Simulation::default() };
            let forecast =
                plan(&Comparison::default(), &scenario, quick).expect("the scenario is a sensible one");
            let [said_median, said_p90] = [median, p90].map(|after| said(after, 200));
            write!(out, " {said_median} ({said_p90}), {:.0} |", forecast.windows)?;
            let what = match weight {
                0.1 => "twice the errors of 1 %, found at 10 % of the traffic",
                0.5 => "twice the errors of 1 %, found at 50 % of the traffic",
                _ => continue,
            };
            match median {
                Some(after) if times == 2.0 => {
                    sheet.say(what, Figure::of(f64::from(after)).beside(forecast.windows.round()));
                }
                None if times == 2.0 => sheet.not_measured(what, "most are not found in 200 windows"),
                _ => {}
            }
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

fn latency(out: &mut impl io::Write, runs: u64, sheet: &mut Sheet) -> io::Result<()> {
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
        let [found, p90] = quantiles(after, runs);
        let [median, p90] = [found, p90].map(|after| said(after, 100));
        match (slower, found) {
            (1.0, _) => sheet.say("the same latency failed", Figure::of(share)),
            (1.1, Some(after)) => {
                let what = "latency 10 % longer, found at 10 % of the traffic";
                sheet.say(what, Figure::of(f64::from(after)));
            }
            (1.1, None) => {
                let what = "latency 10 % longer, found at 10 % of the traffic";
                sheet.not_measured(what, "most are not found in 100 windows");
            }
            _ => {}
        }
        writeln!(out, "| {:.0} % | {share:.2} | {median} ({p90}) |", 100.0 * (slower - 1.0))?;
    }
    Ok(())
}
