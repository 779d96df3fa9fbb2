//! Waiting for a cluster, which has the machine to share with other tests.

use std::{fmt::Debug, time::Duration};

/// Only what never comes takes it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Looks again and again until there is what is waited for; `Err` has what was seen instead.
///
/// # Panics
///
/// If it has not come after five minutes.
#[allow(
    clippy::future_not_send,
    reason = "a test runs in one thread; of one whose future can move this would not hold"
)]
pub(crate) async fn until<T, E: Debug>(what: &str, look: impl AsyncFn() -> Result<T, E>) -> T {
    let mut last = None;
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            match look().await {
                Ok(found) => break found,
                Err(seen) => last = Some(seen),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} until {what}; last: {last:?}"))
}
