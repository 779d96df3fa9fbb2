//! What it costs to watch many promoted releases in one process.
//!
//! Each has a [`Guard`] that looks every 30 s, and a journal that is read every 2 s for what others have asked. The
//! source answers at once from memory, and the registry is in memory, so what is measured is the watching.
//!
//! | watch | looks at | back over |
//! |---|---|---|
//! | limits: the default one | errors, availability and a histogram of latency | 5 min |
//! | burn rates | availability by the fast pair of windows | 1 h |
//! | burn rates, fast and slow | availability by both pairs that wake somebody up | 6 h |
//!
//! Each is measured in a process of its own; with `TIDEGATE_BENCH_WATCH` one alone is, such as `burn rates, fast and slow`.
//! Six hours of a thousand of those are 720 000 looks at up to 720 windows each, which takes minutes before it is measured.
//!
//! | row | how |
//! |---|---|
//! | memory | of the whole process, after less before; the guards have looked for longer than a span in tokio's paused time, so that it is full. What guards have kept for those who come after them lies in the registry in memory, and counts |
//! | processor | after that time is no longer paused: the processor time of the process by the time that passed, which is three looks of each |
//!
//! All windows end at the same moment, so the looks of all guards come at once; the last row says how long all of
//! them take together. `TIDEGATE_BENCH_WATCHES` sets their number.
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

mod figures;
mod process;

use std::{
    fmt,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use tidegate::{
    canary::{
        Gatekeepers, InMemoryDeployer, InMemoryRouter, Release, WallClock, World,
        metrics::{
            Better, BurnRate, Criterion, Error, Measurement, Metric, MetricsSource, Observation, Rule,
            Selector, Window,
        },
    },
    registry::{Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelStore as _, Stamp},
    rollback::{Guard, Ledger, Vigil, Vigilance, Watch},
};

use self::{
    figures::{Figure, Sheet},
    process::{processor, resident},
};

/// Which process measures which watch.
const KIND: &str = "TIDEGATE_BENCH_WATCH";
const KINDS: [&str; 3] = ["limits", "burn rates", "burn rates, fast and slow"];

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let watches = std::env::var("TIDEGATE_BENCH_WATCHES").map_or(Ok(1_000), |n| n.parse())?;
    let (watches, watched) =
        if in_earnest { (watches, Duration::from_secs(90)) } else { (20, Duration::from_secs(1)) };
    if let Ok(kind) = std::env::var(KIND) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        return runtime.block_on(watch(&kind, watches, watched, in_earnest));
    }
    for kind in KINDS {
        let again =
            Command::new(std::env::current_exe()?).args(std::env::args().skip(1)).env(KIND, kind).status()?;
        ensure!(again.success(), "{kind}: {again}");
    }
    Ok(())
}

/// A watch of this kind.
fn guarded(kind: &str, mut watch: Watch) -> Watch {
    let rate = |rate: BurnRate| {
        let rate = BurnRate { better: Better::Higher, ..rate };
        Criterion::new(Metric::availability(), Rule::BurnRate(rate))
    };
    let (fast, slow) = (BurnRate::fast(0.99), BurnRate::slow(0.99));
    (watch.criteria, watch.span) = match kind {
        "limits" => return watch,
        "burn rates" => (vec![rate(fast)], fast.long),
        _ => (vec![rate(fast), rate(slow)], slow.long),
    };
    watch
}

