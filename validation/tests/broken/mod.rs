//! A store that does harm to what it holds.

use std::fmt;

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use tidegate_registry::{
    ByteStream, Content, Draft, Error, FilePath, Filter, InMemory, Manifest, ModelName, ModelRef, ModelStore,
    OpenOptions, Progress, Published, Result,
};

/// What is wrong with a [`Broken`] store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    Bytes,
    Unavailable,
}

/// A store whose files cannot be read as they were written.
#[derive(Debug)]
pub(crate) struct Broken {
    sound: InMemory,
    harm: Harm,
}

impl Broken {
    pub(crate) fn new(sound: InMemory, harm: Harm) -> Self {
        Self { sound, harm }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken store")
    }
}

#[async_trait]
impl ModelStore for Broken {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        self.sound.publish(draft, content, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        self.sound.manifest(model).await
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        match self.harm {
            Harm::Unavailable => Err(Error::Unavailable {
                store: self.to_string(),
                action: "open a file",
                source: "unplugged".into(),
            }),
            Harm::Bytes => {
                let flip = |byte: &u8| byte ^ 1;
                let bytes = self.sound.open(model, file, options).await?;
                Ok(bytes.map(move |chunk| chunk.map(|chunk| chunk.iter().map(flip).collect())).boxed())
            }
        }
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.sound.versions(name, filter)
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        self.sound.models()
    }
}
