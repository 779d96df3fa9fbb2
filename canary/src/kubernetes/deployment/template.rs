//! The Deployment for a release in a slot, made from the caller's template.
//!
//! Pure: a template and a release go in, an object comes out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_registry::Invalid;

use super::{
    keeper::{Place, Recipe},
    names::{Names, label},
    rollout::{DIGEST, RELEASE},
    scale,
};
use crate::{
    Release, Weight, Workload,
    kubernetes::request::{MANAGED_BY, MANAGER},
    pattern::Pattern,
};

/// The label of objects and pods that says in which slot they are.
pub(in crate::kubernetes) const SLOT: &str = "tidegate.dev/slot";
/// The label by which a Deployment made here knows its pods.
pub(super) const INSTANCE: &str = "app.kubernetes.io/instance";
const WHAT: &str = "Deployment template";

/// What Deployments are made from.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// `spec`, and of `metadata` the labels and annotations.
    object: Value,
    base: String,
    images: BTreeMap<String, Pattern>,
    replicas: u32,
    /// Whether the numbers of replicas are a router's once there are some.
    by_ratio: bool,
}

/// What has to be right about a template.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Spec {
    replicas: Option<u32>,
    template: PodTemplate,
}

#[derive(Deserialize)]
struct PodTemplate {
    #[serde(default)]
    metadata: Metadata,
    spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    env: Vec<Map<String, Value>>,
}

impl Template {
    /// Reads `template`, a Deployment of apps/v1, for `namespace`.
    pub(super) fn read(template: &Value, namespace: &str) -> Result<(Self, Names), Invalid> {
        let outline = Outline::deserialize(template)
            .map_err(|error| Invalid::new(WHAT, "", format!("it does not read as a Deployment: {error}")))?;
        let known = |said: &Option<String>, is: &str| said.as_deref().is_none_or(|said| said == is);
        if !known(&outline.kind, "Deployment") || !known(&outline.api_version, "apps/v1") {
            let kind = outline.kind.as_deref().unwrap_or_default();
            return Err(Invalid::new(WHAT, kind, "pass a Deployment of apps/v1"));
        }
        if let Some(other) = outline.metadata.namespace.filter(|other| other != namespace) {
            return Err(Invalid::new(WHAT, other, format!("it is for another namespace than `{namespace}`")));
        }
        let PodTemplate { metadata: pods, spec: PodSpec { containers, init_containers } } =
            outline.spec.template;
        if containers.is_empty() {
            return Err(Invalid::new(
                WHAT,
                "containers",
                "list one at least in spec.template.spec.containers",
            ));
        }
        // Read only for its shape: what is made from the template writes into these.
        drop((
            pods,
            init_containers,
            containers.into_iter().map(|container| (container.name, container.env)),
        ));
        let replicas = outline.spec.replicas.unwrap_or(1);
        if replicas == 0 {
            return Err(Invalid::new(WHAT, "0", "set spec.replicas to what carries all of the traffic"));
        }
        let name = outline.metadata.name.ok_or_else(|| {
            Invalid::new(WHAT, "", "name it in metadata.name; its slots are named after it")
        })?;
        let mut spec = template["spec"].clone();
        for not_of_a_template in ["replicas", "selector", "paused"] {
            spec.as_object_mut().expect("it was read").remove(not_of_a_template);
        }
        let mut annotations = outline.metadata.annotations;
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        let object = json!({
            "metadata": {"labels": outline.metadata.labels, "annotations": annotations},
            "spec": spec,
        });
        let names = Names::new(&name)?;
        Ok((Self { object, base: name, images: BTreeMap::new(), replicas, by_ratio: false }, names))
    }

    /// This template, for slots whose numbers of replicas are a router's once there are some.
    pub(super) fn with_replicas_by_ratio(mut self) -> Self {
        self.by_ratio = true;
        self
    }

    /// This template, with the image of `container` after `pattern`.
    pub(super) fn with_image(mut self, container: &str, pattern: Pattern) -> Result<Self, Invalid> {
        let mut names: Vec<_> =
            containers(&mut self.object).filter_map(|found| found["name"].as_str()).collect();
        names.sort_unstable();
        if !names.contains(&container) {
            let why = format!("the template has only {}", names.join(", "));
            return Err(Invalid::new("container", container, why));
        }
        self.images.insert(container.to_owned(), pattern);
        Ok(self)
    }
}

