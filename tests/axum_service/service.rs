//! The service, running, and somebody who asks it things.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports::free_port;

/// The program on a free port, with what `--demo` makes. Dropping it ends the program.
pub(crate) struct Service {
    pub(crate) address: String,
    pub(crate) client: Client,
    pub(crate) operator: String,
    pub(crate) reader: String,
    pub(crate) root: TempDir,
    program: Option<Child>,
}

/// Cargo builds examples before it runs tests, into the directory next to that of the tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let directory = test.ancestors().nth(2).expect("cargo keeps tests in target/PROFILE/deps");
    let program = directory.join("examples/axum_service").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is not built; run `cargo build --example axum_service` first",
        program.display()
    );
    program
}

impl Service {
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let address = format!("127.0.0.1:{}", free_port());
        // Connections to a program that was killed are of no use to the next one.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(20));
        let client = client.build().expect("a client");
        let none = String::new;
        let mut service = Self { address, client, operator: none(), reader: none(), root, program: None };
        service.again();
        let tokens = fs::read_to_string(service.root.path().join("tokens")).expect("tokens");
        let token = |role: &str| {
            let line = tokens.lines().find(|line| line.starts_with(role)).expect("a token of each role");
            line.split(' ').nth(2).expect("ROLE NAME TOKEN").to_owned()
        };
        (service.operator, service.reader) = (token("operator"), token("reader"));
        service
    }

    /// The program, where the one before had been.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("--demo").arg("--directory").arg(self.root.path()).args(["--listen", &self.address]);
        command.stdin(Stdio::null());
        command
    }

    /// Starts the program where the one before had been.
    pub(crate) fn again(&mut self) {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().expect("the program runs");
        let mut address = String::new();
        let out = program.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut address).expect("the program says where it is");
        assert_eq!(address.trim(), format!("http://{}", self.address));
        self.program = Some(program);
    }

    /// Kills the program where it is.
    pub(crate) fn kill(&mut self) {
        let mut program = self.program.take().expect("it runs");
        program.kill().expect("it is ours");
        program.wait().expect("it ends");
    }

    /// Asks the program to end, and waits until it has.
    #[cfg(unix)]
    pub(crate) fn end(&mut self) -> std::process::ExitStatus {
        let mut program = self.program.take().expect("it runs");
        let id = rustix::process::Pid::from_child(&program);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
        program.wait().expect("it ends")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request of an operator.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(&self.operator)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.expect("an answer")
    }

    /// Asks something that is possible.
    pub(crate) async fn ask(&self, id: &str, command: &Value) -> Value {
        let answer = self.post(&format!("/rollouts/{id}/commands"), command).await;
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// The rollout, once it is there.
    pub(crate) async fn until(&self, id: &str, there: impl Fn(&Value) -> bool + Send + Sync) -> Value {
        let come = async {
            loop {
                let rollout = self.get(&format!("/rollouts/{id}")).await;
                if there(&rollout) {
                    return rollout;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let come = tokio::time::timeout(Duration::from_secs(60), come).await;
        match come {
            Ok(rollout) => rollout,
            Err(_) => panic!("it never came there: {}", self.get(&format!("/rollouts/{id}")).await),
        }
    }
}

/// Half of the requests, then a person, then all; over in two seconds.
pub(crate) fn start(id: &str, route: &str, candidate: &str) -> Value {
    json!({
        "id": id,
        "plan": {
            "route": route,
            "candidate": candidate,
            "steps": [
                { "weight": "50%", "soak": "300ms", "require": "pass", "gates": ["approval"] },
                { "weight": "100%" },
            ],
            "criteria": [
                { "metric": "errors", "rule": { "limit": { "statistic": "share", "bound": { "atMost": 0.05 } } } },
            ],
            "timing": { "bake": "0s", "drain": "0s", "verify": "0s", "window": "100ms" },
        },
    })
}

/// What went wrong, checked for what every problem says.
pub(crate) async fn problem(answer: Response, status: StatusCode) -> Value {
    let kind = answer.headers().get("content-type").cloned();
    assert_eq!(answer.status(), status);
    assert_eq!(kind.expect("a type"), "application/problem+json");
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["status"], status.as_u16(), "{body}");
    for field in ["type", "title", "detail", "remedy"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {body}");
    }
    body
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut program) = self.program.take() {
            // It may have ended by itself.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}
