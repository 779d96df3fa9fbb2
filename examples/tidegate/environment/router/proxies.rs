//! Proxies on machines: Envoy, HAProxy, nginx.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use reqwest::{Client, Url};
use serde::Deserialize;
use tidegate::canary::{Envoy, HaProxy, HaProxyWeights, Key, Nginx, TrafficRouter};

use crate::failure::Failure;

/// Routes of an Envoy that reads them from files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvoyFile {
    /// Its administration interface.
    admin: String,
    directory: PathBuf,
    stable: String,
    candidate: String,
    baseline: Option<String>,
    #[serde(default, with = "humantime_serde")]
    timeout: Option<Duration>,
}

/// The split in a map of a running HAProxy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HaProxyFile {
    /// Of its runtime API: a path, or `host:port`.
    socket: String,
    /// The directory of maps, as its configuration spells it.
    maps: String,
    /// Whether there is a backend for the baseline.
    #[serde(default)]
    baseline: bool,
    /// What its configuration reads for exceptions and sticky users.
    #[serde(default)]
    keys: Vec<Key>,
    /// Where the maps are on this machine, to survive reloads.
    files: Option<PathBuf>,
}

/// Weights of servers in a backend of a running HAProxy; the route is its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeightsFile {
    socket: String,
    stable: String,
    candidate: String,
    baseline: Option<String>,
}

/// `split_clients` of an nginx that is reloaded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NginxFile {
    /// Where it shows its state, such as `http://127.0.0.1:8081/tidegate`.
    state: String,
    directory: PathBuf,
    stable: String,
    candidate: String,
    baseline: Option<String>,
    test: Option<Vec<String>>,
    reload: Option<Vec<String>>,
}

impl EnvoyFile {
    pub(super) fn open(self, client: &Client) -> Result<Arc<dyn TrafficRouter>> {
        let admin = url("router.envoy.admin", &self.admin)?;
        let mut router = Envoy::new(client.clone(), admin, self.directory, self.stable, self.candidate);
        if let Some(baseline) = self.baseline {
            router = router.with_baseline(baseline);
        }
        Ok(Arc::new(router.with_timeout(self.timeout.unwrap_or_default())))
    }
}

impl HaProxyFile {
    pub(super) fn open(self) -> Result<Arc<dyn TrafficRouter>> {
        let mut router = HaProxy::new(&self.socket, &self.maps)?;
        if self.baseline {
            router = router.with_baseline();
        }
        for key in self.keys {
            router = router.with_key(key)?;
        }
        if let Some(files) = self.files {
            router = router.with_files(files);
        }
        Ok(Arc::new(router))
    }
}

impl WeightsFile {
    pub(super) fn open(self) -> Result<Arc<dyn TrafficRouter>> {
        let mut router = HaProxyWeights::new(&self.socket, &self.stable, &self.candidate)?;
        if let Some(baseline) = self.baseline {
            router = router.with_baseline(&baseline)?;
        }
        Ok(Arc::new(router))
    }
}

impl NginxFile {
    pub(super) fn open(self, client: &Client) -> Result<Arc<dyn TrafficRouter>> {
        let state = url("router.nginx.state", &self.state)?;
        let mut router = Nginx::new(client.clone(), state, self.directory, self.stable, self.candidate);
        if let Some(baseline) = self.baseline {
            router = router.with_baseline(baseline);
        }
        if let Some(test) = self.test {
            router = router.with_test(test);
        }
        if let Some(reload) = self.reload {
            router = router.with_reload(reload);
        }
        Ok(Arc::new(router))
    }
}

fn url(field: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    url.ok_or_else(|| Failure::Misused(format!("{field} is no URL; write for example http://127.0.0.1:9901")))
}
