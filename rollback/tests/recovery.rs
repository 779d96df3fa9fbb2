//! The way back, killed anywhere, and from under a running rollout.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use stage::{Killed, Requests, Stage, id};
use tidegate_canary::{
    ActuatorError, Capabilities, Deployer, Driver, Error as RolloutError, Fence, InMemoryDeployer,
    InMemoryRouter, Observed, Readiness, Release, RouteId, RouteJournal, Slot, State as RolloutState,
    Traffic, TrafficRouter, Weight, Workload, World,
    testkit::{Fault, Flaky},
};
use tidegate_registry::{
    self as registry, Cause, Channel, Digest, Expect, InMemory, Lifecycle, Log, LogKey, ModelRef, Seq,
    Snapshot, Stamp,
};
use tidegate_rollback::{
    Error, Helped, Intent, Ledger, NoTarget, Order, PassedOver, Recovery, Rollback, State, Target, Undo,
    Unfit,
};

const GOOD: Requests = Requests { stable_errors: 2, candidate_errors: 2 };

/// `fraud@1.1.0` is promoted, serving and settled; `fraud@1.0.0` is the last known good.
async fn promoted(requests: Requests) -> Stage {
    let stage = Stage::new(GOOD).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    Stage { requests, ..stage }
}

async fn order(stage: &Stage, target: Target) -> Order {
    let route = stage.plan().route.clone();
    let name = stage.stable.model.name().clone();
    let intent = Intent::new(route, name, "it is slow").to(target);
    Order::choose(&stage.world(), intent).await.unwrap().0
}

async fn roll_back(stage: &Stage, world: World, target: Target) -> Result<State, Error> {
    Rollback::open(world, "inc-1".parse().unwrap(), order(stage, target).await).await?.run().await
}

async fn assert_serving(stage: &Stage, release: &Release) {
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(release));
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    assert_eq!(stage.router.observe(&stage.plan().route).await.unwrap().traffic, Traffic::stable());
    assert_eq!(stage.moves().await.last().unwrap().to, release.model);
}

#[tokio::test(start_paused = true)]
async fn it_goes_to_the_last_good_and_back_on_command() {
    let stage = promoted(GOOD).await;
    let end = roll_back(&stage, stage.world(), Target::LastGood).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
    let last = stage.moves().await.pop().unwrap();
    assert!(matches!(last.cause, Cause::Rollback { reason, .. } if reason == "it is slow"));

    let order = order(&stage, Target::Exactly(stage.candidate.model.clone())).await;
    let back = Rollback::open(stage.world(), "inc-2".parse().unwrap(), order).await.unwrap();
    assert!(matches!(back.run().await.unwrap(), State::Done { .. }));
    assert_serving(&stage, &stage.candidate).await;
}

