//! Deployments and an HTTPRoute of a Kubernetes API server, by the files and rights of the examples. No pod runs there: the
//! test serves the versions itself, and its gateway sends users to them as the cluster says.

use std::sync::Arc;

use crate::{
    ALONE,
    cluster::{Cluster, rights::example},
    gateway::Gateway,
    ports::free_port,
    running::now,
    site::Site,
    story::{self, ALL, CROWDED, FIRST, GOOD, UNSAFE},
};

const ROUTE: &str = "serving/assistant";

async fn site(cluster: &Cluster) -> (Site, Gateway) {
    let servers = ALL.map(|version| (version, free_port()));
    let gateway = Gateway::start(servers.into()).await;
    let mut site = Site::new(gateway.port, &servers.map(|(_, port)| port), servers.into()).await;
    site.know("$ROUTE", ROUTE);
    // Somebody else serves them for validation.
    site.know("$STAGING", "");
    let kubeconfig = kubeconfig(&site, cluster).await;
    site.know("$KUBECONFIG", kubeconfig);
    site.write("production.yaml", "cluster.yaml", &[]);
    let candidate = gateway.clone();
    site.has_candidate = Box::new(move || candidate.has_candidate());
    (site, gateway)
}

/// Applies the files of the examples, for this model, and returns the path of a kubeconfig for their account.
async fn kubeconfig(site: &Site, cluster: &Cluster) -> String {
    for file in ["rbac.yaml", "services.yaml", "route.yaml", "template.yaml"] {
        let text = std::fs::read_to_string(example(file)).expect("a file of the examples");
        site.desk.write(file, text.replace("fraud", "assistant").as_bytes());
        // What Deployments are made from is no object by itself.
        if file != "template.yaml" {
            let path = site.desk.path(file).display().to_string();
            cluster.kubectl(&["apply", "--validate=false", "-f", &path]);
        }
    }
    cluster.kubeconfig("serving", "tidegate").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS), an LLM (a Python with xllamacpp in TIDEGATE_LLM_PYTHON, packages of Gemma 3 270M in TIDEGATE_GEMMA), SeaweedFS (SEAWEEDFS_BIN), Prometheus (PROMETHEUS_BIN) and a Python with standardwebhooks (TIDEGATE_TEST_PYTHON)"]
async fn end_to_end_a_kube_apiserver_gets_versions_of_an_llm_and_goes_back() {
    let _alone = ALONE.lock().await;
    let begin = now();
    let cluster = Cluster::with_controllers().await;
    let (site, gateway) = site(&cluster).await;
    story::prepare(&site);
    story::told(begin, "Gemma", "and its cluster are there");
    let site = Arc::new(site);
    let acts = Arc::clone(&site);
    let story = tokio::task::spawn_blocking(move || act(&acts));
    tokio::select! {
        story = story => story.expect("it ends well"),
        () = cluster.run_pods() => unreachable!("they run for as long as they are let"),
        () = cluster.accept_everything() => unreachable!("it accepts for as long as it is let"),
        () = gateway.follow(&cluster, ROUTE) => unreachable!("it follows for as long as it is let"),
    }
    let stable = cluster.get("apis/apps/v1/namespaces/serving/deployments/assistant-stable").await;
    let image = &stable["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, format!("registry.example/assistant-server:{FIRST}"));
    story::told(begin, "all", "of it");
}

/// What versions that validation stops have to do with a cluster is nothing, so one of them is enough.
fn act(site: &Site) {
    story::first(site);
    story::stopped(site, UNSAFE, "safety");
    let _first = site.serve(FIRST);
    let crowded = site.serve(CROWDED);
    let users = story::taken_back(site);
    story::settled(site);
    drop((users, crowded));
    let _good = site.serve(GOOD);
    let users = story::promoted(site);
    story::incident(site, &users);
}
