//! etcd and kube-apiserver on loopback, behind `kubectl proxy`, and a stand-in for a gateway. All of it ends
//! with the value.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use kube::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "test-token";
const HTTPROUTES: &str = "apis/gateway.networking.k8s.io/v1";

#[derive(Debug)]
pub(crate) struct Cluster {
    url: String,
    http: reqwest::Client,
    _processes: Vec<Process>,
    _directory: TempDir,
}

#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let [etcd, peer, api] = [(); 3].map(|()| free_port());
        let (etcd_url, peer_url) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        std::fs::write(file("tokens.csv"), format!("{TOKEN},admin,1,\"system:masters\"\n")).unwrap();
        let made = command("openssl").args(["genrsa", "-out", &file("sa.key"), "2048"]).status().unwrap();
        assert!(made.success());
        let mut processes = vec![spawn(command("etcd").args([
            format!("--data-dir={}", file("etcd")),
            format!("--listen-client-urls={etcd_url}"),
            format!("--advertise-client-urls={etcd_url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster=default={peer_url}"),
            "--unsafe-no-fsync".to_owned(),
        ]))];
        processes.push(spawn(command("kube-apiserver").args([
            format!("--etcd-servers={etcd_url}"),
            format!("--cert-dir={}", file("certificates")),
            format!("--secure-port={api}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("sa.key")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ])));
        let mut proxy = spawn(command("kubectl").stdout(Stdio::piped()).args([
            "proxy".to_owned(),
            "--port=0".to_owned(),
            format!("--server=https://127.0.0.1:{api}"),
            format!("--token={TOKEN}"),
            "--insecure-skip-tls-verify".to_owned(),
            "--kubeconfig=/dev/null".to_owned(),
        ]));
        // "Starting to serve on 127.0.0.1:41234"
        let said = BufReader::new(proxy.0.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = format!("http://{}", said.rsplit(' ').next().unwrap());
        processes.push(proxy);
        let cluster =
            Self { url, http: reqwest::Client::new(), _processes: processes, _directory: directory };
        cluster.answers("readyz").await;
        let kind = cluster
            .http
            .post(format!("{}/apis/apiextensions.k8s.io/v1/customresourcedefinitions", cluster.url));
        kind.json(&httproutes()).send().await.unwrap().error_for_status().unwrap();
        cluster.answers(&format!("{HTTPROUTES}/httproutes")).await;
        cluster.answers("api/v1/namespaces/default").await;
        cluster
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::try_from(Config::new(self.url.parse().unwrap())).unwrap()
    }

    pub(crate) async fn create(&self, object: &Value) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        let url = format!("{}/{HTTPROUTES}/namespaces/{namespace}/httproutes", self.url);
        self.http.post(url).json(object).send().await.unwrap().error_for_status().unwrap();
    }

    pub(crate) async fn read(&self, route: &str) -> Value {
        self.http.get(self.at(route)).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    pub(crate) async fn merge(&self, route: &str, patch: &Value) {
        self.patch(self.at(route), patch).await;
    }

    /// Reports every HTTPRoute as accepted, soon after it has changed, until the future is dropped.
    pub(crate) async fn accept_everything(&self) {
        loop {
            let list = self.http.get(format!("{}/{HTTPROUTES}/httproutes", self.url)).send().await.unwrap();
            let list: Value = list.error_for_status().unwrap().json().await.unwrap();
            for object in list["items"].as_array().unwrap() {
                let seen = &object["metadata"]["generation"];
                if object["status"]["parents"][0]["conditions"][0]["observedGeneration"] == *seen {
                    continue;
                }
                let conditions = ["Accepted", "ResolvedRefs"].map(
                    |condition| json!({"type": condition, "status": "True", "observedGeneration": seen}),
                );
                let status = json!({"status": {"parents": [{"conditions": conditions}]}});
                let route = format!(
                    "{}/{}",
                    object["metadata"]["namespace"].as_str().unwrap(),
                    object["metadata"]["name"].as_str().unwrap()
                );
                self.patch(format!("{}/status", self.at(&route)), &status).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn at(&self, route: &str) -> String {
        let (namespace, name) = route.split_once('/').unwrap();
        format!("{}/{HTTPROUTES}/namespaces/{namespace}/httproutes/{name}", self.url)
    }

    async fn patch(&self, url: String, patch: &Value) {
        let request = self.http.patch(url).header("content-type", "application/merge-patch+json").json(patch);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// Waits, for two minutes at most, until `path` is served.
    async fn answers(&self, path: &str) {
        for _ in 0..1_200 {
            let answer = self.http.get(format!("{}/{path}", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} is not served after two minutes");
    }
}

/// A program out of `KUBEBUILDER_ASSETS`, or else from the path.
fn command(program: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "envtest's way of naming the programs")]
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").expect("KUBEBUILDER_ASSETS names a directory");
    let ours = PathBuf::from(assets).join(program);
    let mut command = if ours.exists() { Command::new(ours) } else { Command::new(program) };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn spawn(command: &mut Command) -> Process {
    Process(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The kind HTTPRoute with as much of its schema as matters for weights. The upstream definition asks for rules
/// (CEL) that older API servers do not know.
fn httproutes() -> Value {
    let open = |properties: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": properties});
    let list = |items: Value| json!({"type": "array", "maxItems": 16, "items": items});
    let backend = open(json!({
        "name": {"type": "string", "minLength": 1, "maxLength": 253},
        "weight": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1_000_000, "default": 1},
    }));
    let rule = open(json!({"name": {"type": "string"}, "backendRefs": list(backend)}));
    let schema = open(json!({"spec": open(json!({"rules": list(rule)})), "status": open(json!({}))}));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "httproutes.gateway.networking.k8s.io",
            "annotations": {
                "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2466",
            },
        },
        "spec": {
            "group": "gateway.networking.k8s.io",
            "scope": "Namespaced",
            "names": {"kind": "HTTPRoute", "plural": "httproutes"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}
