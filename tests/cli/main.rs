//! The example program `tidegate`, driven as people and scripts drive it.

mod desk;
mod refusals;
mod validate;
mod versions;
