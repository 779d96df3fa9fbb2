//! A team that deploys by `kubectl apply`, and a registry that knows what it has deployed.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate_canary::{
    Deployer, Gatekeepers, InMemoryDeployer, Readiness, Release, Slot, Unsplit, WallClock, World,
    kubernetes::Revisions,
    metrics::{self, Measurement, Metric, MetricsSource, Missing, Selector, Window},
};
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelRef, ModelStore, Stamp,
};
use tidegate_rollback::{Error, Intent, Order, Rehearsal, Rollback, State, drill};

use crate::cluster::{Cluster, rights::TIDEGATE, until};

pub(crate) const DEPLOYMENT: &str = "apis/apps/v1/namespaces/serving/deployments/fraud";
pub(crate) const STATEFUL_SET: &str = "apis/apps/v1/namespaces/serving/statefulsets/fraud";
const PODS: &str = "api/v1/namespaces/serving/pods?labelSelector=app=fraud";

/// What a test acts on.
pub(crate) struct Ground<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) store: InMemory,
    pub(crate) deployer: Arc<dyn Deployer>,
    pub(crate) at: &'static str,
}

impl<'a> Ground<'a> {
    /// Before the Deployment `fraud`.
    pub(crate) fn deployment(cluster: &'a Cluster) -> Self {
        let deployer = Revisions::of_deployment(cluster.client_by(TIDEGATE), "serving", "fraud").unwrap();
        Self { cluster, store: InMemory::default(), deployer: Arc::new(deployer), at: DEPLOYMENT }
    }

    /// Before the StatefulSet `fraud`.
    pub(crate) fn stateful_set(cluster: &'a Cluster) -> Self {
        let deployer = Revisions::of_stateful_set(cluster.client_by(TIDEGATE), "serving", "fraud").unwrap();
        Self { cluster, store: InMemory::default(), deployer: Arc::new(deployer), at: STATEFUL_SET }
    }

    /// Publishes `model`, deploys it by `kubectl apply` with `image` after the version, and promotes it.
    pub(crate) async fn deploy(&self, model: &str, image: &str, change: impl FnOnce(&mut Value)) -> Release {
        let release = self.promote(model).await;
        let mut object = workload(&release, image, self.at == STATEFUL_SET);
        change(&mut object);
        apply(self.cluster, &object.to_string());
        release
    }

    /// Publishes and promotes `model`, which somebody else deploys.
    pub(crate) async fn promote(&self, model: &str) -> Release {
        let release = self.publish(model).await;
        let (channel, expect) = (Channel::production(), Expect::Any);
        self.channels().promote(&release.model, &channel, &expect, Cause::Promote, stamp()).await.unwrap();
        release
    }

    /// Deploys what becomes ready and is good.
    pub(crate) async fn deploy_good(&self, model: &str) -> Release {
        let release = self.deploy(model, "", |_| {}).await;
        self.becomes_ready(&release).await;
        self.settle(&release).await;
        release
    }

    pub(crate) async fn becomes_ready(&self, release: &Release) {
        let wanted = Readiness::Ready { release: release.clone() };
        self.sees(|seen| *seen == wanted).await;
    }

    /// Waits until `wanted` is seen of the stable slot.
    #[expect(clippy::future_not_send, reason = "a test runs in one thread")]
    pub(crate) async fn sees(&self, wanted: impl Fn(&Readiness) -> bool) -> Readiness {
        until("the stable slot is so", async || match self.deployer.status(Slot::Stable).await {
            Ok(seen) if wanted(&seen) => Ok(seen),
            seen => Err(seen),
        })
        .await
    }

    /// Waits until the controller of the object has seen what is asked for.
    pub(crate) async fn is_seen_by_its_controller(&self) {
        self.cluster.is_seen_by_its_controller(self.at).await;
    }

    pub(crate) async fn settle(&self, release: &Release) {
        let channel = Channel::production();
        let moved = self.moves().await.pop().unwrap();
        assert_eq!(moved.to, release.model);
        self.channels().settle(release.model.name(), &channel, moved.seq, stamp()).await.unwrap();
    }

    /// Rolls back to the last known good, as a person would.
    pub(crate) async fn roll_back(&self, id: &str) -> State {
        self.roll_back_within(id, Duration::from_secs(60)).await
    }

    pub(crate) async fn roll_back_within(&self, id: &str, patience: Duration) -> State {
        let order = Order { patience, ..self.choose(self.world()).await.unwrap() };
        self.roll_back_by(id, order).await
    }

    /// Rolls back as whoever chooses without asking what would run it.
    pub(crate) async fn roll_back_unasked(&self, id: &str) -> State {
        let unasked = World { deployer: Arc::new(InMemoryDeployer::default()), ..self.world() };
        let order = Order { patience: Duration::from_secs(60), ..self.choose(unasked).await.unwrap() };
        self.roll_back_by(id, order).await
    }

    /// Where the last known good is, expected to be nowhere: why.
    pub(crate) async fn nowhere_to_go(&self) -> String {
        let before = self.object().await["spec"].clone();
        let why = self.choose(self.world()).await.unwrap_err();
        assert!(matches!(why, Error::NoTarget(_)), "{why}");
        assert_eq!(self.object().await["spec"], before);
        why.to_string()
    }

    /// A rehearsal of going back to the last known good.
    pub(crate) async fn drill(&self) -> Rehearsal {
        let world = self.world();
        let order = self.choose(self.world()).await.unwrap();
        drill(&world, &"drill-1".parse().unwrap(), order).await.unwrap()
    }

