//! When to try again.

use std::{iter, time::Duration};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How often and after what time a call is tried again.
///
/// The waits are drawn from 0 to twice the range of the wait before ("full jitter": Brooker, "Exponential
/// backoff and jitter", AWS Architecture Blog, 2015), unless the server says how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Retry {
    /// Attempts after the first; 4 by default.
    pub retries: u32,
    /// The longest first wait; 0.5 s by default.
    pub first: Duration,
    /// The longest wait of all; 60 s by default.
    pub longest: Duration,
    /// What the waits are drawn from.
    pub seed: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { retries: 4, first: Duration::from_millis(500), longest: Duration::from_secs(60), seed: 0 }
    }
}

/// The waits of one call, as many as it may have.
pub(crate) struct Backoff {
    random: fastrand::Rng,
    ranges: Box<dyn Iterator<Item = Duration> + Send>,
}

impl Backoff {
    /// The waits of the call number `call`.
    pub(crate) fn new(retry: Retry, call: u64) -> Self {
        let doubled = iter::successors(Some(retry.first), |range| Some(range.saturating_mul(2)));
        let ranges = doubled.map(move |range| range.min(retry.longest)).take(retry.retries as usize);
        // Calls made at the same time must not wait the same time.
        let seed = retry.seed ^ call.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { random: fastrand::Rng::with_seed(seed), ranges: Box::new(ranges) }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.ranges.next().map(|range| range.mul_f64(self.random.f64()))
    }
}

/// How long the server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date
/// (RFC 9110, 10.2.3), which is read against the server's own `Date` and so needs no clock here.
pub(crate) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = |text| httpdate::parse_http_date(text).ok();
    Some(date(after)?.duration_since(date(text(DATE.as_str())?)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        asked_wait(&pairs.collect())
    }

    #[test]
    fn waits_are_read_in_every_form() {
        assert_eq!(wait(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(
            wait(&[("retry-after", "9"), ("retry-after-ms", "1500")]),
            Some(Duration::from_millis(1500))
        );
        let date = ("date", "Sun, 22 Nov 2026 20:00:00 GMT");
        assert_eq!(
            wait(&[date, ("retry-after", "Sun, 22 Nov 2026 20:00:07 GMT")]),
            Some(Duration::from_secs(7))
        );
        assert_eq!(wait(&[date, ("retry-after", "Sun, 22 Nov 2026 19:00:00 GMT")]), Some(Duration::ZERO));
        for nonsense in ["-1", "soon", "", "NaN", "inf"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }

    #[test]
    fn backoff_doubles_its_range_and_ends() {
        let retry = Retry { retries: 3, longest: Duration::from_millis(800), ..Retry::default() };
        for call in 0..100 {
            let waits: Vec<_> = Backoff::new(retry, call).collect();
            assert_eq!(waits.len(), 3);
            let ranges = [500, 800, 800].map(Duration::from_millis);
            assert!(waits.iter().zip(ranges).all(|(wait, range)| *wait <= range), "{waits:?}");
        }
        assert!(Backoff::new(retry, 1).eq(Backoff::new(retry, 1)));
        assert!(Backoff::new(retry, 1).ne(Backoff::new(retry, 2)));
        assert_eq!(Backoff::new(Retry { retries: 0, ..retry }, 0).count(), 0);
    }
}
