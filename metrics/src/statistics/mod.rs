//! The mathematics behind the judges, over plain numbers: tests, bounds, confidence sequences. For callers
//! who have their own windows, or none.

mod bernoulli;
mod bounded_mean;
mod group_sequential;
mod mean_difference;
mod rank;
mod split;

pub use bernoulli::bernoulli_interval;
pub use bounded_mean::BoundedMean;
pub use group_sequential::{crossing_probability, obrien_fleming, pocock};
pub use mean_difference::{MeanDifference, PairedDifference, msprt};
pub use rank::{RankTest, hodges_lehmann, mann_whitney, shift_interval};
pub use split::{Mismatch, Split, split_log_e};
