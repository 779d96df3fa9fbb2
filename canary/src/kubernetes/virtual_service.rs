//! Weights, exceptions and copies on an Istio VirtualService.

mod route;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use kube::{Client, api::DynamicObject};

use self::route::Split;
use super::{
    object::{Cluster, Object},
    request::Kind,
    sides::Backends,
    unfit::Unfit,
};
use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter, Weight};

const KIND: Kind =
    Kind { group: "networking.istio.io", version: "v1", kind: "VirtualService", plural: "virtualservices" };

/// A router that moves the weights of a `VirtualService` of `networking.istio.io/v1` (Istio 1.22 and later).
///
/// The HTTP route that splits must list a destination for every side beforehand, the candidate's with weight 0:
///
/// ```yaml
/// http:
/// - name: predict
///   route:
///   - {destination: {host: fraud, subset: stable}, weight: 100}
///   - {destination: {host: fraud, subset: candidate}, weight: 0}
/// ```
///
/// Subsets must be known to a `DestinationRule` before they get weight. Only the weights of these,
/// `mirror` and `mirrorPercentage` of this HTTP route, HTTP routes of the router's own (`tidegate-predict-0`
/// and so on) and the annotation [`FENCE`](super::FENCE) are ever written. The object's weights must have no
/// other owner: keep them out of the manifests that a GitOps tool applies.
///
/// # What it promises
///
/// * Weights to the per cent: Istio wants whole numbers that sum to 100.
/// * Exceptions by header and by cookie, for an HTTP route [chosen by name](Self::with_rule), as copies of it
///   that come before it and match one header more. Istio wants names of headers in lower case; an exception
///   by another name is refused. Where a request carries a cookie twice, either of them counts.
/// * Copies, once [asked for](Self::with_mirror).
/// * Users are never kept on their side: `consistentHash` of a DestinationRule chooses within a side.
///
/// # What "in force" means here
///
/// A VirtualService has no status that tells whether proxies have taken it up:
/// [`observe`](TrafficRouter::observe) answers what is configured. That requests go there shows in the counts
/// of each side only.
///
/// # Errors
///
/// As those of [`HttpRoute`](super::HttpRoute).
#[derive(Clone, Debug)]
pub struct VirtualService {
    cluster: Cluster,
    backends: Backends<Destination>,
    rule: Option<String>,
    mirror: bool,
}

/// Where a side is, as the VirtualService writes it: a host, or a subset of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    host: String,
    subset: Option<String>,
}

impl Destination {
    /// All of `host`.
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: host.into(), subset: None }
    }

    /// The part of `host` that a DestinationRule calls `subset`.
    pub fn subset(host: impl Into<String>, subset: impl Into<String>) -> Self {
        Self { host: host.into(), subset: Some(subset.into()) }
    }

    fn new(host: String, subset: Option<String>) -> Self {
        Self { host, subset: subset.filter(|subset| !subset.is_empty()) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.subset.as_ref().map_or(Ok(()), |subset| write!(f, "/{subset}"))
    }
}

impl VirtualService {
    /// A router for VirtualServices of one HTTP route, which splits between the destinations `stable` and
    /// `candidate`.
    #[must_use]
    pub const fn new(client: Client, stable: Destination, candidate: Destination) -> Self {
        let backends = Backends { stable, baseline: None, candidate };
        Self { cluster: Cluster::new(client), backends, rule: None, mirror: false }
    }

    /// This router, also splitting to the destination `baseline`.
    #[must_use]
    pub fn with_baseline(mut self, baseline: Destination) -> Self {
        self.backends.baseline = Some(baseline);
        self
    }

    /// This router, for the HTTP route whose `name` is `rule`. A VirtualService of several needs it, and so do
    /// exceptions.
    #[must_use]
    pub fn with_rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// This router, also copying requests to the candidate. Istio copies of all requests of an HTTP route, so
    /// traffic that mirrors beside a split is refused: the candidate would get its own requests twice.
    #[must_use]
    pub const fn with_mirror(mut self) -> Self {
        self.mirror = true;
        self
    }

    /// This router, waiting up to `patience` with each request, 30 s by default, where the server names a time
    /// after which to ask again.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.cluster.patience = patience;
        self
    }

    fn object(&self, route: &RouteId) -> Result<Object, ActuatorError> {
        self.cluster.object(&KIND, route)
    }

    fn read(&self, object: &DynamicObject) -> Result<Split, Unfit> {
        Split::read(object, self.rule.as_deref(), &self.backends)
    }
}

#[async_trait]
impl TrafficRouter for VirtualService {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            granularity: Weight::percent(1).unwrap_or(Weight::FULL),
            baseline: self.backends.baseline.is_some(),
            headers: self.rule.is_some(),
            cookies: self.rule.is_some(),
            mirror: self.mirror,
            sticky: false,
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let object = self.object(route)?;
        self.capabilities().check(traffic).map_err(|unsupported| object.refused(unsupported))?;
        object.put(|object| self.read(object), traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.object(route)?.look(|object| self.read(object)).await
    }
}
