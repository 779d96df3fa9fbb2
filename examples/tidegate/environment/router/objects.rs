//! Objects of a cluster by which a gateway or a mesh splits requests; the route is `NAMESPACE/NAME`.

use std::{num::NonZeroU16, sync::Arc};

use kube::Client;
use serde::Deserialize;
use tidegate::canary::{
    TrafficRouter,
    kubernetes::{CanaryIngress, Destination, HttpRoute, ReplicaRatio, TraefikService, VirtualService},
};

/// The weights of an HTTPRoute of the Gateway API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpRouteFile {
    stable: String,
    candidate: String,
    baseline: Option<String>,
    /// The rule that splits, where there are several.
    rule: Option<String>,
    /// Whether the gateway takes exceptions by header.
    #[serde(default)]
    headers: bool,
    /// Whether it takes them by cookie.
    #[serde(default)]
    cookies: bool,
    /// Whether it copies requests.
    #[serde(default)]
    mirror: bool,
}

/// The weights of a VirtualService of Istio.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VirtualServiceFile {
    stable: DestinationFile,
    candidate: DestinationFile,
    baseline: Option<DestinationFile>,
    rule: Option<String>,
    #[serde(default)]
    mirror: bool,
}

/// A host, or a subset of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationFile {
    host: String,
    subset: Option<String>,
}

/// The weights of a TraefikService.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraefikFile {
    stable: String,
    candidate: String,
    baseline: Option<String>,
}

/// A second Ingress of ingress-nginx.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngressFile {
    stable: String,
    candidate: String,
    suffix: Option<String>,
}

/// Numbers of replicas behind one Service, which the route names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplicasFile {
    total: NonZeroU16,
    #[serde(default)]
    baseline: bool,
}

impl HttpRouteFile {
    pub(super) fn open(self, client: Client) -> Arc<dyn TrafficRouter> {
        let mut router = HttpRoute::new(client, self.stable, self.candidate);
        if let Some(baseline) = self.baseline {
            router = router.with_baseline(baseline);
        }
        if let Some(rule) = self.rule {
            router = router.with_rule(rule);
        }
        if self.headers {
            router = router.with_header_exceptions();
        }
        if self.cookies {
            router = router.with_cookie_exceptions();
        }
        if self.mirror {
            router = router.with_mirror();
        }
        Arc::new(router)
    }
}

impl VirtualServiceFile {
    pub(super) fn open(self, client: Client) -> Arc<dyn TrafficRouter> {
        let mut router = VirtualService::new(client, self.stable.into(), self.candidate.into());
        if let Some(baseline) = self.baseline {
            router = router.with_baseline(baseline.into());
        }
        if let Some(rule) = self.rule {
            router = router.with_rule(rule);
        }
        if self.mirror {
            router = router.with_mirror();
        }
        Arc::new(router)
    }
}

impl From<DestinationFile> for Destination {
    fn from(file: DestinationFile) -> Self {
        match file.subset {
            Some(subset) => Self::subset(file.host, subset),
            None => Self::host(file.host),
        }
    }
}

impl TraefikFile {
    pub(super) fn open(self, client: Client) -> Arc<dyn TrafficRouter> {
        let router = TraefikService::new(client, self.stable, self.candidate);
        match self.baseline {
            Some(baseline) => Arc::new(router.with_baseline(baseline)),
            None => Arc::new(router),
        }
    }
}

impl IngressFile {
    pub(super) fn open(self, client: Client) -> Arc<dyn TrafficRouter> {
        let router = CanaryIngress::new(client, self.stable, self.candidate);
        match self.suffix {
            Some(suffix) => Arc::new(router.with_suffix(suffix)),
            None => Arc::new(router),
        }
    }
}

impl ReplicasFile {
    pub(super) fn open(self, client: Client) -> Arc<dyn TrafficRouter> {
        let router = ReplicaRatio::new(client, self.total);
        if self.baseline { Arc::new(router.with_baseline()) } else { Arc::new(router) }
    }
}
