//! A split made by numbers of replicas behind one Service.

pub(super) mod counts;

use std::{num::NonZeroU16, time::Duration};

use async_trait::async_trait;
use kube::{Client, api::DynamicObject};
use tidegate_registry::Invalid;

use self::counts::{Counts, Intent, SLOTS, Scale};
use super::{
    object::{Cluster, Object},
    request::Kind,
    unfit::{NotTakenUp, Unfit},
};
use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Slot, Traffic, TrafficRouter, rounding};

const SERVICE: Kind = Kind { group: "", version: "v1", kind: "Service", plural: "services" };

/// A router for clusters without any: a Service spreads requests evenly over its pods, so the split is how many
/// replicas each side has.
///
/// The route names the Service. Behind it, selected by a label that they share, are the Deployments
/// `fraud-stable`, `fraud-candidate` and perhaps `fraud-baseline` for the Service `fraud`. Together they have
/// `total` replicas, for which no autoscaler and no deployer may have other plans: **this router alone says how
/// many there are.** Deployments made by [`Deployments`](super::Deployments) have to be told so, by
/// [`with_replicas_by_ratio`](super::Deployments::with_replicas_by_ratio); otherwise the deployer sets the number
/// back with each step. A slot that is to be empty may have no Deployment.
///
/// ```no_run
/// use std::num::NonZeroU16;
///
/// use serde_json::Value;
/// use tidegate_canary::kubernetes::{Deployments, ReplicaRatio};
///
/// # fn pair(client: kube::Client, template: &Value) -> Result<(), Box<dyn std::error::Error>> {
/// // A template called `fraud`, of 10 replicas: fraud-stable and fraud-candidate, behind the Service fraud.
/// let deployer = Deployments::new(client.clone(), "serving", template)?.with_replicas_by_ratio();
/// let router = ReplicaRatio::new(client, NonZeroU16::new(10).ok_or("no replicas")?);
/// # let _ = (deployer, router);
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// * Weights that are whole numbers of replicas: of 10 that is 10 %, of 12 it is 25 %, of 100 it is 1 %. Others
///   are refused, not rounded. Each is as exact as the balancing of the Service: evenly over many
///   connections, but a client that keeps its connection keeps its side.
/// * At 100 % nothing of stable runs any more: going back then takes as long as its pods take to start.
/// * A baseline, once [asked for](Self::with_baseline).
/// * No exceptions, no copies, no users kept on their side: nothing reads the requests.
///
/// # How traffic moves
///
/// What is wanted is first written down with the fence on the Service, in the annotations
/// `tidegate.dev/replicas` and [`FENCE`](super::FENCE). Then the sides that grow are scaled; only when all their
/// replicas are ready are the others made smaller, so that none is missed meanwhile. Until then
/// [`apply`](TrafficRouter::apply) answers [`ActuatorError::Unavailable`] and wants to be called again. Each
/// Deployment carries the annotations as well, so a driver that was superseded on the way is fenced there.
///
/// # What "in force" means here
///
/// [`observe`](TrafficRouter::observe) counts replicas that are ready, by the Deployments' status for the
/// generation of their spec. While any side has more or fewer than it should, it is
/// [`ActuatorError::Unavailable`]: what has not arrived is not claimed. Whether each ready replica gets its
/// part shows in the counts of each side only.
///
/// # Errors
///
/// As those of [`HttpRoute`](super::HttpRoute); the client needs `get` and `patch` on `services` and on
/// `deployments`.
#[derive(Clone, Debug)]
pub struct ReplicaRatio {
    cluster: Cluster,
    total: NonZeroU16,
    baseline: bool,
    suffixes: [String; 3],
}

impl ReplicaRatio {
    /// A router for Services with `total` replicas behind them.
    #[must_use]
    pub fn new(client: Client, total: NonZeroU16) -> Self {
        let suffixes = SLOTS.map(|slot| format!("-{slot}"));
        Self { cluster: Cluster::new(client), total, baseline: false, suffixes }
    }

    /// This router, also splitting to a baseline.
    #[must_use]
    pub const fn with_baseline(mut self) -> Self {
        self.baseline = true;
        self
    }

