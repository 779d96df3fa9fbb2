//! Rollouts that were really run, in virtual time, each on a route of its own.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tidegate_canary::{
    Answer, BoxError, Calendar, Driver, Gate, Gatekeeper, Handle, Key, Plan, PlanSpec, Question, Request,
    Rollout, RolloutId, RouteId, RouteJournal, State, WallClock, World,
    metrics::{Criterion, Metric, Statistic},
    testkit::{Fault, Flaky},
};
use tidegate_registry::{InMemory, Log, LogKey, ObjectBacked, Seq};
use tokio::task::JoinHandle;

use crate::stage::{Requests, Stage};

pub(crate) const EVIL: &str =
    "</style></title></svg><script>alert(1)</script><img src=x onerror='a'>\" onload=\"b&";

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };
const ALIKE: Requests = Requests { stable_errors: 20, candidate_errors: 20 };
const BAD: Requests = Requests { stable_errors: 2, candidate_errors: 40 };

/// A rollout that ran as far as it is told, and where it was written down.
pub(crate) struct Story {
    pub(crate) route: RouteId,
    pub(crate) id: RolloutId,
    stage: Stage,
}

/// A rollout that is being driven.
struct Run {
    story: Story,
    handle: Handle,
    driver: JoinHandle<Result<State, tidegate_canary::Error>>,
}

impl Story {
    /// Where it was written down.
    pub(crate) fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.stage.store.clone())
    }

    pub(crate) fn plan(&self) -> PlanSpec {
        let mut spec = self.stage.spec();
        spec.route = self.route.clone();
        spec
    }

    /// The world in which it happened, with another log.
    pub(crate) fn world(&self, log: Arc<dyn Log>) -> World {
        World { clock: WallClock::system(), ..self.stage.world_on(log) }
    }

    /// Writes all of it into a registry.
    pub(crate) async fn copy(&self, registry: &ObjectBacked) {
        let model = LogKey::model(self.stage.stable.model.name());
        for key in [self.route.log_key(), model] {
            copy(&self.stage.store, registry, &key).await;
        }
    }

    async fn new(route: &str, requests: Requests) -> Self {
        let mut stage = Stage::new(requests).await;
        stage.clock = WallClock::starting_at(noon());
        let id = format!("release-{}", route.replace('/', "-"));
        Self { route: route.parse().expect("a route"), id: id.parse().expect("an id"), stage }
    }

    async fn drive(self, spec: PlanSpec) -> Run {
        let world = self.stage.world();
        self.drive_in(world, spec).await
    }

    async fn drive_in(self, world: World, spec: PlanSpec) -> Run {
        let plan: Plan = spec.build().expect("a plan");
        let opened = Driver::open(world, self.id.clone(), plan).await;
        let (driver, handle) = opened.expect("the route is free");
        Run { story: self, handle, driver: tokio::spawn(driver.run()) }
    }
}

async fn copy(from: &InMemory, to: &ObjectBacked, key: &LogKey) {
    let there = to.read(key, Seq::FIRST).await.expect("a readable registry").len();
    let records = from.read(key, Seq::FIRST.plus(there)).await.expect("a readable log");
    for (index, record) in records.into_iter().enumerate() {
        to.append(key, Seq::FIRST.plus(there + index), record).await.expect("a writable registry");
    }
}

