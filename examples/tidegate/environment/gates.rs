//! Who lets a rollout through the gates of its plan.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use reqwest::Client;
use serde::Deserialize;
use tidegate::canary::{Gatekeeper, WallClock, notify::WebhookGate};

use super::sealed::Sealed;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum GateFile {
    Webhook(WebhookFile),
}

/// A server that is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookFile {
    url: Sealed,
    /// `whsec_…`, which signs questions.
    secret: Option<Sealed>,
    #[serde(default, with = "humantime_serde")]
    timeout: Option<Duration>,
}

impl GateFile {
    pub(super) fn open(self, client: &Client, clock: WallClock) -> Result<Arc<dyn Gatekeeper>> {
        let Self::Webhook(file) = self;
        let mut gate = WebhookGate::new(client.clone(), &file.url.open("gates.webhook.url")?, clock)?;
        if let Some(secret) = file.secret {
            gate = gate.signed(secret.open("gates.webhook.secret")?.parse()?);
        }
        Ok(Arc::new(match file.timeout {
            Some(timeout) => gate.with_timeout(timeout),
            None => gate,
        }))
    }
}
