//! What observations mean: pure functions from evidence to a judgement.

mod burn_rate;
mod comparison;
mod criterion;
mod evidence;
mod explain;
mod gaps;
mod judgement;
mod limit;
mod mean;
mod means;
mod process;
mod ranks;
mod readings;
mod row;
mod rule;
mod scores;
mod table;
mod tape;

use std::{fmt, time::SystemTime};

pub use burn_rate::BurnRate;
pub(crate) use comparison::is_even;
pub use comparison::{Better, Comparison, Method};
pub use criterion::{Criterion, Importance, InvalidCriterion, OnMissing};
pub use evidence::{Evidence, Pair};
use gaps::{Gaps, Seen};
pub use judgement::{Effect, Judgement, Measure, Strength, Tally};
pub use limit::{Bound, Limit, Statistic};
pub use means::MeanComparison;
use process::{Looks, Process};
pub use ranks::{Boundary, RankComparison};
pub use readings::{Reading, Readings};
pub use rule::Rule;
pub use scores::ScoreComparison;
use serde::{Deserialize, Serialize};
pub use table::Table;
pub(crate) use tape::{Passed, Tape};

use crate::{Verdict, Window};

/// The odds ratios, in units of the null's, in whose favour the bets for a failure are, with equal weights.
pub(crate) const GRID: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Where the evidence stood after one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Point {
    /// The window's end.
    #[serde(with = "humantime_serde")]
    pub end: SystemTime,
    /// The natural logarithm of the evidence that the candidate is too bad; 0 for rules that are not of evidence.
    pub fail: f64,
    /// The natural logarithm of the evidence that it is good enough; 0 for rules that are not of evidence.
    pub pass: f64,
    /// How large the difference was by then, or where the statistic lay.
    #[serde(default)]
    pub effect: Option<Effect>,
}

/// What `evidence` says of `criterion`.
///
/// Pure and total: the same windows give the same judgement to the last bit (on one platform), no input
/// panics, and every number is finite. It may be asked after every window, and decided on whenever one likes;
/// an error bound of 5 % is one of all looks together. So that it is, evidence that has once sufficed
/// suffices for good: what later windows say cannot take it back, and a failure outweighs a pass.
///
/// A criterion that [`check`](Criterion::check) refuses is inconclusive, and so is an observation of a shape
/// that the rule cannot use.
#[must_use]
pub fn judge(criterion: &Criterion, evidence: &Evidence) -> Judgement {
    match Judge::new(criterion.clone()) {
        Ok(mut judge) => {
            for (window, pair) in evidence.windows() {
                judge.take(*window, pair);
            }
            judge.judgement()
        }
        Err(invalid) => Judgement {
            windows: evidence.windows().len() as u64,
            ..Judgement::of(
                criterion,
                Standing::none(),
                0,
                (Verdict::Inconclusive, Some(invalid.to_string())),
            )
        },
    }
}

/// Where the evidence stood after each window, for plots. Unlike [`Strength::log_e`] it falls as well as it
/// rises. Empty for an invalid criterion.
#[must_use]
pub fn trajectory(criterion: &Criterion, evidence: &Evidence) -> Vec<Point> {
    let Ok(mut judge) = Judge::new(criterion.clone()) else { return Vec::new() };
    let after = |(window, pair): (&Window, &Pair)| {
        judge.take(*window, pair);
        judge.point()
    };
    evidence.windows().filter_map(after).collect()
}

/// A judge that takes one window after the other: what [`judge()`] does, in steps whose cost does not grow with
/// the windows before.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use tidegate_metrics::{Criterion, Judge, Metric, Observation, Pair, Verdict, Window};
/// let mut judge = Judge::new(Criterion::compare(Metric::errors()))?;
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let window = Window::new(noon, noon + Duration::from_secs(60)).unwrap();
/// let side = |hits, trials| Observation::proportion(hits, trials).unwrap().into();
/// assert!(judge.take(window, &Pair::new(side(30, 100), Some(side(9, 900)))));
/// assert_eq!(judge.judgement().verdict, Verdict::Fail);
/// # Ok::<(), tidegate_metrics::InvalidCriterion>(())
/// ```
pub struct Judge {
    criterion: Criterion,
    test: Box<dyn Test>,
    gaps: Gaps,
    windows: u64,
    last: Option<Window>,
}

impl Judge {
    /// A judge by `criterion` that has seen nothing.
    ///
    /// # Errors
    ///
    /// What [`Criterion::check`] says.
    pub fn new(criterion: Criterion) -> Result<Self, InvalidCriterion> {
        criterion.check()?;
        let test = criterion.rule.test();
        Ok(Self { criterion, test, gaps: Gaps::default(), windows: 0, last: None })
    }

    /// Takes in what was measured in `window`.
    ///
    /// Says `false` and changes nothing unless the window comes after all before it: one that is taken in twice
    /// would be evidence that never was. [`Evidence`] puts windows in order.
    pub fn take(&mut self, window: Window, pair: &Pair) -> bool {
        if self.last.is_some_and(|last| window.start() < last.end()) {
            return false;
        }
        self.last = Some(window);
        self.windows += 1;
        let sides = [Some(&pair.candidate), pair.baseline.as_ref()];
        let observed = sides.into_iter().flatten().filter_map(crate::Measurement::observed);
        let impossible = observed.into_iter().find(|observation| !observation.is_valid());
        let seen = match impossible {
            Some(impossible) => Seen::Unusable(format!("{impossible} cannot have been observed")),
            None => self.test.take(window, pair),
        };
        self.gaps.note(seen);
        true
    }

