//! Plans and environments as files: the examples, and rubbish.

use std::{fs, path::Path};

use serde_json::Value;
use tidegate::canary::plan_file::{self, Format, PlanFile};

use crate::desk::Desk;
#[cfg(target_os = "linux")]
use crate::desk::Run;

fn examples() -> Vec<std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plans");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("it is there")
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    files.sort();
    files
}

#[test]
fn the_schema_is_printed() {
    let desk = Desk::new();
    let printed: Value = serde_json::from_str(&desk.run(&["plan-schema"]).is(0).out).unwrap();
    assert_eq!(printed, plan_file::schema());
    assert_eq!(desk.json(&["plan-schema"]), printed);
}

#[test]
fn the_plans_among_the_examples_can_be_read() {
    let plans: Vec<_> = examples()
        .into_iter()
        .filter(|path| !path.file_name().unwrap().to_string_lossy().contains("environment"))
        .collect();
    assert!(plans.len() >= 3, "{plans:?}");
    for path in plans {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = PlanFile::read(&text, Format::of(&path).unwrap()) {
            panic!("{}: {error}: {:?}", path.display(), std::error::Error::source(&error));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_environments_among_the_examples_can_be_read() {
    let desk = Desk::published();
    let environments: Vec<_> = examples()
        .into_iter()
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains("environment"))
        .collect();
    assert!(environments.len() >= 2, "{environments:?}");
    desk.write("plan.yaml", PLAN.as_bytes());
    for path in environments {
        // It is read before anything else is looked at: all that is wrong is the model that nobody has published.
        let run = desk.run(&["rollout", "start", "plan.yaml", "--environment", path.to_str().unwrap()]);
        run.is(1).says(&["fraud"]);
    }
}

const PLAN: &str = "\
route: serving/fraud
candidate: fraud@^1.2
steps:
  - { weight: 10%, require: pass }
  - { weight: 100% }
criteria:
  - { metric: errors, rule: { limit: { statistic: share, bound: { atMost: 0.05 } } } }
timing: { bake: 0s }
";

#[cfg(target_os = "linux")]
const ENVIRONMENT: &str = "\
router: { haproxy-weights: { socket: admin.sock, stable: stable, candidate: candidate } }
deployer:
  processes:
    directory: servers
    server: { ready: 'http://127.0.0.1:{port}/health', command: { program: 'true' } }
metrics: { scrape: { targets: [] } }
";

#[cfg(target_os = "linux")]
const REVISIONS: &str = "revisions: { namespace: serving, workload: { deployment: fraud } }";

/// An environment in a cluster.
#[cfg(target_os = "linux")]
fn in_cluster(kubernetes: &str, deployer: &str) -> String {
    format!(
        "kubernetes: {kubernetes}\nrouter: {{ unsplit: {{}} }}\ndeployer: {{ {deployer} }}\nmetrics: {{ scrape: {{ targets: [] }} }}\n"
    )
}

#[cfg(target_os = "linux")]
#[test]
fn a_cluster_that_cannot_be_found_is_refused_by_its_name() {
    let desk = Desk::published();
    desk.run(&["promote", "m@1.0.0", "--channel", "production"]).is(0);
    let drill = |kubernetes: &str, deployer: &str| {
        desk.write("env.yaml", in_cluster(kubernetes, deployer).as_bytes());
        let mut command =
            desk.command(&["rollback", "drill", "m", "--route", "r", "--environment", "env.yaml"]);
        // Wherever the test runs, no other cluster is found.
        command.env("KUBECONFIG", desk.path("none.yaml")).env_remove("KUBERNETES_SERVICE_HOST");
        Run::of(&command.output().expect("the program runs"))
    };
    drill("{}", REVISIONS).is(2).says(&["there is no cluster to reach", "kubernetes: { kubeconfig: PATH }"]);
    drill("{ kubeconfig: nowhere.yaml }", REVISIONS)
        .is(2)
        .says(&["kubernetes.kubeconfig `nowhere.yaml`", "cannot be read"]);
    desk.write("config.yaml", b"current-context: [hush");
    let run = drill("{ kubeconfig: config.yaml }", REVISIONS).is(2);
    assert!(run.err.contains("not the YAML of a kubeconfig") && !run.err.contains("hush"), "{run:?}");
    let config = "
apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: 'http://127.0.0.1:9' } }]
users: [{ name: u, user: { token: hush } }]
contexts: [{ name: staging, context: { cluster: c, user: u } }]
";
    desk.write("config.yaml", config.as_bytes());
    drill("{ kubeconfig: config.yaml }", REVISIONS).is(2).says(&["no current context", "kubernetes.context"]);
    let production = "{ kubeconfig: config.yaml, context: production }";
    let run = drill(production, REVISIONS).is(2);
    assert!(run.err.contains("no context `production`") && !run.err.contains("hush"), "{run:?}");
    let staging = "{ kubeconfig: config.yaml, context: staging }";
    let gitops = |places: &str| {
        format!("gitops: {{ checkout: ., state: s.json, places: [{places}], cluster: {{ {REVISIONS} }} }}")
    };
    drill(staging, &gitops("")).is(2).says(&["deployer.gitops.places is empty"]);
    let wrong = "{ file: f.yaml, path: 'image.tag', pattern: '{version}' }";
    drill(staging, &gitops(wrong)).is(2).says(&["image.tag"]);
    drill(staging, "deployments: { namespace: n, template: t.yaml }")
        .is(2)
        .says(&["template `t.yaml`", "cannot be read"]);
    let model = "revisions: { namespace: n, workload: { deployment: d }, image: { container: c, pattern: 'x:{version}', model: nobody } }";
    drill(staging, model).is(1).says(&["nobody"]);
    // All is well with this one, but nothing is to be gone back to.
    drill(staging, REVISIONS).is(1).says(&["no version in the channel's history is known to be good"]);
}

