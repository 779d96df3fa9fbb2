//! What Criterion has estimated.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// Nanoseconds.
    point_estimate: f64,
}

/// The median of a benchmark, in seconds, as this run left it. It goes by the names of its group and its own, as Criterion
/// writes them into names of files.
pub(crate) fn median(benchmark: &[&str]) -> Result<f64> {
    let file = directory().join(benchmark.iter().collect::<PathBuf>()).join("new/estimates.json");
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let estimates: Estimates = serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
    Ok(estimates.median.point_estimate / 1e9)
}

/// Removes what earlier runs left, so that none of it is taken for what this one measured.
pub(crate) fn forget(group: &str) -> Result<()> {
    match fs::remove_dir_all(directory().join(group)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(group.to_owned()),
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "Criterion is told by its environment, too")]
fn directory() -> PathBuf {
    std::env::var_os("CRITERION_HOME")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("criterion"), PathBuf::from)
}
