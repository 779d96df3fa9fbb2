//! What a model's log says, added up: its versions, channels and attestations.

use std::collections::BTreeMap;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::{
    Attestation, Cause, Channel, Digest, Error, Invalid, LogKey, ModelName, ModelRef, Move, Result, Seq,
    Stamp,
    record::{Entry, Fact, corrupt},
};

/// The versions of a model, ascending by semantic-version precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Published>", into = "Vec<Published>")]
pub struct Versions(Vec<Published>);

/// One published version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// The version.
    pub version: Version,
    /// The identity of its content.
    pub digest: Digest,
    /// Bytes of all its files together.
    pub size: u64,
    /// Who published it, and when.
    pub stamp: Stamp,
}

impl Published {
    /// A version of `size` bytes with the content identity `digest`.
    #[must_use]
    pub const fn new(version: Version, digest: Digest, size: u64, stamp: Stamp) -> Self {
        Self { version, digest, size, stamp }
    }
}

impl Versions {
    /// The highest version that is not a pre-release.
    #[must_use]
    pub fn latest(&self) -> Option<&Published> {
        self.0.iter().rev().find(|published| published.version.pre.is_empty())
    }

    /// The highest version that matches `req`.
    #[must_use]
    pub fn matching(&self, req: &VersionReq) -> Option<&Published> {
        self.0.iter().rev().find(|published| req.matches(&published.version))
    }

    /// Exactly `version`, build metadata included.
    #[must_use]
    pub fn version(&self, version: &Version) -> Option<&Published> {
        self.equal_precedence(version).filter(|published| published.version == *version)
    }

    /// Every version, ascending.
    pub fn iter(&self) -> std::slice::Iter<'_, Published> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which versions there are, for an error about one that is not: all, or the highest few of many.
    pub(crate) fn remedy(&self) -> String {
        const SHOWN: usize = 5;
        let shown: Vec<_> = self.0.iter().rev().take(SHOWN).map(|there| there.version.to_string()).collect();
        let shown = shown.join(", ");
        match self.len().checked_sub(SHOWN) {
            None | Some(0) => format!("there is {shown}"),
            Some(more) => format!("there is {shown} and {more} lower"),
        }
    }

    /// The version that takes the place of `version` in the order: itself, or one that differs only in
    /// build metadata.
    fn equal_precedence(&self, version: &Version) -> Option<&Published> {
        let at = self.position(version).ok()?;
        self.0.get(at)
    }

    fn position(&self, version: &Version) -> Result<usize, usize> {
        self.0.binary_search_by(|published| published.version.cmp_precedence(version))
    }
}

/// Of versions that are equal in precedence the first is kept, as a store would.
impl FromIterator<Published> for Versions {
    fn from_iter<I: IntoIterator<Item = Published>>(versions: I) -> Self {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_by(|a, b| a.version.cmp_precedence(&b.version));
        versions.dedup_by(|a, b| a.version.cmp_precedence(&b.version).is_eq());
        Self(versions)
    }
}

impl From<Vec<Published>> for Versions {
    fn from(versions: Vec<Published>) -> Self {
        versions.into_iter().collect()
    }
}

impl From<Versions> for Vec<Published> {
    fn from(versions: Versions) -> Self {
        versions.0
    }
}

impl<'a> IntoIterator for &'a Versions {
    type Item = &'a Published;
    type IntoIter = std::slice::Iter<'a, Published>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The state of one model: its log, folded.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    name: ModelName,
    key: LogKey,
    next: Seq,
    head: Option<Digest>,
    versions: Versions,
    manifests: BTreeMap<Version, Digest>,
    channels: BTreeMap<Channel, Vec<Move>>,
    attestations: BTreeMap<Version, Vec<Attestation>>,
}

impl Catalogue {
    /// A model about which nothing has been said.
    pub(crate) fn new(name: ModelName) -> Self {
        Self {
            key: LogKey::model(&name),
            name,
            next: Seq::FIRST,
            head: None,
            versions: Versions::default(),
            manifests: BTreeMap::new(),
            channels: BTreeMap::new(),
            attestations: BTreeMap::new(),
        }
    }

    /// Takes in the next record of the log.
    ///
    /// An entry that does not follow from those before it is [`Error::Corrupt`] and is never guessed
    /// around; the catalogue is then good for nothing.
    pub(crate) fn apply(&mut self, record: &[u8]) -> Result<()> {
        let seq = self.next;
        let entry = Entry::decode(&self.key, seq, record)?;
        let wrong = |why: String| corrupt(&self.key, seq, why);
        if entry.seq != seq {
            return Err(wrong(format!("it says that it is record {}", entry.seq)));
        }
        if entry.prev != self.head {
            return Err(wrong("its `prev` is not the digest of the record before it".to_owned()));
        }
        for fact in entry.facts {
            self.learn(seq, &entry.stamp, fact).map_err(|why| corrupt(&self.key, seq, why))?;
        }
        self.head = Some(Digest::of(record));
        self.next = seq.next();
        Ok(())
    }

