//! A state directory, releases, and the promise that no process is left.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tidegate_canary::{
    ActuatorError, BoxError, Deployer, LocalProcesses, Readiness, Release, Slot, Weight, Workload,
    process::{Command, Pace, ServerSpec},
    testkit::fence,
};
use tidegate_registry::Digest;

use crate::server::{BEHAVIOUR, Behaviour, PORT, Who};

pub(crate) const SLOTS: [Slot; 3] = [Slot::Stable, Slot::Baseline, Slot::Candidate];
/// A secret among the environment of every server.
pub(crate) const TOKEN: &str = "hf_dont_tell_anybody";

#[derive(Debug)]
pub(crate) struct Stage {
    path: PathBuf,
    /// Whose end is that of everything in it.
    directory: Option<tempfile::TempDir>,
    /// How often files were brought.
    pub(crate) fetched: Arc<AtomicUsize>,
    /// Files that do not come: why, or that they never do.
    pub(crate) trouble: Arc<Mutex<Vec<(Release, Trouble)>>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Fails(&'static str),
    Hangs,
    Panics,
}

pub(crate) fn release(version: &str) -> Release {
    let model = format!("fraud@{version}");
    Release { model: model.parse().unwrap(), digest: Digest::of(&model) }
}

/// A command that starts this program as a server.
pub(crate) fn command() -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(exe.to_str().unwrap())
        .with_args(["server::serve", "--exact", "--nocapture", "{slot}", "{model}@{version}", "{digest}"])
        .with_env(PORT, "{port}")
        .with_env("TOKEN", TOKEN);
    command.directory = Some("{directory}".to_owned());
    command
}

pub(crate) fn workload(slot: Slot, version: &str) -> Workload {
    Workload { slot, release: release(version), share: Weight::FULL }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut stage = Self::of(directory.path().canonicalize().unwrap());
        stage.directory = Some(directory);
        stage
    }

    /// That of another process.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, directory: None, fetched: Arc::default(), trouble: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Where the files of a version are.
    pub(crate) fn files(&self, version: &str) -> PathBuf {
        let directory = self.path().join("files").join(version);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// From its next start, `version` behaves like this.
    pub(crate) fn behave(&self, version: &str, behaviour: &Behaviour) {
        std::fs::write(self.files(version).join(BEHAVIOUR), serde_json::to_vec(behaviour).unwrap()).unwrap();
    }

    /// Everything quick.
    pub(crate) fn spec(&self) -> ServerSpec {
        let mut spec = ServerSpec::new(command(), "http://127.0.0.1:{port}/health");
        spec.crashes = 3;
        let millis = Duration::from_millis;
        let Pace { answer, pause, stop, steady, back_off, longest_back_off, .. } = &mut spec.pace;
        (*answer, *pause, *stop) = (millis(2_000), millis(20), millis(5_000));
        (*steady, *back_off, *longest_back_off) = (millis(60_000), millis(10), millis(50));
        spec
    }

    pub(crate) async fn open(&self) -> LocalProcesses {
        self.open_with(self.spec()).await.unwrap()
    }

    /// A supervisor that was just dropped may still hold the directory for a moment.
    pub(crate) async fn open_with(&self, spec: ServerSpec) -> Result<LocalProcesses, ActuatorError> {
        for _ in 0..500 {
            match self.try_open(spec.clone()).await {
                Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(10)).await,
                answer => return answer,
            }
        }
        self.try_open(spec).await
    }

    pub(crate) async fn try_open(&self, spec: ServerSpec) -> Result<LocalProcesses, ActuatorError> {
        let (files, fetched, trouble) =
            (self.path().join("files"), Arc::clone(&self.fetched), Arc::clone(&self.trouble));
        let fetch = move |release: Release| {
            fetched.fetch_add(1, Ordering::SeqCst);
            let trouble = trouble.lock().unwrap().iter().find(|(r, _)| *r == release).map(|(_, t)| *t);
            let directory = files.join(release.model.version().to_string());
            async move {
                match trouble {
                    Some(Trouble::Fails(why)) => return Err(BoxError::from(why)),
                    Some(Trouble::Hangs) => std::future::pending().await,
                    Some(Trouble::Panics) => panic!("the files panic"),
                    None => {}
                }
                std::fs::create_dir_all(&directory)?;
                Ok(directory)
            }
        };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        LocalProcesses::open(self.state(), spec, client, fetch).await
    }

    /// The processes of all servers of this stage and their children, found by what they bear.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mark = format!("TIDEGATE_SERVER={}#", self.state().display());
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(mark.as_bytes()))
        })
        .collect()
    }

    /// The state file of `slot`.
    pub(crate) fn record(&self, slot: Slot) -> serde_json::Value {
        let path = self.state().join(format!("{slot}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub(crate) fn write_record(&self, slot: Slot, record: &serde_json::Value) {
        let path = self.state().join(format!("{slot}.json"));
        std::fs::write(path, serde_json::to_vec(record).unwrap()).unwrap();
    }

    /// Stops everything, and sees that nothing is left.
    pub(crate) async fn end(self, servers: LocalProcesses) {
        servers.shut_down().await;
        assert_eq!(self.processes(), [0; 0], "processes were left");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let of_this = if self.directory.is_some() { self.processes() } else { Vec::new() };
        for pid in of_this {
            let _gone = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

pub(crate) async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(found) = check().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("half a minute passed without {what}");
}

/// Ensures `version` and waits until it is ready.
pub(crate) async fn run(servers: &LocalProcesses, slot: Slot, version: &str) {
    servers.ensure(&workload(slot, version), fence(1)).await.unwrap();
    becomes_ready(servers, slot, version).await;
}

pub(crate) async fn becomes_ready(servers: &LocalProcesses, slot: Slot, version: &str) {
    until(&format!("{version} being ready"), async || match servers.status(slot).await.unwrap() {
        Readiness::Ready { release: ready } => {
            assert_eq!(ready, release(version));
            Some(())
        }
        Readiness::Failed { why, .. } => panic!("it failed: {why}"),
        _ => None,
    })
    .await;
}

pub(crate) async fn fails(servers: &LocalProcesses, slot: Slot) -> String {
    until("a failure", async || match servers.status(slot).await.unwrap() {
        Readiness::Failed { why, .. } => Some(why),
        Readiness::Ready { release } => panic!("{release} is ready"),
        _ => None,
    })
    .await
}

pub(crate) async fn becomes_absent(servers: &LocalProcesses, slot: Slot) {
    until("an empty slot", async || (servers.status(slot).await.unwrap() == Readiness::Absent).then_some(()))
        .await;
}

/// Who answers for `slot`.
pub(crate) async fn who(servers: &LocalProcesses, slot: Slot) -> Who {
    get(servers, slot, "/who").await.json().await.unwrap()
}

pub(crate) async fn get(servers: &LocalProcesses, slot: Slot, path: &str) -> reqwest::Response {
    let address = servers.address(slot).expect("somebody serves the slot");
    reqwest::get(format!("http://{address}{path}")).await.unwrap()
}

/// Whether `pid` is there and not just waiting to be waited for.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}
