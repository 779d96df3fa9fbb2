//! The way back, killed anywhere, from under a running rollout, and by a watch.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use stage::{Killed, Requests, Stage, id};
use tidegate_canary::{
    ActuatorError, Capabilities, Deployer, Driver, Error as RolloutError, Fence, InMemoryDeployer,
    InMemoryRouter, Observed, Readiness, Release, RouteId, RouteJournal, Slot, State as RolloutState,
    Traffic, TrafficRouter, Weight, Workload, World,
};
use tidegate_registry::{Cause, Channel, Expect, ModelRef, Stamp};
use tidegate_rollback::{Error, Guard, Guarded, Order, Outcome, Rollback, State, Target, Watch};

const GOOD: Requests = Requests { stable_errors: 2, candidate_errors: 2 };

/// `fraud@1.1.0` is promoted, serving and settled; `fraud@1.0.0` is the last known good.
async fn promoted(requests: Requests) -> Stage {
    let stage = Stage::new(GOOD).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    Stage { requests, ..stage }
}

async fn order(stage: &Stage, target: Target) -> Order {
    let route = stage.plan().route.clone();
    let name = stage.stable.model.name();
    let (order, _) = Order::choose(&stage.world(), route, name, Channel::production(), &target, "it is slow")
        .await
        .unwrap();
    order
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

#[tokio::test(start_paused = true)]
async fn killed_at_any_journal_write_it_arrives_once() {
    // Its open, its seizure of the route, nine events, and the release.
    for nth in 0..12 {
        for after in [false, true] {
            let stage = promoted(GOOD).await;
            let order = order(&stage, Target::LastGood).await;
            let log = Killed { inner: stage.store.clone(), nth, after, count: 0.into() };
            let killed = async {
                let world = stage.world_on(Arc::new(log));
                Rollback::open(world, "inc-1".parse().unwrap(), order.clone()).await?.run().await
            };
            let killed = killed.await;
            assert!(matches!(killed, Err(Error::Registry(_) | Error::Route(_))), "write {nth}: {killed:?}");
            let again = Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap();
            let end = again.run().await.unwrap();
            assert!(matches!(end, State::Done { .. }), "killed at write {nth}, after: {after}: {end}");
            assert_serving(&stage, &stage.stable).await;
            assert_eq!(stage.moves().await.len(), 3, "killed at write {nth}, after: {after}: one move back");
        }
    }
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
    let other = tidegate_registry::Digest::of("something else");
    assert!(refused(&|order| order.to.digest = other).await.contains("not sha256:"));
    assert!(refused(&|order| order.to = order.from.clone()).await.contains("name another target"));
    assert!(refused(&|order| order.drain = Duration::MAX).await.contains("longer than a year"));
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    assert_eq!(journal.holder(), None);
    assert_serving(&stage, &stage.candidate).await;
}

fn guard(stage: &Stage) -> Guard {
    let mut watch = Watch::new(stage.plan().route.clone(), stage.candidate.clone());
    // The synthetic requests know no latency and no availability.
    watch.criteria.truncate(1);
    Guard { watch, channel: Channel::production(), target: Target::LastGood, id: "guard-1".parse().unwrap() }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_breaks_its_limits_is_rolled_back() {
    let stage = promoted(Requests { stable_errors: 2, candidate_errors: 300 }).await;
    let deadline = stage.clock.now() + Duration::from_secs(900);
    let guarded = guard(&stage).run(stage.world(), deadline).await.unwrap();
    assert!(matches!(guarded, Guarded::RolledBack { end: State::Done { .. }, .. }), "{guarded:?}");
    assert!(stage.clock.now() < deadline);
    assert_serving(&stage, &stage.stable).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_keeps_its_limits_is_settled() {
    let stage = Stage::new(GOOD).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let (to, production) = (&stage.candidate.model, Channel::production());
    stage.channels().promote(to, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let guarded =
        guard(&stage).run(stage.world(), stage.clock.now() + Duration::from_secs(900)).await.unwrap();
    assert!(matches!(guarded, Guarded::Kept(Outcome::Good { .. })), "{guarded:?}");
    assert!(stage.moves().await.last().unwrap().settled.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_blind_watch_says_so_and_settles_nothing() {
    let stage = promoted(GOOD).await;
    let mut guard = guard(&stage);
    guard.watch.criteria[0].metric = "unknown".into();
    let before = stage.moves().await;
    let guarded = guard.run(stage.world(), stage.clock.now() + Duration::from_secs(900)).await.unwrap();
    assert!(matches!(guarded, Guarded::Kept(Outcome::Blind { .. })), "{guarded:?}");
    assert_eq!(stage.moves().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_could_see_nothing_is_refused() {
    let stage = Stage::new(GOOD).await;
    let watch = guard(&stage).watch;
    let refused =
        async |watch: Watch| watch.run(&stage.world(), stage.clock.now()).await.unwrap_err().to_string();
    assert!(refused(Watch { criteria: Vec::new(), ..watch.clone() }).await.contains("no criteria"));
    assert!(refused(Watch { window: Duration::ZERO, ..watch.clone() }).await.contains("window"));
    let compare = vec![tidegate_canary::metrics::Criterion::compare("errors".into())];
    assert!(refused(Watch { criteria: compare, ..watch }).await.contains("criteria[0]"));
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_was_killed_goes_on() {
    for nth in 0..12 {
        let stage = promoted(Requests { stable_errors: 2, candidate_errors: 300 }).await;
        let deadline = stage.clock.now() + Duration::from_secs(900);
        let log = Killed { inner: stage.store.clone(), nth, after: true, count: 0.into() };
        let killed = guard(&stage).run(stage.world_on(Arc::new(log)), deadline).await;
        assert!(killed.is_err(), "write {nth}: {killed:?}");
        let guarded = guard(&stage).run(stage.world(), deadline).await.unwrap();
        // Killed after the last event, there is nothing to go on with but to find that it was done.
        let done =
            matches!(guarded, Guarded::RolledBack { end: State::Done { .. }, .. } | Guarded::Moved { .. });
        assert!(done, "write {nth}: {guarded:?}");
        assert_serving(&stage, &stage.stable).await;
        assert_eq!(stage.moves().await.len(), 3, "write {nth}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_does_not_judge_what_followed() {
    let stage = promoted(Requests { stable_errors: 2, candidate_errors: 300 }).await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    stage.channels().promote(&next.model, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let guarded =
        guard(&stage).run(stage.world(), stage.clock.now() + Duration::from_secs(900)).await.unwrap();
    assert!(matches!(guarded, Guarded::Moved { to } if to == next.model));
}
