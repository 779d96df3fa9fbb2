//! `tidegate rollback hold|resume|stop|alarm|report`: what is asked of watches.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tidegate::{
    canary::{self, Gate, Release},
    metrics::{Criterion, Metric, Statistic},
    registry::ModelStore as _,
    rollback::{Guard, Intent, Ledger, Order, Rollback, State, Target, Vigil, Vigilance, Watch},
};

use super::candidates::promoted;
use crate::rollouts::stage::{ROUTE, Stage, until};

/// A watch that finds nothing to complain of.
fn watch(stage: &Stage) -> Watch {
    let mut watch = Watch::new(ROUTE.parse().unwrap(), stage.candidate.clone());
    watch.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
    watch.recovery = None;
    (watch.window, watch.span) = (Duration::from_millis(50), Duration::from_secs(1));
    watch
}

fn opened(stage: &Stage) -> Guard {
    let opened = Guard::open(stage.world(), "watch-1".parse().unwrap(), watch(stage));
    stage.runtime.block_on(opened).unwrap()
}

#[test]
fn a_rollback_is_called_off_from_anywhere_until_traffic_moves() {
    let stage = promoted();
    let abort = |reason: &str| {
        stage.desk.run(&["rollback", "abort", "--route", ROUTE, "--reason", reason, "--by", "bob"])
    };
    abort("x").is(1).says(&["no rollback was ever opened"]);
    let (name, target) = ("fraud".parse().unwrap(), Target::Back(NonZeroUsize::MIN));
    let (world, route) = (stage.world(), ROUTE.parse().unwrap());
    let intent = Intent::new(route, name, "it is slow").to(target);
    let (order, _) = stage.runtime.block_on(Order::choose(&world, intent)).unwrap();
    let opened = stage.runtime.block_on(Rollback::open(world, "inc-1".parse().unwrap(), order)).unwrap();
    let off = abort("it is the network").is(0).out;
    assert!(off.starts_with("rollback inc-1 is called off by bob: it is the network"), "{off}");
    let end = stage.runtime.block_on(opened.run()).unwrap();
    assert!(matches!(end, State::Aborted { .. }), "{end}");
    abort("it is the network").is(1).says(&["inc-1 can be called off only until traffic goes"]);
    let report = stage.desk.run(&["rollback", "report", ROUTE, "--markdown"]).is(0).out;
    assert!(report.contains("called off by bob: it is the network"), "{report}");
}

