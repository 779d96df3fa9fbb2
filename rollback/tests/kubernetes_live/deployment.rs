//! Deployments.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tidegate_canary::{Deployer, Readiness, Slot, Weight, Workload, testkit::fence};
use tidegate_rollback::{State, Step};

use crate::{
    cluster::{Cluster, rights::said, until},
    ground::{DEPLOYMENT, Ground, image},
    while_pods_run, with_rights,
};

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn deployments_on_a_kube_apiserver_come_back_by_digest() {
    let cluster = with_rights().await;
    while_pods_run(
        &cluster,
        Box::pin(async {
            Box::pin(from_an_image_that_cannot_be_pulled_all_of_the_template_comes_back(&cluster)).await;
            a_deadline_that_had_passed_before_is_not_that_of_the_target(&cluster).await;
            from_pods_that_crash_again_and_again(&cluster).await;
            where_the_second_newest_revision_is_the_one_that_was_rolled_back_from(&cluster).await;
            one_that_is_paused_is_said_to_be(&cluster).await;
            a_release_that_is_gone_from_the_history_is_said_to_be(&cluster).await;
            while_somebody_else_writes_it_all_the_time(&cluster).await;
            a_target_that_crashes_is_told_with_what_its_pods_say(&cluster).await;
        }),
    )
    .await;
}

async fn from_an_image_that_cannot_be_pulled_all_of_the_template_comes_back(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let good = ground.deploy_good("fraud@1.0.0").await;
    let before = ground.object().await;
    let bad = ground.deploy("fraud@1.1.0", "-bad", |_| {}).await;
    cluster.merge(DEPLOYMENT, &json!({"metadata": {"annotations": {"scaler.example/seen": "7"}}})).await;
    a_drill_asks_and_changes_nothing(&ground).await;
    ground.comes_back_to("inc-1", &good).await;
    let after = ground.object().await;
    assert_eq!(after["spec"], before["spec"], "containers, init containers, env, volumes and labels");
    let annotations = &after["metadata"]["annotations"];
    assert_eq!(annotations["scaler.example/seen"], "7");
    let cause = annotations["kubernetes.io/change-cause"].as_str().unwrap();
    assert!(cause.contains("fraud@1.0.0") && cause.contains(&good.digest.to_string()), "{cause}");
    let applied = annotations["kubectl.kubernetes.io/last-applied-configuration"].as_str().unwrap();
    assert!(applied.contains("1.1.0"), "what `kubectl apply` keeps there is its own");

    let late = Workload { slot: Slot::Stable, release: good.clone(), share: Weight::FULL };
    ground.deployer.ensure(&late, fence(50)).await.unwrap();
    let other = Workload { release: bad, ..late.clone() };
    for late in [&late, &other] {
        let error = ground.deployer.ensure(late, fence(49)).await.unwrap_err();
        assert!(said(&error).contains("fence 49 is older than 50"), "{}", said(&error));
    }
    assert!(ground.deployer.remove(Slot::Candidate, fence(49)).await.is_err(), "it was superseded");
    ground.deployer.remove(Slot::Candidate, fence(50)).await.unwrap();
    assert!(
        said(&ground.deployer.remove(Slot::Stable, fence(50)).await.unwrap_err()).contains("not removed")
    );
    let candidate = Workload { slot: Slot::Candidate, ..late };
    let error = ground.deployer.ensure(&candidate, fence(99)).await.unwrap_err();
    assert!(said(&error).contains("no candidate slot"), "{}", said(&error));
    assert_eq!(ground.object().await["spec"], after["spec"]);
    ground.clear().await;
}

