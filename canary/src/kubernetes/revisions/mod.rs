//! A Deployment or a StatefulSet that is there already, taken back to a release that it has run before.

mod history;
mod standing;
mod stateful_set;
mod told;
mod unfit;

use std::fmt;

use async_trait::async_trait;
use kube::{
    Client,
    api::{DeleteParams, DynamicObject, Preconditions},
};
use tidegate_registry::Invalid;

pub(super) use self::unfit::Unfit;
use self::{
    history::{Found, HASH, every, is_owned, selector, with_pods},
    standing::{Standing, forget_earlier_deadline},
    told::Told,
};
use super::{
    deployment::{
        names::label,
        pods::{commonest, crashes, is_ready},
        rollout::progress,
        template,
    },
    failure::Failure,
    head::fence,
    object::{Cluster, Object},
    request::{Collection, Kind},
};
use crate::{ActuatorError, Deployer, Fence, Readiness, Rehearsed, Release, Slot, Workload};

/// The label of a StatefulSet's pod that says of which revision it is. It is the controller's.
const POD_REVISION: &str = "controller-revision-hash";

/// A deployer over a Deployment or a StatefulSet that was deployed by `kubectl`, Helm or a pipeline: it has the stable
/// slot only, and takes that back to a release that the workload has run before.
///
/// ```no_run
/// use tidegate_canary::kubernetes::Revisions;
///
/// # fn deployer(client: kube::Client) -> Result<Revisions, Box<dyn std::error::Error>> {
/// Ok(Revisions::of_deployment(client, "serving", "fraud")?)
/// # }
/// ```
///
/// Behind a Service that splits nothing its router is [`Unsplit`](crate::Unsplit). A rollback sees that it
/// [replaces releases in place](Deployer::in_place) and does nothing else.
///
/// # Which revision
///
/// The one whose pod template runs the release, by version and content, wherever it stands in the history: never "the
/// second newest", which after a rollback is the version that was left. What a template runs is told by the annotations
/// `tidegate.dev/release` (`NAME@VERSION`) and `tidegate.dev/digest` (`sha256:…`) of its pods, which a pipeline sets with
/// the image; or by the image of a container, see [`with_image`](Self::with_image). Where several revisions run the
/// release, it is the newest of them.
///
/// # What is changed
///
/// `spec.template`, as a whole: every container and init container, environment, volumes and annotations of the pods are
/// what they were. Of the annotations of the object itself only `tidegate.dev/fence` and `kubernetes.io/change-cause`
/// are written; those of others stay, and so do replicas, strategy and whatever else is not of the template. It is one
/// JSON patch that tests the object's version. A workload that runs the release already is only fenced.
///
/// A StatefulSet with ordered pods waits for ever for one that does not become ready, before it replaces it. So such
/// pods of other revisions are removed until none is left; that is the documented way out ("forced rollback").
///
/// # What "ready" means here
///
/// What `kubectl rollout status` means by it, and no pod of another revision is left or about to be made. A Deployment whose
/// `progressDeadlineSeconds` have passed since it was taken back has failed, and so has a workload one of whose pods
/// has crashed three times and waits to be started again; with what its pods say as the reason.
///
/// # A rehearsal
///
/// [`rehearse`](Deployer::rehearse) looks for the revision and makes the patch as a server-side dry run. So a release that
/// no revision runs any more, or a workload that is paused, is known before anything is gone back to.
///
/// # Errors
///
/// [`ActuatorError::Refused`], with the remedy as the source: no revision runs the release any more; a paused
/// Deployment; a StatefulSet with `OnDelete` or a partition; another slot than stable; a right that is missing.
/// [`ActuatorError::Unavailable`]: no answer within 10 s, 429, 5xx, an object that others change again and again, and a
/// StatefulSet whose way is not clear yet.
///
/// The client's account needs `get` and `patch` on `deployments` and `list` on `replicasets`, or `get` and `patch` on
/// `statefulsets`, `list` on `controllerrevisions` and `delete` on `pods`; and `list` on `pods`.
#[derive(Clone)]
pub struct Revisions {
    cluster: Cluster,
    kind: &'static Kind,
    revisions: Collection,
    pods: Collection,
    name: String,
    told: Told,
}

impl Revisions {
    /// The Deployment `name` in `namespace`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when they are no DNS labels.
    pub fn of_deployment(client: Client, namespace: &str, name: &str) -> Result<Self, Invalid> {
        Self::new(client, namespace, name, &Kind::DEPLOYMENT, &Kind::REPLICA_SET)
    }

