//! How often a watch is wrong, and how soon it sees what is wrong, by seeded simulation of real guards in virtual
//! time. `TIDEGATE_SEED=7 cargo test -p tidegate-rollback --test error_rates -- --nocapture` has other chances, and
//! prints what was measured.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]
#![expect(clippy::print_stdout, reason = "what was measured is printed")]
#![expect(clippy::disallowed_methods, reason = "the seed comes from the environment")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;

use std::{
    env, fmt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use stage::{Requests, Stage};
use tidegate_canary::{
    World,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Observation, Selector, Statistic, Window,
    },
};
use tidegate_rollback::{Guard, Ledger, Record, Vigil, VigilEvent, VigilRequest, Vigilance, Watch};
use tokio::sync::mpsc::unbounded_channel;

const WINDOW: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);

fn seed() -> u64 {
    let seed = env::var("TIDEGATE_SEED").map_or(2026, |seed| seed.parse().unwrap());
    println!("TIDEGATE_SEED={seed}");
    seed
}

/// Requests whose fate is drawn: so many in a window, and of each metric this share goes wrong.
#[derive(Clone, Debug)]
struct Drawn {
    seed: u64,
    requests: u64,
    errors: f64,
    unanswered: f64,
    slow: f64,
    /// So many requests fail in each window, whatever their share is.
    exactly: Option<u64>,
    /// From then on this share fails instead.
    fault: Option<(SystemTime, f64)>,
}

impl Drawn {
    /// A release that does well.
    fn well(seed: u64, requests: u64) -> Self {
        Self { seed, requests, errors: 0.01, unanswered: 0.002, slow: 0.01, exactly: None, fault: None }
    }
}

#[async_trait]
impl MetricsSource for Drawn {
    async fn observe(
        &self,
        metric: &Metric,
        _: &Selector,
        window: Window,
    ) -> Result<Measurement, metrics::Error> {
        // The answer depends on the window and the metric, not on how often it is asked for.
        let number = window.end().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let mut chance = fastrand::Rng::with_seed(
            self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ metric.as_str().len() as u64,
        );
        let mut hits = |share: f64| (0..self.requests).filter(|_| chance.f64() < share).count() as u64;
        let observation = match metric.as_str() {
            Metric::ERRORS => {
                let share = match self.fault {
                    Some((since, share)) if window.start() >= since => share,
                    _ => self.errors,
                };
                Observation::proportion(self.exactly.unwrap_or_else(|| hits(share)), self.requests)
            }
            Metric::AVAILABILITY => {
                Observation::proportion(self.requests - hits(self.unanswered), self.requests)
            }
            _ => {
                let slow = hits(self.slow);
                Observation::histogram(vec![1.0, 10.0], vec![0, self.requests - slow, slow])
            }
        };
        Ok(observation.unwrap().into())
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("drawn requests")
    }
}

/// When the looks were that raised an alarm, of so many, until there are `enough`. Nothing can be gone back to, so each
/// alarm holds the watch, and a person lets it go on before the next look.
async fn alarms(source: Drawn, criteria: Vec<Criterion>, looks: u32, enough: usize) -> Vec<SystemTime> {
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
    let route = stage.plan().route.clone();
    let mut watch = Watch::new(route.clone(), stage.stable.clone());
    watch.criteria = criteria;
    watch.lasts = WINDOW * looks;
    // The fault is said from the beginning of the watch.
    let fault = source.fault.map(|(after, share)| {
        (stage.clock.now() + after.duration_since(SystemTime::UNIX_EPOCH).unwrap(), share)
    });
    let world = World { metrics: Arc::new(Drawn { fault, ..source }), ..stage.world() };
    let began = stage.clock.now();
    let found = Arc::new(Mutex::new(Vec::new()));
    let (held, mut holds) = unbounded_channel();
    let noted = Arc::clone(&found);
    let guard = Guard::open(world, "watch-1".parse().unwrap(), watch).await.unwrap();
    let guard = guard.on_record(move |line, _| match &line.record {
        Record::Happen(VigilEvent::Alarmed { .. }) => noted.lock().unwrap().push(line.at),
        Record::Happen(VigilEvent::Held { .. }) => held.send(()).unwrap(),
        _ => {}
    });
    let mut running = tokio::spawn(guard.run());
    let end = loop {
        tokio::select! {
            Some(()) = holds.recv() => {
                if found.lock().unwrap().len() == enough {
                    running.abort();
                    break None;
                }
                let mut ledger = Ledger::<Vigil>::open(Arc::new(stage.store.clone()), &route).await.unwrap();
                ledger.ask(VigilRequest::Resume { by: "ada".to_owned() }, stage.clock.now()).await.unwrap();
            }
            end = &mut running => break Some(end.unwrap().unwrap()),
        }
    };
    assert!(matches!(end, None | Some(Vigilance::Kept { .. })), "{end:?}");
    let since_the_beginning = |at: &SystemTime| SystemTime::UNIX_EPOCH + at.duration_since(began).unwrap();
    let found = found.lock().unwrap();
    found.iter().map(since_the_beginning).collect()
}

fn errors() -> Criterion {
    Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)
}

