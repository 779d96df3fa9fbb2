//! What was observed of a model in service, and what it means.

mod error;
mod judge;
mod observation;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod recorded;
mod source;
#[cfg(feature = "testkit")]
pub mod testkit;
mod verdict;
mod window;

pub use error::{BoxError, Error};
pub use judge::{
    Bound, Comparison, Criterion, Evidence, Importance, InvalidCriterion, Judgement, Limit, OnMissing, Pair,
    Point, Rule, Statistic, Strength, Table, Tally, judge, trajectory,
};
pub use observation::{Measurement, Missing, Observation, ShapeMismatch};
#[cfg(feature = "prometheus")]
pub use prometheus::Prometheus;
pub use recorded::Recorded;
#[cfg(feature = "testkit")]
pub use source::MockMetricsSource;
pub use source::{Metric, MetricsSource, Selector};
pub use verdict::Verdict;
pub use window::Window;
