//! Running the caller's commands, within bounds of time and of what they may say.

use std::{io, path::Path, process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt, process::Command};

/// How much of what a command says is kept, in bytes: its end, where programs name the fault.
const KEPT: usize = 1 << 10;
/// How long it is read on after a command has ended; something that it started may hold its output open.
const GRACE: Duration = Duration::from_millis(200);

/// A command that did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("`{command}` ended with {status} and said: {said}")]
    Complained { command: String, status: String, said: String },
    #[error("`{command}` did not end within {within:?}")]
    Late { command: String, within: Duration },
    #[error("`{command}` cannot be run; correct the command or the path")]
    NotRun { command: String, source: io::Error },
}

/// Runs `command`, the program first, in `directory` or in that of this process, and ends it if it takes too long.
pub(crate) async fn run(
    command: &[String],
    directory: Option<&Path>,
    within: Duration,
) -> Result<(), Failed> {
    let shown = command.join(" ");
    let not_run = |source| Failed::NotRun { command: shown.clone(), source };
    let (program, arguments) =
        command.split_first().ok_or_else(|| not_run(io::ErrorKind::InvalidInput.into()))?;
    let mut child = Command::new(program);
    if let Some(directory) = directory {
        child.current_dir(directory);
    }
    let mut child = child
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(not_run)?;
    let mut stderr = child.stderr.take().ok_or_else(|| not_run(io::ErrorKind::BrokenPipe.into()))?;
    let mut said = Vec::new();
    let status = {
        let listen = async {
            let mut chunk = [0; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
                said.extend_from_slice(&chunk[..length]);
                said.drain(..said.len().saturating_sub(KEPT));
            }
        };
        let mut listen = std::pin::pin!(listen);
        let wait = async {
            tokio::select! {
                status = child.wait() => {
                    let _silent = tokio::time::timeout(GRACE, listen).await;
                    status
                }
                () = &mut listen => child.wait().await,
            }
        };
        tokio::time::timeout(within, wait).await
    };
    match status {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            Err(Failed::Complained { command: shown, status: status.to_string(), said: end(&said) })
        }
        Ok(Err(source)) => Err(not_run(source)),
        Err(_) => Err(Failed::Late { command: shown, within }),
    }
}

/// What was kept, as one line.
fn end(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
