//! Why a rollback could not go on. A rollback that is stuck is no error: it is a state for a person.

use tidegate_canary::{self as canary, Release, RolloutId};
use tidegate_registry as registry;

use crate::{InvalidOrder, InvalidWatch, NoTarget};

/// Why a rollback stopped. It is where its journal says; open it again to go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A person holds the watch of this release: another one must not take that back.
    #[error("a person holds watch {id} of this release; have that one resume, or stop it")]
    Held {
        /// The watch.
        id: RolloutId,
    },
    /// The id belongs to a rollback that is over and was followed by others. Use a new id for a new rollback.
    #[error("rollback {id} is over and others have followed it; open this one under a new id")]
    IdUsed {
        /// The id.
        id: RolloutId,
    },
    /// An order that makes no sense. Nothing was changed.
    #[error(transparent)]
    InvalidOrder(#[from] InvalidOrder),
    /// A watch that makes no sense.
    #[error(transparent)]
    InvalidWatch(#[from] InvalidWatch),
    /// The journal does not replay: it was written by something else, or damaged.
    #[error("record {seq} of the journal does not follow from those before it; restore the journal")]
    JournalBroken {
        /// The first such record.
        seq: registry::Seq,
        /// Why it does not follow.
        source: registry::BoxError,
    },
    /// The id is too long to be that of a rollback, too.
    #[error("the rollback of the watch has no name; give the watch a shorter id")]
    Name(#[source] registry::Invalid),
    /// No watch or no rollback was ever opened on this route.
    #[error("no {kind} was ever opened on this route; check its name, or open one first")]
    NothingOpened {
        /// Which of the two.
        kind: &'static str,
    },
    /// There is nowhere to go back to.
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    /// A rollback of this id was opened with another order. Use a new id for a new order.
    #[error("rollback {id} was opened with another order; open the changed order under a new id")]
    OrderChanged {
        /// That rollback.
        id: RolloutId,
    },
    /// The target is not what was ordered. Nothing was changed.
    #[error("{to} has the content {found} in the registry, not {} as ordered; order it with the digest of its manifest", to.digest)]
    OtherContent {
        /// The target.
        to: Release,
        /// What the registry holds.
        found: registry::Digest,
    },
    /// What was asked makes no sense in the state that it is in.
    #[error(transparent)]
    Refused(registry::BoxError),
    /// The registry could not be read or written.
    #[error("the registry cannot be used")]
    Registry(#[source] registry::Error),
    /// The route could not be taken.
    #[error("the route cannot be taken")]
    Route(#[source] canary::Error),
    /// Another driver or rollback took the route. This one must not act any more.
    #[error("another driver or rollback has taken the route over; this one has stopped acting")]
    Superseded,
    /// What is in quarantine could not be read, so any version may be. A person can go on
    /// [despite that](crate::Intent::unsure).
    #[error(
        "it cannot be read which content of {name} is in quarantine, and what is gone back to might be: {why}; try again once the registry answers, or go back despite that (unsure), which goes on record"
    )]
    Unsure {
        /// The model.
        name: registry::ModelName,
        /// Why it cannot.
        why: String,
    },
}

impl Error {
    /// Whether opening the rollback again later may help, with nobody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Route(error) => error.is_transient(),
            Self::Unsure { .. } => true,
            _ => false,
        }
    }
}
