//! What users call on a store.

use std::{future::Future, path::Path};

use crate::{
    Channels, Error, Manifest, ModelRef, ModelStore, Progress, Result, Selector,
    transfer::{download::download, verify::verify},
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
            let versions = self.versions(name).await?;
            let found = match selector {
                Selector::Version(model) => versions.version(model.version()),
                Selector::Latest(_) => versions.latest(),
                Selector::Matching(_, req) => versions.matching(req),
                Selector::Channel(..) => None,
            };
            match found {
                Some(found) => Ok(name.at(found.version.clone())),
                None => Err(Error::NotFound { what: selector.to_string(), remedy: versions.remedy() }),
            }
        }
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
        download(self, model, directory, progress)
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
        verify(self, model, progress)
    }
}

impl<T: ModelStore + ?Sized> ModelStoreExt for T {}

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
