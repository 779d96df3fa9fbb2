//! Rollouts in a world where everything fails now and then, people ask for things at odd moments, and drivers are
//! killed or run twice. Each is a function of its seed: `TIDEGATE_SEED=7 cargo test -p tidegate-canary --test
//! simulation` repeats one.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]
#![expect(clippy::disallowed_methods, reason = "the seed comes from the environment")]

mod stage;

use std::{
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use stage::{Requests, Split, Stage, id};
use tidegate_canary::{
    ActuatorError, Calendar, Capabilities, Deployer, Driver, Error, Fence, Finish, Gate, InMemoryDeployer,
    InMemoryRouter, Observed, OnDrift, Plan, Readiness, Record, Request, Rollout, RouteId, RouteJournal,
    Slot, State, Step, Traffic, TrafficRouter, Weight, Workload, World,
    testkit::{Fault, Flaky},
};
use tidegate_registry::{self as registry, Log, LogKey, Seq, Snapshot};

/// So many rollouts in a quick run; each takes some tens of milliseconds.
const SEEDS: u64 = 120;

/// Everything that was really done to the world, in order, and what must never happen.
#[derive(Clone, Debug)]
struct Watched {
    router: InMemoryRouter,
    deployer: InMemoryDeployer,
    candidate: tidegate_canary::Release,
    route: RouteId,
    highest: Arc<Mutex<Option<Fence>>>,
}

impl Watched {
    /// What reached the world must have had the highest fence so far.
    fn in_order(&self, fence: Fence) {
        let mut highest = self.highest.lock().unwrap();
        assert!(highest.is_none_or(|highest| fence >= highest), "{fence} acted after {highest:?}");
        *highest = Some(fence);
    }
}

#[async_trait]
impl TrafficRouter for Watched {
    fn capabilities(&self) -> Capabilities {
        self.router.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.router.apply(route, traffic, fence).await?;
        self.in_order(fence);
        // I3: nothing is sent to a side where nothing is ready.
        for slot in traffic.slots() {
            let status = self.deployer.status(slot).await?;
            assert!(status.ready().is_some(), "{traffic} was applied while {slot} is {status:?}");
        }
        Ok(())
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.router.observe(route).await
    }
}

#[async_trait]
impl Deployer for Watched {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let before = self.deployer.status(workload.slot).await?;
        self.deployer.ensure(workload, fence).await?;
        self.in_order(fence);
        // What has traffic is not replaced under it.
        let traffic = self.router.observe(&self.route).await?.traffic;
        let replaced = before.ready().is_some_and(|running| *running != workload.release);
        let reached = traffic.slots().any(|slot| slot == workload.slot);
        assert!(
            !(replaced && reached),
            "{} was replaced in {} under {traffic}",
            self.candidate,
            workload.slot
        );
        Ok(())
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.deployer.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.deployer.remove(slot, fence).await?;
        self.in_order(fence);
        // I4: nothing is emptied that requests can still reach.
        let traffic = self.router.observe(&self.route).await?.traffic;
        assert!(!traffic.slots().any(|reached| reached == slot), "{slot} was emptied under {traffic}");
        Ok(())
    }
}

/// A log whose appends fail now and then, before or after they took effect.
#[derive(Debug)]
struct FlakyLog {
    inner: registry::InMemory,
    chance: Mutex<fastrand::Rng>,
}

