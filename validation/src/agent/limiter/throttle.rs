//! When the next request may go: a pure function of what went before, and of the time.

use std::time::Duration;

use super::{Experience, RateLimits, bucket::Bucket};

/// When the next request may go. Times are counted from any one moment.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    most: f64,
    /// How many may be under way: grows by one for so many answers, halves when the server is overloaded
    /// (additive increase, multiplicative decrease: Chiu and Jain, 1989).
    window: f64,
    under_way: u64,
    /// Counts the halvings. Requests sent before the last one knew nothing of it and halve nothing again.
    era: u64,
    /// Nothing goes before this, as the server asked.
    paused_until: Duration,
}

/// What may be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is under way.
    Go { era: u64 },
    /// Ask again at this time.
    NotBefore(Duration),
    /// Ask again when one that is under way has ended.
    WhenOneEnds,
}

impl Throttle {
    pub(super) fn new(limits: RateLimits) -> Self {
        let most = limits.most_at_once.get() as f64;
        Self {
            requests: limits.requests_per_minute.map(|limit| Bucket::new(u64::from(limit.get()))),
            tokens: limits.tokens_per_minute.map(|limit| Bucket::new(limit.get())),
            most,
            window: most.min(limits.at_once.get() as f64),
            under_way: 0,
            era: 0,
            paused_until: Duration::ZERO,
        }
    }

    /// Lets a request of `tokens` tokens go, or says when to ask again.
    pub(super) fn admit(&mut self, tokens: u64, now: Duration) -> Admission {
        if self.under_way as f64 + 1.0 > self.window {
            return Admission::WhenOneEnds;
        }
        let room = |bucket: &Option<Bucket>, units| bucket.map_or(now, |bucket| bucket.room(units, now));
        let at = room(&self.requests, 1).max(room(&self.tokens, tokens)).max(self.paused_until);
        if at > now {
            return Admission::NotBefore(at);
        }
        for (bucket, units) in [(&mut self.requests, 1), (&mut self.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(units, now);
            }
        }
        self.under_way += 1;
        Admission::Go { era: self.era }
    }

    /// Learns how a request ended that went in `era`.
    pub(super) fn end(&mut self, era: u64, experience: Experience, now: Duration) {
        let in_use = self.under_way as f64 * 2.0 >= self.window;
        self.under_way = self.under_way.saturating_sub(1);
        match experience {
            Experience::Answered if in_use => {
                self.window = (self.window + 1.0 / self.window).min(self.most);
            }
            Experience::Answered | Experience::Unknown => {}
            Experience::Overloaded { wait } => {
                if era == self.era {
                    self.era += 1;
                    self.window = (self.window / 2.0).max(1.0);
                }
                if let Some(wait) = wait {
                    self.paused_until = self.paused_until.max(now.saturating_add(wait));
                }
            }
        }
    }

    pub(super) const fn window(&self) -> f64 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn throttle(at_once: usize, most: usize) -> Throttle {
        let count = |n| NonZeroUsize::new(n).unwrap();
        Throttle::new(RateLimits {
            at_once: count(at_once),
            most_at_once: count(most),
            ..RateLimits::default()
        })
    }

    fn go(throttle: &mut Throttle) -> Option<u64> {
        match throttle.admit(0, Duration::ZERO) {
            Admission::Go { era } => Some(era),
            _ => None,
        }
    }

    const OVERLOADED: Experience = Experience::Overloaded { wait: None };

    #[test]
    fn one_overload_halves_once_however_many_are_told() {
        let mut throttle = throttle(16, 16);
        let eras: Vec<_> = (0..16).map(|_| go(&mut throttle).unwrap()).collect();
        eras.into_iter().for_each(|era| throttle.end(era, OVERLOADED, Duration::ZERO));
        assert_eq!(throttle.window(), 8.0);
        let eras: Vec<_> = std::iter::from_fn(|| go(&mut throttle)).collect();
        assert_eq!(eras.len(), 8);
        throttle.end(eras[0], OVERLOADED, Duration::ZERO);
        assert_eq!(throttle.window(), 4.0);
    }

    #[test]
    fn answers_open_it_one_by_one_up_to_the_most() {
        let mut throttle = throttle(2, 5);
        let mut rounds = 0;
        while throttle.window() < 5.0 {
            let eras: Vec<_> = std::iter::from_fn(|| go(&mut throttle)).collect();
            eras.into_iter().for_each(|era| throttle.end(era, Experience::Answered, Duration::ZERO));
            rounds += 1;
        }
        assert!((3..=9).contains(&rounds), "not more than one more a round, not {rounds} rounds");
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut throttle = throttle(8, 64);
        for _ in 0..100 {
            let era = go(&mut throttle).unwrap();
            throttle.end(era, Experience::Answered, Duration::ZERO);
        }
        assert_eq!(throttle.window(), 8.0);
    }

    #[test]
    fn a_wait_that_one_was_told_is_kept_by_all() {
        let mut throttle = throttle(4, 4);
        let era = go(&mut throttle).unwrap();
        let wait = Some(Duration::from_secs(7));
        throttle.end(era, Experience::Overloaded { wait }, Duration::from_secs(1));
        let until = Duration::from_secs(8);
        assert_eq!(throttle.admit(0, Duration::from_secs(2)), Admission::NotBefore(until));
        assert!(matches!(throttle.admit(0, until), Admission::Go { .. }));
    }

    proptest! {
        #[test]
        fn the_window_stays_within_its_bounds(steps in vec((0_u8..4, any::<prop::sample::Index>()), 0..300)) {
            let mut throttle = throttle(3, 7);
            let mut under_way = Vec::new();
            for (step, which) in steps {
                match step {
                    0 | 1 => under_way.extend(go(&mut throttle)),
                    _ if under_way.is_empty() => under_way.push(go(&mut throttle).expect("nothing is under way")),
                    _ => {
                        let experience = if step == 2 { Experience::Answered } else { OVERLOADED };
                        throttle.end(under_way.remove(which.index(under_way.len())), experience, Duration::ZERO);
                    }
                }
                prop_assert!((1.0..=7.0).contains(&throttle.window()));
                prop_assert!(under_way.len() <= 7);
            }
        }
    }
}