    /// This router, with `suffix` in place of the slot behind the Service's name in the name of its Deployment.
    /// It may be empty.
    #[must_use]
    pub fn with_suffix(mut self, slot: Slot, suffix: impl Into<String>) -> Self {
        let suffix = suffix.into();
        self.suffixes = std::array::from_fn(|i| {
            if SLOTS[i] == slot { suffix.clone() } else { std::mem::take(&mut self.suffixes[i]) }
        });
        self
    }

    /// This router, waiting up to `patience` with each request, 30 s by default, where the server names a time
    /// after which to ask again.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.cluster.patience = patience;
        self
    }

    /// The Service, and the Deployment of every slot that is there to be split to.
    fn objects(&self, route: &RouteId) -> Result<(Object, Vec<(Slot, Object)>), ActuatorError> {
        let service = self.cluster.object(&SERVICE, route)?;
        let slots = SLOTS.into_iter().zip(&self.suffixes);
        let slots = slots.filter(|(slot, _)| self.baseline || *slot != Slot::Baseline);
        let deployments = slots.map(|(slot, suffix)| {
            let name =
                format!("{route}{suffix}").parse().map_err(|invalid: Invalid| service.refused(invalid))?;
            Ok((slot, self.cluster.object(&Kind::DEPLOYMENT, &name)?))
        });
        let deployments = deployments.collect::<Result<_, ActuatorError>>()?;
        Ok((service, deployments))
    }
}

#[async_trait]
impl TrafficRouter for ReplicaRatio {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            granularity: counts::granularity(self.total),
            baseline: self.baseline,
            headers: false,
            cookies: false,
            mirror: false,
            sticky: false,
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let (service, deployments) = self.objects(route)?;
        self.capabilities().check(traffic).map_err(|unsupported| service.refused(unsupported))?;
        let wanted = Counts::of(traffic, self.total);
        service.change(Intent::read, Intent::head, |intent: &Intent| Ok(intent.plan(wanted)), fence).await?;
        let mut smaller = Vec::new();
        let mut awaited = None;
        for (slot, deployment) in &deployments {
            let wanted = wanted.get(*slot);
            match find(deployment).await? {
                None if wanted == 0 => {}
                Some(scale) if scale.wanted() > wanted => smaller.push((deployment, wanted)),
                _ => {
                    scale_to(deployment, wanted, fence).await?;
                    let scale = find(deployment).await?;
                    if let Some(Err(why)) = scale.map(|scale| scale.arrived(wanted)) {
                        awaited = Some(deployment.later(why));
                    }
                }
            }
        }
        if let Some(awaited) = awaited {
            return Err(awaited);
        }
        for (deployment, wanted) in smaller {
            scale_to(deployment, wanted, fence).await?;
        }
        Ok(())
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let (service, deployments) = self.objects(route)?;
        let intent = Intent::read(&service.get().await?).map_err(|unfit| service.refused(unfit))?;
        let mut ready = Counts::default();
        for (slot, deployment) in &deployments {
            let intended = intent.wanted().map(|counts| counts.get(*slot));
            let Some(scale) = find(deployment).await? else {
                if intended.unwrap_or(0) > 0 {
                    return Err(deployment.later(NotTakenUp::OnTheWay));
                }
                continue;
            };
            if intended.is_some_and(|intended| scale.written() != Some(intended)) {
                return Err(deployment.later(NotTakenUp::OnTheWay));
            }
            scale.settled().map_err(|why| deployment.later(why))?;
            ready.set(*slot, scale.wanted());
        }
        let traffic = rounding::split_of(SLOTS.map(|slot| ready.get(slot).into()));
        let traffic = traffic
            .ok_or_else(|| service.refused(Unfit::Nowhere { at: "its set of Deployments".to_owned() }))?;
        Ok(Observed::new(traffic, intent.head().fence))
    }
}

async fn find(deployment: &Object) -> Result<Option<Scale>, ActuatorError> {
    let read = |object: DynamicObject| Scale::read(&object).map_err(|unfit| deployment.refused(unfit));
    deployment.find().await?.map(read).transpose()
}

async fn scale_to(deployment: &Object, wanted: u32, fence: Fence) -> Result<(), ActuatorError> {
    deployment.change(Scale::read, Scale::head, |scale: &Scale| Ok(scale.plan(wanted)), fence).await
}
