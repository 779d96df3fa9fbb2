//! What is known of the versions in a channel's history, besides that history.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as StdError,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tidegate_canary::{Release, Slot, Weight, Workload, World};
use tidegate_registry::{
    Digest, Error as RegistryError, Lifecycle, ModelName, ModelRef, ModelStoreExt as _, Move, Withdrawal,
};

use crate::{Choice, Error};

/// The label of a version that must not be rolled back from or past, such as one that has changed a schema for good:
/// its value is `false`. A person can still name an exact target beyond it.
pub const ROLLBACK_SAFE: &str = "tidegate.dev/rollback-safe";

/// What is known of versions, besides the channel's history. Nothing is known against a version that is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    known: BTreeMap<ModelRef, Known>,
    /// Of these nothing could be read.
    unread: BTreeSet<ModelRef>,
    /// Why it is not known what is in quarantine, if it is not.
    unsure: Option<String>,
}

/// What is known of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests and callers of their own write it as a literal")]
pub struct Known {
    /// Why it cannot run, if it cannot.
    pub unfit: Option<Unfit>,
    /// Whether there is no way back from it or past it.
    pub one_way: bool,
    /// What it is, where that is known.
    pub content: Option<Digest>,
}

/// Why a version cannot run. Journaled with an order, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Unfit {
    /// Its bytes are not what its manifest says.
    Damaged {
        /// What was found.
        why: String,
    },
    /// The registry does not have it any more.
    Gone,
    /// Its content is in quarantine.
    Quarantined {
        /// Why.
        why: String,
    },
    /// What would run it refuses to.
    Refused {
        /// Why.
        why: String,
    },
}

/// How long the registry may take over a version of which nothing could be read before.
const AGAIN: Duration = Duration::from_secs(10);

/// How much of a reason is taken down, in characters.
const REASON: usize = 1_000;

impl Survey {
    /// Looks at the versions of `history` from the newest back, at most at `most` of them. Their bytes are not read.
    ///
    /// A registry that is away for longer than `patience` leaves unknown what it holds: a way back must not depend on
    /// every part of the world. What would be wrong is found when the version is made to run; but for what is in
    /// quarantine, which runs all the same: see [`unsure`](Self::unsure).
    pub async fn of(
        world: &World,
        name: &ModelName,
        history: &[Move],
        most: usize,
        patience: Duration,
    ) -> Self {
        let mut survey = Self::default();
        let quarantines = survey.quarantines(world, name, patience).await;
        for moved in history.iter().rev() {
            if survey.known.len() >= most {
                break;
            }
            if !survey.knows(&moved.to) {
                survey.look(world, &moved.to, &quarantines, patience).await;
            }
        }
        survey
    }

    /// Looks at `version`, too, as [`of`](Self::of) looks at those of a history.
    pub async fn include(&mut self, world: &World, version: &ModelRef, patience: Duration) {
        let quarantines = self.quarantines(world, version.name(), patience).await;
        self.look(world, version, &quarantines, patience).await;
    }

    /// Why it is not known what is in quarantine, if it is not: then any of the versions may be.
    #[must_use]
    pub fn unsure(&self) -> Option<&str> {
        self.unsure.as_deref()
    }

    /// What is in quarantine, as far as the registry says so in time.
    async fn quarantines(
        &mut self,
        world: &World,
        name: &ModelName,
        patience: Duration,
    ) -> BTreeMap<Digest, Withdrawal> {
        let lifecycle = Lifecycle::new(Arc::clone(&world.log));
        match tokio::time::timeout(patience, lifecycle.quarantines(name)).await {
            Ok(Ok(quarantines)) => return quarantines,
            Ok(Err(error)) => self.unsure = Some(chain(&error)),
            Err(_) => {
                let patience = humantime::format_duration(patience);
                self.unsure = Some(format!("the registry did not answer within {patience}"));
            }
        }
        BTreeMap::new()
    }

    /// Reads again what could not be read of the versions of `choice`, the target first, and says whether there was anything
    /// to read. What still cannot be read leaves this [`unsure`](Self::unsure): it may be in quarantine, or have no way back
    /// past it.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] when it still cannot and is `waited` for.
    pub(crate) async fn read_on(
        &mut self,
        world: &World,
        choice: &Choice,
        waited: bool,
    ) -> Result<bool, Error> {
        let concerned =
            [&choice.to, &choice.from].into_iter().chain(choice.passed_over.iter().map(|(model, _)| model));
        let unread: Vec<ModelRef> = concerned.filter(|model| self.unread.contains(*model)).cloned().collect();
        for model in &unread {
            if waited
                && let Err(error) = world.store.manifest(model).await.map(drop)
                && error.is_transient()
            {
                return Err(Error::Registry(error));
            }
            // A person who is told of one, or goes on all the same, need not wait for the others as well.
            if self.unsure.is_none() {
                self.include(world, model, AGAIN).await;
            }
            if self.unread.remove(model) {
                self.unsure.get_or_insert_with(|| format!("nothing could be read of {model}"));
            }
        }
        Ok(!unread.is_empty())
    }