    async fn choose(&self, world: World) -> Result<Order, Error> {
        let (route, name) = ("serving/fraud".parse().unwrap(), "fraud".parse().unwrap());
        let chosen = Order::choose(&world, Intent::new(route, name, "it fails")).await;
        chosen.map(|(order, _)| order)
    }

    async fn roll_back_by(&self, id: &str, order: Order) -> State {
        let rollback = Rollback::open(self.world(), id.parse().unwrap(), order).await.unwrap();
        rollback.run().await.unwrap()
    }

    /// Rolls back, and expects that every pod runs `release` then, and that the channel says so.
    pub(crate) async fn comes_back_to(&self, id: &str, release: &Release) {
        let end = self.roll_back(id).await;
        assert!(matches!(end, State::Done { .. }), "{end}");
        let ready = Readiness::Ready { release: release.clone() };
        assert_eq!(self.deployer.status(Slot::Stable).await.unwrap(), ready);
        self.is_back_at(release).await;
    }

    /// Every pod runs `release`, and the channel says so.
    pub(crate) async fn is_back_at(&self, release: &Release) {
        let image = image(release, "");
        let pods = self.cluster.get(PODS).await;
        let live = pods["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let images: Vec<_> = live.map(|pod| &pod["spec"]["containers"][0]["image"]).collect();
        assert!(!images.is_empty() && images.iter().all(|runs| **runs == *image), "{images:?}");
        let last = self.moves().await.pop().unwrap();
        assert_eq!(last.to, release.model);
        assert!(matches!(last.cause, Cause::Rollback { .. }), "{last:?}");
    }

    pub(crate) async fn object(&self) -> Value {
        self.cluster.get(self.at).await
    }

    /// Takes everything away, for the next test.
    pub(crate) async fn clear(self) {
        self.cluster.delete(&format!("{}?propagationPolicy=Foreground", self.at)).await;
        let none = json!([]);
        until("nothing of it is there", async || {
            let pods = self.cluster.get(PODS).await;
            match self.deployer.status(Slot::Stable).await {
                Ok(Readiness::Absent) if pods["items"] == none => Ok(()),
                seen => Err((seen, pods)),
            }
        })
        .await;
    }

    pub(crate) fn world(&self) -> World {
        World {
            store: Arc::new(self.store.clone()),
            log: Arc::new(self.store.clone()),
            metrics: Arc::new(NothingSeen),
            router: Arc::new(Unsplit),
            deployer: Arc::clone(&self.deployer),
            gates: Gatekeepers::default(),
            clock: WallClock::system(),
        }
    }

    async fn publish(&self, model: &str) -> Release {
        let model: ModelRef = model.parse().unwrap();
        let content = Content::bytes([("weights.bin".parse().unwrap(), model.to_string().into())]);
        Release::from(&self.store.publish(Draft::new(model, stamp()), content, &()).await.unwrap())
    }

    async fn moves(&self) -> Vec<tidegate_registry::Move> {
        self.channels().history(&"fraud".parse().unwrap(), &Channel::production()).await.unwrap()
    }

    fn channels(&self) -> Channels {
        Channels::new(Arc::new(self.store.clone()))
    }
}

/// Applies `object` as a person does.
pub(crate) fn apply(cluster: &Cluster, object: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("object.yaml");
    std::fs::write(&file, object).unwrap();
    cluster.kubectl(&["apply", "--validate=false", "-f", file.to_str().unwrap()]);
}

pub(crate) fn image(release: &Release, suffix: &str) -> String {
    format!("r.example/fraud:{}{suffix}", release.model.version())
}

/// What a team has in its repository: a model server behind a proxy, which loads what another container has fetched.
pub(crate) fn workload(release: &Release, suffix: &str, stateful: bool) -> Value {
    let version = release.model.version().to_string();
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": if stateful { "StatefulSet" } else { "Deployment" },
        "metadata": {"name": "fraud", "namespace": "serving", "labels": {"app": "fraud"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "fraud"}},
            "template": {
                "metadata": {
                    "labels": {"app": "fraud", "version": version},
                    "annotations": {
                        "tidegate.dev/release": release.model.to_string(),
                        "tidegate.dev/digest": release.digest.to_string(),
                        "mesh.example/inject": "true",
                    },
                },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "volumes": [
                        {"name": "model", "emptyDir": {}},
                        {"name": "settings", "configMap": {"name": format!("fraud-{version}")}},
                    ],
                    "initContainers": [{
                        "name": "fetch", "image": "r.example/fetch:3", "args": [release.model.to_string()],
                        "volumeMounts": [{"name": "model", "mountPath": "/model"}],
                    }],
                    "containers": [
                        {
                            "name": "server", "image": image(release, suffix),
                            "env": [{"name": "THREADS", "value": format!("for-{version}")}],
                            "volumeMounts": [{"name": "model", "mountPath": "/model", "readOnly": true}],
                        },
                        {
                            "name": "proxy", "image": "r.example/proxy:9",
                            "env": [{"name": "UPSTREAM", "value": format!("fraud-{version}")}],
                        },
                    ],
                },
            },
        },
    });
    if stateful {
        object["spec"]["serviceName"] = "fraud".into();
    } else {
        object["spec"]["progressDeadlineSeconds"] = 120.into();
    }
    object
}

fn stamp() -> Stamp {
    Stamp { by: "ada".to_owned(), at: WallClock::system().now() }
}

/// A metrics source that is not asked.
#[derive(Debug)]
struct NothingSeen;

#[async_trait]
impl MetricsSource for NothingSeen {
    async fn observe(&self, _: &Metric, _: &Selector, _: Window) -> Result<Measurement, metrics::Error> {
        Ok(Measurement::Missing(Missing::NoData))
    }
}

impl fmt::Display for NothingSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}
