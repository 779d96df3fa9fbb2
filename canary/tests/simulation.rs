//! Rollouts in a world where everything fails now and then, people ask for things at odd moments, and drivers are
//! killed or run twice. Each is a function of its seed: `TIDEGATE_SEED=7 cargo test -p tidegate-canary --test
//! simulation` repeats one.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]
#![expect(clippy::disallowed_methods, reason = "the seed comes from the environment")]

mod chaos;
mod stage;

use std::{sync::Arc, time::Duration};

use chaos::{FlakyLog, Watched, raise};
use stage::{OFTEN, Requests, Split, Stage, id};
use tidegate_canary::{
    Calendar, Deployer, Driver, Error, Finish, Gate, Handle, OnDrift, Plan, Readiness, Record, Request,
    Rollout, RouteJournal, Slot, State, Step, Traffic, TrafficRouter, Weight, World,
    testkit::{Fault, Flaky},
};
use tokio::task::JoinHandle;

/// So many rollouts in a quick run; each takes some tens of milliseconds.
const SEEDS: u64 = 120;

fn plan(stage: &Stage, chance: &mut fastrand::Rng) -> Plan {
    let mut spec = stage.spec();
    let share = |percent| Weight::percent(percent).unwrap();
    spec.baseline = chance.bool();
    spec.on_drift = [OnDrift::Abort, OnDrift::Pause, OnDrift::Reassert][chance.usize(..3)];
    if chance.u8(..3) == 0 {
        spec.steps.insert(0, Step { mirror: share(20), min_trials: 10, ..Step::default() });
    }
    if chance.u8(..3) == 0 {
        spec.steps[0].gates = vec![Gate::Approval];
    }
    if chance.u8(..4) == 0 {
        spec.steps.retain(|step| step.weight < Weight::FULL);
        spec.finish = Finish::Compare;
    }
    if chance.u8(..4) == 0 {
        let from = stage.clock.now() + Duration::from_secs(chance.u64(..1_200));
        let within = from + Duration::from_secs(chance.u64(..1_800));
        spec.freeze = [(from, 1_800), (within, 900)]
            .map(|(from, lasts)| Calendar::once(from, from + Duration::from_secs(lasts)).unwrap())
            .into();
    }
    spec.build().unwrap()
}

fn request(stage: &Stage, plan: &Plan, chance: &mut fastrand::Rng) -> Request {
    let (by, reason) = (|| "ada".to_owned(), || "because".to_owned());
    match chance.u8(..16) {
        0 => Request::Abort { by: by(), reason: reason() },
        1 => Request::Promote { by: by(), reason: reason() },
        2 => Request::Reject { by: by(), reason: reason() },
        3 => Request::Replace { by: by(), plan: Box::new(plan.clone()) },
        4 | 5 => Request::Skip { by: by(), reason: reason() },
        6 | 7 => Request::Hold { by: by() },
        8 | 9 => Request::Override { by: by(), reason: reason() },
        10..=12 => Request::Approve { by: by(), digest: stage.candidate.digest },
        _ => Request::Resume { by: by() },
    }
}

