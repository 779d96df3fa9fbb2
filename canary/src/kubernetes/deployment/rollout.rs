//! How far a Deployment is, by the rules of `kubectl rollout status`.
//!
//! Pure: an object goes in, a readiness comes out.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde::Deserialize;

use super::scale;
use crate::{Readiness, Release, kubernetes::clip::clip};

/// The annotation of a pod template that says which version its pods run, as `NAME@VERSION`.
pub(in crate::kubernetes) const RELEASE: &str = "tidegate.dev/release";
/// The annotation of a pod template that says by which content that version is pinned.
pub(in crate::kubernetes) const DIGEST: &str = "tidegate.dev/digest";

/// An object from which no readiness can be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::kubernetes) enum Unfit {
    #[error("its pod template has the annotation `{key}: {value}`, which is none: {why}")]
    Annotation { key: &'static str, value: String, why: String },
    #[error(
        "it does not say what it runs; annotate its pod template with `{RELEASE}: NAME@VERSION` and `{DIGEST}: sha256:…`"
    )]
    Unsaid,
    #[error("it does not read as a Deployment of apps/v1")]
    Unreadable(#[source] serde_json::Error),
}

/// The few fields of a Deployment that matter here.
#[derive(Deserialize)]
struct Deployment {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default = "one")]
    replicas: i64,
    #[serde(default)]
    paused: bool,
    template: PodTemplate,
}

#[derive(Deserialize)]
struct PodTemplate {
    #[serde(default)]
    metadata: PodMetadata,
}

