//! A Deployment that a GitOps controller keeps as a repository says. The controller here is a small stand-in: what is
//! committed is applied, and what others change is taken back.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_canary::{GitOps, Readiness, Release, gitops::Place, kubernetes::Revisions};
use tidegate_rollback::State;

use crate::{
    cluster::{Cluster, rights::TIDEGATE},
    ground::{Ground, apply, image},
    while_pods_run, with_rights,
};

const FILE: &str = "apps/fraud.yaml";

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_deployment_under_gitops_on_a_kube_apiserver_comes_back_by_a_commit() {
    let cluster = with_rights().await;
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("repository");
    std::fs::create_dir_all(repository.join("apps")).unwrap();
    for command in ["init -q", "config user.name ada", "config user.email ada@example.org"] {
        git(&repository, &command.split(' ').collect::<Vec<_>>());
    }
    let asleep = AtomicBool::new(false);
    let work = async {
        let ground = Ground {
            deployer: Arc::new(deployer(&cluster, directory.path())),
            ..Ground::deployment(&cluster)
        };
        let good = ground.promote("fraud@1.0.0").await;
        commit(&repository, &good);
        ground.becomes_ready(&good).await;
        ground.settle(&good).await;
        let before = std::fs::read_to_string(repository.join(FILE)).unwrap();

        let bad = ground.promote("fraud@1.1.0-crash").await;
        commit(&repository, &bad);
        ground.sees(|seen| matches!(seen, Readiness::Failed { release, .. } if *release == bad)).await;

        asleep.store(true, Ordering::Relaxed);
        let stuck = ground.roll_back_within("inc-1", Duration::from_secs(3)).await;
        let words = stuck.to_string();
        assert!(matches!(stuck, State::Stuck { .. }), "{words}");
        for word in
            ["replacing what is to be left", "apps/fraud.yaml", "fraud@1.1.0-crash runs", "GitOps controller"]
        {
            assert!(words.contains(word), "{words}");
        }
        asleep.store(false, Ordering::Relaxed);
        ground.comes_back_to("inc-2", &good).await;

        let commits = git(&repository, &["log", "--format=%s"]);
        assert_eq!(
            commits.lines().collect::<Vec<_>>(),
            ["Back to fraud 1.0.0", "fraud@1.1.0-crash", "fraud@1.0.0"]
        );
        assert_eq!(
            git(&repository, &["status", "--porcelain"]),
            "",
            "all is committed, and nothing lies about"
        );
        let changed = git(&repository, &["diff", "--numstat", "HEAD~1"]);
        assert_eq!(changed.trim(), format!("3\t3\t{FILE}"));
        // What a person had changed with the version stays theirs to take back.
        let after = std::fs::read_to_string(repository.join(FILE)).unwrap();
        assert_eq!(after, before.replace("THREADS: for-1.0.0", "THREADS: for-1.1.0-crash"));
    };
    tokio::select! {
        () = while_pods_run(&cluster, work) => {}
        () = controller(&cluster, &repository, &asleep) => {}
    }
}

fn deployer(cluster: &Cluster, directory: &Path) -> GitOps {
    let runs = Revisions::of_deployment(cluster.client_by(TIDEGATE), "serving", "fraud").unwrap();
    let place = |path: &str, pattern: &str| {
        Place::new(FILE, &format!("$.spec.template.{path}"), pattern).unwrap().of("Deployment", "fraud")
    };
    GitOps::new(directory.join("repository"), directory.join("fraud.json"), Arc::new(runs))
        .unwrap()
        .with(place("metadata.annotations['tidegate.dev/release']", "{name}@{version}"))
        .with(place("metadata.annotations['tidegate.dev/digest']", "{digest}"))
        .with(place("spec.containers[?@.name=='server'].image", "r.example/fraud:{version}").as_image())
        .with_command(["git", "commit", "-qam", "Back to {name} {version}"])
        .unwrap()
}

/// Commits the file for `release`, as the team's pipeline does.
fn commit(repository: &Path, release: &Release) {
    let (model, version) = (&release.model, release.model.version());
    let (digest, server) = (release.digest, image(release, ""));
    let text = format!(
        "# What it reads at its start.\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: fraud-settings, namespace: serving}}\n\
         data: {{THREADS: for-{version}}}\n\
         --- # and what serves\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: fraud, namespace: serving}}\n\
         spec:\n  replicas: 2   # two are enough\n  selector: {{matchLabels: {{app: fraud}}}}\n\
         \x20 template:\n    metadata:\n      labels: {{app: fraud}}\n\
         \x20     annotations:\n\
         \x20       tidegate.dev/release: {model}\n\
         \x20       tidegate.dev/digest: '{digest}' # the pipeline's\n\
         \x20   spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n\
         \x20     - name: server\n        image: \"{server}\"\n\
         \x20     - {{name: proxy, image: r.example/proxy:9}}\n"
    );
    std::fs::write(repository.join(FILE), text).unwrap();
    git(repository, &["add", "-A"]);
    git(repository, &["commit", "-qm", &release.model.to_string()]);
}

/// Applies what is committed, again and again, but while it is asleep.
async fn controller(cluster: &Cluster, repository: &Path, asleep: &AtomicBool) {
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if asleep.load(Ordering::Relaxed) {
            continue;
        }
        let shown =
            Command::new("git").arg("-C").arg(repository).args(["show", &format!("HEAD:{FILE}")]).output();
        let shown = shown.unwrap();
        if shown.status.success() {
            apply(cluster, &String::from_utf8(shown.stdout).unwrap());
        }
    }
}

fn git(repository: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git").arg("-C").arg(repository).args(arguments).output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
