//! The revisions that a workload has kept: ReplicaSets of a Deployment, ControllerRevisions of a StatefulSet.

use std::{cmp::Reverse, collections::BTreeSet};

use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::{
    super::{
        failure::Failure,
        request::{Collection, Kind},
    },
    told::Told,
    unfit::Unfit,
};
use crate::Release;

/// How many objects are asked for at once.
const PAGE: u32 = 50;
/// How many of these are read at most.
const PAGES: usize = 40;
/// How many other releases are named when the one that is wanted is gone.
const NAMED: usize = 8;
/// The label by which a Deployment's ReplicaSets and pods are told apart. It is the controller's.
pub(super) const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What was found in the history of a workload.
#[derive(Debug)]
pub(super) struct Found {
    /// The workload whose history it is.
    pub(super) uid: String,
    /// The template of the newest revision that runs what is wanted.
    pub(super) template: Option<Value>,
    /// The other revisions, for people.
    others: Vec<(i64, Release)>,
}

impl Found {
    #[cfg(test)]
    pub(super) fn with(uid: &str, template: Option<Value>, others: Vec<(i64, Release)>) -> Self {
        Self { uid: uid.to_owned(), template, others }
    }

    /// Looks among the `revisions` of the workload `live` for one that runs `release`.
    pub(super) async fn look(
        revisions: &Collection,
        live: &DynamicObject,
        told: &Told,
        release: &Release,
    ) -> Result<Self, Failure> {
        let never = |unfit: Unfit| Failure::Never(unfit.into());
        let uid = live.metadata.uid.clone().ok_or_else(|| never(Unfit::Unselective))?;
        let selector = selector(&live.data["spec"]["selector"]).ok_or_else(|| never(Unfit::Unselective))?;
        let mut found = Self { uid, template: None, others: Vec::new() };
        let mut newest = None;
        every(revisions, &selector, |revision| {
            if !is_owned(&revision, &found.uid) {
                return;
            }
            let Some((number, template)) = read(revisions.kind, revision) else { return };
            if told.runs(&template, release) {
                if newest.is_none_or(|newest| newest < number) {
                    (newest, found.template) = (Some(number), Some(template));
                }
            } else if let Ok(other) = told.release(&template) {
                found.others.push((number, other));
            }
        })
        .await?;
        Ok(found)
    }

    /// What is known instead.
    pub(super) fn others(&self) -> String {
        let mut others: Vec<_> = self.others.iter().collect();
        others.sort_unstable_by_key(|(number, _)| Reverse(*number));
        let named = others.into_iter().take(NAMED).map(|(_, release)| release.to_string());
        let named: Vec<_> = named.collect();
        if named.is_empty() { "nothing that tells which release it is".to_owned() } else { named.join(", ") }
    }
}

/// How many ReplicaSets of the Deployment `live` have pods, or are to have some, or may be about to make one: their
/// controller has not seen yet that they are to have none.
pub(super) async fn with_pods(
    replica_sets: &Collection,
    pods: &Collection,
    live: &DynamicObject,
) -> Result<usize, Failure> {
    let unselective = || Failure::Never(Unfit::Unselective.into());
    let selector = selector(&live.data["spec"]["selector"]).ok_or_else(unselective)?;
    let uid = live.metadata.uid.as_deref().unwrap_or_default();
    let (mut own, mut busy) = (BTreeSet::new(), BTreeSet::new());
    every(replica_sets, &selector, |set| {
        let number = |part: &str, field: &str| set.data[part][field].as_i64().unwrap_or(0);
        let some = number("spec", "replicas") > 0 || number("status", "replicas") > 0;
        let unseen = number("status", "observedGeneration") < set.metadata.generation.unwrap_or(0);
        if let Some(name) = set.metadata.uid.clone().filter(|_| is_owned(&set, uid)) {
            if some || unseen {
                busy.insert(name.clone());
            }
            own.insert(name);
        }
    })
    .await?;
    // One that was made a moment ago is in no status yet.
    every(pods, &selector, |pod| {
        let owners = pod.metadata.owner_references.iter().flatten().map(|owner| &owner.uid);
        if pod.metadata.deletion_timestamp.is_none() {
            busy.extend(owners.filter(|owner| own.contains(*owner)).cloned());
        }
    })
    .await?;
    Ok(busy.len())
}

