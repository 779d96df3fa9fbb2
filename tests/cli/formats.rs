//! Reports in the formats of pipelines, of `tidegate validate` and `tidegate scan`.

use std::fs;

use serde_json::{Value, json};

use super::{
    desk::{Desk, Run},
    validate::{SUITE, serve},
};

/// `os.system("id")`, as a pickle.
const ATTACK: &[u8] = b"cos\nsystem\n(S'id'\ntR.";
const FILES: [&str; 8] = [
    "--junit",
    "out/junit.xml",
    "--sarif",
    "out/own.sarif",
    "--markdown",
    "out/report.md",
    "--html",
    "out/report.html",
];

fn read(desk: &Desk, name: &str) -> String {
    fs::read_to_string(desk.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a command as a workflow of GitHub does, with a summary that something stands in.
fn in_workflow(desk: &Desk, arguments: &[&str]) -> Run {
    desk.write("summary.md", b"before\n");
    let mut command = desk.command(arguments);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", desk.path("summary.md"));
    Run::of(&command.output().expect("the program runs"))
}

#[test]
fn a_scan_is_written_in_every_format_and_replaces_what_was_there() {
    let desk = Desk::new();
    desk.write("models/bad.pkl", ATTACK);
    desk.write("out/own.sarif", b"of yesterday");
    desk.run(&[&["scan", "models"], &FILES[..]].concat()).is(1);
    assert!(read(&desk, "out/junit.xml").contains("<failure"));
    let sarif: Value = serde_json::from_str(&read(&desk, "out/own.sarif")).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(place["uri"], "models/bad.pkl");
    assert!(read(&desk, "out/report.md").starts_with("## 1 model file: fail"));
    assert!(read(&desk, "out/report.html").starts_with("<!DOCTYPE html>"));
    assert_eq!(fs::read_dir(desk.path("out")).unwrap().count(), 4, "and nothing beside them");

    // A path that is absolute, and a file that is clean.
    desk.write("models/bad.pkl", b"\x80\x04}.");
    let models = desk.path("models").display().to_string();
    desk.run(&["scan", &models, "--sarif", "out/own.sarif"]).is(0);
    let sarif: Value = serde_json::from_str(&read(&desk, "out/own.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"], json!([]));
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_anything_is_read() {
    let desk = Desk::new();
    desk.write("models/bad.pkl", ATTACK);
    let run = desk.run(&["scan", "models", "--html", "nowhere/report.html"]);
    assert!(run.status != 0 && run.out.is_empty(), "{run:?}");
    run.says(&["`nowhere/report.html` cannot be written"]);
}

/// A stream is there to be written, and nothing is put in its place.
#[cfg(unix)]
#[test]
fn a_report_goes_to_a_stream_as_well() {
    let desk = Desk::new();
    desk.write("models/bad.pkl", ATTACK);
    let run = desk.run(&["scan", "models", "--junit", "/dev/stdout", "--html", "/dev/null"]).is(1);
    assert!(run.out.contains("<failure") && run.out.contains("</testsuites>"), "{run:?}");
    assert!(desk.run(&["scan", "models", "--markdown", "/dev/stderr"]).is(1).err.contains("## 1 model file"));
    // Into a file, which holds the report and the answer whole.
    let file = fs::File::create(desk.path("out.txt")).unwrap();
    let mut command = desk.command(&["scan", "models", "--junit", "/dev/stdout"]);
    let status = command.stdout(file).status().expect("the program runs");
    let out = read(&desk, "out.txt");
    assert!(status.code() == Some(1) && out.contains("</testsuites>") && out.contains("1 fail"), "{out}");
    let run = desk.run(&["scan", "models", "--html", "models"]);
    assert!(run.status != 0 && run.out.is_empty(), "{run:?}");
    run.says(&["`models` cannot be written"]);
    // What a file is called is behind the fence there, too.
    let run = in_workflow(&desk, &["scan", "models", "--github", "--junit", "/dev/stdout"]).is(1);
    assert!(run.out.starts_with("::stop-commands::"), "{run:?}");
}

/// What is written beside a document does not get into it, and GitHub takes none of it for commands.
#[cfg(unix)]
#[test]
fn a_document_keeps_standard_output_to_itself() {
    let desk = Desk::new();
    desk.write("models/##[error]x\n::error::evil.pkl", ATTACK);
    for stream in ["/dev/stdout", "/dev/fd/1"] {
        let run = desk.run(&["scan", "models", "--json", "--markdown", stream]).is(2);
        let told = ["--json has standard output to itself", stream];
        assert!(told.iter().all(|words| run.err.contains(words)), "{run:?}");
        assert!(serde_json::from_str::<Value>(&run.out).is_ok(), "{run:?}");
    }
    for json in [&["--json"][..], &[]] {
        let arguments = ["scan", "models", "--github", "--markdown", "/dev/stderr"];
        let run = in_workflow(&desk, &[&arguments[..], json].concat()).is(1);
        let mut lines = run.err.lines();
        let word = lines.find_map(|line| line.strip_prefix("::stop-commands::")).expect("a fence");
        let inside: Vec<_> = lines.by_ref().take_while(|line| *line != format!("::{word}::")).collect();
        assert!(inside.iter().any(|line| line.contains("## 1 model file")), "{run:?}");
        let mut after = lines;
        assert!(after.all(|line| line.is_empty() || line.starts_with("::error ")), "{run:?}");
    }
}

/// Names that look like commands are between the two lines that keep them from being any.
#[cfg(unix)]
#[test]
fn github_is_told_by_lines_that_no_file_can_write() {
    let desk = Desk::new();
    desk.write("models/##[error]x\n::error::evil.pkl", ATTACK);
    let run = in_workflow(&desk, &["scan", "models", "--github"]).is(1);
    let mut lines = run.out.lines();
    let word = lines.next().and_then(|line| line.strip_prefix("::stop-commands::")).expect("a fence");
    let end = format!("::{word}::");
    let inside: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
    assert!(inside.iter().any(|line| line.contains("##[error]x")), "{run:?}");
    let after: Vec<_> = lines.collect();
    assert_eq!(after.len(), 2, "{run:?}");
    assert!(after.iter().all(|line| line.starts_with("::error ")), "{run:?}");
    let summary = read(&desk, "summary.md");
    assert!(summary.starts_with("before\n## 1 model file"), "{summary}");

    // Where standard output is a document, it stays one.
    let run = in_workflow(&desk, &["scan", "models", "--github", "--json"]).is(1);
    assert!(serde_json::from_str::<Value>(&run.out).is_ok() && run.err.contains("::error "), "{run:?}");
    // Elsewhere there is nobody to tell.
    assert!(!desk.run(&["scan", "models", "--github"]).is(1).out.contains("\n::error "));
}

#[tokio::test]
async fn a_validation_is_written_told_and_attested() {
    let (desk, endpoint) = (Desk::published(), serve("billing").await);
    desk.write("ci/suite.toml", SUITE.as_bytes());
    fs::create_dir(desk.path("out")).unwrap();
    let run = move || {
        let arguments = [
            "validate",
            "m@1.0.0",
            "--suite",
            "ci/suite.toml",
            "--endpoint",
            &endpoint,
            "--api-key-env",
            "KEY",
        ];
        let mut command = desk.command(&[&arguments, &FILES[..], &["--attest", "--github"]].concat());
        command
            .env("KEY", "sesame")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", desk.path("summary.md"));
        let run = Run::of(&command.output().expect("the program runs"));
        (desk, run)
    };
    let (desk, run) = tokio::task::spawn_blocking(run).await.unwrap();
    let run = run.is(1);
    assert!(
        run.out.starts_with("::stop-commands::") && run.out.contains("recorded in the registry"),
        "{run:?}"
    );
    assert!(run.out.contains("\n::error file=ci/suite.toml,title=m@1.0.0%3A answers::fail"), "{run:?}");
    assert!(read(&desk, "summary.md").contains("<code>where is my parcel</code>"));
    assert!(read(&desk, "out/junit.xml").contains("name=\"where is my parcel\""));
    assert!(read(&desk, "out/report.html").contains("where is my parcel"));
    let sarif: Value = serde_json::from_str(&read(&desk, "out/own.sarif")).unwrap();
    let location =
        &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(location, "ci/suite.toml");

    let attested = desk.json(&["show", "m@1.0.0"])["attestations"].clone();
    let result = attested
        .as_array()
        .unwrap()
        .iter()
        .find(|said| said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1");
    let result = result.unwrap_or_else(|| panic!("{attested}"));
    assert_eq!(result["predicate"]["result"], "FAILED");
    assert_eq!(result["predicate"]["failedTests"], json!(["answers"]));
}
