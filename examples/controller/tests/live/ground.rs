//! A cluster to which the examples were applied, a registry, and replicas of the real program.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate::{
    canary::{
        Deployer, Entry, Readiness, Record, Release, RouteJournal, Slot, Weight, Workload,
        kubernetes::Deployments, testkit::fence,
    },
    registry::{
        Cause, Channel, Channels, Content, Draft, Expect, ModelRef, ModelStore as _, ObjectBacked, Stamp,
    },
};

use crate::{
    cluster::{self, Cluster, route_at},
    prometheus::{Failing, serve},
};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kubernetes");
const RELEASES: &str = "apis/tidegate.dev/v1alpha1/namespaces/serving/releases";
/// How long a replica may be silent.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// What replicas are called.
pub(crate) const NAMES: [&str; 2] = ["replica-a", "replica-b"];
const ACCOUNT: &str = "tidegate-controller";

pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) registry: ObjectBacked,
    pub(crate) failing: Failing,
    prometheus: String,
    kubeconfig: String,
    directory: TempDir,
    /// Weights of the candidate, each with its fence, in the order in which they came.
    seen: Mutex<Vec<(u64, u64)>>,
}

/// A process of the program.
pub(crate) struct Replica {
    pub(crate) name: &'static str,
    process: Child,
    log: PathBuf,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let cluster = Cluster::with_controllers().await;
        let apply = |file: &str| cluster.kubectl(&["apply", "--validate=false", "-f", &example(file)]);
        for file in ["rbac.yaml", "route.yaml", "crd.yaml", "controller.yaml"] {
            apply(file);
        }
        let template = format!("--from-file=template.yaml={}", example("template.yaml"));
        cluster.kubectl(&["create", "configmap", "fraud-template", "-n", "serving", &template]);
        let directory = TempDir::new().unwrap();
        let registry = ObjectBacked::directory(directory.path().join("registry")).await.unwrap();
        let failing = Failing::default();
        failing.set(2);
        let prometheus = serve(failing.clone()).await;
        let kubeconfig = cluster.kubeconfig("serving", ACCOUNT).await;
        let ground =
            Self { cluster, registry, failing, prometheus, kubeconfig, directory, seen: Mutex::default() };
        until("releases are served", async || ground.try_get(RELEASES).await).await;
        ground
    }

    /// Publishes versions of `fraud` and puts the first into service.
    pub(crate) async fn publish(&self, versions: &[&str]) {
        for version in versions {
            let model: ModelRef = format!("fraud@{version}").parse().unwrap();
            let content = Content::bytes([("weights.bin".parse().unwrap(), model.to_string().into())]);
            self.registry.publish(Draft::new(model, Stamp::now("ada")), content, &()).await.unwrap();
        }
        let first: ModelRef = format!("fraud@{}", versions[0]).parse().unwrap();
        let (channels, production) = (self.channels(), Channel::production());
        let cause = Cause::Promote;
        let moved = channels.promote(&first, &production, &Expect::Absent, cause, Stamp::now("ada")).await;
        channels.settle(first.name(), &production, moved.unwrap().seq, Stamp::now("ada")).await.unwrap();
        let release = Release::from(&self.registry.manifest(&first).await.unwrap());
        let stable = Workload { slot: Slot::Stable, release: release.clone(), share: Weight::FULL };
        let deployer = self.deployer();
        until("stable is ensured", async || deployer.ensure(&stable, fence(1)).await.ok()).await;
        let ready = Readiness::Ready { release };
        let status = async || deployer.status(Slot::Stable).await.ok();
        until("stable is ready", async || status().await.filter(|status| *status == ready)).await;
    }

    pub(crate) fn channels(&self) -> Channels {
        Channels::new(Arc::new(self.registry.clone()))
    }

    pub(crate) fn deployer(&self) -> Deployments {
        let file = example("template.yaml");
        let template = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", &file];
        let template: Value = serde_json::from_str(&self.cluster.kubectl(&template)).unwrap();
        let deployer = Deployments::new(self.cluster.client(), "serving", &template).unwrap();
        deployer.with_image("server", "registry.example/fraud-server:{version}").unwrap()
    }

    /// Starts a replica with the rights of the example's account, over TLS.
    pub(crate) fn start(&self, name: &'static str) -> Replica {
        let log = self.directory.path().join(format!("{name}.log"));
        let registry = self.directory.path().join("registry");
        let lease = format!("{}s", LEASE.as_secs());
        let process = Command::new(env!("CARGO_BIN_EXE_tidegate-controller"))
            .args(["run", "--namespace", "serving", "--replica", name])
            .args(["--lease", &lease, "--renew-within", "2s", "--retry", "500ms", "--look-every", "1s"])
            .arg("--registry")
            .arg(registry)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("RUST_LOG", "info,tidegate_controller=debug")
            .stdin(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Replica { name, process, log }
    }

    /// Applies a release of `fraud`, with `more` in its spec, as a person would.
    pub(crate) fn apply(&self, more: &Value) {
        let queries = json!({"errors": {"proportion": {
            "hits": "requests_total{slot=\"{{slot}}\",code=\"500\"}",
            "trials": "requests_total{slot=\"{{slot}}\"}",
        }}});
        let mut release = json!({
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": "fraud", "namespace": "serving"},
            "spec": {
                "model": "fraud",
                "version": "1.0.0",
                "route": {"name": "fraud", "rule": "predict"},
                "deployment": {
                    "configMap": {"name": "fraud-template", "key": "template.yaml"},
                    "images": {"server": "registry.example/fraud-server:{version}"},
                },
                "metrics": {"prometheus": {"url": self.prometheus, "queries": queries}},
            },
        });
        release["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file = self.directory.path().join("release.json");
        std::fs::write(&file, release.to_string()).unwrap();
        self.cluster.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    }

    /// Changes the release, as a person would.
    pub(crate) fn patch(&self, patch: &Value) -> String {
        let patch = ["patch", "release", "fraud", "-n", "serving", "--type=merge", "-p", &patch.to_string()];
        self.cluster.kubectl(&patch)
    }

    /// What the API server answers to a change that it does not take.
    pub(crate) async fn refusal(&self, patch: &Value) -> String {
        let request = axum::http::Request::patch(format!("/{RELEASES}/fraud"));
        let request = request.header("content-type", "application/merge-patch+json");
        let request = request.body(serde_json::to_vec(patch).unwrap()).unwrap();
        self.cluster.client().request::<Value>(request).await.unwrap_err().to_string()
    }

    pub(crate) async fn release(&self) -> Value {
        self.cluster.get(&format!("{RELEASES}/fraud")).await
    }

    pub(crate) async fn try_get(&self, path: &str) -> Option<Value> {
        // An answer of 404 is no failure of the test.
        let client = self.cluster.client();
        let request = axum::http::Request::get(format!("/{path}")).body(Vec::new()).unwrap();
        client.request::<Value>(request).await.ok()
    }

    /// Waits until the status of the release is as it should be.
    pub(crate) async fn reaches(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let seen = async || Some(self.release().await["status"].clone()).filter(&is);
        until(what, seen).await
    }

    pub(crate) async fn journal(&self) -> Vec<Entry> {
        let route = "serving/fraud".parse().unwrap();
        let journal = RouteJournal::open(Arc::new(self.registry.clone()), &route).await.unwrap();
        journal.entries().to_vec()
    }

    /// How many records there are of a kind.
    pub(crate) async fn count(&self, is: impl Fn(&Record) -> bool) -> usize {
        self.journal().await.iter().filter(|entry| is(&entry.record)).count()
    }

    /// What happened since the last rollout was opened.
    pub(crate) async fn latest(&self) -> Vec<Record> {
        let records: Vec<_> = self.journal().await.into_iter().map(|entry| entry.record).collect();
        let opened = records.iter().rposition(|record| matches!(record, Record::Open { .. })).unwrap();
        records[opened..].to_vec()
    }

    /// Looks at the route again and again.
    pub(crate) async fn watch(&self) {
        loop {
            let traffic = self.traffic().await;
            {
                let mut seen = self.seen.lock().unwrap();
                if seen.last().is_none_or(|(weight, _)| *weight != traffic.0) {
                    seen.push(traffic);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Weights of the candidate, each with its fence, in the order in which they came since this was asked last.
    pub(crate) fn seen(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The weight of the candidate and the fence, as the HTTPRoute has them.
    pub(crate) async fn traffic(&self) -> (u64, u64) {
        let route = self.cluster.get(&route_at("serving/fraud")).await;
        let weight = route["spec"]["rules"][0]["backendRefs"][1]["weight"].as_u64().unwrap();
        let fence = route["metadata"]["annotations"]["tidegate.dev/fence"].as_str();
        (weight, fence.map_or(0, |fence| fence.parse().unwrap()))
    }
}

/// Of a test that fails one wants to know what the replicas said.
impl Drop for Ground {
    #[expect(clippy::print_stderr, reason = "for people who look at a failed test")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for name in NAMES {
            let log = self.directory.path().join(format!("{name}.log"));
            eprintln!("{name}:\n{}", std::fs::read_to_string(log).unwrap_or_default());
        }
    }
}

impl Replica {
    /// Waits until it has looked at the release so often again.
    pub(crate) async fn looks(&self, times: usize) {
        let count = || std::fs::read_to_string(&self.log).unwrap().matches(" looked ").count();
        let before = count();
        until("the replica looks", async || (count() >= before + times).then_some(())).await;
    }

    /// Ends it as a node that loses power would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Puts it to sleep, or wakes it.
    pub(crate) fn signal(&self, signal: &str) {
        let told =
            Command::new("kill").args(["-s", signal, &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Waits until it has said one of `words`.
    pub(crate) async fn says(&self, words: &[&str]) {
        let said = || std::fs::read_to_string(&self.log).unwrap();
        let says = async || words.iter().any(|word| said().contains(word)).then_some(());
        until(&format!("{} says one of {words:?}", self.name), says).await;
    }

    /// Ends it as Kubernetes does.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.process.wait().unwrap().success(), "{}", std::fs::read_to_string(&self.log).unwrap());
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// Waits until it is seen that `what`.
pub(crate) async fn until<T>(what: &str, seen: impl AsyncFn() -> Option<T>) -> T {
    cluster::until(what, async || seen().await.ok_or("it is not")).await
}

fn example(file: &str) -> String {
    Path::new(EXAMPLES).join(file).display().to_string()
}
