//! What a person has decided stays decided, and what is well is not blamed.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod merged;
#[path = "../../canary/tests/stage/mod.rs"]
mod stage;
mod ward;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use stage::Stage;
use tidegate_canary::{
    ActuatorError, Answer, BoxError, Capabilities, Deployer, Driver, Fence, Gatekeeper, Observed, Question,
    Readiness, Release, RouteId, RouteJournal, Slot, State as RolloutState, Traffic, TrafficRouter, Weight,
    Workload, World,
    metrics::{self, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window},
    notify::{Kind, Narrate as _, Notice, Severity},
};
use tidegate_registry::{Cause, Channel, Expect, Lifecycle, ModelRef, Seq, Stamp};
use tidegate_rollback::{
    Confirm, Error, Guard, Intent, InvalidWatch, Ledger, NoTarget, OnBlind, Order, Rollback, State, Target,
    Undo, VigilRequest, Vigilance, Watch, Way,
    notify::Narrator,
    report::{self, Incident},
};
use ward::{Shown, assert_serving, guard, ledger, promoted, quarantines, state, watch, world};

async fn order(stage: &Stage, target: Target) -> Order {
    let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
    let intent = Intent::new(route, name, "it is slow").to(target);
    Order::choose(&stage.world(), intent).await.unwrap().0
}

async fn roll_back(world: World, id: &str, order: Order) -> Result<State, Error> {
    Rollback::open(world, id.parse().unwrap(), order).await?.run().await
}

async fn promote(stage: &Stage, model: &ModelRef) {
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    let moved = stage.channels().promote(model, &production, &Expect::Any, Cause::Promote, stamp).await;
    moved.unwrap();
}

async fn settle(stage: &Stage) {
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let (last, production) = (stage.moves().await.pop().unwrap(), Channel::production());
    stage.channels().settle(last.to.name(), &production, last.seq, stamp).await.unwrap();
}

fn ask(by: &str) -> VigilRequest {
    VigilRequest::Hold { by: by.to_owned(), reason: "I am looking".to_owned() }
}

/// A rollout of 1.2.0 beside 1.1.0, which has got a tenth of the traffic.
async fn rolling_out(stage: &Stage) -> tokio::task::JoinHandle<Result<RolloutState, tidegate_canary::Error>> {
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    let (driver, handle) =
        Driver::open(stage.world(), "ci-2".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    let rolling = tokio::spawn(async move {
        let _handle = handle;
        driver.run().await
    });
    tokio::time::sleep(Duration::from_secs(45)).await;
    let observed = stage.router.observe(&stage.plan().route).await.unwrap();
    assert_eq!(observed.traffic.weight(Slot::Candidate), Weight::percent(10).unwrap());
    rolling
}

/// Lets nothing run in the slots that are barred, until the bar is lifted.
#[derive(Clone, Debug)]
struct Barred<D> {
    inner: D,
    slots: &'static [Slot],
    lifted: Arc<AtomicBool>,
}

impl<D: Deployer> Barred<D> {
    fn new(inner: D, slots: &'static [Slot]) -> Self {
        Self { inner, slots, lifted: Arc::default() }
    }
}

#[async_trait]
impl<D: Deployer> Deployer for Barred<D> {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        if self.slots.contains(&workload.slot) && !self.lifted.load(Ordering::Relaxed) {
            let source = "there is no room".into();
            return Err(ActuatorError::Unavailable { target: workload.slot.to_string(), source });
        }
        self.inner.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.inner.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.remove(slot, fence).await
    }
}

/// Replaces what is in service in place, once somebody has merged that.
#[derive(Clone, Debug)]
struct Requested<D> {
    inner: D,
    merged: Arc<AtomicBool>,
}

#[async_trait]
impl<D: Deployer> Deployer for Requested<D> {
    fn in_place(&self) -> bool {
        true
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        if self.merged.load(Ordering::Relaxed) {
            self.inner.ensure(workload, fence).await?;
        }
        Ok(())
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.inner.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.remove(slot, fence).await
    }
}

