//! A watch and its rollback, with nobody else on the route.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tidegate_canary::{
    Deployer, Readiness, Slot, State as RolloutState, Traffic, TrafficRouter, World,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Statistic,
        Window,
    },
    testkit::{Fault, Flaky},
};
use tidegate_registry::Cause;
use tidegate_rollback::{
    Confirm, Error, Guard, Ledger, OnBlind, Record, Recovery, State, Undo, Vigil, VigilEvent, VigilRequest,
    Vigilance, Watch,
};
use tokio::task::JoinHandle;

use crate::{
    chaos::{self, FlakyLog, Watched, raise},
    stage::{Requests, Stage},
};

type Guarding = JoinHandle<Result<Vigilance, Error>>;

/// So many watches in a quick run; each takes some tens of milliseconds.
const SEEDS: u64 = 60;

/// How the versions do, by the time.
#[derive(Clone, Debug)]
struct Health {
    /// From then on the guarded version is ill, or nothing is seen of it.
    ill: Option<SystemTime>,
    hidden: Option<SystemTime>,
    /// Until then.
    until: SystemTime,
    /// Whether what was gone back to is ill as well.
    all: bool,
}

#[async_trait]
impl MetricsSource for Health {
    async fn observe(
        &self,
        _: &Metric,
        side: &Selector,
        window: Window,
    ) -> Result<Measurement, metrics::Error> {
        let is = |since: Option<SystemTime>| {
            since.is_some_and(|since| window.end() > since) && window.end() <= self.until
        };
        let guarded = side.get("version") == Some("1.1.0");
        Ok(if guarded && is(self.hidden) {
            Measurement::Missing(Missing::NoData)
        } else if (guarded || self.all) && is(self.ill) {
            Observation::proportion(400, 1_000).unwrap().into()
        } else {
            Observation::proportion(5, 1_000).unwrap().into()
        })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the seed says")
    }
}

fn health(stage: &Stage, chance: &mut fastrand::Rng) -> Health {
    let now = stage.clock.now();
    let mut at = |likely: u8| {
        let after = Duration::from_secs(chance.u64(..2_400));
        (chance.u8(..10) < likely).then_some(now + after)
    };
    let (ill, hidden) = (at(6), at(3));
    let lasts = Duration::from_secs(if chance.u8(..4) == 0 { 1_200 } else { 1 << 20 });
    Health { ill, hidden, until: now + lasts, all: chance.u8(..8) == 0 }
}

fn watch(stage: &Stage, chance: &mut fastrand::Rng) -> Watch {
    let criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15).with_alpha(0.001)];
    let mut watch = Watch::new(stage.plan().route.clone(), stage.candidate.clone());
    watch.recovery = chance.bool().then(|| Recovery::new(criteria.clone()));
    watch.criteria = criteria;
    watch.lasts = Duration::from_secs(3_600);
    watch.drain = Duration::from_secs(chance.u64(..60));
    watch.on_blind = if chance.bool() { OnBlind::Hold } else { OnBlind::RollBack };
    watch.quarantine = chance.bool();
    if chance.bool() {
        watch.confirm = Confirm { looks: 2, of: 3 };
    }
    watch
}

fn request(chance: &mut fastrand::Rng) -> VigilRequest {
    let (by, reason) = (|| "ada".to_owned(), || "because".to_owned());
    match chance.u8(..16) {
        0 => VigilRequest::Stop { by: by(), reason: reason() },
        1 => VigilRequest::RollBack { by: by(), reason: reason() },
        2 | 3 => VigilRequest::Alarm { by: by(), reason: reason() },
        4..=8 => VigilRequest::Hold { by: by(), reason: reason() },
        _ => VigilRequest::Resume { by: by() },
    }
}

async fn ledger<M: tidegate_rollback::Machine>(stage: &Stage) -> Ledger<M> {
    Ledger::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap()
}

