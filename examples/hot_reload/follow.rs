//! From a move of the channel to other weights in memory.

use std::{path::PathBuf, pin::pin, sync::Arc};

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
                // The registry was away: a move is told once, so it is for us to try again.
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
                Ok(loaded) => self.swap(loaded).await,
                Err(error) => {
                    self.stay::<()>(&format!("{model} cannot be served: {error:#}"));
                    let registry = error.downcast_ref::<registry::Error>();
                    wanted = registry.is_some_and(registry::Error::is_transient).then_some(model);
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

    async fn swap(&self, loaded: Loaded) {
        tracing::info!(model = %loaded.model, "serving");
        let now = loaded.model.clone();
        if let Some(before) = self.live.swap(loaded).filter(|before| before.model != now) {
            // Its weights are in memory while anybody needs them; its files are not needed.
            let _gone_or_not = tokio::fs::remove_dir_all(self.place(&before.model)).await;
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
