//! What a killed pipeline has left running. Processes carry the mark of their stage in their environment, which their
//! children inherit; a number of a process alone may be another one's by now.

use std::{fs, io, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// The variable that says which stage of which release a process belongs to.
pub(crate) const MARK: &str = "TIDEGATE_STAGE";

/// Ends every process whose mark begins so, and waits until there is none.
pub(crate) async fn end(mark: &str) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    const TRIES: u32 = 500;
    for _ in 0..TRIES {
        let left = with(mark);
        if left.is_empty() {
            return Ok(());
        }
        for process in left {
            // It may have ended by itself.
            let _gone = kill_process(process, Signal::KILL);
        }
        sleep(PAUSE).await;
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "what is left of an earlier attempt does not end"))
}

fn with(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse().ok();
    processes
        .filter_map(|entry| {
            let pid = Pid::from_raw(number(&entry.path())?)?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable.starts_with(wanted.as_bytes()))
                .then_some(pid)
        })
        .collect()
}
