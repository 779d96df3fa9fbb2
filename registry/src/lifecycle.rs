//! Taking versions back: yanked, quarantined, deleted, expired.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    Channel, Digest, Error, Filter, Invalid, Log, ModelName, ModelRef, Published, Result, Stamp, Withdrawal,
    catalogue::{Catalogue, Catalogues, Fact},
};

/// What is said about versions that should no longer be used, in the log where they are published.
///
/// | | found by `latest`, `^1.2` | promoted | pulled by its number | for what |
/// |---|---|---|---|---|
/// | yanked | no | if asked for | yes | it has a flaw; who uses it may go on |
/// | quarantined | no | no | yes | its content must not take traffic until a person lifts it |
/// | deleted | no | no | no | it is gone, and its number is never used again |
///
/// Nothing here removes bytes: that is for the garbage collection, once a deleted version is of no use to
/// anybody.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    log: Arc<dyn Log>,
    catalogues: Arc<Catalogues>,
}

/// Which versions are to be kept. A version is kept if anything in here, or a channel that points or pointed
/// to it, keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Retention {
    /// So many of the highest releases.
    pub releases: usize,
    /// So many of the highest pre-releases.
    pub pre_releases: usize,
    /// Everything that was published so recently.
    pub within: Duration,
    /// So many of the last moves of each channel keep the versions that they were to and from.
    pub moves: usize,
}

impl Lifecycle {
    /// What is recorded in `log`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, catalogues: Arc::default() }
    }

    /// Says that nobody should start to use a version: `latest` and requirements pass it over. Channels that
    /// point to it do so still, and it can be pulled. Of a yanked version this changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the version is not published in this log, [`Error::CommitUnknown`] when it
    /// cannot be told whether it was recorded, and those of [`Log::read`].
    pub async fn yank(&self, model: &ModelRef, reason: &str, stamp: Stamp) -> Result<()> {
        let (version, reason) = (model.version().clone(), said(reason)?);
        self.about(model, &stamp, |_, published| {
            Ok(published
                .yanked
                .is_none()
                .then(|| Fact::Yank { version: version.clone(), reason: reason.clone() }))
        })
        .await
    }

    /// Takes [`yank`](Self::yank) back. Of a version that is not yanked this changes nothing.
    ///
    /// # Errors
    ///
    /// As [`yank`](Self::yank).
    pub async fn unyank(&self, model: &ModelRef, reason: &str, stamp: Stamp) -> Result<()> {
        let (version, reason) = (model.version().clone(), said(reason)?);
        self.about(model, &stamp, |_, published| {
            let fact = || Fact::Unyank { version: version.clone(), reason: reason.clone() };
            Ok(published.yanked.is_some().then(fact))
        })
        .await
    }

    /// Says that the content of a version may not be promoted, under this number or any other. `latest` and
    /// requirements pass it over. Of quarantined content this changes nothing.
    ///
    /// # Errors
    ///
    /// As [`yank`](Self::yank).
    pub async fn quarantine(&self, model: &ModelRef, reason: &str, stamp: Stamp) -> Result<()> {
        let reason = said(reason)?;
        self.about(model, &stamp, |_, published| {
            let fact = || Fact::Quarantine { digest: published.digest, reason: reason.clone() };
            Ok(published.quarantined.is_none().then(fact))
        })
        .await
    }

    /// Takes [`quarantine`](Self::quarantine) back. Of content that is not in quarantine this changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`yank`](Self::yank).
    pub async fn lift(&self, model: &ModelRef, reason: &str, stamp: Stamp) -> Result<()> {
        let reason = said(reason)?;
        self.about(model, &stamp, |_, published| {
            let fact = || Fact::Lift { digest: published.digest, reason: reason.clone() };
            Ok(published.quarantined.is_some().then(fact))
        })
        .await
    }

    /// Deletes a version: it cannot be found or pulled any more, and its number is never used again.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while a channel points to it; otherwise as [`yank`](Self::yank).
    pub async fn delete(&self, model: &ModelRef, reason: &str, stamp: Stamp) -> Result<()> {
        let (version, reason) = (model.version().clone(), said(reason)?);
        self.about(model, &stamp, |catalogue, _| {
            let users: Vec<Channel> = catalogue
                .currents()
                .filter(|(_, made)| made.to == *model)
                .map(|(channel, _)| channel.clone())
                .collect();
            if !users.is_empty() {
                return Err(Error::InUse { model: model.clone(), channels: users });
            }
            Ok(Some(Fact::Delete { version: version.clone(), reason: reason.clone() }))
        })
        .await
    }

    /// Deletes every version that `retention` does not keep, in one record, and returns them, the highest
    /// first. With `rehearse` nothing is deleted.
    ///
    /// # Errors
    ///
    /// As [`yank`](Self::yank).
    pub async fn expire(
        &self,
        name: &ModelName,
        retention: &Retention,
        rehearse: bool,
        stamp: Stamp,
    ) -> Result<Vec<ModelRef>> {
        let mut expired = Vec::new();
        let commit = self.catalogues.commit(&*self.log, name, &stamp, |catalogue| {
            catalogue.expect_versions()?;
            expired = retention.expired(catalogue, stamp.at)?;
            let delete = |model: &ModelRef| Fact::Delete {
                version: model.version().clone(),
                reason: "it is older than is kept".to_owned(),
            };
            Ok(if rehearse { Vec::new() } else { expired.iter().map(delete).collect() })
        });
        commit.await?;
        Ok(expired)
    }

    /// All content of a model that is in quarantine, and why.
    ///
    /// # Errors
    ///
    /// Those of [`Log::read`].
    pub async fn quarantines(&self, name: &ModelName) -> Result<BTreeMap<Digest, Withdrawal>> {
        Ok(self.catalogues.fold(&*self.log, name).await?.quarantines().clone())
    }

    /// Records what `fact` answers to the state of `model`, if it answers anything.
    async fn about(
        &self,
        model: &ModelRef,
        stamp: &Stamp,
        mut fact: impl FnMut(&Catalogue, &Published) -> Result<Option<Fact>> + Send,
    ) -> Result<()> {
        let commit = self.catalogues.commit(&*self.log, model.name(), stamp, |catalogue| {
            Ok(fact(catalogue, &catalogue.published(model)?)?.into_iter().collect())
        });
        commit.await.map(drop)
    }
}

