//! How fast bytes are moved, and what is kept to go on with after a break.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use clap::Args;
use etcetera::BaseStrategy as _;
use tidegate::registry::{Digest, Transfers};

use crate::{arguments::size, location::Location};

#[derive(Debug, Args)]
pub(crate) struct Pace {
    /// So many parts or small files at once, each of up to 16 MiB of memory
    #[arg(long, value_name = "N", value_parser = parts, default_value = "8")]
    pub(crate) concurrency: NonZeroUsize,
    /// At most so many bytes a second, for example 50MB or 40MiB
    #[arg(long, value_name = "RATE", value_parser = rate)]
    bandwidth: Option<NonZeroU64>,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Begin anew, and when it breaks off remove what was moved instead of keeping it for the next try
    #[arg(long)]
    no_resume: bool,
}

impl Pace {
    pub(crate) fn transfers(&self) -> Transfers {
        let mut transfers = Transfers::new().concurrency(self.concurrency);
        if let Some(rate) = self.bandwidth {
            transfers = transfers.bandwidth(rate);
        }
        transfers
    }
}

impl Resume {
    /// The same, with a journal for what is moved from or to `location`: in the user's state directory,
    /// `~/.local/state/tidegate` on Linux. Without a home nothing is kept.
    pub(crate) fn or_not(&self, transfers: Transfers, location: &Location) -> Transfers {
        match kept("transfers").filter(|_| !self.no_resume) {
            Some(journals) => transfers.journal(journals.join(&Digest::of(location.identity()).hex()[..16])),
            None => transfers,
        }
    }
}

/// Where what is called so is kept to go on with: in the user's state directory, if there is a home.
pub(crate) fn kept(what: &str) -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.state_dir().unwrap_or_else(|| base.cache_dir()).join("tidegate").join(what))
}

fn parts(text: &str) -> Result<NonZeroUsize, String> {
    let parts = text.parse().ok().filter(|parts: &NonZeroUsize| parts.get() <= 256);
    parts.ok_or_else(|| "write a whole number from 1 to 256".to_owned())
}

/// Bytes a second.
fn rate(text: &str) -> Result<NonZeroU64, String> {
    let text = text.trim();
    NonZeroU64::new(size(text.strip_suffix("/s").unwrap_or(text))?)
        .ok_or_else(|| "write bytes a second with a unit, for example 50MB or 40MiB".to_owned())
}
