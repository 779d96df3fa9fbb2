//! Keeping snapshots of a journal beside everything else that a driver does.

use std::{future::pending, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use tidegate_registry::Log;

use super::Pen;
use crate::Duty;

/// A snapshot that is being kept. It is one of lines that are durable, so nothing hangs on it, nothing waits for it,
/// and that it could not be kept is no more than noted.
#[derive(Default)]
pub(crate) struct Keeping(Option<BoxFuture<'static, ()>>);

impl Keeping {
    /// Begins to keep a snapshot, if `every` so many records have been written since the last and there is time for
    /// it: while something is owed that moves traffic, there is not.
    pub(crate) fn tend(&mut self, log: &Arc<dyn Log>, pen: &mut Pen, every: u64) {
        if self.0.is_some() || pen.tail() < every {
            return;
        }
        let idle = |duty| matches!(duty, Duty::Await | Duty::Observe { .. } | Duty::Wait { .. });
        if !pen.latest().is_some_and(|(_, rollout)| idle(rollout.duty())) {
            return;
        }
        let Some(draft) = pen.draft() else { return };
        let log = Arc::clone(log);
        let keep = async move {
            if let Err(error) = draft.keep(&*log).await {
                tracing::warn!(error, "cannot keep a snapshot; opening the rollout again takes longer");
            }
        };
        self.0 = Some(keep.boxed());
    }

    /// Keeps it; then returns, once.
    pub(crate) async fn done(&mut self) {
        match &mut self.0 {
            Some(keep) => keep.await,
            None => pending().await,
        }
        self.0 = None;
    }
}