/// One watch from its seed to its end.
async fn simulate(seed: u64) -> Vigilance {
    let mut chance = fastrand::Rng::with_seed(seed);
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    let watched = Watched::new(&stage.router, &stage.deployer, &stage.plan().route);
    let (watch, health) = (watch(&stage, &mut chance), health(&stage, &mut chance));
    let world = World {
        router: Arc::new(watched.faulty(seed)),
        deployer: Arc::new(watched.faulty(seed ^ 1)),
        metrics: Arc::new(Flaky::new(health, seed ^ 2).with_share(Fault::Before, 0.1)),
        log: Arc::new(FlakyLog::new(&stage.store, seed ^ 3, 60).with_reads()),
        ..stage.world()
    };
    let mut guards: Vec<Guarding> = Vec::new();
    for step in 0..4_000 {
        let (over, running) = guards.into_iter().partition(JoinHandle::is_finished);
        guards = running;
        raise(over).await;
        let state = ledger::<Vigil>(&stage).await.latest().map(|(_, vigil)| vigil.state().clone());
        if state.as_ref().is_some_and(Vigilance::is_end) {
            break;
        }
        // Somebody always guards in the end, now and then two do, and now and then one is killed.
        match chance.u8(..12) {
            0 if !guards.is_empty() => guards[chance.usize(..guards.len())].abort(),
            fate if guards.is_empty() || fate == 1 => {
                if let Ok(guard) = Guard::open(world.clone(), id(), watch.clone()).await {
                    guards.push(tokio::spawn(guard.run()));
                }
            }
            _ => {}
        }
        // In the end a person puts an end to what nobody decides.
        let over = step > 500 && matches!(state, Some(Vigilance::Held { .. }));
        if over || chance.u8(..20) == 0 {
            let stop = || VigilRequest::Stop { by: "ada".to_owned(), reason: "it is late".to_owned() };
            let request = if over { stop() } else { request(&mut chance) };
            // By another clock; and whatever makes no sense now is answered, and changes nothing.
            let at = stage.clock.now() - Duration::from_secs(chance.u64(..20));
            if let Ok(mut ledger) = Ledger::<Vigil>::open(Arc::clone(&world.log), &watch.route).await {
                let _answer = ledger.ask(request, at).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(chance.u64(1..90))).await;
    }
    guards.iter().for_each(JoinHandle::abort);
    raise(guards).await;
    let ledger = ledger::<Vigil>(&stage).await;
    let (_, vigil) = ledger.latest().expect("somebody opened it");
    assert!(vigil.state().is_end(), "it does not end, the watch {}", vigil.state());
    check(&stage, vigil, &ledger).await;
    vigil.state().clone()
}

fn id() -> tidegate_canary::RolloutId {
    "watch-1".parse().unwrap()
}

/// What must hold at the end, whichever it is.
async fn check(stage: &Stage, vigil: &Vigil, journal: &Ledger<Vigil>) {
    let moves = stage.moves().await;
    let back = moves.iter().filter(|moved| matches!(moved.cause, Cause::Rollback { .. })).count();
    let head = moves.last().unwrap().to.clone();
    let traffic = stage.router.observe(&vigil.watch().route).await.unwrap().traffic;
    let stable = stage.deployer.status(Slot::Stable).await.unwrap();
    let rollbacks = ledger::<Undo>(stage).await;
    let opened = rollbacks.lines().iter().filter(|line| matches!(line.record, Record::Open { .. })).count();
    assert!(opened <= 1, "{opened} rollbacks of one change");
    for slot in traffic.slots() {
        assert!(stage.deployer.status(slot).await.unwrap().ready().is_some(), "{slot} is not ready");
    }
    match vigil.state() {
        Vigilance::Returned { done: true, .. } => {
            assert_eq!((back, &head), (1, &stage.stable.model));
            assert_eq!(traffic, Traffic::stable());
            assert_eq!(stable.ready(), Some(&stage.stable));
            assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
        }
        Vigilance::Returned { done: false, .. } => {
            let (_, undo) = rollbacks.latest().unwrap();
            let State::Stuck { remedy, .. } = undo.state() else { panic!("{}", undo.state()) };
            assert!(!remedy.is_empty());
            assert!(back <= 1, "{back} moves back");
            // Once the channel says so, all traffic is on the target.
            if back == 1 {
                let on = traffic.slots().next().unwrap();
                assert_eq!(stage.deployer.status(on).await.unwrap().ready(), Some(&stage.stable));
            }
        }
        Vigilance::Kept { .. } | Vigilance::Stopped { .. } => {
            assert_eq!((back, opened, &head), (0, 0, &stage.candidate.model));
            assert_eq!(traffic, Traffic::stable());
            assert_eq!(stable.ready(), Some(&stage.candidate));
        }
        end => panic!("{end}"),
    }
    // The journal says it all, and nobody went past a person.
    let (mut replayed, mut held) = (None::<Vigil>, false);
    for line in journal.lines() {
        match &line.record {
            Record::Open { order, .. } => replayed = Some(Vigil::new((**order).clone(), line.at)),
            Record::Happen(event) => {
                match event {
                    VigilEvent::Ask(VigilRequest::Hold { .. }) => held = true,
                    VigilEvent::Ask(VigilRequest::Resume { .. } | VigilRequest::RollBack { .. }) => {
                        held = false
                    }
                    VigilEvent::Begun { .. } => assert!(!held, "it went past a person"),
                    _ => {}
                }
                replayed.as_mut().unwrap().apply(event, line.at).unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(replayed.as_ref(), Some(vigil));
}

#[test]
fn whatever_happens_it_ends_as_it_says() {
    let ends = chaos::ends(SEEDS, simulate);
    let tally = chaos::tally(&ends, |end| match end {
        Vigilance::Returned { done: true, .. } => "returned",
        Vigilance::Returned { .. } => "stuck",
        Vigilance::Kept { .. } => "kept",
        Vigilance::Stopped { .. } => "stopped",
        _ => "other",
    });
    println!("{tally:?}");
    if ends.len() as u64 == SEEDS {
        let count = |name| tally.get(name).copied().unwrap_or_default();
        assert!(count("returned") > 20 && count("kept") > 5 && count("stopped") > 2, "{tally:?}");
        assert!(count("stuck") < 15, "{tally:?}");
    }
}
