//! What is told where somebody stops, goes on or looks back: gauges that nobody tells any more do not go on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusHandle;
use tidegate::{
    canary::{
        Answer, BoxError, Deployer as _, Driver, Error, Gatekeeper, Handle, InMemoryRouter, Question,
        RolloutId, RouteJournal, Slot, State, TrafficRouter as _, World,
    },
    metrics::{Metric, MetricsSource as _, Selector, Window},
    registry::Log,
    rollback::{Intent, Order, Rollback, Target, Vigilance},
};
use tokio::sync::Notify;

use crate::{
    everything::{everything, recorder},
    recording::series,
    stage::{BEGIN, Stage, id},
    ward::{self, Shown},
};

const ROUTE: (&str, &str) = ("route", "serving/fraud");

/// Runs in virtual time, with metrics of its own. What a gauge shows is of the whole program: no two runs at once.
pub(crate) fn alone(run: impl AsyncFnOnce(PrometheusHandle)) {
    static ALONE: Mutex<()> = Mutex::new(());
    everything();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (recorder, counted) = recorder();
    metrics_facade::with_local_recorder(&recorder, || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(run(counted));
    });
}

fn value(counted: &PrometheusHandle, name: &str, labels: &[(&str, &str)]) -> f64 {
    let all = series(&counted.render());
    let found = all.iter().find(|series| series.is(name, labels));
    found.unwrap_or_else(|| panic!("{name} {labels:?}")).value
}

fn rollout(counted: &PrometheusHandle, state: &str) -> f64 {
    value(counted, "tidegate_rollout_state", &[ROUTE, ("state", state)])
}