async fn a_drill_asks_and_changes_nothing(ground: &Ground<'_>) {
    // It numbers the revision when it sees it.
    ground.is_seen_by_its_controller().await;
    let before = ground.object().await;
    let rehearsal = ground.drill().await;
    assert!(rehearsal.succeeded(), "{rehearsal:?}");
    let steps: Vec<_> = rehearsal.parts.iter().map(|part| (part.step, part.untried.is_none())).collect();
    let tried = [Step::Verify, Step::Record, Step::Rehearse, Step::Provision, Step::Route];
    assert_eq!(steps, tried.map(|step| (step, step != Step::Provision)));
    let after = ground.object().await;
    for part in ["spec", "metadata"] {
        // The controller goes on with its status meanwhile.
        let settled = |object: &Value| {
            let mut part = object[part].clone();
            part.as_object_mut()
                .unwrap()
                .retain(|key, _| !matches!(&**key, "managedFields" | "resourceVersion"));
            part
        };
        assert_eq!(settled(&after), settled(&before));
    }
}

async fn a_deadline_that_had_passed_before_is_not_that_of_the_target(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let impatient = |object: &mut Value| {
        object["spec"]["replicas"] = 1.into();
        object["spec"]["progressDeadlineSeconds"] = 4.into();
    };
    let good = ground.deploy("fraud@1.0.0", "", impatient).await;
    ground.becomes_ready(&good).await;
    ground.settle(&good).await;
    let bad = ground.deploy("fraud@1.1.0", "-bad", impatient).await;
    let seen = ground.sees(|seen| matches!(seen, Readiness::Failed { .. })).await;
    let Readiness::Failed { release, why } = seen else { unreachable!() };
    assert_eq!(release, bad);
    for word in ["ProgressDeadlineExceeded", "ImagePullBackOff (no such tag)"] {
        assert!(why.contains(word), "{why}");
    }
    ground.comes_back_to("inc-1", &good).await;
    ground.clear().await;
}

async fn from_pods_that_crash_again_and_again(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let good = ground.deploy_good("fraud@1.0.0").await;
    let bad = ground.deploy("fraud@1.1.0", "-crash", |_| {}).await;
    let seen = ground.sees(|seen| matches!(seen, Readiness::Failed { .. })).await;
    let Readiness::Failed { release, why } = seen else { unreachable!() };
    assert_eq!(release, bad);
    assert!(why.contains("crashes again and again") && why.contains("exit code 139"), "{why}");
    ground.comes_back_to("inc-1", &good).await;
    ground.clear().await;
}

async fn where_the_second_newest_revision_is_the_one_that_was_rolled_back_from(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let older = ground.deploy_good("fraud@0.9.0").await;
    let good = ground.deploy_good("fraud@1.0.0").await;
    let bad = ground.deploy("fraud@1.1.0", "", |_| {}).await;
    ground.becomes_ready(&bad).await;
    ground.comes_back_to("inc-1", &good).await;
    let second = second_newest(cluster).await;
    assert_eq!(second, image(&bad, ""), "`kubectl rollout undo` would go there");
    ground.comes_back_to("inc-2", &older).await;
    ground.clear().await;
}

async fn one_that_is_paused_is_said_to_be(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let good = ground.deploy_good("fraud@1.0.0").await;
    let bad = ground.deploy("fraud@1.1.0", "", |_| {}).await;
    ground.becomes_ready(&bad).await;
    cluster.kubectl(&["rollout", "pause", "deployment/fraud", "-n", "serving"]);
    let before = ground.object().await["spec"].clone();
    let why = ground.nowhere_to_go().await;
    let stuck = ground.roll_back_unasked("inc-1").await;
    let words = stuck.to_string();
    assert!(matches!(stuck, State::Stuck { .. }), "{words}");
    for said in [&why, &words] {
        assert!(said.contains("kubectl rollout resume deployment/fraud -n serving"), "{said}");
    }
    assert_eq!(ground.object().await["spec"], before);
    cluster.kubectl(&["rollout", "resume", "deployment/fraud", "-n", "serving"]);
    ground.comes_back_to("inc-2", &good).await;
    ground.clear().await;
}

