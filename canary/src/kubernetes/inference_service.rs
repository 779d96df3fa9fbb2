//! Slots that are InferenceServices of KServe.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use kube::Client;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_registry::Invalid;

use super::{
    clip::clip,
    deployment::{
        keeper::{Keeper, Place, Recipe},
        left, list,
        names::Names,
        pods::troubles,
        rollout::{readiness, release},
        template::{self, SLOT, put, replicas, says, tell, version},
    },
    request::{Collection, Kind, MANAGED_BY, MANAGER},
};
use crate::{
    ActuatorError, Deployer, Fence, Readiness, Rehearsed, Release, Slot, Workload, pattern::Pattern,
};

const WHAT: &str = "InferenceService template";
const KIND: Kind = Kind {
    group: "serving.kserve.io",
    version: "v1beta1",
    kind: "InferenceService",
    plural: "inferenceservices",
};
/// The annotation that says which of KServe's ways to run a model is taken.
const MODE: &str = "serving.kserve.io/deploymentMode";
/// The annotation by which KServe runs nothing for an InferenceService.
const STOP: &str = "serving.kserve.io/stop";
/// The label by which KServe marks the pods of an InferenceService.
const PODS_OF: &str = "serving.kserve.io/inferenceservice";

/// A deployer whose slots are InferenceServices of `serving.kserve.io/v1beta1`, in one namespace, made from a
/// template. They run a model from where the registry's files lie.
///
/// ```no_run
/// use serde_json::json;
/// use tidegate_canary::kubernetes::InferenceServices;
///
/// # fn deployer(client: kube::Client) -> Result<InferenceServices, Box<dyn std::error::Error>> {
/// let template = json!({
///     "apiVersion": "serving.kserve.io/v1beta1",
///     "kind": "InferenceService",
///     "metadata": {"name": "fraud", "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"}},
///     "spec": {"predictor": {"minReplicas": 4, "model": {"modelFormat": {"name": "onnx"}}}},
/// });
/// Ok(InferenceServices::new(client, "serving", &template, "s3://models/{name}/{version}/")?)
/// # }
/// ```
///
/// The template's `spec.predictor.minReplicas` (1 where it says nothing) is what all of the traffic takes; a
/// slot gets its share of that, rounded up, and one at least. Each gets the `storageUri` and the environment
/// variables `TIDEGATE_MODEL`, `TIDEGATE_VERSION` and `TIDEGATE_DIGEST` of its release. Labels, annotations,
/// the manager and what others own are as with [`Deployments`](super::Deployments). The highest fence is kept
/// in the ConfigMap `NAME-tidegate` alone: KServe copies an InferenceService's annotations to its pods, so a
/// fence there would restart them.
///
/// # What "ready" means here
///
/// An InferenceService's own status does not say which generation of its spec it is about (its
/// `observedGeneration` is that of the object beneath). So the Deployment beneath, `NAME-predictor`, is asked
/// as [`Deployments`](super::Deployments) are: its pod template must name the release, and all of its pods
/// must be of it and available; and the condition `Ready` must hold. That is why the template has to choose
/// the mode `RawDeployment` (`Standard`, as later versions call it), in which there is one.
///
/// # Errors
///
/// As those of [`Deployments`](super::Deployments).
///
/// The client's account needs `get`, `create`, `patch` and `delete` on `inferenceservices`, `get`, `create`
/// and `patch` on `configmaps`, `get` on `deployments` and `list` on `pods`.
#[derive(Clone)]
pub struct InferenceServices {
    beneath: Collection,
    keeper: Keeper,
    pods: Collection,
    template: Model,
}

/// What InferenceServices are made from.
#[derive(Clone, Debug)]
struct Model {
    /// `spec`, and of `metadata` the labels and annotations.
    object: Value,
    base: String,
    replicas: u32,
    storage: Pattern,
}

/// What has to be right about a template.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Spec {
    predictor: Predictor,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predictor {
    min_replicas: Option<u32>,
    model: Map<String, Value>,
}

