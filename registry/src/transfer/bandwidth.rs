//! Not more than so many bytes a second.

use std::{
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// A token bucket, kept as the time at which it will have let through what it has promised: the generic cell
/// rate algorithm of ITU-T I.371. Whoever comes is told when to go on; nothing runs in between.
#[derive(Debug)]
pub(crate) struct Bandwidth {
    bytes_a_second: NonZeroU64,
    promised: Mutex<Option<Instant>>,
}

/// What may go at once after a pause.
const BURST: Duration = Duration::from_millis(100);

impl Bandwidth {
    pub(crate) const fn new(bytes_a_second: NonZeroU64) -> Self {
        Self { bytes_a_second, promised: Mutex::new(None) }
    }

    /// Waits until `bytes` more may pass.
    pub(crate) async fn pass(&self, bytes: usize) {
        let now = Instant::now();
        let go = {
            let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            let go = promised.map_or(earliest, |promised| promised.max(earliest));
            let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_a_second.get());
            let taken = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            // A rate so low that time ends before the bytes have passed is none.
            *promised = Some(go.checked_add(taken).unwrap_or(go));
            go
        };
        if go > now {
            sleep_until(go).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_over_all_who_share_it_and_pauses_save_up_little() {
        let bandwidth = Bandwidth::new(NonZeroU64::new(1_000_000).unwrap());
        let took = async |who: usize, bytes: usize| {
            let start = Instant::now();
            join_all((0..who).map(|_| bandwidth.pass(bytes))).await;
            start.elapsed()
        };
        // The first goes at once, and what is promised by then is owed.
        assert_eq!(took(1, 5_000_000).await, Duration::ZERO);
        let next = took(1, 0).await;
        assert!((4_899..=4_901).contains(&next.as_millis()), "{next:?}");
        let shared = took(10, 100_000).await;
        assert!((800..=1_000).contains(&shared.as_millis()), "{shared:?}");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let after_pause = took(100, 10_000).await;
        assert!((880..=1_000).contains(&after_pause.as_millis()), "{after_pause:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_amount_overflows() {
        let bandwidth = Bandwidth::new(NonZeroU64::new(1).unwrap());
        bandwidth.pass(usize::MAX).await;
        let slow = tokio::time::timeout(Duration::from_secs(1_000_000), bandwidth.pass(1));
        slow.await.unwrap_err();
    }
}
