//! What a model's log says, added up: its versions, channels, and what was taken back.

mod commit;
mod filter;
mod learn;
mod list;
mod pages;
mod publish;
mod range;
mod record;
mod snapshot;
mod version;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use semver::Version;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::pages::Rows;
pub(crate) use self::{
    commit::Catalogues,
    record::{Entry, Fact, Garbage, Publish, corrupt, what},
    version::Row,
};
pub use self::{
    filter::{Bound, Filter},
    version::{Attested, Published, Summary, Withdrawal},
};
use crate::{
    BoxError, Channel, Digest, Error, Invalid, LogKey, ModelName, ModelRef, Move, Policy, Result, Seq, Stamp,
};

/// The state of one model: its log, folded. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    name: ModelName,
    key: LogKey,
    next: Seq,
    head: Option<Digest>,
    rows: Rows,
    ledger: Arc<Ledger>,
    /// The last record that is in a snapshot, as far as is known.
    kept: Option<Seq>,
}

/// What is not about a single version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ledger {
    channels: BTreeMap<Channel, Vec<Move>>,
    policies: BTreeMap<Channel, Policy>,
    quarantined: BTreeMap<Digest, Withdrawal>,
    /// Condemned and, as far as is known, still there.
    garbage: Garbage,
    /// Publications that were condemned before they came to their record. They never may.
    dead: BTreeSet<Uuid>,
}

impl Catalogue {
    /// A model about which nothing has been said.
    pub(crate) fn new(name: ModelName) -> Self {
        Self {
            key: LogKey::model(&name),
            name,
            next: Seq::FIRST,
            head: None,
            rows: Rows::default(),
            ledger: Arc::default(),
            kept: None,
        }
    }

    /// The entry that says `facts` after everything said so far.
    pub(crate) fn entry(&self, stamp: Stamp, facts: Vec<Fact>) -> Entry {
        Entry::new(self.next, self.head, stamp, facts)
    }

    pub(crate) const fn key(&self) -> &LogKey {
        &self.key
    }

    pub(crate) const fn name(&self) -> &ModelName {
        &self.name
    }

    /// The number of the next record.
    pub(crate) const fn next(&self) -> Seq {
        self.next
    }

    /// What is said about the version, or [`Error::NotFound`].
    pub(crate) fn row(&self, model: &ModelRef) -> Result<Row> {
        match self.find(model.version())? {
            Some(Row { deleted: Some(deleted), .. }) => Err(Error::NotFound {
                what: model.to_string(),
                remedy: format!("{} deleted it: {}", deleted.stamp, deleted.reason),
            }),
            Some(row) => Ok(row),
            None => Err(Error::NotFound { what: model.to_string(), remedy: self.remedy()? }),
        }
    }

    /// The version as a list shows it, or [`Error::NotFound`].
    pub(crate) fn published(&self, model: &ModelRef) -> Result<Published> {
        Ok(self.shown(self.row(model)?))
    }

    /// Whether publishing `digest` as `model` would change anything: `false` when it is there already.
    pub(crate) fn admits(&self, model: &ModelRef, digest: &Digest) -> Result<bool> {
        let Some(there) = self.equal_precedence(model)? else { return Ok(true) };
        if there.published.digest == *digest {
            return Ok(false);
        }
        Err(Error::AlreadyPublished {
            model: model.clone(),
            existing: there.published.digest,
            offered: *digest,
        })
    }

    /// The version if it exists, and [`Error::Invalid`] if its number cannot be used: another takes its
    /// place in the order, or it was deleted.
    pub(crate) fn equal_precedence(&self, model: &ModelRef) -> Result<Option<Row>> {
        let version = model.version();
        let refused = |why: String| Error::Invalid(Invalid::new("version", version.to_string(), why));
        match self.rows.get(version).map_err(|error| self.damaged(error))? {
            Some(Row { published: there, .. }) if there.version != *version => Err(refused(format!(
                "{} exists and differs only in build metadata, which does not order versions; raise the version",
                there.version
            ))),
            Some(Row { deleted: Some(deleted), .. }) => Err(refused(format!(
                "{} deleted it, and the number of a version is not used again; raise the version",
                deleted.stamp
            ))),
            there => Ok(there),
        }
    }

    /// The moves of a channel, oldest first.
    pub(crate) fn history(&self, channel: &Channel) -> &[Move] {
        self.ledger.channels.get(channel).map_or(&[], Vec::as_slice)
    }

    /// Where a channel points, if it points anywhere.
    pub(crate) fn current(&self, channel: &Channel) -> Option<&Move> {
        self.history(channel).last().filter(|last| last.ended.is_none())
    }

    /// Every channel that points anywhere, and its last move.
    pub(crate) fn currents(&self) -> impl Iterator<Item = (&Channel, &Move)> {
        self.ledger.channels.keys().filter_map(|channel| Some((channel, self.current(channel)?)))
    }

    /// The moves of every channel, also of those that point nowhere.
    pub(crate) fn histories(&self) -> impl Iterator<Item = &[Move]> {
        self.ledger.channels.values().map(Vec::as_slice)
    }

    /// What has to hold for a version that a channel is moved to.
    pub(crate) fn policy(&self, channel: &Channel) -> Option<&Policy> {
        self.ledger.policies.get(channel)
    }

    /// Every policy.
    pub(crate) fn policies(&self) -> &BTreeMap<Channel, Policy> {
        &self.ledger.policies
    }

    /// That content may not be promoted, and why.
    pub(crate) fn quarantine(&self, digest: &Digest) -> Option<&Withdrawal> {
        self.ledger.quarantined.get(digest)
    }

    /// All content that may not be promoted.
    pub(crate) fn quarantines(&self) -> &BTreeMap<Digest, Withdrawal> {
        &self.ledger.quarantined
    }

    #[cfg(feature = "object-store")]
    /// What was condemned and is not known to be gone.
    pub(crate) fn garbage(&self) -> &Garbage {
        &self.ledger.garbage
    }

    /// Whether what a publication has written was condemned before it came to its record.
    pub(crate) fn is_dead(&self, publication: &Uuid) -> bool {
        self.ledger.dead.contains(publication)
    }

    fn find(&self, version: &Version) -> Result<Option<Row>> {
        let row = self.rows.get(version).map_err(|error| self.damaged(error))?;
        Ok(row.filter(|row| row.published.version == *version))
    }

    /// The rows stand behind what was read from a snapshot, of which nothing else is damaged.
    fn damaged(&self, source: BoxError) -> Error {
        let what = match self.kept {
            Some(seq) => format!("the snapshot of {} at record {seq}", self.key),
            None => format!("the state of {}", self.key),
        };
        Error::Corrupt { what, source }
    }
}
