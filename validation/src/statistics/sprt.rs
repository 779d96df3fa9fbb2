//! Stops asking as soon as the answers decide: Wald's sequential test of a rate.

/// Wald's sequential probability ratio test of a rate, cut off after a number of trials: is it `good` or
/// better, or `bad` or worse?
///
/// After each trial the logarithm of the likelihood ratio grows by `ln(good/bad)` for a hit and by
/// `ln((1 − good)/(1 − bad))` for a miss. The rate is taken for good once it reaches `ln((1 − β)/α)`, and for
/// bad once it falls to `ln(β/(1 − α))`, where `α` is the error allowed for accepting a bad rate and `β` that
/// for rejecting a good one. Neither error is more than its own by much, and both together are no more than
/// `α + β`; [`odds`](Self::odds) says exactly what they are, the cut-off included.
///
/// The guarantee is about independent trials of one rate, **in the order in which they were begun** (quick
/// answers may be better ones), stopped by the test and by nothing else.
///
/// A. Wald, *Sequential tests of statistical hypotheses*, Annals of Mathematical Statistics 16(2), 1945.
///
/// ```
/// # use tidegate_validation::statistics::{Course, Sprt};
/// let mut test = Sprt::new(0.8, 0.95, 0.05, 0.05, 100).unwrap();
/// for _ in 0..17 {
///     assert_eq!(test.push(true), Course::Open);
/// }
/// assert_eq!(test.push(true), Course::Accepted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sprt {
    by_hit: f64,
    by_miss: f64,
    lower: f64,
    upper: f64,
    most: u64,
    hits: u64,
    misses: u64,
    course: Course,
}

/// Where an [`Sprt`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a sequential test has no other ends")]
pub enum Course {
    /// The rate is the good one or better.
    Accepted,
    /// It takes more trials.
    Open,
    /// The rate is the bad one or worse.
    Rejected,
    /// All the trials that are allowed were made, and do not decide.
    Truncated,
}

/// What becomes of an [`Sprt`] at some true rate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Odds {
    /// The chance that it accepts.
    pub accepts: f64,
    /// The chance that it rejects.
    pub rejects: f64,
    /// The chance that it is cut off.
    pub truncated: f64,
    /// How many trials it takes on average.
    pub trials: f64,
}

impl Sprt {
    /// The most trials that a test may be allowed.
    pub const MOST: u64 = 1 << 20;

    /// A test that accepts a rate of `bad` with a chance of about `alpha`, rejects one of `good` with a chance of
    /// about `beta`, and ends after `most` trials. `None` unless `0 < bad < good < 1`, both errors are above 0 and
    /// below ½, and `most` is from 1 to [`MOST`](Self::MOST).
    #[must_use]
    pub fn new(bad: f64, good: f64, alpha: f64, beta: f64, most: u64) -> Option<Self> {
        let sound =
            0.0 < bad && bad < good && good < 1.0 && [alpha, beta].iter().all(|e| *e > 0.0 && *e < 0.5);
        (sound && (1..=Self::MOST).contains(&most)).then(|| Self {
            by_hit: (good / bad).ln(),
            by_miss: ((1.0 - good) / (1.0 - bad)).ln(),
            lower: (beta / (1.0 - alpha)).ln(),
            upper: ((1.0 - beta) / alpha).ln(),
            most,
            hits: 0,
            misses: 0,
            course: Course::Open,
        })
    }

    /// Takes one more trial, and says where the test stands. Once it has ended trials change nothing.
    pub fn push(&mut self, hit: bool) -> Course {
        if self.course == Course::Open {
            if hit {
                self.hits += 1
            } else {
                self.misses += 1
            }
            self.course = self.at(self.hits, self.misses);
        }
        self.course
    }

    /// Where the test stands.
    #[must_use]
    pub const fn course(&self) -> Course {
        self.course
    }

