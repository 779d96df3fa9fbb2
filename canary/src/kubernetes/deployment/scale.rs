//! Whose a Deployment's number of replicas is.
//!
//! Pure. <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>

use kube::api::DynamicObject;

use crate::kubernetes::{replicas::counts::REPLICAS, request::MANAGER};

/// Whether it has replicas, or has none because a router wants it so.
pub(super) fn is_set(object: &DynamicObject) -> bool {
    // "Defaults to 1."
    object.data["spec"]["replicas"].as_i64().unwrap_or(1) > 0 || is_emptied_by_ratio(object)
}

/// Whether it is to have no replicas because a router by replicas wants it so.
pub(super) fn is_emptied_by_ratio(object: &DynamicObject) -> bool {
    let asked = object.metadata.annotations.as_ref().and_then(|all| all.get(REPLICAS));
    object.data["spec"]["replicas"] == 0 && asked.is_some_and(|asked| asked == "0")
}

/// Whether the last to set it was an apply of ours. A router sets it by a patch, which has an entry of its own.
pub(super) fn is_ours(object: &DynamicObject) -> bool {
    object.metadata.managed_fields.iter().flatten().any(|entry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.fields_v1.as_ref().is_some_and(|fields| !fields.0["f:spec"]["f:replicas"].is_null())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(replicas: &Value, annotation: &Value, fields: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": {
                "annotations": {REPLICAS: annotation, "others": "0"},
                "managedFields": [
                    {"manager": "helm", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                    {"manager": MANAGER, "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                    {"manager": MANAGER, "operation": "Apply", "fieldsV1": fields},
                    {"manager": MANAGER, "operation": "Apply"},
                ],
            },
            "spec": {"replicas": replicas},
        }))
        .unwrap()
    }

    #[test]
    fn none_are_meant_only_where_the_ratio_says_so() {
        let none = json!({});
        for (replicas, annotation, set, emptied) in [
            (json!(0), json!("0"), true, true),
            (json!(0), json!("3"), false, false),
            (json!(0), json!(""), false, false),
            (json!(3), json!("0"), true, false),
            (json!(null), json!("0"), true, false),
        ] {
            let object = object(&replicas, &annotation, &none);
            assert_eq!(
                (is_set(&object), is_emptied_by_ratio(&object)),
                (set, emptied),
                "{replicas} {annotation}"
            );
        }
        assert!(!is_emptied_by_ratio(&serde_json::from_value(json!({"spec": {"replicas": 0}})).unwrap()));
    }

    #[test]
    fn ours_is_what_our_apply_owns() {
        let owns = |fields: Value| is_ours(&object(&json!(3), &json!("3"), &fields));
        assert!(owns(json!({"f:spec": {"f:replicas": {}, "f:paused": {}}})));
        for other in [json!({"f:spec": {"f:paused": {}}}), json!({}), json!("f:spec"), json!({"f:spec": 7})] {
            assert!(!owns(other.clone()), "{other}");
        }
        assert!(!is_ours(&serde_json::from_value(json!({"spec": {"replicas": 3}})).unwrap()));
    }
}
