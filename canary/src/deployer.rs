//! Making a version run.

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegate_registry::{Digest, Manifest, ModelRef};

use crate::{ActuatorError, Fence, Slot, Weight};

/// Makes versions run in the slots of one route. A version has to run before traffic can reach it.
///
/// # Contract
///
/// * **Absolute and idempotent.** `ensure` says what is to run in a slot and how much it must carry. It
///   starts it and returns; when it is ready, `status` says so. Ensuring what runs already changes nothing;
///   ensuring another release replaces what ran there, another share makes it larger or smaller.
/// * **Fenced**, as [`TrafficRouter`](crate::TrafficRouter) is.
/// * **Ready means ready.** [`Readiness::Ready`] is said of a release that answers requests now, at the size
///   that was last ensured, and is the one that was last ensured, never its predecessor that still runs.
/// * **Rehearsing changes nothing**, and what it refuses `ensure` would refuse, too, as things stand.
/// * `remove` of an empty slot succeeds. Requests in flight may end; nothing is removed that new ones may
///   still reach, the caller sees to that.
#[async_trait]
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait Deployer: Any + fmt::Debug + Send + Sync + 'static {
    /// Whether it has the stable slot only, where one release replaces another under traffic, as in a rolling
    /// update. It refuses to fill the others.
    fn in_place(&self) -> bool {
        false
    }

    /// Makes `workload` what is to run in its slot.
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError>;

    /// Whether [`ensure`](Self::ensure) would take `workload`, as far as that can be told without changing anything. A
    /// rollback asks before it chooses a version to go back to. Unless a deployer says otherwise, it cannot tell.
    ///
    /// # Errors
    ///
    /// [`ActuatorError::Refused`] with the reason why it could not run, [`ActuatorError::Unavailable`] when that cannot be
    /// told now.
    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        // Nothing is known of it.
        let _ = workload;
        Ok(Rehearsed::Unknown)
    }

    /// What runs in `slot`.
    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError>;

    /// Makes `slot` empty.
    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError>;
}

/// What is to run: a version, pinned by its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Release {
    /// The version.
    pub model: ModelRef,
    /// Its content, as its manifest states it.
    pub digest: Digest,
}

/// What is to run in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Workload {
    /// The slot.
    pub slot: Slot,
    /// What runs there.
    pub release: Release,
    /// The share of the route's traffic that it must be able to carry. A deployer of several replicas starts as
    /// many of them as that takes, and one at least; one that runs everything once need not look at it.
    pub share: Weight,
}

/// What a rehearsal of a [`Workload`] has shown, where nothing speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rehearsed {
    /// Whatever can be tried without changing anything was tried, and accepted.
    Accepted,
    /// Nothing could be tried.
    Unknown,
}

/// How far a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// Nothing runs there.
    Absent,
    /// It will not become ready by waiting.
    Failed {
        /// What was to run.
        release: Release,
        /// Why it does not.
        why: String,
    },
    /// It answers requests.
    Ready {
        /// What runs.
        release: Release,
    },
    /// It is on its way.
    Starting {
        /// What will run.
        release: Release,
    },
}

impl Readiness {
    /// The release that answers requests.
    #[must_use]
    pub const fn ready(&self) -> Option<&Release> {
        match self {
            Self::Ready { release } => Some(release),
            _ => None,
        }
    }
}

impl From<&Manifest> for Release {
    fn from(manifest: &Manifest) -> Self {
        Self { model: manifest.model.clone(), digest: manifest.digest }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}

#[async_trait]
impl<T: Deployer + ?Sized> Deployer for Arc<T> {
    fn in_place(&self) -> bool {
        (**self).in_place()
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        (**self).ensure(workload, fence).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        (**self).rehearse(workload).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        (**self).status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        (**self).remove(slot, fence).await
    }
}