    /// Where a test that is still open stands after so many hits and misses.
    pub(crate) fn after(&self, hits: u64, misses: u64) -> Course {
        self.at(hits, misses)
    }

    /// How many hits in a row make it accept after so many hits and misses.
    pub(crate) fn hits_to_pass(&self, hits: u64, misses: u64) -> u64 {
        ((self.upper - self.log_ratio_at(hits, misses)) / self.by_hit).ceil().max(0.0) as u64
    }

    /// Hits and misses so far.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// The logarithm of the likelihood ratio so far: positive where the trials speak for the good rate.
    #[must_use]
    pub fn log_ratio(&self) -> f64 {
        self.log_ratio_at(self.hits, self.misses)
    }

    /// The logarithms of the likelihood ratio at which the test rejects and accepts.
    #[must_use]
    pub const fn bounds(&self) -> (f64, f64) {
        (self.lower, self.upper)
    }

    /// What a hit and a miss add to the logarithm of the likelihood ratio.
    #[must_use]
    pub const fn steps(&self) -> (f64, f64) {
        (self.by_hit, self.by_miss)
    }

    /// What becomes of the test, from its beginning, if the true rate is `rate` (from 0 to 1): exact, by going
    /// through all courses that it can take.
    #[must_use]
    pub fn odds(&self, rate: f64) -> Odds {
        let mut odds = Odds { accepts: 0.0, rejects: 0.0, truncated: 0.0, trials: 0.0 };
        // The chances that the test is open with `fewest`, `fewest + 1`, … misses.
        let (mut fewest, mut open) = (0_u64, vec![1.0]);
        for n in 1..=self.most {
            odds.trials += open.iter().sum::<f64>();
            let mut next = vec![0.0; open.len() + 1];
            for (i, chance) in open.iter().enumerate() {
                next[i] += chance * rate;
                next[i + 1] += chance * (1.0 - rate);
            }
            let mut misses = fewest;
            next.retain(|chance| {
                let course = self.at(n - misses, misses);
                misses += 1;
                match course {
                    Course::Accepted => odds.accepts += chance,
                    Course::Open => return true,
                    Course::Rejected => odds.rejects += chance,
                    Course::Truncated => odds.truncated += chance,
                }
                // What is accepted has fewer misses than all that is open.
                fewest += u64::from(course == Course::Accepted);
                false
            });
            open = next;
            if open.is_empty() {
                break;
            }
        }
        odds
    }

    /// How many trials a test without a cut-off takes on average if the true rate is the bad one, and if it is
    /// the good one: Wald's approximation, which leaves out by how much the bounds are overshot.
    #[must_use]
    pub fn expected_trials(&self) -> (f64, f64) {
        // The errors and rates, from the bounds and steps made of them.
        let (alpha, beta) = (
            (1.0 - self.lower.exp()) / (self.upper.exp() - self.lower.exp()),
            self.lower.exp() * (self.upper.exp() - 1.0) / (self.upper.exp() - self.lower.exp()),
        );
        let bad = (1.0 - self.by_miss.exp()) / (self.by_hit.exp() - self.by_miss.exp());
        let good = bad * self.by_hit.exp();
        let drift = |rate: f64| rate * self.by_hit + (1.0 - rate) * self.by_miss;
        let at_bad = alpha * self.upper + (1.0 - alpha) * self.lower;
        let at_good = (1.0 - beta) * self.upper + beta * self.lower;
        (at_bad / drift(bad), at_good / drift(good))
    }

    fn log_ratio_at(&self, hits: u64, misses: u64) -> f64 {
        hits as f64 * self.by_hit + misses as f64 * self.by_miss
    }

    fn at(&self, hits: u64, misses: u64) -> Course {
        match self.log_ratio_at(hits, misses) {
            ratio if ratio >= self.upper => Course::Accepted,
            ratio if ratio <= self.lower => Course::Rejected,
            _ if hits + misses >= self.most => Course::Truncated,
            _ => Course::Open,
        }
    }
}
