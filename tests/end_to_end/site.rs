//! Where a team works: a desk with files, a registry in a bucket, Prometheus, and who is told.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use uuid::Uuid;

use crate::{
    desk::{Desk, Run},
    llm::{Llm, Made, here, serve},
    ports::free_port,
    running::{Running, program, until_ready},
    servers::live::{self, Live},
    sink::{SECRET, Sink},
};

pub(crate) struct Site {
    pub(crate) desk: Desk,
    pub(crate) sink: Sink,
    /// Where users ask.
    pub(crate) front: u16,
    /// Whether a candidate runs.
    pub(crate) has_candidate: Box<dyn Fn() -> bool + Send + Sync>,
    /// The port of each version that the test itself serves. Without any, the deployer serves them.
    servers: BTreeMap<&'static str, u16>,
    llm: Llm,
    store: &'static Live,
    registry: String,
    /// What stands for what in the files.
    words: BTreeMap<&'static str, String>,
    /// Ends before the directory that it runs in.
    running: Vec<Running>,
}

impl Site {
    /// With a Prometheus that scrapes `targets`, and the files of `site/` on the desk.
    pub(crate) async fn new(front: u16, targets: &[u16], servers: BTreeMap<&'static str, u16>) -> Self {
        let (store, desk, sink) = (live::seaweedfs().await, Desk::new(), Sink::open());
        let root = desk.root.path().display().to_string();
        let targets: Vec<_> = targets.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let words = [
            ("$FRONT", front.to_string()),
            ("$PROMETHEUS", free_port().to_string()),
            ("$PYTHON", program("TIDEGATE_LLM_PYTHON", "python3").into_string().expect("text")),
            ("$ROOT", root),
            ("$SERVE", here("serve.py").display().to_string()),
            ("$TARGETS", targets.join(", ")),
        ];
        desk.write("sink.url", sink.url.as_bytes());
        desk.write("sink.secret", SECRET.as_bytes());
        let mut site = Self {
            desk,
            sink,
            front,
            has_candidate: Box::new(|| false),
            servers,
            llm: Llm::new(),
            store,
            registry: format!("{}/{}", store.bucket(), Uuid::now_v7()),
            words: words.into(),
            running: Vec::new(),
        };
        site.say("tidegate", &["key", "generate", "team.pem", "team.pub.pem"]).is(0);
        let tidegate = site.program("tidegate").get_program().to_owned();
        site.know("$TIDEGATE", tidegate.into_string().expect("text"));
        site.prometheus();
        site
    }

    fn prometheus(&mut self) {
        self.write("prometheus.yml", "prometheus.yml", &[]);
        let path = |name: &str| self.desk.path(name).display().to_string();
        let mut prometheus = Command::new(program("PROMETHEUS_BIN", "prometheus"));
        prometheus.args([
            format!("--config.file={}", path("prometheus.yml")),
            format!("--storage.tsdb.path={}", path("tsdb")),
            format!("--web.listen-address=127.0.0.1:{}", self.words["$PROMETHEUS"]),
            "--log.level=error".to_owned(),
        ]);
        self.run(Running::start(&mut prometheus));
        until_ready("Prometheus", self.words["$PROMETHEUS"].parse().expect("a port"), "/-/ready");
    }

    /// Lets it run until this is dropped.
    pub(crate) fn run(&mut self, running: Running) {
        self.running.push(running);
    }

    /// From now on `word` stands for `what` in files.
    pub(crate) fn know(&mut self, word: &'static str, what: impl Into<String>) {
        self.words.insert(word, what.into());
    }

    /// Writes a file of `site/` as it is for this site, and with these words.
    pub(crate) fn write(&self, name: &str, of: &str, more: &[(&str, &str)]) {
        let text = std::fs::read_to_string(here("site").join(of)).expect("a file of the site");
        let words = self.words.iter().map(|(word, what)| (*word, &**what)).chain(more.iter().copied());
        let text = words.fold(text, |text, (word, what)| text.replace(word, what));
        self.desk.write(name, text.as_bytes());
    }

    /// Puts a version and its release on the desk, as `release.toml`'s template `of` has it.
    pub(crate) fn write_version(&self, version: &'static str, made: &Made, of: &str) {
        self.llm.put(&self.desk.path(&format!("versions/{version}")), made);
        let endpoint = self.servers.get(version).map(ToString::to_string);
        let endpoint = endpoint.iter().map(|port| ("$ENDPOINT", &**port));
        let words: Vec<_> = [("$VERSION", version)].into_iter().chain(endpoint).collect();
        self.write(&format!("release-{version}.toml"), of, &words);
        self.write(&format!("plan-{version}.yaml"), "plan.yaml", &words);
    }

    /// A server of the version, where the test serves them.
    pub(crate) fn serve(&self, version: &str) -> Option<Running> {
        let port = *self.servers.get(version)?;
        let directory = self.desk.path(&format!("versions/{version}"));
        Some(serve(&directory, port, version, &self.fault()))
    }

    /// The file that names the version that is to fail.
    pub(crate) fn fault(&self) -> PathBuf {
        self.desk.path("fault")
    }

    /// A program of the examples, with what it takes to reach the registry.
    pub(crate) fn program(&self, name: &str) -> Command {
        let like = self.desk.command(&[]);
        let path = PathBuf::from(like.get_program()).with_file_name(name);
        assert!(path.exists(), "{} is not built; run `cargo build --example {name}`", path.display());
        let mut command = Command::new(path);
        command.current_dir(self.desk.root.path()).stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let options = self.store.options().iter().map(|(name, value)| (name.to_uppercase(), value));
        command.env("TIDEGATE_REGISTRY", &self.registry).envs(options);
        command
    }

    pub(crate) fn say(&self, program: &str, arguments: &[&str]) -> Run {
        Run::of(&self.program(program).args(arguments).output().expect("the program runs"))
    }

    pub(crate) fn spawn(&self, program: &str, arguments: &[&str]) -> Child {
        let mut command = self.program(program);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program runs")
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.say("tidegate", &[arguments, &["--json"]].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    /// What a channel points to.
    pub(crate) fn channel(&self, channel: &str) -> String {
        let shown = self.json(&["show", &format!("assistant:{channel}")]);
        shown["manifest"]["model"].as_str().expect("a version").to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Servers outlive whoever started them, as they should; those of a test do not.
        let mark = format!("TIDEGATE_SERVER={}", self.desk.root.path().display());
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes())) {
                let _gone = Command::new("kill").arg("-KILL").arg(entry.file_name()).status();
            }
        }
        self.running.clear();
    }
}
