//! What a look at the evidence costs: the likelihood of one table, and judging one window to a thousand.

mod estimated;
mod figures;

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use criterion::{BenchmarkId, Criterion as Bench, criterion_group};
use fastrand::Rng;
use tidegate::metrics::{Criterion, Evidence, Metric, Observation, Statistic, Table, Window, judge};

use self::{
    estimated::{forget, median},
    figures::{Figure, Sheet, Spread},
};

/// The length of a window.
const MINUTE: Duration = Duration::from_secs(60);

/// Requests in a window, half of them on each side.
const REQUESTS: u64 = 1_000;

criterion_group!(benches, all_of_a_rollout, judging, likelihood);

/// Groups, as Criterion writes them into names of files.
const ROLLOUT: &str = "judge 20 metrics over 200 windows";
const LIKELIHOOD: &str = "likelihood of a table at 8 odds ratios";

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest, and a filter measures some of it.
    let in_earnest =
        std::env::args().skip(1).all(|argument| argument == "--bench") && std::env::args().len() > 1;
    if in_earnest {
        forget(ROLLOUT)?;
        forget(LIKELIHOOD)?;
    }
    benches();
    Bench::default().configure_from_args().final_summary();
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("judge");
    sheet.say(
        "judge 20 metrics over 200 windows of 1 000 requests, 1 % errors, effects and bounds included",
        Figure::of(median(&[ROLLOUT, "1% errors"])?),
    );
    sheet.say(
        "judge 20 metrics over 200 windows of 1 000 requests, 10 % errors",
        Figure::of(median(&[ROLLOUT, "10% errors"])?),
    );
    let tables = [median(&[LIKELIHOOD, "likely", "1000"])?, median(&[LIKELIHOOD, "unlikely", "1000"])?];
    sheet.say("one window with 1 000 errors, both sides together", Figure::of(Spread::of(tables)));
    sheet.close()
}

/// One full judgement, effects and intervals included, of 20 metrics over 200 windows.
fn all_of_a_rollout(bench: &mut Bench) {
    let criteria: Vec<_> = (0..20).map(|i| Criterion::compare(Metric::new(format!("metric {i}")))).collect();
    let mut group = bench.benchmark_group(ROLLOUT);
    for percent in [1, 10] {
        let evidence = evidence(200, f64::from(percent) / 100.0);
        group.bench_function(format!("{percent}% errors"), |b| {
            b.iter(|| {
                criteria
                    .iter()
                    .map(|criterion| judge(black_box(criterion), black_box(&evidence)))
                    .collect::<Vec<_>>()
            });
        });
    }
}

/// `judge` by windows, for errors of 1 % (ten or so in a window, both sides together) and of 10 %.
fn judging(bench: &mut Bench) {
    let compare = Criterion::compare(Metric::errors());
    let limit = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05);
    for (name, criterion) in [("judge/compare", compare), ("judge/limit", limit)] {
        let mut group = bench.benchmark_group(name);
        for windows in [1, 30, 1_000] {
            for percent in [1, 10] {
                let evidence = evidence(windows, f64::from(percent) / 100.0);
                let id = BenchmarkId::new(format!("{percent}% errors"), windows);
                group.bench_function(id, |b| b.iter(|| judge(black_box(&criterion), black_box(&evidence))));
            }
        }
    }
}

/// The likelihood ratios of one table at eight odds ratios, as one window of a comparison takes them. The
/// hits of both sides are given; the likely table divides them evenly, in the unlikely one all are the
/// candidate's.
fn likelihood(bench: &mut Bench) {
    const ODDS: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
    let mut group = bench.benchmark_group(LIKELIHOOD);
    for hits in [10, 100, 1_000] {
        let tables = [
            ("likely", Table::new((hits / 2, 5_000), (hits / 2, 5_000))),
            ("unlikely", Table::new((hits, 5_000), (0, 5_000))),
        ];
        for (name, table) in tables {
            let table = table.expect("there are fewer hits than trials");
            let ratios = || ODDS.map(|odds| black_box(table).log_likelihood_ratio(odds, 1.0));
            group.bench_function(BenchmarkId::new(name, hits), |b| b.iter(ratios));
        }
    }
}

/// Windows in which requests of both sides fail by chance, with the same probability.
fn evidence(windows: u32, errors: f64) -> Evidence {
    let mut rng = Rng::with_seed(7);
    let mut side = || {
        let hits = (0..REQUESTS / 2).filter(|_| rng.f64() < errors).count();
        Observation::proportion(hits as u64, REQUESTS / 2).expect("hits were counted among the trials")
    };
    let mut evidence = Evidence::new();
    for minute in 0..windows {
        let start = SystemTime::UNIX_EPOCH + minute * MINUTE;
        let window = Window::new(start, start + MINUTE).expect("a minute starts before it ends");
        evidence.add(window, side().into(), Some(side().into()));
    }
    evidence
}
