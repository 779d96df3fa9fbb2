//! What the canary of an Ingress says: its rules from the first Ingress, its weight and exception from
//! traffic.
//!
//! Pure. <https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary>

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{
    clip::clip,
    exception::{Condition, Wanted},
    head::{Head, annotation_at},
    named::covers,
    object::Change,
    request::{MANAGED_BY, MANAGER},
    unfit::Unfit,
};
use crate::{Exception, Fence, Key, Slot, Traffic, rounding};

const KIND: &str = "an Ingress of networking.k8s.io/v1";
const CLASS: &str = "kubernetes.io/ingress.class";
const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const TOTAL: &str = "nginx.ingress.kubernetes.io/canary-weight-total";
const HEADER: &str = "nginx.ingress.kubernetes.io/canary-by-header";
const VALUE: &str = "nginx.ingress.kubernetes.io/canary-by-header-value";
const AFFINITY: &str = "nginx.ingress.kubernetes.io/affinity";
const AFFINITY_OF_CANARY: &str = "nginx.ingress.kubernetes.io/affinity-canary-behavior";

/// What the canary takes from the first Ingress.
#[derive(Debug)]
pub(super) struct Main {
    spec: Value,
    class: Option<String>,
}

/// One reading of the canary.
#[derive(Debug)]
pub(super) struct Canary {
    head: Head,
    spec: Value,
}

#[derive(Deserialize)]
struct Ingress {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    ingress_class_name: Option<String>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    host: Option<String>,
    http: Option<Http>,
}

#[derive(Deserialize)]
struct Http {
    #[serde(default)]
    paths: Vec<Map<String, Value>>,
}

impl Main {
    pub(super) fn read(object: &DynamicObject, stable: &str, candidate: &str) -> Result<Self, Unfit> {
        let Ingress { spec } = read(&object.data)?;
        let Head { annotations, .. } = Head::read(object)?;
        let annotation = |key: &str| annotations.as_ref().and_then(|all| all.get(key));
        if annotation(AFFINITY).is_some() && annotation(AFFINITY_OF_CANARY).is_none_or(|how| how != "legacy")
        {
            return Err(Unfit::Sticky { at: "it".to_owned(), field: AFFINITY });
        }
        let rules = spec.rules.into_iter().filter_map(|Rule { host, http }| {
            let paths = http?.paths.into_iter().filter_map(|mut path| {
                let service = path.get_mut("backend")?.pointer_mut("/service/name")?;
                (service == stable).then(|| *service = candidate.into())?;
                Some(path)
            });
            let paths: Vec<_> = paths.collect();
            let mut rule = json!({"http": {"paths": paths}});
            if let Some(host) = host {
                rule["host"] = host.into();
            }
            (!paths.is_empty()).then_some(rule)
        });
        let rules: Vec<_> = rules.collect();
        if rules.is_empty() {
            let at = "spec.rules".to_owned();
            return Err(Unfit::SideMissing { at, what: "path to the Service", side: stable.to_owned() });
        }
        let mut made = json!({"rules": rules});
        if let Some(class) = spec.ingress_class_name {
            made["ingressClassName"] = class.into();
        }
        Ok(Self { spec: made, class: annotation(CLASS).cloned() })
    }
}