#[cfg(target_os = "linux")]
#[test]
fn rubbish_is_refused_before_anything_moves() {
    let desk = Desk::published();
    desk.write("plan.yaml", PLAN.as_bytes());
    desk.write("env.yaml", ENVIRONMENT.as_bytes());
    let before = desk.stored();
    let start =
        |plan: &str, environment: &str| desk.run(&["rollout", "start", plan, "--environment", environment]);
    for (from, to, words) in [
        ("10%", "110%", &["plan `bad.yaml`", "steps[0].weight", "0% to 100%"][..]),
        ("steps:", "stepps:", &["`stepps`", "did you mean `steps`?"]),
        ("100%", "90%", &["bad.yaml", "steps must end with weight 100%"]),
        ("atMost", "atmost", &["criteria[0].rule.limit.bound", "did you mean `atMost`?"]),
        ("route: serving/fraud", "route: [", &["YAML", "line"]),
    ] {
        desk.write("bad.yaml", PLAN.replacen(from, to, 1).as_bytes());
        start("bad.yaml", "env.yaml").is(2).says(words);
    }
    start("plan.txt", "env.yaml").is(2).says(&["plan.txt", ".yaml, .toml and .json"]);
    start("none.yaml", "env.yaml").is(2).says(&["none.yaml", "cannot be read"]);
    desk.write("long.yaml", &vec![b'#'; 1 << 21]);
    start("long.yaml", "env.yaml").is(2).says(&["longer than"]);
    for (from, to, words) in [
        ("haproxy-weights", "haproxy-waits", &["bad.yaml", "router", "haproxy-waits", "haproxy-weights"][..]),
        ("command:", "comand:", &["deployer.processes.server.comand"]),
        ("targets: []", "targets: 1", &["metrics.scrape.targets"]),
        ("metrics:", "metric:", &["metric", "metrics"]),
    ] {
        desk.write("bad.yaml", ENVIRONMENT.replacen(from, to, 1).as_bytes());
        start("plan.yaml", "bad.yaml").is(2).says(words);
    }
    for (router, words) in [
        ("http-route: { stable: a }", &["router.http-route", "`candidate`"][..]),
        ("http-route: { stable: a, candidate: b, header: true }", &["router.http-route.header", "`headers`"]),
        ("virtual-service: { stable: { hosts: a }, candidate: { host: b } }", &["stable.hosts", "`host`"]),
        ("replicas: { total: 0 }", &["router.replicas.total", "nonzero"]),
        ("unsplit: { stable: a }", &["router.unsplit", "stable"]),
    ] {
        let own = "haproxy-weights: { socket: admin.sock, stable: stable, candidate: candidate }";
        desk.write("bad.yaml", ENVIRONMENT.replacen(own, router, 1).as_bytes());
        start("plan.yaml", "bad.yaml").is(2).says(words);
    }
    for (deployer, words) in [
        ("deployments: { namespace: n }", &["deployer.deployments", "`template`"][..]),
        (
            "revisions: { namespace: n, workload: { daemon-set: x } }",
            &["workload", "daemon-set", "stateful-set"],
        ),
        ("revisions: { namespace: n, workload: { deployment: x }, images: {} }", &["revisions.images"]),
        ("inference-services: { namespace: n, template: t.yaml }", &["inference-services", "`storage`"]),
        (
            "gitops: { checkout: c, state: s, places: [], cluster: { processes: {} } }",
            &["cluster", "processes"],
        ),
        (
            "gitops: { checkout: c, state: s, places: [{ file: f }], cluster: { CLUSTER } }",
            &["places[0]", "`path`"],
        ),
    ] {
        desk.write("bad.yaml", in_cluster("{}", &deployer.replace("CLUSTER", REVISIONS)).as_bytes());
        start("plan.yaml", "bad.yaml").is(2).says(words);
    }
    desk.write("bad.yaml", in_cluster("{ kubeconf: x }", REVISIONS).as_bytes());
    start("plan.yaml", "bad.yaml").is(2).says(&["kubernetes.kubeconf", "`kubeconfig`"]);
    // Secrets are named, never written.
    let told = format!(
        "{ENVIRONMENT}notify: {{ chat: {{ to: {{ slack: {{ url: 'https://hooks.example/T/B/X' }} }} }} }}\n"
    );
    desk.write("told.yaml", told.as_bytes());
    let run = start("plan.yaml", "told.yaml").is(2);
    assert!(run.err.contains("notify.chat.to.slack.url") && !run.err.contains("hooks.example"), "{run:?}");
    desk.write("told.toml", b"[notify.chat.to]\nslack = { url = 'https://hooks.example/T/B/X' }\n");
    let run = start("plan.yaml", "told.toml").is(2);
    assert!(!run.err.contains("hooks.example"), "{run:?}");
    // No version fits, or nothing is in production.
    start("plan.yaml", "env.yaml").is(1).says(&["fraud"]);
    let own = PLAN.replace("fraud@^1.2", "m@1.0.0");
    desk.write("own.yaml", own.as_bytes());
    start("own.yaml", "env.yaml").is(2).says(&["m:production", "promote"]);
    assert_eq!(desk.stored(), before);
    assert!(!desk.path("servers").exists());
}