/// An order that puts what is left into quarantine, and wants to see that it helped.
async fn thorough(stage: &Stage) -> Order {
    let mut recovery = Recovery::new(stage.plan().bake_criteria.clone());
    recovery.at_most = Duration::from_secs(120);
    Order { quarantine: true, recovery: Some(recovery), ..order(stage, Target::LastGood).await }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_journal_write_it_arrives_once() {
    // Its open, its seizure of the route, twelve events, and the release.
    for nth in 0..15 {
        for after in [false, true] {
            let stage = promoted(GOOD).await;
            let order = thorough(&stage).await;
            let log = Killed { inner: stage.store.clone(), nth, after, count: 0.into() };
            let killed = async {
                let world = stage.world_on(Arc::new(log));
                Rollback::open(world, "inc-1".parse().unwrap(), order.clone()).await?.run().await
            };
            let killed = killed.await;
            assert!(matches!(killed, Err(Error::Registry(_) | Error::Route(_))), "write {nth}: {killed:?}");
            let again = Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap();
            let end = again.run().await.unwrap();
            let proven = matches!(end, State::Done { helped: Helped::Proven, .. });
            assert!(proven, "killed at write {nth}, after: {after}: {end}");
            assert_serving(&stage, &stage.stable).await;
            assert_eq!(stage.moves().await.len(), 3, "killed at write {nth}, after: {after}: one move back");
            let quarantines = quarantines(&stage).await;
            assert_eq!(quarantines, [stage.candidate.digest], "killed at write {nth}, after: {after}");
        }
    }
}

/// A log that takes no quarantine.
#[derive(Debug)]
struct Lenient(InMemory);

#[async_trait]
impl Log for Lenient {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        if key.kind() == "model" && String::from_utf8_lossy(&record).contains("quarantine") {
            let (store, source) = ("the log".to_owned(), "nobody may do that".into());
            return Err(registry::Error::Refused { store, action: "write", source });
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
async fn a_quarantine_that_is_refused_keeps_from_nothing_that_follows() {
    let stage = promoted(GOOD).await;
    let world = stage.world_on(Arc::new(Lenient(stage.store.clone())));
    let order = thorough(&stage).await;
    let rollback = Rollback::open(world, "inc-1".parse().unwrap(), order).await.unwrap();
    let end = rollback.run().await.unwrap();
    let State::Stuck { why, remedy, .. } = &end else { panic!("{end}") };
    assert!(why.contains("nobody may do that"), "{why}");
    let said =
        "all traffic is on the target, and that was seen to help; put what was left into quarantine by hand";
    assert_eq!(remedy, said);
    assert_serving(&stage, &stage.stable).await;
    assert!(quarantines(&stage).await.is_empty());
}

/// `fraud@1.2.0` is tried beside `fraud@1.1.0`, and has some traffic.
async fn tried(stage: &Stage) -> Release {
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next.clone());
    let (driver, _handle) = Driver::open(stage.world(), id_2(), spec.build().unwrap()).await.unwrap();
    tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    next
}

#[tokio::test(start_paused = true)]
async fn what_traffic_has_left_is_left_though_the_rollback_got_stuck_after() {
    let stage = promoted(GOOD).await;
    let next = tried(&stage).await;
    let order = Order { quarantine: true, ..order(&stage, Target::LastGood).await };
    assert_eq!((&order.from, &order.to), (&next, &stage.candidate));
    let world = stage.world_on(Arc::new(Lenient(stage.store.clone())));
    let end = Rollback::open(world, "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    assert!(matches!(end, State::Stuck { .. }), "{end}");
    assert_serving(&stage, &stage.candidate).await;
    let again = self::order(&stage, Target::LastGood).await;
    assert_eq!((&again.from, &again.to), (&stage.candidate, &stage.stable));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_an_overtaken_rollback_holds_is_given_back() {
    let stage = promoted(GOOD).await;
    tried(&stage).await;
    let order = order(&stage, Target::LastGood).await;
    // Killed once it has the route, and the next before it has it.
    drop(Rollback::open(stage.world(), "inc-1".parse().unwrap(), order.clone()).await.unwrap());
    let log = Killed { inner: stage.store.clone(), nth: 1, after: false, count: 0.into() };
    let killed = Rollback::open(stage.world_on(Arc::new(log)), "inc-2".parse().unwrap(), order).await;
    assert!(matches!(killed, Err(Error::Route(_))), "{killed:?}");
    let (log, route): (Arc<dyn Log>, _) = (Arc::new(stage.store.clone()), stage.plan().route.clone());
    let holder = async || {
        let journal = RouteJournal::open(Arc::clone(&log), &route).await.unwrap();
        journal.holder().map(str::to_owned)
    };
    assert_eq!(holder().await.as_deref(), Some("rollback inc-1"));
    let mut ledger = Ledger::<Undo>::open(Arc::clone(&log), &route).await.unwrap();
    ledger.abort("ada", "it is the network", stage.clock.now()).await.unwrap();
    assert_eq!(holder().await, None);
    let (_, undo) = ledger.latest().unwrap();
    assert_eq!(undo.took().map(|took| &took.rollout), Some(&id_2()), "{undo:?}");
}

async fn take_from_a_running_rollout(to: Option<ModelRef>) {
    let stage = promoted(GOOD).await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    let (driver, _handle) = Driver::open(stage.world(), id_2(), spec.build().unwrap()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    let route = stage.plan().route.clone();
    let observed = stage.router.observe(&route).await.unwrap();
    assert_eq!(observed.traffic.weight(Slot::Candidate), Weight::percent(10).unwrap());

    // What is being tried is left for what is in service; a person may name an older one.
    let (target, expected) = match to {
        None => (Target::LastGood, &stage.candidate),
        Some(model) => (Target::Exactly(model), &stage.stable),
    };
    let end = roll_back(&stage, stage.world(), target).await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert!(matches!(running.await.unwrap(), Err(RolloutError::Superseded)));
    assert_serving(&stage, expected).await;
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let (rollout, ended) = journal.latest().unwrap();
    assert_eq!(*rollout, id_2());
    assert_eq!(*ended.state(), RolloutState::Seized { by: "rollback inc-1".to_owned() });
    assert_eq!(journal.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn it_takes_the_route_from_a_running_rollout() {
    take_from_a_running_rollout(None).await;
}

#[tokio::test(start_paused = true)]
async fn it_takes_the_route_to_where_a_person_says() {
    take_from_a_running_rollout(Some("fraud@1.0.0".parse().unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn no_rollout_begins_while_a_rollback_holds_the_route() {
    let stage = promoted(GOOD).await;
    let order = order(&stage, Target::LastGood).await;
    let rollback = Rollback::open(stage.world(), "inc-1".parse().unwrap(), order.clone()).await.unwrap();
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    let refused = Driver::open(stage.world(), id_2(), spec.clone().build().unwrap()).await.unwrap_err();
    assert!(matches!(&refused, RolloutError::Held { by } if by == "rollback inc-1"), "{refused}");
    assert!(matches!(rollback.run().await.unwrap(), State::Done { .. }));
    spec.stable = stage.stable.clone();
    Driver::open(stage.world(), id_2(), spec.build().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_old_id_is_not_begun_again() {
    let stage = promoted(GOOD).await;
    let first = order(&stage, Target::LastGood).await;
    let open = async |id: &str, order: &Order| {
        Rollback::open(stage.world(), id.parse().unwrap(), order.clone()).await
    };
    open("inc-1", &first).await.unwrap().run().await.unwrap();
    let back = order(&stage, Target::Exactly(stage.candidate.model.clone())).await;
    open("inc-2", &back).await.unwrap().run().await.unwrap();
    assert!(matches!(open("inc-1", &first).await, Err(Error::IdUsed { .. })));
    assert_serving(&stage, &stage.candidate).await;
}

/// A deployer in whose stable slot one release never becomes ready, and a router beside it that notices when
/// traffic is sent to a slot that is not.
#[derive(Clone, Debug)]
struct Crashing {
    router: InMemoryRouter,
    deployer: InMemoryDeployer,
    bad: Release,
}

#[async_trait]
impl Deployer for Crashing {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.deployer.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        Ok(match self.deployer.status(slot).await? {
            Readiness::Ready { release } if slot == Slot::Stable && release == self.bad => {
                Readiness::Failed { release, why: "out of memory".to_owned() }
            }
            status => status,
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.deployer.remove(slot, fence).await
    }
}

#[async_trait]
impl TrafficRouter for Crashing {
    fn capabilities(&self) -> Capabilities {
        self.router.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        for slot in traffic.slots() {
            let status = self.status(slot).await?;
            assert!(status.ready().is_some(), "{traffic} while the {slot} slot is {status:?}");
        }
        self.router.apply(route, traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.router.observe(route).await
    }
}

#[tokio::test(start_paused = true)]
async fn from_a_promotion_that_got_stuck_it_goes_back_without_an_outage() {
    let stage = Stage::new(GOOD).await;
    let (router, deployer) = (stage.router.clone(), stage.deployer.clone());
    let crashing = Crashing { router, deployer, bad: stage.candidate.clone() };
    let world = World { router: Arc::new(crashing.clone()), deployer: Arc::new(crashing), ..stage.world() };
    let (driver, _handle) = Driver::open(world.clone(), id(), stage.plan()).await.unwrap();
    let stuck = driver.run().await.unwrap();
    assert!(matches!(&stuck, RolloutState::Stuck { why, .. } if why.contains("out of memory")), "{stuck}");
    let observed = stage.router.observe(&stage.plan().route).await.unwrap();
    assert_eq!(observed.traffic.weight(Slot::Candidate), Weight::FULL);

    let order = order(&stage, Target::LastGood).await;
    assert_eq!((&order.from, &order.to), (&stage.candidate, &stage.stable));
    let end = Rollback::open(world, "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
}

fn id_2() -> tidegate_canary::RolloutId {
    format!("{}-2", id()).parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_order_that_makes_no_sense_changes_nothing() {
    let stage = promoted(GOOD).await;
    let good = order(&stage, Target::LastGood).await;
    let refused = async |change: &dyn Fn(&mut Order)| {
        let mut order = good.clone();
        change(&mut order);
        Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap_err().to_string()
    };
    let other = Digest::of("something else");
    assert!(refused(&|order| order.to.digest = other).await.contains("not sha256:"));
    assert!(refused(&|order| order.to = order.from.clone()).await.contains("name another target"));
    assert!(refused(&|order| order.drain = Duration::MAX).await.contains("longer than a year"));
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    assert_eq!(journal.holder(), None);
    assert_serving(&stage, &stage.candidate).await;
}

async fn quarantines(stage: &Stage) -> Vec<Digest> {
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.quarantines(stage.stable.model.name()).await.unwrap().into_keys().collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_refused_by_plans_and_promotions_until_a_person_lifts_that() {
    let stage = promoted(GOOD).await;
    let order = thorough(&stage).await;
    let end =
        Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    assert_eq!(end.to_string(), "done, and was seen to help");
    let promote = async || {
        let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
        let (to, production) = (&stage.candidate.model, Channel::production());
        stage.channels().promote(to, &production, &Expect::Any, Cause::Promote, stamp).await
    };
    assert!(promote().await.unwrap_err().to_string().contains("in quarantine: it is slow"));
    let again = async |id: &str| {
        let (driver, _handle) = Driver::open(stage.world(), id.parse().unwrap(), stage.plan()).await.unwrap();
        driver.run().await.unwrap()
    };
    let refused = again("ci-1").await;
    assert!(refused.to_string().contains("its content is in quarantine: it is slow"), "{refused}");
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.lift(&stage.candidate.model, "it was the network", stamp).await.unwrap();
    assert_eq!(again("ci-2").await, RolloutState::Promoted);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_not_well_either_is_for_a_person() {
    let stage = promoted(Requests { stable_errors: 600, candidate_errors: 600 }).await;
    let order = thorough(&stage).await;
    let end =
        Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    let State::Stuck { why, remedy, .. } = &end else { panic!("{end}") };
    assert!(why.starts_with("errors"), "{why}");
    assert!(remedy.contains("perhaps it was not the version"), "{remedy}");
    // It stays there: a third version is nobody's decision but a person's.
    assert_serving(&stage, &stage.stable).await;
}

#[tokio::test(start_paused = true)]
async fn where_there_is_nothing_to_see_it_says_so() {
    let stage = promoted(GOOD).await;
    let mut order = thorough(&stage).await;
    order.recovery.as_mut().unwrap().criteria[0].metric = "unknown".into();
    let end =
        Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    assert!(matches!(end, State::Done { helped: Helped::Unproven, .. }), "{end}");
}

#[tokio::test(start_paused = true)]
async fn what_would_not_be_made_to_run_is_passed_over_when_it_is_chosen() {
    let stage = promoted(GOOD).await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    stage.channels().promote(&next.model, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let world = World { deployer: Arc::new(InMemoryDeployer::serving(next)), ..stage.world() };
    let choose = async |world: &World, target: Target| {
        let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
        Order::choose(world, Intent::new(route, name, "it is slow").to(target)).await
    };
    let deployer = InMemoryDeployer::default();
    deployer.refuse(stage.candidate.clone(), "exceeded quota");
    let refusing = World { deployer: Arc::new(deployer.clone()), ..world.clone() };
    let (order, choice) = choose(&refusing, Target::LastGood).await.unwrap();
    assert_eq!((&order.to, order.choice.as_ref()), (&stage.stable, Some(&choice)));
    let why = Unfit::Refused { why: "the deployer in memory refused: exceeded quota".to_owned() };
    assert_eq!(choice.passed_over[1], (stage.candidate.model.clone(), PassedOver::Unfit(why.clone())));
    for target in [Target::Exactly(stage.candidate.model.clone()), Target::Back(1.try_into().unwrap())] {
        let refused = choose(&refusing, target).await.unwrap_err();
        assert!(
            matches!(&refused, Error::NoTarget(NoTarget::Unfit { why: PassedOver::Unfit(said), .. }) if *said == why),
            "{refused}"
        );
    }
    // One that does not answer, or not now, has nothing against it.
    for fault in [Fault::Before, Fault::Slow(Duration::from_secs(3600))] {
        let silent = Flaky::new(deployer.clone(), 7).with_share(fault, 1.0);
        let silent = World { deployer: Arc::new(silent), ..world.clone() };
        let began = stage.clock.now();
        let (order, _) = choose(&silent, Target::LastGood).await.unwrap();
        assert_eq!(order.to, stage.candidate, "{fault:?}");
        assert!(stage.clock.now() < began + Duration::from_secs(6), "{fault:?}");
    }
    // What answers requests already need not be made to run.
    let there = InMemoryDeployer::serving(stage.candidate.clone());
    there.refuse(stage.candidate.clone(), "exceeded quota");
    let there = World { deployer: Arc::new(there), ..world };
    assert_eq!(choose(&there, Target::LastGood).await.unwrap().0.to, stage.candidate);
}

#[tokio::test(start_paused = true)]
async fn the_same_order_is_the_same_whatever_was_known_when_it_was_chosen() {
    let stage = promoted(GOOD).await;
    let first = order(&stage, Target::LastGood).await;
    let id = || "inc-1".parse().unwrap();
    drop(Rollback::open(stage.world(), id(), first.clone()).await.unwrap());
    let again = Order { choice: None, ..first.clone() };
    let rollback = Rollback::open(stage.world(), id(), again).await.unwrap();
    assert_eq!(rollback.undo().order(), &first, "what was known then stays");
    let other = Order { by: Some("ada".to_owned()), ..first };
    assert!(matches!(Rollback::open(stage.world(), id(), other).await, Err(Error::OrderChanged { .. })));
}
