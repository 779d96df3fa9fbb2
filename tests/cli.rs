//! The example program `tidegate`, driven as people and scripts drive it: exit status, what is said,
//! and what is left behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Cargo builds examples before it runs tests, into the directory next to that of the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let directory = test.ancestors().nth(2).expect("cargo keeps tests in target/PROFILE/deps");
    let program = directory.join("examples").join("tidegate").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is not built; run `cargo build --example tidegate` first",
        program.display()
    );
    program
}

/// A directory with a registry that does not exist yet, and models to publish.
struct Desk {
    root: TempDir,
}

/// What a run left: exit status, standard output, standard error.
#[derive(Debug)]
struct Run {
    status: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { root: tempfile::tempdir().expect("a temporary directory") };
        desk.write("model/weights.bin", &vec![7; 100_000]);
        desk.write("model/config/labels.txt", b"billing\nshipping\n");
        desk
    }

    /// With `m@1.0.0` published.
    fn published() -> Self {
        let desk = Self::new();
        desk.run(&["publish", "m@1.0.0", "model"]).is(0);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a parent")).expect("a writable directory");
        fs::write(path, bytes).expect("a writable directory");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env("TIDEGATE_REGISTRY", self.path("registry"))
            .env("USER", "alice")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().expect("the program runs"))
    }

    /// The one document on standard output.
    fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    /// The files in the registry, with their bytes.
    fn stored(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(&self.path("registry"))
    }
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8");
        let status = output.status.code().expect("the program was not killed");
        Self { status, out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn is(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }

    /// All of `words` are said on standard error, and nothing on standard output.
    #[track_caller]
    fn says(self, words: &[&str]) {
        assert_eq!(self.out, "", "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {self:?}");
        }
    }
}

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let bytes = fs::read(&path).expect("a readable file");
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_version_goes_out_and_comes_back() {
    let desk = Desk::new();
    desk.write("card.toml", b"description = 'labels messages'\ntags = ['nlp']\n[metrics]\naccuracy = 0.93\n");
    let said = desk.run(&["publish", "m@1.0.0", "model", "--card", "card.toml", "--tag", "demo"]).is(0);
    assert!(said.out.starts_with("published m@1.0.0: 2 files, "), "{said:?}");
    assert_eq!(said.err, "", "no bar and no log where there is no terminal");

    desk.run(&["pull", "m@latest", "out"]).is(0);
    assert_eq!(fs::read(desk.path("out/weights.bin")).unwrap(), vec![7; 100_000]);
    assert_eq!(fs::read(desk.path("out/config/labels.txt")).unwrap(), b"billing\nshipping\n");
    assert_eq!(files(&desk.path("out")).len(), 2, "nothing but the files of the version");

    desk.run(&["verify", "m@^1"]).is(0);
    let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
    for word in ["labels messages", "demo nlp", "accuracy = 0.93", "by alice", "config/labels.txt", "sha256:"]
    {
        assert!(shown.contains(word), "{word:?} is missing: {shown}");
    }
    assert!(desk.run(&["list"]).is(0).out.contains('m'));
    assert!(desk.run(&["list", "m"]).is(0).out.contains("1.0.0"));
}

#[test]
fn machines_get_one_document() {
    let desk = Desk::published();
    let listed = desk.json(&["list"]);
    assert_eq!(
        listed,
        json!({ "models": [{ "name": "m", "versions": 1, "latest": "1.0.0", "channels": {} }] })
    );
    let versions = desk.json(&["list", "m"]);
    assert_eq!(versions["versions"][0]["version"], "1.0.0");
    assert_eq!(versions["versions"][0]["stamp"]["by"], "alice");
    let shown = desk.json(&["show", "m@1.0.0"]);
    assert_eq!(shown["manifest"]["model"], "m@1.0.0");
    assert_eq!(shown["manifest"]["files"][1]["size"], 100_000);
    assert_eq!(desk.json(&["verify", "m@1.0.0"])["verified"], true);
    assert_eq!(desk.json(&["pull", "m@1.0.0", "out"])["model"], "m@1.0.0");

    let before = desk.run(&["--json", "list"]).is(0);
    assert_eq!(serde_json::from_str::<Value>(&before.out).unwrap(), listed);
}

#[test]
fn machines_get_errors_as_documents_too() {
    let desk = Desk::published();
    let run = desk.run(&["--json", "show", "m@9.9.9"]).is(1);
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(error["error"]["kind"], "not-found");
    assert!(error["error"]["message"].as_str().unwrap().contains("m@9.9.9"));
    assert_eq!(error["error"]["causes"], json!([]));
    assert!(run.err.contains("m@9.9.9"), "people are told as well: {run:?}");

    let run = desk.run(&["show", "M!@1.0.0", "--json"]).is(2);
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
    assert!(error["error"]["message"].as_str().unwrap().contains("M!"));
}

