//! What pods say of why they are not ready.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde::Deserialize;

use super::rollout::release;
use crate::{Release, kubernetes::clip::clip};

/// How many different troubles are told.
const TROUBLES: usize = 3;
/// How often a container may end before it is said to crash again and again.
const RESTARTS: u32 = 3;

/// The few fields of a Pod that matter here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Pod {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    init_container_statuses: Vec<Container>,
    container_statuses: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    name: String,
    ready: bool,
    restart_count: u32,
    state: State,
    last_state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<Running>,
    terminated: Option<Ended>,
    waiting: Option<Waiting>,
}

#[derive(Deserialize)]
struct Running {}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ended {
    exit_code: i64,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Waiting {
    message: String,
    reason: String,
}

/// The commonest troubles of those of `pods` that run `wanted`, or nothing.
pub(in crate::kubernetes) fn troubles(pods: &[DynamicObject], wanted: &Release) -> Option<String> {
    let runs = |pod: &&DynamicObject| {
        let annotations = pod.metadata.annotations.as_ref();
        annotations.is_some_and(|annotations| release(annotations).is_ok_and(|runs| runs == *wanted))
    };
    commonest(pods.iter().filter(runs))
}

/// The commonest troubles of `pods`, or nothing.
pub(in crate::kubernetes) fn commonest<'a>(pods: impl Iterator<Item = &'a DynamicObject>) -> Option<String> {
    let mut counts: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for pod in pods {
        let Some((what, message)) = Pod::deserialize(&pod.data).ok().and_then(|pod| pod.trouble()) else {
            continue;
        };
        counts.entry(what).or_insert((0, message)).0 += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let told = counts.into_iter().take(TROUBLES).map(|(what, (count, message))| {
        let message = if message.is_empty() { message } else { format!(" ({message})") };
        let pods = if count == 1 { "pod" } else { "pods" };
        format!("{count} {pods}: {what}{message}")
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Whether a container of `pod` has crashed again and again, and waits to be started once more.
pub(in crate::kubernetes) fn crashes(pod: &DynamicObject) -> bool {
    Pod::deserialize(&pod.data).is_ok_and(|pod| {
        let Status { init_container_statuses, container_statuses, .. } = pod.status;
        let mut containers = init_container_statuses.into_iter().chain(container_statuses);
        containers.any(|container| {
            let waits = container.state.waiting.is_some_and(|waiting| waiting.reason == "CrashLoopBackOff");
            waits && container.restart_count >= RESTARTS
        })
    })
}

/// Whether `pod` gets requests.
pub(in crate::kubernetes) fn is_ready(pod: &DynamicObject) -> bool {
    Pod::deserialize(&pod.data).is_ok_and(|pod| {
        pod.status.conditions.iter().any(|said| said.r#type == "Ready" && said.status == "True")
    })
}

impl Pod {
    fn trouble(&self) -> Option<(String, String)> {
        let Status { conditions, init_container_statuses, container_statuses } = &self.status;
        let unplaced = conditions.iter().find(|said| said.r#type == "PodScheduled" && said.status == "False");
        if let Some(unplaced) = unplaced {
            return Some((clip(&unplaced.reason, 60), clip(&unplaced.message, 200)));
        }
        let initial = init_container_statuses.iter().filter(|container| !container.done());
        initial.chain(container_statuses).find_map(Container::trouble)
    }
}

impl Container {
    /// Whether it has done what an init container is to do.
    fn done(&self) -> bool {
        self.state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0)
    }

    fn trouble(&self) -> Option<(String, String)> {
        let name = clip(&self.name, 63);
        let ended = |ended: &Ended| format!("{} with exit code {}", clip(&ended.reason, 60), ended.exit_code);
        let State { running, terminated, waiting } = &self.state;
        if let Some(waiting) = waiting {
            let before = self.last_state.terminated.as_ref();
            let before = before.map(|before| format!(", last {}", ended(before))).unwrap_or_default();
            let what = format!("container `{name}` waits in {}{before}", clip(&waiting.reason, 60));
            return Some((what, clip(&waiting.message, 200)));
        }
        if let Some(terminated) = terminated {
            return Some((format!("container `{name}` ended: {}", ended(terminated)), String::new()));
        }
        (running.is_some() && !self.ready)
            .then(|| (format!("container `{name}` runs but is not ready"), String::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::rollout::{DIGEST, RELEASE},
        *,
    };

    fn wanted() -> Release {
        Release { model: "fraud@1.5.0".parse().unwrap(), digest: tidegate_registry::Digest::of("1.5.0") }
    }

    fn pod(status: &Value) -> DynamicObject {
        let annotations = json!({RELEASE: "fraud@1.5.0", DIGEST: wanted().digest.to_string()});
        serde_json::from_value(json!({"metadata": {"annotations": annotations}, "status": status})).unwrap()
    }

    fn container(state: &Value) -> Value {
        json!({"containerStatuses": [{"name": "server", "ready": false, "state": state}]})
    }

    #[test]
    fn the_commonest_troubles_come_first() {
        let pull =
            container(&json!({"waiting": {"reason": "ImagePullBackOff", "message": "back-off\u{1b}[2J"}}));
        let crash = json!({"initContainerStatuses": [{
            "name": "fetch",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        }]});
        let unplaced = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no nvidia.com/gpu"},
        ]});
        let slow = json!({
            "initContainerStatuses": [{"name": "fetch", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": [{"name": "server", "ready": false, "state": {"running": {}}}],
        });
        let pods = [&crash, &pull, &pull, &unplaced].map(pod);
        assert_eq!(
            troubles(&pods, &wanted()).unwrap(),
            "2 pods: container `server` waits in ImagePullBackOff (back-off [2J); \
             1 pod: Unschedulable (no nvidia.com/gpu); \
             1 pod: container `fetch` waits in CrashLoopBackOff, last OOMKilled with exit code 137"
        );
        assert_eq!(
            troubles(&[pod(&slow)], &wanted()).unwrap(),
            "1 pod: container `server` runs but is not ready"
        );
    }

    #[test]
    fn pods_that_are_well_or_of_another_release_or_nonsense_say_nothing() {
        let well =
            json!({"containerStatuses": [{"name": "server", "ready": true, "state": {"running": {}}}]});
        let mut other = pod(&container(&json!({"waiting": {"reason": "ImagePullBackOff"}})));
        other.metadata.annotations.as_mut().unwrap().insert(RELEASE.to_owned(), "fraud@1.4.0".to_owned());
        let pods = [pod(&well), other, pod(&json!(7)), pod(&json!({"containerStatuses": "many"}))];
        assert_eq!(troubles(&pods, &wanted()), None);
    }

    #[test]
    fn what_is_told_is_bounded() {
        let long = "x".repeat(1 << 16);
        let waiting = container(&json!({"waiting": {"reason": long, "message": long}}));
        let pods: Vec<_> = (0..100)
            .map(|n| {
                let mut waiting = waiting.clone();
                waiting["containerStatuses"][0]["name"] = format!("{n}{long}").into();
                pod(&waiting)
            })
            .collect();
        let told = troubles(&pods, &wanted()).unwrap();
        assert!(told.chars().count() < 1_200, "{}", told.chars().count());
    }
}
