//! Which objects of a model are of no use to anybody: a pure function of its log and a listing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, SystemTime},
};

use object_store::{ObjectMeta, path::Path};
use uuid::Uuid;

use crate::{
    Digest, ModelName, ModelRef, Result,
    catalogue::{Catalogue, Garbage, Row},
    object::keys,
};

/// How long what looks like garbage is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::object) struct Patience {
    /// Objects of no version that are younger than this.
    pub(in crate::object) grace: Duration,
    /// Objects of versions that were deleted more recently than this.
    pub(in crate::object) retention: Duration,
    /// Now.
    pub(in crate::object) at: SystemTime,
}

/// The objects of a model.
#[derive(Debug, Default)]
pub(in crate::object) struct Listing {
    blobs: BTreeMap<String, ObjectMeta>,
    manifests: BTreeMap<Digest, ObjectMeta>,
    /// Notes of uploads in parts, by the key of the blob.
    uploads: BTreeMap<String, ObjectMeta>,
}

/// What manifests were read for: which blobs their versions use, and who wrote them.
#[derive(Debug, Default)]
pub(in crate::object) struct Known {
    /// By the digest of the document.
    uses: HashMap<Digest, HashSet<String>>,
    /// Of documents that no version has. Nothing, for one that cannot be read.
    strays: HashMap<Digest, Option<Uuid>>,
}

/// What a look at the log and the listing comes to.
#[derive(Debug)]
pub(in crate::object) enum Plan {
    /// These manifests have to be read first.
    Ask {
        /// Of these versions.
        versions: Vec<(ModelRef, Digest)>,
        /// Of no version.
        strays: Vec<Digest>,
    },
    /// These objects are garbage.
    Collect {
        /// What is to be condemned.
        garbage: Garbage,
        /// What can be removed once that is done: what it names, and what was condemned before.
        objects: Vec<ObjectMeta>,
        /// Blobs whose uploads in parts can be ended then.
        uploads: Vec<String>,
    },
}

impl Listing {
    pub(in crate::object) fn new(blobs: Vec<ObjectMeta>, manifests: Vec<ObjectMeta>) -> Self {
        let name = |object: &ObjectMeta| object.location.filename().map(ToOwned::to_owned);
        Self {
            blobs: blobs.into_iter().filter_map(|blob| Some((name(&blob)?, blob))).collect(),
            manifests: manifests
                .into_iter()
                .filter_map(|manifest| Some((keys::manifest_digest(&manifest.location)?, manifest)))
                .collect(),
            uploads: BTreeMap::new(),
        }
    }

    pub(in crate::object) fn add_uploads(&mut self, notes: Vec<ObjectMeta>) {
        self.uploads.extend(
            notes.into_iter().filter_map(|note| Some((keys::uploaded(&note.location)?.to_owned(), note))),
        );
    }

    /// How many objects there are besides `blobs` and `manifests`.
    pub(in crate::object) fn unused(&self, blobs: &HashSet<String>, manifests: HashSet<Digest>) -> usize {
        self.blobs.keys().filter(|blob| !blobs.contains(*blob)).count()
            + self.manifests.keys().filter(|manifest| !manifests.contains(manifest)).count()
    }

    /// Blobs whose upload in parts was begun and not completed.
    pub(in crate::object) fn unfinished(&self) -> impl Iterator<Item = &String> {
        self.uploads.keys().filter(|key| !self.blobs.contains_key(*key))
    }

    pub(in crate::object) fn has_manifest(&self, digest: &Digest) -> bool {
        self.manifests.contains_key(digest)
    }

    /// Bytes of the blob of this name, if it is there.
    pub(in crate::object) fn size(&self, blob: &str) -> Option<u64> {
        self.blobs.get(blob).map(|blob| blob.size)
    }
}

impl Known {
    pub(in crate::object) fn add(&mut self, manifest: Digest, blobs: impl IntoIterator<Item = String>) {
        self.uses.insert(manifest, blobs.into_iter().collect());
    }

    pub(in crate::object) fn add_stray(&mut self, manifest: Digest, publication: Option<Uuid>) {
        self.strays.insert(manifest, publication);
    }
}

