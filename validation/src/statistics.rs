//! The mathematics behind the checks, over plain numbers. For callers who have their own trials, or none.
//!
//! | question | what answers it |
//! |---|---|
//! | how often is it right? | [`Proportion`]; with cases repeated or weighted, [`WeightedShare`]; asked in order and stopped early, [`Sprt`] |
//! | what is its mean score, with cases repeated? | [`ClusteredMean`], [`Bootstrap`] |
//! | how long does it take? | [`upper_rank`], [`lower_rank`], [`sample_rank`] |
//! | is it better than another, asked the same cases? | [`Paired`], [`Bootstrap`] over differences |
//! | is it better than another, that answered other requests? | [`Unpaired`], [`ClusteredMean::minus`]; first [`sample_ratio`] |
//! | how many cases does that take? | [`trials_needed`], [`trials_for_power`], [`gate_power`], [`detectable_rate`], [`detectable_paired_share`], [`detectable_mean`], [`detectable_gap`] |
//! | may its judge be believed? | [`kappa()`], [`Detector`] |
//! | does it know when it is right? | [`Calibration`], drawn by [`reliability_svg()`] |
//! | which of many alarms is one? | [`holm()`] |
//!
//! Nothing here reads a clock, and chance comes of seeds that callers give. What cannot be answered is `None`, and
//! each function says when that is.

mod agreement;
mod bootstrap;
mod calibration;
mod chi_square;
mod clustered;
mod detector;
mod holm;
mod paired;
mod power;
mod proportion;
mod quantile;
mod reliability;
mod score;
mod sprt;
mod unpaired;
mod weighted;

pub use agreement::{Kappa, kappa};
pub use bootstrap::{Bootstrap, Resampled};
pub use calibration::{Bin, Calibration};
pub use chi_square::{ChiSquare, homogeneity, sample_ratio};
pub use clustered::{Cluster, ClusteredMean, MeanGap};
pub use detector::Detector;
pub use holm::holm;
pub use paired::Paired;
pub(crate) use power::detectable_between;
pub use power::{
    detectable_gap, detectable_mean, detectable_paired_share, detectable_rate, gate_power, trials_for_power,
};
pub use proportion::{Proportion, trials_needed};
pub use quantile::{lower_rank, sample_rank, upper_rank};
pub use reliability::reliability_svg;
pub use sprt::{Course, Odds, Sprt};
pub use unpaired::Unpaired;
pub use weighted::WeightedShare;
