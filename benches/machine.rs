//! What a step of a rollout costs its driver, and reading a journal again after a crash.

mod estimated;
mod figures;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group};
use fastrand::Rng;
use tidegate::{
    canary::{
        Driver, Duty, Entry, Event, Gatekeepers, InMemoryDeployer, InMemoryRouter, Plan, PlanSpec, Record,
        Release, Request, Require, Rollout, RolloutId, RouteJournal, Sample, WallClock, World,
    },
    metrics::{Observation, Recorded, Rule},
    registry::{self, Digest, InMemory, Journal, Log, LogKey, Seq, Snapshot},
};
use tokio::runtime::Runtime;

use self::{
    estimated::{forget, median},
    figures::{Figure, Sheet},
};

/// Records of the journal that is read again.
const RECORDS: usize = 10_000;

/// Of those, the ones after the snapshot: as many as there can be.
const TAIL: usize = 255;

/// Upper edges of the buckets of a latency histogram, in seconds: those that Prometheus clients start with.
const EDGES: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

criterion_group!(benches, step, replay);

/// Groups, as Criterion writes them into names of files.
const ROLLOUT: &str = "rollout";
const REPLAY: &str = "replay of 10000 records";

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest, and a filter measures some of it.
    let in_earnest =
        std::env::args().skip(1).all(|argument| argument == "--bench") && std::env::args().len() > 1;
    if in_earnest {
        forget(ROLLOUT)?;
        forget(REPLAY)?;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("machine");
    let step = |windows| median(&[ROLLOUT, "apply observed", windows]).map(Figure::of);
    sheet.say("one step of the machine, 3 criteria: the first window", step("0")?);
    sheet.say("one step of the machine, 3 criteria: after 30 windows", step("30")?);
    let whole = median(&[REPLAY, "whole"])?;
    sheet.say("open a journal of 10 000 records whole", Figure::of(whole));
    let from_a_snapshot = median(&[REPLAY, "from a snapshot"])?;
    sheet.say(
        "open a journal of 10 000 records as a driver does, from a snapshot",
        Figure::of(from_a_snapshot),
    );
    sheet.close()
}

/// One event in a step that is being judged by three criteria, after none and after thirty windows.
fn step(bench: &mut Criterion) {
    for windows in [0, 30] {
        let mut rollout = Rollout::new(plan());
        for (event, at) in happenings().take(4 + windows) {
            rollout.apply(&event, at).expect("it happens in order");
        }
        let mut group = bench.benchmark_group(ROLLOUT);
        // The next window: it is added to the evidence, and all of that is judged.
        let (observed, at) = happenings().nth(4 + windows).expect("there is no end of windows");
        // Nothing is judged for this one.
        let hold = Event::Ask(Request::Hold { by: "ada".to_owned() });
        for (name, event) in [("apply observed", observed), ("apply hold", hold)] {
            group.bench_function(BenchmarkId::new(name, windows), |b| {
                let apply = |rollout: &mut Rollout| rollout.apply(black_box(&event), at);
                b.iter_batched_ref(|| rollout.clone(), apply, BatchSize::SmallInput);
            });
        }
        group.bench_function(BenchmarkId::new("judgements", windows), |b| {
            b.iter(|| black_box(&rollout).judgements());
        });
        group.bench_function(BenchmarkId::new("duty", windows), |b| b.iter(|| black_box(&rollout).duty()));
    }
}

/// A rollout that has judged one step for a long time, opened again: all of its journal, and as a driver does it, which
/// finds a snapshot and reads the records after it.
fn replay(bench: &mut Criterion) {
    let runtime = Runtime::new().expect("a machine that runs benches can start threads");
    let plan = plan();
    let route = plan.route.clone();
    let log = Unwritten::default();
    let open = Record::Open { id: id(), plan: Box::new(plan.clone()) };
    let records = happenings().map(|(event, at)| Entry { at, record: Record::Happen(event) });
    let records = std::iter::once(Entry { at: start(), record: open }).chain(records);
    let records: Vec<Entry> = records.take(RECORDS).collect();
    // A driver that was killed just before its next snapshot.
    let (before, after) = records.split_at(RECORDS - TAIL);
    let write = async |records: &[Entry]| {
        let log = Arc::new(log.0.clone());
        let mut journal = Journal::at_end(log, route.log_key()).await.expect("memory can be read");
        for record in records {
            journal.append(record).await.expect("nobody else writes");
        }
    };
    let open = || Driver::open(world(&log, &plan), id(), plan.clone());
    runtime.block_on(async {
        write(before).await;
        let world = World { log: Arc::new(log.0.clone()), ..world(&log, &plan) };
        let (driver, _handle) = Driver::open(world, id(), plan.clone()).await.expect("it goes on");
        // The next window closes much later.
        let _kept = tokio::time::timeout(Duration::from_millis(100), driver.run()).await;
        write(after).await;
    });
    let mut group = bench.benchmark_group(REPLAY);
    group.bench_function("whole", |b| {
        let open = || RouteJournal::open(Arc::new(log.0.clone()), &route);
        b.to_async(&runtime).iter(async || open().await.expect("it was written in order"));
    });
    group.bench_function("from a snapshot", |b| {
        b.to_async(&runtime).iter(async || open().await.expect("it was written in order"));
    });
}