/// What of `listing` is garbage, as `catalogue` stands.
pub(in crate::object) fn plan(
    catalogue: &Catalogue,
    listing: &Listing,
    known: &Known,
    patience: &Patience,
) -> Result<Plan> {
    let look = Look::new(catalogue, listing, patience)?;
    let versions = look.unknown(known);
    let strays = look.strays(known);
    if !versions.is_empty() || !strays.is_empty() {
        return Ok(Plan::Ask { versions, strays });
    }
    let garbage = look.garbage(known);
    let used = look.used(known);
    let dead =
        |publication: &Uuid| garbage.publications.contains(publication) || catalogue.is_dead(publication);
    let before = catalogue.garbage();
    let blobs = listing.blobs.iter().filter(|(key, _)| {
        // The last line of defence: what a version is known to use stays, whatever was condemned.
        !used.contains(*key)
            && (garbage.blobs.contains(*key)
                || before.blobs.contains(*key)
                || keys::publication(key).is_some_and(|publication| dead(&publication)))
    });
    let manifests = listing
        .manifests
        .iter()
        .filter(|(digest, _)| garbage.manifests.contains(digest) || before.manifests.contains(digest));
    let objects =
        blobs.map(|(_, meta)| meta.clone()).chain(manifests.map(|(_, meta)| meta.clone())).collect();
    // One of a publication that came to its record is of no use either: it was completed, or given up for another.
    let recorded: HashSet<Uuid> =
        look.live.iter().chain(&look.gone).filter_map(|row| row.publication).collect();
    let uploads = listing.uploads.keys().filter(|key| {
        keys::publication(key)
            .is_some_and(|publication| dead(&publication) || recorded.contains(&publication))
    });
    let uploads = uploads.cloned().collect();
    Ok(Plan::Collect { garbage, objects, uploads })
}

/// Everything that a plan looks at.
struct Look<'a> {
    catalogue: &'a Catalogue,
    listing: &'a Listing,
    patience: &'a Patience,
    /// Versions that keep their objects.
    live: Vec<Row>,
    /// Those that do not any more.
    gone: Vec<Row>,
    /// Blobs that each publication has.
    blobs: HashMap<Uuid, usize>,
}

impl<'a> Look<'a> {
    fn new(catalogue: &'a Catalogue, listing: &'a Listing, patience: &'a Patience) -> Result<Self> {
        let (mut live, mut gone) = (Vec::new(), Vec::new());
        for row in catalogue.rows() {
            let row = row?;
            let is_gone = row.deleted.as_ref().is_some_and(|deleted| {
                patience.at.duration_since(deleted.stamp.at).unwrap_or_default() >= patience.retention
            });
            if is_gone { gone.push(row) } else { live.push(row) }
        }
        let mut blobs = HashMap::new();
        for key in listing.blobs.keys() {
            if let Some(publication) = keys::publication(key) {
                *blobs.entry(publication).or_default() += 1;
            }
        }
        Ok(Self { catalogue, listing, patience, live, gone, blobs })
    }

    /// Versions that keep their objects, and of which it has to be known which these are: because they may
    /// use some of a publication whose own version is gone, or more were written than are used.
    fn asked(&self) -> impl Iterator<Item = &Row> {
        let gone: HashSet<Uuid> = self.gone.iter().filter_map(|row| row.publication).collect();
        self.live.iter().filter(move |row| match row.publication {
            // Of a version whose artifact lies elsewhere there is nothing here.
            None => self.listing.manifests.contains_key(&row.manifest),
            Some(publication) => {
                let there = self.blobs.get(&publication).copied().unwrap_or(0);
                there > row.blobs
                    || row
                        .borrows
                        .iter()
                        .any(|lender| gone.contains(lender) || self.catalogue.is_dead(lender))
            }
        })
    }

    fn unknown(&self, known: &Known) -> Vec<(ModelRef, Digest)> {
        let asked = self.asked().filter(|row| !known.uses.contains_key(&row.manifest));
        let name = self.catalogue.name();
        asked.map(|row| (name.at(row.published.version.clone()), row.manifest)).collect()
    }

    /// Old manifests of no version whose publication is not known.
    fn strays(&self, known: &Known) -> Vec<Digest> {
        self.old_strays().filter(|digest| !known.strays.contains_key(digest)).collect()
    }

