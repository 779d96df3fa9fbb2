//! Why a rollback could not go on. A rollback that is stuck is no error: it is a state for a person.

use tidegate_canary::{self as canary, Release, RolloutId};
use tidegate_registry as registry;

use crate::{InvalidOrder, InvalidWatch, NoTarget};

/// Why a rollback stopped. It is where its journal says; open it again to go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    #[error(
        "record {seq} of the rollback's journal does not follow from those before it; restore the journal"
    )]
    JournalBroken {
        /// The first such record.
        seq: registry::Seq,
        /// Why it does not follow.
        source: registry::BoxError,
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
    /// The registry could not be read or written.
    #[error("the registry cannot be used")]
    Registry(#[source] registry::Error),
    /// The route could not be taken.
    #[error("the route cannot be taken")]
    Route(#[source] canary::Error),
    /// Another driver or rollback took the route. This one must not act any more.
    #[error("another driver or rollback has taken the route over; this one has stopped acting")]
    Superseded,
}

impl Error {
    /// Whether opening the rollback again later may help, with nobody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Route(error) => error.is_transient(),
            _ => false,
        }
    }
}
