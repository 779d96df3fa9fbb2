//! What lets a rollout go on, through the driver: checks asked by name, times of the calendar, freezes.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod stage;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use stage::{Requests, Stage, id};
use tidegate_canary::{
    Answer, BoxError, Calendar, Cause, Driver, Error, Event, Gate, Gatekeeper, Gatekeepers, OnDrift, Pause,
    Plan, Question, Readiness, Record, Request, RouteJournal, Slot, State, Traffic, TrafficRouter, Weight,
    World,
};
use tidegate_registry::{Lifecycle, Stamp};

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };

/// Gives its answers one after the other, and then the last one for ever.
#[derive(Debug, Default)]
struct Scripted {
    answers: Vec<Result<Answer, &'static str>>,
    asked: AtomicUsize,
    takes: Duration,
    keys: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Gatekeeper for Scripted {
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        self.keys.lock().unwrap().insert(question.key());
        let n = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        tokio::time::sleep(self.takes).await;
        self.answers[n].clone().map_err(Into::into)
    }
}

fn gated(stage: &Stage, gates: Vec<Gate>) -> Plan {
    let mut spec = stage.spec();
    spec.steps[0].gates = gates;
    spec.build().unwrap()
}

fn with(stage: &Stage, keeper: &Arc<Scripted>) -> World {
    let gates = Gatekeepers::from([("smoke".to_owned(), Arc::clone(keeper) as Arc<dyn Gatekeeper>)]);
    World { gates, ..stage.world() }
}

fn smoke() -> Vec<Gate> {
    vec![Gate::Check("smoke".to_owned())]
}

async fn pauses(stage: &Stage) -> BTreeSet<Pause> {
    let route = stage.plan().route.clone();
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    journal.latest().unwrap().1.pauses().clone()
}

#[tokio::test(start_paused = true)]
async fn a_check_is_asked_until_it_opens() {
    let stage = Stage::new(GOOD).await;
    let answers = vec![Err("503"), Ok(Answer::NotYet), Ok(Answer::NotYet), Ok(Answer::Open)];
    let keeper = Arc::new(Scripted { answers, ..Scripted::default() });
    let (driver, _handle) = Driver::open(with(&stage, &keeper), id(), gated(&stage, smoke())).await.unwrap();
    assert_eq!(driver.run().await.unwrap(), State::Promoted);
    assert_eq!(keeper.asked.load(Ordering::SeqCst), 4);
    assert_eq!(keeper.keys.lock().unwrap().len(), 1, "it is one question");
    assert!(stage.path().await.contains(&"opened"));
}

