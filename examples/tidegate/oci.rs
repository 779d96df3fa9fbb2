//! An OCI registry elsewhere, for artifacts alone: what is a version there is said by its tags.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Client;
use tidegate::registry::{InMemory, OciAuth, OciBacked};

use crate::{pace::Pace, secret::variable_of};

/// Where it is, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Oci {
    /// The OCI registry and the path below which a repository for each model lies: https://HOST/PATH
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Whose password it is; without, nobody in particular asks
    #[arg(long, value_name = "NAME", requires = "password_env")]
    username: Option<String>,
    /// The environment variable that holds the password, or an access token in its place
    #[arg(long, value_name = "VAR", requires = "username")]
    password_env: Option<String>,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Oci {
    /// With a log that ends with the program: the registry of the session has its own versions, of which
    /// those there are copies.
    pub(crate) fn open(self) -> Result<OciBacked> {
        let auth = match (self.username, self.password_env) {
            (Some(user), Some(variable)) => {
                OciAuth::Basic { user, password: variable_of("--password-env", &variable)? }
            }
            _ => OciAuth::Anonymous,
        };
        let client = Client::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.context("cannot set up HTTP; are the system's certificates readable?")?;
        let registry = OciBacked::new(client, auth, &self.address, Arc::new(InMemory::new()))?;
        Ok(registry.with_transfers(self.pace.transfers()))
    }
}
