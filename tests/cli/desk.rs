//! A place to run the program in, and what a run leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
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

/// A directory with a registry that does not exist yet, and a model to publish.
pub(crate) struct Desk {
    pub(crate) root: TempDir,
}

/// What a run left: exit status, standard output, standard error.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { root: tempfile::tempdir().expect("a temporary directory") };
        desk.write("model/weights.bin", &vec![7; 100_000]);
        desk.write("model/config/labels.txt", b"billing\nshipping\n");
        desk
    }

    /// With `m@1.0.0` published.
    pub(crate) fn published() -> Self {
        let desk = Self::new();
        desk.run(&["publish", "m@1.0.0", "model"]).is(0);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a parent")).expect("a writable directory");
        fs::write(path, bytes).expect("a writable directory");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env("TIDEGATE_REGISTRY", self.path("registry"))
            .env("USER", "alice")
            .env("XDG_STATE_HOME", self.path("state"))
            .env_remove("RUST_LOG")
            // A proxy would be asked for the servers of these tests, which are on this machine.
            .env("NO_PROXY", "*")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().expect("the program runs"))
    }

    /// The one document on standard output.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    /// The files in the registry, with their bytes.
    pub(crate) fn stored(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(&self.path("registry"))
    }
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8");
        // As shells say it: killed.
        let status = output.status.code().unwrap_or(137);
        Self { status, out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn is(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }

    /// All of `words` are said on standard error, and nothing on standard output.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) {
        assert_eq!(self.out, "", "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {self:?}");
        }
    }
}

pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
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
