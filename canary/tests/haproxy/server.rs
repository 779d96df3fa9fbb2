//! HAProxy itself on loopback, with servers behind it that say which side they are. All of it ends with the
//! value.

use std::{
    fmt::Write,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, routing::get};
use tempfile::TempDir;
use tidegate_canary::{HaProxy, RouteId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::ports::free_port;

/// A running HAProxy.
pub(crate) struct Server {
    child: Option<Child>,
    directory: TempDir,
    route: RouteId,
    routes: Vec<RouteId>,
    /// Of the three sides.
    sides: [u16; 3],
    /// By map, by weights, and of the runtime API.
    ports: [u16; 3],
}

impl Server {
    /// One frontend whose requests go by the map of `route`, one whose requests go by weights to the backend
    /// `weights`; maps for `routes` and backends `b-0` and so on, without traffic, for as many.
    pub(crate) async fn start(route: &RouteId, routes: &[RouteId]) -> Self {
        let sides = [serve("stable").await, serve("baseline").await, serve("candidate").await];
        let (route, routes) = (route.clone(), routes.to_vec());
        let directory = TempDir::new().unwrap();
        let mut server = Self { child: None, directory, route, routes, sides, ports: [0; 3] };
        for route in server.routes.iter().chain([&server.route]) {
            let file = server.maps().join(format!("{route}.map"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        server.launch().await;
        server
    }

    /// Starts it, maybe again, and returns when it answers.
    pub(crate) async fn launch(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "a test finds its server there")]
        let program = std::env::var_os("HAPROXY_BIN").unwrap_or_else(|| "haproxy".into());
        // Another program may take a port that was free a moment ago.
        for _ in 0..5 {
            self.end();
            self.ports = [free_port(), free_port(), free_port()];
            let config = self.directory.path().join("haproxy.cfg");
            std::fs::write(&config, self.config()).unwrap();
            let mut command = Command::new(&program);
            command.args(["-W", "-db", "-S", &self.master(), "-f"]).arg(config);
            // A group of its own, so that the worker ends with its master.
            command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            self.child = Some(command.spawn().expect("HAPROXY_BIN is HAProxy"));
            if self.pid_other_than(None).await.is_some() {
                return;
            }
        }
        panic!("HAProxy does not start; `haproxy -c` on the configuration of this test says why");
    }

    /// Reloads it and returns when the new process answers.
    pub(crate) async fn reload(&mut self) {
        let before = self.pid_other_than(None).await.unwrap();
        signal("USR2", &self.child.as_ref().unwrap().id().to_string());
        self.pid_other_than(Some(&before)).await.unwrap();
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // By `kill`: the standard library knows no groups.
            signal("KILL", &format!("-{}", child.id()));
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }

    pub(crate) fn socket(&self) -> String {
        self.directory.path().join("admin.sock").display().to_string()
    }

    /// A socket of level `user`.
    pub(crate) fn poor_socket(&self) -> String {
        self.directory.path().join("user.sock").display().to_string()
    }

    /// The same runtime API over TCP.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    pub(crate) fn maps(&self) -> PathBuf {
        self.directory.path().join("maps")
    }

    /// Where requests go by the map.
    pub(crate) fn by_map(&self) -> String {
        format!("http://127.0.0.1:{}/", self.ports[0])
    }

    /// Where requests go by weights.
    pub(crate) fn by_weights(&self) -> String {
        format!("http://127.0.0.1:{}/", self.ports[1])
    }

    /// What somebody else is answered.
    pub(crate) async fn ask(&self, command: &str) -> Option<String> {
        ask(&self.socket(), command).await
    }

    fn master(&self) -> String {
        self.directory.path().join("master.sock").display().to_string()
    }

    /// Waits, for a minute at most, until a process answers that is not `old`; `None` if they have ended.
    async fn pid_other_than(&mut self, old: Option<&str>) -> Option<String> {
        for _ in 0..3_000 {
            // A master is ready later than its worker, and signals before that are lost.
            let master = ask(&self.master(), "show proc").await.filter(|answer| !answer.is_empty());
            let answer = master.and(self.ask("show info").await).unwrap_or_default();
            let pid = answer.lines().find_map(|line| line.strip_prefix("Pid: "));
            if let Some(pid) = pid.filter(|pid| Some(*pid) != old) {
                return Some(pid.to_owned());
            }
            if self.child.as_mut()?.try_wait().unwrap().is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("HAProxy does not answer after a minute");
    }

    fn config(&self) -> String {
        let [stable, baseline, candidate] = self.sides;
        let [by_map, by_weights, api] = self.ports;
        let lines = |route| self.router(&self.socket()).config(route).unwrap();
        let mut config = format!(
            "global
    stats socket {} mode 600 level admin
    stats socket {} mode 600 level user
    stats socket ipv4@127.0.0.1:{api} level admin
    nbthread 2
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend by-map
    bind 127.0.0.1:{by_map}
{}    use_backend fraud-candidate if {{ var({slot}) -m str candidate }}
    use_backend fraud-baseline if {{ var({slot}) -m str baseline }}
    default_backend fraud-stable
backend fraud-stable
    server s 127.0.0.1:{stable}
backend fraud-baseline
    server s 127.0.0.1:{baseline}
backend fraud-candidate
    server s 127.0.0.1:{candidate}
frontend by-weights
    bind 127.0.0.1:{by_weights}
    default_backend weights
",
            self.socket(),
            self.poor_socket(),
            lines(&self.route),
            slot = "txn.serving.fraud.slot",
        );
        let mut backend = |name: &str, balance: &str| {
            write!(
                config,
                "backend {name}
    balance {balance}
    server stable 127.0.0.1:{stable} weight 100
    server baseline 127.0.0.1:{baseline} weight 0
    server candidate 127.0.0.1:{candidate} weight 0
"
            )
            .unwrap();
        };
        backend("weights", "roundrobin");
        backend("static", "static-rr");
        for n in 0..self.routes.len() {
            backend(&format!("b-{n}"), "roundrobin");
        }
        for (n, route) in self.routes.iter().enumerate() {
            let path = self.directory.path().join(format!("{n}.sock"));
            write!(config, "frontend f-{n}\n    bind unix@{}\n{}", path.display(), lines(route)).unwrap();
        }
        config
    }

    /// The router whose lines this configuration has, over `socket`.
    pub(crate) fn router(&self, socket: &str) -> HaProxy {
        crate::keyed(HaProxy::new(socket, self.maps().to_str().unwrap()).unwrap()).with_baseline()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A side that answers with its name.
async fn serve(side: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/", get(move || async move { side }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// What a process of HAProxy answers at `socket`, if it does.
async fn ask(socket: &str, command: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(format!("{command}\n").as_bytes()).await.ok()?;
    // The master does not hang up by itself.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n\n") && stream.read_buf(&mut answer).await.ok()? > 0 {}
    String::from_utf8(answer).ok()
}

fn signal(name: &str, target: &str) {
    let _sent = Command::new("kill").args([&format!("-{name}"), "--", target]).stderr(Stdio::null()).status();
}
