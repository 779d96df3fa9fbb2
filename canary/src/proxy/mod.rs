//! What the routers share that write a proxy's configuration and ask the proxy what is in force.

#[cfg(any(feature = "envoy", feature = "nginx"))]
pub(crate) mod answer;
pub(crate) mod file;
