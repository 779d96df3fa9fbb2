//! The pipelines of `examples/github`, `examples/gitlab` and `examples/argo`: what they say to `tidegate` is what it takes,
//! and what they say to those who run them is what those take. The latter also of the project's own.

#[allow(dead_code, reason = "it is of the tests of the command line")]
#[path = "../cli/desk.rs"]
mod desk;
mod linted;
mod pinned;
mod run;
mod shell;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use self::desk::Desk;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of a pipeline.
fn files() -> Vec<PathBuf> {
    let mut files = workflows();
    files.extend(
        ["github/tidegate/action.yml", "gitlab/.gitlab-ci.yml", "argo/workflow.yaml"]
            .map(|file| root().join("examples").join(file)),
    );
    files
}

/// The workflows of GitHub.
fn workflows() -> Vec<PathBuf> {
    let files = files_in("examples/github");
    assert!(files.len() >= 4, "{files:?}");
    files
}

/// The workflows of this repository.
fn own() -> Vec<PathBuf> {
    let files = files_in(".github/workflows");
    assert!(files.len() >= 3, "{files:?}");
    files
}

fn files_in(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).expect("a readable directory");
    let mut files: Vec<_> =
        entries.map(|entry| entry.expect("a readable entry").path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> (String, Value) {
    let text = fs::read_to_string(path).expect("a readable file");
    let value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (text, value)
}

/// The pipeline of Argo, and one of its templates.
fn argo(template: &str) -> (String, Value) {
    let (text, workflow) = read(&root().join("examples/argo/workflow.yaml"));
    let templates = workflow["spec"]["templates"].as_array().expect("templates");
    let found = templates.iter().find(|found| found["name"] == template);
    (text, found.unwrap_or_else(|| panic!("no template {template}")).clone())
}

/// Every text in a document.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// What the variables of the scripts stand for. Nothing is asked there: the host that may be asked is another one.
fn value(name: &str) -> String {
    match name {
        "ENDPOINT" | "STAGING_URL" | "URL" => "http://nowhere.invalid/v1",
        "HOST" | "STAGING_HOST" => "elsewhere.invalid",
        "VERSION" => "support@1.1.0",
        "ROUTE" => "serving/support",
        "options" => "--quarantine",
        _ => "x",
    }
    .to_owned()
}

/// What is said to `tidegate` in a file, in its scripts and in commands that a comment shows on a line of their own.
fn said(path: &Path) -> BTreeSet<Vec<String>> {
    let (text, document) = read(path);
    let mut scripts = Vec::new();
    texts(&document, &mut scripts);
    scripts.extend(text.lines().filter_map(|line| line.trim_start().strip_prefix("#   ")));
    let commands = scripts.iter().flat_map(|script| shell::commands(script, &value));
    let ours = commands.filter_map(|words| {
        let words = words.strip_prefix(&["exec".to_owned()]).unwrap_or(&words);
        Some(words.strip_prefix(&["tidegate".to_owned()])?.to_vec()).filter(|words| !words.is_empty())
    });
    ours.collect()
}

#[test]
fn tidegate_takes_every_command_of_the_pipelines() {
    let desk = Desk::new();
    let mut used = BTreeSet::new();
    for path in files() {
        for command in said(&path) {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let run = desk.run(&words);
            // What it refuses for another reason than its words, such as a registry that is not there, it has understood.
            let understood = !run.err.contains("For more information, try '--help'");
            assert!(
                understood && run.status != 137,
                "{}: tidegate {}\n{}",
                path.display(),
                words.join(" "),
                run.err
            );
            used.extend(words.iter().take(2).map(|word| (*word).to_owned()));
        }
    }
    let wanted = [
        "approve",
        "bom",
        "load",
        "plan-schema",
        "policy",
        "publish",
        "report",
        "rollback",
        "rollout",
        "scan",
        "show",
        "sign",
        "smoke",
        "start",
        "status",
        "suite-schema",
        "validate",
        "verify",
    ];
    let missed: Vec<_> = wanted.iter().filter(|word| !used.contains(**word)).collect();
    assert!(missed.is_empty(), "no pipeline says {missed:?} any more; are commands still found? {used:?}");
}

#[test]
fn argo_publishes_the_download_that_it_scanned() {
    let (text, publish) = argo("publish");
    let script = publish["script"]["source"].as_str().unwrap();
    let place =
        |command: &str| script.find(command).unwrap_or_else(|| panic!("{command} is missing: {script}"));
    assert!(place("tidegate scan /model ") < place("tidegate publish \"$VERSION\" /model "));
    assert_eq!(text.matches("workflow.parameters.files").count(), 1, "the files are downloaded once");
    assert!(!publish.to_string().contains("/key"), "who reads files of others holds no key");
}

/// Argo mounts it by this name in every pod, and a pod whose Secret is not there never starts.
#[test]
fn argo_is_told_which_secret_its_sidecar_wants() {
    let (text, workflow) = read(&root().join("examples/argo/workflow.yaml"));
    assert_eq!(workflow["spec"]["automountServiceAccountToken"], false);
    let account = workflow["spec"]["executor"]["serviceAccountName"].as_str().unwrap();
    let shown = text.split("#\n").find(|shown| shown.contains("kind: Secret")).expect("a Secret is shown");
    let shown: String = shown
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .fold(String::new(), |all, line| all + line + "\n");
    let secret: Value = serde_saphyr::from_str(&shown).unwrap();
    assert_eq!(secret["metadata"]["name"], format!("{account}.service-account-token"));
    assert_eq!(secret["metadata"]["namespace"], workflow["metadata"]["namespace"]);
    assert_eq!(secret["metadata"]["annotations"]["kubernetes.io/service-account.name"], account);
    assert_eq!(secret["type"], "kubernetes.io/service-account-token");
}

#[test]
fn a_word_that_tidegate_does_not_know_is_found() {
    let desk = Desk::new();
    for words in [["scan", "model", "--sarf", "x"], ["rolout", "status", "--route", "x"]] {
        let run = desk.run(&words);
        assert!(run.err.contains("For more information, try '--help'"), "{run:?}");
    }
}
