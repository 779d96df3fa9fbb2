//! What is asked of a rollout from elsewhere, by its journal.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tidegate::canary::{Calendar, Cause, Gate, State, Weight};

use super::stage::{ROUTE, Stage, until};

#[test]
fn a_gate_opens_for_exactly_what_was_looked_at() {
    let stage = Stage::new();
    let (driven, _handle) = stage.drive("ci-1", stage.gated());
    let status = stage.once("the gate", |status| status["awaitsPerson"] == true);
    assert_eq!((&status["state"], &status["step"]), (&json!("under-way"), &json!(1)));
    assert_eq!(status["weights"], json!({ "stable": "90%", "candidate": "10%" }));
    assert_eq!(status["obstacles"][0]["isForAPerson"], true);
    assert_eq!(status["judgements"][0]["verdict"], "pass");

    let digest = stage.candidate.digest.hex();
    let shown = stage.rollout(&["approve"]).is(1);
    assert!(shown.out.contains("nothing is approved yet") && shown.out.contains(&digest), "{shown:?}");
    assert!(shown.out.contains(&format!("--digest {}", &digest[..12])), "{shown:?}");
    stage.rollout(&["approve", "--digest", &digest[..11]]).is(2).says(&["12 hex digits"]);
    let other = stage.stable.digest.hex();
    stage.rollout(&["approve", "--digest", &other]).is(2).says(&["fraud@1.1.0", &digest, "look at this one"]);
    stage.rollout(&["approve", "--digest", &digest, "--by", ""]).is(2).says(&["--by"]);
    assert_eq!(stage.status()["awaitsPerson"], true, "nobody has approved");

    let approved = stage.rollout(&["approve", "--digest", &digest[..12], "--by", "bob"]).is(0);
    assert!(approved.out.starts_with("approve: rollout ci-1 is "), "{approved:?}");
    assert_eq!(stage.end(driven), State::Promoted);
    let status = stage.rollout(&["status"]).is(0).out;
    assert!(status.contains("PROMOTED") && status.contains("fraud@1.1.0 is in production"), "{status}");
    let journal = stage.rollout(&["watch"]).is(0).out;
    assert!(journal.contains(&format!("bob approved {}", &digest[..12])), "{journal}");
    stage.rollout(&["abort", "--reason", "too late"]).is(1).says(&["it is over"]);
}

#[test]
fn it_is_paused_resumed_skipped_and_aborted() {
    let stage = Stage::new();
    let plan = stage.plan(|spec| spec.steps[0].soak = Duration::from_secs(3600));
    let (driven, _handle) = stage.drive("ci-2", plan);
    stage.once("the first step", |status| status["step"] == 1 && status["moving"] == false);
    let paused = stage.rollout(&["pause"]).is(0).out;
    assert!(paused.contains("somebody holds it") && paused.contains("rollout resume"), "{paused}");
    stage.rollout(&["skip", "--reason", "x"]).is(1).says(&["resume it first"]);
    stage.rollout(&["resume"]).is(0);
    stage.rollout(&["resume"]).is(1).says(&["nobody has paused it"]);
    stage.rollout(&["approve", "--digest", &stage.candidate.digest.hex()]).is(1).says(&["no gate to open"]);
    stage.rollout(&["skip"]).is(2).says(&["--reason"]);
    stage.rollout(&["skip", "--reason", " "]).is(2).says(&["somebody will ask"]);
    stage.rollout(&["abort", "--reason", "alerts fire", "--by", "bob"]).is(0);
    let State::RolledBack { cause } = stage.end(driven) else { panic!("it went on") };
    assert_eq!(cause, Cause::Requested { by: "bob".to_owned(), reason: "alerts fire".to_owned() });
    let status = stage.rollout(&["status"]).is(1).out;
    assert!(status.contains("rolled back to fraud@1.0.0: bob asked for it: alerts fire"), "{status}");
    let journal = stage.rollout(&["watch"]).is(1).out;
    assert!(journal.lines().last().is_some_and(|line| line.contains("rolled back")), "{journal}");
}

#[test]
fn it_is_skipped_promoted_rejected_and_replaced() {
    let stage = Stage::new();
    let long = |soak| stage.plan(|spec| spec.steps[0].soak = Duration::from_secs(soak));

    // To another plan for the same route, under the same id.
    let (driven, handle) = stage.drive("ci-3", long(3600));
    stage.once("the first step", |status| status["step"] == 1 && status["moving"] == false);
    let mut other = stage.gated().spec().clone();
    other.steps[0].weight = Weight::percent(20).unwrap();
    let mut other = serde_json::to_value(other).unwrap();
    other["candidate"] = json!("fraud@~1.2");
    stage.desk.write("other.json", other.to_string().as_bytes());
    stage.desk.run(&["rollout", "replace", "other.json", "--id", "ci-2"]).is(2).says(&["ci-3"]);
    stage.desk.run(&["rollout", "replace", "other.json"]).is(0);
    let status = stage.once("the other gate", |status| status["awaitsPerson"] == true);
    assert_eq!((&status["id"], &status["candidate"]["model"]), (&json!("ci-3"), &json!("fraud@1.2.0")));
    assert_eq!(status["weights"]["candidate"], "20%");
    stage.rollout(&["reject", "--reason", "answers are rude"]).is(0);
    let State::RolledBack { cause } = stage.end(driven) else { panic!("it went on") };
    assert_eq!(cause, Cause::Rejected { by: "alice".to_owned(), reason: "answers are rude".to_owned() });
    drop(handle);

    let (driven, _handle) = stage.drive("ci-4", long(3600));
    stage.once("the first step", |status| status["step"] == 1 && status["moving"] == false);
    stage.rollout(&["skip", "--reason", "proven in staging"]).is(0);
    assert_eq!(stage.end(driven), State::Promoted);
}

