//! `tidegate rollback`: chosen, asked, watched and run.

mod asked;
mod candidates;
#[cfg(target_os = "linux")]
mod outage;
mod pictures;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod watch;
