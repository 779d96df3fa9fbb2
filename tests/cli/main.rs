//! The example program `tidegate`, driven as people and scripts drive it.

mod channels;
mod desk;
mod filters;
mod help;
#[cfg(unix)]
mod interrupts;
mod lifecycle;
mod policies;
mod profiles;
mod refusals;
mod signatures;
mod statements;
mod upkeep;
mod validate;
mod versions;
#[cfg(unix)]
mod watch;
