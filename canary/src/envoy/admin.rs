//! What a running Envoy shows of itself, over its administration interface.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/operations/admin>

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;

use super::{proto::RouteConfiguration, table::Unfit};
use crate::{
    RouteId,
    proxy::answer::{Failure, below, get},
};

/// How long an answer may be, in bytes. How deep it may be nested, serde_json bounds (128).
const LONGEST: usize = 16 << 20;

/// An Envoy that is running.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) client: Client,
    pub(super) url: Url,
}

/// The table that is in force.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) version: String,
    table: Value,
}

#[derive(Debug, thiserror::Error)]
#[error("its {page} does not read as Envoy's; check that the URL is that of the administration interface")]
struct Malformed {
    page: &'static str,
    source: serde_json::Error,
}

#[derive(Deserialize)]
struct ConfigDump {
    #[serde(default)]
    configs: Vec<DynamicRouteConfig>,
}

#[derive(Deserialize)]
struct DynamicRouteConfig {
    #[serde(default)]
    version_info: String,
    #[serde(default)]
    route_config: Value,
}

#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Value,
}

impl Admin {
    /// The table of `route`, if it has one.
    pub(super) async fn in_force(&self, route: &RouteId) -> Result<Option<InForce>, Failure> {
        let mut url = below(&self.url, ["config_dump"]);
        let name = format!("^{}$", literal(route.as_str()));
        url.query_pairs_mut()
            .append_pair("resource", "dynamic_route_configs")
            .append_pair("name_regex", &name);
        let page = get(&self.client, url, LONGEST).await?;
        let dump: ConfigDump = parse(&page, "config_dump")?;
        let mut found =
            dump.configs.into_iter().filter(|config| config.route_config["name"] == route.as_str());
        Ok(found.next().map(|config| InForce { version: config.version_info, table: config.route_config }))
    }

    /// How many files with tables of `route` it has not accepted since it was started.
    pub(super) async fn rejections(&self, route: &RouteId) -> Result<u64, Failure> {
        let mut url = below(&self.url, ["stats"]);
        let filter = r"\.rds\..*\.update_(rejected|failure)$";
        url.query_pairs_mut().append_pair("filter", filter).append_pair("format", "json");
        let page = get(&self.client, url, LONGEST).await?;
        let stats: Stats = parse(&page, "stats")?;
        // Envoy writes a colon in the name of a counter as an underscore.
        let counter = |what| format!(".rds.{}.update_{what}", route.as_str().replace(':', "_"));
        let counters = ["rejected", "failure"].map(counter);
        let ours =
            stats.stats.iter().filter(|stat| counters.iter().any(|counter| stat.name.ends_with(counter)));
        Ok(ours.filter_map(|stat| stat.value.as_u64()).fold(0, u64::saturating_add))
    }
}

impl InForce {
    pub(super) fn table(self) -> Result<RouteConfiguration, Unfit> {
        serde_json::from_value(self.table).map_err(Unfit::Unreadable)
    }
}

fn parse<'p, T: Deserialize<'p>>(bytes: &'p [u8], page: &'static str) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|source| Failure::never(Malformed { page, source }))
}

/// A regular expression that matches `text` only.
fn literal(text: &str) -> String {
    let escaped =
        |c: char| (c.is_ascii() && !c.is_ascii_alphanumeric()).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}