    /// The StatefulSet `name` in `namespace`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when they are no DNS labels.
    pub fn of_stateful_set(client: Client, namespace: &str, name: &str) -> Result<Self, Invalid> {
        Self::new(client, namespace, name, &Kind::STATEFUL_SET, &Kind::CONTROLLER_REVISION)
    }

    /// This deployer, for a workload without annotations: it runs that one of the releases `known`, whose image after
    /// `pattern` its `container` has. The places of the pattern are those of
    /// [`Deployments::with_image`](super::Deployments::with_image).
    ///
    /// A tag can be moved to another content; the annotations cannot lie so. Give at least the releases of the channel's
    /// history.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the pattern has other places, or gives two of `known` the same image.
    pub fn with_image(
        mut self,
        container: &str,
        pattern: &str,
        known: impl IntoIterator<Item = Release>,
    ) -> Result<Self, Invalid> {
        self.told = Told::by_image(container, pattern, known)?;
        Ok(self)
    }

    fn new(
        client: Client,
        namespace: &str,
        name: &str,
        kind: &'static Kind,
        revisions: &'static Kind,
    ) -> Result<Self, Invalid> {
        let namespace = template::namespace(namespace)?;
        let name = label("name of a workload", name)?;
        Ok(Self {
            revisions: Collection::new(client.clone(), revisions, &namespace),
            pods: Collection::new(client.clone(), &Kind::POD, &namespace),
            cluster: Cluster::new(client),
            kind,
            name,
            told: Told::default(),
        })
    }

    fn object(&self) -> Result<Object, ActuatorError> {
        let route = format!("{}/{}", self.pods.namespace, self.name);
        self.cluster.object(self.kind, &route.parse().expect("two DNS labels name an object"))
    }

    /// The workload, and what it has kept of the release that is to run.
    async fn look(&self, workload: &Workload) -> Result<(Object, DynamicObject, Found), ActuatorError> {
        let Workload { slot, release, .. } = workload;
        let object = self.object()?;
        if *slot != Slot::Stable {
            return Err(object.refused(Unfit::OneSlot { slot: *slot }));
        }
        let live = object.get().await?;
        let found = Found::look(&self.revisions, &live, &self.told, release);
        let found = found.await.map_err(|failure| failure.of(&self.target()))?;
        Ok((object, live, found))
    }

    fn is_stateful(&self) -> bool {
        self.kind.kind == Kind::STATEFUL_SET.kind
    }

    /// Removes the pods that the controller would wait for in vain. While there are any, it is not done.
    async fn clear_the_way(&self, object: &Object) -> Result<(), ActuatorError> {
        let live = object.get().await?;
        let refused = |unfit: Unfit| object.refused(unfit);
        if !stateful_set::is_ordered(&live).map_err(refused)? {
            return Ok(());
        }
        let Some(wanted) = stateful_set::update_revision(&live).map_err(refused)? else {
            return Err(object.later("its controller has not seen the change yet"));
        };
        let in_the_way = |pod: &DynamicObject| {
            let labels = pod.metadata.labels.as_ref();
            let other = labels.and_then(|labels| labels.get(POD_REVISION)).is_some_and(|of| *of != wanted);
            other && !is_ready(pod)
        };
        let mut left = 0;
        for pod in self.pods(object, &live).await?.iter().filter(|pod| in_the_way(pod)) {
            left += 1;
            self.remove_pod(pod).await?;
        }
        match left {
            0 => Ok(()),
            left => Err(object.later(format!(
                "{left} of its pods are of another revision and not ready, so its controller waits for them; they are being removed"
            ))),
        }
    }

    async fn remove_pod(&self, pod: &DynamicObject) -> Result<(), ActuatorError> {
        let Some(name) = pod.metadata.name.as_deref().filter(|_| pod.metadata.deletion_timestamp.is_none())
        else {
            return Ok(());
        };
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                // It may have become ready since it was looked at.
                resource_version: pod.metadata.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        match self.pods.ask("delete", || self.pods.api.delete(name, &params)).await {
            Ok(_) | Err(Failure::Absent(_) | Failure::Conflict(_)) => Ok(()),
            Err(failure) => Err(failure.of(&self.pods.target(name))),
        }
    }

