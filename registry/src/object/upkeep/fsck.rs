//! Looking whether everything is as it was written.

use std::collections::{BTreeSet, HashSet};

use fastrand::Rng;
use futures::{StreamExt as _, future::BoxFuture, stream};
use serde::Serialize;

use super::garbage::{Listing, folders};
use crate::{
    Error, Log as _, LogKey, ModelName, ModelRef, ModelStoreExt as _, Progress, Result, Seq, Snapshot,
    catalogue::{Catalogue, Row, what},
    object::{ObjectBacked, keys},
};

/// Manifests read at once.
const MANIFESTS: usize = 16;

/// Which versions are read byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reread {
    /// All of them.
    All,
    /// None: sizes are compared, contents are not read.
    None,
    /// So many, chosen by a seed. Another seed each night gets round to all of them.
    Sample {
        /// How many.
        versions: usize,
        /// Which.
        seed: u64,
    },
}

/// What a look at a model's part of a registry came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "an inspection that nobody reads finds nothing"]
#[non_exhaustive]
pub struct Inspection {
    /// Records whose chain of hashes was computed again.
    pub records: usize,
    /// Versions whose manifests and blobs were found.
    pub versions: usize,
    /// Versions that were read byte by byte.
    pub read: usize,
    /// Objects that no version uses. Garbage collection is for them; they do no harm.
    pub unused: usize,
    /// Uploads in parts that were begun and not completed, as far as they are noted: under way, or for garbage
    /// collection.
    pub uploads: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The object, or the version.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl ObjectBacked {
    /// Computes the log's chain of hashes from its first record on, compares snapshots with what the records
    /// say, looks for every manifest and blob that a version uses, and reads some of them again. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a model of which there is no record, and [`Error::Refused`] or
    /// [`Error::Unavailable`] when the store cannot be asked. What is wrong in there is no error but a
    /// [`Problem`].
    pub async fn inspect(
        &self,
        name: &ModelName,
        reread: Reread,
        progress: &dyn Progress,
    ) -> Result<Inspection> {
        let mut inspection = Inspection::default();
        let catalogue = self.fold_anew(name, &mut inspection).await?;
        let [blobs, manifests] = folders(name);
        let mut listing = Listing::new(self.list(&blobs).await?, self.list(&manifests).await?);
        listing.add_uploads(self.list(&keys::uploads(name)).await?);
        let mut rows = Vec::new();
        for row in catalogue.rows() {
            rows.push(row?);
        }
        // Of a version whose artifact lies elsewhere there is only what the log says.
        rows.retain(|row| {
            row.deleted.is_none() && (row.publication.is_some() || listing.has_manifest(&row.manifest))
        });
        let model = |row: &Row| name.at(row.published.version.clone());

        let mut used = HashSet::new();
        let look = |row: &Row| -> BoxFuture<'_, _> {
            let (model, digest) = (model(row), row.manifest);
            Box::pin(async move { (self.document(&model, &digest).await, model) })
        };
        let mut looks = stream::iter(rows.iter().map(look).collect::<Vec<_>>()).buffer_unordered(MANIFESTS);
        let mut sound = Vec::new();
        while let Some((stored, model)) = looks.next().await {
            let stored = match stored {
                Ok(stored) => stored,
                Err(error) => {
                    inspection.report(&model, error)?;
                    continue;
                }
            };
            let mut whole = true;
            for (file, segment) in std::iter::zip(&stored.manifest.files, &stored.segments) {
                let what = || format!("{} of {model} ({})", file.path, segment.path(name));
                match listing.size(&segment.key) {
                    Some(size) if size == file.size => {}
                    Some(size) => {
                        inspection.add(what(), format!("it has {size} bytes instead of {}", file.size))
                    }
                    None => inspection.add(what(), "it is not there".to_owned()),
                }
                whole &= listing.size(&segment.key) == Some(file.size);
                used.insert(segment.key.clone());
            }
            inspection.versions += 1;
            if whole {
                sound.push(model);
            }
        }
        drop(looks);
        inspection.uploads = listing.unfinished().count();
        inspection.unused = listing.unused(&used, rows.iter().map(|row| row.manifest).collect());
        for model in chosen(sound, reread) {
            match self.verify(&model, progress).await {
                Ok(_) => inspection.read += 1,
                Err(error) => inspection.report(&model, error)?,
            }
        }
        Ok(inspection)
    }

