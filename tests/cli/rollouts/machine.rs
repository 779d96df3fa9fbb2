//! A machine with servers that are processes, whose pages are scraped.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    desk::{Desk, Run},
    ports::free_port,
    runtime_api::RuntimeApi,
};

/// The port that makes this very program a server, see [`serve`].
const PORT: &str = "TIDEGATE_CLI_TEST_PORT";

/// HAProxy, as far as a router sees of it, or itself.
pub(crate) enum Proxy {
    Scripted { api: RuntimeApi, _runtime: Runtime },
    Real(Child, u16),
}

/// A machine with a proxy, two ports for servers, and a registry.
pub(crate) struct Machine {
    pub(crate) desk: Desk,
    pub(crate) proxy: Proxy,
    ports: [u16; 2],
}

impl Machine {
    pub(crate) fn new(proxy: impl FnOnce(&Desk, [u16; 2]) -> Proxy) -> Self {
        let desk = Desk::new();
        for (version, fails) in [("1.0.0", 0), ("1.1.0", 0), ("1.2.0", 3)] {
            desk.write("model/weights.bin", version.as_bytes());
            desk.write("model/fails", format!("{fails}").as_bytes());
            desk.run(&["publish", &format!("fraud@{version}"), "model"]).is(0);
        }
        desk.run(&["promote", "fraud@1.0.0", "--channel", "production"]).is(0);
        let ports = [free_port(), free_port()];
        let proxy = proxy(&desk, ports);
        let machine = Self { desk, proxy, ports };
        machine.environment("environment.json", "servers");
        machine
    }

    pub(crate) fn scripted() -> Self {
        Self::new(|_, _| {
            let runtime = Runtime::new().expect("threads");
            let _inside = runtime.enter();
            let api = RuntimeApi::start(&[], &["fraud"]);
            drop(_inside);
            Proxy::Scripted { api, _runtime: runtime }
        })
    }

    fn socket(&self) -> String {
        match &self.proxy {
            Proxy::Scripted { api, .. } => api.socket(),
            Proxy::Real(..) => self.desk.path("admin.sock").display().to_string(),
        }
    }

    /// Servers that keep what they are in `directory`.
    pub(crate) fn environment(&self, name: &str, directory: &str) {
        let this = std::env::current_exe().expect("a test knows where it is");
        let [stable, candidate] = self.ports;
        let page = |port: u16, slot: &str| json!({ "url": format!("http://127.0.0.1:{port}/metrics"), "labels": { "slot": slot } });
        let file = json!({
            "router": { "haproxy-weights": { "socket": self.socket(), "stable": "stable", "candidate": "candidate" } },
            "deployer": { "processes": {
                "directory": self.desk.path(directory),
                "server": {
                    "ready": "http://127.0.0.1:{port}/health",
                    "ports": { "stable": stable, "candidate": candidate },
                    "command": {
                        "program": this,
                        "args": ["rollouts::machine::serve", "--exact", "--nocapture"],
                        "env": { PORT: "{port}" },
                        "directory": "{directory}",
                    },
                    "pace": { "pause": "20ms", "stop": "2s", "backOff": "10ms" },
                },
            } },
            "metrics": { "scrape": {
                "every": "100ms",
                "targets": [page(stable, "stable"), page(candidate, "candidate")],
                "queries": { "errors": { "proportion": {
                    "hits": "requests_total{slot=\"{{slot}}\",code=\"500\"}",
                    "trials": "requests_total{slot=\"{{slot}}\"}",
                } } },
            } },
        });
        self.desk.write(name, file.to_string().as_bytes());
    }