impl Recipe for Template {
    fn wanted(&self, workload: &Workload, place: &Place<'_>) -> Value {
        let Workload { slot, release, share } = workload;
        let mut object = self.object.clone();
        let live = place.live.map(|live| &live.data["spec"]["selector"]);
        let selector = match live {
            // It can never be changed.
            Some(selector) if selector.is_object() => selector.clone(),
            _ => json!({"matchLabels": {INSTANCE: place.name}}),
        };
        let mut labels = BTreeMap::from([(SLOT, slot.to_string())]);
        if place.ours {
            labels.insert("app.kubernetes.io/name", self.base.clone());
            labels.insert("app.kubernetes.io/version", version(release));
            labels.insert(INSTANCE, place.name.to_owned());
            labels.insert(MANAGED_BY, MANAGER.to_owned());
        }
        let says = says(release);
        let pods = &mut object["spec"]["template"]["metadata"];
        put(&mut pods["labels"], &labels);
        put(&mut pods["annotations"], &says);
        if let Some(Value::Object(wanted)) = selector.get("matchLabels") {
            wanted.iter().for_each(|(key, value)| pods["labels"][key] = value.clone());
        }
        put(&mut object["metadata"]["labels"], &labels);
        put(&mut object["metadata"]["annotations"], &says);
        for container in containers(&mut object) {
            if let Some(pattern) = container["name"].as_str().and_then(|name| self.images.get(name)) {
                container["image"] = pattern.image(release).into();
            }
            tell(&mut container["env"], release);
        }
        let spec = &mut object["spec"];
        spec["selector"] = selector;
        let of_the_ratio = place.live.filter(|live| self.by_ratio && scale::is_set(live));
        match of_the_ratio {
            None => spec["replicas"] = replicas(self.replicas, *share).into(),
            // What its only owner leaves out of an apply is deleted, and then there is one replica.
            Some(live) if scale::is_ours(live) => spec["replicas"] = live.data["spec"]["replicas"].clone(),
            Some(_) => {}
        }
        spec["paused"] = false.into();
        object
    }

    fn lull(wanted: &mut Value) {
        // Paused, so that no ReplicaSet is made and no deadline counts as met by no pods.
        wanted["spec"]["replicas"] = 0.into();
        wanted["spec"]["paused"] = true.into();
    }
}

/// How many of `full` replicas carry `share`: as many as that takes, one at least.
pub(in crate::kubernetes) fn replicas(full: u32, share: Weight) -> u32 {
    let needed = (u64::from(full) * u64::from(share.as_basis_points())).div_ceil(10_000);
    u32::try_from(needed).expect("a share of a number is not above it").max(1)
}

/// What annotations say of `release`.
pub(in crate::kubernetes) fn says(release: &Release) -> BTreeMap<&'static str, String> {
    BTreeMap::from([(RELEASE, release.model.to_string()), (DIGEST, release.digest.to_string())])
}

/// Puts the environment variables that name `release` into `env`, before others that may refer to them.
pub(in crate::kubernetes) fn tell(env: &mut Value, release: &Release) {
    let told = [
        ("TIDEGATE_MODEL", release.model.name().as_str().to_owned()),
        ("TIDEGATE_VERSION", release.model.version().to_string()),
        ("TIDEGATE_DIGEST", release.digest.to_string()),
    ];
    let others = env.as_array().into_iter().flatten();
    let others = others.filter(|other| told.iter().all(|(name, _)| other["name"] != *name)).cloned();
    let all = told.iter().map(|(name, value)| json!({"name": name, "value": value})).chain(others);
    *env = all.collect();
}

/// The version as a label's value: at most 63 of `[A-Za-z0-9._-]`, with a letter or digit at both ends.
pub(in crate::kubernetes) fn version(release: &Release) -> String {
    let mut version = release.model.version().to_string().replace('+', "_");
    version.truncate(63);
    version.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

pub(in crate::kubernetes) fn put(into: &mut Value, entries: &BTreeMap<&'static str, String>) {
    entries.iter().for_each(|(key, value)| into[*key] = value.clone().into());
}

/// Every container of the pods, those that run before the others included.
fn containers(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    let pods = object["spec"]["template"]["spec"].as_object_mut().into_iter();
    let lists = pods.flat_map(|spec| spec.iter_mut());
    let lists = lists.filter(|(key, _)| matches!(key.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

/// `namespace` as a segment of a path.
pub(in crate::kubernetes) fn namespace(text: &str) -> Result<String, Invalid> {
    label("namespace", text)
}