    /// The state that the records alone add up to, as far as they can be read.
    async fn fold_anew(&self, name: &ModelName, inspection: &mut Inspection) -> Result<Catalogue> {
        let key = LogKey::model(name);
        let mut snapshots = Vec::new();
        for seq in self.snapshots(&key).await? {
            snapshots.extend(self.snapshot_at(&key, seq).await?);
        }
        let mut catalogue = Catalogue::new(name.clone());
        let listed = self.list(&keys::records(&key)).await?;
        let listed: BTreeSet<Seq> =
            listed.iter().filter_map(|meta| keys::record_seq(&meta.location)).collect();
        // Records behind a missing one are only found by whoever knows of them.
        let records = match self.read(&key, Seq::FIRST).await {
            Ok(records) => records,
            Err(error @ Error::Corrupt { .. }) => {
                inspection.report(&name.to_string(), error)?;
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        if records.is_empty() && inspection.problems.is_empty() {
            return Err(Error::unknown(name));
        }
        for record in records {
            if let Err(error) = catalogue.apply(&record) {
                inspection.report(&name.to_string(), error)?;
                return Ok(catalogue);
            }
            inspection.records += 1;
            for snapshot in snapshots.iter().filter(|snapshot| snapshot.seq.next() == catalogue.next()) {
                if let Err(error) = catalogue.agrees_with(snapshot) {
                    let what = keys::snapshot(&key, snapshot.seq).to_string();
                    inspection.add(what, format!("{error}; remove it, it is written again"));
                }
            }
        }
        if let Some(last) = listed.last().filter(|last| **last >= catalogue.next()) {
            let why = format!("it is missing, though there is record {last}");
            inspection.add(what(&key, catalogue.next()), why);
        }
        for snapshot in snapshots.iter().filter(|snapshot| snapshot.seq >= catalogue.next()) {
            let what = keys::snapshot(&key, snapshot.seq).to_string();
            inspection.add(what, format!("the log ends before record {}", snapshot.seq));
        }
        Ok(catalogue)
    }

    async fn snapshot_at(&self, key: &LogKey, seq: Seq) -> Result<Option<Snapshot>> {
        let bytes = self.get(&keys::snapshot(key, seq), crate::object::hint::LONGEST_SNAPSHOT).await?;
        Ok(bytes.map(|bytes| Snapshot { seq, bytes }))
    }
}

impl Inspection {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, what: String, why: String) {
        self.problems.push(Problem { what, why });
    }

    /// Takes down an error that is about what is stored; others end the inspection.
    fn report(&mut self, what: &impl ToString, error: Error) -> Result<()> {
        let why = match &error {
            Error::Corrupt { what, source } => {
                self.add(what.clone(), source.to_string());
                return Ok(());
            }
            Error::DigestMismatch { file, expected, actual, .. } => {
                format!("the SHA-256 of {file} is {actual} instead of {expected}")
            }
            Error::TooNew { .. } | Error::NotFound { .. } => error.to_string(),
            _ => return Err(error),
        };
        self.add(what.to_string(), why);
        Ok(())
    }
}

/// The versions that are to be read.
fn chosen(mut sound: Vec<ModelRef>, reread: Reread) -> Vec<ModelRef> {
    match reread {
        Reread::All => {}
        Reread::None => sound.clear(),
        Reread::Sample { versions, seed } => {
            sound.sort_unstable();
            Rng::with_seed(seed).shuffle(&mut sound);
            sound.truncate(versions);
        }
    }
    sound
}
