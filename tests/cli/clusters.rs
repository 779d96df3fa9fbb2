//! Rollouts and rollbacks in a Kubernetes cluster, by the files and rights of the examples.
//!
//! ```text
//! KUBEBUILDER_ASSETS=… cargo test --all-features --test cli clusters -- --ignored
//! ```

use std::{process::Command, sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, route_at},
    desk::{Desk, Run},
};

const DEPLOYMENTS: &str = "apis/apps/v1/namespaces/serving/deployments";

/// A desk with two versions, and the cluster that its files lead to.
struct Site {
    cluster: Cluster,
    desk: Arc<Desk>,
}

impl Site {
    async fn new(examples: &[&str]) -> Self {
        let cluster = Cluster::with_controllers().await;
        cluster.apply_examples(examples);
        let desk = Desk::new();
        for version in ["1.0.0", "1.1.0"] {
            desk.write("model/weights.bin", version.as_bytes());
            desk.run(&["publish", &format!("fraud@{version}"), "model"]).is(0);
        }
        desk.run(&["promote", "fraud@1.0.0", "--channel", "production"]).is(0);
        Self { cluster, desk: Arc::new(desk) }
    }

    /// The environment with this router and deployer, in the name of the examples' account.
    async fn environment(&self, router: Value, deployer: Value) {
        let file = json!({
            "kubernetes": { "kubeconfig": self.cluster.kubeconfig("serving", "tidegate").await },
            "router": router,
            "deployer": deployer,
            "metrics": { "prometheus": { "url": "http://127.0.0.1:9", "queries": {} } },
        });
        self.desk.write("environment.json", file.to_string().as_bytes());
    }

    /// Runs the program while pods run and routes are accepted.
    async fn run(&self, arguments: &[&str]) -> Run {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let desk = Arc::clone(&self.desk);
        let run = move || desk.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::select! {
            run = tokio::task::spawn_blocking(run) => run.expect("it runs"),
            () = self.cluster.run_pods() => unreachable!("they run for as long as they are let"),
            () = self.cluster.accept_everything() => unreachable!("it accepts for as long as it is let"),
        }
    }

    /// Waits until the controller has seen what was deployed last: a template that it has not seen it does not keep.
    async fn seen(&self) {
        self.cluster.is_seen_by_its_controller(&format!("{DEPLOYMENTS}/fraud")).await;
    }

