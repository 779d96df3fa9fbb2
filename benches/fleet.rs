//! What many rollouts cost that wait, and how fast one that fails is off its traffic.
//!
//! | table | how |
//! |---|---|
//! | ten thousand that wait | each has a driver, a router, a deployer and a journal of its own, all in this process, and stands before a gate; what is counted are calls of each during 20 s, and the memory of the whole process |
//! | from FAIL to nothing | with the embedded router and a registry in a directory, whose records are synced: from the answer of the source that makes the verdict a failure to the moment at which the router has all traffic on stable |
//!
//! `TIDEGATE_BENCH_ROLLOUTS` sets the number of those that wait.
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

mod figures;
mod process;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use tidegate::{
    canary::{
        ActuatorError, Capabilities, Deployer, Driver, EmbeddedRouter, Fence, Gatekeepers, InMemoryDeployer,
        InMemoryRouter, Observed, PlanSpec, Readiness, Release, RouteId, RouteJournal, Slot, State, Step,
        Timing, Traffic, TrafficRouter, WallClock, Weight, Workload, World,
        metrics::{
            Criterion, Error, Measurement, Metric, MetricsSource, Observation, Recorded, Selector, Statistic,
            Window,
        },
    },
    registry::{
        self, Cause, Channel, Channels, Content, Draft, Expect, InMemory, Log, LogKey, ModelStore,
        ObjectBacked, Seq, Snapshot, Stamp,
    },
};
use tokio::runtime::Runtime;

use self::{
    figures::{Figure, Sheet, Spread},
    process::{processor, resident},
};

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let rollouts = std::env::var("TIDEGATE_BENCH_ROLLOUTS").map_or(Ok(10_000), |n| n.parse())?;
    let (rollouts, watched, failures) =
        if in_earnest { (rollouts, Duration::from_secs(20), 21) } else { (20, Duration::from_secs(3), 1) };
    let runtime = Runtime::new()?;
    println!("| | measured | wanted |");
    println!("|---|--:|--:|");
    let idle = runtime.block_on(idle(rollouts, watched))?;
    let failing = runtime.block_on(failing(failures))?;
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("fleet");
    sheet.say(
        "from a window that fails the candidate to all traffic on stable, records synced to disk",
        Figure::of(failing),
    );
    if rollouts != 10_000 {
        return sheet.rest(&format!("of {rollouts} rollouts"));
    }
    sheet.say("memory of 10 000 rollouts that stand before a gate, in one process", Figure::of(idle.memory));
    sheet.say("processor for 10 000 rollouts that stand before a gate", Figure::of(idle.processor));
    sheet.say("writes of 10 000 rollouts that stand before a gate", Figure::of(idle.writes));
    sheet.close()
}

/// What those took that stand before a gate.
struct Idle {
    /// Bytes.
    memory: f64,
    /// Percent of a core.
    processor: f64,
    writes: f64,
}

/// How often the world was asked and told, over all rollouts.
#[derive(Clone, Debug, Default)]
struct Calls {
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
}

impl Calls {
    fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    fn write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    fn so_far(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Counted<T> {
    inner: T,
    calls: Calls,
}

#[async_trait]
impl<T: Log> Log for Counted<T> {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        self.calls.write();
        self.inner.append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        self.calls.read();
        self.inner.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.calls.read();
        self.inner.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.calls.read();
        self.inner.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.calls.write();
        self.inner.keep(key, snapshot).await
    }
}

#[async_trait]
impl<T: TrafficRouter> TrafficRouter for Counted<T> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.calls.write();
        self.inner.apply(route, traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.calls.read();
        self.inner.observe(route).await
    }
}

#[async_trait]
impl<T: Deployer> Deployer for Counted<T> {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.calls.write();
        self.inner.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.calls.read();
        self.inner.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.calls.write();
        self.inner.remove(slot, fence).await
    }
}

/// Rollouts that stand before a gate.
async fn idle(rollouts: usize, watched: Duration) -> Result<Idle> {
    let registry = InMemory::default();
    let (stable, candidate) = two_versions(&registry, "fraud").await?;
    let before = resident()?;
    let calls = Calls::default();
    let counted = |inner| Arc::new(Counted { inner, calls: calls.clone() });
    let mut waiting = Vec::with_capacity(rollouts);
    for number in 0..rollouts {
        let route: RouteId = format!("serving/fraud-{number}").parse()?;
        let world = World {
            store: Arc::new(registry.clone()),
            log: counted(registry.clone()),
            metrics: Arc::new(Recorded::default()),
            router: Arc::new(Counted { inner: InMemoryRouter::default(), calls: calls.clone() }),
            deployer: Arc::new(Counted {
                inner: InMemoryDeployer::serving(stable.clone()),
                calls: calls.clone(),
            }),
            gates: Gatekeepers::new(),
            clock: WallClock::system(),
        };
        let plan = PlanSpec::blue_green(route, stable.clone(), candidate.clone()).build()?;
        let (driver, handle) = Driver::open(world, "ci-8841".parse()?, plan).await?;
        waiting.push((tokio::spawn(driver.run()), handle));
    }
    // Each is before its gate once it has written all records up to there.
    let mut last = calls.so_far().1;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = calls.so_far().1;
        if now == last {
            break;
        }
        last = now;
    }
    let any = RouteJournal::open(Arc::new(registry.clone()), &"serving/fraud-0".parse()?).await?;
    let (_, rollout) = any.latest().context("it was opened")?;
    ensure!(matches!(rollout.state(), State::Gate { .. }), "it is {}", rollout.state());

    let ((reads, writes), burnt, began) = (calls.so_far(), processor()?, Instant::now());
    tokio::time::sleep(watched).await;
    let ((reads_after, writes_after), took) = (calls.so_far(), began.elapsed().as_secs_f64());
    let core = (processor()? - burnt).as_secs_f64() / took;
    ensure!(waiting.iter().all(|(running, _)| !running.is_finished()), "one has ended");
    let memory = resident()?.saturating_sub(before) as f64 / 1e6;
    let each = memory * 1e3 / rollouts as f64;
    println!(
        "| memory of {rollouts} rollouts before a gate | {memory:.0} MB ({each:.1} kB each) | < 200 MB |"
    );
    println!("| writes while they wait | {} in {took:.0} s | 0 |", writes_after - writes);
    println!("| looks at their journals | {:.0} a second | |", (reads_after - reads) as f64 / took);
    println!("| processor | {:.1} % of a core | |", core * 100.0);
    for (running, _) in &waiting {
        running.abort();
    }
    Ok(Idle { memory: memory * 1e6, processor: core * 100.0, writes: (writes_after - writes) as f64 })
}

