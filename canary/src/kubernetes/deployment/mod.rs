//! Slots that are Deployments.

mod conflict;
pub(super) mod keeper;
mod ledger;
pub(super) mod names;
pub(super) mod pods;
pub(super) mod rollout;
mod scale;
pub(super) mod template;

use std::fmt;

use async_trait::async_trait;
use kube::{
    Client,
    api::{DynamicObject, ListParams},
};
use serde_json::Value;
use tidegate_registry::Invalid;

use self::{
    keeper::Keeper,
    rollout::{Unfit, readiness},
    template::{INSTANCE, SLOT, Template},
};
use super::{
    failure::Failure,
    request::{Collection, Kind},
};
use crate::{
    ActuatorError, Deployer, Fence, Readiness, Rehearsed, Release, Slot, Workload, pattern::Pattern,
};

/// How many pods are asked for what they say.
const ASKED: u32 = 50;

/// A deployer whose slots are Deployments, in one namespace, made from a template.
///
/// ```no_run
/// use serde_json::json;
/// use tidegate_canary::kubernetes::Deployments;
///
/// # fn deployer(client: kube::Client) -> Result<Deployments, Box<dyn std::error::Error>> {
/// // Most programs read this from a file of YAML.
/// let template = json!({
///     "apiVersion": "apps/v1",
///     "kind": "Deployment",
///     "metadata": {"name": "fraud"},
///     "spec": {
///         "replicas": 10,
///         "progressDeadlineSeconds": 240,
///         "template": {"spec": {"containers": [{
///             "name": "server",
///             "args": ["--model", "$(TIDEGATE_MODEL)", "--version", "$(TIDEGATE_VERSION)"],
///             "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
///         }]}},
///     },
/// });
/// // fraud-stable, fraud-baseline and fraud-candidate, with 10 replicas for all of the traffic.
/// Ok(Deployments::new(client, "serving", &template)?
///     .with_image("server", "registry.example/fraud-server:{version}")?)
/// # }
/// ```
///
/// # What is made
///
/// The template's `spec.replicas` (1 where it says nothing) is what all of the traffic takes; a slot gets its
/// share of that, rounded up, and one at least. Its selector is replaced, so that each slot has its own pods.
/// Every container, init containers included, gets the environment variables `TIDEGATE_MODEL`,
/// `TIDEGATE_VERSION` and `TIDEGATE_DIGEST`, to which its arguments may refer. Objects and pods carry the
/// labels `tidegate.dev/slot`, `app.kubernetes.io/name`, `instance`, `version` and `managed-by`, by which
/// Services select them, and the annotations `tidegate.dev/release` and `tidegate.dev/digest`.
///
/// All of it is applied by server-side apply as the manager `tidegate`. The highest fence is kept in the
/// ConfigMap `NAME-tidegate`, and on each object in the annotation [`FENCE`](super::FENCE).
///
/// An autoscaler must not act on the slots: how many replicas there are is ensured here. **With the router
/// [`ReplicaRatio`](super::ReplicaRatio), whose weights are numbers of replicas, it must not be**: without
/// [`with_replicas_by_ratio`](Self::with_replicas_by_ratio) the two undo each other's work.
///
/// # Deployments that were there before
///
/// One that was not made here can be the object of a slot, of stable mostly: name it by
/// [`with_name`](Self::with_name). What it runs is read from the annotations `tidegate.dev/release` and
/// `tidegate.dev/digest` of its pod template; add them. Its fields stay with those who set them: where
/// another release or size would change one, `ensure` is refused and names the field and its manager. It
/// becomes ours when its owner says so, by the label `app.kubernetes.io/managed-by: tidegate`; from then on
/// what the template says is put in force whoever set it before, and what others had set besides stays. Its
/// selector is kept.
///
/// # What "ready" means here
///
/// What `kubectl rollout status` means by it: the status is about the generation of the spec, all replicas
/// are of the release that the pod template names, all of them are available, and no other is left. A
/// Deployment whose `progressDeadlineSeconds` have passed has failed, with what its pods say as the reason;
/// set these below the plan's patience. One that is being removed has failed as well, until it and its pods
/// are gone: they end within their `terminationGracePeriodSeconds`, and then the slot is absent.
///
/// # A rehearsal
///
/// [`rehearse`](Deployer::rehearse) is the same apply and the same write of the fence, as server-side dry runs: it finds
/// rights that are missing, what admission refuses, a quota of objects, fields of others and invalid objects, and not
/// whether there is room for the pods or whether their images can be pulled. Where a webhook does not say that it has no
/// side effects, a server refuses every dry run, and nothing is known.
///
/// # Errors
///
/// An object that is invalid, may not be read or written by the client, was not made here, or whose fields
/// belong to others is [`ActuatorError::Refused`], with the remedy as the source. No answer within 10 s, 429,
/// 5xx, an object that is still being removed, and one that others change again and again are
/// [`ActuatorError::Unavailable`].
///
/// The client's account needs `get`, `create`, `patch` and `delete` on `deployments`, `get`, `create` and
/// `patch` on `configmaps`, and `list` on `pods`.
#[derive(Clone)]
pub struct Deployments {
    keeper: Keeper,
    pods: Collection,
    template: Template,
}

