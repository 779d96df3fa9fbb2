//! The programs of a cluster.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::ports::free_port;

const TOKEN: &str = "test-token";
/// What accounts of services ask for is written down.
const AUDIT: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]}"#;

/// Running programs, in the order in which they end.
#[derive(Debug)]
pub(super) struct Processes {
    controllers: Option<Process>,
    _proxy: Process,
    api_server: Option<Process>,
    _etcd: Process,
    etcd: u16,
    api: u16,
    directory: TempDir,
}

#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Processes {
    /// etcd, the API server and `kubectl proxy`, and the URL of the last.
    pub(super) fn start() -> (Self, String) {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let [etcd, peer, api] = [(); 3].map(|()| free_port());
        let (etcd_url, peer_url) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        std::fs::write(file("tokens.csv"), format!("{TOKEN},admin,1,\"system:masters\"\n")).unwrap();
        std::fs::write(file("audit.yaml"), AUDIT).unwrap();
        let made = command("openssl").args(["genrsa", "-out", &file("sa.key"), "2048"]).status().unwrap();
        assert!(made.success());
        let etcd_process = spawn(command("etcd").args([
            format!("--data-dir={}", file("etcd")),
            format!("--listen-client-urls={etcd_url}"),
            format!("--advertise-client-urls={etcd_url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster=default={peer_url}"),
            "--unsafe-no-fsync".to_owned(),
        ]));
        let mut proxy = spawn(command("kubectl").stdout(Stdio::piped()).args([
            "proxy".to_owned(),
            "--port=0".to_owned(),
            // Running commands in pods is refused by default; that refuses Pods' bindings as well.
            "--reject-paths=^$".to_owned(),
            format!("--server=https://127.0.0.1:{api}"),
            format!("--token={TOKEN}"),
            "--insecure-skip-tls-verify".to_owned(),
            "--kubeconfig=/dev/null".to_owned(),
        ]));
        // "Starting to serve on 127.0.0.1:41234"
        let said = BufReader::new(proxy.0.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = format!("http://{}", said.rsplit(' ').next().unwrap());
        let mut processes = Self {
            controllers: None,
            _proxy: proxy,
            api_server: None,
            _etcd: etcd_process,
            etcd,
            api,
            directory,
        };
        processes.restart_api_server();
        (processes, url)
    }

    pub(super) fn restart_api_server(&mut self) {
        // The port is free only once the old one is gone.
        drop(self.api_server.take());
        let Self { etcd, api, .. } = &*self;
        self.api_server = Some(spawn(command("kube-apiserver").args([
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            format!("--cert-dir={}", self.file("certificates")),
            format!("--secure-port={api}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", self.file("sa.key")),
            format!("--service-account-signing-key-file={}", self.file("sa.key")),
            format!("--token-auth-file={}", self.file("tokens.csv")),
            format!("--audit-policy-file={}", self.file("audit.yaml")),
            format!("--audit-log-path={}", self.file("audit.log")),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ])));
    }

    /// Starts the controllers that Deployments and StatefulSets need.
    pub(super) fn control(&mut self) {
        let config = self.kubeconfig("controllers", TOKEN);
        let mut controllers = command("kube-controller-manager");
        // Old ones also listen on a port of the whole machine, where there may be other clusters.
        if options("kube-controller-manager").contains("--port ") {
            controllers.arg("--port=0");
        }
        self.controllers = Some(spawn(controllers.args([
            format!("--kubeconfig={config}"),
            format!("--cert-dir={}", self.file("certificates")),
            format!("--secure-port={}", free_port()),
            "--bind-address=127.0.0.1".to_owned(),
            "--controllers=deployment,replicaset,statefulset,garbagecollector,namespace".to_owned(),
            "--leader-elect=false".to_owned(),
        ])));
    }

    /// The path of a kubeconfig for who has `token`, over TLS.
    pub(super) fn kubeconfig(&self, name: &str, token: &str) -> String {
        let authority = self.file("certificates/apiserver.crt");
        let config = format!(
            r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "t",
                "clusters": [{{"name": "t", "cluster": {{"server": "https://127.0.0.1:{}", "certificate-authority": "{authority}"}}}}],
                "users": [{{"name": "t", "user": {{"token": "{token}"}}}}],
                "contexts": [{{"name": "t", "context": {{"cluster": "t", "user": "t"}}}}]}}"#,
            self.api
        );
        let path = self.file(&format!("{name}.kubeconfig"));
        std::fs::write(&path, config).unwrap();
        path
    }

    /// What accounts of services have asked for, a line each.
    pub(super) fn audit(&self) -> String {
        std::fs::read_to_string(self.file("audit.log")).unwrap()
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

pub(super) fn kubectl(url: &str, arguments: &[&str]) -> String {
    let mut command = command("kubectl");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.args(["--kubeconfig=/dev/null", &format!("--server={url}")]).args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program says that it can be told.
fn options(program: &str) -> String {
    let output = command(program).arg("--help").stdout(Stdio::piped()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A program out of `KUBEBUILDER_ASSETS`, or else from the path.
fn command(program: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "envtest's way of naming the programs")]
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").expect("KUBEBUILDER_ASSETS names a directory");
    let ours = PathBuf::from(assets).join(program);
    let mut command = if ours.exists() { Command::new(ours) } else { Command::new(program) };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn spawn(command: &mut Command) -> Process {
    Process(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
}
