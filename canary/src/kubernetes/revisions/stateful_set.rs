//! How far a StatefulSet is.
//!
//! Pure: an object goes in, a readiness comes out. The rules are those of `kubectl rollout status`, and one more:
//! `kubectl` takes a StatefulSet that was taken back half-way for rolled out while pods of the version that is left
//! still run, since the revision that it goes to is the one that it came from.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#rolling-updates>

use kube::api::DynamicObject;
use serde::Deserialize;

use super::unfit::{Still, Unfit};
use crate::{Readiness, Release};

/// The few fields of a StatefulSet that matter here.
#[derive(Deserialize)]
struct StatefulSet {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default = "one")]
    replicas: i64,
    #[serde(default)]
    pod_management_policy: String,
    #[serde(default)]
    update_strategy: UpdateStrategy,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    r#type: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    current_revision: String,
    observed_generation: i64,
    ready_replicas: i64,
    replicas: i64,
    update_revision: String,
    updated_replicas: i64,
}

/// "Defaults to 1."
const fn one() -> i64 {
    1
}

/// How far `object` is with the release that `told` finds in it.
pub(super) fn readiness(
    object: &DynamicObject,
    told: impl FnOnce() -> Result<Release, Unfit>,
) -> Result<Readiness, Unfit> {
    let StatefulSet { spec, status } = read(object)?;
    if spec.replicas <= 0 && status.replicas <= 0 {
        return Ok(Readiness::Absent);
    }
    let release = told()?;
    let failed = |why: String| Ok(Readiness::Failed { release: release.clone(), why });
    if object.metadata.deletion_timestamp.is_some() {
        return failed("it is being removed".to_owned());
    }
    if spec.replicas <= 0 {
        return failed("somebody has scaled it to 0; give it replicas".to_owned());
    }
    if status.observed_generation < object.metadata.generation.unwrap_or_default() {
        return Ok(Readiness::Starting { release });
    }
    let updated = status.updated_replicas >= spec.replicas && status.replicas <= status.updated_replicas;
    let ready = status.ready_replicas >= spec.replicas;
    if updated && ready && status.current_revision == status.update_revision {
        return Ok(Readiness::Ready { release });
    }
    if let Some(still) = why_still(&spec).filter(|_| !updated) {
        return failed(still.to_string());
    }
    Ok(Readiness::Starting { release })
}

/// Why `object` would keep its pods as they are when its template changes, if it would.
pub(super) fn still(object: &DynamicObject) -> Result<Option<Still>, Unfit> {
    Ok(why_still(&read(object)?.spec))
}

/// Whether it waits for a pod that is not ready before it replaces it, for ever if need be.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>
pub(super) fn is_ordered(object: &DynamicObject) -> Result<bool, Unfit> {
    Ok(read(object)?.spec.pod_management_policy != "Parallel")
}

/// The revision that its pods are to have, once the controller knows it.
pub(super) fn update_revision(object: &DynamicObject) -> Result<Option<String>, Unfit> {
    let Status { observed_generation, update_revision, .. } = read(object)?.status;
    let knows = observed_generation >= object.metadata.generation.unwrap_or_default();
    Ok((knows && !update_revision.is_empty()).then_some(update_revision))
}

fn why_still(Spec { update_strategy, .. }: &Spec) -> Option<Still> {
    let partition = update_strategy.rolling_update.as_ref().map_or(0, |update| update.partition);
    match update_strategy.r#type.as_str() {
        "OnDelete" => Some(Still::OnDelete),
        _ if partition > 0 => Some(Still::Partition { partition }),
        _ => None,
    }
}

fn read(object: &DynamicObject) -> Result<StatefulSet, Unfit> {
    StatefulSet::deserialize(&object.data).map_err(Unfit::Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tidegate_registry::Digest;

    use super::*;

    fn release() -> Release {
        Release { model: "fraud@1.4.0".parse().unwrap(), digest: Digest::of("fraud@1.4.0") }
    }

    fn object(change: impl FnOnce(&mut Value)) -> DynamicObject {
        let mut object = json!({
            "metadata": {"generation": 3},
            "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
            "status": {
                "observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
                "currentRevision": "fraud-5d9", "updateRevision": "fraud-5d9",
            },
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn seen(change: impl FnOnce(&mut Value)) -> Readiness {
        readiness(&object(change), || Ok(release())).unwrap()
    }

    #[test]
    fn ready_is_what_has_all_pods_of_the_revision_and_no_other() {
        type Change = fn(&mut Value);
        assert_eq!(seen(|_| {}), Readiness::Ready { release: release() });
        let starting: [Change; 6] = [
            |object| object["status"]["observedGeneration"] = 2.into(),
            |object| object["status"]["readyReplicas"] = 2.into(),
            |object| object["status"]["currentRevision"] = "fraud-777".into(),
            // Taken back half-way: both revisions are the same one again, and a pod of another is ready.
            |object| object["status"]["updatedReplicas"] = 2.into(),
            |object| object["spec"]["replicas"] = 4.into(),
            |object| object["status"] = json!({}),
        ];
        for (n, change) in starting.into_iter().enumerate() {
            assert_eq!(seen(change), Readiness::Starting { release: release() }, "change {n}");
        }
    }

    #[test]
    fn what_waiting_does_not_mend_is_said() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 4] = [
            (|object| object["spec"]["updateStrategy"] = json!({"type": "OnDelete"}), "OnDelete"),
            (
                |object| object["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 2.into(),
                "partition 2",
            ),
            (|object| object["spec"]["replicas"] = 0.into(), "scaled"),
            (|object| object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(), "removed"),
        ];
        for (change, word) in cases {
            let seen = seen(|object| {
                object["status"]["updatedReplicas"] = 1.into();
                change(object);
            });
            assert!(matches!(&seen, Readiness::Failed { why, .. } if why.contains(word)), "{word}: {seen:?}");
        }
        let none = seen(|object| {
            object["spec"]["replicas"] = 0.into();
            object["status"] = json!({});
        });
        assert_eq!(none, Readiness::Absent);
        let nonsense = DynamicObject { data: json!({"spec": 7}), ..object(|_| {}) };
        assert!(matches!(readiness(&nonsense, || Ok(release())), Err(Unfit::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn ready_is_never_said_of_less(
            counts in [-2i64..6, -2..6, -2..6, -2..6, -2..6],
            generation in 0i64..4,
            same in any::<bool>(),
        ) {
            let [wanted, seen, total, updated, ready] = counts;
            let object = object(|object| {
                object["metadata"]["generation"] = generation.into();
                object["spec"]["replicas"] = wanted.into();
                object["status"] = json!({
                    "observedGeneration": seen, "replicas": total, "updatedReplicas": updated, "readyReplicas": ready,
                    "currentRevision": if same { "a" } else { "b" }, "updateRevision": "a",
                });
            });
            if readiness(&object, || Ok(release())).unwrap().ready().is_some() {
                prop_assert!(wanted >= 1 && seen >= generation && same);
                prop_assert!(ready >= wanted && updated >= wanted && total <= updated);
            }
        }
    }
}
