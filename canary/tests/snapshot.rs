//! A snapshot of a journal costs time where it is wrong or missing, and never truth.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod stage;

use std::{
    num::NonZeroU64,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use proptest::prelude::*;
use stage::{Requests, Stage, id};
use tidegate_canary::{
    Driver, Duty, Entry, Error, Event, Plan, Record, Request, Require, Rollout, RouteJournal, Sample, State,
    metrics::{
        BurnRate, Comparison, Criterion, Limit, MeanComparison, Measurement, Metric, Missing, Observation,
        OnMissing, RankComparison, Readings, Rule, ScoreComparison, Statistic,
    },
};
use tidegate_registry::{self as registry, InMemory, Journal, Log, LogKey, Seq, Snapshot};

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };
const EACH: NonZeroU64 = NonZeroU64::MIN;

/// A log that shows another snapshot than it has, and knows from where on it was read.
#[derive(Debug)]
struct Showing {
    inner: InMemory,
    snapshot: Option<Snapshot>,
    read: Mutex<Vec<Seq>>,
}

impl Showing {
    fn new(inner: &InMemory, snapshot: Option<Snapshot>) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), snapshot, read: Mutex::default() })
    }
}

#[async_trait]
impl Log for Showing {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        self.inner.append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        self.read.lock().unwrap().push(from);
        self.inner.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.inner.record(key, seq).await
    }

    async fn snapshot(&self, _: &LogKey) -> registry::Result<Option<Snapshot>> {
        Ok(self.snapshot.clone())
    }

    async fn keep(&self, _: &LogKey, _: Snapshot) -> registry::Result<()> {
        Ok(())
    }
}

/// A plan whose first step goes on being judged, by every rule.
fn endless(stage: &Stage) -> Plan {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let mut spec = stage.spec();
    let least = Criterion::at_most(Metric::errors(), Statistic::Share, 0.99).with_min_samples(u64::MAX);
    let rules = [
        Rule::BurnRate(BurnRate::fast(0.95)),
        Rule::Compare(Comparison::default()),
        Rule::CompareMeans(MeanComparison::default()),
        Rule::CompareRanks(RankComparison { windows: 4, looks: 3, ..RankComparison::default() }),
        Rule::CompareScores(ScoreComparison::default()),
        Rule::Limit(Limit::new(Statistic::Mean, tidegate_canary::metrics::Bound::AtMost(0.3))),
        Rule::Limit(Limit::new(Statistic::Quantile(0.9), tidegate_canary::metrics::Bound::AtMost(0.3))),
        Rule::Readings(Readings::new(tidegate_canary::metrics::Bound::AtMost(0.9))),
    ];
    let shown = rules
        .map(|rule| Criterion::new(Metric::errors(), rule).on_missing(OnMissing::Inconclusive).advisory());
    spec.criteria = std::iter::once(least).chain(shown).collect();
    spec.steps[0].require = Require::Pass;
    spec.steps[0].soak = WEEK;
    spec.timing.horizon = WEEK;
    spec.build().unwrap()
}

/// What a rollout sees in the window that it owes a look at.
fn look(chance: &mut Rng, rollout: &Rollout) -> (Event, SystemTime) {
    let Duty::Observe { window, due, .. } = rollout.duty() else { panic!("{}", rollout.state()) };
    let side = |chance: &mut Rng, counts: bool| -> Measurement {
        let trials = chance.u64(1..40);
        match chance.u8(..20) {
            0 => Missing::NoData.into(),
            1 => Missing::SourceError { cause: "the cable is cut".to_owned(), retryable: true }.into(),
            _ if counts => Observation::proportion(chance.u64(..=trials / 8), trials).unwrap().into(),
            _ => Observation::values((0..trials).map(|_| chance.f64()).collect()).unwrap().into(),
        }
    };
    let samples = rollout.plan().criteria.iter().map(|criterion| {
        let counts = match criterion.rule {
            Rule::BurnRate(_) => true,
            Rule::Compare(_) => chance.u8(..30) > 0,
            Rule::Limit(limit) => limit.statistic == Statistic::Share,
            _ => false,
        };
        let candidate = side(chance, counts);
        let baseline = criterion.needs_baseline().then(|| side(chance, counts));
        Sample { candidate, baseline }
    });
    (Event::Observed { window, samples: samples.collect() }, due)
}