#[derive(Default, Deserialize)]
struct PodMetadata {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    available_replicas: i64,
    conditions: Vec<Condition>,
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// "Defaults to 1."
const fn one() -> i64 {
    1
}

/// The release that `annotations` name.
pub(in crate::kubernetes) fn release(annotations: &BTreeMap<String, String>) -> Result<Release, Unfit> {
    let (Some(model), Some(digest)) = (annotations.get(RELEASE), annotations.get(DIGEST)) else {
        return Err(Unfit::Unsaid);
    };
    let unfit = |key, value: &str, why: &dyn ToString| Unfit::Annotation {
        key,
        value: clip(value, 80),
        why: clip(&why.to_string(), 300),
    };
    Ok(Release {
        model: model.parse().map_err(|why| unfit(RELEASE, model, &why))?,
        digest: digest.parse().map_err(|why| unfit(DIGEST, digest, &why))?,
    })
}

/// How far `object` is with what its template says.
pub(in crate::kubernetes) fn readiness(object: &DynamicObject) -> Result<Readiness, Unfit> {
    progress(object, release)
}

/// How far `object` is with the release that `told` finds in the annotations of its template, or elsewhere.
pub(in crate::kubernetes) fn progress<E: From<Unfit>>(
    object: &DynamicObject,
    told: impl FnOnce(&BTreeMap<String, String>) -> Result<Release, E>,
) -> Result<Readiness, E> {
    let Deployment { spec, status } = Deployment::deserialize(&object.data).map_err(Unfit::Unreadable)?;
    let emptied = scale::is_emptied_by_ratio(object);
    if spec.replicas <= 0 && status.replicas <= 0 && !emptied {
        // A claim, or what somebody has scaled to nothing.
        return Ok(Readiness::Absent);
    }
    let release = told(&spec.template.metadata.annotations)?;
    let failed = |why: String| Ok(Readiness::Failed { release: release.clone(), why });
    if object.metadata.deletion_timestamp.is_some() {
        return failed("it is being removed".to_owned());
    }
    if spec.replicas <= 0 && !emptied {
        return failed("somebody has scaled it to 0; give it replicas".to_owned());
    }
    if status.observed_generation < object.metadata.generation.unwrap_or_default() {
        // What the status says is about what was there before.
        return Ok(Readiness::Starting { release });
    }
    let condition = |named| status.conditions.iter().find(|condition| condition.r#type == named);
    if let Some(late) = condition("Progressing").filter(|late| late.reason == "ProgressDeadlineExceeded") {
        let quota = condition("ReplicaFailure").filter(|failure| failure.status == "True");
        let said = [Some(late), quota].into_iter().flatten();
        let said: Vec<_> =
            said.map(|said| format!("{}: {}", clip(&said.reason, 60), clip(&said.message, 300))).collect();
        return failed(said.join("; "));
    }
    let updated = status.updated_replicas >= spec.replicas;
    let alone = status.replicas <= status.updated_replicas;
    let available = status.available_replicas >= status.updated_replicas;
    if updated && alone && available {
        return Ok(Readiness::Ready { release });
    }
    if spec.paused {
        return failed("its rollout is paused; resume it".to_owned());
    }
    Ok(Readiness::Starting { release })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const DIGEST_OF_X: &str = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

    fn object(change: impl FnOnce(&mut Value)) -> DynamicObject {
        let mut object = json!({
            "metadata": {"generation": 3},
            "spec": {"replicas": 3, "template": {"metadata": {"annotations": {
                RELEASE: "fraud@1.4.0", DIGEST: DIGEST_OF_X,
            }}}},
            "status": {
                "observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3,
                "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
            },
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn release() -> Release {
        Release { model: "fraud@1.4.0".parse().unwrap(), digest: DIGEST_OF_X.parse().unwrap() }
    }

    /// The table of `DeploymentStatusViewer.Status` in kubectl.
    #[test]
    fn ready_is_what_kubectl_calls_rolled_out() {
        type Change = fn(&mut Value);
        let starting: [Change; 6] = [
            |object| object["status"]["observedGeneration"] = 2.into(),
            |object| object["status"]["updatedReplicas"] = 2.into(),
            |object| object["status"]["replicas"] = 4.into(),
            |object| object["status"]["availableReplicas"] = 2.into(),
            |object| object["spec"]["replicas"] = 4.into(),
            |object| object["status"] = json!({}),
        ];
        assert_eq!(readiness(&object(|_| {})).unwrap(), Readiness::Ready { release: release() });
        for (n, change) in starting.into_iter().enumerate() {
            let seen = readiness(&object(change)).unwrap();
            assert_eq!(seen, Readiness::Starting { release: release() }, "change {n}");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_is_a_failure_once_it_is_about_this_generation() {
        let late = json!([
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"},
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded\nquota"},
        ]);
        let seen = readiness(&object(|object| object["status"]["conditions"] = late.clone())).unwrap();
        let why = "ProgressDeadlineExceeded: timed out; FailedCreate: exceeded quota".to_owned();
        assert_eq!(seen, Readiness::Failed { release: release(), why });
        let seen = readiness(&object(|object| {
            object["status"]["conditions"] = late;
            object["metadata"]["generation"] = 4.into();
        }));
        assert_eq!(seen.unwrap(), Readiness::Starting { release: release() });
    }

    #[test]
    fn what_waiting_does_not_mend_is_said() {
        let paused = readiness(&object(|object| {
            object["spec"]["paused"] = true.into();
            object["status"]["updatedReplicas"] = 0.into();
        }));
        assert!(matches!(paused.unwrap(), Readiness::Failed { why, .. } if why.contains("resume")));
        let scaled = readiness(&object(|object| object["spec"]["replicas"] = 0.into()));
        assert!(matches!(scaled.unwrap(), Readiness::Failed { why, .. } if why.contains("scaled")));
        let ending = readiness(&object(|object| {
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }));
        assert!(matches!(ending.unwrap(), Readiness::Failed { why, .. } if why.contains("removed")));
        let claim = readiness(&object(|object| {
            object["spec"]["replicas"] = 0.into();
            object["status"] = json!({});
        }));
        assert_eq!(claim.unwrap(), Readiness::Absent);
    }

    #[test]
    fn what_says_nothing_or_nonsense_is_refused_with_a_remedy() {
        let annotations = |annotations: Value| {
            let object = object(|object| object["spec"]["template"]["metadata"]["annotations"] = annotations);
            readiness(&object).unwrap_err().to_string()
        };
        assert!(annotations(json!({})).contains("annotate"));
        assert!(annotations(json!({RELEASE: "fraud@1.4.0"})).contains("annotate"));
        let long = "x".repeat(1 << 20);
        let said = annotations(json!({RELEASE: long, DIGEST: DIGEST_OF_X}));
        assert!(said.contains(RELEASE) && said.len() < 1_000, "{} bytes", said.len());
        let said = annotations(json!({RELEASE: "fraud@1.4.0", DIGEST: "md5:1"}));
        assert!(said.contains(DIGEST) && said.contains("sha256"), "{said}");
        for nonsense in [json!(7), json!({"spec": {}}), json!({"spec": {"replicas": "3", "template": {}}})] {
            let object = DynamicObject { data: nonsense, ..object(|_| {}) };
            assert!(matches!(readiness(&object), Err(Unfit::Unreadable(_))));
        }
    }

    proptest! {
        /// Whatever numbers a status holds, nothing is ready that lacks a pod or has an old one.
        #[test]
        fn ready_is_never_said_of_less(
            counts in [-2i64..6, -2..6, -2..6, -2..6, -2..6],
            generation in 0i64..4,
        ) {
            let [wanted, seen, total, updated, available] = counts;
            let object = object(|object| {
                object["metadata"]["generation"] = generation.into();
                object["spec"]["replicas"] = wanted.into();
                object["status"] = json!({
                    "observedGeneration": seen, "replicas": total, "updatedReplicas": updated,
                    "availableReplicas": available,
                });
            });
            if readiness(&object).unwrap().ready().is_some() {
                prop_assert!(wanted >= 1 && seen >= generation);
                prop_assert!(available >= updated && updated >= wanted && total <= updated);
            }
        }
    }
}