/// What is written here is gone, so that the journal has the same length each time that it is opened.
#[derive(Clone, Debug, Default)]
struct Unwritten(InMemory);

#[async_trait]
impl Log for Unwritten {
    async fn append(&self, _: &LogKey, _: Seq, _: Bytes) -> registry::Result<()> {
        Ok(())
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        self.0.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.0.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.0.snapshot(key).await
    }

    async fn keep(&self, _: &LogKey, _: Snapshot) -> registry::Result<()> {
        Ok(())
    }
}

/// The world in which a driver opens the rollout and does nothing yet.
fn world(log: &Unwritten, plan: &Plan) -> World {
    World {
        store: Arc::new(log.0.clone()),
        log: Arc::new(log.clone()),
        metrics: Arc::new(Recorded::default()),
        router: Arc::new(InMemoryRouter::default()),
        deployer: Arc::new(InMemoryDeployer::serving(plan.stable.clone())),
        gates: Gatekeepers::new(),
        clock: WallClock::starting_at(start()),
    }
}

fn id() -> RolloutId {
    "ci-8841".parse().expect("an id")
}

/// The default canary, but with a first step that must pass and never ends, for as many windows as are
/// wanted.
fn plan() -> Plan {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let release = |version: &str| Release {
        model: format!("fraud@{version}").parse().expect("a version"),
        digest: Digest::of(version),
    };
    let route = "serving/fraud".parse().expect("a route");
    let mut spec = PlanSpec::canary(route, release("1.0.0"), release("1.1.0"));
    spec.steps[0].require = Require::Pass;
    spec.steps[0].soak = WEEK;
    spec.timing.horizon = WEEK;
    spec.build().expect("the default plan holds up with other durations")
}

/// What happens to a rollout of [`plan`]: four events until its candidate is being judged, then window after
/// window, each with a thousand requests of which the candidate had a tenth and one in a hundred failed.
fn happenings() -> impl Iterator<Item = (Event, SystemTime)> {
    let begin = [Event::Checked, Event::Ready, Event::Elapsed, Event::Routed];
    let mut rollout = Rollout::new(plan());
    let mut rng = Rng::with_seed(7);
    let mut begin = begin.into_iter();
    std::iter::from_fn(move || {
        let (event, at) = match (begin.next(), rollout.duty()) {
            (Some(event), _) => (event, start()),
            (None, Duty::Observe { window, due, .. }) => {
                let samples = rollout.plan().criteria.iter().map(|criterion| match criterion.rule {
                    Rule::Compare(_) => Sample {
                        candidate: errors(&mut rng, 100).into(),
                        baseline: Some(errors(&mut rng, 900).into()),
                    },
                    _ if criterion.metric.as_str() == "latency" => {
                        Sample { candidate: latency(&mut rng, 100).into(), baseline: None }
                    }
                    _ => Sample { candidate: errors(&mut rng, 100).into(), baseline: None },
                });
                (Event::Observed { window, samples: samples.collect() }, due)
            }
            (None, duty) => unreachable!("{duty:?} is not owed by a step that does not end"),
        };
        rollout.apply(&event, at).expect("it is what was owed");
        Some((event, at))
    })
}

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn errors(rng: &mut Rng, trials: u64) -> Observation {
    let hits = (0..trials).filter(|_| rng.u32(..100) == 0).count();
    Observation::proportion(hits as u64, trials).expect("hits were counted among the trials")
}

/// Every request takes a random time below a second.
fn latency(rng: &mut Rng, trials: u64) -> Observation {
    let mut counts = vec![0; EDGES.len() + 1];
    for _ in 0..trials {
        let seconds = rng.f64();
        counts[EDGES.partition_point(|&edge| edge < seconds)] += 1;
    }
    Observation::histogram(EDGES.to_vec(), counts).expect("the edges ascend")
}
