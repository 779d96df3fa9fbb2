//! Waiting for a cluster, which has the machine to share with other tests.

use std::{fmt::Debug, time::Duration};

const EVERY: Duration = Duration::from_millis(50);
/// Five minutes. Only what never comes takes them.
const LOOKS: u32 = 6_000;

/// Looks again and again until there is what is waited for; `Err` has what was seen instead.
///
/// # Panics
///
/// If it has not come after five minutes.
#[allow(clippy::future_not_send, reason = "a test runs in one thread")]
pub(crate) async fn until<T, E: Debug>(what: &str, look: impl AsyncFn() -> Result<T, E>) -> T {
    let mut last = None;
    for _ in 0..LOOKS {
        match look().await {
            Ok(found) => return found,
            Err(seen) => last = Some(seen),
        }
        tokio::time::sleep(EVERY).await;
    }
    panic!("waited five minutes until {what}; last: {last:?}");
}