async fn a_release_that_is_gone_from_the_history_is_said_to_be(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let short = |object: &mut Value| object["spec"]["revisionHistoryLimit"] = 0.into();
    let good = ground.deploy("fraud@1.0.0", "", short).await;
    ground.becomes_ready(&good).await;
    ground.settle(&good).await;
    let bad = ground.deploy("fraud@1.1.0", "", short).await;
    ground.becomes_ready(&bad).await;
    let replica_sets = "apis/apps/v1/namespaces/serving/replicasets?labelSelector=app=fraud";
    until("one ReplicaSet is left", async || {
        match cluster.get(replica_sets).await["items"].as_array().unwrap().len() {
            1 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    let before = ground.object().await["spec"].clone();
    let why = ground.nowhere_to_go().await;
    let words = ground.roll_back_unasked("inc-1").await.to_string();
    for word in ["none of its revisions runs fraud@1.0.0", "they run fraud@1.1.0", "revisionHistoryLimit"] {
        assert!(why.contains(word) && words.contains(word), "{why}; {words}");
    }
    assert_eq!(ground.object().await["spec"], before);
    ground.clear().await;
}

async fn while_somebody_else_writes_it_all_the_time(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    let good = ground.deploy_good("fraud@1.0.0").await;
    ground.deploy("fraud@1.1.0", "-crash", |_| {}).await;
    let count = AtomicU64::new(0);
    let busy = async {
        loop {
            let n = count.fetch_add(1, Ordering::Relaxed).to_string();
            let write =
                |object: &mut Value| object["metadata"]["annotations"]["scaler.example/n"] = n.clone().into();
            cluster.edit(DEPLOYMENT, write).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let end = tokio::select! {
        end = ground.roll_back("inc-1") => end,
        end = busy => end,
    };
    assert!(matches!(end, State::Done { .. }), "{end}");
    // Each annotation is a new generation of a Deployment, with which its controller has to catch up.
    ground.becomes_ready(&good).await;
    ground.is_back_at(&good).await;
    let writes = count.into_inner();
    assert!(writes > 1, "nobody was in the way: {writes}");
    let seen =
        ground.object().await["metadata"]["annotations"]["scaler.example/n"].as_str().unwrap().to_owned();
    assert!(seen.parse::<u64>().unwrap() + 3 > writes, "what the other wrote is there");
    ground.clear().await;
}

async fn a_target_that_crashes_is_told_with_what_its_pods_say(cluster: &Cluster) {
    let ground = Ground::deployment(cluster);
    // It was good once; by now what it fetches at its start is gone.
    let good = ground.deploy("fraud@1.0.0", "-crash", |_| {}).await;
    ground.settle(&good).await;
    ground.sees(|seen| matches!(seen, Readiness::Failed { .. })).await;
    let bad = ground.deploy("fraud@1.1.0", "", |_| {}).await;
    ground.becomes_ready(&bad).await;
    let stuck = ground.roll_back("inc-1").await;
    let words = stuck.to_string();
    assert!(matches!(stuck, State::Stuck { .. }), "{words}");
    for word in
        ["replacing what is to be left", "fraud@1.0.0 does not run", "CrashLoopBackOff", "mend what keeps"]
    {
        assert!(words.contains(word), "{words}");
    }
    ground.clear().await;
}

/// The image of the revision to which `kubectl rollout undo` goes.
async fn second_newest(cluster: &Cluster) -> String {
    let sets = cluster.get("apis/apps/v1/namespaces/serving/replicasets?labelSelector=app=fraud").await;
    let mut sets = sets["items"].as_array().unwrap().clone();
    let number = |set: &Value| {
        let revision = &set["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        revision.as_str().unwrap().parse::<u64>().unwrap()
    };
    sets.sort_by_key(number);
    let second = &sets[sets.len() - 2]["spec"]["template"]["spec"]["containers"][0]["image"];
    second.as_str().unwrap().to_owned()
}
