//! A drill does what a rollback would, but for moving traffic.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;

use std::{sync::Arc, time::Duration};

use stage::{Requests, Stage};
use tidegate_canary::{
    Deployer, Driver, Error as RolloutError, Readiness, Rehearsed, RouteJournal, Slot, State as RolloutState,
    Traffic, TrafficRouter, Weight, Workload, World,
    testkit::{Fault, Flaky},
};
use tidegate_rollback::{Error, Intent, Order, Rehearsal, Rollback, State, Step, drill};

const GOOD: Requests = Requests { stable_errors: 2, candidate_errors: 2 };

async fn promoted() -> (Stage, Order) {
    let stage = Stage::new(GOOD).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
    let (order, _) = Order::choose(&stage.world(), Intent::new(route, name, "a drill")).await.unwrap();
    (stage, order)
}

async fn rehearse(world: &World, order: &Order) -> Result<Rehearsal, Error> {
    drill(world, &"drill-1".parse().unwrap(), order.clone()).await
}

#[tokio::test(start_paused = true)]
async fn it_says_how_long_each_part_takes_and_leaves_everything_as_it_was() {
    let (stage, order) = promoted().await;
    let slow = Fault::Slow(Duration::from_secs(3));
    let world = World {
        deployer: Arc::new(Flaky::new(stage.deployer.clone(), 7).with_share(slow, 1.0)),
        ..stage.world()
    };
    let before = stage.router.observe(&order.route).await.unwrap().traffic;
    let rehearsal = rehearse(&world, &order).await.unwrap();
    assert!(rehearsal.succeeded(), "{rehearsal:?}");
    let steps: Vec<Step> = rehearsal.parts.iter().map(|part| part.step).collect();
    assert_eq!(steps, [Step::Verify, Step::Record, Step::Provision, Step::Route, Step::Remove]);
    // Ensuring and asking take 3 s each.
    assert_eq!(rehearsal.parts[2].took, Duration::from_secs(6));
    assert_eq!(rehearsal.until_traffic_is_back(), Some(Duration::from_secs(12)));
    assert_eq!(rehearsal.whole(), Some(Duration::from_secs(12 + 60 + 12 + 6)));
    assert_eq!(stage.router.observe(&order.route).await.unwrap().traffic, before);
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.candidate));
    assert_eq!(stage.moves().await.len(), 2);
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &order.route).await.unwrap();
    assert_eq!(journal.holder(), None);
    // And the estimate is one: a real rollback takes as long.
    let began = stage.clock.now();
    let end = Rollback::open(world, "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    assert!(matches!(end, State::Done { .. }));
    let took = stage.clock.now().duration_since(began).unwrap();
    let estimate = rehearsal.whole().unwrap();
    assert!(took.abs_diff(estimate) < Duration::from_secs(7), "{took:?}, not {estimate:?}");
}

/// All traffic is on the candidate's slot, as somebody has left it by hand.
#[tokio::test(start_paused = true)]
async fn what_carries_traffic_is_not_cleared_away() {
    let (stage, order) = promoted().await;
    let fence =
        RouteJournal::open(Arc::new(stage.store.clone()), &order.route).await.unwrap().fence().unwrap();
    let workload = Workload { slot: Slot::Candidate, release: stage.candidate.clone(), share: Weight::FULL };
    stage.deployer.ensure(&workload, fence).await.unwrap();
    let all = Traffic::split(Weight::FULL);
    stage.router.apply(&order.route, &all, fence).await.unwrap();
    let rehearsal = rehearse(&stage.world(), &order).await.unwrap();
    let last = rehearsal.parts.last().unwrap();
    assert_eq!(last.step, Step::Provision);
    assert!(last.failed.as_ref().unwrap().contains("is not at rest"), "{rehearsal:?}");
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap().ready(), Some(&stage.candidate));
    assert_eq!(stage.router.observe(&order.route).await.unwrap().traffic, all);
}

#[tokio::test(start_paused = true)]
async fn what_would_fail_is_said_and_what_was_begun_is_cleared_away() {
    let (stage, order) = promoted().await;
    let broken = World { deployer: Arc::new(Broken(stage.deployer.clone())), ..stage.world() };
    let rehearsal = rehearse(&broken, &order).await.unwrap();
    let last: Vec<_> = rehearsal.parts.iter().rev().take(2).collect();
    assert_eq!((last[1].step, last[0].step), (Step::Provision, Step::Remove));
    assert!(last[1].failed.as_ref().unwrap().contains("no image of that digest"), "{rehearsal:?}");
    assert_eq!(last[0].failed, None);
    assert_eq!((rehearsal.whole(), rehearsal.succeeded()), (None, false));
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
}

/// A deployer whose candidate never runs.
#[derive(Debug)]
struct Broken(tidegate_canary::InMemoryDeployer);

