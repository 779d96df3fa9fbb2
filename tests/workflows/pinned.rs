//! What nobody but a reviewer keeps workflows of GitHub from: actions that can be changed under their name, more rights than
//! needed, values of others in scripts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{files, own, read, workflows};

/// `OWNER/NAME@COMMIT # vX.Y.Z`, or a file of the repository itself.
#[test]
fn actions_are_pinned_by_commit_and_say_their_version() {
    let mut pinned = BTreeMap::new();
    for path in files().into_iter().chain(own()) {
        let (text, _) = read(&path);
        let used =
            text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "));
        for action in used.filter(|action| !action.starts_with("./.github/")) {
            let (name, pin) = action.split_once('@').unwrap_or_else(|| panic!("{action} has no commit"));
            let (commit, version) =
                pin.split_once(" # v").unwrap_or_else(|| panic!("{action} says no version"));
            let hex = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(hex && version.split('.').count() == 3, "{}: {action}", path.display());
            let first = *pinned.entry(name.to_owned()).or_insert_with(|| pin.to_owned()) == pin;
            assert!(first, "{name} is pinned to {pin} and to {}", pinned[name]);
        }
    }
    assert!(pinned.len() >= 10, "{pinned:?}");
}

#[test]
fn jobs_have_an_end_and_no_more_rights_than_they_say() {
    for path in workflows().into_iter().chain(own()) {
        let (text, workflow) = read(&path);
        let path = path.display();
        assert_eq!(workflow["permissions"], Value::Object(serde_json::Map::new()), "{path}");
        let triggers = &workflow["on"];
        assert!(triggers.is_object() && triggers.get("pull_request_target").is_none(), "{path}: {triggers}");
        assert!(workflow.get("concurrency").is_some() || triggers.get("workflow_call").is_some(), "{path}");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["permissions"].is_object(), "{path}: {name} does not say its rights");
            assert!(
                job.get("uses").is_some() || job["timeout-minutes"].is_u64(),
                "{path}: {name} has no end"
            );
            for step in job["steps"].as_array().into_iter().flatten() {
                let script = step["run"].as_str().unwrap_or_default();
                assert!(
                    !script.contains("${{"),
                    "{path}: {name} writes a value of others into a script: {script}"
                );
                let checkout =
                    step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@"));
                assert!(
                    !checkout || step["with"]["persist-credentials"] == false,
                    "{path}: {name} keeps its token"
                );
            }
        }
        let secrets_of_a_fork = triggers.get("pull_request").is_some() && text.contains("secrets.");
        assert!(!secrets_of_a_fork, "{path}: anybody's pull request would see a secret, or fail without");
    }
}

#[test]
fn only_a_person_lets_a_release_into_production() {
    let release = workflows().into_iter().find(|path| path.ends_with("release.yml")).unwrap();
    let (_, release) = read(&release);
    let production = &release["jobs"]["production"];
    assert_eq!(production["environment"], "production");
    assert_eq!(production["needs"], "validate");
    assert_eq!(release["concurrency"]["cancel-in-progress"], false);
}

/// What publishes, or signs in the project's name, is let through by a person, comes after everything that was checked, and
/// runs nothing that the project could have changed under it.
#[test]
fn only_a_person_lets_a_release_of_the_project_out() {
    let release = own().into_iter().find(|path| path.ends_with("release.yml")).unwrap();
    let (text, release) = read(&release);
    let jobs = &release["jobs"];
    assert_eq!(jobs["publish"]["environment"], "crates-io");
    for (job, needs) in [("attest", "package"), ("publish", "attest"), ("announce", "publish")] {
        assert_eq!(jobs[job]["needs"], needs);
    }
    let identity = |job: &Value| job["permissions"].get("id-token").is_some();
    let holders: Vec<_> = jobs.as_object().unwrap().iter().filter(|(_, job)| identity(job)).collect();
    assert_eq!(holders.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["attest", "publish"]);
    let steps = jobs["attest"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step.get("run").is_none()), "{steps:?}");
    assert!(!text.contains("secrets."), "crates.io trusts the workflow, and no token is kept");
    let writes = |job: &Value| job["permissions"]["contents"] == "write";
    let writers: Vec<_> = jobs.as_object().unwrap().iter().filter(|(_, job)| writes(job)).collect();
    assert_eq!(writers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["announce"]);
}