impl Deployments {
    /// A deployer in `namespace`, whose objects are called like the Deployment `template` with the slot
    /// behind it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `template` is no Deployment of apps/v1 with a name and a container, or the names are
    /// no DNS labels.
    pub fn new(client: Client, namespace: &str, template: &Value) -> Result<Self, Invalid> {
        let namespace = template::namespace(namespace)?;
        let (template, names) = Template::read(template, &namespace)?;
        let objects = Collection::new(client.clone(), &Kind::DEPLOYMENT, &namespace);
        let pods = Collection::new(client.clone(), &Kind::POD, &namespace);
        Ok(Self { keeper: Keeper::new(client, objects, names, true), pods, template })
    }

    /// This deployer, with the image of `container` after `pattern`, in which `{name}`, `{version}`,
    /// `{digest}` (`sha256:…`) and `{hex}` are those of the release. A `+` in the version becomes `_`.
    ///
    /// A tag can be moved, so `…@{digest}` is better where the image's digest is the release's; the
    /// registry's digests are of the model's content.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there is no such container, or the pattern has other places or is the same for every
    /// release.
    pub fn with_image(mut self, container: &str, pattern: &str) -> Result<Self, Invalid> {
        let pattern = Pattern::parse("pattern of an image", pattern)?;
        self.template = self.template.with_image(container, pattern)?;
        Ok(self)
    }

    /// This deployer, for a route whose router is [`ReplicaRatio`](super::ReplicaRatio): a Deployment without
    /// replicas gets what its share needs, and from then on how many there are is the router's alone.
    ///
    /// The template's `spec.replicas` is best the `total` of the router. All slots are behind one Service, so a
    /// candidate gets its part of the requests from the moment when its first pods are ready, before the
    /// first step; the router makes it exact with the step.
    ///
    /// Ready is what has the replicas that the router asks for. That is so of a slot that it has emptied, too:
    /// whether a new release answers there shows when the router asks for some, and it takes none from the other
    /// side until those are ready.
    ///
    /// Until the router has changed the number, the field `spec.replicas` stays the manager `tidegate`'s, at
    /// the value that it has; then it is left out of what is applied.
    #[must_use]
    pub fn with_replicas_by_ratio(mut self) -> Self {
        self.template = self.template.with_replicas_by_ratio();
        self
    }

    /// This deployer, with `name` for the Deployment of `slot`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is no DNS label or another slot's name.
    pub fn with_name(mut self, slot: Slot, name: &str) -> Result<Self, Invalid> {
        let names = self.keeper.names().clone().with(slot, name)?;
        self.keeper = self.keeper.with_names(names);
        Ok(self)
    }

    /// Why a release that did not become ready did not, as far as its pods tell.
    async fn explained(&self, object: &DynamicObject, release: &Release, why: String) -> String {
        let selector = object.data["spec"]["selector"]["matchLabels"].as_object();
        let selector: Vec<_> = selector
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| value.as_str().map(|value| format!("{key}={value}")))
            .collect();
        match list(&self.pods, &selector.join(",")).await {
            Ok(pods) => match pods::troubles(&pods, release) {
                Some(troubles) => format!("{why}; {troubles}"),
                None => why,
            },
            Err(_) => format!("{why}; what its pods say could not be read"),
        }
    }
}

#[async_trait]
impl Deployer for Deployments {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.keeper.ensure(&self.template, workload, fence).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.keeper.rehearse(&self.template, workload).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let Some(live) = self.keeper.read(slot).await? else {
            let selector = format!("{INSTANCE}={},{SLOT}={slot}", self.keeper.names().of(slot));
            return left(&self.pods, &self.keeper, slot, &selector).await;
        };
        let seen = readiness(&live.object).map_err(|unfit| self.keeper.refused(slot, unfit))?;
        Ok(match seen {
            Readiness::Failed { release, why } if !live.ending() => {
                let why = self.explained(&live.object, &release, why).await;
                Readiness::Failed { release, why }
            }
            seen => seen,
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.keeper.remove(slot, fence).await
    }
}

impl fmt::Debug for Deployments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployments")
            .field("namespace", &self.keeper.namespace())
            .field("names", self.keeper.names())
            .finish_non_exhaustive()
    }
}

/// What is left of a slot whose object is gone: nothing, or pods that still end because somebody removed it
/// without waiting for them.
pub(super) async fn left(
    pods: &Collection,
    keeper: &Keeper,
    slot: Slot,
    selector: &str,
) -> Result<Readiness, ActuatorError> {
    let left = list(pods, selector).await.map_err(|failure| failure.of(&keeper.target(slot)))?;
    let Some(pod) = left.first() else { return Ok(Readiness::Absent) };
    let annotations = pod.metadata.annotations.as_ref().ok_or(Unfit::Unsaid);
    let release = annotations.and_then(rollout::release).map_err(|unfit| keeper.refused(slot, unfit))?;
    Ok(Readiness::Failed { release, why: "it was removed, but its pods have not ended yet".to_owned() })
}

pub(super) async fn list(pods: &Collection, selector: &str) -> Result<Vec<DynamicObject>, Failure> {
    let params =
        ListParams { label_selector: Some(selector.to_owned()), limit: Some(ASKED), ..ListParams::default() };
    Ok(pods.ask("list", || pods.api.list(&params)).await?.items)
}