    /// What it has made of its windows, to the last bit. Only [`from_bytes`](Self::from_bytes) of the same version of
    /// this crate reads it: it spares judging the windows again, and does not replace them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.clone().state(&mut Tape::Writing(&mut bytes)).expect("what was taken in can be written");
        bytes
    }

    /// A judge by `criterion` that goes on where [`to_bytes`](Self::to_bytes) of one by the same criterion left off,
    /// with the same numbers to the last bit (on one platform).
    ///
    /// `None` if `criterion` is refused, or no judge by it can have written the bytes. That one has written them is
    /// for the caller to know.
    #[must_use]
    pub fn from_bytes(criterion: Criterion, bytes: &[u8]) -> Option<Self> {
        let mut judge = Self::new(criterion).ok()?;
        let mut tape = Tape::Reading(bytes);
        judge.state(&mut tape)?;
        tape.is_at_end().then_some(judge)
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.count(&mut self.windows)?;
        tape.option(&mut self.last, || Window::BLANK, Tape::window)?;
        self.gaps.state(tape)?;
        self.test.state(tape)
    }

    /// What it judges by.
    #[must_use]
    pub const fn criterion(&self) -> &Criterion {
        &self.criterion
    }

    /// What the windows so far say.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        let mut standing = self.test.standing();
        let decided = (standing.verdict, standing.reason.take());
        let tempered = self.gaps.temper(self.criterion.on_missing, decided);
        Judgement::of(&self.criterion, standing, self.windows, tempered)
    }

    /// What the windows so far say, in one word. It costs less than the [`judgement`](Self::judgement) with its
    /// numbers.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.gaps.temper(self.criterion.on_missing, (self.test.verdict(), None)).0
    }

    /// Where the evidence stands after the last window; `None` before the first.
    #[must_use]
    pub fn point(&self) -> Option<Point> {
        let standing = self.test.standing();
        let (fail, pass) = standing.now;
        self.last.map(|last| Point { end: last.end(), fail, pass, effect: standing.effect })
    }
}

impl Clone for Judge {
    fn clone(&self) -> Self {
        let Self { criterion, test, gaps, windows, last } = self;
        Self {
            criterion: criterion.clone(),
            test: (**test).boxed(),
            gaps: gaps.clone(),
            windows: *windows,
            last: *last,
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge")
            .field("criterion", &self.criterion)
            .field("windows", &self.windows)
            .finish_non_exhaustive()
    }
}

/// One way to judge. It takes valid observations in the order of their windows.
trait Test: Boxed + fmt::Debug + Send + Sync {
    /// Takes one window in, or says why it cannot.
    fn take(&mut self, window: Window, pair: &Pair) -> Seen;

    /// [`Standing::verdict`] alone. Every window is followed by it, so it must cost next to nothing.
    fn verdict(&self) -> Verdict;

    /// What all of them say so far.
    fn standing(&self) -> Standing;

    /// Passes all that windows have changed.
    fn state(&mut self, tape: &mut Tape<'_>) -> Passed;
}

/// A copy of a test behind a pointer. Every test that can be copied has it.
trait Boxed {
    fn boxed(&self) -> Box<dyn Test>;
}

impl<T: Test + Clone + 'static> Boxed for T {
    fn boxed(&self) -> Box<dyn Test> {
        Box::new(self.clone())
    }
}

/// What all windows together say, gaps aside.
#[derive(Clone, Debug)]
struct Standing {
    verdict: Verdict,
    fail: Strength,
    pass: Strength,
    /// The logarithm of both evidences now.
    now: (f64, f64),
    p: Option<f64>,
    candidate: Tally,
    baseline: Option<Tally>,
    effect: Option<Effect>,
    reason: Option<String>,
}

impl Standing {
    /// Nothing, by a rule that is not one of evidence.
    fn none() -> Self {
        let none = Strength { log_e: 0.0, threshold: 0.0 };
        Self {
            verdict: Verdict::Inconclusive,
            fail: none,
            pass: none,
            now: (0.0, 0.0),
            p: None,
            candidate: Tally::default(),
            baseline: None,
            effect: None,
            reason: None,
        }
    }

    /// What two bets say.
    fn of(fail: &Looks, pass: &Looks) -> Self {
        Self {
            verdict: decided(fail.reached(), pass.reached()),
            fail: fail.strength(),
            pass: pass.strength(),
            now: (fail.now(), pass.now()),
            p: Some(fail.p()),
            ..Self::none()
        }
    }
}

impl Judgement {
    fn of(
        criterion: &Criterion,
        standing: Standing,
        windows: u64,
        (verdict, reason): (Verdict, Option<String>),
    ) -> Self {
        let Standing { fail, pass, p, effect, candidate, baseline, .. } = standing;
        let (metric, importance) = (criterion.metric.clone(), criterion.importance);
        Self { metric, importance, verdict, fail, pass, p, effect, candidate, baseline, windows, reason }
    }
}

/// A failure outweighs a pass.
const fn decided(failed: bool, passed: bool) -> Verdict {
    match (failed, passed) {
        (true, _) => Verdict::Fail,
        (false, true) => Verdict::Pass,
        (false, false) => Verdict::Inconclusive,
    }
}

fn too_few(have: u64, need: u64) -> String {
    format!("{}", crate::Missing::TooFew { have, need })
}
