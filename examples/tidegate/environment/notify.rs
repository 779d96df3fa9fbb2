//! Who is told what happens.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use reqwest::Client;
use serde::Deserialize;
use tidegate::{
    canary::{
        Error, RouteId, WallClock,
        notify::{Courier, PagerDuty, Recipient, Severity, Slack, Sns, Teams, Webhook},
    },
    metrics::cloudwatch::Environment,
    rollback::{Undo, Vigil, notify::Narrator},
};

use super::sealed::Sealed;
use crate::{failure, query::auth::variable, registry::Registry};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotifyFile {
    to: To,
    /// What is less severe is not told, but for what opens or resolves an incident.
    #[serde(default)]
    least: Least,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum To {
    PagerDuty { key: Sealed },
    Slack { url: Sealed },
    Sns { topic: String },
    Teams { url: Sealed },
    Webhook { url: Sealed, secret: Option<Sealed> },
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Least {
    #[default]
    Info,
    Warning,
    Error,
    Critical,
}

/// Who brings what is to be told to one recipient, from each journal of a route.
pub(super) struct Couriers {
    rollouts: Courier,
    watches: Courier<Narrator<Vigil>>,
    rollbacks: Courier<Narrator<Undo>>,
}

impl NotifyFile {
    pub(super) fn open(
        self,
        name: &str,
        registry: &Registry,
        route: &RouteId,
        client: &Client,
        clock: WallClock,
    ) -> Result<Couriers> {
        let (to, least) = self.recipient(name, client, clock)?;
        let log = || Arc::new(registry.store.clone());
        let (watches, rollbacks) = (Narrator::new(route.clone()), Narrator::new(route.clone()));
        Ok(Couriers {
            rollouts: Courier::new(log(), route.clone(), name, Arc::clone(&to), clock)?.with_least(least),
            watches: Courier::following(log(), watches, name, Arc::clone(&to), clock)?.with_least(least),
            rollbacks: Courier::following(log(), rollbacks, name, to, clock)?.with_least(least),
        })
    }

    /// Who is told, and what is severe enough for that.
    pub(crate) fn recipient(
        self,
        name: &str,
        client: &Client,
        clock: WallClock,
    ) -> Result<(Arc<dyn Recipient>, Severity)> {
        let to = self.to.open(client, clock).with_context(|| format!("notify.{name} cannot be used"))?;
        let least = match self.least {
            Least::Info => Severity::Info,
            Least::Warning => Severity::Warning,
            Least::Error => Severity::Error,
            Least::Critical => Severity::Critical,
        };
        Ok((to, least))
    }
}

impl Couriers {
    /// Tells everything, for as long as it is let or as it is not hopeless.
    pub(super) async fn run(&self) {
        let told = |error: Error| failure::warn(&error.into(), "somebody is not told any more");
        tokio::join!(
            async { told(self.rollouts.run().await) },
            async { told(self.watches.run().await) },
            async { told(self.rollbacks.run().await) },
        );
    }

    /// Brings what there is still to be told.
    pub(super) async fn catch_up(&self) {
        // One that cannot be reached now is told the next time.
        let _later =
            tokio::join!(self.rollouts.catch_up(), self.watches.catch_up(), self.rollbacks.catch_up());
    }
}

impl To {
    fn open(self, client: &Client, clock: WallClock) -> Result<Arc<dyn Recipient>> {
        let client = client.clone();
        Ok(match self {
            Self::PagerDuty { key } => Arc::new(PagerDuty::new(client, &key.open("notify.pagerduty.key")?)?),
            Self::Slack { url } => Arc::new(Slack::new(client, &url.open("notify.slack.url")?)?),
            Self::Sns { topic } => {
                let credentials = Environment::new(client.clone(), variable);
                Arc::new(Sns::new(client, &topic, credentials, clock)?)
            }
            Self::Teams { url } => Arc::new(Teams::new(client, &url.open("notify.teams.url")?)?),
            Self::Webhook { url, secret } => {
                let webhook = Webhook::new(client, &url.open("notify.webhook.url")?, clock)?;
                Arc::new(match secret {
                    Some(secret) => webhook.signed(secret.open("notify.webhook.secret")?.parse()?),
                    None => webhook,
                })
            }
        })
    }
}
