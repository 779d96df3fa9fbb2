//! The parts of a SARIF log that decide anything; everything else is passed over.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::bounded::{Bounded, Word};

// What is read at a time stays within some hundred megabytes, whatever a file of the largest size holds: results are
// read one by one, and of the rest there is not more than this. Services take less
// (https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/troubleshoot-sarif-uploads).
const MOST_RUNS: usize = 100;
const MOST_RESULTS: usize = 500_000;
/// Rules of a component.
const MOST_RULES: usize = 25_000;
const MOST_EXTENSIONS: usize = 20;
const MOST_ARTIFACTS: usize = 200_000;
const MOST_INVOCATIONS: usize = 20;
/// Notifications of an invocation; some tools write one for each file.
const MOST_NOTIFICATIONS: usize = 50_000;
/// Locations of a result, and its suppressions.
const MOST_LOCATIONS: usize = 1_000;
const MOST_LOGICAL: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log<'a> {
    pub(super) version: Option<String>,
    #[serde(borrow)]
    pub(super) runs: Option<Bounded<&'a RawValue, MOST_RUNS>>,
    /// Parts of runs that are not in them (§3.13.5).
    pub(super) inline_external_properties: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run<'a> {
    pub(super) tool: Tool,
    pub(super) invocations: Option<Bounded<Invocation, MOST_INVOCATIONS>>,
    pub(super) artifacts: Option<Bounded<Artifact, MOST_ARTIFACTS>>,
    #[serde(borrow)]
    pub(super) results: Option<Bounded<&'a RawValue, MOST_RESULTS>>,
    pub(super) external_property_file_references: Option<External>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) driver: Component,
    pub(super) extensions: Option<Bounded<Component, MOST_EXTENSIONS>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) guid: Option<String>,
    pub(super) version: Option<String>,
    pub(super) semantic_version: Option<String>,
    pub(super) rules: Option<Bounded<Rule, MOST_RULES>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) short_description: Option<Text>,
    pub(super) full_description: Option<Text>,
    pub(super) default_configuration: Option<Configuration>,
    #[serde(default)]
    pub(super) properties: Option<Properties>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Text {
    pub(super) text: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    pub(super) level: Option<String>,
}

/// What a rule or a result says beyond the standard.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Properties {
    #[serde(default, rename = "security-severity")]
    pub(super) security_severity: Word,
    #[serde(default)]
    pub(super) package: Word,
    #[serde(default, rename = "packageName")]
    pub(super) package_name: Word,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invocation {
    pub(super) execution_successful: Option<bool>,
    pub(super) tool_execution_notifications: Option<Bounded<Notification, MOST_NOTIFICATIONS>>,
    pub(super) tool_configuration_notifications: Option<Bounded<Notification, MOST_NOTIFICATIONS>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Notification {
    pub(super) level: Option<String>,
    pub(super) message: Option<Text>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    pub(super) location: Option<ArtifactLocation>,
}

/// Parts of a run that are in other files.
#[derive(Debug, Deserialize)]
pub(super) struct External {
    pub(super) results: Option<IgnoredAny>,
    pub(super) invocations: Option<IgnoredAny>,
    pub(super) driver: Option<IgnoredAny>,
    pub(super) extensions: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Result {
    pub(super) rule_id: Option<String>,
    pub(super) rule_index: Option<i64>,
    pub(super) rule: Option<RuleReference>,
    pub(super) kind: Option<String>,
    pub(super) level: Option<String>,
    pub(super) message: Option<Text>,
    pub(super) locations: Option<Bounded<Location, MOST_LOCATIONS>>,
    pub(super) suppressions: Option<Bounded<Suppression, MOST_LOCATIONS>>,
    pub(super) baseline_state: Option<String>,
    #[serde(default)]
    pub(super) properties: Option<Properties>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleReference {
    pub(super) id: Option<String>,
    pub(super) index: Option<i64>,
    pub(super) tool_component: Option<ComponentReference>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ComponentReference {
    pub(super) index: Option<i64>,
    pub(super) guid: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Location {
    pub(super) physical_location: Option<PhysicalLocation>,
    pub(super) logical_locations: Option<Bounded<LogicalLocation, MOST_LOGICAL>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhysicalLocation {
    pub(super) artifact_location: Option<ArtifactLocation>,
    pub(super) region: Option<Region>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ArtifactLocation {
    pub(super) uri: Option<String>,
    pub(super) index: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Region {
    pub(super) start_line: Option<u64>,
    pub(super) byte_offset: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogicalLocation {
    pub(super) name: Option<String>,
    pub(super) fully_qualified_name: Option<String>,
    pub(super) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Suppression {
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) justification: Option<String>,
}