    /// The pods of `live`, or of its ReplicaSets.
    async fn pods(&self, object: &Object, live: &DynamicObject) -> Result<Vec<DynamicObject>, ActuatorError> {
        let selector = selector(&live.data["spec"]["selector"]);
        let selector = selector.ok_or_else(|| object.refused(Unfit::Unselective))?;
        let uid = live.metadata.uid.as_deref().unwrap_or_default();
        let is_of = |pod: &DynamicObject| match self.is_stateful() {
            true => is_owned(pod, uid),
            // Their owners are ReplicaSets.
            false => pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(HASH)),
        };
        let mut pods = Vec::new();
        let keep = |pod: DynamicObject| {
            if is_of(&pod) {
                pods.push(pod);
            }
        };
        every(&self.pods, &selector, keep).await.map_err(|failure| failure.of(&self.target()))?;
        Ok(pods)
    }

    fn target(&self) -> String {
        format!("{} {}/{}", self.kind.kind, self.pods.namespace, self.name)
    }

    /// What pods say of why `seen` is not ready.
    async fn explained(
        &self,
        object: &Object,
        live: &DynamicObject,
        seen: Readiness,
    ) -> Result<Readiness, ActuatorError> {
        let (release, why) = match seen {
            Readiness::Failed { release, why } if live.metadata.deletion_timestamp.is_none() => {
                (release, Some(why))
            }
            Readiness::Starting { release } => (release, None),
            seen => return Ok(seen),
        };
        let pods = self.pods(object, live).await?;
        let of_release = |pod: &&DynamicObject| {
            let metadata = serde_json::json!({"annotations": pod.metadata.annotations});
            self.told.runs(&serde_json::json!({"metadata": metadata, "spec": pod.data["spec"]}), &release)
        };
        let why = match why {
            Some(why) => why,
            None if pods.iter().filter(of_release).any(crashes) => "it crashes again and again".to_owned(),
            None => return Ok(Readiness::Starting { release }),
        };
        let why = match commonest(pods.iter().filter(of_release)) {
            Some(troubles) => format!("{why}; {troubles}"),
            None => why,
        };
        Ok(Readiness::Failed { release, why })
    }
}

#[async_trait]
impl Deployer for Revisions {
    fn in_place(&self) -> bool {
        true
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let (object, _, found) = self.look(workload).await?;
        let read = |object: &DynamicObject| Standing::read(self.kind, object);
        let plan = |standing: &Standing| standing.back(&workload.release, &self.told, &found);
        object.change(read, |standing| &standing.head, plan, fence).await?;
        if self.is_stateful() { self.clear_the_way(&object).await } else { Ok(()) }
    }

    /// Whether a revision that runs the release is still there, and the patch to it would be taken.
    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        let (object, live, found) = self.look(workload).await?;
        let refused = |unfit: super::unfit::Unfit| object.refused(unfit);
        let standing = Standing::read(self.kind, &live).map_err(refused)?;
        let change = standing.back(&workload.release, &self.told, &found).map_err(refused)?;
        object.rehearse(&standing.head, change).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        if slot != Slot::Stable {
            return Ok(Readiness::Absent);
        }
        let object = self.object()?;
        let Some(mut live) = object.find().await? else { return Ok(Readiness::Absent) };
        let told = || self.told.release(&live.data["spec"]["template"]);
        let seen = if self.is_stateful() {
            stateful_set::readiness(&live, told)
        } else {
            let release = told();
            forget_earlier_deadline(&mut live);
            progress(&live, |_| release)
        };
        let seen = match seen.map_err(|unfit| object.refused(unfit))? {
            // Its status does not count a pod that is only about to be made, of a version that was deployed a moment ago.
            Readiness::Ready { release } if !self.is_stateful() => {
                match with_pods(&self.revisions, &self.pods, &live)
                    .await
                    .map_err(|failure| failure.of(&self.target()))?
                {
                    0 | 1 => return Ok(Readiness::Ready { release }),
                    _ => Readiness::Starting { release },
                }
            }
            seen => seen,
        };
        self.explained(&object, &live, seen).await
    }

    async fn remove(&self, slot: Slot, offered: Fence) -> Result<(), ActuatorError> {
        let object = self.object()?;
        let live = object.find().await?;
        let held =
            live.as_ref().map(fence).transpose().map_err(|no_fence| object.refused(no_fence))?.flatten();
        match held.filter(|held| *held > offered) {
            Some(held) => Err(ActuatorError::Fenced { offered, held }),
            None if slot == Slot::Stable && live.is_some() => Err(object.refused(Unfit::Foreign)),
            // There is no other.
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Revisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revisions")
            .field("of", &self.target())
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