#[async_trait::async_trait]
impl Deployer for Broken {
    async fn ensure(
        &self,
        workload: &Workload,
        fence: tidegate_canary::Fence,
    ) -> Result<(), tidegate_canary::ActuatorError> {
        self.0.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, tidegate_canary::ActuatorError> {
        Ok(match self.0.status(slot).await? {
            Readiness::Ready { release } if slot == Slot::Candidate => {
                Readiness::Failed { release, why: "no image of that digest".to_owned() }
            }
            status => status,
        })
    }

    async fn remove(
        &self,
        slot: Slot,
        fence: tidegate_canary::Fence,
    ) -> Result<(), tidegate_canary::ActuatorError> {
        self.0.remove(slot, fence).await
    }
}

/// A deployer whose candidate starts for ever.
#[derive(Clone, Debug)]
struct Starting(tidegate_canary::InMemoryDeployer);

#[async_trait::async_trait]
impl Deployer for Starting {
    async fn ensure(
        &self,
        workload: &Workload,
        fence: tidegate_canary::Fence,
    ) -> Result<(), tidegate_canary::ActuatorError> {
        self.0.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, tidegate_canary::ActuatorError> {
        Ok(match self.0.status(slot).await? {
            Readiness::Ready { release } if slot == Slot::Candidate => Readiness::Starting { release },
            status => status,
        })
    }

    async fn remove(
        &self,
        slot: Slot,
        fence: tidegate_canary::Fence,
    ) -> Result<(), tidegate_canary::ActuatorError> {
        self.0.remove(slot, fence).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_incident_does_not_wait_for_a_drill() {
    let (stage, order) = promoted().await;
    let world = World { deployer: Arc::new(Starting(stage.deployer.clone())), ..stage.world() };
    let rehearsed = order.clone();
    let drilling = tokio::spawn(async move { rehearse(&world, &rehearsed).await });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!drilling.is_finished());
    let rollback = Rollback::open(stage.world(), "inc-1".parse().unwrap(), order).await.unwrap();
    let seized = stage.clock.now();
    let end = drilling.await.unwrap();
    assert!(matches!(end, Err(Error::Superseded)), "{end:?}");
    let took = stage.clock.now().duration_since(seized).unwrap();
    assert!(took <= Duration::from_secs(1), "{took:?}");
    // What it has begun is of use now, and is not taken away.
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap().ready(), Some(&stage.stable));
    let end = rollback.run().await.unwrap();
    assert!(matches!(end, State::Done { .. }), "{end}");
}

/// A deployer that has the stable slot only, and may not tell what it would take.
#[derive(Debug)]
struct InPlace {
    inner: tidegate_canary::InMemoryDeployer,
    tells: bool,
}

#[async_trait::async_trait]
impl Deployer for InPlace {
    fn in_place(&self) -> bool {
        true
    }

    async fn ensure(
        &self,
        workload: &Workload,
        fence: tidegate_canary::Fence,
    ) -> Result<(), tidegate_canary::ActuatorError> {
        assert_eq!(workload.slot, Slot::Stable);
        self.inner.ensure(workload, fence).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, tidegate_canary::ActuatorError> {
        assert_eq!(workload.slot, Slot::Stable);
        let answer = self.inner.rehearse(workload).await?;
        Ok(if self.tells { answer } else { Rehearsed::Unknown })
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, tidegate_canary::ActuatorError> {
        self.inner.status(slot).await
    }

    async fn remove(
        &self,
        slot: Slot,
        fence: tidegate_canary::Fence,
    ) -> Result<(), tidegate_canary::ActuatorError> {
        assert_eq!(slot, Slot::Candidate);
        self.inner.remove(slot, fence).await
    }
}

#[tokio::test(start_paused = true)]
async fn in_place_it_asks_what_it_may_not_do_and_says_which_is_which() {
    for tells in [true, false] {
        let (stage, order) = promoted().await;
        let in_place = InPlace { inner: stage.deployer.clone(), tells };
        let world = World { deployer: Arc::new(in_place), ..stage.world() };
        let rehearsal = rehearse(&world, &order).await.unwrap();
        assert!(rehearsal.succeeded(), "{rehearsal:?}");
        let steps: Vec<(Step, bool)> =
            rehearsal.parts.iter().map(|part| (part.step, part.untried.is_none())).collect();
        let expected = [
            (Step::Verify, true),
            (Step::Record, true),
            (Step::Rehearse, tells),
            (Step::Provision, false),
            (Step::Route, true),
        ];
        assert_eq!(steps, expected);
        assert_eq!((rehearsal.until_traffic_is_back(), rehearsal.whole()), (None, None));
        assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.candidate));
        // A real one leaves no slot behind, and waits for no requests to end there.
        let began = stage.clock.now();
        let rollback = Rollback::open(world, "inc-1".parse().unwrap(), order).await.unwrap();
        assert!(matches!(rollback.run().await.unwrap(), State::Done { .. }));
        assert_eq!(stage.clock.now(), began);
        assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.stable));
    }
    let (stage, order) = promoted().await;
    stage.deployer.refuse(stage.stable.clone(), "none of its revisions runs it any more");
    let in_place = InPlace { inner: stage.deployer.clone(), tells: true };
    let world = World { deployer: Arc::new(in_place), ..stage.world() };
    let rehearsal = rehearse(&world, &order).await.unwrap();
    let last = rehearsal.parts.last().unwrap();
    assert_eq!((last.step, rehearsal.succeeded()), (Step::Rehearse, false));
    assert!(last.failed.as_ref().unwrap().contains("none of its revisions"), "{rehearsal:?}");
}

#[tokio::test(start_paused = true)]
async fn it_never_gets_in_the_way_of_a_rollout() {
    let (stage, order) = promoted().await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    let id = || "ci-2".parse().unwrap();
    let (driver, _handle) = Driver::open(stage.world(), id(), spec.build().unwrap()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    let refused = rehearse(&stage.world(), &order).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Route(RolloutError::Busy { id: busy }) if *busy == id()),
        "{refused:?}"
    );
    assert_ne!(stage.router.observe(&order.route).await.unwrap().traffic, Traffic::stable());
    assert_eq!(running.await.unwrap().unwrap(), RolloutState::Promoted);
}
