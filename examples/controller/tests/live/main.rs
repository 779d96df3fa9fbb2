//! Replicas of the controller against a real API server, with the real controllers and the rights of the examples.
//!
//! ```text
//! KUBEBUILDER_ASSETS=… cargo test -p tidegate-controller --test live -- --ignored
//! ```

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]
#![expect(clippy::future_not_send, reason = "a test runs in one thread")]
#![expect(clippy::print_stdout, reason = "for people who look at the test's output")]

#[path = "../../../../canary/tests/cluster/mod.rs"]
mod cluster;
mod ground;
#[path = "../../../../tests/ports/mod.rs"]
mod ports;
mod prometheus;

use std::{collections::BTreeSet, future::Future, time::Duration};

use serde_json::{Value, json};
use tidegate::{
    canary::{Deployer, Event, Readiness, Record, Request, Slot},
    registry::{Channel, ModelName},
};
use tokio::time::Instant;

use crate::ground::{Ground, LEASE, NAMES, Replica, until};

/// 20 %, 50 %, all; each at least two windows of half a second.
fn canary(version: &str) -> Value {
    let limit = json!({"limit": {"statistic": "share", "bound": {"atMost": 0.05}}});
    let criteria = json!([{"metric": "errors", "rule": limit}]);
    json!({
        "version": version,
        "plan": {
            "steps": [
                {"weight": "20%", "soak": "1s"},
                {"weight": "50%", "soak": "3s", "require": "pass"},
                {"weight": "100%", "soak": "1s"},
            ],
            "criteria": criteria,
            "bakeCriteria": criteria,
            "timing": {"window": "500ms", "lag": "300ms", "bake": "1s", "drain": "500ms", "verify": "0s"},
        },
    })
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_sees_releases_through_although_replicas_are_lost() {
    let ground = Ground::new().await;
    during(&ground, async {
        ground.publish(&["1.0.0", "1.1.0", "1.2.0"]).await;
        let mut replicas: Vec<_> = NAMES.map(|name| ground.start(name)).into();
        ground.apply(&canary("1.0.0"));
        let rest =
            ground.reaches("1.0.0 is in service", |status| condition(status, "Ready").0 == "True").await;
        assert_eq!((&rest["state"], &rest["stable"]), (&json!("InService"), &json!("1.0.0")));
        nothing_is_written_at_rest(&ground, &replicas[0]).await;

        ground.apply(&canary("1.1.0"));
        let holder = replicas.swap_remove(holder_in_step_2(&ground, &replicas).await);
        seen(&ground, &["get", "releases", "-n", "serving"]);
        let name = holder.name;
        holder.kill();
        is_seen_through(&ground, &replicas[0], "1.1.0", 2).await;
        seen(&ground, &["get", "releases", "-n", "serving", "-o", "wide"]);
        seen(&ground, &["describe", "release", "fraud", "-n", "serving"]);

        replicas.push(ground.start(name));
        ground.apply(&canary("1.2.0"));
        let holder = replicas.swap_remove(holder_in_step_2(&ground, &replicas).await);
        holder.signal("STOP");
        is_seen_through(&ground, &replicas[0], "1.2.0", 3).await;
        // It has slept through the loss of its lease, and of the route.
        let rest = ground.traffic().await;
        holder.signal("CONT");
        holder.says(&["others may go on", "a driver stopped"]).await;
        holder.looks(2).await;
        done_once(&ground, 3).await;
        assert_eq!(ground.traffic().await, rest, "traffic was moved by one who had slept");
        assert!(ground.seen().iter().all(|seen| *seen == rest));

        nothing_is_written_at_rest(&ground, &holder).await;
        every_right_is_used(&ground);
        holder.stop();
        replicas.remove(0).stop();
    })
    .await;
}

/// Which of `replicas` drives the release once its second step is judged.
async fn holder_in_step_2(ground: &Ground, replicas: &[Replica]) -> usize {
    ground.seen();
    let status = ground.reaches("step 2 is judged", |status| status["step"] == "2/3").await;
    replicas.iter().position(|replica| status["holder"] == replica.name).unwrap()
}

/// `other` takes the release over and promotes `version`, which is the `moves`th to be in service.
async fn is_seen_through(ground: &Ground, other: &Replica, version: &str, moves: usize) {
    let lost = Instant::now();
    ground.reaches("the other replica drives it", |status| status["holder"] == other.name).await;
    let after = lost.elapsed();
    println!("it was taken over after {after:?}");
    // The lease is looked at every half a second, and the other has to read the journal.
    assert!(after < LEASE + Duration::from_secs(3), "it was taken over after {after:?}");
    let end = ground.reaches("it is promoted", |status| status["state"] == "Promoted").await;
    assert_eq!((&end["stable"], &end["verdict"]), (&json!(version), &json!("pass")));
    assert_eq!(condition(&end, "Ready"), ("True", "InService"));
    assert_eq!(end["holder"], Value::Null);
    let stable = ground.deployer().status(Slot::Stable).await.unwrap();
    assert!(matches!(stable, Readiness::Ready { release } if release.model.version().to_string() == version));
    done_once(ground, moves).await;
    let (weights, fences): (Vec<_>, Vec<_>) = ground.seen().into_iter().unzip();
    assert_eq!(weights, [0, 2_000, 5_000, 10_000, 0]);
    assert!(fences.is_sorted_by(|before, after| before < after), "{fences:?}");
}

/// Nothing was done twice: one opening, one taking over, each move of traffic and the promotion once.
async fn done_once(ground: &Ground, moves: usize) {
    let latest = ground.latest().await;
    let count = |is: &dyn Fn(&Record) -> bool| latest.iter().filter(|record| is(record)).count();
    assert_eq!(count(&|record| matches!(record, Record::Resume { .. })), 1);
    // To 20 %, 50 % and all of it, and to the renewed stable slot. Candidate and renewed stable become ready.
    let events =
        [("checked", 1), ("ready", 2), ("recorded", 1), ("removed", 1), ("routed", 4), ("settled", 1)];
    for (event, times) in events {
        let is = |record: &Record| matches!(record, Record::Happen(happened) if happened.name() == event);
        assert_eq!(count(&is), times, "{event}");
    }
    let name: ModelName = "fraud".parse().unwrap();
    let made = ground.channels().history(&name, &Channel::production()).await.unwrap();
    assert_eq!(made.len(), moves, "{made:?}");
}

/// What was still on its way is over soon; then the replica looks, and writes nothing.
async fn nothing_is_written_at_rest(ground: &Ground, replica: &Replica) {
    until("three looks pass without a write", async || {
        let before = writes(ground);
        replica.looks(3).await;
        (writes(ground) == before).then_some(())
    })
    .await;
}

fn writes(ground: &Ground) -> usize {
    let asked = ground.cluster.asked();
    asked.iter().filter(|asked| !["get", "list", "watch"].contains(&asked["verb"].as_str().unwrap())).count()
}

/// The rights of the examples are enough, as nothing was refused, and none of the controller's is there for nothing.
fn every_right_is_used(ground: &Ground) {
    let asked = ground.cluster.asked();
    let refused: Vec<_> = asked.iter().filter(|asked| asked["responseStatus"]["code"] == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let used: BTreeSet<_> = asked
        .iter()
        .map(|asked| {
            let object = &asked["objectRef"];
            let sub = object["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
            format!("{} {}{sub}", asked["verb"].as_str().unwrap(), object["resource"].as_str().unwrap())
        })
        .collect();
    let role = ["get", "role", "tidegate-controller", "-n", "serving", "-o", "json"];
    let role: Value = serde_json::from_str(&ground.cluster.kubectl(&role)).unwrap();
    for rule in role["rules"].as_array().unwrap() {
        for verb in rule["verbs"].as_array().unwrap() {
            let right = format!("{} {}", verb.as_str().unwrap(), rule["resources"][0].as_str().unwrap());
            // Only what is told a second time within minutes is patched.
            assert!(used.contains(&right) || right == "patch events", "{right} is not used: {used:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_is_told_what_is_wrong_and_people_decide_by_the_spec() {
    let ground = Ground::new().await;
    during(&ground, async {
        ground.publish(&["1.0.0", "1.1.0", "1.2.0", "1.3.0"]).await;
        let replica = ground.start(NAMES[0]);
        what_makes_no_sense_is_told(&ground).await;
        people_pause_resume_and_approve(&ground).await;
        what_fails_goes_back_and_is_tried_again_when_asked(&ground).await;
        another_version_takes_the_place_of_one_under_way(&ground).await;
        let replica = a_replica_that_is_stopped_hands_over(&ground, replica).await;
        a_release_that_is_deleted_returns_its_traffic(&ground).await;
        replica.stop();
    })
    .await;
}

async fn what_makes_no_sense_is_told(ground: &Ground) {
    let mut plan = canary("1.1.0");
    plan["plan"]["steps"][1]["weight"] = json!("10%");
    ground.apply(&plan);
    let status =
        ground.reaches("the plan is refused", |status| condition(status, "Degraded").0 == "True").await;
    assert_eq!(condition(&status, "Degraded"), ("True", "InvalidPlan"));
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("steps[1] shows no more to the candidate"), "{message}");
    // What has a shape that is wrong does not come so far.
    let refusal = ground.refusal(&json!({"spec": {"plan": {"steps": [{"weight": "lots"}]}}})).await;
    assert!(refusal.contains("spec.plan.steps.weight"), "{refusal}");
    let refusal = ground.refusal(&json!({"spec": {"plan": {"strategy": "hope"}}})).await;
    assert!(refusal.contains("spec.plan.strategy"), "{refusal}");
    ground.apply(&canary("7.0.0"));
    let told = |status: &Value| condition(status, "Degraded") == ("True", "NotPublished");
    let status = ground.reaches("the version is missed", told).await;
    assert!(status["message"].as_str().unwrap().contains("fraud@7.0.0"), "{status}");
    assert_eq!(ground.journal().await.len(), 0, "nothing had begun");
}

async fn people_pause_resume_and_approve(ground: &Ground) {
    let mut gated = canary("1.1.0");
    gated["plan"]["steps"][0]["gates"] = json!(["approval"]);
    ground.apply(&gated);
    let status = ground.reaches("it stands before the gate", |status| status["state"] == "AtGate").await;
    assert_eq!(condition(&status, "Progressing"), ("False", "Waiting"));
    let digest = &status["candidateDigest"];
    assert!(status["message"].as_str().unwrap().contains(digest.as_str().unwrap()), "{status}");

    ground.patch(&json!({"spec": {"paused": true}}));
    let paused = ["somebody holds it"];
    ground.reaches("it is paused", |status| status["pauses"] == json!(paused)).await;
    ground.patch(&json!({"spec": {"approve": {"digest": digest, "step": 1, "by": "ada"}, "paused": false}}));
    ground.reaches("it goes on", |status| status["step"] == "2/3" || status["state"] == "Promoted").await;
    ground.reaches("it is promoted", |status| status["state"] == "Promoted").await;
    let approved = |record: &Record| matches!(record, Record::Happen(Event::Ask(Request::Approve { by, .. })) if by == "ada");
    assert_eq!(ground.count(approved).await, 1);
    seen(ground, &["get", "releases", "-n", "serving"]);
}

async fn what_fails_goes_back_and_is_tried_again_when_asked(ground: &Ground) {
    ground.failing.set(300);
    ground.apply(&canary("1.2.0"));
    let status = ground.reaches("it is back", |status| status["state"] == "RolledBack").await;
    assert_eq!(condition(&status, "Degraded"), ("True", "RolledBack"));
    assert_eq!((&status["stable"], &status["verdict"]), (&json!("1.1.0"), &json!("fail")));
    assert_eq!(ground.traffic().await.0, 0);
    let opened = async || ground.count(|record| matches!(record, Record::Open { .. })).await;
    assert_eq!(opened().await, 2);
    // Something else is changed, which is no other attempt.
    let before = status["observedGeneration"].as_i64().unwrap();
    ground.patch(&json!({"spec": {"approve": {"digest": status["candidateDigest"], "step": 3}}}));
    let later = |status: &Value| status["observedGeneration"].as_i64() > Some(before);
    ground.reaches("the change is seen", later).await;
    assert_eq!(opened().await, 2);
    ground.patch(&json!({"spec": {"attempt": 1}}));
    until("it is tried again", async || (opened().await == 3).then_some(())).await;
    ground.patch(&json!({"spec": {"abort": "that is enough"}}));
    let back = |status: &Value| {
        status["state"] == "RolledBack" && status["message"].as_str().unwrap().contains("that is enough")
    };
    ground.reaches("it is back", back).await;
    assert_eq!(opened().await, 3);
}

async fn another_version_takes_the_place_of_one_under_way(ground: &Ground) {
    ground.failing.set(2);
    ground.patch(&json!({"spec": {"attempt": 2}}));
    let waits = |status: &Value| status["message"].as_str().unwrap().contains("spec.abort is set");
    ground.reaches("what was aborted stays so", waits).await;
    let mut slow = canary("1.2.0");
    slow["plan"]["steps"][0]["soak"] = json!("10m");
    slow["attempt"] = json!(2);
    slow["abort"] = Value::Null;
    ground.apply(&slow);
    ground.reaches("1.2.0 is judged", |status| status["state"] == "Analysing").await;
    let mut other = slow.clone();
    other["version"] = json!("1.3.0");
    ground.apply(&other);
    let other = |status: &Value| status["candidate"] == "1.3.0" && status["state"] == "Analysing";
    ground.reaches("1.3.0 is judged in its place", other).await;
    assert_eq!(ground.count(|record| matches!(record, Record::Open { .. })).await, 4);
    let replaced = |record: &Record| matches!(record, Record::Happen(Event::Ask(Request::Replace { .. })));
    assert_eq!(ground.count(replaced).await, 1);
    // What is under way stays on its route.
    ground.patch(&json!({"spec": {"route": {"name": "other"}}}));
    let told = |status: &Value| condition(status, "Degraded") == ("True", "RouteChanged");
    let status = ground.reaches("the other route is refused", told).await;
    assert_eq!((&status["route"], &status["state"]), (&json!("serving/fraud"), &json!("Analysing")));
    // Whoever wants what is in service gets it back.
    slow["version"] = json!("1.1.0");
    ground.apply(&slow);
    let status = ground.reaches("it is back", |status| condition(status, "Ready").0 == "True").await;
    assert_eq!((&status["stable"], &status["state"]), (&json!("1.1.0"), &json!("InService")));
}

async fn a_replica_that_is_stopped_hands_over(ground: &Ground, replica: Replica) -> Replica {
    let mut slow = canary("1.2.0");
    slow["plan"]["steps"][1]["soak"] = json!("10m");
    slow["attempt"] = json!(3);
    ground.apply(&slow);
    ground.reaches("half of the traffic is there", |status| status["weight"] == "50%").await;
    until("the route says so", async || (ground.traffic().await.0 == 5_000).then_some(())).await;
    let other = ground.start(NAMES[1]);
    replica.stop();
    let stopped = Instant::now();
    ground.reaches("the other drives it", |status| status["holder"] == other.name).await;
    // It need not wait until the lease expires.
    let after = stopped.elapsed();
    assert!(after < LEASE, "it was taken over after {after:?}");
    other
}

async fn a_release_that_is_deleted_returns_its_traffic(ground: &Ground) {
    ground.cluster.kubectl(&["delete", "release", "fraud", "-n", "serving", "--wait=false"]);
    let gone = async || {
        let path = "apis/tidegate.dev/v1alpha1/namespaces/serving/releases/fraud";
        ground.try_get(path).await.is_none().then_some(())
    };
    until("the release is gone", gone).await;
    assert_eq!(ground.traffic().await.0, 0);
    assert_eq!(ground.deployer().status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    let asked = |record: &Record| matches!(record, Record::Happen(Event::Ask(Request::Abort { reason, .. })) if reason.contains("deleted"));
    assert_eq!(ground.count(asked).await, 1);
}

/// Whether a condition holds, and its reason.
fn condition<'a>(status: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|condition| condition["type"] == kind);
    found.next().map_or(("Unknown", ""), |condition| {
        (condition["status"].as_str().unwrap(), condition["reason"].as_str().unwrap())
    })
}

/// Does `work` while pods run and the gateway accepts routes; tells what the replicas said if it fails.
async fn during(ground: &Ground, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = ground.cluster.run_pods() => {}
        () = ground.cluster.accept_everything() => {}
        () = ground.watch() => {}
    }
}

/// Shows what a person sees, in the test's output.
fn seen(ground: &Ground, arguments: &[&str]) {
    println!("$ kubectl {}\n{}", arguments.join(" "), ground.cluster.kubectl(arguments));
}
