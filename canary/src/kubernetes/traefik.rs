//! Weights of a TraefikService.

use std::time::Duration;

use async_trait::async_trait;
use kube::{Client, api::DynamicObject};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    head::Head,
    object::{Change, Cluster, Object, Reading},
    request::Kind,
    sides::{Backends, Sides},
    unfit::Unfit,
};
use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter};

const KIND: Kind =
    Kind { group: "traefik.io", version: "v1alpha1", kind: "TraefikService", plural: "traefikservices" };
/// Weights are relative, so these are as fine as shares are.
const TOTAL: u64 = 10_000;

/// A router that moves the weights of a `TraefikService` of `traefik.io/v1alpha1` (Traefik 2.10 and later).
///
/// It must list a service for every side beforehand, the candidate's with weight 0, and an `IngressRoute` must
/// send requests to it:
///
/// ```yaml
/// spec:
///   weighted:
///     services:
///     - {name: fraud-stable, port: 80, weight: 100}
///     - {name: fraud-candidate, port: 80, weight: 0}
/// ```
///
/// Only the weights of these and the annotation [`FENCE`](super::FENCE) are ever written.
///
/// # What it promises
///
/// Weights to the basis point, and nothing else. Why not
///
/// * exceptions: which requests come here is said in `IngressRoute`s, other objects, which could not be
///   changed as one with the weights;
/// * copies: `mirroring` is another TraefikService, in front of this or behind, with the same difficulty;
/// * users kept on their side: Traefik's sticky cookie names the side that chance chose at the first request.
///   It is no function of who asks, and holds users on stable as well while weights change. An object with
///   `sticky` is refused, as its weights hold for new users only.
///
/// # What "in force" means here
///
/// A TraefikService has no status: [`observe`](TrafficRouter::observe) answers what is configured, which
/// Traefik takes up a moment later, unseen. That requests go there shows in the counts of each side only.
///
/// # Errors
///
/// As those of [`HttpRoute`](super::HttpRoute).
#[derive(Clone, Debug)]
pub struct TraefikService {
    cluster: Cluster,
    backends: Backends,
}

impl TraefikService {
    /// A router for TraefikServices that split between the services (by name) `stable` and `candidate`.
    pub fn new(client: Client, stable: impl Into<String>, candidate: impl Into<String>) -> Self {
        let backends = Backends { stable: stable.into(), baseline: None, candidate: candidate.into() };
        Self { cluster: Cluster::new(client), backends }
    }

    /// This router, also splitting to the service `baseline`.
    #[must_use]
    pub fn with_baseline(mut self, baseline: impl Into<String>) -> Self {
        self.backends.baseline = Some(baseline.into());
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
}

#[async_trait]
impl TrafficRouter for TraefikService {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            baseline: self.backends.baseline.is_some(),
            headers: false,
            cookies: false,
            mirror: false,
            sticky: false,
            ..Capabilities::ALL
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let object = self.object(route)?;
        self.capabilities().check(traffic).map_err(|unsupported| object.refused(unsupported))?;
        object.put(|object| Weighted::read(object, &self.backends), traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.object(route)?.look(|object| Weighted::read(object, &self.backends)).await
    }
}

/// One reading of `spec.weighted`.
#[derive(Debug)]
struct Weighted {
    head: Head,
    names: Vec<String>,
    sides: Sides,
}

/// <https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/http/traefikservice/>
#[derive(Deserialize)]
struct Written {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    weighted: WeightedSpec,
}

#[derive(Deserialize)]
struct WeightedSpec {
    #[serde(default)]
    services: Vec<Service>,
    sticky: Option<Value>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    weight: Option<u32>,
}

impl Weighted {
    fn read(object: &DynamicObject, backends: &Backends) -> Result<Self, Unfit> {
        let kind = "a TraefikService of traefik.io/v1alpha1 with spec.weighted";
        let unreadable = |source| Unfit::Unreadable { kind, source };
        let Written { spec: Spec { weighted } } =
            Deserialize::deserialize(&object.data).map_err(unreadable)?;
        let at = "spec.weighted".to_owned();
        if weighted.sticky.is_some() {
            return Err(Unfit::Sticky { at, field: "sticky" });
        }
        // Traefik takes a weight that is not given for 1.
        let services = weighted.services.into_iter();
        let list: Vec<_> = services.map(|found| (found.name, found.weight.map_or(1, u64::from))).collect();
        let sides = backends.find(at, "service", &list)?;
        let names = list.into_iter().map(|(name, _)| name).collect();
        Ok(Self { head: Head::read(object)?, names, sides })
    }
}

impl Reading for Weighted {
    fn head(&self) -> &Head {
        &self.head
    }

    fn traffic(&self) -> Result<Traffic, Unfit> {
        self.sides.split()
    }

    fn plan(&self, traffic: &Traffic) -> Result<Change, Unfit> {
        let due = self.sides.due(traffic, TOTAL).into_iter().flatten();
        let operations = due.flat_map(|(place, weight)| {
            let path = format!("/spec/weighted/services/{}", place.index);
            let name = &self.names[place.index];
            [
                json!({"op": "test", "path": format!("{path}/name"), "value": name}),
                json!({"op": "add", "path": format!("{path}/weight"), "value": weight}),
            ]
        });
        Ok(Change { operations: operations.collect(), annotations: Vec::new() })
    }
}
