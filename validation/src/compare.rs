//! Is the candidate better than the baseline, or at least not worse?
//!
//! | how they were asked | what compares them |
//! |---|---|
//! | the same questions, by one check | [`checks::Compare`](crate::checks::Compare) |
//! | the same questions, by one check, and a judge preferred one answer | [`checks::Preference`](crate::checks::Preference) |
//! | the same questions, by two runs that were recorded | [`Alignment`] |
//! | other requests, in production | [`Experiment`] |
//! | however the numbers came about | [`Pairs`] |
//!
//! Answers to the same question resemble each other, so their differences vary less than the answers do: what is
//! compared in pairs is known better, and by fewer calls. **Cases are what counts, not answers**: repeats of a question
//! and questions about one document are one cluster.
//!
//! ```
//! use tidegate_validation::{Verdict, compare::{Comparison, Pairs}};
//!
//! let mut pairs = Pairs::default();
//! for case in 0..200 {
//!     // The candidate gains four cases and loses six.
//!     let (candidate, baseline) = (!(4..10).contains(&case), !(0..4).contains(&case));
//!     pairs.push(&case.to_string(), Some(candidate.into()), Some(baseline.into()));
//! }
//! let comparison = Comparison { margin: 0.05, ..Comparison::default() };
//! let (verdict, evidence) = comparison.judge("right answers", &pairs);
//! // One point worse, and with 95 % confidence less than four: not worse by the margin of five.
//! assert_eq!(verdict, Verdict::Pass);
//! assert!((evidence.unwrap().lower.unwrap() + 0.0397).abs() < 1e-4);
//! ```

mod assignment;
mod comparison;
mod error;
mod judge;
mod pairs;
mod records;

pub use self::{
    assignment::{Arm, Compared, Experiment, LeftOut, Silent, Units},
    comparison::{Comparison, Goal},
    error::CompareError,
    judge::{Preferring, Winner},
    pairs::Pairs,
    records::{Aligned, Alignment, Measure, Side, Sides},
};
pub(crate) use self::{pairs::Completion, records::MOST_SHOWN};