#[test]
fn a_freeze_is_overridden_and_a_broken_stable_left_behind() {
    let stage = Stage::new();
    #[expect(clippy::disallowed_methods, reason = "a freeze is on the clock of the world")]
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let plan = stage.plan(|spec| {
        spec.freeze = vec![Calendar::once(now - hour, now + hour).unwrap()];
        spec.steps[0].soak = hour;
    });
    let (driven, _handle) = stage.drive("ci-5", plan);
    let status =
        stage.once("the freeze", |status| status["obstacles"].as_array().is_some_and(|o| !o.is_empty()));
    assert_eq!(status["obstacles"][0]["isForAPerson"], false);
    assert!(status["obstacles"][0]["why"].as_str().unwrap().contains("a freeze is on"), "{status}");
    stage.rollout(&["override", "--reason", "security fix"]).is(0);
    stage.once("the first step", |status| status["step"] == 1 && status["moving"] == false);
    stage.rollout(&["promote", "--reason", "stable is broken"]).is(0);
    assert_eq!(stage.end(driven), State::Promoted);
}

#[test]
fn what_nobody_opened_cannot_be_asked() {
    let stage = Stage::new();
    let asks: [&[&str]; 5] = [&["status"], &["watch"], &["pause"], &["approve"], &["abort", "--reason", "x"]];
    for ask in asks {
        stage.rollout(ask).is(1).says(&["no rollout was ever opened"]);
    }
    let (driven, _handle) = stage.drive("ci-6", stage.gated());
    stage.once("the gate", |status| status["awaitsPerson"] == true);
    for ask in asks {
        stage.rollout(&[ask, &["--id", "ci-7"]].concat()).is(2).says(&["ci-7", "ci-6"]);
        stage
            .desk
            .run(&[&["rollout"], ask, &["--route", "serving/other"]].concat())
            .is(1)
            .says(&["no rollout"]);
        stage.desk.run(&[&["rollout"], ask].concat()).is(2).says(&["--route"]);
        stage
            .desk
            .run(&[&["rollout"], ask, &["plan.yaml", "--route", ROUTE]].concat())
            .is(2)
            .says(&["--route"]);
        stage
            .desk
            .run(&[&["rollout"], ask, &["none.yaml"]].concat())
            .is(2)
            .says(&["none.yaml", "cannot be read"]);
    }
    // By the plan, too.
    let plan = serde_json::to_string(&stage.gated()).unwrap();
    stage.desk.write("plan.json", plan.as_bytes());
    stage.desk.run(&["rollout", "abort", "plan.json", "--id", "ci-6", "--reason", "x"]).is(0);
    assert!(matches!(stage.end(driven), State::RolledBack { .. }));
}

#[test]
fn reports_are_of_one_rollout_or_of_all() {
    let stage = Stage::new();
    stage.desk.run(&["report", ROUTE]).is(1).says(&["no rollout"]);
    let (driven, handle) = stage.drive("ci-8", stage.plan(|spec| spec.steps[0].gates = vec![Gate::Approval]));
    stage.once("the gate", |status| status["awaitsPerson"] == true);
    stage.rollout(&["abort", "--reason", "x"]).is(0);
    stage.end(driven);
    drop(handle);
    let (driven, _handle) = stage.drive("ci-9", stage.plan(|_| ()));
    stage.end(driven);

    let told = stage.desk.run(&["report", ROUTE, "-o", "report.html"]).is(0).out;
    assert!(told.starts_with("wrote report.html: "), "{told}");
    let page = std::fs::read_to_string(stage.desk.path("report.html")).unwrap();
    assert!(page.contains("ci-9") && page.contains("promoted") && !page.contains("ci-8"));
    let page = stage.desk.run(&["report", ROUTE, "--id", "ci-8"]).is(0).out;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("ci-8") && !page.contains("ci-9"));
    let page = stage.desk.run(&["report", ROUTE, "--all"]).is(0).out;
    assert!(page.contains("ci-8") && page.contains("ci-9"));
    stage.desk.run(&["report", ROUTE, "--id", "ci-1"]).is(2).says(&["ci-1", "ci-8", "ci-9"]);
    until("the same again", || stage.rollout(&["status"]).is(0).out.contains("PROMOTED").then_some(()));
}
