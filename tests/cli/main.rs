//! The example program `tidegate`, driven as people and scripts drive it.

mod book;
mod buckets;
mod cache;
mod channels;
mod classifiers;
#[cfg(unix)]
#[allow(clippy::unwrap_used, clippy::future_not_send, reason = "it is of the library's tests")]
#[path = "../../canary/tests/cluster/mod.rs"]
mod cluster;
#[cfg(unix)]
mod clusters;
mod compared;
mod desk;
mod drift;
mod filters;
mod forecasts;
mod formats;
mod help;
#[cfg(unix)]
mod interrupts;
mod judge;
mod lifecycle;
mod loads;
mod oci;
mod policies;
#[path = "../ports/mod.rs"]
mod ports;
mod profiles;
mod query;
mod refusals;
#[cfg(unix)]
mod rollbacks;
mod rollouts;
#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, dead_code, reason = "it is of the library's tests")]
#[path = "../../canary/tests/haproxy/runtime_api.rs"]
mod runtime_api;
mod scan;
#[allow(clippy::unwrap_used, reason = "they are of the library's tests")]
#[path = "../../registry/tests/servers/mod.rs"]
mod servers;
mod shards;
mod signatures;
mod statements;
mod upkeep;
mod validate;
mod versions;
#[cfg(unix)]
mod watch;