/// Every object of `collection` that `selector` selects, as it is now.
pub(super) async fn every(
    collection: &Collection,
    selector: &str,
    mut each: impl FnMut(DynamicObject) + Send,
) -> Result<(), Failure> {
    let mut params =
        ListParams { label_selector: Some(selector.to_owned()), limit: Some(PAGE), ..ListParams::default() };
    for _ in 0..PAGES {
        let page = collection.ask("list", || collection.api.list(&params)).await?;
        page.items.into_iter().for_each(&mut each);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => break,
        }
    }
    Ok(())
}

/// A label selector, as a list takes it.
pub(super) fn selector(selector: &Value) -> Option<String> {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect::<Option<_>>()?;
    for rule in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = rule["key"].as_str()?;
        let values: Vec<_> =
            rule["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match rule["operator"].as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    // Without any it would be everything in the namespace.
    (!parts.is_empty()).then(|| parts.join(","))
}

/// Whether the object with `uid` is the controller of `object`.
pub(super) fn is_owned(object: &DynamicObject, uid: &str) -> bool {
    let owners = object.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.uid == uid && owner.controller == Some(true))
}

/// The number of a revision, and its template as it was deployed.
fn read(kind: &Kind, revision: DynamicObject) -> Option<(i64, Value)> {
    let mut data = revision.data;
    if kind.kind == Kind::REPLICA_SET.kind {
        let number = revision.metadata.annotations?.get(REVISION)?.parse().ok()?;
        let mut template = data["spec"]["template"].take();
        template["metadata"]["labels"].as_object_mut()?.remove(HASH);
        return Some((number, template));
    }
    let number = data["revision"].as_i64()?;
    let mut template = data["data"]["spec"]["template"].take();
    // It is kept as a patch.
    template.as_object_mut()?.remove("$patch");
    Some((number, template))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_says_all_that_it_selects_by() {
        let full = json!({
            "matchLabels": {"app": "fraud", "tier": "model"},
            "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "kind", "operator": "Exists"},
                {"key": "env", "operator": "NotIn", "values": ["dev"]},
            ],
        });
        assert_eq!(selector(&full).unwrap(), "app=fraud,tier=model,zone in (a,b),!old,kind,env notin (dev)");
        for all in [json!({}), json!(null), json!({"matchLabels": {"app": 7}})] {
            assert_eq!(selector(&all), None, "{all}");
        }
    }

    #[test]
    fn a_revision_gives_the_template_as_it_was_deployed() {
        let template = json!({"metadata": {"labels": {"app": "fraud", HASH: "5d9"}}, "spec": {"x": 1}});
        let object = |value: Value| serde_json::from_value::<DynamicObject>(value).unwrap();
        let set = object(json!({
            "metadata": {"annotations": {REVISION: "7"}}, "spec": {"template": template},
        }));
        let plain = json!({"metadata": {"labels": {"app": "fraud"}}, "spec": {"x": 1}});
        assert_eq!(read(&Kind::REPLICA_SET, set), Some((7, plain.clone())));
        let mut patch = plain.clone();
        patch["$patch"] = "replace".into();
        let kept = object(json!({
            "metadata": {}, "revision": 3, "data": {"spec": {"template": patch}},
        }));
        assert_eq!(read(&Kind::CONTROLLER_REVISION, kept), Some((3, plain)));
        for nonsense in [json!({"metadata": {}}), json!({"metadata": {"annotations": {REVISION: "x"}}})] {
            assert_eq!(read(&Kind::REPLICA_SET, object(nonsense)), None);
        }
    }
}