/// Windows are observed meanwhile, and do not make it ask anew.
#[tokio::test(start_paused = true)]
async fn a_check_that_takes_longer_than_windows_is_asked_once() {
    let stage = Stage::new(GOOD).await;
    let takes = Duration::from_secs(4 * 60);
    let keeper = Arc::new(Scripted { answers: vec![Ok(Answer::Open)], takes, ..Scripted::default() });
    let (driver, _handle) = Driver::open(with(&stage, &keeper), id(), gated(&stage, smoke())).await.unwrap();
    assert_eq!(driver.run().await.unwrap(), State::Promoted);
    assert_eq!(keeper.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_says_no_sends_everything_back() {
    let stage = Stage::new(GOOD).await;
    let answers = vec![Ok(Answer::Shut { reason: "it answers 500".to_owned() })];
    let keeper = Arc::new(Scripted { answers, ..Scripted::default() });
    let (driver, _handle) = Driver::open(with(&stage, &keeper), id(), gated(&stage, smoke())).await.unwrap();
    let end = driver.run().await.unwrap();
    let State::RolledBack { cause: Cause::Rejected { by, reason } } = &end else { panic!("{end}") };
    assert_eq!((by.as_str(), reason.as_str()), ("smoke", "it answers 500"));
    let observed = stage.router.observe(&stage.plan().route).await.unwrap();
    assert_eq!(observed.traffic, Traffic::stable());
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_nobody_keeps_is_said_before_anything_moves() {
    let stage = Stage::new(GOOD).await;
    let (driver, _handle) = Driver::open(stage.world(), id(), gated(&stage, smoke())).await.unwrap();
    let end = driver.run().await.unwrap();
    assert!(end.to_string().contains("a gate `smoke`, but nobody keeps one"), "{end}");
    let status = tidegate_canary::Deployer::status(&stage.deployer, Slot::Candidate).await;
    assert_eq!(status.unwrap(), Readiness::Absent);
}

#[tokio::test(start_paused = true)]
async fn a_window_opens_when_its_time_comes() {
    let stage = Stage::new(GOOD).await;
    let opens = stage.clock.now() + Duration::from_secs(4 * 3600);
    let window = Calendar::once(opens, opens + Duration::from_secs(3600)).unwrap();
    let plan = gated(&stage, vec![Gate::Window(window)]);
    let (driver, _handle) = Driver::open(stage.world(), id(), plan).await.unwrap();
    assert_eq!(driver.run().await.unwrap(), State::Promoted);
    assert!(stage.clock.now() > opens);
    let route = stage.plan().route.clone();
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let opened =
        journal.entries().iter().find(|entry| matches!(&entry.record, Record::Happen(Event::Opened { .. })));
    assert_eq!(opened.unwrap().at, opens);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_stops_what_would_begin_and_ends_by_itself() {
    let stage = Stage::new(GOOD).await;
    let start = stage.clock.now();
    let hours = |hours: u64| start + Duration::from_secs(hours * 3600);
    let mut spec = stage.spec();
    // One is on already, the other begins while the first step is being judged.
    spec.freeze = vec![
        Calendar::once(hours(0), hours(2)).unwrap(),
        Calendar::once(hours(2) + Duration::from_secs(60), hours(5)).unwrap(),
    ];
    let plan = spec.build().unwrap();
    let (driver, _handle) = Driver::open(stage.world(), id(), plan).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.path().await, ["frozen"]);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(pauses(&stage).await, [Pause::Frozen].into());
    let weight = stage.router.observe(&stage.plan().route).await.unwrap().traffic.weight(Slot::Candidate);
    assert_eq!(
        weight,
        Weight::percent(10).unwrap(),
        "the step goes on being judged, and the next does not begin"
    );
    assert_eq!(running.await.unwrap().unwrap(), State::Promoted);
    assert!(stage.clock.now() > hours(5));
    let path = stage.path().await;
    assert_eq!(path.iter().filter(|event| **event == "frozen").count(), 2);
    assert_eq!(path.iter().filter(|event| **event == "thawed").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_never_stops_a_return_and_can_be_overridden() {
    let stage = Stage::new(GOOD).await;
    let start = stage.clock.now();
    let mut spec = stage.spec();
    spec.freeze = vec![Calendar::once(start, start + Duration::from_secs(24 * 3600)).unwrap()];
    let (driver, handle) = Driver::open(stage.world(), id(), spec.build().unwrap()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let by = || "ada".to_owned();
    let illegal = handle.ask(Request::Resume { by: by() }).await;
    assert!(matches!(illegal, Err(Error::Illegal(_))), "{illegal:?}");
    handle.ask(Request::Override { by: by(), reason: "incident 7".to_owned() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(pauses(&stage).await.is_empty());
    handle.ask(Request::Abort { by: by(), reason: "enough".to_owned() }).await.unwrap();
    let end = running.await.unwrap().unwrap();
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    assert!(stage.clock.now() < start + Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn drift_that_is_left_to_a_person_is_not_touched_until_they_resume() {
    let stage = Stage::new(GOOD).await;
    let mut spec = stage.spec();
    spec.on_drift = OnDrift::Pause;
    let (driver, handle) = Driver::open(stage.world(), id(), spec.build().unwrap()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    let route = stage.plan().route.clone();
    let fence = stage.router.observe(&route).await.unwrap().fence.unwrap();
    let theirs = Traffic::split(Weight::percent(3).unwrap());
    stage.router.apply(&route, &theirs, fence).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(pauses(&stage).await, [Pause::Drifted].into());
    assert_eq!(stage.router.observe(&route).await.unwrap().traffic, theirs);
    handle.ask(Request::Resume { by: "ada".to_owned() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let observed = stage.router.observe(&route).await.unwrap().traffic;
    assert_eq!(observed.weight(Slot::Candidate), Weight::percent(10).unwrap());
    assert_eq!(running.await.unwrap().unwrap(), State::Promoted);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_put_into_quarantine_meanwhile_returns_before_stable_is_replaced() {
    let stage = Stage::new(GOOD).await;
    let (driver, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    Lifecycle::new(Arc::new(stage.store.clone()))
        .quarantine(&stage.candidate.model, "a backdoor", stamp)
        .await
        .unwrap();
    let end = running.await.unwrap().unwrap();
    assert!(end.to_string().contains("its content is in quarantine: a backdoor"), "{end}");
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    let path = stage.path().await;
    assert!(path.contains(&"barred") && !path.contains(&"recorded"), "{path:?}");
    let stable = tidegate_canary::Deployer::status(&stage.deployer, Slot::Stable).await.unwrap();
    assert_eq!(stable.ready(), Some(&stage.stable));
    assert_eq!(stage.router.observe(&stage.plan().route).await.unwrap().traffic, Traffic::stable());
}

#[tokio::test(start_paused = true)]
async fn overriding_one_freeze_does_not_override_the_next() {
    let stage = Stage::new(GOOD).await;
    let hours = |hours: u64| stage.clock.now() + Duration::from_secs(hours * 3600);
    let mut spec = stage.spec();
    // They overlap: the second begins before the first, which is overridden, has ended.
    spec.freeze =
        vec![Calendar::once(hours(0), hours(24)).unwrap(), Calendar::once(hours(1), hours(20)).unwrap()];
    let done_after = hours(20);
    spec.timing.warm_up = Duration::from_secs(2 * 3600);
    let (driver, handle) = Driver::open(stage.world(), id(), spec.build().unwrap()).await.unwrap();
    let running = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    handle.ask(Request::Override { by: "ada".to_owned(), reason: "incident 7".to_owned() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(pauses(&stage).await.is_empty());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(pauses(&stage).await, [Pause::Frozen].into());
    assert_eq!(running.await.unwrap().unwrap(), State::Promoted);
    assert!(stage.clock.now() > done_after);
}
