//! Another release comes to run where releases replace each other in place: by a change to files that is merged late, or by
//! hand.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;
use tidegate_canary::{
    ActuatorError, Deployer, Fence, GitOps, Readiness, Release, RolloutId, Slot, Workload, World,
    gitops::Place,
    metrics::Verdict,
    notify::{Kind, Severity},
};
use tidegate_rollback::{
    Event, Helped, Ledger, OnBlind, Record, Recovery, Rollback, State, Target, Undo, VigilRequest, Vigilance,
};
use tokio::task::JoinHandle;

use crate::{
    merge, order, promote, roll_back,
    stage::{self, Stage},
    told_of,
    ward::{self, Health, Shown, assert_serving, guard, ledger, promoted, state, watch, world},
};

type Going = JoinHandle<Result<State, tidegate_rollback::Error>>;

/// A checkout whose one file says that `fraud@1.1.0` is to run. What is merged is put in force by [`merge`].
struct Repository(TempDir);

impl Repository {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("repository")).unwrap();
        fs::write(directory.path().join("repository/fraud.yaml"), "tag: 1.1.0\n").unwrap();
        Self(directory)
    }

    fn says(&self) -> String {
        fs::read_to_string(self.0.path().join("repository/fraud.yaml")).unwrap()
    }

    fn world(&self, stage: &Stage, health: &Health) -> World {
        let (root, state) = (self.0.path().join("repository"), self.0.path().join("state.json"));
        let deployer = GitOps::new(root, state, Arc::new(stage.deployer.clone())).unwrap();
        let deployer = deployer.with(Place::new("fraud.yaml", "$.tag", "{version}").unwrap());
        World { deployer: Arc::new(deployer), ..world(stage, health) }
    }
}

/// What the cluster is shown to be, however it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Looks {
    #[default]
    AsItIs,
    Failed,
    Starting,
}

/// Replaces what is in service in place, and says what it sees there, as a Deployment does.
#[derive(Clone, Debug)]
struct Workloads<D> {
    inner: D,
    looks: Arc<Mutex<Looks>>,
    told: Arc<AtomicUsize>,
}

impl<D> Workloads<D> {
    fn new(inner: D) -> Self {
        Self { inner, looks: Arc::default(), told: Arc::default() }
    }

    fn look(&self, looks: Looks) {
        *self.looks.lock().unwrap() = looks;
    }
}

