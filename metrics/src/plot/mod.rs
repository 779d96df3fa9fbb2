//! Pictures of what was judged: evidence over time against what it takes to decide, and what was measured with its
//! confidence sequence. Inline SVG for pages, and files of their own.
//!
//! A page embeds [`style()`] once, [`patterns()`] once, and any number of [`Picture`]s. [`standalone()`] makes one
//! SVG file of pictures, which needs no page. Neither holds a script, a link or a font, and text from outside is
//! never markup in them.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use tidegate_metrics::{Criterion, Evidence, Metric, Observation, Window, plot};
//!
//! let criterion = Criterion::compare(Metric::errors());
//! let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let mut evidence = Evidence::new();
//! for minute in 1..=5 {
//!     let end = noon + Duration::from_secs(60 * minute);
//!     let window = Window::ending(end, Duration::from_secs(60)).unwrap();
//!     let side = |hits, trials| Observation::proportion(hits, trials).unwrap().into();
//!     evidence.add(window, side(3, 80), Some(side(5, 720)));
//! }
//! let time = plot::TimeAxis::of([&evidence]).unwrap();
//! let picture = plot::judged(&criterion, &evidence, time);
//! let file = plot::standalone("fraud-scorer 1.5.0", [&picture]);
//! assert!(file.starts_with("<svg xmlns"));
//! ```

mod axis;
mod bets;
pub mod calendar;
mod chart;
mod gap;
mod key;
pub mod length;
mod picture;
mod sequence;
mod style;
pub mod words;

pub use axis::{Axis, TimeAxis};
pub use gap::Gap;
pub use key::{legend, primer};
pub use picture::{Picture, standalone};
pub use sequence::{Band, Sequence};
pub use style::{patterns, style};

use crate::{Criterion, Evidence, Judge, Judgement, Point};

/// Both pictures of what `evidence` says of `criterion`: the [`evidence()`] and the [`confidence()`] sequence, as far
/// as the rule has them. Nothing for an invalid criterion, and where no window was observed.
///
/// Pictures that are drawn with one `time` can be compared; [`TimeAxis::of`] makes it.
#[must_use]
pub fn judged(criterion: &Criterion, evidence: &Evidence, time: TimeAxis) -> Picture {
    let Some(course) = Course::of(criterion, evidence) else { return Picture::default() };
    let sequence = sequence::of(&course);
    let confidence = sequence.and_then(|(sequence, turns)| sequence.draw(time, &course.gaps, &turns));
    let evidence = bets::draw(&course, time);
    Picture { heading: course.heading(), evidence, confidence, gaps: course.gaps }
}

/// Both bets over time against what they need: windows that were no evidence are hatched, and where a bet first
/// sufficed is marked. Nothing for rules that are not of evidence.
#[must_use]
pub fn evidence(criterion: &Criterion, evidence: &Evidence, time: TimeAxis) -> Picture {
    let Some(course) = Course::of(criterion, evidence) else { return Picture::default() };
    let evidence = bets::draw(&course, time);
    Picture { heading: course.heading(), evidence, confidence: None, gaps: course.gaps }
}

/// What was measured in each window of `evidence` by itself, as [`confidence()`] draws it: nothing is carried over from
/// one to the next. Nothing for an invalid criterion, and where no window was observed.
#[must_use]
pub fn windows(criterion: &Criterion, evidence: &Evidence, time: TimeAxis) -> Picture {
    let Some(course) = Course::alone(criterion, evidence) else { return Picture::default() };
    let sequence = sequence::of(&course);
    let confidence = sequence.and_then(|(sequence, turns)| sequence.draw(time, &course.gaps, &turns));
    Picture { heading: course.heading(), evidence: None, confidence, gaps: course.gaps }
}

/// What was measured over time, as a line in the band of its bounds, against what is tolerated. Windows in `gaps` are
/// hatched, and lines are broken there. Nothing without a single number.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use tidegate_metrics::plot::{self, Axis, Band, Sequence, TimeAxis};
/// let at = |minute: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 60 * minute);
/// let bands = [
///     Band { at: at(1), estimate: Some(0.5), lower: None, upper: Some(9.0) },
///     Band { at: at(2), estimate: Some(0.8), lower: Some(0.3), upper: Some(2.1) },
/// ];
/// let sequence = Sequence {
///     what: "odds ratio".to_owned(),
///     axis: Axis::Log,
///     bands: bands.to_vec(),
///     tolerated: 1.0,
///     passing: Some(2.0),
/// };
/// assert!(!plot::confidence(&sequence, &[], TimeAxis::new(at(0), at(2))).is_empty());
/// ```
#[must_use]
pub fn confidence(sequence: &Sequence, gaps: &[Gap], time: TimeAxis) -> Picture {
    Picture {
        heading: (words::clip(&sequence.what, 60), String::new()),
        evidence: None,
        confidence: sequence.draw(time, gaps, &[]),
        gaps: gaps.to_vec(),
    }
}

/// What a judge said after each window and in the end.
struct Course<'a> {
    criterion: &'a Criterion,
    evidence: &'a Evidence,
    points: Vec<Point>,
    judgement: Judgement,
    gaps: Vec<Gap>,
}

impl<'a> Course<'a> {
    /// `None` for an invalid criterion, and where no window was observed.
    fn of(criterion: &'a Criterion, evidence: &'a Evidence) -> Option<Self> {
        let mut judge = Judge::new(criterion.clone()).ok().filter(|_| !evidence.is_empty())?;
        let after = |(window, pair): (&crate::Window, &crate::Pair)| {
            judge.take(*window, pair);
            judge.point()
        };
        let points = evidence.windows().filter_map(after).collect();
        let judgement = judge.judgement();
        Some(Self { criterion, evidence, points, judgement, gaps: gap::of(criterion, evidence) })
    }

    /// As [`of`](Self::of), but each window is judged as if there were no other.
    fn alone(criterion: &'a Criterion, evidence: &'a Evidence) -> Option<Self> {
        let fresh = Judge::new(criterion.clone()).ok()?;
        let course = Self::of(criterion, evidence)?;
        let point = |(window, pair): (&crate::Window, &crate::Pair)| {
            let mut judge = fresh.clone();
            judge.take(*window, pair);
            judge.point()
        };
        Some(Self { points: evidence.windows().filter_map(point).collect(), ..course })
    }

    /// The metric with its verdict, and the numbers behind it.
    fn heading(&self) -> (String, String) {
        let name = words::clip(&self.criterion.metric, 60);
        (format!("{name}: {}", self.judgement.verdict), words::clip(&self.judgement, 600))
    }
}