/// Anything else that happens to a rollout that is being judged, and leaves it so.
fn other(chance: &mut Rng) -> Event {
    let (by, why) = (|| "ada".to_owned(), || "it happens".to_owned());
    match chance.u8(..6) {
        0 => Event::Ask(Request::Hold { by: by() }),
        1 => Event::Ask(Request::Resume { by: by() }),
        2 => Event::Drifted { why: why() },
        3 => Event::Unready { slot: tidegate_canary::Slot::Stable, why: why() },
        4 => Event::Recovered,
        _ => Event::Unseen { why: why() },
    }
}

/// Adds `count` things that happen to the rollout's journal.
async fn add(stage: &Stage, chance: &mut Rng, count: usize) {
    let whole = whole(stage).await;
    let (_, rollout) = whole.latest().unwrap();
    let (mut rollout, mut at) = (rollout.clone(), whole.entries().last().unwrap().at);
    let log = Arc::new(stage.store.clone());
    let mut journal = Journal::<Entry>::at_end(log, stage.plan().route.log_key()).await.unwrap();
    for _ in 0..count {
        let event = if chance.u8(..8) == 0 { other(chance) } else { look(chance, &rollout).0 };
        at += Duration::from_secs(30);
        if rollout.apply(&event, at).is_ok() {
            journal.append(&Entry { at, record: Record::Happen(event) }).await.unwrap();
        }
    }
}

async fn whole(stage: &Stage) -> RouteJournal {
    RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap()
}

/// Lets a driver take the rollout up for a moment, in which it keeps a snapshot, and gives that.
async fn kept(stage: &Stage, plan: &Plan) -> Snapshot {
    let (driver, handle) = Driver::open(stage.world(), id(), plan.clone()).await.unwrap();
    let moment = tokio::time::timeout(Duration::from_millis(1), driver.snapshot_every(EACH).run());
    assert!(moment.await.is_err());
    drop(handle);
    stage.store.snapshot(&plan.route.log_key()).await.unwrap().unwrap()
}

/// A rollout of the endless plan that is being judged.
async fn begun() -> (Stage, Plan) {
    let stage = Stage::new(GOOD).await;
    let plan = endless(&stage);
    let (_driver, _handle) = Driver::open(stage.world(), id(), plan.clone()).await.unwrap();
    let log = Arc::new(stage.store.clone());
    let mut journal = Journal::<Entry>::at_end(log, plan.route.log_key()).await.unwrap();
    for event in [Event::Checked, Event::Ready, Event::Elapsed, Event::Routed] {
        journal.append(&Entry { at: stage.clock.now(), record: Record::Happen(event) }).await.unwrap();
    }
    (stage, plan)
}

/// Opens the rollout with this snapshot, and gives what the driver holds and whether it read the whole journal.
async fn opened(stage: &Stage, plan: &Plan, snapshot: Option<Snapshot>) -> (Rollout, bool) {
    let log = Showing::new(&stage.store, snapshot);
    let (driver, _handle) =
        Driver::open(stage.world_on(Arc::<Showing>::clone(&log)), id(), plan.clone()).await.unwrap();
    let read_all = log.read.lock().unwrap().contains(&Seq::FIRST);
    (driver.rollout().clone(), read_all)
}

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

