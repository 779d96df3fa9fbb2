//! A driver may be killed anywhere: the path, the end and the promotion are the same.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod stage;

use std::{sync::Arc, time::Duration};

use stage::{Killed, OFTEN, Requests, Stage, id};
use tidegate_canary::{
    Cause, Deployer, Driver, Error, Event, Fence, Pause, Readiness, Record, Request, RouteJournal, Slot,
    State, Traffic, TrafficRouter, Weight, Workload,
};
use tidegate_registry::{Channel, Expect, Stamp};

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };
const BAD: Requests = Requests { stable_errors: 2, candidate_errors: 40 };

#[tokio::test(start_paused = true)]
async fn a_good_candidate_is_promoted_and_settled() {
    let stage = Stage::new(GOOD).await;
    assert_eq!(stage.run().await.unwrap(), State::Promoted);
    let moves = stage.moves().await;
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[1].to, stage.candidate.model);
    assert!(moves[1].settled.is_some());
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.candidate));
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    let observed = stage.router.observe(&stage.plan().route).await.unwrap();
    assert_eq!(observed.traffic, Traffic::stable());
}

#[tokio::test(start_paused = true)]
async fn a_bad_candidate_is_taken_back_and_the_channel_never_moves() {
    let stage = Stage::new(BAD).await;
    let end = stage.run().await.unwrap();
    let State::RolledBack { cause: Cause::Failed { judgements } } = end else { panic!("{end}") };
    assert!(judgements[0].starts_with("errors"), "{judgements:?}");
    assert_eq!(stage.moves().await.len(), 1);
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.stable));
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    let observed = stage.router.observe(&stage.plan().route).await.unwrap();
    assert_eq!(observed.traffic, Traffic::stable());
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_journal_write_it_goes_the_same_way() {
    for requests in [GOOD, BAD] {
        let undisturbed = Stage::new(requests).await;
        let end = undisturbed.run().await.unwrap();
        let path = undisturbed.path().await;
        assert!(path.len() >= 8, "{path:?}");
        // The first append opens the rollout; the path has one append for each event after it.
        for nth in 0..=path.len() {
            for after in [false, true] {
                let stage = Stage::new(requests).await;
                let log = Killed { inner: stage.store.clone(), nth, after, count: 0.into() };
                let killed = async {
                    let world = stage.world_on(Arc::new(log));
                    let (driver, _handle) = Driver::open(world, id(), stage.plan()).await?;
                    driver.snapshot_every(OFTEN).run().await
                };
                assert!(matches!(killed.await, Err(Error::Journal(_))), "write {nth} was not the last");
                assert_eq!(stage.run().await.unwrap(), end, "killed at write {nth}, after: {after}");
                assert_eq!(stage.path().await, path, "killed at write {nth}, after: {after}");
                assert_eq!(stage.moves().await.len(), undisturbed.moves().await.len());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_opens_it_last_drives_it() {
    let stage = Stage::new(GOOD).await;
    let (first, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let (second, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    assert!(matches!(first.run().await, Err(Error::Superseded)));
    assert!(stage.path().await.is_empty(), "the first driver acted");
    assert_eq!(second.run().await.unwrap(), State::Promoted);
}

#[tokio::test(start_paused = true)]
async fn a_late_hand_is_fenced_off() {
    let stage = Stage::new(GOOD).await;
    let (first, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let old = Fence::new(tidegate_registry::Seq::FIRST);
    drop(first);
    stage.run().await.unwrap();
    let late = Traffic::split(Weight::FULL);
    assert!(stage.router.apply(&stage.plan().route, &late, old).await.is_err());
    let stable = Workload { slot: Slot::Stable, release: stage.stable.clone(), share: Weight::FULL };
    assert!(stage.deployer.ensure(&stable, old).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn opening_it_again_after_its_end_changes_nothing() {
    let stage = Stage::new(GOOD).await;
    stage.run().await.unwrap();
    let before = RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    assert_eq!(stage.run().await.unwrap(), State::Promoted);
    let after = RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    assert_eq!(before.entries(), after.entries());
}

#[tokio::test(start_paused = true)]
async fn one_rollout_at_a_time_and_one_plan_an_id() {
    let stage = Stage::new(GOOD).await;
    let (_driver, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let other = Driver::open(stage.world(), "ci-8842".parse().unwrap(), stage.plan()).await;
    assert!(matches!(other, Err(Error::Busy { id }) if id == stage::id()));
    let mut spec = stage.spec();
    spec.timing.drain += Duration::from_secs(1);
    let changed = Driver::open(stage.world(), id(), spec.build().unwrap()).await;
    assert!(matches!(changed, Err(Error::PlanChanged { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_does_not_fit_the_world_moves_nothing() {
    let stage = Stage::new(GOOD).await;
    let stamp = Stamp { by: "bob".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    let (to, cause) = (&stage.candidate.model, tidegate_registry::Cause::Promote);
    stage.channels().promote(to, &production, &Expect::Any, cause, stamp).await.unwrap();
    let end = stage.run().await.unwrap();
    assert!(end.to_string().contains("plan again from there"), "{end}");
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    assert_eq!(stage.router.observe(&stage.plan().route).await.unwrap().fence, None);
}

#[tokio::test(start_paused = true)]
async fn a_person_can_hold_and_resume_and_abort() {
    let stage = Stage::new(GOOD).await;
    let (driver, handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let by = || "ada".to_owned();
    handle.ask(Request::Hold { by: by() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap();
    let (_, rollout) = journal.latest().unwrap();
    assert!(matches!(rollout.state(), State::Analyse { step: 0, .. }), "{}", rollout.state());
    assert!(rollout.pauses().contains(&Pause::Held));
    let illegal = handle.ask(Request::Approve { by: by(), digest: stage.candidate.digest }).await;
    assert!(matches!(illegal, Err(Error::Illegal(_))), "{illegal:?}");
    handle.ask(Request::Resume { by: by() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    handle.ask(Request::Abort { by: by(), reason: "lunch".to_owned() }).await.unwrap();
    let end = running.await.unwrap().unwrap();
    assert!(
        matches!(&end, State::RolledBack { cause: Cause::Requested { reason, .. } } if reason == "lunch"),
        "{end}"
    );
    assert!(matches!(handle.ask(Request::Hold { by: by() }).await, Err(Error::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_nobody_attends_is_said_and_can_be_opened_later() {
    let stage = Stage::new(GOOD).await;
    let mut spec = tidegate_canary::PlanSpec::blue_green(
        stage.plan().route.clone(),
        stage.stable.clone(),
        stage.candidate.clone(),
    );
    spec.criteria = stage.spec().bake_criteria;
    spec.bake_criteria = spec.criteria.clone();
    let plan = spec.build().unwrap();
    let (driver, handle) = Driver::open(stage.world(), id(), plan.clone()).await.unwrap();
    drop(handle);
    assert!(matches!(driver.run().await, Err(Error::Unattended)));
    let (driver, handle) = Driver::open(stage.world(), id(), plan).await.unwrap();
    let running = tokio::spawn(driver.run());
    handle.ask(Request::Approve { by: "ada".to_owned(), digest: stage.candidate.digest }).await.unwrap();
    assert_eq!(running.await.unwrap().unwrap(), State::Promoted);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_drifts_is_mended_and_its_window_is_no_evidence() {
    let stage = Stage::new(GOOD).await;
    let (driver, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    let route = stage.plan().route.clone();
    let fence = stage.router.observe(&route).await.unwrap().fence.unwrap();
    stage.router.apply(&route, &Traffic::split(Weight::percent(90).unwrap()), fence).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let observed = stage.router.observe(&route).await.unwrap();
    assert_eq!(observed.traffic.weight(Slot::Candidate), Weight::percent(10).unwrap());
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let drifted = journal.entries().iter().filter(|entry| match &entry.record {
        Record::Happen(Event::Drifted { why }) => why.contains("changed the traffic to"),
        _ => false,
    });
    assert_eq!(drifted.count(), 1);
    assert_eq!(running.await.unwrap().unwrap(), State::Promoted);
}
