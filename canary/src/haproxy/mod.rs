//! A running HAProxy, over its runtime API.
//!
//! Two routers, for two kinds of configuration: [`HaProxy`] keeps the whole split in one map, which is
//! replaced at once; [`HaProxyWeights`] moves the weights of servers, for configurations that are there
//! already.

mod config;
mod entries;
mod failure;
mod file;
mod map;
mod map_router;
mod servers;
mod socket;
mod weight_router;

pub use self::{map_router::HaProxy, weight_router::HaProxyWeights};

/// How often a change is planned again because somebody else made one in between.
const ATTEMPTS: usize = 5;