    async fn look(
        &mut self,
        world: &World,
        version: &ModelRef,
        quarantines: &BTreeMap<Digest, Withdrawal>,
        patience: Duration,
    ) {
        self.unread.remove(version);
        let manifest = tokio::time::timeout(patience, world.store.manifest(version)).await;
        let known = match manifest {
            Ok(Ok(manifest)) => Known {
                unfit: quarantines
                    .get(&manifest.digest)
                    .map(|withdrawn| Unfit::Quarantined { why: withdrawn.reason.clone() }),
                one_way: manifest.card.labels.get(ROLLBACK_SAFE).is_some_and(|safe| safe == "false"),
                content: Some(manifest.digest),
            },
            Ok(Err(RegistryError::NotFound { .. })) => Known { unfit: Some(Unfit::Gone), ..Known::default() },
            // The registry has lost its artifact, though it knows of the version.
            Ok(Err(error @ RegistryError::Corrupt { .. })) => {
                Known { unfit: Some(Unfit::Damaged { why: chain(&error) }), ..Known::default() }
            }
            Ok(Err(_)) | Err(_) => {
                self.unread.insert(version.clone());
                Known::default()
            }
        };
        self.known.insert(version.clone(), known);
    }

    /// This survey, with what is known of `version`.
    #[must_use]
    pub fn with(mut self, version: ModelRef, known: Known) -> Self {
        self.known.insert(version, known);
        self
    }

    /// Reads every byte of `version`, and takes down what is wrong with them. Whether anything is.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] when they could not be read.
    pub async fn verify(&mut self, world: &World, version: &ModelRef) -> Result<bool, Error> {
        match world.store.verify(version, &()).await {
            Ok(_) => Ok(true),
            // What keeps one from reading, a right that is gone above all, says nothing of the bytes.
            Err(
                error @ (RegistryError::Corrupt { .. }
                | RegistryError::DigestMismatch { .. }
                | RegistryError::NotFound { .. }),
            ) => {
                self.damaged(version, &error.to_string());
                Ok(false)
            }
            Err(error) => Err(Error::Registry(error)),
        }
    }

    /// Asks the deployer whether it could make `release` run, which changes nothing, and takes down what it has against
    /// that. Whether it has nothing.
    ///
    /// What answers requests already is not asked about. One that cannot tell within `patience` has nothing against it: a
    /// way back must not depend on every part of the world.
    pub async fn rehearse(&mut self, world: &World, release: &Release, patience: Duration) -> bool {
        let deployer = &world.deployer;
        // Where a rollback makes it run first; see [`Undo`](crate::Undo).
        let slot = if deployer.in_place() { Slot::Stable } else { Slot::Candidate };
        let workload = Workload { slot, release: release.clone(), share: Weight::FULL };
        let asked = async {
            let stable = deployer.status(Slot::Stable).await;
            if stable.is_ok_and(|stable| stable.ready() == Some(release)) {
                return None;
            }
            deployer.rehearse(&workload).await.err().filter(|error| !error.is_transient())
        };
        let Ok(Some(refused)) = tokio::time::timeout(patience, asked).await else { return true };
        self.note(&release.model, Unfit::Refused { why: chain(&refused) });
        false
    }

    /// Takes down that the bytes of `version` are damaged.
    pub(crate) fn damaged(&mut self, version: &ModelRef, why: &str) {
        self.note(version, Unfit::Damaged { why: why.to_owned() });
    }

    fn note(&mut self, version: &ModelRef, unfit: Unfit) {
        self.known.entry(version.clone()).or_default().unfit.get_or_insert(unfit);
    }

    pub(crate) fn knows(&self, version: &ModelRef) -> bool {
        self.known.contains_key(version)
    }

    /// Whether two versions are known to have the same content.
    pub(crate) fn is_same(&self, one: &ModelRef, other: &ModelRef) -> bool {
        let content = |version| self.known.get(version).and_then(|known| known.content);
        content(one).is_some_and(|digest| content(other) == Some(digest))
    }

    pub(crate) fn unfit(&self, version: &ModelRef) -> Option<&Unfit> {
        self.known.get(version)?.unfit.as_ref()
    }

    pub(crate) fn is_one_way(&self, version: &ModelRef) -> bool {
        self.known.get(version).is_some_and(|known| known.one_way)
    }
}

/// An error and its causes as one sentence, or as much of it as is taken down.
fn chain(error: &dyn StdError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let said = causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"));
    said.chars().take(REASON).collect()
}
