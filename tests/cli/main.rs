//! The example program `tidegate`, driven as people and scripts drive it.

mod buckets;
mod cache;
mod channels;
mod desk;
mod filters;
mod forecasts;
mod help;
#[cfg(unix)]
mod interrupts;
mod judge;
mod lifecycle;
mod oci;
mod policies;
mod profiles;
mod query;
mod refusals;
#[allow(clippy::unwrap_used, reason = "they are of the library's tests")]
#[path = "../../registry/tests/servers/mod.rs"]
mod servers;
mod signatures;
mod statements;
mod upkeep;
mod validate;
mod versions;
#[cfg(unix)]
mod watch;
