//! A workload as it stands, and what would take it back.
//!
//! Pure: an object and its history go in, a change comes out.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    super::{
        head::Head,
        object::Change,
        request::{Kind, MANAGER},
        unfit,
    },
    history::Found,
    stateful_set,
    told::Told,
    unfit::{Still, Unfit},
};
use crate::Release;

/// What `kubectl rollout history` shows of why a revision is there.
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
const LATE: &str = "ProgressDeadlineExceeded";

/// A Deployment or a StatefulSet that was read.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) head: Head,
    uid: Option<String>,
    template: Value,
    /// Why its pods would stay as they are.
    still: Option<Still>,
}

impl Standing {
    pub(super) fn read(kind: &Kind, object: &DynamicObject) -> Result<Self, unfit::Unfit> {
        let metadata = &object.metadata;
        let still = if kind.kind == Kind::STATEFUL_SET.kind {
            stateful_set::still(object)?
        } else if object.data["spec"]["paused"] == true {
            let [namespace, name] =
                [&metadata.namespace, &metadata.name].map(|text| text.clone().unwrap_or_default());
            Some(Still::Paused { namespace, name })
        } else {
            None
        };
        Ok(Self {
            head: Head::read(object)?,
            uid: metadata.uid.clone(),
            template: object.data["spec"]["template"].clone(),
            still,
        })
    }

    /// What is to change so that it runs `release` again, all of it: containers, volumes, labels, whatever belongs to
    /// its pods. What others have written on the object itself stays.
    pub(super) fn back(&self, release: &Release, told: &Told, found: &Found) -> Result<Change, unfit::Unfit> {
        if told.runs(&self.template, release) {
            return Ok(Change::default());
        }
        if let Some(still) = self.still.clone() {
            return Err(Unfit::from(still).into());
        }
        if self.uid.as_ref() != Some(&found.uid) {
            return Err(Unfit::Replaced.into());
        }
        let Some(template) = &found.template else {
            return Err(Unfit::Gone { release: release.clone(), known: found.others() }.into());
        };
        let cause = format!("back to {release} ({}) by tidegate", release.digest);
        Ok(Change {
            operations: vec![json!({"op": "replace", "path": "/spec/template", "value": template})],
            annotations: vec![(CHANGE_CAUSE, cause)],
        })
    }
}

/// Takes out of the status of `object` that a deadline has passed, where that was before it was taken back: it is about
/// what was left. A controller says so until the first pod of the new kind is counted, and of the new generation, too.
pub(super) fn forget_earlier_deadline(object: &mut DynamicObject) {
    let ours = object.metadata.managed_fields.iter().flatten().filter(|entry| {
        let template = entry.fields_v1.as_ref().map(|fields| &fields.0["f:spec"]["f:template"]);
        entry.manager.as_deref() == Some(MANAGER) && template.is_some_and(|template| !template.is_null())
    });
    let ours =
        ours.filter_map(|entry| serde_json::to_value(entry.time.as_ref()?).ok()).max_by_key(Value::to_string);
    let Some(taken_back) = ours.as_ref().and_then(Value::as_str) else { return };
    if let Some(conditions) = object.data["status"]["conditions"].as_array_mut() {
        // Both are the API server's times to the second (`2026-01-02T03:04:05Z`), which sort as text.
        conditions.retain(|condition| {
            condition["reason"] != LATE
                || condition["lastUpdateTime"].as_str().is_some_and(|at| at > taken_back)
        });
    }
}

#[cfg(test)]
mod tests {
    use tidegate_registry::Digest;

    use super::*;
    use crate::kubernetes::deployment::rollout::{DIGEST, RELEASE};

    fn release(model: &str) -> Release {
        Release { model: model.parse().unwrap(), digest: Digest::of(model) }
    }

    fn template(model: &str) -> Value {
        json!({"metadata": {"annotations": {RELEASE: model, DIGEST: Digest::of(model).to_string()}}})
    }

    fn deployment(paused: bool) -> Standing {
        let object = json!({
            "metadata": {"name": "fraud", "namespace": "serving", "uid": "u-1", "resourceVersion": "7"},
            "spec": {"paused": paused, "template": template("fraud@1.5.0")},
        });
        Standing::read(&Kind::DEPLOYMENT, &serde_json::from_value(object).unwrap()).unwrap()
    }

    fn found(uid: &str, of: Option<&str>) -> Found {
        Found::with(uid, of.map(template), vec![(2, release("fraud@1.5.0")), (3, release("fraud@1.3.0"))])
    }

    #[test]
    fn the_whole_template_comes_back_and_the_object_keeps_the_rest() {
        let told = Told::default();
        let wanted = release("fraud@1.4.0");
        let change = deployment(false).back(&wanted, &told, &found("u-1", Some("fraud@1.4.0"))).unwrap();
        let expected = json!({"op": "replace", "path": "/spec/template", "value": template("fraud@1.4.0")});
        assert_eq!(change.operations, [expected]);
        assert!(change.annotations[0].1.contains("fraud@1.4.0"));
        let same = deployment(true).back(&release("fraud@1.5.0"), &told, &found("u-1", None)).unwrap();
        assert_eq!(same, Change::default(), "it is what it runs already");
    }

    #[test]
    fn what_cannot_come_back_is_refused_with_a_remedy() {
        let refused = |standing: Standing, found: &Found| {
            standing.back(&release("fraud@1.4.0"), &Told::default(), found).unwrap_err().to_string()
        };
        let there = found("u-1", Some("fraud@1.4.0"));
        let paused = refused(deployment(true), &there);
        assert!(paused.contains("kubectl rollout resume deployment/fraud -n serving"), "{paused}");
        let other = refused(deployment(false), &found("u-2", Some("fraud@1.4.0")));
        assert!(other.contains("another of the same name"), "{other}");
        let gone = refused(deployment(false), &found("u-1", None));
        for word in ["fraud@1.4.0", "sha256:", "fraud@1.3.0, fraud@1.5.0", "revisionHistoryLimit"] {
            assert!(gone.contains(word), "{gone}");
        }
    }

    #[test]
    fn a_deadline_counts_once_it_is_about_what_was_taken_back() {
        let late = |updated: &str, manager: &str| {
            let mut object: DynamicObject = serde_json::from_value(json!({
                "metadata": {"managedFields": [
                    {"manager": "ada", "operation": "Update", "time": "2026-01-01T00:00:59Z",
                        "fieldsV1": {"f:spec": {"f:template": {}}}},
                    {"manager": manager, "operation": "Update", "time": "2026-01-01T00:00:10Z",
                        "fieldsV1": {"f:spec": {"f:template": {"f:metadata": {}}}}},
                ]},
                "status": {"conditions": [
                    {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                    {"type": "Progressing", "status": "False", "reason": LATE, "lastUpdateTime": updated},
                ]},
            }))
            .unwrap();
            forget_earlier_deadline(&mut object);
            object.data["status"]["conditions"].as_array().unwrap().len() == 2
        };
        assert!(!late("2026-01-01T00:00:09Z", MANAGER));
        assert!(!late("2026-01-01T00:00:10Z", MANAGER), "no deadline is shorter than a second");
        assert!(late("2026-01-01T00:00:11Z", MANAGER));
        assert!(late("2026-01-01T00:00:09Z", "helm"), "it was not taken back");
    }
}
