//! The kind `Release`: which version of a model is wanted, how it is to get there, and how far it is.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::schema;

/// The version of a model that is wanted on a route, and how traffic is to get there.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "Release",
    doc = "A version of a model on a route, and how traffic gets to it.",
    namespaced,
    status = "ReleaseStatus",
    derive = "PartialEq",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model"),
    printcolumn(name = "Stable", type_ = "string", json_path = ".status.stable"),
    printcolumn(name = "Candidate", type_ = "string", json_path = ".status.candidate"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "Weight", type_ = "string", json_path = ".status.weight"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::duplicated_attributes, reason = "columns are of the same type")]
pub(crate) struct ReleaseSpec {
    /// The model's name in the registry.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) model: String,
    /// The version that is wanted.
    #[schemars(length(min = 1, max = 128))]
    pub(crate) version: String,
    /// The digest that this version must have, `sha256:…`. Without it, what the registry holds is pinned when the
    /// rollout begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub(crate) digest: Option<String>,
    /// The object that splits traffic, in the release's namespace.
    pub(crate) route: Route,
    /// What versions run as.
    pub(crate) deployment: Template,
    /// Where observations come from.
    pub(crate) metrics: Metrics,
    /// A strategy, and what is different: `steps`, `criteria`, `timing` and whatever else a plan has.
    #[serde(default)]
    #[schemars(schema_with = "schema::plan")]
    pub(crate) plan: Map<String, Value>,
    /// Whether the rollout stays where it is, and none begins. Evidence against the candidate still counts.
    #[serde(default)]
    pub(crate) paused: bool,
    /// The approval that a gate of the plan waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approve: Option<Approval>,
    /// Why traffic is to return to stable. While it is set, no rollout begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) abort: Option<String>,
    /// A number to raise, for another attempt at what has not ended well.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub(crate) attempt: u32,
}

/// The object that splits traffic.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Route {
    /// What it is.
    #[serde(default)]
    pub(crate) kind: RouteKind,
    /// Its name; of replicas, that of the Service.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) name: String,
    /// The name of the rule that splits, where an HTTPRoute or VirtualService has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// The backend of stable; by default the name of the template with `-stable` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stable: Option<String>,
    /// The backend of the baseline, which only some plans need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<String>,
    /// The backend of the candidate; by default the name of the template with `-candidate` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) candidate: Option<String>,
}

/// What splits traffic.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) enum RouteKind {
    #[default]
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    /// Of ingress-nginx: the Ingress of stable.
    Ingress,
    TraefikService,
    VirtualService,
}

/// What the Deployments of all slots are made from.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Template {
    /// A Deployment of apps/v1. This or `configMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::open")]
    pub(crate) template: Option<Value>,
    /// A ConfigMap that holds it as YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config_map: Option<ConfigMapKey>,
    /// The image of each container that is the model's, with `{version}` or `{digest}` in it.
    #[serde(default)]
    pub(crate) images: BTreeMap<String, String>,
}

/// An entry of a ConfigMap.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) struct ConfigMapKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

/// Where observations come from.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Metrics {
    pub(crate) prometheus: PrometheusServer,
}

/// A Prometheus, and how each metric is asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) struct PrometheusServer {
    /// Its URL.
    #[schemars(regex(pattern = "^https?://"))]
    pub(crate) url: String,
    /// A query for each metric of the plan, with `{{slot}}`, `{{version}}`, `{{model}}` and `{{route}}` in it.
    #[schemars(schema_with = "schema::queries")]
    pub(crate) queries: BTreeMap<String, Value>,
}

/// A person's approval of a step.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) struct Approval {
    /// The digest of the candidate that was looked at.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub(crate) digest: String,
    /// The step that it lets through, from 1.
    #[schemars(range(min = 1))]
    pub(crate) step: u32,
    /// Who approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// How far a release is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReleaseStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    /// The route whose journal says all of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// The version in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stable: Option<String>,
    /// The version that is, or was last, rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) candidate: Option<String>,
    /// Its content, which is what an approval is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) candidate_digest: Option<String>,
    /// Where the rollout is, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// Which step of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
    /// The share of traffic that the candidate has, or is getting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<String>,
    /// What the evidence says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<String>,
    /// What is going on, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// What the evidence says of each criterion, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) judgements: Vec<String>,
    /// Why it does not go on, although it could.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pauses: Vec<String>,
    /// The rollout's id in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<String>,
    /// How many records the journal has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<u64>,
    /// The replica of the controller that drives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<String>,
    /// `Ready`, `Progressing` and `Degraded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
}