/// The few fields of an InferenceService that matter here.
#[derive(Deserialize)]
struct InferenceService {
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    model_status: ModelStatus,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ModelStatus {
    last_failure_info: Option<FailureInfo>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FailureInfo {
    message: String,
    reason: String,
}

impl InferenceServices {
    /// A deployer in `namespace`, whose objects are called like the InferenceService `template` with the slot
    /// behind it, and load what lies at `storage`, in which `{name}`, `{version}`, `{digest}` (`sha256:…`)
    /// and `{hex}` are those of the release.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `template` is no InferenceService with a name, a `model` and the mode `RawDeployment`
    /// or `Standard`, the names are no DNS labels, or `storage` has other places or is the same for every
    /// release.
    pub fn new(client: Client, namespace: &str, template: &Value, storage: &str) -> Result<Self, Invalid> {
        let namespace = template::namespace(namespace)?;
        let (template, names) = Model::read(template, storage)?;
        let of = |kind| Collection::new(client.clone(), kind, &namespace);
        Ok(Self {
            beneath: of(&Kind::DEPLOYMENT),
            keeper: Keeper::new(client.clone(), of(&KIND), names, false),
            pods: of(&Kind::POD),
            template,
        })
    }

    /// This deployer, with `name` for the InferenceService of `slot`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is no DNS label or another slot's name.
    pub fn with_name(mut self, slot: Slot, name: &str) -> Result<Self, Invalid> {
        let names = self.keeper.names().clone().with(slot, name)?;
        self.keeper = self.keeper.with_names(names);
        Ok(self)
    }

    /// How far the Deployment beneath is with `wanted`, of which `least` replicas must be available.
    async fn beneath(&self, slot: Slot, wanted: Release, least: i64) -> Result<Readiness, ActuatorError> {
        let name = format!("{}-predictor", self.keeper.names().of(slot));
        let beneath = self.beneath.ask("get", || self.beneath.api.get_opt(&name)).await;
        let beneath = beneath.map_err(|failure| failure.of(&self.beneath.target(&name)))?;
        let Some(beneath) = beneath else { return Ok(Readiness::Starting { release: wanted }) };
        let seen = readiness(&beneath).map_err(|unfit| self.keeper.refused(slot, unfit))?;
        let enough = beneath.data["status"]["availableReplicas"].as_i64().is_some_and(|count| count >= least);
        Ok(match seen {
            Readiness::Failed { release, why } if release == wanted => Readiness::Failed { release, why },
            Readiness::Ready { release } if release == wanted && enough => Readiness::Ready { release },
            _ => Readiness::Starting { release: wanted },
        })
    }

    fn selector(&self, slot: Slot) -> String {
        format!("{PODS_OF}={}", self.keeper.names().of(slot))
    }
}

#[async_trait]
impl Deployer for InferenceServices {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.keeper.ensure(&self.template, workload, fence).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.keeper.rehearse(&self.template, workload).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let Some(live) = self.keeper.read(slot).await? else {
            return left(&self.pods, &self.keeper, slot, &self.selector(slot)).await;
        };
        let object = &live.object;
        let none = BTreeMap::new();
        let annotations = object.metadata.annotations.as_ref().unwrap_or(&none);
        if annotations.get(STOP).is_some_and(|stop| stop == "true") {
            return Ok(Readiness::Absent);
        }
        let wanted = release(annotations).map_err(|unfit| self.keeper.refused(slot, unfit))?;
        if live.ending() {
            return Ok(Readiness::Failed { release: wanted, why: "it is being removed".to_owned() });
        }
        let said = InferenceService::deserialize(&object.data);
        let status = said.map_err(|error| self.keeper.refused(slot, error))?.status;
        let least = object.data["spec"]["predictor"]["minReplicas"].as_i64().unwrap_or(1);
        Ok(match self.beneath(slot, wanted, least).await? {
            Readiness::Ready { release } if !status.ready() => Readiness::Starting { release },
            Readiness::Failed { release, why } => {
                let pods = list(&self.pods, &self.selector(slot)).await.unwrap_or_default();
                let said = [Some(why), status.failure(), troubles(&pods, &release)];
                let said: Vec<_> = said.into_iter().flatten().collect();
                Readiness::Failed { release, why: said.join("; ") }
            }
            seen => seen,
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.keeper.remove(slot, fence).await
    }
}

impl fmt::Debug for InferenceServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InferenceServices")
            .field("namespace", &self.keeper.namespace())
            .field("names", self.keeper.names())
            .finish_non_exhaustive()
    }
}

impl Status {
    fn ready(&self) -> bool {
        self.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }

