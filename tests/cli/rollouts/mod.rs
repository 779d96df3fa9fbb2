//! `tidegate rollout`: driven, asked, watched and started.

mod asked;
#[cfg(target_os = "linux")]
mod images;
#[cfg(target_os = "linux")]
pub(crate) mod machine;
mod pictures;
mod plans;
pub(crate) mod stage;
#[cfg(target_os = "linux")]
mod started;
