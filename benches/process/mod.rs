//! What this process uses, as the kernel says.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// What it has in memory, in bytes.
pub(crate) fn resident() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("only Linux says how much memory is used")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}

/// The time that it has had a processor.
pub(crate) fn processor() -> Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").context("only Linux says how long a process ran")? {
        let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += stat.split(' ').next().context("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