impl Run {
    /// Lets time pass until it is there.
    async fn until(&self, there: impl Fn(&Rollout) -> bool) {
        for _ in 0..1_000 {
            let journal = RouteJournal::open(self.story.log(), &self.story.route).await.expect("it replays");
            let (_, rollout) = journal.latest().expect("it was opened");
            if there(rollout) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        panic!("it never came there");
    }

    async fn ask(&self, request: Request) {
        self.handle.ask(request).await.expect("it is possible now");
    }

    async fn end(self) -> Story {
        self.driver.await.expect("a driver does not panic").expect("it comes to an end");
        self.story
    }

    /// Kills the driver.
    fn stop(self) -> Story {
        self.driver.abort();
        self.story
    }
}

/// In virtual time.
pub(crate) async fn all() -> Vec<Story> {
    tokio::time::pause();
    let stories = vec![
        promoted().await,
        rolled_back().await,
        at_a_gate().await,
        stuck().await,
        paused().await,
        shadow().await,
        compared().await,
        frozen().await,
        hostile().await,
    ];
    tokio::time::resume();
    stories
}

/// Nothing has happened yet.
pub(crate) async fn fresh() -> Story {
    Story::new("serving/live", GOOD).await
}

pub(crate) async fn waiting() -> Story {
    tokio::time::pause();
    let story = at_a_gate().await;
    tokio::time::resume();
    story
}

pub(crate) async fn evil() -> Story {
    tokio::time::pause();
    let story = hostile().await;
    tokio::time::resume();
    story
}

async fn promoted() -> Story {
    let story = Story::new("serving/promoted", GOOD).await;
    let mut spec = story.plan();
    spec.steps[1].gates = vec![Gate::Approval];
    let run = story.drive(spec).await;
    run.until(|rollout| matches!(rollout.state(), State::Analyse { .. })).await;
    run.ask(Request::Hold { by: "alice".to_owned() }).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    run.ask(Request::Resume { by: "alice".to_owned() }).await;
    run.until(|rollout| matches!(rollout.state(), State::Gate { .. })).await;
    let digest = run.story.stage.candidate.digest;
    run.ask(Request::Approve { by: "bob".to_owned(), digest }).await;
    run.end().await
}

async fn rolled_back() -> Story {
    let story = Story::new("serving/rolled-back", BAD).await;
    let spec = story.plan();
    let mut story = story.drive(spec.clone()).await.end().await;
    story.id = "second-try".parse().expect("an id");
    story.drive(spec).await.end().await
}

async fn at_a_gate() -> Story {
    let story = Story::new("serving/gate", GOOD).await;
    let mut spec = story.plan();
    spec.steps[0].gates = vec![Gate::Approval];
    let run = story.drive(spec).await;
    run.until(|rollout| matches!(rollout.state(), State::Gate { .. })).await;
    run.stop()
}

/// The router obeys once and then never again, so that traffic cannot be returned.
async fn stuck() -> Story {
    let story = Story::new("serving/stuck", GOOD).await;
    let spec = story.plan();
    let router =
        Flaky::new(story.stage.router.clone(), 7).with_script([None; 8]).with_share(Fault::Before, 1.0);
    let world = World { router: Arc::new(router), ..story.stage.world() };
    let run = story.drive_in(world, spec).await;
    run.until(|rollout| matches!(rollout.state(), State::Analyse { .. })).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    run.ask(Request::Abort { by: "carol".to_owned(), reason: "the pager rings".to_owned() }).await;
    run.end().await
}

async fn paused() -> Story {
    let story = Story::new("serving/paused", ALIKE).await;
    let mut spec = story.plan();
    spec.freeze = vec![freeze(8 * 60)];
    let run = story.drive(spec).await;
    run.until(|rollout| matches!(rollout.state(), State::Analyse { .. })).await;
    run.ask(Request::Hold { by: "alice".to_owned() }).await;
    run.until(|rollout| rollout.pauses().len() > 1).await;
    run.stop()
}

async fn frozen() -> Story {
    let story = Story::new("serving/frozen", GOOD).await;
    let mut spec = story.plan();
    spec.freeze = vec![freeze(4 * 60)];
    let run = story.drive(spec).await;
    run.until(|rollout| !rollout.pauses().is_empty()).await;
    run.stop()
}

/// From `after` seconds on, for two weeks.
fn freeze(after: u64) -> Calendar {
    let from = noon() + Duration::from_secs(after);
    Calendar::once(from, from + Duration::from_secs(14 * 86_400)).expect("it ends after it begins")
}

async fn shadow() -> Story {
    let story = Story::new("serving/shadow", GOOD).await;
    let plan = story.plan();
    let mut spec = PlanSpec::shadow(plan.route, plan.stable, plan.candidate);
    spec.criteria = plan.criteria;
    spec.bake_criteria = plan.bake_criteria;
    let run = story.drive(spec).await;
    let since = noon() + Duration::from_secs(1_200);
    run.until(|rollout| matches!(rollout.state(), State::Analyse { from, .. } if *from > since)).await;
    run.stop()
}

async fn compared() -> Story {
    let story = Story::new("serving/compared", ALIKE).await;
    let plan = story.plan();
    let user = Key::Cookie("user".to_owned());
    let mut spec = PlanSpec::ab_test(plan.route, plan.stable, plan.candidate, user);
    spec.criteria = plan.criteria;
    spec.bake_criteria = plan.bake_criteria;
    story.drive(spec).await.end().await
}

/// Whoever may write into a journal may write this.
async fn hostile() -> Story {
    let mut story = Story::new("serving/hostile", GOOD).await;
    story.route = format!("serving/{}", EVIL).parse().expect("a route");
    story.id = EVIL.parse().expect("an id");
    let mut spec = story.plan();
    spec.criteria.push(Criterion::at_most(Metric::new(EVIL), Statistic::Share, 0.5).advisory());
    spec.steps[0].gates = vec![Gate::Check(EVIL.to_owned())];
    let gates = [(EVIL.to_owned(), Arc::new(Undecided) as Arc<dyn Gatekeeper>)].into();
    let world = World { gates, ..story.stage.world() };
    let run = story.drive_in(world, spec).await;
    run.until(|rollout| matches!(rollout.state(), State::Gate { .. })).await;
    run.ask(Request::Hold { by: EVIL.to_owned() }).await;
    run.ask(Request::Resume { by: EVIL.to_owned() }).await;
    run.ask(Request::Abort { by: EVIL.to_owned(), reason: EVIL.to_owned() }).await;
    run.end().await
}

/// Never lets anything through.
#[derive(Debug)]
struct Undecided;

#[async_trait]
impl Gatekeeper for Undecided {
    async fn ask(&self, _question: &Question) -> Result<Answer, BoxError> {
        Ok(Answer::NotYet)
    }
}

fn noon() -> SystemTime {
    humantime::parse_rfc3339("2026-11-22T11:58:12Z").expect("a time")
}