/// A merge request is merged after the patience of the rollback that has opened it: its words say what to do, and that is
/// possible.
#[tokio::test(start_paused = true)]
async fn what_is_merged_late_is_recorded_by_rolling_back_again() {
    let (stage, _) = promoted().await;
    let merged = Arc::new(AtomicBool::new(false));
    let deployer = Requested { inner: stage.deployer.clone(), merged: Arc::clone(&merged) };
    let world = World { deployer: Arc::new(deployer.clone()), ..stage.world() };
    let order = order(&stage, Target::LastGood).await;
    let end = roll_back(world.clone(), "inc-1", order.clone()).await.unwrap();
    assert!(end.to_string().contains("roll back again; also should it replace it later by itself"), "{end}");
    merged.store(true, Ordering::Relaxed);
    // Whatever keeps the files does that when it is merged.
    let fence =
        RouteJournal::open(Arc::new(stage.store.clone()), &order.route).await.unwrap().fence().unwrap();
    let workload = Workload { slot: Slot::Stable, release: stage.stable.clone(), share: Weight::FULL };
    deployer.ensure(&workload, fence).await.unwrap();
    assert_eq!(stage.moves().await.last().unwrap().to, stage.candidate.model, "nobody has recorded it");
    let end = roll_back(world, "inc-2", order).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
}

/// Puts `release` into the stable slot, as the controller does once somebody has merged that.
async fn merge(stage: &Stage, release: &Release) {
    let route = stage.plan().route.clone();
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let workload = Workload { slot: Slot::Stable, release: release.clone(), share: Weight::FULL };
    stage.deployer.ensure(&workload, journal.fence().unwrap()).await.unwrap();
}

/// Remembers what traffic was put in force.
#[derive(Clone, Debug)]
struct Told<R> {
    inner: R,
    traffic: Arc<Mutex<Vec<Traffic>>>,
}

#[async_trait]
impl<R: TrafficRouter> TrafficRouter for Told<R> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.traffic.lock().unwrap().push(traffic.clone());
        self.inner.apply(route, traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.inner.observe(route).await
    }
}

/// The version in service is ill, not what is tried beside it: that is not accused, and not gone back "from" to what is
/// ill.
#[tokio::test(start_paused = true)]
async fn a_watch_leaves_what_it_guards_and_not_what_is_tried_beside_it() {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    let rolling = rolling_out(&stage).await;
    health.is(Shown::Ill);
    let end = watching.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    assert!(matches!(rolling.await.unwrap(), Err(tidegate_canary::Error::Superseded)));
    assert_serving(&stage, &stage.stable).await;
    assert_eq!(quarantines(&stage).await, [stage.candidate.digest]);
}

#[tokio::test(start_paused = true)]
async fn what_a_comparison_or_a_rollout_that_is_long_over_has_tried_is_not_left() {
    let (stage, _) = promoted().await;
    // It gets stuck, and a person promotes something else by hand.
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Stable]);
    let stuck = World { deployer: Arc::new(barred), ..stage.world() };
    let (driver, _handle) =
        Driver::open(stuck, "ci-2".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    let end = driver.run().await.unwrap();
    assert!(matches!(end, RolloutState::Stuck { .. }), "{end}");
    let tried = order(&stage, Target::LastGood).await;
    assert_eq!(tried.from.model.to_string(), "fraud@1.2.0");
    let hotfix = stage::publish(&stage.store, "fraud@1.3.0", stage.clock.now()).await;
    promote(&stage, &hotfix.model).await;
    let now = order(&stage, Target::LastGood).await;
    assert_eq!((now.from, now.to), (hotfix, stage.candidate.clone()));
}

