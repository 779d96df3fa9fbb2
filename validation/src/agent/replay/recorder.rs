//! Writing down what an agent answers.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use super::line::Line;
use crate::{Agent, AgentError, AgentId, Call, Reply, Request};

/// An [`Agent`] that asks another one and writes down what was asked and what became of it, a line of JSON
/// each, to be answered again by a [`Replay`](crate::Replay). The file holds the questions and the answers in
/// plain text.
///
/// ```
/// use std::time::Duration;
/// use tidegate_validation::{Agent, Call, FnAgent, Recorder, Replay, Reply, Request};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("answers.jsonl");
/// let agent = FnAgent::new("echo", |request| async move { Ok(Reply::text(request.prompt())) });
/// let (hello, call) = (Request::user("Hello"), Call::new(Duration::from_secs(9)));
/// let given = Recorder::open(agent, &path).await?.respond(&hello, &call).await?;
///
/// assert_eq!(Replay::open(&path).await?.respond(&hello, &call).await?, given);
/// # Ok(())
/// # }
/// ```
///
/// A call whose answer cannot be written is [`AgentError::Recording`]: a recording with gaps would be no
/// evidence of what was answered.
#[derive(Debug)]
pub struct Recorder<A> {
    agent: A,
    path: PathBuf,
    file: Arc<Mutex<Locked>>,
}

/// A file that nobody else may write to.
#[derive(Debug)]
struct Locked(File);

impl<A: Agent> Recorder<A> {
    /// Writes to the end of the file at `path`, which is made if it is missing. A last line that another recorder
    /// did not finish is cut off first. One recorder at a time writes to a file, in whatever process.
    ///
    /// # Errors
    ///
    /// [`AgentError::Recording`] if the file cannot be written, or another recorder writes to it.
    pub async fn open(agent: A, path: impl Into<PathBuf>) -> Result<Self, AgentError> {
        let path = path.into();
        let opened = spawn_blocking({
            let path = path.clone();
            move || append_to(&path)
        });
        match opened.await.map_err(io::Error::from).flatten() {
            Ok(file) => Ok(Self { agent, path, file: Arc::new(Mutex::new(file)) }),
            Err(error) => Err(unrecorded(agent.fingerprint(), &path, error)),
        }
    }

    /// Writes a line whole, even if nobody waits for that any more: a call may be given up at any time.
    async fn write(&self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let file = Arc::clone(&self.file);
        spawn_blocking(move || file.lock().unwrap_or_else(PoisonError::into_inner).0.write_all(&bytes))
            .await?
    }
}

#[async_trait]
impl<A: Agent> Agent for Recorder<A> {
    fn fingerprint(&self) -> AgentId {
        self.agent.fingerprint()
    }

    fn address(&self) -> Option<String> {
        self.agent.address()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        let outcome = self.agent.respond(request, call).await;
        if let Some(line) = Line::new(self.fingerprint(), request, call.trial, &outcome) {
            let written = self.write(&line).await;
            written.map_err(|error| unrecorded(self.fingerprint(), &self.path, error))?;
        }
        outcome
    }
}

fn append_to(path: &Path) -> io::Result<Locked> {
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            let why = "another recorder writes to it; wait for that to end, or keep a file for each";
            io::Error::new(io::ErrorKind::ResourceBusy, why)
        }
        TryLockError::Error(error) => error,
    })?;
    let end = end_of_last_line(&mut file)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(Locked(file))
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing alone keeps the lock for as long as a process that was just forked has not let go of its copy. A
        // lock that cannot be given back ends with the process.
        drop(self.0.unlock());
    }
}

/// Where the last line that was finished ends.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    let mut bytes = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        file.take(end - start).read_to_end(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn unrecorded(agent: AgentId, path: &Path, error: io::Error) -> AgentError {
    AgentError::Recording { agent, path: path.display().to_string(), source: error.into() }
}
