//! A real nginx. It ends with the value.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tidegate_canary::{Nginx, RouteId};

use crate::{
    ground::{SLOTS, Sides},
    ports::free_port,
};

/// The text in the documentation, which must work as it stands there.
const SERVER: &str = include_str!("../../src/nginx/server.conf");

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) router: Nginx,
    pub(crate) url: String,
    pub(crate) directory: TempDir,
    program: Vec<String>,
    master: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = command(&self.program).args(["-s", "stop"]).stderr(Stdio::null()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _gone = self.master.kill();
        }
        let _gone = self.master.wait();
    }
}

impl Server {
    /// One for `serving/fraud`, at `url`, that also shows the state of `another` route.
    pub(crate) async fn start(sides: &Sides, another: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let [port, state] = [(); 2].map(|()| free_port());
        std::fs::create_dir(file("tidegate")).unwrap();
        let location =
            SERVER.split_inclusive("    location").last().unwrap().trim_end().trim_end_matches('}');
        let location =
            format!("    location{}", location.replace("serving_fraud", &another.replace('/', "_")));
        let mut text = SERVER
            .replace("/etc/nginx/tidegate", &file("tidegate"))
            .replace("listen 8080", &format!("listen 127.0.0.1:{port}"))
            .replace("listen 127.0.0.1:8081;", &format!("listen 127.0.0.1:{state};\n{location}"));
        for (slot, port) in SLOTS.into_iter().zip(["9001", "9002", "9003"]) {
            text = text.replace(port, &sides.address(slot).port().to_string());
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String =
            temporary.iter().map(|what| format!("{what}_temp_path {};\n", file(what))).collect();
        let config = format!(
            "daemon off; worker_processes 2; pid {}; error_log {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{text}}}\n",
            file("pid"),
            file("log"),
        );
        std::fs::write(file("nginx.conf"), config).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test finds its server there")]
        let program = std::env::var("NGINX_BIN").unwrap_or_else(|_| "nginx".to_owned());
        let program = [&program, "-p", &file(""), "-e", &file("log"), "-c", &file("nginx.conf")];
        let program = program.map(str::to_owned).to_vec();
        let with = |arguments: &[&str]| -> Vec<String> {
            program.iter().map(String::as_str).chain(arguments.iter().copied()).map(str::to_owned).collect()
        };
        let url = format!("http://127.0.0.1:{state}/tidegate").parse().unwrap();
        let router =
            Nginx::new(reqwest::Client::new(), url, file("tidegate"), "fraud-stable", "fraud-candidate");
        let router = router.with_baseline("fraud-baseline").with_test(with(&["-t", "-q"]));
        let router = router.with_reload(with(&["-s", "reload"]));
        for route in ["serving/fraud", another] {
            router.install(&route.parse().unwrap()).await.unwrap();
        }
        let master = command(&program).spawn().expect("NGINX_BIN is the nginx to test against");
        let url = format!("http://127.0.0.1:{port}");
        let server = Self { router, url, directory, program, master };
        server.is_ready().await;
        server
    }

    async fn is_ready(&self) {
        let route: RouteId = "serving/fraud".parse().unwrap();
        for _ in 0..200 {
            if tidegate_canary::TrafficRouter::observe(&self.router, &route).await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("not ready: {}", std::fs::read_to_string(self.directory.path().join("log")).unwrap());
    }
}

fn command(program: &[String]) -> Command {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    command
}