/// The first rollback cannot fill the stable slot; the second goes on from where it is, never over the bad version.
#[tokio::test(start_paused = true)]
async fn a_target_that_serves_from_the_other_slot_already_is_not_left_for_what_is_bad() {
    let (stage, _) = promoted().await;
    let first = order(&stage, Target::LastGood).await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Stable]);
    let stuck = World { deployer: Arc::new(barred), ..stage.world() };
    let end = roll_back(stuck, "inc-1", first.clone()).await.unwrap();
    assert!(matches!(&end, State::Stuck { during, .. } if during.contains("stable slot")), "{end}");
    let all = Traffic::split(Weight::FULL);
    assert_eq!(stage.router.observe(&first.route).await.unwrap().traffic, all);

    let told = Told { inner: stage.router.clone(), traffic: Arc::default() };
    let world = World { router: Arc::new(told.clone()), ..stage.world() };
    let end = roll_back(world, "inc-2", first.clone()).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    let undone = Ledger::<Undo>::open(Arc::new(stage.store.clone()), &first.route).await.unwrap();
    let lines = format!("{:?}", undone.lines());
    assert!(lines.contains(&format!("{:?}", Way::Staged)), "{lines}");
    assert_eq!(*told.traffic.lock().unwrap(), [all, Traffic::stable()]);
    assert_serving(&stage, &stage.stable).await;
}

/// Does not answer the first question.
#[derive(Debug)]
struct Busy<D> {
    inner: D,
    asked: AtomicBool,
}

#[async_trait]
impl<D: Deployer> Deployer for Busy<D> {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        if !self.asked.swap(true, Ordering::Relaxed) {
            return Err(ActuatorError::Unavailable { target: slot.to_string(), source: "busy".into() });
        }
        self.inner.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.remove(slot, fence).await
    }
}