/// Nobody judges any more what a rollout has left that a rollback took the route from: the command that ends that is said.
#[test]
fn what_is_called_off_says_how_the_split_of_a_rollout_comes_home() {
    const COMMAND: &str =
        "tidegate rollback run fraud --route serving/fraud --to fraud@1.1.0 --environment FILE --reason …";
    for json in [false, true] {
        let stage = promoted();
        let model = "fraud@1.2.0".parse().unwrap();
        let next = Release::from(&stage.runtime.block_on(stage.store.manifest(&model)).unwrap());
        let plan = stage.plan(|spec| {
            (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
            spec.steps[0].gates = vec![Gate::Approval];
        });
        let (driven, _handle) = stage.drive("ci-2", plan);
        stage.once("the gate", |status| status["awaitsPerson"] == true);

        let world = stage.world();
        let intent = Intent::new(ROUTE.parse().unwrap(), "fraud".parse().unwrap(), "it is slow");
        let (order, _) = stage.runtime.block_on(Order::choose(&world, intent)).unwrap();
        drop(stage.runtime.block_on(Rollback::open(world, "inc-1".parse().unwrap(), order)).unwrap());
        let superseded = stage.runtime.block_on(driven).unwrap();
        assert!(matches!(superseded, Err(canary::Error::Superseded)), "{superseded:?}");

        let abort = ["rollback", "abort", "--route", ROUTE, "--reason", "it is the network"];
        if json {
            let off = stage.desk.json(&abort);
            assert_eq!((&off["id"], &off["command"]), (&"inc-1".into(), &COMMAND.into()), "{off}");
            assert!(off["said"].as_str().unwrap().contains("nobody judges the traffic"), "{off}");
        } else {
            let off = stage.desk.run(&abort).is(0).out;
            assert!(off.contains("nobody judges the traffic that it has left"), "{off}");
            assert!(off.ends_with(&format!("\n  {COMMAND}\n")), "{off}");
        }
    }
}

#[test]
fn a_watch_is_spoken_to_from_anywhere() {
    let stage = promoted();
    let ask =
        |verb: &str, more: &[&str]| stage.desk.run(&[&["rollback", verb, "--route", ROUTE], more].concat());
    ask("hold", &["--reason", "x"]).is(1).says(&["no watch was ever opened"]);

    let guard = opened(&stage);
    let guarding = stage.runtime.spawn(guard.looking_every(Duration::from_millis(20)).run());
    let state = || {
        let route = ROUTE.parse().unwrap();
        let ledger = Ledger::<Vigil>::open(Arc::new(stage.store.clone()), &route);
        stage.runtime.block_on(ledger).unwrap().latest().unwrap().1.state().clone()
    };
    let held = ask("hold", &["--reason", "a migration runs", "--by", "bob"]).is(0).out;
    assert!(held.contains("does nothing without a person, says bob: a migration runs"), "{held}");
    ask("hold", &["--reason", " "]).is(2);
    ask("alarm", &["--reason", "it burns", "--by", "pager"]).is(0);
    assert!(matches!(state(), Vigilance::Held { .. }), "an alarm does not overrule a person");
    ask("resume", &[]).is(0);
    ask("resume", &[]).is(1).says(&["nobody holds it"]);
    // 1.0.0 never finished its bake, so there is nowhere to go by itself.
    ask("alarm", &["--reason", "it burns", "--by", "pager"]).is(0);
    let nowhere =
        |state: &Vigilance| matches!(state, Vigilance::Held { why, .. } if why.contains("known to be good"));
    until("nowhere to go", || Some(state()).filter(nowhere));
    // Neither is there for a person, but who keeps the watch has looked for it at once.
    let now = ask("alarm", &["--reason", "it burns", "--now"]).is(0).out;
    assert!(now.starts_with("asked; the watch does nothing without a person"), "{now}");
    let report = stage.desk.run(&["rollback", "report", ROUTE, "--markdown"]).is(0).out;
    assert!(
        report.contains("| pager | says that something is wrong: it burns |")
            && report.contains("never finished its bake"),
        "{report}"
    );
    stage.desk.run(&["rollback", "report", ROUTE, "-o", "incident.html"]).is(0);
    assert!(std::fs::read_to_string(stage.desk.path("incident.html")).unwrap().contains("<!DOCTYPE html>"));
    let stopped = ask("stop", &["--reason", "enough"]).is(0).out;
    assert!(stopped.contains("stopped by"), "{stopped}");
    let end = stage.runtime.block_on(guarding).unwrap().unwrap();
    assert!(matches!(end, Vigilance::Stopped { .. }), "{end}");
}

#[test]
fn who_asks_a_watch_that_nobody_keeps_is_told_so() {
    let stage = promoted();
    drop(opened(&stage));
    let now = ["rollback", "alarm", "--route", ROUTE, "--reason", "it burns", "--now"];
    let run = stage.desk.run(&now).is(5).out;
    for words in [
        "asked; the watch is to go back, since alice says so: it burns",
        "nobody has acted on it for 8 s",
        "the line of its journal before was",
        "start `tidegate rollback watch`",
        "tidegate rollback run fraud --route serving/fraud --environment FILE",
    ] {
        assert!(run.contains(words), "{words:?} is missing: {run}");
    }
    // What is asked without that is on record, and no more was wanted.
    stage.desk.run(&["rollback", "stop", "--route", ROUTE, "--reason", "enough"]).is(0);
}

#[test]
fn what_is_not_there_is_not_found() {
    let stage = Stage::new();
    stage
        .desk
        .run(&["rollback", "hold", "--route", ROUTE, "--reason", "x"])
        .is(1)
        .says(&["no watch was ever opened"]);
    stage.desk.run(&["rollback", "status", "--route", ROUTE]).is(1).says(&["no watch was ever opened"]);
    stage.desk.run(&["rollback", "report", ROUTE]).is(1).says(&["no watch or rollback of serving/fraud"]);
    let json = stage.desk.run(&["rollback", "report", ROUTE, "--id", "w-7", "--json"]).is(1).out;
    assert!(json.contains("\"kind\": \"not-found\"") && json.contains("`w-7`"), "{json}");
}
