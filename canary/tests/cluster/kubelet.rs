//! A stand-in for scheduler and kubelet: pods are placed, run, and end some time after they are told to.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::Cluster;

/// For how many looks a pod goes on after it was told to end.
const DRAIN: usize = 4;

impl Cluster {
    /// Runs every pod until the future is dropped; those whose image ends with `-bad` cannot be pulled, those
    /// with `-crash` end again and again.
    pub(crate) async fn run_pods(&self) {
        let mut ending: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            // The API server may be away.
            if let Some(pods) = self.try_get("api/v1/pods").await {
                for pod in pods["items"].as_array().unwrap() {
                    self.tend(pod, &mut ending).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn tend(&self, pod: &Value, ending: &mut BTreeMap<String, usize>) {
        let [namespace, name, uid] =
            ["namespace", "name", "uid"].map(|key| pod["metadata"][key].as_str().unwrap());
        let at = format!("{}/api/v1/namespaces/{namespace}/pods/{name}", self.url);
        let container = &pod["spec"]["containers"][0];
        let request = if !pod["metadata"]["deletionTimestamp"].is_null() {
            let looks = ending.entry(uid.to_owned()).or_default();
            *looks += 1;
            if *looks < DRAIN {
                return;
            }
            self.http.delete(at).json(&json!({"gracePeriodSeconds": 0}))
        } else if pod["spec"]["nodeName"].is_null() {
            let binding = json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "n"},
            });
            self.http.post(format!("{at}/binding")).json(&binding)
        } else if pod["status"]["containerStatuses"].is_null() {
            let image = container["image"].as_str().unwrap();
            let crashes = image.ends_with("-crash");
            let good = !image.ends_with("-bad") && !crashes;
            let since = "2020-01-01T00:00:00Z";
            let status = |kind: &str| {
                json!({
                    "type": kind, "status": if good { "True" } else { "False" }, "lastTransitionTime": since,
                })
            };
            let running = json!({"running": {"startedAt": since}});
            let waiting = match crashes {
                true => json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}),
                false => json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}),
            };
            let ended = json!({"terminated": {"exitCode": 139, "reason": "Error"}});
            let status = json!({"status": {
                "phase": if good { "Running" } else { "Pending" },
                "conditions": [status("Ready"), status("ContainersReady")],
                "containerStatuses": [{
                    "name": container["name"], "image": container["image"], "imageID": "",
                    "restartCount": if crashes { 5 } else { 0 },
                    "lastState": if crashes { ended } else { json!({}) },
                    "ready": good, "state": if good { running } else { waiting },
                }],
            }});
            let request = self.http.patch(format!("{at}/status"));
            request.header("content-type", "application/merge-patch+json").json(&status)
        } else {
            return;
        };
        // Should it have failed, the next look does it again.
        let _answer = request.send().await;
    }

    async fn try_get(&self, path: &str) -> Option<Value> {
        let answer = self.http.get(format!("{}/{path}", self.url)).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }
}