    /// The image in the pods of a Deployment.
    async fn image(&self, name: &str) -> Value {
        let object = self.cluster.get(&format!("{DEPLOYMENTS}/{name}")).await;
        object["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    }

    fn in_service(&self) -> Value {
        let history = self.desk.json(&["history", "fraud", "--channel", "production"]);
        history["moves"].as_array().expect("moves").first().expect("a promotion")["to"].clone()
    }

    /// `kubectl apply` of a Deployment that says which version it runs, as a pipeline does it.
    fn deploy(&self, version: &str) {
        self.apply(&self.object(version).to_string());
    }

    fn apply(&self, object: &str) {
        self.desk.write("applied.yaml", object.as_bytes());
        let file = self.desk.path("applied.yaml").display().to_string();
        self.cluster.kubectl(&["apply", "--validate=false", "-f", &file]);
    }

    fn object(&self, version: &str) -> Value {
        let shown = self.desk.json(&["show", &format!("fraud@{version}")]);
        let labels = json!({ "app": "fraud" });
        let annotations = json!({
            "tidegate.dev/release": format!("fraud@{version}"),
            "tidegate.dev/digest": shown["manifest"]["digest"],
        });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "fraud", "namespace": "serving" },
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels, "annotations": annotations },
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [{ "name": "server", "image": format!("r.example/fraud:{version}") }],
                    },
                },
            },
        })
    }

    /// Commits the file that says which version runs, as a pipeline does it.
    fn commit(&self, version: &str) {
        let text = format!("# Two are enough.\n{:#}\n", self.object(version));
        self.desk.write("deploy/fraud.yaml", text.as_bytes());
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", version]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        let done = Command::new("git").arg("-C").arg(self.desk.path("deploy")).args(arguments).output();
        let done = done.expect("git runs");
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Stands in for a GitOps controller: applies what is committed, again and again.
    async fn apply_commits(&self) {
        loop {
            self.apply(&self.git(&["show", "HEAD:fraud.yaml"]));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_gets_a_rollout_and_goes_back_by_the_files_of_the_examples() {
    let site = Site::new(&["rbac.yaml", "services.yaml", "route.yaml"]).await;
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/kubernetes/template.yaml");
    let router = json!({ "http-route": { "stable": "fraud-stable", "candidate": "fraud-candidate" } });
    let images = json!({ "server": "registry.example/fraud-server:{version}" });
    let deployer =
        json!({ "deployments": { "namespace": "serving", "template": template, "images": images } });
    site.environment(router, deployer).await;
    let plan = "
route: serving/fraud
candidate: fraud@1.1.0
steps: [{ weight: 50%, soak: 200ms }, { weight: 100%, soak: 200ms }]
criteria: []
unproven: there is no traffic here
timing: { bake: 0s, drain: 50ms, lag: 100ms, patience: 60s, verify: 0s, window: 200ms }
";
    site.desk.write("plan.yaml", plan.as_bytes());
    site.run(&["rollout", "start", "plan.yaml", "--environment", "environment.json"]).await.is(0);
    assert_eq!(site.in_service(), "fraud@1.1.0");
    assert_eq!(site.image("fraud-stable").await, "registry.example/fraud-server:1.1.0");

    let back = ["fraud", "--route", "serving/fraud", "--environment", "environment.json"];
    let to = ["--to", "fraud@1.0.0", "--drain", "50ms"];
    let drill = site.run(&[&["rollback", "drill"][..], &back, &to].concat()).await.is(0);
    assert!(drill.out.contains("a rollback would have traffic back after"), "{drill:?}");
    assert_eq!(site.in_service(), "fraud@1.1.0", "a drill moves nothing");

    let run = ["rollback", "run", "--reason", "it is slow", "--no-proof"];
    site.run(&[&run[..], &back, &to].concat()).await.is(0);
    assert_eq!(site.in_service(), "fraud@1.0.0");
    assert_eq!(site.image("fraud-stable").await, "registry.example/fraud-server:1.0.0");
    let route = site.cluster.get(&route_at("serving/fraud")).await;
    let weights = |index: usize| &route["spec"]["rules"][0]["backendRefs"][index]["weight"];
    assert_eq!((weights(0), weights(1)), (&json!(10_000), &json!(0)));
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_has_what_others_deployed_taken_back_in_place() {
    let site = Site::new(&["rbac-revisions.yaml"]).await;
    let workload = json!({ "deployment": "fraud" });
    let deployer = json!({ "revisions": { "namespace": "serving", "workload": workload } });
    site.environment(json!({ "unsplit": {} }), deployer).await;
    for version in ["1.0.0", "1.1.0"] {
        site.deploy(version);
        site.seen().await;
    }
    site.desk.run(&["promote", "fraud@1.1.0", "--channel", "production"]).is(0);

    let back =
        ["fraud", "--route", "serving/fraud", "--environment", "environment.json", "--to", "fraud@1.0.0"];
    let run = ["rollback", "run", "--reason", "it crashes", "--no-proof", "--drain", "0s", "--quarantine"];
    site.run(&[&run[..], &back].concat()).await.is(0);
    assert_eq!(site.in_service(), "fraud@1.0.0");
    assert_eq!(site.image("fraud").await, "r.example/fraud:1.0.0");
    let quarantine = site.desk.run(&["rollback", "quarantine", "fraud"]).is(0);
    assert!(quarantine.out.contains("it crashes"), "{quarantine:?}");

    back_by_a_commit(&site).await;
}

/// The same Deployment, by the files of a repository from now on.
async fn back_by_a_commit(site: &Site) {
    site.desk.write("deploy/.gitignore", b"");
    for command in ["init -q", "config user.name ada", "config user.email ada@example.org"] {
        site.git(&command.split(' ').collect::<Vec<_>>());
    }
    // It may be run again where it was not seen to succeed.
    site.desk.write("commit.sh", b"git diff --quiet || git commit -qam \"$1\"\n");
    let path = |name: &str| site.desk.path(name).display().to_string();
    let place = |path: &str, pattern: &str| json!({ "file": "fraud.yaml", "path": format!("$.spec.template.{path}"), "pattern": pattern });
    let mut image = place("spec.containers[?@.name=='server'].image", "r.example/fraud:{version}");
    image["image"] = true.into();
    let gitops = json!({
        "checkout": path("deploy"),
        "state": path("fraud-state.json"),
        "places": [
            place("metadata.annotations['tidegate.dev/release']", "{name}@{version}"),
            place("metadata.annotations['tidegate.dev/digest']", "{digest}"),
            image,
        ],
        "command": ["sh", path("commit.sh"), "Back to {name} {version}"],
        "timeout": "20s",
        "cluster": { "revisions": { "namespace": "serving", "workload": { "deployment": "fraud" } } },
    });
    site.environment(json!({ "unsplit": {} }), json!({ "gitops": gitops })).await;
    site.desk.write("model/weights.bin", b"1.2.0");
    site.desk.run(&["publish", "fraud@1.2.0", "model", "--promote", "production"]).is(0);
    site.commit("1.0.0");
    site.commit("1.2.0");
    site.deploy("1.2.0");
    site.seen().await;
    let run = [
        &["rollback", "run", "fraud", "--route", "serving/fraud", "--environment", "environment.json"][..],
        &["--to", "fraud@1.0.0", "--reason", "it is rude", "--no-proof", "--drain", "0s"],
    ];
    let run = run.concat();
    let run = tokio::select! {
        run = site.run(&run) => run,
        () = site.apply_commits() => unreachable!("it applies for as long as it is let"),
    };
    assert!(run.is(0).out.contains("replacing what is to be left"));
    assert_eq!(site.in_service(), "fraud@1.0.0");
    assert_eq!(site.image("fraud").await, "r.example/fraud:1.0.0");
    assert_eq!(site.git(&["log", "--format=%s"]), "Back to fraud 1.0.0\n1.2.0\n1.0.0\n");
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    assert!(site.git(&["show", "HEAD:fraud.yaml"]).starts_with("# Two are enough.\n"));
}
