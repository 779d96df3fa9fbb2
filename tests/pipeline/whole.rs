//! The example release as it is, but for its ports and paths: from the sources to everybody, killed on the way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    desk::Run,
    ports::free_port,
    workshop::{state, until},
};

/// A checkout of the repository, as far as the example sees of it.
struct Checkout {
    root: tempfile::TempDir,
    gateway: Child,
}

impl Checkout {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipeline");
        let ports: Vec<(String, String)> = ["18100", "18101", "18102", "18103", "18112"]
            .map(|port| (port.to_owned(), free_port().to_string()))
            .into();
        copy(&from, &root.path().join("examples/pipeline"), &ports);
        fs::create_dir_all(root.path().join("target/pipeline")).expect("a directory");
        let port = |n: usize| ports[n].1.clone();
        let mut gateway = Command::new("python3");
        gateway.arg("examples/pipeline/support/gateway.py");
        gateway.args([port(0), port(1), port(2), port(3)]).current_dir(root.path()).stdin(Stdio::null());
        let gateway = gateway.spawn().expect("python3 runs");
        let checkout = Self { root, gateway };
        checkout.set_up();
        checkout
    }

    /// What `support/up` does.
    fn set_up(&self) {
        let support = "examples/pipeline/support";
        self.tidegate(&["publish", "support@1.0.0", &format!("{support}/first"), "--by", "ada"]).is(0);
        self.tidegate(&["promote", "support@1.0.0", "--channel", "production", "--by", "ada"]).is(0);
        let keys = ["target/pipeline/team.pem", "target/pipeline/team.pub.pem"];
        self.tidegate(&["key", "generate", keys[0], keys[1]]).is(0);
    }

    fn set_policy(&self) {
        let policy = self.pipeline(&["--policy"]).is(0);
        fs::write(self.path("policy.toml"), policy.out).expect("a file");
        self.tidegate(&["policy", "set", "support", "--channel", "production", "policy.toml"]).is(0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let test = std::env::current_exe().expect("a test knows where it is");
        let directory = test.ancestors().nth(2).expect("cargo keeps tests in target/PROFILE/deps");
        let mut command = Command::new(directory.join("examples").join(name));
        command
            .current_dir(self.root.path())
            .env("TIDEGATE_REGISTRY", "target/pipeline/registry")
            .env("USER", "ada")
            .env("NO_PROXY", "*")
            .env("XDG_STATE_HOME", self.path("state"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    fn tidegate(&self, arguments: &[&str]) -> Run {
        Run::of(&self.program("tidegate").args(arguments).output().expect("the program runs"))
    }

    fn pipeline(&self, arguments: &[&str]) -> Run {
        Run::of(&self.release(arguments).output().expect("the program runs"))
    }

    fn release(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("pipeline");
        command.arg("examples/pipeline/release.toml").args(arguments);
        command
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let run = self.pipeline(&[arguments, &["--json"]].concat());
        (run.status, serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}")))
    }

    fn production(&self) -> String {
        let run = self.tidegate(&["show", "support:production", "--json"]).is(0);
        let shown: Value = serde_json::from_str(&run.out).expect("a document");
        shown["manifest"]["model"].as_str().expect("a version").to_owned()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _gone = self.gateway.kill().and_then(|()| self.gateway.wait());
        // Servers outlive whoever started them, as they should; those of a test do not.
        let mark = format!("TIDEGATE_SERVER={}", self.root.path().display());
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes())) {
                let _gone = Command::new("kill").arg("-KILL").arg(entry.file_name()).status();
            }
        }
    }
}

/// Copies files, with other ports in them.
fn copy(from: &Path, to: &Path, ports: &[(String, String)]) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to, ports);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let text = ports.iter().fold(text, |text, (old, new)| text.replace(old, new));
            fs::write(to, text).expect("a file");
        }
    }
}

#[test]
#[ignore = "needs python3 (on the PATH)"]
fn a_version_goes_from_its_sources_to_everybody_though_the_pipeline_is_killed() {
    let checkout = Checkout::new();
    // Without a policy, versions could get to users around a stage.
    let (status, preview) = checkout.json(&["--dry-run"]);
    assert_eq!((status, preview["lacking"].as_u64()), (1, Some(1)), "{preview}");
    assert!(preview["undemanded"].to_string().contains("behaviour"), "{preview}");
    assert!(preview["undemandedSignatures"].to_string().contains("team.pub.pem"), "{preview}");
    checkout.set_policy();
    let (status, preview) = checkout.json(&["--dry-run"]);
    assert_eq!(status, 0, "{preview}");

    // Everything that needs nobody; then it waits.
    let (status, json) = checkout.json(&["--unattended"]);
    assert_eq!(
        (status, state(&json, "approval"), state(&json, "canary")),
        (5, "waits", "waiting"),
        "{json:#}"
    );
    for stage in ["quality", "tests", "files", "image", "vulnerabilities", "publish", "behaviour", "load"] {
        assert_eq!(state(&json, stage), "passed", "{json:#}");
    }
    // The policy stands against those who go around.
    let around = checkout.tidegate(&["promote", "support@1.1.0", "--channel", "production"]).is(1);
    assert!(around.err.contains("approved"), "{around:?}");
    checkout.tidegate(&["approve", "support@1.1.0", "--by", "grace"]).is(0);

    // Killed while the users are being moved.
    let mut driven =
        checkout.release(&[]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it runs");
    until("users meet the version", || {
        let status = checkout.tidegate(&["rollout", "status", "--route", "support", "--json"]);
        status.out.contains("judging the candidate (step 1)")
    });
    driven.kill().expect("SIGKILL");
    driven.wait().expect("it is gone");
    assert_eq!(checkout.production(), "support@1.0.0", "it is not promoted yet");

    let (status, json) = checkout.json(&[]);
    assert_eq!((status, json["end"].as_str()), (0, Some("passed")), "{json:#}");
    assert_eq!(checkout.production(), "support@1.1.0");
    let attempts = |stage: &str| {
        let stages = json["stages"].as_array().expect("stages");
        stages.iter().find(|found| found["name"] == stage).map(|found| found["attempts"].clone())
    };
    assert_eq!(attempts("canary"), Some(2.into()), "{json:#}");
    assert_eq!(attempts("behaviour"), Some(1.into()), "what has passed is not done again");
    // One rollout, which was gone on with.
    let history = checkout.tidegate(&["history", "support", "--channel", "production", "--json"]).is(0);
    let history: Value = serde_json::from_str(&history.out).expect("a document");
    assert_eq!(history["moves"].as_array().map(Vec::len), Some(2), "{history}");
    assert_eq!(history["moves"][0]["cause"]["rollout"]["id"], "support-1.1.0-canary-1", "{history}");
    assert!(history["moves"][0]["settled"].is_object(), "it was baked: {history}");

    let page = fs::read_to_string(checkout.path("target/pipeline/outputs/support-1.1.0/report.html"))
        .expect("a page");
    for word in ["support@1.1.0", "behaviour", "registry.example.com/team/support@sha256:", "srcdoc"] {
        assert!(page.contains(word), "{word} is missing");
    }
    assert!(!page.contains("<script"), "the page runs nothing");
}
