//! What runs in place of a release, where releases replace each other in place.

use std::time::Duration;

use tidegate_canary::{ActuatorError, Deployer, Readiness, Release, Slot};

/// Another release in the stable slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instead {
    pub(crate) runs: Release,
    pub(crate) how: How,
    /// What is known of it, in words.
    pub(crate) why: String,
}

/// How another release came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The deployer says that it is what is meant to run, and it runs or has failed: somebody's decision.
    Deployed,
    /// What the deployer was told is something else than what runs, as where a change to files is merged late.
    Displaced,
    /// As deployed, but on the way still, as every ordinary change is for a while.
    Starting,
}

/// What runs in the stable slot instead of `release`, if anything does. Elsewhere than in place another slot says nothing of
/// it, and neither does a deployer that does not answer `within` that time.
pub(crate) async fn instead_of(
    release: &Release,
    deployer: &dyn Deployer,
    within: Duration,
) -> Option<Instead> {
    if !deployer.in_place() {
        return None;
    }
    let (runs, how, more) = match tokio::time::timeout(within, deployer.status(Slot::Stable)).await.ok()? {
        Ok(Readiness::Ready { release }) => (release, How::Deployed, String::new()),
        Ok(Readiness::Failed { release, why }) => {
            (release, How::Deployed, format!(", and has failed there: {why}"))
        }
        Ok(Readiness::Starting { release }) => (release, How::Starting, ", or is about to".to_owned()),
        Err(ActuatorError::Displaced { runs, target, source }) => {
            (*runs, How::Displaced, format!(": {target}: {source}"))
        }
        _ => return None,
    };
    let why = format!("{runs} runs in the stable slot, not {release}{more}");
    (runs != *release).then_some(Instead { runs, how, why })
}
