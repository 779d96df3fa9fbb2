//! A place with a release to run.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::desk::{Desk, Run};

pub(crate) struct Workshop {
    pub(crate) desk: Desk,
}

impl Workshop {
    /// With a model to publish, and `stages` as the description's.
    pub(crate) fn new(stages: &str) -> Self {
        let workshop = Self { desk: Desk::new() };
        workshop.describe(stages);
        workshop
    }

    pub(crate) fn describe(&self, stages: &str) {
        let text = format!("model = \"m@1.0.0\"\nartifacts = {{ directory = \"model\" }}\n{stages}");
        self.desk.write("release.toml", text.as_bytes());
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        // The same place and environment as the command line's, for another program.
        let like = self.desk.command(&[]);
        let program = std::path::Path::new(like.get_program()).with_file_name("pipeline");
        assert!(
            program.exists(),
            "{} is not built; run `cargo build --example pipeline` first",
            program.display()
        );
        let mut command = Command::new(program);
        command.arg("release.toml").args(arguments).current_dir(self.desk.root.path()).stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().expect("the program runs"))
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let run = self.run(&[arguments, &["--json"]].concat());
        let json = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        (run.status, json)
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.desk.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.desk.path(name).exists()
    }

    /// What is said about the version in the registry: the kinds of statements and what they come to.
    pub(crate) fn attested(&self) -> Vec<(String, String)> {
        let shown = self.desk.json(&["show", "m@1.0.0"]);
        let each = shown["attestations"].as_array().unwrap_or_else(|| panic!("{shown}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        each.iter().map(|said| (text(&said["predicateType"]), text(&said["predicate"]["result"]))).collect()
    }
}

/// The state of a stage in a document.
pub(crate) fn state<'d>(document: &'d Value, stage: &str) -> &'d str {
    let stages = document["stages"].as_array().unwrap_or_else(|| panic!("{document}"));
    let found =
        stages.iter().find(|found| found["name"] == stage).unwrap_or_else(|| panic!("{stage}: {document}"));
    found["state"].as_str().expect("a word")
}

/// Looks again and again, for a minute at most.
#[expect(clippy::disallowed_methods, reason = "other processes are watched, which have clocks of their own")]
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    let begin = std::time::SystemTime::now();
    while !look() {
        assert!(begin.elapsed().expect("time goes on").as_secs() < 60, "it never came: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
