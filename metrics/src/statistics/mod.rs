//! The mathematics behind the judges, over plain numbers: tests, bounds, confidence sequences. For callers
//! who have their own windows, or none.

mod bernoulli;
mod bounded_mean;
mod group_sequential;
mod mean_difference;
mod rank;
mod split;

pub use group_sequential::{crossing_probability, obrien_fleming, pocock};
pub use rank::{RankTest, hodges_lehmann, mann_whitney, shift_interval};

// TEMPORARY, until the real ones are here.
#[cfg(not(tidegate_real))]
mod placeholder {
    #![allow(missing_docs, missing_debug_implementations)]
    #[derive(Debug, Clone)]
    pub struct BoundedMean;
    impl BoundedMean {
        pub fn new(_: f64) -> Self { Self }
        pub fn push(&mut self, _: f64) {}
        pub fn lower(&self) -> f64 { 0.0 }
        pub fn upper(&self) -> f64 { 1.0 }
        pub fn mean(&self) -> f64 { 0.5 }
        pub fn count(&self) -> u64 { 1 }
    }
    pub fn bernoulli_interval(_: u64, _: u64, _: f64, _: f64) -> (f64, f64) { (0.0, 1.0) }
}
#[cfg(not(tidegate_real))]
pub use placeholder::*;
