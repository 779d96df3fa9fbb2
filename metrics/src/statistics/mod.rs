//! The mathematics behind the judges, over plain numbers: tests, bounds, confidence sequences. For callers
//! who have their own windows, or none.

mod bernoulli;
mod bounded_mean;
mod group_sequential;
mod mean_difference;
mod rank;
mod split;
