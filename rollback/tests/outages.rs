//! What the tool itself needs is away, hangs, or jumps: each ends in a stated end, with nothing done twice.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;
mod ward;

use std::{
    fmt,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use stage::Stage;
use tidegate_canary::{
    ActuatorError, Answer, BoxError, Deployer, Driver, Fence, Gatekeeper, InMemoryDeployer, Question,
    Readiness, Release, Slot, State as RolloutState, Traffic, TrafficRouter, WallClock, Workload, World,
    metrics::{self, Measurement, Metric, MetricsSource, Selector, Verdict, Window},
    testkit::{Fault, Flaky},
};
use tidegate_registry::{
    self as registry, Cause, Channel, Expect, InMemory, Lifecycle, Log, LogKey, Seq, Snapshot, Stamp,
};
use tidegate_rollback::{
    Error, Intent, Ledger, OnBlind, Order, Rollback, State, Vigil, VigilRequest, Vigilance, Watch,
};
use ward::{Health, Shown, assert_serving, guard, promoted, state, watch, world};

/// The version that is guarded is ill, and the one before is well.
fn ill(stage: &Stage) -> World {
    let health = Health::default();
    health.is(Shown::Ill);
    world(stage, &health)
}

/// A registry that takes its time over what it says of a model.
#[derive(Debug)]
struct Slow {
    inner: InMemory,
    takes: Duration,
}

#[async_trait]
impl Log for Slow {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        self.inner.append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        if key.kind() == "model" {
            tokio::time::sleep(self.takes).await;
        }
        self.inner.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.inner.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.inner.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.inner.keep(key, snapshot).await
    }
}

/// `fraud@1.2.0` is in service; the last good version but for its quarantine is `fraud@1.1.0`.
async fn condemned() -> (Stage, Release) {
    let (stage, _) = promoted().await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let stamp = || Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    let channels = stage.channels();
    channels.promote(&next.model, &production, &Expect::Any, Cause::Promote, stamp()).await.unwrap();
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.quarantine(&stage.candidate.model, "it leaks", stamp()).await.unwrap();
    (stage, next)
}

