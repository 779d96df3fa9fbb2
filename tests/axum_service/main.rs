//! The example program `axum_service`, as its clients use it, and as strangers would.

#[cfg(unix)]
mod beginnings;
mod document;
mod killed;
#[path = "../ports/mod.rs"]
mod ports;
mod rollouts;
mod service;
mod strangers;
