//! What those who run the pipelines say of the files: actionlint and ShellCheck, GitLab's JSON Schema, and the models of Argo's
//! API. The tools are in the directory TIDEGATE_WORKFLOWS_BIN.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{root, workflows};

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
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

/// As a repository has them: only there actionlint knows the files that a workflow calls.
fn repository(at: &Path) {
    for directory in [".git", ".github/workflows", ".github/actions/tidegate"] {
        fs::create_dir_all(at.join(directory)).unwrap();
    }
    for workflow in workflows() {
        fs::copy(&workflow, at.join(".github/workflows").join(workflow.file_name().unwrap())).unwrap();
    }
    let action = root().join("examples/github/tidegate/action.yml");
    fs::copy(action, at.join(".github/actions/tidegate/action.yml")).unwrap();
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
