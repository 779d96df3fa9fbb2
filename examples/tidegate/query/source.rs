//! Where to ask, as a file says it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::redirect::Policy;
use serde::Deserialize;
use tidegate::{
    canary::WallClock,
    metrics::{
        CloudWatch, Datadog, Dynatrace, Elasticsearch, Graphite, Http, InfluxDb, InfluxDb3, JsonApi, Metric,
        MetricsSource, NewRelic, Prometheus, Scrape,
        cloudwatch::{Environment, MetricStat},
        elasticsearch::Search,
        influxdb::{FluxQuery, SqlQuery},
        json::JsonRequest,
        llm,
        newrelic::NrqlQuery,
        prometheus::Query as PromQuery,
        query::{DatadogQuery, DynatraceSelector, GraphiteTarget, Query, Template},
        scrape::Target,
    },
};

use super::{
    auth::{Auth, secret, variable},
    evidence::Raw,
};
use crate::failure::Failure;

/// The file: one table, named after the kind of source.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum SourceFile {
    CloudWatch(AwsFile),
    Datadog(DatadogFile),
    Dynatrace(DynatraceFile),
    Elasticsearch(ElasticsearchFile),
    Graphite(ServerFile<Query<Template<GraphiteTarget>>>),
    InfluxDb(InfluxFile),
    InfluxDb3(Influx3File),
    Json(ServerFile<Query<JsonRequest>>),
    NewRelic(NewRelicFile),
    Prometheus(PrometheusFile),
    Scrape(ScrapeFile),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerFile<Q> {
    url: String,
    #[serde(default)]
    auth: Auth,
    queries: BTreeMap<Metric, Q>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AwsFile {
    /// By default the environment's or the profile's.
    region: Option<String>,
    /// By default the region's.
    url: Option<String>,
    queries: BTreeMap<Metric, Query<MetricStat>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatadogFile {
    url: String,
    api_key_env: String,
    application_key_env: String,
    queries: BTreeMap<Metric, Query<Template<DatadogQuery>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DynatraceFile {
    url: String,
    /// A variable with the whole header: `Api-Token …`.
    authorization_env: String,
    queries: BTreeMap<Metric, Query<Template<DynatraceSelector>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ElasticsearchFile {
    url: String,
    /// By default `@timestamp`.
    time_field: Option<String>,
    #[serde(default)]
    auth: Auth,
    queries: BTreeMap<Metric, Query<Search>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InfluxFile {
    url: String,
    organisation: String,
    token_env: String,
    queries: BTreeMap<Metric, Query<FluxQuery>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Influx3File {
    url: String,
    database: String,
    token_env: String,
    queries: BTreeMap<Metric, Query<SqlQuery>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRelicFile {
    url: String,
    account: u32,
    api_key_env: String,
    queries: BTreeMap<Metric, Query<NrqlQuery>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrometheusFile {
    url: String,
    #[serde(default)]
    auth: Auth,
    catalogue: Option<Catalogue>,
    #[serde(default)]
    queries: BTreeMap<Metric, PromQuery>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScrapeFile {
    targets: Vec<TargetFile>,
    /// How often a rollout scrapes.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    every: Duration,
    #[serde(default)]
    auth: Auth,
    catalogue: Option<Catalogue>,
    #[serde(default)]
    queries: BTreeMap<Metric, PromQuery>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFile {
    url: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Queries of the catalogue for LLM servers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    server: String,
    matchers: String,
}

/// A source that can be asked; one that scrapes has to be told when.
pub(crate) enum Asked {
    Scrape { source: Arc<Scrape>, every: Duration },
    Server(Box<dyn MetricsSource>),
}

impl Asked {
    pub(crate) fn source(&self) -> &dyn MetricsSource {
        match self {
            Self::Scrape { source, .. } => &**source,
            Self::Server(source) => source.as_ref(),
        }
    }
}

impl SourceFile {
    /// `raw` keeps every answer.
    pub(crate) async fn open(self, raw: Option<Raw>) -> Result<Asked> {
        let http = |auth: &Auth| -> Result<Http> {
            let http = Http::new(client(auth)?);
            Ok(match raw.clone() {
                Some(raw) => http.watched_by(move |exchange| raw.take(exchange)),
                None => http,
            })
        };
        let nobody = Auth::default();
        Ok(Asked::Server(match self {
            Self::CloudWatch(file) => {
                let http = http(&nobody)?;
                let credentials = Environment::new(client(&nobody)?, variable);
                let region = match file.region {
                    Some(region) => region,
                    None => credentials.region().await.map_err(wrong)?,
                };
                let clock = WallClock::system();
                let source =
                    CloudWatch::new(http, &region, credentials, move || clock.now()).map_err(wrong)?;
                let source = match file.url {
                    Some(url) => source.at(&url).map_err(wrong)?,
                    None => source,
                };
                Box::new(source.with_queries(file.queries))
            }
            Self::Datadog(file) => {
                let keys = [secret(&file.api_key_env)?, secret(&file.application_key_env)?];
                let source = Datadog::new(http(&nobody)?, &file.url, keys).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::Dynatrace(file) => {
                let authorization = secret(&file.authorization_env)?;
                let source = Dynatrace::new(http(&nobody)?, &file.url, authorization).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::Elasticsearch(file) => {
                let source = Elasticsearch::new(http(&file.auth)?, &file.url).map_err(wrong)?;
                let source = match file.time_field {
                    Some(name) => source.with_time_field(name),
                    None => source,
                };
                Box::new(source.with_queries(file.queries))
            }
            Self::InfluxDb(file) => {
                let token = secret(&file.token_env)?;
                let source =
                    InfluxDb::new(http(&nobody)?, &file.url, file.organisation, &token).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::InfluxDb3(file) => {
                let token = secret(&file.token_env)?;
                let source =
                    InfluxDb3::new(http(&nobody)?, &file.url, file.database, &token).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::Json(file) => {
                let source = JsonApi::new(http(&file.auth)?, &file.url).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::Graphite(file) => {
                let source = Graphite::new(http(&file.auth)?, &file.url).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::NewRelic(file) => {
                let key = secret(&file.api_key_env)?;
                let source = NewRelic::new(http(&nobody)?, &file.url, file.account, key).map_err(wrong)?;
                Box::new(source.with_queries(file.queries))
            }
            Self::Prometheus(file) => {
                let source = Prometheus::new(http(&file.auth)?, &file.url).map_err(wrong)?;
                Box::new(source.with_queries(queries(file.catalogue, file.queries)?))
            }
            Self::Scrape(file) => {
                let targets = file.targets.into_iter().map(|TargetFile { url, labels }| {
                    let target = Target::new(&url).map_err(wrong)?;
                    Ok(labels.into_iter().fold(target, |target, (name, value)| target.with(name, value)))
                });
                let targets: Vec<_> = targets.collect::<Result<_>>()?;
                let scrape = Scrape::new(http(&file.auth)?, targets);
                let source = scrape.with_queries(queries(file.catalogue, file.queries)?).map_err(wrong)?;
                return Ok(Asked::Scrape { source: Arc::new(source), every: file.every });
            }
        }))
    }
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn client(auth: &Auth) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .default_headers(auth.headers()?)
        // Keys in headers would follow to whoever a server redirects to.
        .redirect(Policy::none())
        .build()
        .context("cannot set up HTTP; are the system's certificates readable?")
}

/// Those of the catalogue, and over them those of the file.
fn queries(
    catalogue: Option<Catalogue>,
    own: BTreeMap<Metric, PromQuery>,
) -> Result<Vec<(Metric, PromQuery)>> {
    let mut queries = Vec::new();
    if let Some(Catalogue { server, matchers }) = catalogue {
        let known = llm::Server::ALL.into_iter().find(|known| known.name() == server);
        let known = known.ok_or_else(|| {
            let names: Vec<_> = llm::Server::ALL.iter().map(|server| server.name()).collect();
            Failure::Misused(format!("the catalogue has no server `{server}`; it has {}", names.join(", ")))
        })?;
        queries.extend(llm::queries(known, &matchers).map_err(wrong)?);
    }
    queries.extend(own);
    Ok(queries)
}

/// The file says something that cannot be.
fn wrong(error: impl std::error::Error) -> Failure {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        text = format!("{text}: {behind}");
        source = behind.source();
    }
    Failure::Misused(text)
}