#[tokio::test(start_paused = true)]
async fn at_its_limits_at_most_alpha_of_the_looks_raise_an_alarm() {
    const LOOKS: u32 = 2_000;
    let seed = seed();
    let limits = [
        errors(),
        Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 10.0),
        Criterion::at_least(Metric::availability(), Statistic::Share, 0.95),
    ];
    println!(
        "| at its limit | requests a window | alpha | looks with an alarm, of {LOOKS} |\n|---|--:|--:|--:|"
    );
    for (place, limit) in limits.into_iter().enumerate() {
        // One limit is looked at more closely; the others are judged by the same rule.
        let (sizes, alphas) = match place {
            0 => (&[100, 1_000][..], &[0.5, 0.2, 0.05, 0.001][..]),
            _ => (&[100][..], &[0.2, 0.001][..]),
        };
        for &requests in sizes {
            for &alpha in alphas {
                let at_limit =
                    Drawn { errors: 0.15, unanswered: 0.05, slow: 0.05, ..Drawn::well(seed, requests) };
                let found =
                    alarms(at_limit, vec![limit.clone().with_alpha(alpha)], LOOKS, usize::MAX).await.len();
                println!("| {} | {requests} | {alpha} | {found} |", limit.metric);
                let most = alpha * f64::from(LOOKS);
                assert!(found as f64 <= most, "{}, {requests}, {alpha}: {found}, not {most}", limit.metric);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn well_within_its_limits_a_day_passes_without_an_alarm() {
    const DAY: u32 = 24 * 120;
    for requests in [100, 1_000] {
        let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
        let by_default = Watch::new(stage.plan().route.clone(), stage.stable.clone()).criteria;
        let found = alarms(Drawn::well(seed(), requests), by_default, DAY, usize::MAX).await;
        assert!(found.is_empty(), "{requests} requests a window");
    }
}

/// In how many windows a share of `errors` is noticed, after an hour of health.
async fn noticed(errors_then: f64, requests: u64, seed: u64) -> Option<u32> {
    const MOST: u32 = 120;
    let broken = SystemTime::UNIX_EPOCH + HOUR;
    let source = Drawn { fault: Some((broken, errors_then)), ..Drawn::well(seed, requests) };
    let found = alarms(source, vec![errors().with_alpha(0.001)], 120 + MOST, 1).await;
    let after = found.first()?.duration_since(broken).expect("it was well before");
    // The first window of it is the first that begins after it.
    Some(u32::try_from(after.as_secs() / WINDOW.as_secs()).unwrap())
}

/// The table in the documentation of [`Watch`].
#[tokio::test(start_paused = true)]
async fn the_larger_the_fault_the_sooner_it_is_noticed() {
    const RUNS: u64 = 20;
    let seed = seed();
    let mut documented = Vec::new();
    println!("| errors | requests a window | windows until noticed: median (90 %) |\n|---|--:|--:|");
    for (share, requests, expected) in [
        (0.2, 100, 12),
        (0.3, 100, 2),
        (0.5, 100, 1),
        (1.0, 100, 1),
        (0.2, 1_000, 2),
        (0.3, 1_000, 1),
        (0.5, 1_000, 1),
        (1.0, 1_000, 1),
    ] {
        let mut after = Vec::new();
        for run in 0..RUNS {
            after.push(noticed(share, requests, seed.wrapping_add(run)).await.unwrap_or(u32::MAX));
        }
        after.sort_unstable();
        let [median, ninety] = [RUNS / 2, RUNS * 9 / 10].map(|place| after[place as usize]);
        println!("| {share} | {requests} | {median} ({ninety}) |");
        documented.push((median, expected));
    }
    // By other seeds it is a little more or less.
    let near = |(median, expected): &(u32, u32)| median.abs_diff(*expected) <= expected / 2;
    assert!(documented.iter().all(near), "measured, and documented: {documented:?}");
}

/// The edge of the first look, and how far out it lies by `scipy.stats.binom.sf` of SciPy 1.17: of 100 requests, 34
/// failures are an alarm, which a release at its limit of 15 % shows in 1.8 of a million windows, far fewer than its
/// part of alpha (0.001 / 5); of 1 000 requests it is 205, in as many.
#[tokio::test(start_paused = true)]
async fn the_edge_of_a_single_window_is_where_scipy_puts_it() {
    for (requests, edge, by_scipy) in
        [(100, 34, 1.837_490_385_787_085_8e-6), (1_000, 205, 1.842_419_143_840_255_4e-6)]
    {
        for (failed, expected) in [(edge - 1, 0), (edge, 1)] {
            let exactly = Drawn { exactly: Some(failed), ..Drawn::well(0, requests) };
            let found = alarms(exactly, vec![errors().with_alpha(0.001)], 1, 1).await;
            assert_eq!(found.len(), expected, "{failed} of {requests}");
        }
        let beyond = tail(requests, edge, 0.15);
        assert!((beyond / by_scipy - 1.0).abs() < 1e-9, "{beyond}, not {by_scipy}");
        assert!(beyond <= 0.001 / 5.0);
    }
}

/// The chance of `least` or more hits in `trials`, each of which is one with the chance `p`.
fn tail(trials: u64, least: u64, p: f64) -> f64 {
    let mut term = trials as f64 * (1.0 - p).ln();
    let mut sum = 0.0;
    for hits in 0..=trials {
        if hits >= least {
            sum += term.exp();
        }
        term += ((trials - hits) as f64).ln() - ((hits + 1) as f64).ln() + (p / (1.0 - p)).ln();
    }
    sum
}