/// Rollouts whose candidate begins to fail.
async fn failing(rollouts: usize) -> Result<Spread> {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let registry = ObjectBacked::directory(scratch.path()).await?;
    let clock = WallClock::system();
    let mut took = Vec::new();
    for number in 0..rollouts {
        let name = format!("fraud-{number}");
        let (stable, candidate) = two_versions(&registry, &name).await?;
        let failure = Failure::default();
        let route: RouteId = format!("serving/{name}").parse()?;
        let router = EmbeddedRouter::new(clock, 7);
        let world = World {
            store: Arc::new(registry.clone()),
            log: Arc::new(registry.clone()),
            metrics: Arc::new(failure.clone()),
            router: Arc::new(router.clone()),
            deployer: Arc::new(InMemoryDeployer::serving(stable.clone())),
            gates: Gatekeepers::new(),
            clock,
        };
        let mut spec = PlanSpec::canary(route.clone(), stable, candidate);
        spec.steps = vec![
            Step { soak: Duration::from_secs(60), ..spec.steps[2].clone() },
            Step { weight: Weight::FULL, ..spec.steps[2].clone() },
        ];
        spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
        spec.timing = Timing {
            window: Duration::from_millis(100),
            drain: Duration::ZERO,
            verify: Duration::ZERO,
            ..spec.timing
        };
        let (driver, _handle) = Driver::open(world, "ci-8841".parse()?, spec.build()?).await?;
        let running = tokio::spawn(driver.run());
        let back = loop {
            let traffic = TrafficRouter::observe(&router, &route).await?.traffic;
            if failure.seen().is_some() && traffic == Traffic::stable() {
                break Instant::now();
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        took.push(back - failure.seen().context("it was seen")?);
        let end = running.await??;
        ensure!(matches!(end, State::RolledBack { .. }), "it is {end}");
    }
    took.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "| from a failing window to all traffic on stable, {rollouts} times | {:.1} ms (worst {:.1}) | < 1 s |",
        ms(median),
        ms(worst)
    );
    Ok(Spread::of([median, worst].map(|time| time.as_secs_f64())))
}

/// A source whose candidate answers well for a second, and then not at all.
#[derive(Clone, Debug, Default)]
struct Failure {
    since: Arc<Mutex<Option<Instant>>>,
    windows: Arc<AtomicU64>,
}

impl Failure {
    fn seen(&self) -> Option<Instant> {
        *self.since.lock().expect("nobody panics while holding it")
    }
}

#[async_trait]
impl MetricsSource for Failure {
    async fn observe(&self, _: &Metric, _: &Selector, _: Window) -> Result<Measurement, Error> {
        let fails = self.windows.fetch_add(1, Ordering::Relaxed) > 10;
        if fails {
            self.since.lock().expect("nobody panics while holding it").get_or_insert_with(Instant::now);
        }
        Ok(Observation::proportion(if fails { 500 } else { 0 }, 500).expect("at most all fail").into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a source whose candidate begins to fail")
    }
}

/// Two versions of a model, of which the first is in production.
async fn two_versions<R: ModelStore + Log + Clone>(registry: &R, name: &str) -> Result<(Release, Release)> {
    let publish = async |version: &str| -> Result<Release> {
        let draft = Draft::new(format!("{name}@{version}").parse()?, Stamp::now("ada"));
        let content = Content::bytes([("weights.bin".parse()?, Bytes::from(version.to_owned()))]);
        Ok(Release::from(&registry.publish(draft, content, &()).await?))
    };
    let (stable, candidate) = (publish("1.0.0").await?, publish("1.1.0").await?);
    let (channels, production) = (Channels::new(Arc::new(registry.clone())), Channel::production());
    let (cause, stamp) = (Cause::Promote, Stamp::now("ada"));
    channels.promote(&stable.model, &production, &Expect::Absent, cause, stamp).await?;
    Ok((stable, candidate))
}
