//! Which stores hold a registry, which are refused, and how one is named.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod conformance;
mod odd;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
#[path = "../servers/mod.rs"]
mod servers;
mod url;
