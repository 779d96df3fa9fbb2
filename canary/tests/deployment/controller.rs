//! A Deployment controller and a kubelet in one, which take one small step at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// After so many steps without a new pod that is ready, a Deployment has missed its deadline.
const DEADLINE: u64 = 12;

/// One step for the Deployment `name`. Returns whether it is gone.
pub(crate) fn step(deployment: &mut Value, pods: &mut BTreeMap<String, Value>, fresh: &mut u64) -> bool {
    let name = deployment["metadata"]["name"].as_str().unwrap().to_owned();
    let template = deployment["spec"]["template"].clone();
    let hash = template.to_string();
    let mine: Vec<_> =
        pods.iter().filter(|(_, pod)| pod["owner"] == name).map(|(key, _)| key.clone()).collect();
    if !deployment["metadata"]["deletionTimestamp"].is_null() {
        // One pod ends at each step; then the object is gone.
        return match mine.first() {
            Some(pod) => {
                pods.remove(pod);
                false
            }
            None => true,
        };
    }
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap() as usize;
    let paused = deployment["spec"]["paused"] == true;
    let (new, old): (Vec<String>, Vec<String>) = mine.into_iter().partition(|key| pods[key]["hash"] == hash);
    let ready = |pods: &BTreeMap<String, Value>, key: &String| pods[key]["ready"] == true;
    let sick = template.to_string().contains("-bad");
    if let Some(young) = new.iter().find(|key| !ready(pods, key)).filter(|_| !sick) {
        pods.get_mut(young).unwrap()["ready"] = true.into();
    } else if !paused && new.len() < wanted {
        *fresh += 1;
        let status = json!({"containerStatuses": [{
            "name": "server", "ready": false, "state": {"waiting": {"reason": "ImagePullBackOff"}},
        }]});
        let pod = json!({
            "owner": name, "hash": hash, "ready": false, "metadata": template["metadata"],
            "status": if sick { status } else { json!({}) },
        });
        pods.insert(format!("{name}-{fresh:05}"), pod);
    } else if let Some(surplus) =
        old.first().or_else(|| new.get(wanted)).filter(|_| !sick || new.len() > wanted)
    {
        pods.remove(surplus);
    }
    report(deployment, pods, &name, &hash);
    false
}

fn report(deployment: &mut Value, pods: &BTreeMap<String, Value>, name: &str, hash: &str) {
    let mine = || pods.values().filter(|pod| pod["owner"] == name);
    let updated = mine().filter(|pod| pod["hash"] == hash).count();
    let available = mine().filter(|pod| pod["ready"] == true).count();
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap() as usize;
    let fresh = mine().filter(|pod| pod["hash"] == hash && pod["ready"] == true).count();
    let before = &deployment["status"];
    let moved = before["hash"] != *hash || before["fresh"] != fresh;
    let idle = before["idle"].as_u64().unwrap_or_default();
    let idle = if moved || fresh == wanted { 0 } else { DEADLINE.min(idle + 1) };
    let (status, reason) = match idle {
        DEADLINE.. => ("False", "ProgressDeadlineExceeded"),
        _ if fresh == wanted => ("True", "NewReplicaSetAvailable"),
        _ => ("True", "ReplicaSetUpdated"),
    };
    deployment["status"] = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": mine().count(),
        "updatedReplicas": updated,
        "availableReplicas": available,
        "conditions": [{"type": "Progressing", "status": status, "reason": reason, "message": "by script"}],
        // Its own memory, which no API server would keep here.
        "hash": hash, "fresh": fresh, "idle": idle,
    });
}