    /// The entry that says `facts` after everything said so far.
    pub(crate) fn entry(&self, stamp: Stamp, facts: Vec<Fact>) -> Entry {
        Entry::new(self.next, self.head, stamp, facts)
    }

    pub(crate) const fn key(&self) -> &LogKey {
        &self.key
    }

    pub(crate) const fn next(&self) -> Seq {
        self.next
    }

    /// The version, or [`Error::NotFound`].
    pub(crate) fn published(&self, model: &ModelRef) -> Result<&Published> {
        self.versions.version(model.version()).ok_or_else(|| Error::missing(model, &self.versions))
    }

    /// The digest of the version's manifest document, or [`Error::NotFound`].
    pub(crate) fn manifest(&self, model: &ModelRef) -> Result<Digest> {
        self.manifests.get(model.version()).copied().ok_or_else(|| Error::missing(model, &self.versions))
    }

    /// The versions, or [`Error::NotFound`] when there is none.
    pub(crate) fn into_versions(self) -> Result<Versions> {
        if self.versions.is_empty() { Err(Error::unknown(&self.name)) } else { Ok(self.versions) }
    }

    /// Whether publishing `digest` as `model` would change anything: `false` when it is there already.
    pub(crate) fn admits(&self, model: &ModelRef, digest: &Digest) -> Result<bool> {
        let Some(there) = self.equal_precedence(model)? else { return Ok(true) };
        if there.digest == *digest {
            return Ok(false);
        }
        Err(Error::AlreadyPublished { model: model.clone(), existing: there.digest, offered: *digest })
    }

    /// The version if it exists, and [`Error::Invalid`] if another takes its place in the order.
    pub(crate) fn equal_precedence(&self, model: &ModelRef) -> Result<Option<&Published>> {
        let version = model.version();
        match self.versions.equal_precedence(version) {
            Some(there) if there.version != *version => Err(Invalid::new(
                "version",
                version.to_string(),
                format!("{} exists and differs only in build metadata, which does not order versions; raise the version", there.version),
            )
            .into()),
            there => Ok(there),
        }
    }

    /// The moves of a channel, oldest first.
    pub(crate) fn history(&self, channel: &Channel) -> &[Move] {
        self.channels.get(channel).map_or(&[], Vec::as_slice)
    }

    /// Every channel and its last move.
    pub(crate) fn heads(&self) -> Vec<(Channel, Move)> {
        let last = |(channel, moves): (&Channel, &Vec<Move>)| Some((channel.clone(), moves.last()?.clone()));
        self.channels.iter().filter_map(last).collect()
    }

    /// What was said about a version after it was published, oldest first.
    pub(crate) fn attestations(&self, version: &Version) -> &[Attestation] {
        self.attestations.get(version).map_or(&[], Vec::as_slice)
    }

    fn learn(&mut self, seq: Seq, stamp: &Stamp, fact: Fact) -> Result<(), String> {
        match fact {
            Fact::Attest { version, attestation } => {
                self.expect_version(&version)?;
                self.attestations.entry(version).or_default().push(attestation);
            }
            Fact::Promote { channel, to, from, cause } => {
                self.promote(seq, stamp, channel, to, from, cause)?
            }
            Fact::Publish { version, digest, size, manifest } => {
                let Err(at) = self.versions.position(&version) else {
                    return Err(format!("it publishes {version} a second time"));
                };
                self.manifests.insert(version.clone(), manifest);
                self.versions.0.insert(at, Published::new(version, digest, size, stamp.clone()));
            }
            Fact::Settle { channel, seq: of } => {
                let moves = self.channels.entry(channel).or_default();
                let settled = moves.iter_mut().find(|made| made.seq == of);
                let Some(made) = settled.filter(|made| made.settled.is_none()) else {
                    return Err(format!("it settles move {of}, which is not there to be settled"));
                };
                made.settled = Some(stamp.clone());
            }
        }
        Ok(())
    }

    fn promote(
        &mut self,
        seq: Seq,
        stamp: &Stamp,
        channel: Channel,
        to: ModelRef,
        from: Option<ModelRef>,
        cause: Cause,
    ) -> Result<(), String> {
        if *to.name() != self.name {
            return Err(format!("it moves a channel of {} to {to}", self.name));
        }
        self.expect_version(to.version())?;
        let moves = self.channels.entry(channel).or_default();
        let last = moves.last();
        if last.map(|made| &made.to) != from.as_ref() || last.is_some_and(|made| made.seq == seq) {
            return Err("it moves a channel from where it was not".to_owned());
        }
        moves.push(Move { seq, to, from, cause, stamp: stamp.clone(), settled: None });
        Ok(())
    }

    fn expect_version(&self, version: &Version) -> Result<(), String> {
        match self.versions.version(version) {
            Some(_) => Ok(()),
            None => Err(format!("it speaks of {version}, which is not published")),
        }
    }
}
