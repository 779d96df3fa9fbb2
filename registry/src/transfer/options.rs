//! How bytes are moved: how many at once, how fast, and what is kept for another try.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::bandwidth::Bandwidth;

/// How a registry moves bytes. Clones share the bandwidth.
///
/// ```
/// # use std::num::NonZeroU64;
/// use tidegate_registry::Transfers;
///
/// let transfers = Transfers::new().journal("/var/cache/tidegate").bandwidth(NonZeroU64::new(50_000_000).unwrap());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    bandwidth: Option<Arc<Bandwidth>>,
    concurrency: Option<NonZeroUsize>,
    journal: Option<PathBuf>,
}

impl Transfers {
    /// Parts under way at once unless it is said otherwise. One connection to an object store carries some
    /// 85 to 240 MB/s, so eight fill a 10 Gbit/s network; more would only hold more memory.
    const CONCURRENCY: usize = 8;

    /// Eight parts at once, as fast as they go, and nothing kept.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many bytes a second, over all transfers of these options and their clones, in both
    /// directions together. Needs a runtime with time enabled.
    #[must_use]
    pub fn bandwidth(mut self, bytes_a_second: NonZeroU64) -> Self {
        self.bandwidth = Some(Arc::new(Bandwidth::new(bytes_a_second)));
        self
    }

    /// So many parts or small files under way at once in one transfer. Each holds at most 16 MiB of memory on
    /// its way, up or down; more only on its way up in files of more than 148 GiB, whose parts are larger.
    #[must_use]
    pub const fn concurrency(mut self, parts: NonZeroUsize) -> Self {
        self.concurrency = Some(parts);
        self
    }

    /// What is broken off can be gone on with. `directory` keeps what a later `publish` of the same version
    /// into the same registry needs for that; it is made when it is needed. A download that fails or is
    /// dropped then leaves its hidden staging directory for the next one of the same content. (What is killed
    /// leaves that in any case.)
    ///
    /// A publication that is not gone on with leaves hidden files or unfinished uploads in the registry, as
    /// a crash would; sweep them from time to time.
    #[must_use]
    pub fn journal(mut self, directory: impl Into<PathBuf>) -> Self {
        self.journal = Some(directory.into());
        self
    }

    pub(crate) fn parts(&self) -> usize {
        self.concurrency.map_or(Self::CONCURRENCY, NonZeroUsize::get)
    }

    pub(crate) fn journals(&self) -> Option<&Path> {
        self.journal.as_deref()
    }

    /// Waits until `bytes` more may pass.
    pub(crate) async fn pass(&self, bytes: usize) {
        if let Some(bandwidth) = &self.bandwidth {
            bandwidth.pass(bytes).await;
        }
    }
}
