//! From a move of the channel to other weights in memory.

use std::{io, path::PathBuf, pin::pin, sync::Arc};

use anyhow::Result;
use futures::StreamExt as _;
use tidegate::registry::{
    self, Channel, Channels, Log, ModelName, ModelRef, ModelStore, ModelStoreExt as _, Poll,
};

use crate::{
    serve::{Live, Loaded},
    weights::Weights,
};

/// Keeps what is live at what the channel says.
pub(crate) struct Follower {
    pub(crate) store: Arc<dyn ModelStore>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) delivered: PathBuf,
    pub(crate) name: ModelName,
    pub(crate) channel: Channel,
    pub(crate) poll: Poll,
    pub(crate) live: Live,
}

impl Follower {
    /// Follows for as long as it is let. Nothing that goes wrong ends it, and what is live stays so meanwhile.
    pub(crate) async fn follow(self) {
        let channels = Channels::new(Arc::clone(&self.log));
        let mut moves = pin!(channels.watch(&self.name, &self.channel, None, self.poll));
        // What the channel says, until it is live or known to be no good.
        let mut wanted = None::<ModelRef>;
        loop {
            let moved = tokio::select! {
                moved = moves.next() => moved,
                // It could not be had: a move is told once, so it is for us to try again.
                () = tokio::time::sleep(self.poll.every), if wanted.is_some() => None,
            };
            match moved {
                Some(Ok(moved)) => wanted = moved.to.or_else(|| self.stay("the channel points nowhere")),
                // Nothing is known to be behind: whoever serves goes on, and the stream looks again.
                Some(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot look"),
                None => {}
            }
            let Some(model) = wanted.take() else { continue };
            match self.load(&model).await {
                Ok(loaded) => {
                    // The weights of the one before are in memory while anybody needs them; its files can go.
                    self.keep_only(&[&model]).await;
                    tracing::info!(%model, "serving");
                    self.live.swap(loaded);
                }
                Err(error) => {
                    let why = format!("{model} cannot be served: {error:#}");
                    wanted = (!is_no_good(&error)).then_some(model);
                    let live = self.live.loaded();
                    let kept: Vec<_> = live.iter().map(|loaded| &loaded.model).chain(&wanted).collect();
                    self.keep_only(&kept).await;
                    self.stay::<()>(&why);
                }
            }
        }
    }

    /// Brings a version into memory, beside the one that answers, and sees whether it can answer.
    async fn load(&self, model: &ModelRef) -> Result<Loaded> {
        let directory = self.place(model);
        // Whatever a killed program left there is looked at again: no byte is used that has not the right digest.
        let manifest = self.store.download(model, &directory, &()).await?;
        // Reading gigabytes would keep requests waiting on a thread of theirs.
        let weights = tokio::task::spawn_blocking(move || Weights::load(&directory)).await??;
        Ok(Loaded { model: model.clone(), digest: manifest.digest, weights })
    }

    /// Removes all other versions of the model, whoever left them there, and downloads that were begun. What is not ours
    /// stays.
    async fn keep_only(&self, kept: &[&ModelRef]) {
        let kept: Vec<_> = kept.iter().map(|model| model.to_string()).collect();
        let version = format!("{}@", self.name);
        let Ok(mut entries) = tokio::fs::read_dir(&self.delivered).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_ours = name.starts_with(&version) || name.starts_with(".tidegate-");
            if is_ours && !kept.contains(&name) {
                // What cannot be removed now is met again next time.
                let _gone_or_not = tokio::fs::remove_dir_all(entry.path()).await;
            }
        }
    }

    fn stay<T>(&self, why: &str) -> Option<T> {
        tracing::warn!(why, "the version before goes on");
        self.live.stay(why.to_owned());
        None
    }

    fn place(&self, model: &ModelRef) -> PathBuf {
        self.delivered.join(model.to_string())
    }
}

/// Whether it is the version that is at fault, so that another try would end as this one. A full disk or a registry that
/// is away is no fault of it.
fn is_no_good(error: &anyhow::Error) -> bool {
    use registry::Error as E;

    match error.downcast_ref::<registry::Error>() {
        Some(E::Corrupt { .. } | E::DigestMismatch { .. } | E::TooNew { .. }) => true,
        Some(_) => false,
        // The weights were refused, or could not be read. A file that is not there was never published.
        None => {
            let mut read = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
            read.all(|error| error.kind() == io::ErrorKind::NotFound)
        }
    }
}