    fn failure(&self) -> Option<String> {
        let failure = self.model_status.last_failure_info.as_ref()?;
        Some(format!("{}: {}", clip(&failure.reason, 60), clip(&failure.message, 300)))
    }
}

impl Model {
    fn read(template: &Value, storage: &str) -> Result<(Self, Names), Invalid> {
        let outline = Outline::deserialize(template).map_err(|error| {
            Invalid::new(WHAT, "", format!("it does not read as an InferenceService: {error}"))
        })?;
        let known = |said: &Option<String>, is: &str| said.as_deref().is_none_or(|said| said == is);
        let version = "serving.kserve.io/v1beta1";
        if !known(&outline.kind, "InferenceService") || !known(&outline.api_version, version) {
            let kind = outline.kind.as_deref().unwrap_or_default();
            return Err(Invalid::new(WHAT, kind, format!("pass an InferenceService of {version}")));
        }
        let Metadata { name, labels, mut annotations } = outline.metadata;
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        let mode = annotations.get(MODE).map_or("", String::as_str);
        if !matches!(mode, "RawDeployment" | "Standard") {
            let why = format!(
                "set the annotation `{MODE}` to RawDeployment or Standard; others do not tell what is ready"
            );
            return Err(Invalid::new(WHAT, mode, why));
        }
        let Predictor { min_replicas, model } = outline.spec.predictor;
        if model.get("env").is_some_and(|env| !env.is_array()) {
            return Err(Invalid::new(WHAT, "env", "make spec.predictor.model.env a list"));
        }
        let replicas = min_replicas.unwrap_or(1);
        if replicas == 0 {
            let why = "set spec.predictor.minReplicas to what carries all of the traffic";
            return Err(Invalid::new(WHAT, "0", why));
        }
        let object = json!({
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": template["spec"],
        });
        let storage = Pattern::parse("pattern of a storageUri", storage)?;
        let names = Names::new(&name)?;
        Ok((Self { object, base: name, replicas, storage }, names))
    }
}

impl Recipe for Model {
    fn wanted(&self, workload: &Workload, place: &Place<'_>) -> Value {
        let Workload { slot, release, share } = workload;
        let mut object = self.object.clone();
        let mut labels = BTreeMap::from([(SLOT, slot.to_string())]);
        if place.ours {
            labels.insert("app.kubernetes.io/name", self.base.clone());
            labels.insert("app.kubernetes.io/version", version(release));
            labels.insert(MANAGED_BY, MANAGER.to_owned());
        }
        let metadata = &mut object["metadata"];
        put(&mut metadata["labels"], &labels);
        put(&mut metadata["annotations"], &says(release));
        metadata["annotations"][STOP] = "false".into();
        let predictor = &mut object["spec"]["predictor"];
        let least = replicas(self.replicas, *share);
        predictor["minReplicas"] = least.into();
        if let Some(most) = predictor.get_mut("maxReplicas").filter(|most| most.as_u64() < Some(least.into()))
        {
            *most = least.into();
        }
        predictor["model"]["storageUri"] = self.storage.text(release).into();
        tell(&mut predictor["model"]["env"], release);
        object
    }

    /// Versions of KServe that do not know the annotation start it; nothing is routed to it, and whoever was
    /// overtaken removes it again.
    fn lull(wanted: &mut Value) {
        wanted["metadata"]["annotations"][STOP] = "true".into();
    }
}