/// To the last bit: numbers are written with as many digits as they have.
fn same(one: &Rollout, other: &Rollout) -> Result<(), TestCaseError> {
    prop_assert_eq!(one, other);
    prop_assert_eq!(format!("{:?}", one.judgements()), format!("{:?}", other.judgements()));
    prop_assert_eq!(one.duty(), other.duty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn from_a_snapshot_it_is_the_same_rollout(seed: u64, before in 1..40_usize, after in 0..20_usize) {
        in_virtual_time(async {
            let chance = &mut Rng::with_seed(seed);
            let (stage, plan) = begun().await;
            add(&stage, chance, before).await;
            let snapshot = kept(&stage, &plan).await;
            add(&stage, chance, after).await;
            let (mut resumed, read_all) = opened(&stage, &plan, Some(snapshot)).await;
            prop_assert!(!read_all);
            let journal = whole(&stage).await;
            let mut replayed = journal.latest().unwrap().1.clone();
            same(&resumed, &replayed)?;
            for _ in 0..20 {
                let (event, at) = look(chance, &replayed);
                prop_assert_eq!(resumed.apply(&event, at), replayed.apply(&event, at));
                same(&resumed, &replayed)?;
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_damaged_snapshot_is_none(seed: u64) {
        in_virtual_time(async {
            let chance = &mut Rng::with_seed(seed);
            let (stage, plan) = begun().await;
            add(&stage, chance, 5).await;
            let Snapshot { seq, bytes } = kept(&stage, &plan).await;
            let mut damaged = bytes.to_vec();
            let place = chance.usize(..damaged.len());
            damaged[place] ^= 1 << chance.u8(..8);
            let cut = bytes.slice(..chance.usize(..bytes.len()));
            let noise: Vec<u8> = std::iter::repeat_with(|| chance.u8(..)).take(999).collect();
            for bytes in [damaged.into(), cut, noise.into(), Bytes::new()] {
                let (rollout, read_all) = opened(&stage, &plan, Some(Snapshot { seq, bytes })).await;
                prop_assert!(read_all);
                same(&rollout, &whole(&stage).await.latest().unwrap().1)?;
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_only_for_its_own_journal_and_record() {
    let ((stage, plan), (other, _)) = (begun().await, begun().await);
    for stage in [&stage, &other] {
        add(stage, &mut Rng::with_seed(7), 9).await;
    }
    let (ours, theirs) = (kept(&stage, &plan).await, kept(&other, &plan).await);
    assert_eq!(ours.seq, theirs.seq);
    assert!(!opened(&stage, &plan, Some(ours.clone())).await.1);
    // The very same things happened, but there.
    assert!(opened(&stage, &plan, Some(theirs)).await.1);
    for seq in [ours.seq.previous().unwrap(), ours.seq.next(), ours.seq.plus(1_000)] {
        assert!(opened(&stage, &plan, Some(Snapshot { seq, ..ours.clone() })).await.1, "{seq}");
    }
    assert!(opened(&stage, &plan, None).await.1);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_another_version_or_format_is_none() {
    let (stage, plan) = begun().await;
    let Snapshot { seq, bytes } = kept(&stage, &plan).await;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let seal: serde_json::Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let sealed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut seal = seal.clone();
        change(&mut seal);
        let bytes = [seal.to_string().as_bytes(), &bytes[end..]].concat().into();
        Some(Snapshot { seq, bytes })
    };
    assert!(!opened(&stage, &plan, sealed(&|_| ())).await.1);
    assert!(opened(&stage, &plan, sealed(&|seal| seal["v"] = 2.into())).await.1);
    assert!(opened(&stage, &plan, sealed(&|seal| seal["by"] = "tidegate 9.0.0".into())).await.1);
}

#[tokio::test(start_paused = true)]
async fn ids_that_were_used_stay_used() {
    let stage = Stage::new(GOOD).await;
    let first = "ci-1".parse().unwrap();
    let abort = Request::Abort { by: "ada".to_owned(), reason: "lunch".to_owned() };
    let (driver, handle) = Driver::open(stage.world(), first, stage.plan()).await.unwrap();
    let ((), end) = tokio::join!(async { handle.ask(abort.clone()).await.unwrap() }, driver.run());
    assert!(end.unwrap().is_end());
    let snapshot = {
        let (driver, handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
        let running = tokio::spawn(driver.snapshot_every(EACH).run());
        tokio::time::sleep(Duration::from_secs(100)).await;
        let snapshot = stage.store.snapshot(&stage.plan().route.log_key()).await.unwrap();
        handle.ask(abort).await.unwrap();
        assert!(running.await.unwrap().unwrap().is_end());
        snapshot
    };
    let log = Showing::new(&stage.store, snapshot);
    let again =
        Driver::open(stage.world_on(Arc::<Showing>::clone(&log)), "ci-1".parse().unwrap(), stage.plan())
            .await;
    assert!(matches!(again, Err(Error::IdUsed { id }) if id.to_string() == "ci-1"));
    assert!(!log.read.lock().unwrap().contains(&Seq::FIRST));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_took_the_place_of_another_is_found_again() {
    let (stage, plan) = begun().await;
    let mut journal = whole(&stage).await;
    let mut spec = plan.spec().clone();
    spec.timing.drain += Duration::from_secs(1);
    let other = spec.build().unwrap();
    let replace = Request::Replace { by: "ada".to_owned(), plan: Box::new(other.clone()) };
    journal.ask(replace, stage.clock.now()).await.unwrap();
    let (driver, _handle) = Driver::open(stage.world(), id(), other.clone()).await.unwrap();
    let running = tokio::spawn(driver.snapshot_every(EACH).run());
    // Back, then forth again by the other plan.
    tokio::time::sleep(Duration::from_secs(600)).await;
    running.abort();
    let snapshot = stage.store.snapshot(&other.route.log_key()).await.unwrap().unwrap();
    let (rollout, read_all) = opened(&stage, &other, Some(snapshot)).await;
    assert!(!read_all && *rollout.plan() == other);
    assert!(matches!(rollout.state(), State::Analyse { .. }), "{}", rollout.state());
    same(&rollout, &whole(&stage).await.latest().unwrap().1).unwrap();
}
