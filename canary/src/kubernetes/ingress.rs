//! A second Ingress, which ingress-nginx takes for the canary of a first.

mod canary;

use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use tidegate_registry::Invalid;

use self::canary::{Canary, Main};
use super::{
    object::{Cluster, Object},
    request::Kind,
};
use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter};

const KIND: Kind = Kind { group: "networking.k8s.io", version: "v1", kind: "Ingress", plural: "ingresses" };

/// A router for clusters that still run ingress-nginx, which was retired in March 2026: it makes a second
/// Ingress, the canary of the one that the route names, and writes its weight.
///
/// The first Ingress is only read. The second, `fraud-tidegate` for `fraud`, belongs to the router as a whole:
/// it has the rules of the first as far as they lead to the Service of stable, but to the candidate's.
/// It is made by the first [`apply`](TrafficRouter::apply) and then stays, without traffic with weight 0:
/// it holds the fence, without which a driver that was superseded could act again. Delete it when no rollouts
/// are to come. When rules of the first change, the next [`apply`](TrafficRouter::apply) takes them over.
///
/// # What it promises
///
/// Weights to the basis point (`canary-weight-total` of 10 000), and one exception that leads to the candidate by
/// a header (`canary-by-header-value`). Of more, or to stable, [`apply`](TrafficRouter::apply) says that it
/// cannot. Why not
///
/// * cookies: ingress-nginx sends on `always` and keeps back on `never`, and no other value can be chosen;
/// * a baseline: there is one canary for an Ingress;
/// * copies: they are asked for on the first Ingress, another object;
/// * users kept on their side: its affinity holds the side that chance chose at the first request. An Ingress
///   with `affinity` whose canary is not exempt (`affinity-canary-behavior: legacy`) is refused, as weights
///   hold for new users only.
///
/// # What "in force" means here
///
/// An Ingress has no status that tells what nginx has taken up: [`observe`](TrafficRouter::observe) answers
/// what is configured. That requests go there shows in the counts of each side only.
///
/// # Errors
///
/// As those of [`HttpRoute`](super::HttpRoute); the client needs `get` and `patch` on `ingresses`, and `create`.
/// An Ingress of the second's name that is not the router's is [`ActuatorError::Refused`].
#[derive(Clone, Debug)]
pub struct CanaryIngress {
    cluster: Cluster,
    stable: String,
    candidate: String,
    suffix: String,
}

impl CanaryIngress {
    /// A router for Ingresses that lead to the Service `stable`, with the Service `candidate` beside it.
    pub fn new(client: Client, stable: impl Into<String>, candidate: impl Into<String>) -> Self {
        let cluster = Cluster::new(client);
        Self { cluster, stable: stable.into(), candidate: candidate.into(), suffix: "-tidegate".to_owned() }
    }

    /// This router, with `suffix` in place of `-tidegate` in the name of the second Ingress.
    #[must_use]
    pub fn with_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = suffix.into();
        self
    }

    /// This router, waiting up to `patience` with each request, 30 s by default, where the server names a time
    /// after which to ask again.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.cluster.patience = patience;
        self
    }

    /// The Ingress that the route names, and the canary's.
    fn objects(&self, route: &RouteId) -> Result<(Object, Object), ActuatorError> {
        let main = self.cluster.object(&KIND, route)?;
        let canary =
            format!("{route}{}", self.suffix).parse().map_err(|invalid: Invalid| main.refused(invalid))?;
        let canary = self.cluster.object(&KIND, &canary)?;
        Ok((main, canary))
    }
}

#[async_trait]
impl TrafficRouter for CanaryIngress {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            baseline: false,
            headers: true,
            cookies: false,
            mirror: false,
            sticky: false,
            ..Capabilities::ALL
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let (main, canary) = self.objects(route)?;
        self.capabilities().check(traffic).map_err(|unsupported| main.refused(unsupported))?;
        let read = Main::read(&main.get().await?, &self.stable, &self.candidate);
        let read = read.map_err(|unfit| main.refused(unfit))?;
        let made = Canary::made(canary.name(), &read, traffic, fence).map_err(|unfit| main.refused(unfit))?;
        if canary.find().await?.is_none() && canary.create(&made).await? {
            return Ok(());
        }
        let plan = |canary: &Canary| canary.plan_from(&read, traffic);
        canary.change(Canary::read, Canary::head, plan, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let (main, canary) = self.objects(route)?;
        // There must be something to have a canary of.
        main.get().await?;
        let Some(object) = canary.find().await? else {
            return Ok(Observed::new(Traffic::stable(), None));
        };
        let read = Canary::read(&object).map_err(|unfit| canary.refused(unfit))?;
        let traffic = read.traffic().map_err(|unfit| canary.refused(unfit))?;
        Ok(Observed::new(traffic, read.head().fence))
    }
}