fn slow(stage: &Stage, seconds: u64) -> World {
    let takes = Duration::from_secs(seconds);
    World { log: Arc::new(Slow { inner: stage.store.clone(), takes }), ..ill(stage) }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_quarantine_is_not_gone_back_to_because_the_registry_is_slow() {
    let (stage, next) = condemned().await;
    let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
    let intent = Intent::new(route, name, "it is slow");
    let (_, choice) = Order::choose(&slow(&stage, 3), intent.clone()).await.unwrap();
    assert_eq!((&choice.from, &choice.to, &choice.unsure), (&next.model, &stage.stable.model, &None));
    // Where nobody can say, a person may go on; and that is on record.
    let world = slow(&stage, 60);
    let error = Order::choose(&world, intent.clone()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("within 10s"), "{error}");
    let (order, choice) = Order::choose(&world, intent.unsure()).await.unwrap();
    assert_eq!(choice.to, stage.candidate.model);
    let record = serde_json::to_string(&order).unwrap();
    assert!(record.contains(r#""unsure":"the registry did not answer within 2s""#), "{record}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_read_what_is_in_quarantine_leaves_it_to_a_person() {
    let (stage, next) = condemned().await;
    let watch = || Watch { release: next.clone(), ..watch(&stage) };
    let watching = tokio::spawn(guard(slow(&stage, 60), watch()).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    let held = state(&stage).await;
    let Vigilance::Held { why, by: None } = &held else { panic!("{held}") };
    assert!(why.contains("which content of fraud is in quarantine"), "{why}");
    watching.abort();
    let _killed = watching.await;
    assert_eq!(stage.moves().await.last().unwrap().to, next.model);
    // Once it can be read, the watch goes where it may.
    let mut ledger = Ledger::<Vigil>::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    ledger.ask(VigilRequest::Resume { by: "ada".to_owned() }, stage.clock.now()).await.unwrap();
    let end = guard(slow(&stage, 1), watch()).await.unwrap().run().await.unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
}

/// An order that was chosen while the registry was quick.
async fn chosen(stage: &Stage) -> Order {
    let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
    Order::choose(&ill(stage), Intent::new(route, name, "it is slow")).await.unwrap().0
}

async fn undone(world: World, order: Order) -> State {
    Rollback::open(world, "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_slow_registry_lets_no_watch_move_traffic_against_a_person() {
    let (stage, _) = promoted().await;
    let order = Order { watch: Some("watch-1".parse().unwrap()), ..chosen(&stage).await };
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    let channels = stage.channels();
    channels.promote(&next.model, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let end = undone(slow(&stage, 3), order).await;
    let State::Stuck { during, why, .. } = &end else { panic!("{end}") };
    assert!(*during == "looking at the target" && why.contains("points to fraud@1.2.0"), "{end}");
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
}

#[tokio::test(start_paused = true)]
async fn only_who_knows_that_the_registry_is_silent_goes_on_without_it() {
    let (stage, _) = promoted().await;
    let order = Order { by: Some("ada".to_owned()), ..chosen(&stage).await };
    let stamp = Stamp { by: "bob".to_owned(), at: stage.clock.now() };
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.quarantine(&stage.stable.model, "it leaks", stamp).await.unwrap();
    let end = undone(slow(&stage, 3), order.clone()).await;
    let State::Stuck { during: "looking at the target", why, .. } = &end else { panic!("{end}") };
    assert!(why.contains("it leaks"), "{end}");
    let mut order = order;
    order.choice.as_mut().unwrap().unsure = Some("the registry did not answer within 2s".to_owned());
    let rollback = Rollback::open(slow(&stage, 3), "inc-2".parse().unwrap(), order).await.unwrap();
    let end = rollback.run().await.unwrap();
    assert!(matches!(&end, State::Stuck { during: "recording the move", .. }), "{end}");
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.stable));
}

fn times_back(moves: &[registry::Move]) -> usize {
    moves.iter().filter(|moved| matches!(moved.cause, Cause::Rollback { .. })).count()
}

/// A store that is away after so many writes, for so many questions.
#[derive(Debug)]
struct Away {
    inner: InMemory,
    /// Which logs are.
    of: fn(&LogKey) -> bool,
    left: Mutex<(usize, usize)>,
}

impl Away {
    fn check(&self, key: &LogKey, writes: usize) -> registry::Result<()> {
        let mut left = self.left.lock().unwrap();
        if !(self.of)(key) {
            return Ok(());
        }
        if left.0 > 0 {
            left.0 -= writes;
            return Ok(());
        }
        if left.1 == 0 {
            return Ok(());
        }
        left.1 -= 1;
        Err(registry::Error::Unavailable {
            store: "the store".to_owned(),
            action: "be there",
            source: "it is away".into(),
        })
    }
}

#[async_trait]
impl Log for Away {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        self.check(key, 1)?;
        self.inner.append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        self.check(key, 0)?;
        self.inner.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.check(key, 0)?;
        self.inner.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.check(key, 0)?;
        self.inner.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.check(key, 0)?;
        self.inner.keep(key, snapshot).await
    }
}

/// Guards `stage` as whoever runs a guard does: one that has stopped since the store is away is opened again. At most
/// so many times.
async fn kept_up(world: World, stage: &Stage, most: usize) -> Result<Vigilance, Error> {
    let mut opened = 0;
    loop {
        let end = async { guard(world.clone(), watch(stage)).await?.run().await }.await;
        opened += 1;
        match end {
            Err(error) if error.is_transient() && opened < most => {
                stage.clock.sleep_until(stage.clock.now() + Duration::from_secs(5)).await;
            }
            end => return end,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_and_back_at_any_write_delays_one_rollback() {
    for nth in 0..24 {
        let (stage, _) = promoted().await;
        let away = Away { inner: stage.store.clone(), of: |_| true, left: Mutex::new((nth, 12)) };
        let world = World { log: Arc::new(away), ..ill(&stage) };
        let end = kept_up(world, &stage, 100).await.unwrap();
        assert!(matches!(end, Vigilance::Returned { done: true, .. }), "away at write {nth}: {end}");
        assert_serving(&stage, &stage.stable).await;
        assert_eq!(times_back(&stage.moves().await), 1, "away at write {nth}");
        let quarantines = Lifecycle::new(Arc::new(stage.store.clone()));
        let quarantines = quarantines.quarantines(stage.stable.model.name()).await.unwrap();
        assert_eq!(quarantines.len(), 1, "away at write {nth}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_good_leaves_traffic_on_a_side_that_is_ready() {
    for nth in 0..20 {
        let (stage, _) = promoted().await;
        let away = Away { inner: stage.store.clone(), of: |_| true, left: Mutex::new((nth, usize::MAX)) };
        let world = World { log: Arc::new(away), ..ill(&stage) };
        match kept_up(world, &stage, 5).await {
            Err(error) => assert!(error.is_transient(), "{error}"),
            Ok(end) => assert!(matches!(end, Vigilance::Returned { .. }), "away at write {nth}: {end}"),
        }
        let traffic = stage.router.observe(&stage.plan().route).await.unwrap().traffic;
        for slot in traffic.slots() {
            let status = stage.deployer.status(slot).await.unwrap();
            assert!(status.ready().is_some(), "away at write {nth}: {slot} is {status:?}");
        }
        assert!(times_back(&stage.moves().await) <= 1);
        // And whoever comes when it is there again finishes it.
        let end = kept_up(ill(&stage), &stage, 1).await.unwrap();
        let Vigilance::Returned { done, .. } = end else { panic!("away at write {nth}: {end}") };
        if done {
            assert_serving(&stage, &stage.stable).await;
        }
        assert!(times_back(&stage.moves().await) <= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_cannot_be_written_is_said_and_traffic_is_back() {
    let (stage, _) = promoted().await;
    // It is read when the target is chosen, and is away from its first write on.
    let world = World { log: Arc::new(Unwritable(stage.store.clone())), ..ill(&stage) };
    let end = kept_up(world, &stage, 1).await.unwrap();
    let Vigilance::Returned { done: false, end, .. } = end else { panic!("{end}") };
    assert!(end.contains("stuck") && end.contains("promote the target by hand"), "{end}");
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.stable));
    assert_eq!(stage.router.observe(&stage.plan().route).await.unwrap().traffic, Traffic::stable());
}

/// A store whose channels cannot be written.
#[derive(Debug)]
struct Unwritable(InMemory);

#[async_trait]
impl Log for Unwritable {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        if key.kind() == "model" {
            return Err(registry::Error::Unavailable {
                store: "the store".to_owned(),
                action: "write",
                source: "it is read-only".into(),
            });
        }
        self.0.append(key, seq, record).await
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

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.0.keep(key, snapshot).await
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_guards_that_are_opened_at_once_one_goes_back() {
    let (stage, _) = promoted().await;
    let [first, second] = [ill(&stage), ill(&stage)].map(|world| {
        let watch = watch(&stage);
        tokio::spawn(async move { guard(world, watch).await?.run().await })
    });
    let ends = [first.await.unwrap(), second.await.unwrap()];
    let over = ends.iter().filter(|end| matches!(end, Err(Error::Superseded))).count();
    assert_eq!(over, 1, "{ends:?}");
    assert!(ends.iter().any(|end| matches!(end, Ok(Vigilance::Returned { done: true, .. }))), "{ends:?}");
    assert_serving(&stage, &stage.stable).await;
    assert_eq!(times_back(&stage.moves().await), 1);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_was_thought_dead_does_not_go_on_with_the_rollback() {
    let (stage, _) = promoted().await;
    let first = tokio::spawn(guard(ill(&stage), watch(&stage)).await.unwrap().run());
    while !matches!(state(&stage).await, Vigilance::Returning { .. }) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // In the midst of the way back, another begins to guard.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let second = tokio::spawn(guard(ill(&stage), watch(&stage)).await.unwrap().run());
    assert!(matches!(first.await.unwrap(), Err(Error::Superseded)));
    let end = second.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
    assert_eq!(times_back(&stage.moves().await), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_and_a_rollout_to_the_next_version_do_not_fight() {
    let (stage, _) = promoted().await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next.clone());
    // What is guarded is well, as is what replaces it.
    let watching = tokio::spawn(guard(stage.world(), watch(&stage)).await.unwrap().run());
    let (driver, _handle) =
        Driver::open(stage.world(), "ci-2".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    assert_eq!(driver.run().await.unwrap(), RolloutState::Promoted);
    assert_eq!(watching.await.unwrap().unwrap(), Vigilance::Moved { to: Some(next.model.clone()) });
    assert_serving(&stage, &next).await;
    assert_eq!(times_back(&stage.moves().await), 0);
}

/// A source, and another system beside it, that never answer.
#[derive(Clone, Copy, Debug)]
struct Silent;

#[async_trait]
impl MetricsSource for Silent {
    async fn observe(&self, _: &Metric, _: &Selector, _: Window) -> Result<Measurement, metrics::Error> {
        pending().await
    }
}

#[async_trait]
impl Gatekeeper for Silent {
    async fn ask(&self, _: &Question) -> Result<Answer, BoxError> {
        pending().await
    }
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what never answers")
    }
}

fn silent(stage: &Stage) -> (World, Watch) {
    let mut world = World { metrics: Arc::new(Silent), ..stage.world() };
    world.gates.insert("pager".to_owned(), Arc::new(Silent));
    (world, Watch { alarms: vec!["pager".to_owned()], ..watch(stage) })
}

#[tokio::test(start_paused = true)]
async fn where_source_and_pager_are_down_together_it_says_that_it_is_blind_and_does_nothing() {
    let (stage, _) = promoted().await;
    let (world, watch) = silent(&stage);
    let watching = tokio::spawn(guard(world, watch).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(180)).await;
    let blind = state(&stage).await;
    assert!(matches!(&blind, Vigilance::Blind { why, .. } if why.contains("did not answer")), "{blind}");
    // A person is still heard, and what was not seen is not settled.
    let mut ledger = Ledger::<Vigil>::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    let hold = VigilRequest::Hold { by: "ada".to_owned(), reason: "monitoring is down".to_owned() };
    ledger.ask(hold, stage.clock.now()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(matches!(state(&stage).await, Vigilance::Held { .. }));
    ledger.ask(VigilRequest::Resume { by: "ada".to_owned() }, stage.clock.now()).await.unwrap();
    let end = watching.await.unwrap().unwrap();
    assert_eq!(end, Vigilance::Kept { verdict: Verdict::Inconclusive });
    assert_serving(&stage, &stage.candidate).await;
}

#[tokio::test(start_paused = true)]
async fn where_both_are_down_it_goes_back_if_that_is_wanted_and_says_that_it_is_unproven() {
    let (stage, _) = promoted().await;
    let (world, watch) = silent(&stage);
    let watch = Watch { on_blind: OnBlind::RollBack, ..watch };
    let end = guard(world, watch).await.unwrap().run().await.unwrap();
    let Vigilance::Returned { done: true, end, .. } = end else { panic!("{end}") };
    assert_eq!(end, "done, but too little was seen to say whether it helped");
    assert_serving(&stage, &stage.stable).await;
}

#[tokio::test(start_paused = true)]
async fn a_router_that_hangs_keeps_from_nobody_that_the_watch_is_blind() {
    let (stage, _) = promoted().await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    // Where a rollout is under way, the router is asked whether that has all traffic.
    let (_driver, _handle) =
        Driver::open(stage.world(), "ci-2".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    let (world, watch) = silent(&stage);
    let hanging = Fault::Slow(Duration::from_secs(24 * 3600));
    let router = Flaky::new(stage.router.clone(), 7).with_share(hanging, 1.0);
    let world = World { router: Arc::new(router), ..world };
    let watching = tokio::spawn(guard(world, watch).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(180)).await;
    let blind = state(&stage).await;
    assert!(matches!(blind, Vigilance::Blind { .. }), "{blind}");
    watching.abort();
}

/// The next guard's machine has another time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_neither_blinds_the_watch_nor_undoes_anything() {
    let hour = Duration::from_secs(3600);
    for back in [true, false] {
        let (stage, _) = promoted().await;
        let long = Watch { lasts: 24 * hour, ..watch(&stage) };
        let first = tokio::spawn(guard(stage.world(), long.clone()).await.unwrap().run());
        tokio::time::sleep(Duration::from_secs(1800)).await;
        first.abort();
        let now = stage.clock.now();
        let clock = WallClock::starting_at(if back { now - hour } else { now + hour });
        let world = World { clock, ..ill(&stage) };
        let began = stage.clock.now();
        let end = guard(world, long).await.unwrap().run().await.unwrap();
        assert!(matches!(end, Vigilance::Returned { done: true, .. }), "back: {back}: {end}");
        let took = stage.clock.now().duration_since(began).unwrap();
        assert!(took < Duration::from_secs(600), "back: {back}: it took {took:?}");
        assert_serving(&stage, &stage.stable).await;
        assert_eq!(times_back(&stage.moves().await), 1);
    }
}

/// A deployer that takes what it is told and never answers.
#[derive(Debug)]
struct Hanging(InMemoryDeployer);

#[async_trait]
impl Deployer for Hanging {
    async fn ensure(&self, _: &Workload, _: Fence) -> Result<(), ActuatorError> {
        pending().await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.0.status(slot).await
    }

    async fn remove(&self, _: Slot, _: Fence) -> Result<(), ActuatorError> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployer_that_hangs_is_waited_for_with_patience_and_then_a_person_is_told() {
    let (stage, _) = promoted().await;
    let world = World { deployer: Arc::new(Hanging(stage.deployer.clone())), ..ill(&stage) };
    let began = stage.clock.now();
    let end = guard(world, watch(&stage)).await.unwrap().run().await.unwrap();
    let Vigilance::Returned { done: false, end, .. } = end else { panic!("{end}") };
    assert!(end.contains("the deployer did not answer in time"), "{end}");
    assert!(end.contains("all traffic is on the version to be left"), "{end}");
    let took = stage.clock.now().duration_since(began).unwrap();
    assert!(took < Duration::from_secs(10 * 60), "{took:?}");
    assert_serving(&stage, &stage.candidate).await;
}

/// However a router or a deployer is away.
const AWAY: [Fault; 2] = [Fault::Before, Fault::Slow(Duration::from_secs(3_600))];

fn without_router(stage: &Stage, fault: Fault) -> World {
    World { router: Arc::new(Flaky::new(stage.router.clone(), 7).with_share(fault, 1.0)), ..ill(stage) }
}

#[tokio::test(start_paused = true)]
async fn who_is_away_is_waited_for_and_then_named_and_the_target_is_not_blamed() {
    for fault in AWAY {
        let (stage, _) = promoted().await;
        let order = chosen(&stage).await;
        let deployer = Flaky::new(stage.deployer.clone(), 7).with_share(fault, 1.0);
        let no_deployer = World { deployer: Arc::new(deployer), ..ill(&stage) };
        for (id, world, who, now) in [
            ("inc-1", without_router(&stage, fault), "router", "traffic is as it was"),
            ("inc-2", no_deployer, "deployer", "all traffic is on the version to be left"),
        ] {
            let began = stage.clock.now();
            let rollback = Rollback::open(world, id.parse().unwrap(), order.clone()).await.unwrap();
            let end = rollback.run().await.unwrap();
            let State::Stuck { why, remedy, .. } = &end else { panic!("{fault:?}: {end}") };
            assert!(why.contains(who), "{fault:?}: {why}");
            assert_eq!(remedy, &format!("{now}; mend the {who}, then roll back again"), "{fault:?}");
            let took = stage.clock.now().duration_since(began).unwrap();
            assert!((order.patience..2 * order.patience).contains(&took), "{fault:?}: {who} for {took:?}");
            assert_serving(&stage, &stage.candidate).await;
        }
        // The same order arrives once both are back.
        let rollback = Rollback::open(ill(&stage), "inc-3".parse().unwrap(), order).await.unwrap();
        let end = rollback.run().await.unwrap();
        assert!(matches!(end, State::Done { .. }), "{fault:?}: {end}");
        assert_serving(&stage, &stage.stable).await;
        assert_eq!(times_back(&stage.moves().await), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_that_is_back_in_time_only_delays_a_rollback() {
    let (stage, _) = promoted().await;
    let order = chosen(&stage).await;
    let router = Flaky::new(stage.router.clone(), 7).with_script([Some(Fault::Before); 30]);
    let end = undone(World { router: Arc::new(router), ..ill(&stage) }, order).await;
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_killed_while_the_router_was_away_goes_on_under_the_same_id() {
    for fault in AWAY {
        let (stage, _) = promoted().await;
        let order = chosen(&stage).await;
        let killed = tokio::spawn(undone(without_router(&stage, fault), order.clone()));
        tokio::time::sleep(order.patience / 2).await;
        killed.abort();
        let _killed = killed.await;
        let end = undone(ill(&stage), order).await;
        assert!(matches!(end, State::Done { .. }), "{fault:?}: {end}");
        assert_serving(&stage, &stage.stable).await;
    }
}
