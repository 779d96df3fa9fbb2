//! A suite of checks of the version while it is served where no user is: behaviour, safety, smoke and load.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::{Client, redirect::Policy};
use serde::Deserialize;
use tidegate::{
    registry::ModelStore as _,
    validation::{Budget, InvalidSuite, OpenAi, Record, Report, Run, Sources, Subject, Suite},
};

use super::{
    At, Ending, Preview, reported,
    staging::{Staging, Unserved},
};
use crate::{
    document::{Document, Format},
    failure::Failure,
    formats::replace,
    ground::Ground,
    progress::Outcome,
    secret::variable_of,
    words::count,
};

/// A suite, and where the version is served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Validate {
    /// As for `tidegate validate`; the datasets that it names stand beside it or below.
    suite: PathBuf,
    /// Where it is served.
    pub(super) environment: String,
    /// The environment variable that holds the key of the API.
    api_key_env: Option<String>,
    /// The longest time for all checks together.
    #[serde(default = "a_quarter", with = "humantime_serde")]
    deadline: Duration,
    /// At most so many calls.
    max_calls: Option<u64>,
    #[serde(default)]
    seed: u32,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Validate {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let suite = self.suite(ground)?;
        let place = &ground.release.environments[&self.environment];
        let endpoint = self.endpoint(ground)?;
        let _served = match Staging::serve(&self.environment, place, ground).await {
            Ok(served) => served,
            Err(Unserved::Failed(why)) => return Ok(Outcome::failed(why).into()),
            Err(Unserved::Error(error)) => return Err(error),
        };
        let client = client(&suite)?;
        expect_answer(&client, endpoint).await?;
        let report = self.report(at, &suite, client, endpoint).await?;

        let registry = ground.registry()?;
        let (model, stamp) = (&ground.release.model, ground.stamp());
        registry.attestations.attest(model, report.attestation(stamp.clone())).await?;
        registry.attestations.attest(model, report.test_result().attestation(stamp)).await?;
        let page = format!("{}.html", at.stage);
        replace(&ground.outputs()?.join(&page), report.projection().html().as_bytes())
            .map_err(|source| Failure::Lost { what: format!("page `{page}` cannot be written"), source })?;
        Ok(reported(&report).with_file("page", page).with_file("answers", record(at)).into())
    }

    async fn report(&self, at: At<'_>, suite: &Suite, client: Client, endpoint: &str) -> Result<Report> {
        let ground = at.ground;
        let (registry, model) = (ground.registry()?, &ground.release.model);
        let served_as = ground.release.environments[&self.environment].served_as.clone();
        let mut agent = OpenAi::new(client, endpoint, served_as.unwrap_or_else(|| model.to_string()))?;
        if let Some(variable) = &self.api_key_env {
            agent = agent.bearer(variable_of("validate.api_key_env", variable)?)?;
        }
        let manifest = registry.store.manifest(model).await?;
        // Killed anywhere, it goes on from here, and asks nothing twice.
        let record = Record::at(ground.outputs()?.join(record(at)));
        let mut run = Run::new(self.seed).deadline(self.deadline).at(ground.now()).record(record);
        if let Some(calls) = self.max_calls {
            run = run.budget(Budget::default().calls(calls));
        }
        let subject = Subject::new(&manifest, &registry.store).with_agent(&agent);
        Ok(suite.run(&subject, &run).await)
    }

    pub(super) fn preview(&self, ground: &Ground) -> Preview {
        let place = &ground.release.environments[&self.environment];
        let endpoint = self.endpoint(ground);
        let mut preview =
            Preview::new(format!("serves {} in {}, and asks it", ground.release.model, self.environment));
        match self.suite(ground) {
            Ok(suite) => {
                preview.does.push_str(&format!(
                    " for the {} of suite `{}`",
                    count(suite.checks().count(), "check"),
                    suite.name()
                ));
            }
            Err(error) => preview = preview.lacking([format!("{error:#}")]),
        }
        preview.does.push_str(&format!(", for {} at most", humantime::format_duration(self.deadline)));
        preview = preview.taking(format!("the suite `{}`", ground.release.path(&self.suite).display()));
        match endpoint {
            Ok(endpoint) => preview = preview.taking(format!("an OpenAI-compatible API at {endpoint}")),
            Err(error) => preview = preview.lacking([error.to_string()]),
        }
        if let Some(file) = &place.file {
            preview = preview
                .taking(format!("the environment `{}`", ground.release.path(file).display()))
                .lacking(crate::stage::unread(ground, file));
        }
        if let Some(variable) = &self.api_key_env {
            let unset = variable_of("validate.api_key_env", variable).err();
            preview = preview.taking("the key of the API").lacking(unset.map(|error| error.to_string()));
        }
        preview
    }

    fn endpoint<'g>(&self, ground: &'g Ground) -> Result<&'g str, Failure> {
        let endpoint = ground.release.environments[&self.environment].endpoint.as_deref();
        endpoint.ok_or_else(|| {
            let why = format!(
                "environments.{}.endpoint is missing; say where a version answers there",
                self.environment
            );
            Failure::Misused(why)
        })
    }

    fn suite(&self, ground: &Ground) -> Result<Suite> {
        let path = ground.release.path(&self.suite);
        let document = Document::read("suite", &path)?;
        let sources = Sources::beside(&path);
        let suite: Result<Suite, InvalidSuite> = match document.format {
            Format::Json | Format::Toml => Suite::open_with(&path, &sources),
            Format::Yaml => {
                let Document { text, .. } = document.without_yaml("suite", &path)?;
                Suite::from_value_with(serde_json::from_str(&text)?, &sources)
            }
        };
        suite.with_context(|| format!("suite `{}` cannot be used", path.display()))
    }
}

/// The answers of a stage until it comes to a result; what is done again after that asks again.
fn record(at: At<'_>) -> String {
    format!("{}-{}.jsonl", at.stage, at.round)
}

fn client(suite: &Suite) -> Result<Client> {
    let client = Client::builder().connect_timeout(CONNECT_TIMEOUT);
    // What may go only where it is allowed to must not be led elsewhere.
    let client = if suite.is_confined() { client.redirect(Policy::none()).no_proxy() } else { client };
    client.build().context("cannot set up HTTP; are the system's certificates readable?")
}

/// Whether anybody answers at all: an unreachable server is no evidence about a model.
async fn expect_answer(client: &Client, endpoint: &str) -> Result<(), Failure> {
    let asked = client.get(endpoint).timeout(2 * CONNECT_TIMEOUT).send().await;
    asked
        .map(drop)
        .map_err(|source| Failure::NoServer { url: endpoint.to_owned(), source: source.without_url() })
}

const fn a_quarter() -> Duration {
    Duration::from_secs(900)
}
