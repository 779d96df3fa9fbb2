//! Work on blocks one after the other, beside whatever else is done with them.

use std::mem;

use tokio::{sync::mpsc, task::JoinHandle};

use super::blocking::{blocking, joined};
use crate::Result;

/// Does one thing to everything it is given, in order, on blocking threads; several lanes that are given the
/// same blocks work on them at the same time, each at its own pace.
///
/// Dropping it ends the work after what it was given by then.
#[derive(Debug)]
pub(crate) struct Lane<T, S> {
    feed: mpsc::Sender<T>,
    done: JoinHandle<Result<S>>,
}

/// How many items wait where nothing else bounds them. Twice as many can be held, because as many may be
/// worked on.
pub(crate) const DEPTH: usize = 3;

impl<T: Send + 'static, S: Send + 'static> Lane<T, S> {
    /// Does `step` to each item, of which `depth` may wait. A failure ends the lane.
    pub(crate) fn start(depth: usize, state: S, step: fn(&mut S, T) -> Result<()>) -> Self {
        let (feed, mut items) = mpsc::channel(depth);
        let work = async move {
            let (mut state, mut next) = (state, Vec::new());
            // Not one call of a blocking thread for the whole lane: that would stand still in it, and tokio's
            // paused time with it.
            while items.recv_many(&mut next, depth).await > 0 {
                let batch = mem::take(&mut next);
                state = blocking(move || {
                    batch.into_iter().try_for_each(|item| step(&mut state, item))?;
                    Ok::<_, crate::Error>(state)
                })
                .await?;
            }
            Ok(state)
        };
        Self { feed, done: tokio::spawn(work) }
    }

    /// Waits until there is room. Whether the lane still takes anything: one that has failed does not, and
    /// [`finish`](Self::finish) says why.
    pub(crate) async fn give(&self, item: T) -> bool {
        self.feed.send(item).await.is_ok()
    }

    /// Waits for the end of the work.
    pub(crate) async fn finish(self) -> Result<S> {
        drop(self.feed);
        joined(self.done).await
    }
}