async fn watch(kind: &str, watches: usize, watched: Duration, in_earnest: bool) -> Result<()> {
    let registry = InMemory::default();
    let mut releases = Vec::with_capacity(watches);
    for number in 0..watches {
        releases.push(promoted(&registry, &format!("fraud-{number}")).await?);
    }
    let before = resident()?;
    let (traffic, clock) = (Traffic::default(), WallClock::system());
    let mut watching = Vec::with_capacity(watches);
    let (mut span, mut criteria) = (Duration::ZERO, 0);
    for (number, release) in releases.into_iter().enumerate() {
        let world = World {
            store: Arc::new(registry.clone()),
            log: Arc::new(registry.clone()),
            metrics: Arc::new(traffic.clone()),
            router: Arc::new(InMemoryRouter::default()),
            deployer: Arc::new(InMemoryDeployer::serving(release.clone())),
            gates: Gatekeepers::new(),
            clock,
        };
        let watch = guarded(kind, Watch::new(format!("serving/fraud-{number}").parse()?, release));
        (span, criteria) = (watch.span, watch.criteria.len() as u64);
        watching.push(tokio::spawn(Guard::open(world, "watch-1".parse()?, watch).await?.run()));
    }
    tokio::time::sleep(span + Duration::from_secs(60)).await;
    let memory = resident()?.saturating_sub(before) as f64 / 1e6;

    tokio::time::resume();
    let ((seen, _), burnt, began) = (traffic.so_far(), processor()?, Instant::now());
    tokio::time::sleep(watched).await;
    let (took, core) = (began.elapsed().as_secs_f64(), processor()? - burnt);
    let (seen_after, longest) = traffic.so_far();
    ensure!(watching.iter().all(|running| !running.is_finished()), "one has ended");
    let ledger = Ledger::<Vigil>::open(Arc::new(registry.clone()), &"serving/fraud-0".parse()?).await?;
    let (_, vigil) = ledger.latest().context("it was opened")?;
    ensure!(*vigil.state() == Vigilance::Watching, "the watch {}", vigil.state());

    let looks = (seen_after - seen) / criteria;
    println!("| {watches} watches by {kind} | measured | wanted |");
    println!("|---|--:|--:|");
    println!("| memory | {memory:.0} MB ({:.0} kB each) | < 100 MB |", memory * 1e3 / watches as f64);
    println!("| processor | {:.2} % of a core | < 5 % |", 100.0 * core.as_secs_f64() / took);
    println!("| looks | {looks} in {took:.0} s | |");
    if looks > 0 {
        let each = core.as_secs_f64() * 1e6 / looks as f64;
        println!("| processor time, divided by the looks | {each:.0} µs | |");
        println!("| all of them looking at once | {:.0} ms | |", longest.as_secs_f64() * 1e3);
    }
    println!();
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    if !in_earnest {
        return Ok(());
    }
    let [run, of_memory, of_processor] = match kind {
        "limits" => [
            "watches-limits",
            "memory of 1 000 guarded releases, limits over 5 min, a look each 30 s",
            "processor for 1 000 guarded releases, limits over 5 min, a look each 30 s",
        ],
        "burn rates" => [
            "watches-fast",
            "memory of 1 000 guarded releases, burn rates over 1 h",
            "processor for 1 000 guarded releases, burn rates over 1 h",
        ],
        _ => [
            "watches-slow",
            "memory of 1 000 guarded releases, burn rates over 1 h and 6 h",
            "processor for 1 000 guarded releases, burn rates over 1 h and 6 h",
        ],
    };
    let mut sheet = Sheet::of(run);
    if watches != 1_000 {
        return sheet.rest(&format!("of {watches} watches"));
    }
    sheet.say(of_memory, Figure::of(memory * 1e6));
    sheet.say(of_processor, Figure::of(100.0 * core.as_secs_f64() / took));
    sheet.close()
}

/// A source whose releases do well: in each window 1 000 requests, a few of which fail or are slow.
#[derive(Clone, Debug, Default)]
struct Traffic {
    questions: Arc<AtomicU64>,
    asked: Arc<Mutex<Burst>>,
}

/// The questions about one window.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    end: Option<SystemTime>,
    first: Option<Instant>,
    longest: Duration,
}

impl Traffic {
    /// How many questions there were, and the longest time in which those about one window came.
    fn so_far(&self) -> (u64, Duration) {
        let burst = self.asked.lock().expect("nobody panics while holding it");
        (self.questions.load(Ordering::Relaxed), burst.longest)
    }
}

#[async_trait]
impl MetricsSource for Traffic {
    async fn observe(&self, metric: &Metric, _: &Selector, window: Window) -> Result<Measurement, Error> {
        const EDGES: [f64; 16] =
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0];
        const COUNTS: [u64; 17] = [0, 0, 4, 40, 200, 390, 240, 90, 20, 8, 4, 2, 1, 1, 0, 0, 0];
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        let mut burst = self.asked.lock().expect("nobody panics while holding it");
        if burst.end != Some(window.end()) {
            *burst = Burst { end: Some(window.end()), first: Some(Instant::now()), longest: burst.longest };
        }
        burst.longest = burst.longest.max(burst.first.map(|first| first.elapsed()).unwrap_or_default());
        let observation = match metric.as_str() {
            Metric::LATENCY => Observation::histogram(EDGES.into(), COUNTS.into()),
            Metric::ERRORS => Observation::proportion(number % 12, 1_000),
            _ => Observation::proportion(1_000 - number % 3, 1_000),
        };
        Ok(observation.expect("the numbers fit together").into())
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("requests in memory")
    }
}

/// A version in production.
async fn promoted(registry: &InMemory, name: &str) -> Result<Release> {
    let draft = Draft::new(format!("{name}@1.0.0").parse()?, Stamp::now("ada"));
    let content = Content::bytes([("weights.bin".parse()?, Bytes::from(name.to_owned()))]);
    let release = Release::from(&registry.publish(draft, content, &()).await?);
    let (channels, production) = (Channels::new(Arc::new(registry.clone())), Channel::production());
    let (cause, stamp) = (Cause::Promote, Stamp::now("ada"));
    channels.promote(&release.model, &production, &Expect::Absent, cause, stamp).await?;
    Ok(release)
}
