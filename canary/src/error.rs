//! Why a rollout could not go on, and why a router or deployer did not act.

use tidegate_registry as registry;

use crate::{Fence, IllegalEvent, Release, RolloutId};

/// A boxed cause, for backends whose own errors are not part of this API.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a driver stopped. The rollout itself is where its journal says; open it again to go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another rollout is under way on this route. Wait for it, or abort it.
    #[error("rollout {id} is under way on this route; wait for its end or abort it first")]
    Busy {
        /// That rollout.
        id: RolloutId,
    },
    /// Another rollout has been opened since. Look at that one, then ask it.
    #[error("rollout {by} has been opened on this route since; look at that one, then ask again")]
    Followed {
        /// That rollout.
        by: RolloutId,
    },
    /// A rollback or another authority holds the route. Wait until it is done.
    #[error("{by} holds this route; wait until it has released it")]
    Held {
        /// Who.
        by: String,
    },
    /// The id belongs to a rollout that is over and was followed by others. Use a new id for a new rollout.
    #[error("rollout {id} is over and others have followed it; open this one under a new id")]
    IdUsed {
        /// The id.
        id: RolloutId,
    },
    /// The request makes no sense in the state that the rollout is in.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// The journal could not be read or written.
    #[error("the journal of the route cannot be used")]
    Journal(#[source] registry::Error),
    /// The journal does not replay: it was written by something else, or damaged.
    #[error("record {seq} of the route's journal does not follow from those before it; restore the journal")]
    JournalBroken {
        /// The first such record.
        seq: registry::Seq,
        /// Why it does not follow.
        source: BoxError,
    },
    /// No rollout was ever opened on this route.
    #[error("no rollout was ever opened on this route; check its name, or open one first")]
    NothingOpened,
    /// A rollout of this id was opened with another plan. Use a new id for a new plan.
    #[error("rollout {id} was opened with another plan; open the changed plan under a new id")]
    PlanChanged {
        /// That rollout.
        id: RolloutId,
    },
    /// The driver of this rollout has ended, so nobody acts on the request.
    #[error("the driver of this rollout has ended; open the rollout again and repeat the request")]
    Stopped,
    /// Another driver or a rollback took the route. This driver must not act any more.
    #[error("another driver has taken the route over; this one has stopped acting")]
    Superseded,
    /// The rollout waits for a person, but nobody holds its handle. Open it again when somebody has decided.
    #[error(
        "the rollout waits for a person, but nobody holds the handle of its driver; open it again and approve, reject or abort it"
    )]
    Unattended,
}

impl Error {
    /// Whether opening the rollout again later may help, with nobody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Journal(error) if error.is_transient())
    }
}

/// Why a router, a deployer or the registry did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActuatorError {
    /// A later driver has acted. Stop.
    #[error("fence {offered} is older than {held}, which somebody has acted with; this driver must stop")]
    Fenced {
        /// The fence of the call.
        offered: Fence,
        /// The highest fence seen.
        held: Fence,
    },
    /// It was told something else than what runs, and what puts that in force, such as a GitOps controller, has not done
    /// so, or not any more. It may do so later.
    #[error("{target}: not in force")]
    Displaced {
        /// What was told.
        target: String,
        /// What runs.
        runs: Box<Release>,
        /// Where they differ, and what to do about it.
        source: BoxError,
    },
    /// It understood and will not. Repeating the call does not help.
    #[error("{target} refused")]
    Refused {
        /// The router or deployer, and what it acts on.
        target: String,
        /// Its answer.
        source: BoxError,
    },
    /// It did not answer, or asks to be called again later.
    #[error("{target} is unavailable")]
    Unavailable {
        /// The router or deployer, and what it acts on.
        target: String,
        /// The last failure.
        source: BoxError,
    },
}

/// What a driver asks of a registry is one more thing that has to be done.
impl From<registry::Error> for ActuatorError {
    fn from(error: registry::Error) -> Self {
        let target = "the registry".to_owned();
        if error.is_transient() {
            Self::Unavailable { target, source: error.into() }
        } else {
            Self::Refused { target, source: error.into() }
        }
    }
}

impl ActuatorError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Displaced { .. } | Self::Unavailable { .. })
    }
}