/// One rollout from its seed to its end.
async fn simulate(seed: u64) -> State {
    let mut chance = fastrand::Rng::with_seed(seed);
    let candidate_errors = if chance.bool() { 15 } else { 60 };
    let stage = Stage::new(Requests { stable_errors: 15, candidate_errors }).await;
    let plan = plan(&stage, &mut chance);
    let watched = Watched::new(&stage.router, &stage.deployer, &plan.route);
    let requests = Split { requests: stage.requests, router: stage.router.clone() };
    let world = World {
        router: Arc::new(watched.faulty(seed)),
        deployer: Arc::new(watched.faulty(seed ^ 1)),
        metrics: Arc::new(Flaky::new(requests, seed ^ 2).with_share(Fault::Before, 0.1)),
        log: Arc::new(FlakyLog::new(&stage.store, seed ^ 3, 40).sparing(|key| key.kind() == "model")),
        ..stage.world()
    };
    let mut drivers = Vec::new();
    for _ in 0..4_000 {
        let (over, running): (Vec<Driving>, _) =
            drivers.into_iter().partition(|(running, _): &Driving| running.is_finished());
        drivers = running;
        raise(over.into_iter().map(|(driver, _)| driver)).await;
        let rollout = current(&stage).await;
        if let Some(rollout) = &rollout
            && rollout.state().is_end()
        {
            break;
        }
        // Somebody always drives in the end, now and then two do, and now and then one is killed.
        match chance.u8(..10) {
            0 if !drivers.is_empty() => {
                let (running, _) = &drivers[chance.usize(..drivers.len())];
                running.abort();
            }
            fate if drivers.is_empty() || fate == 1 => {
                // After another plan took its place, the rollout is that one.
                let plan = rollout.as_ref().map_or_else(|| plan.clone(), |rollout| rollout.plan().clone());
                if let Ok((driver, handle)) = Driver::open(world.clone(), id(), plan).await {
                    // From a snapshot or from the start.
                    assert_eq!(Some(driver.rollout()), current(&stage).await.as_ref());
                    drivers.push((tokio::spawn(driver.snapshot_every(OFTEN).run()), handle));
                }
            }
            _ => {}
        }
        if let Some((_, handle)) = drivers.first()
            && (chance.u8(..6) == 0 || rollout.is_some_and(|rollout| rollout.awaits_person()))
        {
            // Whatever makes no sense now is answered, and changes nothing.
            let (request, elsewhere) = (request(&stage, &plan, &mut chance), chance.bool());
            let asked = async {
                if elsewhere {
                    let mut journal = RouteJournal::open(Arc::clone(&world.log), &plan.route).await?;
                    // By another clock.
                    let at = stage.clock.now() - Duration::from_secs(chance.u64(..20));
                    journal.ask(request, at).await
                } else {
                    handle.ask(request).await
                }
            };
            let _answer = tokio::time::timeout(Duration::from_secs(60), asked).await;
        }
        tokio::time::sleep(Duration::from_secs(chance.u64(1..90))).await;
    }
    drivers.iter().for_each(|(running, _)| running.abort());
    raise(drivers.into_iter().map(|(driver, _)| driver)).await;
    let rollout = current(&stage).await.expect("somebody opened it");
    assert!(rollout.state().is_end(), "it does not end, {}", rollout.state());
    check(&stage, &rollout).await;
    rollout.state().clone()
}

type Driving = (JoinHandle<Result<State, Error>>, Handle);

async fn current(stage: &Stage) -> Option<Rollout> {
    let route = stage.plan().route.clone();
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    journal.latest().map(|(_, rollout)| rollout.clone())
}

/// What must hold at the end, whichever it is.
async fn check(stage: &Stage, rollout: &Rollout) {
    let promotions = stage.moves().await.iter().filter(|moved| moved.to == stage.candidate.model).count();
    let traffic = stage.router.observe(&rollout.plan().route).await.unwrap().traffic;
    let running = |slot| {
        let deployer = stage.deployer.clone();
        async move { deployer.status(slot).await.unwrap() }
    };
    assert_eq!(promotions, usize::from(rollout.promotion_is_recorded()), "{}", rollout.state());
    match rollout.state() {
        State::Promoted | State::Unsettled { .. } => {
            assert_eq!(promotions, 1);
            assert_eq!(traffic, Traffic::stable());
            assert_eq!(running(Slot::Stable).await.ready(), Some(&stage.candidate));
        }
        State::RolledBack { .. } | State::Compared { .. } => {
            assert_eq!(promotions, 0);
            assert_eq!(traffic, Traffic::stable());
            assert_eq!(running(Slot::Stable).await.ready(), Some(&stage.stable));
            assert_eq!(running(Slot::Candidate).await, Readiness::Absent);
            assert_eq!(running(Slot::Baseline).await, Readiness::Absent);
        }
        State::Stuck { remedy, .. } => assert!(!remedy.is_empty()),
        end => panic!("{end}"),
    }
    // The journal says it all: replaying it gives what is there.
    let route = rollout.plan().route.clone();
    let journal = RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let mut replayed = None::<Rollout>;
    for entry in journal.entries() {
        match &entry.record {
            Record::Open { plan, .. } => replayed = Some(Rollout::new((**plan).clone())),
            Record::Happen(event) => replayed.as_mut().unwrap().apply(event, entry.at).unwrap(),
            _ => {}
        }
    }
    assert_eq!(replayed.as_ref(), Some(rollout));
}

#[test]
fn whatever_happens_it_ends_as_it_says() {
    let ends = chaos::ends(SEEDS, simulate);
    let tally = chaos::tally(&ends, |end| match end {
        State::Promoted => "promoted",
        State::RolledBack { .. } => "rolled back",
        State::Compared { .. } => "compared",
        State::Unsettled { .. } => "unsettled",
        State::Stuck { .. } => "stuck",
        _ => "other",
    });
    if ends.len() as u64 == SEEDS {
        assert!(tally["promoted"] > 10 && tally["rolled back"] > 10 && tally["compared"] > 2, "{tally:?}");
        assert!(tally.get("stuck").copied().unwrap_or_default() < 12, "{tally:?}");
    }
}
