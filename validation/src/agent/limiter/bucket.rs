//! So much a minute, as a bucket that fills.

use std::time::Duration;

/// A bucket of units that fills as time passes: so many a minute, in whichever minute one counts.
///
/// It holds a tenth of them and fills with the rest, so that no minute sees more than all of them: a
/// bucket that holds all and fills with all lets twice as many through in its first minute. What is larger
/// than the bucket goes when it is full, and leaves it owing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    holds: f64,
    per_second: f64,
    level: f64,
    /// When the level was this.
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(per_minute: u64) -> Self {
        let per_minute = per_minute.max(1) as f64;
        let holds = (per_minute / 10.0).max(1.0);
        Self { holds, per_second: (per_minute - holds + 1.0) / 60.0, level: holds, at: Duration::ZERO }
    }

    /// When there will be room for `units`, at the earliest `now`.
    pub(super) fn room(&self, units: u64, now: Duration) -> Duration {
        // Rounding must not say a moment at which there is no room yet.
        const GRAIN: Duration = Duration::from_micros(1);
        let lacking = (units as f64).min(self.holds) - self.level_at(now);
        if lacking <= 1e-9 {
            return now;
        }
        let wait = Duration::try_from_secs_f64(lacking / self.per_second).unwrap_or(Duration::MAX);
        now.saturating_add(wait).saturating_add(GRAIN)
    }

    pub(super) fn take(&mut self, units: u64, now: Duration) {
        self.level = self.level_at(now) - units as f64;
        self.at = now;
    }

    fn level_at(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        (self.level + passed * self.per_second).min(self.holds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn no_minute_sees_more_than_its_share(per_minute in 1_u64..500, pauses in vec(0_u64..20_000, 1..1500)) {
            let mut bucket = Bucket::new(per_minute);
            let (mut now, mut taken) = (Duration::ZERO, Vec::new());
            for pause in pauses {
                // Mostly as fast as it goes, now and then later.
                now = bucket.room(1, now + Duration::from_millis(pause.saturating_sub(18_000)));
                prop_assert_eq!(bucket.room(1, now), now);
                bucket.take(1, now);
                taken.push(now);
            }
            for (i, start) in taken.iter().enumerate() {
                let end = *start + Duration::from_secs(60);
                let within = taken[i..].iter().take_while(|&&at| at < end).count() as u64;
                prop_assert!(within <= per_minute, "{} of {} from {:?}", within, per_minute, start);
            }
        }
    }

    #[test]
    fn all_of_a_minute_is_used() {
        for per_minute in [1, 7, 60, 600] {
            let mut bucket = Bucket::new(per_minute);
            let mut now = Duration::ZERO;
            let mut taken = 0;
            while now < Duration::from_secs(600) {
                bucket.take(1, now);
                taken += 1;
                now = bucket.room(1, now);
            }
            assert!(taken as f64 >= 0.88 * (10 * per_minute) as f64, "{taken} of {}", 10 * per_minute);
        }
    }

    #[test]
    fn what_is_larger_than_the_bucket_goes_and_is_paid_for() {
        let mut bucket = Bucket::new(600);
        assert_eq!(bucket.room(1_000_000, Duration::ZERO), Duration::ZERO);
        bucket.take(600, Duration::ZERO);
        assert!(bucket.room(1, Duration::ZERO) > Duration::from_secs(55));
    }
}
