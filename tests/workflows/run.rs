//! Scripts of the pipelines, run where every program that they ask is a stand-in.
#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{argo, read, root};

/// A registry of images: tags are files below `tags`, whose names have `_` for `/` and `:`. What it is asked for, it writes down.
const DOCKER: &str = r#"#!/bin/sh
echo "$*" >>asked
tag() { printf 'tags/%s' "$(printf '%s' "$1" | tr :/ __)"; }
case "$*" in
  *"imagetools inspect"*)
    [ ! -e away ] || { echo "ERROR: failed to do request: connection refused" >&2; exit 1; }
    cat "$(tag "$4")" 2>/dev/null || { echo "ERROR: $4: not found" >&2; exit 1; } ;;
  *"imagetools create"*) shift 5; printf '%s' "${2#*@}" >"$(tag "$1")" ;;
  *"context create"*) touch context ;;
  *"buildx create"*) [ -e context ] || { echo "ERROR: could not create a builder instance with TLS data" >&2; exit 1; } ;;
  *"buildx build"*) printf '{\n  "containerimage.digest": "sha256:b1"\n}\n' >build.json ;;
esac
"#;

/// A directory where scripts run.
struct Runner(TempDir);

impl Runner {
    fn new() -> Self {
        let runner = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::create_dir_all(runner.path().join("tags")).expect("a writable directory");
        runner.stands_in("docker", DOCKER);
        runner
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn stands_in(&self, name: &str, script: &str) {
        let program = self.path().join("bin").join(name);
        fs::create_dir_all(program.parent().expect("a file has a parent")).expect("a writable directory");
        fs::write(&program, script).expect("a writable directory");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a writable directory");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// The exit status of a script, and what it said.
    #[expect(clippy::disallowed_methods, reason = "the stand-ins go before the programs of this machine")]
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-eu", "-c", script])
            .current_dir(self.path())
            .env("PATH", format!("{}:{path}", self.path().join("bin").display()))
            .env("GITHUB_OUTPUT", self.path().join("output"))
            .envs(variables.iter().copied())
            .output()
            .expect("there is a shell");
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        (output.status.code().unwrap_or(137), said)
    }
}

/// The script of a job of GitLab.
fn gitlab(job: &str) -> String {
    let (_, pipeline) = read(&root().join("examples/gitlab/.gitlab-ci.yml"));
    lines(&pipeline[job]["script"], job)
}

fn lines(script: &Value, job: &str) -> String {
    let lines = script.as_array().unwrap_or_else(|| panic!("{job} has no script"));
    lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// The script of a template of Argo.
fn source(template: &str) -> String {
    argo(template).1["script"]["source"]
        .as_str()
        .unwrap_or_else(|| panic!("{template} has no script"))
        .to_owned()
}

/// The script of a step of a workflow of GitHub.
fn github(workflow: &str, job: &str, step: &str) -> String {
    let (_, workflow) = read(&root().join("examples/github").join(workflow));
    let steps = workflow["jobs"][job]["steps"].as_array().unwrap_or_else(|| panic!("{job} has no steps"));
    let found = steps.iter().find(|found| found["name"] == step).unwrap_or_else(|| panic!("no step {step}"));
    found["run"].as_str().unwrap_or_else(|| panic!("{step} runs nothing")).to_owned()
}

const TAGGED: &str = "r.example/server:1.1.0";
/// As the stand-in keeps it.
const TAG: &str = "tags/r.example_server_1.1.0";

/// Both say the same words to the same registry.
fn tagging() -> [String; 2] {
    [github("release.yml", "image", "Tag what was scanned"), gitlab("tag of the image")]
}

#[test]
fn an_image_that_has_the_tag_is_not_built_again() {
    let variables = [("NAME", "r.example/server"), ("TAGGED", TAGGED)];
    let runner = Runner::new();
    runner.write(TAG, "sha256:a0");

    let (status, said) = runner.run(&gitlab("server image"), &variables);
    assert_eq!(status, 0, "{said}");
    assert_eq!(runner.read("image.env"), "IMAGE=r.example/server@sha256:a0\n");
    assert!(!runner.read("asked").contains("build "), "{}", runner.read("asked"));

    let (status, said) = runner.run(&github("release.yml", "image", "Look"), &variables);
    assert_eq!((status, runner.read("output").as_str()), (0, "digest=sha256:a0\n"), "{said}");
    let (_, release) = read(&root().join("examples/github/release.yml"));
    let build =
        release["jobs"]["image"]["steps"].as_array().unwrap().iter().find(|step| step["id"] == "build");
    assert_eq!(build.unwrap()["if"], "steps.look.outputs.digest == ''");
}

#[test]
fn an_image_is_pushed_without_a_tag() {
    let variables = [("NAME", "r.example/server"), ("TAGGED", TAGGED)];
    for away in [false, true] {
        let runner = Runner::new();
        if away {
            runner.write("away", "");
        }
        let (status, said) = runner.run(&gitlab("server image"), &variables);
        assert_eq!(status, 0, "{said}");
        assert_eq!(runner.read("image.env"), "IMAGE=r.example/server@sha256:b1\n");
        let asked = runner.read("asked");
        let build = asked.lines().find(|line| line.contains("buildx build")).expect("it is built");
        assert!(build.contains("push-by-digest=true") && !build.contains(TAGGED), "{build}");
        assert_eq!(runner.read(TAG), "");

        let (status, said) = runner.run(&github("release.yml", "image", "Look"), &variables);
        assert_eq!((status, runner.read("output").as_str()), (0, ""), "{said}");
    }
    let (_, release) = read(&root().join("examples/github/release.yml"));
    let steps = release["jobs"]["image"]["steps"].as_array().unwrap();
    let place =
        |wanted: &dyn Fn(&Value) -> bool| steps.iter().position(wanted).expect("there is such a step");
    let build = place(&|step| step["id"] == "build");
    assert!(steps[build]["with"]["outputs"].as_str().unwrap().contains("push-by-digest=true"));
    assert!(steps[build]["with"].get("tags").is_none() && steps[build]["with"].get("push").is_none());
    let tagged = place(&|step| step["name"] == "Tag what was scanned");
    assert!(tagged > place(&|step| step["id"] == "vulnerabilities"));
    assert!(
        steps[tagged].get("if").is_none(),
        "a step without a condition runs only where those before it passed"
    );
}

#[test]
fn a_tag_is_set_once_on_what_was_scanned() {
    let variables = [("IMAGE", "r.example/server@sha256:b1"), ("TAGGED", TAGGED)];
    for script in tagging() {
        let runner = Runner::new();
        for _ in 0..2 {
            let (status, said) = runner.run(&script, &variables);
            assert_eq!((status, runner.read(TAG).as_str()), (0, "sha256:b1"), "{said}");
        }
        assert_eq!(runner.read("asked").matches("imagetools create").count(), 1);

        runner.write(TAG, "sha256:a0");
        let (status, said) = runner.run(&script, &variables);
        assert_eq!((status, runner.read(TAG).as_str()), (1, "sha256:a0"), "{said}");
        assert!(said.contains("not what was scanned"), "{said}");
    }
}

#[test]
fn no_tag_is_set_where_nobody_says_whether_there_is_one() {
    let variables = [("IMAGE", "r.example/server@sha256:b1"), ("TAGGED", TAGGED)];
    for script in tagging() {
        let runner = Runner::new();
        runner.write("away", "");
        let (status, said) = runner.run(&script, &variables);
        assert_eq!((status, runner.read(TAG).as_str()), (1, ""), "{said}");
        assert!(said.contains("connection refused"), "{said}");
    }
}

#[test]
fn the_tag_waits_for_the_scan_to_find_nothing() {
    let (_, pipeline) = read(&root().join("examples/gitlab/.gitlab-ci.yml"));
    assert_eq!(pipeline["container_scanning"]["allow_failure"], false);
    let needs = |job: &str| pipeline[job]["needs"].to_string();
    assert!(needs("tag of the image").contains("vulnerabilities of the image"));
    assert!(needs("vulnerabilities of the image").contains("container_scanning"));
    assert!(needs("container_scanning").contains("server image"));
    assert!(pipeline["vulnerabilities of the image"].get("allow_failure").is_none());
    assert!(pipeline["publish"].get("needs").is_none(), "it waits for every job of the stages before it");
}

#[test]
#[ignore = "needs python3, as tests/run does"]
fn an_image_with_a_high_vulnerability_does_not_pass() {
    let script = gitlab("vulnerabilities of the image");
    let found = |severity: &str| format!(r#"{{"id": "1", "name": "CVE-2026-1", {severity}}}"#);
    let report = |status: &str, found: &[String]| {
        let found = found.join(", ");
        format!(r#"{{"version": "15.2.4", "scan": {{"status": "{status}"}}, "vulnerabilities": [{found}]}}"#)
    };
    let [low, high, none] =
        [r#""severity": "Low""#, r#""severity": "High""#, r#""message": "no severity""#].map(found);
    for (status, said, report) in [
        (0, "", report("success", &[])),
        (0, "", report("success", std::slice::from_ref(&low))),
        (1, "CVE-2026-1", report("success", &[low, high])),
        (1, "CVE-2026-1", report("success", &[none])),
        (1, "not scanned to its end", report("failure", &[])),
        (1, "KeyError", "{}".to_owned()),
        (1, "JSONDecodeError", String::new()),
    ] {
        let runner = Runner::new();
        runner.write("gl-container-scanning-report.json", &report);
        let (ended, words) = runner.run(&script, &[]);
        assert!(ended == status && words.contains(said), "{report}: {ended}, {words}");
    }
    let (ended, words) = Runner::new().run(&script, &[]);
    assert!(ended == 1 && words.contains("FileNotFoundError"), "{ended}, {words}");
}

#[test]
fn a_plan_without_a_candidate_is_not_rolled_out() {
    for (environment, script) in [
        ("staging", gitlab("staging")),
        ("production", gitlab("production")),
        ("staging", source("staging")),
        ("production", source("production")),
    ] {
        for (plan, begins) in [("candidate: support@1.0.0\nstages: []\n", true), ("stages: []\n", false)] {
            let runner = Runner::new();
            runner.stands_in("tidegate", "#!/bin/sh\necho \"$*\" >>begun\n");
            fs::create_dir(runner.path().join("release")).unwrap();
            runner.write(&format!("release/{environment}.yaml"), plan);
            let names = ["VERSION", "STAGING_URL", "STAGING_HOST", "CI_PIPELINE_ID", "GITLAB_USER_LOGIN"];
            let ours = ["ENDPOINT", "ID", "BY", "ROUTE"];
            let variables: Vec<_> = names.iter().chain(&ours).map(|name| (*name, "support@1.1.0")).collect();
            // Argo mounts the files of the release at the root.
            let (status, said) = runner.run(&script.replace(" /release/", " release/"), &variables);
            assert_eq!(status, if begins { 0 } else { 2 }, "{script}\n{said}");
            assert_eq!(runner.read("begun").contains("rollout start"), begins, "{script}");
            if begins {
                assert_eq!(runner.read("plan.yaml"), "candidate: support@1.1.0\nstages: []\n");
            } else {
                assert!(said.contains(&format!("{environment}.yaml has no line candidate")), "{said}");
            }
        }
    }
}

/// What a validation ends with, and how often a job asks for it: the pipelines of GitLab and Argo say when they run a job again.
#[test]
fn only_what_was_away_is_tried_again() {
    let variables = [
        "VERSION",
        "SUITE",
        "ENDPOINT",
        "STAGING_URL",
        "RECORD",
        "TIDEGATE_RECORDS",
        "CI_PIPELINE_ID",
        "GITHUB_ACTOR",
        "GITLAB_USER_LOGIN",
        "BY",
    ]
    .map(|name| (name, "x"));
    for (status, tries) in [(0, 1), (1, 1), (3, 1), (4, 2)] {
        for (script, tries) in [
            (github("validate.yml", "validate", "Validate"), tries),
            (gitlab("validate"), 1),
            (source("validate"), 1),
        ] {
            let runner = Runner::new();
            runner.stands_in("tidegate", &format!("#!/bin/sh\necho >>tried\nexit {status}\n"));
            runner.stands_in("sleep", "#!/bin/sh\n");
            let (ended, said) = runner.run(&script, &variables);
            assert_eq!((ended, runner.read("tried").len()), (status, tries), "{script}\n{said}");
            assert_eq!(said.contains("inconclusive"), status == 3, "{said}");
        }
    }
    let (_, pipeline) = read(&root().join("examples/gitlab/.gitlab-ci.yml"));
    for (name, job) in pipeline.as_object().unwrap() {
        if let Some(retry) = job.get("retry") {
            assert_eq!(retry["exit_codes"], serde_json::json!([4]), "{name}");
        }
    }
    for template in ["publish", "sign", "staging", "validate"] {
        let expression = &argo(template).1["retryStrategy"]["expression"];
        assert_eq!(expression, "asInt(lastRetry.exitCode) == 4", "{template}");
    }
}
