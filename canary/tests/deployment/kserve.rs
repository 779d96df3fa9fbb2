//! As much of KServe's controller as its Deployments need: it copies annotations and labels to their pods,
//! and says that an InferenceService is ready when its Deployment is available, whatever that runs.

use serde_json::{Value, json};

/// What a step comes to for the Deployment beneath.
pub(crate) enum Step {
    Apply(Value),
    Remove,
    Rest { gone: bool },
}

pub(crate) fn step(service: &mut Value, beneath: Option<&Value>) -> Step {
    let metadata = &service["metadata"];
    let name = metadata["name"].as_str().unwrap();
    if !metadata["deletionTimestamp"].is_null() {
        return match beneath {
            Some(beneath) if beneath["metadata"]["deletionTimestamp"].is_null() => {
                let mut beneath = beneath.clone();
                beneath["metadata"]["deletionTimestamp"] = metadata["deletionTimestamp"].clone();
                Step::Apply(beneath)
            }
            Some(_) => Step::Rest { gone: false },
            None => Step::Rest { gone: true },
        };
    }
    if metadata["annotations"]["serving.kserve.io/stop"] == "true" {
        return if beneath.is_some() { Step::Remove } else { Step::Rest { gone: false } };
    }
    let mut labels = metadata["labels"].clone();
    labels["serving.kserve.io/inferenceservice"] = name.into();
    let predictor = &service["spec"]["predictor"];
    let spec = json!({
        "replicas": predictor["minReplicas"],
        "template": {
            "metadata": {"labels": labels, "annotations": metadata["annotations"]},
            "spec": {"containers": [{
                "name": "kserve-container", "args": [predictor["model"]["storageUri"]], "env": predictor["model"]["env"],
            }]},
        },
    });
    let mut deployment =
        beneath.cloned().unwrap_or_else(|| json!({"metadata": {"name": format!("{name}-predictor")}}));
    if deployment["spec"] != spec {
        deployment["spec"] = spec;
        return Step::Apply(deployment);
    }
    let available = deployment["status"]["availableReplicas"].as_u64() >= predictor["minReplicas"].as_u64();
    let ready = if available { "True" } else { "False" };
    service["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
    // Of the Deployment, not of the InferenceService.
    service["status"]["observedGeneration"] = deployment["metadata"]["generation"].clone();
    Step::Rest { gone: false }
}
