//! The agents that come with the crate: their contract, and HTTP against a server on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod openai;
mod server;