    fn old_strays(&self) -> impl Iterator<Item = Digest> {
        let named: HashSet<Digest> = self.live.iter().chain(&self.gone).map(|row| row.manifest).collect();
        let old = self.listing.manifests.iter().filter(|(_, meta)| self.is_old(meta));
        old.map(|(digest, _)| *digest).filter(move |digest| !named.contains(digest))
    }

    /// Blobs that versions are known to use.
    fn used<'k>(&self, known: &'k Known) -> HashSet<&'k String> {
        self.asked().filter_map(|row| known.uses.get(&row.manifest)).flatten().collect()
    }

    fn garbage(&self, known: &Known) -> Garbage {
        let used = self.used(known);
        let asked: HashSet<Uuid> = self.asked().filter_map(|row| row.publication).collect();
        let live: HashSet<Uuid> = self.live.iter().filter_map(|row| row.publication).collect();
        let gone: HashSet<Uuid> = self.gone.iter().filter_map(|row| row.publication).collect();
        let lent: HashSet<Uuid> = self.live.iter().flat_map(|row| row.borrows.iter().copied()).collect();
        let mut garbage = Garbage::default();
        for (key, meta) in &self.listing.blobs {
            match keys::publication(key) {
                _ if used.contains(key) => {}
                // All that it wrote is used, as their number tells.
                Some(publication) if live.contains(&publication) && !asked.contains(&publication) => {}
                Some(publication) if self.catalogue.is_dead(&publication) => {}
                // Nobody has borrowed from it, and nobody can any more.
                Some(publication) if gone.contains(&publication) && !lent.contains(&publication) => {
                    garbage.publications.insert(publication);
                }
                Some(publication) if live.contains(&publication) || gone.contains(&publication) => {
                    garbage.blobs.insert(key.clone());
                }
                Some(publication) if self.is_old(meta) => drop(garbage.publications.insert(publication)),
                None if self.is_old(meta) => drop(garbage.blobs.insert(key.clone())),
                _ => {}
            }
        }
        let uploads = self.listing.uploads.iter().filter(|(_, note)| self.is_old(note));
        let unfinished = uploads.filter_map(|(key, _)| keys::publication(key)).filter(|publication| {
            !live.contains(publication) && !gone.contains(publication) && !self.catalogue.is_dead(publication)
        });
        garbage.publications.extend(unfinished);
        for digest in self.old_strays() {
            garbage.manifests.insert(digest);
            let publication = known.strays.get(&digest).copied().flatten();
            // One that came to its record under another document lives on.
            let lives = |publication: &Uuid| live.contains(publication) || gone.contains(publication);
            let publication = publication.filter(|publication| !lives(publication));
            garbage
                .publications
                .extend(publication.filter(|publication| !self.catalogue.is_dead(publication)));
        }
        let gone = self.gone.iter().map(|row| row.manifest);
        garbage.manifests.extend(gone.filter(|digest| self.listing.manifests.contains_key(digest)));
        garbage.without(self.catalogue.garbage())
    }

    fn is_old(&self, meta: &ObjectMeta) -> bool {
        let written = SystemTime::from(meta.last_modified);
        self.patience.at.duration_since(written).unwrap_or_default() >= self.patience.grace
    }
}

impl Garbage {
    /// What of this was not condemned before.
    fn without(mut self, before: &Self) -> Self {
        self.blobs.retain(|blob| !before.blobs.contains(blob));
        self.manifests.retain(|manifest| !before.manifests.contains(manifest));
        self
    }

    /// What is left to be forgotten once nothing of it is in the store.
    pub(in crate::object) fn or(self, before: &Self) -> Self {
        let union = |a: BTreeSet<String>, b: &BTreeSet<String>| a.union(b).cloned().collect();
        Self {
            publications: self.publications.union(&before.publications).copied().collect(),
            blobs: union(self.blobs, &before.blobs),
            manifests: self.manifests.union(&before.manifests).copied().collect(),
        }
    }
}

/// Where the objects of a model lie.
pub(in crate::object) fn folders(name: &ModelName) -> [Path; 2] {
    [keys::blobs(name), keys::manifests(name)]
}
