//! Which side of a pair is asked first.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::Error;

/// Whose turn it is. A pair of which one side is given up shows nothing, so the other is then not asked and not paid for;
/// and whoever was given up last is asked first, for it may be so again.
#[derive(Debug, Default)]
pub(super) struct Turns {
    baseline_first: AtomicBool,
}

impl Turns {
    /// Asks one side and then the other, unless `is_given_up` holds of what the first made of it; nothing for a side
    /// that was not asked.
    pub(super) async fn both<T>(
        &self,
        candidate: impl Future<Output = Result<T, Error>> + Send,
        baseline: impl Future<Output = Result<T, Error>> + Send,
        is_given_up: impl Fn(&T) -> bool + Send,
    ) -> Result<[Option<T>; 2], Error>
    where
        T: Send,
    {
        if self.baseline_first.load(Ordering::Relaxed) {
            let baseline = baseline.await?;
            if is_given_up(&baseline) {
                return Ok([None, Some(baseline)]);
            }
            let candidate = candidate.await?;
            if is_given_up(&candidate) {
                self.baseline_first.store(false, Ordering::Relaxed);
            }
            return Ok([Some(candidate), Some(baseline)]);
        }
        let candidate = candidate.await?;
        if is_given_up(&candidate) {
            return Ok([Some(candidate), None]);
        }
        let baseline = baseline.await?;
        if is_given_up(&baseline) {
            self.baseline_first.store(true, Ordering::Relaxed);
        }
        Ok([Some(candidate), Some(baseline)])
    }
}