/// All traffic is on a candidate that is bad, and stable is gone.
#[tokio::test(start_paused = true)]
async fn traffic_is_not_sent_to_a_stable_slot_that_is_down_because_somebody_was_busy() {
    let (stage, _) = promoted().await;
    let route = stage.plan().route.clone();
    let bad = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let fence = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap().fence().unwrap();
    let workload = Workload { slot: Slot::Candidate, release: bad.clone(), share: Weight::FULL };
    stage.deployer.ensure(&workload, fence).await.unwrap();
    stage.router.apply(&route, &Traffic::split(Weight::FULL), fence).await.unwrap();
    stage.deployer.remove(Slot::Stable, fence).await.unwrap();

    let told = Told { inner: stage.router.clone(), traffic: Arc::default() };
    let busy = Busy { inner: stage.deployer.clone(), asked: AtomicBool::new(false) };
    let world = World { router: Arc::new(told.clone()), deployer: Arc::new(busy), ..stage.world() };
    let order = Order { from: bad, ..order(&stage, Target::LastGood).await };
    let end = roll_back(world, "inc-1", order).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_eq!(*told.traffic.lock().unwrap(), [Traffic::stable()], "once, when the target was ready there");
    assert_serving(&stage, &stage.stable).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_does_not_take_the_route_from_a_persons_rollback() {
    let (stage, health) = promoted().await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let slow = World { deployer: Arc::new(barred.clone()), ..world(&stage, &health) };
    let theirs = tokio::spawn(roll_back(slow, "inc-1", order(&stage, Target::LastGood).await));
    tokio::time::sleep(Duration::from_secs(1)).await;
    health.is(Shown::Ill);
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let held = state(&stage).await;
    assert!(matches!(&held, Vigilance::Held { why, by: None } if why.contains("rollback inc-1")), "{held}");
    barred.lifted.store(true, Ordering::Relaxed);
    let end = theirs.await.unwrap().unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    let gone = Vigilance::Moved { to: Some(stage.stable.model.clone()) };
    assert_eq!(watching.await.unwrap().unwrap(), gone);
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_rollback_a_person_overtakes_is_over() {
    let (stage, health) = promoted().await;
    health.is(Shown::Ill);
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let slow = World { deployer: Arc::new(barred.clone()), ..world(&stage, &health) };
    let watching = tokio::spawn(guard(slow, watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(matches!(state(&stage).await, Vigilance::Returning { .. }));
    let theirs = roll_back(world(&stage, &health), "inc-1", order(&stage, Target::LastGood).await).await;
    assert!(matches!(theirs.unwrap(), State::Done { .. }));
    barred.lifted.store(true, Ordering::Relaxed);
    let end = watching.await.unwrap().unwrap();
    assert!(
        matches!(&end, Vigilance::Returned { done: false, end, .. } if end.contains("overtaken")),
        "{end}"
    );
    // Nor does a guard that was killed meanwhile wait for ever.
    let again = guard(world(&stage, &health), watch(&stage)).await.unwrap().run().await.unwrap();
    assert_eq!(again, end);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_a_person_moves_meanwhile_is_not_moved_back() {
    let (stage, _) = promoted().await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Stable]);
    let slow = World { deployer: Arc::new(barred.clone()), ..stage.world() };
    let going = tokio::spawn(roll_back(slow, "inc-1", order(&stage, Target::LastGood).await));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let hotfix = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    promote(&stage, &hotfix.model).await;
    barred.lifted.store(true, Ordering::Relaxed);
    let end = going.await.unwrap().unwrap();
    assert!(matches!(&end, State::Stuck { why, .. } if why.contains("somebody moved it")), "{end}");
    assert_eq!(stage.moves().await.pop().unwrap().to, hotfix.model);
}

/// A person promotes while the target is still made to run: no request goes against that.
#[tokio::test(start_paused = true)]
async fn no_traffic_moves_against_what_was_decided_meanwhile() {
    let (stage, _) = promoted().await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let told = Told { inner: stage.router.clone(), traffic: Arc::default() };
    let (router, deployer) = (Arc::new(told.clone()), Arc::new(barred.clone()));
    let slow = World { router, deployer, ..stage.world() };
    let going = tokio::spawn(roll_back(slow, "inc-1", order(&stage, Target::LastGood).await));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let hotfix = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    promote(&stage, &hotfix.model).await;
    barred.lifted.store(true, Ordering::Relaxed);
    let end = going.await.unwrap().unwrap();
    assert!(matches!(&end, State::Stuck { why, .. } if why.contains("points to fraud@1.2.0")), "{end}");
    assert!(told.traffic.lock().unwrap().is_empty());
}

/// All that is known of the rollbacks of a route, as people are told of it.
async fn told_of(stage: &Stage) -> (Vec<Notice>, String) {
    let route = stage.plan().route.clone();
    let ledger = Ledger::<Undo>::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let mut narrator = Narrator::<Undo>::new(route.clone());
    let tell = |(i, line)| narrator.tell(Seq::FIRST.plus(i), line);
    let notices = ledger.lines().iter().enumerate().filter_map(tell).collect();
    let incident = Incident::read(&stage.world(), &route, None).await.unwrap().unwrap();
    (notices, report::markdown(&incident))
}

async fn holder(stage: &Stage) -> Option<String> {
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    journal.holder().map(str::to_owned)
}

/// Nobody runs the rollback any more that has taken the route from a rollout, and nobody judges what that has left.
#[tokio::test(start_paused = true)]
async fn what_is_called_off_after_its_driver_was_killed_lets_go_and_says_what_is_left() {
    let (stage, _) = promoted().await;
    let rolling = rolling_out(&stage).await;
    let order = order(&stage, Target::LastGood).await;
    drop(Rollback::open(stage.world(), "inc-1".parse().unwrap(), order.clone()).await.unwrap());
    assert!(matches!(rolling.await.unwrap(), Err(tidegate_canary::Error::Superseded)));
    assert_eq!(holder(&stage).await.as_deref(), Some("rollback inc-1"));

    let mut ledger = Ledger::<Undo>::open(Arc::new(stage.store.clone()), &order.route).await.unwrap();
    ledger.abort("ada", "it is the network", stage.clock.now()).await.unwrap();
    assert_eq!(holder(&stage).await, None);
    let undo = ledger.latest().unwrap().1.clone();
    let left = "rollout ci-2, from which it took the route, is over by that, and nobody judges the traffic that it has left: roll back to fraud@1.1.0";
    assert!(undo.state().to_string().contains(left), "{}", undo.state());
    assert_eq!(undo.unjudged().unwrap().stable, stage.candidate.model);
    let (notices, report) = told_of(&stage).await;
    let last = notices.last().unwrap();
    assert_eq!((last.kind, last.severity), (Kind::RollbackAborted, Severity::Critical));
    assert!(last.remedy.as_ref().unwrap().starts_with(left), "{last:?}");
    assert!(report.contains("nobody judges the traffic that it has left"), "{report}");
    assert!(report.contains("took the route from rollout ci-2"), "{report}");

    // What it says to do is possible.
    let end = roll_back(stage.world(), "inc-2", order.clone()).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_serving(&stage, &stage.candidate).await;
    // And one that was killed after it was over gives the route back, too, by being called off again.
    let third = Order { head: None, ..order };
    drop(Rollback::open(stage.world(), "inc-3".parse().unwrap(), third).await.unwrap());
    ledger.abort("ada", "it is the network", stage.clock.now()).await.unwrap();
    RouteJournal::seize(
        Arc::new(stage.store.clone()),
        &stage.plan().route,
        "rollback inc-3",
        stage.clock.now(),
    )
    .await
    .unwrap();
    ledger.abort("ada", "it is the network", stage.clock.now()).await.unwrap();
    assert_eq!(holder(&stage).await, None);
    let late = ledger.abort("ada", "it is the network", stage.clock.now()).await;
    assert!(matches!(late, Err(Error::Refused(_))), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_gets_stuck_before_traffic_moves_says_that_nobody_judges_the_split() {
    let (stage, _) = promoted().await;
    let rolling = rolling_out(&stage).await;
    let order = order(&stage, Target::Exactly(stage.stable.model.clone())).await;
    let rollback = Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap();
    let hotfix = stage::publish(&stage.store, "fraud@1.3.0", stage.clock.now()).await;
    promote(&stage, &hotfix.model).await;
    let end = rollback.run().await.unwrap();
    let State::Stuck { remedy, .. } = &end else { panic!("{end}") };
    let split = stage.router.observe(&stage.plan().route).await.unwrap().traffic;
    assert_eq!(split.weight(Slot::Candidate), Weight::percent(10).unwrap());
    assert!(remedy.starts_with("traffic is as it was; choose another target; rollout ci-2"), "{remedy}");
    assert!(remedy.contains(&format!("nobody judges the traffic that it has left ({split})")), "{remedy}");
    let _superseded = rolling.await.unwrap();
}

/// The candidate's slot is freed before the target is found not to run there: there is no split then.
#[tokio::test(start_paused = true)]
async fn what_gets_stuck_after_the_split_was_ended_says_that() {
    let (stage, _) = promoted().await;
    let rolling = rolling_out(&stage).await;
    let order = order(&stage, Target::Exactly(stage.stable.model.clone())).await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let stuck = World { deployer: Arc::new(barred), ..stage.world() };
    let end = roll_back(stuck, "inc-1", order).await.unwrap();
    let State::Stuck { remedy, .. } = &end else { panic!("{end}") };
    assert!(remedy.starts_with("all traffic is on what runs in the stable slot"), "{remedy}");
    assert!(remedy.contains("rollout ci-2") && remedy.contains("open it again under a new id"), "{remedy}");
    assert_eq!(stage.router.observe(&stage.plan().route).await.unwrap().traffic, Traffic::stable());
    let _superseded = rolling.await.unwrap();
}

/// The first rollback from a candidate gets stuck: what was tried is still what is to be left, and not what is good.
#[tokio::test(start_paused = true)]
async fn rolling_back_again_leaves_what_was_to_be_left_before() {
    let (stage, _) = promoted().await;
    let rolling = rolling_out(&stage).await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let stuck = World { deployer: Arc::new(barred), ..stage.world() };
    let first = order(&stage, Target::Exactly(stage.stable.model.clone())).await;
    let end = roll_back(stuck, "inc-1", first.clone()).await.unwrap();
    assert!(matches!(end, State::Stuck { .. }), "{end}");
    let _superseded = rolling.await.unwrap();
    let again = order(&stage, Target::LastGood).await;
    assert_eq!((&again.from, &again.to), (&first.from, &stage.candidate));
    let end = roll_back(stage.world(), "inc-2", again).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    // Now it is left.
    let next = order(&stage, Target::LastGood).await;
    assert_eq!(next.from, stage.candidate);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_a_person_empties_is_nobodys_to_guard_or_to_go_back_in() {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (name, production) = (stage.stable.model.name(), Channel::production());
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    stage.channels().demote(name, &production, &Expect::Any, "we stop", stamp).await.unwrap();
    health.is(Shown::Ill);
    assert_eq!(watching.await.unwrap().unwrap(), Vigilance::Moved { to: None });
    let route = stage.plan().route.clone();
    let intent = Intent::new(route, name.clone(), "it is slow");
    let chosen = Order::choose(&stage.world(), intent).await;
    assert!(matches!(chosen, Err(Error::NoTarget(NoTarget::EmptyChannel))));
}

#[tokio::test(start_paused = true)]
async fn content_in_quarantine_gets_no_traffic_whoever_asks_for_it() {
    let (stage, _) = promoted().await;
    let order = order(&stage, Target::LastGood).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.quarantine(&order.to.model, "it leaks", stamp).await.unwrap();
    let end = roll_back(stage.world(), "inc-1", order).await.unwrap();
    let words = end.to_string();
    assert!(words.contains("in quarantine: it leaks") && words.contains("traffic is as it was"), "{words}");
    assert_serving(&stage, &stage.candidate).await;
}

/// Going back from a candidate to what is in service says nothing against that.
#[tokio::test(start_paused = true)]
async fn what_stayed_in_service_is_still_a_last_known_good() {
    let (stage, _) = promoted().await;
    let rolling = rolling_out(&stage).await;
    let end = roll_back(stage.world(), "inc-1", order(&stage, Target::LastGood).await).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    let _superseded = rolling.await.unwrap();
    assert_serving(&stage, &stage.candidate).await;
    let later = stage::publish(&stage.store, "fraud@1.3.0", stage.clock.now()).await;
    promote(&stage, &later.model).await;
    settle(&stage).await;
    assert_eq!(order(&stage, Target::LastGood).await.to, stage.candidate);
}

#[tokio::test(start_paused = true)]
async fn a_long_reason_does_not_hold_up_what_follows() {
    let (stage, _) = promoted().await;
    let reason = "é".repeat(2_000);
    let order = Order { reason, quarantine: true, ..order(&stage, Target::LastGood).await };
    let end = roll_back(stage.world(), "inc-1", order.clone()).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_eq!(quarantines(&stage).await, [stage.candidate.digest]);
    let silent = Order { reason: " ".to_owned(), ..order };
    assert!(roll_back(stage.world(), "inc-2", silent).await.unwrap_err().to_string().contains("say why"));
}

/// Kills a rollback while the target is made to run, and goes on much later.
#[tokio::test(start_paused = true)]
async fn nobody_was_patient_while_nobody_was_there() {
    let (stage, _) = promoted().await;
    let order = order(&stage, Target::LastGood).await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let slow = World { deployer: Arc::new(barred.clone()), ..stage.world() };
    let going = tokio::spawn(roll_back(slow.clone(), "inc-1", order.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    going.abort();
    let _killed = going.await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let again = tokio::spawn(roll_back(slow, "inc-1", order));
    tokio::time::sleep(Duration::from_secs(60)).await;
    barred.lifted.store(true, Ordering::Relaxed);
    let end = again.await.unwrap().unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_over_is_opened_again_and_disturbs_nobody() {
    let (stage, _) = promoted().await;
    let order = order(&stage, Target::LastGood).await;
    roll_back(stage.world(), "inc-1", order.clone()).await.unwrap();
    let mut spec = stage.spec();
    spec.candidate = stage::publish(&stage.store, "fraud@1.4.0", stage.clock.now()).await;
    spec.stable = stage.stable.clone();
    let open = Driver::open(stage.world(), "ci-3".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    let rolling = tokio::spawn(open.0.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    let end = roll_back(stage.world(), "inc-1", order).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert!(!rolling.is_finished());
    let end = rolling.await.unwrap();
    assert!(!matches!(end, Err(tidegate_canary::Error::Superseded)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_person_calls_a_rollback_off_until_traffic_moves() {
    let (stage, _) = promoted().await;
    let order = order(&stage, Target::LastGood).await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let slow = World { deployer: Arc::new(barred), ..stage.world() };
    let going = tokio::spawn(roll_back(slow, "inc-1", order.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let open = async || Ledger::<Undo>::open(Arc::new(stage.store.clone()), &order.route).await.unwrap();
    open().await.abort("ada", "it is the network", stage.clock.now()).await.unwrap();
    let end = going.await.unwrap().unwrap();
    assert!(matches!(&end, State::Aborted { by, .. } if by == "ada"), "{end}");
    assert_serving(&stage, &stage.candidate).await;
    let late = open().await.abort("ada", "it is the network", stage.clock.now()).await;
    assert!(matches!(late, Err(Error::Refused(_))), "{late:?}");
    // The route is free again.
    let end = roll_back(stage.world(), "inc-2", order).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
}

/// The route is free at once, and its driver hears of that a moment later.
#[tokio::test(start_paused = true)]
async fn what_begins_when_a_rollback_was_called_off_is_not_disturbed_by_its_driver() {
    let (stage, _) = promoted().await;
    let order = order(&stage, Target::LastGood).await;
    let barred = Barred::new(stage.deployer.clone(), &[Slot::Candidate]);
    let slow = World { deployer: Arc::new(barred), ..stage.world() };
    let going = tokio::spawn(roll_back(slow, "inc-1", order.clone()));
    tokio::time::sleep(Duration::from_secs(61)).await;
    let mut ledger = Ledger::<Undo>::open(Arc::new(stage.store.clone()), &order.route).await.unwrap();
    ledger.abort("ada", "it is the network", stage.clock.now()).await.unwrap();
    let rolling = rolling_out(&stage).await;
    let end = going.await.unwrap().unwrap();
    assert!(matches!(end, State::Aborted { .. }), "{end}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!rolling.is_finished());
    rolling.abort();
}

#[tokio::test(start_paused = true)]
async fn a_person_who_holds_a_watch_is_not_overruled_by_opening_another() {
    let (stage, health) = promoted().await;
    let first = guard(world(&stage, &health), watch(&stage)).await.unwrap();
    ledger(&stage).await.ask(ask("ada"), stage.clock.now()).await.unwrap();
    drop(first);
    let open =
        async |watch: Watch| Guard::open(world(&stage, &health), "watch-2".parse().unwrap(), watch).await;
    let refused = open(watch(&stage)).await.unwrap_err();
    assert!(matches!(&refused, Error::Held { id } if id.to_string() == "watch-1"), "{refused}");
    // What is promoted later is another matter.
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    open(Watch { release: next, ..watch(&stage) }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_woken_for_what_another_version_has_replaced() {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    promote(&stage, &next.model).await;
    health.is(Shown::Nothing);
    assert_eq!(watching.await.unwrap().unwrap(), Vigilance::Moved { to: Some(next.model) });
    let lines = format!("{:?}", ledger(&stage).await.lines());
    assert!(!lines.contains("Blinded"), "{lines}");
}

/// Killed between the alarm and the decision, it does not forget that it was blind.
#[tokio::test(start_paused = true)]
async fn blindness_accuses_nobody_even_over_a_crash() {
    let (stage, health) = promoted().await;
    health.is(Shown::Nothing);
    let watch = Watch { on_blind: OnBlind::RollBack, ..watch(&stage) };
    // Its open, that it is blind, its alarm; what would begin is lost.
    let log = stage::Killed { inner: stage.store.clone(), nth: 3, after: false, count: 0.into() };
    let killed = World { log: Arc::new(log), ..world(&stage, &health) };
    let killed = guard(killed, watch.clone()).await.unwrap().run().await;
    assert!(matches!(killed, Err(Error::Registry(_))), "{killed:?}");
    assert!(matches!(state(&stage).await, Vigilance::Alarmed { blind: true, .. }));
    let end = guard(world(&stage, &health), watch).await.unwrap().run().await.unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    assert!(quarantines(&stage).await.is_empty());
}

/// Errors are seen, and latency never.
#[derive(Debug)]
struct OneEyed;

#[async_trait]
impl MetricsSource for OneEyed {
    async fn observe(&self, metric: &Metric, _: &Selector, _: Window) -> Result<Measurement, metrics::Error> {
        Ok(match metric.as_str() {
            Metric::ERRORS => Observation::proportion(5, 1_000).unwrap().into(),
            _ => Measurement::Missing(Missing::NoData),
        })
    }
}

impl fmt::Display for OneEyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("errors alone")
    }
}

#[tokio::test(start_paused = true)]
async fn a_criterion_that_is_never_seen_is_no_health() {
    let (stage, _) = promoted().await;
    let seen = World { metrics: Arc::new(OneEyed), ..stage.world() };
    let both = Watch::new(stage.plan().route.clone(), stage.candidate.clone()).criteria;
    let watch = Watch { criteria: both, ..watch(&stage) };
    let watching = tokio::spawn(guard(seen, watch).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching, "it may still come within a span");
    tokio::time::sleep(Duration::from_secs(200)).await;
    let blind = state(&stage).await;
    assert!(matches!(&blind, Vigilance::Blind { why, .. } if why.starts_with("latency for 5m")), "{blind}");
    watching.abort();
}

/// Who is asked for alarms and does not answer.
#[derive(Debug)]
struct Deaf;

#[async_trait]
impl Gatekeeper for Deaf {
    async fn ask(&self, _: &Question) -> Result<Answer, BoxError> {
        Err("connection refused".into())
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_and_does_not_answer_is_said_and_who_is_not_there_is_refused() {
    let (stage, health) = promoted().await;
    let on_blind = OnBlind::RollBack;
    let alarmed = Watch { alarms: vec!["pager".to_owned()], on_blind, ..watch(&stage) };
    let refused = guard(world(&stage, &health), alarmed.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::InvalidWatch(InvalidWatch::Alarm { .. })), "{refused}");
    let mut world = world(&stage, &health);
    world.gates.insert("pager".to_owned(), Arc::new(Deaf));
    let watching = tokio::spawn(guard(world, alarmed).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let is_blind = |state: &Vigilance| matches!(state, Vigilance::Blind { why, .. } if why.contains("connection refused"));
    assert!(is_blind(&state(&stage).await));
    // That is for a person to mend, and no reason to leave what is seen to be well.
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert!(is_blind(&state(&stage).await));
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn one_burst_does_not_count_for_as_often_as_it_is_seen() {
    let (stage, health) = promoted().await;
    let confirm = Confirm { looks: 3, of: 4 };
    let watch = Watch { confirm, ..watch(&stage) };
    let watching = tokio::spawn(guard(world(&stage, &health), watch).await.unwrap().run());
    let burst = async |seconds: u64| {
        health.is(Shown::Ill);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        health.is(Shown::Well);
    };
    tokio::time::sleep(Duration::from_secs(610)).await;
    burst(30).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching);
    health.is(Shown::Ill);
    let end = watching.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
}

/// A baseline that a rollout had does not outlive it.
#[tokio::test(start_paused = true)]
async fn what_a_rollout_has_made_for_comparison_is_cleared_away_too() {
    let (stage, _) = promoted().await;
    let route = stage.plan().route.clone();
    let fence = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap().fence().unwrap();
    let copy = Workload { slot: Slot::Baseline, release: stage.candidate.clone(), share: Weight::FULL };
    stage.deployer.ensure(&copy, fence).await.unwrap();
    let end = roll_back(stage.world(), "inc-1", order(&stage, Target::LastGood).await).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_eq!(stage.deployer.status(Slot::Baseline).await.unwrap(), Readiness::Absent);
}
