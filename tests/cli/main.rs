//! The example program `tidegate`, driven as people and scripts drive it.

mod desk;
#[cfg(unix)]
mod interrupts;
mod refusals;
mod validate;
mod versions;
