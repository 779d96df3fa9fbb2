//! The machine that a load comes from.

use std::{fs::File, io::Read as _, thread::available_parallelism};

use serde::{Deserialize, Serialize};

/// The machine that a load comes from, and comes to where that is the same: times of two machines tell nothing about
/// two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Machine {
    /// The operating system.
    pub os: String,
    /// The architecture of the processor.
    pub architecture: String,
    /// The name of the processor, where it can be read.
    pub processor: Option<String>,
    /// How many processors this program may use.
    pub processors: u64,
}

impl Machine {
    /// This one; reads a file of the kernel.
    #[must_use]
    pub fn here() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            processor: processor(),
            processors: available_parallelism().map_or(1, |processors| processors.get() as u64),
        }
    }
}

/// The first processor's name, as Linux tells it.
fn processor() -> Option<String> {
    const ENOUGH: u64 = 16 << 10;
    let mut text = Vec::new();
    File::open("/proc/cpuinfo").ok()?.take(ENOUGH).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}
