//! The attempts of a call, each of which may have to be paid for.
//!
//! An agent tries again out of sight of the run that asked it, below whatever wraps it. What is set aside for its call
//! is therefore found by the task that makes it, and not handed down; an agent that makes its attempts on another task
//! has to tell of them itself.

use std::{future::Future, sync::Arc};

use super::purse::Reservation;

tokio::task_local! {
    static CALL: Arc<Reservation>;
}

/// Makes a call, whose attempts are paid for from `reservation`.
pub(crate) async fn within<F: Future>(reservation: &Arc<Reservation>, call: F) -> F::Output {
    CALL.scope(Arc::clone(reservation), call).await
}

/// Says that an attempt of the call under way failed and may have to be paid for all the same.
#[cfg(feature = "openai")]
pub(crate) fn failed() {
    // Nobody pays for a call that is not made on the terms of a run.
    let _ = CALL.try_with(|reservation| reservation.fail());
}

/// Sets aside what one more attempt can take, if the last one took what was there.
#[cfg(feature = "openai")]
pub(crate) async fn again() -> Result<(), super::Shortage> {
    match CALL.try_with(Arc::clone) {
        Ok(reservation) => reservation.again().await,
        Err(_) => Ok(()),
    }
}