impl Canary {
    /// The canary as it is when there was none before.
    pub(super) fn made(
        name: &str,
        main: &Main,
        traffic: &Traffic,
        fence: Fence,
    ) -> Result<DynamicObject, Unfit> {
        let mut annotations: Map<_, _> = annotations(main, traffic)?
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        annotations.insert(super::super::FENCE.to_owned(), fence.get().to_string().into());
        read(&json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "labels": {MANAGED_BY: MANAGER}, "annotations": annotations},
            "spec": main.spec,
        }))
    }

    pub(super) fn read(object: &DynamicObject) -> Result<Self, Unfit> {
        let managed = object.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY));
        if managed.is_none_or(|manager| manager != MANAGER) {
            return Err(Unfit::Foreign);
        }
        Ok(Self { head: Head::read(object)?, spec: object.data["spec"].clone() })
    }

    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    /// The traffic that it asks for.
    pub(super) fn traffic(&self) -> Result<Traffic, Unfit> {
        let annotation = |key: &'static str| self.head.annotation(key);
        let number = |key: &'static str, default: u32| {
            annotation(key).map_or(Ok(default), |value| {
                let value = value.parse().map_err(|_| clip(value, 40));
                value.map_err(|value| Unfit::Annotation { key, value })
            })
        };
        let canary = annotation(CANARY).unwrap_or_default();
        if canary != "true" {
            return Err(Unfit::Annotation { key: CANARY, value: clip(canary, 40) });
        }
        // "The default is 100"; nginx takes a weight above the total for the total.
        let (weight, total) = (number(WEIGHT, 0)?, number(TOTAL, 100)?);
        let weight = weight.min(total);
        let weights = [(total - weight).into(), 0, weight.into()];
        let split = rounding::split_of(weights).unwrap_or_else(Traffic::stable);
        let exception = annotation(HEADER).map(|header| {
            let (header, value) = (header.to_owned(), annotation(VALUE).unwrap_or_default().to_owned());
            let condition = Condition { header, value: Wanted::Exactly(value) };
            condition.exception(Slot::Candidate).ok_or_else(|| Unfit::Annotation {
                key: VALUE,
                value: clip(annotation(VALUE).unwrap_or_default(), 40),
            })
        });
        Ok(split.with_exceptions(exception.transpose()?))
    }

    /// What is to change so that it asks for `traffic` on the rules of `main`.
    pub(super) fn plan_from(&self, main: &Main, traffic: &Traffic) -> Result<Change, Unfit> {
        let mut change = Change::default();
        if !covers(&self.spec, &main.spec) {
            change.operations.push(json!({"op": "replace", "path": "/spec", "value": main.spec}));
        }
        let annotations = annotations(main, traffic)?;
        for key in [CLASS, HEADER, VALUE] {
            if self.head.annotation(key).is_some() && !annotations.iter().any(|(wanted, _)| *wanted == key) {
                change.operations.push(json!({"op": "remove", "path": annotation_at(key)}));
            }
        }
        let due = |(key, value): &(&'static str, String)| self.head.annotation(key) != Some(value.as_str());
        change.annotations = annotations.into_iter().filter(due).collect();
        Ok(change)
    }
}

/// The canary's annotations, but for the fence.
fn annotations(main: &Main, traffic: &Traffic) -> Result<Vec<(&'static str, String)>, Unfit> {
    let weight = traffic.weight(Slot::Candidate).as_basis_points().to_string();
    let mut annotations = vec![(CANARY, "true".to_owned()), (WEIGHT, weight), (TOTAL, 10_000.to_string())];
    annotations.extend(main.class.clone().map(|class| (CLASS, class)));
    match traffic.exceptions() {
        [] => {}
        [Exception { to: Slot::Candidate, key: Key::Header(_), .. }] => {
            let Condition { header, value: Wanted::Exactly(value) | Wanted::Like(value) } =
                Condition::of(&traffic.exceptions()[0])?;
            let name = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b);
            if !header.bytes().all(name) || !value.bytes().all(plain) {
                // It would ignore the annotation, and nobody would be told.
                let why =
                    "ingress-nginx takes letters, digits and `-` in its name, in its value also `._~/:`";
                return Err(Unfit::Exception { key: "header", name: header, why });
            }
            annotations.extend([(HEADER, header), (VALUE, value)]);
        }
        [Exception { key: Key::Cookie(name) | Key::Header(name), .. }, ..] => {
            let why = "ingress-nginx knows one exception, by a header, and only to the candidate";
            return Err(Unfit::Exception { key: "key", name: name.clone(), why });
        }
    }
    Ok(annotations)
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Unfit> {
    T::deserialize(value).map_err(|source| Unfit::Unreadable { kind: KIND, source })
}
