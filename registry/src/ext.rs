//! What users call on a store.

use std::{future::Future, path::Path};

use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    Channels, Error, Filter, Manifest, ModelName, ModelRef, ModelStore, Progress, Published, Result,
    Selector, Stamp,
    telemetry::{Counted, Kind, observe, operation},
    transfer::{copy::copy, download::download, verify::verify},
};

/// Conveniences over [`ModelStore`], implemented for every store and never by hand.
pub trait ModelStoreExt: ModelStore {
    /// The version that `selector` means now.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when nothing fits; it says what exists instead.
    fn resolve(
        &self,
        selector: &Selector,
        channels: &Channels,
    ) -> impl Future<Output = Result<ModelRef>> + Send {
        async move {
            if let Selector::Channel(name, channel) = selector {
                return match channels.current(name, channel).await? {
                    Some(last) => Ok(last.to),
                    None => Err(no_channel(selector, channels).await?),
                };
            }
            let name = selector.name();
            let filter = match selector {
                Selector::Version(model) => return Ok(self.manifest(model).await?.model),
                Selector::Matching(_, req) => Filter { matching: Some(req.clone()), ..Filter::eligible() },
                _ => Filter { released: true, ..Filter::eligible() },
            };
            match self.versions(name, filter).try_next().await? {
                Some(found) => Ok(name.at(found.version)),
                None => {
                    Err(Error::NotFound { what: selector.to_string(), remedy: remedy(self, name).await? })
                }
            }
        }
    }

    /// The versions of a model that `filter` admits, the highest first.
    ///
    /// # Errors
    ///
    /// As [`ModelStore::versions`].
    fn list(&self, name: &ModelName, filter: Filter) -> impl Future<Output = Result<Vec<Published>>> + Send {
        self.versions(name, filter).try_collect()
    }

    /// Delivers a version into `directory` and verifies every byte on the way, part by part and in
    /// parallel.
    ///
    /// The directory may be missing, or hold some of the files already: equal ones are kept, other
    /// files that the version does not name are left alone. Everything is staged in a hidden directory
    /// on the same file system, synced, and only then renamed into place, all at once where the
    /// directory did not exist. Nothing wrong or partial ever lies under its final name, and after an
    /// error the staging directory and whatever else was made is gone, unless
    /// [`Transfers::journal`](crate::Transfers::journal) has it kept. What a killed program left staged is
    /// found by the next download of the same content, hashed again, and completed; what nobody comes back
    /// for goes with another download after a week. A connection that breaks in the middle of a part is gone
    /// on with where it broke. Dropping the future stops the download, unless it has come to
    /// the renaming, which is then finished.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] when another file is in the way: before anything is fetched, or when it has come
    /// there since, for example from a download of another version;
    /// [`Error::DigestMismatch`] or [`Error::Corrupt`] when the store does not hold what was published;
    /// [`Error::Local`] when a file cannot be written; and those of [`ModelStore::open`].
    fn download(
        &self,
        model: &ModelRef,
        directory: &Path,
        progress: &dyn Progress,
    ) -> impl Future<Output = Result<Manifest>> + Send {
        async move {
            let span = operation!(INFO, "tidegate.registry.download", tidegate.model = %model);
            let counted = Counted::new("download", progress);
            let work = download(self, model, directory, &counted);
            observe(Kind::Operation("download"), span, work).await
        }
    }

    /// Reads every stored byte of a version again and compares all its digests: of each part, of each
    /// whole file and of the content.
    ///
    /// # Errors
    ///
    /// As [`download`](Self::download), without those about files.
    fn verify(
        &self,
        model: &ModelRef,
        progress: &dyn Progress,
    ) -> impl Future<Output = Result<Manifest>> + Send {
        async move {
            let span = operation!(INFO, "tidegate.registry.verify", tidegate.model = %model);
            let counted = Counted::new("verify", progress);
            observe(Kind::Operation("verify"), span, verify(self, model, &counted)).await
        }
    }

    /// Publishes a version in another store, with the same content and card; `stamp` says who copies it.
    ///
    /// Each file is read once, when the other store asks for it, and compared with the manifest on the way:
    /// what is not what was published is not published there either.
    ///
    /// # Errors
    ///
    /// [`Error::DigestMismatch`] when this store does not hold what was published, [`Error::Corrupt`] when
    /// the other one says that it holds something else, [`Error::AlreadyPublished`] when it has the version
    /// with other content; and those of [`ModelStore::open`] here and [`ModelStore::publish`] there.
    fn copy_to(
        &self,
        to: &dyn ModelStore,
        model: &ModelRef,
        stamp: Stamp,
        progress: &dyn Progress,
    ) -> impl Future<Output = Result<Manifest>> + Send
    where
        Self: Clone + Sized,
    {
        async move {
            let span = operation!(INFO, "tidegate.registry.copy", tidegate.model = %model);
            observe(Kind::Operation("copy"), span, copy(self, model, to, stamp, progress)).await
        }
    }
}

impl<T: ModelStore + ?Sized> ModelStoreExt for T {}

/// What there is instead of what was asked for.
async fn remedy<S: ModelStore + ?Sized>(store: &S, name: &ModelName) -> Result<String> {
    const SHOWN: usize = 5;
    let shown: Vec<Published> = store.versions(name, Filter::default()).take(SHOWN).try_collect().await?;
    let shown: Vec<_> = shown
        .iter()
        .map(|there| match (&there.quarantined, &there.yanked) {
            (Some(_), _) => format!("{} (quarantined)", there.version),
            (None, Some(_)) => format!("{} (yanked)", there.version),
            (None, None) => there.version.to_string(),
        })
        .collect();
    Ok(match shown.as_slice() {
        [] => "all of its versions were deleted".to_owned(),
        shown => format!("the highest there is: {}", shown.join(", ")),
    })
}

async fn no_channel(selector: &Selector, channels: &Channels) -> Result<Error> {
    let known = channels.all(selector.name()).await?;
    let remedy = if known.is_empty() {
        "no channel of this model points anywhere yet; promote a version first".to_owned()
    } else {
        let known: Vec<_> =
            known.iter().map(|(channel, last)| format!("{channel} ({})", last.to.version())).collect();
        format!("there is {}", known.join(", "))
    };
    Ok(Error::NotFound { what: selector.to_string(), remedy })
}
