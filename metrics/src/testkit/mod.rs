//! For tests: what every source must do, faults on purpose, and traffic out of a seed.

pub mod conformance;
mod flaky;
mod traffic;

pub use flaky::Flaky;
pub use traffic::Traffic;

pub use crate::source::MockMetricsSource;