/// A driver of the stage's rollout that says when the candidate is judged.
async fn driver(stage: &Stage) -> (Driver, Handle, Arc<Notify>) {
    let (driver, handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let judged = Arc::new(Notify::new());
    let judging = Arc::clone(&judged);
    let driver = driver.on_record(move |_, rollout| {
        if matches!(rollout.state(), State::Analyse { .. }) {
            judging.notify_one();
        }
    });
    (driver, handle, judged)
}

#[test]
fn a_driver_that_is_dropped_takes_its_gauges_with_it() {
    alone(async |counted| {
        let stage = Stage::new(ward::GOOD).await;
        let (driver, _handle, judged) = driver(&stage).await;
        let weight = || value(&counted, "tidegate_rollout_candidate_weight_ratio", &[ROUTE]);
        let run = tokio::spawn(driver.run());
        judged.notified().await;
        // What has not happened yet is there, so that the first time is an increase.
        for verdict in ["fail", "inconclusive", "pass"] {
            let windows = [ROUTE, ("verdict", verdict)];
            assert_eq!(value(&counted, "tidegate_rollout_windows_total", &windows), 0.0);
        }
        let retreat = [ROUTE, ("state", "retreat")];
        assert_eq!(value(&counted, "tidegate_rollout_state_seconds_count", &retreat), 0.0);
        assert_eq!(rollout(&counted, "analyse"), 1.0);
        assert!(weight() > 0.0);
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        assert_eq!(rollout(&counted, "analyse"), 0.0);
        assert_eq!(weight(), 0.0);
    });
}

#[test]
fn a_driver_that_another_replaces_leaves_its_gauges_alone() {
    alone(async |counted| {
        let stage = Stage::new(ward::GOOD).await;
        let (first, _handle, judged) = driver(&stage).await;
        let first = tokio::spawn(first.run());
        judged.notified().await;
        let (second, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
        let second = tokio::spawn(second.run());
        // The second has begun to run before the first looks into the journal again.
        assert!(matches!(first.await.unwrap(), Err(Error::Superseded)));
        assert_eq!(rollout(&counted, "analyse"), 1.0);
        assert_eq!(second.await.unwrap().unwrap(), State::Promoted);
        assert_eq!(rollout(&counted, "analyse"), 0.0);
        assert_eq!(rollout(&counted, "promoted"), 1.0);
    });
}

#[test]
fn a_rollout_whose_route_is_seized_has_that_end() {
    alone(async |counted| {
        let stage = Stage::new(ward::GOOD).await;
        let (driver, _handle, judged) = driver(&stage).await;
        let run = tokio::spawn(driver.run());
        judged.notified().await;
        let log: Arc<dyn Log> = Arc::new(stage.store.clone());
        RouteJournal::seize(log, &stage.plan().route, "ada", stage.clock.now()).await.unwrap();
        assert!(matches!(run.await.unwrap(), Err(Error::Superseded)));
        assert_eq!(value(&counted, "tidegate_rollout_ends_total", &[ROUTE, ("state", "seized")]), 1.0);
        assert_eq!(rollout(&counted, "analyse"), 0.0);
        assert_eq!(rollout(&counted, "seized"), 1.0);
        assert_eq!(value(&counted, "tidegate_rollout_candidate_weight_ratio", &[ROUTE]), 0.0);
    });
}

#[test]
fn a_guard_that_is_dropped_while_blind_leaves_no_alert_firing() {
    alone(async |counted| {
        let (stage, health) = ward::promoted().await;
        health.is(Shown::Nothing);
        let guard = ward::guard(ward::world(&stage, &health), ward::watch(&stage)).await.unwrap();
        let blinded = Arc::new(Notify::new());
        let blinding = Arc::clone(&blinded);
        let guard = guard.on_record(move |_, vigil| {
            if matches!(vigil.state(), Vigilance::Blind { .. }) {
                blinding.notify_one();
            }
        });
        let blind = || value(&counted, "tidegate_watch_state", &[ROUTE, ("state", "blind")]);
        let run = tokio::spawn(guard.run());
        blinded.notified().await;
        assert_eq!(blind(), 1.0);
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        assert_eq!(blind(), 0.0);
    });
}

#[test]
fn the_newest_window_is_of_a_slot_and_never_older_than_it_was() {
    alone(async |counted| {
        let stage = Stage::new(ward::GOOD).await;
        let source = stage.world().traced().metrics;
        let side = Selector::default().with("route", "serving/other");
        let name = "tidegate_source_newest_window_timestamp_seconds";
        let of = |slot| [("route", "serving/other"), ("slot", slot), ("metric", "errors")];
        for (end, shown) in [(1_000_060, 1_000_060.0), (1_000_120, 1_000_120.0), (1_000_090, 1_000_120.0)] {
            let window = Window::ending(BEGIN + Duration::from_secs(end), Duration::from_secs(60)).unwrap();
            let stable = side.clone().with("slot", "stable");
            source.observe(&Metric::errors(), &stable, window).await.unwrap();
            assert_eq!(value(&counted, name, &of("stable")), shown);
            // It has no traffic, so nothing is seen of it.
            let candidate = side.clone().with("slot", "candidate");
            source.observe(&Metric::errors(), &candidate, window).await.unwrap();
        }
        let told = series(&counted.render());
        assert!(!told.iter().any(|series| series.is(name, &of("candidate"))));
    });
}

/// One that lets everything through.
#[derive(Debug)]
struct Open;

#[async_trait]
impl Gatekeeper for Open {
    async fn ask(&self, _: &Question) -> Result<Answer, BoxError> {
        Ok(Answer::Open)
    }
}

#[test]
fn a_world_that_is_traced_twice_is_counted_once() {
    alone(async |counted| {
        let stage = Stage::new(ward::GOOD).await;
        let route = stage.plan().route.clone();
        let mut world = stage.world();
        world.gates.insert("door".to_owned(), Arc::new(Open));
        let world = world.traced().traced();
        world.router.observe(&route).await.unwrap();
        world.deployer.status(Slot::Stable).await.unwrap();
        let window = Window::ending(stage.clock.now(), Duration::from_secs(60)).unwrap();
        let side = Selector::default().with("route", route.as_str()).with("slot", "stable");
        world.metrics.observe(&Metric::errors(), &side, window).await.unwrap();
        let (name, release) = ("door".to_owned(), stage.stable.clone());
        let question = Question::of_watch(id(), route.clone(), name, release, Vec::new(), window);
        world.gates["door"].ask(&question).await.unwrap();
        let count = |name: &str| -> f64 {
            let all = series(&counted.render());
            all.iter().filter(|series| series.name == name).map(|series| series.value).sum()
        };
        assert_eq!(count("tidegate_actuator_call_seconds_count"), 2.0);
        assert_eq!(count("tidegate_source_query_seconds_count"), 1.0);
        assert_eq!(count("tidegate_gate_call_seconds_count"), 1.0);
        // What has taken the place of a part since is not traced yet.
        let world = World { router: Arc::new(InMemoryRouter::default()), ..world }.traced();
        world.router.observe(&route).await.unwrap();
        assert_eq!(count("tidegate_actuator_call_seconds_count"), 3.0);
    });
}

#[test]
fn a_rollback_that_is_gone_on_with_counts_the_time_that_nobody_ran_it() {
    alone(async |counted| {
        let (stage, _) = ward::promoted().await;
        let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
        let intent = Intent::new(route.clone(), name, "it is slow").to(Target::LastGood);
        let order = Order::choose(&stage.world(), intent).await.unwrap().0;
        let id: RolloutId = "inc-1".parse().unwrap();
        let rollback = Rollback::open(stage.world(), id.clone(), order).await.unwrap();
        let begun = Arc::new(Notify::new());
        let beginning = Arc::clone(&begun);
        let rollback = rollback.on_record(move |_, _| beginning.notify_one());
        let run = tokio::spawn(rollback.run());
        begun.notified().await;
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        let sum = |name: &str| -> f64 {
            let all = series(&counted.render());
            all.iter().filter(|series| series.name == name).map(|series| series.value).sum()
        };
        assert_eq!(sum("tidegate_rollback_state"), 0.0);
        let hour = Duration::from_secs(3600);
        tokio::time::advance(hour).await;
        let rollback = Rollback::resume(stage.world(), &route, &id).await.unwrap().unwrap();
        let end = rollback.run().await.unwrap();
        assert_eq!(end.name(), "done", "{end}");
        assert!(sum("tidegate_rollback_state_seconds_sum") >= hour.as_secs_f64());
    });
}
