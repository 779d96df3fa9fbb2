//! What became of a version that is taken back, or given back.

use anyhow::Result;
use serde_json::json;
use tidegate::registry::{ModelRef, Published, Withdrawal};

use crate::{
    answer::Answer,
    registry::Registry,
    words::{plain, stamp},
};

/// In which way a version is taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Quarantined,
    Yanked,
}

/// A version whose state is about to be changed, and how it was.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) model: ModelRef,
    state: State,
    before: Option<Withdrawal>,
}

impl Change {
    pub(crate) async fn before(registry: &Registry, model: ModelRef, state: State) -> Result<Self> {
        let before = state.of(registry.published(&model).await?);
        Ok(Self { model, state, before })
    }

    /// How it is now, and whether that is new.
    pub(crate) async fn answer(self, registry: &Registry) -> Result<Answer> {
        let Self { model, state, before } = self;
        let published = registry.published(&model).await?;
        let digest = published.digest;
        let after = state.of(published);
        let changed = before != after;
        let channels = registry.channels_at(&model).await?;

        let word = state.word();
        let mut text = match &after {
            Some(why) if changed => format!("{model} is {word}: {}", plain(&why.reason)),
            Some(why) => {
                format!("unchanged: {model} is {word} since {}: {}", stamp(&why.stamp), plain(&why.reason))
            }
            None if changed => format!("{model} is not {word} any more"),
            None => format!("unchanged: {model} is not {word}"),
        };
        if after.is_some() && !channels.is_empty() {
            let of = model.name();
            let pointing = channels.join(", ");
            text.push_str(&format!(
                "\nstill pointing to it: {pointing} of {of}; promote another version, or demote"
            ));
        }
        let json = json!({
            "model": model,
            "digest": digest,
            "changed": changed,
            (word): after,
            "channels": channels,
        });
        Ok(Answer::done(text, json))
    }
}

impl State {
    fn of(self, published: Published) -> Option<Withdrawal> {
        match self {
            Self::Quarantined => published.quarantined,
            Self::Yanked => published.yanked,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Yanked => "yanked",
        }
    }
}
