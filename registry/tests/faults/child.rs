//! A program of its own that does one thing to a registry: this test program once more.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use object_store::{ObjectStore, local::LocalFileSystem, prefix::PrefixStore};
use serde::{Deserialize, Serialize};
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Error, Expect, ModelRef, ModelStore as _, ObjectBacked, Stamp,
};

use crate::{
    kill::Stepping,
    servers::s3::{S3, client},
};

/// Where a registry lies, in words that another program understands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Place {
    Directory(std::path::PathBuf),
    S3 { endpoint: String, prefix: String },
}

/// What the program is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Promote a version, where none has been promoted.
    Promote(ModelRef),
    /// Publish a version that consists of these bytes, often enough.
    Publish { model: ModelRef, byte: u8, length: usize },
    /// Publish it and stop for ever at a write: before it, or when it is done.
    Stop { model: ModelRef, byte: u8, length: usize, write: usize, done: bool },
}

/// Runs this program again, which is ready to begin.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

const ORDERS: &str = "TIDEGATE_TEST_CHILD";
/// What is before every line that is not from the test harness.
const SAYS: &str = "tidegate: ";

impl Place {
    pub(crate) fn s3(server: &S3, prefix: &str) -> Self {
        Self::S3 { endpoint: server.endpoint(), prefix: prefix.to_owned() }
    }

    /// The directory, if it is one on this machine.
    pub(crate) fn root(&self) -> Option<&std::path::Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::S3 { .. } => None,
        }
    }

    pub(crate) async fn open(&self) -> ObjectBacked {
        match self {
            Self::Directory(path) => ObjectBacked::directory(path).await.unwrap(),
            Self::S3 { endpoint, prefix } => {
                let client = PrefixStore::new(client(endpoint), prefix.as_str());
                ObjectBacked::resumable(Arc::new(client)).await.unwrap()
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        match self {
            Self::Directory(path) => {
                Arc::new(LocalFileSystem::new_with_prefix(path).unwrap().with_fsync(true))
            }
            Self::S3 { endpoint, prefix } => Arc::new(PrefixStore::new(client(endpoint), prefix.as_str())),
        }
    }
}

impl Child {
    pub(crate) fn start(place: &Place, task: &Task) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::works", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ORDERS, serde_json::to_string(&(place, task)).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, said) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut child = Self { process, orders, said: BufReader::new(said) };
        assert_eq!(child.says(), "ready");
        child
    }

    pub(crate) fn begin(&mut self) {
        self.orders.write_all(b"begin\n").unwrap();
    }

    /// The next that it says; nothing when it has ended.
    pub(crate) fn says(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.said.read_line(&mut line).unwrap() == 0 {
                return String::new();
            }
            // The harness does not end the line in which it names the test.
            if let Some((_, said)) = line.trim_end().split_once(SAYS) {
                return said.to_owned();
            }
        }
    }

    /// With SIGKILL, as by `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn wait(mut self) {
        assert!(self.process.wait().unwrap().success());
    }
}

pub(crate) async fn publish(
    registry: &ObjectBacked,
    model: &ModelRef,
    byte: u8,
    length: usize,
) -> Result<(), Error> {
    let files = [("a", Bytes::from(vec![byte; 1000])), ("b", Bytes::from(vec![byte; length]))];
    let files = Content::bytes(files.map(|(path, bytes)| (path.parse().unwrap(), bytes)));
    registry.publish(Draft::new(model.clone(), Stamp::now("test")), files, &()).await.map(drop)
}

#[expect(clippy::print_stdout, reason = "it is how the program that started this one is told")]
pub(crate) fn say(what: &str) {
    println!("{SAYS}{what}");
    std::io::stdout().flush().unwrap();
}

#[tokio::test]
#[ignore = "is what other tests start as a program of its own; by itself it does nothing"]
#[expect(clippy::disallowed_methods, reason = "it is told by its environment what to do")]
async fn works() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let (place, task): (Place, Task) = serde_json::from_str(&orders).unwrap();
    let registry = match &task {
        Task::Stop { write, done, .. } => {
            let store = Stepping::new(place.store(), *write, *done);
            ObjectBacked::open(Arc::new(store)).await.unwrap()
        }
        _ => place.open().await,
    };
    say("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let answer = match task {
        Task::Promote(to) => {
            let channels = Channels::new(Arc::new(registry));
            let (production, by) = (Channel::production(), Stamp::now("test"));
            channels.promote(&to, &production, &Expect::Absent, Cause::Promote, by).await.map(drop)
        }
        Task::Publish { model, byte, length } | Task::Stop { model, byte, length, .. } => {
            publish(&registry, &model, byte, length).await
        }
    };
    match answer {
        Ok(()) => say("done"),
        Err(Error::AlreadyPublished { .. } | Error::ChannelMoved { .. }) => say("late"),
        Err(error) => say(&format!("{error}: {:?}", std::error::Error::source(&error))),
    }
}
