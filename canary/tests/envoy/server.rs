//! A real Envoy. It ends with the value.

use std::{
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use tempfile::TempDir;
use tidegate_canary::{Envoy, RouteId};

use crate::{
    ground::{SLOTS, Sides},
    ports::free_port,
};

/// The text in the documentation, which must work as it stands there.
const LISTENER: &str = include_str!("../../src/envoy/listener.yaml");

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) router: Envoy,
    pub(crate) url: String,
    pub(crate) admin: reqwest::Url,
    pub(crate) directory: TempDir,
    _ends: Ends,
}

/// Ends the process when it is dropped.
#[derive(Debug)]
struct Ends(Option<mpsc::Sender<()>>, Option<thread::JoinHandle<()>>);

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.0.take());
        let _ended = self.1.take().map(thread::JoinHandle::join);
    }
}

impl Server {
    /// One that has `routes`, each with a listener; the first is at `url`.
    pub(crate) async fn start(sides: &Sides, routes: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let [admin, port, other] = [(); 3].map(|()| free_port());
        std::fs::create_dir(file("rds")).unwrap();
        let admin_url: reqwest::Url = format!("http://127.0.0.1:{admin}").parse().unwrap();
        let router =
            Envoy::new(reqwest::Client::new(), admin_url.clone(), file("rds"), "stable", "candidate");
        let router = router.with_baseline("baseline");
        let mut config = format!(
            "admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}\n\
             node: {{id: a, cluster: b}}\nstatic_resources:\n  listeners:\n"
        );
        for (route, port) in routes.iter().zip([port, other]) {
            let route: RouteId = route.parse().unwrap();
            router.install(&route).await.unwrap();
            let (_, listener) = LISTENER.split_once("listeners:\n").unwrap();
            let path = router.file(&route).display().to_string();
            for line in listener.lines() {
                let line = line
                    .replace("/etc/envoy/tidegate/serving%2Ffraud.json", "PATH")
                    .replace("serving/fraud", "ROUTE")
                    .replace("fraud", &format!("listener-{port}"))
                    .replace("PATH", &path)
                    .replace("ROUTE", route.as_str())
                    .replace("0.0.0.0", "127.0.0.1")
                    .replace("8080", &port.to_string());
                config += &format!("  {line}\n");
            }
        }
        config += "  clusters:\n";
        for slot in SLOTS {
            let port = sides.address(slot).port();
            config += &format!(
                "  - {{name: {slot}, connect_timeout: 1s, type: STATIC, load_assignment: {{cluster_name: {slot}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}}}\n"
            );
        }
        std::fs::write(file("envoy.yaml"), config).unwrap();
        let ends = spawn(&file("envoy.yaml"), &file("log"));
        let url = format!("http://127.0.0.1:{port}");
        let server = Self { router, url, admin: admin_url, directory, _ends: ends };
        server.is_ready().await;
        server
    }

    async fn is_ready(&self) {
        let url = self.admin.join("ready").unwrap();
        for _ in 0..300 {
            let answer = reqwest::get(url.clone()).await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("not ready: {}", std::fs::read_to_string(self.directory.path().join("log")).unwrap());
    }
}

/// Envoy ends when the thread that spawned it does, so that one stays.
fn spawn(config: &str, log: &str) -> Ends {
    #[expect(clippy::disallowed_methods, reason = "a test finds its server there")]
    let program = std::env::var("ENVOY_BIN").unwrap_or_else(|_| "envoy".to_owned());
    let log = std::fs::File::create(log).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", config, "--concurrency", "2", "--use-dynamic-base-id", "-l", "warning"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let (end, ended) = mpsc::channel::<()>();
    let (started, start) = mpsc::channel();
    let thread = thread::spawn(move || {
        let child = command.spawn();
        started.send(child.as_ref().map(drop).map_err(ToString::to_string)).unwrap();
        let Ok(mut child) = child else { return };
        let _ended = ended.recv();
        let _gone = child.kill();
        let _gone = child.wait();
    });
    start.recv().unwrap().expect("ENVOY_BIN is the Envoy to test against");
    Ends(Some(end), Some(thread))
}