#[async_trait]
impl<D: Deployer> Deployer for Workloads<D> {
    fn in_place(&self) -> bool {
        true
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.inner.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let looks = *self.looks.lock().unwrap();
        Ok(match self.inner.status(slot).await? {
            Readiness::Ready { release } if looks == Looks::Failed => {
                Readiness::Failed { release, why: "it crashes again and again".to_owned() }
            }
            Readiness::Ready { release } if looks == Looks::Starting => Readiness::Starting { release },
            seen => seen,
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.remove(slot, fence).await
    }
}

async fn undo(stage: &Stage) -> Undo {
    let route = stage.plan().route.clone();
    let ledger = Ledger::<Undo>::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    ledger.latest().unwrap().1.clone()
}

/// Waits until the rollback is as wanted, or over.
async fn reaches(stage: &Stage, wanted: fn(&State) -> bool) -> Undo {
    for _ in 0..3_600 {
        // Whoever was just spawned has to come to it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let undo = undo(stage).await;
        if wanted(undo.state()) || undo.state().is_end() {
            assert!(wanted(undo.state()), "{}", undo.state());
            return undo;
        }
    }
    panic!("it stays {}", undo(stage).await.state());
}

fn proves(state: &State) -> bool {
    matches!(state, State::Prove { .. })
}

fn reasserts(state: &State) -> bool {
    matches!(state, State::Reassert { .. })
}

fn id() -> RolloutId {
    "inc-1".parse().unwrap()
}

async fn proven_by(stage: &Stage) -> tidegate_rollback::Order {
    let mut order = order(stage, Target::LastGood).await;
    order.recovery = Some(Recovery::new(ward::errors()));
    order
}

/// A rollback under GitOps whose change was merged, and which watches the target.
async fn proving(stage: &Stage, world: &World) -> Going {
    let order = proven_by(stage).await;
    let to = order.to.clone();
    let going = tokio::spawn(roll_back(world.clone(), "inc-1", order));
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    merge(stage, &to).await;
    reaches(stage, proves).await;
    going
}

/// Kills the driver and lets another go on.
async fn killed(stage: &Stage, world: &World, going: Going) -> Going {
    going.abort();
    assert!(going.await.unwrap_err().is_cancelled());
    let (world, route) = (world.clone(), stage.plan().route.clone());
    tokio::spawn(async move { Rollback::resume(world, &route, &id()).await?.unwrap().run().await })
}

fn assert_stuck(end: &State, words: &[&str]) {
    assert!(matches!(end, State::Stuck { .. }), "{end}");
    let said = end.to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
    assert!(!said.contains("roll back once more"), "the channel points to the target already: {said}");
}

/// The files say the target still. What was left is replaced once more, whatever is killed meanwhile.
#[tokio::test(start_paused = true)]
async fn what_is_merged_late_over_the_target_is_replaced_once() {
    for kills in [false, true] {
        let ((stage, health), repository) = (promoted().await, Repository::new());
        let world = repository.world(&stage, &health);
        let (from, to) = (stage.candidate.clone(), stage.stable.clone());
        let mut going = proving(&stage, &world).await;
        assert_eq!(repository.says(), "tag: 1.0.0\n");
        assert!(undo(&stage).await.is_home());
        merge(&stage, &from).await;
        assert!(!reaches(&stage, reasserts).await.is_home(), "what was left has traffic again");
        if kills {
            going = killed(&stage, &world, going).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        merge(&stage, &to).await;
        assert!(reaches(&stage, proves).await.is_home());
        if kills {
            going = killed(&stage, &world, going).await;
            merge(&stage, &from).await;
            let end = going.await.unwrap().unwrap();
            assert_stuck(
                &end,
                &["fraud@1.1.0 runs in the stable slot, not fraud@1.0.0", "take back what was merged"],
            );
            assert!(!undo(&stage).await.is_home());
            continue;
        }
        let end = going.await.unwrap().unwrap();
        assert!(matches!(end, State::Done { helped: Helped::Proven, .. }), "{end}");
        assert_serving(&stage, &to).await;
        let (notices, report) = told_of(&stage).await;
        assert!(report.contains("saw that something else has replaced `fraud@1.0.0`"), "{report}");
        let told: Vec<_> = notices.iter().map(|notice| (notice.kind, notice.severity)).collect();
        let displaced = told.iter().position(|told| *told == (Kind::RollbackDisplaced, Severity::Critical));
        let after = &told[displaced.unwrap() + 1..];
        assert_eq!(
            after,
            [(Kind::RollbackReturned, Severity::Warning), (Kind::RollbackDone, Severity::Warning)]
        );
        let summary = &notices[displaced.unwrap()].summary;
        assert!(summary.contains("fraud 1.1.0 is back in place of fraud 1.0.0"), "{summary}");
    }
}

/// What nobody has left is somebody's decision, also where the files say otherwise.
#[tokio::test(start_paused = true)]
async fn another_release_that_is_merged_late_is_for_a_person() {
    let ((stage, health), repository) = (promoted().await, Repository::new());
    let other = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let world = repository.world(&stage, &health);
    let going = proving(&stage, &world).await;
    merge(&stage, &other).await;
    let end = going.await.unwrap().unwrap();
    assert_stuck(
        &end,
        &["fraud@1.2.0 runs in the stable slot, not fraud@1.0.0", "put the target back in the files"],
    );
}

/// A person's change to the workload is left alone, also to what the rollback has left, and also where that fails.
#[tokio::test(start_paused = true)]
async fn what_is_deployed_by_hand_over_the_target_is_left_alone() {
    let cases = [
        ("fraud@1.1.0", Looks::AsItIs),
        ("fraud@1.1.0", Looks::Failed),
        ("fraud@1.2.0", Looks::AsItIs),
        ("fraud@1.2.0", Looks::Starting),
    ];
    for (model, looks) in cases {
        let (stage, health) = promoted().await;
        let other = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
        let by_hand: &Release = if model == "fraud@1.2.0" { &other } else { &stage.candidate };
        let deployer = Workloads::new(stage.deployer.clone());
        let world = World { deployer: Arc::new(deployer.clone()), ..world(&stage, &health) };
        let going = tokio::spawn(roll_back(world, "inc-1", proven_by(&stage).await));
        reaches(&stage, proves).await;
        let told = deployer.told.load(Ordering::Relaxed);
        merge(&stage, by_hand).await;
        deployer.look(looks);
        let end = going.await.unwrap().unwrap();
        let runs = format!("{model} runs in the stable slot, not fraud@1.0.0");
        assert_stuck(&end, &[&runs, "put the target back", "promote it"]);
        assert_eq!(deployer.told.load(Ordering::Relaxed), told, "it was changed: {model} {looks:?}");
        assert!(!undo(&stage).await.is_home());
    }
}

/// A person has moved the channel and deployed that: nothing is taken back.
#[tokio::test(start_paused = true)]
async fn a_channel_that_was_moved_meanwhile_counts() {
    // Before it is seen, and after it was.
    for in_time in [true, false] {
        let ((stage, health), repository) = (promoted().await, Repository::new());
        let other = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
        let world = repository.world(&stage, &health);
        let mut going = proving(&stage, &world).await;
        if in_time {
            promote(&stage, &other.model).await;
            merge(&stage, &other).await;
        } else {
            merge(&stage, &stage.candidate).await;
            reaches(&stage, reasserts).await;
            promote(&stage, &other.model).await;
            going = killed(&stage, &world, going).await;
        }
        let end = going.await.unwrap().unwrap();
        assert_stuck(
            &end,
            &["production points to fraud@1.2.0", "somebody has moved the channel", "was left alone"],
        );
        assert!(!end.to_string().contains("take back"), "{end}");
        let route = stage.plan().route.clone();
        let ledger = Ledger::<Undo>::open(Arc::new(stage.store.clone()), &route).await.unwrap();
        assert!(matches!(ledger.lines().last().unwrap().record, Record::Happen(Event::Moved { .. })));
        let (_, report) = told_of(&stage).await;
        assert!(report.contains("stepped back: production points to `fraud@1.2.0`"), "{report}");
    }
}

/// Nobody rolls back any more, and what was asked for is merged: whoever watches what is in service says so, and neither
/// goes back by itself nor says in the end that it was well.
#[tokio::test(start_paused = true)]
async fn a_watch_says_that_another_release_was_merged_in_place_of_its_own() {
    let ((stage, health), repository) = (promoted().await, Repository::new());
    let mut watch = watch(&stage);
    watch.on_blind = OnBlind::RollBack;
    let watching = tokio::spawn(guard(repository.world(&stage, &health), watch).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching);
    merge(&stage, &stage.stable).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let blind = state(&stage).await;
    assert!(matches!(blind, Vigilance::Blind { .. }), "{blind}");
    for word in [
        "fraud@1.0.0 runs in the stable slot, not fraud@1.1.0",
        "production points to fraud@1.1.0",
        "take back what was merged",
        "promote it",
    ] {
        assert!(blind.to_string().contains(word), "{word:?} is missing: {blind}");
    }
    merge(&stage, &stage.candidate).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching);

    // Whatever is measured meanwhile is not of what is watched, and no patience with it runs out.
    merge(&stage, &stage.stable).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    health.is(Shown::Ill);
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    let blind = state(&stage).await;
    assert!(matches!(blind, Vigilance::Blind { .. }), "{blind}");
    health.is(Shown::Well);
    let end = watching.await.unwrap().unwrap();
    assert_eq!(end, Vigilance::Kept { verdict: Verdict::Inconclusive });
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(&stage.stable));
}

/// What another system says while another release runs is written down, and a person has the say.
#[tokio::test(start_paused = true)]
async fn no_watch_goes_back_by_itself_from_what_does_not_run() {
    let ((stage, health), repository) = (promoted().await, Repository::new());
    let watching = tokio::spawn(guard(repository.world(&stage, &health), watch(&stage)).await.unwrap().run());
    merge(&stage, &stage.stable).await;
    let alarm = VigilRequest::Alarm { by: "pager".to_owned(), reason: "it is slow".to_owned() };
    ledger(&stage).await.ask(alarm, stage.clock.now()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let held = state(&stage).await;
    assert!(matches!(held, Vigilance::Held { by: None, .. }), "{held}");
    assert!(held.to_string().contains("fraud@1.0.0 runs in the stable slot"), "{held}");
    watching.abort();
}

/// An ordinary change begins before the channel is moved, and wakes nobody.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_on_the_way_wakes_nobody() {
    let (stage, health) = promoted().await;
    let deployer = Workloads::new(stage.deployer.clone());
    let world = World { deployer: Arc::new(deployer.clone()), ..world(&stage, &health) };
    let watching = tokio::spawn(guard(world, watch(&stage)).await.unwrap().run());
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    deployer.look(Looks::Starting);
    merge(&stage, &next).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching);
    // It runs, and nobody has moved the channel.
    deployer.look(Looks::AsItIs);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(state(&stage).await.to_string().contains("fraud@1.2.0 runs in the stable slot"));
    watching.abort();
}
