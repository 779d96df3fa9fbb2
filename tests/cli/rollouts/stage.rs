//! A rollout that this test process drives, in a registry that the program sees.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use serde_json::Value;
use tidegate::{
    canary::{
        AtHorizon, Driver, Error, Gate, Gatekeepers, Handle, InMemoryDeployer, InMemoryRouter, Plan,
        PlanSpec, Release, Require, RouteId, Slot, State, Step, Timing, TrafficRouter as _, WallClock,
        Weight, World,
    },
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Statistic,
        Window,
    },
    registry::{ModelStore as _, ObjectBacked},
};
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::desk::{Desk, Run};

pub(crate) const ROUTE: &str = "serving/fraud";

/// 1.0.0 in production and serving, 1.1.0 and 1.2.0 published.
pub(crate) struct Stage {
    pub(crate) desk: Desk,
    pub(crate) runtime: Runtime,
    pub(crate) store: ObjectBacked,
    router: InMemoryRouter,
    deployer: InMemoryDeployer,
    pub(crate) stable: Release,
    pub(crate) candidate: Release,
}

/// One request in a thousand fails, on every side that has any.
#[derive(Debug)]
struct Requests(InMemoryRouter);

#[async_trait]
impl MetricsSource for Requests {
    async fn observe(&self, _: &Metric, side: &Selector, _: Window) -> Result<Measurement, metrics::Error> {
        let route: RouteId = side.get("route").expect("a side has a route").parse().expect("a route");
        let traffic = self.0.observe(&route).await.expect("it is in memory").traffic;
        let slots = [Slot::Stable, Slot::Baseline, Slot::Candidate];
        let slot = slots.into_iter().find(|slot| side.get("slot") == Some(slot.to_string().as_str()));
        let trials = u64::from(traffic.weight(slot.expect("a side has a slot")).as_basis_points());
        Ok(match trials {
            0 => Measurement::Missing(Missing::NoData),
            _ => Measurement::Observed(Observation::proportion(trials / 1_000, trials).expect("few of many")),
        })
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("synthetic requests")
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let desk = Desk::new();
        for version in ["1.0.0", "1.1.0", "1.2.0"] {
            desk.write("model/weights.bin", version.as_bytes());
            desk.run(&["publish", &format!("fraud@{version}"), "model"]).is(0);
        }
        desk.run(&["promote", "fraud@1.0.0", "--channel", "production"]).is(0);
        let runtime = Runtime::new().expect("threads");
        let store = runtime.block_on(ObjectBacked::directory(desk.path("registry"))).expect("a registry");
        let release = |model: &str| {
            let model = model.parse().expect("a model");
            Release::from(&runtime.block_on(store.manifest(&model)).expect("it was published"))
        };
        let (stable, candidate) = (release("fraud@1.0.0"), release("fraud@1.1.0"));
        let (router, deployer) = (InMemoryRouter::default(), InMemoryDeployer::serving(stable.clone()));
        Self { desk, runtime, store, router, deployer, stable, candidate }
    }

    /// 10 %, then an approval, then all; over in a second if nobody holds it up.
    pub(crate) fn spec(&self) -> PlanSpec {
        let route = ROUTE.parse().expect("a route");
        let mut spec = PlanSpec::canary(route, self.stable.clone(), self.candidate.clone());
        spec.steps = vec![
            Step { weight: Weight::percent(10).expect("a share"), require: Require::Pass, ..Step::default() },
            Step { weight: Weight::FULL, ..Step::default() },
        ];
        spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
        spec.bake_criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
        spec.at_horizon = AtHorizon::Hold;
        let millis = Duration::from_millis;
        spec.timing = Timing {
            bake: millis(50),
            drain: millis(10),
            horizon: Duration::from_secs(3600),
            patience: Duration::from_secs(20),
            verify: millis(20),
            window: millis(50),
            ..Timing::default()
        };
        spec
    }

    pub(crate) fn plan(&self, change: impl FnOnce(&mut PlanSpec)) -> Plan {
        let mut spec = self.spec();
        change(&mut spec);
        spec.build().expect("a plan that holds up")
    }

    pub(crate) fn gated(&self) -> Plan {
        self.plan(|spec| spec.steps[0].gates = vec![Gate::Approval])
    }

    pub(crate) fn world(&self) -> World {
        World {
            store: Arc::new(self.store.clone()),
            log: Arc::new(self.store.clone()),
            metrics: Arc::new(Requests(self.router.clone())),
            router: Arc::new(self.router.clone()),
            deployer: Arc::new(self.deployer.clone()),
            gates: Gatekeepers::new(),
            clock: WallClock::system(),
        }
    }

    /// Drives the rollout in this process, where somebody attends to it for as long as the handle lives.
    pub(crate) fn drive(&self, id: &str, plan: Plan) -> (JoinHandle<Result<State, Error>>, Handle) {
        let opened = self.runtime.block_on(Driver::open(self.world(), id.parse().expect("an id"), plan));
        let (driver, handle) = opened.expect("the route is free");
        let driven = driver.looking_every(Duration::from_millis(20)).run();
        (self.runtime.spawn(driven), handle)
    }

    pub(crate) fn end(&self, driven: JoinHandle<Result<State, Error>>) -> State {
        let driven = self.runtime.block_on(async { tokio::time::timeout(LONG, driven).await });
        driven.expect("it ends").expect("it does not panic").expect("it ends well or not, but it ends")
    }

    /// `tidegate rollout VERB … --route ROUTE`
    pub(crate) fn rollout(&self, arguments: &[&str]) -> Run {
        self.desk.run(&[&["rollout"], arguments, &["--route", ROUTE]].concat())
    }

    pub(crate) fn status(&self) -> Value {
        self.desk.json(&["rollout", "status", "--route", ROUTE])
    }

    /// The status, once it is as wanted.
    pub(crate) fn once(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.status()).filter(|status| wanted(status)))
    }
}

const LONG: Duration = Duration::from_secs(60);

/// Looks again and again, for a minute at most.
#[expect(clippy::disallowed_methods, reason = "other processes are watched, which have clocks of their own")]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = SystemTime::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed().expect("time goes on") < LONG, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
