//! The few messages of Envoy's API that a table of routes is made of, as JSON: written, and read back from
//! what Envoy shows of itself. A field that is not here is somebody else's, and reading fails.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto>

use serde::{Deserialize, Serialize};

/// An answer of a discovery service: the whole file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DiscoveryResponse {
    pub(super) version_info: String,
    pub(super) resources: [RouteConfiguration; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteConfiguration {
    #[serde(rename = "@type")]
    pub(super) r#type: String,
    pub(super) name: String,
    pub(super) virtual_hosts: [VirtualHost; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VirtualHost {
    pub(super) name: String,
    pub(super) domains: Vec<String>,
    pub(super) routes: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) r#match: RouteMatch,
    pub(super) route: RouteAction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Metadata>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteMatch {
    pub(super) prefix: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<Matcher>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cookies: Vec<Matcher>,
}

/// A `HeaderMatcher` or a `CookieMatcher`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matcher {
    pub(super) name: String,
    pub(super) string_match: StringMatcher,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StringMatcher {
    pub(super) exact: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteAction {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weighted_clusters: Option<WeightedCluster>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) hash_policy: Vec<HashPolicy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) request_mirror_policies: Vec<RequestMirrorPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightedCluster {
    pub(super) clusters: Vec<ClusterWeight>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) use_hash_policy: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterWeight {
    pub(super) name: String,
    pub(super) weight: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HashPolicy {
    Cookie { name: String },
    Header { header_name: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestMirrorPolicy {
    pub(super) cluster: String,
    pub(super) runtime_fraction: RuntimeFraction,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuntimeFraction {
    pub(super) default_value: Fraction,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fraction {
    pub(super) numerator: u16,
    pub(super) denominator: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) filter_metadata: Notes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notes {
    #[serde(rename = "dev.tidegate")]
    pub(super) ours: Note,
}

/// What a route carries for its drivers. As text, since numbers here are floats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fence: Option<String>,
}