#[test]
fn the_same_again_changes_nothing() {
    let desk = Desk::published();
    let before = desk.stored();
    let said = desk.run(&["publish", "m@1.0.0", "model", "--by", "bob"]).is(0);
    assert!(said.out.starts_with("unchanged"), "{said:?}");
    assert!(said.out.contains("by alice"), "{said:?}");
    assert_eq!(desk.json(&["publish", "m@1.0.0", "model"])["published"], false);
    assert_eq!(desk.stored(), before);
}

#[test]
fn other_bytes_need_another_version() {
    let desk = Desk::published();
    let before = desk.json(&["show", "m@1.0.0"]);
    desk.write("model/weights.bin", b"other");
    desk.run(&["publish", "m@1.0.0", "model"]).is(1).says(&["m@1.0.0", "other content", "new version"]);
    assert_eq!(desk.json(&["publish", "m@1.0.0", "model"])["error"]["kind"], "already-published");
    assert_eq!(desk.json(&["show", "m@1.0.0"]), before);
    assert_eq!(desk.json(&["list", "m"])["versions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_wrong_directory_is_named_and_begins_no_registry() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    desk.run(&["publish", "m@1.0.0", "nowhere"]).is(2).says(&["`nowhere`", "does not exist"]);
    desk.run(&["publish", "m@1.0.0", "empty"]).is(2).says(&["`empty`", "no files"]);
    desk.run(&["publish", "m@1.0.0", "model/weights.bin"]).is(2).says(&["weights.bin", "is a file"]);
    fs::create_dir_all(desk.path("hollow/inside")).unwrap();
    desk.run(&["publish", "m@1.0.0", "hollow"]).is(2).says(&["`hollow`"]);
    assert!(!desk.path("registry").exists());
}

#[test]
fn a_wrong_name_is_named_and_begins_no_registry() {
    let desk = Desk::new();
    desk.run(&["publish", "../m@1.0.0", "model"]).is(2).says(&["`../m`", "`..`"]);
    desk.run(&["publish", "a..b@1.0.0", "model"]).is(2).says(&["`a..b`", "`..`"]);
    desk.run(&["publish", "Fraud@1.0.0", "model"]).is(2).says(&["`Fraud`", "lower-case"]);
    desk.run(&["publish", "m@1.0", "model"]).is(2).says(&["`1.0`", "semantic version", "1.4.0"]);
    desk.run(&["publish", "m@v1.0.0", "model"]).is(2).says(&["`v1.0.0`", "semantic version"]);
    desk.run(&["publish", "m", "model"]).is(2).says(&["`m`", "NAME@VERSION"]);
    desk.run(&["pull", "m", "out"]).is(2).says(&["`m`", "NAME@latest"]);
    desk.run(&["promote", "m@1.0.0", "--channel", "../x"]).is(2).says(&["`../x`"]);
    desk.run(&["publish", "m@1.0.0"]).is(2).says(&["<DIR>"]);
    desk.run(&["frobnicate"]).is(2).says(&["frobnicate"]);
    assert!(!desk.path("registry").exists());
    assert!(!desk.path("out").exists());
}

#[test]
fn a_wrong_card_is_named_and_begins_no_registry() {
    let desk = Desk::new();
    desk.write("typo.toml", b"descriptoin = 'x'\n");
    desk.write("card.txt", b"");
    let publish = |card| desk.run(&["publish", "m@1.0.0", "model", "--card", card]);
    publish("typo.toml").is(2).says(&["`typo.toml`", "descriptoin", "description"]);
    publish("none.json").is(2).says(&["`none.json`"]);
    publish("card.txt").is(2).says(&["`card.txt`", ".toml"]);
    assert!(!desk.path("registry").exists());
}

#[test]
fn the_registry_is_not_published_into_itself() {
    let desk = Desk::published();
    desk.run(&["publish", "m@2.0.0", "."]).is(2).says(&["`.`", "registry"]);
}

#[test]
fn reading_begins_no_registry() {
    let desk = Desk::new();
    let reads: [&[&str]; 7] = [
        &["list"],
        &["list", "m"],
        &["show", "m@1.0.0"],
        &["pull", "m@1.0.0", "out"],
        &["verify", "m@1.0.0"],
        &["history", "m", "--channel", "production"],
        &["promote", "m@1.0.0", "--channel", "production"],
    ];
    for read in reads {
        desk.run(read).is(4).says(&["no registry in", "TIDEGATE_REGISTRY"]);
    }
    assert!(!desk.path("registry").exists());
    assert!(!desk.path("out").exists());
}

#[test]
fn a_registry_can_be_named_in_several_ways() {
    let desk = Desk::published();
    let path = desk.path("registry");
    let url = format!("file://{}", path.display());
    for registry in [path.to_str().unwrap(), &url, "registry"] {
        let run = Run::of(
            &desk
                .command(&["list", "m", "--registry", registry])
                .env_remove("TIDEGATE_REGISTRY")
                .output()
                .unwrap(),
        );
        assert!(run.is(0).out.contains("1.0.0"));
    }
    desk.run(&["list", "--registry", "s3://bucket"]).is(2).says(&["s3://bucket", "file://"]);
    desk.run(&["list", "--registry", "model/weights.bin"]).is(2).says(&["weights.bin", "directory"]);

    let home = Run::of(
        &desk
            .command(&["list"])
            .env_remove("TIDEGATE_REGISTRY")
            .env("HOME", desk.root.path())
            .env("XDG_DATA_HOME", desk.path("share"))
            .output()
            .unwrap(),
    );
    home.is(4).says(&["no registry in"]);
    assert!(!desk.path("share").exists());
}

#[test]
fn a_directory_of_others_does_not_become_a_registry() {
    let desk = Desk::new();
    desk.write("work/notes.txt", b"mine");
    desk.run(&["list", "--registry", "work"]).is(4).says(&["no registry in work"]);
    desk.run(&["publish", "m@1.0.0", "model", "--registry", "work"]).is(2).says(&["work is not empty"]);
    assert_eq!(files(&desk.path("work")).len(), 1);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let desk = Desk::published();
    desk.run(&["pull", "m@9.9.9", "out"]).is(1).says(&["m@9.9.9", "1.0.0"]);
    desk.run(&["show", "m:production"]).is(1).says(&["m:production", "promote"]);
    desk.run(&["list", "n"]).is(1).says(&["model n"]);
    desk.run(&["history", "n", "--channel", "production"]).is(1).says(&["model n"]);
    assert!(!desk.path("out").exists());
}

#[test]
fn a_pull_overwrites_nothing() {
    let desk = Desk::published();
    desk.write("out/weights.bin", b"mine");
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin", "other content"]);
    assert_eq!(files(&desk.path("out")), [(desk.path("out/weights.bin"), b"mine".to_vec())]);
    desk.run(&["pull", "m@1.0.0", "again"]).is(0);
    desk.run(&["pull", "m@1.0.0", "again"]).is(0);
}

#[test]
fn a_damaged_blob_is_not_delivered() {
    let desk = Desk::published();
    let (path, mut bytes) = desk.stored().into_iter().find(|(_, bytes)| bytes.len() == 100_000).unwrap();
    bytes[4711] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();

    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin", "m@1.0.0", "does not match"]);
    assert!(!desk.path("out").exists());
    let left: Vec<_> =
        fs::read_dir(desk.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().starts_with('.')),
        "staged files are left: {left:?}"
    );
    desk.run(&["verify", "m@1.0.0"]).is(1).says(&["weights.bin"]);
    assert_eq!(desk.json(&["verify", "m@1.0.0"])["error"]["kind"], "digest-mismatch");

    fs::write(&path, b"short").unwrap();
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin"]);
    fs::remove_file(&path).unwrap();
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin"]);
    assert!(!desk.path("out").exists());
}

#[test]
fn a_promotion_holds_its_expectation() {
    let desk = Desk::published();
    desk.write("model/weights.bin", b"better");
    desk.run(&["publish", "m@1.1.0", "model"]).is(0);
    let promote =
        |model, expect| desk.run(&["promote", model, "--channel", "production", "--expect", expect]);

    promote("m@1.0.0", "m@1.1.0").is(1).says(&["production of m is at none", "not at 1.1.0"]);
    promote("m@1.0.0", "none").is(0);
    promote("m@1.1.0", "none").is(1).says(&["is at 1.0.0", "not at none"]);
    promote("m@1.1.0", "other@1.0.0").is(2).says(&["other@1.0.0"]);
    promote("m@1.1.0", "1.0.0").is(2).says(&["`1.0.0`", "NAME@VERSION"]);
    promote("m@3.0.0", "m@1.0.0").is(1).says(&["m@3.0.0", "1.1.0"]);
    assert_eq!(desk.json(&["show", "m:production"])["manifest"]["model"], "m@1.0.0");

    let said = promote("m@1.1.0", "m@1.0.0").is(0);
    assert!(said.out.contains("from m@1.0.0 to m@1.1.0"), "{said:?}");
    let again = desk.json(&["promote", "m@1.1.0", "--channel", "production"]);
    assert_eq!(again["changed"], false);

    let history = desk.json(&["history", "m", "--channel", "production"]);
    let moves: Vec<_> =
        history["moves"].as_array().unwrap().iter().map(|made| (&made["from"], &made["to"])).collect();
    let (none, old, new) = (json!(null), json!("m@1.0.0"), json!("m@1.1.0"));
    assert_eq!(moves, [(&old, &new), (&none, &old)]);
    assert!(desk.run(&["history", "m", "--channel", "production"]).is(0).out.contains("alice"));
    assert!(desk.run(&["history", "m", "--channel", "staging"]).is(0).out.contains("points nowhere"));
    assert_eq!(desk.json(&["list"])["models"][0]["channels"], json!({ "production": "m@1.1.0" }));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let desk = Desk::published();
    let mut child =
        desk.command(&["show", "m@1.0.0"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = Run::of(&child.wait_with_output().unwrap()).is(0);
    assert_eq!(run.err, "");
}

#[test]
fn help_explains_the_exit_status() {
    let help = Desk::new().run(&["--help"]).is(0).out;
    for word in ["Exit status", "inconclusive", "TIDEGATE_REGISTRY", "--json", "Selectors"] {
        assert!(help.contains(word), "{word:?} is missing: {help}");
    }
}