impl Retention {
    fn expired(&self, catalogue: &Catalogue, at: SystemTime) -> Result<Vec<ModelRef>> {
        let mut kept = BTreeSet::new();
        kept.extend(catalogue.currents().map(|(_, current)| current.to.clone()));
        for history in catalogue.histories() {
            for made in history.iter().rev().take(self.moves) {
                kept.extend([Some(made.to.clone()), made.from.clone()].into_iter().flatten());
            }
        }
        let (mut releases, mut pre_releases) = (self.releases, self.pre_releases);
        let mut expired = Vec::new();
        for published in catalogue.clone().list(Filter::default()) {
            let published = published?;
            let left = if published.version.pre.is_empty() { &mut releases } else { &mut pre_releases };
            let is_high = *left > 0;
            *left = left.saturating_sub(1);
            let age = at.duration_since(published.stamp.at).unwrap_or_default();
            let model = catalogue.name().at(published.version);
            if !is_high && age > self.within && !kept.contains(&model) {
                expired.push(model);
            }
        }
        Ok(expired)
    }
}

/// A reason that is worth recording.
fn said(reason: &str) -> Result<String, Invalid> {
    const LONGEST: usize = 1024;
    if reason.trim().is_empty() || reason.len() > LONGEST {
        return Err(Invalid::new("reason", reason, "say why, in 1 to 1024 bytes; somebody will ask"));
    }
    Ok(reason.to_owned())
}