    /// 30 %, `gates`, then all. Limits only: how many requests servers of the scripted proxy have is nobody's choice.
    pub(crate) fn plan(&self, candidate: &str, gates: &str) {
        let plan = format!(
            "route: fraud
candidate: {candidate}
steps:
  - {{ weight: 30%, soak: 300ms, minTrials: 20, require: pass, gates: [{gates}] }}
  - {{ weight: 100%, soak: 200ms, minTrials: 20 }}
criteria:
  - {{ metric: errors, rule: {{ limit: {{ statistic: share, bound: {{ atMost: 0.05 }} }} }} }}
bakeCriteria:
  - {{ metric: errors, rule: {{ limit: {{ statistic: share, bound: {{ atMost: 0.15 }} }} }} }}
timing: {{ bake: 300ms, drain: 50ms, horizon: 30s, lag: 250ms, patience: 20s, verify: 300ms, window: 300ms }}
"
        );
        self.desk.write("plan.yaml", plan.as_bytes());
    }

    pub(crate) fn start(&self, more: &[&str]) -> Started {
        let start = ["rollout", "start", "plan.yaml", "--environment", "environment.json"];
        self.spawn(&[&start, more].concat())
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Started {
        let mut command = self.desk.command(arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Started { child, out, said: String::new() }
    }

    pub(crate) fn status(&self) -> Value {
        self.desk.json(&["rollout", "status", "--route", "fraud"])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Servers outlive whoever started them, as they should; those of a test do not.
        let mark = format!("TIDEGATE_SERVER={}", self.desk.root.path().display());
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes())) {
                let _gone = Command::new("kill").arg("-KILL").arg(entry.file_name()).status();
            }
        }
        if let Proxy::Real(child, _) = &mut self.proxy {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) out: BufReader<ChildStdout>,
    pub(crate) said: String,
}

impl Started {
    /// Reads until somebody says `word`.
    pub(crate) fn until(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(self.out.read_line(&mut line).expect("text") > 0, "{word:?} is missing: {}", self.said);
            self.said.push_str(&line);
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    pub(crate) fn end(mut self) -> Run {
        self.out.read_to_string(&mut self.said).expect("text");
        let run = Run::of(&self.child.wait_with_output().expect("a child"));
        Run { out: self.said, ..run }
    }
}

/// Not a test, but the server of these tests: this program, told by its environment to be one. Requests come from
/// nowhere, many for each scrape; those that a proxy sends count, too. One in so many fails as its files say.
#[test]
fn serve() {
    #[expect(clippy::disallowed_methods, reason = "it is told by its environment what to be")]
    let Ok(port) = std::env::var(PORT) else { return };
    let listener = TcpListener::bind(("127.0.0.1", port.parse().expect("a port"))).expect("the port is free");
    let fails: u64 = std::fs::read_to_string("fails").expect("files of a version").parse().expect("a number");
    let version = std::fs::read_to_string("weights.bin").expect("files of a version");
    let counted = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let requests = AtomicU64::new(0);
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        let mut head = BufReader::new(&stream);
        let mut first = String::new();
        let mut line = String::new();
        if head.read_line(&mut first).is_err() {
            continue;
        }
        while head.read_line(&mut line).is_ok_and(|length| length > 2) {
            line.clear();
        }
        let count = || {
            let nth = requests.fetch_add(1, Ordering::SeqCst);
            let failed = fails > 0 && nth.is_multiple_of(fails);
            counted[usize::from(failed)].fetch_add(1, Ordering::SeqCst);
            failed
        };
        let (status, body) = match first.split(' ').nth(1) {
            Some("/health") => (200, "ready".to_owned()),
            Some("/metrics") => {
                for _ in 0..50 {
                    count();
                }
                let [good, bad] = [0, 1].map(|n: usize| counted[n].load(Ordering::SeqCst));
                let page = format!("# TYPE requests_total counter\nrequests_total{{code=\"200\"}} {good}\n");
                (200, format!("{page}requests_total{{code=\"500\"}} {bad}\n"))
            }
            _ => (if count() { 500 } else { 200 }, version.clone()),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let _hung_up = stream.write_all((head + &body).as_bytes());
    }
}