#[async_trait]
impl Log for FlakyLog {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        let fate = if key.kind() == "model" { 9 } else { self.chance.lock().unwrap().u8(..40) };
        let unknown =
            || registry::Error::CommitUnknown { key: key.clone(), seq, source: "by schedule".into() };
        match fate {
            0 => Err(unknown()),
            1 => {
                self.inner.append(key, seq, record).await?;
                Err(unknown())
            }
            _ => self.inner.append(key, seq, record).await,
        }
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
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
        spec.freeze = vec![Calendar::once(from, from + Duration::from_secs(1_800)).unwrap()];
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
    let watched = Watched {
        router: stage.router.clone(),
        deployer: stage.deployer.clone(),
        candidate: stage.candidate.clone(),
        route: plan.route.clone(),
        highest: Arc::default(),
    };
    let faulty = |seed| {
        Flaky::new(watched.clone(), seed)
            .with_share(Fault::Before, 0.05)
            .with_share(Fault::After, 0.05)
            .with_share(Fault::Slow(Duration::from_secs(7)), 0.05)
    };
    let requests = Split { requests: stage.requests, router: stage.router.clone() };
    let world = World {
        router: Arc::new(faulty(seed)),
        deployer: Arc::new(faulty(seed ^ 1)),
        metrics: Arc::new(Flaky::new(requests, seed ^ 2).with_share(Fault::Before, 0.1)),
        log: Arc::new(FlakyLog {
            inner: stage.store.clone(),
            chance: Mutex::new(fastrand::Rng::with_seed(seed ^ 3)),
        }),
        ..stage.world()
    };
    let mut drivers = Vec::new();
    for _ in 0..4_000 {
        drivers.retain(|(running, _): &(tokio::task::JoinHandle<Result<State, Error>>, _)| {
            !running.is_finished()
        });
        let rollout = current(&stage).await;
        if let Some(rollout) = &rollout
            && rollout.state().is_end()
        {
            break;
        }
        // Somebody always drives in the end, now and then two do, and now and then one is killed.
        match chance.u8(..10) {
            0 if !drivers.is_empty() => {
                let (running, _) = drivers.swap_remove(chance.usize(..drivers.len()));
                running.abort();
            }
            fate if drivers.is_empty() || fate == 1 => {
                // After another plan took its place, the rollout is that one.
                let plan = rollout.as_ref().map_or_else(|| plan.clone(), |rollout| rollout.plan().clone());
                if let Ok((driver, handle)) = Driver::open(world.clone(), id(), plan).await {
                    drivers.push((tokio::spawn(driver.run()), handle));
                }
            }
            _ => {}
        }
        if let Some((_, handle)) = drivers.first()
            && (chance.u8(..6) == 0 || rollout.is_some_and(|rollout| rollout.awaits_person()))
        {
            // Whatever makes no sense now is answered, and changes nothing.
            let _answer = tokio::time::timeout(
                Duration::from_secs(60),
                handle.ask(request(&stage, &plan, &mut chance)),
            )
            .await;
        }
        tokio::time::sleep(Duration::from_secs(chance.u64(1..90))).await;
    }
    for (running, _) in drivers {
        running.abort();
    }
    let rollout = current(&stage).await.expect("somebody opened it");
    assert!(rollout.state().is_end(), "it does not end, {}", rollout.state());
    check(&stage, &rollout).await;
    rollout.state().clone()
}

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
    let seeds = match env::var("TIDEGATE_SEED") {
        Ok(seed) => seed.parse().map(|seed: u64| seed..seed + 1).unwrap(),
        Err(_) => 0..SEEDS,
    };
    let mut ends = std::collections::BTreeMap::<&str, usize>::new();
    for seed in seeds.clone() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let end = std::panic::catch_unwind(|| runtime.block_on(simulate(seed)));
        let end = end.unwrap_or_else(|_| panic!("TIDEGATE_SEED={seed} repeats this"));
        let name = match end {
            State::Promoted => "promoted",
            State::RolledBack { .. } => "rolled back",
            State::Compared { .. } => "compared",
            State::Unsettled { .. } => "unsettled",
            State::Stuck { .. } => "stuck",
            _ => "other",
        };
        *ends.entry(name).or_default() += 1;
    }
    if seeds.end - seeds.start == SEEDS {
        assert!(ends["promoted"] > 10 && ends["rolled back"] > 10 && ends["compared"] > 2, "{ends:?}");
        assert!(ends.get("stuck").copied().unwrap_or_default() < 12, "{ends:?}");
    }
}
