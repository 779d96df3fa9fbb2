//! What those who run the pipelines say of the files: actionlint and ShellCheck, GitLab's JSON Schema, and the models of Argo's
//! API. The tools are in the directory TIDEGATE_WORKFLOWS_BIN.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{own, read, root, workflows};

/// A tool, on whose PATH the others are as well.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where programs are")]
fn tool(name: &str) -> Command {
    let tools = std::env::var_os("TIDEGATE_WORKFLOWS_BIN");
    let tools = PathBuf::from(
        tools.expect("TIDEGATE_WORKFLOWS_BIN names the directory of actionlint and the others"),
    );
    let mut path = tools.clone().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(tools.join(name));
    command.env("PATH", path);
    command
}

/// Runs it, and what it says is what is wrong.
#[track_caller]
fn expect_no_complaint(command: &mut Command) {
    let output = command.output().expect("the tool runs");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

/// As a repository has them: only there actionlint knows the files that a workflow calls.
fn repository(at: &Path) {
    for directory in [".git", ".github/workflows", ".github/actions/tidegate"] {
        fs::create_dir_all(at.join(directory)).expect("a writable directory");
    }
    for workflow in workflows() {
        let name = workflow.file_name().expect("a file has a name");
        fs::copy(&workflow, at.join(".github/workflows").join(name)).expect("a writable directory");
    }
    let action = root().join("examples/github/tidegate/action.yml");
    fs::copy(action, at.join(".github/actions/tidegate/action.yml")).expect("a writable directory");
}

#[test]
#[ignore = "needs actionlint and shellcheck (TIDEGATE_WORKFLOWS_BIN); tests/run installs them"]
fn actionlint_has_no_complaint_of_the_github_workflows() {
    let repository_of_a_team = tempfile::tempdir().unwrap();
    repository(repository_of_a_team.path());
    expect_no_complaint(
        tool("actionlint").arg("-shellcheck=shellcheck").current_dir(repository_of_a_team.path()),
    );
}

#[test]
#[ignore = "needs actionlint (TIDEGATE_WORKFLOWS_BIN); tests/run installs it"]
fn actionlint_knows_what_the_called_workflow_wants() {
    let repository_of_a_team = tempfile::tempdir().unwrap();
    repository(repository_of_a_team.path());
    let release = repository_of_a_team.path().join(".github/workflows/release.yml");
    let text = fs::read_to_string(&release).unwrap();
    let without = text.replace("      endpoint: ${{ vars.STAGING_URL }}\n", "");
    assert_ne!(text, without);
    fs::write(&release, without).unwrap();
    let output = tool("actionlint").current_dir(repository_of_a_team.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("endpoint"), "{said}");
}

#[test]
#[ignore = "needs actionlint and shellcheck (TIDEGATE_WORKFLOWS_BIN); tests/run installs them"]
fn actionlint_has_no_complaint_of_our_own_workflows() {
    let repository = tempfile::tempdir().unwrap();
    for directory in [".git", ".github/workflows"] {
        fs::create_dir_all(repository.path().join(directory)).unwrap();
    }
    for workflow in own() {
        let name = workflow.file_name().unwrap();
        fs::copy(&workflow, repository.path().join(".github/workflows").join(name)).unwrap();
    }
    expect_no_complaint(tool("actionlint").arg("-shellcheck=shellcheck").current_dir(repository.path()));
}

#[test]
#[ignore = "needs shellcheck (TIDEGATE_WORKFLOWS_BIN); tests/run installs it"]
fn shellcheck_has_no_complaint_of_our_own_scripts() {
    let scripts = [
        ".ci/run",
        "benches/table",
        "benches/tools",
        "docs/build",
        "release/check",
        "tests/run",
        "validation/fuzz/run",
    ];
    let scripts = scripts.map(|script| root().join(script));
    expect_no_complaint(tool("shellcheck").arg("--shell=bash").args(scripts));
}

/// The scripts of a pipeline of GitLab or Argo, each of which runs as one.
fn scripts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| scripts(value, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("script", Value::Array(lines)) => {
                        found.push(lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"));
                    }
                    ("source", Value::String(script)) => found.push(script.clone()),
                    _ => scripts(value, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
#[ignore = "needs shellcheck (TIDEGATE_WORKFLOWS_BIN); tests/run installs it"]
fn shellcheck_has_no_complaint_of_the_scripts_for_gitlab_and_argo() {
    let directory = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for pipeline in ["gitlab/.gitlab-ci.yml", "argo/workflow.yaml"] {
        scripts(&read(&root().join("examples").join(pipeline)).1, &mut found);
    }
    assert!(found.len() >= 14, "{found:?}");
    for script in found {
        let file = directory.path().join("script.sh");
        fs::write(&file, script).unwrap();
        expect_no_complaint(tool("shellcheck").args(["--shell=bash"]).arg(&file));
    }
}

#[test]
#[ignore = "needs check-jsonschema (TIDEGATE_WORKFLOWS_BIN); tests/run installs it"]
fn the_gitlab_pipeline_keeps_to_the_schema_of_gitlab() {
    let pipeline = root().join("examples/gitlab/.gitlab-ci.yml");
    let options = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"];
    expect_no_complaint(tool("check-jsonschema").args(options).arg(pipeline));
}

#[test]
#[ignore = "needs a Python with hera (TIDEGATE_WORKFLOWS_BIN); tests/run installs it"]
fn argo_knows_every_field_of_the_argo_workflow() {
    let script = root().join("tests/workflows/argo.py");
    expect_no_complaint(tool("python").arg(script).arg(root().join("examples/argo/workflow.yaml")));
}
